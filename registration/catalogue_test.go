package registration_test

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/registration"
)

var kinds = []connections.Kind{connections.Exchange, connections.SharePoint, connections.MigrationSource, connections.MigrationTarget}

// What every purpose gets; a ? marks what is optional, a ! what can change data.
var documented = map[registration.Purpose]string{
	{Kind: connections.Exchange}:                              "exchange/full_access_as_app! graph/Directory.Read.All graph/Group.Read.All graph/MailboxSettings.ReadWrite! graph/User.Read.All",
	{Kind: connections.SharePoint}:                            "graph/User.Read.All graph/Sites.Read.All sharepoint/Sites.FullControl.All!",
	{Kind: connections.SharePoint, Set: registration.SetSeed}: "exchange/full_access_as_app! graph/User.Read.All",
	{Kind: connections.SharePoint, Secret: true}:              "graph/User.Read.All graph/Sites.Read.All sharepoint/Sites.FullControl.All?!",
	{Kind: connections.MigrationSource}:                       "exchange/full_access_as_app! graph/MailboxSettings.ReadWrite! graph/Organization.Read.All graph/User.Read.All",
	{Kind: connections.MigrationTarget}: "exchange/full_access_as_app! graph/MailboxSettings.ReadWrite! graph/Organization.Read.All graph/User.Read.All graph/User.ReadWrite.All! " +
		"graph/DeviceManagementServiceConfig.Read.All",
}

func TestCatalogueIsTheDocumentedList(t *testing.T) {
	t.Parallel()
	guid := regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	for purpose, want := range documented {
		kind := purpose.Kind
		var got []string
		seen := map[string]bool{}
		for _, p := range registration.Catalogue(purpose) {
			name := string(p.Resource) + "/" + p.Role
			if !p.Required {
				name += "?"
			}
			if p.Writes {
				name += "!"
			}
			got = append(got, name)
			if !guid.MatchString(p.RoleID) || !guid.MatchString(p.ResourceAppID) {
				t.Errorf("%s %s: bad id %q or %q", kind, p.Role, p.RoleID, p.ResourceAppID)
			}
			if p.Kind != kind || p.ResourceAppID != p.Resource.AppID() || p.Allows == "" || !strings.HasPrefix(p.Why, "to ") || !strings.HasPrefix(p.Source, "https://learn.microsoft.com/") {
				t.Errorf("incomplete: %+v", p)
			}
			if (p.Least != "") != strings.HasPrefix(p.Role, "Sites.") {
				t.Errorf("%s: why nothing less is enough: %q", p.Role, p.Least)
			}
			if p.Writes != registration.Powerful(p.Role) {
				t.Errorf("%s writes: %v, yet its name says otherwise", p.Role, p.Writes)
			}
			if key := p.ResourceAppID + p.RoleID; seen[key] {
				t.Errorf("%s: %s twice", kind, p.Role)
			} else {
				seen[key] = true
			}
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%v:\n got %s\nwant %s", purpose, s, want)
		}
		if registration.AppName(kind) == "" {
			t.Errorf("%s has no application name", kind)
		}
	}
	if registration.Catalogue(registration.Purpose{Kind: "other"}) != nil || registration.AppName("other") != "" {
		t.Error("an unknown kind must have nothing")
	}
}

func TestPurposes(t *testing.T) {
	t.Parallel()
	var got []string
	for _, p := range registration.Purposes() {
		got = append(got, string(p.Kind)+" "+p.Set.Name())
	}
	if want := "exchange recommended, sharepoint recommended, sharepoint seed, migration-source recommended, migration-target recommended"; strings.Join(got, ", ") != want {
		t.Errorf("got %q", got)
	}
	for name, want := range map[string]registration.Set{"": registration.SetRecommended, "recommended": registration.SetRecommended, "seed": registration.SetSeed} {
		if s, ok := registration.ParseSet(name); s != want || !ok {
			t.Errorf("%q: %q %v", name, s, ok)
		}
	}
	if s, ok := registration.ParseSet("Seed"); ok {
		t.Errorf("got %q", s)
	}
	c := connections.Connection{
		ID: "1", Kind: connections.SharePoint, Tenant: connections.Tenant{ID: "t"}, Registration: connections.Registration{ClientID: "A", Permissions: "seed"},
		Credential: connections.Credential{Type: connections.TypeClientSecret},
	}
	if p := registration.PurposeOf(c); p != (registration.Purpose{Kind: connections.SharePoint, Set: registration.SetSeed, Secret: true}) {
		t.Errorf("got %+v", p)
	}
	other := connections.Connection{ID: "2", Kind: connections.Exchange, Registration: connections.Registration{ClientID: "a"}}
	elsewhere := other
	elsewhere.Tenant.ID = "u"
	also := registration.Also([]connections.Entry{{Connection: c}, {Connection: other}, {Connection: elsewhere}, {Connection: other, Err: errors.New("damaged")}}, c)
	if !slices.Equal(also, []registration.Purpose{{Kind: connections.Exchange}}) {
		t.Errorf("got %v", also)
	}
}

// TestAllows: what a permission allows is said in the same form for all.
func TestAllows(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"graph/Mail.Read":                       "read the mail of every mailbox",
		"exchange/Exchange.ManageAsApp":         "manage Exchange Online by PowerShell",
		"sharepoint/Sites.Selected":             "one by one",
		"graph/AppRoleAssignment.ReadWrite.All": "everything can be done",
		"graph/Made.Up":                         "",
		"exchange/Directory.Read.All":           "",
	} {
		resource, role, _ := strings.Cut(name, "/")
		got := registration.Allows(registration.Resource(resource), role)
		if !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%s allows %q", name, got)
		}
	}
}

func TestResources(t *testing.T) {
	t.Parallel()
	got := registration.Resources(registration.Purpose{Kind: connections.Exchange})
	if !slices.Equal(got, []registration.Resource{registration.Exchange, registration.Graph}) {
		t.Errorf("got %v", got)
	}
	if got := registration.Resources(registration.Purpose{Kind: connections.SharePoint, Secret: true}); !slices.Equal(got, []registration.Resource{registration.Graph}) {
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
		also  []registration.Purpose
		how   registration.Purpose // set and secret
	}{
		{name: "all and no more", kind: connections.Exchange, roles: map[registration.Resource][]string{
			registration.Exchange: {"full_access_as_app"},
			registration.Graph:    {"User.Read.All", "Directory.Read.All", "Group.Read.All", "MailboxSettings.ReadWrite"},
		}, want: "5/5"},
		{name: "one missing", kind: connections.Exchange, roles: map[registration.Resource][]string{
			registration.Exchange: {"full_access_as_app"},
			registration.Graph:    {"User.Read.All", "Directory.Read.All", "Group.Read.All"},
		}, want: "4/5 missing MailboxSettings.ReadWrite"},
		{name: "contained ones are not missing", kind: connections.Exchange, roles: map[registration.Resource][]string{
			registration.Exchange: {"full_access_as_app"},
			registration.Graph:    {"Directory.Read.All", "MailboxSettings.ReadWrite"},
		}, want: "5/5 Group.Read.All by Directory.Read.All; User.Read.All by Directory.Read.All"},
		{name: "one that is needed only as a container is not superfluous", kind: connections.MigrationSource, roles: map[registration.Resource][]string{
			registration.Exchange: {"full_access_as_app"},
			registration.Graph:    {"User.ReadWrite.All", "Organization.Read.All", "MailboxSettings.ReadWrite"},
		}, want: "4/4 User.Read.All by User.ReadWrite.All"},
		{name: "superfluous ones", kind: connections.MigrationSource, roles: map[registration.Resource][]string{
			registration.Exchange: {"full_access_as_app", "Exchange.ManageAsApp"},
			registration.Graph:    {"User.Read.All", "User.ReadWrite.All", "Organization.Read.All", "MailboxSettings.ReadWrite", "Mail.Read", "Mail.Read"},
		}, want: "4/4 extra Exchange.ManageAsApp! (manage Exchange Online by PowerShell, as far as the roles reach that the application has in Exchange or Entra ID) " +
			"extra Mail.Read (read the mail of every mailbox) extra User.ReadWrite.All! (read, create, change and delete users)"},
		{name: "no roles at all", kind: connections.Exchange, roles: map[registration.Resource][]string{registration.Exchange: nil, registration.Graph: {}},
			want: "0/5 missing full_access_as_app missing Directory.Read.All missing Group.Read.All missing MailboxSettings.ReadWrite missing User.Read.All"},
		{name: "no Exchange token", kind: connections.MigrationSource, roles: map[registration.Resource][]string{
			registration.Graph: {"User.Read.All", "Organization.Read.All", "MailboxSettings.ReadWrite"},
		}, want: "3/3 unknown full_access_as_app"},
		{name: "SharePoint", kind: connections.SharePoint, roles: map[registration.Resource][]string{
			registration.Graph: {"User.Read.All", "Sites.ReadWrite.All"}, registration.SharePoint: {},
		}, want: "2/3 Sites.Read.All by Sites.ReadWrite.All missing Sites.FullControl.All"},
		{name: "SharePoint with a secret", kind: connections.SharePoint, how: registration.Purpose{Secret: true}, roles: map[registration.Resource][]string{
			registration.Graph: {"User.Read.All", "Sites.Read.All"},
		}, want: "2/2"},
		{name: "SharePoint with a secret and its tokens", kind: connections.SharePoint, how: registration.Purpose{Secret: true}, roles: map[registration.Resource][]string{
			registration.Graph: {"User.Read.All", "Sites.Read.All"}, registration.SharePoint: {},
		}, want: "2/2 optional Sites.FullControl.All"},
		{name: "SharePoint, the documented set", kind: connections.SharePoint, how: registration.Purpose{Set: registration.SetSeed}, roles: map[registration.Resource][]string{
			registration.Exchange: {"full_access_as_app"}, registration.Graph: {"User.Read.All", "Sites.Read.All"},
		}, want: "2/2 extra Sites.Read.All (read the documents and lists of every site)"},
		{name: "an application for two", kind: connections.MigrationSource, also: []registration.Purpose{{Kind: connections.Exchange}, {Kind: connections.SharePoint}}, roles: map[registration.Resource][]string{
			registration.Exchange: {"full_access_as_app"},
			registration.Graph:    {"User.Read.All", "Organization.Read.All", "MailboxSettings.ReadWrite", "Directory.Read.All", "Group.Read.All", "Sites.Manage.All", "Mail.Send", "Made.Up"},
		}, want: "4/4 extra Made.Up extra Mail.Send! (send mail as anybody)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := describe(registration.Compare(registration.Purpose{Kind: c.kind, Set: c.how.Set, Secret: c.how.Secret}, c.also, c.roles)); got != c.want {
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
		if x.Writes {
			mark = "!"
		}
		if x.Allows != "" {
			mark += " (" + x.Allows + ")"
		}
		s = append(s, "extra "+x.Role+mark)
	}
	return strings.Join(s, " ")
}
