package connections

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
)

// UpdateEach is Update for several connections in one turn at the lock: results and
// errors are in the order of names, which must all be different. Each file is replaced
// as Update does it, atomically and by itself, so a crash in the middle leaves whole
// ones, old or new; what many share, the waits for the disk above all, is paid once.
func (s *Store) UpdateEach(ctx context.Context, names []string, change func(i int, c *Connection) error) ([]Connection, []error) {
	saved, errs := make([]Connection, len(names)), make([]error, len(names))
	fail := func(err error) ([]Connection, []error) {
		for i := range errs {
			errs[i] = errors.Join(errs[i], err)
		}
		return saved, errs
	}
	if err := s.checkDirs(s.connections); err != nil {
		for i, name := range names { // before anything is created
			if _, errs[i] = s.Get(ctx, name); errs[i] == nil {
				errs[i] = err
			}
		}
		return saved, errs
	}
	unlock, err := s.beginConnections(ctx)
	if err != nil {
		return fail(err)
	}
	defer unlock()
	list := make([]pending, len(names))
	var wg sync.WaitGroup
	temps := make([]struct{ old, now prepared }, len(names))
	for i, name := range names {
		p, err := s.changed(ctx, name, func(c *Connection) error { return change(i, c) })
		if list[i], errs[i] = p, err; err != nil || p.to != p.old.file {
			continue
		}
		wg.Go(func() { // the disk takes many writes in the time of one
			if temps[i].old, errs[i] = s.prepare(s.previous, p.to, p.old.data); errs[i] == nil {
				temps[i].now, errs[i] = s.prepare(s.connections, p.to, p.data)
			}
		})
	}
	wg.Wait()
	var records []byte
	for i, p := range list {
		if errs[i] != nil {
			continue
		}
		info := temps[i].now.info
		if p.to != p.old.file {
			info, errs[i] = s.write(p.c.ID, p.old, p.to, p.data) // a rename is a matter of its own
		} else if errs[i] = s.disk.rename(temps[i].old.path, filepath.Join(s.previous, p.to)); errs[i] == nil {
			if errs[i] = s.unchanged(p.old); errs[i] == nil {
				errs[i] = s.disk.rename(temps[i].now.path, filepath.Join(s.connections, p.to))
			}
		}
		if errs[i] != nil {
			errs[i] = fmt.Errorf("saving connection %q: %w", p.c.Name, errs[i])
			continue
		}
		saved[i] = p.c
		records = appendRecord(records, p.to, stampOf(info), p.c)
	}
	s.appendIndex(records)
	for _, dir := range []string{s.previous, s.connections} {
		if err := s.disk.syncDir(dir); err != nil {
			return fail(err)
		}
	}
	return saved, errs // temporary files of what failed go with the next write
}

// prepared is a temporary file that is to become another.
type prepared struct {
	path string
	info fs.FileInfo
}

func (s *Store) prepare(dir, file string, data []byte) (prepared, error) {
	tmp, info, err := s.disk.prepare(filepath.Join(dir, file), s.temps, data)
	return prepared{tmp, info}, err
}
