package advice

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/c2conn/c2conn/internal/autodiscover"
	"github.com/c2conn/c2conn/internal/ews"
	"github.com/c2conn/c2conn/internal/exchangeserver"
	"github.com/c2conn/c2conn/internal/psremoting"
	"github.com/c2conn/c2conn/internal/transport"
	"github.com/c2conn/c2conn/internal/winauth"
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
	if row, ok := windowsRow(err); ok {
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
			"PS> New-ManagementRoleAssignment -Name "+literal(grantName(f.Account))+" -Role ApplicationImpersonation -User {accountarg}",
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
				"PS> New-ManagementRoleAssignment -Name " + literal(grantName(f.Account)) + " -Role ApplicationImpersonation -User {accountarg}", "{again}"},
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
	return exchangeserver.GrantPrefix + or(account, "ACCOUNT")
}

// grantImpersonation are the steps that let c2conn grant the right.
func (f Facts) grantImpersonation() []string {
	if f.Connection == "" {
		return []string{"Let c2conn grant it: choose so in the step “Admin's credentials”, or add --grant-impersonation."}
	}
	return []string{"Let c2conn grant it to the account:", "$ c2conn verify " + shellWord(f.Connection) + " --grant-impersonation"}
}

// ldapPort reports whether a host:port is one of Active Directory.
func ldapPort(host string) bool {
	_, port, err := net.SplitHostPort(host)
	return err == nil && (port == "636" || port == "389" || port == "3269" || port == "3268")
}

// windowsRow is about who signs in, and whom is trusted.
func windowsRow(err error) (row, bool) {
	var (
		untrusted *winauth.UntrustedError
		changed   *winauth.PinChangedError
		wrong     *winauth.WrongPasswordError
		locked    *winauth.LockedError
		unknown   *winauth.UnknownUserError
		skew      *winauth.ClockSkewError
		ticket    *winauth.TicketError
		refused   *winauth.RefusedError
		method    *winauth.NoMethodError
		plain     *winauth.PlainError
		spn       *winauth.UnknownSPNError
		kdc       *winauth.NoKDCError
	)
	switch {
	case errors.As(err, &changed):
		return row{
			what: or(changed.Host, "The server") + " shows another certificate than the trusted one. Nothing was sent to it.", short: "another certificate than the trusted one",
			why: "Trusted: SHA-256 " + or(changed.Want, "?") + ". Shown: " + or(changed.Got, "?") + " (" + or(changed.Reason, "it does not verify") + "). Either somebody renewed it, or somebody else answers in its place.",
			next: []string{"Ask whoever runs the server whether the certificate was renewed, and compare the SHA-256 with the server's own:",
				"PS> Get-ExchangeCertificate | ForEach-Object { $_.Subject; [BitConverter]::ToString([Security.Cryptography.SHA256]::Create().ComputeHash($_.RawData)) }",
				"Only if it is the same, trust the new one: {trust}" + or(changed.Got, "SHA256"), "If it is not, tell your security team."},
			class: ClassAuth,
		}, true
	case errors.As(err, &untrusted) && ldapPort(untrusted.Host):
		return row{
			what: "The certificate of the domain controller " + or(untrusted.Host, "") + " is not trusted. Nothing was sent to it.", short: "the domain controller's certificate is not trusted",
			why:  capital(or(untrusted.Reason, "no authority vouches for it")) + ". SHA-256: " + or(untrusted.SHA256, "?") + ". The company's own authority mostly issues it.",
			next: []string{"Let this computer trust the company's authority: install its certificate, or name the file: SSL_CERT_FILE=ca.pem", "Or name the server, so that Active Directory need not be asked: --server exch01.contoso.com", "{again}"}, class: ClassAuth,
		}, true
	case errors.As(err, &untrusted):
		return row{
			what: "The certificate of " + or(untrusted.Host, "the server") + " is not trusted. Nothing was sent to it.", short: "the certificate is not trusted",
			why: capital(or(untrusted.Reason, "no authority vouches for it")) + ". SHA-256: " + or(untrusted.SHA256, "?") + ". Exchange makes itself such a certificate when it is installed.",
			next: []string{"Compare the SHA-256 with the server's own, on the server:",
				"PS> Get-ExchangeCertificate | ForEach-Object { $_.Subject; [BitConverter]::ToString([Security.Cryptography.SHA256]::Create().ComputeHash($_.RawData)) }",
				"If it is the same, trust it: {trust}" + or(untrusted.SHA256, "SHA256"),
				"Better: give the server a certificate of an authority that this computer trusts, for the name that you use (SSL_CERT_FILE adds an authority).", "{again}"},
			link: "https://learn.microsoft.com/exchange/architecture/client-access/certificates", class: ClassAuth,
		}, true
	case errors.As(err, &wrong):
		return row{
			what: "The password of {account} is wrong.", short: "the password is wrong",
			why:  or(wrong.Server, "The server") + " said so. c2conn tried it once and stopped, so that the account is not locked.",
			next: []string{"Type the password anew; check the keyboard's language and Caps Lock.", "{newpassword}", "{again}"}, class: ClassAuth,
		}, true
	case errors.As(err, &locked):
		return accountLockedRow(locked), true
	case errors.As(err, &unknown):
		return row{
			what: "The domain " + or(unknown.Domain, "") + " does not know {account}.", short: "the domain does not know the account",
			why: "The name is misspelt, or its ending (UPN suffix) belongs to another domain.",
			next: []string{"Look up the account's UPN, in PowerShell:", "PS> Get-ADUser -Filter * | Where-Object SamAccountName -eq 'NAME' | Format-List UserPrincipalName,Enabled",
				"If the account is in another domain, name it: --ad-domain corp.contoso.com", "{again}"}, class: ClassAuth,
		}, true
	case errors.As(err, &skew):
		return row{
			what: "The clock of this computer is wrong by " + skew.There.Sub(skew.Here).Abs().Round(time.Second).String() + ".", short: "the clocks differ; Kerberos allows 5 minutes",
			why:  fmt.Sprintf("Here it is %s, at %s %s. Kerberos allows a difference of 5 minutes.", skew.Here.UTC().Format("15:04:05 MST"), or(skew.Server, "the server"), skew.There.UTC().Format("15:04:05 MST")),
			next: []string{"Set the clock by the domain's time server, e.g. on Linux:", "$ timedatectl set-ntp true", "{again}"}, class: ClassAuth,
		}, true
	case errors.As(err, &ticket):
		r := row{
			what: "There is no usable Kerberos ticket.", short: "no usable Kerberos ticket", why: sentence(ticket),
			next: []string{"Get one, as the account of the connection:", "$ kinit {account}", "{again}", "For jobs that run unattended use a password, or a keytab with kinit -k before each run."}, class: ClassAuth,
		}
		return r, true
	case errors.As(err, &refused):
		return serverRefusedRow(refused), true
	case errors.As(err, &method):
		return methodRow(method), true
	case errors.As(err, &plain):
		return row{
			what: or(plain.Server, "The server") + " wants a password over plain http. None was sent.", short: "wants a password without TLS",
			why:  "Without TLS everybody on the way could read it.",
			next: []string{"Give the https address of the server.", "{again}"}, class: ClassAuth,
		}, true
	case errors.As(err, &spn):
		return spnRow(spn), true
	case errors.As(err, &kdc):
		return row{
			what: "No domain controller could be asked for a Kerberos ticket.", short: "no domain controller for Kerberos",
			why: sentence(kdc),
			next: []string{"Check that this computer asks the domain's DNS server, or name it: C2CONN_DNS=10.0.0.10", "Let the firewall pass port 88 (TCP) to the domain controllers.",
				"If the domain is another one than the account's ending tells, name it: --ad-domain corp.contoso.com", "{again}"}, class: ClassAuth,
		}, true
	}
	return row{}, false
}

func accountLockedRow(e *winauth.LockedError) row {
	r := row{what: "The account {account} cannot sign in.", why: sentence(e), class: ClassAuth}
	switch e.Reason {
	case winauth.ReasonLocked:
		r.what, r.short = "The account {account} is locked out.", "the account is locked out"
		r.next = []string{"Find out which program tries an old password before you unlock it (security log of the domain controllers, event 4740).", "Unlock it, as administrator:", "PS> Search-ADAccount -LockedOut | Unlock-ADAccount -Confirm"}
	case winauth.ReasonDisabled:
		r.what, r.short = "The account {account} is disabled.", "the account is disabled"
		r.next = []string{"Enable it in Active Directory Users and Computers, or use another account. {edit}"}
	case winauth.ReasonPassword, winauth.ReasonMustChange:
		r.what, r.short = "The password of {account} has to be changed first.", "the password has to be changed"
		r.next = []string{"Sign in to Windows as that account and set a new password.", "For an account that only programs use, let the password not expire, and give c2conn the new one: c2conn edit {connectionarg}"}
	case winauth.ReasonExpired:
		r.what, r.short = "The account {account} has expired.", "the account has expired"
		r.next = []string{"Set another end of the account in Active Directory, or use another one. {edit}"}
	case winauth.ReasonHours, winauth.ReasonWorkstation:
		r.short = "the account may not sign in here or now"
		r.next = []string{"Look at the account's logon hours and workstations in Active Directory."}
	default:
		r.short = "locked out, disabled or expired"
		r.next = []string{"Look at the account in Active Directory Users and Computers: locked out, disabled or expired."}
	}
	r.next = append(r.next, "{again}")
	return r
}

func serverRefusedRow(e *winauth.RefusedError) row {
	r := row{
		what: or(e.Server, "The server") + " refused {account}, although the password is right.", short: "refused, although the password is right",
		why: "The usual reason is Extended Protection: the server wants the sign-in bound to its own certificate, and a load balancer or proxy that decrypts TLS breaks that. Or the account may not sign in over the network there.",
		next: []string{"Give c2conn an address that leads to the server itself, not to a load balancer that decrypts TLS.",
			"Look at Extended Protection, on the server (script of the CSS-Exchange project):", "PS> .\\ExchangeExtendedProtectionManagement.ps1 -ShowExtendedProtection",
			"Check in the security log of the server why it refused (event 4625).", "{again}"},
		link: protectionLink, class: ClassAuth,
	}
	if !e.Proven {
		r.what, r.short = or(e.Server, "The server")+" refused the sign-in of {account}.", "the sign-in was refused"
	}
	if e.Err != nil {
		r.why += " Kerberos was not possible: " + sentence(e.Err)
	}
	return r
}

func methodRow(e *winauth.NoMethodError) row {
	offered := "nothing"
	if len(e.Offered) > 0 {
		offered = transport.CleanText(strings.Join(e.Offered, ", "), 200)
	}
	r := row{
		what: or(e.Server, "The server") + " offers no way to sign in that can be used.", short: "no usable way to sign in",
		why:  "It offers " + offered + "; c2conn uses Negotiate (Kerberos, NTLM), NTLM, and Basic over TLS.",
		next: []string{"As Exchange administrator look at what the virtual directory offers:", "PS> Get-WebServicesVirtualDirectory -ADPropertiesOnly | Format-List Server,*Authentication*", "{again}"}, class: ClassAuth,
	}
	if e.NoPassword {
		r.what, r.short = or(e.Server, "The server")+" takes a password only, and there is a Kerberos ticket only.", "takes a password only"
		r.next = []string{"Give a password instead: c2conn edit {connectionarg}", "{again}"}
	}
	if e.Err != nil {
		r.why += " Kerberos is not possible: " + sentence(e.Err)
	}
	return r
}

func spnRow(e *winauth.UnknownSPNError) row {
	host := e.SPN[strings.Index(e.SPN, "/")+1:]
	r := row{
		what: "The domain knows no service " + or(e.SPN, "(service)") + ", so Kerberos cannot be used.", short: "no service principal name; no Kerberos",
		why: "The name is a load balancer's or an alias, and no alternate service account has it; or the server is in another domain.",
		next: []string{"Use the server's own full name (FQDN).", "Or give the name to an alternate service account (ASA), as Exchange administrator; the link says how. Look which there is:",
			"PS> Get-ClientAccessService -IncludeAlternateServiceAccountCredentialStatus | Format-List Name,AlternateServiceAccountConfiguration", "{again}"}, link: kerberosLink, class: ClassAuth,
	}
	if net.ParseIP(host) != nil {
		r.what, r.why = "By an IP address Kerberos cannot be used.", "No service is called after an IP address."
		r.next = []string{"Use the server's full name (FQDN).", "{again}"}
	}
	return r
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

// decisive reports whether one of the ways into remote PowerShell failed for a reason
// that says more than that none was open.
func decisive(err error) bool {
	var (
		wrong     *winauth.WrongPasswordError
		locked    *winauth.LockedError
		untrusted *winauth.UntrustedError
		changed   *winauth.PinChangedError
		skew      *winauth.ClockSkewError
		ticket    *winauth.TicketError
		denied    *psremoting.DeniedError
		full      *psremoting.QuotaError
		moved     *psremoting.RedirectError
	)
	for _, target := range []any{&wrong, &locked, &untrusted, &changed, &skew, &ticket, &denied, &full, &moved} {
		if errors.As(err, target) {
			return true
		}
	}
	return false
}

func openRow(e *exchangeserver.OpenError) row {
	r := row{
		what: "Remote PowerShell of the server cannot be reached.", short: "remote PowerShell cannot be reached",
		why:  "Every way was tried; Details say what came of each. By default Exchange takes Kerberos over http (port 80), with the server's full name.",
		next: []string{"Let the firewall pass port 80 (TCP) to the server; what goes over it is sealed by Kerberos."}, link: shellLink, class: ClassCheck,
	}
	if spn, ok := errors.AsType[*winauth.UnknownSPNError](error(e)); ok {
		r.why = "Every way was tried; Details say what came of each. Kerberos is what Exchange wants here, and the domain knows no service " + or(spn.SPN, "(service)") + "."
		r.next = []string{"Use the server's own full name (FQDN), not that of a load balancer.", "Or give the load balancer's name to an alternate service account: " + kerberosLink}
	}
	if kdc, ok := errors.AsType[*winauth.NoKDCError](error(e)); ok {
		r.what, r.short = "Remote PowerShell takes Kerberos, and no domain controller could be asked.", "no domain controller for Kerberos"
		r.why = sentence(kdc)
		r.next = []string{"Let the firewall pass port 88 (TCP) to the domain controllers; if this computer asks another DNS server than the domain's, name that one: C2CONN_DNS=10.0.0.10"}
	}
	if shell, ok := errors.AsType[*psremoting.Error](error(e)); ok && shell.Status >= 400 && shell.Status != 401 {
		r.why = fmt.Sprintf("The server answered %d at /PowerShell/.", shell.Status)
		switch {
		case shell.Status == 404:
			r.next = []string{"See where it is, as Exchange administrator:", "PS> Get-PowerShellVirtualDirectory | Format-List Server,InternalUrl,ExternalUrl"}
		case shell.Status >= 500:
			r.next = []string{"Wait a few minutes; if it stays, on the server:", "PS> Test-ServiceHealth"}
		}
	}
	if len(e.Tried) == 1 {
		r.why = "By an IP address Kerberos cannot be used, and a password alone (Basic) was not taken. " + e.Tried[0].URL + " answered: " + transport.CleanText(e.Tried[0].Err.Error(), 200)
		r.next = []string{"Use the server's full name (FQDN) instead of its IP address."}
	}
	r.next = append(r.next, "Or allow basic authentication for the PowerShell virtual directory, as Exchange administrator:",
		"PS> Get-PowerShellVirtualDirectory -Server SERVER | Set-PowerShellVirtualDirectory -BasicAuthentication $true",
		"If it has another address, name it: --powershell-url", "{again}")
	return r
}

// shellJudgement is about remote PowerShell.
func shellJudgement(err error) (judgement, bool) {
	var (
		denied  *psremoting.DeniedError
		full    *psremoting.QuotaError
		moved   *psremoting.RedirectError
		command *psremoting.NoCommandError
		refusal *psremoting.CommandError
		shell   *psremoting.Error
	)
	r := row{link: shellLink, class: ClassCheck}
	switch {
	case errors.As(err, &denied):
		r.what, r.short = "{account} may not use remote PowerShell.", "remote PowerShell is not allowed"
		r.why = "The account signed in, but remote PowerShell is switched off for it, or it has no management role."
		r.next = []string{"As Exchange administrator allow it:", "PS> Set-User {accountarg} -RemotePowerShellEnabled $true", "And look at its roles:", "PS> Get-ManagementRoleAssignment -RoleAssignee {accountarg} | Format-Table Name,Role", "{again}"}
	case errors.As(err, &full):
		r.what, r.short = "The account has too many remote PowerShell sessions open.", "too many open sessions"
		r.why = "Exchange lets each account have a few (18 unless changed). c2conn closes its own."
		r.next = []string{"Close sessions of other programs, or wait: unused ones end after 15 minutes.", "{again}"}
	case errors.As(err, &moved):
		r.what, r.short = "The server sends remote PowerShell to another one.", "another server is to be asked"
		r.why = "It named: " + or(moved.URL, "(no address)") + ". c2conn did not follow."
		r.next = []string{"If that is your server, name it: --powershell-url " + or(moved.URL, "URL"), "{again}"}
	case errors.As(err, &command):
		r.what, r.short = "{account} lacks a role that the check needs.", "a management role is missing"
		r.why = "Exchange does not let it use the command " + or(command.Err.Command, "(command)") + "."
		r.next = []string{"As Exchange administrator give it View-Only Organization Management at the least, or Organization Management:", "PS> Add-RoleGroupMember 'View-Only Organization Management' -Member {accountarg}", "{again}"}
	case errors.As(err, &refusal):
		r.what, r.short = "A command of Exchange failed.", "a command of Exchange failed"
		r.why = or(refusal.Command, "It") + " answered: " + or(transport.CleanText(refusal.Message, 300), "(nothing)")
		r.next = []string{"{again}"}
	case errors.As(err, &shell):
		r.what, r.short = "Remote PowerShell of the server did not answer as it should.", "remote PowerShell failed"
		r.why = sentence(shell)
		r.next = []string{"{again}", "If it stays, look into the server's event log (MSExchange Management)."}
	default:
		return judgement{}, false
	}
	return judgement{row: r}, true
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
