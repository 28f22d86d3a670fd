package sim

import (
	"net"
	"net/url"
	"strings"
)

// What a SharePoint host is for; it follows the tenant's name in the first label.
const (
	hostSites    = ""
	hostAdmin    = "-admin"
	hostPersonal = "-my"
)

// localSharePoint is the domain of SharePoint's hosts where none of the public
// ones is redirected: names beneath "localhost" mean this machine (RFC 6761).
const localSharePoint = "sharepoint.localhost"

// geo is a geography of the tenant: the central location or a satellite, each
// with its own hosts.
//
// Source: learn.microsoft.com/microsoft-365/enterprise/microsoft-365-multi-geo.
type geo struct{ name, code, label string }

// geos are the tenant's geographies, the central one first.
func (w *World) geos() []geo {
	list := []geo{{"", "NAM", w.is.title()}}
	if w.faults.get("multi-geo") != nil {
		list = append(list, geo{"eur", "EUR", w.is.title() + " Europe"}, geo{"apc", "APC", w.is.title() + " Asia Pacific"})
	}
	return list
}

// sharePointHost is one of the tenant's SharePoint hosts, taken apart.
type sharePointHost struct {
	geo    geo
	use    string // hostSites, hostAdmin or hostPersonal
	suffix string // the domain, with the port where it is not 443
	old    bool   // of the name that the tenant had before
}

// sharePointHostOf takes a host name apart; ok is false unless it is the tenant's.
func (w *World) sharePointHostOf(hostport string) (h sharePointHost, ok bool) {
	label, domain, _ := strings.Cut(bareHost(hostport), ".")
	switch s, _, public := serviceOfHost(hostport); {
	case public && s == serviceSharePoint:
		h.suffix = domain
	case domain == localSharePoint:
		_, port, err := net.SplitHostPort(hostport)
		if err != nil || port != w.sharePointPort() {
			return h, false
		}
		h.suffix = domain + ":" + port
	default:
		return h, false
	}
	for _, use := range []string{hostAdmin, hostPersonal} {
		if name, cut := strings.CutSuffix(label, use); cut {
			label, h.use = name, use
		}
	}
	renamed := w.faults.get("tenant-renamed") != nil
	for _, h.geo = range w.geos() {
		switch {
		case label == w.sharePointTenant()+h.geo.name:
			return h, true
		case renamed && label == w.is.label()+h.geo.name:
			h.old = true
			return h, true
		}
	}
	return h, false
}

func (w *World) sharePointTenant() string {
	if w.faults.get("tenant-renamed") != nil {
		return w.is.label() + "group"
	}
	return w.is.label()
}

func (w *World) sharePointPort() string {
	_, port, _ := strings.Cut(strings.TrimPrefix(w.names[serviceSharePoint], "https://"), ":")
	return port
}

// sharePointURL is the base URL of a host of the tenant, as it is called today.
func (w *World) sharePointURL(g geo, use, suffix string) string {
	return "https://" + w.sharePointTenant() + g.name + use + "." + suffix
}

// sharePointSuffix is the domain of SharePoint's hosts as the client of a request
// can reach them: that of its cloud, or the local one.
func (w *World) sharePointSuffix(r *request) string {
	switch {
	case r.site.name != "":
		return r.site.sharepoint
	case w.options.Listen != "" && !isLocalSharePoint(r.Host):
		return sites()[0].sharepoint
	default:
		return localSharePoint + ":" + w.sharePointPort()
	}
}

// ownSuffix is the domain in what the world says of itself; see CloudYAML.
func (w *World) ownSuffix() string {
	if w.options.Listen != "" {
		return sites()[0].sharepoint
	}
	return localSharePoint + ":" + w.sharePointPort()
}

// SharePointSite is the base URL of SharePoint Online's root site, without a
// trailing slash: what an administrator of the tenant would type.
func (w *World) SharePointSite() string {
	return "https://" + w.is.label() + "." + w.ownSuffix()
}

// SharePointAdmin is the base URL of the SharePoint admin centre, without a trailing slash.
func (w *World) SharePointAdmin() string {
	return "https://" + w.is.label() + hostAdmin + "." + w.ownSuffix()
}

// SharePointHosts lists the tenant's host names in the global cloud: what a hosts
// file, which knows no wildcards, has to redirect.
func (w *World) SharePointHosts() []string {
	var names []string
	for _, g := range w.geos() {
		for _, use := range []string{hostSites, hostAdmin, hostPersonal} {
			names = append(names, w.sharePointTenant()+g.name+use+"."+sites()[0].sharepoint)
		}
	}
	return names
}

func isLocalSharePoint(hostport string) bool {
	return strings.HasSuffix(bareHost(hostport), "."+localSharePoint)
}

// isSameHost reports whether an audience is the very host of a request: a token
// for the sites is none for the admin centre.
func isSameHost(audience, hostport string) bool {
	u, err := url.Parse(audience)
	return err == nil && canonicalHost(u.Host) == canonicalHost(hostport)
}

// canonicalHost is a host in lower case, without the port that https means anyway
// or that a redirected public name has.
func canonicalHost(hostport string) string {
	if isLocalSharePoint(hostport) {
		return strings.ToLower(hostport)
	}
	return bareHost(hostport)
}
