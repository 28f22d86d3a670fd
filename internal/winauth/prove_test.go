package winauth_test

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/sim/onprem/account"
	"github.com/c2conn/c2conn/internal/sim/onprem/httpauth"
	"github.com/c2conn/c2conn/internal/winauth"
)

// Prove asks the domain alone, and says nothing where it cannot know.
func TestProve(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, user, password string
		prepare              func(*world)
		want                 any  // type of the error; nil = none
		proven               bool // afterwards
	}{
		{name: "right", user: exadmin, password: password, proven: true},
		{name: "right, with another suffix", user: "alice@contoso.example", password: "Al1ce!Pass"}, // no domain is called like that
		{name: "wrong", user: exadmin, password: "wrong", want: new(*winauth.WrongPasswordError)},
		{name: "disabled", user: "off@corp.test", password: "0ff!Pass", want: new(*winauth.LockedError)},
		{name: "locked", user: "locked@corp.test", password: "L0cked!Pass", want: new(*winauth.LockedError)},
		{name: "unknown", user: "nobody@corp.test", password: "x", want: new(*winauth.UnknownUserError)},
		{name: "no domain controller", user: exadmin, password: "wrong", prepare: func(w *world) { w.srv("_kerberos._tcp.corp.test.") }},
		{name: "a domain controller that cannot be reached", user: exadmin, password: "wrong", prepare: func(w *world) {
			w.srv("_kerberos._tcp.corp.test.", &net.SRV{Target: "dc9.corp.test.", Port: 88})
		}},
		{name: "a domain controller that does not answer", user: exadmin, password: "wrong", prepare: func(w *world) { _ = w.kdc.Close() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if c.prepare != nil {
				c.prepare(w)
			}
			a := w.account(c.user, c.password)
			for range 2 {
				err := a.Prove(t.Context())
				if c.want == nil && err != nil || c.want != nil && !errors.As(err, c.want) {
					t.Errorf("%v", err)
				}
			}
			if a.Proven() != c.proven {
				t.Errorf("proven: %t", a.Proven())
			}
			if n := w.directory.BadPasswords("exadmin"); n > 1 || (n == 1) != (c.name == "wrong") {
				t.Errorf("%d failed sign-ins", n)
			}
		})
	}
}

// After Prove, a server that refuses is known to have another reason than the password.
func TestProveTellsRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.web(false, httpauth.Options{Methods: []httpauth.Method{httpauth.NTLM}})
	a := w.account(exadmin, password)
	if err := a.Prove(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.directory.Change("exadmin", func(u *account.User) { u.Disabled = true }); err != nil {
		t.Fatal(err)
	}
	_, _, err := post(t, w.client(a, winauth.NTLM), ews, "x")
	var refused *winauth.RefusedError
	if !errors.As(err, &refused) || !refused.Proven || refused.Method != winauth.NTLM {
		t.Errorf("%v", err)
	}
}

// Without a password nobody is asked; and what a server said of the password is the last word.
func TestProveAsksNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.account(exadmin, "").Prove(t.Context()); err != nil {
		t.Errorf("%v", err)
	}
	cached := w.accountWith(exadmin, "", func(o *winauth.AccountOptions) { o.Cache = "/tmp/krb5cc_0" })
	if err := cached.Prove(t.Context()); err != nil {
		t.Errorf("%v", err)
	}
	a := w.account(exadmin, password)
	wrong := &winauth.WrongPasswordError{}
	_ = a.Try(t.Context(), "LDAP", func(context.Context, connections.Secret) error { return wrong })
	if err := a.Prove(t.Context()); !errors.Is(err, wrong) {
		t.Errorf("%v", err)
	}
	if len(w.dialled) != 0 {
		t.Errorf("dialled %v", w.dialled)
	}
}

// A domain controller that does not answer is not waited for longer than five seconds.
func TestProveLimit(t *testing.T) {
	t.Parallel()
	resolver := controllers(t, "dc1.corp.test.")
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		silent := func(context.Context, string, string) (net.Conn, error) {
			asked.Add(1)
			here, there := net.Pipe()
			go func() { _, _ = io.Copy(io.Discard, there) }()
			return here, nil
		}
		a := winauth.NewAccount(winauth.AccountOptions{Name: exadmin, Password: connections.NewSecret(password), Dial: silent, Resolver: resolver})
		begin := time.Now()
		if err := a.Prove(t.Context()); err != nil || asked.Load() != 1 || time.Since(begin) != 5*time.Second {
			t.Errorf("%v after %s, asked %d", err, time.Since(begin), asked.Load())
		}
		// What signs in next does not wait for the same again; a later one does.
		var none *winauth.NoKDCError
		if _, err := a.Kerberos(t.Context(), webSPN, winauth.KerberosOptions{}); !errors.As(err, &none) || asked.Load() != 1 || time.Since(begin) != 5*time.Second {
			t.Errorf("%v after %s, asked %d", err, time.Since(begin), asked.Load())
		}
		if err := a.Prove(t.Context()); err != nil || asked.Load() != 1 || time.Since(begin) != 5*time.Second {
			t.Errorf("%v after %s, asked %d", err, time.Since(begin), asked.Load())
		}
		time.Sleep(2 * time.Minute)
		if err := a.Prove(t.Context()); err != nil || asked.Load() != 2 {
			t.Errorf("%v, asked %d", err, asked.Load())
		}
		// Nor does it wait where somebody else did, as long or longer.
		time.Sleep(2 * time.Minute)
		short, cancel := context.WithTimeout(t.Context(), 7*time.Second)
		defer cancel()
		if _, err := a.Kerberos(short, webSPN, winauth.KerberosOptions{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		begin = time.Now()
		if _, err := a.Kerberos(t.Context(), webSPN, winauth.KerberosOptions{}); !errors.As(err, &none) || time.Since(begin) != 0 {
			t.Errorf("%v after %s", err, time.Since(begin))
		}
	})
}

// One that does not answer does not stand for the others: each is waited for once.
func TestProveAsksAnotherController(t *testing.T) {
	t.Parallel()
	resolver := controllers(t, "dc1.corp.test.", "dc2.corp.test.")
	synctest.Test(t, func(t *testing.T) {
		var asked []string
		silent := func(_ context.Context, _, address string) (net.Conn, error) {
			asked = append(asked, address)
			here, there := net.Pipe()
			go func() { _, _ = io.Copy(io.Discard, there) }()
			return here, nil
		}
		a := winauth.NewAccount(winauth.AccountOptions{Name: exadmin, Password: connections.NewSecret(password), Dial: silent, Resolver: resolver})
		for range 4 {
			if err := a.Prove(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if want := []string{"dc1.corp.test:88", "dc2.corp.test:88"}; !slices.Equal(asked, want) {
			t.Errorf("asked %v, want %v", asked, want)
		}
	})
}

// controllers is a resolver that knows these domain controllers, the preferred one first.
func controllers(t *testing.T, hosts ...string) *net.Resolver {
	t.Helper()
	records := func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		go func() {
			defer there.Close()
			c := &dns.Conn{Conn: there}
			if q, err := c.ReadMsg(); err == nil {
				m := new(dns.Msg).SetReply(q)
				for i, host := range hosts {
					m.Answer = append(m.Answer, &dns.SRV{
						Hdr:    dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeSRV, Class: dns.ClassINET, Ttl: 60},
						Target: host, Port: 88, Priority: uint16(i), //nolint:gosec // a few
					})
				}
				_ = c.WriteMsg(m)
			}
		}()
		return here, nil
	}
	resolver := &net.Resolver{PreferGo: true, Dial: records}
	// The first look-up of a process reads the system's settings, which belong to no bubble.
	if _, _, err := resolver.LookupSRV(t.Context(), "kerberos", "tcp", "corp.test"); err != nil {
		t.Fatal(err)
	}
	return resolver
}
