package onprem

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
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
	"time"
)

// authority is the company's certification authority.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// certificates are those that the servers may show.
type certificates struct {
	self, changed, expired *tls.Certificate // self-signed, as Setup makes them
	wrong, proxy           *tls.Certificate // for another name; of a proxy that ends TLS
	issued                 *tls.Certificate // by the authority, for all names
	foreign                *tls.Certificate // of the other company
	farm                   *tls.Certificate // of SharePoint, by the authority
	farmSelf, centralSelf  *tls.Certificate // of SharePoint, self-signed
	controller             *tls.Certificate
}

func newAuthority(now time.Time) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the authority's key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "corp-DC1-CA"}, NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(10, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("make the authority's certificate: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read the authority's certificate: %w", err)
	}
	return &authority{certificate, key}, nil
}

// issue makes a server certificate; a nil authority means a self-signed one. Names are
// DNS names and addresses; the first one is the common name, and without SAN the only
// place that names the host.
func (a *authority) issue(from, to time.Time, san bool, names ...string) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a server's key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: names[0]}, NotBefore: from, NotAfter: to,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, name := range names {
		if !san {
			break
		}
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	parent, signer, chain := template, key, [][]byte(nil)
	if a != nil {
		parent, signer, chain = a.certificate, a.key, [][]byte{a.certificate.Raw}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return nil, fmt.Errorf("make a server's certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read a server's certificate: %w", err)
	}
	return &tls.Certificate{Certificate: append([][]byte{der}, chain...), PrivateKey: key, Leaf: leaf}, nil
}

func serial() *big.Int {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // it never fails
	return new(big.Int).SetBytes(append([]byte{1}, b...))
}

// certify makes all certificates. Setup's own one is self-signed for five years and has
// the short and the full name of the server.
//
// Source: learn.microsoft.com/exchange/architecture/client-access/certificates.
func (w *World) certify() error {
	now := w.now()
	var err error
	if w.authority, err = newAuthority(now); err != nil {
		return err
	}
	own := []string{ServerName, Server}
	year := now.AddDate(1, 0, 0)
	for _, c := range []struct {
		to       **tls.Certificate
		by       *authority
		from, up time.Time
		names    []string
	}{
		{&w.certificates.self, nil, now.Add(-time.Hour), now.AddDate(5, 0, 0), own},
		{&w.certificates.changed, nil, now.Add(-time.Minute), now.AddDate(5, 0, 0), own},
		{&w.certificates.expired, w.expiredBy(), now.AddDate(-5, 0, -7), now.AddDate(0, 0, -7), own},
		{&w.certificates.wrong, w.authority, now.Add(-time.Hour), year, []string{"mail." + Suffix}},
		{&w.certificates.proxy, nil, now.Add(-time.Hour), year, own},
		{&w.certificates.issued, w.authority, now.Add(-time.Hour), year, []string{Server, ServerName, Autodiscover, "autodiscover." + Suffix, balancer}},
		{&w.certificates.foreign, w.authority, now.Add(-time.Hour), year, []string{foreign, foreignFarm}},
		{&w.certificates.farm, w.authority, now.Add(-time.Hour), year, append([]string{SharePoint, SharePointName, Portal}, hostNamed()...)},
		{&w.certificates.farmSelf, nil, now.Add(-time.Hour), year, append([]string{SharePoint, SharePointName, Portal}, hostNamed()...)},
		{&w.certificates.centralSelf, nil, now.Add(-time.Hour), year, []string{SharePoint, SharePointName}},
		{&w.certificates.controller, w.authority, now.Add(-time.Hour), year, []string{DomainController, Domain, NetBIOS}},
	} {
		if *c.to, err = c.by.issue(c.from, c.up, true, c.names...); err != nil {
			return err
		}
	}
	return nil
}

func (w *World) expiredBy() *authority {
	if w.options.Issued {
		return w.authority
	}
	return nil
}

// shown is the certificate that a client sees who asks for this name.
func (w *World) shown(name string) *tls.Certificate {
	switch {
	case strings.EqualFold(name, foreign):
		return w.certificates.foreign
	case w.has("ep-require-behind-proxy"):
		return w.certificates.proxy
	}
	return w.own()
}

// own is the certificate that IIS itself has.
func (w *World) own() *tls.Certificate {
	switch {
	case w.has("wrong-certificate"):
		return w.certificates.wrong
	case w.has("certificate-changed"):
		return w.certificates.changed
	case w.has("certificate-expired"):
		return w.certificates.expired
	case w.options.Issued:
		return w.certificates.issued
	}
	return w.certificates.self
}

// Authority is the certificate of the company's certification authority, as PEM. The
// domain controller's and SharePoint's certificates are by it; the Exchange Server's only with
// Options.Issued.
func (w *World) Authority() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.authority.certificate.Raw})
}

// Certificate is the certificate that the Exchange Server shows now, as PEM.
func (w *World) Certificate() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.shown(Server).Leaf.Raw})
}

// Fingerprint is the SHA-256 of that certificate: 64 hexadecimal digits in upper case.
func (w *World) Fingerprint() string {
	sum := sha256.Sum256(w.shown(Server).Leaf.Raw)
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}
