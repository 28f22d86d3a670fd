package ldapd

import (
	"encoding/hex"
	"strings"
)

// dn is a distinguished name in the form in which two names are compared: lower
// case, no space around the parts, escapes undone. The first part is the entry's own.
type dn []string

// parseDN reads a distinguished name (RFC 4514). Parts of several attributes
// ("a=1+b=2") stay one part; Active Directory makes none.
func parseDN(text string) (dn, bool) {
	if strings.TrimSpace(text) == "" {
		return nil, true
	}
	var name dn
	for _, part := range splitDN(text) {
		kind, value, ok := strings.Cut(part, "=")
		kind = strings.TrimSpace(kind)
		if !ok || kind == "" {
			return nil, false
		}
		value, ok = unescape(strings.TrimLeft(value, " "))
		if !ok || value == "" {
			return nil, false
		}
		// A separator that no value holds keeps "a=b" and "a" apart.
		name = append(name, strings.ToLower(kind)+"\x00"+strings.ToLower(value))
	}
	return name, true
}

func splitDN(text string) []string {
	var parts []string
	start := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case ',', ';':
			parts = append(parts, text[start:i])
			start = i + 1
		}
	}
	return append(parts, text[start:])
}

// unescape undoes "\," and "\2C", and drops the spaces behind that are not escaped.
func unescape(text string) (string, bool) {
	var b strings.Builder
	kept := 0
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			b.WriteByte(text[i])
			if text[i] != ' ' {
				kept = b.Len()
			}
			continue
		}
		if i+1 == len(text) {
			return "", false
		}
		i++
		if i+1 < len(text) {
			if raw, err := hex.DecodeString(text[i : i+2]); err == nil {
				b.Write(raw)
				kept = b.Len()
				i++
				continue
			}
		}
		b.WriteByte(text[i])
		kept = b.Len()
	}
	return b.String()[:kept], true
}

// key is the name as a map key.
func (n dn) key() string { return strings.Join(n, "\x01") }

// parent is the name above, nil for the root and for names of one part.
func (n dn) parent() dn {
	if len(n) < 2 {
		return nil
	}
	return n[1:]
}

// under reports whether n is base or beneath it.
func (n dn) under(base dn) bool {
	if len(n) < len(base) {
		return false
	}
	for i := range base {
		if n[len(n)-len(base)+i] != base[i] {
			return false
		}
	}
	return true
}

// escapeValue writes a value so that it can stand in a distinguished name.
func escapeValue(value string) string {
	var b strings.Builder
	for i, r := range value {
		switch {
		case strings.ContainsRune(`,+"\<>;=`, r), i == 0 && (r == ' ' || r == '#'), i == len(value)-1 && r == ' ':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ':
			b.WriteString(`\` + hex.EncodeToString([]byte{byte(r)}))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
