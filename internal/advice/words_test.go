package advice

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/ews"
	"github.com/c2conn/c2conn/internal/graph"
	"github.com/c2conn/c2conn/internal/sharepoint"
)

func TestNilHasNoAdvice(t *testing.T) {
	t.Parallel()
	if For(nil, Facts{}) != nil || ClassOf(nil) != ClassNone {
		t.Error("nil must have no advice and no class")
	}
}

// Every error has to make sense without any facts, as when nothing is known yet.
func TestAdviceWithoutFacts(t *testing.T) {
	t.Parallel()
	for _, k := range knownErrors() {
		sound(t, k.name, For(k.err, Facts{}))
	}
}

func TestDocumentedCodesHaveARow(t *testing.T) {
	t.Parallel()
	for _, code := range []int{
		90002, 900023, 90038, 900382, 900432, 90019, 50059, 50128, 50194, 9002332, 50020, 50034, 51004, 16000, 90072, 50014, 500208,
		700016, 7000229, 500011, 650052, 650056, 650057, 65001, 65002, 65004, 65006, 90094, 90095, 90093, 90099,
		50076, 50079, 50074, 50072, 50078, 50158, 53003, 53000, 53001, 530033, 50097, 53002, 530032, 530034, 530035, 53004, 53010, 53011, 50105,
		7000112, 70001, 50053, 50055, 50144, 50057, 50126, 50196, 70016, 70018, 70019, 70043, 50173, 700082, 50011, 7000218, 700025,
		7000215, 7000222, 700027, 50013, 500133, 700024, 1000031, 70011, 28002, 28003, 700022, 500021, 500022, 500212, 500213,
		90033, 90006, 90090, 50033, 90024, 50000, 90055,
	} {
		if _, ok := entraRow(code, Facts{}); !ok {
			t.Errorf("AADSTS%d has no row", code)
		}
	}
	seen := map[int]bool{}
	for _, table := range [][]entraEntry{entraAppRows, entraUserRows, entraServiceRows} {
		for _, e := range table {
			for _, c := range e.codes {
				if seen[c] {
					t.Errorf("AADSTS%d has two rows", c)
				}
				seen[c] = true
			}
		}
	}
	for from, to := range sameAs() {
		if _, ok := ewsRows()[to]; !ok {
			t.Errorf("%s points to %s, which has no row", from, to)
		}
	}
}

func TestUnknownCodeIsStillLookedUp(t *testing.T) {
	t.Parallel()
	a := For(aadsts(123456), Facts{})
	if a.Link != "https://login.microsoftonline.com/error?code=123456" || !slices.Contains(a.Codes, "AADSTS123456") {
		t.Errorf("link %q, codes %v", a.Link, a.Codes)
	}
	if a.TraceID == "" || a.CorrelationID == "" || !a.Time.Equal(then) || a.Time.Location() != time.UTC {
		t.Errorf("ids or time are lost: %+v", a)
	}
}

// A later code that is known decides when the first is not.
func TestSecondCode(t *testing.T) {
	t.Parallel()
	a := For(aadsts(123456, 7000222), Facts{})
	if !strings.Contains(a.What, "expired") {
		t.Errorf("what: %s", a.What)
	}
}

func TestServerTextIsStripped(t *testing.T) {
	t.Parallel()
	nasty := "bad\x1b[31m\u202ered\u2066\u200b\nline " + strings.Repeat("x", 5000)
	for _, err := range []error{
		&entra.Error{Status: 400, OAuth: nasty, Description: nasty},
		&entra.Error{Status: 400, Codes: []int{700027}, Description: nasty},
		&graph.Error{Status: 400, Code: nasty, Message: nasty},
		&ews.Error{Status: 500, Code: nasty, Message: nasty},
		&ews.Error{Status: 403, PolicyReason: nasty},
		&ews.Error{Status: 401, Diagnostics: "2000099;" + nasty},
		&WrongTenantError{Want: nasty, Got: nasty, Name: nasty},
		&NoMailboxError{Purpose: nasty},
		&RegistrationForbiddenError{Account: nasty, Roles: []string{nasty}},
		&ConsentNeededError{Account: nasty, Roles: []Role{{Name: nasty}}},
		&ExistsError{Name: nasty, Found: []string{nasty}},
		&ReplicationError{What: nasty, Last: errors.New(nasty)},
		&UnfinishedError{Run: nasty, AppName: nasty, Tenant: nasty},
		&NoResourceError{Resource: nasty},
		&LostAnswerError{What: nasty, Tag: nasty, Err: errors.New(nasty)},
		&RollbackError{Left: []string{nasty}, Err: errors.New(nasty)},
		&AccountNeededError{Account: nasty},
		&OwnProofError{Connection: nasty, Reason: ProofRefused}, &RotationPendingError{Connection: nasty, Other: nasty}, &RotationPendingError{Connection: nasty},
		&RotationInUseError{Connection: nasty, Using: []string{nasty}}, &RotationEditedError{Connection: nasty}, &RotationSwitchedError{Connection: nasty}, &RotationBusyError{ClientID: nasty},
		&RotationLeftError{Connection: nasty, Err: &RotationInUseError{Using: []string{nasty}}},
		&entra.SignInTimeoutError{}, &entra.WrongTokenError{Reason: entra.OtherTenant, Got: nasty, Want: nasty},
		errors.New(nasty),
	} {
		f := Facts{Account: nasty, Connection: nasty, TenantDomain: nasty, ClientID: nasty, Permission: nasty, Thumbprint: nasty}
		a := For(err, f)
		f.Login, f.Admin, f.Bootstrap = nasty, nasty, nasty
		sound(t, fmt.Sprintf("%T, signing in", err), For(err, f))
		if strings.ContainsRune(err.Error(), '\x1b') && strings.HasPrefix(fmt.Sprintf("%T", err), "*advice.") && ownText(err) {
			t.Errorf("%T: %q", err, err)
		}
		sound(t, fmt.Sprintf("%T", err), a)
		for _, s := range append([]string{a.What, a.Why}, a.Codes...) {
			if len(s) > 2000 || strings.ContainsRune(s, '\x1b') || strings.ContainsRune(s, '\n') {
				t.Errorf("%T: %q", err, s)
			}
		}
	}
}

// ownText reports whether err belongs to a registration: its text goes to screens
// as it is.
func ownText(err error) bool {
	_, ok := fromRegistration(err, Facts{})
	return ok
}

// What left a registration behind is told before why it broke off, and whoever
// cancelled is told just that.
func TestRollbackComesFirst(t *testing.T) {
	t.Parallel()
	cause := &PolicyLifetimeError{}
	if err := errors.Join(cause, &RollbackError{Left: []string{"x"}}); ClassOf(err) != ClassOther {
		t.Errorf("class %d", ClassOf(err))
	}
	if err := (&LostAnswerError{Err: context.Canceled}); ClassOf(err) != ClassCancelled {
		t.Errorf("class %d", ClassOf(err))
	}
	if err := fmt.Errorf("x: %w", &ReplicationError{Last: aadsts(7000222)}); ClassOf(err) != ClassCheck {
		t.Errorf("class %d", ClassOf(err))
	}
}

// The operations as internal/graph names them.
func TestChangeOf(t *testing.T) {
	t.Parallel()
	for op, want := range map[string]change{
		"read organization": changesNothing, "read user a@b": changesNothing, "read groups": changesNothing, "read mailbox settings": changesNothing, "": changesNothing,
		"read application": looks, "list applications": looks, "list deleted applications": looks, "list the owners of an application": looks,
		"list granted permissions": looks, "list service principals": looks, "read service principal": looks, "list the signed-in user's roles": looks,
		"read the application management policy": looks, "read the signed-in user": looks,
		"create application": registers, "create service principal": registers,
		"set the certificates of an application": alters, "set the permissions that an application asks for": alters, "add a client secret": alters, "remove a client secret": alters,
		"grant a permission": consents, "take a permission back": consents,
		"delete application": deletes, "delete service principal": deletes, "purge from the deleted items": deletes,
	} {
		if got := changeOf(op); got != want {
			t.Errorf("%q: %d, want %d", op, got, want)
		}
	}
}

// An id goes into a command only if it looks like one.
func TestRunArgument(t *testing.T) {
	t.Parallel()
	for _, run := range []string{"", "x; rm -rf /", "01JDXQ5T00000000000000;;AB", strings.Repeat("A", 27)} {
		if got := runArgument(run); got != "" {
			t.Errorf("%q: %q", run, got)
		}
	}
	if f := (Facts{TenantDomain: "x; rm"}); f.tenantArgument() != "TENANT" {
		t.Error(f.tenantArgument())
	}
}

// "Nothing secret was sent" may be said only where it is true.
func TestWhatWasSent(t *testing.T) {
	t.Parallel()
	const nothing = "Nothing secret was sent"
	if a := For(&entra.MetadataError{Host: "h", Status: 200, Reason: "r"}, Facts{}); !strings.Contains(a.Why, nothing) {
		t.Error(a.Why)
	}
	for _, credential := range []string{"", "client-secret", "certificate"} {
		a := For(&entra.TokenAnswerError{Host: "h", Status: 200, Reason: "r"}, Facts{CredentialType: credential})
		if strings.Contains(a.Why, nothing) || !strings.Contains(a.Why, "had been sent") || ClassOf(&entra.TokenAnswerError{}) != ClassAuth {
			t.Errorf("%q: %s", credential, a.Why)
		}
	}
}

// What people paste into PowerShell must be a literal, whatever the facts hold.
func TestCommandsCannotBeInjected(t *testing.T) {
	t.Parallel()
	f := Facts{ClientID: "x'; Remove-Mailbox", Account: "a'‘b@contoso.com'; Remove-Mailbox", Connection: "a b; rm -rf /"}
	a := For(ewsAnswer(403, "", nil), f)
	for _, step := range a.Next {
		if strings.HasPrefix(step, "PS> ") && strings.Contains(step, "Remove-Mailbox") && !strings.Contains(step, "'a''‘‘b@contoso.com''; Remove-Mailbox'") {
			t.Errorf("not a literal: %s", step)
		}
		if strings.HasPrefix(step, "$ ") && step != "$ c2conn verify 'a b; rm -rf /'" {
			t.Errorf("not a word: %s", step)
		}
	}
	if !strings.Contains(strings.Join(a.Next, "\n"), "'CLIENT-ID'") {
		t.Error("a client id that is no GUID must not be printed into a command")
	}
}

// The order is what keeps other programs working: read, add, write, read back,
// and only then, if somebody decides so, switch EWS on.
func TestListIsSetBeforeEWSIsSwitchedOn(t *testing.T) {
	t.Parallel()
	a := For(ewsAnswer(403, "", func(e *ews.Error) { e.PolicyReason = "EWS is disabled for this user or tenant" }), contoso(t))
	steps := strings.Join(a.Next, "\n")
	last := -1
	for _, part := range []string{"$org.EwsAllowedAppIDs", "$ids = ", "Set-OrganizationConfig -EwsAllowedAppIDs", "must name all ids", "on purpose", "-EwsEnabled $true", "24 hours", "$ c2conn verify contoso-backup"} {
		at := strings.Index(steps, part)
		if at <= last {
			t.Errorf("%q stands at %d, after %d", part, at, last)
		}
		last = at
	}
	if !strings.Contains(steps, "'2f1c9e1a-0b1c-4d2e-8f3a-5b6c7d8e77aa'") || !strings.Contains(a.Why, "2026-10-01") || !strings.Contains(a.Why, "2027-04-01") {
		t.Errorf("client id or dates are missing: %s\n%s", a.Why, steps)
	}
}

func TestBlocked(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		e    ews.Error
		want bool
	}{
		{ews.Error{Status: 403, PolicyReason: "EWS is blocked by policy for this user or tenant"}, true},
		{ews.Error{Status: 403}, true},
		{ews.Error{Status: 403, Diagnostics: "2000008;reason=x"}, false},
		{ews.Error{Status: 403, ContentType: "text/html"}, false},
		{ews.Error{Status: 403, Code: "ErrorAccessDenied"}, false},
		{ews.Error{Status: 401}, false},
	} {
		if got := Blocked(&c.e); got != c.want {
			t.Errorf("%+v: %v", c.e, got)
		}
	}
}

// A refusal decides even when a time limit or another error travels with it.
func TestRefusalBeatsItsCompany(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("%w: %w", context.DeadlineExceeded, aadsts(7000222))
	if got := For(err, Facts{}); !strings.Contains(got.What, "expired") {
		t.Errorf("what: %s", got.What)
	}
	if got := ClassOf(fmt.Errorf("x: %w", context.DeadlineExceeded)); got != ClassCheck {
		t.Errorf("class %d", got)
	}
}

func TestJSONForm(t *testing.T) {
	t.Parallel()
	data, err := json.Marshal(For(errors.New("x"), Facts{}))
	if err != nil {
		t.Fatal(err)
	}
	if s := string(data); !strings.Contains(s, `"codes":[]`) || !strings.Contains(s, `"next":[`) || !strings.Contains(s, `"link":""`) || !strings.Contains(s, `"trace_id":""`) {
		t.Error(s)
	}
}

func TestNoPortalNoLink(t *testing.T) {
	t.Parallel()
	f := contoso(t)
	f.Cloud.Portal = ""
	for _, step := range For(aadsts(7000222), f).Next {
		if strings.Contains(step, "https://") {
			t.Errorf("a link without a portal: %s", step)
		}
	}
}

func TestFindingErrorsReadWell(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]string{
		&ValidityError{NotBefore: then, NotAfter: then.AddDate(1, 0, 0), Now: then.Add(-time.Hour)}:  "the certificate is not valid before 2026-11-22",
		&ValidityError{NotBefore: then, NotAfter: then.AddDate(0, 0, 1), Now: then.AddDate(0, 0, 2)}: "the certificate expired on 2026-11-23",
		&ValidityError{NotBefore: then, NotAfter: then.AddDate(0, 0, 10), Now: then}:                 "the certificate expires on 2026-12-02, in 10 days",
		&MissingRolesError{Missing: []Role{{Name: "A"}, {Name: "B"}}}:                                "missing permissions: A, B",
		&NotOfferedError{Kind: "sharepoint", Location: "online"}:                                     "checks for sharepoint connections (online) come with a later version",
		&WrongTenantError{Want: "1", Got: "2"}:                                                       "the tenant is 2, the connection names 1",
		&PolicyLifetimeError{Wanted: 1826 * 24 * time.Hour, Allowed: 24 * time.Hour}:                 "a policy of the tenant forbids a credential that lives 1826 days; 1 day may do",
		&RegistrationForbiddenError{}:                                                                "the account may not register applications in this tenant",
		&RegistrationForbiddenError{Account: "a@b", Roles: []string{"Global Administrator"}}:         "a@b was refused, although its role should be enough",
		&ConsentNeededError{Roles: []Role{{Name: "A"}, {Name: "B"}}}:                                 "waiting for an administrator's consent to A, B",
		&ExistsError{Name: "X", Found: []string{"a", "b"}}:                                           "the tenant has 2 applications named “X” already",
		&ExistsError{Name: "X"}: "the tenant has an application named “X” already",
		&ReplicationError{What: "the consent", Waited: time.Minute, Last: errors.New("no")}: "the consent is not known everywhere in the tenant after 1m0s; last answer: no",
		&UnfinishedError{Run: "R", AppName: "X", Tenant: "T"}:                               "the registration of “X” in T was interrupted and is not finished (run R)",
		&NoResourceError{Resource: "Exchange"}:                                              "the tenant does not have Exchange",
		&LostAnswerError{What: "create the application", Tag: "t"}:                          "no answer came to the request to create the application, so it may have been carried out (look for the tag t)",
		&RollbackError{Left: []string{"a", "b"}, Err: errors.New("no")}:                     "not everything could be removed again: a; b: no",
		&WrongSharePointError{Given: "https://a", Real: "https://b"}:                        "endpoints.sharepoint is https://a, the tenant's own address is https://b",
		&NoSitesError{}:                       "Microsoft Graph lists no site",
		&SeedPermissionsError{}:               "the documented permissions reach no site",
		&LegacyPasswordError{}:                "the password of the administrator cannot be verified",
		&PublicFolderRightsError{}:            "the rights to the public folders are not known",
		&PublicFolderRightsError{Known: true}: "the mailbox does not own the root of the public folders",
		&AccountNeededError{Account: "a@b"}:   "a@b has no mailbox that the connection could be checked with",
	} {
		if err.Error() != want {
			t.Errorf("%q, want %q", err, want)
		}
	}
}

func TestShortFindings(t *testing.T) {
	t.Parallel()
	for _, k := range knownErrors() {
		f := contoso(t)
		if k.facts != nil {
			k.facts(&f)
		}
		s := Short(k.err, f)
		if n := len([]rune(s)); n == 0 || n > shortLimit || strings.HasSuffix(s, "…") && k.name != "Unknown" || strings.ContainsAny(s, "{}") || strings.Contains(s, "(tenant)") || strings.Contains(s, "unknown)") {
			t.Errorf("%s: %d characters: %s", k.name, n, s)
		}
	}
	if Short(nil, Facts{}) != "" {
		t.Error("nil has no finding")
	}
	if s := Short(errors.New(strings.Repeat("long ", 50)), Facts{}); len([]rune(s)) != shortLimit {
		t.Errorf("%q", s)
	}
}

// Whatever a server says, the advice stays one safe line each and complete.
func FuzzForeignText(f *testing.F) {
	f.Add(403, "ErrorAccessDenied", "no", `2000008;reason="x"`, "EWS is disabled for this user or tenant", "text/xml")
	f.Add(500, "\x1b[2J", "\u202e\u2066", ";;;", "\x00", "TEXT/HTML")
	f.Add(0, "", "", "", "", "")
	f.Fuzz(func(t *testing.T, status int, code, message, diagnostics, reason, contentType string) {
		for _, err := range []error{
			&ews.Error{Status: status, Code: code, Message: message, Diagnostics: diagnostics, PolicyReason: reason, ContentType: contentType},
			&graph.Error{Status: status, Code: code, Message: message, ContentType: contentType},
			&graph.Error{Op: "list sites", Status: status, Code: code, Message: message, ContentType: contentType},
			&sharepoint.Error{Host: code, Status: status, Code: code, Message: message, MovedTo: reason, ContentType: contentType},
			&WrongSharePointError{Field: code, Given: message, Real: reason},
			&cloud.SharePointError{Typed: code, Reason: message, Hint: reason, Cloud: code},
			&PublicFolderRightsError{Known: true, Level: code},
			&connections.AccountTakenError{Account: message, By: code},
			&LegacyPasswordError{UPN: message},
			&entra.Error{Status: status, OAuth: code, Description: message, Codes: []int{status}},
		} {
			a := For(err, Facts{})
			for _, s := range append([]string{a.What, a.Why, Short(err, Facts{})}, append(slices.Clone(a.Codes), a.Next...)...) {
				if strings.ContainsAny(s, "\x1b\n\r\x00\u202e\u2066\u200b") || len(s) > 4000 {
					t.Errorf("%T: %q", err, s)
				}
			}
			if a.What == "" || len(a.Next) == 0 {
				t.Errorf("%T: incomplete: %+v", err, a)
			}
		}
	})
}
