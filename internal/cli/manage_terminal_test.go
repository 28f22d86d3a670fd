//go:build unix

package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/c2conn/c2conn/internal/sim"
	"github.com/c2conn/c2conn/internal/sim/onprem"
)

func (x *tenant) names() string {
	x.t.Helper()
	_, out, _ := x.run(x.t.Context(), "list", "--output", "name")
	return strings.Join(strings.Fields(out), " ")
}

// TestManageOnATerminal is a day with the dashboard: a new connection, OK; then an
// edit, a new name and a deletion, and Cancel.
func TestManageOnATerminal(t *testing.T) {
	t.Parallel()
	x := newTenant(t)
	s := x.screen() // c2conn alone
	s.wait("No connections yet.")
	s.typing("n")
	s.wait("What is it for?")
	s.typing("e")
	s.wait("Where is the server?")
	s.typing("\r")
	s.wait("Microsoft cloud")
	s.typing("\r")
	s.wait("How is the application registered?")
	s.typing("\x1b[B\r")
	s.wait("Dedicated application account")
	s.typing(x.world.Mailbox + "\r" + x.world.ClientID + "\r" + x.world.TenantDomain + "\r")
	s.wait("identity with")
	s.typing("\x1b[B\r")
	s.wait("Certificate file")
	s.typing(x.env["CERT"] + "\r")
	s.wait("Password of the certificate file")
	s.typing(sim.PFXPassword + "\r")
	s.wait("Name of the connection")
	s.typing("\r")
	s.wait("Verified")
	s.typing("f")
	s.wait("contoso-exchange is staged; o saves it.")
	if got := x.names(); got != "" {
		t.Errorf("saved before OK: %s", got)
	}
	s.typing("o")
	s.wait("1 change saved.")
	if code := s.exit(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	if got := x.names(); got != "contoso-exchange" {
		t.Fatal(got)
	}

	x.saved() // "it", with the client secret
	before := x.profile("it")
	s = x.screen("manage")
	s.wait("contoso-exchange")
	s.wait("enter edit")
	s.typing("m-2\r")
	s.wait("will be called contoso-exchange-2")
	s.typing("v")
	s.wait("The verification has ended.")
	s.typing("\x1b[B")
	s.typing("\r")
	s.wait("edit Exchange connection it")
	s.wait("Where is the server?")
	s.typing("\r\r")
	s.wait("Manual keeps the application")
	s.typing("\r")
	s.wait("Keep the current one")
	s.typing("\r\r\r\r")
	s.wait("Name of the connection")
	s.typing("-new\r")
	s.wait("Verified")
	s.typing("f")
	s.wait("it-new is staged")
	s.typing("d")
	s.wait("Delete it-new?")
	s.typing("y")
	s.wait("will be deleted when you save")
	s.typing("q")
	s.wait("Leave without saving?")
	s.typing("d")
	if code := s.exit(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	if got := x.names(); got != "contoso-exchange it" || x.profile("it") != before {
		t.Errorf("after Cancel: %s\n%s", got, x.profile("it"))
	}
	if code, _, stderr := x.run(t.Context(), "verify", "--all"); code != 0 {
		t.Errorf("a secret is gone: exit code %d\n%s", code, stderr)
	}
}

// TestManageKilled: what was staged is there after a kill, and --save saves it.
func TestManageKilled(t *testing.T) {
	t.Parallel()
	x := newTenant(t)
	x.saved()
	s := x.screen("manage")
	s.wait("enter edit")
	if code, _, stderr := x.run(t.Context(), "manage", "--discard"); code != 0 {
		t.Errorf("nothing is staged, so there is nothing to open: exit code %d\n%s", code, stderr)
	}
	s.typing("m2\r")
	s.wait("will be called it2")
	if code, _, stderr := x.run(t.Context(), "manage", "--save"); code != 1 || !strings.Contains(stderr, "is open and has the staged changes") {
		t.Errorf("while it is open: exit code %d\n%s", code, stderr)
	}
	if err := s.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = s.cmd.Wait()
	if got := x.names(); got != "it" {
		t.Error(got)
	}
	code, _, stderr := x.run(t.Context(), "manage")
	if code != 2 || !strings.Contains(stderr, "it2: renamed (name)") || !strings.Contains(stderr, "--save or --discard") {
		t.Errorf("without a terminal: exit code %d\n%s", code, stderr)
	}
	if code, out, stderr := x.run(t.Context(), "manage", "--save", "--output", "json"); code != 0 || !strings.Contains(out, `"saved": 1`) {
		t.Errorf("exit code %d\n%s%s", code, out, stderr)
	}
	if got := x.names(); got != "it2" {
		t.Error(got)
	}
}

func TestManageCtrlC(t *testing.T) {
	t.Parallel()
	x := newTenant(t)
	x.saved()
	s := x.screen("manage")
	s.wait("enter edit")
	s.typing("m2\r")
	s.wait("will be called it2")
	s.typing("\x03")
	s.wait("1 change is staged, not saved. To go on: c2conn manage.")
	if code := s.exit(); code != 130 {
		t.Errorf("exit code %d", code)
	}
	s = x.screen("manage")
	s.wait("1 change from just now was not saved.")
	s.typing("\x1b")
	s.wait("Leave without saving?")
	s.typing("s")
	s.wait("1 change saved.")
	if code := s.exit(); code != 0 || x.names() != "it2" {
		t.Errorf("exit code %d, %s", code, x.names())
	}
}

// TestManageLineByLine is the same for screen readers.
func TestManageLineByLine(t *testing.T) {
	t.Parallel()
	x := newTenant(t)
	x.saved()
	s := x.screen("manage", "--accessible")
	s.wait("1. it: Exchange")
	s.typing("1\n")
	s.wait("What now?")
	s.typing("m\n")
	s.wait("New name")
	s.typing("it2\n")
	s.wait("renamed, not saved.")
	s.typing("1\nv\n")
	s.wait("Verifying it2.")
	s.wait("it2: verified")
	s.typing("s\n")
	s.wait("1 change saved.")
	if code := s.exit(); code != 0 || x.names() != "it2" {
		t.Errorf("exit code %d, %s", code, x.names())
	}
	if entries, err := os.ReadDir(filepath.Join(x.env["C2CONN_HOME"], "staged")); err != nil || len(entries) == 0 {
		t.Error(err) // the lock stays; changes do not
	} else {
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), ".json") {
				t.Error(e.Name())
			}
		}
	}
}

// A rotation takes effect at once, and leaves the old credential to rotate --finish.
func TestManageRotates(t *testing.T) {
	t.Parallel()
	x := newTenant(t)
	x.env["C2CONN_ACCESS_TOKEN"] = adminToken(t, x.world)
	if code, _, stderr := x.run(t.Context(), "new", "exchange", "--auto", "--name", "it"); code != 0 {
		t.Fatal(stderr)
	}
	delete(x.env, "C2CONN_ACCESS_TOKEN")
	before := x.profile("it")
	s := x.screen("manage")
	s.wait("enter edit")
	s.typing("r")
	s.wait("Rotate the credential of it?")
	s.typing("y")
	s.wait("it uses a new credential")
	s.typing("q")
	if code := s.exit(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	if x.profile("it") == before {
		t.Error("the profile names the old credential still")
	}
	if code, out, stderr := x.run(t.Context(), "rotate", "--finish", "it", "--now", "--yes"); code != 0 {
		t.Errorf("exit code %d\n%s%s", code, out, stderr)
	}
	if code, _, stderr := x.run(t.Context(), "verify", "it"); code != 0 {
		t.Errorf("exit code %d\n%s", code, stderr)
	}
}

// However often the dashboard verifies connections of one account, on the premises a wrong
// password is tried once.
func TestManageTriesAPasswordOnce(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, onprem.Options{Lockout: 3})
	n.withFarms("not "+onprem.FarmAdminPassword, centralHTTP, plainNTLM, "one", "two", "three")
	s := n.screen("manage", "--accessible")
	s.wait("Number of a connection")
	s.typing("v\n")
	s.wait("three: failed")
	s.typing("v\n")
	s.wait("three: failed")
	s.typing("c\n")
	if code := s.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if got := n.world.FailedSignIns(); got != 1 {
		t.Errorf("%d failed sign-ins", got)
	}
}
