package cli_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/c2conn/c2conn/internal/sim"
	"github.com/c2conn/c2conn/registration"
)

// What was begun in several tenants at a time is gone on with in all of them: each has
// one application with one credential in the end, and no journal is left.
func TestApplyGoesOnInAllTenants(t *testing.T) {
	t.Parallel()
	const tenants = 8
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var begun atomic.Int32
	x, file := newFleet(t, tenants, tenants, func(r *http.Request, _ sim.Stage) bool {
		// Each application is created with one PATCH.
		if r.Method == http.MethodPatch && begun.Add(1) >= tenants {
			cancel()
		}
		return true
	})
	if code, _, stderr := x.run(ctx, "apply", "-f", file, "--yes"); code != 130 {
		t.Fatalf("exit code %d\n%s", code, stderr)
	}
	journals := filepath.Join(x.env["C2CONN_HOME"], "registrations")
	if left := filesIn(t, journals); len(left) < 2 {
		t.Fatalf("only %d registrations were begun", len(left))
	}
	if code, _, stderr := x.run(t.Context(), "apply", "-f", file, "--yes"); code != 0 {
		t.Fatalf("exit code %d\n%s", code, stderr)
	}
	for i, tenant := range x.world.Tenants() {
		var d dump
		data, err := tenant.Dump()
		if err == nil {
			err = json.Unmarshal(data, &d)
		}
		if err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("customer-%03d", i)
		for _, a := range d.Applications {
			if a.DisplayName == name && len(a.Keys) != 1 {
				t.Errorf("the application %s has %d credentials", name, len(a.Keys))
			}
		}
		if n := d.named(name); n != 1 {
			t.Errorf("%d applications are called %s", n, name)
		}
	}
	if left := filesIn(t, journals); len(left) > 0 {
		t.Errorf("journals are left: %v", left)
	}
}

// Two with the same plan would register everything twice.
func TestApplyOneAtATime(t *testing.T) {
	t.Parallel()
	x, file := newFleet(t, 1, 1, nil)
	unlock, err := registration.New(registration.Options{Dir: x.env["C2CONN_HOME"]}).Alone()
	if err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := x.run(t.Context(), "apply", "-f", file, "--yes", "--output", "json")
	if code != 1 || !strings.Contains(stdout, "another c2conn apply") || !strings.Contains(stderr, "nothing was changed") {
		t.Errorf("exit code %d\n%s\n%s", code, stdout, stderr)
	}
	if n := writes(x.world.Requests()); n != 0 {
		t.Errorf("%d writes were sent", n)
	}
	if code, _, stderr := x.run(t.Context(), "apply", "-f", file, "--dry-run"); code != 0 {
		t.Errorf("--dry-run: exit code %d\n%s", code, stderr)
	}
	unlock()
	if code, _, stderr := x.run(t.Context(), "apply", "-f", file, "--yes"); code != 0 {
		t.Errorf("afterwards: exit code %d\n%s", code, stderr)
	}
}

// Where one of many tenants has no token, the message names it.
func TestApplyNamesTheTenantWithoutSignIn(t *testing.T) {
	t.Parallel()
	x, file := newFleet(t, 2, 2, nil)
	text, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, []byte(strings.Replace(string(text), "  contoso02.onmicrosoft.com:", "  contso02.onmicrosoft.com:", 1)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	code, _, stderr := x.run(t.Context(), "apply", "-f", file, "--yes")
	if code != 2 || !strings.Contains(stderr, "signs in to contoso02.onmicrosoft.com") || !strings.Contains(stderr, "--login") {
		t.Errorf("exit code %d\n%s", code, stderr)
	}
	if n := writes(x.world.Requests()); n != 0 {
		t.Errorf("%d writes were sent", n)
	}
}
