package sim_test

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/c2conn/c2conn/internal/sim"
)

// admin is somebody who talks to Graph.
type admin struct {
	t   *testing.T
	w   *sim.World
	raw string
}

// as signs somebody of the tenant in, as Azure CLI does.
func as(t *testing.T, w *sim.World, upn string) admin {
	t.Helper()
	raw, err := w.AdminToken(upn)
	if err != nil {
		t.Fatal(err)
	}
	return admin{t, w, raw}
}

func (a admin) do(method, path, body string, prefer ...string) reply {
	a.t.Helper()
	header := map[string]string{"Authorization": "Bearer " + a.raw}
	if body != "" {
		header["Content-Type"] = "application/json"
	}
	if len(prefer) > 0 {
		header["Prefer"] = strings.Join(prefer, ",")
	}
	return send(a.t, a.w.Client(), method, a.w.GraphURL()+"/v1.0/"+path, body, header)
}

// must is do for what has to succeed.
func (a admin) must(status int, method, path, body string, prefer ...string) map[string]any {
	a.t.Helper()
	r := a.do(method, path, body, prefer...)
	if r.status != status {
		a.t.Fatalf("%s %s: %d instead of %d\n%s", method, path, r.status, status, r.body)
	}
	if r.body == "" {
		return nil
	}
	return r.json(a.t)
}

// refused is do for what has to fail, with this in the error's code or message.
func (a admin) refused(status int, has, method, path, body string, prefer ...string) {
	a.t.Helper()
	if r := a.do(method, path, body, prefer...); r.status != status || !strings.Contains(r.body, has) {
		a.t.Errorf("%s %s %.200s: %d instead of %d with %q\n%s", method, path, body, r.status, status, has, r.body)
	}
}

// principalOf is the object id of the service principal of an application.
func (a admin) principalOf(appID string) string {
	a.t.Helper()
	id, _ := a.must(200, "GET", "servicePrincipals(appId='"+appID+"')?$select=id", "")["id"].(string)
	return id
}

func keyJSON(w *sim.World, more string) string {
	return `{"type":"AsymmetricX509Cert","usage":"Verify","key":"` + base64.StdEncoding.EncodeToString(w.Certificate.Leaf.Raw) + `"` + more + `}`
}

const (
	fullAccess = "dc890d15-9560-4a4c-9b7f-a736ec74ec40"
	userRead   = "df021288-bdef-4463-88db-98f22de89214"
)

func assignmentJSON(client, resource, role string) string {
	return `{"principalId":"` + client + `","resourceId":"` + resource + `","appRoleId":"` + role + `"}`
}

// TestRegistration is the whole journey as the documentation describes it.
func TestRegistration(t *testing.T) {
	t.Parallel()
	w := start(t)
	a := as(t, w, sim.GlobalAdmin)
	if me := a.must(200, "GET", "me?$select=id,userPrincipalName", ""); me["userPrincipalName"] != sim.GlobalAdmin {
		t.Errorf("%v", me)
	}
	roles := a.must(200, "GET", "me/transitiveMemberOf/microsoft.graph.directoryRole?$select=displayName,roleTemplateId", "")["value"].([]any)
	if len(roles) != 1 || roles[0].(map[string]any)["roleTemplateId"] != sim.RoleGlobalAdministrator {
		t.Errorf("%v", roles)
	}
	body := `{"@odata.type":"#microsoft.graph.application","displayName":"CodeTwo Backup Exchange 2","signInAudience":"AzureADMyOrg","tags":["c2conn","c2conn:run:1"],"notes":"n","description":"d",` +
		`"web":{"redirectUris":["http://localhost"]},"requiredResourceAccess":[{"resourceAppId":"` + sim.ExchangeAppID + `","resourceAccess":[{"id":"` + fullAccess + `","type":"Role"}]}],` +
		`"keyCredentials":[` + keyJSON(w, "") + `]}`
	const path = "applications(uniqueName='c2conn-exchange-1')"
	a.refused(404, "Request_ResourceNotFound", "PATCH", path, body)
	app := a.must(201, "PATCH", path, body, "create-if-missing", "return=representation")
	id, appID := app["id"].(string), app["appId"].(string)
	if app["uniqueName"] != "c2conn-exchange-1" || app["createdByAppId"] != sim.AzureCLIAppID || app["keyCredentials"].([]any)[0].(map[string]any)["key"] != nil || app["web"] == nil {
		t.Errorf("%v", app)
	}
	if r := a.do("PATCH", path, body, "create-if-missing"); r.status != 204 || r.body != "" {
		t.Errorf("again: %d %s", r.status, r.body)
	}
	if same := a.must(200, "PATCH", path, `{"notes":"m"}`, "create-if-missing", "return=representation"); same["id"] != id || same["notes"] != "m" || same["description"] != "d" {
		t.Errorf("%v", same)
	}
	for _, filter := range []string{"displayName eq 'CodeTwo Backup Exchange 2'", "tags/any(t:t eq 'c2conn:run:1')", "appId eq '" + appID + "'", "uniqueName eq 'c2conn-exchange-1'", "createdByAppId eq '" + sim.AzureCLIAppID + "'"} {
		list := a.must(200, "GET", "applications?$select=id,keyCredentials&$top=5&$filter="+url.QueryEscape(filter), "")["value"].([]any)
		if len(list) != 1 || list[0].(map[string]any)["id"] != id {
			t.Errorf("%s: %v", filter, list)
		}
	}
	if key := a.must(200, "GET", path+"?$select=keyCredentials", "")["keyCredentials"].([]any)[0].(map[string]any)["key"]; key != base64.StdEncoding.EncodeToString(w.Certificate.Leaf.Raw) {
		t.Errorf("key %v", key)
	}
	principal := a.must(201, "POST", "servicePrincipals", `{"appId":"`+appID+`","tags":["c2conn","WindowsAzureActiveDirectoryIntegratedApp"]}`)
	a.refused(409, "is already in use", "POST", "servicePrincipals", `{"appId":"`+appID+`"}`)
	client, exchange, graphID := principal["id"].(string), a.principalOf(sim.ExchangeAppID), a.principalOf(sim.GraphAppID)
	granted := a.must(201, "POST", "servicePrincipals/"+exchange+"/appRoleAssignedTo", assignmentJSON(client, exchange, fullAccess))
	a.must(201, "POST", "servicePrincipals/"+client+"/appRoleAssignments", assignmentJSON(client, graphID, userRead))
	a.refused(400, "Permission being assigned already exists on the object", "POST", "servicePrincipals/"+exchange+"/appRoleAssignedTo", assignmentJSON(client, exchange, fullAccess))
	if list := a.must(200, "GET", "servicePrincipals/"+client+"/appRoleAssignments", "")["value"].([]any); len(list) != 2 {
		t.Errorf("%v", list)
	}
	secret := a.must(200, "POST", "applications/"+id+"/addPassword", `{"passwordCredential":{"displayName":"one","endDateTime":"2099-01-01T00:00:00Z"}}`)
	text, keyID := secret["secretText"].(string), secret["keyId"].(string)
	if len(text) != 40 || secret["hint"] != text[:3] {
		t.Errorf("%v", secret)
	}
	raw, _ := ask(t, w, w.OutlookURL()+"", map[string]string{"client_id": appID, "client_secret": text, "scope": w.OutlookURL() + "/.default"}).json(t)["access_token"].(string)
	if claims := claimsOf(t, w, raw); fmt.Sprint(claims["roles"]) != "[full_access_as_app]" {
		t.Errorf("%v", claims["roles"])
	}
	if r := ews(t, w, soapBody("PrimarySmtpAddress", sim.Mailbox, inbox), raw); r.status != 200 || ewsCode(t, r) != "NoError" {
		t.Errorf("EWS: %d %s", r.status, r.body)
	}
	a.must(204, "POST", "applications/"+id+"/removePassword", `{"keyId":"`+keyID+`"}`)
	a.refused(400, "", "POST", "applications/"+id+"/removePassword", `{"keyId":"`+keyID+`"}`)
	a.must(204, "DELETE", "servicePrincipals/"+exchange+"/appRoleAssignedTo/"+granted["id"].(string), "")
	a.refused(404, "", "DELETE", "servicePrincipals/"+exchange+"/appRoleAssignedTo/"+granted["id"].(string), "")
	if owners := a.must(200, "GET", "applications/"+id+"/owners", "")["value"].([]any); len(owners) != 1 || owners[0].(map[string]any)["@odata.type"] != "#microsoft.graph.user" {
		t.Errorf("%v", owners)
	}
	dump, err := w.Dump()
	if err != nil || strings.Contains(string(dump), text) || !strings.Contains(string(dump), appID) || strings.Contains(string(dump), "Microsoft service 001") {
		t.Errorf("%v %d bytes", err, len(dump))
	}
	for _, e := range w.Requests() {
		if strings.Contains(string(e.Out), text) {
			t.Errorf("the secret is in the log: %s", e.Name)
		}
	}
	deleted(t, a, id, client, path, body)
}

// deleted takes the application away, brings it back and purges it.
func deleted(t *testing.T, a admin, id, client, path, body string) {
	t.Helper()
	a.must(204, "DELETE", "applications/"+id, "")
	a.refused(404, "", "GET", "servicePrincipals/"+client, "")
	a.refused(400, "Another object with the same value for property uniqueName already exists.", "PATCH", path, body, "create-if-missing")
	if list := a.must(200, "GET", "directory/deletedItems/microsoft.graph.application", "")["value"].([]any); len(list) != 1 || list[0].(map[string]any)["deletedDateTime"] == nil {
		t.Errorf("%v", list)
	}
	a.refused(400, "NoBackingApplicationObject", "POST", "directory/deletedItems/"+client+"/restore", "")
	a.must(200, "POST", "directory/deletedItems/"+id+"/restore", "")
	a.refused(404, "", "GET", "servicePrincipals/"+client, "")
	a.must(200, "POST", "directory/deletedItems/"+client+"/microsoft.graph.restore", "")
	if list := a.must(200, "GET", "servicePrincipals/"+client+"/appRoleAssignments", "")["value"].([]any); len(list) != 1 {
		t.Errorf("assignments restored: %v", list)
	}
	a.must(204, "DELETE", "applications/"+id, "")
	a.must(204, "DELETE", "directory/deletedItems/"+id, "")
	a.must(204, "DELETE", "directory/deletedItems/"+client, "")
	a.refused(404, "", "GET", "directory/deletedItems/"+id, "")
	a.must(201, "PATCH", path, body, "create-if-missing")
}

// TestStrictWrites sends what the real service refuses.
func TestStrictWrites(t *testing.T) {
	t.Parallel()
	w := start(t)
	a := as(t, w, sim.GlobalAdmin)
	app, _ := w.App(sim.AppBackup)
	exchange, graphID := a.principalOf(sim.ExchangeAppID), a.principalOf(sim.GraphAppID)
	at := "applications/" + app.ObjectID
	late := w.Certificate.Leaf.NotAfter.Add(time.Second).UTC().Format(time.RFC3339)
	early := w.Certificate.Leaf.NotBefore.Add(-time.Second).UTC().Format(time.RFC3339)
	keys := func(k string) string { return `{"displayName":"x","keyCredentials":[` + k + `]}` }
	for _, c := range []struct {
		status             int
		has                string
		method, path, body string
	}{
		{400, "Unable to read JSON", "POST", "applications", ""},
		{400, "Unable to read JSON", "POST", "applications", "[]"},
		{400, "Unable to read JSON", "POST", "applications", `{"displayName":"x"}{}`},
		{400, "A value is required for property 'displayName'", "POST", "applications", `{}`},
		{400, "'displayName'", "POST", "applications", `{"displayName":""}`},
		{400, "'displayName'", "POST", "applications", `{"displayName":5}`},
		{400, "'displayName'", "POST", "applications", `{"displayName":"` + strings.Repeat("x", 257) + `"}`},
		{400, "Invalid property 'nonsense'", "POST", "applications", `{"displayName":"x","nonsense":1}`},
		{400, "read-only", "POST", "applications", `{"displayName":"x","appId":"` + w.TenantID + `"}`},
		{400, "'tags'", "POST", "applications", `{"displayName":"x","tags":[1]}`},
		{400, "'tags'", "POST", "applications", `{"displayName":"x","tags":null}`},
		{400, "'signInAudience'", "POST", "applications", `{"displayName":"x","signInAudience":"Everybody"}`},
		{400, "service actions", "POST", "applications", `{"displayName":"x","passwordCredentials":[{"displayName":"p"}]}`},
		{400, "'requiredResourceAccess'", "POST", "applications", `{"displayName":"x","requiredResourceAccess":[{"resourceAppId":"x","resourceAccess":[]}]}`},
		{400, "'requiredResourceAccess'", "POST", "applications", `{"displayName":"x","requiredResourceAccess":[{"resourceAppId":"` + sim.GraphAppID + `","resourceAccess":[{"id":"` + userRead + `","type":"Application"}]}]}`},
		{400, "'requiredResourceAccess'", "POST", "applications", `{"displayName":"x","requiredResourceAccess":[{"resourceAppId":"` + sim.GraphAppID + `","resourceAccess":[]},{"resourceAppId":"` + sim.GraphAppID + `","resourceAccess":[]}]}`},
		{400, "'keyCredentials'", "POST", "applications", keys(`{"type":"AsymmetricX509Cert","usage":"Verify","key":"AAAA"}`)},
		{400, "'keyCredentials'", "POST", "applications", keys(`{"type":"AsymmetricX509Cert","usage":"Verify"}`)},
		{400, "'keyCredentials'", "POST", "applications", keys(strings.Replace(keyJSON(w, ""), "Verify", "Sign", 1))},
		{400, "'keyCredentials'", "POST", "applications", keys(keyJSON(w, `,"nonsense":1`))},
		{400, "'keyCredentials'", "POST", "applications", keys(keyJSON(w, `,"keyId":"x"`))},
		{400, "'keyCredentials'", "POST", "applications", keys(keyJSON(w, `,"endDateTime":"soon"`))},
		{400, "Key credential end date is invalid", "POST", "applications", keys(keyJSON(w, `,"endDateTime":"`+late+`"`))},
		{400, "Key credential start date is invalid", "POST", "applications", keys(keyJSON(w, `,"startDateTime":"`+early+`"`))},
		{404, "Request_ResourceNotFound", "PATCH", "applications/" + w.TenantID, `{}`},
		{405, "", "PUT", at, `{}`},
		{400, "Invalid property", "POST", at + "/addPassword", `{"displayName":"x"}`},
		{400, "passwordCredential", "POST", at + "/addPassword", `{"passwordCredential":{"nonsense":"x"}}`},
		{400, "end date", "POST", at + "/addPassword", `{"passwordCredential":{"endDateTime":"2001-01-01T00:00:00Z"}}`},
		{401, "Authentication_MissingOrMalformed", "POST", at + "/addKey", `{"keyCredential":` + keyJSON(w, "") + `,"proof":"x"}`},
		{400, "A value is required for property 'appId'", "POST", "servicePrincipals", `{}`},
		{400, "NoBackingApplicationObject", "POST", "servicePrincipals", `{"appId":"` + w.TenantID + `"}`},
		{400, "read-only", "POST", "servicePrincipals", `{"appId":"` + w.TenantID + `","displayName":"x"}`},
		{400, "Not a valid reference update.", "POST", "servicePrincipals/" + exchange + "/appRoleAssignedTo", assignmentJSON(w.TenantID, exchange, fullAccess)},
		{400, "Not a valid reference update.", "POST", "servicePrincipals/" + graphID + "/appRoleAssignedTo", assignmentJSON(app.PrincipalID, exchange, fullAccess)},
		{400, "Permission being assigned was not found on application 'Microsoft Graph'", "POST", "servicePrincipals/" + graphID + "/appRoleAssignedTo", assignmentJSON(app.PrincipalID, graphID, fullAccess)},
		{400, "'appRoleId'", "POST", "servicePrincipals/" + exchange + "/appRoleAssignedTo", assignmentJSON(app.PrincipalID, exchange, "x")},
		{404, "Request_ResourceNotFound", "POST", "servicePrincipals/" + w.TenantID + "/appRoleAssignedTo", assignmentJSON(app.PrincipalID, exchange, fullAccess)},
		{403, "Authorization_RequestDenied", "GET", "policies/defaultAppManagementPolicy", ""}, // Azure CLI's token has no such scope
		{403, "", "GET", "me/mailboxSettings", ""},
		{403, "", "GET", "users/" + sim.Mailbox + "/mailboxSettings", ""},
		{400, "nonsense", "GET", "applications?$select=nonsense", ""},
		{400, "", "GET", "applications?$filter=" + url.QueryEscape("notes eq 'x'"), ""},
	} {
		a.refused(c.status, c.has, c.method, c.path, c.body)
	}
	a.must(204, "PATCH", at, `{"uniqueName":"mine"}`)
	a.refused(400, "immutable", "PATCH", at, `{"uniqueName":"other"}`)
	a.refused(400, "uniqueName already exists", "POST", "applications", `{"displayName":"x","uniqueName":"MINE"}`)
	if r := send(t, w.Client(), "POST", w.GraphURL()+"/v1.0/applications", `{"displayName":"x"}`, map[string]string{"Authorization": "Bearer " + a.raw, "Content-Type": "text/plain"}); r.status != 400 {
		t.Errorf("text/plain: %d", r.status)
	}
	// The collection is replaced: who sends one key has one key, unless it names the other.
	old := a.must(200, "GET", at, "")["keyCredentials"].([]any)[0].(map[string]any)["keyId"].(string)
	a.must(204, "PATCH", at, `{"keyCredentials":[{"keyId":"`+old+`","type":"AsymmetricX509Cert","usage":"Verify"}]}`)
	a.must(204, "PATCH", at, `{"keyCredentials":[]}`)
	if list := a.must(200, "GET", at, "")["keyCredentials"].([]any); len(list) != 0 {
		t.Errorf("%v", list)
	}
}

// TestAuthority holds each account against the documented matrix.
func TestAuthority(t *testing.T) {
	t.Parallel()
	type rights struct{ register, others, exchange, graph bool }
	for upn, want := range map[string]rights{
		sim.GlobalAdmin:           {true, true, true, true},
		sim.PrivilegedRoleAdmin:   {true, false, true, true},
		sim.ApplicationAdmin:      {true, true, true, false},
		sim.CloudApplicationAdmin: {true, true, true, false},
		sim.ApplicationDeveloper:  {true, false, false, false},
		sim.ExchangeAdmin:         {true, false, false, false},
		sim.OrdinaryUser:          {true, false, false, false},
	} {
		t.Run(upn, func(t *testing.T) {
			t.Parallel()
			w := start(t)
			a := as(t, w, upn)
			status := func(ok bool, good int) int {
				if ok {
					return good
				}
				return 403
			}
			seeded, _ := w.App(sim.AppNoRoles)
			app := a.must(status(want.register, 201), "POST", "applications", `{"displayName":"mine"}`)
			a.must(201, "POST", "servicePrincipals", `{"appId":"`+app["appId"].(string)+`"}`)
			a.must(200, "POST", "applications/"+app["id"].(string)+"/addPassword", "")
			a.must(status(want.others, 204), "PATCH", "applications/"+seeded.ObjectID, `{"notes":"x"}`)
			exchange, graphID := a.principalOf(sim.ExchangeAppID), a.principalOf(sim.GraphAppID)
			a.must(status(want.exchange, 201), "POST", "servicePrincipals/"+exchange+"/appRoleAssignedTo", assignmentJSON(seeded.PrincipalID, exchange, fullAccess))
			a.must(status(want.graph, 201), "POST", "servicePrincipals/"+graphID+"/appRoleAssignedTo", assignmentJSON(seeded.PrincipalID, graphID, userRead))
			a.must(204, "DELETE", "applications/"+app["id"].(string), "")
			a.must(204, "DELETE", "directory/deletedItems/"+app["id"].(string), "")
			if err := w.SetFault("registration-forbidden"); err != nil {
				t.Fatal(err)
			}
			a.must(status(want.others || upn == sim.ApplicationDeveloper, 201), "POST", "applications", `{"displayName":"mine"}`)
		})
	}
}

// TestAppOnlyAuthority: an application with rights for its own objects.
func TestAppOnlyAuthority(t *testing.T) {
	t.Parallel()
	w := start(t)
	none := admin{t, w, token(t, w, sim.AppBackup, w.GraphURL())}
	none.refused(403, "Authorization_RequestDenied", "POST", "applications", `{"displayName":"x"}`)
	none.refused(400, "delegated authentication flow", "GET", "me", "")
	own := admin{t, w, token(t, w, sim.AppSuperfluousRoles, w.GraphURL())} // Application.ReadWrite.OwnedBy
	made := own.must(201, "POST", "applications", `{"displayName":"x"}`)
	own.must(204, "PATCH", "applications/"+made["id"].(string), `{"notes":"x"}`)
	other, _ := w.App(sim.AppBackup)
	own.refused(403, "Authorization_RequestDenied", "PATCH", "applications/"+other.ObjectID, `{"notes":"x"}`)
	// Deleting its service principal takes the identity away.
	self, _ := w.App(sim.AppSuperfluousRoles)
	as(t, w, sim.GlobalAdmin).must(204, "DELETE", "servicePrincipals/"+self.PrincipalID, "")
	own.refused(401, "Authorization_IdentityNotFound", "GET", "applications", "")
}

// TestAddKey: an application rolls its own certificate without any permission.
func TestAddKey(t *testing.T) {
	t.Parallel()
	w := start(t)
	app, _ := w.App(sim.AppNoRoles)
	self := admin{t, w, token(t, w, sim.AppNoRoles, w.GraphURL())}
	now := time.Now()
	proof := func(change func(jwt.MapClaims)) string {
		claims := jwt.MapClaims{"aud": "00000002-0000-0000-c000-000000000000", "iss": app.ObjectID, "nbf": now.Unix(), "exp": now.Add(10 * time.Minute).Unix()}
		if change != nil {
			change(claims)
		}
		raw, err := jwt.NewWithClaims(jwt.SigningMethodRS256, claims).SignedString(app.Certificate.Key)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	body := func(proof string) string {
		return `{"keyCredential":` + keyJSON(w, "") + `,"passwordCredential":null,"proof":"` + proof + `"}`
	}
	for name, change := range map[string]func(jwt.MapClaims){
		"audience": func(c jwt.MapClaims) { c["aud"] = "x" },
		"issuer":   func(c jwt.MapClaims) { c["iss"] = app.ClientID },
		"too long": func(c jwt.MapClaims) { c["exp"] = now.Add(11 * time.Minute).Unix() },
		"expired": func(c jwt.MapClaims) {
			c["nbf"], c["exp"] = now.Add(-20*time.Minute).Unix(), now.Add(-10*time.Minute).Unix()
		},
	} {
		if r := self.do("POST", "applications/"+app.ObjectID+"/addKey", body(proof(change))); r.status != 401 {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
	}
	key := self.must(200, "POST", "applications/"+app.ObjectID+"/addKey", body(proof(nil)))
	self.must(204, "POST", "applications(appId='"+app.ClientID+"')/removeKey", `{"keyId":"`+key["keyId"].(string)+`","proof":"`+proof(nil)+`"}`)
	self.refused(403, "Authorization_RequestDenied", "POST", "applications/"+app.ObjectID+"/addPassword", "")
	for _, e := range w.Requests() {
		if strings.Contains(string(e.Body), "eyJ") {
			t.Errorf("a proof is in the log: %s", e.Body)
		}
	}
}

func TestFourHundredServicePrincipals(t *testing.T) {
	t.Parallel()
	w := start(t)
	a := as(t, w, sim.GlobalAdmin)
	pages, seen := 0, map[string]bool{}
	for path := "servicePrincipals?$select=appId,appOwnerOrganizationId"; path != ""; pages++ {
		page := a.must(200, "GET", path, "")
		for _, p := range page["value"].([]any) {
			if p.(map[string]any)["appOwnerOrganizationId"] != w.TenantID {
				seen[p.(map[string]any)["appId"].(string)] = true
			}
		}
		next, _ := page["@odata.nextLink"].(string)
		path = strings.TrimPrefix(next, w.GraphURL()+"/v1.0/")
	}
	if pages != 5 || len(seen) != 400 || !seen[sim.GraphAppID] || !seen[sim.ExchangeAppID] || !seen[sim.AzureCLIAppID] {
		t.Errorf("%d pages, %d of Microsoft's", pages, len(seen))
	}
}
