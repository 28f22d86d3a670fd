//go:build unix

package cloud

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/c2conn/c2conn/connections"
)

// testDefinitions makes DIR/clouds with a sound definition in each named file.
func testDefinitions(t *testing.T, names ...string) (dir, clouds string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "state")
	clouds = filepath.Join(dir, "clouds")
	if err := os.MkdirAll(clouds, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text := strings.Replace(minimal, "name: sim", "name: "+name, 1)
		if err := os.WriteFile(filepath.Join(clouds, name+extension), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir, clouds
}

// Whatever lies in the folder, no command may hang on it or lose the other clouds.
func TestPipesAndLinksAreReportedAndHideNothing(t *testing.T) {
	t.Parallel()
	dir, clouds := testDefinitions(t, "sim", "target")
	target := filepath.Join(dir, "target.yaml")
	if err := errors.Join(
		os.Rename(filepath.Join(clouds, "target.yaml"), target),
		os.Symlink(target, filepath.Join(clouds, "link.yaml")),
		os.Symlink("/dev/zero", filepath.Join(clouds, "endless.yaml")),
		syscall.Mkfifo(filepath.Join(clouds, "pipe.yaml"), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	s := load(t, dir)
	if got := names(s); !slices.Equal(got, []string{"global", "usgov", "dod", "china", "sim"}) {
		t.Errorf("got %v", got)
	}
	for name, want := range map[string]string{"link": "symbolic link", "endless": "symbolic link", "pipe": "regular file"} {
		var typed *DefinitionError
		if _, err := s.Find(name); !errors.As(err, &typed) || typed.Path != filepath.Join(clouds, name+extension) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
		if err := s.Remove(t.Context(), name); err != nil {
			t.Errorf("removing %s: %v", name, err)
		}
	}
	if _, err := os.Stat(target); err != nil {
		t.Error(err)
	}
}

func TestAPipeInPlaceOfTheFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "clouds"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir); err == nil {
		t.Error("loaded without a folder")
	}
}

// A definition decides which CA is trusted and where secrets are sent.
func TestDefinitionsThatOthersCanWriteAreNotTrusted(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name               string
		state, clouds, lab fs.FileMode
		bad                string // the path that is complained about, "" = none
	}{
		{"as c2conn writes them", 0o700, 0o700, 0o600, ""},
		{"readable by others", 0o755, 0o755, 0o644, ""},
		{"file writable by all", 0o700, 0o700, 0o666, "clouds/lab.yaml"},
		{"file writable by the group", 0o700, 0o700, 0o660, "clouds/lab.yaml"},
		{"folder writable by all", 0o700, 0o777, 0o600, "clouds"},
		{"state folder writable by all", 0o777, 0o700, 0o600, "."},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir, clouds := testDefinitions(t, "lab", "sim")
			if err := errors.Join(os.Chmod(filepath.Join(clouds, "lab.yaml"), test.lab), os.Chmod(clouds, test.clouds), os.Chmod(dir, test.state)); err != nil {
				t.Fatal(err)
			}
			s := load(t, dir)
			if _, err := s.Find(Global); err != nil {
				t.Error(err)
			}
			_, err := s.Find("lab")
			if test.bad == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			path := filepath.Join(dir, test.bad)
			var open *connections.PermissionError
			if !errors.As(err, &open) || open.Path != path || !strings.Contains(err.Error(), "chmod go-w "+path) {
				t.Errorf("got %v", err)
			}
			if damaged := s.Damaged(); len(damaged) != 1 || !errors.Is(damaged[0], err) {
				t.Errorf("damaged: %v", damaged)
			}
			_, err = s.Find("sim")
			_, addErr := s.Add(t.Context(), []byte(strings.Replace(minimal, "name: sim", "name: other", 1)), false)
			if whole := test.bad != "clouds/lab.yaml"; (err != nil) != whole || (addErr != nil) != whole {
				t.Errorf("another definition: %v; adding one: %v", err, addErr)
			}
		})
	}
}
