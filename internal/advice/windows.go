package advice

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/c2conn/c2conn/internal/transport"
	"github.com/c2conn/c2conn/internal/winauth"
)

// ldapPort reports whether a host:port is one of Active Directory.
func ldapPort(host string) bool {
	_, port, err := net.SplitHostPort(host)
	return err == nil && (port == "636" || port == "389" || port == "3269" || port == "3268")
}

// windowsRow is about who signs in, and whom is trusted.
func windowsRow(err error, f Facts) (row, bool) {
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
				f.certificateSums(),
				"Only if it is the same, trust the new one: {trust}" + f.sums(changed.Host, changed.Got), "If it is not, tell your security team."},
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
			why: capital(or(untrusted.Reason, "no authority vouches for it")) + ". SHA-256: " + or(untrusted.SHA256, "?") + "." + selfMade(f),
			next: []string{"Compare the SHA-256 with the server's own, on the server:",
				f.certificateSums(),
				"If it is the same, trust it: {trust}" + f.sums(untrusted.Host, untrusted.SHA256),
				"Better: give the server a certificate of an authority that this computer trusts, for the name that you use (SSL_CERT_FILE adds an authority).", "{again}"},
			link: certificateLink(f), class: ClassAuth,
		}, true
	case errors.As(err, &wrong):
		next := f.anotherPassword()
		if !f.Refused {
			next = append(next, "{again}")
		}
		return row{
			what: "The password of {account} is wrong.", short: "the password is wrong",
			why:  or(wrong.Server, "The server") + " said so. " + f.once(),
			next: next, class: ClassAuth,
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
			next: []string{"Get one, as the account of the connection; where the ending of its name is not that of its domain, as NAME@DOMAIN, the domain in capitals:", "$ kinit {account}", "{again}", "For jobs that run unattended use a password, or a keytab with kinit -k before each run."}, class: ClassAuth,
		}
		return r, true
	case errors.As(err, &refused):
		return serverRefusedRow(refused), true
	case errors.As(err, &method):
		return methodRow(method, f), true
	case errors.As(err, &plain):
		return row{
			what: or(plain.Server, "The server") + " wants a password over plain http. None was sent.", short: "wants a password without TLS",
			why:  "Without TLS everybody on the way could read it.",
			next: []string{"Give the https address of the server.", "{again}"}, class: ClassAuth,
		}, true
	case errors.As(err, &spn):
		return spnRow(spn, f), true
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

// certificateSums is the command that shows the SHA-256 of a server's certificates, on the
// server.
func (f Facts) certificateSums() string {
	list := "Get-ExchangeCertificate"
	if f.farm() {
		list = "Get-ChildItem Cert:\\LocalMachine\\My"
	}
	return "PS> " + list + " | ForEach-Object { $_.Subject; [BitConverter]::ToString([Security.Cryptography.SHA256]::Create().ComputeHash($_.RawData)) }"
}

// selfMade says where a certificate comes from that no authority vouches for.
func selfMade(f Facts) string {
	if f.farm() {
		return " The company's own authority mostly issues those of SharePoint."
	}
	return " Exchange makes itself such a certificate when it is installed."
}

func certificateLink(f Facts) string {
	if f.farm() {
		return ""
	}
	return "https://learn.microsoft.com/exchange/architecture/client-access/certificates"
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
		r.next = []string{"Sign in to Windows as that account and set a new password.", "For an account that only programs use, let the password not expire, and give c2conn the new one{:editpassword}"}
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

func methodRow(e *winauth.NoMethodError, f Facts) row {
	if e.KerberosOnly {
		return kerberosOnlyRow(e, f)
	}
	offered := "nothing"
	if len(e.Offered) > 0 {
		offered = transport.CleanText(strings.Join(e.Offered, ", "), 200)
	}
	r := row{
		what: or(e.Server, "The server") + " offers no way to sign in that can be used.", short: "no usable way to sign in",
		why:  "It offers " + offered + "; c2conn uses Negotiate (Kerberos, NTLM), NTLM, and Basic over TLS.",
		next: []string{"As Exchange administrator look at what the virtual directory offers:", "PS> Get-WebServicesVirtualDirectory -ADPropertiesOnly | Format-List Server,*Authentication*", "{again}"}, class: ClassAuth,
	}
	if f.farm() {
		r = farmMethodRow(r, e, offered)
	}
	if e.NoPassword {
		r.what, r.short = or(e.Server, "The server")+" takes a password only, and there is a Kerberos ticket only.", "takes a password only"
		r.next = []string{"Give a password instead{:editpassword}", "{again}"}
	}
	if e.Err != nil {
		r.why += " Kerberos is not possible: " + sentence(e.Err)
	}
	return r
}

// kerberosOnlyRow is for a server whose Negotiate takes no NTLM: what has to be mended is
// what Kerberos failed of.
func kerberosOnlyRow(e *winauth.NoMethodError, f Facts) row {
	r := row{
		what: or(e.Server, "The server") + " takes Kerberos only, and Kerberos failed.", short: "takes Kerberos only, and Kerberos failed",
		next: []string{"{again}"}, class: ClassAuth,
	}
	if e.Err != nil {
		r.why = "Kerberos failed because of this: " + sentence(e.Err)
		if cause, ok := windowsRow(e.Err, f); ok {
			r.next, r.link = cause.next, cause.link
		}
	}
	r.why = strings.TrimSpace(r.why + " NTLM, the way without a domain controller, is switched off there.")
	return r
}

func spnRow(e *winauth.UnknownSPNError, f Facts) row {
	host := e.SPN[strings.Index(e.SPN, "/")+1:]
	r := row{
		what: "The domain knows no service " + or(e.SPN, "(service)") + ", so Kerberos cannot be used.", short: "no service principal name; no Kerberos",
		why: "The name is a load balancer's or an alias, and no alternate service account has it; or the server is in another domain.",
		next: []string{"Use the server's own full name (FQDN).", "Or give the name to an alternate service account (ASA), as Exchange administrator; the link says how. Look which there is:",
			"PS> Get-ClientAccessService -IncludeAlternateServiceAccountCredentialStatus | Format-List Name,AlternateServiceAccountConfiguration", "{again}"}, link: kerberosLink, class: ClassAuth,
	}
	if f.farm() {
		r.why, r.link = "No account of the domain has it: SharePoint does not set it by itself.", farmKerberosLink
		r.next = []string{"Give it to the account of the web application's pool, as domain administrator:", "PS> setspn -S " + or(e.SPN, "HTTP/HOST") + " 'DOMAIN\\POOLACCOUNT'", "{again}"}
	}
	if net.ParseIP(host) != nil {
		r.what, r.why = "By an IP address Kerberos cannot be used.", "No service is called after an IP address."
		r.next = []string{"Use the server's full name (FQDN).", "{again}"}
	}
	return r
}
