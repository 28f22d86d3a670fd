package winauth

import (
	"crypto"
	"crypto/x509"
)

// ChannelBinding returns the application data of the channel binding
// tls-server-end-point (RFC 5929, section 4.1): its prefix and the hash of the
// server's certificate.
func ChannelBinding(c *x509.Certificate) []byte {
	hash := crypto.SHA256
	switch c.SignatureAlgorithm {
	case x509.SHA384WithRSA, x509.SHA384WithRSAPSS, x509.ECDSAWithSHA384:
		hash = crypto.SHA384
	case x509.SHA512WithRSA, x509.SHA512WithRSAPSS, x509.ECDSAWithSHA512, x509.PureEd25519:
		hash = crypto.SHA512
	}
	h := hash.New()
	h.Write(c.Raw)
	return h.Sum([]byte("tls-server-end-point:"))
}
