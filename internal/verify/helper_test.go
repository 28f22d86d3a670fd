package verify_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

func readCloser(s string) io.ReadCloser { return io.NopCloser(strings.NewReader(s)) }

// rewrite replaces text in the answers of some paths.
type rewrite struct {
	next           http.RoundTripper
	path, old, new string
}

func (t rewrite) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := t.next.RoundTrip(r)
	if err != nil || !strings.Contains(r.URL.Path, t.path) {
		return res, err
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	if err := res.Body.Close(); err != nil {
		return nil, err
	}
	body = bytes.ReplaceAll(body, []byte(t.old), []byte(t.new))
	res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	res.Header.Del("Content-Length")
	return res, nil
}

// hang gives no answer for some paths.
type hang struct {
	next http.RoundTripper
	path string
}

func (t hang) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.Contains(r.URL.Path, t.path) {
		return t.next.RoundTrip(r)
	}
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// meeting holds back requests to some paths until all of them have come.
type meeting struct {
	next  http.RoundTripper
	want  int
	paths []string

	mu   sync.Mutex
	come int
	all  chan struct{}
}

func (t *meeting) RoundTrip(r *http.Request) (*http.Response, error) {
	for _, p := range t.paths {
		if !strings.Contains(r.URL.Path, p) {
			continue
		}
		t.mu.Lock()
		if t.come++; t.come == t.want {
			close(t.all)
		}
		t.mu.Unlock()
		select {
		case <-t.all:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
		break
	}
	return t.next.RoundTrip(r)
}

func selfSigned(t *testing.T, key crypto.Signer) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func ellipticCertificate(t *testing.T) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return selfSigned(t, key)
}

func smallCertificate(t *testing.T) *x509.Certificate {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	return selfSigned(t, key)
}
