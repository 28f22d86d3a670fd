//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package wizard

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/sim"
	"github.com/c2conn/c2conn/internal/task"
)

// TestScreenHelper is not a test: it is the program that the tests below run on a
// pseudo-terminal, this file's own test program.
func TestScreenHelper(t *testing.T) {
	role := os.Getenv("C2CONN_SCREEN_HELPER")
	if role == "" {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	s := testSession()
	if role != "empty" {
		s = answered()
	}
	o := ScreenOptions{In: os.Stdin, Out: os.Stderr, Getenv: os.Getenv, Now: time.Now}
	var ask AskPassphrase
	o.Passphrase = func(f AskPassphrase) { ask = f }
	if os.Getenv("STEP") == "details" {
		_ = s.Set(keyRegistration, byHand, FromUser, "")
	}
	if role == "simulated" {
		s = newOffice(t, sim.GlobalAdmin).session()
	}
	m := newScreen(ctx, s, o)
	if role != "simulated" {
		m.deeds = autoDeeds(found())
		m.configure = ending(fine())
	}
	if role == "slow" {
		m.configure = func(ctx context.Context, _ *Session, listen func(task.Event)) (*Outcome, error) {
			listen(task.Event{Kind: task.Started, ID: "ews"})
			<-ctx.Done()
			return nil, ctx.Err()
		}
	}
	save := m.save
	m.save = func(ctx context.Context, s *Session, out *Outcome) error {
		if role != "passphrase" {
			return save(ctx, s, out)
		}
		text, err := ask(ctx, true)
		out.Connection.Name += fmt.Sprintf(" with %d characters", len(text.Reveal()))
		return err
	}
	if step := os.Getenv("STEP"); step != "" {
		m.enter(step)
	}
	out, err := runScreen(m, o)
	code := 0
	switch {
	case errors.Is(err, ErrInputEnded):
		code = 3
	case errors.Is(err, ErrCancelled):
		code = 130
	case err != nil:
		code = 1
	default:
		fmt.Printf("saved %s\r\n", out.Connection.Name)
	}
	if file := os.Getenv("CODE_FILE"); file != "" {
		_ = os.WriteFile(file, fmt.Appendf(nil, "%d", code), 0o600)
	}
	os.Exit(code)
}

func TestWizardOnATerminal(t *testing.T) {
	t.Parallel()
	s := startTerminal(t, "empty", 80, 24)
	s.sees("Where is the server?", "(•) Microsoft 365 (Exchange Online)", "enter next")
	s.send("\r\r")
	s.sees("(•) Automatic registration")
	s.send("\x1b[B")
	s.sees("(•) Manual registration")
	s.send("\r")
	s.sees("Dedicated application account")
	s.send("admin@contoso.com\r" + testClientID + "\r")
	s.send("\x1b[200~contoso.com\n\x1b[201~\r")
	s.sees("→ "+testTenantID+" (found)", "ctrl+o import")
	s.send("\x1b[B\x1b[B\r\x1b[200~abc~defghijklmnopqrstuvwxyz\x1b[201~")
	s.sees("› **************************")
	s.send("\r")
	s.sees("Name of the connection", "contoso-exchange", "waiting")
	s.send("\r")
	s.sees("Verified: 9 ok")
	s.send("f")
	if code := s.exit(patience); code != 0 {
		t.Errorf("exit code %d", code)
	}
	s.sees("saved contoso-exchange")
	if raw := s.output(); strings.Contains(raw, "defghij") {
		t.Error("the secret was written to the terminal")
	}
}

// TestRegistrationOnATerminal registers in the simulated tenant, signing in with a
// simulated browser.
func TestRegistrationOnATerminal(t *testing.T) {
	t.Parallel()
	s := startTerminal(t, "simulated", 80, 24, "TMPDIR="+t.TempDir())
	s.sees("Where is the server?")
	s.send("\r\r")
	s.sees("(•) Automatic registration")
	s.send("\r")
	s.sees("How do you sign in?")
	s.send("\r\r")
	s.sees("Signed in; nothing is changed yet", "Global Administrator")
	s.send("\r")
	s.sees("Name of the application")
	s.send("\r\r\r\r")
	s.sees("Changes, in this order:", "Nothing has been changed so far.")
	s.send("\x1b[F")
	s.sees("User.Read.All")
	s.send("\r")
	s.sees("Configure carries out the plan, then runs 9 checks.")
	s.send("\r")
	s.sees("Verified: 14 ok")
	s.send("f")
	if code := s.exit(patience); code != 0 {
		t.Errorf("exit code %d", code)
	}
	s.sees("saved contoso-exchange")
}

func TestCtrlCOnATerminal(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"location", "registration", "details", ConfigurationStep, "running", "question", "help"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			at := step
			switch step {
			case "running":
				at = ConfigurationStep
			case "question", "help":
				at = "location"
			}
			s := startTerminal(t, "slow", 80, 24, "STEP="+at)
			s.sees("ctrl+c cancel")
			switch step {
			case "running":
				s.send("\r")
				s.sees("running")
			case "question":
				s.send("\x1b")
				s.sees("Leave without saving?")
			case "help":
				s.send("?")
				s.sees("Help ·")
			}
			s.send("\x03")
			if code := s.exit(patience); code != 130 {
				t.Errorf("exit code %d", code)
			}
		})
	}
}

// TestCtrlVOnATerminal pastes from a clipboard, which is read by another program.
func TestCtrlVOnATerminal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"xclip", "pbpaste"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\nprintf 'clip@contoso.com'\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s := startTerminal(t, "empty", 80, 24, "STEP=details", "PATH="+dir+":/usr/bin:/bin")
	s.sees("Dedicated application account")
	s.send("\x16")
	s.sees("› clip@contoso.com")
	s.send("\r")
	s.until("the client id to be asked for", func(screen string) bool { return strings.Contains(screen, "› e.g. 00000000") })
	s.send("\x03")
	s.exit(patience)
	if strings.Contains(s.output(), "comclip") {
		t.Error("pasted twice")
	}
}

func TestPassphraseOnATerminal(t *testing.T) {
	t.Parallel()
	for keys, want := range map[string]string{
		"four words\rfour words\r": "saved contoso-exchange with 10 characters",
		"\x1b":                     "Not saved: No passphrase was given.",
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			s := startTerminal(t, "passphrase", 80, 24, "STEP=configuration")
			s.sees("enter Configure")
			s.send("\r")
			s.sees("Verified")
			s.send("f")
			s.sees("Choose a passphrase")
			s.send(keys)
			s.sees(want)
			s.send("\x03")
			s.exit(patience)
		})
	}
}

func TestStoppedFromOutside(t *testing.T) {
	t.Parallel()
	s := startTerminal(t, "slow", 80, 24, "STEP=configuration")
	s.sees("ctrl+c cancel")
	s.send("\r")
	s.sees("running")
	began := time.Now()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := s.exit(patience); code != 130 {
		t.Errorf("exit code %d", code)
	}
	t.Logf("ended %v after the signal", time.Since(began))
}

func TestTerminalGoesAway(t *testing.T) {
	t.Parallel()
	code := t.TempDir() + "/code"
	s := startTerminal(t, "slow", 80, 24, "STEP=details", "CODE_FILE="+code)
	s.sees("ctrl+c cancel")
	_ = s.slave.Close()
	_ = s.master.Close()
	select {
	case <-s.ended:
	case <-time.After(patience):
		t.Fatal("still running without a terminal")
	}
	if got, _ := os.ReadFile(code); string(got) != "3" && string(got) != "130" {
		t.Errorf("ended with %q", got)
	}
}

func TestResizeStorm(t *testing.T) {
	t.Parallel()
	s := startTerminal(t, "slow", 80, 24, "STEP=details")
	s.sees("Dedicated application account")
	for i := range 60 {
		s.resize(20+i*37%110, 4+i*13%40)
		s.send("\t")
	}
	s.resize(40, 10)
	s.sees("Application details        step 3 of 4", "ctrl+c")
	s.resize(100, 30)
	s.sees("● Application details", "ctrl+c cancel")
	s.send("\x03")
	if code := s.exit(patience); code != 130 {
		t.Errorf("exit code %d", code)
	}
}

func TestNoColour(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{"NO_COLOR": false, "COLORTERM": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startTerminal(t, "slow", 80, 24, name+"=1")
			s.sees("Where is the server?", "ctrl+c cancel")
			s.send("\x03")
			s.exit(patience)
			if got := regexp.MustCompile(`\x1b\[[0-9;]*\b36\b[0-9;]*m`).MatchString(s.output()); got != want {
				t.Errorf("colours on the screen: %v, want %v: %q", got, want, s.output())
			}
		})
	}
}
