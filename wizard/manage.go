package wizard

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/task"
)

// ManageOptions are what the dashboard needs of the world besides the screen.
type ManageOptions struct {
	ScreenOptions
	Env   *Env // its Profiles are set to Stage for the flows
	Stage *connections.Stage

	// Verify checks one connection and keeps what is found: in the store for a saved
	// connection, in the stage for one with staged changes.
	Verify func(ctx context.Context, c connections.Connection, listen func(task.Event)) (Verified, error)
	// Rotate replaces the credential of a saved connection at once and says in a
	// sentence what has become of the old one; nil where it cannot be done here.
	Rotate func(ctx context.Context, c connections.Connection, listen func(task.Event)) (string, error)
	// Explain turns an error into a sentence or two; nil: its own text.
	Explain func(error) string

	SideBySide int // how many connections are verified at the same time; 0 for 8
}

// Verified is what a verification found.
type Verified struct {
	State   string        // as connections.Verification has it
	Results []task.Result // with the advice for what did not pass
}

// Managed is what the dashboard leaves behind.
type Managed struct {
	Saved int                  // changes that OK has saved
	Left  []connections.Change // still staged
	Apps  []connections.Change // discarded, whose applications stay in the tenant
}

// RunManage shows the saved connections on the whole terminal until the user leaves.
// Changes are staged; OK saves them. The flows open in the same screen. It returns
// ErrCancelled on Ctrl-C and when ctx ends, ErrInputEnded when the terminal is gone;
// what was staged then stays staged, and Managed tells it in any case.
func RunManage(ctx context.Context, o ManageOptions) (Managed, error) {
	m := newManage(ctx, o)
	defer m.cancel()
	program := newProgram(m, o.ScreenOptions, m.w, m.h)
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
	done := Managed{Saved: m.saved, Left: o.Stage.Pending(), Apps: m.apps}
	switch {
	case m.done:
		return done, nil
	case m.err != nil:
		return done, m.err
	case err != nil:
		return done, fmt.Errorf("the screen broke off: %w", err)
	}
	return done, ErrCancelled
}

// newManage makes the model with everything that comes from outside.
func newManage(ctx context.Context, o ManageOptions) *manage {
	ctx, cancel := context.WithCancel(ctx)
	m := &manage{
		ctx: ctx, cancel: cancel, o: o, env: *o.Env, th: newTheme(o.Dark), now: o.Now, w: 80, h: 24,
		jobs: map[string]*job{}, found: map[string][]task.Result{}, sort: manageSort{by: "name"},
		tick: func() tea.Cmd {
			return tea.Tick(100*time.Millisecond, func(time.Time) tea.Msg { return manageTickMsg{} })
		},
	}
	m.env.Profiles = o.Stage
	if m.now == nil {
		m.now = o.Env.Clock.Now
	}
	if m.o.SideBySide <= 0 {
		m.o.SideBySide = 8
	}
	return m
}

func (m *manage) explain(err error) string {
	if m.o.Explain != nil {
		return m.o.Explain(err)
	}
	return err.Error()
}

// open leads through a flow inside the dashboard.
func (m *manage) open(s *Session) tea.Cmd {
	child := newScreen(m.ctx, s, m.o.ScreenOptions)
	child.w, child.h = m.w, m.h
	child.quit = func() tea.Cmd { return func() tea.Msg { return childDoneMsg{} } }
	child.send = func(msg tea.Msg) { m.send(childMsg{child, msg}) }
	m.child, m.message = child, ""
	return m.tagged(child, child.Init())
}

// childMsg is a message to a flow. One to a flow that has ended is nobody's.
type childMsg struct {
	of  *screen
	msg tea.Msg
}

type childDoneMsg struct{}

// tagged makes what a flow's command says a message to that flow.
func (m *manage) tagged(child *screen, cmd tea.Cmd) tea.Cmd {
	if cmd == nil {
		return nil
	}
	return func() tea.Msg {
		switch msg := cmd().(type) {
		case nil:
			return nil
		case tea.BatchMsg:
			for i, c := range msg {
				msg[i] = m.tagged(child, c)
			}
			return msg
		default:
			return childMsg{child, msg}
		}
	}
}

// toChild gives a message to the flow that is open.
func (m *manage) toChild(msg tea.Msg) tea.Cmd {
	child := m.child
	if tagged, ok := msg.(childMsg); ok {
		if tagged.of != child {
			return nil
		}
		msg = tagged.msg
	}
	if _, ok := msg.(childDoneMsg); ok {
		return m.childEnded()
	}
	_, cmd := child.Update(msg)
	return m.tagged(child, cmd)
}

// childEnded takes the terminal back: what the flow has made is staged.
func (m *manage) childEnded() tea.Cmd {
	child := m.child
	m.child = nil
	child.cancel()
	out := child.saved.Load()
	if out == nil {
		err := child.s.left(ErrCancelled)
		if child.err != nil {
			err = child.s.left(child.err)
		}
		m.message = "Nothing was changed."
		var half *HalfwayError
		if errors.As(err, &half) {
			m.message = "A registration was left unfinished in the tenant. Open New again to go on or to remove it; or: c2conn app cleanup"
		}
		return m.load()
	}
	m.wanted = out.Connection.ID
	m.message = out.Connection.Name + " is staged; o saves it."
	if out.Run != "" {
		m.message = out.Connection.Name + " is registered in the tenant already; the connection is staged, o saves it."
	}
	if len(out.Notes) > 0 {
		notes := out.Notes
		m.pager = &pager{title: "What you should know", lines: func(width int) []string {
			var lines []string
			for _, n := range notes {
				lines = append(append(lines, wrapText(n, width, "", "")...), "")
			}
			return lines
		}}
	}
	return m.load()
}

// askPassphrase asks on the screen on behalf of background work, in the flow if one
// is open.
func (m *manage) askPassphrase(ctx context.Context, confirm bool) (connections.Secret, error) {
	return askOn(ctx, m.ctx, m.send, confirm)
}

// AppsOf lists those of the changes that have registered an application in the tenant
// at once: it stays there when they are discarded.
func AppsOf(list []connections.Change) (made []connections.Change) {
	for _, c := range list {
		if c.Next.Registration.Mode == connections.ModeAutomatic && c.Next.Registration.ClientID != "" &&
			!strings.EqualFold(c.Next.Registration.ClientID, c.Base.Registration.ClientID) {
			made = append(made, c)
		}
	}
	return made
}

// ChangeWords says in a few words what a staged change does.
func ChangeWords(c connections.Change) string {
	switch {
	case c.Deleted:
		return "deleted"
	case c.Added:
		return "new"
	case c.Was != "" && len(c.Fields) == 1:
		return "renamed"
	}
	return "changed"
}
