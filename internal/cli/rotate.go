package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/verify"
	"github.com/c2conn/c2conn/registration"
	"github.com/c2conn/c2conn/wizard"
)

func newRotate(a *app) *cobra.Command {
	o := &rotateOptions{app: a, grace: period(day), admins: map[string]*registration.Admin{}}
	cmd := &cobra.Command{
		Use: "rotate [NAME…]", Short: "Renew the certificate or client secret of connections", GroupID: groupConnect,
		Long: `Adds a new credential to the application beside the old one, waits until it works,
switches the saved connections that use the old one, and removes that after the time of
--grace, with the next rotate --finish (or rotate --all). Whatever happens in between,
the connection keeps a credential that works; the same command goes on after a crash.

An application renews its own certificate with the old one as proof: no administrator
is needed. Where that is not possible (a client secret, an expired certificate, ids that
are not known here), an administrator signs in.`,
		Example: `  c2conn rotate contoso-exchange
  c2conn rotate --all --expires-within 30d --yes
  c2conn rotate contoso-exchange --yes --login device-code
  c2conn rotate --finish --yes
  c2conn rotate contoso-exchange --abandon`,
		ValidArgsFunction: a.completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.daysGiven = cmd.Flags().Changed("cert-days")
			o.graceGiven = cmd.Flags().Changed("grace")
			if err := o.misused(args); err != nil {
				return &usageError{err: err, command: cmd.CommandPath()}
			}
			switch {
			case o.finish:
				return o.runFinish(cmd.Context(), args)
			case o.abandon:
				return o.runAbandon(cmd.Context(), args[0])
			}
			return o.run(cmd.Context(), args)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.all, "all", false, "rotate the credential of every saved connection, and remove old ones that are due")
	addExpiresWithin(cmd, &o.within, "only credentials that end within this time, for example 30d")
	f.Var(&o.grace, "grace", "how long the old credential stays in the application; 0 removes it in the same run")
	f.StringVar(&o.days, "cert-days", wizard.Longest, "days until the new credential expires, or longest for what the tenant allows (five years at most, a client secret two)")
	f.StringVar(&o.certFile, "cert-file", "", "take this certificate (PFX or PEM with its key) instead of a new one")
	f.StringVar(&o.passFile, "cert-password-file", "", "file with the password of that certificate (or variable C2CONN_CERT_PASSWORD)")
	f.BoolVar(&o.finish, "finish", false, "remove the old credentials of earlier rotations that are due")
	f.BoolVar(&o.now, "now", false, "with --finish: also those that are not due yet")
	f.BoolVar(&o.abandon, "abandon", false, "take back a rotation that broke off before the connection was switched")
	f.BoolVar(&o.dryRun, "dry-run", false, "show what would be done, and change nothing")
	f.BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	f.DurationVar(&a.replicas, "consistency-timeout", registration.DefaultConsistency, "longest wait for the tenant's replicas")
	_ = cmd.MarkFlagFilename("cert-file")
	_ = cmd.MarkFlagFilename("cert-password-file")
	o.signIn = addSignInFlags(cmd)
	return cmd
}

type rotateOptions struct {
	*app
	signIn                                 *signInOptions
	all, finish, now, abandon, dryRun, yes bool
	within, grace                          period
	days, certFile, passFile               string
	daysGiven, graceGiven                  bool
	mu                                     sync.Mutex // one question, and one sign-in, at a time
	admins                                 map[string]*registration.Admin
}

func (o *rotateOptions) misused(args []string) error {
	rotates := o.all || o.within > 0 || o.graceGiven || o.daysGiven || o.certFile != "" || o.passFile != ""
	switch {
	case o.finish && o.abandon:
		return errors.New("give --finish or --abandon, not both")
	case (o.finish || o.abandon) && rotates:
		return errors.New("--finish and --abandon end rotations that were begun; --all, --expires-within, --grace, --cert-days and --cert-file begin new ones")
	case o.now && !o.finish:
		return errors.New("--now goes with --finish")
	case o.abandon && len(args) != 1:
		return errors.New("--abandon takes one rotation back: give the name of its connection")
	case o.finish || o.abandon:
	case o.all == (len(args) > 0):
		return errors.New("give the names of connections, or --all")
	case o.certFile != "" && len(args) != 1:
		return errors.New("--cert-file is for one connection: give its name")
	case o.certFile != "" && o.daysGiven:
		return errors.New("--cert-days is for a new certificate, not for that of --cert-file")
	}
	if !o.yes && !o.dryRun && !o.canAsk() {
		return errors.New("this asks before it changes the tenant, and nobody can be asked here; give --yes, or --dry-run to see what it would do")
	}
	return nil
}

// wish reads what the new credential is to be.
func (o *rotateOptions) wish() (wizard.RotateOptions, error) {
	w := wizard.RotateOptions{Grace: time.Duration(o.grace)}
	if o.days != wizard.Longest {
		days, err := strconv.Atoi(strings.TrimSpace(o.days))
		if err != nil || days < 1 || days > 50*365 {
			return w, &usageError{err: fmt.Errorf("--cert-days %q is neither a number of days nor longest", clean(o.days)), command: "c2conn rotate"}
		}
		w.Valid = certs.Validity{Days: days}
	}
	if o.certFile == "" {
		return w, nil
	}
	password := wizard.SecretText([]byte(o.Getenv("C2CONN_CERT_PASSWORD")))
	if o.passFile != "" {
		data, err := o.ReadFile(o.passFile)
		if err != nil {
			return w, err
		}
		password = wizard.SecretText(data)
	}
	data, err := o.ReadFile(o.certFile)
	if err != nil {
		return w, err
	}
	id, err := certs.Parse(data, string(password.Reveal()))
	if err != nil {
		return w, &adviceError{err: err, facts: advice.Facts{Now: o.Clock.Now()}}
	}
	w.Own = &id
	return w, nil
}

// rotation is one credential to be rotated, with the connections that use it.
type rotation struct {
	conn connections.Connection
	also []string
	out  *wizard.Rotated
	err  error
}

// choose finds the credentials that are meant. Connections that share one are rotated
// together.
func (o *rotateOptions) choose(ctx context.Context, names []string) (list []*rotation, problems []problemJSON, err error) {
	store, err := o.store()
	if err != nil {
		return nil, nil, err
	}
	entries, err := store.List(ctx)
	if err != nil {
		return nil, nil, err
	}
	var chosen []connections.Connection
	for _, name := range names {
		c, err := o.connection(ctx, name)
		if err != nil {
			return nil, nil, err
		}
		if c.Location != connections.Online || c.Registration.ClientID == "" {
			return nil, nil, refuse("%s has no application in Entra ID, so there is nothing to rotate", c.Name)
		}
		chosen = append(chosen, c)
	}
	for _, e := range entries {
		switch {
		case !o.all:
		case e.Err != nil:
			problems = append(problems, problemJSON{e.Path, clean(e.Err.Error())})
		case e.Connection.Location == connections.Online && e.Connection.Registration.ClientID != "":
			chosen = append(chosen, e.Connection)
		}
	}
	for _, c := range chosen {
		if o.within > 0 && !c.Credential.ExpiresWithin(o.Clock.Now(), time.Duration(o.within)) {
			continue
		}
		if !slices.ContainsFunc(list, func(r *rotation) bool { return registration.SameCredential(r.conn, c) }) {
			list = append(list, &rotation{conn: c})
		}
	}
	for _, r := range list {
		for _, e := range entries {
			if e.Err == nil && e.Connection.ID != r.conn.ID && registration.SameCredential(r.conn, e.Connection) {
				r.also = append(r.also, e.Connection.Name)
			}
		}
	}
	return list, problems, nil
}

// describe says which credential is meant.
func (r *rotation) describe(now time.Time) string {
	c := r.conn.Credential
	text := "client secret"
	if c.Type == connections.TypeCertificate {
		text = "certificate " + c.Thumbprint
	}
	if c.Secret.Scheme() != connections.SchemeStore && c.Secret.Scheme() != "" && c.Secret.Scheme() != connections.SchemeWindows {
		text += " in " + c.Secret.Scheme() + ":"
	}
	if !c.NotAfter.IsZero() {
		text += ", " + left(now, c.NotAfter)
	}
	if len(r.also) > 0 {
		text += "; also used by " + strings.Join(r.also, ", ")
	}
	return text
}

func (o *rotateOptions) run(ctx context.Context, names []string) error {
	wish, err := o.wish()
	if err != nil {
		return err
	}
	list, problems, err := o.choose(ctx, names)
	if err != nil {
		return err
	}
	if o.dryRun {
		return o.printPlan(ctx, list, wish)
	}
	if !o.yes {
		if list, err = o.agree(ctx, list); err != nil {
			return err
		}
	}
	if o.all {
		if err := o.finishDue(ctx); err != nil {
			return err
		}
		return o.many(ctx, list, problems, wish)
	}
	if len(list) == 1 {
		return o.one(ctx, list[0], wish)
	}
	return o.many(ctx, list, problems, wish)
}

// agree asks about each credential.
func (o *rotateOptions) agree(ctx context.Context, list []*rotation) (agreed []*rotation, err error) {
	for _, r := range list {
		when := "at once"
		if o.grace > 0 {
			when = "after " + o.grace.String()
		}
		yes, err := o.ask(ctx, fmt.Sprintf("Renew the credential of %s (%s)? The old one is removed %s.", r.conn.Name, r.describe(o.Clock.Now()), when))
		if err != nil {
			return nil, err
		}
		if yes {
			agreed = append(agreed, r)
		}
	}
	if len(agreed) == 0 && len(list) > 0 {
		return nil, refuse("nothing was changed, as you said")
	}
	return agreed, nil
}

// facts are what advice needs to know of a connection.
func (o *rotateOptions) facts(c connections.Connection) advice.Facts {
	return verify.FactsOf(c, o.cloudOf(c), o.Clock.Now())
}

// as does something for a connection's application: as the administrator whose sign-in
// the flags say, else as the application itself. Where that cannot, and somebody can be
// asked, an administrator signs in after all.
func (o *rotateOptions) as(ctx context.Context, c connections.Connection, do func(*registration.Admin) error) error {
	var admin *registration.Admin
	if o.signInGiven(o.signIn) {
		var err error
		if admin, err = o.administrator(ctx, c, false); err != nil {
			return err
		}
	}
	err := do(admin)
	var proof *advice.OwnProofError
	if admin != nil || !errors.As(err, &proof) || !o.canAsk() {
		return err
	}
	o.errorf("\n%s\n\n", renderAdvice(advice.For(proof, o.facts(c)), "  "))
	if admin, err = o.administrator(ctx, c, true); err != nil {
		return err
	}
	return do(admin)
}

// administrator signs an administrator in, once for each tenant.
func (o *rotateOptions) administrator(ctx context.Context, c connections.Connection, ask bool) (*registration.Admin, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if admin := o.admins[tenantKey(c)]; admin != nil {
		return admin, nil
	}
	if ask {
		yes, err := o.ask(ctx, "Sign in as an administrator now?")
		if err != nil {
			return nil, err
		}
		if !yes {
			return nil, refuse("nothing was changed, as you said")
		}
	}
	o.signIn.command = func() string { return "rotate " + c.Name }
	ctx, cancel := context.WithTimeout(ctx, signInLimit)
	defer cancel()
	admin, err := o.app.signIn(ctx, o.signIn, map[string]string{"cloud": c.Cloud, "tenant_id": c.Tenant.ID})
	if err != nil {
		return nil, err
	}
	o.admins[tenantKey(c)] = &admin
	return &admin, nil
}

// env is the world in which a credential is rotated.
func (o *rotateOptions) env() (*wizard.Env, error) {
	env, err := o.wizardEnv()
	if err == nil {
		env.Consistency = o.replicas
	}
	return env, err
}
