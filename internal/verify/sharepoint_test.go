package verify_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/sim"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/internal/verify"
	"github.com/c2conn/c2conn/registration"
)

const (
	quiet     = "graph.user=skip " // no account is named
	restFails = "sharepoint.site=fail sharepoint.admin=fail"
	noSites   = "graph.organization=skip token.graph=fail token.sharepoint=fail permissions=skip sharepoint.sites=skip sharepoint.site=skip sharepoint.admin=skip"
	bySeed    = "graph.user=skip sharepoint.sites=warn sharepoint.site=skip sharepoint.admin=skip"
)

func siteOutcomes() []outcome {
	return []outcome{
		{name: "well", checks: quiet, state: verified},
		{name: "multi-geo", faults: []string{"multi-geo"}, checks: quiet, state: verified},
		{name: "many sites", faults: []string{"sites=2300"}, checks: quiet, state: verified},
		{name: "throttled", faults: []string{"throttle", "sites=1200"}, checks: quiet, state: verified},
		{name: "throttled sharepoint", faults: []string{"throttle=1s,2,sharepoint"}, checks: quiet, state: verified},
		{name: "unavailable", faults: []string{"unavailable"}, checks: quiet, state: verified},
		{name: "challenge", faults: []string{"cae-challenge"}, checks: quiet, state: verified},
		{name: "cut", faults: []string{"cut"}, checks: quiet, state: verified},

		// Its permissions need not tell the tenant's name.
		{name: "tenant's name", faults: []string{"graph-denied=organization"}, checks: quiet + "graph.organization=skip", state: verified},

		// A secret: Graph takes it, SharePoint does not.
		{name: "secret", credential: bySecret, checks: quiet + "sharepoint.site=warn sharepoint.admin=warn", state: verified, look: "sharepoint.site", says: "c2conn cert new"},
		{name: "secret, admin centre", credential: bySecret, checks: quiet + "sharepoint.site=warn sharepoint.admin=warn", state: verified, look: "sharepoint.admin", says: "takes a certificate only"},

		{name: "denied", faults: []string{"sharepoint-denied"}, checks: quiet + restFails, class: 5, state: failed, look: "sharepoint.site", says: "Sites.FullControl.All"},
		{name: "locked", faults: []string{"site-locked"}, checks: quiet + "sharepoint.site=fail", class: 5, state: failed, look: "sharepoint.site", says: "Get-SPOSite"},
		{name: "down", faults: []string{"sharepoint-down"}, checks: quiet + "sharepoint.sites=fail " + restFails, class: 5, state: failed, look: "sharepoint.admin", says: "cannot answer"},
		{name: "no sharepoint", faults: []string{"no-sharepoint"}, checks: quiet + "token.sharepoint=fail permissions=pass sharepoint.sites=fail sharepoint.site=skip sharepoint.admin=skip", class: 3, state: failed, look: "sharepoint.sites", says: "has no SharePoint Online"},
		{name: "no sharepoint, token", faults: []string{"no-sharepoint"}, checks: quiet + "token.sharepoint=fail sharepoint.sites=fail sharepoint.site=skip sharepoint.admin=skip", class: 3, state: failed, look: "token.sharepoint", says: "subscription with SharePoint Online"},
		{name: "renamed", faults: []string{"tenant-renamed"}, checks: quiet + "sharepoint.site=fail sharepoint.admin=skip", class: 5, state: failed, look: "sharepoint.site", says: "contosogroup.sharepoint"},
		{name: "proxy page", faults: []string{"proxy-page=sharepoint"}, checks: quiet + restFails, class: 5, state: failed, look: "sharepoint.site", says: "web page answered"},
		{name: "redirect", faults: []string{"redirect=sharepoint"}, checks: quiet + restFails, class: 5, state: failed, look: "sharepoint.site", says: "did not follow"},
		{name: "garbage", faults: []string{"garbage=sharepoint"}, checks: quiet + restFails, class: 5, state: failed, look: "sharepoint.admin", says: "not one of SharePoint"},
		{name: "throttled for ever", faults: []string{"throttle-forever=1s,sharepoint"}, checks: quiet + restFails, class: 5, state: failed, look: "sharepoint.site", says: "busy"},
		{name: "wrong thumbprint", faults: []string{"wrong-thumbprint"}, checks: quiet + "certificate=fail " + noSites, class: 3, state: failed, look: "certificate", says: "c2conn cert export"},
		{name: "application not found", faults: []string{"app-not-found"}, checks: quiet + noSites, class: 3, state: failed, look: "token.sharepoint", says: "Object ID"},

		// Permissions.
		{name: "no roles", faults: []string{"no-roles"}, checks: quiet + "graph.organization=skip permissions=fail sharepoint.sites=fail " + restFails, class: 4, state: waiting, look: "permissions", says: "admin consent is missing"},
		{name: "no permission for graph", faults: []string{"missing-role=Sites.Read.All"}, checks: quiet + "permissions=fail sharepoint.sites=fail", class: 5, state: failed, look: "sharepoint.sites", says: "Sites.Read.All"},
		{name: "no permission for sharepoint", faults: []string{"missing-role=Sites.FullControl.All"}, checks: quiet + "permissions=fail " + restFails, class: 5, state: failed, look: "sharepoint.admin", says: "Network location"},
		{name: "superfluous", faults: []string{"superfluous-role"}, checks: quiet + "permissions=warn", state: verified, look: "permissions", says: "Superfluous: Microsoft Graph › Mail.ReadWrite (writes): " + registration.Allows(registration.Graph, "Mail.ReadWrite")},
	}
}

func TestSharePointFaults(t *testing.T) {
	t.Parallel()
	for _, o := range siteOutcomes() {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			s := stageOf(t, connections.SharePoint, o.app, o.credential, o.faults...)
			o.hold(t, s, s.run(t, nil))
		})
	}
}

func TestSitesAreCounted(t *testing.T) {
	t.Parallel()
	s := stageOf(t, connections.SharePoint, "", connections.TypeCertificate, "multi-geo", "sites=1600")
	var said []string
	r := s.run(t, func(e task.Event) {
		if e.ID == "sharepoint.sites" && e.Kind == task.Progress {
			said = append(said, e.Text)
		}
	})
	one := result(t, r, "sharepoint.sites")
	if !strings.HasPrefix(one.Finding, "1,600 site collections in 3 geographies: ") || !strings.HasSuffix(one.Finding, "…") {
		t.Error(one.Finding)
	}
	if len(said) < 4 || !strings.HasSuffix(said[1], "site collections, page 2") || !strings.Contains(said[2], "1,") {
		t.Errorf("%q", said)
	}
	for _, part := range []string{"https://contoso.sharepoint", "EUR: ", "OneDrive: "} {
		if !strings.Contains(strings.Join(one.Details, "\n"), part) {
			t.Errorf("no %s in %q", part, one.Details)
		}
	}
	f := r.Found
	if f.SharePoint != s.world.SharePointSite() || f.Admin != s.world.SharePointAdmin() || f.Tenant.ID != s.world.TenantID {
		t.Errorf("%+v", f)
	}
	if one := result(t, r, "sharepoint.site"); !strings.Contains(one.Finding, "contoso.sharepoint") || len(one.Details) == 0 {
		t.Errorf("%+v", one)
	}
	if one := result(t, r, "sharepoint.admin"); !strings.HasPrefix(one.Finding, "reached, it manages ") {
		t.Errorf("%+v", one)
	}
	if one := result(t, r, "certificate"); !strings.HasSuffix(one.Finding, ", registered") {
		t.Errorf("%+v", one)
	}
}

// answers replaces the list of sites.
type answers struct {
	next http.RoundTripper
	list string
}

func (t answers) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.URL.Path, "/getAllSites") {
		return t.next.RoundTrip(r)
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: readCloser(t.list), Request: r}, nil
}

func TestShortLists(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		list, finding string
		status        task.Status
		details       []string
	}{
		{`{"value":[]}`, "no site is listed", task.Fail, nil},
		{`{"value":[{"webUrl":"https://contoso.sharepoint.com/sites/hr"}]}`, "1 site collection: hr", task.Pass, []string{"hr  https://contoso.sharepoint.com/sites/hr"}},
		{`{"value":[{"isPersonalSite":true}]}`, "1 site collection", task.Pass, []string{"OneDrive: 1 site collection of these"}},
		{`{"value":[{"webUrl":"https://contoso.sharepoint.com"},{"displayName":"A\u001b[31m\u202e","webUrl":"https://[x"}]}`, "2 site collections: A[31m", task.Pass, []string{"https://contoso.sharepoint.com", "A[31m  https://[x"}},
		{`{"value":[{"displayName":"` + strings.Repeat("x", 80) + `","webUrl":"https://y"}]}`, "1 site collection", task.Pass, []string{strings.Repeat("x", 80) + "  https://y"}},
	} {
		s := stageOf(t, connections.SharePoint, "", connections.TypeCertificate)
		s.client.Transport = answers{s.client.Transport, c.list}
		one := result(t, s.run(t, nil), "sharepoint.sites")
		if one.Finding != c.finding || one.Status != c.status || !slices.Equal(one.Details, c.details) {
			t.Errorf("%s\n%s %q %q", c.list, one.Status, one.Finding, one.Details)
		}
	}
}

// An organisation may have deleted its root site.
func TestWithoutRootSite(t *testing.T) {
	t.Parallel()
	s := stageOf(t, connections.SharePoint, "", connections.TypeCertificate)
	s.client.Transport = noRoot{s.client.Transport}
	r := s.run(t, nil)
	one := result(t, r, "sharepoint.site")
	if one.Status != task.Pass || len(one.Details) != 1 || !strings.Contains(one.Details[0], "/sites/") {
		t.Errorf("%s%q", describe(r), one.Details)
	}
	lists := 0
	for _, x := range s.world.Requests() {
		if strings.Contains(x.URL, "/getAllSites") {
			lists++
		}
	}
	if lists != 1 {
		t.Errorf("the sites were listed %d times", lists)
	}
	for _, c := range []struct {
		faults   []string
		parallel int
		status   task.Status
	}{{nil, 1, task.Pass}, {[]string{"sites=1600"}, 2, task.Pass}, {[]string{"graph-down"}, 0, task.Fail}, {[]string{"missing-role=Sites.Read.All"}, 1, task.Fail}} {
		s := stageOf(t, connections.SharePoint, "", connections.TypeCertificate, c.faults...)
		s.client.Transport = noRoot{s.client.Transport}
		s.o.Parallel = c.parallel
		if one := result(t, s.run(t, nil), "sharepoint.site"); one.Status != c.status {
			t.Errorf("%v: %+v", c.faults, one)
		}
	}
}

type noRoot struct{ next http.RoundTripper }

func (t noRoot) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path != "/_api/web" {
		return t.next.RoundTrip(r)
	}
	return &http.Response{StatusCode: http.StatusNotFound, Header: http.Header{"Sprequestguid": {"a"}, "Content-Type": {"text/plain"}}, Body: readCloser("404 FILE NOT FOUND"), Request: r}, nil
}

// The documented permissions reach no site. That was chosen, so it is no failure.
func TestSeedPermissions(t *testing.T) {
	t.Parallel()
	for _, o := range []outcome{
		{name: "certificate", app: sim.AppSharePointSeed, checks: bySeed, state: verified, look: "sharepoint.sites", says: "c2conn app permissions --kind sharepoint"},
		{name: "secret", app: sim.AppSharePointSeed, credential: bySecret, checks: bySeed, state: verified},
		{name: "no sharepoint", app: sim.AppSharePointSeed, faults: []string{"no-sharepoint"}, checks: bySeed + " token.sharepoint=skip", state: verified},
		{name: "down", app: sim.AppSharePointSeed, faults: []string{"proxy-page=sharepoint"}, checks: bySeed + " sharepoint.site=warn sharepoint.admin=warn", state: verified, look: "sharepoint.site", says: "web page answered"},
		{name: "no consent", app: sim.AppSharePointSeed, faults: []string{"no-roles"}, checks: bySeed + " graph.organization=skip permissions=fail", class: 4, state: waiting},
		{name: "no Exchange permission", app: sim.AppSharePointSeed, faults: []string{"missing-role=full_access_as_app"}, checks: bySeed + " permissions=fail", class: 5, state: failed, look: "permissions", says: "full_access_as_app"},
		// The application may have more than was asked for.
		{name: "of the recommended set", app: sim.AppSharePoint, checks: quiet + "permissions=fail", class: 5, state: failed},
	} {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			s := stageOf(t, connections.SharePoint, o.app, o.credential, o.faults...)
			s.target.Connection.Registration.Permissions = connections.PermissionsSeed
			o.hold(t, s, s.run(t, nil))
		})
	}
	s := stageOf(t, connections.SharePoint, sim.AppSharePointSeed, connections.TypeCertificate)
	s.target.Connection.Registration.Permissions = connections.PermissionsSeed
	s.target.Connection.Endpoints.SharePoint = "https://evil.example"
	if r := s.run(t, nil); r.State != failed {
		t.Errorf("a foreign address was accepted: %s", describe(r))
	}
}

// What another saved connection needs of the application is not superfluous.
func TestPermissionsOfOtherConnections(t *testing.T) {
	t.Parallel()
	s := stageOf(t, connections.MigrationSource, sim.AppMigrationTarget, connections.TypeCertificate)
	one := result(t, s.run(t, nil), "permissions")
	if one.Status != task.Warn || !strings.Contains(strings.Join(one.Details, "\n"), "Superfluous: Microsoft Graph › User.ReadWrite.All (writes): "+registration.Allows(registration.Graph, "User.ReadWrite.All")) {
		t.Errorf("%s %q", one.Finding, one.Details)
	}
	other := s.target.Connection
	other.ID, other.Kind = "01ARZ3NDEKTSV4RRFFQ69G5FAV", connections.MigrationTarget
	s.o.Saved = savedAs(nil, other)
	if one := result(t, s.run(t, nil), "permissions"); one.Status != task.Pass || one.Details != nil {
		t.Errorf("%s %q", one.Finding, one.Details)
	}
}

func TestLegacyCredentials(t *testing.T) {
	t.Parallel()
	s := stageOf(t, connections.SharePoint, "", connections.TypeCertificate)
	s.target.Connection.LegacyAdmin = connections.LegacyAdmin{UPN: "admin@contoso.com", Password: "store:x"}
	r := s.run(t, nil)
	outcome{checks: quiet + "admin-credentials=warn", state: verified, look: "admin-credentials", says: "2026-05-01"}.hold(t, s, r)
	s.target.Connection.LegacyAdmin.Password = ""
	outcome{checks: quiet + "admin-credentials=warn", state: verified, look: "admin-credentials", says: "no password"}.hold(t, s, s.run(t, nil))
	s.target.Connection.LegacyAdmin = connections.LegacyAdmin{}
	if list := verify.TitlesOf(s.target.Connection); slices.ContainsFunc(list, func(t task.Task) bool { return t.ID == "admin-credentials" }) {
		t.Error("listed without a reason")
	}
}

// Listing all sites may take longer than any other check.
func TestListingHasMoreTime(t *testing.T) {
	t.Parallel()
	s := stageOf(t, connections.SharePoint, "", connections.TypeCertificate)
	var limit, other atomic.Int64
	s.client.Transport = deadline{s.client.Transport, "/sites/getAllSites", &limit, &other}
	s.o.Limit = time.Minute
	if r := s.run(t, nil); r.State != verified {
		t.Error(describe(r))
	}
	if l, o := time.Duration(limit.Load()), time.Duration(other.Load()); l < 9*time.Minute || o > time.Minute {
		t.Errorf("%v for the list, %v for others", l, o)
	}
}

// deadline notes how much time requests have left.
type deadline struct {
	next          http.RoundTripper
	path          string
	at, elsewhere *atomic.Int64
}

func (t deadline) RoundTrip(r *http.Request) (*http.Response, error) {
	if end, ok := r.Context().Deadline(); ok {
		if strings.Contains(r.URL.Path, t.path) {
			t.at.Store(int64(time.Until(end)))
		} else if strings.Contains(r.URL.Path, "/_api/") {
			t.elsewhere.Store(int64(time.Until(end)))
		}
	}
	return t.next.RoundTrip(r)
}

// A list that breaks off says how far it came.
func TestListBreaksOff(t *testing.T) {
	t.Parallel()
	s := stageOf(t, connections.SharePoint, "", connections.TypeCertificate, "sites=1500")
	s.client.Transport = &breaksOff{next: s.client.Transport}
	one := result(t, s.run(t, nil), "sharepoint.sites")
	if one.Status != task.Fail || !strings.HasPrefix(one.Finding, "after ") || !strings.Contains(one.Finding, " site collections: ") || one.Advice == nil {
		t.Errorf("%+v", one)
	}
}

type breaksOff struct {
	next  http.RoundTripper
	pages atomic.Int32
}

func (t *breaksOff) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, "/getAllSites") && t.pages.Add(1) > 2 {
		return &http.Response{StatusCode: http.StatusForbidden, Header: http.Header{"Content-Type": {"application/json"}}, Body: readCloser(`{"error":{"code":"accessDenied","message":"x"}}`), Request: r}, nil
	}
	return t.next.RoundTrip(r)
}

// While an application is new, SharePoint may refuse it for want of its consent.
func TestFreshSharePoint(t *testing.T) {
	t.Parallel()
	for _, fresh := range []time.Duration{0, time.Minute} {
		s := stageOf(t, connections.SharePoint, "", connections.TypeCertificate)
		s.client.Transport = &slowConsent{next: s.client.Transport}
		s.o.Fresh = fresh
		want := connections.StateFailed
		if fresh > 0 {
			want = verified
		}
		if r := s.run(t, nil); r.State != want {
			t.Errorf("fresh for %v: %s", fresh, describe(r))
		}
	}
}

// slowConsent refuses the first requests as services do that have not heard of a consent.
type slowConsent struct {
	next       http.RoundTripper
	site, list atomic.Int32
}

func (t *slowConsent) RoundTrip(r *http.Request) (*http.Response, error) {
	refuse := func(status int, body string) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}, "Sprequestguid": {"a"}}, Body: readCloser(body), Request: r}, nil
	}
	switch {
	case r.URL.Path == "/_api/web" && t.site.Add(1) < 3:
		return refuse(http.StatusUnauthorized, `{"error_description":"Unsupported security token."}`)
	case strings.HasSuffix(r.URL.Path, "/getAllSites") && t.list.Add(1) < 3:
		return refuse(http.StatusForbidden, `{"error":{"code":"accessDenied","message":"Access denied"}}`)
	}
	return t.next.RoundTrip(r)
}

// A run that is cut short judges nothing.
func TestCancelWhileListing(t *testing.T) {
	t.Parallel()
	s := stageOf(t, connections.SharePoint, sim.AppSharePointSeed, connections.TypeCertificate)
	s.target.Connection.Registration.Permissions = connections.PermissionsSeed
	s.client.Transport = hang{s.client.Transport, "/getAllSites"}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := verify.Run(ctx, s.o, s.target, func(e task.Event) {
		if e.ID == "sharepoint.sites" && e.Kind == task.Started {
			cancel()
		}
	})
	if one := result(t, r, "sharepoint.sites"); one.Status != task.Skip || one.Finding != "cancelled" || r.Class != advice.ClassCancelled {
		t.Error(describe(r))
	}
}

func TestTitlesOfKinds(t *testing.T) {
	t.Parallel()
	for kind, want := range map[connections.Kind]string{
		connections.SharePoint:      "certificate token.graph token.sharepoint permissions graph.organization graph.user sharepoint.sites sharepoint.site sharepoint.admin",
		connections.MigrationSource: "certificate token.graph token.exchange permissions graph.organization graph.user graph.mailbox-settings ews",
		connections.MigrationTarget: "certificate token.graph token.exchange permissions graph.organization graph.user graph.mailbox-settings ews public-folders mailbox-unique",
	} {
		var ids []string
		for _, one := range verify.TitlesOf(connections.Connection{Kind: kind, Location: connections.Online}) {
			ids = append(ids, one.ID)
			if one.Title == "" {
				t.Errorf("%s has no title", one.ID)
			}
		}
		if got := strings.Join(ids, " "); got != want {
			t.Error(fmt.Sprintln(kind, got))
		}
	}
}

// What was chosen is not waited for: the documented permissions never reach a site,
// however long ago they were granted.
func TestChosenRefusalsAreNotWaitedFor(t *testing.T) {
	t.Parallel()
	s := stageOf(t, connections.SharePoint, sim.AppSharePointSeed, connections.TypeCertificate)
	s.target.Connection.Registration.Permissions = connections.PermissionsSeed
	s.o.Fresh = time.Hour
	var waits []string
	r := s.run(t, func(e task.Event) {
		if e.Kind == task.Progress {
			waits = append(waits, e.Title+": "+e.Text)
		}
	})
	if r.State != verified || len(waits) > 0 {
		t.Errorf("%s%q", describe(r), waits)
	}
}
