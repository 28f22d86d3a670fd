package wizard

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/sim"
	"github.com/c2conn/c2conn/internal/task"
)

// kept saves a connection of the simulated tenant with a client secret.
func (o *office) kept(name string, change func(*connections.Connection)) connections.Connection {
	o.t.Helper()
	ctx := o.t.Context()
	ref, err := o.env.Store.PutSecret(ctx, connections.NewSecret(o.world.Secret))
	if err != nil {
		o.t.Fatal(err)
	}
	c := connections.Connection{
		Name: name, Kind: connections.Exchange, Location: connections.Online, Cloud: o.cloud.Name, Tenant: connections.Tenant{ID: o.world.TenantID},
		Account: o.world.Mailbox, Fleet: "all-tenants",
		Registration: connections.Registration{Mode: connections.ModeAutomatic, ClientID: o.world.ClientID, AppName: "Made by c2conn", Catalogue: "2025-01"},
		Credential:   connections.Credential{Type: connections.TypeClientSecret, Secret: ref, KeyID: "7a0c1f4e-0000-4000-8000-000000000001"},
		Endpoints:    connections.Endpoints{EWS: o.cloud.EWS(), Autodiscover: "https://autodiscover.contoso.com"},
	}
	if change != nil {
		change(&c)
	}
	c, err = o.env.Store.Add(ctx, c)
	if err != nil {
		o.t.Fatal(err)
	}
	return c
}

func (o *office) edit(c connections.Connection) *Session {
	o.t.Helper()
	s, err := Edit(o.env, c)
	if err != nil {
		o.t.Fatal(err)
	}
	return s
}

// configured runs the checks of an edit, which pass.
func (o *office) configured(s *Session) *Outcome {
	o.t.Helper()
	out, err := s.Configure(o.t.Context(), func(task.Event) {})
	if err != nil || !out.Verified {
		o.t.Fatalf("%v, %+v", err, out)
	}
	return out
}

func (o *office) secrets() int {
	files, _ := filepath.Glob(filepath.Join(o.env.Store.Dir(), "secrets", "*.age"))
	return len(files)
}

// TestEditKeepsWhatNobodyAsksAbout: with the secret that cannot be shown.
func TestEditKeepsWhatNobodyAsksAbout(t *testing.T) {
	t.Parallel()
	o := newOffice(t, sim.GlobalAdmin)
	was := o.kept("contoso", nil)
	s := o.edit(was)
	if got := s.Value(keyRegistration).Text; got != byHand {
		t.Errorf("registration %q: an edit must not register by itself", got)
	}
	if s.Flow.Title != "edit Exchange connection contoso" || len(s.Changes()) != 0 || s.Command() != "c2conn verify contoso" {
		t.Errorf("%q, %v, %q", s.Flow.Title, s.Changes(), s.Command())
	}
	if problems := s.Ready(); len(problems) > 0 {
		t.Fatal(problems)
	}
	_ = s.Set(keyName, "Contoso", FromUser, "")
	if err := s.LookupAll(t.Context()); err != nil || len(s.Ready()) > 0 {
		t.Fatalf("its own name in another case: %v, %v", err, s.Ready())
	}
	out := o.configured(s)
	now, err := s.Save(t.Context(), out)
	if err != nil {
		t.Fatal(err)
	}
	if now.Name != "Contoso" || now.ID != was.ID || !now.Created.Equal(was.Created) || now.Fleet != was.Fleet || now.Credential != was.Credential ||
		now.Endpoints != was.Endpoints || now.Registration.Mode != was.Registration.Mode || now.Registration.AppName != was.Registration.AppName ||
		now.Registration.Catalogue != was.Registration.Catalogue || now.Verification.State != connections.StateVerified {
		t.Errorf("was %+v\nnow %+v", was, now)
	}
	if o.secrets() != 1 || len(out.Notes) != 1 || !strings.Contains(out.Notes[0], "fleet all-tenants") {
		t.Errorf("%d secrets, notes %v", o.secrets(), out.Notes)
	}
}

func TestEditReplacesTheCredential(t *testing.T) {
	t.Parallel()
	o := newOffice(t, sim.GlobalAdmin)
	was := o.kept("contoso", nil)
	s := o.edit(was)
	_ = s.Set(keyCredential, bySecret, FromUser, "")
	_ = s.SetSecret(keySecret, connections.NewSecret(o.world.Secret), FromUser, "")
	if got := s.Command(); got != "c2conn edit contoso --set credential=secret --client-secret-file FILE" {
		t.Error(got)
	}
	out := o.configured(s)
	if saved, err := o.env.Store.Get(t.Context(), "contoso"); err != nil || saved.Credential != was.Credential {
		t.Errorf("before it is saved: %+v, %v", saved.Credential, err)
	}
	now, err := s.Save(t.Context(), out)
	if err != nil {
		t.Fatal(err)
	}
	if now.Credential.Secret == was.Credential.Secret || now.Credential.KeyID != "" || o.secrets() != 1 {
		t.Errorf("%+v, %d secrets: the old one is needed by nobody", now.Credential, o.secrets())
	}
	if notes := strings.Join(out.Notes, " "); !strings.Contains(notes, "still valid in Entra ID") || !strings.Contains(notes, "https://") {
		t.Error(notes)
	}
}

// staged keeps what is saved in memory, as a stage of changes does.
type staged struct{ *connections.Store }

func (s staged) Update(ctx context.Context, name string, change func(*connections.Connection) error) (connections.Connection, error) {
	c, err := s.Get(ctx, name)
	if err != nil {
		return c, err
	}
	return c, change(&c)
}

// TestStagedEditKeepsTheOldSecret: the old version is in force until the stage is saved.
func TestStagedEditKeepsTheOldSecret(t *testing.T) {
	t.Parallel()
	o := newOffice(t, sim.GlobalAdmin)
	was := o.kept("contoso", nil)
	o.env.Profiles = staged{o.env.Store}
	s := o.edit(was)
	_ = s.Set(keyCredential, bySecret, FromUser, "")
	_ = s.SetSecret(keySecret, connections.NewSecret(o.world.Secret), FromUser, "")
	if _, err := s.Save(t.Context(), o.configured(s)); err != nil {
		t.Fatal(err)
	}
	if _, err := o.env.Store.Secret(t.Context(), was.Credential.Secret); err != nil {
		t.Errorf("the secret of the version in force: %v", err)
	}
}

// TestEditedMeanwhile: another program's changes are not overwritten, but those of a
// verification do not hinder.
func TestEditedMeanwhile(t *testing.T) {
	t.Parallel()
	o := newOffice(t, sim.GlobalAdmin)
	for name, c := range map[string]struct {
		change func(*connections.Connection)
		want   error
	}{
		"verified": {func(c *connections.Connection) {
			c.Verification.State, c.AccountID = connections.StateFailed, o.world.TenantID
		}, nil},
		"moved":     {func(c *connections.Connection) { c.Account = "other@contoso.com" }, connections.ErrChanged},
		"renamed":   {func(c *connections.Connection) { c.Name = "elsewhere" }, connections.ErrChanged},
		"entrusted": {func(c *connections.Connection) { c.Fleet = "" }, connections.ErrChanged},
	} {
		was := o.kept(name, nil)
		s := o.edit(was)
		_ = s.Set(keyCredential, bySecret, FromUser, "")
		_ = s.SetSecret(keySecret, connections.NewSecret(o.world.Secret), FromUser, "")
		out := o.configured(s)
		if _, err := o.env.Store.Update(t.Context(), was.ID, func(x *connections.Connection) error { c.change(x); return nil }); err != nil {
			t.Fatal(err)
		}
		before := o.secrets()
		_, err := s.Save(t.Context(), out)
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if o.secrets() != before {
			t.Errorf("%s: %d secrets, want %d: one is left over, or was taken away", name, o.secrets(), before)
		}
	}
}

// full is where nothing can be saved any more.
type full struct{ *connections.Store }

func (f full) Update(context.Context, string, func(*connections.Connection) error) (connections.Connection, error) {
	return connections.Connection{}, &connections.FullError{Path: f.Path("contoso"), Err: syscall.ENOSPC}
}

// TestEditWithoutRoom: a profile that cannot be written leaves the old one with its
// secret, and no other.
func TestEditWithoutRoom(t *testing.T) {
	t.Parallel()
	o := newOffice(t, sim.GlobalAdmin)
	was := o.kept("contoso", nil)
	o.env.Profiles = full{o.env.Store}
	s := o.edit(was)
	_ = s.Set(keyCredential, bySecret, FromUser, "")
	_ = s.SetSecret(keySecret, connections.NewSecret(o.world.Secret), FromUser, "")
	var noRoom *connections.FullError
	if _, err := s.Save(t.Context(), o.configured(s)); !errors.As(err, &noRoom) {
		t.Errorf("%v", err)
	}
	if _, err := o.env.Store.Secret(t.Context(), was.Credential.Secret); err != nil || o.secrets() != 1 {
		t.Errorf("%v, %d secrets", err, o.secrets())
	}
}

func TestEditCancelled(t *testing.T) {
	t.Parallel()
	o := newOffice(t, sim.GlobalAdmin)
	was := o.kept("contoso", nil)
	ctx, cancel := context.WithCancel(t.Context())
	s := o.edit(was)
	_, err := s.Configure(ctx, func(task.Event) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if saved, err := o.env.Store.Get(t.Context(), "contoso"); err != nil || !saved.Updated.Equal(was.Updated) {
		t.Errorf("%+v, %v", saved, err)
	}
}

// TestEditTargetKeepsItsMailbox: a target is not in its own way, another one is.
func TestEditTargetKeepsItsMailbox(t *testing.T) {
	t.Parallel()
	o := newOffice(t, sim.GlobalAdmin)
	target := func(c *connections.Connection) { c.Kind = connections.MigrationTarget }
	was := o.kept("one", target)
	o.kept("two", func(c *connections.Connection) { target(c); c.Account = "two@contoso.com" })
	s := o.edit(was)
	if err := s.Lookup(t.Context(), keyAccount); err != nil {
		t.Errorf("its own mailbox: %v", err)
	}
	_ = s.Set(keyAccount, "two@contoso.com", FromUser, "")
	var taken *connections.AccountTakenError
	if err := s.Lookup(t.Context(), keyAccount); !errors.As(err, &taken) || taken.By != "two" {
		t.Errorf("another's mailbox: %v", err)
	}
	_ = s.Set(keyName, "TWO", FromUser, "")
	if err := s.Lookup(t.Context(), keyName); !errors.Is(err, connections.ErrExists) {
		t.Errorf("another's name: %v", err)
	}
}

// TestEditKeepsTheLegacyPassword unless the record as a whole is given up.
func TestEditKeepsTheLegacyPassword(t *testing.T) {
	t.Parallel()
	o := newOffice(t, sim.GlobalAdmin)
	was := o.kept("sites", func(c *connections.Connection) {
		c.Kind, c.Endpoints = connections.SharePoint, connections.Endpoints{SharePoint: o.world.SharePointSite()}
		c.LegacyAdmin = connections.LegacyAdmin{UPN: "admin@contoso.com", Password: "env:OLD_PASSWORD"}
		c.Registration.Permissions = connections.PermissionsSeed
	})
	s := o.edit(was)
	if len(s.Changes()) > 0 {
		t.Error(s.Changes())
	}
	c := s.asked(s.answersInForce())
	if c.LegacyAdmin != was.LegacyAdmin || c.Registration.Permissions != connections.PermissionsSeed {
		t.Errorf("%+v", c)
	}
	_ = s.Set(keyAdminUPN, "other@contoso.com", FromUser, "")
	if c := s.asked(s.answersInForce()); c.LegacyAdmin.UPN != "other@contoso.com" || c.LegacyAdmin.Password != "env:OLD_PASSWORD" {
		t.Errorf("%+v", c.LegacyAdmin)
	}
	_ = s.Set(keyLegacy, no, FromUser, "")
	if c := s.asked(s.answersInForce()); c.LegacyAdmin != (connections.LegacyAdmin{}) {
		t.Errorf("%+v", c.LegacyAdmin)
	}
}

func TestWhatIsNotEditable(t *testing.T) {
	t.Parallel()
	c := savedConnection()
	c.Kind, c.Location = connections.MigrationSource, connections.OnPremises
	var not *NotEditableError
	if _, err := Edit(testSession().Env, c); !errors.As(err, &not) || !strings.Contains(err.Error(), "c2conn edit contoso --editor") {
		t.Error(err)
	}
}
