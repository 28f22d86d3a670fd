package transport

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
)

// authorities returns the system's trusted authorities with those of
// SSL_CERT_FILE and extra (PEM) added. Go reads SSL_CERT_FILE itself on Unix
// only; here it works the same on Windows and macOS.
func authorities(getenv func(string) string, extra []byte) (*x509.CertPool, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("read the trusted authorities of this computer: %w", err)
	}
	if file := getenv("SSL_CERT_FILE"); file != "" {
		data, err := readBundle(file)
		if err != nil {
			return nil, fmt.Errorf("read the file named in SSL_CERT_FILE: %w", err)
		}
		if !pool.AppendCertsFromPEM(data) {
			return nil, fmt.Errorf("the file %s named in SSL_CERT_FILE holds no certificate in PEM form", file)
		}
	}
	if len(extra) > 0 && !pool.AppendCertsFromPEM(extra) {
		return nil, errors.New("the CA certificate of the cloud definition is no certificate in PEM form")
	}
	return pool, nil
}

// Authorities are the authorities that this computer trusts, with those of
// SSL_CERT_FILE.
func Authorities(getenv func(string) string) (*x509.CertPool, error) {
	return authorities(getenv, nil)
}

// bundleLimit is more than ten times the size of the usual bundle of authorities.
const bundleLimit = 8 << 20

func readBundle(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, bundleLimit+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if len(data) > bundleLimit {
		return nil, fmt.Errorf("%s is larger than %d MiB", path, bundleLimit>>20)
	}
	return data, nil
}
