package registration

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/graph"
	"github.com/c2conn/c2conn/internal/task"
)

// undo is a run that is taken back.
type undo struct {
	*work
	left []string // what could not be removed
}

// Rollback removes exactly what a run has made: in the tenant, also from the
// deleted items, then on this computer, and the journal last. Of a registration
// that was there before only this run's credential, permissions and service
// principal are taken. A rollback that ends half-way can be begun again.
//
// Errors: *advice.RollbackError with what is left, also ErrJournal; *BusyError,
// *entra.WrongTokenError. admin is not asked for a run that never reached the
// tenant.
func (r *Registrar) Rollback(ctx context.Context, admin Admin, run string, listen func(task.Event)) error {
	if err := r.hold(run); err != nil {
		return err
	}
	defer r.drop(run, false)
	j, err := readJournal(r.dir, run)
	if err != nil {
		return unknownRunError(run, err)
	}
	if j.Touched {
		if err := expect(admin, j.Tenant.ID); err != nil {
			return err
		}
	}
	w := &work{r: r, admin: admin, wish: Wish{Kind: j.Kind, Set: j.Set, Type: j.Type, Cloud: r.o.Cloud}, j: j, ctx: ctx}
	w.plan = Plan{Run: run, Kind: j.Kind, Action: j.Action, AppName: j.AppName, Tenant: j.Tenant, Account: account(admin, graph.User{})}
	u := &undo{work: w}
	tasks := []task.Task{{ID: "remove-key", Title: "Remove the credential from this computer", Run: u.local}}
	switch {
	case !j.Touched:
	case j.Action == ActionUse:
		tasks[0].Needs = []string{"remove-credential", "remove-permissions"}
		tasks = append([]task.Task{
			{ID: "remove-permissions", Title: "Take the permissions back", Run: u.permissions},
			// One write at a time.
			{ID: "remove-credential", Title: "Remove the credential from the application", After: []string{"remove-permissions"}, Run: u.credential},
		}, tasks...)
	default:
		tasks[0].Needs = []string{"remove-application"}
		tasks = append([]task.Task{{ID: "remove-application", Title: "Remove the application", Run: u.application}}, tasks...)
	}
	unlock, _, err := r.lockTenant(ctx, j.Tenant.ID)
	if err != nil {
		return err
	}
	defer unlock()
	if !j.RollingBack {
		j.RollingBack = true
		if err := r.write(j, "take the registration back"); err != nil {
			return u.noJournal(err)
		}
	}
	for _, t := range task.Run(ctx, r.o.Clock.Now, tasks, listen) {
		if err == nil && t.Status == task.Fail {
			err = t.Err
		}
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, ErrJournal):
		return u.noJournal(err)
	case err != nil || len(u.left) > 0:
		return &advice.RollbackError{Left: u.left, Err: err}
	}
	return nil
}

// noJournal is for a rollback that stopped because it could not note what it does.
func (u *undo) noJournal(err error) error {
	e := &advice.RollbackError{Err: fmt.Errorf("%w; free some space or make the folder writable, then run the same command again, or c2conn app cleanup %s", err, u.j.Run)}
	if u.j.Touched && !u.j.Application.Purged {
		e.Left = []string{u.where() + ", run " + u.j.Run}
	}
	return e
}

// settled says whether the replicas may still lag behind the run.
func (u *undo) settled(ctx context.Context) context.Context {
	if u.r.o.Clock.Now().Sub(u.last()) < recent {
		return u.replicated(ctx)
	}
	return graph.Fresh(ctx, 0)
}

// last is when the run last changed something, or may have.
func (u *undo) last() time.Time {
	for i, n := range slices.Backward(u.j.Log) {
		undone := n.Outcome == outcomeSent && i+1 < len(u.j.Log) && u.j.Log[i+1].Outcome == outcomeRefused
		if n.Outcome != outcomeRefused && !undone {
			return n.At
		}
	}
	return u.j.Begun
}

func (u *undo) leave(format string, args ...any) {
	u.left = append(u.left, fmt.Sprintf(format, args...))
}

// where is how people find the application.
func (u *undo) where() string {
	text := "the application “" + u.j.AppName + "”"
	if id := u.j.Application.AppID; id != "" {
		text += " (client id " + id + ")"
		if link := u.r.o.Cloud.AppOverview(id); link != "" {
			text += ", " + link
		}
	}
	return text
}

// application deletes what the run created: the application, with it the service
// principal and its permissions; then both from the deleted items.
func (u *undo) application(ctx context.Context) task.Result {
	note := &u.j.Application
	if note.ObjectID == "" && !note.Sent {
		return task.Result{Status: task.Pass, Finding: "none was created"}
	}
	if note.ObjectID == "" {
		found, err := u.find(ctx, true)
		if err != nil {
			u.leave("perhaps %s with the tag %s", u.where(), tagRun(u.j.Run))
			return failed(err)
		}
		if !found {
			return task.Result{Status: task.Pass, Finding: "none was created"}
		}
	}
	g := u.admin.Graph
	if !note.Deleted {
		u.learnPrincipal(u.settled(ctx))
		err := u.remove(ctx, removal{step: stepApplication, what: "delete the application", done: &note.Deleted,
			send: func(ctx context.Context) error { return g.DeleteApplication(ctx, note.ObjectID) }})
		if err != nil {
			u.leave("%s", u.where())
			return failed(err)
		}
	}
	// The service principal first: with its application gone for good it may vanish
	// by itself, and would be waited for in vain.
	err := u.buryPrincipal(ctx)
	if e := u.purgeDeleted(ctx, "application", note.ObjectID, &note.purgeNote, func(ctx context.Context) error {
		_, err := g.Application(ctx, note.ObjectID)
		return err
	}); err == nil {
		err = e
	}
	switch {
	case err != nil:
		return failed(err)
	case len(u.left) > 0:
		return task.Result{Status: task.Pass, Finding: "deleted; it stays in the deleted items"}
	}
	return task.Result{Status: task.Pass, Finding: "removed, also from the deleted items"}
}

// buryPrincipal removes the run's service principal from the deleted items.
func (u *undo) buryPrincipal(ctx context.Context) error {
	note, g := &u.j.Principal, u.admin.Graph
	if note.Sent && note.ObjectID == "" {
		_, err := u.r.search(ctx, "Looking for the service principal among the deleted items", u.last(), func() (bool, error) {
			list, err := g.DeletedServicePrincipals(ctx)
			for _, sp := range list {
				if strings.EqualFold(sp.AppID, u.j.Application.AppID) {
					note.ObjectID, u.dirty = sp.ObjectID, true
				}
			}
			return note.ObjectID != "", err
		})
		switch {
		case denied(err), err == nil && note.ObjectID == "" && u.lags():
			u.leave("perhaps the service principal of “%s” in the deleted items, which Entra ID empties after 30 days", u.j.AppName)
		case err != nil:
			u.leave("perhaps the service principal of “%s” in the deleted items", u.j.AppName)
			return err
		}
	}
	return u.purgeDeleted(ctx, "service principal", note.ObjectID, &note.purgeNote, func(ctx context.Context) error {
		_, err := g.ServicePrincipal(ctx, u.j.Application.AppID)
		return err
	})
}

// purgeDeleted removes something from the deleted items. What the sign-in may not
// remove is left, as it goes by itself. live reads it where it was before.
func (u *undo) purgeDeleted(ctx context.Context, what, id string, note *purgeNote, live func(context.Context) error) error {
	if id == "" || note.Purged {
		return nil
	}
	err := u.remove(ctx, removal{step: stepApplication, what: "remove the deleted " + what + " for good", sent: &note.PurgeSent, done: &note.Purged, live: live,
		send: func(ctx context.Context) error { return u.admin.Graph.PurgeDeleted(ctx, id) }})
	switch {
	case denied(err):
		u.leave("the %s of “%s” (object id %s) in the deleted items, which Entra ID empties after 30 days", what, u.j.AppName, id)
		return nil
	case err != nil:
		u.leave("the %s of “%s” (object id %s), perhaps in the deleted items", what, u.j.AppName, id)
	}
	return err
}

// learnPrincipal finds out the id of a service principal whose creation was not
// answered. Asking for it again tells, whichever replica answers; it is deleted in
// a moment. That it fails is no harm: without the application it is of no use.
func (u *undo) learnPrincipal(ctx context.Context) {
	if u.j.Principal.Sent && u.j.Principal.ObjectID == "" {
		if sp, err := u.admin.Graph.CreateServicePrincipal(ctx, u.j.Application.AppID, principalTags()); err == nil {
			u.j.Principal.ObjectID = sp.ObjectID
		}
	}
}

// permissions takes back what the run granted to an application that was there
// before, and the service principal if the run made it.
func (u *undo) permissions(ctx context.Context) task.Result {
	g, fresh := u.admin.Graph, u.settled(ctx)
	if u.j.Principal.Sent {
		u.learnPrincipal(fresh)
		id := u.j.Principal.ObjectID
		if id == "" {
			u.leave("perhaps a service principal of %s", u.where())
			return failed(errors.New("whether the service principal was made could not be found out"))
		}
		if !u.j.Principal.Deleted {
			err := u.remove(ctx, removal{step: stepPrincipal, what: "delete the service principal", done: &u.j.Principal.Deleted,
				send: func(ctx context.Context) error { return g.DeleteServicePrincipal(ctx, id) }})
			if err != nil {
				u.leave("the service principal %s of %s", id, u.where())
				return failed(err)
			}
		}
		if err := u.buryPrincipal(ctx); err != nil {
			return failed(err)
		}
		return task.Result{Status: task.Pass, Finding: "the service principal is removed"}
	}
	if len(u.j.Assigned) == 0 {
		return task.Result{Status: task.Pass, Finding: "none were granted"}
	}
	var ours []graph.Assignment
	_, err := u.r.search(ctx, "Reading which permissions were granted", u.last(), func() (bool, error) {
		have, err := g.Assignments(fresh, u.j.Principal.ObjectID)
		if err != nil {
			return false, err
		}
		ours = nil
		for _, a := range have {
			if slices.ContainsFunc(u.j.Assigned, func(n assignedNote) bool {
				return strings.EqualFold(n.ResourceID, a.ResourceID) && strings.EqualFold(n.RoleID, a.RoleID)
			}) {
				ours = append(ours, a)
			}
		}
		return len(ours) == len(u.j.Assigned), nil
	})
	if notFound(err) {
		return task.Result{Status: task.Pass, Finding: "the service principal is gone"}
	}
	for _, a := range ours {
		if err == nil {
			err = u.change(stepConsent, "take a permission back", nil, func() error { return g.Unassign(graph.Fresh(ctx, 0), u.j.Principal.ObjectID, a.ID) }, nil)
		}
	}
	if err != nil {
		u.leave("permissions that c2conn granted to %s", u.where())
		return failed(err)
	}
	return task.Result{Status: task.Pass, Finding: count(len(ours), "permission") + " taken back"}
}

// credential removes the run's certificate or client secret, and what it had the
// application ask for, from an application that was there before.
func (u *undo) credential(ctx context.Context) task.Result {
	err := u.credentialOnly(ctx)
	if err == nil {
		err = u.requirements(ctx)
	}
	if err != nil && !notFound(err) { // without the application nothing is left to remove
		u.leave("the credential that c2conn added to %s", u.where())
		return failed(err)
	}
	return task.Result{Status: task.Pass, Finding: "removed; the others stay"}
}

func (u *undo) credentialOnly(ctx context.Context) error {
	if u.j.Secret.Sent || u.j.Secret.ID != "" {
		return u.removeSecrets(ctx)
	}
	if !u.j.Key.Sent {
		return nil
	}
	ours := func(k graph.Key) bool {
		return slices.ContainsFunc(append(slices.Clone(u.j.Key.Old), u.j.Key.Thumbprint), func(t certs.Thumbprint) bool { return t != "" && sameKey(k, t, nil) })
	}
	seen, err := u.r.search(ctx, "Reading the certificates of the application", u.last(), func() (bool, error) {
		app, err := u.admin.Graph.Application(ctx, u.j.Application.ObjectID)
		return slices.ContainsFunc(app.Keys, ours), err
	})
	if err != nil || !seen {
		return err
	}
	return u.setKeys(ctx, func(keys []graph.Key) []graph.Key { return slices.DeleteFunc(slices.Clone(keys), ours) })
}

// requirements takes out of the application's list what the run put in.
func (u *undo) requirements(ctx context.Context) error {
	if len(u.j.Required) == 0 {
		return nil
	}
	added := func(app graph.Application) bool {
		return !slices.ContainsFunc(u.j.Required, func(n assignedNote) bool { return !asks(app.Required, n.ResourceID, n.RoleID) })
	}
	var app graph.Application
	seen, err := u.r.search(ctx, "Reading which permissions the application asks for", u.last(), func() (_ bool, err error) {
		app, err = u.admin.Graph.Application(ctx, u.j.Application.ObjectID)
		return added(app), err
	})
	if err != nil || !seen {
		return err
	}
	var rest []graph.ResourceAccess
	for _, r := range app.Required {
		r.Roles = slices.DeleteFunc(slices.Clone(r.Roles), func(id string) bool {
			return slices.Contains(u.j.Required, assignedNote{ResourceID: r.ResourceAppID, RoleID: id})
		})
		if len(r.Roles)+len(r.Scopes) > 0 {
			rest = append(rest, r)
		}
	}
	return u.change(stepApplication, "ask for the permissions of before", nil, func() error { return u.admin.Graph.SetRequired(ctx, app.ObjectID, rest) }, nil)
}

// local removes what is on this computer, the journal last.
func (u *undo) local(ctx context.Context) task.Result {
	err := u.flush("removed from the tenant")
	if err == nil {
		err = u.r.dropLocal(ctx, u.j)
	}
	if err == nil {
		err = u.r.forget(u.j.Run)
	}
	if err != nil {
		u.leave("the credential of the registration on this computer")
		return failed(err)
	}
	finding := "removed"
	if u.j.Key.Stays {
		finding = "your own certificate stays"
	}
	return task.Result{Status: task.Pass, Finding: finding}
}
