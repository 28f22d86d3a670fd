package certs

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// noon is the moment at which the tests make certificates.
var noon = time.Date(2026, 11, 22, 12, 0, 0, 500, time.FixedZone("", 3600))

// generated is one certificate for all tests of the package: making the key
// takes long, above all with the race detector.
var generated = sync.OnceValues(func() (Identity, error) {
	return Generate(strings.NewReader(strings.Repeat("\xff", 1024)), noon, NewOptions{CommonName: "c2conn Prüfung"})
})

func testGenerated(t testing.TB) Identity {
	t.Helper()
	i, err := generated()
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestGenerate(t *testing.T) {
	t.Parallel()
	i := testGenerated(t)
	c := i.Certificate
	if c.Subject.CommonName != "c2conn Prüfung" || !bytes.Equal(c.RawSubject, c.RawIssuer) {
		t.Errorf("subject %s, issuer %s", c.Subject, c.Issuer)
	}
	if want := time.Date(2026, 11, 22, 10, 55, 0, 0, time.UTC); !c.NotBefore.Equal(want) || !c.NotAfter.Equal(want.AddDate(5, 0, 0)) {
		t.Errorf("valid from %s to %s", c.NotBefore, c.NotAfter)
	}
	if c.KeyUsage != x509.KeyUsageDigitalSignature || !slices.Equal(c.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}) || c.IsCA || !c.BasicConstraintsValid {
		t.Errorf("usage %v %v, CA %v", c.KeyUsage, c.ExtKeyUsage, c.IsCA)
	}
	if c.SignatureAlgorithm != x509.SHA256WithRSA || c.PublicKey.(*rsa.PublicKey).N.BitLen() != 2048 {
		t.Errorf("signature %s", c.SignatureAlgorithm)
	}
	if c.SerialNumber.Sign() != 1 || c.SerialNumber.BitLen() != 127 {
		t.Errorf("serial number %x", c.SerialNumber)
	}
	if err := c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature); err != nil {
		t.Error(err)
	}
	if !samePublicKey(c.PublicKey, i.Key.Public()) {
		t.Error("the key is another")
	}
}

func TestGenerateLongerKey(t *testing.T) {
	t.Parallel()
	i, err := Generate(nil, noon, NewOptions{CommonName: "x", Bits: 3072, Valid: Validity{Days: 90}})
	if err != nil {
		t.Fatal(err)
	}
	if bits := i.Certificate.PublicKey.(*rsa.PublicKey).N.BitLen(); bits != 3072 {
		t.Errorf("%d bits", bits)
	}
	if life := i.Certificate.NotAfter.Sub(i.Certificate.NotBefore); life != 90*24*time.Hour {
		t.Errorf("a life of %s breaks a policy of 90 days", life)
	}
}

func TestGenerateRefuses(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]NewOptions{
		"no name":             {},
		"long name":           {CommonName: strings.Repeat("n", 65)},
		"invisible character": {CommonName: "a\u202eb"},
		"broken name":         {CommonName: "\xff"},
		"short key":           {CommonName: "x", Bits: 1024},
		"odd key":             {CommonName: "x", Bits: 2049},
		"negative validity":   {CommonName: "x", Valid: Validity{Days: -1}},
		"endless validity":    {CommonName: "x", Valid: Validity{Years: 51}},
	} {
		if i, err := Generate(nil, noon, o); err == nil {
			t.Errorf("%s: got %v", name, i)
		}
	}
	// The serial number is drawn from the given randomness alone.
	if _, err := Generate(strings.NewReader("short"), noon, NewOptions{CommonName: "x"}); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("without randomness: %v", err)
	}
}

func TestParseValidity(t *testing.T) {
	t.Parallel()
	from := time.Date(2027, 1, 31, 6, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"5y":     time.Date(2032, 1, 31, 6, 0, 0, 0, time.UTC),
		" 5 Y ":  time.Date(2032, 1, 31, 6, 0, 0, 0, time.UTC),
		"18mo":   time.Date(2028, 7, 31, 6, 0, 0, 0, time.UTC),
		"365d":   time.Date(2028, 1, 31, 6, 0, 0, 0, time.UTC),
		"720h":   from.Add(720 * time.Hour),
		"2w":     from.AddDate(0, 0, 14),
		"1y6mo":  time.Date(2028, 7, 31, 6, 0, 0, 0, time.UTC),
		"1y1d1h": time.Date(2028, 2, 1, 7, 0, 0, 0, time.UTC),
		"50y":    time.Date(2077, 1, 31, 6, 0, 0, 0, time.UTC),
	} {
		v, err := ParseValidity(text)
		if err != nil || !v.From(from).Equal(want) {
			t.Errorf("%q: %s, %v; want %s", text, v.From(from), err, want)
		}
		if again, err := ParseValidity(v.String()); err != nil || again != v {
			t.Errorf("%q is written as %q and read as %v, %v", text, v, again, err)
		}
	}
	for text, want := range map[string]string{
		"":         "is no validity",
		"5":        "no unit",
		"30m":      "ambiguous",
		"0y":       "nothing at all",
		"-5y":      "is no validity",
		"5y!":      "is no validity",
		"51y":      "longer than 50 years",
		"999999h":  "longer",
		"9999999d": "is no validity",
		"\x1b[31m": `"[31m"`,
	} {
		if _, err := ParseValidity(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if got := (Validity{}).String(); got != "5y" || DefaultValidity().String() != got {
		t.Errorf("the default is %s", got)
	}
}
