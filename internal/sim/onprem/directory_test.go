package onprem_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"
	"github.com/jcmturner/gokrb5/v8/client"
	"github.com/jcmturner/gokrb5/v8/gssapi"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"

	"github.com/c2conn/c2conn/internal/sim/onprem"
)

// ldaps connects to the domain controller.
func ldaps(t *testing.T, w *onprem.World) *ldap.Conn {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(w.Authority())
	c, err := ldap.DialURL("ldaps://"+w.ConnectTo("dc1.corp.test:636"), ldap.DialWithTLSConfig(&tls.Config{ServerName: "dc1.corp.test", RootCAs: roots, MinVersion: tls.VersionTLS12}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func search(t *testing.T, c *ldap.Conn, base, filter string, attributes ...string) []*ldap.Entry {
	t.Helper()
	r, err := c.Search(ldap.NewSearchRequest(base, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 0, 0, false, filter, attributes, nil))
	if err != nil {
		t.Fatal(err)
	}
	return r.Entries
}

func TestDirectory(t *testing.T) {
	t.Parallel()
	w, _ := start(t, onprem.Options{Mailboxes: 50})
	c := ldaps(t, w)
	for name, password := range map[string]string{onprem.Admin: onprem.AdminPassword, onprem.Messaging: onprem.MessagingPassword, `CORP\Administrator`: onprem.BuiltInPassword,
		"CN=Exchange Admin,CN=Users,DC=corp,DC=test": onprem.AdminPassword} {
		if err := c.Bind(name, password); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := c.Bind(onprem.Admin, "wrong"); !ldap.IsErrorWithCode(err, ldap.LDAPResultInvalidCredentials) || !strings.Contains(fmt.Sprint(err), "data 52e") {
		t.Errorf("a wrong password: %v", err)
	}
	if w.FailedSignIns() != 1 || w.SignInsBy("LDAP") != 4 {
		t.Errorf("%+v", w.Counters())
	}
	if err := c.Bind(onprem.Admin, onprem.AdminPassword); err != nil {
		t.Fatal(err)
	}
	group := search(t, c, "DC=corp,DC=test", "(&(objectClass=group)(cn=Organization Management))", "distinguishedName")
	if len(group) != 1 {
		t.Fatalf("%d groups", len(group))
	}
	nested := search(t, c, "DC=corp,DC=test", "(&(objectClass=user)(memberOf:1.2.840.113556.1.4.1941:="+ldap.EscapeFilter(group[0].DN)+"))", "sAMAccountName", "objectSid")
	names := map[string]bool{}
	for _, e := range nested {
		names[e.GetAttributeValue("sAMAccountName")] = true
	}
	for _, want := range []string{"exadmin", "alice", "bob", "Administrator", "svcnomailbox", "former"} {
		if !names[want] {
			t.Errorf("%s is no administrator", want)
		}
	}
	if names["spfarm"] || names["anna"] {
		t.Errorf("%v", names)
	}
	if users := search(t, c, "DC=corp,DC=test", "(&(objectClass=user)(homeMDB=*))", "cn"); len(users) != w.Mailboxes() {
		t.Errorf("%d users with a mailbox, Exchange has %d", len(users), w.Mailboxes())
	}
}

func TestServiceConnectionPoint(t *testing.T) {
	t.Parallel()
	w, _ := start(t, onprem.Options{})
	c := ldaps(t, w)
	if err := c.Bind(onprem.Admin, onprem.AdminPassword); err != nil {
		t.Fatal(err)
	}
	const filter = "(&(objectClass=serviceConnectionPoint)(keywords=77378F46-2C66-4aa9-A6A6-3E7A48B19596))"
	for fault, want := range map[string]string{
		"": "https://exch01.corp.test/Autodiscover/Autodiscover.xml", "scp-dead": "https://exch00.corp.test/Autodiscover/Autodiscover.xml",
		"scp-silent": "https://exch99.corp.test/Autodiscover/Autodiscover.xml", "no-scp": "", "no-autodiscover": "", "srv-only": "",
	} {
		if fault != "" {
			if err := w.SetFault(fault); err != nil {
				t.Fatal(err)
			}
		}
		got := ""
		for _, e := range search(t, c, "CN=Configuration,DC=corp,DC=test", filter, "serviceBindingInformation") {
			got += e.GetAttributeValue("serviceBindingInformation")
		}
		if got != want {
			t.Errorf("%s: %q, want %q", fault, got, want)
		}
		if err := w.ClearFault(fault); err != nil {
			t.Fatal(err)
		}
	}
}

// saslClient signs in by SASL GSSAPI (RFC 4752, section 3.1).
type saslClient struct {
	t       *testing.T
	client  *client.Client
	context *initiator
}

// InitSecContext implements ldap.GSSAPIClient.
func (c *saslClient) InitSecContext(target string, _ []byte) ([]byte, bool, error) {
	if c.context != nil { // the server has answered; it does not sign in to us
		return nil, false, nil
	}
	c.context = initiate(c.t, c.client, target, nil)
	return c.context.token, true, nil
}

// InitSecContextWithOptions implements ldap.GSSAPIClient.
func (c *saslClient) InitSecContextWithOptions(target string, token []byte, _ []int) ([]byte, bool, error) {
	return c.InitSecContext(target, token)
}

// NegotiateSaslAuth implements ldap.GSSAPIClient. Windows puts the checksum before the
// message.
func (c *saslClient) NegotiateSaslAuth(input []byte, _ string) ([]byte, error) {
	if len(input) != 16+12+4 {
		return nil, fmt.Errorf("a token of %d bytes", len(input))
	}
	token := gssapi.WrapToken{Flags: input[2], EC: 12, SndSeqNum: binary.BigEndian.Uint64(input[8:]), CheckSum: input[16:28], Payload: input[28:]}
	if _, err := token.Verify(c.context.key, keyusage.GSSAPI_ACCEPTOR_SEAL); err != nil {
		return nil, err
	}
	noLayer := []byte{1, 0, 0, 0}
	if !bytes.Equal(token.Payload, noLayer) {
		return nil, fmt.Errorf("layers %x are offered", token.Payload)
	}
	reply := gssapi.WrapToken{EC: 12, SndSeqNum: c.context.send, Payload: noLayer}
	if err := reply.SetCheckSum(c.context.key, keyusage.GSSAPI_INITIATOR_SEAL); err != nil {
		return nil, err
	}
	return reply.Marshal()
}

// DeleteSecContext implements ldap.GSSAPIClient.
func (c *saslClient) DeleteSecContext() error { return nil }

func TestKerberosToTheDirectory(t *testing.T) {
	t.Parallel()
	w, _ := start(t, onprem.Options{})
	c := ldaps(t, w)
	if err := c.GSSAPIBind(&saslClient{t: t, client: kerberos(t, w, "exadmin", onprem.AdminPassword)}, "ldap/dc1.corp.test", ""); err != nil {
		t.Fatal(err)
	}
	who, err := c.WhoAmI(nil)
	if err != nil || who.AuthzID != `u:CORP\exadmin` {
		t.Errorf("%+v, %v", who, err)
	}
}

func TestNoDirectory(t *testing.T) {
	t.Parallel()
	w, _ := start(t, with("no-ldap"))
	if c, err := ldap.DialURL("ldaps://"+w.ConnectTo("dc1.corp.test:636"), ldap.DialWithTLSConfig(&tls.Config{ServerName: "dc1.corp.test", MinVersion: tls.VersionTLS12})); err == nil {
		_ = c.Close()
		t.Error("the domain controller answers")
	}
}
