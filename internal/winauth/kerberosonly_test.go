package winauth_test

import (
	"cmp"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/sim/onprem/httpauth"
	"github.com/c2conn/c2conn/internal/winauth"
)

// A server that takes nothing but Kerberos (IIS with the provider Negotiate:Kerberos)
// refuses NTLM before it has seen a proof of the password: what is to be told is why
// Kerberos failed.
func TestServerThatTakesKerberosOnly(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		host    string // that is asked; "" = exch01
		prepare func(*world)
		says    string
		proven  bool
		failed  int // that the domain counts; a wrong clock is one
	}{
		{name: "no domain controller", prepare: func(w *world) { w.srv("_kerberos._tcp.corp.test.") }, says: "DNS names no domain controller"},
		{name: "no service principal name", host: "autodiscover.corp.test", proven: true, says: "no account has that service principal name"},
		{name: "the clock", prepare: func(w *world) { w.offset = 10 * time.Minute }, says: "the clock of this computer", failed: 1},
	} {
		for _, plain := range []bool{false, true} {
			t.Run(c.name+map[bool]string{true: " over http"}[plain], func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				site := w.web(plain, httpauth.Options{Methods: []httpauth.Method{httpauth.NegotiateKerberos}})
				if c.prepare != nil {
					c.prepare(w)
				}
				host, port := cmp.Or(c.host, exchange), map[bool]string{true: ":80", false: ":443"}[plain]
				w.at(host+port, site.Listener.Addr().String())
				a := w.account(exadmin, password)
				client := a.HTTP(winauth.HTTPOptions{Trust: winauth.NewTrust(winauth.TrustOptions{Roots: w.ca.pool}), PlainKerberos: true, PlainNTLM: true})
				defer client.CloseIdleConnections()
				url := map[bool]string{true: "http://", false: "https://"}[plain] + host + "/EWS/Exchange.asmx"
				for range 2 {
					_, _, err := post(t, client, url, "x")
					var none *winauth.NoMethodError
					if !errors.As(err, &none) || !none.KerberosOnly || !strings.Contains(err.Error(), "takes Kerberos only") || !strings.Contains(err.Error(), c.says) {
						t.Errorf("%v", err)
					}
				}
				if a.Proven() != c.proven || w.directory.BadPasswords("exadmin") != 0 || w.directory.FailedSignIns() > c.failed {
					t.Errorf("proven %v, %d failed sign-ins", a.Proven(), w.directory.FailedSignIns())
				}
				if s, ok := a.SignIn(host + port); ok {
					t.Errorf("signed in: %+v", s)
				}
			})
		}
	}
}

// A server that takes the ticket, and proves it, refuses what was asked for, not the
// ticket.
func TestTicketTakenAndRequestRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	site := w.web(false, httpauth.Options{Methods: []httpauth.Method{httpauth.NegotiateKerberos}})
	w.at(exchange+":443", site.Listener.Addr().String())
	client := w.client(w.account(exadmin, password))
	_, _, err := post(t, client, "https://"+exchange+"/denied", "x")
	var refused *winauth.RefusedError
	var ticket *winauth.TicketRefusedError
	if !errors.As(err, &refused) || !refused.Taken || !refused.Proven || errors.As(err, &ticket) || !strings.Contains(err.Error(), "took the Kerberos ticket") {
		t.Errorf("%v", err)
	}
	if w.directory.FailedSignIns() != 0 {
		t.Errorf("%d failed sign-ins", w.directory.FailedSignIns())
	}
}
