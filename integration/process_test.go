//go:build integration

package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// limit is the longest that any one program may take; a case that expects less
// says so itself.
const limit = 60 * time.Second

// world is what the programs of a case get: variables, and nothing else.
type world map[string]string

// newWorld is an environment with folders of its own and nothing of the
// caller's: neither proxies, nor certificates, nor a desktop session.
func newWorld(t *testing.T) world {
	t.Helper()
	dir, err := os.MkdirTemp(suite.dir, "case-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	w := world{
		"PATH": os.Getenv("PATH"), "LANG": "C.UTF-8", "TERM": "dumb", marker: suite.dir + "/cases",
		"HOME": filepath.Join(dir, "home"), "TMPDIR": filepath.Join(dir, "tmp"), "XDG_RUNTIME_DIR": filepath.Join(dir, "run"),
		"C2CONN_HOME": filepath.Join(dir, "state"),
	}
	w["XDG_DATA_HOME"] = filepath.Join(w["HOME"], ".local", "share")
	for _, name := range []string{"XDG_DATA_HOME", "TMPDIR", "XDG_RUNTIME_DIR"} {
		if err := os.MkdirAll(w[name], 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// with is the same world with more variables; an empty value takes one away.
func (w world) with(pairs ...string) world {
	out := maps.Clone(w)
	for i := 0; i+1 < len(pairs); i += 2 {
		if out[pairs[i]] = pairs[i+1]; pairs[i+1] == "" {
			delete(out, pairs[i])
		}
	}
	return out
}

func (w world) environ() []string {
	out := make([]string, 0, len(w))
	for name, value := range w {
		out = append(out, name+"="+value)
	}
	slices.Sort(out)
	return out
}

// dir is the folder of the case.
func (w world) dir() string { return filepath.Dir(w["TMPDIR"]) }

// home is where c2conn keeps its state.
func (w world) home() string { return w["C2CONN_HOME"] }

// result is how a program ended.
type result struct {
	code        int
	out, errors string
	took        time.Duration
}

// all is everything that the program said, with line breaks as spaces, because
// texts are wrapped to the width of the screen.
func (r result) all() string { return strings.Join(strings.Fields(r.out+" "+r.errors), " ") }

// run runs a program to its end.
func (w world) run(t *testing.T, program string, args ...string) result {
	t.Helper()
	return w.feed(t, "", program, args...)
}

// feed runs a program with a standard input.
func (w world) feed(t *testing.T, input, program string, args ...string) result {
	t.Helper()
	return w.feedWithin(t, limit, input, program, args...)
}

// feedWithin is feed for a program that may take longer, or must not take as long.
func (w world) feedWithin(t *testing.T, limit time.Duration, input, program string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := w.command(ctx, program, args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &errs
	began := time.Now()
	err := cmd.Run()
	r := result{out: out.String(), errors: errs.String(), took: time.Since(began)}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		t.Fatalf("%s %s did not end within %s\n%s", program, strings.Join(args, " "), limit, r.errors)
	case errors.As(err, &exit):
		r.code = exit.ExitCode()
	case err != nil:
		t.Fatalf("%s: %v", program, err)
	}
	return r
}

// command prepares a program in a process group of its own, which is killed as
// a whole when the context ends.
func (w world) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	if own := filepath.Join(suite.bin, program); !strings.Contains(program, "/") && exists(own) {
		program = own
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env, cmd.Dir = w.environ(), w.dir()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// server is a program that runs until the case ends.
type server struct {
	cmd   *exec.Cmd
	done  chan struct{} // closed when it has ended
	err   error         // how; read after done
	said  bytes.Buffer  // standard error; read after done
	input io.WriteCloser
	out   io.ReadCloser
}

// serve starts a program; when the case ends its input is closed, then it is
// asked to end, then it and its group are killed.
func (w world) serve(t *testing.T, program string, args ...string) *server {
	t.Helper()
	// Not the case's context: that ends before the cleanups, and would kill.
	s := &server{cmd: w.command(context.Background(), program, args...), done: make(chan struct{})}
	s.cmd.Stderr = &s.said
	var err error
	if s.input, err = s.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s.out, s.cmd.Stdout = reader, writer
	err = s.cmd.Start()
	_ = writer.Close()
	if err != nil {
		_ = reader.Close()
		t.Fatalf("%s: %v", program, err)
	}
	go func() {
		s.err = s.cmd.Wait()
		close(s.done)
	}()
	t.Cleanup(func() {
		s.stop()
		_ = s.out.Close()
	})
	return s
}

// stop ends the program; it may have ended already.
func (s *server) stop() {
	_ = s.input.Close()
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		select {
		case <-s.done:
			return
		default:
		}
		// A stopped process takes no SIGTERM.
		_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGCONT)
		_ = syscall.Kill(-s.cmd.Process.Pid, signal)
		select {
		case <-s.done:
			return
		case <-time.After(5 * time.Second):
		}
	}
	<-s.done
}

// signal sends a signal to the program alone.
func (s *server) signal(t *testing.T, signal syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(s.cmd.Process.Pid, signal); err != nil {
		t.Fatal(err)
	}
}

// eventually waits until something that another process does has happened.
func eventually(t *testing.T, what string, happened func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.After(30 * time.Second)
	for !happened() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// want fails the case unless the program ended with the code and said all of
// the texts, which are compared without regard to line breaks.
func want(t *testing.T, r result, code int, texts ...string) {
	t.Helper()
	var wrong []string
	if r.code != code {
		wrong = append(wrong, fmt.Sprintf("exit code %d, want %d", r.code, code))
	}
	for _, text := range texts {
		if !strings.Contains(r.all(), text) {
			wrong = append(wrong, fmt.Sprintf("it did not say %q", text))
		}
	}
	if wrong != nil {
		t.Fatalf("%s\nstandard output:\n%s\nstandard error:\n%s", strings.Join(wrong, "; "), r.out, r.errors)
	}
}

// within fails the case if the program took longer.
func within(t *testing.T, r result, most time.Duration) {
	t.Helper()
	if r.took > most {
		t.Errorf("it took %s, want at most %s", r.took.Round(10*time.Millisecond), most)
	}
}
