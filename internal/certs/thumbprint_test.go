package certs

import (
	"errors"
	"strings"
	"testing"
)

const (
	testSHA1   = "0123456789ABCDEF0123456789ABCDEF01234567"
	testSHA256 = "0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF"
)

func separated(s, by string) string {
	var pairs []string
	for ; len(s) > 0; s = s[2:] {
		pairs = append(pairs, s[:2])
	}
	return strings.Join(pairs, by)
}

func TestParseThumbprint(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"plain":                    testSHA1,
		"lower case":               strings.ToLower(testSHA1),
		"spaces":                   separated(testSHA1, " "),
		"no-break spaces":          separated(testSHA1, "\u00a0"),
		"colons":                   separated(strings.ToLower(testSHA1), ":"),
		"dashes":                   separated(testSHA1, "-"),
		"typographic dashes":       separated(testSHA1, "\u2013"),
		"mark of the dialog":       "\u200e" + separated(testSHA1, " "),
		"marks everywhere":         separated(testSHA1, "\u200b\ufeff"),
		"line break":               testSHA1[:20] + "\r\n" + testSHA1[20:] + "\n",
		"openssl":                  "SHA1 Fingerprint=" + separated(testSHA1, ":"),
		"openssl 3":                "sha1 Fingerprint=" + separated(testSHA1, ":"),
		"SHA-256":                  testSHA256,
		"SHA-256, openssl":         "sha256 Fingerprint=" + separated(testSHA256, ":"),
		"SHA-256, marks and space": separated(testSHA256, "\u200e "),
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := testSHA1
			if strings.HasPrefix(name, "SHA-256") {
				want = testSHA256
			}
			got, err := ParseThumbprint(text)
			if err != nil || string(got) != want || got.IsSHA1() != (want == testSHA1) {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestParseThumbprintSaysWhatTheTextLooksLike(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ text, want string }{
		"GUID":             {"8f14e45f-ceea-467f-ab8b-1d1d1d1d1d1d", "GUID"},
		"MD5":              {separated(testSHA1[:32], ":"), "MD5"},
		"SHA-384":          {testSHA256 + testSHA256[:32], "SHA-384"},
		"SHA-512":          {testSHA256 + testSHA256, "SHA-512"},
		"one missing":      {testSHA1[1:], "this has 39: some are missing"},
		"one too many":     {testSHA1 + "0", "this has 41"},
		"empty":            {"", "this has 0"},
		"only marks":       {"\u200e \u200e", "this has 0"},
		"letter":           {"O" + testSHA1[1:], "'O' is no hexadecimal digit"},
		"escape":           {"\x1b[31m" + testSHA1, "'[' is no hexadecimal digit"},
		"x5t":              {"hEaE5hBJWcXc1oD2XgB3hOvmPjQ", "base64"},
		"x5t#S256, padded": {"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "base64"},
		"certificate":      {"-----BEGIN CERTIFICATE-----\nMII", "not a thumbprint"},
		"very long":        {strings.Repeat("0", 5000), "5000 bytes"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := ParseThumbprint(test.text)
			var typed *ThumbprintError
			if !errors.As(err, &typed) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestThumbprintMatches(t *testing.T) {
	t.Parallel()
	a := testA(t)
	for _, good := range []Thumbprint{a.Thumbprint(), a.ThumbprintSHA256()} {
		if !good.Matches(a.Certificate) || len(good.Bytes())*2 != len(good) {
			t.Errorf("%s does not match", good)
		}
	}
	for _, bad := range []Thumbprint{"", testSHA1, "xyz"} {
		if bad.Matches(a.Certificate) {
			t.Errorf("%q matches", bad)
		}
	}
	if Thumbprint("").Matches(nil) || Thumbprint("xyz").Bytes() != nil {
		t.Error("an invalid thumbprint has a value")
	}
}
