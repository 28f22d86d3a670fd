package registration

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/graph"
	"github.com/c2conn/c2conn/internal/task"
)

// The steps of a registration, ids of its tasks.
const (
	stepKey         = "key"
	stepApplication = "application"
	stepPrincipal   = "service-principal"
	stepConsent     = "consent"
	stepReady       = "ready"
)

// Steps lists the tasks of Apply and Resume before they run, in order.
func Steps() []task.Task {
	return []task.Task{
		{ID: stepKey, Title: "Key pair"},
		{ID: stepApplication, Title: "Application", Needs: []string{stepKey}},
		{ID: stepPrincipal, Title: "Service principal", Needs: []string{stepApplication}},
		{ID: stepConsent, Title: "Admin consent", Needs: []string{stepPrincipal}},
		{ID: stepReady, Title: "Application sign-in", Needs: []string{stepConsent}},
	}
}

// Result is what a registration has led to.
type Result struct {
	RunID        string // names the run until Finish; empty when nothing of it is left
	Application  graph.Application
	PrincipalID  string // object id of the service principal
	Tenant       connections.Tenant
	Registration connections.Registration
	Credential   connections.Credential // with references, for the connection
	Identity     entra.Credential       // the same, for signing in
	App          *entra.App             // its tokens are fresh; nil unless there is an application
	Missing      []Permission           // that still need somebody's consent
	Ready        bool                   // the application can sign in and has all that was granted
	Results      []task.Result          // of Steps
	Err          error                  // why it is not ready, e.g. *advice.ReplicationError; it is registered all the same
}

// work is one run while it is worked on.
type work struct {
	r     *Registrar
	admin Admin
	wish  Wish
	plan  Plan
	base  entra.AppOptions
	j     *journal
	fresh bool // nothing was sent before, so nothing has to be looked for
	dirty bool // the journal on disk is behind

	key       *rsa.PrivateKey // of a new certificate
	identity  *certs.Identity
	secret    connections.Secret
	app       graph.Application
	principal graph.ServicePrincipal
	login     *entra.App
	granted   []Permission
	missing   []Permission
	ready     bool
	notReady  error

	ctx        context.Context // of the whole run, for what outlives a task
	background sync.WaitGroup
	unlock     func() // of the tenant
}

// Apply carries the plan out. base holds the cloud, the HTTP client and the clock
// with which the application then signs in. listen hears of every task (nil is
// allowed).
//
// Permissions that the account may not consent to are no error but in
// Result.Missing, and neither is a sign-in that does not work yet: Result.Err. An
// error means that the run has ended half-way. If it made anything, Result.RunID
// names it, for Resume or Rollback; else nothing is left, on this computer neither.
//
// Errors: *advice.PolicyLifetimeError, *advice.SecretsForbiddenError,
// *advice.RegistrationForbiddenError, *advice.QuotaError, *advice.NoResourceError,
// *advice.ExistsError, *advice.LostAnswerError; *advice.ReplicationError, after
// which nothing must be taken back; *graph.Error; those of the stores.
func (r *Registrar) Apply(ctx context.Context, admin Admin, wish Wish, plan Plan, base entra.AppOptions, listen func(task.Event)) (*Result, error) {
	if err := expect(admin, plan.Tenant.ID); err != nil {
		return nil, err
	}
	if plan.Run == "" {
		run, err := r.newRun()
		if err != nil {
			return nil, err
		}
		plan = plan.begun(run)
	}
	if err := r.hold(plan.Run); err != nil {
		return nil, err
	}
	switch _, err := readJournal(r.dir, plan.Run); {
	case err == nil:
		return r.Resume(ctx, admin, plan.Run, wish, plan, base, listen)
	case !errors.Is(err, fs.ErrNotExist):
		r.drop(plan.Run, false)
		return nil, err
	}
	wish.Type = plan.Credential.Type
	j := &journal{
		Schema: journalSchema, Run: plan.Run, Begun: r.o.Clock.Now().UTC(), Cloud: wish.Cloud.Name, Tenant: plan.Tenant, Account: plan.Account,
		Kind: plan.Kind, Set: wish.Set, AppName: plan.AppName, Connection: wish.Connection, Type: plan.Credential.Type, Action: plan.Action, UniqueName: plan.UniqueName,
	}
	j.use(plan)
	return r.carryOut(ctx, &work{r: r, admin: admin, wish: wish, plan: plan, base: base, j: j, fresh: true}, listen)
}

// use notes the application that the plan uses, if it uses one.
func (j *journal) use(p Plan) {
	j.Action, j.UniqueName = p.Action, p.UniqueName
	if e := p.Existing; e != nil {
		j.Application.ObjectID, j.Application.AppID, j.Principal.ObjectID = e.ObjectID, e.AppID, e.PrincipalID
	}
}

// Resume goes on with a run that ended half-way. What the tenant has of it already
// is found; the stored key is used again, or replaced where it is gone. wish and
// plan are made anew (MakePlan with the run's id); what the run has settled counts
// more. Result and errors are those of Apply, and *BusyError.
func (r *Registrar) Resume(ctx context.Context, admin Admin, run string, wish Wish, plan Plan, base entra.AppOptions, listen func(task.Event)) (*Result, error) {
	if err := r.hold(run); err != nil {
		return nil, err
	}
	j, err := readJournal(r.dir, run)
	if err == nil {
		err = expect(admin, j.Tenant.ID)
	}
	if err != nil {
		r.drop(run, false)
		return nil, unknownRunError(run, err)
	}
	j.RollingBack = false
	wish.Type, wish.Kind, wish.Set, wish.Connection = j.Type, j.Kind, j.Set, j.Connection
	if plan.Set != j.Set.Name() {
		// The plan is for other permissions than those that were agreed to.
		if plan, err = r.planAgain(ctx, admin, wish, run); err != nil {
			r.drop(run, false)
			return nil, err
		}
	}
	plan.Run, plan.Kind, plan.Action, plan.AppName, plan.Tenant, plan.Credential.Type = run, j.Kind, j.Action, j.AppName, j.Tenant, j.Type
	if j.Action == ActionUse && (plan.Existing == nil || plan.Existing.ObjectID != j.Application.ObjectID) {
		plan.Existing = &PlannedApplication{ObjectID: j.Application.ObjectID, AppID: j.Application.AppID, PrincipalID: j.Principal.ObjectID}
	}
	if j.Action == ActionCreate {
		plan.Existing = nil
	}
	plan.finish()
	return r.carryOut(ctx, &work{r: r, admin: admin, wish: wish, plan: plan, base: base, j: j}, listen)
}

func (r *Registrar) planAgain(ctx context.Context, admin Admin, wish Wish, run string) (Plan, error) {
	f, err := Look(ctx, admin, wish)
	if err != nil {
		return Plan{}, err
	}
	return MakePlan(wish, f, r.o.Clock.Now(), run)
}

func unknownRunError(run string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no unfinished registration %s: it was finished or removed in the meantime", run)
	}
	return err
}

// expect tells whether the administrator is signed in to the tenant.
func expect(admin Admin, tenant string) error {
	switch got := admin.Claims.TenantID; {
	case !isGUID(tenant):
		return errors.New("the plan was made without a sign-in; sign in and make it again")
	case got != "" && !strings.EqualFold(got, tenant):
		return &entra.WrongTokenError{Reason: entra.OtherTenant, Got: got, Want: tenant}
	}
	return nil
}

// carryOut runs the tasks and sums up.
func (r *Registrar) carryOut(ctx context.Context, w *work, listen func(task.Event)) (*Result, error) {
	inner, cancel := context.WithCancel(ctx)
	defer func() {
		cancel()
		w.background.Wait()
		w.release()
	}()
	w.ctx = inner
	steps := Steps()
	for i, run := range []func(context.Context) task.Result{w.doKey, w.doApplication, w.doPrincipal, w.doConsent, w.doReady} {
		steps[i].Run = func(ctx context.Context) task.Result { return w.advised(steps[i].ID, run(ctx)) }
	}
	res := w.result()
	res.Results = task.Run(ctx, r.o.Clock.Now, steps, listen)
	w.fill(res)
	err := context.Cause(ctx)
	for _, t := range res.Results {
		if err == nil && t.Status == task.Fail {
			err = t.Err
		}
	}
	if e := w.flush("end"); err == nil {
		err = e
	}
	if err == nil {
		return res, nil
	}
	res.Err = err
	if !w.j.Touched {
		clean := context.WithoutCancel(ctx) // also after Ctrl-C
		if e := r.dropLocal(clean, w.j); e != nil {
			err = errors.Join(err, e)
		} else if e := r.forget(w.j.Run); e != nil {
			err = errors.Join(err, e)
		}
		res.RunID = ""
	}
	r.drop(w.j.Run, false)
	return res, err
}

func (w *work) release() {
	if w.unlock != nil {
		w.unlock()
		w.unlock = nil
	}
}

func (w *work) result() *Result { return &Result{RunID: w.j.Run, Tenant: w.plan.Tenant} }

func (w *work) fill(res *Result) {
	res.Application, res.PrincipalID, res.App = w.app, w.j.Principal.ObjectID, w.login
	res.Registration = connections.Registration{
		Mode: connections.ModeAutomatic, ClientID: w.j.Application.AppID, ObjectID: w.j.Principal.ObjectID, ApplicationID: w.j.Application.ObjectID, AppName: w.plan.AppName, Catalogue: CatalogueVersion, Permissions: string(w.wish.Set),
	}
	if w.wish.secret() {
		res.Credential = connections.Credential{Type: connections.TypeClientSecret, NotAfter: w.j.Secret.End, Secret: w.j.Secret.Ref, KeyID: w.j.Secret.ID}
		res.Identity = entra.Credential{Secret: w.secret}
	} else {
		k := w.j.Key
		res.Credential = connections.Credential{
			Type: connections.TypeCertificate, Thumbprint: string(k.Thumbprint), ThumbprintSHA256: string(k.ThumbprintSHA256), NotAfter: k.NotAfter, Secret: k.Ref,
			KeyID: keyID(w.app.Keys, w.identity),
		}
		res.Identity = entra.Credential{Identity: w.identity}
	}
	res.Missing, res.Ready, res.Err = w.missing, w.ready, w.notReady
}

// change notes what is about to be sent, sends it, and notes what came of it. A
// success is written with the next note, a moment later: the disk is slow, and what
// was sent is found again without it. Where more than a moment passes, see flush.
func (w *work) change(step, what string, before func(*journal), send func() error, after func(*journal)) error {
	w.j.Touched = true
	if before != nil {
		before(w.j)
	}
	w.log(step, what, "sent", "")
	w.dirty = true
	if err := w.flush(what); err != nil {
		return err
	}
	err := send()
	outcome, detail := "done", ""
	switch {
	case lost(err):
		outcome, detail = "unknown", err.Error()
	case err != nil:
		outcome, detail = "refused", err.Error()
	case after != nil:
		after(w.j)
	}
	w.log(step, what, outcome, detail)
	w.dirty = true
	if err != nil {
		return errors.Join(err, w.flush(what+", "+outcome))
	}
	return nil
}

// flush writes the journal if it holds something new.
func (w *work) flush(why string) error {
	if !w.dirty {
		return nil
	}
	w.dirty = false
	return w.r.write(w.j, why)
}

func (w *work) log(step, what, outcome, detail string) {
	w.j.Log = append(w.j.Log, logNote{At: w.r.o.Clock.Now().UTC(), Step: step, Change: what, Outcome: outcome, Detail: detail})
}

// replicated says that the objects of this run may not have reached every replica.
func (w *work) replicated(ctx context.Context) context.Context {
	return graph.Fresh(ctx, w.r.o.Consistency)
}

func failed(err error) task.Result {
	return task.Result{Status: task.Fail, Finding: oneLine(err), Err: err}
}

// oneLine shortens an error to a finding; the advice says the rest.
func oneLine(err error) string {
	r := []rune(strings.Join(strings.Fields(err.Error()), " "))
	if len(r) <= 60 {
		return string(r)
	}
	return string(r[:59]) + "…"
}

// doPrincipal makes the service principal.
func (w *work) doPrincipal(ctx context.Context) task.Result {
	ctx = w.replicated(ctx)
	appID := w.j.Application.AppID
	if w.plan.Action == ActionUse && !w.j.Principal.Sent {
		sp, err := w.admin.Graph.ServicePrincipal(graph.Fresh(ctx, 0), appID)
		if err == nil {
			w.principal, w.j.Principal.ObjectID = sp, sp.ObjectID
			return task.Result{Status: task.Pass, Finding: "exists"}
		}
		if !notFound(err) {
			return failed(err)
		}
	}
	was := w.j.Principal
	err := w.change(stepPrincipal, "create the service principal", func(j *journal) { j.Principal = principalNote{Sent: true} },
		func() (err error) {
			w.principal, err = w.admin.Graph.CreateServicePrincipal(ctx, appID, principalTags())
			return err
		},
		func(j *journal) { j.Principal.ObjectID = w.principal.ObjectID })
	if err != nil {
		if !lost(err) { // none was made now
			w.j.Principal, w.dirty = was, true
		}
		return failed(w.refusal(ctx, "create the service principal", err))
	}
	return task.Result{Status: task.Pass, Finding: "object id " + w.principal.ObjectID}
}

// addServices adds the services of Microsoft to the tenant that it does not know
// yet, before anything else: what it has no licence for is refused. They are not
// taken back, so they do not count as made: others may rely on them from then on.
func (w *work) addServices(ctx context.Context) error {
	touched := w.j.Touched
	defer func() { w.j.Touched = touched }()
	for _, r := range w.plan.missingServices() {
		var sp graph.ServicePrincipal
		err := w.change(stepApplication, "add "+r.Title()+" to the tenant", nil, func() (err error) {
			sp, err = w.admin.Graph.CreateServicePrincipal(graph.Fresh(ctx, 0), r.AppID(), nil)
			return err
		}, nil)
		if err != nil {
			if ctx.Err() != nil || lost(err) {
				return err
			}
			return &advice.NoResourceError{Resource: r.Title(), Err: err}
		}
		for i := range w.plan.Permissions {
			if p := &w.plan.Permissions[i]; p.Resource == r {
				p.ResourceID = sp.ObjectID
				if role, ok := findRole(sp, p.Role); ok {
					p.ID = role.ID
				}
			}
		}
	}
	return nil
}

// advised adds to the result of a step the advice for its error. A warning ends
// nothing: the connection will be saved, so its name can be used.
func (w *work) advised(step string, res task.Result) task.Result {
	if res.Err == nil || res.Advice != nil {
		return res
	}
	res.Advice = advice.For(res.Err, w.facts(step, res.Status))
	return res
}

// facts are what advice needs to know of a step that ended so.
func (w *work) facts(step string, status task.Status) advice.Facts {
	f := advice.Facts{
		ClientID: w.j.Application.AppID, TenantID: w.plan.Tenant.ID, TenantDomain: w.plan.Tenant.Domain, Cloud: w.base.Cloud, Kind: w.plan.Kind,
		CredentialType: w.plan.Credential.Type, Thumbprint: string(w.j.Key.Thumbprint), Now: w.r.o.Clock.Now(),
	}
	if status == task.Warn {
		f.Connection, f.Registered = w.wish.Connection, true
	}
	if step != stepReady { // there the application signs in, elsewhere the administrator
		f.Admin, f.Login = w.plan.Account, "browser"
		if w.admin.Claims.App {
			f.Login = "app"
		}
	}
	return f
}

// doReady waits until the application can sign in and holds what was granted.
func (w *work) doReady(ctx context.Context) task.Result {
	if len(w.granted) == 0 {
		return task.Result{Status: task.Skip, Finding: "nothing was granted yet"}
	}
	// One success is enough while no replica has refused: what follows uses these
	// very tokens. After a refusal some replicas are known to lag behind.
	err := await(ctx, waiting{app: w.login, cloud: w.base.Cloud, wanted: w.granted, first: 1, need: 2, limit: w.r.o.Consistency, clock: w.r.o.Clock})
	if err != nil {
		if ctx.Err() == nil {
			w.notReady = err
		}
		return task.Result{Status: task.Warn, Finding: oneLine(err), Err: err}
	}
	w.ready = true
	var services []string
	for _, p := range w.granted {
		if t := p.Resource.Title(); !slices.Contains(services, t) {
			services = append(services, t)
		}
	}
	return task.Result{Status: task.Pass, Finding: "tokens for " + strings.Join(services, " and ")}
}
