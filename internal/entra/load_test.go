package entra

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/certs"
)

func TestLoadCredential(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	id := identity()
	pem, err := id.PEM()
	if err != nil {
		t.Fatal(err)
	}
	pfx, err := id.PFX("pfx password")
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, data []byte) connections.Ref {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return connections.Ref("file:" + path)
	}
	pemRef := write("id.pem", pem.Reveal())
	pfxRef := write("id.pfx", pfx)
	secretRef := write("secret.txt", []byte("\ufeffs3cr3t~value\r\n"))
	emptyRef := write("empty.txt", []byte("\n"))
	certRef := write("id.cer", id.CertificatePEM())
	passwords := map[string]string{"GOOD": "pfx password", "BAD": "other", "C2CONN_PASSPHRASE": "of the store", "THE_SECRET": s3cret}
	s, err := connections.Open(connections.Options{Dir: filepath.Join(dir, "home"), Getenv: func(n string) string { return passwords[n] }, ScryptLogN: 2})
	if err != nil {
		t.Fatal(err)
	}
	personal := certs.NewFiles(s, filepath.Join(dir, "home"), time.Now)
	entry, err := personal.Import(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := s.PutSecret(t.Context(), connections.NewSecret(s3cret))
	if err != nil {
		t.Fatal(err)
	}
	sha1, sha256 := string(id.Thumbprint()), string(id.ThumbprintSHA256())
	other := strings.Repeat("AB", 20)
	cert := func(c connections.Credential) connections.Credential { c.Type = connections.TypeCertificate; return c }
	secret := func(r connections.Ref) connections.Credential {
		return connections.Credential{Type: connections.TypeClientSecret, Secret: r}
	}
	for _, c := range []struct {
		name string
		cred connections.Credential
		bad  any // pointer to the error type that is expected
		is   error
	}{
		{name: "PEM file", cred: cert(connections.Credential{Secret: pemRef, Thumbprint: sha1, ThumbprintSHA256: sha256})},
		{name: "PFX file", cred: cert(connections.Credential{Secret: pfxRef, Password: "env:GOOD", Thumbprint: sha1})},
		{name: "no thumbprint in the profile", cred: cert(connections.Credential{Secret: pemRef})},
		{name: "own store", cred: cert(connections.Credential{Secret: entry.Ref, Thumbprint: sha1})},
		{name: "own store by SHA-256", cred: cert(connections.Credential{Secret: entry.Ref, ThumbprintSHA256: sha256})},
		{name: "by thumbprint alone", cred: cert(connections.Credential{Thumbprint: strings.ToLower(sha1)})},
		{name: "secret file with mark and line break", cred: secret(secretRef)},
		{name: "secret in the store", cred: secret(stored)},
		{name: "secret in the environment", cred: secret("env:THE_SECRET")},

		{name: "wrong password", cred: cert(connections.Credential{Secret: pfxRef, Password: "env:BAD"}), bad: new(*SecretError), is: certs.ErrWrongPassword},
		{name: "no password", cred: cert(connections.Credential{Secret: pfxRef}), bad: new(*SecretError), is: certs.ErrPasswordNeeded},
		{name: "password missing", cred: cert(connections.Credential{Secret: pfxRef, Password: "env:NONE"}), bad: new(*SecretError)},
		{name: "no key", cred: cert(connections.Credential{Secret: certRef}), bad: new(*SecretError), is: certs.ErrNoKey},
		{name: "other certificate", cred: cert(connections.Credential{Secret: pemRef, Thumbprint: other}), bad: new(*MismatchError)},
		{name: "other certificate, SHA-256", cred: cert(connections.Credential{Secret: pemRef, Thumbprint: sha1, ThumbprintSHA256: strings.Repeat("CD", 32)}), bad: new(*MismatchError)},
		{name: "not in the store", cred: cert(connections.Credential{Thumbprint: other}), bad: new(*SecretError), is: certs.ErrNotFound},
		{name: "neither", cred: cert(connections.Credential{}), bad: new(*SecretError)},
		{name: "damaged thumbprint", cred: cert(connections.Credential{Secret: pemRef, Thumbprint: "XY"}), bad: new(*SecretError)},
		{name: "file missing", cred: cert(connections.Credential{Secret: pemRef + "x"}), bad: new(*SecretError), is: os.ErrNotExist},
		{name: "empty secret", cred: secret(emptyRef), bad: new(*SecretError)},
		{name: "secret missing", cred: secret("env:NONE"), bad: new(*SecretError)},
		{name: "password type", cred: connections.Credential{Type: connections.TypePassword}, bad: new(*SecretError)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := LoadCredential(t.Context(), s, personal, connections.Connection{Credential: c.cred})
			if c.bad != nil {
				if !errors.As(err, c.bad) || c.is != nil && !errors.Is(err, c.is) {
					t.Errorf("%T %v", err, err)
				}
				return
			}
			switch {
			case err != nil:
				t.Error(err)
			case c.cred.Type == connections.TypeClientSecret:
				if string(got.Secret.Reveal()) != s3cret || got.Identity != nil {
					t.Error("the secret is not the one that was written")
				}
			case got.Identity == nil || string(got.Identity.Thumbprint()) != sha1 || got.Identity.Key == nil || !got.Secret.IsZero():
				t.Errorf("%v", got)
			}
		})
	}
}
