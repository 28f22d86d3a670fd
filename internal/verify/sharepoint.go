package verify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/graph"
	"github.com/c2conn/c2conn/internal/progress"
	"github.com/c2conn/c2conn/internal/sharepoint"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/internal/transport"
	"github.com/c2conn/c2conn/registration"
)

// place is where the tenant's SharePoint is asked: at the profile's addresses where
// they are the tenant's own, else at those that Microsoft Graph tells. A profile is
// a file that others may have edited, so it may only choose among the tenant's hosts.
// Where Graph tells none, the profile's are asked as they are, if they are hosts of
// SharePoint in the cloud: Entra ID gives no token for those of another tenant.
type place struct {
	site, admin       string // base addresses; empty while nobody told them
	siteErr, adminErr error  // why the profile's address is not asked
	adminFollows      bool   // it is wrong because it is made from the site's, which is
	satellite         bool   // the site's address is not that of the tenant's first geography
	unasked           bool   // the profile's address was not compared: Microsoft Graph did not answer
}

// locate finds the place and keeps it for the other checks. An error means that no
// address is known at all.
func (s *subject) locate(ctx context.Context) (place, error) {
	given := s.target.Connection.Endpoints
	roots, err := s.tell(ctx, given)
	var p place
	var i int
	p.site, i, p.siteErr = s.choose("endpoints.sharepoint", given.SharePoint, roots, func(a cloud.SharePointAddress) string { return a.Site })
	p.satellite = i > 0
	if given.Admin != "" {
		p.admin, _, p.adminErr = s.choose("endpoints.admin", given.Admin, roots, func(a cloud.SharePointAddress) string { return a.Admin })
	}
	if p.siteErr != nil && p.adminErr != nil {
		of, second := s.target.Cloud.ParseSharePoint(given.SharePoint)
		p.adminFollows = second == nil && sameHost(of.Admin, given.Admin)
	}
	if p.admin == "" {
		if of, second := s.target.Cloud.ParseSharePoint(p.site); second == nil {
			p.admin = of.Admin
		}
	}
	switch {
	case p.site == "" && p.siteErr != nil:
		return p, p.siteErr
	case p.site == "":
		return p, err
	}
	p.unasked = err != nil && !denied(err) // of a missing permission other checks tell
	s.mu.Lock()
	defer s.mu.Unlock()
	s.place = p
	if len(roots) > 0 {
		s.found.SharePoint, s.found.Admin = p.site, p.admin
	}
	return p, nil
}

// tell asks Microsoft Graph for the roots. Only a share of the check's time is spent on
// that, and only once: SharePoint can be asked without.
func (s *subject) tell(ctx context.Context, given connections.Endpoints) ([]cloud.SharePointAddress, error) {
	if s.silent != nil {
		return nil, s.silent
	}
	asking, cancel := context.WithTimeout(ctx, s.o.Limit/3)
	defer cancel()
	roots, err := s.roots(asking, given)
	if err != nil && asking.Err() != nil && ctx.Err() == nil {
		s.silent = err
	}
	return roots, err
}

// roots are the addresses that Microsoft Graph tells, that of the tenant's first
// geography first; the others are only asked for where given has another host.
func (s *subject) roots(ctx context.Context, given connections.Endpoints) ([]cloud.SharePointAddress, error) {
	client, err := s.graphClient()
	if err != nil {
		return nil, err
	}
	root, err := client.RootSite(ctx)
	if err != nil {
		return nil, err
	}
	list := []graph.Site{root}
	first, _ := s.target.Cloud.ParseSharePoint(root.WebURL)
	if given.SharePoint != "" && !sameHost(given.SharePoint, root.WebURL) || given.Admin != "" && !sameHost(given.Admin, first.Admin) {
		all, err := client.GeoRoots(ctx)
		if err != nil {
			return nil, err // whether given is one of them is not known
		}
		list = append(list, all...)
	}
	var out []cloud.SharePointAddress
	for _, one := range list {
		if !s.target.Cloud.SharePointHost(one.WebURL) {
			continue // no token may go there, whoever names it
		}
		if a, err := s.target.Cloud.ParseSharePoint(one.WebURL); err == nil {
			out = append(out, a)
		}
	}
	if len(out) == 0 {
		return nil, &advice.ForeignEndpointError{Field: "endpoints.sharepoint", Got: originOf(root.WebURL), Want: s.siteShape()}
	}
	return out, nil
}

// choose returns the address to ask: given if it is one of the tenant's, and its
// number among the roots; else the first root's, and why given is not asked.
func (s *subject) choose(field, given string, roots []cloud.SharePointAddress, of func(cloud.SharePointAddress) string) (string, int, error) {
	own := ""
	if len(roots) > 0 {
		own = of(roots[0])
	}
	switch {
	case given == "":
		return own, 0, nil
	case !s.target.Cloud.SharePointHost(given):
		return own, 0, &advice.ForeignEndpointError{Field: field, Got: originOf(given), Want: s.siteShape()}
	case len(roots) == 0:
		return originOf(given), 0, nil
	}
	for i, root := range roots {
		if sameHost(of(root), given) {
			return of(root), i, nil
		}
	}
	return own, 0, &advice.WrongSharePointError{Field: field, Given: originOf(given), Real: own}
}

// siteShape is what the addresses of the cloud's sites look like.
func (s *subject) siteShape() string { return "https://TENANT." + s.target.Cloud.SharePointSuffix }

// originOf is scheme and host of an address, without what may be a password in it.
func originOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return ""
	}
	origin := u.Scheme + "://" + u.Host
	if u.User != nil {
		origin += " (with a user name in it)"
	}
	return origin
}

func (s *subject) located() place {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.place
}

// siteClient asks one host of SharePoint, with a token for that host.
func (s *subject) siteClient(base string) (*sharepoint.Client, error) {
	return sharepoint.New(sharepoint.Options{BaseURL: base, Token: s.bearer(s.target.Cloud.SharePointScope(base)), HTTP: s.o.HTTP, Clock: s.o.Clock})
}

// siteByREST opens the root site of the profile's address, or where there is none
// (an organisation may delete it) the first one that Microsoft Graph lists there.
func (s *subject) siteByREST(ctx context.Context, takes need) task.Result {
	p := s.located()
	if p.siteErr != nil {
		return s.fail("", p.siteErr)
	}
	client, err := s.siteClient(p.site)
	if err != nil {
		return s.fail("", err, takes)
	}
	web, err := client.Web(ctx, p.site)
	if sharepoint.NotFound(err) {
		if other := s.anotherSite(ctx, p.site); other != "" {
			web, err = client.Web(ctx, other)
		}
	}
	if err != nil {
		return s.fail("", err, takes)
	}
	r := pass(opened(web.Title, p))
	r.Details = lines(web.Title, web.URL)
	return r
}

// opened is the finding. Of a long title only the beginning is told, rather than a
// part of the host.
func opened(title string, p place) string {
	host := strings.TrimPrefix(p.site, "https://")
	name, where := "the site", " at "+host
	if p.satellite {
		where = ", in a satellite geography"
	}
	room := mostFinding - len([]rune("opened “”"+where))
	long := len([]rune(title))
	switch title = transport.CleanText(title, mostTitle); {
	case title != "" && room >= min(long, leastTitle):
		if r := []rune(title); len(r) > room {
			title = string(r[:room-1]) + "…"
		}
		name = "“" + title + "”"
	case len([]rune("opened "+name+where)) > mostFinding:
		return "opened " + host
	}
	return "opened " + name + where
}

// How many characters of a site's title are worth showing, and enough.
const (
	leastTitle = 8
	mostTitle  = 24
)

// anotherSite is the address of the first listed site on the host of base.
func (s *subject) anotherSite(ctx context.Context, base string) string {
	progress.Report(ctx, progress.Update{Text: "no site at the root, waiting for the list"})
	return s.listed.find(ctx, func(address string) bool {
		return sameHost(address, base) && strings.Trim(pathOf(address), "/") != ""
	})
}

func pathOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Path
}

// adminCentre reads the first page of the sites that the admin centre manages.
func (s *subject) adminCentre(ctx context.Context, takes need) task.Result {
	p := s.located()
	if p.adminFollows {
		return task.Result{Status: task.Skip, Finding: "not asked: follows from the address above"}
	}
	if p.adminErr != nil {
		return s.fail("", p.adminErr)
	}
	client, err := s.siteClient(p.admin)
	if err != nil {
		return s.fail("", err, takes)
	}
	info, err := client.Tenant(ctx)
	if err != nil {
		return s.fail("", err, takes)
	}
	n := collections(info.Sites)
	if info.More {
		n = "more than " + n
	}
	return pass(fmt.Sprintf("reached, it manages %s", n))
}

const notTestable = "not testable with the documented permissions"

// siteToken judges the token for SharePoint, which is of no use where no
// permission of SharePoint is among those that were chosen.
func (s *subject) siteToken(r task.Result) task.Result {
	if r.Status == task.Fail && s.purpose.Set == registration.SetSeed && !ownFault(r.Err) {
		return task.Result{Status: task.Skip, Finding: notTestable}
	}
	return r
}

// reachable judges the checks of SharePoint in the light of what was chosen: the
// documented permissions reach no site, and SharePoint refuses client secrets.
func (s *subject) reachable(r task.Result) task.Result {
	seed := s.purpose.Set == registration.SetSeed
	accepted := seed || s.purpose.Secret && r.ID != idSites
	switch {
	case r.Status != task.Fail || !accepted || ownFault(r.Err):
		return r
	case !seed || !denied(r.Err):
		return s.warnOnly(r)
	case r.ID != idSites: // said once
		return task.Result{Status: task.Skip, Finding: notTestable}
	}
	return s.warn(notTestable, &advice.SeedPermissionsError{Err: r.Err})
}

// expected reports whether a refusal follows from what was chosen, so that no wait
// will mend it.
func (s *subject) expected(err error) bool {
	if s.target.Connection.Kind != connections.SharePoint {
		return false
	}
	return s.purpose.Set == registration.SetSeed && denied(err) || s.purpose.Secret && sharepoint.AppOnlySecret(err)
}

// ownFault reports whether the profile itself is wrong, which nobody has chosen.
func ownFault(err error) bool {
	_, foreign := errors.AsType[*advice.ForeignEndpointError](err)
	_, wrong := errors.AsType[*advice.WrongSharePointError](err)
	return foreign || wrong
}

// denied reports whether a permission is missing, or SharePoint took the client
// secret amiss.
func denied(err error) bool {
	if e, ok := errors.AsType[*graph.Error](err); ok {
		return e.Status == http.StatusForbidden
	}
	return sharepoint.NoPermission(err) || sharepoint.AppOnlySecret(err)
}

// legacyCredentials says what they are worth: nothing that signs in with a password
// is left, so nothing is sent.
func (s *subject) legacyCredentials(context.Context, need) task.Result {
	admin := s.target.Connection.LegacyAdmin
	err := &advice.LegacyPasswordError{UPN: admin.UPN, NameOnly: admin.Password == ""}
	if err.NameOnly {
		return s.warn("only the user name is kept, it opens nothing", err)
	}
	return s.warn("kept, cannot be verified: nothing takes it any more", err)
}
