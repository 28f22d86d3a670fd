package registration

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/c2conn/c2conn/internal/atomicfile"
	"github.com/c2conn/c2conn/internal/progress"
)

const (
	lockEnding = ".lock"
	lockPoll   = 50 * time.Millisecond
)

// BusyError is a run that another c2conn is working on at this moment.
type BusyError struct{ Run string }

func (e *BusyError) Error() string {
	return fmt.Sprintf("another c2conn is working on the registration %s at this moment; wait until it has ended", e.Run)
}

// ErrNotAlone means that another program has what Alone gives.
var ErrNotAlone = errors.New("another c2conn apply is at work on this computer")

// Alone gives one program at a time, until unlock, the right to register what many
// connections need: two that had the same plan would register everything twice. It does
// not wait. Where no lock can be made there is no place for a journal either, and nothing
// is registered: that is no error. Errors: ErrNotAlone.
func (r *Registrar) Alone() (unlock func(), err error) {
	if r.folder() != nil {
		return func() {}, nil
	}
	l := newLock(r.dir, "apply")
	ok, err := l.TryLock()
	if err == nil && !ok {
		_ = l.Close()
		return nil, ErrNotAlone
	}
	return func() { _ = l.Close() }, nil
}

func newLock(dir, name string) *flock.Flock {
	return flock.New(filepath.Join(dir, name+lockEnding), flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(0o600))
}

// hold takes the lock of a run, which this process then has until drop: the
// system gives it back however the process ends.
func (r *Registrar) hold(run string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held[run] != nil {
		return nil
	}
	if err := r.folder(); err != nil {
		return err
	}
	l := newLock(r.dir, run)
	ok, err := l.TryLock()
	if err != nil {
		_ = l.Close()
		return fmt.Errorf("the lock of the registration %s: %w", run, err)
	}
	if !ok {
		_ = l.Close()
		return &BusyError{Run: run}
	}
	r.held[run] = l
	return nil
}

// drop gives the lock of a run back; gone also removes its file.
func (r *Registrar) drop(run string, gone bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l := r.held[run]; l != nil {
		_ = l.Close()
		delete(r.held, run)
	}
	if gone {
		// Whoever opened it in between finds no journal after locking it.
		_ = os.Remove(filepath.Join(r.dir, run+lockEnding))
	}
}

// folder makes the folder of journals and tells whether it can be trusted.
func (r *Registrar) folder() error {
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return fmt.Errorf("the folder of journals cannot be made: %w", err)
	}
	return trusted(r.dir)
}

// lockTenant lets one registration at a time change a tenant from this computer.
// waited tells that another one was under way before.
func (r *Registrar) lockTenant(ctx context.Context, tenant string) (unlock func(), waited bool, err error) {
	l := newLock(r.dir, "tenant-"+strings.ToLower(tenant))
	ok, err := l.TryLock()
	if err == nil && !ok {
		waited = true
		progress.Report(ctx, progress.Update{Text: "Another c2conn is registering an application in this tenant; waiting until it has ended"})
		// Real time: the other process has no other.
		ok, err = l.TryLockContext(ctx, lockPoll)
	}
	if err != nil || !ok {
		_ = l.Close()
		if ctx.Err() != nil {
			return nil, waited, context.Cause(ctx)
		}
		return nil, waited, fmt.Errorf("the lock of the tenant: %w", err)
	}
	return func() { _ = l.Close() }, waited, nil
}

// forget removes the journal of a run and its lock.
func (r *Registrar) forget(run string) error {
	err := os.Remove(filepath.Join(r.dir, run+journalEnding))
	if err == nil {
		err = atomicfile.SyncFolder(r.dir)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the journal of the registration %s cannot be removed: %w", run, err)
	}
	left, _ := filepath.Glob(filepath.Join(r.dir, "."+run+journalEnding+".*")) // a killed process's half-written file
	for _, path := range left {
		_ = os.Remove(path)
	}
	r.drop(run, true)
	return nil
}
