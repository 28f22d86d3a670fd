package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/registration"
	"github.com/c2conn/c2conn/wizard"
)

// finishedJSON is the answer of rotate --finish and --abandon.
type finishedJSON struct {
	Finished  []registration.Rotation `json:"finished"`
	Abandoned []registration.Rotation `json:"abandoned,omitempty"`
	Waiting   []registration.Rotation `json:"waiting"` // their time has not come
	Notes     []string                `json:"notes,omitempty"`
	Problems  []problemJSON           `json:"problems,omitempty"`
}

// pending lists the rotations about the named connections, all for none, and says what
// is wrong with journals that cannot be read.
func (o *rotateOptions) pending(ctx context.Context, names []string) (list []registration.Rotation, problems []problemJSON, err error) {
	env, err := o.env()
	if err != nil {
		return nil, nil, err
	}
	all, err := env.Rotations(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, r := range all {
		if r.Err != nil {
			problems = append(problems, problemJSON{r.Path, clean(r.Err.Error())})
			o.errorf("✗ %s: %s\n", r.Path, clean(r.Err.Error()))
			continue
		}
		if len(names) == 0 || slices.ContainsFunc(names, func(n string) bool { return o.about(ctx, r, n) }) {
			list = append(list, r)
		}
	}
	return list, problems, nil
}

// about tells whether a rotation is about the connection of that name or id.
func (o *rotateOptions) about(ctx context.Context, r registration.Rotation, name string) bool {
	if slices.ContainsFunc(r.Connections, func(n string) bool { return strings.EqualFold(n, name) }) {
		return true
	}
	c, err := o.connection(ctx, name)
	return err == nil && r.Uses(c)
}

// subject is a saved connection that a rotation is about, for messages and sign-ins.
func (o *rotateOptions) subject(ctx context.Context, r registration.Rotation) connections.Connection {
	for _, name := range r.Connections {
		if c, err := o.connection(ctx, name); err == nil {
			return c
		}
	}
	return connections.Connection{Name: strings.Join(r.Connections, ", "), Cloud: r.Cloud, Tenant: r.Tenant, Registration: connections.Registration{ClientID: r.ClientID}}
}

// finishOne removes the old credential of one rotation.
func (o *rotateOptions) finishOne(ctx context.Context, r registration.Rotation) (out *wizard.Rotated, err error) {
	env, err := o.env()
	if err != nil {
		return nil, err
	}
	c := o.subject(ctx, r)
	err = o.as(ctx, c, func(admin *registration.Admin) error {
		out, err = env.FinishRotation(ctx, r, admin, o.now, o.progressLines())
		return err
	})
	if err != nil {
		return nil, &adviceError{err: &beforeChecks{err}, facts: o.facts(c)}
	}
	return out, nil
}

// finishDue removes what is due before new rotations begin. What fails is said and
// hinders nothing.
func (o *rotateOptions) finishDue(ctx context.Context) error {
	list, _, err := o.pending(ctx, nil)
	if err != nil {
		return err
	}
	for _, r := range list {
		if r.State != registration.RotationWaiting || o.Clock.Now().Before(r.Due) {
			continue
		}
		o.errorf("Removing the old credential of %s:\n", strings.Join(r.Connections, ", "))
		if _, err := o.finishOne(ctx, r); err != nil {
			if ctx.Err() != nil {
				return err
			}
			o.errorf("  ✗ %s\n", renderAdvice(o.adviceOf(err), "      "))
		}
	}
	return nil
}

func (o *rotateOptions) runFinish(ctx context.Context, names []string) error {
	list, problems, err := o.pending(ctx, names)
	if err != nil {
		return err
	}
	doc := finishedJSON{Finished: []registration.Rotation{}, Waiting: []registration.Rotation{}, Problems: problems}
	var failed error
	for _, r := range list {
		switch {
		case r.State == registration.RotationBegun:
			o.errorf("The rotation of %s broke off before it was switched; it goes on with: c2conn rotate %s\n", strings.Join(r.Connections, ", "), r.Connections[0])
			continue
		case !o.now && o.Clock.Now().Before(r.Due):
			if len(names) > 0 {
				return &adviceError{err: &advice.RotationPendingError{Connection: o.subject(ctx, r).Name, Due: r.Due}, facts: o.facts(o.subject(ctx, r))}
			}
			doc.Waiting = append(doc.Waiting, r)
			continue
		case o.dryRun:
			doc.Finished = append(doc.Finished, r)
			continue
		}
		if !o.yes {
			yes, err := o.ask(ctx, fmt.Sprintf("Remove the old credential of %s from the application %s?", strings.Join(r.Connections, ", "), clean(r.AppName)))
			if err != nil {
				return err
			}
			if !yes {
				doc.Waiting = append(doc.Waiting, r)
				continue
			}
		}
		out, err := o.finishOne(ctx, r)
		if err != nil {
			if ctx.Err() != nil || len(list) == 1 {
				return err
			}
			o.errorf("  ✗ %s: %s\n", strings.Join(r.Connections, ", "), renderAdvice(o.adviceOf(err), "      "))
			failed = errors.Join(failed, err)
			continue
		}
		for _, n := range out.Notes {
			o.errorf("\n%s\n", wrap(clean(n), 96, ""))
		}
		doc.Finished, doc.Notes = append(doc.Finished, r), append(doc.Notes, out.Notes...)
	}
	err = o.print(printable{value: doc, name: strings.Join(namesOf(doc.Finished), "\n"), table: func() string { return o.finishedText(doc) }})
	if err == nil && (failed != nil || len(problems) > 0) {
		err = &verdict{class: advice.ClassOther}
	}
	return err
}

func namesOf(list []registration.Rotation) (names []string) {
	for _, r := range list {
		names = append(names, r.Connections...)
	}
	return names
}

func (o *rotateOptions) finishedText(doc finishedJSON) string {
	var b strings.Builder
	verb := "Removed"
	if o.dryRun {
		verb = "Would remove"
	}
	for _, r := range doc.Finished {
		fmt.Fprintf(&b, "%s the old credential of %s.\n", verb, strings.Join(r.Connections, ", "))
	}
	for _, r := range doc.Waiting {
		fmt.Fprintf(&b, "%s: the old credential stays until %s UTC.\n", strings.Join(r.Connections, ", "), r.Due.UTC().Format("2006-01-02 15:04"))
	}
	if b.Len() == 0 {
		b.WriteString("No old credential waits for its removal.\n")
	}
	return b.String()
}

func (o *rotateOptions) runAbandon(ctx context.Context, name string) error {
	list, _, err := o.pending(ctx, []string{name})
	if err != nil {
		return err
	}
	doc := finishedJSON{Finished: []registration.Rotation{}, Waiting: []registration.Rotation{}}
	env, err := o.env()
	if err != nil {
		return err
	}
	for _, r := range list {
		c := o.subject(ctx, r)
		if r.State == registration.RotationWaiting {
			return &adviceError{err: &advice.RotationSwitchedError{Connection: c.Name, Finishable: true}, facts: o.facts(c)}
		}
		if !o.yes && !o.dryRun {
			yes, err := o.ask(ctx, fmt.Sprintf("Take back the rotation of %s that broke off? The connection keeps the credential that it has.", c.Name))
			if err != nil {
				return err
			}
			if !yes {
				return refuse("nothing was changed, as you said")
			}
		}
		if !o.dryRun {
			err := o.as(ctx, c, func(admin *registration.Admin) error { return env.AbandonRotation(ctx, r, admin) })
			if err != nil {
				return &adviceError{err: &beforeChecks{err}, facts: o.facts(c)}
			}
		}
		doc.Abandoned = append(doc.Abandoned, r)
	}
	if len(doc.Abandoned) == 0 {
		if _, err := o.connection(ctx, name); err != nil {
			return err
		}
	}
	return o.print(printable{value: doc, name: strings.Join(namesOf(doc.Abandoned), "\n"), table: func() string {
		if len(doc.Abandoned) == 0 {
			return "No rotation of " + name + " is unfinished.\n"
		}
		if o.dryRun {
			return "Would take back the rotation of " + name + ".\n"
		}
		return "Took back the rotation of " + name + "; the connection is as before.\n"
	}})
}
