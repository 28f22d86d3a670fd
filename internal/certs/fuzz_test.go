package certs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
)

func FuzzParse(f *testing.F) {
	names, err := filepath.Glob(filepath.Join("testdata", "*.*"))
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, testPassword)
		f.Add(data, "")
	}
	f.Add(severalPFX(f), testPassword)
	f.Add(append(file(f, "a.crt"), file(f, "a-aes256.key")...), testPassword)
	f.Add(append(file(f, "a.crt"), file(f, "a-pkcs1.key")...), "")
	f.Fuzz(func(t *testing.T, data []byte, password string) {
		i, err := Parse(data, password)
		if err != nil {
			for _, r := range err.Error() {
				if !unicode.IsPrint(r) {
					t.Fatalf("the error holds %U: %q", r, err)
				}
			}
			return
		}
		if i.Certificate == nil || i.Key == nil || !samePublicKey(i.Certificate.PublicKey, i.Key.Public()) {
			t.Fatal("accepted without a certificate and its key")
		}
		if err := checkKey(i.Key); err != nil {
			t.Fatal(err)
		}
		if _, err := i.PEM(); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzParseThumbprint(f *testing.F) {
	for _, seed := range []string{testSHA1, testSHA256, "\u200e" + separated(testSHA1, " "), separated(testSHA256, ":"), "SHA1 Fingerprint=" + testSHA1, "8f14e45f-ceea-467f-ab8b-1d1d1d1d1d1d", "hEaE5hBJWcXc1oD2XgB3hOvmPjQ", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseThumbprint(s)
		if err != nil {
			for _, r := range err.Error() {
				if !unicode.IsPrint(r) {
					t.Fatalf("the error holds %U", r)
				}
			}
			return
		}
		if len(got) != 40 && len(got) != 64 || strings.Trim(string(got), "0123456789ABCDEF") != "" {
			t.Fatalf("%q is no thumbprint", got)
		}
		if again, err := ParseThumbprint(string(got)); err != nil || again != got {
			t.Fatalf("%q is read as %q, %v", got, again, err)
		}
	})
}

func FuzzEntry(f *testing.F) {
	i, err := Parse(file(f, "chain.pfx"), testPassword)
	if err != nil {
		f.Fatal(err)
	}
	data, err := encodeEntry(Entry{Certificate: i.Certificate, Chain: i.Chain, Ref: "store:01ARZ3NDEKTSV4RRFFQ69G5FAV", HasKey: true, Imported: noon})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte("schema: 2"))
	f.Add([]byte("schema: 1\ncertificate: x"))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := decodeEntry(data)
		if err == nil && (e.Certificate == nil || e.HasKey && e.Ref.Scheme() != "store") {
			t.Fatal("an entry without a certificate or with a foreign key")
		}
	})
}
