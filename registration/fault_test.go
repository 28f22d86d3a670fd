package registration

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/graph"
)

const foreignKeys = 2

// situations are the ways a registration can go.
var situations = map[string]func(*scene){
	"certificate":          func(*scene) {},
	"secret":               func(s *scene) { s.wish.Type = connections.TypeClientSecret },
	"without unique names": func(s *scene) { s.fake.noUpsert = true },
	"shorter certificate": func(s *scene) {
		s.fake.keyLifetime, s.wish.Longest = 400*24*time.Hour, true
	},
	"used, certificate": func(s *scene) { s.exists(); s.wish.IfExists = ExistsUse },
	"used, secret": func(s *scene) {
		s.exists()
		s.wish.IfExists, s.wish.Type = ExistsUse, connections.TypeClientSecret
	},
}

// theirs are certificates of somebody else.
var theirs = sync.OnceValue(func() (keys []graph.Key) {
	for i := range foreignKeys {
		id, err := certs.Generate(nil, planNow, certs.NewOptions{CommonName: fmt.Sprint("theirs ", i), Key: testKey()})
		if err != nil {
			panic(err)
		}
		keys = append(keys, keyOf(id))
	}
	return keys
})

// exists puts a registration of somebody else into the tenant: two certificates,
// a client secret, a permission, no service principal.
func (s *scene) exists() {
	a := graph.Application{ObjectID: s.fake.id(), AppID: s.fake.id(), DisplayName: AppName(connections.Exchange), Created: s.clock.Now().Add(-400 * day), SignInAudience: "AzureADMyOrg",
		Secrets:  []graph.Password{{ID: s.fake.id(), DisplayName: "theirs"}},
		Required: []graph.ResourceAccess{{ResourceAppID: Graph.AppID(), Roles: []string{userRead.id}, Scopes: []string{"e1fe6dd8-ba31-4d61-89e7-88639da4683d"}}}}
	for _, k := range theirs() {
		k.ID = s.fake.id()
		a.Keys = append(a.Keys, k)
	}
	s.fake.apps = append(s.fake.apps, a)
}

// clean checks that nothing of c2conn is in the tenant or on the computer.
func (p *process) clean() error {
	f := p.fake
	if strings.HasPrefix(p.situation(), "used") {
		if err := p.intact(); err != nil {
			return err
		}
		a := f.apps[0]
		if len(a.Keys) != foreignKeys || len(a.Secrets) != 1 || len(a.Required) != 1 || len(a.Required[0].Roles) != 1 || len(f.principals) != 3 || len(f.assignments) != 0 || len(f.deletedSPs) != 0 {
			return fmt.Errorf("the used registration is not as before: %d certificates, %d secrets, asks for %v, %d principals, %d permissions, %d deleted principals", len(a.Keys), len(a.Secrets), a.Required, len(f.principals), len(f.assignments), len(f.deletedSPs))
		}
	} else if len(f.apps)+len(f.deletedApps)+len(f.deletedSPs)+len(f.assignments) != 0 || len(f.principals) != 3 {
		return fmt.Errorf("left in the tenant: %d applications, %d deleted, %d principals, %d deleted, %d permissions", len(f.apps), len(f.deletedApps), len(f.principals)-3, len(f.deletedSPs), len(f.assignments))
	}
	return p.credentials(0, 0)
}

func (p *process) situation() string {
	if p.wish.IfExists == ExistsUse {
		return "used"
	}
	return ""
}

// intact checks that what others put into the used registration is still there.
func (p *process) intact() error {
	if len(p.fake.apps) != 1 {
		return fmt.Errorf("%d applications", len(p.fake.apps))
	}
	a, theirs := p.fake.apps[0], 0
	for _, k := range a.Keys {
		if strings.HasPrefix(k.DisplayName, "CN=theirs") {
			theirs++
		}
	}
	if theirs != foreignKeys || !slices.ContainsFunc(a.Secrets, func(s graph.Password) bool { return s.DisplayName == "theirs" }) ||
		len(a.Required) == 0 || !slices.Contains(a.Required[0].Scopes, "e1fe6dd8-ba31-4d61-89e7-88639da4683d") {
		return fmt.Errorf("something of others is lost: %d of their certificates, secrets %v, asks for %v", theirs, a.Secrets, a.Required)
	}
	return nil
}

// credentials counts what is kept on the computer; secrets that a crash left
// without a reference count as well, unless the store knows them as orphans.
func (p *process) credentials(wantCerts, wantSecrets int) error {
	ctx := context.Background()
	refs, err := certs.Refs(ctx, p.personal)
	if err != nil {
		return err
	}
	p.clock.now = time.Now().Add(48 * time.Hour) // files are of now, whatever the scene's clock says; orphans are an hour old
	orphans, err := p.store.Orphans(ctx, refs)
	if err != nil {
		return err
	}
	if len(orphans) > 0 && p.fake.what != killBefore && p.fake.what != killAfter {
		return fmt.Errorf("%d secrets that nothing refers to", len(orphans))
	}
	files, err := filepath.Glob(filepath.Join(p.dir, "secrets", "*.age"))
	if err != nil || len(files)-len(orphans) != wantCerts+wantSecrets {
		return fmt.Errorf("%d secrets kept, %d of them orphans, want %d (%w)", len(files), len(orphans), wantCerts+wantSecrets, err)
	}
	entries, err := p.personal.List(ctx)
	if err != nil {
		return err
	}
	if len(entries) != wantCerts {
		return fmt.Errorf("%d certificates in the personal store, want %d", len(entries), wantCerts)
	}
	journals, err := runs(p.r.dir)
	if err != nil || len(journals) > 0 {
		return fmt.Errorf("journals left: %v %w", journals, err)
	}
	return nil
}

// complete checks that there is one application with which the computer can sign in.
func (p *process) complete(res *Result) error {
	f := p.fake
	if len(f.apps) != 1 {
		return fmt.Errorf("%d applications", len(f.apps))
	}
	if len(f.deletedApps) != 0 || len(f.principals) != 4 || len(f.assignments) != 5 {
		return fmt.Errorf("%d deleted, %d principals, %d permissions", len(f.deletedApps), len(f.principals)-3, len(f.assignments))
	}
	if !res.Ready || len(res.Missing) > 0 || res.Err != nil {
		return fmt.Errorf("not ready: %v %w", res.Missing, res.Err)
	}
	a, keys, secrets := f.apps[0], 1, 0
	if p.wish.secret() {
		keys, secrets = 0, 1
	}
	if p.wish.IfExists == ExistsUse {
		if err := p.intact(); err != nil {
			return err
		}
		keys, secrets = keys+foreignKeys, secrets+1
	}
	if len(a.Keys) != keys || len(a.Secrets) != secrets {
		return fmt.Errorf("%d certificates and %d client secrets in the application, want %d and %d", len(a.Keys), len(a.Secrets), keys, secrets)
	}
	c := connections.Connection{Name: "it", Kind: connections.Exchange, Location: connections.Online, Cloud: "global", Tenant: res.Tenant, Account: adminUPN, Registration: res.Registration, Credential: res.Credential}
	return p.signsIn(c, a, res.RunID)
}

// signsIn saves the connection, and signs in with what is stored, as another
// process would.
func (p *process) signsIn(c connections.Connection, a graph.Application, run string) error {
	ctx := context.Background()
	if _, err := p.store.Add(ctx, c); err != nil {
		return err
	}
	if err := p.r.Finish(ctx, run); err != nil {
		return err
	}
	if left, err := p.r.Unfinished(ctx); err != nil || len(left) > 0 {
		return fmt.Errorf("unfinished: %v %w", left, err)
	}
	if p.wish.secret() {
		secret, err := p.store.Secret(ctx, c.Credential.Secret)
		if err != nil {
			return err
		}
		if id, _ := strings.CutPrefix(string(secret.Reveal()), "value of "); !slices.ContainsFunc(a.Secrets, func(s graph.Password) bool { return s.ID == id }) {
			return errors.New("the stored secret is not the application's")
		}
		return p.credentials(0, 1)
	}
	e, err := p.personal.Find(ctx, certs.Thumbprint(c.Credential.Thumbprint))
	if err != nil {
		return err
	}
	id, err := p.personal.Identity(ctx, e)
	if err != nil {
		return err
	}
	if !hasKey(a.Keys, keyOf(id)) {
		return errors.New("the stored key is not the application's")
	}
	return p.credentials(1, 0)
}

// next is the run after one that ended badly: it resumes or takes back what is
// left, and registers anew if nothing is.
func (p *process) next(ctx context.Context, takeBack bool) (*Result, error) {
	left, err := p.r.Unfinished(ctx)
	if err != nil {
		return nil, err
	}
	if len(left) == 0 {
		if takeBack {
			return nil, nil
		}
		p.fake.at = 0
		return p.register(ctx)
	}
	if len(left) > 1 || left[0].Err != nil {
		return nil, fmt.Errorf("unfinished: %+v", left)
	}
	if takeBack {
		return nil, p.r.Rollback(ctx, p.admin(), left[0].Run, nil)
	}
	plan, err := p.plan(ctx, left[0].Run)
	if err != nil {
		return nil, err
	}
	return p.r.Resume(ctx, p.admin(), left[0].Run, p.wish, plan, p.base(), nil)
}

// wave is how many points are tried at a time: mostly they wait for the disk.
const wave = 5

// everyPoint tries point after point, until there is none of that number; under the
// race detector, which makes each ten times as long, every seventh.
func everyPoint(t *testing.T, try func(at int) (hit string, err error)) {
	t.Helper()
	for first := 1; first < 200; first += wave * stride {
		var (
			hits [wave]string
			errs [wave]error
			all  sync.WaitGroup
		)
		for i := range wave {
			all.Go(func() { hits[i], errs[i] = try(first + i*stride) })
		}
		all.Wait()
		for i := range wave {
			if errs[i] != nil {
				t.Fatalf("point %d (%s): %v", first+i*stride, hits[i], errs[i])
			}
			if hits[i] == "" {
				t.Logf("at most %d points", first+i*stride-1)
				return
			}
		}
	}
	t.Fatal("no end of points")
}

// TestEveryPoint breaks a registration off at every point; the next run ends it, or
// takes it back.
func TestEveryPoint(t *testing.T) {
	t.Parallel()
	for name, prepare := range situations {
		for _, what := range []strike{lostAfter, lostBefore, refuse, cancelAfter, killBefore, killAfter} {
			for _, takeBack := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/take back %v", name, what, takeBack), func(t *testing.T) {
					t.Parallel()
					everyPoint(t, func(at int) (string, error) {
						s := newScene(t)
						prepare(s)
						ctx, cancel := context.WithCancel(t.Context())
						defer cancel()
						s.fake.at, s.fake.what, s.fake.cancel = at, what, cancel
						first := s.start()
						res, err := first.register(ctx)
						first.r.Close()
						hit := s.fake.hit
						s.fake.armed, s.fake.dead, s.fake.hit = false, false, ""
						if hit == "" && err != nil {
							return hit, err
						}
						second := s.start()
						if err == nil { // there was no such point, or it did no harm
							return hit, second.complete(res)
						}
						res, err = second.next(t.Context(), takeBack)
						switch {
						case err != nil:
							return hit, err
						case takeBack:
							return hit, second.clean()
						default:
							return hit, second.complete(res)
						}
					})
				})
			}
		}
	}
}

// TestTakingBackAtEveryPoint breaks a rollback off at every point; the next one
// ends it, or the registration is gone on with after all.
func TestTakingBackAtEveryPoint(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"certificate", "without unique names", "used, certificate", "used, secret"} {
		prepare := situations[name]
		for i, what := range []strike{lostAfter, lostBefore, refuse, cancelAfter, killBefore, killAfter, killBefore, killAfter} {
			resume := i >= 6
			t.Run(fmt.Sprintf("%s/%s/resume %v", name, what, resume), func(t *testing.T) {
				t.Parallel()
				everyPoint(t, func(at int) (string, error) {
					s := newScene(t)
					prepare(s)
					p := s.start()
					res, err := p.register(t.Context())
					if err != nil {
						return "registering", err
					}
					p.r.Close()
					return p.brokenOff(at, what, res.RunID, resume)
				})
			})
		}
	}
}

// brokenOff takes a registration back, breaks that off, and ends it.
func (p *process) brokenOff(at int, what strike, run string, resume bool) (hit string, err error) {
	ctx, cancel := context.WithCancel(p.t.Context())
	defer cancel()
	p.fake.passed, p.fake.at, p.fake.what, p.fake.cancel = 0, at, what, cancel
	p = p.scene.start()
	err = p.takeBack(ctx, run)
	p.r.Close()
	hit = p.fake.hit
	p.fake.armed, p.fake.dead = false, false
	p = p.scene.start()
	left, e := p.r.Unfinished(p.t.Context())
	var incomplete *advice.RollbackError
	switch {
	case e != nil:
		return hit, e
	case hit == "" && err != nil, len(left) > 1:
		return hit, fmt.Errorf("%v %w", left, err)
	case what == refuse && err != nil && (!errors.As(err, &incomplete) || len(incomplete.Left) == 0):
		return hit, fmt.Errorf("it does not say what is left: %w", err)
	case err == nil || len(left) == 0:
	case !left[0].RollingBack && hit != "before journal: take the registration back":
		return hit, fmt.Errorf("not known as begun: %+v", left[0])
	case resume:
		res, err := p.next(p.t.Context(), false)
		if err != nil {
			return hit, err
		}
		return hit, p.complete(res)
	default:
		if err := p.takeBack(p.t.Context(), run); err != nil {
			return hit, fmt.Errorf("the second time: %w", err)
		}
	}
	return hit, p.clean()
}

func (p *process) takeBack(ctx context.Context, run string) (err error) {
	defer func() {
		if k, ok := recover().(killed); ok {
			err = fmt.Errorf("killed at %s", k.point)
		}
	}()
	return p.r.Rollback(ctx, p.admin(), run, nil)
}
