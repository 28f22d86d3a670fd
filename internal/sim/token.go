package sim

import (
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// tokenRequest is a token request after its form has been understood.
type tokenRequest struct {
	tenant    string
	clientID  string
	secret    string
	assertion string
	scope     string
	claims    string
	v2        bool
}

// parseForm reads a form as the token endpoint does: url-encoded, each
// parameter once, credentials also by HTTP Basic.
func parseForm(header http.Header, body []byte) (url.Values, *refusal) {
	kind, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, &refusal{code: 900144, args: []any{"grant_type"}}
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, &refusal{code: 900144, args: []any{"grant_type"}}
	}
	if id, secret, ok := basicCredentials(header.Get("Authorization")); ok {
		if form.Get("client_id") == "" {
			form.Set("client_id", id)
		}
		if form.Get("client_secret") == "" {
			form.Set("client_secret", secret)
		}
	}
	return form, nil
}

// basicCredentials reads RFC 6749 section 2.3.1: both parts form-encoded.
func basicCredentials(header string) (id, secret string, ok bool) {
	scheme, value, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return "", "", false
	}
	raw, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		return "", "", false
	}
	user, pass, found := strings.Cut(string(raw), ":")
	if !found {
		return "", "", false
	}
	id, err1 := url.QueryUnescape(user)
	secret, err2 := url.QueryUnescape(pass)
	return id, secret, err1 == nil && err2 == nil
}

// understand checks the parameters in the order in which Entra ID complains.
func understand(form url.Values, v2 bool) (tokenRequest, *refusal) {
	t := tokenRequest{clientID: form.Get("client_id"), secret: form.Get("client_secret"), assertion: form.Get("client_assertion"), scope: form.Get("scope"), claims: form.Get("claims"), v2: v2}
	missing := func(name string) *refusal { return &refusal{code: 900144, args: []any{name}} }
	switch grantType := form.Get("grant_type"); grantType {
	case "client_credentials":
	case "":
		return t, missing("grant_type")
	default:
		return t, &refusal{code: 70003, args: []any{grantType}}
	}
	if t.clientID == "" {
		return t, missing("client_id")
	}
	if !v2 {
		if form.Get("resource") == "" {
			return t, missing("resource")
		}
		t.scope = form.Get("resource") + "/.default"
	}
	if t.scope == "" {
		return t, missing("scope")
	}
	if t.assertion != "" {
		switch form.Get("client_assertion_type") {
		case "urn:ietf:params:oauth:client-assertion-type:jwt-bearer":
		case "":
			return t, missing("client_assertion_type")
		default:
			return t, &refusal{code: 50027, args: []any{"The client assertion type is not supported."}}
		}
	}
	return t, nil
}

// token answers the token endpoint.
func (w *World) token(r *request, segment string, v2 bool) *answer {
	id, shared, fail := w.tenantOf(segment)
	if fail != nil {
		return w.refuse(r, *fail)
	}
	form, fail := parseForm(r.Header, r.body)
	if fail != nil {
		return w.refuse(r, *fail)
	}
	if isUserGrant(form.Get("grant_type")) {
		return w.redeem(r, form, id, shared, v2)
	}
	t, fail := understand(form, v2)
	if fail != nil {
		return w.refuse(r, *fail)
	}
	if shared {
		return w.refuse(r, refusal{code: 50059})
	}
	if t.claims != "" && !json.Valid([]byte(t.claims)) {
		return w.refuse(r, refusal{code: 90100, args: []any{"claims"}})
	}
	t.tenant = id
	if id != w.dir.organization.ID {
		return w.refuse(r, refusal{code: 700016, args: []any{t.clientID, OtherTenantName}})
	}
	client, kind, fail := w.authenticate(r, t)
	if fail != nil {
		return w.refuse(r, *fail)
	}
	audience, resource, fail := w.resourceOf(r, t.scope)
	if fail != nil {
		return w.refuse(r, *fail)
	}
	if w.faults.get("conditional-access") != nil {
		return w.refuse(r, refusal{code: 53003})
	}
	ripe := true
	if f := w.faults.get("replication-delay"); f != nil {
		switch w.answered.step("replication "+resource.AppID, f.count+1) {
		case stepLast:
			ripe = false // the consent arrives after the application
		case stepEarly:
			return w.refuse(r, refusal{code: 700016, args: []any{t.clientID, w.dir.organization.DisplayName}})
		case stepOver:
		}
	}
	return w.issue(r, t, client, resource, audience, kind, ripe)
}

// authenticate decides who the client is and whether its credential is good.
// It returns the service principal and the appidacr: "1" secret, "2" certificate.
func (w *World) authenticate(r *request, t tokenRequest) (*servicePrincipal, string, *refusal) {
	if f := w.faults.get("login-error"); f != nil {
		if code, err := strconv.Atoi(f.words[0]); err == nil {
			return nil, "", &refusal{code: code, args: gaps(code, t.clientID)}
		}
	}
	app := w.dir.at(r).application(t.clientID)
	if app == nil || w.faults.get("app-not-found") != nil {
		return nil, "", &refusal{code: 700016, args: []any{t.clientID, w.dir.organization.DisplayName}}
	}
	principal := w.dir.at(r).principal(t.clientID)
	if principal == nil || w.faults.get("no-service-principal") != nil {
		return nil, "", &refusal{code: 7000229, args: []any{t.clientID, t.tenant}}
	}
	if !principal.AccountEnabled || app.IsDisabled != nil && *app.IsDisabled || w.faults.get("disabled-app") != nil {
		return nil, "", &refusal{code: 7000112, args: []any{t.clientID, app.DisplayName}}
	}
	switch {
	case t.assertion != "":
		return principal, "2", w.checkAssertion(r, t, app)
	case t.secret != "":
		return principal, "1", w.checkSecret(t, app)
	default:
		return nil, "", &refusal{code: 7000216}
	}
}

// gaps fills the text of an error that is asked for by number.
func gaps(code int, clientID string) []any {
	n := strings.Count(loginTexts()[code].text, "%v")
	args := make([]any, n)
	for i := range args {
		args[i] = clientID
	}
	return args
}

func (w *World) checkSecret(t tokenRequest, app *application) *refusal {
	now := w.now()
	handedOut := w.faults.get("wrong-secret") == nil && w.faults.get("secret-id") == nil
	for _, p := range app.PasswordCredentials {
		if !handedOut || subtle.ConstantTimeCompare([]byte(p.secret), []byte(t.secret)) != 1 {
			continue
		}
		if now.After(p.EndDateTime.Time) || w.faults.get("expired-secret") != nil {
			return &refusal{code: 7000222, args: []any{app.AppID}}
		}
		return nil
	}
	return &refusal{code: 7000215, args: []any{app.AppID}}
}

// resourceOf reads a scope: exactly one resource with "/.default".
func (w *World) resourceOf(r *request, scope string) (audience string, p *servicePrincipal, fail *refusal) {
	var resources []string
	for _, s := range strings.Fields(scope) {
		resource, ok := strings.CutSuffix(s, "/.default")
		if !ok || resource == "" {
			if s == "openid" || s == "profile" || s == "offline_access" || s == "email" {
				continue // ignored: there is no user
			}
			if strings.ContainsAny(s, "\"<>\\^`{|}") {
				return "", nil, &refusal{code: 70011, args: []any{s}}
			}
			return "", nil, &refusal{code: 1002012, args: []any{s}}
		}
		resources = append(resources, resource)
	}
	switch {
	case len(resources) == 0:
		return "", nil, &refusal{code: 1002012, args: []any{scope}}
	case len(resources) > 1:
		return "", nil, &refusal{code: 700022, args: []any{scope}}
	}
	resource := resources[0]
	appID := w.resourceApp(resource)
	if appID == "" && isGUID(resource) {
		appID = strings.ToLower(resource)
	}
	p = w.dir.at(r).principal(appID)
	if p == nil || p.AppID == ExchangeAppID && w.faults.get("no-exchange") != nil {
		return "", nil, &refusal{code: 500011, args: []any{resource, w.dir.organization.DisplayName}}
	}
	return resource, p, nil
}

// resourceApp maps a resource's URL to the application that stands behind it:
// the public hosts of every cloud and the world's own addresses. One trailing
// slash is part of the name, as in "https://outlook.office365.com//.default".
func (w *World) resourceApp(resource string) string {
	u, err := url.Parse(resource)
	if err != nil || u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || len(u.Path) > 1 || u.RawQuery != "" {
		return ""
	}
	s, _, ok := serviceOfHost(u.Host)
	if !ok && isLocalSharePoint(u.Host) {
		s, ok = serviceSharePoint, true
	}
	if !ok {
		s = w.serviceOfBase(u.Host)
	}
	switch s {
	case serviceGraph:
		return GraphAppID
	case serviceOutlook:
		return ExchangeAppID
	case serviceSharePoint:
		if _, ok := w.sharePointHostOf(u.Host); !ok {
			return "" // the principal's names are the tenant's own hosts
		}
		return SharePointAppID
	default:
		return ""
	}
}

// serviceOfBase finds the service behind a loopback address of the world.
func (w *World) serviceOfBase(hostport string) service {
	for s, base := range w.names {
		own := strings.TrimPrefix(base, "https://")
		_, port, _ := strings.Cut(own, ":")
		if w.options.Listen == "" && (hostport == own || strings.EqualFold(hostport, "localhost:"+port)) {
			return s
		}
	}
	return ""
}
