package wizard

import (
	"errors"
	"fmt"
	"slices"

	tea "charm.land/bubbletea/v2"

	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/task"
)

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
	if r.outcome.Verified || r.outcome.Waiting {
		return m.saveNow()
	}
	m.ask = &question{
		title: "Save as not verified?",
		text: "Not every required check has passed. The connection will be marked as not verified everywhere until c2conn verify " +
			advice.ShellWord(r.outcome.Connection.Name) + " succeeds.",
		yes: "save as not verified", no: "do not save", then: m.saveNow,
	}
	if r.outcome.Run != "" {
		m.ask.title = "Save as registered, not verified?"
		m.ask.text = "The application is registered. " + m.ask.text
	}
	return nil
}

func (m *screen) saveNow() tea.Cmd {
	r := &m.run
	r.saving, r.trouble, r.unsaved = true, nil, false
	ctx, save, session := m.ctx, m.save, r.session
	outcome := new(*r.outcome) // saving writes into it while this one is drawn
	outcome.Notes = slices.Clone(outcome.Notes)
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
		r.outcome = msg.outcome
		m.cancel()
		return m.quit()
	}
	r.trouble, r.unsaved = m.s.explain(msg.err), true
	if errors.Is(msg.err, ErrCancelled) {
		r.trouble = &advice.Advice{What: "No passphrase was given.", Why: "Without it the credential cannot be kept on this machine.",
			Next: []string{"Press f to save again and type the passphrase."}}
	}
	return nil
}

// explain turns an error into words, with what the answers tell; where nothing is
// known of it, its own.
func (s *Session) explain(err error) *advice.Advice {
	if a := advice.For(err, s.Facts()); a != nil {
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
