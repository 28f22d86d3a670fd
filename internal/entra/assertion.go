package entra

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
)

// assertionLife is how long a client assertion is good for; each is used once.
const assertionLife = 10 * time.Minute

// SignError is a private key that would not sign: a smart card that was pulled
// out, a key of another user.
type SignError struct{ Err error }

func (e *SignError) Error() string {
	return fmt.Sprintf("the private key did not sign the sign-in: %v", e.Err)
}

// Unwrap returns the key store's error.
func (e *SignError) Unwrap() error { return e.Err }

// assertions makes client assertions with keys that only sign.
//
// Source: learn.microsoft.com/entra/identity-platform/certificate-credentials.
type assertions struct {
	cert *x509.Certificate
	key  crypto.Signer
	now  func() time.Time
	rand io.Reader
}

func (s *assertions) sign(_ context.Context, o confidential.AssertionRequestOptions) (string, error) {
	var id [16]byte
	if _, err := io.ReadFull(s.rand, id[:]); err != nil {
		return "", &SignError{Err: err}
	}
	thumbprint := sha256.Sum256(s.cert.Raw)
	now := s.now()
	text := part(map[string]any{
		"alg": "PS256", "typ": "JWT", "x5t#S256": base64.RawURLEncoding.EncodeToString(thumbprint[:]),
	}) + "." + part(map[string]any{
		"aud": o.TokenEndpoint, "iss": o.ClientID, "sub": o.ClientID,
		"jti": fmt.Sprintf("%x", id), "iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(assertionLife).Unix(),
	})
	digest := sha256.Sum256([]byte(text))
	sig, err := s.key.Sign(s.rand, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256})
	if err != nil {
		return "", &SignError{Err: err}
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(sig), nil
}

func part(v map[string]any) string {
	b, _ := json.Marshal(v) // strings and numbers always marshal
	return base64.RawURLEncoding.EncodeToString(b)
}
