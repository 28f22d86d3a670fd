package transport

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/c2conn/c2conn/internal/patience"
)

// Slots bound how many requests are under way to one tenant at a time, whatever the
// service: all requests of a context made by For take one each, for as long as one try
// lasts. A tenant that asks for less (429, or 503 with Retry-After) gets less: all wait
// for as long as it says, and then go on with half as many at a time, which grow back
// as answers come. It is safe for use by several goroutines.
type Slots struct {
	most  int
	clock Clock

	mu     sync.Mutex
	open   int // at a time, at the moment; at most most
	inside int
	good   int       // answers since open last changed
	until  time.Time // nobody begins before
	queue  []chan struct{}
	timer  bool // somebody is waiting for until
}

// NewSlots returns slots for most requests at a time; at least one.
func NewSlots(most int, clock Clock) *Slots {
	most = max(most, 1)
	return &Slots{most: most, open: most, clock: clock}
}

type slotsKey struct{}

// For returns a context whose requests take slots of s.
func (s *Slots) For(ctx context.Context) context.Context {
	return context.WithValue(ctx, slotsKey{}, s)
}

func slotsOf(ctx context.Context) *Slots {
	s, _ := ctx.Value(slotsKey{}).(*Slots)
	return s
}

// slotted makes the requests of a context with Slots wait for theirs.
type slotted struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t *slotted) RoundTrip(r *http.Request) (*http.Response, error) {
	s := slotsOf(r.Context())
	if s == nil {
		return t.next.RoundTrip(r)
	}
	if err := s.enter(r.Context()); err != nil {
		return nil, err
	}
	res, err := t.next.RoundTrip(r)
	s.leave(res)
	return res, err
}

// enter waits for a slot; that time is nobody's fault and does not count against the
// limit of the work.
func (s *Slots) enter(ctx context.Context) error {
	defer patience.Hold(ctx)()
	s.mu.Lock()
	turn := make(chan struct{})
	s.queue = append(s.queue, turn)
	s.admit()
	s.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, c := range s.queue {
		if c == turn {
			s.queue = append(s.queue[:i], s.queue[i+1:]...)
			return ctx.Err()
		}
	}
	s.inside-- // admitted meanwhile
	s.admit()
	return ctx.Err()
}

// admit lets in who may; the caller holds the lock.
func (s *Slots) admit() {
	for len(s.queue) > 0 && s.inside < s.open {
		if pause := s.until.Sub(s.clock.Now()); pause > 0 {
			s.later(pause)
			return
		}
		s.inside++
		close(s.queue[0])
		s.queue = s.queue[1:]
	}
}

// later admits again after a pause.
func (s *Slots) later(pause time.Duration) {
	if s.timer {
		return
	}
	s.timer = true
	go func() {
		_ = s.clock.Sleep(context.Background(), pause) // bounded by mostPause; it is the wait of all in the queue
		s.mu.Lock()
		defer s.mu.Unlock()
		s.timer = false
		s.admit()
	}()
}

// mostPause bounds how long a tenant can stop its own requests.
const mostPause = longestWait

// leave gives a slot back and learns from the answer.
func (s *Slots) leave(res *http.Response) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inside--
	if pause, busy := s.told(res); busy {
		now := s.clock.Now()
		if !now.Before(s.until) { // those who were under way together are told together
			s.open = max(s.open/2, 1)
		}
		s.good = 0
		if until := now.Add(min(pause, mostPause)); until.After(s.until) {
			s.until = until
		}
	} else if s.good++; s.open < s.most && s.good > 2*s.open {
		s.open, s.good = s.open+1, 0
	}
	s.admit()
}

// told reads how long an answer asks to wait.
func (s *Slots) told(res *http.Response) (time.Duration, bool) {
	if res == nil || res.StatusCode != http.StatusTooManyRequests && res.StatusCode != http.StatusServiceUnavailable {
		return 0, false
	}
	pause, ok := retryAfter(res.Header, s.clock.Now())
	return max(pause, leastPause), ok || res.StatusCode == http.StatusTooManyRequests
}
