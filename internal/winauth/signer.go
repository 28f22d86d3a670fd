package winauth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/c2conn/c2conn/internal/transport"
)

const lanesPerHost = 4 // connections

// signer is the RoundTripper of Account.HTTP.
type signer struct {
	account *Account
	o       HTTPOptions

	mu    sync.Mutex
	sites map[string]*site // by scheme://host:port
}

// site is a server, and what was learned about it.
type site struct {
	signer *signer
	scheme string
	name   string // host, without port
	host   string // host:port
	slots  chan struct{}

	mu     sync.Mutex
	idle   []*lane // the last used one at the end
	method Method  // that the server took; "" = none yet
	each   bool    // it wants Kerberos with each request, not once for a connection
	open   bool    // it answered without a sign-in
}

func newSigner(a *Account, o HTTPOptions) *signer {
	if o.Trust == nil {
		o.Trust = NewTrust(TrustOptions{Clock: o.Clock})
	}
	if o.Dial == nil {
		o.Dial = a.o.Dial
	}
	return &signer{account: a, o: o, sites: map[string]*site{}}
}

// CloseIdleConnections is called by http.Client's method of the same name.
func (s *signer) CloseIdleConnections() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, site := range s.sites {
		site.mu.Lock()
		for _, l := range site.idle {
			l.transport.CloseIdleConnections()
		}
		site.mu.Unlock()
	}
}

// RoundTrip implements http.RoundTripper.
func (s *signer) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := bodyOf(r)
	if err != nil {
		return nil, err
	}
	if r.URL.Scheme != "https" && r.URL.Scheme != "http" || r.URL.Hostname() == "" {
		return nil, fmt.Errorf("%s is no address of a web server", clean(r.URL.Redacted()))
	}
	site := s.site(r.URL)
	l, err := site.take(r.Context())
	if err != nil {
		return nil, err
	}
	res, err := l.answer(&request{Request: r, body: body})
	if err != nil {
		l.release()
		return nil, err
	}
	res.Request = r
	if res.Body == http.NoBody {
		l.release()
		return res, nil
	}
	// The connection is busy until the answer is read.
	res.Body = &heldBody{ReadCloser: res.Body, release: sync.OnceFunc(l.release)}
	return res, nil
}

// bodyOf reads the body, which may have to be sent more than once.
func bodyOf(r *http.Request) ([]byte, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	defer r.Body.Close()
	var b bytes.Buffer
	n, err := io.Copy(&b, io.LimitReader(r.Body, transport.BodyLimit+1))
	if err != nil {
		return nil, fmt.Errorf("read the request's body: %w", err)
	}
	if n > transport.BodyLimit {
		return nil, &transport.TooLargeError{Limit: transport.BodyLimit}
	}
	return b.Bytes(), nil
}

func (s *signer) site(u *url.URL) *site {
	name, host := strings.ToLower(strings.TrimSuffix(u.Hostname(), ".")), transport.HostPort(u)
	s.mu.Lock()
	defer s.mu.Unlock()
	key := u.Scheme + "://" + host
	found, ok := s.sites[key]
	if !ok {
		found = &site{signer: s, scheme: u.Scheme, name: name, host: host, slots: make(chan struct{}, lanesPerHost)}
		s.sites[key] = found
	}
	return found
}

// take waits for a lane that is free: the one used last, which is most likely
// signed in, or another.
func (s *site) take(ctx context.Context) (*lane, error) {
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.idle); n > 0 {
		l := s.idle[n-1]
		s.idle = s.idle[:n-1]
		return l, nil
	}
	return s.lane(), nil
}

func (l *lane) release() {
	s := l.site
	s.mu.Lock()
	s.idle = append(s.idle, l)
	s.mu.Unlock()
	<-s.slots
}

// allowed reports whether a method may be used with the site.
func (s *site) allowed(m Method) bool {
	o := s.signer.o
	return s.wanted(m) && (s.scheme == "https" || m == Kerberos && o.PlainKerberos || m == NTLM && o.PlainNTLM)
}

// wanted is allowed over TLS.
func (s *site) wanted(m Method) bool {
	return s.signer.o.Methods == nil || slices.Contains(s.signer.o.Methods, m)
}

// provisional reports whether nobody vouches for the server's certificate but that it
// was the first one.
func (s *site) provisional() bool {
	trust := s.signer.o.Trust
	return s.scheme == "https" && trust != nil && trust.Provisional(s.host)
}

// forget drops the method that the server took before.
func (s *site) forget() {
	s.mu.Lock()
	s.method = ""
	s.mu.Unlock()
}

// took notes the method by which the server let the account in.
func (s *site) took(m Method, why []error) {
	s.mu.Lock()
	first := s.method != m
	s.method = m
	s.mu.Unlock()
	if first {
		s.signer.account.note(SignIn{Host: s.host, Method: m, Why: why})
	}
}

func (s *site) state() (m Method, each, open bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.method, s.each, s.open
}

func (a *Account) note(s SignIn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.signIns[s.Host] = s
}

// heldBody gives the connection back when the answer is read or given up.
type heldBody struct {
	io.ReadCloser
	release func()
}

// Read implements io.Reader.
func (b *heldBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		b.release()
	}
	return n, err
}

// Close implements io.Closer.
func (b *heldBody) Close() error {
	err := b.ReadCloser.Close()
	b.release()
	return err
}
