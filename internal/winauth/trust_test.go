package winauth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/winauth"
)

// authority signs certificates for tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{pool: x509.NewCertPool()}
	c := a.sign(t, func(c *x509.Certificate) {
		c.Subject.CommonName, c.IsCA, c.BasicConstraintsValid, c.KeyUsage = "Corp CA", true, true, x509.KeyUsageCertSign
	})
	a.cert, a.key = c.Leaf, c.PrivateKey.(*ecdsa.PrivateKey)
	a.pool.AddCert(a.cert)
	return a
}

// sign makes a certificate for exch01.corp.test, self-signed while there is no authority.
func (a *authority) sign(t *testing.T, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	c := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "exch01"}, DNSNames: []string{"exch01.corp.test", "autodiscover.corp.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if change != nil {
		change(c)
	}
	parent, signer := c, key
	if a.cert != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// handshake lets a server with this certificate and a client with that
// configuration meet, and returns the client's error.
func handshake(t *testing.T, cert tls.Certificate, client *tls.Config) error {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.(*tls.Conn).HandshakeContext(t.Context())
			_ = c.Close()
		}
	}()
	conn, err := dialTo(l.Addr().String())(t.Context(), "tcp", "")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return tls.Client(conn, client).HandshakeContext(t.Context())
}

func TestTrust(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	good, self := ca.sign(t, nil), (&authority{}).sign(t, nil)
	expired := ca.sign(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	early := ca.sign(t, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) })
	other := ca.sign(t, func(c *x509.Certificate) { c.DNSNames = []string{"mail.corp.test", "owa.corp.test"} })
	nameless := ca.sign(t, func(c *x509.Certificate) { c.DNSNames, c.Subject.CommonName = nil, "exch01.corp.test" })
	foreign := newAuthority(t).sign(t, nil)
	pin := func(c tls.Certificate) string { return winauth.SHA256(c.Leaf) }
	for _, c := range []struct {
		name    string
		cert    tls.Certificate
		pin     string
		reason  []string // of an *UntrustedError or *PinChangedError; nil = trusted
		changed bool
	}{
		{name: "verifies", cert: good},
		{name: "self-signed", cert: self, reason: []string{"self-signed"}},
		{name: "pinned", cert: self, pin: pin(self)},
		{name: "pinned, written as openssl does", cert: self, pin: strings.ToLower(pin(self)[:2]) + ":" + pin(self)[2:]},
		{name: "pinned, expired and for another name", cert: expired, pin: pin(expired)},
		{name: "another than the pinned one, but it verifies", cert: good, pin: pin(self)},
		{name: "another than the pinned one", cert: self, pin: pin(good), reason: []string{"self-signed"}, changed: true},
		{name: "another than the pinned one, of a foreign authority", cert: foreign, pin: pin(self), reason: []string{"issuer CN=Corp CA is not trusted"}, changed: true},
		{name: "expired", cert: expired, reason: []string{"expired on "}},
		{name: "not yet valid", cert: early, reason: []string{"not valid before "}},
		{name: "another name", cert: other, reason: []string{"mail.corp.test, owa.corp.test", "not for exch01.corp.test"}},
		{name: "no names", cert: nameless, reason: []string{"no subject alternative name"}},
		{name: "unknown authority", cert: foreign, reason: []string{"issuer CN=Corp CA is not trusted"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			pins := map[string]string{"other.corp.test:443": pin(self)}
			if c.pin != "" {
				pins["EXCH01.corp.test:443"] = c.pin
			}
			trust := winauth.NewTrust(winauth.TrustOptions{Roots: ca.pool, Pins: pins})
			err := handshake(t, c.cert, trust.TLS("exch01.corp.test"))
			var untrusted *winauth.UntrustedError
			var changed *winauth.PinChangedError
			var reason string
			switch {
			case errors.As(err, &untrusted):
				if reason = untrusted.Reason; untrusted.SHA256 != pin(c.cert) || untrusted.Host != "exch01.corp.test:443" || untrusted.Certificate == nil {
					t.Errorf("%+v", untrusted)
				}
			case errors.As(err, &changed):
				if reason = changed.Reason; changed.Got != pin(c.cert) || changed.Want != c.pin {
					t.Errorf("%+v", changed)
				}
			case err != nil || c.reason != nil:
				t.Fatalf("%v, want %q", err, c.reason)
			}
			if (changed != nil) != c.changed {
				t.Errorf("%T", err)
			}
			for _, want := range c.reason {
				if !strings.Contains(reason, want) {
					t.Errorf("reason %q, want %q in it", reason, want)
				}
			}
		})
	}
}

// A pin is for one port; another service on the host has its own certificate.
func TestPinIsForOnePort(t *testing.T) {
	t.Parallel()
	self := (&authority{}).sign(t, nil)
	trust := winauth.NewTrust(winauth.TrustOptions{Roots: x509.NewCertPool(), Pins: map[string]string{"exch01.corp.test:444": winauth.SHA256(self.Leaf)}})
	if err := handshake(t, self, trust.TLS("exch01.corp.test:444")); err != nil {
		t.Error(err)
	}
	var untrusted *winauth.UntrustedError
	if err := handshake(t, self, trust.TLS("exch01.corp.test:443")); !errors.As(err, &untrusted) {
		t.Error(err)
	}
}

func TestTrustRefusesOldTLS(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	config := winauth.NewTrust(winauth.TrustOptions{Roots: ca.pool}).TLS("exch01.corp.test")
	if config.MinVersion != tls.VersionTLS12 || config.MaxVersion != 0 {
		t.Errorf("TLS from %x to %x", config.MinVersion, config.MaxVersion)
	}
}

func TestLook(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	cert := ca.sign(t, func(c *x509.Certificate) {
		c.DNSNames, c.IPAddresses = []string{"mail.corp.test"}, []net.IP{net.IPv4(10, 0, 0, 10)}
	})
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	sent := make(chan int, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		n, _ := c.Read(make([]byte, 100))
		sent <- n
		c.Close()
	}()
	trust := winauth.NewTrust(winauth.TrustOptions{Roots: ca.pool})
	got, err := trust.Look(t.Context(), dialTo(l.Addr().String()), "exch01.corp.test")
	if err != nil {
		t.Fatal(err)
	}
	if got.Host != "exch01.corp.test:443" || got.Subject != "CN=exch01" || got.Issuer != "CN=Corp CA" || strings.Join(got.Names, " ") != "mail.corp.test 10.0.0.10" ||
		got.SHA256 != winauth.SHA256(cert.Leaf) || got.SelfSigned || got.Trusted || !got.NotAfter.Equal(cert.Leaf.NotAfter) || !strings.Contains(got.Reason, "not for exch01.corp.test") {
		t.Errorf("%+v", got)
	}
	if n := <-sent; n != 0 {
		t.Errorf("%d bytes sent after the handshake", n)
	}
}

func TestChannelBinding(t *testing.T) {
	t.Parallel()
	self := (&authority{}).sign(t, nil)
	sum256 := sha256.Sum256(self.Leaf.Raw)
	sum384, sum512 := sha512.Sum384(self.Leaf.Raw), sha512.Sum512(self.Leaf.Raw)
	for algorithm, want := range map[x509.SignatureAlgorithm][]byte{
		x509.SHA1WithRSA: sum256[:], x509.MD5WithRSA: sum256[:], x509.SHA256WithRSA: sum256[:], x509.ECDSAWithSHA256: sum256[:], x509.SHA256WithRSAPSS: sum256[:],
		x509.SHA384WithRSA: sum384[:], x509.ECDSAWithSHA384: sum384[:], x509.SHA384WithRSAPSS: sum384[:],
		x509.SHA512WithRSA: sum512[:], x509.ECDSAWithSHA512: sum512[:], x509.SHA512WithRSAPSS: sum512[:],
	} {
		c := *self.Leaf
		c.SignatureAlgorithm = algorithm
		if got := winauth.ChannelBinding(&c); string(got) != "tls-server-end-point:"+string(want) {
			t.Errorf("%s: %x", algorithm, got)
		}
	}
}
