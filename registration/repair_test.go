package registration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/graph"
	"github.com/c2conn/c2conn/internal/task"
)

// repair inspects and repairs; a killed process gives its panic.
func (p *process) repair(ctx context.Context, c connections.Connection) (d *Drift, results []task.Result, err error) {
	defer func() {
		if k, ok := recover().(killed); ok {
			err = fmt.Errorf("killed at %s", k.point)
		}
	}()
	id := mine()
	var own *certs.Identity
	if c.Credential.Type == connections.TypeCertificate {
		own = &id
	}
	if d, err = p.r.Inspect(ctx, p.admin(), c, own); err != nil {
		return nil, nil, err
	}
	p.fake.armed = true
	_, results, err = p.r.Repair(ctx, p.admin(), d, nil)
	return d, results, err
}

// mended checks that nothing is left to be repaired, and nothing of others lost.
func (p *process) mended(c connections.Connection, keys int) error {
	p.fake.armed = false
	before := len(p.fake.sent)
	d, results, err := p.repair(context.Background(), c)
	p.fake.armed = false
	switch {
	case err != nil:
		return err
	case !d.Nothing() || len(results) > 0:
		return fmt.Errorf("not mended: %s", d.Text(0))
	}
	for _, name := range p.fake.sent[before:] {
		if !slices.Contains([]string{"survey", "read application by client id", "read service principal", "read assignments"}, name) {
			return fmt.Errorf("the second repair sent: %s", name)
		}
	}
	a := p.fake.apps[0]
	if len(p.fake.principals) != 4 || len(p.fake.assignments) != 5 || len(a.Keys) != keys || len(a.Secrets) != 1 {
		return fmt.Errorf("%d principals, %d permissions, %d certificates, %d secrets", len(p.fake.principals), len(p.fake.assignments), len(a.Keys), len(a.Secrets))
	}
	if left, err := p.r.Unfinished(context.Background()); err != nil || len(left) > 0 {
		return fmt.Errorf("unfinished: %v %w", left, err)
	}
	return p.intact()
}

// TestRepairAtEveryPoint breaks a repair off at every point; the next one ends it.
func TestRepairAtEveryPoint(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{connections.TypeCertificate, connections.TypeClientSecret} {
		for _, what := range []strike{lostAfter, lostBefore, refuse, cancelAfter, killBefore, killAfter} {
			t.Run(fmt.Sprint(kind, "/", what), func(t *testing.T) {
				t.Parallel()
				everyPoint(t, func(at int) (string, error) {
					s := newScene(t)
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					s.fake.at, s.fake.what, s.fake.cancel = at, what, cancel
					first := s.start()
					c, keys := first.drifted(), foreignKeys+1
					if c.Credential.Type = kind; kind == connections.TypeClientSecret {
						keys = foreignKeys
					}
					_, results, err := first.repair(ctx, c)
					first.r.Close()
					hit := s.fake.hit
					s.fake.armed, s.fake.dead, s.fake.hit = false, false, ""
					if hit == "" && (err != nil || len(results) == 0) {
						return hit, fmt.Errorf("%v %w", results, err)
					}
					second := s.start()
					if err != nil {
						if err := second.intact(); err != nil {
							return hit, err
						}
						_, results, err = second.repair(t.Context(), c)
						if err != nil {
							return hit, err
						}
					}
					if left, err := runs(filepath.Join(second.r.dir, "repairs")); err != nil || len(left) > 0 && len(results) > 0 {
						return hit, fmt.Errorf("records left: %v %w", left, err)
					}
					return hit, second.mended(c, keys)
				})
			})
		}
	}
}

// TestRepairSteps tells what each task finds, and who has to consent.
func TestRepairSteps(t *testing.T) {
	t.Parallel()
	p := newScene(t).start()
	c := p.drifted()
	p.fake.denyConsent = []string{Graph.AppID()}
	id := mine()
	d, err := p.r.Inspect(t.Context(), p.admin(), c, &id)
	if err != nil {
		t.Fatal(err)
	}
	var heard []string
	missing, results, err := p.r.Repair(t.Context(), p.admin(), d, func(e task.Event) {
		if e.Kind == task.Finished {
			heard = append(heard, e.Title+": "+string(e.Result.Status))
		}
	})
	if err != nil || len(missing) != 4 || len(results) != 4 {
		t.Fatal(missing, results, err)
	}
	if want := "Permissions listed: pass, Certificate: pass, Service principal: pass, Admin consent: warn"; strings.Join(heard, ", ") != want {
		t.Errorf("%v", heard)
	}
	var needed *advice.ConsentNeededError
	if r := results[3]; !errors.As(r.Err, &needed) || len(needed.Roles) != 4 || needed.Link == "" || r.Advice == nil {
		t.Errorf("%+v", r)
	}
	p.fake.denyConsent = nil
	if _, _, err := p.repair(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if err := p.mended(c, foreignKeys+1); err != nil {
		t.Error(err)
	}
}

// meddler is a tenant in which others change the registration at the same time, and
// whose servers lag behind.
type meddler struct {
	*fake
	wipes int               // times that somebody replaces what the application asks for
	stale int               // reads that are answered from before
	old   graph.Application // as it was before
}

func (m *meddler) Application(ctx context.Context, id string) (graph.Application, error) {
	if m.stale > 0 {
		m.stale--
		return cloned(m.old), nil
	}
	return m.fake.Application(ctx, id)
}

func (m *meddler) SetRequired(ctx context.Context, id string, r []graph.ResourceAccess) error {
	err := m.fake.SetRequired(ctx, id, r)
	if m.wipes > 0 {
		m.wipes--
		m.apps[0].Required = m.apps[0].Required[:1]
		m.apps[0].Required[0].Scopes = []string{"theirs", fmt.Sprint(m.wipes)}
	}
	return err
}

// TestRepairAmongOthers: what others list or register at the same time stays.
func TestRepairAmongOthers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ wipes, stale int }{"wiped once": {wipes: 1}, "wiped always": {wipes: 100}, "stale read": {stale: 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newScene(t).start()
			conn := p.drifted()
			a := &p.fake.apps[0]
			m := &meddler{fake: p.fake, wipes: c.wipes, stale: c.stale, old: cloned(*a)}
			// Added a moment ago, and not known to every server.
			a.Required = append(a.Required, graph.ResourceAccess{ResourceAppID: "theirs", Roles: []string{"theirs"}})
			m.old.Keys = m.old.Keys[:1]
			admin := p.admin()
			admin.Graph = m
			id := mine()
			d, err := p.r.Inspect(t.Context(), admin, conn, &id)
			if err != nil {
				t.Fatal(err)
			}
			_, results, err := p.r.Repair(t.Context(), admin, d, nil)
			if name == "wiped always" {
				if err == nil || results[0].Status != task.Fail || results[1].Status != task.Pass || results[3].Status != task.Pass || !strings.Contains(err.Error(), "somebody else is changing it") {
					t.Errorf("%+v %v", results, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !asks(a.Required, "theirs", "theirs") || !slices.Contains(a.Required[0].Scopes, "e1fe6dd8-ba31-4d61-89e7-88639da4683d") || len(a.Keys) != foreignKeys+1 ||
				c.wipes > 0 && !slices.Contains(a.Required[0].Scopes, "theirs") {
				t.Errorf("asks for %+v, %d certificates", a.Required, len(a.Keys))
			}
			if err := p.mended(conn, foreignKeys+1); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestRepairRefused: a certificate that is not shown stays; one that lives too long
// is refused with the reason; a killed repair's record goes with the next.
func TestRepairRefused(t *testing.T) {
	t.Parallel()
	p := newScene(t).start()
	c := p.drifted()
	shown := p.fake.apps[0].Keys[0].Public
	p.fake.apps[0].Keys[0].Public = nil
	if _, results, err := p.repair(t.Context(), c); err == nil || !strings.Contains(err.Error(), "without losing it") || results[3].Status != task.Pass {
		t.Errorf("%+v %v", results, err)
	}
	p.fake.apps[0].Keys[0].Public = shown
	for i := range p.fake.apps[0].Keys {
		p.fake.apps[0].Keys[i].End = p.fake.apps[0].Keys[i].Start.AddDate(1, 0, 0)
	}
	p.fake.keyLifetime = 400 * day
	_, _, err := p.repair(t.Context(), c)
	var policy *advice.PolicyLifetimeError
	if !errors.As(err, &policy) || policy.PolicyID == "" {
		t.Errorf("%v", err)
	}
	p.fake.keyLifetime = 0
	record := filepath.Join(p.r.dir, "repairs", "01K9Z7ABCDEFGHJKMNPQRSTVWX.json")
	if err := os.WriteFile(record, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.repair(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(record); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the record stays: %v", err)
	}
	if err := p.mended(c, foreignKeys+1); err != nil {
		t.Error(err)
	}
}
