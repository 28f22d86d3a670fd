package directory_test

import (
	"bytes"
	"crypto/md5"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"

	kasn1 "github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/asn1tools"
	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/gssapi"
	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/c2conn/c2conn/internal/directory"
	"github.com/c2conn/c2conn/internal/sim/onprem/ldapd"
	"github.com/c2conn/c2conn/internal/winauth"
)

// service is the Kerberos side of the domain controller: it opens tickets for
// ldap/dc1.corp.test and proves itself, as RFC 4121 says, with gokrb5's parts.
type service struct {
	keys    *keytab.Keytab
	binding []byte // of the connection
	layers  byte   // that are offered
	key     types.EncryptionKey
	sent    uint64
	refused *string // what was wrong, for the test
}

func (s *service) fail(why string) error {
	*s.refused = why
	return errors.New(why)
}

// Accept implements ldapd.Acceptor.
func (s *service) Accept(token []byte) ([]byte, error) {
	var outer, oid asn1.RawValue
	if _, err := asn1.Unmarshal(token, &outer); err != nil || outer.Class != asn1.ClassApplication || outer.Tag != 0 {
		return nil, s.fail("no GSSAPI token")
	}
	rest, err := asn1.Unmarshal(outer.Bytes, &oid)
	if err != nil || len(rest) < 2 || rest[0] != 1 || rest[1] != 0 {
		return nil, s.fail("no AP-REQ")
	}
	var q messages.APReq
	if err := q.Unmarshal(rest[2:]); err != nil {
		return nil, s.fail(err.Error())
	}
	if err := q.Ticket.DecryptEncPart(s.keys, nil); err != nil {
		return nil, s.fail("the ticket does not open: " + err.Error())
	}
	session := q.Ticket.DecryptedEncPart.Key
	if err := q.DecryptAuthenticator(session); err != nil {
		return nil, s.fail("the authenticator does not open: " + err.Error())
	}
	a := q.Authenticator
	// gss_channel_bindings: no addresses, and the application's data.
	h := md5.New()
	h.Write(make([]byte, 16))
	_ = binary.Write(h, binary.LittleEndian, uint32(len(s.binding)))
	h.Write(s.binding)
	if len(a.Cksum.Checksum) < 20 || !bytes.Equal(a.Cksum.Checksum[4:20], h.Sum(nil)) {
		return nil, s.fail("another channel binding")
	}
	s.key = session
	if a.SubKey.KeyType != 0 {
		s.key = a.SubKey
	}
	part, err := kasn1.Marshal(struct {
		CTime  time.Time `asn1:"generalized,explicit,tag:0"`
		Cusec  int       `asn1:"explicit,tag:1"`
		Number int64     `asn1:"explicit,tag:3"`
	}{a.CTime, a.Cusec, 1000})
	if err != nil {
		return nil, err
	}
	s.sent = 1000
	sealed, err := crypto.GetEncryptedData(asn1tools.AddASNAppTag(part, 27), session, keyusage.AP_REP_ENCPART, 0)
	if err != nil {
		return nil, err
	}
	reply, err := kasn1.Marshal(struct {
		PVNO int                 `asn1:"explicit,tag:0"`
		Type int                 `asn1:"explicit,tag:1"`
		Part types.EncryptedData `asn1:"explicit,tag:2"`
	}{5, 15, sealed})
	if err != nil {
		return nil, err
	}
	return asn1tools.AddASNAppTag(append(append(oid.FullBytes, 2, 0), asn1tools.AddASNAppTag(reply, 15)...), 0), nil
}

// Wrap implements ldapd.Acceptor.
func (s *service) Wrap(message []byte) ([]byte, error) {
	et, err := crypto.GetEtype(s.key.KeyType)
	if err != nil {
		return nil, err
	}
	if s.layers != 0 {
		message = append([]byte{s.layers}, message[1:]...)
	}
	w := gssapi.WrapToken{Flags: 1, EC: uint16(et.GetHMACBitLength() / 8), SndSeqNum: s.sent, Payload: message}
	s.sent++
	if err := w.SetCheckSum(s.key, keyusage.GSSAPI_ACCEPTOR_SEAL); err != nil {
		return nil, err
	}
	return w.Marshal()
}

// Unwrap implements ldapd.Acceptor.
func (s *service) Unwrap(token []byte) ([]byte, error) {
	var w gssapi.WrapToken
	if err := w.Unmarshal(token, false); err != nil {
		return nil, s.fail(err.Error())
	}
	if ok, err := w.Verify(s.key, keyusage.GSSAPI_INITIATOR_SEAL); !ok {
		return nil, s.fail("the signature is wrong: " + err.Error())
	}
	return w.Payload, nil
}

// Principal implements ldapd.Acceptor.
func (s *service) Principal() string { return "exadmin@CORP.TEST" }

// ticketCache is a credential cache (version 4) with a ticket for one service.
func ticketCache(t *testing.T, keys *keytab.Keytab, spn string) []byte {
	t.Helper()
	from, until := now().Add(-time.Hour), now().Add(9*time.Hour)
	user := types.NewPrincipalName(1, "exadmin")
	server := types.NewPrincipalName(2, spn)
	ticket, session, err := messages.NewTicket(user, "CORP.TEST", server, "CORP.TEST", types.NewKrbFlags(), keys, etypeID.AES256_CTS_HMAC_SHA1_96, 1, from, from, until, until)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := ticket.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	b := []byte{5, 4, 0, 0}
	u32 := func(n int) { b = binary.BigEndian.AppendUint32(b, uint32(n)) }
	data := func(d []byte) {
		u32(len(d))
		b = append(b, d...)
	}
	principal := func(p types.PrincipalName) {
		u32(int(p.NameType))
		u32(len(p.NameString))
		data([]byte("CORP.TEST"))
		for _, part := range p.NameString {
			data([]byte(part))
		}
	}
	principal(user) // the owner
	principal(user)
	principal(server)
	b = binary.BigEndian.AppendUint16(b, uint16(session.KeyType))
	data(session.KeyValue)
	for _, at := range []time.Time{from, from, until, until} {
		u32(int(at.Unix()))
	}
	b = append(b, 0)
	for range 3 { // flags, addresses, authorization data
		u32(0)
	}
	data(raw)
	data(nil)
	return b
}

func TestOpenWithATicket(t *testing.T) {
	t.Parallel()
	keys := keytab.New()
	if err := keys.AddEntry("ldap/dc1.corp.test", "CORP.TEST", "secret of dc1", now(), 1, etypeID.AES256_CTS_HMAC_SHA1_96); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name    string
		server  string
		layers  byte
		binding string // another one than that of the connection
		say     string // in the error; "" = it works
	}{
		{"LDAPS", "dc1.corp.test:636", 0, "", ""},
		{"StartTLS", "dc1.corp.test:389", 0, "", ""},
		{"somebody between", "dc1.corp.test:636", 0, "tls-server-end-point:x", "data 80090346"},
		{"no connection without signing", "dc1.corp.test:636", 6, "", "sign or seal although there is TLS"},
		{"an address", "127.0.0.1:636", 0, "", "is an address"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var refused string
			w := start(t, nil, func(o *ldapd.Options) {
				o.Kerberos = func(binding []byte) ldapd.Acceptor {
					if tt.binding != "" {
						binding = []byte(tt.binding)
					}
					return &service{keys: keys, binding: binding, layers: tt.layers, refused: &refused}
				}
			})
			w.point("127.0.0.1:636", w.to["dc1.corp.test:636"])
			cache := ticketCache(t, keys, "ldap/dc1.corp.test")
			o := w.options()
			o.Servers = []string{tt.server}
			o.Account = winauth.NewAccount(winauth.AccountOptions{
				Name: "exadmin@corp.test", Domain: "corp.test", Cache: "/tmp/krb5cc_0", Clock: clock{}, Resolver: o.Resolver, Dial: w.dial,
				ReadFile: func(string) ([]byte, error) { return bytes.Clone(cache), nil },
			})
			if strings.HasPrefix(tt.server, "127.") {
				// The certificate is not for an address, but the user may take it.
				_, err := directory.Open(t.Context(), o)
				var untrusted *winauth.UntrustedError
				if !errors.As(err, &untrusted) {
					t.Fatal(err)
				}
				o.Trust = w.trust(map[string]string{tt.server: untrusted.SHA256})
			}
			c, err := directory.Open(t.Context(), o)
			if tt.say != "" {
				if err == nil || !strings.Contains(err.Error(), tt.say) {
					t.Errorf("the error is %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err, refused)
			}
			defer c.Close()
			if p, err := c.Find(t.Context(), "exadmin@corp.test"); err != nil || !p.Exchange {
				t.Errorf("got %+v, %v", p, err)
			}
		})
	}
}

func TestOpenWithoutAUsableTicket(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	o := w.options()
	o.Account = winauth.NewAccount(winauth.AccountOptions{
		Name: "exadmin@corp.test", Domain: "corp.test", Cache: "/tmp/krb5cc_0", Clock: clock{}, Resolver: o.Resolver, Dial: w.dial,
		ReadFile: func(string) ([]byte, error) { return nil, fs.ErrNotExist },
	})
	_, err := directory.Open(t.Context(), o)
	var ticket *winauth.TicketError
	if !errors.As(err, &ticket) {
		t.Errorf("the error is %v", err)
	}
}

func TestOpenAtAServerWithoutKerberos(t *testing.T) {
	t.Parallel()
	keys := keytab.New()
	if err := keys.AddEntry("ldap/dc1.corp.test", "CORP.TEST", "secret of dc1", now(), 1, etypeID.AES256_CTS_HMAC_SHA1_96); err != nil {
		t.Fatal(err)
	}
	w := start(t, nil)
	cache := ticketCache(t, keys, "ldap/dc1.corp.test")
	o := w.options()
	o.Account = winauth.NewAccount(winauth.AccountOptions{
		Name: "exadmin@corp.test", Domain: "corp.test", Cache: "/tmp/krb5cc_0", Clock: clock{}, Resolver: o.Resolver, Dial: w.dial,
		ReadFile: func(string) ([]byte, error) { return bytes.Clone(cache), nil },
	})
	_, err := directory.Open(t.Context(), o)
	var e *directory.Error
	if !errors.As(err, &e) || e.Code != 7 {
		t.Errorf("the error is %v", err)
	}
}
