package sim

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // Entra ID names certificates by their SHA-1 thumbprint (x5t)
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"strings"
	"sync"
	"time"

	pkcs12 "software.sslmate.com/src/go-pkcs12"
)

// Keys holds the two RSA keys that take long to make: the one with which the
// simulated Entra ID signs tokens and the one of the client certificates.
// Many worlds in one test process may share them.
type Keys struct {
	signing func() (*rsa.PrivateKey, error)
	client  func() (*rsa.PrivateKey, error)
}

// NewKeys starts to make both keys and returns at once; whoever needs a key
// waits for it.
func NewKeys() *Keys {
	return &Keys{signing: makeKey(), client: makeKey()}
}

func makeKey() func() (*rsa.PrivateKey, error) {
	get := sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })
	go func() { _, _ = get() }()
	return get
}

// Certificate is a client certificate with its key, in the forms that tests need.
type Certificate struct {
	Leaf *x509.Certificate
	Key  *rsa.PrivateKey
}

// Thumbprint is the SHA-1 of the certificate, upper case hexadecimal.
func (c Certificate) Thumbprint() string {
	sum := sha1.Sum(c.Leaf.Raw) //nolint:gosec // see the import
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

// ThumbprintSHA256 is the SHA-256 of the certificate, upper case hexadecimal.
func (c Certificate) ThumbprintSHA256() string {
	sum := sha256.Sum256(c.Leaf.Raw)
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

// PFX returns certificate and key as a PKCS#12 file with the given password.
func (c Certificate) PFX(password string) ([]byte, error) {
	data, err := pkcs12.Modern2023.Encode(c.Key, c.Leaf, nil, password)
	if err != nil {
		return nil, fmt.Errorf("make the PFX file: %w", err)
	}
	return data, nil
}

// PEM returns certificate and key as PEM blocks, the key as unencrypted PKCS#8.
func (c Certificate) PEM() ([]byte, error) {
	key, err := x509.MarshalPKCS8PrivateKey(c.Key)
	if err != nil {
		return nil, fmt.Errorf("encode the private key: %w", err)
	}
	out := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Leaf.Raw})
	return append(out, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...), nil
}

func selfSigned(key *rsa.PrivateKey, name string, from, to time.Time) (Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return Certificate{}, fmt.Errorf("make a serial number: %w", err)
	}
	form := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: from.UTC().Truncate(time.Second), NotAfter: to.UTC().Truncate(time.Second), KeyUsage: x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	if err != nil {
		return Certificate{}, fmt.Errorf("make the certificate %s: %w", name, err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return Certificate{}, fmt.Errorf("read the certificate %s: %w", name, err)
	}
	return Certificate{Leaf: leaf, Key: key}, nil
}

// authority is the simulation's own certification authority for TLS.
// ECDSA, because RSA keys would cost a noticeable part of the start.
type authority struct {
	pem  []byte
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	now  time.Time
}

func newAuthority(name string, now time.Time) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the CA's key: %w", err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-48 * time.Hour), NotAfter: now.AddDate(1, 0, 0), IsCA: true, BasicConstraintsValid: true,
		MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("make the CA: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read the CA: %w", err)
	}
	return &authority{pem: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), cert: cert, key: key, now: now}, nil
}

func (a *authority) issue(names []string, to time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the server's key: %w", err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(a.now.UnixNano() + 1 + to.Unix()), Subject: pkix.Name{CommonName: "c2conn simulated services"},
		NotBefore: a.now.Add(-48 * time.Hour), NotAfter: to,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			form.IPAddresses = append(form.IPAddresses, ip)
		} else {
			form.DNSNames = append(form.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, form, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return nil, fmt.Errorf("make the server's certificate: %w", err)
	}
	return &tls.Certificate{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: key}, nil
}
