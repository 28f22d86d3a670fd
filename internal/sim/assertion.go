package sim

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // x5t is SHA-1 by definition (RFC 7515, 4.1.7)
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// clockSkew is how far a client's clock may be off; how long an assertion may be
// valid is not limited by Entra ID.
//
// Source: learn.microsoft.com/entra/identity-platform/certificate-credentials.
const (
	clockSkew = 5 * time.Minute
	maxJWT    = 64 << 10
)

var errMalformed = errors.New("the JWT is malformed")

// jwtHeader is what is read of a JWT's header.
type jwtHeader struct {
	Alg     string   `json:"alg"`
	Typ     string   `json:"typ"`
	Kid     string   `json:"kid,omitempty"`
	X5t     string   `json:"x5t,omitempty"`
	X5tS256 string   `json:"x5t#S256,omitempty"`
	Crit    []string `json:"crit,omitempty"`
}

// assertionClaims is what a client assertion must say.
type assertionClaims struct {
	Audience  string      `json:"aud"`
	Issuer    string      `json:"iss"`
	Subject   string      `json:"sub"`
	ID        string      `json:"jti"`
	NotBefore json.Number `json:"nbf"`
	IssuedAt  json.Number `json:"iat"`
	Expires   json.Number `json:"exp"`
}

// jwt is a compact JWS taken apart, nothing of it verified.
type jwt struct {
	header    jwtHeader
	payload   []byte
	signed    string
	signature []byte
}

// parseJWT reads RFC 7515's compact form: three parts in base64url without padding.
func parseJWT(raw string) (jwt, error) {
	if len(raw) > maxJWT {
		return jwt{}, fmt.Errorf("%w: longer than %d bytes", errMalformed, maxJWT)
	}
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return jwt{}, fmt.Errorf("%w: %d parts instead of 3", errMalformed, len(parts))
	}
	var decoded [3][]byte
	for i, part := range parts {
		b, err := base64.RawURLEncoding.Strict().DecodeString(part)
		if err != nil {
			return jwt{}, fmt.Errorf("%w: part %d is not base64url", errMalformed, i+1)
		}
		decoded[i] = b
	}
	t := jwt{payload: decoded[1], signed: parts[0] + "." + parts[1], signature: decoded[2]}
	if err := strictJSON(decoded[0], &t.header); err != nil {
		return jwt{}, fmt.Errorf("%w: header: %w", errMalformed, err)
	}
	return t, nil
}

// strictJSON reads exactly one JSON object.
func strictJSON(data []byte, into any) error {
	if trimmed := bytes.TrimSpace(data); len(trimmed) == 0 || trimmed[0] != '{' {
		return errMalformed
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errMalformed
	}
	return nil
}

// verify checks an RSA signature over the signed part.
func (t jwt) verify(key *rsa.PublicKey) error {
	hash := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}[t.header.Alg[2:]]
	h := hash.New()
	h.Write([]byte(t.signed))
	if strings.HasPrefix(t.header.Alg, "PS") {
		return rsa.VerifyPSS(key, hash, h.Sum(nil), t.signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash})
	}
	return rsa.VerifyPKCS1v15(key, hash, h.Sum(nil), t.signature)
}

func supportedAlg(alg string) bool {
	switch alg {
	case "RS256", "RS384", "RS512", "PS256", "PS384", "PS512":
		return true
	}
	return false
}

// thumbprints reads x5t and x5t#S256: base64url without padding as RFC 7515
// says, and padded or standard base64 as some libraries send it.
func (h jwtHeader) thumbprints() (sha1sum, sha256sum []byte, err error) {
	read := func(s string, size int) ([]byte, error) {
		if s == "" {
			return nil, nil
		}
		plain := strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(s, "="))
		b, err := base64.RawURLEncoding.DecodeString(plain)
		if err != nil || len(b) != size {
			return nil, fmt.Errorf("%w: the certificate's thumbprint", errMalformed)
		}
		return b, nil
	}
	if sha1sum, err = read(h.X5t, sha1.Size); err != nil {
		return nil, nil, err
	}
	if sha256sum, err = read(h.X5tS256, sha256.Size); err != nil {
		return nil, nil, err
	}
	if sha1sum == nil && sha256sum == nil && h.Kid != "" { // kid may hold the thumbprint in hexadecimal
		sha1sum, err = fromHex(h.Kid)
	}
	return sha1sum, sha256sum, err
}

func fromHex(s string) ([]byte, error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != sha1.Size {
		return nil, fmt.Errorf("%w: kid is no thumbprint", errMalformed)
	}
	return b, nil
}

// checkAssertion verifies a client assertion against the certificates
// registered on the application (RFC 7523 as Entra ID applies it).
func (w *World) checkAssertion(r *request, t tokenRequest, app *application) *refusal {
	token, err := parseJWT(t.assertion)
	if err != nil {
		return &refusal{code: 50027, args: []any{err.Error()}}
	}
	if !supportedAlg(token.header.Alg) {
		return &refusal{code: 5002738, args: []any{token.header.Alg}}
	}
	if len(token.header.Crit) > 0 {
		return &refusal{code: 50027, args: []any{"Critical header parameters are not understood."}}
	}
	var claims assertionClaims
	if err := strictJSON(token.payload, &claims); err != nil {
		return &refusal{code: 50027, args: []any{"The claims cannot be read."}}
	}
	sha1sum, sha256sum, err := token.header.thumbprints()
	if err != nil {
		return &refusal{code: 50027, args: []any{err.Error()}}
	}
	if sha1sum == nil && sha256sum == nil {
		return &refusal{code: 50027, args: []any{"The header names no certificate (x5t, x5t#S256 or kid)."}}
	}
	if f := w.checkSigner(token, app, sha1sum, sha256sum); f != nil {
		return f
	}
	return w.checkClaims(r, t, claims)
}

// checkSigner finds the registered certificate and verifies the signature.
func (w *World) checkSigner(token jwt, app *application, sha1sum, sha256sum []byte) *refusal {
	shown := strings.ToUpper(fmt.Sprintf("%x", sha1sum))
	if sha1sum == nil {
		shown = strings.ToUpper(fmt.Sprintf("%x", sha256sum))
	}
	now := w.now()
	for _, k := range app.KeyCredentials {
		if k.Key == nil || k.Usage != "Verify" || w.faults.get("wrong-thumbprint") != nil {
			continue
		}
		der, err := base64.StdEncoding.DecodeString(*k.Key)
		if err != nil {
			continue
		}
		one, other := sha1.Sum(der), sha256.Sum256(der) //nolint:gosec // see the import
		if sha1sum != nil && !bytes.Equal(sha1sum, one[:]) || sha256sum != nil && !bytes.Equal(sha256sum, other[:]) {
			continue
		}
		span := []any{k.StartDateTime.UTC().Format("01/02/2006 15:04:05"), k.EndDateTime.UTC().Format("01/02/2006 15:04:05")}
		if now.After(k.EndDateTime.Time) || now.Before(k.StartDateTime.Time) || w.faults.get("expired-certificate") != nil {
			return &refusal{code: 700027, args: []any{"The key used is expired.,", shown, fmt.Sprintf("Found key 'Start=%v, End=%v', ", span...), app.AppID}}
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			continue
		}
		key, ok := cert.PublicKey.(*rsa.PublicKey)
		if !ok || token.verify(key) != nil {
			return &refusal{code: 50013, args: []any{shown, span[0], span[1], app.AppID}}
		}
		return nil
	}
	return &refusal{code: 700027, args: []any{"The key was not found.,", shown, "", app.AppID}}
}

func (w *World) checkClaims(r *request, t tokenRequest, c assertionClaims) *refusal {
	if !strings.EqualFold(c.Issuer, t.clientID) || !strings.EqualFold(c.Subject, t.clientID) {
		return &refusal{code: 700021}
	}
	if !w.audienceFits(r, t, c.Audience) {
		return &refusal{code: 700023}
	}
	if c.ID == "" {
		return &refusal{code: 50027, args: []any{"The claim jti is missing."}}
	}
	expires, ok := unixTime(c.Expires)
	if !ok {
		return &refusal{code: 50027, args: []any{"The claim exp is missing."}}
	}
	from, ok := unixTime(c.NotBefore)
	if !ok {
		if from, ok = unixTime(c.IssuedAt); !ok {
			return &refusal{code: 50027, args: []any{"The claim nbf is missing."}}
		}
	}
	now := w.now()
	if now.After(expires.Add(clockSkew)) || now.Before(from.Add(-clockSkew)) {
		const form = "2006-01-02T15:04:05.0000000Z"
		return &refusal{code: 700024, args: []any{now.UTC().Format(form), from.UTC().Format(form), expires.UTC().Format(form)}}
	}
	return nil
}

// audienceFits accepts the token endpoints of the tenant, by its id or a
// domain, v1 and v2, and the issuer: the forms that the documentation names.
func (w *World) audienceFits(r *request, t tokenRequest, aud string) bool {
	names := []string{t.tenant}
	for _, d := range w.dir.domains {
		names = append(names, d.ID)
	}
	bases := []string{r.base}
	for _, s := range sites() {
		if r.site.name == s.name && s.name != "" {
			for _, host := range s.login {
				bases = append(bases, "https://"+host)
			}
		}
	}
	for _, base := range bases {
		for _, name := range names {
			root := base + "/" + name
			for _, path := range []string{"/oauth2/v2.0/token", "/oauth2/token", "/v2.0", "/"} {
				if strings.EqualFold(aud, root+path) {
					return true
				}
			}
		}
	}
	return strings.EqualFold(aud, "https://sts.windows.net/"+t.tenant+"/")
}

// unixTime reads a NumericDate; absurd values count as missing.
func unixTime(n json.Number) (time.Time, bool) {
	if n == "" {
		return time.Time{}, false
	}
	f, err := n.Float64()
	if err != nil || f < 0 || f > 1e11 {
		return time.Time{}, false
	}
	return time.Unix(int64(f), 0), true
}
