package sim_test

import (
	"errors"
	"html"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/internal/sim"
)

// byAdmin writes the registrations through Graph, as an administrator's tool does.
func byAdmin(t *testing.T, w *sim.World, method, path, body string, want int) map[string]any {
	t.Helper()
	raw, err := w.AdminToken(sim.GlobalAdmin)
	if err != nil {
		t.Fatal(err)
	}
	r := send(t, w.Client(), method, w.GraphURL()+"/v1.0/"+path, body, map[string]string{"Authorization": "Bearer " + raw, "Content-Type": "application/json"})
	if r.status != want {
		t.Fatalf("%s %s: %d %s", method, path, r.status, r.body)
	}
	if r.body == "" {
		return nil
	}
	return r.json(t)
}

const (
	asksFullAccess = `{"resourceAppId":"00000002-0000-0ff1-ce00-000000000000","resourceAccess":[{"id":"dc890d15-9560-4a4c-9b7f-a736ec74ec40","type":"Role"}]}`
	asksReadUsers  = `{"resourceAppId":"00000003-0000-0000-c000-000000000000","resourceAccess":[{"id":"df021288-bdef-4463-88db-98f22de89214","type":"Role"}]}`
	asksSignIn     = `{"resourceAppId":"00000003-0000-0000-c000-000000000000","resourceAccess":[{"id":"e1fe6dd8-ba31-4d61-89e7-88639da4683d","type":"Scope"},{"id":"bdfbf15f-ee85-4955-8675-146e8e5296b5","type":"Scope"}]}`
)

// newApplication registers an application that asks for permissions.
func newApplication(t *testing.T, w *sim.World, more string, required ...string) string {
	t.Helper()
	body := `{"displayName":"A <b>new</b> application","signInAudience":"AzureADMyOrg","requiredResourceAccess":[` + strings.Join(required, ",") + `]` + more + `}`
	return byAdmin(t, w, http.MethodPost, "applications", body, http.StatusCreated)["appId"].(string)
}

// rolesNow are the application permissions that an application has been granted.
func rolesNow(t *testing.T, w *sim.World, appID string) []string {
	t.Helper()
	var list []string
	raw, err := w.AdminToken(sim.GlobalAdmin)
	if err != nil {
		t.Fatal(err)
	}
	r := send(t, w.Client(), http.MethodGet, w.GraphURL()+"/v1.0/servicePrincipals(appId='"+appID+"')/appRoleAssignments", "", map[string]string{"Authorization": "Bearer " + raw})
	if r.status != 200 {
		return nil
	}
	for _, a := range r.json(t)["value"].([]any) {
		list = append(list, a.(map[string]any)["appRoleId"].(string))
	}
	slices.Sort(list)
	return list
}

func consentURL(w *sim.World, v2 bool, values url.Values) string {
	if v2 {
		return w.LoginURL() + "/" + w.TenantID + "/v2.0/adminconsent?" + values.Encode()
	}
	return w.LoginURL() + "/" + w.TenantID + "/adminconsent?" + values.Encode()
}

func TestAdminConsent(t *testing.T) {
	t.Parallel()
	w := start(t)
	both := []string{"dc890d15-9560-4a4c-9b7f-a736ec74ec40", "df021288-bdef-4463-88db-98f22de89214"}
	for name, c := range map[string]struct {
		upn      string
		required []string
		granted  []string // nil: refused
	}{
		"Global Administrator":                       {sim.GlobalAdmin, []string{asksFullAccess, asksReadUsers}, both},
		"Privileged Role Administrator":              {sim.PrivilegedRoleAdmin, []string{asksFullAccess, asksReadUsers}, both},
		"Application Administrator, Exchange":        {sim.ApplicationAdmin, []string{asksFullAccess}, both[:1]},
		"Cloud Application Administrator, Exchange":  {sim.CloudApplicationAdmin, []string{asksFullAccess}, both[:1]},
		"Application Administrator, Graph":           {sim.ApplicationAdmin, []string{asksFullAccess, asksReadUsers}, nil},
		"Cloud Application Administrator, Graph":     {sim.CloudApplicationAdmin, []string{asksReadUsers}, nil},
		"Application Administrator, delegated Graph": {sim.ApplicationAdmin, []string{asksSignIn}, []string{}},
		"Application Developer":                      {sim.ApplicationDeveloper, []string{asksFullAccess}, nil},
		"Exchange Administrator":                     {sim.ExchangeAdmin, []string{asksFullAccess}, nil},
		"anybody":                                    {sim.OrdinaryUser, []string{asksFullAccess}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id := newApplication(t, w, "", c.required...)
			address := consentURL(w, false, url.Values{"client_id": {id}})
			err := w.Consent(t.Context(), address, c.upn)
			got := rolesNow(t, w, id)
			if c.granted == nil {
				if !errors.Is(err, sim.ErrPage) || len(got) != 0 {
					t.Errorf("%v, granted %v", err, got)
				}
				return
			}
			if err != nil || !slices.Equal(got, c.granted) && len(c.granted)+len(got) > 0 {
				t.Errorf("%v, granted %v", err, got)
			}
			if err := w.Consent(t.Context(), address, c.upn); err != nil || len(rolesNow(t, w, id)) != len(got) {
				t.Errorf("again: %v, granted %v", err, rolesNow(t, w, id))
			}
		})
	}
}

// consentWith follows the pages up to the application.
func consentWith(t *testing.T, w *sim.World, address, upn string) (string, error) {
	t.Helper()
	_, text, err := w.SignIn(t.Context(), w.Client(), address, upn, sim.AdminPassword)
	return html.UnescapeString(text), err
}

func TestAdminConsentTellsTheApplication(t *testing.T) {
	t.Parallel()
	w := start(t)
	for name, c := range map[string]struct {
		v2      bool
		scope   string
		missing bool // no redirect_uri in the request
	}{"v1": {}, "v1, registered address": {missing: true}, "v2": {v2: true, scope: "https://graph.microsoft.com/.default"}, "v2, dynamic": {v2: true, scope: "https://graph.microsoft.com/User.Read"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := listen(t)
			id := newApplication(t, w, `,"publicClient":{"redirectUris":["`+a.url+`/done"]}`, asksReadUsers)
			values := url.Values{"client_id": {id}, "redirect_uri": {a.url + "/done"}, "state": {"s 1"}}
			if c.missing {
				values.Del("redirect_uri")
			}
			if c.v2 {
				values.Set("scope", c.scope)
			}
			if text, err := consentWith(t, w, consentURL(w, c.v2, values), sim.GlobalAdmin); err != nil || text != "Thank you" {
				t.Fatalf("%v %s", err, text)
			}
			got := a.received()
			if got.Get("admin_consent") != "True" || got.Get("tenant") != w.TenantID || got.Get("state") != "s 1" || got.Get("scope") != c.scope || got.Get("error") != "" || a.path != "/done" {
				t.Errorf("%v", got)
			}
			if granted := rolesNow(t, w, id); (len(granted) == 1) == (name == "v2, dynamic") {
				t.Errorf("granted %v", granted)
			}
		})
	}
}

func TestAdminConsentRefusals(t *testing.T) {
	t.Parallel()
	w := start(t)
	backup, _ := w.App(sim.AppBackup)
	for name, c := range map[string]struct {
		v2     bool
		values url.Values
		code   string
	}{
		"no client":           {false, url.Values{}, "900144"},
		"unknown application": {false, url.Values{"client_id": {"11111111-1111-4111-8111-111111111111"}}, "700016"},
		"a strange address":   {false, url.Values{"client_id": {backup.ClientID}, "redirect_uri": {"https://evil.example"}}, "50011"},
		"v2, no redirect":     {true, url.Values{"client_id": {backup.ClientID}, "scope": {".default"}}, "900971"},
		"v2, no scope":        {true, url.Values{"client_id": {backup.ClientID}, "redirect_uri": {"http://localhost"}}, "900144"},
		"v2, strange scope":   {true, url.Values{"client_id": {backup.ClientID}, "redirect_uri": {"http://localhost"}, "scope": {"{"}}, "70011"},
		"twice":               {false, url.Values{"client_id": {backup.ClientID, backup.ClientID}}, "9000411"},
	} {
		if r := visit(t, w, consentURL(w, c.v2, c.values)); r.status != 400 || !strings.Contains(r.body, "AADSTS"+c.code+":") {
			t.Errorf("%s: %d\n%.2000s", name, r.status, r.body)
		}
	}
	missing := newApplication(t, w, "", `{"resourceAppId":"22222222-2222-4222-8222-222222222222","resourceAccess":[{"id":"df021288-bdef-4463-88db-98f22de89214","type":"Role"}]}`)
	wrong := newApplication(t, w, "", `{"resourceAppId":"00000002-0000-0ff1-ce00-000000000000","resourceAccess":[{"id":"df021288-bdef-4463-88db-98f22de89214","type":"Role"}]}`)
	for id, code := range map[string]string{missing: "650052", wrong: "65006"} {
		if text, err := consentWith(t, w, consentURL(w, false, url.Values{"client_id": {id}}), sim.GlobalAdmin); !errors.Is(err, sim.ErrPage) || !strings.Contains(text, "AADSTS"+code) {
			t.Errorf("%s: %v", code, err)
		}
	}
}

func TestConsentPageShowsWords(t *testing.T) {
	t.Parallel()
	w := start(t)
	id := newApplication(t, w, "", asksFullAccess, asksSignIn)
	text := pageBeforeAccept(t, w, consentURL(w, false, url.Values{"client_id": {id}}), sim.GlobalAdmin)
	for _, part := range []string{"A &lt;b&gt;new&lt;/b&gt; application", "full_access_as_app", "Use Exchange Web Services with full access to all mailboxes", "Office 365 Exchange Online", "Sign you in and read your profile", "Application.ReadWrite.All", sim.GlobalAdmin} {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in\n%s", part, text)
		}
	}
}

// pageBeforeAccept is the page after user name and password.
func pageBeforeAccept(t *testing.T, w *sim.World, address, upn string) string {
	t.Helper()
	text := get(t, w, address).body
	for _, step := range []url.Values{{"step": {"account"}, "login": {upn}}, {"step": {"password"}, "password": {sim.AdminPassword}}} {
		_, rest, _ := strings.Cut(text, `name="flow" value="`)
		flow, _, _ := strings.Cut(rest, `"`)
		step.Set("flow", flow)
		text = send(t, w.Client(), http.MethodPost, w.LoginURL()+"/common/login", step.Encode(), map[string]string{"Content-Type": "application/x-www-form-urlencoded"}).body
	}
	return text
}

// TestPermissionsOfOtherClients is the consent that a client other than Azure CLI needs.
func TestPermissionsOfOtherClients(t *testing.T) {
	t.Parallel()
	w := start(t)
	own := newApplication(t, w, `,"isFallbackPublicClient":true,"publicClient":{"redirectUris":["http://localhost"]}`, asksSignIn)
	for name, c := range map[string]struct {
		client, scope, upn string
		scp                string // "": refused
	}{
		"Graph CLI, administrator":   {sim.GraphCLIAppID, "Policy.Read.All", sim.GlobalAdmin, "openid Policy.Read.All profile"},
		"Graph CLI, application adm": {sim.GraphCLIAppID, "Application.ReadWrite.All", sim.ApplicationAdmin, "Application.ReadWrite.All openid profile"},
		"Graph CLI, own profile":     {sim.GraphCLIAppID, "User.Read", sim.OrdinaryUser, "openid profile User.Read"},
		"Graph CLI, everything":      {sim.GraphCLIAppID, ".default", sim.GlobalReader, "openid profile User.Read"},
		"Graph CLI, ordinary user":   {sim.GraphCLIAppID, "Application.ReadWrite.All", sim.OrdinaryUser, ""},
		"Graph CLI, nonsense":        {sim.GraphCLIAppID, "No.Such.Permission", sim.GlobalAdmin, ""},
		"Azure CLI, more":            {sim.AzureCLIAppID, "Policy.Read.All", sim.GlobalAdmin, ""},
		"own application":            {own, ".default", sim.GlobalAdmin, "Application.ReadWrite.All openid profile User.Read"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := listen(t)
			text, err := consentWith(t, w, authorizeURL(w, a, map[string]string{"client_id": c.client, "tenant": w.TenantID, "scope": w.GraphURL() + "/" + c.scope + " openid profile"}), c.upn)
			if c.scp == "" {
				if !errors.Is(err, sim.ErrPage) || a.received() != nil {
					t.Errorf("%v\n%.2000s", err, text)
				}
				return
			}
			if err != nil {
				t.Fatalf("%v\n%.3000s", err, text)
			}
			r := redeem(t, w, map[string]string{"client_id": c.client, "tenant": w.TenantID, "code": a.received().Get("code"), "redirect_uri": a.url})
			if r.status != 200 || claimsOf(t, w, r.json(t)["access_token"].(string))["scp"] != c.scp {
				t.Errorf("%s", r.body)
			}
		})
	}
}

// TestConfidentialClients signs people in to a web application, which has to
// prove who it is when it redeems the code.
func TestConfidentialClients(t *testing.T) {
	t.Parallel()
	w := start(t)
	app := byAdmin(t, w, http.MethodPost, "applications", `{"displayName":"Web","signInAudience":"AzureADMyOrg","web":{"redirectUris":["http://localhost/cb"]},"requiredResourceAccess":[`+asksSignIn+`]}`, http.StatusCreated)
	id := app["appId"].(string)
	secret := byAdmin(t, w, http.MethodPost, "applications/"+app["id"].(string)+"/addPassword", `{}`, http.StatusOK)["secretText"].(string)
	a := listen(t)
	a.url += "/cb"
	ask := func(scope string) (string, error) {
		return consentWith(t, w, authorizeURL(w, a, map[string]string{"client_id": id, "tenant": w.TenantID, "scope": scope}), sim.GlobalAdmin)
	}
	if text, err := ask(w.GraphURL() + "/.default"); err != nil {
		t.Fatalf("%v\n%.3000s", err, text)
	}
	values := map[string]string{"client_id": id, "tenant": w.TenantID, "code": a.received().Get("code"), "redirect_uri": a.url}
	for _, c := range []struct {
		secret string
		code   any
	}{{"", 7000218}, {"wrong", 7000215}, {secret, nil}} {
		values["client_secret"] = c.secret
		if r := redeem(t, w, values); r.code(t) != c.code {
			t.Errorf("%s", r.body)
		}
	}
	if text, err := ask(w.OutlookURL() + "/.default"); !errors.Is(err, sim.ErrPage) || !strings.Contains(text, "AADSTS650057") {
		t.Errorf("an API that the registration does not name: %v", err)
	}
}
