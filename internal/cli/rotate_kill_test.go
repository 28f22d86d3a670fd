package cli_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/sim"
)

// rotating is a computer with one registered connection, whose credential is rotated
// again and again by processes that are killed.
type rotating struct {
	t     *testing.T
	kind  string // "by itself", "signed in" or "secret"
	home  string
	world *sim.World
	kill  *killer
	dirty bool // a secret may be left that nothing refers to
}

func rotatingKinds() []string { return []string{"by itself", "signed in", "secret"} }

func newRotating(t *testing.T, kind string) *rotating {
	t.Helper()
	x := &rotating{t: t, kind: kind, home: t.TempDir(), kill: &killer{at: -1}}
	w, err := sim.Start(sim.Options{Now: time.Now, Keys: keys, Seed: 29, Watch: x.kill.watch})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	x.world = w
	clouds := filepath.Join(x.home, "clouds")
	if err := os.MkdirAll(clouds, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(clouds, "sim.yaml"), w.CloudYAML(), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"new", "exchange", "--auto", "--login", "token", "--app-name", "Rotated", "--name", "it", "--consistency-timeout", "2s"}
	if kind == "secret" {
		args = append(args, "--secret")
	}
	cmd := x.command(args...)
	cmd.Env = append(cmd.Env, "C2CONN_ACCESS_TOKEN="+adminToken(t, w))
	if err := cmd.Run(); err != nil {
		t.Fatalf("registering: %v\n%s", err, cmd.Stderr)
	}
	return x
}

func (x *rotating) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(x.t.Context(), os.Args[0])
	cmd.Args = append([]string{"c2conn"}, args...)
	cmd.Env = append(os.Environ(), "C2CONN_HOME="+x.home, "C2CONN_IDENTITY_FILE="+filepath.Join(x.home, "identity"), "C2CONN_CLOUD=sim")
	cmd.Stdout, cmd.Stderr = new(bytes.Buffer), new(bytes.Buffer)
	return cmd
}

func (x *rotating) rotate(more ...string) *exec.Cmd {
	cmd := x.command(append([]string{"rotate", "it", "--yes", "--consistency-timeout", "2s"}, more...)...)
	if x.kind != "by itself" {
		cmd.Env = append(cmd.Env, "C2CONN_ACCESS_TOKEN="+adminToken(x.t, x.world), "C2CONN_LOGIN=token")
	}
	return cmd
}

// wasKilled tells whether a process that has ended was killed.
func wasKilled(cmd *exec.Cmd) bool {
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled()
}

// afterKill wants the connection to work with what is saved, and the same command to
// end with one credential, or taking back with the one that was there.
func (x *rotating) afterKill(what string, abandon bool) {
	x.t.Helper()
	must := func(cmd *exec.Cmd) bool {
		x.t.Helper()
		err := cmd.Run()
		if err != nil {
			x.t.Errorf("%s, %s: c2conn %s: %v\n%s\n%s", x.kind, what, strings.Join(cmd.Args[1:], " "), err, cmd.Stdout, cmd.Stderr)
		}
		return err == nil
	}
	if !must(x.command("verify", "it")) {
		return
	}
	if abandon {
		cmd := x.rotate("--abandon")
		if cmd.Run() != nil && !strings.Contains(cmd.Stderr.(*bytes.Buffer).String(), "cannot be taken back") {
			x.t.Errorf("%s, %s: taking back: %s", x.kind, what, cmd.Stderr)
		}
		abandon = cmd.ProcessState.ExitCode() == 0
	}
	if !abandon && !must(x.rotate("--grace", "0")) || !must(x.command("verify", "it")) {
		return
	}
	keys, secrets := 0, 0
	for _, a := range dumped(x.t, x.world).Applications {
		if a.DisplayName == "Rotated" {
			keys, secrets = len(a.Keys), len(a.Secrets)
		}
	}
	certificates := len(filesIn(x.t, filepath.Join(x.home, "certificates")))
	kept := slices.DeleteFunc(filesIn(x.t, filepath.Join(x.home, "secrets")), func(n string) bool { return !strings.HasSuffix(n, ".age") || n[0] > '9' })
	want := 1
	if x.kind == "secret" {
		want = 0
	}
	if keys != want || secrets != 1-want || certificates != want || len(kept) != 1 && !x.dirty {
		x.t.Errorf("%s, %s: %d certificates and %d client secrets in the application, %d certificates and %v here", x.kind, what, keys, secrets, certificates, kept)
	}
	if left := filesIn(x.t, filepath.Join(x.home, "registrations", "rotations")); len(left) > 0 {
		x.t.Errorf("%s, %s: journals are left: %v", x.kind, what, left)
	}
}

// TestKilledRotating kills c2conn (kill -9) at every point of a rotation: when a request
// has arrived and was not carried out, and when it was carried out and not answered.
// What is saved must work then.
func TestKilledRotating(t *testing.T) {
	t.Parallel()
	for _, kind := range rotatingKinds() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			x := newRotating(t, kind)
			step, kills, total := envInt("C2CONN_KILL_STEP", 17), 0, 0
			for _, abandon := range []bool{false, true} {
				for at := 0; !t.Failed(); at += step {
					cmd := x.rotate("--grace", "0")
					if err := cmd.Start(); err != nil {
						t.Fatal(err)
					}
					x.kill.arm(at, cmd.Process)
					err := cmd.Wait()
					total = max(total, x.kill.points())
					x.kill.arm(-1, nil)
					if !wasKilled(cmd) {
						if err != nil {
							t.Errorf("point %d: %v\n%s", at, err, cmd.Stderr)
						}
						break // it has fewer points
					}
					kills++
					x.afterKill(fmt.Sprintf("point %d", at), abandon)
				}
			}
			if total < 20 || kills == 0 {
				t.Errorf("only %d points seen, %d kills", total, kills)
			}
			t.Logf("rotating %s: %d points; killed %d times, at every %d. of them, once followed by going on and once by taking back; the connection worked each time", kind, total, kills, step)
		})
	}
}
