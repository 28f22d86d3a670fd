package move

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/connections/bundle"
	"github.com/c2conn/c2conn/internal/certs"
)

// Done is one connection after an import.
type Done struct {
	Connection connections.Connection // as saved; for a skipped one that of the bundle
	Action     Action
}

// Unpack carries out a plan whose conflicts are all decided, and tells how each
// connection ended. A connection is there wholly or not at all: its secrets are stored
// first, and taken away again where its profile cannot be saved. The first failure ends
// the import, as do ctx and what cannot be saved of a cloud; what was done before stays
// and is in the answer. After a crash a secret may be left that nothing refers to
// (Store.Orphans), never a profile without its secret.
func (p Place) Unpack(ctx context.Context, plan *Plan) ([]Done, error) {
	for _, s := range plan.Steps {
		if s.Action == "" {
			return nil, fmt.Errorf("connection %q: its conflicts are not decided", s.Name)
		}
	}
	if err := p.addClouds(ctx, plan); err != nil {
		return nil, err
	}
	var done []Done
	for _, s := range plan.Steps {
		if s.Action == Skip {
			done = append(done, Done{Connection: s.Item.Connection, Action: Skip})
			continue
		}
		if ctx.Err() != nil {
			return done, context.Cause(ctx)
		}
		c, err := p.unpack(ctx, s)
		if err != nil {
			return done, &StepError{Name: s.Name, Err: err}
		}
		done = append(done, Done{Connection: c, Action: s.Action})
	}
	return done, nil
}

// StepError says which connection could not be imported.
type StepError struct {
	Name string
	Err  error
}

// Error names the connection and gives the reason.
func (e *StepError) Error() string { return fmt.Sprintf("connection %q: %v", e.Name, e.Err) }

// Unwrap returns the cause.
func (e *StepError) Unwrap() error { return e.Err }

// Definitions lists the cloud definitions that carrying out the plan adds or replaces:
// those that connections to be imported use.
func (p *Plan) Definitions() []*CloudStep {
	var out []*CloudStep
	for i := range p.Clouds {
		c := &p.Clouds[i]
		used := slices.ContainsFunc(p.Steps, func(s Step) bool { return s.Action != Skip && p.cloud(s.Item.Connection) == c })
		if used && !c.There && (!c.Differs || c.Replace) {
			out = append(out, c)
		}
	}
	return out
}

func (p Place) addClouds(ctx context.Context, plan *Plan) error {
	for _, c := range plan.Definitions() {
		if _, err := p.Clouds.Add(ctx, []byte(c.definition), c.Replace); err != nil {
			return err
		}
	}
	return nil
}

func (p Place) unpack(ctx context.Context, s Step) (connections.Connection, error) {
	c := s.Item.Connection
	c.Name = s.Name
	c.Verification = arrived(c.Verification)
	if s.Action == Rename {
		c.ID = ""
	}
	undo, err := p.keepSecrets(ctx, s.Item, &c)
	// Whatever happens from here on is done to its end: a few small files.
	ctx = context.WithoutCancel(ctx)
	if err != nil {
		return c, errors.Join(err, undo(ctx))
	}
	if s.Action != Replace {
		saved, err := p.Store.Add(ctx, c)
		if err != nil {
			return c, errors.Join(err, undo(ctx))
		}
		return saved, nil
	}
	var was connections.Connection
	saved, err := p.Store.Update(ctx, s.replaces, func(x *connections.Connection) error {
		was = *x
		*x = c
		return nil
	})
	if err != nil {
		return c, errors.Join(err, undo(ctx))
	}
	return saved, p.Store.Release(ctx, was)
}

// arrived is a verification on another computer: whether the connection works from
// here is not known. What waits for an administrator's consent still does.
func arrived(v connections.Verification) connections.Verification {
	if v.State == connections.StateWaiting {
		return v
	}
	return connections.Verification{State: connections.StateUnverified}
}

// keepSecrets stores what came along and puts the references into c. undo takes away
// what it stored.
func (p Place) keepSecrets(ctx context.Context, item bundle.Item, c *connections.Connection) (undo func(context.Context) error, err error) {
	var refs []connections.Ref
	var made certs.Thumbprint
	undo = func(ctx context.Context) error {
		var errs []error
		for _, r := range refs {
			errs = append(errs, p.Store.DeleteSecret(ctx, r))
		}
		if made != "" {
			errs = append(errs, p.Personal.Delete(ctx, made))
		}
		return errors.Join(errs...)
	}
	keep := func(secret connections.Secret, to *connections.Ref) error {
		if secret.IsZero() {
			return nil
		}
		r, err := p.Store.PutSecret(ctx, secret)
		if err == nil {
			refs, *to = append(refs, r), r
		}
		return err
	}
	s := item.Secrets
	switch r := &c.Credential; {
	case !s.PrivateKey.IsZero():
		id, err := identity(item)
		if err != nil {
			return undo, err
		}
		_, err = p.Personal.Find(ctx, id.Thumbprint())
		entry, failed := p.Personal.Import(ctx, id)
		if failed != nil {
			return undo, failed
		}
		if errors.Is(err, certs.ErrNotFound) {
			made = id.Thumbprint()
		}
		r.Secret, r.Thumbprint, r.ThumbprintSHA256, r.NotAfter = entry.Ref, string(id.Thumbprint()), string(id.ThumbprintSHA256()), id.Certificate.NotAfter
	case r.Type == connections.TypeCertificate && (r.Thumbprint != "" || r.ThumbprintSHA256 != ""):
		// Without its key the reference is one of the other computer; the thumbprint finds it here.
		if k := r.Secret.Scheme(); k == connections.SchemeStore || k == connections.SchemeWindows {
			r.Secret = ""
		}
	}
	if err := keep(s.ClientSecret, &c.Credential.Secret); err != nil {
		return undo, err
	}
	if err := keep(s.Password, &c.Credential.Secret); err != nil {
		return undo, err
	}
	return undo, keep(s.LegacyPassword, &c.LegacyAdmin.Password)
}
