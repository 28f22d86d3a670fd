package connections

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// beginConnections locks the connections and finishes an interrupted rename.
func (s *Store) beginConnections(ctx context.Context) (unlock func(), err error) {
	unlock, err = s.begin(ctx, s.connections, s.temps, s.previous)
	if err != nil {
		return nil, err
	}
	if err := s.finishRename(); err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

// Add saves a new connection and returns it with its ID, Schema, Created and
// Updated filled in. It does not read the other connections, unless c brings
// its own ID or is a migration target. Errors: ErrExists, *AccountTakenError,
// that of a damaged file that may be another target of the same mailbox, those of
// Validate, *PermissionError, *FullError, *LockedError.
func (s *Store) Add(ctx context.Context, c Connection) (Connection, error) {
	given := c.ID != ""
	c.Schema = SchemaVersion
	if !given {
		id, err := s.newID()
		if err != nil {
			return Connection{}, err
		}
		c.ID = id
	}
	c.Created = s.o.Now()
	c.Updated = c.Created
	c = c.normalised()
	if err := c.Validate(); err != nil {
		return Connection{}, fmt.Errorf("connection %q: %w", clean(c.Name), err)
	}
	data, err := render(c, nil)
	if err != nil {
		return Connection{}, err
	}
	unlock, err := s.beginConnections(ctx)
	if err != nil {
		return Connection{}, err
	}
	defer unlock()
	if err := s.free(c.Name); err != nil {
		return Connection{}, err
	}
	if given {
		if err := s.freeID(ctx, c.ID); err != nil {
			return Connection{}, err
		}
	}
	if err := s.checkTarget(ctx, Connection{}, c); err != nil {
		return Connection{}, err
	}
	file := fileName(c.Name)
	info, err := s.disk.replace(filepath.Join(s.connections, file), s.temps, data)
	if err != nil {
		return Connection{}, fmt.Errorf("saving connection %q: %w", c.Name, err)
	}
	s.noteInIndex(file, info, c)
	return c, nil
}

// free tells whether nothing, not even a damaged file, has that name.
func (s *Store) free(name string) error {
	path := s.Path(name)
	_, err := os.Lstat(path)
	switch {
	case err == nil:
		return fmt.Errorf("a connection %q %w (%s); choose another name", name, ErrExists, path)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	}
	return fileError(err, path)
}

func (s *Store) freeID(ctx context.Context, id string) error {
	entries, err := s.list(ctx, true)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Err == nil && e.Connection.ID == id {
			return fmt.Errorf("a connection with the id %s %w: %q", id, ErrExists, e.Connection.Name)
		}
	}
	return nil
}

// Update changes a connection, found by name or id, and returns it as saved.
// change runs while other writers wait, so it must be quick; what it does to
// ID, Schema, Created and Updated is undone, a new Name renames, and with a new
// Account an AccountID that stays as it was is dropped. Comments
// and unknown fields of the file stay; the previous version is kept. Errors:
// that of change, ErrNotFound, ErrExists, ErrChanged, those of Validate and Get;
// as for Add where it becomes a migration target or changes the mailbox of one.
func (s *Store) Update(ctx context.Context, nameOrID string, change func(*Connection) error) (Connection, error) {
	if _, err := s.Get(ctx, nameOrID); err != nil {
		return Connection{}, err // before anything is created
	}
	unlock, err := s.beginConnections(ctx)
	if err != nil {
		return Connection{}, err
	}
	defer unlock()
	p, err := s.changed(ctx, nameOrID, change)
	if err != nil {
		return Connection{}, err
	}
	info, err := s.write(p.c.ID, p.old, p.to, p.data)
	if err != nil {
		return Connection{}, fmt.Errorf("saving connection %q: %w", p.c.Name, err)
	}
	s.noteInIndex(p.to, info, p.c)
	return p.c, nil
}

// pending is a change that was checked and is not on the disk yet.
type pending struct {
	c    Connection
	old  version
	to   string // its file
	data []byte
}

// changed lets change have a connection and checks what came of it. The caller holds
// the lock.
func (s *Store) changed(ctx context.Context, nameOrID string, change func(*Connection) error) (pending, error) {
	was, old, file, err := s.find(ctx, nameOrID)
	if err != nil {
		return pending{}, err
	}
	c := was.clone()
	if err := change(&c); err != nil {
		return pending{}, err
	}
	c.ID, c.Schema, c.Created, c.Updated = was.ID, SchemaVersion, was.Created, s.o.Now()
	if mailbox(c.Account) != mailbox(was.Account) && c.AccountID == was.AccountID {
		c.AccountID = "" // that of another account
	}
	c = c.normalised()
	if err := c.Validate(); err != nil {
		return pending{}, fmt.Errorf("connection %q: %w", clean(c.Name), err)
	}
	data, err := render(c, old.data)
	if err != nil {
		return pending{}, err
	}
	to := fileName(c.Name)
	if to != file {
		if err := s.free(c.Name); err != nil {
			return pending{}, err
		}
	}
	if err := s.checkTarget(ctx, was, c); err != nil {
		return pending{}, err
	}
	return pending{c: c, old: old, to: to, data: data}, nil
}

// Rename gives a connection, found by name or id, a new name. Errors as Update.
func (s *Store) Rename(ctx context.Context, nameOrID, name string) (Connection, error) {
	return s.Update(ctx, nameOrID, func(c *Connection) error {
		c.Name = name
		return nil
	})
}

// write puts data where version old was, or at another name.
func (s *Store) write(id string, old version, to string, data []byte) (fs.FileInfo, error) {
	if to == old.file {
		if _, err := s.disk.replace(filepath.Join(s.previous, to), s.temps, old.data); err != nil {
			return nil, err
		}
		if err := s.unchanged(old); err != nil {
			return nil, err
		}
		return s.disk.replace(filepath.Join(s.connections, to), s.temps, data)
	}
	return s.move(intent{ID: id, From: old.file, To: to}, old, data)
}

// intent is on disk while a connection moves from one file to another. From
// the moment at which To holds the connection, From no longer counts.
type intent struct {
	ID   string `json:"id"`
	From string `json:"from"`
	To   string `json:"to"`
}

// move writes the new file first and takes the old one away afterwards; the
// intent tells a reader, and the next writer after a crash, which one counts.
func (s *Store) move(i intent, old version, data []byte) (fs.FileInfo, error) {
	note, err := json.Marshal(i)
	if err != nil {
		return nil, fmt.Errorf("noting a rename: %w", err)
	}
	tmp, info, err := s.disk.prepare(filepath.Join(s.connections, i.To), s.temps, data)
	if err != nil {
		return nil, err
	}
	drop := func(err error) (fs.FileInfo, error) {
		_ = os.Remove(tmp)
		_ = os.Remove(filepath.Join(s.connections, intentName))
		return nil, err
	}
	if _, err := s.disk.replace(filepath.Join(s.connections, intentName), s.temps, note); err != nil {
		return drop(err)
	}
	if err := s.unchanged(old); err != nil {
		return drop(err)
	}
	if err := s.disk.rename(tmp, filepath.Join(s.connections, i.To)); err != nil {
		return drop(err)
	}
	if err := s.disk.syncDir(s.connections); err != nil {
		return nil, err
	}
	// The rename has happened. Should the rest fail, the next writer does it.
	_ = s.finishRename()
	return info, nil
}

// unchanged tells whether a file is still what was read, as an editor does not
// ask for our lock.
func (s *Store) unchanged(old version) error {
	path := filepath.Join(s.connections, old.file)
	info, err := os.Lstat(path)
	if err != nil {
		return fileError(err, path)
	}
	if stampOf(info) != stampOf(old.info) {
		return fmt.Errorf("%s was %w in the meantime; nothing was saved, try again", path, ErrChanged)
	}
	return nil
}

func (s *Store) readIntent() (intent, error) {
	data, _, err := s.disk.read(filepath.Join(s.connections, intentName))
	if err != nil {
		return intent{}, err
	}
	return parseIntent(data), nil
}

// parseIntent gives the empty intent, which means nothing, for what is damaged or
// not ours.
func parseIntent(data []byte) intent {
	var i intent
	if err := json.Unmarshal(data, &i); err != nil || !connectionFile(i.From) || !connectionFile(i.To) || !validID(i.ID) {
		return intent{}
	}
	return i
}

// connectionFile tells whether a file of that name can be a connection.
func connectionFile(name string) bool {
	return strings.HasSuffix(name, fileEnding) && name[0] != '.' && !strings.ContainsAny(name, `/\`)
}

// finishRename does what is left of a rename that was cut off. The caller
// holds the lock.
func (s *Store) finishRename() error {
	i, err := s.readIntent()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if i.ID != "" {
		from := filepath.Join(s.connections, i.From)
		if _, err := os.Lstat(from); err == nil && s.holds(i.To, i.ID) && s.holds(i.From, i.ID) {
			if err := s.disk.rename(from, filepath.Join(s.previous, i.From)); err != nil {
				return err
			}
		}
	}
	if err := s.disk.remove(filepath.Join(s.connections, intentName)); err != nil {
		return err
	}
	return s.disk.syncDir(s.connections)
}

func (s *Store) holds(file, id string) bool {
	c, _, err := s.load(file)
	return err == nil && c.ID == id
}

// renamedAway tells whether file is the old one of a rename that has happened.
func (s *Store) renamedAway(file, id string) bool {
	i, err := s.readIntent()
	return err == nil && i.From == file && i.ID == id && s.holds(i.To, id)
}

// Delete removes a connection, found by name or id; its last version is kept
// in the .previous directory. Its secrets stay: see DeleteSecret. Errors:
// ErrNotFound and those of Get, as a damaged file is not deleted.
func (s *Store) Delete(ctx context.Context, nameOrID string) error {
	return s.deleteIf(ctx, nameOrID, func(Connection) error { return nil })
}

// deleteIf is Delete unless allow, which sees what is to be deleted, objects.
func (s *Store) deleteIf(ctx context.Context, nameOrID string, allow func(Connection) error) error {
	if _, err := s.Get(ctx, nameOrID); err != nil {
		return err // before anything is created
	}
	unlock, err := s.beginConnections(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	c, _, file, err := s.find(ctx, nameOrID)
	if err != nil {
		return err
	}
	if err := allow(c); err != nil {
		return err
	}
	if err := s.disk.rename(filepath.Join(s.connections, file), filepath.Join(s.previous, file)); err != nil {
		return fmt.Errorf("deleting connection %q: %w", clean(nameOrID), err)
	}
	if err := s.disk.syncDir(s.connections); err != nil {
		return fmt.Errorf("deleting connection %q: %w", clean(nameOrID), err)
	}
	return s.disk.syncDir(s.previous)
}
