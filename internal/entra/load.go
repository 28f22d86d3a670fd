package entra

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/certs"
)

// SecretError says that a connection's credential is not to be had: the
// reference leads nowhere, the store is locked, the file is no certificate.
// The cause is one of connections' or certs' errors.
type SecretError struct {
	What string // "certificate", "client secret" or "password of the certificate"
	Err  error
}

func (e *SecretError) Error() string { return "read the " + e.What + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *SecretError) Unwrap() error { return e.Err }

// MismatchError says that the certificate found is not the one that the
// connection names: the file was replaced, or the profile was edited.
type MismatchError struct {
	Want certs.Thumbprint // of the connection, SHA-1 or SHA-256
	Got  certs.Thumbprint // of the certificate found, the same hash
}

func (e *MismatchError) Error() string {
	return fmt.Sprintf("the certificate found has the thumbprint %s, but the connection names %s", e.Got, e.Want)
}

// LoadCredential fetches what an online connection signs in with, from wherever
// its references point. Errors: *SecretError, *MismatchError.
func LoadCredential(ctx context.Context, s *connections.Store, personal certs.Store, c connections.Connection) (Credential, error) {
	switch c.Credential.Type {
	case connections.TypeClientSecret:
		secret, err := s.Secret(ctx, c.Credential.Secret)
		if err != nil {
			return Credential{}, &SecretError{What: "client secret", Err: err}
		}
		// Files and commands end with a line break, and Windows editors begin with a
		// mark; no client secret has either.
		value := bytes.TrimSpace(bytes.TrimPrefix(secret.Reveal(), []byte("\ufeff")))
		if len(value) == 0 {
			return Credential{}, &SecretError{What: "client secret", Err: errors.New("it is empty")}
		}
		return Credential{Secret: connections.NewSecret(value)}, nil
	case connections.TypeCertificate:
		id, err := loadIdentity(ctx, s, personal, c.Credential)
		if err != nil {
			return Credential{}, err
		}
		for _, want := range []string{c.Credential.Thumbprint, c.Credential.ThumbprintSHA256} {
			if err := compare(want, id); err != nil {
				return Credential{}, err
			}
		}
		return Credential{Identity: &id}, nil
	}
	return Credential{}, &SecretError{What: "credential", Err: fmt.Errorf("an online connection signs in with a certificate or a client secret, not with %q", c.Credential.Type)}
}

func loadIdentity(ctx context.Context, s *connections.Store, personal certs.Store, c connections.Credential) (certs.Identity, error) {
	failed := func(err error) (certs.Identity, error) {
		return certs.Identity{}, &SecretError{What: "certificate", Err: err}
	}
	want := certs.Thumbprint("")
	for _, t := range []string{c.ThumbprintSHA256, c.Thumbprint} {
		if t == "" {
			continue
		}
		parsed, err := certs.ParseThumbprint(t)
		if err != nil {
			return failed(err)
		}
		want = parsed
	}
	// In the personal store by thumbprint, the way the Windows store works.
	kept := func() (certs.Entry, error) {
		switch {
		case want == "":
			return certs.Entry{}, errors.New("the connection names neither a thumbprint nor a file")
		case personal == nil:
			return certs.Entry{}, certs.ErrNotFound
		}
		return personal.Find(ctx, want)
	}
	if scheme := c.Secret.Scheme(); scheme == "" || scheme == connections.SchemeWindows {
		e, err := kept()
		if err != nil {
			return failed(err)
		}
		id, err := personal.Identity(ctx, e)
		if err != nil {
			return failed(err)
		}
		return id, nil
	}
	secret, err := s.SecretBytes(ctx, c.Secret) // a PFX may end with a line break that is none
	if err != nil {
		return failed(err)
	}
	password, err := loadPassword(ctx, s, c.Password)
	if err != nil {
		return certs.Identity{}, err
	}
	id, err := certs.Parse(secret.Reveal(), password)
	var several *certs.SeveralError
	if errors.As(err, &several) && want != "" {
		id, err = certs.ParseChosen(secret.Reveal(), password, want)
	}
	if errors.Is(err, certs.ErrNotACertificate) && c.Secret.Scheme() == connections.SchemeStore {
		// Our own store keeps the private key as secret, the certificate beside it.
		e, findErr := kept()
		if findErr != nil {
			return failed(findErr)
		}
		id, err = certs.WithKey(e, secret)
	}
	if err != nil {
		return failed(err)
	}
	return id, nil
}

func loadPassword(ctx context.Context, s *connections.Store, ref connections.Ref) (string, error) {
	if ref == "" {
		return "", nil
	}
	secret, err := s.Secret(ctx, ref)
	if err != nil {
		return "", &SecretError{What: "password of the certificate", Err: err}
	}
	return string(bytes.TrimRight(secret.Reveal(), "\r\n")), nil
}

// compare checks the certificate against a thumbprint of the profile.
func compare(want string, id certs.Identity) error {
	if want == "" {
		return nil
	}
	t, err := certs.ParseThumbprint(want)
	if err != nil {
		return &SecretError{What: "certificate", Err: err}
	}
	if t.Matches(id.Certificate) {
		return nil
	}
	got := id.ThumbprintSHA256()
	if t.IsSHA1() {
		got = id.Thumbprint()
	}
	return &MismatchError{Want: t, Got: got}
}
