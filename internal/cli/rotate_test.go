package cli_test

import (
	"context"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestRotationBrokenOff has the sign-in fail once the new credential is added: the
// connection keeps the old one, everybody is told, the same command goes on, and
// --abandon takes it back.
func TestRotationBrokenOff(t *testing.T) {
	t.Parallel()
	x := newTenant(t)
	do := func(code int, pattern string, args ...string) {
		t.Helper()
		got, stdout, stderr := x.run(t.Context(), args...)
		if text := stdout + stderr; got != code || !regexp.MustCompile(pattern).MatchString(text) {
			t.Fatalf("%v: exit code %d, want %d and %q\n%s", args, got, code, pattern, text)
		}
	}
	credentials := func(want int) {
		t.Helper()
		for _, a := range dumped(t, x.world).Applications {
			if n := len(a.Keys); a.DisplayName == "Broken" && n != want {
				t.Fatalf("%d certificates, want %d", n, want)
			}
		}
	}
	breakOff := func() {
		t.Helper()
		if err := x.world.SetFault("login-down"); err != nil {
			t.Fatal(err)
		}
		do(3, `(?s)the old one is in force. To go on: c2conn rotate broken. To take it back: c2conn rotate --abandon broken.*90033`,
			"rotate", "broken", "--login", "token", "--grace", "0")
		x.world.ClearFault("login-down")
		credentials(2)
		do(0, `broken +✓ verified`, "verify", "broken")
	}
	x.env["C2CONN_ACCESS_TOKEN"] = adminToken(t, x.world)
	do(0, `✓ verified`, "new", "exchange", "--auto", "--app-name", "Broken", "--name", "broken")
	breakOff()
	delete(x.env, "C2CONN_ACCESS_TOKEN") // nobody is at hand from here on
	do(0, `Old credential +in force; its rotation broke off`, "show", "broken")
	do(0, `Unfinished rotations +warn +1 is unfinished`, "doctor", "--offline")
	do(0, `broke off`, "rotate", "--finish", "--all")
	do(1, `broke off`, "rotate", "--finish", "broken")
	do(0, `Goes on with a rotation that broke off`, "rotate", "broken", "--dry-run")
	do(0, `"state": "done"`, "rotate", "broken", "--grace", "0", "--output", "json")
	credentials(1)
	do(0, `broken +✓ verified`, "verify", "broken")

	x.env["C2CONN_ACCESS_TOKEN"] = adminToken(t, x.world)
	breakOff()
	delete(x.env, "C2CONN_ACCESS_TOKEN")
	do(0, `taken back; the old credential is in force`, "rotate", "--abandon", "broken")
	credentials(1)
	do(0, `broken +✓ verified`, "verify", "broken")
	do(0, `No rotation of broken is under way`, "rotate", "--abandon", "broken")
	if left := filesIn(t, filepath.Join(x.env["C2CONN_HOME"], "certificates")); len(left) != 1 {
		t.Errorf("certificates: %v", left)
	}
	do(0, `none`, "doctor", "--offline")
}

// TestRotationStopped stops a rotation: it says what state it leaves, and which command
// goes on.
func TestRotationStopped(t *testing.T) {
	t.Parallel()
	x := newTenant(t)
	x.env["C2CONN_ACCESS_TOKEN"] = adminToken(t, x.world)
	if code, _, stderr := x.run(t.Context(), "new", "exchange", "--auto", "--app-name", "Stopped", "--name", "stopped"); code != 0 {
		t.Fatal(stderr)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	x.transport = cancelling{cancel}
	code, _, stderr := x.run(ctx, "rotate", "stopped")
	if code != 130 || !strings.Contains(stderr, "stopped was not changed, and nothing is left in the tenant.") {
		t.Fatalf("exit code %d\n%s", code, stderr)
	}
}
