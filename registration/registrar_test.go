package registration

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/graph"
	"github.com/c2conn/c2conn/internal/task"
)

// half is a run that ended after the application was made.
func half(t *testing.T, prepare func(*scene)) (*process, string) {
	t.Helper()
	s := newScene(t)
	if prepare != nil {
		prepare(s)
	}
	p := s.start()
	plan, err := p.plan(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	res, err := p.r.Apply(ctx, p.admin(), p.wish, plan, p.base(), func(e task.Event) {
		if e.Kind == task.Started && e.ID == stepPrincipal {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || res.RunID == "" {
		t.Fatalf("%+v %v", res, err)
	}
	p.r.Close()
	return s.start(), res.RunID
}

func TestLostKey(t *testing.T) {
	t.Parallel()
	p, run := half(t, nil)
	entries, err := p.personal.List(t.Context())
	if err != nil || len(entries) != 1 {
		t.Fatal(entries, err)
	}
	if err := p.personal.Delete(t.Context(), entries[0].Thumbprint()); err != nil {
		t.Fatal(err)
	}
	foreign := p.fake.apps[0].Keys[0]
	foreign.ID, foreign.DisplayName, foreign.Public, foreign.Thumbprint = "cccccccc-0000-4000-8000-000000000009", "somebody else's", []byte("x"), "CD"
	p.fake.apps[0].Keys = append(p.fake.apps[0].Keys, foreign)
	res, err := p.next(t.Context(), false)
	if err != nil || res.RunID != run {
		t.Fatal(res, err)
	}
	keys := p.fake.apps[0].Keys
	if len(keys) != 2 || keys[0].DisplayName != "somebody else's" || keys[1].Thumbprint == string(entries[0].Thumbprint()) || keys[1].Thumbprint != res.Credential.Thumbprint {
		t.Errorf("%d certificates: only the run's own is to be replaced", len(keys))
	}
}

func TestOwnCertificate(t *testing.T) {
	t.Parallel()
	own, err := certs.Generate(nil, planNow, certs.NewOptions{CommonName: "my own", Key: testKey()})
	if err != nil {
		t.Fatal(err)
	}
	p, run := half(t, func(s *scene) { s.wish.Own = &own })
	if err := p.r.Rollback(t.Context(), p.admin(), run, nil); err != nil {
		t.Fatal(err)
	}
	if err := p.credentials(1, 0); err != nil {
		t.Errorf("the user's own certificate must stay: %v", err)
	}
	if len(p.fake.apps)+len(p.fake.deletedApps)+len(p.fake.deletedSPs) != 0 {
		t.Error("something is left in the tenant")
	}
}

func TestUsedCertificateStays(t *testing.T) {
	t.Parallel()
	p, run := half(t, nil)
	j, err := readJournal(p.r.dir, run)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.store.Add(t.Context(), connections.Connection{Name: "other", Kind: connections.Exchange, Location: connections.Online, Cloud: "global",
		Tenant: connections.Tenant{ID: tenantID}, Account: adminUPN, Registration: connections.Registration{Mode: connections.ModeManual, ClientID: "99999999-0000-4000-8000-000000000000"},
		Credential: connections.Credential{Type: connections.TypeCertificate, Thumbprint: string(j.Key.Thumbprint), Secret: "store:" + connections.Ref(run)}}); err != nil {
		t.Fatal(err)
	}
	if err := p.r.Rollback(t.Context(), p.admin(), run, nil); err != nil {
		t.Fatal(err)
	}
	if err := p.credentials(1, 0); err != nil {
		t.Errorf("another connection uses it: %v", err)
	}
}

func TestUnfinished(t *testing.T) {
	t.Parallel()
	p, run := half(t, nil)
	other := p.scene.start()
	if err := p.r.hold(run); err != nil {
		t.Fatal(err)
	}
	if left, err := other.r.Unfinished(t.Context()); err != nil || len(left) != 0 {
		t.Errorf("somebody works on it: %v %v", left, err)
	}
	var busy *BusyError
	if err := other.r.Rollback(t.Context(), p.admin(), run, nil); !errors.As(err, &busy) || busy.Run != run {
		t.Errorf("somebody works on it: %v", err)
	}
	p.r.Close()
	left, err := other.r.Unfinished(t.Context())
	if err != nil || len(left) != 1 {
		t.Fatal(left, err)
	}
	u := left[0]
	if u.Run != run || u.AppID != p.fake.apps[0].AppID || u.Kind != connections.Exchange || u.Connection != "it" || u.Tenant.ID != tenantID || u.Cloud != "test" ||
		u.CredentialType != connections.TypeCertificate || u.Action != ActionCreate || u.At.IsZero() || u.Last == "" || u.RollingBack {
		t.Errorf("%+v", u)
	}
	stranger := p.admin()
	stranger.Claims.TenantID = "99999999-0000-4000-8000-000000000000"
	var wrong *entra.WrongTokenError
	if err := other.r.Rollback(t.Context(), stranger, run, nil); !errors.As(err, &wrong) {
		t.Errorf("another tenant's administrator: %v", err)
	}
	// Journals that cannot be used are shown, and hide no other.
	for name, text := range map[string]string{"01K9Z7ABCDEFGHJKMNPQRSTVWX": "{", "01K9Z7ABCDEFGHJKMNPQRSTVWY": `{"schema":9}`} {
		if err := os.WriteFile(filepath.Join(p.r.dir, name+".json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	left, err = other.r.Unfinished(t.Context())
	if err != nil || len(left) != 3 {
		t.Fatal(left, err)
	}
	var damaged *connections.DamagedError
	var newer *connections.NewerSchemaError
	if !errors.As(left[0].Err, &damaged) || !errors.As(left[1].Err, &newer) || left[2].Run != run {
		t.Errorf("%+v", left)
	}
	if err := other.r.Finish(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	if err := other.r.Finish(t.Context(), run); err != nil {
		t.Errorf("the second time: %v", err)
	}
	if _, err := os.Stat(filepath.Join(p.r.dir, run+".lock")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the lock file: %v", err)
	}
	if err := other.r.Rollback(t.Context(), p.admin(), run, nil); err == nil || !strings.Contains(err.Error(), "finished or removed") {
		t.Errorf("nothing to take back: %v", err)
	}
	if err := other.r.Finish(t.Context(), "../x"); err == nil {
		t.Error("no id of a run")
	}
}

func TestJournalHoldsNoSecret(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{connections.TypeCertificate, connections.TypeClientSecret} {
		p, run := half(t, func(s *scene) { s.wish.Type = kind })
		path := filepath.Join(p.r.dir, run+".json")
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), "PRIVATE") || strings.Contains(string(data), "value of") {
			t.Errorf("%s", data)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v %v", info.Mode(), err)
		}
	}
}

// TestCertificatesOfOthers lets a certificate of somebody else vanish while ours is
// added, as another program's stale list does.
func TestCertificatesOfOthers(t *testing.T) {
	t.Parallel()
	for _, times := range []int{1, 9} {
		s := newScene(t)
		s.exists()
		s.wish.IfExists = ExistsUse
		p := s.start()
		n := 0
		s.fake.afterKeys = func(a *graph.Application) {
			if n++; n <= times {
				a.Keys = a.Keys[1:]
			}
		}
		res, err := p.register(t.Context())
		if times == 1 {
			if err == nil {
				err = p.complete(res)
			}
			if err != nil {
				t.Error(err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), "disappear") {
			t.Errorf("a fight over the list: %v", err)
		}
	}
}

func TestApplyRefuses(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	p := s.start()
	offline, err := MakePlan(s.wish, nil, planNow, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.r.Apply(t.Context(), s.admin(), s.wish, offline, s.base(), nil); err == nil || !strings.Contains(err.Error(), "without a sign-in") {
		t.Errorf("%v", err)
	}
	plan, err := p.plan(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	stranger := s.admin()
	stranger.Claims.TenantID = "99999999-0000-4000-8000-000000000000"
	if _, err := p.r.Apply(t.Context(), stranger, s.wish, plan, s.base(), nil); !isA[*entra.WrongTokenError](err) {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(s.dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something was written: %v", err)
	}
	s.dir += "/x"
	if err := os.WriteFile(filepath.Dir(s.dir), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.start().register(t.Context()); err == nil || len(s.fake.apps) > 0 {
		t.Errorf("without a disk nothing may be sent: %v", err)
	}
}

func FuzzJournal(f *testing.F) {
	good, err := json.Marshal(journal{
		Schema: 1, Run: "01K9Z7ABCDEFGHJKMNPQRSTVWX", Begun: planNow, Tenant: connections.Tenant{ID: tenantID}, Kind: connections.Exchange, Type: connections.TypeCertificate,
		Action: ActionCreate, UniqueName: "c2conn-exchange-01k9z7abcdefghjkmnpqrstvwx", Touched: true, Key: keyNote{Thumbprint: "0123456789ABCDEF0123456789ABCDEF01234567", Ref: "store:01K9Z7ABCDEFGHJKMNPQRSTVWX"},
		Application: applicationNote{ObjectID: tenantID, AppID: tenantID, Sent: true}, Assigned: []assignedNote{{tenantID, tenantID}}, Log: []logNote{{Step: stepKey}},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	for _, change := range []string{
		`"run":"01K9Z7ABCDEFGHJKMNPQRSTVWX"=>"run":"../../x"`, `"kind":"exchange"=>"kind":"x"`, `store:=>exec:rm `, `"schema":1=>"schema":2`,
		`c2conn-exchange=>another`, `"action":"create"=>"action":"use"`, `0123456789ABCDEF=>xx`, `"object_id":"1=>"object_id":"/`,
	} {
		from, to, _ := strings.Cut(change, "=>")
		text := strings.Replace(string(good), from, to, 1)
		if text == string(good) {
			f.Fatal(change)
		}
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		j, err := parseJournal("01K9Z7ABCDEFGHJKMNPQRSTVWX.json", data)
		if err != nil {
			return
		}
		for _, id := range []string{j.Application.ObjectID, j.Application.AppID, j.Principal.ObjectID, j.Secret.ID} {
			if id != "" && !isGUID(id) {
				t.Errorf("id %q", id)
			}
		}
		if j.Run != "01K9Z7ABCDEFGHJKMNPQRSTVWX" || j.Action == ActionCreate && j.UniqueName != uniqueName(j.Kind, j.Run) || strings.ContainsAny(j.AppName+j.Account, "\x1b\n") {
			t.Errorf("%+v", j)
		}
		for _, r := range []connections.Ref{j.Key.Ref, j.Secret.Ref} {
			if s := r.Scheme(); s != "" && s != connections.SchemeStore && s != connections.SchemeWindows {
				t.Errorf("reference %q", r)
			}
		}
		if again, err := json.Marshal(j); err != nil {
			t.Error(err)
		} else if _, err := parseJournal(j.Run+".json", again); err != nil {
			t.Errorf("it cannot be read again: %v", err)
		}
	})
}

// TestCertificatesLeftOut registers in a tenant that creates by unique name, but
// without the certificate.
func TestCertificatesLeftOut(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.fake.dropsKeys = true
	p := s.start()
	res, err := p.register(t.Context())
	if err == nil {
		err = p.complete(res)
	}
	if err != nil {
		t.Error(err)
	}
}

// TestDamagedProfile keeps a key as long as a damaged profile may refer to it.
func TestDamagedProfile(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s.fake.at, s.fake.what, s.fake.cancel = 3, killBefore, cancel // the key is stored, nothing was sent
	p := s.start()
	if _, err := p.register(ctx); err == nil || len(s.fake.apps) != 0 {
		t.Fatal(err)
	}
	p.r.Close()
	s.fake.armed, s.fake.dead = false, false
	profile := filepath.Join(s.dir, "connections", "broken.yaml")
	if err := os.MkdirAll(filepath.Dir(profile), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(profile, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	p = s.start()
	if left, err := p.r.Unfinished(t.Context()); err != nil || len(left) != 0 {
		t.Errorf("%v %v", left, err)
	}
	if list, err := p.personal.List(t.Context()); err != nil || len(list) != 1 {
		t.Errorf("the key is gone: %v %v", list, err)
	}
	if err := os.Remove(profile); err != nil {
		t.Fatal(err)
	}
	if left, err := p.r.Unfinished(t.Context()); err != nil || len(left) != 0 {
		t.Errorf("%v %v", left, err)
	}
	if err := p.clean(); err != nil {
		t.Error(err)
	}
}
