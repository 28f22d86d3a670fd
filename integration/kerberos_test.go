//go:build integration

package integration

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/winauth"
)

// ahead is the clock of a computer that is fast.
type ahead time.Duration

func (a ahead) Now() time.Time                                   { return time.Now().Add(time.Duration(a)) }
func (a ahead) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// wantError fails the case unless err holds a T.
func wantError[T error](t *testing.T, what string, err error) T {
	t.Helper()
	var found T
	if !errors.As(err, &found) {
		t.Fatalf("%s: %v (%T), want a %T", what, err, err, found)
	}
	return found
}

func kerberosCases(t *testing.T, d *domain) {
	check(t, "Kerberos: a ticket for the password, by UPN, by alternate UPN, by DOMAIN\\user", func(t *testing.T) {
		for _, c := range []struct{ name, password, domain string }{
			{exadmin, exadminPassword, "corp.test"},
			{exadmin, exadminPassword, ""},
			{alice, alicePassword, "corp.test"},
			{alice, alicePassword, ""},
			{"another@corp.test", userPassword, "corp.test"},
			{`CORP\exadmin`, exadminPassword, "corp.test"},
			{"Administrator@corp.test", builtInPassword, "corp.test"},
		} {
			a := d.account(c.name, c.password, func(o *winauth.AccountOptions) { o.Domain = c.domain })
			for _, spn := range []string{webSPN, "ldap/dc1.corp.test"} {
				ticket, err := a.Kerberos(t.Context(), spn, winauth.KerberosOptions{})
				if err != nil {
					t.Fatalf("%s: %v", c.name, err)
				}
				if len(ticket.Token()) < 500 || !a.Proven() {
					t.Errorf("%s: a token of %d bytes, proven %t", c.name, len(ticket.Token()), a.Proven())
				}
			}
		}
		for _, sam := range []string{"exadmin", "asmith", "alice"} {
			if n := d.wrongPasswords(t, sam); n != "0" {
				t.Errorf("%s has %s wrong passwords", sam, n)
			}
		}
	})

	check(t, "Kerberos: one wrong password is one failed sign-in, however often it is tried", func(t *testing.T) {
		a := d.account("w-kerberos@contoso.example", "wrong")
		for range 3 {
			_, err := a.Kerberos(t.Context(), webSPN, winauth.KerberosOptions{})
			wantError[*winauth.WrongPasswordError](t, "Kerberos", err)
		}
		if n := d.wrongPasswords(t, "w-kerberos"); n != "1" {
			t.Errorf("the domain counted %s", n)
		}
	})

	check(t, "Kerberos: unknown service, unknown user, disabled account, a clock that is fast", func(t *testing.T) {
		ask := func(a *winauth.Account, spn string) error {
			_, err := a.Kerberos(t.Context(), spn, winauth.KerberosOptions{})
			return err
		}
		if e := wantError[*winauth.UnknownSPNError](t, "service", ask(d.account(exadmin, exadminPassword), "HTTP/nobody.corp.test")); e.SPN != "HTTP/nobody.corp.test" {
			t.Errorf("%+v", e)
		}
		wantError[*winauth.UnknownUserError](t, "user", ask(d.account("nobody@corp.test", "x"), webSPN))
		wantError[*winauth.LockedError](t, "disabled", ask(d.account("off@corp.test", userPassword), webSPN))
		fast := d.account(exadmin, exadminPassword, func(o *winauth.AccountOptions) { o.Clock = ahead(20 * time.Minute) })
		e := wantError[*winauth.ClockSkewError](t, "clock", ask(fast, webSPN))
		if off := e.Here.Sub(e.There); off < 19*time.Minute || off > 21*time.Minute {
			t.Errorf("it says that the clock is off by %s", off)
		}
	})

	check(t, "Kerberos: the credential cache of MIT's kinit, by UPN and by alternate UPN", func(t *testing.T) {
		for _, c := range []struct {
			name, password, principal string
			args                      []string
		}{
			{exadmin, exadminPassword, "exadmin@CORP.TEST", nil},
			{alice, alicePassword, "asmith@CORP.TEST", []string{"-E", "-C"}},
		} {
			name := c.name
			if c.args == nil {
				name = c.principal
			}
			cache := d.kinit(t, name, c.password, c.args...)
			held, err := winauth.ReadCache("FILE:"+cache, os.ReadFile)
			if err != nil || !strings.EqualFold(held.Principal, c.principal) || time.Until(held.Until) < time.Hour {
				t.Errorf("%+v %v", held, err)
			}
			a := d.account(c.name, "", func(o *winauth.AccountOptions) { o.Cache = cache })
			if _, err := a.Kerberos(t.Context(), webSPN, winauth.KerberosOptions{}); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		}
	})
}
