package connections

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

const commandLimit = 30 * time.Second

// Secret returns what a reference points to, as text: one trailing line break
// is taken off where the secret comes from a variable, a file or a command.
// Errors: *ReferenceError around the cause, which can be ErrNotFound,
// ErrPassphraseNeeded, ErrWrongPassphrase, ErrIdentityMissing, *KeychainError,
// *DamagedError, *PermissionError.
func (s *Store) Secret(ctx context.Context, r Ref) (Secret, error) {
	raw, err := s.resolve(ctx, r)
	if err != nil {
		return Secret{}, err
	}
	if r.Scheme() != SchemeStore {
		raw = bytes.TrimSuffix(bytes.TrimSuffix(raw, []byte("\n")), []byte("\r"))
	}
	if len(raw) == 0 {
		return Secret{}, &ReferenceError{Ref: r.label(), Err: errors.New("it is empty")}
	}
	return NewSecret(raw), nil
}

// SecretBytes is Secret without taking anything off, for binary secrets such
// as a PFX file.
func (s *Store) SecretBytes(ctx context.Context, r Ref) (Secret, error) {
	raw, err := s.resolve(ctx, r)
	if err != nil {
		return Secret{}, err
	}
	if len(raw) == 0 {
		return Secret{}, &ReferenceError{Ref: r.label(), Err: errors.New("it is empty")}
	}
	return NewSecret(raw), nil
}

func (s *Store) resolve(ctx context.Context, r Ref) (raw []byte, err error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	if err := r.Validate(); err != nil {
		return nil, &ReferenceError{Ref: r.label(), Err: err}
	}
	switch r.Scheme() {
	case SchemeStore:
		raw, err = s.openSecret(ctx, r)
	case SchemeEnv:
		if v := s.o.Getenv(r.Value()); v != "" {
			raw = []byte(v)
		} else {
			err = errors.New("the environment variable is not set")
		}
	case SchemeFile:
		raw, err = readSecretFile(r.Value())
	case SchemeExec:
		raw, err = s.runReference(ctx, r)
	default:
		err = errors.New("it lies in the certificate store of Windows, not here")
	}
	if err != nil {
		return nil, &ReferenceError{Ref: r.label(), Err: err}
	}
	return raw, nil
}

// readSecretFile reads a file that the user named. Links are followed, as
// mounted secrets of containers are links; a pipe or device is refused, as it
// may never end.
func readSecretFile(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|noBlock, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	raw, err := io.ReadAll(io.LimitReader(f, fileLimit+1))
	if err != nil {
		return nil, err
	}
	if len(raw) > fileLimit {
		return nil, fmt.Errorf("the file is larger than %d KiB", fileLimit>>10)
	}
	return raw, nil
}

func (s *Store) runReference(ctx context.Context, r Ref) ([]byte, error) {
	argv, err := SplitCommand(r.Value())
	if err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, commandLimit)
	defer cancel()
	raw, err := s.o.Exec(limited, argv)
	switch {
	case err == nil:
		return raw, nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case limited.Err() != nil:
		return nil, fmt.Errorf("the command did not end within %s", commandLimit)
	}
	return nil, err
}
