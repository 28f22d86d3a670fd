package connections

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// AccountTakenError says that a mailbox already serves a migration target: the
// product takes one mailbox for one target connection only.
type AccountTakenError struct {
	Account string // the mailbox
	By      string // name of the connection that has it
}

// Error says which connection has the mailbox and what to do.
func (e *AccountTakenError) Error() string {
	return fmt.Sprintf("the mailbox %s already serves the migration target %q, and one mailbox cannot serve two; use the mailbox of another user, or edit or delete that connection",
		clean(e.Account), clean(e.By))
}

// TargetOf returns the migration target that uses a mailbox, spelled in any case.
// Errors: ErrNotFound where the mailbox is free; that of a damaged file where
// nobody can tell, because the file may be a migration target.
func (s *Store) TargetOf(ctx context.Context, account string) (Connection, error) {
	entries, err := s.List(ctx)
	if err != nil {
		return Connection{}, err
	}
	return s.targetIn(entries, account)
}

func (s *Store) targetIn(entries []Entry, account string) (Connection, error) {
	c, taken, err := s.targetOf(entries, Connection{Account: account})
	if err != nil {
		return Connection{}, err
	}
	if !taken {
		return Connection{}, fmt.Errorf("a migration target with the mailbox %s: %w", clean(account), ErrNotFound)
	}
	return c, nil
}

// mailbox is what two spellings of one account have in common.
func mailbox(account string) string { return fold(strings.TrimSpace(account)) }

// sameMailbox reports whether two connections name one mailbox: by its address, or by
// the id of its user, which all its addresses share.
func sameMailbox(a, b Connection) bool {
	return mailbox(a.Account) == mailbox(b.Account) || a.AccountID != "" && strings.EqualFold(a.AccountID, b.AccountID)
}

// targetOf looks for a migration target, other than of itself, that uses its mailbox.
func (s *Store) targetOf(entries []Entry, of Connection) (Connection, bool, error) {
	for i := range entries {
		c := &entries[i].Connection
		if entries[i].Err == nil && c.Kind == MigrationTarget && (of.ID == "" || c.ID != of.ID) && sameMailbox(*c, of) {
			return *c, true, nil
		}
	}
	for _, e := range entries {
		if e.Err != nil && s.mayBeTarget(e.Path) {
			return Connection{}, false, fmt.Errorf("whether the mailbox %s already serves a migration target cannot be told: %w", clean(of.Account), e.Err)
		}
	}
	return Connection{}, false, nil
}

// mayBeTarget tells whether a file that cannot be used could be a migration target
// once it is mended. Only a kind that is plainly another one rules it out.
func (s *Store) mayBeTarget(path string) bool {
	data, _, err := s.disk.read(path)
	if err != nil {
		return true
	}
	root, _, err := parseMapping(data)
	if err != nil {
		return true
	}
	schema := 0
	if n := child(root, "schema"); n == nil || n.Decode(&schema) != nil || schema > SchemaVersion {
		return true // a later version may mean something else by its fields
	}
	kind := child(root, "kind")
	return kind == nil || Kind(kind.Value) == MigrationTarget || !slices.Contains(Kinds(), Kind(kind.Value))
}

// checkTarget refuses a second migration target for one mailbox. Only where c
// becomes such a target, or changes its mailbox, the others are looked at: neither a
// double made by hand nor the id that a verification fills in must keep the
// verification from being saved. was is the zero Connection for a new one. The caller
// holds the lock.
func (s *Store) checkTarget(ctx context.Context, was, c Connection) error {
	return s.checkTargetBut(ctx, was, c, "")
}

// checkTargetBut is checkTarget where c replaces a file that may be damaged, and is not
// in its own way.
func (s *Store) checkTargetBut(ctx context.Context, was, c Connection, file string) error {
	if c.Kind != MigrationTarget || was.Kind == MigrationTarget && !movesMailbox(was, c) {
		return nil
	}
	entries, err := s.list(ctx, true)
	if err != nil {
		return err
	}
	entries = slices.DeleteFunc(entries, func(e Entry) bool { return filepath.Base(e.Path) == file })
	other, taken, err := s.targetOf(entries, c)
	if taken {
		err = &AccountTakenError{Account: c.Account, By: other.Name}
	}
	if err != nil {
		return fmt.Errorf("connection %q: %w", c.Name, err)
	}
	return nil
}

// movesMailbox reports whether a change leads to another mailbox. That an id becomes
// known, or is forgotten, does not.
func movesMailbox(was, c Connection) bool {
	return mailbox(was.Account) != mailbox(c.Account) ||
		was.AccountID != "" && c.AccountID != "" && !strings.EqualFold(was.AccountID, c.AccountID)
}
