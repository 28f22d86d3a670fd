package sharepoint

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/c2conn/c2conn/internal/transport"
)

const service = "SharePoint Online"

// Options are what New needs.
type Options struct {
	BaseURL string                                                   // e.g. https://contoso.sharepoint.com or https://contoso-admin.sharepoint.com
	Token   func(ctx context.Context, claims string) (string, error) // for BaseURL: each host has its own audience
	HTTP    *http.Client                                             // of transport.New
	Clock   transport.Clock                                          // nil means the computer's
}

// Client speaks to one host of SharePoint Online. It is safe for use by several
// goroutines.
type Client struct {
	base  *url.URL
	http  *http.Client
	clock transport.Clock
}

// New checks o and returns a Client. Nothing is sent yet.
func New(o Options) (*Client, error) {
	base, err := url.Parse(strings.TrimRight(o.BaseURL, "/"))
	if err != nil || base.Scheme != "https" || base.Host == "" || *base != (url.URL{Scheme: base.Scheme, Host: base.Host}) {
		return nil, fmt.Errorf("the SharePoint address %q is no https address of a host", transport.CleanText(o.BaseURL, 200))
	}
	if o.Token == nil || o.HTTP == nil {
		return nil, errors.New("sharepoint: Options.Token or Options.HTTP is missing")
	}
	if o.Clock == nil {
		o.Clock = transport.SystemClock()
	}
	// Bearer refuses hosts that the token is not for, and answers claims challenges.
	return &Client{base: base, clock: o.Clock, http: &http.Client{
		Transport:     transport.Bearer(o.HTTP.Transport, base, o.Token),
		CheckRedirect: transport.NoRedirect,
	}}, nil
}

// Web is a site.
type Web struct {
	Title string
	URL   string
}

// Web opens the site at siteURL, which must be on the Client's host; empty means
// the root site. It changes nothing. It needs Sites.Read.All of SharePoint, and
// a sign-in by certificate.
//
// Errors: *Error, and the error of Options.Token.
//
// Source: learn.microsoft.com/sharepoint/dev/sp-add-ins/complete-basic-operations-using-sharepoint-rest-endpoints.
func (c *Client) Web(ctx context.Context, siteURL string) (Web, error) {
	op := "open site " + transport.CleanText(siteURL, 300)
	u := c.base
	if siteURL != "" {
		var err error
		if u, err = url.Parse(siteURL); err != nil {
			return Web{}, &Error{Op: op, Host: c.base.Host, Err: errors.New("this is no address")}
		}
	} else {
		op = "open root site"
	}
	u = (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).JoinPath("_api", "web")
	u.RawQuery = "$select=Title,Url"
	a, err := c.send(ctx, op, http.MethodGet, u, nil, nil)
	if err != nil {
		return Web{}, err
	}
	var j struct{ Title, URL Text }
	if json.Unmarshal(a.body, &j) != nil || j.URL == "" {
		return Web{}, a.unreadable()
	}
	return Web{Title: j.Title.Clean(255), URL: j.URL.Clean(2000)}, nil
}

// answer is a good one: its status is 200.
type answer struct {
	body []byte
	err  Error // what an Error about it would tell
}

func (a answer) unreadable() error {
	a.err.Err = errUnreadable
	return &a.err
}

// send asks once; the transport does the repeating. Everything that c2conn asks
// of SharePoint is a question, so POSTs may be repeated, too.
func (c *Client) send(ctx context.Context, op, method string, u *url.URL, header map[string]string, body []byte) (answer, error) {
	ctx = transport.Repeatable(transport.Service(ctx, service))
	e := Error{Op: op, Host: transport.CleanText(u.Host, 255)}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		e.Err = errors.New("this is no address")
		return answer{}, &e
	}
	req.Header.Set("Accept", "application/json;odata=nometadata")
	req.Header.Set("Accept-Language", "en-US") // advice knows some refusals by their words
	for k, v := range header {
		req.Header.Set(k, v)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return answer{}, failed(e, err)
	}
	defer res.Body.Close()
	if body, err = io.ReadAll(res.Body); err != nil {
		return answer{}, failed(e, err)
	}
	e.fill(res, body, c.clock.Now())
	if res.StatusCode != http.StatusOK {
		return answer{}, &e
	}
	return answer{body: body, err: e}, nil
}

// failed tells a missing token from a missing answer.
func failed(e Error, err error) error {
	var token *transport.TokenError
	if errors.As(err, &token) {
		return fmt.Errorf("%s: %w", e.Op, token.Err)
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // method and address say nothing to an admin
	}
	e.Err = err
	return &e
}
