package certs

import (
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
)

// Thumbprint is the SHA-1 (40 characters) or SHA-256 (64 characters) of a
// certificate in upper-case hexadecimal.
type Thumbprint string

const (
	sha1Digits   = 40
	sha256Digits = 64
)

// IsSHA1 tells whether the thumbprint is a SHA-1.
func (t Thumbprint) IsSHA1() bool { return len(t) == sha1Digits }

// Bytes gives the hash itself, nil for an invalid thumbprint.
func (t Thumbprint) Bytes() []byte {
	b, err := hex.DecodeString(string(t))
	if err != nil {
		return nil
	}
	return b
}

// Matches tells whether the thumbprint, SHA-1 or SHA-256, is that of c.
func (t Thumbprint) Matches(c *x509.Certificate) bool {
	if t == "" || c == nil {
		return false
	}
	return t == ThumbprintOf(c) || t == ThumbprintSHA256Of(c)
}

// ParseThumbprint reads a thumbprint as people paste it: in any case, with
// spaces, colons, dashes, the invisible marks that the Windows certificate
// dialog puts in front, or as openssl prints it ("SHA1 Fingerprint=AB:CD…").
// Anything else is a *ThumbprintError that says what the text looks like.
func ParseThumbprint(s string) (Thumbprint, error) {
	const longest = 400 // 64 digits with a separator and an invisible mark each
	if len(s) > longest {
		return "", &ThumbprintError{Text: fmt.Sprintf("the text has %d bytes; a thumbprint has 40 (SHA-1) or 64 (SHA-256) hexadecimal digits", len(s))}
	}
	if _, after, ok := strings.Cut(s, "Fingerprint="); ok {
		s = after
	}
	var digits strings.Builder
	dashes := 0
	for _, r := range s {
		switch {
		case r >= '0' && r <= '9', r >= 'a' && r <= 'f', r >= 'A' && r <= 'F':
			digits.WriteRune(unicode.ToUpper(r))
		case unicode.Is(unicode.Pd, r):
			dashes++
		case r == ':', unicode.IsSpace(r), unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == '\ufffd':
			// separators and what nobody sees
		default:
			return "", &ThumbprintError{Text: notHex(s, r)}
		}
	}
	t := digits.String()
	if len(t) == sha1Digits || len(t) == sha256Digits {
		return Thumbprint(t), nil
	}
	return "", &ThumbprintError{Text: fmt.Sprintf("a thumbprint has 40 (SHA-1) or 64 (SHA-256) hexadecimal digits; this has %d%s", len(t), looksLike(len(t), dashes))}
}

func looksLike(digits, dashes int) string {
	switch {
	case digits == 0:
		return ""
	case digits == 32 && dashes == 4:
		return " and looks like a GUID: a key ID, a client ID or a tenant ID, but no thumbprint"
	case digits == 32:
		return " and looks like an MD5 fingerprint (or a GUID without its dashes), which Microsoft Entra ID does not use"
	case digits == 56, digits == 96, digits == 128:
		return fmt.Sprintf(" and looks like a SHA-%d fingerprint, which Microsoft Entra ID does not use", map[int]int{56: 224, 96: 384, 128: 512}[digits])
	case digits > 34 && digits < 46, digits > 58 && digits < 70:
		return ": some are missing or too many were copied"
	}
	return ""
}

// notHex says what a text with a foreign character probably is. The text itself
// is not repeated: a secret may have been pasted by mistake.
func notHex(s string, r rune) string {
	trimmed := strings.TrimRight(strings.TrimSpace(s), "=")
	if (len(trimmed) == 27 || len(trimmed) == 43) && strings.IndexFunc(trimmed, notBase64) < 0 {
		return "the text looks like a thumbprint in base64 (x5t, customKeyIdentifier); give it in hexadecimal, 40 or 64 digits"
	}
	if strings.Contains(s, "-----BEGIN") {
		return "the text is a certificate or key, not a thumbprint; save it as a file and import that"
	}
	return fmt.Sprintf("%q is no hexadecimal digit; a thumbprint consists of 40 (SHA-1) or 64 (SHA-256) of 0-9 and A-F", r)
}

func notBase64(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("+/-_", r)
}
