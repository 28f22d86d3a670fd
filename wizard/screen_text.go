package wizard

import (
	"strings"
	"unicode"

	"github.com/charmbracelet/x/ansi"

	"github.com/c2conn/c2conn/internal/transport"
)

// clean keeps text of foreign origin from moving the cursor or hiding things.
func clean(s string) string { return transport.CleanText(s, 0) }

// visible drops what a terminal does not show but obeys, as it comes along when a
// thumbprint is copied from a window.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cf, unicode.Co) || unicode.IsControl(r) && !unicode.IsSpace(r) || r == '\u0085' {
			return -1
		}
		return r
	}, s)
}

// clip shortens s to width cells, with an ellipsis for what is missing.
func clip(s string, width int) string {
	if width <= 0 {
		return ""
	}
	return ansi.Truncate(s, width, "…")
}

// wrapText breaks s at spaces only, so that identifiers and options of commands stay
// in one piece, and a word that is wider than a line anywhere. The lines begin with
// first and rest.
func wrapText(s string, width int, first, rest string) []string {
	room := max(width-max(ansi.StringWidth(first), ansi.StringWidth(rest)), 1)
	var lines []string
	line := ""
	for _, word := range strings.Split(clean(s), " ") {
		if line != "" && ansi.StringWidth(line)+1+ansi.StringWidth(word) <= room {
			line += " " + word
			continue
		}
		if line != "" {
			lines = append(lines, line)
		}
		pieces := strings.Split(ansi.Hardwrap(word, room, false), "\n")
		lines = append(lines, pieces[:len(pieces)-1]...)
		line = pieces[len(pieces)-1]
	}
	lines = append(lines, line)
	for i := range lines {
		if i == 0 {
			lines[i] = first + lines[i]
		} else {
			lines[i] = rest + lines[i]
		}
	}
	return lines
}

// pad fills s up to width cells.
func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(width-ansi.StringWidth(s), 0))
}

// between puts left and right at the ends of a line; right gives way.
func between(left, right string, width int) string {
	gap := width - ansi.StringWidth(left) - ansi.StringWidth(right)
	if gap < 1 {
		if room := width - ansi.StringWidth(left) - 1; room > 3 {
			return left + " " + clip(right, room)
		}
		return clip(left, width)
	}
	return left + strings.Repeat(" ", gap) + right
}
