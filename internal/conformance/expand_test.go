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
