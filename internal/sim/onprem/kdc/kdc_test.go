package kdc_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jcmturner/gokrb5/v8/client"
	"github.com/jcmturner/gokrb5/v8/config"

	"github.com/c2conn/c2conn/internal/sim/onprem/account"
	"github.com/c2conn/c2conn/internal/sim/onprem/kdc"
)

const password = "Ex4dmin!Pass"

func directory(t *testing.T) *account.Directory {
	t.Helper()
	d, err := account.New(account.Options{
		Domain: "corp.test", NetBIOS: "CORP", Suffixes: []string{"contoso.example"}, LockoutThreshold: 3,
		Users: []account.User{
			{SAM: "ExAdmin", UPN: "exadmin@corp.test", Password: password},
			{SAM: "alice", UPN: "alice@contoso.example", Password: "Al1ce!Pass"},
			{SAM: "old", Password: password, ETypes: []int32{account.RC4}},
			{SAM: "disabled", Password: password, Disabled: true},
			{SAM: "locked", Password: password, Locked: true},
			{SAM: "expired", Password: password, PasswordExpired: true},
			{SAM: "new", Password: password, MustChange: true},
			{SAM: "EXCH01$", Password: "machine", SPNs: []string{"HTTP/exch01.corp.test"}},
			{SAM: "svcold", Password: "machine", SPNs: []string{"HTTP/old.corp.test"}, ETypes: []int32{account.RC4}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func start(t *testing.T, o kdc.Options) *kdc.Server {
	t.Helper()
	s, err := kdc.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// signIn is an independent client: that of gokrb5.
func signIn(t *testing.T, s *kdc.Server, user, password, etypes string) *client.Client {
	t.Helper()
	cfg, err := config.NewFromString(fmt.Sprintf(`[libdefaults]
 default_realm = CORP.TEST
 dns_lookup_kdc = false
 udp_preference_limit = 1
 default_tkt_enctypes = %[2]s
 default_tgs_enctypes = %[2]s
 permitted_enctypes = %[2]s
 forwardable = true
[realms]
 CORP.TEST = {
  kdc = %[1]s
 }
`, s.Addr(), etypes))
	if err != nil {
		t.Fatal(err)
	}
	c := client.NewWithPassword(user, "CORP.TEST", password, cfg, client.DisablePAFXFAST(true))
	t.Cleanup(c.Destroy)
	return c
}

const (
	aes  = "aes256-cts-hmac-sha1-96 aes128-cts-hmac-sha1-96"
	rc4  = "rc4-hmac"
	both = aes + " " + rc4
)

// code is the number of the KRB-ERROR that an error of the client tells of; 0 when
// there is none. The client keeps only the text.
func code(err error) int {
	if err == nil {
		return 0
	}
	_, text, _ := strings.Cut(err.Error(), "KRB Error: (")
	text, _, _ = strings.Cut(text, ")")
	n, _ := strconv.Atoi(text)
	return n
}

func TestTicketForService(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, user, password, etypes, spn string
		session                           int32
	}{
		{"AES256", "ExAdmin", password, aes, "HTTP/exch01.corp.test", 18},
		{"AES128", "ExAdmin", password, "aes128-cts-hmac-sha1-96", "HTTP/exch01.corp.test", 17},
		{"name in another case", "EXADMIN", password, aes, "http/EXCH01.corp.test", 18},
		{"RC4 account", "old", password, both, "HTTP/exch01.corp.test", 18},
		{"RC4 service", "ExAdmin", password, both, "HTTP/old.corp.test", 23},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := directory(t)
			s := start(t, kdc.Options{Directory: d})
			cl := signIn(t, s, c.user, c.password, c.etypes)
			if err := cl.Login(); err != nil {
				t.Fatal(err)
			}
			tkt, key, err := cl.GetServiceTicket(c.spn)
			if err != nil {
				t.Fatal(err)
			}
			if key.KeyType != c.session || !strings.EqualFold(tkt.SName.PrincipalNameString(), c.spn) {
				t.Errorf("session key of type %d, ticket for %v", key.KeyType, tkt.SName)
			}
			if n := d.SuccessfulSignIns(account.Kerberos); n != 1 || d.FailedSignIns() != 0 {
				t.Errorf("%d good sign-ins and %d refused ones, want 1 and 0", n, d.FailedSignIns())
			}
			if as, tgs := s.Requests(); as != 2 || tgs != 1 {
				t.Errorf("%d AS and %d TGS requests, want 2 and 1", as, tgs)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, user, password, etypes string
		now                          time.Duration // of the KDC's clock
		fault                        kdc.Fault
		code                         int
		bad, wrong, failed           int
	}{
		{name: "wrong password", user: "ExAdmin", password: "wrong", etypes: aes, code: 24, bad: 1, wrong: 1, failed: 1},
		{name: "unknown user", user: "nobody", password: password, etypes: aes, code: 6, failed: 1},
		{name: "disabled", user: "disabled", password: password, etypes: aes, code: 18, failed: 1},
		{name: "locked", user: "locked", password: password, etypes: aes, code: 18, failed: 1},
		{name: "locked, wrong password", user: "locked", password: "wrong", etypes: aes, code: 18, failed: 1},
		{name: "expired", user: "expired", password: password, etypes: aes, code: 23, failed: 1},
		{name: "expired, wrong password", user: "expired", password: "wrong", etypes: aes, code: 24, bad: 1, wrong: 1, failed: 1},
		{name: "must change", user: "new", password: password, etypes: aes, code: 23, failed: 1},
		{name: "KDC behind", user: "ExAdmin", password: password, etypes: aes, now: -6 * time.Minute, code: 37, failed: 1},
		{name: "KDC ahead", user: "ExAdmin", password: password, etypes: aes, now: 6 * time.Minute, code: 37, failed: 1},
		{name: "no common etype", user: "ExAdmin", password: password, etypes: rc4, code: 14},
		{name: "etype fault", user: "ExAdmin", password: password, etypes: aes, fault: kdc.NoCommonETypes, code: 14},
		{name: "another realm", user: "ExAdmin", password: password, etypes: aes, fault: kdc.OtherRealmsOnly, code: 68},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := directory(t)
			s := start(t, kdc.Options{Directory: d, Now: func() time.Time { return time.Now().Add(c.now) }})
			s.SetFault(c.fault)
			err := signIn(t, s, c.user, c.password, c.etypes).Login()
			if got := code(err); got != c.code {
				t.Errorf("error %d (%v), want %d", got, err, c.code)
			}
			tally := d.Tally(account.Kerberos)
			if tally.Failed != c.failed || tally.WrongPasswords != c.wrong || tally.Succeeded != 0 || d.BadPasswords(c.user) != c.bad {
				t.Errorf("counted %+v and %d bad passwords of the user, want %d failed, %d wrong", tally, d.BadPasswords(c.user), c.failed, c.wrong)
			}
		})
	}
}
