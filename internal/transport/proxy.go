package transport

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/http/httpproxy"
)

// Proxies reads the proxy settings (HTTPS_PROXY, HTTP_PROXY, NO_PROXY) from getenv instead of net/http's own
// reading, which looks at the process environment once and keeps it.
func Proxies(getenv func(string) string) (func(*http.Request) (*url.URL, error), error) {
	get := func(names ...string) (string, string) {
		for _, n := range names {
			if v := getenv(n); v != "" {
				return n, v
			}
		}
		return "", ""
	}
	httpName, httpProxy := get("http_proxy", "HTTP_PROXY")
	httpsName, httpsProxy := get("https_proxy", "HTTPS_PROXY")
	_, noProxy := get("no_proxy", "NO_PROXY")
	// httpproxy silently ignores an address that it cannot read; the admin would
	// only see time-outs.
	for name, value := range map[string]string{httpName: httpProxy, httpsName: httpsProxy} {
		if value != "" && !proxyAddress(value) {
			return nil, fmt.Errorf("the address in %s is no proxy address: write it as http://host:port", name)
		}
	}
	cfg := httpproxy.Config{HTTPProxy: httpProxy, HTTPSProxy: httpsProxy, NoProxy: noProxy, CGI: getenv("REQUEST_METHOD") != ""}
	find := cfg.ProxyFunc()
	return func(r *http.Request) (*url.URL, error) { return find(r.URL) }, nil
}

func proxyAddress(s string) bool {
	if !strings.Contains(s, "://") {
		s = "http://" + s
	}
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" {
		return false
	}
	switch u.Scheme {
	case "http", "https", "socks5", "socks5h":
		return true
	}
	return false
}

// onProxyAnswer keeps the status of a refused CONNECT, which net/http reduces to a text.
func onProxyAnswer(_ context.Context, proxy *url.URL, _ *http.Request, res *http.Response) error {
	if res.StatusCode == http.StatusOK {
		return nil
	}
	_, reason, _ := strings.Cut(res.Status, " ")
	return &ProxyError{Proxy: proxy.Host, Status: res.StatusCode, Reason: CleanText(reason, 200)}
}

// ProxyFor tells which proxy (host and port, never its password) requests to rawURL go
// through; "" for none. The error is that of a setting that cannot be read.
func ProxyFor(getenv func(string) string, rawURL string) (string, error) {
	find, err := Proxies(getenv)
	if err != nil {
		return "", err
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		return "", fmt.Errorf("%q is no address", rawURL)
	}
	p, err := find(&http.Request{URL: u})
	if err != nil || p == nil {
		return "", err
	}
	return p.Host, nil
}
