package registration

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/graph"
	"github.com/c2conn/c2conn/internal/sim"
	"github.com/c2conn/c2conn/internal/transport"
)

var simKeys = sync.OnceValue(sim.NewKeys)

// place is a simulated tenant and a computer.
type place struct {
	*testing.T
	world *sim.World
	clock *clock
	cloud cloud.Cloud
	http  *http.Client
	admin Admin
	dir   string
	store *connections.Store
	own   certs.Store
	r     *Registrar
	wish  Wish

	consistency time.Duration
}

func newPlace(t *testing.T, upn string, o sim.Options) *place {
	t.Helper()
	p := &place{T: t, clock: &clock{now: time.Now()}}
	o.Now, o.Sleep, o.Keys = p.clock.Now, p.clock.Sleep, simKeys()
	var err error
	if p.world, err = sim.Start(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.world.Close() })
	if p.cloud, err = cloud.Parse(p.world.CloudYAML()); err != nil {
		t.Fatal(err)
	}
	p.http, err = transport.New(transport.Options{ExtraCA: p.cloud.CA, Clock: p.clock, UserAgent: "c2conn/test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.http.CloseIdleConnections)
	p.admin = p.signIn(upn)
	p.wish = Wish{Kind: connections.Exchange, Cloud: p.cloud, Connection: "it"}
	p.dir = filepath.Join(t.TempDir(), "state")
	p.restart()
	return p
}

// restart is c2conn started anew on the same computer.
func (p *place) restart() {
	p.Helper()
	if p.r != nil {
		p.r.Close()
	}
	store, err := connections.Open(connections.Options{Dir: p.dir, Now: p.clock.Now, Getenv: func(name string) string {
		return map[string]string{"C2CONN_IDENTITY_FILE": p.dir + ".identity"}[name]
	}})
	if err != nil {
		p.Fatal(err)
	}
	p.store, p.own = store, certs.NewFiles(store, p.dir, p.clock.Now)
	p.r = p.registrar()
	p.Cleanup(p.r.Close)
}

func (p *place) registrar() *Registrar {
	return New(Options{Dir: p.dir, Personal: p.own, Store: p.store, Cloud: p.cloud, Clock: p.clock, Consistency: p.consistency, Key: func(context.Context) (*rsa.PrivateKey, error) { return testKey(), nil }})
}

func (p *place) signIn(upn string) Admin {
	p.Helper()
	raw, err := p.world.AdminToken(upn)
	if err != nil {
		p.Fatal(err)
	}
	who, err := entra.GivenToken(connections.NewSecret(raw), p.cloud, p.clock.Now())
	if err != nil {
		p.Fatal(err)
	}
	g, err := graph.New(graph.Options{BaseURL: p.cloud.GraphBase(), Token: who.Token, HTTP: p.http, Clock: p.clock})
	if err != nil {
		p.Fatal(err)
	}
	return Admin{Graph: g, Claims: who.Claims()}
}

func (p *place) base() entra.AppOptions {
	return entra.AppOptions{Cloud: p.cloud, HTTP: p.http, Now: p.clock.Now}
}

func (p *place) plan(ctx context.Context, run string) (Plan, error) {
	f, err := Look(ctx, p.admin, p.wish)
	if err != nil {
		return Plan{}, err
	}
	return MakePlan(p.wish, f, p.clock.Now(), run)
}

func (p *place) register(ctx context.Context) (*Result, error) {
	plan, err := p.plan(ctx, "")
	if err != nil {
		return nil, err
	}
	return p.r.Apply(ctx, p.admin, p.wish, plan, p.base(), nil)
}

// tenant is what the primary holds, without what was there at the beginning.
type tenant struct {
	Applications []map[string]any `json:"applications"`
	Principals   []map[string]any `json:"service_principals"`
	Assignments  []map[string]any `json:"assignments"`
	Deleted      []map[string]any `json:"deleted"`
}

func (p *place) dump() (t tenant) {
	p.Helper()
	data, err := p.world.Dump()
	if err == nil {
		err = json.Unmarshal(data, &t)
	}
	if err != nil {
		p.Fatal(err)
	}
	ours := func(list []map[string]any) []map[string]any {
		return slices.DeleteFunc(list, func(o map[string]any) bool { return !strings.Contains(fmt.Sprint(o["tags"]), "c2conn") })
	}
	t.Applications, t.Principals = ours(t.Applications), ours(t.Principals)
	var ids []any
	for _, sp := range t.Principals {
		ids = append(ids, sp["id"])
	}
	t.Assignments = slices.DeleteFunc(t.Assignments, func(a map[string]any) bool { return !slices.Contains(ids, a["principalId"]) })
	return t
}

func (p *place) checkClean(what string) {
	p.Helper()
	t := p.dump()
	if len(t.Applications)+len(t.Principals)+len(t.Assignments)+len(t.Deleted) > 0 {
		p.Errorf("%s: left in the tenant: %d applications, %d principals, %d permissions, %d deleted", what, len(t.Applications), len(t.Principals), len(t.Assignments), len(t.Deleted))
	}
	entries, err := p.own.List(context.Background())
	if err != nil || len(entries) > 0 {
		p.Errorf("%s: left in the personal store: %v %v", what, entries, err)
	}
	if list, err := runs(p.r.dir); err != nil || len(list) > 0 {
		p.Errorf("%s: journals left: %v %v", what, list, err)
	}
}

// checkOne checks that there is one application, and that the stored key signs it in.
func (p *place) checkOne(what string, res *Result) {
	p.Helper()
	t := p.dump()
	if len(t.Applications) != 1 || len(t.Principals) != 1 || len(t.Deleted) != 0 {
		p.Fatalf("%s: %d applications, %d principals, %d deleted", what, len(t.Applications), len(t.Principals), len(t.Deleted))
	}
	if len(t.Assignments) != 5 || !res.Ready || len(res.Missing) != 0 || res.Err != nil {
		p.Fatalf("%s: %d permissions, ready %v, missing %v, %v", what, len(t.Assignments), res.Ready, res.Missing, res.Err)
	}
	cred, err := entra.LoadCredential(context.Background(), p.store, p.own, connections.Connection{Credential: res.Credential})
	if err != nil {
		p.Fatalf("%s: %v", what, err)
	}
	o := p.base()
	o.TenantID, o.ClientID, o.Credential = p.world.TenantID, res.Registration.ClientID, cred
	app, err := entra.NewApp(o)
	if err != nil {
		p.Fatal(err)
	}
	if err := Await(context.Background(), app, p.cloud, Catalogue(Purpose{Kind: connections.Exchange}), 4, time.Minute, p.clock); err != nil {
		p.Fatalf("%s: the stored credential does not sign in: %v", what, err)
	}
}
