package wizard

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"charm.land/huh/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/c2conn/c2conn/internal/certs"
)

// How tightly fields are set: with all their help; with the help of the focused
// one only; without empty lines as well. A page takes the first that fits, and
// does not loosen up again while it is shown, so that nothing jumps about.
const (
	roomy = iota
	snug
	tight
)

// listRows is how many entries of a list are shown under a field.
const listRows = 4

func (m *screen) formPage(width, room int) page {
	st, _, _ := m.current()
	p := page{title: st.Title, top: -1, status: m.status(), keys: m.formKeys()}
	if p.status == "" && st.Action == SignIn {
		p.status = "Signing in changes nothing."
	}
	for {
		m.formLines(&p, st, width)
		if len(p.lines) <= room || m.density == tight {
			return p
		}
		m.density++
	}
}

func (m *screen) formLines(p *page, st Step, width int) {
	p.lines = nil
	for i, f := range m.fields {
		if i > 0 && m.density < tight {
			p.lines = append(p.lines, "")
		}
		from := len(p.lines)
		p.lines = append(p.lines, m.fieldLines(f, width)...)
		if i == m.focus {
			p.from, p.to = from, len(p.lines)
			switch {
			case f.def.Notice != nil:
				p.to = min(p.to, from+m.room())
			case f.pick != nil:
				p.from, p.to = m.mustSee(p.lines, from)
			}
		}
	}
	if notice := m.notice(st); notice != "" {
		p.lines = append(p.lines, "")
		p.lines = append(p.lines, wrapText(notice, width, m.th.warn.Render("!")+" ", "  ")...)
		if m.focus == len(m.fields)-1 && len(p.lines)-p.from <= m.room() {
			p.to = len(p.lines)
		}
	}
}

// mustSee are the lines of the focused choice that must be seen: all, or of one that
// is too long the option under the cursor.
func (m *screen) mustSee(lines []string, from int) (int, int) {
	to := len(lines)
	if to-from <= m.room() {
		return from, to
	}
	at := from + max(slices.IndexFunc(lines[from:], func(line string) bool { return strings.HasPrefix(ansi.Strip(line), "›") }), 0)
	end := min(at+3, to) // with its help
	return max(min(from, end), end-m.room()), end
}

func (m *screen) notice(st Step) string {
	if st.Notice == nil {
		return ""
	}
	return st.Notice(m.s.answersInForce())
}

// fieldLines draws a field: title, value, what was found for it, help, error.
func (m *screen) fieldLines(f *field, width int) []string {
	focused := f == m.focused()
	title := f.def.Title
	if f.def.Optional {
		title += " (optional)"
	}
	title = clip(title, width)
	if focused {
		title = m.th.bold.Render(title)
	}
	lines := []string{title}
	switch {
	case f.def.Notice != nil:
		lines = m.noticed(f, title, focused, width)
	case f.pick != nil:
		lines = append(lines, m.choiceLines(f, focused, true, width)...)
	default:
		lines = append(lines, m.textLines(f, focused, width)...)
	}
	if f.def.Help != "" && (focused || m.density == roomy) {
		for _, line := range wrapText(f.def.Help, width, "  ", "  ") {
			lines = append(lines, m.th.faint.Render(line))
		}
	}
	if focused {
		lines = append(lines, m.listLines(f, width)...)
	}
	if err := m.wrong(f); err != nil {
		lines = append(lines, wrapText(err.Error(), width, "  "+m.th.bad.Render("✗")+" ", "    ")...)
	}
	return lines
}

// noticed draws a choice beneath the notice that must be read before it is made. Where
// both need more lines than there are, the options' help goes first, then the notice loses
// lines of its middle: at its end stands what is to be compared.
func (m *screen) noticed(f *field, title string, focused bool, width int) []string {
	notice := wrapText(f.def.Notice(m.s.answersInForce()), width, m.th.warn.Render("!")+" ", "  ")
	if m.density < tight {
		notice = append(notice, "")
	}
	choice := m.choiceLines(f, focused, true, width)
	if len(notice)+1+len(choice) > m.room() {
		choice = m.choiceLines(f, focused, false, width)
	}
	if room := max(m.room()-1-len(choice), 1); len(notice) > room {
		end := min(room, 3) // a SHA-256 needs them at 40 columns
		head := slices.Clone(notice[:max(room-end-1, 0)])
		if room > end {
			head = append(head, "  …")
		}
		notice = append(head, notice[len(notice)-end:]...)
	}
	return slices.Concat(notice, []string{title}, choice)
}

// textLines draws the value of a text field and what was found for it, beside it
// where there is room.
func (m *screen) textLines(f *field, focused bool, width int) []string {
	note := ""
	if v := m.s.Value(f.def.Key); v.Note != "" && v.Err == nil && f.text == f.kept {
		note = clean(v.Note)
	}
	if errors.Is(m.s.Value(f.def.Key).Err, certs.ErrPasswordNeeded) {
		note = "→ needs its password, see below"
	}
	if m.looking[f.def.Key] != nil {
		note = m.spinner() + " looking it up"
	}
	var value string
	switch {
	case focused:
		value = m.th.accent.Render("›") + " " + inputView(f.input, width-2)
	case f.text == "":
		value = "  " + m.th.faint.Render(clip(example(f.def), width-2))
	case f.def.Input == Secret:
		value = "  " + strings.Repeat("*", min(len([]rune(f.text)), 40, width-2))
	default:
		value = "  " + clip(clean(f.text), width-2)
	}
	switch room := width - ansi.StringWidth(value) - 2; {
	case note == "":
		return []string{value}
	case ansi.StringWidth(note) <= room:
		return []string{value + "  " + m.th.good.Render(note)}
	}
	return []string{value, "  " + m.th.good.Render(clip(note, width-2))}
}

// inputView is huh's drawing of a text, as wide as there is room.
func inputView(input *huh.Input, width int) string {
	input.WithWidth(max(width, 4))
	input.Update(nil) // which part of a long text is shown is only reckoned in there
	return strings.TrimRight(input.View(), " ")
}

// choiceLines draws the options, with their help where there is to be any. One that cannot be taken says why, always.
func (m *screen) choiceLines(f *field, focused, help bool, width int) []string {
	label := func(o Option) string {
		mark, title := "( ) ", clean(o.Title)
		if title == "" {
			title = clean(o.Value)
		}
		if o.Value == f.taken {
			mark = "(•) "
		}
		if focused && o.Value == f.hover {
			mark = m.th.accent.Render("›") + " " + mark
		} else {
			mark = "  " + mark
		}
		if o.Value == f.taken {
			mark += m.th.bold.Render(clip(title, width-6))
		} else {
			mark += clip(title, width-6)
		}
		lines := []string{mark}
		switch {
		case o.Unavailable != "":
			lines = append(lines, wrapText("not available: "+o.Unavailable, width, "      ", "      ")...)
		case help && o.Help != "" && (m.density == roomy || focused && o.Value == f.hover):
			lines = append(lines, wrapText(o.Help, width, "      ", "      ")...)
		}
		for i := range lines[1:] {
			lines[i+1] = m.th.faint.Render(lines[i+1])
		}
		return strings.Join(lines, "\n")
	}
	if len(f.options(m.s.Env, label)) == 0 {
		return []string{"  " + m.th.faint.Render("nothing to choose from")}
	}
	f.pick.WithWidth(width)
	lines := strings.Split(f.pick.View(), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " ")
	}
	return lines
}

// listLines draws what may be picked into the focused text field.
func (m *screen) listLines(f *field, width int) []string {
	offers := f.offers()
	if len(offers) == 0 {
		return nil
	}
	top := max(min(f.onList-listRows+1, len(offers)-listRows), 0)
	var lines []string
	for i := top; i < min(top+listRows, len(offers)); i++ {
		text := clip(clean(offers[i].Title), width-4)
		if i == f.onList {
			lines = append(lines, "  "+m.th.accent.Render("›")+" "+m.th.bold.Render(text))
		} else {
			lines = append(lines, "    "+text)
		}
	}
	if more := len(offers) - top - listRows; more > 0 {
		lines = append(lines, m.th.faint.Render(fmt.Sprintf("    and %d more", more)))
	}
	return lines
}

func (m *screen) spinner() string { return spinnerFrames[m.frame%len(spinnerFrames)] }

// status is the line above the keys: what goes on, or what is wrong in this step.
func (m *screen) status() string {
	switch {
	case m.leaving:
		return m.spinner() + " Looking up the answers before going on; esc stays here."
	case m.message != "":
		return clean(m.message)
	}
	var titles []string
	for _, f := range m.fields {
		if m.wrong(f) != nil {
			titles = append(titles, f.def.Title)
		}
	}
	switch len(titles) {
	case 0:
		return ""
	case 1:
		return m.th.bad.Render("✗") + " Needs you: " + titles[0]
	}
	return m.th.bad.Render("✗") + fmt.Sprintf(" %d answers need you: ", len(titles)) + strings.Join(titles, " · ")
}

// formKeys are the keys that work on a step with fields.
func (m *screen) formKeys() []keyHint {
	f := m.focused()
	if m.leaving {
		return []keyHint{{"esc", "stay", ""}, cancelKey}
	}
	var keys []keyHint
	next, help := keyHint{"enter", "next", ""}, "?"
	if st, _, _ := m.current(); st.Action == SignIn && m.focus == len(m.fields)-1 {
		next.does = "sign in"
	}
	if f != nil && f.input != nil {
		help = "ctrl+g"
	}
	switch {
	case f != nil && f.pick != nil:
		keys = append(keys, keyHint{"↑↓", "choose", ""}, next)
	case f != nil && f.onList >= 0:
		keys = append(keys, keyHint{"enter", "take it", ""}, keyHint{"↑↓", "choose", ""})
	case f != nil && len(f.offers()) > 0:
		keys = append(keys, next, keyHint{"↓", "choose", ""})
		if f.def.Input == Path {
			keys = append(keys, keyHint{"tab", "complete", ""})
		}
	default:
		keys = append(keys, next)
	}
	if _, i, _ := m.current(); i > 0 || m.focus > 0 {
		keys = append(keys, keyHint{"shift+tab/esc", "back", "esc back"})
	} else {
		keys = append(keys, keyHint{"esc", "leave", ""})
	}
	if m.canImport() && (f == nil || f.def.Key != keyCertFile) {
		keys = append(keys, keyHint{"ctrl+o", "import", ""})
	}
	return append(keys, keyHint{help, "help", ""}, cancelKey)
}
