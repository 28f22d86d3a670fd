package winauth_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/jcmturner/gokrb5/v8/test/testdata"

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
