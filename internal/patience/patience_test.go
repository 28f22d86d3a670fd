package patience_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/c2conn/c2conn/internal/patience"
)

func TestHeldTimeDoesNotCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := patience.WithLimit(t.Context(), 30*time.Second)
		defer cancel()
		time.Sleep(10 * time.Second)
		inner, stop := context.WithCancel(ctx)
		defer stop()
		release, second := patience.Hold(inner), patience.Hold(inner)
		time.Sleep(time.Hour)
		second()
		second() // a second time is no matter
		time.Sleep(time.Hour)
		if ctx.Err() != nil {
			t.Fatalf("ended while it was held: %v", ctx.Err())
		}
		release()
		if end, ok := ctx.Deadline(); !ok || time.Until(end) != 20*time.Second {
			t.Errorf("the deadline is in %v", time.Until(end))
		}
		time.Sleep(19 * time.Second)
		if ctx.Err() != nil {
			t.Fatal("ended too early")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if !errors.Is(ctx.Err(), context.DeadlineExceeded) || !errors.Is(inner.Err(), context.DeadlineExceeded) {
			t.Errorf("%v, %v", ctx.Err(), inner.Err())
		}
	})
}

func TestOuterContextEndsIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		outer, stop := context.WithTimeout(t.Context(), 10*time.Second)
		ctx, cancel := patience.WithLimit(outer, 30*time.Second)
		defer cancel()
		if end, _ := ctx.Deadline(); time.Until(end) != 10*time.Second {
			t.Errorf("the deadline is in %v", time.Until(end))
		}
		defer patience.Hold(ctx)()
		stop()
		synctest.Wait()
		if !errors.Is(ctx.Err(), context.Canceled) {
			t.Error(ctx.Err())
		}
	})
}

// Without a limit there is nothing to hold.
func TestHoldNothing(t *testing.T) {
	t.Parallel()
	patience.Hold(t.Context())()
}
