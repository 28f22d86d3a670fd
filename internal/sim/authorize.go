package sim

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// authorizeRequest is a request for an authorization code, understood.
type authorizeRequest struct {
	v2                       bool
	tenant                   string // id; "" for common and organizations
	clientID, redirect, kind string // kind of the redirect address
	mode, state, nonce       string
	scopes                   scopes
	claims                   string
	challenge, method        string
	prompt, hint             string
	clientInfo               bool
}

// repeated returns the name of a parameter that is there more than once.
func repeated(q url.Values) string {
	for _, name := range sortedKeys(q) {
		if len(q[name]) > 1 {
			return name
		}
	}
	return ""
}

// readAuthorize reads the parameters. What it refuses goes back to the
// application; client and redirect address are checked before, by others.
//
// Source: learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow;
// RFC 7636 for PKCE.
func readAuthorize(q url.Values, v2 bool) (authorizeRequest, *refusal) {
	a := authorizeRequest{v2: v2, clientID: q.Get("client_id"), redirect: q.Get("redirect_uri"), mode: q.Get("response_mode"), state: q.Get("state"), nonce: q.Get("nonce"), claims: q.Get("claims"),
		challenge: q.Get("code_challenge"), method: q.Get("code_challenge_method"), prompt: q.Get("prompt"), hint: q.Get("login_hint"), clientInfo: q.Get("client_info") == "1"}
	mode := a.mode
	switch mode {
	case "query", "fragment", "form_post":
	default: // also where an unknown mode is complained about
		a.mode = "query"
	}
	if mode != "" && mode != a.mode {
		return a, &refusal{code: 70007, args: []any{mode}}
	}
	missing := func(name string) *refusal { return &refusal{code: 900144, args: []any{name}} }
	switch kind := q.Get("response_type"); {
	case kind == "code":
	case kind == "":
		return a, missing("response_type")
	case slices.Contains(strings.Fields(kind), "id_token"):
		return a, &refusal{code: 700054}
	case slices.Contains(strings.Fields(kind), "token"):
		return a, &refusal{code: 700051}
	default:
		return a, &refusal{code: 70005, args: []any{kind}}
	}
	text := q.Get("scope")
	if !v2 {
		if text = "openid offline_access"; q.Get("resource") != "" {
			text += " " + q.Get("resource") + "/" + everything
		}
	}
	if text == "" {
		return a, missing("scope")
	}
	var fail *refusal
	if a.scopes, fail = parseScopes(text); fail != nil {
		return a, fail
	}
	if fail := a.checkChallenge(); fail != nil {
		return a, fail
	}
	switch a.prompt {
	case "", "login", "none", "consent", "select_account":
	default:
		return a, &refusal{code: 90023, args: []any{"Unsupported 'prompt' value."}}
	}
	if a.claims != "" && !isJSONObject(a.claims) {
		return a, &refusal{code: 90100, args: []any{"claims"}}
	}
	return a, nil
}

// checkChallenge checks the form of PKCE's parameters. The documentation says
// that plain is taken as well, and is meant when no method is given.
func (a *authorizeRequest) checkChallenge() *refusal {
	if a.challenge == "" {
		if a.method != "" {
			return &refusal{code: 50147}
		}
		return nil
	}
	switch a.method {
	case "S256", "plain":
	case "":
		a.method = "plain"
	default:
		return &refusal{code: 50149}
	}
	if len(a.challenge) < 43 || len(a.challenge) > 128 {
		return &refusal{code: 501491}
	}
	return nil
}

// authorize is the authorization endpoint: it checks the request and shows the
// first page, or answers at once when a session is enough.
func (w *World) authorize(r *request, segment string, v2 bool) *answer {
	id, shared, fail := w.tenantOf(segment)
	if fail != nil {
		return w.refusePage(r, *fail)
	}
	q, fail := r.parameters()
	if fail != nil {
		return w.refusePage(r, *fail)
	}
	a, wrong := readAuthorize(q, v2)
	a.tenant = id
	if a.clientID == "" {
		return w.refusePage(r, refusal{code: 900144, args: []any{"client_id"}})
	}
	c, fail := w.clientOf(r, a.clientID, shared)
	if fail != nil {
		return w.refusePage(r, *fail)
	}
	a.clientID = c.id
	if a.redirect == "" {
		return w.refusePage(r, refusal{code: 900971})
	}
	var known bool
	if a.kind, known = c.takes(a.redirect); !known {
		return w.refusePage(r, refusal{code: 50011, args: []any{a.redirect, c.id}})
	}
	if wrong != nil { // only now: the address is the application's own
		return w.reply(r, a, w.refusalValues(r, *wrong, "")) // a code would not be a credential here
	}
	return w.begin(r, &flow{kind: flowCode, tenant: id, client: c, scopes: a.scopes, authorize: a, prompt: a.prompt, hint: a.hint})
}

// parameters are those of the query, or of the form when the request is a POST.
func (r *request) parameters() (url.Values, *refusal) {
	text := r.URL.RawQuery
	if r.Method == http.MethodPost {
		text = string(r.body)
	}
	q, err := url.ParseQuery(text)
	if err != nil {
		return nil, &refusal{code: 9002313}
	}
	if name := repeated(q); name != "" {
		return nil, &refusal{code: 9000411, args: []any{name}}
	}
	return q, nil
}

// refusalValues are an error as it travels to an application's redirect address.
func (w *World) refusalValues(r *request, f refusal, subcode string) url.Values {
	body, _ := w.explain(r, f)
	v := url.Values{"error": {body.Error}, "error_description": {body.Description}, "error_uri": {body.URI}}
	if subcode != "" {
		v.Set("error_subcode", subcode)
	}
	return v
}

// reply sends values to the application: in the query, in the fragment, or with
// a page that posts a form.
func (w *World) reply(r *request, a authorizeRequest, v url.Values) *answer {
	if a.state != "" {
		v.Set("state", a.state)
	}
	if a.mode == "form_post" {
		return w.showPage(page{Step: "reply", Action: a.redirect, Title: "Working...", Fields: pairs(v)})
	}
	target, err := url.Parse(a.redirect)
	if err != nil { // the registered ones can be parsed
		return w.refusePage(r, refusal{code: 90102, args: []any{"redirect_uri"}})
	}
	if target.Path == "" {
		target.Path = "/" // "Redirect URIs not configured with a path segment are returned with a trailing slash"
	}
	location := target.String() + "#" + v.Encode()
	if a.mode == "query" {
		all := v.Encode()
		if target.RawQuery != "" {
			all = target.RawQuery + "&" + all
		}
		target.RawQuery = all
		location = target.String()
	}
	answer := newAnswer(http.StatusFound, "text/html; charset=utf-8", nil)
	answer.header.Set("Location", location)
	return answer
}

func pairs(v url.Values) []field {
	var list []field
	for _, name := range sortedKeys(v) {
		list = append(list, field{name, v.Get(name)})
	}
	return list
}

// grantCode ends a sign-in: the application gets its code.
func (w *World) grantCode(r *request, f *flow) *answer {
	a := f.authorize
	code := put(w.grants(), &w.grants().codes, w.random("1.AXwA"), &codeGrant{signedIn: f.signedIn(w.now()), redirect: a.redirect, challenge: a.challenge, method: a.method, ends: w.now().Add(codeLife)})
	v := url.Values{"code": {code}, "session_state": {f.id}}
	if a.clientInfo {
		v.Set("client_info", clientInfo(w.homeOf(w.person(f.account), f.signedInTo)))
	}
	return w.reply(r, a, v)
}
