package sim

import (
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // a key's identifier defaults to the SHA-1 thumbprint
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"
)

// proofAudience is whom a proof of possession is written for: Azure AD Graph.
//
// Source: learn.microsoft.com/graph/application-rollkey-prooftoken.
const (
	proofAudience = "00000002-0000-0000-c000-000000000000"
	proofLife     = 10 * time.Minute
)

// applyKeys replaces the collection of keyCredentials. An entry with the keyId
// of an existing one and without a key leaves that one as it is.
//
// Source: learn.microsoft.com/graph/api/resources/keycredential.
func (w *World) applyKeys(c graphCall, a *application, body fields) *answer {
	entries, ok := body.parts("keyCredentials", "customKeyIdentifier", "displayName", "endDateTime", "key", "keyId", "startDateTime", "type", "usage")
	if !ok {
		return c.invalid("Application", "keyCredentials")
	}
	list := []keyCredential{}
	for _, entry := range entries {
		k, bad := w.readKey(c, a, entry)
		if bad != nil {
			return bad
		}
		if slices.ContainsFunc(list, func(other keyCredential) bool { return other.KeyID == k.KeyID }) {
			return c.invalid("Application", "keyCredentials")
		}
		list = append(list, k)
	}
	a.KeyCredentials = list
	return nil
}

// readKey checks one certificate as the directory does: a public certificate in
// DER, with times inside its own.
func (w *World) readKey(c graphCall, a *application, entry fields) (keyCredential, *answer) {
	invalid := func() (keyCredential, *answer) { return keyCredential{}, c.invalid("Application", "keyCredentials") }
	id, hasID := entry.guidAt("keyId")
	if _, given := entry["keyId"]; given && !hasID && string(entry["keyId"]) != "null" {
		return invalid()
	}
	known := slices.IndexFunc(a.KeyCredentials, func(k keyCredential) bool { return hasID && strings.EqualFold(k.KeyID, id) })
	key, isText := entry.text("key", maxBody)
	switch {
	case !isText:
		return invalid()
	case key == nil && known >= 0:
		return a.KeyCredentials[known], nil
	case key == nil:
		return invalid()
	}
	der, err := decodeBinary(*key)
	if err != nil {
		return invalid()
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return invalid()
	}
	if usable := a.KeyCredentials; known >= 0 && usable[known].Key != nil && *usable[known].Key == base64.StdEncoding.EncodeToString(der) {
		return usable[known], nil
	}
	kind, ok1 := entry.text("type", 64)
	usage, ok2 := entry.text("usage", 64)
	name, ok3 := entry.text("displayName", 120)
	custom, ok4 := entry.text("customKeyIdentifier", 120)
	if !ok1 || !ok2 || !ok3 || !ok4 || kind == nil || *kind != "AsymmetricX509Cert" || usage == nil || *usage != "Verify" {
		return invalid()
	}
	k := keyCredential{CustomKeyIdentifier: thumbprintOf(der), Key: ptr(base64.StdEncoding.EncodeToString(der)), KeyID: id, Type: *kind, Usage: *usage}
	if !hasID {
		k.KeyID = w.dice.guid()
	}
	if name != nil {
		k.DisplayName = *name
	} else {
		k.DisplayName = cert.Subject.String()
	}
	if custom != nil && *custom != "" {
		if _, err := decodeBinary(*custom); err != nil {
			return invalid()
		}
		k.CustomKeyIdentifier = *custom
	}
	from, ok1 := entry.instant("startDateTime")
	to, ok2 := entry.instant("endDateTime")
	if !ok1 || !ok2 {
		return invalid()
	}
	if from.IsZero() {
		from = cert.NotBefore
	}
	if to.IsZero() {
		to = cert.NotAfter
	}
	switch {
	case from.Before(cert.NotBefore):
		return k, c.refuse("Key credential start date is invalid.", graphErrorItem{Code: "KeyCredentialsInvalidStartDate", Message: "Key credential start date is invalid.", Target: "startDateTime"})
	case to.After(cert.NotAfter), !to.After(from), !to.After(c.world.now()):
		return k, c.refuse("Key credential end date is invalid.", graphErrorItem{Code: "KeyCredentialsInvalidEndDate", Message: "Key credential end date is invalid.", Target: "endDateTime"})
	}
	k.StartDateTime, k.EndDateTime = stamp{from.UTC()}, stamp{to.UTC()}
	return k, w.keyPolicy(c, to.Sub(from))
}

// keyPolicy is the tenant's limit for the life of certificates (fault cert-lifetime).
//
// Source: learn.microsoft.com/entra/identity/enterprise-apps/configure-app-management-policies.
func (w *World) keyPolicy(c graphCall, life time.Duration) *answer {
	f := w.faults.get("cert-lifetime")
	if f == nil || life <= f.wait {
		return nil
	}
	text := "Credential lifetime exceeds the max value allowed as per assigned policy '" + w.policyID() + "'."
	return c.errorWith(http.StatusBadRequest, "CredentialInvalidLifetimeAsPerAppPolicy", text, graphErrorItem{Code: "InvalidKeyEndDate", Message: text, Target: "EndDate"})
}

// applyPasswords lets a PATCH take secrets away; new ones come from addPassword only.
func (w *World) applyPasswords(c graphCall, a *application, body fields) *answer {
	entries, ok := body.parts("passwordCredentials", "customKeyIdentifier", "displayName", "endDateTime", "hint", "keyId", "secretText", "startDateTime")
	if !ok {
		return c.invalid("Application", "passwordCredentials")
	}
	list := []passwordCredential{}
	for _, entry := range entries {
		id, ok := entry.guidAt("keyId")
		i := slices.IndexFunc(a.PasswordCredentials, func(p passwordCredential) bool { return ok && strings.EqualFold(p.KeyID, id) })
		if i < 0 {
			return c.refuse("New password credentials must be generated with service actions.")
		}
		list = append(list, a.PasswordCredentials[i])
	}
	a.PasswordCredentials = list
	return nil
}

func decodeBinary(s string) ([]byte, error) {
	plain := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(s, "="))
	return base64.RawStdEncoding.DecodeString(plain)
}

func thumbprintOf(der []byte) string {
	sum := sha1.Sum(der) //nolint:gosec // see the import
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

func ptr[T any](v T) *T { return &v }

// addPassword makes a client secret; its text is in this answer and nowhere else.
//
// Source: learn.microsoft.com/graph/api/application-addpassword.
func (w *World) addPassword(c graphCall) *answer {
	a, bad := c.ownApplication()
	if bad != nil {
		return bad
	}
	wish := fields{}
	if len(c.body) > 0 {
		body, bad := c.object()
		if bad != nil {
			return bad
		}
		if bad := c.checkBody("addPassword", map[string]string{"passwordCredential": objectValue}, body); bad != nil {
			return bad
		}
		if raw, ok := body["passwordCredential"]; ok && string(raw) != "null" {
			inner, ok := fields{"all": []byte("[" + string(raw) + "]")}.parts("all", "customKeyIdentifier", "displayName", "endDateTime", "hint", "keyId", "secretText", "startDateTime")
			if !ok {
				return c.invalid("Application", "passwordCredential")
			}
			wish = inner[0]
		}
	}
	name, ok1 := wish.text("displayName", 120)
	from, ok2 := wish.instant("startDateTime")
	to, ok3 := wish.instant("endDateTime")
	if !ok1 || !ok2 || !ok3 {
		return c.invalid("Application", "passwordCredential")
	}
	if from.IsZero() {
		from = c.stampNow().Time
	}
	if to.IsZero() {
		to = from.AddDate(2, 0, 0)
	}
	if !to.After(from) || !to.After(w.now()) {
		return c.refuse("Password credential end date is invalid.")
	}
	if w.faults.get("secrets-forbidden") != nil {
		text := "Credential type not allowed as per assigned policy '" + w.policyID() + "'."
		return c.errorWith(http.StatusBadRequest, "CredentialTypeNotAllowedAsPerAppPolicy", text, graphErrorItem{Code: "CredentialTypeNotAllowedAsPerAppPolicy", Message: text, Target: "passwordCredentials"})
	}
	id := w.dice.guid()
	p := passwordCredential{EndDateTime: stamp{to}, KeyID: id, StartDateTime: stamp{from}, secret: secretOf(w.options.Seed, id)}
	if name != nil {
		p.DisplayName = *name
	}
	p.Hint = p.secret[:3]
	bad = w.replaceApplication(c, a.ID, func(_ *tenant, next *application) *answer {
		next.PasswordCredentials = append(slices.Clone(next.PasswordCredentials), p)
		return nil
	})
	if bad != nil {
		return bad
	}
	shown := p
	shown.SecretText = &p.secret
	out := fieldsOf(shown)
	out["@odata.context"] = c.context("microsoft.graph.passwordCredential", false)
	made := jsonAnswer(http.StatusOK, graphContentType, out)
	made.secret = true
	return made
}

func (w *World) removePassword(c graphCall) *answer {
	a, bad := c.ownApplication()
	if bad != nil {
		return bad
	}
	id, bad := c.keyIDOf("removePassword", "keyId")
	if bad != nil {
		return bad
	}
	bad = w.replaceApplication(c, a.ID, func(_ *tenant, next *application) *answer {
		i := slices.IndexFunc(next.PasswordCredentials, func(p passwordCredential) bool { return strings.EqualFold(p.KeyID, id) })
		if i < 0 {
			return c.refuse("No password credential found with keyId '" + id + "'.")
		}
		next.PasswordCredentials = slices.Delete(slices.Clone(next.PasswordCredentials), i, i+1)
		return nil
	})
	if bad != nil {
		return bad
	}
	return done()
}

// keyIDOf reads the body of removePassword and removeKey.
func (c graphCall) keyIDOf(action string, properties ...string) (string, *answer) {
	body, bad := c.object()
	if bad != nil {
		return "", bad
	}
	known := map[string]string{}
	for _, name := range properties {
		known[name] = textValue
	}
	if bad := c.checkBody(action, known, body); bad != nil {
		return "", bad
	}
	id, ok := body.guidAt("keyId")
	if !ok {
		return "", c.invalid(action, "keyId")
	}
	return id, nil
}

// provenApplication is the application of a key action, for those who may
// change it and for the application itself, with the proof verified.
func (w *World) provenApplication(c graphCall, body fields) (*application, *answer) {
	a, bad := c.theApplication()
	if bad != nil {
		return nil, bad
	}
	itself := !c.who.delegated() && strings.EqualFold(c.who.AppID, a.AppID)
	if !itself && !c.manages(a.owners) {
		return nil, c.denied("/applications")
	}
	proof, _ := body.text("proof", maxJWT)
	if proof == nil || !w.proves(a, *proof) {
		return nil, c.graphError(http.StatusUnauthorized, "Authentication_MissingOrMalformed", "Access Token missing or malformed.")
	}
	return a, c.work("app " + a.AppID)
}

// proves verifies a proof of possession: signed by a valid certificate of the
// application, for the directory, at most ten minutes long.
func (w *World) proves(a *application, raw string) bool {
	token, err := parseJWT(raw)
	if err != nil || !supportedAlg(token.header.Alg) {
		return false
	}
	var claims assertionClaims
	if strictJSON(token.payload, &claims) != nil || claims.Audience != proofAudience || !strings.EqualFold(claims.Issuer, a.ID) {
		return false
	}
	from, ok1 := unixTime(claims.NotBefore)
	to, ok2 := unixTime(claims.Expires)
	now := w.now()
	if !ok1 || !ok2 || to.Sub(from) > proofLife || now.Before(from.Add(-clockSkew)) || !now.Before(to) {
		return false
	}
	return slices.ContainsFunc(a.KeyCredentials, func(k keyCredential) bool {
		if k.Key == nil || now.Before(k.StartDateTime.Time) || now.After(k.EndDateTime.Time) {
			return false
		}
		der, err := base64.StdEncoding.DecodeString(*k.Key)
		if err != nil {
			return false
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return false
		}
		key, ok := cert.PublicKey.(*rsa.PublicKey)
		return ok && token.verify(key) == nil
	})
}

func (w *World) addKey(c graphCall) *answer {
	body, bad := c.object()
	if bad != nil {
		return bad
	}
	if bad := c.checkBody("addKey", map[string]string{"keyCredential": objectValue, "passwordCredential": objectValue, "proof": textValue}, body); bad != nil {
		return bad
	}
	a, bad := w.provenApplication(c, body)
	if bad != nil {
		return bad
	}
	if raw := body["passwordCredential"]; raw != nil && string(raw) != "null" {
		return c.invalid("Application", "passwordCredential") // only for X509CertAndPassword
	}
	wrapped := fields{"keyCredentials": []byte("[" + string(body["keyCredential"]) + "]")}
	entries, ok := wrapped.parts("keyCredentials", "customKeyIdentifier", "displayName", "endDateTime", "key", "keyId", "startDateTime", "type", "usage")
	if !ok || len(entries) != 1 || entries[0]["key"] == nil {
		return c.invalid("Application", "keyCredential")
	}
	delete(entries[0], "keyId")
	k, bad := w.readKey(c, a, entries[0])
	if bad != nil {
		return bad
	}
	bad = w.replaceApplication(c, a.ID, func(_ *tenant, next *application) *answer {
		next.KeyCredentials = append(slices.Clone(next.KeyCredentials), k)
		return nil
	})
	if bad != nil {
		return bad
	}
	k.Key = nil
	out := fieldsOf(k)
	out["@odata.context"] = c.context("microsoft.graph.keyCredential", false)
	return jsonAnswer(http.StatusOK, graphContentType, out)
}

func (w *World) removeKey(c graphCall) *answer {
	id, bad := c.keyIDOf("removeKey", "keyId", "proof")
	if bad != nil {
		return bad
	}
	body, _ := c.object()
	a, bad := w.provenApplication(c, body)
	if bad != nil {
		return bad
	}
	bad = w.replaceApplication(c, a.ID, func(_ *tenant, next *application) *answer {
		i := slices.IndexFunc(next.KeyCredentials, func(k keyCredential) bool { return strings.EqualFold(k.KeyID, id) })
		if i < 0 {
			return c.refuse("No key credential found with keyId '" + id + "'.")
		}
		next.KeyCredentials = slices.Delete(slices.Clone(next.KeyCredentials), i, i+1)
		return nil
	})
	if bad != nil {
		return bad
	}
	return done()
}
