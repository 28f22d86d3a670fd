package advice

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// usualPatience is how long a check waits where Facts does not say.
const usualPatience = 30 * time.Second

// later is the row of a busy service that asks for more time than there was, so that
// c2conn did not wait for it; r itself otherwise. at is when it answered.
func (r row) later(f Facts, service string, status int, after time.Duration, at time.Time) row {
	patience := f.Patience
	if patience <= 0 {
		patience = usualPatience
	}
	switch status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
	default:
		return r
	}
	if after < patience {
		return r
	}
	r.what = service + " is busy and asks to wait " + wait(after) + ", longer than c2conn waits."
	r.short = "busy, asks to wait " + wait(after) + ", longer than c2conn waits"
	if at.IsZero() {
		at = f.Now
	}
	step := "Wait " + wait(after) + "."
	if !at.IsZero() {
		until, form := at.UTC().Add(after+time.Minute-1).Truncate(time.Minute), "15:04"
		if until.Format(time.DateOnly) != at.UTC().Format(time.DateOnly) {
			form = "2006-01-02 15:04"
		}
		step = fmt.Sprintf("Wait until %s UTC; asking earlier can make the wait longer.", until.Format(form))
	}
	r.next = []string{step, "{again}"}
	return r
}

// carried is the row of a refusal for want of a permission that the token carries:
// then something else refuses. r itself where that is not so. sites says that the call
// was about them.
func (f Facts) carried(r row, service string, sites bool) row {
	if !f.Carried || !names(r, "lack", "{permission}") {
		return r
	}
	if strings.Contains(r.what, "mailbox") {
		return f.carriedMailbox(r)
	}
	out := row{
		what:  service + " refused, although the application has the permission {permission}.",
		short: "refused, although the permission is there",
		why:   "The token carries it, so something else refuses: a policy keeps this computer or the application out, or the consent has not reached every server yet.",
		next:  []string{"Ask whoever owns the tenant's policies whether Conditional Access (Entra admin centre › Protection) keeps this computer or the application out.", consentSpreads, "{again}", supportLast},
		link:  r.link, class: r.class,
	}
	if sites {
		out.why = "The token carries it, so something else refuses: a policy keeps this computer or the application out, the consent has not reached every server yet, or the site is locked or is being restored."
		out.next = []string{
			"Look whether a policy keeps this computer out: SharePoint admin centre › Policies › Access control › Network location, and Conditional Access in the Entra admin centre.",
			consentSpreads,
			"Look whether a site is locked or being restored: SharePoint admin centre › Sites › Active sites, and Deleted sites.",
			"{again}", supportLast,
		}
		out.link = accessLink
	}
	return out
}

const supportLast = "If it stays, give the ids of this answer to Microsoft support."

// carriedMailbox is the same where a mailbox was to be opened: policies limit
// applications to some of them.
func (f Facts) carriedMailbox(r row) row {
	if !f.Carried {
		return r
	}
	r.why = "The token carries {permission}, so a policy limits the application to certain mailboxes (application access policy, RBAC for Applications), or the consent has not reached this mailbox's server yet."
	r.next = []string{
		"Ask an Exchange administrator whether the application is limited to some mailboxes:",
		"PS> Test-ApplicationAccessPolicy -AppId {clientguid} -Identity {accountarg}",
		"PS> Test-ServicePrincipalAuthorization -Identity {clientguid} -Resource {accountarg}",
		consentSpreads, "{again}",
	}
	return r
}

// names reports whether a row speaks of one of the words in what happened or why.
func names(r row, words ...string) bool {
	for _, w := range words {
		if strings.Contains(r.what+r.why, w) {
			return true
		}
	}
	return false
}

const accessLink = "https://learn.microsoft.com/sharepoint/control-access-based-on-network-location"
