package certs

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"
	"unicode/utf16"
)

// pfxBuild puts PFX files together that no honest program writes.
type pfxBuild struct {
	t     testing.TB
	parts []content
	rnd   int // MAC rounds
}

var (
	oidTestSHA1     = asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}
	oidTestCertBag  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 3}
	oidTestX509     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 22, 1}
	oidTest3DES     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 3}
	testBagFields   = "explicit,tag:0"
	testOuterFields = "explicit,tag:0"
)

type testBag struct {
	ID    asn1.ObjectIdentifier
	Value asn1.RawValue
}

func (b *pfxBuild) marshal(v any, params string) []byte {
	b.t.Helper()
	der, err := asn1.MarshalWithParams(v, params)
	if err != nil {
		b.t.Fatal(err)
	}
	return der
}

func (b *pfxBuild) raw(v any, params string) asn1.RawValue {
	return asn1.RawValue{FullBytes: b.marshal(v, params)}
}

// keyBags takes the encrypted keys out of a PFX, as they are.
func (b *pfxBuild) keyBags(der []byte) []testBag {
	b.t.Helper()
	var bags []testBag
	for _, part := range b.open(der) {
		if !part.Type.Equal(oidData) {
			continue
		}
		var inner []byte
		var list []bag
		if unmarshal(part.Value.Bytes, &inner) != nil || unmarshal(inner, &list) != nil {
			b.t.Fatal("not a list of bags")
		}
		for _, one := range list {
			if one.ID.Equal(oidShroudedKey) {
				bags = append(bags, testBag{ID: one.ID, Value: asn1.RawValue{FullBytes: one.Value.FullBytes}})
			}
		}
	}
	return bags
}

func (b *pfxBuild) open(der []byte) []content {
	b.t.Helper()
	var whole pfxFile
	var inner []byte
	var parts []content
	if unmarshal(der, &whole) != nil || unmarshal(whole.AuthSafe.Value.Bytes, &inner) != nil || unmarshal(inner, &parts) != nil {
		b.t.Fatal("not a PFX")
	}
	return parts
}

func (b *pfxBuild) certBag(der []byte) testBag {
	return testBag{ID: oidTestCertBag, Value: b.raw(struct {
		ID   asn1.ObjectIdentifier
		Data []byte `asn1:"tag:0,explicit"`
	}{oidTestX509, der}, testBagFields)}
}

// hostileKey is a key bag whose decryption asks for rounds.
func (b *pfxBuild) hostileKey(rounds, size int) testBag {
	box := encryptedKey{Algorithm: pkix.AlgorithmIdentifier{Algorithm: oidTest3DES, Parameters: b.raw(struct {
		Salt       []byte
		Iterations int
	}{[]byte("saltsalt"), rounds}, "")}, Data: make([]byte, size)}
	return testBag{ID: oidShroudedKey, Value: b.raw(box, testBagFields)}
}

// data adds a part that is not encrypted.
func (b *pfxBuild) data(bags ...testBag) {
	b.parts = append(b.parts, content{Type: oidData, Value: b.raw(b.marshal(bags, ""), testOuterFields)})
}

// build adds a MAC (RFC 7292, appendix B, SHA-1: one block is enough for it).
func (b *pfxBuild) build(password string) []byte {
	b.t.Helper()
	inner := b.marshal(b.parts, "")
	whole := pfxFile{Version: 3, AuthSafe: content{Type: oidData, Value: b.raw(inner, testOuterFields)}}
	var wide []byte
	for _, unit := range append(utf16.Encode([]rune(password)), 0) {
		wide = append(wide, byte(unit>>8), byte(unit))
	}
	salt := []byte("12345678")
	input := make([]byte, 0, 3*64)
	for range 64 {
		input = append(input, 3)
	}
	for i := range 64 {
		input = append(input, salt[i%len(salt)])
	}
	for i := range (len(wide) + 63) / 64 * 64 {
		input = append(input, wide[i%len(wide)])
	}
	sum := sha1.Sum(input)
	mac := hmac.New(sha1.New, sum[:])
	mac.Write(inner)
	whole.MAC.MAC.Algorithm = pkix.AlgorithmIdentifier{Algorithm: oidTestSHA1, Parameters: asn1.NullRawValue}
	whole.MAC.MAC.Digest = mac.Sum(nil)
	whole.MAC.Salt = salt
	whole.MAC.Iterations = max(b.rnd, 1)
	return b.marshal(whole, "")
}
