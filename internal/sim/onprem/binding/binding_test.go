package binding_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"math/big"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/sim/onprem/binding"
)

// The example of Microsoft's "NTLM and Channel Binding Hash" (Open Specifications
// blog, 2013-03-26).
func TestPublishedHash(t *testing.T) {
	t.Parallel()
	cert, err := hex.DecodeString("ea05fefecc6b0bd571dbbc5baa3ed45386d0446835f7b74c85621b9983475f95")
	if err != nil {
		t.Fatal(err)
	}
	got := hex.EncodeToString(binding.Hash(append([]byte("tls-server-end-point:"), cert...)))
	if want := "6586e99d81c2fc984e47172fd4dd0310"; got != want {
		t.Errorf("hash %s, want %s", got, want)
	}
}

func TestEndPoint(t *testing.T) {
	t.Parallel()
	sha384 := func(b []byte) []byte { s := sha512.Sum384(b); return s[:] }
	sha512of := func(b []byte) []byte { s := sha512.Sum512(b); return s[:] }
	sha256of := func(b []byte) []byte { s := sha256.Sum256(b); return s[:] }
	for _, c := range []struct {
		algorithm x509.SignatureAlgorithm
		hash      func([]byte) []byte // nil: RFC 5929 defines none
	}{
		{x509.ECDSAWithSHA256, sha256of}, {x509.ECDSAWithSHA384, sha384}, {x509.ECDSAWithSHA512, sha512of}, {x509.PureEd25519, nil},
	} {
		var key crypto.Signer
		var err error
		if c.hash == nil {
			_, key, err = ed25519.GenerateKey(rand.Reader)
		} else {
			key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		}
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{SerialNumber: big.NewInt(1), SignatureAlgorithm: c.algorithm, NotAfter: time.Now().Add(time.Hour)}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		got, err := binding.EndPoint(der)
		if c.hash == nil {
			if err == nil {
				t.Error("Ed25519 has a channel binding")
			}
			continue
		}
		want := binding.Hash(append([]byte("tls-server-end-point:"), c.hash(der)...))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%v: %x, %v; want %x", c.algorithm, got, err, want)
		}
	}
	if _, err := binding.EndPoint([]byte("no certificate")); err == nil {
		t.Error("nonsense has a channel binding")
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	own, other, zero := bytes.Repeat([]byte{1}, 16), bytes.Repeat([]byte{2}, 16), make([]byte, 16)
	for _, c := range []struct {
		mode      binding.Mode
		own, sent []byte
		want      error
	}{
		{binding.None, own, other, nil},
		{binding.Allow, own, nil, nil},
		{binding.Allow, own, zero, nil},
		{binding.Allow, own, own, nil},
		{binding.Allow, own, other, binding.ErrWrong},
		{binding.Allow, own, own[:8], binding.ErrWrong},
		{binding.Require, own, nil, binding.ErrAbsent},
		{binding.Require, own, zero, binding.ErrAbsent},
		{binding.Require, own, other, binding.ErrWrong},
		{binding.Require, own, own, nil},
		{binding.Require, nil, nil, nil},
	} {
		if err := c.mode.Check(c.own, c.sent); !errors.Is(err, c.want) {
			t.Errorf("mode %d, own %x, sent %x: %v, want %v", c.mode, c.own, c.sent, err, c.want)
		}
	}
}
