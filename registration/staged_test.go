package registration

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/sim"
)

// stage adds a connection that is not saved yet.
func (p *process) stage(c connections.Connection) {
	p.t.Helper()
	g, err := p.store.Stage(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	defer g.Close()
	c.ID = ""
	if _, err := g.Add(p.t.Context(), c); err != nil {
		p.t.Fatal(err)
	}
}

// TestOldCredentialOfStaged: what only a staged connection uses is not removed after a
// rotation. A staged change that leaves the credential alone is in nobody's way: it
// takes the one that is saved by then.
func TestOldCredentialOfStaged(t *testing.T) {
	t.Parallel()
	p := connected(t, sim.Options{Seed: 5}, false)
	before := p.connection("it")
	change := func(do func(*connections.Stage) error) {
		t.Helper()
		g, err := p.store.Stage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		if err := do(g); err != nil {
			t.Fatal(err)
		}
	}
	change(func(g *connections.Stage) error {
		_, err := g.Update(t.Context(), "it", func(c *connections.Connection) error { c.Account = "other@contoso.com"; return nil })
		return err
	})
	change(func(g *connections.Stage) error {
		twin := before
		twin.ID, twin.Name = "", "twin"
		_, err := g.Add(t.Context(), twin)
		return err
	})
	wish := p.wishFor(before)
	wish.Grace = 24 * time.Hour
	if _, err := p.r.Rotate(t.Context(), p.itself(before), wish, nil); err != nil {
		t.Fatal(err)
	}
	now := p.connection("it")
	left, err := p.r.Rotations(t.Context())
	if err != nil || len(left) != 1 {
		t.Fatalf("rotations: %+v %v", left, err)
	}
	p.clock.Sleep(t.Context(), 25*time.Hour) //nolint:errcheck // time passes
	var used *advice.RotationInUseError
	if _, err = p.r.FinishRotation(t.Context(), p.itself(now), left[0].Run, false, nil); !errors.As(err, &used) || !slices.Equal(used.Using, []string{"twin"}) {
		t.Fatalf("finish: %v", err)
	}
	if n := len(p.inTenant("keyCredentials")); n != 2 {
		t.Errorf("%d keys in the application, want both", n)
	}
	p.wantWorking(before)
	change(func(g *connections.Stage) error { return g.Revert(t.Context(), "twin") })
	if out, err := p.r.FinishRotation(t.Context(), p.itself(now), left[0].Run, false, nil); err != nil || out.State != RotationDone {
		t.Fatalf("finish: %+v %v", out, err)
	}
	p.wantOnly("it", before)
}

// TestStagedConnectionIsKnown: a run whose connection is staged, not yet saved, is as
// little left over as one that is saved.
func TestStagedConnectionIsKnown(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	p := s.start()
	res, err := p.register(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	g, err := p.store.Stage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Add(t.Context(), connections.Connection{Name: "it", Kind: connections.Exchange, Location: connections.Online, Cloud: "global", Tenant: res.Tenant, Account: adminUPN,
		Registration: res.Registration, Credential: res.Credential}); err != nil {
		t.Fatal(err)
	}
	g.Close()
	p.r.Close() // the process ended after the change was staged and before Finish
	p = s.start()
	if left, err := p.r.Unfinished(t.Context()); err != nil || len(left) > 0 {
		t.Errorf("a staged connection uses it: %+v %v", left, err)
	}
}

// TestStagedCertificateStays: taking a run back leaves the key that a staged connection uses.
func TestStagedCertificateStays(t *testing.T) {
	t.Parallel()
	p, run := half(t, nil)
	j, err := readJournal(p.r.dir, run)
	if err != nil {
		t.Fatal(err)
	}
	g, err := p.store.Stage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if _, err := g.Add(t.Context(), connections.Connection{Name: "other", Kind: connections.Exchange, Location: connections.Online, Cloud: "global",
		Tenant: connections.Tenant{ID: tenantID}, Account: adminUPN, Registration: connections.Registration{Mode: connections.ModeManual, ClientID: "99999999-0000-4000-8000-000000000000"},
		Credential: connections.Credential{Type: connections.TypeCertificate, Thumbprint: string(j.Key.Thumbprint), Secret: "store:" + connections.Ref(run)}}); err != nil {
		t.Fatal(err)
	}
	if err := p.r.Rollback(t.Context(), p.admin(), run, nil); err != nil {
		t.Fatal(err)
	}
	if err := p.credentials(1, 0); err != nil {
		t.Errorf("a staged connection uses it: %v", err)
	}
}
