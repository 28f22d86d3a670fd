package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/atomicfile"
)

// privateFile is a file with a private key that was written, and what it replaced.
type privateFile struct {
	path   string // the whole path
	before []byte // nil: there was no file
}

// writePrivate writes a file that only this user can read. With force it replaces a
// file, and nothing else: a device, a pipe or a link would be lost, or lead elsewhere.
func (a *app) writePrivate(name string, secret connections.Secret, force bool) (*privateFile, error) {
	path, err := filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	f, dir := &privateFile{path: path}, filepath.Dir(path)
	switch info, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, refuse("%s is %s and was left as it is; --cert-path takes the name of a file", clean(path), notAFile(info.Mode()))
	case force:
		if f.before, err = a.ReadFile(path); err != nil {
			return nil, err
		}
		f.before = append([]byte{}, f.before...) // an empty file is one, too
	}
	if info, err := os.Stat(dir); err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o007 != 0 {
		a.errorf("Other users of this computer can enter %s. They cannot read %s, but a folder of your own is a better place for a private key.\n", clean(dir), clean(filepath.Base(path)))
	}
	err = atomicfile.Write(dir, filepath.Base(path), secret.Reveal(), force)
	if errors.Is(err, fs.ErrExist) {
		return nil, refuse("%s is there already and was left as it is; give --force to replace it, or another name", clean(path))
	}
	if err = connections.Full(path, err); err != nil {
		return nil, err
	}
	return f, nil
}

// undo makes it as it was before.
func (f *privateFile) undo() error {
	if f.before == nil {
		return os.Remove(f.path)
	}
	return atomicfile.Write(filepath.Dir(f.path), filepath.Base(f.path), f.before, true)
}

// notAFile says what there is that is no file.
func notAFile(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a folder"
	case mode&fs.ModeSymlink != 0:
		return "a symbolic link"
	case mode&fs.ModeNamedPipe != 0:
		return "a pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeDevice != 0:
		return "a device"
	}
	return "no file"
}

// toGitHub appends to the file from which GitHub Actions takes the variables of the
// steps that follow. Half of a text is taken away again: the lines behind it would be
// read as part of a value.
func (a *app) toGitHub(text string) error {
	path := a.Getenv("GITHUB_ENV")
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	before, err := f.Stat()
	if err == nil {
		if _, err = f.WriteString(text); err != nil && before.Mode().IsRegular() {
			err = errors.Join(err, f.Truncate(before.Size()))
		}
	}
	return connections.Full(path, errors.Join(err, f.Close()))
}
