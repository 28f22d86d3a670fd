package sharepointserver

import (
	"context"
	"errors"
	"net/http"

	"github.com/c2conn/c2conn/internal/transport"
)

// Options are what New needs.
type Options struct {
	HTTP  *http.Client // signs in, follows no redirect, repeats what may be repeated
	Clock transport.Clock
}

// Client asks SharePoint servers. It may be used by several goroutines.
type Client struct{ o Options }

// New returns a Client; nothing is sent yet.
func New(o Options) *Client { return &Client{o: o} }

// Build is what a server tells of its version, "16.0.0.10337" or "16.0.10417.20018".
// The zero Build is one that it did not tell.
type Build struct{ Major, Minor, Build, Revision int }

// Site is a site collection that was opened, with its root site.
type Site struct {
	URL       string // as the server names it
	ID        string // of the site collection, GUID
	Title     string // of its root site
	Template  string // of its root site, e.g. "STS" or "CENTRALADMIN"
	Build     Build
	LoginName string // of the account, as the server sees it: "i:0#.w|corp\\spadmin"
	SiteAdmin bool   // the account is an administrator of the site collection
}

// Open opens the site collection at url.
//
// Errors: *Error, and those of the HTTP client.
func (c *Client) Open(ctx context.Context, url string) (Site, error) {
	return Site{}, errors.ErrUnsupported
}

// Way is how site collections were listed.
type Way string

// The ways.
const (
	SiteData Way = "SiteData" // /_vti_bin/SiteData.asmx, GetContent: all of the web application
	Search   Way = "search"   // /_api/search/query: those that are indexed and that the account may see
)

// Collections is a list of site collections.
type Collections struct {
	Way       Way
	URLs      []string // absolute, as the server names them; no personal order
	Databases int      // content databases; SiteData only
	WhyNot    error    // why SiteData did not list them, where search did
	Partial   error    // a content database or page that could not be read, where others were
}

// List lists the site collections of the web application at url: by SiteData, and where
// that does not, by search. listen, which may be nil, hears how many were found so far.
//
// Errors: *ListError, and those of the HTTP client that end every way (a refused
// sign-in, an untrusted certificate, the end of ctx).
func (c *Client) List(ctx context.Context, url string, listen func(found int)) (Collections, error) {
	return Collections{}, errors.ErrUnsupported
}

// Central is an opened Central Administration.
type Central struct {
	URL   string // that answered; its scheme may be another than the one asked for
	Title string
	Build Build
	Other error // why the other scheme, which was asked for, did not do; nil where the first one did
}

// Central opens Central Administration at url, whose port is not a usual one: with the
// scheme given, then with the other one.
//
// Errors: *CentralError.
func (c *Client) Central(ctx context.Context, url string) (Central, error) {
	return Central{}, errors.ErrUnsupported
}
