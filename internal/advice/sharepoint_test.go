package advice

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/ews"
	"github.com/c2conn/c2conn/internal/graph"
	"github.com/c2conn/c2conn/internal/sharepoint"
	"github.com/c2conn/c2conn/internal/transport"
)

// atSites makes the facts those of a SharePoint connection.
func atSites(f *Facts) {
	f.Kind, f.Connection, f.Account, f.Site, f.Permission = connections.SharePoint, "contoso-sites", "", "https://contoso.sharepoint.com", "Sites.FullControl.All"
}

func siteAnswer(status int, code, message string, change ...func(*sharepoint.Error)) error {
	e := &sharepoint.Error{Op: "open root site", Host: "contoso.sharepoint.com", Status: status, Code: code, Message: message, RequestID: "9d9d0000-1111-4222-8333-444455556666", Time: then}
	for _, c := range change {
		c(e)
	}
	return e
}

func noSharePoint(host string) *entra.Error {
	e := aadsts(500011)
	e.Description = "AADSTS500011: The resource principal named https://" + host + " was not found in the tenant named Contoso."
	return e
}

func graphSites(status int, code, message string) error {
	return fmt.Errorf("sites: %w", &graph.Error{Op: "list sites", Status: status, Code: code, Message: message, RequestID: "6a6a0000-1111-4222-8333-444455556666", Time: then})
}

// siteErrors are the errors that SharePoint connections alone meet.
func siteErrors() []known {
	foreign := func(e *sharepoint.Error) { e.MovedTo = "proxy.example"; e.RequestID = "" }
	page := func(e *sharepoint.Error) { e.ContentType, e.RequestID = "text/html", "" }
	byHand := func(f *Facts) { f.Connection = "" }
	carried := func(f *Facts) { f.Carried = true }
	return []known{
		{name: "SharePoint: secret refused", err: siteAnswer(401, "", "Unsupported app only token."), class: ClassCheck},
		{name: "SharePoint: secret refused, not saved", err: siteAnswer(401, "", "Unsupported app only token."), class: ClassCheck, facts: byHand},
		{name: "SharePoint: wrong audience", err: siteAnswer(401, "", "Invalid issuer or signature."), class: ClassAuth},
		{name: "SharePoint: no permission", err: siteAnswer(401, "", "Unsupported security token."), class: ClassCheck},
		{name: "SharePoint: no permission, a moment ago", err: siteAnswer(401, "", "Unsupported security token."), class: ClassCheck, facts: func(f *Facts) { f.Registered = true }},
		{name: "SharePoint: access denied", err: siteAnswer(403, "-2147024891, System.UnauthorizedAccessException", "Access denied."), class: ClassCheck},
		{name: "SharePoint: admin centre denied in a 200", err: siteAnswer(200, "-2147024891, System.UnauthorizedAccessException", "Attempted to perform an unauthorized operation."), class: ClassCheck},
		{name: "SharePoint: access denied, although the permission is there", err: siteAnswer(403, "-2147024891, System.UnauthorizedAccessException", "Access denied."), class: ClassCheck, facts: carried},
		{name: "SharePoint: asks for ten minutes", err: siteAnswer(429, "", "", func(e *sharepoint.Error) { e.RetryAfter, e.RequestID = 10*time.Minute, "" }), class: ClassCheck},
		{name: "SharePoint: asks for a day", err: siteAnswer(503, "", "", func(e *sharepoint.Error) { e.RetryAfter = 24 * time.Hour }), class: ClassCheck},
		{name: "Sites: refused, although the permission is there", err: graphSites(403, "accessDenied", "Access denied"), class: ClassCheck, facts: carried},
		{name: "Sites: the time was up", err: fmt.Errorf("list: %w", &CutShortError{Listed: "12,500 site collections"}), class: ClassCheck},
		{name: "SharePoint: no site", err: siteAnswer(404, "", "404 FILE NOT FOUND"), class: ClassCheck},
		{name: "SharePoint: locked", err: siteAnswer(423, "-2147023570, Microsoft.SharePoint.SPException", "The site is locked."), class: ClassCheck},
		{name: "SharePoint: renamed, 308", err: siteAnswer(308, "", "", func(e *sharepoint.Error) { e.MovedTo = "fabrikam.sharepoint.com" }), class: ClassCheck},
		{name: "SharePoint: admin centre renamed, not saved", err: siteAnswer(308, "", "", func(e *sharepoint.Error) {
			e.Host, e.MovedTo = "contoso-admin.sharepoint.com", "fabrikam-admin.sharepoint.com"
		}), class: ClassCheck, facts: byHand},
		{name: "SharePoint: sent to a foreign host", err: siteAnswer(302, "", "", foreign), class: ClassCheck},
		{name: "SharePoint: proxy page", err: siteAnswer(403, "", "", page), class: ClassCheck},
		{name: "SharePoint: proxy page not found", err: siteAnswer(404, "", "", page), class: ClassCheck},
		{name: "SharePoint: throttled", err: siteAnswer(http.StatusTooManyRequests, "", ""), class: ClassCheck},
		{name: "SharePoint: disturbed", err: siteAnswer(503, "", ""), class: ClassCheck},
		{name: "SharePoint: a code without advice", err: siteAnswer(500, "-2130575252, Microsoft.SharePoint.SPException", "Something of its own."), class: ClassCheck},
		{name: "SharePoint: network", err: &sharepoint.Error{Op: "open root site", Host: "contoso.sharepoint.com", Err: &transport.Error{Kind: transport.KindDNS, Host: "contoso.sharepoint.com"}}, class: ClassOther},
		{name: "SharePoint: cancelled", err: &sharepoint.Error{Op: "open root site", Host: "contoso.sharepoint.com", Err: context.Canceled}, class: ClassCancelled},
		{name: "SharePoint: AADSTS500011", err: noSharePoint("contoso.sharepoint.com"), class: ClassAuth},
		{name: "SharePoint: another address, saved", err: &WrongSharePointError{Given: "https://contoso.sharepoint.com", Real: "https://fabrikam.sharepoint.com"}, class: ClassCheck},
		{name: "SharePoint: another admin address, not saved", err: &WrongSharePointError{Field: "endpoints.admin", Given: "https://contoso-admin.sharepoint.com", Real: "https://fabrikam-admin.sharepoint.com"}, class: ClassCheck, facts: byHand},
		{name: "SharePoint: foreign address", err: &ForeignEndpointError{Field: "endpoints.sharepoint", Got: "https://evil.example", Want: "https://TENANT.sharepoint.com"}, class: ClassCheck},
		{name: "SharePoint: a typed address", err: &cloud.SharePointError{Typed: "sites.contoso.com", Reason: "SharePoint Online has no addresses in a company's own domain such as sites.contoso.com; all end in .sharepoint.com", Hint: "type the name that stands before .onmicrosoft.com in the tenant's initial domain"}, class: ClassUsage, facts: byHand},
		{name: "SharePoint: a typed address of another cloud", err: &cloud.SharePointError{Typed: "contoso.sharepoint.us", Reason: "contoso.sharepoint.us belongs to the cloud usgov, and this connection is for the cloud global", Hint: "choose the cloud usgov, or type the address that the tenant has in global", Cloud: cloud.USGov}, class: ClassUsage, facts: byHand},
		{name: "SharePoint: documented permissions", err: &SeedPermissionsError{Err: graphSites(403, "accessDenied", "Access denied")}, class: ClassCheck},
		{name: "SharePoint: legacy password", err: &LegacyPasswordError{UPN: "admin@contoso.com"}, class: ClassCheck},
		{name: "SharePoint: legacy user name alone", err: &LegacyPasswordError{UPN: "admin@contoso.com", NameOnly: true}, class: ClassCheck, facts: func(f *Facts) { f.CredentialType = connections.TypeClientSecret }},
		{name: "SharePoint: no sites", err: &NoSitesError{}, class: ClassCheck},
		{name: "Graph: sites denied", err: graphSites(403, "accessDenied", "Access denied"), class: ClassCheck, facts: func(f *Facts) { f.Permission = "Sites.Read.All" }},
		{name: "Graph: sites denied, a moment ago", err: graphSites(403, "accessDenied", "Access denied"), class: ClassCheck, facts: func(f *Facts) { f.Permission, f.Registered = "Sites.Read.All", true }},
		{name: "Graph: no SharePoint licence", err: graphSites(400, "BadRequest", "Tenant does not have a SPO license."), class: ClassCheck},
		{name: "Graph: no root site", err: graphSites(404, "itemNotFound", "Requested site could not be found"), class: ClassCheck},
		{name: "Graph: site locked", err: graphSites(423, "resourceLocked", "Access to this site has been blocked."), class: ClassCheck},
		{name: "Permissions: missing, waiting for consent", err: &MissingRolesError{Missing: []Role{{Service: "SharePoint", Name: "Sites.FullControl.All", Why: "to back up and restore sites", Writes: true}}}, class: ClassCheck, facts: func(f *Facts) { f.Waiting = true }},
		{name: "Registration: deleted", err: gone(then.AddDate(0, 0, -1), false), class: ClassOther},
		{name: "Registration: gone", err: gone(time.Time{}, false), class: ClassOther},
		{name: "Registration: gone, deleted ones hidden", err: gone(time.Time{}, true), class: ClassOther},
	}
}

func gone(deleted time.Time, hidden bool) error {
	return &RegistrationGoneError{
		Connection: "contoso sites", Kind: connections.SharePoint, Name: "CodeTwo Backup SharePoint", ClientID: "22222222-2222-4333-8444-555555555555",
		Tenant:  connections.Tenant{ID: "11111111-2222-4333-8444-555555555555", Domain: "contoso.com", Name: "Contoso"},
		Deleted: deleted, Hidden: hidden,
	}
}

// migrationErrors are the errors that migration targets alone meet.
func migrationErrors() []known {
	return []known{
		{name: "Public folders: not owner", err: &PublicFolderRightsError{Known: true}, class: ClassCheck},
		{name: "Public folders: editor", err: &PublicFolderRightsError{Known: true, Level: "PublishingEditor"}, class: ClassCheck},
		{name: "Public folders: rights unknown", err: &PublicFolderRightsError{}, class: ClassCheck},
		{name: "Public folders: refused", err: &PublicFolderRightsError{Err: &ews.Error{Op: "GetFolder publicfoldersroot", Status: 200, Code: "ErrorAccessDenied"}}, class: ClassCheck},
		{name: "Mailbox: taken", err: fmt.Errorf("connection %q: %w", "b", &connections.AccountTakenError{Account: "migration@contoso.com", By: "fabrikam target"}), class: ClassUsage},
	}
}

// Where the connection is saved, advice on permissions names the command that mends
// the registration; while nothing but the consent is missing, that which waits for it.
func TestMendingNamesACommand(t *testing.T) {
	t.Parallel()
	const fix, consent = "$ c2conn verify contoso-sites --fix", "$ c2conn consent contoso-sites --login browser"
	missing := &MissingRolesError{Missing: []Role{{Service: "SharePoint", Name: "Sites.FullControl.All"}}}
	for name, err := range map[string]error{
		"missing": missing, "rest": siteAnswer(401, "", "Unsupported security token."), "graph": graphSites(403, "accessDenied", ""),
		"not listed": aadsts(650057), "certificate": aadsts(700027), "no principal": aadsts(7000229),
		"exchange": ewsAnswer(403, "", func(e *ews.Error) { e.Diagnostics = "2000008;reason=x" }),
	} {
		f := contoso(t)
		atSites(&f)
		if text := nextText(For(err, f)); !strings.Contains(text, fix) || strings.Contains(text, consent) {
			t.Errorf("%s: %s", name, text)
		}
		f.Connection = ""
		if text := nextText(For(err, f)); strings.Contains(text, "--fix") {
			t.Errorf("%s, not saved: %s", name, text)
		}
	}
	f := contoso(t)
	atSites(&f)
	f.Waiting = true
	if text := nextText(For(missing, f)); !strings.Contains(text, consent) || strings.Contains(text, "--fix") {
		t.Errorf("waiting: %s", text)
	}
}

// Only a refusal for a host of SharePoint speaks of SharePoint.
func TestWhichServiceIsMissing(t *testing.T) {
	t.Parallel()
	f := contoso(t)
	atSites(&f)
	exchange := aadsts(500011)
	exchange.Description = "The resource principal named https://outlook.office365.com was not found"
	if a := For(noSharePoint("contoso.sharepoint.com"), f); !strings.Contains(a.Why, f.Site) || strings.Contains(nextText(a), "Exchange") {
		t.Errorf("%+v", a)
	}
	if a := For(exchange, f); !strings.Contains(a.Why, "Exchange Online") {
		t.Errorf("%+v", a)
	}
}

// A token for another resource names that, and speaks of no service of Microsoft 365.
func TestWhichResourceIsMissing(t *testing.T) {
	t.Parallel()
	f := contoso(t)
	atSites(&f)
	f.Connection, f.Resource = "The backup", "api://it's mine"
	e := aadsts(500011)
	e.Description = "The resource principal named api://it's mine was not found"
	a := For(e, f)
	text := nextText(a)
	if !strings.Contains(a.What, f.Resource) || !strings.Contains(text, `$ c2conn token 'The backup' --resource 'api://it'\''s mine'`) || !strings.Contains(text, `az ad sp show --id 'api://it'\''s mine'`) {
		t.Errorf("%+v", a)
	}
	for _, not := range []string{"Exchange", "SharePoint"} {
		if strings.Contains(a.What+a.Why+text, not) {
			t.Errorf("%s is beside the point: %+v", not, a)
		}
	}
}

// What goes into a command cannot end it.
func TestAddressInACommand(t *testing.T) {
	t.Parallel()
	f := contoso(t)
	f.Site, f.Account = "https://x.sharepoint.com'; Remove-SPOSite", "o'neill@contoso.com"
	if text := nextText(For(siteAnswer(423, "", ""), f)); !strings.Contains(text, "'https://x.sharepoint.com''; Remove-SPOSite'") {
		t.Error(text)
	}
	if text := nextText(For(&PublicFolderRightsError{Known: true}, f)); strings.Count(text, "'o''neill@contoso.com'") != 3 {
		t.Error(text)
	}
}
