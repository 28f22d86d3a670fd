package wizard

import (
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
)

func TestWrapText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text  string
		width int
		want  string
	}{
		{"", 10, "* "},
		{"one two three", 9, "* one two|- three"},
		{"Get-OrganizationConfig -Retrieve", 26, "* Get-OrganizationConfig|- -Retrieve"},
		{"a abcdefghijklmnop z", 8, "* a|- abcdef|- ghijkl|- mnop z"},
		{"für 中文字符 x", 8, "* für|- 中文字|- 符 x"},
		{"x", 1, "* x"},
	} {
		if got := strings.Join(wrapText(c.text, c.width, "* ", "- "), "|"); got != c.want {
			t.Errorf("%q in %d: %q, want %q", c.text, c.width, got, c.want)
		}
	}
}

func FuzzWrapText(f *testing.F) {
	f.Add("one two three", 5)
	f.Add("\x1b[31mred\u202e中文字符", 3)
	f.Fuzz(func(t *testing.T, text string, width int) {
		width = 4 + (width&0xff)%200
		var joined strings.Builder
		for _, line := range wrapText(text, width, "  ", "  ") {
			if ansi.StringWidth(line) > width {
				t.Errorf("%q is wider than %d", line, width)
			}
			if strings.ContainsRune(line, 0x1b) {
				t.Errorf("an escape in %q", line)
			}
			joined.WriteString(strings.ReplaceAll(line, " ", ""))
		}
		if got, want := joined.String(), strings.ReplaceAll(clean(text), " ", ""); got != want {
			t.Errorf("%q became %q", want, got)
		}
	})
}
