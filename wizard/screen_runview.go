package wizard

import (
	"fmt"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/registration"
)

func (m *screen) configurationPage(width, room int) page {
	st, _, _ := m.current()
	r := &m.run
	p := page{title: st.Title, right: m.elapsed(), top: -1, keys: m.configurationKeys()}
	p.status = m.configurationStatus()
	fields := m.fields
	if r.rolling {
		p.title, fields = "Rolling back", nil
	}
	for {
		p.lines = nil
		for i, f := range fields {
			from := len(p.lines)
			p.lines = append(p.lines, m.fieldLines(f, width)...)
			if !r.onList && i == m.focus {
				p.from, p.to = from, len(p.lines)
			}
		}
		if m.density < tight && len(fields) > 0 {
			p.lines = append(p.lines, "")
		}
		for i := range r.rows {
			from := len(p.lines)
			p.lines = append(p.lines, m.rowLines(i, width)...)
			if r.onList && i == r.at {
				p.from, p.to = from, len(p.lines)
			}
		}
		p.lines = append(p.lines, m.outcomeLines(width)...)
		if len(p.lines) <= room || m.density == tight {
			return p
		}
		m.density++
	}
}

// elapsed is the time that the run has taken so far.
func (m *screen) elapsed() string {
	r := &m.run
	if r.began.IsZero() {
		return ""
	}
	end := r.ended
	if r.active {
		end = m.now()
	}
	d := end.Sub(r.began).Truncate(time.Second)
	return fmt.Sprintf("%d:%02d", int(d.Minutes()), int(d.Seconds())%60)
}

// rowLines draws a task: sign, title, state in a word, finding. What went wrong is
// shown in full, if need be beneath, and so is what went well where tasks are few.
func (m *screen) rowLines(i, width int) []string {
	r := &m.run
	w := &r.rows[i]
	look, text := m.rowLook(w)
	titles, words := 0, 0
	for j := range r.rows {
		titles = max(titles, ansi.StringWidth(r.rows[j].title))
		other, _ := m.rowLook(&r.rows[j])
		words = max(words, ansi.StringWidth(other.word))
	}
	titles = min(titles, max(width-12, 8))
	title := pad(clip(clean(w.title), titles), titles)
	mark := " "
	if r.onList && i == r.at {
		mark, title = m.th.accent.Render("›"), m.th.bold.Render(title)
	}
	line := mark + look.style.Render(look.sign) + " " + title + "  " + pad(look.word, words)
	room := width - ansi.StringWidth(line) - 2
	whole := w.result != nil && (w.result.Status == task.Fail || w.result.Status == task.Warn || 2*len(r.rows)+8 <= m.room())
	switch {
	case text == "":
	case whole && ansi.StringWidth(text) > room:
		return append([]string{line}, wrapText(text, width, "   ", "   ")...)
	case room >= 12:
		line += "  " + clip(text, room)
	}
	return []string{line}
}

// rowLook is the state of a task and what there is to say about it.
func (m *screen) rowLook(w *row) (taskLook, string) {
	switch {
	case w.result != nil:
		return m.th.status(w.result.Status), clean(w.result.Finding)
	case w.running:
		return taskLook{m.spinner(), "running", m.th.accent}, m.waitText(w.event)
	}
	return taskLook{"○", "waiting", m.th.faint}, ""
}

// waitText is what a running task waits for and how long it may still take.
func (m *screen) waitText(e task.Event) string {
	text := clean(e.Text)
	if e.Attempt > 1 && !strings.Contains(text, "try ") {
		text += fmt.Sprintf(", try %d", e.Attempt)
	}
	text = strings.TrimPrefix(text, ", ")
	if left := e.Until.Sub(m.now()); !e.Until.IsZero() && left > 0 {
		// In front: it is what may be seen of a long text.
		text = strings.TrimSuffix(fmt.Sprintf("%d s left, %s", int((left+time.Second-1).Seconds()), text), ", ")
	}
	return text
}

// outcomeLines say beneath the tasks what the run has led to.
func (m *screen) outcomeLines(width int) []string {
	r := &m.run
	var lines []string
	add := func(sign, text string) {
		lines = append(lines, "")
		lines = append(lines, wrapText(text, width, sign+" ", "  ")...)
	}
	switch {
	case r.active:
		if text := m.selected(); text != "" && m.roomBeneath() {
			add(m.spinner(), text)
		}
	case r.problem != nil:
		for _, p := range r.problem.Problems {
			add(m.th.bad.Render("✗"), p.Error())
		}
	case r.trouble != nil:
		what := "It broke off: "
		if r.unsaved {
			what = "Not saved: "
		}
		add(m.th.bad.Render("✗"), what+r.trouble.What)
	case r.finished:
		if r.at >= len(r.rows) || !r.onList || !r.chosen {
			break
		}
		if w := &r.rows[r.at]; w.result != nil && w.result.Finding != "" && w.result.Advice == nil {
			look := m.th.status(w.result.Status)
			add(look.style.Render(look.sign), w.title+", "+look.word+": "+w.result.Finding)
		}
	}
	if r.finished {
		for _, note := range r.outcome.Notes {
			add(m.th.warn.Render("!"), note)
		}
	}
	return lines
}

func (m *screen) configurationStatus() string {
	r := &m.run
	if base := m.status(); base != "" {
		return base
	}
	switch {
	case r.saving:
		return m.spinner() + " Saving."
	case r.halting:
		return m.spinner() + " Stopping; what is under way is brought to its end."
	case r.active && !m.roomBeneath() && m.selected() != "":
		_, text := m.rowLook(&r.rows[r.at])
		return m.spinner() + " " + text
	case r.active:
		return m.spinner() + " " + r.tally()
	case r.trouble != nil && r.unsaved:
		return "d shows what to do; f tries to save again."
	case r.halfway != nil && !r.rolling:
		return m.th.bad.Render("✗") + " It broke off. Choose what becomes of it."
	case r.trouble != nil && !m.roomBeneath():
		return m.th.bad.Render("✗") + " " + clean(r.trouble.What)
	case r.trouble != nil:
		return "d shows what to do; r runs again."
	case r.problem != nil:
		return "b goes back to mend it."
	case r.finished && r.outcome.Verified:
		return m.th.good.Render("✓") + " Verified: " + r.tally() + ". f saves the connection."
	case r.waiting():
		return m.th.warn.Render("!") + " Waiting for consent: " + r.tally() + ". f saves the connection."
	case r.finished && r.outcome.Run != "":
		return m.th.bad.Render("✗") + " Registered, not verified: " + r.tally() + ". d shows what to do."
	case r.refused():
		return m.th.bad.Render("✗") + " The sign-in was refused. b goes back to the password; d shows more."
	case r.finished:
		return m.th.bad.Render("✗") + " Not verified: " + r.tally() + ". d shows what to do."
	case m.s.Automatic():
		return fmt.Sprintf("Configure carries out the plan, then runs %d checks.", len(r.rows)-len(registration.Steps()))
	}
	return fmt.Sprintf("Configure runs %d checks. %s", len(r.rows), m.s.unchanged())
}

// roomBeneath reports whether what is waited for can stand beneath the tasks.
func (m *screen) roomBeneath() bool { return len(m.run.rows)+6 <= m.room() }

// selected says in full what the selected task is waiting for; "" for nothing.
func (m *screen) selected() string {
	r := &m.run
	if len(r.rows) == 0 {
		return ""
	}
	w := &r.rows[r.at]
	if look, text := m.rowLook(w); text != "" {
		return clean(w.title) + ", " + look.word + ": " + text
	}
	return ""
}

func (m *screen) configurationKeys() []keyHint {
	r := &m.run
	help, back := keyHint{"?", "help", ""}, keyHint{"b", "back", ""}
	again, details := keyHint{"r", "run again", "r again"}, keyHint{"d", "details", ""}
	switch {
	case m.leaving:
		return []keyHint{{"esc", "stay", ""}, cancelKey}
	case r.saving:
		return []keyHint{cancelKey}
	case !r.onList:
		run := keyHint{"enter", "Configure", ""}
		if m.holds() {
			run.does = "rename"
		}
		return []keyHint{run, {"shift+tab/esc", "back", "esc back"}, {"tab", "list", ""}, {"ctrl+g", "help", ""}, cancelKey}
	case r.halting:
		return []keyHint{{"↑↓", "select", ""}, cancelKey}
	case r.active:
		return []keyHint{{"b/esc", "stop", ""}, {"↑↓", "select", ""}, details, help, cancelKey}
	case r.halfway != nil:
		keys := []keyHint{{"r", "try again", "r again"}}
		if !r.stuck {
			keys = append(keys, keyHint{"x", "roll back", ""})
		}
		return append(keys, keyHint{"k", "keep and leave", "k keep"}, details, keyHint{"t", r.turned(), ""}, help, cancelKey)
	case r.waiting():
		keys := []keyHint{{"f", "finish and save", "f save"}, {"y", "copy link", "y copy"}, {"t", r.turned(), ""}, details}
		if !r.front {
			keys = append(keys, again)
		}
		return append(keys, help, cancelKey)
	case r.problem != nil:
		return []keyHint{{"b", "back and mend", "b mend"}, again, help, cancelKey}
	case r.trouble != nil && !r.unsaved:
		return []keyHint{again, back, details, help, cancelKey}
	case r.finished && r.outcome.Verified:
		return []keyHint{{"f", "finish and save", "f save"}, details, back, again, help, cancelKey}
	case r.refused():
		return []keyHint{{"b", "back and change", "b change"}, details, again, {"f", "save unverified", "f save"}, help, cancelKey}
	case r.finished:
		return []keyHint{details, again, back, {"f", "save unverified", "f save"}, help, cancelKey}
	}
	return []keyHint{{"enter", "Configure", ""}, {"n", "name", ""}, {"b/esc", "back", ""}, help, cancelKey}
}

// turned is what t shows: the tasks, or the summary in front of them.
func (r *run) turned() string {
	if r.front {
		return "tasks"
	}
	return "summary"
}

// openDetails shows what is known of the selected task, or of why all broke off.
func (m *screen) openDetails() {
	r := &m.run
	if r.trouble != nil {
		m.openAdvice("Details", "", r.trouble)
		return
	}
	if len(r.rows) == 0 {
		return
	}
	w := r.rows[r.at]
	if w.result == nil {
		return
	}
	look := m.th.status(w.result.Status)
	said := look.word
	if w.result.Finding != "" {
		said += ": " + clean(w.result.Finding)
	}
	took := fmt.Sprintf("took %.1f s", w.result.Duration.Seconds())
	if w.result.Duration < time.Second {
		took = fmt.Sprintf("took %d ms", w.result.Duration.Milliseconds())
	}
	m.openAdvice("Details · "+clean(w.title), look.style.Render(look.sign)+" "+said+m.th.faint.Render("  "+took), w.result.Advice, w.result.Details...)
}

// openAdvice shows an advice, after what else is known.
func (m *screen) openAdvice(title, headline string, a *advice.Advice, known ...string) {
	p := &pager{title: title, close: "d"}
	if a != nil {
		p.copy = commands(a.Next)
	}
	p.lines = func(width int) []string {
		var lines []string
		if headline != "" {
			lines = append(lines, strings.Split(ansi.Wrap(headline, width, ""), "\n")...)
		}
		if len(known) > 0 {
			lines = append(lines, "")
		}
		for _, k := range known {
			lines = append(lines, wrapText(clean(k), width, "  ", "    ")...)
		}
		if a == nil {
			return append(lines, "", "There is nothing to do here.")
		}
		return append(lines, m.adviceLines(a, width, headline == "")...)
	}
	m.pager = p
}

// adviceLines lays an advice out: what, why, the steps, and what support asks for.
func (m *screen) adviceLines(a *advice.Advice, width int, first bool) []string {
	var lines []string
	part := func(title string, body []string) {
		if len(body) == 0 {
			return
		}
		if !first {
			lines = append(lines, "")
		}
		first = false
		lines = append(lines, m.th.bold.Render(title))
		lines = append(lines, body...)
	}
	text := func(s string) []string {
		if s == "" {
			return nil
		}
		return wrapText(s, width, "  ", "  ")
	}
	part("What happened", text(a.What))
	part("Why", text(a.Why))
	var next []string
	number := 0
	for _, step := range a.Next {
		if command, ok := commandLine(step); ok {
			next = append(next, wrapText(command, width, "     ", "       ")...)
			continue
		}
		number++
		next = append(next, wrapText(step, width, fmt.Sprintf("  %d. ", number), "     ")...)
	}
	part("What next", next)
	var facts []string
	for _, f := range [][2]string{
		{"Link", a.Link}, {"Codes", strings.Join(a.Codes, ", ")}, {"Trace id", a.TraceID}, {"Correlation id", a.CorrelationID},
	} {
		if f[1] != "" {
			facts = append(facts, wrapText(f[1], width, "  "+pad(f[0], 15), strings.Repeat(" ", 17))...)
		}
	}
	if !a.Time.IsZero() {
		facts = append(facts, "  "+pad("Time", 15)+a.Time.UTC().Format("2006-01-02 15:04:05 UTC"))
	}
	part("For support", facts)
	return lines
}

// commandLine tells a command to copy from a sentence.
func commandLine(step string) (string, bool) {
	for _, prompt := range []string{"$ ", "PS> "} {
		if strings.HasPrefix(step, prompt) {
			return step, true
		}
	}
	return "", false
}

// commands are the command lines among the steps of an advice, without prompt.
func commands(next []string) []string {
	var list []string
	for _, step := range next {
		if line, ok := commandLine(step); ok {
			_, bare, _ := strings.Cut(line, " ")
			list = append(list, bare)
		}
	}
	return list
}
