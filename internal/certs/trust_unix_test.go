//go:build unix

package certs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/c2conn/c2conn/connections"
)

// Whatever lies in the folder, no command may hang on it or lose the other entries.
func TestPipesAndLinksAreReportedAndHideNothing(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	store, _, dir := testFiles(t)
	good, err := store.Import(ctx, testA(t))
	if err != nil {
		t.Fatal(err)
	}
	b, err := Parse(file(t, "chain.pfx"), testPassword)
	if err != nil {
		t.Fatal(err)
	}
	path := store.path(b.Thumbprint())
	for what, put := range map[string]func() error{ // one after the other: they share a file
		"pipe":   func() error { return syscall.Mkfifo(path, 0o600) },
		"link":   func() error { return os.Symlink(good.Path, path) },
		"device": func() error { return os.Symlink("/dev/zero", path) },
		"folder": func() error { return os.Mkdir(path, 0o700) },
	} {
		if err := put(); err != nil {
			t.Fatal(err)
		}
		list, err := store.List(ctx)
		if err != nil || len(list) != 2 || list[1].Err != nil {
			t.Fatalf("%s: %+v, %v", what, list, err)
		}
		var damaged *connections.DamagedError
		if bad := list[0]; !errors.As(bad.Err, &damaged) || bad.Path != path {
			t.Errorf("%s: %+v", what, bad)
		}
		if _, err := store.Find(ctx, b.Thumbprint()); !errors.As(err, &damaged) {
			t.Errorf("%s: %v", what, err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	// Import moves aside what is in its way.
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if e, err := store.Import(ctx, b); err != nil || e.Err != nil {
		t.Errorf("%+v, %v", e, err)
	}
	if err := errors.Join(os.RemoveAll(store.dir), syscall.Mkfifo(store.dir, 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := store.List(ctx); err == nil {
		t.Error("listed without a folder")
	}
	if _, err := os.Stat(dir); err != nil {
		t.Error(err)
	}
}

// An entry decides which key signs for which certificate.
func TestEntriesThatOthersCanWriteAreNotTrusted(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name                string
		state, folder, file fs.FileMode
		bad                 string // the path that is complained about, "" = none
	}{
		{"as c2conn writes them", 0o700, 0o700, 0o600, ""},
		{"readable by others", 0o755, 0o755, 0o644, ""},
		{"file writable by all", 0o700, 0o700, 0o666, "file"},
		{"folder writable by the group", 0o700, 0o770, 0o600, "certificates"},
		{"state folder writable by all", 0o777, 0o700, 0o600, "."},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			store, secrets, dir := testFiles(t)
			a, err := store.Import(ctx, testA(t))
			if err != nil {
				t.Fatal(err)
			}
			b, err := store.Import(ctx, testGenerated(t))
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(os.Chmod(a.Path, test.file), os.Chmod(store.dir, test.folder), os.Chmod(dir, test.state)); err != nil {
				t.Fatal(err)
			}
			_, errA := store.Find(ctx, a.Thumbprint())
			_, errB := store.Find(ctx, b.Thumbprint())
			list, errList := store.List(ctx)
			refs, errRefs := Refs(ctx, store)
			if test.bad == "" {
				if err := errors.Join(errA, errB, errList, errRefs); err != nil || len(list) != 2 || len(refs) != 2 {
					t.Errorf("refused: %v", err)
				}
				return
			}
			path := filepath.Join(dir, test.bad)
			if test.bad == "file" {
				path = a.Path
			}
			for _, err := range []error{errA, errRefs} {
				var open *connections.PermissionError
				if !errors.As(err, &open) || open.Path != path || !strings.Contains(err.Error(), "chmod go-w "+path) {
					t.Errorf("got %v", err)
				}
			}
			if test.bad == "file" {
				if errB != nil || errList != nil || len(list) != 2 {
					t.Errorf("the other entry is hidden: %v, %v", errB, errList)
				}
				return
			}
			before := len(secrets.secrets)
			_, errImport := store.Import(ctx, testA(t))
			for _, err := range []error{errB, errList, errImport, store.Delete(ctx, b.Thumbprint())} {
				if err == nil {
					t.Error("the folder is trusted")
				}
			}
			if len(secrets.secrets) != before {
				t.Error("the secrets changed")
			}
		})
	}
}

// What a caller needs to tell which secrets nobody refers to.
func TestRefs(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	store, _, _ := testFiles(t)
	if refs, err := Refs(ctx, store); err != nil || len(refs) != 0 {
		t.Errorf("%v, %v", refs, err)
	}
	e, err := store.Import(ctx, testA(t))
	if err != nil {
		t.Fatal(err)
	}
	if refs, err := Refs(ctx, store); err != nil || len(refs) != 1 || refs[0] != e.Ref {
		t.Errorf("%v, %v", refs, err)
	}
	// With a damaged entry nobody knows what it refers to.
	if err := os.WriteFile(store.path("AB"), []byte("?"), 0o600); err != nil {
		t.Fatal(err)
	}
	var damaged *connections.DamagedError
	if _, err := Refs(ctx, store); !errors.As(err, &damaged) {
		t.Errorf("got %v", err)
	}
}
