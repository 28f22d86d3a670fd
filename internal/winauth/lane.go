package winauth

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"time"

	"github.com/c2conn/c2conn/internal/transport"
)

// Limits of a connection. The time for the first byte of an answer is as in
// internal/transport.
const (
	tlsLimit    = 10 * time.Second
	headerLimit = 100 * time.Second
	idleLimit   = 90 * time.Second
	headerBytes = 512 << 10 // a Kerberos token is a header
	drainLimit  = 256 << 10 // bytes of a refusal's body that are read, so that its connection can be used on
)

// lane is one connection to a server: NTLM and Negotiate sign in a connection, not
// a request (RFC 4559, section 6).
type lane struct {
	site      *site
	transport *http.Transport

	conn   net.Conn // that the last request went over
	signed net.Conn // that is signed in
	// certificate of conn; nil over plain http
	certificate *x509.Certificate
}

// request is a request of the caller with its body.
type request struct {
	*http.Request
	body []byte
}

// lane makes one; it connects when it is used.
func (s *site) lane() *lane {
	o := s.signer.o
	t := &http.Transport{
		DialContext:            o.Dial,
		TLSHandshakeTimeout:    tlsLimit,
		ResponseHeaderTimeout:  headerLimit,
		MaxResponseHeaderBytes: headerBytes,
		MaxConnsPerHost:        1,
		MaxIdleConnsPerHost:    1,
		IdleConnTimeout:        idleLimit,
		TLSNextProto:           map[string]func(string, *tls.Conn) http.RoundTripper{}, // no HTTP/2: it has no connection of its own
	}
	if s.scheme == "https" {
		t.TLSClientConfig = o.Trust.TLS(s.host)
		t.TLSClientConfig.NextProtos = []string{"http/1.1"}
		t.OnProxyConnectResponse = onProxyAnswer
		t.Proxy = o.plainProxy()
	}
	return &lane{site: s, transport: t}
}

// plainProxy refuses proxies that are reached over TLS themselves: what is known of a
// server's certificate must not be mixed up with theirs. nil where there is no proxy.
func (o HTTPOptions) plainProxy() func(*http.Request) (*url.URL, error) {
	if o.Proxy == nil {
		return nil
	}
	return func(r *http.Request) (*url.URL, error) {
		u, err := o.Proxy(r)
		if u != nil && u.Scheme == "https" {
			return nil, fmt.Errorf("the proxy %s is reached over TLS itself: this is not supported for servers on the premises", clean(u.Host))
		}
		return u, err
	}
}

func onProxyAnswer(_ context.Context, proxy *url.URL, _ *http.Request, res *http.Response) error {
	if res.StatusCode == http.StatusOK {
		return nil
	}
	_, reason, _ := strings.Cut(res.Status, " ")
	return &transport.ProxyError{Proxy: proxy.Host, Status: res.StatusCode, Reason: transport.CleanText(reason, 200)}
}

// send sends one request over the lane's connection. authorization is the value of
// the header; "" = none.
func (l *lane) send(r *request, body []byte, authorization string) (*http.Response, error) {
	trace := &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { l.conn = i.Conn }}
	q := r.Clone(httptrace.WithClientTrace(r.Context(), trace))
	q.Header.Del("Authorization")
	if authorization != "" {
		q.Header.Set("Authorization", authorization)
	}
	q.Close = false
	q.Body, q.GetBody, q.ContentLength = http.NoBody, nil, 0
	if len(body) > 0 {
		q.ContentLength = int64(len(body))
		q.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		q.Body, _ = q.GetBody()
	}
	res, err := l.transport.RoundTrip(q)
	if err != nil {
		return nil, err
	}
	l.certificate = nil
	if res.TLS != nil && len(res.TLS.PeerCertificates) > 0 {
		l.certificate = res.TLS.PeerCertificates[0]
	}
	return res, nil
}

// drain reads a refusal to its end.
func drain(res *http.Response) {
	_, _ = io.CopyN(io.Discard, res.Body, drainLimit)
	res.Body.Close()
}

// answer sends a request, signing in when the server wants it.
func (l *lane) answer(r *request) (*http.Response, error) {
	method, each, open := l.site.state()
	signed := l.signed != nil && l.signed == l.conn
	full := signed || open || method == Basic
	body := r.body
	if !full {
		body = nil // a large body is not sent for a refusal
	}
	authorization := ""
	if method == Basic {
		// What another server has said of the password since counts here, too.
		if _, err := l.site.signer.account.state(); err != nil {
			return nil, err
		}
		authorization = l.basic()
	}
	if method == Kerberos && each && l.conn != nil {
		if res, err := l.kerberos(r, &attempt{}); res != nil || err != nil {
			return res, err
		}
	}
	res, err := l.send(r, body, authorization)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusUnauthorized {
		if full || len(r.body) == 0 {
			return res, nil
		}
		// It wants no sign-in, so the request is still to come.
		drain(res)
		l.site.mu.Lock()
		l.site.open = true
		l.site.mu.Unlock()
		if res, err = l.send(r, r.body, ""); err != nil || res.StatusCode != http.StatusUnauthorized {
			return res, err
		}
	}
	if authorization != "" {
		// It was taken before: it is not sent a second time.
		drain(res)
		l.site.forget()
		a := l.site.signer.account
		return nil, &RefusedError{Account: a.o.Name, Server: l.site.host, Method: Basic, Proven: a.Proven(), Status: res.StatusCode}
	}
	if signed && l.signed == l.conn && method == Kerberos {
		l.site.mu.Lock()
		l.site.each = true
		l.site.mu.Unlock()
	}
	return l.signIn(r, res)
}

// context makes a Kerberos context for the server, bound to the TLS connection.
func (l *lane) context(r *request) (*Context, error) {
	return l.site.signer.account.Kerberos(r.Context(), "HTTP/"+l.site.name, KerberosOptions{Certificate: l.certificate})
}

// basic is the value of the header for Basic (RFC 7617).
func (l *lane) basic() string {
	a := l.site.signer.account
	password := a.o.Password.Reveal()
	defer clear(password)
	return "Basic " + base64.StdEncoding.EncodeToString(append([]byte(a.o.Name+":"), password...))
}

var errOtherConnection = errors.New("the server closed the connection in the midst of the sign-in")
