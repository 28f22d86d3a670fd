package wizard

import (
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/c2conn/c2conn/connections"
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
