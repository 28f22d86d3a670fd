package registration

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/graph"
)

var planNow = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// found is what a look at the fake tenant finds.
func found(t *testing.T, change func(*Findings)) *Findings {
	t.Helper()
	s := newScene(t)
	f, err := Look(t.Context(), s.admin(), s.wish)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(f)
	}
	return f
}

func earlier(name, appID, run string, keys ...time.Time) Existing {
	e := existing(graph.Application{ObjectID: "dddddddd-0000-4000-8000-000000000001", AppID: appID, DisplayName: name, SignInAudience: "AzureADMyOrg", Created: planNow.Add(-400 * day)})
	for _, end := range keys {
		e.Keys = append(e.Keys, graph.Key{DisplayName: "CN=old", Type: keyType, Usage: keyUsage, End: end, Thumbprint: "AB"})
	}
	e.Owners, e.Run = []graph.Owner{{UPN: "old@contoso.com"}}, run
	return e
}

func TestMakePlan(t *testing.T) {
	t.Parallel()
	name := AppName(connections.Exchange)
	const one, two = "eeeeeeee-0000-4000-8000-000000000001", "eeeeeeee-0000-4000-8000-000000000002"
	taken := func(list ...Existing) func(*Findings) { return func(f *Findings) { f.Same = list } }
	for _, c := range []struct {
		title string
		wish  Wish
		found func(*Findings)
		run   string
		want  string // action, number of changes, words of the warnings; or the error
	}{
		{title: "new", want: "create 7"},
		{title: "the name is taken", found: taken(earlier(name, one, "", planNow.Add(day))), want: "exists: client id " + one + ", registered 2025-10-18 (13 months ago), owner old@contoso.com, 1 certificate (until 2026-11-23)"},
		{title: "fail", wish: Wish{IfExists: ExistsFail}, found: taken(earlier(name, one, "", planNow.Add(-day))), want: "exists: client id " + one + ", registered 2025-10-18 (13 months ago), owner old@contoso.com, 1 certificate (expired 2026-11-21)"},
		{title: "another one", wish: Wish{IfExists: ExistsNew}, found: taken(earlier(name, one, "")), want: "create 7"},
		{title: "use", wish: Wish{IfExists: ExistsUse}, found: taken(earlier(name, one, "", planNow)), want: "use 8"},
		{title: "use, none is there", wish: Wish{IfExists: ExistsUse}, want: "create 7"},
		{title: "use, two are there", wish: Wish{IfExists: ExistsUse}, found: taken(earlier(name, one, ""), earlier(name, two, "")), want: "exists: client id"},
		{title: "use that one", wish: Wish{IfExists: ExistsUse, Use: strings.ToUpper(two)}, found: taken(earlier(name, one, ""), earlier(name, two, "")), want: "use 8"},
		{title: "use one that is not there", wish: Wish{Use: two}, want: "error: no registration named"},
		{title: "the run's own", run: "01K9Z7", found: taken(earlier(name, one, "01K9Z7")), want: "create 7"},
		{title: "use with a secret", wish: Wish{IfExists: ExistsUse, Type: connections.TypeClientSecret}, found: taken(earlier(name, one, "")), want: "use 8 secret works for whoever"},
		{title: "disabled and open", wish: Wish{IfExists: ExistsUse}, found: taken(func() Existing {
			e := earlier(name, one, "")
			e.Disabled, e.SignInAudience = true, "AzureADMultipleOrgs"
			return e
		}()), want: "use 8 is disabled | open to other tenants"},
		{title: "policy", found: policy(graph.AppPolicy{Enabled: true, KeyLifetime: 180 * day}), want: "create 7 at most 180 days; the tenant will probably refuse"},
		{title: "policy, longest", wish: Wish{Longest: true}, found: policy(graph.AppPolicy{Enabled: true, KeyLifetime: 180 * day}), want: "create 7 at most 180 days; the new one is made for that long"},
		{title: "policy off", found: policy(graph.AppPolicy{KeyLifetime: 180 * day}), want: "create 7"},
		{title: "policy of later applications", wish: Wish{IfExists: ExistsUse}, found: func(f *Findings) {
			taken(earlier(name, one, ""))(f)
			policy(graph.AppPolicy{Enabled: true, KeyLifetime: 180 * day, KeysAfter: planNow.Add(-day)})(f)
		}, want: "use 8"},
		{title: "secrets forbidden", wish: Wish{Type: connections.TypeClientSecret}, found: policy(graph.AppPolicy{Enabled: true, SecretsForbidden: true}), want: "create 8 forbids client secrets | secret works for whoever"},
		{title: "no Exchange", found: func(f *Findings) { delete(f.Resources, Exchange.AppID()) }, want: "create 8"},
		{title: "no SharePoint", wish: Wish{Kind: connections.SharePoint}, found: func(f *Findings) { delete(f.Resources, SharePoint.AppID()) }, want: "create 6"},
		{title: "SharePoint", wish: Wish{Kind: connections.SharePoint}, found: func(f *Findings) { f.Resources = allServices(t) }, want: "create 5"},
		{title: "SharePoint with a secret", wish: Wish{Kind: connections.SharePoint, Type: connections.TypeClientSecret}, found: func(f *Findings) { f.Resources = allServices(t) }, want: "create 5 none can be opened"},
		{title: "SharePoint, the documented set", wish: Wish{Kind: connections.SharePoint, Set: SetSeed}, found: func(f *Findings) { f.Resources = allServices(t) }, want: "create 4 documented permissions alone"},
		{title: "only what is required", wish: Wish{Kind: connections.SharePoint, RequiredOnly: true}, found: func(f *Findings) { f.Resources = allServices(t) }, want: "create 5"},
		{title: "a cloud without a permission", found: func(f *Findings) {
			sp := f.Resources[Graph.AppID()]
			sp.Roles = sp.Roles[1:]
			f.Resources[Graph.AppID()] = sp
		}, want: "create 6 does not offer the permission Directory.Read.All"},
		{title: "no consent", found: func(f *Findings) { f.May.ConsentGraph = No }, want: "create 7 cannot consent to the permissions on Microsoft Graph"},
		{title: "may not register", found: func(f *Findings) { f.May.Register = No }, want: "create 7 may not be able to register"},
		{title: "others of the kind", found: func(f *Findings) { f.Related = []Existing{earlier("Other", one, "")} }, want: "create 7 1 registration made by c2conn for the same purpose"},
	} {
		t.Run(c.title, func(t *testing.T) {
			t.Parallel()
			if c.wish.Kind == "" {
				c.wish.Kind = connections.Exchange
			}
			c.wish.Cloud = testCloud
			p, err := MakePlan(c.wish, found(t, c.found), planNow, c.run)
			var exists *advice.ExistsError
			if rest, ok := strings.CutPrefix(c.want, "exists: "); ok {
				if !errors.As(err, &exists) || !strings.Contains(strings.Join(exists.Found, "; "), rest) {
					t.Fatalf("%v %v", err, exists)
				}
				return
			}
			if rest, ok := strings.CutPrefix(c.want, "error: "); ok {
				if err == nil || !strings.Contains(err.Error(), rest) {
					t.Fatal(err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			parts := strings.SplitN(c.want, " ", 3)
			warnings := []string{}
			if len(parts) == 3 {
				warnings = strings.Split(parts[2], " | ")
			}
			if p.Action != parts[0] || string(rune('0'+len(p.Changes))) != parts[1] || len(p.Warnings) != len(warnings) {
				t.Fatalf("%s with %d changes, warnings %q", p.Action, len(p.Changes), p.Warnings)
			}
			for i, w := range warnings {
				if !strings.Contains(p.Warnings[i], w) {
					t.Errorf("%q lacks %q", p.Warnings[i], w)
				}
			}
		})
	}
}

// TestPlanTellsWhatItWrites: whoever agrees has read what names people and things.
func TestPlanTellsWhatItWrites(t *testing.T) {
	t.Parallel()
	w := Wish{Kind: connections.Exchange, Cloud: testCloud, Connection: "contoso"}
	for _, f := range []*Findings{nil, found(t, nil)} {
		p, err := MakePlan(w, f, planNow, "01K9Z7")
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Join(strings.Fields(p.Text(0)), " ")
		for _, want := range []string{"description: " + p.Description, "notes: " + p.Notes, "tags: " + strings.Join(p.Tags, ", "), "tags: " + strings.Join(principalTags(), ", ")} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is not said:\n%s", want, text)
			}
		}
		if named := strings.Contains(p.Notes, w.Connection); named == (f == nil) {
			t.Errorf("notes %q", p.Notes)
		}
	}
}

func policy(p graph.AppPolicy) func(*Findings) { return func(f *Findings) { f.Policy = &p } }

func allServices(t *testing.T) map[string]graph.ServicePrincipal {
	t.Helper()
	s := newScene(t)
	survey, err := s.fake.Survey(t.Context(), graph.SurveyRequest{Resources: []string{Graph.AppID(), Exchange.AppID(), SharePoint.AppID()}})
	if err != nil {
		t.Fatal(err)
	}
	return survey.Resources
}

var update = flag.Bool("update-plan", false, "write the golden files of plans")

// TestPlanText compares whole plans with what was looked at by people.
func TestPlanText(t *testing.T) {
	t.Parallel()
	own, err := certs.Generate(nil, planNow, certs.NewOptions{CommonName: "my own", Valid: certs.Validity{Days: 90}, Key: testKey()})
	if err != nil {
		t.Fatal(err)
	}
	for title, c := range map[string]struct {
		wish  Wish
		found func(*testing.T) *Findings
	}{
		"offline": {wish: Wish{Kind: connections.SharePoint}},
		"seed":    {wish: Wish{Kind: connections.SharePoint, Set: SetSeed, Type: connections.TypeClientSecret}},
		"create":  {wish: Wish{Kind: connections.Exchange, Connection: "contoso"}, found: func(t *testing.T) *Findings { return found(t, func(f *Findings) { f.May.ConsentGraph = No }) }},
		"use": {wish: Wish{Kind: connections.Exchange, IfExists: ExistsUse, Own: &own}, found: func(t *testing.T) *Findings {
			return found(t, func(f *Findings) {
				e := earlier(AppName(connections.Exchange), "eeeeeeee-0000-4000-8000-000000000001", "", planNow)
				e.Principal.ObjectID = "eeeeeeee-0000-4000-8000-000000000002"
				e.Granted = []graph.Assignment{{ResourceID: f.Resources[Graph.AppID()].ObjectID, RoleID: userRead.id}}
				f.Same = []Existing{e}
			})
		}},
		"secret": {wish: Wish{Kind: connections.MigrationTarget, Type: connections.TypeClientSecret}, found: func(t *testing.T) *Findings { return found(t, nil) }},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			c.wish.Cloud = testCloud
			var f *Findings
			if c.found != nil {
				f = c.found(t)
			}
			p, err := MakePlan(c.wish, f, planNow, "")
			if err != nil {
				t.Fatal(err)
			}
			data, err := json.MarshalIndent(p, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			goldenPlan(t, title+".txt", p.Text(0))
			// The certificate is another one each time.
			key := base64.StdEncoding.EncodeToString(own.CertificateDER())
			goldenPlan(t, title+".json", strings.ReplaceAll(string(data), key, "(the certificate)")+"\n")
			for _, width := range []int{40, 60, 96} {
				for line := range strings.Lines(p.Text(width)) {
					if utf8.RuneCountInString(strings.TrimRight(line, "\n")) > width && len(strings.Fields(line)) > 2 {
						t.Errorf("wider than %d: %q", width, line)
					}
				}
			}
		})
	}
}

func goldenPlan(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "plan", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != strings.ReplaceAll(string(want), "\r\n", "\n") {
		t.Errorf("%s differs (-update-plan writes it):\n%s", name, got)
	}
}

func TestMay(t *testing.T) {
	t.Parallel()
	roles := func(ids ...string) (list []graph.DirectoryRole) {
		for _, id := range ids {
			list = append(list, graph.DirectoryRole{TemplateID: id})
		}
		return list
	}
	const (
		global, privileged, application, developer, reader = "62e90394-69f5-4237-9190-012177145e10", "e8611ab8-c189-46e8-94e1-60213ab1f814",
			"9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3", "cf1c38e5-3621-4004-a7cb-879624dced7c", "f2ef992c-3afb-46b9-b7cf-a126ee74c451"
	)
	for _, c := range []struct {
		title  string
		claims entra.AdminClaims
		roles  []graph.DirectoryRole
		want   May
	}{
		{"global", entra.AdminClaims{}, roles(global), May{Yes, Yes, Yes}},
		{"application", entra.AdminClaims{}, roles(application), May{Yes, Yes, No}},
		{"privileged", entra.AdminClaims{}, roles(privileged), May{Unknown, Yes, Yes}},
		{"privileged and application", entra.AdminClaims{}, roles(privileged, application), May{Yes, Yes, Yes}},
		{"developer", entra.AdminClaims{}, roles(reader, developer), May{Yes, No, No}},
		{"others", entra.AdminClaims{}, roles(reader), May{Unknown, Unknown, Unknown}},
		{"none", entra.AdminClaims{}, nil, May{Unknown, Unknown, Unknown}},
		{"a token that can do little", entra.AdminClaims{Scopes: []string{"User.Read"}}, roles(global), May{No, No, No}},
		{"Azure CLI's token", entra.AdminClaims{Scopes: []string{"Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All"}}, roles(global), May{Yes, Yes, Yes}},
		{"application without permissions", entra.AdminClaims{App: true}, nil, May{No, No, No}},
		{"application", entra.AdminClaims{App: true, Roles: []string{"Application.ReadWrite.OwnedBy", "AppRoleAssignment.ReadWrite.All"}}, nil, May{Yes, Yes, Yes}},
	} {
		if got := mayOf(c.claims, c.roles); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.title, got, c.want)
		}
	}
}

func TestLookNotes(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	sp := &s.fake.principals[1]
	sp.Roles = slices.Clone(sp.Roles)
	sp.Roles[0].ID = "ffffffff-0000-4000-8000-000000000000"
	admin := s.admin()
	admin.Claims.Scopes = []string{"Application.ReadWrite.All"}
	f, err := Look(t.Context(), admin, s.wish)
	if err != nil {
		t.Fatal(err)
	}
	notes := strings.Join(f.Notes, "\n")
	for _, want := range []string{"(Global Administrator) no permissions can be granted", "Privileged Identity Management", "The id of Directory.Read.All in this tenant is ffffffff"} {
		if !strings.Contains(notes, want) {
			t.Errorf("%q lacks %q", notes, want)
		}
	}
	p, err := MakePlan(s.wish, f, planNow, "")
	if err != nil || !slices.ContainsFunc(p.Permissions, func(q PlannedPermission) bool { return q.ID == sp.Roles[0].ID }) {
		t.Errorf("the tenant's own id is not used: %v", err)
	}
	admin.Claims.TenantID = "99999999-0000-4000-8000-000000000000"
	var wrong *entra.WrongTokenError
	if _, err := Look(t.Context(), admin, s.wish); !errors.As(err, &wrong) {
		t.Errorf("another tenant: %v", err)
	}
}
