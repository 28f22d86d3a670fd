package autodiscover

import (
	"cmp"
	"context"
	"slices"
	"sync"
)

// event is what one of the lines has to say.
type event struct {
	line   int
	order  int // of the candidate within the line
	c      candidate
	seen         // what came of it
	looked bool  // the line has its candidates
	done   bool  // the line has ended
	stop   error // the search ends
}

// start runs all lines. The channel closes when they, and all that they started, have
// ended; after cancelling ctx it must be drained.
func (s *search) start(ctx context.Context) <-chan event {
	events := make(chan event)
	var all sync.WaitGroup
	for i, look := range s.lines() {
		all.Go(func() {
			list, err := look(ctx)
			events <- event{line: i, looked: true, stop: err}
			var each sync.WaitGroup
			for n, c := range list {
				each.Go(func() {
					last, r := s.probe(ctx, c)
					events <- event{line: i, order: n, c: last, seen: r}
				})
			}
			each.Wait()
			events <- event{line: i, done: true}
		})
	}
	go func() {
		all.Wait()
		close(events)
	}()
	return events
}

// round is the search for one address.
type round struct {
	*search
	found, ready []event
	same         []event // whose question others had asked before
	weak         []event // found, but the name of the EWS URL does not resolve here
	ended        []bool  // which lines have
	looked       bool    // in Active Directory, which may take a sign-in
	open         bool    // there may be more events
	late         bool    // nothing better is waited for any more
}

// round searches for one address. It returns a result, the address that the mailbox
// really has, or an error that ends the search; or nothing.
func (s *search) round(ctx context.Context) (Result, string, error) {
	probing, cancel := context.WithCancel(ctx)
	events := s.start(probing)
	defer func() {
		cancel()
		for range events { // Listen must not be called after the end
		}
	}()
	r := &round{search: s, ended: make([]bool, len(s.lines())), open: true}
	var grace chan struct{}
	for {
		result, address, err := r.decide(ctx)
		if err != nil || address != "" || result.EWS != "" || !r.open {
			return result, address, err
		}
		if grace == nil && len(r.found)+len(r.ready) > 0 {
			grace = make(chan struct{})
			over := grace
			go func() {
				if s.o.Clock.Sleep(probing, s.grace()) == nil {
					close(over)
				}
			}()
		}
		var over <-chan struct{}
		if !r.late {
			over = grace
		}
		select {
		case e, open := <-events:
			r.open = open
			if e.stop != nil {
				return Result{}, "", e.stop
			}
			r.take(e)
		case <-over:
			r.late = true
		}
	}
}

func (r *round) take(e event) {
	if len(e.same) > 0 {
		r.same = append(r.same, e)
	}
	switch {
	case e.looked:
		r.looked = r.looked || e.line == 0
	case e.done:
		r.ended[e.line] = true
	case e.found != nil:
		r.found = append(r.found, e)
	case e.ready:
		r.ready = append(r.ready, e)
	}
}

// pop takes the most preferred event off a list.
func (r *round) pop(list *[]event) event {
	r.sort(*list)
	e := (*list)[0]
	*list = (*list)[1:]
	return e
}

// sort puts the most preferred event first. What several lines lead to counts as the
// best one's, whichever asked first.
func (r *round) sort(list []event) {
	better := func(a, b event) int { return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.order, b.order)) }
	for i := range list {
		e := &list[i]
		for _, other := range r.same {
			if better(other, *e) >= 0 || !slices.ContainsFunc(other.same, func(s string) bool { return slices.Contains(e.asked, s) }) {
				continue
			}
			e.line, e.order, e.c.step = other.line, other.order, other.c.step
			if key(e.c.url) == key(other.c.url) {
				e.c = other.c // may be written otherwise
			}
			if e.found != nil {
				e.found.at.step = other.c.step
			}
		}
	}
	slices.SortStableFunc(list, better)
}

// decide does what can be done with the events so far: take an answer, or sign in.
func (r *round) decide(ctx context.Context) (Result, string, error) {
	for {
		late := r.late || !r.open || ctx.Err() != nil
		switch {
		case len(r.found) > 0 && (late || r.unbeaten()):
			if result, ok := r.taken(ctx, r.pop(&r.found)); ok {
				return result, "", nil
			}
		case len(r.found) == 0 && len(r.ready) > 0 && ctx.Err() != nil && !r.open:
			e := r.pop(&r.ready)
			r.tell(Attempt{Step: e.c.step, URL: e.c.url.String(), Outcome: OutcomeSkipped, Text: "no time is left for a sign-in"})
		case len(r.found) == 0 && len(r.ready) > 0 && ctx.Err() == nil && late && r.looked:
			if result, address, err := r.trySignIn(ctx, r.pop(&r.ready).c); err != nil || address != "" || result.EWS != "" {
				return result, address, err
			}
		case !r.open && len(r.weak) > 0:
			e := r.pop(&r.weak)
			result, err := r.accept(ctx, e.found)
			if err == nil {
				return result, "", nil
			}
			r.fail(Attempt{Step: e.c.step, URL: e.found.url}, err)
		default:
			return Result{}, "", nil
		}
	}
}

// unbeaten reports whether no line better than that of the best answer is running.
func (r *round) unbeaten() bool {
	r.sort(r.found)
	return !slices.Contains(r.ended[:r.found[0].line], false)
}

// taken accepts an answer that came without a sign-in, unless a better one may come of
// signing in: one with an EWS URL whose name resolves here.
func (r *round) taken(ctx context.Context, e event) (Result, bool) {
	if !r.reachable(ctx, e.found) {
		r.weak = append(r.weak, e)
		return Result{}, false
	}
	result, err := r.accept(ctx, e.found)
	if err != nil {
		r.fail(Attempt{Step: e.c.step, URL: e.found.url}, err)
	}
	return result, err == nil
}

func (r *round) trySignIn(ctx context.Context, c candidate) (Result, string, error) {
	got := r.signIn(ctx, c)
	if got.found == nil {
		return Result{}, got.address, got.stop
	}
	result, err := r.accept(ctx, got.found)
	if err != nil {
		r.fail(Attempt{Step: got.found.at.step, URL: got.found.url, SignedIn: true}, err)
		return Result{}, "", final(err)
	}
	return result, "", nil
}
