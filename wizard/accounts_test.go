package wizard

import (
	"context"
	"crypto/rand"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/sim/onprem"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/internal/transport"
	"github.com/c2conn/c2conn/internal/verify"
)

// inNetwork is the environment of a wizard in a simulated company network.
func inNetwork(t *testing.T, o onprem.Options) (*Env, *onprem.World) {
	t.Helper()
	o.Now = time.Now
	w, err := onprem.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	variables := map[string]string{}
	for _, pair := range w.Env() {
		name, value, _ := strings.Cut(pair, "=")
		variables[name] = value
	}
	variables["C2CONN_IDENTITY_FILE"] = filepath.Join(t.TempDir(), "identity")
	getenv := func(name string) string { return variables[name] }
	store, err := connections.Open(connections.Options{Dir: t.TempDir(), Getenv: getenv})
	if err != nil {
		t.Fatal(err)
	}
	return &Env{Store: store, Getenv: getenv, Clock: transport.SystemClock(), Rand: rand.Reader, Clouds: testClouds(), Accounts: &verify.Accounts{}}, w
}

// signingInTo is a session with all answers, and the password.
func signingInTo(t *testing.T, kind string, env *Env, w *onprem.World, password string) *Session {
	t.Helper()
	s, sum, answers := NewSession(Exchange(), env), w.Fingerprint(), [][2]string{{keyReach, byAddress}, {keyServer, "exch01.corp.test"},
		{keyEWS, "https://exch01.corp.test/EWS/Exchange.asmx"}, {keyAdminUPN, "exadmin@corp.test"}}
	if kind == "sharepoint" {
		s, sum = NewSession(SharePoint(), env), w.SharePointFingerprint()
		answers = [][2]string{{keySharePoint, "https://sharepoint.corp.test"}, {keyCentralPort, "34567"}, {keyAdminUPN, onprem.FarmAdmin}}
	}
	for _, answer := range append([][2]string{{keyLocation, string(connections.OnPremises)}, {keyCertSum, sum}, {keySignInBy, byPassword}, {keyName, "it"}}, answers...) {
		if err := s.Set(answer[0], answer[1], FromUser, ""); err != nil {
			t.Fatal(answer, err)
		}
	}
	if err := s.SetSecret(keyAdminSecret, connections.NewSecret(password), FromUser, ""); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestWrongPasswordInTheWizard: what is offered beneath the fields and Configure try a
// password once between them, and to run again does not try it once more.
func TestWrongPasswordInTheWizard(t *testing.T) {
	t.Parallel()
	env, w := inNetwork(t, onprem.Options{})
	s := signingInTo(t, "exchange", env, w, "not it")
	s.Answers[keyTrust] = Value{Text: yes} // of the domain controller
	for range 3 {
		suggestAdministrators(mailRemark)(t.Context(), env, s.Answers)
		suggestDomains(t.Context(), env, s.Answers)
	}
	for range 3 {
		out, err := s.configureServer(t.Context(), nil)
		if err != nil || out.Verified || !refused(out.Report) {
			t.Fatalf("%+v, %v", out, err)
		}
	}
	if got := w.FailedSignIns(); got != 1 {
		t.Fatalf("%d failed sign-ins", got)
	}
}

// wrongPasswords are the kinds of connections to servers, and their simulations.
var wrongPasswords = []struct {
	kind  string
	world onprem.Options
}{
	{"exchange", onprem.Options{Lockout: 3}},
	{"sharepoint", onprem.Options{Lockout: 3, Faults: []string{"sp-self-signed"}}},
}

// On the screen r does not send a wrong password again, and another one is tried.
func TestScreenWrongPassword(t *testing.T) {
	t.Parallel()
	for _, tt := range wrongPasswords {
		t.Run(tt.kind, func(t *testing.T) {
			t.Parallel()
			env, w := inNetwork(t, tt.world)
			d := drive(t, signingInTo(t, tt.kind, env, w, "not it"))
			d.m.configure = func(ctx context.Context, s *Session, listen func(task.Event)) (*Outcome, error) {
				return s.Configure(ctx, listen)
			}
			d.run(d.m.goTo(ConfigurationStep))
			d.keys("enter").sees("The sign-in was refused", "b change").keys("d").sees("tried it once").keys("esc")
			d.keys("r", "r", "r").sees("The sign-in was refused").keys("d").sees("tried this password before", "Type another password").keys("esc")
			if got := w.FailedSignIns(); got != 1 {
				t.Fatalf("%d failed sign-ins", got)
			}
			if d.keys("b"); d.m.focused().def.Key != keyAdminSecret {
				t.Fatalf("b leads to %s:\n%s", d.m.focused().def.Key, d.text())
			}
			d.typed("neither").next()
			d.run(d.m.goTo(ConfigurationStep))
			d.keys("enter").sees("The sign-in was refused").keys("r")
			if got := w.FailedSignIns(); got != 2 {
				t.Errorf("%d failed sign-ins, and another password was typed", got)
			}
		})
	}
}

// In the plain dialogue neither the default answer sends it again, nor the choice to run again.
func TestPlainWrongPassword(t *testing.T) {
	t.Parallel()
	for _, tt := range wrongPasswords {
		t.Run(tt.kind, func(t *testing.T) {
			t.Parallel()
			env, w := inNetwork(t, tt.world)
			p, out := talk(t, signingInTo(t, tt.kind, env, w, "not it"), "\n", "2\n", "2\n", "\n", "1\n")
			p.configure = func(ctx context.Context, s *Session, listen func(task.Event)) (*Outcome, error) {
				return s.Configure(ctx, listen)
			}
			if got, to, err := p.finish(); got != nil || to == "" || err != nil {
				t.Fatalf("%v, %q, %v\n%s", got, to, err, out)
			}
			for _, want := range []string{"Number [3]", "tried it once", "did not try it again"} {
				if !strings.Contains(out.String(), want) {
					t.Errorf("%q is not said:\n%s", want, out)
				}
			}
			if got := w.FailedSignIns(); got != 1 {
				t.Errorf("%d failed sign-ins", got)
			}
		})
	}
}

// A verdict that somebody may have mended is asked for again.
func TestLockedAccountIsTriedAgain(t *testing.T) {
	t.Parallel()
	env, w := inNetwork(t, onprem.Options{Faults: []string{"account-disabled"}})
	s := signingInTo(t, "exchange", env, w, onprem.AdminPassword)
	var asked []int
	for range 2 {
		if out, err := s.configureServer(t.Context(), nil); err != nil || out.Verified || refused(out.Report) {
			t.Fatalf("%+v, %v", out, err)
		}
		asked = append(asked, len(w.Requests("")))
	}
	if asked[0] == asked[1] {
		t.Errorf("requests: %v", asked)
	}
}
