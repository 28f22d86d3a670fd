package connections

import (
	"errors"
	"fmt"
	"time"
)

// Errors that callers tell apart with errors.Is. What is returned wraps them
// and says more.
var (
	// ErrNotFound: there is no connection or secret of that name or id.
	ErrNotFound = errors.New("not found")
	// ErrExists: a connection of that name (in any case) or id is already there.
	ErrExists = errors.New("already exists")
	// ErrChanged: the file was changed by another program during an Update.
	ErrChanged = errors.New("changed by another program")
	// ErrNoKeyring: a secret cannot be kept here, because there is neither a
	// working keychain nor a passphrase nor an identity file.
	ErrNoKeyring = errors.New("no keychain and no passphrase")
	// ErrPassphraseNeeded: the identity is protected by a passphrase and none was given.
	ErrPassphraseNeeded = errors.New("passphrase needed")
	// ErrWrongPassphrase: the passphrase does not open the identity.
	ErrWrongPassphrase = errors.New("wrong passphrase")
	// ErrIdentityMissing: the identity to which the secrets are encrypted is gone.
	ErrIdentityMissing = errors.New("identity missing")
	// ErrNoEntry is what a Keychain returns when it works but holds no such entry.
	ErrNoEntry = errors.New("no such keychain entry")
)

// NoKeyringError says why a secret cannot be kept here. It is ErrNoKeyring to errors.Is.
type NoKeyringError struct {
	Reason string // why the keychain is of no use, in a few words
}

// Error says why and which ways there are.
func (e *NoKeyringError) Error() string {
	return fmt.Sprintf("a secret is only saved encrypted, and there is no place for the key (%s); set %s, or %s to a file for the key, or refer to the secret with env:, file: or exec: instead",
		e.Reason, envPassphrase, envIdentity)
}

// Is makes the error an ErrNoKeyring.
func (e *NoKeyringError) Is(target error) bool { return target == ErrNoKeyring }

// FieldError says what is wrong with one field of a Connection. Field is its
// path in the YAML, e.g. "credential.type".
type FieldError struct {
	Field  string
	Reason string
}

// Error names the field and the reason.
func (e *FieldError) Error() string { return e.Field + ": " + e.Reason }

// DamagedError says that a file of the store cannot be used. It is left as it is.
type DamagedError struct {
	Path string
	Line int // 1-based, 0 where unknown
	Err  error
}

// Error says which file, which line, why, and what to do.
func (e *DamagedError) Error() string {
	where := e.Path
	if e.Line > 0 {
		where = fmt.Sprintf("%s, line %d", e.Path, e.Line)
	}
	return fmt.Sprintf("%s: %v; the file was left as it is, mend it by hand or move it away", where, e.Err)
}

// Unwrap returns the cause.
func (e *DamagedError) Unwrap() error { return e.Err }

// NewerSchemaError says that a file was written by a later version of c2conn.
type NewerSchemaError struct {
	Path  string
	Found int // schema version of the file
}

// Error says which version is needed.
func (e *NewerSchemaError) Error() string {
	return fmt.Sprintf("%s has schema version %d, this program knows versions up to %d; the file was left as it is, use a newer c2conn for it",
		e.Path, e.Found, SchemaVersion)
}

// PermissionProblem says what is wrong with the access to a file or directory.
type PermissionProblem string

// The problems of a PermissionError.
const (
	OtherOwner  PermissionProblem = "other-owner"  // belongs to another user
	TooOpen     PermissionProblem = "too-open"     // other users can read or change it
	TooWritable PermissionProblem = "too-writable" // other users can change it; reading it does no harm
	ReadOnly    PermissionProblem = "read-only"    // on a read-only file system
	NoAccess    PermissionProblem = "no-access"    // this user may not read or write it
)

// PermissionError says that a file or directory of the store has the wrong
// owner or access rights.
type PermissionError struct {
	Path    string
	Problem PermissionProblem
	Dir     bool  // Path is a directory
	Err     error // may be nil
}

// Error says what is wrong and which command mends it.
func (e *PermissionError) Error() string {
	mode := "600"
	if e.Dir {
		mode = "700"
	}
	switch e.Problem {
	case OtherOwner:
		return fmt.Sprintf("%s belongs to another user and is not trusted; make it your own (chown) or choose another directory with C2CONN_HOME", e.Path)
	case TooOpen:
		return fmt.Sprintf("%s can be read or changed by other users and is not trusted; close it with: chmod %s %s", e.Path, mode, e.Path)
	case TooWritable:
		return fmt.Sprintf("%s can be changed by other users and is not trusted; close it with: chmod go-w %s", e.Path, e.Path)
	case ReadOnly:
		return fmt.Sprintf("%s is on a read-only file system; choose another directory with C2CONN_HOME", e.Path)
	default:
		return fmt.Sprintf("this user may not read or write %s; change its access rights or choose another directory with C2CONN_HOME", e.Path)
	}
}

// Unwrap returns the cause, if there is one.
func (e *PermissionError) Unwrap() error { return e.Err }

// FullError says that the disk or the quota is full. What was there before is unharmed.
type FullError struct {
	Path string
	Err  error
}

// Full gives err a *FullError around it that names what was written, where err says
// that the disk or the quota is full; else it is err itself.
func Full(path string, err error) error {
	if err == nil || !isFull(err) || errors.As(err, new(*FullError)) {
		return err
	}
	return &FullError{Path: path, Err: err}
}

// Error says where there is no room.
func (e *FullError) Error() string {
	return fmt.Sprintf("no room left to write %s (disk or quota full); what was saved before is unharmed, make room and try again", e.Path)
}

// Unwrap returns the cause.
func (e *FullError) Unwrap() error { return e.Err }

// LockedError says that another process kept the store locked for too long.
type LockedError struct {
	Path   string
	Waited time.Duration
}

// Error says what was waited for and how long.
func (e *LockedError) Error() string {
	return fmt.Sprintf("another process is writing to the store and did not finish within %s (lock file %s); try again when it has ended",
		e.Waited.Round(time.Second), e.Path)
}

// KeychainError says that the keychain of the operating system did not do what
// was asked: it is locked, refused, or gave no answer.
type KeychainError struct {
	Err error
}

// Error gives the reason and what to do.
func (e *KeychainError) Error() string {
	return fmt.Sprintf("the keychain that holds the key to the saved secrets cannot be used (%s); unlock it (sign in to the desktop session) and try again", clean(errText(e.Err)))
}

// Unwrap returns the cause.
func (e *KeychainError) Unwrap() error { return e.Err }

// ReferenceError says that what a Ref points to could not be read. It never
// holds the value, nor the arguments of a command.
type ReferenceError struct {
	Ref string // scheme and name; of a command only its first word
	Err error
}

// Error gives the reference and the reason.
func (e *ReferenceError) Error() string { return fmt.Sprintf("secret %s: %v", e.Ref, e.Err) }

// Unwrap returns the cause.
func (e *ReferenceError) Unwrap() error { return e.Err }

func errText(err error) string {
	if err == nil {
		return "no reason given"
	}
	return err.Error()
}
