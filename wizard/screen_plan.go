package wizard

import (
	"context"
	"errors"
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/c2conn/c2conn/internal/advice"
)

// planWidth is the width of the plan's text on the clipboard.
const planWidth = 80

// planView is the plan as it is shown, with the reading of the tenant for it.
type planView struct {
	scroller
	cancel  context.CancelFunc // of the making under way; nil when there is none
	of      *Session           // the fork that it works on
	answers string             // given beside the plan that it was made for
	made    bool
	p       proposal
	trouble *advice.Advice // why there is none
}

type planMsg struct {
	of  *Session
	p   proposal
	err error
}

// makePlan looks at the tenant again, if the answers want that, and makes the plan.
func (m *screen) makePlan() tea.Cmd {
	if m.plan.cancel != nil {
		m.plan.cancel()
	}
	ctx, cancel := context.WithCancel(m.ctx)
	session, look := m.s.fork(), m.look
	m.plan.cancel, m.plan.of, m.plan.answers, m.plan.trouble = cancel, session, m.planAnswers(), nil
	return m.background(func() tea.Msg {
		defer cancel()
		if err := look(ctx, session); err != nil {
			return planMsg{of: session, err: err}
		}
		return planMsg{of: session, p: session.propose()}
	})
}

func (m *screen) planned(msg planMsg) tea.Cmd {
	v := &m.plan
	if msg.of != v.of {
		return nil // superseded
	}
	v.cancel, v.made, v.p = nil, msg.err == nil, msg.p
	if msg.err == nil {
		m.s.learn(v.of)
		msg.err = msg.p.err
	}
	var exists *advice.ExistsError
	if msg.err != nil && !errors.As(msg.err, &exists) { // that one is asked about, see planLines
		v.made, v.trouble = false, m.s.adviseSignIn(msg.err)
	}
	if st, _, _ := m.current(); st.Action == ShowPlan {
		m.syncFields()
		return m.suggest()
	}
	return nil
}

// agree reports whether there is a plan that can be agreed to, and says what is
// missing otherwise.
func (m *screen) agree() bool {
	v := &m.plan
	switch {
	case v.answers != m.planAnswers():
		// Another plan is made now; it has to be seen first.
	case v.cancel != nil:
		m.message = "The tenant is still being read."
	case !v.made:
		m.message = "There is no plan to agree to."
	case v.p.err != nil:
		m.message = m.s.undecided(v.p)
	default:
		return true
	}
	return false
}

// planKey handles a key on the plan's step. Where a field is asked, up and down
// belong to it.
func (m *screen) planKey(k tea.KeyPressMsg) tea.Cmd {
	v, name := &m.plan, k.String()
	switch {
	case name == "pgup", name == "pgdown", name == "home" && !m.typing(), name == "end" && !m.typing():
		v.key(name)
		return nil
	case name == "y" && !m.typing() && v.made && v.p.err == nil:
		return m.put("the plan", v.p.plan.Text(planWidth))
	case name == "r" && !m.typing() && v.trouble != nil:
		return m.makePlan()
	}
	if len(m.fields) > 0 {
		v.top = 0
		cmd := m.formKey(k)
		if st, _, _ := m.current(); st.Action == ShowPlan && m.planAnswers() != v.answers {
			cmd = tea.Batch(cmd, m.makePlan())
		}
		return cmd
	}
	switch name {
	case "enter":
		return m.next()
	case "esc", "shift+tab":
		return m.back()
	}
	v.key(name)
	return nil
}

// planAnswers are the answers that the plan depends on and that are given beside it.
func (m *screen) planAnswers() string {
	return m.s.Value(keyIfExists).Text + " " + m.s.Value(keyUseApp).Text
}

func (m *screen) planPage(width, room int) page {
	v := &m.plan
	st, _, _ := m.current()
	p := page{title: st.Title, status: m.status()}
	for {
		p.lines = nil
		m.formLines(&p, Step{}, width)
		if len(p.lines) > 0 {
			p.lines = append(p.lines, "")
		}
		head := len(p.lines)
		if head <= room/2 || m.density == tight {
			break
		}
		m.density++
	}
	p.lines = append(p.lines, m.planLines(width)...)
	p.top = v.fit(len(p.lines), room)
	p.keys = m.planKeys()
	switch {
	case p.status != "":
	case v.cancel != nil:
		p.status = m.spinner() + " Reading the tenant. Nothing is changed."
	case !v.made:
		p.status = m.th.bad.Render("✗") + " There is no plan. Nothing has been changed."
	case v.p.err != nil:
		p.status = m.th.warn.Render("!") + " " + m.s.undecided(v.p)
	default:
		p.status = "Nothing has been changed so far."
	}
	return p
}

// planLines are the plan, or what there is instead of it.
func (m *screen) planLines(width int) []string {
	v := &m.plan
	if v.trouble != nil {
		return m.adviceLines(v.trouble, width, true)
	}
	var lines []string
	if len(v.p.same) > 0 {
		lines = append(lines, m.th.bold.Render("In the tenant already"))
		for _, s := range v.p.same {
			lines = append(lines, wrapText(s, width, "  ", "    ")...)
		}
		lines = append(lines, "")
	}
	switch {
	case !v.made && v.cancel != nil:
		return append(lines, "The plan is being made.")
	case v.p.err != nil:
		return lines
	}
	plan := v.p.plan
	for _, w := range plan.Warnings { // in front, where they are seen
		lines = append(lines, wrapText(w, width, m.th.warn.Render("!")+" ", "  ")...)
	}
	if len(plan.Warnings) > 0 {
		lines, plan.Warnings = append(lines, ""), nil
	}
	for _, line := range strings.Split(strings.TrimRight(plan.Text(width), "\n"), "\n") {
		line = visible(line) // its spaces are the layout
		rest := strings.TrimLeft(line, " ")
		indent := line[:len(line)-len(rest)]
		for _, piece := range strings.Split(ansi.Hardwrap(rest, max(width-len(indent), 1), true), "\n") {
			switch {
			case indent == "" && strings.HasSuffix(rest, ":"):
				piece = m.th.bold.Render(piece)
			case strings.HasPrefix(rest, "PATCH ") || strings.HasPrefix(rest, "POST "):
				piece = m.th.faint.Render(piece)
			}
			lines = append(lines, indent+piece)
		}
	}
	return lines
}

func (m *screen) planKeys() []keyHint {
	v := &m.plan
	if len(m.fields) > 0 && (v.p.err != nil || m.focus < len(m.fields)-1) {
		keys := m.formKeys()
		return append(keys[:len(keys)-2:len(keys)-2], keyHint{"pgdn", "scroll", ""}, keys[len(keys)-2], cancelKey)
	}
	keys := []keyHint{{"enter", "agree and go on", "enter agree"}, {"y", "copy", ""}}
	switch {
	case v.trouble != nil:
		keys = []keyHint{{"r", "try again", ""}}
	case !v.made:
		keys = nil
	}
	scroll := v.hint()
	if len(m.fields) > 0 {
		keys = append(keys, keyHint{"↑↓", "choose", ""})
		if len(scroll) > 0 {
			scroll[0].key = "pgdn"
		}
	}
	return append(append(keys, scroll...), keyHint{"esc", "back", ""}, keyHint{"?", "help", ""}, cancelKey)
}
