package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/patience"
	"github.com/c2conn/c2conn/internal/progress"
	"github.com/c2conn/c2conn/internal/sharepointserver"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/internal/transport"
	"github.com/c2conn/c2conn/internal/winauth"
)

// checksOfFarm lists the checks of a SharePoint farm. They run side by side: none needs
// another to have passed.
func checksOfFarm() []check {
	return []check{
		{id: idFarmSites, title: "Site collections", times: manyPages, run: (*subject).farmSites},
		// Where there is no site collection at the address, it waits for the list.
		{id: idFarmSite, title: "Site", times: manyPages, run: (*subject).farmSite},
		{id: idCentral, title: "Central Administration", run: (*subject).centralAdministration},
	}
}

// farm is what the checks of one SharePoint farm share.
type farm struct {
	client *sharepointserver.Client

	// begin is the first sign-in, once for all checks: at a domain controller, which tells
	// a wrong password from a missing right. An error is its refusal. Where none can be
	// asked, it is the opening of the site: who may enter anything enters that, and a
	// refusal of another part is then no matter of the password.
	begin func(context.Context) error
	first *opening // of the site, where begin did that; nil where it did not
}

// opening is what came of opening a site.
type opening struct {
	site sharepointserver.Site
	err  error
}

func (s *subject) newFarm() *farm {
	var (
		once    sync.Once
		refusal error
	)
	account := s.target.Server.Account
	f := &farm{client: sharepointserver.New(sharepointserver.Options{HTTP: s.target.Server.client, Clock: s.o.Clock})}
	f.begin = func(ctx context.Context) error {
		once.Do(func() {
			switch err := account.Prove(ctx); {
			case isSignInError(err):
				refusal = err
			case account.HasPassword() && !account.Proven():
				limited, cancel := patience.WithLimit(ctx, s.o.Limit/3) // the check has to do something besides
				defer cancel()
				site, err := s.openSite(limited, s.target.Connection.Endpoints.SharePoint)
				if _, answered := errors.AsType[*sharepointserver.Error](err); answered || err == nil {
					f.first = &opening{site, err}
				}
			}
		})
		return refusal
	}
	return f
}

// farmFail tells why a part of the farm could not be read.
func (s *subject) farmFail(part advice.FarmPart, address string, err error) task.Result {
	return s.fail("", &advice.FarmError{Part: part, URL: address, Err: err})
}

// farmSites lists the site collections of the web application.
func (s *subject) farmSites(ctx context.Context, _ need) task.Result {
	at := s.target.Connection.Endpoints.SharePoint
	if err := s.farm.begin(ctx); err != nil {
		return s.farmFail(advice.FarmSites, at, err)
	}
	list, err := s.farm.client.List(ctx, at, func(found int) {
		progress.Report(ctx, progress.Update{Text: thousands(found) + " found so far"})
	})
	if err != nil {
		return s.farmFail(advice.FarmSites, at, err)
	}
	s.listed.add(list.URLs)
	if _, signedIn := s.signedIn(at); !signedIn {
		return s.farmFail(advice.FarmSites, at, &advice.AnonymousError{URL: at})
	}
	finding := fmt.Sprintf("%s by %s", thousands(len(list.URLs)), list.Way)
	var r task.Result
	switch {
	case len(list.URLs) == 0:
		r = s.fail("", &advice.NoCollectionsError{URL: at, Way: list.Way, WhyNot: list.WhyNot})
	case list.Partial != nil:
		r = s.warn(finding+", not all could be read", &advice.PartialListError{URL: at, Way: list.Way, Err: list.Partial})
	case list.Way == sharepointserver.Search && lacksRight(list.WhyNot):
		// Whoever backs up what search shows the account, does not back up the rest.
		r = s.warn(finding+", no right to list all", &advice.FarmError{Part: advice.FarmSites, URL: at, Err: list.WhyNot})
	default:
		r = pass(finding)
	}
	r.Details = s.listDetails(at, list)
	return r
}

// lacksRight reports whether the account may not do what it asked for.
func lacksRight(err error) bool {
	answer, ok := errors.AsType[*sharepointserver.Error](err)
	_, refused := errors.AsType[*winauth.RefusedError](err)
	return refused || ok && answer.Reason == sharepointserver.Denied
}

// How many addresses and hosts of a list are shown.
const (
	mostShown = 5
	mostHosts = 5
)

// listDetails say how the list came about, and what it holds.
func (s *subject) listDetails(at string, list sharepointserver.Collections) []string {
	var out []string
	if list.Way == sharepointserver.Search {
		out = append(out, "Listed by search: it knows what is indexed and what the account may see; site collections may be missing.")
		if list.WhyNot != nil {
			out = append(out, "Not by SiteData: "+advice.Short(&advice.FarmError{Part: advice.FarmSites, URL: at, Err: list.WhyNot}, s.facts)+".")
		}
	} else {
		databases := "1 content database"
		if list.Databases != 1 {
			databases = thousands(list.Databases) + " content databases"
		}
		out = append(out, "Listed by SiteData: all of the web application, "+databases+".")
	}
	out = append(out, otherHosts(at, list)...)
	for _, address := range list.URLs[:min(len(list.URLs), mostShown)] {
		out = append(out, transport.CleanText(address, 300))
	}
	return out
}

// otherHosts tells of the site collections that have hosts of their own. They are not
// asked: the account signs in to the hosts that somebody named. SiteData lists one web
// application, so that one host for all is another name of it; search lists the farm.
func otherHosts(at string, list sharepointserver.Collections) []string {
	hosts, sum := map[string]int{}, 0
	for _, address := range list.URLs {
		if u, err := url.Parse(address); err == nil && !sameMachine(address, at) {
			hosts[strings.ToLower(u.Hostname())]++
			sum++
		}
	}
	if sum == 0 {
		return nil
	}
	if list.Way == sharepointserver.SiteData && len(hosts) == 1 && sum == len(list.URLs) {
		for name := range hosts {
			return []string{"All have the host " + transport.CleanText(name, 100) + ": that is what the farm calls the web application (alternate access mapping). Nothing is sent to it."}
		}
	}
	names := slices.SortedFunc(maps.Keys(hosts), func(a, b string) int { return cmp.Or(hosts[b]-hosts[a], strings.Compare(a, b)) })
	text := ""
	for i, name := range names {
		if i == mostHosts {
			text += fmt.Sprintf(" and %s more hosts", thousands(len(names)-i))
			break
		}
		if i > 0 {
			text += ","
		}
		text += fmt.Sprintf(" %s (%s)", transport.CleanText(name, 100), thousands(hosts[name]))
	}
	return []string{collections(sum) + " on other hosts, which are not opened:" + text + "."}
}

// sameMachine reports whether two addresses name one host, whatever the scheme and port.
func sameMachine(a, b string) bool {
	x, errX := url.Parse(a)
	y, errY := url.Parse(b)
	return errX == nil && errY == nil && strings.EqualFold(x.Hostname(), y.Hostname())
}

// farmSite opens the site collection at the connection's address, or where that is the
// root of a web application without one there, the first that is listed. An address with
// a path names one site collection: where there is none, the address is wrong.
func (s *subject) farmSite(ctx context.Context, _ need) task.Result {
	at := s.target.Connection.Endpoints.SharePoint
	if err := s.farm.begin(ctx); err != nil {
		return s.farmFail(advice.FarmSite, at, err)
	}
	site, err := sharepointserver.Site{}, error(nil)
	if first := s.farm.first; first != nil {
		site, err = first.site, first.err
	} else {
		site, err = s.openSite(ctx, at)
	}
	var instead []string
	if noCollection(err) && atRoot(at) {
		if other := s.anotherCollection(ctx, at); other != "" {
			// Of a farm that lists other hosts the address is a guess: where it leads nowhere,
			// the connection's own is what is told of.
			if there, wrong := s.openSite(ctx, other); !noCollection(wrong) {
				instead = []string{"There is no site collection at " + transport.CleanText(at, 300) + "; this is one that the list has."}
				at, site, err = other, there, wrong
			}
		}
	}
	if err != nil {
		return s.farmFail(advice.FarmSite, at, err)
	}
	if site.Central {
		return s.farmFail(advice.FarmSite, at, &advice.CentralSiteError{URL: at})
	}
	if u, err := url.Parse(at); err == nil {
		s.note(func(f *Found) { f.server = u.Hostname() })
	}
	v := sharepointserver.VersionOf(site.Build)
	r := pass(openedSite(site.Title, v.Name))
	if v.Ended != "" {
		r = s.warn(v.Name+", out of support since "+v.Ended, &advice.OldServerError{Name: v.Name, Build: site.Build.String(), Ended: v.Ended})
	}
	r.Details = slices.Concat(instead, s.siteDetails(site, v), s.signInDetails(at))
	return r
}

// openSite opens a site in the time that any check may take.
func (s *subject) openSite(ctx context.Context, at string) (sharepointserver.Site, error) {
	ctx, cancel := patience.WithLimit(ctx, s.o.Limit)
	defer cancel()
	return s.farm.client.Open(ctx, at)
}

// noCollection reports whether SharePoint says that there is no site collection at an
// address: the root of a web application need not have one.
func noCollection(err error) bool {
	e, ok := errors.AsType[*sharepointserver.Error](err)
	return ok && e.Reason == sharepointserver.NotThere && e.SharePoint
}

// atRoot reports whether an address has no path.
func atRoot(address string) bool { return strings.Trim(pathOf(address), "/") == "" }

// anotherCollection is the address of a listed site collection, on the host that the
// connection names: a farm lists the addresses of its default zone, which may be others
// (alternate access mappings).
func (s *subject) anotherCollection(ctx context.Context, at string) string {
	progress.Report(ctx, progress.Update{Text: "no site collection at the address, waiting for the list"})
	below := func(address string) bool { return !atRoot(address) }
	other := s.listed.find(ctx, func(address string) bool { return sameMachine(address, at) && below(address) })
	if other == "" {
		other = s.listed.find(ctx, below)
	}
	from, err := url.Parse(at)
	if err != nil || other == "" {
		return ""
	}
	listed, err := url.Parse(other)
	if err != nil {
		return ""
	}
	return (&url.URL{Scheme: from.Scheme, Host: from.Host, Path: listed.Path, RawPath: listed.RawPath}).String()
}

// openedSite is the finding; of a long title only the beginning is told.
func openedSite(title, version string) string {
	r := []rune(transport.CleanText(title, mostTitle))
	left := func() int { return mostFinding - len([]rune("opened “”, "+version)) }
	if len(r) > left() {
		version = strings.Replace(version, "SharePoint Server Subscription", "SharePoint Subscription", 1)
	}
	room := left()
	switch {
	case len(r) == 0:
		return "opened, " + version
	case len(r) > room:
		r = append(r[:room-1], '…')
	}
	return "opened “" + string(r) + "”, " + version
}

func (s *subject) siteDetails(site sharepointserver.Site, v sharepointserver.Version) []string {
	out := lines(site.Title, site.URL)
	version := v.Name + "; it did not tell its build."
	if build := site.Build.String(); build != "" {
		version = v.Name + ", build " + build + "."
	}
	out = append(out, version)
	name := transport.CleanText(site.LoginName, 200)
	who := "The account is " + name + " there, and"
	if name == "" {
		return append(out, "It did not tell who the account is: it may let everybody in (anonymous access), and the account's rights there are not known.")
	}
	if site.SiteAdmin {
		return append(out, who+" is an administrator of the site collection.")
	}
	return append(out, who+" is no administrator of the site collection.")
}

// signInDetails tell how the account signed in to the host of an address, and why not in
// a better way.
func (s *subject) signInDetails(at string) []string {
	signedIn, known := s.signedIn(at)
	if !known {
		return nil
	}
	host, plain := serverOf(at)
	over := ""
	if plain {
		over = ", over http"
	}
	out := []string{fmt.Sprintf("Signed in to %s with %s%s.", host, signedIn.Method, over)}
	for _, why := range signedIn.Why {
		out = append(out, "Not with Kerberos: "+transport.CleanText(why.Error(), 300))
	}
	return out
}

// signedIn tells how the account signed in to the server of an address. One that has never
// asked for it shows everybody the same, and proves nothing of the account.
func (s *subject) signedIn(at string) (winauth.SignIn, bool) {
	host, _ := serverOf(at)
	how, ok := s.target.Server.Account.SignIn(host)
	return how, ok && how.Method != ""
}

// serverOf is host and port of an address, and whether it is one without TLS.
func serverOf(at string) (host string, plain bool) {
	u, err := url.Parse(at)
	if err != nil {
		return "", false
	}
	return transport.HostPort(u), u.Scheme == "http"
}

// centralAdministration opens Central Administration, by the scheme that it has.
func (s *subject) centralAdministration(ctx context.Context, _ need) task.Result {
	at := s.target.Connection.Endpoints.Admin
	if err := s.farm.begin(ctx); err != nil {
		return s.farmFail(advice.FarmCentral, at, err)
	}
	central, err := s.farm.client.Central(ctx, at, s.target.Server.PlainCentral)
	if err != nil {
		return s.farmFail(advice.FarmCentral, at, err)
	}
	if _, signedIn := s.signedIn(central.URL); !signedIn {
		return s.farmFail(advice.FarmCentral, at, &advice.AnonymousError{URL: central.URL})
	}
	asked, wrong := url.Parse(at)
	answered, err := url.Parse(central.URL)
	if err = cmp.Or(wrong, err); err != nil {
		return s.farmFail(advice.FarmCentral, at, err)
	}
	host, _ := serverOf(central.URL)
	r := pass(fmt.Sprintf("opened, port %s over %s", host[strings.LastIndexByte(host, ':')+1:], answered.Scheme))
	r.Details = lines(central.Title, central.URL)
	if answered.Scheme != asked.Scheme {
		found := *asked
		found.Scheme, found.Host = answered.Scheme, answered.Host // the same port, which the scheme may no longer tell
		s.note(func(f *Found) { f.central = found.String() })
		r.Finding = short(r.Finding + ", not " + asked.Scheme)
		r.Details = append(r.Details, "The connection named "+asked.Scheme+"; what answers is "+answered.Scheme+", so that is what it names from now on.")
		if central.Other != nil {
			r.Details = append(r.Details, asked.Scheme+": "+advice.Short(&advice.FarmError{Part: advice.FarmCentral, URL: at, Err: central.Other}, s.facts)+".")
		}
	}
	if build := central.Build.String(); build != "" {
		r.Details = append(r.Details, sharepointserver.VersionOf(central.Build).Name+", build "+build+".")
	}
	r.Details = append(r.Details, s.signInDetails(central.URL)...)
	return r
}
