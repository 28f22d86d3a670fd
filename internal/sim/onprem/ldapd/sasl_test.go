package ldapd_test

import (
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/internal/sim/onprem/ldapd"
)

// secretKeeper stands for Kerberos on both sides: what it wraps has a mark.
type secretKeeper struct {
	binding []byte // the server's, "" on the client
	choice  string // what the client answers to the offer of layers
}

func (s *secretKeeper) Accept(token []byte) ([]byte, error) {
	if string(token) != "ticket for "+string(s.binding) {
		return nil, errors.New("wrong binding")
	}
	return []byte("proof"), nil
}
func (s *secretKeeper) Wrap(m []byte) ([]byte, error) { return append([]byte("signed:"), m...), nil }
func (s *secretKeeper) Unwrap(m []byte) ([]byte, error) {
	plain, ok := strings.CutPrefix(string(m), "signed:")
	if !ok {
		return nil, errors.New("no signature")
	}
	return []byte(plain), nil
}
func (s *secretKeeper) Principal() string { return "exadmin@CORP.TEST" }

func (s *secretKeeper) InitSecContext(_ string, token []byte) ([]byte, bool, error) {
	if token == nil {
		return []byte("ticket for " + string(s.binding)), true, nil
	}
	return nil, false, nil
}
func (s *secretKeeper) InitSecContextWithOptions(target string, token []byte, _ []int) ([]byte, bool, error) {
	return s.InitSecContext(target, token)
}
func (s *secretKeeper) NegotiateSaslAuth(token []byte, _ string) ([]byte, error) {
	if string(token) != "signed:\x01\x00\x00\x00" {
		return nil, errors.New("the offer is " + string(token))
	}
	return []byte(s.choice), nil
}
func (s *secretKeeper) DeleteSecContext() error { return nil }

func TestKerberosBind(t *testing.T) {
	t.Parallel()
	d := start(t, nil, func(o *ldapd.Options) {
		o.Kerberos = func(binding []byte) ldapd.Acceptor { return &secretKeeper{binding: slices.Clone(binding)} }
		o.Account = func(principal string) string {
			user, _, _ := strings.Cut(principal, "@")
			return `CORP\` + user
		}
	})
	hash := sha256.Sum256(d.certificate.Certificate[0])
	binding := append([]byte("tls-server-end-point:"), hash[:]...)
	const good = "signed:\x01\x00\x00\x00"
	cases := []struct {
		name    string
		withTLS bool
		client  secretKeeper
		code    uint16
	}{
		{"right", true, secretKeeper{binding, good}, 0},
		{"without TLS", false, secretKeeper{nil, good}, 8},
		{"another binding", true, secretKeeper{[]byte("x"), good}, 49},
		{"wants a layer", true, secretKeeper{binding, "signed:\x04\x00\x10\x00"}, 49},
		{"unsigned", true, secretKeeper{binding, "\x01\x00\x00\x00"}, 49},
	}
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := d.client(tt.withTLS)
			err := c.GSSAPIBind(&tt.client, "ldap/dc1.corp.test", "")
			if tt.code != 0 {
				refused(t, tt.name, err, tt.code, "LdapErr")
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if who, err := c.WhoAmI(nil); err != nil || who.AuthzID != `u:CORP\exadmin` {
				t.Errorf("the user is %v, %v", who, err)
			}
		})
	}
}
