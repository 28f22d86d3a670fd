//go:build integration

package integration

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const page = 4 << 10 // what a file takes at least on a tmpfs

// small is a tenant whose store is to be on a file system of its own, known to
// an empty store there. The identity file is elsewhere.
func small(t *testing.T, options string) tenant {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("mounting needs root")
	}
	n := newTenant(t, newWorld(t))
	n.world["C2CONN_IDENTITY_FILE"] = filepath.Join(n.dir(), "identity.txt")
	mount(t, n.home(), "tmpfs", options)
	n.join(t)
	return n
}

func mount(t *testing.T, dir, kind, options string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount(kind, dir, kind, 0, options); err != nil {
		t.Fatalf("mount: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
}

// room is how much is free, in pages.
func room(t *testing.T, dir string) int {
	t.Helper()
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		t.Fatal(err)
	}
	return int(s.Bavail * uint64(s.Bsize) / page)
}

// fill takes up all room but so many pages.
func fill(t *testing.T, dir string, leave int) {
	t.Helper()
	path := filepath.Join(dir, "filler")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for room(t, dir) > leave {
		if _, err := f.Write(make([]byte, page)); err != nil {
			if errors.Is(err, syscall.ENOSPC) {
				return
			}
			t.Fatal(err)
		}
	}
}

// remains fails the case if a failed run left temporary files or a secret that
// no connection refers to, or if the list cannot be read.
func remains(t *testing.T, n tenant, connections ...string) {
	t.Helper()
	r := n.run(t, "c2conn", "list", "--output", "name")
	want(t, r, 0)
	if got := strings.Fields(r.out); strings.Join(got, " ") != strings.Join(connections, " ") {
		t.Errorf("the list shows %v, want %v", got, connections)
	}
	// A certificate of the personal store may stay: it is whole, and the next try finds it.
	var secrets []string
	described := ""
	err := filepath.WalkDir(n.home(), func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		switch {
		case filepath.Base(filepath.Dir(path)) == ".tmp":
			t.Errorf("a temporary file was left: %s", path)
		case filepath.Ext(path) == ".age":
			secrets = append(secrets, strings.TrimSuffix(filepath.Base(path), ".age"))
		case filepath.Ext(path) == ".yaml":
			described += read(t, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range secrets {
		if !strings.Contains(described, id) {
			t.Errorf("a secret was left that nothing refers to: %s", id)
		}
	}
}

func TestDisk(t *testing.T) {
	for _, with := range []struct {
		what string
		args func(tenant) []string
	}{{"certificate", tenant.certificate}, {"client secret", tenant.clientSecret}} {
		check(t, "a full disk, "+with.what+": new fails clearly at every write, and works when there is room", func(t *testing.T) {
			n := small(t, "size=256k,mode=700")
			refused, saved := 0, ""
			for leave := 0; leave <= 16 && saved == ""; leave++ {
				fill(t, n.home(), leave)
				name := fmt.Sprintf("it-%d", leave)
				r := n.run(t, "c2conn", n.connect(name, with.args(n)...)...)
				if err := os.Remove(filepath.Join(n.home(), "filler")); err != nil {
					t.Fatal(err)
				}
				if r.code == 0 {
					saved = name
					break
				}
				refused++
				if r.code != 1 || !strings.Contains(r.all(), "full") || !strings.Contains(r.all(), n.home()) {
					t.Errorf("%d pages left: exit code %d\n%s", leave, r.code, r.errors)
				}
				remains(t, n)
			}
			if refused == 0 || saved == "" {
				t.Fatalf("%d refused, then saved as %q: the disk was never full, or always", refused, saved)
			}
			remains(t, n, saved)
			want(t, n.run(t, "c2conn", "verify", saved), 0)
			t.Logf("refused with up to %d pages left", refused-1)
		})
	}

	check(t, "a full disk: verify tells its result although it cannot be noted, and the connection stays", func(t *testing.T) {
		n := small(t, "size=256k,mode=700")
		want(t, n.run(t, "c2conn", n.connect("it", n.certificate()...)...), 0)
		before := read(t, filepath.Join(n.home(), "connections", "it.yaml"))
		fill(t, n.home(), 0)
		r := n.run(t, "c2conn", "verify", "it")
		if !strings.Contains(r.all(), "Exchange Web Services pass") || !strings.Contains(r.all(), "full") {
			t.Errorf("exit code %d\n%s\n%s", r.code, r.out, r.errors)
		}
		if read(t, filepath.Join(n.home(), "connections", "it.yaml")) != before {
			t.Errorf("the connection was changed")
		}
		want(t, n.run(t, "c2conn", "show", "it"), 0)
		if err := os.Remove(filepath.Join(n.home(), "filler")); err != nil {
			t.Fatal(err)
		}
		want(t, n.run(t, "c2conn", "verify", "it"), 0)
		remains(t, n, "it")
	})

	check(t, "a full disk can still be emptied: delete works", func(t *testing.T) {
		n := small(t, "size=256k,mode=700")
		want(t, n.run(t, "c2conn", n.connect("it", n.clientSecret()...)...), 0)
		fill(t, n.home(), 0)
		want(t, n.run(t, "c2conn", "delete", "it", "--yes"), 0)
		if err := os.Remove(filepath.Join(n.home(), "filler")); err != nil {
			t.Fatal(err)
		}
		remains(t, n)
	})

	check(t, "no free file: new fails with a clear error, nothing half-saved", func(t *testing.T) {
		n := small(t, "size=1m,nr_inodes=64,mode=700")
		made := 0
		for ; made < 200; made++ {
			if err := os.WriteFile(filepath.Join(n.home(), fmt.Sprintf("filler-%d", made)), nil, 0o600); err != nil {
				break
			}
		}
		if made == 200 {
			t.Skip("this kernel does not limit the number of files of a tmpfs")
		}
		r := n.run(t, "c2conn", n.connect("it", n.certificate()...)...)
		want(t, r, 1, "full")
		for i := range made {
			_ = os.Remove(filepath.Join(n.home(), fmt.Sprintf("filler-%d", i)))
		}
		remains(t, n)
		want(t, n.run(t, "c2conn", n.connect("it", n.certificate()...)...), 0)
	})

	check(t, "a home on a read-only mount: reading works, writing is refused by name", func(t *testing.T) {
		n := small(t, "size=1m,mode=700")
		want(t, n.run(t, "c2conn", n.connect("it", n.certificate()...)...), 0)
		if err := syscall.Mount("", n.home(), "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
			t.Fatal(err)
		}
		want(t, n.run(t, "c2conn", "list"), 0, "it")
		want(t, n.run(t, "c2conn", "show", "it"), 0)
		r := n.run(t, "c2conn", n.connect("other", n.certificate()...)...)
		want(t, r, 1, "read-only", "C2CONN_HOME")
		r = n.run(t, "c2conn", "verify", "it")
		if !strings.Contains(r.all(), "Exchange Web Services pass") || !strings.Contains(r.all(), "read-only") {
			t.Errorf("verify: exit code %d\n%s\n%s", r.code, r.out, r.errors)
		}
		want(t, n.run(t, "c2conn", "delete", "it", "--yes"), 1, "read-only")
		if err := syscall.Mount("", n.home(), "", syscall.MS_REMOUNT, ""); err != nil {
			t.Fatal(err)
		}
		remains(t, n, "it")
		want(t, n.run(t, "c2conn", "verify", "it"), 0)
	})

	check(t, "a home of another owner is not trusted, by root neither", func(t *testing.T) {
		n := small(t, "size=1m,mode=700")
		want(t, n.run(t, "c2conn", n.connect("it", n.certificate()...)...), 0)
		own(t, n.home(), 65534)
		for _, args := range [][]string{{"list"}, {"verify", "it"}, n.connect("other", n.certificate()...)} {
			want(t, n.run(t, "c2conn", args...), 1, "belongs to another user", "chown")
		}
		own(t, n.home(), 0)
		remains(t, n, "it")
	})

	check(t, "a home of root, used by somebody else: refused, without a word of what is in it", func(t *testing.T) {
		n := small(t, "size=1m,mode=755")
		want(t, n.run(t, "c2conn", n.connect("it", n.certificate()...)...), 0)
		r := n.runAs(t, 65534, "c2conn", "list")
		if r.code != 1 || strings.Contains(r.all(), "contoso") || !strings.Contains(r.all(), "C2CONN_HOME") {
			t.Errorf("list: exit code %d\n%s\n%s", r.code, r.out, r.errors)
		}
	})
}

// own gives a folder and all in it to a user.
func own(t *testing.T, dir string, uid int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, uid, uid)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// runAs runs a program of ours as another user, who may pass through the
// folders above the store.
func (n tenant) runAs(t *testing.T, uid int, program string, args ...string) result {
	t.Helper()
	for dir := filepath.Dir(n.home()); strings.HasPrefix(dir, suite.dir); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	public := filepath.Join(n.dir(), program)
	if err := os.Link(filepath.Join(suite.bin, program), public); err != nil {
		data, err := os.ReadFile(filepath.Join(suite.bin, program))
		if err != nil {
			t.Fatal(err)
		}
		write(t, public, string(data), 0o755)
	}
	return n.run(t, "setpriv", append([]string{"--reuid", fmt.Sprint(uid), "--regid", fmt.Sprint(uid), "--clear-groups", "--", public}, args...)...)
}
