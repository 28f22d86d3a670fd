package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestKilledWhileSaving kills c2conn (kill -9) as soon as it has put a file into place,
// at every one of a rotation: a journal, a key, a profile.
func TestKilledWhileSaving(t *testing.T) {
	t.Parallel()
	for _, kind := range rotatingKinds() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			x := newRotating(t, kind)
			x.dirty = true // a secret is kept before anything can refer to it; Store.Orphans knows it
			if err := os.MkdirAll(filepath.Join(x.home, "registrations", "rotations"), 0o700); err != nil {
				t.Fatal(err)
			}
			step, kills := envInt("C2CONN_KILL_STEP", 3), 0
			for at := 1; !t.Failed(); at += step {
				files := watchFiles(t, x.home)
				cmd := x.rotate("--grace", "0")
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				name, done := files.kill(at, cmd.Process)
				err := cmd.Wait()
				files.close()
				<-done
				if !wasKilled(cmd) {
					if err != nil {
						t.Errorf("file %d: %v\n%s", at, err, cmd.Stderr)
					}
					break
				}
				kills++
				x.afterKill(fmt.Sprintf("file %d (%s)", at, *name), false)
			}
			if kills == 0 {
				t.Error("nothing was saved")
			}
			t.Logf("rotating %s: killed %d times, at every %d. file put into place; the connection worked each time", kind, kills, step)
		})
	}
}

// fileWatch sees files that are moved into place or removed.
type fileWatch struct {
	t    *testing.T
	file *os.File
}

func watchFiles(t *testing.T, home string) *fileWatch {
	t.Helper()
	fd, err := syscall.InotifyInit1(syscall.IN_CLOEXEC | syscall.IN_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	w := &fileWatch{t: t, file: os.NewFile(uintptr(fd), "inotify")}
	for _, dir := range []string{"registrations/rotations", "connections", "certificates", "secrets"} {
		if err := os.MkdirAll(filepath.Join(home, dir), 0o700); err != nil {
			t.Fatal(err)
		}
		if _, err := syscall.InotifyAddWatch(fd, filepath.Join(home, dir), syscall.IN_MOVED_TO|syscall.IN_DELETE); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// kill kills the process at the event of that number.
func (w *fileWatch) kill(at int, p *os.Process) (name *string, done chan struct{}) {
	name, done = new(string), make(chan struct{})
	go func() {
		defer close(done)
		buffer := make([]byte, 64<<10)
		for seen := 0; ; {
			n, err := w.file.Read(buffer)
			if err != nil {
				return // closed
			}
			for b := buffer[:n]; len(b) >= syscall.SizeofInotifyEvent; {
				length := int(b[12]) | int(b[13])<<8
				text := b[syscall.SizeofInotifyEvent : syscall.SizeofInotifyEvent+length]
				b = b[syscall.SizeofInotifyEvent+length:]
				if seen++; seen == at {
					_ = p.Kill()
					*name = string(text)
				}
			}
		}
	}()
	return name, done
}

func (w *fileWatch) close() { _ = w.file.Close() }
