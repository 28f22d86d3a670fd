package verify

import (
	"strings"
	"testing"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/registration"
)

// What a check proves must be what the connection asks for: else its advice would
// name a permission that the guide, the plan and the audit know nothing of.
func TestChecksTakeWhatTheCatalogueHas(t *testing.T) {
	t.Parallel()
	// The documented set of SharePoint reaches no site, and none needs the tenant's name.
	without := func(p registration.Purpose, id string) bool {
		return p.Kind == connections.SharePoint && (id == idOrganization || p.Set == registration.SetSeed && (strings.HasPrefix(id, "sharepoint.") || id == idSharePointToken))
	}
	for _, p := range registration.Purposes() {
		c := connections.Connection{Kind: p.Kind, Location: connections.Online, Registration: connections.Registration{Permissions: string(p.Set)}}
		for _, check := range checksOf(c) {
			if check.takes == (need{}) {
				if strings.HasPrefix(check.id, "graph.") || strings.HasPrefix(check.id, "sharepoint.") || check.id == idEWS {
					t.Errorf("%v: %s takes nothing", p, check.id)
				}
				continue
			}
			name, found := permission(p, check.takes), false
			for _, q := range registration.Catalogue(p) {
				found = found || q.Resource == check.takes.service && q.Role == name
			}
			if found == without(p, check.id) {
				t.Errorf("%v: %s names %s › %s, in the catalogue: %v", p, check.id, check.takes.service, name, found)
			}
			if registration.Allows(check.takes.service, check.takes.role) == "" {
				t.Errorf("%s takes an unknown permission: %v", check.id, check.takes)
			}
		}
		// Whoever needs a permission on a service is verified with a token for it.
		for _, r := range registration.Resources(p) {
			found := false
			for _, check := range checksOf(c) {
				found = found || check.id == tokenPrefix+string(r)
			}
			if !found {
				t.Errorf("%v: no token for %s", p, r)
			}
		}
	}
}

func TestNamedPermissions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind  connections.Kind
		takes need
		want  string
	}{
		{connections.Exchange, need{registration.Graph, "Organization.Read.All"}, "Directory.Read.All"},
		{connections.MigrationTarget, need{registration.Graph, "Organization.Read.All"}, "Organization.Read.All"},
		{connections.MigrationTarget, need{registration.Graph, "User.Read.All"}, "User.Read.All"},
		{connections.MigrationSource, need{registration.Graph, "MailboxSettings.Read"}, "MailboxSettings.ReadWrite"},
		{connections.SharePoint, need{registration.Graph, "Sites.Read.All"}, "Sites.Read.All"},
		{connections.SharePoint, need{registration.SharePoint, "Sites.Read.All"}, "Sites.FullControl.All"},
	} {
		if got := permission(registration.Purpose{Kind: c.kind}, c.takes); got != c.want {
			t.Errorf("%s %v: %s", c.kind, c.takes, got)
		}
	}
}

// A finding has 60 characters; the host is told whole.
func TestOpenedNamesTheHost(t *testing.T) {
	t.Parallel()
	long := "https://abcdefghijklmnopqrstuvwxyza.sharepoint.com"
	for _, c := range []struct {
		title, site, want string
		satellite         bool
	}{
		{"", "https://contoso.sharepoint.com", "opened the site at contoso.sharepoint.com", false},
		{"Communication site of all", "https://contoso.sharepoint.com", "opened “Communication site of al…” at contoso.sharepoint.com", false},
		{"Home", "https://contosogroupe.sharepoint.com", "opened “Home” at contosogroupe.sharepoint.com", false},
		{"Communication site", "https://northwindtraders.sharepoint.com", "opened “Communication s…” at northwindtraders.sharepoint.com", false},
		{"Communication site", long, "opened abcdefghijklmnopqrstuvwxyza.sharepoint.com", false},
		{"Communication site", "https://abcdefghijklmnopqrstuvwxyza.sharepoint.us:444", "opened abcdefghijklmnopqrstuvwxyza.sharepoint.us:444", false},
		{"Home", long, "opened “Home”, in a satellite geography", true},
	} {
		if got := opened(c.title, place{site: c.site, satellite: c.satellite}); got != c.want || short(got) != got {
			t.Errorf("%q at %s: %s", c.title, c.site, got)
		}
	}
}
