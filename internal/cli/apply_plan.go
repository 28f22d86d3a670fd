package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/fleet"
	"github.com/c2conn/c2conn/registration"
	"github.com/c2conn/c2conn/wizard"
)

// The actions of a plan.
const (
	actCreate    = "create"
	actChange    = "change"
	actUnchanged = "unchanged"
	actPrune     = "prune"
)

// applyItem is one connection on its way.
type applyItem struct {
	entry     fleet.Entry
	name      string
	kind      connections.Kind
	tenant    string // as people know it
	action    string
	changes   []string // the fields that differ
	registers bool     // something is registered in the tenant
	saved     *connections.Connection
	session   *wizard.Session
	wanted    connections.Connection

	begun, ended bool
	notSaved     bool // its checks failed
	outcome      verified
	out          *wizard.Outcome
}

// applyTenant is a tenant with what is done in it.
type applyTenant struct {
	name, id string
	cloud    cloud.Cloud
	token    connections.Ref
	items    []*applyItem
	admin    *registration.Admin
	err      error // nobody could sign in
}

type applyPlan struct {
	fleet   string
	env     *wizard.Env
	items   []*applyItem
	tenants []*applyTenant
	begun   []registration.Unfinished
	left    []string // saved connections of the fleet that the file no longer has, and that stay
}

func (p *applyPlan) count(action string) (n int) {
	for _, i := range p.items {
		if i.action == action {
			n++
		}
	}
	return n
}

// changes is how many connections are not left alone.
func (p *applyPlan) changes() int { return len(p.items) - p.count(actUnchanged) }

// progress names what was done of what was planned, and what was not.
func (p *applyPlan) progress() (done, left []string) {
	for _, i := range p.items {
		switch {
		case i.action == actUnchanged:
		case i.ended && i.outcome.err == nil && !i.notSaved:
			done = append(done, i.name)
		default:
			left = append(left, i.name)
		}
	}
	return done, left
}

// plan compares the file with what is saved. It changes nothing, and of the tenants it
// asks only which ones the file's domains mean. Errors: *fleet.Error with all problems.
func (o *applyOptions) plan(ctx context.Context, file *fleet.File) (*applyPlan, error) {
	env, err := o.wizardEnv()
	if err != nil {
		return nil, err
	}
	env.Timeout, env.Consistency = o.timeout, o.consistency
	entries, err := env.Store.List(ctx)
	if err != nil {
		return nil, err
	}
	saved := map[string]*connections.Connection{}
	for _, e := range entries {
		if e.Err == nil {
			saved[strings.ToLower(e.Connection.Name)] = &e.Connection
		}
	}
	p := &applyPlan{fleet: file.Name, env: env}
	problems := &fleet.Error{Path: o.path}
	find := tenantFinder{app: o.app, known: map[string]string{}}
	tenants := map[string]*applyTenant{}
	for _, e := range file.Entries {
		item, wrong := o.item(ctx, p, e, saved[strings.ToLower(e.Name)], &find)
		problems.Problems = append(problems.Problems, wrong...)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if len(wrong) > 0 {
			continue
		}
		delete(saved, strings.ToLower(e.Name))
		p.items = append(p.items, item)
		key := tenantKey(item.wanted)
		t := tenants[key]
		if t == nil {
			t = &applyTenant{name: item.tenant, id: item.wanted.Tenant.ID}
			if item.wanted.Location == connections.OnPremises {
				// A server, where no application is registered.
			} else if t.cloud, err = env.Clouds.Find(item.wanted.Cloud); err != nil {
				return nil, err
			}
			tenants[key] = t
			p.tenants = append(p.tenants, t)
		}
		for _, token := range file.Tokens {
			if item.wanted.Location == connections.OnPremises {
				break
			}
			if id, err := find.id(ctx, t.cloud, token.Tenant); err == nil && id == t.id {
				t.token = o.local(token.Ref)
			}
		}
		t.items = append(t.items, item)
	}
	if len(problems.Problems) > 0 {
		return nil, problems
	}
	o.addLeft(p, saved)
	return p, nil
}

// addLeft adds what the fleet has saved and the file no longer describes.
func (o *applyOptions) addLeft(p *applyPlan, saved map[string]*connections.Connection) {
	for _, name := range slices.Sorted(maps.Keys(saved)) {
		c := saved[name]
		if !strings.EqualFold(c.Fleet, p.fleet) {
			continue
		}
		if !o.prune {
			p.left = append(p.left, c.Name)
			continue
		}
		p.items = append(p.items, &applyItem{name: c.Name, kind: c.Kind, tenant: tenantName(*c), action: actPrune, saved: c, outcome: verified{conn: *c}})
	}
}

// tenantName says where a connection leads: to a tenant, or to a server.
func tenantName(c connections.Connection) string {
	if c.Location == connections.OnPremises {
		return cmp.Or(c.Endpoints.Server, c.Account)
	}
	return cmp.Or(c.Tenant.Domain, c.Tenant.ID)
}

// local makes a file of a reference absolute: it lies beside the fleet's file.
func (o *applyOptions) local(ref connections.Ref) connections.Ref {
	if ref.Scheme() == connections.SchemeFile {
		return connections.Ref("file:" + o.beside(ref.Value()))
	}
	return ref
}

func (o *applyOptions) beside(path string) string {
	if filepath.IsAbs(path) || strings.HasPrefix(path, "~/") {
		return path
	}
	dir, err := filepath.Abs(filepath.Dir(o.path))
	if err != nil {
		return path
	}
	return filepath.Join(dir, path)
}

// source gives the wizard an entry as if it stood on the command line.
func (o *applyOptions) source(ctx context.Context, env *wizard.Env, e fleet.Entry) wizard.Source {
	values := map[string]string{"name": e.Name}
	if e.Auto {
		values["app-name"], values["if-exists"] = e.Name, registration.ExistsUse
	}
	for name, v := range e.Values {
		switch {
		case v.Ref.Scheme() == connections.SchemeFile:
			values[name+"-file"] = o.local(v.Ref).Value()
		case v.Ref != "":
			values[name+"-file"] = string(v.Ref)
		case name == "cert-file":
			values[name] = o.beside(v.Text)
		case name == "credential-ref", name == "password-ref":
			values[name] = string(o.local(connections.Ref(v.Text)))
		default:
			values[name] = v.Text
		}
	}
	return wizard.Source{
		Flag: func(name string) (string, bool) { v, ok := values[name]; return v, ok },
		Getenv: func(name string) string { // what is true of one connection is not true of all
			if name == "C2CONN_CLOUD" {
				return o.Getenv(name)
			}
			return ""
		},
		ReadFile: func(path string) ([]byte, error) {
			if ref := connections.Ref(path); ref.Scheme() == connections.SchemeEnv || ref.Scheme() == connections.SchemeExec {
				secret, err := env.Store.SecretBytes(ctx, ref)
				return secret.Reveal(), err
			}
			return o.ReadFile(path)
		},
	}
}

// item plans one entry.
func (o *applyOptions) item(ctx context.Context, p *applyPlan, e fleet.Entry, saved *connections.Connection, find *tenantFinder) (*applyItem, []fleet.Problem) {
	i := &applyItem{entry: e, name: e.Name, kind: e.Kind, saved: saved, action: actCreate}
	one := func(format string, args ...any) (*applyItem, []fleet.Problem) {
		return nil, []fleet.Problem{{Line: e.Line, Text: clean(e.Name + ": " + fmt.Sprintf(format, args...))}}
	}
	env := *p.env
	env.Profiles = &fleetProfiles{Store: p.env.Store, fleet: p.fleet, was: saved}
	i.session = wizard.NewSession(wizard.FlowOf(e.Kind), &env)
	list := slices.DeleteFunc(i.session.Fill(o.source(ctx, p.env, e)), func(w wizard.Problem) bool {
		return errors.Is(w.Err, wizard.ErrSurplus) && byDefault(e, w)
	})
	if list = append(list, i.session.Ready()...); len(list) > 0 {
		return nil, entryProblems(e, list)
	}
	i.wanted = i.session.Wanted()
	if i.wanted.Location == connections.OnPremises {
		i.tenant = tenantName(i.wanted)
	} else if err := i.findTenant(ctx, p, find); err != nil {
		return one("%v", err)
	}
	if saved == nil {
		// What can be known before anything is registered is said before.
		if err := i.session.LookupAll(ctx); err != nil {
			return one("%v", err)
		}
		if list := i.session.Ready(); len(list) > 0 {
			return nil, entryProblems(e, list)
		}
		i.registers = e.Auto
		return i, nil
	}
	i.outcome.conn = *saved
	if !strings.EqualFold(saved.Fleet, p.fleet) {
		if !o.adopt {
			if saved.Fleet == "" {
				return one("a connection of this name is saved and belongs to no fleet; --adopt takes it into this one")
			}
			return one("a connection of this name belongs to the fleet %s; --adopt takes it into this one", saved.Fleet)
		}
		i.changes = append(i.changes, "fleet")
	}
	fixed := i.compare(ctx)
	if len(fixed) > 0 {
		return one("%s differs from what was registered, which apply does not change; delete the connection, or write what is", strings.Join(fixed, ", "))
	}
	if i.action = actUnchanged; len(i.changes) > 0 {
		i.action = actChange
	}
	return i, nil
}

// findTenant learns which tenant an entry means.
func (i *applyItem) findTenant(ctx context.Context, p *applyPlan, find *tenantFinder) error {
	cl, err := p.env.Clouds.Find(i.wanted.Cloud)
	if err != nil {
		return err
	}
	i.tenant = i.session.Value("tenant_id").Text
	if i.wanted.Tenant.ID, err = find.id(ctx, cl, i.tenant); err != nil {
		return fmt.Errorf("tenant %s: %w", i.tenant, err)
	}
	return i.session.Set("tenant_id", i.wanted.Tenant.ID, wizard.FromFlag, "tenant-id")
}

// byDefault reports whether a problem is of a default of the file, which is meant for the
// entries that ask for it.
func byDefault(e fleet.Entry, w wizard.Problem) bool {
	return !slices.ContainsFunc(w.Flags, func(flag string) bool {
		v, ok := e.Values[strings.TrimSuffix(strings.TrimPrefix(flag, "--"), "-file")]
		return ok && !v.Default
	})
}

// entryProblems are the wizard's problems at their places in the file.
func entryProblems(e fleet.Entry, list []wizard.Problem) (wrong []fleet.Problem) {
	for _, w := range list {
		line := e.Line
		for _, name := range append(w.Flags, "--"+strings.ReplaceAll(w.Key, "_", "-")) {
			name = strings.TrimSuffix(strings.TrimPrefix(name, "--"), "-file")
			if v, ok := e.Values[name]; ok {
				line = v.Line
			}
		}
		text := w.Title + ": " + w.Err.Error()
		if w.Missing {
			text = strings.TrimPrefix(strings.Join(w.Flags, " or "), "--") + " is missing (" + w.Title + ")"
		}
		wrong = append(wrong, fleet.Problem{Line: line, Text: clean(e.Name + ": " + text)})
	}
	return wrong
}

// tenantFinder finds the ids of tenants, each once.
type tenantFinder struct {
	app   *app
	known map[string]string
}

func (f *tenantFinder) id(ctx context.Context, cl cloud.Cloud, name string) (string, error) {
	name = strings.ToLower(strings.TrimSpace(name))
	key := cl.Name + "\n" + name
	if id := f.known[key]; id != "" {
		return id, nil
	}
	if !strings.Contains(name, ".") {
		return name, nil // an id, as the tokens will prove
	}
	client, err := f.app.httpClient(cl)
	if err != nil {
		return "", err
	}
	t, err := entra.ResolveTenant(ctx, client, cl, name)
	if err != nil {
		return "", err
	}
	f.known[key] = t.ID
	return t.ID, nil
}

// fleetProfiles saves connections as those of a fleet, in the place of the one that was.
type fleetProfiles struct {
	*connections.Store
	fleet string
	was   *connections.Connection
}

// Get finds all but the one that is replaced.
func (f *fleetProfiles) Get(ctx context.Context, nameOrID string) (connections.Connection, error) {
	c, err := f.Store.Get(ctx, nameOrID)
	if err == nil && f.was != nil && c.ID == f.was.ID {
		return connections.Connection{}, fmt.Errorf("%s is being replaced: %w", c.Name, connections.ErrNotFound)
	}
	return c, err
}

// TargetOf finds all but the one that is replaced.
func (f *fleetProfiles) TargetOf(ctx context.Context, account string) (connections.Connection, error) {
	c, err := f.Store.TargetOf(ctx, account)
	if err == nil && f.was != nil && c.ID == f.was.ID {
		return connections.Connection{}, fmt.Errorf("%s is being replaced: %w", c.Name, connections.ErrNotFound)
	}
	return c, err
}

// Add saves a connection.
func (f *fleetProfiles) Add(ctx context.Context, c connections.Connection) (connections.Connection, error) {
	c.Fleet = f.fleet
	if f.was == nil {
		return f.Store.Add(ctx, c)
	}
	saved, err := f.Store.Update(ctx, f.was.ID, func(x *connections.Connection) error {
		if !x.Updated.Equal(f.was.Updated) {
			return fmt.Errorf("%s was %w in the meantime", x.Name, connections.ErrChanged)
		}
		*x = c
		return nil
	})
	if err != nil {
		return saved, err
	}
	// A secret that nobody refers to any more does no harm; an error here would take back
	// the new one, which the profile has now.
	_ = f.Store.Release(ctx, *f.was)
	return saved, nil
}
