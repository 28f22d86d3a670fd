package connections

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"filippo.io/age"
)

const (
	promptTries  = 3
	refusalLimit = 30 * time.Second // how long wrong answers to the prompt count for those who come later
)

// opening is one attempt to open the key, which all who need it share.
type opening struct {
	done     chan struct{} // closed when the rest is filled in
	identity age.Identity
	err      error
	givenUp  bool // its caller went away: the error says nothing to the others
}

// refusal remembers that a passphrase was wrong. Testing one takes a second.
type refusal struct {
	file       string    // the protected key
	passphrase Secret    // from the environment; empty: the answers to the prompt
	until      time.Time // of answers to the prompt, as a person may try again
	err        error
}

// openIdentity returns the private half of the key. Of many callers at a time one
// opens it, and asks the user where that is needed; the others get what it got.
func (s *Store) openIdentity(ctx context.Context) (age.Identity, error) {
	for {
		s.mu.Lock()
		if s.identity != nil {
			defer s.mu.Unlock()
			return s.identity, nil
		}
		if o := s.opening; o != nil {
			s.mu.Unlock()
			if s.waiting != nil {
				s.waiting()
			}
			select {
			case <-o.done:
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
			if o.givenUp {
				continue
			}
			return o.identity, o.err
		}
		o := &opening{done: make(chan struct{}), givenUp: true}
		s.opening = o
		s.mu.Unlock()
		s.lead(ctx, o)
		return o.identity, o.err
	}
}

// lead fills in o and ends it, also when what it calls panics.
func (s *Store) lead(ctx context.Context, o *opening) {
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if o.err == nil && o.identity != nil {
			s.identity = o.identity
		}
		s.opening = nil
		close(o.done)
	}()
	identity, err := s.readIdentity(ctx)
	if err != nil {
		o.err, o.givenUp = err, ctx.Err() != nil
		return
	}
	o.identity, o.givenUp = identity, false
}

func (s *Store) readIdentity(ctx context.Context) (*age.X25519Identity, error) {
	k, err := s.readKeyring()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s is gone, so the saved secrets cannot be read; bring it back from a backup, or enter the secrets again", ErrIdentityMissing, s.keyringPath())
	}
	if err != nil {
		return nil, err
	}
	var identity *age.X25519Identity
	switch k.Mode {
	case modePassphrase:
		identity, err = s.openWithPassphrase(ctx, k)
	case modeFile:
		identity, err = s.openFromFile(k)
	default:
		identity, err = s.openFromKeychain(ctx, k)
	}
	if err != nil {
		return nil, err
	}
	if identity.Recipient().String() != k.Recipient {
		return nil, fmt.Errorf("%w: the key that was found is not the one with which the secrets were encrypted (public key %s)", ErrIdentityMissing, k.Recipient)
	}
	return identity, nil
}

// openWithPassphrase is called by one goroutine at a time, which alone uses refusal.
func (s *Store) openWithPassphrase(ctx context.Context, k keyring) (*age.X25519Identity, error) {
	given := NewSecret(s.o.Getenv(envPassphrase))
	if r := s.refusal; r.err != nil && r.file == k.File && r.passphrase.Equal(given) &&
		(!given.IsZero() || s.o.Now().Before(r.until)) {
		return nil, r.err
	}
	path := filepath.Join(s.secrets, k.File)
	sealed, _, err := s.disk.read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, missingFile(path)
	}
	if err != nil {
		return nil, err
	}
	tries := promptTries
	if !given.IsZero() {
		tries = 1
	}
	for try := 1; ; try++ {
		passphrase, err := s.passphrase(ctx, false)
		if err != nil {
			return nil, err
		}
		identity, err := openSealed(path, sealed, passphrase)
		if !errors.Is(err, ErrWrongPassphrase) {
			return identity, err
		}
		if try == tries {
			s.refusal = refusal{file: k.File, passphrase: given, until: s.o.Now().Add(refusalLimit), err: err}
			return nil, err
		}
	}
}

func openSealed(path string, sealed []byte, passphrase Secret) (*age.X25519Identity, error) {
	lock, err := age.NewScryptIdentity(string(passphrase.Reveal()))
	if err != nil {
		return nil, ErrPassphraseNeeded
	}
	plain, err := unseal(sealed, lock)
	var wrong *age.NoIdentityMatchError
	if errors.As(err, &wrong) {
		return nil, fmt.Errorf("%w: it does not open %s; check %s or type it again", ErrWrongPassphrase, path, envPassphrase)
	}
	if err != nil {
		return nil, &DamagedError{Path: path, Err: err}
	}
	return parseIdentity(path, plain)
}

// passphrase takes the passphrase from the environment or asks for it.
func (s *Store) passphrase(ctx context.Context, confirm bool) (Secret, error) {
	if p := s.o.Getenv(envPassphrase); p != "" {
		return NewSecret(p), nil
	}
	if s.o.Passphrase == nil {
		return Secret{}, fmt.Errorf("%w: the key to the saved secrets is protected by a passphrase; set %s, or run in a terminal to be asked", ErrPassphraseNeeded, envPassphrase)
	}
	p, err := s.o.Passphrase(ctx, confirm)
	if err != nil {
		return Secret{}, fmt.Errorf("asking for the passphrase: %w", err)
	}
	if p.IsZero() {
		return Secret{}, fmt.Errorf("%w: nothing was typed", ErrPassphraseNeeded)
	}
	return p, nil
}
