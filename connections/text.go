package connections

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// hidden tells whether r can steer a terminal or hide in a text: control
// characters, bidirectional overrides, zero-width and other format characters.
func hidden(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029'
}

// clean makes foreign text safe to show: line breaks and tabs become spaces, what
// is hidden otherwise is removed, and long text is cut.
func clean(s string) string {
	const most = 500
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			return ' '
		case hidden(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	s = strings.TrimSpace(s)
	if len(s) > most {
		cut := most
		for !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + "…"
	}
	return s
}
