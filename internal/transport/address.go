package transport

import (
	"cmp"
	"net"
	"net/url"
	"strings"
)

// UsualPort is the port of addresses with this scheme, http or https, that name none.
func UsualPort(scheme string) string {
	if scheme == "http" {
		return "80"
	}
	return "443"
}

// HostPort is host and port of an address, also where the scheme alone tells the port: in
// lower case, and without a dot behind the name.
func HostPort(u *url.URL) string {
	return net.JoinHostPort(strings.ToLower(strings.TrimSuffix(u.Hostname(), ".")), cmp.Or(u.Port(), UsualPort(u.Scheme)))
}
