package registration

import (
	"context"
	"fmt"
	"time"

	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/graph"
	"github.com/c2conn/c2conn/internal/progress"
	"github.com/c2conn/c2conn/internal/transport"
)

const (
	goneLooks = 3           // answers of "not found" in a row that are enough where there is reason to believe them
	goneStep  = time.Second // between them
)

// removal is one deletion in the tenant.
type removal struct {
	step, what string
	send       func(context.Context) error // 404: the server asked does not know the object
	live       func(context.Context) error // reads it where it was before: there, a server lags behind; nil: not asked
	sent       *bool                       // of the journal: sent once without an answer; nil: does not matter
	done       *bool                       // of the journal: it is gone
}

// remove sends a deletion until it is carried out. That a server does not know
// the object proves little: it may not have heard of it yet. It counts as gone
// after some such answers in a row, if an earlier try may have removed it and no
// server knows it elsewhere, or if by now every server must have heard of it.
//
// Errors: *advice.ReplicationError when the time is up.
func (u *undo) remove(ctx context.Context, m removal) error {
	clock := u.r.o.Clock
	begin, heard := clock.Now(), u.last().Add(u.r.spread())
	end := begin.Add(u.r.o.Consistency)
	earlier := m.sent != nil && *m.sent
	var backoff transport.Backoff
	for looks := 1; ; looks++ {
		err := u.change(m.step, m.what, func(*journal) {
			if m.sent != nil {
				*m.sent = true
			}
		}, func() error {
			err := m.send(graph.Fresh(ctx, 0)) // the waiting is done here
			if m.sent != nil && err != nil && !lost(err) {
				*m.sent = earlier
			}
			return err
		}, func(*journal) { *m.done = true })
		if err == nil || !notFound(err) || ctx.Err() != nil {
			return err
		}
		if m.live != nil {
			switch e := m.live(graph.Fresh(ctx, 0)); {
			case e == nil:
				looks, earlier = 0, false
			case !notFound(e):
				return e
			}
		}
		now := clock.Now()
		believed := earlier || !now.Before(heard)
		switch {
		case believed && looks >= goneLooks:
			*m.done, u.dirty = true, true
			return nil
		case believed && looks > 0:
			progress.Report(ctx, progress.Update{Text: fmt.Sprintf("Making sure that it is gone (%s)", m.what), Attempt: looks + 1, Until: now.Add((goneLooks - time.Duration(looks)) * goneStep)})
			if e := clock.Sleep(ctx, goneStep); e != nil {
				return e
			}
		case !backoff.Wait(ctx, clock, waitEnd(now, end, heard), "Not every server of Entra ID knows it yet ("+m.what+")"):
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return &advice.ReplicationError{What: "the deletion", Waited: now.Sub(begin), Last: err}
		}
	}
}

// waitEnd is when to ask again at the latest.
func waitEnd(now, end, heard time.Time) time.Time {
	if heard.After(now) && heard.Before(end) {
		return heard
	}
	return end
}

// spread is how long a change may take to reach every server, however short the
// limit of a wait is.
func (r *Registrar) spread() time.Duration { return max(DefaultConsistency, r.o.Consistency) }

// lags tells whether some servers may not have heard of the run's last change.
func (u *undo) lags() bool { return u.r.o.Clock.Now().Before(u.last().Add(u.r.spread())) }
