package verify_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/sim"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/internal/transport"
	"github.com/c2conn/c2conn/internal/verify"
)

// keys are made once: RSA keys take long.
var keys = sync.OnceValue(sim.NewKeys)

// impatient is a clock that tells the time but never waits.
type impatient struct{ ahead time.Duration }

func (c impatient) Now() time.Time { return time.Now().Add(c.ahead) }

func (impatient) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// scene is a simulated tenant and a connection to it.
type scene struct {
	world  *sim.World
	client *http.Client
	target verify.Target
	o      verify.Options
}

func stage(t *testing.T, app, credential string, faults ...string) *scene {
	t.Helper()
	world, err := sim.Start(sim.Options{
		Now: time.Now, Keys: keys(), Faults: faults,
		Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = world.Close() })
	network := world.Client().Transport
	client, err := transport.New(transport.Options{Base: network, UserAgent: "c2conn/test", Clock: impatient{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	clientID, secret, leaf, key := world.ClientID, world.Secret, world.Certificate.Leaf, world.Certificate.Key
	if app != "" {
		a, ok := world.App(app)
		if !ok {
			t.Fatalf("no application %s", app)
		}
		clientID, secret, leaf, key = a.ClientID, a.Secret, a.Certificate.Leaf, a.Certificate.Key
	}
	s := &scene{world: world, client: client, o: verify.Options{HTTP: client, Clock: impatient{}}}
	s.target = verify.Target{
		Connection: connections.Connection{
			Name: "contoso-backup", Kind: connections.Exchange, Location: connections.Online, Cloud: "sim",
			Tenant: connections.Tenant{ID: world.TenantID}, Account: world.Mailbox,
			Registration: connections.Registration{Mode: connections.ModeManual, ClientID: clientID},
		},
		Cloud: cloud.Cloud{Name: "sim", Title: "Simulated", Login: world.LoginURL(), Graph: world.GraphURL(), Outlook: world.OutlookURL()},
	}
	_, s.target.Cloud.SharePointSuffix, _ = strings.Cut(world.SharePointSite(), ".")
	if credential == connections.TypeClientSecret {
		s.target.Credential = entra.Credential{Secret: connections.NewSecret(secret)}
	} else {
		s.target.Credential = entra.Credential{Identity: &certs.Identity{Certificate: leaf, Key: key}}
	}
	return s
}

// stageOf is stage for another kind of connection, with its application unless
// another is named.
func stageOf(t *testing.T, kind connections.Kind, app, credential string, faults ...string) *scene {
	t.Helper()
	if app == "" {
		app = map[connections.Kind]string{connections.SharePoint: sim.AppSharePoint, connections.MigrationSource: sim.AppMigrationSource, connections.MigrationTarget: sim.AppMigrationTarget}[kind]
	}
	s := stage(t, app, credential, faults...)
	c := &s.target.Connection
	c.Kind = kind
	if kind == connections.SharePoint {
		c.Account = ""
		c.Endpoints = connections.Endpoints{SharePoint: s.world.SharePointSite(), Admin: s.world.SharePointAdmin()}
	}
	return s
}

func (s *scene) run(t *testing.T, listen func(task.Event)) verify.Report {
	t.Helper()
	return verify.Run(t.Context(), s.o, s.target, listen)
}

func result(t *testing.T, r verify.Report, id string) task.Result {
	t.Helper()
	for _, one := range r.Results {
		if one.ID == id {
			return one
		}
	}
	t.Fatalf("no result %s in %v", id, r.Checks())
	return task.Result{}
}

func describe(r verify.Report) string {
	var b strings.Builder
	fmt.Fprintf(&b, "state %s, class %d\n", r.State, r.Class)
	for _, one := range r.Results {
		fmt.Fprintf(&b, "  %-24s %-5s %s (%v)\n", one.ID, one.Status, one.Finding, one.Err)
	}
	return b.String()
}

func TestAllIsWell(t *testing.T) {
	t.Parallel()
	for _, credential := range []string{connections.TypeCertificate, connections.TypeClientSecret} {
		t.Run(credential, func(t *testing.T) {
			t.Parallel()
			s := stage(t, "", credential)
			r := s.run(t, nil)
			if r.State != connections.StateVerified || r.Class != advice.ClassNone || r.Err != nil {
				t.Fatal(describe(r))
			}
			want := map[string]string{
				"certificate": "pass", "token.graph": "pass", "token.exchange": "pass", "permissions": "pass",
				"graph.organization": "pass", "graph.user": "pass", "graph.groups": "pass", "graph.mailbox-settings": "pass", "ews": "pass",
			}
			how := "certificate"
			if credential == connections.TypeClientSecret {
				want["certificate"], how = "skip", "client secret"
			}
			if !maps.Equal(r.Checks(), want) {
				t.Error(describe(r))
			}
			for id, finding := range map[string]string{
				"token.graph": "4 roles, " + how, "token.exchange": "1 role, " + how, "permissions": "5 of 5, none superfluous",
				"ews": "inbox opened, Exchange 15.20.", "graph.organization": "Contoso (simulated), contoso.com",
			} {
				if got := result(t, r, id).Finding; !strings.Contains(got, finding) {
					t.Errorf("%s: %q, want %q", id, got, finding)
				}
			}
			f := r.Found
			if f.Tenant.ID != s.world.TenantID || f.Tenant.Name == "" || f.Tenant.Domain == "" || f.ObjectID == "" {
				t.Errorf("found %+v", f)
			}
			known := connections.Tenant{ID: "x", Domain: "y", Name: "z"}
			if got := f.Tenant.Or(known); got.Name != f.Tenant.Name || (verify.Tenant{}).Or(known) != known {
				t.Errorf("tenant %+v", got)
			}
			at := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
			if v := r.Verification(at); v.State != connections.StateVerified || !v.At.Equal(at) || len(v.Checks) != 9 {
				t.Errorf("verification %+v", v)
			}
		})
	}
}

// A tenant given by its domain is the same tenant.
func TestTenantByDomain(t *testing.T) {
	t.Parallel()
	s := stage(t, "", connections.TypeCertificate)
	s.target.Connection.Tenant = connections.Tenant{Domain: s.world.TenantDomain}
	if r := s.run(t, nil); r.State != connections.StateVerified || r.Found.Tenant.ID != s.world.TenantID {
		t.Error(describe(r))
	}
}

func TestTitlesMatchResults(t *testing.T) {
	t.Parallel()
	s := stage(t, "", connections.TypeCertificate)
	r := s.run(t, nil)
	titles := verify.TitlesOf(s.target.Connection)
	if len(titles) != len(r.Results) || len(titles) != 9 {
		t.Fatalf("%d titles, %d results", len(titles), len(r.Results))
	}
	for i := range titles {
		if titles[i].ID != r.Results[i].ID || titles[i].Title != r.Results[i].Title || titles[i].Run != nil {
			t.Errorf("%d: %+v", i, titles[i])
		}
	}
}

func TestLaterKinds(t *testing.T) {
	t.Parallel()
	for _, c := range []connections.Connection{
		{Kind: connections.MigrationTarget, Location: connections.OnPremises},
		{Kind: connections.MigrationSource, Location: connections.OnPremises},
	} {
		r := verify.Run(t.Context(), verify.Options{}, verify.Target{Connection: c}, nil)
		if r.Err == nil || r.Class != advice.ClassUsage || r.State != connections.StateUnverified || r.Checks() != nil || verify.TitlesOf(c) != nil {
			t.Errorf("%s %s: %+v", c.Kind, c.Location, r)
		}
	}
}

// A new registration: refused first, then without roles, and well at last.
func TestReplicationDelay(t *testing.T) {
	t.Parallel()
	s := stage(t, "", connections.TypeCertificate, "replication-delay")
	var classes []advice.Class
	for range 6 {
		r := s.run(t, nil)
		classes = append(classes, r.Class)
		if r.Class == advice.ClassNone {
			break
		}
	}
	if want := []advice.Class{3, 3, 4, 0}; !slices.Equal(classes, want) {
		t.Errorf("classes %v, want %v", classes, want)
	}
}

func TestClockSkew(t *testing.T) {
	t.Parallel()
	s := stage(t, "", connections.TypeCertificate, "clock-skew=20m")
	r := s.run(t, nil)
	one := result(t, r, "token.graph")
	if one.Status != task.Fail || one.Advice == nil || !strings.Contains(one.Advice.What, "20 minutes slow") {
		t.Errorf("%s\n%+v", describe(r), one.Advice)
	}
}

// Nothing that a server says reaches the screen with escapes in it.
func TestHostileText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind   connections.Kind
		faults []string
	}{
		{connections.Exchange, []string{"hostile-text"}}, {connections.Exchange, []string{"hostile-text", "graph-denied"}},
		{connections.Exchange, []string{"hostile-text", "ews-fault=ErrorAccessDenied"}}, {connections.Exchange, []string{"hostile-text", "wrong-thumbprint"}},
		{connections.SharePoint, []string{"hostile-text"}}, {connections.SharePoint, []string{"hostile-text", "sharepoint-denied"}},
		{connections.MigrationTarget, []string{"hostile-text", "public-folders-not-owner"}},
	} {
		t.Run(string(c.kind)+" "+strings.Join(c.faults, " "), func(t *testing.T) {
			t.Parallel()
			s := stageOf(t, c.kind, "", connections.TypeCertificate, c.faults...)
			r := s.run(t, func(e task.Event) {
				if strings.ContainsRune(e.Text, '\x1b') {
					t.Errorf("event %q", e.Text)
				}
			})
			for _, one := range r.Results {
				all := append([]string{one.Finding}, one.Details...)
				if a := one.Advice; a != nil {
					all = append(all, a.What, a.Why, a.TraceID, a.CorrelationID, strings.Join(a.Next, "\t"), strings.Join(a.Codes, "\t"))
				}
				for _, s := range all {
					if strings.ContainsAny(strings.ReplaceAll(s, "\t", ""), "\x1b\n\r\u202e\u2066\u200b\u009b") {
						t.Errorf("%s: %q", one.ID, s)
					}
				}
			}
			for _, s := range []string{r.Found.Tenant.Name, r.Found.Tenant.Domain} {
				if strings.ContainsAny(s, "\x1b\n\u202e") {
					t.Errorf("found %q", s)
				}
			}
		})
	}
}

// The right to use EWS may come from RBAC for Applications, which no token shows.
func TestEWSWorksWithoutTheRole(t *testing.T) {
	t.Parallel()
	s := stage(t, "", connections.TypeCertificate, "missing-role=full_access_as_app")
	s.client.Transport = openEWS{s.client.Transport}
	r := s.run(t, nil)
	one := result(t, r, "permissions")
	if r.State != verified || one.Status != task.Warn || one.Advice == nil || !strings.Contains(one.Advice.Why, "RBAC") {
		t.Error(describe(r))
	}
}

// openEWS answers EWS itself, as Exchange would under RBAC for Applications.
type openEWS struct{ next http.RoundTripper }

func (o openEWS) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.URL.Path, "/EWS/Exchange.asmx") {
		return o.next.RoundTrip(r)
	}
	const body = `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><m:GetFolderResponse xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages" xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types"><m:ResponseMessages><m:GetFolderResponseMessage ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode><m:Folders><t:Folder><t:FolderId Id="AAA=" ChangeKey="B"/></t:Folder></m:Folders></m:GetFolderResponseMessage></m:ResponseMessages></m:GetFolderResponse></s:Body></s:Envelope>`
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/xml; charset=utf-8"}}, Body: readCloser(body), Request: r}, nil
}

func TestAnotherTenantAnswers(t *testing.T) {
	t.Parallel()
	s := stage(t, "", connections.TypeCertificate)
	s.client.Transport = rewrite{s.client.Transport, "/organization", s.world.TenantID, "99999999-2222-4333-8444-555555555555"}
	r := s.run(t, nil)
	one := result(t, r, "graph.organization")
	if one.Status != task.Fail || !strings.Contains(one.Advice.What, "another tenant") || r.Class != advice.ClassCheck {
		t.Error(describe(r))
	}
}

func TestNoSuchAccount(t *testing.T) {
	t.Parallel()
	s := stage(t, "", connections.TypeCertificate)
	s.target.Connection.Account = "nobody@contoso.com"
	r := s.run(t, nil)
	if a := result(t, r, "graph.user").Advice; a == nil || !strings.Contains(a.What, "has no user nobody@contoso.com") {
		t.Error(describe(r))
	}
	if result(t, r, "graph.user").Status != task.Fail || result(t, r, "graph.mailbox-settings").Status != task.Fail || result(t, r, "ews").Status != task.Fail {
		t.Error(describe(r))
	}
	if result(t, r, "graph.groups").Status != task.Pass || result(t, r, "permissions").Status != task.Pass {
		t.Error(describe(r))
	}
}

func TestEachCheckHasItsOwnLimit(t *testing.T) {
	t.Parallel()
	s := stage(t, "", connections.TypeCertificate)
	s.client.Transport = hang{s.client.Transport, "/EWS/"}
	s.o.Limit = 3 * time.Second
	r := s.run(t, nil)
	one := result(t, r, "ews")
	if one.Status != task.Fail || one.Finding != "no answer within 3 s" || one.Advice == nil || r.Class != advice.ClassCheck {
		t.Error(describe(r))
	}
	if result(t, r, "graph.user").Status != task.Pass {
		t.Error(describe(r))
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	s := stage(t, "", connections.TypeCertificate)
	s.client.Transport = hang{s.client.Transport, "/EWS/"}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := verify.Run(ctx, s.o, s.target, func(e task.Event) {
		if e.ID == "ews" && e.Kind == task.Started {
			cancel()
		}
	})
	if one := result(t, r, "ews"); one.Status != task.Skip || one.Finding != "cancelled" {
		t.Error(describe(r))
	}
	if r.Class != advice.ClassCancelled || r.State != connections.StateUnverified {
		t.Error(describe(r))
	}
}

// The checks run side by side: both tokens before any answer, then all services.
func TestChecksRunSideBySide(t *testing.T) {
	t.Parallel()
	s := stage(t, "", connections.TypeCertificate)
	meet := &meeting{next: s.client.Transport, want: 5, paths: []string{"/organization", "/users/", "/groups", "/EWS/"}, all: make(chan struct{})}
	s.client.Transport = meet
	if r := s.run(t, nil); r.State != verified {
		t.Error(describe(r))
	}
}

func TestWithoutClient(t *testing.T) {
	t.Parallel()
	s := stage(t, "", connections.TypeCertificate)
	s.target.Connection.Registration.ClientID = "not a guid"
	r := s.run(t, nil)
	if r.State != failed || result(t, r, "token.graph").Status != task.Fail || result(t, r, "ews").Status != task.Skip {
		t.Error(describe(r))
	}
}

func TestCertificateByTheClock(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		ahead   time.Duration
		status  task.Status
		finding string
	}{
		{0, task.Pass, "2048 bits, "},
		{-48 * time.Hour, task.Fail, "not valid before "},
		{710 * 24 * time.Hour, task.Warn, "2048 bits, expires in "},
		{800 * 24 * time.Hour, task.Fail, "expired on "},
	} {
		s := stage(t, "", connections.TypeCertificate)
		s.o.Clock = impatient{ahead: c.ahead}
		ctx, cancel := context.WithCancel(t.Context())
		r := verify.Run(ctx, s.o, s.target, func(e task.Event) {
			if e.ID == "certificate" && e.Kind == task.Finished {
				cancel() // the rest is of no interest
			}
		})
		cancel()
		if one := result(t, r, "certificate"); one.Status != c.status || !strings.HasPrefix(one.Finding, c.finding) {
			t.Errorf("%v ahead: %s %s", c.ahead, one.Status, one.Finding)
		}
	}
}

func TestUnusableCertificates(t *testing.T) {
	t.Parallel()
	s := stage(t, "", connections.TypeCertificate)
	for name, leaf := range map[string]*x509.Certificate{"none": nil, "elliptic": ellipticCertificate(t), "small": smallCertificate(t)} {
		s.target.Credential.Identity = &certs.Identity{Certificate: leaf, Key: s.world.Certificate.Key}
		one := result(t, s.run(t, nil), "certificate")
		if one.Status != task.Fail || one.Advice == nil {
			t.Errorf("%s: %s %s", name, one.Status, one.Finding)
		}
	}
}
