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

// question is a yes-or-no that stands in front of everything else.
type question struct {
	title, text, yes, no string
	then                 func() tea.Cmd
}

func (m *screen) questionKey(k tea.KeyPressMsg) tea.Cmd {
	switch strings.ToLower(k.String()) {
	case "y":
		then := m.ask.then
		m.ask = nil
		return then()
	case "n", "esc", "enter":
		m.ask = nil
	}
	return nil
}

func (m *screen) askLeave() {
	m.ask = &question{
		title: "Leave without saving?",
		text:  "Your answers are thrown away. Nothing has been saved, and nothing in your tenant was changed.",
		yes:   "leave", no: "stay",
		then: func() tea.Cmd { return m.leave(ErrCancelled) },
	}
}

// pager is a text that scrolls: the help of a step, the details of a task.
type pager struct {
	title  string
	lines  func(width int) []string
	top    int
	height int      // as drawn last
	length int      // as drawn last
	copy   []string // command lines that y copies
	close  string   // the key that opened it closes it too
}

func (m *screen) pagerKey(k tea.KeyPressMsg) tea.Cmd {
	p := m.pager
	switch name := k.String(); name {
	case "esc", "q", "enter", "f1", "ctrl+g", p.close:
		m.pager, m.message = nil, ""
	case "up", "k":
		p.top--
	case "down", "j":
		p.top++
	case "pgup", "b":
		p.top -= max(p.height-1, 1)
	case "pgdown", "space":
		p.top += max(p.height-1, 1)
	case "home", "g":
		p.top = 0
	case "end", "G":
		p.top = p.length
	case "y":
		return m.copyCommands(p.copy)
	}
	p.top = max(min(p.top, p.length-p.height), 0)
	return nil
}

func (m *screen) copyCommands(lines []string) tea.Cmd {
	if len(lines) == 0 {
		return nil
	}
	if m.copyText == nil {
		m.message = "There is no clipboard here; select the lines in the terminal."
		return nil
	}
	text, put := strings.Join(lines, "\n"), m.copyText
	return m.background(func() tea.Msg { return copiedMsg{len(lines), put(text)} })
}

func (m *screen) copied(msg copiedMsg) {
	switch {
	case msg.err != nil:
		m.message = "The clipboard did not take it: " + msg.err.Error()
	case msg.lines == 1:
		m.message = "Copied 1 command line."
	default:
		m.message = fmt.Sprintf("Copied %d command lines.", msg.lines)
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
		if st.ID == ConfigurationStep {
			keys = append(slices.Clone(configurationHelpKeys), keys...)
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
	reply := make(chan passphraseReply, 1)
	m.send(askPassphraseMsg{confirm, reply})
	select {
	case r := <-reply:
		if r.given {
			return r.secret, nil
		}
		return connections.Secret{}, ErrCancelled
	case <-ctx.Done():
		go m.send(passphraseGoneMsg{reply})
		return connections.Secret{}, ctx.Err()
	case <-m.ctx.Done():
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
	p := m.secret
	switch k.String() {
	case "esc":
		p.answer("", false)
		m.secret = nil
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
			m.secret = nil
		}
	case "tab", "shift+tab":
	default:
		p.input.Update(k)
	}
	return nil
}
