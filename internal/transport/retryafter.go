package transport

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// longestRetryAfter caps what a server may ask for, so that later sums cannot overflow.
const longestRetryAfter = 30 * 24 * time.Hour

// ParseRetryAfter reads a Retry-After header: whole seconds, seconds with a
// fraction as Microsoft Graph sends them ("2.128"), or an HTTP date. A date in
// the past means no wait. The answer is false when h is none of these.
//
// Source: RFC 9110, section 10.2.3; learn.microsoft.com/graph/throttling.
func ParseRetryAfter(h string, now time.Time) (time.Duration, bool) {
	h = strings.TrimSpace(h)
	if h == "" || len(h) > 64 {
		return 0, false
	}
	if strings.Trim(h, "0123456789.") == "" {
		s, err := strconv.ParseFloat(h, 64)
		if err != nil || s < 0 {
			return 0, false
		}
		if s > longestRetryAfter.Seconds() {
			return longestRetryAfter, true
		}
		return time.Duration(s * float64(time.Second)), true
	}
	t, err := http.ParseTime(h)
	if err != nil {
		return 0, false
	}
	return min(max(t.Sub(now), 0), longestRetryAfter), true
}

// retryAfter reads the header of an answer. A date is measured against the
// server's own clock where it tells its time: the clock here may be wrong.
func retryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	if d, err := http.ParseTime(h.Get("Date")); err == nil {
		now = d
	}
	return ParseRetryAfter(h.Get("Retry-After"), now)
}

// RetryAfter reads the Retry-After header of an answer; 0 when there is none.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	d, _ := retryAfter(h, now)
	return d
}
