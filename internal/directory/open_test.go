package directory_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/c2conn/c2conn/internal/directory"
	"github.com/c2conn/c2conn/internal/sim/onprem/ldapd"
	"github.com/c2conn/c2conn/internal/winauth"
)

func TestOpenFindsADomainController(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	r := w.open(nil).Root()
	want := directory.RootDSE{
		Server: "dc1.corp.test", Address: "dc1.corp.test:636", Domain: "corp.test", Forest: "corp.test",
		DomainNC: "DC=corp,DC=test", ForestNC: "DC=corp,DC=test", ConfigurationNC: "CN=Configuration,DC=corp,DC=test",
		SchemaNC: "CN=Schema,CN=Configuration,DC=corp,DC=test", Time: now().Add(90 * time.Second), Skew: 90 * time.Second,
	}
	if r != want {
		t.Errorf("the root DSE is\n%+v, want\n%+v", r, want)
	}
	if asked := w.asked(); !slices.Equal(asked, []string{"dc1.corp.test:636"}) {
		t.Errorf("asked %v", asked)
	}
}

func TestOpenFallsBackToStartTLS(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	delete(w.to, "dc1.corp.test:636")
	c := w.open(func(o *directory.Options) { o.Account = account(`CORP\exadmin`, password) })
	if got := c.Root().Address; got != "dc1.corp.test:389" {
		t.Errorf("reached %s", got)
	}
	if _, err := c.Suffixes(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestOpenTakesServersInOrder(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name    string
		servers []string
		asked   []string
	}{
		{"no port", []string{"dc0.corp.test", "dc1.corp.test"}, []string{"dc0.corp.test:636", "dc0.corp.test:389", "dc1.corp.test:636"}},
		{"LDAPS port", []string{"dc1.corp.test:636"}, []string{"dc1.corp.test:636"}},
		{"another port", []string{"dc1.corp.test:389"}, []string{"dc1.corp.test:389"}},
	}
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := start(t, nil)
			w.open(func(o *directory.Options) { o.Domain, o.Servers = "", tt.servers })
			if asked := w.asked(); !slices.Equal(asked, tt.asked) {
				t.Errorf("asked %v, want %v", asked, tt.asked)
			}
		})
	}
}

func TestOpenOrdersByPriority(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.srv = []dns.SRV{{Priority: 20, Port: 389, Target: "dc1.corp.test."}, {Priority: 10, Port: 389, Target: "dc0.corp.test."}}
	w.open(nil)
	want := []string{"dc0.corp.test:636", "dc0.corp.test:389", "dc1.corp.test:636"}
	if asked := w.asked(); !slices.Equal(asked, want) {
		t.Errorf("asked %v, want %v", asked, want)
	}
}

func TestOpenGivesNoCredentialsToHostsOutside(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.srv = []dns.SRV{{Port: 389, Target: "dc1.corp.test.evil.example."}}
	_, err := directory.Open(t.Context(), w.options())
	var outside *directory.OutsideError
	if !errors.As(err, &outside) || outside.Host != "dc1.corp.test.evil.example" {
		t.Errorf("the error is %v", err)
	}
	if asked := w.asked(); len(asked) > 0 {
		t.Errorf("asked %v", asked)
	}
}

func TestOpenSaysThatDNSNamesNobody(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	o := w.options()
	o.Domain = "nowhere.test"
	_, err := directory.Open(t.Context(), o)
	var e *directory.UnreachableError
	if !errors.As(err, &e) || len(e.Tried) != 0 || !strings.Contains(err.Error(), "_ldap._tcp.dc._msdcs.nowhere.test") {
		t.Errorf("the error is %v", err)
	}
}

func TestOpenRefusesWrongPasswordOnce(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.srv = append(w.srv, dns.SRV{Priority: 5, Port: 389, Target: "dc1.corp.test."})
	o := w.options()
	o.Account = account("exadmin@corp.test", "wrong")
	for range 3 {
		_, err := directory.Open(t.Context(), o)
		var wrong *winauth.WrongPasswordError
		if !errors.As(err, &wrong) || wrong.Protocol != "LDAP" {
			t.Fatalf("the error is %v", err)
		}
		if strings.Contains(err.Error(), "wrong wrong") || wrong.Account != "exadmin@corp.test" {
			t.Errorf("the error is %v", err)
		}
	}
	if checked, failed := w.server.SignIns(); checked != 1 || failed != 1 {
		t.Errorf("%d sign-ins were checked, %d failed, want one", checked, failed)
	}
}

func TestOpenTellsWhyTheAccountMayNot(t *testing.T) {
	t.Parallel()
	cases := map[ldapd.Status]winauth.Reason{
		ldapd.StatusLogonHours: winauth.ReasonHours, ldapd.StatusWorkstation: winauth.ReasonWorkstation, ldapd.StatusPasswordExpired: winauth.ReasonPassword,
		ldapd.StatusDisabled: winauth.ReasonDisabled, ldapd.StatusAccountExpired: winauth.ReasonExpired, ldapd.StatusMustChange: winauth.ReasonMustChange,
		ldapd.StatusLockedOut: winauth.ReasonLocked,
	}
	for status, want := range cases {
		t.Run(string(want), func(t *testing.T) {
			t.Parallel()
			w := start(t, nil)
			w.status["exadmin"] = status
			_, err := directory.Open(t.Context(), w.options())
			var locked *winauth.LockedError
			if !errors.As(err, &locked) || locked.Reason != want {
				t.Errorf("the error is %v", err)
			}
		})
	}
	t.Run("unknown", func(t *testing.T) {
		t.Parallel()
		w := start(t, nil)
		o := w.options()
		o.Account = account("nobody@corp.test", password)
		_, err := directory.Open(t.Context(), o)
		var unknown *winauth.UnknownUserError
		if !errors.As(err, &unknown) {
			t.Errorf("the error is %v", err)
		}
	})
}

func TestOpenTakesNoProvenPasswordForWrong(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	o := w.options()
	first, err := directory.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	w.mu.Lock()
	w.status["exadmin"] = ldapd.StatusWrongPassword
	w.mu.Unlock()
	_, err = directory.Open(t.Context(), o)
	var refused *winauth.RefusedError
	if !errors.As(err, &refused) || !refused.Proven {
		t.Errorf("the error is %v", err)
	}
}

func TestOpenStopsAtCertificates(t *testing.T) {
	t.Parallel()
	t.Run("without SAN", func(t *testing.T) {
		t.Parallel()
		w := start(t, nil)
		if err := w.server.SetFault(ldapd.FaultNoSAN, true); err != nil {
			t.Fatal(err)
		}
		_, err := directory.Open(t.Context(), w.options())
		var untrusted *winauth.UntrustedError
		if !errors.As(err, &untrusted) || !strings.Contains(untrusted.Reason, "subject alternative name") {
			t.Fatalf("the error is %v", err)
		}
		// Once the user took the certificate, both ways are open.
		for _, server := range []string{"dc1.corp.test:636", "dc1.corp.test:389"} {
			w.open(func(o *directory.Options) {
				o.Servers = []string{server}
				o.Trust = w.trust(map[string]string{server: untrusted.SHA256})
			})
		}
	})
	t.Run("StartTLS tells it, too", func(t *testing.T) {
		t.Parallel()
		w := start(t, nil)
		o := w.options()
		o.Servers = []string{"dc1.corp.test:389"}
		o.Trust = winauth.NewTrust(winauth.TrustOptions{Roots: start(t, nil).roots, Clock: clock{}})
		_, err := directory.Open(t.Context(), o)
		var untrusted *winauth.UntrustedError
		if !errors.As(err, &untrusted) || untrusted.Host != "dc1.corp.test:389" {
			t.Fatalf("the error is %v", err)
		}
		if checked, _ := w.server.SignIns(); checked != 0 {
			t.Error("the password was sent")
		}
	})
	t.Run("changed pin", func(t *testing.T) {
		t.Parallel()
		w := start(t, nil)
		o := w.options()
		o.Trust = winauth.NewTrust(winauth.TrustOptions{Roots: start(t, nil).roots, Clock: clock{}, Pins: map[string]string{
			"dc1.corp.test:636": strings.Repeat("AB", 32), "dc1.corp.test:389": strings.Repeat("AB", 32),
		}})
		_, err := directory.Open(t.Context(), o)
		var changed *winauth.PinChangedError
		if !errors.As(err, &changed) {
			t.Fatalf("the error is %v", err)
		}
	})
}

func TestOpenNeverBindsWithoutTLS(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	delete(w.to, "dc1.corp.test:636")
	if err := w.server.SetFault(ldapd.FaultNoTLS, true); err != nil {
		t.Fatal(err)
	}
	_, err := directory.Open(t.Context(), w.options())
	var e *directory.Error
	if !errors.As(err, &e) || e.Code != 52 {
		t.Errorf("the error is %v", err)
	}
	if checked, _ := w.server.SignIns(); checked != 0 {
		t.Error("the password was sent")
	}
}

func TestOpenObeysItsContext(t *testing.T) {
	t.Parallel()
	// A server that takes connections and never says a word.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, port := range []string{"636", "389"} {
		t.Run(port, func(t *testing.T) {
			w := start(t, nil)
			w.point("dc1.corp.test:"+port, l.Addr().String())
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				c, err := l.Accept()
				if err != nil {
					return
				}
				defer c.Close()
				_, _ = c.Read(make([]byte, 1)) // the client speaks first
				cancel()
				<-ctx.Done()
			}()
			o := w.options()
			o.Servers = []string{"dc1.corp.test:" + port}
			if _, err := directory.Open(ctx, o); !errors.Is(err, context.Canceled) {
				t.Errorf("the error is %v", err)
			}
		})
	}
}
