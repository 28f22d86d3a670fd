package wizard

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/registration"
)

// unsettled reports whether leaving now would leave something in the tenant that
// no saved connection stands for.
func (m *screen) unsettled() bool {
	return m.run.active && (m.s.Automatic() || m.run.rolling) || m.s.begun() != ""
}

// interrupt is Ctrl-C: it leaves at once, but asks once where a registration would
// be left unfinished.
func (m *screen) interrupt() tea.Cmd {
	if !m.unsettled() || m.ask != nil && m.ask.leaving {
		return m.leave(ErrCancelled)
	}
	if m.secret != nil {
		m.secret.answer("", false)
		m.secret = nil
	}
	m.askAbandon()
	return nil
}

// askAbandon asks what becomes of a registration when the user leaves.
func (m *screen) askAbandon() {
	q := &question{
		title: "Leave the registration unfinished?", text: m.s.keptWords(), no: "stay", leaving: true,
		choices: []choice{{key: "l", does: "leave", means: "Leave it as it is.", then: func() tea.Cmd { return m.leave(ErrCancelled) }}},
	}
	if m.s.SignedIn() != nil && !m.run.rolling {
		q.choices = append(q.choices, choice{key: "x", does: "roll back", means: "Remove now what has been made, then leave.", then: func() tea.Cmd {
			return m.afterRun(func() tea.Cmd { return m.startRollback(m.s.begun(), true) })
		}})
	}
	m.ask = q
}

// afterRun does then once the run under way has ended, which it is told to.
func (m *screen) afterRun(then func() tea.Cmd) tea.Cmd {
	if !m.run.active {
		return then()
	}
	m.run.then = then
	m.haltRun()
	return nil
}

// haltRun tells the run under way to end. What it says then is heard: it knows what
// has been made.
func (m *screen) haltRun() {
	if m.run.active {
		m.run.halting = true
		m.run.halt()
	}
}

// brokeOff takes in why a run did not come to its end.
func (m *screen) brokeOff(err error) {
	r := &m.run
	if !r.chosen {
		r.at = max(r.worst(), 0)
	}
	switch {
	case errors.Is(err, context.Canceled) && !errors.As(err, &r.halfway):
		then := r.then
		m.forget()
		m.run.onList, m.run.then = true, then
		m.message = "Stopped before anything was changed."
		return
	case errors.As(err, &r.halfway):
		r.front = true
		r.trouble = m.s.adviseSignIn(r.halfway.Err)
		if errors.Is(err, context.Canceled) {
			r.trouble = &advice.Advice{What: "You stopped the registration of “" + r.halfway.AppName + "”."}
		}
	case errors.As(err, &r.problem):
	case m.s.Automatic():
		r.trouble = m.s.adviseSignIn(err)
	default:
		r.trouble = m.s.explain(err)
	}
	if days := m.s.allowance(err); days != "" && r.then == nil {
		m.ask = &question{
			title: "Shorter life?", text: m.s.allowanceWords(days), yes: "use that and go on", no: "no",
			then: func() tea.Cmd {
				_ = m.s.Set(keyCertDays, days, FromUser, "") // a number of days by construction
				return m.startRun()
			},
		}
	}
}

// registrationKey handles the keys that a registration adds to the Configuration.
func (m *screen) registrationKey(name string) (tea.Cmd, bool) {
	r := &m.run
	switch {
	case r.active && (m.s.Automatic() || r.rolling) && (name == "b" || name == "esc"):
		m.haltRun()
	case r.active || !r.onList || r.halfway == nil && !r.waiting():
		return nil, false
	case name == "t", name == "esc" && r.front:
		r.front = !r.front
	case name == "y" && r.waiting():
		return m.put("the address", m.s.consentLink(r.outcome)), true
	case name == "r" && r.stuck:
		return m.startRollback(m.s.begun(), false), true
	case name == "x" && r.halfway != nil && !r.stuck:
		m.askRollback()
	case name == "k" && r.halfway != nil:
		m.ask = &question{title: "Keep it and leave?", text: m.s.keptWords(), yes: "leave", no: "stay", leaving: true,
			then: func() tea.Cmd { return m.leave(ErrCancelled) }}
	case r.front && name != "enter" && name != "b":
		return nil, r.key(name)
	default:
		return nil, false
	}
	return nil, true
}

// waiting reports whether all that is missing is an administrator's consent.
func (r *run) waiting() bool { return r.finished && r.outcome.Waiting }

func (m *screen) askRollback() {
	run := m.s.begun()
	m.ask = &question{
		title: "Roll back?",
		text:  "What this registration has made is removed from your tenant for good, and its key from this computer.",
		yes:   "roll back", no: "no", then: func() tea.Cmd { return m.startRollback(run, false) },
	}
}

// startRollback removes what a run has made, and then leaves or goes back to the
// plan.
func (m *screen) startRollback(begun string, leave bool) tea.Cmd {
	if begun == "" { // nothing had been made
		if leave {
			return m.leave(ErrCancelled)
		}
		return nil
	}
	m.enter(ConfigurationStep)
	m.stopRun()
	half := m.run.halfway
	if half == nil {
		half = &HalfwayError{Run: begun, AppName: m.s.Value(keyAppName).Text, Err: ErrCancelled}
	}
	m.run = run{rolling: true, halfway: half}
	if leave {
		m.run.then = func() tea.Cmd { return m.leave(ErrCancelled) }
	}
	session, rollback, look := m.s.fork(), m.rollback, m.look
	return m.launch(session, func(ctx context.Context, listen func(task.Event)) (*Outcome, error) {
		if err := rollback(ctx, session, begun, listen); err != nil {
			return nil, err
		}
		// The tenant has changed; should reading it fail, the plan tells.
		_ = look(ctx, session)
		return nil, nil
	})
}

// rolledBack is the end of a rollback.
func (m *screen) rolledBack(err error) tea.Cmd {
	r := &m.run
	then := r.then
	if err != nil {
		r.then, r.rolling, r.stuck, r.front = nil, false, true, true
		r.trouble = m.s.adviseSignIn(err)
		if errors.Is(err, context.Canceled) {
			r.trouble = &advice.Advice{What: "You stopped the removal."}
		}
		return nil
	}
	m.s.learn(r.session)
	if then != nil {
		return then()
	}
	const gone = "Rolled back. Nothing of it is left in your tenant."
	if m.clean != nil {
		return m.cleanedUp(gone)
	}
	m.run = run{}
	for _, st := range m.s.Steps() {
		if st.Action == ShowPlan {
			cmd := m.goTo(st.ID)
			m.message = gone
			return cmd
		}
	}
	return nil
}

// summaryPage stands in front of the tasks when a registration needs a decision.
func (m *screen) summaryPage(width, room int) page {
	r := &m.run
	p := page{title: "Configuration", keys: m.configurationKeys(), status: m.configurationStatus()}
	if r.waiting() {
		p.lines = wrapText(consentWords(r.outcome), width, m.th.warn.Render("!")+" ", "  ")
		p.lines = append(p.lines, "")
		p.lines = append(p.lines, linkLines(m.s.consentLink(r.outcome), width)...)
		p.lines = append(p.lines, "")
		p.lines = append(p.lines, wrapText("Finish saves the connection as waiting for consent. When it is given: c2conn consent "+advice.ShellWord(r.outcome.Connection.Name), width, "", "")...)
	} else {
		p.lines = wrapText(r.trouble.What, width, m.th.bad.Render("✗")+" ", "  ")
		if r.trouble.Why != "" {
			p.lines = append(p.lines, wrapText(r.trouble.Why, width, "  ", "  ")...)
		}
		p.lines = append(p.lines, "")
		for _, c := range r.waysOut(m.s) {
			p.lines = append(p.lines, wrapText(c[1], width, m.th.bold.Render(c[0])+"  ", "   ")...)
		}
	}
	p.top = r.fit(len(p.lines), room)
	return p
}

// waysOut are what can become of what a registration has made when it broke off, by
// the key for each.
func (r *run) waysOut(s *Session) [][2]string {
	keep := [2]string{"k", "Keep it and leave. " + s.keptWords()}
	if r.stuck {
		return [][2]string{{"r", "Try again to remove it."}, keep}
	}
	return [][2]string{
		{"r", "Try again: goes on where it broke off."},
		{"x", "Roll back: removes what was made from your tenant and from this computer."},
		keep,
	}
}

func (m *screen) startCleanup() tea.Cmd { return m.startRollback(m.clean.run, false) }

// cleanedUp goes on with the answers as they were, and with whom has signed in.
func (m *screen) cleanedUp(word string) tea.Cmd {
	m.clean.done(m.s)
	m.clean, m.run = nil, run{}
	for _, st := range m.s.Steps() {
		if st.Action == SignIn {
			cmd := m.goTo(st.ID)
			m.message = word
			return cmd
		}
	}
	return nil
}

// lookForUnfinished asks for what earlier runs have left.
func (m *screen) lookForUnfinished() tea.Cmd {
	if v, given := m.s.Answers[keyRegistration]; given && v.Text == byHand {
		return nil
	}
	session, look, ctx := m.s.fork(), m.unfinished, m.ctx
	return m.background(func() tea.Msg {
		list, err := look(ctx, session)
		if err != nil || len(list) == 0 {
			return nil // c2conn app cleanup tells what is wrong with the journals
		}
		return unfinishedMsg{list}
	})
}

// offerUnfinished asks what becomes of the first of them, and then of the others.
func (m *screen) offerUnfinished(list []registration.Unfinished) {
	if len(list) == 0 || m.s.begun() != "" {
		return
	}
	u, others := list[0], list[1:]
	more := ""
	if len(others) > 0 {
		more = fmt.Sprintf(" (1 of %d)", len(list))
	}
	m.ask = &question{
		title: "An unfinished registration" + more, text: unfinishedWords(u), no: "leave it as it is",
		otherwise: func() tea.Cmd { m.offerUnfinished(others); return nil },
		choices: []choice{
			{key: "r", does: "resume", means: "Resume: sign in, then Configure goes on where it ended.", then: func() tea.Cmd {
				m.s.Resume(u)
				return m.toSignIn()
			}},
			{key: "c", does: "clean up", means: "Clean up: sign in, then what it made is removed from the tenant and from this computer.", then: func() tea.Cmd {
				m.clean = m.s.cleaning(u)
				return m.toSignIn()
			}},
		},
	}
	if u.RollingBack { // what is half removed cannot be gone on with
		m.ask.choices = m.ask.choices[1:]
	}
}

// toSignIn goes to the sign-in step, past steps that are answered.
func (m *screen) toSignIn() tea.Cmd {
	for _, st := range m.s.Steps() {
		if st.Action == SignIn {
			return m.goTo(st.ID)
		}
		m.seen[st.ID] = true
	}
	return nil
}

// choiceLines are the answers to a question, a key in front of each.
func (q *question) choiceLines(th theme, width int) []string {
	var lines []string
	for _, c := range append(slices.Clone(q.choices), choice{key: "enter", means: strings.ToUpper(q.no[:1]) + q.no[1:] + "."}) {
		lines = append(lines, wrapText(c.means, width, th.bold.Render(pad(c.key, 5))+"  ", "       ")...)
	}
	return lines
}
