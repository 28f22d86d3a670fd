package wizard

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/internal/verify"
	"github.com/c2conn/c2conn/registration"
)

// SignedIn is who has signed in, where, and what this account may do there.
type SignedIn struct {
	Account string // UPN, or the name of the application
	Tenant  connections.Tenant
	Roles   []string // directory roles, as Entra ID names them
	App     bool
	Notes   []string // what this account cannot do, in words
}

// auto is what a run with automatic registration keeps besides its answers. All
// copies of a Session share it.
type auto struct {
	mu         sync.Mutex
	admin      *registration.Admin
	findings   *registration.Findings
	wish       registration.Wish // as it was looked for
	run        string            // the registration that was begun
	configured bool              // Configure ran for a server before
	keys       chan keyOrError   // a key pair, made while the user is busy elsewhere

	registrar *registration.Registrar // holds the run
}

type keyOrError struct {
	key *rsa.PrivateKey
	err error
}

// shared returns the state of automatic registration.
func (s *Session) shared() *auto {
	if s.auto == nil {
		s.auto = &auto{}
	}
	return s.auto
}

// Automatic reports whether the answers ask for automatic registration.
func (s *Session) Automatic() bool {
	a := s.answersInForce()
	return a.Get(keyRegistration) == byAuto && a.Get(keyLocation) == string(connections.Online)
}

// Unfinished lists the registrations that an earlier run of c2conn began and did not
// end, of the kind of this flow. They can be resumed or rolled back.
func (s *Session) Unfinished(ctx context.Context) ([]registration.Unfinished, error) {
	all, err := s.registrar(cloud.Cloud{}).Unfinished(ctx)
	// A damaged journal has no kind: nothing can be gone on with, app cleanup names it.
	return slices.DeleteFunc(all, func(u registration.Unfinished) bool {
		return u.Kind != s.Flow.Kind || s.edit != nil && !strings.EqualFold(u.Connection, s.edit.was.Name)
	}), err
}

// Resume makes the session go on with an unfinished registration: Configure then
// finishes that one instead of beginning another.
func (s *Session) Resume(u registration.Unfinished) {
	set := func(key, text string) {
		if text != "" {
			s.Answers[key] = Value{Text: text, Origin: FromUser}
		}
	}
	set(keyRegistration, byAuto)
	set(keyLocation, string(connections.Online))
	set(keyCloud, u.Cloud)
	set(keyTenantID, u.Tenant.ID)
	set(keyAppName, u.AppName)
	if _, asks := s.Flow.Field(keyPermissions); asks {
		set(keyPermissions, u.Set.Name()) // what was begun counts
	}
	if u.CredentialType == connections.TypeClientSecret {
		set(keyNewCred, newSecret)
	}
	if u.Action == registration.ActionUse {
		set(keyIfExists, registration.ExistsUse)
		set(keyUseApp, u.AppID)
	}
	if !s.Answers.Has(keyName) {
		set(keyName, u.Connection)
	}
	s.shared().run = u.Run
}

// SignIn leads an administrator through the sign-in that the answers choose, and
// then reads, in one request, what has to be known of the tenant. show is told what
// the administrator has to do; it must not block. After an error the session is as
// before.
//
// Errors: those of entra.User and entra.App, *graph.Error; entra.WantsOtherWay tells
// whether the other way of signing in is worth offering.
func (s *Session) SignIn(ctx context.Context, show func(SignInPrompt)) error {
	s.makeKeyAhead()
	a := s.answersInForce()
	login, err := s.login(a)
	if err != nil {
		return err
	}
	admin, err := s.Env.Administrator(ctx, login, show)
	if err != nil {
		return err
	}
	st := s.shared()
	st.mu.Lock()
	st.admin, st.findings = admin, nil
	st.mu.Unlock()
	return s.Look(ctx)
}

// Look reads what has to be known of the tenant to make the plan, unless it is known
// for these answers already.
func (s *Session) Look(ctx context.Context) error {
	st := s.shared()
	a := s.answersInForce()
	wish, err := s.wish(a)
	if err != nil {
		return err
	}
	st.mu.Lock()
	admin, known := st.admin, st.findings != nil && st.wish.AppName == wish.AppName
	st.mu.Unlock()
	if admin == nil {
		return errors.New("nobody has signed in yet")
	}
	if known {
		return nil
	}
	found, err := registration.Look(ctx, *admin, wish)
	if err != nil {
		return err
	}
	st.mu.Lock()
	st.findings, st.wish = found, wish
	st.mu.Unlock()
	s.remember(found)
	return nil
}

// remember puts among the answers what conditions and defaults depend on.
func (s *Session) remember(found *registration.Findings) {
	set := func(key, text string) { s.Answers[key] = Value{Text: text, Origin: FromDefault} }
	set(foundMailbox, found.Me.Mail)
	count := [...]string{"none", "one", "several"}[min(len(found.Same), 2)]
	var ids []string
	for _, e := range found.Same {
		ids = append(ids, e.Application.AppID)
		set(foundApps+"."+e.Application.AppID, "registered "+e.Application.Created.UTC().Format(time.DateOnly))
	}
	set(foundSame, count)
	set(foundApps, strings.Join(ids, " "))
}

// SignedIn tells who has signed in; nil before.
func (s *Session) SignedIn() *SignedIn {
	st := s.shared()
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.admin == nil || st.findings == nil {
		return nil
	}
	c, f := st.admin.Claims, st.findings
	who := SignedIn{Account: cmp.Or(c.UPN, f.Me.UPN, c.Name, c.AppID), Tenant: f.Tenant, App: c.App, Notes: f.Notes}
	for _, r := range f.Roles {
		who.Roles = append(who.Roles, r.Name)
	}
	return &who
}

// SignOut forgets the administrator, so that another one can sign in.
func (s *Session) SignOut() {
	st := s.shared()
	st.mu.Lock()
	defer st.mu.Unlock()
	st.admin, st.findings = nil, nil
	delete(s.Answers, foundMailbox)
	delete(s.Answers, foundSame)
}

// Plan is what Configure will change in the tenant. Without anybody signed in it is
// made of what c2conn knows by itself.
func (s *Session) Plan() (registration.Plan, error) {
	st := s.shared()
	wish, err := s.wish(s.answersInForce())
	if err != nil {
		return registration.Plan{}, err
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	return registration.MakePlan(wish, st.findings, s.Env.Clock.Now(), st.run)
}

// wish is what the answers ask for.
func (s *Session) wish(a Answers) (registration.Wish, error) {
	cl, err := s.Env.Clouds.Find(a.Get(keyCloud))
	if err != nil {
		return registration.Wish{}, err
	}
	w := registration.Wish{
		Kind: s.Flow.Kind, Cloud: cl, AppName: a.Get(keyAppName), Connection: a.Get(keyName),
		Type: connections.TypeCertificate, IfExists: a.Get(keyIfExists), Use: a.Get(keyUseApp), Set: registration.Set(s.asked(a).Registration.Permissions),
	}
	if w.Use != "" && !s.Answers.Has(keyIfExists) {
		w.IfExists = registration.ExistsUse
	}
	if w.Use != "" && w.IfExists != registration.ExistsUse {
		return w, problem(s, keyUseApp, errors.New("it goes with --if-exists use only"))
	}
	switch a.Get(keyNewCred) {
	case newSecret:
		w.Type = connections.TypeClientSecret
	case ownFile:
		id, err := identityFromFile(s.Env, a)
		if err != nil {
			return w, problem(s, certificateKey(err), err)
		}
		w.Own = &id
	}
	if w.Own == nil {
		days, err := strconv.Atoi(a.Get(keyCertDays))
		w.Longest = err != nil
		switch {
		case w.Type == connections.TypeClientSecret && err != nil:
			w.Valid = certs.Validity{Days: secretDays}
		case err == nil && (w.Type == connections.TypeClientSecret || days != certificateDays):
			w.Valid = certs.Validity{Days: days}
		}
	}
	return w, nil
}

// registrar carries plans out. It holds the run, so a session has one; where it is
// not known yet in which cloud, it gets one for the moment.
func (s *Session) registrar(cl cloud.Cloud) *registration.Registrar {
	st := s.shared()
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.registrar != nil {
		return st.registrar
	}
	r := s.Env.Registrar(cl, s.keyMadeAhead)
	if cl.Name != "" {
		st.registrar = r
	}
	return r
}

// makeKeyAhead begins to make the key pair while the administrator signs in: it
// takes up to a second.
func (s *Session) makeKeyAhead() {
	st := s.shared()
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.keys != nil || s.answersInForce().Get(keyNewCred) != newCertificate {
		return
	}
	st.keys = make(chan keyOrError, 1)
	random, keys := s.Env.Rand, st.keys
	go func() {
		key, err := rsa.GenerateKey(random, keyBits)
		keys <- keyOrError{key, err}
	}()
}

// keyBits is the size of new keys: what the seeds ask for.
const keyBits = 2048

// keyMadeAhead returns the key that makeKeyAhead made, once; then new ones.
func (s *Session) keyMadeAhead(ctx context.Context) (*rsa.PrivateKey, error) {
	st := s.shared()
	st.mu.Lock()
	keys := st.keys
	st.keys = nil
	st.mu.Unlock()
	if keys == nil {
		return rsa.GenerateKey(cmp.Or(s.Env.Rand, rand.Reader), keyBits)
	}
	select {
	case k := <-keys:
		return k.key, k.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// HalfwayError is a registration that broke off after it had begun: what it made so
// far is in the tenant. Session.Rollback removes it; Configure goes on with it.
type HalfwayError struct {
	Run     string
	AppName string
	Err     error
}

func (e *HalfwayError) Error() string { return e.Err.Error() }

// Unwrap returns why it broke off.
func (e *HalfwayError) Unwrap() error { return e.Err }

// configureAuto carries out the plan and verifies what came of it.
func (s *Session) configureAuto(ctx context.Context, listen func(task.Event)) (*Outcome, error) {
	a := s.answersInForce()
	cl, err := s.Env.Clouds.Find(a.Get(keyCloud))
	if err != nil {
		return nil, err
	}
	if account, _ := s.Flow.Field(keyAccount); !account.Optional && !a.Has(keyAccount) {
		return nil, problem(s, keyAccount, &advice.AccountNeededError{})
	}
	if err := s.LookupProposed(ctx); err != nil {
		return nil, err
	}
	client, err := s.Env.HTTP(cl)
	if err != nil {
		return nil, err
	}
	wish, err := s.wish(a)
	if err != nil {
		return nil, err
	}
	plan, err := s.Plan()
	if err != nil {
		return nil, err
	}
	st := s.shared()
	st.mu.Lock()
	admin, run := st.admin, st.run
	st.mu.Unlock()
	if admin == nil {
		return nil, errors.New("nobody has signed in yet")
	}
	r := s.registrar(cl)
	base := entra.AppOptions{Cloud: cl, HTTP: client, Now: s.Env.Clock.Now, Rand: s.Env.Rand}
	var res *registration.Result
	if run != "" {
		res, err = r.Resume(ctx, *admin, run, wish, plan, base, listen)
	} else {
		res, err = r.Apply(ctx, *admin, wish, plan, base, listen)
	}
	if res != nil {
		st.mu.Lock()
		st.run = res.RunID
		st.mu.Unlock()
	}
	if err != nil {
		if res == nil || res.RunID == "" {
			return nil, err
		}
		return nil, &HalfwayError{Run: res.RunID, AppName: plan.AppName, Err: err}
	}
	out := s.registered(a, cl, res)
	s.verifyFresh(ctx, client, cl, res, out, listen)
	if errors.Is(ctx.Err(), context.Canceled) {
		return nil, &HalfwayError{Run: res.RunID, AppName: plan.AppName, Err: ctx.Err()}
	}
	return out, nil
}

// registered is the connection that a registration has led to, before it is verified.
func (s *Session) registered(a Answers, cl cloud.Cloud, res *registration.Result) *Outcome {
	c := s.asked(a)
	c.Cloud, c.Tenant, c.Registration, c.Credential = cl.Name, res.Tenant, res.Registration, res.Credential
	return &Outcome{Connection: c, Missing: res.Missing, Run: res.RunID, Steps: res.Results, keep: func(context.Context) (kept, error) {
		return kept{ref: res.Credential.Secret, password: res.Credential.Password}, nil
	}}
}

// verifyFresh verifies an application that was registered a moment ago. Where an
// answer shows that a service has not heard of it yet, it asks again.
func (s *Session) verifyFresh(ctx context.Context, client *http.Client, cl cloud.Cloud, res *registration.Result, out *Outcome, listen func(task.Event)) {
	if s.Env.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, max(s.Env.Timeout, s.Env.Consistency))
		defer cancel()
	}
	asked := out.Connection
	if len(res.Missing) > 0 {
		asked.Verification.State = connections.StateWaiting
	}
	target := verify.Target{Connection: asked, Credential: res.Identity, Cloud: cl, App: res.App}
	o := verify.Options{HTTP: client, Clock: s.Env.Clock, Parallel: s.Env.Parallel, Saved: s.Env.profiles().List}
	if len(res.Missing) == 0 {
		o.Fresh = s.Env.consistency()
	}
	report := verify.Run(ctx, o, target, listen)
	if given := out.Connection.Endpoints; report.OtherAddress() {
		// The application is registered where the administrator signed in; nobody should
		// have to begin anew because of an address that Microsoft Graph knows better.
		out.Connection.Endpoints = report.Found.Endpoints(connections.Endpoints{EWS: given.EWS})
		out.Notes = append(out.Notes, fmt.Sprintf("%s is not an address of this tenant. Microsoft Graph tells %s, and that was taken.", given.SharePoint, out.Connection.Endpoints.SharePoint))
		target.Connection.Endpoints = out.Connection.Endpoints
		report = verify.Run(ctx, o, target, listen)
	}
	out.Report = report
	switch {
	case len(res.Missing) > 0 && report.Class <= advice.ClassConsent || len(res.Missing) > 0 && report.State != connections.StateVerified:
		out.Waiting = true
		out.Report.State, out.Report.Class = connections.StateWaiting, advice.ClassConsent
	case !res.Ready && report.State != connections.StateVerified:
		out.Report.State = connections.StateUnverified
		var refused *entra.Error
		if !errors.As(res.Err, &refused) || entra.Lagging(refused) {
			out.Report.Class = advice.ClassCheck // it only takes longer; a refusal keeps its own class
		}
	}
	out.Verified = out.Report.State == connections.StateVerified
	out.Connection.Verification = out.Report.Verification(s.Env.Clock.Now())
	out.Connection.Tenant = report.Found.Tenant.Or(out.Connection.Tenant)
	out.Connection.Endpoints = report.Found.Endpoints(out.Connection.Endpoints)
	out.Connection.AccountID = report.Found.AccountID
	out.Connection.Registration.ObjectID = cmp.Or(report.Found.ObjectID, out.Connection.Registration.ObjectID)
}

// Rollback removes from the tenant and from this machine what the registration of
// this session, or the given run, has made so far.
func (s *Session) Rollback(ctx context.Context, run string, listen func(task.Event)) error {
	a := s.answersInForce()
	cl, err := s.Env.Clouds.Find(a.Get(keyCloud))
	if err != nil {
		return err
	}
	st := s.shared()
	st.mu.Lock()
	admin := st.admin
	st.mu.Unlock()
	if admin == nil {
		return errors.New("nobody has signed in yet")
	}
	if err := s.registrar(cl).Rollback(ctx, *admin, run, listen); err != nil {
		return err
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.run == run {
		st.run = ""
	}
	st.findings = nil // the tenant is no longer as it was looked at
	return nil
}

// Registrar carries registrations out in this world. key gives a key pair that was
// made before; nil means that it is made when it is needed.
func (env *Env) Registrar(cl cloud.Cloud, key func(context.Context) (*rsa.PrivateKey, error)) *registration.Registrar {
	return registration.New(registration.Options{
		Dir: env.StateDir, Personal: env.Personal, Store: env.Store, Cloud: cl,
		Clock: env.Clock, Rand: env.Rand, Consistency: env.Consistency, Key: key,
	})
}

func (env *Env) consistency() time.Duration {
	return cmp.Or(env.Consistency, registration.DefaultConsistency)
}
