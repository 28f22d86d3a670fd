// Package certs makes, reads, keeps and exports the certificates with which an
// application signs in to Microsoft Entra ID. It hides the file formats (PFX,
// PEM, DER, their encryptions), the checks on foreign bytes, and whether the
// personal store is the one of Windows or c2conn's own.
package certs

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // a thumbprint is a name, not a proof
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"software.sslmate.com/src/go-pkcs12"

	"github.com/c2conn/c2conn/connections"
)

// Entra ID refuses shorter RSA keys in certificates.
const minBits = 2048

const (
	pemCertificate  = "CERTIFICATE"
	pemKey          = "PRIVATE KEY"
	pemEncryptedKey = "ENCRYPTED PRIVATE KEY"
)

// Identity is a certificate with its private key. Printing, logging or
// marshalling it shows the certificate's name only.
type Identity struct {
	Certificate *x509.Certificate
	Chain       []*x509.Certificate // issuers, nearest first as far as the file kept that order; may be empty
	Key         crypto.Signer       // *rsa.PrivateKey, or a key that stays in the Windows store
}

// Thumbprint is the SHA-1 of the certificate, the name people know it by.
func (i Identity) Thumbprint() Thumbprint { return ThumbprintOf(i.Certificate) }

// ThumbprintSHA256 is the SHA-256 of the certificate.
func (i Identity) ThumbprintSHA256() Thumbprint { return ThumbprintSHA256Of(i.Certificate) }

// Subject is the certificate's subject, safe to print.
func (i Identity) Subject() string { return SubjectOf(i.Certificate) }

// SubjectOf gives a certificate's subject, safe to print.
func SubjectOf(c *x509.Certificate) string {
	if c == nil {
		return ""
	}
	return printable(c.Subject.String())
}

// ThumbprintOf is the SHA-1 thumbprint of a certificate.
func ThumbprintOf(c *x509.Certificate) Thumbprint {
	if c == nil {
		return ""
	}
	sum := sha1.Sum(c.Raw) //nolint:gosec // see above
	return Thumbprint(strings.ToUpper(hex.EncodeToString(sum[:])))
}

// ThumbprintSHA256Of is the SHA-256 thumbprint of a certificate.
func ThumbprintSHA256Of(c *x509.Certificate) Thumbprint {
	if c == nil {
		return ""
	}
	sum := sha256.Sum256(c.Raw)
	return Thumbprint(strings.ToUpper(hex.EncodeToString(sum[:])))
}

// PEM gives the private key (PKCS#8), the certificate and its chain as PEM text.
// ErrNotExportable for a key that stays in the Windows store.
func (i Identity) PEM() (connections.Secret, error) {
	key, err := i.KeyPEM()
	if err != nil {
		return connections.Secret{}, err
	}
	text := append(key.Reveal(), i.CertificatePEM()...)
	return connections.NewSecret(append(text, i.ChainPEM()...)), nil
}

// KeyPEM gives the private key alone (PKCS#8, not encrypted) as PEM text.
func (i Identity) KeyPEM() (connections.Secret, error) {
	key, ok := i.Key.(*rsa.PrivateKey)
	if !ok {
		return connections.Secret{}, ErrNotExportable
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return connections.Secret{}, fmt.Errorf("the private key cannot be written: %w", err)
	}
	return connections.NewSecret(pem.EncodeToMemory(&pem.Block{Type: pemKey, Bytes: der})), nil
}

// pfxIterations is far above the encoder's default of 2048, and still far below
// the sum of 600,000 at which Windows begins to refuse files.
const pfxIterations = 50_000

// PFX gives certificate, chain and key as a PFX file that is encrypted with
// password (AES-256, SHA-256; Windows 10 1709, Server 2019, OpenSSL 1.1.1 and
// later read it). An empty password is an error: the file holds the key.
func (i Identity) PFX(password string) ([]byte, error) {
	if password == "" {
		return nil, errors.New("a PFX file needs a password, because it holds the private key")
	}
	key, ok := i.Key.(*rsa.PrivateKey)
	if !ok {
		return nil, ErrNotExportable
	}
	data, err := pkcs12.Modern.WithIterations(pfxIterations).Encode(key, i.Certificate, i.Chain, password)
	if err != nil {
		// the encoder's one complaint about passwords: characters beyond the BMP
		return nil, fmt.Errorf("the PFX file cannot be made: %w", err)
	}
	return data, nil
}

// CertificatePEM gives the public part, as it is uploaded to the application's
// registration (.pem, .cer or .crt).
func (i Identity) CertificatePEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: i.Certificate.Raw})
}

// CertificateDER gives the public part in binary form (.cer).
func (i Identity) CertificateDER() []byte { return append([]byte(nil), i.Certificate.Raw...) }

// ChainPEM gives the issuers' certificates as PEM text, empty without a chain.
func (i Identity) ChainPEM() []byte {
	var text []byte
	for _, c := range i.Chain {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: c.Raw})...)
	}
	return text
}

// String names the certificate; the key is never shown.
func (i Identity) String() string {
	if i.Certificate == nil {
		return "no certificate"
	}
	return fmt.Sprintf("certificate %s (%s)", i.Thumbprint(), i.Subject())
}

// GoString is String: %#v would otherwise print the private key's numbers.
func (i Identity) GoString() string { return i.String() }

// Format writes String for every verb.
func (i Identity) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, i.String()) }

// MarshalJSON gives String.
func (i Identity) MarshalJSON() ([]byte, error) { return json.Marshal(i.String()) }

// MarshalYAML gives String.
func (i Identity) MarshalYAML() (any, error) { return i.String(), nil }

// LogValue gives String.
func (i Identity) LogValue() slog.Value { return slog.StringValue(i.String()) }
