package wizard

import (
	"strings"
	"testing"

	"github.com/c2conn/c2conn/internal/task"
)

// Scenes of SharePoint connections: their own steps, with both ways of registering.

// sharePointResults are what the checks find in a tenant of two geographies.
func sharePointResults() []task.Result {
	return []task.Result{
		pass("certificate", "Certificate", "2048 bits, 4 y 364 d left, registered"),
		pass("token.graph", "Microsoft Graph token", "2 roles, certificate"),
		pass("token.sharepoint", "SharePoint Online token", "1 role, certificate"),
		pass("permissions", "Permissions", "3 of 3, none superfluous"),
		{ID: "graph.organization", Title: "Tenant", Status: task.Skip, Finding: "its name is not readable with these permissions"},
		pass("graph.user", "Dedicated account", "found: Admin Contoso"),
		pass("sharepoint.sites", "Site collections", "5,000 in 2 geographies: Contoso, Projects, Marketing …"),
		pass("sharepoint.site", "Site by REST", "Contoso, https://contoso.sharepoint.com"),
		pass("sharepoint.admin", "Admin centre", "reached, lists sites"),
	}
}

// refusedSecret is the same with a client secret whose consequence was accepted.
func refusedSecret() []task.Result {
	list := sharePointResults()
	list[0] = task.Result{ID: "certificate", Title: "Certificate", Status: task.Skip, Finding: "the connection uses a client secret"}
	for _, i := range []int{7, 8} {
		list[i].Status, list[i].Finding = task.Warn, "SharePoint refuses client secrets; Microsoft Graph only"
	}
	return list
}

// kindDriver starts a flow on the screen.
func kindDriver(t *testing.T, flow *Flow, results []task.Result) *driver {
	t.Helper()
	do := autoDeeds(foundFor(flow.Kind))
	do.configure = ending(results)
	return driveWith(t, testSessionOf(tabled(flow)), &do)
}

// sharePointAddress is the step Server address with a name typed.
func sharePointAddress(t *testing.T, results []task.Result) *driver {
	t.Helper()
	return kindDriver(t, SharePoint(), results).keys("enter", "enter").typed("contoso").keys("tab")
}

// next leaves the step by its last field.
func (d *driver) next() *driver {
	d.t.Helper()
	before := d.m.step
	for range 12 {
		if d.m.step != before {
			return d
		}
		d.keys("enter")
	}
	d.t.Fatalf("the step is not left:\n%s", d.text())
	return nil
}

// byHand answers the step Application details.
func (d *driver) byHand() *driver {
	d.t.Helper()
	for key, v := range map[string]string{
		keyAccount: "admin@contoso.com", keyClientID: testClientID, keyTenantID: "contoso.onmicrosoft.com", keyCredential: byThumbprint, keyThumbprint: testThumb,
	} {
		if err := d.m.s.Set(key, v, FromUser, ""); err != nil {
			d.t.Fatal(err)
		}
	}
	return d
}

var sharePointScenes = []scene{
	{"sharepoint-location", func(t *testing.T) *driver { return kindDriver(t, SharePoint(), sharePointResults()) }},
	{"sharepoint-address-empty", func(t *testing.T) *driver {
		return kindDriver(t, SharePoint(), sharePointResults()).keys("enter", "enter")
	}},
	{"sharepoint-address", func(t *testing.T) *driver { return sharePointAddress(t, sharePointResults()) }},
	{"sharepoint-address-refused", func(t *testing.T) *driver {
		return kindDriver(t, SharePoint(), sharePointResults()).keys("enter", "enter").typed("https://intranet.contoso.com/sites/hr").keys("tab")
	}},
	{"sharepoint-legacy", func(t *testing.T) *driver {
		return sharePointAddress(t, sharePointResults()).keys("tab", "down", "enter")
	}},
	{"sharepoint-registration", func(t *testing.T) *driver { return sharePointAddress(t, sharePointResults()).next() }},
	{"sharepoint-secret", func(t *testing.T) *driver {
		d := sharePointAddress(t, sharePointResults()).next().keys("down").byHand().next()
		return d.keys("tab", "tab", "tab", "down", "down", "tab").typed("abc~defghijklmnopqrstuvwxyz0123456789012").keys("tab")
	}},
	{"sharepoint-plan", func(t *testing.T) *driver {
		return sharePointAddress(t, sharePointResults()).next().next().next().next()
	}},
	{"sharepoint-passed", func(t *testing.T) *driver {
		return sharePointAddress(t, sharePointResults()).next().keys("down").byHand().next().next().keys("enter")
	}},
	{"sharepoint-graph-only", func(t *testing.T) *driver {
		return sharePointAddress(t, refusedSecret()).next().keys("down").byHand().next().next().keys("enter", "end", "up")
	}},
}

// The same kinds in plain words.
func TestPlainSharePoint(t *testing.T) {
	t.Parallel()
	plainKind(t, "sharepoint", SharePoint(), refusedSecret(),
		"", "", // location, cloud
		"https://intranet.contoso.com", "contoso", "", // address, admin centre
		"2", "spadmin@contoso.com", "", // the legacy step, without a password
		"2", "", // by hand, recommended permissions
		"admin@contoso.com", testClientID, "contoso.onmicrosoft.com", "3", "abc~defghijklmnopqrstuvwxyz", "1", "2", // a secret, and what follows from it
		"", "", "1")
}

// plainKind holds a whole dialogue against its golden.
func plainKind(t *testing.T, name string, flow *Flow, results []task.Result, lines ...string) {
	t.Helper()
	p, out := talk(t, testSessionOf(tabled(flow)), strings.Join(lines, "\n")+"\n")
	p.deeds = autoDeeds(foundFor(flow.Kind))
	p.configure = ending(results)
	got, err := p.dialogue()
	if err != nil || got == nil {
		t.Errorf("outcome %+v, err %v", got, err)
	}
	golden(t, "plain-"+name, out.String())
	for _, bad := range []string{"─", "●", "✓", "✗", "→", "›", "\x1b", "⠋", "defghij"} {
		if strings.Contains(out.String(), bad) {
			t.Errorf("%q does not read well aloud", bad)
		}
	}
}

// What is proposed for the admin centre follows from the address, also after it was
// looked at and the address was corrected, or another cloud was chosen.
func TestAdminCentreFollows(t *testing.T) {
	t.Parallel()
	d := kindDriver(t, SharePoint(), sharePointResults()).keys("enter", "enter").typed("contos").keys("tab", "tab")
	d.sees("https://contos-admin.sharepoint.com")
	d.keys("shift+tab", "shift+tab", "end").typed("o").keys("tab")
	d.sees("https://contoso.sharepoint.com", "https://contoso-admin.sharepoint.com")
	d.keys("tab", "tab", "enter")
	if got := d.m.s.asked(d.m.s.answersInForce()).Endpoints; got.Admin != "https://contoso-admin.sharepoint.com" {
		t.Errorf("%+v", got)
	}
	for _, cloud := range []string{"usgov", "global", "china"} {
		if err := d.m.s.Set(keyCloud, cloud, FromUser, ""); err != nil {
			t.Fatal(err)
		}
		if err := d.m.s.LookupAll(t.Context()); err != nil {
			t.Error(err)
		}
	}
	got := d.m.s.asked(d.m.s.answersInForce()).Endpoints
	if got.SharePoint != "https://contoso.sharepoint.cn" || got.Admin != "https://contoso-admin.sharepoint.cn" {
		t.Errorf("%+v", got)
	}
}
