//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	"github.com/charmbracelet/x/ansi"
	"github.com/creack/pty"
	"golang.org/x/term"
)

// beneath runs a command on a pseudo-terminal that is a few lines shorter than
// ours, and keeps the legend in the lines that are left over.
func beneath(ctx context.Context, p Process, environ, args, legend []string) error {
	in, inOK := p.Stdin.(*os.File)
	out, outOK := p.Stdout.(*os.File)
	if !inOK || !outOK || !term.IsTerminal(int(in.Fd())) || !term.IsTerminal(int(out.Fd())) {
		return errors.New("a demonstration needs a terminal; use run instead")
	}
	s := &stage{out: out, legend: legend}
	size, err := s.measure()
	if err != nil {
		return err
	}
	child := exec.CommandContext(ctx, args[0], args[1:]...)
	child.Env = environ
	tty, err := pty.StartWithSize(child, size)
	if err != nil {
		return fmt.Errorf("start %s: %w", args[0], err)
	}
	defer func() { _ = tty.Close() }()
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return errors.Join(err, child.Process.Kill(), child.Wait())
	}
	defer func() {
		s.clear()
		_ = term.Restore(int(in.Fd()), before)
	}()
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	defer signal.Stop(resized)
	go func() {
		for range resized {
			if size, err := s.measure(); err == nil {
				_ = pty.Setsize(tty, size)
				s.draw()
			}
		}
	}()
	go func() { _, _ = io.Copy(tty, in) }()
	s.draw()
	s.show(tty)
	return ended(child.Wait())
}

// stage is our terminal: the command's screen above, the legend beneath.
type stage struct {
	out    *os.File
	legend []string

	mu            sync.Mutex
	width, height int
}

// measure reads the size of our terminal and returns that of the command's.
func (s *stage) measure() (*pty.Winsize, error) {
	width, height, err := term.GetSize(int(s.out.Fd()))
	if err != nil {
		return nil, fmt.Errorf("measure the terminal: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.width, s.height = width, height
	return &pty.Winsize{Rows: uint16(max(height-len(s.legend)-1, 5)), Cols: uint16(width)}, nil //nolint:gosec // sizes of screens
}

// show copies the command's output and draws the legend again after it, but never
// in the middle of an escape sequence.
func (s *stage) show(tty io.Reader) {
	buf := make([]byte, 32<<10)
	var held []byte
	for {
		n, err := tty.Read(buf)
		held = append(held, buf[:n]...)
		whole := complete(held)
		s.write(held[:whole])
		held = append([]byte(nil), held[whole:]...)
		if err != nil { // EIO is how a pseudo-terminal ends
			s.write(held)
			return
		}
		s.draw()
	}
}

// complete is how much of b consists of whole characters and escape sequences.
func complete(b []byte) int {
	at := 0
	for at < len(b) {
		_, _, n, state := ansi.DecodeSequence(b[at:], ansi.NormalState, nil)
		if n == 0 || state != ansi.NormalState {
			return at
		}
		at += n
	}
	return at
}

func (s *stage) write(b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = s.out.Write(b)
}

// draw puts the legend into the last lines and the cursor back to where it was.
func (s *stage) draw() {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := s.height - len(s.legend)
	if first < 6 {
		return // no room
	}
	var b strings.Builder
	b.WriteString("\x1b7\x1b[0m")
	fmt.Fprintf(&b, "\x1b[%d;1H%s", first, strings.Repeat("╌", s.width))
	for i, line := range s.legend {
		fmt.Fprintf(&b, "\x1b[%d;1H\x1b[2K%s", first+1+i, ansi.Truncate(line, s.width, "…"))
	}
	b.WriteString("\x1b8")
	_, _ = io.WriteString(s.out, b.String())
}

func (s *stage) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := max(s.height-len(s.legend), 1)
	_, _ = fmt.Fprintf(s.out, "\x1b7\x1b[%d;1H\x1b[J\x1b8\r\n", first)
}
