package registration

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/graph"
)

// TestDocumentIsTheSingleTruth: guide, scripts, manifest, plan, comparison, consent
// and the list of registrations want exactly what `c2conn app permissions` says.
func TestDocumentIsTheSingleTruth(t *testing.T) {
	t.Parallel()
	for _, purpose := range Purposes() {
		t.Run(string(purpose.Kind)+" "+purpose.Set.Name(), func(t *testing.T) {
			t.Parallel()
			doc := Document(purpose).Kinds[0]
			var want, ids []string
			roles := map[Resource][]string{}
			for _, p := range doc.Permissions {
				want = append(want, p.Resource+"/"+p.Role)
				ids = append(ids, p.ResourceAppID+" "+p.RoleID)
				roles[Resource(p.Resource)] = append(roles[Resource(p.Resource)], p.Role)
			}
			slices.Sort(ids)
			same := func(what string, got, want []string) {
				t.Helper()
				if !slices.Equal(got, want) {
					t.Errorf("%s:\n got %q\nwant %q", what, got, want)
				}
			}

			o := GuideOptions{Cloud: testCloud, Set: purpose.Set}
			g := MakeGuide(purpose.Kind, o)
			if fmt.Sprint(g.Permissions) != fmt.Sprint(doc.Permissions) {
				t.Errorf("the guide has %v", g.Permissions)
			}
			var ticked, manifest []string
			for _, step := range g.Steps {
				for _, item := range step.Items {
					for _, p := range item.Permissions {
						ticked = append(ticked, p.ResourceAppID+" "+p.RoleID)
					}
				}
			}
			for _, r := range g.Manifest.RequiredResourceAccess {
				for _, a := range r.ResourceAccess {
					manifest = append(manifest, r.ResourceAppID+" "+a.ID)
				}
			}
			slices.Sort(ticked)
			slices.Sort(manifest)
			same("the guide's steps", ticked, ids)
			same("the manifest", manifest, ids)
			for _, shell := range []Shell{Bash, PowerShell} {
				script, granted := AzScript(purpose.Kind, shell, o), []string{}
				for line := range strings.Lines(script) {
					if words := strings.Fields(line); len(words) == 3 && isGUID(words[0]) && isGUID(words[1]) {
						granted = append(granted, words[0]+" "+words[1])
					}
				}
				slices.Sort(granted)
				same(string(shell), granted, ids)
			}

			s := newScene(t)
			s.wish = Wish{Kind: purpose.Kind, Set: purpose.Set, Cloud: testCloud}
			look, err := Look(t.Context(), s.admin(), s.wish)
			if err != nil {
				t.Fatal(err)
			}
			for title, found := range map[string]*Findings{"offline": nil, "signed in": look} {
				plan, err := MakePlan(s.wish, found, planNow, "")
				if err != nil || plan.Set != doc.Set {
					t.Fatal(plan.Set, err)
				}
				var planned []string
				for i, q := range plan.Permissions {
					planned = append(planned, string(q.Resource)+"/"+q.Role)
					if d := doc.Permissions[i]; q.Allows != d.Allows || q.Why != d.Why || q.Writes != d.Writes || q.Required != d.Required {
						t.Errorf("%+v is planned as %+v", d, q)
					}
				}
				same("the plan, "+title, planned, want)
			}

			if c := Compare(purpose, nil, roles); c.Met() != len(want) || len(c.Superfluous)+len(c.Missing)+len(c.Unknown)+len(c.Optional) > 0 {
				t.Errorf("compared: %+v", c)
			}
			var missing []string
			for _, p := range Compare(purpose, nil, map[Resource][]string{Exchange: {}, Graph: {}, SharePoint: {}}).Missing {
				missing = append(missing, string(p.Resource)+"/"+p.Role)
			}
			same("missing", missing, want)

			app, err := s.fake.CreateApplication(t.Context(), graph.NewApplication{DisplayName: AppName(purpose.Kind), Required: required(g.Manifest)})
			if err != nil {
				t.Fatal(err)
			}
			same("listed as missing", listed(t, s, app.AppID), roleNamesOf(want))
			consented, left, err := Grant(t.Context(), s.admin(), purpose, app.AppID)
			if err != nil || len(left) > 0 {
				t.Fatal(left, err)
			}
			var got []string
			for _, p := range consented {
				got = append(got, string(p.Resource)+"/"+p.Role)
			}
			same("granted", got, want)
			same("listed as missing after that", listed(t, s, app.AppID), []string{})
		})
	}
}

func required(m Manifest) (list []graph.ResourceAccess) {
	for _, r := range m.RequiredResourceAccess {
		a := graph.ResourceAccess{ResourceAppID: r.ResourceAppID}
		for _, p := range r.ResourceAccess {
			a.Roles = append(a.Roles, p.ID)
		}
		list = append(list, a)
	}
	return list
}

// roleNamesOf are the roles without their services.
func roleNamesOf(list []string) (roles []string) {
	for _, name := range list {
		_, role, _ := strings.Cut(name, "/")
		roles = append(roles, role)
	}
	return roles
}

func listed(t *testing.T, s *scene, appID string) []string {
	t.Helper()
	list, err := List(t.Context(), s.admin(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		if r.AppID == appID {
			return r.Missing
		}
	}
	t.Fatalf("%s is not listed", appID)
	return nil
}

// TestResumeKeepsThePermissionSet: what was agreed to when the run began counts, also
// where whoever goes on with it has forgotten.
func TestResumeKeepsThePermissionSet(t *testing.T) {
	t.Parallel()
	for begun, later := range map[Set]Set{SetSeed: SetRecommended, SetRecommended: SetSeed} {
		t.Run(begun.Name(), func(t *testing.T) {
			t.Parallel()
			p, run := half(t, func(s *scene) { s.wish.Kind, s.wish.Set = connections.SharePoint, begun })
			if j := journalText(t, p, run); begun == SetRecommended && strings.Contains(j, `"permissions"`) {
				t.Errorf("a journal of earlier days has no set: %s", j)
			}
			left, err := p.r.Unfinished(t.Context())
			if err != nil || len(left) != 1 || left[0].Set != begun {
				t.Fatalf("%+v %v", left, err)
			}
			p.wish.Set = later
			res, err := p.next(t.Context(), false)
			if err != nil || !res.Ready || len(res.Missing) > 0 || res.Registration.Permissions != string(begun) {
				t.Fatalf("%+v %v %v", res.Registration, res.Err, err)
			}
			if n, want := len(p.fake.of(res.PrincipalID)), len(Catalogue(Purpose{Kind: connections.SharePoint, Set: begun})); n != want {
				t.Errorf("%d permissions granted, want %d", n, want)
			}
		})
	}
}

func journalText(t *testing.T, p *process, run string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(p.dir, "registrations", run+journalEnding))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
