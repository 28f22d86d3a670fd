package ldapd_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/c2conn/c2conn/internal/sim/onprem/ldapd"
)

const secret = "Ex4dmin!Pass"

// domain is a running server and where it listens.
type domain struct {
	t           *testing.T
	server      *ldapd.Server
	tree        *ldapd.Tree
	plain, tls  string
	certificate *tls.Certificate
}

func start(t *testing.T, change func(*ldapd.Domain), options ...func(*ldapd.Options)) *domain {
	t.Helper()
	described := ldapd.World()
	if change != nil {
		change(&described)
	}
	tree, err := ldapd.Build(described)
	if err != nil {
		t.Fatal(err)
	}
	d := &domain{t: t, tree: tree, certificate: selfSigned(t)}
	o := ldapd.Options{
		Tree: tree, Certificate: d.certificate, Now: func() time.Time { return time.Date(2026, 11, 29, 13, 0, 0, 987654321, time.UTC) },
		SignIn: func(name, password string) (string, ldapd.Status) {
			switch {
			case strings.EqualFold(name, "locked@corp.test"):
				return "", ldapd.StatusLockedOut
			case !strings.EqualFold(name, "exadmin@corp.test"):
				return "", ldapd.StatusNoSuchUser
			case password != secret:
				return "", ldapd.StatusWrongPassword
			}
			return `CORP\exadmin`, ldapd.StatusOK
		},
	}
	for _, f := range options {
		f(&o)
	}
	d.server = ldapd.New(o)
	d.plain, d.tls = d.listen(false), d.listen(true)
	t.Cleanup(func() {
		if err := d.server.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func (d *domain) listen(withTLS bool) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		d.t.Fatal(err)
	}
	go func() { _ = d.server.Serve(l, withTLS) }()
	return l.Addr().String()
}

func selfSigned(t *testing.T) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "dc1"}, NotAfter: time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC), DNSNames: []string{"dc1.corp.test"}}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}
}

// client is an LDAP client that nobody here wrote.
func (d *domain) client(withTLS bool) *ldap.Conn {
	d.t.Helper()
	address := "ldap://" + d.plain
	if withTLS {
		address = "ldaps://" + d.tls
	}
	c, err := ldap.DialURL(address, ldap.DialWithTLSConfig(&tls.Config{InsecureSkipVerify: true}))
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = c.Close() })
	return c
}

func (d *domain) signedIn() *ldap.Conn {
	d.t.Helper()
	c := d.client(true)
	if err := c.Bind("exadmin@corp.test", secret); err != nil {
		d.t.Fatal(err)
	}
	return c
}

func search(base string, scope int, filter string, attributes ...string) *ldap.SearchRequest {
	return ldap.NewSearchRequest(base, scope, ldap.NeverDerefAliases, 0, 0, false, filter, attributes, nil)
}

// refused checks the result code and a part of the diagnostic text.
func refused(t *testing.T, what string, err error, code uint16, text string) {
	t.Helper()
	var e *ldap.Error
	if !errors.As(err, &e) || e.ResultCode != code || !strings.Contains(e.Err.Error(), text) {
		t.Errorf("%s: the error is %v, want result %d with %q", what, err, code, text)
	}
}

func TestBinds(t *testing.T) {
	t.Parallel()
	d := start(t, nil)
	plain, secure := d.client(false), d.client(true)
	refused(t, "without TLS", plain.Bind("exadmin@corp.test", secret), 8, "00002028")
	refused(t, "wrong password", secure.Bind("exadmin@corp.test", "x"), 49, "80090308: LdapErr: DSID-0C090446, comment: AcceptSecurityContext error, data 52e, v4563")
	refused(t, "unknown", secure.Bind("nobody@corp.test", "x"), 49, "data 525,")
	refused(t, "locked", secure.Bind("locked@corp.test", secret), 49, "data 775,")
	if err := secure.UnauthenticatedBind("exadmin@corp.test"); err != nil {
		t.Errorf("a name without a password is anonymous: %v", err)
	}
	if who, err := secure.WhoAmI(nil); err != nil || who.AuthzID != "" {
		t.Errorf("anonymous is %v, %v", who, err)
	}
	if err := secure.Bind("exadmin@corp.test", secret); err != nil {
		t.Fatal(err)
	}
	if who, err := secure.WhoAmI(nil); err != nil || who.AuthzID != `u:CORP\exadmin` {
		t.Errorf("the user is %v, %v", who, err)
	}
	// A refused bind takes away what was there before.
	refused(t, "again", secure.Bind("exadmin@corp.test", "x"), 49, "52e")
	_, err := secure.Search(search("DC=corp,DC=test", 0, "(objectClass=*)"))
	refused(t, "after a refused bind", err, 1, "a successful bind must be completed")
	refused(t, "SASL", secure.ExternalBind(), 7, "Invalid Authentication method")
	if checked, failed := d.server.SignIns(); checked != 5 || failed != 4 {
		t.Errorf("%d sign-ins, %d failed", checked, failed)
	}
}

func TestStartTLS(t *testing.T) {
	t.Parallel()
	d := start(t, nil)
	c := d.client(false)
	if err := c.StartTLS(&tls.Config{InsecureSkipVerify: true}); err != nil {
		t.Fatal(err)
	}
	if err := c.Bind("exadmin@corp.test", secret); err != nil {
		t.Error(err)
	}
	_, err := d.signedIn().Extended(ldap.NewExtendedRequest("1.3.6.1.4.1.1466.20037", nil))
	refused(t, "over LDAPS", err, 1, "already in effect")
	_, err = c.Extended(ldap.NewExtendedRequest("1.2.3.4", nil))
	refused(t, "unknown operation", err, 2, "Unknown extended request OID")
	if err := d.server.SetFault(ldapd.FaultNoTLS, true); err != nil {
		t.Fatal(err)
	}
	refused(t, "no certificate", d.client(false).StartTLS(&tls.Config{InsecureSkipVerify: true}), 52, "Error initializing SSL/TLS")
}

func TestStartTLSTakesNothingFromBefore(t *testing.T) {
	t.Parallel()
	d := start(t, nil)
	c, err := net.Dial("tcp", d.plain)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	start := "\x30\x1d\x02\x01\x01\x77\x18\x80\x16" + "1.3.6.1.4.1.1466.20037"
	whoami := "\x30\x1e\x02\x01\x02\x77\x19\x80\x17" + "1.3.6.1.4.1.4203.1.11.3"
	if _, err := io.WriteString(c, start+whoami); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(c); err != nil || len(answer) > 0 {
		t.Errorf("the answer is %q, %v, want the end of the connection", answer, err)
	}
}

func TestAnonymousSeesTheRootDSEOnly(t *testing.T) {
	t.Parallel()
	d := start(t, nil)
	c := d.client(false)
	r, err := c.Search(search("", 0, "(objectClass=*)"))
	if err != nil || len(r.Entries) != 1 {
		t.Fatal(r, err)
	}
	e := r.Entries[0]
	for kind, want := range map[string]string{
		"defaultNamingContext": "DC=corp,DC=test", "configurationNamingContext": "CN=Configuration,DC=corp,DC=test", "dnsHostName": "dc1.corp.test",
		"currentTime": "20261129130000.0Z", "supportedLDAPVersion": "3", "isGlobalCatalogReady": "TRUE", "supportedSASLMechanisms": "",
	} {
		if got := e.GetAttributeValue(kind); got != want {
			t.Errorf("%s is %q, want %q", kind, got, want)
		}
	}
	if !slices.Contains(e.GetAttributeValues("supportedControl"), "1.2.840.113556.1.4.319") {
		t.Error("paged results are not announced")
	}
	if few, err := c.Search(search("", 0, "(objectClass=*)", "DNSHOSTNAME", "nothing")); err != nil || len(few.Entries[0].Attributes) != 1 {
		t.Errorf("got %v, %v", few, err)
	}
	if none, err := c.Search(search("", 0, "(cn=*)")); err != nil || len(none.Entries) != 0 {
		t.Errorf("the root DSE answers to another filter: %v, %v", none, err)
	}
	for _, base := range []string{"DC=corp,DC=test", "CN=Configuration,DC=corp,DC=test"} {
		_, err := c.Search(search(base, 0, "(objectClass=*)"))
		refused(t, base, err, 1, "000004DC")
	}
	_, err = c.Search(search("", 2, "(objectClass=*)"))
	refused(t, "everything", err, 1, "000004DC")
}

func TestChangesAreRefused(t *testing.T) {
	t.Parallel()
	d := start(t, nil)
	c := d.signedIn()
	name := "CN=Alice Adams,CN=Users,DC=corp,DC=test"
	m := ldap.NewModifyRequest(name, nil)
	m.Replace("mail", []string{"x"})
	refused(t, "modify", c.Modify(m), 50, "INSUFF_ACCESS_RIGHTS")
	refused(t, "delete", c.Del(ldap.NewDelRequest(name, nil)), 50, "INSUFF")
	refused(t, "add", c.Add(ldap.NewAddRequest("CN=x,"+name, nil)), 50, "INSUFF")
	refused(t, "rename", c.ModifyDN(ldap.NewModifyDNRequest(name, "CN=x", true, "")), 50, "INSUFF")
	refused(t, "anonymous", d.client(true).Del(ldap.NewDelRequest(name, nil)), 1, "000004DC")
}

func TestUnknownCriticalControl(t *testing.T) {
	t.Parallel()
	d := start(t, nil)
	c := d.signedIn()
	r := search("DC=corp,DC=test", 0, "(objectClass=*)")
	r.Controls = []ldap.Control{ldap.NewControlString("1.2.3", true, "")}
	_, err := c.Search(r)
	refused(t, "critical", err, 12, "Error processing control")
	r.Controls = []ldap.Control{ldap.NewControlString("1.2.3", false, "")}
	if _, err := c.Search(r); err != nil {
		t.Errorf("not critical: %v", err)
	}
}

func TestMalformedMessages(t *testing.T) {
	t.Parallel()
	d := start(t, nil)
	for name, message := range map[string]string{
		"HTTP":            "GET / HTTP/1.1\r\n\r\n",
		"too long":        "\x30\x84\x7f\xff\xff\xff",
		"indefinite":      "\x30\x80\x02\x01\x01\x42\x00\x00\x00",
		"no operation":    "\x30\x03\x02\x01\x01",
		"no id":           "\x30\x04\x42\x00\x42\x00",
		"negative id":     "\x30\x05\x02\x01\xff\x42\x00",
		"unknown request": "\x30\x05\x02\x01\x01\x7e\x00",
		"TLS":             "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := net.Dial("tcp", d.plain)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := io.WriteString(c, message); err != nil {
				t.Fatal(err)
			}
			answer, err := io.ReadAll(bufio.NewReader(c))
			if err != nil && !errors.Is(err, net.ErrClosed) && !strings.Contains(err.Error(), "reset") {
				t.Fatal(err)
			}
			if err == nil && !strings.Contains(string(answer), "1.3.6.1.4.1.1466.20036") {
				t.Errorf("the answer is %q, want a notice of disconnection", answer)
			}
		})
	}
	t.Run("a request that is half right", func(t *testing.T) {
		t.Parallel()
		c, err := net.Dial("tcp", d.plain)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		// A bind without its parts, then an unbind.
		if _, err := io.WriteString(c, "\x30\x05\x02\x01\x07\x60\x00"+"\x30\x05\x02\x01\x08\x42\x00"); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(c)
		if err != nil || !strings.Contains(string(answer), "Error decoding ldap message") || !strings.Contains(string(answer), "\x02\x01\x07\x61") {
			t.Errorf("the answer is %q, %v", answer, err)
		}
	})
}

func TestFaults(t *testing.T) {
	t.Parallel()
	d := start(t, nil, func(o *ldapd.Options) { o.NoSAN = selfSigned(t) })
	if err := d.server.SetFault("nonsense", true); err == nil {
		t.Error("an unknown fault is taken")
	}
	c := d.signedIn()
	get := func() (*ldap.SearchResult, error) {
		return c.Search(search("CN=Alice Adams,CN=Users,DC=corp,DC=test", 0, "(objectClass=*)", "displayName"))
	}
	set := func(f ldapd.Fault, on bool) {
		if err := d.server.SetFault(f, on); err != nil {
			t.Fatal(err)
		}
	}
	set(ldapd.FaultHostile, true)
	if r, err := get(); err != nil || !strings.Contains(r.Entries[0].GetAttributeValue("displayName"), "\x1b[31mAlice Adams\u202e") {
		t.Errorf("got %v, %v", r, err)
	}
	set(ldapd.FaultHostile, false)
	set(ldapd.FaultNoSAN, true)
	raw, err := tls.Dial("tcp", d.tls, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	if slices.Equal(raw.ConnectionState().PeerCertificates[0].Raw, d.certificate.Certificate[0]) {
		t.Error("the usual certificate is shown")
	}
	_ = raw.Close()
	set(ldapd.FaultNoSAN, false)
	set(ldapd.FaultDrop, true)
	if _, err := get(); err == nil || !c.IsClosing() {
		t.Errorf("the error is %v", err)
	}
}

func TestCloseEndsConnections(t *testing.T) {
	t.Parallel()
	d := start(t, nil, func(o *ldapd.Options) { o.Delay = time.Hour })
	c := d.signedIn()
	if err := d.server.SetFault(ldapd.FaultSlow, true); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		_, err := c.Search(search("DC=corp,DC=test", 0, "(objectClass=*)"))
		done <- err
	}()
	if err := d.server.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; err == nil {
		t.Error("the search ended well")
	}
}
