package sim

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// delegate decides which permissions of a resource the client has for a person
// (an object id), and which somebody has to consent to first.
func (w *World) delegate(r *request, c client, s scopes, who string) (has []string, missing []delegation, fail *refusal) {
	p, fail := w.delegateResource(r, s)
	if fail != nil {
		return nil, nil, fail
	}
	if c.fixed != nil {
		for _, name := range s.names {
			if name != everything && !slices.ContainsFunc(c.fixed, func(f string) bool { return strings.EqualFold(f, name) }) || p.AppID != GraphAppID {
				return nil, nil, &refusal{code: 65002, args: []any{c.id, p.AppID}}
			}
		}
		return c.fixed, nil, nil
	}
	has = w.grants().consented(c.id, p.AppID, who)
	wanted := s.names
	if slices.Contains(s.names, everything) {
		if wanted = c.registered(p.AppID); len(wanted) == 0 && len(has) == 0 {
			if !c.microsoft {
				return nil, nil, &refusal{code: 650057, args: []any{c.id, c.name, s.resource, p.AppID, strings.Join(c.resources(), ", ")}}
			}
			wanted = []string{"User.Read"}
		}
	}
	for _, name := range wanted {
		d, known := delegationOf(p.AppID, name)
		if !known {
			return nil, nil, &refusal{code: 650053, args: []any{c.name, name, p.AppID}}
		}
		if !slices.Contains(has, d.value) {
			missing = append(missing, d)
		}
	}
	return has, missing, nil
}

// delegateResource is the service principal that the scopes name; OpenID scopes
// alone mean Graph.
func (w *World) delegateResource(r *request, s scopes) (*servicePrincipal, *refusal) {
	appID := w.resourceApp(s.resource)
	switch {
	case s.resource == "":
		appID = GraphAppID
	case appID == "" && isGUID(s.resource):
		appID = strings.ToLower(s.resource)
	}
	p := w.dir.at(r).principal(appID)
	if p == nil || p.AppID == ExchangeAppID && w.faults.get("no-exchange") != nil {
		return nil, &refusal{code: 500011, args: []any{s.resource, w.dir.organization.DisplayName}}
	}
	return p, nil
}

// registered lists the delegated permissions that the application's own
// registration names for a resource.
func (c client) registered(resourceAppID string) []string {
	var names []string
	if c.app == nil {
		return nil
	}
	for _, required := range c.app.RequiredResourceAccess {
		for _, access := range required.ResourceAccess {
			if d, ok := delegationOf(resourceAppID, access.ID); ok && required.ResourceAppID == resourceAppID && access.Type == "Scope" {
				names = append(names, d.value)
			}
		}
	}
	return names
}

func (c client) resources() []string {
	var ids []string
	if c.app != nil {
		for _, required := range c.app.RequiredResourceAccess {
			ids = append(ids, required.ResourceAppID)
		}
	}
	return ids
}

// idClaims is an ID token: v2.0, or v1.0 with unique_name and upn.
//
// Source: learn.microsoft.com/entra/identity-platform/id-token-claims-reference.
type idClaims struct {
	Audience   string   `json:"aud"`
	Issuer     string   `json:"iss"`
	IssuedAt   int64    `json:"iat"`
	NotBefore  int64    `json:"nbf"`
	Expires    int64    `json:"exp"`
	AMR        []string `json:"amr,omitempty"`
	Name       string   `json:"name"`
	Nonce      string   `json:"nonce,omitempty"`
	ObjectID   string   `json:"oid"`
	Preferred  string   `json:"preferred_username,omitempty"`
	RH         string   `json:"rh"`
	Subject    string   `json:"sub"`
	TenantID   string   `json:"tid"`
	UniqueName string   `json:"unique_name,omitempty"`
	UPN        string   `json:"upn,omitempty"`
	UTI        string   `json:"uti"`
	Version    string   `json:"ver"`
}

func (s signedIn) methods() []string {
	if s.mfa {
		return []string{"pwd", "mfa"}
	}
	return []string{"pwd"}
}

// userClaims is a v1.0 access token for a person, as Graph gets it.
func (w *World) userClaims(where site, c client, s signedIn, u *user, audience string, has []string, capabilities []string) accessClaims {
	now := w.now()
	region := where.region
	if region == "" {
		region = "EU"
	}
	issuer := "https://sts.windows.net/" + s.tenant + "/"
	from := now.Add(-5 * time.Minute).Unix()
	roles := append(w.rolesOf(u), "b79fbf4d-3ef9-4689-8143-76b194e85509") // every member's role "User"
	return accessClaims{Audience: audience, Issuer: issuer, IssuedAt: from, NotBefore: from, Expires: now.Add(tokenLife).Unix(), ACR: "1", AMR: s.methods(),
		AIO: "AVQAq/8" + w.dice.guid()[:8], DisplayName: c.name, AppID: c.id, AppIDACR: "0", IDP: issuer, IDType: "user", IPAddress: "203.0.113.7", Name: u.DisplayName, ObjectID: u.ID,
		RH: "1.AAAA" + w.dice.guid()[:8], Scope: strings.Join(has, " "), SignInState: []string{"kmsi"}, Subject: pairwise(c.id, u.ID), Region: region, TenantID: s.tenant, UniqueName: u.UserPrincipalName,
		UPN: u.UserPrincipalName, UTI: w.dice.guid(), Version: "1.0", WIDs: roles, Capabilities: capabilities, FTD: "sim", IdentityRel: "1 2", TenantDate: w.dir.organization.Created.Unix()}
}

// pairwise is the subject of a person for one application.
func pairwise(clientID, userID string) string {
	sum := sha256.Sum256([]byte(clientID + "|" + userID))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// shownScopes are the permissions as scp spells them: without regard to case in order.
func shownScopes(c client, s scopes, has []string) []string {
	list := slices.Clone(has)
	if c.fixed != nil {
		list = append(list, "email", "openid", "profile")
	} else {
		list = append(list, slices.DeleteFunc(slices.Clone(s.oidc), func(name string) bool { return name == "offline_access" })...)
	}
	slices.SortFunc(list, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
	return slices.Compact(list)
}

// answeredScopes are the permissions as the token endpoint names them: with
// their resource, unless the client left it out, and with the ".default" that
// was asked for.
func (s scopes) answeredScopes(shown []string) string {
	list := slices.Clone(shown)
	for i, name := range list {
		switch name {
		case "email", "openid", "profile":
		default:
			if !s.bare && s.resource != "" {
				list[i] = s.resource + "/" + name
			}
		}
	}
	if slices.Contains(s.names, everything) {
		list = append(list, s.resource+"/"+everything)
	}
	return strings.Join(list, " ")
}

// capabilitiesOf reads which claims challenges the client says it understands:
// {"access_token":{"xms_cc":{"values":["cp1"]}}}.
//
// Source: learn.microsoft.com/entra/identity-platform/claims-challenge.
func capabilitiesOf(claims string) []string {
	var asked struct {
		AccessToken struct {
			Capabilities struct {
				Values []string `json:"values"`
			} `json:"xms_cc"`
		} `json:"access_token"`
	}
	if claims == "" || json.Unmarshal([]byte(claims), &asked) != nil {
		return nil
	}
	return asked.AccessToken.Capabilities.Values
}

// issueUser answers a token request for a person.
func (w *World) issueUser(r *request, c client, s signedIn, q redemption) *answer {
	u := w.person(s.account)
	if u == nil || !u.AccountEnabled {
		return w.refuse(r, refusal{code: 50057})
	}
	has, missing, fail := w.delegate(r, c, s.scopes, s.account)
	if fail != nil {
		return w.refuse(r, *fail)
	}
	if len(missing) > 0 {
		return w.refuse(r, refusal{code: 65001, args: []any{c.id, c.name}})
	}
	key, err := w.keys.signing()
	if err != nil {
		return w.refuse(r, refusal{code: 90033})
	}
	audience := s.scopes.resource
	if audience == "" {
		audience = GraphAppID
	}
	shown := shownScopes(c, s.scopes, has)
	access := w.userClaims(r.site, c, s, u, audience, shown, capabilitiesOf(q.claims))
	raw, err := signJWT(key, access)
	if err != nil {
		return w.refuse(r, refusal{code: 90033})
	}
	w.answered.remember(access.UTI, q.claims)
	body := tokenBody{TokenType: "Bearer", Scope: s.scopes.answeredScopes(shown), ExpiresIn: 3599, ExtExpiresIn: 3599, AccessToken: raw, Family: c.family}
	id := idClaims{Audience: c.id, Issuer: r.base + "/" + s.tenant + "/v2.0", IssuedAt: access.IssuedAt, NotBefore: access.NotBefore, Expires: access.Expires, Name: u.DisplayName, Nonce: s.nonce, ObjectID: u.ID,
		Preferred: u.UserPrincipalName, RH: access.RH, Subject: access.Subject, TenantID: s.tenant, UTI: w.dice.guid(), Version: "2.0"}
	if !q.v2 {
		body.ExpiresIn, body.ExtExpiresIn, body.Resource, body.Scope = "3599", "3599", audience, strings.Join(shown, " ")
		body.ExpiresOn, body.NotBefore = strconv.FormatInt(access.Expires, 10), strconv.FormatInt(access.NotBefore, 10)
		id.Issuer, id.Version, id.Preferred, id.UniqueName, id.UPN, id.AMR = access.Issuer, "1.0", "", u.UserPrincipalName, u.UserPrincipalName, access.AMR
	}
	if s.scopes.openid || !q.v2 {
		if body.IDToken, err = signJWT(key, id); err != nil {
			return w.refuse(r, refusal{code: 90033})
		}
	}
	if s.scopes.offline || !q.v2 {
		body.RefreshToken = put(w.grants(), &w.grants().refresh, w.random("1.AAAA"), &refreshGrant{s, w.now()})
	}
	if q.clientInfo {
		body.ClientInfo = clientInfo(w.homeOf(u, s.tenant))
	}
	a := jsonAnswer(http.StatusOK, "application/json; charset=utf-8", body)
	a.secret = true
	return a
}

// clientInfo names the person's home account, for the libraries' caches.
func clientInfo(userID, tenantID string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(`{"uid":"` + userID + `","utid":"` + tenantID + `"}`))
}
