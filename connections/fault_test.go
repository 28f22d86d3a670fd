//go:build unix

package connections

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const (
	childEnv   = "C2CONN_TEST_CHILD" // what the re-executed test binary is to do
	childDir   = "C2CONN_TEST_DIR"
	childPoint = "C2CONN_TEST_POINT" // at which of its writes it kills itself
	exitTaken  = 5                   // an AccountTakenError
)

func TestMain(m *testing.M) {
	if op := os.Getenv(childEnv); op != "" {
		os.Exit(child1(op))
	}
	os.Exit(m.Run())
}

// child1 does one operation and kills itself at the wanted point.
func child1(op string) int {
	point, _ := strconv.Atoi(os.Getenv(childPoint))
	s, err := operationStore(os.Getenv(childDir), op)
	if err != nil {
		return 3
	}
	passed := 0
	s.disk.step = func(string) error {
		if passed++; passed == point {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
		return nil
	}
	if op == "time list" {
		// The first List of a process, as the command pays for it.
		start := time.Now()
		if _, err := s.List(context.Background()); err != nil {
			return 4
		}
		fmt.Fprintln(os.Stderr, time.Since(start).Nanoseconds())
		return 0
	}
	if name, ok := strings.CutPrefix(op, "process "); ok {
		_, err = s.Add(context.Background(), sample(name))
	} else if name, ok := strings.CutPrefix(op, "target "); ok {
		_, err = s.Add(context.Background(), target(name, "one@contoso.com"))
		var taken *AccountTakenError
		if errors.As(err, &taken) {
			return exitTaken
		}
	} else {
		err = operations[op].run(context.Background(), s)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 4
	}
	return 0
}

func operationStore(dir, op string) (*Store, error) {
	o := Options{Dir: dir, ScryptLogN: 4}
	switch op {
	case "secret by passphrase":
		o.Getenv = func(k string) string { return map[string]string{envPassphrase: "open sesame"}[k] }
	case "secret by file":
		o.Getenv = func(k string) string { return map[string]string{envIdentity: filepath.Join(dir, "key")}[k] }
	case "secret by keychain", "second secret":
		o.Keychain = dirKeychain(dir + ".keychain")
	}
	return Open(o)
}

// dirKeychain is a keychain that several processes share.
type dirKeychain string

func (d dirKeychain) Get(_ context.Context, account string) (string, error) {
	b, err := os.ReadFile(filepath.Join(string(d), account))
	if errors.Is(err, fs.ErrNotExist) {
		return "", ErrNoEntry
	}
	return string(b), err
}

func (d dirKeychain) Set(_ context.Context, account, value string) error {
	if err := os.MkdirAll(string(d), dirMode); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(string(d), account), []byte(value), fileMode)
}

func (d dirKeychain) Delete(_ context.Context, account string) error {
	return os.Remove(filepath.Join(string(d), account))
}

type operation struct {
	prepare func(ctx context.Context, s *Store) error
	run     func(ctx context.Context, s *Store) error
	// state tells old ("old"), new ("new") or anything else, which is a failure.
	state func(ctx context.Context, s *Store) string
}

func addBoth(ctx context.Context, s *Store) error {
	_, err := s.Add(ctx, sample("other"))
	if err == nil {
		_, err = s.Add(ctx, sample("a"))
	}
	return err
}

// listed gives the usable and the damaged names, and whether Get agrees.
func listed(ctx context.Context, s *Store) string {
	entries, err := s.List(ctx)
	if err != nil {
		return err.Error()
	}
	var names []string
	for _, e := range entries {
		name := e.Connection.Name
		if e.Err != nil {
			name += "!" + e.Err.Error()
		}
		if _, err := s.Get(ctx, e.Connection.Name); err != nil {
			name += "?" + err.Error()
		}
		names = append(names, name)
	}
	return strings.Join(names, ",")
}

var secretState = func(ctx context.Context, s *Store) string {
	files, err := filepath.Glob(filepath.Join(s.secrets, "0*"+secretEnding))
	if err != nil || len(files) == 0 {
		return "old"
	}
	for _, f := range files {
		v, err := s.Secret(ctx, Ref("store:"+strings.TrimSuffix(filepath.Base(f), secretEnding)))
		if err != nil || string(v.Reveal()) != "value" {
			return fmt.Sprint("an unreadable secret: ", err)
		}
	}
	return "new"
}

func putValue(ctx context.Context, s *Store) error {
	_, err := s.PutSecret(ctx, NewSecret("value"))
	return err
}

func staging(ctx context.Context, s *Store, do func(*Stage) error) error {
	g, err := s.Stage(ctx)
	if err != nil {
		return err
	}
	defer g.Close()
	return do(g)
}

// stagedList gives the names as they would be.
func stagedList(ctx context.Context, s *Store) string {
	var names []string
	err := staging(ctx, s, func(g *Stage) error {
		entries, err := g.List(ctx)
		for _, e := range entries {
			if e.Err != nil {
				return e.Err
			}
			names = append(names, e.Connection.Name)
		}
		return err
	})
	if err != nil {
		return err.Error()
	}
	return strings.Join(names, ",")
}

var operations = map[string]operation{
	"add": {
		prepare: func(ctx context.Context, s *Store) error { _, err := s.Add(ctx, sample("other")); return err },
		run:     func(ctx context.Context, s *Store) error { _, err := s.Add(ctx, sample("a")); return err },
		state: func(ctx context.Context, s *Store) string {
			return map[string]string{"other": "old", "a,other": "new"}[listed(ctx, s)]
		},
	},
	"add target": {
		prepare: addBoth,
		run: func(ctx context.Context, s *Store) error {
			_, err := s.Add(ctx, target("t", "one@contoso.com"))
			return err
		},
		state: func(ctx context.Context, s *Store) string {
			state := map[string]string{"a,other": "old", "a,other,t": "new"}[listed(ctx, s)]
			if _, err := s.TargetOf(ctx, "one@contoso.com"); (err == nil) != (state == "new") {
				return fmt.Sprint(state, ", but ", err)
			}
			return state
		},
	},
	"first add": {
		run: func(ctx context.Context, s *Store) error { _, err := s.Add(ctx, sample("a")); return err },
		state: func(ctx context.Context, s *Store) string {
			return map[string]string{"": "old", "a": "new"}[listed(ctx, s)]
		},
	},
	"update": {
		prepare: addBoth,
		run: func(ctx context.Context, s *Store) error {
			_, err := s.Update(ctx, "a", func(c *Connection) error { c.Account = "new@contoso.com"; return nil })
			return err
		},
		state: func(ctx context.Context, s *Store) string {
			c, err := s.Get(ctx, "a")
			if l := listed(ctx, s); err != nil || l != "a,other" {
				return fmt.Sprint(l, err)
			}
			return map[string]string{"admin@contoso.com": "old", "new@contoso.com": "new"}[c.Account]
		},
	},
	"rename": {
		prepare: addBoth,
		run:     func(ctx context.Context, s *Store) error { _, err := s.Rename(ctx, "a", "b"); return err },
		state: func(ctx context.Context, s *Store) string {
			_, errA := s.Get(ctx, "a")
			_, errB := s.Get(ctx, "b")
			if errors.Is(errA, ErrNotFound) == errors.Is(errB, ErrNotFound) {
				return fmt.Sprint("a: ", errA, " b: ", errB)
			}
			return map[string]string{"a,other": "old", "b,other": "new"}[listed(ctx, s)]
		},
	},
	"delete": {
		prepare: addBoth,
		run:     func(ctx context.Context, s *Store) error { return s.Delete(ctx, "a") },
		state: func(ctx context.Context, s *Store) string {
			if _, err := os.Stat(filepath.Join(s.previous, "a.yaml")); (err == nil) == (listed(ctx, s) == "a,other") {
				return "neither in the store nor among the previous versions"
			}
			return map[string]string{"a,other": "old", "other": "new"}[listed(ctx, s)]
		},
	},
	"stage": {
		prepare: addBoth,
		run: func(ctx context.Context, s *Store) error {
			return staging(ctx, s, func(g *Stage) error { _, err := g.Rename(ctx, "a", "b"); return err })
		},
		state: func(ctx context.Context, s *Store) string {
			return map[string]string{"a,other": "old", "b,other": "new"}[stagedList(ctx, s)]
		},
	},
	"commit": {
		prepare: func(ctx context.Context, s *Store) error {
			return errors.Join(addBoth(ctx, s), staging(ctx, s, func(g *Stage) error {
				_, err := g.Rename(ctx, "a", "b")
				if err == nil {
					_, err = g.Add(ctx, sample("n"))
				}
				return errors.Join(err, g.Delete(ctx, "other"))
			}))
		},
		run: func(ctx context.Context, s *Store) error {
			return staging(ctx, s, func(g *Stage) error { _, err := g.Commit(ctx); return err })
		},
		// What is saved is partly old; with what is staged it is the same throughout.
		state: func(ctx context.Context, s *Store) string {
			list, pending := stagedList(ctx, s), 0
			if list != "b,n" {
				return list
			}
			if err := staging(ctx, s, func(g *Stage) error { pending = len(g.Pending()); return nil }); err != nil || pending > 0 {
				return "old"
			}
			return "new"
		},
	},
	"discard": {
		prepare: func(ctx context.Context, s *Store) error {
			return errors.Join(addBoth(ctx, s), staging(ctx, s, func(g *Stage) error { _, err := g.Rename(ctx, "a", "b"); return err }))
		},
		run: func(ctx context.Context, s *Store) error {
			return staging(ctx, s, func(g *Stage) error { return g.Discard(ctx) })
		},
		state: func(ctx context.Context, s *Store) string {
			return map[string]string{"b,other": "old", "a,other": "new"}[stagedList(ctx, s)]
		},
	},
	"secret by passphrase": {run: putValue, state: secretState},
	"secret by file":       {run: putValue, state: secretState},
	"secret by keychain":   {run: putValue, state: secretState},
	"second secret":        {prepare: putValue, run: putValue, state: secretState},
}

// checkAfter asserts that the store holds the old or the new version, also
// after the next write has tidied up, and returns which.
func checkAfter(t *testing.T, what, dir, name string) string {
	t.Helper()
	ctx, op := t.Context(), operations[name]
	s, err := operationStore(dir, name)
	if err != nil {
		t.Fatal(err)
	}
	state := op.state(ctx, s)
	if state != "old" && state != "new" {
		t.Fatalf("%s: neither old nor new: %q (%s)", what, state, listed(ctx, s))
	}
	if strings.Contains(name, "secret") {
		if err := putValue(ctx, s); err != nil {
			t.Fatalf("%s: the next secret: %v", what, err)
		}
		if s, _ = operationStore(dir, name); secretState(ctx, s) != "new" {
			t.Fatalf("%s: after the next secret: %s", what, secretState(ctx, s))
		}
	} else {
		if _, err := s.Add(ctx, sample("z")); err != nil {
			t.Fatalf("%s: the next write: %v", what, err)
		}
		if err := s.Delete(ctx, "z"); err != nil {
			t.Fatalf("%s: the next delete: %v", what, err)
		}
		if again := op.state(ctx, s); again != state {
			t.Fatalf("%s: %s became %q", what, state, again)
		}
	}
	for _, temps := range []string{s.temps, s.secretTemps} {
		if left, _ := os.ReadDir(temps); len(left) > 0 {
			t.Fatalf("%s: temporary files are left: %v", what, left)
		}
	}
	return state
}

func TestKilledAtEveryWrite(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	total := 0
	t.Run("group", func(t *testing.T) {
		for name, op := range operations {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				states := map[string]int{}
				for point := 1; ; point++ {
					if point > 200 {
						t.Fatal("no end of write points")
					}
					dir := filepath.Join(t.TempDir(), "state")
					s, err := operationStore(dir, name)
					if err == nil && op.prepare != nil {
						err = op.prepare(t.Context(), s)
					}
					if err != nil {
						t.Fatal(err)
					}
					cmd := exec.CommandContext(t.Context(), self)
					cmd.Env = append(os.Environ(), childEnv+"="+name, childDir+"="+dir, childPoint+"="+strconv.Itoa(point))
					out, err := cmd.CombinedOutput()
					state := checkAfter(t, fmt.Sprintf("killed at write %d", point), dir, name)
					if err == nil {
						if state != "new" {
							t.Errorf("it ended well, but the store is %s", state)
						}
						mu.Lock()
						total += point - 1
						mu.Unlock()
						t.Logf("%s: %d write points, old after %d, new after %d", name, point-1, states["old"], states["new"])
						return
					}
					if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
						t.Fatalf("point %d: %v %s", point, err, out)
					}
					states[state]++
				}
			})
		}
	})
	t.Logf("killed at %d write points in all, never neither old nor new", total)
}

func TestWriteErrorAtEveryPoint(t *testing.T) {
	t.Parallel()
	for name, op := range operations {
		for _, failure := range []syscall.Errno{syscall.ENOSPC, syscall.EROFS} {
			t.Run(fmt.Sprintf("%s/%v", name, failure), func(t *testing.T) {
				t.Parallel()
				for point := 1; ; point++ {
					if point > 200 {
						t.Fatal("no end of write points")
					}
					dir := filepath.Join(t.TempDir(), "state")
					s, err := operationStore(dir, name)
					if err == nil && op.prepare != nil {
						err = op.prepare(t.Context(), s)
					}
					if err != nil {
						t.Fatal(err)
					}
					passed := 0
					s.disk.step = func(string) error {
						if passed++; passed == point {
							return failure
						}
						return nil
					}
					err = op.run(t.Context(), s)
					s.disk.step = nil
					state := checkAfter(t, fmt.Sprintf("%v at write %d", failure, point), dir, name)
					if err == nil && state != "new" {
						t.Errorf("point %d: no error, but the store is %s", point, state)
					}
					var full *FullError
					var denied *PermissionError
					if err != nil && !(failure == syscall.ENOSPC && errors.As(err, &full)) &&
						!(failure == syscall.EROFS && errors.As(err, &denied) && denied.Problem == ReadOnly) {
						t.Errorf("point %d: untyped error %T %v", point, err, err)
					}
					if passed < point {
						return
					}
				}
			})
		}
	}
}

func TestFiftyProcesses(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	const processes = 50
	dir := filepath.Join(t.TempDir(), "state")
	var wg sync.WaitGroup
	for i := range processes {
		cmd := exec.CommandContext(t.Context(), self)
		cmd.Env = append(os.Environ(), childDir+"="+dir, childEnv+"="+fmt.Sprintf("process conn-%02d", i))
		wg.Go(func() {
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("process %d: %v %s", i, err, out)
			}
		})
	}
	wg.Wait()
	s, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // as the processes left the index, and after List mended it
		entries := mustList(t, s)
		if len(entries) != processes {
			t.Errorf("%d of %d connections are there", len(entries), processes)
		}
		for _, e := range entries {
			if e.Err != nil {
				t.Error(e.Err)
			}
		}
	}
	t.Logf("%d processes added at once, %d connections are there", processes, len(mustList(t, s)))
}

func TestProcessesRaceForAMailbox(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	const processes = 20
	dir := filepath.Join(t.TempDir(), "state")
	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range processes {
		cmd := exec.CommandContext(t.Context(), self)
		cmd.Env = append(os.Environ(), childDir+"="+dir, childEnv+"="+fmt.Sprintf("target conn-%02d", i))
		wg.Go(func() {
			out, err := cmd.CombinedOutput()
			switch code := cmd.ProcessState.ExitCode(); {
			case err == nil:
				won.Add(1)
			case code != exitTaken:
				t.Errorf("process %d: %v %s", i, err, out)
			}
		})
	}
	wg.Wait()
	s, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if entries := mustList(t, s); won.Load() != 1 || len(entries) != 1 {
		t.Errorf("%d processes won, %d targets are there", won.Load(), len(entries))
	}
}

func TestProcessesMakeOneKey(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "state")
	var wg sync.WaitGroup
	for range 12 {
		cmd := exec.CommandContext(t.Context(), self)
		cmd.Env = append(os.Environ(), childDir+"="+dir, childEnv+"=secret by keychain")
		wg.Go(func() {
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v %s", err, out)
			}
		})
	}
	wg.Wait()
	s, err := operationStore(dir, "secret by keychain")
	if err != nil {
		t.Fatal(err)
	}
	if state := secretState(t.Context(), s); state != "new" {
		t.Error(state)
	}
	if files, _ := filepath.Glob(filepath.Join(s.secrets, "0*"+secretEnding)); len(files) != 12 {
		t.Errorf("%d secrets of 12", len(files))
	}
	if keys, _ := filepath.Glob(dir + ".keychain/*"); len(keys) != 1 {
		t.Errorf("keychain entries: %v", keys)
	}
}

// TestFullDisk fills a real file system; only root can make one.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscallMount(dir); err != nil {
		t.Skipf("no file system of our own here (%v); TestWriteErrorAtEveryPoint injects the error instead", err)
	}
	t.Cleanup(func() { _ = exec.Command("umount", dir).Run() }) //nolint:noctx // the context has ended by then
	s, err := Open(Options{Dir: filepath.Join(dir, "state")})
	if err != nil {
		t.Fatal(err)
	}
	saved := 0
	for ; ; saved++ {
		if _, err = s.Add(t.Context(), sample(fmt.Sprintf("c%d", saved))); err != nil || saved > 1000 {
			break
		}
	}
	var full *FullError
	if !errors.As(err, &full) || saved == 0 {
		t.Fatalf("after %d connections: %v", saved, err)
	}
	if _, err := s.Update(t.Context(), "c0", func(c *Connection) error { c.Account = "x@contoso.com"; return nil }); !errors.As(err, &full) {
		t.Errorf("Update = %v", err)
	}
	entries := mustList(t, s)
	for _, e := range entries {
		if e.Err != nil || e.Connection.Account != "admin@contoso.com" {
			t.Errorf("%+v", e)
		}
	}
	if len(entries) != saved {
		t.Errorf("%d of %d connections are there", len(entries), saved)
	}
	t.Logf("disk full after %d connections: %v", saved, err)
}

func syscallMount(dir string) error {
	if os.Geteuid() != 0 {
		return errors.New("not root")
	}
	return exec.Command("mount", "-t", "tmpfs", "-o", "size=256k,mode=700", "tmpfs", dir).Run() //nolint:noctx,gosec // a test directory
}

// TestReadOnlyDirectory needs another user than root, who may write anywhere.
func TestReadOnlyDirectory(t *testing.T) {
	t.Parallel()
	s := testStore(t)
	mustAdd(t, s, "a")
	if os.Geteuid() == 0 {
		s.disk.step = func(string) error { return syscall.EROFS }
	} else {
		for _, d := range []string{s.connections, s.temps, s.previous} {
			if err := os.Chmod(d, 0o500); err != nil { //nolint:gosec // what is tested
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.Chmod(d, dirMode) }) //nolint:gosec // so that it can be removed
		}
	}
	if err := os.Remove(filepath.Join(s.connections, indexName)); err != nil && os.Geteuid() == 0 {
		t.Fatal(err)
	}
	var denied *PermissionError
	if _, err := s.Add(t.Context(), sample("b")); !errors.As(err, &denied) {
		t.Errorf("Add = %v", err)
	}
	if entries := mustList(t, s); len(entries) != 1 || entries[0].Err != nil {
		t.Errorf("List = %+v", entries)
	}
	if _, err := s.Get(t.Context(), "a"); err != nil {
		t.Errorf("Get = %v", err)
	}
}
