package winauth

import (
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"hash"
)

// ChannelBinding returns the application data of the channel binding
// tls-server-end-point (RFC 5929, section 4.1): its prefix and the hash of the
// server's certificate.
func ChannelBinding(c *x509.Certificate) []byte {
	var h hash.Hash
	switch c.SignatureAlgorithm {
	case x509.SHA384WithRSA, x509.SHA384WithRSAPSS, x509.ECDSAWithSHA384:
		h = sha512.New384()
	case x509.SHA512WithRSA, x509.SHA512WithRSAPSS, x509.ECDSAWithSHA512:
		h = sha512.New()
	default: // MD5 and SHA-1, too
		h = sha256.New()
	}
	h.Write(c.Raw)
	return h.Sum([]byte("tls-server-end-point:"))
}
