package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/graph"
	"github.com/c2conn/c2conn/registration"
)

// purgeOptions say that the application goes as well.
type purgeOptions struct {
	*app
	wanted, permanent, force bool
	signIn                   *signInOptions
}

func (o *purgeOptions) misused(yes bool) error {
	if o.wanted {
		if !yes && !o.canAsk() {
			return errors.New("this asks before it deletes, and nobody can be asked here; give --yes")
		}
		return nil
	}
	if o.permanent || o.force {
		return errors.New("--permanent and --force go with --purge-app only")
	}
	for _, f := range o.signIn.flow.Fields() {
		if f.Key == "cloud" {
			continue // harmless
		}
		for _, name := range []string{f.FlagName(), f.FlagName() + "-file", f.FlagName() + "-stdin"} {
			if _, given := o.signIn.flag(name); given {
				return fmt.Errorf("--%s goes with --purge-app only: a profile is deleted without signing in", name)
			}
		}
	}
	return nil
}

// doomed is an application with the connections that go with it.
type doomed struct {
	app         connections.Connection // one of them
	connections []connections.Connection
	others      []string // saved connections that use it and stay
}

// run deletes applications and the connections that use them. Each application goes
// first: a profile without application says what is left of it, an application without
// profile is easily forgotten. What is gone already does not hinder.
func (o *purgeOptions) run(ctx context.Context, list []connections.Connection, yes bool, doc *deletedJSON) error {
	groups, err := o.group(ctx, list)
	if err != nil {
		return err
	}
	admins := map[string]registration.Admin{}
	for _, g := range groups {
		if g.app.Registration.ClientID == "" {
			for _, c := range g.connections {
				if err := o.deleteOne(ctx, c, yes); err != nil {
					return err
				}
				doc.Deleted = append(doc.Deleted, c.Name)
			}
			continue
		}
		admin, ok := admins[g.app.Cloud+" "+g.app.Tenant.ID]
		if !ok {
			if admin, err = o.admin(ctx, g.app); err != nil {
				return err
			}
			admins[g.app.Cloud+" "+g.app.Tenant.ID] = admin
		}
		if err := o.purgeOne(ctx, admin, g, yes, doc); err != nil {
			return err
		}
	}
	return nil
}

// group gathers the connections of each application, and finds out who else uses it.
func (o *purgeOptions) group(ctx context.Context, list []connections.Connection) ([]*doomed, error) {
	store, err := o.store()
	if err != nil {
		return nil, err
	}
	entries, err := store.InUse(ctx) // what is staged counts too
	if err != nil {
		return nil, err
	}
	var groups []*doomed
	for _, c := range list {
		i := slices.IndexFunc(groups, func(g *doomed) bool { return sameApplication(g.app, c) })
		if i < 0 {
			groups, i = append(groups, &doomed{app: c}), len(groups)
		}
		groups[i].connections = append(groups[i].connections, c)
	}
	for _, g := range groups {
		for _, e := range entries {
			if e.Err != nil {
				if !o.force {
					return nil, refuse("nobody can tell whether the damaged profile %s uses the application too; mend it with c2conn edit %s --editor, or give --force. Nothing was deleted",
						e.Connection.Name, advice.ShellWord(e.Connection.Name))
				}
				continue
			}
			goes := slices.ContainsFunc(list, func(c connections.Connection) bool { return c.ID == e.Connection.ID })
			if !goes && sameApplication(g.app, e.Connection) {
				g.others = append(g.others, e.Connection.Name)
			}
		}
		if len(g.others) > 0 && !o.force {
			return nil, refuse("the application %s is used by %s as well, which would no longer work. Delete these in the same command, leave out --purge-app, or give --force. Nothing was deleted",
				g.name(), strings.Join(g.others, ", "))
		}
	}
	return groups, nil
}

// sameApplication tells whether two connections sign in as one application.
func sameApplication(a, b connections.Connection) bool {
	return a.Registration.ClientID != "" && strings.EqualFold(a.Registration.ClientID, b.Registration.ClientID) && strings.EqualFold(a.Cloud, b.Cloud)
}

func (g *doomed) name() string {
	if name := g.app.Registration.AppName; name != "" {
		return fmt.Sprintf("“%s” (%s)", clean(name), g.app.Registration.ClientID)
	}
	return g.app.Registration.ClientID
}

func (g *doomed) names() string {
	var names []string
	for _, c := range g.connections {
		names = append(names, c.Name)
	}
	return strings.Join(names, ", ")
}

// words are the names as they go into a command.
func (g *doomed) words() string {
	var names []string
	for _, c := range g.connections {
		names = append(names, advice.ShellWord(c.Name))
	}
	return strings.Join(names, " ")
}

func (o *purgeOptions) admin(ctx context.Context, c connections.Connection) (registration.Admin, error) {
	clouds, err := o.cloudSet()
	if err != nil {
		return registration.Admin{}, err
	}
	cl, err := clouds.Find(c.Cloud)
	if err != nil {
		return registration.Admin{}, err
	}
	return o.administrator(ctx, o.signIn, cl, c.Tenant.ID)
}

// purgeOne deletes one application, and then the profiles.
func (o *purgeOptions) purgeOne(ctx context.Context, admin registration.Admin, g *doomed, yes bool, doc *deletedJSON) error {
	if len(g.others) > 0 {
		o.errorf("! %s is used by %s as well, which will no longer work.\n", g.name(), strings.Join(g.others, ", "))
	}
	// Who cannot be told who owns it may still be allowed to delete it.
	if owners, err := registration.Owners(ctx, admin, g.app.Registration.ClientID); err == nil && len(owners) > 0 {
		o.errorf("The application %s is owned by %s.\n", g.name(), clean(strings.Join(owners, ", ")))
	}
	where := ", to the deleted items of Entra ID"
	if o.permanent {
		where = " for good"
	}
	if err := o.confirm(ctx, yes, fmt.Sprintf("Delete %s and with it the application %s%s?", g.names(), g.name(), where)); err != nil {
		return err
	}
	err := registration.Delete(ctx, admin, g.app.Registration.ClientID, o.permanent)
	var refused *graph.Error
	deleted := false
	switch {
	case err == nil:
		deleted = true
	case errors.Is(err, registration.ErrDeletedBefore), errors.As(err, &refused) && refused.Status == http.StatusNotFound:
		o.errorf("The application %s was not in the tenant any more.\n", g.name())
	case errors.Is(err, registration.ErrNotOurs):
		return refuse("%v. Nothing was deleted. To delete the application by hand: %s — then c2conn delete %s", err, o.linkTo(g.app, cloud.Cloud.AppOverview), g.words())
	default:
		o.errorf("The application %s could not be deleted, so the profile stays: %s. Run the command again when it is mended, or without --purge-app.\n", g.name(), g.names())
		facts := o.adminFacts(o.signIn, admin)
		facts.ClientID, facts.Kind = g.app.Registration.ClientID, g.app.Kind
		return &adviceError{err: &beforeChecks{err}, facts: facts}
	}
	// From here on the tenant has changed: an interruption must not leave half of it unsaid.
	ctx = context.WithoutCancel(ctx)
	if deleted {
		doc.Applications = append(doc.Applications, deletedAppJSON{ClientID: g.app.Registration.ClientID, Name: g.app.Registration.AppName, Purged: o.permanent, UsedBy: append([]string{}, g.others...)})
		said := "; for 30 days it can be restored from the deleted items"
		if o.permanent {
			said = " for good"
		}
		o.errorf("The application %s is deleted%s.\n", g.name(), said)
	}
	for _, c := range g.connections {
		if err := o.deleteProfile(ctx, c); err != nil {
			return fmt.Errorf("the application %s is gone, but its profile could not be deleted; do it with c2conn delete %s: %w", g.name(), advice.ShellWord(c.Name), err)
		}
		doc.Deleted = append(doc.Deleted, c.Name)
		o.sayCertificate(ctx, c)
	}
	return nil
}
