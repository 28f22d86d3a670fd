package registration

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/progress"
	"github.com/c2conn/c2conn/internal/task"
)

// doKey makes sure that what the application will prove its identity with is, or
// can be, stored before the tenant hears of it.
func (w *work) doKey(ctx context.Context) task.Result {
	if w.wish.secret() {
		if err := w.r.trySecrets(ctx); err != nil {
			return failed(err)
		}
		return task.Result{Status: task.Pass, Finding: "a client secret can be kept here"}
	}
	finding := "made and stored"
	id, err := w.storedIdentity(ctx)
	switch {
	case err == nil:
		w.identity = &id
		if w.j.Key.Ref == "" { // stored, but that was not noted any more
			err = w.keep(ctx, id, w.j.Key.Stays)
		}
		finding = "stored before"
	case errors.Is(err, errNoKey):
		if w.wish.Own != nil {
			finding = "your certificate, stored"
			err = w.keep(ctx, *w.wish.Own, true)
		} else {
			err = w.newIdentity(ctx)
		}
	}
	if err != nil {
		return failed(err)
	}
	return task.Result{Status: task.Pass, Finding: string(w.identity.Thumbprint()) + ", " + finding}
}

// trySecrets keeps and removes a secret, so that whatever stands in the way (no
// keychain, a wrong passphrase, a full disk) shows before there is one.
func (r *Registrar) trySecrets(ctx context.Context) error {
	if err := r.o.Store.SecretsReady(ctx); err != nil {
		return err
	}
	ref, err := r.o.Store.PutSecret(ctx, connections.NewSecret("a test"))
	if err != nil {
		return err
	}
	return r.o.Store.DeleteSecret(ctx, ref)
}

// errNoKey means that the run has no key, or none any more.
var errNoKey = errors.New("the run has no key")

// storedIdentity reads the key of an earlier attempt. Where it is gone, a new one
// will take its place.
func (w *work) storedIdentity(ctx context.Context) (certs.Identity, error) {
	t := w.j.Key.Thumbprint
	if t == "" {
		return certs.Identity{}, errNoKey
	}
	e, err := w.r.o.Personal.Find(ctx, t)
	var id certs.Identity
	if err == nil {
		id, err = w.r.o.Personal.Identity(ctx, e)
	}
	gone := errors.Is(err, certs.ErrNotFound) || errors.Is(err, connections.ErrNotFound) || errors.Is(err, connections.ErrIdentityMissing)
	switch {
	case err == nil:
		return id, nil
	case !gone:
		return certs.Identity{}, err
	case w.j.Key.Stays && w.wish.Own == nil && w.j.Rotation != nil:
		return certs.Identity{}, fmt.Errorf("your certificate %s is no longer in the personal store; import it again (c2conn cert import), or take the rotation back (c2conn rotate %s --abandon): %w", t, advice.ShellWord(w.j.Connection), err)
	case w.j.Key.Stays && w.wish.Own == nil:
		return certs.Identity{}, fmt.Errorf("your certificate %s is no longer in the personal store; import it again (c2conn cert import), or remove the unfinished registration (c2conn app cleanup): %w", t, err)
	}
	if !w.j.Key.Stays { // the user's own is taken out of nothing
		w.j.Key.Old = append(w.j.Key.Old, t)
	}
	return certs.Identity{}, errNoKey
}

// newIdentity makes a certificate and keeps it.
func (w *work) newIdentity(ctx context.Context) error {
	if w.key == nil && w.r.o.Key != nil {
		key, err := w.r.o.Key(ctx)
		if err != nil {
			return fmt.Errorf("the key pair cannot be made: %w", err)
		}
		w.key = key
	}
	id, err := certs.Generate(w.r.o.Rand, w.r.o.Clock.Now(), certs.NewOptions{CommonName: commonName(w.plan.AppName), Valid: w.plan.Credential.valid, Key: w.key})
	if err != nil {
		return err
	}
	return w.keep(ctx, id, false)
}

// keep stores an identity. The journal knows of it first: a key that nobody knows
// of would stay for ever.
func (w *work) keep(ctx context.Context, id certs.Identity, stays bool) error {
	w.j.Key = keyNote{
		Thumbprint: id.Thumbprint(), ThumbprintSHA256: id.ThumbprintSHA256(), NotAfter: id.Certificate.NotAfter.UTC(), Stays: stays, Old: w.j.Key.Old, Sent: w.j.Key.Sent,
	}
	if err := w.r.folder(); err != nil {
		return err
	}
	w.dirty = true
	if err := w.flush("keep the certificate"); err != nil {
		return err
	}
	e, err := w.r.o.Personal.Find(ctx, id.Thumbprint())
	if err != nil || !e.HasKey {
		if e, err = w.r.o.Personal.Import(ctx, id); err != nil {
			return err
		}
	}
	w.j.Key.Ref, w.identity, w.dirty = e.Ref, &id, true
	return nil
}

// shorten makes a credential with a shorter life after a policy has refused the
// last one, if the wish allows that. It answers false with the error that stays.
func (w *work) shorten(ctx context.Context, refused error) (bool, error) {
	var p *advice.PolicyLifetimeError
	if !errors.As(refused, &p) || !w.wish.Longest || w.wish.Own != nil || w.j.Key.Stays || p.Allowed == 0 {
		return false, refused
	}
	progress.Report(ctx, progress.Update{Text: fmt.Sprintf("A policy of the tenant refuses a credential of %s; trying one of %s", inDays(p.Wanted), inDays(p.Allowed))})
	w.plan.Credential.valid = validityOf(p.Allowed)
	if w.wish.secret() {
		return true, nil
	}
	old := w.j.Key.Thumbprint
	w.j.Key.Old = append(w.j.Key.Old, old)
	if err := w.newIdentity(ctx); err != nil {
		return false, err
	}
	return true, w.dropOld(ctx)
}

// dropOld removes from this computer the certificates that were replaced.
func (w *work) dropOld(ctx context.Context) error {
	if len(w.j.Key.Old) == 0 {
		return nil
	}
	for _, t := range w.j.Key.Old {
		if err := w.r.o.Personal.Delete(ctx, t); err != nil && !errors.Is(err, certs.ErrNotFound) {
			return err
		}
	}
	w.j.Key.Old, w.dirty = nil, true
	return nil
}

func inDays(d time.Duration) string { return count(int(d.Round(time.Hour)/day), "day") }
