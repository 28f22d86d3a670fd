package certs

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/c2conn/c2conn/connections"
)

const entrySchema = 1

// entryFile is an entry as it is saved. Everything but certificate, key, chain
// and imported is for the eyes of who opens the file.
type entryFile struct {
	Schema           int             `yaml:"schema"`
	Subject          string          `yaml:"subject"`
	Thumbprint       Thumbprint      `yaml:"thumbprint"`
	ThumbprintSHA256 Thumbprint      `yaml:"thumbprint_sha256"`
	NotAfter         time.Time       `yaml:"not_after"`
	Imported         time.Time       `yaml:"imported"`
	Key              connections.Ref `yaml:"key,omitempty"`
	Certificate      string          `yaml:"certificate"`
	Chain            string          `yaml:"chain,omitempty"`
}

func encodeEntry(e Entry) ([]byte, error) {
	i := Identity{Certificate: e.Certificate, Chain: e.Chain}
	data, err := yaml.Marshal(entryFile{
		Schema:           entrySchema,
		Subject:          i.Subject(),
		Thumbprint:       i.Thumbprint(),
		ThumbprintSHA256: i.ThumbprintSHA256(),
		NotAfter:         e.Certificate.NotAfter.UTC(),
		Imported:         e.Imported,
		Key:              e.Ref,
		Certificate:      string(i.CertificatePEM()),
		Chain:            string(i.ChainPEM()),
	})
	if err != nil {
		return nil, fmt.Errorf("the certificate's entry cannot be written: %w", err)
	}
	return data, nil
}

func decodeEntry(data []byte) (Entry, error) {
	if len(data) > maxFile {
		return Entry{}, ErrTooLarge
	}
	var file entryFile
	if err := yaml.Unmarshal(data, &file); err != nil {
		return Entry{}, fmt.Errorf("not valid YAML: %s", printable(err.Error()))
	}
	if file.Schema > entrySchema {
		return Entry{}, &connections.NewerSchemaError{Found: file.Schema}
	}
	if file.Schema < 1 {
		return Entry{}, errors.New("the schema version is missing")
	}
	// Only a secret of the store: a file that someone else wrote must not be able
	// to run a command or to read elsewhere through a reference.
	if file.Key != "" && (file.Key.Scheme() != connections.SchemeStore || file.Key.Validate() != nil) {
		return Entry{}, errors.New("key: the reference to the private key is not one of this store (store:…)")
	}
	certificates, err := pemCertificates(file.Certificate)
	if err != nil {
		return Entry{}, fmt.Errorf("certificate: %w", err)
	}
	if len(certificates) != 1 {
		return Entry{}, fmt.Errorf("certificate: one certificate is expected, %d are there", len(certificates))
	}
	chain, err := pemCertificates(file.Chain)
	if err != nil {
		return Entry{}, fmt.Errorf("chain: %w", err)
	}
	return Entry{
		Certificate: certificates[0], Chain: chain,
		Ref: file.Key, HasKey: file.Key != "", Imported: file.Imported,
	}, nil
}

// pemCertificates reads certificates only: a private key does not belong into
// an entry's file.
func pemCertificates(text string) ([]*x509.Certificate, error) {
	var list []*x509.Certificate
	for rest := []byte(text); ; {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			if strings.Contains(string(rest), "-----BEGIN") {
				return nil, errors.New("the PEM text is damaged")
			}
			return list, nil
		}
		if block.Type != pemCertificate {
			return nil, fmt.Errorf("a PEM block %q does not belong here", printable(block.Type))
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("the certificate cannot be read: %s", printable(err.Error()))
		}
		list = append(list, certificate)
	}
}
