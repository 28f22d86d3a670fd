package winauth_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/winauth"
)

var errNetwork = errors.New("no route to host")

func bare(name, password string) *winauth.Account {
	return winauth.NewAccount(winauth.AccountOptions{Name: name, Password: connections.NewSecret(password)})
}

// A wrong password costs one sign-in, however many want to try it at once.
func TestWrongPasswordIsTriedOnce(t *testing.T) {
	t.Parallel()
	a := bare("alice@corp.test", "wrong")
	var asked atomic.Int32
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			err := a.Try(t.Context(), "LDAP", func(context.Context, connections.Secret) error {
				asked.Add(1)
				return winauth.LDAPRefusal("alice@corp.test", "dc1.corp.test", "80090308: LdapErr: DSID-0C09041C, comment: AcceptSecurityContext error, data 52e, v4563")
			})
			var wrong *winauth.WrongPasswordError
			if !errors.As(err, &wrong) || wrong.Account != "alice@corp.test" || wrong.Protocol != "LDAP" {
				t.Errorf("%#v", err)
			}
		})
	}
	wg.Wait()
	if asked.Load() != 1 {
		t.Errorf("the domain was asked %d times", asked.Load())
	}
	if a.Proven() {
		t.Error("proven by a wrong password")
	}
}

// Until the password is proven one sign-in runs at a time; from then on they run
// beside each other.
func TestTryInTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := bare("alice@corp.test", "right")
		first, second := make(chan error), make(chan error)
		var running, most atomic.Int32
		try := func(result chan error) {
			_ = a.Try(t.Context(), "NTLM", func(context.Context, connections.Secret) error {
				most.Store(max(most.Load(), running.Add(1)))
				defer running.Add(-1)
				return <-result
			})
		}
		go try(first)
		synctest.Wait()
		for range 3 {
			go try(second)
		}
		synctest.Wait()
		if running.Load() != 1 {
			t.Fatalf("%d sign-ins run while the password is unproven", running.Load())
		}
		// A failure that says nothing about the password lets the next one try, alone.
		first <- errNetwork
		synctest.Wait()
		if running.Load() != 1 || a.Proven() {
			t.Fatalf("%d run after a failure", running.Load())
		}
		second <- nil
		synctest.Wait()
		if running.Load() != 2 || !a.Proven() {
			t.Fatalf("%d of 2 run after a success", running.Load())
		}
		second <- nil
		second <- nil
		synctest.Wait()
	})
}

func TestTryObeysItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := bare("alice@corp.test", "right")
		hold := make(chan struct{})
		go func() {
			_ = a.Try(t.Context(), "NTLM", func(context.Context, connections.Secret) error { <-hold; return nil })
		}()
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- a.Try(ctx, "NTLM", func(context.Context, connections.Secret) error {
				t.Error("ran")
				return nil
			})
		}()
		synctest.Wait()
		cancel()
		synctest.Wait()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		close(hold)
	})
}

func TestLockedEndsIt(t *testing.T) {
	t.Parallel()
	a := bare(`CORP\alice`, "right")
	for i := range 2 {
		err := a.Try(t.Context(), "LDAP", func(context.Context, connections.Secret) error {
			if i > 0 {
				t.Error("asked again")
			}
			return &winauth.LockedError{Reason: winauth.ReasonLocked}
		})
		var locked *winauth.LockedError
		if !errors.As(err, &locked) || locked.Account != `CORP\alice` {
			t.Errorf("%v", err)
		}
	}
}

func TestTryWithoutPassword(t *testing.T) {
	t.Parallel()
	a := winauth.NewAccount(winauth.AccountOptions{Name: "alice@corp.test", Cache: "/tmp/krb5cc_0"})
	err := a.Try(t.Context(), "LDAP", func(context.Context, connections.Secret) error {
		t.Error("ran")
		return nil
	})
	var none *winauth.NoMethodError
	if !errors.As(err, &none) || !none.NoPassword || a.HasPassword() {
		t.Errorf("%v", err)
	}
}

func TestLDAPRefusal(t *testing.T) {
	t.Parallel()
	const text = "80090308: LdapErr: DSID-0C09041C, comment: AcceptSecurityContext error, data %, v4563"
	for code, want := range map[string]winauth.Reason{
		"530": winauth.ReasonHours, "531": winauth.ReasonWorkstation, "532": winauth.ReasonPassword, "533": winauth.ReasonDisabled,
		"701": winauth.ReasonExpired, "773": winauth.ReasonMustChange, "775": winauth.ReasonLocked,
	} {
		err := winauth.LDAPRefusal("alice@corp.test", "dc1", strings.Replace(text, "%", code, 1))
		var locked *winauth.LockedError
		if !errors.As(err, &locked) || locked.Reason != want {
			t.Errorf("%s: %v", code, err)
		}
	}
	for _, said := range []string{strings.Replace(text, "%", "52e", 1), "Invalid credentials", "data", "data ", "data zz", "", "data ffffffffffffffffffffff"} {
		var wrong *winauth.WrongPasswordError
		if err := winauth.LDAPRefusal("a", "dc1", said); !errors.As(err, &wrong) {
			t.Errorf("%q: %v", said, err)
		}
	}
	var unknown *winauth.UnknownUserError
	if err := winauth.LDAPRefusal("a", "dc1", strings.Replace(text, "%", "525", 1)); !errors.As(err, &unknown) {
		t.Error(err)
	}
}

// Whatever a server says, no error shows its control characters, and none the password.
func TestErrorsAreClean(t *testing.T) {
	t.Parallel()
	const evil = "\x1b[2J\u202ename\n"
	for _, err := range []error{
		&winauth.WrongPasswordError{Account: evil, Server: evil, Protocol: "LDAP"},
		&winauth.LockedError{Account: evil}, &winauth.UnknownUserError{Account: evil, Domain: evil},
		&winauth.NoKDCError{Domain: evil, Tried: []string{evil}, Err: errors.New(evil)}, &winauth.NoKDCError{Domain: evil}, &winauth.ClockSkewError{Server: evil},
		&winauth.UnknownSPNError{SPN: evil, Domain: evil}, &winauth.TicketError{Cache: "x", Err: errors.New(evil)},
		&winauth.KerberosError{Server: evil}, &winauth.ProtocolError{Protocol: "NTLM", Server: evil, Err: errors.New(evil)},
		&winauth.RefusedError{Account: evil, Server: evil, Err: errors.New(evil)}, &winauth.NoMethodError{Account: evil, Server: evil, Offered: []string{evil}}, &winauth.NoMethodError{Server: evil, Offered: []string{evil}, KerberosOnly: true, Err: errors.New(evil)},
		&winauth.PlainError{Server: evil, Offered: []string{evil}, Err: errors.New(evil)}, &winauth.AddressError{Server: evil}, &winauth.TicketRefusedError{Server: evil, SPN: evil},
		&winauth.UntrustedError{Host: evil}, &winauth.PinChangedError{Host: evil},
	} {
		if s := err.Error(); strings.ContainsAny(s, "\x1b\u202e\n") || s == "" {
			t.Errorf("%T: %q", err, s)
		}
	}
}
