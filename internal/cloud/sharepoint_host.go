package cloud

import (
	"fmt"
	"slices"
	"strings"
)

// initialDomain is an ending of the domain that every tenant starts with. Only the
// initial domain tells the SharePoint host; a company's own domain does not.
type initialDomain struct {
	ending string
	clouds []string
}

func initialDomains() []initialDomain {
	return []initialDomain{
		{".onmicrosoft.com", []string{Global}},
		{".onmicrosoft.us", []string{USGov, DoD}},
		{".partner.onmschina.cn", []string{China}},
		{".onmschina.cn", []string{China}},
	}
}

// initialDomain is the ending of the initial domains in this cloud.
func (c Cloud) initialDomain() string {
	for _, d := range initialDomains() {
		if slices.Contains(d.clouds, c.Name) {
			return d.ending
		}
	}
	return initialDomains()[0].ending
}

// nameInHost gives the tenant's name in an initial domain, or the first label of a
// SharePoint host of this cloud, and else says what the host is instead. host is in
// lower case; suffix is that of the cloud without its port.
func (c Cloud) nameInHost(host, suffix string) (string, *SharePointError) {
	for _, d := range initialDomains() {
		name, ok := strings.CutSuffix(host, d.ending)
		switch {
		case !ok:
		case c.BuiltIn && !slices.Contains(d.clouds, c.Name):
			return "", c.elsewhere(host, d.clouds)
		case strings.Contains(name, "."):
			return "", &SharePointError{Reason: fmt.Sprintf("%s is not the initial domain of a tenant", shorten(host)), Hint: "type one like contoso" + d.ending}
		default:
			return name, nil
		}
	}
	if name, ok := strings.CutSuffix(host, "."+suffix); ok && !strings.Contains(name, ".") {
		return name, nil
	} else if ok {
		return "", &SharePointError{
			Reason: fmt.Sprintf("there is one name too many before .%s", suffix),
			Hint:   "type an address like " + c.sharePointURL("contoso"),
		}
	}
	if host == suffix {
		return "", &SharePointError{Reason: host + " names no tenant", Hint: "type an address like " + c.sharePointURL("contoso")}
	}
	return "", c.foreign(host, suffix)
}

// foreign says what a host is that is not SharePoint Online in this cloud.
func (c Cloud) foreign(host, suffix string) *SharePointError {
	under := func(domain string) bool { return host == domain || strings.HasSuffix(host, "."+domain) }
	if under("sharepoint.de") || under("onmicrosoft.de") {
		return &SharePointError{
			Reason: shorten(host) + " was in Microsoft Cloud Deutschland, which was retired on 2021-10-29",
			Hint:   "type the address that the tenant has in the worldwide cloud today, like https://contoso.sharepoint.com",
		}
	}
	for _, other := range builtIn() {
		if under(other.SharePointSuffix) {
			return c.elsewhere(host, []string{other.Name})
		}
	}
	if strings.Contains(host+".", suffix+".") {
		return &SharePointError{
			Reason: fmt.Sprintf("%s only looks like SharePoint Online, as it does not end in .%s", shorten(host), suffix),
			Hint:   "type an address like " + c.sharePointURL("contoso"),
		}
	}
	if ownServer(host) {
		return &SharePointError{
			Reason: fmt.Sprintf("%s looks like a server of your own, and this is SharePoint Online, whose addresses end in .%s", shorten(host), suffix),
			Hint:   "for a SharePoint Server choose on-premises",
		}
	}
	return &SharePointError{
		Reason: fmt.Sprintf("SharePoint Online has no addresses in a company's own domain such as %s; all end in .%s", shorten(host), suffix),
		Hint:   fmt.Sprintf("type the name that stands before %s in the tenant's initial domain", c.initialDomain()),
	}
}

// elsewhere says that a host belongs to other clouds.
func (c Cloud) elsewhere(host string, clouds []string) *SharePointError {
	names := strings.Join(clouds, " or ")
	return &SharePointError{
		Reason: fmt.Sprintf("%s belongs to the cloud %s, and this connection is for the cloud %s", shorten(host), names, c.Name),
		Hint:   fmt.Sprintf("choose the cloud %s, or type the address that the tenant has in %s", names, c.Name),
		Cloud:  clouds[0],
	}
}

// ownServer tells whether a host looks like one of a company's own network: its
// ending is none of the Internet's (RFC 6762 appendix G), or it is called after the
// product.
func ownServer(host string) bool {
	first, _, _ := strings.Cut(host, ".")
	last := host[strings.LastIndexByte(host, '.')+1:]
	switch last {
	case host, "local", "localdomain", "lan", "corp", "internal", "intranet", "home", "private", "ad", "test", "localhost":
		return true
	}
	return strings.HasPrefix(first, "sharepoint") || first == "sp" || first == "intranet" || first == "portal"
}
