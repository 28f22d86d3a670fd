package cli

import (
	"testing"
	"time"
)

func TestPeriod(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"30d": 30 * day, "2w": 14 * day, "36h": 36 * time.Hour, "0": 0, "0d": 0, "90m": 90 * time.Minute} {
		var p period
		if err := p.Set(text); err != nil || time.Duration(p) != want {
			t.Errorf("%q is %v, %v; want %v", text, time.Duration(p), err, want)
		}
	}
	for _, text := range []string{"", "d", "-1d", "1.5d", "99999999d", "soon", "-5h", "3x"} {
		var p period
		if err := p.Set(text); err == nil {
			t.Errorf("%q is taken for %v", text, time.Duration(p))
		}
	}
	p := period(14 * day)
	if p.String() != "14d" {
		t.Errorf("14 days are written %q", p.String())
	}
}
