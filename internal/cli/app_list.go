package cli

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/registration"
	"github.com/c2conn/c2conn/wizard"
)

// registrationsJSON is the answer of app list.
type registrationsJSON struct {
	Registrations []registration.Registered `json:"registrations"`
}

func newAppList(a *app) *cobra.Command {
	var signIn *signInOptions
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the registrations of a tenant",
		Long: `Lists the applications of a tenant that c2conn made or that are named as
documented: when their last credential expires, which permissions nobody has
consented to yet, and which saved connections of this computer use them. One that
nothing uses may be an orphan: c2conn app delete removes it. Needs an administrator's
sign-in and changes nothing.`,
		Example: `  c2conn app list
  c2conn app list --login device-code
  c2conn app list --access-token-stdin --output json < token`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, list, err := a.registrations(cmd.Context(), signIn)
			if err != nil {
				return err
			}
			var ids []string
			for _, r := range list {
				ids = append(ids, r.AppID)
			}
			return a.print(printable{value: registrationsJSON{list}, name: strings.Join(ids, "\n"), table: func() string {
				if len(list) == 0 {
					return "No registrations in this tenant. Make one: c2conn new exchange\n"
				}
				return registrationTable(list, a.Clock.Now())
			}})
		},
	}
	signIn = addSignInFlags(cmd)
	return cmd
}

// registrations signs an administrator in and reads the tenant's registrations.
func (a *app) registrations(ctx context.Context, o *signInOptions) (registration.Admin, []registration.Registered, error) {
	store, err := a.store()
	if err != nil {
		return registration.Admin{}, nil, err
	}
	saved, err := store.InUse(ctx) // who deletes one wants to know of what is staged, too
	if err != nil {
		return registration.Admin{}, nil, err
	}
	admin, err := a.administrator(ctx, o, cloud.Cloud{}, "")
	if err != nil {
		return admin, nil, err
	}
	list, err := registration.List(ctx, admin, saved)
	if err != nil {
		return admin, nil, &adviceError{err: &beforeChecks{err}, facts: a.adminFacts(o, admin)}
	}
	return admin, append([]registration.Registered{}, list...), nil
}

// adminFacts is what is known when a call of an administrator fails.
func (a *app) adminFacts(o *signInOptions, admin registration.Admin) advice.Facts {
	c := admin.Claims
	f := advice.Facts{Command: "c2conn " + o.command(), TenantID: c.TenantID, Admin: c.UPN, Now: a.Clock.Now(), Login: wizard.LoginBrowser, Cloud: a.chosenCloud(o)}
	if way, ok := o.flag("login"); ok {
		f.Login = way
	}
	if c.App {
		f.Login = wizard.LoginApp
	}
	for _, name := range []string{"access-token-file", "access-token-stdin"} {
		if _, ok := o.flag(name); ok {
			f.Login = wizard.LoginToken
		}
	}
	return f
}

// chosenCloud is the cloud that the flag or the variable names; the zero Cloud where
// it is not known.
func (a *app) chosenCloud(o *signInOptions) cloud.Cloud {
	name, given := o.flag("cloud")
	if !given {
		name = cmp.Or(a.Getenv("C2CONN_CLOUD"), cloud.Global)
	}
	return a.cloudOf(connections.Connection{Cloud: name})
}

func registrationTable(list []registration.Registered, now time.Time) string {
	rows := [][]string{{"NAME", "CLIENT ID", "REGISTERED", "EXPIRES", "CONSENT", "USED BY"}}
	for _, r := range list {
		registered, expires, used := "–", "no credential", "–"
		if !r.Created.IsZero() {
			registered = ago(now, r.Created)
		}
		if len(r.Credentials) > 0 {
			expires = left(now, r.Expires)
		}
		if len(r.UsedBy) > 0 {
			used = strings.Join(r.UsedBy, ", ")
		}
		rows = append(rows, []string{clean(r.Name), r.AppID, registered, expires, consentText(r), used})
	}
	return columns(rows)
}

func consentText(r registration.Registered) string {
	switch {
	case !r.Deleted.IsZero():
		return "– deleted on " + r.Deleted.Format(time.DateOnly)
	case r.Disabled:
		return "✗ disabled"
	case r.Err != "":
		return "– unknown"
	case r.PrincipalID == "":
		return "! no service principal"
	case len(r.Missing) == 1:
		return "! missing " + r.Missing[0]
	case len(r.Missing) > 1:
		return fmt.Sprintf("! %d missing", len(r.Missing))
	case r.Kind == "":
		return "–"
	}
	return "✓ complete"
}
