package wizard

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/huh/v2"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/task"
)

// keyed gives a key to whatever is in front.
func (m *manage) keyed(k tea.KeyPressMsg) tea.Cmd {
	name := k.String()
	if name == "ctrl+c" {
		if m.child != nil && m.child.unsettled() {
			return m.toChild(k) // a registration is half done: it asks first
		}
		return m.leave(ErrCancelled)
	}
	if m.child != nil {
		return m.toChild(k)
	}
	switch {
	case m.secret != nil:
		if m.secret.press(k) {
			m.secret = nil
		}
		return nil
	case m.busy != "":
		return nil
	case m.ask != nil:
		then, answered := m.ask.press(k)
		if answered {
			m.ask = nil
		}
		if then != nil {
			return then()
		}
		return nil
	case m.pager != nil:
		if name == "esc" || name == "q" || name == "enter" || name == m.pager.close {
			m.pager = nil
		} else {
			m.pager.key(name)
		}
		return nil
	case m.rename != nil:
		return m.renameKey(k)
	case m.typing:
		m.filterKey(k)
		return nil
	}
	m.message, m.trouble = "", ""
	return m.listKey(name)
}

func (m *manage) listKey(name string) tea.Cmd {
	page := max(m.listRoom()-1, 1)
	moves := map[string]int{"up": -1, "k": -1, "down": 1, "j": 1, "pgup": -page, "pgdown": page, "home": -len(m.shown), "g": -len(m.shown), "end": len(m.shown), "G": len(m.shown)}
	if by, ok := moves[name]; ok {
		m.move(by)
		return nil
	}
	r := m.selected()
	switch name {
	case "?", "f1":
		m.openHelp()
	case "n":
		m.askKind()
	case "o":
		return m.save(true)
	case "ctrl+s":
		return m.save(false)
	case "q":
		return m.cancelAll()
	case "esc":
		switch {
		case m.details:
			m.details = false
			m.move(0)
		case m.filter != "":
			m.setFilter("")
		case len(m.jobs) > 0 && slices.ContainsFunc(m.working(), func(j *job) bool { return !j.rotate }):
			m.stopJobs()
		default:
			return m.cancelAll()
		}
	case "/":
		m.typing = true
	case "s", "S":
		m.sortNext(name == "S")
	case "i", "space":
		m.details = !m.details && r != nil
		m.move(0)
	case "x":
		if len(m.jobs) > 0 {
			m.stopJobs()
		}
	case "ctrl+r", "f5":
		return m.load()
	case "V":
		return m.verify(m.shown)
	default:
		if r != nil {
			return m.rowKey(name, r)
		}
	}
	return nil
}

// rowKey is a key that does something with the selected connection.
func (m *manage) rowKey(name string, r *manageRow) tea.Cmd {
	switch name {
	case "enter", "e", "v", "r", "d", "m", "f2", "u", "y":
	default:
		return nil
	}
	if r.err != nil {
		m.trouble = clean(r.c.Name) + " is " + damagedWords(r.c.Name, r.err)
		return nil
	}
	if m.jobs[r.c.ID] != nil && name != "u" {
		m.trouble = clean(r.c.Name) + " is being worked on; wait for the end, or stop with x."
		return nil
	}
	if r.change != nil && r.change.Deleted && name != "u" && name != "y" {
		m.trouble = clean(r.c.Name) + " will be deleted; u takes that back."
		return nil
	}
	switch name {
	case "enter", "e":
		return m.edit(r)
	case "v":
		return m.verify([]*manageRow{r})
	case "r":
		return m.askRotate(r)
	case "d":
		m.askDelete(r)
	case "m", "f2":
		m.rename = newRenaming(r.c, m.th)
	case "u":
		return m.undo(r)
	case "y":
		return m.keep(r)
	}
	return nil
}

func (m *manage) working() (list []*job) {
	for _, j := range m.jobs {
		list = append(list, j)
	}
	return list
}

// sortNext goes to the next column, or turns the direction.
func (m *manage) sortNext(turn bool) {
	if turn {
		m.sort.down = !m.sort.down
	} else {
		order := []string{"name", "state", "expiry", "kind", "account"}
		m.sort = manageSort{by: order[(slices.Index(order, m.sort.by)+1)%len(order)]}
	}
	m.arrange()
}

func (m *manage) setFilter(text string) {
	m.filter = text
	m.arrange()
}

func (m *manage) filterKey(k tea.KeyPressMsg) {
	switch name := k.String(); name {
	case "esc":
		m.typing = false
		m.setFilter("")
	case "enter", "tab":
		m.typing = false
	case "up", "down":
		m.typing = false
		m.move(map[string]int{"up": -1, "down": 1}[name])
	case "backspace":
		if r := []rune(m.filter); len(r) > 0 {
			m.setFilter(string(r[:len(r)-1]))
		}
	case "ctrl+u":
		m.setFilter("")
	default:
		if k.Text != "" {
			m.setFilter(m.filter + visible(k.Text))
		}
	}
}

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

// create starts the flow of a kind, with what variables of the environment answer, as
// c2conn new does.
func (env *Env) create(kind connections.Kind) *Session {
	s := NewSession(FlowOf(kind), env)
	s.Fill(Source{Flag: func(string) (string, bool) { return "", false }, Getenv: env.Getenv, ReadFile: env.ReadFile})
	return s
}

// edit opens the flow of a connection with its answers filled in.
func (m *manage) edit(r *manageRow) tea.Cmd {
	c, env := r.c, &m.env
	m.busy = "Opening"
	return m.background(func() tea.Msg {
		s, err := Edit(env, c)
		return sessionMsg{s, err}
	})
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
		text += "; to delete that as well, leave it here and use: c2conn delete " + shellQuote(c.Name) + " --purge-app"
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

// clicked takes a click: a column's head sorts, a row is selected, a second click
// opens it.
func (m *manage) clicked(x, y int) tea.Cmd {
	m.message, m.trouble = "", ""
	line := y - m.listTop()
	if line == -1 {
		if by := m.columnAt(x); by != "" {
			m.sort = manageSort{by: by, down: m.sort.by == by && !m.sort.down}
			m.arrange()
		}
		return nil
	}
	i := m.top + line
	if line < 0 || line >= m.listRoom() || i >= len(m.shown) {
		return nil
	}
	now := m.now()
	twice := i == m.at && i == m.clickRow && now.Sub(m.click) < 500*time.Millisecond
	m.at, m.clickRow, m.click = i, i, now
	m.typing = false
	if twice {
		m.click = time.Time{}
		return m.rowKey("enter", m.shown[i])
	}
	return nil
}
