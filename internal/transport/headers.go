package transport

import (
	"fmt"
	"io"
	"net/http"
)

// headers puts on each try what every service wants: who asks, and an id by
// which the support of Microsoft finds the request.
//
// Source: learn.microsoft.com/graph/best-practices-concept, "client-request-id".
type headers struct {
	next      http.RoundTripper
	userAgent string
	rand      io.Reader
}

// RoundTrip implements http.RoundTripper.
func (h *headers) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context()) // a RoundTripper must not change its caller's request
	if h.userAgent != "" && r.Header.Get("User-Agent") == "" {
		r.Header.Set("User-Agent", h.userAgent)
	}
	if r.Header.Get("client-request-id") == "" {
		id, err := newID(h.rand)
		if err != nil {
			return nil, err
		}
		r.Header.Set("client-request-id", id)
	}
	r.Header.Set("return-client-request-id", "true")
	return h.next.RoundTrip(r)
}

// newID makes a random UUID (RFC 9562, version 4).
func newID(rand io.Reader) (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(rand, b[:]); err != nil {
		return "", fmt.Errorf("make a request id: %w", err)
	}
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]), nil
}
