package advice

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/c2conn/c2conn/internal/graph"
	"github.com/c2conn/c2conn/internal/transport"
)

// graphEntry is the advice for some codes of Microsoft Graph.
//
// Sources: learn.microsoft.com/graph/errors and /graph/resolve-auth-errors.
type graphEntry struct {
	codes  []string
	status int // 0 means any
	row    row
}

// acceptStep leads to the page on which an administrator consents; without a
// link it is left out.
const acceptStep = "Have a Global Administrator or Privileged Role Administrator accept here: {consentlink}"

// orAccept is acceptStep where another way stands before it.
const orAccept = "Or have a Global Administrator or Privileged Role Administrator accept here: {consentlink}"

const consentSpreads = "If the consent is fresh, wait: it can take from minutes to two hours until it is known everywhere."

var graphRows = []graphEntry{
	{[]string{"Authorization_RequestDenied", "accessDenied", "Forbidden", "AccessDenied"}, 0, row{
		what:  "Microsoft Graph refused: the application lacks {permission}.",
		short: "refused: a permission is missing",
		why:   "The permission is not granted, or the token was issued before it was.",
		next:  []string{"{fix}", "Or by hand: add {permission} and press Grant admin consent: {permissions}", consentSpreads, "{again}"},
		link:  "https://learn.microsoft.com/graph/resolve-auth-errors", class: ClassCheck,
	}},
	{[]string{"PermissionScopeNotGranted"}, 0, row{
		what:  "The token does not carry the permission {permission}.",
		short: "the token does not carry the permission",
		why:   "It was asked for without it. No role of yours changes that.",
		next:  []string{"{fix}", "Or add the permission and consent: {permissions}", "{again}"},
		link:  "https://learn.microsoft.com/graph/resolve-auth-errors", class: ClassCheck,
	}},
	{[]string{"Authorization_IdentityNotFound"}, 0, row{
		what:  "Microsoft Graph does not find the application in the tenant {tenant}.",
		short: "the application is not known in the tenant",
		why:   "The enterprise application (service principal) is missing, was deleted, or is so new that it is not known everywhere.",
		next:  []string{"If it is new, wait two minutes.", acceptStep, "{again}"},
		link:  "https://learn.microsoft.com/graph/resolve-auth-errors", class: ClassCheck,
	}},
	{[]string{"InvalidAuthenticationToken", "Authentication_MissingOrMalformed", "AuthenticationError", "unauthenticated", "TokenExpired", "Authentication_ExpiredToken"}, 0, row{
		what: "Microsoft Graph did not accept the token.",
		why:  "The token was withdrawn or expired, is meant for another cloud, or something on the way changed it.",
		next: []string{"Check the cloud: now it is “{cloud}”.", "Check this computer's clock.", "{again}"},
		link: "https://learn.microsoft.com/graph/resolve-auth-errors", class: ClassAuth,
	}},
	{[]string{"Request_ResourceNotFound", "ResourceNotFound", "itemNotFound", "ErrorInvalidUser", "MailboxNotFound"}, http.StatusNotFound, row{
		what:  "The tenant {tenant} has no user {account}.",
		short: "no such user in the tenant",
		why:   "The address is misspelt, the user was deleted, or it belongs to another tenant. Aliases do not count here: it has to be the user name or the main address.",
		next:  []string{"In the Microsoft 365 admin centre look up the user's exact name (Users › Active users).", "Check that the tenant is the right one.", "{edit}", "{again}"},
		link:  "https://learn.microsoft.com/graph/api/user-get", class: ClassCheck,
	}},
	{[]string{"ErrorInvalidUser"}, 0, row{
		what:  "Microsoft Graph finds no user {account} in the tenant {tenant}.",
		short: "no such user in the tenant",
		why:   "The address is misspelt, the user was deleted, or it belongs to another tenant.",
		next:  []string{"In the Microsoft 365 admin centre look up the user's exact name (Users › Active users).", "{edit}", "{again}"},
		link:  "https://learn.microsoft.com/graph/api/user-get", class: ClassCheck,
	}},
	{[]string{"MailboxNotEnabledForRESTAPI", "MailboxNotSupportedForRESTAPI", "MailboxNotHostedInExchangeOnline"}, 0, row{
		what:  "{account} has no mailbox in Exchange Online.",
		short: "no mailbox in Exchange Online",
		why:   "The user has no licence with Exchange Online, the mailbox is still on an on-premises server, or it is inactive or being made.",
		next: []string{
			"In the Microsoft 365 admin centre check the user's licences (Users › Active users › Licenses and apps).",
			"If you gave the licence just now, wait until the mailbox exists (up to an hour).",
			"Or choose another account that has a mailbox: {edit}",
			"{again}",
		},
		link: "https://learn.microsoft.com/graph/api/user-get-mailboxsettings", class: ClassCheck,
	}},
	// A text, not a code: Graph answers it as ErrorAccessDenied, so it stands before that.
	{[]string{"Access to OData is disabled."}, http.StatusForbidden, row{
		what: "Exchange Online blocks Microsoft Graph for this application.",
		why:  "The organisation's or mailbox's EwsApplicationAccessPolicy does not allow it; it also covers the mailbox part of Graph.",
		next: []string{"As Exchange administrator look at the policy:", "PS> Get-OrganizationConfig | Format-List EwsApplicationAccessPolicy,EwsAllowList,EwsBlockList", "PS> Get-CASMailbox -Identity {accountarg} | Format-List EwsApplicationAccessPolicy,EwsAllowList,EwsBlockList", "{again}"},
		link: "https://learn.microsoft.com/powershell/module/exchange/set-organizationconfig", class: ClassPolicy,
	}},
	{[]string{"ErrorAccessDenied"}, http.StatusForbidden, row{
		what:  "Exchange Online refused to let the application reach the mailbox {account}.",
		short: "access to the mailbox refused",
		why:   "{permission} is not granted, or a policy limits the application to certain mailboxes (application access policy, RBAC for Applications).",
		next: []string{
			"Check the permission and the consent: {permissions}",
			"Ask an Exchange administrator whether the application is limited to some mailboxes:",
			"PS> Test-ApplicationAccessPolicy -AppId {clientguid} -Identity {accountarg}",
			"PS> Test-ServicePrincipalAuthorization -Identity {clientguid} -Resource {accountarg}",
			consentSpreads,
			"{again}",
		},
		link: "https://learn.microsoft.com/exchange/permissions-exo/application-rbac", class: ClassCheck,
	}},
	{[]string{"TooManyRequests", "activityLimitReached", "ApplicationThrottled", "ErrorServerBusy"}, 0, row{
		what:  "Microsoft Graph is busy, and was still busy after c2conn had waited as asked.",
		short: "still busy after all waits",
		why:   "The tenant or the application sends more requests than it takes at the moment. Nothing is wrong with your settings.",
		next:  []string{"Wait a few minutes.", "{again}"},
		link:  "https://learn.microsoft.com/graph/throttling", class: ClassCheck,
	}},
	{[]string{"CredentialInvalidLifetimeAsPerAppPolicy"}, 0, row{
		what:  "A policy of the tenant forbids credentials that live this long.",
		short: "a policy forbids credentials that live this long",
		why:   "An application management policy limits how long certificates or secrets may be valid.",
		next:  []string{"Run the same command again with --cert-days longest: c2conn then finds the longest life that the tenant takes.", "A certificate of your own has to be made anew, with a shorter life:", "$ c2conn cert new --valid 365d"},
		link:  policyLink, class: ClassPolicy,
	}},
	{[]string{"CredentialTypeNotAllowedAsPerAppPolicy"}, 0, row{
		what: "A policy of the tenant forbids this kind of credential.",
		why:  "An application management policy allows no client secrets, or only certificates of a certain authority.",
		next: []string{"With --secret: run the same command again without it, and c2conn makes a certificate.", "If certificates are refused as well, ask for one of the authority that the policy names, and give it with --cert-file FILE."},
		link: policyLink, class: ClassPolicy,
	}},
	{[]string{"SignInAudienceNotAllowedAsPerAppPolicy"}, 0, row{
		what:  "A policy of the tenant allows only applications for this tenant alone.",
		short: "a policy allows applications for this tenant only",
		why:   "The registration names other account types as well.",
		next:  []string{"Choose “Accounts in this organizational directory only” in the registration.", "{again}"},
		link:  policyLink, class: ClassPolicy,
	}},
	{[]string{"Directory_QuotaExceeded"}, 0, quotaRow},
	{[]string{"Directory_ConcurrencyViolation"}, 0, row{
		what: "Entra ID was changing the same object at the same time.",
		why:  "Another program or person changed it in the same second, and went on doing so while c2conn tried again.",
		next: []string{"Wait a minute.", "{again}"},
		link: "https://learn.microsoft.com/graph/errors", class: ClassOther,
	}},
}

const graphErrors = "https://learn.microsoft.com/graph/errors"

// serviceManagementReference is a text, not a code: Graph answers it as Request_BadRequest.
var serviceManagementReference = row{
	what:  "The tenant wants a service management reference for each application.",
	short: "a service management reference is needed",
	why:   "A policy requires the number of an entry in the organisation's service register.",
	next:  []string{"Ask the tenant's administrators for the number.", "c2conn cannot give it, so register by hand and enter it under Branding & properties. This prints each step:", guide},
	link:  "https://learn.microsoft.com/graph/api/resources/application", class: ClassPolicy,
}

// graphIDs are the code and ids of an answer.
func graphIDs(e *graph.Error) judgement {
	j := judgement{time: e.Time, trace: e.RequestID, correlation: e.ClientRequestID}
	if e.Code != "" {
		j.codes = []string{transport.CleanText(e.Code, 80)}
	}
	return j
}

func fromGraph(e *graph.Error, f Facts) judgement {
	j := graphIDs(e)
	if r, ok := adminRow(e, f); ok {
		j.row = r
		return j
	}
	if strings.Contains(e.Message, "ServiceManagementReference field is required") {
		j.row = serviceManagementReference
		return j
	}
	if r, ok := sitesRow(e); ok {
		j.row = r
		return j
	}
	for _, entry := range graphRows {
		for _, code := range entry.codes {
			if (strings.EqualFold(code, e.Code) || strings.EqualFold(code, e.Message)) && (entry.status == 0 || entry.status == e.Status) {
				if entry.status == http.StatusNotFound && !ofUser(e.Op) {
					j.row, j.serviceAnswer = notThereRow, transport.CleanText(e.Message, 300)
					return j
				}
				j.row = f.carried(entry.row, "Microsoft Graph", strings.Contains(e.Op, "site")).later(f, "Microsoft Graph", e.Status, e.RetryAfter, e.Time)
				if strings.HasPrefix(e.Code, "Authorization_") || strings.EqualFold(e.Code, "accessDenied") { // what a server answers that does not know it yet
					j.next = f.waitFirst(j.next)
				}
				return j
			}
		}
	}
	j.serviceAnswer = transport.CleanText(e.Message, 300)
	j.row = byStatus("Microsoft Graph", e.Status, e.Code == "", e.ContentType, hostOr(f.host(f.Cloud.Graph), "graph.microsoft.com"))
	if e.Status == http.StatusForbidden && !isHTML(e.ContentType) {
		j.row = f.carried(j.row, "Microsoft Graph", strings.Contains(e.Op, "site"))
	}
	j.row = j.later(f, "Microsoft Graph", e.Status, e.RetryAfter, e.Time)
	return j
}

// ofUser reports whether a call was about a user or a mailbox.
func ofUser(op string) bool { return strings.Contains(op, "user") || strings.Contains(op, "mailbox") }

// notThereRow is a 404 for what every tenant has.
var notThereRow = row{
	what:  "Microsoft Graph does not find what was asked for (404).",
	short: "not found, although every tenant has it",
	why:   "Every tenant has it, so it is no setting of yours: the service is disturbed, the cloud is the wrong one, or something on the way changed the request.",
	next:  []string{"{again}", "Check the cloud: now it is “{cloud}”.", "If it stays, give the ids below to Microsoft support."},
	link:  graphErrors, class: ClassCheck,
}

// hostOr is a placeholder-free host name for a text.
func hostOr(host, otherwise string) string {
	if host == "" {
		return otherwise
	}
	return host
}

// byStatus is the advice for an answer without a known code. foreign says that
// the body was not the service's own.
func byStatus(service string, status int, foreign bool, contentType, host string) row {
	r := row{class: ClassCheck, link: graphErrors}
	switch {
	case status >= 300 && status < 400:
		r.short = "sent to another address; c2conn did not follow"
		r.what = service + " sent c2conn to another address, and c2conn did not follow."
		r.why = "A token must not be sent to a host that nobody chose. Usually a proxy or a guest network does this."
		r.next = []string{"Open https://" + host + " in a browser on this computer and see which page comes.", "{again}"}
	case strings.Contains(strings.ToLower(contentType), "html") && (status < 400 || status == http.StatusForbidden || status == http.StatusProxyAuthRequired || status == http.StatusUnauthorized || status == 511):
		r.what = fmt.Sprintf("Instead of %s a web page answered.", service)
		r.why = fmt.Sprintf("Something between this computer and %s put its own page there: a proxy, a firewall or the sign-in page of a guest network.", host)
		r.next = []string{
			"Open https://" + host + " in a browser on this computer and see which page comes.",
			"Sign in to the guest network, or ask the network team to let " + host + " pass uninspected.",
			"If a proxy is needed, set it: HTTPS_PROXY=http://proxy.example:8080",
			"{again}",
		}
		r.link = "https://learn.microsoft.com/microsoft-365/enterprise/urls-and-ip-address-ranges"
	case status == http.StatusProxyAuthRequired:
		r = networkRows()[transport.KindProxy].at(host, "")
		r.class, r.link = ClassOther, urlList
	case status == http.StatusTooManyRequests:
		r.what = service + " is busy, and was still busy after c2conn had waited as asked."
		r.short = "still busy after all waits"
		r.why = "Too many requests come from the tenant or the application at the moment. Nothing is wrong with your settings."
		r.next = []string{"Wait a few minutes.", "{again}"}
	case status >= 500:
		r.what = fmt.Sprintf("%s cannot answer at the moment (%d).", service, status)
		r.why = "The service is disturbed or restarting. Nothing is wrong with your settings."
		r.next = []string{"Wait a few minutes.", "{again}", "If it stays, look at https://status.cloud.microsoft and give the ids below to Microsoft support."}
	case status == http.StatusUnauthorized:
		r.what = service + " did not accept the token."
		r.why = "The token was withdrawn, is meant for another cloud, or something on the way changed it."
		r.next = []string{"Check the cloud: now it is “{cloud}”.", "Check this computer's clock.", "{again}"}
		r.class = ClassAuth
	case status == http.StatusForbidden:
		r.what = service + " refused the request."
		r.why = "The application lacks a permission, or a policy of the tenant forbids the call."
		r.next = []string{"Check the permissions and the consent: {permissions}", consentSpreads, "{again}"}
	case status == 0:
		r.what = service + " could not be asked."
		r.why = "No answer came, and the reason is not one that c2conn knows."
		r.next = []string{"{again}", "If it stays, report it with the version:", "$ c2conn version"}
	case foreign:
		r.what = "The answer is not one of " + service + "."
		r.why = fmt.Sprintf("It came with the status %d and cannot be read. Something between this computer and %s may have changed or cut it.", status, host)
		r.next = []string{"Check whether a proxy inspects the traffic to " + host + ".", "{again}", "If it stays, report it with the ids below."}
	default:
		r.what = fmt.Sprintf("%s refused the request (%d).", service, status)
		r.why = "It gave a code for which c2conn has no advice of its own."
		r.next = []string{"Look up the code: see the link.", "{again}", "If it stays, give the ids below to Microsoft support."}
	}
	return r
}
