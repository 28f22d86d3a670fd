package registration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/graph"
)

// blindFake is the fake for an application that may not read itself.
type blindFake struct{ *fake }

func (f blindFake) ApplicationByAppID(ctx context.Context, _ string) (a graph.Application, err error) {
	err = f.ask(ctx, "read application, forbidden", false, func() error {
		return &graph.Error{Op: "read", Status: 403, Code: codeDenied, Message: "Insufficient privileges"}
	})
	return a, err
}

// untoldFake answers addKey as the example on its page, which shows nothing of the
// certificate.
type untoldFake struct{ blindFake }

func (f untoldFake) AddKey(ctx context.Context, id string, k graph.Key, proof connections.Secret) (graph.Key, error) {
	_, err := f.blindFake.AddKey(ctx, id, k, proof)
	return graph.Key{}, err
}

// TestRotationWithoutKeyID has nobody tell the key id of the new certificate: the
// rotation ends all the same, and says who has to rotate the next time.
func TestRotationWithoutKeyID(t *testing.T) {
	t.Parallel()
	p, err := newScene(t).registered()
	if err != nil {
		t.Fatal(err)
	}
	by := func(p *process, c connections.Connection) Admin {
		return Admin{Graph: untoldFake{blindFake{p.fake}}, Claims: p.itself(c).Claims}
	}
	out, err := p.rotate(t.Context(), by, nil)
	if err != nil || out.State != RotationDone {
		t.Fatalf("%+v %v", out, err)
	}
	if !slices.Equal(out.Notes, []string{keyIDUntold}) {
		t.Errorf("notes: %q", out.Notes)
	}
	if _, err := p.rotate(t.Context(), by, nil); !errors.As(err, new(*advice.OwnProofError)) {
		t.Errorf("the next one by itself: %v", err)
	}
	if err := errors.Join(p.again(t.Context(), by, nil), p.alone()); err != nil {
		t.Error(err)
	}
}

// rotations are the ways a rotation can go.
var rotations = map[string]struct {
	prepare func(*scene)
	by      func(*process, connections.Connection) Admin
	wish    func(*RotateWish)
}{
	"by itself":        {by: (*process).itself},
	"by itself, blind": {by: (*process).blind},
	"by itself, shorter": {by: (*process).itself, wish: func(w *RotateWish) { w.Longest = true },
		prepare: func(s *scene) { s.fake.keyLifetime, s.wish.Valid = 400*day, certs.Validity{Days: 100} }},
	"signed in": {by: func(p *process, _ connections.Connection) Admin { return p.admin() }},
	"signed in, shorter": {by: func(p *process, _ connections.Connection) Admin { return p.admin() }, wish: func(w *RotateWish) { w.Longest = true },
		prepare: func(s *scene) { s.fake.keyLifetime, s.wish.Valid = 400*day, certs.Validity{Days: 100} }},
	"secret": {by: func(p *process, _ connections.Connection) Admin { return p.admin() }, prepare: func(s *scene) { s.wish.Type = connections.TypeClientSecret }},
}

func (p *process) itself(c connections.Connection) Admin {
	return Admin{Graph: p.fake, Claims: entra.AdminClaims{TenantID: tenantID, App: true, AppID: c.Registration.ClientID}}
}

func (p *process) blind(c connections.Connection) Admin {
	return Admin{Graph: blindFake{p.fake}, Claims: p.itself(c).Claims}
}

func (p *process) current() (c connections.Connection, cred entra.Credential, err error) {
	if c, err = p.store.Get(context.Background(), "it"); err == nil {
		cred, err = entra.LoadCredential(context.Background(), p.store, p.personal, c)
	}
	return c, cred, err
}

// works checks that the saved connection has a credential with which the application
// signs in.
func (p *process) works() error {
	_, cred, err := p.current()
	if err != nil {
		return fmt.Errorf("the connection has lost its credential: %w", err)
	}
	a := p.fake.apps[0]
	if id := cred.Identity; id != nil && !hasKey(a.Keys, keyOf(*id)) {
		return errors.New("the connection's certificate is not in the application")
	}
	secret := string(cred.Secret.Reveal())
	if cred.Identity == nil && !slices.ContainsFunc(a.Secrets, func(s graph.Password) bool { return "value of "+s.ID == secret }) {
		return errors.New("the connection's client secret is not in the application")
	}
	return nil
}

// rotate rotates as in a process of its own; a killed one gives its panic.
func (p *process) rotate(ctx context.Context, by func(*process, connections.Connection) Admin, change func(*RotateWish)) (out *Rotated, err error) {
	defer func() {
		if k, ok := recover().(killed); ok {
			err = fmt.Errorf("killed at %s", k.point)
		}
	}()
	c, cred, err := p.current()
	if err != nil {
		return nil, err
	}
	wish := RotateWish{Connection: c, Current: cred, Base: p.base()}
	if change != nil {
		change(&wish)
	}
	return p.r.Rotate(ctx, by(p, c), wish, nil)
}

// alone checks that one credential is left, everywhere.
func (p *process) alone() error {
	if err := p.works(); err != nil {
		return err
	}
	if list, err := p.r.Rotations(context.Background()); err != nil || len(list) > 0 {
		return fmt.Errorf("rotations left: %+v %w", list, err)
	}
	a := p.fake.apps[0]
	if len(a.Keys)+len(a.Secrets) != 1 {
		return fmt.Errorf("%d certificates and %d client secrets in the application", len(a.Keys), len(a.Secrets))
	}
	if p.wish.secret() {
		return p.credentials(0, 1)
	}
	return p.credentials(1, 0)
}

// TestRotationAtEveryPoint breaks a rotation off at every point. The connection must
// work then; the same command again leaves exactly one credential, and so does taking
// it back.
func TestRotationAtEveryPoint(t *testing.T) {
	t.Parallel()
	for name, way := range rotations {
		for _, what := range []strike{lostAfter, lostBefore, refuse, cancelAfter, killBefore, killAfter} {
			for _, abandon := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/abandon %v", name, what, abandon), func(t *testing.T) {
					t.Parallel()
					everyPoint(t, func(at int) (string, error) {
						s := newScene(t)
						if way.prepare != nil {
							way.prepare(s)
						}
						p, err := s.registered()
						if err != nil {
							return "registering", err
						}
						ctx, cancel := context.WithCancel(t.Context())
						defer cancel()
						s.fake.passed, s.fake.at, s.fake.what, s.fake.cancel, s.fake.armed = 0, at, what, cancel, true
						_, err = p.rotate(ctx, way.by, way.wish)
						p.r.Close()
						hit := s.fake.hit
						s.fake.armed, s.fake.dead, s.fake.hit = false, false, ""
						if hit == "" && err != nil {
							return hit, err
						}
						next := s.start()
						if e := next.works(); e != nil {
							return hit, fmt.Errorf("after %w: %w", err, e)
						}
						if err == nil && hit == "" {
							return hit, next.alone()
						}
						if abandon {
							err = next.abandon(t.Context(), way.by)
						}
						if !abandon || errors.As(err, new(*advice.RotationSwitchedError)) {
							err = next.again(t.Context(), way.by, way.wish)
						}
						if err != nil {
							return hit, err
						}
						return hit, next.alone()
					})
				})
			}
		}
	}
}

// registered is a scene with an application and a saved connection with it.
func (s *scene) registered() (*process, error) {
	p := s.start()
	res, err := p.register(s.t.Context())
	if err != nil {
		return nil, err
	}
	c := connections.Connection{Name: "it", Kind: connections.Exchange, Location: connections.Online, Cloud: "global", Tenant: res.Tenant, Account: adminUPN, Registration: res.Registration, Credential: res.Credential}
	if _, err = p.store.Add(s.t.Context(), c); err == nil {
		err = p.r.Finish(s.t.Context(), res.RunID)
	}
	p.r.Close()
	s.fake.armed = false
	return s.start(), err
}

// again runs the same command once more. Where the application cannot do it for itself
// any more, an administrator signs in.
func (p *process) again(ctx context.Context, by func(*process, connections.Connection) Admin, wish func(*RotateWish)) error {
	out, err := p.rotate(ctx, by, wish)
	if errors.As(err, new(*advice.OwnProofError)) {
		out, err = p.rotate(ctx, func(p *process, _ connections.Connection) Admin { return p.admin() }, wish)
	}
	if err == nil && out.State != RotationDone {
		err = fmt.Errorf("the same command again: %+v", out)
	}
	return err
}

func (p *process) abandon(ctx context.Context, by func(*process, connections.Connection) Admin) error {
	c, cred, err := p.current()
	if err != nil {
		return err
	}
	list, err := p.r.Rotations(ctx)
	if err != nil {
		return err
	}
	for _, r := range list {
		err := p.r.AbandonRotation(ctx, by(p, c), r.Run, cred)
		if errors.As(err, new(*advice.OwnProofError)) {
			err = p.r.AbandonRotation(ctx, p.admin(), r.Run, cred)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// TestRotationOnAFullDisk takes the room for each journal and each profile away. The
// connection works all the same, and the same command goes on once there is room.
func TestRotationOnAFullDisk(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"by itself", "signed in", "secret"} {
		way := rotations[name]
		run := func(full string) (points []string) {
			s := newScene(t)
			if way.prepare != nil {
				way.prepare(s)
			}
			p, err := s.registered()
			if err != nil {
				t.Fatal(err)
			}
			dir := p.r.apart().dir
			if full == "before switching a connection" {
				dir = filepath.Join(p.dir, "connections")
			}
			blocked := false
			p.r.step = func(point string) {
				if points = append(points, point); point == full && !blocked {
					blocked = true
					if err := errors.Join(os.Rename(dir, dir+".full"), os.WriteFile(dir, nil, 0o600)); err != nil {
						t.Error(err)
					}
				}
			}
			_, err = p.rotate(t.Context(), way.by, way.wish)
			if !blocked {
				if err != nil {
					t.Fatal(err)
				}
				return points
			}
			if err == nil {
				t.Errorf("%s, %s: no error", name, full)
			}
			if err := errors.Join(os.Remove(dir), os.Rename(dir+".full", dir)); err != nil {
				t.Fatal(err)
			}
			p.r.Close()
			next := s.start()
			if err := next.works(); err != nil {
				t.Errorf("%s, %s: %v", name, full, err)
			}
			if err := errors.Join(next.again(t.Context(), way.by, way.wish), next.alone()); err != nil {
				t.Errorf("%s, %s: %v", name, full, err)
			}
			return points
		}
		points := run("")
		if len(points) < 5 {
			t.Errorf("%s: only %v", name, points)
		}
		for _, full := range slices.Compact(slices.Sorted(slices.Values(points))) {
			if strings.HasPrefix(full, "before journal") || full == "before switching a connection" {
				run(full)
			}
		}
	}
}
