package sim_test

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/sim"
)

const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"

// askDevice asks for a device code.
func askDevice(t *testing.T, w *sim.World, values map[string]string) reply {
	t.Helper()
	form := url.Values{"client_id": {sim.AzureCLIAppID}, "scope": {w.GraphURL() + "/.default openid profile offline_access"}}
	address := w.LoginURL() + endpoint(form, values, "/oauth2/v2.0/devicecode", "/oauth2/devicecode")
	return send(t, w.Client(), http.MethodPost, address, form.Encode(), map[string]string{"Content-Type": "application/x-www-form-urlencoded"})
}

// poll asks for the token of a device code.
func poll(t *testing.T, w *sim.World, code string, values map[string]string) reply {
	t.Helper()
	all := map[string]string{"grant_type": deviceGrant, "device_code": code, "code_verifier": ""}
	for k, v := range values {
		all[k] = v
	}
	return redeem(t, w, all)
}

func TestDeviceCode(t *testing.T) {
	t.Parallel()
	c := newClock()
	w := startWith(t, sim.Options{Now: c.now})
	for name, values := range map[string]map[string]string{
		"v2":              nil,
		"v2, old name":    {"grant_type": "device_code"},
		"v1":              {"v1": "1", "resource": w.GraphURL()},
		"v1, by tenant":   {"v1": "1", "resource": w.GraphURL(), "tenant": w.TenantID},
		"v2, by a domain": {"tenant": sim.DefaultDomain},
	} {
		v1 := values["v1"] != ""
		asked := map[string]string{"tenant": values["tenant"]}
		if asked["tenant"] == "" {
			delete(asked, "tenant")
		}
		if v1 {
			asked["v1"], asked["resource"], asked["scope"] = "1", w.GraphURL(), ""
		}
		r := askDevice(t, w, asked)
		body := r.json(t)
		if r.status != 200 {
			t.Fatalf("%s: %s", name, r.body)
		}
		address, other := "verification_uri", "verification_url"
		if v1 {
			address, other = other, address
		}
		if body[address] != w.LoginURL()+"/common/oauth2/deviceauth" || body[other] != nil || body["verification_uri_complete"] != nil || !strings.Contains(body["message"].(string), body["user_code"].(string)) {
			t.Errorf("%s: %v", name, body)
		}
		if v1 && (body["expires_in"] != "900" || body["interval"] != "5") || !v1 && (body["expires_in"] != 900.0 || body["interval"] != 5.0) {
			t.Errorf("%s: %v", name, body)
		}
		request := map[string]string{}
		for k, v := range values {
			request[k] = v
		}
		if v1 {
			request["code"], request["device_code"], request["resource"] = body["device_code"].(string), "", ""
			if values["grant_type"] == "" {
				request["grant_type"] = "device_code"
			}
		}
		ask := func() reply { return poll(t, w, body["device_code"].(string), request) }
		if r := ask(); r.code(t) != 70016 || r.json(t)["error"] != "authorization_pending" || r.status != 400 {
			t.Errorf("%s: %s", name, r.body)
		}
		c.add(4 * time.Second)
		if r := ask(); r.json(t)["error"] != "slow_down" {
			t.Errorf("%s, too early: %s", name, r.body)
		}
		c.add(9 * time.Second)
		if r := ask(); r.json(t)["error"] != "slow_down" {
			t.Errorf("%s, before the longer interval: %s", name, r.body)
		}
		c.add(15 * time.Second)
		if r := ask(); r.json(t)["error"] != "authorization_pending" {
			t.Errorf("%s: %s", name, r.body)
		}
		user := body["user_code"].(string)
		if err := w.EnterDeviceCode(t.Context(), " "+strings.ToLower(user[:3])+"-"+user[3:], sim.ApplicationAdmin, true); err != nil {
			t.Fatal(err)
		}
		done := ask()
		if done.status != 200 || done.json(t)["refresh_token"] == nil || claimsOf(t, w, done.json(t)["access_token"].(string))["upn"] != sim.ApplicationAdmin {
			t.Errorf("%s: %s", name, done.body)
		}
		if r := ask(); r.code(t) != 54005 {
			t.Errorf("%s, twice: %s", name, r.body)
		}
		if err := w.EnterDeviceCode(t.Context(), user, sim.GlobalAdmin, true); !errors.Is(err, sim.ErrPage) || !strings.Contains(err.Error(), "AADSTS90120") {
			t.Errorf("%s, entered twice: %v", name, err)
		}
	}
}

func TestDeviceCodeEnds(t *testing.T) {
	t.Parallel()
	c := newClock()
	w := startWith(t, sim.Options{Now: c.now})
	make := func() (device, user string) {
		body := askDevice(t, w, nil).json(t)
		return body["device_code"].(string), body["user_code"].(string)
	}
	device, user := make()
	if err := w.EnterDeviceCode(t.Context(), user, sim.GlobalAdmin, false); err != nil {
		t.Fatal(err)
	}
	if r := poll(t, w, device, nil); r.json(t)["error"] != "authorization_declined" {
		t.Error(r.body)
	}
	device, user = make()
	if r := poll(t, w, device, map[string]string{"client_id": sim.GraphCLIAppID}); r.code(t) != 70018 || r.json(t)["error"] != "bad_verification_code" {
		t.Error(r.body)
	}
	c.add(16 * time.Minute)
	if r := poll(t, w, device, nil); r.code(t) != 70020 || r.json(t)["error"] != "expired_token" {
		t.Error(r.body)
	}
	if err := w.EnterDeviceCode(t.Context(), user, sim.GlobalAdmin, true); !errors.Is(err, sim.ErrPage) || !strings.Contains(err.Error(), "AADSTS70019") {
		t.Error(err)
	}
	for _, wrong := range []string{"ABCDEFGHJ", ""} {
		if err := w.EnterDeviceCode(t.Context(), wrong, sim.GlobalAdmin, true); !errors.Is(err, sim.ErrPage) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	backup, _ := w.App(sim.AppBackup)
	r := askDevice(t, w, map[string]string{"client_id": backup.ClientID, "tenant": w.TenantID})
	if code, _ := r.json(t)["device_code"].(string); poll(t, w, code, map[string]string{"client_id": backup.ClientID, "tenant": w.TenantID}).code(t) != 7000218 {
		t.Error("a confidential client polls without a credential")
	}
}

func TestDeviceCodeRefusals(t *testing.T) {
	t.Parallel()
	w := start(t)
	backup, _ := w.App(sim.AppBackup)
	for name, c := range map[string]struct {
		values map[string]string
		code   int
	}{
		"no client":           {map[string]string{"client_id": ""}, 900144},
		"no scope":            {map[string]string{"scope": ""}, 900144},
		"v1, no resource":     {map[string]string{"v1": "1"}, 900144},
		"unknown client":      {map[string]string{"client_id": "11111111-1111-4111-8111-111111111111"}, 700016},
		"single-tenant":       {map[string]string{"client_id": backup.ClientID}, 50194},
		"unknown tenant":      {map[string]string{"tenant": "nowhere.example"}, 90002},
		"two resources":       {map[string]string{"scope": w.GraphURL() + "/.default " + w.OutlookURL() + "/.default"}, 28000},
		"scope with brackets": {map[string]string{"scope": "<x>"}, 70011},
	} {
		if r := askDevice(t, w, c.values); r.code(t) != c.code {
			t.Errorf("%s: %s", name, r.body)
		}
	}
	if r := get(t, w, w.LoginURL()+"/common/oauth2/v2.0/devicecode"); r.code(t) != 900561 {
		t.Error(r.body)
	}
	page := get(t, w, w.LoginURL()+"/common/oauth2/deviceauth")
	if page.status != 200 || !strings.Contains(page.body, `name="code"`) || !slices.Contains(page.header.Values("Content-Type"), "text/html; charset=utf-8") {
		t.Error(page.body)
	}
}
