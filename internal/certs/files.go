package certs

import (
	"cmp"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/atomicfile"
	"github.com/c2conn/c2conn/internal/privatefile"
)

const extension = ".yaml"

// Secrets keeps private keys; *connections.Store does.
type Secrets interface {
	PutSecret(ctx context.Context, s connections.Secret) (connections.Ref, error)
	Secret(ctx context.Context, r connections.Ref) (connections.Secret, error)
	DeleteSecret(ctx context.Context, r connections.Ref) error
}

// Files is the personal store of systems other than Windows: a YAML file for
// each certificate, named after its SHA-1 thumbprint, with a reference to the
// secret that holds the private key.
type Files struct {
	secrets Secrets
	dir     string // DIR/certificates
	now     func() time.Time
}

// NewFiles gives the store under dir/certificates; nothing is created before
// the first Import.
func NewFiles(secrets Secrets, dir string, now func() time.Time) *Files {
	return &Files{secrets: secrets, dir: filepath.Join(dir, "certificates"), now: now}
}

func (f *Files) path(t Thumbprint) string { return filepath.Join(f.dir, string(t)+extension) }

// trusted tells whether only this user can put entries into the folder. A folder
// that does not exist is an empty one.
func (f *Files) trusted() (exists bool, err error) {
	err = privatefile.Folder(filepath.Dir(f.dir), f.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("the personal certificate store cannot be used: %w", err)
	}
	return true, nil
}

// List implements Store.
func (f *Files) List(ctx context.Context) ([]Entry, error) {
	exists, err := f.trusted()
	if err != nil || !exists {
		return nil, err
	}
	names, err := os.ReadDir(f.dir)
	if err != nil {
		return nil, fmt.Errorf("the personal certificate store cannot be read: %w", err)
	}
	var entries []Entry
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		stem, ok := strings.CutSuffix(name.Name(), extension)
		if !ok || strings.HasPrefix(stem, ".") {
			continue // temporary files and what others put here
		}
		entries = append(entries, readEntry(filepath.Join(f.dir, name.Name()), stem))
	}
	slices.SortStableFunc(entries, func(a, b Entry) int {
		return cmp.Or(
			strings.Compare(strings.ToLower(SubjectOf(a.Certificate)), strings.ToLower(SubjectOf(b.Certificate))),
			strings.Compare(a.Path, b.Path))
	})
	return entries, nil
}

// Find implements Store.
func (f *Files) Find(ctx context.Context, t Thumbprint) (Entry, error) {
	if t.IsSHA1() {
		if _, err := f.trusted(); err != nil {
			return Entry{}, err
		}
		e := readEntry(f.path(t), string(t))
		if errors.Is(e.Err, fs.ErrNotExist) {
			return Entry{}, notFound(t)
		}
		return e, e.Err
	}
	entries, err := f.List(ctx)
	if err != nil {
		return Entry{}, err
	}
	for _, e := range entries {
		if t.Matches(e.Certificate) {
			return e, nil
		}
	}
	return Entry{}, notFound(t)
}

func notFound(t Thumbprint) error { return fmt.Errorf("%w: %s", ErrNotFound, printable(string(t))) }

// Import implements Store. The secret is written before the entry, so that an
// entry never points to a key that does not exist.
func (f *Files) Import(ctx context.Context, i Identity) (Entry, error) {
	key, err := i.KeyPEM()
	if err != nil {
		return Entry{}, err
	}
	if _, err := f.trusted(); err != nil {
		return Entry{}, err
	}
	path := f.path(i.Thumbprint())
	old := readEntry(path, string(i.Thumbprint()))
	if old.Err == nil && old.HasKey {
		kept, err := f.secrets.Secret(ctx, old.Ref)
		switch {
		case err == nil && kept.Equal(key):
			return old, nil
		case err != nil && !errors.Is(err, connections.ErrNotFound):
			return Entry{}, fmt.Errorf("the certificate is in the store already, but its private key cannot be read: %w", err)
		}
		// The secret is gone or is another: this import repairs the entry.
	}
	ref, err := f.secrets.PutSecret(ctx, key)
	if err != nil {
		return Entry{}, fmt.Errorf("the private key cannot be kept: %w", err)
	}
	e := Entry{Certificate: i.Certificate, Chain: i.Chain, Ref: ref, HasKey: true, Imported: f.now().UTC().Truncate(time.Second), Path: path}
	err = f.put(e, old.Err)
	if err == nil {
		return e, nil
	}
	// Nobody refers to the secret; clean up even when the caller gave up.
	cleanup := f.secrets.DeleteSecret(context.WithoutCancel(ctx), ref)
	if errors.Is(err, fs.ErrExist) && cleanup == nil {
		// Another process imported the same certificate in the meantime.
		if e := readEntry(path, string(i.Thumbprint())); e.Err == nil {
			return e, nil
		}
	}
	return Entry{}, errors.Join(fmt.Errorf("the certificate cannot be kept: %w", err), cleanup)
}

// put writes the entry. before is what reading the old one gave: where there was
// none a racing process must not be overwritten, and a damaged one is moved
// aside, because it may hold the only reference to a secret.
func (f *Files) put(e Entry, before error) error {
	data, err := encodeEntry(e)
	if err != nil {
		return err
	}
	replace := before == nil
	if before != nil && !errors.Is(before, fs.ErrNotExist) {
		if err := os.Rename(e.Path, strings.TrimSuffix(e.Path, extension)+".damaged"); err != nil {
			return err
		}
	}
	return connections.Full(e.Path, atomicfile.Write(f.dir, filepath.Base(e.Path), data, replace))
}

// Delete implements Store. The entry goes first: what may be left over after a
// crash is a secret that nobody refers to, not an entry without its key.
func (f *Files) Delete(ctx context.Context, t Thumbprint) error {
	e, err := f.Find(ctx, t)
	if err != nil {
		return err
	}
	if err := os.Remove(e.Path); err != nil {
		return fmt.Errorf("the certificate %s cannot be deleted: %w", t, err)
	}
	if err := atomicfile.SyncFolder(f.dir); err != nil {
		return fmt.Errorf("the certificate %s cannot be deleted: %w", t, err)
	}
	if !e.HasKey {
		return nil
	}
	if err := f.secrets.DeleteSecret(ctx, e.Ref); err != nil && !errors.Is(err, connections.ErrNotFound) {
		return fmt.Errorf("the certificate %s was deleted, but its private key (%s) was not: %w", t, e.Ref, err)
	}
	return nil
}

// Identity implements Store.
func (f *Files) Identity(ctx context.Context, e Entry) (Identity, error) {
	if e.Err != nil {
		return Identity{}, e.Err
	}
	if !e.HasKey {
		return Identity{}, fmt.Errorf("certificate %s: %w", e.Thumbprint(), ErrNoKey)
	}
	secret, err := f.secrets.Secret(ctx, e.Ref)
	if err != nil {
		return Identity{}, fmt.Errorf("the private key of the certificate %s cannot be read: %w", e.Thumbprint(), err)
	}
	return WithKey(e, secret)
}

// WithKey joins an entry's certificate with its private key in PEM form, after
// checking that they belong together.
func WithKey(e Entry, key connections.Secret) (Identity, error) {
	if e.Certificate == nil {
		return Identity{}, ErrNotACertificate
	}
	block, _ := pem.Decode(key.Reveal())
	if block == nil {
		return Identity{}, fmt.Errorf("the private key of the certificate %s: %w", e.Thumbprint(), errDamagedKey)
	}
	signer, err := keyOf(block, "")
	if err != nil {
		return Identity{}, fmt.Errorf("the private key of the certificate %s: %w", e.Thumbprint(), err)
	}
	if !samePublicKey(e.Certificate.PublicKey, signer.Public()) {
		return Identity{}, fmt.Errorf("certificate %s: %w", e.Thumbprint(), ErrKeyMismatch)
	}
	if err := checkKey(signer); err != nil {
		return Identity{}, err
	}
	return Identity{Certificate: e.Certificate, Chain: e.Chain, Key: signer}, nil
}

// readEntry reads one file; every problem is in the entry's Err.
func readEntry(path, stem string) Entry {
	data, err := privatefile.Read(path, maxFile)
	if err != nil {
		return Entry{Path: path, Err: fmt.Errorf("the certificate's entry cannot be used: %w", err)}
	}
	e, err := decodeEntry(data)
	if err == nil && string(ThumbprintOf(e.Certificate)) != strings.ToUpper(stem) {
		err = fmt.Errorf("the file is named after another certificate than the one in it (%s)", ThumbprintOf(e.Certificate))
	}
	var newer *connections.NewerSchemaError
	if errors.As(err, &newer) {
		newer.Path = path
	} else if err != nil {
		err = &connections.DamagedError{Path: path, Err: err}
	}
	if err != nil {
		return Entry{Path: path, Err: err}
	}
	e.Path = path
	return e
}
