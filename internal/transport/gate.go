package transport

import (
	"crypto/tls"
	"net/http"
	"net/http/httptrace"
	"sync"
)

// gate lets one request at a time look for a connection to a host. Without it,
// requests that start together each dial their own TLS connection, and all but
// one are thrown away once HTTP/2 turns out to be spoken.
type gate struct {
	next http.RoundTripper

	mu    sync.Mutex
	hosts map[string]*door
}

type door struct {
	busy chan struct{} // closed when the leader has its connection or failed; nil when nobody looks
	h1   bool          // the host speaks HTTP/1.1, where connections cannot be shared
}

func newGate(next http.RoundTripper) *gate {
	return &gate{next: next, hosts: map[string]*door{}}
}

// RoundTrip implements http.RoundTripper.
func (g *gate) RoundTrip(r *http.Request) (*http.Response, error) {
	key := r.URL.Scheme + "://" + r.URL.Host
	g.mu.Lock()
	d := g.hosts[key]
	if d == nil {
		d = &door{}
		g.hosts[key] = d
	}
	if d.h1 {
		g.mu.Unlock()
		return g.next.RoundTrip(r)
	}
	if wait := d.busy; wait != nil {
		g.mu.Unlock()
		select {
		case <-wait:
			// Whatever the leader met, those who waited go on together: a dead
			// host must cost them one dial time-out, not one each in a row.
			return g.next.RoundTrip(r)
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	mine := make(chan struct{})
	d.busy = mine
	g.mu.Unlock()

	var once sync.Once
	open := func(h1 bool) {
		once.Do(func() {
			g.mu.Lock()
			d.busy = nil
			d.h1 = h1
			g.mu.Unlock()
			close(mine)
		})
	}
	defer open(false) // no connection came
	trace := &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) {
		t, ok := i.Conn.(*tls.Conn)
		open(!ok || t.ConnectionState().NegotiatedProtocol != "h2")
	}}
	return g.next.RoundTrip(r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
}
