package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"software.sslmate.com/src/go-pkcs12"
)

// maxWork is the longest a file may take. Honest ones take milliseconds; a PFX
// that gets past pfxCost (by hiding a key inside an encrypted part) is given up, as
// is a PEM file full of huge keys.
const maxWork = 20 * time.Second

// readPFX opens a PFX file with password, or without one where it has none.
func readPFX(der []byte, password string) (contents, error) {
	if err := pfxCost(der); err != nil {
		return contents{}, err
	}
	return within(maxWork, func() (contents, error) {
		found, err := openPFX(der, password)
		if password != "" && (errors.Is(err, ErrWrongPassword) || errors.Is(err, ErrUnsupportedFormat)) {
			// A password given for a file that has none does no harm.
			if free, e := openPFX(der, ""); e == nil {
				return free, nil
			}
		}
		if password == "" && errors.Is(err, ErrWrongPassword) {
			return contents{}, ErrPasswordNeeded
		}
		return found, err
	})
}

// within gives up on work after limit. The work itself cannot be interrupted:
// it goes on until it ends or the program does.
func within(limit time.Duration, work func() (contents, error)) (contents, error) {
	type answer struct {
		found contents
		err   error
	}
	done := make(chan answer, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil { // a decoder's panic over foreign bytes
				done <- answer{err: fmt.Errorf("the file is damaged: %w", ErrNotACertificate)}
			}
		}()
		found, err := work()
		done <- answer{found, err}
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case a := <-done:
		return a.found, a.err
	case <-timer.C:
		return contents{}, ErrTooCostly
	}
}

// The decoder has no types for these, so its texts are compared; the tests
// notice when a new version words them differently.
const (
	decoderSeveralKeys   = "expected exactly one key bag"
	decoderNoKey         = "private key missing"
	decoderNoCertificate = "certificate missing"
	decoderNoMAC         = "no MAC in data"
)

func openPFX(der []byte, password string) (contents, error) {
	key, leaf, others, err := pkcs12.DecodeChain(der, password)
	if err == nil {
		signer, ok := key.(crypto.Signer)
		if !ok {
			return contents{}, &UnsupportedKeyError{Kind: fmt.Sprintf("%T", key)}
		}
		return contents{certificates: append([]*x509.Certificate{leaf}, others...), keys: []crypto.Signer{signer}}, nil
	}
	var foreign pkcs12.NotImplementedError
	text := err.Error()
	switch {
	case errors.Is(err, pkcs12.ErrIncorrectPassword), errors.Is(err, pkcs12.ErrDecryption):
		return contents{}, ErrWrongPassword
	case strings.Contains(text, decoderSeveralKeys):
		return openSeveral(der, password)
	case strings.Contains(text, decoderNoKey):
		return contents{}, ErrNoKey
	case strings.Contains(text, decoderNoCertificate):
		return contents{}, fmt.Errorf("the PFX file holds a private key without a certificate: %w", ErrNotACertificate)
	case strings.Contains(text, decoderNoMAC):
		return contents{}, unsupported("its contents are not protected against changes (no MAC)", nil)
	case strings.Contains(text, "characters that cannot be encoded"):
		return contents{}, ErrWrongPassword // no PFX can have such a password
	case errors.As(err, &foreign):
		return contents{}, unsupported("the PFX file uses something unusual", err)
	}
	return contents{}, unsupported("the PFX file is damaged or unusual", err)
}

// openSeveral lists a PFX with several keys through the decoder's older way,
// which knows fewer attributes.
func openSeveral(der []byte, password string) (contents, error) {
	blocks, err := pkcs12.ToPEM(der, password) //nolint:staticcheck // the only way the decoder gives several keys
	if err != nil {
		return contents{}, &SeveralError{Err: err}
	}
	var found contents
	for _, block := range blocks {
		if err := found.addBag(block); err != nil {
			return contents{}, err
		}
	}
	return found, nil
}

func (c *contents) addBag(block *pem.Block) error {
	if block.Type == pemCertificate {
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return fmt.Errorf("a certificate in the file cannot be read: %w (%s)", ErrNotACertificate, printable(err.Error()))
		}
		c.certificates = append(c.certificates, certificate)
		return nil
	}
	key, err := parseKey(block.Bytes)
	if err != nil {
		return err
	}
	switch key.(type) {
	case *rsa.PrivateKey, *ecdsa.PrivateKey:
		c.keys = append(c.keys, key)
	}
	return nil
}
