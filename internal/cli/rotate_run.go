package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/internal/verify"
	"github.com/c2conn/c2conn/registration"
	"github.com/c2conn/c2conn/wizard"
)

// rotateParallel is how many tenants are worked in at the same time.
const rotateParallel = 8

// run renews the credentials of the named connections, or of all.
func (o *rotateOptions) run(ctx context.Context, names []string) error {
	items, problems, err := o.items(ctx, names)
	if err != nil {
		return err
	}
	own, err := o.own()
	if err != nil {
		return &usageError{err: fmt.Errorf("--cert-file: %w", err), command: "c2conn rotate"}
	}
	if o.dryRun {
		return o.printPlan(items, problems)
	}
	if len(items) > 0 && o.canAsk() && !o.yes {
		o.errorf("%s\n", o.planText(items))
		ok, err := o.ask(ctx, "Renew "+plural(len(items), "credential", "credentials")+" in this way?")
		if err != nil {
			return err
		}
		if !ok {
			return refuse("nothing was changed, as you said")
		}
	}
	w, err := o.newRotator(own)
	if err != nil {
		return err
	}
	if len(items) == 1 && !o.all {
		return o.sayOne(ctx, w, items[0])
	}
	return o.sayMany(ctx, w, items, problems)
}

// rotator renews one credential after the other; what they share is opened once.
type rotator struct {
	*rotateOptions
	env     *wizard.Env
	valid   certs.Validity
	own     *certs.Identity
	byAdmin bool // flags for signing in were given

	mu     sync.Mutex // one person signs in at a time
	admins map[string]signedAdmin
}

type signedAdmin struct {
	admin *registration.Admin
	err   error
}

func (o *rotateOptions) newRotator(own *certs.Identity) (*rotator, error) {
	env, err := o.wizardEnv()
	if err != nil {
		return nil, err
	}
	env.Consistency = o.consistency
	valid, err := o.valid()
	if err != nil {
		return nil, err
	}
	w := &rotator{rotateOptions: o, env: env, valid: valid, own: own, admins: map[string]signedAdmin{}}
	for _, f := range o.signIn.flow.Fields() {
		for _, name := range append(f.Flags(), "--"+f.FlagName()) {
			if _, given := o.signIn.flag(name[2:]); given && f.Key != "cloud" && f.Key != "tenant_id" {
				w.byAdmin = true
			}
		}
	}
	return w, nil
}

// asWhoMay does something as the application itself, and where that cannot be, as an
// administrator who signs in to its tenant; told says why.
func (w *rotator) asWhoMay(ctx context.Context, c connections.Connection, do func(*registration.Admin) error) error {
	var needs *advice.OwnProofError
	if !w.byAdmin {
		err := do(nil)
		if !errors.As(err, &needs) {
			return err
		}
		if w.canAsk() && !w.yes {
			w.errorf("\n%s: %s\n", c.Name, renderAdvice(w.adviceOf(err), "  "))
			ok, asked := w.ask(ctx, "Sign in as an administrator now?")
			if asked != nil {
				return asked
			}
			if !ok {
				return err
			}
		}
	}
	admin, err := w.administratorFor(ctx, c)
	var unanswered *wizard.ProblemsError
	switch {
	case needs != nil && errors.As(err, &unanswered) && !slices.ContainsFunc(unanswered.Problems, func(p wizard.Problem) bool { return !p.Missing }):
		return needs // nobody can be asked; its advice names the flags
	case err != nil:
		return err
	}
	return do(admin)
}

// administratorFor signs an administrator in to the tenant of a connection, once for all
// connections of the tenant.
func (w *rotator) administratorFor(ctx context.Context, c connections.Connection) (*registration.Admin, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if known, ok := w.admins[tenantKey(c)]; ok {
		return known.admin, known.err
	}
	admin, err := w.administrator(ctx, w.signIn, w.cloudOf(c), c.Tenant.ID)
	w.admins[tenantKey(c)] = signedAdmin{&admin, err}
	return &admin, err
}

// one renews one credential; the outcome is in the item.
func (w *rotator) one(ctx context.Context, i *rotateItem, listen func(task.Event)) {
	i.err = w.asWhoMay(ctx, i.conn, func(admin *registration.Admin) (err error) {
		// It may be switched already, when only the removal takes an administrator.
		if i.conn, err = w.env.Store.Get(ctx, i.conn.ID); err != nil {
			return err
		}
		i.rotated, err = w.env.Rotate(ctx, i.conn, wizard.RotateOptions{Admin: admin, Grace: time.Duration(w.grace), Valid: w.valid, Own: w.own}, listen)
		return errors.Join(err, w.reread(ctx, i))
	})
	if i.err != nil && !errors.Is(ctx.Err(), context.Canceled) {
		i.err = w.explained(i.conn, i.err)
	}
	i.ended = i.err == nil || !errors.Is(ctx.Err(), context.Canceled)
}

// reread reads the connections as the rotation has left them.
func (w *rotator) reread(ctx context.Context, i *rotateItem) error {
	i.switched = nil
	if i.rotated == nil {
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	for _, name := range i.rotated.Switched {
		c, err := w.env.Store.Get(ctx, name)
		if isNotFound(err) {
			continue // deleted meanwhile
		}
		if err != nil {
			return err
		}
		if c.ID == i.conn.ID {
			i.conn = c
		}
		i.switched = append(i.switched, c)
	}
	return nil
}

// explained gives an error what is known of its connection.
func (o *rotateOptions) explained(c connections.Connection, err error) error {
	var with *adviceError
	var refused *refusal
	switch {
	case errors.As(err, &with), errors.As(err, &refused):
		return err
	case c.Location == connections.OnPremises:
		return refuse("%s signs in as %s of Active Directory, where passwords are changed, not by c2conn. When it is changed there: c2conn edit %s --password-file FILE", c.Name, clean(c.Account), advice.ShellWord(c.Name))
	case c.Registration.ClientID == "":
		return refuse("%s has no application in Entra ID, so there is no credential to renew", c.Name)
	}
	return &adviceError{err: &beforeChecks{err}, facts: verify.FactsOf(c, o.cloudOf(c), o.Clock.Now())}
}

// sayOne renews one credential and prints the outcome.
func (o *rotateOptions) sayOne(ctx context.Context, w *rotator, i *rotateItem) error {
	w.one(ctx, i, o.progressLines())
	if i.err != nil {
		state := o.leaves(ctx, i.conn)
		if errors.Is(ctx.Err(), context.Canceled) || isCancelled(i.err) {
			return &stoppedError{err: i.err, state: state}
		}
		if i.rotated != nil { // the error itself is told by whoever exits
			o.adviceLines(slices.DeleteFunc(slices.Clone(i.rotated.Results), func(r task.Result) bool { return errors.Is(i.err, r.Err) }))
		}
		o.errorf("\n%s\n", state)
		return i.err
	}
	o.adviceLines(append(slices.Clone(i.rotated.Results), i.rotated.Report.Results...))
	if err := o.print(printable{value: o.rotatedJSON(i), name: i.conn.Name, table: func() string { return o.rotatedText(i) + "\n" }}); err != nil {
		return err
	}
	for _, note := range i.rotated.Notes {
		o.errorf("  ! %s\n", wrap(clean(note), 92, "    "))
	}
	if class := i.verified().class(); class != advice.ClassNone {
		return &verdict{class: class}
	}
	return nil
}

// sayMany renews many credentials, the tenants side by side and one of each at a time,
// and prints what has become of them.
func (o *rotateOptions) sayMany(ctx context.Context, w *rotator, items []*rotateItem, problems []problemJSON) error {
	list := make([]connections.Connection, len(items))
	for n, i := range items {
		list[n] = i.conn
	}
	turns := newTurns(list, 1)
	var wg sync.WaitGroup
	for range min(rotateParallel, len(items)) {
		wg.Go(func() {
			for n, ok := turns.next(); ok; n, ok = turns.next() {
				i := items[n]
				w.one(ctx, i, func(e task.Event) {
					if e.Kind == task.Progress && len(items) <= fewLines {
						o.errorf("  … %s, %s: %s\n", i.conn.Name, e.Title, clean(e.Text))
					}
				})
				turns.done(n)
				if errors.Is(ctx.Err(), context.Canceled) {
					turns.stop()
					continue
				}
				o.errorf("%s\n", o.rotatedLine(ctx, i))
			}
		})
	}
	wg.Wait()
	if errors.Is(ctx.Err(), context.Canceled) {
		return &stoppedError{err: ctx.Err(), state: o.leavesMany(ctx, items)}
	}
	doc := rotationsJSON{Rotations: []any{}, Problems: problems}
	var names []string
	var results []verified
	for _, i := range items {
		doc.Rotations = append(doc.Rotations, o.rotatedJSON(i))
		results = append(results, i.verified())
		if i.err == nil {
			names = append(names, i.names()...)
		}
	}
	if o.all {
		finished, failures, err := w.finishDue(ctx, items)
		if err != nil {
			return err
		}
		doc.Finished, results = finished, append(results, failures...)
	}
	err := o.print(printable{value: doc, name: strings.Join(names, "\n"), table: func() string { return o.rotatedTable(items) }})
	if err != nil {
		return err
	}
	for _, p := range problems {
		o.errorf("✗ %s\n", p.Error)
	}
	if class := together(results, len(problems) > 0); class != advice.ClassNone {
		return &verdict{class: class}
	}
	return nil
}

// verified is the outcome as that of a verification, for the exit code. A connection
// that was verified by the run which broke off is as that one left it.
func (i *rotateItem) verified() verified {
	v := verified{conn: i.conn, err: i.err}
	if i.rotated == nil {
		return v
	}
	v.report = i.rotated.Report
	if len(v.report.Results) == 0 && v.report.Err == nil {
		v.report.State = connections.StateVerified
	}
	return v
}

// leaves says in what state a rotation that did not end has left a connection, and
// which command goes on.
func (o *rotateOptions) leaves(ctx context.Context, c connections.Connection) string {
	if c.Location == connections.OnPremises {
		return fmt.Sprintf("%s was not changed.", c.Name)
	}
	list, err := o.rotations(context.WithoutCancel(ctx))
	if err != nil {
		return fmt.Sprintf("%s works with the credential that is saved; whether a new one was left in the tenant cannot be told. To go on: %s", c.Name, rotateCommand(c.Name))
	}
	for _, r := range list {
		if r.Err == nil && o.about(ctx, r, c.Name) {
			return o.waitingText(r)
		}
	}
	return fmt.Sprintf("%s was not changed, and nothing is left in the tenant.", c.Name)
}

func (o *rotateOptions) leavesMany(ctx context.Context, items []*rotateItem) string {
	done := 0
	var lines []string
	for _, i := range items {
		switch {
		case i.ended && i.err == nil:
			done++
		case i.err != nil:
			lines = append(lines, o.leaves(ctx, i.conn))
		}
	}
	return strings.Join(append([]string{fmt.Sprintf("%d of %s were renewed; the same command goes on with the others.", done, plural(len(items), "credential", "credentials"))}, lines...), "\n  ")
}

// rotateCommand is a command about one connection, to be typed.
func rotateCommand(name string, flags ...string) string {
	return strings.Join(append(append([]string{"c2conn rotate"}, flags...), typed(name)), " ")
}
