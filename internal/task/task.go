// Package task runs named pieces of work that depend on each other, those that
// can side by side, and reports each one's start, progress and end. Screens,
// plain text and JSON are listeners of the same events.
package task

import (
	"context"
	"time"

	"github.com/c2conn/c2conn/internal/advice"
)

// Status is how a task ended.
type Status string

// The statuses are part of the JSON contract.
const (
	Pass Status = "pass"
	Warn Status = "warn"
	Fail Status = "fail"
	Skip Status = "skip"
)

// Result is what a task found.
type Result struct {
	ID       string
	Title    string
	Status   Status
	Finding  string   // one line, at most about 60 characters
	Details  []string // further lines for whoever wants to know more; nil as a rule
	Duration time.Duration
	Advice   *advice.Advice // set when Status is Warn or Fail
	Err      error          // the cause, for the exit code; never shown as it is
}

// Kind says which moment of a task an Event reports.
type Kind int

// A task is Started once, may report Progress any number of times, and is
// Finished once. A task that is skipped is Finished without being Started.
const (
	Started Kind = iota
	Progress
	Finished
)

// Event is one moment of one task.
type Event struct {
	Kind    Kind
	ID      string
	Title   string
	Text    string    // Progress: what is waited for
	Attempt int       // Progress: the try about to be made, 0 where not counted
	Until   time.Time // Progress: when the wait ends at the latest; zero where unknown
	At      time.Time
	Result  *Result // Finished only
}

// Task is a named piece of work.
type Task struct {
	ID    string
	Title string
	Needs []string                         // ids that must end with Pass or Warn first; otherwise this one is skipped
	After []string                         // ids that must have ended first, however they ended
	Limit time.Duration                    // time limit of Run; 0 means none of its own
	Run   func(ctx context.Context) Result // ID, Title and Duration of the answer are filled in by Run's caller
}

// Calm passes on the events that listen should hear. News of a task's progress that
// announces no wait comes at most once in the given time.
func Calm(now func() time.Time, every time.Duration, listen func(Event)) func(Event) {
	last := map[string]time.Time{}
	return func(e Event) {
		if e.Kind == Progress && e.Attempt == 0 && e.Until.IsZero() {
			t := now()
			if before, ok := last[e.ID]; ok && t.Sub(before) < every {
				return
			}
			last[e.ID] = t
		}
		listen(e)
	}
}
