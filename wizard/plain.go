package wizard

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/certs"
)

// PlainOptions are what the plain dialogue needs of the world.
type PlainOptions struct {
	In  io.Reader
	Out io.Writer // by custom standard error
	// ReadPassword reads a line without showing it; nil: a secret is a line of In
	// like any other. After ctx has ended it gets half a second to come back.
	ReadPassword func(prompt string) (connections.Secret, error)
	Copy         func(text string) error // to the clipboard; nil when there is none
	Now          func() time.Time        // nil: the session's clock
}

// plain is the dialogue for screen readers and plain terminals: one question a
// line, states in words, nothing that moves.
type plain struct {
	ctx    context.Context
	s      *Session
	in     *bufio.Reader
	out    io.Writer
	secret func(prompt string) (connections.Secret, error)
	copy   func(text string) error
	now    func() time.Time
	deeds

	reading chan lineRead // a line that is being read, see readLine
	step    string        // announced last
	notice  string        // said last
	clean   *cleanup      // the removal of an unfinished registration, once it is wanted
	turned  bool          // the other way of signing in was offered
}

// errBack is the answer "back".
var errBack = errors.New("back")

// RunPlain leads the user through the session line by line and saves the
// connection through s.Save when the user says so. It returns ErrCancelled when
// ctx ends or the user leaves, and ErrInputEnded when there are no more lines;
// either inside a *HalfwayError when a registration was begun that stays in the
// tenant.
func RunPlain(ctx context.Context, s *Session, o PlainOptions) (*Outcome, error) {
	out, err := newPlain(ctx, s, o).dialogue()
	return out, s.left(err)
}

func newPlain(ctx context.Context, s *Session, o PlainOptions) *plain {
	p := &plain{ctx: ctx, s: s, in: bufio.NewReader(o.In), out: o.Out, secret: o.ReadPassword, copy: o.Copy, now: o.Now, deeds: realDeeds()}
	if p.now == nil {
		p.now = s.Env.Clock.Now
	}
	return p
}

// dialogue asks field after field, then configures and saves.
func (p *plain) dialogue() (*Outcome, error) {
	p.say("c2conn: %s.", p.s.Flow.Title)
	p.say("Each question is one line. Enter accepts what stands in brackets. Type help for an explanation, back for the previous question, Ctrl-C to leave.")
	if err := p.offerUnfinished(); err != nil {
		return nil, err
	}
	at := 0
	if p.s.begun() != "" { // on with it: the steps before the sign-in are answered
		at = p.place(keyLogin)
	}
	for {
		way := p.way()
		if at >= len(way) {
			out, to, err := p.finish()
			if out != nil || err != nil {
				return out, err
			}
			at = p.place(to)
			continue
		}
		q := way[at]
		p.announce(q.step)
		err := p.ask(q)
		var to *elsewhereError
		switch {
		case errors.As(err, &to):
			at = p.place(to.key)
		case errors.Is(err, errBack) && at == 0:
			p.say("This is the first question.")
		case errors.Is(err, errBack):
			at--
			if at > 0 && way[at].field.Key == lookFirst {
				at-- // nothing is asked there
			}
		case err != nil:
			return nil, err
		default:
			at = p.place(q.field.Key) + 1
		}
	}
}

// asked is one question and the step it belongs to, or what a step does besides
// asking: do is set then, and the field has no more than a key to come back to.
type asked struct {
	step  Step
	field Field
	do    func(Step) error
}

// elsewhereError says which question comes next.
type elsewhereError struct{ key string }

func (e *elsewhereError) Error() string { return "go to " + e.key }

// lookFirst is the key of the look at the tenant before the plan's questions.
const lookFirst = "look"

// way lists the questions as the answers stand.
func (p *plain) way() []asked {
	var way []asked
	for _, st := range p.s.Steps() {
		if st.Action == ShowPlan {
			way = append(way, asked{st, Field{Key: lookFirst}, p.lookAgain})
		}
		for _, f := range p.s.Asked(st) {
			way = append(way, asked{step: st, field: f})
		}
		switch st.Action {
		case SignIn:
			way = append(way, asked{st, Field{Key: string(SignIn)}, p.signInStep})
		case ShowPlan:
			way = append(way, asked{st, Field{Key: string(ShowPlan)}, p.planStep})
		}
	}
	return way
}

func (p *plain) ask(q asked) error {
	if q.do != nil {
		return q.do(q.step)
	}
	return p.question(q)
}

// place is where on the way the field with that key is asked; 0 when it is not.
func (p *plain) place(key string) int {
	return max(slices.IndexFunc(p.way(), func(q asked) bool { return q.field.Key == key }), 0)
}

// announce names the step when it begins, and says its notice when that changes.
func (p *plain) announce(st Step) {
	if st.ID != p.step {
		steps := p.s.Steps()
		i := slices.IndexFunc(steps, func(x Step) bool { return x.ID == st.ID })
		p.say("\nStep %d of %d: %s.", i+1, len(steps), st.Title)
		p.step, p.notice = st.ID, ""
	}
	if st.Notice == nil {
		return
	}
	if notice := st.Notice(p.s.answersInForce()); notice != p.notice {
		p.notice = notice
		if notice != "" {
			p.say("Note: %s", spoken(notice))
		}
	}
}

// question asks one field until its answer is right.
func (p *plain) question(q asked) error {
	f := q.field
	p.say("")
	if v := p.s.Value(f.Key); v.Err != nil && !errors.Is(v.Err, certs.ErrPasswordNeeded) {
		p.say("%s %s", label(f.Title), sentence(v.Err.Error()))
	}
	if f.Notice != nil {
		p.say("Note: %s", spoken(f.Notice(p.s.answersInForce())))
	}
	if f.Help != "" {
		p.say("%s %s", label(f.Title), spoken(f.Help))
	}
	for {
		var err error
		switch f.Input {
		case Choice:
			err = p.askChoice(q)
		case Secret:
			err = p.askSecret(q)
		default:
			err = p.askText(q)
		}
		if err == nil {
			err = p.lookUp(f)
		}
		var wrong *wrongError
		if !errors.As(err, &wrong) {
			return err
		}
		p.say("%s %s Please answer again.", label(f.Title), sentence(wrong.err.Error()))
	}
}

// wrongError is an answer that has to be given again.
type wrongError struct{ err error }

func (e *wrongError) Error() string { return e.err.Error() }
func (e *wrongError) Unwrap() error { return e.err }

// wrongly marks err as the fault of the answer.
func wrongly(err error) error {
	if err == nil {
		return nil
	}
	return &wrongError{err}
}

func (p *plain) askText(q asked) error {
	f := q.field
	v := p.s.Value(f.Key)
	hint := ""
	switch {
	case v.Text != "":
		hint = " [" + spoken(v.Text) + "]"
	case f.Optional:
		hint = " [none]"
	case f.Example != "":
		hint = ", for example " + f.Example
	}
	line, err := p.line(q.step, f.Title+hint+": ")
	if err != nil {
		return err
	}
	if line != "" {
		return p.set(f, wrongly(p.s.Set(f.Key, line, FromUser, "")))
	}
	switch {
	case v.Text == "" && !f.Optional:
		return &wrongError{ErrMissing}
	case v.Err != nil:
		again(p.s, f.Key)
		return wrongly(p.s.Value(f.Key).Err)
	case f.Check != nil && v.Text != "":
		_, err = f.Check(p.s.Env, p.s.answersInForce(), v.Text)
	}
	return wrongly(err)
}

// set follows a changed answer: look-ups that depended on it are due again.
func (p *plain) set(f Field, err error) error {
	for _, other := range p.s.Flow.dependents(f.Key) {
		again(p.s, other)
	}
	return err
}

func (p *plain) askChoice(q asked) error {
	f := q.field
	v := p.s.Value(f.Key)
	options := f.Options(p.s.Env)
	if f.Help == "" {
		p.say("%s", f.Title)
	}
	chosen := ""
	for i, o := range options {
		title := o.Title
		if title == "" {
			title = o.Value
		}
		text := fmt.Sprintf("%d. %s.", i+1, spoken(title))
		if o.Help != "" {
			text += " " + spoken(o.Help)
		}
		if o.Unavailable != "" {
			text += " Not available: " + spoken(o.Unavailable) + "."
		}
		if o.Value == v.Text && v.Err == nil {
			chosen = fmt.Sprint(i + 1)
		}
		p.say("%s", text)
	}
	prompt := "Number: "
	if chosen != "" {
		prompt = "Number [" + chosen + "]: "
	}
	line, err := p.line(q.step, prompt)
	if err != nil {
		return err
	}
	if line == "" && chosen == "" {
		return &wrongError{ErrMissing}
	}
	if line == "" {
		line = chosen
	}
	for i, o := range options {
		if line == fmt.Sprint(i+1) || strings.EqualFold(line, o.Title) {
			line = o.Value
			break
		}
	}
	if i := optionAt(options, strings.ToLower(line)); i >= 0 && options[i].Unavailable != "" {
		return &wrongError{&UnavailableError{Title: options[i].Title, Reason: options[i].Unavailable}}
	}
	if optionAt(options, strings.ToLower(line)) < 0 {
		return &wrongError{fmt.Errorf("type a number from 1 to %d", len(options))}
	}
	if line == v.Text && v.Origin == FromDefault && f.Check == nil {
		return nil // as proposed: it goes on following from what it follows from
	}
	err = p.s.Set(f.Key, line, FromUser, "")
	if err == nil && f.Check != nil {
		_, err = f.Check(p.s.Env, p.s.answersInForce(), line)
	}
	return p.set(f, wrongly(err))
}

func (p *plain) askSecret(q asked) error {
	f := q.field
	given := p.s.Answers.Has(f.Key)
	hint := "not shown"
	switch {
	case given && f.Optional:
		hint = "not shown; Enter keeps the one given, a single minus removes it"
	case given:
		hint = "not shown; Enter keeps the one given"
	case f.Optional:
		hint = "not shown; Enter for none"
	}
	text, err := p.readSecret(q.step, fmt.Sprintf("%s (%s): ", f.Title, hint))
	if err != nil {
		return err
	}
	switch {
	case text.IsZero() && given:
		again(p.s, f.Key)
		return wrongly(p.s.Value(f.Key).Err)
	case text.IsZero() && f.Optional:
		return nil
	case text.IsZero():
		return &wrongError{ErrMissing}
	case given && f.Optional && string(text.Reveal()) == "-":
		text = connections.Secret{}
	}
	return p.set(f, wrongly(p.s.SetSecret(f.Key, text, FromUser, "")))
}

// lookUp asks the outside world about the answer just given, and about those whose
// look-up reads it.
func (p *plain) lookUp(f Field) error {
	for _, key := range append([]string{f.Key}, p.s.Flow.dependents(f.Key)...) {
		if g, ok := p.s.field(key); !ok || !p.s.Answers.Has(key) || !p.s.answersInForce().holds(g.When) {
			continue
		}
		err := p.lookUpOne(key)
		switch {
		case err == nil:
		case p.ctx.Err() != nil:
			return ErrCancelled
		case key == f.Key && errors.Is(err, certs.ErrPasswordNeeded):
			p.say("It needs its password, which is asked for next.")
		case key == f.Key, certificateKey(err) == f.Key:
			return &wrongError{err}
		default:
			g, _ := p.s.field(key)
			p.say("%s %s", label(g.Title), sentence(err.Error()))
		}
	}
	return nil
}

func (p *plain) lookUpOne(key string) error {
	find, keep := p.s.LookupFunc(key)
	if find == nil {
		return nil
	}
	type found struct {
		note, resolved string
		err            error
	}
	answer := make(chan found, 1)
	go func() {
		var f found
		f.note, f.resolved, f.err = find(p.ctx)
		answer <- f
	}()
	word := time.NewTimer(time.Second)
	defer word.Stop()
	for {
		select {
		case <-word.C:
			p.say("Looking it up.")
		case <-p.ctx.Done():
			return p.ctx.Err()
		case f := <-answer:
			err := keep(f.note, f.resolved, f.err)
			if err == nil && f.note != "" {
				p.say("%s", sentence(f.note))
			}
			return err
		}
	}
}
