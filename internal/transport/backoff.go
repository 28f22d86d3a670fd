package transport

import (
	"context"
	"time"

	"github.com/c2conn/c2conn/internal/progress"
)

const (
	firstBackoff   = 5 * time.Second
	longestBackoff = 15 * time.Second
)

// Backoff waits between questions about something new that not every server knows
// yet: 5 s, then half as long again each time, at most 15 s; nothing is documented
// about that. Its zero value is ready.
type Backoff struct {
	last  time.Duration
	waits int
}

// Next is how long Wait waits next, unless the end comes before.
func (b *Backoff) Next() time.Duration {
	return min(max(b.last*3/2, firstBackoff), longestBackoff)
}

// Wait tells the listener of ctx what is waited for, and waits until it is time to
// ask again, at end for the last time. It answers false after end, and when ctx ends:
// the last answer says more than an ended context.
func (b *Backoff) Wait(ctx context.Context, clock Clock, end time.Time, what string) bool {
	now := clock.Now()
	b.last = b.Next()
	pause := min(b.last, end.Sub(now))
	// The deadline of ctx is no matter here: it is the computer's, clock may not be.
	if pause <= 0 || ctx.Err() != nil {
		return false
	}
	b.waits++
	progress.Report(ctx, progress.Update{Text: what + ", asking again in " + seconds(pause), Attempt: b.waits + 1, Until: end})
	return clock.Sleep(ctx, pause) == nil
}
