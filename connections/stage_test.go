package connections

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"
)

func openStage(t *testing.T, s *Store) *Stage {
	t.Helper()
	g, err := s.Stage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func stagedNames(t *testing.T, list func() ([]Entry, error)) (names []string) {
	t.Helper()
	for _, e := range must[[]Entry](t)(list()) {
		names = append(names, e.Connection.Name)
	}
	return names
}

// TestStageStory: changes show in the stage only, survive its end, and are saved.
func TestStageStory(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := testStore(t)
	for _, name := range []string{"a", "b", "c"} {
		must[Connection](t)(s.Add(ctx, sample(name)))
	}
	g := openStage(t, s)
	must[Connection](t)(g.Add(ctx, sample("new")))
	must[Connection](t)(g.Rename(ctx, "a", "z"))
	must[Connection](t)(g.Update(ctx, "b", func(c *Connection) error { c.Account = "other@contoso.com"; return nil }))
	if err := g.Delete(ctx, "c"); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Rename(ctx, "b", "a"); !errors.Is(err, ErrExists) {
		t.Errorf("a name that is taken until the changes are saved: %v", err)
	}
	if _, err := g.Add(ctx, sample("Z")); !errors.Is(err, ErrExists) {
		t.Errorf("a staged name: %v", err)
	}
	must[Connection](t)(g.Add(ctx, sample("c"))) // the name of one that goes
	if got := stagedNames(t, func() ([]Entry, error) { return s.List(ctx) }); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("saved: %v", got)
	}
	var busy *StageBusyError
	if _, err := s.Stage(ctx); !errors.As(err, &busy) || busy.PID != os.Getpid() {
		t.Errorf("a second stage: %v", err)
	}
	g.Close()
	if list := must[[]Change](t)(s.Staged(ctx)); len(list) != 5 {
		t.Errorf("staged: %+v", list)
	}
	g = openStage(t, s)
	view := []string{"b", "c", "new", "z"}
	if got := stagedNames(t, func() ([]Entry, error) { return g.List(ctx) }); !slices.Equal(got, view) {
		t.Errorf("in the stage: %v", got)
	}
	var kinds []string
	for _, c := range g.Pending() {
		text := c.Name
		switch {
		case c.Added:
			text = "+" + text
		case c.Deleted:
			text = "-" + text
		}
		kinds = append(kinds, text+c.Was)
		if c.Name == "b" && (!slices.Equal(c.Fields, []string{"account"}) || c.Base.Account != "admin@contoso.com") {
			t.Errorf("%+v", c)
		}
	}
	slices.Sort(kinds)
	if want := []string{"+c", "+new", "-c", "b", "za"}; !slices.Equal(kinds, want) {
		t.Errorf("pending: %v, want %v", kinds, want)
	}
	if n, err := g.Commit(ctx); n != 5 || err != nil {
		t.Fatal(n, err)
	}
	if got := stagedNames(t, func() ([]Entry, error) { return s.List(ctx) }); !slices.Equal(got, view) || len(g.Pending()) != 0 {
		t.Errorf("saved: %v, pending %v", got, g.Pending())
	}
	if c := must[Connection](t)(s.Get(ctx, "b")); c.Account != "other@contoso.com" {
		t.Error(c.Account)
	}
}

func TestStageDiscardAndRevert(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := testStore(t)
	must[Connection](t)(s.Add(ctx, sample("a")))
	g := openStage(t, s)
	must[Connection](t)(g.Rename(ctx, "a", "b"))
	must[Connection](t)(g.Rename(ctx, "b", "a"))
	if list := g.Pending(); len(list) != 0 {
		t.Errorf("a change that leads back is still staged: %+v", list)
	}
	must[Connection](t)(g.Rename(ctx, "a", "b"))
	if err := g.Revert(ctx, "a"); err != nil {
		t.Error(err)
	}
	if err := g.Revert(ctx, "a"); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	must[Connection](t)(g.Add(ctx, sample("new")))
	must[Connection](t)(g.Rename(ctx, "new", "newer"))
	if err := g.Delete(ctx, "newer"); err != nil || len(g.Pending()) != 0 {
		t.Errorf("a new one is simply gone: %v, %v", err, g.Pending())
	}
	if err := g.Delete(ctx, "a"); err != nil {
		t.Error(err)
	}
	must[Connection](t)(g.Add(ctx, sample("a")))
	if err := g.Revert(ctx, g.Pending()[0].ID); !errors.Is(err, ErrExists) && len(g.Pending()) != 1 {
		t.Error(err)
	}
	if err := g.Discard(ctx); err != nil || len(g.Pending()) != 0 {
		t.Error(err, g.Pending())
	}
	if got := stagedNames(t, func() ([]Entry, error) { return g.List(ctx) }); !slices.Equal(got, []string{"a"}) {
		t.Error(got)
	}
}

// TestStageMeanwhile: what others save while a change is staged.
func TestStageMeanwhile(t *testing.T) {
	t.Parallel()
	verifiedAt := func(hour int) Verification {
		return Verification{At: testTime.Add(time.Duration(hour) * time.Hour), State: StateVerified, Checks: map[string]string{"ews": "pass"}}
	}
	account := func(to string) func(*Connection) error {
		return func(c *Connection) error { c.Account = to; return nil }
	}
	tests := []struct {
		name        string
		here, there func(*Connection) error
		conflicts   []string
		want        func(Connection) bool
	}{
		{"rotation", account("new@contoso.com"), func(c *Connection) error {
			c.Credential.KeyID, c.Credential.NotAfter = "11111111-2222-4333-8444-555555555556", testTime.AddDate(5, 0, 0)
			c.Verification = verifiedAt(2)
			return nil
		}, nil, func(c Connection) bool {
			return c.Account == "new@contoso.com" && c.Credential.KeyID != "" && c.Verification.State == StateUnverified
		}},
		{"verification", func(c *Connection) error { c.Name = "b"; return nil }, func(c *Connection) error {
			c.Verification, c.Tenant.Name = verifiedAt(2), "Contoso"
			return nil
		}, nil, func(c Connection) bool {
			return c.Name == "b" && c.Tenant.Name == "Contoso" && c.Verification.State == StateVerified
		}},
		{"both verified", func(c *Connection) error {
			c.Account, c.Verification = "new@contoso.com", verifiedAt(1)
			return nil
		}, func(c *Connection) error { c.Verification = verifiedAt(2); return nil }, nil,
			func(c Connection) bool { return c.Verification.At.Equal(verifiedAt(1).At) }},
		{"the same", account("new@contoso.com"), account("new@contoso.com"), nil, func(c Connection) bool { return c.Account == "new@contoso.com" }},
		{"conflict", account("new@contoso.com"), account("other@contoso.com"), []string{"account"}, func(c Connection) bool { return c.Account == "other@contoso.com" }},
		{"renamed twice", func(c *Connection) error { c.Name = "b"; return nil }, func(c *Connection) error { c.Name = "c"; return nil }, []string{"name"},
			func(c Connection) bool { return c.Name == "c" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			s := testStore(t)
			id := must[Connection](t)(s.Add(ctx, sample("a"))).ID
			g := openStage(t, s)
			must[Connection](t)(g.Update(ctx, "a", tt.here))
			must[Connection](t)(s.Update(ctx, "a", tt.there))
			list := must[[]*ConflictError](t)(g.Conflicts(ctx))
			_, err := g.Commit(ctx)
			var conflict *ConflictError
			if errors.As(err, &conflict) != (tt.conflicts != nil) || len(list) > 0 != (tt.conflicts != nil) || conflict != nil && !slices.Equal(conflict.Fields, tt.conflicts) {
				t.Fatalf("%v, %v", err, list)
			}
			if c := must[Connection](t)(s.Get(ctx, id)); !tt.want(c) {
				t.Errorf("saved: %+v", c)
			}
			if len(g.Pending()) != len(tt.conflicts) {
				t.Errorf("pending: %+v", g.Pending())
			}
			if conflict == nil {
				return
			}
			staged := g.Pending()[0].Next
			if err := g.Keep(ctx, id); err != nil {
				t.Fatal(err)
			}
			must[int](t)(g.Commit(ctx))
			if c := must[Connection](t)(s.Get(ctx, id)); c.Account != staged.Account || c.Name != staged.Name {
				t.Errorf("kept %+v, saved %+v", staged, c)
			}
		})
	}
}

// A conflict is not settled by a change of something else.
func TestStageConflictOutlivesOtherChanges(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := testStore(t)
	must[Connection](t)(s.Add(ctx, sample("a")))
	g := openStage(t, s)
	must[Connection](t)(g.Update(ctx, "a", func(c *Connection) error { c.Account = "new@contoso.com"; return nil }))
	must[Connection](t)(s.Update(ctx, "a", func(c *Connection) error { c.Account = "other@contoso.com"; return nil }))
	must[Connection](t)(g.Rename(ctx, "a", "b"))
	var conflict *ConflictError
	if n, err := g.Commit(ctx); n != 0 || !errors.As(err, &conflict) {
		t.Fatal(n, err)
	}
	must[Connection](t)(g.Update(ctx, "b", func(c *Connection) error { c.Account = "third@contoso.com"; return nil }))
	if n, err := g.Commit(ctx); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if c := must[Connection](t)(s.Get(ctx, "b")); c.Account != "third@contoso.com" {
		t.Error(c.Account)
	}
}

func TestStageDeletions(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := testStore(t)
	for _, name := range []string{"changed", "gone", "edited", "verified"} {
		must[Connection](t)(s.Add(ctx, sample(name)))
	}
	g := openStage(t, s)
	for _, name := range []string{"changed", "gone", "verified"} {
		if err := g.Delete(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
	must[Connection](t)(g.Update(ctx, "edited", func(c *Connection) error { c.Account = "new@contoso.com"; return nil }))
	must[Connection](t)(s.Update(ctx, "changed", func(c *Connection) error { c.Account = "other@contoso.com"; return nil }))
	must[Connection](t)(s.Update(ctx, "verified", func(c *Connection) error { c.Verification.State = StateFailed; return nil }))
	for _, name := range []string{"gone", "edited"} {
		if err := s.Delete(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
	n, err := g.Commit(ctx)
	if n != 2 || err == nil {
		t.Fatal(n, err)
	}
	list := must[[]*ConflictError](t)(g.Conflicts(ctx))
	if len(list) != 2 || !list[0].Delete || !slices.Equal(list[0].Fields, []string{"account"}) || !list[1].Gone {
		t.Fatalf("%+v", list)
	}
	for _, c := range list {
		if err := g.Keep(ctx, c.Name); err != nil {
			t.Fatal(err)
		}
	}
	must[int](t)(g.Commit(ctx))
	if got := stagedNames(t, func() ([]Entry, error) { return s.List(ctx) }); !slices.Equal(got, []string{"edited"}) {
		t.Error(got)
	}
}

// A mailbox can move from one migration target to another in one go.
func TestStageTargets(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := testStore(t)
	must[Connection](t)(s.Add(ctx, target("a", "one@contoso.com")))
	must[Connection](t)(s.Add(ctx, target("b", "two@contoso.com")))
	g := openStage(t, s)
	var taken *AccountTakenError
	if _, err := g.Add(ctx, target("c", "TWO@contoso.com")); !errors.As(err, &taken) {
		t.Errorf("a mailbox that is taken: %v", err)
	}
	must[Connection](t)(g.Update(ctx, "b", func(c *Connection) error { c.Account = "three@contoso.com"; return nil }))
	must[Connection](t)(g.Update(ctx, "a", func(c *Connection) error { c.Account = "two@contoso.com"; return nil }))
	if c, err := g.TargetOf(ctx, "two@contoso.com"); err != nil || c.Name != "a" {
		t.Error(c.Name, err)
	}
	if n, err := g.Commit(ctx); n != 2 || err != nil {
		t.Error(n, err)
	}
}

// TestStageSecrets: neither those of the old nor of the staged version go too early,
// and none stays for nothing.
func TestStageSecrets(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	withSecret := func(r Ref) func(*Connection) error {
		return func(c *Connection) error {
			c.Credential = Credential{Type: TypeClientSecret, Secret: r}
			return nil
		}
	}
	s := testStore(t, func(o *Options) { o.Getenv = environment(envPassphrase, "p") })
	there := func(r Ref) bool { _, err := os.Stat(s.secretPath(r.Value())); return err == nil }
	old, first, second, third := mustPut(t, s, "old"), mustPut(t, s, "first"), mustPut(t, s, "second"), mustPut(t, s, "third")
	for _, r := range []Ref{old, first, second, third} {
		at := testTime.Add(-2 * time.Hour)
		if err := os.Chtimes(s.secretPath(r.Value()), at, at); err != nil {
			t.Fatal(err)
		}
	}
	c := sample("a")
	_ = withSecret(old)(&c)
	must[Connection](t)(s.Add(ctx, c))
	g := openStage(t, s)
	must[Connection](t)(g.Update(ctx, "a", withSecret(first)))
	if got := must[[]Ref](t)(s.Orphans(ctx, nil)); slices.Contains(got, first) || slices.Contains(got, old) || !slices.Contains(got, second) {
		t.Errorf("orphans: %v", got)
	}
	must[Connection](t)(g.Update(ctx, "a", withSecret(second)))
	if there(first) || !there(old) || !there(second) {
		t.Error("after a second staged change: the first secret stays, or one that is needed is gone")
	}
	if err := g.Discard(ctx); err != nil || there(second) || !there(old) {
		t.Error("after Discard:", err, there(second), there(old))
	}
	must[Connection](t)(g.Update(ctx, "a", withSecret(third)))
	if _, err := g.Commit(ctx); err != nil || there(old) || !there(third) {
		t.Error("after Commit:", err, there(old), there(third))
	}
}

// TestStagedFieldsAreComplete: every field of a connection is part of one staged field.
func TestStagedFieldsAreComplete(t *testing.T) {
	t.Parallel()
	var walk func(path string, v reflect.Value, c, zero *Connection)
	walk = func(path string, v reflect.Value, c, zero *Connection) {
		for i := range v.NumField() {
			f, name := v.Field(i), path+v.Type().Field(i).Name
			switch name {
			case "Schema", "ID", "Created", "Updated": // the store's own
				continue
			}
			switch x := f.Addr().Interface().(type) {
			case *time.Time:
				*x = testTime
			case *map[string]string:
				*x = map[string]string{"ews": "pass"}
			case *bool:
				*x = true
			default:
				if f.Kind() == reflect.Struct {
					walk(name+".", f, c, zero)
					continue
				}
				f.SetString("x")
			}
			if got := fieldsBetween(zero, c); len(got) != 1 {
				t.Errorf("a change of %s is %v", name, got)
			}
			f.SetZero()
		}
	}
	var c, zero Connection
	walk("", reflect.ValueOf(&c).Elem(), &c, &zero)
}

func TestStageDamaged(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := testStore(t)
	g := openStage(t, s)
	c := must[Connection](t)(g.Add(ctx, sample("a")))
	info, err := os.Stat(g.path(c.ID))
	if err != nil || info.Mode().Perm() != fileMode {
		t.Errorf("%v %v", info.Mode(), err)
	}
	g.Close()
	for text, newer := range map[string]bool{"": false, "{}": false, `{"version":1}`: false, `{"version":1,"next":{}}`: false, `{"version":2}`: true} {
		if err := os.WriteFile(filepath.Join(s.staged, c.ID+stageEnding), []byte(text), fileMode); err != nil {
			t.Fatal(err)
		}
		_, err := s.Stage(ctx)
		var damaged *DamagedError
		var later *NewerSchemaError
		if !errors.As(err, &damaged) && !newer || !errors.As(err, &later) && newer {
			t.Errorf("%q: %v", text, err)
		}
		if _, err := s.Orphans(ctx, nil); err == nil {
			// Without secrets there is nothing to tell.
			if list, _ := os.ReadDir(s.secrets); len(list) > 0 {
				t.Errorf("%q: secrets are called orphans although nobody can tell", text)
			}
		}
	}
}

func FuzzParseStaged(f *testing.F) {
	f.Add([]byte(`{"version":1,"at":"2026-11-22T06:00:00Z","next":{"schema":1,"id":"01K9Z7ABCDEFGHJKMNPQRSTVWX","name":"a","kind":"exchange","location":"online","cloud":"global"}}`))
	f.Add([]byte(`{"version":2}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := parseStaged("x", data)
		if err == nil && !validID(r.id()) {
			t.Errorf("accepted without an id: %q", data)
		}
	})
}

// TestStageCommitGoesOn: a secret that cannot be removed hinders no other change.
func TestStageCommitGoesOn(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := testStore(t, func(o *Options) { o.Getenv = environment(envPassphrase, "p") })
	old, next := mustPut(t, s, "old"), mustPut(t, s, "next")
	c := sample("a")
	c.Credential = Credential{Type: TypeClientSecret, Secret: old}
	must[Connection](t)(s.Add(ctx, c))
	mustAdd(t, s, "z")
	g := openStage(t, s)
	must[Connection](t)(g.Update(ctx, "a", func(c *Connection) error {
		c.Credential = Credential{Type: TypeClientSecret, Secret: next}
		return nil
	}))
	must[Connection](t)(g.Rename(ctx, "z", "z2"))
	// what cannot be unlinked: a directory that is not empty
	if err := os.Remove(s.secretPath(old.Value())); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(s.secretPath(old.Value())+"/x", 0o700); err != nil {
		t.Fatal(err)
	}
	n, err := g.Commit(ctx)
	if _, e := s.Get(ctx, "z2"); e != nil {
		t.Errorf("z was not saved (%d saved, pending %d): %v", n, len(g.Pending()), err)
	}
	if err := os.RemoveAll(s.secretPath(old.Value())); err != nil {
		t.Fatal(err)
	}
}
