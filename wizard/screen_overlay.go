package wizard

import (
	"context"
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"
	"charm.land/huh/v2"

	"github.com/c2conn/c2conn/connections"
)

// question stands in front of everything else: a yes-or-no, or a choice.
type question struct {
	title, text, yes, no string
	then                 func() tea.Cmd

	scroller
	choices   []choice       // instead of yes
	otherwise func() tea.Cmd // what no does; nil: nothing
	leaving   bool           // it is about leaving: Ctrl-C is an answer to it
}

// choice is one answer to a question, by its key.
type choice struct {
	key, does, means string
	then             func() tea.Cmd
}

func (m *screen) questionKey(k tea.KeyPressMsg) tea.Cmd {
	then, answered := m.ask.press(k)
	if answered {
		m.ask = nil
	}
	if then == nil {
		return nil
	}
	return then()
}

// press takes a key. Once the question is answered, what follows is then, if anything.
func (q *question) press(k tea.KeyPressMsg) (then func() tea.Cmd, answered bool) {
	name := strings.ToLower(k.String())
	switch {
	case name == "y" && q.then != nil:
		return q.then, true
	case name == "n" && q.then != nil, name == "esc", name == "enter":
		return q.otherwise, true
	}
	for _, c := range q.choices {
		if c.key == name {
			return c.then, true
		}
	}
	q.key(k.String())
	return nil, false
}

func (m *screen) askLeave() {
	if m.unsettled() {
		m.askAbandon()
		return
	}
	m.ask = &question{
		title: "Leave without saving?",
		text:  "Your answers are thrown away. Nothing has been saved, and nothing in your tenant was changed.",
		yes:   "leave", no: "stay",
		then: func() tea.Cmd { return m.leave(ErrCancelled) },
	}
}

// pager is a text that scrolls: the help of a step, the details of a task.
type pager struct {
	scroller
	title string
	lines func(width int) []string
	copy  []string // command lines that y copies
	close string   // the key that opened it closes it too
}

// scroller is what of a text that is longer than the window can be seen.
type scroller struct {
	top            int
	height, length int // as drawn last
}

// key moves the text, if name is one of the keys for that.
func (s *scroller) key(name string) bool {
	switch name {
	case "up", "k":
		s.top--
	case "down", "j":
		s.top++
	case "pgup", "b":
		s.top -= max(s.height-1, 1)
	case "pgdown", "space":
		s.top += max(s.height-1, 1)
	case "home", "g":
		s.top = 0
	case "end", "G":
		s.top = s.length
	default:
		return false
	}
	s.top = max(min(s.top, s.length-s.height), 0)
	return true
}

// fit takes note of how much is drawn and gives the first line of it.
func (s *scroller) fit(length, room int) int {
	s.height, s.length = room, length
	s.top = max(min(s.top, length-room), 0)
	return s.top
}

// hint is the footer's word for it; nothing where all can be seen.
func (s *scroller) hint() []keyHint {
	if s.length <= s.height {
		return nil
	}
	return []keyHint{{"↑↓", "scroll", ""}}
}

func (m *screen) pagerKey(k tea.KeyPressMsg) tea.Cmd {
	p := m.pager
	switch name := k.String(); name {
	case "esc", "q", "enter", "f1", "ctrl+g", p.close:
		m.pager, m.message = nil, ""
	case "y":
		return m.copyCommands(p.copy)
	default:
		p.key(name)
	}
	return nil
}

func (m *screen) copyCommands(lines []string) tea.Cmd {
	if len(lines) == 0 {
		return nil
	}
	return m.put(fmt.Sprintf("%d command %s", len(lines), plural(len(lines), "line")), strings.Join(lines, "\n"))
}

// put copies a text, which is called what, to the clipboard.
func (m *screen) put(what, text string) tea.Cmd {
	if m.copyText == nil {
		m.message = "There is no clipboard here; select it in the terminal."
		return nil
	}
	put := m.copyText
	return m.background(func() tea.Msg { return copiedMsg{what, put(text)} })
}

func (m *screen) copied(msg copiedMsg) {
	m.message = "Copied " + msg.what + "."
	if msg.err != nil {
		m.message = "The clipboard did not take it: " + msg.err.Error()
	}
}

func (m *screen) openHelp() {
	st, _, _ := m.current()
	fields := m.s.Asked(st)
	m.pager = &pager{title: "Help · " + st.Title, close: "?", lines: func(width int) []string {
		lines := wrapText(st.Help, width, "", "")
		for _, f := range fields {
			if f.Help != "" {
				lines = append(lines, "", m.th.bold.Render(clip(f.Title, width)))
				lines = append(lines, wrapText(f.Help, width, "  ", "  ")...)
			}
		}
		lines = append(lines, "", m.th.bold.Render("Keys"))
		keys := helpKeys
		switch {
		case st.ID == ConfigurationStep && m.s.Automatic():
			keys = slices.Concat(configurationHelpKeys, registrationHelpKeys, keys)
		case st.ID == ConfigurationStep:
			keys = slices.Concat(configurationHelpKeys, keys)
		case st.Action == SignIn:
			keys = slices.Concat(signInHelpKeys, keys)
		case st.Action == ShowPlan:
			keys = slices.Concat(planHelpKeys, keys)
		}
		for _, k := range keys {
			lines = append(lines, wrapText(fmt.Sprintf("%-11s %s", k[0], k[1]), width, "  ", strings.Repeat(" ", 14))...)
		}
		return lines
	}}
}

// helpKeys are the keys of the whole wizard; the footer shows those that work now.
var helpKeys = [][2]string{
	{"enter", "accept and go on"},
	{"tab", "next field; in a path: complete it"},
	{"shift+tab", "previous field, from the first one the previous step"},
	{"up, down", "choose"},
	{"esc", "back to the previous step; every answer is kept"},
	{"ctrl+o", "Application details: import a certificate file"},
	{"ctrl+g, F1", "this help; also ? where no text is typed"},
	{"q", "leave, where no text is typed"},
	{"ctrl+c", "leave at once"},
}

// configurationHelpKeys are those of the Configuration step.
var configurationHelpKeys = [][2]string{
	{"enter", "on the name: Configure, that is run the checks"},
	{"up, down", "select a check"},
	{"d, enter", "details: what happened, why, and what to do next"},
	{"y", "in the details: copy the command lines"},
	{"r", "run the checks again"},
	{"b", "while they run: stop; otherwise back and change an answer"},
	{"n", "change the name"},
	{"f", "finish: save the connection, also as not verified"},
}

// registrationHelpKeys are those that automatic registration adds there.
var registrationHelpKeys = [][2]string{
	{"x", "when it broke off: roll back what was made"},
	{"k", "when it broke off: keep what was made and leave"},
	{"t", "the tasks, or the summary in front of them"},
	{"y", "while consent is waited for: copy the address"},
}

// signInHelpKeys are those of the sign-in, planHelpKeys those of the plan.
var (
	signInHelpKeys = [][2]string{
		{"y", "while waiting: copy the address or the code"},
		{"c, w", "while waiting: a code instead, a browser instead"},
		{"esc", "while waiting: stop"},
		{"o", "signed in: sign in as somebody else"},
	}
	planHelpKeys = [][2]string{
		{"pgup, pgdn", "scroll; also up and down where nothing is asked"},
		{"y", "copy the plan"},
		{"enter", "agree to the plan; nothing is changed yet"},
	}
)

// askPassphraseMsg is the store's question for its passphrase.
type askPassphraseMsg struct {
	confirm bool
	reply   chan passphraseReply
}

// passphraseGoneMsg takes the question back: nobody waits for the answer any more.
type passphraseGoneMsg struct{ reply chan passphraseReply }

type passphraseReply struct {
	secret connections.Secret
	given  bool
}

// askPassphrase asks on the screen on behalf of background work.
func (m *screen) askPassphrase(ctx context.Context, confirm bool) (connections.Secret, error) {
	return askOn(ctx, m.ctx, m.send, confirm)
}

// askOn sends the question to the screen that lives as long as screen does.
func askOn(ctx, screen context.Context, send func(tea.Msg), confirm bool) (connections.Secret, error) {
	reply := make(chan passphraseReply, 1)
	send(askPassphraseMsg{confirm, reply})
	select {
	case r := <-reply:
		if r.given {
			return r.secret, nil
		}
		return connections.Secret{}, ErrCancelled
	case <-ctx.Done():
		go send(passphraseGoneMsg{reply})
		return connections.Secret{}, ctx.Err()
	case <-screen.Done():
		return connections.Secret{}, ErrCancelled
	}
}

// passphrase is that question on the screen.
type passphrase struct {
	ask   askPassphraseMsg
	input *huh.Input
	text  string
	first string // typed once, to be repeated
	again bool
	wrong string
	th    theme
}

func newPassphrase(ask askPassphraseMsg, th theme) *passphrase {
	p := &passphrase{ask: ask, th: th}
	p.clear()
	return p
}

func (p *passphrase) clear() {
	p.text = ""
	p.input = huh.NewInput().Prompt("").EchoMode(huh.EchoModePassword).Value(&p.text)
	p.input.WithTheme(p.th.fields)
	p.input.WithKeyMap(huh.NewDefaultKeyMap())
	p.input.Focus()
}

func (p *passphrase) answer(text string, given bool) {
	p.ask.reply <- passphraseReply{connections.NewSecret(text), given}
}

func (m *screen) passphraseKey(k tea.KeyPressMsg) tea.Cmd {
	if m.secret.press(k) {
		m.secret = nil
	}
	return nil
}

// press takes a key and reports whether the question is answered.
func (p *passphrase) press(k tea.KeyPressMsg) bool {
	switch k.String() {
	case "esc":
		p.answer("", false)
		return true
	case "enter":
		switch {
		case p.text == "":
			p.wrong = "A passphrase is needed."
		case p.ask.confirm && !p.again:
			p.first, p.again, p.wrong = p.text, true, ""
			p.clear()
		case p.again && p.text != p.first:
			p.first, p.again, p.wrong = "", false, "The two were not the same. Type it again."
			p.clear()
		default:
			p.answer(p.text, true)
			return true
		}
	case "tab", "shift+tab":
	default:
		p.input.Update(k)
	}
	return false
}
