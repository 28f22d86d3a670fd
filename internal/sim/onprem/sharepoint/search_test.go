package sharepoint_test

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/sim/onprem/sharepoint"
)

type rows struct {
	PrimaryQueryResult struct {
		RelevantResults struct {
			RowCount, TotalRows, TotalRowsIncludingDuplicates int
			Table                                             struct {
				Rows []struct {
					Cells []struct{ Key, Value, ValueType string }
				}
			}
		}
	}
}

// column is one column of all rows.
func (r rows) column(key string) []string {
	var list []string
	for _, row := range r.PrimaryQueryResult.RelevantResults.Table.Rows {
		for _, c := range row.Cells {
			if c.Key == key {
				list = append(list, c.Value)
			}
		}
	}
	return list
}

func find(t *testing.T, f *sharepoint.Farm, who, query string) rows {
	t.Helper()
	a := get(t, f, who, "https://"+host+"/_api/search/query?"+query, noMetadata)
	var r rows
	if a.Status != 200 {
		t.Fatalf("%s: %d %s", query, a.Status, a.Body)
	}
	reads(t, a.Body, &r)
	return r
}

const allSites = "querytext='contentclass:STS_Site'&trimduplicates=false&selectproperties='Title,Path'"

func TestSearch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fault, who, query string
		rows, total, all  int
	}{
		{"", admin, allSites, 10, 12, 12},
		{"", admin, allSites + "&rowlimit=500", 12, 12, 12},
		{"", admin, allSites + "&rowlimit=500&startrow=10", 2, 12, 12},
		{"", admin, allSites + "&rowlimit=500&startrow=12", 0, 12, 12},
		{"", admin, "querytext='contentclass:STS_Site'&rowlimit=500", 10, 10, 12}, // duplicates are trimmed
		{"", admin, "querytext='contentclass:STS_Site contentclass:STS_Web'&rowlimit=500&trimduplicates=false", 24, 24, 24},
		{"", admin, "querytext='contentclass:\"STS_Site\" Finance'&trimduplicates=false", 1, 1, 1},
		{"", reader, allSites + "&rowlimit=500", 6, 6, 6},
		{"sp-search-empty", admin, allSites, 0, 0, 0},
		{"sp-search-stuck", admin, allSites + "&startrow=10", 10, 12, 12},
		{"sp-host-named", admin, allSites + "&rowlimit=500", 15, 15, 15},
	} {
		r := find(t, farm(t, sharepoint.Options{}, c.fault), c.who, strings.ReplaceAll(c.query, " ", "+")).PrimaryQueryResult.RelevantResults
		if r.RowCount != c.rows || len(r.Table.Rows) != c.rows || r.TotalRows != c.total || r.TotalRowsIncludingDuplicates != c.all {
			t.Errorf("%+v: %d of %d and %d", c, r.RowCount, r.TotalRows, r.TotalRowsIncludingDuplicates)
		}
	}
	f := farm(t, sharepoint.Options{})
	if r := find(t, f, admin, allSites+"&rowlimit=2"); !slices.Equal(r.column("Path"), []string{"https://sharepoint.corp.test", "https://sharepoint.corp.test/sites/finance"}) || r.column("Rank") == nil || r.column("SiteName") != nil {
		t.Errorf("%+v", r)
	}
	// The form with parentheses.
	a := get(t, f, admin, "https://"+host+"/_api/search/query(querytext='contentclass:STS_Site',rowlimit=3)", noMetadata)
	var r rows
	if reads(t, a.Body, &r); r.PrimaryQueryResult.RelevantResults.RowCount != 3 {
		t.Errorf("%s", a.Body)
	}
}

func TestSearchPages(t *testing.T) {
	t.Parallel()
	f := farm(t, sharepoint.Options{Sites: 20000})
	seen := map[string]bool{}
	for start := 0; start < 20000; start += 500 {
		r := find(t, f, admin, allSites+"&rowlimit=5000&startrow="+strconv.Itoa(start))
		if n := r.PrimaryQueryResult.RelevantResults.RowCount; n != 500 {
			t.Fatalf("%d rows from %d on", n, start)
		}
		for _, path := range r.column("Path") {
			seen[path] = true
		}
	}
	if len(seen) != 20000 {
		t.Errorf("%d site collections", len(seen))
	}
}

func TestSearchRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fault, url string
		status     int
	}{
		{"", "/_api/search/query", 400},
		{"", "/_api/search/query?querytext=contentclass:STS_Site", 400},
		{"", "/_api/search/query?querytext='it's'", 400},
		{"", "/_api/search/query?querytext='it''s'", 200},
		{"", "/_api/search/query?querytext='a'&rowlimit=many", 400},
		{"", "/_api/search/query?querytext='a'&startrow=60000", 500},
		{"sp-no-search", "/_api/search/query?querytext='a'", 500},
		{"sp-no-root", "/_api/search/query?querytext='a'", 404},
		{"sp-no-root", "/sites/hr/_api/search/query?querytext='a'", 200},
	} {
		a := get(t, farm(t, sharepoint.Options{}, c.fault), admin, "https://"+host+c.url, "application/json;odata=verbose")
		if a.Status != c.status {
			t.Errorf("%+v: %d %s", c, a.Status, a.Body)
		}
	}
	if a := get(t, farm(t, sharepoint.Options{}), admin, "https://"+host+"/_api/search/query?querytext='contentclass:STS_Site'&selectproperties='Title'", "application/json;odata=verbose"); !strings.Contains(string(a.Body), `{"d":{"query":{"__metadata":{"type":"Microsoft.Office.Server.Search.REST.SearchResult"}`) ||
		!strings.Contains(string(a.Body), `"Rows":{"results":[{"__metadata":{"type":"SP.SimpleDataRow"},"Cells":{"results":[`) {
		t.Errorf("%s", a.Body)
	}
}

// digest asks for a form digest, as a client does before it posts.
func digest(t testing.TB, f *sharepoint.Farm, who, site string) string {
	t.Helper()
	var got struct{ FormDigestValue string }
	reads(t, ask(t, f, who, http.MethodPost, site+"/_api/contextinfo", map[string]string{"Accept": noMetadata}, "").Body, &got)
	return got.FormDigestValue
}

func TestPostQuery(t *testing.T) {
	t.Parallel()
	const site = "https://" + host
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	f := farm(t, sharepoint.Options{Sites: 40, Now: func() time.Time { return now }})
	mine := digest(t, f, admin, site)
	post := func(who, url, digest, body string) *sharepoint.Answer {
		t.Helper()
		return ask(t, f, who, http.MethodPost, url, map[string]string{"Accept": noMetadata, "Content-Type": "application/json;odata=verbose", "X-RequestDigest": digest}, body)
	}
	const at, all = site + "/_api/search/postquery", `{"request":{"Querytext":"contentclass:STS_Site","RowLimit":30,"TrimDuplicates":false,"SelectProperties":["Title","Path"]}}`
	for _, c := range []struct {
		body        string
		rows, total int
	}{
		{all, 30, 40},
		{`{"request":{"__metadata":{"type":"Microsoft.Office.Server.Search.REST.SearchRequest"},"querytext":"contentclass:STS_Site","StartRow":30,"RowLimit":30,"trimduplicates":false,"SelectProperties":{"results":["Path"]}}}`, 10, 40},
		{`{"request":{"Querytext":"contentclass:STS_Site","SelectProperties":[],"RefinementFilters":[]}}`, 10, 32},
	} {
		var r rows
		a := post(admin, at, mine, c.body)
		if reads(t, a.Body, &r); a.Status != 200 || r.PrimaryQueryResult.RelevantResults.RowCount != c.rows || r.PrimaryQueryResult.RelevantResults.TotalRows != c.total || len(r.column("Path")) != c.rows {
			t.Errorf("%s: %d %s", c.body, a.Status, a.Body)
		}
	}
	for what, c := range map[string]struct {
		who, url, digest, body string
		status                 int
	}{
		"no digest":           {admin, at, "", all, 403},
		"another user's":      {reader, at, mine, all, 403},
		"another site's":      {admin, site + "/sites/hr/_api/search/postquery", mine, all, 403},
		"another moment's":    {admin, at, strings.Replace(mine, "12:00:00", "12:00:01", 1), all, 403},
		"one that is none":    {admin, at, "0x00", all, 403},
		"no JSON":             {admin, at, mine, "querytext='a'", 400},
		"text of other types": {admin, at, mine, `{"request":{"Querytext":7}}`, 400},
		"rows of other types": {admin, at, mine, `{"request":{"Querytext":"a","RowLimit":"many"}}`, 400},
		"too far":             {admin, at, mine, `{"request":{"Querytext":"a","StartRow":60000}}`, 500},
		"the other method":    {admin, site + "/_api/search/query?querytext='a'", mine, "", 400},
	} {
		if a := post(c.who, c.url, c.digest, c.body); a.Status != c.status || c.status == 403 != strings.Contains(string(a.Body), "The security validation for this page is invalid") {
			t.Errorf("%s: %d %s", what, a.Status, a.Body)
		}
	}
	if a := get(t, f, admin, at, noMetadata); a.Status != http.StatusBadRequest {
		t.Errorf("GET: %d %s", a.Status, a.Body)
	}
	now = now.Add(30*time.Minute + time.Second)
	if a := post(admin, at, mine, all); a.Status != http.StatusForbidden {
		t.Errorf("an old digest: %d %s", a.Status, a.Body)
	}
}

// FuzzPostQuery never panics, whatever is posted.
func FuzzPostQuery(fz *testing.F) {
	fz.Add(`{"request":{"Querytext":"contentclass:STS_Site","RowLimit":500,"SelectProperties":{"results":["Path"]}}}`)
	fz.Add(`{"request":{"Querytext":"a","StartRow":-1,"TrimDuplicates":"false","SelectProperties":[null]}}`)
	fz.Add(`{"request":[]}`)
	f := farm(fz, sharepoint.Options{}, "sp-hostile")
	mine := digest(fz, f, admin, "https://"+host)
	fz.Fuzz(func(t *testing.T, body string) {
		if a := ask(t, f, admin, http.MethodPost, "https://"+host+"/_api/search/postquery", map[string]string{"Accept": noMetadata, "X-RequestDigest": mine}, body); a.Status < 200 || a.Status > 599 || a.Status == http.StatusForbidden {
			t.Errorf("%d", a.Status)
		}
	})
}

// FuzzRequest never panics, whatever the path, the query and the Accept header are.
func FuzzRequest(fz *testing.F) {
	fz.Add("/_api/web", "$select=Title", "application/json;odata=verbose")
	fz.Add("/sites/hr/_api/search/query(querytext='a')", "", "*/*")
	fz.Add("/_api/search/query", "querytext='contentclass:STS_Site'&rowlimit=5&startrow=-1", "application/json")
	fz.Add("//_layouts/_api/_vti_bin/SiteData.asmx", "wsdl", "")
	f := farm(fz, sharepoint.Options{}, "sp-host-named", "sp-hostile", "sp-foreign")
	fz.Fuzz(func(t *testing.T, path, query, accept string) {
		u := url.URL{Scheme: "https", Host: host, Path: "/" + strings.TrimLeft(path, "/"), RawQuery: query}
		if _, err := http.NewRequestWithContext(t.Context(), http.MethodGet, u.String(), nil); err != nil {
			t.Skip(err)
		}
		if a := get(t, f, admin, u.String(), accept); a.Status < 200 || a.Status > 599 {
			t.Errorf("%d", a.Status)
		}
	})
}
