package registration

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/c2conn/c2conn/internal/graph"
)

const (
	tenantID = "11111111-1111-4111-8111-111111111111"
	adminUPN = "admin@contoso.com"
)

// clock lets every wait pass at once.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return ctx.Err()
}

// strike is what happens at a point of a run.
type strike string

const (
	lostAfter   strike = "answer lost, change made"
	lostBefore  strike = "answer lost, change not made"
	refuse      strike = "refused"
	cancelAfter strike = "cancelled, change made"
	killBefore  strike = "killed before"
	killAfter   strike = "killed after"
)

// killed is the panic of a process that is ended.
type killed struct{ point string }

// fake is a tenant that loses answers and ends processes.
type fake struct {
	clock *clock

	mu          sync.Mutex
	serial      int
	apps        []graph.Application
	principals  []graph.ServicePrincipal
	assignments []graph.Assignment
	deletedApps []graph.Application
	deletedSPs  []graph.ServicePrincipal
	dropsKeys   bool // creating by unique name leaves the certificates out
	noUpsert    bool
	keyLifetime time.Duration
	noSecrets   bool
	denyConsent []string // app ids of resources
	creates     int
	sent        []string
	afterKeys   func(*graph.Application) // runs after a SetKeys

	// The point at which something happens; 0 means nothing does.
	armed  bool // points count; Look does not, it changes nothing
	at     int
	what   strike
	passed int
	dead   bool
	hit    string
	cancel context.CancelFunc
}

func newFake(c *clock) *fake {
	f := &fake{clock: c}
	for i, r := range []Resource{Exchange, Graph, SharePoint} {
		sp := graph.ServicePrincipal{ObjectID: fmt.Sprintf("aaaaaaaa-0000-4000-8000-00000000000%d", i), AppID: r.AppID(), DisplayName: r.Title(), Enabled: true}
		for _, purpose := range Purposes() {
			for _, p := range Catalogue(purpose) {
				if p.Resource == r && !slices.ContainsFunc(sp.Roles, func(a graph.AppRole) bool { return a.Value == p.Role }) {
					sp.Roles = append(sp.Roles, graph.AppRole{ID: p.RoleID, Value: p.Role, Enabled: true, ForApplications: true})
				}
			}
		}
		f.principals = append(f.principals, sp)
	}
	return f
}

func (f *fake) id() string {
	f.serial++
	return fmt.Sprintf("bbbbbbbb-0000-4000-8000-%012d", f.serial)
}

var errLost = fmt.Errorf("the connection was cut: %w", graph.ErrOutcomeUnknown)

// point counts points and ends the process where it is to end.
func (f *fake) point(name string) (now bool) {
	if f.dead {
		panic(killed{f.hit})
	}
	if !f.armed {
		return false
	}
	f.passed++
	if now = f.passed == f.at; now {
		f.hit = name
	}
	return now
}

// step is the hook of a Registrar: points at which only the end of the process is
// of interest.
func (f *fake) step(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead {
		panic(killed{f.hit})
	}
	if f.what == killBefore && f.point(name) {
		f.dead = true
		panic(killed{name})
	}
}

// ask is one request.
func (f *fake) ask(ctx context.Context, name string, writes bool, do func() error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.point(name)
	if err := ctx.Err(); err != nil {
		return err
	}
	f.sent = append(f.sent, name)
	if !now {
		return do()
	}
	if f.what == killBefore {
		f.dead = true
		panic(killed{name})
	}
	if f.what == refuse {
		return &graph.Error{Op: name, Status: 400, Code: "Request_BadRequest", Message: "no"}
	}
	if f.what == lostBefore {
		if !writes {
			return &graph.Error{Op: name, Err: errors.New("the connection was cut")}
		}
		return errLost
	}
	err := do()
	switch f.what {
	case killAfter:
		f.dead = true
		panic(killed{name})
	case cancelAfter:
		f.cancel()
		return &graph.Error{Op: name, Err: ctx.Err()}
	case lostAfter:
		if !writes {
			return &graph.Error{Op: name, Err: errors.New("the connection was cut")}
		}
		return errLost
	}
	return err
}

func missing(what string) error {
	return &graph.Error{Op: what, Status: 404, Code: "Request_ResourceNotFound", Message: "Resource '" + what + "' does not exist or one of its queried reference-property objects are not present."}
}

func (f *fake) app(is func(graph.Application) bool) (*graph.Application, error) {
	for i := range f.apps {
		if is(f.apps[i]) {
			return &f.apps[i], nil
		}
	}
	return nil, missing("application")
}

func byID(id string) func(graph.Application) bool {
	return func(a graph.Application) bool { return a.ObjectID == id }
}

func (f *fake) find(ctx context.Context, name string, is func(graph.Application) bool) (found graph.Application, err error) {
	err = f.ask(ctx, name, false, func() error {
		a, err := f.app(is)
		if err == nil {
			found = cloned(*a)
		}
		return err
	})
	return found, err
}

func cloned(a graph.Application) graph.Application {
	a.Keys, a.Secrets, a.Tags = slices.Clone(a.Keys), slices.Clone(a.Secrets), slices.Clone(a.Tags)
	var required []graph.ResourceAccess
	for _, r := range a.Required {
		required = append(required, graph.ResourceAccess{ResourceAppID: r.ResourceAppID, Roles: slices.Clone(r.Roles), Scopes: slices.Clone(r.Scopes)})
	}
	a.Required = required
	return a
}

func (f *fake) Survey(ctx context.Context, q graph.SurveyRequest) (s graph.Survey, err error) {
	err = f.ask(ctx, "survey", false, func() error {
		s.Organization = graph.Organization{ID: tenantID, DisplayName: "Contoso", DefaultDomain: "contoso.com", InitialDomain: "contoso.onmicrosoft.com", Domains: []string{"contoso.com", "contoso.onmicrosoft.com"}}
		if q.Me {
			s.Me = graph.User{ID: "me", UPN: adminUPN, Mail: adminUPN}
			s.Roles = []graph.DirectoryRole{{Name: "Global Administrator", TemplateID: "62e90394-69f5-4237-9190-012177145e10"}}
		}
		s.Resources = map[string]graph.ServicePrincipal{}
		for _, id := range q.Resources {
			for _, sp := range f.principals {
				if sp.AppID == id {
					s.Resources[id] = sp
				}
			}
		}
		for _, a := range f.apps {
			if strings.EqualFold(a.DisplayName, q.DisplayName) || slices.ContainsFunc(q.Tags, func(t string) bool { return slices.Contains(a.Tags, t) }) {
				s.SameName = append(s.SameName, cloned(a))
			}
		}
		if f.keyLifetime > 0 {
			s.PolicyErr = &graph.Error{Status: 403}
		}
		return nil
	})
	return s, err
}

func (f *fake) checkKeys(keys []graph.Key) error {
	for _, k := range keys {
		if len(k.Public) == 0 {
			return &graph.Error{Status: 400, Message: "no public part"}
		}
		if f.keyLifetime > 0 && k.End.Sub(k.Start) > f.keyLifetime {
			return &graph.Error{Op: "create application", Status: 400, Code: codeLifetime,
				Message: "Credential lifetime exceeds the max value allowed as per assigned policy 'cccccccc-0000-4000-8000-000000000000'."}
		}
	}
	return nil
}

func (f *fake) create(uniqueName string, n graph.NewApplication) (graph.Application, error) {
	if err := f.checkKeys(n.Keys); err != nil {
		return graph.Application{}, err
	}
	a := graph.Application{ObjectID: f.id(), AppID: f.id(), DisplayName: n.DisplayName, UniqueName: uniqueName, Description: n.Description, Notes: n.Notes,
		SignInAudience: "AzureADMyOrg", Created: f.clock.Now(), Tags: n.Tags, Keys: n.Keys, Required: n.Required}
	a = cloned(a)
	if f.dropsKeys && uniqueName != "" {
		a.Keys = nil
	}
	for i := range a.Keys {
		a.Keys[i].ID = f.id()
	}
	f.apps = append(f.apps, a)
	f.creates++
	return cloned(a), nil
}

func (f *fake) UpsertApplication(ctx context.Context, uniqueName string, n graph.NewApplication) (a graph.Application, created bool, err error) {
	err = f.ask(ctx, "upsert application", true, func() (err error) {
		if f.noUpsert {
			return &graph.Error{Status: 400, Code: "Request_BadRequest", Message: "The request URI is not valid."}
		}
		if have, e := f.app(func(a graph.Application) bool { return a.UniqueName == uniqueName }); e == nil {
			if err := f.checkKeys(n.Keys); err != nil {
				return err
			}
			have.DisplayName, have.Tags = n.DisplayName, n.Tags
			if n.Keys != nil {
				have.Keys = slices.Clone(n.Keys)
			}
			a = cloned(*have)
			return nil
		}
		if slices.ContainsFunc(f.deletedApps, func(a graph.Application) bool { return a.UniqueName == uniqueName }) {
			return &graph.Error{Status: 409, Code: "ObjectConflict", Message: "taken by a deleted one"}
		}
		created = true
		a, err = f.create(uniqueName, n)
		return err
	})
	return a, created, err
}

func (f *fake) CreateApplication(ctx context.Context, n graph.NewApplication) (a graph.Application, err error) {
	err = f.ask(ctx, "create application", true, func() (err error) {
		a, err = f.create("", n)
		return err
	})
	return a, err
}

func (f *fake) Application(ctx context.Context, id string) (graph.Application, error) {
	return f.find(ctx, "read application", byID(id))
}

func (f *fake) ApplicationByAppID(ctx context.Context, id string) (graph.Application, error) {
	return f.find(ctx, "read application by client id", func(a graph.Application) bool { return a.AppID == id })
}

func (f *fake) ApplicationByUniqueName(ctx context.Context, name string) (graph.Application, error) {
	return f.find(ctx, "read application by unique name", func(a graph.Application) bool { return a.UniqueName == name })
}

func (f *fake) list(ctx context.Context, name string, from *[]graph.Application, is func(graph.Application) bool) (list []graph.Application, err error) {
	err = f.ask(ctx, name, false, func() error {
		for _, a := range *from {
			if is(a) {
				a = cloned(a)
				for i := range a.Keys {
					a.Keys[i].Public = nil
				}
				list = append(list, a)
			}
		}
		return nil
	})
	return list, err
}

func (f *fake) ApplicationsByName(ctx context.Context, name string) ([]graph.Application, error) {
	return f.list(ctx, "list by name", &f.apps, func(a graph.Application) bool { return a.DisplayName == name })
}

func (f *fake) ApplicationsByTag(ctx context.Context, tag string) ([]graph.Application, error) {
	return f.list(ctx, "list by tag", &f.apps, func(a graph.Application) bool { return slices.Contains(a.Tags, tag) })
}

func (f *fake) DeletedApplications(ctx context.Context) ([]graph.Application, error) {
	return f.list(ctx, "list deleted", &f.deletedApps, func(graph.Application) bool { return true })
}

func (f *fake) change(ctx context.Context, name, id string, do func(*graph.Application) error) error {
	return f.ask(ctx, name, true, func() error {
		a, err := f.app(byID(id))
		if err != nil {
			return err
		}
		return do(a)
	})
}
