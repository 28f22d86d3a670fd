package main

import "testing"

func TestPermissions(t *testing.T) {
	t.Parallel()
	n := needs{
		"/applications":      {"POST": {"DelegatedWork": {"Application.ReadWrite.All"}}},
		"/sites":             {"GET": {"DelegatedWork": {"Sites.Read.All*"}}},
		"/sites/{id}":        {"GET": {"DelegatedWork": {"Sites.Read.All*"}}},
		"/sites/getallsites": {"GET": {"Application": {"Sites.Read.All*"}}},
	}
	for _, c := range []struct {
		method, url, scope string
		good               bool
	}{
		{"POST", "/v1.0/applications", "Application.ReadWrite.All", true},
		{"POST", "/v1.0/applications", "User.Read", false},
		{"GET", "/v1.0/applications/1/owners", "Application.Read.All", true},
		{"GET", "/v1.0/applications/1/owners", "Application.ReadWrite.All", true},
		{"GET", "/v1.0/applications/1/owners", "User.Read", false},
		{"DELETE", "/v1.0/directory/deletedItems/1", "Application.ReadWrite.All", true},
		{"GET", "/v1.0/directory/deletedItems/microsoft.graph.application?$top=1", "Application.Read.All", true},
		{"GET", "/v1.0/sites/root?$select=webUrl", "Sites.Read.All", true},
		{"GET", "/v1.0/sites?$filter=siteCollection/root ne null", "Sites.Read.All", true},
		{"GET", "/v1.0/sites/contoso.sharepoint.com,1,2", "User.Read.All", false},
		{"GET", "/v1.0/sites/getAllSites", "Sites.Read.All", false}, // for applications alone
		{"GET", "/v1.0/reports/1", "Directory.AccessAsUser.All", false},
	} {
		p := permissionCheck{needs: n, left: map[string]bool{}}
		p.check(record{M: c.method, URL: "https://graph.microsoft.com" + c.url, St: 200, Scopes: []string{c.scope}})
		if (p.good == 1) != c.good || (len(p.bad) == 0) != c.good {
			t.Errorf("%s %s with %s: %d good, bad %q", c.method, c.url, c.scope, p.good, p.bad)
		}
	}
}

// A proof stands for a permission where an application changes its own keys, and
// nowhere else.
func TestProofInsteadOfPermission(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		url    string
		roles  []string
		scopes []string
		good   bool
	}{
		{"/v1.0/applications/1/addKey", []string{"User.Read.All"}, nil, true},
		{"/v1.0/applications/1/removeKey", []string{"User.Read.All"}, nil, true},
		{"/v1.0/applications/1/removeKey", nil, []string{"User.Read"}, false},
		{"/v1.0/applications/1/addPassword", []string{"User.Read.All"}, nil, false},
	} {
		p := permissionCheck{needs: needs{}, left: map[string]bool{}}
		p.check(record{M: "POST", URL: "https://graph.microsoft.com" + c.url, St: 200, Roles: c.roles, Scopes: c.scopes})
		if (p.proven == 1) != c.good || (len(p.bad) == 0) != c.good {
			t.Errorf("%s with %v %v: %d proven, bad %q", c.url, c.roles, c.scopes, p.proven, p.bad)
		}
	}
}
