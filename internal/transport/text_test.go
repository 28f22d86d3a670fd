package transport

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestCleanText(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain":                       "plain",
		"two\r\nlines\tand a tab":     "two lines and a tab",
		"\x1b[31mred\x1b[0m":          "[31mred[0m",
		"\x1b]0;title\x07":            "]0;title",
		"C1 \u009b31m":                "C1 31m",
		"a\u202egpj.exe\u2066":        "agpj.exe",
		"zero\u200bwidth\u200d\ufeff": "zerowidth",
		"DEL\x7f NUL\x00":             "DEL NUL",
		"no\u00a0break":               "no break",
		"line\u2028separator":         "line separator",
		"bad utf8 \xff\xfe":           "bad utf8",
		"tags\U000e0041":              "tags",
		"Zażółć 日本":                   "Zażółć 日本",
		"  around  ":                  "around",
	} {
		if got := CleanText(in, 0); got != want {
			t.Errorf("CleanText(%q) = %q, want %q", in, got, want)
		}
	}
	if got := CleanText(strings.Repeat("ż", 100), 11); got != "żżżżż…" {
		t.Errorf("cut off: %q", got)
	}
}

func FuzzCleanText(f *testing.F) {
	f.Add("\x1b[2J\u202e\x00 é")
	f.Fuzz(func(t *testing.T, s string) {
		got := CleanText(s, 50)
		if len(got) > 50+len("…") || !utf8.ValidString(got) {
			t.Fatalf("%q", got)
		}
		for _, r := range got {
			if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
				t.Fatalf("%q holds %U", got, r)
			}
		}
	})
}
