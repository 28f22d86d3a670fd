package sharepointserver

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/c2conn/c2conn/internal/transport"
	"github.com/c2conn/c2conn/internal/winauth"
)

// Central is an opened Central Administration.
type Central struct {
	URL   string // that answered; its scheme may be another than the one asked for
	Title string
	Build Build
	Other error // why the other scheme, which was asked for, did not do; nil where the first one did
}

// centralTemplate is the template of the site of Central Administration.
const centralTemplate = "CENTRALADMIN"

// Central opens Central Administration at site, whose port is not a usual one: with the
// scheme given, then, where the port speaks the other one or nothing answers, with that;
// from https to http only where plain allows it. Whoever is on the way can answer a
// greeting of TLS in plain text, and would get a sign-in past certificate and pin.
// Whatever the address has behind the port is left out.
//
// Errors: *CentralError.
func (c *Client) Central(ctx context.Context, site string, plain bool) (Central, error) {
	at, err := address(site)
	if err != nil {
		return Central{}, &CentralError{URL: transport.CleanText(site, urlLimit), Likely: err}
	}
	at = root(at)
	found, first := c.central(ctx, at)
	if first == nil {
		return found, nil
	}
	e := &CentralError{URL: at.String(), At: at.String(), Tried: map[string]error{at.Scheme: first}, Likely: first}
	other := *at
	other.Scheme = map[string]string{"http": "https", "https": "http"}[at.Scheme]
	other.Host = transport.HostPort(at) // the same port, also where the scheme alone tells it
	if other.Scheme == "http" && !plain {
		e.Plain = wrongScheme(first)
		return Central{}, e
	}
	if ctx.Err() != nil || !otherScheme(first, &other) {
		return Central{}, e
	}
	found, second := c.central(ctx, &other)
	if second == nil {
		found.Other = first
		return found, nil
	}
	e.Tried[other.Scheme] = second
	if telling(second) > telling(first) {
		e.Likely, e.At = second, other.String()
	}
	return Central{}, e
}

// central opens it with one scheme.
func (c *Client) central(ctx context.Context, at *url.URL) (Central, error) {
	var web struct{ Title, WebTemplate text }
	a, err := c.object(ctx, "Central Administration", at.JoinPath("_api", "web"), "$select=Title,WebTemplate", &web)
	switch {
	case err != nil:
		return Central{}, err
	case web.WebTemplate == "":
		return Central{}, a.unreadable(errJSON)
	case !strings.EqualFold(string(web.WebTemplate), centralTemplate):
		e := a.e
		e.Reason, e.Text = NotCentral, web.Title.Clean(255)
		return Central{}, &e
	}
	return Central{URL: at.String(), Title: web.Title.Clean(255), Build: a.e.Build}, nil
}

// otherScheme reports whether other, the same address with the other scheme, may do
// where this failed: the port speaks that one, or nothing answered.
func otherScheme(err error, other *url.URL) bool {
	var e *Error
	switch {
	case errors.As(err, &e):
		to, err := url.Parse(e.To)
		return wrongScheme(e) || e.Reason == Moved && err == nil && to.Scheme == other.Scheme && transport.HostPort(to) == transport.HostPort(other)
	case winauth.Refusal(err):
		return false
	}
	switch transport.KindOf(err) {
	case transport.KindTLS:
		return wrongScheme(err) // else it speaks TLS, and we do not agree
	case transport.KindDNS, transport.KindAuthority, transport.KindExpired, transport.KindHostName, transport.KindTooLarge, transport.KindCanceled:
		return false
	}
	return true
}

// wrongScheme recognises a port that answers TLS with something else, and http with 400,
// as some web servers do on a port for https; others close the connection.
func wrongScheme(err error) bool {
	var header tls.RecordHeaderError
	var e *Error
	if errors.As(err, &e) {
		return e.Status == http.StatusBadRequest && !e.SharePoint && strings.HasPrefix(e.URL, "http:")
	}
	return errors.As(err, &header) || errors.Is(err, http.ErrSchemeMismatch)
}

// telling says how much an error tells of what is wrong: the most, what a server said of
// the account, the least, that it speaks the other protocol.
func telling(err error) int {
	var e *Error
	switch {
	case winauth.Refusal(err):
		return 4
	case wrongScheme(err):
		return 0
	case !errors.As(err, &e):
		return 1
	case e.Reason == Denied, e.Reason == NotCentral, e.Reason == LoginPage:
		return 3
	}
	return 2
}
