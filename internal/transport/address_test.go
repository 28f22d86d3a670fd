package transport_test

import (
	"net/url"
	"testing"

	"github.com/c2conn/c2conn/internal/transport"
)

func TestHostPort(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"https://Sp.Corp.test/sites/a": "sp.corp.test:443", "http://sp.corp.test.": "sp.corp.test:80", "http://sp.corp.test:443": "sp.corp.test:443",
		"https://[2001:DB8::1]": "[2001:db8::1]:443", "https://10.0.0.1:8443/": "10.0.0.1:8443",
	} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if got := transport.HostPort(u); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}
