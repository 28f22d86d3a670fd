package sim

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// tokenLife is how long an access token is good from the moment it is issued;
// its times start five minutes earlier, as Entra ID's do.
const tokenLife = time.Hour

// accessClaims is a v1.0 access token for an application or a person, as Graph
// and Exchange Online get it.
//
// Source: learn.microsoft.com/entra/identity-platform/access-token-claims-reference.
type accessClaims struct {
	Audience     string   `json:"aud"`
	Issuer       string   `json:"iss"`
	IssuedAt     int64    `json:"iat"`
	NotBefore    int64    `json:"nbf"`
	Expires      int64    `json:"exp"`
	ACR          string   `json:"acr,omitempty"` // this and the others that may be absent: of people only
	AIO          string   `json:"aio"`
	AMR          []string `json:"amr,omitempty"`
	DisplayName  string   `json:"app_displayname,omitempty"`
	AppID        string   `json:"appid"`
	AppIDACR     string   `json:"appidacr"`
	IDP          string   `json:"idp"`
	IDType       string   `json:"idtyp"` // "app" or "user"
	IPAddress    string   `json:"ipaddr,omitempty"`
	Name         string   `json:"name,omitempty"`
	ObjectID     string   `json:"oid"`
	RH           string   `json:"rh"`
	Roles        []string `json:"roles,omitempty"` // absent when nothing is consented
	Scope        string   `json:"scp,omitempty"`   // delegated permissions, by spaces
	SignInState  []string `json:"signin_state,omitempty"`
	Subject      string   `json:"sub"`
	Region       string   `json:"tenant_region_scope"`
	TenantID     string   `json:"tid"`
	UniqueName   string   `json:"unique_name,omitempty"`
	UPN          string   `json:"upn,omitempty"`
	UTI          string   `json:"uti"`
	Version      string   `json:"ver"`
	WIDs         []string `json:"wids"` // template ids of directory roles
	Capabilities []string `json:"xms_cc,omitempty"`
	FTD          string   `json:"xms_ftd"`
	IdentityRel  string   `json:"xms_idrel"`
	TenantDate   int64    `json:"xms_tcdt"`
}

type tokenBody struct {
	TokenType    string `json:"token_type"`
	ExpiresIn    any    `json:"expires_in"`
	ExtExpiresIn any    `json:"ext_expires_in"`
	ExpiresOn    string `json:"expires_on,omitempty"` // v1 only
	NotBefore    string `json:"not_before,omitempty"` // v1 only
	Resource     string `json:"resource,omitempty"`   // v1 only
	Scope        string `json:"scope,omitempty"`
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token,omitempty"` // this and what follows: for people
	IDToken      string `json:"id_token,omitempty"`
	ClientInfo   string `json:"client_info,omitempty"`
	Family       string `json:"foci,omitempty"`
}

// issue signs an access token. There is no refresh token: the client has its
// credential.
func (w *World) issue(r *request, t tokenRequest, client, resource *servicePrincipal, audience, acr string, ripe bool) *answer {
	key, err := w.keys.signing()
	if err != nil {
		return w.refuse(r, refusal{code: 90033})
	}
	now := w.now()
	region := r.site.region
	if region == "" {
		region = "EU"
	}
	from := now.Add(-5 * time.Minute).Unix()
	c := accessClaims{Audience: audience, Issuer: "https://sts.windows.net/" + t.tenant + "/", IssuedAt: from, NotBefore: from, Expires: now.Add(tokenLife).Unix(),
		AIO: "k2RgYA" + w.dice.guid()[:8], DisplayName: client.DisplayName, AppID: client.AppID, AppIDACR: acr, IDP: "https://sts.windows.net/" + t.tenant + "/", IDType: "app",
		ObjectID: client.ID, RH: "1.AAAA" + w.dice.guid()[:8], Subject: client.ID, Region: region, TenantID: t.tenant, UTI: w.dice.guid(), Version: "1.0",
		WIDs: []string{"0997a1d0-0d1d-4acb-b408-d5ca73121e90"}, FTD: "sim", IdentityRel: "7 4", TenantDate: w.dir.organization.Created.Unix()}
	if ripe {
		c.Roles = w.rolesFor(r, client, resource)
	}
	raw, err := signJWT(key, c)
	if err != nil {
		return w.refuse(r, refusal{code: 90033})
	}
	w.answered.remember(c.UTI, t.claims)
	body := tokenBody{TokenType: "Bearer", ExpiresIn: 3599, ExtExpiresIn: 3599, AccessToken: raw}
	if !t.v2 {
		body.ExpiresIn, body.ExtExpiresIn, body.Resource = "3599", "3599", audience
		body.ExpiresOn, body.NotBefore = strconv.FormatInt(c.Expires, 10), strconv.FormatInt(c.NotBefore, 10)
	}
	a := jsonAnswer(http.StatusOK, "application/json; charset=utf-8", body)
	a.secret = true
	return a
}

// rolesFor is the consent as the token shows it, with what faults do to it.
func (w *World) rolesFor(r *request, client, resource *servicePrincipal) []string {
	if w.faults.get("no-roles") != nil {
		return nil
	}
	roles := w.dir.at(r).roles(client, resource)
	if f := w.faults.get("missing-role"); f != nil {
		roles = slices.DeleteFunc(roles, func(name string) bool { return slices.Contains(f.words, name) })
	}
	if f := w.faults.get("superfluous-role"); f != nil {
		for _, name := range f.words {
			home := GraphAppID
			for _, other := range []string{ExchangeAppID, SharePointAppID} {
				_, here := appRoleIDs()[home][name]
				if _, ok := appRoleIDs()[other][name]; ok && !here {
					home = other
				}
			}
			if home == resource.AppID && !slices.Contains(roles, name) {
				roles = append(roles, name)
			}
		}
	}
	return roles
}

func signJWT(key *rsa.PrivateKey, claims any) (string, error) {
	id := keyID(&key.PublicKey)
	header, err := json.Marshal(jwtHeader{Alg: "RS256", Typ: "JWT", X5t: id, Kid: id})
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	signed := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(payload)
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		return "", err
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// Why a service refuses a token.
var (
	errNoToken       = errors.New("no bearer token")
	errBadToken      = errors.New("the token cannot be read")
	errBadSignature  = errors.New("the signature is invalid")
	errWrongAudience = errors.New("the audience is another service")
	errExpiredToken  = errors.New("the token has expired")
	errWrongTenant   = errors.New("the tenant does not exist")
)

// bearer verifies the token that a request carries, for the service of appID.
func (w *World) bearer(r *request, appID string) (accessClaims, error) {
	scheme, raw, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	raw = strings.TrimSpace(raw)
	if !strings.EqualFold(scheme, "Bearer") || raw == "" {
		return accessClaims{}, errNoToken
	}
	token, err := parseJWT(raw)
	if err != nil || token.header.Alg != "RS256" {
		return accessClaims{}, errBadToken
	}
	var c accessClaims
	if err := strictJSON(token.payload, &c); err != nil {
		return c, errBadToken
	}
	key, err := w.keys.signing()
	if err != nil || token.verify(&key.PublicKey) != nil {
		return c, errBadSignature
	}
	now := w.now().Unix()
	switch {
	case c.TenantID != w.dir.organization.ID:
		return c, errWrongTenant
	case !w.audienceIs(r, c.Audience, appID):
		return c, errWrongAudience
	case now >= c.Expires || now < c.NotBefore:
		return c, errExpiredToken
	}
	return c, nil
}

// audienceIs reports whether a token's audience is this service: by its
// application id or by a URL of the same cloud.
func (w *World) audienceIs(r *request, audience, appID string) bool {
	if strings.EqualFold(audience, appID) {
		return true
	}
	if w.resourceApp(audience) != appID {
		return false
	}
	u, err := url.Parse(audience)
	if err != nil || appID == SharePointAppID && !isSameHost(audience, r.Host) {
		return false
	}
	_, where, public := serviceOfHost(u.Host)
	return !public || r.site.name == "" || where.name == r.site.name
}

// tokenNotes remembers which claims challenges a token answers, and how often
// something was asked.
type tokenNotes struct {
	mu    sync.Mutex
	nbf   map[string]string // by uti
	steps map[string]int

	grants grants // of people
}

func (w *World) grants() *grants { return &w.answered.grants }

// remember reads {"access_token":{"nbf":{"value":"…"}}} of a token request.
func (n *tokenNotes) remember(uti, claims string) {
	var asked struct {
		AccessToken struct {
			NotBefore struct {
				Value string `json:"value"`
			} `json:"nbf"`
		} `json:"access_token"`
	}
	if claims == "" || json.Unmarshal([]byte(claims), &asked) != nil || asked.AccessToken.NotBefore.Value == "" {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.nbf == nil {
		n.nbf = map[string]string{}
	}
	n.nbf[uti] = asked.AccessToken.NotBefore.Value
}

func (n *tokenNotes) answers(uti, challenge string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.nbf[uti] == challenge
}

// How far a delayed thing has come.
const (
	stepEarly = iota
	stepLast
	stepOver
)

// step counts a key: the first n-1 times it is early, then once the last time.
func (n *tokenNotes) step(key string, last int) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.steps == nil {
		n.steps = map[string]int{}
	}
	n.steps[key]++
	switch {
	case n.steps[key] < last:
		return stepEarly
	case n.steps[key] == last:
		return stepLast
	default:
		return stepOver
	}
}

// challenge is the WWW-Authenticate of continuous access evaluation, or "" when
// the token may pass.
//
// Source: learn.microsoft.com/entra/identity-platform/claims-challenge.
func (w *World) challenge(r *request, c accessClaims, clientID string) string {
	if w.faults.at("cae-challenge", r.service) == nil {
		return ""
	}
	nbf := strconv.FormatInt(w.start.Unix(), 10)
	if w.answered.answers(c.UTI, nbf) {
		return ""
	}
	claims := base64.StdEncoding.EncodeToString([]byte(`{"access_token":{"nbf":{"essential":true,"value":"` + nbf + `"}}}`))
	return `Bearer realm="", authorization_uri="` + w.authorizeURL(r) + `", client_id="` + clientID + `", error="insufficient_claims", claims="` + claims + `"`
}

// authorizeURL is where a refused client is told to sign in.
func (w *World) authorizeURL(r *request) string {
	base := w.LoginURL()
	if len(r.site.login) > 0 {
		base = "https://" + r.site.login[0]
	} else if r.site.name != "" {
		base = "https://login.microsoftonline.us" // DoD shares the sign-in of GCC High
	}
	return base + "/common/oauth2/authorize"
}
