//go:build integration

package integration

import (
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/c2conn/c2conn/internal/directory"
	"github.com/c2conn/c2conn/internal/transport"
	"github.com/c2conn/c2conn/internal/winauth"
)

func (d *domain) options(a *winauth.Account, servers ...string) directory.Options {
	return directory.Options{
		Domain: "corp.test", Servers: servers, Account: a, Trust: d.trust(),
		Resolver: d.reach.Resolver, Dial: d.reach.Dial, Clock: transport.SystemClock(),
	}
}

// open opens the directory for the length of a case.
func (d *domain) open(t *testing.T, a *winauth.Account, servers ...string) *directory.Client {
	t.Helper()
	c, err := directory.Open(t.Context(), d.options(a, servers...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func directoryCases(t *testing.T, d *domain) {
	check(t, "LDAP: found by DNS, by LDAPS, by StartTLS; without TLS the controller takes no password", func(t *testing.T) {
		for _, servers := range [][]string{nil, {"dc1.corp.test:636"}, {"dc1.corp.test:389"}} {
			for name, password := range map[string]string{exadmin: exadminPassword, alice: alicePassword, `CORP\exadmin`: exadminPassword} {
				root := d.open(t, d.account(name, password), servers...).Root()
				if root.Server != "dc1.corp.test" || root.Domain != "corp.test" || root.Forest != "corp.test" || root.DomainNC != "DC=corp,DC=test" || root.Skew.Abs() > 5*time.Second {
					t.Errorf("%s at %v: %+v", name, servers, root)
				}
			}
		}
		// What shows that StartTLS was needed.
		l, err := ldap.DialURL("ldap://" + controllerIP)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if err := l.Bind(exadmin, exadminPassword); !ldap.IsErrorWithCode(err, ldap.LDAPResultStrongAuthRequired) {
			t.Errorf("a bind in the clear: %v", err)
		}
	})

	check(t, "LDAP: administrators, also of nested groups and without UPN", func(t *testing.T) {
		c := d.open(t, d.account(exadmin, exadminPassword))
		found, err := c.Administrators(t.Context(), directory.Query{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range found.List {
			line := p.SAM + " " + p.UPN
			if p.Exchange {
				line += " exchange"
			}
			if p.NoUPN {
				line += " no-upn"
			}
			got = append(got, line)
		}
		slices.Sort(got)
		wanted := []string{"Administrator Administrator@corp.test exchange no-upn", "asmith alice@contoso.example exchange", "exadmin exadmin@corp.test exchange"}
		if !slices.Equal(got, wanted) || found.More {
			t.Errorf("%q, want %q", got, wanted)
		}
		if found, err = c.Administrators(t.Context(), directory.Query{Limit: 1}); err != nil || len(found.List) != 1 || !found.More {
			t.Errorf("one of three: %+v %v", found, err)
		}
		if found, err = c.Administrators(t.Context(), directory.Query{Text: "contoso"}); err != nil || len(found.List) != 1 || found.List[0].UPN != alice {
			t.Errorf("search: %+v %v", found, err)
		}
		if p, err := c.Find(t.Context(), alice); err != nil || p.SAM != "asmith" || p.Mail != alice || !p.Exchange {
			t.Errorf("%+v %v", p, err)
		}
		if p, err := c.Find(t.Context(), "off@corp.test"); err != nil || !p.Disabled {
			t.Errorf("%+v %v", p, err)
		}
		_, err = c.Find(t.Context(), "nobody@corp.test")
		wantError[*directory.NotFoundError](t, "nobody", err)
	})

	check(t, "LDAP: UPN suffixes, domains, and the service connection point of Autodiscover", func(t *testing.T) {
		c := d.open(t, d.account(alice, alicePassword))
		if s, err := c.Suffixes(t.Context()); err != nil || !slices.Equal(s, []string{"corp.test", "contoso.example"}) {
			t.Errorf("%q %v", s, err)
		}
		if list, err := c.Domains(t.Context()); err != nil || len(list) != 1 || list[0].Name != "corp.test" || list[0].NetBIOS != "CORP" || list[0].Direction != directory.DirectionOwn {
			t.Errorf("%+v %v", list, err)
		}
		found, err := c.AutodiscoverEndpoints(t.Context(), "contoso.example")
		if err != nil || len(found.List) != 1 || found.List[0].URL != "https://exch01.corp.test/Autodiscover/Autodiscover.xml" || found.List[0].Server != "EXCH01" {
			t.Errorf("%+v %v", found, err)
		}
	})

	check(t, "LDAP: one wrong password is one failed sign-in; an unknown authority gets none", func(t *testing.T) {
		a := d.account("w-ldap@contoso.example", "wrong")
		stranger := d.options(a)
		stranger.Trust = winauth.NewTrust(winauth.TrustOptions{Roots: x509.NewCertPool(), Clock: transport.SystemClock()})
		_, err := directory.Open(t.Context(), stranger)
		wantError[*winauth.UntrustedError](t, "unknown authority", err)
		if n := d.wrongPasswords(t, "w-ldap"); n != "0" {
			t.Errorf("it got %s passwords", n)
		}
		for _, server := range []string{"dc1.corp.test:636", "dc1.corp.test:389", "dc1.corp.test"} {
			_, err := directory.Open(t.Context(), d.options(a, server))
			e := wantError[*winauth.WrongPasswordError](t, server, err)
			if e.Protocol != "LDAP" || e.Err == nil || !strings.Contains(e.Err.Error(), "data 52e") {
				t.Errorf("%s: %+v", server, e)
			}
		}
		if n := d.wrongPasswords(t, "w-ldap"); n != "1" {
			t.Errorf("the domain counted %s", n)
		}
		_, err = directory.Open(t.Context(), d.options(d.account("off@corp.test", userPassword)))
		if e := (*winauth.LockedError)(nil); !errors.As(err, &e) || e.Reason != winauth.ReasonDisabled {
			t.Errorf("disabled: %v", err)
		}
	})

	check(t, "LDAP: signed in with a ticket of kinit instead of a password", func(t *testing.T) {
		cache := d.kinit(t, "exadmin@CORP.TEST", exadminPassword)
		for _, server := range []string{"dc1.corp.test:636", "dc1.corp.test:389"} {
			a := d.account(exadmin, "", func(o *winauth.AccountOptions) { o.Cache = cache })
			if s, err := d.open(t, a, server).Suffixes(t.Context()); err != nil || len(s) != 2 {
				t.Errorf("%s: %q %v", server, s, err)
			}
		}
	})
}
