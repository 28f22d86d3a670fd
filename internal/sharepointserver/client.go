package sharepointserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/c2conn/c2conn/internal/transport"
)

const service = "SharePoint Server"

// Options are what New needs.
type Options struct {
	HTTP  *http.Client    // signs in, follows no redirect, repeats what may be repeated
	Clock transport.Clock // nil means the computer's
}

// Client asks SharePoint servers. It may be used by several goroutines.
type Client struct {
	http  *http.Client
	clock transport.Clock

	bytesLimit int // of the addresses in a list
}

// New returns a Client; nothing is sent yet.
func New(o Options) *Client {
	if o.Clock == nil {
		o.Clock = transport.SystemClock()
	}
	// A redirect would carry the sign-in to a host that nobody named.
	return &Client{http: &http.Client{Transport: o.HTTP.Transport, CheckRedirect: transport.NoRedirect}, clock: o.Clock, bytesLimit: bytesLimit}
}

// Site is a site collection that was opened, with the site at the address.
type Site struct {
	URL       string // of the site collection as the server names it, which may be on another host than the one asked
	Title     string // of the site
	Build     Build
	LoginName string // of the account, as the server sees it: "i:0#.w|corp\\spadmin"; "" where it does not tell
	SiteAdmin bool   // the account is an administrator of the site collection
	Central   bool   // the site is Central Administration's, which holds none of the farm's content
}

// Open opens the site collection at url.
//
// Errors: *Error, and those of the HTTP client.
//
// Source: learn.microsoft.com/sharepoint/dev/sp-add-ins/complete-basic-operations-using-sharepoint-rest-endpoints.
func (c *Client) Open(ctx context.Context, url string) (Site, error) {
	at, err := address(url)
	if err != nil {
		return Site{}, err
	}
	const op = "site"
	var collection struct{ URL text }
	a, err := c.object(ctx, op, at.JoinPath("_api", "site"), "$select=Url", &collection)
	if err != nil {
		return Site{}, err
	}
	if _, err := address(string(collection.URL)); err != nil {
		return Site{}, a.unreadable(errJSON)
	}
	var web struct{ Title, WebTemplate text }
	if _, err := c.object(ctx, op, at.JoinPath("_api", "web"), "$select=Title,WebTemplate", &web); err != nil {
		return Site{}, err
	}
	var user struct {
		LoginName   text
		IsSiteAdmin bool
	}
	_, err = c.object(ctx, op, at.JoinPath("_api", "web", "currentuser"), "$select=LoginName,IsSiteAdmin", &user)
	// The site is open; who the account is in it is told besides.
	if e := (*Error)(nil); err != nil && !errors.As(err, &e) {
		return Site{}, err
	}
	return Site{
		URL:   collection.URL.Clean(urlLimit),
		Title: web.Title.Clean(255), Build: a.e.Build,
		LoginName: user.LoginName.Clean(300), SiteAdmin: user.IsSiteAdmin, Central: strings.EqualFold(string(web.WebTemplate), centralTemplate),
	}, nil
}

// urlLimit is the longest address in bytes; SharePoint has them up to 400 characters.
const urlLimit = 2000

// address reads the address of a site, without what comes after its path.
func address(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" {
		return nil, fmt.Errorf("%q is no address of a site: it begins with http:// or https://", transport.CleanText(s, 200))
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}, nil
}

// root is the address of the web application that u is in.
func root(u *url.URL) *url.URL { return &url.URL{Scheme: u.Scheme, Host: u.Host, Path: "/"} }

// object gets an object by REST. The verbose form is the one that all versions know:
// SharePoint 2013 has the others from Service Pack 1, and answers XML or 406 before.
//
// Source: SharePoint/sp-dev-docs issues 5045 and 5902.
func (c *Client) object(ctx context.Context, op string, at *url.URL, query string, into any) (answer, error) {
	u := *at
	u.RawQuery = query
	a, err := c.send(ctx, op, http.MethodGet, &u, http.Header{"Accept": {"application/json;odata=verbose"}}, nil)
	if err != nil {
		return a, err
	}
	if err := decode(a.body, into); err != nil {
		return a, a.unreadable(err)
	}
	return a, nil
}

// send asks once and reads the answer, which is returned with an error, too; the HTTP
// client repeats. All that is sent is questions, so POSTs may be repeated.
func (c *Client) send(ctx context.Context, op, method string, at *url.URL, header http.Header, body []byte) (answer, error) {
	ctx = transport.Repeatable(transport.Service(ctx, service))
	req, err := http.NewRequestWithContext(ctx, method, at.String(), bytes.NewReader(body))
	if err != nil {
		return answer{}, fmt.Errorf("%s: %w", op, err)
	}
	req.Header = header
	req.Header.Set("Accept-Language", "en-US") // the words of a refusal are shown beside English ones
	// Where forms or SAML are allowed beside Windows, this asks for Windows instead of a
	// sign-in page (learn.microsoft.com/openspecs/sharepoint_protocols/ms-ofba).
	req.Header.Set("X-FORMS_BASED_AUTH_ACCEPTED", "f")
	res, err := c.http.Do(req)
	var b []byte
	if err == nil {
		defer res.Body.Close()
		if b, err = io.ReadAll(io.LimitReader(res.Body, transport.BodyLimit+1)); len(b) > transport.BodyLimit {
			err = &transport.TooLargeError{Limit: transport.BodyLimit}
		}
	}
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // method and address say nothing to an admin
		}
		return answer{}, fmt.Errorf("%s at %s: %w", op, plain(at), err)
	}
	a := c.answer(op, at, res, b)
	return a, a.failure()
}

// plain is an address without its query, safe to show.
func plain(u *url.URL) string {
	return transport.CleanText((&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String(), urlLimit)
}
