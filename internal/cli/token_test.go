package cli

import (
	"testing"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/cloud"
)

func TestScopeOfAResource(t *testing.T) {
	t.Parallel()
	set, err := cloud.Load(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ cloud, resource, want string }{ // "" where it is refused
		{"global", "graph", "https://graph.microsoft.com/.default"},
		{"global", "Exchange", "https://outlook.office365.com/.default"},
		{"global", "sharepoint", "https://contoso.sharepoint.com/.default"},
		{"usgov", "graph", "https://graph.microsoft.us/.default"},
		{"usgov", "sharepoint", ""}, // the profile's address belongs to another cloud
		{"global", "https://graph.microsoft.com", "https://graph.microsoft.com/.default"},
		{"global", "https://graph.microsoft.com/", "https://graph.microsoft.com/.default"},
		{"global", "https://graph.microsoft.com/.default", "https://graph.microsoft.com/.default"},
		{"global", "https://graph.microsoft.com/v1.0/users", "https://graph.microsoft.com/.default"},
		{"global", "https://contoso-admin.sharepoint.com/_layouts/15/online", "https://contoso-admin.sharepoint.com/.default"},
		{"global", "https://vault.azure.net/", "https://vault.azure.net/.default"},
		{"global", "https://contoso.onmicrosoft.com/my/api", "https://contoso.onmicrosoft.com/my/api/.default"},
		{"global", "api://11111111-2222-4333-8444-555555555555", "api://11111111-2222-4333-8444-555555555555/.default"},
		{"global", "api://contoso/api/.default", "api://contoso/api/.default"},
		{"global", "", ""},
		{"global", "http://graph.microsoft.com", ""},
		{"global", "https://", ""},
		{"global", "https:graph.microsoft.com", ""},
		{"global", "graph.microsoft.com", ""},
		{"global", "ftp://graph.microsoft.com", ""},
		{"global", "https://user:pass@graph.microsoft.com", ""},
		{"global", "https://graph.microsoft.com/?x", ""},
		{"global", "https://graph.microsoft.com/?", ""},
		{"global", "https://graph.microsoft.com/#x", ""},
		{"global", "https://a.example https://b.example", ""},
		{"global", "api://", ""},
		{"global", "00000003-0000-0000-c000-000000000000", ""},
	} {
		in, err := set.Find(test.cloud)
		if err != nil {
			t.Fatal(err)
		}
		h := &handedOut{cloud: in, conn: connections.Connection{Name: "it", Endpoints: connections.Endpoints{SharePoint: "https://contoso.sharepoint.com/sites/team"}}}
		got, err := h.scope(test.resource)
		if got != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%s, %q: %q, %v; want %q", test.cloud, test.resource, got, err, test.want)
		}
	}
}
