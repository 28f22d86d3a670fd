package connections

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"filippo.io/age"
	"go.yaml.in/yaml/v3"
)

// Where the key to the secrets (an age X25519 identity) can live.
const (
	modePassphrase = "passphrase" // in secrets/, encrypted with a passphrase
	modeFile       = "file"       // in a file that the administrator looks after
	modeKeychain   = "keychain"   // in the keychain of the operating system
)

const (
	keyringName   = "store.yaml"
	envPassphrase = "C2CONN_PASSPHRASE" //nolint:gosec // the name of a variable, not a secret
	envIdentity   = "C2CONN_IDENTITY_FILE"

	probeLimit = 3 * time.Second
)

// keyring is secrets/store.yaml: the public half of the key and where the
// other half is. It is written once, after the key is safe, and never replaced.
type keyring struct {
	Schema    int       `yaml:"schema"`
	Mode      string    `yaml:"mode"`
	Recipient string    `yaml:"recipient"`
	Account   string    `yaml:"account,omitempty"` // keychain entry
	File      string    `yaml:"file,omitempty"`    // passphrase: a name in secrets/; file: an absolute path
	Created   time.Time `yaml:"created"`
}

func (s *Store) keyringPath() string { return filepath.Join(s.secrets, keyringName) }

// readKeyring returns fs.ErrNotExist where no key was made yet.
func (s *Store) readKeyring() (keyring, error) {
	if err := s.checkDirs(s.secrets); err != nil {
		return keyring{}, err
	}
	path := s.keyringPath()
	data, _, err := s.disk.read(path)
	if err != nil {
		return keyring{}, err
	}
	return parseKeyring(path, data)
}

// parseKeyring reads secrets/store.yaml. path is only used in errors, which are
// *DamagedError or *NewerSchemaError.
func parseKeyring(path string, data []byte) (keyring, error) {
	var k keyring
	if err := yaml.Unmarshal(data, &k); err != nil {
		line, err := plainYAMLError(err)
		return keyring{}, &DamagedError{Path: path, Line: line, Err: err}
	}
	if k.Schema > SchemaVersion {
		return keyring{}, &NewerSchemaError{Path: path, Found: k.Schema}
	}
	_, err := age.ParseX25519Recipient(k.Recipient)
	// The texts end up in messages.
	ok := err == nil && k.Schema == SchemaVersion && !strings.ContainsFunc(k.Recipient+k.File+k.Account, hidden)
	switch k.Mode {
	case modePassphrase:
		ok = ok && strings.HasSuffix(k.File, secretEnding) && !strings.ContainsAny(k.File, `/\:`)
	case modeFile:
		ok = ok && absolute(k.File)
	case modeKeychain:
		ok = ok && k.Account != ""
	default:
		ok = false
	}
	if !ok {
		return keyring{}, &DamagedError{Path: path, Err: errors.New("it does not say where the key to the secrets is")}
	}
	return k, nil
}

// SecretsReady tells whether a secret can be kept here, and creates nothing.
// Where no key was made yet, it may try the keychain by writing and deleting a
// probe. Errors: ErrNoKeyring with the reason, *PermissionError, *DamagedError.
func (s *Store) SecretsReady(ctx context.Context) error {
	k, err := s.readKeyring()
	if err == nil {
		return s.proveKey(ctx, k)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	plan, err := s.chooseMode(ctx)
	if err != nil {
		return err
	}
	if plan == modeFile {
		_, err := readIdentityFile(&s.disk, s.o.Getenv(envIdentity))
		if errors.Is(err, fs.ErrNotExist) {
			_, err = os.Stat(filepath.Dir(s.o.Getenv(envIdentity)))
		}
		return err
	}
	return nil
}

// proveKey makes sure, as far as that asks nobody, that what is saved now can be
// read again: a wrong passphrase in the environment, or an identity file that is
// gone, would otherwise show only when the secret is needed.
func (s *Store) proveKey(ctx context.Context, k keyring) error {
	if k.Mode == modeFile || k.Mode == modePassphrase && s.o.Getenv(envPassphrase) != "" {
		_, err := s.openIdentity(ctx)
		return err
	}
	return nil
}

// chooseMode decides where a new key is to live.
func (s *Store) chooseMode(ctx context.Context) (string, error) {
	if s.o.Getenv(envPassphrase) != "" {
		return modePassphrase, nil
	}
	if path := s.o.Getenv(envIdentity); path != "" {
		if !filepath.IsAbs(path) {
			return "", fmt.Errorf("%s must be an absolute path", envIdentity)
		}
		return modeFile, nil
	}
	reason := s.probeKeychain(ctx)
	if reason == nil {
		return modeKeychain, nil
	}
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if s.o.Passphrase != nil {
		return modePassphrase, nil
	}
	return "", &NoKeyringError{Reason: clean(reason.Error())}
}

// probeKeychain tells why the keychain cannot be used, nil if it can. Some
// only fail on the first write, so that is tried.
func (s *Store) probeKeychain(ctx context.Context) error {
	if s.o.Keychain == nil {
		return errors.New("this system offers none")
	}
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	id, err := s.newID()
	if err != nil {
		return err
	}
	account := "probe-" + id
	if err := s.o.Keychain.Set(ctx, account, id); err != nil {
		return fmt.Errorf("the keychain cannot be written to: %w", err)
	}
	got, err := s.o.Keychain.Get(ctx, account)
	if derr := s.o.Keychain.Delete(ctx, account); err == nil {
		err = derr
	}
	if err != nil {
		return fmt.Errorf("the keychain cannot be read: %w", err)
	}
	if got != id {
		return errors.New("the keychain does not give back what was put in")
	}
	return nil
}

// recipient returns the public half of the key and makes the key where there is none.
func (s *Store) recipient(ctx context.Context) (age.Recipient, error) {
	k, err := s.readKeyring()
	if errors.Is(err, fs.ErrNotExist) {
		k, err = s.createKey(ctx)
	}
	if err != nil {
		return nil, err
	}
	return age.ParseX25519Recipient(k.Recipient)
}

// createKey makes the key. What needs waiting for a person or a keychain comes
// before the lock. The private half is safe before store.yaml names the public
// one; until then nothing can be encrypted to it.
func (s *Store) createKey(ctx context.Context) (keyring, error) {
	mode, err := s.chooseMode(ctx)
	if err != nil {
		return keyring{}, err
	}
	var passphrase Secret
	if mode == modePassphrase {
		if passphrase, err = s.passphrase(ctx, true); err != nil {
			return keyring{}, err
		}
	}
	unlock, err := s.begin(ctx, s.secrets, s.secretTemps)
	if err != nil {
		return keyring{}, err
	}
	defer unlock()
	// Another process may have been faster.
	if k, err := s.readKeyring(); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return keyring{}, fmt.Errorf("making a key: %w", err)
	}
	k := keyring{Schema: SchemaVersion, Mode: mode, Created: s.o.Now().UTC().Truncate(time.Second)}
	switch mode {
	case modePassphrase:
		identity, err = s.keepUnderPassphrase(&k, identity, passphrase)
	case modeFile:
		identity, err = s.keepInFile(&k, identity)
	default:
		k.Account = identity.Recipient().String()
		err = s.keepInKeychain(ctx, k.Account, identity)
	}
	if err != nil {
		return keyring{}, err
	}
	k.Recipient = identity.Recipient().String()
	data, err := yaml.Marshal(k)
	if err != nil {
		return keyring{}, fmt.Errorf("noting where the key is: %w", err)
	}
	if _, err := s.disk.replace(s.keyringPath(), s.secretTemps, data); err != nil {
		return keyring{}, err
	}
	s.mu.Lock()
	s.identity = identity
	s.mu.Unlock()
	return k, nil
}

func (s *Store) keepUnderPassphrase(k *keyring, identity *age.X25519Identity, passphrase Secret) (*age.X25519Identity, error) {
	lock, err := age.NewScryptRecipient(string(passphrase.Reveal()))
	if err != nil {
		return nil, fmt.Errorf("protecting the key: %w", err)
	}
	if s.o.ScryptLogN > 0 {
		lock.SetWorkFactor(s.o.ScryptLogN)
	}
	sealed, err := seal([]byte(identity.String()+"\n"), lock)
	if err != nil {
		return nil, err
	}
	// A name of its own, so that no key ever replaces another.
	id, err := s.newID()
	if err != nil {
		return nil, err
	}
	k.File = "identity-" + id + secretEnding
	_, err = s.disk.replace(filepath.Join(s.secrets, k.File), s.secretTemps, sealed)
	return identity, err
}

// keepInFile uses the key that is in the file, or puts the new one there.
func (s *Store) keepInFile(k *keyring, identity *age.X25519Identity) (*age.X25519Identity, error) {
	k.File = s.o.Getenv(envIdentity)
	there, err := readIdentityFile(&s.disk, k.File)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return there, err
	}
	dir := filepath.Dir(k.File)
	text := fmt.Sprintf("# key to the secrets that c2conn keeps; public key: %s\n%s\n", identity.Recipient(), identity)
	tmp, _, err := s.disk.prepare(k.File, dir, []byte(text))
	if err != nil {
		return nil, err
	}
	defer os.Remove(tmp) //nolint:errcheck // gone already on success
	// Link, unlike rename, never replaces a file that has appeared meanwhile.
	if err := s.disk.link(tmp, k.File); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return readIdentityFile(&s.disk, k.File)
		}
		return nil, err
	}
	return identity, s.disk.syncDir(dir)
}

func (s *Store) keepInKeychain(ctx context.Context, account string, identity *age.X25519Identity) error {
	if err := s.o.Keychain.Set(ctx, account, identity.String()); err != nil {
		return &KeychainError{Err: err}
	}
	got, err := s.o.Keychain.Get(ctx, account)
	if err == nil && got != identity.String() {
		err = errors.New("it does not give back what was put in")
	}
	if err != nil {
		return &KeychainError{Err: err}
	}
	return nil
}

func (s *Store) openFromFile(k keyring) (*age.X25519Identity, error) {
	path := k.File
	if now := s.o.Getenv(envIdentity); now != "" {
		path = now // the file may be mounted elsewhere today
	}
	identity, err := readIdentityFile(&s.disk, path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, missingFile(path)
	}
	return identity, err
}

func (s *Store) openFromKeychain(ctx context.Context, k keyring) (*age.X25519Identity, error) {
	if s.o.Keychain == nil {
		return nil, &KeychainError{Err: errors.New("there is none in this session")}
	}
	text, err := s.o.Keychain.Get(ctx, k.Account)
	switch {
	case errors.Is(err, ErrNoEntry):
		return nil, fmt.Errorf("%w: the keychain has no entry %q any more, so the saved secrets cannot be read; bring the keychain back from a backup, or enter the secrets again", ErrIdentityMissing, k.Account)
	case err != nil && ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, &KeychainError{Err: err}
	}
	identity, err := age.ParseX25519Identity(strings.TrimSpace(text))
	if err != nil {
		return nil, fmt.Errorf("%w: the keychain entry %q does not hold a key", ErrIdentityMissing, k.Account)
	}
	return identity, nil
}

func missingFile(path string) error {
	return fmt.Errorf("%w: the file %s with the key to the secrets is gone; bring it back from a backup, or enter the secrets again", ErrIdentityMissing, path)
}

// readIdentityFile reads a key from a file that the user named, which must be
// closed to others. A link is followed, as mounted secrets are links.
func readIdentityFile(d *disk, path string) (*age.X25519Identity, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fileError(err, path)
	}
	if err := d.trusted(path, factsOf(info)); err != nil {
		return nil, err
	}
	data, err := readSecretFile(path)
	if err != nil {
		return nil, fileError(err, path)
	}
	return parseIdentity(path, data)
}

// parseIdentity never passes on the reader's own error, which could quote the key.
func parseIdentity(path string, data []byte) (*age.X25519Identity, error) {
	all, err := age.ParseIdentities(bytes.NewReader(data))
	if err == nil {
		for _, i := range all {
			if x, ok := i.(*age.X25519Identity); ok {
				return x, nil
			}
		}
	}
	return nil, &DamagedError{Path: path, Err: errors.New("it holds no age key (a line that starts with AGE-SECRET-KEY-1)")}
}
