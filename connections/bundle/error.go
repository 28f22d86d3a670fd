package bundle

import (
	"errors"
	"fmt"
)

// Errors that callers tell apart with errors.Is.
var (
	// ErrNotABundle: the file is something else.
	ErrNotABundle = errors.New("this is no bundle of c2conn: neither one encrypted with age nor its JSON text")
	// ErrTooLarge: more bytes than any bundle has.
	ErrTooLarge = fmt.Errorf("the bundle is larger than %d MiB", MaxSize>>20)
	// ErrPassphraseNeeded: the bundle is encrypted with a passphrase and none was given.
	ErrPassphraseNeeded = errors.New("the bundle is encrypted with a passphrase")
	// ErrIdentityNeeded: the bundle is encrypted to keys and none was given.
	ErrIdentityNeeded = errors.New("the bundle is encrypted to the keys of its recipients")
	// ErrWrongPassphrase: the passphrase does not open the bundle.
	ErrWrongPassphrase = errors.New("the passphrase does not open the bundle; check capital letters and the keyboard layout (damage in the first two lines of the file looks the same)")
	// ErrWrongIdentity: none of the keys is one that the bundle was encrypted to.
	ErrWrongIdentity = errors.New("the bundle was not encrypted to this key; take the private key that belongs to one of the --recipient keys of the export (damage in the first lines of the file looks the same)")
	// ErrKeyPassphraseNeeded: the SSH key is itself protected, and nobody was there to ask.
	ErrKeyPassphraseNeeded = errors.New("the SSH key is protected with a passphrase, which is asked for in a terminal only")
	// ErrWrongKeyPassphrase: the passphrase does not open the SSH key.
	ErrWrongKeyPassphrase = errors.New("the passphrase does not open the SSH key")
	// ErrNoIdentity: the file holds no private key that can open a bundle.
	ErrNoIdentity = errors.New("the file holds neither an age identity (a line that starts with AGE-SECRET-KEY-) nor an SSH private key of the kinds ed25519 and rsa")
)

// DamagedError says that a bundle was changed or cut on its way. The text never
// repeats what the bundle holds.
type DamagedError struct{ Err error }

// Error says what was found and what to do.
func (e *DamagedError) Error() string {
	return fmt.Sprintf("the bundle is damaged: %v; copy it again, or export again", e.Err)
}

// Unwrap returns the cause.
func (e *DamagedError) Unwrap() error { return e.Err }

// NewerSchemaError says that the bundle was made by a later version of c2conn.
type NewerSchemaError struct{ Found int }

// Error says which versions this program reads.
func (e *NewerSchemaError) Error() string {
	return fmt.Sprintf("the bundle has schema version %d, this program reads versions up to %d; import it with a newer c2conn", e.Found, SchemaVersion)
}

// RecipientError says why a text is no recipient.
type RecipientError struct {
	Line   int // of a file, 0 for a single one
	Reason string
}

// Error gives the line and the reason.
func (e *RecipientError) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("line %d: %s", e.Line, e.Reason)
	}
	return e.Reason
}
