package cloud

import (
	"fmt"
	"net"
	"net/url"
	"strings"
)

// Allows tells whether a token of this cloud may travel to rawURL: https, no
// user name in it, and one of the cloud's own hosts or a tenant's SharePoint
// host. What cannot be understood is not allowed.
func (c Cloud) Allows(rawURL string) bool {
	host := hostOf(rawURL)
	if host == "" {
		return false
	}
	for _, base := range []string{c.Login, c.Graph, c.Outlook} {
		if host == hostOf(base) {
			return true
		}
	}
	if c.SharePointSuffix == "" {
		return false
	}
	suffix := c.SharePointSuffix
	if _, _, err := net.SplitHostPort(suffix); err != nil {
		suffix += ":443"
	}
	// One label only: contoso.sharepoint.com and contoso-admin.sharepoint.com,
	// nothing deeper that another party could own.
	tenant, ok := strings.CutSuffix(host, "."+suffix)
	return ok && label(tenant)
}

// hostOf gives host:port of an https URL in lower case, or nothing.
func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "https" || u.User != nil || u.Opaque != "" {
		return ""
	}
	host, port := strings.ToLower(u.Hostname()), u.Port()
	if !hostname(host) {
		return ""
	}
	if port == "" {
		// "https://host:" is a URL with an empty port; it means 443 too.
		port = "443"
	}
	return net.JoinHostPort(host, port)
}

// initialDomains are the endings of the domain every tenant starts with. Only
// the initial domain tells the SharePoint host; a company's own domain does not.
var initialDomains = [...]string{".onmicrosoft.com", ".onmicrosoft.us", ".partner.onmschina.cn", ".onmschina.cn"}

// SharePoint is the base URL of a tenant's SharePoint sites. tenant is the
// initial domain (contoso.onmicrosoft.com) or its first part (contoso).
// A tenant whose SharePoint domain was renamed must be asked for its address.
func (c Cloud) SharePoint(tenant string) (string, error) { return c.sharePoint(tenant, "") }

// SharePointAdmin is the base URL of a tenant's SharePoint admin centre.
func (c Cloud) SharePointAdmin(tenant string) (string, error) { return c.sharePoint(tenant, "-admin") }

func (c Cloud) sharePoint(tenant, ending string) (string, error) {
	if c.SharePointSuffix == "" {
		return "", fmt.Errorf("the definition of the cloud %q has no sharepoint_suffix: add it, or give the address of the site in full", c.Name)
	}
	name := strings.ToLower(strings.TrimSpace(tenant))
	for _, suffix := range initialDomains {
		if first, ok := strings.CutSuffix(name, suffix); ok {
			name = first
			break
		}
	}
	if !label(name) || !label(name+ending) {
		return "", fmt.Errorf("%q does not tell the SharePoint address: give the initial domain of the tenant (such as contoso.onmicrosoft.com), or the address of the site in full", tenant)
	}
	return "https://" + name + ending + "." + c.SharePointSuffix, nil
}

// label tells whether s is one part of a host name (RFC 1123).
func label(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' {
			return false
		}
	}
	return true
}

// hostname tells whether s is a lower-case host name or an IP address.
func hostname(s string) bool {
	if net.ParseIP(s) != nil {
		return true
	}
	if s == "" || len(s) > 253 {
		return false
	}
	for part := range strings.SplitSeq(s, ".") {
		if !label(part) {
			return false
		}
	}
	return true
}
