package wizard

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
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

// RotateOptions say how a credential is rotated. The zero value lets the application
// renew its own certificate, for as long as the tenant allows up to five years, and
// removes the old one at once.
type RotateOptions struct {
	Admin   *registration.Admin // who signed in for it; nil: the application itself, with its own proof
	Grace   time.Duration       // how long the old credential stays in the application
	Valid   certs.Validity      // of the new credential; zero: what the tenant allows, five years at most (a client secret: two)
	Own     *certs.Identity     // the user's own new certificate; nil: one is made
	Waiting time.Duration       // how long the checks repeat what a service has not heard of yet; 0 for a minute
}

// Rotated is what a rotation has led to.
type Rotated struct {
	registration.Rotated
	Report verify.Report // of the checks with the new credential; empty where none were made
}

// Rotate renews the credential of a saved connection: see registration.Registrar.Rotate.
// It takes effect at once, in Env.Store, whatever Env.Profiles is. listen hears of
// the tasks of registration.RotationSteps, and may be nil.
//
// Errors: an *advice.OwnProofError where the application cannot do it for itself and
// an administrator has to sign in; those of registration.Registrar.Rotate, with what
// was done so far where anything was.
func (env *Env) Rotate(ctx context.Context, c connections.Connection, o RotateOptions, listen func(task.Event)) (*Rotated, error) {
	cl, err := env.Clouds.Find(c.Cloud)
	if err != nil {
		return nil, err
	}
	client, err := env.HTTP(cl)
	if err != nil {
		return nil, err
	}
	by, current, err := env.rotator(ctx, c, o.Admin)
	if err != nil {
		return nil, err
	}
	r := env.Registrar(cl, nil)
	defer r.Close()
	out := &Rotated{}
	done, err := r.Rotate(ctx, *by, registration.RotateWish{
		Connection: c, Current: current, Own: o.Own, Valid: o.Valid, Longest: o.Valid == (certs.Validity{}), Grace: o.Grace,
		Base: entra.AppOptions{Cloud: cl, HTTP: client, Now: env.Clock.Now, Rand: env.Rand},
		Check: func(ctx context.Context, c *connections.Connection, with entra.Credential) (res task.Result) {
			out.Report = verify.Run(ctx, verify.Options{HTTP: client, Clock: env.Clock, Parallel: env.Parallel, Fresh: cmp.Or(o.Waiting, time.Minute), Saved: env.Store.List},
				verify.Target{Connection: *c, Credential: with, Cloud: cl}, nil)
			return checked(c, out.Report, env.Clock.Now())
		},
	}, listen)
	if done != nil {
		out.Rotated = *done
		return out, err
	}
	return nil, err
}

// checked judges the checks with the new credential. What is wrong with the connection
// otherwise was wrong before, too: that does not keep the credential from being
// renewed. A sign-in that fails does.
func checked(c *connections.Connection, report verify.Report, now time.Time) task.Result {
	if report.Err != nil { // there are no checks for the kind
		return task.Result{Status: task.Warn, Finding: "this kind of connection cannot be checked"}
	}
	c.Verification = report.Verification(now)
	c.Tenant = report.Found.Tenant.Or(c.Tenant)
	c.Endpoints = report.Found.Endpoints(c.Endpoints)
	c.AccountID = cmp.Or(report.Found.AccountID, c.AccountID)
	c.Registration.ObjectID = cmp.Or(report.Found.ObjectID, c.Registration.ObjectID)
	failed := 0
	for _, r := range report.Results {
		if r.Status != task.Fail {
			continue
		}
		failed++
		if r.ID == "certificate" || r.ID == "token.graph" {
			return task.Result{Status: task.Fail, Finding: r.Finding, Err: cmp.Or(r.Err, errors.New(r.Finding)), Advice: r.Advice}
		}
	}
	switch {
	case failed > 0:
		return task.Result{Status: task.Warn, Finding: fmt.Sprintf("signs in; %d other checks fail", failed)}
	case report.State != connections.StateVerified:
		return task.Result{Status: task.Warn, Finding: "signs in; not all is verified"}
	}
	return task.Result{Status: task.Pass, Finding: "verified"}
}

// rotator is who changes the credentials of the connection's application: the
// administrator, or the application itself. current is what the connection signs in
// with; an administrator does without it where it is lost.
func (env *Env) rotator(ctx context.Context, c connections.Connection, admin *registration.Admin) (by *registration.Admin, current entra.Credential, err error) {
	if c.Location != connections.Online || c.Registration.ClientID == "" {
		return nil, current, fmt.Errorf("%s has no application in Entra ID, so there is nothing to rotate", c.Name)
	}
	current, err = entra.LoadCredential(ctx, env.Store, env.Personal, c)
	if admin != nil {
		if ctx.Err() != nil {
			return nil, current, context.Cause(ctx)
		}
		if err != nil {
			current = entra.Credential{}
		}
		return admin, current, nil
	}
	switch {
	case errors.Is(err, connections.ErrNotFound), errors.Is(err, certs.ErrNotFound):
		return nil, current, &advice.OwnProofError{Connection: c.Name, Reason: advice.ProofNoSignIn, Err: err}
	case err != nil:
		return nil, current, err
	case current.Identity == nil:
		return nil, current, &advice.OwnProofError{Connection: c.Name, Reason: advice.ProofBySecret}
	}
	cl, err := env.Clouds.Find(c.Cloud)
	if err != nil {
		return nil, current, err
	}
	tenant := cmp.Or(c.Tenant.ID, c.Tenant.Domain)
	by, err = env.Administrator(ctx, Login{Method: LoginApp, Cloud: cl, Tenant: tenant, ClientID: c.Registration.ClientID, App: current}, nil)
	if err != nil {
		if errors.As(err, new(*entra.Error)) {
			err = &advice.OwnProofError{Connection: c.Name, Reason: advice.ProofNoSignIn, Err: err}
		}
		return nil, current, err
	}
	// An opaque token says neither.
	by.Claims.App, by.Claims.AppID, by.Claims.TenantID = true, c.Registration.ClientID, cmp.Or(by.Claims.TenantID, c.Tenant.ID)
	return by, current, nil
}

// Rotations lists the rotations that broke off or whose old credential waits for its
// removal: see registration.Registrar.Rotations.
func (env *Env) Rotations(ctx context.Context) ([]registration.Rotation, error) {
	r := env.Registrar(cloud.Cloud{}, nil)
	defer r.Close()
	return r.Rotations(ctx)
}

// FinishRotation removes the old credential of a rotation, now also before it is due.
// admin is as in RotateOptions. Errors: those of Rotate.
func (env *Env) FinishRotation(ctx context.Context, o registration.Rotation, admin *registration.Admin, now bool, listen func(task.Event)) (*Rotated, error) {
	by, _, r, err := env.rejoin(ctx, o, admin)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	done, err := r.FinishRotation(ctx, *by, o.Run, now, listen)
	if done != nil {
		return &Rotated{Rotated: *done}, err
	}
	return nil, err
}

// AbandonRotation takes a rotation back that broke off before any connection was
// switched. admin is as in RotateOptions. Errors: those of Rotate.
func (env *Env) AbandonRotation(ctx context.Context, o registration.Rotation, admin *registration.Admin) error {
	by, current, r, err := env.rejoin(ctx, o, admin)
	if err != nil {
		return err
	}
	defer r.Close()
	return r.AbandonRotation(ctx, *by, o.Run, current)
}

// rejoin prepares ending a rotation.
func (env *Env) rejoin(ctx context.Context, o registration.Rotation, admin *registration.Admin) (*registration.Admin, entra.Credential, *registration.Registrar, error) {
	cl, err := env.Clouds.Find(o.Cloud)
	if err != nil {
		return nil, entra.Credential{}, nil, err
	}
	r := env.Registrar(cl, nil)
	if admin != nil {
		return admin, entra.Credential{}, r, nil
	}
	entries, err := env.Store.List(ctx)
	if err != nil {
		return nil, entra.Credential{}, nil, err
	}
	i := slices.IndexFunc(entries, func(e connections.Entry) bool { return e.Err == nil && o.Uses(e.Connection) })
	if i < 0 {
		return nil, entra.Credential{}, nil, &advice.OwnProofError{Connection: firstName(o.Connections), Reason: advice.ProofNoSignIn}
	}
	by, current, err := env.rotator(ctx, entries[i].Connection, nil)
	return by, current, r, err
}

func firstName(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return names[0]
}
