package wizard

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/c2conn/c2conn/registration"
)

// screen is the model of the wizard on the terminal. Only Update changes it; what
// takes time runs in commands, which know nothing of it.
type screen struct {
	ctx    context.Context
	cancel context.CancelFunc
	s      *Session
	th     theme
	send   func(tea.Msg)

	now      func() time.Time
	tick     func() tea.Cmd
	copyText func(string) error
	readDir  func(string) ([]fs.DirEntry, error)
	work     workers
	deeds

	w, h    int
	step    string          // id of the current step
	seen    map[string]bool // steps that were current once
	fields  []*field
	focus   int // index in fields
	density int // how tightly the fields are set, see screen_form.go
	message string
	looking map[string]*lookup
	leaving bool // next was pressed, look-ups are awaited

	ask     *question
	pager   *pager
	secret  *passphrase
	login   signIn
	plan    planView
	run     run
	clean   *cleanup // the removal of an unfinished registration, once it is wanted
	frame   int      // of the spinner
	ticking bool

	saved atomic.Pointer[Outcome] // also set by a save that Ctrl-C came too late for
	err   error
	quit  func() tea.Cmd // ends the program, or gives the terminal back to the dashboard
}

// The messages of the screen itself.
type (
	tickMsg  struct{}
	leaveMsg struct{ err error }
	// pastedMsg carries the clipboard's answer to the field that asked for it.
	pastedMsg struct {
		key string
		msg tea.Msg
	}
	copiedMsg struct {
		what string
		err  error
	}
	// unfinishedMsg lists what earlier runs have left.
	unfinishedMsg struct{ list []registration.Unfinished }
)

// Init looks for what earlier runs have left. All else is a consequence of a key.
func (m *screen) Init() tea.Cmd { return m.start(m.lookForUnfinished()) }

// start runs cmds and keeps the spinner going while it is needed.
func (m *screen) start(cmds ...tea.Cmd) tea.Cmd {
	if m.busy() && !m.ticking {
		m.ticking = true
		cmds = append(cmds, m.tick())
	}
	return tea.Batch(cmds...)
}

func (m *screen) busy() bool {
	return len(m.looking) > 0 || m.run.active || m.run.saving || m.login.active || m.plan.cancel != nil
}

// background makes a command of work that RunScreen waits for at the end.
func (m *screen) background(work func() tea.Msg) tea.Cmd {
	return func() tea.Msg {
		if !m.work.begin() {
			return nil
		}
		defer m.work.running.Done()
		return work()
	}
}

// workers counts background work and takes on none once it is closed.
type workers struct {
	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup
}

func (w *workers) begin() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed {
		w.running.Add(1)
	}
	return !w.closed
}

// settle waits until all work has ended, at most for limit.
func (w *workers) settle(limit time.Duration) {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		w.running.Wait()
		close(ended)
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-ended:
	case <-timer.C:
	}
}

// Update takes in one message.
func (m *screen) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	var cmd tea.Cmd
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.w, m.h, m.density = msg.Width, msg.Height, 0
	case tickMsg:
		m.frame++
		m.ticking = false
	case leaveMsg:
		return m, m.leave(msg.err)
	case tea.KeyPressMsg:
		if msg.String() == "ctrl+c" {
			cmd = m.interrupt()
		} else {
			cmd = m.key(msg)
		}
	case tea.PasteMsg:
		cmd = m.paste(msg)
	case pastedMsg:
		if f := m.focused(); f != nil && f.def.Key == msg.key && m.typing() {
			f.input.Update(msg.msg)
			cmd = m.edited(f)
		}
	case lookedUpMsg:
		cmd = m.lookedUp(msg)
	case suggestedMsg:
		cmd = m.suggested(msg)
	case signInMsg:
		cmd = m.signInReported(msg)
	case codeCopiedMsg:
		m.codeCopied(msg)
	case planMsg:
		cmd = m.planned(msg)
	case unfinishedMsg:
		m.offerUnfinished(msg.list)
	case runMsg:
		cmd = m.runReported(msg)
	case savedMsg:
		cmd = m.saveEnded(msg)
	case askPassphraseMsg:
		m.secret = newPassphrase(msg, m.th)
	case passphraseGoneMsg:
		if m.secret != nil && m.secret.ask.reply == msg.reply {
			m.secret = nil
		}
	case copiedMsg:
		m.copied(msg)
	}
	return m, m.start(cmd)
}

// leave ends the program with err; whatever runs is cancelled.
func (m *screen) leave(err error) tea.Cmd {
	if m.err == nil {
		m.err = err
	}
	if m.secret != nil {
		m.secret.answer("", false)
		m.secret = nil
	}
	m.cancel()
	return m.quit()
}

// key gives a key to whatever is in front.
func (m *screen) key(k tea.KeyPressMsg) tea.Cmd {
	switch {
	case m.secret != nil:
		return m.passphraseKey(k)
	case m.ask != nil:
		return m.questionKey(k)
	case m.pager != nil:
		return m.pagerKey(k)
	}
	if k.String() == "f1" || k.String() == "ctrl+g" || k.String() == "?" && !m.typing() {
		m.openHelp()
		return nil
	}
	if m.leaving {
		// The step is about to be left; a key typed ahead would go to the wrong one.
		if k.String() == "esc" {
			m.leaving, m.message = false, ""
		}
		return nil
	}
	m.message = ""
	if k.String() == "q" && !m.typing() {
		m.askLeave()
		return nil
	}
	if m.onConfiguration() {
		return m.configurationKey(k)
	}
	switch st, _, _ := m.current(); {
	case m.signInPage() != nil:
		return m.signInKey(k)
	case st.Action == ShowPlan:
		return m.planKey(k)
	}
	return m.formKey(k)
}

// typing reports whether printable keys are text at the moment.
func (m *screen) typing() bool {
	f := m.focused()
	return f != nil && f.input != nil && m.ask == nil && m.pager == nil && m.secret == nil && !m.leaving
}

func (m *screen) focused() *field {
	if m.onConfiguration() && m.run.onList || m.focus >= len(m.fields) || m.signInPage() != nil {
		return nil
	}
	return m.fields[m.focus]
}

func (m *screen) onConfiguration() bool { return m.step == ConfigurationStep }

// current returns the current step and its place on the way.
func (m *screen) current() (Step, int, []Step) {
	steps := m.s.Steps()
	i := max(slices.IndexFunc(steps, func(st Step) bool { return st.ID == m.step }), 0)
	return steps[i], i, steps
}

// enter makes the step with that id the current one.
func (m *screen) enter(id string) {
	m.step, m.seen[id] = id, true
	m.fields, m.focus, m.density, m.message, m.leaving = nil, 0, 0, "", false
	m.syncFields()
	if m.onConfiguration() {
		m.enterConfiguration()
	}
}

// goTo enters a step and begins what is to be done there.
func (m *screen) goTo(id string) tea.Cmd {
	m.enter(id)
	if st, _, _ := m.current(); st.Action == ShowPlan {
		return m.makePlan()
	}
	return m.suggest()
}

// back goes to the previous step, or asks whether to leave on the first one. No
// validation is in the way; what was typed is kept as it is.
func (m *screen) back() tea.Cmd {
	cmd := m.commitFocused()
	_, i, steps := m.current()
	if i == 0 {
		m.askLeave()
		return cmd
	}
	return tea.Batch(cmd, m.goTo(steps[i-1].ID))
}

// next goes on to the next step once every answer of this one is right.
func (m *screen) next() tea.Cmd {
	cmds := []tea.Cmd{m.commitFocused()}
	st, _, _ := m.current()
	for _, f := range m.fields {
		f.left = true
		cmds = append(cmds, m.lookUp(f.def.Key))
	}
	if m.lookingIn(st) {
		m.leaving = true
		return tea.Batch(cmds...)
	}
	return tea.Batch(append(cmds, m.goOn())...)
}

// goOn is the second half of next, when the look-ups have ended.
func (m *screen) goOn() tea.Cmd {
	m.leaving = false
	st, i, steps := m.current()
	if problems := m.s.Problems(st); len(problems) > 0 {
		m.run.onList = false
		m.focusOn(m.owner(problems[0]))
		return nil
	}
	switch {
	case m.onConfiguration():
		return m.startRun()
	case st.Action == SignIn && m.s.signedInHere() == nil:
		return m.startSignIn()
	case st.Action == ShowPlan && !m.agree():
		return nil
	case i+1 < len(steps):
		return m.goTo(steps[i+1].ID)
	}
	return nil
}

// lookup is a look-up under way.
type lookup struct {
	cancel context.CancelFunc
	keep   func(note, resolved string, err error) error
}

type lookedUpMsg struct {
	key            string
	of             *lookup
	note, resolved string
	err            error
}

// lookUp starts the look-up of a field in the background, where one is due.
func (m *screen) lookUp(key string) tea.Cmd {
	if m.looking[key] != nil {
		return nil
	}
	find, keep := m.s.LookupFunc(key)
	if find == nil {
		return nil
	}
	ctx, cancel := context.WithCancel(m.ctx)
	l := &lookup{cancel: cancel, keep: keep}
	m.looking[key] = l
	return m.background(func() tea.Msg {
		note, resolved, err := find(ctx)
		return lookedUpMsg{key: key, of: l, note: note, resolved: resolved, err: err}
	})
}

func (m *screen) stopLookup(key string) {
	if l := m.looking[key]; l != nil {
		l.cancel()
		delete(m.looking, key)
	}
}

func (m *screen) lookingIn(st Step) bool {
	return slices.ContainsFunc(m.s.Asked(st), func(f Field) bool { return m.looking[f.Key] != nil })
}

func (m *screen) lookedUp(msg lookedUpMsg) tea.Cmd {
	if m.looking[msg.key] != msg.of {
		return nil // superseded
	}
	m.stopLookup(msg.key)
	if errors.Is(msg.err, context.Canceled) {
		return nil
	}
	_ = msg.of.keep(msg.note, msg.resolved, msg.err) // the error stays with the answer
	if st, _, _ := m.current(); m.leaving && !m.lookingIn(st) {
		return m.goOn()
	}
	return nil
}
