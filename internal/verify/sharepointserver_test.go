package verify_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/sim/onprem"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/internal/verify"
)

// hasty is a clock on which nobody waits.
type hasty struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *hasty) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *hasty) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
	return ctx.Err()
}

// farm is a simulated company network, and a connection to its SharePoint.
type farm struct {
	world    *onprem.World
	clock    *hasty
	conn     connections.Connection
	password string
	env      map[string]string
	limit    time.Duration
	answer   time.Duration // limit of one answer

	portAlone bool // of Central Administration; that its scheme is the sites' nobody has said
}

func newFarm(t *testing.T, o onprem.Options) *farm {
	t.Helper()
	f := &farm{clock: &hasty{}, env: map[string]string{}, password: onprem.FarmAdminPassword, limit: 20 * time.Second}
	o.Now, o.Sleep = f.clock.Now, f.clock.Sleep
	var err error
	if f.world, err = onprem.Start(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.world.Close() })
	for _, pair := range f.world.Env() {
		name, value, _ := strings.Cut(pair, "=")
		f.env[name] = value
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, f.world.Authority(), 0o600); err != nil {
		t.Fatal(err)
	}
	f.env["SSL_CERT_FILE"] = ca
	f.conn = connections.Connection{
		Kind: connections.SharePoint, Location: connections.OnPremises, Name: "farm", Account: onprem.FarmAdmin,
		Credential: connections.Credential{Type: connections.TypePassword, PlainNTLM: true},
		Endpoints:  connections.Endpoints{SharePoint: "https://" + onprem.SharePoint, Admin: fmt.Sprintf("http://%s:%d", onprem.SharePoint, onprem.CentralAdminPort)},
	}
	return f
}

func (f *farm) server(t *testing.T) *verify.Server {
	t.Helper()
	s, err := verify.NewServer(f.conn, verify.ServerOptions{
		Getenv: func(name string) string { return f.env[name] }, ReadFile: os.ReadFile, Clock: f.clock, Password: connections.NewSecret([]byte(f.password)), Answer: f.answer,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.PlainCentral = f.portAlone
	return s
}

func (f *farm) verify(t *testing.T) verify.Report {
	t.Helper()
	return verify.Run(t.Context(), verify.Options{Clock: f.clock, Limit: f.limit}, verify.Target{Connection: f.conn, Server: f.server(t)}, nil)
}

// said is what a report says of a check, in one text.
func said(t *testing.T, r verify.Report, id string) (task.Status, string) {
	t.Helper()
	for _, one := range r.Results {
		if one.ID != id {
			continue
		}
		text := one.Finding + "\n" + strings.Join(one.Details, "\n")
		if a := one.Advice; a != nil {
			text += "\n" + a.What + "\n" + a.Why + "\n" + strings.Join(a.Next, "\n")
		}
		if n := len([]rune(one.Finding)); n > 60 {
			t.Errorf("%s: %d characters: %s", id, n, one.Finding)
		}
		return one.Status, text
	}
	t.Fatalf("no check %s in %+v", id, r.Results)
	return "", ""
}

// want is what a check has to say.
type want struct {
	status task.Status
	says   []string
}

// farmCase is a farm in some state, and what is found there.
type farmCase struct {
	name                 string
	options              onprem.Options
	change               func(*farm)
	sites, site, central want
	class                advice.Class
	failed               int // sign-ins; -1 where that is another test's matter
	after                func(*testing.T, *farm, verify.Report)
}

func farmCases() []farmCase {
	good := func(says ...string) want { return want{task.Pass, says} }
	bad := func(says ...string) want { return want{task.Fail, says} }
	faults := func(list ...string) onprem.Options { return onprem.Options{Faults: list} }
	listed, opened, central := good("12 by SiteData"), good("opened “Contoso Intranet”, SharePoint Subscription Edition", "SharePoint Server Subscription Edition, build 16.0."), good("opened, port 34567 over http")
	denied := bad("no right")
	portAlone := func(f *farm) {
		f.conn.Endpoints.Admin, f.portAlone = "https://sharepoint.corp.test:34567", true
	}
	return []farmCase{
		{name: "well", sites: listed, site: good("opened “", "Signed in to sharepoint.corp.test:443 with NTLM", "is an administrator of the site collection"), central: good("opened, port 34567 over http", "Signed in to sharepoint.corp.test:34567 with NTLM, over http"),
			after: func(t *testing.T, f *farm, r verify.Report) {
				if e := r.Found.Endpoints(f.conn.Endpoints); e.Server != onprem.SharePoint || e.Admin != f.conn.Endpoints.Admin {
					t.Errorf("endpoints %+v", e)
				}
			}},
		{name: "Kerberos", options: faults("sp-kerberos", "ca-kerberos"), change: func(f *farm) { f.conn.Credential.PlainNTLM = false }, sites: listed, site: good("with Kerberos"), central: good("with Kerberos, over http")},
		{name: "NTLM over http is not allowed", change: func(f *farm) { f.conn.Credential.PlainNTLM = false },
			sites: listed, site: opened, central: bad("NTLM over http is not allowed", "--allow-plain-ntlm", "Set-SPCentralAdministration -Port 34567"), class: advice.ClassAuth},
		{name: "everything over http", options: faults("sp-http"), change: func(f *farm) { f.conn.Endpoints.SharePoint = "http://" + onprem.SharePoint },
			sites: listed, site: good("with NTLM, over http"), central: central},
		{name: "everything over http, not allowed", options: faults("sp-http"), change: func(f *farm) {
			f.conn.Endpoints.SharePoint, f.conn.Credential.PlainNTLM = "http://"+onprem.SharePoint, false
		}, sites: bad("NTLM over http is not allowed"), site: bad("NTLM over http is not allowed"), central: bad("NTLM over http is not allowed"), class: advice.ClassAuth},
		{name: "https instead of http", options: faults("ca-https"), sites: listed, site: opened, central: good("opened, port 34567 over https, not http", "from now on"),
			after: func(t *testing.T, f *farm, r verify.Report) {
				if e := r.Found.Endpoints(f.conn.Endpoints); !strings.HasPrefix(e.Admin, "https://sharepoint.corp.test:34567") {
					t.Errorf("endpoints %+v", e)
				}
			}},
		{name: "http instead of https", change: func(f *farm) { f.conn.Endpoints.Admin = "https://sharepoint.corp.test:34567" },
			sites: listed, site: opened, central: bad("it speaks http, not https", "Set-SPCentralAdministration -Port 34567", "--central-admin-url http://sharepoint.corp.test:34567"), class: advice.ClassAuth},
		{name: "wrong port", change: func(f *farm) { f.conn.Endpoints.Admin = "http://sharepoint.corp.test:34568" }, sites: listed, site: opened,
			central: bad("nothing listens on this port", "Get-SPWebApplication -IncludeCentralAdministration", "--central-admin-port PORT"), class: advice.ClassCheck},
		{name: "not Central Administration", options: faults("ca-not-central"), sites: listed, site: opened, central: bad("another web application, not Central Administration", "Get-SPWebApplication -IncludeCentralAdministration"), class: advice.ClassCheck},
		{name: "Central Administration given as the site", change: func(f *farm) { f.conn.Endpoints.SharePoint = f.conn.Endpoints.Admin },
			sites: want{status: task.Pass}, site: bad("this is Central Administration, not a site", "Get-SPWebApplication | Format-Table DisplayName,Url"), central: central, class: advice.ClassCheck},
		{name: "wrong password", options: onprem.Options{Lockout: 2}, change: func(f *farm) { f.password = "not it" },
			sites: bad("the password is wrong"), site: bad("the password is wrong"), central: bad("the password is wrong"), class: advice.ClassAuth, failed: 1},
		{name: "unknown account", change: func(f *farm) { f.conn.Account = "nobody@corp.test" },
			sites: bad("does not know the account"), site: bad("does not know the account"), central: bad("does not know the account"), class: advice.ClassAuth, failed: 2}, // of the two forms of a name, neither is known
		{name: "a reader", change: func(f *farm) { f.conn.Account, f.password = onprem.Reader, onprem.ReaderPassword },
			sites: want{task.Warn, []string{"by search, no right to list all", "Not by SiteData", "site collections may be missing", "Full Read"}}, site: good("opened", "is no administrator of the site collection"), central: bad("no right to open Central Administration", "Farm Administrators"), class: advice.ClassCheck},
		{name: "no right to Central Administration, 403", options: faults("ca-denied"), sites: listed, site: opened, central: bad("no right to open Central Administration", "Farm Administrators"), class: advice.ClassCheck},
		{name: "no right to Central Administration, 401", options: faults("ca-401"), sites: listed, site: opened, central: bad("no right to open Central Administration", "Farm Administrators", "The password is right"), class: advice.ClassCheck},
		{name: "no right to Central Administration, 401, its port alone given", options: faults("ca-401"), change: portAlone,
			sites: listed, site: opened, central: bad("no right to open Central Administration", "-Web 'http://sharepoint.corp.test:34567'"), class: advice.ClassCheck},
		{name: "no right to Central Administration, 403, its port alone given", options: faults("ca-denied"), change: portAlone,
			sites: listed, site: opened, central: bad("no right to open Central Administration", "-Web 'http://sharepoint.corp.test:34567'"), class: advice.ClassCheck},
		{name: "no right to Central Administration, 401, Kerberos", options: faults("ca-401", "ca-kerberos"), sites: listed, site: opened, central: bad("no right to open Central Administration", "The password is right"), class: advice.ClassCheck},
		{name: "no right, 403", options: faults("sp-403"), sites: denied, site: bad("no right to open the site", "GetSpecialRole('FullRead')", "-SiteCollectionAdmin"), central: central, class: advice.ClassCheck},
		{name: "no right, 401", options: faults("sp-401"), sites: denied, site: bad("no right to open the site", "The password is right"), central: central, class: advice.ClassCheck},
		{name: "SiteData refuses", options: faults("sp-sitedata-denied"), sites: want{task.Warn, []string{"12 by search, no right to list all", "Not by SiteData: no right to list"}}, site: opened, central: central},
		{name: "no SiteData", options: faults("sp-no-sitedata"), sites: good("12 by search", "Not by SiteData: it is not there (404)"), site: opened, central: central},
		{name: "no SiteData, no search", options: faults("sp-no-sitedata", "sp-no-search"), sites: bad("neither by SiteData nor by search"), site: opened, central: central, class: advice.ClassCheck},
		{name: "nothing is indexed", options: faults("sp-no-sitedata", "sp-search-empty"), sites: bad("no site collection is listed", "SiteData.asmx"), site: opened, central: central, class: advice.ClassCheck},
		{name: "no site collection", options: faults("sp-no-sites"), sites: bad("no site collection is listed"), site: bad("no site collection at this address"), central: central, class: advice.ClassCheck},
		{name: "anonymous access", options: faults("sp-anonymous"), sites: listed, site: opened, central: central},
		{name: "wrong password, anonymous access", options: faults("sp-anonymous", "no-kdc"), change: func(f *farm) { f.password = "not it" },
			sites: bad("wrong password, or no right"), site: want{task.Pass, []string{"opened", "did not tell who the account is"}}, central: bad("wrong password, or no right"), class: advice.ClassAuth, failed: 1},
		{name: "none at the root", options: faults("sp-no-root"), sites: good("by SiteData"), site: good("opened “", "There is no site collection at https://sharepoint.corp.test; this is one that the list has."), central: central},
		{name: "a typing error in the path", change: func(f *farm) { f.conn.Endpoints.SharePoint += "/sites/hrr" }, sites: good("12 by SiteData"),
			site: bad("no site collection at this address", "no site collection at https://sharepoint.corp.test/sites/hrr", "Get-SPSite"), central: central, class: advice.ClassCheck},
		{name: "none but another company's", options: onprem.Options{Faults: []string{"sp-no-root", "sp-foreign"}, SiteCollections: 1}, sites: good("2 by SiteData"), site: bad("no site collection at this address", "There is no site collection at https://sharepoint.corp.test."), central: central, class: advice.ClassCheck},
		{name: "a database is broken", options: faults("sp-database-broken"), sites: want{task.Warn, []string{"by SiteData, not all could be read", "Get-SPContentDatabase"}}, site: opened, central: central},
		{name: "host-named", options: faults("sp-host-named"), sites: good("15 by SiteData", "3 site collections on other hosts"), site: opened, central: central},
		{name: "alternate access mapping", options: faults("sp-aam", "sp-no-root"), sites: good("by SiteData", "All have the host portal.contoso.example", "alternate access mapping"), site: good("opened “"), central: central,
			after: func(t *testing.T, f *farm, _ verify.Report) {
				for _, r := range f.world.Requests("") {
					if !strings.HasPrefix(r.URL, "https://sharepoint.corp.test/") && !strings.Contains(r.URL, "sharepoint.corp.test:34567") {
						t.Errorf("asked: %s", r.URL)
					}
				}
			}},
		{name: "another name, by search", options: faults("sp-aam", "sp-no-sitedata"), sites: good("by search", "site collections on other hosts, which are not opened: portal.contoso.example (12)"), site: good("opened “"), central: central,
			after: func(t *testing.T, _ *farm, r verify.Report) {
				if _, text := said(t, r, "sites"); strings.Contains(text, "alternate access mapping") {
					t.Error(text)
				}
			}},
		{name: "another company's", options: faults("sp-foreign"), sites: good("sharepoint.fabrikam.example (2)"), site: opened, central: central},
		{name: "forms beside Windows", options: faults("sp-forms"), sites: listed, site: opened, central: central},
		{name: "a federation server", options: faults("sp-saml-only"), sites: bad("a sign-in page answered"), site: bad("a sign-in page answered", "Authentication Providers"), central: central, class: advice.ClassCheck},
		{name: "redirected to http", options: faults("sp-redirect-http"), sites: bad("leads to another address"), site: bad("leads to another address"), central: central, class: advice.ClassCheck},
		{name: "not SharePoint", options: faults("sp-not-sharepoint"), sites: bad("it is not SharePoint that answers"), site: bad("it is not SharePoint that answers"), central: central, class: advice.ClassCheck},
		{name: "self-signed", options: faults("sp-self-signed"), sites: bad("the certificate is not trusted"), site: bad("the certificate is not trusted", "Get-ChildItem Cert:"), central: central, class: advice.ClassAuth},
		{name: "busy for a moment", options: faults("sp-busy=2"), sites: listed, site: opened, central: central},
		{name: "an error of ASP.NET", options: faults("sp-500"), sites: bad("cannot answer at the moment (500)"), site: bad("cannot answer at the moment (500)"), central: central, class: advice.ClassCheck},
		{name: "garbage", options: faults("sp-garbage"), sites: bad(), site: bad(), central: central, class: advice.ClassCheck},
		{name: "hostile", options: faults("sp-hostile"), sites: want{task.Warn, []string{"by SiteData, not all could be read", "Of the list 2 could not be used"}}, site: good("opened"), central: central},
		{name: "SharePoint 2013 before its service pack", options: faults("sp-verbose-only"), sites: listed, site: want{task.Warn, []string{"SharePoint Server 2013, out of support since 2023-04-11"}}, central: central},
		{name: "SharePoint 2016", options: onprem.Options{SharePointVersion: "2016"}, sites: listed, site: want{task.Warn, []string{"SharePoint Server 2016, out of support since 2026-07-14", "Subscription Edition"}}, central: central},
		{name: "wrong password, and no domain controller", options: onprem.Options{Faults: []string{"no-kdc"}, Lockout: 2}, change: func(f *farm) { f.password = "not it" },
			sites: bad("refused: wrong password, or no right"), site: bad("refused: wrong password, or no right", "port 88"), central: bad("refused: wrong password, or no right", "sharepoint.corp.test:443 refused", "Central Administration was not asked", "$web = Get-SPWebApplication 'https://sharepoint.corp.test'"), class: advice.ClassAuth, failed: 1},
		{name: "no right, and no domain controller", options: faults("no-kdc", "ca-401"), sites: listed, site: opened, central: bad("no right to open Central Administration", "Farm Administrators"), class: advice.ClassCheck},
		{name: "no domain controller", options: faults("no-kdc"), sites: listed, site: opened, central: central},
		{name: "a silent domain controller", options: faults("kdc-silent"), sites: listed, site: opened, central: central},
		{name: "locked out", options: faults("account-locked=spadmin"), sites: bad("locked"), site: bad("locked"), central: bad("locked"), class: advice.ClassAuth, failed: -1},
		{name: "disabled", options: faults("account-disabled=spadmin"), sites: bad("the account is disabled"), site: bad("disabled"), central: bad("disabled"), class: advice.ClassAuth, failed: -1},
		{name: "the clock", options: faults("clock-skew", "sp-kerberos"), sites: listed, site: good("opened", "Not with Kerberos: the clock"), central: central, failed: -1},
		{name: "the service principal name is another account's", options: faults("sp-kerberos-wrong-account"), sites: listed, site: good("Not with Kerberos: "), central: central},
		{name: "the same over http", options: faults("sp-http", "sp-kerberos-wrong-account"), change: func(f *farm) {
			f.conn.Endpoints.SharePoint, f.conn.Credential.PlainNTLM = "http://"+onprem.SharePoint, false
		}, sites: bad("setspn"), site: bad("setspn"), central: bad("NTLM over http is not allowed"), class: advice.ClassAuth, failed: -1},
		{name: "a channel binding is demanded", options: faults("sp-ep-require"), sites: listed, site: opened, central: central},
		{name: "no password over http", options: faults("sp-http", "sp-basic"), change: func(f *farm) {
			f.conn.Endpoints.SharePoint, f.conn.Credential.PlainNTLM = "http://"+onprem.SharePoint, false
		}, sites: bad("NTLM over http"), site: bad("NTLM over http"), central: bad("NTLM over http"), class: advice.ClassAuth},
		{name: "search that never ends", options: onprem.Options{Faults: []string{"sp-no-sitedata", "sp-search-stuck"}, SiteCollections: 1200}, sites: want{task.Warn, []string{"by search, not all could be read"}}, site: opened, central: central},
		{name: "huge", options: faults("sp-huge"), sites: bad("larger"), site: bad("larger"), central: central, class: advice.ClassCheck},
		{name: "deep", options: faults("sp-deep"), sites: bad(), site: bad(), central: central, class: advice.ClassCheck},
		{name: "a bomb", options: faults("sp-bomb"), sites: bad(), site: bad(), central: central, class: advice.ClassCheck},
		{name: "Central Administration with a self-signed certificate", options: faults("ca-self-signed"), change: func(f *farm) { f.conn.Endpoints.Admin = "https://sharepoint.corp.test:34567" },
			sites: listed, site: opened, central: bad("the certificate is not trusted"), class: advice.ClassAuth},
		{name: "no web service at the root", options: faults("sp-no-root-services"), sites: good("by SiteData"), site: good("opened “"), central: central, change: func(f *farm) { f.conn.Endpoints.SharePoint += "/sites/hr" }},
		{name: "a name that is not there", change: func(f *farm) {
			f.conn.Endpoints.SharePoint, f.conn.Endpoints.Admin = "https://nowhere.corp.test", "http://nowhere.corp.test:34567"
		}, sites: bad("the server's name cannot be resolved"), site: bad("the server's name cannot be resolved"), central: bad("the server's name cannot be resolved"), class: advice.ClassCheck},
		{name: "20,000", options: onprem.Options{SiteCollections: 20000}, sites: good("20,000 by SiteData"), site: opened, central: central},
	}
}

// TestFarms: what is found in farms of every state, each part on its own, and at the cost
// of one failed sign-in at the most.
func TestFarms(t *testing.T) {
	t.Parallel()
	for _, c := range farmCases() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newFarm(t, c.options)
			if c.change != nil {
				c.change(f)
			}
			r := f.verify(t)
			for id, w := range map[string]want{"sites": c.sites, "site": c.site, "central-administration": c.central} {
				status, text := said(t, r, id)
				if status != w.status {
					t.Errorf("%s: %s, want %s: %s", id, status, w.status, text)
				}
				for _, part := range w.says {
					if !strings.Contains(text, part) {
						t.Errorf("%s does not say %q: %s", id, part, text)
					}
				}
				if strings.ContainsAny(text, "\x1b\u202e") || strings.Contains(text, f.password) {
					t.Errorf("%s: %q", id, text)
				}
			}
			if r.Class != c.class {
				t.Errorf("class %d, want %d", r.Class, c.class)
			}
			if verified := r.State == connections.StateVerified; verified != (c.class == advice.ClassNone) {
				t.Errorf("state %s", r.State)
			}
			if n := f.world.FailedSignIns(); n != c.failed && c.failed >= 0 {
				t.Errorf("%d failed sign-ins, want %d", n, c.failed)
			}
			if c.after != nil {
				c.after(t, f, r)
			}
		})
	}
}

// Connections of one account share what is known of its password.
func TestFarmsShareAnAccount(t *testing.T) {
	t.Parallel()
	f := newFarm(t, onprem.Options{Lockout: 2})
	f.password = "not it"
	var accounts verify.Accounts
	for range 3 {
		server := accounts.Share(f.server(t))
		r := verify.Run(t.Context(), verify.Options{Clock: f.clock}, verify.Target{Connection: f.conn, Server: server}, nil)
		if r.Class != advice.ClassAuth {
			t.Errorf("class %d", r.Class)
		}
	}
	if n := f.world.FailedSignIns(); n != 1 {
		t.Errorf("%d failed sign-ins", n)
	}
}

// Whether NTLM may go over http is a matter of the connection, not of the account.
func TestPlainNTLMIsNotShared(t *testing.T) {
	t.Parallel()
	f := newFarm(t, onprem.Options{})
	var accounts verify.Accounts
	for _, allowed := range []bool{true, false} {
		f.conn.Credential.PlainNTLM = allowed
		r := verify.Run(t.Context(), verify.Options{Clock: f.clock}, verify.Target{Connection: f.conn, Server: accounts.Share(f.server(t))}, nil)
		if status, text := said(t, r, "central-administration"); (status == task.Pass) != allowed {
			t.Errorf("allowed %v: %s %s", allowed, status, text)
		}
	}
}

// A list that goes on says how far it is, and Ctrl-C ends everything.
func TestFarmProgressAndCancel(t *testing.T) {
	t.Parallel()
	f := newFarm(t, onprem.Options{SiteCollections: 3000})
	var told []string
	verify.Run(t.Context(), verify.Options{Clock: f.clock}, verify.Target{Connection: f.conn, Server: f.server(t)}, func(e task.Event) {
		if e.Kind == task.Progress && e.ID == "sites" {
			told = append(told, e.Text)
		}
	})
	if text := strings.Join(told, "|"); !strings.Contains(text, "found so far") {
		t.Errorf("progress %q", text)
	}
	ctx, stop := context.WithCancel(t.Context())
	if err := f.world.SetFault("ca-silent"); err != nil {
		t.Fatal(err)
	}
	r := verify.Run(ctx, verify.Options{Clock: f.clock}, verify.Target{Connection: f.conn, Server: f.server(t)}, func(e task.Event) {
		if e.Kind == task.Finished && e.ID == "sites" {
			stop()
		}
	})
	stop()
	if r.Class != advice.ClassCancelled || r.State != connections.StateUnverified {
		t.Errorf("class %d, state %s", r.Class, r.State)
	}
}

// A port that swallows everything is told as that, and with the time that a check has.
func TestSilentCentralAdministration(t *testing.T) {
	t.Parallel()
	f := newFarm(t, onprem.Options{})
	var accounts verify.Accounts // the password is proven before, so that the port alone takes the time
	run := func(limit time.Duration) verify.Report {
		return verify.Run(t.Context(), verify.Options{Clock: f.clock, Limit: limit}, verify.Target{Connection: f.conn, Server: accounts.Share(f.server(t))}, nil)
	}
	run(f.limit)
	if err := f.world.SetFault("ca-silent"); err != nil {
		t.Fatal(err)
	}
	r := run(100 * time.Millisecond)
	status, text := said(t, r, "central-administration")
	if status != task.Fail || !strings.HasPrefix(text, "no answer within 0.1 s") || !strings.Contains(text, "firewall") || !strings.Contains(text, "Get-SPWebApplication -IncludeCentralAdministration") {
		t.Errorf("%s: %s", status, text)
	}
	if r.Class != advice.ClassCheck {
		t.Errorf("class %d", r.Class)
	}
}

// The checks are named before anything is asked, and without a server nothing is.
func TestFarmTitles(t *testing.T) {
	t.Parallel()
	var ids []string
	c := connections.Connection{Kind: connections.SharePoint, Location: connections.OnPremises}
	for _, one := range verify.TitlesOf(c) {
		ids = append(ids, one.ID+" "+one.Title)
	}
	if got := strings.Join(ids, "|"); got != "sites Site collections|site Site|central-administration Central Administration" {
		t.Error(got)
	}
	if r := verify.Run(t.Context(), verify.Options{}, verify.Target{Connection: c}, nil); r.Err == nil {
		t.Errorf("%+v", r)
	}
}
