package winauth

import (
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/c2conn/c2conn/internal/transport"
)

// Client returns a client that signs in nowhere, trusts as t does, and follows no
// redirect. Methods of the options have no meaning here.
func (t *Trust) Client(o HTTPOptions) *http.Client {
	if o.Dial == nil {
		o.Dial = (&net.Dialer{Timeout: dialLimit}).DialContext
	}
	return &http.Client{Transport: &anonymous{trust: t, o: o, hosts: map[string]*http.Transport{}}, CheckRedirect: transport.NoRedirect}
}

// anonymous has a transport for each host, because what is trusted depends on it.
type anonymous struct {
	trust *Trust
	o     HTTPOptions
	mu    sync.Mutex
	hosts map[string]*http.Transport
}

// RoundTrip implements http.RoundTripper.
func (a *anonymous) RoundTrip(r *http.Request) (*http.Response, error) {
	return a.transport(r.URL.Scheme, r.URL.Host).RoundTrip(r)
}

func (a *anonymous) transport(scheme, host string) *http.Transport {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := scheme + " " + host
	if t := a.hosts[key]; t != nil {
		return t
	}
	t := &http.Transport{
		Proxy: a.o.plainProxy(), OnProxyConnectResponse: onProxyAnswer, DialContext: a.o.Dial, TLSClientConfig: a.trust.TLS(host), TLSHandshakeTimeout: dialLimit,
		IdleConnTimeout: anonymousIdle, ResponseHeaderTimeout: time.Minute,
		MaxIdleConnsPerHost: 2, MaxResponseHeaderBytes: 256 << 10, DisableCompression: true,
	}
	a.hosts[key] = t
	return t
}

// anonymousIdle is how long a connection without a sign-in is kept for the next question.
const anonymousIdle = 15 * time.Second

// CloseIdleConnections is what http.Client.CloseIdleConnections looks for.
func (a *anonymous) CloseIdleConnections() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, t := range a.hosts {
		t.CloseIdleConnections()
	}
}
