package wizard

import (
	"context"
	"errors"
	"fmt"

	tea "charm.land/bubbletea/v2"

	"github.com/c2conn/c2conn/internal/task"
)

// job is work on one connection under way.
type job struct {
	text   string
	cancel context.CancelFunc // nil while it is queued
	rotate bool
}

// verify queues connections; those that are at work already are left alone.
func (m *manage) verify(rows []*manageRow) tea.Cmd {
	n := 0
	for _, r := range rows {
		if r.err != nil || m.jobs[r.c.ID] != nil || r.change != nil && r.change.Deleted {
			continue
		}
		m.jobs[r.c.ID] = &job{text: "waiting"}
		m.queue = append(m.queue, r.c)
		n++
	}
	m.message = fmt.Sprintf("Verifying %d %s.", n, plural(n, "connection"))
	return m.next()
}

// next starts queued verifications while there is room for them.
func (m *manage) next() tea.Cmd {
	var cmds []tea.Cmd
	for len(m.queue) > 0 && m.running < m.o.SideBySide {
		c := m.queue[0]
		m.queue = m.queue[1:]
		j := m.jobs[c.ID]
		if j == nil {
			continue // stopped before it began
		}
		ctx, cancel := context.WithCancel(m.ctx)
		j.cancel, j.text = cancel, "verifying"
		m.running++
		check, send := m.o.Verify, m.send
		cmds = append(cmds, m.background(func() tea.Msg {
			defer cancel()
			found, err := check(ctx, c, func(e task.Event) { tellJob(send, c.ID, j, e) })
			return jobMsg{id: c.ID, of: j, end: true, found: found, err: err}
		}))
	}
	return tea.Batch(cmds...)
}

func tellJob(send func(tea.Msg), id string, j *job, e task.Event) {
	text := e.Title
	if e.Kind == task.Progress && e.Text != "" {
		text += ": " + e.Text
	}
	if e.Kind != task.Finished {
		send(jobMsg{id: id, of: j, text: clean(text)})
	}
}

// heard takes an event of a job or its end.
func (m *manage) heard(msg jobMsg) tea.Cmd {
	if !msg.end {
		msg.of.text = msg.text
		return nil
	}
	if !msg.of.rotate {
		m.running--
	}
	current := m.jobs[msg.id] == msg.of
	if current {
		delete(m.jobs, msg.id)
	}
	cancelled := errors.Is(msg.err, context.Canceled) || errors.Is(msg.err, ErrCancelled)
	switch {
	case cancelled:
	case msg.err != nil:
		m.trouble = m.nameOf(msg.id) + ": " + m.explain(msg.err)
	case msg.said != "":
		m.message = msg.said
	default:
		m.found[msg.id] = msg.found.Results
		if len(m.jobs) == 0 {
			m.message = "The verification has ended."
		}
	}
	return tea.Batch(m.next(), m.load())
}

func (m *manage) nameOf(id string) string {
	for _, r := range m.rows {
		if r.c.ID == id {
			return clean(r.c.Name)
		}
	}
	return "a connection"
}

// stopJobs cancels the verifications; a rotation goes on to its end.
func (m *manage) stopJobs() {
	m.queue = nil
	for id, j := range m.jobs {
		if j.rotate {
			continue
		}
		if j.cancel != nil {
			j.cancel()
		}
		delete(m.jobs, id)
	}
	m.message = "Stopped. What was verified before is saved."
}
