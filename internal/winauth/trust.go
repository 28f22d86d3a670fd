package winauth

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/c2conn/c2conn/internal/transport"
)

// TrustOptions say which certificates of servers are trusted.
type TrustOptions struct {
	Roots *x509.CertPool    // nil = the system's
	Pins  map[string]string // "exch01.corp.test:443" to the SHA-256 of its certificate, 64 hexadecimal digits
	Clock transport.Clock

	Trusted  []string // SHA-256 of certificates that are trusted whichever host shows them
	FirstUse bool     // a host without a pin may show any certificate; the first one counts
}

// Trust decides which certificate of a server is trusted: one that verifies for its
// name, or the very one that is pinned for host and port. It may be used by several
// goroutines.
type Trust struct {
	roots *x509.CertPool
	pins  map[string]string
	clock transport.Clock

	trusted  map[string]bool
	firstUse bool
	mu       sync.Mutex
	used     map[string]string
	first    map[string]bool // of used: those of a first use
}

// NewTrust makes a Trust.
func NewTrust(o TrustOptions) *Trust {
	if o.Clock == nil {
		o.Clock = transport.SystemClock()
	}
	t := &Trust{roots: o.Roots, pins: make(map[string]string, len(o.Pins)), clock: o.Clock, firstUse: o.FirstUse, trusted: map[string]bool{}, used: map[string]string{}, first: map[string]bool{}}
	for _, sum := range o.Trusted {
		t.trusted[pinDigits(sum)] = true
	}
	for host, pin := range o.Pins {
		t.pins[withPort(host)] = pinDigits(pin)
	}
	return t
}

// UntrustedError is a certificate that neither verifies nor is pinned. The
// connection was not used.
type UntrustedError struct {
	Host        string // host:port
	Certificate *x509.Certificate
	SHA256      string // of the certificate, 64 hexadecimal digits in upper case
	Reason      string // why it does not verify, in words
	Err         error  // of crypto/x509
}

func (e *UntrustedError) Error() string {
	return "the certificate of " + clean(e.Host) + " is not trusted: " + e.Reason
}

// Unwrap returns the error of crypto/x509.
func (e *UntrustedError) Unwrap() error { return e.Err }

// PinChangedError is a server that shows another certificate than the pinned one,
// and one that does not verify either. Somebody renewed it, or somebody else answers.
type PinChangedError struct {
	Host        string // host:port
	Want, Got   string // SHA-256, 64 hexadecimal digits in upper case
	Certificate *x509.Certificate
	Reason      string // why the new one does not verify, in words
	Err         error
}

func (e *PinChangedError) Error() string {
	return fmt.Sprintf("%s shows another certificate than the one that was trusted: SHA-256 %s instead of %s (%s)", clean(e.Host), e.Got, e.Want, e.Reason)
}

// Unwrap returns why the new certificate does not verify.
func (e *PinChangedError) Unwrap() error { return e.Err }

// TLS returns the configuration for connections to host, which is host:port, or
// host alone for port 443. TLS 1.2 is the least. The handshake fails with an
// *UntrustedError or a *PinChangedError unless the certificate is trusted.
func (t *Trust) TLS(host string) *tls.Config {
	host = withPort(host)
	name, _, _ := net.SplitHostPort(host)
	return &tls.Config{
		ServerName: name,
		MinVersion: tls.VersionTLS12,
		// VerifyConnection below does what Go would do, and knows pins besides.
		InsecureSkipVerify: true, //nolint:gosec // see above
		VerifyConnection: func(s tls.ConnectionState) error {
			return t.check(host, name, s.PeerCertificates)
		},
	}
}

func (t *Trust) check(host, name string, chain []*x509.Certificate) error {
	if len(chain) == 0 {
		return errors.New("the server shows no certificate")
	}
	leaf := chain[0]
	err := t.verify(name, chain)
	if err == nil {
		return nil
	}
	got := SHA256(leaf)
	switch want, pinned := t.pins[host]; {
	case pinned && want == got, t.accept(host, got, pinned):
	case !pinned:
		return &UntrustedError{Host: host, Certificate: leaf, SHA256: got, Reason: t.words(name, leaf, err), Err: err}
	default:
		return &PinChangedError{Host: host, Want: want, Got: got, Certificate: leaf, Reason: t.words(name, leaf, err), Err: err}
	}
	return nil
}

func (t *Trust) verify(name string, chain []*x509.Certificate) error {
	o := x509.VerifyOptions{Roots: t.roots, DNSName: name, CurrentTime: t.clock.Now(), Intermediates: x509.NewCertPool()}
	for _, c := range chain[1:] {
		o.Intermediates.AddCert(c)
	}
	_, err := chain[0].Verify(o)
	return err
}

// words says why a certificate does not verify.
func (t *Trust) words(name string, leaf *x509.Certificate, err error) string {
	var why []string
	now := t.clock.Now()
	switch {
	case now.Before(leaf.NotBefore):
		why = append(why, "it is not valid before "+day(leaf.NotBefore))
	case now.After(leaf.NotAfter):
		why = append(why, "it expired on "+day(leaf.NotAfter))
	}
	if leaf.VerifyHostname(name) != nil {
		switch names := namesOf(leaf); {
		case len(names) == 0:
			why = append(why, "it has no names (no subject alternative name), so it is not for "+clean(name))
		default:
			why = append(why, "it is for "+clean(strings.Join(names, ", "))+", not for "+clean(name))
		}
	}
	var unknown x509.UnknownAuthorityError
	if errors.As(err, &unknown) || len(why) == 0 {
		switch {
		case selfSigned(leaf):
			why = append(why, "it is self-signed")
		case errors.As(err, &unknown):
			why = append(why, "its issuer "+clean(leaf.Issuer.String())+" is not trusted on this computer")
		default:
			why = append(why, clean(err.Error()))
		}
	}
	return strings.Join(why, "; ")
}

// Certificate describes what a server shows in a TLS handshake.
type Certificate struct {
	Host       string // host:port
	Subject    string
	Issuer     string
	Names      []string // subject alternative names: DNS names and IP addresses
	NotBefore  time.Time
	NotAfter   time.Time
	SHA256     string // 64 hexadecimal digits in upper case
	SelfSigned bool
	Trusted    bool   // verified, or pinned
	Reason     string // why it does not verify, in words; "" when it does
	Leaf       *x509.Certificate
}

// lookLimit is the time for connecting and the handshake in Look.
const lookLimit = 15 * time.Second

// Look fetches the certificate of hostport by a TLS handshake and sends nothing
// else. Whether it is trusted is in the result, not in the error: that is one of
// dial (nil = net.Dialer's), or of a handshake that does not come to an end.
func (t *Trust) Look(ctx context.Context, dial func(ctx context.Context, network, address string) (net.Conn, error), hostport string) (Certificate, error) {
	host := withPort(hostport)
	name, _, _ := net.SplitHostPort(host)
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	conn, err := dial(ctx, "tcp", host)
	if err != nil {
		return Certificate{}, fmt.Errorf("connect to %s: %w", clean(host), err)
	}
	defer conn.Close()
	c := tls.Client(conn, &tls.Config{
		ServerName:         name,
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, //nolint:gosec // it is looked at, not trusted
	})
	if err := c.HandshakeContext(ctx); err != nil {
		return Certificate{}, fmt.Errorf("TLS handshake with %s: %w", clean(host), err)
	}
	chain := c.ConnectionState().PeerCertificates
	if len(chain) == 0 {
		return Certificate{}, fmt.Errorf("%s shows no certificate", clean(host))
	}
	leaf := chain[0]
	out := Certificate{
		Host: host, Subject: clean(leaf.Subject.String()), Issuer: clean(leaf.Issuer.String()), Names: namesOf(leaf),
		NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter, SHA256: SHA256(leaf), SelfSigned: selfSigned(leaf), Leaf: leaf,
		Trusted: t.check(host, name, chain) == nil,
	}
	if err := t.verify(name, chain); err != nil {
		out.Reason = t.words(name, leaf, err)
	}
	return out, nil
}

// SHA256 is the thumbprint that pins are made of: 64 hexadecimal digits in upper case.
func SHA256(c *x509.Certificate) string {
	h := sha256.Sum256(c.Raw)
	return strings.ToUpper(hex.EncodeToString(h[:]))
}

func pinDigits(s string) string {
	return strings.ToUpper(strings.NewReplacer(":", "", " ", "").Replace(s))
}

// namesLimit is how many names of a certificate are told.
const namesLimit = 50

func namesOf(c *x509.Certificate) []string {
	var names []string
	for _, n := range c.DNSNames {
		names = append(names, clean(n))
	}
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	return names[:min(len(names), namesLimit)]
}

func selfSigned(c *x509.Certificate) bool {
	return string(c.RawSubject) == string(c.RawIssuer) && c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02") }

// withPort returns host:port in lower case, with port 443 where there is none.
func withPort(host string) string {
	host = strings.ToLower(host)
	if h, p, err := net.SplitHostPort(host); err == nil {
		return net.JoinHostPort(strings.TrimSuffix(h, "."), p)
	}
	return net.JoinHostPort(strings.TrimSuffix(strings.Trim(host, "[]"), "."), "443")
}
