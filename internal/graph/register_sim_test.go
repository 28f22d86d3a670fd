package graph_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/graph"
	"github.com/c2conn/c2conn/internal/sim"
	"github.com/c2conn/c2conn/internal/transport"
)

// ticking is a clock that the simulated tenant and the client share: waits take
// no time, but it passes.
type ticking struct {
	mu  sync.Mutex
	now time.Time
}

func (c *ticking) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *ticking) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return ctx.Err()
}

const (
	graphAppID    = "00000003-0000-0000-c000-000000000000"
	exchangeAppID = "00000002-0000-0ff1-ce00-000000000000"
)

// admin is the simulated tenant and somebody signed in to it.
func admin(t *testing.T, upn string, seed int64, faults ...string) (*sim.World, *graph.Client) {
	t.Helper()
	clock := &ticking{now: time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)}
	w, err := sim.Start(sim.Options{Seed: seed, Now: clock.Now, Faults: faults, Keys: keys()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	c, err := cloud.Parse(w.CloudYAML())
	if err != nil {
		t.Fatal(err)
	}
	client, err := transport.New(transport.Options{ExtraCA: c.CA, Clock: clock, UserAgent: "c2conn/test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	token, err := w.AdminToken(upn)
	if err != nil {
		t.Fatal(err)
	}
	g, err := graph.New(graph.Options{BaseURL: c.GraphBase(), HTTP: client, Clock: clock, Token: func(context.Context, string) (string, error) { return token, nil }})
	if err != nil {
		t.Fatal(err)
	}
	return w, g
}

// register does what a registration does, as far as it is Graph's, and returns
// the errors of the assignments.
func register(t *testing.T, w *sim.World, g *graph.Client) (graph.Application, graph.ServicePrincipal, []error) {
	t.Helper()
	survey, err := g.Survey(t.Context(), graph.SurveyRequest{Me: true, Resources: []string{graphAppID, exchangeAppID, "11111111-2222-3333-4444-555555555555"}, DisplayName: "CodeTwo Backup Exchange", Tags: []string{"c2conn:exchange"}})
	if err != nil {
		t.Fatal(err)
	}
	if survey.MeErr != nil || survey.RolesErr != nil || survey.Organization.ID != w.TenantID || survey.Me.ID == "" || len(survey.Resources) != 2 {
		t.Errorf("%+v", survey)
	}
	wanted := map[string][]string{
		graphAppID:    {"Directory.Read.All", "Group.Read.All", "MailboxSettings.ReadWrite", "User.Read.All"},
		exchangeAppID: {"full_access_as_app"},
	}
	a := graph.NewApplication{
		DisplayName: "CodeTwo Backup Exchange", Description: "d", Notes: "n", Tags: []string{"c2conn", "c2conn:exchange", "c2conn:run:1"},
		Keys: []graph.Key{{DisplayName: "CN=x", Start: w.Certificate.Leaf.NotBefore, End: w.Certificate.Leaf.NotAfter, Public: w.Certificate.Leaf.Raw}},
	}
	var grants []graph.Assignment
	for _, id := range []string{exchangeAppID, graphAppID} {
		access := graph.ResourceAccess{ResourceAppID: id}
		for _, value := range wanted[id] {
			i := slices.IndexFunc(survey.Resources[id].Roles, func(r graph.AppRole) bool { return r.Value == value && r.ForApplications && r.Enabled })
			if i < 0 {
				t.Fatalf("no role %s", value)
			}
			access.Roles = append(access.Roles, survey.Resources[id].Roles[i].ID)
			grants = append(grants, graph.Assignment{ResourceID: survey.Resources[id].ObjectID, RoleID: survey.Resources[id].Roles[i].ID})
		}
		a.Required = append(a.Required, access)
	}
	fresh := graph.Fresh(t.Context(), 3*time.Minute)
	app, _, err := g.UpsertApplication(fresh, "c2conn-exchange-1", a)
	if err != nil {
		t.Fatal(err)
	}
	if len(app.Keys) != 1 || !slices.Equal(app.Tags, a.Tags) || app.SignInAudience != "AzureADMyOrg" || app.UniqueName != "c2conn-exchange-1" || len(app.Required) != 2 {
		t.Errorf("%+v", app)
	}
	sp, err := g.CreateServicePrincipal(fresh, app.AppID, []string{"c2conn", "WindowsAzureActiveDirectoryIntegratedApp"})
	if err != nil {
		t.Fatal(err)
	}
	for i := range grants {
		grants[i].PrincipalID = sp.ObjectID
	}
	return app, sp, g.Assign(fresh, grants)
}

type dump struct {
	Applications []json.RawMessage `json:"applications"`
	Assignments  []struct {
		PrincipalID string `json:"principalId"`
	} `json:"assignments"`
	Deleted []json.RawMessage `json:"deleted"`
}

func tenantNow(t *testing.T, w *sim.World, principal string) (applications, assignments, deleted int) {
	t.Helper()
	b, err := w.Dump()
	if err != nil {
		t.Fatal(err)
	}
	var d dump
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	for _, a := range d.Assignments {
		if a.PrincipalID == principal {
			assignments++
		}
	}
	return len(d.Applications), assignments, len(d.Deleted)
}

// One registration, and nothing left of it afterwards, whatever the tenant does.
func TestRegisterInSimulatedTenant(t *testing.T) {
	t.Parallel()
	for i, faults := range [][]string{
		nil, {"replication"}, {"replication=20s,1"}, {"replication", "conflict", "throttle=graph"}, {"conflict"}, {"concurrent-requests"}, {"no-batch"}, {"no-batch=501"},
		{"lost-answer=v1.0"}, {"lost-answer=v1.0", "replication"}, {"throttle=graph"}, {"policy-unreadable"}, {"cut=graph"}, {"unavailable=graph"},
	} {
		seeds := 1
		if slices.ContainsFunc(faults, func(f string) bool { return strings.HasPrefix(f, "replication") }) {
			seeds = 3 // other replicas lag
		}
		for seed := range seeds {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				w, g := admin(t, sim.GlobalAdmin, int64(10*i+seed), faults...)
				before, _, _ := tenantNow(t, w, "")
				app, sp, errs := register(t, w, g)
				if err := errors.Join(errs...); err != nil {
					t.Fatalf("%v: %v", faults, err)
				}
				if apps, grants, _ := tenantNow(t, w, sp.ObjectID); apps != before+1 || grants != 5 {
					t.Errorf("%v: %d applications more, %d assignments", faults, apps-before, grants)
				}
				fresh := graph.Fresh(t.Context(), 3*time.Minute)
				read, err := g.Application(fresh, app.ObjectID)
				if err != nil || len(read.Keys) != 1 || !slices.Equal(read.Keys[0].Public, w.Certificate.Leaf.Raw) || read.Keys[0].Thumbprint == "" {
					t.Errorf("%v: %+v %v", faults, read, err)
				}
				// What stays, stays.
				if err := g.SetKeys(fresh, app.ObjectID, append(read.Keys, graph.Key{Public: w.Certificate.Leaf.Raw, DisplayName: "second", Start: read.Keys[0].Start, End: read.Keys[0].End})); err != nil {
					t.Errorf("%v: %v", faults, err)
				}
				if err := g.DeleteApplication(fresh, app.ObjectID); err != nil {
					t.Errorf("%v: %v", faults, err)
				}
				for _, id := range []string{app.ObjectID, sp.ObjectID} {
					// A first try whose answer was lost leaves the next one nothing to find.
					if err := g.PurgeDeleted(fresh, id); err != nil && !graph.Replicating(err) {
						t.Errorf("%v: %v", faults, err)
					}
				}
				if apps, grants, deleted := tenantNow(t, w, sp.ObjectID); apps != before || grants != 0 || deleted != 0 {
					t.Errorf("%v: left: %d applications, %d assignments, %d deleted", faults, apps-before, grants, deleted)
				}
			})
		}
	}
}

// Application Administrators consent to Exchange's roles, not to Graph's.
func TestSimulatedPartialConsent(t *testing.T) {
	t.Parallel()
	for _, faults := range [][]string{nil, {"no-batch"}, {"replication"}} {
		w, g := admin(t, sim.ApplicationAdmin, 1, faults...)
		_, sp, errs := register(t, w, g)
		for i, err := range errs {
			var e *graph.Error
			if refused := errors.As(err, &e) && e.Code == "Authorization_RequestDenied"; refused != (i > 0) {
				t.Errorf("%v %d: %v", faults, i, err)
			}
		}
		if _, grants, _ := tenantNow(t, w, sp.ObjectID); grants != 1 {
			t.Errorf("%v: %d assignments", faults, grants)
		}
	}
}

// Where a tenant has no upsert, a plain create whose answer is lost is not
// repeated, and is found by its tag.
func TestSimulatedLostCreate(t *testing.T) {
	t.Parallel()
	w, g := admin(t, sim.GlobalAdmin, 1, "no-upsert", "lost-answer=POST /v1.0/applications")
	before, _, _ := tenantNow(t, w, "")
	a := graph.NewApplication{DisplayName: "x", Tags: []string{"c2conn:run:7"}}
	var e *graph.Error
	if _, _, err := g.UpsertApplication(t.Context(), "x", a); !errors.As(err, &e) || e.Status != 400 || errors.Is(err, graph.ErrOutcomeUnknown) {
		t.Errorf("%v", err)
	}
	if _, err := g.CreateApplication(t.Context(), a); !errors.Is(err, graph.ErrOutcomeUnknown) {
		t.Errorf("%v", err)
	}
	found, err := g.ApplicationsByTag(t.Context(), "c2conn:run:7")
	if err != nil || len(found) != 1 {
		t.Fatalf("%+v %v", found, err)
	}
	if now, _, _ := tenantNow(t, w, ""); now != before+1 {
		t.Errorf("%d applications more", now-before)
	}
	end := time.Date(2027, 11, 22, 0, 0, 0, 0, time.UTC)
	if _, _, err := g.AddPassword(t.Context(), found[0].ObjectID, "c2conn", end); !errors.Is(err, graph.ErrOutcomeUnknown) {
		t.Errorf("%v", err)
	}
	p, secret, err := g.AddPassword(t.Context(), found[0].ObjectID, "c2conn", end)
	if err != nil || p.ID == "" || len(secret.Reveal()) < 16 {
		t.Errorf("%+v %v", p, err)
	}
	for range 2 {
		if err := g.RemovePassword(t.Context(), found[0].ObjectID, p.ID); err != nil {
			t.Error(err)
		}
	}
	owners, err := g.Owners(t.Context(), found[0].ObjectID)
	if err != nil {
		t.Errorf("%+v %v", owners, err)
	}
	if err := g.DeleteApplication(t.Context(), found[0].ObjectID); err != nil {
		t.Error(err)
	}
	deleted, err := g.DeletedApplications(t.Context())
	if err != nil || len(deleted) != 1 || deleted[0].ObjectID != found[0].ObjectID || deleted[0].Deleted.IsZero() {
		t.Errorf("%+v %v", deleted, err)
	}
}

func TestSimulatedPolicy(t *testing.T) {
	t.Parallel()
	w, g := admin(t, sim.GlobalAdmin, 1, "cert-lifetime", "secrets-forbidden")
	var e *graph.Error
	if p, err := g.Policy(t.Context()); !errors.As(err, &e) || e.Status != 403 { // Azure CLI's token lacks Policy.Read.All
		t.Errorf("%+v %v", p, err)
	}
	key := graph.Key{Public: w.Certificate.Leaf.Raw, Start: w.Certificate.Leaf.NotBefore, End: w.Certificate.Leaf.NotAfter}
	_, _, err := g.UpsertApplication(t.Context(), "x", graph.NewApplication{DisplayName: "x", Keys: []graph.Key{key}})
	if !errors.As(err, &e) || e.Code != "CredentialInvalidLifetimeAsPerAppPolicy" || len(e.Details) == 0 || errors.Is(err, graph.ErrOutcomeUnknown) {
		t.Errorf("%+v", err)
	}
	app, created, err := g.UpsertApplication(t.Context(), "x", graph.NewApplication{DisplayName: "x"})
	if err != nil || !created {
		t.Fatal(err)
	}
	if _, _, err := g.AddPassword(t.Context(), app.ObjectID, "x", time.Time{}); !errors.As(err, &e) || e.Code != "CredentialTypeNotAllowedAsPerAppPolicy" {
		t.Errorf("%+v", err)
	}
}
