package advice

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/sharepointserver"
	"github.com/c2conn/c2conn/internal/transport"
)

const (
	farmPolicyLink    = "https://learn.microsoft.com/sharepoint/administration/manage-permission-policies-for-a-web-application"
	farmAccountsLink  = "https://learn.microsoft.com/sharepoint/security-for-sharepoint-server/plan-for-administrative-and-service-accounts"
	farmSignInLink    = "https://learn.microsoft.com/sharepoint/security-for-sharepoint-server/plan-user-authentication"
	farmKerberosLink  = "https://learn.microsoft.com/sharepoint/security-for-sharepoint-server/kerberos-authentication-planning"
	farmMappingLink   = "https://learn.microsoft.com/sharepoint/administration/configure-alternate-access-mappings"
	farmLifecycleLink = "https://learn.microsoft.com/sharepoint/product-servicing-policy/product-servicing-policy"
)

// FarmPart is what of a SharePoint farm is asked: each takes another right.
type FarmPart string

// The parts, by the ids of their checks.
const (
	FarmSites   FarmPart = "sites"
	FarmSite    FarmPart = "site"
	FarmCentral FarmPart = "central-administration"
)

// FarmError is what kept a part of a SharePoint farm on the premises from being read.
type FarmError struct {
	Part FarmPart
	URL  string // that was asked
	Err  error
}

func (e *FarmError) Error() string { return e.Err.Error() }

// Unwrap returns what happened.
func (e *FarmError) Unwrap() error { return e.Err }

// AnonymousError is a server that answered everything without asking for a sign-in.
type AnonymousError struct{ URL string }

func (e *AnonymousError) Error() string { return e.URL + " answered without a sign-in" }

// CentralSiteError is Central Administration at the address of the sites.
type CentralSiteError struct{ URL string }

func (e *CentralSiteError) Error() string { return e.URL + " is Central Administration" }

// farm reports whether the facts are of a SharePoint farm on the premises.
func (f Facts) farm() bool { return f.OnPremises && f.Kind == connections.SharePoint }

// fromFarm finds the advice for what SharePoint farms alone meet.
func fromFarm(err error, f Facts) (judgement, bool) {
	var (
		nothing *NoCollectionsError
		partial *PartialListError
		part    *FarmError
		list    *sharepointserver.ListError
		answer  *sharepointserver.Error
	)
	switch {
	case errors.As(err, &nothing):
		return judgement{row: noCollectionsRow(nothing)}, true
	case errors.As(err, &partial):
		return judgement{row: partialRow(partial)}, true
	case !errors.As(err, &part):
		return judgement{}, false
	}
	if anonymous, ok := errors.AsType[*AnonymousError](err); ok {
		return judgement{row: part.anonymousRow(anonymous, f)}, true
	}
	if central, ok := errors.AsType[*CentralSiteError](err); ok {
		return judgement{row: centralSiteRow(central, f)}, true
	}
	if errors.As(err, &list) {
		return part.listJudgement(list, f), true
	}
	if central, ok := errors.AsType[*sharepointserver.CentralError](err); ok {
		if central.Plain {
			return judgement{row: part.plainCentralRow(f)}, true
		}
		part = part.answered(central)
	}
	if row, ok := part.signInRow(f); ok {
		return judgement{row: row}, true
	}
	if errors.As(err, &answer) {
		j := judgement{row: part.answerRow(answer, f), correlation: answer.RequestID, time: answer.Time}
		if answer.Code != "" {
			j.codes = []string{transport.CleanText(answer.Code, 80)}
		}
		if answer.Reason != sharepointserver.NotThere { // that says it itself
			j.serviceAnswer = transport.CleanText(answer.Text, 300)
		}
		return j, true
	}
	if failed, ok := errors.AsType[*transport.Error](err); ok {
		if row, ok := part.portRow(failed, f); ok {
			return judgement{row: row, codes: []string{"network_" + string(failed.Kind)}}, true
		}
	}
	return judgement{}, false
}

// answered is e with the address whose answer counts: Central Administration may have
// another scheme than the one asked for.
func (e *FarmError) answered(central *sharepointserver.CentralError) *FarmError {
	return &FarmError{Part: e.Part, URL: or(central.At, e.URL), Err: e.Err}
}

// give are the steps that give an address, to a saved connection or a new one.
func (f Facts) give(lead, name, value string) []string {
	if f.Connection == "" {
		return []string{lead + ": " + f.flag(name) + shellWord(value)}
	}
	return []string{lead + ":", "$ c2conn edit " + shellWord(f.Connection) + " --set " + shellWord(name+"="+value)}
}

// originOr is scheme and host of an address, otherwise where it is none.
func originOr(address, otherwise string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return otherwise
	}
	return or(u.Scheme+"://"+u.Host, otherwise)
}

// findPort are the steps that find the port of Central Administration.
//
// Source: learn.microsoft.com/powershell/module/sharepoint-server/get-spwebapplication.
func (e *FarmError) findPort(f Facts) []string {
	steps := []string{"See its address in the SharePoint Management Shell on the farm (or in the Start menu of the server: SharePoint Central Administration):",
		"PS> Get-SPWebApplication -IncludeCentralAdministration | Where-Object IsAdministrationWebApplication | Format-List Url"}
	if f.Connection == "" {
		return append(steps, "Give its port: "+f.flag("central-admin-port")+"PORT, or the whole address: "+f.flag("central-admin-url")+"URL")
	}
	at := "http://HOST"
	if u, err := url.Parse(e.URL); err == nil && u.Hostname() != "" {
		at = u.Scheme + "://" + u.Hostname()
	}
	return append(steps, f.give("Give its address, with the port that it has", "central-admin-url", at+":PORT")...)
}

// portRow is for an address at which nothing listens.
func (e *FarmError) portRow(failed *transport.Error, f Facts) (row, bool) {
	host := or(failed.Host, "the server")
	switch {
	case e.Part == FarmCentral && failed.Kind == transport.KindRefused:
		return row{
			what: "Nothing listens at " + host + ": it is not the port of Central Administration.", short: "nothing listens on this port",
			why:  "The port is chosen when the farm is set up, and it is open on the servers that run Central Administration only.",
			next: append(e.findPort(f), "If Central Administration runs on another server of the farm, give its address: central-admin-url.", "{again}"), class: ClassCheck,
		}, true
	case e.Part == FarmCentral && failed.Kind == transport.KindTimeout:
		return row{
			what: "Central Administration at " + host + " does not answer.", short: "no answer in time",
			why:  "A firewall drops what is sent to this port, the port is a wrong one, or the server is overloaded.",
			next: append([]string{"Let the firewall pass this port (TCP) from this computer to the server."}, append(e.findPort(f), "{again}")...), class: ClassCheck,
		}, true
	case failed.Kind == transport.KindTLS:
		return row{
			what: host + " speaks no TLS that c2conn takes.", short: "no secure connection to the server",
			why:  "The port is one of plain http, or the server knows no TLS 1.2, as an old Windows that nobody has changed.",
			next: []string{"If it is http, give the address with http://. {edit}", "If it is https, switch on TLS 1.2 on the server.", "{again}"},
			link: "https://learn.microsoft.com/sharepoint/security-for-sharepoint-server/enable-tls-1-1-and-tls-1-2-support-in-sharepoint-server-2019", class: ClassCheck,
		}, true
	case e.Part != FarmCentral && failed.Kind == transport.KindRefused:
		return row{
			what: "Nothing listens at " + host + ".", short: "the server refuses the connection",
			why:  "The web application is at another address: https instead of http or the other way round, or another port. Or its web server (IIS) has stopped.",
			next: []string{"See its addresses in the SharePoint Management Shell on the farm:", "PS> Get-SPWebApplication | Format-Table DisplayName,Url", "{edit}", "{again}"}, class: ClassCheck,
		}, true
	}
	return row{}, false
}

// answerRow is what an answer means that is not the wanted one.
func (e *FarmError) answerRow(a *sharepointserver.Error, f Facts) row {
	at, flag, central := or(e.URL, "the server"), "sharepoint-url", e.Part == FarmCentral
	if central {
		at, flag = originOr(a.URL, at), "central-admin-url" // with the scheme that answered
	}
	r := row{class: ClassCheck}
	switch a.Reason {
	case sharepointserver.Denied:
		return e.deniedRow()
	case sharepointserver.NotThere:
		if !a.SharePoint {
			return e.strangerRow(at, f)
		}
		if central {
			return e.notCentralRow(at, f)
		}
		if a.Op == string(sharepointserver.SiteData) {
			r.what, r.short = "There is no SiteData at "+at+".", "it is not there (404)"
			r.why = "SharePoint answers, but its service /_vti_bin/SiteData.asmx does not: somebody has switched it off, or no site collection lies at this address."
			r.next = []string{"Ask whoever runs the farm whether the service is meant to be closed; search crawls by it, too.", "{again}"}
			return r
		}
		r.what, r.short = "There is no site collection at "+at+".", "no site collection at this address"
		r.why = "SharePoint answers, but no site collection lies at this path: look for a typing error; or it was deleted or renamed."
		if u, err := url.Parse(e.URL); err == nil && strings.Trim(u.Path, "/") == "" {
			r.why = "SharePoint answers, but no site collection lies at its root, and no other one could be opened in its place."
		}
		r.next = append([]string{"See which there are, in the SharePoint Management Shell on the farm:", "PS> Get-SPSite -WebApplication " + Literal(originOr(e.URL, "URL")) + " -Limit 20 | Format-Table Url"},
			append(f.give("Give the address of one", flag, "URL"), "{again}")...)
	case sharepointserver.LoginPage:
		r.what, r.short = at+" is signed in to by a web page, not by Windows.", "a sign-in page answered (forms or SAML)"
		r.why = "This zone of the web application takes forms or SAML (AD FS) only. Programs with a user name and password need Windows authentication beside it."
		r.next = append([]string{"See which ways to sign in the zones of the web application have (-Zone Default, Intranet, Internet, Extranet, Custom):", "PS> Get-SPAuthenticationProvider -WebApplication " + Literal(originOr(e.URL, "URL")) + " -Zone Default | Format-List DisplayName"},
			append(f.give("Give the address of one that has Windows authentication", flag, "URL"), "Or add it: Central Administration › Application Management › Manage web applications › Authentication Providers › Enable Windows Authentication; or extend the web application to a zone of its own for programs.", "{again}")...)
		r.link = farmSignInLink
	case sharepointserver.Moved:
		return e.movedRow(a, at, flag, f)
	case sharepointserver.NotSharePoint:
		return e.strangerRow(at, f)
	case sharepointserver.NotCentral:
		return e.notCentralRow(at, f)
	case sharepointserver.Busy:
		r.what, r.short = fmt.Sprintf("SharePoint cannot answer at the moment (%d).", a.Status), fmt.Sprintf("cannot answer at the moment (%d)", a.Status)
		r.why = "It is overloaded, restarts, is in maintenance, or its application pool has stopped."
		r.next = []string{"Wait a few minutes.", "{again}", "If it stays, look on the server whether the application pool runs:", "PS> Get-IISAppPool"}
	case sharepointserver.Fault:
		r.what, r.short = "SharePoint answered with an error.", "an error of SharePoint"
		r.why = "It told it while c2conn asked for: " + or(a.Op, "the site") + "."
		r.next = []string{"{again}", "If it stays, look into the log of the farm around this time, in the SharePoint Management Shell:", "PS> Merge-SPLogFile -Path merged.log -StartTime (Get-Date).AddMinutes(-10) -Level High"}
	default:
		r.what, r.short = "SharePoint gave an answer that c2conn does not know.", "an answer that is not SharePoint's"
		r.why = sentence(a)
		r.next = []string{"Open " + at + " in a browser on this computer: a proxy or a page of an add-on may answer in SharePoint's place.", "{again}"}
	}
	return r
}

// strangerRow is for something that is not SharePoint.
func (e *FarmError) strangerRow(at string, f Facts) row {
	r := row{
		what: "What answers at " + at + " is not SharePoint Server 2013 or later.", short: "it is not SharePoint that answers",
		why:   "The address leads to another web site, to a proxy, or to an older SharePoint.",
		next:  []string{"Open it in a browser on this computer and see what comes.", "See the addresses of the web applications, in the SharePoint Management Shell on the farm:", "PS> Get-SPWebApplication | Format-Table DisplayName,Url", "{edit}", "{again}"},
		class: ClassCheck,
	}
	if e.Part == FarmCentral {
		r.next = append(e.findPort(f), "{again}")
	}
	return r
}

func (e *FarmError) notCentralRow(at string, f Facts) row {
	return row{
		what: "SharePoint answers at " + at + ", but it is not Central Administration.", short: "another web application, not Central Administration",
		why:  "The port is that of another web application of the farm.",
		next: append(e.findPort(f), "{again}"), class: ClassCheck,
	}
}

// centralSiteRow is for Central Administration given as the address of the sites.
func centralSiteRow(e *CentralSiteError, f Facts) row {
	return row{
		what: or(e.URL, "The address") + " is Central Administration, not a web application with sites.", short: "this is Central Administration, not a site",
		why: "The farm is administered there; nothing of what is to be backed up or moved lies in it. The address of the sites is that which people open in a browser.",
		next: append([]string{"See the addresses of the web applications, in the SharePoint Management Shell on the farm:", "PS> Get-SPWebApplication | Format-Table DisplayName,Url"},
			append(f.give("Give the address of one", "sharepoint-url", "URL"), "{again}")...),
		class: ClassCheck,
	}
}

// movedRow is for a redirect. Nothing was sent to where it leads.
func (e *FarmError) movedRow(a *sharepointserver.Error, at, flag string, f Facts) row {
	to := or(a.To, "(no address)")
	r := row{
		what: at + " leads to " + to + ". c2conn did not follow.", short: "leads to another address",
		why: "The farm calls the web application by another address (alternate access mapping), or something in front of it sends programs elsewhere. Credentials go to the host that you named only.",
		next: append([]string{"See by which addresses the farm knows the web application, in the SharePoint Management Shell:", "PS> Get-SPAlternateURL | Format-Table IncomingUrl,Zone,PublicUrl"},
			append(f.give("If the new address is your farm's own, give it", flag, or(strings.TrimSuffix(a.To, "/"), "URL")), "{again}")...),
		link: farmMappingLink, class: ClassCheck,
	}
	if from, err := url.Parse(at); err == nil {
		there, err := url.Parse(a.To)
		switch {
		case err != nil:
		case from.Scheme == "https" && there.Scheme == "http":
			r.why += " And there nothing is encrypted: whoever is on the way can read and change what is sent."
			r.next = append([]string{"See by which addresses the farm knows the web application, in the SharePoint Management Shell; one with https is the better one:", "PS> Get-SPAlternateURL | Format-Table IncomingUrl,Zone,PublicUrl"},
				append(f.give("If it has none with https, and you do without encryption, certificate and the check of who answers", flag, or(strings.TrimSuffix(a.To, "/"), "URL")), "{again}")...)
		case from.Scheme == "http" && there.Scheme == "https" && strings.EqualFold(from.Hostname(), there.Hostname()):
			r.short, r.why = "leads to https", "The server wants https, which is better, too."
			r.next = append(f.give("Give the address with https", flag, or(strings.TrimSuffix(a.To, "/"), "URL")), "{again}")
		}
	}
	return r
}

// oldFarmRow is for a SharePoint Server that Microsoft no longer supports.
func oldFarmRow(e *OldServerError) row {
	return row{
		what: e.Name + " is out of support since " + e.Ended + ".", short: "out of support since " + e.Ended,
		why:  "Microsoft mends no holes in it any more. The connection works all the same.",
		next: []string{"Plan the move to SharePoint Server Subscription Edition or SharePoint Online."}, link: farmLifecycleLink, class: ClassCheck,
	}
}
