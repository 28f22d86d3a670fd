package winauth_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/sim/onprem/binding"
	"github.com/c2conn/c2conn/internal/sim/onprem/kdc"
	"github.com/c2conn/c2conn/internal/sim/onprem/krb"
	"github.com/c2conn/c2conn/internal/winauth"
)

// Who the domain knows under several names signs in under each of them.
func TestKerberosNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct{ name, password, domain, sam string }{
		{exadmin, password, "", "exadmin"},
		{exadmin, password, "corp.test", "exadmin"},
		{"EXADMIN@CORP.TEST", password, "", "exadmin"},
		{`CORP\exadmin`, password, "", "exadmin"},
		{"exadmin", password, "", "exadmin"},
		{"alice@contoso.example", "Al1ce!Pass", "", "asmith"},           // found by the server's domain
		{"alice@contoso.example", "Al1ce!Pass", "corp.test.", "asmith"}, // found by the one that was given
		{"alice@corp.test", "Not-the-same-1", "", "alice"},              // no UPN, but the account's own name
		{"Administrator@corp.test", "Adm1n!Pass", "", "Administrator"},  // has no UPN
		{"old@corp.test", "0ld!Pass", "", "old"},                        // has an RC4 key alone
	} {
		t.Run(c.name+" "+c.domain, func(t *testing.T) {
			t.Parallel()
			a := w.accountWith(c.name, c.password, func(o *winauth.AccountOptions) { o.Domain = c.domain })
			k, err := a.Kerberos(t.Context(), webSPN, winauth.KerberosOptions{Raw: true})
			if err != nil {
				t.Fatal(err)
			}
			if !a.Proven() {
				t.Error("the password is not proven")
			}
			acceptor := krb.NewAcceptor(krb.AcceptorOptions{Directory: w.directory, SPNs: []string{webSPN}})
			s, err := acceptor.Accept(k.Token(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if s.User.SAM != c.sam {
				t.Errorf("signed in as %s", s.User.SAM)
			}
			if err := k.Accept(s.Reply); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestKerberosRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct {
		name, password, spn string
		want                any // a pointer to the type of error
		say                 string
	}{
		{exadmin, "wrong", webSPN, new(*winauth.WrongPasswordError), "wrong"},
		{"nobody@corp.test", "x", webSPN, new(*winauth.UnknownUserError), "nobody@corp.test"},
		{exadmin, password, "HTTP/mail.corp.test", new(*winauth.UnknownSPNError), "has that service principal name"},
		{exadmin, password, "HTTP/10.0.0.10", new(*winauth.AddressError), "IP address"},
		{exadmin, password, "HTTP/exch01.elsewhere.example", new(*winauth.UnknownSPNError), "HTTP/exch01.elsewhere.example"},
		{"alice@nowhere.example", "x", "HTTP/exch01.nowhere.example", new(*winauth.NoKDCError), "_kerberos._tcp.nowhere.example"},
		{"alice", "x", "HTTP/exch01", new(*winauth.NoKDCError), "no Active Directory domain"},
		{"off@corp.test", "0ff!Pass", webSPN, new(*winauth.LockedError), "disabled"},
		{"locked@corp.test", "L0cked!Pass", webSPN, new(*winauth.LockedError), "locked"},
		{"expired@corp.test", "Exp1red!Pass", webSPN, new(*winauth.LockedError), "expired"},
		{"fresh@corp.test", "Fr3sh!Pass", webSPN, new(*winauth.LockedError), "changed"},
	} {
		t.Run(c.name+" "+c.spn, func(t *testing.T) {
			t.Parallel()
			_, err := w.account(c.name, c.password).Kerberos(t.Context(), c.spn, winauth.KerberosOptions{})
			if err == nil || !errors.As(err, c.want) || !strings.Contains(err.Error(), c.say) {
				t.Errorf("%T %v, want %T with %q", err, err, c.want, c.say)
			}
			if err != nil && c.password != "x" && strings.Contains(err.Error(), c.password) && c.password != "wrong" {
				t.Error("the password is in the error")
			}
		})
	}
}

// Eight at once, a wrong password: one failed sign-in.
func TestKerberosWrongPasswordCostsOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.account(exadmin, "wrong")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			_, err := a.Kerberos(t.Context(), []string{webSPN, "ldap/dc1.corp.test"}[i%2], winauth.KerberosOptions{})
			var wrong *winauth.WrongPasswordError
			if !errors.As(err, &wrong) {
				t.Errorf("%v", err)
			}
		})
	}
	wg.Wait()
	if n := w.directory.FailedSignIns(); n != 1 {
		t.Errorf("%d failed sign-ins", n)
	}
}

// One sign-in and one ticket serve all contexts.
func TestTicketsAreKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.account(exadmin, password)
	acceptor := krb.NewAcceptor(krb.AcceptorOptions{Directory: w.directory, SPNs: []string{webSPN}})
	for range 3 {
		k, err := a.Kerberos(t.Context(), webSPN, winauth.KerberosOptions{Raw: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := acceptor.Accept(k.Token(), nil); err != nil {
			t.Error(err) // a second use of the same authenticator would be a replay
		}
	}
	if _, err := a.Kerberos(t.Context(), "HTTP/exch01", winauth.KerberosOptions{}); err != nil {
		t.Fatal(err)
	}
	as, tgs := w.kdc.Requests()
	if as != 2 || tgs != 2 { // the first AS request is answered with how to prove the password
		t.Errorf("%d AS and %d TGS requests", as, tgs)
	}
	// When they end, others are got.
	w.mu.Lock()
	w.later = 9*time.Hour + 59*time.Minute
	w.mu.Unlock()
	if _, err := a.Kerberos(t.Context(), webSPN, winauth.KerberosOptions{}); err != nil {
		t.Errorf("%v", err)
	}
	if as, tgs := w.kdc.Requests(); as != 4 || tgs != 3 {
		t.Errorf("%d AS and %d TGS requests after the tickets ended", as, tgs)
	}
}

func TestClockSkew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.offset = -7 * time.Minute
	a := w.account(exadmin, password)
	_, err := a.Kerberos(t.Context(), webSPN, winauth.KerberosOptions{})
	var skew *winauth.ClockSkewError
	if !errors.As(err, &skew) {
		t.Fatal(err)
	}
	if d := skew.There.Sub(skew.Here); d < 6*time.Minute+50*time.Second || d > 7*time.Minute+10*time.Second ||
		!strings.Contains(err.Error(), skew.Here.UTC().Format(time.DateTime)) || !strings.Contains(err.Error(), skew.There.UTC().Format(time.DateTime)) {
		t.Errorf("%s: %v", d, err)
	}
	if a.Proven() {
		t.Error("proven")
	}
}

// A KDC that does not answer is passed over; what the domain says is final.
func TestNextKDC(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.srv("_kerberos._tcp.corp.test.",
		&net.SRV{Target: "dead.corp.test.", Port: 88, Priority: 0}, &net.SRV{Target: "hung.corp.test.", Port: 88, Priority: 1}, &net.SRV{Target: "dc1.corp.test.", Port: 88, Priority: 2})
	hung, err := kdc.Start(kdc.Options{Directory: w.directory})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hung.Close() })
	hung.SetFault(kdc.HangsUp)
	w.at("hung.corp.test:88", hung.Addr())
	a := w.account(exadmin, password)
	if _, err := a.Kerberos(t.Context(), webSPN, winauth.KerberosOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(w.dialled, " "); got != "dead.corp.test:88 hung.corp.test:88 dc1.corp.test:88 dc1.corp.test:88 dc1.corp.test:88" {
		t.Errorf("dialled %s", got)
	}
}

func TestNoKDC(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.srv("_kerberos._tcp.corp.test.", &net.SRV{Target: "dead.corp.test.", Port: 88}, &net.SRV{Target: "dead2.corp.test.", Port: 88, Priority: 1})
	a := w.account(exadmin, password)
	for range 2 {
		_, err := a.Kerberos(t.Context(), webSPN, winauth.KerberosOptions{})
		var none *winauth.NoKDCError
		if !errors.As(err, &none) || strings.Join(none.Tried, " ") != "dead.corp.test:88 dead2.corp.test:88" || none.Domain != "corp.test" {
			t.Fatalf("%v", err)
		}
	}
	if len(w.dialled) != 2 {
		t.Errorf("dialled %v: the failure is kept", w.dialled)
	}
}

func TestSilentKDCObeysContext(t *testing.T) {
	t.Parallel()
	for name, ask := range map[string]func(context.Context, *winauth.Account) error{
		"a ticket": func(ctx context.Context, a *winauth.Account) error {
			_, err := a.Kerberos(ctx, webSPN, winauth.KerberosOptions{})
			return err
		},
		"the password": func(ctx context.Context, a *winauth.Account) error { return a.Prove(ctx) },
	} {
		w := newWorld(t)
		w.kdc.SetFault(kdc.Silent)
		ctx, cancel := context.WithCancel(t.Context())
		a := w.accountWith(exadmin, password, func(o *winauth.AccountOptions) {
			o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				defer cancel() // once it is connected
				return w.dial(ctx, network, address)
			}
		})
		if err := ask(ctx, a); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKDCFaults(t *testing.T) {
	t.Parallel()
	for fault, say := range map[kdc.Fault]string{kdc.NoCommonETypes: "KDC_ERR_ETYPE_NOSUPP", kdc.OtherRealmsOnly: "KDC_ERR_WRONG_REALM"} {
		w := newWorld(t)
		w.kdc.SetFault(fault)
		_, err := w.account(exadmin, password).Kerberos(t.Context(), webSPN, winauth.KerberosOptions{})
		if err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%v, want %s", err, say)
		}
	}
}

// DOMAIN\user of a domain that is not called like the realm is never taken for the
// user of the same name in it.
func TestForeignShortName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.account(`EU\exadmin`, password).Kerberos(t.Context(), webSPN, winauth.KerberosOptions{})
	if err == nil {
		t.Error("signed in as another domain's account")
	}
	if n := w.directory.BadPasswords("exadmin"); n != 0 {
		t.Errorf("%d wrong passwords of another account", n)
	}
}

func TestKerberosChannelBinding(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.account(exadmin, password)
	own, err := binding.EndPoint(w.cert.Leaf.Raw)
	if err != nil {
		t.Fatal(err)
	}
	other := w.ca.sign(t, nil)
	for _, c := range []struct {
		name string
		mode binding.Mode
		o    winauth.KerberosOptions
		ok   bool
	}{
		{"required and right", binding.Require, winauth.KerberosOptions{Certificate: w.cert.Leaf}, true},
		{"required and absent", binding.Require, winauth.KerberosOptions{}, false},
		{"required and wrong", binding.Require, winauth.KerberosOptions{Certificate: other.Leaf}, false},
		{"allowed and right", binding.Allow, winauth.KerberosOptions{Certificate: w.cert.Leaf}, true},
		{"allowed and absent", binding.Allow, winauth.KerberosOptions{}, true},
		{"allowed and wrong", binding.Allow, winauth.KerberosOptions{Certificate: other.Leaf}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.o.Raw = true
			k, err := a.Kerberos(t.Context(), webSPN, c.o)
			if err != nil {
				t.Fatal(err)
			}
			_, err = krb.NewAcceptor(krb.AcceptorOptions{Directory: w.directory, SPNs: []string{webSPN}, ExtendedProtection: c.mode}).Accept(k.Token(), own)
			if (err == nil) != c.ok {
				t.Errorf("%v", err)
			}
		})
	}
}

// What each side seals, the other opens, in order.
func TestSealingBothWays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k, err := w.account(exadmin, password).Kerberos(t.Context(), webSPN, winauth.KerberosOptions{Raw: true})
	if err != nil {
		t.Fatal(err)
	}
	s, err := krb.NewAcceptor(krb.AcceptorOptions{Directory: w.directory, SPNs: []string{webSPN}}).Accept(k.Token(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Accept(s.Reply); err != nil {
		t.Fatal(err)
	}
	if err := k.Accept(s.Reply); err == nil {
		t.Error("a second answer is taken")
	}
	for _, n := range []int{1, 0, 15, 16, 17, 100_000} {
		message := strings.Repeat("m", n)
		header, data, err := k.Wrap([]byte(message))
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Unwrap(append(header, data...))
		if err != nil || string(got) != message {
			t.Fatalf("%d bytes to the server: %v", n, err)
		}
		header, data, err = s.Wrap([]byte(message))
		if err != nil {
			t.Fatal(err)
		}
		got, err = k.Unwrap(header, data)
		if err != nil || string(got) != message {
			t.Fatalf("%d bytes from the server: %v", n, err)
		}
		if _, err := k.Unwrap(header, data); err == nil {
			t.Error("the same message twice is taken")
		}
	}
}

// An answer to another sign-in does not prove the server.
func TestAcceptTakesItsOwnAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.account(exadmin, password)
	acceptor := krb.NewAcceptor(krb.AcceptorOptions{Directory: w.directory, SPNs: []string{webSPN}})
	var contexts [2]*winauth.Context
	var replies [2][]byte
	for i := range contexts {
		k, err := a.Kerberos(t.Context(), webSPN, winauth.KerberosOptions{Raw: true})
		if err != nil {
			t.Fatal(err)
		}
		s, err := acceptor.Accept(k.Token(), nil)
		if err != nil {
			t.Fatal(err)
		}
		contexts[i], replies[i] = k, s.Reply
	}
	var broken *winauth.ProtocolError
	if err := contexts[0].Accept(replies[1]); !errors.As(err, &broken) {
		t.Errorf("%v", err)
	}
}
