package wizard

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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
	cancel   context.CancelFunc
	events   chan runMsg
	session  *Session // with the answers as they were when the run began
	outcome  *Outcome
	problem  *ProblemsError // answers that turned out to be wrong
	trouble  *advice.Advice // why the run or the saving broke off
	saving   bool
	unsaved  bool // trouble concerns the saving
	finished bool // the run has ended by itself
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
	r := &m.run
	ctx, cancel := context.WithCancel(m.ctx)
	events := make(chan runMsg, 64)
	session := &Session{Flow: m.s.Flow, Env: m.s.Env, Answers: m.s.Answers.Clone()}
	r.active, r.onList, r.began, r.cancel, r.events, r.session = true, true, m.now(), cancel, events, session
	m.blur()
	configure := m.configure
	work := m.background(func() tea.Msg {
		defer cancel()
		defer close(events)
		tell := func(msg runMsg) {
			msg.of = events
			select {
			case events <- msg:
			case <-ctx.Done():
			}
		}
		out, err := configure(ctx, session, func(e task.Event) { tell(runMsg{event: e}) })
		tell(runMsg{end: true, outcome: out, err: err})
		return nil
	})
	return tea.Batch(work, awaitRun(events))
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
		m.runEnded(msg)
		return nil
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

func (m *screen) runEnded(msg runMsg) {
	r := &m.run
	r.active, r.ended = false, m.now()
	r.cancel()
	if msg.err != nil {
		for i := range r.rows {
			r.rows[i].running = false
		}
		if !errors.As(msg.err, &r.problem) {
			r.trouble = explain(msg.err)
		}
		return
	}
	r.finished, r.outcome = true, msg.outcome
	for _, result := range msg.outcome.Report.Results {
		if i := slices.IndexFunc(r.rows, func(w row) bool { return w.id == result.ID }); i >= 0 {
			r.rows[i].running, r.rows[i].result = false, &result
		}
	}
	if !r.chosen {
		r.at = max(r.worst(), 0)
	}
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

// configurationKey handles a key on the Configuration step.
func (m *screen) configurationKey(k tea.KeyPressMsg) tea.Cmd {
	r := &m.run
	if r.saving {
		return nil
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
		return m.back()
	}
	return nil
}

func (m *screen) toName() {
	if !m.run.active {
		m.run.onList = false
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
	m.run.trouble, m.run.unsaved = nil, false
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
			m.enter(st.ID)
			m.focusOn(p.Key)
			return m.suggest()
		}
	}
	return m.back()
}

// finish saves a verified connection; one that is not, when the user says so.
func (m *screen) finish() tea.Cmd {
	r := &m.run
	if !r.finished || r.active {
		return nil
	}
	if st, _, _ := m.current(); len(m.s.Problems(st)) > 0 {
		m.toName()
		return nil
	}
	if r.outcome.Verified {
		return m.saveNow()
	}
	m.ask = &question{
		title: "Save as not verified?",
		text: "Not every required check has passed. The connection will be marked as not verified everywhere until c2conn verify " +
			r.outcome.Connection.Name + " succeeds.",
		yes: "save as not verified", no: "do not save", then: m.saveNow,
	}
	return nil
}

func (m *screen) saveNow() tea.Cmd {
	r := &m.run
	r.saving, r.trouble, r.unsaved = true, nil, false
	ctx, save, session, outcome := m.ctx, m.save, r.session, r.outcome
	return m.background(func() tea.Msg {
		err := save(ctx, session, outcome)
		if err == nil {
			m.saved.Store(outcome)
		}
		return savedMsg{outcome, err}
	})
}

func (m *screen) saveEnded(msg savedMsg) tea.Cmd {
	r := &m.run
	r.saving = false
	if msg.err == nil {
		m.cancel()
		return tea.Quit
	}
	r.trouble, r.unsaved = explain(msg.err), true
	if errors.Is(msg.err, ErrCancelled) {
		r.trouble = &advice.Advice{What: "No passphrase was given.", Why: "Without it the credential cannot be kept on this machine.",
			Next: []string{"Press f to save again and type the passphrase."}}
	}
	return nil
}

// explain turns an error into words; where nothing is known of it, its own.
func explain(err error) *advice.Advice {
	if a := advice.For(err, advice.Facts{}); a != nil {
		return a
	}
	return &advice.Advice{What: err.Error()}
}

// tally counts the rows by state, in words.
func (r *run) tally() string {
	counts := map[task.Status]int{}
	running, waiting := 0, 0
	for _, w := range r.rows {
		switch {
		case w.result != nil:
			counts[w.result.Status]++
		case w.running:
			running++
		default:
			waiting++
		}
	}
	text := ""
	add := func(n int, what string) {
		if n > 0 {
			if text != "" {
				text += ", "
			}
			text += fmt.Sprintf("%d %s", n, what)
		}
	}
	add(counts[task.Pass], "ok")
	add(counts[task.Warn], plural(counts[task.Warn], "warning"))
	add(counts[task.Fail], "failed")
	add(counts[task.Skip], "skipped")
	add(running, "running")
	add(waiting, "waiting")
	return text
}

func plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}
