package autodiscover

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/c2conn/c2conn/internal/transport"
)

// redirectLimit is how many redirects are followed: in a row without a sign-in, and in
// the whole search with one. The EWS Managed API stops at this number, too.
const redirectLimit = 10

const autodiscoverPath = "/autodiscover/autodiscover.xml"

// candidate is an address at which an autodiscover service may be.
type candidate struct {
	step  string
	url   *url.URL // https, with a host
	from  string   // who named it: a domain or host
	chain []string // the URLs that led here by redirects, the last one not among them
}

// httpsURL reads a URL that somebody else wrote. Nothing of it is changed.
func httpsURL(s string) (*url.URL, string) {
	if s != transport.CleanText(s, 2000) {
		return nil, "it is no URL"
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "" || u.User != nil || strings.ContainsAny(u.Hostname(), " %_<>\"'"):
		return nil, "it is no URL of a server"
	case !strings.EqualFold(u.Scheme, "https"):
		return nil, "it is not https"
	}
	if p := u.Port(); p != "" {
		if n, err := strconv.Atoi(p); err != nil || n < 1 || n > 65535 {
			return nil, "it is no URL of a server"
		}
	}
	return u, ""
}

// follow makes the candidate of a redirect.
func (c candidate) follow(target string) (candidate, error) {
	shown := transport.CleanText(target, 300)
	ref, err := c.url.Parse(target)
	if err != nil {
		return candidate{}, &RedirectError{To: shown, Why: "it is no URL"}
	}
	u, why := httpsURL(ref.String())
	if why != "" {
		return candidate{}, &RedirectError{To: shown, Why: why}
	}
	chain := append(slices.Clone(c.chain), key(c.url))
	switch {
	case slices.Contains(chain, key(u)):
		return candidate{}, &RedirectError{To: shown, Why: "it leads back to where it came from"}
	case len(chain) > redirectLimit:
		return candidate{}, &RedirectError{To: shown, Why: "there are more than " + strconv.Itoa(redirectLimit) + " in a row"}
	}
	return candidate{step: c.step, url: u, from: c.url.Hostname(), chain: chain}, nil
}

// key tells URLs apart: scheme, host and path in any case, as IIS takes them.
func key(u *url.URL) string {
	host := canonical(u.Hostname())
	if p := u.Port(); p != "" && p != "443" {
		host += ":" + p
	}
	return strings.ToLower(u.Scheme) + "://" + host + strings.ToLower(u.EscapedPath()) + "?" + u.RawQuery
}

// hostPort is the host of a URL, with its port where that is not 443.
func hostPort(u *url.URL) string {
	if p := u.Port(); p != "" && p != "443" {
		return u.Host
	}
	if strings.Contains(u.Hostname(), ":") {
		return "[" + u.Hostname() + "]"
	}
	return u.Hostname()
}

// pox and soap are the addresses of the two services; soap is "" where the URL does
// not have the usual end.
func (c candidate) pox() string { return c.withEnd(".xml") }

func (c candidate) soap() string {
	if s := c.withEnd(".svc"); s != c.url.String() || strings.HasSuffix(strings.ToLower(s), ".svc") {
		return s
	}
	return ""
}

func (c candidate) withEnd(end string) string {
	u := *c.url
	for _, have := range []string{"/autodiscover.xml", "/autodiscover.svc"} {
		if strings.HasSuffix(strings.ToLower(u.Path), have) && u.RawPath == "" {
			u.Path = u.Path[:len(u.Path)-len(end)] + end
			return u.String()
		}
	}
	return u.String()
}
