package registration

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/sim"
	"github.com/c2conn/c2conn/internal/task"
)

// TestFaults registers in tenants with faults. An empty want means one application
// that works.
func TestFaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		faults string
		upn    string
		wish   func(*Wish)
		want   func(*Result, error) error
	}{
		{faults: "no-upsert"}, {faults: "no-upsert=404"}, {faults: "no-upsert=405"}, {faults: "no-batch"}, {faults: "conflict"}, {faults: "concurrent-requests"},
		{faults: "throttle=3s,2,graph"}, {faults: "policy-unreadable"},
		{faults: "lost-answer=PATCH /v1.0/applications"}, {faults: "no-upsert lost-answer=POST /v1.0/applications"}, {faults: "lost-answer=POST /v1.0/servicePrincipals"}, {faults: "lost-answer=POST /v1.0/$batch"},
		{faults: "lost-answer=addPassword", wish: secretWish},
		{faults: "cert-lifetime=180d", wish: func(w *Wish) { w.Longest = true }},
		{faults: "cert-lifetime=100d", wish: func(w *Wish) { w.Longest = true }},
		{faults: "cert-lifetime=180d", want: wantError(func(e *advice.PolicyLifetimeError) bool {
			return e.Allowed == 730*day && e.Wanted > 1800*day && isGUID(e.PolicyID)
		})},
		{faults: "secrets-forbidden", wish: secretWish, want: wantError(func(*advice.SecretsForbiddenError) bool { return true })},
		{faults: "registration-forbidden", upn: sim.OrdinaryUser, want: wantError(func(e *advice.RegistrationForbiddenError) bool { return e.Account == sim.OrdinaryUser })},
		{upn: sim.ApplicationAdmin, want: wantMissing(Graph, 4)}, {upn: sim.CloudApplicationAdmin, want: wantMissing(Graph, 4)},
		{upn: sim.ApplicationDeveloper, want: wantMissing("", 5)}, {upn: sim.OrdinaryUser, want: wantMissing("", 5)},
		{upn: sim.PrivilegedRoleAdmin},
		{faults: "write-denied=appRoleAssignedTo", want: wantMissing("", 5)},
		{faults: "quota", upn: sim.OrdinaryUser, want: wantError(func(*advice.QuotaError) bool { return true })},
		{faults: "resource-missing=exchange", want: wantError(func(e *advice.NoResourceError) bool { return e.Resource == Exchange.Title() })},
		{faults: "login-error=7000112", want: wantNotReady(func(e *entra.Error) bool { return e.Code() == 7000112 })},
		{faults: "app-not-found", want: wantNotReady(func(e *advice.ReplicationError) bool { return e.Waited >= DefaultConsistency })},
		{faults: "no-roles", want: wantNotReady(func(e *advice.ReplicationError) bool { return e.What == "the consent" })},
	} {
		t.Run(c.faults+" "+c.upn, func(t *testing.T) {
			t.Parallel()
			upn := c.upn
			if upn == "" {
				upn = sim.GlobalAdmin
			}
			var faults []string
			for _, f := range strings.Split(strings.ReplaceAll(strings.ReplaceAll(c.faults, "PATCH /", "PATCH_/"), "POST /", "POST_/"), " ") {
				if f != "" {
					faults = append(faults, strings.ReplaceAll(f, "_/", " /"))
				}
			}
			p := newPlace(t, upn, sim.Options{Faults: faults})
			if c.wish != nil {
				c.wish(&p.wish)
			}
			res, err := p.register(t.Context())
			if c.want == nil {
				if err != nil {
					t.Fatal(err)
				}
				p.checkOne(c.faults, res)
				if entries, err := p.own.List(t.Context()); err != nil || len(entries) != 1 && !p.wish.secret() {
					t.Errorf("%d certificates in the personal store, %v", len(entries), err)
				}
			} else if problem := c.want(res, err); problem != nil {
				t.Fatal(problem)
			}
			if res == nil {
				t.Fatal("no result")
			}
			if res.RunID != "" {
				for _, f := range faults {
					name, _, _ := strings.Cut(f, "=")
					p.world.ClearFault(name)
				}
				if err := p.r.Rollback(t.Context(), p.admin, res.RunID, nil); err != nil {
					t.Fatalf("rollback: %v", err)
				}
			}
			p.checkClean(c.faults)
		})
	}
}

// TestNoService: without a service that is required nothing is made at all.
func TestNoService(t *testing.T) {
	t.Parallel()
	var writes atomic.Int64
	p := newPlace(t, sim.GlobalAdmin, sim.Options{Faults: []string{"resource-missing=exchange"}, Watch: func(r *http.Request, s sim.Stage) bool {
		if s == sim.Decided && r.Method != http.MethodGet && strings.Contains(r.URL.Path, "/applications") {
			writes.Add(1)
		}
		return true
	}})
	res, err := p.register(t.Context())
	if !isA[*advice.NoResourceError](err) || res.RunID != "" || writes.Load() != 0 {
		t.Errorf("%v, run %q, %d writes of applications", err, res.RunID, writes.Load())
	}
	p.checkClean("no service")
}

// TestUseRefused takes back what a registration added to an application before its
// service principal was refused.
func TestUseRefused(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{connections.TypeCertificate, connections.TypeClientSecret} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, sim.GlobalAdmin, sim.Options{Faults: []string{"write-denied=servicePrincipals"}})
			first, err := p.register(t.Context())
			if err == nil || first.RunID == "" {
				t.Fatalf("%v, run %q", err, first.RunID)
			}
			before := p.dump().Applications
			p.wish.Type, p.wish.IfExists = kind, ExistsUse
			res, err := p.register(t.Context())
			if err == nil || res.RunID == "" {
				t.Fatalf("%v, run %q", err, res.RunID)
			}
			if err := p.r.Rollback(t.Context(), p.admin, res.RunID, nil); err != nil {
				t.Fatal(err)
			}
			for _, list := range []string{"keyCredentials", "passwordCredentials"} {
				if got, want := p.dump().Applications[0][list], before[0][list]; !reflect.DeepEqual(got, want) {
					t.Errorf("%s: %v, before: %v", list, got, want)
				}
			}
			if err := p.r.Rollback(t.Context(), p.admin, first.RunID, nil); err != nil {
				t.Fatal(err)
			}
			p.checkClean("both taken back")
		})
	}
}

func secretWish(w *Wish) { w.Type = connections.TypeClientSecret }

func wantError[T error](is func(T) bool) func(*Result, error) error {
	return func(_ *Result, err error) error {
		var e T
		if !errors.As(err, &e) || !is(e) {
			return fmt.Errorf("got %T %w", err, err)
		}
		return nil
	}
}

func wantNotReady[T error](is func(T) bool) func(*Result, error) error {
	return func(res *Result, err error) error {
		var e T
		if err != nil || res.Ready || !errors.As(res.Err, &e) || !is(e) || res.Results[4].Status != task.Warn {
			return fmt.Errorf("got %w, result %w", err, res.Err)
		}
		return nil
	}
}

func wantMissing(r Resource, n int) func(*Result, error) error {
	return func(res *Result, err error) error {
		var e *advice.ConsentNeededError
		switch {
		case err != nil:
			return err
		case len(res.Missing) != n || r != "" && res.Missing[0].Resource != r:
			return fmt.Errorf("missing: %v", res.Missing)
		case res.Results[3].Status != task.Warn || !errors.As(res.Results[3].Err, &e) || len(e.Roles) != n || !strings.Contains(e.Link, res.Registration.ClientID):
			return fmt.Errorf("consent: %+v", res.Results[3])
		case res.Ready != (n < 5) || n == 5 && res.Results[4].Status != task.Skip:
			return fmt.Errorf("ready %v, %+v", res.Ready, res.Results[4])
		}
		return nil
	}
}

// TestReplication registers in tenants whose replicas lag, and takes every other
// registration back.
func TestReplication(t *testing.T) {
	t.Parallel()
	for seed := range int64(14) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, sim.GlobalAdmin, sim.Options{Seed: seed, Faults: []string{"replication=20s"}})
			if seed%3 == 1 {
				p.wish.Type = connections.TypeClientSecret
			}
			if seed%5 == 2 {
				if err := p.world.SetFault("no-upsert"); err != nil {
					t.Fatal(err)
				}
			}
			res, err := p.register(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			p.checkOne("register", res)
			if seed%2 == 0 {
				if err := p.r.Rollback(t.Context(), p.admin, res.RunID, nil); err != nil {
					t.Fatal(err)
				}
				p.checkClean("rollback")
			}
		})
	}
}

// TestNetworkGone cuts the network for good before and after each request; when it
// is back, the next run resumes, or takes back what there is.
func TestNetworkGone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		faults   string
		stage    sim.Stage
		takeBack bool
	}{{"", sim.Arrived, true}, {"", sim.Decided, false}, {"no-upsert replication=20s", sim.Arrived, false}, {"no-upsert replication=20s", sim.Decided, true}} {
		faults, stage, takeBack := c.faults, c.stage, c.takeBack
		t.Run(fmt.Sprintf("%s/%d/%v", faults, stage, takeBack), func(t *testing.T) {
			t.Parallel()
			for at := int64(1); ; at++ {
				var count, dead atomic.Int64
				p := newPlace(t, sim.GlobalAdmin, sim.Options{Seed: at, Faults: strings.Fields(faults), Watch: func(_ *http.Request, s sim.Stage) bool {
					if state := dead.Load(); state > 0 {
						return state == 2 // the network is back
					}
					if s == stage && count.Add(1) == at {
						dead.Store(1)
						return false
					}
					return true
				}})
				what := fmt.Sprintf("request %d", at)
				res, err := p.register(t.Context())
				gone := dead.Swap(2) == 1
				p.restart()
				if err != nil || !res.Ready {
					if !gone {
						t.Fatalf("%s: %v", what, err)
					}
					res, err = p.next(t.Context(), takeBack)
					if err != nil {
						t.Fatalf("%s: %v", what, err)
					}
				} else if takeBack {
					if err := p.r.Rollback(t.Context(), p.admin, res.RunID, nil); err != nil {
						t.Fatalf("%s: %v", what, err)
					}
				}
				if takeBack {
					p.checkClean(what)
				} else {
					p.checkOne(what, res)
				}
				_ = p.world.Close()
				if !gone {
					t.Logf("%d points", at-1)
					return
				}
			}
		})
	}
}

func (p *place) next(ctx context.Context, takeBack bool) (*Result, error) {
	left, err := p.r.Unfinished(ctx)
	if err != nil || len(left) > 1 {
		return nil, fmt.Errorf("unfinished: %v %w", left, err)
	}
	if len(left) == 0 {
		if takeBack {
			return nil, nil
		}
		return p.register(ctx)
	}
	if takeBack {
		return nil, p.r.Rollback(ctx, p.admin, left[0].Run, nil)
	}
	plan, err := p.plan(ctx, left[0].Run)
	if err != nil {
		return nil, err
	}
	return p.r.Resume(ctx, p.admin, left[0].Run, p.wish, plan, p.base(), nil)
}

// TestTwoAtOnce registers the same twice at the same time, on one computer.
func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	for _, ifExists := range []string{ExistsFail, ExistsUse, ExistsNew} {
		for _, faults := range []string{"", "replication=20s"} {
			t.Run(ifExists+" "+faults, func(t *testing.T) {
				t.Parallel()
				p := newPlace(t, sim.GlobalAdmin, sim.Options{Seed: 5, Faults: strings.Fields(faults)})
				p.wish.IfExists = ifExists
				var plans [2]Plan
				for i := range plans {
					var err error
					if plans[i], err = p.plan(t.Context(), ""); err != nil {
						t.Fatal(err)
					}
				}
				var (
					results [2]*Result
					errs    [2]error
					all     sync.WaitGroup
				)
				for i := range plans {
					r, admin := p.registrar(), p.signIn(sim.GlobalAdmin)
					defer r.Close()
					all.Go(func() { results[i], errs[i] = r.Apply(t.Context(), admin, p.wish, plans[i], p.base(), nil) })
				}
				all.Wait()
				apps, keys := p.dump().Applications, 0
				for _, a := range apps {
					keys += len(a["keyCredentials"].([]any))
				}
				failures := 0
				for i, err := range errs {
					if isA[*advice.ExistsError](err) {
						failures++
						if results[i].RunID != "" {
							t.Errorf("the one that stopped left %s", results[i].RunID)
						}
					} else if err != nil {
						t.Fatal(err)
					}
				}
				want := map[string][3]int{ExistsFail: {1, 1, 1}, ExistsUse: {1, 2, 0}, ExistsNew: {2, 2, 0}}[ifExists]
				if got := [3]int{len(apps), keys, failures}; got != want {
					t.Errorf("%v applications, certificates, refusals; want %v", got, want)
				}
			})
		}
	}
}
