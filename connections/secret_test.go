package connections

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"go.yaml.in/yaml/v3"
)

func TestSecretIsUnprintable(t *testing.T) {
	t.Parallel()
	const value = "hunter2"
	s := NewSecret(value)
	type holder struct {
		Open   Secret
		closed Secret
	}
	h := holder{s, s}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", s, "holder", h)
	texts := []string{log.String(), s.String(), s.GoString(), fmt.Sprint(s, h, &h, []Secret{s}), fmt.Errorf("x: %w", errors.New(fmt.Sprint(s))).Error()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		texts = append(texts, fmt.Sprintf(verb, s), fmt.Sprintf(verb, h), fmt.Sprintf(verb, &h))
	}
	j, err := json.Marshal(map[string]any{"s": s, "h": h})
	y, yerr := yaml.Marshal(map[string]any{"s": s, "h": h})
	if err != nil || yerr != nil {
		t.Fatal(err, yerr)
	}
	texts = append(texts, string(j), string(y))
	for _, text := range texts {
		if strings.Contains(text, value) || strings.Contains(text, "68756e74657232") || strings.Contains(text, "104 117") {
			t.Errorf("the value shows in %q", text)
		}
	}
	if string(s.Reveal()) != value || s.IsZero() || !s.Equal(NewSecret([]byte(value))) || s.Equal(NewSecret("x")) {
		t.Error("Reveal, IsZero or Equal is wrong")
	}
	s.Reveal()[0] = 'X'
	if string(s.Reveal()) != value {
		t.Error("Reveal gives the value away for changing")
	}
}

// memoryKeychain is a keychain that can be broken.
type memoryKeychain struct {
	mu     sync.Mutex
	held   map[string]string
	broken error
}

func (m *memoryKeychain) Get(_ context.Context, account string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken != nil {
		return "", m.broken
	}
	if v, ok := m.held[account]; ok {
		return v, nil
	}
	return "", ErrNoEntry
}

func (m *memoryKeychain) Set(_ context.Context, account, value string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken == nil {
		m.held[account] = value
	}
	return m.broken
}

func (m *memoryKeychain) Delete(_ context.Context, account string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.held, account)
	return m.broken
}

func environment(pairs ...string) func(string) string {
	return func(key string) string {
		for i := 0; i+1 < len(pairs); i += 2 {
			if pairs[i] == key {
				return pairs[i+1]
			}
		}
		return ""
	}
}

// reopened is another process's view of the same store.
func reopened(t *testing.T, s *Store, change func(*Options)) *Store {
	t.Helper()
	o := Options{Dir: s.Dir(), Now: s.o.Now, ScryptLogN: 4}
	change(&o)
	r, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func mustPut(t *testing.T, s *Store, value string) Ref {
	t.Helper()
	if err := s.SecretsReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	r, err := s.PutSecret(t.Context(), NewSecret(value))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// noPlainText searches every file of the store.
func noPlainText(t *testing.T, s *Store, values ...string) {
	t.Helper()
	err := filepath.WalkDir(s.Dir(), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is open to others: %v", path, info.Mode())
		}
		if d.IsDir() || err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		for _, v := range values {
			if strings.Contains(string(data), v) {
				t.Errorf("%s holds %q", path, v)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestKeyByPassphrase(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := testStore(t, func(o *Options) { o.Getenv = environment(envPassphrase, "open sesame") })
	ref := mustPut(t, s, "hunter2")
	noPlainText(t, s, "hunter2", "AGE-SECRET-KEY", "open sesame")
	for _, tc := range []struct {
		name   string
		change func(*Options)
		want   error
	}{
		{"environment", func(o *Options) { o.Getenv = environment(envPassphrase, "open sesame") }, nil},
		{"prompt", func(o *Options) {
			o.Passphrase = func(_ context.Context, confirm bool) (Secret, error) {
				if confirm {
					t.Error("an old passphrase need not be typed twice")
				}
				return NewSecret("open sesame"), nil
			}
		}, nil},
		{"wrong", func(o *Options) { o.Getenv = environment(envPassphrase, "open barley") }, ErrWrongPassphrase},
		{"missing", func(*Options) {}, ErrPassphraseNeeded},
		{"cancelled", func(o *Options) {
			o.Passphrase = func(context.Context, bool) (Secret, error) { return Secret{}, context.Canceled }
		}, context.Canceled},
	} {
		r := reopened(t, s, tc.change)
		got, err := r.Secret(ctx, ref)
		if !errors.Is(err, tc.want) || tc.want == nil && string(got.Reveal()) != "hunter2" {
			t.Errorf("%s: %v", tc.name, err)
		}
		if err != nil && strings.Contains(err.Error(), "barley") {
			t.Errorf("the passphrase is in the error: %v", err)
		}
		// Keeping one more secret needs no passphrase, but a wrong one is told.
		want := tc.want
		if tc.name != "wrong" {
			want = nil
		}
		if _, err := r.PutSecret(ctx, NewSecret("x")); !errors.Is(err, want) {
			t.Errorf("%s: PutSecret = %v", tc.name, err)
		}
	}
	keys, _ := filepath.Glob(filepath.Join(s.secrets, "identity-*"))
	if len(keys) != 1 {
		t.Fatalf("keys: %v", keys)
	}
	if err := os.Remove(keys[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := reopened(t, s, func(o *Options) { o.Getenv = environment(envPassphrase, "open sesame") }).Secret(ctx, ref); !errors.Is(err, ErrIdentityMissing) {
		t.Errorf("without the key: %v", err)
	}
}

func TestKeyByFile(t *testing.T) {
	t.Parallel()
	ctx, path := t.Context(), filepath.Join(t.TempDir(), "key.txt")
	withFile := func(o *Options) { o.Getenv = environment(envIdentity, path) }
	s := testStore(t, withFile)
	ref := mustPut(t, s, "hunter2")
	noPlainText(t, s, "hunter2", "AGE-SECRET-KEY")
	for _, r := range []*Store{reopened(t, s, withFile), reopened(t, s, func(*Options) {})} {
		if got, err := r.Secret(ctx, ref); err != nil || string(got.Reveal()) != "hunter2" {
			t.Errorf("Secret = %v", err)
		}
	}
	// A second store uses the key that is there.
	second := testStore(t, withFile)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	ref2 := mustPut(t, second, "other")
	if got, err := reopened(t, second, withFile).Secret(ctx, ref2); err != nil || string(got.Reveal()) != "other" {
		t.Errorf("Secret = %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Error("the key was replaced")
	}
	var open *PermissionError
	if err := os.Chmod(path, 0o644); err != nil { //nolint:gosec // what is tested
		t.Fatal(err)
	}
	if _, err := reopened(t, s, withFile).Secret(ctx, ref); runtime.GOOS != "windows" && (!errors.As(err, &open) || open.Problem != TooOpen) {
		t.Errorf("with an open key file: %v", err)
	}
	var damaged *DamagedError
	if err := errors.Join(os.WriteFile(path, []byte("AGE-SECRET-KEY-1OOPS\n"), fileMode), os.Chmod(path, fileMode)); err != nil {
		t.Fatal(err)
	}
	if _, err := reopened(t, s, withFile).Secret(ctx, ref); !errors.As(err, &damaged) || strings.Contains(err.Error(), "OOPS") {
		t.Errorf("with a damaged key file: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := reopened(t, s, withFile).Secret(ctx, ref); !errors.Is(err, ErrIdentityMissing) {
		t.Errorf("without the key file: %v", err)
	}
	if err := testStore(t, withFile).SecretsReady(ctx); err != nil {
		t.Errorf("SecretsReady = %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Error("SecretsReady made the key file")
	}
}

func TestKeyByKeychain(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	chain := &memoryKeychain{held: map[string]string{}}
	with := func(o *Options) { o.Keychain = chain }
	s := testStore(t, with)
	if err := s.SecretsReady(ctx); err != nil || len(chain.held) != 0 {
		t.Errorf("SecretsReady = %v and leaves %v", err, chain.held)
	}
	ref := mustPut(t, s, "hunter2")
	if len(chain.held) != 1 {
		t.Errorf("%d keychain entries", len(chain.held))
	}
	noPlainText(t, s, "hunter2", "AGE-SECRET-KEY")
	if got, err := reopened(t, s, with).Secret(ctx, ref); err != nil || string(got.Reveal()) != "hunter2" {
		t.Errorf("Secret = %v", err)
	}
	var locked *KeychainError
	chain.broken = errors.New("locked \x1b[2J")
	if _, err := reopened(t, s, with).Secret(ctx, ref); !errors.As(err, &locked) || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("with a locked keychain: %v", err)
	}
	if _, err := reopened(t, s, with).PutSecret(ctx, NewSecret("x")); err != nil {
		t.Errorf("keeping a secret needs the keychain: %v", err)
	}
	if _, err := reopened(t, s, func(*Options) {}).Secret(ctx, ref); !errors.As(err, &locked) {
		t.Errorf("without a keychain: %v", err)
	}
	chain.broken, chain.held = nil, map[string]string{}
	if _, err := reopened(t, s, with).Secret(ctx, ref); !errors.Is(err, ErrIdentityMissing) {
		t.Errorf("with the entry gone: %v", err)
	}
}

func TestNoPlaceForTheKey(t *testing.T) {
	t.Parallel()
	s := testStore(t, func(o *Options) {
		o.Keychain = &memoryKeychain{broken: errors.New("failed to unlock correct collection")}
	})
	for _, err := range []error{s.SecretsReady(t.Context()), func() error { _, err := s.PutSecret(t.Context(), NewSecret("x")); return err }()} {
		if !errors.Is(err, ErrNoKeyring) || !strings.Contains(err.Error(), "failed to unlock") || !strings.Contains(err.Error(), envPassphrase) {
			t.Errorf("%v", err)
		}
	}
	if _, err := os.Stat(s.Dir()); !errors.Is(err, fs.ErrNotExist) {
		t.Error("something was created")
	}
	asked := 0
	p := reopened(t, s, func(o *Options) {
		o.Passphrase = func(_ context.Context, confirm bool) (Secret, error) {
			if asked++; !confirm {
				t.Error("a new passphrase must be typed twice")
			}
			return NewSecret("typed"), nil
		}
	})
	ref := mustPut(t, p, "value")
	if _, err := p.Secret(t.Context(), ref); err != nil || asked != 1 {
		t.Errorf("Secret = %v, asked %d times", err, asked)
	}
}

func TestSecretsComeAndGo(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := testStore(t, func(o *Options) { o.Getenv = environment(envPassphrase, "p") })
	ref := mustPut(t, s, "value\n")
	if got, err := s.Secret(ctx, ref); err != nil || string(got.Reveal()) != "value\n" {
		t.Errorf("a saved secret is not given back as it was: %v", err)
	}
	path := s.secretPath(ref.Value())
	sealed, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sealed[len(sealed)-1] ^= 1
	if err := os.WriteFile(path, sealed, fileMode); err != nil {
		t.Fatal(err)
	}
	var damaged *DamagedError
	if _, err := s.Secret(ctx, ref); !errors.As(err, &damaged) {
		t.Errorf("a damaged secret: %v", err)
	}
	if err := s.DeleteSecret(ctx, ref); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Secret(ctx, ref); !errors.Is(err, ErrNotFound) {
		t.Errorf("Secret = %v", err)
	}
	if err := s.DeleteSecret(ctx, ref); !errors.Is(err, ErrNotFound) {
		t.Errorf("DeleteSecret = %v", err)
	}
	if err := s.DeleteSecret(ctx, "env:X"); err != nil {
		t.Errorf("DeleteSecret of a variable = %v", err)
	}
	if _, err := s.PutSecret(ctx, Secret{}); err == nil {
		t.Error("an empty secret was saved")
	}
}
