package sharepointserver_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/sharepointserver"
	"github.com/c2conn/c2conn/internal/sim/onprem/account"
	"github.com/c2conn/c2conn/internal/sim/onprem/httpauth"
	"github.com/c2conn/c2conn/internal/transport"
	"github.com/c2conn/c2conn/internal/winauth"
)

const (
	spadmin  = "spadmin@corp.test"
	password = "Sp4dmin!Pass"
)

// withNTLM lets in who signs in with NTLM over http, as a new web application does, and
// only those of may: SharePoint says 401 to the others, after a whole sign-in.
func withNTLM(t *testing.T, f *farm, may ...string) *account.Directory {
	t.Helper()
	d, err := account.New(account.Options{Domain: "corp.test", NetBIOS: "CORP", LockoutThreshold: 5, Users: []account.User{
		{SAM: "spadmin", UPN: spadmin, Password: password},
	}})
	if err != nil {
		t.Fatal(err)
	}
	f.Config.Handler = httpauth.Authenticate(httpauth.Options{Directory: d, Methods: []httpauth.Method{httpauth.NTLM}, Host: "SP01"})(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			id, _ := httpauth.From(r.Context())
			for _, sam := range may {
				if sam == id.User.SAM {
					f.ServeHTTP(w, r)
					return
				}
			}
			w.Header().Set("WWW-Authenticate", "NTLM")
			answers(http.StatusUnauthorized, "application/json", denied)(w, r)
		}))
	return d
}

// signedIn is a client of an account whose domain has no domain controller that answers.
func signedIn(t *testing.T, f *farm, password string, o winauth.HTTPOptions) (*sharepointserver.Client, *winauth.Account) {
	t.Helper()
	no := func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no DNS") }
	a := winauth.NewAccount(winauth.AccountOptions{Name: spadmin, Password: connections.NewSecret(password), Resolver: &net.Resolver{PreferGo: true, Dial: no}})
	c := a.HTTP(o)
	t.Cleanup(c.CloseIdleConnections)
	return newClient(t, once{c.Transport}), a
}

// once marks refusals as final, as internal/verify does.
type once struct{ next http.RoundTripper }

func (o once) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := o.next.RoundTrip(r)
	if err != nil && winauth.Refusal(err) {
		err = &transport.FinalError{Err: err}
	}
	return res, err
}

func TestSignedIn(t *testing.T) {
	t.Parallel()
	f := newCentral(t, false)
	d := withNTLM(t, f, "spadmin")
	f.database("{a}", f.URL)
	c, _ := signedIn(t, f, password, winauth.HTTPOptions{PlainNTLM: true})
	if got, err := c.List(t.Context(), f.URL, nil); err != nil || got.Way != sharepointserver.SiteData || len(got.URLs) != 1 {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := c.Open(t.Context(), f.URL); err != nil {
		t.Errorf("%v", err)
	}
	// The port speaks http, which is what Central Administration does by default.
	got, err := c.Central(t.Context(), strings.Replace(f.URL, "http:", "https:", 1), true)
	if err != nil || got.URL != f.URL+"/" || got.Other == nil {
		t.Errorf("%+v %v", got, err)
	}
	if d.FailedSignIns() != 0 {
		t.Errorf("%d failed sign-ins", d.FailedSignIns())
	}
}

// What goes wrong while signing in is told as it is.
func TestSignInRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, password string
		o              winauth.HTTPOptions
		may            []string
		proven         bool
		want           any
		failed         int
	}{
		{name: "NTLM is not allowed", password: password, may: []string{"spadmin"}, want: new(*winauth.PlainError)},
		{name: "wrong password", password: "wrong", o: winauth.HTTPOptions{PlainNTLM: true}, may: []string{"spadmin"}, want: new(*winauth.WrongPasswordError), failed: 1},
		{name: "no right", password: password, o: winauth.HTTPOptions{PlainNTLM: true}, proven: true, want: new(*winauth.RefusedError)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newCentral(t, false)
			d := withNTLM(t, f, c.may...)
			client, a := signedIn(t, f, c.password, c.o)
			if c.proven {
				_ = a.Try(t.Context(), "LDAP", func(context.Context, connections.Secret) error { return nil })
			}
			_, err := client.Central(t.Context(), strings.Replace(f.URL, "http:", "https:", 1), true)
			var central *sharepointserver.CentralError
			if !errors.As(err, &central) || len(central.Tried) != 2 || !errors.Is(central.Likely, central.Tried["http"]) || !errors.As(err, c.want) {
				t.Errorf("Central: %v", err)
			}
			if _, err := client.List(t.Context(), f.URL, nil); !errors.As(err, c.want) {
				t.Errorf("List: %v", err)
			}
			if _, err := client.Open(t.Context(), f.URL); !errors.As(err, c.want) {
				t.Errorf("Open: %v", err)
			}
			if n := d.BadPasswords("spadmin"); n != c.failed {
				t.Errorf("%d failed sign-ins", n)
			}
		})
	}
}
