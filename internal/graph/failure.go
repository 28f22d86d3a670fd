package graph

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"time"
	"unicode/utf8"

	"github.com/c2conn/c2conn/internal/transport"
)

// errUnreadable stands for every complaint of the SDK about an answer.
var errUnreadable = errors.New("the answer cannot be read")

type seenKey struct{}

// seen is what a request's last answer looked like on the wire. The SDK loses
// most of it: the status of a proxy's page, the ids, the code of some errors.
type seen struct {
	status      int
	header      http.Header
	contentType string
	body        []byte // of an error, up to errorLimit
}

// errorLimit is how much of an error's body is read; real ones are under 2 KiB.
const errorLimit = 64 << 10

// recorder notes each answer in the context's seen.
type recorder struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t *recorder) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := t.next.RoundTrip(r)
	note, ok := r.Context().Value(seenKey{}).(*seen)
	if err != nil || !ok {
		return res, err
	}
	note.status = res.StatusCode
	note.header = res.Header.Clone()
	note.contentType = res.Header.Get("Content-Type")
	if res.StatusCode >= http.StatusBadRequest {
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			return nil, err
		}
		note.body = body[:min(len(body), errorLimit)]
		res.Body = io.NopCloser(bytes.NewReader(body))
		if note.header.Get("client-request-id") == "" && res.Request != nil {
			note.header.Set("client-request-id", res.Request.Header.Get("client-request-id"))
		}
		// The challenge was answered below; kiota would try once more, and panics
		// over one that it cannot read.
		res.Header.Del("WWW-Authenticate")
	}
	return res, nil
}

// failure makes the one error of this package. err is only looked at when no
// answer came: everything else is read from the answer itself.
func (c *Client) failure(op string, s *seen, err error) error {
	var token *transport.TokenError
	if errors.As(err, &token) {
		return fmt.Errorf("%s: %w", op, token.Err)
	}
	e := &Error{Op: op}
	if s.status == 0 || transport.KindOf(err) != "" || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // method and address say nothing to an admin
		}
		e.Err = err
		return e
	}
	e.Status = s.status
	e.RequestID = transport.CleanText(s.header.Get("request-id"), 64)
	e.ClientRequestID = transport.CleanText(s.header.Get("client-request-id"), 64)
	e.RetryAfter = transport.RetryAfter(s.header, c.o.Now())
	if t, err := http.ParseTime(s.header.Get("Date")); err == nil {
		e.Time = t.UTC()
	}
	if kind, _, _ := mime.ParseMediaType(s.contentType); kind != "application/json" {
		e.ContentType = transport.CleanText(s.contentType, 100)
	}
	e.read(s.body)
	return e
}

// read takes code, message and ids from an error's body.
//
// Source: learn.microsoft.com/graph/errors, "JSON representation".
func (e *Error) read(body []byte) {
	var j struct {
		Error struct {
			Code    text    `json:"code"`
			Message text    `json:"message"`
			Details details `json:"details"`
			Inner   struct {
				Date            text `json:"date"`
				RequestID       text `json:"request-id"`
				ClientRequestID text `json:"client-request-id"`
			} `json:"innerError"`
		} `json:"error"`
	}
	if json.Unmarshal(body, &j) != nil {
		return
	}
	e.Code = transport.CleanText(string(j.Error.Code), 100)
	e.Message = transport.CleanText(string(j.Error.Message), 1000)
	e.Details = j.Error.Details
	if e.RequestID == "" {
		e.RequestID = transport.CleanText(string(j.Error.Inner.RequestID), 64)
	}
	if e.ClientRequestID == "" {
		e.ClientRequestID = transport.CleanText(string(j.Error.Inner.ClientRequestID), 64)
	}
	if t, err := time.Parse("2006-01-02T15:04:05", string(j.Error.Inner.Date)); err == nil && e.Time.IsZero() {
		e.Time = t
	}
}

// details are an error's particulars; what is not a list of them counts as missing.
type details []ErrorDetail

// UnmarshalJSON never fails.
func (d *details) UnmarshalJSON(b []byte) error {
	var list []struct {
		Code    text `json:"code"`
		Message text `json:"message"`
		Target  text `json:"target"`
	}
	if json.Unmarshal(b, &list) != nil {
		return nil
	}
	for _, l := range list[:min(len(list), mostDetails)] {
		*d = append(*d, ErrorDetail{
			Code:    transport.CleanText(string(l.Code), 100),
			Message: transport.CleanText(string(l.Message), 500),
			Target:  transport.CleanText(string(l.Target), 100),
		})
	}
	return nil
}

// mostDetails is how many details of an error are kept; real ones have one or two.
const mostDetails = 20

// text is a JSON string; any other value counts as missing.
type text string

// clean is t as it may be shown, cut off at limit bytes.
func (t text) clean(limit int) string { return transport.CleanText(string(t), limit) }

// UnmarshalJSON never fails.
func (t *text) UnmarshalJSON(b []byte) error {
	// Lists have thousands of texts that stand for themselves.
	if b[0] == '"' && bytes.IndexByte(b, '\\') < 0 && utf8.Valid(b) {
		*t = text(b[1 : len(b)-1])
		return nil
	}
	var s string
	if json.Unmarshal(b, &s) == nil {
		*t = text(s)
	}
	return nil
}

// stamp is a JSON time; any other value counts as missing.
type stamp struct{ time.Time }

// UnmarshalJSON never fails.
func (s *stamp) UnmarshalJSON(b []byte) error {
	var t time.Time
	if json.Unmarshal(b, &t) == nil {
		s.Time = t.UTC()
	}
	return nil
}

// flag is a JSON boolean; any other value counts as false.
type flag bool

// UnmarshalJSON never fails.
func (f *flag) UnmarshalJSON(b []byte) error {
	*f = string(b) == "true"
	return nil
}
