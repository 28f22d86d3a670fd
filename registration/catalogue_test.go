package registration_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/registration"
)

var kinds = []connections.Kind{connections.Exchange, connections.SharePoint, connections.MigrationSource, connections.MigrationTarget}

// The lists of the documentation, by kind; a ? marks what c2conn adds as optional.
var documented = map[connections.Kind]string{
	connections.Exchange:        "exchange/full_access_as_app graph/Directory.Read.All graph/Group.Read.All graph/MailboxSettings.ReadWrite graph/User.Read.All",
	connections.SharePoint:      "exchange/full_access_as_app graph/User.Read.All sharepoint/Sites.FullControl.All? graph/Sites.Read.All?",
	connections.MigrationSource: "exchange/full_access_as_app graph/MailboxSettings.ReadWrite graph/Organization.Read.All graph/User.Read.All",
	connections.MigrationTarget: "exchange/full_access_as_app graph/MailboxSettings.ReadWrite graph/Organization.Read.All graph/User.Read.All graph/User.ReadWrite.All graph/DeviceManagementServiceConfig.Read.All",
}

func TestCatalogueIsTheDocumentedList(t *testing.T) {
	t.Parallel()
	guid := regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	for _, kind := range kinds {
		var got []string
		seen := map[string]bool{}
		for _, p := range registration.Catalogue(kind) {
			name := string(p.Resource) + "/" + p.Role
			if !p.Required {
				name += "?"
			}
			got = append(got, name)
			if !guid.MatchString(p.RoleID) || !guid.MatchString(p.ResourceAppID) {
				t.Errorf("%s %s: bad id %q or %q", kind, p.Role, p.RoleID, p.ResourceAppID)
			}
			if p.Kind != kind || p.ResourceAppID != p.Resource.AppID() || p.Allows == "" || !strings.HasPrefix(p.Why, "to ") || !strings.HasPrefix(p.Source, "https://learn.microsoft.com/") {
				t.Errorf("incomplete: %+v", p)
			}
			if key := p.ResourceAppID + p.RoleID; seen[key] {
				t.Errorf("%s: %s twice", kind, p.Role)
			} else {
				seen[key] = true
			}
		}
		if s := strings.Join(got, " "); s != documented[kind] {
			t.Errorf("%s:\n got %s\nwant %s", kind, s, documented[kind])
		}
		if registration.AppName(kind) == "" {
			t.Errorf("%s has no application name", kind)
		}
	}
	if registration.Catalogue("other") != nil || registration.AppName("other") != "" {
		t.Error("an unknown kind must have nothing")
	}
}

func TestResources(t *testing.T) {
	t.Parallel()
	got := registration.Resources(connections.Exchange)
	if !slices.Equal(got, []registration.Resource{registration.Exchange, registration.Graph}) {
		t.Errorf("got %v", got)
	}
	for _, r := range []registration.Resource{registration.Exchange, registration.Graph, registration.SharePoint} {
		if r.AppID() == "" || r.Title() == string(r) {
			t.Errorf("%s has no id or title", r)
		}
	}
}

func TestCovers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		resource     registration.Resource
		role, wanted string
		want         bool
	}{
		{registration.Graph, "User.Read.All", "User.Read.All", true},
		{registration.Graph, "User.ReadWrite.All", "User.Read.All", true},
		{registration.Graph, "User.Read.All", "User.ReadWrite.All", false},
		{registration.Graph, "Directory.Read.All", "Group.Read.All", true},
		{registration.Graph, "Directory.ReadWrite.All", "Organization.Read.All", true},
		{registration.Graph, "MailboxSettings.ReadWrite", "MailboxSettings.Read", true},
		{registration.SharePoint, "Sites.FullControl.All", "Sites.Read.All", true},
		{registration.Exchange, "Directory.Read.All", "Group.Read.All", false},
	} {
		if got := registration.Covers(c.resource, c.role, c.wanted); got != c.want {
			t.Errorf("%s: %s covers %s: %v", c.resource, c.role, c.wanted, got)
		}
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		kind  connections.Kind
		roles map[registration.Resource][]string
		want  string
	}{
		{"all and no more", connections.Exchange, map[registration.Resource][]string{
			registration.Exchange: {"full_access_as_app"},
			registration.Graph:    {"User.Read.All", "Directory.Read.All", "Group.Read.All", "MailboxSettings.ReadWrite"},
		}, "5/5"},
		{"one missing", connections.Exchange, map[registration.Resource][]string{
			registration.Exchange: {"full_access_as_app"},
			registration.Graph:    {"User.Read.All", "Directory.Read.All", "Group.Read.All"},
		}, "4/5 missing MailboxSettings.ReadWrite"},
		{"contained ones are not missing", connections.Exchange, map[registration.Resource][]string{
			registration.Exchange: {"full_access_as_app"},
			registration.Graph:    {"Directory.Read.All", "MailboxSettings.ReadWrite"},
		}, "5/5 Group.Read.All by Directory.Read.All; User.Read.All by Directory.Read.All"},
		{"one that is needed only as a container is not superfluous", connections.MigrationSource, map[registration.Resource][]string{
			registration.Exchange: {"full_access_as_app"},
			registration.Graph:    {"User.ReadWrite.All", "Organization.Read.All", "MailboxSettings.ReadWrite"},
		}, "4/4 User.Read.All by User.ReadWrite.All"},
		{"superfluous ones", connections.MigrationSource, map[registration.Resource][]string{
			registration.Exchange: {"full_access_as_app", "Exchange.ManageAsApp"},
			registration.Graph:    {"User.Read.All", "User.ReadWrite.All", "Organization.Read.All", "MailboxSettings.ReadWrite", "Mail.Read", "Mail.Read"},
		}, "4/4 extra Exchange.ManageAsApp! extra Mail.Read extra User.ReadWrite.All!"},
		{"no roles at all", connections.Exchange, map[registration.Resource][]string{registration.Exchange: nil, registration.Graph: {}},
			"0/5 missing full_access_as_app missing Directory.Read.All missing Group.Read.All missing MailboxSettings.ReadWrite missing User.Read.All"},
		{"no Exchange token", connections.MigrationSource, map[registration.Resource][]string{
			registration.Graph: {"User.Read.All", "Organization.Read.All", "MailboxSettings.ReadWrite"},
		}, "3/3 unknown full_access_as_app"},
		{"optional ones", connections.SharePoint, map[registration.Resource][]string{
			registration.Exchange: {"full_access_as_app"}, registration.Graph: {"User.Read.All"}, registration.SharePoint: {},
		}, "2/2 optional Sites.FullControl.All optional Sites.Read.All"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := describe(registration.Compare(c.kind, c.roles)); got != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
		})
	}
}

func describe(c registration.Comparison) string {
	s := []string{fmt.Sprintf("%d/%d", c.Met(), c.Wanted())}
	var covered []string
	for _, x := range c.Covered {
		covered = append(covered, x.Permission.Role+" by "+x.By)
	}
	if len(covered) > 0 {
		s = append(s, strings.Join(covered, "; "))
	}
	for _, p := range c.Missing {
		s = append(s, "missing "+p.Role)
	}
	for _, p := range c.Optional {
		s = append(s, "optional "+p.Role)
	}
	for _, p := range c.Unknown {
		s = append(s, "unknown "+p.Role)
	}
	for _, x := range c.Superfluous {
		mark := ""
		if x.Powerful {
			mark = "!"
		}
		s = append(s, "extra "+x.Role+mark)
	}
	return strings.Join(s, " ")
}
