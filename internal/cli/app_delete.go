package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/c2conn/c2conn/internal/graph"
	"github.com/c2conn/c2conn/registration"
)

// deletedAppsJSON is the answer of app delete.
type deletedAppsJSON struct {
	Deleted []deletedAppJSON `json:"deleted"`
}

type deletedAppJSON struct {
	ClientID string   `json:"client_id"`
	Name     string   `json:"name"`
	Purged   bool     `json:"purged"`
	UsedBy   []string `json:"used_by"` // saved connections, which no longer work
}

func newAppDelete(a *app) *cobra.Command {
	o := &appDeleteOptions{app: a}
	cmd := &cobra.Command{
		Use: "delete CLIENT-ID|NAME…", Aliases: []string{"rm"}, Short: "Delete registrations in a tenant",
		Long: `Deletes applications that c2conn made or that are named as documented, with their
service principals and consent, after showing what uses them and asking. They stay
in the deleted items of Entra ID for 30 days and can be restored there; --purge
removes them for good, also such as were deleted before. Saved connections stay:
c2conn delete removes those.

A name that several applications have is refused; give the client ID.`,
		Example: `  c2conn app delete 2f1c9e1a-5f0c-4d6b-9a53-0b1f6d8e77aa
  c2conn app delete "CodeTwo Backup Exchange" --purge
  c2conn app delete 2f1c9e1a-5f0c-4d6b-9a53-0b1f6d8e77aa --yes --access-token-stdin < token`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 || slices.Contains(args, "") {
				return &usageError{err: errors.New("give the client ID or the name of an application, or several; c2conn app list shows them"), command: cmd.CommandPath()}
			}
			if !o.yes && !a.canAsk() {
				return &usageError{err: errors.New("this asks before it deletes, and nobody can be asked here; give --yes"), command: cmd.CommandPath()}
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	o.signIn = addSignInFlags(cmd)
	cmd.Flags().BoolVar(&o.purge, "purge", false, "also remove them from the deleted items: they cannot be restored")
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	return cmd
}

type appDeleteOptions struct {
	*app
	signIn     *signInOptions
	purge, yes bool
}

func (o *appDeleteOptions) run(ctx context.Context, args []string) error {
	admin, list, err := o.registrations(ctx, o.signIn)
	if err != nil {
		return err
	}
	// All are looked up first: a typing error in the last deletes none.
	var chosen []registration.Registered
	for _, arg := range args {
		r, err := o.find(list, arg)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(chosen, func(x registration.Registered) bool { return x.AppID == r.AppID }) {
			chosen = append(chosen, r)
		}
	}
	doc := deletedAppsJSON{Deleted: []deletedAppJSON{}}
	var names []string
	var failed error
	for _, r := range chosen {
		if failed = o.deleteOne(ctx, admin, r); failed != nil {
			break
		}
		doc.Deleted = append(doc.Deleted, deletedAppJSON{r.AppID, r.Name, o.purge, r.UsedBy})
		names = append(names, r.AppID)
	}
	if len(names) == 0 {
		return failed
	}
	err = o.print(printable{value: doc, name: strings.Join(names, "\n"), table: func() string {
		where := "; for 30 days it can be restored from the deleted items"
		if o.purge {
			where = " for good"
		}
		var b strings.Builder
		for _, d := range doc.Deleted {
			fmt.Fprintf(&b, "Deleted %s (%s)%s.\n", clean(d.Name), d.ClientID, where)
		}
		return b.String()
	}})
	return errors.Join(failed, err)
}

// find finds a registration by its client id or its name. A client id that is not
// in the list is looked for once more by Delete, which says what is wrong with it.
func (o *appDeleteOptions) find(list []registration.Registered, typed string) (registration.Registered, error) {
	id := strings.ToLower(strings.TrimSpace(typed))
	var found []registration.Registered
	for _, r := range list {
		// What is deleted already goes by its client id only.
		if strings.EqualFold(r.AppID, id) || strings.EqualFold(r.Name, strings.TrimSpace(typed)) && r.Deleted.IsZero() {
			found = append(found, r)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		var ids []string
		for _, r := range found {
			ids = append(ids, fmt.Sprintf("%s (registered %s)", r.AppID, ago(o.Clock.Now(), r.Created)))
		}
		return registration.Registered{}, &usageError{err: fmt.Errorf("%d applications are named %q; give the client ID: %s", len(found), clean(typed), strings.Join(ids, ", ")), command: "c2conn app delete"}
	case guidPattern(id):
		return registration.Registered{AppID: id, Name: "the application", UsedBy: []string{}}, nil
	}
	return registration.Registered{}, refuse("the tenant has no registration %q that c2conn made or that is named as documented; see c2conn app list", clean(typed))
}

func (o *appDeleteOptions) deleteOne(ctx context.Context, admin registration.Admin, r registration.Registered) error {
	if len(r.UsedBy) > 0 {
		o.errorf("! %s is used by %s, which will no longer work.\n", clean(r.Name), strings.Join(r.UsedBy, ", "))
	}
	what := fmt.Sprintf("Delete %s (%s)", clean(r.Name), r.AppID)
	if o.purge {
		what += " for good"
	}
	if !r.Created.IsZero() {
		what += ", registered " + ago(o.Clock.Now(), r.Created)
	}
	if err := o.confirm(ctx, o.yes, what+"?"); err != nil {
		return err
	}
	err := registration.Delete(ctx, admin, r.AppID, o.purge)
	var refused *graph.Error
	switch {
	case errors.As(err, &refused) && refused.Status == http.StatusNotFound && r.ObjectID == "":
		return refuse("the tenant has no application with the client ID %s, nor has it one in the deleted items", r.AppID)
	case err != nil:
		facts := o.adminFacts(o.signIn, admin)
		facts.ClientID, facts.Kind = r.AppID, r.Kind
		return &adviceError{err: &beforeChecks{err}, facts: facts}
	}
	return nil
}
