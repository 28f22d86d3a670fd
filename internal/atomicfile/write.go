// Package atomicfile writes small private files so that a reader, also after a
// crash, finds the whole file or none.
package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Write puts data at dir/name in one step, with mode 0600 and the folder made with
// 0700 where it is missing. Without replace an existing file stays as it is and
// the error is fs.ErrExist, even when two processes race.
func Write(dir, name string, data []byte, replace bool) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return write(dir, name, data, replace, 0)
}

// Publish puts data at dir/name in one step, with that mode whatever the umask says:
// for a file that other users read. The folder must be there; a file is replaced.
func Publish(dir, name string, data []byte, mode fs.FileMode) error {
	return write(dir, name, data, true, mode)
}

// write gives the file its mode before its name; 0 leaves 0600.
func write(dir, name string, data []byte, replace bool, mode fs.FileMode) (err error) {
	temp, err := os.CreateTemp(dir, "."+name+".*") // created with mode 0600
	if err != nil {
		return err
	}
	defer func() {
		// after a rename the name is gone; what is left is ours
		if e := os.Remove(temp.Name()); err == nil && e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = e
		}
	}()
	_, err = temp.Write(data)
	if err == nil && mode != 0 {
		err = temp.Chmod(mode)
	}
	if err == nil {
		err = temp.Sync()
	}
	if e := temp.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	final := filepath.Join(dir, name)
	if replace {
		err = os.Rename(temp.Name(), final)
	} else {
		err = publish(temp.Name(), final)
	}
	if err != nil {
		return err
	}
	return SyncFolder(dir)
}

// publish gives the finished file its name unless the name is taken. A link
// does that without a gap; where the file system has no links, a look before
// the rename has to do.
func publish(temp, final string) error {
	err := os.Link(temp, final)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	if _, e := os.Lstat(final); e == nil {
		return fmt.Errorf("%s: %w", final, fs.ErrExist)
	}
	return os.Rename(temp, final)
}
