//go:build unix

package connections

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// A pipe must not block the open, a link must not lead elsewhere.
const (
	noFollow = syscall.O_NOFOLLOW | noBlock
	noBlock  = syscall.O_NONBLOCK
)

func isLink(err error) bool { return errors.Is(err, syscall.ELOOP) }

func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

func factsOf(info fs.FileInfo) facts {
	f := facts{stamp: stamp{size: info.Size(), mtime: info.ModTime().UnixNano()}, mode: info.Mode(), uid: -1}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		f.uid, f.inode = int(st.Uid), uint64(st.Ino) //nolint:unconvert // its type differs between systems
	}
	return f
}

// statAt is lstat of a name in an open directory: no path is walked and
// nothing allocated, which is half the cost of listing a large store.
func statAt(dir *os.File, name string) (facts, error) {
	var st unix.Stat_t
	for {
		err := unix.Fstatat(int(dir.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW)
		if err == nil {
			break
		}
		if !errors.Is(err, syscall.EINTR) {
			return facts{}, &fs.PathError{Op: "stat", Path: name, Err: err}
		}
	}
	f := facts{stamp: stamp{size: st.Size, mtime: st.Mtim.Nano(), inode: uint64(st.Ino)}, uid: int(st.Uid)} //nolint:unconvert // its type differs between systems
	f.mode = fs.FileMode(st.Mode & 0o777)
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
	case unix.S_IFLNK:
		f.mode |= fs.ModeSymlink
	case unix.S_IFDIR:
		f.mode |= fs.ModeDir
	default:
		f.mode |= fs.ModeIrregular
	}
	return f, nil
}

func syncDirectory(f *os.File) error { return f.Sync() }
