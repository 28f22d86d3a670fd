package advice

import (
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/c2conn/c2conn/internal/ews"
	"github.com/c2conn/c2conn/internal/transport"
)

const (
	ewsControl  = "https://learn.microsoft.com/exchange/client-developer/exchange-web-services/how-to-control-access-to-ews-in-exchange"
	ewsCodes    = "https://learn.microsoft.com/exchange/client-developer/web-service-reference/responsecode"
	ewsOAuth    = "https://learn.microsoft.com/exchange/client-developer/exchange-web-services/how-to-authenticate-an-ews-application-by-using-oauth"
	ewsRetiring = "Exchange Online switches EWS off tenant by tenant since 2026-10-01 and ends it for good on 2027-04-01; Exchange Server is not concerned."
)

// ewsEnd is when Exchange Online stops serving EWS to anybody.
//
// Source: techcommunity.microsoft.com, post 4492361 of 2026-02-05.
var ewsEnd = time.Date(2027, 4, 1, 0, 0, 0, 0, time.UTC)

// listSteps put the application on the tenant's list without losing what is on
// it: the parameter replaces the whole list and reads back as one text joined by
// commas. The guard keeps a failed reading from emptying the list.
//
// Source: learn.microsoft.com/powershell/module/exchange/set-organizationconfig, EwsAllowedAppIDs.
var listSteps = []string{
	"As Exchange administrator open PowerShell with the module ExchangeOnlineManagement and sign in:",
	"PS> Connect-ExchangeOnline",
	"Read the list as it is now, and keep a copy of what you see:",
	"PS> $org = Get-OrganizationConfig -RetrieveEwsOperationAccessPolicy; $org.EwsAllowedAppIDs",
	"PS> (Get-OrganizationConfig).EwsEnabled",
	"Add this application; the ids on the list stay:",
	"PS> $ids = @(@($org.EwsAllowedAppIDs) -split '[,; ]+' | Where-Object { $_ }) + '{clientguid}' | ForEach-Object { $_.Trim().ToLower() } | Sort-Object -Unique",
	"PS> if ($org) { Set-OrganizationConfig -EwsAllowedAppIDs ($ids -join ',') }",
	"Read it back; it must name all ids from before and {clientguid}:",
	"PS> (Get-OrganizationConfig -RetrieveEwsOperationAccessPolicy).EwsAllowedAppIDs",
}

// enableSteps come only after the list is set: with EWS on and an empty list
// nobody gets in.
var enableSteps = []string{
	"Only if EwsEnabled was not True, and your organisation has decided to use EWS until it ends: switch it on. False may have been set on purpose, so ask first. Once it is True, programs that are not on the list lose EWS.",
	"PS> Set-OrganizationConfig -EwsEnabled $true",
	"If EwsEnabled was True already, the mailbox itself may be excluded:",
	"PS> Get-CASMailbox -Identity {accountarg} | Format-List EwsEnabled",
	"If that says False, and nobody meant it so, let the mailbox in:",
	"PS> Set-CASMailbox -Identity {accountarg} -EwsEnabled $true",
}

var userAgentSteps = []string{
	"If {clientguid} was on the list already, look for a rule about program names (user agents):",
	"PS> Get-OrganizationConfig | Format-List EwsApplicationAccessPolicy,EwsAllowList,EwsBlockList",
	"PS> Get-CASMailbox -Identity {accountarg} | Format-List EwsApplicationAccessPolicy,EwsAllowList,EwsBlockList",
}

var afterListSteps = []string{"Wait: Exchange Online takes up to 24 hours to apply the list.", "{again}"}

func steps(parts ...[]string) []string {
	var all []string
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// Blocked reports whether Exchange Online refused because the tenant's (or the
// mailbox's) settings close EWS, not because of this application's permissions.
// A 403 that says neither counts as blocked: it is the likeliest cause.
func Blocked(e *ews.Error) bool {
	return e.PolicyReason != "" || (e.Status == http.StatusForbidden && e.Code == "" && diagnostic(e) == "" && !isHTML(e.ContentType))
}

func isHTML(contentType string) bool { return strings.Contains(strings.ToLower(contentType), "html") }

// diagnostic is the number at the head of x-ms-diagnostics, such as 2000008.
func diagnostic(e *ews.Error) string {
	number, _, _ := strings.Cut(e.Diagnostics, ";")
	number = strings.TrimSpace(number)
	if number == "" || strings.ContainsFunc(number, func(r rune) bool { return r < '0' || r > '9' }) {
		return ""
	}
	return number
}

func blockedRow(e *ews.Error) row {
	r := row{link: ewsControl, class: ClassPolicy}
	switch reason := strings.ToLower(e.PolicyReason); {
	case strings.Contains(reason, "disabled"):
		r.what = "EWS is switched off in this tenant or for the mailbox {account}."
		r.short = "EWS is switched off: blocked by this tenant"
		r.why = "EwsEnabled is False for the organisation or for the mailbox. " + ewsRetiring
		r.next = steps(listSteps, enableSteps, afterListSteps)
	case e.PolicyReason != "":
		r.what = "EWS is on in this tenant, but this application is not allowed to use it."
		r.short = "blocked by this tenant: the application is not allowed"
		r.why = "The client ID {client} is not on the organisation's list EwsAllowedAppIDs, or a rule about program names (user agents) stops it; Exchange does not say which. " + ewsRetiring
		r.next = steps(listSteps, userAgentSteps, afterListSteps)
	default:
		r.what = "EWS answered 403 without a reason: most likely the tenant blocks it."
		r.short = "answered 403: most likely blocked by this tenant"
		r.why = "Exchange Online should name its reason and did not, so this is not certain. " + ewsRetiring
		r.next = steps(listSteps, enableSteps, userAgentSteps, afterListSteps)
	}
	return r
}

// ewsRows are the response codes of Exchange.
//
// Source: ewsCodes.
var ewsRows = sync.OnceValue(func() map[string]row {
	return map[string]row{
		"ErrorNonExistentMailbox": {
			what:  "{account} has no mailbox in Exchange Online.",
			short: "no mailbox in Exchange Online",
			why:   "The address is misspelt, the user has no licence with Exchange Online, or the mailbox is still on an on-premises server.",
			next: []string{
				"In the Microsoft 365 admin centre check the address and the licences (Users › Active users).",
				"If you gave the licence just now, wait until the mailbox exists (up to an hour).",
				"Or choose another account that has a mailbox. {edit}",
				"{again}",
			}, class: ClassCheck,
		},
		"ErrorImpersonateUserDenied": {
			what:  "The application may not open the mailbox {account}.",
			short: "the application may not open the mailbox",
			why:   "full_access_as_app is not granted, or RBAC for Applications limits the application to other mailboxes.",
			next: []string{
				"Check that full_access_as_app is granted: {permissions}",
				"Ask an Exchange administrator which mailboxes the application may open:",
				"PS> Test-ServicePrincipalAuthorization -Identity {clientguid} -Resource {accountarg}",
				"{again}",
			}, link: "https://learn.microsoft.com/exchange/permissions-exo/application-rbac", class: ClassCheck,
		},
		"ErrorImpersonationDenied": {
			what:  "This Exchange server does not let the application act for other mailboxes.",
			short: "the server does not allow impersonation",
			why:   "The right to impersonate through this server is missing.",
			next:  []string{"Ask the Exchange administrator for the role ApplicationImpersonation (or, online, for full_access_as_app).", "{again}"}, class: ClassCheck,
		},
		"ErrorInvalidExchangeImpersonationHeaderData": {
			what:  "Exchange refused to act for the mailbox {account}.",
			short: "refused to act for the mailbox",
			why:   "The token is a person's, not the application's, or the address is no valid one.",
			next:  []string{"Check the address of the dedicated account.", "{again}", "If it stays, report it: c2conn uses application tokens only."}, class: ClassCheck,
		},
		"ErrorAccessDenied": {
			what:  "Exchange refused access to the mailbox {account}.",
			short: "access to the mailbox refused",
			why:   "The application lacks the right, or a policy limits it to certain mailboxes.",
			next: []string{
				"Check that full_access_as_app is granted: {permissions}",
				"Ask an Exchange administrator whether the application is limited to some mailboxes:",
				"PS> Test-ApplicationAccessPolicy -AppId {clientguid} -Identity {accountarg}",
				"PS> Test-ServicePrincipalAuthorization -Identity {clientguid} -Resource {accountarg}",
				consentSpreads, "{again}",
			}, class: ClassCheck,
		},
		"ErrorAccountDisabled": {
			what:  "The account {account} is disabled.",
			short: "the account is disabled",
			why:   "An administrator blocked it.",
			next:  []string{"Enable the account, or choose another one. {edit}", "{again}"}, class: ClassCheck,
		},
		"ErrorFolderNotFound": {
			what:  "The mailbox {account} has no inbox.",
			short: "the mailbox has no inbox",
			why:   "The mailbox is damaged, or it is a special mailbox without the usual folders.",
			next:  []string{"Choose another account with an ordinary mailbox. {edit}", "{again}"}, class: ClassCheck,
		},
		"ErrorServerBusy": {
			what:  "Exchange Online is busy, and was still busy after c2conn had waited as asked.",
			short: "still busy after all waits",
			why:   "The tenant or the mailbox is under heavy load, or other programs use this application at the same time.",
			next:  []string{"Wait a few minutes.", "{again}"}, class: ClassCheck,
		},
		"ErrorMailboxStoreUnavailable": {
			what:  "The mailbox {account} cannot be reached at the moment.",
			short: "the mailbox cannot be reached at the moment",
			why:   "Its database is being moved or restarted. Nothing is wrong with your settings.",
			next:  []string{"Wait a few minutes.", "{again}"}, class: ClassCheck,
		},
		"ErrorMailboxMoveInProgress": {
			what:  "The mailbox {account} is being moved.",
			short: "the mailbox is being moved",
			why:   "It is closed for the last minutes of a move.",
			next:  []string{"Wait until the move is finished (Exchange admin centre › Migration).", "{again}"}, class: ClassCheck,
		},
		"ErrorTimeoutExpired": {
			what: "Exchange Online took too long.",
			why:  "The mailbox's server is under heavy load. Nothing is wrong with your settings.",
			next: []string{"Wait a few minutes.", "{again}"}, class: ClassCheck,
		},
		"ErrorInternalServerError": {
			what: "Exchange Online had a fault of its own.",
			why:  "It says no more. Usually it passes.",
			next: []string{"Wait a minute.", "{again}", "If it stays, give the request id to Microsoft support."}, class: ClassCheck,
		},
		"ErrorOrganizationAccessBlocked": {
			what: "Microsoft is removing this tenant.",
			why:  "The subscription has ended, and the tenant is marked for removal. Its data will be deleted.",
			next: []string{"Renew the subscription in the Microsoft 365 admin centre (Billing), or ask Microsoft support at once.", "{again}"}, class: ClassCheck,
		},
		"ErrorExceededConnectionCount": {
			what: "The application has too many connections to Exchange open.",
			why:  "Other programs use the same application at the same time.",
			next: []string{"Stop one of them, or wait.", "{again}"}, class: ClassCheck,
		},
		"ErrorNoPublicFolderServerAvailable": {
			what:  "The tenant has no public folders, or they cannot be reached at the moment.",
			short: "no public folders found in the tenant",
			why:   "Exchange Online found no public folder mailbox. A new tenant has none until somebody makes one.",
			next: []string{
				"If you migrate no public folders, nothing is to be done.",
				"Else look whether there is a public folder mailbox, as Exchange administrator:",
				"PS> Get-Mailbox -PublicFolder",
				"Make the first one, if there is none; then give {account} the right Owner on the root folder:",
				"PS> New-Mailbox -PublicFolder -Name PublicFolders",
				`PS> Add-PublicFolderClientPermission -Identity '\' -User {accountarg} -AccessRights Owner`,
				"{again}",
			}, link: publicFolderLink, class: ClassCheck,
		},
		"ErrorSchemaValidation": {
			what: "Exchange did not understand c2conn's request.",
			why:  "Something on the way changed it, or this is a fault in c2conn.",
			next: []string{"Check whether a proxy inspects the traffic to {outlook}.", "If not, report it with the request id."}, class: ClassOther,
		},
	}
})

// sameAs maps codes that ask for the same action.
var sameAs = sync.OnceValue(func() map[string]string {
	return map[string]string{
		"ErrorMissingEmailAddress": "ErrorNonExistentMailbox",

		"ErrorPublicFolderMailboxDiscoveryFailed": "ErrorNoPublicFolderServerAvailable",
		"ErrorPublicFolderOperationFailed":        "ErrorNoPublicFolderServerAvailable",
		"ErrorPublicFolderServerNotFound":         "ErrorNoPublicFolderServerAvailable",

		"ErrorInvalidSmtpAddress":           "ErrorNonExistentMailbox",
		"ErrorMailboxFailover":              "ErrorMailboxStoreUnavailable",
		"ErrorADUnavailable":                "ErrorMailboxStoreUnavailable",
		"ErrorConnectionFailed":             "ErrorMailboxStoreUnavailable",
		"ErrorInsufficientResources":        "ErrorServerBusy",
		"ErrorTooManyObjectsOpened":         "ErrorServerBusy",
		"ErrorInternalServerTransientError": "ErrorInternalServerError",
		"ErrorImpersonationFailed":          "ErrorImpersonateUserDenied",
		"ErrorInvalidRequest":               "ErrorSchemaValidation",
	}
})

// ewsIDs are the code and id of an answer.
func ewsIDs(e *ews.Error) judgement {
	j := judgement{time: e.Time, trace: e.RequestID}
	if e.Code != "" {
		j.codes = []string{transport.CleanText(e.Code, 80)}
	}
	return j
}

func fromEWS(e *ews.Error, f Facts) judgement {
	j := ewsIDs(e)
	d := diagnostic(e)
	if d != "" {
		j.codes = append(j.codes, d)
	}
	code := e.Code
	if same := sameAs()[code]; same != "" {
		code = same
	}
	r, known := ewsRows()[code]
	switch {
	case known:
		j.row = r
		if e.Code == "ErrorAccessDenied" || code == "ErrorImpersonateUserDenied" {
			j.row = f.carriedMailbox(r)
		}
		if j.link == "" {
			j.link = ewsCodes
		}
	case d != "" && e.PolicyReason == "":
		j.row = diagnosticRow(e, d, f)
		j.serviceAnswer = transport.CleanText(e.Diagnostics, 300)
	case Blocked(e):
		j.row = blockedRow(e)
		j.serviceAnswer = transport.CleanText(e.PolicyReason, 200)
	case e.Status == http.StatusNotFound || e.Status == http.StatusGone:
		j.row = goneRow(e, f)
	case e.Code != "":
		j.row = row{
			what: "Exchange refused the request.",
			why:  "It gave the code " + j.codes[0] + ", for which c2conn has no advice of its own.",
			next: []string{"Look up the code: see the link.", "{again}", "If it stays, give the ids below to Microsoft support."},
			link: ewsCodes, class: ClassCheck,
		}
		j.serviceAnswer = transport.CleanText(e.Message, 300)
	default:
		j.row = byStatus("Exchange Web Services", e.Status, e.Code == "", e.ContentType, hostOr(f.host(f.Cloud.Outlook), "outlook.office365.com"))
		j.link = ewsCodes
		j.serviceAnswer = transport.CleanText(e.Message, 300)
	}
	if e.Status == http.StatusUnauthorized {
		j.next = f.waitFirst(j.next)
	}
	status := e.Status
	if code == "ErrorServerBusy" {
		status = http.StatusTooManyRequests // whatever it came with
	}
	j.row = j.later(f, "Exchange Online", status, e.RetryAfter, e.Time)
	return j
}

// diagnosticRow reads the header x-ms-diagnostics of a refused token.
func diagnosticRow(e *ews.Error, number string, f Facts) row {
	r := row{link: ewsOAuth, class: ClassCheck}
	switch {
	case number == "2000008":
		r.class = ClassConsent
		if f.Carried {
			r.what = "Exchange Online says that the application has no permission, although its token carries full_access_as_app."
			r.short = "refused, although the permission is there"
			r.why = "The consent has not reached Exchange Online yet, or the mailbox is on a server that does not know of it."
			r.next = []string{consentSpreads, "{again}", "If it stays for more than a day, give the request id to Microsoft support."}
			return r
		}
		r.what = "The application has no permission for Exchange Online."
		r.why = "Exchange found no role in the token: full_access_as_app is not granted, or the consent has not spread yet."
		r.next = []string{
			"{fix}",
			"Or by hand: add full_access_as_app (APIs my organization uses › Office 365 Exchange Online › Application permissions), then press Grant admin consent: {permissions}",
			consentSpreads, "{again}",
		}
	case number == "2000003":
		r.what = "Exchange Online says that the token is meant for another service."
		r.short = "the token is meant for another service"
		r.why = "The address of Exchange and that of the sign-in belong to different clouds, or a cloud that you defined names a wrong address."
		r.next = []string{"Check the cloud: now it is “{cloud}”.", "$ c2conn cloud list", "{again}"}
		r.class = ClassAuth
	case number == "2000004":
		r.what = "Exchange Online does not know the tenant {tenant}."
		r.short = "Exchange Online does not know the tenant"
		r.why = "The tenant has no Exchange Online, or it lives in another cloud or region service."
		r.next = []string{"In the Microsoft 365 admin centre check that the tenant has a subscription with Exchange Online.", "Check the cloud: now it is “{cloud}”.", "{again}"}
	default:
		r.what = "Exchange Online did not accept the token."
		r.why = "Why, it only says in a few words."
		r.next = []string{"Check the permissions and the consent: {permissions}", "Check this computer's clock.", "{again}", "If it stays, give the request id to Microsoft support."}
		if e.Status == http.StatusUnauthorized {
			r.class = ClassAuth
		}
	}
	return r
}

func goneRow(e *ews.Error, f Facts) row {
	at := e.Time // the server's clock is the better one
	if at.IsZero() {
		at = f.Now
	}
	if e.Status == http.StatusGone || !at.Before(ewsEnd) {
		return row{
			what:  "Exchange Online no longer offers EWS here.",
			why:   "Microsoft switches EWS in Exchange Online off tenant by tenant since 2026-10-01 and for good on 2027-04-01. Exchange Server keeps it.",
			next:  []string{"Move to a version of your backup or migration program that uses Microsoft Graph.", "Check for a newer c2conn."},
			link:  "https://aka.ms/ews2graphMap",
			class: ClassCheck,
		}
	}
	return row{
		what:  "There is no EWS at this address (404).",
		why:   "The address of Exchange is wrong, or something on the way answered in its place.",
		next:  []string{"Check the cloud: now it is “{cloud}”.", "$ c2conn cloud list", "Check whether a proxy inspects the traffic to {outlook}.", "{again}"},
		link:  ewsControl,
		class: ClassCheck,
	}
}
