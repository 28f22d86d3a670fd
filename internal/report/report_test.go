package report_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/report"
	"github.com/c2conn/c2conn/internal/task"
)

var update = flag.Bool("update", false, "write the golden files anew")

var now = time.Date(2026, 11, 29, 4, 20, 0, 0, time.UTC)

const day = 24 * time.Hour

func profile(name string, kind connections.Kind, left time.Duration) connections.Connection {
	c := connections.Connection{Name: name, Kind: kind, Location: connections.Online, Cloud: "global", Account: "admin@contoso.com",
		Tenant:       connections.Tenant{ID: "0f9c1a52-3e6b-4c1f-9d57-6a2b8c4e1d10", Domain: "contoso.onmicrosoft.com", Name: "Contoso"},
		Registration: connections.Registration{ClientID: "b1d2c3a4-0000-4000-8000-00000000c2c0", AppName: "c2conn backup"},
		Credential:   connections.Credential{Type: connections.TypeCertificate, Thumbprint: "0123456789ABCDEF0123456789ABCDEF01234567", NotAfter: now.Add(left)},
		Verification: connections.Verification{At: now.Add(-time.Second), State: connections.StateVerified}}
	return c
}

// sample has a connection in each state that a report knows.
func sample() report.Report {
	pass := []task.Result{
		{ID: "certificate", Title: "Certificate", Status: task.Pass, Finding: "3072 bits, 1 y 35 d left, registered", Duration: time.Millisecond},
		{ID: "token-graph", Title: "Sign-in for Graph", Status: task.Pass, Finding: "4 roles, certificate", Duration: 212 * time.Millisecond},
		{ID: "sites", Title: "Site collections", Status: task.Pass, Finding: "12 found", Details: []string{"https://contoso.sharepoint.com", "and 11 more"}, Duration: 1400 * time.Millisecond},
	}
	soon := &advice.Advice{What: "The certificate expires soon, on 2026-12-11.", Why: "After that day the application cannot sign in, and backups or migrations stop.",
		Next: []string{"Renew it:", "$ c2conn rotate expiring"}, Codes: []string{}}
	ends := profile("expiring", connections.Exchange, 12*day+time.Hour)
	failing := profile("fabrikam", connections.MigrationTarget, 400*day)
	failing.Verification.State = connections.StateFailed
	waiting := profile("waiting", connections.SharePoint, 400*day)
	secret := profile("secret", connections.SharePoint, 0)
	secret.Credential = connections.Credential{Type: connections.TypeClientSecret}
	lost := profile("lost key", connections.MigrationSource, -day)
	lost.Verification = connections.Verification{}
	return report.Report{At: now, Version: "1.2.3", Problems: []report.Problem{{Path: "/home/ops/connections/broken.yaml", Error: "/home/ops/connections/broken.yaml, line 2: did not find the end of a list"}},
		Connections: []report.Connection{
			{Profile: profile("contoso", connections.Exchange, 400*day), State: connections.StateVerified, Checks: pass},
			{Profile: ends, State: connections.StateVerified, Checks: []task.Result{
				{ID: "certificate", Title: "Certificate", Status: task.Warn, Finding: "3072 bits, expires in 12 d", Duration: time.Millisecond, Advice: soon},
				{ID: "expiry", Title: "Expiry", Status: task.Fail, Finding: "ends in 12 d, on 2026-12-11", Advice: soon}}},
			{Profile: failing, State: connections.StateFailed, Checks: []task.Result{pass[0],
				{ID: "ews", Title: "Exchange Web Services", Status: task.Fail, Finding: "EWS is switched off", Duration: 90 * time.Millisecond, Advice: &advice.Advice{What: "EWS is switched off for the organisation.", Why: "EwsEnabled is false.",
					Next: []string{"Switch it on:", "PS> Set-OrganizationConfig -EwsEnabled $true"}, Link: "https://learn.microsoft.com/exchange/ews", Codes: []string{"ErrorAccessDenied"}, TraceID: "3f2a", CorrelationID: "77b1"}},
				{ID: "mailbox", Title: "Mailbox", Status: task.Skip, Finding: "needs Exchange Web Services"}}},
			{Profile: waiting, State: connections.StateWaiting, Checks: []task.Result{{ID: "permissions", Title: "Permissions", Status: task.Fail, Finding: "none granted: the admin consent is missing",
				Advice: &advice.Advice{What: "The application has no permission at all: the admin consent is missing.", Next: []string{"$ c2conn consent waiting"}}}}},
			{Profile: secret, State: connections.StateVerified, Checks: pass[1:2]},
			{Profile: lost, Error: &advice.Advice{What: "The keychain is locked.", Why: "Its password was not given.", Next: []string{"Unlock it.", `$ c2conn verify "lost key"`}}},
		}}
}

func written(t testing.TB, form string, r report.Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := report.Write(&b, form, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for _, form := range report.Forms() {
		got, golden := written(t, form, sample()), filepath.Join("testdata", "sample."+form)
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil || got != string(want) {
			t.Errorf("the %s differs from %s (%v); look at the difference and run the test with -update", form, golden, err)
		}
	}
}

// TestEverythingIsSaid wants of each form what somebody at night needs.
func TestEverythingIsSaid(t *testing.T) {
	t.Parallel()
	for form, want := range map[string][]string{
		report.JUnit:      {"lost key", "The keychain is locked.", "c2conn rotate expiring", "did not find the end of a list", "ErrorAccessDenied · trace 3f2a", "needs Exchange Web Services"},
		report.Markdown:   {"5 of 7 connections need attention", "lost key", "The keychain is locked.", "`c2conn rotate expiring`", "did not find the end of a list", "unknown", "12 days left", "expired 2026-11-28"},
		report.HTML:       {"5 of 7 connections need attention", "lost key", "The keychain is locked.", "c2conn rotate expiring", "did not find the end of a list", "unknown", "12 days left", "expired 2026-11-28", "c2conn 1.2.3"},
		report.Prometheus: {`c2conn_connection_verified{name="lost key"`, "c2conn_report_problems 1", `c2conn_check_status{name="expiring",check="expiry",status="fail"} 1`, "c2conn_report_timestamp_seconds 1795926000"},
	} {
		got := written(t, form, sample())
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("the %s does not say %q", form, w)
			}
		}
	}
}

func TestNothingAtAll(t *testing.T) {
	t.Parallel()
	for form, want := range map[string]string{report.JUnit: `tests="0"`, report.Markdown: "No connections", report.HTML: "nothing to verify yet", report.Prometheus: "c2conn_report_connections 0"} {
		if got := written(t, form, report.Report{At: now}); !strings.Contains(got, want) {
			t.Errorf("%s: %s", form, got)
		}
	}
	if report.Write(&bytes.Buffer{}, "pdf", report.Report{}) == nil {
		t.Error("there is no such form")
	}
}

func TestHeadlines(t *testing.T) {
	t.Parallel()
	all := sample().Connections
	for want, list := range map[string][]report.Connection{
		"The connection works": all[:1], "The connection needs attention": all[1:2], "1 of 2 connections needs attention": all[:2],
		"All 2 connections work": {all[0], all[4]}, "2 of 3 connections need attention": all[:3],
	} {
		if got := written(t, report.Markdown, report.Report{At: now, Connections: list}); !strings.Contains(got, " "+want+"\n") {
			t.Errorf("want %q:\n%s", want, got)
		}
	}
}
