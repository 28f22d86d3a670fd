//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package wizard

import (
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// patience is how long a pseudo-terminal test waits for what must come.
const patience = 20 * time.Second

// terminal runs a program on a pseudo-terminal and keeps the screen that a user
// would see. It never answers a question of the program's.
type terminal struct {
	t      *testing.T
	cmd    *exec.Cmd
	master *os.File
	slave  *os.File
	before *unix.Termios
	ended  chan error

	mu   sync.Mutex
	news chan struct{}
	raw  strings.Builder
	vt   *vt
}

// startTerminal runs the test program's own helper with the given role.
func startTerminal(t *testing.T, role string, w, h int, env ...string) *terminal {
	t.Helper()
	opened, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	if err := pty.Setsize(opened, &pty.Winsize{Rows: uint16(h), Cols: uint16(w)}); err != nil {
		t.Fatal(err)
	}
	// A descriptor that does not block can be closed while it is being read.
	fd, err := unix.FcntlInt(opened.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		t.Fatal(err)
	}
	master := os.NewFile(uintptr(fd), "pty")
	_ = opened.Close()
	s := &terminal{t: t, master: master, slave: slave, vt: newVT(w, h), news: make(chan struct{}, 1), ended: make(chan error, 1)}
	s.before = s.modes()
	s.cmd = exec.Command(os.Args[0], "-test.run=^TestScreenHelper$")
	s.cmd.Env = append([]string{"C2CONN_SCREEN_HELPER=" + role, "TERM=xterm-256color", "PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "GORACE=" + os.Getenv("GORACE")}, env...)
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = slave, slave, slave
	s.cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: true}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go s.read()
	go func() { s.ended <- s.cmd.Wait() }()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		_ = slave.Close()
		_ = master.Close()
	})
	return s
}

func (s *terminal) modes() *unix.Termios {
	s.t.Helper()
	modes, err := unix.IoctlGetTermios(int(s.slave.Fd()), getTermios)
	if err != nil {
		s.t.Fatal(err)
	}
	return modes
}

func (s *terminal) read() {
	buf := make([]byte, 8192)
	for {
		n, err := s.master.Read(buf)
		s.mu.Lock()
		s.raw.Write(buf[:n])
		s.vt.write(string(buf[:n]))
		s.mu.Unlock()
		select {
		case s.news <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// until waits until the screen satisfies what.
func (s *terminal) until(what string, ok func(screen string) bool) {
	s.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		s.mu.Lock()
		screen := s.vt.text()
		done := ok(screen)
		s.mu.Unlock()
		if done {
			return
		}
		select {
		case <-s.news:
		case <-deadline.C:
			s.t.Fatalf("waited in vain for %s:\n%s", what, screen)
		}
	}
}

// output is everything that the program has written.
func (s *terminal) output() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.raw.String()
}

// sees waits until all of parts are on the screen.
func (s *terminal) sees(parts ...string) {
	s.t.Helper()
	for _, part := range parts {
		s.until("\""+part+"\"", func(screen string) bool { return strings.Contains(screen, part) })
	}
}

func (s *terminal) send(keys string) {
	s.t.Helper()
	if _, err := s.master.WriteString(keys); err != nil {
		s.t.Fatal(err)
	}
}

func (s *terminal) resize(w, h int) {
	s.t.Helper()
	s.mu.Lock()
	s.vt.resize(w, h)
	s.mu.Unlock()
	if err := pty.Setsize(s.slave, &pty.Winsize{Rows: uint16(h), Cols: uint16(w)}); err != nil {
		s.t.Fatal(err)
	}
}

// exit waits for the end of the program, which must come within limit, and checks
// that the terminal is as it was before.
func (s *terminal) exit(limit time.Duration) int {
	s.t.Helper()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-s.ended:
	case <-timer.C:
		s.mu.Lock()
		defer s.mu.Unlock()
		s.t.Fatalf("still running after %v:\n%s", limit, s.vt.text())
	}
	s.until("the end of the alternate screen", func(string) bool { return !s.vt.alternate && s.vt.cursor && !s.vt.paste })
	if after := s.modes(); *after != *s.before {
		s.t.Errorf("the terminal's modes are not as before:\n%+v\n%+v", *s.before, *after)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, query := range []string{"\x1b[c", "\x1b[6n", "\x1b]10;?", "\x1b]11;?", "\x1b[?u", "$p", "\x1b[>q", "\x1bP"} {
		if strings.Contains(s.raw.String(), query) {
			s.t.Errorf("the terminal was asked %q", query)
		}
	}
	return s.cmd.ProcessState.ExitCode()
}

// vt is as much of a terminal as the renderer needs.
type vt struct {
	w, h      int
	x, y      int
	top       int // scroll margins, bottom excluded
	bottom    int
	cells     [][]string
	last      string
	alternate bool
	cursor    bool
	paste     bool
	rest      string
	parser    *ansi.Parser
}

func newVT(w, h int) *vt {
	v := &vt{cursor: true, parser: ansi.NewParser()}
	v.resize(w, h)
	return v
}

func (v *vt) resize(w, h int) {
	cells := make([][]string, h)
	for y := range cells {
		cells[y] = make([]string, w)
		for x := range cells[y] {
			cells[y][x] = " "
			if y < v.h && x < v.w {
				cells[y][x] = v.cells[y][x]
			}
		}
	}
	v.w, v.h, v.cells, v.top, v.bottom = w, h, cells, 0, h
	v.x, v.y = min(v.x, w-1), min(v.y, h-1)
}

func (v *vt) text() string {
	lines := make([]string, v.h)
	for y, row := range v.cells {
		lines[y] = strings.TrimRight(strings.Join(row, ""), " ")
	}
	return strings.Join(lines, "\n")
}

func (v *vt) write(s string) {
	s = v.rest + s
	v.rest = ""
	for len(s) > 0 {
		seq, width, n, state := ansi.DecodeSequence(s, ansi.NormalState, v.parser)
		if state != ansi.NormalState || n == 0 {
			v.rest = s // cut off in the middle
			return
		}
		s = s[n:]
		switch {
		case width > 0:
			v.put(seq, width)
		case ansi.HasCsiPrefix(seq):
			v.csi()
		case seq == "\r":
			v.x = 0
		case seq == "\n":
			v.down()
		case seq == "\b":
			v.x = max(v.x-1, 0)
		case seq == "\t":
			v.x = min((v.x/8+1)*8, v.w-1)
		case seq == "\x1bM":
			if v.y == v.top {
				v.scroll(v.top, -1)
			} else {
				v.y = max(v.y-1, 0)
			}
		}
	}
}

func (v *vt) put(s string, width int) {
	if v.x+width > v.w {
		v.x = 0
		v.down()
	}
	if v.y < v.h && v.x < v.w {
		v.cells[v.y][v.x] = s
		for i := 1; i < width && v.x+i < v.w; i++ {
			v.cells[v.y][v.x+i] = ""
		}
	}
	v.last = s
	v.x += width
}

func (v *vt) down() {
	if v.y == v.bottom-1 {
		v.scroll(v.top, 1)
	} else {
		v.y = min(v.y+1, v.h-1)
	}
}

func (v *vt) blank(y, from, to int) {
	for x := max(from, 0); x < min(to, v.w); x++ {
		v.cells[y][x] = " "
	}
}

func (v *vt) csi() {
	cmd := v.parser.Command()
	n := func(i, standard int) int {
		p, ok := v.parser.Param(i, standard)
		if !ok || p == 0 && standard != 0 {
			return standard
		}
		return p
	}
	if byte(cmd>>8) != 0 {
		if byte(cmd>>8) == '?' {
			v.mode(n(0, 0), byte(cmd) == 'h')
		}
		return
	}
	switch byte(cmd) {
	case 'A':
		v.y = max(v.y-n(0, 1), 0)
	case 'B', 'e':
		v.y = min(v.y+n(0, 1), v.h-1)
	case 'C', 'a':
		v.x = min(v.x+n(0, 1), v.w-1)
	case 'D':
		v.x = max(min(v.x, v.w-1)-n(0, 1), 0)
	case 'G', '`':
		v.x = min(n(0, 1)-1, v.w-1)
	case 'd':
		v.y = min(n(0, 1)-1, v.h-1)
	case 'H', 'f':
		v.y, v.x = min(n(0, 1)-1, v.h-1), min(n(1, 1)-1, v.w-1)
	case 'I':
		for range n(0, 1) {
			v.x = min((v.x/8+1)*8, v.w-1)
		}
	case 'Z':
		for range n(0, 1) {
			v.x = max((v.x-1)/8*8, 0)
		}
	case 'K':
		from, to := v.x, v.w
		if n(0, 0) == 1 {
			from, to = 0, v.x+1
		} else if n(0, 0) == 2 {
			from = 0
		}
		v.blank(v.y, from, to)
	case 'J':
		from := v.y + 1
		if n(0, 0) == 2 {
			from = 0
		} else {
			v.blank(v.y, v.x, v.w)
		}
		for y := from; y < v.h; y++ {
			v.blank(y, 0, v.w)
		}
	case 'X':
		v.blank(v.y, v.x, v.x+n(0, 1))
	case 'b':
		for range n(0, 1) {
			v.put(v.last, 1)
		}
	case 'P':
		row := append(append([]string{}, v.cells[v.y][:v.x]...), v.cells[v.y][min(v.x+n(0, 1), v.w):]...)
		v.setRow(row)
	case '@':
		row := append(append(append([]string{}, v.cells[v.y][:v.x]...), make([]string, n(0, 1))...), v.cells[v.y][v.x:]...)
		for i := range n(0, 1) {
			row[v.x+i] = " "
		}
		v.setRow(row)
	case 'r':
		// Margins for the window as it was before a resize are no margins.
		if top, bottom := n(0, 1)-1, min(n(1, v.h), v.h); top < bottom {
			v.top, v.bottom = top, bottom
			v.x, v.y = 0, 0
		}
	case 'L':
		v.scroll(v.y, -n(0, 1))
	case 'M':
		v.scroll(v.y, n(0, 1))
	case 'S':
		v.scroll(v.top, n(0, 1))
	case 'T':
		v.scroll(v.top, -n(0, 1))
	}
}

// scroll moves the lines from top to the bottom margin up by n, down when n < 0.
func (v *vt) scroll(top, n int) {
	if top < v.top || top >= v.bottom {
		return
	}
	old := append([][]string{}, v.cells[top:v.bottom]...)
	for i := range old {
		line := make([]string, v.w)
		if from := i + n; from >= 0 && from < len(old) {
			copy(line, old[from])
		} else {
			for x := range line {
				line[x] = " "
			}
		}
		v.cells[top+i] = line
	}
}

func (v *vt) setRow(row []string) {
	for x := range v.cells[v.y] {
		v.cells[v.y][x] = " "
		if x < len(row) {
			v.cells[v.y][x] = row[x]
		}
	}
}

func (v *vt) mode(mode int, on bool) {
	switch mode {
	case 1049:
		v.alternate = on
		for y := range v.cells {
			v.blank(y, 0, v.w)
		}
	case 25:
		v.cursor = on
	case 2004:
		v.paste = on
	}
}
