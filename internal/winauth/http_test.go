package winauth_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/sim/onprem/account"
	"github.com/c2conn/c2conn/internal/sim/onprem/binding"
	"github.com/c2conn/c2conn/internal/sim/onprem/httpauth"
	"github.com/c2conn/c2conn/internal/winauth"
)

const ews = "https://exch01.corp.test/EWS/Exchange.asmx"

// What the client chooses of what servers offer, and which requests it takes.
func TestHTTPSignIn(t *testing.T) {
	t.Parallel()
	const negotiate, kerberosOnly, ntlm, basic = httpauth.Negotiate, httpauth.NegotiateKerberos, httpauth.NTLM, httpauth.Basic
	for _, c := range []struct {
		name    string
		offered []httpauth.Method
		mode    binding.Mode
		prepare func(*world)
		methods []winauth.Method
		want    string // who and how
		log     string // of two requests
		why     string
	}{
		{name: "Kerberos", offered: []httpauth.Method{negotiate, ntlm}, want: "exadmin Kerberos", log: "POST 0, POST 4 Negotiate, POST 4"},
		{name: "Kerberos, binding required", offered: []httpauth.Method{negotiate, ntlm}, mode: binding.Require, want: "exadmin Kerberos", log: "POST 0, POST 4 Negotiate, POST 4"},
		{name: "Kerberos alone", offered: []httpauth.Method{kerberosOnly}, want: "exadmin Kerberos", log: "POST 0, POST 4 Negotiate, POST 4"},
		{name: "NTLM alone", offered: []httpauth.Method{ntlm}, want: "exadmin NTLM", log: "POST 0, POST 0 NTLM, POST 4 NTLM, POST 4"},
		{name: "NTLM alone, binding required", offered: []httpauth.Method{ntlm}, mode: binding.Require, want: "exadmin NTLM", log: "POST 0, POST 0 NTLM, POST 4 NTLM, POST 4"},
		{name: "NTLM, as told", offered: []httpauth.Method{negotiate, ntlm}, methods: []winauth.Method{winauth.NTLM}, want: "exadmin NTLM", log: "POST 0, POST 0 NTLM, POST 4 NTLM, POST 4"},
		{name: "NTLM within Negotiate", offered: []httpauth.Method{negotiate}, methods: []winauth.Method{winauth.NTLM}, want: "exadmin NTLM", log: "POST 0, POST 0 Negotiate, POST 4 Negotiate, POST 4"},
		{name: "no KDC", offered: []httpauth.Method{negotiate, ntlm}, prepare: func(w *world) { w.srv("_kerberos._tcp.corp.test.") }, want: "exadmin NTLM", log: "POST 0, POST 0 NTLM, POST 4 NTLM, POST 4", why: "DNS names no domain controller"},
		{name: "clock", offered: []httpauth.Method{negotiate, ntlm}, prepare: func(w *world) { w.offset = 10 * time.Minute }, want: "exadmin NTLM", log: "POST 0, POST 0 NTLM, POST 4 NTLM, POST 4", why: "the clock of this computer"},
		{name: "Basic", offered: []httpauth.Method{basic}, want: "exadmin Basic", log: "POST 0, POST 4 Basic, POST 4 Basic"},
		{name: "Basic, as told", offered: []httpauth.Method{negotiate, ntlm, basic}, methods: []winauth.Method{winauth.Basic}, want: "exadmin Basic", log: "POST 0, POST 4 Basic, POST 4 Basic"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			site := undisturbed(func() *web {
				w := newWorld(t)
				if c.prepare != nil {
					c.prepare(w)
				}
				site := w.web(false, httpauth.Options{Methods: c.offered, ExtendedProtection: c.mode})
				a := w.account(exadmin, password)
				client := w.client(a, c.methods...)
				for range 2 {
					status, body, err := post(t, client, ews, "soap")
					if err != nil || status != 200 || body != c.want+" soap" {
						t.Fatalf("%d %q %v", status, body, err)
					}
				}
				s, ok := a.SignIn("exch01.corp.test")
				if !ok || !strings.HasSuffix(c.want, string(s.Method)) || s.Host != "exch01.corp.test:443" || !strings.Contains(fmt.Sprint(s.Why), c.why) {
					t.Errorf("%+v", s)
				}
				if n := w.directory.FailedSignIns(); n != 0 && c.name != "clock" {
					t.Errorf("%d failed sign-ins", n)
				}
				return site
			})
			if site.log() != c.log {
				t.Errorf("requests %s, want %s", site.log(), c.log)
			}
		})
	}
}

// Eight requests at once with a wrong password: one failed sign-in, whatever the method.
func TestHTTPWrongPasswordCostsOne(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		offered []httpauth.Method
		methods []winauth.Method
		said    string // by whom
	}{
		{"Kerberos", []httpauth.Method{httpauth.Negotiate, httpauth.NTLM}, nil, "Kerberos"},
		{"NTLM", []httpauth.Method{httpauth.NTLM}, []winauth.Method{winauth.NTLM}, "NTLM"},
		{"NTLM, the domain asked first", []httpauth.Method{httpauth.NTLM}, nil, "Kerberos"},
		{"Basic", []httpauth.Method{httpauth.Basic}, []winauth.Method{winauth.Basic, winauth.NTLM}, "Basic"},
		{"Basic, the domain asked first", []httpauth.Method{httpauth.Basic}, nil, "Kerberos"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.web(false, httpauth.Options{Methods: c.offered})
			client := w.client(w.account(exadmin, "wrong"), c.methods...)
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					_, _, err := post(t, client, ews, "soap")
					var wrong *winauth.WrongPasswordError
					if !errors.As(err, &wrong) || wrong.Protocol != c.said || !strings.Contains(err.Error(), "the password of exadmin@corp.test is wrong") {
						t.Errorf("%v", err)
					}
				})
			}
			wg.Wait()
			if n := w.directory.FailedSignIns(); n != 1 {
				t.Errorf("%d failed sign-ins", n)
			}
		})
	}
}

// Ten wrong passwords, typed one after the other, are ten accounts: ten failed
// sign-ins, with three servers asked each time.
func TestTenWrongPasswords(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.web(false, iis(binding.Allow))
	for i := range 10 {
		a := w.account("off@corp.test", fmt.Sprint("wrong", i))
		client := w.client(a)
		for range 3 {
			if _, _, err := post(t, client, ews, "soap"); err == nil {
				t.Fatal("signed in")
			}
		}
		if _, err := a.Kerberos(t.Context(), "ldap/dc1.corp.test", winauth.KerberosOptions{}); err == nil {
			t.Fatal("signed in")
		}
	}
	// The directory locks the account after five: those after that are refused, too.
	if n := w.directory.FailedSignIns(); n != 10 {
		t.Errorf("%d failed sign-ins", n)
	}
}

// With the password proven by the KDC, a server that refuses says nothing about it.
func TestHTTPRefusedAlthoughRight(t *testing.T) {
	t.Parallel()
	for name, offered := range map[string][]httpauth.Method{
		"Negotiate and NTLM": {httpauth.Negotiate, httpauth.NTLM}, "NTLM alone": {httpauth.NTLM},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			// The server is behind something that ends TLS: bindings are of another certificate.
			w.web(false, httpauth.Options{Methods: offered, ExtendedProtection: binding.Require, Certificate: w.ca.sign(t, nil).Leaf.Raw})
			client := w.client(w.account(exadmin, password))
			for range 2 {
				_, _, err := post(t, client, ews, "soap")
				var refused *winauth.RefusedError
				var ticket *winauth.TicketRefusedError
				if !errors.As(err, &refused) || !refused.Proven || refused.Method != winauth.NTLM || refused.Status != 401 || errors.As(err, &ticket) != (len(offered) == 2) {
					t.Errorf("%v", err)
				}
			}
			if n := w.directory.BadPasswords("exadmin"); n != 0 {
				t.Errorf("%d wrong passwords", n)
			}
		})
	}
}

// Parallel requests share at most four connections, and each signs in once.
func TestHTTPLanes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var running, most atomic.Int32
	site := w.web(false, iis(binding.Require))
	inner := site.Config.Handler
	site.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		most.Store(max(most.Load(), running.Add(1)))
		defer running.Add(-1)
		inner.ServeHTTP(rw, r)
	})
	client := w.client(w.account(exadmin, password))
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			want := fmt.Sprintf("message %d", i)
			status, body, err := post(t, client, ews, want)
			if err != nil || status != 200 || body != "exadmin Kerberos "+want {
				t.Errorf("%d %q %v", status, body, err)
			}
		})
	}
	wg.Wait()
	if most.Load() > 4 {
		t.Errorf("%d requests at once", most.Load())
	}
	if n := strings.Count(site.log(), "Negotiate"); n > 4 {
		t.Errorf("%d sign-ins", n)
	}
	if n := w.directory.SuccessfulSignIns(account.Kerberos); n != 1 {
		t.Errorf("%d sign-ins to the domain", n)
	}
}

// A connection that was closed is replaced, and a request that may be repeated is
// sent again.
func TestHTTPReconnects(t *testing.T) {
	t.Parallel()
	for _, method := range []winauth.Method{winauth.Kerberos, winauth.NTLM} {
		w := newWorld(t)
		site := w.web(false, iis(binding.Require))
		client := w.client(w.account(exadmin, password), method)
		for range 3 {
			if status, body, err := do(t, client, http.MethodGet, ews, ""); err != nil || status != 200 || body != "exadmin "+string(method)+" " {
				t.Fatalf("%s: %d %q %v", method, status, body, err)
			}
			site.CloseClientConnections()
		}
	}
}

// A server that does not keep the sign-in of a connection gets a ticket each time.
func TestHTTPKerberosForEachRequest(t *testing.T) {
	t.Parallel()
	site := undisturbed(func() *web {
		w := newWorld(t)
		site := w.web(false, iis(binding.Require))
		inner := site.Config.Handler
		site.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			inner.ServeHTTP(rw, r.WithContext(httpauth.ConnContext(r.Context(), nil)))
		})
		client := w.client(w.account(exadmin, password))
		for range 4 {
			if status, body, err := post(t, client, ews, "soap"); err != nil || status != 200 || body != "exadmin Kerberos soap" {
				t.Fatalf("%d %q %v", status, body, err)
			}
		}
		return site
	})
	if want := "POST 0, POST 4 Negotiate, POST 4, POST 4 Negotiate, POST 4 Negotiate, POST 4 Negotiate"; site.log() != want {
		t.Errorf("requests %s", site.log())
	}
}
