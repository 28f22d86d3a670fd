package entra

import (
	"crypto"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // x5t is SHA-1 by definition (RFC 7515, 4.1.7)
	"crypto/sha256"
	"encoding/base64"
	"io"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/certs"
)

const (
	// proofLife is the longest life that a proof may have.
	proofLife = 10 * time.Minute
	// proofLead is how much of it lies in the past, for a clock that runs ahead.
	proofLead = 2 * time.Minute
)

// ProofAudiences are whom a proof of possession may be written for, the likelier
// first. The reference pages of addKey and removeKey name the first one; a later
// text of the page about proofs was seen that names Microsoft Graph. It is unsure
// whether both are taken; a proof that is refused has changed nothing.
//
// Source: learn.microsoft.com/graph/api/application-addkey and
// learn.microsoft.com/graph/application-rollkey-prooftoken.
func ProofAudiences() []string {
	return []string{"00000002-0000-0000-c000-000000000000", graphAppID}
}

// Proof makes the proof that an application has one of its keys: a token that the
// key of id signs, good for less than ten minutes from now. objectID is the object id
// of the application, neither its client id nor its service principal's. random is
// for keys that need it; nil means the computer's.
//
// RS256 and the headers are those of Microsoft's own sample; whether PS256, which
// sign-ins use, would be taken is unsure. Errors: *SignError.
//
// Source: learn.microsoft.com/graph/application-rollkey-prooftoken.
func Proof(id *certs.Identity, objectID, audience string, now time.Time, random io.Reader) (connections.Secret, error) {
	if random == nil {
		random = rand.Reader
	}
	thumbprint := sha1.Sum(id.Certificate.Raw) //nolint:gosec // see the import
	begin := now.Add(-proofLead)
	text := part(map[string]any{
		"alg": "RS256", "typ": "JWT", "kid": string(id.Thumbprint()), "x5t": base64.RawURLEncoding.EncodeToString(thumbprint[:]),
	}) + "." + part(map[string]any{"aud": audience, "iss": objectID, "nbf": begin.Unix(), "exp": begin.Add(proofLife).Unix()})
	digest := sha256.Sum256([]byte(text))
	sig, err := id.Key.Sign(random, digest[:], crypto.SHA256)
	if err != nil {
		return connections.Secret{}, &SignError{Err: err}
	}
	return connections.NewSecret(text + "." + base64.RawURLEncoding.EncodeToString(sig)), nil
}
