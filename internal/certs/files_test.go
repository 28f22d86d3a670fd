package certs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/c2conn/c2conn/connections"
)

// memory keeps secrets for a test and can be made to fail.
type memory struct {
	mu                    sync.Mutex
	secrets               map[connections.Ref]connections.Secret
	reads, next           int
	putErr, getErr, delEr error
	onPut                 func()
}

func (m *memory) PutSecret(_ context.Context, s connections.Secret) (connections.Ref, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.putErr != nil {
		return "", m.putErr
	}
	m.next++
	ref := connections.Ref(fmt.Sprintf("store:01ARZ3NDEKTSV4RRFFQ69%05d", m.next))
	if m.secrets == nil {
		m.secrets = map[connections.Ref]connections.Secret{}
	}
	m.secrets[ref] = s
	if m.onPut != nil {
		m.onPut()
	}
	return ref, nil
}

func (m *memory) Secret(_ context.Context, r connections.Ref) (connections.Secret, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reads++
	if m.getErr != nil {
		return connections.Secret{}, m.getErr
	}
	s, ok := m.secrets[r]
	if !ok {
		return s, &connections.ReferenceError{Ref: string(r), Err: connections.ErrNotFound}
	}
	return s, nil
}

func (m *memory) DeleteSecret(_ context.Context, r connections.Ref) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.delEr != nil {
		return m.delEr
	}
	if _, ok := m.secrets[r]; !ok {
		return fmt.Errorf("secret %s: %w", r, connections.ErrNotFound)
	}
	delete(m.secrets, r)
	return nil
}

func testFiles(t *testing.T) (*Files, *memory, string) {
	t.Helper()
	m := &memory{}
	dir := filepath.Join(t.TempDir(), "state")
	return NewFiles(m, dir, func() time.Time { return noon }), m, dir
}

func TestPersonalStoreRoundTrip(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	store, secrets, dir := testFiles(t)
	chain, err := Parse(file(t, "chain.pfx"), testPassword)
	if err != nil {
		t.Fatal(err)
	}
	if list, err := store.List(ctx); err != nil || len(list) != 0 {
		t.Fatalf("a store that does not exist: %v, %v", list, err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("listing created %s", dir)
	}
	for _, i := range []Identity{testGenerated(t), chain, testA(t)} {
		e, err := store.Import(ctx, i)
		if err != nil {
			t.Fatal(err)
		}
		if !e.HasKey || e.Thumbprint() != i.Thumbprint() || !e.Imported.Equal(noon.Truncate(time.Second)) {
			t.Errorf("got %+v", e)
		}
		for _, print := range []Thumbprint{i.Thumbprint(), i.ThumbprintSHA256()} {
			if found, err := store.Find(ctx, print); err != nil || found.Ref != e.Ref || len(found.Chain) != len(i.Chain) {
				t.Errorf("Find(%s): %+v, %v", print, found, err)
			}
		}
	}
	list, err := store.List(ctx)
	if err != nil || len(list) != 3 {
		t.Fatalf("%v, %v", list, err)
	}
	for i, name := range []string{"c2conn Prüfung", "c2conn test A", "c2conn test B"} {
		if list[i].Certificate.Subject.CommonName != name || list[i].Err != nil || !list[i].HasKey {
			t.Errorf("entry %d: %+v", i, list[i])
		}
	}
	if secrets.reads != 0 {
		t.Errorf("listing and finding decrypted %d secrets", secrets.reads)
	}
	got, err := store.Identity(ctx, list[2])
	if err != nil || !samePublicKey(got.Key.Public(), chain.Key.Public()) || len(got.Chain) != 1 {
		t.Errorf("%v, %v", got, err)
	}
	checkModes(t, dir)
	if err := store.Delete(ctx, chain.ThumbprintSHA256()); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Find(ctx, chain.Thumbprint()); !errors.Is(err, ErrNotFound) {
		t.Errorf("after Delete: %v", err)
	}
	if len(secrets.secrets) != 2 {
		t.Errorf("%d secrets are left", len(secrets.secrets))
	}
	if err := store.Delete(ctx, chain.Thumbprint()); !errors.Is(err, ErrNotFound) {
		t.Errorf("the second Delete: %v", err)
	}
}

// checkModes: directories 0700, files 0600, no key, nothing temporary.
func checkModes(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if runtime.GOOS != "windows" && info.Mode().Perm() != want {
			t.Errorf("%s has the mode %s", path, info.Mode())
		}
		if d.IsDir() {
			return nil
		}
		data, err := os.ReadFile(path)
		if strings.Contains(string(data), "PRIVATE") || !strings.HasSuffix(path, extension) {
			t.Errorf("%s should not be there", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestImportTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	store, secrets, _ := testFiles(t)
	first, err := store.Import(t.Context(), testA(t))
	if err != nil {
		t.Fatal(err)
	}
	second, err := store.Import(t.Context(), testA(t))
	if err != nil || second.Ref != first.Ref || len(secrets.secrets) != 1 {
		t.Errorf("%+v, %v, %d secrets", second, err, len(secrets.secrets))
	}
	secrets.getErr = connections.ErrWrongPassphrase
	if _, err := store.Import(t.Context(), testA(t)); !errors.Is(err, connections.ErrWrongPassphrase) {
		t.Errorf("with a locked store: %v", err)
	}
	secrets.getErr = nil
	delete(secrets.secrets, first.Ref)
	third, err := store.Import(t.Context(), testA(t))
	if err != nil || third.Ref == first.Ref {
		t.Errorf("importing again did not repair the entry: %+v, %v", third, err)
	}
	if _, err := store.Identity(t.Context(), third); err != nil {
		t.Error(err)
	}
}

func TestImportSideBySide(t *testing.T) {
	t.Parallel()
	store, secrets, _ := testFiles(t)
	i := testA(t)
	// Another process finishes its import between our secret and our entry.
	once := sync.OnceFunc(func() {
		other := NewFiles(&memory{next: 500}, filepath.Dir(store.dir), store.now)
		if _, err := other.Import(t.Context(), i); err != nil {
			t.Error(err)
		}
	})
	secrets.onPut = once
	e, err := store.Import(t.Context(), i)
	if err != nil || e.Ref != "store:01ARZ3NDEKTSV4RRFFQ6900501" || len(secrets.secrets) != 0 {
		t.Errorf("%+v, %v, %d secrets of ours are left", e, err, len(secrets.secrets))
	}
}

func TestImportFailsCleanly(t *testing.T) {
	t.Parallel()
	store, secrets, dir := testFiles(t)
	secrets.putErr = connections.ErrNoKeyring
	if _, err := store.Import(t.Context(), testA(t)); !errors.Is(err, connections.ErrNoKeyring) {
		t.Errorf("got %v", err)
	}
	secrets.putErr = nil
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // a file where the folder belongs
		t.Fatal(err)
	}
	if _, err := store.Import(t.Context(), testA(t)); err == nil || len(secrets.secrets) != 0 {
		t.Errorf("got %v; %d secrets are left", err, len(secrets.secrets))
	}
	i := testA(t)
	i.Key = kept{i.Key}
	if _, err := store.Import(t.Context(), i); !errors.Is(err, ErrNotExportable) {
		t.Errorf("got %v", err)
	}
}

func TestDamagedEntriesAreReportedAndHideNothing(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	store, secrets, _ := testFiles(t)
	good, err := store.Import(ctx, testA(t))
	if err != nil {
		t.Fatal(err)
	}
	b, err := Parse(file(t, "chain.pfx"), testPassword)
	if err != nil {
		t.Fatal(err)
	}
	entry, err := encodeEntry(Entry{Certificate: b.Certificate, Ref: "store:01ARZ3NDEKTSV4RRFFQ69G5FAV"})
	if err != nil {
		t.Fatal(err)
	}
	text := string(entry)
	name := string(b.Thumbprint()) + extension
	tests := map[string]string{
		"half a file":       text[:len(text)/2],
		"not YAML":          "\x00\x01{",
		"no schema":         strings.Replace(text, "schema: 1", "schema: 0", 1),
		"newer":             strings.Replace(text, "schema: 1", "schema: 9", 1),
		"foreign reference": strings.Replace(text, "store:01ARZ3NDEKTSV4RRFFQ69G5FAV", "exec:true", 1),
		"other certificate": strings.ReplaceAll(text, "    MII", "    MIJ"),
		"no certificate":    "schema: 1\n",
		"a key inside":      "schema: 1\ncertificate: |\n  " + strings.ReplaceAll(string(file(t, "a-pkcs8.key")), "\n", "\n  "),
		"too large":         strings.Repeat("#", maxFile+1),
		"empty":             "",
	}
	for what, content := range tests { // one after the other: they share a file
		path := filepath.Join(store.dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		list, err := store.List(ctx)
		if err != nil || len(list) != 2 {
			t.Fatalf("%s: %v, %v", what, list, err)
		}
		bad, ok := list[0], list[1]
		if bad.Err == nil || bad.Path != path || ok.Err != nil || ok.Ref != good.Ref {
			t.Errorf("%s: %+v", what, list)
		}
		var damaged *connections.DamagedError
		var newer *connections.NewerSchemaError
		if errors.As(bad.Err, &newer) != (what == "newer") || errors.As(bad.Err, &damaged) == (what == "newer") {
			t.Errorf("%s: %v", what, bad.Err)
		}
		if _, err := store.Find(ctx, b.Thumbprint()); err == nil {
			t.Errorf("%s: found", what)
		}
		if _, err := store.Identity(ctx, bad); err == nil {
			t.Errorf("%s: has an identity", what)
		}
		if err := store.Delete(ctx, b.Thumbprint()); err == nil {
			t.Errorf("%s: deleted without knowing what it is", what)
		}
	}
	// A new import moves the damaged file aside: it may hold the only reference.
	if _, err := store.Import(ctx, b); err != nil {
		t.Fatal(err)
	}
	if e, err := store.Find(ctx, b.Thumbprint()); err != nil || !e.HasKey {
		t.Errorf("%+v, %v", e, err)
	}
	if _, err := os.Stat(filepath.Join(store.dir, string(b.Thumbprint())+".damaged")); err != nil {
		t.Error(err)
	}
	if len(secrets.secrets) != 2 {
		t.Errorf("%d secrets", len(secrets.secrets))
	}
}

func TestIdentityChecksWhatItIsGiven(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	store, secrets, _ := testFiles(t)
	e, err := store.Import(ctx, testA(t))
	if err != nil {
		t.Fatal(err)
	}
	b := e
	b.HasKey = false
	if _, err := store.Identity(ctx, b); !errors.Is(err, ErrNoKey) {
		t.Errorf("without a key: %v", err)
	}
	secrets.secrets[e.Ref] = connections.NewSecret(file(t, "b-pkcs1.key"))
	if _, err := store.Identity(ctx, e); !errors.Is(err, ErrKeyMismatch) {
		t.Errorf("with another key: %v", err)
	}
	secrets.secrets[e.Ref] = connections.NewSecret("hunter2")
	if _, err := store.Identity(ctx, e); !errors.Is(err, errDamagedKey) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("with what is no key: %v", err)
	}
	delete(secrets.secrets, e.Ref)
	if _, err := store.Identity(ctx, e); !errors.Is(err, connections.ErrNotFound) {
		t.Errorf("without the secret: %v", err)
	}
	if _, err := WithKey(Entry{}, connections.NewSecret("x")); !errors.Is(err, ErrNotACertificate) {
		t.Errorf("without a certificate: %v", err)
	}
}

func TestDeleteSaysWhatIsLeft(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	store, secrets, _ := testFiles(t)
	e, err := store.Import(ctx, testA(t))
	if err != nil {
		t.Fatal(err)
	}
	secrets.delEr = errors.New("disk on fire")
	if err := store.Delete(ctx, e.Thumbprint()); err == nil || !strings.Contains(err.Error(), string(e.Ref)) {
		t.Errorf("got %v", err)
	}
	secrets.delEr = nil
	if e, err = store.Import(ctx, testA(t)); err != nil {
		t.Fatal(err)
	}
	delete(secrets.secrets, e.Ref)
	if err := store.Delete(ctx, e.Thumbprint()); err != nil {
		t.Errorf("a certificate whose key is gone cannot be deleted: %v", err)
	}
}

// The whole way over the real store of secrets.
func TestPersonalOverRealSecrets(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := filepath.Join(t.TempDir(), "state")
	open := func() Store {
		s, err := connections.Open(connections.Options{
			Dir: dir, Now: func() time.Time { return noon }, ScryptLogN: 10,
			Passphrase: func(context.Context, bool) (connections.Secret, error) {
				return connections.NewSecret("correct horse"), nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		return NewFiles(s, dir, func() time.Time { return noon })
	}
	i := testGenerated(t)
	if _, err := open().Import(ctx, i); err != nil {
		t.Fatal(err)
	}
	if _, err := open().Import(ctx, i); err != nil { // as a second run of the program
		t.Fatal(err)
	}
	store := open()
	e, err := store.Find(ctx, i.Thumbprint())
	if err != nil {
		t.Fatal(err)
	}
	got, err := store.Identity(ctx, e)
	if err != nil || !samePublicKey(got.Key.Public(), i.Key.Public()) {
		t.Errorf("%v, %v", got, err)
	}
	if err := store.Delete(ctx, i.Thumbprint()); err != nil {
		t.Error(err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "secrets", "0*.age")); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
