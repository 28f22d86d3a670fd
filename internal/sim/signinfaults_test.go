package sim_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/sim"
)

// code signs the administrator in and redeems the code.
func (p probe) code() reply {
	p.t.Helper()
	got, a := signIn(p.t, p.w, sim.GlobalAdmin, nil)
	return redeem(p.t, p.w, map[string]string{"code": got.Get("code"), "redirect_uri": a.url})
}

// device signs the administrator in with a device code; err is what the page said.
func (p probe) device() (r reply, err error) {
	p.t.Helper()
	body := askDevice(p.t, p.w, nil).json(p.t)
	err = p.w.EnterDeviceCode(p.t.Context(), body["user_code"].(string), sim.GlobalAdmin, true)
	return poll(p.t, p.w, body["device_code"].(string), nil), err
}

func (p probe) is(r reply, code int) {
	p.t.Helper()
	if code == 0 && r.status != 200 || code != 0 && r.code(p.t) != code {
		p.t.Errorf("%d %s, want AADSTS%d", r.status, r.body, code)
	}
}

func (p probe) claims() map[string]any {
	p.t.Helper()
	r := p.code()
	p.is(r, 0)
	return claimsOf(p.t, p.w, r.json(p.t)["access_token"].(string))
}

// signInFaultChecks are the faults of signing people in; TestFaults runs them.
func signInFaultChecks() map[string]func(probe) {
	roles := func(want ...string) func(probe) {
		return func(p probe) {
			p.t.Helper()
			wids := p.claims()["wids"].([]any)
			for i, id := range want {
				if len(wids) != len(want)+1 || wids[i] != id {
					p.t.Errorf("wids %v, want %v", wids, want)
				}
			}
		}
	}
	return map[string]func(probe){
		"mfa-required": func(p probe) {
			if amr := p.claims()["amr"].([]any); len(amr) != 2 || amr[1] != "mfa" {
				p.t.Errorf("amr %v", amr)
			}
			p.w.ClearFault("mfa-required")
			old := p.code().json(p.t)["refresh_token"].(string)
			if err := p.w.SetFault("mfa-required"); err != nil {
				p.t.Fatal(err)
			}
			r := redeem(p.t, p.w, map[string]string{"grant_type": "refresh_token", "refresh_token": old, "code_verifier": ""})
			p.is(r, 50076)
			if r.json(p.t)["suberror"] != "basic_action" {
				p.t.Error(r.body)
			}
		},
		"mfa-required=50079": func(p probe) { p.is(p.code(), 50079) },
		"device-code-blocked": func(p probe) {
			r, err := p.device()
			p.is(r, 53003)
			if !errors.Is(err, sim.ErrPage) || !strings.Contains(err.Error(), "53003") {
				p.t.Error(err)
			}
			p.is(p.code(), 0)
		},
		"device-code-blocked=page": func(p probe) {
			r, err := p.device()
			p.is(r, 70016)
			if !errors.Is(err, sim.ErrPage) {
				p.t.Error(err)
			}
		},
		"browser-blocked": func(p probe) {
			p.is(p.code(), 53000)
			r, err := p.device()
			p.is(r, 0)
			if err != nil {
				p.t.Error(err)
			}
		},
		"browser-blocked=page": func(p probe) {
			a := listen(p.t)
			_, text, err := p.w.SignIn(p.t.Context(), p.w.Client(), authorizeURL(p.w, a, nil), sim.GlobalAdmin, sim.AdminPassword)
			if !errors.Is(err, sim.ErrPage) || a.received() != nil {
				p.t.Errorf("%v %v", err, a.received())
			}
			for _, part := range []string{"AADSTS53000", "Microsoft Azure CLI", sim.AzureCLIAppID, "Unregistered"} {
				if !strings.Contains(text, part) {
					p.t.Errorf("no %s in\n%s", part, text)
				}
			}
		},
		"consent-declined": func(p probe) {
			id := newApplication(p.t, p.w, "", asksFullAccess)
			if err := p.w.Consent(p.t.Context(), consentURL(p.w, false, map[string][]string{"client_id": {id}}), sim.GlobalAdmin); !errors.Is(err, sim.ErrPage) || !strings.Contains(err.Error(), "AADSTS65004") {
				p.t.Error(err)
			}
			if got := rolesNow(p.t, p.w, id); len(got) != 0 {
				p.t.Errorf("granted %v", got)
			}
			got, _ := signIn(p.t, p.w, sim.GlobalAdmin, map[string]string{"client_id": sim.GraphCLIAppID, "scope": p.w.GraphURL() + "/User.Read"})
			if got.Get("error") != "access_denied" || !strings.HasPrefix(got.Get("error_description"), "AADSTS65004: ") || got.Get("error_subcode") != "cancel" {
				p.t.Errorf("%v", got)
			}
		},
		"user-role=ApplicationAdministrator":                      roles(sim.RoleApplicationAdministrator),
		"user-role=Cloud Application Administrator,global reader": roles(sim.RoleCloudApplicationAdministrator, sim.RoleGlobalReader),
		"user-role=cf1c38e5-3621-4004-a7cb-879624dced7c":          roles(sim.RoleApplicationDeveloper),
		"user-role=none": roles(),
		"multi-tenant": func(p probe) {
			a := listen(p.t)
			if _, _, err := p.w.SignIn(p.t.Context(), p.w.Client(), authorizeURL(p.w, a, nil), sim.ForeignAdmin, sim.AdminPassword); err != nil {
				p.t.Fatal(err)
			}
			r := redeem(p.t, p.w, map[string]string{"code": a.received().Get("code"), "redirect_uri": a.url})
			p.is(r, 0)
			raw := r.json(p.t)["access_token"].(string)
			if claims := claimsOf(p.t, p.w, raw); claims["tid"] != p.w.OtherTenantID() || claims["upn"] != sim.ForeignAdmin {
				p.t.Errorf("%v", claims)
			}
			if r := graph(p.t, p.w, "me", raw); r.status != 401 {
				p.t.Errorf("another tenant's token: %d", r.status)
			}
			if m := get(p.t, p.w, p.w.LoginURL()+"/fabrikam.com/v2.0/.well-known/openid-configuration").json(p.t); !strings.Contains(m["issuer"].(string), p.w.OtherTenantID()) {
				p.t.Errorf("%v", m)
			}
			p.is(ask(p.t, p.w, p.w.GraphURL()+"/.default", map[string]string{"tenant": "fabrikam.com"}), 700016)
			for upn, tenant := range map[string]string{sim.ForeignAdmin: p.w.TenantID, sim.GlobalAdmin: "fabrikam.com"} {
				_, text, err := p.w.SignIn(p.t.Context(), p.w.Client(), authorizeURL(p.w, a, map[string]string{"tenant": tenant}), upn, sim.AdminPassword)
				if !errors.Is(err, sim.ErrPage) || !strings.Contains(text, "AADSTS50020") {
					p.t.Errorf("%s at %s: %v", upn, tenant, err)
				}
			}
		},
	}
}

// TestTokensFollowTheReplicas shows that the token service does not know at
// once what the directory was told.
func TestTokensFollowTheReplicas(t *testing.T) {
	t.Parallel()
	c := newClock()
	w := startWith(t, sim.Options{Now: c.now, Faults: []string{"replication=20s,1"}})
	arrive := func() { c.add(21 * time.Second) } // longer than any replica needs
	values := map[string]string{}
	is := func(step string, code int) map[string]any {
		t.Helper()
		r := ask(t, w, w.GraphURL()+"/.default", values)
		if code == 0 && r.status != 200 || code != 0 && r.code(t) != code {
			t.Fatalf("%s: %d %s", step, r.status, r.body)
		}
		if code != 0 {
			return nil
		}
		return claimsOf(t, w, r.json(t)["access_token"].(string))
	}
	app := byAdmin(t, w, "POST", "applications", `{"displayName":"New"}`, 201)
	values["client_id"], values["client_secret"] = app["appId"].(string), "not yet"
	is("application written", 700016)
	arrive()
	is("application known", 7000229)
	principal := byAdmin(t, w, "POST", "servicePrincipals", `{"appId":"`+values["client_id"]+`"}`, 201)
	is("principal written", 7000229)
	arrive()
	is("principal known", 7000215)
	values["client_secret"] = byAdmin(t, w, "POST", "applications/"+app["id"].(string)+"/addPassword", `{"passwordCredential":{"displayName":"x"}}`, 200)["secretText"].(string)
	is("secret written", 7000215)
	arrive()
	if roles := is("secret known", 0)["roles"]; roles != nil {
		t.Errorf("roles without consent: %v", roles)
	}
	if err := w.Consent(t.Context(), consentURL(w, false, map[string][]string{"client_id": {values["client_id"]}}), sim.GlobalAdmin); err != nil {
		t.Errorf("consent to nothing: %v", err)
	}
	resource := byAdmin(t, w, "GET", "servicePrincipals(appId='"+sim.GraphAppID+"')?$select=id", "", 200)
	byAdmin(t, w, "POST", "servicePrincipals/"+principal["id"].(string)+"/appRoleAssignments",
		`{"principalId":"`+principal["id"].(string)+`","resourceId":"`+resource["id"].(string)+`","appRoleId":"df021288-bdef-4463-88db-98f22de89214"}`, 201)
	if roles := is("consent written", 0)["roles"]; roles != nil {
		t.Errorf("roles at once: %v", roles)
	}
	arrive()
	if roles, _ := is("consent known", 0)["roles"].([]any); len(roles) != 1 || roles[0] != "User.Read.All" {
		t.Errorf("roles %v", roles)
	}
}

func TestFlowsEnd(t *testing.T) {
	t.Parallel()
	w := start(t)
	for name, values := range map[string]string{"unknown": "flow=x&step=account", "none": "", "broken": "%zz"} {
		r := send(t, w.Client(), "POST", w.LoginURL()+"/common/login", values, map[string]string{"Content-Type": "application/x-www-form-urlencoded"})
		if r.status != 400 || !strings.Contains(r.body, "AADSTS") {
			t.Errorf("%s: %d\n%.2000s", name, r.status, r.body)
		}
	}
	out := get(t, w, w.LoginURL()+"/common/oauth2/v2.0/logout")
	if out.status != 200 || !strings.Contains(out.header.Get("Set-Cookie"), "Max-Age=0") {
		t.Errorf("%d %v", out.status, out.header)
	}
}

// press sends a page's form with a button and values of the caller's.
func press(t *testing.T, w *sim.World, page string, values url.Values) string {
	t.Helper()
	_, rest, _ := strings.Cut(page, `name="flow" value="`)
	flow, _, _ := strings.Cut(rest, `"`)
	values.Set("flow", flow)
	return send(t, w.Client(), "POST", w.LoginURL()+"/common/login", values.Encode(), map[string]string{"Content-Type": "application/x-www-form-urlencoded"}).body
}

func TestPagesOutOfTurn(t *testing.T) {
	t.Parallel()
	w := start(t)
	a := &application{url: "http://localhost:4711"}
	first := get(t, w, authorizeURL(w, a, nil)).body
	for _, step := range []string{"confirm", "consent", "mfa", "reply", "x"} {
		if text := press(t, w, first, url.Values{"step": {step}, "action": {"next"}}); !strings.Contains(text, `data-step="account"`) {
			t.Errorf("%s:\n%.1500s", step, text)
		}
	}
	password := press(t, w, first, url.Values{"step": {"account"}, "login": {sim.GlobalAdmin}})
	if !strings.Contains(password, `data-step="password"`) || !strings.Contains(password, sim.GlobalAdmin) {
		t.Errorf("%.3000s", password)
	}
	if text := press(t, w, password, url.Values{"step": {"password"}, "action": {"back"}}); !strings.Contains(text, `data-step="account"`) || strings.Contains(text, sim.GlobalAdmin) {
		t.Errorf("%.3000s", text)
	}
	if text := press(t, w, password, url.Values{"step": {"password"}, "password": {sim.AdminPassword}}); !strings.Contains(text, `data-step="account"`) {
		t.Errorf("a password without an account:\n%.1500s", text)
	}
}

// TestClientsThatTheTenantLimits is what a tenant does to Azure CLI.
func TestClientsThatTheTenantLimits(t *testing.T) {
	t.Parallel()
	for change, code := range map[string]string{`{"appRoleAssignmentRequired":true}`: "AADSTS50105", `{"accountEnabled":false}`: "AADSTS7000112"} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			w := start(t)
			cli := byAdmin(t, w, "GET", "servicePrincipals(appId='"+sim.AzureCLIAppID+"')?$select=id", "", 200)
			byAdmin(t, w, "PATCH", "servicePrincipals/"+cli["id"].(string), change, 204)
			_, text, err := w.SignIn(t.Context(), w.Client(), authorizeURL(w, &application{url: "http://localhost:4711"}, nil), sim.GlobalAdmin, sim.AdminPassword)
			if !errors.Is(err, sim.ErrPage) || !strings.Contains(text, code) {
				t.Errorf("%v", err)
			}
		})
	}
}
