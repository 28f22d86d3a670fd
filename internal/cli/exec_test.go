//go:build linux

package cli_test

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/c2conn/c2conn/internal/sim"
)

// running is `c2conn exec` in a process group of its own, whose command has told its
// number and where the certificate is.
type running struct {
	t     *testing.T
	cmd   *exec.Cmd
	child int
	file  string
	input *os.File
	out   *bufio.Reader
	errs  string // file of standard error
	done  chan struct{}
	code  int
}

func (x *tenant) program(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Args = append([]string{"c2conn"}, args...)
	cmd.Env = append(os.Environ(), "DBUS_SESSION_BUS_ADDRESS=", "C2CONN_PASSPHRASE=own-passphrase", "XDG_RUNTIME_DIR=")
	for k, v := range x.env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	return cmd
}

// execute runs a command that says that it is ready, and then does what the script says.
func (x *tenant) execute(t *testing.T, script string, change func(*exec.Cmd)) *running {
	t.Helper()
	cmd := x.program("exec", "it", "--", "sh", "-c", `trap 'exit 3' USR1; echo $$ "$AZURE_CLIENT_CERTIFICATE_PATH"; `+script)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// A place of its own: else another run sweeps what this one leaves.
	place := filepath.Join(t.TempDir(), "runtime")
	if err := os.Mkdir(place, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(cmd.Env, "XDG_RUNTIME_DIR="+place)
	r := &running{t: t, cmd: cmd, done: make(chan struct{})}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	// Files: what outlives c2conn keeps a pipe open, and Wait would wait for it.
	errs, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer errs.Close()
	r.errs = errs.Name()
	in, input, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.input = input
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, write, errs
	if change != nil {
		change(cmd)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_, _ = in.Close(), write.Close()
	r.out = bufio.NewReader(read)
	go func() {
		_ = cmd.Wait()
		state := cmd.ProcessState.Sys().(syscall.WaitStatus)
		if r.code = state.ExitStatus(); state.Signaled() {
			r.code = -int(state.Signal())
		}
		close(r.done)
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-r.done
		_, _ = read.Close(), input.Close()
	})
	line, err := r.out.ReadString('\n')
	if _, e := fmt.Sscan(line, &r.child, &r.file); err != nil || e != nil {
		t.Fatalf("the command said %q: %v, %v\n%s", line, err, e, r.said())
	}
	if info, err := os.Stat(r.file); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the certificate's file: %v, %v", info, err)
	}
	if info, err := os.Stat(filepath.Dir(r.file)); err != nil || info.Mode().Perm() != 0o700 {
		t.Fatalf("its folder: %v, %v", info, err)
	}
	return r
}

func (r *running) said() string {
	data, _ := os.ReadFile(r.errs)
	return string(data)
}

// until polls, for what other processes do.
func until(t *testing.T, what string, happened func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	limit := time.NewTimer(20 * time.Second)
	defer limit.Stop()
	for !happened() {
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func (r *running) wantGone() {
	r.t.Helper()
	until(r.t, "the folder of the certificate is removed", func() bool {
		_, err := os.Lstat(filepath.Dir(r.file))
		return errors.Is(err, os.ErrNotExist)
	})
}

func (r *running) wantCode(code int) {
	r.t.Helper()
	select {
	case <-r.done:
	case <-time.After(20 * time.Second):
		r.t.Fatal("c2conn exec did not end")
	}
	if r.code != code {
		r.t.Errorf("exit code %d, want %d (negative: ended by that signal)\n%s", r.code, code, r.said())
	}
}

// watcher is the process that watches over the folder.
func (r *running) watcher() int {
	r.t.Helper()
	found := 0
	until(r.t, "the watcher is there", func() bool {
		files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, name := range files {
			line, _ := os.ReadFile(name)
			if bytes.HasSuffix(line, []byte("__watch\x00"+filepath.Dir(r.file)+"\x00")) {
				found, _ = strconv.Atoi(filepath.Base(filepath.Dir(name)))
			}
		}
		return found != 0
	})
	return found
}

func send(t *testing.T, pid int, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, s); err != nil {
		t.Fatal(err)
	}
}

// However c2conn and its command end, the certificate's file is gone afterwards.
func TestExecLeavesNothing(t *testing.T) {
	t.Parallel()
	x := newTenant(t)
	x.keepTwo()
	const wait = "while :; do sleep 0.01; done"
	for _, test := range []struct {
		name, script string
		end          func(*running)
		code         int
	}{
		{"it ends by itself", "read x; exit 7", func(r *running) { _ = r.input.Close() }, 7},
		{"kill -9 c2conn", wait, func(r *running) { send(t, r.cmd.Process.Pid, syscall.SIGKILL) }, -9},
		{"kill -9 the command", wait, func(r *running) { send(t, r.child, syscall.SIGKILL) }, 137},
		{"kill -9 both", wait, func(r *running) { send(t, -r.cmd.Process.Pid, syscall.SIGKILL) }, -9},
		{"kill -9 both while stopped", wait, func(r *running) {
			send(t, -r.cmd.Process.Pid, syscall.SIGSTOP)
			send(t, -r.cmd.Process.Pid, syscall.SIGKILL)
		}, -9},
		{"SIGTERM", "exec sleep 100", func(r *running) { send(t, r.cmd.Process.Pid, syscall.SIGTERM) }, 143},
		{"SIGHUP", "exec sleep 100", func(r *running) { send(t, r.cmd.Process.Pid, syscall.SIGHUP) }, 129},
		{"SIGINT", "exec sleep 100", func(r *running) { send(t, r.cmd.Process.Pid, syscall.SIGINT) }, 130},
		{"SIGTERM for all", "exec sleep 100", func(r *running) { send(t, -r.cmd.Process.Pid, syscall.SIGTERM) }, 143},
		{"the command has its own answer to a signal", wait, func(r *running) { send(t, r.cmd.Process.Pid, syscall.SIGUSR1) }, 3},
		{"the watcher is asked to end, then kill -9", wait, func(r *running) {
			w := r.watcher()
			until(t, "the watcher ignores signals", func() bool { return ignores(w, syscall.SIGTERM) })
			send(t, w, syscall.SIGTERM)
			send(t, w, syscall.SIGHUP)
			send(t, w, syscall.SIGINT)
			send(t, r.cmd.Process.Pid, syscall.SIGKILL)
		}, -9},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := x.execute(t, test.script, nil)
			test.end(r)
			r.wantCode(test.code)
			r.wantGone()
		})
	}
}

// ignores reads from /proc whether a process ignores a signal.
func ignores(pid int, s syscall.Signal) bool {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, rest, _ := strings.Cut(string(status), "SigIgn:\t")
	mask, err := strconv.ParseUint(rest[:min(16, len(rest))], 16, 64)
	return err == nil && mask&(1<<(uint(s)-1)) != 0
}

// Killing c2conn and its watcher at once is what a power cut does; the next exec
// removes what is left.
func TestExecSweepsWhatAPowerCutLeft(t *testing.T) {
	t.Parallel()
	x := newTenant(t)
	x.keepTwo()
	together := func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, "XDG_RUNTIME_DIR=") }
	first, other := x.execute(t, "exec sleep 100", together), x.execute(t, "exec sleep 100", together)
	if first.file == other.file {
		t.Fatal("two runs share a file")
	}
	w := first.watcher()
	send(t, first.cmd.Process.Pid, syscall.SIGSTOP)
	send(t, w, syscall.SIGKILL)
	send(t, first.cmd.Process.Pid, syscall.SIGKILL)
	first.wantCode(-9)
	if _, err := os.Stat(first.file); err != nil {
		t.Fatalf("nobody could have removed it: %v", err)
	}
	third := x.execute(t, "read x; exit 0", together)
	_ = third.input.Close()
	third.wantCode(0)
	first.wantGone()
	if _, err := os.Stat(other.file); err != nil {
		t.Errorf("the file of a run that goes on: %v", err)
	}
	send(t, other.child, syscall.SIGTERM)
	other.wantCode(143)
	other.wantGone()
}

// What the command, the watcher and their onlookers can see.
func TestExecShowsNoSecret(t *testing.T) {
	t.Parallel()
	x := newTenant(t)
	x.keepTwo()
	extra, err := os.Open(x.env["SECRET"])
	if err != nil {
		t.Fatal(err)
	}
	defer extra.Close()
	r := x.execute(t, "exec sleep 100", func(cmd *exec.Cmd) { cmd.ExtraFiles = []*os.File{extra} })
	key, err := os.ReadFile(r.file)
	if err != nil || !bytes.Contains(key, []byte("PRIVATE KEY")) {
		t.Fatalf("%v", err)
	}
	secrets := [][]byte{key[100:140], []byte(sim.PFXPassword), []byte(x.world.Secret), []byte("own-passphrase")}
	read := func(pid int, name string) []byte {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	watcher := r.watcher()
	for _, pid := range []int{r.cmd.Process.Pid, r.child, watcher} {
		for _, secret := range secrets {
			if bytes.Contains(read(pid, "cmdline"), secret) {
				t.Errorf("a secret is in the arguments of %d", pid)
			}
			if pid == r.child && bytes.Contains(read(pid, "environ"), secret) {
				t.Error("the command has a secret that is not its own")
			}
		}
	}
	if environ := read(watcher, "environ"); len(environ) != 0 {
		t.Errorf("the watcher has an environment: %q", environ)
	}
	// It holds the pipe and nothing of whoever started us.
	until(t, "the watcher lets go of what it inherited", func() bool {
		links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", watcher))
		return err == nil && !slices.ContainsFunc(links, func(link string) bool {
			to, _ := os.Readlink(link)
			return to == x.env["SECRET"] || filepath.Base(link) != "0" && strings.HasPrefix(to, "pipe:")
		})
	})
	// The command got it.
	if to, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/3", r.child)); err != nil || to != x.env["SECRET"] {
		t.Errorf("the command's descriptor 3: %s, %v", to, err)
	}
	send(t, r.child, syscall.SIGTERM)
	r.wantCode(143)
	r.wantGone()
	until(t, "the watcher ends", func() bool { return errors.Is(syscall.Kill(watcher, 0), syscall.ESRCH) })
}

// In a terminal Ctrl-C comes to the command once, and the end of the terminal ends both.
func TestExecInATerminal(t *testing.T) {
	t.Parallel()
	x := newTenant(t)
	x.keepTwo()
	// INT counts; after the first, a second may come for a while.
	script := `n=0; trap 'n=$((n+1)); echo caught $n' INT; trap 'exit 9' USR1; echo "at $AZURE_CLIENT_CERTIFICATE_PATH $$ ."; while :; do sleep 0.02; done`
	for _, end := range []string{"a signal", "hang-up"} {
		t.Run(end, func(t *testing.T) {
			t.Parallel()
			cmd := x.program("exec", "it", "--", "sh", "-c", script)
			tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: 200})
			if err != nil {
				t.Fatal(err)
			}
			tty = pollable(t, tty)
			var mu sync.Mutex
			var text bytes.Buffer
			go func() {
				_, _ = io.Copy(writerFunc(func(p []byte) (int, error) {
					mu.Lock()
					defer mu.Unlock()
					return text.Write(p)
				}), tty)
			}()
			said := func() string { mu.Lock(); defer mu.Unlock(); return text.String() }
			until(t, "the command is ready", func() bool { return strings.Contains(said(), " .") })
			var file string
			var child int
			_, rest, _ := strings.Cut(said(), "at ")
			if _, err := fmt.Sscan(rest, &file, &child); err != nil {
				t.Fatalf("%v: %s", err, said())
			}
			for i := range 3 {
				if _, err := tty.Write([]byte{3}); err != nil {
					t.Fatal(err)
				}
				until(t, "the command hears Ctrl-C", func() bool { return strings.Contains(said(), fmt.Sprintf("caught %d", i+1)) })
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("after a Ctrl-C that the command took: %v", err)
			}
			want := 9
			if end == "hang-up" {
				want = 129
				_ = tty.Close()
			} else {
				send(t, child, syscall.SIGUSR1)
			}
			_ = cmd.Wait()
			if got := cmd.ProcessState.ExitCode(); got != want {
				t.Errorf("exit code %d, want %d: %s", got, want, said())
			}
			if strings.Contains(said(), "caught 4") {
				t.Errorf("a Ctrl-C came twice: %s", said())
			}
			if _, err := os.Lstat(filepath.Dir(file)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("its folder: %v", cmp.Or(err, errors.New("is still there")))
			}
			_ = tty.Close()
		})
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
