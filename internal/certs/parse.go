package certs

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"time"
	"unicode/utf16"
)

const (
	maxFile = 1 << 20
	// maxKey bounds a private key's DER: an RSA key of 16384 bits has 9.5 KiB, and
	// the standard library's checks of a longer one would take minutes.
	maxKey = 16 << 10
)

// Parse reads a certificate with its private key from a PFX, PEM or DER file;
// which it is, is told by the content. password may be empty. Errors:
// ErrPasswordNeeded, ErrWrongPassword, ErrNoKey, ErrNotACertificate,
// ErrKeyMismatch, ErrTooLarge, ErrTooCostly, ErrUnsupportedFormat,
// *SeveralError, *KeyTooSmallError and *UnsupportedKeyError.
func Parse(data []byte, password string) (Identity, error) { return ParseChosen(data, password, "") }

// ParseChosen is Parse for a file with several certificates: choose is the
// thumbprint of the one that is wanted. An empty choose is Parse.
func ParseChosen(data []byte, password string, choose Thumbprint) (Identity, error) {
	if len(data) > maxFile {
		return Identity{}, ErrTooLarge
	}
	found, err := read(data, password)
	if err != nil {
		return Identity{}, err
	}
	return found.identity(choose)
}

// contents is what a file holds, in the order of the file.
type contents struct {
	certificates []*x509.Certificate
	keys         []crypto.Signer
}

// read tells the formats apart by content, because names of files lie.
func read(data []byte, password string) (contents, error) {
	data = plainText(data)
	if bytes.Contains(data, []byte("-----BEGIN ")) {
		return readPEM(data, password)
	}
	if der, ok := unarmoured(data); ok {
		data = der
	}
	return readDER(bytes.TrimSpace(data), data, password)
}

// plainText removes a byte order mark and undoes UTF-16, which Windows
// PowerShell's redirection and Notepad write.
func plainText(data []byte) []byte {
	if rest, ok := bytes.CutPrefix(data, []byte{0xEF, 0xBB, 0xBF}); ok {
		return rest
	}
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(data, []byte{0xFF, 0xFE}):
		order = binary.LittleEndian
	case bytes.HasPrefix(data, []byte{0xFE, 0xFF}):
		order = binary.BigEndian
	default:
		return data
	}
	units := make([]uint16, 0, len(data)/2)
	for rest := data[2:]; len(rest) >= 2; rest = rest[2:] {
		units = append(units, order.Uint16(rest))
	}
	return []byte(string(utf16.Decode(units)))
}

// unarmoured decodes a file that is nothing but base64, as key vaults hand out.
func unarmoured(data []byte) ([]byte, bool) {
	text := bytes.Join(bytes.Fields(data), nil)
	if len(text) < 64 || text[0] != 'M' { // every DER sequence begins with M in base64
		return nil, false
	}
	der, err := base64.StdEncoding.DecodeString(string(text))
	return der, err == nil
}

// identity picks the certificate that a key belongs to.
func (c contents) identity(choose Thumbprint) (Identity, error) {
	if len(c.certificates) == 0 {
		if len(c.keys) > 0 {
			return Identity{}, fmt.Errorf("%w; this file holds a private key alone: put the certificate's PEM text into the same file", ErrNotACertificate)
		}
		return Identity{}, ErrNotACertificate
	}
	if len(c.keys) == 0 {
		return Identity{}, ErrNoKey
	}
	var leaves []Identity
	for _, certificate := range c.certificates {
		if seen(leaves, certificate) {
			continue
		}
		for _, key := range c.keys {
			if samePublicKey(certificate.PublicKey, key.Public()) {
				leaves = append(leaves, Identity{Certificate: certificate, Key: key})
				break
			}
		}
	}
	if choose != "" {
		leaves = chosen(leaves, choose)
		if len(leaves) == 0 {
			return Identity{}, fmt.Errorf("the file holds no certificate with the thumbprint %s and its private key: %w", choose, ErrNotFound)
		}
	}
	switch {
	case len(leaves) == 0:
		return Identity{}, ErrKeyMismatch
	case len(leaves) > 1:
		return Identity{}, several(leaves)
	}
	leaf := leaves[0]
	if err := checkKey(leaf.Key); err != nil {
		return Identity{}, err
	}
	leaf.Chain = chainOf(leaf.Certificate, c.certificates)
	return leaf, nil
}

func seen(leaves []Identity, certificate *x509.Certificate) bool {
	for _, leaf := range leaves {
		if leaf.Certificate.Equal(certificate) {
			return true
		}
	}
	return false
}

func chosen(leaves []Identity, choose Thumbprint) []Identity {
	for _, leaf := range leaves {
		if choose.Matches(leaf.Certificate) {
			return []Identity{leaf}
		}
	}
	return nil
}

func several(leaves []Identity) *SeveralError {
	e := &SeveralError{}
	for _, leaf := range leaves {
		e.Candidates = append(e.Candidates, Candidate{
			Subject:    leaf.Subject(),
			Thumbprint: leaf.Thumbprint(),
			NotAfter:   leaf.Certificate.NotAfter.UTC().Format(time.DateOnly),
		})
	}
	return e
}

// chainOf orders the issuers of leaf, nearest first, by name. Certificates that
// have nothing to do with leaf are left out.
func chainOf(leaf *x509.Certificate, all []*x509.Certificate) []*x509.Certificate {
	const longest = 10 // no honest chain is longer
	var chain []*x509.Certificate
	used := map[string]bool{string(leaf.Raw): true}
	for current := leaf; len(chain) < longest && !bytes.Equal(current.RawIssuer, current.RawSubject); {
		var issuer *x509.Certificate
		for _, c := range all {
			if !used[string(c.Raw)] && bytes.Equal(c.RawSubject, current.RawIssuer) {
				issuer = c
				break
			}
		}
		if issuer == nil {
			break
		}
		used[string(issuer.Raw)] = true
		chain = append(chain, issuer)
		current = issuer
	}
	return chain
}

func samePublicKey(a, b crypto.PublicKey) bool {
	key, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && key.Equal(b)
}

// checkKey says whether Entra ID would take the key.
func checkKey(key crypto.Signer) error {
	switch public := key.Public().(type) {
	case *rsa.PublicKey:
		if bits := public.N.BitLen(); bits < minBits {
			return &KeyTooSmallError{Bits: bits}
		}
		return nil
	case *ecdsa.PublicKey:
		return &UnsupportedKeyError{Kind: "ECDSA"}
	case ed25519.PublicKey:
		return &UnsupportedKeyError{Kind: "Ed25519"}
	default:
		return &UnsupportedKeyError{Kind: "other than RSA"}
	}
}
