package certs

import (
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
)

// The forms that begin with a DER sequence, told apart by what comes first in it.
type outer struct {
	First  asn1.RawValue
	Second asn1.RawValue `asn1:"optional"`
}

// readDER reads a binary file: PFX, a certificate or a key. trimmed lacks white
// space at its ends, which copying may have added and DER does not have; whole
// is tried when trimming took a byte of the data itself.
func readDER(trimmed, whole []byte, password string) (contents, error) {
	if len(trimmed) == 0 {
		return contents{}, fmt.Errorf("the file is empty: %w", ErrNotACertificate)
	}
	if trimmed[0] != 0x30 {
		return contents{}, ErrNotACertificate
	}
	der := whole
	var top outer
	rest, err := asn1.Unmarshal(der, &top)
	if err != nil || len(rest) > 0 {
		der = trimmed
		rest, err = asn1.Unmarshal(der, &top)
	}
	if err != nil && len(trimmed) > 1 && trimmed[1] == 0x80 {
		return contents{}, unsupported("it is encoded with indefinite lengths (BER), as some old programs do", nil)
	}
	if err != nil {
		return contents{}, fmt.Errorf("the file is damaged or incomplete: %w", ErrNotACertificate)
	}
	if len(rest) > 0 {
		der = der[:len(der)-len(rest)] // trailing bytes after the structure mean nothing
	}
	switch {
	case top.First.Tag == asn1.TagInteger && len(top.First.Bytes) == 1 && top.First.Bytes[0] == 3:
		return readPFX(der, password)
	case top.First.Tag == asn1.TagInteger:
		key, err := parseKey(der)
		if err != nil {
			return contents{}, err
		}
		return contents{keys: []crypto.Signer{key}}, nil
	case top.First.Tag == asn1.TagOID:
		return contents{}, unsupported("it is a PKCS#7 file (.p7b, .p7c), which never holds a private key", nil)
	case top.First.Tag == asn1.TagSequence && top.Second.Tag == asn1.TagOctetString:
		key, err := decryptPKCS8(der, password)
		if err != nil {
			return contents{}, err
		}
		return contents{keys: []crypto.Signer{key}}, nil
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return contents{}, fmt.Errorf("%w (%s)", ErrNotACertificate, printable(err.Error()))
	}
	return contents{certificates: []*x509.Certificate{certificate}}, nil
}

// parseKey reads an unencrypted private key in PKCS#8, PKCS#1 or SEC 1 form.
func parseKey(der []byte) (crypto.Signer, error) {
	if len(der) > maxKey {
		return nil, fmt.Errorf("the private key has %d bytes, more than any that is in use: %w", len(der), ErrUnsupportedFormat)
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err == nil {
		signer, ok := key.(crypto.Signer)
		if !ok { // X25519 and the like cannot sign
			return nil, &UnsupportedKeyError{Kind: fmt.Sprintf("%T", key)}
		}
		return signer, nil
	}
	if rsaKey, e := x509.ParsePKCS1PrivateKey(der); e == nil {
		return rsaKey, nil
	}
	if ecKey, e := x509.ParseECPrivateKey(der); e == nil {
		return ecKey, nil
	}
	if kind := keyKind(der); kind != "" {
		return nil, &UnsupportedKeyError{Kind: kind}
	}
	return nil, errDamagedKey
}

// errDamagedKey becomes ErrWrongPassword where the key was decrypted first.
var errDamagedKey = errors.New("the private key is damaged or incomplete; export it again")

// Keys that the standard library does not read; RFC 8410, RFC 4055, RFC 3279.
var keyKinds = []struct {
	oid  asn1.ObjectIdentifier
	kind string
}{
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}, "RSA restricted to PSS"},
	{asn1.ObjectIdentifier{1, 2, 840, 10040, 4, 1}, "DSA"},
	{asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}, "ECDSA"},
	{asn1.ObjectIdentifier{1, 3, 101, 113}, "Ed448"},
}

func keyKind(der []byte) string {
	var info struct {
		Version   int
		Algorithm struct {
			OID    asn1.ObjectIdentifier
			Params asn1.RawValue `asn1:"optional"`
		}
		Key []byte
	}
	if _, err := asn1.Unmarshal(der, &info); err != nil {
		return ""
	}
	for _, k := range keyKinds {
		if info.Algorithm.OID.Equal(k.oid) {
			return k.kind
		}
	}
	return ""
}
