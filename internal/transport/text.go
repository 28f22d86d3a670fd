package transport

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// CleanText makes a text from a server safe to show: control characters,
// terminal escapes, marks that turn the writing direction and invisible
// characters are removed, line breaks and tabs become spaces, and what is longer
// than limit bytes is cut off. A limit of 0 means 4 KiB.
func CleanText(s string, limit int) string {
	if limit <= 0 {
		limit = 4 << 10
	}
	var b strings.Builder
	space := false
	for _, r := range s {
		switch {
		case r == '\n' || r == '\r' || r == '\t' || unicode.Is(unicode.Z, r):
			space = b.Len() > 0
			continue
		case r == utf8.RuneError || hidden(r):
			continue
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		if b.Len()+utf8.RuneLen(r) > limit {
			return strings.TrimRight(b.String(), " ") + "…"
		}
		b.WriteRune(r)
	}
	return b.String()
}

// hidden reports whether r changes a screen without being seen itself.
func hidden(r rune) bool {
	// Cc: C0, DEL and C1. Cf: direction marks, zero-width characters, tags, soft hyphen.
	// Co, Cs: private use and surrogates, which a font may draw as anything.
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs) || r == '\u034f' || r == '\u115f' || r == '\u1160' || r == '\u3164'
}
