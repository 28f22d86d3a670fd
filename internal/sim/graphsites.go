package sim

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Sizes of a page of sites. Neither is documented: the default is what tenants
// report, and the schema allows $top up to 999. A larger $top gets the largest page.
const (
	defaultSitePage = 200
	largestSitePage = 999
)

// siteProperties are those of the resource type site that lists of sites show.
//
// Source: learn.microsoft.com/graph/api/site-getallsites and /graph/api/resources/site.
func siteProperties() []string {
	return []string{"createdDateTime", "id", "lastModifiedDateTime", "name", "webUrl", "displayName", "isPersonalSite", "root", "siteCollection"}
}

// siteView shows sites to one client, in whose cloud they are.
type siteView struct {
	tenant   string
	suffix   string // with the port
	bare     string // without
	multiGeo bool
}

func (c graphCall) siteView() siteView {
	suffix := c.world.sharePointSuffix(c.request)
	return siteView{tenant: c.world.sharePointTenant(), suffix: suffix, bare: bareHost(suffix), multiGeo: len(c.world.geos()) > 1}
}

func (v siteView) host(s *siteCollection) string { return v.tenant + s.geo.name + s.use + "." + v.bare }

func (v siteView) id(s *siteCollection) string { return v.host(s) + "," + s.id + "," + s.webID }

// show writes a site with these properties; those that are not simulated are null.
// It is written by hand, because a page of a thousand sites must not take longer than
// a round trip; nothing in our own names needs an escape.
func (v siteView) show(b []byte, s *siteCollection, names []string) []byte {
	for i, name := range names {
		b = append(b, "{,"[min(i, 1)])
		b = append(quote(b, name), ':')
		switch name {
		case "createdDateTime":
			b = s.created.UTC().AppendFormat(b, `"2006-01-02T15:04:05Z"`)
		case "id":
			b = quote(b, v.id(s))
		case "lastModifiedDateTime":
			b = s.changed.UTC().AppendFormat(b, `"2006-01-02T15:04:05Z"`)
		case "name":
			last := s.path[strings.LastIndexByte(s.path, '/')+1:]
			b = quote(b, cmp.Or(last, v.host(s)))
		case "webUrl":
			b = quote(b, "https://"+v.tenant+s.geo.name+s.use+"."+v.suffix+s.path)
		case "displayName":
			b = quote(b, s.title)
		case "isPersonalSite":
			b = strconv.AppendBool(b, s.personal())
		case "root": // of its site collection
			b = append(b, "{}"...)
		case "siteCollection":
			b = v.collection(b, s)
		default:
			b = append(b, "null"...)
		}
	}
	return append(b, '}')
}

func quote(b []byte, text string) []byte { return append(append(append(b, '"'), text...), '"') }

func (v siteView) collection(b []byte, s *siteCollection) []byte {
	b = quote(append(b, `{"hostname":`...), v.host(s))
	if v.multiGeo { // "Only present for multi-geo tenants."
		b = quote(append(b, `,"dataLocationCode":`...), s.geo.code)
	}
	if s.path == "" { // the root of the host
		b = append(b, `,"root":{}`...)
	}
	if s.archived {
		b = append(b, `,"archivalDetails":{"archiveStatus":"fullyArchived"}`...)
	}
	return append(b, '}')
}

// noSites is what Graph says of sites in a tenant without SharePoint Online, or
// with one that does not answer.
func (c graphCall) noSites() *answer {
	switch {
	case c.world.faults.get("no-sharepoint") != nil:
		return c.badRequest("Tenant does not have a SPO license.")
	case c.world.faults.get("sharepoint-down") != nil:
		return c.graphError(http.StatusServiceUnavailable, "serviceNotAvailable", "The service is temporarily unavailable for maintenance or is overloaded.")
	}
	return nil
}

// blockedSite is the refusal of a locked site.
func (c graphCall) blockedSite() *answer {
	inner := c.inner()
	inner.Code = "resourceLocked"
	status := http.StatusLocked
	if f := c.world.faults.get("site-locked"); f != nil {
		status = statusOf(f.words, status)
	}
	return jsonAnswer(status, "application/json", graphErrorBody{graphErrorDetail{Code: "notAllowed",
		Message: "Access to this site has been blocked. Please contact the administrator to resolve this problem.", InnerError: inner}})
}

// getSite answers /sites/root, /sites/HOST, /sites/HOST:/PATH and /sites/HOST,ID,ID.
func (w *World) getSite(c graphCall) *answer {
	if bad := c.noSites(); bad != nil {
		return bad
	}
	invalid := c.graphError(http.StatusBadRequest, "invalidRequest", "Invalid hostname for this tenancy")
	missing := c.graphError(http.StatusNotFound, "itemNotFound", "Requested site could not be found")
	key := c.keys[0]
	suffix := w.sharePointSuffix(c.request)
	var s *siteCollection
	switch parts := strings.Split(key, ","); {
	case strings.EqualFold(key, "root"):
		s = w.siteByURL(w.sharePointURL(w.geos()[0], hostSites, suffix))
	case len(parts) > 1:
		list, _ := w.siteCollections()
		view := c.siteView()
		i := slices.IndexFunc(list, func(s *siteCollection) bool {
			return strings.EqualFold(s.id, parts[1]) && strings.EqualFold(view.id(s), key)
		})
		if i < 0 {
			return missing
		}
		s = list[i]
	default:
		host, path := key, ""
		if at := strings.Index(key, ":/"); at >= 0 {
			host, path = key[:at], strings.TrimSuffix(key[at+1:], ":")
		}
		if !strings.Contains(host, ":") && isLocalSharePoint(host) {
			host += ":" + w.sharePointPort() // ids hold host names without a port
		}
		if h, ok := w.sharePointHostOf(strings.TrimSuffix(host, ":")); !ok || h.old || h.use == hostAdmin {
			return invalid
		}
		s = w.siteByURL("https://" + strings.TrimSuffix(host, ":") + path)
	}
	switch {
	case s == nil:
		return missing
	case s.lock == siteNoAccess, s.root() && w.faults.get("site-locked") != nil:
		return c.blockedSite()
	}
	return c.one("site", json.RawMessage(c.siteView().show(nil, s, siteProperties())))
}

// allSites answers /sites/getAllSites: every geography, one after the other.
func (w *World) allSites(c graphCall) *answer {
	if bad := c.noSites(); bad != nil {
		return bad
	}
	list, _ := w.siteCollections()
	return c.manySites(list)
}

// listSites answers /sites: the central location's, those found by a search, or
// the home site of each geography.
//
// Source: learn.microsoft.com/graph/api/site-list and /graph/api/site-search.
func (w *World) listSites(c graphCall) *answer {
	if bad := c.noSites(); bad != nil {
		return bad
	}
	list, _ := w.siteCollections()
	var found []*siteCollection
	homes := strings.EqualFold(strings.Join(strings.Fields(c.query.where), " "), "siteCollection/root ne null")
	if homes {
		c.query.badWhere = ""
	}
	words := strings.ToLower(strings.Trim(c.query.search, `"* `))
	searched := c.query.search != ""
	c.query.search = ""
	for _, s := range list {
		switch {
		case homes && !s.root(), !homes && s.geo != list[0].geo, searched && !strings.Contains(strings.ToLower(s.title+" "+s.path), words):
		default:
			found = append(found, s)
		}
	}
	return c.manySites(found)
}

// manySites answers one page. No page holds sites of two geographies: where one
// ends, so does the page, as the continuation tokens of the documentation show.
func (c graphCall) manySites(list []*siteCollection) *answer {
	s, view := shapes()["site"], c.siteView()
	size := defaultSitePage
	if c.query.rawTop != "" {
		if c.query.top < 1 {
			return c.graphError(http.StatusBadRequest, "invalidRequest", "Invalid page size specified: '"+c.query.rawTop+"'. Must be greater than 0.")
		}
		size, c.query.rawTop = min(c.query.top, largestSitePage), ""
	}
	if bad := c.refuseOptions(s, false); bad != nil {
		return bad
	}
	if bad := c.checkSelect(s); bad != nil {
		return bad
	}
	if len(c.query.filter) > 0 {
		list = slices.DeleteFunc(slices.Clone(list), func(one *siteCollection) bool {
			f := fieldsOf(json.RawMessage(view.show(nil, one, siteProperties())))
			return slices.ContainsFunc(c.query.filter, func(w condition) bool { return !f.matches(w) })
		})
	}
	start := 0
	if c.query.skip != "" {
		raw, err := base64.RawURLEncoding.DecodeString(c.query.skip)
		at, ok := strings.CutPrefix(string(raw), "SPGeoDataLocationCode=")
		_, at, _ = strings.Cut(at, ",")
		if start = atoi(at); err != nil || !ok || start < 1 || start > len(list) {
			return c.graphError(http.StatusBadRequest, "invalidRequest", "The skip token is not valid.")
		}
	}
	end := min(start+size, len(list))
	for i := start + 1; i < end; i++ {
		if list[i].geo != list[start].geo && !c.isHomeQuery() {
			end = i
		}
	}
	names := c.query.selected
	if len(names) == 0 {
		names = siteProperties()
	}
	value := append(make([]byte, 0, 512*(end-start)+64), `,"value":[`...) // a site takes less than that
	for i, one := range list[start:end] {
		if i > 0 {
			value = append(value, ',')
		}
		value = view.show(value, one, names)
	}
	out := map[string]any{"@odata.context": c.context(s.set, false)}
	if c.query.count {
		out["@odata.count"] = len(list)
	}
	if end < len(list) {
		values, err := url.ParseQuery(c.URL.RawQuery)
		if err != nil {
			values = url.Values{}
		}
		values.Set("$skiptoken", base64.RawURLEncoding.EncodeToString([]byte("SPGeoDataLocationCode="+list[end].geo.code+","+strconv.Itoa(end))))
		out["@odata.nextLink"] = c.base + c.URL.EscapedPath() + "?" + values.Encode()
	}
	a := jsonAnswer(http.StatusOK, graphContentType, out)
	a.body = slices.Concat(a.body[:len(a.body)-1], value, []byte("]}"))
	return a
}

// isHomeQuery reports a filter for the home sites, which one page always holds.
func (c graphCall) isHomeQuery() bool { return strings.Contains(c.query.where, "siteCollection/root") }
