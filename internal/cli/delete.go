package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/cloud"
)

func newDelete(a *app) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "delete NAME…", Aliases: []string{"rm"}, Short: "Delete saved connections", GroupID: groupConnect,
		Long: `Deletes the profile and its client secret from this machine, after asking. The
application in Entra ID stays, as does a certificate in the personal store: both
may serve other connections.`,
		Example: "  c2conn delete contoso-exchange\n  c2conn delete contoso-exchange --yes",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return &usageError{err: errors.New("give the name of a connection, or several"), command: cmd.CommandPath()}
			}
			return nil
		},
		ValidArgsFunction: a.completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			// All names are looked up first: a typing error in the last deletes none.
			var list []connections.Connection
			for _, name := range args {
				c, err := a.connection(ctx, name)
				if err != nil {
					return err
				}
				if !slices.ContainsFunc(list, func(x connections.Connection) bool { return x.ID == c.ID }) {
					list = append(list, c)
				}
			}
			doc := deletedJSON{Deleted: []string{}}
			var failed error
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
	return cmd
}

func (a *app) deleteOne(ctx context.Context, c connections.Connection, yes bool) error {
	if err := a.confirm(ctx, yes, fmt.Sprintf("Delete connection %s (%s, %s)?", c.Name, kindTitle(c.Kind), strings.Join(compact(c.Account, c.Tenant.Domain), ", "))); err != nil {
		return err
	}
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
	if c.Registration.ClientID != "" {
		a.errorf("The application %s stays in Entra ID.", c.Registration.ClientID)
		if link := a.linkTo(c, cloud.Cloud.AppOverview); link != "" {
			a.errorf(" To delete it: %s", link)
		}
		a.errorf("\n")
	}
	if c.Credential.Type == connections.TypeCertificate {
		if inStore := strings.HasPrefix(string(c.Credential.Secret), "store:"); inStore {
			a.errorf("Its certificate stays in the personal store%s\n", a.certificateFate(ctx, c.Credential.Thumbprint))
		}
	}
	return nil
}

// deletedJSON is the answer of delete.
type deletedJSON struct {
	Deleted []string `json:"deleted"`
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
