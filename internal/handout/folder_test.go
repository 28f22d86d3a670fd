//go:build unix

package handout_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/handout"
)

// TestMain makes this program a watcher where it is started as one.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "watch" {
		if err := handout.Watch(context.Background(), os.Stdin, os.Args[2], nil); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func newFolder(t *testing.T, p handout.Place) *handout.Folder {
	t.Helper()
	f, err := p.New(t.Context(), os.Args[0], "watch")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func mode(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

func gone(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, os.ErrNotExist)
}

func TestWhereTheFolderLies(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	state, private, open := filepath.Join(dir, "state"), filepath.Join(dir, "private"), filepath.Join(dir, "open")
	if err := errors.Join(os.Mkdir(private, 0o700), os.Mkdir(open, 0o755), os.Symlink(private, filepath.Join(dir, "link"))); err != nil {
		t.Fatal(err)
	}
	for runtime, want := range map[string]string{
		private: filepath.Join(private, "c2conn"), open: filepath.Join(state, "run"), "": filepath.Join(state, "run"),
		"relative": filepath.Join(state, "run"), filepath.Join(dir, "link"): filepath.Join(state, "run"), filepath.Join(dir, "none"): filepath.Join(state, "run"),
	} {
		f := newFolder(t, handout.Place{Runtime: runtime, State: state})
		if filepath.Dir(f.Path) != want {
			t.Errorf("runtime %s: it lies in %s", runtime, f.Path)
		}
		path, err := f.Write("certificate.pem", []byte("text"))
		if err != nil || mode(t, path) != 0o600 || mode(t, f.Path) != 0o700 || mode(t, want) != 0o700 {
			t.Errorf("%s: %v, modes %o, %o", path, err, mode(t, path), mode(t, f.Path))
		}
		if _, err := f.Write("certificate.pem", nil); err == nil {
			t.Error("a file was written over")
		}
		if err := f.Close(); err != nil || !gone(f.Path) {
			t.Errorf("closing: %v", err)
		}
	}
	// A folder of ours that others can enter is not used.
	if err := os.Chmod(filepath.Join(state, "run"), 0o755); err != nil {
		t.Fatal(err)
	}
	var open2 *connections.PermissionError
	if _, err := (handout.Place{State: state}).New(t.Context(), os.Args[0], "watch"); !errors.As(err, &open2) || open2.Problem != connections.TooOpen {
		t.Errorf("a folder that others can enter: %v", err)
	}
}

func TestSweepTakesOnlyWhatIsLeftBehind(t *testing.T) {
	t.Parallel()
	p := handout.Place{State: t.TempDir()}
	if n, err := p.Sweep(t.Context()); n != 0 || err != nil {
		t.Errorf("an empty place: %d, %v", n, err)
	}
	alive := newFolder(t, p)
	run := filepath.Dir(alive.Path)
	outside := filepath.Join(t.TempDir(), "precious")
	for _, name := range []string{"c2conn-exec-1", "c2conn-exec-2", "mine", "c2conn-exec-x"} {
		if err := errors.Join(os.Mkdir(filepath.Join(run, name), 0o700), os.WriteFile(filepath.Join(run, name, "certificate.pem"), []byte("key"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.WriteFile(filepath.Join(run, "c2conn-exec-2", "lock"), nil, 0o600), os.Mkdir(outside, 0o700), os.Symlink(outside, filepath.Join(run, "c2conn-exec-3"))); err != nil {
		t.Fatal(err)
	}
	n, err := p.Sweep(t.Context())
	if n != 2 || err != nil || !gone(filepath.Join(run, "c2conn-exec-1")) || !gone(filepath.Join(run, "c2conn-exec-2")) {
		t.Errorf("%d removed, %v", n, err)
	}
	for _, kept := range []string{alive.Path, outside, filepath.Join(run, "mine"), filepath.Join(run, "c2conn-exec-x"), filepath.Join(run, "c2conn-exec-3")} {
		if gone(kept) {
			t.Errorf("%s was removed", kept)
		}
	}
	if err := alive.Close(); err != nil {
		t.Error(err)
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	p := handout.Place{State: t.TempDir()}
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			f, err := p.New(t.Context(), os.Args[0], "watch")
			if err != nil {
				t.Error(err)
				return
			}
			path, err := f.Write("certificate.pem", []byte("text"))
			if _, e := p.Sweep(t.Context()); e != nil || err != nil || gone(path) {
				t.Errorf("%v, %v", err, e)
			}
			if err := f.Close(); err != nil || !gone(f.Path) {
				t.Errorf("closing: %v", err)
			}
		})
	}
	wg.Wait()
}

func TestNoWatcherNoFolder(t *testing.T) {
	t.Parallel()
	p := handout.Place{State: t.TempDir()}
	if _, err := p.New(t.Context(), filepath.Join(p.State, "no-program"), "watch"); err == nil || !strings.Contains(err.Error(), "nothing was handed out") {
		t.Errorf("got %v", err)
	}
	left, _ := filepath.Glob(filepath.Join(p.State, "run", "c2conn-exec-*"))
	if len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestWatchRefusesWhatIsNotIts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, path := range []string{dir, "c2conn-exec-1", "/", filepath.Join(dir, "c2conn-exec-")} {
		err := handout.Watch(t.Context(), strings.NewReader(""), path, func(context.Context, time.Duration) error { return io.EOF })
		if err == nil || gone(dir) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]int{"exit 0": 0, "exit 7": 7, "kill -KILL $$": 137, "kill -TERM $$": 143} {
		if code, err := (handout.Command{Args: []string{"sh", "-c", script}}).Run(); code != want || err != nil {
			t.Errorf("%s: %d, %v", script, code, err)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for program, want := range map[string]int{"no-such-program": 127, file + "x": 127, file: 126} {
		if code, err := (handout.Command{Args: []string{program}}).Run(); code != want || err == nil {
			t.Errorf("%s: %d, %v", program, code, err)
		}
	}
}
