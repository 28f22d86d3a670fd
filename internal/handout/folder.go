// Package handout gives another program the credential of a connection and takes it
// back: variables quoted for shells, a private folder that does not outlive the
// command, and the command itself. It hides what differs between systems: locks,
// processes that watch over others, and signals.
package handout

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"time"

	"github.com/gofrs/flock"

	"github.com/c2conn/c2conn/connections"
)

const (
	ownerLock = "lock"  // in a folder: held by the process that the folder serves
	rootLock  = ".lock" // beside the folders: held while one is made or removed
	lockLimit = 10 * time.Second
	lockPoll  = 3 * time.Millisecond
	endLimit  = 2 * time.Second // for the watcher to end, which has nothing left to do
)

// folderNames are the names that os.MkdirTemp makes of folderPattern. Nothing else is ever removed.
var folderNames = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^c2conn-exec-[0-9]+$`) })

const folderPattern = "c2conn-exec-*"

// Place says where private folders may lie.
type Place struct {
	Runtime string // XDG_RUNTIME_DIR, which is in memory and ends with the session; "" where there is none
	State   string // c2conn's state directory
}

// Folder is a private folder (0700) that is removed when it is closed, and also when
// the process that made it ends in any other way: a watcher, which lives in a
// session of its own, notices that. What a power cut leaves is removed by the next
// New or Sweep.
type Folder struct {
	Path string

	owner   *flock.Flock
	watcher *watcher
}

// New makes a folder. program and arguments start the watcher, which must call Watch
// with the path that follows the arguments. Errors: *connections.PermissionError,
// *connections.FullError, *connections.LockedError, or why the watcher did not start.
func (p Place) New(ctx context.Context, program string, arguments ...string) (*Folder, error) {
	root, err := p.root()
	if err != nil {
		return nil, err
	}
	unlock, err := lock(ctx, root)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if _, err := sweep(root); err != nil {
		return nil, err
	}
	path, err := os.MkdirTemp(root, folderPattern) // made with mode 0700
	if err != nil {
		return nil, fileError(root, err)
	}
	f := &Folder{Path: path, owner: flock.New(filepath.Join(path, ownerLock), flock.SetPermissions(0o600))}
	if ok, err := f.owner.TryLock(); err != nil || !ok {
		return nil, errors.Join(fileError(path, cmp.Or(err, errors.New("the new folder is locked already"))), f.remove())
	}
	// Before there is anything in the folder.
	if f.watcher, err = startWatcher(program, append(arguments, path)); err != nil {
		return nil, errors.Join(fmt.Errorf("the process that would remove the credential afterwards cannot be started, so nothing was handed out: %w", err), f.remove())
	}
	return f, nil
}

// Write puts a file (0600) into the folder and returns its path.
func (f *Folder) Write(name string, data []byte) (string, error) {
	path := filepath.Join(f.Path, name)
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", fileError(path, err)
	}
	_, err = file.Write(data)
	if e := file.Close(); err == nil {
		err = e
	}
	if err != nil {
		return "", fileError(path, err)
	}
	return path, nil
}

// Close removes the folder and all that is in it.
func (f *Folder) Close() error {
	err := f.remove()
	f.watcher.end()
	return err
}

func (f *Folder) remove() error {
	// Windows removes no file that is open.
	return errors.Join(f.owner.Close(), os.RemoveAll(f.Path))
}

// Sweep removes the folders whose processes are gone, as a power cut leaves them,
// and returns how many these were. It creates nothing.
func (p Place) Sweep(ctx context.Context) (removed int, err error) {
	for _, root := range []string{p.runtime(), filepath.Join(p.State, "run")} {
		if root == "" {
			continue
		}
		// Only what this user alone can write is walked through.
		if _, e := os.Lstat(root); errors.Is(e, fs.ErrNotExist) {
			continue
		}
		if e := private(root); e != nil {
			err = errors.Join(err, e)
			continue
		}
		unlock, e := lock(ctx, root)
		if e != nil {
			err = errors.Join(err, e)
			continue
		}
		n, e := sweep(root)
		unlock()
		removed += n
		err = errors.Join(err, e)
	}
	return removed, err
}

// sweep removes the folders without an owner; the caller holds the lock of root, so
// none is just being made.
func sweep(root string) (removed int, err error) {
	entries, err := os.ReadDir(root)
	if err != nil {
		return 0, fileError(root, err)
	}
	for _, e := range entries {
		if !e.IsDir() || !folderNames().MatchString(e.Name()) {
			continue
		}
		path := filepath.Join(root, e.Name())
		// Not made here: a file that appears while the owner removes its folder would keep the folder.
		owner := flock.New(filepath.Join(path, ownerLock), flock.SetFlag(os.O_RDWR))
		free, e := owner.TryLock()
		_ = owner.Close()
		if !free && !errors.Is(e, fs.ErrNotExist) {
			continue
		}
		if e := os.RemoveAll(path); e != nil {
			err = errors.Join(err, fileError(path, e))
			continue
		}
		removed++
	}
	return removed, err
}

// root is the folder for private folders: in memory where the system has such a place
// for this user alone, else beneath the state directory.
func (p Place) root() (string, error) {
	root := p.runtime()
	if root == "" {
		root = filepath.Join(p.State, "run")
	}
	if err := os.MkdirAll(root, 0o700); err != nil {
		return "", fileError(root, err)
	}
	return root, private(root)
}

// runtime is where folders lie in the runtime directory, "" where that is none to rely on.
// Source: XDG Base Directory Specification 0.8: owned by the user, mode 0700, absolute.
func (p Place) runtime() string {
	if !filepath.IsAbs(p.Runtime) || private(p.Runtime) != nil {
		return ""
	}
	return filepath.Join(p.Runtime, "c2conn")
}

// private tells whether only this user can enter a folder.
func private(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return fileError(dir, err)
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a directory (a link is not followed); move it away", dir)
	}
	switch mine, known := owned(info); {
	case !known:
		return nil // Windows: the lists of the profile directory govern it
	case !mine:
		return &connections.PermissionError{Path: dir, Problem: connections.OtherOwner, Dir: true}
	case info.Mode().Perm()&0o077 != 0:
		return &connections.PermissionError{Path: dir, Problem: connections.TooOpen, Dir: true}
	}
	return nil
}

func lock(ctx context.Context, root string) (unlock func(), err error) {
	path := filepath.Join(root, rootLock)
	limited, cancel := context.WithTimeout(ctx, lockLimit)
	defer cancel()
	l := flock.New(path, flock.SetPermissions(0o600))
	ok, err := l.TryLockContext(limited, lockPoll)
	switch {
	case ok:
		return func() { _ = l.Close() }, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, context.DeadlineExceeded) || err == nil:
		return nil, &connections.LockedError{Path: path, Waited: lockLimit}
	}
	return nil, fileError(path, err)
}

func fileError(path string, err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return &connections.FullError{Path: path, Err: err}
	case errors.Is(err, fs.ErrPermission):
		return &connections.PermissionError{Path: path, Problem: connections.NoAccess, Err: err}
	}
	return err
}
