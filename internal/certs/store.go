package certs

import (
	"context"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/c2conn/c2conn/connections"
)

// Entry is one certificate of the personal store. Where Err is set the entry is
// damaged: Path and Err say which file and why, and the rest may be empty.
type Entry struct {
	Certificate *x509.Certificate
	Chain       []*x509.Certificate
	Ref         connections.Ref // where the private key is: "store:ULID" or "windows:THUMBPRINT"
	HasKey      bool
	Imported    time.Time // zero where the store does not record it (Windows)
	Path        string    // the entry's file; empty on Windows
	Err         error
}

// Thumbprint is the SHA-1 of the entry's certificate, empty for a damaged entry.
func (e Entry) Thumbprint() Thumbprint { return ThumbprintOf(e.Certificate) }

// Store keeps the user's certificates with their private keys. It is the
// personal store of Windows (CurrentUser\My) there, and c2conn's own elsewhere.
type Store interface {
	// List gives all entries by subject and thumbprint; a damaged one is an Entry
	// with Err and hides no other. No private key is decrypted.
	List(ctx context.Context) ([]Entry, error)
	// Find gives the entry of a SHA-1 or SHA-256 thumbprint, or ErrNotFound.
	Find(ctx context.Context, t Thumbprint) (Entry, error)
	// Import keeps an identity. A certificate that is there already stays as it
	// is and its entry is returned.
	Import(ctx context.Context, i Identity) (Entry, error)
	// Delete removes the certificate and its private key, or gives ErrNotFound.
	Delete(ctx context.Context, t Thumbprint) error
	// Identity gives the certificate with its private key, for signing.
	Identity(ctx context.Context, e Entry) (Identity, error)
}

// Refs gives the references to the private keys of all entries, as
// connections.Store.Orphans wants them. A damaged entry is an error, as nobody
// knows what it refers to.
func Refs(ctx context.Context, s Store) ([]connections.Ref, error) {
	entries, err := s.List(ctx)
	if err != nil {
		return nil, err
	}
	var refs []connections.Ref
	for _, e := range entries {
		if e.Err != nil {
			return nil, fmt.Errorf("which private keys are in use cannot be told: %w", e.Err)
		}
		if e.HasKey {
			refs = append(refs, e.Ref)
		}
	}
	return refs, nil
}
