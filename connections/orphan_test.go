package connections

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// A crash between PutSecret and Add leaves a secret behind that nothing refers to.
func TestOrphans(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := testStore(t, func(o *Options) { o.Getenv = environment(envPassphrase, "p") })
	aged := func(age time.Duration) Ref {
		r := mustPut(t, s, "value")
		at := testTime.Add(-age)
		if err := os.Chtimes(s.secretPath(r.Value()), at, at); err != nil {
			t.Fatal(err)
		}
		return r
	}
	lost, young := aged(2*time.Hour), aged(59*time.Minute)
	key, password, legacy, certificate := aged(2*time.Hour), aged(2*time.Hour), aged(2*time.Hour), aged(2*time.Hour)
	for _, path := range mustGlob(t, s, "identity-*") {
		if err := os.Chtimes(path, testTime.AddDate(-1, 0, 0), testTime.AddDate(-1, 0, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(s.secretPath("01K9Z7ABCDEFGHJKMNPQRSTVWX"), dirMode); err != nil {
		t.Fatal(err)
	}
	c := sample("a")
	c.Kind, c.Credential.Secret, c.Credential.Password = SharePoint, key, password
	c.LegacyAdmin = LegacyAdmin{UPN: "spadmin@contoso.com", Password: legacy}
	if _, err := s.Add(ctx, c); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Orphans(ctx, []Ref{certificate, "windows:AB"}); err != nil || !slices.Equal(got, []Ref{lost}) {
		t.Errorf("Orphans = %v, %v; want %s", got, err, lost)
	}
	if err := s.DeleteSecret(ctx, lost); err != nil {
		t.Error(err)
	}
	if got, err := s.Orphans(ctx, nil); err != nil || !slices.Equal(got, []Ref{certificate}) {
		t.Errorf("Orphans = %v, %v; want %s", got, err, certificate)
	}
	for _, r := range []Ref{young, key, password, legacy, certificate} {
		if _, err := s.Secret(ctx, r); err != nil {
			t.Errorf("%s: %v", r, err)
		}
	}
	// A file that cannot be read may refer to any of them.
	var damaged *DamagedError
	if err := os.WriteFile(s.Path("b"), []byte("?"), fileMode); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Orphans(ctx, nil); !errors.As(err, &damaged) || got != nil {
		t.Errorf("Orphans = %v, %v", got, err)
	}
}

func mustGlob(t *testing.T, s *Store, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(s.secrets, pattern))
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	return paths
}

// What was kept for one connection goes with it, but not what another one, or the
// personal store, still uses.
func TestRelease(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := testStore(t, func(o *Options) { o.Getenv = environment(envPassphrase, "p") })
	own, shared, certificate, legacy := mustPut(t, s, "a"), mustPut(t, s, "b"), mustPut(t, s, "c"), mustPut(t, s, "d")
	secret := func(name string, r Ref) Connection {
		c := sample(name)
		c.Credential = Credential{Type: TypeClientSecret, Secret: r}
		return c
	}
	if _, err := s.Add(ctx, secret("user", shared)); err != nil {
		t.Fatal(err)
	}
	withKey := sample("key")
	withKey.Credential.Secret = certificate
	withKey.LegacyAdmin = LegacyAdmin{UPN: "a@contoso.com", Password: legacy}
	for _, was := range []Connection{secret("x", own), secret("x", own), secret("y", shared), withKey, secret("z", "env:SECRET")} {
		if err := s.Release(ctx, was); err != nil {
			t.Errorf("%s: %v", was.Name, err)
		}
	}
	for r, stays := range map[Ref]bool{own: false, shared: true, certificate: true, legacy: false} {
		if _, err := s.Secret(ctx, r); (err == nil) != stays {
			t.Errorf("%s: %v, want it to stay: %v", r, err, stays)
		}
	}
	// Beside a file that cannot be read nobody knows, so nothing is deleted.
	if err := os.WriteFile(s.Path("damaged"), []byte("?"), fileMode); err != nil {
		t.Fatal(err)
	}
	kept := mustPut(t, s, "e")
	if err := s.Release(ctx, secret("w", kept)); err != nil {
		t.Error(err)
	}
	if _, err := s.Secret(ctx, kept); err != nil {
		t.Error(err)
	}
}
