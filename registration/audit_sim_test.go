package registration

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/graph"
	"github.com/c2conn/c2conn/internal/sim"
	"github.com/c2conn/c2conn/internal/task"
)

// connected registers in the simulated tenant and saves the connection.
func (p *place) connected(kind connections.Kind) (connections.Connection, *certs.Identity) {
	p.Helper()
	p.wish.Kind = kind
	res, err := p.register(p.Context())
	if err != nil {
		p.Fatal(err)
	}
	c, err := p.store.Add(p.Context(), connections.Connection{Name: "it", Kind: kind, Location: connections.Online, Cloud: "sim", Tenant: res.Tenant, Account: sim.Mailbox,
		Registration: res.Registration, Credential: res.Credential})
	if err != nil {
		p.Fatal(err)
	}
	if err := p.r.Finish(p.Context(), res.RunID); err != nil {
		p.Fatal(err)
	}
	p.clock.now = p.clock.now.Add(recent) // no longer fresh
	return c, res.Identity.Identity
}

// seeded is a connection to one of the applications that every world has.
func (p *place) seeded(name string, kind connections.Kind) connections.Connection {
	p.Helper()
	a, ok := p.world.App(name)
	if !ok {
		p.Fatal(name)
	}
	return connections.Connection{Name: name, Kind: kind, Location: connections.Online, Cloud: "sim", Tenant: connections.Tenant{ID: p.world.TenantID}, Account: sim.Mailbox,
		Registration: connections.Registration{ClientID: a.ClientID}, Credential: connections.Credential{Type: connections.TypeCertificate, Thumbprint: string(certs.ThumbprintOf(a.Certificate.Leaf))}}
}

func (p *place) inspect(c connections.Connection, id *certs.Identity) *Drift {
	p.Helper()
	d, err := p.r.Inspect(p.Context(), p.admin, c, id)
	if err != nil {
		p.Fatal(err)
	}
	return d
}

// damage takes from the registration one permission of the list, the certificate
// (another one stays) and one consent.
func (p *place) damage(d *Drift, other graph.Key) {
	p.Helper()
	g, ctx := p.admin.Graph, graph.Fresh(p.Context(), time.Minute)
	app, err := g.Application(ctx, d.ObjectID)
	if err != nil {
		p.Fatal(err)
	}
	have, err := g.Assignments(ctx, d.PrincipalID)
	if err != nil || len(have) == 0 {
		p.Fatal(have, err)
	}
	app.Required[0].Roles = app.Required[0].Roles[1:]
	app.Required[0].Scopes = append(app.Required[0].Scopes, "e1fe6dd8-ba31-4d61-89e7-88639da4683d") // User.Read, delegated
	for _, err := range []error{g.SetRequired(ctx, d.ObjectID, app.Required), g.SetKeys(ctx, d.ObjectID, []graph.Key{other}), g.Unassign(ctx, d.PrincipalID, have[0].ID)} {
		if err != nil {
			p.Fatal(err)
		}
	}
}

// TestRepairEveryKind mends what is damaged, by the requests that were planned.
func TestRepairEveryKind(t *testing.T) {
	t.Parallel()
	for _, kind := range connections.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, sim.GlobalAdmin, sim.Options{})
			c, id := p.connected(kind)
			before := len(p.world.Requests())
			d := p.inspect(c, id)
			if !d.Clean() || !d.Certificate.Listed || d.PrincipalID != c.Registration.ObjectID {
				t.Fatalf("as registered: %s", d.Text(0))
			}
			if n := len(p.world.Requests()) - before; n != 4 {
				t.Errorf("%d requests", n)
			}
			p.damage(d, theirs()[0])
			d = p.inspect(c, id)
			plan := d.Plan()
			if len(d.Missing) != 1 || len(d.NotListed) != 1 || d.Certificate.Listed || len(plan.Changes) != 3 || len(d.Superfluous) > 0 {
				t.Fatalf("%s\n%s", d.Text(0), plan.Text(0))
			}
			before = len(p.world.Requests())
			missing, results, err := p.r.Repair(t.Context(), p.admin, d, nil)
			if err != nil || len(missing) > 0 || len(results) != 3 {
				t.Fatal(missing, results, err)
			}
			p.sentAsPlanned(plan, before)
			if d = p.inspect(c, id); !d.Clean() {
				t.Errorf("after the repair: %s", d.Text(0))
			}
			app := p.dump().Applications[0]
			if keys := app["keyCredentials"].([]any); len(keys) != 2 {
				t.Errorf("%d certificates", len(keys))
			}
			if data, err := json.Marshal(app["requiredResourceAccess"]); err != nil || !strings.Contains(string(data), "e1fe6dd8-ba31-4d61-89e7-88639da4683d") {
				t.Errorf("what others ask for is lost: %s %v", data, err)
			}
			o := p.base()
			o.TenantID, o.ClientID, o.Credential = p.world.TenantID, c.Registration.ClientID, entra.Credential{Identity: id}
			login, err := entra.NewApp(o)
			if err != nil {
				t.Fatal(err)
			}
			if err := Await(t.Context(), login, p.cloud, Catalogue(PurposeOf(c)), 1, time.Minute, p.clock); err != nil {
				t.Errorf("the application: %v", err)
			}
			before = len(p.world.Requests())
			if _, results, err := p.r.Repair(t.Context(), p.admin, p.inspect(c, id), nil); err != nil || len(results) > 0 || len(p.world.Requests()) != before+4 {
				t.Errorf("the second repair: %v %v", results, err)
			}
		})
	}
}

// sentAsPlanned compares the changes that were sent with those of the plan.
func (p *place) sentAsPlanned(plan RepairPlan, from int) {
	p.Helper()
	type request struct {
		Method, URL string
		Body        any
	}
	var sent []request
	for _, e := range p.world.Requests()[from:] {
		if e.Service != "graph" || e.Method == http.MethodGet {
			continue
		}
		one := request{Method: e.Method, URL: e.URL[strings.Index(e.URL, "/v1.0")+len("/v1.0"):]}
		if err := json.Unmarshal(e.Body, &one.Body); err != nil {
			p.Fatal(err)
		}
		if keys, ok := one.Body.(map[string]any)["keyCredentials"].([]any); ok {
			for _, k := range keys {
				delete(k.(map[string]any), "customKeyIdentifier") // follows from the certificate
			}
		}
		if one.URL != "/$batch" {
			sent = append(sent, one)
			continue
		}
		var b struct{ Requests []request }
		if err := json.Unmarshal(e.Body, &b); err != nil {
			p.Fatal(err)
		}
		sent = append(sent, slices.DeleteFunc(b.Requests, func(r request) bool { return r.Method == http.MethodGet })...)
	}
	if len(sent) != len(plan.Changes) {
		p.Fatalf("%d changes planned, %d sent", len(plan.Changes), len(sent))
	}
	for i, c := range plan.Changes {
		var body any
		data, err := json.Marshal(c.Body)
		if err == nil {
			err = json.Unmarshal(data, &body)
		}
		if err != nil || c.Method != sent[i].Method || strings.TrimPrefix(c.URL, p.cloud.GraphBase()) != sent[i].URL || !fits(body, sent[i].Body) {
			p.Errorf("planned %+v\nsent %+v %v", c, sent[i], err)
		}
	}
}

// TestInspectSeeded looks at the applications that every world has.
func TestInspectSeeded(t *testing.T) {
	t.Parallel()
	p := newPlace(t, sim.GlobalAdmin, sim.Options{})
	for name, want := range map[string]func(*Drift) bool{
		sim.AppBackup:             func(d *Drift) bool { return d.Clean() },
		sim.AppNoServicePrincipal: func(d *Drift) bool { return d.PrincipalMissing && len(d.Missing) == 5 },
		sim.AppDisabled:           func(d *Drift) bool { return d.PrincipalDisabled && d.Nothing() && !d.Clean() },
		sim.AppDeactivated:        func(d *Drift) bool { return d.Disabled && d.Nothing() && len(d.Notes) == 1 },
		sim.AppNoRoles:            func(d *Drift) bool { return len(d.Missing) == 5 && len(d.NotListed) == 5 },
		sim.AppMissingRoles:       func(d *Drift) bool { return len(d.Missing) == 2 && len(d.NotListed) == 2 },
		sim.AppSuperfluousRoles: func(d *Drift) bool {
			return d.Nothing() && len(d.Superfluous) == 3 && !slices.ContainsFunc(d.Superfluous, func(x SuperfluousPermission) bool { return !x.Writes }) && d.Pages.Permissions != ""
		},
		sim.AppExpiredCertificate: func(d *Drift) bool { return d.Certificate.Expired && d.Nothing() },
	} {
		if d := p.inspect(p.seeded(name, connections.Exchange), nil); !want(d) {
			t.Errorf("%s: %s", name, d.Text(0))
		}
	}
}

// TestRepairWithoutPrincipal makes the service principal of an application, as two
// roles that differ in what they may consent to.
func TestRepairWithoutPrincipal(t *testing.T) {
	t.Parallel()
	for upn, left := range map[string]int{sim.GlobalAdmin: 0, sim.ApplicationAdmin: 4} {
		t.Run(upn, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, upn, sim.Options{})
			c := p.seeded(sim.AppNoServicePrincipal, connections.Exchange)
			d := p.inspect(c, nil)
			if got := len(d.Plan().Warnings) > 0; got != (left > 0) {
				t.Errorf("%v", d.Plan().Warnings)
			}
			missing, results, err := p.r.Repair(t.Context(), p.admin, d, nil)
			if err != nil || len(missing) != left {
				t.Fatal(missing, results, err)
			}
			if d = p.inspect(c, nil); len(d.Missing) != left || d.PrincipalMissing || len(d.NotListed) > 0 {
				t.Error(d.Text(0))
			}
			if left == 0 {
				return
			}
			for _, q := range d.Missing {
				if q.Resource != Graph || q.ConsentBy != graphConsenters {
					t.Errorf("%+v", q)
				}
			}
			if r := results[len(results)-1]; r.Status != task.Warn || !isA[*advice.ConsentNeededError](r.Err) || r.Advice == nil {
				t.Errorf("%+v", r)
			}
		})
	}
}

// TestRepairForbidden: who may read but not change learns that, and nothing happens.
func TestRepairForbidden(t *testing.T) {
	t.Parallel()
	p := newPlace(t, sim.GlobalReader, sim.Options{})
	c := p.seeded(sim.AppNoRoles, connections.Exchange)
	missing, results, err := p.r.Repair(t.Context(), p.admin, p.inspect(c, nil), nil)
	var refused *graph.Error
	if !errors.As(err, &refused) || refused.Status != http.StatusForbidden || len(missing) != 5 || !strings.Contains(results[0].Advice.What, "may not change this application") {
		t.Errorf("%v %+v", err, results)
	}
	if d := p.inspect(c, nil); len(d.Missing) != 5 || len(d.NotListed) != 5 {
		t.Error(d.Text(0))
	}
	stranger := p.admin
	stranger.Claims.TenantID = p.world.OtherTenantID()
	if _, err := p.r.Inspect(t.Context(), stranger, c, nil); !isA[*entra.WrongTokenError](err) {
		t.Errorf("signed in to another tenant: %v", err)
	}
}

// TestRepairLagging mends in a tenant whose servers lag behind.
func TestRepairLagging(t *testing.T) {
	t.Parallel()
	for seed := range int64(4) {
		p := newPlace(t, sim.GlobalAdmin, sim.Options{Seed: seed})
		c, id := p.connected(connections.Exchange)
		d := p.inspect(c, id)
		if err := p.world.SetFault("replication=20s"); err != nil {
			t.Fatal(err)
		}
		p.damage(d, theirs()[0])
		if err := p.admin.Graph.DeleteServicePrincipal(t.Context(), d.PrincipalID); err != nil {
			t.Fatal(err)
		}
		// Each look may come from before; so may a repair find too little to do.
		for n := 0; n < 5 || !d.Nothing(); n++ {
			if n > 20 {
				t.Fatalf("seed %d: %s", seed, d.Text(0))
			}
			var err error
			if d, err = p.r.Inspect(t.Context(), p.admin, c, id); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if _, _, err := p.r.Repair(t.Context(), p.admin, d, nil); err != nil {
				t.Logf("seed %d: %v", seed, err)
			}
			p.clock.now = p.clock.now.Add(10 * time.Second)
		}
		have := p.dump()
		if len(have.Principals) != 1 || len(have.Assignments) != 5 || len(have.Applications[0]["keyCredentials"].([]any)) != 2 {
			t.Errorf("seed %d: %d principals, %d permissions, %v", seed, len(have.Principals), len(have.Assignments), have.Applications[0]["keyCredentials"])
		}
		_ = p.world.Close()
	}
}

// TestInspectDeleted: a registration in the deleted items, and one removed for good.
func TestInspectDeleted(t *testing.T) {
	t.Parallel()
	p := newPlace(t, sim.GlobalAdmin, sim.Options{})
	c, id := p.connected(connections.MigrationSource)
	for _, purge := range []bool{false, true} {
		if err := Delete(t.Context(), p.admin, c.Registration.ClientID, purge); err != nil {
			t.Fatal(err)
		}
		_, err := p.r.Inspect(t.Context(), p.admin, c, id)
		var gone *advice.RegistrationGoneError
		if !errors.As(err, &gone) || gone.Deleted.IsZero() != purge || gone.Name != AppName(connections.MigrationSource) {
			t.Errorf("%v", err)
		}
		if !purge && gone.Until().Sub(p.clock.Now()).Round(time.Hour) != 30*day {
			t.Errorf("until %v", gone.Until())
		}
	}
}
