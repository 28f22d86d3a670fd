package transport

import (
	"context"
	"time"
)

// Clock tells the time and waits, so that tests need not.
type Clock interface {
	// Now returns the current time.
	Now() time.Time
	// Sleep waits for d, or until ctx ends; then it returns ctx's error.
	Sleep(ctx context.Context, d time.Duration) error
}

// SystemClock returns the clock of the computer.
func SystemClock() Clock { return systemClock{} }

type systemClock struct{}

// Now implements Clock.
func (systemClock) Now() time.Time { return time.Now() }

// Sleep implements Clock.
func (systemClock) Sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
