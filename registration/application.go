package registration

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/graph"
	"github.com/c2conn/c2conn/internal/task"
)

// doApplication makes the application, or adds the credential to the one that is
// used.
func (w *work) doApplication(ctx context.Context) task.Result {
	unlock, waited, err := w.r.lockTenant(ctx, w.plan.Tenant.ID)
	if err != nil {
		return failed(err)
	}
	w.unlock = unlock
	if waited && w.fresh && w.plan.Action == ActionCreate {
		if err := w.lookAgain(ctx); err != nil {
			return failed(err)
		}
	}
	if err := w.addServices(w.replicated(ctx)); err != nil {
		return failed(err)
	}
	finding := "used"
	if w.plan.Action == ActionUse {
		err = w.useExisting(ctx)
	} else {
		finding = "created"
		err = w.create(ctx)
	}
	if err == nil && w.wish.secret() {
		err = w.addSecret(ctx)
	}
	if err == nil {
		err = w.prepareLogin()
	}
	if err != nil {
		return failed(w.notYet(ctx, err))
	}
	return task.Result{Status: task.Pass, Finding: "client id " + w.app.AppID + ", " + finding}
}

// notYet gives the answer that an object of this run is not known the meaning that
// it has: a server lags behind. An application of others is really gone.
func (w *work) notYet(ctx context.Context, err error) error {
	if w.plan.Action == ActionCreate && graph.Replicating(err) && !errors.As(err, new(*advice.ReplicationError)) {
		return w.refusal(ctx, "read the application", err)
	}
	return err
}

// prepareLogin makes the application's own sign-in, and fetches the tenant's
// metadata for it while other things are done.
func (w *work) prepareLogin() error {
	o := w.base
	o.TenantID, o.ClientID, o.Credential = w.plan.Tenant.ID, w.app.AppID, entra.Credential{Identity: w.identity}
	if w.wish.secret() {
		o.Credential = entra.Credential{Secret: w.secret}
	}
	var err error
	if w.login, err = entra.NewApp(o); err != nil {
		return err
	}
	w.background.Go(func() { _, _ = w.login.Tenant(w.ctx) }) // an error comes again when a token is asked for
	return nil
}

// lookAgain looks for what another process registered while this one waited. Of
// that, replicas may know less than this computer does.
func (w *work) lookAgain(ctx context.Context) error {
	f, err := Look(ctx, w.admin, w.wish)
	if err != nil {
		return err
	}
	ids, err := w.registeredHere(ctx)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if !slices.ContainsFunc(f.Same, func(e Existing) bool { return strings.EqualFold(e.AppID, id) }) {
			a, err := w.admin.Graph.ApplicationByAppID(w.replicated(ctx), id)
			if err == nil {
				f.Same = append(f.Same, existing(a))
			} else if !notFound(err) {
				return err
			}
		}
	}
	f.Same = slices.DeleteFunc(f.Same, func(e Existing) bool { return slices.Contains(w.plan.same, e.AppID) })
	if len(f.Same) == 0 {
		return nil
	}
	plan, err := MakePlan(w.wish, f, w.r.o.Clock.Now(), "")
	if err != nil {
		return err
	}
	w.plan = plan.begun(w.j.Run)
	w.j.use(w.plan)
	return nil
}

// registeredHere lists the client ids of the applications of the wished name that
// this computer has registered in the tenant.
func (w *work) registeredHere(ctx context.Context) (ids []string, err error) {
	names, err := runs(w.r.dir)
	if err != nil {
		return nil, err
	}
	for _, run := range names {
		j, err := readJournal(w.r.dir, run)
		if err == nil && run != w.j.Run && strings.EqualFold(j.Tenant.ID, w.plan.Tenant.ID) && strings.EqualFold(j.AppName, w.plan.AppName) && j.Application.AppID != "" {
			ids = append(ids, j.Application.AppID)
		}
	}
	entries, err := w.r.o.Store.List(ctx)
	for _, e := range entries {
		if c := e.Connection; c.Registration.Mode == connections.ModeAutomatic && strings.EqualFold(c.Tenant.ID, w.plan.Tenant.ID) && strings.EqualFold(c.Registration.AppName, w.plan.AppName) {
			ids = append(ids, c.Registration.ClientID)
		}
	}
	return ids, err
}

// create makes the application, or finds the one that this run has made.
func (w *work) create(ctx context.Context) error {
	if w.j.Application.Sent {
		found, err := w.find(ctx, w.j.Application.ObjectID != "" || w.j.Application.Plain)
		if err != nil {
			return err
		}
		if found {
			w.dirty = true
			if err := w.flush("found the application"); err != nil || w.wish.secret() {
				return err
			}
			return w.addKey(ctx)
		}
	}
	for {
		err := w.refusal(ctx, "create the application", w.createOnce(ctx))
		switch {
		case err == nil && w.identity != nil && len(w.app.Keys) == 0:
			return w.addKey(ctx) // a tenant that does not take it along with the rest
		case err == nil:
			return w.dropOld(ctx)
		}
		again, err := w.shorten(ctx, err)
		if err != nil || !again {
			return err
		}
	}
}

// mostCreates bounds how often the application is created after answers were lost
// and nothing was found.
const mostCreates = 3

// createOnce creates the application: by its unique name, which can be repeated;
// where the tenant does not offer that, by a request whose lost answer is looked
// for by the run's tag over the whole time that replicas may take.
func (w *work) createOnce(ctx context.Context) error {
	var keys []graph.Key
	if w.identity != nil {
		keys = []graph.Key{keyOf(*w.identity)}
	}
	a, g := w.plan.application(keys), w.admin.Graph
	before := func(j *journal) { j.Application.Sent, j.Application.SentAt = true, w.r.o.Clock.Now().UTC() }
	after := func(*journal) { w.adopt(w.app) }
	const what = "create the application"
	first := !w.j.Application.Sent
	refused := func() { // nothing is to be found then, unless an earlier answer was lost
		if first {
			w.j.Application.Sent, w.j.Touched, w.dirty = false, false, true
		}
	}
	if !w.j.Application.Plain {
		err := w.change(stepApplication, what, before, func() (err error) {
			w.app, _, err = g.UpsertApplication(w.replicated(ctx), w.j.UniqueName, a)
			return err
		}, after)
		if unread := errors.Is(err, graph.ErrUnread); unread || !upsertRefused(err) {
			if err != nil && !unread && !lost(err) {
				refused()
			}
			return err
		}
		w.j.Application = applicationNote{Plain: true}
	}
	for n := 1; ; n++ {
		err := w.change(stepApplication, what, before, func() (err error) {
			w.app, err = g.CreateApplication(ctx, a)
			return err
		}, after)
		if !lost(err) || ctx.Err() != nil {
			if err != nil && !lost(err) {
				refused()
			}
			return err
		}
		found, e := w.find(ctx, true)
		switch {
		case e != nil:
			return e
		case found:
			return nil
		case n == mostCreates:
			return &advice.LostAnswerError{What: what, Tag: tagRun(w.j.Run), Err: err}
		}
	}
}

// adopt notes that an application is the run's.
func (w *work) adopt(a graph.Application) {
	w.app = a
	w.j.Application.ObjectID, w.j.Application.AppID = a.ObjectID, a.AppID
}

// find looks for the application that this run may have made: by its id, by its
// unique name or by its tag, and among the deleted. A deleted one is removed for
// good, so that its unique name is free. Without patience it looks once: creating
// by unique name may be repeated, so nothing is lost then by missing it.
func (w *work) find(ctx context.Context, patience bool) (bool, error) {
	note, g := w.j.Application, w.admin.Graph
	ctx = graph.Fresh(ctx, 0) // the waiting is done here
	look := func() (found bool, err error) {
		var a graph.Application
		switch {
		case note.ObjectID != "":
			a, err = g.Application(ctx, note.ObjectID)
		case !note.Plain:
			a, err = g.ApplicationByUniqueName(ctx, w.j.UniqueName)
		default:
			var list []graph.Application
			if list, err = g.ApplicationsByTag(ctx, tagRun(w.j.Run)); err == nil && len(list) > 0 {
				a, found = list[0], true
			}
		}
		switch {
		case notFound(err):
			return false, nil
		case err != nil:
			return false, err
		case a.ObjectID != "":
			w.adopt(a)
			found = true
		}
		return found, nil
	}
	found, err := look()
	if found || err != nil {
		return found, err
	}
	purged, err := w.purge(ctx)
	if err != nil {
		return false, err
	}
	if !purged && patience {
		if found, err = w.r.search(ctx, "Looking whether the application was created although no answer came", note.SentAt, look); found || err != nil {
			return found, err
		}
		// However short the limit of a wait is: what may exist is neither made again nor counts as removed.
		if sure := note.SentAt.Add(w.r.spread()); w.r.o.Clock.Now().Before(sure) {
			return false, &advice.ReplicationError{What: "the application", Waited: w.r.o.Consistency}
		}
	}
	w.j.Application = applicationNote{Plain: note.Plain}
	w.j.Principal, w.j.Assigned, w.j.Secret = principalNote{}, nil, secretNote{Ref: w.j.Secret.Ref}
	return false, nil
}

// isRuns tells whether an application was made by the run.
func (j *journal) isRuns(a graph.Application) bool {
	return a.ObjectID == j.Application.ObjectID && a.ObjectID != "" || j.UniqueName != "" && a.UniqueName == j.UniqueName || slices.Contains(a.Tags, tagRun(j.Run))
}

// purge removes the run's application from the deleted items.
func (w *work) purge(ctx context.Context) (bool, error) {
	deleted, err := w.admin.Graph.DeletedApplications(ctx)
	if denied(err) {
		return false, nil // not to be seen, and not in the way
	}
	if err != nil {
		return false, err
	}
	for _, a := range deleted {
		if w.j.isRuns(a) {
			if id := w.j.Principal.ObjectID; id != "" {
				_ = w.admin.Graph.PurgeDeleted(ctx, id) // without its application it is of no use, and goes by itself
			}
			return true, w.change(stepApplication, "remove the deleted application", nil, func() error { return w.admin.Graph.PurgeDeleted(w.replicated(ctx), a.ObjectID) }, nil)
		}
	}
	return false, nil
}
