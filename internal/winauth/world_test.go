package winauth_test

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/sim/onprem/account"
	"github.com/c2conn/c2conn/internal/sim/onprem/binding"
	"github.com/c2conn/c2conn/internal/sim/onprem/httpauth"
	"github.com/c2conn/c2conn/internal/sim/onprem/kdc"
	"github.com/c2conn/c2conn/internal/winauth"
)

const (
	exchange = "exch01.corp.test"
	webSPN   = "HTTP/exch01.corp.test"
	exadmin  = "exadmin@corp.test"
	password = "Ex4dmin!Pass"
)

// dialTo connects to one address, whatever is asked for.
func dialTo(address string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
}

// world is a simulated domain, and the names by which its servers are reached.
type world struct {
	t         *testing.T
	directory *account.Directory
	kdc       *kdc.Server
	ca        *authority
	cert      tls.Certificate // of exch01

	mu      sync.Mutex
	hosts   map[string]string // host:port to the address it is at
	records map[string][]*net.SRV
	dialled []string
	later   time.Duration // what everybody's clock is ahead
	offset  time.Duration // what the account's is besides
}

func newWorld(t *testing.T) *world {
	t.Helper()
	d, err := account.New(account.Options{Domain: "corp.test", NetBIOS: "CORP", Suffixes: []string{"contoso.example"}, LockoutThreshold: 5, Users: []account.User{
		{SAM: "exadmin", UPN: exadmin, Password: password},
		{SAM: "asmith", UPN: "alice@contoso.example", Password: "Al1ce!Pass"},
		{SAM: "alice", UPN: "another@corp.test", Password: "Not-the-same-1"},
		{SAM: "Administrator", Password: "Adm1n!Pass"},
		{SAM: "old", UPN: "old@corp.test", Password: "0ld!Pass", ETypes: []int32{account.RC4}},
		{SAM: "off", UPN: "off@corp.test", Password: "0ff!Pass", Disabled: true},
		{SAM: "locked", UPN: "locked@corp.test", Password: "L0cked!Pass", Locked: true},
		{SAM: "expired", UPN: "expired@corp.test", Password: "Exp1red!Pass", PasswordExpired: true},
		{SAM: "fresh", UPN: "fresh@corp.test", Password: "Fr3sh!Pass", MustChange: true},
		{SAM: "EXCH01$", Password: "machine secret", SPNs: []string{webSPN, "HTTP/exch01"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, directory: d, ca: newAuthority(t), hosts: map[string]string{}, records: map[string][]*net.SRV{}}
	k, err := kdc.Start(kdc.Options{Directory: d, Now: w.domainTime})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.Close() })
	w.kdc = k
	w.cert = w.ca.sign(t, nil)
	w.hosts["dc1.corp.test:88"] = k.Addr()
	w.srv("_kerberos._tcp.corp.test.", &net.SRV{Target: "dc1.corp.test.", Port: 88, Weight: 100})
	return w
}

func (w *world) srv(name string, records ...*net.SRV) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.records[name] = records
}

// dial reaches the servers of the world by their names; nothing else can be reached.
func (w *world) dial(ctx context.Context, network, address string) (net.Conn, error) {
	w.mu.Lock()
	to, ok := w.hosts[strings.ToLower(address)]
	w.dialled = append(w.dialled, address)
	w.mu.Unlock()
	if !ok {
		return nil, &net.OpError{Op: "dial", Net: network, Err: errNetwork}
	}
	return (&net.Dialer{}).DialContext(ctx, network, to)
}

// resolver asks a DNS server that knows the world's SRV records alone.
func (w *world) resolver() *net.Resolver {
	w.t.Helper()
	pc, err := (&net.ListenConfig{}).ListenPacket(w.t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	ready := make(chan struct{})
	s := &dns.Server{PacketConn: pc, NotifyStartedFunc: func() { close(ready) }, Handler: dns.HandlerFunc(func(rw dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(q)
		w.mu.Lock()
		found := w.records[strings.ToLower(q.Question[0].Name)]
		w.mu.Unlock()
		if found == nil {
			m.Rcode = dns.RcodeNameError
		}
		for _, r := range found {
			m.Answer = append(m.Answer, &dns.SRV{
				Hdr:    dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeSRV, Class: dns.ClassINET, Ttl: 60},
				Target: r.Target, Port: r.Port, Priority: r.Priority, Weight: r.Weight,
			})
		}
		_ = rw.WriteMsg(m)
	})}
	go func() { _ = s.ActivateAndServe() }()
	<-ready
	w.t.Cleanup(func() { _ = s.Shutdown() })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, pc.LocalAddr().String())
	}}
}

// Now and Sleep are the clock of the account: the real one, set off by offset.
func (w *world) Now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.later + w.offset)
}

func (w *world) domainTime() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.later)
}

func (w *world) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

func (w *world) account(name, password string) *winauth.Account {
	return w.accountWith(name, password, nil)
}

func (w *world) accountWith(name, password string, change func(*winauth.AccountOptions)) *winauth.Account {
	w.t.Helper()
	o := winauth.AccountOptions{Name: name, Password: connections.NewSecret(password), Resolver: w.resolver(), Dial: w.dial, Clock: w}
	if change != nil {
		change(&o)
	}
	return winauth.NewAccount(o)
}

func (w *world) client(a *winauth.Account, methods ...winauth.Method) *http.Client {
	w.t.Helper()
	c := a.HTTP(winauth.HTTPOptions{Trust: winauth.NewTrust(winauth.TrustOptions{Roots: w.ca.pool}), Methods: methods})
	w.t.Cleanup(c.CloseIdleConnections)
	return c
}

// web is a web server of the world that tells who signed in.
type web struct {
	*httptest.Server
	mu       sync.Mutex
	requests []string // method, length of the body and scheme of Authorization of each request
	conns    int      // that were opened
}

// undisturbed runs a scenario of one connection again where there were more: net/http
// gives one up when it is told of a write 50 ms after the answer, on a busy machine.
func undisturbed(scenario func() *web) *web {
	const more = 3
	site := scenario()
	for range more {
		if site.opened() > 1 {
			site = scenario()
		}
	}
	return site
}

func (s *web) opened() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns
}

func (s *web) log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.requests, ", ")
}

// web starts a server as exch01.corp.test:443, or :80 without TLS.
func (w *world) web(plain bool, o httpauth.Options) *web {
	w.t.Helper()
	o.Directory = w.directory
	if o.SPNs == nil {
		o.SPNs = []string{webSPN}
	}
	if !plain && o.Certificate == nil {
		o.Certificate = w.cert.Leaf.Raw
	}
	s := &web{}
	site := httpauth.Authenticate(o)(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		id, _ := httpauth.From(r.Context())
		b, _ := io.ReadAll(r.Body)
		if r.URL.Path == "/denied" { // as applications do that have no other answer
			rw.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(rw, id.User.SAM+" "+string(id.Mechanism)+" "+string(b))
	}))
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		s.mu.Lock()
		s.requests = append(s.requests, strings.TrimSpace(r.Method+" "+strconv.FormatInt(r.ContentLength, 10)+" "+scheme))
		s.mu.Unlock()
		site.ServeHTTP(rw, r)
	}))
	s.Config.ConnContext = httpauth.ConnContext
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.mu.Lock()
			s.conns++
			s.mu.Unlock()
		}
	}
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes
	if plain {
		s.Start()
		w.at(exchange+":80", s.Listener.Addr().String())
	} else {
		s.TLS = w.tls()
		s.StartTLS()
		w.at(exchange+":443", s.Listener.Addr().String())
	}
	w.t.Cleanup(s.Close)
	return s
}

func (w *world) tls() *tls.Config { return &tls.Config{Certificates: []tls.Certificate{w.cert}} }

func (w *world) at(host, address string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hosts[host] = address
}

// iis is what IIS offers out of the box.
func iis(mode binding.Mode) httpauth.Options {
	return httpauth.Options{Methods: []httpauth.Method{httpauth.Negotiate, httpauth.NTLM}, ExtendedProtection: mode}
}

// post sends a body and returns the answer's.
func post(t *testing.T, c *http.Client, url, body string) (int, string, error) {
	t.Helper()
	return do(t, c, http.MethodPost, url, body)
}

func do(t *testing.T, c *http.Client, method, url, body string) (int, string, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b), nil
}
