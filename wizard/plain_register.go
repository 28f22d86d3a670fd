package wizard

import (
	"errors"
	"fmt"
	"strings"

	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/registration"
)

// lookAgain reads the tenant again, if the answers want that.
func (p *plain) lookAgain(st Step) error {
	for {
		err := p.look(p.ctx, p.s)
		if err == nil {
			break
		}
		if p.ctx.Err() != nil {
			return ErrCancelled
		}
		p.say("\nThe tenant could not be read.")
		p.advise(p.s.adviseSignIn(err))
		if _, err := p.line(st, "Press Enter to try again: "); err != nil {
			return err
		}
	}
	if same := p.s.propose().same; len(same) > 0 {
		p.say("\nIn the tenant already:")
		for _, s := range same {
			p.say("%s", sentence(s))
		}
	}
	return nil
}

// planStep reads the plan out and asks for the user's agreement.
func (p *plain) planStep(st Step) error {
	proposal := p.s.propose()
	var exists *advice.ExistsError
	switch {
	case errors.As(proposal.err, &exists):
		p.say("\n%s", p.s.undecided(proposal))
		if p.s.Value(keyIfExists).Text == registration.ExistsUse {
			return &elsewhereError{keyUseApp}
		}
		p.say("Type back to change the name of the application.")
		return &elsewhereError{keyIfExists}
	case proposal.err != nil:
		p.say("\nThere is no plan.")
		p.advise(p.s.adviseSignIn(proposal.err))
		if _, err := p.line(st, "Press Enter to go back: "); err != nil {
			return err
		}
		return errBack
	}
	p.readOut(proposal.plan)
	p.say("Nothing has been changed in your tenant so far.")
	for {
		question := "Press Enter to agree: "
		if p.copy != nil {
			question = "Press Enter to agree, or type copy to copy the plan: "
		}
		line, err := p.line(st, question)
		if err != nil || strings.TrimSpace(line) == "" {
			return err
		}
		if strings.EqualFold(strings.TrimSpace(line), wordCopy) && p.copy != nil {
			if err := p.copy(proposal.plan.Text(planWidth)); err != nil {
				p.say("The clipboard did not take it: %s", sentence(err.Error()))
			} else {
				p.say("Copied the plan.")
			}
		}
	}
}

// readOut says the plan in sentences, a line each: without the addresses of the
// requests, which nobody wants to hear. The copy has them.
func (p *plain) readOut(plan registration.Plan) {
	p.say("\nThe plan:")
	head, _, _ := strings.Cut(plan.Text(4096), "\n\n")
	for _, line := range strings.Split(head, "\n") {
		if title, text, ok := strings.Cut(strings.TrimSpace(line), "  "); ok {
			p.say("%s: %s", title, sentence(strings.TrimSpace(text)))
		} else {
			p.say("%s", sentence(line))
		}
	}
	for _, w := range plan.Warnings {
		p.say("Mind: %s", sentence(w))
	}
	p.say("\nThe changes, in this order:")
	for i, c := range plan.Changes {
		p.say("%d. %s: %s", i+1, spoken(c.Title), sentence(c.Why))
	}
	p.say("\nThe permissions:")
	for _, q := range plan.Permissions {
		consent := "Consent by " + q.ConsentBy
		if q.Granted {
			consent = "It has this one already"
		}
		writes := ""
		if q.Writes {
			writes = " It can change data."
		}
		p.say("%s of %s. Allows the application to %s; needed %s.%s %s", q.Role, q.ResourceTitle, spoken(q.Allows), spoken(q.Why), writes, sentence(consent))
	}
}

// offerUnfinished asks what becomes of registrations that earlier runs have left.
func (p *plain) offerUnfinished() error {
	if v, given := p.s.Answers[keyRegistration]; given && v.Text == byHand {
		return nil
	}
	list, err := p.unfinished(p.ctx, p.s)
	if err != nil {
		return nil // c2conn app cleanup tells what is wrong with the journals
	}
	for _, u := range list {
		p.say("\nAn earlier registration is unfinished. %s", spoken(unfinishedWords(u)))
		p.say("What shall become of it?\n1. Leave it as it is.\n2. Clean up: sign in, then what it made is removed from the tenant and from this computer.")
		if !u.RollingBack {
			p.say("3. Resume: sign in, then Configure goes on where it ended.")
		}
		switch n, err := p.number(p.s.Steps()[0], "1", 3); {
		case err != nil && !errors.Is(err, errBack):
			return err
		case n == "2":
			p.clean = p.s.cleaning(u)
			return nil
		case n == "3" && !u.RollingBack:
			p.s.Resume(u)
			return nil
		}
	}
	return nil
}

// number asks for one of the numbers up to most.
func (p *plain) number(st Step, standard string, most int) (string, error) {
	for {
		line, err := p.line(st, "Number ["+standard+"]: ")
		if err != nil {
			return "", err
		}
		if line = strings.TrimSpace(line); line == "" {
			line = standard
		}
		for i := range most {
			if line == fmt.Sprint(i+1) {
				return line, nil
			}
		}
		p.say("Please type a number from 1 to %d.", most)
	}
}

// cleanUp removes an unfinished registration and goes on with a new one.
func (p *plain) cleanUp(st Step) error {
	if _, err := p.rollBack(st, p.clean.run); err != nil {
		return err
	}
	p.clean.done(p.s)
	p.clean = nil
	return nil
}

// rollBack removes what a run has made, after a question, which may be declined.
func (p *plain) rollBack(st Step, run string) (done bool, err error) {
	for {
		line, err := p.line(st, "What it made is removed from your tenant for good, and its key from this computer. Type yes to do that, no to leave it: ")
		if err != nil {
			return false, err
		}
		switch strings.ToLower(strings.TrimSpace(line)) {
		case "no":
			return false, nil
		case "yes":
		default:
			continue
		}
		p.say("Rolling back.")
		err = p.rollback(p.ctx, p.s, run, p.report)
		if p.ctx.Err() != nil {
			return false, ErrCancelled
		}
		if err == nil {
			p.say("Rolled back. Nothing of it is left in your tenant.")
			_ = p.look(p.ctx, p.s) // should reading the tenant fail, the plan tells
			return true, nil
		}
		p.say("Not everything could be removed.")
		p.advise(p.s.adviseSignIn(err))
	}
}

// brokeOff asks what to do after a registration that broke off. It returns again
// for another run, or a key to go back to.
func (p *plain) brokeOff(st Step, half *HalfwayError) (again bool, to string, err error) {
	if days := p.s.allowance(half); days != "" {
		if again, err := p.shorter(st, days); again || err != nil {
			return again, "", err
		}
	}
	for {
		p.say("\nWhat now?\n1. Try again: goes on where it broke off.\n2. Roll back: removes what was made from your tenant and from this computer.\n3. Keep it and leave. %s\n4. Go back and change an answer.", p.s.keptWords())
		n, err := p.number(st, "1", 4)
		switch {
		case errors.Is(err, errBack):
			return false, keyName, nil
		case err != nil:
			return false, "", err
		case n == "1":
			return true, "", nil
		case n == "2":
			done, err := p.rollBack(st, p.s.begun())
			if err != nil && !errors.Is(err, errBack) {
				return false, "", err
			}
			if done {
				return false, lookFirst, nil
			}
		case n == "3":
			return false, "", ErrCancelled
		default:
			if to, err := p.which(st); err != nil || to != "" {
				return false, to, err
			}
		}
	}
}

// shorter asks whether the credential may live as long as a policy allows.
func (p *plain) shorter(st Step, days string) (bool, error) {
	line, err := p.line(st, p.s.allowanceWords(days)+" Type yes or no [yes]: ")
	if errors.Is(err, errBack) || err == nil && strings.HasPrefix(strings.ToLower(strings.TrimSpace(line)), "n") {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	_ = p.s.Set(keyCertDays, days, FromUser, "") // a number of days by construction
	return true, nil
}

// waitForConsent says what an administrator has to do after the registration.
func (p *plain) waitForConsent(out *Outcome) {
	p.say("\n%s", spoken(consentWords(out)))
	p.say("The address: %s", p.s.consentLink(out))
	p.say("When it is given, finish with: c2conn consent %s", advice.ShellWord(out.Connection.Name))
}

// abandon asks what becomes of a registration when the user leaves without saving.
func (p *plain) abandon(st Step) error {
	if p.s.begun() == "" {
		return ErrCancelled
	}
	p.say("The registration is not saved. %s", p.s.keptWords())
	p.say("1. Leave it as it is.\n2. Remove now what has been made, then leave.")
	n, err := p.number(st, "1", 2)
	if err == nil && n == "2" {
		_, err = p.rollBack(st, p.s.begun())
	}
	if err != nil {
		return err
	}
	return ErrCancelled
}
