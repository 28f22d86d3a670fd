package wizard_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/transport"
	"github.com/c2conn/c2conn/wizard"
)

const (
	clientID = "2f1c9e1a-5f0c-4d6b-9a53-0b1f6d8e77aa"
	tenantID = "11111111-2222-4333-8444-555555555555"
)

// newSession is a session of the Exchange flow over an empty home.
func newSession(t *testing.T) *wizard.Session {
	t.Helper()
	dir := t.TempDir()
	store, err := connections.Open(connections.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	clouds, err := cloud.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return wizard.NewSession(wizard.Exchange(), &wizard.Env{
		Store: store, Personal: certs.Personal(store, dir, time.Now), Clouds: clouds,
		Clock: transport.SystemClock(), ReadFile: os.ReadFile, Getenv: func(string) string { return "" },
	})
}

// fill answers the session from flags and variables.
func fill(s *wizard.Session, flags, env map[string]string, stdin string) []wizard.Problem {
	return s.Fill(wizard.Source{
		Flag:     func(name string) (string, bool) { v, ok := flags[name]; return v, ok },
		Getenv:   func(name string) string { return env[name] },
		ReadFile: os.ReadFile, Stdin: strings.NewReader(stdin),
	})
}

func keys(problems []wizard.Problem) []string {
	var list []string
	for _, p := range problems {
		list = append(list, p.Key)
	}
	return list
}

func TestFill(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("\ufeffx8Q~abcdefghijklmnopqrstuvwxyz0123456789\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	all := map[string]string{"client-id": clientID, "tenant-id": tenantID, "mailbox": "admin@contoso.com", "name": "x"}
	with := func(more ...string) map[string]string {
		m := map[string]string{}
		for k, v := range all {
			m[k] = v
		}
		for i := 0; i < len(more); i += 2 {
			m[more[i]] = more[i+1]
		}
		return m
	}
	tests := []struct {
		name       string
		flags, env map[string]string
		stdin      string
		problems   []string // keys, from Fill and Ready together
		credential string
	}{
		{name: "nothing", problems: []string{"name"}},
		{name: "a secret's file", flags: with("client-secret-file", secret), credential: "secret"},
		{name: "a secret on standard input", flags: with("client-secret-stdin", "true"), stdin: "x8Q~abcdefghijklmnop\n", credential: "secret"},
		{name: "standard input said to be false", flags: with("client-secret-stdin", "false"), problems: []string{"credential"}},
		{name: "empty standard input", flags: with("client-secret-stdin", "true"), problems: []string{"client_secret"}, credential: "secret"},
		{name: "file and standard input", flags: with("client-secret-stdin", "true", "client-secret-file", secret), problems: []string{"client_secret"}, credential: "secret"},
		{name: "standard input twice", flags: with("client-secret-stdin", "true", "cert-password-stdin", "true", "cert-file", "x"), stdin: "x8Q~abcdefghijklmnop",
			problems: []string{"credential"}},
		{name: "a secret's variable", flags: all, env: map[string]string{"C2CONN_CLIENT_SECRET": "x8Q~abcdefghijklmnop"}, credential: "secret"},
		{name: "a flag beats a variable", flags: with("cert-file", secret), env: map[string]string{"C2CONN_CLIENT_SECRET": "x8Q~abcdefghijklmnop"}, credential: "file"},
		{name: "two variables", flags: all, env: map[string]string{"C2CONN_CLIENT_SECRET": "x8Q~abcdefghijklmnop", "C2CONN_CERT_FILE": secret}, problems: []string{"credential"}},
		{name: "two flags", flags: with("cert-file", secret, "client-secret-file", secret), problems: []string{"credential"}},
		{name: "a choice by variable", flags: with("client-secret-file", secret), env: map[string]string{"C2CONN_CLOUD": "USGov"}, credential: "secret"},
		{name: "an unknown cloud", flags: with("client-secret-file", secret, "cloud", "mars"), problems: []string{"cloud"}, credential: "secret"},
		{name: "all wrong", flags: map[string]string{"client-id": "1", "tenant-id": "x y", "mailbox": "@", "name": "", "credential-ref": "vault:x"},
			problems: []string{"mailbox", "client_id", "tenant_id", "credential_ref", "name"}, credential: "reference"},
		{name: "a surplus flag", flags: with("client-secret-file", secret, "cert-password-file", secret), problems: []string{"cert_password"}, credential: "secret"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSession(t)
			problems := append(fill(s, tt.flags, tt.env, tt.stdin), s.Ready()...)
			if got := keys(problems); !slices.Equal(got, tt.problems) {
				t.Errorf("problems %v, want %v (%v)", got, tt.problems, problems)
			}
			if got := s.Value("credential").Text; got != tt.credential {
				t.Errorf("credential %q, want %q", got, tt.credential)
			}
		})
	}
}

func TestAnswersAreCleaned(t *testing.T) {
	t.Parallel()
	tests := []struct{ key, typed, want, complaint string }{
		{"client_id", " {2F1C9E1A-5F0C-4D6B-9A53-0B1F6D8E77AA}\n", clientID, ""},
		{"client_id", "\u200e" + clientID, clientID, ""},
		{"client_id", "admin@contoso.com", "", "Application (client) ID"},
		{"client_id", "2f1c9e1a5f0c4d6b9a530b1f6d8e77aa", "", "Object ID"},
		{"tenant_id", "Contoso.OnMicrosoft.com", "contoso.onmicrosoft.com", ""},
		{"tenant_id", "müller.example", "müller.example", ""},
		{"tenant_id", "common", "", "names no tenant"},
		{"tenant_id", "admin@contoso.com", "", "contoso.com"},
		{"tenant_id", "contoso", "", "neither"},
		{"mailbox", "\"admin@contoso.com\"", "admin@contoso.com", ""},
		{"mailbox", "Admin <admin@contoso.com>", "", "not an e-mail address"},
		{"mailbox", "admin@localhost", "", "not an e-mail address"},
		{"cert_thumbprint", "ab:12 cd34-AB12cd34ab12cd34ab12cd34ab12cd34ab12 cd34", "", ""},
		{"credential_ref", " env:APP ", "env:APP", ""},
		{"credential_ref", "env:", "", "begins with"},
		{"name", "  contoso ", "contoso", ""},
		{"name", "a/b", "", "holds"},
		{"location", "on-premises", "on-premises", ""},
		{"cloud", "germany", "", "was retired"},
		{"server", "exch01", "", "full name"},
		{"server", "exch.bücher.example", "", "exch.xn--bcher-kva.example"},
		{"server", "exch.xn--bcher-kva.example", "exch.xn--bcher-kva.example", ""},
		{"ews_url", "https://bücher.example/EWS/Exchange.asmx", "", "xn--bcher-kva.example"},
		{"server", "https://exch01.contoso.com", "", "web address"},
		{"server", "EXCH01.contoso.com.", "exch01.contoso.com", ""},
		{"server", "[2001:db8::1]", "2001:db8::1", ""},
		{"ews_url", "http://exch01.contoso.com/EWS/Exchange.asmx", "", "https://"},
		{"ews_url", "https://exch01.contoso.com", "https://exch01.contoso.com/EWS/Exchange.asmx", ""},
		{"ews_url", "https://a:b@exch01.contoso.com/", "", "password"},
		{"admin_upn", `CONTOSO\admin`, "", "admin@contoso.com"},
		{"admin_upn", "admin", "", "no user name"},
		{"admin_upn", "admin@contoso", "admin@contoso", ""},
		{"ad_domain", "CONTOSO", "", "NetBIOS"},
		{"certificate_sha256", "AB:12", "", "64"},
		{"location", "moon", "", "not one of"},
	}
	for _, tt := range tests {
		t.Run(tt.key+" "+tt.typed, func(t *testing.T) {
			t.Parallel()
			s := newSession(t)
			err := s.Set(tt.key, tt.typed, wizard.FromUser, "")
			if tt.complaint == "" && err == nil {
				if got := s.Value(tt.key).Text; tt.want != "" && got != tt.want {
					t.Errorf("kept %q, want %q", got, tt.want)
				}
				return
			}
			if err == nil || tt.complaint == "" && tt.want != "" || !strings.Contains(err.Error(), tt.complaint) {
				t.Errorf("complaint %v, want one about %q", err, tt.complaint)
			}
			if s.Answers[tt.key].Text == "" {
				t.Error("the wrong answer was thrown away")
			}
		})
	}
}

func TestGoingBackKeepsAnswers(t *testing.T) {
	t.Parallel()
	s := newSession(t)
	for _, a := range [][2]string{{"mailbox", "admin@contoso.com"}, {"client_id", clientID}, {"credential", "reference"}, {"credential_ref", "env:APP"}, {"credential", "certificate"}} {
		if err := s.Set(a[0], a[1], wizard.FromUser, ""); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Set("credential", "reference", wizard.FromUser, ""); err != nil {
		t.Fatal(err)
	}
	if got := s.Value("credential_ref").Text; got != "env:APP" {
		t.Errorf("the reference is %q after going back and forth", got)
	}
	if got := s.Value("name").Text; got != "contoso-exchange" {
		t.Errorf("proposed name %q", got)
	}
}

func TestCommandHoldsNoSecret(t *testing.T) {
	t.Parallel()
	s := newSession(t)
	flags := map[string]string{"client-id": clientID, "tenant-id": tenantID, "mailbox": "admin@contoso.com", "name": "it's mine"}
	fill(s, flags, nil, "")
	if err := s.Set("name", "my backup", wizard.FromUser, ""); err != nil {
		t.Fatal(err)
	}
	if err := s.Set("credential", "secret", wizard.FromUser, ""); err != nil {
		t.Fatal(err)
	}
	if err := s.SetSecret("client_secret", connections.NewSecret("x8Q~topsecrettopsecret"), wizard.FromUser, ""); err != nil {
		t.Fatal(err)
	}
	want := "c2conn new exchange --online --manual --mailbox admin@contoso.com --client-id " + clientID +
		" --tenant-id " + tenantID + " --client-secret-file FILE --name 'my backup'"
	if got := s.Command(); got != want {
		t.Errorf("command\n%s\nwant\n%s", got, want)
	}
}

func TestConfigureNeedsAllAnswers(t *testing.T) {
	t.Parallel()
	s := newSession(t)
	if err := s.Set("registration", "manual", wizard.FromUser, ""); err != nil {
		t.Fatal(err)
	}
	_, err := s.Configure(t.Context(), nil)
	var problems *wizard.ProblemsError
	if !errors.As(err, &problems) || len(problems.Problems) < 4 {
		t.Fatalf("error %v", err)
	}
}

func TestSecretText(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"abc\n":                               "abc",
		"abc\r\n":                             "abc",
		"\ufeffabc":                           "abc",
		"\xff\xfea\x00b\x00c\x00\r\x00\n\x00": "abc", // Windows PowerShell: echo abc > file
		"\xfe\xff\x00a\x00b\x00c":             "abc",
		"\xff\xfe":                            "",
		" a b ":                               " a b ", // a password may begin with a space
		"\xff\xfe\x3d\xd8\x00\xde":            "😀",
	}
	for in, want := range tests {
		if got := string(wizard.SecretText([]byte(in)).Reveal()); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
