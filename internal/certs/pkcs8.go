package certs

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des" //nolint:gosec // reads old files, writes none
	"crypto/pbkdf2"
	"crypto/sha1" //nolint:gosec // the default of RFC 8018 for the key derivation
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509/pkix"
	"encoding/asn1"
	"hash"
)

// Object identifiers of RFC 8018 (PKCS#5) and RFC 3565.
var (
	oidPBES2   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBMAC1  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 14}
	oidPBKDF2  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidPKCS12  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1} // all PBE schemes of RFC 7292 lie below it
	oidHMAC    = asn1.ObjectIdentifier{1, 2, 840, 113549, 2}        // all PBKDF2 functions lie below it
	oidDES3CBC = asn1.ObjectIdentifier{1, 2, 840, 113549, 3, 7}
	oidAES     = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1}
)

type encryptedKey struct {
	Algorithm pkix.AlgorithmIdentifier
	Data      []byte
}

type pbes2 struct {
	KDF    pkix.AlgorithmIdentifier
	Scheme pkix.AlgorithmIdentifier
}

type pbkdf2Params struct {
	Salt       asn1.RawValue
	Iterations int
	KeyLength  int                      `asn1:"optional"` // Java writes it, OpenSSL does not
	PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
}

// decryptPKCS8 reads an ENCRYPTED PRIVATE KEY (PBES2 of RFC 8018 with PBKDF2).
// It is written on the standard library because every length in the file is a
// stranger's: wrong ones must be an error, never a crash.
func decryptPKCS8(der []byte, password string) (crypto.Signer, error) {
	var box encryptedKey
	if rest, err := asn1.Unmarshal(der, &box); err != nil || len(rest) > 0 {
		return nil, errDamagedKey
	}
	if len(box.Data) > maxKey {
		return parseKey(box.Data) // says why not
	}
	if password == "" {
		return nil, ErrPasswordNeeded
	}
	block, iv, err := pbes2Cipher(box.Algorithm, password)
	if err != nil {
		return nil, err
	}
	size := block.BlockSize()
	if len(iv) != size || len(box.Data) == 0 || len(box.Data)%size != 0 {
		return nil, errDamagedKey
	}
	plain := make([]byte, len(box.Data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, box.Data)
	pad := int(plain[len(plain)-1])
	if pad == 0 || pad > size {
		return nil, ErrWrongPassword
	}
	for _, b := range plain[len(plain)-pad:] {
		if int(b) != pad {
			return nil, ErrWrongPassword
		}
	}
	return decrypted(plain[:len(plain)-pad])
}

func pbes2Cipher(algorithm pkix.AlgorithmIdentifier, password string) (cipher.Block, []byte, error) {
	const which = "its private key is encrypted in an unusual way (not PBES2 with PBKDF2 and AES or 3DES)"
	if !algorithm.Algorithm.Equal(oidPBES2) {
		return nil, nil, unsupported(which, nil)
	}
	var params pbes2
	var kdf pbkdf2Params
	if err := unmarshal(algorithm.Parameters.FullBytes, &params); err != nil {
		return nil, nil, errDamagedKey
	}
	if !params.KDF.Algorithm.Equal(oidPBKDF2) {
		return nil, nil, unsupported(which, nil)
	}
	if err := unmarshal(params.KDF.Parameters.FullBytes, &kdf); err != nil || kdf.Salt.Tag != asn1.TagOctetString || kdf.Iterations < 1 {
		return nil, nil, errDamagedKey
	}
	if kdf.Iterations > maxIterations {
		return nil, nil, ErrTooCostly
	}
	function, ok := prf(kdf.PRF.Algorithm)
	length, build := scheme(params.Scheme.Algorithm)
	if !ok || build == nil {
		return nil, nil, unsupported(which, nil)
	}
	if kdf.KeyLength != 0 && kdf.KeyLength != length {
		return nil, nil, errDamagedKey
	}
	var iv []byte
	if err := unmarshal(params.Scheme.Parameters.FullBytes, &iv); err != nil {
		return nil, nil, errDamagedKey
	}
	key, err := pbkdf2.Key(function, password, kdf.Salt.Bytes, kdf.Iterations, length)
	if err != nil {
		return nil, nil, unsupported(which, err)
	}
	block, err := build(key)
	if err != nil {
		return nil, nil, unsupported(which, err)
	}
	return block, iv, nil
}

// prf gives the hash of a PBKDF2 function; HMAC-SHA-1 is the default.
func prf(oid asn1.ObjectIdentifier) (func() hash.Hash, bool) {
	if len(oid) == 0 {
		return sha1.New, true
	}
	if len(oid) != len(oidHMAC)+1 || !oid[:len(oidHMAC)].Equal(oidHMAC) {
		return nil, false
	}
	switch oid[len(oidHMAC)] {
	case 7:
		return sha1.New, true
	case 8:
		return sha256.New224, true
	case 9:
		return sha256.New, true
	case 10:
		return sha512.New384, true
	case 11:
		return sha512.New, true
	}
	return nil, false
}

// scheme gives the key length and the cipher of an encryption scheme in CBC mode.
func scheme(oid asn1.ObjectIdentifier) (int, func([]byte) (cipher.Block, error)) {
	if oid.Equal(oidDES3CBC) {
		return 24, des.NewTripleDESCipher
	}
	if len(oid) == len(oidAES)+1 && oid[:len(oidAES)].Equal(oidAES) {
		switch oid[len(oidAES)] {
		case 2:
			return 16, aes.NewCipher
		case 22:
			return 24, aes.NewCipher
		case 42:
			return 32, aes.NewCipher
		}
	}
	return 0, nil
}
