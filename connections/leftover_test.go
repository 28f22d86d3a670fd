package connections

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// A write that fails takes its temporary file along: on a full disk it would take
// up the room that is missing.
func TestFailedWriteLeavesNoTemporaryFile(t *testing.T) {
	t.Parallel()
	for _, point := range []string{"create", "write", "fsync", "rename"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			d := disk{temp: func() string { return "temporary" }, step: func(at string) error {
				if at == point {
					return errors.New("no room")
				}
				return nil
			}}
			if _, err := d.replace(filepath.Join(dir, "file"), dir, []byte("text")); err == nil {
				t.Fatal("no error")
			}
			left, err := os.ReadDir(dir)
			if err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}
