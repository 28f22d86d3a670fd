package onprem_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/sim/onprem"
)

const (
	asAnna = `<t:PrimarySmtpAddress>anna@contoso.example</t:PrimarySmtpAddress>`
	asJana = `<t:SmtpAddress>jana@contoso.example</t:SmtpAddress>`
)

func TestOwnMailbox(t *testing.T) {
	t.Parallel()
	w, _ := start(t, onprem.Options{})
	for _, name := range []string{onprem.Admin, `CORP\exadmin`, `corp.test\exadmin`} {
		a := call(t, w, name, onprem.AdminPassword, "", inbox)
		if a.status != http.StatusOK || code(t, a) != "NoError" || !strings.Contains(a.body, "<t:DisplayName>Inbox</t:DisplayName>") {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
		if a.header.Get("X-FEServer") != "EXCH01" || a.header.Get("request-id") == "" || !strings.Contains(a.body, `MajorBuildNumber="2562"`) {
			t.Errorf("%s: %v", name, a.header)
		}
	}
	if n := w.SignInsBy("NTLM"); n != 3 {
		t.Errorf("%d sign-ins by NTLM", n)
	}
	if n := w.FailedSignIns(); n != 0 {
		t.Errorf("%d failed sign-ins", n)
	}
	if r := w.Requests("/ews"); len(r) == 0 || r[len(r)-1].User != "exadmin" || r[len(r)-1].Via != "NTLM" || r[len(r)-1].Name != "ews GetFolder" {
		t.Errorf("%+v", r)
	}
}

func TestWrongPasswordIsCounted(t *testing.T) {
	t.Parallel()
	w, _ := start(t, onprem.Options{})
	for range 3 {
		if a := call(t, w, onprem.Admin, "wrong", "", inbox); a.status != http.StatusUnauthorized {
			t.Fatalf("status %d", a.status)
		}
	}
	if n := w.FailedSignIns(); n != 3 {
		t.Errorf("%d failed sign-ins, want 3", n)
	}
	if got := w.Counters(); got.BadPasswords["exadmin"] != 3 || got.FailedSignIns != 3 {
		t.Errorf("%+v", got)
	}
}

func TestImpersonation(t *testing.T) {
	t.Parallel()
	granted, _ := start(t, with("granted"))
	for _, c := range []struct{ sid, want string }{
		{asAnna, "NoError"},
		{asJana, "NoError"},
		{`<t:PrincipalName>alice@contoso.example</t:PrincipalName>`, "NoError"},
		{`<t:SID>S-1-5-21-1004336348-1177238915-682003330-1105</t:SID>`, "NoError"},
		{`<t:SmtpAddress>alice.adams@contoso.example</t:SmtpAddress>`, "NoError"}, // not the primary one
		{`<t:PrimarySmtpAddress>alice.adams@contoso.example</t:PrimarySmtpAddress>`, "ErrorNonPrimarySmtpAddress"},
		{`<t:PrincipalName>ghost@corp.test</t:PrincipalName>`, "ErrorInvalidUserPrincipalName"},
		{`<t:SID>S-1-5-21-1-2-3-4</t:SID>`, "ErrorInvalidUserSid"},
		{`<t:SmtpAddress>ghost@contoso.example</t:SmtpAddress>`, "ErrorNonExistentMailbox"},
		{`<t:SmtpAddress>bob@corp.test</t:SmtpAddress>`, "ErrorNonExistentMailbox"}, // his mailbox is in Exchange Online
		{`<t:PrincipalName>svcnomailbox@corp.test</t:PrincipalName>`, "ErrorNonExistentMailbox"},
		{`<t:SmtpAddress> </t:SmtpAddress>`, "ErrorSchemaValidation"},
		{`<t:Nickname>anna</t:Nickname>`, "ErrorSchemaValidation"},
	} {
		a := call(t, granted, onprem.Admin, onprem.AdminPassword, c.sid, inbox)
		if got := code(t, a); got != c.want || (a.status == http.StatusOK) != (c.want == "NoError") {
			t.Errorf("%s: %d %s, want %s", c.sid, a.status, got, c.want)
		}
	}
}

func TestImpersonationNeedsTheRole(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		faults     []string
		anna, jana string
	}{
		{nil, "ErrorImpersonateUserDenied", "ErrorImpersonateUserDenied"}, // Organization Management only delegates
		{[]string{"delegating-only"}, "ErrorImpersonateUserDenied", "ErrorImpersonateUserDenied"},
		{[]string{"granted"}, "NoError", "NoError"},
		{[]string{"granted-scoped"}, "NoError", "ErrorImpersonateUserDenied"},
		{[]string{"granted", "impersonation-denied"}, "ErrorImpersonationDenied", "ErrorImpersonationDenied"},
	} {
		w, _ := start(t, with(c.faults...))
		for sid, want := range map[string]string{asAnna: c.anna, asJana: c.jana} {
			if got := code(t, call(t, w, onprem.Admin, onprem.AdminPassword, sid, inbox)); got != want {
				t.Errorf("%v %s: %s, want %s", c.faults, sid, got, want)
			}
		}
		if a := call(t, w, "spfarm@corp.test", onprem.FarmPassword, asAnna, inbox); a.status != http.StatusInternalServerError {
			t.Errorf("%v: somebody else may, too: %d", c.faults, a.status)
		}
	}
}

func TestGrantTakesEffectLater(t *testing.T) {
	t.Parallel()
	w, c := start(t, onprem.Options{Spread: 3 * time.Minute})
	who := func() string {
		return code(t, call(t, w, onprem.Admin, onprem.AdminPassword, asAnna, inbox))
	}
	admin, _ := w.Organisation().Find("exadmin")
	if err := grant(w, admin.SAM); err != nil {
		t.Fatal(err)
	}
	if got := who(); got != "ErrorImpersonateUserDenied" {
		t.Errorf("at once: %s", got)
	}
	c.advance(3 * time.Minute)
	if got := who(); got != "NoError" {
		t.Errorf("after three minutes: %s", got)
	}
	if got := w.Counters().Impersonation; len(got) != 1 || got[0].Assignee != "exadmin" {
		t.Errorf("%+v", got)
	}
}

func TestWithoutMailbox(t *testing.T) {
	t.Parallel()
	w, _ := start(t, with("granted=svcnomailbox"))
	a := call(t, w, onprem.NoMailbox, onprem.NoMailboxPassword, "", inbox)
	if a.status != http.StatusOK || code(t, a) != "ErrorMissingEmailAddress" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if got := code(t, call(t, w, onprem.NoMailbox, onprem.NoMailboxPassword, asAnna, inbox)); got != "NoError" {
		t.Errorf("as somebody else: %s", got)
	}
	if got := code(t, call(t, w, `CORP\Administrator`, onprem.BuiltInPassword, "", inbox)); got != "ErrorMissingEmailAddress" {
		t.Errorf("the built-in administrator: %s", got)
	}
}

func TestRequestsThatAreNotTaken(t *testing.T) {
	t.Parallel()
	w, _ := start(t, onprem.Options{Version: "2016"})
	xml := map[string]string{"Content-Type": "text/xml; charset=utf-8"}
	for _, c := range []struct {
		body   string
		status int
		code   string
	}{
		{"", 500, "ErrorInvalidRequest"},
		{"<a/>", 500, "ErrorSchemaValidation"},
		{envelope("Exchange2016", "", `<m:GetFolder/>`), 500, "ErrorSchemaValidation"},
		{envelope("Exchange2016", "", `<m:DeleteEverything/>`), 500, "ErrorSchemaValidation"},
		{envelope("V2018_01_08", "", inbox), 500, "ErrorInvalidServerVersion"}, // newer than this server
		{envelope("Exchange3000", "", inbox), 500, "ErrorInvalidServerVersion"},
		{envelope("Exchange2016", "", strings.Replace(inbox, "inbox", "attic", 1)), 500, "ErrorSchemaValidation"},
		{envelope("Exchange2016", "", strings.Replace(inbox, `Id="inbox"`, `Id="archiveinbox"`, 1)), 200, "ErrorFolderNotFound"},
		{envelope("Exchange2016", "", `<m:GetFolder><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape></m:FolderShape><m:FolderIds><t:FolderId Id="AAAA"/></m:FolderIds></m:GetFolder>`), 200, "ErrorInvalidIdMalformed"},
		{envelope("Exchange2016", "", `<m:GetFolder><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape></m:FolderShape><m:FolderIds><t:DistinguishedFolderId Id="inbox"><t:Mailbox><t:EmailAddress>anna@contoso.example</t:EmailAddress></t:Mailbox></t:DistinguishedFolderId></m:FolderIds></m:GetFolder>`), 200, "ErrorAccessDenied"},
		{envelope("Exchange2016", "", inbox), 200, "NoError"},
	} {
		a := ask(t, w, http.MethodPost, ewsURL, onprem.Admin, onprem.AdminPassword, xml, c.body)
		if got := code(t, a); a.status != c.status || got != c.code {
			t.Errorf("%.200s: %d %s, want %d %s", c.body, a.status, got, c.status, c.code)
		}
	}
	for _, c := range []struct {
		method, url, kind string
		want              int
	}{
		{http.MethodGet, ewsURL, "", 405},
		{http.MethodPost, ewsURL, "application/json", 415},
		{http.MethodPost, ewsURL, "text/xml; charset=utf-16", 415},
		{http.MethodPost, "https://exch01.corp.test/ews/other.asmx", "text/xml", 404},
	} {
		if a := ask(t, w, c.method, c.url, onprem.Admin, onprem.AdminPassword, map[string]string{"Content-Type": c.kind}, "x"); a.status != c.want {
			t.Errorf("%s %s %s: %d, want %d", c.method, c.url, c.kind, a.status, c.want)
		}
	}
}

func TestFoldersAndNames(t *testing.T) {
	t.Parallel()
	w, _ := start(t, onprem.Options{})
	for operation, want := range map[string]string{
		`<m:FindFolder Traversal="Shallow"><m:FolderShape><t:BaseShape>Default</t:BaseShape></m:FolderShape><m:ParentFolderIds><t:DistinguishedFolderId Id="msgfolderroot"/></m:ParentFolderIds></m:FindFolder>`: "<t:DisplayName>Calendar</t:DisplayName>",
		`<m:ResolveNames ReturnFullContactData="false"><m:UnresolvedEntry>anna</m:UnresolvedEntry></m:ResolveNames>`:                                                                                             "<t:EmailAddress>anna@contoso.example</t:EmailAddress>",
		`<m:ResolveNames ReturnFullContactData="false"><m:UnresolvedEntry>nobody</m:UnresolvedEntry></m:ResolveNames>`:                                                                                           "ErrorNameResolutionNoResults",
		`<m:GetServerTimeZones ReturnFullTimeZoneData="true"/>`:                                                                                                                                                  `Id="Tokyo Standard Time"`,
		`<m:ConvertId DestinationFormat="EntryId"><m:SourceIds><t:AlternateId Id="D" Format="EwsId" Mailbox="exadmin@corp.test"/></m:SourceIds></m:ConvertId>`:                                                   "ErrorInvalidIdMalformed",
	} {
		if a := call(t, w, onprem.Admin, onprem.AdminPassword, "", operation); a.status != http.StatusOK || !strings.Contains(a.body, want) {
			t.Errorf("%s: %d %s", operation, a.status, a.body)
		}
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	for _, v := range onprem.Versions() {
		w, _ := start(t, onprem.Options{Version: v.Name})
		a := call(t, w, onprem.Admin, onprem.AdminPassword, "", inbox)
		parts := strings.Split(v.Build, ".")
		if a.status != http.StatusOK || !strings.Contains(a.body, `MinorVersion="`+parts[1]+`" MajorBuildNumber="`+parts[2]+`"`) {
			t.Errorf("%s: %d %.400s", v.Title, a.status, a.body)
		}
	}
	if _, err := onprem.Start(onprem.Options{Version: "2003", Now: time.Now}); !errors.Is(err, onprem.ErrVersion) {
		t.Errorf("2003: %v", err)
	}
}

func TestFaultsOfEWS(t *testing.T) {
	t.Parallel()
	w, _ := start(t, onprem.Options{})
	for _, c := range []struct {
		fault  string
		status int
		code   string
	}{
		{"ews-403", 403, ""}, {"ews-404", 404, ""}, {"down", 503, ""},
		{"ews-fault=ErrorMailboxMoveInProgress", 500, "ErrorMailboxMoveInProgress"}, {"ews-error=ErrorMailboxStoreUnavailable", 200, "ErrorMailboxStoreUnavailable"},
		{"account-locked", 401, ""}, {"account-disabled", 401, ""}, {"password-expired", 401, ""}, {"must-change", 401, ""}, {"no-sign-in", 401, ""},
		{"no-mailbox", 200, "ErrorMissingEmailAddress"},
	} {
		if err := w.SetFault(c.fault); err != nil {
			t.Fatal(err)
		}
		a := call(t, w, onprem.Admin, onprem.AdminPassword, "", inbox)
		if a.status != c.status || c.code != "" && code(t, a) != c.code {
			t.Errorf("%s: %d %s", c.fault, a.status, a.body)
		}
		name, _, _ := strings.Cut(c.fault, "=")
		if err := w.ClearFault(name); err != nil {
			t.Fatal(err)
		}
		if a := call(t, w, onprem.Admin, onprem.AdminPassword, "", inbox); a.status != http.StatusOK || code(t, a) != "NoError" {
			t.Errorf("after %s: %d %s", c.fault, a.status, a.body)
		}
	}
	if err := w.SetFault("ews-busy=1"); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"ErrorServerBusy", "NoError"} {
		if got := code(t, call(t, w, onprem.Admin, onprem.AdminPassword, "", inbox)); got != want {
			t.Errorf("call %d: %s, want %s", i, got, want)
		}
	}
}
