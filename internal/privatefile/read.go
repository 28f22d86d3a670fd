// Package privatefile reads small files that decide what c2conn trusts. It hides
// the checks that go before: no pipe may hang the program, no link may lead
// elsewhere, and nobody but this user may have written the file or its folder.
package privatefile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/c2conn/c2conn/connections"
)

// writable are the rights with which others could change a file. Reading these
// files does them no good: they hold no secret.
const writable fs.FileMode = 0o022

var (
	errLink       = errors.New("it is a symbolic link, which is not followed")
	errNotRegular = errors.New("it is not a regular file")
)

// Read gives the content of a regular file of at most limit bytes that belongs to
// this user and that others cannot write. Errors: *connections.DamagedError (not
// regular, too large), *connections.PermissionError, or that of the system, which
// wraps fs.ErrNotExist where there is no file. Windows has neither owner nor mode
// to check.
func Read(path string, limit int64) ([]byte, error) {
	// Looked at before it is opened: opening alone can already do something to a device.
	info, err := os.Lstat(path)
	if err != nil {
		return nil, fileError(err, path)
	}
	if err := check(path, info, limit, os.Geteuid()); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_RDONLY|openFlags, 0)
	if err != nil {
		return nil, fileError(err, path)
	}
	defer file.Close() //nolint:errcheck // opened for reading
	// Another file may have taken the name in between.
	if info, err = file.Stat(); err != nil {
		return nil, fileError(err, path)
	}
	if err := check(path, info, limit, os.Geteuid()); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, fileError(err, path)
	}
	if int64(len(data)) > limit {
		return nil, tooLarge(path, limit)
	}
	return data, nil
}

func check(path string, info fs.FileInfo, limit int64, me int) error {
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return &connections.DamagedError{Path: path, Err: errLink}
	case !info.Mode().IsRegular():
		return &connections.DamagedError{Path: path, Err: errNotRegular}
	}
	if err := trusted(path, info, me); err != nil {
		return err
	}
	if info.Size() > limit {
		return tooLarge(path, limit)
	}
	return nil
}

func tooLarge(path string, limit int64) error {
	return &connections.DamagedError{Path: path, Err: fmt.Errorf("it is larger than %d KiB", limit>>10)}
}

// Folder tells whether the folder dir and the state folder that it lies in belong
// to this user and cannot be written by others. Errors: *connections.PermissionError,
// or that of the system, which wraps fs.ErrNotExist where there is no such folder.
func Folder(state, dir string) error {
	info, err := os.Stat(state) // a link to it is the user's own choice
	if err != nil {
		return folderError(err, state)
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a directory; choose another with C2CONN_HOME", state)
	}
	if err := trusted(state, info, os.Geteuid()); err != nil {
		return err
	}
	if info, err = os.Lstat(dir); err != nil {
		return folderError(err, dir)
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a directory (a link is not followed); move it away", dir)
	}
	return trusted(dir, info, os.Geteuid())
}

// trusted tells whether only this user can change what info describes.
func trusted(path string, info fs.FileInfo, me int) error {
	switch owner, known := ownerOf(info); {
	case !known:
		return nil
	case owner != me:
		return &connections.PermissionError{Path: path, Problem: connections.OtherOwner, Dir: info.IsDir()}
	case info.Mode()&writable != 0:
		return &connections.PermissionError{Path: path, Problem: connections.TooWritable, Dir: info.IsDir()}
	}
	return nil
}

func fileError(err error, path string) error {
	if errors.Is(err, fs.ErrPermission) {
		return &connections.PermissionError{Path: path, Problem: connections.NoAccess, Err: err}
	}
	return err
}

func folderError(err error, path string) error {
	if errors.Is(err, fs.ErrPermission) {
		return &connections.PermissionError{Path: path, Problem: connections.NoAccess, Dir: true, Err: err}
	}
	return err
}
