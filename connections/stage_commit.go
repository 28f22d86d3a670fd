package connections

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Keep settles a conflict of a staged change, found as by Revert, in its favour: what
// was saved elsewhere in the same fields is overwritten by the next Commit, and a
// connection that was deleted elsewhere is made anew. Errors: ErrNotFound, those of Get.
func (g *Stage) Keep(ctx context.Context, nameOrID string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	id := g.find(nameOrID)
	if id == "" {
		return fmt.Errorf("a staged change of %q: %w", clean(nameOrID), ErrNotFound)
	}
	r := g.list[id]
	if r.Base == nil {
		return nil
	}
	saved, err := g.s.Get(ctx, id)
	switch {
	case errors.Is(err, ErrNotFound) && r.Next != nil:
		r.Base = nil
	case err != nil:
		return err
	case r.Next == nil:
		r.Base = &saved
	default:
		merged, _ := mergeStaged(*r.Base, *r.Next, saved)
		r.Base, r.Next = &saved, &merged
	}
	r.At = g.s.o.Now()
	return g.put(ctx, r)
}

// Conflicts lists the staged changes that could not be saved now, by name.
func (g *Stage) Conflicts(ctx context.Context) ([]*ConflictError, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.list) == 0 {
		return nil, nil
	}
	entries, err := g.s.List(ctx)
	if err != nil {
		return nil, err
	}
	saved := byID(entries)
	var list []*ConflictError
	for _, c := range changes(g.list) {
		now, there := saved[c.ID]
		if there || !c.Deleted {
			if e := conflictOf(g.list[c.ID], now, there); e != nil {
				list = append(list, e)
			}
		}
	}
	return list, nil
}

// conflictOf tells what stands against saving a change over now.
func conflictOf(r stagedRecord, now Connection, there bool) *ConflictError {
	e := &ConflictError{Name: r.change().Name}
	switch {
	case r.Base == nil:
		return nil
	case !there:
		e.Gone = true
	case r.Next == nil:
		e.Delete = true
		for _, f := range stagedFields {
			if !f.fact && !f.same(r.Base, &now) {
				e.Fields = append(e.Fields, f.name)
			}
		}
	default:
		_, e.Fields = mergeStaged(*r.Base, *r.Next, now)
	}
	if !e.Gone && len(e.Fields) == 0 {
		return nil
	}
	return e
}

// Commit saves the staged changes over what is saved now, field by field: what another
// program changed elsewhere in a connection stays. Each connection is saved as a whole
// or not at all; one that cannot be saved stays staged and does not hinder the others.
// It returns how many were saved and the errors of the rest, joined: *ConflictError and
// those of Store.Add, Update and Delete. After a crash in the middle the rest is staged.
func (g *Stage) Commit(ctx context.Context) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	done := 0
	rest := g.ordered()
	var unfinished []error // saved, but for what is tidied up afterwards
	for {
		var errs []error
		var failed []stagedRecord
		for _, r := range rest {
			if ctx.Err() != nil {
				return done, errors.Join(append(unfinished, context.Cause(ctx))...)
			}
			if err := g.save(ctx, r); err != nil {
				errs, failed = append(errs, err), append(failed, r)
				continue
			}
			done++
			if err := g.finish(context.WithoutCancel(ctx), r); err != nil {
				unfinished = append(unfinished, err)
			}
		}
		// One may have waited for another, as for the mailbox of a migration target.
		if len(failed) == 0 || len(failed) == len(rest) {
			return done, errors.Join(append(unfinished, errs...)...)
		}
		rest = failed
	}
}

// ordered gives deletions first, as they make names free, and new ones last.
func (g *Stage) ordered() []stagedRecord {
	rank := func(c Change) int {
		switch {
		case c.Deleted:
			return 0
		case c.Added:
			return 2
		}
		return 1
	}
	list := changes(g.list)
	slices.SortStableFunc(list, func(a, b Change) int { return rank(a) - rank(b) })
	records := make([]stagedRecord, len(list))
	for i, c := range list {
		records[i] = g.list[c.ID]
	}
	return records
}

func (g *Stage) save(ctx context.Context, r stagedRecord) error {
	switch {
	case r.Base == nil:
		if now, err := g.s.Get(ctx, r.id()); err == nil && now.ID == r.id() {
			return nil // an attempt that failed late has saved it all the same
		}
		_, err := g.s.Add(ctx, *r.Next)
		return err
	case r.Next == nil:
		err := g.s.deleteIf(ctx, r.id(), func(now Connection) error { return asError(conflictOf(r, now, true)) })
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		return err
	}
	_, err := g.s.Update(ctx, r.id(), func(now *Connection) error {
		if err := asError(conflictOf(r, *now, true)); err != nil {
			return err
		}
		*now, _ = mergeStaged(*r.Base, *r.Next, *now)
		return nil
	})
	if errors.Is(err, ErrNotFound) {
		return asError(conflictOf(r, Connection{}, false))
	}
	return err
}

func asError(e *ConflictError) error {
	if e == nil {
		return nil
	}
	return e
}

// Discard throws all staged changes away, and the secrets that only they referred to.
// What cannot be thrown away stays staged, with the error.
func (g *Stage) Discard(ctx context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	var errs []error
	for _, r := range g.ordered() {
		errs = append(errs, g.undo(ctx, r.id()))
	}
	return errors.Join(errs...)
}

// Revert undoes the staged change of one connection, by its staged or its saved name
// or its id. Errors: ErrNotFound where nothing is staged for it, ErrExists where its
// saved name has been given to another meanwhile.
func (g *Stage) Revert(ctx context.Context, nameOrID string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	id := g.find(nameOrID)
	if id == "" {
		return fmt.Errorf("a staged change of %q: %w", clean(nameOrID), ErrNotFound)
	}
	if base := g.list[id].Base; base != nil {
		for other, r := range g.list {
			if other != id && r.Next != nil && fold(r.Next.Name) == fold(base.Name) {
				return fmt.Errorf("the name %q %w among the staged changes; rename or undo that one first", base.Name, ErrExists)
			}
		}
	}
	return g.undo(ctx, id)
}

func (g *Stage) find(nameOrID string) string {
	for _, c := range changes(g.list) {
		if fold(c.Name) == fold(nameOrID) || fold(c.Was) == fold(nameOrID) || fold(c.ID) == fold(nameOrID) {
			return c.ID
		}
	}
	return ""
}

// undo takes a change back, and then what was kept for it alone: a secret without a
// change harms nobody.
func (g *Stage) undo(ctx context.Context, id string) error {
	r := g.list[id]
	if err := g.drop(ctx, id); err != nil {
		return err
	}
	if r.Next == nil {
		return nil
	}
	return g.s.releaseFor(ctx, *r.Next, "")
}
