package advice

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/ews"
	"github.com/c2conn/c2conn/internal/graph"
	"github.com/c2conn/c2conn/internal/transport"
)

var update = flag.Bool("update", false, "write testdata/advices.golden anew")

var (
	then = time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)
	late = time.Date(2027, 4, 2, 6, 0, 0, 0, time.UTC)
)

func globalCloud(t *testing.T) cloud.Cloud {
	t.Helper()
	set, err := cloud.Load(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c, err := set.Find(cloud.Global)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func contoso(t *testing.T) Facts {
	return Facts{
		ClientID: "2f1c9e1a-0b1c-4d2e-8f3a-5b6c7d8e77aa", TenantID: "11111111-2222-4333-8444-555555555555", TenantDomain: "contoso.onmicrosoft.com",
		Account: "admin@contoso.com", Cloud: globalCloud(t), Connection: "contoso-backup", CredentialType: connections.TypeCertificate,
		Thumbprint: "AB12CD34EF56AB12CD34EF56AB12CD34EF56AB12", Kind: connections.Exchange, Now: then,
	}
}

// known is an error, and what is different in the facts.
type known struct {
	name  string
	err   error
	facts func(*Facts)
	class Class
}

// ownBootstrap is an application of the tenant's own to sign in with.
const ownBootstrap = "77770000-1111-4222-8333-444455556666"

// signingIn makes the facts those of an administrator who registers: nothing is
// saved yet.
func signingIn(login string, bootstrap ...string) func(*Facts) {
	return func(f *Facts) {
		f.Login, f.Admin, f.Connection, f.Thumbprint = login, "helga@contoso.com", "", ""
		if len(bootstrap) > 0 {
			f.Bootstrap = bootstrap[0]
		}
	}
}

func aadsts(codes ...int) *entra.Error {
	return &entra.Error{
		Status: 400, OAuth: "invalid_request", Codes: codes, Description: "A text of the service.", Time: then,
		TraceID: "3f2a0000-1111-4222-8333-444455556666", CorrelationID: "9c1d0000-1111-4222-8333-444455556666",
	}
}

func graphAnswer(status int, code, message string) error {
	return &graph.Error{Op: "read users", Status: status, Code: code, Message: message, RequestID: "6a6a0000-1111-4222-8333-444455556666", ClientRequestID: "7b7b0000-1111-4222-8333-444455556666", Time: then}
}

func ewsAnswer(status int, code string, change func(*ews.Error)) error {
	e := &ews.Error{Op: "GetFolder inbox", Status: status, Code: code, Message: "A text of the service.", RequestID: "8c8c0000-1111-4222-8333-444455556666", Time: then}
	if change != nil {
		change(e)
	}
	return e
}

func knownErrors() []known {
	var list []known
	add := func(class Class, name string, err error, facts ...func(*Facts)) {
		k := known{name: name, err: err, class: class}
		if len(facts) > 0 {
			k.facts = func(f *Facts) {
				for _, change := range facts {
					change(f)
				}
			}
		}
		list = append(list, k)
	}
	for _, table := range [][]entraEntry{entraAppRows, entraUserRows, entraServiceRows} {
		for _, e := range table {
			add(e.row.class, fmt.Sprintf("Entra ID: AADSTS%d", e.codes[0]), aadsts(e.codes...))
		}
	}
	add(ClassAuth, "Entra ID: the secret's ID was pasted", aadsts(7000215), func(f *Facts) { f.SecretIsID = true; f.CredentialType = connections.TypeClientSecret })
	add(ClassAuth, "Entra ID: the clock is slow", aadsts(700024), func(f *Facts) { f.Now = then.Add(-20 * time.Minute) })
	add(ClassAuth, "Entra ID: the clock is fast", aadsts(50013), func(f *Facts) { f.Now = then.Add(26 * time.Hour) })
	add(ClassAuth, "Entra ID: wrong tenant in a user's cloud", aadsts(90002), func(f *Facts) {
		f.Cloud = cloud.Cloud{Name: "sim", Title: "Simulated tenant", Login: "https://127.0.0.1:8443", Graph: "https://127.0.0.1:8444", Outlook: "https://127.0.0.1:8445"}
	})
	for _, login := range []string{"browser", "device-code"} {
		for _, code := range []int{53003, 53000} {
			add(ClassPolicy, fmt.Sprintf("Sign-in: AADSTS%d, %s", code, login), aadsts(code), signingIn(login))
		}
	}
	add(ClassPolicy, "Sign-in: AADSTS50105", aadsts(50105), signingIn("browser"))
	add(ClassAuth, "Sign-in: AADSTS7000112, Graph's command line tools", aadsts(7000112), signingIn("browser", graphCLI))
	add(ClassAuth, "Sign-in: AADSTS700016", aadsts(700016), signingIn("browser"))
	add(ClassAuth, "Sign-in: AADSTS700016, own application", aadsts(700016), signingIn("browser", ownBootstrap))
	add(ClassAuth, "Sign-in: AADSTS700016, as an application", aadsts(700016), signingIn("app"))
	add(ClassAuth, "Sign-in: AADSTS50011, own application", aadsts(50011), signingIn("browser", ownBootstrap))
	add(ClassAuth, "Sign-in: AADSTS7000218, own application", aadsts(7000218), signingIn("device-code", ownBootstrap))
	add(ClassConsent, "Sign-in: AADSTS65001, own application", aadsts(65001), signingIn("browser", ownBootstrap))
	add(ClassAuth, "Sign-in: AADSTS65002, own application", aadsts(65002), signingIn("browser", ownBootstrap))
	add(ClassConsent, "Sign-in: AADSTS65004, Graph's command line tools", aadsts(65004), signingIn("browser", graphCLI))
	add(ClassConsent, "Sign-in: AADSTS90094, Graph's command line tools", aadsts(90094), signingIn("browser", graphCLI))
	add(ClassAuth, "Sign-in: AADSTS50194, own application", aadsts(50194), signingIn("browser", ownBootstrap))
	add(ClassAuth, "Sign-in: AADSTS50059", aadsts(50059), signingIn("browser"))
	add(ClassAuth, "Sign-in: AADSTS50020", aadsts(50020), signingIn("browser"))
	add(ClassAuth, "Sign-in: AADSTS90099", aadsts(90099), signingIn("browser"))
	add(ClassAuth, "Sign-in: AADSTS50076 for consent NAME", aadsts(50076), func(f *Facts) { f.Login = "device-code" })
	add(ClassAuth, "Sign-in: too late, browser", &entra.SignInTimeoutError{Limit: 5 * time.Minute}, signingIn("browser"))
	add(ClassAuth, "Sign-in: too late, code", &entra.SignInTimeoutError{Limit: 15 * time.Minute, DeviceCode: true}, signingIn("device-code"))
	add(ClassOther, "Sign-in: no local port", &entra.ListenError{Err: errors.New("the operation is not permitted")}, signingIn("browser"))
	add(ClassAuth, "Token: none", &entra.WrongTokenError{Reason: entra.NotAToken}, signingIn("token"))
	add(ClassAuth, "Token: for another service", &entra.WrongTokenError{Reason: entra.NotForGraph, Got: "https://management.azure.com", Want: "https://graph.microsoft.com"}, signingIn("token"))
	add(ClassAuth, "Token: expired", &entra.WrongTokenError{Reason: entra.TokenExpired, ExpiresOn: then.Add(-time.Hour)}, signingIn("token"))
	add(ClassAuth, "Token: of another tenant", &entra.WrongTokenError{Reason: entra.OtherTenant, Got: "99999999-2222-4333-8444-555555555555", Want: "11111111-2222-4333-8444-555555555555"}, signingIn("browser"))
	add(ClassAuth, "Entra ID: a code without advice", aadsts(123456))
	add(ClassAuth, "Entra ID: no code", &entra.Error{Status: 400, OAuth: "invalid_request", Description: "Something."})
	add(ClassAuth, "Entra ID: 503", &entra.Error{Status: 503})
	add(ClassAuth, "Entra ID: 404", &entra.Error{Status: 404})
	add(ClassAuth, "Entra ID: not its metadata", &entra.MetadataError{Host: "login.microsoftonline.com", Status: 200, Reason: "it is no OpenID configuration"})
	add(ClassAuth, "Entra ID: metadata, 503", &entra.MetadataError{Host: "login.microsoftonline.com", Status: 503, Reason: "it is no OpenID configuration"})

	unread := &entra.TokenAnswerError{Host: "login.microsoftonline.com", Status: 200, Reason: "it holds no token (a proxy's page, perhaps)"}
	add(ClassAuth, "Entra ID: not its token answer, by certificate", unread)
	add(ClassAuth, "Entra ID: not its token answer, by secret", unread, func(f *Facts) { f.CredentialType = connections.TypeClientSecret })
	add(ClassAuth, "Entra ID: not its token answer, credential unknown", unread, func(f *Facts) { f.CredentialType = "" })

	for _, e := range graphRows {
		status := e.status
		if status == 0 {
			status = 403
		}
		add(e.row.class, fmt.Sprintf("Graph: %d %s", status, e.codes[0]), graphAnswer(status, e.codes[0], "A text of the service."), func(f *Facts) { f.Permission = "Group.Read.All" })
	}
	denied := func(op string) error {
		return &graph.Error{Op: op, Status: 403, Code: "Authorization_RequestDenied", Message: "Insufficient privileges to complete the operation.", RequestID: "6a6a0000-1111-4222-8333-444455556666", Time: then}
	}
	for _, login := range []string{"browser", "app"} {
		add(ClassPolicy, "Graph, "+login+": may not register", denied("create application"), signingIn(login))
		add(ClassPolicy, "Graph, "+login+": may not make the service principal", denied("create service principal"), signingIn(login))
		add(ClassConsent, "Graph, "+login+": may not consent", denied("grant a permission"), signingIn(login))
		add(ClassPolicy, "Graph, "+login+": may not add a key", denied("set the certificates of an application"), signingIn(login))
		add(ClassPolicy, "Graph, "+login+": may not delete", denied("delete application"), signingIn(login))
		add(ClassCheck, "Graph, "+login+": may not read", denied("read organization"), signingIn(login))
		add(ClassCheck, "Graph, "+login+": token without the permission", graphAnswer(403, "PermissionScopeNotGranted", "x"), signingIn(login))
	}
	add(ClassConsent, "Graph: may not consent, consent NAME", denied("grant a permission"), func(f *Facts) { f.Login, f.Admin = "browser", "helga@contoso.com" })
	add(ClassCheck, "Graph, browser: account not known", graphAnswer(401, "Authorization_IdentityNotFound", "x"), signingIn("browser"))
	add(ClassAuth, "Graph, browser: sign-in over", graphAnswer(401, "Authentication_MissingOrMalformed", "x"), signingIn("browser"))
	add(ClassCheck, "Graph, browser: not known yet", graphAnswer(404, "Request_ResourceNotFound", "Resource '1' does not exist."), signingIn("browser"))
	add(ClassCheck, "Graph, browser: not known yet, said otherwise", graphAnswer(403, "Authorization_RequestDenied", "When using this permission, the backing application of the service principal being created must in the local tenant"), signingIn("browser"))
	add(ClassCheck, "Graph, browser: not there", graphAnswer(404, "", ""), signingIn("browser"))
	add(ClassPolicy, "Graph: service management reference", graphAnswer(400, "Request_BadRequest", "ServiceManagementReference field is required for Create, but is missing in the request"))
	add(ClassCheck, "Graph: a code without advice", graphAnswer(400, "Request_BadRequest", "Invalid filter clause."))
	add(ClassCheck, "Graph: 503", graphAnswer(503, "", ""))
	add(ClassCheck, "Graph: 429", graphAnswer(429, "", ""))
	add(ClassCheck, "Graph: asks for ten minutes", &graph.Error{Op: "read user x", Status: 429, Code: "TooManyRequests", RetryAfter: 10 * time.Minute, Time: then})
	add(ClassCheck, "Graph: no such object, not of a user", &graph.Error{Op: "read organization", Status: 404, Code: "itemNotFound", Message: "Item not found", RequestID: "6a6a0000-1111-4222-8333-444455556666", Time: then})
	add(ClassCheck, "Graph: denied, although the permission is there", graphAnswer(403, "Authorization_RequestDenied", "x"), func(f *Facts) { f.Permission, f.Carried = "Group.Read.All", true })
	add(ClassCheck, "Graph: mailbox refused, although the permission is there", graphAnswer(403, "ErrorAccessDenied", "x"), func(f *Facts) { f.Permission, f.Carried = "MailboxSettings.Read", true })
	add(ClassAuth, "Graph: 401", graphAnswer(401, "", ""))
	add(ClassOther, "Graph: 407", graphAnswer(407, "", ""))
	add(ClassCheck, "Graph: 302", graphAnswer(302, "", ""))
	add(ClassCheck, "Graph: a web page", &graph.Error{Op: "read users", Status: 200, ContentType: "text/html; charset=utf-8", Time: then})
	add(ClassCheck, "Graph: nothing readable", &graph.Error{Op: "read users", Status: 200, Time: then})

	add(ClassPolicy, "EWS: switched off for the tenant", ewsAnswer(403, "", func(e *ews.Error) { e.PolicyReason = "EWS is disabled for this user or tenant" }))
	add(ClassPolicy, "EWS: application not listed", ewsAnswer(403, "", func(e *ews.Error) { e.PolicyReason = "EWS is blocked by policy for this user or tenant" }))
	add(ClassPolicy, "EWS: application not listed, not saved, no GUID, odd account", ewsAnswer(403, "", func(e *ews.Error) { e.PolicyReason = "EWS is blocked by policy for this user or tenant" }),
		func(f *Facts) { f.Connection, f.ClientID, f.Account = "", "x'; Remove-Mailbox", "o'neill@contoso.com" })
	add(ClassCheck, "EWS: asks for an hour", ewsAnswer(500, "ErrorServerBusy", func(e *ews.Error) { e.RetryAfter = time.Hour }))
	add(ClassCheck, "EWS: denied, although the permission is there", ewsAnswer(500, "ErrorImpersonateUserDenied", nil), func(f *Facts) { f.Permission, f.Carried = "full_access_as_app", true })
	add(ClassConsent, "EWS: no scope, although the permission is there", ewsAnswer(403, "", func(e *ews.Error) { e.Diagnostics = `2000008;reason="x"` }), func(f *Facts) { f.Permission, f.Carried = "full_access_as_app", true })
	add(ClassPolicy, "EWS: 403 without a reason", ewsAnswer(403, "", nil))
	add(ClassConsent, "EWS: x-ms-diagnostics 2000008", ewsAnswer(403, "", func(e *ews.Error) {
		e.Diagnostics = `2000008;reason="The token contains not enough scope to make this call.";error_category="invalid_grant"`
	}))
	add(ClassAuth, "EWS: x-ms-diagnostics 2000003", ewsAnswer(401, "", func(e *ews.Error) {
		e.Diagnostics = `2000003;reason="The audience claim value is invalid 'aud'.";error_category="invalid_resource"`
	}))
	add(ClassCheck, "EWS: x-ms-diagnostics 2000004", ewsAnswer(401, "", func(e *ews.Error) {
		e.Diagnostics = `2000004;reason="The tenant for tenant guid does not exist.";error_category="invalid_tenant"`
	}))
	add(ClassAuth, "EWS: another diagnosis", ewsAnswer(401, "", func(e *ews.Error) { e.Diagnostics = `2000010;reason="Something else."` }))
	add(ClassCheck, "EWS: 404 before the end", ewsAnswer(404, "", nil))
	add(ClassCheck, "EWS: 404 after the end", ewsAnswer(404, "", func(e *ews.Error) { e.Time = late }))
	add(ClassCheck, "EWS: 410", ewsAnswer(410, "", nil))
	var codes []string
	for code := range ewsRows() {
		codes = append(codes, code)
	}
	slices.Sort(codes)
	for _, code := range codes {
		add(ewsRows()[code].class, "EWS: "+code, ewsAnswer(500, code, nil))
	}
	add(ClassCheck, "EWS: a code without advice", ewsAnswer(500, "ErrorSomethingNew", nil))
	add(ClassCheck, "EWS: a web page", &ews.Error{Op: "GetFolder inbox", Status: 403, ContentType: "text/html", Time: then})

	for _, kind := range []transport.Kind{transport.KindDNS, transport.KindRefused, transport.KindUnreachable, transport.KindAuthority, transport.KindExpired,
		transport.KindHostName, transport.KindTLS, transport.KindProxy, transport.KindTimeout, transport.KindCut, transport.KindTooLarge, transport.KindOther} {
		add(ClassOther, "Network: "+string(kind), fmt.Errorf("read users: %w", &graph.Error{Op: "read users", Err: &transport.Error{Kind: kind, Host: "graph.microsoft.com", Proxy: "proxy.contoso.com:8080", Tries: 2, Err: errors.New("cause")}}))
	}
	add(ClassOther, "Network: proxy wants a password", &transport.Error{Kind: transport.KindProxy, Host: "graph.microsoft.com", Proxy: "proxy.contoso.com:8080", Err: &transport.ProxyError{Proxy: "proxy.contoso.com:8080", Status: 407}})
	add(ClassOther, "Network: token for another host", &transport.ForeignHostError{Want: "graph.microsoft.com", Got: "evil.example"})
	add(ClassCheck, "Time limit", fmt.Errorf("read users: %w", context.DeadlineExceeded))
	add(ClassCancelled, "Cancelled", fmt.Errorf("read users: %w", context.Canceled))

	add(ClassCheck, "Certificate: expired", &ValidityError{NotBefore: then.AddDate(-2, 0, 0), NotAfter: then.AddDate(0, 0, -7), Now: then})
	add(ClassCheck, "Certificate: expires soon", &ValidityError{NotBefore: then.AddDate(-2, 0, 0), NotAfter: then.AddDate(0, 0, 12), Now: then})
	add(ClassCheck, "Certificate: not valid yet", &ValidityError{NotBefore: then.Add(time.Hour), NotAfter: then.AddDate(2, 0, 0), Now: then})
	missing := []Role{
		{Service: "Microsoft Graph", Name: "Group.Read.All", Why: "to list groups and their mailboxes"},
		{Service: "Office 365 Exchange Online", Name: "full_access_as_app", Why: "to back up and restore mailboxes", Writes: true},
	}
	add(ClassCheck, "Permissions: missing", &MissingRolesError{Missing: missing})
	add(ClassConsent, "Permissions: none", &MissingRolesError{Missing: missing, None: true})
	add(ClassCheck, "Permissions: RBAC for Applications", &MissingRolesError{Missing: missing[1:], EWSWork: true})
	add(ClassCheck, "Permissions: superfluous", &SuperfluousRolesError{Roles: []Role{
		{Service: "Microsoft Graph", Name: "Mail.ReadWrite", Allows: "read, change and delete the mail of every mailbox", Writes: true}, {Service: "Microsoft Graph", Name: "Application.ReadWrite.All"}}})
	add(ClassCheck, "Tenant: another one answered", &WrongTenantError{Want: "11111111-2222-4333-8444-555555555555", Got: "99999999-2222-4333-8444-555555555555", Name: "Fabrikam"})
	add(ClassCheck, "Profile: a foreign address", &ForeignEndpointError{Field: "endpoints.ews", Got: "https://evil.example", Want: "https://outlook.office365.com/EWS/Exchange.asmx"})
	add(ClassCheck, "Profile: an unreadable address", &ForeignEndpointError{Field: "endpoints.ews", Want: "https://outlook.office365.com/EWS/Exchange.asmx"})
	add(ClassCheck, "Mailbox: a room", &NoMailboxError{Purpose: "room"})
	add(ClassUsage, "Kind: later", &NotOfferedError{Kind: connections.MigrationTarget, Location: connections.OnPremises})
	for _, k := range siteErrors() {
		add(k.class, k.name, k.err, atSites, func(f *Facts) {
			if k.facts != nil {
				k.facts(f)
			}
		})
	}
	for _, k := range farmErrors() {
		add(k.class, k.name, k.err, k.facts)
	}
	for _, k := range migrationErrors() {
		add(k.class, k.name, k.err, func(f *Facts) {
			f.Kind, f.Connection, f.Account = connections.MigrationTarget, "contoso-target", "migration@contoso.com"
		})
	}

	refused := graphAnswer(400, "CredentialInvalidLifetimeAsPerAppPolicy", "Credential lifetime exceeds the max value allowed as per assigned policy.")
	add(ClassPolicy, "Registration: lives too long, limit known", &PolicyLifetimeError{Wanted: 1826 * 24 * time.Hour, Allowed: 180 * 24 * time.Hour, PolicyID: "5b5b0000-1111-4222-8333-444455556666", Err: refused}, signingIn("browser"))
	add(ClassPolicy, "Registration: lives too long, limit unknown", &PolicyLifetimeError{Wanted: 730 * 24 * time.Hour, Err: refused}, signingIn("browser"), func(f *Facts) { f.CredentialType = connections.TypeClientSecret })
	add(ClassPolicy, "Registration: lives too long, nothing shorter is tried", &PolicyLifetimeError{Wanted: 90 * 24 * time.Hour, Err: refused}, signingIn("browser"))
	add(ClassPolicy, "Registration: no secrets", &SecretsForbiddenError{Err: graphAnswer(400, "CredentialTypeNotAllowedAsPerAppPolicy", "x")}, signingIn("browser"))
	add(ClassPolicy, "Registration: forbidden", &RegistrationForbiddenError{Account: "helga@contoso.com", Roles: []string{"Exchange Administrator", "Global Reader"}, Err: denied("create application")}, signingIn("browser"))
	for _, login := range []string{"browser", "token"} {
		add(ClassPolicy, "Registration: forbidden in spite of the role, "+login, &RegistrationForbiddenError{Account: "helga@contoso.com", Roles: []string{"Global Administrator"}, Err: denied("create service principal")}, signingIn(login))
	}
	add(ClassPolicy, "Registration: forbidden to an application", &RegistrationForbiddenError{Err: denied("create application")}, signingIn("app"))
	waiting := &ConsentNeededError{Roles: missing[:1], Account: "helga@contoso.com", Link: "https://login.microsoftonline.com/11111111-2222-4333-8444-555555555555/adminconsent?client_id=2f1c9e1a-0b1c-4d2e-8f3a-5b6c7d8e77aa", Err: denied("grant a permission")}
	add(ClassConsent, "Registration: waiting for consent, saved", waiting)
	add(ClassConsent, "Registration: waiting for consent, not saved", waiting, signingIn("browser"))
	add(ClassConsent, "Registration: waiting for consent to Exchange only", &ConsentNeededError{Roles: missing[1:]})
	add(ClassOther, "Registration: name exists", &ExistsError{Name: "CodeTwo Backup Exchange", Found: []string{"3c3c0000-1111-4222-8333-444455556666, registered 2026-02-03, 2 certificates, owner Helga Huber"}}, signingIn("browser"))
	add(ClassOther, "Registration: name exists twice", &ExistsError{Name: "CodeTwo Backup Exchange", Found: []string{"3c3c0000-1111-4222-8333-444455556666, registered 2026-02-03", "4d4d0000-1111-4222-8333-444455556666, registered 2026-09-13"}}, signingIn("browser"))
	add(ClassCheck, "Registration: not everywhere, saved", &ReplicationError{What: "the consent", Waited: 3 * time.Minute, Last: aadsts(700016)})
	isNew := func(f *Facts) { f.Registered = true }
	for _, code := range []int{700016, 65001} {
		class := ClassAuth
		if code == 65001 {
			class = ClassConsent
		}
		add(class, fmt.Sprintf("Registration: a moment ago, AADSTS%d", code), aadsts(code), isNew)
	}
	add(ClassConsent, "Registration: a moment ago, permissions missing", &MissingRolesError{Missing: missing, None: true}, isNew)
	add(ClassCheck, "Registration: a moment ago, Graph refuses", graphAnswer(403, "Authorization_RequestDenied", "x"), isNew, func(f *Facts) { f.Permission = "Group.Read.All" })
	add(ClassCheck, "Registration: not everywhere, being saved", &ReplicationError{What: "the application", Waited: 3 * time.Minute, Last: aadsts(700016)}, isNew)
	add(ClassCheck, "Registration: not everywhere, not saved", &ReplicationError{What: "the application", Waited: 90 * time.Second}, signingIn("browser"))
	add(ClassOther, "Registration: unfinished", &UnfinishedError{Run: "01JDXQ5T0000000000000000AB", AppName: "CodeTwo Backup Exchange", Tenant: "contoso.onmicrosoft.com", Started: then.Add(-26 * time.Hour)}, signingIn("browser"))
	add(ClassPolicy, "Registration: quota", &QuotaError{Err: graphAnswer(403, "Directory_QuotaExceeded", "x")}, signingIn("browser"))
	add(ClassCheck, "Registration: no Exchange Online", &NoResourceError{Resource: "Office 365 Exchange Online"}, signingIn("browser"))
	renewing := func(reason ProofReason, err error) *OwnProofError {
		return &OwnProofError{Connection: "contoso-exchange", Reason: reason, Err: err}
	}
	add(ClassUsage, "Rotation: a client secret proves nothing", renewing(ProofBySecret, nil))
	add(ClassUsage, "Rotation: ids unknown", renewing(ProofIDsUnknown, nil))
	add(ClassUsage, "Rotation: refused", renewing(ProofRefused, denied("add a certificate")))
	add(ClassUsage, "Rotation: cannot sign in", renewing(ProofNoSignIn, aadsts(700027)))
	add(ClassUsage, "Rotation: taken back by an administrator", &OwnProofError{Connection: "contoso-exchange", Reason: ProofIDsUnknown, Flags: "--abandon"})
	add(ClassOther, "Rotation: the last one is not ended", &RotationPendingError{Connection: "contoso-exchange", Due: then.Add(20 * time.Hour)})
	add(ClassOther, "Rotation: another certificate is under way", &RotationPendingError{Connection: "contoso-exchange", Other: "AB12AB12AB12AB12AB12AB12AB12AB12AB12AB12"})
	add(ClassOther, "Rotation: the old one is left", &RotationLeftError{Connection: "contoso-exchange", Err: &RotationInUseError{Connection: "contoso-exchange", Using: []string{"contoso copy"}}})
	add(ClassUsage, "Rotation: the old one is left, by an administrator", &RotationLeftError{Connection: "contoso-exchange", Err: renewing(ProofRefused, nil)})
	add(ClassOther, "Rotation: the old one is in use", &RotationInUseError{Connection: "contoso-exchange", Using: []string{"contoso-copy"}})
	add(ClassOther, "Rotation: edited meanwhile", &RotationEditedError{Connection: "contoso-exchange"})
	add(ClassOther, "Rotation: not taken back", &RotationSwitchedError{Connection: "contoso-exchange", Finishable: true})
	add(ClassOther, "Rotation: not taken back, not finished", &RotationSwitchedError{Connection: "contoso-exchange"})
	add(ClassOther, "Rotation: busy", &RotationBusyError{ClientID: "2f1c9e1a-0b1c-4d2e-8f3a-5b6c7d8e77aa"})
	add(ClassOther, "Registration: lost answer", &LostAnswerError{What: "create the application", Tag: "c2conn:run:01jdxq5t0000000000000000ab", Err: &transport.Error{Kind: transport.KindCut, Host: "graph.microsoft.com"}}, signingIn("browser"))
	add(ClassOther, "Registration: lost answer, removed since", &LostAnswerError{What: "create the application", Tag: "c2conn:run:01jdxq5t0000000000000000ab"}, signingIn("browser"), func(f *Facts) { f.Removed = true })
	add(ClassOther, "Registration: rollback", &RollbackError{Left: []string{"application CodeTwo Backup Exchange (2f1c9e1a-0b1c-4d2e-8f3a-5b6c7d8e77aa)", "its entry under Deleted applications"}, Err: denied("delete application")}, signingIn("browser"))
	add(ClassUsage, "Registration: no mailbox named", &AccountNeededError{}, signingIn("app"))
	add(ClassUsage, "Registration: administrator without mailbox", &AccountNeededError{Account: "helga@contoso.com"}, signingIn("browser"))

	for _, e := range localRows() {
		add(e.row.class, "Local: "+e.err.Error(), fmt.Errorf("doing it: %w", e.err))
	}
	add(ClassUsage, "Local: several certificates", &certs.SeveralError{Candidates: []certs.Candidate{{Subject: "CN=a", Thumbprint: "AB12", NotAfter: "2031-11-22"}}})
	add(ClassUsage, "Local: several keys that cannot be told apart", &certs.SeveralError{})
	add(ClassUsage, "Local: small key", &certs.KeyTooSmallError{Bits: 1024})
	add(ClassUsage, "Local: unsupported key", &certs.UnsupportedKeyError{Kind: "ECDSA"})
	add(ClassUsage, "Local: no thumbprint", &certs.ThumbprintError{Text: "a thumbprint has 40 or 64 digits; this has 32"})
	add(ClassOther, "Local: damaged file", &connections.DamagedError{Path: "connections/contoso.yaml", Line: 7, Err: errors.New("no mapping")})
	add(ClassOther, "Local: newer file", &connections.NewerSchemaError{Path: "connections/contoso.yaml", Found: 2})
	add(ClassOther, "Local: folder too open", &connections.PermissionError{Path: "state", Problem: connections.TooOpen, Dir: true})
	add(ClassOther, "Local: disk full", &connections.FullError{Path: "connections/contoso.yaml", Err: errors.New("no space")})
	add(ClassOther, "Local: locked", &connections.LockedError{Path: "state/.lock", Waited: 10 * time.Second})
	add(ClassOther, "Local: keychain", &connections.KeychainError{Err: errors.New("is locked")})
	add(ClassOther, "Local: reference", &connections.ReferenceError{Ref: "env:SECRET", Err: errors.New("the variable is not set")})
	add(ClassUsage, "Local: field", &connections.FieldError{Field: "account", Reason: "must look like name@domain"})
	add(ClassUsage, "Local: cloud definition", &cloud.DefinitionError{Path: "sim.yaml", Line: 3, Key: "graph", Text: "is no https address"})
	add(ClassUsage, "Local: no tenant name", &entra.TenantNameError{Name: "con toso"})
	add(ClassOther, "Local: key did not sign", &entra.SignError{Err: errors.New("the card was removed")})
	add(ClassOther, "Local: another certificate", &entra.MismatchError{Want: "AB12", Got: "CD34"})
	add(ClassUsage, "Local: no address", &ews.MailboxError{Mailbox: "admin"})
	add(ClassOther, "A fault in c2conn", bug{})
	add(ClassOther, "Unknown", errors.New("something nobody thought of"))
	return list
}

type bug struct{}

func (bug) Error() string { return "task ews stopped: index out of range" }
func (bug) Bug() bool     { return true }

func (k known) advise(t *testing.T) *Advice { return For(k.err, k.withFacts(t)) }

// withFacts is what is known of the connection that the error concerns.
func (k known) withFacts(t *testing.T) Facts {
	f := contoso(t)
	if k.facts != nil {
		k.facts(&f)
	}
	return f
}

func TestEveryAdvice(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	out.WriteString("All advices of c2conn, as an administrator reads them. Made by: go test ./internal/advice -update\n")
	for _, k := range knownErrors() {
		a := k.advise(t)
		fmt.Fprintf(&out, "\n== %s (exit %d)\n%s", k.name, int(ClassOf(k.err)), text(a))
		if got := ClassOf(k.err); got != k.class {
			t.Errorf("%s: class %d, want %d", k.name, got, k.class)
		}
		if f := k.withFacts(t); judge(k.err, f).class != k.class { // exit codes are taken without facts
			t.Errorf("%s: the facts change the class to %d", k.name, judge(k.err, f).class)
		}
		sound(t, k.name, a)
	}
	golden := filepath.Join("testdata", "advices.golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != string(want) {
		t.Errorf("the advices differ from %s; look at the difference and run the test with -update", golden)
	}
}

// sound checks what every advice must be.
func sound(t *testing.T, name string, a *Advice) {
	t.Helper()
	if a == nil || a.What == "" || a.Why == "" || len(a.Next) == 0 || a.Codes == nil {
		t.Errorf("%s: incomplete advice %+v", name, a)
		return
	}
	all := append([]string{a.What, a.Why, a.Link}, a.Next...)
	for _, s := range all {
		if strings.ContainsAny(s, "{}") && !strings.HasPrefix(s, "PS> ") {
			t.Errorf("%s: a placeholder is left in %q", name, s)
		}
		if strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }) {
			t.Errorf("%s: control characters in %q", name, s)
		}
		if strings.Contains(s, "  ") {
			t.Errorf("%s: two spaces in %q", name, s)
		}
	}
	if a.Link != "" && !strings.HasPrefix(a.Link, "https://") {
		t.Errorf("%s: link %q", name, a.Link)
	}
	for _, step := range a.Next {
		words, _, _ := strings.Cut(step, "https://")
		if n := len([]rune(words)); n > 230 && !strings.HasPrefix(step, "PS> ") {
			t.Errorf("%s: a step of %d characters: %s", name, n, step)
		}
	}
}

// text renders an advice the way the plain-text output does, roughly.
func text(a *Advice) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n", a.What, a.Why)
	n := 0
	for _, step := range a.Next {
		if strings.HasPrefix(step, "$ ") || strings.HasPrefix(step, "PS> ") {
			fmt.Fprintf(&b, "     %s\n", step)
			continue
		}
		n++
		fmt.Fprintf(&b, "  %d. %s\n", n, step)
	}
	if a.Link != "" {
		fmt.Fprintf(&b, "  Link: %s\n", a.Link)
	}
	ids := slices.Clone(a.Codes)
	if a.TraceID != "" {
		ids = append(ids, "trace "+a.TraceID)
	}
	if a.CorrelationID != "" {
		ids = append(ids, "correlation "+a.CorrelationID)
	}
	if !a.Time.IsZero() {
		ids = append(ids, a.Time.Format("2006-01-02 15:04:05Z"))
	}
	if len(ids) > 0 {
		fmt.Fprintf(&b, "  Codes: %s\n", strings.Join(ids, " · "))
	}
	return b.String()
}
