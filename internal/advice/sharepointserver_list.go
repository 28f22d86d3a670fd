package advice

import (
	"errors"
	"fmt"

	"github.com/c2conn/c2conn/internal/sharepointserver"
)

// NoCollectionsError is a list of site collections without an entry.
type NoCollectionsError struct {
	URL    string
	Way    sharepointserver.Way
	WhyNot error // why SiteData did not list them, where search did
}

func (e *NoCollectionsError) Error() string {
	return "no site collection is listed by " + string(e.Way)
}

// PartialListError is a list of site collections of which a part could not be read.
type PartialListError struct {
	URL string
	Way sharepointserver.Way
	Err error
}

func (e *PartialListError) Error() string {
	return "the list of the site collections is not complete: " + e.Err.Error()
}

// Unwrap returns what could not be read.
func (e *PartialListError) Unwrap() error { return e.Err }

// listJudgement is for a list that neither way gives.
func (e *FarmError) listJudgement(list *sharepointserver.ListError, f Facts) judgement {
	first, second := &FarmError{Part: e.Part, URL: e.URL, Err: list.SiteData}, &FarmError{Part: e.Part, URL: e.URL, Err: list.Search}
	siteData, search := Short(first, f), Short(second, f)
	if siteData == search || notThere(list.SiteData) && notThere(list.Search) { // one reason for both
		return judge(second, f)
	}
	r := row{
		what: "The site collections cannot be listed.", short: "neither by SiteData nor by search",
		why:  "Two ways were tried. SiteData: " + siteData + ". Search: " + search + ".",
		next: e.siteDataSteps(list.SiteData), link: farmPolicyLink, class: ClassCheck,
	}
	r.next = append(r.next, "Or mend search, which lists what is indexed: Central Administration › Manage service applications › Search Service Application shows whether it crawls.", "{again}")
	return judgement{row: r}
}

// siteDataSteps let SiteData list the site collections, which it did not for the reason
// given.
func (e *FarmError) siteDataSteps(whyNot error) []string {
	if notThere(whyNot) {
		return []string{"SiteData (/_vti_bin/SiteData.asmx) lists all of the web application, but it is not there (404). Ask whoever runs the farm whether it is meant to be closed; search crawls by it, too."}
	}
	steps := []string{"SiteData lists all of the web application; it takes Full Read on it."}
	for _, step := range e.rights() {
		if step != "{again}" {
			steps = append(steps, step)
		}
	}
	return steps
}

func notThere(err error) bool {
	e, ok := errors.AsType[*sharepointserver.Error](err)
	return ok && e.Reason == sharepointserver.NotThere && e.SharePoint
}

func noCollectionsRow(e *NoCollectionsError) row {
	r := row{
		what: "The web application lists no site collection.", short: "no site collection is listed",
		why:  "It has none, or none that {account} is told of.",
		next: []string{"See whether there is one, in the SharePoint Management Shell on the farm:", "PS> Get-SPSite -WebApplication " + Literal(originOr(e.URL, "URL")) + " -Limit 20 | Format-Table Url", "{again}"}, class: ClassCheck,
	}
	if e.Way == sharepointserver.Search {
		r.why = "SiteData could not be asked, and search lists what is indexed and {account} may see: nothing so far."
		r.next = append((&FarmError{Part: FarmSites, URL: e.URL}).siteDataSteps(e.WhyNot), "Or let search crawl first: Central Administration › Manage service applications › Search Service Application shows whether it does.", "{again}")
		r.link = farmPolicyLink
	}
	return r
}

func partialRow(e *PartialListError) row {
	look := []string{"Look at the list, in the SharePoint Management Shell on the farm:",
		"PS> Get-SPSite -WebApplication " + Literal(originOr(e.URL, "URL")) + " -Limit All | Format-Table Url"}
	if _, full := errors.AsType[*sharepointserver.FullError](e.Err); full {
		return row{
			what: "The web application lists more site collections than c2conn keeps.", short: "the list is too long",
			why: sentence(e.Err), next: look, class: ClassCheck,
		}
	}
	if left, ok := errors.AsType[*sharepointserver.UnusableError](e.Err); ok {
		return row{
			what: fmt.Sprintf("Of the list %d could not be used: no addresses of web sites, or with characters that cannot be shown.", left.Count), short: "a part of the list cannot be used",
			why:  "Something writes into the farm's list what SharePoint itself does not, or a site collection has invisible characters in its address. These are left out; nothing is sent to them.",
			next: append(look, "Look for what is odd in it, and ask whoever made that site collection.", "{again}"), class: ClassCheck,
		}
	}
	if e.Way == sharepointserver.Search {
		return row{
			what: "Search did not give every site collection.", short: "search did not give all",
			why:  sentence(e.Err),
			next: append([]string{"Let SiteData list them: it takes Full Read on the web application."}, (&FarmError{Part: FarmSites, URL: e.URL}).rights()...),
			link: farmPolicyLink, class: ClassCheck,
		}
	}
	return row{
		what: "Not every content database told its site collections.", short: "a content database could not be read",
		why: sentence(e.Err),
		next: []string{"Look at the databases, in the SharePoint Management Shell on the farm:",
			"PS> Get-SPContentDatabase -WebApplication " + Literal(originOr(e.URL, "URL")) + " | Format-Table Name,Server,Status,CurrentSiteCount", "{again}"},
		class: ClassCheck,
	}
}
