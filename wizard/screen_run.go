package wizard

import (
	"bytes"
	"context"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/task"
)

// run is the Configuration step: its tasks, the one run of them that is under way
// or has ended last, and the saving of what came of it.
type run struct {
	rows     []row
	at       int  // the selected row
	chosen   bool // the user selected it; otherwise the selection follows the work
	onList   bool // the focus is on the rows, not on the name
	active   bool
	began    time.Time
	ended    time.Time
	cancel   context.CancelFunc // ends it, and nobody hears of it any more
	halt     context.CancelFunc // ends it; its last words are heard
	events   chan runMsg
	session  *Session // with the answers as they were when the run began
	outcome  *Outcome
	problem  *ProblemsError // answers that turned out to be wrong
	trouble  *advice.Advice // why the run or the saving broke off
	saving   bool
	unsaved  bool // trouble concerns the saving
	finished bool // the run has ended by itself

	// Of registrations only, see screen_register.go.
	scroller
	halting bool           // it was told to end
	rolling bool           // it removes what another has made
	front   bool           // the summary stands in front of the tasks
	halfway *HalfwayError  // what it made stays in the tenant
	stuck   bool           // removing that has failed
	then    func() tea.Cmd // to be done once it has ended
}

// row is one task as it is shown.
type row struct {
	id, title string
	running   bool
	event     task.Event // the last progress
	result    *task.Result
}

// runMsg is one event of a run, or its end.
type runMsg struct {
	of      chan runMsg
	event   task.Event
	end     bool
	outcome *Outcome
	err     error
}

type savedMsg struct {
	outcome *Outcome
	err     error
}

// enterConfiguration shows the outcome of an earlier run again if it still holds.
func (m *screen) enterConfiguration() {
	if !m.holds() {
		m.forget()
	}
	m.run.onList = m.run.finished
	m.refocus()
}

// holds reports whether what a run has found still belongs to the answers. A new
// name changes nothing in what was checked.
func (m *screen) holds() bool {
	r := &m.run
	if r.session == nil || !r.finished {
		return false
	}
	then, now := r.session.answersInForce(), m.s.answersInForce()
	if len(then) != len(now) {
		return false
	}
	for key, v := range now {
		w, ok := then[key]
		if !ok || key != keyName && (v.Text != w.Text || v.Resolved != w.Resolved || !bytes.Equal(v.Secret.Reveal(), w.Secret.Reveal())) {
			return false
		}
	}
	return true
}

// forget drops what an earlier run found and lists the tasks as pending.
func (m *screen) forget() {
	m.stopRun()
	m.run = run{}
	for _, t := range m.s.Tasks() {
		m.run.rows = append(m.run.rows, row{id: t.ID, title: t.Title})
	}
}

func (m *screen) stopRun() {
	if m.run.active {
		m.run.cancel()
		m.run.active = false
	}
}

// startRun runs Configure in the background, on a copy of the answers: whatever
// is typed from now on concerns the next run.
func (m *screen) startRun() tea.Cmd {
	m.forget()
	session, configure := m.s.fork(), m.configure
	return m.launch(session, func(ctx context.Context, listen func(task.Event)) (*Outcome, error) {
		return configure(ctx, session, listen)
	})
}

// launch runs work in the background and shows its tasks.
func (m *screen) launch(session *Session, work func(context.Context, func(task.Event)) (*Outcome, error)) tea.Cmd {
	r := &m.run
	heard, cancel := context.WithCancel(m.ctx)
	ctx, halt := context.WithCancel(heard)
	events := make(chan runMsg, 64)
	r.active, r.onList, r.began, r.cancel, r.halt, r.events, r.session = true, true, m.now(), cancel, halt, events, session
	m.blur()
	do := m.background(func() tea.Msg {
		defer cancel()
		defer close(events)
		tell := func(msg runMsg) {
			msg.of = events
			select {
			case events <- msg:
			case <-heard.Done():
			}
		}
		out, err := work(ctx, func(e task.Event) { tell(runMsg{event: e}) })
		tell(runMsg{end: true, outcome: out, err: err})
		return nil
	})
	return tea.Batch(do, awaitRun(events))
}

// awaitRun waits for the next event of a run.
func awaitRun(events chan runMsg) tea.Cmd {
	return func() tea.Msg {
		if msg, ok := <-events; ok {
			return msg
		}
		return nil
	}
}

func (m *screen) runReported(msg runMsg) tea.Cmd {
	r := &m.run
	if !r.active || msg.of != r.events {
		return nil // of a run that was stopped
	}
	if msg.end {
		return m.runEnded(msg)
	}
	e := msg.event
	i := slices.IndexFunc(r.rows, func(w row) bool { return w.id == e.ID })
	if i < 0 {
		r.rows = append(r.rows, row{id: e.ID, title: e.Title})
		i = len(r.rows) - 1
	}
	w := &r.rows[i]
	switch e.Kind {
	case task.Started:
		w.running = true
	case task.Progress:
		w.running, w.event = true, e
		if !r.chosen {
			r.at = i
		}
	case task.Finished:
		w.running, w.result = false, e.Result
	}
	return awaitRun(r.events)
}

func (m *screen) runEnded(msg runMsg) tea.Cmd {
	r := &m.run
	r.active, r.halting, r.ended = false, false, m.now()
	r.cancel()
	if msg.err != nil {
		m.s.learn(r.session) // a certificate that it came across
		for i := range r.rows {
			r.rows[i].running = false
		}
	}
	switch then := r.then; {
	case r.rolling:
		return m.rolledBack(msg.err)
	case msg.err != nil && then != nil:
		m.brokeOff(msg.err)
		r.then = nil
		return then()
	case msg.err != nil:
		m.brokeOff(msg.err)
		return nil
	}
	r.finished, r.outcome, r.front = true, msg.outcome, msg.outcome.Waiting
	for _, result := range msg.outcome.Report.Results {
		if i := slices.IndexFunc(r.rows, func(w row) bool { return w.id == result.ID }); i >= 0 {
			r.rows[i].running, r.rows[i].result = false, &result
		}
	}
	if !r.chosen {
		r.at = max(r.worst(), 0)
	}
	if then := r.then; then != nil {
		r.then = nil
		return then()
	}
	return nil
}

// worst is the first row that failed, else the first with a warning, else -1.
func (r *run) worst() int {
	for _, s := range []task.Status{task.Fail, task.Warn} {
		if i := slices.IndexFunc(r.rows, func(w row) bool { return w.result != nil && w.result.Status == s }); i >= 0 {
			return i
		}
	}
	return -1
}

// refused reports whether the run found that the password is wrong, or may be.
func (r *run) refused() bool { return r.finished && r.outcome != nil && refused(r.outcome.Report) }

// configurationKey handles a key on the Configuration step.
func (m *screen) configurationKey(k tea.KeyPressMsg) tea.Cmd {
	r := &m.run
	if r.saving {
		return nil
	}
	if cmd, done := m.registrationKey(k.String()); done {
		return cmd
	}
	if !r.onList {
		switch k.String() {
		case "tab", "down":
			cmd := m.commitFocused()
			m.blur()
			r.onList = true
			return cmd
		case "enter":
			cmd := m.commitFocused()
			if m.holds() {
				m.renamed()
				return cmd
			}
			return tea.Batch(cmd, m.next())
		}
		return m.formKey(k)
	}
	switch k.String() {
	case "up", "k":
		if r.at == 0 && !r.active {
			m.toName()
		} else {
			r.at, r.chosen = max(r.at-1, 0), true
		}
	case "down", "j":
		r.at, r.chosen = max(min(r.at+1, len(r.rows)-1), 0), true
	case "enter", "d":
		if k.String() == "enter" && !r.active && !r.finished && r.trouble == nil && r.problem == nil {
			return m.next()
		}
		m.openDetails()
	case "r":
		if !r.active {
			return m.next()
		}
	case "f":
		return m.finish()
	case "n", "shift+tab":
		m.toName()
	case "b", "esc":
		if r.active {
			m.forget()
			r.onList = true
			m.message = "Stopped. Nothing was saved."
			return nil
		}
		if r.problem != nil {
			return m.mend(r.problem.Problems[0])
		}
		if key := m.s.passwordKey(); r.refused() && key != "" {
			return m.mend(Problem{Key: key})
		}
		return m.back()
	}
	return nil
}

func (m *screen) toName() {
	if !m.run.active {
		m.run.onList, m.run.front = false, false
		m.refocus()
	}
}

// renamed gives the outcome of a run the new name, which no check depends on.
func (m *screen) renamed() {
	st, _, _ := m.current()
	if len(m.s.Problems(st)) > 0 {
		return
	}
	m.run.onList = true
	m.blur()
	m.run.outcome.Connection.Name = m.s.Value(keyName).Text
	m.run.trouble, m.run.unsaved, m.run.front = nil, false, m.run.outcome.Waiting
}

// mend goes to the step that holds a wrong answer and puts the focus there.
func (m *screen) mend(p Problem) tea.Cmd {
	for _, st := range m.s.Steps() {
		for _, f := range m.s.Asked(st) {
			if f.Key != p.Key {
				continue
			}
			if v, ok := m.s.Answers[p.Key]; ok && v.Err == nil {
				v.Err, v.Resolved, v.Note = p.Err, "", ""
				m.s.Answers[p.Key] = v
			}
			cmd := m.goTo(st.ID)
			m.focusOn(p.Key)
			if p.Missing {
				m.fields[m.focus].left = true
			}
			return tea.Batch(cmd, m.suggest())
		}
	}
	return m.back()
}
