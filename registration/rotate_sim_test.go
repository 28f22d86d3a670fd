package registration

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/graph"
	"github.com/c2conn/c2conn/internal/sim"
)

const globalAdmin = "admin@contoso.com"

// connected registers an application and saves a connection with it.
func connected(t *testing.T, o sim.Options, secret bool) *place {
	t.Helper()
	p := newPlace(t, globalAdmin, o)
	if secret {
		p.wish.Type = connections.TypeClientSecret
	}
	res, err := p.register(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.save("it", res.Registration, res.Credential)
	if err := p.r.Finish(t.Context(), res.RunID); err != nil {
		t.Fatal(err)
	}
	p.clock.Sleep(t.Context(), time.Minute) //nolint:errcheck // lets the replicas catch up
	return p
}

func (p *place) save(name string, r connections.Registration, c connections.Credential) connections.Connection {
	p.Helper()
	saved, err := p.store.Add(context.Background(), connections.Connection{
		Name: name, Kind: connections.Exchange, Location: connections.Online, Cloud: p.cloud.Name, Account: globalAdmin,
		Tenant: connections.Tenant{ID: p.world.TenantID}, Registration: r, Credential: c,
	})
	if err != nil {
		p.Fatal(err)
	}
	return saved
}

func (p *place) connection(name string) connections.Connection {
	p.Helper()
	c, err := p.store.Get(context.Background(), name)
	if err != nil {
		p.Fatal(err)
	}
	return c
}

func (p *place) credential(c connections.Connection) entra.Credential {
	p.Helper()
	cred, err := entra.LoadCredential(context.Background(), p.store, p.own, c)
	if err != nil {
		p.Fatal(err)
	}
	return cred
}

// itself is the connection's application, signed in as itself.
func (p *place) itself(c connections.Connection) Admin {
	p.Helper()
	o := p.base()
	o.TenantID, o.ClientID, o.Credential = p.world.TenantID, c.Registration.ClientID, p.credential(c)
	app, err := entra.NewApp(o)
	if err != nil {
		p.Fatal(err)
	}
	who, err := entra.AppAdmin(context.Background(), app, p.cloud.GraphScope())
	if err != nil {
		p.Fatal(err)
	}
	g, err := graph.New(graph.Options{BaseURL: p.cloud.GraphBase(), Token: who.Token, HTTP: p.http, Clock: p.clock})
	if err != nil {
		p.Fatal(err)
	}
	return Admin{Graph: g, Claims: who.Claims()}
}

// wishFor is the rotation of a connection, with the old credential removed at once.
func (p *place) wishFor(c connections.Connection) RotateWish {
	return RotateWish{Connection: c, Current: p.credential(c), Base: p.base(), Longest: true}
}

// inTenant counts the credentials of the one application, by list: "keyCredentials" or
// "passwordCredentials".
func (p *place) inTenant(list string) (ids []string) {
	p.Helper()
	t := p.dump()
	if len(t.Applications) != 1 {
		p.Fatalf("%d applications", len(t.Applications))
	}
	all, _ := t.Applications[0][list].([]any)
	for _, k := range all {
		id, _ := k.(map[string]any)["keyId"].(string)
		ids = append(ids, id)
	}
	return ids
}

// wantOnly wants the saved credential of the connection to be the only one in the
// application and on this computer, and to work.
func (p *place) wantOnly(name string, before connections.Connection) {
	p.Helper()
	c := p.connection(name)
	if sameCredential(c.Credential, before.Credential) {
		p.Errorf("the connection has the old credential still: %+v", c.Credential)
	}
	list := "keyCredentials"
	if c.Credential.Type == connections.TypeClientSecret {
		list = "passwordCredentials"
	}
	if ids := p.inTenant(list); !slices.Equal(ids, []string{c.Credential.KeyID}) {
		p.Errorf("in the application: %v, saved: %q", ids, c.Credential.KeyID)
	}
	p.wantWorking(c)
	entries, err := p.own.List(context.Background())
	if want := map[bool]int{true: 1}[c.Credential.Type == connections.TypeCertificate]; err != nil || len(entries) != want {
		p.Errorf("%d certificates in the personal store, want %d (%v)", len(entries), want, err)
	}
	if left, err := p.r.Rotations(context.Background()); err != nil || len(left) > 0 {
		p.Errorf("rotations left: %+v %v", left, err)
	}
}

// wantWorking signs in with what is saved, as another process would.
func (p *place) wantWorking(c connections.Connection) {
	p.Helper()
	o := p.base()
	o.TenantID, o.ClientID, o.Credential = p.world.TenantID, c.Registration.ClientID, p.credential(c)
	app, err := entra.NewApp(o)
	if err != nil {
		p.Fatal(err)
	}
	if err := Await(context.Background(), app, p.cloud, Catalogue(PurposeOf(c)), 1, time.Minute, p.clock); err != nil {
		p.Errorf("the saved credential does not work: %v", err)
	}
}

// blind takes from the application the permission to read itself.
const blind = "missing-role=Directory.Read.All"

func TestRotateByItself(t *testing.T) {
	t.Parallel()
	for _, faults := range [][]string{nil, {"replication=20s,0.5"}, {"throttle"}, {"unavailable"}, {"cut"}, {"conflict"}, {"lost-answer=POST /v1.0/app"}, {"cert-lifetime"},
		{blind}, {blind, "replication=20s,0.5"}, {blind, "lost-answer=POST /v1.0/app"}, {blind, "cert-lifetime"}} {
		t.Run(strings.Join(faults, " "), func(t *testing.T) {
			t.Parallel()
			p := connected(t, sim.Options{Seed: 7}, false)
			before := p.connection("it")
			if before.Credential.KeyID == "" || before.Registration.ApplicationID == "" {
				t.Fatalf("registering did not save the ids: %+v %+v", before.Credential, before.Registration)
			}
			var by Admin // signs in when it is blind, if it is, and before anything else goes wrong
			if !slices.Contains(faults, blind) {
				by = p.itself(before)
			}
			for _, f := range faults {
				if err := p.world.SetFault(f); err != nil {
					t.Fatal(err)
				}
				if f == blind {
					by = p.itself(before)
				}
			}
			out, err := p.r.Rotate(t.Context(), by, p.wishFor(before), nil)
			if err != nil {
				t.Fatal(err)
			}
			if out.State != RotationDone || !out.Itself || !slices.Equal(out.Switched, []string{"it"}) {
				t.Errorf("outcome: %+v", out)
			}
			for _, f := range faults {
				p.world.ClearFault(strings.SplitN(f, "=", 2)[0])
			}
			now := p.connection("it")
			if slices.Contains(faults, "cert-lifetime") {
				if d := now.Credential.NotAfter.Sub(p.clock.Now()); d > 181*day {
					t.Errorf("the certificate lives %v", d)
				}
			}
			if len(faults) == 2 && strings.HasPrefix(faults[1], "lost-answer") {
				if now.Credential.KeyID != "" || len(out.Notes) == 0 || len(p.inTenant("keyCredentials")) != 1 {
					t.Errorf("key id %q, notes %v, in the application: %v", now.Credential.KeyID, out.Notes, p.inTenant("keyCredentials"))
				}
				p.wantWorking(now)
				return
			}
			p.wantOnly("it", before)
			// And again, with the new one as the old.
			again := p.connection("it")
			if _, err := p.r.Rotate(t.Context(), p.itself(again), p.wishFor(again), nil); err != nil {
				t.Fatal(err)
			}
			p.wantOnly("it", again)
		})
	}
}

func TestRotateSignedIn(t *testing.T) {
	t.Parallel()
	for _, secret := range []bool{false, true} {
		for _, fault := range []string{"", "replication=20s,0.5", "throttle", "cut", "lost-answer=/v1.0/app"} {
			t.Run(map[bool]string{true: "secret ", false: "certificate "}[secret]+fault, func(t *testing.T) {
				t.Parallel()
				p := connected(t, sim.Options{Seed: 9}, secret)
				before := p.connection("it")
				if fault != "" {
					if err := p.world.SetFault(fault); err != nil {
						t.Fatal(err)
					}
				}
				out, err := p.r.Rotate(t.Context(), p.signIn(globalAdmin), p.wishFor(before), nil)
				if err != nil {
					t.Fatal(err)
				}
				if out.State != RotationDone || out.Itself {
					t.Errorf("outcome: %+v", out)
				}
				p.world.ClearFault(strings.SplitN(fault, "=", 2)[0])
				p.wantOnly("it", before)
			})
		}
	}
}

// The old credential stays for its grace; then it goes, by whoever is at hand.
func TestRotateWithGrace(t *testing.T) {
	t.Parallel()
	p := connected(t, sim.Options{Seed: 5}, false)
	before := p.connection("it")
	p.save("twin", before.Registration, before.Credential)
	wish := p.wishFor(before)
	wish.Grace = 24 * time.Hour
	out, err := p.r.Rotate(t.Context(), p.itself(before), wish, nil)
	if err != nil {
		t.Fatal(err)
	}
	if out.State != RotationWaiting || len(out.Switched) != 2 || out.Due.IsZero() {
		t.Fatalf("outcome: %+v", out)
	}
	if n := len(p.inTenant("keyCredentials")); n != 2 {
		t.Errorf("%d keys in the application, want both", n)
	}
	p.wantWorking(before) // the old one works still
	now := p.connection("it")
	var pending *advice.RotationPendingError
	if _, err := p.r.Rotate(t.Context(), p.itself(now), p.wishFor(now), nil); !errors.As(err, &pending) {
		t.Fatalf("another rotation while the old one waits: %v", err)
	}
	left, err := p.r.Rotations(t.Context())
	if err != nil || len(left) != 1 || left[0].State != RotationWaiting || !left[0].Uses(now) {
		t.Fatalf("rotations: %+v %v", left, err)
	}
	if err := p.r.AbandonRotation(t.Context(), p.itself(now), left[0].Run, p.credential(now)); !errors.As(err, new(*advice.RotationSwitchedError)) {
		t.Errorf("a switched rotation was taken back: %v", err)
	}
	if _, err := p.r.FinishRotation(t.Context(), p.itself(now), left[0].Run, false, nil); !errors.As(err, &pending) {
		t.Errorf("finished before its time: %v", err)
	}
	p.clock.Sleep(t.Context(), 25*time.Hour) //nolint:errcheck // time passes
	if out, err = p.r.FinishRotation(t.Context(), p.itself(now), left[0].Run, false, nil); err != nil || out.State != RotationDone {
		t.Fatalf("finish: %+v %v", out, err)
	}
	p.wantOnly("it", before)
	p.wantOnly("twin", before)
}

// An application that cannot prove anything, or does not know itself, says so before
// anything changes.
func TestRotateNeedsAnAdministrator(t *testing.T) {
	t.Parallel()
	p := connected(t, sim.Options{Seed: 3}, false)
	before := p.connection("it")
	unknown := before
	unknown.Registration.ApplicationID = ""
	noKey := before
	noKey.Credential.KeyID = ""
	wrong := before
	wrong.Registration.ApplicationID = before.Registration.ObjectID
	if err := p.world.SetFault(blind); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]connections.Connection{"object id unknown": unknown, "key id unknown": noKey, "another object's id": wrong} {
		var proof *advice.OwnProofError
		if _, err := p.r.Rotate(t.Context(), p.itself(before), RotateWish{Connection: c, Current: p.credential(before), Base: p.base()}, nil); !errors.As(err, &proof) && !notFound(err) {
			t.Errorf("%s: %v", name, err)
		}
		if n := len(p.inTenant("keyCredentials")); n != 1 {
			t.Fatalf("%s: %d keys in the application", name, n)
		}
		for _, o := range must(p.r.Rotations(t.Context()))(t) {
			if err := p.r.AbandonRotation(t.Context(), p.itself(before), o.Run, p.credential(before)); err != nil {
				t.Fatal(err)
			}
		}
	}
	secret := connected(t, sim.Options{Seed: 4}, true)
	c := secret.connection("it")
	if _, err := secret.r.Rotate(t.Context(), secret.itself(c), secret.wishFor(c), nil); !errors.As(err, new(*advice.OwnProofError)) {
		t.Errorf("a client secret proved something: %v", err)
	}
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// The user's own certificates stay in the store.
func TestRotateToOwnCertificate(t *testing.T) {
	t.Parallel()
	p := connected(t, sim.Options{Seed: 6}, false)
	own, err := certs.Generate(nil, p.clock.Now(), certs.NewOptions{CommonName: "mine", Key: testKey()})
	if err != nil {
		t.Fatal(err)
	}
	before := p.connection("it")
	wish := p.wishFor(before)
	wish.Own = &own
	if _, err := p.r.Rotate(t.Context(), p.itself(before), wish, nil); err != nil {
		t.Fatal(err)
	}
	p.wantOnly("it", before)
	mine := p.connection("it")
	out, err := p.r.Rotate(t.Context(), p.itself(mine), p.wishFor(mine), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.own.Find(t.Context(), own.Thumbprint()); err != nil {
		t.Errorf("the user's own certificate is gone: %v", err)
	}
	if !strings.Contains(strings.Join(out.Notes, " "), string(own.Thumbprint())) {
		t.Errorf("nothing is said of it: %v", out.Notes)
	}
}
