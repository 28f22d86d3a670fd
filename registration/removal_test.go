package registration

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/progress"
	"github.com/c2conn/c2conn/internal/sim"
)

// TestImpatient registers with a short limit where every server lags: what is not
// there yet is never taken for refused, nor for removed.
func TestImpatient(t *testing.T) {
	t.Parallel()
	for seed := int64(0); seed < 12; seed += stride { // fewer under the race detector
		for _, takeBack := range []bool{false, true} {
			t.Run(fmt.Sprint(seed, takeBack), func(t *testing.T) {
				t.Parallel()
				p := newPlace(t, sim.GlobalAdmin, sim.Options{Seed: seed, Faults: []string{"replication=120s,1"}})
				p.consistency = 2 * time.Second
				if seed%3 == 1 {
					secretWish(&p.wish)
				}
				if seed%4 == 3 {
					if err := p.world.SetFault("no-upsert"); err != nil {
						t.Fatal(err)
					}
				}
				p.restart()
				ctx := progress.With(t.Context(), func(u progress.Update) {
					if left := u.Until.Sub(p.clock.Now()); left > 2*time.Second {
						t.Errorf("%s: %v", u.Text, left)
					}
				})
				res, err := p.register(ctx)
				for n := 0; err != nil && (n < 3 || !takeBack); n++ {
					if !isA[*advice.ReplicationError](err) || n > 200 {
						t.Fatalf("%d: %v", n, err)
					}
					p.restart()
					res, err = p.next(ctx, false)
				}
				if err == nil && !takeBack && len(p.dump().Applications) != 1 {
					t.Errorf("%d applications", len(p.dump().Applications))
				}
				if !takeBack {
					return
				}
				for n := 0; ; n++ {
					err := p.r.Rollback(ctx, p.admin, res.RunID, nil)
					if err == nil {
						break
					}
					var left *advice.RollbackError
					if !errors.As(err, &left) || len(left.Left) == 0 || n > 200 {
						t.Fatalf("%d: %v", n, err)
					}
					p.restart()
				}
				p.checkClean("rollback")
			})
		}
	}
}

// TestCleanupInterrupted breaks a rollback off at each request; the next one has
// little to wait for.
func TestCleanupInterrupted(t *testing.T) {
	t.Parallel()
	for _, stage := range []sim.Stage{sim.Arrived, sim.Decided} {
		t.Run(fmt.Sprint(stage), func(t *testing.T) {
			t.Parallel()
			for at := int64(1); ; at++ {
				var count atomic.Int64
				var cancel atomic.Pointer[context.CancelFunc]
				p := newPlace(t, sim.GlobalAdmin, sim.Options{Watch: func(_ *http.Request, s sim.Stage) bool {
					stop := cancel.Load()
					if stop == nil || s != stage || count.Add(1) != at {
						return true
					}
					(*stop)()
					return false
				}})
				res, err := p.register(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				ctx, stop := context.WithCancel(t.Context())
				cancel.Store(&stop)
				err = p.r.Rollback(ctx, p.admin, res.RunID, nil)
				stop()
				cancel.Store(nil)
				if err == nil {
					if at < 4 {
						t.Errorf("ended before request %d", at)
					}
					_ = p.world.Close()
					return
				}
				p.restart()
				begin := p.clock.Now()
				if err := p.r.Rollback(t.Context(), p.admin, res.RunID, nil); err != nil {
					t.Fatalf("request %d: %v", at, err)
				}
				if waited := p.clock.Now().Sub(begin); waited > 8*time.Second {
					t.Errorf("request %d: waited %v", at, waited)
				}
				p.checkClean(fmt.Sprintf("request %d", at))
				_ = p.world.Close()
			}
		})
	}
}

// TestPurgedByOthers: somebody emptied the deleted items long ago.
func TestPurgedByOthers(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	p := s.start()
	res, err := p.register(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.fake.apps, s.fake.principals = nil, s.fake.principals[:3]
	s.clock.now = s.clock.now.Add(time.Hour)
	begin := s.clock.Now()
	if err := p.r.Rollback(t.Context(), p.admin(), res.RunID, nil); err != nil {
		t.Fatal(err)
	}
	if waited := s.clock.Now().Sub(begin); waited > 10*time.Second || waited < 2*time.Second {
		t.Errorf("waited %v", waited)
	}
}

// TestJournalNotWritten: without a journal nothing is taken back, and one error
// says what stays.
func TestJournalNotWritten(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"before journal: take the registration back", "before journal: delete the application"} {
		s := newScene(t)
		p := s.start()
		res, err := p.register(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p.r.step = func(point string) {
			if point == at {
				if err := os.Rename(p.r.dir, p.r.dir+".full"); err != nil {
					t.Error(err)
				}
				if err := os.WriteFile(p.r.dir, nil, 0o600); err != nil {
					t.Error(err)
				}
			}
		}
		err = p.r.Rollback(t.Context(), p.admin(), res.RunID, nil)
		var left *advice.RollbackError
		if !errors.As(err, &left) || !errors.Is(err, ErrJournal) || len(left.Left) != 1 || strings.Count(err.Error(), "cannot be written") != 1 {
			t.Fatalf("%s: %v", at, err)
		}
		for _, want := range []string{res.Registration.ClientID, "run " + res.RunID, "app cleanup " + res.RunID, "free some space"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: no %q in: %v", at, want, err)
			}
		}
		if len(s.fake.apps) != 1 {
			t.Errorf("%s: %d applications", at, len(s.fake.apps))
		}
	}
}
