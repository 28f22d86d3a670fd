package certs

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// What can be wrong with a file or a look-up; callers tell them apart with
// errors.Is. The texts are complete sentences for an administrator.
var (
	// ErrPasswordNeeded: the private key or the PFX is encrypted and no password was given.
	ErrPasswordNeeded = errors.New("the file is protected with a password; give the password")
	// ErrWrongPassword: the password does not open the file.
	ErrWrongPassword = errors.New("the password does not open the file; check capital letters and the keyboard layout (a damaged file looks the same)")
	// ErrNoKey: there is a certificate but no private key.
	ErrNoKey = errors.New("the file holds a certificate without its private key; signing in needs the key: export the certificate again with the private key (a .pfx file), or put the key's PEM text into the same file")
	// ErrNotACertificate: the content is no certificate at all, or a key alone.
	ErrNotACertificate = errors.New("no certificate is found in the file; a PFX (.pfx, .p12) or PEM file with a certificate and its private key is needed")
	// ErrKeyMismatch: the private key belongs to another certificate.
	ErrKeyMismatch = errors.New("the private key does not belong to the certificate; take both from the same export")
	// ErrTooLarge: more bytes than any certificate file has.
	ErrTooLarge = fmt.Errorf("the file is larger than %d KiB; that is no certificate file", maxFile>>10)
	// ErrTooCostly: decrypting would take longer than any honest file needs.
	ErrTooCostly = errors.New("the file asks for an unreasonable amount of work to test its password and was not opened; export the certificate again")
	// ErrUnsupportedFormat: a file of the right sort in a form c2conn cannot read.
	ErrUnsupportedFormat = errors.New("the file is in a form that c2conn does not read")
	// ErrNotExportable: the private key cannot leave its store.
	ErrNotExportable = errors.New("the private key cannot be exported: it never leaves the store that keeps it")
	// ErrNotFound: the personal store has no such certificate.
	ErrNotFound = errors.New("the personal certificate store holds no such certificate")
)

// Candidate is one certificate of a file that holds several.
type Candidate struct {
	Subject    string
	Thumbprint Thumbprint // SHA-1
	NotAfter   string     // date, e.g. 2031-11-22
}

// SeveralError says that a file holds several certificates with their private
// keys, so that one has to be chosen by its thumbprint. Candidates may be empty
// where the file does not let itself be listed.
type SeveralError struct {
	Candidates []Candidate
	Err        error // why they cannot be listed; may be nil
}

// Error lists the candidates.
func (e *SeveralError) Error() string {
	if len(e.Candidates) == 0 {
		return "the file holds several private keys; export the certificate you need alone"
	}
	var b strings.Builder
	b.WriteString("the file holds several certificates with private keys; choose one and import it with: c2conn cert import FILE --thumbprint THUMBPRINT; there are:")
	for _, c := range e.Candidates {
		fmt.Fprintf(&b, " %s (%s, valid until %s);", c.Thumbprint, c.Subject, c.NotAfter)
	}
	return strings.TrimSuffix(b.String(), ";")
}

// Unwrap returns the cause, if there is one.
func (e *SeveralError) Unwrap() error { return e.Err }

// KeyTooSmallError says that an RSA key is shorter than Entra ID accepts.
type KeyTooSmallError struct{ Bits int }

// Error gives the size and the way out.
func (e *KeyTooSmallError) Error() string {
	return fmt.Sprintf("the key has %d bits; at least %d are needed: make a new certificate (c2conn cert new)", e.Bits, minBits)
}

// UnsupportedKeyError says that the key is of a kind Entra ID does not accept
// for signing in an application.
type UnsupportedKeyError struct{ Kind string }

// Error gives the kind and the way out.
func (e *UnsupportedKeyError) Error() string {
	return fmt.Sprintf("the key is of the kind %s; Microsoft Entra ID signs applications in with RSA keys only: make an RSA certificate (c2conn cert new)", e.Kind)
}

// ThumbprintError says why a typed text is no thumbprint.
type ThumbprintError struct{ Text string }

// Error says what the text looks like.
func (e *ThumbprintError) Error() string { return e.Text }

// unsupported names the form and the way out, which is the same for all of them.
func unsupported(form string, cause error) error {
	text := form + "; convert it: openssl pkcs12 -export (or Export-PfxCertificate on Windows) writes a form that c2conn reads"
	if cause != nil {
		return fmt.Errorf("%w: %s: %s", ErrUnsupportedFormat, text, printable(cause.Error()))
	}
	return fmt.Errorf("%w: %s", ErrUnsupportedFormat, text)
}

// printable makes foreign text safe to show: no control, bidirectional or
// invisible characters, and not too long.
func printable(s string) string {
	const most = 200
	s = strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
