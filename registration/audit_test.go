package registration

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/graph"
)

// mine is the certificate of the saved connection.
var mine = sync.OnceValue(func() certs.Identity {
	id, err := certs.Generate(nil, planNow, certs.NewOptions{CommonName: "mine", Key: testKey()})
	if err != nil {
		panic(err)
	}
	return id
})

// drifted is a saved connection whose registration somebody else made: see exists.
// It lacks everything but one of the listed permissions.
func (p *process) drifted() connections.Connection {
	p.t.Helper()
	p.exists()
	return p.saved("it", connections.Exchange)
}

// saved is a connection of this computer to the only registration of the tenant.
func (p *process) saved(name string, kind connections.Kind) connections.Connection {
	p.t.Helper()
	c, err := p.store.Add(p.t.Context(), connections.Connection{
		Name: name, Kind: kind, Location: connections.Online, Cloud: "global", Tenant: connections.Tenant{ID: tenantID}, Account: adminUPN,
		Registration: connections.Registration{Mode: connections.ModeManual, ClientID: p.fake.apps[0].AppID},
		Credential: connections.Credential{Type: connections.TypeCertificate, Thumbprint: string(mine().Thumbprint()), ThumbprintSHA256: string(mine().ThumbprintSHA256()),
			NotAfter: mine().Certificate.NotAfter.UTC(), Secret: connections.Ref("store:01K9Z7ABCDEFGHJKMNPQRSTVWX")},
	})
	if err != nil {
		p.t.Fatal(err)
	}
	c.Created = c.Created.Add(-time.Hour)
	return c
}

// whole gives the registration all that the connection needs.
func (p *process) whole() {
	f := p.fake
	a := &f.apps[0]
	sp := graph.ServicePrincipal{ObjectID: f.id(), AppID: a.AppID, DisplayName: a.DisplayName, Enabled: true}
	f.principals = append(f.principals, sp)
	own := keyOf(mine())
	own.ID = f.id()
	a.Keys = append(a.Keys, own)
	for _, q := range Catalogue(Purpose{Kind: connections.Exchange}) {
		a.Required = union(a.Required, []graph.ResourceAccess{{ResourceAppID: q.ResourceAppID, Roles: []string{q.RoleID}}})
		f.grant(sp, q.Resource, q.RoleID)
	}
}

func (f *fake) grant(sp graph.ServicePrincipal, r Resource, roleID string) {
	i := slices.IndexFunc(f.principals, func(s graph.ServicePrincipal) bool { return s.AppID == r.AppID() })
	f.assignments = append(f.assignments, graph.Assignment{ID: f.id(), PrincipalID: sp.ObjectID, ResourceID: f.principals[i].ObjectID, RoleID: roleID})
}

func rolesOf(list []PlannedPermission) string {
	var names []string
	for _, q := range list {
		names = append(names, q.Role)
	}
	return strings.Join(names, " ")
}

// TestInspect damages a registration in one way each.
func TestInspect(t *testing.T) {
	t.Parallel()
	const everything = "full_access_as_app Directory.Read.All Group.Read.All MailboxSettings.ReadWrite User.Read.All"
	for name, c := range map[string]struct {
		damage func(p *process, f *fake, a *graph.Application)
		want   func(d *Drift) bool
		steps  string
		notes  string // part of the only one
	}{
		"whole": {want: func(d *Drift) bool { return d.Clean() }},
		"no consent": {damage: func(_ *process, f *fake, _ *graph.Application) { f.assignments = nil },
			want: func(d *Drift) bool { return rolesOf(d.Missing) == everything && len(d.NotListed) == 0 }, steps: "consent"},
		"covered": {damage: func(_ *process, f *fake, a *graph.Application) {
			// Directory.ReadWrite.All holds Directory.Read.All and what that holds.
			f.principals[1].Roles = append(f.principals[1].Roles, graph.AppRole{ID: "19dbc75e-c2e2-444c-a770-ec69d8559fc7", Value: "Directory.ReadWrite.All", Enabled: true, ForApplications: true})
			a.Required[0].Roles, f.assignments = []string{mailboxSettings.id}, f.assignments[:1]
			f.grant(f.principals[3], Graph, "19dbc75e-c2e2-444c-a770-ec69d8559fc7")
			f.grant(f.principals[3], Graph, mailboxSettings.id)
		}, want: func(d *Drift) bool { return d.Clean() }},
		"not listed": {damage: func(_ *process, _ *fake, a *graph.Application) { a.Required = nil },
			want: func(d *Drift) bool { return rolesOf(d.NotListed) == everything && len(d.Missing) == 0 }, steps: "listed"},
		"listed in capitals": {damage: func(_ *process, _ *fake, a *graph.Application) {
			for i, r := range a.Required {
				for j := range r.Roles {
					a.Required[i].Roles[j] = strings.ToUpper(r.Roles[j])
				}
			}
		}, want: func(d *Drift) bool { return d.Clean() }},
		"superfluous": {damage: func(_ *process, f *fake, _ *graph.Application) {
			f.grant(f.principals[3], SharePoint, sitesFullControl.id)
		},
			want: func(d *Drift) bool {
				return len(d.Superfluous) == 1 && d.Superfluous[0].Resource == SharePoint && d.Superfluous[0].Allows != "" && d.Superfluous[0].Writes && strings.Contains(d.Text(80), "SharePoint › Sites.FullControl.All (writes)\n")
			}},
		"used by another connection": {damage: func(p *process, f *fake, _ *graph.Application) {
			f.grant(f.principals[3], Graph, graphSitesRead.id)
			f.grant(f.principals[3], SharePoint, sitesFullControl.id)
			p.saved("sites", connections.SharePoint)
		}, want: func(d *Drift) bool { return d.Clean() && slices.Equal(d.UsedBy, []string{"sites"}) }},
		"used by a staged connection": {damage: func(p *process, f *fake, _ *graph.Application) {
			f.grant(f.principals[3], Graph, graphSitesRead.id)
			f.grant(f.principals[3], SharePoint, sitesFullControl.id)
			sites := p.saved("sites", connections.SharePoint)
			if err := p.store.Delete(p.t.Context(), sites.ID); err != nil {
				p.t.Fatal(err)
			}
			p.stage(sites)
		}, want: func(d *Drift) bool { return d.Clean() && slices.Equal(d.UsedBy, []string{"sites"}) }},
		"saved and staged": {damage: func(p *process, f *fake, _ *graph.Application) {
			f.grant(f.principals[3], Graph, graphSitesRead.id)
			f.grant(f.principals[3], SharePoint, sitesFullControl.id)
			p.saved("sites", connections.SharePoint)
			g, err := p.store.Stage(p.t.Context())
			if err != nil {
				p.t.Fatal(err)
			}
			defer g.Close()
			if _, err := g.Update(p.t.Context(), "sites", func(c *connections.Connection) error { c.Account = "other@contoso.com"; return nil }); err != nil {
				p.t.Fatal(err)
			}
		}, want: func(d *Drift) bool { return d.Clean() && slices.Equal(d.UsedBy, []string{"sites"}) }},
		"used in another tenant": {damage: func(p *process, f *fake, _ *graph.Application) {
			f.grant(f.principals[3], Graph, graphSitesRead.id)
			p.saved("sites", connections.SharePoint)
			_, err := p.store.Update(p.t.Context(), "sites", func(c *connections.Connection) error {
				c.Tenant.ID = "99999999-2222-4333-8444-555555555555" // an application of many tenants
				return nil
			})
			if err != nil {
				p.t.Fatal(err)
			}
		}, want: func(d *Drift) bool {
			return len(d.UsedBy) == 0 && len(d.Superfluous) == 1 && !d.Superfluous[0].Writes && !strings.Contains(d.Text(80), "(writes)")
		}},
		"another service": {damage: func(_ *process, f *fake, _ *graph.Application) {
			f.assignments = append(f.assignments, graph.Assignment{ID: f.id(), PrincipalID: f.principals[3].ObjectID, ResourceID: f.id(), RoleID: f.id()})
		}, want: func(d *Drift) bool { return len(d.Superfluous) == 0 }, notes: "1 permission on other services"},
		"no certificate": {damage: func(_ *process, _ *fake, a *graph.Application) { a.Keys = a.Keys[:foreignKeys] },
			want: func(d *Drift) bool {
				return !d.Certificate.Listed && d.Certificate.Thumbprint == string(mine().Thumbprint())
			}, steps: "certificate"},
		"shorter": {damage: func(_ *process, _ *fake, a *graph.Application) { a.Keys[foreignKeys].End = planNow.AddDate(1, 0, 0) },
			want: func(d *Drift) bool { return d.Certificate.EndDiffers && d.Certificate.RegisteredEnd.Year() == 2027 }, notes: "until 2027-11-22 only"},
		"a second shorter": {damage: func(_ *process, _ *fake, a *graph.Application) {
			a.Keys[foreignKeys].End = a.Keys[foreignKeys].End.Add(-time.Second)
		}, want: func(d *Drift) bool { return d.Clean() }},
		"starts later": {damage: func(_ *process, _ *fake, a *graph.Application) { a.Keys[foreignKeys].Start = planNow.Add(time.Hour) },
			want: func(d *Drift) bool { return d.Certificate.NotYetValid }, notes: "2026-11-22 13:00"},
		"others expire": {damage: func(_ *process, _ *fake, a *graph.Application) {
			a.Keys[0].End, a.Secrets[0].End = planNow.Add(-time.Hour), planNow.Add(29*day)
			a.Secrets = append(a.Secrets, graph.Password{ID: "x", End: planNow.Add(31 * day)})
		}, want: func(d *Drift) bool {
			return len(d.Others) == 2 && d.Others[0].Expired && d.Others[0].Type == connections.TypeCertificate && !d.Others[1].Expired && d.Others[1].KeyID != ""
		}},
		"disabled": {damage: func(_ *process, _ *fake, a *graph.Application) { a.Disabled = true },
			want: func(d *Drift) bool { return d.Disabled }, notes: "registration is disabled"},
		"principal disabled": {damage: func(_ *process, f *fake, _ *graph.Application) { f.principals[3].Enabled = false },
			want: func(d *Drift) bool { return d.PrincipalDisabled && !d.PrincipalMissing }, notes: "Enterprise applications"},
		"no principal": {damage: func(_ *process, f *fake, _ *graph.Application) { f.principals, f.assignments = f.principals[:3], nil },
			want: func(d *Drift) bool {
				return d.PrincipalMissing && !d.PrincipalDisabled && rolesOf(d.Missing) == everything
			}, steps: "service-principal consent"},
		"open": {damage: func(_ *process, _ *fake, a *graph.Application) { a.SignInAudience = "AzureADMultipleOrgs" },
			want: func(d *Drift) bool { return d.OpenToOthers }, notes: "open to other tenants"},
		"unknown service": {damage: func(_ *process, f *fake, _ *graph.Application) {
			f.principals, f.assignments = slices.Delete(f.principals, 0, 1), f.assignments[1:]
		}, want: func(d *Drift) bool { return rolesOf(d.Missing) == "full_access_as_app" }, steps: "consent"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newScene(t).start()
			conn := p.drifted()
			p.whole()
			if c.damage != nil {
				c.damage(p, p.fake, &p.fake.apps[0])
			}
			id := mine()
			d, err := p.r.Inspect(t.Context(), p.admin(), conn, &id)
			if err != nil {
				t.Fatal(err)
			}
			var steps []string
			for _, s := range d.Steps() {
				steps = append(steps, s.ID)
			}
			if !c.want(d) || strings.Join(steps, " ") != c.steps || d.Nothing() != (c.steps == "") || d.Plan().Nothing() != d.Nothing() {
				t.Errorf("steps %v, %s", steps, d.Text(100))
			}
			if len(d.Notes) > 1 || c.notes == "" && len(d.Notes) > 0 || !strings.Contains(strings.Join(d.Notes, ""), c.notes) {
				t.Errorf("notes: %q", d.Notes)
			}
			if d.Clean() != strings.Contains(d.Text(0), "is as it needs it") {
				t.Error(d.Text(0))
			}
			for _, width := range []int{60, 80, 120} {
				for l := range strings.Lines(d.Text(width) + d.Plan().Text(width)) {
					if l = strings.TrimRight(l, "\n"); utf8.RuneCountInString(l) > width && strings.Contains(strings.TrimSpace(l), " ") {
						t.Errorf("longer than %d: %q", width, l)
					}
				}
			}
		})
	}
}

// TestInspectWithoutCertificate: without the certificate itself its thumbprint tells.
func TestInspectWithoutCertificate(t *testing.T) {
	t.Parallel()
	p := newScene(t).start()
	c := p.drifted()
	p.whole()
	d, err := p.r.Inspect(t.Context(), p.admin(), c, nil)
	if err != nil || !d.Clean() || !d.Certificate.Listed {
		t.Fatal(d, err)
	}
	p.fake.apps[0].Keys = p.fake.apps[0].Keys[:foreignKeys]
	if d, err = p.r.Inspect(t.Context(), p.admin(), c, nil); err != nil || !d.Nothing() || len(d.Notes) != 1 || !strings.Contains(d.Notes[0], "not at hand") {
		t.Error(d.Notes, err)
	}
	p.clock.now = p.clock.now.AddDate(6, 0, 0)
	id := mine()
	if d, err = p.r.Inspect(t.Context(), p.admin(), c, &id); err != nil || !d.Nothing() || !strings.Contains(strings.Join(d.Notes, ""), "It has expired") {
		t.Error(d.Notes, err)
	}
}

// TestInspectSets: what is needed follows from the permission set and the credential.
func TestInspectSets(t *testing.T) {
	t.Parallel()
	for _, w := range []struct{ set, credential, missing, superfluous string }{
		{"", connections.TypeCertificate, "Sites.Read.All Sites.FullControl.All", "full_access_as_app"},
		{"", connections.TypeClientSecret, "Sites.Read.All", "full_access_as_app"},
		{connections.PermissionsSeed, connections.TypeCertificate, "", ""},
	} {
		p := newScene(t).start()
		p.drifted()
		p.whole()
		c := p.saved("sites", connections.SharePoint)
		c.Registration.Permissions, c.Credential.Type = w.set, w.credential
		if err := p.store.Delete(t.Context(), "it"); err != nil {
			t.Fatal(err)
		}
		id := mine()
		d, err := p.r.Inspect(t.Context(), p.admin(), c, &id)
		if err != nil || rolesOf(d.Missing) != w.missing || rolesOf(d.NotListed) != w.missing {
			t.Fatalf("%+v: %v %v", w, d, err)
		}
		extra := ""
		for _, x := range d.Superfluous {
			if x.Resource == Exchange {
				extra = x.Role
			}
		}
		if extra != w.superfluous || (d.Certificate == nil) != (w.credential == connections.TypeClientSecret) {
			t.Errorf("%+v: %+v", w, d.Superfluous)
		}
		if c := d.Certificate; c != nil && !c.Listed {
			t.Errorf("%+v", c)
		}
	}
}

// TestInspectErrors: another tenant, a registration that is gone.
func TestInspectErrors(t *testing.T) {
	t.Parallel()
	p := newScene(t).start()
	c := p.drifted()
	stranger := p.admin()
	stranger.Claims.TenantID = "99999999-0000-4000-8000-000000000000"
	if _, err := p.r.Inspect(t.Context(), stranger, c, nil); !isA[*entra.WrongTokenError](err) {
		t.Errorf("another tenant's administrator: %v", err)
	}
	stranger.Claims.TenantID = "" // a token that cannot be read
	other := c
	other.Tenant.ID = "99999999-0000-4000-8000-000000000000"
	if _, err := p.r.Inspect(t.Context(), stranger, other, nil); !isA[*entra.WrongTokenError](err) {
		t.Errorf("another tenant answered: %v", err)
	}
	d, err := p.r.Inspect(t.Context(), p.admin(), c, nil)
	if err != nil {
		t.Fatal(err)
	}
	stranger.Claims.TenantID = other.Tenant.ID
	if _, _, err := p.r.Repair(t.Context(), stranger, d, nil); !isA[*entra.WrongTokenError](err) {
		t.Errorf("repair by another tenant's administrator: %v", err)
	}
	if _, err := p.r.Inspect(t.Context(), p.admin(), connections.Connection{Name: "on site", Location: connections.OnPremises}, nil); err == nil {
		t.Error("a connection without an application")
	}

	p.fake.deletedApps, p.fake.apps = p.fake.apps, nil
	p.fake.deletedApps[0].Deleted = planNow.Add(-day)
	check := func(want string, next string) {
		t.Helper()
		_, err := p.r.Inspect(t.Context(), p.admin(), c, nil)
		var gone *advice.RegistrationGoneError
		if !errors.As(err, &gone) || !strings.Contains(err.Error(), want) {
			t.Fatalf("%v, want %s", err, want)
		}
		if a := advice.For(gone, advice.Facts{}); !strings.Contains(strings.Join(a.Next, "\n"), next) || !strings.HasPrefix(a.What, "The application") || a.Why == "" {
			t.Errorf("%+v", a)
		}
	}
	check("was deleted on 2026-11-21; it can be restored until 2026-12-21", "$ c2conn verify it --fix")
	p.fake.deletedApps = nil
	check("is not in the tenant Contoso (contoso.com)", "$ c2conn new exchange --auto")
}

// TestDriftDocument: the names of the JSON form are a contract.
func TestDriftDocument(t *testing.T) {
	t.Parallel()
	p := newScene(t).start()
	c := p.drifted()
	id := mine()
	d, err := p.r.Inspect(t.Context(), p.admin(), c, &id)
	if err != nil {
		t.Fatal(err)
	}
	fields := func(v any) map[string]any {
		data, err := json.Marshal(v)
		var m map[string]any
		if err == nil {
			err = json.Unmarshal(data, &m)
		}
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range m {
			if value == nil {
				t.Errorf("%s is null", name)
			}
		}
		return m
	}
	m := fields(d)
	want := "account also_used_by app_name certificate client_id connection disabled kind missing_consent not_listed notes object_id open_to_other_tenants other_credentials pages roles " +
		"service_principal_disabled service_principal_missing set sign_in_audience superfluous tenant"
	if got := strings.Join(slices.Sorted(maps.Keys(m)), " "); got != want {
		t.Errorf("%s", got)
	}
	if got := strings.Join(slices.Sorted(maps.Keys(m["certificate"].(map[string]any))), " "); got != "end_differs expired listed not_after not_before not_yet_valid thumbprint" {
		t.Errorf("%s", got)
	}
	if got := strings.Join(slices.Sorted(maps.Keys(fields(SuperfluousPermission{}))), " "); got != "allows resource resource_title role writes" {
		t.Errorf("%s", got)
	}
	if got := strings.Join(slices.Sorted(maps.Keys(fields(d.Plan()))), " "); got != "changes permissions warnings" {
		t.Errorf("%s", got)
	}
	text := d.Plan().Text(80)
	for _, part := range []string{"    1  Ask for the permissions\n", "Office 365 Exchange Online › full_access_as_app (writes)", "    2  Add the certificate\n", "    3  Create the service principal\n",
		"    4  Grant full_access_as_app on Office 365 Exchange Online (writes)\n", "Grant User.Read.All on Microsoft Graph\n", "Consent: by admin@contoso.com.", "POST /servicePrincipals\n"} {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in\n%s", part, text)
		}
	}
}
