package entra

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/c2conn/c2conn/internal/transport"
)

// endpoint stands between MSAL and the network. It answers MSAL's question for
// metadata from memory, lets nothing out but requests to the token endpoint that
// was checked, and turns refusals into *Error before MSAL makes text of them.
type endpoint struct {
	next  http.RoundTripper
	found *discovery
	// devices lets requests for a device code through as well.
	devices bool
}

// sentKey is where a context keeps the *atomic.Bool that tells whether a request
// for a token has gone out.
type sentKey struct{}

// RoundTrip implements http.RoundTripper.
func (t *endpoint) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer r.Body.Close()
	}
	if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, configurationPath) {
		return answer(r, http.StatusOK, t.found.document()), nil
	}
	to := t.found.tokenEndpoint
	toToken, toDevice := r.URL.Path == to.Path, t.devices && r.URL.Path == t.found.devicePath()
	if r.Method != http.MethodPost || r.URL.Scheme != to.Scheme || r.URL.Host != to.Host || !toToken && !toDevice {
		return nil, &transport.ForeignHostError{Want: to.Host, Got: transport.CleanText(r.URL.Scheme+"://"+r.URL.Host, 200)}
	}
	// A token may be asked for twice: nothing changes in the tenant.
	q := r.WithContext(transport.Repeatable(transport.Service(r.Context(), service)))
	q.Header = r.Header.Clone()
	q.Header.Set("Accept", "application/json")
	if sent, ok := r.Context().Value(sentKey{}).(*atomic.Bool); ok {
		sent.Store(true)
	}
	res, err := t.next.RoundTrip(q)
	if err != nil {
		return nil, err
	}
	body, err := readBody(res)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		e := parseError(res.StatusCode, body)
		e.stamp(res)
		return nil, e
	}
	var ok struct {
		Token string `json:"access_token"`
		Code  string `json:"device_code"`
	}
	if json.Unmarshal(body, &ok) != nil || toToken && ok.Token == "" || toDevice && ok.Code == "" {
		return nil, &TokenAnswerError{Host: to.Host, Status: res.StatusCode, Reason: "it holds no token (a proxy's page, perhaps)"}
	}
	return answer(r, res.StatusCode, body), nil
}

func answer(r *http.Request, status int, body []byte) *http.Response {
	return &http.Response{
		Status: http.StatusText(status), StatusCode: status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        http.Header{"Content-Type": {"application/json"}},
		Body:          io.NopCloser(bytes.NewReader(body)),
		ContentLength: int64(len(body)),
		Request:       r,
	}
}

func readBody(res *http.Response) ([]byte, error) {
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, answerLimit+1))
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	return body, nil
}

// stamp adds what the headers of a refusal know when its body did not say it.
func (e *Error) stamp(res *http.Response) {
	if e.TraceID == "" {
		e.TraceID = transport.CleanText(res.Header.Get("x-ms-request-id"), 64)
	}
	if e.CorrelationID == "" {
		e.CorrelationID = transport.CleanText(res.Header.Get("client-request-id"), 64)
	}
	if e.Time.IsZero() {
		if t, err := http.ParseTime(res.Header.Get("Date")); err == nil {
			e.Time = t.UTC()
		}
	}
}

// bare takes net/http's wrapping off: method and address say nothing to an admin.
func bare(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
