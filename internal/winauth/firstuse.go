package winauth

import (
	"errors"
	"maps"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/c2conn/c2conn/internal/transport"
)

// Pinned are the certificates that were accepted though they do not verify: those of
// TrustOptions.Trusted and of a first use, by host:port.
func (t *Trust) Pinned() map[string]string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.used)
}

// accept decides about a certificate that does not verify and is not the pinned one.
func (t *Trust) accept(host, sum string, pinned bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch seen, again := t.used[host]; {
	case pinned:
		return false
	case t.trusted[sum]:
	case !t.firstUse:
		return false
	case again && seen != sum:
		return false // it changed within the run
	default:
		t.first[host] = true
	}
	t.used[host] = sum
	return true
}

// Provisional reports whether a host's certificate counts only because it is the first
// one: nobody vouches for it, so no password goes there as it is.
func (t *Trust) Provisional(host string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.first[withPort(host)]
}

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

// Refusal reports whether err says that a server, or a rule of ours, refused to sign in:
// sending again does not mend it.
func Refusal(err error) bool {
	var (
		wrong     *WrongPasswordError
		locked    *LockedError
		unknown   *UnknownUserError
		refused   *RefusedError
		method    *NoMethodError
		plain     *PlainError
		ticket    *TicketError
		skew      *ClockSkewError
		untrusted *UntrustedError
		changed   *PinChangedError
		protocol  *ProtocolError
		kerberos  *KerberosError
		unsure    *UnsureError
		spn       *UnknownSPNError
		dismissed *TicketRefusedError
		address   *AddressError
		kdc       *NoKDCError
	)
	for _, target := range []any{&wrong, &locked, &unknown, &refused, &method, &plain, &ticket, &skew, &untrusted, &changed, &protocol, &kerberos, &unsure, &spn, &dismissed, &address, &kdc} {
		if errors.As(err, target) {
			return true
		}
	}
	return false
}
