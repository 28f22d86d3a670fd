package certs

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// maxBlocks bounds the certificates and keys of one PEM file.
const maxBlocks = 64

// readPEM reads certificates and keys in any order, with any text between them.
func readPEM(data []byte, password string) (contents, error) {
	blocks, err := pemBlocks(data)
	if err != nil {
		return contents{}, err
	}
	return within(maxWork, func() (contents, error) {
		var found contents
		for _, block := range blocks {
			if err := found.add(block, password); err != nil {
				return contents{}, err
			}
		}
		if len(found.certificates) == 0 && len(found.keys) == 0 {
			return contents{}, fmt.Errorf("the PEM text is damaged or incomplete: %w", ErrNotACertificate)
		}
		return found, nil
	})
}

// pemBlocks takes the file apart and adds up, before anything is decrypted, the
// rounds of key derivation that its keys ask for.
func pemBlocks(data []byte) ([]*pem.Block, error) {
	var blocks []*pem.Block
	var c cost
	for {
		var block *pem.Block
		block, data = pem.Decode(data)
		if block == nil {
			break
		}
		if len(blocks) == maxBlocks {
			return nil, fmt.Errorf("the file holds more than %d certificates and keys; take out what does not belong to your certificate: %w", maxBlocks, ErrUnsupportedFormat)
		}
		blocks = append(blocks, block)
		var box encryptedKey
		if block.Type == pemEncryptedKey && unmarshal(block.Bytes, &box) == nil {
			c.algorithm(box.Algorithm)
		}
	}
	if c.total > maxIterations {
		return nil, ErrTooCostly
	}
	return blocks, nil
}

func (c *contents) add(block *pem.Block, password string) error {
	switch block.Type {
	case pemCertificate, "X509 CERTIFICATE":
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return fmt.Errorf("a certificate in the file cannot be read: %w (%s)", ErrNotACertificate, printable(err.Error()))
		}
		c.certificates = append(c.certificates, certificate)
		return nil
	case "TRUSTED CERTIFICATE":
		return unsupported("it is a trusted certificate of OpenSSL", nil)
	case "PKCS7", "CMS":
		return unsupported("it is a PKCS#7 file (.p7b), which never holds a private key", nil)
	case "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST":
		return fmt.Errorf("the file is a request for a certificate; the certificate itself comes from the authority: %w", ErrNotACertificate)
	case "EC PARAMETERS", "DH PARAMETERS", "PUBLIC KEY", "RSA PUBLIC KEY", "X509 CRL":
		return nil // may stand beside what is needed
	case "OPENSSH PRIVATE KEY":
		return &UnsupportedKeyError{Kind: "OpenSSH"}
	case "DSA PRIVATE KEY":
		return &UnsupportedKeyError{Kind: "DSA"}
	}
	if !strings.HasSuffix(block.Type, pemKey) {
		return nil
	}
	key, err := keyOf(block, password)
	if err != nil {
		return err
	}
	c.keys = append(c.keys, key)
	return nil
}

func keyOf(block *pem.Block, password string) (crypto.Signer, error) {
	if block.Type == pemEncryptedKey {
		return decryptPKCS8(block.Bytes, password)
	}
	if len(block.Bytes) > maxKey {
		return parseKey(block.Bytes) // says why not
	}
	// The encryption of RFC 1423 is weak, but files with it are still around, and
	// reading one harms nobody.
	if !x509.IsEncryptedPEMBlock(block) { //nolint:staticcheck // see above
		return parseKey(block.Bytes)
	}
	if password == "" {
		return nil, ErrPasswordNeeded
	}
	der, err := x509.DecryptPEMBlock(block, []byte(password)) //nolint:staticcheck // see above
	if errors.Is(err, x509.IncorrectPasswordError) {
		return nil, ErrWrongPassword
	}
	if err != nil {
		return nil, unsupported("its private key is encrypted in an unknown way", err)
	}
	return decrypted(der)
}

// decrypted reads a key that a password opened. One wrong password in 256 gives
// bytes with a valid padding, so a key that cannot be read means the same.
func decrypted(der []byte) (crypto.Signer, error) {
	key, err := parseKey(der)
	if errors.Is(err, errDamagedKey) {
		return nil, ErrWrongPassword
	}
	return key, err
}
