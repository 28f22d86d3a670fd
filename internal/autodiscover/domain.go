package autodiscover

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"

	"github.com/c2conn/c2conn/internal/patience"
	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

// home is the set of domains that a sign-in may go to, and what was answered when
// another one came up.
type home struct {
	mu      sync.Mutex
	domains map[string]bool // names whose hosts, and those beneath the same registrable domain, are at home
	asked   map[string]error
}

func (h *home) add(name string) {
	if name = canonical(name); name == "" || online(name) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.domains[name] = true
}

// has reports whether host belongs to one of the domains: the same registrable domain
// (contoso.com of mail.contoso.com), or beneath a name that has none, as corp.
func (h *home) has(host string) bool {
	host = canonical(host)
	h.mu.Lock()
	defer h.mu.Unlock()
	for d := range h.domains {
		if host == d || registrable(host) == registrable(d) {
			return true
		}
		if _, err := netip.ParseAddr(d); err == nil {
			continue
		}
		// A domain of one label is usual in old forests; a public suffix owns nothing.
		if suffix, icann := publicsuffix.PublicSuffix(d); (suffix != d || !icann) && strings.HasSuffix(host, "."+d) {
			return true
		}
	}
	return false
}

// registrable is the part of a name that somebody registered; the name itself where
// that cannot be said.
func registrable(host string) string {
	if _, err := netip.ParseAddr(host); err == nil {
		return host
	}
	if d, err := publicsuffix.EffectiveTLDPlusOne(host); err == nil {
		return d
	}
	return host
}

func withoutPort(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		return h
	}
	return host
}

func canonical(host string) string {
	return strings.TrimSuffix(strings.ToLower(strings.Trim(host, "[]")), ".")
}

// agree returns nil if a sign-in may go to host: it is at home, or somebody agrees.
// The time for which somebody thinks is not the search's.
func (s *search) agree(ctx context.Context, from, host string) error {
	host = canonical(host)
	if s.home.has(host) {
		return nil
	}
	key := registrable(host)
	s.home.mu.Lock()
	err, asked := s.home.asked[key]
	s.home.mu.Unlock()
	if asked {
		return err
	}
	if s.o.Consent == nil {
		err = &ConsentError{From: from, To: host}
	} else {
		release := patience.Hold(ctx)
		e := s.o.Consent(ctx, from, host)
		release()
		if e != nil {
			err = &ConsentError{From: from, To: host, Err: e}
		}
	}
	s.home.mu.Lock()
	s.home.asked[key] = err
	s.home.mu.Unlock()
	if err == nil {
		s.home.add(host)
	}
	return err
}

// online reports whether a host or mail domain is Microsoft's.
//
// Source: learn.microsoft.com/microsoft-365/enterprise/urls-and-ip-address-ranges and
// its pages for GCC High, DoD and 21Vianet.
func online(host string) bool {
	host = canonical(host)
	for _, d := range []string{
		"outlook.com", "office365.com", "office.com", "office365.us", "outlook.cn", "outlook.de",
		"onmschina.cn", "exchangelabs.com", "webmail.apps.mil",
	} {
		if host == d || strings.HasSuffix(host, "."+d) {
			return true
		}
	}
	return strings.Contains("."+host, ".onmicrosoft.") // .com, .us, .de
}

// split checks an e-mail address and returns it with its domain in the form for DNS.
func split(address string) (clean, domain string, err error) {
	local, domain, ok := strings.Cut(address, "@")
	if !ok || local == "" || len(address) > 320 || strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r == 0x7f }) ||
		strings.ContainsAny(address, "<>\"/\\?#%") {
		return "", "", &AddressError{Address: address}
	}
	domain, e := idna.Lookup.ToASCII(strings.TrimSuffix(domain, "."))
	if e != nil || domain == "" || len(domain) > 253 {
		return "", "", &AddressError{Address: address}
	}
	if _, e := netip.ParseAddr(domain); e == nil {
		return "", "", &AddressError{Address: address}
	}
	return local + "@" + domain, domain, nil
}
