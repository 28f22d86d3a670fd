package wizard

import (
	"context"
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"
	"charm.land/huh/v2"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/task"
)

// askKind asks what the new connection is for.
func (m *manage) askKind() {
	q := &question{title: "New connection", text: "What is it for?", no: "none"}
	for key, kind := range []connections.Kind{connections.Exchange, connections.SharePoint, connections.MigrationSource, connections.MigrationTarget} {
		letter := []string{"e", "s", "m", "t"}[key]
		q.choices = append(q.choices, choice{key: letter, does: kindWord(kind), means: kindWord(kind) + " connection", then: func() tea.Cmd {
			env := &m.env
			m.busy = "Opening"
			return m.background(func() tea.Msg { return sessionMsg{session: env.create(kind)} })
		}})
	}
	m.ask = q
}

func (m *manage) askDelete(r *manageRow) {
	c := r.c
	text := "The profile is marked and deleted when you save. Its application stays in Entra ID"
	switch {
	case r.change != nil && r.change.Added:
		text = "It was never saved, so it is gone at once."
		if c.Registration.Mode == connections.ModeAutomatic {
			text += " Its application stays in Entra ID; to delete it: c2conn app delete " + c.Registration.ClientID
		}
	case c.Registration.ClientID == "":
		text = "The profile is marked and deleted when you save."
	default:
		text += "; to delete that as well, leave it here and use: c2conn delete " + advice.ShellWord(c.Name) + " --purge-app"
	}
	m.ask = &question{title: "Delete " + clean(c.Name) + "?", text: text, yes: "delete", no: "keep", then: func() tea.Cmd {
		added := r.change != nil && r.change.Added
		return m.change("Marking", func(ctx context.Context, stage *connections.Stage) stagedMsg {
			msg := stagedMsg{said: c.Name + " will be deleted when you save; u takes that back."}
			if added {
				msg.said = c.Name + " is gone."
				msg.apps = AppsOf([]connections.Change{*r.change})
			}
			if msg.err = stage.Delete(ctx, c.ID); msg.err != nil {
				msg.apps = nil
			}
			return msg
		})
	}}
}

func (m *manage) undo(r *manageRow) tea.Cmd {
	if r.change == nil {
		m.trouble = "Nothing is changed about " + clean(r.c.Name) + "."
		return nil
	}
	if r.change.Added {
		m.askDelete(r)
		return nil
	}
	id, name, apps := r.c.ID, r.c.Name, AppsOf([]connections.Change{*r.change})
	return m.change("Undoing", func(ctx context.Context, stage *connections.Stage) stagedMsg {
		err := stage.Revert(ctx, id)
		if err != nil {
			apps = nil
		}
		return stagedMsg{said: "The change of " + name + " is undone.", id: id, apps: apps, err: err}
	})
}

// keep settles a conflict in favour of what was changed here.
func (m *manage) keep(r *manageRow) tea.Cmd {
	if r.conflict == nil {
		return nil
	}
	id, name := r.c.ID, r.c.Name
	return m.change("Keeping", func(ctx context.Context, stage *connections.Stage) stagedMsg {
		return stagedMsg{said: "Your version of " + name + " replaces the other one when you save.", id: id, err: stage.Keep(ctx, id)}
	})
}

func (m *manage) askRotate(r *manageRow) tea.Cmd {
	c := r.c
	switch {
	case m.o.Rotate == nil:
		m.trouble = "The credential cannot be rotated here."
		return nil
	case c.Location == connections.OnPremises:
		m.trouble = "Passwords are changed in Active Directory. When that is done, edit " + clean(c.Name) + " (enter)."
		return nil
	case r.change != nil:
		m.trouble = "Save the changes of " + clean(c.Name) + " first (ctrl+s): a rotation takes effect at once, on what is saved."
		return nil
	}
	m.ask = &question{
		title: "Rotate the credential of " + clean(c.Name) + "?",
		text:  "A new one is added in the tenant, waited for, and saved; then the old one goes. This takes effect at once: Cancel does not take it back.",
		yes:   "rotate", no: "leave it", then: func() tea.Cmd { return m.rotate(c) },
	}
	return nil
}

func (m *manage) rotate(c connections.Connection) tea.Cmd {
	ctx, cancel := context.WithCancel(m.ctx)
	j := &job{text: "rotating", cancel: cancel, rotate: true}
	m.jobs[c.ID] = j
	rotate, send := m.o.Rotate, m.send
	return m.background(func() tea.Msg {
		defer cancel()
		said, err := rotate(ctx, c, func(e task.Event) { tellJob(send, c.ID, j, e) })
		if err == nil && said == "" {
			said = "The credential of " + c.Name + " is replaced."
		}
		return jobMsg{id: c.ID, of: j, end: true, said: said, err: err}
	})
}

// save saves all staged changes.
func (m *manage) save(leave bool) tea.Cmd {
	if m.stuckJobs() {
		return nil
	}
	if len(m.pending) == 0 {
		if leave {
			return m.close()
		}
		m.message = "There is nothing to save."
		return nil
	}
	return m.change("Saving", func(ctx context.Context, stage *connections.Stage) stagedMsg {
		n, err := stage.Commit(ctx)
		return stagedMsg{said: fmt.Sprintf("%d %s saved.", n, plural(n, "change")), saved: n, leave: leave, err: err}
	})
}

// stuckJobs reports, and says, that a rotation must end first.
func (m *manage) stuckJobs() bool {
	if slices.ContainsFunc(m.working(), func(j *job) bool { return j.rotate }) {
		m.trouble = "A rotation is under way; wait for its end."
		return true
	}
	return false
}

// cancelAll leaves; where changes are staged it asks what becomes of them.
func (m *manage) cancelAll() tea.Cmd {
	if m.stuckJobs() {
		return nil
	}
	if len(m.pending) == 0 {
		return m.close()
	}
	var names []string
	for _, c := range m.pending {
		names = append(names, clean(c.Name)+" ("+ChangeWords(c)+")")
	}
	text := fmt.Sprintf("%d %s not saved: %s.", len(names), map[bool]string{true: "change is", false: "changes are"}[len(names) == 1], strings.Join(names, ", "))
	apps := AppsOf(m.pending)
	if len(apps) > 0 {
		text += " What was registered in the tenant stays there; to remove it:"
		for _, c := range apps {
			text += " c2conn app delete " + c.Next.Registration.ClientID
		}
		text += " (shown again when you have left)."
	}
	m.ask = &question{title: "Leave without saving?", text: text, no: "stay", choices: []choice{
		{"s", "save", "Save them and leave.", func() tea.Cmd { return m.save(true) }},
		{"d", "discard", "Throw them away and leave.", func() tea.Cmd {
			return m.change("Discarding", func(ctx context.Context, stage *connections.Stage) stagedMsg {
				err := stage.Discard(ctx)
				return stagedMsg{apps: apps, leave: true, err: err}
			})
		}},
		{"l", "later", "Leave; they stay staged until the next time.", func() tea.Cmd { return m.close() }},
	}}
	return nil
}

// renaming is the dialogue for a new name.
type renaming struct {
	c     connections.Connection
	input *huh.Input
	text  string
	wrong string
}

func newRenaming(c connections.Connection, th theme) *renaming {
	r := &renaming{c: c, text: c.Name}
	r.input = huh.NewInput().Prompt("").Value(&r.text)
	r.input.WithTheme(th.fields)
	r.input.WithKeyMap(huh.NewDefaultKeyMap())
	r.input.Focus()
	return r
}

func (m *manage) renameKey(k tea.KeyPressMsg) tea.Cmd {
	r := m.rename
	switch k.String() {
	case "esc":
		m.rename = nil
	case "tab", "shift+tab":
	case "enter":
		name := strings.TrimSpace(r.text)
		if err := connections.ValidName(name); err != nil {
			r.wrong = err.Error()
			return nil
		}
		if name == r.c.Name {
			m.rename = nil
			return nil
		}
		for _, other := range m.rows {
			if strings.EqualFold(other.c.Name, name) && other.c.ID != r.c.ID {
				r.wrong = "Another connection has this name already."
				return nil
			}
		}
		m.rename = nil
		id := r.c.ID
		return m.change("Renaming", func(ctx context.Context, stage *connections.Stage) stagedMsg {
			_, err := stage.Rename(ctx, id, name)
			return stagedMsg{said: r.c.Name + " will be called " + name + " when you save.", id: id, err: err}
		})
	default:
		r.wrong = ""
		r.input.Update(k)
	}
	return nil
}
