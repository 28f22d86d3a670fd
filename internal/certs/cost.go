package certs

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
)

// maxIterations bounds the rounds of key derivation that one file (PFX or PEM) may
// ask for, all its parts together. Programs write 2,000 to 600,000 in each of three
// parts; five million rounds take a few seconds.
const maxIterations = 5_000_000

// maxParts bounds the keys and certificates that a PFX lists.
const maxParts = 256

type pfxFile struct {
	Version  int
	AuthSafe content
	MAC      macData `asn1:"optional"`
}

type content struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue `asn1:"tag:0,explicit,optional"`
}

type macData struct {
	MAC struct {
		Algorithm pkix.AlgorithmIdentifier
		Digest    []byte
	}
	Salt       []byte
	Iterations int `asn1:"optional,default:1"`
}

type encryptedContent struct {
	Version int
	Info    struct {
		Type      asn1.ObjectIdentifier
		Algorithm pkix.AlgorithmIdentifier
		Data      []byte `asn1:"tag:0,optional"`
	}
}

type bag struct {
	ID         asn1.ObjectIdentifier
	Value      asn1.RawValue `asn1:"tag:0,explicit"`
	Attributes asn1.RawValue `asn1:"set,optional"`
}

var (
	oidData        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidEncrypted   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 6}
	oidShroudedKey = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 2}
)

// pfxCost reads the iteration counts of a PFX before anything is decrypted: the
// decoder believes them, and a hostile count of two thousand million would keep
// it busy for an hour. What cannot be read here is left to the decoder to refuse.
func pfxCost(der []byte) error {
	var file pfxFile
	if unmarshal(der, &file) != nil {
		return nil
	}
	var c cost
	c.rounds(file.MAC.Iterations)
	c.algorithm(file.MAC.MAC.Algorithm)
	c.contents(file.AuthSafe)
	if c.total > maxIterations || c.parts > maxParts {
		return ErrTooCostly
	}
	return nil
}

type cost struct {
	total int64
	parts int
}

func (c *cost) rounds(n int) {
	if n > 0 {
		c.total += min(int64(n), maxIterations+1) // the sum of two counts must not overflow
	}
}

// algorithm adds the rounds that an encryption or MAC algorithm asks for.
func (c *cost) algorithm(a pkix.AlgorithmIdentifier) {
	switch {
	case a.Algorithm.Equal(oidPBES2), a.Algorithm.Equal(oidPBMAC1):
		var params pbes2 // PBMAC1 begins with the same derivation
		var kdf pbkdf2Params
		if unmarshal(a.Parameters.FullBytes, &params) == nil && unmarshal(params.KDF.Parameters.FullBytes, &kdf) == nil {
			c.rounds(kdf.Iterations)
		}
	case len(a.Algorithm) == len(oidPKCS12)+1 && a.Algorithm[:len(oidPKCS12)].Equal(oidPKCS12):
		var params struct {
			Salt       []byte
			Iterations int
		}
		if unmarshal(a.Parameters.FullBytes, &params) == nil {
			c.rounds(params.Iterations)
		}
	}
}

func (c *cost) contents(safe content) {
	var inner asn1.RawValue // of any type: the decoder does not look either
	var parts []content
	if unmarshal(safe.Value.Bytes, &inner) != nil || unmarshal(inner.Bytes, &parts) != nil {
		return
	}
	for _, part := range parts {
		c.parts++
		switch {
		case part.Type.Equal(oidEncrypted):
			var box encryptedContent
			if unmarshal(part.Value.Bytes, &box) == nil {
				c.algorithm(box.Info.Algorithm)
			}
		case part.Type.Equal(oidData):
			c.bags(part)
		}
	}
}

func (c *cost) bags(part content) {
	var inner []byte
	var bags []bag
	if unmarshal(part.Value.Bytes, &inner) != nil || unmarshal(inner, &bags) != nil {
		return
	}
	for _, b := range bags {
		c.parts++
		var box encryptedKey
		if b.ID.Equal(oidShroudedKey) && unmarshal(b.Value.Bytes, &box) == nil {
			c.algorithm(box.Algorithm)
			if len(box.Data) > maxKey {
				c.total = maxIterations + 1 // no key is that long; checking it would take minutes
			}
		}
	}
}

var errTrailing = errors.New("trailing bytes")

func unmarshal(der []byte, into any) error {
	rest, err := asn1.Unmarshal(der, into)
	if err == nil && len(rest) > 0 {
		return errTrailing
	}
	return err
}
