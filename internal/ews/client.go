package ews

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/c2conn/c2conn/internal/transport"
)

const (
	service   = "Exchange Web Services"
	busyCode  = "ErrorServerBusy"
	busyPause = 2 * time.Second // before the second try where the server names no wait
)

// Options are what New needs.
type Options struct {
	URL       string                                                   // e.g. https://outlook.office365.com/EWS/Exchange.asmx
	Token     func(ctx context.Context, claims string) (string, error) // nil: HTTP signs in by itself, as to a server on the premises
	HTTP      *http.Client                                             // of transport.New, or of a winauth.Account
	UserAgent string                                                   // empty means the transport's own
	Clock     transport.Clock                                          // nil means the computer's
}

// Client speaks to one EWS address. It is safe for use by several goroutines.
type Client struct {
	o    Options
	http *http.Client
	err  error // the address is unusable; told by the first call
}

// New returns a client; nothing is sent yet.
func New(o Options) *Client {
	if o.Clock == nil {
		o.Clock = transport.SystemClock()
	}
	c := &Client{o: o}
	u, err := url.Parse(o.URL)
	switch {
	case err != nil, u.Scheme != "https", u.Host == "":
		c.err = fmt.Errorf("the EWS address %q is no https address", transport.CleanText(o.URL, 200))
	case o.HTTP == nil:
		c.err = errors.New("ews: Options.HTTP is missing")
	case o.Token == nil:
		c.http = &http.Client{Transport: o.HTTP.Transport, CheckRedirect: transport.NoRedirect}
	default:
		c.http = &http.Client{
			Transport:     transport.Bearer(o.HTTP.Transport, u, o.Token),
			CheckRedirect: transport.NoRedirect,
		}
	}
	return c
}

// GetFolder opens a folder of mailbox (an SMTP address) by its fixed name, e.g.
// "inbox", acting as that mailbox. It changes nothing. The version is given with
// an error, too, when the server told it. Without a mailbox the folder is one of
// whoever HTTP signs in as, and nobody is acted for.
//
// Errors: *Error when Exchange refuses or cannot be reached; *MailboxError; and
// the error of Options.Token.
func (c *Client) GetFolder(ctx context.Context, mailbox, distinguishedID string) (Folder, ServerVersion, error) {
	a, err := c.open(ctx, mailbox, distinguishedID)
	if err != nil {
		return Folder{}, a.version, err
	}
	return a.folder, a.version, nil
}

// open asks for a folder, again while Exchange is busy. What came with an error is
// in the answer, too.
func (c *Client) open(ctx context.Context, mailbox, distinguishedID string, properties ...string) (answer, error) {
	op := "GetFolder " + transport.CleanText(distinguishedID, 40)
	if c.err != nil {
		return answer{}, c.err
	}
	if err := checkMailbox(mailbox); err != nil && (mailbox != "" || c.o.Token != nil) {
		return answer{}, fmt.Errorf("%s: %w", op, err)
	}
	// Reading a folder twice does no harm, although it is a POST.
	ctx = transport.Repeatable(transport.Service(ctx, service))
	body := getFolder(mailbox, distinguishedID, properties...)
	var waited time.Duration
	for try := 1; ; try++ {
		a, err := c.post(ctx, op, mailbox, body)
		if err == nil {
			return a, nil
		}
		pause := busy(err, a, try)
		if pause == 0 || !transport.Again(ctx, c.o.Clock, service+" is busy ("+busyCode+")", pause, waited, try) {
			return a, err
		}
		waited += pause
	}
}

// busy returns how long Exchange wants to be left alone, 0 when it is not busy.
// A 503 was repeated by the transport already.
func busy(err error, a answer, try int) time.Duration {
	var e *Error
	if !errors.As(err, &e) || e.Code != busyCode || e.Status == http.StatusServiceUnavailable {
		return 0
	}
	return max(a.backOff, e.RetryAfter, min(busyPause<<(try-1), 30*time.Second))
}

func (c *Client) post(ctx context.Context, op, mailbox string, body []byte) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.o.URL, bytes.NewReader(body))
	if err != nil {
		return answer{}, fmt.Errorf("%s: %w", op, err)
	}
	req.Header.Set("Content-Type", "text/xml; charset=utf-8")
	req.Header.Set("Accept", "text/xml")
	// Exchange routes by this header; impersonation without it ends on a wrong server.
	if mailbox != "" {
		req.Header.Set("X-AnchorMailbox", mailbox)
	}
	if c.o.UserAgent != "" {
		req.Header.Set("User-Agent", c.o.UserAgent)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return answer{}, failed(op, err)
	}
	defer res.Body.Close()
	return c.read(op, res)
}

// failed tells a missing token from a missing answer.
func failed(op string, err error) error {
	var token *transport.TokenError
	if errors.As(err, &token) {
		return fmt.Errorf("%s: %w", op, token.Err)
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // method and address say nothing to an admin
	}
	return &Error{Op: op, Err: err}
}

func (c *Client) read(op string, res *http.Response) (answer, error) {
	h := func(name string) string { return transport.CleanText(res.Header.Get(name), 2000) }
	e := &Error{
		Op:           op,
		Status:       res.StatusCode,
		PolicyReason: h("X-EWS-Policy-Reason"),
		Diagnostics:  h("x-ms-diagnostics"),
		WWWAuth:      transport.CleanText(strings.Join(res.Header.Values("WWW-Authenticate"), ", "), 4000),
		RequestID:    h("request-id"),
		RetryAfter:   transport.RetryAfter(res.Header, c.o.Clock.Now()),
		Time:         c.o.Clock.Now().UTC(),
	}
	if t, err := http.ParseTime(res.Header.Get("Date")); err == nil {
		e.Time = t.UTC()
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, sizeLimit+1))
	if err != nil {
		e.Err = err
		return answer{}, e
	}
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if kind != "text/xml" && kind != "application/xml" && kind != "application/soap+xml" {
		e.ContentType = transport.CleanText(res.Header.Get("Content-Type"), 100)
		if len(body) > 0 {
			e.Err = errNotSOAP
		}
		return answer{}, e
	}
	a, err := parse(body)
	if err != nil {
		if len(bytes.TrimSpace(body)) > 0 || res.StatusCode == http.StatusOK {
			e.Err = err
		}
		return a, e
	}
	if res.StatusCode == http.StatusOK && !a.fault && (a.code == "" || a.code == "NoError") {
		if a.folder.ID == "" {
			e.Err = errors.New("the answer names no folder")
			return a, e
		}
		return a, nil
	}
	e.Code, e.Message = a.code, a.text
	return a, e
}
