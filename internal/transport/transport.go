package transport

import (
	"crypto/rand"
	"crypto/tls"
	"io"
	"net/http"
	"net/url"
	"time"
)

// Limits of every request.
const (
	dialLimit   = 10 * time.Second
	tlsLimit    = 10 * time.Second
	headerLimit = 100 * time.Second // until the first byte of an answer
	headerBytes = 256 << 10
	// BodyLimit is the size in bytes of the largest answer that is read.
	BodyLimit = 16 << 20
)

// Options are what New needs from outside. Everything may be left out.
type Options struct {
	Getenv    func(string) string // HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE; nil means an empty environment
	ExtraCA   []byte              // PEM of authorities trusted besides the system's
	UserAgent string              // e.g. "c2conn/1.0"
	Clock     Clock               // nil means SystemClock
	Rand      io.Reader           // request ids and jitter; nil means crypto/rand
	Base      http.RoundTripper   // replaces the network; for tests
	Limit     time.Duration       // for one answer, to its last byte, without what is waited for another try; 0 = none
}

// New returns the client that all services share. It follows no redirect: a
// redirected request would carry its Authorization header to a host nobody
// chose, so the 3xx answer itself is returned. Every failure is an *Error.
func New(o Options) (*http.Client, error) {
	if o.Getenv == nil {
		o.Getenv = func(string) string { return "" }
	}
	if o.Clock == nil {
		o.Clock = SystemClock()
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	base := o.Base
	proxy := func(*http.Request) (*url.URL, error) { return nil, nil }
	if base == nil {
		t, err := network(o)
		if err != nil {
			return nil, err
		}
		base, proxy = t, t.Proxy
	}
	return &http.Client{
		Transport: &retry{
			next:  &headers{next: &slotted{next: newGate(base)}, userAgent: o.UserAgent, rand: o.Rand},
			base:  base,
			clock: o.Clock,
			rand:  o.Rand,
			proxy: proxy,
			limit: o.Limit,
		},
		CheckRedirect: NoRedirect,
	}, nil
}

// NoRedirect is the redirect policy of c2conn's clients: none is followed.
func NoRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func network(o Options) (*http.Transport, error) {
	pool, err := authorities(o.Getenv, o.ExtraCA)
	if err != nil {
		return nil, err
	}
	proxy, err := Proxies(o.Getenv)
	if err != nil {
		return nil, err
	}
	reach, err := NewReach(o.Getenv)
	if err != nil {
		return nil, err
	}
	return &http.Transport{
		Proxy:                  proxy,
		OnProxyConnectResponse: onProxyAnswer,
		DialContext:            reach.Dial,
		TLSClientConfig:        &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    tlsLimit,
		ResponseHeaderTimeout:  headerLimit,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: headerBytes,
		MaxIdleConnsPerHost:    8,
		IdleConnTimeout:        90 * time.Second,
		ForceAttemptHTTP2:      true,
		// A connection that a firewall forgot is found by a ping, not by the next time-out.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 10 * time.Second},
	}, nil
}
