package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/registration"
)

// endedJSON is the answer of rotate --finish and --abandon.
type endedJSON struct {
	Ended   []registration.Rotation `json:"ended"`
	Waiting []registration.Rotation `json:"waiting"` // not due yet, or broken off
	Failed  []endFailedJSON         `json:"failed,omitempty"`
}

type endFailedJSON struct {
	Rotation registration.Rotation `json:"rotation"`
	Error    *advice.Advice        `json:"error"`
}

// end finishes or abandons rotations.
func (o *rotateOptions) end(ctx context.Context, names []string) error {
	o.named = names
	list, err := o.rotations(ctx)
	if err != nil {
		return err
	}
	todo, waiting, err := o.toEnd(ctx, list, names)
	if err != nil {
		return err
	}
	doc := endedJSON{Ended: []registration.Rotation{}, Waiting: waiting}
	if o.dryRun || len(todo) == 0 {
		if o.dryRun {
			doc.Ended = append(doc.Ended, todo...)
		}
		return o.printEnded(doc)
	}
	if o.canAsk() && !o.yes {
		for _, r := range todo {
			o.errorf("%s\n", o.endText(r))
		}
		ok, err := o.ask(ctx, "Do that?")
		if err != nil {
			return err
		}
		if !ok {
			return refuse("nothing was changed, as you said")
		}
	}
	w, err := o.newRotator(nil)
	if err != nil {
		return err
	}
	results, err := w.endEach(ctx, todo, &doc)
	switch {
	case err != nil:
		return err
	case len(todo) == 1 && len(results) == 1:
		return results[0].err
	}
	if err := o.printEnded(doc); err != nil {
		return err
	}
	if class := together(results, false); class != advice.ClassNone {
		return &verdict{class: class}
	}
	return nil
}

// endEach ends rotations one after the other; one that fails does not stop the others.
// The error is that of Ctrl-C.
func (w *rotator) endEach(ctx context.Context, todo []registration.Rotation, doc *endedJSON) (failures []verified, stopped error) {
	for _, r := range todo {
		err := w.endOne(ctx, r)
		switch {
		case errors.Is(ctx.Err(), context.Canceled) || err != nil && isCancelled(err):
			return failures, &stoppedError{err: cmp.Or(err, ctx.Err()), state: fmt.Sprintf("%d of %s ended; the same command goes on with the others.", len(doc.Ended), plural(len(todo), "rotation", "rotations"))}
		case err == nil:
			doc.Ended = append(doc.Ended, r)
			continue
		}
		failures = append(failures, verified{err: err})
		doc.Failed = append(doc.Failed, endFailedJSON{r, w.dated(w.adviceOf(err))})
		if len(todo) > 1 || w.all {
			w.errorf("  ✗ %s: %s\n", strings.Join(r.Connections, ", "), renderAdvice(w.adviceOf(err), "      "))
		}
	}
	return failures, nil
}

// finishDue removes the old credentials of earlier rotations that are due, so that one
// timer with --all is enough.
func (w *rotator) finishDue(ctx context.Context, items []*rotateItem) (doc *endedJSON, failures []verified, stopped error) {
	list, err := w.rotations(ctx)
	if err != nil {
		return nil, nil, err
	}
	var due []registration.Rotation
	for _, r := range list {
		begun := slices.ContainsFunc(items, func(i *rotateItem) bool { return i.rotated != nil && i.rotated.Run == r.Run })
		if r.Err == nil && switched(r) && !r.Due.After(w.Clock.Now()) && !begun {
			due = append(due, r)
		}
	}
	if len(due) == 0 {
		return nil, nil, nil
	}
	doc = &endedJSON{Ended: []registration.Rotation{}, Waiting: []registration.Rotation{}}
	failures, stopped = w.endEach(ctx, due, doc)
	for _, r := range doc.Ended {
		w.errorf("  ✓ %s: the old credential of an earlier rotation is removed\n", strings.Join(r.Connections, ", "))
	}
	return doc, failures, stopped
}

// toEnd sorts out which rotations are to be ended, and which wait.
func (o *rotateOptions) toEnd(ctx context.Context, list []registration.Rotation, names []string) (todo, waiting []registration.Rotation, err error) {
	waiting = []registration.Rotation{}
	wanted := map[string]bool{}
	for _, name := range names {
		found := false
		for _, r := range list {
			if r.Err == nil && o.about(ctx, r, name) {
				found, wanted[r.Run] = true, true
			}
		}
		if !found { // it is as it was to be
			if _, err := o.connection(ctx, name); err != nil {
				return nil, nil, err
			}
			o.errorf("No rotation of %s is under way, and no old credential waits for its removal.\n", clean(name))
		}
	}
	for _, r := range list {
		switch {
		case r.Err != nil:
			o.errorf("✗ %s\n", o.waitingText(r))
		case len(names) > 0 && !wanted[r.Run]:
		case o.abandon && switched(r):
			return nil, nil, &advice.RotationSwitchedError{Connection: firstOf(r.Connections...), Finishable: true}
		case o.abandon, switched(r) && (o.now || !r.Due.After(o.Clock.Now())):
			todo = append(todo, r)
		case !switched(r) && len(names) > 0:
			return nil, nil, refuse("%s", o.waitingText(r))
		default:
			waiting = append(waiting, r)
		}
	}
	return todo, waiting, nil
}

func switched(r registration.Rotation) bool { return r.State == registration.RotationWaiting }

// about tells whether a rotation is about the connection of a name; also about one that
// was renamed or deleted since.
func (o *rotateOptions) about(ctx context.Context, r registration.Rotation, name string) bool {
	if store, err := o.store(); err == nil {
		if c, err := store.Get(ctx, name); err == nil {
			return r.Uses(c)
		}
	}
	return slices.ContainsFunc(r.Connections, func(n string) bool { return strings.EqualFold(n, name) })
}

// endOne finishes or abandons one rotation.
func (w *rotator) endOne(ctx context.Context, r registration.Rotation) error {
	c := connections.Connection{Name: firstOf(r.Connections...), Location: connections.Online, Cloud: r.Cloud, Tenant: r.Tenant}
	c.Registration.ClientID, c.Registration.AppName = r.ClientID, r.AppName
	err := w.asWhoMay(ctx, c, func(admin *registration.Admin) error {
		if w.abandon {
			return w.env.AbandonRotation(ctx, r, admin)
		}
		done, err := w.env.FinishRotation(ctx, r, admin, true, w.progressLines())
		if done != nil {
			for _, note := range done.Notes {
				w.errorf("  ! %s\n", wrap(clean(note), 92, "    "))
			}
		}
		return err
	})
	if err == nil || errors.Is(ctx.Err(), context.Canceled) {
		return err
	}
	return w.explained(c, err)
}

func (o *rotateOptions) endText(r registration.Rotation) string {
	who := strings.Join(r.Connections, ", ")
	if o.abandon {
		return fmt.Sprintf("%s: the new credential is taken back; the old one stays in force.", who)
	}
	return fmt.Sprintf("%s: the old credential is removed from the application; copies of it do not work any more.", who)
}

func (o *rotateOptions) printEnded(doc endedJSON) error {
	var names []string
	for _, r := range doc.Ended {
		names = append(names, r.Connections...)
	}
	return o.print(printable{value: doc, name: strings.Join(names, "\n"), table: func() string {
		var b strings.Builder
		for _, r := range doc.Ended {
			who := strings.Join(r.Connections, ", ")
			switch {
			case o.dryRun:
				b.WriteString(o.endText(r) + "\n")
			case o.abandon:
				fmt.Fprintf(&b, "%s  taken back; the old credential is in force.\n", who)
			default:
				fmt.Fprintf(&b, "%s  the old credential is removed.\n", who)
			}
		}
		for _, r := range doc.Waiting {
			text := o.waitingText(r)
			if switched(r) {
				text += "; at once with --now"
			}
			b.WriteString(text + "\n")
		}
		if b.Len() == 0 && len(o.named) == 0 {
			return "No old credential waits for its removal.\n"
		}
		return b.String()
	}})
}
