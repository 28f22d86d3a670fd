package connections

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"
)

// Text returns the file of a connection as it is, for an editor: also one that is
// damaged, which is found by the name that its file name stands for. Errors:
// ErrNotFound, *NewerSchemaError, *PermissionError.
func (s *Store) Text(ctx context.Context, nameOrID string) ([]byte, error) {
	_, v, _, err := s.find(ctx, nameOrID)
	var damaged *DamagedError
	if errors.As(err, &damaged) {
		data, _, err := s.disk.read(filepath.Join(s.connections, fileName(nameOrID)))
		return data, err
	}
	return v.data, err
}

// CheckText tells whether text may replace was, a Text of the connection of that name.
// Errors: *DamagedError with the line, around a *FieldError where a field is to blame.
// What never changes (id, created) must be as it was, as far as was can be read; the id
// of a copied file, which another one has as well, may change.
func (s *Store) CheckText(ctx context.Context, name string, was, text []byte) (Connection, error) {
	path := s.Path(name)
	c, err := ParseConnection(path, text)
	if err != nil {
		return Connection{}, err
	}
	old, damaged := ParseConnection(path, was)
	if damaged != nil {
		old = remains(was)
	}
	fail := func(field, reason string) (Connection, error) {
		line := 0
		wrong := &FieldError{Field: field, Reason: reason}
		if root, _, err := parseMapping(text); err == nil {
			line = lineOf(root, wrong)
		}
		return Connection{}, &DamagedError{Path: path, Line: line, Err: wrong}
	}
	switch {
	case old.ID != "" && c.ID != old.ID && !s.shared(ctx, old.ID, fileName(name)):
		return fail("id", "never changes; it was "+old.ID)
	case !old.Created.IsZero() && !c.Created.Equal(old.Created):
		return fail("created", "never changes; it was "+old.Created.UTC().Format(time.RFC3339))
	case (damaged != nil || c.ID != old.ID) && fileName(c.Name) != fileName(name):
		return fail("name", fmt.Sprintf("must stay %q until the file is mended; then c2conn rename changes it", name))
	}
	return c, nil
}

// shared tells whether another file than this one has the id.
func (s *Store) shared(ctx context.Context, id, file string) bool {
	entries, err := s.List(ctx)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(entries, func(e Entry) bool {
		other := filepath.Base(e.Path)
		return other != file && s.holds(other, id)
	})
}

// remains are the fields that never change, as far as a damaged file tells them.
func remains(data []byte) (c Connection) {
	root, _, err := parseMapping(data)
	if err != nil {
		return c
	}
	decode := func(n *yaml.Node, v any) {
		if n != nil {
			_ = n.Decode(v) // what cannot be read is not known
		}
	}
	decode(child(root, "id"), &c.ID)
	decode(child(root, "created"), &c.Created)
	if !validID(c.ID) {
		c.ID = ""
	}
	return Connection{ID: c.ID, Created: c.Created}.normalised()
}

// PutText replaces the file of a connection, whose Text was was, by text, with its
// comments and its unknown fields; the previous version is kept. change completes the
// connection, with a verification for example, and may be nil; what it does to ID,
// Schema, Name, Created and Updated is undone. Errors: those of CheckText, ErrChanged
// where the file is no longer was, and those of Update.
func (s *Store) PutText(ctx context.Context, name string, was, text []byte, change func(*Connection)) (Connection, error) {
	given, err := s.CheckText(ctx, name, was, text)
	if err != nil {
		return Connection{}, err
	}
	c := given.clone()
	if change != nil {
		change(&c)
	}
	c.ID, c.Schema, c.Name, c.Created, c.Updated = given.ID, SchemaVersion, given.Name, given.Created, s.o.Now()
	c = c.normalised()
	if err := c.Validate(); err != nil {
		return Connection{}, fmt.Errorf("connection %q: %w", clean(c.Name), err)
	}
	data, err := render(c, text)
	if err != nil {
		return Connection{}, err
	}
	unlock, err := s.beginConnections(ctx)
	if err != nil {
		return Connection{}, err
	}
	defer unlock()
	file, to := fileName(name), fileName(c.Name)
	path := filepath.Join(s.connections, file)
	now, info, err := s.disk.read(path)
	if err != nil {
		return Connection{}, err
	}
	if !bytes.Equal(now, was) {
		return Connection{}, fmt.Errorf("%s was %w in the meantime; nothing was saved, edit it again to see how it is now", path, ErrChanged)
	}
	old, damaged := ParseConnection(path, was)
	if damaged != nil {
		old = Connection{}
	}
	if c.ID != old.ID {
		if err := s.freeID(ctx, c.ID); err != nil {
			return Connection{}, err
		}
	}
	if to != file {
		if err := s.free(c.Name); err != nil {
			return Connection{}, err
		}
	}
	if err := s.checkTargetBut(ctx, old, c, file); err != nil {
		return Connection{}, err
	}
	written, err := s.write(c.ID, version{file: file, data: now, info: info}, to, data)
	if err != nil {
		return Connection{}, fmt.Errorf("saving connection %q: %w", c.Name, err)
	}
	s.noteInIndex(to, written, c)
	return c, nil
}
