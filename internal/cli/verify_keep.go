package cli

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/task"
)

// keeper writes results into their profiles as they come: those that come while the disk
// is busy go together the next time.
type keeper struct {
	jobs  chan keeping
	ended chan struct{}
}

type keeping struct {
	index int
	v     verified
	note  func(*connections.Connection) error
}

// newKeeper starts a keeper. told hears of each connection after it was written, never of
// two at a time.
func (a *app) newKeeper(ctx context.Context, store *connections.Store, told func(int, verified)) *keeper {
	k := &keeper{jobs: make(chan keeping, mostKept), ended: make(chan struct{})}
	ctx = context.WithoutCancel(ctx) // what was found out is kept after Ctrl-C, too
	go func() {
		defer close(k.ended)
		for job := range k.jobs {
			k.write(ctx, a, store, k.more(job), told)
		}
	}()
	return k
}

// mostKept is how many profiles are written in one turn.
const mostKept = 64

// more takes what else is there already.
func (k *keeper) more(first keeping) []keeping {
	list := []keeping{first}
	for len(list) < mostKept {
		select {
		case job, ok := <-k.jobs:
			if !ok {
				return list
			}
			list = append(list, job)
		default:
			return list
		}
	}
	return list
}

func (k *keeper) write(ctx context.Context, a *app, store *connections.Store, list []keeping, told func(int, verified)) {
	var names []string
	var notes []func(*connections.Connection) error
	for _, job := range list {
		if job.note != nil {
			names, notes = append(names, job.v.conn.Name), append(notes, job.note)
		}
	}
	var saved []connections.Connection
	var errs []error
	if len(names) > 0 {
		saved, errs = store.UpdateEach(ctx, names, func(i int, c *connections.Connection) error { return notes[i](c) })
	}
	n := 0
	for _, job := range list {
		if job.note != nil {
			job.v = a.noted(job.v, saved[n], errs[n])
			n++
		}
		told(job.index, job.v)
	}
}

func (k *keeper) keep(i int, v verified, note func(*connections.Connection) error) {
	k.jobs <- keeping{i, v, note}
}

// close waits until all is written.
func (k *keeper) close() {
	close(k.jobs)
	<-k.ended
}

// tally shows how far many connections have come: on a terminal a line that counts, with
// the failures above it; else, and where they are few, a line for each.
type tally struct {
	app     *app
	total   int
	counter bool

	mu           sync.Mutex
	done, failed int
}

// fewLines is for how many connections a line each is read with pleasure.
const fewLines = 12

func (a *app) newTally(total int) *tally {
	return &tally{app: a, total: total, counter: total > fewLines && a.ErrTerminal && !a.accessible && a.Getenv("TERM") != "dumb"}
}

// ended tells of a connection.
func (t *tally) ended(v verified) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.done++
	line := t.app.oneLine(v)
	good := v.err == nil && v.report.State == connections.StateVerified
	if !good && !v.gone {
		t.failed++
	}
	switch {
	case !t.counter:
		t.app.errorf("%s\n", line)
	case good:
		t.app.errorf("%s", t.count())
	default:
		t.app.errorf("\r\x1b[K%s\n%s", line, t.count())
	}
}

func (t *tally) count() string {
	text := fmt.Sprintf("%d of %d", t.done, t.total)
	if t.failed > 0 {
		text += fmt.Sprintf(", %d not verified", t.failed)
	}
	return "\r\x1b[K" + text + " …"
}

// waiting tells of a wait; among many connections that would be noise.
func (t *tally) waiting(c connections.Connection, e task.Event) {
	if e.Kind == task.Progress && t.total <= fewLines {
		t.app.errorf("  … %s, %s: %s\n", c.Name, e.Title, clean(e.Text))
	}
}

// close leaves the counter as a line of its own.
func (t *tally) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counter {
		t.app.errorf("%s\n", strings.TrimSuffix(t.count(), " …"))
	}
}
