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
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/graph"
)

// Findings is what has to be known of a tenant before a plan can be made.
type Findings struct {
	Tenant  connections.Tenant
	Account string     // who signed in, as people know them
	Me      graph.User // zero for an application
	Roles   []graph.DirectoryRole
	May     May
	// Resources are the services of the tenant, by their application id. One that is
	// missing does not exist there.
	Resources map[string]graph.ServicePrincipal
	Same      []Existing // of the wished name, newest first
	Related   []Existing // made by c2conn for the same kind, under other names
	Policy    *graph.AppPolicy
	Notes     []string // what somebody should know before going on, in words
}

// Existing is a registration that is there already.
type Existing struct {
	graph.Application
	Ours   bool          // c2conn made it
	Run    string        // of the registration that made it; empty where that is unknown
	Owners []graph.Owner // only of those of the wished name
	// Principal and Granted are read of those of the wished name; without a service
	// principal Principal.ObjectID is empty.
	Principal graph.ServicePrincipal
	Granted   []graph.Assignment
	Err       error // why the above are not known, if they are not
}

// Age is how long ago the registration was made, zero where that is unknown.
func (e Existing) Age(now time.Time) time.Duration {
	if e.Created.IsZero() {
		return 0
	}
	return now.Sub(e.Created)
}

// detailed is of how many registrations of the same name the details are read.
const detailed = 8

// Look reads what MakePlan needs, in one request unless the name is taken.
// Errors: *graph.Error; *entra.WrongTokenError where the token is for another
// tenant than the one that answers.
func Look(ctx context.Context, admin Admin, wish Wish) (*Findings, error) {
	request := graph.SurveyRequest{Me: !admin.Claims.App, DisplayName: wish.name(), Tags: []string{tagKind(wish.Kind)}}
	for _, p := range wanted(wish) {
		if !slices.Contains(request.Resources, p.ResourceAppID) {
			request.Resources = append(request.Resources, p.ResourceAppID)
		}
	}
	s, err := admin.Graph.Survey(ctx, request)
	if err != nil {
		return nil, err
	}
	if c := admin.Claims.TenantID; c != "" && !strings.EqualFold(c, s.Organization.ID) {
		return nil, &entra.WrongTokenError{Reason: entra.OtherTenant, Got: c, Want: s.Organization.ID}
	}
	f := &Findings{Tenant: tenantOf(s.Organization), Account: account(admin, s.Me), Me: s.Me, Resources: s.Resources, Policy: s.Policy, Roles: s.Roles}
	if s.RolesErr != nil {
		f.Roles = hinted(admin.Claims.RoleIDs)
	}
	f.May = mayOf(admin.Claims, f.Roles)
	for _, a := range s.SameName {
		e := existing(a)
		if strings.EqualFold(a.DisplayName, wish.name()) {
			f.Same = append(f.Same, e)
		} else {
			f.Related = append(f.Related, e)
		}
	}
	for _, list := range [][]Existing{f.Same, f.Related} {
		slices.SortStableFunc(list, func(a, b Existing) int { return b.Created.Compare(a.Created) })
	}
	readDetails(ctx, admin.Graph, f.Same[:min(len(f.Same), detailed)])
	f.notes(admin, s.Organization, wish)
	return f, ctx.Err()
}

func tenantOf(o graph.Organization) connections.Tenant {
	domain := o.DefaultDomain
	if domain == "" {
		domain = o.InitialDomain
	}
	return connections.Tenant{ID: o.ID, Domain: domain, Name: o.DisplayName}
}

func account(admin Admin, me graph.User) string {
	for _, name := range []string{me.UPN, admin.Claims.UPN, admin.Claims.Name, admin.Claims.AppID} {
		if name != "" {
			return name
		}
	}
	return "the signed-in account"
}

// hinted makes roles of the token's wids claim. Tokens are opaque by contract, so
// this is a hint for people and stands in nobody's way.
func hinted(ids []string) (roles []graph.DirectoryRole) {
	for _, id := range ids {
		if r, ok := rightOf(id); ok {
			roles = append(roles, graph.DirectoryRole{Name: r.name, TemplateID: id})
		}
	}
	return roles
}

func existing(a graph.Application) Existing {
	e := Existing{Application: a, Ours: slices.Contains(a.Tags, tagOurs)}
	for _, t := range a.Tags {
		if run, ok := strings.CutPrefix(t, tagRun("")); ok {
			e.Run = run
		}
	}
	return e
}

// readDetails fills in what only single reads tell, of all at a time.
func readDetails(ctx context.Context, d directory, list []Existing) {
	var all sync.WaitGroup
	for i := range list {
		e := &list[i]
		all.Go(func() {
			var errs [3]error
			e.Owners, errs[0] = d.Owners(ctx, e.ObjectID)
			e.Principal, errs[1] = d.ServicePrincipal(ctx, e.AppID)
			if notFound(errs[1]) {
				e.Principal, errs[1] = graph.ServicePrincipal{}, nil
			}
			if e.Principal.ObjectID != "" {
				e.Granted, errs[2] = d.Assignments(ctx, e.Principal.ObjectID)
			}
			e.Err = errors.Join(errs[1], errs[2]) // not knowing the owners stops nobody
		})
	}
	all.Wait()
}

// pim is said wherever a role is missing: those that are eligible only do not
// show, and the token does not gain them.
const pim = "If you use Privileged Identity Management, activate the role and then sign in again: the sign-in that you have does not gain it."

func (f *Findings) notes(admin Admin, o graph.Organization, wish Wish) {
	note := func(format string, args ...any) { f.Notes = append(f.Notes, fmt.Sprintf(format, args...)) }
	where := f.Tenant.Name + " (" + f.Tenant.Domain + ")"
	if _, domain, ok := strings.Cut(f.Account, "@"); ok && !admin.Claims.App {
		guest := strings.Contains(strings.ToUpper(f.Account), "#EXT#")
		if guest || len(o.Domains) > 0 && !slices.ContainsFunc(o.Domains, func(d string) bool { return strings.EqualFold(d, domain) }) {
			note("%s is a guest in %s. The application will be registered there, not in the account's own tenant; to register elsewhere, sign in again with --tenant-id.", f.Account, where)
		}
	}
	who := "the active roles of " + f.Account
	if names := roleNames(f.Roles); len(names) > 0 {
		who += " (" + strings.Join(names, ", ") + ")"
	}
	needs := map[Resource]bool{}
	for _, p := range wanted(wish) {
		needs[p.Resource] = true
	}
	short := false
	if f.May.Register == No {
		short = true
		note("By %s no application can be registered in %s.", who, where)
	}
	switch {
	case f.May.ConsentGraph == No && f.May.ConsentExchange == No:
		short = true
		note("By %s no permissions can be granted. Everything else will be done; then a %s has to consent.", who, graphConsenters)
	case f.May.ConsentGraph == No && needs[Graph]:
		short = true
		note("By %s permissions on Microsoft Graph cannot be granted. Everything else will be done; then a %s has to consent.", who, graphConsenters)
	case f.May.ConsentGraph == Unknown && f.May.ConsentExchange == Unknown:
		short = true
		note("Whether %s allow granting permissions cannot be told; the tenant will decide.", who)
	}
	if short && !admin.Claims.App {
		note("%s", pim)
	}
	f.differences(wish, note)
}

// differences notes where the tenant's own ids are not those of the catalogue.
func (f *Findings) differences(wish Wish, note func(string, ...any)) {
	for _, p := range wanted(wish) {
		service, ok := f.Resources[p.ResourceAppID]
		if !ok {
			continue
		}
		if role, ok := findRole(service, p.Role); ok && !strings.EqualFold(role.ID, p.RoleID) {
			note("The id of %s in this tenant is %s, in the catalogue of c2conn %s; the tenant's is used.", p.Role, role.ID, p.RoleID)
		}
	}
}

// wanted lists the permissions that the wish asks for.
func wanted(w Wish) []Permission {
	return slices.DeleteFunc(Catalogue(w.purpose()), func(p Permission) bool {
		return !p.Required && (w.RequiredOnly || p.Resource == SharePoint) // that one takes no client secret
	})
}

// findRole finds an application permission of a service that can be granted.
func findRole(s graph.ServicePrincipal, value string) (graph.AppRole, bool) {
	i := slices.IndexFunc(s.Roles, func(r graph.AppRole) bool { return r.Value == value && r.Enabled && r.ForApplications })
	if i < 0 {
		return graph.AppRole{}, false
	}
	return s.Roles[i], true
}
