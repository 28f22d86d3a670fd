package transport

import (
	"net/http"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestParseRetryAfter(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   string
		want time.Duration
		ok   bool
	}{
		{"7", 7 * time.Second, true},
		{" 7 ", 7 * time.Second, true},
		{"0", 0, true},
		{"2.128", 2128 * time.Millisecond, true},
		{".5", 500 * time.Millisecond, true},
		{"Sun, 22 Nov 2026 12:00:30 GMT", 30 * time.Second, true},
		{"Sunday, 22-Nov-26 12:00:30 GMT", 30 * time.Second, true},
		{"Sun, 22 Nov 2026 11:00:00 GMT", 0, true},
		{"Sun, 22 Nov 2126 11:00:00 GMT", longestRetryAfter, true},
		{"99999999999999999999999", longestRetryAfter, true},
		{"", 0, false},
		{"-5", 0, false},
		{"soon", 0, false},
		{"1e9", 0, false},
		{"Inf", 0, false},
		{"NaN", 0, false},
		{"0x10", 0, false},
		{"1.2.3", 0, false},
		{".", 0, false},
		{"7 seconds", 0, false},
		{"٧", 0, false},
	} {
		got, ok := ParseRetryAfter(c.in, noon)
		if got != c.want || ok != c.ok {
			t.Errorf("ParseRetryAfter(%q) = %v, %v; want %v, %v", c.in, got, ok, c.want, c.ok)
		}
	}
}

func TestRetryAfterTrustsTheServersClock(t *testing.T) {
	t.Parallel()
	h := http.Header{}
	h.Set("Date", "Sun, 22 Nov 2026 09:00:00 GMT") // three hours behind ours
	h.Set("Retry-After", "Sun, 22 Nov 2026 09:00:20 GMT")
	if got := RetryAfter(h, noon); got != 20*time.Second {
		t.Errorf("got %v, want 20s", got)
	}
	if got := RetryAfter(http.Header{}, noon); got != 0 {
		t.Errorf("without header: %v", got)
	}
}

func FuzzParseRetryAfter(f *testing.F) {
	for _, s := range []string{"7", "2.128", "Sun, 22 Nov 2026 12:00:30 GMT", "-1", "1e400", "", "\x00", "99999999999999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, ok := ParseRetryAfter(s, noon)
		if d < 0 || d > longestRetryAfter || (!ok && d != 0) {
			t.Fatalf("ParseRetryAfter(%q) = %v, %v", s, d, ok)
		}
	})
}
