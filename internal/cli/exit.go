package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/wizard"
)

var errNoHome = refuse("neither C2CONN_HOME nor HOME is set, so there is no place to keep connections; set C2CONN_HOME to a folder of your own")

// usageError is a command line that cannot be carried out as it stands.
type usageError struct {
	err     error
	command string // whose help explains it
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// verdict is the exit code of a command that did its work and said so already:
// checks that failed, a list with a damaged file.
type verdict struct{ class advice.Class }

func (v *verdict) Error() string { return fmt.Sprintf("exit code %d", int(v.class)) }

// stoppedError is a cancelled command that knows what it leaves behind.
type stoppedError struct {
	err   error
	state string
}

func (e *stoppedError) Error() string { return e.err.Error() }
func (e *stoppedError) Unwrap() error { return e.err }

func isCancelled(err error) bool {
	return errors.Is(err, wizard.ErrCancelled) || errors.Is(err, context.Canceled)
}

// refusal is an error that says all there is to say: what c2conn does not do, why,
// and what to do instead.
type refusal struct{ text string }

func (e *refusal) Error() string { return e.text }

func refuse(format string, args ...any) error { return &refusal{text: fmt.Sprintf(format, args...)} }

// adviceError carries what is known of the connection to the one place that
// turns errors into advice.
type adviceError struct {
	err   error
	facts advice.Facts
}

func (e *adviceError) Error() string { return e.err.Error() }
func (e *adviceError) Unwrap() error { return e.err }

// exit prints err in the chosen form and returns the exit code.
func (a *app) exit(ctx context.Context, root *cobra.Command, err error) int {
	if err == nil {
		return 0
	}
	var said *verdict
	if errors.As(err, &said) {
		return int(said.class)
	}
	if ctx.Err() != nil || isCancelled(err) {
		what := "Cancelled."
		var stopped *stoppedError
		if errors.As(err, &stopped) {
			what += " " + stopped.state
		}
		a.errorf("%s\n", what)
		a.jsonError("cancelled", &advice.Advice{What: what, Why: "It was stopped from outside or by Ctrl-C.", Next: []string{"Run the command again."}, Codes: []string{}})
		return int(advice.ClassCancelled)
	}
	var problems *wizard.ProblemsError
	if errors.As(err, &problems) {
		return a.exitProblems(problems, factsOf(err, a.Clock.Now()))
	}
	var refused *refusal
	var file *fs.PathError
	switch {
	case errors.As(err, &refused):
		return a.exitPlain(refused.text, "It was not done.")
	case errors.As(err, new(*connections.FullError)):
		return a.exitPlain(err.Error(), "There is no room to write.", "Make room on the disk (or raise the quota), and run the command again.")
	case errors.As(err, &file) && advice.ClassOf(err) == advice.ClassOther:
		return a.exitPlain(err.Error(), "The file or folder cannot be used.", "Check the path and its access rights.")
	}
	var wrong *usageError
	if errors.As(err, &wrong) || isCobraUsage(err) {
		command := root.CommandPath()
		if wrong != nil {
			command = wrong.command
		}
		a.errorf("c2conn: %s\nSee %s --help\n", clean(err.Error()), command)
		a.jsonError("usage", &advice.Advice{What: clean(err.Error()), Why: "The command line cannot be carried out as it stands.", Next: []string{"$ " + command + " --help"}, Codes: []string{}})
		return int(advice.ClassUsage)
	}
	class, adv := advice.ClassOf(err), advice.For(err, factsOf(err, a.Clock.Now()))
	if adv != nil && adv.Why == advice.Unknown {
		return a.exitPlain(err.Error(), adv.Why)
	}
	if adv == nil {
		adv = &advice.Advice{What: clean(err.Error()), Codes: []string{}}
	}
	var early *beforeChecks
	if errors.As(err, &early) && class == advice.ClassCheck {
		class = advice.ClassOther // no check was made, and nothing was saved
	}
	a.errorf("c2conn: %s\n", renderAdvice(adv, "  "))
	a.jsonError(errorCode(class), adv)
	return int(class)
}

// beforeChecks marks an error of the work that comes before a verification: a service
// that does not answer is no failed check then.
type beforeChecks struct{ err error }

func (e *beforeChecks) Error() string { return e.err.Error() }
func (e *beforeChecks) Unwrap() error { return e.err }

// factsOf is what is known of the connection that err concerns.
func factsOf(err error, now time.Time) advice.Facts {
	var facts advice.Facts
	var with *adviceError
	if errors.As(err, &with) {
		facts = with.facts
	}
	if facts.Now.IsZero() {
		facts.Now = now
	}
	return facts
}

// exitPlain prints an error that needs no table of advice.
func (a *app) exitPlain(what, why string, next ...string) int {
	what = clean(what)
	a.errorf("c2conn: %s\n", what)
	for _, step := range next {
		a.errorf("  %s\n", step)
	}
	a.jsonError("error", &advice.Advice{What: what, Why: why, Next: append([]string{}, next...), Codes: []string{}})
	return int(advice.ClassOther)
}

// isCobraUsage tells cobra's own complaints about arguments from errors of the
// commands; cobra has no type for them.
func isCobraUsage(err error) bool {
	text := err.Error()
	for _, start := range []string{"unknown command", "if any flags in the group"} {
		if strings.HasPrefix(text, start) {
			return true
		}
	}
	return false
}

func errorCode(c advice.Class) string {
	switch c {
	case advice.ClassUsage:
		return "usage"
	case advice.ClassAuth:
		return "sign_in_failed"
	case advice.ClassConsent:
		return "waiting_for_consent"
	case advice.ClassCheck:
		return "check_failed"
	case advice.ClassPolicy:
		return "tenant_policy"
	case advice.ClassCancelled:
		return "cancelled"
	}
	return "error"
}

// exitProblems lists all missing and wrong answers, by flag name, at once.
func (a *app) exitProblems(e *wizard.ProblemsError, facts advice.Facts) int {
	var b strings.Builder
	next := []string{}
	fmt.Fprintf(&b, "c2conn: %s\n", plural(len(e.Problems), "answer is missing or wrong", "answers are missing or wrong"))
	for _, p := range e.Problems {
		line := p.Title
		if len(p.Flags) > 0 {
			line = strings.Join(p.Flags, " | ")
		}
		text := "is missing (" + p.Title + ")"
		if !p.Missing {
			text = p.Err.Error()
			var detail string
			if adv := advice.For(p.Err, facts); adv != nil && len(adv.Codes) > 0 {
				text, detail = adv.What, strings.TrimPrefix(renderAdvice(adv, "      "), adv.What)
			}
			text = clean(text) + detail
		}
		fmt.Fprintf(&b, "  %s  %s\n", line, text)
		next = append(next, line+" "+clean(firstLine(text)))
	}
	bySet := func(p wizard.Problem) bool {
		return slices.ContainsFunc(p.Flags, func(f string) bool { return strings.HasPrefix(f, "--set ") })
	}
	if !slices.ContainsFunc(e.Problems, bySet) { // an edit takes no variables
		b.WriteString("Each can also be given by its variable, C2CONN_ and the flag's name in capitals.\n")
	}
	a.errorf("%s", b.String())
	a.jsonError("usage", &advice.Advice{What: plural(len(e.Problems), "answer is missing or wrong", "answers are missing or wrong"),
		Why: "Nothing is asked where standard input is no terminal, or with --no-input.", Next: next, Codes: []string{}})
	return int(advice.ClassUsage)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
