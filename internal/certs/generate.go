package certs

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"time"
	"unicode"
	"unicode/utf8"
)

// backdate is how far before now a new certificate begins: a server whose clock
// is a little behind would otherwise refuse it as not yet valid.
const backdate = 5 * time.Minute

// NewOptions says what certificate Generate makes.
type NewOptions struct {
	CommonName string   // required, at most 64 characters
	Valid      Validity // zero: five years
	Bits       int      // 2048 (also for 0), 3072 or 4096

	Key *rsa.PrivateKey // made before; nil: a new one of Bits
}

// Generate makes an RSA key and a certificate signed by itself (SHA-256), for
// signing in as a client only. random is used for the serial number, and for
// the key as far as the standard library lets it (since Go 1.26 it always takes
// the system's randomness); nil means the system's. The whole life of the
// certificate, counted from its slightly back-dated beginning, is exactly the
// validity, because tenants' policies limit that.
func Generate(random io.Reader, now time.Time, o NewOptions) (Identity, error) {
	if err := checkCommonName(o.CommonName); err != nil {
		return Identity{}, err
	}
	if o.Valid.tooLong() || o.Valid.Years < 0 || o.Valid.Months < 0 || o.Valid.Days < 0 || o.Valid.Hours < 0 {
		return Identity{}, fmt.Errorf("the validity %s is not between an hour and %d years", o.Valid, maxYears)
	}
	bits := o.Bits
	switch bits {
	case 0:
		bits = minBits
	case 2048, 3072, 4096:
	default:
		return Identity{}, fmt.Errorf("a key of %d bits cannot be made; choose 2048, 3072 or 4096", bits)
	}
	if random == nil {
		random = rand.Reader
	}
	key := o.Key
	if key == nil {
		var err error
		if key, err = rsa.GenerateKey(random, bits); err != nil {
			return Identity{}, fmt.Errorf("the private key cannot be made: %w", err)
		}
	}
	serial, err := serialNumber(random)
	if err != nil {
		return Identity{}, err
	}
	begin := now.UTC().Truncate(time.Second).Add(-backdate)
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: o.CommonName},
		NotBefore:             begin,
		NotAfter:              o.Valid.From(begin),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true, // and no CA
		SignatureAlgorithm:    x509.SHA256WithRSA,
	}
	der, err := x509.CreateCertificate(random, template, template, key.Public(), key)
	if err != nil {
		return Identity{}, fmt.Errorf("the certificate cannot be made: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return Identity{}, fmt.Errorf("the new certificate cannot be read: %w", err)
	}
	return Identity{Certificate: certificate, Key: key}, nil
}

// serialNumber gives a positive number of 127 random bits (RFC 5280, 4.1.2.2).
func serialNumber(random io.Reader) (*big.Int, error) {
	b := make([]byte, 16)
	if _, err := io.ReadFull(random, b); err != nil {
		return nil, fmt.Errorf("no randomness for the serial number: %w", err)
	}
	b[0] = b[0]&0x7f | 0x40 // neither zero nor negative, always of the same length
	return new(big.Int).SetBytes(b), nil
}

func checkCommonName(name string) error {
	switch {
	case name == "":
		return errors.New("the certificate needs a name (common name)")
	case !utf8.ValidString(name):
		return errors.New("the name of the certificate is not valid UTF-8 text")
	case utf8.RuneCountInString(name) > 64:
		return fmt.Errorf("the name of the certificate has %d characters; at most 64 are allowed (X.520)", utf8.RuneCountInString(name))
	}
	for _, r := range name {
		if !unicode.IsPrint(r) {
			return fmt.Errorf("the name of the certificate contains the invisible character %U; take it out", r)
		}
	}
	return nil
}
