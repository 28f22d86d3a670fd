package advice

import (
	"errors"
	"fmt"
	"strings"

	"github.com/c2conn/c2conn/internal/autodiscover"
	"github.com/c2conn/c2conn/internal/ews"
	"github.com/c2conn/c2conn/internal/exchangeserver"
	"github.com/c2conn/c2conn/internal/transport"
)

const (
	impersonationLink = "https://learn.microsoft.com/exchange/client-developer/exchange-web-services/how-to-configure-impersonation"
	shellLink         = "https://learn.microsoft.com/powershell/exchange/connect-to-exchange-servers-using-remote-powershell"
	autodiscoverLink  = "https://learn.microsoft.com/exchange/architecture/client-access/autodiscover"
	kerberosLink      = "https://learn.microsoft.com/exchange/architecture/client-access/kerberos-auth-for-load-balanced-client-access"
	protectionLink    = "https://learn.microsoft.com/exchange/plan-and-deploy/post-installation-tasks/security-best-practices/exchange-extended-protection"
	lifecycleLink     = "https://learn.microsoft.com/exchange/plan-and-deploy/supportability-matrix"
)

// The errors below are findings of c2conn's own about servers on the premises.

// OldServerError is a server that Microsoft no longer supports.
type OldServerError struct{ Name, Build, Ended string }

func (e *OldServerError) Error() string { return e.Name + " is out of support since " + e.Ended }

// NoImpersonationError is an account that may not act for other mailboxes.
type NoImpersonationError struct {
	Account    string
	Delegating bool // it may grant the right, but does not have it
	MayGrant   bool // remote PowerShell is open to it
	Err        error
}

func (e *NoImpersonationError) Error() string { return e.Account + " may not impersonate" }

// Unwrap returns the server's refusal.
func (e *NoImpersonationError) Unwrap() error { return e.Err }

// ImpersonationScopeError is a right to impersonate that does not reach everybody.
type ImpersonationScopeError struct {
	Account string
	Scopes  []string
	Reaches string // a mailbox that it does reach; "" where none was found
}

func (e *ImpersonationScopeError) Error() string {
	return "the right to impersonate is limited to " + strings.Join(e.Scopes, ", ")
}

// GrantError is a role assignment that could not be made.
type GrantError struct {
	Account string
	Err     error
}

func (e *GrantError) Error() string {
	return "the right to impersonate could not be granted: " + e.Err.Error()
}

// Unwrap returns why.
func (e *GrantError) Unwrap() error { return e.Err }

// GrantSpreadsError is a right that was granted, and that the server does not heed yet.
type GrantSpreadsError struct{ Assignment string }

func (e *GrantSpreadsError) Error() string { return "the new role assignment is not in force yet" }

// OneMailboxError is a server where there is nobody to act for.
type OneMailboxError struct{}

func (e *OneMailboxError) Error() string { return "there is no other mailbox to impersonate" }

// NoMailboxesError is a list of mailboxes without an entry.
type NoMailboxesError struct{}

func (e *NoMailboxesError) Error() string { return "no mailbox is listed" }

// EWSForbiddenError is a 403 of an Exchange Server's EWS.
type EWSForbiddenError struct{ Err error }

func (e *EWSForbiddenError) Error() string { return e.Err.Error() }

// Unwrap returns the answer.
func (e *EWSForbiddenError) Unwrap() error { return e.Err }

// fromServers finds the advice for what servers on the premises alone meet.
func fromServers(err error, f Facts) (judgement, bool) {
	if row, ok := ownServerRow(err, f); ok {
		return judgement{row: row}, true
	}
	if open, ok := errors.AsType[*exchangeserver.OpenError](err); ok && !decisive(err) {
		return judgement{row: openRow(open)}, true
	}
	if j, ok := fromFarm(err, f); ok {
		return j, true
	}
	if row, ok := windowsRow(err, f); ok {
		return judgement{row: row}, true
	}
	if row, ok := findingRow(err); ok {
		return judgement{row: row}, true
	}
	if j, ok := shellJudgement(err); ok {
		return j, true
	}
	var e *ews.Error
	if f.OnPremises && errors.As(err, &e) {
		if row, ok := serverEWSRow(e); ok {
			j := ewsIDs(e)
			j.row = row
			j.serviceAnswer = transport.CleanText(e.Message, 300)
			return j, true
		}
	}
	return judgement{}, false
}

// ownServerRow is about c2conn's own findings.
func ownServerRow(err error, f Facts) (row, bool) {
	var (
		old     *OldServerError
		missing *NoImpersonationError
		scope   *ImpersonationScopeError
		grant   *GrantError
		spreads *GrantSpreadsError
		single  *OneMailboxError
		nobody  *NoMailboxesError
		closed  *EWSForbiddenError
	)
	switch {
	case errors.As(err, &old) && strings.HasPrefix(old.Name, "SharePoint"):
		return oldFarmRow(old), true
	case errors.As(err, &old):
		return row{
			what: old.Name + " is out of support since " + old.Ended + ".", short: "out of support since " + old.Ended,
			why:  "Microsoft mends no holes in it any more. The connection works all the same.",
			next: []string{"Plan the move to Exchange Server SE or Exchange Online."}, link: lifecycleLink, class: ClassCheck,
		}, true
	case errors.As(err, &missing):
		r := row{
			what: "{account} may not act for other mailboxes.", short: "the account may not impersonate",
			why:  "No assignment of the management role ApplicationImpersonation reaches it, directly or by a group.",
			link: impersonationLink, class: ClassCheck,
		}
		if missing.Delegating {
			r.why = "It may grant the role ApplicationImpersonation, but does not have it: members of Organization Management get a delegating assignment only."
		}
		if missing.MayGrant {
			r.next = append(r.next, f.grantImpersonation()...)
		}
		r.next = append(r.next, "Or as Exchange administrator, in the Exchange Management Shell:",
			"PS> New-ManagementRoleAssignment -Name "+Literal(grantName(f.Account))+" -Role ApplicationImpersonation -User {accountarg}",
			"Wait some minutes until all servers know it.", "{again}")
		return r, true
	case errors.As(err, &scope):
		r := row{
			what: "{account} may act for some mailboxes only.", short: "the right to impersonate is limited",
			why: "Its role assignment is limited to: " + or(strings.Join(scope.Scopes, ", "), "a scope") + ". None of the mailboxes that were tried is within it.",
			next: []string{"If the scope is meant, name the mailboxes of your jobs accordingly; nothing is to be done.",
				"Look at it, as Exchange administrator:", "PS> Get-ManagementRoleAssignment -Role ApplicationImpersonation -RoleAssignee {accountarg} | Format-List Name,RecipientWriteScope,CustomRecipientWriteScope,Enabled", "{again}"},
			link: impersonationLink, class: ClassCheck,
		}
		if scope.Reaches != "" {
			r.why = "Its role assignment is limited to: " + or(strings.Join(scope.Scopes, ", "), "a scope") + ". " + or(scope.Reaches, "One mailbox") + " is within it; mailboxes outside cannot be backed up."
		}
		return r, true
	case errors.As(err, &spreads):
		return row{
			what: "The right to impersonate is granted, but the server does not heed it yet.", short: "granted; not in force yet",
			why:  "Exchange's servers read role assignments anew after some minutes. The assignment is called “" + or(spreads.Assignment, "(unnamed)") + "”.",
			next: []string{"Wait some minutes.", "{again}", "If it stays for hours, look whether impersonation through this server is denied in Active Directory (extended right ms-Exch-EPI-Impersonation)."}, link: impersonationLink, class: ClassCheck,
		}, true
	case errors.As(err, &grant):
		return row{
			what: "The right to impersonate could not be granted.", short: "the right could not be granted",
			why: sentence(grant.Err) + " It takes a delegating assignment of the role, as members of Organization Management have it.",
			next: []string{"Let an Exchange administrator grant it, in the Exchange Management Shell:",
				"PS> New-ManagementRoleAssignment -Name " + Literal(grantName(f.Account)) + " -Role ApplicationImpersonation -User {accountarg}", "{again}"},
			link: impersonationLink, class: ClassCheck,
		}, true
	case errors.As(err, &single):
		return row{
			what: "There is no second mailbox to act for.", short: "no other mailbox to try it on",
			why:  "The role is assigned, so it should work; it could not be tried.",
			next: []string{"Verify again when there are more mailboxes.", "{again}"}, class: ClassCheck,
		}, true
	case errors.As(err, &nobody):
		return row{
			what: "The server lists no mailbox.", short: "no mailbox is listed",
			why:  "The account may use Get-Mailbox, but its scope reaches no mailbox, or there is none.",
			next: []string{"Look at the scope of its roles, as Exchange administrator:", "PS> Get-ManagementRoleAssignment -RoleAssignee {accountarg} | Format-List Role,RecipientReadScope", "{again}"}, class: ClassCheck,
		}, true
	case errors.As(err, &closed):
		return row{
			what: "The server refuses EWS for {account}.", short: "EWS is refused (403)",
			why: "EWS is switched off for the mailbox or the organisation, a rule about program names stops it, or IIS limits who may come.",
			next: []string{"As Exchange administrator look at the settings:",
				"PS> Get-CASMailbox {accountarg} | Format-List EwsEnabled,EwsApplicationAccessPolicy,EwsAllowList,EwsBlockList",
				"PS> Get-OrganizationConfig | Format-List EwsEnabled,EwsApplicationAccessPolicy,EwsAllowList,EwsBlockList", "{again}"},
			link: ewsControl, class: ClassCheck,
		}, true
	}
	return row{}, false
}

// grantName names the assignment as c2conn would.
func grantName(account string) string {
	return exchangeserver.GrantName(or(account, "ACCOUNT"))
}

// grantImpersonation are the steps that let c2conn grant the right.
func (f Facts) grantImpersonation() []string {
	if f.Connection == "" {
		grant := "--grant-impersonation"
		if f.Edited {
			grant = f.flag("grant-impersonation") + "yes"
		}
		return []string{"Let c2conn grant it: choose so in the step “Admin's credentials”, or add " + grant + "."}
	}
	return []string{"Let c2conn grant it to the account:", "$ c2conn verify " + shellWord(f.Connection) + " --grant-impersonation"}
}

// findingRow is about Autodiscover.
func findingRow(err error) (row, bool) {
	var (
		online  *autodiscover.OnlineError
		consent *autodiscover.ConsentError
		nowhere *autodiscover.NotFoundError
	)
	switch {
	case errors.As(err, &online):
		return row{
			what: "The mailbox of {account} is in Exchange Online.", short: "the mailbox is in Exchange Online",
			why:  "Autodiscover leads to Microsoft 365.",
			next: []string{"Make a connection to Exchange Online:", "$ c2conn new exchange --online", "Or use an account whose mailbox is on the server."}, class: ClassCheck,
		}, true
	case errors.As(err, &consent):
		return row{
			what: "Autodiscover leads to " + or(consent.To, "another host") + ", which is in another domain. Nothing was sent there.", short: "leads to another domain",
			why:  or(consent.From, "The domain") + " points there. A password goes to hosts of the account's own domain only.",
			next: []string{"If that host is yours, name it: c2conn new exchange --on-premises --server " + or(consent.To, "HOST"), "If not, find out who made " + or(consent.From, "the domain") + " point there."}, link: autodiscoverLink, class: ClassCheck,
		}, true
	case errors.As(err, &nowhere):
		return row{
			what: "Autodiscover found no Exchange Server for {account}.", short: fmt.Sprintf("nothing found at %d places", len(nowhere.Tried)),
			why: "None of the usual places led to it; Details list each one with its answer.",
			next: []string{"Name the server instead: --server exch01.contoso.com, or “Configure connection manually” in the wizard.",
				"If this computer asks another DNS server than the domain's, name that one: C2CONN_DNS=10.0.0.10",
				"Or mend Autodiscover; where it should be, an Exchange administrator sees with:", "PS> Get-ClientAccessService | Format-List Name,AutoDiscoverServiceInternalUri", "{again}"}, link: autodiscoverLink, class: ClassCheck,
		}, true
	}
	return row{}, false
}

// serverEWSRow has what differs on the premises from Exchange Online.
func serverEWSRow(e *ews.Error) (row, bool) {
	r := row{link: ewsCodes, class: ClassCheck}
	switch e.Code {
	case "ErrorNonExistentMailbox", "ErrorMissingEmailAddress", "ErrorInvalidSmtpAddress":
		r.what, r.short = "{account} has no mailbox on this server.", "the account has no mailbox"
		r.why = "The account must be mailbox-enabled: the software works from its mailbox."
		r.next = []string{"As Exchange administrator give it one:", "PS> Enable-Mailbox {accountarg}", "Or use an administrator's account that has one. {edit}", "{again}"}
	case "ErrorImpersonateUserDenied", "ErrorImpersonationDenied":
		r.what, r.short = "{account} may not act for other mailboxes.", "the account may not impersonate"
		r.why = "No assignment of the management role ApplicationImpersonation reaches it."
		r.link, r.next = impersonationLink, []string{"As Exchange administrator, in the Exchange Management Shell:", "PS> New-ManagementRoleAssignment -Name 'c2conn impersonation' -Role ApplicationImpersonation -User {accountarg}", "{again}"}
	case "ErrorInternalServerError", "ErrorInternalServerTransientError":
		r.what, r.short = "The Exchange Server had a fault of its own.", "a fault of the server"
		r.why = "It says no more. Usually it passes."
		r.next = []string{"Wait a minute.", "{again}", "If it stays, look into the server's event log (MSExchange Web Services)."}
	case "ErrorServerBusy", "ErrorInsufficientResources", "ErrorTooManyObjectsOpened", "ErrorExceededConnectionCount":
		r.what, r.short = "The Exchange Server is busy, and was still busy after all waits.", "still busy after all waits"
		r.why = "It is under heavy load, or its throttling policy limits the account."
		r.next = []string{"Wait a few minutes.", "{again}", "Look at the account's policy:", "PS> Get-ThrottlingPolicyAssociation {accountarg} | Format-List ThrottlingPolicyId"}
	case "ErrorAccessDenied":
		r.what, r.short = "The server refused access to the mailbox.", "access to the mailbox refused"
		r.why = "The account lacks the right to it."
		r.next = []string{"Look at the rights of {account}, as Exchange administrator.", "{again}"}
	case "":
		switch {
		case e.Status == 404:
			r.what, r.short = "There is no EWS at this address.", "no EWS at this address (404)"
			r.why = "Something answers, but not Exchange's /EWS/Exchange.asmx."
			r.next = []string{"Correct the EWS URL. An Exchange administrator sees it with:", "PS> Get-WebServicesVirtualDirectory | Format-List Server,InternalUrl,ExternalUrl", "{again}"}
		case e.Status >= 500:
			r.what, r.short = fmt.Sprintf("The Exchange Server cannot answer at the moment (%d).", e.Status), "cannot answer at the moment"
			r.why = "It restarts, is overloaded, or its services have stopped."
			r.next = []string{"Wait a few minutes.", "{again}", "If it stays, on the server:", "PS> Test-ServiceHealth"}
		case e.ContentType != "":
			r.what, r.short = "Not Exchange but a web page answered.", "a web page answered"
			r.why = "The address leads to another site, a proxy, or a sign-in page in front of the server."
			r.next = []string{"Correct the EWS URL.", "{again}"}
		default:
			return row{}, false
		}
	default:
		return row{}, false
	}
	return r, true
}

// nearby puts the words for a server of one's own in the place of those for a cloud.
func (j judgement) nearby(f Facts) judgement {
	if !f.OnPremises || j.class == ClassCancelled || j.link == "" {
		return j
	}
	j.link = ""
	j.why = strings.Replace(j.why, "or the cloud's address is misspelt", "or it is misspelt", 1)
	var next []string
	for _, step := range j.next {
		if !strings.Contains(step, "cloud") {
			next = append(next, step)
		}
	}
	j.next = append([]string{"Check the name of the server, and that this computer asks the domain's DNS server (else name it: C2CONN_DNS=10.0.0.10)."}, next...)
	return j
}
