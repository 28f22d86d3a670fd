package graph

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	kiota "github.com/microsoft/kiota-abstractions-go"

	"github.com/c2conn/c2conn/internal/transport"
)

// The SDK's package for sites is left out: it would add megabytes to the program
// and minutes to its build, for three GETs.

// sitesPerPage is what Sites asks for. Whether getAllSites heeds it is not
// documented; a service that refuses it is asked again without.
const sitesPerPage = 500

// Bounds of Sites. SharePoint Online allows two million site collections.
const (
	mostSitePages = 50_000
	mostSites     = 5_000_000
)

const mostGeos = 200 // geographies that are told apart; Microsoft has under 30

// firstSites is how many sites an Enumeration shows.
const firstSites = 5

// Site is a SharePoint site, as Microsoft Graph shows it.
//
// Source: learn.microsoft.com/graph/api/resources/site.
type Site struct {
	Name     string
	WebURL   string
	Host     string // of WebURL, e.g. contoso.sharepoint.com
	Geo      string // e.g. EUR; empty in a tenant of one geography
	Personal bool   // somebody's OneDrive
}

// Enumeration is what Sites has read so far.
type Enumeration struct {
	Count    int
	Pages    int
	Personal int            // of Count, OneDrives
	Geos     map[string]int // of Count, by geography; empty in a tenant of one geography
	First    []Site         // the first few that are not personal
}

var siteFields = []string{"displayName", "webUrl", "siteCollection", "isPersonalSite"}

// RootSite reads the root site: its WebURL is the tenant's real SharePoint
// address. It needs Sites.Read.All.
//
// Source: learn.microsoft.com/graph/api/site-get.
func (c *Client) RootSite(ctx context.Context) (Site, error) {
	var j siteJSON
	err := c.ask(ctx, operation{name: "read root site", fields: siteFields, request: c.address(kiota.GET, "/sites/root{?%24select}"), read: into(&j)})
	if err != nil {
		return Site{}, err
	}
	return j.site(), nil
}

// GeoRoots lists the root sites, one for each geography of the tenant. It needs
// Sites.Read.All.
//
// Source: learn.microsoft.com/sharepoint/dev/solution-guidance/multigeo-discovery.
func (c *Client) GeoRoots(ctx context.Context) ([]Site, error) {
	return list[siteJSON](ctx, c, operation{
		name: "list root sites", fields: []string{"webUrl", "siteCollection"}, filter: "siteCollection/root ne null",
		request: c.address(kiota.GET, "/sites{?%24filter,%24select}"),
	})
}

// Sites reads the list of all sites of the tenant, in all its geographies, and
// hands page (which may be nil) what came together after each page: between two
// pages, so it must not take long. Only the counts are kept. With an error comes
// what was read before it. It needs the application permission Sites.Read.All.
//
// Source: learn.microsoft.com/graph/api/site-getallsites.
func (c *Client) Sites(ctx context.Context, page func(Enumeration)) (Enumeration, error) {
	e := enumerating{been: map[string]bool{}}
	o := operation{name: "list sites", fields: siteFields, read: e.head}
	o.request = c.address(kiota.GET, "/sites/getAllSites{?%24select,%24top}", "%24top", strconv.Itoa(sitesPerPage))
	err := c.ask(ctx, o)
	if refused, ok := errors.AsType[*Error](err); ok && refused.Status == http.StatusBadRequest {
		o.request = c.address(kiota.GET, "/sites/getAllSites{?%24select}")
		err = c.ask(ctx, o)
	}
	for err == nil {
		// While a page is taken in, the next one is on its way.
		value, next, taken := e.value, e.next, make(chan error, 1)
		endless := e.been[next] || len(e.been) >= mostSitePages || e.Count > mostSites
		go func() { taken <- e.take(value) }()
		var asked error
		switch {
		case next == "":
		case endless:
			asked = &Error{Op: o.name, Err: errEndless}
		default:
			e.been[next] = true
			var more operation
			if more, asked = c.following(o, next); asked == nil {
				asked = c.ask(ctx, more)
			}
		}
		if err = <-taken; err != nil {
			err = &Error{Op: o.name, Status: http.StatusOK, Err: err}
			break
		}
		if page != nil {
			page(e.soFar())
		}
		if err = asked; next == "" {
			break
		}
	}
	return e.soFar(), err
}

// enumerating is an Enumeration in the making.
type enumerating struct {
	Enumeration
	geos  map[text]int // as they came
	been  map[string]bool
	value json.RawMessage // of the last answer
	next  string          // of the last answer
}

// soFar is the caller's to keep.
func (e *enumerating) soFar() Enumeration {
	soFar := e.Enumeration
	for code, n := range e.geos {
		geo := geoOf(code)
		if geo == "" {
			continue
		}
		if soFar.Geos == nil {
			soFar.Geos = map[string]int{}
		}
		soFar.Geos[geo] += n
	}
	return soFar
}

// head looks only where an answer's sites are and how it goes on.
func (e *enumerating) head(_ int, body []byte) error {
	var p struct {
		Value json.RawMessage `json:"value"`
		Next  text            `json:"@odata.nextLink"`
	}
	if json.Unmarshal(body, &p) != nil {
		return errUnreadable
	}
	e.value, e.next = p.Value, string(p.Next)
	return nil
}

// take takes one page in, or nothing of it.
func (e *enumerating) take(value json.RawMessage) error {
	var list []siteJSON
	if json.Unmarshal(value, &list) != nil || list == nil {
		return errUnreadable
	}
	for i := range list {
		if list[i] == (siteJSON{}) {
			return errUnreadable // that is no site
		}
	}
	for i := range list {
		e.add(&list[i])
	}
	e.Pages++
	return nil
}

func (e *enumerating) add(j *siteJSON) {
	e.Count++
	if geo := j.Collection.Geo; geo != "" && (e.geos[geo] > 0 || len(e.geos) < mostGeos) {
		if e.geos == nil {
			e.geos = map[text]int{}
		}
		e.geos[geo]++
	}
	if j.personal() {
		e.Personal++
	} else if len(e.First) < firstSites {
		e.First = append(e.First, j.site())
	}
}

// siteJSON is a site on the wire. An answer has thousands of them, of which few
// are looked at closely.
type siteJSON struct {
	Name       text `json:"displayName"`
	WebURL     text `json:"webUrl"`
	IsPersonal flag `json:"isPersonalSite"`
	Collection struct {
		Host text `json:"hostname"` // "hostName" in Microsoft's examples
		Geo  text `json:"dataLocationCode"`
	} `json:"siteCollection"`
}

func (j *siteJSON) complete() bool { return j.WebURL != "" }

func (j siteJSON) plain() (Site, bool) { return j.site(), j.complete() }

func (j *siteJSON) site() Site {
	return Site{
		Name: j.Name.clean(255), WebURL: j.WebURL.clean(2000),
		Host: strings.ToLower(transport.CleanText(j.host(), 255)), Geo: geoOf(j.Collection.Geo), Personal: j.personal(),
	}
}

func geoOf(code text) string { return strings.ToUpper(code.clean(20)) }

func (j *siteJSON) host() string {
	if u, err := url.Parse(string(j.WebURL)); err == nil && u.Host != "" {
		return u.Host
	}
	return string(j.Collection.Host)
}

// personal also knows a OneDrive by its host, where the cloud does not say.
func (j *siteJSON) personal() bool {
	label, _, _ := strings.Cut(j.host(), ".")
	return bool(j.IsPersonal) || strings.HasSuffix(strings.ToLower(label), "-my")
}
