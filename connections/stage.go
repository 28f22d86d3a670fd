package connections

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Stage holds changes to connections that are not saved yet. Each is on disk before
// it counts, so a crash loses none; Commit saves them, Discard throws them away. It
// shows the connections as they would be. One process at a time has it; within that
// it may be used by many goroutines.
type Stage struct {
	s       *Store
	release func()

	mu   sync.Mutex
	list map[string]stagedRecord // by id
}

// Change is one staged change of a connection.
type Change struct {
	ID      string
	Name    string   // as staged
	Was     string   // the saved name, where the change renames
	Added   bool     // it is new
	Deleted bool     // it is to be deleted
	Fields  []string // what was changed, by path in the YAML

	At   time.Time  // when it was staged last
	Base Connection // the version that it was made from; zero for a new one
	Next Connection // the version that it leads to; zero for a deletion
}

func (r stagedRecord) change() Change {
	c := Change{ID: r.id(), At: r.At, Added: r.Base == nil, Deleted: r.Next == nil}
	if r.Base != nil {
		c.Base, c.Name = r.Base.clone(), r.Base.Name
	}
	if r.Next != nil {
		c.Next, c.Name = r.Next.clone(), r.Next.Name
	}
	if r.Base != nil && r.Next != nil {
		c.Fields = fieldsBetween(r.Base, r.Next)
		if r.Base.Name != r.Next.Name {
			c.Was = r.Base.Name
		}
	}
	return c
}

// Stage opens what is staged, and makes the directory for it. Close it. What a crash
// during Commit had saved already is taken away from it. Errors: *StageBusyError where
// another process has it, *DamagedError, *NewerSchemaError, *PermissionError.
func (s *Store) Stage(ctx context.Context) (*Stage, error) {
	release, err := s.own()
	if err != nil {
		return nil, err
	}
	g := &Stage{s: s, release: release}
	if g.list, err = s.readStaged(ctx); err == nil {
		err = g.settle(ctx)
	}
	if err != nil {
		release()
		return nil, err
	}
	return g, nil
}

// Staged lists the staged changes by name, without opening them: another process may
// have them. Errors as Stage.
func (s *Store) Staged(ctx context.Context) ([]Change, error) {
	list, err := s.readStaged(ctx)
	return changes(list), err
}

// InUse lists what may refer to a key, a secret or an application: the saved
// connections, and the versions that staged changes lead to. What is saved and changed
// is there twice. A staged change that is damaged is an entry with its error, without a
// connection. Errors as List.
func (s *Store) InUse(ctx context.Context) ([]Entry, error) {
	// The staged changes come first: one that is saved meanwhile is then not missed.
	list, stageErr := s.readStaged(ctx)
	entries, err := s.List(ctx)
	if err != nil {
		return nil, err
	}
	entries = slices.Clone(entries)
	if stageErr != nil {
		return append(entries, Entry{Err: stageErr}), nil
	}
	for _, c := range changes(list) {
		if !c.Deleted {
			entries = append(entries, Entry{Connection: c.Next})
		}
	}
	return entries, nil
}

// Close lets others have the staged changes; they stay on disk.
func (g *Stage) Close() { g.release() }

// Pending lists the staged changes by name.
func (g *Stage) Pending() []Change {
	g.mu.Lock()
	defer g.mu.Unlock()
	return changes(g.list)
}

func changes(list map[string]stagedRecord) []Change {
	result := make([]Change, 0, len(list))
	for _, r := range list {
		result = append(result, r.change())
	}
	slices.SortFunc(result, func(a, b Change) int { return compareNames(a.Name, b.Name) })
	return result
}

// settle takes away what is saved already.
func (g *Stage) settle(ctx context.Context) error {
	if len(g.list) == 0 {
		return nil
	}
	entries, err := g.s.List(ctx)
	if err != nil {
		return err
	}
	saved := byID(entries)
	for id, r := range g.list {
		now, there := saved[id]
		done := false
		switch {
		case r.Base == nil:
			done = there // only Commit can have made a connection of this id
		case r.Next == nil:
			done = !there && !damagedName(entries, r.Base.Name)
		case there:
			merged, conflicts := mergeStaged(*r.Base, *r.Next, now)
			done = len(conflicts) == 0 && len(fieldsBetween(&merged, &now)) == 0
		}
		if done {
			if err := g.finish(ctx, r); err != nil {
				return err
			}
		}
	}
	return nil
}

func byID(entries []Entry) map[string]Connection {
	m := make(map[string]Connection, len(entries))
	for _, e := range entries {
		if e.Err == nil {
			m[e.Connection.ID] = e.Connection
		}
	}
	return m
}

// damagedName tells whether a damaged file has that name: it is not gone, then.
func damagedName(entries []Entry, name string) bool {
	return slices.ContainsFunc(entries, func(e Entry) bool { return e.Err != nil && fold(e.Connection.Name) == fold(name) })
}

// finish ends a change that is saved: what only the old version used goes, and then
// the change itself.
func (g *Stage) finish(ctx context.Context, r stagedRecord) error {
	if r.Base != nil {
		if err := g.s.releaseFor(ctx, *r.Base, r.id()); err != nil {
			return fmt.Errorf("connection %q is saved, but a secret that only its old version used could not be removed: %w", clean(r.Base.Name), err)
		}
	}
	return g.drop(ctx, r.id())
}

// List returns the connections as they would be once the staged changes are saved,
// sorted by name: without deleted ones, with what was changed elsewhere meanwhile.
func (g *Stage) List(ctx context.Context) ([]Entry, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.entries(ctx)
}

func (g *Stage) entries(ctx context.Context) ([]Entry, error) {
	saved, err := g.s.List(ctx)
	if err != nil {
		return nil, err
	}
	result := make([]Entry, 0, len(saved)+len(g.list))
	seen := map[string]bool{}
	for _, e := range saved {
		r, ok := g.list[e.Connection.ID]
		if e.Err != nil || !ok {
			result = append(result, e)
			continue
		}
		seen[e.Connection.ID] = true
		if r.Next == nil {
			continue
		}
		if r.Base != nil {
			e.Connection, _ = mergeStaged(*r.Base, *r.Next, e.Connection)
		}
		result = append(result, e)
	}
	for id, r := range g.list {
		// A changed one that was deleted elsewhere stays in sight: saving will tell.
		if r.Next != nil && !seen[id] && (r.Base == nil || !damagedName(saved, r.Base.Name)) {
			result = append(result, Entry{Connection: r.Next.clone(), Path: g.path(id)})
		}
	}
	return sorted(result), nil
}

// Get returns a connection as it would be, by name in any case or id. Errors as Store.Get.
func (g *Stage) Get(ctx context.Context, nameOrID string) (Connection, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.get(ctx, nameOrID)
}

func (g *Stage) get(ctx context.Context, nameOrID string) (Connection, error) {
	entries, err := g.entries(ctx)
	if err != nil {
		return Connection{}, err
	}
	for _, e := range entries {
		if fold(e.Connection.Name) == fold(nameOrID) || e.Err == nil && fold(e.Connection.ID) == fold(nameOrID) {
			return e.Connection.clone(), e.Err
		}
	}
	return Connection{}, notFound(nameOrID)
}

// TargetOf is Store.TargetOf, with the staged changes.
func (g *Stage) TargetOf(ctx context.Context, account string) (Connection, error) {
	entries, err := g.List(ctx)
	if err != nil {
		return Connection{}, err
	}
	return g.s.targetIn(entries, account)
}

// Add stages a new connection and returns it with its ID filled in. Errors as Store.Add.
func (g *Stage) Add(ctx context.Context, c Connection) (Connection, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c.Schema = SchemaVersion
	if c.ID == "" {
		id, err := g.s.newID()
		if err != nil {
			return Connection{}, err
		}
		c.ID = id
	}
	c.Created = g.s.o.Now()
	c.Updated = c.Created
	c = c.normalised()
	if err := g.acceptable(ctx, Connection{}, c); err != nil {
		return Connection{}, err
	}
	return c, g.put(ctx, stagedRecord{Version: stageVersion, At: g.s.o.Now(), Next: &c})
}

// acceptable tells whether c could be saved in the place of was.
func (g *Stage) acceptable(ctx context.Context, was, c Connection) error {
	if err := c.Validate(); err != nil {
		return fmt.Errorf("connection %q: %w", clean(c.Name), err)
	}
	entries, err := g.entries(ctx)
	if err != nil {
		return err
	}
	saved, err := g.s.List(ctx)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Connection.ID != c.ID && fold(e.Connection.Name) == fold(c.Name) {
			return fmt.Errorf("a connection %q %w; choose another name", c.Name, ErrExists)
		}
		if was.ID == "" && e.Err == nil && e.Connection.ID == c.ID {
			return fmt.Errorf("a connection with the id %s %w: %q", c.ID, ErrExists, e.Connection.Name)
		}
	}
	for _, e := range saved {
		r, staged := g.list[e.Connection.ID]
		if e.Err == nil && e.Connection.ID != c.ID && fold(e.Connection.Name) == fold(c.Name) && !(staged && r.Next == nil) {
			return fmt.Errorf("the name %q %w until the changes are saved; save them first, or choose another name", c.Name, ErrExists)
		}
	}
	if c.Kind != MigrationTarget || was.Kind == MigrationTarget && !movesMailbox(was, c) {
		return nil
	}
	other, taken, err := g.s.targetOf(entries, c)
	if taken {
		err = &AccountTakenError{Account: c.Account, By: other.Name}
	}
	if err != nil {
		return fmt.Errorf("connection %q: %w", c.Name, err)
	}
	return nil
}

// Update stages a change of a connection, saved or staged, found by name or id, and
// returns it as it would be. What change does to ID, Schema and Created is undone. A
// change that leads back to what is saved is staged no more. Errors as Store.Update.
func (g *Stage) Update(ctx context.Context, nameOrID string, change func(*Connection) error) (Connection, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	was, err := g.get(ctx, nameOrID)
	if err != nil {
		return Connection{}, err
	}
	c := was.clone()
	if err := change(&c); err != nil {
		return Connection{}, err
	}
	c.ID, c.Schema, c.Created, c.Updated = was.ID, SchemaVersion, was.Created, g.s.o.Now()
	if mailbox(c.Account) != mailbox(was.Account) && c.AccountID == was.AccountID {
		c.AccountID = "" // that of another account
	}
	c = c.normalised()
	if err := g.acceptable(ctx, was, c); err != nil {
		return Connection{}, err
	}
	old, staged := g.list[c.ID]
	r := stagedRecord{Version: stageVersion, At: g.s.o.Now(), Next: &c}
	if !staged || old.Base != nil {
		base, err := g.rebase(ctx, old, was, c)
		if err != nil {
			return Connection{}, err
		}
		r.Base = &base
		if len(fieldsBetween(&base, &c)) == 0 {
			if staged {
				err = g.undo(ctx, c.ID)
			}
			return c, err
		}
	}
	if err := g.put(ctx, r); err != nil {
		return Connection{}, err
	}
	if staged && old.Next != nil {
		_ = g.s.releaseFor(ctx, *old.Next, "") // Orphans finds it later, should this fail
	}
	return c, nil
}

// rebase is the version that a change leading to c is made from: what is saved now.
// Only a conflict that is there already, and that c does not touch, stays one.
func (g *Stage) rebase(ctx context.Context, old stagedRecord, was, c Connection) (Connection, error) {
	saved, err := g.s.Get(ctx, c.ID)
	if errors.Is(err, ErrNotFound) && old.Base != nil {
		return *old.Base, nil // deleted elsewhere, which Commit tells
	}
	if err != nil || old.Base == nil {
		return saved, err
	}
	_, conflicts := mergeStaged(*old.Base, *old.Next, saved)
	base := saved.clone()
	for _, f := range stagedFields {
		if slices.Contains(conflicts, f.name) && f.same(&was, &c) {
			f.copy(&base, old.Base)
		}
	}
	return base, nil
}

// Rename stages another name. Errors as Update.
func (g *Stage) Rename(ctx context.Context, nameOrID, name string) (Connection, error) {
	return g.Update(ctx, nameOrID, func(c *Connection) error {
		c.Name = name
		return nil
	})
}

// Delete stages the deletion of a connection; a new one that was never saved is gone
// at once, with the secrets that only it used. Errors as Store.Delete.
func (g *Stage) Delete(ctx context.Context, nameOrID string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	c, err := g.get(ctx, nameOrID)
	if err != nil {
		return err
	}
	if r, ok := g.list[c.ID]; ok && r.Base == nil {
		return g.undo(ctx, c.ID)
	}
	saved, err := g.s.Get(ctx, c.ID)
	if errors.Is(err, ErrNotFound) {
		return g.undo(ctx, c.ID)
	}
	if err != nil {
		return err
	}
	old := g.list[c.ID]
	if err := g.put(ctx, stagedRecord{Version: stageVersion, At: g.s.o.Now(), Base: &saved}); err != nil {
		return err
	}
	if old.Next != nil {
		_ = g.s.releaseFor(ctx, *old.Next, "")
	}
	return nil
}
