package transport_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/c2conn/c2conn/internal/patience"
	"github.com/c2conn/c2conn/internal/transport"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// service answers after a second and refuses what exceeds limit at a time.
type service struct {
	limit        int64
	inside, most atomic.Int64
	refused      atomic.Int64
}

func (s *service) client(t *testing.T) *http.Client {
	t.Helper()
	client, err := transport.New(transport.Options{Base: roundTrip(func(r *http.Request) (*http.Response, error) {
		n := s.inside.Add(1)
		defer s.inside.Add(-1)
		for m := s.most.Load(); n > m && !s.most.CompareAndSwap(m, n); m = s.most.Load() {
		}
		time.Sleep(time.Second)
		res := &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody, Request: r}
		if s.limit > 0 && n > s.limit {
			s.refused.Add(1)
			res.StatusCode = http.StatusTooManyRequests
			res.Header.Set("Retry-After", "40")
		}
		return res, nil
	})})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func get(ctx context.Context, client *http.Client) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://graph.example/x", nil)
	if err != nil {
		return 0, err
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	return res.StatusCode, nil
}

// However many ask, only so many requests are under way, and the wait for a slot does
// not count against the limit of the work.
func TestSlotsBound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &service{}
		client, slots := s.client(t), transport.NewSlots(4, transport.SystemClock())
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				ctx, cancel := patience.WithLimit(slots.For(t.Context()), 5*time.Second)
				defer cancel()
				if status, err := get(ctx, client); status != http.StatusOK {
					t.Errorf("%d %v", status, err)
				}
			})
		}
		began := time.Now()
		wg.Wait()
		if s.most.Load() != 4 || time.Since(began) > 50*time.Second { // 25 s, and the gate lets the first of each host go alone
			t.Errorf("%d at a time, %v", s.most.Load(), time.Since(began))
		}
	})
}

// A tenant that takes fewer at a time gets fewer, and all pass, though it asks for
// longer waits than one check may take.
func TestThrottledSlotsPass(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &service{limit: 3}
		client, slots := s.client(t), transport.NewSlots(16, transport.SystemClock())
		calm := &service{}
		other, unhurt := calm.client(t), transport.NewSlots(16, transport.SystemClock())
		var wg sync.WaitGroup
		for range 60 {
			wg.Go(func() {
				outer, stop := context.WithTimeout(t.Context(), time.Hour)
				defer stop()
				ctx, cancel := patience.WithLimit(slots.For(outer), 30*time.Second)
				defer cancel()
				if status, err := get(ctx, client); status != http.StatusOK {
					t.Errorf("%d %v", status, err)
				}
			})
		}
		began := time.Now()
		if status, err := get(unhurt.For(t.Context()), other); status != http.StatusOK || time.Since(began) != time.Second {
			t.Errorf("another tenant waited: %d %v, %v", status, err, time.Since(began))
		}
		wg.Wait()
		if s.refused.Load() > 40 {
			t.Errorf("refused %d times", s.refused.Load())
		}
	})
}

func TestCancelledInTheQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &service{}
		client, slots := s.client(t), transport.NewSlots(1, transport.SystemClock())
		ctx, cancel := context.WithCancel(slots.For(t.Context()))
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = get(slots.For(t.Context()), client) })
		synctest.Wait()
		wg.Go(func() {
			if _, err := get(ctx, client); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
		synctest.Wait()
		cancel()
		wg.Wait()
		if status, err := get(slots.For(t.Context()), client); status != http.StatusOK {
			t.Errorf("the slot is lost: %d %v", status, err)
		}
	})
}
