package wizard

import (
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/c2conn/c2conn/internal/advice"
)

const (
	changeWidth = 9   // of the column that says what is changed
	besideFrom  = 150 // columns: the details stand at the right, not below
	besideWidth = 58
)

// View draws the dashboard, or the flow that is open in it.
func (m *manage) View() tea.View {
	if m.child != nil {
		return m.child.View()
	}
	lines := m.draw()
	cursor := cursorIn(lines)
	v := tea.NewView(strings.Join(lines, "\n"))
	v.AltScreen = true
	v.MouseMode = tea.MouseModeCellMotion
	v.Cursor = cursor
	return v
}

// statusLines bounds what a message may cover.
const statusLines = 5

// draw gives exactly h lines of at most w cells.
func (m *manage) draw() []string {
	if m.w < leastWidth || m.h < leastHeight {
		return (&screen{w: m.w, h: m.h}).drawTooSmall()
	}
	frame := 3
	if m.h >= rulesFrom {
		frame += 2
	}
	room := m.h - frame
	p, front := m.frontPage(room)
	var body []string
	above, below := false, false
	if front {
		top := p.top
		if top < 0 {
			top = scrolled(len(p.lines), room-2, p.from, p.to)
		}
		shown := p.lines[min(top, len(p.lines)):min(top+room-2, len(p.lines))]
		above, below = top > 0, top+room-2 < len(p.lines)
		body = append([]string{" " + m.th.bold.Render(p.title), ""}, indent(shown)...)
	} else {
		body, above, below = m.listBody(room)
		p.keys = m.keys()
		p.status = m.status()
	}
	for len(body) < room {
		body = append(body, "")
	}
	body = body[:room]
	lines := []string{between(" "+m.th.accent.Render("c2conn")+" · connections", m.tally(), m.w-1)}
	rule := func(more bool, word string) {
		if m.h >= rulesFrom {
			lines = append(lines, (&screen{w: m.w, th: m.th}).rule(more, word))
		}
	}
	rule(above, "↑ more")
	// What was just said is said whole: it covers the end of the list until the next key.
	status := strings.Split(ansi.Wrap(p.status, m.w-2, " "), "\n")
	status = status[:min(len(status), statusLines)]
	lines = append(lines, body[:room+1-len(status)]...)
	lines = append(lines, indent(status)...)
	rule(below, "↓ more")
	lines = append(lines, " "+m.th.footer(p.keys, m.w-2))
	for i, line := range lines {
		if ansi.StringWidth(line) > m.w {
			line = ansi.Truncate(line, m.w, "…")
		}
		lines[i] = strings.TrimRight(line, " ")
	}
	return lines
}

func indent(lines []string) []string {
	out := make([]string, len(lines))
	for i, line := range lines {
		out[i] = " " + line
	}
	return out
}

// frontPage is what stands in front of the list.
func (m *manage) frontPage(room int) (page, bool) {
	width := min(m.w-2, textWidth)
	var p page
	switch {
	case m.secret != nil:
		p = m.secret.page(width)
	case m.ask != nil:
		p = m.ask.page(m.th, width, room-2)
	case m.pager != nil:
		p = m.pager.page(width, room-2, "")
	case m.rename != nil:
		r := m.rename
		p = page{title: "Rename " + clean(r.c.Name), top: -1, keys: []keyHint{{"enter", "rename", ""}, {"esc", "leave it", ""}, cancelKey}}
		p.lines = append(wrapText("Nothing in the tenant refers to the name; scripts and timers that use it have to be changed.", width, "", ""),
			"", m.th.accent.Render("›")+" "+inputView(r.input, width-2))
		if r.wrong != "" {
			p.lines = append(p.lines, m.th.bad.Render("✗")+" "+clean(r.wrong))
		}
	default:
		return page{}, false
	}
	if n := len(p.keys); n > 0 && p.keys[n-1].key == "ctrl+c" {
		p.keys[n-1].does = "leave"
	}
	return p, true
}

// tally counts what is saved, what needs somebody and what is staged.
func (m *manage) tally() string {
	if !m.loaded {
		return ""
	}
	saved, need, now := 0, 0, m.now()
	for _, r := range m.rows {
		if r.change == nil || !r.change.Added {
			saved++
		}
		if _, ending := expiry(now, r.c.Credential.NotAfter); r.look(now).needsYou() || ending == styleWarn || ending == styleBad {
			need++
		}
	}
	parts := []string{fmt.Sprintf("%d saved", saved)}
	if m.w < 70 && len(m.pending) > 0 {
		parts = nil
	}
	if need > 0 {
		parts = append(parts, m.th.warn.Render(fmt.Sprintf("! %d to look at", need)))
	}
	if n := len(m.pending); n > 0 {
		parts = append(parts, m.th.accent.Render(fmt.Sprintf("* %d not saved", n)))
	}
	return strings.Join(parts, " · ")
}

func (m *manage) status() string {
	switch {
	case m.busy != "":
		return m.th.accent.Render(m.spinner()) + " " + m.busy
	case m.typing:
		return m.th.accent.Render("/") + clean(m.filter) + "\x1b[7m \x1b[27m"
	case m.trouble != "":
		return m.th.bad.Render("✗") + " " + clean(strings.Join(strings.Fields(m.trouble), " "))
	case m.message != "":
		return clean(m.message)
	case m.filter != "":
		return fmt.Sprintf("/%s  %d of %d", clean(m.filter), len(m.shown), len(m.rows))
	case len(m.jobs) > 0:
		return fmt.Sprintf("%s %d under way", m.th.accent.Render(m.spinner()), len(m.jobs))
	}
	return ""
}

func (m *manage) spinner() string { return spinnerFrames[m.frame%len(spinnerFrames)] }

// keys are those that work now, the most useful first.
func (m *manage) keys() []keyHint {
	if m.typing {
		return []keyHint{{"enter", "done", ""}, {"esc", "no filter", ""}, {"ctrl+c", "leave", ""}}
	}
	keys, plain := []keyHint{}, false
	r := m.selected()
	switch {
	case r == nil:
		keys = append(keys, keyHint{"n", "new connection", "n new"})
	case r.err != nil:
		keys = append(keys, keyHint{"i", "what is wrong", "i details"}, keyHint{"n", "new", ""})
	case r.conflict != nil:
		keys = append(keys, keyHint{"i", "why", ""}, keyHint{"y", "keep yours", ""}, keyHint{"u", "undo yours", ""})
	case r.change != nil && r.change.Deleted:
		keys = append(keys, keyHint{"u", "undo", ""}, keyHint{"n", "new", ""})
	default:
		plain = true
		keys = append(keys, keyHint{"n", "new", ""}, keyHint{"enter", "edit", ""}, keyHint{"v", "verify", ""})
		if r.change != nil {
			keys = append(keys, keyHint{"u", "undo", ""})
		} else if m.o.Rotate != nil {
			keys = append(keys, keyHint{"r", "rotate", ""})
		}
		keys = append(keys, keyHint{"d", "delete", ""})
	}
	leave := keyHint{"esc", "leave", ""}
	switch {
	case m.details:
		leave.does = "close"
	case m.filter != "":
		leave.does = "no filter"
	case len(m.jobs) > 0:
		leave.does = "stop"
	case len(m.pending) > 0:
		leave.does = "cancel"
	}
	rest := []keyHint{}
	if len(m.pending) > 0 {
		keys = slices.Insert(keys, min(3, len(keys)), keyHint{"o", "OK, save", "o OK"})
	}
	if len(m.rows) > 0 {
		if keys[0].key != "i" {
			rest = append(rest, keyHint{"i", "details", ""})
		}
		if plain {
			rest = append(rest, keyHint{"m", "rename", ""})
		}
		rest = append(rest, keyHint{"/", "filter", ""}, keyHint{"s", "sort", ""})
	}
	keys = append(keys, rest...)
	return append(keys, keyHint{"?", "help", ""}, leave)
}

// below reports how many lines the details take under the list; 0 where they stand
// beside it or are not shown.
func (m *manage) below() int {
	if !m.details || m.w >= besideFrom {
		return 0
	}
	return max(min((m.h-6)*6/10, 18), 4)
}

// listTop is the line of the first row.
func (m *manage) listTop() int {
	if m.h >= rulesFrom {
		return 3
	}
	return 2
}

// listRoom is how many rows can be seen.
func (m *manage) listRoom() int {
	frame := 4
	if m.h >= rulesFrom {
		frame += 2
	}
	return max(m.h-frame-m.below(), 1)
}

// listWidth is the width of the list.
func (m *manage) listWidth() int {
	if m.details && m.w >= besideFrom {
		return m.w - besideWidth - 2
	}
	return m.w
}

// measure finds how wide the columns have to be.
func (m *manage) measure() {
	for i := range m.widths {
		m.widths[i] = ansi.StringWidth(columnTitles[i]) + 2
	}
	m.widths[colState], m.widths[colExpires] = columnLimits[colState], columnLimits[colExpires]
	for _, r := range m.rows {
		for i, cell := range r.cells {
			m.widths[i] = max(m.widths[i], min(ansi.StringWidth(cell), columnLimits[i]))
		}
	}
}

// tellsChanges reports whether there is a column for what is changed; the mark in front
// of a row is always there.
func (m *manage) tellsChanges() bool { return len(m.pending) > 0 && m.listWidth() >= 70 }

// columns are those that have room, in order, with their widths.
func (m *manage) columns() (list []int, widths [columnCount]int) {
	room := m.listWidth() - 4
	if m.tellsChanges() {
		room -= changeWidth + 2
	}
	widths = m.widths
	used := 0
	for _, c := range columnsFirst {
		w := widths[c]
		if c == colName {
			w = min(w, 24) // what it needs at least; it takes what is left
		}
		if used+w+2 > room && c != colName && c != colState {
			continue
		}
		used += w + 2
		list = append(list, c)
	}
	widths[colName] = max(min(m.widths[colName], room-used+min(m.widths[colName], 24)), 8)
	slices.Sort(list)
	return list, widths
}

// columnAt tells which column's head is at x.
func (m *manage) columnAt(x int) string {
	list, widths := m.columns()
	at := 3
	for _, c := range list {
		if x >= at && x < at+widths[c]+2 {
			return columnKeys[c]
		}
		at += widths[c] + 2
	}
	return ""
}

// listBody draws the list with its head, and the details.
func (m *manage) listBody(room int) (body []string, above, below bool) {
	switch {
	case !m.loaded && m.trouble == "":
		return []string{"", " Reading the connections…"}, false, false
	case len(m.rows) == 0 && m.loaded:
		return m.welcome(), false, false
	}
	list, widths := m.columns()
	head := "   "
	for _, c := range list {
		title := columnTitles[c]
		if columnKeys[c] == m.sort.by {
			title += map[bool]string{false: " ↑", true: " ↓"}[m.sort.down]
		}
		head += pad(title, widths[c]) + "  "
	}
	if m.tellsChanges() {
		head += "CHANGE"
	}
	body = append(body, m.th.faint.Render(strings.TrimRight(head, " ")))
	n := m.listRoom()
	now := m.now()
	for i := m.top; i < min(m.top+n, len(m.shown)); i++ {
		body = append(body, m.drawRow(m.shown[i], i == m.at, list, widths, now))
	}
	if len(m.shown) == 0 {
		body = append(body, "", " No connection matches /"+clean(m.filter)+"; esc shows all.")
	}
	above, below = m.top > 0, m.top+n < len(m.shown)
	r := m.selected()
	if !m.details || r == nil {
		return body, above, below
	}
	if m.w >= besideFrom {
		side := m.detailLines(r, besideWidth-2, now)
		for len(body) < room {
			body = append(body, "")
		}
		for i := range body {
			left := body[i]
			if ansi.StringWidth(left) > m.listWidth() {
				left = ansi.Truncate(left, m.listWidth(), "…")
			}
			text := ""
			if i < len(side) {
				text = side[i]
			}
			body[i] = pad(left, m.listWidth()) + m.th.faint.Render("│") + " " + text
		}
		return body, above, below
	}
	// Where the list is short the details have what it leaves.
	lines := m.detailLines(r, m.w-2, now)
	for len(body) < n+1 && room-len(body)-1 > len(lines) {
		body = append(body, "")
	}
	body = append(body, (&screen{w: m.w, th: m.th}).rule(false, ""))
	if rest := room - len(body); len(lines) > rest {
		lines = append(lines[:max(rest-1, 0)], m.th.faint.Render("… more in: c2conn show "+advice.ShellWord(r.c.Name)))
	}
	return append(body, indent(lines)...), above, below
}

func (m *manage) style(n rowStyle) lipgloss.Style {
	switch n {
	case styleGood:
		return m.th.good
	case styleWarn:
		return m.th.warn
	case styleBad:
		return m.th.bad
	case styleFaint:
		return m.th.faint
	}
	return lipgloss.NewStyle()
}

func (m *manage) drawRow(r *manageRow, selected bool, list []int, widths [columnCount]int, now time.Time) string {
	var b strings.Builder
	mark := " "
	if r.change != nil {
		mark = m.th.accent.Render("*")
	}
	if selected {
		b.WriteString(m.th.accent.Render("›") + mark + " ")
	} else {
		b.WriteString(" " + mark + " ")
	}
	for _, c := range list {
		switch c {
		case colState:
			l := r.look(now)
			sign, word, style := l.sign, l.word, m.style(l.style)
			if j := m.jobs[r.c.ID]; j != nil && r.err == nil {
				sign, word, style = "…", j.text, m.th.faint
				if j.cancel != nil {
					sign, style = m.spinner(), m.th.accent
				}
			}
			b.WriteString(style.Render(sign) + pad(" "+clip(word, widths[c]-2), widths[c]-1))
		case colExpires:
			text, style := expiry(now, r.c.Credential.NotAfter)
			if r.err != nil {
				text, style = "", stylePlain
			}
			if style == stylePlain {
				b.WriteString(pad(text, widths[c]))
			} else {
				b.WriteString(m.style(style).Render(text) + pad("", widths[c]-ansi.StringWidth(text)))
			}
		default:
			text := clip(r.cells[c], widths[c])
			gap := pad("", widths[c]-ansi.StringWidth(text))
			if c == colName && selected {
				text = m.th.bold.Render(text)
			}
			b.WriteString(text + gap)
		}
		b.WriteString("  ")
	}
	if r.change != nil && m.tellsChanges() {
		b.WriteString(m.th.accent.Render(ChangeWords(*r.change)))
	}
	return b.String()
}
