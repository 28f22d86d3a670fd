//go:build unix

package cli_test

import (
	"path/filepath"
	"testing"
)

// In a terminal export asks for a passphrase, and import for that, for what becomes of a
// connection that is in the way, and whether to go on.
func TestMoveAsks(t *testing.T) {
	t.Parallel()
	// Passphrases end with a line feed: a carriage return that comes between the prompt
	// and the reading is not made one.
	x := newTenant(t)
	x.keepTwo()
	file := filepath.Join(t.TempDir(), "one.bundle")
	s := x.screen("export", "secret", "--embed-references", "--to", file)
	s.wait("New passphrase: ")
	s.typing("correct horse battery\n")
	s.wait("Once more: ")
	s.typing("correct horse battery\n")
	s.wait("Wrote ")
	if code := s.exit(); code != 0 {
		t.Fatalf("exit code %d", code)
	}

	s = x.screen("import", file)
	s.wait("Passphrase of the bundle: ")
	s.typing("another one\n")
	s.wait("That passphrase does not open it.")
	s.wait("Passphrase of the bundle: ")
	s.typing("correct horse battery\n")
	s.wait("save under a [n]ew name, or [q]uit?")
	s.typing("q\r")
	s.wait("nothing was imported")
	if code := s.exit(); code != 1 {
		t.Errorf("after quit: exit code %d", code)
	}

	s = x.screen("import", file)
	s.wait("Passphrase of the bundle: ")
	s.typing("correct horse battery\n")
	s.wait("or [q]uit?")
	s.typing("n\r")
	s.wait("Import 1 connection? [y/N]")
	s.typing("y\r")
	s.wait("secret was saved as secret-2.")
	if code := s.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
