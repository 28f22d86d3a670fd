package advice

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/graph"
	"github.com/c2conn/c2conn/internal/sharepoint"
	"github.com/c2conn/c2conn/internal/transport"
)

const (
	appOnlyLink = "https://learn.microsoft.com/sharepoint/dev/solution-guidance/security-apponly-azuread"
	renameLink  = "https://learn.microsoft.com/sharepoint/change-your-sharepoint-domain-name"
	lockLink    = "https://learn.microsoft.com/sharepoint/manage-lock-status"
	sitesLink   = "https://learn.microsoft.com/graph/api/site-getallsites"
)

// WrongSharePointError is an address in a profile that is not the tenant's own.
// Nothing was sent to it.
type WrongSharePointError struct {
	Field string // of the profile; empty means endpoints.sharepoint
	Given string // as the profile has it
	Real  string // as Microsoft Graph tells it
}

func (e *WrongSharePointError) Error() string {
	return fmt.Sprintf("%s is %s, the tenant's own address is %s", e.field(), or(e.Given, "(unreadable)"), or(e.Real, "(unknown)"))
}

func (e *WrongSharePointError) field() string { return or(e.Field, "endpoints.sharepoint") }

func (e *WrongSharePointError) service() string {
	if e.Field == "endpoints.admin" {
		return "SharePoint admin centre"
	}
	return "SharePoint"
}

// NoSitesError is a tenant in which Microsoft Graph lists no site.
type NoSitesError struct{}

func (*NoSitesError) Error() string { return "Microsoft Graph lists no site" }

// CutShortError is a list of sites whose end the time did not suffice for.
type CutShortError struct{ Listed string } // by then, e.g. "5,000 site collections"

// Unwrap makes it one of time.
func (*CutShortError) Unwrap() error { return context.DeadlineExceeded }

// TimeUp tells task.Run that this is what the end of the time means.
func (*CutShortError) TimeUp() {}

func (e *CutShortError) Error() string { return e.Listed + " listed when the time was up" }

func cutShortRow(e *CutShortError) row {
	return row{
		what:  "The list of the sites was not read to its end: " + e.Error() + ".",
		short: e.Error(),
		why:   "Microsoft Graph answered and the list went on, so network and permissions are in order. The tenant has many sites, or Microsoft Graph is slow at the moment.",
		next:  []string{"Give the checks more time: run the command again with a longer --timeout, for example --timeout 30m."},
		link:  sitesLink, class: ClassCheck,
	}
}

// SeedPermissionsError is a check that the documented permissions alone cannot pass.
type SeedPermissionsError struct{ Err error } // the service's refusal

func (e *SeedPermissionsError) Unwrap() error { return e.Err }

func (e *SeedPermissionsError) Error() string { return "the documented permissions reach no site" }

// LegacyPasswordError is an administrator's user name and password, which nothing can
// verify.
type LegacyPasswordError struct {
	UPN      string
	NameOnly bool // no password is kept with it
}

func (e *LegacyPasswordError) Error() string {
	if e.NameOnly {
		return "the user name " + or(e.UPN, "of the administrator") + " is kept without a password"
	}
	return "the password of " + or(e.UPN, "the administrator") + " cannot be verified"
}

// fromSites finds the advice for what SharePoint connections alone meet.
func fromSites(err error, f Facts) (judgement, bool) {
	var (
		wrong  *WrongSharePointError
		short  *CutShortError
		none   *NoSitesError
		seed   *SeedPermissionsError
		legacy *LegacyPasswordError
		typed  *cloud.SharePointError
	)
	switch {
	case errors.As(err, &wrong):
		return judgement{row: wrongSiteRow(wrong, f)}, true
	case errors.As(err, &short):
		return judgement{row: cutShortRow(short)}, true
	case errors.As(err, &none):
		return judgement{row: noSitesRow}, true
	case errors.As(err, &seed):
		j := idsOf(seed.Err)
		j.row = seedRow
		return j, true
	case errors.As(err, &legacy):
		return judgement{row: legacyRow(legacy, f)}, true
	case errors.As(err, &typed):
		return judgement{row: typedSiteRow(typed)}, true
	}
	return judgement{}, false
}

// correctSite are the steps that put another address into an answer or a profile.
func (f Facts) correctSite(field, address string) []string {
	flag := "--sharepoint-url"
	if field == "endpoints.admin" {
		flag = "--admin-url"
	}
	if f.Connection == "" || f.Login != "" {
		return []string{"Correct the answer: " + flag + " " + address}
	}
	return []string{
		"Let c2conn correct the profile:", "$ c2conn verify " + shellWord(f.Connection) + " --fix",
		"Or do it by hand: in the connection's file (connections/NAME.yaml in the state folder) set " + field + " to " + address + ".",
	}
}

func wrongSiteRow(e *WrongSharePointError, f Facts) row {
	given, own := or(e.Given, "(unreadable)"), or(e.Real, "(unknown)")
	return row{
		what:  "The tenant's " + e.service() + " is not at " + given + " but at " + own + ".",
		short: strings.TrimPrefix(own, "https://") + " is the tenant's own", // the host first: a narrow screen cuts the end
		why:   "Microsoft Graph tells the real address. The one in " + e.field() + " is misspelt, belongs to another organisation, or is from the time before the tenant's SharePoint domain was renamed. Nothing was sent there.",
		next:  append(f.correctSite(e.field(), own), "If you meant the organisation at "+given+", compare the tenant ID: this application is registered in {tenant}.", "{again}"),
		link:  renameLink, class: ClassCheck,
	}
}

var noSitesRow = row{
	what: "Microsoft Graph lists no site in the tenant {tenant}.", short: "no site is listed",
	why:  "A tenant with SharePoint Online has one site at least. It is still being set up, its subscription has ended, or the application may see chosen sites only (Sites.Selected).",
	next: []string{"In the Microsoft 365 admin centre check that the tenant has a subscription with SharePoint Online.", "Look at the permissions: {permissions}", "{again}"},
	link: sitesLink, class: ClassCheck,
}

// seedRow is for what the documented permissions cannot do.
var seedRow = row{
	what:  "The documented permissions reach no site, so this cannot be tested with them.",
	short: "not testable with the documented permissions",
	why:   "That set (--permissions seed) has no permission for sites: listing them took an administrator's password, and Microsoft accepts none since 2026-05-01. What the set allows was verified; backing up sites takes more.",
	next: []string{
		"See what the recommended set allows, and why each permission is in it:",
		"$ c2conn app permissions --kind sharepoint",
		"To use it, make the connection anew without --permissions seed; by hand or as administrator:",
		"$ c2conn app guide sharepoint",
		"$ c2conn new sharepoint --auto",
	}, link: appOnlyLink, class: ClassCheck,
}

// legacyRow says why a password is worth nothing.
//
// Sources: Microsoft 365 message center MC1184649 (IDCRL);
// learn.microsoft.com/entra/identity-platform/v2-oauth-ropc.
func legacyRow(e *LegacyPasswordError, f Facts) row {
	then := "If no program asks for the password any more, leave out --legacy-admin."
	if f.Connection != "" {
		then = "If no program asks for the password any more, remove legacy_admin from the connection's file (connections/NAME.yaml in the state folder)."
	}
	r := row{
		what:  "The password of " + or(e.UPN, "the administrator") + " is kept, but nothing can verify it, and SharePoint Online does not take it.",
		short: "kept, cannot be verified",
		why: "The sign-in with user name and password (IDCRL) is blocked for good since 2026-05-01 (MC1184649), and app passwords went with it. " +
			"The one that is left (ROPC) fails with multi-factor authentication, which administrators must have.",
		next: []string{"Nothing is to be done: the application signs in by itself.", then},
		link: "https://learn.microsoft.com/entra/identity-platform/v2-oauth-ropc", class: ClassCheck,
	}
	if e.NameOnly {
		r.what = "Only the user name of " + or(e.UPN, "the administrator") + " is kept, no password: it is a note and opens nothing."
		r.short = "only the user name is kept"
		r.why = "A password would be of no use either. " + r.why
		r.next[1] = strings.Replace(then, "the password", "it", 1)
		return r
	}
	r.why += " So c2conn sends it nowhere."
	return r
}

func typedSiteRow(e *cloud.SharePointError) row {
	r := row{
		what:  "“" + or(e.Typed, "(nothing)") + "” is no address of SharePoint Online in the cloud “{cloud}”.",
		short: "no address of SharePoint Online in this cloud",
		why:   sentence(errors.New(or(e.Reason, "the host is not one of SharePoint Online"))),
		class: ClassUsage, link: "https://learn.microsoft.com/microsoft-365/enterprise/urls-and-ip-address-ranges",
	}
	if e.Hint != "" {
		r.next = append(r.next, capital(or(e.Hint, ""))+".")
	}
	r.next = append(r.next, "--sharepoint-url takes the organisation's name (contoso), its domain (contoso.onmicrosoft.com) or the address that a browser shows in SharePoint.")
	if e.Cloud != "" {
		r.next = append(r.next, "The cloud is chosen with --cloud "+or(e.Cloud, ""))
	}
	return r
}

// sharePointIDs are the code and ids of an answer.
func sharePointIDs(e *sharepoint.Error) judgement {
	j := judgement{trace: e.RequestID, time: e.Time}
	if e.Code != "" {
		j.codes = []string{transport.CleanText(e.Code, 80)}
	}
	return j
}

// fromSharePoint is the advice for an answer of SharePoint itself.
func fromSharePoint(e *sharepoint.Error, f Facts) judgement {
	j := sharePointIDs(e)
	host := or(e.Host, "the tenant's SharePoint host")
	switch {
	case sharepoint.AppOnlySecret(e):
		j.row = secretRefusedRow(f)
	case sharepoint.WrongAudience(e):
		j.row = row{
			what:  "SharePoint says that the token is meant for another address than " + host + ".",
			short: "the token is meant for another address",
			why:   "The address belongs to another tenant or cloud than the sign-in, or the tenant's SharePoint domain was renamed.",
			next:  []string{"Open https://" + host + " in a browser, and see whether it leads to another address.", "Check the cloud: now it is “{cloud}”.", "{edit}", "{again}"},
			link:  renameLink, class: ClassAuth,
		}
	case e.MovedTo != "" && f.Cloud.SharePointHost("https://"+e.MovedTo):
		j.row = movedRow(host, or(e.MovedTo, ""), f)
	case sharepoint.NotFound(e):
		j.row = row{
			what:  "There is no site at " + host + ".",
			short: "no site at this address",
			why:   "The address is misspelt, the site was deleted, or the tenant's SharePoint is not set up.",
			next: []string{
				"Open https://" + host + " in a browser and see which page comes.",
				"SharePoint admin centre › Sites › Deleted sites: the root site can be restored from there.",
				"{edit}", "{again}",
			}, link: "https://learn.microsoft.com/sharepoint/restore-deleted-site-collection", class: ClassCheck,
		}
	case sharepoint.Locked(e):
		j.row = lockedRow
	case sharepoint.NoPermission(e) && !isHTML(e.ContentType):
		j.row = f.carried(siteDeniedRow, "SharePoint", true)
		j.next = f.waitFirst(j.next)
	default:
		j.row = byStatus("SharePoint", e.Status, e.Code == "" && e.Message == "", e.ContentType, host)
		j.serviceAnswer = transport.CleanText(e.Message, 300)
		if j.link == graphErrors {
			j.link = ""
		}
		j.row = j.later(f, "SharePoint", e.Status, e.RetryAfter, e.Time)
	}
	return j
}

// movedRow is for a redirect to another host of the cloud. A renamed domain redirects
// for a year (renameLink).
func movedRow(host, to string, f Facts) row {
	field := "endpoints.sharepoint"
	if label, _, _ := strings.Cut(host, "."); strings.HasSuffix(label, "-admin") {
		field = "endpoints.admin"
	}
	return row{
		what:  host + " sent c2conn to " + to + ", and c2conn did not follow.",
		short: "moved to " + to,
		why:   "Most likely the tenant's SharePoint domain was renamed: the old address leads to the new one for a year. A token is never sent to a host that nobody chose.",
		next:  append(append([]string{"If the new address is your organisation's own, take it."}, f.correctSite(field, "https://"+to)...), "{again}"),
		link:  renameLink, class: ClassCheck,
	}
}

// secretRefusedRow is for SharePoint's "Unsupported app only token.".
//
// Source: appOnlyLink, "Can I use other means besides certificates".
func secretRefusedRow(f Facts) row {
	r := row{
		what:  "SharePoint refuses the client secret: it takes a certificate only.",
		short: "SharePoint takes no client secret, only a certificate",
		why:   "SharePoint lets an application in only when it signed in with a certificate (“Unsupported app only token.”). Microsoft Graph takes the secret, so sites can be listed; backing them up and restoring them cannot work.",
		next: []string{
			"Make a certificate; its thumbprint is shown:", "$ c2conn cert new --out c2conn.pem",
			"Upload c2conn.pem, which is the public part: {credentials}",
		}, link: appOnlyLink, class: ClassCheck,
	}
	if f.Connection == "" || f.Login != "" {
		r.next = append(r.next, "Answer with the certificate instead of the secret: --cert-thumbprint THUMBPRINT")
	} else {
		r.next = append(r.next, "Make the connection anew, with the certificate instead of the secret:", "$ c2conn delete "+shellWord(f.Connection), "$ c2conn new sharepoint --cert-thumbprint THUMBPRINT")
	}
	r.next = append(r.next, "{anew}", "If Microsoft Graph is all you need, nothing is to be done.")
	return r
}

var lockedRow = row{
	what: "The site is locked.",
	why:  "An administrator or Microsoft closed it (No access), it is archived, or its geography is being moved.",
	next: []string{
		"SharePoint admin centre › Sites › Active sites (and Archived sites): open the site and look at its state. Ask first who closed it and why.",
		"As SharePoint administrator in PowerShell:", "PS> Get-SPOSite -Identity {sitearg} | Format-List LockState,ArchiveStatus",
		"{again}",
	}, link: lockLink, class: ClassCheck,
}

var siteDeniedRow = row{
	what:  "SharePoint refused: the application lacks {permission} of SharePoint, or a policy keeps it out.",
	short: "refused: a permission is missing",
	why:   "The permission is not granted, or the consent has not reached SharePoint yet. The permissions of Microsoft Graph do not count here; the admin centre takes nothing less than Sites.FullControl.All.",
	next: []string{
		"{fix}",
		"Or by hand: add {permission} (SharePoint › Application permissions) and press Grant admin consent: {permissions}",
		consentSpreads,
		"If it is granted: SharePoint admin centre › Policies › Access control › Network location may keep this computer out.",
		"{again}",
	}, link: appOnlyLink, class: ClassCheck,
}

// sitesRow is what a refusal of Microsoft Graph means where it was asked for sites.
func sitesRow(e *graph.Error) (row, bool) {
	if !strings.Contains(e.Op, "site") {
		return row{}, false
	}
	switch {
	case strings.Contains(e.Message, "SPO license"), e.Status == http.StatusNotFound:
		return row{
			what:  "The tenant {tenant} has no SharePoint Online.",
			short: "the tenant has no SharePoint Online",
			why:   "It has no subscription with it, the subscription has ended, or SharePoint is still being set up.",
			next:  []string{"In the Microsoft 365 admin centre check that the tenant has a subscription with SharePoint Online.", "Check that the tenant is the right one.", "{again}"},
			link:  sitesLink, class: ClassCheck,
		}, true
	case e.Status == http.StatusLocked:
		return lockedRow, true
	}
	return row{}, false
}

// aboutSharePoint reports whether a refused token was for a host of SharePoint.
func aboutSharePoint(e *entra.Error, f Facts) bool {
	suffix := f.Cloud.SharePointSuffix
	return suffix != "" && strings.Contains(e.Description, "."+suffix)
}

// otherResourceRow is AADSTS500011 for what is no service of Microsoft 365: an API of
// Azure, of another maker or of one's own.
var otherResourceRow = row{
	what:  "The tenant {tenant} does not know {resource}, which the token is to be for.",
	short: "the tenant does not know the resource",
	why:   "No enterprise application (service principal) of the tenant has that address or id: it is misspelt, it is one of another cloud or tenant, or nobody has added it to this tenant.",
	next: []string{
		"Compare it with the Application ID URI of the API (App registrations › the API › Expose an API) or with its documentation: a slash more or less is another one.",
		"See whether the tenant has it:", "$ az ad sp show --id {resourcearg}",
		"Where it is missing, an administrator adds it with the API's own client ID (az ad sp create --id CLIENT-ID), or by a subscription to the service that it belongs to.",
		"Check the cloud: now it is “{cloud}”, and each cloud has its own addresses.",
		"Then:", "$ c2conn token {connectionarg} --resource {resourcearg}",
	}, class: ClassAuth,
}

// siteResourceRow is AADSTS500011 for a host of SharePoint.
var siteResourceRow = row{
	what:  "The tenant {tenant} has no SharePoint at the address that the token is for.",
	short: "the tenant has no SharePoint at this address",
	why:   "The address {site} belongs to another organisation or is misspelt, the tenant has no subscription with SharePoint Online, or the cloud is the wrong one.",
	next: []string{
		"Compare the address: Microsoft 365 admin centre › Admin centers › SharePoint opens https://NAME-admin…, and NAME is the one that counts.",
		"{edit}",
		"In the Microsoft 365 admin centre check that the tenant has a subscription with SharePoint Online.",
		"Check the cloud: now it is “{cloud}”.",
		"{again}",
	}, class: ClassAuth,
}
