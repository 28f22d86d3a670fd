package connections

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

const (
	lockName  = ".lock"
	lockLimit = 30 * time.Second     // then another writer is stuck
	lockPoll  = 3 * time.Millisecond // a write takes a few milliseconds
)

// lock lets one writer at a time into dir, among all processes. The lock goes
// with the process that holds it, however it ends.
func (s *Store) lock(ctx context.Context, dir string) (unlock func(), err error) {
	path := filepath.Join(dir, lockName)
	limited, cancel := context.WithTimeout(ctx, s.lockLimit)
	defer cancel()
	l := newLock(path)
	ok, err := l.TryLockContext(limited, lockPoll)
	switch {
	case ok:
		return func() { _ = l.Close() }, nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, context.DeadlineExceeded) || err == nil:
		return nil, &LockedError{Path: path, Waited: s.lockLimit}
	}
	return nil, fileError(err, path)
}

// tryLock is lock without waiting.
func (s *Store) tryLock(dir string) (unlock func(), ok bool) {
	l := newLock(filepath.Join(dir, lockName))
	if ok, err := l.TryLock(); !ok || err != nil {
		_ = l.Close()
		return nil, false
	}
	return func() { _ = l.Close() }, true
}

func newLock(path string) *flock.Flock {
	return flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDWR|noFollow), flock.SetPermissions(fileMode))
}
