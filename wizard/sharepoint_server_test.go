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
