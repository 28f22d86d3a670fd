package sim_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"

	"github.com/c2conn/c2conn/internal/sim"
)

const verifier = "a-verifier-of-at-least-forty-three-characters-0123456789"

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// application is the loopback server of something that signs people in.
type application struct {
	url  string // the redirect address, on localhost
	mu   sync.Mutex
	got  url.Values
	how  string
	path string
}

func listen(t *testing.T) *application {
	t.Helper()
	a := &application{}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.how, a.path = r.Method, r.URL.Path
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		a.got = r.Form
		_, _ = rw.Write([]byte("Thank you"))
	}))
	t.Cleanup(server.Close)
	_, port, _ := strings.Cut(strings.TrimPrefix(server.URL, "http://"), ":")
	a.url = "http://localhost:" + port
	return a
}

func (a *application) received() url.Values {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.got
}

// authorizeURL is a good request of Azure CLI's; values replace its parameters,
// an empty one removes it, "tenant" and "v1" change the address.
func authorizeURL(w *sim.World, a *application, values map[string]string) string {
	q := url.Values{"client_id": {sim.AzureCLIAppID}, "response_type": {"code"}, "redirect_uri": {a.url}, "scope": {w.GraphURL() + "/.default openid profile offline_access"}, "state": {"a&b <c>"},
		"code_challenge": {challengeOf(verifier)}, "code_challenge_method": {"S256"}, "nonce": {"n-1"}, "client_info": {"1"}}
	return w.LoginURL() + endpoint(q, values, "/oauth2/v2.0/authorize", "/oauth2/authorize") + "?" + q.Encode()
}

func endpoint(q url.Values, values map[string]string, v2, v1 string) string {
	tenant, path := "organizations", v2
	for k, v := range values {
		switch {
		case k == "tenant":
			tenant = v
		case k == "v1":
			path = v1
		case v == "":
			q.Del(k)
		default:
			q.Set(k, v)
		}
	}
	return "/" + tenant + path
}

// signIn signs in and returns what the application received.
func signIn(t *testing.T, w *sim.World, upn string, values map[string]string) (url.Values, *application) {
	t.Helper()
	a := listen(t)
	status, text, err := w.SignIn(t.Context(), w.Client(), authorizeURL(w, a, values), upn, sim.AdminPassword)
	if err != nil || status != "200 OK" || text != "Thank you" {
		t.Fatalf("%s %v\n%.2000s", status, err, text)
	}
	return a.received(), a
}

// redeem sends a token request for a person.
func redeem(t *testing.T, w *sim.World, values map[string]string) reply {
	t.Helper()
	form := url.Values{"grant_type": {"authorization_code"}, "client_id": {sim.AzureCLIAppID}, "code_verifier": {verifier}, "client_info": {"1"}}
	address := w.LoginURL() + endpoint(form, values, "/oauth2/v2.0/token", "/oauth2/token")
	return send(t, w.Client(), http.MethodPost, address, form.Encode(), map[string]string{"Content-Type": "application/x-www-form-urlencoded"})
}

func TestSignInWithACode(t *testing.T) {
	t.Parallel()
	w := start(t)
	for name, c := range map[string]struct {
		values map[string]string
		how    string
	}{
		"query":             {map[string]string{"response_mode": "query"}, http.MethodGet},
		"default":           {nil, http.MethodGet},
		"form_post":         {map[string]string{"response_mode": "form_post"}, http.MethodPost},
		"by tenant":         {map[string]string{"tenant": sim.DefaultDomain}, http.MethodGet},
		"login hint":        {map[string]string{"login_hint": sim.GlobalAdmin, "prompt": "select_account"}, http.MethodGet},
		"plain":             {map[string]string{"code_challenge": verifier, "code_challenge_method": "plain"}, http.MethodGet},
		"plain, unsaid":     {map[string]string{"code_challenge": verifier, "code_challenge_method": ""}, http.MethodGet},
		"v1":                {map[string]string{"v1": "yes", "resource": w.GraphURL(), "scope": ""}, http.MethodGet},
		"v1, form_post":     {map[string]string{"v1": "yes", "resource": w.GraphURL(), "scope": "", "response_mode": "form_post"}, http.MethodPost},
		"v1, resource late": {map[string]string{"v1": "yes", "scope": ""}, http.MethodGet},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, a := signIn(t, w, sim.GlobalAdmin, c.values)
			if a.how != c.how || got.Get("state") != "a&b <c>" || got.Get("code") == "" || got.Get("error") != "" {
				t.Fatalf("%s %v", a.how, got)
			}
			v1 := c.values["v1"]
			request := map[string]string{"code": got.Get("code"), "redirect_uri": a.url, "tenant": c.values["tenant"]}
			if request["tenant"] == "" {
				request["tenant"] = "organizations"
			}
			if v1 != "" {
				request["v1"], request["resource"] = v1, w.GraphURL()
			}
			r := redeem(t, w, request)
			if r.status != 200 {
				t.Fatalf("%d %s", r.status, r.body)
			}
			body := r.json(t)
			claims := claimsOf(t, w, body["access_token"].(string))
			for key, want := range map[string]any{"upn": sim.GlobalAdmin, "tid": w.TenantID, "appid": sim.AzureCLIAppID, "appidacr": "0", "idtyp": "user", "ver": "1.0", "name": "Contoso Administrator",
				"aud": w.GraphURL(), "scp": "Application.ReadWrite.All AppRoleAssignment.ReadWrite.All AuditLog.Read.All DelegatedPermissionGrant.ReadWrite.All Directory.AccessAsUser.All email Group.ReadWrite.All openid profile User.Read.All User.ReadWrite.All"} {
				if claims[key] != want {
					t.Errorf("%s is %v, want %v", key, claims[key], want)
				}
			}
			if wids := claims["wids"].([]any); wids[0] != sim.RoleGlobalAdministrator {
				t.Errorf("wids %v", wids)
			}
			id := claimsOf(t, w, body["id_token"].(string))
			if v1 == "" && (id["nonce"] != "n-1" || id["aud"] != sim.AzureCLIAppID || id["iss"] != w.LoginURL()+"/"+w.TenantID+"/v2.0" || id["preferred_username"] != sim.GlobalAdmin) {
				t.Errorf("id_token %v", id)
			}
			info, err := base64.RawURLEncoding.DecodeString(body["client_info"].(string))
			if err != nil || string(info) != `{"uid":"`+claims["oid"].(string)+`","utid":"`+w.TenantID+`"}` {
				t.Errorf("client_info %s %v", info, err)
			}
			if body["refresh_token"] == nil || body["foci"] != "1" {
				t.Errorf("%v", body)
			}
			if scope := body["scope"].(string); v1 == "" && (!strings.Contains(scope, w.GraphURL()+"/.default") || !strings.Contains(scope, w.GraphURL()+"/Directory.AccessAsUser.All")) {
				t.Errorf("scope %s", scope)
			}
			if again := redeem(t, w, request); again.code(t) != 54005 || again.json(t)["error"] != "invalid_grant" {
				t.Errorf("again: %s", again.body)
			}
		})
	}
}

// visit opens an address without following it anywhere.
func visit(t *testing.T, w *sim.World, address string) reply {
	t.Helper()
	client := w.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return send(t, client, http.MethodGet, address, "", nil)
}

func TestAuthorizeRefusals(t *testing.T) {
	t.Parallel()
	w := start(t)
	a := &application{url: "http://localhost:4711"}
	backup, _ := w.App(sim.AppBackup)
	for name, c := range map[string]struct {
		values map[string]string
		code   string
		oauth  string // "": a page, nothing is sent to the application
	}{
		"no client":               {map[string]string{"client_id": ""}, "900144", ""},
		"unknown client":          {map[string]string{"client_id": "11111111-1111-4111-8111-111111111111"}, "700016", ""},
		"not for all tenants":     {map[string]string{"client_id": backup.ClientID}, "50194", ""},
		"no redirect registered":  {map[string]string{"client_id": backup.ClientID, "tenant": w.TenantID}, "50011", ""},
		"unknown tenant":          {map[string]string{"tenant": "nowhere.example"}, "90002", ""},
		"no redirect":             {map[string]string{"redirect_uri": ""}, "900971", ""},
		"another host":            {map[string]string{"redirect_uri": "http://evil.example"}, "50011", ""},
		"localhost with https":    {map[string]string{"redirect_uri": "https://localhost:4711"}, "50011", ""},
		"localhost with a path":   {map[string]string{"redirect_uri": "http://localhost:4711/x"}, "50011", ""},
		"localhost with a user":   {map[string]string{"redirect_uri": "http://evil@localhost:4711"}, "50011", ""},
		"127.0.0.1":               {map[string]string{"redirect_uri": "http://127.0.0.1:4711"}, "50011", ""},
		"IPv6":                    {map[string]string{"redirect_uri": "http://[::1]:4711"}, "50011", ""},
		"fragment":                {map[string]string{"redirect_uri": "http://localhost:4711#x"}, "50011", ""},
		"no response type":        {map[string]string{"response_type": ""}, "900144", "invalid_request"},
		"token":                   {map[string]string{"response_type": "token"}, "700051", "unsupported_response_type"},
		"id_token":                {map[string]string{"response_type": "code id_token"}, "700054", "unsupported_response_type"},
		"nonsense type":           {map[string]string{"response_type": "x"}, "70005", "unsupported_response_type"},
		"nonsense mode":           {map[string]string{"response_mode": "web_message"}, "70007", "unsupported_response_mode"},
		"no scope":                {map[string]string{"scope": ""}, "900144", "invalid_request"},
		"scope with braces":       {map[string]string{"scope": "{x}"}, "70011", "invalid_scope"},
		"two resources":           {map[string]string{"scope": w.GraphURL() + "/.default " + w.OutlookURL() + "/.default"}, "28000", "invalid_scope"},
		"default and more":        {map[string]string{"scope": w.GraphURL() + "/.default " + w.GraphURL() + "/User.Read"}, "70011", "invalid_scope"},
		"challenge method":        {map[string]string{"code_challenge_method": "S512"}, "50149", "invalid_request"},
		"short challenge":         {map[string]string{"code_challenge": "short"}, "501491", "invalid_request"},
		"no challenge":            {map[string]string{"code_challenge": ""}, "50147", "invalid_request"},
		"nonsense prompt":         {map[string]string{"prompt": "always"}, "90023", "invalid_request"},
		"claims are no JSON":      {map[string]string{"claims": "{"}, "90100", "invalid_request"},
		"nobody signed in":        {map[string]string{"prompt": "none"}, "50058", "login_required"},
		"v1 without a challenge":  {map[string]string{"v1": "1", "code_challenge": ""}, "50147", "invalid_request"},
		"v1 with a strange scope": {map[string]string{"v1": "1", "resource": "{"}, "70011", "invalid_scope"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := visit(t, w, authorizeURL(w, a, c.values))
			if c.oauth == "" {
				for _, part := range []string{"AADSTS" + c.code + ":", "Correlation Id", "Request Id", "Timestamp"} {
					if r.status != 400 || !strings.Contains(r.body, part) || r.header.Get("Location") != "" {
						t.Fatalf("%d %s, no %s in\n%.3000s", r.status, r.header.Get("Location"), part, r.body)
					}
				}
				return
			}
			to, err := url.Parse(r.header.Get("Location"))
			if err != nil || r.status != 302 || to.Host != "localhost:4711" || to.Path != "/" {
				t.Fatalf("%d %q", r.status, r.header.Get("Location"))
			}
			q := to.Query()
			if q.Get("error") != c.oauth || !strings.HasPrefix(q.Get("error_description"), "AADSTS"+c.code+": ") || q.Get("state") != "a&b <c>" {
				t.Errorf("%v", q)
			}
		})
	}
	if r := visit(t, w, authorizeURL(w, a, nil)+"&state=2"); r.status != 400 || !strings.Contains(r.body, "AADSTS9000411") {
		t.Errorf("a repeated parameter: %d", r.status)
	}
	if r := visit(t, w, authorizeURL(w, a, map[string]string{"response_mode": "fragment", "prompt": "none"})); !strings.HasPrefix(r.header.Get("Location"), "http://localhost:4711/#error") {
		t.Errorf("fragment: %s", r.header.Get("Location"))
	}
}

func TestPeopleWhoCannotSignIn(t *testing.T) {
	t.Parallel()
	w := start(t)
	for name, c := range map[string]struct{ upn, password, text string }{
		"wrong password":   {sim.GlobalAdmin, "guess", "AADSTS50126"},
		"nobody":           {"nobody@contoso.com", sim.AdminPassword, "username may be incorrect"},
		"no address":       {"admin", sim.AdminPassword, "valid email address"},
		"personal account": {"someone@outlook.com", sim.AdminPassword, "personal account"},
		"disabled":         {"disabled@contoso.com", sim.AdminPassword, "AADSTS50057"},
		"foreign":          {sim.ForeignAdmin, sim.AdminPassword, "username may be incorrect"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := listen(t)
			_, text, err := w.SignIn(t.Context(), w.Client(), authorizeURL(w, a, nil), c.upn, c.password)
			if !errors.Is(err, sim.ErrPage) || !strings.Contains(html.UnescapeString(text), c.text) || a.received() != nil {
				t.Errorf("%v, %v\n%.3000s", err, a.received(), text)
			}
		})
	}
}

func TestRedeemRefusals(t *testing.T) {
	t.Parallel()
	w := start(t)
	for name, c := range map[string]struct {
		values map[string]string
		code   int
		oauth  string
	}{
		"wrong verifier":     {map[string]string{"code_verifier": strings.Repeat("x", 43)}, 501481, "invalid_grant"},
		"no verifier":        {map[string]string{"code_verifier": ""}, 50148, "invalid_grant"},
		"no code":            {map[string]string{"code": ""}, 900144, "invalid_request"},
		"no client":          {map[string]string{"client_id": ""}, 900144, "invalid_request"},
		"nonsense code":      {map[string]string{"code": "x"}, 9002313, "invalid_grant"},
		"another client":     {map[string]string{"client_id": sim.GraphCLIAppID}, 70000, "invalid_grant"},
		"unknown client":     {map[string]string{"client_id": "11111111-1111-4111-8111-111111111111"}, 700016, "unauthorized_client"},
		"another tenant":     {map[string]string{"tenant": w.TenantID}, 700005, "invalid_grant"},
		"no redirect":        {map[string]string{"redirect_uri": ""}, 700009, "invalid_request"},
		"another redirect":   {map[string]string{"redirect_uri": "http://localhost:1"}, 500112, "invalid_client"},
		"with a secret":      {map[string]string{"client_secret": "x"}, 700025, "invalid_client"},
		"claims are no JSON": {map[string]string{"claims": "[]"}, 90100, "invalid_request"},
		"more permissions":   {map[string]string{"scope": w.GraphURL() + "/Policy.Read.All"}, 65002, "invalid_client"},
		"another API":        {map[string]string{"scope": w.OutlookURL() + "/.default"}, 65002, "invalid_client"},
		"unknown API":        {map[string]string{"scope": "https://unknown.example/.default"}, 500011, "invalid_resource"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, a := signIn(t, w, sim.GlobalAdmin, nil)
			values := map[string]string{"code": got.Get("code"), "redirect_uri": a.url}
			for k, v := range c.values {
				values[k] = v
			}
			if r := redeem(t, w, values); r.code(t) != c.code || r.json(t)["error"] != c.oauth {
				t.Errorf("%d %s", r.status, r.body)
			}
		})
	}
}

func TestCodesAndRefreshTokensAge(t *testing.T) {
	t.Parallel()
	c := newClock()
	w := startWith(t, sim.Options{Now: c.now})
	got, a := signIn(t, w, sim.GlobalAdmin, nil)
	old, b := signIn(t, w, sim.GlobalAdmin, nil)
	c.add(9 * time.Minute)
	r := redeem(t, w, map[string]string{"code": got.Get("code"), "redirect_uri": a.url})
	if r.status != 200 {
		t.Fatal(r.body)
	}
	c.add(2 * time.Minute)
	if late := redeem(t, w, map[string]string{"code": old.Get("code"), "redirect_uri": b.url}); late.code(t) != 70008 {
		t.Error(late.body)
	}
	refresh := func(token string, values map[string]string) reply {
		all := map[string]string{"grant_type": "refresh_token", "refresh_token": token, "code_verifier": ""}
		for k, v := range values {
			all[k] = v
		}
		return redeem(t, w, all)
	}
	first := r.json(t)["refresh_token"].(string)
	second := refresh(first, map[string]string{"scope": w.GraphURL() + "/.default offline_access openid"})
	if second.status != 200 || second.json(t)["refresh_token"] == first || second.json(t)["id_token"] == nil {
		t.Fatal(second.body)
	}
	if r := refresh(first, map[string]string{"scope": w.GraphURL() + "/.default"}); r.status != 200 || r.json(t)["refresh_token"] != nil || r.json(t)["id_token"] != nil {
		t.Error("without openid and offline_access:", r.body)
	}
	for name, c := range map[string]struct {
		values map[string]string
		code   int
	}{
		"family":         {map[string]string{"client_id": sim.AzurePowerShellAppID}, 0},
		"no family":      {map[string]string{"client_id": sim.GraphCLIAppID}, 70000},
		"nonsense":       {map[string]string{"refresh_token": "x"}, 9002313},
		"by tenant":      {map[string]string{"tenant": w.TenantID}, 0},
		"unknown tenant": {map[string]string{"tenant": "fabrikam.com"}, 90002},
	} {
		r := refresh(first, c.values)
		if c.code == 0 && r.status != 200 || c.code != 0 && r.code(t) != c.code {
			t.Errorf("%s: %s", name, r.body)
		}
	}
	c.add(91 * 24 * time.Hour)
	if r := refresh(first, nil); r.code(t) != 700082 || !strings.Contains(r.body, "91.00:00:00") {
		t.Error(r.body)
	}
}

// TestSessions follows a browser that stays signed in.
func TestSessions(t *testing.T) {
	t.Parallel()
	w := start(t)
	a := listen(t)
	browser := w.Client()
	jar := &cookies{}
	browser.Jar = jar
	if _, _, err := w.SignIn(t.Context(), browser, authorizeURL(w, a, nil), sim.GlobalAdmin, sim.AdminPassword); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		values   map[string]string
		password string
		fails    bool
	}{
		"at once":                 {nil, "", false},
		"silently":                {map[string]string{"prompt": "none"}, "", false},
		"picks the account":       {map[string]string{"prompt": "select_account"}, "", false},
		"must sign in again":      {map[string]string{"prompt": "login"}, "", true},
		"another account, hinted": {map[string]string{"login_hint": sim.OrdinaryUser}, sim.AdminPassword, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := listen(t)
			own := w.Client()
			own.Jar = jar.clone()
			_, text, err := w.SignIn(t.Context(), own, authorizeURL(w, a, c.values), sim.GlobalAdmin, c.password)
			if (err != nil) != c.fails || !c.fails && a.received().Get("code") == "" {
				t.Errorf("%v %v\n%.2000s", err, a.received(), text)
			}
		})
	}
}

// cookies is a jar for the one host of the tests.
type cookies struct {
	mu   sync.Mutex
	list []*http.Cookie
}

func (c *cookies) SetCookies(_ *url.URL, list []*http.Cookie) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, list...)
}

func (c *cookies) Cookies(u *url.URL) []*http.Cookie {
	c.mu.Lock()
	defer c.mu.Unlock()
	if u.Scheme != "https" || len(c.list) == 0 {
		return nil
	}
	return c.list[len(c.list)-1:]
}

func (c *cookies) clone() *cookies {
	c.mu.Lock()
	defer c.mu.Unlock()
	return &cookies{list: slices.Clone(c.list)}
}

// TestMSALPublic lets Microsoft's own library sign people in: in the browser,
// silently from its cache, with the refresh token, and with a device code.
func TestMSALPublic(t *testing.T) {
	t.Parallel()
	w := start(t)
	for name, c := range map[string]struct {
		authority, scope string
		client           *http.Client
		discovery        bool
	}{
		"loopback":      {w.LoginURL() + "/" + w.TenantID, w.GraphURL() + "/.default", w.Client(), false},
		"organizations": {w.LoginURL() + "/organizations", w.GraphURL() + "/.default", w.Client(), false},
		"public names":  {"https://login.microsoftonline.com/organizations", "https://graph.microsoft.com/.default", w.PublicClient(), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app, err := public.New(sim.AzureCLIAppID, public.WithAuthority(c.authority), public.WithHTTPClient(c.client), public.WithInstanceDiscovery(c.discovery))
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithTimeout(t.Context(), time.Minute)
			defer stop()
			got, err := app.AcquireTokenInteractive(ctx, []string{c.scope}, public.WithOpenURL(func(address string) error {
				_, _, err := w.SignIn(ctx, c.client, address, sim.ApplicationAdmin, sim.AdminPassword)
				return err
			}))
			if err != nil {
				t.Fatal(err)
			}
			claims := claimsOf(t, w, got.AccessToken)
			if claims["upn"] != sim.ApplicationAdmin || claims["wids"].([]any)[0] != sim.RoleApplicationAdministrator || got.Account.PreferredUsername != sim.ApplicationAdmin {
				t.Errorf("%v %v", claims, got.Account)
			}
			cached, err := app.AcquireTokenSilent(ctx, []string{c.scope}, public.WithSilentAccount(got.Account))
			if err != nil || cached.AccessToken != got.AccessToken {
				t.Fatalf("from the cache: %v", err)
			}
			fresh, err := app.AcquireTokenSilent(ctx, []string{c.scope}, public.WithSilentAccount(got.Account), public.WithClaims(`{"access_token":{"nbf":{"essential":true,"value":"1"}}}`))
			if err != nil || fresh.AccessToken == got.AccessToken {
				t.Fatalf("with the refresh token: %v", err)
			}
			code, err := app.AcquireTokenByDeviceCode(ctx, []string{c.scope})
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasSuffix(code.Result.VerificationURL, "/common/oauth2/deviceauth") || code.Result.Interval != 5 || len(code.Result.UserCode) != 9 {
				t.Errorf("%+v", code.Result)
			}
			if err := w.EnterDeviceCode(ctx, code.Result.UserCode, sim.GlobalAdmin, true); err != nil {
				t.Fatal(err)
			}
			byCode, err := code.AuthenticationResult(ctx)
			if err != nil || claimsOf(t, w, byCode.AccessToken)["upn"] != sim.GlobalAdmin {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestMSALHearsOfCancel(t *testing.T) {
	t.Parallel()
	w := start(t)
	app, err := public.New(sim.AzureCLIAppID, public.WithAuthority(w.LoginURL()+"/organizations"), public.WithHTTPClient(w.Client()), public.WithInstanceDiscovery(false))
	if err != nil {
		t.Fatal(err)
	}
	_, err = app.AcquireTokenInteractive(t.Context(), []string{w.GraphURL() + "/.default"}, public.WithOpenURL(func(address string) error {
		cancelSignIn(t, w, address)
		return nil
	}))
	if err == nil || !strings.Contains(err.Error(), "AADSTS65004") {
		t.Errorf("%v", err)
	}
	code, err := app.AcquireTokenByDeviceCode(t.Context(), []string{w.GraphURL() + "/.default"})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.EnterDeviceCode(t.Context(), code.Result.UserCode, sim.GlobalAdmin, false); err != nil {
		t.Fatal(err)
	}
	if _, err := code.AuthenticationResult(t.Context()); err == nil || !strings.Contains(err.Error(), "authorization_declined") {
		t.Errorf("%v", err)
	}
}

// cancelSignIn selects Cancel on the first page.
func cancelSignIn(t *testing.T, w *sim.World, address string) {
	t.Helper()
	page := get(t, w, address)
	_, rest, _ := strings.Cut(page.body, `name="flow" value="`)
	flow, _, _ := strings.Cut(rest, `"`)
	answer := send(t, w.Client(), http.MethodPost, w.LoginURL()+"/common/login", url.Values{"flow": {flow}, "step": {"account"}, "action": {"cancel"}}.Encode(),
		map[string]string{"Content-Type": "application/x-www-form-urlencoded"})
	_, rest, _ = strings.Cut(answer.body, `<form id="reply" method="post" action="`)
	target, _, _ := strings.Cut(rest, `"`)
	values := url.Values{}
	for part := range strings.SplitSeq(rest, `<input type="hidden" name="`) {
		if name, rest, ok := strings.Cut(part, `" value="`); ok {
			value, _, _ := strings.Cut(rest, `"`)
			values.Set(name, html.UnescapeString(value))
		}
	}
	send(t, http.DefaultClient, http.MethodPost, html.UnescapeString(target), values.Encode(), map[string]string{"Content-Type": "application/x-www-form-urlencoded"})
}

func TestAdminTokenAsksGraph(t *testing.T) {
	t.Parallel()
	w := start(t)
	raw, err := w.AdminToken(sim.GlobalAdmin)
	if err != nil {
		t.Fatal(err)
	}
	if r := graph(t, w, "me", raw); r.status != 200 || r.json(t)["userPrincipalName"] != sim.GlobalAdmin {
		t.Errorf("%d %s", r.status, r.body)
	}
	for _, upn := range []string{"nobody@contoso.com", "disabled@contoso.com"} {
		if _, err := w.AdminToken(upn); err == nil {
			t.Errorf("a token for %s", upn)
		}
	}
}

func TestPersonalSecretsStayOutOfTheRecord(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	w := startWith(t, sim.Options{Log: &log})
	got, a := signIn(t, w, sim.GlobalAdmin, map[string]string{"response_mode": "form_post"})
	r := redeem(t, w, map[string]string{"code": got.Get("code"), "redirect_uri": a.url})
	all, err := json.Marshal(w.Requests())
	if err != nil {
		t.Fatal(err)
	}
	body := r.json(t)
	for _, secret := range []string{got.Get("code"), sim.AdminPassword, verifier, body["access_token"].(string), body["refresh_token"].(string), body["id_token"].(string)} {
		if strings.Contains(string(all), secret) || strings.Contains(log.String(), secret) {
			t.Errorf("the record holds %.8s…", secret)
		}
	}
}
