package connections

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"filippo.io/age"
)

const secretEnding = ".age"

// PutSecret encrypts a secret, saves it and returns the reference to it. The
// first one ever decides where the key lives (see SecretsReady) and may ask for
// a new passphrase; later ones need neither keychain nor passphrase. Errors:
// ErrNoKeyring, *KeychainError, *PermissionError, *FullError, *LockedError.
func (s *Store) PutSecret(ctx context.Context, secret Secret) (Ref, error) {
	if secret.IsZero() {
		return "", errors.New("saving a secret: it is empty")
	}
	if len(secret.Reveal()) > fileLimit/2 {
		return "", fmt.Errorf("saving a secret: it is larger than %d KiB", fileLimit/2>>10)
	}
	recipient, err := s.recipient(ctx)
	if err != nil {
		return "", fmt.Errorf("saving a secret: %w", err)
	}
	if k, err := s.readKeyring(); err == nil {
		if err := s.proveKey(ctx, k); err != nil {
			return "", fmt.Errorf("saving a secret: %w", err)
		}
	}
	sealed, err := seal(secret.Reveal(), recipient)
	if err != nil {
		return "", fmt.Errorf("saving a secret: %w", err)
	}
	id, err := s.newID()
	if err != nil {
		return "", err
	}
	unlock, err := s.begin(ctx, s.secrets, s.secretTemps)
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := s.disk.replace(s.secretPath(id), s.secretTemps, sealed); err != nil {
		return "", fmt.Errorf("saving a secret: %w", err)
	}
	return Ref(SchemeStore + ":" + id), nil
}

func (s *Store) secretPath(id string) string { return filepath.Join(s.secrets, id+secretEnding) }

// openSecret decrypts a saved secret.
func (s *Store) openSecret(ctx context.Context, r Ref) ([]byte, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	if err := s.checkDirs(s.secrets); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("it is %w in this store", ErrNotFound)
		}
		return nil, err
	}
	path := s.secretPath(r.Value())
	sealed, _, err := s.disk.read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("it is %w in this store", ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	identity, err := s.openIdentity(ctx)
	if err != nil {
		return nil, err
	}
	plain, err := unseal(sealed, identity)
	if err != nil {
		var other *age.NoIdentityMatchError
		if errors.As(err, &other) {
			err = errors.New("it was encrypted with another key than this store has")
		}
		return nil, &DamagedError{Path: path, Err: err}
	}
	return plain, nil
}

// DeleteSecret removes a saved secret. For a reference to elsewhere it does
// nothing, as what is there is not ours. Errors: ErrNotFound.
func (s *Store) DeleteSecret(ctx context.Context, r Ref) error {
	if r.Scheme() != SchemeStore {
		return nil
	}
	if err := r.Validate(); err != nil {
		return &ReferenceError{Ref: r.label(), Err: err}
	}
	if err := s.checkDirs(s.secrets); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return &ReferenceError{Ref: r.label(), Err: fmt.Errorf("it is %w in this store", ErrNotFound)}
		}
		return err
	}
	unlock, err := s.begin(ctx, s.secrets, s.secretTemps)
	if err != nil {
		return err
	}
	defer unlock()
	if err := s.disk.remove(s.secretPath(r.Value())); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("it is %w in this store", ErrNotFound)
		}
		return &ReferenceError{Ref: r.label(), Err: err}
	}
	return s.disk.syncDir(s.secrets)
}

// Release deletes the secrets that were kept for was alone, after was was deleted or
// replaced: its client secret and its administrator's password, unless a saved
// connection or a staged change refers to them still. The key of a certificate belongs
// to the personal store and stays. Errors: those of List and DeleteSecret; what is gone already is none.
func (s *Store) Release(ctx context.Context, was Connection) error { return s.releaseFor(ctx, was, "") }

// releaseFor is Release where the staged change of one id does not count.
func (s *Store) releaseFor(ctx context.Context, was Connection, except string) error {
	refs := []Ref{was.LegacyAdmin.Password}
	if was.Credential.Type != TypeCertificate {
		refs = append(refs, was.Credential.Secret)
	}
	refs = slices.DeleteFunc(refs, func(r Ref) bool { return r.Scheme() != SchemeStore })
	if len(refs) == 0 {
		return nil
	}
	// The staged changes come first: one that is saved meanwhile is then not missed.
	staged, err := s.stagedRefs(ctx, except)
	if err != nil {
		return nil //nolint:nilerr // nobody can tell, as a staged change is damaged: Orphans finds it later
	}
	entries, err := s.List(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, r := range refs {
		used := staged[r] || slices.ContainsFunc(entries, func(e Entry) bool {
			c := e.Connection
			return e.Err != nil || c.Credential.Secret == r || c.Credential.Password == r || c.LegacyAdmin.Password == r
		})
		if used { // or nobody can tell, as a file is damaged: Orphans finds it later
			continue
		}
		if err := s.DeleteSecret(ctx, r); err != nil && !errors.Is(err, ErrNotFound) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// orphanAge is how long a new secret may wait for the connection that refers to it.
const orphanAge = time.Hour

// Orphans lists the saved secrets that nothing refers to, as a crash between
// PutSecret and Add leaves them: neither a connection nor a staged change nor extra (the
// references of the personal certificate store) names them, and they are older than an hour.
// Previous versions of connections do not count. DeleteSecret removes them. As
// long as a connection is damaged the answer is its error, because nobody knows
// what it refers to.
func (s *Store) Orphans(ctx context.Context, extra []Ref) ([]Ref, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	if err := s.checkDirs(s.secrets); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, err
	}
	// The secrets come first, then the staged changes: what is referred to, or saved,
	// only now is then not missed.
	files, err := os.ReadDir(s.secrets)
	if err != nil {
		return nil, dirError(err, s.secrets)
	}
	used, err := s.stagedRefs(ctx, "")
	if err != nil {
		return nil, fmt.Errorf("which secrets are in use cannot be told: %w", err)
	}
	entries, err := s.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, r := range extra {
		used[r] = true
	}
	for _, e := range entries {
		if e.Err != nil {
			return nil, fmt.Errorf("which secrets are in use cannot be told: %w", e.Err)
		}
		c := e.Connection
		for _, r := range []Ref{c.Credential.Secret, c.Credential.Password, c.LegacyAdmin.Password} {
			used[r] = true
		}
	}
	var orphans []Ref
	for _, f := range files {
		id, ok := strings.CutSuffix(f.Name(), secretEnding)
		r := Ref(SchemeStore + ":" + id)
		if !ok || r.Validate() != nil || used[r] {
			continue // the key to the secrets lies here, too
		}
		info, err := f.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted since
		}
		if err != nil {
			return nil, fileError(err, s.secretPath(id))
		}
		if info.Mode().IsRegular() && s.o.Now().Sub(info.ModTime()) > orphanAge {
			orphans = append(orphans, r)
		}
	}
	return orphans, nil
}

func seal(plain []byte, to age.Recipient) ([]byte, error) {
	var b bytes.Buffer
	w, err := age.Encrypt(&b, to)
	if err == nil {
		_, err = w.Write(plain)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("encrypting: %w", err)
	}
	return b.Bytes(), nil
}

func unseal(sealed []byte, with age.Identity) ([]byte, error) {
	r, err := age.Decrypt(bytes.NewReader(sealed), with)
	if err != nil {
		return nil, fmt.Errorf("decrypting: %w", err)
	}
	plain, err := io.ReadAll(io.LimitReader(r, fileLimit))
	if err != nil {
		return nil, fmt.Errorf("decrypting: %w", err)
	}
	return plain, nil
}
