//go:build linux

package registration

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/c2conn/c2conn/connections"
)

// What is wrong with the disk is told as for every other file, so that it has advice.
func TestJournalOnAFullDisk(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "full")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=4k,mode=0700"); err != nil {
		t.Skipf("no file system can be mounted here, which takes root: %v", err)
	}
	defer func() { _ = unix.Unmount(dir, unix.MNT_DETACH) }()
	if err := os.WriteFile(filepath.Join(dir, "fill"), make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	err := (&journal{Run: "01K9Z7ZZZZZZZZZZZZZZZZZZZZ"}).save(dir)
	var full *connections.FullError
	if !errors.Is(err, ErrJournal) || !errors.As(err, &full) {
		t.Errorf("%v", err)
	}
}
