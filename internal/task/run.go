package task

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/patience"
	"github.com/c2conn/c2conn/internal/progress"
)

// grace is how long a task may go on after its context ended. One that pays no
// attention to its context is left behind then, so that a run always ends.
const grace = 2 * time.Second

// PanicError is the Err of a task that panicked. Its text holds no stack.
type PanicError struct {
	ID    string
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("task %s stopped: %v", e.ID, e.Value) }

// Bug marks the error as a fault in this program, for advice.For.
func (e *PanicError) Bug() bool { return true }

// Run runs tasks side by side, each as soon as all that it Needs have passed
// (or passed with a warning) and all that it comes After have ended, and returns
// their results in the order given.
//
// The answer of now gives the times of events and the durations. The listener
// (nil is allowed) hears every event from the goroutine that called Run: never
// two at a time, and none after Run has returned.
//
// A task that exceeds its Limit, or still runs when the deadline of ctx comes,
// fails with context.DeadlineExceeded. When ctx is cancelled, what has not
// ended is skipped. A task that panics fails alone. One that needs a task that
// is unknown, or itself, is skipped.
func Run(ctx context.Context, now func() time.Time, tasks []Task, listen func(Event)) []Result {
	return RunAtMost(ctx, len(tasks), now, tasks, listen)
}

// RunAtMost is Run with at most so many tasks at a time; less than one means one.
func RunAtMost(ctx context.Context, most int, now func() time.Time, tasks []Task, listen func(Event)) []Result {
	r := &run{
		ctx: ctx, now: now, tasks: tasks, listen: listen, most: max(most, 1),
		states:  make([]state, len(tasks)),
		results: make([]Result, len(tasks)),
		began:   make([]time.Time, len(tasks)),
		byID:    make(map[string]int, len(tasks)),
		news:    make(chan message),
		over:    make(chan struct{}),
	}
	for i, t := range tasks {
		r.byID[t.ID] = i
	}
	defer close(r.over)
	r.loop()
	return r.results
}

type state int

const (
	pending state = iota
	running
	ended
)

// message is what a task's goroutine tells the run: a sign of life, or its end.
type message struct {
	index  int
	update progress.Update
	result *Result
}

// run is one call of Run. Only the goroutine that called Run touches it, apart
// from the two channels.
type run struct {
	ctx     context.Context
	now     func() time.Time
	tasks   []Task
	listen  func(Event)
	most    int
	states  []state
	results []Result
	began   []time.Time
	byID    map[string]int
	news    chan message
	over    chan struct{} // closed when Run returns: late goroutines give up
}

func (r *run) loop() {
	cancelled := r.ctx.Done()
	for {
		if r.ctx.Err() == nil {
			r.startReady()
		} else {
			r.skipPending()
		}
		if r.count(running) == 0 {
			// What is pending now waits for a task that will never end.
			r.skipUnreachable()
			return
		}
		select {
		case m := <-r.news:
			r.hear(m)
		case <-cancelled:
			cancelled = nil // seen; the running tasks see it too
		}
	}
}

// startReady starts the tasks whose needs are met and skips those whose needs
// failed, until nothing changes any more.
func (r *run) startReady() {
	for changed := true; changed; {
		changed = false
		for i := range r.tasks {
			if r.states[i] != pending {
				continue
			}
			wait, blocker := r.needs(i)
			switch {
			case blocker != "":
				r.end(i, Result{Status: Skip, Finding: blocker})
				changed = true
			case !wait && r.count(running) < r.most:
				r.start(i)
			}
		}
	}
}

// needs reports whether task i still has to wait, or why it never can run.
func (r *run) needs(i int) (wait bool, blocker string) {
	for _, id := range r.tasks[i].Needs {
		n, ok := r.byID[id]
		if !ok || n == i {
			return false, "not run: needs " + id
		}
		if r.states[n] != ended {
			wait = true
			continue
		}
		switch r.results[n].Status {
		case Pass, Warn:
		case Skip:
			return false, fmt.Sprintf("not run: %s was skipped", r.tasks[n].Title)
		default:
			return false, fmt.Sprintf("not run: %s failed", r.tasks[n].Title)
		}
	}
	for _, id := range r.tasks[i].After {
		n, ok := r.byID[id]
		if !ok || n == i {
			return false, "not run: needs " + id
		}
		wait = wait || r.states[n] != ended
	}
	return wait, ""
}

func (r *run) skipPending() {
	finding := "cancelled"
	if errors.Is(r.ctx.Err(), context.DeadlineExceeded) {
		finding = "not run: the time was up"
	}
	for i := range r.tasks {
		if r.states[i] == pending {
			r.end(i, Result{Status: Skip, Finding: finding, Err: context.Cause(r.ctx)})
		}
	}
}

func (r *run) skipUnreachable() {
	for i := range r.tasks {
		if r.states[i] == pending {
			r.end(i, Result{Status: Skip, Finding: "not run: needs " + strings.Join(slices.Concat(r.tasks[i].Needs, r.tasks[i].After), ", ")})
		}
	}
}

func (r *run) count(s state) int {
	n := 0
	for _, have := range r.states {
		if have == s {
			n++
		}
	}
	return n
}

func (r *run) start(i int) {
	t := r.tasks[i]
	r.states[i] = running
	r.began[i] = r.now()
	r.tell(Event{Kind: Started, ID: t.ID, Title: t.Title, At: r.began[i]})
	go r.execute(i)
}

// execute runs task i under its own time limit and reports its end, at the
// latest a grace after its context ended.
func (r *run) execute(i int) {
	t := r.tasks[i]
	ctx, cancel := r.ctx, context.CancelFunc(func() {})
	if t.Limit > 0 {
		ctx, cancel = patience.WithLimit(ctx, t.Limit)
	}
	defer cancel()
	inner := progress.With(ctx, func(u progress.Update) { r.send(message{index: i, update: u}) })

	done := make(chan Result, 1)
	go func() {
		normal := false
		defer func() {
			v := recover()
			if normal {
				return
			}
			if v == nil {
				v = "it ended its goroutine"
			}
			done <- Result{Status: Fail, Finding: "stopped by a fault in c2conn", Err: &PanicError{ID: t.ID, Value: v, Stack: debug.Stack()}}
		}()
		result := t.Run(inner)
		normal = true
		done <- result
	}()

	var result Result
	select {
	case result = <-done:
	case <-ctx.Done():
		late := time.NewTimer(grace)
		defer late.Stop()
		select {
		case result = <-done:
		case <-late.C:
			result = Result{Status: Fail, Err: ctx.Err()}
		}
	}
	result = settle(r.ctx, ctx, t.Limit, result)
	r.send(message{index: i, result: &result})
}

// settle gives a result that the end of a context caused its proper status: what
// a task makes of a cancelled call is nobody's finding.
func settle(outer, own context.Context, limit time.Duration, result Result) Result {
	var bug *PanicError
	if result.Status == Pass || result.Status == Warn || own.Err() == nil || errors.As(result.Err, &bug) {
		return result
	}
	switch {
	case outer.Err() != nil && !errors.Is(outer.Err(), context.DeadlineExceeded):
		return Result{Status: Skip, Finding: "cancelled", Err: context.Cause(outer)}
	case result.Status == Skip, tellsTime(result.Err):
		return result
	case outer.Err() != nil:
		result.Finding = "no answer before the time was up"
	default:
		result.Finding = "no answer within " + seconds(limit)
	}
	result.Status = Fail
	if !errors.Is(result.Err, context.DeadlineExceeded) {
		if result.Err == nil {
			result.Err = context.DeadlineExceeded
		} else {
			result.Err = fmt.Errorf("%w: %w", context.DeadlineExceeded, result.Err)
		}
		result.Advice = nil // it was made for another cause
	}
	return result
}

// tellsTime reports whether a task has said itself what the end of its time means: its
// error has a method TimeUp.
func tellsTime(err error) bool {
	var told interface{ TimeUp() }
	return errors.As(err, &told)
}

// seconds writes a limit as people say it: "30 s", "1.5 s", "2 min".
func seconds(d time.Duration) string {
	if d >= time.Minute && d%time.Minute == 0 {
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return fmt.Sprintf("%g s", d.Seconds())
}

// send hands m to the run; it gives up when the run is over.
func (r *run) send(m message) {
	select {
	case r.news <- m:
	case <-r.over:
	}
}

func (r *run) hear(m message) {
	if r.states[m.index] != running {
		return // a late word of a task that was left behind
	}
	if m.result != nil {
		r.end(m.index, *m.result)
		return
	}
	t := r.tasks[m.index]
	r.tell(Event{Kind: Progress, ID: t.ID, Title: t.Title, Text: m.update.Text, Attempt: m.update.Attempt, Until: m.update.Until, At: r.now()})
}

func (r *run) end(i int, result Result) {
	t, at := r.tasks[i], r.now()
	result.ID, result.Title = t.ID, t.Title
	result.Duration = 0
	if r.states[i] == running {
		result.Duration = at.Sub(r.began[i])
	}
	if result.Advice == nil && result.Err != nil && (result.Status == Fail || result.Status == Warn) {
		result.Advice = advice.For(result.Err, advice.Facts{})
	}
	r.states[i], r.results[i] = ended, result
	told := result // the listener's own copy
	r.tell(Event{Kind: Finished, ID: t.ID, Title: t.Title, At: at, Result: &told})
}

func (r *run) tell(e Event) {
	if r.listen != nil {
		r.listen(e)
	}
}
