package registration

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/graph"
	"github.com/c2conn/c2conn/internal/task"
)

// The steps of a rotation, ids of its tasks.
const (
	stepNewKey = "key"
	stepAdd    = "add"
	stepWorks  = "ready"
	stepVerify = "verify"
	stepSwitch = "switch"
	stepRemove = "remove"
)

// RotationSteps lists the tasks of Rotate before they run, in order.
func RotationSteps() []task.Task {
	return []task.Task{
		{ID: stepNewKey, Title: "New credential"},
		{ID: stepAdd, Title: "Add to the application", Needs: []string{stepNewKey}},
		{ID: stepWorks, Title: "Sign-in with the new one", Needs: []string{stepAdd}},
		{ID: stepVerify, Title: "Checks with the new one", Needs: []string{stepWorks}},
		{ID: stepSwitch, Title: "Saved connections", Needs: []string{stepVerify}},
		{ID: stepRemove, Title: "Old credential", Needs: []string{stepSwitch}},
	}
}

// RotateWish is what somebody wants to have rotated.
type RotateWish struct {
	Connection connections.Connection
	Current    entra.Credential // what it signs in with; may be empty where that is lost and an administrator is at hand
	Own        *certs.Identity  // the user's own new certificate; nil: one is made
	Valid      certs.Validity   // of a new credential; zero: five years, of a secret two
	Longest    bool             // where a policy forbids Valid: take what it allows
	Grace      time.Duration    // how long the old credential stays in the application; 0: it goes in the same run
	Base       entra.AppOptions // cloud, HTTP client and clock of the application's sign-in

	// Check judges the connection as it will be, with the new credential, before
	// anything is switched; a failure ends the rotation. It may fill in what it learns.
	// nil means no checks.
	Check func(ctx context.Context, c *connections.Connection, with entra.Credential) task.Result
}

// Rotated is what a rotation has led to.
type Rotated struct {
	Run        string                 `json:"run"`
	State      string                 `json:"state"` // RotationBegun, RotationWaiting or "done"
	Connection connections.Connection `json:"connection"`
	Switched   []string               `json:"switched"` // connections that use the new credential
	Itself     bool                   `json:"own_proof"`
	Account    string                 `json:"account,omitempty"` // of the administrator
	Due        time.Time              `json:"due,omitzero"`      // when the old credential is to be removed
	Notes      []string               `json:"notes"`
	Results    []task.Result          `json:"-"`
}

// RotationDone is the State of a Rotated of which nothing is left to do.
const RotationDone = "done"

// rotating is a rotation while it is worked on.
type rotating struct {
	*work
	common   *Registrar // of registrations: its lock of the tenant is the common one
	rotate   RotateWish
	note     *rotationNote
	itself   bool // the application acts for itself, with proofs
	readable bool // by may read the application
	conn     connections.Connection
	switched []string
	notes    []string
	done     bool // nothing is left to do
}

// Rotate gives the application of a connection a new credential beside the old one,
// waits until it works, switches the saved connections of this store that use the old
// one, and removes that after the grace. by is an administrator, or the application
// itself: then it proves that it has the key of the old certificate, which takes no
// permission. Whatever happens, the connection keeps a credential that works.
//
// A rotation of the same credential that broke off is gone on with: its stored key is
// used again. One whose old credential waits for its removal is finished first.
//
// Errors: *advice.OwnProofError where the application cannot do it for itself,
// *advice.RotationPendingError, *advice.RotationBusyError, *advice.RegistrationGoneError,
// *advice.PolicyLifetimeError, *advice.SecretsForbiddenError, *advice.ReplicationError
// (going on later helps), *entra.WrongTokenError, *graph.Error, ErrJournal, those of
// the stores and of Check.
func (r *Registrar) Rotate(ctx context.Context, by Admin, wish RotateWish, listen func(task.Event)) (*Rotated, error) {
	c := wish.Connection
	if c.Location != connections.Online || c.Registration.ClientID == "" {
		return nil, fmt.Errorf("%s has no application in Entra ID, so there is nothing to rotate", c.Name)
	}
	if c.Tenant.ID == "" {
		c.Tenant.ID, wish.Connection.Tenant.ID = by.Claims.TenantID, by.Claims.TenantID
	}
	if err := expect(by, c.Tenant.ID); err != nil {
		return nil, err
	}
	apart := r.apart()
	if err := r.folder(); err != nil {
		return nil, err
	}
	unlock, err := apart.alone(c.Registration.ClientID)
	if err != nil {
		return nil, err
	}
	defer unlock()
	j, done, err := r.earlier(ctx, apart, by, wish)
	if done != nil || err != nil {
		return done, err
	}
	w, err := r.begin(ctx, apart, by, wish, j)
	if err != nil {
		return nil, err
	}
	return w.carry(ctx, listen)
}

// earlier looks for rotations of the connection that were begun before: it answers the
// one to go on with, or what finishing the last one has led to.
func (r *Registrar) earlier(ctx context.Context, apart *Registrar, by Admin, wish RotateWish) (resume *journal, done *Rotated, err error) {
	list, err := apart.rotationsOf(wish.Connection.Tenant.ID, wish.Connection.Registration.ClientID)
	if err != nil {
		return nil, nil, err
	}
	for _, j := range list {
		n := j.Rotation
		has := j.signsIn(wish.Connection.Credential)
		switch {
		case !j.Touched:
			if err := apart.dropRotation(ctx, j); err != nil {
				return nil, nil, err
			}
		case n.Switched.IsZero() && (has || sameCredential(n.Old, wish.Connection.Credential)):
			resume = j
		case n.Switched.IsZero() || !has:
			// It is about another credential of the application.
		case n.Grace > 0 && r.o.Clock.Now().Before(n.due()):
			return nil, nil, &advice.RotationPendingError{Connection: wish.Connection.Name, Due: n.due()}
		default:
			out, err := r.finish(ctx, apart, by, j, nil)
			if err != nil || n.Grace == 0 { // a run that was to remove it at once broke off
				return nil, out, err
			}
		}
	}
	return resume, nil, nil
}

// begin prepares a rotation, or j to be gone on with. Nothing in the tenant changes.
func (r *Registrar) begin(ctx context.Context, apart *Registrar, by Admin, wish RotateWish, j *journal) (*rotating, error) {
	c := wish.Connection
	w := &rotating{common: r, rotate: wish, conn: c, work: &work{
		r: apart, admin: by, base: wish.Base, j: j, ctx: ctx,
		wish: Wish{Kind: c.Kind, Set: Set(c.Registration.Permissions), Cloud: wish.Base.Cloud, Connection: c.Name, Type: c.Credential.Type, Own: wish.Own, Valid: wish.Valid, Longest: wish.Longest},
	}}
	w.itself = by.Claims.App && strings.EqualFold(by.Claims.AppID, c.Registration.ClientID)
	if w.wish.secret() {
		w.wish.Own = nil
	}
	app, err := w.look(ctx)
	if err != nil {
		return nil, err
	}
	if j == nil {
		run, err := r.newRun()
		if err != nil {
			return nil, err
		}
		old := c.Credential
		if id := wish.Current.Identity; id != nil {
			old.Thumbprint, old.ThumbprintSHA256 = string(id.Thumbprint()), string(id.ThumbprintSHA256())
		}
		if w.readable {
			old.KeyID = cmp.Or(oldKeyID(app, old, wish.Current), old.KeyID)
		}
		w.j = &journal{
			Schema: journalSchema, Run: run, Begun: r.o.Clock.Now().UTC(), Cloud: wish.Base.Cloud.Name, Tenant: c.Tenant, Account: account(by, graph.User{}),
			Kind: c.Kind, Set: w.wish.Set, AppName: cmp.Or(c.Registration.AppName, app.DisplayName), Connection: c.Name, Type: c.Credential.Type, Action: ActionUse,
			Application: applicationNote{ObjectID: app.ObjectID, AppID: c.Registration.ClientID},
			Rotation:    &rotationNote{Old: old, OldMade: madeHere(c, wish.Current.Identity), Connections: []string{c.Name}, Grace: wish.Grace},
		}
		if w.itself && w.j.Rotation.Old.KeyID == "" {
			return nil, &advice.OwnProofError{Connection: c.Name, Reason: advice.ProofIDsUnknown}
		}
	} else if own := wish.Own; own != nil && !strings.EqualFold(string(own.Thumbprint()), string(j.Key.Thumbprint)) {
		return nil, &advice.RotationPendingError{Connection: c.Name, Other: string(j.Key.Thumbprint)}
	}
	w.note = w.j.Rotation
	w.plan = Plan{
		Run: w.j.Run, Kind: w.j.Kind, Action: ActionUse, AppName: w.j.AppName, Tenant: w.j.Tenant, Account: w.j.Account,
		Credential: PlannedCredential{Type: w.j.Type, valid: w.wish.validity(), own: w.wish.Own},
		Existing:   &PlannedApplication{ObjectID: w.j.Application.ObjectID, AppID: w.j.Application.AppID},
	}
	return w, nil
}

// look reads the application as far as whoever rotates may. An application may not
// read itself without a permission: then its object id must be known.
func (w *rotating) look(ctx context.Context) (graph.Application, error) {
	c := w.conn
	if w.itself && w.rotate.Current.Identity == nil {
		return graph.Application{}, &advice.OwnProofError{Connection: c.Name, Reason: advice.ProofBySecret}
	}
	app, err := w.admin.Graph.ApplicationByAppID(ctx, c.Registration.ClientID)
	switch {
	case err == nil:
		w.readable = true
		w.adopt(app)
		return app, nil
	case ctx.Err() != nil:
		return app, context.Cause(ctx)
	case !w.itself && notFound(err):
		return app, gone(ctx, w.admin.Graph, c, c.Tenant)
	case !w.itself || !denied(err):
		return app, err
	case c.Registration.ApplicationID == "":
		return app, &advice.OwnProofError{Connection: c.Name, Reason: advice.ProofIDsUnknown}
	}
	app = graph.Application{ObjectID: c.Registration.ApplicationID, AppID: c.Registration.ClientID, DisplayName: c.Registration.AppName}
	w.app = app
	return app, nil
}

// adopt notes the application; unlike a registration's it has its ids already.
func (w *rotating) adopt(app graph.Application) { w.app = app }

// oldKeyID finds the old credential among those of the application. Of client secrets
// the directory shows the first characters and the end only: it has to be the one
// that both fit.
func oldKeyID(app graph.Application, old connections.Credential, current entra.Credential) string {
	if old.Type == connections.TypeCertificate {
		if current.Identity != nil {
			return keyID(app.Keys, current.Identity)
		}
		for _, k := range app.Keys {
			if old.Thumbprint != "" && sameKey(k, certs.Thumbprint(strings.ToUpper(old.Thumbprint)), nil) {
				return k.ID
			}
		}
		return ""
	}
	if slices.ContainsFunc(app.Secrets, func(s graph.Password) bool { return old.KeyID != "" && strings.EqualFold(s.ID, old.KeyID) }) {
		return old.KeyID
	}
	value := string(current.Secret.Reveal())
	var fits []string
	for _, s := range app.Secrets {
		near := old.NotAfter.IsZero() || s.End.Sub(old.NotAfter).Abs() < endTolerance
		if near && s.Hint != "" && strings.HasPrefix(value, s.Hint) {
			fits = append(fits, s.ID)
		}
	}
	if len(fits) == 1 {
		return fits[0]
	}
	return ""
}

// carry runs the tasks and sums up.
func (w *rotating) carry(ctx context.Context, listen func(task.Event)) (*Rotated, error) {
	inner, cancel := context.WithCancel(ctx)
	defer func() {
		cancel()
		w.background.Wait()
		w.release()
	}()
	w.ctx = inner
	steps := RotationSteps()
	if w.rotate.Check == nil {
		w.rotate.Check = func(context.Context, *connections.Connection, entra.Credential) task.Result {
			return task.Result{Status: task.Skip, Finding: "not asked for"}
		}
		steps[4].Needs, steps[4].After = []string{stepWorks}, []string{stepVerify} // skipped, yet it comes first
	}
	for i, run := range []func(context.Context) task.Result{w.doKey, w.doAdd, w.doWorks, w.doVerify, w.doSwitch, w.doRemove} {
		steps[i].Run = func(ctx context.Context) task.Result { return w.told(steps[i].ID, run(ctx)) }
	}
	results := task.Run(ctx, w.r.o.Clock.Now, steps, listen)
	err := context.Cause(ctx)
	for _, t := range results {
		if err == nil && t.Status == task.Fail {
			err = t.Err
		}
	}
	if e := w.flush("end"); err == nil {
		err = e
	}
	if err != nil && !w.j.Touched {
		if e := w.r.dropRotation(context.WithoutCancel(ctx), w.j); e != nil {
			err = errors.Join(err, e)
		}
	}
	out := w.outcome(results)
	if err != nil && !w.note.Switched.IsZero() && ctx.Err() == nil {
		// The connection works with the new one: what is left is the old one's removal.
		return out, &advice.RotationLeftError{Connection: w.conn.Name, Err: err}
	}
	return out, err
}

func (w *rotating) outcome(results []task.Result) *Rotated {
	out := &Rotated{
		Run: w.j.Run, State: RotationBegun, Connection: w.conn, Switched: slices.Clone(w.switched), Itself: w.itself, Notes: slices.Clone(w.notes), Results: results,
	}
	if !w.itself {
		out.Account = w.j.Account
	}
	if !w.note.Switched.IsZero() {
		out.State, out.Due = RotationWaiting, w.note.due()
	}
	if w.done {
		out.State, out.Due = RotationDone, time.Time{}
	}
	if out.Switched == nil {
		out.Switched = []string{}
	}
	if out.Notes == nil {
		out.Notes = []string{}
	}
	return out
}

// told adds the advice for an error, in the words of a rotation.
func (w *rotating) told(step string, res task.Result) task.Result {
	if own := altered(res.Err); own != nil {
		res.Err, res.Finding = own, advice.Short(own, w.facts(step, res.Status))
	}
	if w.itself && denied(res.Err) {
		res.Err = &advice.OwnProofError{Connection: w.conn.Name, Reason: advice.ProofRefused, Err: res.Err}
	}
	if errors.As(res.Err, new(*advice.OwnProofError)) {
		res.Finding = advice.Short(res.Err, w.facts(step, res.Status))
	}
	return w.advised(step, res)
}

// doWorks waits until the new credential signs in several times in a row: of several
// replicas one may know it before the others.
func (w *rotating) doWorks(ctx context.Context) task.Result {
	if err := w.prepareLogin(); err != nil {
		return failed(err)
	}
	const inARow = 3
	err := await(ctx, waiting{app: w.login, cloud: w.base.Cloud, also: []Resource{Graph}, calm: true, first: inARow, need: inARow, limit: w.r.o.Consistency, clock: w.r.o.Clock})
	if err != nil {
		return failed(err)
	}
	return task.Result{Status: task.Pass, Finding: fmt.Sprintf("works, %d times in a row", inARow)}
}

// doVerify has the connection checked as it will be.
func (w *rotating) doVerify(ctx context.Context) task.Result {
	c := w.conn
	w.apply(&c)
	res := w.rotate.Check(ctx, &c, w.credential())
	if res.Status != task.Fail {
		w.conn.Verification, w.conn.Tenant, w.conn.Endpoints, w.conn.AccountID, w.conn.Registration.ObjectID = c.Verification, c.Tenant, c.Endpoints, c.AccountID, c.Registration.ObjectID
	}
	return res
}

// credential is the new one, for signing in.
func (w *rotating) credential() entra.Credential {
	if w.wish.secret() {
		return entra.Credential{Secret: w.secret}
	}
	return entra.Credential{Identity: w.identity}
}

// saved is the new one, as connections have it.
func (w *rotating) saved() connections.Credential {
	if w.wish.secret() {
		return connections.Credential{Type: connections.TypeClientSecret, NotAfter: w.j.Secret.End, Secret: w.j.Secret.Ref, KeyID: w.j.Secret.ID}
	}
	k := w.j.Key
	return connections.Credential{Type: connections.TypeCertificate, Thumbprint: string(k.Thumbprint), ThumbprintSHA256: string(k.ThumbprintSHA256), NotAfter: k.NotAfter, Secret: k.Ref, KeyID: w.note.KeyID}
}

// apply gives a connection the new credential.
func (w *rotating) apply(c *connections.Connection) {
	c.Credential = w.saved()
	c.Registration.ApplicationID = w.j.Application.ObjectID
	c.Registration.AppName = cmp.Or(c.Registration.AppName, w.j.AppName)
}

// errSwitched means that a connection does not have the old credential any more.
var errSwitched = errors.New("it has another credential")

// doSwitch gives the new credential to all saved connections that have the old one.
// Not even Ctrl-C may come in between.
func (w *rotating) doSwitch(ctx context.Context) task.Result {
	ctx = context.WithoutCancel(ctx)
	entries, err := w.r.o.Store.List(ctx)
	if err != nil {
		return failed(err)
	}
	for _, e := range entries {
		c := e.Connection
		switch {
		case !uses(e, w.j.Tenant.ID, w.j.Application.AppID):
			continue
		case w.j.signsIn(c.Credential): // by a run that broke off
			w.switched = append(w.switched, c.Name)
			if c.ID == w.conn.ID {
				w.conn = c
			}
			continue
		case !sameCredential(c.Credential, w.note.Old):
			continue
		}
		w.r.reach("before switching a connection")
		now, err := w.r.o.Store.Update(ctx, c.ID, func(x *connections.Connection) error {
			if !sameCredential(x.Credential, w.note.Old) {
				return errSwitched
			}
			w.apply(x)
			if x.ID == w.conn.ID {
				x.Verification, x.Tenant, x.Endpoints = w.conn.Verification, w.conn.Tenant, w.conn.Endpoints
				x.AccountID, x.Registration.ObjectID = w.conn.AccountID, cmp.Or(w.conn.Registration.ObjectID, x.Registration.ObjectID)
			}
			return nil
		})
		switch {
		case errors.Is(err, errSwitched), errors.Is(err, connections.ErrNotFound):
			continue
		case err != nil:
			return failed(err)
		}
		w.r.reach("after switching a connection")
		w.switched = append(w.switched, now.Name)
		if now.ID == w.conn.ID {
			w.conn = now
		}
	}
	if len(w.switched) == 0 {
		return failed(&advice.RotationEditedError{Connection: w.conn.Name})
	}
	w.note.Switched, w.note.Connections, w.dirty = w.r.o.Clock.Now().UTC(), slices.Clone(w.switched), true
	w.note.Grace = w.rotate.Grace // what the last command says, should an earlier one have broken off
	if err := w.flush("the connections are switched"); err != nil {
		return failed(err)
	}
	return task.Result{Status: task.Pass, Finding: strings.Join(w.switched, ", ")}
}

// doRemove removes the old credential, or says when it is due.
func (w *rotating) doRemove(ctx context.Context) task.Result {
	if due := w.note.due(); w.r.o.Clock.Now().Before(due) {
		return task.Result{Status: task.Pass, Finding: "stays until " + due.Format("2006-01-02 15:04") + " UTC"}
	}
	return w.removeOld(ctx)
}
