package bundle

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"filippo.io/age/armor"
	"golang.org/x/crypto/ssh"

	"github.com/c2conn/c2conn/connections"
)

// binary is how a file of age begins that is not armored.
const binary = "age-encryption.org/v1"

// maxWork is the largest scrypt work factor (2^n) that a foreign bundle may ask for:
// four times that of age, some seconds.
const maxWork = 20

// Sealed tells whether data is encrypted with age, armored or not.
func Sealed(data []byte) bool {
	return armored(data) || bytes.HasPrefix(data, []byte(binary))
}

func armored(data []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(data[:min(len(data), 1024)], " \t\r\n\ufeff"), []byte(armor.Header))
}

// Seal encrypts a marshalled bundle and gives armored text, which survives mail and
// terminals.
func Seal(plain connections.Secret, to ...age.Recipient) ([]byte, error) {
	var b bytes.Buffer
	a := armor.NewWriter(&b)
	w, err := age.Encrypt(a, to...)
	if err == nil {
		_, err = w.Write(plain.Reveal())
	}
	if err == nil {
		err = w.Close()
	}
	if err == nil {
		err = a.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("encrypting the bundle: %w", err)
	}
	return b.Bytes(), nil
}

// Unseal decrypts a bundle. What is not encrypted is given back as it is. Errors:
// ErrPassphraseNeeded, ErrIdentityNeeded, ErrWrongPassphrase, ErrWrongIdentity,
// ErrNotABundle, ErrTooLarge, *DamagedError.
func Unseal(data []byte, with ...age.Identity) (connections.Secret, error) {
	switch {
	case len(data) > MaxSize:
		return connections.Secret{}, ErrTooLarge
	case !Sealed(data) && bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")):
		return connections.NewSecret(data), nil
	case !Sealed(data):
		return connections.Secret{}, ErrNotABundle
	}
	var src io.Reader = bytes.NewReader(data)
	if armored(data) {
		src = armor.NewReader(bytes.NewReader(bytes.TrimPrefix(data, []byte("\ufeff"))))
	}
	probe := &asked{}
	r, err := age.Decrypt(src, append(slices.Clone(with), probe)...)
	var none *age.NoIdentityMatchError
	if errors.As(err, &none) {
		protected := slices.Contains(none.StanzaTypes, "scrypt")
		given := slices.ContainsFunc(with, func(i age.Identity) bool { _, ok := i.(*age.ScryptIdentity); return ok })
		switch {
		case protected && !given:
			return connections.Secret{}, ErrPassphraseNeeded
		case protected:
			return connections.Secret{}, ErrWrongPassphrase
		case len(with) == 0 || given && len(with) == 1:
			return connections.Secret{}, ErrIdentityNeeded
		}
		return connections.Secret{}, ErrWrongIdentity
	}
	if err != nil {
		return connections.Secret{}, &DamagedError{Err: err}
	}
	plain, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	if err != nil {
		return connections.Secret{}, &DamagedError{Err: err}
	}
	if len(plain) > MaxSize {
		return connections.Secret{}, ErrTooLarge
	}
	return connections.NewSecret(plain), nil
}

// asked is an identity that opens nothing: age wants at least one to read the header.
type asked struct{}

func (*asked) Unwrap([]*age.Stanza) ([]byte, error) { return nil, age.ErrIncorrectIdentity }

// PassphraseRecipient encrypts to a passphrase. logN is the work factor, 0 that of age.
func PassphraseRecipient(passphrase connections.Secret, logN int) (age.Recipient, error) {
	r, err := age.NewScryptRecipient(string(passphrase.Reveal()))
	if err != nil {
		return nil, errors.New("the passphrase is empty")
	}
	if logN > 0 {
		r.SetWorkFactor(logN)
	}
	return r, nil
}

// PassphraseIdentity opens what was encrypted to a passphrase.
func PassphraseIdentity(passphrase connections.Secret) (age.Identity, error) {
	i, err := age.NewScryptIdentity(string(passphrase.Reveal()))
	if err != nil {
		return nil, errors.New("the passphrase is empty")
	}
	i.SetMaxWorkFactor(maxWork)
	return i, nil
}

// ParseRecipient reads one recipient: age1…, or an SSH public key of the kinds
// ssh-ed25519 and ssh-rsa as in an authorized_keys file. Error: *RecipientError.
func ParseRecipient(s string) (age.Recipient, error) {
	s = strings.TrimSpace(s)
	switch {
	case strings.Contains(s, "AGE-SECRET-KEY-") || strings.Contains(s, "PRIVATE KEY"):
		return nil, &RecipientError{Reason: "this is a private key; a recipient is the public one (age1…, ssh-ed25519 …)"} // never repeated
	case strings.HasPrefix(s, "age1"):
		all, err := age.ParseRecipients(strings.NewReader(s))
		if err != nil || len(all) != 1 {
			return nil, &RecipientError{Reason: "this is no whole age recipient; copy it again, from age1 to its end"}
		}
		return all[0], nil
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(s))
	if err != nil {
		return nil, &RecipientError{Reason: "this is neither an age recipient (age1…) nor an SSH public key (ssh-ed25519 …, ssh-rsa …)"}
	}
	var r age.Recipient
	switch key.Type() {
	case ssh.KeyAlgoED25519:
		r, err = agessh.NewEd25519Recipient(key)
	case ssh.KeyAlgoRSA:
		r, err = agessh.NewRSARecipient(key)
	default:
		return nil, &RecipientError{Reason: fmt.Sprintf("an SSH key of the kind %q cannot be encrypted to; ssh-ed25519 and ssh-rsa can", key.Type())}
	}
	if err != nil {
		return nil, &RecipientError{Reason: "this SSH key cannot be encrypted to; an RSA key needs 2048 bits or more"}
	}
	return r, nil
}

// ParseRecipients reads a file of recipients, one a line; an authorized_keys file is
// one. Empty lines and comments do not count. A line that is none is an error, because
// whoever it stands for could not open the bundle.
func ParseRecipients(data []byte) ([]age.Recipient, error) {
	var all []age.Recipient
	for n, line := range strings.Split(strings.TrimPrefix(string(data), "\ufeff"), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		r, err := ParseRecipient(line)
		var bad *RecipientError
		if errors.As(err, &bad) {
			bad.Line = n + 1
		}
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	if len(all) == 0 {
		return nil, &RecipientError{Reason: "the file holds no recipient"}
	}
	return all, nil
}

// ParseIdentities reads the private keys of a file: age identities, or one SSH key.
// ask gives the passphrase of a protected SSH key; nil where nobody can be asked.
// Errors: ErrNoIdentity, ErrKeyPassphraseNeeded, ErrWrongKeyPassphrase, that of ask.
func ParseIdentities(data []byte, ask func() (connections.Secret, error)) ([]age.Identity, error) {
	if !bytes.Contains(data, []byte("PRIVATE KEY-----")) {
		all, err := age.ParseIdentities(bytes.NewReader(data))
		if err != nil || len(all) == 0 {
			return nil, ErrNoIdentity // the reader's own error may quote the key
		}
		return all, nil
	}
	key, err := ssh.ParseRawPrivateKey(data)
	var protected *ssh.PassphraseMissingError
	if errors.As(err, &protected) {
		if ask == nil {
			return nil, ErrKeyPassphraseNeeded
		}
		passphrase, failed := ask()
		if failed != nil {
			return nil, failed
		}
		key, err = ssh.ParseRawPrivateKeyWithPassphrase(data, passphrase.Reveal())
		if errors.Is(err, x509.IncorrectPasswordError) {
			return nil, ErrWrongKeyPassphrase
		}
	}
	if err != nil {
		return nil, ErrNoIdentity
	}
	var identity age.Identity
	switch k := key.(type) {
	case *ed25519.PrivateKey:
		identity, err = agessh.NewEd25519Identity(*k)
	case ed25519.PrivateKey:
		identity, err = agessh.NewEd25519Identity(k)
	case *rsa.PrivateKey:
		identity, err = agessh.NewRSAIdentity(k)
	default:
		err = ErrNoIdentity
	}
	if err != nil {
		return nil, ErrNoIdentity
	}
	return []age.Identity{identity}, nil
}
