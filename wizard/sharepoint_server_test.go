package wizard

import (
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/transport"
	"github.com/c2conn/c2conn/internal/winauth"
)

// newFarm is a session of the SharePoint flow over an empty home, with files to read.
func newFarm(t *testing.T) *Session {
	t.Helper()
	vars := map[string]string{"C2CONN_IDENTITY_FILE": filepath.Join(t.TempDir(), "identity")}
	getenv := func(name string) string { return vars[name] }
	store, err := connections.Open(connections.Options{Dir: t.TempDir(), Getenv: getenv})
	if err != nil {
		t.Fatal(err)
	}
	return NewSession(SharePoint(), &Env{Store: store, Clouds: testClouds(), Clock: transport.SystemClock(), Rand: rand.Reader, Getenv: getenv, ReadFile: os.ReadFile})
}

// given answers s by flags and variables, and returns the keys of all problems.
func (s *Session) given(t *testing.T, flags, vars map[string]string) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pass")
	if err := os.WriteFile(path, []byte("Pa55w0rd!\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	problems := s.Fill(Source{
		Flag: func(name string) (string, bool) {
			v, ok := flags[name]
			return strings.Replace(v, "PASS", path, 1), ok
		},
		Getenv: func(name string) string { return vars[name] }, ReadFile: os.ReadFile, Stdin: strings.NewReader("Pa55w0rd!"),
	})
	var keys []string
	for _, p := range append(problems, s.Ready()...) {
		keys = append(keys, p.Key)
	}
	return keys
}

func with(base map[string]string, more ...string) map[string]string {
	flags := map[string]string{}
	for k, v := range base {
		flags[k] = v
	}
	for i := 0; i < len(more); i += 2 {
		if flags[more[i]] = more[i+1]; more[i+1] == "" {
			delete(flags, more[i])
		}
	}
	return flags
}

func TestSharePointServerByFlags(t *testing.T) {
	t.Parallel()
	all := map[string]string{"on-premises": "true", "sharepoint-url": "https://SharePoint.contoso.com/", "central-admin-port": "34567",
		"admin-upn": "spadmin@contoso.com", "password-file": "PASS", "name": "farm"}
	for _, tt := range []struct {
		name        string
		flags, vars map[string]string
		problems    []string
		sites, ca   string
	}{
		{name: "all", flags: all, sites: "https://sharepoint.contoso.com", ca: "https://sharepoint.contoso.com:34567"},
		{name: "nothing but the place", flags: map[string]string{"on-premises": "true"},
			problems: []string{keySharePoint, keyCentralPort, keyAdminUPN, keyAdminSecret, keyName}},
		{name: "the place follows from the port", flags: with(all, "on-premises", ""), sites: "https://sharepoint.contoso.com", ca: "https://sharepoint.contoso.com:34567"},
		{name: "the URL tells the port", flags: with(all, "central-admin-port", "", "central-admin-url", "http://SP01.contoso.com:34568/default.aspx"),
			sites: "https://sharepoint.contoso.com", ca: "http://sp01.contoso.com:34568"},
		{name: "both agree", flags: with(all, "central-admin-url", "http://sp01.contoso.com:34567"), sites: "https://sharepoint.contoso.com", ca: "http://sp01.contoso.com:34567"},
		{name: "a wrong URL of Central Administration alone", flags: with(all, "central-admin-port", "", "central-admin-url", "ftp://sp01.contoso.com:34568"), problems: []string{keyCentralURL}},
		{name: "both differ", flags: with(all, "central-admin-url", "http://sp01.contoso.com:1"), problems: []string{keyCentralURL}},
		{name: "a wrong port", flags: with(all, "central-admin-port", "65536"), problems: []string{keyCentralPort}},
		{name: "a wrong URL", flags: with(all, "sharepoint-url", "sharepoint.contoso.com"), problems: []string{keySharePoint}},
		{name: "an IP address", flags: with(all, "sharepoint-url", "http://[2001:DB8::1]/sites/hr/"), sites: "http://[2001:db8::1]/sites/hr", ca: "http://[2001:db8::1]:34567"},
		{name: "the usual port", flags: with(all, "sharepoint-url", "https://sharepoint.contoso.com:8443", "central-admin-port", "0443"), sites: "https://sharepoint.contoso.com:8443", ca: "https://sharepoint.contoso.com"},
		{name: "Central Administration as the sites", flags: with(all, "sharepoint-url", "http://sharepoint.contoso.com:34567/"), problems: []string{keySharePoint}},
		{name: "the same by the usual port", flags: with(all, "central-admin-port", "443"), problems: []string{keySharePoint}},
		{name: "the same by another scheme", flags: with(all, "sharepoint-url", "https://SP01.contoso.com:34567/sites/a", "central-admin-url", "http://sp01.contoso.com:34567"), problems: []string{keySharePoint}},
		{name: "Central Administration on another host", flags: with(all, "sharepoint-url", "https://sp01.contoso.com:34567", "central-admin-url", "https://sp02.contoso.com:34567"),
			sites: "https://sp01.contoso.com:34567", ca: "https://sp02.contoso.com:34567"},
		{name: "the password's variable", flags: with(all, "password-file", ""), vars: map[string]string{"C2CONN_ADMIN_PASSWORD": "x"},
			sites: "https://sharepoint.contoso.com", ca: "https://sharepoint.contoso.com:34567"},
		{name: "standard input", flags: with(all, "password-file", "", "password-stdin", "true"), sites: "https://sharepoint.contoso.com", ca: "https://sharepoint.contoso.com:34567"},
		{name: "the flag of the legacy step", flags: with(all, "password-file", "", "admin-password-file", "PASS"), problems: []string{keyAdminSecret}},
		{name: "both flags", flags: with(all, "admin-password-file", "PASS"), problems: []string{keyAdminSecret}},
		{name: "both from standard input", flags: with(all, "password-file", "", "admin-password-stdin", "true", "password-stdin", "true"), problems: []string{keyAdminSecret}},
		{name: "tickets", flags: with(all, "password-file", "", "kerberos", "true"), sites: "https://sharepoint.contoso.com", ca: "https://sharepoint.contoso.com:34567"},
		{name: "tickets and the variable", flags: with(all, "password-file", "", "kerberos", "true"), vars: map[string]string{"C2CONN_ADMIN_PASSWORD": "x"},
			sites: "https://sharepoint.contoso.com", ca: "https://sharepoint.contoso.com:34567"},
		{name: "NTLM without a password", flags: with(all, "password-file", "", "kerberos", "true", "allow-plain-ntlm", "true"), problems: []string{keyPlainNTLM}},
		{name: "an application", flags: with(all, "client-id", testClientID), problems: []string{keyClientID}},
		{name: "online", flags: with(all, "on-premises", "", "online", "true", "manual", "true"),
			problems: []string{keySharePoint, keyClientID, keyTenantID, keyCredential}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newFarm(t)
			if got := s.given(t, tt.flags, tt.vars); !slices.Equal(got, tt.problems) {
				t.Fatalf("problems %v, want %v: %v", got, tt.problems, s.Ready())
			}
			if e := s.asked(s.answersInForce()).Endpoints; len(tt.problems) == 0 && (e.SharePoint != tt.sites || e.Admin != tt.ca || e.Server == "" || !strings.Contains(e.SharePoint, e.Server)) {
				t.Errorf("%+v", e)
			}
		})
	}
}

// The flags of SharePoint Online mean what they meant: no flag that both have leads to a
// server, and the legacy password has a flag of its own.
func TestSharePointOnlineFlagsStay(t *testing.T) {
	t.Parallel()
	all := map[string]string{"manual": "true", "sharepoint-url": "contoso", "client-id": testClientID, "tenant-id": testTenantID, "cert-thumbprint": testThumb,
		"admin-upn": "spadmin@contoso.com", "name": "sites"}
	for _, more := range [][]string{{}, {"admin-password-file", "PASS"}, {"admin-password-stdin", "true"}} {
		s := newFarm(t)
		if got := s.given(t, with(all, more...), nil); len(got) > 0 || s.Value(keyLocation).Text != string(connections.Online) || s.Value(keyLegacy).Text != yes {
			t.Errorf("%v: %v, %v", more, got, s.Ready())
		}
		if c := s.asked(s.answersInForce()); c.LegacyAdmin.UPN != "spadmin@contoso.com" || c.Endpoints.Admin != "https://contoso-admin.sharepoint.com" {
			t.Errorf("%+v", c)
		}
		if others := s.others(); len(others) != len(more)/2 {
			t.Errorf("%v: %d secrets are kept", more, len(others))
		}
	}
	s := newFarm(t)
	if got := s.given(t, with(all, "password-file", "PASS"), nil); !slices.Equal(got, []string{keyAdminSecret}) {
		t.Errorf("--password-file online: %v", got)
	}
	s = newFarm(t)
	if got := s.given(t, with(all, "admin-upn", ""), map[string]string{"C2CONN_ADMIN_PASSWORD": "x"}); len(got) > 0 || len(s.others()) > 0 {
		t.Errorf("a variable that nobody asks for: %v, %v", got, s.others())
	}
}

func TestSharePointServerAddresses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ key, typed, want, complaint string }{
		{keySharePoint, " https://SharePoint.Contoso.com:443/ ", "https://sharepoint.contoso.com", ""},
		{keySharePoint, "https://sharepoint_server.com", "https://sharepoint_server.com", ""},
		{keySharePoint, "HTTP://sp.contoso.com.:80/sites/H%20R/", "http://sp.contoso.com/sites/H%20R", ""},
		{keySharePoint, "https://sp.contoso.com:8443/sites/hr", "https://sp.contoso.com:8443/sites/hr", ""},
		{keySharePoint, "https://10.0.0.30", "https://10.0.0.30", ""},
		{keySharePoint, "https://bücher.example", "https://bücher.example", ""},
		{keySharePoint, "https://sp01", "", "https://sp01.contoso.com"},
		{keySharePoint, "https://localhost", "", "short name"},
		{keySharePoint, "https://[fe80::1%25eth0]", "", "with a zone"},
		{keyCentralURL, "http://[fe80::1%25eth0]:34567", "", "with a zone"},
		{keySharePoint, "sp.contoso.com", "", "it begins with https:// or http://"},
		{keySharePoint, "sp.contoso.com:8080", "", "it begins with https:// or http://"},
		{keySharePoint, "ftp://sp.contoso.com", "", "must begin with https:// or http://"},
		{keySharePoint, "https://admin:hunter2@sp.contoso.com", "", "neither user name nor password"},
		{keySharePoint, "https://sp.contoso.com/?a=b", "", "leave out"},
		{keySharePoint, "https://sp.contoso.com/#a", "", "leave out"},
		{keySharePoint, "https://sp.contoso.com:0", "", "1 to 65535"},
		{keySharePoint, "https://sp.contoso.com:99999", "", "1 to 65535"},
		{keySharePoint, "https://sp..contoso.com", "", "no server name"},
		{keySharePoint, "https://10.0.0", "", "no server name"},
		{keySharePoint, "https://sp.contoso.com/SitePages/Home.aspx", "", "address of a page; give that of the site, for example https://sp.contoso.com"},
		{keySharePoint, "https://sp.contoso.com/sites/hr/_layouts/15/start.aspx", "", "page"},
		{keySharePoint, "https://sp.contoso.com/sites/%2e%2e/x", "", "as the browser shows it"},
		{keySharePoint, "https://sp.contoso.com/sites/../x", "", "as the browser shows it"},
		{keySharePoint, "https://sp.contoso.com/sites/a%2f..%5cx", "", "as the browser shows it"},
		{keySharePoint, "https://sp.contoso.com/sites/%2E", "", "as the browser shows it"},
		{keySharePoint, "https://sp.contoso.com/sites/v..2", "https://sp.contoso.com/sites/v..2", ""},
		{keySharePoint, "https://contoso.sharepoint.com", "", "--online"},
		{keySharePoint, "https://sp.contoso\u202e.com", "", ""},
		{keyCentralURL, "http://sp.contoso.com:34567/_admin/", "http://sp.contoso.com:34567", ""},
		{keyCentralURL, "http://sp01:34567", "", "short name"},
		{keyCentralURL, "https://ca.contoso.com", "https://ca.contoso.com", ""},
		{keyCentralURL, "http://a@ca.contoso.com", "", "neither"},
		{keyCentralPort, " 034567 ", "34567", ""},
		{keyCentralPort, "+1", "", "1 to 65535"},
		{keyCentralPort, "0", "", "1 to 65535"},
		{keyCentralPort, "https", "", "1 to 65535"},
		{keyCertSum, strings.Repeat("ab ", 32) + "," + strings.Repeat("CD:", 32) + "," + strings.Repeat("AB", 32), strings.Repeat("AB", 32) + "," + strings.Repeat("CD", 32), ""},
		{keyCertSum, strings.Repeat("AB", 32) + ",", "", "64"},
	} {
		s := newFarm(t)
		_ = s.Set(keyLocation, string(connections.OnPremises), FromUser, "")
		err := s.Set(tt.key, tt.typed, FromUser, "")
		if tt.want != "" {
			if err != nil || s.Value(tt.key).Text != tt.want {
				t.Errorf("%q: kept %q, %v", tt.typed, s.Value(tt.key).Text, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), tt.complaint) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", tt.typed, err)
		}
	}
}

// Whatever is typed: what is kept reads the same again and has nothing after the path, and
// so has the address of Central Administration that follows.
func FuzzServerAddresses(f *testing.F) {
	for _, v := range []string{"https://sp.contoso.com/sites/hr", "http://10.0.0.1:80", "https://[::1]:1/", "https://a:b@c.d", "https://x.y/%2f?#", "https://ü.example:0443"} {
		f.Add(v, "34567")
	}
	clouds := testClouds()
	f.Fuzz(func(t *testing.T, typed, port string) {
		env := &Env{Clouds: clouds}
		sites, err := checkSites(env, nil, typed)
		if err != nil {
			return
		}
		if again, err := checkSites(env, nil, sites); err != nil || again != sites || strings.ContainsAny(sites, "?# ") {
			t.Errorf("%q: %q, then %q, %v", typed, sites, again, err)
		}
		if port, err = checkPort(nil, nil, port); err != nil {
			return
		}
		central := derivedCentral(sites, port)
		if got, err := checkCentral(env, nil, central); err != nil || got != central || portOf(central) != port {
			t.Errorf("%q with port %s: %q, then %q, %v", sites, port, central, got, err)
		}
	})
}

// The URL of Central Administration follows host and scheme of the sites, and the port,
// until it is typed; the command that is printed makes the same answers.
func TestCentralAdministrationFollows(t *testing.T) {
	t.Parallel()
	s := newFarm(t)
	set := func(key, text string) {
		t.Helper()
		if err := s.Set(key, text, FromUser, ""); err != nil {
			t.Fatal(key, err)
		}
	}
	set(keyLocation, string(connections.OnPremises))
	for _, step := range [][3]string{
		{keySharePoint, "https://sp.contoso.com/sites/hr", ""},
		{keyCentralPort, "34567", "https://sp.contoso.com:34567"},
		{keySharePoint, "http://other.contoso.com:8080", "http://other.contoso.com:34567"},
		{keyCentralPort, "2", "http://other.contoso.com:2"},
		{keyCentralURL, "https://ca.contoso.com:2", "https://ca.contoso.com:2"},
		{keySharePoint, "https://sp.contoso.com", "https://ca.contoso.com:2"},
	} {
		if set(step[0], step[1]); s.Value(keyCentralURL).Text != step[2] {
			t.Errorf("%v: %q", step, s.Value(keyCentralURL).Text)
		}
	}
	_ = s.Set(keyCentralURL, "", FromUser, "")
	if got := s.Value(keyCentralURL).Text; got != "https://sp.contoso.com:2" {
		t.Errorf("given up: %q", got)
	}
}

func TestSharePointServerCommand(t *testing.T) {
	t.Parallel()
	s := newFarm(t)
	for _, a := range [][2]string{{keyLocation, "on-premises"}, {keySharePoint, "https://sp.contoso.com"}, {keyCentralPort, "34567"}, {keyAdminUPN, "spadmin@contoso.com"}, {keyPlainNTLM, yes}, {keyName, "farm"}} {
		if err := s.Set(a[0], a[1], FromUser, ""); err != nil {
			t.Fatal(err)
		}
	}
	_ = s.SetSecret(keyAdminSecret, connections.NewSecret("Pa55w0rd!"), FromUser, "")
	want := "c2conn new sharepoint --on-premises --sharepoint-url https://sp.contoso.com --central-admin-port 34567 --admin-upn spadmin@contoso.com --password-file FILE --allow-plain-ntlm --name farm"
	if got := s.Command(); got != want || len(s.Ready()) > 0 {
		t.Errorf("%s\nwant %s\n%v", got, want, s.Ready())
	}
	// Either the port or the URL says it, never neither.
	for _, url := range []string{"https://sp.contoso.com:34567", "http://ca.contoso.com:34567"} {
		if err := s.Set(keyCentralURL, url, FromUser, ""); err != nil {
			t.Fatal(err)
		}
		again := newFarm(t)
		again.Load(s.asked(s.answersInForce()))
		for _, got := range []string{s.Command(), again.Command()} {
			if strings.Contains(got, "--central-admin-port 34567") == strings.Contains(got, "--central-admin-url "+url) || strings.Count(got, "--central-admin-") != 1 {
				t.Error(got)
			}
		}
	}
	// Two servers, two certificates: the command trusts both.
	one, two := strings.Repeat("A1", 32), strings.Repeat("B2", 32)
	for _, sum := range []string{two, one} {
		err := s.askTrust(&winauth.UntrustedError{Host: sum[:2] + ".contoso.com:443", SHA256: sum, Reason: "it is self-signed"}, nil)
		var certificate *CertificateError
		if !errors.As(err, &certificate) || len(s.Ready()) != 1 {
			t.Fatalf("%v, %v", err, s.Ready())
		}
		if err := s.Set(keyTrust, yes, FromUser, ""); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.Command(); !strings.HasSuffix(got, " --certificate-sha256 '"+one+","+two+"'") || strings.Contains(got, "--trust-certificate") {
		t.Error(got)
	}
}

// farm is a saved connection to a SharePoint Server.
func (s *Session) farm(t *testing.T, change func(*connections.Connection)) connections.Connection {
	t.Helper()
	ref, err := s.Env.Store.PutSecret(t.Context(), connections.NewSecret("Pa55w0rd!"))
	if err != nil {
		t.Fatal(err)
	}
	c := connections.Connection{
		Name: "farm", Kind: connections.SharePoint, Location: connections.OnPremises, Account: "spadmin@contoso.com", Credential: connections.Credential{Type: connections.TypePassword, Secret: ref},
		Endpoints: connections.Endpoints{Server: "sp.contoso.com", SharePoint: "https://sp.contoso.com", Admin: "https://sp.contoso.com:34567", Domain: "corp.contoso.com"},
	}
	if change != nil {
		change(&c)
	}
	c, err = s.Env.Store.Add(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestEditSharePointServer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		was     func(*connections.Connection)
		set     [][2]string
		changes []string
		want    func(*connections.Connection)
		command string
	}{
		{name: "nothing", command: "c2conn verify farm"},
		{name: "another port", set: [][2]string{{"central-admin-port", "2"}}, changes: []string{keyCentralPort, keyCentralURL},
			want:    func(c *connections.Connection) { c.Endpoints.Admin = "https://sp.contoso.com:2" },
			command: "c2conn edit farm --set central-admin-port=2 --set central-admin-url=https://sp.contoso.com:2"},
		{name: "another server", set: [][2]string{{"sharepoint_url", "http://new.contoso.com/sites/hr"}}, changes: []string{keySharePoint, keyCentralURL},
			want: func(c *connections.Connection) {
				c.Endpoints.Server, c.Endpoints.SharePoint, c.Endpoints.Admin = "new.contoso.com", "http://new.contoso.com/sites/hr", "https://new.contoso.com:34567"
			}},
		{name: "an address of its own stays", was: func(c *connections.Connection) { c.Endpoints.Admin = "http://ca.contoso.com:34567" },
			set: [][2]string{{"sharepoint-url", "https://new.contoso.com"}}, changes: []string{keySharePoint},
			want: func(c *connections.Connection) {
				c.Endpoints.Server, c.Endpoints.SharePoint = "new.contoso.com", "https://new.contoso.com"
			}},
		{name: "another port of an address of its own", was: func(c *connections.Connection) { c.Endpoints.Admin = "http://ca.contoso.com:34567" },
			set: [][2]string{{"central-admin-port", "2"}}, changes: []string{keyCentralPort, keyCentralURL}, want: func(c *connections.Connection) { c.Endpoints.Admin = "http://ca.contoso.com:2" }},
		{name: "the scheme that was found stays", was: func(c *connections.Connection) { c.Endpoints.Admin = "http://sp.contoso.com:34567/" },
			set: [][2]string{{"sharepoint-url", "https://new.contoso.com"}}, changes: []string{keySharePoint, keyCentralURL}, want: func(c *connections.Connection) {
				c.Endpoints.Server, c.Endpoints.SharePoint, c.Endpoints.Admin = "new.contoso.com", "https://new.contoso.com", "http://new.contoso.com:34567"
			}},
		{name: "another address", set: [][2]string{{"central-admin-url", "http://ca.contoso.com:34567"}}, changes: []string{keyCentralURL},
			want: func(c *connections.Connection) { c.Endpoints.Admin = "http://ca.contoso.com:34567" }},
		{name: "another address with another port", set: [][2]string{{"central-admin-url", "http://ca.contoso.com:2"}}, changes: []string{keyCentralPort, keyCentralURL},
			want: func(c *connections.Connection) { c.Endpoints.Admin = "http://ca.contoso.com:2" }},
		{name: "NTLM", set: [][2]string{{"plain-ntlm", "yes"}}, changes: []string{keyPlainNTLM}, command: "c2conn edit farm --set plain-ntlm=yes"},
		{name: "no NTLM", was: func(c *connections.Connection) { c.Credential.PlainNTLM = true }, set: [][2]string{{"plain-ntlm", "no"}}, changes: []string{keyPlainNTLM}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			world := newFarm(t)
			was := world.farm(t, tt.was)
			s, err := Edit(world.Env, was)
			if err != nil {
				t.Fatal(err)
			}
			if problems := append(s.FillChanges(tt.set, Source{Flag: func(string) (string, bool) { return "", false }, Getenv: func(string) string { return "" }}), s.Ready()...); len(problems) > 0 {
				t.Fatal(problems)
			}
			var keys []string
			for _, c := range s.Changes() {
				keys = append(keys, strings.ReplaceAll(c.Key, "-", "_"))
			}
			if !slices.Equal(keys, tt.changes) {
				t.Errorf("changes %v, want %v", keys, tt.changes)
			}
			if got := s.Command(); tt.command != "" && got != tt.command {
				t.Errorf("%s, want %s", got, tt.command)
			}
			want := was
			if want.Verification = (connections.Verification{}); tt.want != nil {
				tt.want(&want)
			}
			if got := s.asked(s.answersInForce()); got.Endpoints != want.Endpoints || got.Account != want.Account || got.ID != was.ID {
				t.Errorf("%+v, want %+v", got, want)
			}
			var out Outcome
			out.Connection = s.asked(s.answersInForce())
			if _, err := s.serverCredential(t.Context(), s.answersInForce(), &out); err != nil {
				t.Fatal(err)
			}
			if got, asks := s.plainNTLM(s.answersInForce()), slices.Contains(tt.changes, keyPlainNTLM); got != (was.Credential.PlainNTLM != asks) {
				t.Errorf("NTLM over http: %v", got)
			}
		})
	}
}

// A connection moves from Microsoft 365 to a server and back: nothing of the one stays.
func TestMoveSharePoint(t *testing.T) {
	t.Parallel()
	world := newFarm(t)
	online := savedConnection()
	online.Kind, online.LegacyAdmin = connections.SharePoint, connections.LegacyAdmin{UPN: "old@contoso.com", Password: "env:OLD"}
	online.Endpoints = connections.Endpoints{SharePoint: "https://contoso.sharepoint.com", Admin: "https://contoso-admin.sharepoint.com"}
	s, err := Edit(world.Env, online)
	if err != nil {
		t.Fatal(err)
	}
	_ = s.Set(keyLocation, string(connections.OnPremises), FromUser, "")
	if keys := problemKeys(s); !slices.Contains(keys, keySharePoint) || !slices.Contains(keys, keyCentralPort) || !slices.Contains(keys, keyAdminSecret) {
		t.Error(keys)
	}
	for _, a := range [][2]string{{keySharePoint, "https://sp.contoso.com"}, {keyCentralPort, "34567"}, {keyAdminUPN, "spadmin@contoso.com"}} {
		if err := s.Set(a[0], a[1], FromUser, ""); err != nil {
			t.Fatal(err)
		}
	}
	_ = s.SetSecret(keyAdminSecret, connections.NewSecret("Pa55w0rd!"), FromUser, "")
	if keys := problemKeys(s); len(keys) > 0 {
		t.Fatal(keys)
	}
	c := s.asked(s.answersInForce())
	c.Credential = connections.Credential{Type: connections.TypePassword, Secret: "env:X"}
	if err := c.Validate(); err != nil || c.LegacyAdmin.UPN != "" || c.Registration.ClientID != "" || c.Tenant.ID != "" || c.Cloud != "" || c.Endpoints.Admin != "https://sp.contoso.com:34567" {
		t.Errorf("%v, %+v", err, c)
	}

	was := world.farm(t, func(c *connections.Connection) {
		c.Pins = map[string]string{"sp.contoso.com:443": strings.Repeat("A1", 32)}
	})
	if s, err = Edit(world.Env, was); err != nil {
		t.Fatal(err)
	}
	for _, a := range [][2]string{{keyLocation, "online"}, {keyCloud, "global"}, {keySharePoint, "contoso"}, {keyRegistration, byHand}} {
		if err := s.Set(a[0], a[1], FromUser, ""); err != nil {
			t.Fatal(err)
		}
	}
	c = s.asked(s.answersInForce())
	if len(c.Pins) > 0 || c.Endpoints.Server != "" || c.Endpoints.Domain != "" || c.Endpoints.Admin != "https://contoso-admin.sharepoint.com" || c.LegacyAdmin.UPN != "" {
		t.Errorf("%+v", c)
	}
}

func problemKeys(s *Session) (keys []string) {
	for _, p := range s.Ready() {
		keys = append(keys, p.Key)
	}
	return keys
}

// What tells that a connection was changed meanwhile: Central Administration, and that
// NTLM was allowed.
func TestSameSharePointServer(t *testing.T) {
	t.Parallel()
	was := newFarm(t).farm(t, nil)
	for name, change := range map[string]func(*connections.Connection){
		"central": func(c *connections.Connection) { c.Endpoints.Admin = "http://x.contoso.com:1" },
		"sites":   func(c *connections.Connection) { c.Endpoints.SharePoint = "https://x.contoso.com" },
		"ntlm":    func(c *connections.Connection) { c.Credential.PlainNTLM = true },
	} {
		now := was
		if change(&now); sameProfile(was, now) {
			t.Errorf("%s: the change is overlooked", name)
		}
	}
	now := was
	now.Endpoints.Admin = "http://sp.contoso.com:34567"
	if now.Verification.State, now.Pins = connections.StateFailed, map[string]string{"a:1": "b"}; !sameProfile(was, now) {
		t.Error("what a verification found counts as a change")
	}
}

// The pins of the hosts of both addresses follow what was given.
func TestPinsOfSharePointServer(t *testing.T) {
	t.Parallel()
	a, b, n := strings.Repeat("A1", 32), strings.Repeat("B2", 32), strings.Repeat("C3", 32)
	const sites, central, dc = "sp.contoso.com:443", "sp.contoso.com:34567", "dc.contoso.com:636"
	for _, tt := range []struct {
		name      string
		was, want map[string]string
		given     string
	}{
		{"the same for both", map[string]string{sites: a, central: a, dc: b}, map[string]string{dc: b}, n},
		{"one of two", map[string]string{sites: a, central: b}, map[string]string{sites: a}, a + "," + n},
		{"one instead of two", map[string]string{sites: a, central: b}, map[string]string{}, n},
		{"none before", nil, map[string]string{}, n},
		{"no change", map[string]string{sites: a, central: b}, map[string]string{sites: a, central: b}, a + "," + b},
	} {
		world := newFarm(t)
		s, err := Edit(world.Env, world.farm(t, func(c *connections.Connection) { c.Pins = tt.was }))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Set(keyCertSum, tt.given, FromFlag, ""); err != nil {
			t.Fatal(err)
		}
		c := s.asked(s.answersInForce())
		if s.pinGiven(s.answersInForce(), &c); len(c.Pins) != len(tt.want) {
			t.Errorf("%s: %v", tt.name, c.Pins)
		}
		for host, pin := range tt.want {
			if c.Pins[host] != pin {
				t.Errorf("%s: %v", tt.name, c.Pins)
			}
		}
	}
}

// Where only one address is on https, its certificate is the one that was given.
func TestPinOfTheOneHost(t *testing.T) {
	t.Parallel()
	sum := strings.Repeat("A1", 32)
	s := newFarm(t)
	if got := s.given(t, map[string]string{"on-premises": "true", "sharepoint-url": "https://sp.contoso.com", "central-admin-url": "http://sp.contoso.com:34567",
		"admin-upn": "spadmin@contoso.com", "password-file": "PASS", "name": "farm", "certificate-sha256": sum}, nil); len(got) > 0 {
		t.Fatal(got)
	}
	c := s.asked(s.answersInForce())
	if s.pinGiven(s.answersInForce(), &c); len(c.Pins) != 1 || c.Pins["sp.contoso.com:443"] != sum {
		t.Error(c.Pins)
	}
	err := s.askTrust(&winauth.UntrustedError{Host: "sp.contoso.com:34567", SHA256: strings.Repeat("B2", 32), Reason: "it is self-signed"}, map[string]string{"sp.contoso.com:443": sum})
	if err == nil || !strings.Contains(err.Error(), "give both: "+sum+","+strings.Repeat("B2", 32)) {
		t.Error(err)
	}
	_ = s.Set(keyTrust, yes, FromUser, "")
	if got := s.Command(); strings.Count(got, "--certificate-sha256") != 1 || !strings.Contains(got, "--certificate-sha256 '"+sum+","+strings.Repeat("B2", 32)+"' ") || strings.Contains(got, "--trust-certificate") {
		t.Error(got)
	}
}

// A fleet's entry is compared with what is saved.
func TestFleetSharePointServer(t *testing.T) {
	t.Parallel()
	s := newFarm(t)
	saved := s.farm(t, nil)
	all := map[string]string{"on-premises": "true", "sharepoint-url": "https://sp.contoso.com", "central-admin-port": "34567",
		"admin-upn": "spadmin@contoso.com", "password-file": "PASS", "name": "farm"}
	for _, tt := range []struct {
		flags            map[string]string
		server, password bool
	}{
		{all, true, true},
		{with(all, "allow-plain-ntlm", "true"), true, false},
		{with(all, "password-file", "", "kerberos", "true"), true, false},
		{with(all, "certificate-sha256", strings.Repeat("A1", 32)), false, true},
	} {
		one := NewSession(SharePoint(), s.Env)
		if got := one.given(t, tt.flags, nil); len(got) > 0 {
			t.Fatal(got)
		}
		if got := one.SameServer(saved); got != tt.server {
			t.Errorf("%v: the server is the same: %v", tt.flags, got)
		}
		if got := one.SameCredential(t.Context(), saved); got != tt.password {
			t.Errorf("%v: the credential is the same: %v", tt.flags, got)
		}
	}
}

// Configure keeps the answer about NTLM with a password, and with nothing else.
func TestConfigureKeepsPlainNTLM(t *testing.T) {
	t.Parallel()
	all := map[string]string{"on-premises": "true", "sharepoint-url": "http://127.0.0.1", "central-admin-port": "1", "admin-upn": "spadmin@contoso.com", "name": "farm"}
	for flag, want := range map[string]bool{"": false, "allow-plain-ntlm": true} {
		s := newFarm(t)
		flags := with(all, "password-file", "PASS")
		if flag != "" {
			flags[flag] = "true"
		}
		if got := s.given(t, flags, nil); len(got) > 0 {
			t.Fatal(got)
		}
		a := s.answersInForce()
		out := &Outcome{Connection: s.asked(a)}
		if _, err := s.serverCredential(t.Context(), a, out); err != nil {
			t.Fatal(err)
		}
		if out.Connection.Credential.PlainNTLM != want {
			t.Errorf("%q: %+v", flag, out.Connection.Credential)
		}
		if f := s.Facts(); !f.OnPremises || f.Account != "spadmin@contoso.com" || f.Site != "http://127.0.0.1" {
			t.Errorf("%+v", f)
		}
	}
}
