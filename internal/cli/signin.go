package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/c2conn/c2conn/internal/browser"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/registration"
	"github.com/c2conn/c2conn/wizard"
)

// signInOptions are the flags of a command that needs an administrator.
type signInOptions struct {
	flow    *wizard.Flow
	command func() string // as people type it, without c2conn; known once the command has its parents
	flag    func(name string) (string, bool)
}

// addSignInFlags adds the flags by which an administrator signs in: the fields of
// the wizard's own step.
func addSignInFlags(cmd *cobra.Command) *signInOptions {
	o := &signInOptions{
		flow: wizard.SignInFlow(""), flag: givenFlags(cmd),
		command: func() string { return strings.TrimPrefix(cmd.CommandPath(), "c2conn ") },
	}
	for _, f := range o.flow.Fields() {
		addFlags(cmd, f)
	}
	return o
}

// givenFlags reads the flags that were given on the command line.
func givenFlags(cmd *cobra.Command) func(name string) (string, bool) {
	return func(name string) (string, bool) {
		f := cmd.Flags().Lookup(name)
		if f == nil || !f.Changed {
			return "", false
		}
		return f.Value.String(), true
	}
}

// signIn leads an administrator through the sign-in that the flags and variables
// choose. preset answers what the command knows already: the cloud and the tenant of
// a saved connection, by the keys of their fields.
func (a *app) signIn(ctx context.Context, o *signInOptions, preset map[string]string) (registration.Admin, error) {
	env, err := a.wizardEnv()
	if err != nil {
		return registration.Admin{}, err
	}
	o.flow.Verb = o.command()
	s := wizard.NewSession(o.flow, env)
	problems := s.Fill(wizard.Source{Flag: o.flag, Getenv: a.Getenv, ReadFile: a.ReadFile, Stdin: a.secretInput(ctx)})
	for key, value := range preset {
		// What is saved was checked when it was saved, and no variable knows better.
		if v := s.Answers[key]; value != "" && v.Origin != wizard.FromFlag {
			_ = s.Set(key, value, wizard.FromDefault, "")
		}
	}
	problems = append(append(problems, s.Ready()...), a.loginMissing(s)...)
	if len(problems) > 0 {
		return registration.Admin{}, &adviceError{err: &wizard.ProblemsError{Problems: problems}, facts: s.Facts()}
	}
	if err := s.LookupAll(ctx); err != nil {
		return registration.Admin{}, &adviceError{err: err, facts: s.Facts()}
	}
	var admin *registration.Admin
	err = a.otherWayOnce(ctx, s, func() error {
		admin, err = s.Administrator(ctx, a.showSignIn)
		return err
	})
	if err != nil {
		return registration.Admin{}, &adviceError{err: &beforeChecks{err}, facts: s.Facts()}
	}
	return *admin, nil
}

// signInGiven tells whether a way of signing in was named, for the commands that can do
// without.
func (a *app) signInGiven(o *signInOptions) bool {
	return slices.ContainsFunc([]string{"login", "access-token-file", "access-token-stdin", "login-client-id"}, func(flag string) bool {
		_, ok := o.flag(flag)
		return ok
	}) || a.Getenv("C2CONN_LOGIN") != "" || a.Getenv("C2CONN_ACCESS_TOKEN") != ""
}

// loginMissing is the problem of a run in which nobody can be asked and no way of
// signing in was named: it would wait for a person who is not there.
func (a *app) loginMissing(s *wizard.Session) []wizard.Problem {
	if a.canAsk() || s.Answers.Has("login") {
		return nil
	}
	return []wizard.Problem{{Key: "login", Title: "How the administrator signs in", Flags: []string{"--login", "--access-token-file", "--access-token-stdin"}, Missing: true, Err: wizard.ErrMissing}}
}

// otherWayOnce runs a sign-in; where a policy of the tenant blocks this way of
// signing in but may allow the other, it offers that one, once.
func (a *app) otherWayOnce(ctx context.Context, s *wizard.Session, try func() error) error {
	err := try()
	if err == nil || !entra.WantsOtherWay(err) || !a.canAsk() {
		return err
	}
	other, words := wizard.LoginDeviceCode, "with a code, in a browser elsewhere (it passes where the policy is about this browser only)"
	if s.Value("login").Text == wizard.LoginDeviceCode {
		other, words = wizard.LoginBrowser, "in a browser of this computer"
	}
	yes, asked := a.ask(ctx, "A policy of the tenant blocks this way of signing in. Try the other, "+words+"?")
	if asked != nil {
		return asked
	}
	if !yes {
		return err
	}
	if err := s.Set("login", other, wizard.FromUser, ""); err != nil {
		return err
	}
	return try()
}

// showSignIn says on standard error what the administrator has to do.
func (a *app) showSignIn(p wizard.SignInPrompt) {
	until := p.Until.Local().Format("15:04")
	switch {
	case p.Method == wizard.LoginDeviceCode:
		note := ""
		if a.ErrTerminal && a.copier()(p.Code) == nil {
			note = " (copied to the clipboard)"
		}
		a.errorf("\nTo sign in, open this page in any browser:\n\n    %s\n\nand enter the code%s:\n\n    %s\n\nMicrosoft's page names %s. The code is good until %s.\n\n", clean(p.URL), note, clean(p.Code), clean(p.Client), until)
	case p.Opened:
		a.errorf("\nYour browser shows Microsoft's sign-in page, which names %s. Should it not open, go to:\n\n    %s\n\nWaiting until %s. Without a browser here: --login device-code\n\n", clean(p.Client), clean(p.URL), until)
	default:
		a.errorf("\nNo browser was opened. To sign in, open this page in a browser of this computer:\n\n    %s\n\nWaiting until %s. With a browser elsewhere: --login device-code\n\n", clean(p.URL), until)
	}
}

// openBrowser opens a page in the browser of this computer.
func (a *app) openBrowser(ctx context.Context, url string) error {
	return browser.Open(ctx, browser.Options{Getenv: a.Getenv}, url)
}

// describeAdmin says who signed in where, for the question before anything changes.
func describeAdmin(who *wizard.SignedIn) string {
	what := who.Account
	if who.App {
		what = "application " + what
	}
	text := fmt.Sprintf("Signed in as %s in %s (%s, %s)", clean(what), clean(who.Tenant.Name), clean(who.Tenant.Domain), who.Tenant.ID)
	if len(who.Roles) > 0 {
		text += "; roles: "
		for i, r := range who.Roles {
			if i > 0 {
				text += ", "
			}
			text += clean(r)
		}
	}
	return text
}

// signInLimit is how long a sign-in may take; the page and the code expire earlier.
const signInLimit = 20 * time.Minute
