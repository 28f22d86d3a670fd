//go:build unix

package cli_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/c2conn/c2conn/internal/sim"
)

func (x *tenant) profile(name string) string {
	x.t.Helper()
	data, err := os.ReadFile(filepath.Join(x.env["C2CONN_HOME"], "connections", name+".yaml"))
	if err != nil {
		x.t.Fatal(err)
	}
	return string(data)
}

// copies are what an editor has left of the private copies.
func (x *tenant) copies() []string {
	x.t.Helper()
	left, err := filepath.Glob(filepath.Join(x.env["C2CONN_HOME"], ".edit-*"))
	if err != nil {
		x.t.Fatal(err)
	}
	return left
}

// editor makes a shell script the user's editor.
func (x *tenant) editor(script string) {
	x.t.Helper()
	path := filepath.Join(x.t.TempDir(), "editor")
	if err := os.WriteFile(path, []byte(script), 0o600); err != nil {
		x.t.Fatal(err)
	}
	x.env["VISUAL"] = "sh " + path
}

func (x *tenant) saved() {
	x.t.Helper()
	if code, _, stderr := x.connect(x.t.Context(), "secret"); code != 0 {
		x.t.Fatalf("exit code %d\n%s", code, stderr)
	}
}

func TestEditOnATerminalReplacesTheConnection(t *testing.T) {
	t.Parallel()
	x := newTenant(t)
	x.saved()
	s := x.screen("edit", "it")
	s.wait("edit Exchange connection it")
	s.wait("Where is the server?")
	s.typing("\r\r")
	s.wait("Manual keeps the application")
	s.typing("\r")
	s.wait("Keep the current one")
	s.typing("\r\r\r\x1b[B\x1b[B\r") // a certificate file, after the one in the store
	s.wait("Certificate file")
	s.typing(x.env["CERT"] + "\r")
	s.wait("Password of the certificate file")
	s.typing(sim.PFXPassword + "\r")
	s.wait("Name of the connection")
	s.typing("-new\r")
	s.wait("Verified")
	if !strings.Contains(x.profile("it"), "client-secret") {
		t.Error("it was replaced before it was saved")
	}
	s.typing("f")
	s.wait("The same again, without questions")
	s.wait("c2conn edit it --set credential=file --cert-file")
	if code := s.exit(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	if text := x.profile("it-new"); !strings.Contains(text, "type: certificate") || !strings.Contains(text, "name: it-new") {
		t.Error(text)
	}
}

func TestCtrlCInAnEditChangesNothing(t *testing.T) {
	t.Parallel()
	x := newTenant(t)
	x.saved()
	before := x.profile("it")
	s := x.screen("edit", "it")
	s.wait("Where is the server?")
	s.typing("\x03")
	s.wait("Nothing was saved")
	if code := s.exit(); code != 130 {
		t.Fatalf("exit code %d", code)
	}
	if x.profile("it") != before {
		t.Error("the profile has changed")
	}
}

// TestEditorAgain: what is wrong is said, and what was typed is there when the editor
// opens again.
func TestEditorAgain(t *testing.T) {
	t.Parallel()
	x := newTenant(t)
	x.saved()
	x.editor(`if grep -q mine "$1"; then sed -i "s/nonsense/client-secret/" "$1"; else echo "# mine" >> "$1"; sed -i "s/type: client-secret/type: nonsense/" "$1"; fi`)
	s := x.screen("edit", "it", "--editor")
	s.wait("cannot be saved, line ")
	s.wait("credential.type")
	s.wait("Give up and lose what you typed?")
	s.typing("\n")
	s.wait("verified just now")
	if code := s.exit(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	if text := x.profile("it"); !strings.Contains(text, "# mine") {
		t.Error(text)
	}
	if left := x.copies(); len(left) > 0 {
		t.Error(left)
	}
}

// TestCtrlCInTheEditor takes the private copy away.
func TestCtrlCInTheEditor(t *testing.T) {
	t.Parallel()
	x := newTenant(t)
	x.saved()
	before := x.profile("it")
	begun := filepath.Join(t.TempDir(), "begun")
	if err := unix.Mkfifo(begun, 0o600); err != nil {
		t.Fatal(err)
	}
	x.editor("echo x >> \"$1\"; echo begun > " + begun + "; exec sleep 60")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		_, _ = os.ReadFile(begun) // comes back when the editor has written
		cancel()
	}()
	code, _, stderr := x.run(ctx, "edit", "it", "--editor")
	if code != 130 || !strings.Contains(stderr, "Nothing was saved") {
		t.Errorf("exit code %d\n%s", code, stderr)
	}
	if left := x.copies(); len(left) > 0 || x.profile("it") != before {
		t.Errorf("left: %v", left)
	}
}

// TestDeletePurgeAsks: one question names the connections and the application.
func TestDeletePurgeAsks(t *testing.T) {
	t.Parallel()
	x := newTenant(t)
	x.saved()
	token, err := x.world.AdminToken(x.world.Mailbox)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	s := x.screen("delete", "it", "--purge-app", "--access-token-file", path)
	s.wait("Delete it and with it the application " + x.world.ClientID)
	s.typing("\n")
	s.wait("nothing was deleted, as you said")
	if code := s.exit(); code != 1 {
		t.Errorf("exit code %d", code)
	}
	x.profile("it")
}
