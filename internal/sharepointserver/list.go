package sharepointserver

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/c2conn/c2conn/internal/transport"
	"github.com/c2conn/c2conn/internal/winauth"
)

// Way is how site collections were listed.
type Way string

// The ways.
const (
	SiteData Way = "SiteData" // /_vti_bin/SiteData.asmx, GetContent: all of the web application
	Search   Way = "search"   // /_api/search/query: those of the farm that are indexed and that the account may see
)

// Collections is a list of site collections.
type Collections struct {
	Way       Way
	URLs      []string // absolute, as the server names them, each once; no personal order
	Databases int      // content databases; SiteData only
	WhyNot    error    // why SiteData did not list them, where search did
	Partial   error    // what is missing: a content database or page that could not be read, *FullError, *UnusableError
}

const (
	// collectionsLimit is the most that are listed: what 100 full content databases hold
	// (learn.microsoft.com/sharepoint/install/software-boundaries-limits-2019).
	collectionsLimit = 1_000_000
	// bytesLimit is the most that their addresses take: 100 bytes each.
	bytesLimit = 100_000_000
)

// List lists the site collections of the web application that site is in: by SiteData,
// and where that does not, by search, which may find none. listen, which may be nil,
// hears how many were found so far.
//
// Errors: *ListError, and those of the HTTP client that end every way (a refused
// sign-in, an untrusted certificate, a server that cannot be reached, the end of ctx).
func (c *Client) List(ctx context.Context, site string, listen func(found int)) (Collections, error) {
	at, err := address(site)
	if err != nil {
		return Collections{}, err
	}
	if listen == nil {
		listen = func(int) {}
	}
	l := lister{client: c, base: at, listen: listen}
	// Every web application has SiteData at its root; whether also one without a site
	// collection there is unsure, so the address itself comes next.
	whyNot := either(ctx, root(at), at, l.siteData)
	if whyNot == nil {
		return l.collections(), nil
	}
	if ends(ctx, whyNot) {
		return Collections{}, whyNot
	}
	if err := either(ctx, at, root(at), l.search); err != nil {
		if ends(ctx, err) {
			return Collections{}, err
		}
		return Collections{}, &ListError{SiteData: whyNot, Search: err}
	}
	l.found.WhyNot = whyNot
	return l.collections(), nil
}

// either asks at one address, and at the other where the first has no such service.
func either(ctx context.Context, one, other *url.URL, ask func(context.Context, *url.URL) error) error {
	first := ask(ctx, one)
	var e *Error
	if !errors.As(first, &e) || e.Reason != NotThere || strings.Trim(one.Path, "/") == strings.Trim(other.Path, "/") {
		return first
	}
	err := ask(ctx, other)
	if errors.As(err, &e) && e.Reason == NotThere {
		return first
	}
	return err
}

// ends reports whether every other way would fail alike.
func ends(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		return true
	}
	// One service of a server may refuse an account that it lets in elsewhere; the
	// password is right then, and no sign-in is counted as failed.
	var refused *winauth.RefusedError
	if errors.As(err, &refused) {
		return false
	}
	switch transport.KindOf(err) {
	case transport.KindDNS, transport.KindRefused, transport.KindUnreachable, transport.KindProxy,
		transport.KindAuthority, transport.KindExpired, transport.KindHostName, transport.KindTLS, transport.KindCanceled:
		return true
	}
	return winauth.Refusal(err)
}

// lister gathers site collections. Each way of it begins anew.
type lister struct {
	client *Client
	base   *url.URL
	listen func(found int)
	found  Collections
	seen   map[string]bool

	bytes    int // of the addresses found
	unusable int
}

func (l *lister) begin(way Way) {
	l.found, l.seen, l.bytes, l.unusable = Collections{Way: way}, map[string]bool{}, 0, 0
}

// collections is what was found, and what of it is missing.
func (l *lister) collections() Collections {
	if l.unusable > 0 {
		left := &UnusableError{Count: l.unusable}
		if l.found.Partial == nil {
			l.found.Partial = left
		} else {
			l.found.Partial = fmt.Errorf("%w; besides, %s", l.found.Partial, left.Error())
		}
	}
	return l.found
}

// add takes addresses and returns how many of them were new ones. What it leaves out
// cannot be shown as it is, or is no address of a web site.
//
// Errors: *FullError.
func (l *lister) add(addresses []string) (added int, err error) {
	for _, s := range addresses {
		s = strings.TrimSpace(s)
		u, err := l.base.Parse(s)
		if err != nil || s == "" || len(s) > urlLimit || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || s != transport.CleanText(s, urlLimit) {
			l.unusable++
			continue
		}
		u.User, u.RawQuery, u.Fragment = nil, "", ""
		name := u.String()
		key := strings.ToLower(strings.TrimRight(name, "/")) // SharePoint's addresses have no case
		if l.seen[key] {
			continue
		}
		if len(l.found.URLs) == collectionsLimit || l.bytes+len(name) > l.client.bytesLimit {
			l.listen(len(l.found.URLs))
			return added, &FullError{Kept: len(l.found.URLs)}
		}
		l.bytes += len(name)
		l.seen[key] = true
		l.found.URLs = append(l.found.URLs, name)
		added++
	}
	l.listen(len(l.found.URLs))
	return added, nil
}
