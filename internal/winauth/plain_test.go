package winauth_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/internal/sim/onprem/httpauth"
	"github.com/c2conn/c2conn/internal/winauth"
)

// What may go over plain http: Kerberos and NTLM where each is allowed, Basic never.
func TestPlainMethods(t *testing.T) {
	t.Parallel()
	const negotiate, ntlm, basic = httpauth.Negotiate, httpauth.NTLM, httpauth.Basic
	noKDC := func(w *world) { w.srv("_kerberos._tcp.corp.test.") }
	for _, c := range []struct {
		name    string
		offered []httpauth.Method
		o       winauth.HTTPOptions
		prepare func(*world)
		want    string // who and how; "" = a *PlainError
		ntlm    bool   // the error says that NTLM would do
		say     string // the error's text
		log     string // schemes of Authorization that the server saw, of one request
	}{
		{name: "NTLM alone, not allowed", offered: []httpauth.Method{ntlm}, ntlm: true, say: "NTLM over http"},
		{name: "NTLM alone, Kerberos allowed", offered: []httpauth.Method{ntlm, basic}, o: winauth.HTTPOptions{PlainKerberos: true}, ntlm: true, say: "it offers NTLM, Basic"},
		{name: "NTLM alone, allowed", offered: []httpauth.Method{ntlm, basic}, o: winauth.HTTPOptions{PlainNTLM: true}, want: "exadmin NTLM", log: "NTLM NTLM"},
		{name: "NTLM alone, both allowed", offered: []httpauth.Method{ntlm}, o: winauth.HTTPOptions{PlainNTLM: true, PlainKerberos: true}, want: "exadmin NTLM", log: "NTLM NTLM"},
		{name: "NTLM within Negotiate, allowed", offered: []httpauth.Method{negotiate}, o: winauth.HTTPOptions{PlainNTLM: true}, want: "exadmin NTLM", log: "Negotiate Negotiate"},
		{name: "both offered, both allowed", offered: []httpauth.Method{negotiate, ntlm, basic}, o: winauth.HTTPOptions{PlainNTLM: true, PlainKerberos: true}, want: "exadmin Kerberos", log: "Negotiate"},
		{name: "both offered, NTLM allowed", offered: []httpauth.Method{negotiate, ntlm}, o: winauth.HTTPOptions{PlainNTLM: true}, want: "exadmin NTLM", log: "NTLM NTLM"},
		{name: "both offered, Kerberos allowed", offered: []httpauth.Method{negotiate, ntlm}, o: winauth.HTTPOptions{PlainKerberos: true}, want: "exadmin Kerberos", log: "Negotiate"},
		{name: "both offered, neither allowed", offered: []httpauth.Method{negotiate, ntlm}, ntlm: true, say: "it offers Negotiate, NTLM"},
		{name: "both allowed, no KDC", offered: []httpauth.Method{negotiate, ntlm}, o: winauth.HTTPOptions{PlainNTLM: true, PlainKerberos: true}, prepare: noKDC, want: "exadmin NTLM", log: "NTLM NTLM"},
		{name: "Kerberos allowed, no KDC", offered: []httpauth.Method{negotiate, ntlm}, o: winauth.HTTPOptions{PlainKerberos: true}, prepare: noKDC, ntlm: true, say: "DNS names no domain controller"},
		{name: "NTLM allowed, but not wanted", offered: []httpauth.Method{negotiate, ntlm}, o: winauth.HTTPOptions{PlainNTLM: true, Methods: []winauth.Method{winauth.Kerberos}}, say: "plain http"},
		{name: "Basic alone", offered: []httpauth.Method{basic}, o: winauth.HTTPOptions{PlainNTLM: true, PlainKerberos: true}, say: "it offers Basic"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if c.prepare != nil {
				c.prepare(w)
			}
			site := w.web(true, httpauth.Options{Methods: c.offered})
			client := w.account(exadmin, password).HTTP(c.o)
			t.Cleanup(client.CloseIdleConnections)
			status, body, err := post(t, client, "http://exch01.corp.test/_api/web", "x")
			var plain *winauth.PlainError
			switch {
			case c.want != "":
				if err != nil || status != 200 || body != c.want+" x" {
					t.Errorf("%d %q %v", status, body, err)
				}
			case !errors.As(err, &plain) || plain.NTLM != c.ntlm || plain.Server != "exch01.corp.test:80" || len(plain.Offered) != len(c.offered) || !strings.Contains(err.Error(), c.say):
				t.Errorf("%+v %v", plain, err)
			}
			var seen []string
			for r := range strings.SplitSeq(site.log(), ", ") {
				if f := strings.Fields(r); len(f) > 2 {
					seen = append(seen, f[2])
				}
			}
			if got := strings.Join(seen, " "); got != c.log {
				t.Errorf("sent %q", got)
			}
			if w.directory.FailedSignIns() != 0 {
				t.Error("a failed sign-in")
			}
		})
	}
}

// A wrong password costs one failed sign-in over plain http, too.
func TestPlainWrongPassword(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	site := w.web(true, httpauth.Options{Methods: []httpauth.Method{httpauth.NTLM}})
	client := w.account(exadmin, "wrong").HTTP(winauth.HTTPOptions{PlainNTLM: true})
	for range 3 {
		_, _, err := post(t, client, "http://exch01.corp.test/", "x")
		var wrong *winauth.WrongPasswordError
		if !errors.As(err, &wrong) || wrong.Protocol != "Kerberos" { // the domain is asked, whatever may go over http
			t.Errorf("%v", err)
		}
	}
	if n := w.directory.FailedSignIns(); n != 1 || strings.Contains(site.log(), "NTLM") {
		t.Errorf("%d failed sign-ins; %s", n, site.log())
	}
}
