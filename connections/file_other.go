//go:build !unix

package connections

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Windows opens reparse points as what they lead to; trusted refuses them by
// their mode where they are listed.
const (
	noFollow = 0
	noBlock  = 0
)

// The codes of Windows for a full disk (ERROR_DISK_FULL, ERROR_HANDLE_DISK_FULL).
const (
	errDiskFull       = syscall.Errno(112)
	errHandleDiskFull = syscall.Errno(39)
)

func isLink(error) bool { return false }

func isFull(err error) bool {
	return errors.Is(err, errDiskFull) || errors.Is(err, errHandleDiskFull)
}

// Who may touch a file is governed by the lists of the profile directory.
func factsOf(info fs.FileInfo) facts {
	return facts{stamp: stamp{size: info.Size(), mtime: info.ModTime().UnixNano()}, mode: info.Mode(), uid: -1}
}

func statAt(dir *os.File, name string) (facts, error) {
	info, err := os.Lstat(filepath.Join(dir.Name(), name))
	if err != nil {
		return facts{}, err
	}
	return factsOf(info), nil
}

// NTFS journals names; a directory cannot be flushed.
func syncDirectory(*os.File) error { return nil }
