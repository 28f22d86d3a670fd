package verify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/ews"
	"github.com/c2conn/c2conn/internal/graph"
	"github.com/c2conn/c2conn/internal/progress"
	"github.com/c2conn/c2conn/internal/task"
)

// The pauses between two tries of a check on a fresh application.
const (
	freshPause = 3 * time.Second
	freshMost  = 15 * time.Second
)

// settled runs a check, again and again while Options.Fresh lasts and the answer
// shows a service that has not heard of the application or its consent yet.
func (s *subject) settled(ctx context.Context, c check) task.Result {
	end := s.o.Clock.Now().Add(s.o.Fresh)
	pause := freshPause
	for {
		r := c.run(s, ctx)
		now := s.o.Clock.Now()
		if s.o.Fresh == 0 || r.Status != task.Fail || !lagging(r.Err) || !now.Add(pause).Before(end) {
			return r
		}
		progress.Report(ctx, progress.Update{Text: fmt.Sprintf("not known there yet (%s), asking again in %d s", advice.Short(r.Err, s.facts), int(pause.Seconds())), Until: end})
		if s.o.Clock.Sleep(ctx, pause) != nil {
			return r
		}
		pause = min(pause*3/2, freshMost)
	}
}

// lagging reports whether err is what a service answers that does not know a new
// application, its credential or its consent yet. A lasting fault may look alike:
// that is why it is only asked of fresh ones, and for a limited time.
//
// Sources: facts of "Designing for Eventual Consistency for Microsoft Entra",
// devblogs.microsoft.com/identity; learn.microsoft.com/entra/identity-platform/reference-error-codes.
func lagging(err error) bool {
	var (
		refused *entra.Error
		answer  *graph.Error
		soap    *ews.Error
	)
	switch {
	case errors.As(err, &refused):
		switch refused.Code() {
		case 700016, 7000229, 700027, 7000215, 65001:
			return true
		}
	case errors.As(err, &answer):
		return answer.Status == http.StatusUnauthorized && answer.Code == "Authorization_IdentityNotFound" ||
			answer.Status == http.StatusForbidden && answer.Code == "Authorization_RequestDenied"
	case errors.As(err, &soap):
		return soap.Status == http.StatusUnauthorized
	}
	return false
}
