package verify

import (
	"context"
	"testing"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/internal/transport"
)

// Whoever waits for the list is told that no more will come, also where reading it ended
// with a fault in c2conn.
func TestListEndsAfterAPanic(t *testing.T) {
	t.Parallel()
	for _, id := range []string{idSites, idFarmSites} {
		s := newSubject(Options{Clock: transport.SystemClock()}, Target{Connection: connections.Connection{Kind: connections.SharePoint}})
		results := task.RunAtMost(t.Context(), 2, transport.SystemClock().Now, []task.Task{
			{ID: id, Run: func(ctx context.Context) task.Result {
				return s.settled(ctx, check{id: id, run: func(*subject, context.Context, need) task.Result { panic("a fault") }})
			}},
			{ID: "waits", Run: func(ctx context.Context) task.Result {
				if found := s.listed.find(ctx, func(string) bool { return true }); found != "" {
					return task.Result{Status: task.Fail}
				}
				return pass("")
			}},
		}, nil)
		if results[0].Status != task.Fail || results[1].Status != task.Pass {
			t.Errorf("%s: %+v", id, results)
		}
	}
}
