package directory_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/directory"
	"github.com/c2conn/c2conn/internal/sim/onprem/ldapd"
	"github.com/c2conn/c2conn/internal/winauth"
)

// world is a simulated domain controller with a DNS server and its own authority.
type world struct {
	t      *testing.T
	server *ldapd.Server
	tree   *ldapd.Tree
	roots  *x509.CertPool
	ca     *x509.Certificate
	caKey  *ecdsa.PrivateKey

	mu      sync.Mutex
	status  map[string]ldapd.Status // by account, instead of a look at the password
	to      map[string]string       // host:port -> address
	srv     []dns.SRV               // of the domain's controllers
	dialled []string
}

const password = "Ex4dmin!Pass"

func now() time.Time { return time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC) }

type clock struct{}

func (clock) Now() time.Time                                   { return now() }
func (clock) Sleep(ctx context.Context, d time.Duration) error { return ctx.Err() }

// start makes a world; change may alter the domain, options the server.
func start(t *testing.T, change func(*ldapd.Domain), options ...func(*ldapd.Options)) *world {
	t.Helper()
	w := &world{t: t, status: map[string]ldapd.Status{}, to: map[string]string{}, roots: x509.NewCertPool()}
	w.authority()
	d := ldapd.World()
	if change != nil {
		change(&d)
	}
	tree, err := ldapd.Build(d)
	if err != nil {
		t.Fatal(err)
	}
	w.tree = tree
	o := ldapd.Options{
		Tree: tree, Now: func() time.Time { return now().Add(90*time.Second + 700*time.Millisecond) }, Delay: time.Hour,
		Certificate: w.certificate(d.Host, d.Host), NoSAN: w.certificate(d.Host), SignIn: w.signIn,
	}
	for _, f := range options {
		f(&o)
	}
	w.server = ldapd.New(o)
	t.Cleanup(func() {
		if err := w.server.Close(); err != nil {
			t.Error(err)
		}
	})
	w.listen(w.server, d.Host)
	w.srv = []dns.SRV{{Priority: 0, Weight: 100, Port: 389, Target: d.Host + "."}}
	return w
}

// listen serves host:389 and host:636.
func (w *world) listen(s *ldapd.Server, host string) {
	w.t.Helper()
	for port, withTLS := range map[string]bool{"389": false, "636": true} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			w.t.Fatal(err)
		}
		w.point(host+":"+port, l.Addr().String())
		go func() { _ = s.Serve(l, withTLS) }()
	}
}

func (w *world) point(from, to string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.to[from] = to
}

// signIn knows Administrator, exadmin and alice by all their names.
func (w *world) signIn(name, given string) (string, ldapd.Status) {
	sam := map[string]string{
		"exadmin@corp.test": "exadmin", `corp\exadmin`: "exadmin", "administrator@corp.test": "Administrator",
		"alice@contoso.example": "alice",
	}[strings.ToLower(name)]
	w.mu.Lock()
	defer w.mu.Unlock()
	switch status := w.status[sam]; {
	case sam == "":
		return "", ldapd.StatusNoSuchUser
	case status != ldapd.StatusOK:
		return "", status
	case given != password:
		return "", ldapd.StatusWrongPassword
	}
	return `CORP\` + sam, ldapd.StatusOK
}

func (w *world) dial(ctx context.Context, network, address string) (net.Conn, error) {
	w.mu.Lock()
	to, ok := w.to[strings.ToLower(address)]
	w.dialled = append(w.dialled, address)
	w.mu.Unlock()
	if !ok {
		return nil, fmt.Errorf("connect to %s: connection refused", address)
	}
	return (&net.Dialer{}).DialContext(ctx, network, to)
}

// asked lists what was dialled so far.
func (w *world) asked() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.dialled...)
}

// resolver answers SRV records of domain controllers over UDP.
func (w *world) resolver() *net.Resolver {
	w.t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	started := make(chan struct{})
	s := &dns.Server{PacketConn: pc, NotifyStartedFunc: func() { close(started) }, Handler: dns.HandlerFunc(func(rw dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(q)
		if name := strings.ToLower(q.Question[0].Name); q.Question[0].Qtype == dns.TypeSRV && name == "_ldap._tcp.dc._msdcs.corp.test." {
			w.mu.Lock()
			for _, r := range w.srv {
				r.Hdr = dns.RR_Header{Name: name, Rrtype: dns.TypeSRV, Class: dns.ClassINET, Ttl: 60}
				m.Answer = append(m.Answer, &r)
			}
			w.mu.Unlock()
		} else {
			m.Rcode = dns.RcodeNameError
		}
		_ = rw.WriteMsg(m)
	})}
	go func() { _ = s.ActivateAndServe() }()
	<-started
	w.t.Cleanup(func() { _ = s.Shutdown() })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", pc.LocalAddr().String())
	}}
}

// options are those of exadmin for corp.test.
func (w *world) options() directory.Options {
	return directory.Options{
		Domain: "corp.test", Account: account("exadmin@corp.test", password), Trust: w.trust(nil),
		Resolver: w.resolver(), Dial: w.dial, Clock: clock{}, Limit: time.Hour,
	}
}

func account(name, password string) *winauth.Account {
	return winauth.NewAccount(winauth.AccountOptions{Name: name, Password: connections.NewSecret(password), Clock: clock{}})
}

func (w *world) trust(pins map[string]string) *winauth.Trust {
	return winauth.NewTrust(winauth.TrustOptions{Roots: w.roots, Pins: pins, Clock: clock{}})
}

func (w *world) open(change func(*directory.Options)) *directory.Client {
	w.t.Helper()
	o := w.options()
	if change != nil {
		change(&o)
	}
	c, err := directory.Open(w.t.Context(), o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = c.Close() })
	return c
}

func (w *world) authority() {
	w.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "corp.test CA"}, NotBefore: now().AddDate(-1, 0, 0), NotAfter: now().AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		w.t.Fatal(err)
	}
	w.ca, _ = x509.ParseCertificate(raw)
	w.caKey = key
	w.roots.AddCert(w.ca)
}

func (w *world) certificate(subject string, names ...string) *tls.Certificate {
	w.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: subject}, NotBefore: now().AddDate(0, -1, 0), NotAfter: now().AddDate(0, 6, 0),
		DNSNames: names, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, w.ca, key.Public(), w.caKey)
	if err != nil {
		w.t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}
}
