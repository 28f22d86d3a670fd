package connections

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func target(name, account string) Connection {
	c := sample(name)
	c.Kind, c.Account = MigrationTarget, account
	return c
}

func takenBy(err error, name string) bool {
	var taken *AccountTakenError
	return errors.As(err, &taken) && taken.By == name && strings.Contains(err.Error(), name) && !errors.Is(err, ErrExists) && !errors.Is(err, ErrNotFound)
}

func TestOneMailboxServesOneTarget(t *testing.T) {
	t.Parallel()
	s, ctx := testStore(t), t.Context()
	first, err := s.Add(ctx, target("first", "Migration@contoso.com"))
	if err != nil {
		t.Fatal(err)
	}
	for _, account := range []string{"Migration@contoso.com", "migration@CONTOSO.com", "MIGRATION@contoso.com\u00a0"} {
		if _, err := s.Add(ctx, target("second", account)); !takenBy(err, "first") {
			t.Errorf("Add with %q = %v", account, err)
		}
	}
	imported := target("second", "migration@contoso.com")
	imported.ID = "01K9Z7ABCDEFGHJKMNPQRSTVWX"
	if _, err := s.Add(ctx, imported); !takenBy(err, "first") {
		t.Errorf("Add with an id = %v", err)
	}
	// The same mailbox may serve what is no target, and another target has another.
	source := sample("source")
	source.Kind, source.Account = MigrationSource, first.Account
	if _, err := s.Add(ctx, source); err != nil {
		t.Error(err)
	}
	second, err := s.Add(ctx, target("second", "other@contoso.com"))
	if err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*Connection){
		"the account":          func(c *Connection) { c.Account = "migration@Contoso.com" },
		"the account and name": func(c *Connection) { c.Name, c.Account = "renamed", first.Account },
	} {
		if _, err := s.Update(ctx, second.ID, func(c *Connection) error { change(c); return nil }); !takenBy(err, "first") {
			t.Errorf("Update of %s = %v", what, err)
		}
	}
	if _, err := s.Update(ctx, "source", func(c *Connection) error { c.Kind = MigrationTarget; return nil }); !takenBy(err, "first") {
		t.Errorf("Update of the kind = %v", err)
	}
	if now, err := s.Get(ctx, "second"); err != nil || now.Account != "other@contoso.com" {
		t.Errorf("after what was refused: %+v, %v", now, err)
	}
	// What a target does with its own mailbox is its own business.
	if _, err := s.Update(ctx, "first", func(c *Connection) error { c.Account = "MIGRATION@contoso.com"; return nil }); err != nil {
		t.Errorf("Update of the case = %v", err)
	}
	if c, err := s.TargetOf(ctx, " migration@contoso.com"); err != nil || c.ID != first.ID {
		t.Errorf("TargetOf = %+v, %v", c, err)
	}
	if err := s.Delete(ctx, "first"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.TargetOf(ctx, "migration@contoso.com"); !errors.Is(err, ErrNotFound) {
		t.Errorf("TargetOf what was deleted = %v", err)
	}
	if _, err := s.Update(ctx, "second", func(c *Connection) error { c.Name, c.Account = "first", first.Account; return nil }); err != nil {
		t.Errorf("Update to a mailbox that is free again = %v", err)
	}
}

// All addresses of a user are one mailbox, which its id shows.
func TestOneUserServesOneTarget(t *testing.T) {
	t.Parallel()
	const one, two = "aaaaaaaa-2222-3333-4444-555555555555", "bbbbbbbb-2222-3333-4444-555555555555"
	s, ctx := testStore(t), t.Context()
	by := func(name, account, id string) Connection {
		c := target(name, account)
		c.AccountID = id
		return c
	}
	for _, c := range []Connection{by("first", "m@contoso.com", one), by("second", "n@contoso.com", ""), by("third", "o@contoso.com", two)} {
		if got, err := s.Add(ctx, c); err != nil || got.AccountID != c.AccountID {
			t.Fatal(got.AccountID, err)
		}
	}
	if _, err := s.Add(ctx, by("alias", "alias@contoso.com", strings.ToUpper(one))); !takenBy(err, "first") {
		t.Errorf("Add of another address = %v", err)
	}
	source := by("source", "alias@contoso.com", one)
	source.Kind = MigrationSource
	if _, err := s.Add(ctx, source); err != nil {
		t.Errorf("Add of a source = %v", err)
	}
	update := func(name string, change func(*Connection)) error {
		_, err := s.Update(ctx, name, func(c *Connection) error { change(c); return nil })
		return err
	}
	for what, err := range map[string]error{
		"source becomes a target": update("source", func(c *Connection) { c.Kind = MigrationTarget }),
		"the id changes":          update("third", func(c *Connection) { c.AccountID = one }),
		"the account changes":     update("second", func(c *Connection) { c.Account, c.AccountID = "alias@contoso.com", one }),
	} {
		if !takenBy(err, "first") {
			t.Errorf("%s: %v", what, err)
		}
	}
	// A verification finds out too late: both stay, and can be saved ever after.
	for _, name := range []string{"second", "second", "first"} {
		if err := update(name, func(c *Connection) { c.AccountID, c.Verification.State = one, StateFailed }); err != nil {
			t.Errorf("%s: filling in the id: %v", name, err)
		}
	}
	if err := update("second", func(c *Connection) { c.AccountID = "" }); err != nil {
		t.Errorf("forgetting the id: %v", err)
	}
	// The id of the mailbox before says nothing of the new one.
	if err := update("third", func(c *Connection) { c.Account = "p@contoso.com" }); err != nil {
		t.Error(err)
	}
	if c, err := s.Get(ctx, "third"); err != nil || c.AccountID != "" {
		t.Errorf("the id of the mailbox before stayed: %q, %v", c.AccountID, err)
	}
	bad := by("bad", "bad@contoso.com", "no guid")
	if _, err := s.Add(ctx, bad); err == nil || !strings.Contains(err.Error(), "account_id") {
		t.Errorf("Add with a bad id = %v", err)
	}
}

// A damaged file may be a target: nobody may slip a second one in meanwhile. One
// that is plainly something else is in nobody's way.
func TestDamagedNeighboursOfTargets(t *testing.T) {
	t.Parallel()
	text := strings.Replace(designSample, "contoso-backup ", "bad ", 1)
	broken := func(kind string) string {
		return strings.Replace(strings.Replace(text, "kind: exchange", "kind: "+kind, 1), "location: online", "location: moon", 1)
	}
	for what, tc := range map[string]struct {
		content string
		mode    os.FileMode
		refused bool
	}{
		"another kind":          {broken("exchange"), fileMode, false},
		"a target":              {broken("migration-target"), fileMode, true},
		"a mistyped kind":       {broken("migration-taget"), fileMode, true},
		"no YAML":               {"<<<<<<< mine\n" + text, fileMode, true},
		"cut off":               {text[:20], fileMode, true},
		"empty":                 {"", fileMode, true},
		"of a later version":    {strings.Replace(text, "schema: 1", "schema: 2", 1), fileMode, true},
		"open to other users":   {text, 0o644, true},
		"under a wrong name":    {strings.Replace(broken("exchange"), "name: bad", "name: good", 1), fileMode, false},
		"a copy, wrongly named": {strings.NewReplacer("name: bad", "name: good", "exchange", "migration-target").Replace(text), fileMode, true},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s, ctx := testStore(t), t.Context()
			for _, c := range []Connection{target("there", "there@contoso.com"), sample("plain")} {
				if _, err := s.Add(ctx, c); err != nil {
					t.Fatal(err)
				}
			}
			path := s.Path("bad")
			if err := os.WriteFile(path, []byte(tc.content), tc.mode); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, tc.mode); err != nil {
				t.Fatal(err)
			}
			right := func(err error) bool {
				return (err != nil) == tc.refused && (err == nil || strings.Contains(err.Error(), path) && strings.Contains(err.Error(), "cannot be told"))
			}
			if _, err := s.Add(ctx, target("new", "new@contoso.com")); !right(err) {
				t.Errorf("Add = %v", err)
			}
			if _, err := s.Update(ctx, "plain", func(c *Connection) error { c.Kind = MigrationTarget; return nil }); !right(err) {
				t.Errorf("Update = %v", err)
			}
			if _, err := s.TargetOf(ctx, "free@contoso.com"); !errors.Is(err, ErrNotFound) && !right(err) {
				t.Errorf("TargetOf = %v", err)
			}
			// What is certain stays certain, and what has nothing to do with it goes on.
			if c, err := s.TargetOf(ctx, "there@contoso.com"); err != nil || c.Name != "there" {
				t.Errorf("TargetOf = %v, %v", c.Name, err)
			}
			if _, err := s.Add(ctx, target("new", "there@contoso.com")); err == nil || !tc.refused && !errors.Is(err, ErrExists) || tc.refused && !takenBy(err, "there") {
				t.Errorf("Add with a taken mailbox = %v", err)
			}
			if _, err := s.Add(ctx, sample("exchange")); err != nil {
				t.Errorf("Add of another kind = %v", err)
			}
			if _, err := s.Update(ctx, "there", func(c *Connection) error { c.Verification.State = StateFailed; return nil }); err != nil {
				t.Errorf("saving a verification = %v", err)
			}
		})
	}
}

// Two targets of one mailbox that were made by hand are both shown, and what does
// not touch the mailbox can be saved.
func TestTargetsDoubledByHand(t *testing.T) {
	t.Parallel()
	s, ctx := testStore(t), t.Context()
	c, err := s.Add(ctx, target("a", "m@contoso.com"))
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(s.Path("a"))
	if err != nil {
		t.Fatal(err)
	}
	copied := strings.NewReplacer("name: a\n", "name: b\n", c.ID, "01K9Z7ABCDEFGHJKMNPQRSTVWX").Replace(string(data))
	if err := os.WriteFile(s.Path("b"), []byte(copied), fileMode); err != nil {
		t.Fatal(err)
	}
	entries := mustList(t, s)
	if len(entries) != 2 || entries[0].Err != nil || entries[1].Err != nil {
		t.Fatalf("List = %+v", entries)
	}
	if c, err := s.TargetOf(ctx, "m@contoso.com"); err != nil || c.Name != "a" {
		t.Errorf("TargetOf = %s, %v", c.Name, err)
	}
	for _, name := range []string{"a", "b"} {
		if _, err := s.Update(ctx, name, func(c *Connection) error { c.Verification.State, c.Account = StateFailed, "M@contoso.com"; return nil }); err != nil {
			t.Errorf("Update of %s = %v", name, err)
		}
	}
	if _, err := s.Rename(ctx, "b", "c"); err != nil {
		t.Errorf("Rename = %v", err)
	}
	if _, err := s.Update(ctx, "c", func(c *Connection) error { c.Account = "n@contoso.com"; return nil }); err != nil {
		t.Errorf("mending one = %v", err)
	}
	if _, err := s.Update(ctx, "c", func(c *Connection) error { c.Account = "m@contoso.com"; return nil }); !takenBy(err, "a") {
		t.Errorf("doubling it again = %v", err)
	}
}

// The kind that looks at its neighbours leaves the index ready for the next one.
func TestAddOfATargetMendsTheIndex(t *testing.T) {
	t.Parallel()
	s := testStore(t)
	mustAdd(t, s, "a")
	old := time.Now().Add(-time.Hour)
	path := filepath.Join(s.connections, indexName)
	if err := errors.Join(os.Chtimes(s.Path("a"), old, old), os.Remove(path)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Add(t.Context(), target("t", "t@contoso.com")); err != nil {
		t.Fatal(err)
	}
	if idx := s.readIndex(); !idx.sound || len(idx.records) != 2 {
		t.Errorf("the index knows %d files, sound: %v", len(idx.records), idx.sound)
	}
}

func TestRaceForAMailbox(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state")
	const writers = 20
	var wg sync.WaitGroup
	errs := make([]error, writers)
	for i := range writers {
		wg.Go(func() {
			s, err := Open(Options{Dir: dir})
			if err == nil && i%2 == 1 {
				// One way in is an Update of what was no target.
				if _, err = s.Add(t.Context(), sample(fmt.Sprintf("t%d", i))); err == nil {
					_, err = s.Update(t.Context(), fmt.Sprintf("t%d", i), func(c *Connection) error { c.Kind = MigrationTarget; return nil })
				}
			} else if err == nil {
				_, err = s.Add(t.Context(), target(fmt.Sprintf("t%d", i), []string{"admin@contoso.com", "ADMIN@contoso.com"}[i/2%2]))
			}
			errs[i] = err
		})
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		var taken *AccountTakenError
		switch {
		case err == nil:
			won++
		case !errors.As(err, &taken):
			t.Error(err)
		}
	}
	if won != 1 {
		t.Errorf("%d of %d targets got the one mailbox", won, writers)
	}
}
