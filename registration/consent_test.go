package registration

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/progress"
	"github.com/c2conn/c2conn/internal/sim"
)

func TestConsentLater(t *testing.T) {
	t.Parallel()
	p := newPlace(t, sim.ApplicationAdmin, sim.Options{Seed: 2, Faults: []string{"replication=20s"}})
	res, err := p.register(t.Context())
	if err != nil || len(res.Missing) != 4 {
		t.Fatal(res, err)
	}
	granted, missing, err := Grant(t.Context(), p.admin, Purpose{Kind: connections.Exchange}, res.Registration.ClientID)
	if err != nil || len(granted) != 0 || len(missing) != 4 {
		t.Errorf("%v %v %v", granted, missing, err)
	}
	granted, missing, err = Grant(t.Context(), p.signIn(sim.PrivilegedRoleAdmin), Purpose{Kind: connections.Exchange}, res.Registration.ClientID)
	if err != nil || len(granted) != 4 || len(missing) != 0 {
		t.Fatalf("%v %v %v", granted, missing, err)
	}
	if err := Await(t.Context(), res.App, p.cloud, Catalogue(Purpose{Kind: connections.Exchange}), 2, time.Minute, p.clock); err != nil {
		t.Error(err)
	}
}

func TestAwait(t *testing.T) {
	t.Parallel()
	p := newPlace(t, sim.ApplicationAdmin, sim.Options{})
	res, err := p.register(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	ctx := progress.With(t.Context(), func(u progress.Update) {
		if u.Until.IsZero() {
			t.Errorf("no end: %+v", u)
		}
		words = append(words, u.Text)
	})
	begin := p.clock.Now()
	err = Await(ctx, res.App, p.cloud, Catalogue(Purpose{Kind: connections.Exchange}), 1, time.Minute, p.clock)
	var slow *advice.ReplicationError
	var roles *advice.MissingRolesError
	if !errors.As(err, &slow) || slow.Waited < time.Minute || slow.What != "the consent" || !errors.As(err, &roles) || len(roles.Missing) != 4 {
		t.Errorf("%v", err)
	}
	if len(words) < 4 || words[0] != "The application's token does not hold Directory.Read.All, Group.Read.All, MailboxSettings.ReadWrite, User.Read.All yet, asking again in 5 s" {
		t.Errorf("%q", words)
	}
	if waited := p.clock.Now().Sub(begin); waited > 62*time.Second {
		t.Errorf("waited %v", waited)
	}
	before := p.clock.Now()
	if err := Await(ctx, res.App, p.cloud, Catalogue(Purpose{Kind: connections.Exchange}), 1, 0, p.clock); !errors.As(err, &slow) || !p.clock.Now().Equal(before) {
		t.Errorf("to look once: %v", err)
	}
	for fault, want := range map[string]string{"app-not-found": "Entra ID does not know the application everywhere yet (AADSTS700016), asking again in 5 s", "no-service-principal": "Entra ID does not know the service principal everywhere yet (AADSTS7000229), asking again in 5 s"} {
		words = nil
		if err := p.world.SetFault(fault); err != nil {
			t.Fatal(err)
		}
		if err := Await(ctx, res.App, p.cloud, Catalogue(Purpose{Kind: connections.Exchange}), 1, time.Minute, p.clock); !errors.As(err, &slow) || slow.What != "the application" || words[0] != want {
			t.Errorf("%v %q", err, words)
		}
		// What no replica takes so long to learn is wrong.
		var refused *entra.Error
		if err := Await(ctx, res.App, p.cloud, Catalogue(Purpose{Kind: connections.Exchange}), 1, time.Hour, p.clock); !errors.As(err, &refused) || isA[*advice.ReplicationError](err) {
			t.Errorf("%v", err)
		}
		p.world.ClearFault(fault)
	}
	if err := p.world.SetFault("disabled-app"); err != nil {
		t.Fatal(err)
	}
	before = p.clock.Now()
	var refused *entra.Error
	if err := Await(ctx, res.App, p.cloud, Catalogue(Purpose{Kind: connections.Exchange}), 1, time.Hour, p.clock); !errors.As(err, &refused) || !p.clock.Now().Equal(before) {
		t.Errorf("waiting does not help there: %v", err)
	}
}

func TestListAndDelete(t *testing.T) {
	t.Parallel()
	p := newPlace(t, sim.GlobalAdmin, sim.Options{})
	res, err := p.register(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.wish = Wish{Kind: connections.MigrationSource, Cloud: p.cloud, AppName: "My migration", Type: connections.TypeClientSecret}
	p.admin = p.signIn(sim.ApplicationAdmin)
	second, err := p.register(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.admin = p.signIn(sim.GlobalAdmin)
	list, err := List(t.Context(), p.admin, []connections.Entry{{Connection: connections.Connection{Name: "it", Registration: res.Registration, Tenant: res.Tenant}}})
	if err != nil {
		t.Fatal(err)
	}
	at := func(id string) *Registered {
		i := slices.IndexFunc(list, func(r Registered) bool { return r.AppID == id })
		if i < 0 {
			t.Fatalf("%s is not listed: %+v", id, list)
		}
		return &list[i]
	}
	a, b := at(res.Registration.ClientID), at(second.Registration.ClientID)
	if a.Kind != connections.Exchange || !a.Ours || a.Run != res.RunID || len(a.Missing) != 0 || len(a.UsedBy) != 1 || a.Expires.Before(p.clock.Now().AddDate(4, 0, 0)) || a.PrincipalID != res.PrincipalID {
		t.Errorf("%+v", a)
	}
	if b.Kind != connections.MigrationSource || b.Name != "My migration" || len(b.Missing) != 3 || len(b.UsedBy) != 0 || len(b.Credentials) != 1 || b.Credentials[0].Type != connections.TypeClientSecret {
		t.Errorf("%+v", b)
	}
	if _, err := json.Marshal(list); err != nil {
		t.Error(err)
	}
	for _, e := range list {
		if e.Err != "" {
			t.Error(e.Err)
		}
	}
	if err := Delete(t.Context(), p.admin, b.AppID, false); err != nil {
		t.Fatal(err)
	}
	if list, err = List(t.Context(), p.admin, nil); err != nil || at(b.AppID).Deleted.IsZero() {
		t.Errorf("%+v %v", list, err)
	}
	if err := Delete(t.Context(), p.admin, b.AppID, false); err == nil || !strings.Contains(err.Error(), "--purge") {
		t.Errorf("deleted twice: %v", err)
	}
	if err := Delete(t.Context(), p.admin, b.AppID, true); err != nil {
		t.Error(err)
	}
	if err := Delete(t.Context(), p.admin, a.AppID, true); err != nil {
		t.Error(err)
	}
	d := p.dump()
	if len(d.Applications) != 0 || len(d.Deleted) != 0 {
		t.Errorf("%v %v", d.Applications, d.Deleted)
	}
	if err := Delete(t.Context(), p.admin, a.AppID, true); !notFound(err) {
		t.Errorf("not there: %v", err)
	}
}
