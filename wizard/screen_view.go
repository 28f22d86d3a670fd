package wizard

import (
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/c2conn/c2conn/internal/cloud"
)

// The least the screen can be drawn in, and where it takes on more.
const (
	leastWidth, leastHeight = 32, 8
	sidebarFrom             = 76 // columns: the steps stand at the left
	sidebarWidth            = 28
	textWidth               = 92 // columns: longer lines are hard to read
	rulesFrom               = 14 // rows: lines set head and foot apart
)

// View draws the screen.
func (m *screen) View() tea.View {
	lines := m.draw()
	cursor := cursorIn(lines)
	v := tea.NewView(strings.Join(lines, "\n"))
	v.AltScreen = true
	v.Cursor = cursor
	return v
}

// cursorIn finds the cell that a field has marked as its cursor and takes the mark
// away: the terminal's own cursor goes there, for input methods and magnifiers.
func cursorIn(lines []string) *tea.Cursor {
	const mark = "\x1b[7m"
	for y, line := range lines {
		if before, after, ok := strings.Cut(line, mark); ok {
			lines[y] = before + after
			return tea.NewCursor(ansi.StringWidth(before), y)
		}
	}
	return nil
}

// page is what stands between head and foot.
type page struct {
	title, right string
	lines        []string
	from, to     int // the lines that must be seen, to excluded
	top          int // first line shown; -1: as from and to need it
	status       string
	keys         []keyHint
}

// draw gives exactly h lines of at most w cells.
func (m *screen) draw() []string {
	if m.w < leastWidth || m.h < leastHeight {
		return m.drawTooSmall()
	}
	width := m.w - 2
	sidebar := m.w >= sidebarFrom && m.pager == nil && !m.wide()
	if sidebar {
		width -= sidebarWidth
	}
	width = min(width, textWidth)
	p := m.page(width, m.room())

	room := m.room()
	height := len(p.lines)
	top := p.top
	if top < 0 {
		top = scrolled(height, room, p.from, p.to)
	}
	shown := p.lines[min(top, height):min(top+room, height)]
	above, below := top > 0, top+room < height

	body := []string{m.heading(p, width, sidebar)}
	if m.h >= rulesFrom {
		body = append(body, "")
	}
	body = append(body, shown...)
	for len(body) < room+m.headingHeight() {
		body = append(body, "")
	}
	if sidebar {
		side := m.sidebar()
		for i := range body {
			left := ""
			if i < len(side) {
				left = side[i]
			}
			body[i] = pad(left, sidebarWidth) + body[i]
		}
	}

	lines := []string{m.titleLine(above, below)}
	if m.h >= rulesFrom {
		lines = append(lines, m.rule(above, "↑ more"))
	}
	for _, line := range body {
		lines = append(lines, " "+line)
	}
	lines = append(lines, " "+p.status)
	if m.h >= rulesFrom {
		lines = append(lines, m.rule(below, "↓ more"))
	}
	lines = append(lines, " "+m.footer(p.keys))
	for i, line := range lines {
		lines[i] = strings.TrimRight(ansi.Truncate(line, m.w, "…"), " ")
	}
	return lines
}

// headingHeight is the heading of a page with the line beneath it.
func (m *screen) headingHeight() int {
	if m.h >= rulesFrom {
		return 2
	}
	return 1
}

// room is the height that a page can scroll in.
func (m *screen) room() int {
	frame := 3 // title, status, keys
	if m.h >= rulesFrom {
		frame += 2
	}
	return m.h - frame - m.headingHeight()
}

// scrolled is the first line to show so that from..to can be seen, with as much as
// possible of what stands before it.
func scrolled(height, room, from, to int) int {
	if height <= room {
		return 0
	}
	top := max(to-room, 0)
	if from < top {
		top = from
	}
	return min(top, height-room)
}

// wide reports whether what is shown needs the whole width: the plan, and the
// addresses that people copy.
func (m *screen) wide() bool {
	if m.ask != nil || m.secret != nil {
		return false
	}
	st, _, _ := m.current()
	full := st.Action == ShowPlan || m.onConfiguration() && (m.s.Automatic() || m.run.rolling)
	return full && m.w < planWidth+sidebarWidth+2 || st.Action == SignIn && m.login.active || m.onConfiguration() && m.run.front && m.run.waiting()
}

func (m *screen) page(width, room int) page {
	st, _, _ := m.current()
	switch {
	case m.secret != nil:
		return m.passphrasePage(width)
	case m.ask != nil:
		return m.questionPage(width, room)
	case m.pager != nil:
		return m.pagerPage(width, room)
	case m.onConfiguration() && m.run.front:
		return m.summaryPage(width, room)
	case m.onConfiguration():
		return m.configurationPage(width, room)
	case st.Action == ShowPlan:
		return m.planPage(width, room)
	}
	if front := m.signInPage(); front != nil {
		return front(width, room)
	}
	return m.formPage(width, room)
}

func (m *screen) titleLine(above, below bool) string {
	left := " " + m.th.accent.Render("c2conn") + " · " + m.s.Flow.Title
	right := m.tenant()
	if m.h < rulesFrom && (above || below) {
		right = strings.TrimSpace(map[bool]string{true: "↑"}[above] + map[bool]string{true: "↓"}[below])
	}
	return between(left, right, m.w-1)
}

// tenant says which tenant and cloud the answers are about.
func (m *screen) tenant() string {
	v := m.s.Value(keyTenantID)
	text := ""
	if v.Err == nil {
		text = clean(v.Text)
	}
	if who := m.s.signedInHere(); who != nil {
		text = clean(tenantWords("", who.Tenant.Domain, who.Tenant.ID))
	}
	if c := m.s.Value(keyCloud).Text; c != "" && c != cloud.Global {
		text = strings.TrimPrefix(text+" · "+clean(c), " · ")
	}
	return text
}

func (m *screen) rule(more bool, word string) string {
	line := strings.Repeat("─", m.w)
	if more {
		line = strings.Repeat("─", max(m.w-ansi.StringWidth(word)-4, 0)) + " " + word + " ──"
	}
	return m.th.faint.Render(line)
}

func (m *screen) heading(p page, width int, sidebar bool) string {
	right := p.right
	if !sidebar && m.pager == nil && m.ask == nil && m.secret == nil {
		_, i, steps := m.current()
		right = strings.TrimSpace(p.right + "  " + m.th.faint.Render(fmt.Sprintf("step %d of %d", i+1, len(steps))))
	}
	return between(m.th.bold.Render(p.title), right, width)
}

// sidebar lists the steps with their state.
func (m *screen) sidebar() []string {
	_, now, steps := m.current()
	var lines []string
	for i, st := range steps {
		sign, title := m.th.faint.Render("○"), m.th.faint.Render(st.Title)
		switch wrong := len(m.s.Problems(st)) > 0; {
		case i == now:
			sign, title = m.th.accent.Render("●"), m.th.bold.Render(st.Title)
		case m.seen[st.ID] && st.Action == SignIn && m.s.signedInHere() == nil:
		case m.seen[st.ID] && wrong:
			sign, title = m.th.warn.Render("!"), st.Title
		case m.seen[st.ID] && st.ID != ConfigurationStep:
			sign, title = m.th.good.Render("✓"), st.Title
		}
		lines = append(lines, sign+" "+title)
	}
	return lines
}

// keyHint is a key that works now, what it does in one or two words, and both
// together in short, where that is shorter.
type keyHint struct{ key, does, short string }

// cancelKey is the way out. It works everywhere and is always shown.
var cancelKey = keyHint{"ctrl+c", "cancel", "ctrl+c"}

// footer names the keys that work now, the most useful first. Where there is no
// room for all of them, words get shorter, then the last ones are left out; help,
// which names every key, and the way out stay.
func (m *screen) footer(keys []keyHint) string { return m.th.footer(keys, m.w-2) }

func (t theme) footer(keys []keyHint, width int) string {
	draw := func(keys []keyHint, short bool) string {
		var parts []string
		for _, k := range keys {
			name, does := k.key, k.does
			if short && k.short != "" {
				name, does, _ = strings.Cut(k.short, " ")
			}
			if does != "" {
				name += " " + t.faint.Render(does)
			}
			parts = append(parts, name)
		}
		return strings.Join(parts, " · ")
	}
	line := draw(keys, false)
	for short := keys; ansi.StringWidth(line) > width; {
		line = draw(short, true)
		drop := len(short) - 2
		if drop >= 0 && short[drop].does == "help" {
			drop--
		}
		if drop < 0 {
			break
		}
		short = slices.Delete(slices.Clone(short), drop, drop+1)
	}
	return line
}

func (m *screen) drawTooSmall() []string {
	lines := []string{"The window is too small.", fmt.Sprintf("It has %d×%d cells; %d×%d are needed.", m.w, m.h, leastWidth, leastHeight), "ctrl+c cancels."}
	var all []string
	for _, line := range lines {
		all = append(all, wrapText(line, max(m.w, 1), "", "")...)
	}
	return all[:min(len(all), max(m.h, 1))]
}

func (m *screen) questionPage(width, room int) page { return m.ask.page(m.th, width, room) }

func (q *question) page(th theme, width, room int) page {
	p := page{
		title: q.title, lines: wrapText(q.text, width, "", ""),
		status: "Press y or n.",
		keys:   []keyHint{{"y", q.yes, ""}, {"n/enter", q.no, ""}, cancelKey},
	}
	if len(q.choices) > 0 {
		p.lines = append(append(p.lines, ""), q.choiceLines(th, width)...)
		p.keys, p.status = nil, "Press one of the keys."
		for _, c := range q.choices {
			p.keys = append(p.keys, keyHint{c.key, c.does, ""})
		}
		p.keys = append(p.keys, keyHint{"enter", q.no, ""}, cancelKey)
	}
	p.top = q.fit(len(p.lines), room)
	last := len(p.keys) - 1
	out := cancelKey
	if q.leaving {
		out.does = "leave"
	}
	p.keys = append(append(p.keys[:last:last], q.hint()...), out)
	return p
}

func (m *screen) pagerPage(width, room int) page { return m.pager.page(width, room, m.message) }

func (p *pager) page(width, room int, message string) page {
	lines := p.lines(width)
	p.fit(len(lines), room)
	keys := append([]keyHint{{"esc", "close", ""}}, p.hint()...)
	if len(p.copy) > 0 {
		keys = append(keys, keyHint{"y", "copy " + plural(len(p.copy), "command"), "y copy"})
	}
	return page{title: p.title, lines: lines, top: p.top, status: clean(message), keys: append(keys, cancelKey)}
}

func (m *screen) passphrasePage(width int) page { return m.secret.page(width) }

func (p *passphrase) page(width int) page {
	text, title := "The credentials on this machine are protected by a passphrase.", "Passphrase"
	if p.ask.confirm {
		text = "This machine has no keychain. Choose a passphrase that protects the credentials kept here; it will be asked for whenever one is used."
		if p.again {
			title = "Passphrase, once more"
		}
	}
	lines := append(wrapText(text, width, "", ""), "", p.th.accent.Render("›")+" "+inputView(p.input, width-2))
	if p.wrong != "" {
		lines = append(lines, p.th.bad.Render("✗")+" "+p.wrong)
	}
	return page{title: title, lines: lines, from: len(lines) - 1, to: len(lines), top: -1, keys: []keyHint{{"enter", "go on", ""}, {"esc", "do not give it", ""}, cancelKey}}
}
