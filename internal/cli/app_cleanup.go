package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/registration"
)

func newAppCleanup(a *app) *cobra.Command {
	o := &cleanupOptions{app: a}
	cmd := &cobra.Command{
		Use: "cleanup [RUN…]", Short: "Remove what interrupted registrations left behind",
		Long: `Removes what registrations made that were interrupted and not gone on with: the
permissions, the service principal and the application, from the deleted items too,
and the certificate or secret on this computer. What existed before, and what a
saved connection uses, stays.

RUN is the id of a registration, or its beginning. Without it each is asked for;
--all takes all. --list only lists them, and nobody signs in.`,
		Example: `  c2conn app cleanup --list
  c2conn app cleanup
  c2conn app cleanup 01K9Z7 --yes --login device-code
  c2conn app cleanup --all --yes --access-token-stdin < token`,
		ValidArgsFunction: o.complete,
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.all && len(args) > 0 {
				return &usageError{err: errors.New("give the ids of registrations or --all, not both"), command: cmd.CommandPath()}
			}
			return o.run(cmd.Context(), args)
		},
	}
	o.signIn = addSignInFlags(cmd)
	cmd.Flags().BoolVar(&o.all, "all", false, "remove what every interrupted registration left")
	cmd.Flags().BoolVar(&o.list, "list", false, "list them and change nothing; nobody signs in")
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	cmd.Flags().DurationVar(&a.replicas, "consistency-timeout", registration.DefaultConsistency, "longest wait for the tenant's replicas, where it is not certain what was made")
	return cmd
}

type cleanupOptions struct {
	*app
	signIn         *signInOptions
	all, list, yes bool
}

// unfinishedJSON is the answer of app cleanup --list.
type unfinishedJSON struct {
	Unfinished []registration.Unfinished `json:"unfinished"`
	Problems   []problemJSON             `json:"problems,omitempty"`
}

// cleanedJSON is the answer of app cleanup.
type cleanedJSON struct {
	Removed []registration.Unfinished `json:"removed"`
}

func (o *cleanupOptions) run(ctx context.Context, args []string) error {
	r, err := o.registrar(cloud.Cloud{})
	if err != nil {
		return err
	}
	defer r.Close()
	found, err := r.Unfinished(ctx)
	if err != nil {
		return err
	}
	doc := unfinishedJSON{Unfinished: []registration.Unfinished{}}
	for _, u := range found {
		if u.Err != nil {
			doc.Problems = append(doc.Problems, problemJSON{u.Path, clean(u.Err.Error())})
			continue
		}
		doc.Unfinished = append(doc.Unfinished, u)
	}
	if o.list {
		return o.printUnfinished(doc)
	}
	for _, p := range doc.Problems {
		o.errorf("✗ %s: %s\n", p.Path, p.Error)
	}
	chosen, err := o.choose(ctx, doc.Unfinished, args)
	if err != nil {
		return err
	}
	removed, failed := o.remove(ctx, chosen)
	if ctx.Err() != nil || isCancelled(failed) {
		return &stoppedError{err: failed, state: fmt.Sprintf("%d of %d were removed; the others are still unfinished, and c2conn app cleanup goes on with them.", len(removed), len(chosen))}
	}
	if len(removed) == 0 && failed != nil {
		return failed
	}
	var names []string
	for _, u := range removed {
		names = append(names, u.Run)
	}
	err = o.print(printable{value: cleanedJSON{Removed: removed}, name: strings.Join(names, "\n"), table: func() string {
		if len(doc.Unfinished) == 0 && len(doc.Problems) == 0 {
			return "No registration is unfinished.\n"
		}
		var b strings.Builder
		for _, u := range removed {
			fmt.Fprintf(&b, "Removed %s: %s.\n", u.Run, describeUnfinished(u, o.Clock.Now()))
		}
		return b.String()
	}})
	if err = errors.Join(failed, err); err == nil && len(doc.Problems) > 0 {
		err = &verdict{class: advice.ClassOther}
	}
	return err
}

func (o *cleanupOptions) printUnfinished(doc unfinishedJSON) error {
	rows := [][]string{{"RUN", "BEGUN", "APPLICATION", "CLIENT ID", "TENANT", "LAST STEP"}}
	var names []string
	for _, u := range doc.Unfinished {
		names = append(names, u.Run)
		id := u.AppID
		if id == "" {
			id = "–"
		}
		tenant := u.Tenant.Domain
		if tenant == "" {
			tenant = u.Tenant.ID
		}
		rows = append(rows, []string{u.Run, ago(o.Clock.Now(), u.At), clean(u.AppName), id, clean(tenant), clean(u.Last)})
	}
	err := o.print(printable{value: doc, name: strings.Join(names, "\n"), table: func() string {
		if len(names) == 0 && len(doc.Problems) == 0 {
			return "No registration is unfinished.\n"
		}
		if len(names) == 0 {
			return ""
		}
		return columns(rows)
	}})
	if err != nil {
		return err
	}
	for _, p := range doc.Problems {
		o.errorf("✗ %s: %s\n", p.Path, p.Error)
	}
	if len(doc.Problems) > 0 {
		return &verdict{class: advice.ClassOther}
	}
	return nil
}

// choose tells which of the unfinished registrations are to be removed, after asking.
func (o *cleanupOptions) choose(ctx context.Context, list []registration.Unfinished, args []string) ([]registration.Unfinished, error) {
	chosen := list
	if len(args) > 0 {
		chosen = nil
	}
	for _, arg := range args {
		u, err := findRun(list, arg)
		if err != nil {
			return nil, err
		}
		chosen = append(chosen, u)
	}
	if len(chosen) == 0 || o.yes && (o.all || len(args) > 0) {
		return chosen, nil
	}
	if !o.canAsk() || o.yes {
		text := "say which, or --all: " + strings.Join(runIDs(list), ", ")
		if o.all || len(args) > 0 {
			text = "this asks before it removes anything, and nobody can be asked here; give --yes"
		}
		return nil, &usageError{err: errors.New(text), command: "c2conn app cleanup"}
	}
	var agreed []registration.Unfinished
	for _, u := range chosen {
		yes, err := o.ask(ctx, fmt.Sprintf("Remove what run %s made: %s?", u.Run, describeUnfinished(u, o.Clock.Now())))
		if err != nil {
			return nil, err
		}
		if yes {
			agreed = append(agreed, u)
		}
	}
	if len(agreed) == 0 {
		return nil, errDeclined
	}
	return agreed, nil
}

func runIDs(list []registration.Unfinished) []string {
	var ids []string
	for _, u := range list {
		ids = append(ids, u.Run)
	}
	return ids
}

// findRun finds a run by its id or the beginning of it, in any case.
func findRun(list []registration.Unfinished, typed string) (registration.Unfinished, error) {
	var found []registration.Unfinished
	for _, u := range list {
		if typed != "" && strings.HasPrefix(u.Run, strings.ToUpper(typed)) {
			found = append(found, u)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return registration.Unfinished{}, &usageError{err: fmt.Errorf("%d runs begin with %q; type more of the id", len(found), clean(typed)), command: "c2conn app cleanup"}
	case len(list) == 0:
		return registration.Unfinished{}, refuse("no registration is unfinished, so there is no run %q", clean(typed))
	}
	return registration.Unfinished{}, &usageError{err: fmt.Errorf("there is no unfinished run %q; there are: %s", clean(typed), strings.Join(runIDs(list), ", ")), command: "c2conn app cleanup"}
}

// remove takes the runs back, tenant by tenant, with one sign-in each. It goes on
// with the next run when one fails.
func (o *cleanupOptions) remove(ctx context.Context, chosen []registration.Unfinished) (removed []registration.Unfinished, failed error) {
	removed = []registration.Unfinished{}
	admins := map[string]*registration.Admin{}
	for _, u := range chosen {
		if err := o.removeOne(ctx, admins, u); err != nil {
			if ctx.Err() != nil || isCancelled(err) {
				return removed, err
			}
			failed = errors.Join(failed, err)
			continue
		}
		removed = append(removed, u)
	}
	return removed, failed
}

func (o *cleanupOptions) removeOne(ctx context.Context, admins map[string]*registration.Admin, u registration.Unfinished) error {
	set, err := o.cloudSet()
	if err != nil {
		return err
	}
	cl, err := set.Find(u.Cloud)
	if err != nil {
		return err
	}
	where := u.Cloud + " " + strings.ToLower(u.Tenant.ID)
	admin := admins[where]
	if admin == nil {
		signed, err := o.administrator(ctx, o.signIn, cl, u.Tenant.ID)
		if err != nil {
			return err
		}
		admin, admins[where] = &signed, &signed
	}
	r, err := o.registrar(cl)
	if err != nil {
		return err
	}
	defer r.Close()
	facts := o.adminFacts(o.signIn, *admin)
	facts.Cloud, facts.TenantID, facts.TenantDomain, facts.ClientID, facts.Kind = cl, u.Tenant.ID, u.Tenant.Domain, u.AppID, u.Kind
	if err := r.Rollback(ctx, *admin, u.Run, o.progressLines()); err != nil {
		return &adviceError{err: &beforeChecks{fmt.Errorf("run %s: %w", u.Run, err)}, facts: facts}
	}
	return nil
}

func (o *cleanupOptions) complete(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	r, err := o.registrar(cloud.Cloud{})
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer r.Close()
	list, err := r.Unfinished(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var out []string
	for _, u := range list {
		out = append(out, u.Run+"\t"+clean(u.AppName))
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// registrar gives what works on the journals of registrations.
func (a *app) registrar(cl cloud.Cloud) (*registration.Registrar, error) {
	env, err := a.wizardEnv()
	if err != nil {
		return nil, err
	}
	env.Consistency = a.replicas
	return env.Registrar(cl, nil), nil
}

// administrator signs in for a command that works in one tenant, and says who it is.
// The tenant may be open.
func (a *app) administrator(ctx context.Context, o *signInOptions, cl cloud.Cloud, tenant string) (registration.Admin, error) {
	ctx, cancel := context.WithTimeout(ctx, signInLimit)
	defer cancel()
	admin, err := a.signIn(ctx, o, map[string]string{"cloud": cl.Name, "tenant_id": tenant})
	if err != nil {
		return admin, err
	}
	c := admin.Claims
	if tenant != "" && c.TenantID != "" && !strings.EqualFold(c.TenantID, tenant) {
		return admin, refuse("the sign-in is for tenant %s, not for %s; nothing was changed", c.TenantID, tenant)
	}
	who := c.UPN
	if who == "" {
		who = "application " + c.AppID
	}
	a.errorf("Signed in as %s in tenant %s.\n", clean(who), clean(c.TenantID))
	return admin, nil
}
