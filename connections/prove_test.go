package connections_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/c2conn/c2conn/connections"
)

// Whoever forgot the passphrase must not keep on saving what nobody can open.
func TestWrongPassphraseSavesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open := func(passphrase string) *connections.Store {
		s, err := connections.Open(connections.Options{Dir: dir, ScryptLogN: 8, Getenv: func(name string) string {
			if name == "C2CONN_PASSPHRASE" {
				return passphrase
			}
			return ""
		}})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if _, err := open("right").PutSecret(t.Context(), connections.NewSecret("one")); err != nil {
		t.Fatal(err)
	}
	wrong := open("wrong")
	if err := wrong.SecretsReady(t.Context()); !errors.Is(err, connections.ErrWrongPassphrase) {
		t.Errorf("ready: %v", err)
	}
	if ref, err := wrong.PutSecret(t.Context(), connections.NewSecret("two")); !errors.Is(err, connections.ErrWrongPassphrase) {
		t.Errorf("saved as %q: %v", ref, err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "secrets", "[0-9]*.age"))
	if err != nil || len(files) != 1 {
		t.Errorf("secrets %v, %v", files, err)
	}
}

func TestLostIdentityFileSavesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	identity := filepath.Join(dir, "identity")
	s, err := connections.Open(connections.Options{Dir: filepath.Join(dir, "home"), Getenv: func(name string) string {
		return map[string]string{"C2CONN_IDENTITY_FILE": identity}[name]
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutSecret(t.Context(), connections.NewSecret("one")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(identity); err != nil {
		t.Fatal(err)
	}
	again, err := connections.Open(connections.Options{Dir: filepath.Join(dir, "home"), Getenv: func(string) string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.PutSecret(t.Context(), connections.NewSecret("two")); !errors.Is(err, connections.ErrIdentityMissing) {
		t.Errorf("saved without a key: %v", err)
	}
}
