package connections

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"filippo.io/age"
	"github.com/oklog/ulid/v2"
)

// Options say where a store is and what it may use of the world outside.
type Options struct {
	Dir        string                                                   // the state directory; made at the first write
	Now        func() time.Time                                         // the clock, nil = the system's
	Rand       io.Reader                                                // for ids, nil = the system's; must be safe for concurrent use
	Getenv     func(string) string                                      // nil = nothing is set
	Keychain   Keychain                                                 // of the operating system, nil = none
	Passphrase func(ctx context.Context, confirm bool) (Secret, error)  // asks the user, twice if confirm; called again (3 times at most) where the answer is wrong; nil = nobody to ask
	ScryptLogN int                                                      // work factor of a new passphrase-protected identity, 0 = that of age
	Exec       func(ctx context.Context, argv []string) ([]byte, error) // runs an exec: command and returns its standard output; nil = really run it, without c2conn's own secrets in its environment
}

// Keychain keeps small texts for this user. A Get of what is not there returns
// an error that wraps ErrNoEntry. An implementation must not hang.
type Keychain interface {
	Get(ctx context.Context, account string) (string, error)
	Set(ctx context.Context, account, value string) error
	Delete(ctx context.Context, account string) error
}

// Store keeps connections and secrets under one directory. It may be used by
// many goroutines and processes at once.
type Store struct {
	o         Options
	disk      disk
	lockLimit time.Duration

	connections string // directory
	temps       string
	previous    string
	secrets     string
	secretTemps string
	staged      string
	stageTemps  string

	mu       sync.Mutex
	identity age.Identity // once opened, so that a passphrase is asked for once
	opening  *opening     // under way; others wait for it
	refusal  refusal      // the last passphrase that was wrong
	waiting  func()       // tells the tests that somebody waits; nil in production
}

const (
	intentName   = ".rename"
	tempsName    = ".tmp"
	previousName = ".previous"
)

// Open returns the store under o.Dir. It reads and creates nothing yet.
func Open(o Options) (*Store, error) {
	if o.Dir == "" {
		return nil, errors.New("opening the store: no directory was given")
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	o.Dir = dir
	if o.Now == nil {
		o.Now = time.Now //nolint:forbidigo // for importers that bring no clock
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.Getenv == nil {
		o.Getenv = func(string) string { return "" }
	}
	if o.Exec == nil {
		o.Exec = runCommand(os.Environ) //nolint:forbidigo // what a command finds in its environment is not ours to choose
	}
	s := &Store{o: o, lockLimit: lockLimit}
	s.connections = filepath.Join(dir, "connections")
	s.temps = filepath.Join(s.connections, tempsName)
	s.previous = filepath.Join(s.connections, previousName)
	s.secrets = filepath.Join(dir, "secrets")
	s.secretTemps = filepath.Join(s.secrets, tempsName)
	s.staged = filepath.Join(dir, stageName)
	s.stageTemps = filepath.Join(s.staged, tempsName)
	s.disk.owner = func(f facts) int { return f.uid }
	s.disk.me = os.Geteuid()
	s.disk.temp = tempNames(func() string {
		// Only the name of a temporary file: a failing source of randomness must not matter.
		id, _ := s.newID()
		return id
	})
	return s, nil
}

// Dir returns the state directory, absolute.
func (s *Store) Dir() string { return s.o.Dir }

// Path returns the file in which a connection of that name is kept.
func (s *Store) Path(name string) string { return filepath.Join(s.connections, fileName(name)) }

func (s *Store) newID() (string, error) {
	id, err := ulid.New(ulid.Timestamp(s.o.Now()), s.o.Rand)
	if err != nil {
		return "", fmt.Errorf("making an id: %w", err)
	}
	return id.String(), nil
}

// Get returns a connection by its name, in any case, or by its id. Errors:
// ErrNotFound, *DamagedError, *NewerSchemaError, *PermissionError.
func (s *Store) Get(ctx context.Context, nameOrID string) (Connection, error) {
	c, _, _, err := s.find(ctx, nameOrID)
	return c, err
}

// version is what a file held when it was read.
type version struct {
	file string // name in the directory of connections
	data []byte
	info fs.FileInfo
}

// find reads a connection. By name it opens that one file only.
func (s *Store) find(ctx context.Context, nameOrID string) (Connection, version, string, error) {
	none := func(err error) (Connection, version, string, error) { return Connection{}, version{}, "", err }
	if err := ctx.Err(); err != nil {
		return none(context.Cause(ctx))
	}
	if err := s.checkDirs(s.connections); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return none(notFound(nameOrID))
		}
		return none(err)
	}
	if ValidName(nameOrID) == nil {
		file := fileName(nameOrID)
		c, v, err := s.load(file)
		switch {
		case err == nil && !s.renamedAway(file, c.ID):
			return c, v, file, nil
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return none(fmt.Errorf("connection %q: %w", nameOrID, err))
		}
	}
	id := strings.ToUpper(nameOrID)
	if !validID(id) {
		return none(notFound(nameOrID))
	}
	entries, err := s.List(ctx)
	if err != nil {
		return none(err)
	}
	for _, e := range entries {
		if e.Err == nil && e.Connection.ID == id {
			file := filepath.Base(e.Path)
			c, v, err := s.load(file)
			if err != nil {
				return none(fmt.Errorf("connection %q: %w", nameOrID, err))
			}
			return c, v, file, nil
		}
	}
	return none(notFound(nameOrID))
}

func notFound(nameOrID string) error {
	return fmt.Errorf("there is no connection %q: %w", clean(nameOrID), ErrNotFound)
}

// load reads and checks one file of the directory of connections.
func (s *Store) load(file string) (Connection, version, error) {
	path := filepath.Join(s.connections, file)
	data, info, err := s.disk.read(path)
	if err != nil {
		return Connection{}, version{}, err
	}
	c, err := ParseConnection(path, data)
	if err == nil && fileName(c.Name) != file {
		// Two files could otherwise claim one name.
		line := 0
		if root, _, err := parseMapping(data); err == nil {
			line = lineOf(root, &FieldError{Field: "name"})
		}
		err = &DamagedError{Path: path, Line: line,
			Err: fmt.Errorf("the connection in it is called %q, which belongs in the file %s", c.Name, fileName(c.Name))}
	}
	return c, version{file: file, data: data, info: info}, err
}

// checkDirs tells whether the state directory and dir below it can be trusted.
// The error wraps fs.ErrNotExist where there is nothing yet.
func (s *Store) checkDirs(dir string) error {
	info, err := os.Stat(s.o.Dir) // a link to it is the user's own choice
	if err != nil {
		return dirError(err, s.o.Dir)
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a directory; choose another with C2CONN_HOME", s.o.Dir)
	}
	// Reading the names in it is harmless, replacing them is not.
	if err := s.disk.private(s.o.Dir, factsOf(info), 0o022); err != nil {
		return err
	}
	if info, err = os.Lstat(dir); err != nil {
		return dirError(err, dir)
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a directory (a link is not followed); move it away", dir)
	}
	return s.disk.private(dir, factsOf(info), 0o077)
}

func dirError(err error, dir string) error {
	err = fileError(err, dir)
	var p *PermissionError
	if errors.As(err, &p) {
		p.Dir = true
	}
	return err
}

// begin readies dir for a write by this process alone: makes it, locks it,
// and tidies up what a killed writer left behind.
func (s *Store) begin(ctx context.Context, dir string, below ...string) (unlock func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	for _, d := range append([]string{dir}, below...) {
		if err := s.disk.mkdir(d); err != nil {
			return nil, err
		}
	}
	if err := s.checkDirs(dir); err != nil {
		return nil, err
	}
	unlock, err = s.lock(ctx, dir)
	if err != nil {
		return nil, err
	}
	temps := filepath.Join(dir, tempsName)
	left, err := os.ReadDir(temps)
	if err != nil {
		unlock()
		return nil, dirError(err, temps)
	}
	for _, e := range left {
		if err := s.disk.remove(filepath.Join(temps, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			unlock()
			return nil, err
		}
	}
	return unlock, nil
}
