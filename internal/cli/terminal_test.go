//go:build unix

package cli_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"github.com/c2conn/c2conn/internal/sim"
)

// screen is the program on a pseudo-terminal, seen as the text it has written.
type screen struct {
	t    *testing.T
	tty  *os.File
	cmd  *exec.Cmd
	mu   sync.Mutex
	text bytes.Buffer
	from int // what was waited for so far
	more chan struct{}
}

func (x *tenant) screen(args ...string) *screen {
	x.t.Helper()
	path, err := exec.LookPath("c2conn") // the test binary under the program's name
	if err != nil {
		x.t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), "TERM=xterm-256color", "DBUS_SESSION_BUS_ADDRESS=")
	for k, v := range x.env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: 80})
	if err != nil {
		x.t.Fatal(err)
	}
	tty = pollable(x.t, tty)
	s := &screen{t: x.t, tty: tty, cmd: cmd, more: make(chan struct{}, 1)}
	x.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = tty.Close() })
	go s.read()
	return s
}

// pollable gives a terminal whose Close takes effect although a Read is waiting:
// the pty package leaves it in blocking mode.
func pollable(t *testing.T, tty *os.File) *os.File {
	t.Helper()
	fd, err := unix.FcntlInt(tty.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err = errors.Join(err, tty.Close()); err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fd), "terminal")
}

func (s *screen) read() {
	buf := make([]byte, 4096)
	for {
		n, err := s.tty.Read(buf)
		s.mu.Lock()
		s.text.Write(buf[:n])
		s.mu.Unlock()
		select {
		case s.more <- struct{}{}:
		default:
		}
		if err != nil {
			close(s.more)
			return
		}
	}
}

// wait waits until the text has appeared since the last wait.
func (s *screen) wait(text string) {
	s.t.Helper()
	limit := time.NewTimer(30 * time.Second)
	defer limit.Stop()
	for {
		s.mu.Lock()
		now := ansi.Strip(s.text.String())
		s.mu.Unlock()
		if s.from > len(now) {
			s.from = len(now)
		}
		if i := strings.Index(now[s.from:], text); i >= 0 {
			s.from += i + len(text)
			return
		}
		select {
		case _, open := <-s.more:
			if !open {
				s.t.Fatalf("the program ended before %q appeared; it wrote:\n%s", text, now)
			}
		case <-limit.C:
			s.t.Fatalf("%q did not appear; the program wrote:\n%s", text, now)
		}
	}
}

func (s *screen) typing(keys string) {
	s.t.Helper()
	if _, err := io.WriteString(s.tty, keys); err != nil {
		s.t.Fatal(err)
	}
}

// exit waits for the end of the program and returns its code.
func (s *screen) exit() int {
	s.t.Helper()
	err := s.cmd.Wait()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		return failed.ExitCode()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return 0
}

func TestWizardOnATerminalSavesAConnection(t *testing.T) {
	t.Parallel()
	x := newTenant(t)
	s := x.screen("new", "exchange", "--client-id", x.world.ClientID, "--tenant-id", x.world.TenantDomain)
	s.wait("Where is the server?")
	s.typing("\r")
	s.wait("Microsoft cloud")
	s.typing("\r")
	s.wait("How is the application registered?")
	s.typing("\r")
	s.wait("Dedicated application account")
	s.typing(x.world.Mailbox + "\r\r\r") // the client id and the tenant are there already
	s.wait("identity with")
	s.typing("\x1b[B\r") // the second: a certificate file
	s.wait("Certificate file")
	s.typing(x.env["CERT"] + "\r")
	s.wait("Password of the certificate file")
	s.typing(sim.PFXPassword + "\r")
	s.wait("Name of the connection")
	s.typing("\r")
	s.wait("Verified")
	s.typing("f")
	s.wait("The same again, without questions")
	s.wait("--cert-password-file FILE")
	if code := s.exit(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	if _, err := os.Stat(filepath.Join(x.env["C2CONN_HOME"], "connections", "contoso-exchange.yaml")); err != nil {
		t.Error(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if strings.Contains(s.text.String(), sim.PFXPassword) {
		t.Error("the password was on the screen")
	}
}

// Where there is no keychain the passphrase is asked for on the screen, twice.
func TestPassphraseOnTheScreen(t *testing.T) {
	t.Parallel()
	x := newTenant(t)
	delete(x.env, "C2CONN_IDENTITY_FILE")
	s := x.screen("new", "exchange", "--client-id", x.world.ClientID, "--tenant-id", x.world.TenantID, "--mailbox", x.world.Mailbox,
		"--cert-file", x.env["CERT"], "--cert-password-file", x.env["PASS"])
	s.wait("Where is the server?")
	s.typing("\r\r\r\r\r\r\r\r\r")
	s.wait("Name of the connection")
	s.typing("\r")
	s.wait("Verified")
	s.typing("f")
	s.wait("Passphrase")
	s.typing("correct horse\r")
	s.wait("once more")
	s.typing("correct horse\r")
	s.wait("The same again, without questions")
	if code := s.exit(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	x.env["C2CONN_PASSPHRASE"] = "correct horse"
	if code, _, stderr := x.run(t.Context(), "verify", "--all"); code != 0 {
		t.Fatalf("exit code %d\n%s", code, stderr)
	}
}

func TestCtrlCInTheWizardSavesNothing(t *testing.T) {
	t.Parallel()
	x := newTenant(t)
	s := x.screen("new", "exchange")
	s.wait("Where is the server?")
	s.typing("\x03")
	s.wait("Nothing was saved")
	if code := s.exit(); code != 130 {
		t.Fatalf("exit code %d", code)
	}
	if _, err := os.Stat(filepath.Join(x.env["C2CONN_HOME"], "connections")); !os.IsNotExist(err) {
		t.Errorf("something was saved: %v", err)
	}
}

// A terminal that closes ends the program; nothing goes on in the background.
func TestClosedTerminalEndsTheWizard(t *testing.T) {
	t.Parallel()
	x := newTenant(t)
	s := x.screen("new", "exchange")
	s.wait("Where is the server?")
	if err := s.tty.Close(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.cmd.Wait() }()
	limit := time.NewTimer(20 * time.Second)
	defer limit.Stop()
	select {
	case <-done:
	case <-limit.C:
		_ = s.cmd.Process.Signal(syscall.SIGKILL)
		t.Fatal("the program runs on without its terminal")
	}
}

func TestAccessibleDialogueSavesAConnection(t *testing.T) {
	t.Parallel()
	x := newTenant(t)
	s := x.screen("new", "exchange", "--accessible", "--client-id", x.world.ClientID, "--tenant-id", x.world.TenantID)
	s.wait("Where is the server?")
	s.typing("\n")
	s.wait("Microsoft cloud")
	s.typing("\n")
	s.wait("registered")
	s.typing("\n")
	s.wait("Dedicated application account")
	s.typing(x.world.Mailbox + "\n")
	s.wait("Client ID")
	s.typing("\n")
	s.wait("Tenant ID or domain")
	s.typing("\n")
	s.wait("identity with")
	s.typing("3\n")
	s.wait("Client secret")
	s.typing(x.world.Secret + "\n")
	s.wait("Name of the connection")
	s.typing("\n")
	s.wait("Press Enter to configure")
	s.typing("\n")
	s.wait("What now?")
	s.typing("\n")
	s.wait("The same again, without questions")
	if code := s.exit(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	if code, out, _ := x.run(t.Context(), "list", "--output", "name"); code != 0 || out != "contoso-exchange\n" {
		t.Errorf("exit code %d, list %q", code, out)
	}
}

// A secret that is typed into a terminal is never seen there.
func TestSecretTypedOnStandardInputIsHidden(t *testing.T) {
	t.Parallel()
	x := newTenant(t)
	s := x.screen("new", "exchange", "--client-id", x.world.ClientID, "--tenant-id", x.world.TenantID, "--mailbox", x.world.Mailbox,
		"--client-secret-stdin", "--name", "it")
	s.wait("Secret (not shown)")
	s.typing(x.world.Secret + "\n")
	s.wait("The same again, without questions")
	if code := s.exit(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if strings.Contains(s.text.String(), x.world.Secret) {
		t.Error("the secret was on the screen")
	}
}
