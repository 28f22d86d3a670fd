package certs

import (
	"crypto"
	"crypto/rsa"
	"fmt"
)

// padding says how Windows is to pad a hash before it signs.
type padding struct {
	algorithm string // the hash, as the Windows cryptography calls it
	pss       bool
	salt      int // bytes, PSS only
}

// paddingFor translates the options of crypto.Signer. size is the key's length
// in bytes, hash is what is to be signed.
func paddingFor(size int, hash []byte, opts crypto.SignerOpts) (padding, error) {
	if opts == nil {
		return padding{}, fmt.Errorf("the signature needs a hash function")
	}
	function := opts.HashFunc()
	var p padding
	switch function {
	case crypto.SHA256:
		p.algorithm = "SHA256"
	case crypto.SHA384:
		p.algorithm = "SHA384"
	case crypto.SHA512:
		p.algorithm = "SHA512"
	default:
		return padding{}, fmt.Errorf("signatures with the hash function %s are not made", function)
	}
	if len(hash) != function.Size() {
		return padding{}, fmt.Errorf("the hash to sign has %d bytes, %s has %d", len(hash), function, function.Size())
	}
	pss, ok := opts.(*rsa.PSSOptions)
	if !ok {
		return p, nil
	}
	p.pss = true
	most := size - function.Size() - 2 // RFC 8017, 9.1.1
	switch pss.SaltLength {
	case rsa.PSSSaltLengthEqualsHash:
		p.salt = function.Size()
	case rsa.PSSSaltLengthAuto:
		p.salt = most
	default:
		p.salt = pss.SaltLength
	}
	if p.salt < 0 || p.salt > most {
		return padding{}, fmt.Errorf("a salt of %d bytes does not fit into the signature", p.salt)
	}
	return p, nil
}
