package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/internal/verify"
	"github.com/c2conn/c2conn/registration"
)

// fixOptions are the flags of "verify --fix".
type fixOptions struct {
	*app
	signIn           *signInOptions
	fix, dryRun, yes bool
}

// auditJSON is the answer of verify --fix: what the registration lacked, what was
// changed, and the connection as it is verified afterwards.
type auditJSON struct {
	answerJSON
	Audit   *registration.Drift     `json:"audit"`
	Plan    registration.RepairPlan `json:"plan"`
	Changed []checkJSON             `json:"changed"`
}

// planJSON is the answer of verify --fix --dry-run.
type planJSON struct {
	Audit *registration.Drift     `json:"audit"`
	Plan  registration.RepairPlan `json:"plan"`
}

// misused tells whether a flag was given that goes with another one only.
func (o *fixOptions) misused(all bool, names []string) error {
	if !o.fix {
		for _, f := range o.signIn.flow.Fields() {
			for _, name := range append(f.Flags(), "--"+f.FlagName()) {
				if _, given := o.signIn.flag(name[2:]); given {
					return fmt.Errorf("%s goes with --fix: nothing else needs an administrator", name)
				}
			}
		}
		if o.yes || o.dryRun {
			return errors.New("--yes and --dry-run go with --fix: nothing else changes the tenant")
		}
		return nil
	}
	switch {
	case all || len(names) != 1:
		return errors.New("--fix mends one connection at a time: give its name")
	case !o.yes && !o.dryRun && !o.canAsk():
		return errors.New("--fix asks before it changes the tenant, and nobody can be asked here; give --yes, or --dry-run to see what it would change")
	}
	return nil
}

// run mends the registration of a connection and verifies the connection; the checks
// together take no longer than timeout.
func (o *fixOptions) run(ctx context.Context, c connections.Connection, timeout time.Duration) error {
	facts := verify.FactsOf(c, o.cloudOf(c), o.Clock.Now())
	fail := func(err error) error { return &adviceError{err: &beforeChecks{err}, facts: facts} }
	if c.Location != connections.Online || c.Registration.ClientID == "" {
		return refuse("%s has no application in Entra ID, so there is nothing to mend", c.Name)
	}
	target, err := o.target(ctx, c)
	if err != nil {
		return fail(err)
	}
	o.signIn.command = func() string { return "verify " + advice.ShellWord(c.Name) + " --fix" }
	signingIn, cancel := context.WithTimeout(ctx, signInLimit)
	admin, err := o.app.signIn(signingIn, o.signIn, map[string]string{"cloud": c.Cloud, "tenant_id": c.Tenant.ID})
	cancel()
	if err != nil {
		return err
	}
	facts.Login, facts.Admin = o.adminFacts(o.signIn, admin).Login, admin.Claims.UPN
	env, err := o.wizardEnv()
	if err != nil {
		return err
	}
	registrar := env.Registrar(target.Cloud, nil)
	looking, cancel := context.WithTimeout(ctx, timeout)
	drift, err := registrar.Inspect(looking, admin, c, target.Credential.Identity)
	cancel()
	if err != nil {
		return fail(err)
	}
	plan := drift.Plan()
	if o.dryRun {
		return o.print(printable{value: planJSON{drift, plan}, name: c.Name, table: func() string { return drift.Text(96) + "\n" + plan.Text(96) }})
	}
	o.errorf("%s\n", drift.Text(96))
	done := auditJSON{Audit: drift, Plan: plan, Changed: []checkJSON{}}
	var missing []registration.Permission
	if drift.Nothing() {
		o.errorf("Nothing has to be added to the registration.\n\n")
	} else {
		o.errorf("%s\n", plan.Text(96))
		if !o.yes {
			ok, err := o.ask(ctx, "Make these changes in the tenant?")
			if err != nil {
				return err
			}
			if !ok {
				return refuse("nothing was changed, as you said")
			}
		}
		var results []task.Result
		missing, results, err = registrar.Repair(ctx, admin, drift, o.progressLines())
		if err != nil {
			o.adviceLines(slices.DeleteFunc(slices.Clone(results), func(r task.Result) bool { return errors.Is(r.Err, err) })) // that one is told below
			return fail(err)
		}
		done.Changed = o.checksJSON(results)
		o.errorf("\n")
	}
	ctx, cancel = context.WithTimeout(ctx, timeout)
	defer cancel()
	options := verify.Options{}
	if !drift.Nothing() && len(missing) == 0 {
		if err := o.settle(ctx, target); err != nil && ctx.Err() != nil {
			return err
		}
		options.Fresh = time.Minute
	}
	v := o.checkFor(ctx, c, options, o.progressLines())
	if v.err == nil && v.report.OtherAddress() {
		if v, err = o.correctAddress(ctx, v, options); err != nil {
			return err
		}
	}
	if v.err != nil {
		return v.err
	}
	return o.finish(v, done, missing, facts, admin)
}

// correctAddress offers to write the tenant's real SharePoint address into the
// profile, and verifies again.
func (o *fixOptions) correctAddress(ctx context.Context, v verified, options verify.Options) (verified, error) {
	real := v.report.Found.Endpoints(connections.Endpoints{EWS: v.conn.Endpoints.EWS})
	o.errorf("\nThe profile says %s, but the tenant's SharePoint is at %s (admin centre %s).\n", clean(v.conn.Endpoints.SharePoint), clean(real.SharePoint), clean(real.Admin))
	if !o.yes {
		ok, err := o.ask(ctx, "Correct the profile?")
		if err != nil || !ok {
			return v, err
		}
	}
	store, err := o.store()
	if err != nil {
		return v, err
	}
	c, err := store.Update(context.WithoutCancel(ctx), v.conn.Name, func(c *connections.Connection) error {
		if !sameSubject(*c, v.conn) {
			return refuse("%s was edited in the meantime; nothing was corrected", c.Name)
		}
		c.Endpoints = real
		return nil
	})
	if err != nil {
		return v, err
	}
	o.errorf("Corrected the profile.\n\n")
	return o.checkFor(ctx, c, options, o.progressLines()), nil
}

// settle waits until the application's own tokens show what was granted. That they
// do not is told by the checks that follow.
func (o *fixOptions) settle(ctx context.Context, target verify.Target) error {
	app, err := o.application(target)
	if err != nil {
		return err
	}
	return registration.Await(ctx, app, target.Cloud, required(registration.PurposeOf(target.Connection)), 1, time.Minute, o.Clock)
}

// finish prints the outcome. Its class is that of the checks, or "waiting for
// consent" where the account could not consent to all.
func (o *fixOptions) finish(v verified, done auditJSON, missing []registration.Permission, facts advice.Facts, admin registration.Admin) error {
	o.adviceLines(v.report.Results)
	done.answerJSON = o.answer(v)
	if len(missing) > 0 {
		done.ConsentURL = o.consentLink(v.conn)
	}
	err := o.print(printable{value: done, name: v.conn.Name, table: func() string {
		return fmt.Sprintf("%s  %s\n", v.conn.Name, stateText(v.conn.Verification, o.Clock.Now()))
	}})
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		o.errorf("\n%s\n", renderAdvice(advice.For(&advice.ConsentNeededError{Roles: adviceRoles(missing), Account: admin.Claims.UPN, Link: o.consentLink(v.conn)}, facts), "  "))
		return &verdict{class: advice.ClassConsent}
	}
	if c := v.class(); c != advice.ClassNone {
		return &verdict{class: c}
	}
	return nil
}

// adviceRoles are permissions as advice names them.
func adviceRoles(list []registration.Permission) (roles []advice.Role) {
	for _, p := range list {
		roles = append(roles, advice.Role{Service: p.Resource.Title(), Name: p.Role, Why: p.Why, Writes: p.Writes})
	}
	return roles
}
