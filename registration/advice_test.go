package registration

import (
	"strings"
	"testing"

	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/sim"
	"github.com/c2conn/c2conn/internal/task"
)

// The advice of a step knows what the run knows: the tenant, and under which name
// the connection will be saved.
func TestAdviceOfTheSteps(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		upn, fault, step string
		status           task.Status
		has, hasNot      []string
	}{
		{sim.GlobalAdmin, "app-not-found", stepReady, task.Warn, []string{"$ c2conn verify it", "do not register again"}, []string{"same command", "Object ID", "Try again."}},
		{sim.GlobalAdmin, "login-error=7000112", stepReady, task.Warn, []string{"$ c2conn verify it"}, []string{"(tenant)"}},
		{sim.ApplicationAdmin, "no-batch", stepConsent, task.Warn, []string{"$ c2conn consent it"}, nil},
		{sim.OrdinaryUser, "registration-forbidden", stepApplication, task.Fail, []string{sim.OrdinaryUser, "contoso.com ("}, []string{"(tenant)", "verify it"}},
		{sim.GlobalAdmin, "write-denied=servicePrincipals", stepPrincipal, task.Fail, []string{"Global Administrator should be enough", "contoso.com ("}, []string{"(tenant)", "Sign in as"}},
	} {
		t.Run(c.fault, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, c.upn, sim.Options{Faults: []string{c.fault}})
			res, _ := p.register(t.Context())
			if res == nil {
				t.Fatal("no result")
			}
			for _, r := range res.Results {
				if r.ID != c.step {
					continue
				}
				if r.Status != c.status || r.Advice == nil {
					t.Fatalf("%+v", r)
				}
				text := saidIn(r.Advice)
				for _, want := range c.has {
					if !strings.Contains(text, want) {
						t.Errorf("%q is not in\n%s", want, text)
					}
				}
				for _, no := range c.hasNot {
					if strings.Contains(text, no) {
						t.Errorf("%q is in\n%s", no, text)
					}
				}
				return
			}
			t.Errorf("no step %s", c.step)
		})
	}
}

func saidIn(a *advice.Advice) string {
	return strings.Join(append([]string{a.What, a.Why}, a.Next...), "\n")
}
