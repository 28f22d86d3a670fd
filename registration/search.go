package registration

import (
	"context"
	"fmt"
	"time"

	"github.com/c2conn/c2conn/internal/progress"
)

const (
	firstPause   = 5 * time.Second // then half as long again each time
	longestPause = 15 * time.Second
	fewLooks     = 2 // at least, also long after the request
)

// search looks for something that may have been made at since, again and again
// until it is found or every replica must have heard of it. Several misses in a
// row over the whole time are needed before it counts as not made. text says what
// is looked for.
func (r *Registrar) search(ctx context.Context, text string, since time.Time, look func() (bool, error)) (bool, error) {
	end, pause := since.Add(r.o.Consistency), firstPause
	for n := 1; ; n++ {
		found, err := look()
		if found || err != nil {
			return found, err
		}
		left := end.Sub(r.o.Clock.Now())
		if n >= fewLooks && left <= 0 {
			return false, nil
		}
		wait := min(pause, max(left, time.Second))
		progress.Report(ctx, progress.Update{
			Text:    fmt.Sprintf("%s, asking again in %d s", text, (wait+time.Second-1)/time.Second),
			Attempt: n + 1, Until: end,
		})
		if err := r.o.Clock.Sleep(ctx, wait); err != nil {
			return false, err
		}
		pause = min(pause*3/2, longestPause)
	}
}
