package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/fleet"
	"github.com/c2conn/c2conn/registration"
	"github.com/c2conn/c2conn/wizard"
)

// applyOptions are the flags of apply.
type applyOptions struct {
	*app
	path                                      string
	dryRun, yes, prune, adopt, saveUnverified bool
	timeout, consistency                      time.Duration
	tenants                                   int // worked on at a time
	perTenant                                 int
	signIn                                    *signInOptions
}

func newApply(a *app) *cobra.Command {
	o := &applyOptions{app: a}
	cmd := &cobra.Command{
		Use: "apply -f FILE", Short: "Make the connections that a file describes, in many tenants", GroupID: groupConnect,
		Long: `Reads a YAML file with many connections and makes what is saved, and what is registered
in the tenants, as the file says: it shows a plan, asks, and then creates and changes.
What is so already is left alone, so the same command again changes nothing, and after
an interruption it goes on. Nothing is deleted without --prune.

Each tenant in which an application is registered takes one sign-in: one after the
other with --login browser or device-code; without a person with --login app, or with
the access tokens that the file refers to. Failures in one tenant stop no other one.`,
		Example: `  c2conn apply -f customers.yaml --dry-run
  c2conn apply -f customers.yaml
  c2conn apply -f customers.yaml --yes --login app --login-client-id 2f1c9e1a-0000-0000-0000-0000000077aa \
    --login-cert-file ~/onboarding.pfx --output json
  c2conn apply -f customers.yaml --prune`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			bad := func(text string) error { return &usageError{err: errors.New(text), command: cmd.CommandPath()} }
			switch {
			case o.path == "":
				return bad("say which file: -f FILE")
			case o.timeout <= 0 || o.consistency <= 0 || o.tenants < 1 || o.perTenant < 1:
				return bad("--timeout, --consistency-timeout, --parallel and --per-tenant must be more than 0")
			}
			return o.run(cmd.Context())
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.path, "file", "f", "", "the file that describes the connections")
	_ = cmd.MarkFlagFilename("file", "yaml", "yml", "json")
	flags.BoolVar(&o.dryRun, "dry-run", false, "show the plan and change nothing; nobody has to sign in")
	flags.BoolVarP(&o.yes, "yes", "y", false, "carry out the plan without asking")
	flags.BoolVar(&o.prune, "prune", false, "delete saved connections of this fleet that the file no longer has")
	flags.BoolVar(&o.adopt, "adopt", false, "take connections of these names into the fleet that are saved already")
	flags.BoolVar(&o.saveUnverified, "save-unverified", false, "save connections that were registered by hand even when checks fail")
	flags.IntVar(&o.tenants, "parallel", 8, "how many tenants are worked on side by side")
	flags.IntVar(&o.perTenant, "per-tenant", 8, "how many requests to one tenant are under way at a time")
	flags.DurationVar(&o.timeout, "timeout", 2*time.Minute, "longest time for the checks of one connection")
	flags.DurationVar(&o.consistency, "consistency-timeout", registration.DefaultConsistency, "longest wait for a tenant to know a new application everywhere")
	o.signIn = addSignInFlags(cmd)
	return cmd
}

func (o *applyOptions) run(ctx context.Context) error {
	data, err := o.ReadFile(o.path)
	if err != nil {
		return err
	}
	file, err := fleet.Parse(o.path, data)
	if err != nil {
		return o.fileProblems(err)
	}
	r, err := o.registrar(cloud.Cloud{})
	if err != nil {
		return err
	}
	defer r.Close()
	if !o.dryRun {
		unlock, err := r.Alone()
		if err != nil {
			return refuse("%v; nothing was changed. Run the command again when it has ended; --dry-run shows the plan meanwhile", err)
		}
		defer unlock()
	}
	plan, err := o.plan(ctx, file)
	if err != nil {
		return o.fileProblems(err)
	}
	if o.dryRun || plan.changes() == 0 {
		return o.report(plan)
	}
	o.errorf("%s\n", plan.table(true))
	if !o.yes {
		if !o.canAsk() {
			return &usageError{err: errors.New("this asks before it changes anything, and nobody can be asked here; give --yes or --dry-run"), command: "c2conn apply"}
		}
		ok, err := o.ask(ctx, "Carry out this plan?")
		if err != nil {
			return err
		}
		if !ok {
			return refuse("nothing was changed, as you said")
		}
	}
	if err := o.signInEverywhere(ctx, plan); err != nil {
		return err
	}
	// Once for all tenants: who looks at a journal holds it, and to others looking at the
	// same time it would seem to be worked on, so that they would begin anew.
	if plan.begun, err = r.Unfinished(ctx); err != nil {
		return err
	}
	o.carryOut(ctx, plan)
	if errors.Is(ctx.Err(), context.Canceled) {
		done, left := plan.progress()
		return &stoppedError{err: ctx.Err(), state: fmt.Sprintf("Done: %s. Not done: %s. Run the same command again to go on.", orNone(done), orNone(left))}
	}
	return o.report(plan)
}

func orNone(names []string) string {
	const most = 10
	if n := len(names); n > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", n-most)
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// fileProblems says everything that is wrong with the file, each with its line.
func (o *applyOptions) fileProblems(err error) error {
	var wrong *fleet.Error
	if !errors.As(err, &wrong) {
		return err
	}
	next := make([]string, len(wrong.Problems))
	o.errorf("c2conn: %s in %s; nothing was changed\n", plural(len(wrong.Problems), "problem", "problems"), clean(wrong.Path))
	for i, p := range wrong.Problems {
		next[i] = clean(p.At(filepath.Base(wrong.Path)))
		o.errorf("  %s\n", next[i])
	}
	o.jsonError("usage", &advice.Advice{What: plural(len(wrong.Problems), "problem", "problems") + " in the file", Why: "A file is carried out as a whole or not at all.", Next: next, Codes: []string{}})
	return &verdict{class: advice.ClassUsage}
}

// signInEverywhere gets an administrator for each tenant that is written to, one after
// the other: people can look at one page at a time. A tenant where it fails is left out.
func (o *applyOptions) signInEverywhere(ctx context.Context, p *applyPlan) error {
	for _, t := range p.tenants {
		if !slices.ContainsFunc(t.items, func(i *applyItem) bool { return i.registers }) {
			continue
		}
		if t.token == "" {
			if o.canAsk() {
				o.errorf("\nSign in to %s.\n", clean(t.name))
			}
			admin, err := o.app.signIn(ctx, o.signIn, map[string]string{"cloud": t.cloud.Name, "tenant_id": t.id})
			var problems *wizard.ProblemsError
			if errors.As(err, &problems) {
				o.errorf("Nothing was changed: it is not said how an administrator signs in to %s. Name its token beneath \"tenants:\" in the file, or give the flags for all tenants.\n", clean(t.name))
			}
			if errors.As(err, &problems) || isCancelled(err) {
				return err // they are those of the command line, the same for all tenants
			}
			t.admin, t.err = &admin, err
			continue
		}
		raw, err := p.env.Store.SecretBytes(ctx, t.token)
		if err == nil {
			t.admin, err = p.env.Administrator(ctx, wizard.Login{Method: wizard.LoginToken, Cloud: t.cloud, Tenant: t.id, Token: wizard.SecretText(raw.Reveal())}, o.showSignIn)
		}
		if t.err = err; err != nil {
			t.err = &adviceError{err: &beforeChecks{err}, facts: advice.Facts{TenantID: t.id, Cloud: t.cloud, Login: wizard.LoginToken, Now: o.Clock.Now()}}
		}
	}
	return nil
}
