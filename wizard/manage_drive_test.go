package wizard

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/task"
)

// manager plays the terminal and the runtime for a dashboard over a real store.
type manager struct {
	t     *testing.T
	m     *manage
	store *connections.Store
	stage *connections.Stage
	quit  bool
	hold  bool // collect commands instead of running them
	held  []tea.Cmd

	verify  func(ctx context.Context, c connections.Connection, listen func(task.Event)) (Verified, error)
	rotated []string
}

// manageStore is an empty store in which the time stands still.
func manageStore(t *testing.T) *connections.Store {
	t.Helper()
	s, err := connections.Open(connections.Options{Dir: t.TempDir(), Now: func() time.Time { return testNow }})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// profile is a connection as the flows save it.
func profile(name string, change func(*connections.Connection)) connections.Connection {
	c := connections.Connection{
		Name: name, Kind: connections.Exchange, Location: connections.Online, Cloud: "global", Account: "admin@contoso.com",
		Tenant:       connections.Tenant{ID: testTenantID, Domain: "contoso.onmicrosoft.com", Name: "Contoso"},
		Registration: connections.Registration{Mode: connections.ModeManual, ClientID: testClientID},
		Credential:   connections.Credential{Type: connections.TypeCertificate, Thumbprint: testThumb, NotAfter: testNow.AddDate(4, 2, 0), Secret: "env:KEY"},
		Verification: connections.Verification{At: testNow.Add(-2 * time.Hour), State: connections.StateVerified, Checks: map[string]string{"ews": "pass"}},
	}
	if change != nil {
		change(&c)
	}
	return c
}

// someProfiles has one of each kind and state.
func someProfiles() []connections.Connection {
	return []connections.Connection{
		profile("contoso-backup", nil),
		profile("contoso-sp", func(c *connections.Connection) {
			c.Kind, c.Verification.State = connections.SharePoint, connections.StateWaiting
			c.Endpoints.SharePoint = "https://contoso.sharepoint.com"
		}),
		profile("fabrikam-source", func(c *connections.Connection) {
			c.Kind, c.Account, c.Tenant.Domain = connections.MigrationSource, "admin@fabrikam.com", "fabrikam.onmicrosoft.com"
			c.Credential.NotAfter = testNow.AddDate(0, 0, 29)
		}),
		profile("fabrikam-target", func(c *connections.Connection) {
			c.Kind, c.Verification.State, c.Account = connections.MigrationTarget, connections.StateFailed, "target@fabrikam.com"
			c.Verification.Checks = map[string]string{"ews": "fail", "permissions": "warn"}
			c.Credential = connections.Credential{Type: connections.TypeClientSecret, Secret: "env:SECRET"}
		}),
		profile("old", func(c *connections.Connection) {
			c.Registration = connections.Registration{Mode: connections.ModeAutomatic, ClientID: testClientID, AppName: "CodeTwo Backup Exchange", Catalogue: "2025-06"}
		}),
		profile("tailspin", func(c *connections.Connection) {
			c.Verification = connections.Verification{State: connections.StateUnverified}
			c.Credential.NotAfter = testNow.Add(-time.Hour)
		}),
	}
}

func manageOver(t *testing.T, list ...connections.Connection) *manager {
	t.Helper()
	store := manageStore(t)
	for _, c := range list {
		if _, err := store.Add(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	return manageIn(t, store)
}

func manageIn(t *testing.T, store *connections.Store) *manager {
	t.Helper()
	stage, err := store.Stage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stage.Close)
	d := &manager{t: t, store: store, stage: stage}
	d.verify = func(context.Context, connections.Connection, func(task.Event)) (Verified, error) {
		return Verified{State: connections.StateVerified, Results: fine()}, nil
	}
	env := &Env{Store: store, Getenv: func(string) string { return "" }, Clouds: testClouds(), Clock: stillClock{}, StateDir: store.Dir(), Timeout: time.Second}
	d.m = newManage(t.Context(), ManageOptions{
		Env: env, Stage: stage, ScreenOptions: ScreenOptions{Now: func() time.Time { return testNow }},
		Verify: func(ctx context.Context, c connections.Connection, listen func(task.Event)) (Verified, error) {
			return d.verify(ctx, c, listen)
		},
		Rotate: func(_ context.Context, c connections.Connection, _ func(task.Event)) (string, error) {
			d.rotated = append(d.rotated, c.Name)
			return "", nil
		},
	})
	t.Cleanup(d.m.cancel)
	d.m.tick = func() tea.Cmd { return nil }
	d.m.send = func(msg tea.Msg) { d.send(msg) }
	d.run(d.m.Init())
	return d
}

func (d *manager) send(msg tea.Msg) {
	_, cmd := d.m.Update(msg)
	d.run(cmd)
}

func (d *manager) run(cmd tea.Cmd) {
	switch {
	case cmd == nil:
		return
	case d.hold:
		d.held = append(d.held, cmd)
		return
	}
	switch msg := cmd().(type) {
	case nil:
	case tea.QuitMsg:
		d.quit = true
	case tea.BatchMsg:
		for _, c := range msg {
			d.run(c)
		}
	default:
		d.send(msg)
	}
}

// release runs what was held back.
func (d *manager) release() *manager {
	held := d.held
	d.hold, d.held = false, nil
	for _, cmd := range held {
		d.run(cmd)
	}
	return d
}

func (d *manager) keys(names ...string) *manager {
	d.t.Helper()
	for _, name := range names {
		d.send(keyPress(d.t, name))
	}
	return d
}

func (d *manager) typed(text string) *manager {
	for _, r := range text {
		d.send(tea.KeyPressMsg{Code: r, Text: string(r)})
	}
	return d
}

func (d *manager) size(w, h int) *manager {
	d.send(tea.WindowSizeMsg{Width: w, Height: h})
	return d
}

func (d *manager) text() string { return ansi.Strip(d.m.View().Content) }

func (d *manager) sees(parts ...string) *manager {
	d.t.Helper()
	text := d.text()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			d.t.Fatalf("%q is not on the screen:\n%s", part, text)
		}
	}
	return d
}

func (d *manager) seesNot(parts ...string) *manager {
	d.t.Helper()
	text := d.text()
	for _, part := range parts {
		if strings.Contains(text, part) {
			d.t.Fatalf("%q is on the screen:\n%s", part, text)
		}
	}
	return d
}

// saved gives the names of the saved connections.
func (d *manager) saved() string {
	d.t.Helper()
	entries, err := d.store.List(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Connection.Name)
	}
	return strings.Join(names, " ")
}

// damage adds a file that cannot be used.
func (d *manager) damage(name string) *manager {
	d.t.Helper()
	text := "schema: 1\nid: 01K9Z7ABCDEFGHJKMNPQRSTVWX\nname: " + name + "\nkind: nonsense\nlocation: online\n"
	if err := os.WriteFile(d.store.Path(name), []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
	return d.keys("ctrl+r")
}

// manyProfiles is a store with n connections.
func manyProfiles(t testing.TB, n int) []*manageRow {
	t.Helper()
	entries := make([]connections.Entry, n)
	for i := range entries {
		c := someProfiles()[i%6]
		c.ID, c.Name = fmt.Sprintf("%026d", i), fmt.Sprintf("%s-%04d", c.Name, i)
		entries[i].Connection = c
	}
	return makeRows(entries, nil, nil, testClouds())
}
