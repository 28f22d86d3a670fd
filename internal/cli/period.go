package cli

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

// period is the value of a flag that takes a length of time in words that people
// use for certificates: 30d, 2w, or what time.ParseDuration reads, such as 36h.
type period time.Duration

// Set reads the text of the flag.
func (p *period) Set(s string) error {
	for unit, length := range map[string]time.Duration{"d": day, "w": 7 * day} {
		if n, ok := strings.CutSuffix(s, unit); ok {
			days, err := strconv.ParseUint(n, 10, 16)
			if err != nil {
				return errNoPeriod
			}
			*p = period(time.Duration(days) * length)
			return nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return errNoPeriod
	}
	*p = period(d)
	return nil
}

var errNoPeriod = errors.New("is no length of time like 30d, 2w or 36h")

// String writes whole days as such.
func (p *period) String() string {
	if d := time.Duration(*p); d >= day && d%day == 0 {
		return strconv.Itoa(int(d/day)) + "d"
	}
	return time.Duration(*p).String()
}

// Type names the value in the help.
func (p *period) Type() string { return "period" }
