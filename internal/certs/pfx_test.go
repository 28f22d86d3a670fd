package certs

import (
	"bytes"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"
)

func severalPFX(t testing.TB) []byte {
	b := &pfxBuild{t: t}
	b.data(append(b.keyBags(file(t, "modern.pfx")), b.keyBags(file(t, "chain.pfx"))...)...)
	b.data(b.certBag(file(t, "a.cer")), b.certBag(mustPEM(t, file(t, "b.crt"))), b.certBag(mustPEM(t, file(t, "ca.crt"))))
	return b.build(testPassword)
}

func TestSeveralCertificatesAreListedAndChosen(t *testing.T) {
	t.Parallel()
	for name, data := range map[string][]byte{
		"PFX": severalPFX(t),
		"PEM": file(t, "a.crt", "a-pkcs1.key", "b-pkcs1.key", "b.crt", "ca.crt"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var several *SeveralError
			_, err := Parse(data, testPassword)
			if !errors.As(err, &several) || len(several.Candidates) != 2 {
				t.Fatalf("got %v", err)
			}
			for i, name := range []string{"CN=c2conn test A", "CN=c2conn test B"} {
				c := several.Candidates[i]
				if c.Subject != name || !strings.Contains(err.Error(), string(c.Thumbprint)) || !strings.Contains(err.Error(), "import it with: c2conn cert import FILE --thumbprint THUMBPRINT") || !strings.Contains(err.Error(), name) {
					t.Errorf("candidate %d: %+v in %q", i, c, err)
				}
				got, err := ParseChosen(data, testPassword, c.Thumbprint)
				if err != nil || got.Thumbprint() != c.Thumbprint {
					t.Errorf("choosing %s: %v, %v", c.Thumbprint, got, err)
				}
				if wantChain := i; len(got.Chain) != wantChain {
					t.Errorf("choosing %s: chain of %d", c.Thumbprint, len(got.Chain))
				}
				if got, err := ParseChosen(data, testPassword, got.ThumbprintSHA256()); err != nil || got.Thumbprint() != c.Thumbprint {
					t.Errorf("choosing by SHA-256: %v, %v", got, err)
				}
			}
			if _, err := ParseChosen(data, testPassword, "AB"); !errors.Is(err, ErrNotFound) {
				t.Errorf("choosing what is not there: %v", err)
			}
		})
	}
}

func TestPFXWithKeysThatCannotBeListed(t *testing.T) {
	t.Parallel()
	b := &pfxBuild{t: t}
	b.data(append(append(b.keyBags(file(t, "modern.pfx")), b.keyBags(file(t, "chain.pfx"))...), b.certBag(file(t, "a.cer")))...)
	var several *SeveralError // one part instead of two is more than the decoder's listing knows
	if _, err := Parse(b.build(testPassword), testPassword); !errors.As(err, &several) || several.Err == nil {
		t.Errorf("got %v", err)
	}
}

func TestPFXWithoutACertificate(t *testing.T) {
	t.Parallel()
	b := &pfxBuild{t: t}
	b.data(b.keyBags(file(t, "modern.pfx"))...)
	if _, err := Parse(b.build(testPassword), testPassword); !errors.Is(err, ErrNotACertificate) {
		t.Errorf("got %v", err)
	}
}

func TestPFXWithAForeignKey(t *testing.T) {
	t.Parallel()
	b := &pfxBuild{t: t}
	b.data(append(b.keyBags(file(t, "chain.pfx")), b.certBag(file(t, "a.cer")))...)
	if _, err := Parse(b.build(testPassword), testPassword); !errors.Is(err, ErrKeyMismatch) {
		t.Errorf("got %v", err)
	}
}

// The counts would take hours; the test's own limit shows that they are refused
// before any work.
func TestHostileRoundsAreRefusedAtOnce(t *testing.T) {
	t.Parallel()
	const many = 2_000_000_000
	build := func(rounds int, bags func(b *pfxBuild)) []byte {
		b := &pfxBuild{t: t, rnd: rounds}
		bags(b)
		return b.build(testPassword)
	}
	odd := &pfxBuild{t: t, rnd: 1}
	odd.data(odd.hostileKey(many, 1200), odd.certBag(file(t, "a.cer")))
	oddType := odd.build(testPassword)
	var whole pfxFile // the decoder does not look at the type of the inner value
	if err := unmarshal(oddType, &whole); err != nil {
		t.Fatal(err)
	}
	whole.AuthSafe.Value.Bytes[0] = asn1.TagUTF8String // shares the bytes of oddType
	tests := map[string][]byte{
		"MAC":        build(many, func(b *pfxBuild) { b.data(b.certBag(file(t, "a.cer"))) }),
		"key":        build(1, func(b *pfxBuild) { b.data(b.hostileKey(many, 1200), b.certBag(file(t, "a.cer"))) }),
		"odd type":   oddType,
		"overflow":   build(1<<62, func(b *pfxBuild) { b.data(b.hostileKey(1<<62, 1200)) }),
		"sum":        build(1, func(b *pfxBuild) { b.data(b.hostileKey(3_000_000, 8), b.hostileKey(3_000_000, 8)) }),
		"huge key":   build(1, func(b *pfxBuild) { b.data(b.hostileKey(1, maxKey+8), b.certBag(file(t, "a.cer"))) }),
		"many parts": build(1, func(b *pfxBuild) { b.data(manyBags(b)...) }),
	}
	for name, data := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := pfxCost(data); !errors.Is(err, ErrTooCostly) {
				t.Fatalf("pfxCost: %v", err)
			}
			if _, err := Parse(data, testPassword); !errors.Is(err, ErrTooCostly) {
				t.Errorf("Parse: %v", err)
			}
		})
	}
}

func manyBags(b *pfxBuild) []testBag {
	cer := file(b.t, "a.cer")
	bags := make([]testBag, maxParts+1)
	for i := range bags {
		bags[i] = b.certBag(cer)
	}
	return bags
}

func TestHostileRoundsOfAPEMKeyAreRefused(t *testing.T) {
	t.Parallel()
	var box encryptedKey
	if err := unmarshal(mustPEM(t, file(t, "a-aes256.key")), &box); err != nil {
		t.Fatal(err)
	}
	b := &pfxBuild{t: t}
	change := func(edit func(*pbkdf2Params, *pbes2, *encryptedKey)) []byte {
		box := box
		var params pbes2
		var kdf pbkdf2Params
		if err := errors.Join(unmarshal(box.Algorithm.Parameters.FullBytes, &params), unmarshal(params.KDF.Parameters.FullBytes, &kdf)); err != nil {
			t.Fatal(err)
		}
		edit(&kdf, &params, &box)
		params.KDF.Parameters = b.raw(kdf, "")
		box.Algorithm.Parameters = b.raw(params, "")
		return b.marshal(box, "")
	}
	iv := func(n int) asn1.RawValue { return b.raw(make([]byte, n), "") }
	tests := map[string]struct {
		der  []byte
		want error
	}{
		"rounds":      {change(func(k *pbkdf2Params, _ *pbes2, _ *encryptedKey) { k.Iterations = 2_000_000_000 }), ErrTooCostly},
		"no rounds":   {change(func(k *pbkdf2Params, _ *pbes2, _ *encryptedKey) { k.Iterations = -1 }), errDamagedKey},
		"key length":  {change(func(k *pbkdf2Params, _ *pbes2, _ *encryptedKey) { k.KeyLength = 1 << 40 }), errDamagedKey},
		"short iv":    {change(func(_ *pbkdf2Params, p *pbes2, _ *encryptedKey) { p.Scheme.Parameters = iv(3) }), errDamagedKey},
		"odd length":  {change(func(_ *pbkdf2Params, _ *pbes2, e *encryptedKey) { e.Data = e.Data[:17] }), errDamagedKey},
		"no data":     {change(func(_ *pbkdf2Params, _ *pbes2, e *encryptedKey) { e.Data = nil }), errDamagedKey},
		"cut":         {change(func(_ *pbkdf2Params, _ *pbes2, e *encryptedKey) { e.Data = e.Data[:32] }), ErrWrongPassword},
		"too long":    {change(func(_ *pbkdf2Params, _ *pbes2, e *encryptedKey) { e.Data = make([]byte, maxKey+16) }), ErrUnsupportedFormat},
		"odd PRF":     {change(func(k *pbkdf2Params, _ *pbes2, _ *encryptedKey) { k.PRF.Algorithm = oidPBES2 }), ErrUnsupportedFormat},
		"odd cipher":  {change(func(_ *pbkdf2Params, p *pbes2, _ *encryptedKey) { p.Scheme.Algorithm = oidPBES2 }), ErrUnsupportedFormat},
		"Java's form": {change(func(k *pbkdf2Params, _ *pbes2, _ *encryptedKey) { k.KeyLength = 32 }), nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := decryptPKCS8(test.der, testPassword); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

// Each key alone is within reason, all together would take minutes. The test's own
// limit shows that they are refused before any work.
func TestTheRoundsOfAPEMFileAreAddedUp(t *testing.T) {
	t.Parallel()
	var box encryptedKey
	var params pbes2
	var kdf pbkdf2Params
	if err := errors.Join(unmarshal(mustPEM(t, file(t, "a-aes256.key")), &box), unmarshal(box.Algorithm.Parameters.FullBytes, &params),
		unmarshal(params.KDF.Parameters.FullBytes, &kdf)); err != nil {
		t.Fatal(err)
	}
	b := &pfxBuild{t: t}
	key := func(rounds int) []byte {
		kdf, params, box := kdf, params, box
		kdf.Iterations = rounds
		params.KDF.Parameters = b.raw(kdf, "")
		box.Algorithm.Parameters = b.raw(params, "")
		return pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: b.marshal(box, "")})
	}
	for name, data := range map[string][]byte{
		"most keys": bytes.Repeat(key(maxIterations), maxBlocks-1),
		"two keys":  append(key(maxIterations), key(1)...),
		"overflow":  bytes.Repeat(key(1<<62), 4),
	} {
		for _, password := range []string{testPassword, ""} {
			if _, err := Parse(append(file(t, "a.crt"), data...), password); !errors.Is(err, ErrTooCostly) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	// The certificates beside it do not count, nor do a few honest keys.
	honest := append(file(t, "a.crt"), bytes.Repeat(file(t, "a-aes256.key"), 3)...)
	if _, err := Parse(honest, testPassword); err != nil {
		t.Error(err)
	}
}

func TestWorkThatDoesNotEndIsGivenUp(t *testing.T) {
	t.Parallel()
	forever := make(chan struct{})
	defer close(forever)
	_, err := within(time.Millisecond, func() (contents, error) { <-forever; return contents{}, nil })
	if !errors.Is(err, ErrTooCostly) {
		t.Errorf("got %v", err)
	}
	_, err = within(time.Minute, func() (contents, error) { panic("a decoder's bug") })
	if !errors.Is(err, ErrNotACertificate) {
		t.Errorf("got %v", err)
	}
}
