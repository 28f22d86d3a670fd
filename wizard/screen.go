package wizard

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/c2conn/c2conn/connections"
)

// ErrCancelled is returned when the user left a dialogue before its end. Nothing
// has been saved then.
var ErrCancelled = errors.New("cancelled")

// ErrInputEnded is returned when the input ended before the dialogue did. It is
// an ErrCancelled too.
var ErrInputEnded = fmt.Errorf("%w: the input ended before the last question was answered", ErrCancelled)

// AskPassphrase asks the user for the passphrase of the store's secrets, twice if
// confirm is set. It returns ErrCancelled when the user declines.
type AskPassphrase func(ctx context.Context, confirm bool) (connections.Secret, error)

// ScreenOptions are what the screen needs of the world.
type ScreenOptions struct {
	In     io.Reader // the terminal's keyboard, an *os.File
	Out    io.Writer // the terminal, by custom standard error
	Getenv func(name string) string
	Copy   func(text string) error // to the clipboard; nil when there is none
	Now    func() time.Time        // nil: the session's clock
	Dark   *bool                   // whether the background is dark; nil: unknown

	// ReadDir lists a folder to complete a path in; nil: the computer's own.
	ReadDir func(path string) ([]fs.DirEntry, error)
	// Passphrase, unless nil, is called before the first question with the function
	// by which a passphrase can be asked for on the screen, and with nil once the
	// screen is gone: a prompt of another's would be lost on it.
	Passphrase func(ask AskPassphrase)
}

// quitGrace is how long background work may take to notice that it was cancelled.
const quitGrace = 700 * time.Millisecond

// RunScreen leads the user through the session on the whole terminal and saves
// the connection through s.Save when the user finishes. It returns ErrCancelled
// on Ctrl-C, when ctx ends and when the user confirms leaving; ErrInputEnded when
// the terminal is gone; either inside a *HalfwayError when a registration was begun
// that stays in the tenant. The terminal is as before when it returns.
func RunScreen(ctx context.Context, s *Session, o ScreenOptions) (*Outcome, error) {
	return runScreen(newScreen(ctx, s, o), o)
}

func runScreen(m *screen, o ScreenOptions) (*Outcome, error) {
	defer m.cancel()
	program := newProgram(m, o, m.w, m.h)
	m.send = program.Send
	stop := context.AfterFunc(m.ctx, func() { program.Send(leaveMsg{ErrCancelled}) })
	defer stop()
	if o.Passphrase != nil {
		o.Passphrase(m.askPassphrase)
		defer o.Passphrase(nil)
	}
	_, err := program.Run()
	m.cancel()
	m.work.settle(quitGrace)
	saved := m.saved.Load()
	switch {
	case saved != nil:
		return saved, nil
	case m.err != nil:
		return nil, m.s.left(m.err)
	case err != nil:
		return nil, m.s.left(fmt.Errorf("the screen broke off: %w", err))
	}
	return nil, m.s.left(ErrCancelled)
}

// newProgram makes a program of a model, w by h cells large where the output is no
// terminal. A terminal that goes away is a leaveMsg.
func newProgram(m tea.Model, o ScreenOptions, w, h int) (program *tea.Program) {
	in, out := o.In, o.Out
	if f, ok := in.(*os.File); ok {
		in = &watchedInput{File: f, ended: func() { program.Send(leaveMsg{ErrInputEnded}) }}
	}
	options := []tea.ProgramOption{tea.WithoutSignalHandler(), tea.WithEnvironment(terminalEnv(o.Getenv))}
	if f, ok := out.(*os.File); ok {
		out = quietOutput{f}
	} else {
		options = append(options, tea.WithWindowSize(w, h))
	}
	program = tea.NewProgram(m, append(options, tea.WithInput(in), tea.WithOutput(out))...)
	return program
}

// watchedInput tells when the terminal has gone: bubbletea goes on without input
// and would never end.
type watchedInput struct {
	*os.File
	once  sync.Once
	ended func()
}

func (w *watchedInput) Read(p []byte) (int, error) {
	n, err := w.File.Read(p)
	if err != nil && n == 0 {
		w.once.Do(func() { go w.ended() })
		return 0, io.EOF
	}
	return n, err
}

// quietOutput drops bubbletea's questions to the terminal. Nothing here depends on
// the answers, and one that comes late would be typed into the user's shell.
type quietOutput struct{ *os.File }

func (q quietOutput) Write(p []byte) (int, error) {
	quiet := p
	for _, query := range []string{"\x1b[?u", "\x1b[?2026$p", "\x1b[?2027$p"} {
		quiet = bytes.ReplaceAll(quiet, []byte(query), nil)
	}
	if _, err := q.File.Write(quiet); err != nil {
		return 0, err
	}
	return len(p), nil
}

// terminalEnv passes on the variables by which the terminal's colours are told.
func terminalEnv(getenv func(string) string) []string {
	env := []string{}
	if getenv == nil {
		return env
	}
	for _, name := range []string{"TERM", "COLORTERM", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "TMUX", "STY", "WT_SESSION", "ConEmuANSI"} {
		if v := getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// newScreen makes the model with everything that comes from outside.
func newScreen(ctx context.Context, s *Session, o ScreenOptions) *screen {
	ctx, cancel := context.WithCancel(ctx)
	m := &screen{
		ctx: ctx, cancel: cancel, s: s, th: newTheme(o.Dark),
		now: o.Now, copyText: o.Copy, readDir: o.ReadDir, quit: func() tea.Cmd { return tea.Quit },
		w: 80, h: 24,
		seen: map[string]bool{}, looking: map[string]*lookup{}, deeds: realDeeds(),
		tick: func() tea.Cmd {
			return tea.Tick(100*time.Millisecond, func(time.Time) tea.Msg { return tickMsg{} })
		},
	}
	if m.now == nil {
		m.now = s.Env.Clock.Now
	}
	if m.readDir == nil {
		m.readDir = os.ReadDir
	}
	m.enter(s.Steps()[0].ID)
	return m
}
