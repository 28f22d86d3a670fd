package registration

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/graph"
	"github.com/c2conn/c2conn/internal/task"
)

// FinishRotation removes the old credential of a rotation whose connections are
// switched, from the application and from this computer; now also before it is due.
// by is an administrator or the application itself, as for Rotate: the new key proves.
//
// Errors: those of Rotate; *advice.RotationPendingError before the time.
func (r *Registrar) FinishRotation(ctx context.Context, by Admin, run string, now bool, listen func(task.Event)) (*Rotated, error) {
	apart := r.apart()
	j, unlock, err := apart.rotationAlone(run)
	if err != nil {
		return nil, err
	}
	defer unlock()
	switch {
	case j.Rotation.Switched.IsZero():
		return nil, fmt.Errorf("the rotation of %s broke off before the connections were switched; go on with it: c2conn rotate %s", j.Connection, advice.ShellWord(j.Connection))
	case !now && r.o.Clock.Now().Before(j.Rotation.due()):
		return nil, &advice.RotationPendingError{Connection: j.Connection, Due: j.Rotation.due()}
	}
	return r.finish(ctx, apart, by, j, listen)
}

// rotationAlone reads the journal of a rotation and keeps others from working on it.
func (r *Registrar) rotationAlone(run string) (*journal, func(), error) {
	j, err := readJournal(r.dir, run)
	if err != nil {
		return nil, nil, unknownRotation(run, err)
	}
	unlock, err := r.alone(j.Application.AppID)
	if err != nil {
		return nil, nil, err
	}
	if j, err = readJournal(r.dir, run); err != nil {
		unlock()
		return nil, nil, unknownRotation(run, err)
	}
	return j, unlock, nil
}

func unknownRotation(run string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no rotation %s that is under way: it was finished or taken back in the meantime", run)
	}
	return err
}

// rejoin makes the work of a rotation that is finished or taken back.
func (r *Registrar) rejoin(ctx context.Context, apart *Registrar, by Admin, j *journal) *rotating {
	w := &rotating{common: r, note: j.Rotation, work: &work{
		r: apart, admin: by, j: j, ctx: ctx, wish: Wish{Kind: j.Kind, Set: j.Set, Type: j.Type, Cloud: r.o.Cloud, Connection: j.Connection},
		base: entra.AppOptions{Cloud: r.o.Cloud},
	}}
	w.plan = Plan{Run: j.Run, Kind: j.Kind, Action: ActionUse, AppName: j.AppName, Tenant: j.Tenant, Account: account(by, graph.User{}), Credential: PlannedCredential{Type: j.Type}}
	w.itself = by.Claims.App && strings.EqualFold(by.Claims.AppID, j.Application.AppID)
	w.conn = connections.Connection{Name: j.Connection, Kind: j.Kind, Tenant: j.Tenant}
	w.switched = slices.Clone(j.Rotation.Connections)
	return w
}

// finish removes the old credential of a switched rotation.
func (r *Registrar) finish(ctx context.Context, apart *Registrar, by Admin, j *journal, listen func(task.Event)) (*Rotated, error) {
	if err := expect(by, j.Tenant.ID); err != nil {
		return nil, err
	}
	w := r.rejoin(ctx, apart, by, j)
	entries, err := r.o.Store.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if uses(e, j.Tenant.ID, j.Application.AppID) && j.signsIn(e.Connection.Credential) {
			w.conn = e.Connection
			break
		}
	}
	if w.itself {
		if j.Type != connections.TypeCertificate {
			return nil, &advice.OwnProofError{Connection: w.conn.Name, Reason: advice.ProofBySecret}
		}
		id, err := w.storedIdentity(ctx)
		if err != nil {
			return nil, err
		}
		w.identity = &id
	}
	steps := RotationSteps()[5:]
	steps[0].Needs = nil
	steps[0].Run = func(ctx context.Context) task.Result { return w.told(stepRemove, w.removeOld(ctx)) }
	results := task.Run(ctx, r.o.Clock.Now, steps, listen)
	if proof, ok := errors.AsType[*advice.OwnProofError](results[0].Err); ok {
		proof.Flags = "--finish"
	}
	if err = context.Cause(ctx); err == nil && results[0].Status == task.Fail {
		err = results[0].Err
	}
	if e := w.flush("end"); err == nil {
		err = e
	}
	return w.outcome(results), err
}

// removeOld removes the old credential: from the application, then from this
// computer, and the journal last.
func (w *rotating) removeOld(ctx context.Context) task.Result {
	entries, err := w.r.users(ctx)
	if err != nil {
		return failed(err)
	}
	var using []string
	for _, e := range entries {
		if e.Err != nil {
			return failed(fmt.Errorf("%w, so the old one stays: %w", errUses, e.Err))
		}
		if uses(e, w.j.Tenant.ID, w.j.Application.AppID) && sameCredential(e.Connection.Credential, w.note.Old) {
			using = append(using, e.Connection.Name)
		}
	}
	if len(using) > 0 {
		return failed(&advice.RotationInUseError{Connection: w.conn.Name, Using: using})
	}
	unlock, _, err := w.common.lockTenant(ctx, w.j.Tenant.ID)
	if err != nil {
		return failed(err)
	}
	defer unlock()
	finding, err := w.removeFromApplication(ctx)
	if err == nil {
		w.r.reach("before removing the old key")
		err = w.removeFromComputer(ctx)
	}
	if err == nil {
		w.r.reach("before removing the journal")
		err = w.forgotten()
	}
	if err != nil {
		return failed(err)
	}
	if finding != "" {
		return task.Result{Status: task.Warn, Finding: "stays in the application", Details: []string{finding}}
	}
	return task.Result{Status: task.Pass, Finding: "removed"}
}

// forgotten ends a rotation: the profiles are the record from now on.
func (w *rotating) forgotten() error {
	w.dirty = false
	if err := w.r.forget(w.j.Run); err != nil {
		return err
	}
	w.done = true
	return nil
}

// removeFromApplication takes the old credential out of the application. It answers
// what has to be done by hand where that credential cannot be told from others.
func (w *rotating) removeFromApplication(ctx context.Context) (byHand string, err error) {
	old, objectID := w.note.Old, w.j.Application.ObjectID
	pages := w.r.o.Cloud.AppCredentials(w.j.Application.AppID)
	switch {
	case w.wish.secret() && old.KeyID == "":
		byHand = "Which of the application's client secrets is the old one cannot be told. Remove it on the page Certificates & secrets"
		if !old.NotAfter.IsZero() {
			byHand += "; it ends on " + old.NotAfter.UTC().Format("2006-01-02")
		}
		if pages != "" {
			byHand += ": " + pages
		}
		w.notes = append(w.notes, byHand)
		return byHand, nil
	case w.wish.secret():
		return "", w.change(stepRemove, "remove the old client secret", nil, func() error { return w.admin.Graph.RemovePassword(w.replicated(ctx), objectID, old.KeyID) }, nil)
	case w.itself && old.KeyID == "":
		return "", &advice.OwnProofError{Connection: w.conn.Name, Reason: advice.ProofIDsUnknown}
	case w.itself:
		return "", w.change(stepRemove, "remove the old certificate", nil, func() error {
			return w.prove(ctx, w.identity, w.note.Switched, func(proof connections.Secret) error {
				return w.admin.Graph.RemoveKey(w.replicated(ctx), objectID, old.KeyID, proof)
			})
		}, nil)
	}
	return "", w.setKeys(ctx, func(keys []graph.Key) []graph.Key {
		return slices.DeleteFunc(slices.Clone(keys), func(k graph.Key) bool {
			return old.Thumbprint != "" && sameKey(k, certs.Thumbprint(strings.ToUpper(old.Thumbprint)), nil) || old.KeyID != "" && strings.EqualFold(k.ID, old.KeyID)
		})
	})
}

// removeFromComputer removes the old credential from the stores of this computer,
// unless somebody brought it along or uses it otherwise.
func (w *rotating) removeFromComputer(ctx context.Context) error {
	old := w.note.Old
	say := func(format string, args ...any) { w.notes = append(w.notes, fmt.Sprintf(format, args...)) }
	switch old.Secret.Scheme() {
	case connections.SchemeFile, connections.SchemeEnv, connections.SchemeExec:
		say("The old credential in %s is of no use any more: what provides it can be removed.", sourceOf(old.Secret))
		return nil
	}
	if w.wish.secret() {
		return w.r.o.Store.Release(ctx, connections.Connection{Credential: old})
	}
	t, err := certs.ParseThumbprint(old.Thumbprint)
	if err != nil {
		return nil // the connection did not say which it was
	}
	if _, err := w.r.o.Personal.Find(ctx, t); err != nil {
		if errors.Is(err, certs.ErrNotFound) {
			return nil
		}
		return err
	}
	if !w.note.OldMade {
		say("Your certificate %s stays in the personal store; c2conn cert delete %s removes it there.", t, t)
		return nil
	}
	used, err := w.usedElsewhere(ctx, t)
	if err != nil {
		return err
	}
	if used != "" {
		say("The certificate %s stays in the personal store: %s uses it.", t, used)
		return nil
	}
	if err := w.r.o.Personal.Delete(ctx, t); err != nil && !errors.Is(err, certs.ErrNotFound) {
		return err
	}
	w.r.reach("after removing the old key")
	return nil
}

// sourceOf names where a credential comes from without what a command may hold.
func sourceOf(r connections.Ref) string {
	switch r.Scheme() {
	case connections.SchemeFile:
		return "the file " + r.Value()
	case connections.SchemeEnv:
		return "the variable " + r.Value()
	}
	return "what the command prints"
}

// usedElsewhere names a connection or a rotation that uses a certificate.
func (w *rotating) usedElsewhere(ctx context.Context, t certs.Thumbprint) (string, error) {
	entries, err := w.r.users(ctx)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		if e.Err != nil {
			return "", fmt.Errorf("%w: %w", errUses, e.Err)
		}
		if names(e.Connection.Credential, t) {
			return e.Connection.Name, nil
		}
	}
	for _, dir := range []string{w.r.dir, w.common.dir} {
		list, err := runs(dir)
		if err != nil {
			return "", err
		}
		for _, run := range list {
			j, err := readJournal(dir, run)
			switch {
			case errors.Is(err, fs.ErrNotExist), err == nil && run == w.j.Run:
			case err != nil:
				return "", err
			case strings.EqualFold(string(j.Key.Thumbprint), string(t)) || j.Rotation != nil && strings.EqualFold(j.Rotation.Old.Thumbprint, string(t)):
				return "an unfinished run (" + run + ")", nil
			}
		}
	}
	return "", nil
}

// AbandonRotation takes a rotation back that broke off before the connections were
// switched: the new credential is removed from the application and from this computer.
// current is what the connections sign in with still; it proves where by is the
// application itself. One that never reached the tenant asks nobody.
//
// Errors: those of Rotate, and where a connection has the new credential already.
func (r *Registrar) AbandonRotation(ctx context.Context, by Admin, run string, current entra.Credential) error {
	apart := r.apart()
	j, unlock, err := apart.rotationAlone(run)
	if err != nil {
		return err
	}
	defer unlock()
	used, err := r.saved(ctx, j)
	switch {
	case err != nil:
		return err
	case used || !j.Rotation.Switched.IsZero():
		return &advice.RotationSwitchedError{Connection: j.Connection, Finishable: !j.Rotation.Switched.IsZero()}
	}
	if j.Touched {
		if err := r.takeBack(ctx, apart, by, j, current); err != nil {
			return err
		}
	}
	if err := apart.dropLocal(ctx, j); err != nil {
		return err
	}
	return apart.forget(run)
}

// takeBack removes the new credential from the application.
func (r *Registrar) takeBack(ctx context.Context, apart *Registrar, by Admin, j *journal, current entra.Credential) error {
	if err := expect(by, j.Tenant.ID); err != nil {
		return err
	}
	w := r.rejoin(ctx, apart, by, j)
	w.rotate.Current = current
	unlock, _, err := r.lockTenant(ctx, j.Tenant.ID)
	if err != nil {
		return err
	}
	defer unlock()
	switch {
	case w.wish.secret() && w.itself:
		err = &advice.OwnProofError{Connection: j.Connection, Reason: advice.ProofBySecret}
	case w.wish.secret() && (j.Secret.Sent || j.Secret.ID != ""):
		err = w.removeSecrets(w.replicated(ctx))
	case w.wish.secret() || !j.Key.Sent:
	case w.itself:
		if err = w.findAdded(ctx); err != nil || w.note.KeyID == "" {
			break
		}
		err = w.change(stepRemove, "remove the new certificate", nil, func() error {
			return w.prove(ctx, current.Identity, w.note.SentAt, func(proof connections.Secret) error {
				return w.admin.Graph.RemoveKey(w.replicated(ctx), j.Application.ObjectID, w.note.KeyID, proof)
			})
		}, nil)
	default:
		ours := append([]certs.Thumbprint{j.Key.Thumbprint}, j.Key.Old...)
		err = w.awaitAdded(ctx)
		if err == nil {
			err = w.setKeys(ctx, func(keys []graph.Key) []graph.Key {
				return slices.DeleteFunc(slices.Clone(keys), func(k graph.Key) bool {
					return slices.ContainsFunc(ours, func(t certs.Thumbprint) bool { return sameKey(k, t, nil) })
				})
			})
		}
	}
	if own := altered(err); own != nil {
		err = own
	}
	if proof, ok := errors.AsType[*advice.OwnProofError](err); ok {
		proof.Flags = "--abandon"
	}
	return err
}

// findAdded looks for the key id of a certificate that was perhaps added, which takes
// an application that may read itself. Without one afterwards none was added.
func (w *rotating) findAdded(ctx context.Context) error {
	if w.note.KeyID != "" {
		return nil
	}
	_, err := w.r.search(ctx, "Looking whether the certificate was added although no answer came", w.note.SentAt, func() (bool, error) {
		app, err := w.admin.Graph.Application(w.replicated(ctx), w.j.Application.ObjectID)
		for _, k := range app.Keys {
			if sameKey(k, w.j.Key.Thumbprint, nil) {
				w.note.KeyID = k.ID
			}
		}
		return w.note.KeyID != "", err
	})
	if denied(err) {
		err = &advice.OwnProofError{Connection: w.conn.Name, Reason: advice.ProofIDsUnknown, Err: err}
	}
	return err
}

// awaitAdded waits until the new certificate shows in the application, or must show:
// what is not there yet cannot be removed.
func (w *rotating) awaitAdded(ctx context.Context) error {
	since := w.note.SentAt
	for _, n := range slices.Backward(w.j.Log) {
		if n.Outcome != outcomeRefused {
			since = n.At
			break
		}
	}
	_, err := w.r.search(ctx, "Looking for the new certificate in the application", since, func() (bool, error) {
		app, err := w.admin.Graph.Application(w.replicated(ctx), w.j.Application.ObjectID)
		return slices.ContainsFunc(app.Keys, func(k graph.Key) bool { return sameKey(k, w.j.Key.Thumbprint, nil) }), err
	})
	return err
}
