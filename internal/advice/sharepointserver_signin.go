package advice

import (
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/c2conn/c2conn/internal/transport"
	"github.com/c2conn/c2conn/internal/winauth"
)

// signInRow is what a refused sign-in means on SharePoint. There a 401 is the answer to
// an account without a right, too: IIS cannot tell.
func (e *FarmError) signInRow(f Facts) (row, bool) {
	var (
		wrong   *winauth.WrongPasswordError
		skew    *winauth.ClockSkewError
		ticket  *winauth.TicketError
		refused *winauth.RefusedError
		plain   *winauth.PlainError
	)
	switch {
	case errors.As(e.Err, &wrong) && (wrong.Protocol == string(winauth.NTLM) || wrong.Protocol == string(winauth.Basic)):
		return e.wrongOrDeniedRow(wrong, f), true
	case errors.As(e.Err, &skew), errors.As(e.Err, &ticket): // the cause, whatever came of it
		return row{}, false
	case errors.As(e.Err, &plain):
		return e.plainRow(plain, f), true
	case errors.As(e.Err, &refused) && refused.Method == winauth.Kerberos && !refused.Taken:
		return e.ticketRow(refused), true
	case errors.As(e.Err, &refused) && refused.Proven:
		r := e.deniedRow()
		r.why = "The password is right, and the answer was 401 all the same. " + r.why
		if strings.HasPrefix(e.URL, "https:") { // it binds sign-ins to TLS
			r.why += " Where a load balancer decrypts TLS, Extended Protection of the server may be the reason instead."
		}
		return r, true
	case errors.As(e.Err, &refused):
		return row{
			what: or(refused.Server, "The server") + " refused the sign-in of {account}.", short: "the sign-in was refused",
			why:  "The account has no right there, or the server does not take this way to sign in (" + string(refused.Method) + ").",
			next: e.rights(), link: e.rightsLink(), class: ClassAuth,
		}, true
	}
	return row{}, false
}

// wrongOrDeniedRow is for a 401 that nobody can tell the meaning of. It ends everything
// that the account is asked for, so what has refused may be another part of the farm, or a
// server of another connection that signs in alike.
func (e *FarmError) wrongOrDeniedRow(wrong *winauth.WrongPasswordError, f Facts) row {
	r := row{
		what: or(wrong.Server, "The server") + " refused {account}: its password is wrong, or it has no right there.", short: "refused: wrong password, or no right",
		why: "Both have the same answer (401), and no domain controller could be asked which it is. " + f.once(),
		next: append(f.anotherPassword(),
			"Let c2conn ask a domain controller, which tells both apart: port 88 (TCP) open to it, its name in DNS (C2CONN_DNS=10.0.0.10), the domain named (--ad-domain corp.contoso.com).",
			"If the password is right:"),
		class: ClassAuth,
	}
	refusing := e
	switch {
	case wrong.Server == "" || strings.EqualFold(serverOf(e.URL), wrong.Server):
	case strings.EqualFold(serverOf(f.Site), wrong.Server):
		refusing = &FarmError{Part: FarmSites, URL: f.Site}
		r.why += " So Central Administration was not asked."
	case strings.EqualFold(serverOf(f.Central), wrong.Server):
		refusing = &FarmError{Part: FarmCentral, URL: f.Central}
		r.why += " So the sites were not asked any further."
	default:
		r.why += " That server is of another connection with this account, so this one was not asked."
		r.next[len(r.next)-1] = "{again}"
		return r
	}
	r.next, r.link = append(r.next, refusing.rights()...), refusing.rightsLink()
	if f.Connection == "" { // to check again in the same run would not notice the right
		r.next[len(r.next)-1] = "Then start c2conn anew: the same password is not tried again before."
	}
	return r
}

// ticketRow is for a Kerberos ticket that the web application does not take.
func (e *FarmError) ticketRow(refused *winauth.RefusedError) row {
	host, _, _ := strings.Cut(or(refused.Server, "HOST"), ":")
	return row{
		what: or(refused.Server, "The server") + " does not take the Kerberos ticket of {account}.", short: "the Kerberos ticket is not taken",
		why: "Mostly the service principal name belongs to another account than the one that the application pool runs under. Or the account has no right there.",
		next: append([]string{"See which account has the name, as domain administrator:", "PS> setspn -Q HTTP/" + host,
			"Compare it with the account of the application pool (Central Administration › Security › Configure service accounts), and move the name there if it is another one.",
			"If it is the same, give the account the right:"}, e.rights()...),
		link: farmKerberosLink, class: ClassAuth,
	}
}

// farmMethodRow is for a web application that offers neither Negotiate nor NTLM.
func farmMethodRow(r row, e *winauth.NoMethodError, offered string) row {
	r.link = farmSignInLink
	r.why = "It offers " + offered + "; with SharePoint c2conn uses Negotiate (Kerberos, NTLM) and NTLM, and sends no clear password (Basic) to it."
	r.next = []string{"Check the address: one that is mistyped may lead to somebody else's server.",
		"If it is right, switch on Integrated Windows authentication, Negotiate (Kerberos) or NTLM, for the web application: Central Administration › Application Management › Manage web applications › Authentication Providers.", "{again}"}
	if len(e.Offered) > 0 && !slices.ContainsFunc(e.Offered, func(scheme string) bool { return !strings.EqualFold(scheme, "Basic") }) {
		r.what, r.short = or(e.Server, "The server")+" offers Basic alone, which takes the password as it is. None was sent.", "offers Basic alone; no password was sent"
	}
	return r
}

// anonymousRow is for a server that lets everybody in, where SharePoint asks who it is.
func (e *FarmError) anonymousRow(a *AnonymousError, f Facts) row {
	at := originOr(a.URL, "the server")
	r := row{
		what: "What answers at " + at + " asked nobody to sign in. Nothing is proven of {account}.", short: "answered without a sign-in",
		why: "SharePoint asks for a sign-in before it lists site collections. Either the web application shows them to everybody (anonymous access), or something else answers in SharePoint's place.",
		next: append([]string{"Check the address: one that is mistyped may lead to somebody else's server.", "Open it in a private window of a browser on this computer and see what comes.",
			"If it is right, look at the zones of the web application: Central Administration › Application Management › Manage web applications › Authentication Providers › Enable anonymous access."},
			append(f.give("If it is not, give the right one", "sharepoint-url", "URL"), "{again}")...),
		link: farmSignInLink, class: ClassCheck,
	}
	if e.Part == FarmCentral {
		r.why = "Central Administration lets nobody in without a sign-in, so something else answers in its place."
		r.next = append(append([]string{"Check the address: one that is mistyped may lead to somebody else's server."}, e.findPort(f)...), "{again}")
	}
	return r
}

// plainRow is for a sign-in over http, which is not done or which nobody has allowed.
func (e *FarmError) plainRow(plain *winauth.PlainError, f Facts) row {
	host, _, _ := strings.Cut(or(plain.Server, "HOST"), ":")
	r := row{
		what: or(plain.Server, "The server") + " takes NTLM over http. No password was used.", short: "NTLM over http is not allowed",
		why: "Whoever is on the way can read what is sent, use the sign-in elsewhere, and try passwords against it. Over http c2conn uses Kerberos, unless you allow NTLM.",
		next: append(f.give("Best is https; if the web application has it, give that address", "sharepoint-url", e.httpsURL()),
			"Or let the web application take Kerberos: Central Administration › Application Management › Manage web applications › Authentication Providers › Negotiate (Kerberos).",
			"Its application pool's account needs a service principal name for that, which a domain administrator gives it:",
			"PS> setspn -S HTTP/"+host+" 'DOMAIN\\POOLACCOUNT'"),
		link: farmKerberosLink, class: ClassAuth,
	}
	if e.Part == FarmCentral {
		r.next = append(append([]string{"Best is https for Central Administration, too; on the server that runs it (the certificate is bound in IIS):", "PS> Set-SPCentralAdministration -Port " + portOf(e.URL) + " -SecureSocketsLayer"},
			f.give("Then give its address", "central-admin-url", e.httpsURL())...),
			"Or Kerberos, where no site that runs under another account has the same host name: the authentication provider Negotiate (Kerberos), and a service principal name for the farm's account, which a domain administrator gives it:",
			"PS> setspn -S HTTP/"+host+" 'DOMAIN\\FARMACCOUNT'")
	}
	if !plain.NTLM && len(plain.Offered) > 0 {
		r.why = "It offers " + transport.CleanText(strings.Join(plain.Offered, ", "), 200) + ". Whoever is on the way could read the password. Over http c2conn uses Kerberos, or NTLM where you allow it."
	}
	if plain.Err != nil {
		r.why += " Kerberos is not possible: " + sentence(plain.Err)
	}
	switch {
	case !plain.NTLM:
		r.what, r.short = or(plain.Server, "The server")+" wants a password over http. None was sent.", "wants a password without TLS"
	case f.Connection == "":
		allow := "--allow-plain-ntlm"
		if f.Edited {
			allow = f.flag("plain-ntlm") + "yes"
		}
		r.next = append(r.next, "Or, in a network that you trust, allow it: "+allow+", or “Signing in over http” in the step “Admin's credentials”.")
	default:
		r.next = append(r.next, "Or, in a network that you trust, allow it:", "$ c2conn edit "+shellWord(f.Connection)+" --set plain-ntlm=yes")
	}
	r.next = append(r.next, "{again}")
	return r
}

// plainCentralRow is for a Central Administration over http where the connection names
// https. It may be its administrator's choice, or that of somebody on the way.
func (e *FarmError) plainCentralRow(f Facts) row {
	_, rest, _ := strings.Cut(or(e.URL, "https://HOST"), "://")
	return row{
		what: "At " + rest + " there is http, and the connection names https. Nothing was sent to it.", short: "it speaks http, not https",
		why: "Central Administration is on http unless somebody chose https. Where it had https before, somebody on the way may answer in its place.",
		next: append([]string{"See which it is, in the SharePoint Management Shell on the farm:",
			"PS> Get-SPWebApplication -IncludeCentralAdministration | Where-Object IsAdministrationWebApplication | Format-List Url",
			"Best is https; on the server that runs it (the certificate is bound in IIS):", "PS> Set-SPCentralAdministration -Port " + portOf(e.URL) + " -SecureSocketsLayer"},
			append(f.give("If it is to be http, say so", "central-admin-url", "http://"+rest), "If it is https on the farm, tell your security team.", "{again}")...),
		class: ClassAuth,
	}
}

// httpsURL is the address with https.
func (e *FarmError) httpsURL() string {
	_, rest, _ := strings.Cut(or(e.URL, "http://HOST"), "://")
	return "https://" + rest
}

// serverOf is host and port of an address.
func serverOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return ""
	}
	return transport.HostPort(u)
}

func portOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Port() == "" {
		return "PORT"
	}
	return u.Port()
}

// deniedRow is for an account that signed in and lacks the right.
func (e *FarmError) deniedRow() row {
	r := row{link: e.rightsLink(), class: ClassCheck, next: e.rights()}
	switch e.Part {
	case FarmCentral:
		r.what, r.short = "{account} may not open Central Administration.", "no right to open Central Administration"
		r.why = "It takes a member of the group Farm Administrators."
	case FarmSites:
		r.what, r.short = "{account} may not list the site collections.", "no right to list the site collections"
		r.why = "Listing all of a web application takes Full Read on it, as search has it."
	default:
		r.what, r.short = "{account} may not open the site "+or(e.URL, "")+".", "no right to open the site"
		r.why = "It is neither among the site's users nor in a policy of the web application."
	}
	return r
}

// rights are the steps that give the account the right, on the farm. SharePoint's shell
// knows accounts as DOMAIN\NAME.
//
// Sources: learn.microsoft.com/powershell/module/sharepoint-server, New-SPUser and
// New-SPClaimsPrincipal; farmPolicyLink.
func (e *FarmError) rights() []string {
	if e.Part == FarmCentral {
		return []string{"Central Administration › Security › Manage the farm administrators group: add {account}.",
			"Or in the SharePoint Management Shell, as farm administrator (DOMAIN\\NAME is {account}):",
			"PS> New-SPUser -UserAlias 'DOMAIN\\NAME' -Web " + Literal(originOr(e.URL, "URL")) + " -Group 'Farm Administrators'", "{again}"}
	}
	steps := []string{"Central Administration › Application Management › Manage web applications › User Policy: add {account} with Full Read to back up, Full Control to restore, too.",
		"Or in the SharePoint Management Shell, as farm administrator (DOMAIN\\NAME is {account}; FullControl instead of FullRead to restore, too):",
		"PS> $web = Get-SPWebApplication " + Literal(originOr(e.URL, "URL")),
		"PS> $who = (New-SPClaimsPrincipal -Identity 'DOMAIN\\NAME' -IdentityType WindowsSamAccountName).ToEncodedString()",
		"PS> $web.Policies.Add($who, 'c2conn').PolicyRoleBindings.Add($web.PolicyRoles.GetSpecialRole('FullRead'))",
		"PS> $web.Update()"}
	if e.Part == FarmSite {
		steps = append(steps, "Or make it an administrator of this one site collection:", "PS> New-SPUser -UserAlias 'DOMAIN\\NAME' -Web "+Literal(or(e.URL, "URL"))+" -SiteCollectionAdmin")
	}
	return append(steps, "{again}")
}

func (e *FarmError) rightsLink() string {
	if e.Part == FarmCentral {
		return farmAccountsLink
	}
	return farmPolicyLink
}
