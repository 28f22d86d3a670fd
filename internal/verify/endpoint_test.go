package verify_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/internal/verify"
)

// detour leads every host that is not the simulated tenant's to a foreign
// server, which is believed, so that nothing but c2conn itself keeps a token back.
type detour struct {
	next    http.RoundTripper
	own     []string
	foreign *httptest.Server
}

func (d detour) RoundTrip(r *http.Request) (*http.Response, error) {
	if slices.Contains(d.own, r.URL.Host) {
		return d.next.RoundTrip(r)
	}
	q := r.Clone(r.Context())
	q.URL.Scheme, q.URL.Host = "https", strings.TrimPrefix(d.foreign.URL, "https://")
	return d.foreign.Client().Transport.RoundTrip(q)
}

// A profile may be edited by anybody who can write the file. Its address must
// never get a token that opens every mailbox.
func TestForeignEWSAddress(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, address string }{
		{"foreign host", "https://FOREIGN/EWS/Exchange.asmx"},
		{"user name in front", "https://outlook.office365.com@FOREIGN/EWS/Exchange.asmx"},
		{"without TLS", "http://FOREIGN/EWS/Exchange.asmx"},
		{"ending like the cloud's", "https://OUTLOOK.FOREIGN/EWS/Exchange.asmx"},
		{"user name at the cloud's host", "https://someone:secret@OUTLOOK/EWS/Exchange.asmx"},
		{"another port", "https://127.0.0.1:1/EWS/Exchange.asmx"},
		{"unreadable", "https://[::1/EWS"},
		{"no address", "outlook"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int32
			foreign := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
			t.Cleanup(foreign.Close)
			s := stage(t, "", connections.TypeCertificate)
			outlook, err := url.Parse(s.target.Cloud.Outlook)
			if err != nil {
				t.Fatal(err)
			}
			own := []string{outlook.Host}
			for _, base := range []string{s.target.Cloud.Login, s.target.Cloud.Graph} {
				own = append(own, strings.TrimPrefix(base, "https://"))
			}
			s.client.Transport = detour{s.client.Transport, own, foreign}
			address := strings.NewReplacer("FOREIGN", "evil.example", "OUTLOOK.", outlook.Hostname()+".", "OUTLOOK/", outlook.Host+"/").Replace(c.address)
			s.target.Connection.Endpoints.EWS = address
			r := s.run(t, nil)
			one := result(t, r, "ews")
			var e *advice.ForeignEndpointError
			if one.Status != task.Fail || !errors.As(one.Err, &e) || e.Field != "endpoints.ews" || r.State != failed || r.Class != advice.ClassCheck {
				t.Fatalf("%s\n%v", describe(r), one.Err)
			}
			if n := asked.Load(); n != 0 {
				t.Errorf("the foreign server was asked %d times", n)
			}
			for _, x := range s.world.Requests() {
				if strings.Contains(x.URL, "Exchange.asmx") {
					t.Errorf("asked %s", x.URL)
				}
			}
			steps := strings.Join(one.Advice.Next, "\n")
			if !strings.Contains(one.Advice.What, "endpoints.ews") || !strings.Contains(one.Advice.What, "sim") || !strings.Contains(steps, "Correct endpoints.ews") || !strings.Contains(steps, "c2conn cloud add") {
				t.Errorf("%+v", one.Advice)
			}
			if strings.Contains(one.Advice.Why+steps+one.Finding+one.Err.Error(), "secret@") {
				t.Errorf("a password is shown: %+v", one.Advice)
			}
			if result(t, r, "permissions").Status != task.Pass || result(t, r, "graph.user").Status != task.Pass {
				t.Error(describe(r))
			}
		})
	}
}

// The cloud's own address is used where the profile names none, or that one.
func TestOwnEWSAddress(t *testing.T) {
	t.Parallel()
	for _, empty := range []bool{true, false} {
		s := stage(t, "", connections.TypeCertificate)
		if !empty {
			s.target.Connection.Endpoints.EWS = s.target.Cloud.EWS()
		}
		if r := s.run(t, nil); r.State != verified {
			t.Error(describe(r))
		}
	}
}

// However few checks run at a time, none may wait for one that cannot start.
func TestFewAtATime(t *testing.T) {
	t.Parallel()
	for _, parallel := range []int{1, 2, 3} {
		s := stage(t, "", connections.TypeCertificate, "missing-role=full_access_as_app")
		s.o.Parallel, s.o.Limit = parallel, 5*time.Second
		r := s.run(t, nil)
		one := result(t, r, "permissions")
		if one.Status != task.Fail || one.Finding != "missing full_access_as_app" || result(t, r, "ews").Status != task.Fail {
			t.Errorf("%d at a time: %s", parallel, describe(r))
		}
		s = stage(t, "", connections.TypeCertificate, "missing-role=full_access_as_app")
		s.client.Transport = openEWS{s.client.Transport}
		s.o.Parallel, s.o.Limit = parallel, 5*time.Second
		if r = s.run(t, nil); r.State != verified || result(t, r, "permissions").Status != task.Warn {
			t.Errorf("%d at a time: %s", parallel, describe(r))
		}
		s = stage(t, "", connections.TypeCertificate)
		s.o.Parallel = parallel
		if r = s.run(t, nil); r.State != verified {
			t.Errorf("%d at a time: %s", parallel, describe(r))
		}
	}
}

// An answer without a token comes after the secret was sent; advice must say so.
func TestTokenAnswerWithoutToken(t *testing.T) {
	t.Parallel()
	for credential, says := range map[string]string{bySecret: "The client secret had been sent", connections.TypeCertificate: "The private key was not sent"} {
		s := stage(t, "", credential)
		s.client.Transport = rewrite{s.client.Transport, "/oauth2/v2.0/token", "access_token", "nothing"}
		a := result(t, s.run(t, nil), "token.graph").Advice
		if a == nil || !strings.Contains(a.Why, says) || strings.Contains(a.Why, "Nothing secret was sent") {
			t.Errorf("%s: %+v", credential, a)
		}
	}
}

func TestFactsOf(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	c := connections.Connection{
		Name: "contoso-backup", Kind: connections.Exchange, Tenant: connections.Tenant{ID: "t", Domain: "d"}, Account: "a",
		Registration: connections.Registration{ClientID: "c"},
		Credential:   connections.Credential{Type: connections.TypeCertificate, Thumbprint: "AB12"},
	}
	want := advice.Facts{
		ClientID: "c", TenantID: "t", TenantDomain: "d", Account: "a", Kind: connections.Exchange,
		CredentialType: connections.TypeCertificate, Thumbprint: "AB12", Now: now,
	}
	in := cloud.Cloud{Name: "sim"}
	want.Cloud = in
	same := func(name string, got advice.Facts) {
		t.Helper()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	same("not saved", verify.FactsOf(c, in, now))
	c.ID, want.Connection = "01ARZ3NDEKTSV4RRFFQ69G5FAV", "contoso-backup"
	same("saved", verify.FactsOf(c, in, now))
	// What the credential at hand shows beats what the profile says of it.
	want.CredentialType, want.Thumbprint = connections.TypeClientSecret, ""
	target := verify.Target{Connection: c, Cloud: in}
	same("by secret", verify.Facts(target, now))
}
