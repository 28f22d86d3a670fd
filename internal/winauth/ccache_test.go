package winauth_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/jcmturner/gokrb5/v8/client"
	"github.com/jcmturner/gokrb5/v8/config"
	"github.com/jcmturner/gokrb5/v8/test/testdata"

	"github.com/c2conn/c2conn/internal/sim/onprem/binding"
	"github.com/c2conn/c2conn/internal/sim/onprem/httpauth"
	"github.com/c2conn/c2conn/internal/winauth"
)

// file reads one file, whatever its name.
func file(b []byte) func(string) ([]byte, error) {
	return func(string) ([]byte, error) { return bytes.Clone(b), nil }
}

// A cache that MIT's kinit wrote: the test data of gokrb5.
func TestReadCache(t *testing.T) {
	t.Parallel()
	got, err := winauth.ReadCache("FILE:/tmp/krb5cc_0", file(unhex(testdata.CCACHE_TEST)))
	if err != nil {
		t.Fatal(err)
	}
	if got.Principal != "testuser1@TEST.GOKRB5" || got.Until.UTC().Format(time.RFC3339) != "2017-07-13T05:25:34Z" {
		t.Errorf("%+v", got)
	}
}

func TestReadCacheRefuses(t *testing.T) {
	t.Parallel()
	whole := unhex(testdata.CCACHE_TEST)
	missing := func(string) ([]byte, error) { return nil, fs.ErrNotExist }
	long := bytes.Clone(whole)
	binary.BigEndian.PutUint32(long[16+4:], 1<<31) // components of the owner's name
	for _, c := range []struct {
		name, path string
		read       func(string) ([]byte, error)
		say        string
	}{
		{"no file", "/tmp/krb5cc_0", missing, "not exist"},
		{"another kind", "KEYRING:persistent:0", missing, "KRB5CCNAME=FILE:"},
		{"empty", "x", file(nil), "not a Kerberos credential cache"},
		{"text", "x", file([]byte("hello")), "not a Kerberos credential cache"},
		{"version 1", "x", file([]byte{5, 1, 0, 0}), "version 1"},
		{"cut off", "x", file(whole[:len(whole)-20]), "cut off"},
		{"too many components", "x", file(long), "damaged"},
		{"no tickets", "x", file(whole[:52]), "no ticket"},
		{"huge", "x", file(make([]byte, 5<<20)), "larger"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := winauth.ReadCache(c.path, c.read)
			var ticket *winauth.TicketError
			if !errors.As(err, &ticket) || !strings.Contains(err.Error(), c.say) {
				t.Errorf("%v, want %q", err, c.say)
			}
		})
	}
}

func TestExpiredTicket(t *testing.T) {
	t.Parallel()
	a := winauth.NewAccount(winauth.AccountOptions{
		Cache: "/tmp/krb5cc_0", ReadFile: file(unhex(testdata.CCACHE_TEST)), Clock: fixedClock{time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)},
		Dial: dialTo("127.0.0.1:1"),
	})
	_, err := a.Kerberos(t.Context(), "HTTP/exch01.corp.test", winauth.KerberosOptions{})
	var ticket *winauth.TicketError
	if !errors.As(err, &ticket) || ticket.Until.Year() != 2017 || !strings.Contains(err.Error(), "kinit") {
		t.Errorf("%v", err)
	}
}

// cacheOf writes what kinit would: the ticket-granting ticket of exadmin, and
// tickets for services that it was used for.
func (w *world) cacheOf(services ...string) []byte {
	w.t.Helper()
	c, err := config.NewFromString("[libdefaults]\n default_realm = CORP.TEST\n dns_lookup_kdc = false\n udp_preference_limit = 1\n" +
		"[realms]\n CORP.TEST = {\n  kdc = " + w.kdc.Addr() + "\n }\n")
	if err != nil {
		w.t.Fatal(err)
	}
	k := client.NewWithPassword("exadmin", "CORP.TEST", password, c, client.DisablePAFXFAST(true))
	defer k.Destroy()
	data := func(b []byte, s string) []byte { return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...) }
	principal := func(b []byte, kind uint32, parts ...string) []byte {
		b = binary.BigEndian.AppendUint32(b, kind)
		b = data(binary.BigEndian.AppendUint32(b, uint32(len(parts))), "CORP.TEST")
		for _, p := range parts {
			b = data(b, p)
		}
		return b
	}
	out := principal([]byte{5, 4, 0, 0}, 1, "exadmin")
	for _, spn := range services {
		ticket, key, err := k.GetServiceTicket(spn)
		if err != nil {
			w.t.Fatal(err)
		}
		raw, err := ticket.Marshal()
		if err != nil {
			w.t.Fatal(err)
		}
		out = principal(principal(out, 1, "exadmin"), 2, strings.Split(spn, "/")...)
		out = data(binary.BigEndian.AppendUint16(out, uint16(key.KeyType)), string(key.KeyValue))
		for range 2 {
			out = binary.BigEndian.AppendUint32(out, uint32(time.Now().Unix()))
		}
		out = binary.BigEndian.AppendUint32(out, uint32(time.Now().Add(9*time.Hour).Unix()))
		out = append(out, make([]byte, 4+1+4+4+4)...)
		out = data(data(out, string(raw)), "")
	}
	return out
}

// A cache serves without a password: with its ticket-granting ticket, or, when it
// holds the service's own ticket, without any KDC.
func TestSignInWithCache(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.web(false, iis(binding.Require))
	for _, c := range []struct {
		tickets []string
		dialled string
	}{
		{[]string{"krbtgt/CORP.TEST"}, "exch01.corp.test:443 dc1.corp.test:88"},
		{[]string{"krbtgt/CORP.TEST", webSPN}, "exch01.corp.test:443"},
		{[]string{webSPN}, "exch01.corp.test:443"},
	} {
		w.mu.Lock()
		w.dialled = nil
		w.mu.Unlock()
		a := w.accountWith("exadmin@corp.test", "", func(o *winauth.AccountOptions) { o.Cache, o.ReadFile = "/tmp/krb5cc_0", file(w.cacheOf(c.tickets...)) })
		status, body, err := post(t, w.client(a), ews, "x")
		if err != nil || status != 200 || body != "exadmin Kerberos x" {
			t.Errorf("%v: %d %q %v", c.tickets, status, body, err)
		}
		if got := strings.Join(w.dialled, " "); got != c.dialled {
			t.Errorf("%v: dialled %s", c.tickets, got)
		}
	}
}

// What only a password could do is not tried with a cache.
func TestCacheIsNoPassword(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	site := w.web(false, httpauth.Options{Methods: []httpauth.Method{httpauth.NTLM, httpauth.Basic}})
	a := w.accountWith("exadmin@corp.test", "", func(o *winauth.AccountOptions) { o.Cache, o.ReadFile = "/tmp/krb5cc_0", file(w.cacheOf(webSPN)) })
	_, _, err := post(t, w.client(a), ews, "x")
	var none *winauth.NoMethodError
	if !errors.As(err, &none) || !none.NoPassword || site.log() != "POST 0" {
		t.Errorf("%v after %s", err, site.log())
	}
	// An unreadable cache is the reason itself.
	w.web(false, iis(binding.Require))
	a = w.accountWith("exadmin@corp.test", "", func(o *winauth.AccountOptions) { o.Cache, o.ReadFile = "/tmp/krb5cc_0", file([]byte("x")) })
	var ticket *winauth.TicketError
	if _, _, err := post(t, w.client(a), ews, "x"); !errors.As(err, &ticket) {
		t.Errorf("%v", err)
	}
}

func FuzzCache(f *testing.F) {
	f.Add(unhex(testdata.CCACHE_TEST))
	f.Add([]byte{5, 3, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := winauth.ReadCache("x", file(b))
		if err == nil && !strings.Contains(got.Principal, "@") {
			t.Errorf("%q", got.Principal)
		}
	})
}
