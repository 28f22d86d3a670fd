package transport

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/progress"
)

type backoffClock struct {
	now   time.Time
	slept []time.Duration
}

func (c *backoffClock) Now() time.Time { return c.now }

func (c *backoffClock) Sleep(ctx context.Context, d time.Duration) error {
	c.now, c.slept = c.now.Add(d), append(c.slept, d)
	return ctx.Err()
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	c := &backoffClock{now: time.Now()}
	end := c.now.Add(40 * time.Second)
	var said []progress.Update
	ctx := progress.With(t.Context(), func(u progress.Update) { said = append(said, u) })
	var b Backoff
	for b.Wait(ctx, c, end, "Not there yet") {
	}
	if want := []time.Duration{5 * time.Second, 7500 * time.Millisecond, 11250 * time.Millisecond, 15 * time.Second, 1250 * time.Millisecond}; !slices.Equal(c.slept, want) {
		t.Errorf("slept %v, want %v", c.slept, want)
	}
	if len(said) != 5 || said[1] != (progress.Update{Text: "Not there yet, asking again in 8 s", Attempt: 3, Until: end}) {
		t.Errorf("said %+v", said)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if new(Backoff).Wait(ended, c, c.now.Add(time.Hour), "") {
		t.Error("waited although the context had ended")
	}
	if len(c.slept) != 5 {
		t.Errorf("slept %v", c.slept[5:])
	}
}
