package connections

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

const (
	fileLimit = 1 << 20 // bytes of one file of the store
	dirMode   = 0o700
	fileMode  = 0o600
)

// disk makes every change of the store's files. Each change first passes step,
// through which the tests fail or kill the program at every one of them.
type disk struct {
	step  func(point string) error // nil in production
	owner func(facts) int          // user id of the owner; negative where the platform has none
	me    int                      // user id of this process
	temp  func() string            // a new name for a temporary file
}

func (d *disk) before(point, path string) error {
	if d.step == nil {
		return nil
	}
	if err := d.step(point); err != nil {
		return fileError(&fs.PathError{Op: point, Path: path, Err: err}, path)
	}
	return nil
}

// mkdir makes dir and its missing parents, readable by this user only, and
// makes their names durable.
func (d *disk) mkdir(dir string) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	if parent := filepath.Dir(dir); parent != dir {
		if err := d.mkdir(parent); err != nil {
			return err
		}
	}
	if err := d.before("mkdir", dir); err != nil {
		return err
	}
	if err := os.Mkdir(dir, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return fileError(err, dir)
	}
	return d.syncDir(filepath.Dir(dir))
}

// replace puts data at path so that at every instant, and after a crash, path
// holds either what it held before or data. temps is a directory of the same
// file system. The info is of the new file.
func (d *disk) replace(path, temps string, data []byte) (fs.FileInfo, error) {
	tmp, info, err := d.prepare(path, temps, data)
	if err != nil {
		return nil, err
	}
	if err := d.rename(tmp, path); err != nil {
		_ = os.Remove(tmp)
		return nil, err
	}
	return info, d.syncDir(filepath.Dir(path))
}

// prepare writes data durably to a temporary file that is to become path.
func (d *disk) prepare(path, temps string, data []byte) (_ string, info fs.FileInfo, err error) {
	tmp := filepath.Join(temps, d.temp())
	if err := d.before("create", path); err != nil {
		return "", nil, err
	}
	// The mode comes first: the content must never be readable by others.
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return "", nil, fileError(err, path)
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(tmp)
		}
	}()
	half := len(data)
	if d.step != nil {
		half /= 2 // a crash or a full disk in the middle of the data
	}
	for _, part := range [][]byte{data[:half], data[half:]} {
		if err := d.before("write", path); err != nil {
			return "", nil, err
		}
		if _, err := f.Write(part); err != nil {
			return "", nil, fileError(err, path)
		}
	}
	if err := d.before("fsync", path); err != nil {
		return "", nil, err
	}
	if err := f.Sync(); err != nil {
		return "", nil, fileError(err, path)
	}
	if info, err = f.Stat(); err != nil {
		return "", nil, fileError(err, path)
	}
	if err := f.Close(); err != nil {
		return "", nil, fileError(err, path)
	}
	return tmp, info, nil
}

func (d *disk) rename(from, to string) error {
	if err := d.before("rename", to); err != nil {
		return err
	}
	return fileError(os.Rename(from, to), to)
}

// link gives the file from the name to as well, unless that exists.
func (d *disk) link(from, to string) error {
	if err := d.before("link", to); err != nil {
		return err
	}
	return fileError(os.Link(from, to), to)
}

func (d *disk) remove(path string) error {
	if err := d.before("remove", path); err != nil {
		return err
	}
	return fileError(os.Remove(path), path)
}

// syncDir makes the names in dir durable. Not every file system can; those
// that cannot say so with EINVAL or ENOTSUP, and need nothing.
func (d *disk) syncDir(dir string) error {
	if err := d.before("fsync-dir", dir); err != nil {
		return err
	}
	f, err := os.Open(dir)
	if err != nil {
		return fileError(err, dir)
	}
	defer f.Close() //nolint:errcheck // nothing was written through it
	if err := syncDirectory(f); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
		return fileError(err, dir)
	}
	return nil
}

// append adds data to the end of a file that may be lost, such as an index.
func (d *disk) append(path string, data []byte) error {
	if err := d.before("append", path); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|noFollow, fileMode)
	if err != nil {
		return fileError(err, path)
	}
	if _, err = f.Write(data); err != nil {
		_ = f.Close()
		return fileError(err, path)
	}
	return fileError(f.Close(), path)
}

// read returns the content of a regular file of this user. Symbolic links are
// not followed, a pipe does not block.
func (d *disk) read(path string) ([]byte, fs.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|noFollow, 0)
	if err != nil {
		if isLink(err) {
			return nil, nil, &DamagedError{Path: path, Err: errors.New("it is a symbolic link, which is not followed")}
		}
		return nil, nil, fileError(err, path)
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	if err != nil {
		return nil, nil, fileError(err, path)
	}
	if err := d.trusted(path, factsOf(info)); err != nil {
		return nil, nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, fileLimit+1))
	if err != nil {
		return nil, nil, fileError(err, path)
	}
	if len(data) > fileLimit {
		return nil, nil, tooLarge(path)
	}
	return data, info, nil
}

func tooLarge(path string) error {
	return &DamagedError{Path: path, Err: fmt.Errorf("it is larger than %d KiB", fileLimit>>10)}
}

// stamp tells one version of a file from another.
type stamp struct {
	size  int64
	mtime int64 // nanoseconds since 1970
	inode uint64
}

// facts are what a directory tells of a file.
type facts struct {
	stamp
	mode fs.FileMode
	uid  int // negative where the platform has no owners
}

func stampOf(info fs.FileInfo) stamp { return factsOf(info).stamp }

// trusted tells whether a file is a regular one that only this user can touch.
func (d *disk) trusted(path string, f facts) error {
	switch {
	case f.mode&fs.ModeSymlink != 0:
		return &DamagedError{Path: path, Err: errors.New("it is a symbolic link, which is not followed")}
	case !f.mode.IsRegular():
		return &DamagedError{Path: path, Err: errors.New("it is not a regular file")}
	case f.size > fileLimit:
		return tooLarge(path)
	}
	return d.private(path, f, 0o077)
}

// private tells whether a file or directory belongs to this user and grants
// others none of the rights in forbidden.
func (d *disk) private(path string, f facts, forbidden fs.FileMode) error {
	owner := d.owner(f)
	switch {
	case owner < 0:
		return nil
	case owner != d.me:
		return &PermissionError{Path: path, Problem: OtherOwner, Dir: f.mode.IsDir()}
	case f.mode&forbidden != 0:
		return &PermissionError{Path: path, Problem: TooOpen, Dir: f.mode.IsDir()}
	}
	return nil
}

// FileError gives an error of writing path the types that an administrator can mend:
// *PermissionError, *FullError. Any other is returned as it is.
func FileError(path string, err error) error { return fileError(err, path) }

// fileError gives the errors that an administrator can mend a type and a text.
func fileError(err error, path string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.EROFS):
		return &PermissionError{Path: path, Problem: ReadOnly, Err: err}
	case errors.Is(err, fs.ErrPermission):
		return &PermissionError{Path: path, Problem: NoAccess, Err: err}
	case isFull(err):
		return &FullError{Path: path, Err: err}
	}
	return err
}

// tempNames gives names that no two live processes share.
func tempNames(id func() string) func() string {
	pid := strconv.Itoa(os.Getpid())
	return func() string { return id() + "." + pid }
}
