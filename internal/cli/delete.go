package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/exchangeserver"
)

func newDelete(a *app) *cobra.Command {
	var yes bool
	purge := &purgeOptions{app: a}
	cmd := &cobra.Command{
		Use: "delete NAME…", Aliases: []string{"rm"}, Short: "Delete saved connections", GroupID: groupConnect,
		Long: `Deletes the profile and its client secret from this machine, after asking. The
application in Entra ID stays, as does a certificate in the personal store: both
may serve other connections.

--purge-app deletes the application as well, as an administrator who signs in, and
first of all: should that fail, the profile stays. Only what c2conn registered, or what
is named as documented, is deleted; an application that other saved connections use is
not, unless they are named too or --force is given. For 30 days it can be restored from
the deleted items of Entra ID, unless --permanent is given.`,
		Example: `  c2conn delete contoso-exchange
  c2conn delete contoso-exchange --yes
  c2conn delete contoso-exchange --purge-app
  c2conn delete contoso-exchange --purge-app --yes --access-token-stdin < token`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return &usageError{err: errors.New("give the name of a connection, or several"), command: cmd.CommandPath()}
			}
			return nil
		},
		ValidArgsFunction: a.completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			if err := purge.misused(yes); err != nil {
				return &usageError{err: err, command: cmd.CommandPath()}
			}
			// All names are looked up first: a typing error in the last deletes none.
			var list []connections.Connection
			for _, name := range args {
				c, err := a.connection(ctx, name)
				if err != nil {
					return undeletable(err, name)
				}
				if !slices.ContainsFunc(list, func(x connections.Connection) bool { return x.ID == c.ID }) {
					list = append(list, c)
				}
			}
			doc := deletedJSON{Deleted: []string{}}
			var failed error
			if purge.wanted {
				failed = purge.run(ctx, list, yes, &doc)
				list = nil
			}
			for _, c := range list {
				if failed = a.deleteOne(ctx, c, yes); failed != nil {
					break
				}
				doc.Deleted = append(doc.Deleted, c.Name)
			}
			if len(doc.Deleted) == 0 {
				return failed
			}
			err := a.print(printable{value: doc, name: strings.Join(doc.Deleted, "\n"), table: func() string {
				return "Deleted " + plural(len(doc.Deleted), "connection", "connections") + ": " + strings.Join(doc.Deleted, ", ") + ".\n"
			}})
			return errors.Join(failed, err)
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.Flags().BoolVar(&purge.wanted, "purge-app", false, "delete the application in Entra ID as well, signed in as administrator")
	cmd.Flags().BoolVar(&purge.permanent, "permanent", false, "with --purge-app: also remove it from the deleted items, so that it cannot be restored")
	cmd.Flags().BoolVar(&purge.force, "force", false, "with --purge-app: also an application that other saved connections use; they no longer work then")
	purge.signIn = addSignInFlags(cmd)
	return cmd
}

func (a *app) deleteOne(ctx context.Context, c connections.Connection, yes bool) error {
	if err := a.confirm(ctx, yes, fmt.Sprintf("Delete connection %s (%s, %s)?", c.Name, kindTitle(c.Kind), strings.Join(compact(c.Account, c.Tenant.Domain), ", "))); err != nil {
		return err
	}
	if err := a.deleteProfile(ctx, c); err != nil {
		return err
	}
	if c.Registration.ClientID != "" {
		a.errorf("The application %s stays in Entra ID.", c.Registration.ClientID)
		if link := a.linkTo(c, cloud.Cloud.AppOverview); link != "" {
			a.errorf(" To delete it: %s", link)
		}
		a.errorf("\n")
	}
	a.sayCertificate(ctx, c)
	a.sayGrant(c)
	return nil
}

// deleteProfile deletes the profile and the secrets that were kept for it alone.
func (a *app) deleteProfile(ctx context.Context, c connections.Connection) error {
	store, err := a.store()
	if err != nil {
		return err
	}
	// The profile goes first: a secret without a profile harms nobody, a profile
	// without its secret would fail later.
	if err := store.Delete(ctx, c.ID); err != nil {
		return err
	}
	if err := store.Release(ctx, c); err != nil {
		return fmt.Errorf("connection %s is deleted, but a secret kept for it could not be removed: %w", c.Name, err)
	}
	return nil
}

// sayGrant says what stays on a server: c2conn keeps no record of what it granted there.
func (a *app) sayGrant(c connections.Connection) {
	if c.Location == connections.OnPremises && c.Kind == connections.Exchange {
		name := advice.Literal(exchangeserver.GrantName(clean(c.Account)))
		a.errorf("If c2conn granted the impersonation right, that stays on the server. To remove it, as Exchange administrator:\n  PS> Get-ManagementRoleAssignment %s | Remove-ManagementRoleAssignment\n", name)
	}
}

// sayCertificate says what becomes of the certificate of a deleted connection.
func (a *app) sayCertificate(ctx context.Context, c connections.Connection) {
	if c.Credential.Type == connections.TypeCertificate {
		if inStore := strings.HasPrefix(string(c.Credential.Secret), "store:"); inStore {
			a.errorf("Its certificate stays in the personal store%s\n", a.certificateFate(ctx, c.Credential.Thumbprint))
		}
	}
}

// undeletable adds to the error of a damaged profile what can be done about it.
func undeletable(err error, name string) error {
	var damaged *connections.DamagedError
	if errors.As(err, &damaged) {
		return refuse("%v; nothing was deleted. It may refer to secrets that only its text tells; to mend it: c2conn edit %s --editor", err, advice.ShellWord(name))
	}
	return err
}

// deletedJSON is the answer of delete.
type deletedJSON struct {
	Deleted      []string         `json:"deleted"`
	Applications []deletedAppJSON `json:"applications,omitempty"` // with --purge-app
}

// certificateFate says who still uses a certificate, or how to delete it.
func (a *app) certificateFate(ctx context.Context, thumb string) string {
	users, err := a.certificateUsers(ctx)
	if used := users[strings.ToUpper(thumb)]; err == nil && len(used) > 0 {
		return "; it is used by " + strings.Join(used, ", ") + "."
	}
	return ". To delete it: c2conn cert delete " + thumb
}

// confirm asks unless yes; where nobody can be asked it says which flag decides.
func (a *app) confirm(ctx context.Context, yes bool, question string) error {
	if yes {
		return nil
	}
	if !a.canAsk() {
		return &usageError{err: errors.New("this asks before it deletes, and nobody can be asked here; give --yes"), command: "c2conn"}
	}
	ok, err := a.ask(ctx, question)
	if err != nil {
		return err
	}
	if !ok {
		return errDeclined
	}
	return nil
}

var errDeclined = refuse("nothing was deleted, as you said")
