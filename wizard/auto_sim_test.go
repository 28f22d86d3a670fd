package wizard

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/sim"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/internal/transport"
)

// The drivers against the simulated tenant: real sign-ins, plans, registrations
// and rollbacks.

var simKeys = sync.OnceValue(sim.NewKeys)

// hastyClock is the computer's, but its waits take no time.
type hastyClock struct{}

func (hastyClock) Now() time.Time { return time.Now() }

func (hastyClock) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// office is a simulated tenant and a computer on which upn works.
type office struct {
	t     *testing.T
	world *sim.World
	env   *Env
	cloud cloud.Cloud
	upn   string
	pages sync.WaitGroup
}

func newOffice(t *testing.T, upn string, faults ...string) *office {
	t.Helper()
	w, err := sim.Start(sim.Options{Now: time.Now, Faults: faults, Keys: simKeys()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	o := &office{t: t, world: w, upn: upn}
	if o.cloud, err = cloud.Parse(w.CloudYAML()); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "state")
	if err := os.MkdirAll(filepath.Join(dir, "clouds"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "clouds", o.cloud.Name+".yaml"), w.CloudYAML(), 0o600); err != nil {
		t.Fatal(err)
	}
	set, err := cloud.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	getenv := func(name string) string {
		return map[string]string{"C2CONN_IDENTITY_FILE": dir + ".identity"}[name]
	}
	store, err := connections.Open(connections.Options{Dir: dir, Getenv: getenv})
	if err != nil {
		t.Fatal(err)
	}
	client, err := transport.New(transport.Options{ExtraCA: o.cloud.CA, Clock: hastyClock{}, UserAgent: "c2conn/test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	o.env = &Env{
		Store: store, Personal: certs.NewFiles(store, dir, time.Now), Clouds: set, Clock: hastyClock{}, ReadFile: os.ReadFile, Getenv: getenv,
		HTTP:     func(cloud.Cloud) (*http.Client, error) { return client, nil },
		StateDir: dir, BrowserLikely: true, OpenBrowser: o.browse,
	}
	t.Cleanup(o.pages.Wait)
	return o
}

// browse is the person in front of the browser.
func (o *office) browse(ctx context.Context, url string) error {
	o.pages.Go(func() {
		_, _, _ = o.world.SignIn(context.WithoutCancel(ctx), o.world.Client(), url, o.upn, sim.AdminPassword)
	})
	return nil
}

func (o *office) session() *Session {
	s := NewSession(Exchange(), o.env)
	_ = s.Set(keyCloud, o.cloud.Name, FromUser, "")
	return s
}

// drive starts a screen over a new session, with the real deeds.
func (o *office) drive() *driver {
	o.t.Helper()
	do := realDeeds()
	d := driveWith(o.t, o.session(), &do)
	d.m.save = do.save
	d.m.now = time.Now
	return d.size(120, 40)
}

// applications are those that were registered since the beginning, by name; "gone"
// those that lie among the deleted items.
func (o *office) applications() (names []string) {
	o.t.Helper()
	data, err := o.world.Dump()
	if err != nil {
		o.t.Fatal(err)
	}
	var tenant struct {
		Applications, Deleted []struct {
			DisplayName string
			Tags        []string
		}
	}
	if err := json.Unmarshal(data, &tenant); err != nil {
		o.t.Fatal(err)
	}
	for _, a := range tenant.Applications {
		if strings.Contains(strings.Join(a.Tags, " "), "c2conn") {
			names = append(names, a.DisplayName)
		}
	}
	for range tenant.Deleted {
		names = append(names, "gone")
	}
	return names
}

func TestSimulatedRegistrationOnTheScreen(t *testing.T) {
	t.Parallel()
	o := newOffice(t, sim.GlobalAdmin)
	d := o.drive().toSignedIn().sees("✓ Signed in", sim.GlobalAdmin, "Contoso", "Global Administrator")
	if got := o.applications(); got != nil {
		t.Errorf("signing in has made %q", got)
	}
	d.keys("enter", "enter", "enter", "enter", "enter").sees("Changes, in this order:", "CodeTwo Backup Exchange")
	d.keys("enter", "enter").sees("Verified: 14 ok")
	d.keys("f")
	out := d.m.saved.Load()
	if !d.quit || out == nil || !out.Verified {
		t.Fatalf("quit %v, outcome %+v\n%s", d.quit, out, d.text())
	}
	saved, err := o.env.Store.Get(t.Context(), "contoso-exchange")
	if err != nil || saved.Registration.Mode != connections.ModeAutomatic || saved.Account != sim.GlobalAdmin {
		t.Errorf("saved %+v, %v", saved, err)
	}
	if got := o.applications(); len(got) != 1 || got[0] != "CodeTwo Backup Exchange" {
		t.Errorf("applications %q", got)
	}
	if left, err := o.session().Unfinished(t.Context()); len(left) > 0 || err != nil {
		t.Errorf("unfinished %v, %v", left, err)
	}

	// A second connection finds the application and uses it.
	d = o.drive().toPlan().sees("(•) Stop", "In the tenant already").keys("up", "up").sees("Add the certificate")
	d.keys("enter", "ctrl+u").typed("second").keys("enter").sees("Verified: 14 ok").keys("f")
	if got := o.applications(); !d.quit || d.m.saved.Load() == nil || len(got) != 1 {
		t.Errorf("quit %v, applications %q\n%s", d.quit, got, d.text())
	}
}

func TestSimulatedHalfway(t *testing.T) {
	t.Parallel()
	o := newOffice(t, sim.GlobalAdmin)
	brokenOff := func() *driver {
		d := o.drive().toRegister()
		if err := o.world.SetFault("graph-denied=servicePrincipals"); err != nil {
			t.Fatal(err)
		}
		d.keys("enter").sees("✗", "x  Roll back")
		o.world.ClearFault("graph-denied")
		if got := o.applications(); len(got) != 1 {
			t.Errorf("applications %q", got)
		}
		return d
	}
	brokenOff().keys("x", "y").sees("Rolled back. Nothing of it is left in your tenant.", "Changes, in this order:")
	if got := o.applications(); got != nil {
		t.Errorf("left after the rollback: %q", got)
	}
	d := brokenOff().keys("r").sees("Verified: 14 ok")
	// Leaving what is not saved asks, and can take it back.
	d.keys("ctrl+c").sees("Leave the registration unfinished?").keys("x")
	if got := o.applications(); !d.quit || got != nil {
		t.Errorf("quit %v, applications %q\n%s", d.quit, got, d.text())
	}
	if left, err := o.session().Unfinished(t.Context()); len(left) > 0 || err != nil {
		t.Errorf("unfinished %v, %v", left, err)
	}
}

func TestSimulatedRunAgain(t *testing.T) {
	t.Parallel()
	o := newOffice(t, sim.GlobalAdmin, "ews-disabled")
	d := o.drive().toRegister().keys("enter").sees("Registered, not verified")
	o.world.ClearFault("ews-disabled")
	d.keys("r").sees("Verified: 14 ok").keys("f")
	if got := o.applications(); !d.quit || d.m.saved.Load() == nil || len(got) != 1 {
		t.Errorf("quit %v, applications %q\n%s", d.quit, got, d.text())
	}
}

// TestSimulatedInterruption stops a registration, and starts c2conn anew.
func TestSimulatedInterruption(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{"resume", "cleanup", "later"} {
		t.Run(answer, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t, sim.GlobalAdmin)
			s := o.session()
			if err := s.SignIn(t.Context(), func(SignInPrompt) {}); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			_, err := s.Configure(ctx, func(e task.Event) {
				if e.ID == "application" && e.Kind == task.Finished {
					cancel()
				}
			})
			var half *HalfwayError
			if got := o.applications(); !errors.As(err, &half) || len(got) != 1 {
				t.Fatalf("err %v, applications %q", err, got)
			}
			d := o.drive().sees("An unfinished registration", "CodeTwo Backup Exchange", sim.GlobalAdmin, "Contoso")
			switch answer {
			case "resume":
				d.keys("r", "enter", "enter").sees("✓ Signed in").keys("enter")
				for d.m.step != ConfigurationStep {
					d.keys("enter")
				}
				d.keys("enter").sees("Verified: 14 ok").keys("f")
				if got := o.applications(); !d.quit || len(got) != 1 {
					t.Errorf("quit %v, applications %q", d.quit, got)
				}
			case "cleanup":
				d.keys("c", "enter", "enter").sees("enter clean up").keys("enter").sees("Rolled back.")
				if got := o.applications(); got != nil {
					t.Errorf("applications %q", got)
				}
				d.keys("enter").sees("Name of the application")
			case "later":
				d.keys("enter").sees("Where is the server?")
				if got := o.applications(); len(got) != 1 {
					t.Errorf("applications %q", got)
				}
			}
		})
	}
}

func TestSimulatedWaitingForConsent(t *testing.T) {
	t.Parallel()
	o := newOffice(t, sim.ApplicationAdmin)
	who := newPartner("", "", "", "2", "", "", "", sim.Mailbox, "", "", "", "", "", "", "1")
	p := newPlain(t.Context(), o.session(), PlainOptions{In: who, Out: who})
	sign := p.signIn
	p.signIn = func(ctx context.Context, s *Session, show func(SignInPrompt)) error {
		return sign(ctx, s, func(prompt SignInPrompt) {
			show(prompt)
			o.pages.Go(func() { _ = o.world.EnterDeviceCode(t.Context(), prompt.Code, o.upn, true) })
		})
	}
	out, err := p.dialogue()
	if err != nil || !out.Waiting || len(out.Missing) != 4 {
		t.Fatalf("outcome %+v, err %v\n%s", out, err, who.text())
	}
	text := who.text()
	for _, want := range []string{"Roles: Application Administrator", "With spaces between: ", "adminconsent?client_id=" + out.Connection.Registration.ClientID, "Save the connection as waiting for consent"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q was not said:\n%s", want, text)
		}
	}
	saved, err := o.env.Store.Get(t.Context(), "contoso-exchange")
	if err != nil || saved.Verification.State != connections.StateWaiting {
		t.Errorf("saved %+v, %v", saved, err)
	}
}

func TestSimulatedRefusals(t *testing.T) {
	t.Parallel()
	o := newOffice(t, sim.GlobalAdmin, "device-code-blocked", "cert-lifetime")
	d := o.drive().toSignIn()
	d.m.signIn = func(ctx context.Context, s *Session, show func(SignInPrompt)) error {
		return s.SignIn(ctx, func(p SignInPrompt) {
			show(p)
			if p.Code != "" {
				o.pages.Go(func() { _ = o.world.EnterDeviceCode(t.Context(), p.Code, o.upn, true) })
			}
		})
	}
	d.keys("down", "enter", "enter").sees("Sign in the other way?")
	d.keys("y").sees("✓ Signed in")
	d.keys("enter", "enter", "enter", "enter", "enter").keys("enter", "enter")
	d.sees("This tenant does not allow a certificate that lives this long.").keys("y").sees("Verified: 14 ok").keys("f")
	if out := d.m.saved.Load(); out == nil || time.Until(out.Connection.Credential.NotAfter) > 181*24*time.Hour {
		t.Errorf("outcome %+v", out)
	}
	if got := o.applications(); len(got) != 1 {
		t.Errorf("applications %q", got)
	}
}
