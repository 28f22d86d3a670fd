package graph

import (
	"context"
	"errors"
	"net/http"

	kiota "github.com/microsoft/kiota-abstractions-go"

	"github.com/c2conn/c2conn/connections"
)

// AddKey adds a certificate to an application beside those that it has. The
// application may do that for itself, without any permission: proof shows that it has
// the private key of one of them (see entra.Proof). It answers the certificate as the
// directory knows it; its ID is empty where the answer does not tell. A lost answer is
// not asked for again: see ErrOutcomeUnknown. A proof that is not taken is an
// ErrProof.
//
// Source: learn.microsoft.com/graph/api/application-addkey.
func (c *Client) AddKey(ctx context.Context, objectID string, k Key, proof connections.Secret) (Key, error) {
	bodies, err := keyBodies([]Key{k})
	if err != nil {
		return Key{}, err
	}
	body := map[string]any{"keyCredential": bodies[0], "passwordCredential": nil, "proof": string(proof.Reveal())}
	var j addedJSON
	err = c.ask(ctx, operation{
		name: "add a certificate", object: newApplication, effect: creates, read: into(&j),
		request: func(_ context.Context, a adapter) (*kiota.RequestInformation, error) {
			return withBody(kiota.POST, c.applications(a).ByApplicationId(objectID).AddKey().BaseRequestBuilder, body)
		},
	})
	if err != nil {
		return Key{}, unproven(err)
	}
	return j.plain(), nil
}

// addedJSON is the answer of addKey: the examples of its page show nothing of the
// certificate, so it does not count on that.
type addedJSON struct{ keyJSON }

func (*addedJSON) complete() bool { return true }

// RemoveKey takes a certificate away from an application, by its key id and a proof as
// for AddKey; that it is gone already is no error. A proof that is not taken is an
// ErrProof.
//
// Source: learn.microsoft.com/graph/api/application-removekey.
func (c *Client) RemoveKey(ctx context.Context, objectID, id string, proof connections.Secret) error {
	err := c.ask(ctx, operation{
		name: "remove a certificate", object: newApplication, effect: rewrites,
		request: func(_ context.Context, a adapter) (*kiota.RequestInformation, error) {
			at := c.applications(a).ByApplicationId(objectID).RemoveKey().BaseRequestBuilder
			return withBody(kiota.POST, at, map[string]string{"keyId": id, "proof": string(proof.Reveal())})
		},
	})
	if e, ok := errors.AsType[*Error](err); ok && e.Says("no key credential found", "no credentials found") {
		return nil // the words are unsure: other actions of the service use them
	}
	return unproven(err)
}

// ErrProof marks (for errors.Is) that Microsoft Graph did not take a proof of
// possession: the server asked does not know its key, or not yet, or the proof is not
// as it wants it. Nothing was changed.
var ErrProof = errors.New("the proof of possession was not accepted")

// unproven marks the answer to a proof that was not taken.
//
// Source: learn.microsoft.com/graph/application-rollkey-prooftoken names
// Authentication_MissingOrMalformed.
func unproven(err error) error {
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Err != nil || e.Status != http.StatusUnauthorized && !e.Says("Authentication_MissingOrMalformed") {
		return err
	}
	return errors.Join(ErrProof, err)
}
