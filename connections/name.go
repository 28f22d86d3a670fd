package connections

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	nameLimit     = 64  // characters of a name
	fileStemLimit = 200 // bytes of a file name without .yaml; file systems allow 255
	fileEnding    = ".yaml"
)

// ValidName tells what is wrong with the name of a connection; the error is a
// *FieldError. A name has 1 to 64 letters, digits and " . _ - @" and starts
// with a letter or digit.
func ValidName(name string) error {
	bad := func(format string, args ...any) error {
		return &FieldError{Field: "name", Reason: fmt.Sprintf(format, args...)}
	}
	switch {
	case name == "":
		return bad("is empty; give the connection a name, for example contoso-backup")
	case !utf8.ValidString(name):
		return bad("is not valid UTF-8 text")
	case utf8.RuneCountInString(name) > nameLimit:
		return bad("has %d characters; at most %d are allowed", utf8.RuneCountInString(name), nameLimit)
	case strings.HasSuffix(name, " "):
		return bad("ends with a space")
	}
	for i, r := range name {
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r):
		case i == 0:
			return bad("starts with %q; the first character must be a letter or a digit", r)
		case unicode.IsMark(r):
			return bad("holds the combining mark %U; type the accented letter as one character", r)
		case !strings.ContainsRune(" ._-@", r):
			return bad("holds %q; allowed are letters, digits, space and . _ - @", r)
		}
	}
	return nil
}

// fold maps names that differ only in case to the same text.
func fold(name string) string { return strings.Map(foldRune, name) }

// foldRune picks one rune for all that simple case folding holds equal, lower
// case where it is ASCII.
func foldRune(r rune) rune {
	if r < utf8.RuneSelf {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}
	least := r
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		least = min(least, f)
	}
	if 'A' <= least && least <= 'Z' {
		least += 'a' - 'A'
	}
	return least
}

// compareNames orders names without regard to case.
func compareNames(a, b string) int {
	for a != "" && b != "" {
		ra, na := utf8.DecodeRuneInString(a)
		rb, nb := utf8.DecodeRuneInString(b)
		if ra, rb = foldRune(ra), foldRune(rb); ra != rb {
			return int(ra) - int(rb)
		}
		a, b = a[na:], b[nb:]
	}
	return len(a) - len(b)
}

// fileName derives the file name of a connection from its name, such that it
// is the same for every spelling in upper and lower case and allowed on every
// file system: what is not plain is percent-escaped, a Windows device name is
// broken up, a long one ends in a hash.
func fileName(name string) string {
	folded := fold(name)
	var b strings.Builder
	device := reservedOnWindows(folded)
	for i := range len(folded) {
		c := folded[i]
		plain := 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("._-@", c) >= 0
		if plain && !(device && i == 0) && !(i == 0 && c == '.') {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "%%%02x", c)
	}
	stem := b.String()
	if len(stem) > fileStemLimit {
		sum := sha256.Sum256([]byte(folded))
		// "~" is never plain, so no other name can have this file name.
		stem = stem[:fileStemLimit-40] + "~" + hex.EncodeToString(sum[:16])
	}
	return stem + fileEnding
}

func reservedOnWindows(folded string) bool {
	stem, _, _ := strings.Cut(folded, ".")
	stem = strings.TrimRight(stem, " ")
	switch stem {
	case "con", "prn", "aux", "nul":
		return true
	}
	return len(stem) == 4 && (stem[:3] == "com" || stem[:3] == "lpt") && '0' <= stem[3] && stem[3] <= '9'
}

// nameOfFile guesses the name for a file that cannot be read, for showing only.
func nameOfFile(file string) string {
	stem := strings.TrimSuffix(file, fileEnding)
	if name, err := url.PathUnescape(stem); err == nil {
		return clean(name)
	}
	return clean(stem)
}
