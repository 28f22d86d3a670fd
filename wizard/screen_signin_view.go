package wizard

import (
	"fmt"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"
)

// waitingPage is shown while the administrator signs in elsewhere.
func (m *screen) waitingPage(width, room int) page {
	l := &m.login
	st, _, _ := m.current()
	p := page{title: st.Title, status: m.waitingStatus()}
	switch {
	case l.prompt.Code != "":
		p.lines = m.codeLines(width, room)
		p.keys = []keyHint{{"y", "copy the code", "y copy"}, {"w", "use a browser instead", "w browser"}}
	case l.prompt.URL != "":
		p.lines = m.addressLines(width)
		p.keys = []keyHint{{"y", "copy the address", "y copy"}, {"c", "use a code instead", "c code"}}
	default:
		p.lines = wrapText("Signing in.", width, "", "")
		if other := otherWay(l.method); other != "" {
			p.lines = wrapText("Preparing the sign-in "+otherWords(l.method)+".", width, "", "")
		}
	}
	p.top = l.fit(len(p.lines), room)
	p.keys = append(append(p.keys, keyHint{"esc", "stop", ""}), append(l.hint(), keyHint{"?", "help", ""}, cancelKey)...)
	return p
}

// waitingStatus says what is waited for and how long still.
func (m *screen) waitingStatus() string {
	l := &m.login
	text := m.spinner() + " "
	switch {
	case m.message != "":
		return clean(m.message)
	case l.prompt.URL == "" && l.word != "":
		return text + clean(l.word)
	case l.prompt.URL == "":
		return text + "Asking Microsoft."
	}
	if left := l.prompt.Until.Sub(m.now()); !l.prompt.Until.IsZero() {
		s := int(max(left, 0) / time.Second)
		text += fmt.Sprintf("%d:%02d left, ", s/60, s%60)
	}
	if l.prompt.Code != "" {
		return text + "waiting for you to enter the code."
	}
	return text + "waiting for the browser."
}

// addressLines show where the browser has gone, or has to go.
func (m *screen) addressLines(width int) []string {
	l := &m.login
	var lines []string
	names := m.s.pageNames()
	if l.prompt.Opened {
		lines = wrapText("Your browser shows the sign-in page of Microsoft. "+names, width, "", "")
		lines = append(lines, "")
		lines = append(lines, wrapText("Did no page open? Go to this address on this computer:", width, "", "")...)
	} else {
		lines = wrapText("Open this address in a browser on this computer:", width, m.th.warn.Render("!")+" ", "  ")
		if l.word != "" {
			lines = append(wrapText(l.word, width, m.th.warn.Render("!")+" ", "  "), lines...)
		}
	}
	lines = append(lines, linkLines(l.prompt.URL, width)...)
	if !l.prompt.Opened {
		lines = append(lines, "")
		lines = append(lines, wrapText("It is the sign-in page of Microsoft. "+names, width, "", "")...)
	}
	return lines
}

// linkLines break an address at the edge, without an indent, so that it can be
// selected and pasted.
func linkLines(url string, width int) []string {
	return strings.Split(ansi.Hardwrap(clean(url), width, true), "\n")
}

// codeLines show the code, in letters as large as there is room for.
func (m *screen) codeLines(width, room int) []string {
	l := &m.login
	code := clean(l.prompt.Code)
	draw := func(large bool, last string, space ...string) []string {
		lines := wrapText("1. On any device: "+l.prompt.URL, width, "", "   ")
		enter := "2. Enter this code: "
		if l.copied {
			enter = "2. Enter this code (it is on the clipboard): "
		}
		big, fits := largeText(code, width-3)
		if large && fits {
			lines = append(append(lines, enter+m.th.bold.Render(code)), space...)
			for _, line := range big {
				lines = append(lines, "   "+m.th.accent.Render(line))
			}
			lines = append(lines, space...)
		} else {
			lines = append(lines, wrapText(strings.TrimSpace(enter), width, "", "   ")...)
			lines = append(lines, "   "+m.th.accent.Render(strings.Join(strings.Split(code, ""), " ")))
		}
		return append(lines, wrapText(last, width, "3. ", "   ")...)
	}
	all := "Sign in there as administrator. " + m.s.pageNames()
	short, _, _ := strings.Cut(m.s.pageNames(), ":")
	brief := "Sign in there. " + short + "."
	for _, lines := range [][]string{draw(true, all, ""), draw(true, brief, ""), draw(true, brief), draw(false, all)} {
		if len(lines) <= room {
			return lines
		}
	}
	return draw(false, "Sign in there.")
}

// signInTroublePage says why a sign-in failed and what there is to do.
func (m *screen) signInTroublePage(width, room int) page {
	l := &m.login
	st, _, _ := m.current()
	p := page{title: st.Title, lines: m.adviceLines(l.trouble, width, true), status: m.th.bad.Render("✗") + " Not signed in. Nothing was changed."}
	if m.message != "" {
		p.status = clean(m.message)
	}
	p.top = l.fit(len(p.lines), room)
	p.keys = []keyHint{{"enter", "try again", ""}}
	switch l.method {
	case LoginBrowser:
		p.keys = append(p.keys, keyHint{"c", "use a code instead", "c code"})
	case LoginDeviceCode:
		p.keys = append(p.keys, keyHint{"w", "use a browser instead", "w browser"})
	}
	if n := len(commands(l.trouble.Next)); n > 0 {
		p.keys = append(p.keys, keyHint{"y", "copy " + plural(n, "command"), "y copy"})
	}
	p.keys = append(append(p.keys, keyHint{"esc", "back", ""}), append(l.hint(), keyHint{"?", "help", ""}, cancelKey)...)
	return p
}

// signedInPage shows who has signed in where, to be confirmed.
func (m *screen) signedInPage(width, room int) page {
	who := m.s.signedInHere()
	st, _, _ := m.current()
	p := page{title: st.Title, status: m.th.good.Render("✓") + " Signed in; nothing is changed yet. Is this right?"}
	if m.message != "" {
		p.status = clean(m.message)
	}
	add := func(title string, values ...string) {
		for _, v := range values {
			if v == "" {
				continue
			}
			first, rest := pad(title, 9), strings.Repeat(" ", 9)
			if width < 45 { // an id in one piece
				first, rest = strings.TrimLeft(title+" ", " "), ""
			}
			p.lines = append(p.lines, wrapText(v, width, first, rest)...)
			title = ""
		}
	}
	title := "Account"
	if who.App {
		title = "App"
	}
	add(title, who.Account)
	add("Tenant", tenantWords(who.Tenant.Name, who.Tenant.Domain, ""), who.Tenant.ID)
	roles := strings.Join(who.Roles, ", ")
	if roles == "" {
		roles = "none that can be seen"
	}
	add("Roles", roles)
	for i, note := range who.Notes {
		if i == 0 {
			p.lines = append(p.lines, "")
		}
		p.lines = append(p.lines, wrapText(note, width, m.th.warn.Render("!")+" ", "  ")...)
	}
	if m.clean != nil {
		p.lines = append(append(p.lines, ""), wrapText("Going on removes from this tenant what the unfinished registration of “"+
			m.s.Value(keyAppName).Text+"” has made.", width, m.th.warn.Render("!")+" ", "  ")...)
	}
	p.top = m.login.fit(len(p.lines), room)
	p.keys = []keyHint{{"enter", "continue", ""}, {"o", "somebody else", "o other"}}
	if m.clean != nil {
		p.keys[0].does = "clean up"
	}
	p.keys = append(append(p.keys, keyHint{"esc", "back", ""}), append(m.login.hint(), keyHint{"?", "help", ""}, cancelKey)...)
	return p
}
