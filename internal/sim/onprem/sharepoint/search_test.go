package sharepoint_test

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

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
