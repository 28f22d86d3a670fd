package privatefile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/connections"
)

func TestReadAndItsLimit(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := Read(path, 4); err != nil || string(data) != "text" {
		t.Errorf("%q, %v", data, err)
	}
	var damaged *connections.DamagedError
	for _, bad := range []string{path, filepath.Dir(path)} {
		if _, err := Read(bad, 3); !errors.As(err, &damaged) || damaged.Path != bad {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if _, err := Read(path+"x", 4); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if err := Folder(filepath.Dir(path), path); err == nil {
		t.Error("a file is taken for a folder")
	}
	if err := Folder(path, filepath.Dir(path)); err == nil {
		t.Error("a file is taken for a state folder")
	}
	if err := Folder(filepath.Dir(path), path+"x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestOwnerAndMode(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		return // neither is checked there
	}
	dir := filepath.Join(t.TempDir(), "state")
	path := filepath.Join(dir, "file")
	if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(path, []byte("text"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		mode fs.FileMode
		good bool
	}{{0o600, true}, {0o644, true}, {0o755, true}, {0o400, true}, {0o666, false}, {0o620, false}, {0o602, false}} {
		if err := os.Chmod(path, test.mode); err != nil {
			t.Fatal(err)
		}
		_, err := Read(path, 4)
		tooOpen := problem(err, path, connections.TooWritable) && strings.Contains(err.Error(), "chmod go-w "+path)
		if (err == nil) != test.good || !test.good && !tooOpen {
			t.Errorf("a file of mode %o: %v", test.mode, err)
		}
		if err := os.Chmod(dir, test.mode|0o100); err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{Folder(dir, dir), Folder(filepath.Dir(dir), dir)} {
			if (err == nil) != test.good || !test.good && !problem(err, dir, connections.TooWritable) {
				t.Errorf("a folder of mode %o: %v", test.mode|0o100, err)
			}
		}
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := check(path, info, 4, os.Geteuid()+1); !problem(err, path, connections.OtherOwner) {
		t.Errorf("a file of another user: %v", err)
	}
}

func problem(err error, path string, want connections.PermissionProblem) bool {
	var p *connections.PermissionError
	return errors.As(err, &p) && p.Problem == want && p.Path == path
}
