package cli_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/sim"
)

// TestRotationKilled kills c2conn (kill -9) at every point of a rotation: when a
// request has arrived and was not carried out, and when it was carried out and not
// answered. Whenever it is, the saved connection works; the same command again ends with
// one credential in the tenant, one on this computer, and no journal.
func TestRotationKilled(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"own proof", "signed in", "client secret"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			total := killedRotation(t, way, -1)
			if total < 10 {
				t.Fatalf("only %d points seen", total)
			}
			step, kills := envInt("C2CONN_KILL_STEP", 13), 0
			for at := 0; at < total && !t.Failed(); at += step {
				if killedRotation(t, way, at) < 0 {
					kills++
				}
			}
			t.Logf("a rotation (%s) has %d points; killed %d times, at every %d. of them", way, total, kills, step)
		})
	}
}

// killedRotation returns the number of points that came by, or -1 when it was killed.
func killedRotation(t *testing.T, way string, at int) int {
	t.Helper()
	k := &killer{at: -1}
	w, err := sim.Start(sim.Options{Now: time.Now, Keys: keys, Seed: 29, Watch: k.watch})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close() }()
	home := t.TempDir()
	clouds := filepath.Join(home, "clouds")
	if err := os.MkdirAll(clouds, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(clouds, "sim.yaml"), w.CloudYAML(), 0o600); err != nil {
		t.Fatal(err)
	}
	token := adminToken(t, w)
	start := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Args = append([]string{"c2conn"}, args...)
		cmd.Env = append(os.Environ(), "C2CONN_HOME="+home, "C2CONN_IDENTITY_FILE="+filepath.Join(home, "identity"), "C2CONN_CLOUD=sim", "C2CONN_ACCESS_TOKEN="+token)
		cmd.Stdout, cmd.Stderr = new(bytes.Buffer), new(bytes.Buffer)
		return cmd
	}
	fail := func(cmd *exec.Cmd, what string) {
		t.Helper()
		t.Errorf("%s, point %d: %s\n%s\n%s", way, at, what, cmd.Stdout, cmd.Stderr)
	}
	register := []string{"new", "exchange", "--auto", "--app-name", "Killed", "--name", "killed", "--output", "json"}
	rotate := []string{"rotate", "killed", "--grace", "0", "--consistency-timeout", "2s", "--output", "json"}
	switch way {
	case "client secret":
		register = append(register, "--secret")
		rotate = append(rotate, "--login", "token")
	case "signed in":
		rotate = append(rotate, "--login", "token")
	}
	if cmd := start(register...); cmd.Run() != nil {
		fail(cmd, "the registration failed")
		return 0
	}

	if way == "own proof" {
		token = "" // nobody is at hand from here on
	}
	first := start(rotate...)
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	k.arm(at, first.Process)
	err = first.Wait()
	points := k.points()
	k.arm(-1, nil)
	if at < 0 {
		if err != nil {
			fail(first, "the run without a kill failed")
		}
		return points
	}
	if status, ok := first.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() {
		return points // it needed fewer requests this time, and was through before
	}
	if works := start("verify", "killed"); works.Run() != nil {
		fail(works, "the saved connection does not work")
	}
	next := start(rotate...)
	if err := next.Run(); err != nil || !strings.Contains(next.Stdout.(*bytes.Buffer).String(), `"state": "done"`) {
		fail(next, fmt.Sprintf("the next run: %v", err))
	}
	for _, a := range dumped(t, w).Applications {
		if n := len(a.Keys) + len(a.Secrets); a.DisplayName == "Killed" && n != 1 {
			fail(next, fmt.Sprintf("the application has %d credentials", n))
		}
	}
	if again := start("verify", "killed"); again.Run() != nil {
		fail(again, "the connection does not work afterwards")
	}
	for _, dir := range []string{"registrations", "registrations/rotations"} {
		if left := filesIn(t, filepath.Join(home, dir)); len(left) > 0 {
			fail(next, fmt.Sprintf("journals are left: %v", left))
		}
	}
	certificates, secrets := len(filesIn(t, filepath.Join(home, "certificates"))), 0
	for _, name := range filesIn(t, filepath.Join(home, "secrets")) {
		if regexp.MustCompile(`^[0-9A-Za-z]{26}\.age$`).MatchString(name) {
			secrets++
		}
	}
	if way == "client secret" && (certificates != 0 || secrets != 1) || way != "client secret" && certificates != 1 {
		fail(next, fmt.Sprintf("%d certificates and %d secrets are left on this computer", certificates, secrets))
	}
	return -1
}

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
	do(1, `no rotation of broken is under way`, "rotate", "--abandon", "broken")
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
