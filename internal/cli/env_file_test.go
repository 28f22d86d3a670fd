//go:build unix

package cli_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/c2conn/c2conn/internal/cli"
)

// --force replaces a file, and nothing else. No device is tried: were it replaced, the
// whole computer would miss it.
func TestEnvReplacesFilesOnly(t *testing.T) {
	t.Parallel()
	x := newTenant(t)
	x.keepTwo()
	dir, err := os.MkdirTemp("", "c2") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	at := func(name string) string { return filepath.Join(dir, name) }
	socket, err := net.Listen("unix", at("socket"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	if err := errors.Join(os.Mkdir(at("folder"), 0o700), syscall.Mkfifo(at("pipe"), 0o600), os.WriteFile(at("file"), []byte("mine"), 0o600),
		os.Symlink(at("file"), at("link")), os.Symlink("/dev/null", at("null")), os.Symlink(at("nowhere"), at("dangling"))); err != nil {
		t.Fatal(err)
	}
	for name, kind := range map[string]string{"folder": "a folder", "pipe": "a pipe", "socket": "a socket", "link": "a symbolic link", "null": "a symbolic link", "dangling": "a symbolic link"} {
		before, err := os.Lstat(at(name))
		if err != nil {
			t.Fatal(err)
		}
		for _, force := range [][]string{nil, {"--force"}} {
			code, out, errs := x.run(t.Context(), append([]string{"env", "it", "--cert-path", at(name)}, force...)...)
			if code != 1 || out != "" || !strings.Contains(errs, at(name)+" is "+kind) {
				t.Errorf("%s %v: exit code %d\n%s\n%s", name, force, code, out, errs)
			}
			if after, err := os.Lstat(at(name)); err != nil || !os.SameFile(before, after) {
				t.Errorf("%s %v: it is another one now (%v)", name, force, err)
			}
		}
	}
	if data, err := os.ReadFile(at("file")); err != nil || string(data) != "mine" {
		t.Errorf("the file behind the link: %q, %v", data, err)
	}
	if _, err := os.Stat(at("nowhere")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file behind the dangling link: %v", err)
	}
}

// A key that nobody was told of is not left behind, and what it replaced comes back.
func TestEnvLeavesNoKeyBehind(t *testing.T) {
	t.Parallel()
	x := newTenant(t)
	x.keepTwo()
	dir := filepath.Join(t.TempDir(), "it's") // readers of .env files do not agree on quotes
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	fails := map[string]func(path string, more ...string) (int, string){
		"the value is refused": func(path string, more ...string) (int, string) {
			code, _, errs := x.run(t.Context(), append([]string{"env", "it", "--format", "dotenv", "--cert-path", path}, more...)...)
			return code, errs
		},
		"standard output is full": func(path string, more ...string) (int, string) {
			full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
			if errors.Is(err, fs.ErrNotExist) { // only Linux and some others have it
				return 1, ""
			}
			if err != nil {
				t.Fatal(err)
			}
			defer full.Close() //nolint:errcheck // nothing gets there
			var errs bytes.Buffer
			code := cli.Main(t.Context(), append([]string{"env", "it", "--cert-path", path}, more...), cli.Streams{Out: full, Err: &errs}, cli.Environment{
				Getenv: func(name string) string { return x.env[name] }, ReadFile: os.ReadFile, Clock: x.clock, Rand: rand.Reader})
			return code, errs.String()
		},
	}
	for name, fail := range fails {
		path := filepath.Join(dir, "app.pem")
		if code, errs := fail(path); code != 1 {
			t.Errorf("%s: exit code %d\n%s", name, code, errs)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%s: left behind: %v, %v", name, left, err)
		}
		if err := os.WriteFile(path, []byte("the key before"), 0o600); err != nil {
			t.Fatal(err)
		}
		if code, errs := fail(path, "--force"); code != 1 {
			t.Errorf("%s: exit code %d\n%s", name, code, errs)
		}
		if data, err := os.ReadFile(path); err != nil || string(data) != "the key before" {
			t.Errorf("%s: the file before became %d bytes (%v)", name, len(data), err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}
