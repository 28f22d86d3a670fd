//go:build unix

package privatefile

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/c2conn/c2conn/connections"
)

// A pipe without a writer would hold an ordinary open for ever.
func TestOnlyRegularFilesAreOpened(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	join := func(name string) string { return filepath.Join(dir, name) }
	if err := errors.Join(
		os.WriteFile(join("file"), nil, 0o600),
		syscall.Mkfifo(join("pipe"), 0o600),
		os.Symlink(join("file"), join("link")),
		os.Symlink("/dev/zero", join("device")),
		os.Symlink(join("nowhere"), join("dangling")),
	); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{join("pipe"), join("link"), join("device"), join("dangling"), "/dev/null"} {
		var damaged *connections.DamagedError
		if _, err := Read(path, 10); !errors.As(err, &damaged) {
			t.Errorf("%s: %v", path, err)
		}
	}
	for _, bad := range []string{"link", "pipe"} {
		if err := Folder(dir, join(bad)); err == nil {
			t.Errorf("%s is taken for a folder", bad)
		}
	}
}
