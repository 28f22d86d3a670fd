package directory

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/c2conn/c2conn/internal/transport"
)

// The keywords of Autodiscover's service connection points: addresses, and pointers
// to other forests. Source: learn.microsoft.com/exchange/client-developer/exchange-web-services/
// how-to-find-autodiscover-endpoints-by-using-scp-lookup-in-exchange.
const (
	keywordURL     = "77378F46-2C66-4aa9-A6A6-3E7A48B19596"
	keywordPointer = "67661d7F-8FC4-4fa7-BFAC-E1D7794C1F68"
)

// The priorities of an Endpoint.
const (
	TierOwnSite   = 1 // the server is in the site of this computer
	TierAnySite   = 2 // for all sites, or the site of this computer is unknown
	TierOtherSite = 3
)

// Endpoint is an Autodiscover address of Active Directory.
type Endpoint struct {
	URL    string   // https
	Server string   // name of the service connection point: that of the Exchange server
	Sites  []string // Active Directory sites that it is for
	Tier   int
}

// Pointer is a service connection point that names another forest.
type Pointer struct {
	Address string // LDAP://…
	Err     error  // why it was not followed, or gave nothing; nil = it was followed
}

// Endpoints is the answer to AutodiscoverEndpoints.
type Endpoints struct {
	List     []Endpoint // best first, each address once
	Site     string     // of this computer; "" = unknown
	Pointers []Pointer  // that were looked at
}

// AutodiscoverEndpoints reads the service connection points of Autodiscover for a
// mail domain. A pointer that is for the mail domain is followed, once; one that is
// for all domains only where there is no address. The other forest gets the same
// sign-in if it is the own domain or one that it has a trust with; else the Pointer
// tells that it was not asked.
//
// The site of this computer is the one whose subnet (CN=Subnets,CN=Sites) holds the
// address that the connection to the domain controller goes out from. Behind address
// translation it stays unknown; then all addresses are of one tier.
func (c *Client) AutodiscoverEndpoints(ctx context.Context, mailDomain string) (Endpoints, error) {
	points, err := c.points(ctx)
	if err != nil {
		return Endpoints{}, err
	}
	var out Endpoints
	for _, p := range points {
		if p.pointer && p.scoped(mailDomain) {
			elsewhere, err := c.follow(ctx, p.binding)
			out.Pointers = append(out.Pointers, Pointer{transport.CleanText(p.binding, nameLimit), err})
			if err == nil {
				out.List, out.Site = elsewhere.List, elsewhere.Site
				return out, nil
			}
			if ctx.Err() != nil {
				return Endpoints{}, ctx.Err()
			}
		}
	}
	own, err := c.prioritized(ctx, points)
	if err != nil {
		return Endpoints{}, err
	}
	out.List, out.Site = own.List, own.Site
	for _, p := range points {
		if len(out.List) > 0 {
			break
		}
		if !p.pointer || !p.unscoped() {
			continue
		}
		elsewhere, err := c.follow(ctx, p.binding)
		out.Pointers = append(out.Pointers, Pointer{transport.CleanText(p.binding, nameLimit), err})
		if ctx.Err() != nil {
			return Endpoints{}, ctx.Err()
		}
		if err == nil {
			out.List, out.Site = elsewhere.List, elsewhere.Site
			break // one fallback is followed, not a chain of them
		}
	}
	return out, nil
}

// point is a service connection point.
type point struct {
	name, binding string
	keywords      []string
	pointer       bool
}

func (c *Client) points(ctx context.Context) ([]point, error) {
	entries, err := c.search(ctx, "look for Autodiscover", query{
		base: c.root.ConfigurationNC, scope: ldap.ScopeWholeSubtree, most: 1000, attributes: []string{"name", "keywords", "serviceBindingInformation"},
		filter: "(&(objectClass=serviceConnectionPoint)(|(keywords=" + keywordPointer + ")(keywords=" + keywordURL + ")))",
	})
	var points []point
	for _, e := range entries {
		p := point{name: clean(value(e, "name")), binding: strings.TrimSpace(value(e, "serviceBindingInformation")), keywords: values(e, "keywords")}
		p.pointer = p.has(keywordPointer)
		points = append(points, p)
	}
	return points, err
}

func (p point) has(keyword string) bool {
	return slices.ContainsFunc(p.keywords, func(k string) bool { return strings.EqualFold(strings.TrimSpace(k), keyword) })
}

func (p point) scoped(domain string) bool { return domain != "" && p.has("Domain="+domain) }

func (p point) unscoped() bool { return len(p.after("Domain=")) == 0 }

// after lists what stands behind a prefix in the keywords.
func (p point) after(prefix string) []string {
	var list []string
	for _, k := range p.keywords {
		if k = strings.TrimSpace(k); len(k) > len(prefix) && strings.EqualFold(k[:len(prefix)], prefix) {
			list = append(list, clean(k[len(prefix):]))
		}
	}
	return list
}

func (c *Client) prioritized(ctx context.Context, points []point) (Endpoints, error) {
	var out Endpoints
	for _, p := range points {
		u, ok := httpsURL(p.binding)
		if p.pointer || !ok {
			continue
		}
		out.List = append(out.List, Endpoint{URL: u, Server: p.name, Sites: p.after("Site="), Tier: TierAnySite})
	}
	if len(out.List) == 0 {
		return out, nil
	}
	site, err := c.site(ctx)
	if err != nil {
		return out, err
	}
	out.Site = site
	for i, e := range out.List {
		switch {
		case site == "" || len(e.Sites) == 0:
		case slices.ContainsFunc(e.Sites, func(s string) bool { return strings.EqualFold(s, site) }):
			out.List[i].Tier = TierOwnSite
		default:
			out.List[i].Tier = TierOtherSite
		}
	}
	slices.SortStableFunc(out.List, func(a, b Endpoint) int { return cmp.Compare(a.Tier, b.Tier) })
	seen := map[string]bool{}
	out.List = slices.DeleteFunc(out.List, func(e Endpoint) bool {
		key := strings.ToLower(e.URL)
		again := seen[key]
		seen[key] = true
		return again
	})
	return out, nil
}

// httpsURL takes the address of a service connection point only if it is usable.
func httpsURL(text string) (string, bool) {
	if len(text) > 2048 || transport.CleanText(text, 4096) != text {
		return "", false
	}
	u, err := url.Parse(text)
	if err != nil || !strings.EqualFold(u.Scheme, "https") || u.Hostname() == "" || u.User != nil || u.Opaque != "" {
		return "", false
	}
	return u.String(), true
}

var (
	errPointer   = errors.New("it is no LDAP address of a host")
	errStrange   = errors.New("it is in a domain that this one has no trust with, and gets no credentials")
	errNoAddress = errors.New("it has no address of Autodiscover")
)

// follow asks another forest for its addresses; pointers there are not followed.
func (c *Client) follow(ctx context.Context, binding string) (Endpoints, error) {
	host, port, ok := parsePointer(binding)
	if !ok {
		return Endpoints{}, errPointer
	}
	there := c
	if host != "" {
		domains, err := c.Domains(ctx)
		if err != nil {
			return Endpoints{}, err
		}
		o, ok := c.elsewhere(host, port, domains)
		if !ok {
			return Endpoints{}, errStrange
		}
		if there, err = Open(ctx, o); err != nil {
			return Endpoints{}, err
		}
		defer there.Close()
	}
	points, err := there.points(ctx)
	if err != nil {
		return Endpoints{}, err
	}
	out, err := there.prioritized(ctx, points)
	if err == nil && len(out.List) == 0 {
		err = errNoAddress
	}
	return out, err
}

// elsewhere makes the options for another forest: host is a domain, or a domain
// controller in one.
func (c *Client) elsewhere(host, port string, domains []Domain) (Options, bool) {
	o := c.o
	o.Domain, o.Servers = "", nil
	for _, d := range append(domains, Domain{Name: c.root.Forest}) {
		// A domain that does not take the account has no use for its password.
		if d.Direction == DirectionDisabled || d.Direction == DirectionOutbound && !d.SameForest || d.Name == "" {
			continue
		}
		if host == d.Name {
			o.Domain = d.Name
			if port != "" {
				o.Servers = []string{net.JoinHostPort(host, port)}
			}
			return o, true
		}
		if strings.HasSuffix(host, "."+d.Name) && len(d.Name) > len(o.Domain) {
			o.Domain, o.Servers = d.Name, []string{host}
			if port != "" {
				o.Servers = []string{net.JoinHostPort(host, port)}
			}
		}
	}
	return o, o.Domain != ""
}

// parsePointer reads the LDAP address of a pointer: "LDAP://host", with a port or a
// distinguished name behind it. Without a host it means the own forest.
func parsePointer(text string) (host, port string, ok bool) {
	if len(text) > 2048 || transport.CleanText(text, 4096) != text {
		return "", "", false
	}
	scheme, rest, found := strings.Cut(text, "://")
	if !found || !strings.EqualFold(scheme, "LDAP") && !strings.EqualFold(scheme, "LDAPS") {
		return "", "", false
	}
	// What follows the host is a distinguished name, often not escaped as in a URL.
	authority, _, _ := strings.Cut(rest, "/")
	if strings.Contains(authority, "=") {
		return "", "", true // "LDAP://CN=…": no host
	}
	host = strings.ToLower(authority)
	if h, p, err := net.SplitHostPort(host); err == nil {
		host, port = h, p
		if n := len(p); n == 0 || n > 5 || strings.Trim(p, "0123456789") != "" {
			return "", "", false
		}
	}
	host = strings.TrimSuffix(host, ".")
	if host == "" {
		return "", "", port == ""
	}
	if strings.Trim(host, "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" || len(host) > 253 || strings.Contains(host, "..") || host[0] == '.' {
		return "", "", false
	}
	return host, port, true
}

// site finds the Active Directory site of this computer by its address.
func (c *Client) site(ctx context.Context) (string, error) {
	entries, err := c.search(ctx, "read the subnets", query{
		base: "CN=Subnets,CN=Sites," + c.root.ConfigurationNC, scope: ldap.ScopeSingleLevel, filter: "(objectClass=subnet)", attributes: []string{"name", "siteObject"},
	})
	if missing(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	var here netip.Addr
	err = c.do(ctx, "look at the connection", func(*ldap.Conn) error {
		// What is no IP address has no site either.
		local, _ := netip.ParseAddrPort(c.link.wire.LocalAddr().String())
		here = local.Addr().Unmap()
		return nil
	})
	if err != nil {
		return "", err
	}
	best, site := -1, ""
	for _, e := range entries {
		prefix, err := netip.ParsePrefix(value(e, "name"))
		if err != nil || !prefix.Contains(here) || prefix.Bits() <= best {
			continue
		}
		name, err := ldap.ParseDN(value(e, "siteObject"))
		if err != nil || len(name.RDNs) == 0 {
			continue // a subnet without a site
		}
		best, site = prefix.Bits(), clean(name.RDNs[0].Attributes[0].Value)
	}
	return site, nil
}
