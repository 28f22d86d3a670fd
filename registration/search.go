package registration

import (
	"cmp"
	"context"
	"time"

	"github.com/c2conn/c2conn/internal/transport"
)

const fewLooks = 2 // at least, also long after the request

// search looks for something that may have been made at since, again and again
// until it is found or every replica must have heard of it. Several misses in a
// row over the whole time are needed before it counts as not made. text says what
// is looked for.
func (r *Registrar) search(ctx context.Context, text string, since time.Time, look func() (bool, error)) (bool, error) {
	end := since.Add(r.o.Consistency)
	var backoff transport.Backoff
	for looks := 1; ; looks++ {
		found, err := look()
		if found || err != nil {
			return found, err
		}
		until, soon := end, r.o.Clock.Now().Add(time.Second)
		if until.Before(soon) {
			until = soon
		}
		switch {
		case looks >= fewLooks && !r.o.Clock.Now().Before(end):
			return false, nil
		case !backoff.Wait(ctx, r.o.Clock, until, text):
			return false, cmp.Or(context.Cause(ctx), context.DeadlineExceeded)
		}
	}
}
