package wizard

import (
	"context"
	"errors"

	tea "charm.land/bubbletea/v2"

	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/progress"
)

// signIn is the administrator's sign-in that is under way, or why the last one
// failed.
type signIn struct {
	scroller
	active  bool
	method  string
	session *Session // with the answers as they were when it began
	cancel  context.CancelFunc
	news    chan signInMsg
	prompt  SignInPrompt
	word    string         // what is waited for, or why no browser was opened
	copied  bool           // the code is on the clipboard
	trouble *advice.Advice // why it failed
	turned  bool           // the other way was offered
}

// signInMsg is a moment of a sign-in, or its end.
type signInMsg struct {
	of     chan signInMsg
	prompt *SignInPrompt
	word   string
	end    bool
	err    error
}

// codeCopiedMsg says that the code got onto the clipboard by itself.
type codeCopiedMsg struct{ of chan signInMsg }

// startSignIn signs in in the background, on a copy of the answers.
func (m *screen) startSignIn() tea.Cmd {
	m.stopSignIn()
	session := m.s.fork()
	ctx, cancel := context.WithCancel(m.ctx)
	news := make(chan signInMsg, 8)
	m.login = signIn{active: true, method: session.Value(keyLogin).Text, session: session, cancel: cancel, news: news, turned: m.login.turned}
	m.blur()
	do := m.signIn
	tell := func(msg signInMsg) {
		msg.of = news
		select {
		case news <- msg:
		case <-ctx.Done():
		}
	}
	work := m.background(func() tea.Msg {
		defer close(news)
		heard := progress.With(ctx, func(u progress.Update) { tell(signInMsg{word: u.Text}) })
		err := do(heard, session, func(p SignInPrompt) { tell(signInMsg{prompt: &p}) })
		tell(signInMsg{end: true, err: err})
		return nil
	})
	return tea.Batch(work, awaitSignIn(news))
}

func awaitSignIn(news chan signInMsg) tea.Cmd {
	return func() tea.Msg {
		if msg, ok := <-news; ok {
			return msg
		}
		return nil
	}
}

// stopSignIn gives up waiting; whatever the page says from now on is not heard.
func (m *screen) stopSignIn() {
	if m.login.active {
		m.login.cancel()
		m.login.active = false
	}
}

func (m *screen) signInReported(msg signInMsg) tea.Cmd {
	l := &m.login
	switch {
	case !l.active || msg.of != l.news:
		return nil // of one that was given up
	case msg.end:
		return m.signInEnded(msg.err)
	case msg.prompt != nil:
		l.prompt = *msg.prompt
		return tea.Batch(m.copyCode(), awaitSignIn(l.news))
	}
	l.word = msg.word
	return awaitSignIn(l.news)
}

// copyCode puts the code on the clipboard; where there is none it is typed.
func (m *screen) copyCode() tea.Cmd {
	put, code, of := m.copyText, m.login.prompt.Code, m.login.news
	if put == nil || code == "" {
		return nil
	}
	return m.background(func() tea.Msg {
		if put(code) != nil {
			return nil
		}
		return codeCopiedMsg{of}
	})
}

func (m *screen) codeCopied(msg codeCopiedMsg) {
	if msg.of == m.login.news {
		m.login.copied = true
	}
}

func (m *screen) signInEnded(err error) tea.Cmd {
	l := &m.login
	l.cancel()
	l.active = false
	if err == nil {
		m.s.learn(l.session)
		return nil
	}
	var wrong *ProblemsError
	if errors.As(err, &wrong) {
		return m.mend(wrong.Problems[0])
	}
	l.trouble = m.s.adviseSignIn(err)
	if other := otherWay(l.method); other != "" && entra.WantsOtherWay(err) && !l.turned {
		l.turned = true
		m.ask = &question{
			title: "Sign in the other way?",
			text:  l.trouble.What + " It may work " + otherWords(other) + ".",
			yes:   "sign in that way", no: "no", then: m.turn,
		}
	}
	return nil
}

// turn begins again in the other way.
func (m *screen) turn() tea.Cmd {
	other := otherWay(m.login.method)
	if other == "" {
		return nil
	}
	_ = m.s.Set(keyLogin, other, FromUser, "") // an option of the flow itself
	return m.startSignIn()
}

// signInPage draws what stands in place of the fields of the sign-in step; nil
// while they are there.
func (m *screen) signInPage() func(width, room int) page {
	if st, _, _ := m.current(); st.Action != SignIn {
		return nil
	}
	switch {
	case m.login.active:
		return m.waitingPage
	case m.login.trouble != nil:
		return m.signInTroublePage
	case m.s.signedInHere() != nil:
		return m.signedInPage
	}
	return nil
}

// signInKey handles a key while one of those pages is in front.
func (m *screen) signInKey(k tea.KeyPressMsg) tea.Cmd {
	l, name := &m.login, k.String()
	switch {
	case l.active:
		return m.waitingKey(name)
	case l.trouble != nil:
		return m.signInTroubleKey(name)
	}
	switch name {
	case "enter":
		if m.clean != nil {
			return m.startCleanup()
		}
		return m.next()
	case "o":
		m.s.SignOut()
		m.enter(m.step)
	case "esc", "shift+tab":
		return m.back()
	default:
		l.key(name)
	}
	return nil
}

func (m *screen) waitingKey(name string) tea.Cmd {
	l := &m.login
	switch {
	case name == "esc":
		m.stopSignIn()
		m.enter(m.step)
		m.message = "Stopped waiting. Nobody is signed in."
	case name == "y" && l.prompt.Code != "":
		return m.put("the code", l.prompt.Code)
	case name == "y" && l.prompt.URL != "":
		return m.put("the address", l.prompt.URL)
	case name == "c" && l.method == LoginBrowser, name == "w" && l.method == LoginDeviceCode:
		return m.turn()
	default:
		l.key(name)
	}
	return nil
}

func (m *screen) signInTroubleKey(name string) tea.Cmd {
	l := &m.login
	switch {
	case name == "enter", name == "r":
		return m.startSignIn()
	case name == "esc":
		l.trouble = nil
		m.enter(m.step)
	case name == "y":
		return m.copyCommands(commands(l.trouble.Next))
	case name == "c" && l.method == LoginBrowser, name == "w" && l.method == LoginDeviceCode:
		return m.turn()
	default:
		l.key(name)
	}
	return nil
}
