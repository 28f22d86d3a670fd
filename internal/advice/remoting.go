package advice

import (
	"errors"
	"fmt"

	"github.com/c2conn/c2conn/internal/exchangeserver"
	"github.com/c2conn/c2conn/internal/psremoting"
	"github.com/c2conn/c2conn/internal/transport"
	"github.com/c2conn/c2conn/internal/winauth"
)

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
