package registration

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/graph"
)

// Registered is a registration of the tenant that c2conn made, or that has one of
// the documented names.
type Registered struct {
	AppID       string                 `json:"client_id"`
	ObjectID    string                 `json:"object_id"`
	PrincipalID string                 `json:"service_principal_id,omitempty"` // empty: it has none
	Name        string                 `json:"name"`
	Kind        connections.Kind       `json:"kind,omitempty"` // empty where it cannot be told
	Ours        bool                   `json:"by_c2conn"`
	Run         string                 `json:"run,omitempty"` // that made it
	Created     time.Time              `json:"created,omitzero"`
	Deleted     time.Time              `json:"deleted,omitzero"` // since when it is in the deleted items
	Disabled    bool                   `json:"disabled"`
	Credentials []RegisteredCredential `json:"credentials"`
	Expires     time.Time              `json:"expires,omitzero"` // the end of the credential that lasts longest
	Missing     []string               `json:"missing"`          // required permissions that nobody has consented to
	UsedBy      []string               `json:"used_by"`          // connections, saved or staged
	Err         string                 `json:"error,omitempty"`  // why its permissions are not known
}

// RegisteredCredential is a certificate or a client secret of a registration.
type RegisteredCredential struct {
	Type       string    `json:"type"` // certificate or client-secret
	Name       string    `json:"name,omitempty"`
	Thumbprint string    `json:"thumbprint,omitempty"`
	NotAfter   time.Time `json:"not_after,omitzero"`
}

// sideBySide is how many registrations are read at a time.
const sideBySide = 6

// List finds the registrations of the tenant, newest first, those in the deleted
// items last. saved are this computer's connections. Errors: *graph.Error.
func List(ctx context.Context, admin Admin, saved []connections.Entry) ([]Registered, error) {
	apps, deleted, services, err := listAll(ctx, admin.Graph)
	if err != nil {
		return nil, err
	}
	list := make([]Registered, len(apps))
	turns := make(chan struct{}, sideBySide)
	var all sync.WaitGroup
	for i, a := range apps {
		list[i] = registered(a)
		all.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			list[i].readConsent(ctx, admin.Graph, services, purposesOf(a, list[i], admin.Claims.TenantID, saved))
		})
	}
	all.Wait()
	for _, a := range deleted {
		if r := registered(a); r.Ours {
			list = append(list, r)
		}
	}
	for i := range list {
		list[i].usedBy(admin.Claims.TenantID, saved)
	}
	slices.SortStableFunc(list, func(a, b Registered) int {
		if a.Deleted.IsZero() != b.Deleted.IsZero() {
			if a.Deleted.IsZero() {
				return -1
			}
			return 1
		}
		return b.Created.Compare(a.Created)
	})
	return list, ctx.Err()
}

// listAll reads, side by side, the applications and what is needed to judge them.
func listAll(ctx context.Context, g directory) (apps, deleted []graph.Application, services map[string]graph.ServicePrincipal, err error) {
	var resources []string
	for _, purpose := range Purposes() {
		for _, p := range Catalogue(purpose) {
			if !slices.Contains(resources, p.ResourceAppID) {
				resources = append(resources, p.ResourceAppID)
			}
		}
	}
	kinds := connections.Kinds()
	found, errs := make([][]graph.Application, len(kinds)+1), make([]error, len(kinds)+3)
	var all sync.WaitGroup
	for i, kind := range kinds {
		all.Go(func() { found[i], errs[i] = g.ApplicationsByName(ctx, AppName(kind)) })
	}
	n := len(kinds)
	all.Go(func() { found[n], errs[n] = g.ApplicationsByTag(ctx, tagOurs) })
	all.Go(func() {
		// Fewer may see the deleted items; the others are worth showing without them.
		if deleted, errs[n+1] = g.DeletedApplications(ctx); denied(errs[n+1]) {
			errs[n+1] = nil
		}
	})
	all.Go(func() {
		var s graph.Survey
		s, errs[n+2] = g.Survey(ctx, graph.SurveyRequest{Resources: resources})
		services = s.Resources
	})
	all.Wait()
	for _, list := range found {
		for _, a := range list {
			if !slices.ContainsFunc(apps, func(b graph.Application) bool { return a.ObjectID == b.ObjectID }) {
				apps = append(apps, a)
			}
		}
	}
	return apps, deleted, services, errors.Join(errs...)
}

func registered(a graph.Application) Registered {
	e := existing(a)
	r := Registered{
		AppID: a.AppID, ObjectID: a.ObjectID, Name: a.DisplayName, Kind: kindOf(a), Ours: e.Ours, Run: e.Run, Created: a.Created, Deleted: a.Deleted,
		Disabled: a.Disabled || a.DisabledByMicrosoft != "", Credentials: []RegisteredCredential{}, Missing: []string{}, UsedBy: []string{},
	}
	for _, k := range a.Keys {
		r.Credentials = append(r.Credentials, RegisteredCredential{Type: connections.TypeCertificate, Name: k.DisplayName, Thumbprint: k.Thumbprint, NotAfter: k.End})
	}
	for _, s := range a.Secrets {
		r.Credentials = append(r.Credentials, RegisteredCredential{Type: connections.TypeClientSecret, Name: s.DisplayName, NotAfter: s.End})
	}
	for _, c := range r.Credentials {
		if c.NotAfter.After(r.Expires) {
			r.Expires = c.NotAfter
		}
	}
	return r
}

// kindOf tells the kind by the tag, else by the documented name.
func kindOf(a graph.Application) connections.Kind {
	for _, byTag := range []bool{true, false} {
		for _, kind := range connections.Kinds() {
			if byTag && slices.Contains(a.Tags, tagKind(kind)) || !byTag && strings.EqualFold(a.DisplayName, AppName(kind)) {
				return kind
			}
		}
	}
	return ""
}

// purposesOf tells what an application is for: the saved connections that use it
// know; else it is the permission set that it asks for, with the credentials it has.
func purposesOf(a graph.Application, r Registered, tenant string, saved []connections.Entry) (list []Purpose) {
	for _, e := range saved {
		if uses(e, tenant, r.AppID) {
			list = append(list, PurposeOf(e.Connection))
		}
	}
	if len(list) > 0 || r.Kind == "" {
		return list
	}
	p := Purpose{Kind: r.Kind, Secret: len(a.Secrets) > 0 && len(a.Keys) == 0}
	lacks := func(q Permission) bool { return q.Required && !asksFor(a, q, graph.AppRole{ID: q.RoleID}) }
	if seed := (Purpose{Kind: r.Kind, Set: SetSeed, Secret: p.Secret}); slices.ContainsFunc(Catalogue(p), lacks) && !slices.ContainsFunc(Catalogue(seed), lacks) {
		p = seed
	}
	return []Purpose{p}
}

// readConsent compares what was granted with what the application is for requires.
func (r *Registered) readConsent(ctx context.Context, g directory, services map[string]graph.ServicePrincipal, purposes []Purpose) {
	sp, err := g.ServicePrincipal(ctx, r.AppID)
	var have []graph.Assignment
	if err == nil {
		r.PrincipalID = sp.ObjectID
		have, err = g.Assignments(ctx, sp.ObjectID)
	} else if notFound(err) {
		err = nil // nobody can have consented
	}
	if err != nil {
		r.Err = err.Error()
		return
	}
	for _, purpose := range purposes {
		for _, p := range Catalogue(purpose) {
			role, found := findRole(services[p.ResourceAppID], p.Role)
			if p.Required && !(found && isGranted(have, services[p.ResourceAppID].ObjectID, role.ID)) && !slices.Contains(r.Missing, p.Role) {
				r.Missing = append(r.Missing, p.Role)
			}
		}
	}
}

func (r *Registered) usedBy(tenant string, saved []connections.Entry) {
	for _, e := range saved {
		if uses(e, tenant, r.AppID) && !slices.Contains(r.UsedBy, e.Connection.Name) { // saved and staged
			r.UsedBy = append(r.UsedBy, e.Connection.Name)
		}
	}
}

// Owners lists who owns the application with that client id, by UPN or else by name, for
// whoever is about to delete it. Applications have none unless someone was made one.
//
// Errors: *graph.Error, with status 404 where there is no such application.
func Owners(ctx context.Context, admin Admin, appID string) ([]string, error) {
	a, err := admin.Graph.ApplicationByAppID(ctx, appID)
	if err != nil {
		return nil, err
	}
	owners, err := admin.Graph.Owners(ctx, a.ObjectID)
	return ownerNames(owners), err
}

// What Delete does not do.
var (
	// ErrNotOurs: c2conn deletes no application of others.
	ErrNotOurs = errors.New("it is neither made by c2conn nor does it have one of the documented names")
	// ErrDeletedBefore: it lies in the deleted items already.
	ErrDeletedBefore = errors.New("deleted before")
)

// Delete moves a registration, named by its client id, to the deleted items, with
// purge it removes it for good, also one that was deleted before. Only one that
// c2conn made or that has a documented name is touched.
//
// Errors: ErrNotOurs, ErrDeletedBefore (without purge); *graph.Error, with status 404
// where there is none.
func Delete(ctx context.Context, admin Admin, appID string, purge bool) error {
	g := admin.Graph
	a, err := g.ApplicationByAppID(ctx, appID)
	gone := notFound(err)
	if gone {
		deleted, e := g.DeletedApplications(ctx)
		if e != nil {
			return errors.Join(err, e)
		}
		i := slices.IndexFunc(deleted, func(d graph.Application) bool { return strings.EqualFold(d.AppID, appID) })
		switch {
		case i < 0:
			return err
		case !purge:
			return fmt.Errorf("“%s” was %w and lies in the deleted items; to remove it for good: --purge", deleted[i].DisplayName, ErrDeletedBefore)
		}
		a, err = deleted[i], nil
	}
	if err != nil {
		return err
	}
	if r := registered(a); !r.Ours && r.Kind == "" {
		return fmt.Errorf("“%s” (client id %s) is not deleted by c2conn: %w", a.DisplayName, a.AppID, ErrNotOurs)
	}
	principal := ""
	if !gone && purge {
		if sp, err := g.ServicePrincipal(ctx, appID); err == nil {
			principal = sp.ObjectID
		}
	}
	if !gone {
		if err := g.DeleteApplication(graph.Fresh(ctx, time.Minute), a.ObjectID); err != nil {
			return err
		}
	}
	if !purge {
		return nil
	}
	// The service principal first: with its application gone for good it may vanish.
	return errors.Join(purgePrincipals(ctx, g, principal, appID, gone), purgeListed(ctx, g, a.ObjectID, gone))
}

// purgePrincipals removes the service principals of an application from the deleted
// items: the one that was known before, and those that lie there.
func purgePrincipals(ctx context.Context, g directory, known, appID string, listed bool) error {
	if known != "" {
		return purgeListed(ctx, g, known, listed)
	}
	list, err := g.DeletedServicePrincipals(ctx)
	if err != nil {
		return fmt.Errorf("whether its service principal lies in the deleted items is not known: %w", err)
	}
	var errs []error
	for _, sp := range list {
		if strings.EqualFold(sp.AppID, appID) {
			errs = append(errs, purgeListed(ctx, g, sp.ObjectID, true))
		}
	}
	return errors.Join(errs...)
}

// purgeListed removes something from the deleted items. Where it was listed, not
// finding it any more soon means that it is gone; right after its deletion, when
// every server must have heard of that.
func purgeListed(ctx context.Context, g directory, id string, listed bool) error {
	limit := DefaultConsistency
	if listed {
		limit = listedLimit
	}
	err := g.PurgeDeleted(graph.Fresh(ctx, limit), id)
	if notFound(err) && ctx.Err() == nil {
		return nil
	}
	return err
}

// listedLimit bounds the wait for what one server has just listed.
const listedLimit = 30 * time.Second
