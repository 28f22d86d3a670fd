// Package binding computes and checks channel bindings: what Windows calls
// Extended Protection for Authentication.
package binding

import (
	"crypto"
	"crypto/md5"
	_ "crypto/sha256" // for crypto.SHA256
	_ "crypto/sha512" // for crypto.SHA384 and crypto.SHA512
	"crypto/subtle"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
)

// Mode is the setting of Extended Protection of a web application in IIS
// (system.webServer/security/authentication/windowsAuthentication/extendedProtection).
type Mode int

// The three values of tokenChecking.
const (
	None    Mode = iota // bindings are not looked at
	Allow               // absent ones are taken, wrong ones are refused
	Require             // absent ones are refused, too
)

// Errors of Check.
var (
	ErrAbsent = errors.New("the client sent no channel binding, and one is required")
	ErrWrong  = errors.New("the client's channel binding is of another channel")
)

// EndPoint makes the hash that both NTLM (MsvAvChannelBindings) and Kerberos (the
// Bnd field of RFC 4121, section 4.1.1) carry for a TLS server's certificate: MD5
// over a gss_channel_bindings_struct that has "tls-server-end-point:" and the hash
// of the certificate as its application data. The hash function is that of the
// certificate's signature, SHA-256 in place of MD5 and SHA-1 (RFC 5929, section 4.1).
func EndPoint(leafDER []byte) ([]byte, error) {
	leaf, err := x509.ParseCertificate(leafDER)
	if err != nil {
		return nil, fmt.Errorf("channel binding: %w", err)
	}
	h := crypto.SHA256
	switch leaf.SignatureAlgorithm {
	case x509.SHA384WithRSA, x509.ECDSAWithSHA384, x509.SHA384WithRSAPSS:
		h = crypto.SHA384
	case x509.SHA512WithRSA, x509.ECDSAWithSHA512, x509.SHA512WithRSAPSS:
		h = crypto.SHA512
	case x509.PureEd25519:
		return nil, errors.New("channel binding: RFC 5929 defines none for an Ed25519 signature")
	}
	d := h.New()
	d.Write(leafDER)
	return Hash(append([]byte("tls-server-end-point:"), d.Sum(nil)...)), nil
}

// Hash is the MD5 of a gss_channel_bindings_struct that has application data alone (RFC 4121,
// section 4.1.1.2: numbers little-endian).
func Hash(application []byte) []byte {
	b := make([]byte, 16, 20+len(application))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(application)))
	sum := md5.Sum(append(b, application...))
	return sum[:]
}

// Check compares what the client sent with the channel's own. Nil or 16 zero
// bytes mean that the client sent none; a channel without any (plain http) has
// nothing to compare with.
func (m Mode) Check(own, sent []byte) error {
	if m == None || own == nil {
		return nil
	}
	var zero [16]byte
	if len(sent) == 0 || subtle.ConstantTimeCompare(sent, zero[:]) == 1 {
		if m == Require {
			return ErrAbsent
		}
		return nil
	}
	if subtle.ConstantTimeCompare(sent, own) != 1 {
		return ErrWrong
	}
	return nil
}
