package sim_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/internal/sim"
)

// faultCase is a request that a fault changes the answer to.
type faultCase struct {
	faults             string
	status             int
	has                string
	method, path, body string
}

func registrationFaults() []faultCase {
	const upsert = "applications(uniqueName='u')"
	return []faultCase{
		{"cert-lifetime=180d", 400, "CredentialInvalidLifetimeAsPerAppPolicy", "POST", "applications", "KEY"},
		{"cert-lifetime=800d", 201, "", "POST", "applications", "KEY"},
		{"secrets-forbidden", 400, "CredentialTypeNotAllowedAsPerAppPolicy", "POST", "applications/APP/addPassword", ""},
		{"no-upsert", 400, "not supported", "PATCH", upsert, `{"displayName":"x"}`},
		{"no-upsert=501", 501, "not supported", "PATCH", upsert, `{"displayName":"x"}`},
		{"no-batch", 400, "$batch", "POST", "$batch", `{"requests":[{"id":"1","method":"GET","url":"/me"}]}`},
		{"quota", 403, "Directory_QuotaExceeded", "POST", "applications", `{"displayName":"x"}`},
		{"resource-missing", 404, "Request_ResourceNotFound", "GET", "servicePrincipals(appId='" + sim.ExchangeAppID + "')", ""},
		{"resource-missing=sharepoint", 404, "Request_ResourceNotFound", "GET", "servicePrincipals(appId='" + sim.SharePointAppID + "')", ""},
		{"write-denied", 403, "Authorization_RequestDenied", "POST", "applications", `{"displayName":"x"}`},
		{"write-denied=approle", 201, "", "POST", "applications", `{"displayName":"x"}`},
		{"conflict", 409, "Directory_ConcurrencyViolation", "POST", "applications", `{"displayName":"x"}`},
		{"concurrent-requests", 503, "Error due to concurrent requests being made to the tenant", "POST", "applications", `{"displayName":"x"}`},
		{"policy-unreadable", 403, "Authorization_RequestDenied", "GET", "policies/defaultAppManagementPolicy", ""},
	}
}

func TestRegistrationFaults(t *testing.T) {
	t.Parallel()
	for _, c := range registrationFaults() {
		t.Run(c.faults, func(t *testing.T) {
			t.Parallel()
			w := start(t, c.faults)
			app, _ := w.App(sim.AppBackup)
			body := c.body
			if body == "KEY" {
				body = `{"displayName":"x","keyCredentials":[` + keyJSON(w, "") + `]}`
			}
			who := as(t, w, sim.GlobalAdmin)
			who.refused(c.status, c.has, c.method, strings.Replace(c.path, "APP", app.ObjectID, 1), body, "create-if-missing")
		})
	}
}

// notListedForEWS: nobody puts the new client id into EwsAllowedAppIDs.
func (p probe) notListedForEWS() {
	p.t.Helper()
	a := as(p.t, p.w, sim.GlobalAdmin)
	app := a.must(201, "POST", "applications", `{"displayName":"x"}`)
	id := app["id"].(string)
	a.must(201, "POST", "servicePrincipals", `{"appId":"`+app["appId"].(string)+`"}`)
	exchange := a.principalOf(sim.ExchangeAppID)
	a.must(201, "POST", "servicePrincipals/"+exchange+"/appRoleAssignedTo", assignmentJSON(a.principalOf(app["appId"].(string)), exchange, fullAccess))
	secret := a.must(200, "POST", "applications/"+id+"/addPassword", "")["secretText"].(string)
	raw, _ := ask(p.t, p.w, p.w.OutlookURL()+"/.default", map[string]string{"client_id": app["appId"].(string), "client_secret": secret}).json(p.t)["access_token"].(string)
	if r := ews(p.t, p.w, soapBody("SmtpAddress", sim.Mailbox, inbox), raw); r.status != 403 || r.header.Get("X-EWS-Policy-Reason") != "EWS is blocked by policy for this user or tenant" {
		p.t.Errorf("%d %v", r.status, r.header)
	}
}

func (p probe) replicates() {
	p.t.Helper()
	a := as(p.t, p.w, sim.GlobalAdmin)
	id := a.must(201, "POST", "applications", `{"displayName":"x"}`)["id"].(string)
	missing := 0
	for range 50 {
		if a.do("GET", "applications/"+id, "").status == 404 {
			missing++
		}
	}
	if missing == 0 {
		p.t.Error("every replica knew at once")
	}
}

func (p probe) forbidsRegistration() {
	p.t.Helper()
	as(p.t, p.w, sim.OrdinaryUser).refused(403, "Authorization_RequestDenied", "POST", "applications", `{"displayName":"x"}`)
	as(p.t, p.w, sim.ApplicationDeveloper).must(201, "POST", "applications", `{"displayName":"x"}`)
}

func (p probe) losesAnswer() {
	p.t.Helper()
	a := as(p.t, p.w, sim.GlobalAdmin)
	if r := a.do("POST", "applications", `{"displayName":"lost"}`); r.err == nil {
		p.t.Errorf("answered: %d", r.status)
	}
	if list := a.must(200, "GET", "applications?$filter="+url.QueryEscape("displayName eq 'lost'"), "")["value"].([]any); len(list) != 1 {
		p.t.Errorf("%d applications", len(list))
	}
	a.must(201, "POST", "applications", `{"displayName":"found"}`)
	batch := `{"requests":[{"id":"1","method":"PATCH","url":"/applications(uniqueName='a')","headers":{"Content-Type":"application/json","Prefer":"create-if-missing"},"body":{"displayName":"b"}}]}`
	if err := p.w.SetFault("lost-answer=uniqueName"); err != nil {
		p.t.Fatal(err)
	}
	if r := a.do("POST", "$batch", batch); r.err == nil {
		p.t.Errorf("answered: %d %s", r.status, r.body)
	}
	if status, _ := a.batchOf(batch); status["1"] != 204 {
		p.t.Errorf("%v", status)
	}
}

func TestPolicy(t *testing.T) {
	t.Parallel()
	w := start(t, "superfluous-role=Policy.Read.All", "cert-lifetime", "secrets-forbidden")
	raw := token(t, w, sim.AppBackup, w.GraphURL())
	r := graph(t, w, "policies/defaultAppManagementPolicy", raw)
	if r.status != 200 || !strings.Contains(r.body, `"maxLifetime":"P180D"`) || !strings.Contains(r.body, `"restrictionType":"passwordAddition"`) || !strings.Contains(r.body, `"isEnabled":true`) {
		t.Errorf("%d %s", r.status, r.body)
	}
	if err := w.SetFault("policy-unreadable"); err != nil {
		t.Fatal(err)
	}
	if r := graph(t, w, "policies/defaultAppManagementPolicy", raw); r.status != 403 {
		t.Errorf("%d", r.status)
	}
}
