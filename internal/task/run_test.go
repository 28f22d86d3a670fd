package task_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/c2conn/c2conn/internal/progress"
	"github.com/c2conn/c2conn/internal/task"
)

// after is a task that takes d and ends with status, or with the context's
// error if that comes first.
func after(id string, d time.Duration, status task.Status, needs ...string) task.Task {
	return task.Task{ID: id, Title: "Title of " + id, Needs: needs, Run: func(ctx context.Context) task.Result {
		select {
		case <-time.After(d):
			r := task.Result{Status: status, Finding: id + " done"}
			if status == task.Fail {
				r.Err = errors.New(id + " broke")
			}
			return r
		case <-ctx.Done():
			return task.Result{Status: task.Fail, Finding: "cut off", Err: fmt.Errorf("asking: %w", ctx.Err())}
		}
	}}
}

// recorder listens and complains when two events come at a time.
type recorder struct {
	t      *testing.T
	busy   sync.Mutex
	events []task.Event
}

func (r *recorder) listen(e task.Event) {
	if !r.busy.TryLock() {
		r.t.Error("listener called while it was still listening")
		return
	}
	defer r.busy.Unlock()
	time.Sleep(time.Millisecond) // inside a synctest bubble: lets others try to come in between
	r.events = append(r.events, e)
}

func (r *recorder) script() []string {
	var out []string
	for _, e := range r.events {
		switch e.Kind {
		case task.Started:
			out = append(out, "start "+e.ID)
		case task.Progress:
			out = append(out, fmt.Sprintf("progress %s %q %d", e.ID, e.Text, e.Attempt))
		case task.Finished:
			out = append(out, fmt.Sprintf("end %s %s", e.ID, e.Result.Status))
		}
	}
	return out
}

func summary(results []task.Result) []string {
	var out []string
	for _, r := range results {
		out = append(out, fmt.Sprintf("%s %s: %s", r.ID, r.Status, r.Finding))
	}
	return out
}

func want(t *testing.T, got, want []string) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func TestRunsSideBySideAndInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		results := task.Run(t.Context(), time.Now, []task.Task{
			after("slow", 5*time.Second, task.Pass),
			after("quick", 3*time.Second, task.Warn),
			after("last", 2*time.Second, task.Pass, "quick"),
		}, nil)
		if took := time.Since(begin); took != 5*time.Second {
			t.Errorf("took %v, want 5 s: the longest path", took)
		}
		want(t, summary(results), []string{"slow pass: slow done", "quick warn: quick done", "last pass: last done"})
		for i, d := range []time.Duration{5 * time.Second, 3 * time.Second, 2 * time.Second} {
			if results[i].Duration != d {
				t.Errorf("%s took %v, want %v", results[i].ID, results[i].Duration, d)
			}
		}
		if results[0].Title != "Title of slow" {
			t.Errorf("title %q", results[0].Title)
		}
	})
}

func TestEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rec := &recorder{t: t}
		until := time.Now().Add(7 * time.Second)
		busy := task.Task{ID: "busy", Title: "Busy", Run: func(ctx context.Context) task.Result {
			time.Sleep(time.Second)
			progress.Report(ctx, progress.Update{Text: "waiting 7 s", Attempt: 2, Until: until})
			time.Sleep(5 * time.Second)
			return task.Result{Status: task.Pass}
		}}
		task.Run(t.Context(), time.Now, []task.Task{busy, after("other", 2*time.Second, task.Fail), after("third", time.Second, task.Pass, "other")}, rec.listen)
		want(t, rec.script(), []string{
			"start busy", "start other", `progress busy "waiting 7 s" 2`, "end other fail", "end third skip", "end busy pass",
		})
		for _, e := range rec.events {
			if e.Kind == task.Progress && !e.Until.Equal(until) {
				t.Errorf("until %v, want %v", e.Until, until)
			}
			if e.At.IsZero() || e.Title == "" {
				t.Errorf("event without time or title: %+v", e)
			}
		}
	})
}

func TestManyReportsAtOnceComeOneByOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rec := &recorder{t: t}
		var tasks []task.Task
		for i := range 20 {
			tasks = append(tasks, task.Task{ID: fmt.Sprint(i), Title: "T", Run: func(ctx context.Context) task.Result {
				var all sync.WaitGroup
				for range 5 {
					all.Go(func() { progress.Report(ctx, progress.Update{Text: "x"}) })
				}
				all.Wait()
				return task.Result{Status: task.Pass}
			}})
		}
		task.Run(t.Context(), time.Now, tasks, rec.listen)
		if len(rec.events) != 20*7 {
			t.Errorf("%d events, want 140", len(rec.events))
		}
	})
}

func TestNeeds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		results := task.Run(t.Context(), time.Now, []task.Task{
			after("a", time.Second, task.Fail),
			after("b", time.Second, task.Pass, "a"),
			after("c", time.Second, task.Pass, "b"),
			after("d", time.Second, task.Pass, "nobody"),
			after("e", time.Second, task.Pass, "f"),
			after("f", time.Second, task.Pass, "e"),
			after("g", time.Second, task.Pass, "g"),
		}, nil)
		want(t, summary(results), []string{
			"a fail: a done",
			"b skip: not run: Title of a failed",
			"c skip: not run: Title of b was skipped",
			"d skip: not run: needs nobody",
			"e skip: not run: needs f",
			"f skip: not run: needs e",
			"g skip: not run: needs g",
		})
	})
}

func TestAfterWaitsForTheEndOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		late := after("late", time.Second, task.Pass)
		late.After = []string{"a", "b"}
		lost := after("lost", time.Second, task.Pass)
		lost.After = []string{"nobody"}
		begin := time.Now()
		results := task.Run(t.Context(), time.Now, []task.Task{
			late, after("a", time.Second, task.Fail), after("b", time.Second, task.Pass, "a"), lost,
		}, nil)
		if took := time.Since(begin); took != 2*time.Second {
			t.Errorf("took %v", took)
		}
		want(t, summary(results), []string{"late pass: late done", "a fail: a done", "b skip: not run: Title of a failed", "lost skip: not run: needs nobody"})
	})
}

func TestLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		polite := after("polite", time.Hour, task.Pass)
		polite.Limit = 30 * time.Second
		other := polite
		other.ID = "other" // answers with an error that says nothing of the context
		other.Run = func(ctx context.Context) task.Result {
			<-ctx.Done()
			return task.Result{Status: task.Fail, Err: errors.New("connection broke")}
		}
		results := task.Run(t.Context(), time.Now, []task.Task{polite, other}, nil)
		for _, r := range results {
			if r.Status != task.Fail || r.Finding != "no answer within 30 s" || !errors.Is(r.Err, context.DeadlineExceeded) {
				t.Errorf("%s: %s %q %v", r.ID, r.Status, r.Finding, r.Err)
			}
			if r.Duration != 30*time.Second {
				t.Errorf("%s took %v", r.ID, r.Duration)
			}
			if r.Advice == nil {
				t.Errorf("%s has no advice", r.ID)
			}
		}
	})
}

func TestTaskThatIgnoresItsContextIsLeftBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rec := &recorder{t: t}
		stubborn := task.Task{ID: "stubborn", Title: "Stubborn", Limit: 10 * time.Second, Run: func(ctx context.Context) task.Result {
			time.Sleep(time.Minute)
			progress.Report(ctx, progress.Update{Text: "too late"})
			return task.Result{Status: task.Pass}
		}}
		begin := time.Now()
		results := task.Run(t.Context(), time.Now, []task.Task{stubborn, after("quick", time.Second, task.Pass)}, rec.listen)
		if took := time.Since(begin); took > 13*time.Second {
			t.Errorf("Run came back after %v", took)
		}
		want(t, summary(results), []string{"stubborn fail: no answer within 10 s", "quick pass: quick done"})
		n := len(rec.events)
		time.Sleep(2 * time.Minute)
		if len(rec.events) != n {
			t.Error("the listener heard something after Run had returned")
		}
	})
}

func TestCancel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(3*time.Second, cancel)
		begin := time.Now()
		results := task.Run(ctx, time.Now, []task.Task{
			after("early", time.Second, task.Pass),
			after("broken", 2*time.Second, task.Fail),
			after("late", time.Hour, task.Pass),
			after("waiting", time.Hour, task.Pass, "late"),
		}, nil)
		if took := time.Since(begin); took != 3*time.Second {
			t.Errorf("took %v", took)
		}
		want(t, summary(results), []string{"early pass: early done", "broken fail: broken done", "late skip: cancelled", "waiting skip: cancelled"})
		if !errors.Is(results[2].Err, context.Canceled) {
			t.Errorf("err %v", results[2].Err)
		}
	})
}

func TestCancelledBeforeItBegan(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		rec := &recorder{t: t}
		results := task.Run(ctx, time.Now, []task.Task{after("a", time.Hour, task.Pass)}, rec.listen)
		want(t, summary(results), []string{"a skip: cancelled"})
		want(t, rec.script(), []string{"end a skip"})
	})
}

func TestOverallDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		results := task.Run(ctx, time.Now, []task.Task{
			after("a", time.Hour, task.Pass),
			after("b", time.Hour, task.Pass, "a"),
		}, nil)
		want(t, summary(results), []string{"a fail: no answer before the time was up", "b skip: not run: the time was up"})
		if !errors.Is(results[0].Err, context.DeadlineExceeded) || !errors.Is(results[1].Err, context.DeadlineExceeded) {
			t.Errorf("errors %v, %v", results[0].Err, results[1].Err)
		}
	})
}

type timeUp struct{}

func (timeUp) Error() string { return "half of it" }
func (timeUp) TimeUp()       {}

// A task may say itself what the end of its time means, however late it does.
func TestTaskTellsWhatTheEndOfTimeMeans(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tell := task.Task{ID: "a", Run: func(ctx context.Context) task.Result {
			<-ctx.Done()
			return task.Result{Status: task.Fail, Finding: "half when the time was up", Err: fmt.Errorf("list: %w", timeUp{})}
		}}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		want(t, summary(task.Run(ctx, time.Now, []task.Task{tell}, nil)), []string{"a fail: half when the time was up"})
		stopped, stop := context.WithCancel(t.Context())
		stop()
		tell.Limit = time.Second
		want(t, summary(task.Run(t.Context(), time.Now, []task.Task{tell}, nil)), []string{"a fail: half when the time was up"})
		want(t, summary(task.Run(stopped, time.Now, []task.Task{tell}, nil)), []string{"a skip: cancelled"})
	})
}

func TestPanicFailsThatTaskAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		results := task.Run(t.Context(), time.Now, []task.Task{
			{ID: "panics", Title: "P", Run: func(context.Context) task.Result { panic("a fault") }},
			{ID: "exits", Title: "E", Run: func(context.Context) task.Result { runtime.Goexit(); return task.Result{} }},
			after("fine", time.Second, task.Pass),
		}, nil)
		want(t, summary(results), []string{
			"panics fail: stopped by a fault in c2conn", "exits fail: stopped by a fault in c2conn", "fine pass: fine done",
		})
		var p *task.PanicError
		if !errors.As(results[0].Err, &p) || len(p.Stack) == 0 {
			t.Fatalf("err %v", results[0].Err)
		}
		if strings.Contains(p.Error(), "goroutine") || strings.Contains(p.Error(), ".go:") {
			t.Errorf("the text shows a stack: %s", p)
		}
		if results[0].Advice == nil {
			t.Error("no advice")
		}
	})
}

func TestNothingToDo(t *testing.T) {
	t.Parallel()
	if got := task.Run(t.Context(), time.Now, nil, nil); len(got) != 0 {
		t.Errorf("results %v", got)
	}
}

// News that announces no wait is thinned, per task; all else is heard.
func TestCalm(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	var heard []string
	listen := task.Calm(func() time.Time { return now }, 2*time.Second, func(e task.Event) { heard = append(heard, e.ID+" "+e.Text) })
	for i := range 50 {
		listen(task.Event{Kind: task.Progress, ID: "sites", Text: strconv.Itoa(i)})
		if i == 1 {
			listen(task.Event{Kind: task.Progress, ID: "ews", Text: "other"})
			listen(task.Event{Kind: task.Progress, ID: "sites", Text: "busy", Attempt: 2})
			listen(task.Event{Kind: task.Progress, ID: "sites", Text: "waits", Until: now})
		}
		now = now.Add(100 * time.Millisecond)
	}
	listen(task.Event{Kind: task.Finished, ID: "sites"})
	want(t, heard, []string{"sites 0", "ews other", "sites busy", "sites waits", "sites 20", "sites 40", "sites "})
}
