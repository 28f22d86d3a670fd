package sim

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// listingKeys are shared, because they are what takes time.
var listingKeys = sync.OnceValue(NewKeys)

// listing asks a world for pages of its sites without a network in between.
type listing struct {
	w      *World
	bearer map[service]string
}

func newListing(tb testing.TB, sites int) *listing {
	tb.Helper()
	w, err := Start(Options{Now: time.Now, Seed: 7, Keys: listingKeys(), Faults: []string{"sites=" + strconv.Itoa(sites)}})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = w.Close() })
	l := &listing{w: w, bearer: map[service]string{}}
	key, err := w.keys.signing()
	if err != nil {
		tb.Fatal(err)
	}
	now, app := w.now(), w.apps[AppSharePoint]
	for s, of := range map[service]struct{ audience, role string }{serviceGraph: {GraphAppID, "Sites.Read.All"}, serviceSharePoint: {SharePointAppID, tenantRole}} {
		raw, err := signJWT(key, accessClaims{Audience: of.audience, TenantID: w.TenantID, IDType: "app", AppID: app.ClientID, ObjectID: app.PrincipalID, AppIDACR: "2", Roles: []string{of.role}, NotBefore: now.Unix() - 60, Expires: now.Add(time.Hour).Unix()})
		if err != nil {
			tb.Fatal(err)
		}
		l.bearer[s] = "Bearer " + raw
	}
	return l
}

// ask returns the body of an answer.
func (l *listing) ask(tb testing.TB, s service, method, address, body string, header map[string]string) string {
	tb.Helper()
	r := httptest.NewRequestWithContext(tb.Context(), method, address, strings.NewReader(body))
	r.Header.Set("Authorization", l.bearer[s])
	r.Header.Set("Accept", "application/json;odata=nometadata")
	for name, value := range header {
		r.Header.Set(name, value)
	}
	rw := httptest.NewRecorder()
	l.w.handler(s).ServeHTTP(rw, r)
	if rw.Code != http.StatusOK {
		tb.Fatalf("%d %.300s", rw.Code, rw.Body)
	}
	return rw.Body.String()
}

// sitePages asks for one page of sites in each way that there is: 500 of them, but
// 300 from the admin centre.
func (l *listing) sitePages(tb testing.TB) map[string]func() string {
	tb.Helper()
	get := func(s service, address string) func() string {
		return func() string { return l.ask(tb, s, http.MethodGet, address, "", nil) }
	}
	all := l.w.GraphURL() + "/v1.0/sites/getAllSites?$top=500"
	found := l.w.SharePointSite() + "/_api/search/query?querytext='contentclass:STS_Site'&rowlimit=500&selectproperties='Title,Path'&trimduplicates=false"
	admin := l.w.SharePointAdmin()
	_, digest, _ := strings.Cut(l.ask(tb, serviceSharePoint, http.MethodPost, admin+"/_api/contextinfo", "", nil), `"FormDigestValue":"`)
	digest, _, _ = strings.Cut(digest, `"`)
	return map[string]func() string{
		"Graph": get(serviceGraph, all), "Graph, five properties": get(serviceGraph, all+"&$select=id,displayName,webUrl,siteCollection,isPersonalSite"),
		"search": get(serviceSharePoint, found), "search, last page": get(serviceSharePoint, found+"&startrow=4490"),
		"admin centre": func() string {
			query := `<Request SchemaVersion="15.0.0.0" LibraryVersion="16.0.0.0" xmlns="` + csomNS + `"><Actions><Query Id="2" ObjectPathId="1"><Query SelectAllProperties="true"><Properties/></Query>` +
				`<ChildItemQuery SelectAllProperties="true"><Properties/></ChildItemQuery></Query></Actions><ObjectPaths><Constructor Id="3" TypeId="` + typeTenant + `"/>` +
				`<Method Id="1" ParentId="3" Name="GetSitePropertiesFromSharePointByFilters"><Parameters><Parameter TypeId="` + typeSiteFilter + `"/></Parameters></Method></ObjectPaths></Request>`
			return l.ask(tb, serviceSharePoint, http.MethodPost, admin+"/_vti_bin/client.svc/ProcessQuery", query, map[string]string{"X-RequestDigest": digest})
		},
	}
}

// BenchmarkSitePage is what a page costs the simulation, all but TLS and HTTP/2.
func BenchmarkSitePage(b *testing.B) {
	l := newListing(b, 5000)
	pages := l.sitePages(b)
	for _, name := range sortedKeys(pages) {
		page := pages[name]
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				page()
			}
		})
	}
}

// TestManySitesAreFast counts work instead of measuring time, which says nothing on
// a busy machine: the list is made once, and a page costs what its own sites cost,
// however many others there are. Not parallel: it counts all allocations of the process.
func TestManySitesAreFast(t *testing.T) {
	few, many := newListing(t, 1000), newListing(t, 5000)
	before, _ := many.w.siteCollections()
	small, pages := few.sitePages(t), many.sitePages(t)
	for name, mostPerSite := range map[string]float64{"Graph": 8, "Graph, five properties": 8, "admin centre": 120} {
		page := pages[name]
		sites := strings.Count(strings.ToLower(page()), `"weburl"`) + strings.Count(page(), `"Url"`)
		if want := map[bool]int{true: adminPage, false: 500}[name == "admin centre"]; sites != want {
			t.Fatalf("%s: %d sites on a page, want %d", name, sites, want)
		}
		work, least := testing.AllocsPerRun(5, func() { page() }), testing.AllocsPerRun(5, func() { small[name]() })
		if work > 1.2*least+100 || work > mostPerSite*float64(sites) {
			t.Errorf("%s: a page takes %.0f allocations, in a tenant with a fifth of the sites %.0f; at most %.0f a site are expected", name, work, least, mostPerSite)
		}
	}
	if after, _ := many.w.siteCollections(); after[0] != before[0] || len(after) != 5000 {
		t.Error("the sites were made again")
	}
}
