package wizard

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/progress"
)

// Words that are obeyed while a sign-in is waited for.
const (
	wordStop    = "stop"
	wordCode    = "code"
	wordBrowser = "browser"
	wordCopy    = "copy"
)

// errTurn asks for the other way of signing in.
var errTurn = errors.New("the other way")

// signInStep leads an administrator through the sign-in and has it confirmed.
func (p *plain) signInStep(st Step) error {
	for {
		if who := p.s.signedInHere(); who != nil {
			return p.confirm(st, who)
		}
		p.say("\nSigning in changes nothing in your tenant.")
		if _, err := p.line(st, "Press Enter to sign in: "); err != nil {
			return err
		}
		if err := p.signInUntilDone(st); err != nil {
			return err
		}
	}
}

// signInUntilDone signs in, if need be several times.
func (p *plain) signInUntilDone(st Step) error {
	for {
		err := p.signInOnce()
		if err == nil {
			return nil
		}
		if p.ctx.Err() != nil {
			return ErrCancelled
		}
		if errors.Is(err, ErrCancelled) {
			return err // the input has ended
		}
		var wrong *ProblemsError
		switch other := otherWay(p.s.Value(keyLogin).Text); {
		case errors.Is(err, errTurn):
			_ = p.s.Set(keyLogin, other, FromUser, "") // an option of the flow itself
			continue
		case errors.As(err, &wrong):
			return &elsewhereError{p.mend(wrong)}
		case errors.Is(err, errBack):
			p.say("Stopped waiting. Nobody is signed in.")
		default:
			p.say("Not signed in. Nothing was changed.")
			p.advise(p.s.adviseSignIn(err))
		}
		again, err := p.signInAgain(st, err)
		if err != nil || !again {
			return err
		}
	}
}

// signInAgain asks what to do after a sign-in that failed.
func (p *plain) signInAgain(st Step, failed error) (again bool, err error) {
	other, standard := otherWay(p.s.Value(keyLogin).Text), "1"
	p.say("\nWhat now?\n1. Try again.\n2. Go back and change how you sign in.\n3. Leave.")
	if other != "" {
		p.say("4. Sign in %s.", otherWords(other))
		if entra.WantsOtherWay(failed) && !p.turned {
			p.turned, standard = true, "4"
		}
	}
	for {
		line, err := p.line(st, "Number ["+standard+"]: ")
		if errors.Is(err, errBack) {
			return false, &elsewhereError{keyLogin}
		}
		if err != nil {
			return false, err
		}
		if line = strings.TrimSpace(line); line == "" {
			line = standard
		}
		switch {
		case line == "1":
			return true, nil
		case line == "2":
			return false, &elsewhereError{keyLogin}
		case line == "3":
			return false, ErrCancelled
		case line == "4" && other != "":
			_ = p.s.Set(keyLogin, other, FromUser, "") // an option of the flow itself
			return true, nil
		}
		p.say("Please type one of the numbers.")
	}
}

// signInOnce signs in once and says what the administrator has to do. While it
// waits it obeys a few words: errBack when told to stop, errTurn for the other way.
func (p *plain) signInOnce() error {
	ctx, cancel := context.WithCancel(p.ctx)
	defer cancel()
	session, do := p.s.fork(), p.signIn
	words, prompts, ended := make(chan string, 8), make(chan SignInPrompt, 2), make(chan error, 1)
	go func() {
		heard := progress.With(ctx, func(u progress.Update) {
			select {
			case words <- u.Text:
			case <-ctx.Done():
			}
		})
		ended <- do(heard, session, func(prompt SignInPrompt) {
			select {
			case prompts <- prompt:
			case <-ctx.Done():
			}
		})
	}()
	p.say("Signing in.")
	var prompt SignInPrompt
	for {
		var typed chan lineRead
		if prompt.URL != "" {
			typed = p.nextLine()
		}
		select {
		case text := <-words:
			p.say("%s", sentence(text))
		case prompt = <-prompts:
			p.prompt(prompt)
		case err := <-ended:
			if err == nil {
				p.s.learn(session)
			}
			return err
		case r := <-typed:
			line, err := p.taken(r)
			if err == nil {
				err = p.obey(strings.ToLower(strings.TrimSpace(line)), prompt)
			}
			if err != nil {
				return err
			}
		case <-p.ctx.Done():
			return ErrCancelled
		}
	}
}

// prompt says what to do to sign in.
func (p *plain) prompt(s SignInPrompt) {
	minutes := ""
	if left := s.Until.Sub(p.now()); !s.Until.IsZero() {
		n := int((left + time.Minute/2) / time.Minute)
		minutes = fmt.Sprintf(" You have %d %s.", n, plural(n, "minute"))
	}
	names := spoken(p.s.pageNames())
	switch {
	case s.Code != "":
		p.say("1. On any device, go to this address: %s", clean(s.URL))
		p.say("2. Enter this code: %s. With spaces between: %s", clean(s.Code), strings.Join(strings.Split(clean(s.Code), ""), " "))
		if p.copy != nil && p.copy(s.Code) == nil {
			p.say("The code is on the clipboard.")
		}
		p.say("3. Sign in there as administrator. %s%s", names, minutes)
	case s.Opened:
		p.say("Your browser shows the sign-in page of Microsoft. %s%s", names, minutes)
		p.say("Did no page open? Go to this address on this computer: %s", clean(s.URL))
	default:
		p.say("Open this address in a browser on this computer: %s", clean(s.URL))
		p.say("It is the sign-in page of Microsoft. %s%s", names, minutes)
	}
	p.say("Waiting for you to sign in there. %s", p.waitWords(s))
}

func (p *plain) waitWords(s SignInPrompt) string {
	text := "Type " + wordStop + " and Enter to stop waiting, "
	if p.copy != nil {
		text += wordCopy + " to copy the address or code, "
	}
	if s.Method == LoginDeviceCode {
		return text + wordBrowser + " to use a browser on this computer instead."
	}
	return text + wordCode + " to use a code instead."
}

// obey does what was typed while a sign-in is waited for. Nothing typed here is the
// answer to a later question.
func (p *plain) obey(word string, s SignInPrompt) error {
	switch {
	case word == wordStop, word == "back":
		return errBack
	case word == wordCode && s.Method == LoginBrowser, word == wordBrowser && s.Method == LoginDeviceCode:
		return errTurn
	case word == wordCopy && p.copy != nil:
		text, what := s.URL, "address"
		if s.Code != "" {
			text, what = s.Code, "code"
		}
		if err := p.copy(text); err != nil {
			p.say("The clipboard did not take it: %s", sentence(err.Error()))
			return nil
		}
		p.say("Copied the %s.", what)
		return nil
	}
	p.say("Still waiting for you to sign in. %s", p.waitWords(s))
	return nil
}

// confirm has the user look at who has signed in where.
func (p *plain) confirm(st Step, who *SignedIn) error {
	what := "Account"
	if who.App {
		what = "Application"
	}
	p.say("\nSigned in. Nothing has been changed so far.")
	p.say("%s: %s", what, spoken(who.Account))
	p.say("Tenant: %s, ID %s", spoken(tenantWords(who.Tenant.Name, who.Tenant.Domain, "")), clean(who.Tenant.ID))
	roles := "none that can be seen"
	if len(who.Roles) > 0 {
		roles = strings.Join(who.Roles, ", ")
	}
	p.say("Roles: %s", sentence(roles))
	for _, note := range who.Notes {
		p.say("Note: %s", sentence(note))
	}
	for {
		line, err := p.line(st, "Press Enter if this is right, or type other to sign in as somebody else: ")
		if err != nil {
			return err
		}
		switch strings.ToLower(strings.TrimSpace(line)) {
		case "":
			if p.clean != nil {
				return p.cleanUp(st)
			}
			return nil
		case "other":
			p.s.SignOut()
			return &elsewhereError{keyLogin}
		}
	}
}
