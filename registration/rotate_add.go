package registration

import (
	"context"
	"errors"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/graph"
	"github.com/c2conn/c2conn/internal/task"
)

// doAdd adds the new credential beside the old one.
func (w *rotating) doAdd(ctx context.Context) task.Result {
	unlock, _, err := w.common.lockTenant(ctx, w.j.Tenant.ID)
	if err != nil {
		return failed(err)
	}
	defer unlock() // waiting for replicas is no reason to keep others waiting
	finding := "client secret added"
	switch {
	case w.wish.secret():
		err = w.addSecret(ctx)
	case w.itself:
		finding = string(w.identity.Thumbprint()) + ", with the proof of the old one"
		err = w.addByItself(ctx)
	default:
		finding = string(w.identity.Thumbprint()) + "; the others stay"
		if err = w.addKey(ctx); err == nil {
			err = w.learnKeyID(ctx)
		}
	}
	if err == nil {
		err = w.flush("the new credential is added")
	}
	if err != nil {
		return failed(err)
	}
	return task.Result{Status: task.Pass, Finding: finding}
}

// keyIDUntold is said where nothing told the key id of the new certificate: the answer
// was lost, or told as little as the example on Microsoft's page of addKey.
const keyIDUntold = "No answer told the key id of the new certificate: the next rotation takes an administrator's sign-in."

// learnKeyID looks up the key id of the new certificate. It is needed when the
// application removes the certificate by itself one day, so it is worth a wait, and
// no failure.
func (w *rotating) learnKeyID(ctx context.Context) error {
	if w.note.KeyID != "" {
		return nil
	}
	if !w.readable {
		w.notes = append(w.notes, keyIDUntold)
		return nil
	}
	_, err := w.r.search(ctx, "Reading the key id of the new certificate", w.r.o.Clock.Now(), func() (bool, error) {
		app, err := w.admin.Graph.Application(w.replicated(ctx), w.j.Application.ObjectID)
		if err != nil {
			return false, err
		}
		w.note.KeyID, w.dirty = keyID(app.Keys, w.identity), true
		return w.note.KeyID != "", nil
	})
	return err
}

// addByItself has the application add its new certificate, with the proof that it has
// the key of the old one.
func (w *rotating) addByItself(ctx context.Context) error {
	for n := 1; ; n++ {
		if w.j.Key.Sent {
			found, err := w.addedBefore(ctx)
			if found || err != nil {
				return err
			}
		}
		err := w.addOnce(ctx)
		if err == nil {
			if err := w.dropOld(ctx); err != nil {
				return err
			}
			return w.learnKeyID(ctx)
		}
		if lost(err) && ctx.Err() == nil {
			if n == mostCreates {
				return &advice.LostAnswerError{What: "add the certificate", Err: err}
			}
			continue
		}
		again, err := w.shorten(ctx, w.refusal(ctx, "add the certificate", err))
		if err != nil || !again {
			return err
		}
	}
}

func (w *rotating) addOnce(ctx context.Context) error {
	var added graph.Key
	err := w.change(stepAdd, "add the certificate", func(j *journal) {
		j.Key.Sent, w.note.SentAt = true, w.r.o.Clock.Now().UTC()
	}, func() error {
		err := w.prove(ctx, w.rotate.Current.Identity, time.Time{}, func(proof connections.Secret) (err error) {
			added, err = w.admin.Graph.AddKey(ctx, w.j.Application.ObjectID, keyOf(*w.identity), proof)
			return err
		})
		if err != nil && !lost(err) {
			w.j.Key.Sent = false
		}
		return err
	}, func(*journal) { w.note.KeyID = added.ID })
	return err
}

// addedBefore tells whether a certificate whose request was not answered is there. An
// application that may not read itself looks by signing in with it; then the key id
// stays unknown, and an administrator has to remove the certificate one day.
func (w *rotating) addedBefore(ctx context.Context) (bool, error) {
	if w.readable {
		return w.r.search(ctx, "Looking whether the certificate was added although no answer came", w.note.SentAt, func() (bool, error) {
			app, err := w.admin.Graph.Application(w.replicated(ctx), w.j.Application.ObjectID)
			if err != nil {
				return false, err
			}
			id := keyID(app.Keys, w.identity)
			if id != "" {
				w.note.KeyID, w.dirty = id, true
			}
			return id != "", nil
		})
	}
	if w.note.KeyID != "" {
		return true, nil // it was answered
	}
	if err := w.prepareLogin(); err != nil {
		return false, err
	}
	limit := max(w.note.SentAt.Add(w.r.o.Consistency).Sub(w.r.o.Clock.Now()), time.Second)
	err := await(ctx, waiting{app: w.login, cloud: w.base.Cloud, also: []Resource{Graph}, calm: true, first: 1, need: 1, limit: limit, clock: w.r.o.Clock})
	if errors.As(err, new(*advice.ReplicationError)) || entra.Lagging(err) {
		return false, nil
	}
	if err == nil {
		w.notes = append(w.notes, keyIDUntold)
	}
	return err == nil, err
}

// prove tries with proofs that id signs, again until every replica must know its key,
// which the application got at since.
func (w *rotating) prove(ctx context.Context, id *certs.Identity, since time.Time, try func(connections.Secret) error) error {
	if id == nil {
		return &advice.OwnProofError{Connection: w.conn.Name, Reason: advice.ProofBySecret}
	}
	var refused error
	proved, err := w.r.search(ctx, "Microsoft Graph does not know the key of the proof everywhere yet", since, func() (bool, error) {
		for _, audience := range entra.ProofAudiences() {
			proof, err := entra.Proof(id, w.j.Application.ObjectID, audience, w.r.o.Clock.Now(), w.r.o.Rand)
			if err == nil {
				err = try(proof)
			}
			if !errors.Is(err, graph.ErrProof) {
				return err == nil, err
			}
			refused = err
		}
		return false, nil
	})
	if err == nil && !proved {
		err = &advice.OwnProofError{Connection: w.conn.Name, Reason: advice.ProofRefused, Err: refused}
	}
	return err
}
