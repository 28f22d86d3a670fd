package sim_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/sim"
)

func TestGraphReads(t *testing.T) {
	t.Parallel()
	w := start(t)
	raw := token(t, w, sim.AppBackup, w.GraphURL())
	adminID, _ := graph(t, w, "users/"+sim.Mailbox+"?$select=id", raw).json(t)["id"].(string)
	for _, c := range []struct {
		path   string
		status int
		code   any
		has    string // in the body
	}{
		{"organization", 200, nil, `"displayName":"Contoso (simulated)"`},
		{"organization/" + w.TenantID, 200, nil, `"name":"contoso.com"`},
		{"organization/11111111-1111-4111-8111-111111111111", 404, "Request_ResourceNotFound", ""},
		{"users/" + adminID, 200, nil, `"userPrincipalName":"admin@contoso.com"`},
		{"users/ADMIN@CONTOSO.COM", 200, nil, adminID},
		{"users/admin%40contoso.com", 200, nil, adminID},
		{"users('admin@contoso.com')", 200, nil, adminID},
		{"users/alex.w@contoso.com", 200, nil, `"mail":"alex.wilber@contoso.com"`},
		{"users/alex.wilber@contoso.com", 404, "Request_ResourceNotFound", "Resource 'alex.wilber@contoso.com' does not exist"},
		{"users?$filter=" + url.QueryEscape("mail eq 'Alex.Wilber@contoso.com'"), 200, nil, `"alex.w@contoso.com"`},
		{"users?$filter=" + url.QueryEscape("proxyAddresses/any(p:p eq 'smtp:administrator@contoso.com')"), 200, nil, adminID},
		{"users?$filter=" + url.QueryEscape("startswith(displayName,'person 1') and accountEnabled eq true") + "&$top=3", 200, nil, `"Person 100"`},
		{"users?$filter=" + url.QueryEscape("userPrincipalName in ('room1@contoso.com','support@contoso.com')"), 200, nil, "Meeting room 1"},
		{"users?$filter=" + url.QueryEscape("displayName ge 'A'"), 400, "Request_UnsupportedQuery", ""},
		{"users?$filter=" + url.QueryEscape("aboutMe eq 'x'"), 400, "Request_UnsupportedQuery", "property 'aboutMe'"},
		{"users?$top=0", 400, "Request_UnsupportedQuery", "Must be between 1 and 999"},
		{"users?$top=1000", 400, "Request_UnsupportedQuery", "Must be between 1 and 999"},
		{"users?$top=x", 400, "BadRequest", ""},
		{"users?$skiptoken=nonsense", 400, "Directory_ExpiredPageToken", ""},
		{"users?$nonsense=1", 400, "BadRequest", "$nonsense"},
		{"users?$search=x", 400, "Request_UnsupportedQuery", "ConsistencyLevel"},
		{"users?$orderby=displayName&$top=1&$select=displayName", 200, nil, "Alex Wilber"},
		{"users?$select=id,nonsense", 400, "BadRequest", "Could not find a property named 'nonsense' on type 'microsoft.graph.user'."},
		{"users/" + adminID + "?$select=aboutMe,otherMails", 200, nil, `"aboutMe":null,"otherMails":[]`},
		{"users/" + adminID + "?$top=1", 400, "BadRequest", ""},
		{"users/" + adminID + "/mailboxSettings", 200, nil, `"userPurpose":"user"`},
		{"users/" + adminID + "/mailboxSettings?$select=userPurpose", 200, nil, `"userPurpose":"user"`},
		{"users/" + adminID + "/mailboxSettings/userPurpose", 200, nil, `"value":"user"`},
		{"users/support@contoso.com/mailboxSettings/userPurpose", 200, nil, `"value":"shared"`},
		{"users/no-mailbox@contoso.com/mailboxSettings", 404, "MailboxNotEnabledForRESTAPI", ""},
		{"users/on-premises@contoso.com/mailboxSettings", 404, "MailboxNotEnabledForRESTAPI", "hosted on-premise"},
		{"users/nobody@contoso.com/mailboxSettings", 404, "ErrorInvalidUser", ""},
		{"groups?$top=1&$select=id", 200, nil, `"id"`},
		{"groups/11111111-1111-4111-8111-111111111111", 404, "Request_ResourceNotFound", ""},
		{"domains", 200, nil, `"id":"contoso.onmicrosoft.com"`},
		{"domains/contoso.com", 200, nil, `"isDefault":true`},
		{"domains/fabrikam.com", 404, "Request_ResourceNotFound", ""},
		{"myorganization/organization", 200, nil, w.TenantID},
		{"applications(appId='" + w.ClientID + "')", 200, nil, `"displayName":"Contoso Mail Backup"`},
		{"applications(appId='" + w.ClientID + "')?$select=keyCredentials", 200, nil, `"key":"MII`},
		{"applications(appId='" + w.TenantID + "')", 404, "Request_ResourceNotFound", ""},
		{"applications?$filter=" + url.QueryEscape("displayName eq 'Contoso Mail Backup'") + "&$select=keyCredentials", 200, nil, `"key":null`},
		{"servicePrincipals(appId='" + w.ClientID + "')?$select=id,appId", 200, nil, w.ClientID},
		{"servicePrincipals(appId='" + sim.GraphAppID + "')?$select=appRoles", 200, nil, "df021288-bdef-4463-88db-98f22de89214"},
		{"servicePrincipals(appId='" + w.ClientID + "')/appRoleAssignments", 200, nil, `"resourceDisplayName":"Microsoft Graph"`},
		{"servicePrincipals(appId='" + sim.ExchangeAppID + "')/appRoleAssignedTo", 200, nil, `"principalDisplayName":"Contoso Mail Backup"`},
		{"me", 400, "BadRequest", "/me request is only valid with delegated authentication flow."},
		{"nonsense", 400, "BadRequest", "Resource not found for the segment 'nonsense'."},
		{"users/" + adminID + "/nonsense", 400, "BadRequest", "Resource not found for the segment 'nonsense'."},
		{"users(", 400, "BadRequest", ""},
		{"", 400, "BadRequest", ""},
	} {
		t.Run(c.path, func(t *testing.T) {
			t.Parallel()
			r := graph(t, w, c.path, raw)
			if r.status != c.status || c.code != nil && r.code(t) != c.code || !strings.Contains(r.body, c.has) {
				t.Errorf("%d %.600s", r.status, r.body)
			}
			if r.header.Get("request-id") == "" || r.header.Get("client-request-id") == "" {
				t.Error("no request ids")
			}
		})
	}
	for method, address := range map[string]string{http.MethodPost: "/v1.0/users", http.MethodDelete: "/v1.0/users/" + adminID} {
		if r := send(t, w.Client(), method, w.GraphURL()+address, "", map[string]string{"Authorization": "Bearer " + raw}); r.status != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d %s", method, r.status, r.body)
		}
	}
	if r := send(t, w.Client(), http.MethodGet, w.GraphURL()+"/v2.0/users", "", map[string]string{"Authorization": "Bearer " + raw}); r.status != 400 {
		t.Errorf("version: %d", r.status)
	}
}

func TestGraphPaging(t *testing.T) {
	t.Parallel()
	w := start(t)
	raw := token(t, w, sim.AppBackup, w.GraphURL())
	next := w.GraphURL() + "/v1.0/users?$select=id&$top=40&$count=true"
	seen := map[string]bool{}
	pages := 0
	for next != "" {
		r := send(t, w.Client(), http.MethodGet, next, "", map[string]string{"Authorization": "Bearer " + raw, "ConsistencyLevel": "eventual"})
		var page struct {
			Count int    `json:"@odata.count"`
			Next  string `json:"@odata.nextLink"`
			Value []struct{ ID string }
		}
		if err := json.Unmarshal([]byte(r.body), &page); err != nil {
			t.Fatal(err)
		}
		for _, u := range page.Value {
			if seen[u.ID] {
				t.Errorf("%s twice", u.ID)
			}
			seen[u.ID] = true
		}
		if page.Count != 156 {
			t.Errorf("count %d", page.Count)
		}
		next = page.Next
		pages++
	}
	if pages != 4 || len(seen) != 156 {
		t.Errorf("%d pages, %d users", pages, len(seen))
	}
	if n := len(graph(t, w, "users", raw).json(t)["value"].([]any)); n != 100 {
		t.Errorf("%d users on the default page", n)
	}
}

func TestGraphTokens(t *testing.T) {
	t.Parallel()
	w := start(t)
	good := token(t, w, sim.AppBackup, w.GraphURL())
	parts := strings.Split(good, ".")
	for name, c := range map[string]struct{ authorization, message string }{
		"none":              {"", "Access token is empty."},
		"basic":             {"Basic abc", "Access token is empty."},
		"no JWT":            {"Bearer abc", "CompactToken parsing failed with error code: 80049217"},
		"other service":     {"Bearer " + token(t, w, sim.AppBackup, w.OutlookURL()), "Access token validation failure. Invalid audience."},
		"signature changed": {"Bearer " + parts[0] + "." + parts[1] + "." + strings.Repeat("A", len(parts[2])), "Access token validation failure. Invalid signature."},
		"alg none":          {"Bearer eyJhbGciOiJub25lIn0." + parts[1] + ".", "CompactToken parsing failed with error code: 80049217"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := send(t, w.Client(), http.MethodGet, w.GraphURL()+"/v1.0/organization", "", map[string]string{"Authorization": c.authorization})
			if r.status != 401 || r.code(t) != "InvalidAuthenticationToken" || !strings.Contains(r.body, c.message) || !strings.HasPrefix(r.header.Get("WWW-Authenticate"), "Bearer ") {
				t.Errorf("%d %s %s", r.status, r.body, r.header.Get("WWW-Authenticate"))
			}
		})
	}
}

func TestTokenExpires(t *testing.T) {
	t.Parallel()
	clock := newClock()
	w := startWith(t, sim.Options{Now: clock.now})
	raw := token(t, w, sim.AppBackup, w.GraphURL())
	clock.add(59 * time.Minute)
	if r := graph(t, w, "organization", raw); r.status != 200 {
		t.Errorf("after 59 minutes: %d", r.status)
	}
	clock.add(2 * time.Minute)
	if r := graph(t, w, "organization", raw); r.status != 401 || !strings.Contains(r.body, "the token is expired") {
		t.Errorf("after an hour: %d %s", r.status, r.body)
	}
}

// TestGraphPermissions holds single permissions against the documented matrix.
func TestGraphPermissions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		holds  string
		opens  []string
		closed []string
	}{
		{"User.Read.All", []string{"users", "organization"}, []string{"groups", "domains", "applications", "users/" + sim.Mailbox + "/mailboxSettings"}},
		{"Group.Read.All", []string{"groups"}, []string{"users", "organization", "domains"}},
		{"Directory.Read.All", []string{"users", "groups", "organization", "domains", "applications", "servicePrincipals"}, []string{"users/" + sim.Mailbox + "/mailboxSettings"}},
		{"MailboxSettings.ReadWrite", []string{"users/" + sim.Mailbox + "/mailboxSettings"}, []string{"users", "groups"}},
		{"Organization.Read.All", []string{"organization"}, []string{"users", "domains"}},
	} {
		t.Run(c.holds, func(t *testing.T) {
			t.Parallel()
			w := start(t, "missing-role=Directory.Read.All,Group.Read.All,MailboxSettings.ReadWrite,User.Read.All", "superfluous-role="+c.holds)
			raw := token(t, w, sim.AppBackup, w.GraphURL())
			for _, path := range c.opens {
				if r := graph(t, w, path, raw); r.status != 200 {
					t.Errorf("%s: %d %s", path, r.status, r.body)
				}
			}
			for _, path := range c.closed {
				want := "Authorization_RequestDenied"
				if strings.Contains(path, "mailbox") {
					want = "ErrorAccessDenied"
				}
				if r := graph(t, w, path, raw); r.status != 403 || r.code(t) != want {
					t.Errorf("%s: %d %s", path, r.status, r.body)
				}
			}
		})
	}
}
