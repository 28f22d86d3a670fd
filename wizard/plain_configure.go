package wizard

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/registration"
)

// finish configures and saves. It returns the outcome once it is saved, or else
// the key of the question to go back to.
func (p *plain) finish() (*Outcome, string, error) {
	st := p.s.Steps()[len(p.s.Steps())-1]
	titles := []string{}
	for _, t := range p.s.Tasks() {
		titles = append(titles, t.Title)
	}
	if n := len(registration.Steps()); p.s.Automatic() {
		p.say("\nConfigure carries out the plan: %s. Then %d checks are run: %s.", strings.Join(titles[:n], ", "), len(titles)-n, strings.Join(titles[n:], ", "))
	} else {
		p.say("\n%d checks will be run: %s. %s", len(titles), strings.Join(titles, ", "), p.s.unchanged())
	}
	if _, err := p.line(st, "Press Enter to configure: "); err != nil {
		if errors.Is(err, errBack) {
			return nil, keyName, nil
		}
		return nil, "", err
	}
	for {
		out, err := p.runOnce()
		if err != nil && p.ctx.Err() != nil {
			return nil, "", ErrCancelled
		}
		var wrong *ProblemsError
		if errors.As(err, &wrong) {
			return nil, p.mend(wrong), nil
		}
		var half *HalfwayError
		if errors.As(err, &half) {
			p.say("The registration broke off.")
			p.advise(p.s.adviseSignIn(half.Err))
			again, to, err := p.brokeOff(st, half)
			if again {
				continue
			}
			return nil, to, err
		}
		if days := p.s.allowance(err); days != "" {
			p.advise(p.s.adviseSignIn(err))
			if again, err := p.shorter(st, days); again {
				continue
			} else if err != nil {
				return nil, "", err
			}
		} else if err != nil {
			p.say("It broke off.")
			p.advise(p.s.adviseSignIn(err))
		}
		again, to, err := p.decide(st, out)
		if !again {
			if err == nil && to == "" {
				return out, "", nil
			}
			return nil, to, err
		}
	}
}

// mend says which answers turned out to be wrong and names the first.
func (p *plain) mend(wrong *ProblemsError) string {
	for _, problem := range wrong.Problems {
		p.say("%s", sentence(problem.Error()))
	}
	return wrong.Problems[0].Key
}

// runOnce runs Configure and says in words what came of it.
func (p *plain) runOnce() (*Outcome, error) {
	p.say("Configuring.")
	began := p.now()
	out, err := p.configure(p.ctx, p.s, task.Calm(p.now, calm, p.report))
	if err != nil {
		return nil, err
	}
	r := run{}
	for i, result := range out.Report.Results {
		r.rows = append(r.rows, row{id: result.ID, title: result.Title, result: &out.Report.Results[i]})
	}
	p.say("Done in %d seconds: %s.", int(p.now().Sub(began).Round(time.Second).Seconds()), r.tally())
	for _, result := range out.Report.Results {
		if result.Advice != nil {
			p.say("\n%s, %s: %s", spoken(result.Title), statusWord(result.Status), spoken(result.Finding))
			p.advise(result.Advice)
		}
	}
	for _, note := range out.Notes {
		p.say("Note: %s", spoken(note))
	}
	if out.Waiting {
		p.waitForConsent(out)
	}
	return out, nil
}

// calm is how often news of one task is read out.
const calm = 5 * time.Second

func statusWord(s task.Status) string { return theme{}.status(s).word }

// report says the moments of a run that matter to a listener.
func (p *plain) report(e task.Event) {
	switch e.Kind {
	case task.Progress:
		p.say("%s: %s", spoken(e.Title), sentence(e.Text))
	case task.Finished:
		text := statusWord(e.Result.Status)
		if e.Result.Finding != "" {
			text += ", " + spoken(e.Result.Finding)
		}
		p.say("%s: %s", spoken(e.Title), sentence(text))
		for _, d := range e.Result.Details {
			p.say("%s", sentence(spoken(d)))
		}
	}
}

// advise reads an advice out.
func (p *plain) advise(a *advice.Advice) {
	if a == nil {
		return
	}
	if a.What != "" {
		p.say("What happened: %s", spoken(a.What))
	}
	if a.Why != "" {
		p.say("Why: %s", spoken(a.Why))
	}
	number := 0
	for _, step := range a.Next {
		if number == 0 {
			p.say("What next:")
		}
		if command, ok := commandLine(step); ok {
			p.say("%s", clean(command))
			number = max(number, 1)
			continue
		}
		number++
		p.say("%d. %s", number, spoken(step))
	}
	for _, f := range [][2]string{{"Link", a.Link}, {"Codes", strings.Join(a.Codes, ", ")}, {"Trace id", a.TraceID}, {"Correlation id", a.CorrelationID}} {
		if f[1] != "" {
			p.say("%s: %s", f[0], clean(f[1]))
		}
	}
}

// decide asks what to do with the outcome of a run; out is nil when it broke off.
// It returns again for another run, a key to go back to, or neither when saved.
func (p *plain) decide(st Step, out *Outcome) (again bool, to string, err error) {
	for {
		save, standard := "Save the connection", "1"
		switch {
		case out == nil:
			save, standard = "Save the connection: not available, as the checks did not come to an end", "2"
		case out.Waiting:
			save = "Save the connection as waiting for consent"
		case !out.Verified && out.Run != "":
			save = "Save the connection as registered, not verified"
		case !out.Verified:
			save, standard = "Save the connection as not verified", "2"
			if refused(out.Report) {
				standard = "3" // it is not sent again
			}
		}
		p.say("\nWhat now?\n1. %s.\n2. Run the checks again.\n3. Go back and change an answer.\n4. Leave without saving.", save)
		line, err := p.line(st, "Number ["+standard+"]: ")
		if errors.Is(err, errBack) {
			return false, keyName, nil
		}
		if err != nil {
			return false, "", err
		}
		if line = strings.TrimSpace(line); line == "" {
			line = standard
		}
		switch line {
		case "1":
			if out == nil {
				continue
			}
			err := p.save(p.ctx, p.s, out)
			if err == nil {
				return false, "", nil
			}
			if p.ctx.Err() != nil {
				return false, "", ErrCancelled
			}
			p.say("Not saved.")
			p.advise(p.s.explain(err))
		case "2":
			return true, "", nil
		case "3":
			to, err := p.which(st)
			if err != nil || to != "" {
				return false, to, err
			}
		case "4":
			if err := p.abandon(st); !errors.Is(err, errBack) {
				return false, "", err
			}
		default:
			p.say("Please type a number from 1 to 4.")
		}
	}
}

// which asks for the answer to change; none with "back".
func (p *plain) which(st Step) (string, error) {
	way := slices.DeleteFunc(p.way(), func(q asked) bool { return q.do != nil })
	p.say("Which answer?")
	for i, q := range way {
		p.say("%d. %s %s", i+1, label(q.field.Title), sentence(p.given(q.field)))
	}
	for {
		line, err := p.line(st, "Number: ")
		if errors.Is(err, errBack) {
			return "", nil
		}
		if err != nil {
			return "", err
		}
		for i, q := range way {
			if strings.TrimSpace(line) == fmt.Sprint(i+1) {
				return q.field.Key, nil
			}
		}
		p.say("Please type a number from 1 to %d.", len(way))
	}
}

// given is an answer in words.
func (p *plain) given(f Field) string {
	v := p.s.Value(f.Key)
	switch {
	case !v.Secret.IsZero():
		return "given, not shown"
	case v.Text == "":
		return "none"
	case f.Input == Choice:
		if o := f.Options(p.s.Env); optionAt(o, v.Text) >= 0 && o[optionAt(o, v.Text)].Title != "" {
			return spoken(o[optionAt(o, v.Text)].Title)
		}
	}
	return spoken(v.Text)
}
