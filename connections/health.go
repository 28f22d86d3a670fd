package connections

import (
	"context"
	"errors"
	"io/fs"
	"os"
)

// Health is the state of a store's folders, and where the key to its secrets lives.
type Health struct {
	Exists bool   // something was saved already
	Busy   bool   // another process is writing at this moment
	Key    string // "keychain", "passphrase" or "file"; "" as long as no secret was saved
}

// Health looks at the folders as a writer would, without waiting for other writers, and
// writes and removes an empty file. Errors: *PermissionError, *FullError, *DamagedError,
// *NewerSchemaError, or that of the system.
func (s *Store) Health(ctx context.Context) (Health, error) {
	if ctx.Err() != nil {
		return Health{}, context.Cause(ctx)
	}
	var h Health
	for _, dir := range []string{s.connections, s.secrets} {
		err := s.checkDirs(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return h, err
		}
		h.Exists = true
		unlock, ok := s.tryLock(dir)
		if !ok {
			h.Busy = true
			continue
		}
		unlock()
	}
	if !h.Exists {
		return h, nil
	}
	k, err := s.readKeyring()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return h, err
	}
	h.Key = k.Mode
	f, err := os.CreateTemp(s.o.Dir, ".health-*")
	if err != nil {
		return h, dirError(err, s.o.Dir)
	}
	_, err = f.WriteString("c2conn")
	return h, dirError(errors.Join(err, f.Sync(), f.Close(), os.Remove(f.Name())), s.o.Dir)
}

// OpenKey opens the key to the secrets, which may ask for the passphrase. Errors:
// ErrPassphraseNeeded, ErrWrongPassphrase, ErrIdentityMissing, *KeychainError,
// *DamagedError, *PermissionError.
func (s *Store) OpenKey(ctx context.Context) error {
	_, err := s.openIdentity(ctx)
	return err
}
