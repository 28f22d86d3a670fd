// Package patience limits the time that work may take without counting the time for
// which it has to stand in a queue that c2conn itself has put it into.
package patience

import (
	"context"
	"sync"
	"time"
)

// limit is a context that ends when its time is spent. While somebody holds it, no
// time is spent.
type limit struct {
	context.Context // that it was made of

	mu    sync.Mutex
	left  time.Duration
	since time.Time // when the timer was last set; zero while it is held
	timer *time.Timer
	holds int
	err   error
	done  chan struct{}
}

type key struct{}

// WithLimit is context.WithTimeout with a limit that Hold stops. The caller calls
// cancel when the work has ended.
func WithLimit(ctx context.Context, d time.Duration) (_ context.Context, cancel context.CancelFunc) {
	l := &limit{Context: ctx, left: d, since: time.Now(), done: make(chan struct{})} //nolint:forbidigo // as context itself: the computer's time
	l.mu.Lock()
	l.timer = time.AfterFunc(d, func() { l.end(context.DeadlineExceeded) })
	l.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { l.end(ctx.Err()) })
	return l, func() {
		stop()
		l.end(context.Canceled)
	}
}

// Hold stops the clock of ctx's limit, if it has one, until release is called.
func Hold(ctx context.Context) (release func()) {
	l, ok := ctx.Value(key{}).(*limit)
	if !ok {
		return func() {}
	}
	l.hold()
	return sync.OnceFunc(l.release)
}

func (l *limit) hold() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.holds++; l.holds > 1 || l.err != nil {
		return
	}
	l.timer.Stop()
	l.left -= time.Since(l.since)
	l.since = time.Time{}
}

func (l *limit) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.holds--; l.holds > 0 || l.err != nil {
		return
	}
	l.since = time.Now() //nolint:forbidigo // see WithLimit
	l.timer.Reset(max(l.left, 0))
}

func (l *limit) end(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return
	}
	l.err = err
	l.timer.Stop()
	close(l.done)
}

// Deadline is when the time will be spent if nobody holds it; while somebody does, that
// of the outer context, if it has one.
func (l *limit) Deadline() (time.Time, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	outer, ok := l.Context.Deadline()
	if l.since.IsZero() {
		return outer, ok
	}
	if end := l.since.Add(l.left); !ok || end.Before(outer) {
		return end, true
	}
	return outer, true
}

// Done closes when the time is spent or the outer context has ended.
func (l *limit) Done() <-chan struct{} { return l.done }

// Err tells which of them it was.
func (l *limit) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Value gives the limit itself to Hold.
func (l *limit) Value(k any) any {
	if k == (key{}) {
		return l
	}
	return l.Context.Value(k)
}
