package registration

import (
	"strings"
	"testing"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/sim"
	"github.com/c2conn/c2conn/internal/task"
)

// TestRepairPlanPromisesNothing: whom the plan names can consent, and what the account
// may not do, or cannot be seen to, is said before anything is changed.
func TestRepairPlanPromisesNothing(t *testing.T) {
	t.Parallel()
	for role, c := range map[string]struct {
		consents bool // to permissions of Microsoft Graph
		warnings []string
	}{
		"Global Administrator":          {consents: true},
		"Privileged Role Administrator": {consents: true, warnings: []string{"(Privileged Role Administrator) allow changing this application cannot be told"}},
		"Application Administrator":     {warnings: []string{"cannot consent to the permissions on Microsoft Graph"}},
		"Application Developer":         {warnings: []string{"cannot consent", "allow changing this application cannot be told"}},
		"Global Reader":                 {warnings: []string{"Whether the active roles of admin@contoso.com (Global Reader) allow granting permissions cannot be told", "allow changing this application cannot be told"}},
		"none":                          {warnings: []string{"Whether the active roles of admin@contoso.com allow granting permissions cannot be told", "allow changing this application cannot be told"}},
	} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, sim.GlobalAdmin, sim.Options{Faults: []string{"user-role=" + role}})
			d := p.inspect(p.seeded(sim.AppNoRoles, connections.Exchange), nil)
			plan := d.Plan()
			warnings, text := strings.Join(plan.Warnings, "\n"), plan.Text(200)
			for _, w := range c.warnings {
				if !strings.Contains(warnings, w) {
					t.Errorf("no %q in %s", w, warnings)
				}
			}
			if len(c.warnings) == 0 && warnings != "" || warnings != "" && strings.Count(warnings, pim) != 1 {
				t.Error(warnings)
			}
			for _, list := range [][]PlannedPermission{plan.Permissions, d.Missing, d.NotListed} {
				for _, q := range list {
					if q.Resource == Graph && (q.ConsentBy == d.Account) != c.consents || q.ConsentBy == "" {
						t.Errorf("%s: by %s", q.Role, q.ConsentBy)
					}
				}
			}
			if strings.Contains(text, "Consent: by "+graphConsenters) == c.consents {
				t.Error(text)
			}
		})
	}
}

// TestRepairRefusedOnce: who may change nothing is told so once, in words that fit.
func TestRepairRefusedOnce(t *testing.T) {
	t.Parallel()
	p := newPlace(t, sim.GlobalReader, sim.Options{})
	_, results, err := p.r.Repair(t.Context(), p.admin, p.inspect(p.seeded(sim.AppNoRoles, connections.Exchange), nil), nil)
	if err == nil || len(results) != 2 {
		t.Fatal(results, err)
	}
	if r := results[0]; r.Status != task.Fail || r.Finding != "the account may not change the application" {
		t.Errorf("%+v", r)
	}
	if r := results[1]; r.Status != task.Skip || r.Advice != nil || !strings.Contains(r.Finding, "follows from") {
		t.Errorf("%+v", r)
	}
}
