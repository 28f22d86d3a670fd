package connections

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	stageName    = "staged"
	stageEnding  = ".json"
	stageVersion = 1
	ownerName    = ".owner"
	pidName      = ".pid"
)

// stagedRecord is one staged change, a file each under the connection's id. Base is
// the version it was made from, nil for a new connection; Next the version it leads
// to, nil for a deletion.
type stagedRecord struct {
	Version int         `json:"version"`
	At      time.Time   `json:"at"`
	Base    *Connection `json:"base,omitempty"`
	Next    *Connection `json:"next,omitempty"`
}

func (r stagedRecord) id() string {
	if r.Next != nil {
		return r.Next.ID
	}
	return r.Base.ID
}

// refs are the saved secrets that must not go while the change is staged.
func (r stagedRecord) refs() (list []Ref) {
	for _, c := range []*Connection{r.Base, r.Next} {
		if c != nil {
			list = append(list, c.Credential.Secret, c.Credential.Password, c.LegacyAdmin.Password)
		}
	}
	return list
}

// parseStaged reads one staged change. path is only used in errors, which are
// *DamagedError or *NewerSchemaError.
func parseStaged(path string, data []byte) (stagedRecord, error) {
	damaged := func(err error) (stagedRecord, error) {
		return stagedRecord{}, &DamagedError{Path: path, Err: err}
	}
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(data, &head); err != nil || head.Version < 1 {
		return damaged(errors.New("it is no staged change"))
	}
	if head.Version > stageVersion {
		return stagedRecord{}, &NewerSchemaError{Path: path, Found: head.Version}
	}
	var r stagedRecord
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return damaged(errors.New("it is no staged change that this version understands"))
	}
	if r.Base == nil && r.Next == nil {
		return damaged(errors.New("it changes nothing"))
	}
	for _, c := range []*Connection{r.Base, r.Next} {
		if c == nil {
			continue
		}
		*c = c.normalised()
		if err := c.Validate(); err != nil {
			return damaged(err)
		}
		if !validID(c.ID) || c.ID != r.id() {
			return damaged(errors.New("its versions have different ids"))
		}
	}
	return r, nil
}

// readStaged reads all staged changes; without the directory there are none.
func (s *Store) readStaged(ctx context.Context) (map[string]stagedRecord, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	list := map[string]stagedRecord{}
	if err := s.checkDirs(s.staged); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return list, nil
		}
		return nil, err
	}
	files, err := os.ReadDir(s.staged)
	if err != nil {
		return nil, dirError(err, s.staged)
	}
	for _, f := range files {
		id, ok := strings.CutSuffix(f.Name(), stageEnding)
		if !ok || f.Name()[0] == '.' {
			continue
		}
		path := filepath.Join(s.staged, f.Name())
		data, _, err := s.disk.read(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // saved or undone since
		}
		if err != nil {
			return nil, err
		}
		r, err := parseStaged(path, data)
		if err == nil && r.id() != id {
			err = &DamagedError{Path: path, Err: errors.New("it belongs to another id")}
		}
		if err != nil {
			return nil, err
		}
		list[id] = r
	}
	return list, nil
}

// stagedRefs are the saved secrets that staged changes, but for that of one id, refer to.
func (s *Store) stagedRefs(ctx context.Context, except string) (map[Ref]bool, error) {
	list, err := s.readStaged(ctx)
	if err != nil {
		return nil, err
	}
	used := map[Ref]bool{}
	for id, r := range list {
		if id == except {
			continue
		}
		for _, ref := range r.refs() {
			used[ref] = true
		}
	}
	return used, nil
}

// put writes a change to disk; only then it counts.
func (g *Stage) put(ctx context.Context, r stagedRecord) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("staging a change: %w", err)
	}
	unlock, err := g.s.begin(ctx, g.s.staged, g.s.stageTemps)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := g.s.disk.replace(g.path(r.id()), g.s.stageTemps, append(data, '\n')); err != nil {
		return fmt.Errorf("staging a change: %w", err)
	}
	g.list[r.id()] = r
	return nil
}

// drop takes a change back, or away once it is saved.
func (g *Stage) drop(ctx context.Context, id string) error {
	unlock, err := g.s.begin(ctx, g.s.staged, g.s.stageTemps)
	if err != nil {
		return err
	}
	defer unlock()
	if err := g.s.disk.remove(g.path(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("taking a staged change away: %w", err)
	}
	delete(g.list, id)
	return g.s.disk.syncDir(g.s.staged)
}

func (g *Stage) path(id string) string { return filepath.Join(g.s.staged, id+stageEnding) }

// StageBusyError says that another program has the staged changes open.
type StageBusyError struct {
	PID int // of that program; 0 where it is not known
}

// Error says who has them.
func (e *StageBusyError) Error() string {
	who := "another c2conn manage"
	if e.PID > 0 {
		who += " (process " + strconv.Itoa(e.PID) + ")"
	}
	return who + " is open and has the staged changes; close it first, or go on in that one"
}

// own makes this process the only one with the staged changes.
func (s *Store) own() (release func(), err error) {
	for _, dir := range []string{s.staged, s.stageTemps} {
		if err := s.disk.mkdir(dir); err != nil {
			return nil, err
		}
	}
	if err := s.checkDirs(s.staged); err != nil {
		return nil, err
	}
	l := newLock(filepath.Join(s.staged, ownerName))
	ok, err := l.TryLock()
	pid := filepath.Join(s.staged, pidName)
	if err != nil || !ok {
		_ = l.Close()
		if err != nil {
			return nil, fileError(err, s.staged)
		}
		data, _, _ := s.disk.read(pid)
		n, _ := strconv.Atoi(strings.TrimSpace(string(data)))
		return nil, &StageBusyError{PID: n}
	}
	// Only a name to tell the user: that it is missing or old does no harm.
	_, _ = s.disk.replace(pid, s.stageTemps, []byte(strconv.Itoa(os.Getpid())+"\n"))
	return func() { _ = l.Close() }, nil
}
