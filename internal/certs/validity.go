package certs

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Validity is how long a certificate is valid, in calendar units: five years
// end on the same day of the year. The zero value means DefaultValidity.
type Validity struct {
	Years, Months, Days, Hours int
}

// DefaultValidity gives the five years that a new certificate is valid unless
// said otherwise.
func DefaultValidity() Validity { return Validity{Years: 5} }

// Entra ID sets no limit of its own; a longer life is a typing error.
const maxYears = 50

const validityForm = `^(?:(\d{1,6})y)?(?:(\d{1,6})mo)?(?:(\d{1,6})w)?(?:(\d{1,6})d)?(?:(\d{1,6})h)?$`

// ParseValidity reads "5y", "18mo", "365d", "720h", "52w" or a sum such as "1y6mo".
func ParseValidity(s string) (Validity, error) {
	const forms = "write a number and a unit, such as 5y, 18mo, 365d or 720h"
	text := strings.ToLower(strings.ReplaceAll(strings.TrimSpace(s), " ", ""))
	// Compiled here, because most runs of the program never need it.
	parts := regexp.MustCompile(validityForm).FindStringSubmatch(text)
	if text == "" || parts == nil {
		switch {
		case text != "" && strings.Trim(text, "0123456789") == "":
			return Validity{}, fmt.Errorf("the validity %q has no unit; %s", printable(s), forms)
		case strings.HasSuffix(text, "m"):
			return Validity{}, fmt.Errorf("the validity %q is ambiguous; months are written mo, as in 18mo", printable(s))
		}
		return Validity{}, fmt.Errorf("%q is no validity; %s", printable(s), forms)
	}
	n := make([]int, len(parts))
	for i, part := range parts[1:] {
		if part != "" {
			n[i], _ = strconv.Atoi(part) // at most six digits
		}
	}
	v := Validity{Years: n[0], Months: n[1], Days: 7*n[2] + n[3], Hours: n[4]}
	if v == (Validity{}) {
		return Validity{}, fmt.Errorf("the validity %q is nothing at all; %s", printable(s), forms)
	}
	if v.tooLong() {
		return Validity{}, fmt.Errorf("the validity %q is longer than %d years", printable(s), maxYears)
	}
	return v, nil
}

func (v Validity) tooLong() bool {
	return int64(v.Years)*366*24+int64(v.Months)*31*24+int64(v.Days)*24+int64(v.Hours) > maxYears*366*24
}

// From gives the moment the validity ends when it starts at t.
func (v Validity) From(t time.Time) time.Time {
	if v == (Validity{}) {
		v = DefaultValidity()
	}
	return t.AddDate(v.Years, v.Months, v.Days).Add(time.Duration(v.Hours) * time.Hour)
}

// String writes the validity as ParseValidity reads it.
func (v Validity) String() string {
	if v == (Validity{}) {
		v = DefaultValidity()
	}
	var b strings.Builder
	for _, part := range []struct {
		n    int
		unit string
	}{{v.Years, "y"}, {v.Months, "mo"}, {v.Days, "d"}, {v.Hours, "h"}} {
		if part.n != 0 {
			b.WriteString(strconv.Itoa(part.n) + part.unit)
		}
	}
	return b.String()
}
