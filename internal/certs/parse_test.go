package certs

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"software.sslmate.com/src/go-pkcs12"
)

const testPassword = "c2conn-test"

// file reads a test file; see testdata/README.md.
func file(t testing.TB, names ...string) []byte {
	t.Helper()
	var all []byte
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, data...)
	}
	return all
}

// testA gives the identity A, which most test files hold.
func testA(t testing.TB) Identity {
	t.Helper()
	i, err := Parse(file(t, "a.crt", "a-pkcs8.key"), "")
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestParseFindsCertificateAndKey(t *testing.T) {
	t.Parallel()
	want := testA(t)
	crlf := bytes.ReplaceAll(file(t, "a.crt", "a-pkcs1.key"), []byte("\n"), []byte("\r\n"))
	modern2026, err := pkcs12.Modern2026.Encode(want.Key, want.Certificate, nil, testPassword)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name     string
		data     []byte
		password string
	}{
		{"modern PFX", file(t, "modern.pfx"), testPassword},
		{"PFX with PBMAC1", modern2026, testPassword},
		{"legacy PFX with RC2", file(t, "legacy.pfx"), testPassword},
		{"legacy PFX with 3DES", file(t, "legacy-3des.pfx"), testPassword},
		{"PFX with an empty password", file(t, "no-password.pfx"), ""},
		{"a password for a PFX that needs none", file(t, "no-password.pfx"), "needless"},
		{"PFX without any protection", file(t, "no-encryption.pfx"), ""},
		{"a password for a PFX without any protection", file(t, "no-encryption.pfx"), "needless"},
		{"PFX with a MAC only", file(t, "plain-with-mac.pfx"), testPassword},
		{"PFX with many rounds", file(t, "many-rounds.pfx"), testPassword},
		{"PFX with a line break at its end", append(file(t, "modern.pfx"), '\r', '\n'), testPassword},
		{"PFX as base64, as key vaults give it", []byte(base64.StdEncoding.EncodeToString(file(t, "no-password.pfx"))), ""},
		{"PFX as base64 in lines", wrapped(file(t, "modern.pfx")), testPassword},
		{"PEM, PKCS#8", file(t, "a.crt", "a-pkcs8.key"), ""},
		{"PEM, PKCS#1", file(t, "a.crt", "a-pkcs1.key"), ""},
		{"PEM, key first", file(t, "a-pkcs1.key", "a.crt"), ""},
		{"PEM, a password for a key that needs none", file(t, "a-pkcs1.key", "a.crt"), "needless"},
		{"PEM, AES-256", file(t, "a.crt", "a-aes256.key"), testPassword},
		{"PEM, AES-128 and SHA-1", file(t, "a-aes128-sha1.key", "a.crt"), testPassword},
		{"PEM, AES-192 and SHA-512", file(t, "a.crt", "a-aes192-sha512.key"), testPassword},
		{"PEM, 3DES", file(t, "a.crt", "a-3des.key"), testPassword},
		{"PEM, DEK-Info", file(t, "a.crt", "a-dek.key"), testPassword},
		{"PEM with CRLF", crlf, ""},
		{"PEM with a byte order mark", append([]byte("\xef\xbb\xbf"), crlf...), ""},
		{"PEM in UTF-16", utf16LE(crlf), ""},
		{"PEM in UTF-16, big end first", utf16BE(crlf), ""},
		{"PEM with text between", file(t, "bag-attributes.pem"), ""},
		{"PEM with the same certificate twice", file(t, "a.crt", "a.crt", "a-pkcs8.key"), ""},
		{"PEM with another certificate", file(t, "ca.crt", "a.crt", "a-pkcs8.key"), ""},
		{"PEM with another key", file(t, "b-pkcs1.key", "a.crt", "a-pkcs8.key"), ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := Parse(test.data, test.password)
			if err != nil {
				t.Fatal(err)
			}
			if got.Thumbprint() != want.Thumbprint() || len(got.Chain) != 0 {
				t.Errorf("got %v with a chain of %d", got, len(got.Chain))
			}
			if !samePublicKey(got.Key.Public(), want.Key.Public()) {
				t.Error("another key")
			}
		})
	}
}

func TestParseKeepsTheChain(t *testing.T) {
	t.Parallel()
	ca := mustPEM(t, file(t, "ca.crt"))
	for name, data := range map[string][]byte{
		"PFX":                  file(t, "chain.pfx"),
		"PEM, issuer first":    file(t, "ca.crt", "a.crt", "b-pkcs1.key", "b.crt"),
		"PEM, leaf then chain": file(t, "b.crt", "b-pkcs1.key", "ca.crt", "a.crt"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := Parse(data, testPassword)
			if err != nil {
				t.Fatal(err)
			}
			if got.Certificate.Subject.CommonName != "c2conn test B" {
				t.Errorf("got %v", got)
			}
			if len(got.Chain) != 1 || !bytes.Equal(got.Chain[0].Raw, ca) {
				t.Errorf("chain: %d certificates", len(got.Chain))
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		data     []byte
		password string
		want     error
	}{
		{"PFX, no password", file(t, "modern.pfx"), "", ErrPasswordNeeded},
		{"PFX, wrong password", file(t, "modern.pfx"), "wrong", ErrWrongPassword},
		{"legacy PFX, no password", file(t, "legacy.pfx"), "", ErrPasswordNeeded},
		{"legacy PFX, wrong password", file(t, "legacy.pfx"), "wrong", ErrWrongPassword},
		{"PFX, password beyond UCS-2", file(t, "modern.pfx"), "\U0001F511", ErrWrongPassword},
		{"PFX without a MAC", file(t, "no-mac.pfx"), testPassword, ErrUnsupportedFormat},
		{"PFX without a key", file(t, "no-key.pfx"), testPassword, ErrNoKey},
		{"half a PFX", file(t, "modern.pfx")[:1200], testPassword, ErrNotACertificate},
		{"PFX with indefinite lengths", append([]byte{0x30, 0x80, 2, 1, 3}, make([]byte, 40)...), "", ErrUnsupportedFormat},
		{"certificate alone, PEM", file(t, "a.crt"), "", ErrNoKey},
		{"certificate alone, DER", file(t, "a.cer"), "", ErrNoKey},
		{"key alone, PEM", file(t, "a-pkcs8.key"), "", ErrNotACertificate},
		{"key alone, DER", mustPEM(t, file(t, "a-pkcs8.key")), "", ErrNotACertificate},
		{"encrypted key alone, DER", mustPEM(t, file(t, "a-aes256.key")), testPassword, ErrNotACertificate},
		{"key of another certificate", file(t, "a.crt", "b-pkcs1.key"), "", ErrKeyMismatch},
		{"PEM, no password", file(t, "a.crt", "a-aes256.key"), "", ErrPasswordNeeded},
		{"PEM, wrong password", file(t, "a.crt", "a-aes256.key"), "wrong", ErrWrongPassword},
		{"DEK-Info, no password", file(t, "a.crt", "a-dek.key"), "", ErrPasswordNeeded},
		{"DEK-Info, wrong password", file(t, "a.crt", "a-dek.key"), "wrong", ErrWrongPassword},
		{"scrypt", file(t, "a.crt", "a-scrypt.key"), testPassword, ErrUnsupportedFormat},
		{"PBES1", file(t, "a.crt", "a-pbes1.key"), testPassword, ErrUnsupportedFormat},
		{"PKCS#7", file(t, "a.p7b"), "", ErrUnsupportedFormat},
		{"PKCS#7 as PEM", pem.EncodeToMemory(&pem.Block{Type: "PKCS7", Bytes: file(t, "a.p7b")}), "", ErrUnsupportedFormat},
		{"a request", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: []byte{0x30, 0}}), "", ErrNotACertificate},
		{"empty", nil, "", ErrNotACertificate},
		{"spaces", []byte(" \r\n"), "", ErrNotACertificate},
		{"text", []byte("Dear administrator,"), "", ErrNotACertificate},
		{"PEM cut in the middle", file(t, "a.crt")[:400], "", ErrNotACertificate},
		{"PEM certificate that is none", []byte("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"), "", ErrNotACertificate},
		{"too large", make([]byte, maxFile+1), "", ErrTooLarge},
		{"too many blocks", bytes.Repeat(file(t, "a.crt"), maxBlocks+1), "", ErrUnsupportedFormat},
		{"huge key", append(file(t, "a.crt"), pem.EncodeToMemory(&pem.Block{Type: pemKey, Bytes: make([]byte, maxKey+1)})...), "", ErrUnsupportedFormat},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := Parse(test.data, test.password)
			if !errors.Is(err, test.want) {
				t.Fatalf("got %v, %v; want %v", got, err, test.want)
			}
			if test.password != "" && strings.Contains(err.Error(), test.password) {
				t.Errorf("the error repeats the password: %v", err)
			}
		})
	}
}

func TestParseRefusesKeysThatEntraDoesNotTake(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"small.pfx", "small.pem"} {
		var small *KeyTooSmallError
		if _, err := Parse(file(t, name), testPassword); !errors.As(err, &small) || small.Bits != 1024 {
			t.Errorf("%s: %v", name, err)
		}
	}
	openssh := pem.EncodeToMemory(&pem.Block{Type: "OPENSSH PRIVATE KEY", Bytes: []byte("x")})
	for name, test := range map[string]struct {
		data []byte
		want string
	}{
		"EC PFX":      {file(t, "ec.pfx"), "ECDSA"},
		"EC PEM":      {file(t, "ec.pem"), "ECDSA"},
		"Ed25519 PEM": {file(t, "ed25519.pem"), "Ed25519"},
		"OpenSSH":     {append(file(t, "a.crt"), openssh...), "OpenSSH"},
	} {
		var kind *UnsupportedKeyError
		if _, err := Parse(test.data, testPassword); !errors.As(err, &kind) || kind.Kind != test.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func mustPEM(t testing.TB, text []byte) []byte {
	t.Helper()
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatal("no PEM block")
	}
	return block.Bytes
}

func wrapped(data []byte) []byte {
	var out bytes.Buffer
	text := base64.StdEncoding.EncodeToString(data)
	for len(text) > 76 {
		out.WriteString(text[:76] + "\r\n")
		text = text[76:]
	}
	out.WriteString(text)
	return out.Bytes()
}

func utf16LE(text []byte) []byte { return utf16Bytes(text, binary.LittleEndian) }
func utf16BE(text []byte) []byte { return utf16Bytes(text, binary.BigEndian) }

func utf16Bytes(text []byte, order binary.AppendByteOrder) []byte {
	out := order.AppendUint16(nil, 0xFEFF)
	for _, unit := range utf16.Encode([]rune(string(text))) {
		out = order.AppendUint16(out, unit)
	}
	return out
}
