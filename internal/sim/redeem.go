package sim

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// deviceGrant is the grant type of RFC 8628; libraries also send the older "device_code".
const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"

// isUserGrant reports whether a grant type is for a person.
func isUserGrant(grantType string) bool {
	switch grantType {
	case "authorization_code", "refresh_token", "device_code", deviceGrant:
		return true
	}
	return false
}

// redemption is a token request for a person, understood.
type redemption struct {
	grantType  string
	clientID   string
	credential bool // a secret or an assertion came with it
	code       string
	redirect   string
	verifier   string
	scope      string // v2: may be empty
	claims     string
	clientInfo bool
	v2         bool
	form       url.Values
}

// understandUser checks the parameters of a token request for a person.
func understandUser(form url.Values, v2 bool) (redemption, *refusal) {
	q := redemption{grantType: form.Get("grant_type"), clientID: form.Get("client_id"), credential: form.Get("client_secret") != "" || form.Get("client_assertion") != "",
		redirect: form.Get("redirect_uri"), verifier: form.Get("code_verifier"), scope: form.Get("scope"), claims: form.Get("claims"), clientInfo: form.Get("client_info") == "1", v2: v2, form: form}
	name := map[string]string{"authorization_code": "code", "refresh_token": "refresh_token"}[q.grantType]
	if name == "" {
		if name = "device_code"; !v2 {
			name = "code"
		}
		q.grantType = deviceGrant
	}
	q.code = form.Get(name)
	for parameter, value := range map[string]string{"client_id": q.clientID, name: q.code} {
		if value == "" {
			return q, &refusal{code: 900144, args: []any{parameter}}
		}
	}
	if !v2 && form.Get("resource") != "" {
		q.scope = form.Get("resource") + "/" + everything + " openid offline_access"
	}
	if q.claims != "" && !isJSONObject(q.claims) {
		return q, &refusal{code: 90100, args: []any{"claims"}}
	}
	return q, nil
}

func isJSONObject(text string) bool {
	var any map[string]any
	return strictJSON([]byte(text), &any) == nil
}

// redeem answers a token request for a person: with a code, a refresh token or
// a device code.
func (w *World) redeem(r *request, form url.Values, tenantID string, shared, v2 bool) *answer {
	q, fail := understandUser(form, v2)
	if fail != nil {
		return w.refuse(r, *fail)
	}
	if f := w.faults.get("login-error"); f != nil {
		if code, err := strconv.Atoi(f.words[0]); err == nil {
			return w.refuse(r, refusal{code: code, args: gaps(code, q.clientID)})
		}
	}
	c, fail := w.clientOf(r, q.clientID, shared)
	if fail != nil {
		return w.refuse(r, *fail)
	}
	var s signedIn
	switch q.grantType {
	case "authorization_code":
		s, fail = w.redeemCode(r, c, q, tenantID, shared)
	case "refresh_token":
		s, fail = w.redeemRefresh(r, c, q, tenantID, shared)
	default:
		s, fail = w.redeemDevice(c, q)
	}
	if fail == nil {
		fail = w.tokenPolicy(s, q)
	}
	if fail == nil && q.scope != "" {
		s.scopes, fail = narrowed(s.scopes, q.scope)
	}
	if fail != nil {
		return w.refuse(r, *fail)
	}
	return w.issueUser(r, c, s, q)
}

// narrowed replaces the scopes of a grant by those of the token request, which
// may name another resource; what was granted at the sign-in is kept.
func narrowed(granted scopes, text string) (scopes, *refusal) {
	s, fail := parseScopes(text)
	if fail != nil {
		return s, fail
	}
	if s.resource == "" {
		s.resource, s.names, s.bare = granted.resource, granted.names, granted.bare
	}
	s.offline = s.offline && granted.offline
	return s, nil
}

// checkClient asks for a credential where one is due, and refuses one where
// none may be.
func (w *World) checkClient(r *request, c client, q redemption, kind string) *refusal {
	switch {
	case kind == redirectPublic && q.credential:
		return &refusal{code: 700025}
	case kind == redirectPublic:
		return nil
	case !q.credential:
		return &refusal{code: 7000218}
	}
	t := tokenRequest{tenant: w.dir.organization.ID, clientID: c.id, secret: q.form.Get("client_secret"), assertion: q.form.Get("client_assertion"), v2: q.v2}
	if t.assertion != "" {
		return w.checkAssertion(r, t, c.app)
	}
	return w.checkSecret(t, c.app)
}

func (w *World) redeemCode(r *request, c client, q redemption, tenantID string, shared bool) (signedIn, *refusal) {
	g := look(w.grants(), &w.grants().codes, q.code)
	if g == nil {
		return signedIn{}, &refusal{code: 9002313}
	}
	switch {
	case !strings.EqualFold(g.client, c.id):
		return signedIn{}, &refusal{code: 70000}
	case g.shared != shared || !shared && g.tenant != tenantID:
		return signedIn{}, &refusal{code: 700005}
	case q.redirect == "":
		return signedIn{}, &refusal{code: 700009}
	case q.redirect != g.redirect:
		return signedIn{}, &refusal{code: 500112, args: []any{q.redirect, g.redirect}}
	}
	if fail := w.checkClient(r, c, q, g.kind); fail != nil {
		return signedIn{}, fail
	}
	if fail := g.verify(q.verifier); fail != nil {
		return signedIn{}, fail
	}
	if w.now().After(g.ends) {
		return signedIn{}, &refusal{code: 70008}
	}
	w.grants().mu.Lock()
	defer w.grants().mu.Unlock()
	if g.used {
		return signedIn{}, &refusal{code: 54005}
	}
	g.used = true
	return g.signedIn, nil
}

// verify is PKCE (RFC 7636). A verifier for a code that was asked for without
// a challenge is refused as well: somebody took the challenge away.
func (g *codeGrant) verify(verifier string) *refusal {
	want := verifier
	if g.method == "S256" {
		sum := sha256.Sum256([]byte(verifier))
		want = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	switch {
	case g.challenge == "" && verifier == "":
		return nil
	case verifier == "":
		return &refusal{code: 50148}
	case g.challenge == "", subtle.ConstantTimeCompare([]byte(want), []byte(g.challenge)) != 1:
		return &refusal{code: 501481}
	}
	return nil
}

func (w *World) redeemRefresh(r *request, c client, q redemption, tenantID string, shared bool) (signedIn, *refusal) {
	g := look(w.grants(), &w.grants().refresh, q.code)
	if g == nil {
		return signedIn{}, &refusal{code: 9002313}
	}
	// Applications of one family may use each other's refresh tokens.
	if !strings.EqualFold(g.client, c.id) && (c.family == "" || !inFamily(g.client)) {
		return signedIn{}, &refusal{code: 70000}
	}
	if idle := w.now().Sub(g.issued); idle > refreshLife {
		const form = "2006-01-02T15:04:05.0000000Z"
		days := int(idle / (24 * time.Hour))
		return signedIn{}, &refusal{code: 700082, args: []any{g.issued.UTC().Format(form), strconv.Itoa(days) + ".00:00:00"}}
	}
	if !shared && g.tenant != tenantID {
		return signedIn{}, &refusal{code: 50020, args: []any{"{EmailHidden}", "https://sts.windows.net/" + g.tenant + "/", tenantID, c.id, c.name}}
	}
	if fail := w.checkClient(r, c, q, g.kind); fail != nil {
		return signedIn{}, fail
	}
	s := g.signedIn
	s.client, s.nonce = c.id, ""
	return s, nil
}

func inFamily(clientID string) bool {
	for _, c := range microsoftClients() {
		if strings.EqualFold(c.id, clientID) {
			return c.family != ""
		}
	}
	return false
}

// tokenPolicy is Conditional Access where it decides about tokens rather than
// on the sign-in page.
func (w *World) tokenPolicy(s signedIn, q redemption) *refusal {
	if w.faults.get("conditional-access") != nil {
		return &refusal{code: 53003}
	}
	if f := w.faults.get("browser-blocked"); f != nil && !s.device && !f.says("page") {
		return &refusal{code: 53000}
	}
	f := w.faults.get("mfa-required")
	if f == nil {
		return nil
	}
	if len(f.words) > 0 {
		if code, err := strconv.Atoi(f.words[0]); err == nil {
			return &refusal{code: code, args: []any{GraphAppID}}
		}
	}
	if !s.mfa && q.grantType == "refresh_token" { // the policy came after the sign-in
		return &refusal{code: 50076, args: []any{GraphAppID}}
	}
	return nil
}
