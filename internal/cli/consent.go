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
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/progress"
	"github.com/c2conn/c2conn/internal/verify"
	"github.com/c2conn/c2conn/registration"
)

func newConsent(a *app) *cobra.Command {
	o := &consentOptions{app: a}
	cmd := &cobra.Command{
		Use: "consent NAME", Short: "Finish a connection that waits for admin consent", GroupID: groupConnect,
		Long: `Shows the link on which an administrator consents, waits until the application's
own tokens hold the permissions, verifies the connection and notes the result.
Whoever runs it needs no rights in the tenant. With a way of signing in (--login,
--access-token-stdin) the consent is granted right here instead: that takes the role
Global Administrator or Privileged Role Administrator.`,
		Example: `  c2conn consent contoso-exchange
  c2conn consent contoso-exchange --login browser
  c2conn consent contoso-exchange --wait 0s --output json`,
		Args: oneArgument("the name of a connection"), ValidArgsFunction: a.completeNames,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0]) },
	}
	o.signIn = addSignInFlags(cmd)
	cmd.Flags().DurationVar(&o.wait, "wait", 15*time.Minute, "how long to wait for somebody's consent; 0s to look once")
	return cmd
}

type consentOptions struct {
	*app
	signIn *signInOptions
	wait   time.Duration
}

func (o *consentOptions) run(ctx context.Context, name string) error {
	if o.wait < 0 {
		return &usageError{err: errors.New("--wait must not be negative"), command: "c2conn consent"}
	}
	c, err := o.connection(ctx, name)
	if err != nil {
		return err
	}
	if c.Location != connections.Online || c.Registration.ClientID == "" {
		return refuse("%s has no application in Entra ID, so there is nothing to consent to", c.Name)
	}
	wanted := required(registration.PurposeOf(c))
	given := o.signInGiven(o.signIn)
	if given {
		if err := o.grant(ctx, c); err != nil {
			return err
		}
	}
	wait := o.wait
	if given {
		wait = max(wait, time.Minute) // what was granted right now has to spread
	}
	if err := o.await(ctx, c, wanted, wait, !given); err != nil {
		return err
	}
	v := o.checkFor(ctx, c, verify.Options{Fresh: time.Minute}, o.progressLines())
	if v.err != nil {
		return v.err
	}
	return o.sayVerified(v)
}

// required lists what a connection cannot work without.
func required(p registration.Purpose) []registration.Permission {
	return slices.DeleteFunc(registration.Catalogue(p), func(p registration.Permission) bool { return !p.Required })
}

// grant consents as the administrator who signs in.
func (o *consentOptions) grant(ctx context.Context, c connections.Connection) error {
	ctx, cancel := context.WithTimeout(ctx, signInLimit)
	defer cancel()
	facts := verify.FactsOf(c, o.cloudOf(c), o.Clock.Now())
	admin, err := o.app.signIn(ctx, o.signIn, map[string]string{"cloud": c.Cloud, "tenant_id": c.Tenant.ID})
	if err != nil {
		return err
	}
	facts.Login, facts.Admin = o.adminFacts(o.signIn, admin).Login, admin.Claims.UPN
	granted, missing, err := registration.Grant(ctx, admin, registration.PurposeOf(c), c.Registration.ClientID)
	if err != nil {
		return &adviceError{err: &beforeChecks{err}, facts: facts}
	}
	if len(granted) > 0 {
		o.errorf("Granted: %s.\n", roleNames(granted))
	}
	if len(missing) == 0 {
		return nil
	}
	return &adviceError{err: &advice.ConsentNeededError{Roles: adviceRoles(missing), Account: admin.Claims.UPN, Link: o.consentLink(c)}, facts: facts}
}

func roleNames(list []registration.Permission) string {
	var names []string
	for _, p := range list {
		names = append(names, p.Role)
	}
	return strings.Join(names, ", ")
}

// await waits until the application's own tokens hold the permissions. It looks once
// before it shows the link: perhaps somebody has consented already.
func (o *consentOptions) await(ctx context.Context, c connections.Connection, wanted []registration.Permission, wait time.Duration, link bool) error {
	facts := verify.FactsOf(c, o.cloudOf(c), o.Clock.Now())
	fail := func(err error) error { return &adviceError{err: err, facts: facts} }
	target, err := o.target(ctx, c)
	if err != nil {
		return fail(err)
	}
	app, err := o.application(target)
	if err != nil {
		return fail(err)
	}
	ctx = progress.With(ctx, func(u progress.Update) {
		until := ""
		if !u.Until.IsZero() {
			until = fmt.Sprintf(" (until %s)", u.Until.Local().Format(time.TimeOnly))
		}
		o.errorf("  … %s%s\n", clean(u.Text), until)
	})
	err = registration.Await(ctx, app, target.Cloud, wanted, 1, 0, o.Clock)
	if err != nil && link && isMissingConsent(err) {
		o.errorf("A Global Administrator or Privileged Role Administrator has to open this link (it holds no secret) and accept:\n\n    %s\n\n", o.consentLink(c))
	}
	var refused *entra.Error
	if errors.As(err, &refused) && refused.Code() == 700016 && o.Clock.Now().Sub(c.Created) > time.Hour {
		return fail(refused) // gone: no consent brings it back
	}
	if err != nil && wait > 0 && ctx.Err() == nil {
		err = registration.Await(ctx, app, target.Cloud, wanted, 1, wait, o.Clock)
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case isMissingConsent(err):
		var missing *advice.MissingRolesError
		var roles []advice.Role
		if errors.As(err, &missing) {
			roles = missing.Missing
		}
		return fail(&advice.ConsentNeededError{Roles: roles, Link: o.consentLink(c), Err: err})
	}
	return fail(err)
}

// isMissingConsent tells whether the application can sign in but lacks permissions.
func isMissingConsent(err error) bool {
	var missing *advice.MissingRolesError
	return errors.As(err, &missing) || advice.ClassOf(err) == advice.ClassConsent
}

// cloudOf is the cloud of a connection, the zero Cloud where it is not known.
func (a *app) cloudOf(c connections.Connection) cloud.Cloud {
	clouds, err := a.cloudSet()
	if err != nil {
		return cloud.Cloud{}
	}
	cl, _ := clouds.Find(c.Cloud)
	return cl
}
