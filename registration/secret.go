package registration

import (
	"context"
	"errors"
	"slices"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/graph"
)

// addSecret adds a client secret to the application and stores it at once. One
// whose value never arrived here is of use to nobody: it is removed by its name
// before another is added.
func (w *work) addSecret(ctx context.Context) error {
	ctx = w.replicated(ctx)
	if ref := w.j.Secret.Ref; ref != "" {
		secret, err := w.r.o.Store.Secret(ctx, ref)
		gone := errors.Is(err, connections.ErrNotFound) || errors.Is(err, connections.ErrIdentityMissing)
		switch {
		case err != nil && !gone:
			return err
		case err == nil:
			there, err := w.hasSecret(ctx)
			if err != nil {
				return err
			}
			if there {
				w.secret = secret
				return nil
			}
			if err := w.r.o.Store.DeleteSecret(ctx, ref); err != nil {
				return err
			}
		}
		w.j.Secret.Ref = ""
	}
	for n := 1; ; n++ {
		if w.j.Secret.Sent {
			if err := w.removeSecrets(ctx); err != nil {
				return err
			}
		}
		err := w.addSecretOnce(ctx)
		if err == nil {
			return nil
		}
		if lost(err) && ctx.Err() == nil {
			if n == mostCreates {
				return &advice.LostAnswerError{What: "add a client secret", Tag: secretName(w.j.Run), Err: err}
			}
			continue
		}
		again, err := w.shorten(ctx, w.refusal(ctx, "add a client secret", err))
		if err != nil || !again {
			return err
		}
	}
}

// hasSecret tells whether the stored client secret is the application's: that one,
// or the application, may have been removed since.
func (w *work) hasSecret(ctx context.Context) (bool, error) {
	if w.j.Secret.ID == "" {
		return false, nil
	}
	return w.r.search(ctx, "Looking whether the application has the stored client secret", w.j.Secret.SentAt, func() (bool, error) {
		app, err := w.admin.Graph.Application(ctx, w.j.Application.ObjectID)
		return slices.ContainsFunc(app.Secrets, func(s graph.Password) bool { return s.ID == w.j.Secret.ID }), err
	})
}

func (w *work) addSecretOnce(ctx context.Context) error {
	var (
		p      graph.Password
		secret connections.Secret
	)
	now := w.r.o.Clock.Now().UTC()
	end := w.plan.Credential.valid.From(now)
	err := w.change(stepApplication, "add a client secret",
		func(j *journal) { j.Secret = secretNote{Name: secretName(j.Run), Sent: true, SentAt: now} },
		func() (err error) {
			p, secret, err = w.admin.Graph.AddPassword(ctx, w.j.Application.ObjectID, secretName(w.j.Run), end)
			if err != nil {
				if !lost(err) {
					w.j.Secret.Sent = false
				}
				return err
			}
			// Shown this once: not even Ctrl-C may come in between.
			ref, err := w.r.o.Store.PutSecret(context.WithoutCancel(ctx), secret)
			if err != nil {
				return errors.Join(err, w.admin.Graph.RemovePassword(context.WithoutCancel(ctx), w.j.Application.ObjectID, p.ID))
			}
			w.j.Secret.Ref = ref
			return nil
		},
		func(j *journal) {
			if j.Secret.ID = p.ID; p.End.IsZero() {
				p.End = end
			}
			j.Secret.End = p.End.UTC()
		})
	if err != nil {
		return err
	}
	if err := w.flush("the client secret is stored"); err != nil {
		// Nothing on disk knows of it: it would stay for ever. The tenant's is found by its name.
		err = errors.Join(err, w.r.o.Store.DeleteSecret(context.WithoutCancel(ctx), w.j.Secret.Ref))
		w.j.Secret.Ref = ""
		return err
	}
	w.secret = secret
	return nil
}

// removeSecrets removes the client secrets of this run from the application. One
// that was perhaps added is waited for, as replicas may show it late.
func (w *work) removeSecrets(ctx context.Context) error {
	note := w.j.Secret
	var found []string
	_, err := w.r.search(ctx, "Looking whether a client secret was added although no answer came", note.SentAt, func() (bool, error) {
		app, err := w.admin.Graph.Application(ctx, w.j.Application.ObjectID)
		if err != nil {
			return false, err
		}
		for _, s := range app.Secrets {
			if s.DisplayName == note.Name && !slices.Contains(found, s.ID) {
				found = append(found, s.ID)
			}
		}
		return len(found) > 0, nil
	})
	if err != nil {
		return err
	}
	if note.ID != "" && !slices.Contains(found, note.ID) {
		found = append(found, note.ID)
	}
	for _, id := range found {
		err := w.change(stepApplication, "remove a client secret", nil, func() error { return w.admin.Graph.RemovePassword(ctx, w.j.Application.ObjectID, id) }, nil)
		if err != nil && !notFound(err) {
			return err
		}
	}
	return w.clearSecret()
}

func (w *work) clearSecret() error {
	w.j.Secret, w.dirty = secretNote{Ref: w.j.Secret.Ref}, true // still on this computer
	return w.flush("the client secret is removed")
}
