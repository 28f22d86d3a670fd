package registration

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gofrs/flock"

	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/graph"
	"github.com/c2conn/c2conn/internal/task"
)

// Repair adds what a registration lacks, as Plan shows it: permissions to the list
// that it asks for, the connection's certificate, the service principal, the
// consent. It removes nothing, and reads a list again right before it replaces it:
// what others added is not lost. missing are the permissions that the account may
// not consent to. listen hears of every task of Steps (nil is allowed).
//
// It adds to an application that is there, so after a crash there is nothing to take
// back: inspecting and repairing again finds what is left, and a second repair does
// nothing. What a killed one has sent can be read in Dir/registrations/repairs until
// the next one in the tenant. From this computer one at a time changes a tenant.
//
// Errors: *entra.WrongTokenError; that of the first task that failed: *graph.Error,
// *advice.PolicyLifetimeError, *advice.NoResourceError, *advice.ReplicationError,
// ErrJournal.
func (r *Registrar) Repair(ctx context.Context, admin Admin, d *Drift, listen func(task.Event)) (missing []Permission, results []task.Result, err error) {
	if d.Nothing() {
		return nil, nil, nil
	}
	if err := expect(admin, d.Tenant.ID); err != nil {
		return nil, nil, err
	}
	if err := r.folder(); err != nil {
		return nil, nil, err
	}
	w, err := r.repair(ctx, admin, d)
	if err != nil {
		return nil, nil, err
	}
	if w.unlock, _, err = r.lockTenant(ctx, d.Tenant.ID); err != nil {
		return nil, nil, err
	}
	defer w.release()
	if err := w.r.tidy(d.Tenant.ID); err != nil {
		return nil, nil, err
	}
	steps := d.Steps()
	run := map[string]func(context.Context) task.Result{stepListed: w.doListed, stepCertificate: w.doCertificate, stepPrincipal: w.doPrincipal, stepConsent: w.doMissingConsent}
	for i, s := range steps {
		steps[i].Run = func(ctx context.Context) task.Result {
			res := run[s.ID](ctx)
			if own := altered(res.Err); own != nil {
				res.Err, res.Finding = own, advice.Short(own, w.facts(s.ID, res.Status))
			}
			w.refused = w.refused || res.Status == task.Fail && denied(res.Err)
			return w.advised(s.ID, res)
		}
	}
	results = task.Run(ctx, r.o.Clock.Now, steps, listen)
	err = context.Cause(ctx)
	for _, t := range results {
		if err == nil && t.Status == task.Fail {
			err = t.Err
		}
	}
	w.r.reach("before removing the record")
	if e := w.r.forget(w.j.Run); err == nil {
		err = e
	}
	return w.missing, results, err
}

// repairing is a repair while it is worked on.
type repairing struct {
	*work
	drift   *Drift
	refused bool // a change before the consent, for want of a role
}

// repair makes the run that adds what is missing: one that uses the application and
// has its credential already. Its journal lies where no registration is looked for.
func (r *Registrar) repair(ctx context.Context, admin Admin, d *Drift) (*repairing, error) {
	run, err := r.newRun()
	if err != nil {
		return nil, err
	}
	apart := &Registrar{o: r.o, dir: filepath.Join(r.dir, "repairs"), held: map[string]*flock.Flock{}, step: r.step}
	if err := apart.folder(); err != nil {
		return nil, err
	}
	plan := d.plan
	plan.Run, plan.Credential.Type, plan.Permissions = run, d.credential.Type, d.Missing // no more than was shown
	j := &journal{
		Schema: journalSchema, Run: run, Begun: r.o.Clock.Now().UTC(), Cloud: plan.Cloud, Tenant: d.Tenant, Account: d.Account,
		Kind: d.Kind, Set: d.purpose.Set, AppName: d.AppName, Connection: d.Connection, Type: d.credential.Type,
	}
	j.use(plan)
	w := &work{
		r: apart, admin: admin, plan: plan, base: entra.AppOptions{Cloud: r.o.Cloud}, j: j, identity: d.identity, ctx: ctx,
		wish: Wish{Kind: d.Kind, Set: d.purpose.Set, Type: d.credential.Type, Connection: d.Connection, Own: d.identity},
	}
	return &repairing{work: w, drift: d}, nil
}

// tidy removes what killed repairs of the tenant have left.
func (r *Registrar) tidy(tenant string) error {
	names, err := runs(r.dir)
	for _, run := range names {
		if j, e := readJournal(r.dir, run); e != nil || strings.EqualFold(j.Tenant.ID, tenant) {
			err = errors.Join(err, r.forget(run))
		}
	}
	return err
}

// altered gives the refusal of a change in Graph's own words where a registration
// gives it another meaning: here nothing new is registered, and nothing bears a tag.
// It is nil for all other errors.
func altered(err error) error {
	if e, ok := errors.AsType[*advice.RegistrationForbiddenError](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*advice.LostAnswerError](err); ok {
		return e.Err
	}
	return nil
}

func (w *repairing) doCertificate(ctx context.Context) task.Result {
	if err := w.addKey(ctx); err != nil {
		return failed(err)
	}
	return task.Result{Status: task.Pass, Finding: "registered; the others stay"}
}

// doMissingConsent adds the services that the tenant does not know yet, and consents.
func (w *repairing) doMissingConsent(ctx context.Context) task.Result {
	if err := w.addServices(w.replicated(ctx)); err != nil {
		return failed(err)
	}
	res := w.doConsent(ctx)
	if needed, ok := errors.AsType[*advice.ConsentNeededError](res.Err); ok && w.refused && len(w.granted) == 0 && denied(needed.Err) {
		// One missing role is one thing to tell.
		return task.Result{Status: task.Skip, Finding: "refused, too: follows from the refusal above"}
	}
	return res
}

// doListed adds to the permissions that the application asks for. Graph replaces the
// whole list, as it does that of the certificates (see setKeys): it is read until two
// answers agree, and read back; what others lost then is put back.
func (w *repairing) doListed(ctx context.Context) task.Result {
	ctx = w.replicated(ctx)
	add, _ := (&Plan{Permissions: w.drift.NotListed}).merge(nil)
	for n := 1; ; n++ {
		before, err := w.agreedRequired(ctx)
		if err != nil {
			return failed(err)
		}
		want := union(before, add)
		if len(less(want, before)) == 0 {
			return task.Result{Status: task.Pass, Finding: "all are listed"}
		}
		err = w.change(stepListed, "ask for the permissions", func(j *journal) { j.Required = added(before, want) },
			func() error { return w.admin.Graph.SetRequired(ctx, w.j.Application.ObjectID, want) }, nil)
		if err == nil {
			err = w.flush("the permissions are listed")
		}
		var lost []graph.ResourceAccess
		if err == nil {
			lost, err = w.lostRequired(ctx, before, want)
		}
		switch {
		case err != nil:
			return failed(w.refusal(ctx, "ask for the permissions", err))
		case len(lost) == 0:
			return task.Result{Status: task.Pass, Finding: count(len(w.drift.NotListed), "permission") + " added; the others stay"}
		case n == mostMends:
			return failed(errors.New("permissions that the application asks for disappear while c2conn adds to the list; somebody else is changing it"))
		}
		add = union(add, lost)
	}
}

// agreedRequired reads what the application asks for until two reads in a row agree.
func (w *repairing) agreedRequired(ctx context.Context) (list []graph.ResourceAccess, err error) {
	reads := 0
	agreed, err := w.r.search(ctx, "Reading the permissions until two answers agree", w.r.o.Clock.Now(), func() (bool, error) {
		for range 2 {
			app, err := w.admin.Graph.Application(ctx, w.j.Application.ObjectID)
			if err != nil {
				return false, err
			}
			same := reads > 0 && len(less(list, app.Required))+len(less(app.Required, list)) == 0
			list = app.Required
			if reads++; same {
				return true, nil
			}
		}
		return false, nil
	})
	if err == nil && !agreed {
		err = errors.New("the permissions that the application asks for change all the time; nothing was changed, try again later")
	}
	return list, err
}

// lostRequired reads the list back, from a replica that knows of the change, and
// gives what should be there and is not. Where no replica shows the change in time,
// it counts as made: the tenant has accepted it.
func (w *repairing) lostRequired(ctx context.Context, before, want []graph.ResourceAccess) (lost []graph.ResourceAccess, err error) {
	_, err = w.r.search(ctx, "Reading the permissions back", w.r.o.Clock.Now(), func() (bool, error) {
		app, err := w.admin.Graph.Application(ctx, w.j.Application.ObjectID)
		if err != nil || len(less(app.Required, before))+len(less(before, app.Required)) == 0 {
			return false, err // not there yet
		}
		lost = less(want, app.Required)
		return true, nil
	})
	return lost, err
}

// union is a, with what b asks for beyond it.
func union(a, b []graph.ResourceAccess) []graph.ResourceAccess {
	list := make([]graph.ResourceAccess, 0, len(a)+len(b))
	for _, r := range a {
		list = append(list, graph.ResourceAccess{ResourceAppID: r.ResourceAppID, Roles: slices.Clone(r.Roles), Scopes: slices.Clone(r.Scopes)})
	}
	for _, r := range less(b, a) {
		i := slices.IndexFunc(list, func(l graph.ResourceAccess) bool { return strings.EqualFold(l.ResourceAppID, r.ResourceAppID) })
		if i < 0 {
			list = append(list, r)
			continue
		}
		list[i].Roles, list[i].Scopes = append(list[i].Roles, r.Roles...), append(list[i].Scopes, r.Scopes...)
	}
	return list
}

// less is what a asks for beyond b.
func less(a, b []graph.ResourceAccess) (list []graph.ResourceAccess) {
	for _, r := range a {
		var of graph.ResourceAccess
		for _, l := range b {
			if strings.EqualFold(l.ResourceAppID, r.ResourceAppID) {
				of.Roles, of.Scopes = append(of.Roles, l.Roles...), append(of.Scopes, l.Scopes...)
			}
		}
		without := func(ids, known []string) []string {
			return slices.DeleteFunc(slices.Clone(ids), func(id string) bool {
				return slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, id) })
			})
		}
		rest := graph.ResourceAccess{ResourceAppID: r.ResourceAppID, Roles: without(r.Roles, of.Roles), Scopes: without(r.Scopes, of.Scopes)}
		if len(rest.Roles)+len(rest.Scopes) > 0 {
			list = append(list, rest)
		}
	}
	return list
}
