package cloud

import (
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
	return c.SharePointHost(rawURL)
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
