package move_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/connections/bundle"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/move"
)

// computer is a home with a key of its own.
func computer(t *testing.T, variable, value string) move.Place {
	t.Helper()
	dir := t.TempDir()
	if variable == "C2CONN_IDENTITY_FILE" {
		value = filepath.Join(dir, "identity")
	}
	store, err := connections.Open(connections.Options{Dir: filepath.Join(dir, "home"), ScryptLogN: 10, Getenv: func(name string) string {
		if name == variable {
			return value
		}
		return ""
	}})
	if err != nil {
		t.Fatal(err)
	}
	clouds, err := cloud.Load(store.Dir())
	if err != nil {
		t.Fatal(err)
	}
	return move.Place{Store: store, Personal: certs.NewFiles(store, store.Dir(), time.Now), Clouds: clouds}
}

func profile(name string) connections.Connection {
	return connections.Connection{
		Name: name, Kind: connections.Exchange, Location: connections.Online, Cloud: cloud.Global,
		Tenant: connections.Tenant{Domain: "contoso.onmicrosoft.com"}, Account: "backup@contoso.com",
		Registration: connections.Registration{ClientID: "11111111-2222-3333-4444-555555555555"},
		Credential:   connections.Credential{Type: connections.TypeClientSecret},
	}
}

func add(t *testing.T, p move.Place, c connections.Connection, secret string) connections.Connection {
	t.Helper()
	r, err := p.Store.PutSecret(t.Context(), connections.NewSecret(secret))
	if err != nil {
		t.Fatal(err)
	}
	c.Credential.Secret = r
	if c, err = p.Store.Add(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	return c
}

func all(t *testing.T, p move.Place) []connections.Connection {
	t.Helper()
	entries, err := p.Store.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var list []connections.Connection
	for _, e := range entries {
		list = append(list, e.Connection)
	}
	return list
}

func pack(t *testing.T, p move.Place) bundle.Bundle {
	t.Helper()
	b, failed, err := p.Pack(t.Context(), all(t, p), move.PackOptions{MadeBy: "test", Now: time.Now()})
	if err != nil || len(failed) > 0 {
		t.Fatal(err, failed)
	}
	return b
}

func plan(t *testing.T, p move.Place, b bundle.Bundle) *move.Plan {
	t.Helper()
	plan, err := p.Plan(t.Context(), b, move.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// TestManyConnections moves 500 of them from a passphrase to an identity file.
func TestManyConnections(t *testing.T) {
	t.Parallel()
	from, to := computer(t, "C2CONN_PASSPHRASE", "one"), computer(t, "C2CONN_IDENTITY_FILE", "")
	for n := range 500 {
		add(t, from, profile(fmt.Sprintf("c-%03d", n)), fmt.Sprintf("secret %d", n))
	}
	done, err := to.Unpack(t.Context(), plan(t, to, pack(t, from)))
	if err != nil || len(done) != 500 {
		t.Fatal(len(done), err)
	}
	was := all(t, from)
	for n, c := range all(t, to) {
		secret, err := to.Store.Secret(t.Context(), c.Credential.Secret)
		if err != nil || string(secret.Reveal()) != fmt.Sprintf("secret %d", n) || c.ID != was[n].ID || c.Verification.State != connections.StateUnverified {
			t.Fatalf("%s: %v, %+v", c.Name, err, c)
		}
	}
}

// stuck is a personal store whose keys cannot leave it.
type stuck struct{ certs.Store }

func (stuck) Identity(context.Context, certs.Entry) (certs.Identity, error) {
	return certs.Identity{}, certs.ErrNotExportable
}

// TestNotExportable leaves out what cannot travel, and takes the rest.
func TestNotExportable(t *testing.T) {
	t.Parallel()
	p := computer(t, "C2CONN_PASSPHRASE", "one")
	id, err := certs.Generate(rand.Reader, time.Now(), certs.NewOptions{CommonName: "x"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Personal.Import(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	c := profile("fixed")
	c.Credential = connections.Credential{Type: connections.TypeCertificate, Thumbprint: string(id.Thumbprint()), Secret: connections.Ref("windows:" + string(id.Thumbprint()))}
	if _, err := p.Store.Add(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	add(t, p, profile("free"), "secret")
	p.Personal = stuck{p.Personal}
	b, failed, err := p.Pack(t.Context(), all(t, p), move.PackOptions{})
	if err != nil || len(b.Items) != 1 || len(failed) != 1 || !errors.Is(failed[0].Err, certs.ErrNotExportable) {
		t.Fatal(len(b.Items), failed, err)
	}
}

// TestFailureUndoes wants nothing half of a connection that cannot be saved.
func TestFailureUndoes(t *testing.T) {
	t.Parallel()
	from, to := computer(t, "C2CONN_PASSPHRASE", "one"), computer(t, "C2CONN_PASSPHRASE", "two")
	add(t, from, profile("a"), "first")
	add(t, from, profile("b"), "second")
	ready := plan(t, to, pack(t, from))
	taken := add(t, to, profile("B"), "meanwhile") // since the plan was made
	done, err := to.Unpack(t.Context(), ready)
	var step *move.StepError
	if !errors.As(err, &step) || step.Name != "b" || !errors.Is(err, connections.ErrExists) || len(done) != 1 {
		t.Fatal(done, err)
	}
	files, err := filepath.Glob(filepath.Join(to.Store.Dir(), "secrets", "0*.age"))
	if err != nil || len(files) != 2 { // that of a, and the one that was there
		t.Errorf("%d secrets, want 2: %v", len(files), err)
	}
	if _, err := to.Store.Secret(t.Context(), taken.Credential.Secret); err != nil {
		t.Error(err)
	}
}

// TestConflicts offers what settles each conflict, and no more.
func TestConflicts(t *testing.T) {
	t.Parallel()
	target := profile("target")
	target.Kind = connections.MigrationTarget
	for name, c := range map[string]struct {
		here func(c *connections.Connection)
		want []move.Action
	}{
		"same":          {func(*connections.Connection) {}, []move.Action{move.Skip, move.Replace}},
		"other name":    {func(c *connections.Connection) { c.Name = "elsewhere" }, []move.Action{move.Skip, move.Replace}},
		"other mailbox": {func(c *connections.Connection) { c.Account = "other@contoso.com" }, []move.Action{move.Skip, move.Replace, move.Rename}},
		"other kind":    {func(c *connections.Connection) { c.Kind = connections.Exchange }, []move.Action{move.Skip, move.Replace, move.Rename}},
		"nothing":       {func(c *connections.Connection) { c.Name, c.Account, c.ID = "x", "x@contoso.com", "" }, nil},
	} {
		from, to := computer(t, "C2CONN_PASSPHRASE", "one"), computer(t, "C2CONN_PASSPHRASE", "two")
		there := add(t, from, target, "secret")
		c.here(&there)
		add(t, to, there, "here")
		p := plan(t, to, pack(t, from))
		if got := p.Steps[0].Choices; fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: %v, want %v (%v)", name, got, c.want, p.Steps[0].Conflicts)
		}
		for i := range c.want {
			if err := p.Decide(0, c.want[i]); err != nil {
				t.Error(err)
			}
		}
		if _, err := to.Unpack(t.Context(), p); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestCloudsAreReplacedOnRequestOnly wants no choice about a connection to change where
// all connections of a cloud sign in.
func TestCloudsAreReplacedOnRequestOnly(t *testing.T) {
	t.Parallel()
	const definition = "name: lab\nauthority: https://login.%[1]s.example\ngraph: https://graph.%[1]s.example\noutlook: https://outlook.%[1]s.example\n"
	define := func(p move.Place, where string) {
		t.Helper()
		if _, err := p.Clouds.Add(t.Context(), fmt.Appendf(nil, definition, where), false); err != nil {
			t.Fatal(err)
		}
	}
	from, to := computer(t, "C2CONN_PASSPHRASE", "one"), computer(t, "C2CONN_PASSPHRASE", "two")
	define(from, "there")
	define(to, "here")
	for _, name := range []string{"new", "both"} {
		c := profile(name)
		c.Cloud = "lab"
		add(t, from, c, "secret of "+name)
	}
	mine := profile("both")
	mine.Cloud = "lab"
	add(t, to, mine, "mine")
	b := pack(t, from)

	p, err := to.Plan(t.Context(), b, move.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range p.Steps {
		text := strings.Join(s.Conflicts, "; ")
		if !s.CloudInTheWay() || fmt.Sprint(s.Choices) != "[skip]" || !strings.Contains(text, "sign-in at https://login.there.example instead of https://login.here.example") {
			t.Errorf("%s: %v, %s", s.Name, s.Choices, text)
		}
		for _, a := range []move.Action{move.Replace, move.Rename, move.Add} {
			if p.Decide(i, a) == nil {
				t.Errorf("%s: %s settles it", s.Name, a)
			}
		}
	}

	if p, err = to.Plan(t.Context(), b, move.PlanOptions{ReplaceClouds: true}); err != nil {
		t.Fatal(err)
	}
	for i, s := range p.Steps {
		if s.CloudInTheWay() || (s.Action == "") != (s.Name == "both") {
			t.Errorf("%s: %q, %v", s.Name, s.Action, s.Conflicts)
		}
		if s.Action == "" {
			if err := p.Decide(i, move.Rename); err != nil {
				t.Error(err)
			}
		}
	}
	if got := fmt.Sprint(p.Clouds[0].Users); got != "[both]" {
		t.Errorf("it concerns %s", got)
	}
	if _, err := to.Unpack(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if c, err := to.Clouds.Find("lab"); err != nil || c.Login != "https://login.there.example" {
		t.Errorf("%+v, %v", c, err)
	}
}
