package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/registration"
	"github.com/c2conn/c2conn/wizard"
)

// registrationOptions are the flags of "new" that say how to go about a
// registration rather than what it is.
type registrationOptions struct {
	dryRun, yes bool
	onFailure   string // "", rollback or keep
	unfinished  string // "", resume, cleanup or fail
	consistency time.Duration
}

func (o *registrationOptions) addRegistrationFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&o.dryRun, "dry-run", false, "show what automatic registration would change, and change nothing; nobody has to sign in")
	flags.BoolVarP(&o.yes, "yes", "y", false, "carry out the plan without asking")
	flags.StringVar(&o.onFailure, "on-failure", "", "what to do with a registration that fails half-way: rollback or keep (asked; without a terminal: rollback)")
	flags.StringVar(&o.unfinished, "unfinished", "", "what to do with a registration that an earlier run did not finish: resume, cleanup or fail (asked; without a terminal: resume)")
	flags.DurationVar(&o.consistency, "consistency-timeout", registration.DefaultConsistency, "longest wait for the tenant to know the new application everywhere")
	_ = cmd.RegisterFlagCompletionFunc("on-failure", cobra.FixedCompletions([]string{onRollback, onKeep}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("unfinished", cobra.FixedCompletions([]string{unfinishedResume, unfinishedCleanup, unfinishedFail}, cobra.ShellCompDirectiveNoFileComp))
}

const (
	onRollback = "rollback"
	onKeep     = "keep"

	unfinishedResume  = "resume"
	unfinishedCleanup = "cleanup"
	unfinishedFail    = "fail"
)

func (o *registrationOptions) checkRegistrationFlags(command string) error {
	bad := func(format string, args ...any) error {
		return &usageError{err: fmt.Errorf(format, args...), command: command}
	}
	switch o.onFailure {
	case "", onRollback, onKeep:
	default:
		return bad("--on-failure %q is neither rollback nor keep", o.onFailure)
	}
	switch o.unfinished {
	case "", unfinishedResume, unfinishedCleanup, unfinishedFail:
	default:
		return bad("--unfinished %q is none of resume, cleanup, fail", o.unfinished)
	}
	if o.consistency <= 0 {
		return bad("--consistency-timeout must be more than 0")
	}
	return nil
}

// showPlan prints the plan. It is made for the tenant when a way of signing in was
// given, else of what c2conn knows by itself.
func (o *newOptions) showPlan(ctx context.Context, s *wizard.Session) error {
	if !s.Automatic() {
		return &usageError{err: errors.New("--dry-run shows what automatic registration would change; it goes with --auto alone: nothing else changes anything"), command: "c2conn " + o.flow.Verb}
	}
	if len(s.Ready()) == 0 {
		if err := s.LookupAll(ctx); err != nil {
			return &adviceError{err: err, facts: s.Facts()}
		}
	}
	// What a plan does not need may be missing.
	wrong := slices.DeleteFunc(s.Ready(), func(p wizard.Problem) bool { return p.Missing })
	if len(wrong) > 0 {
		return o.problems(s, wrong)
	}
	if s.Answers.Has("login") {
		if err := o.signInFor(ctx, s); err != nil {
			return err
		}
	}
	plan, err := s.Plan()
	if err != nil {
		return &adviceError{err: err, facts: s.Facts()}
	}
	return o.print(printable{value: plan, name: plan.AppName, table: func() string { return plan.Text(96) }})
}

func (o *newOptions) signInFor(ctx context.Context, s *wizard.Session) error {
	ctx, cancel := context.WithTimeout(ctx, signInLimit)
	defer cancel()
	err := o.otherWayOnce(ctx, s, func() error {
		o.errorf("Signing in and reading the tenant …\n")
		return s.SignIn(ctx, o.showSignIn)
	})
	if err != nil {
		return &adviceError{err: &beforeChecks{err}, facts: s.Facts()}
	}
	o.errorf("%s.\n", describeAdmin(s.SignedIn()))
	for _, note := range s.SignedIn().Notes {
		o.errorf("  ! %s\n", wrap(clean(note), 92, "    "))
	}
	return nil
}

// automatic registers, verifies and saves.
func (o *newOptions) automatic(ctx context.Context, s *wizard.Session) error {
	if len(s.Ready()) == 0 {
		if err := s.LookupAll(ctx); err != nil {
			return &adviceError{err: err, facts: s.Facts()}
		}
	}
	problems := s.Ready()
	if !s.Answers.Has("name") && !slices.ContainsFunc(problems, func(p wizard.Problem) bool { return p.Key == "name" }) {
		problems = append(problems, wizard.Problem{Key: "name", Title: "Name of the connection", Flags: []string{"--name"}, Missing: true, Err: wizard.ErrMissing})
	}
	problems = append(problems, o.loginMissing(s)...)
	if len(problems) > 0 {
		return o.problems(s, problems)
	}
	begun, err := o.earlier(ctx, s)
	if err != nil {
		return err
	}
	if err := o.signInFor(ctx, s); err != nil {
		return err
	}
	if begun != nil && o.unfinished == unfinishedCleanup {
		if err := s.Rollback(ctx, begun.Run, o.progressLines()); err != nil {
			return &adviceError{err: err, facts: s.Facts()}
		}
		if err := s.Look(ctx); err != nil {
			return &adviceError{err: err, facts: s.Facts()}
		}
	}
	plan, err := s.Plan()
	if err != nil {
		return &adviceError{err: err, facts: s.Facts()}
	}
	if err := s.LookupProposed(ctx); err != nil { // before anybody is asked to agree
		return &adviceError{err: err, facts: s.Facts()}
	}
	if o.canAsk() && !o.yes {
		o.errorf("\n%s\n", plan.Text(96))
		ok, err := o.ask(ctx, "Carry out this plan?")
		if err != nil {
			return err
		}
		if !ok {
			return refuse("nothing was changed, as you said")
		}
	}
	out, err := s.Configure(ctx, o.progressLines())
	if err != nil {
		return o.halfway(ctx, s, err)
	}
	if !out.Waiting { // all else follows from the consent that is missing, and that is said at the end
		o.adviceLines(append(slices.Clone(out.Steps), out.Report.Results...))
	}
	// What was registered is saved whatever the checks say: the profile is how it can be
	// verified again, consented to, and found.
	if _, err := s.Save(context.WithoutCancel(ctx), out); err != nil {
		return o.notSaved(ctx, s, out, err)
	}
	return o.finish(s, out, true)
}

// earlier decides what becomes of a registration that an earlier run has left
// unfinished: one for a connection of this name is gone on with, or removed. The
// others are mentioned.
func (o *newOptions) earlier(ctx context.Context, s *wizard.Session) (*registration.Unfinished, error) {
	list, err := s.Unfinished(ctx)
	if err != nil {
		return nil, err
	}
	var mine *registration.Unfinished
	for _, u := range list {
		if strings.EqualFold(u.Connection, s.Value("name").Text) && u.Cloud == s.Value("cloud").Text {
			mine = &u
			continue
		}
		o.errorf("An earlier registration is unfinished: %s. To remove it: c2conn app cleanup %s\n", describeUnfinished(u, o.Clock.Now()), u.Run)
	}
	if mine == nil {
		return nil, nil
	}
	if o.unfinished == "" && o.canAsk() {
		o.errorf("An earlier run has left a registration for this connection unfinished: %s.\n", describeUnfinished(*mine, o.Clock.Now()))
		resume, err := o.ask(ctx, "Go on with it? (No removes it and begins anew.)")
		if err != nil {
			return nil, err
		}
		o.unfinished = unfinishedCleanup
		if resume {
			o.unfinished = unfinishedResume
		}
	}
	choice := o.unfinished
	other := !strings.EqualFold(s.Value("app_name").Text, mine.AppName) || (s.Value("new_credential").Text == "secret") != (mine.CredentialType == connections.TypeClientSecret) ||
		(s.Value("permissions").Text == string(registration.SetSeed)) != (mine.Set == registration.SetSeed)
	if choice == "" && other {
		o.errorf("An earlier run has begun a registration for this connection, but with another name, kind of credential or set of permissions: %s.\n", describeUnfinished(*mine, o.Clock.Now()))
		choice = unfinishedFail
	}
	switch choice {
	case unfinishedFail:
		return nil, &adviceError{err: &advice.UnfinishedError{Run: mine.Run, AppName: mine.AppName, Tenant: mine.Tenant.Domain}, facts: s.Facts()}
	case unfinishedCleanup:
		o.errorf("Removing what an earlier run has left: %s.\n", describeUnfinished(*mine, o.Clock.Now()))
	default:
		o.errorf("Going on with what an earlier run has begun: %s.\n", describeUnfinished(*mine, o.Clock.Now()))
		s.Resume(*mine)
	}
	return mine, nil
}

// describeUnfinished names an unfinished registration in a line.
func describeUnfinished(u registration.Unfinished, now time.Time) string {
	text := clean(u.AppName)
	if u.AppID != "" {
		text += " (" + u.AppID + ")"
	}
	if where := strings.Join(compact(u.Tenant.Domain, u.Tenant.ID), ", "); where != "" {
		text += " in " + clean(where)
	}
	return text + ", begun " + ago(now, u.At)
}

// notSaved ends a registration whose connection could not be saved. Where the store
// refused it, nothing of it is there and all can be taken back; after any other error
// it is kept, because the profile may be on the disk all the same.
func (o *newOptions) notSaved(ctx context.Context, s *wizard.Session, out *wizard.Outcome, err error) error {
	half := &wizard.HalfwayError{Run: out.Run, AppName: out.Connection.Registration.AppName, Err: err}
	o.errorf("\nThe application %s (%s) is registered, but the connection could not be saved.\n", clean(half.AppName), out.Connection.Registration.ClientID)
	var taken *connections.AccountTakenError
	if errors.Is(err, connections.ErrExists) || errors.As(err, &taken) {
		return o.halfway(ctx, s, half)
	}
	o.errorf("%s\n", o.leftBehind(half))
	return &adviceError{err: err, facts: s.Facts()}
}

// halfway ends a registration that broke off: what it made is removed or kept, as
// the flag or the user says. After a time-out or a cancellation it is always kept.
func (o *newOptions) halfway(ctx context.Context, s *wizard.Session, err error) error {
	var half *wizard.HalfwayError
	if !errors.As(err, &half) {
		o.errorf("Nothing of it is left in the tenant.\n")
		return &adviceError{err: &beforeChecks{err}, facts: s.Facts()}
	}
	var slow *advice.ReplicationError
	switch {
	case ctx.Err() != nil || isCancelled(err):
		return err
	case errors.As(err, &slow):
		o.errorf("%s\n", o.leftBehind(half))
		return &adviceError{err: err, facts: s.Facts()}
	}
	cause := &adviceError{err: &beforeChecks{half.Err}, facts: s.Facts()}
	choice := o.onFailure
	if choice == "" {
		choice = onRollback
		if o.canAsk() {
			o.errorf("\n  %s %s\n", sign("fail"), renderAdvice(advice.For(half.Err, s.Facts()), "      "))
			ok, err := o.ask(ctx, "The registration of "+clean(half.AppName)+" broke off. Remove what it has made in the tenant so far?")
			if err != nil {
				return errors.Join(half, err)
			}
			if !ok {
				choice = onKeep
			}
		}
	}
	if choice == onKeep {
		o.errorf("%s\n", o.leftBehind(half))
		return cause
	}
	o.errorf("Removing what this run has made.\n")
	if err := s.Rollback(ctx, half.Run, o.progressLines()); err != nil {
		o.errorf("It could not all be removed. %s\n", o.leftBehind(half))
		if !errors.Is(err, registration.ErrJournal) || !errors.Is(half.Err, registration.ErrJournal) { // else it says the same twice
			err = errors.Join(err, half.Err)
		}
		return &adviceError{err: &beforeChecks{err}, facts: s.Facts()}
	}
	o.errorf("Nothing of it is left in the tenant.\n")
	cause.facts.Removed = true
	return cause
}

// leftBehind says what a registration that broke off has left, and what to do.
func (o *newOptions) leftBehind(half *wizard.HalfwayError) string {
	return fmt.Sprintf("No connection was saved. The registration of %s has begun and what it made stays in the tenant: the same command goes on with it, c2conn app cleanup %s removes it.", clean(half.AppName), half.Run)
}

// consentLink is where an administrator consents to a connection's permissions.
func (a *app) consentLink(c connections.Connection) string {
	return a.linkTo(c, func(cl cloud.Cloud, clientID string) string { return cl.AdminConsent(c.Tenant.ID, clientID) })
}

// waitingForConsent says on standard error who has to do what.
func (a *app) waitingForConsent(c connections.Connection, missing []registration.Permission) {
	var roles []string
	for _, p := range missing {
		roles = append(roles, p.Marked())
	}
	a.errorf("\nRegistered and saved as %s, waiting for admin consent to: %s.\n", c.Name, strings.Join(roles, ", "))
	a.errorf("A Global Administrator or Privileged Role Administrator has to open this link (it holds no secret) and accept:\n\n    %s\n\nThen: c2conn consent %s\n", a.consentLink(c), advice.ShellWord(c.Name))
}
