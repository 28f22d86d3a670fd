package sharepointserver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/internal/sharepointserver"
)

func TestListBySiteData(t *testing.T) {
	t.Parallel()
	f := newFarm(t, true)
	f.database("{a}", f.URL, f.URL+"/sites/Team", f.URL+"/sites/team/", "https://projects.corp.test")
	f.database("{b}", f.URL+"/sites/HR &amp; IT", "/sites/relative", "mailto:x@corp.test", "https:///", f.URL+"/sites/\u202eevil", f.URL+"/"+strings.Repeat("x", 3000))
	var heard []int
	got, err := f.client(t).List(t.Context(), f.URL+"/sites/Team", func(n int) { heard = append(heard, n) })
	want := []string{f.URL, f.URL + "/sites/Team", "https://projects.corp.test", f.URL + "/sites/HR%20&%20IT", f.URL + "/sites/relative"}
	if err != nil || !slices.Equal(got.URLs, want) || got.Way != sharepointserver.SiteData || got.Databases != 2 || got.WhyNot != nil {
		t.Fatalf("%+v %v", got, err)
	}
	if left, ok := errors.AsType[*sharepointserver.UnusableError](got.Partial); !ok || left.Count != 4 {
		t.Errorf("left out: %v", got.Partial)
	}
	if !slices.Equal(heard, []int{3, 5}) {
		t.Errorf("heard %v", heard)
	}
	if want := strings.TrimSpace(strings.Repeat("POST /_vti_bin/SiteData.asmx\n", 3)); f.log() != want {
		t.Errorf("asked %s", f.log())
	}
}

func TestListManyBySiteData(t *testing.T) {
	t.Parallel()
	f := newFarm(t, true)
	const all, each = 20_000, 5000
	for d := range all / each {
		var sites []string
		for i := range each {
			sites = append(sites, fmt.Sprintf("%s/sites/s%d", f.URL, d*each+i))
		}
		f.database(fmt.Sprintf("{%d}", d), sites...)
	}
	got, err := f.client(t).List(t.Context(), f.URL, nil)
	if err != nil || len(got.URLs) != all || got.URLs[all-1] != fmt.Sprintf("%s/sites/s%d", f.URL, all-1) {
		t.Errorf("%d %v", len(got.URLs), err)
	}
}

// A content database that cannot be read leaves the others.
func TestListPartly(t *testing.T) {
	t.Parallel()
	f := newFarm(t, true)
	f.order = []string{"{offline}"}
	f.database("{a}", f.URL+"/sites/a")
	got, err := f.client(t).List(t.Context(), f.URL, nil)
	var e *sharepointserver.Error
	if err != nil || len(got.URLs) != 1 || got.Databases != 2 || !errors.As(got.Partial, &e) || e.Reason != sharepointserver.Denied || e.Code != "0x80070005" || !strings.Contains(got.Partial.Error(), "only 1 of 2 content databases") {
		t.Errorf("%+v %v", got, err)
	}
}

// What is kept of a list has a limit in bytes, whichever way lists it.
func TestListTooLong(t *testing.T) {
	t.Parallel()
	for _, siteData := range []bool{true, false} {
		f := newFarm(t, true)
		for i := range 10 {
			at := fmt.Sprintf("%s/sites/%d", f.URL, i)
			f.database(fmt.Sprintf("{%d}", i), at)
			f.indexed = append(f.indexed, at)
		}
		if !siteData {
			f.at["/_vti_bin/SiteData.asmx"] = answers(404, "text/plain", "")
		}
		c := f.client(t)
		c.KeepBytes(3*len(f.indexed[0]) + 1)
		got, err := c.List(t.Context(), f.URL, nil)
		full, ok := errors.AsType[*sharepointserver.FullError](got.Partial)
		if err != nil || !slices.Equal(got.URLs, f.indexed[:3]) || !ok || full.Kept != 3 {
			t.Errorf("SiteData %v: %+v %v", siteData, got, err)
		}
	}
}

// SiteData is below the address where the root of the web application has none.
func TestListWithoutRoot(t *testing.T) {
	t.Parallel()
	f := newFarm(t, true)
	f.database("{a}", f.URL+"/sites/a")
	f.at["/_vti_bin/SiteData.asmx"] = answers(404, "text/plain", "404 FILE NOT FOUND")
	f.at["/sites/a/_vti_bin/SiteData.asmx"] = f.siteData
	got, err := f.client(t).List(t.Context(), f.URL+"/sites/a/", nil)
	if err != nil || len(got.URLs) != 1 || got.Way != sharepointserver.SiteData {
		t.Errorf("%+v %v", got, err)
	}
}

func TestListBySearch(t *testing.T) {
	t.Parallel()
	refuse := func(w http.ResponseWriter, _ *http.Request) {
		fault(w, "0x80070005", "Attempted to perform an unauthorized operation.")
	}
	for _, c := range []struct {
		name     string
		verbose  bool
		sites    int
		page     int // rows of a page, where it is not as asked for
		siteData http.HandlerFunc
		whyNot   sharepointserver.Reason
		asked    int
	}{
		{name: "one page", sites: 3, siteData: refuse, whyNot: sharepointserver.Denied, asked: 1},
		{name: "one page, verbose", verbose: true, sites: 3, siteData: refuse, whyNot: sharepointserver.Denied, asked: 1},
		{name: "a full page", sites: 500, siteData: refuse, whyNot: sharepointserver.Denied, asked: 1},
		{name: "20,000", verbose: true, sites: 20_000, siteData: refuse, whyNot: sharepointserver.Denied, asked: 40},
		{name: "small pages", sites: 30, page: 7, siteData: refuse, whyNot: sharepointserver.Denied, asked: 5},
		{name: "nothing", siteData: refuse, whyNot: sharepointserver.Denied, asked: 1},
		{name: "SiteData is off", sites: 1, siteData: answers(404, "text/html", ""), whyNot: sharepointserver.NotThere, asked: 1},
		{name: "SiteData is no SOAP", sites: 1, siteData: answers(200, "text/xml", "<a/>"), whyNot: sharepointserver.Unreadable, asked: 1},
		{name: "SiteData is a login page", sites: 1, siteData: answers(302, "text/html", "", "Location", "/_login/default.aspx"), whyNot: sharepointserver.LoginPage, asked: 1},
		{name: "no database", sites: 1, siteData: func(w http.ResponseWriter, _ *http.Request) { content(w, "<VirtualServer><Metadata/></VirtualServer>") }, whyNot: sharepointserver.Unreadable, asked: 1},
		{name: "another object", sites: 1, siteData: func(w http.ResponseWriter, _ *http.Request) {
			content(w, `<ContentDatabase><ContentDatabases><ContentDatabase ID="1"/></ContentDatabases></ContentDatabase>`)
		}, whyNot: sharepointserver.Unreadable, asked: 1},
		{name: "a document type", sites: 1, siteData: func(w http.ResponseWriter, _ *http.Request) {
			content(w, `<!DOCTYPE a [<!ENTITY b "c">]><VirtualServer><ContentDatabases><ContentDatabase ID="1"/></ContentDatabases></VirtualServer>`)
		}, whyNot: sharepointserver.Unreadable, asked: 1},
		{name: "too deep", sites: 1, siteData: func(w http.ResponseWriter, _ *http.Request) {
			content(w, "<VirtualServer>"+strings.Repeat("<a>", 1000)+strings.Repeat("</a>", 1000)+"</VirtualServer>")
		}, whyNot: sharepointserver.Unreadable, asked: 1},
		{name: "SiteData has a fault", sites: 1, siteData: func(w http.ResponseWriter, _ *http.Request) { fault(w, "", "Server was unable to process request.") }, whyNot: sharepointserver.Fault, asked: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newFarm(t, true)
			f.verbose, f.pageSize = c.verbose, c.page
			f.at["/_vti_bin/SiteData.asmx"] = c.siteData
			for i := range c.sites {
				f.indexed = append(f.indexed, fmt.Sprintf("%s/sites/s%d", f.URL, i))
			}
			last := 0
			got, err := f.client(t).List(t.Context(), f.URL, func(n int) { last = n })
			var e *sharepointserver.Error
			if err != nil || got.Way != sharepointserver.Search || !slices.Equal(got.URLs, f.indexed) || got.Partial != nil || last != c.sites || got.Databases != 0 {
				t.Fatalf("%d %+v %v", len(got.URLs), got.Partial, err)
			}
			if !errors.As(got.WhyNot, &e) || e.Reason != c.whyNot || e.Op != "SiteData" {
				t.Errorf("%v", got.WhyNot)
			}
			if n := strings.Count(f.log(), "/_api/search/query"); n != c.asked {
				t.Errorf("%d pages", n)
			}
		})
	}
}

// Searches that would never end.
func TestListEndlessSearch(t *testing.T) {
	t.Parallel()
	row := func(u string) string { return fmt.Sprintf(`{"Cells":[{"Key":"Path","Value":%q}]}`, u) }
	result := func(rows string) string {
		return `{"PrimaryQueryResult":{"RelevantResults":{"TotalRows":1000000,"Table":{"Rows":[` + rows + `]}}}}`
	}
	for _, c := range []struct {
		name   string
		page   func(n int) string
		found  int
		reason string
	}{
		{"the same page again", func(int) string { return result(row("https://sp/sites/a") + "," + row("https://sp/sites/b")) }, 2, "none that is new"},
		{"no page", func(n int) string {
			if n > 1 {
				return result("")
			}
			return result(row("https://sp/sites/a"))
		}, 1, ""},
		{"always one more", func(n int) string { return result(row(fmt.Sprint("https://sp/sites/", n))) }, 1000, "no more than 1000 of 1000000"},
		{"too many", func(n int) string {
			rows := make([]string, 500)
			for i := range rows {
				rows[i] = row(fmt.Sprint("https://sp/sites/", n, "-", i))
			}
			return result(strings.Join(rows, ","))
		}, 50_500, "no more than 50500 of 1000000"},
		{"broken in the middle", func(n int) string {
			if n > 1 {
				return `{"PrimaryQueryResult":null}`
			}
			return result(row("https://sp/sites/a"))
		}, 1, "after 1 site collections"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newFarm(t, true)
			f.at["/_vti_bin/SiteData.asmx"] = answers(404, "text/plain", "")
			n := 0
			f.at["/_api/search/query"] = func(w http.ResponseWriter, _ *http.Request) {
				n++
				_, _ = io.WriteString(w, c.page(n))
			}
			got, err := f.client(t).List(t.Context(), f.URL, nil)
			if err != nil || len(got.URLs) != c.found || (got.Partial == nil) != (c.reason == "") || !strings.Contains(fmt.Sprint(got.Partial), c.reason) && c.reason != "" {
				t.Errorf("%d %v %v", len(got.URLs), got.Partial, err)
			}
		})
	}
}

func TestListNeitherWay(t *testing.T) {
	t.Parallel()
	f := newFarm(t, true)
	f.at["/_vti_bin/SiteData.asmx"] = answers(403, "text/plain", "403 FORBIDDEN")
	f.at["/_api/search/query"] = answers(500, "application/json", `{"error":{"code":"-1, Microsoft.Office.Server.Search.Query.InternalQueryErrorException","message":{"lang":"en-US","value":"The search service is not able to connect to the machine that hosts the administration component."}}}`)
	_, err := f.client(t).List(t.Context(), f.URL+"/sites/a", nil)
	var list *sharepointserver.ListError
	var site, search *sharepointserver.Error
	if !errors.As(err, &list) || !errors.As(list.SiteData, &site) || site.Reason != sharepointserver.Denied || !errors.As(list.Search, &search) {
		t.Fatalf("%v", err)
	}
	// The search is asked at the site first; there is none, so at the root.
	if search.Reason != sharepointserver.Fault || !strings.Contains(search.Text, "administration component") || !strings.Contains(f.log(), "GET /sites/a/_api/search/query") {
		t.Errorf("%v\n%s", search, f.log())
	}
}

// A server that is not to be reached is asked once; so is one of which Ctrl-C is heard.
func TestListEnded(t *testing.T) {
	t.Parallel()
	f := newFarm(t, true)
	_, err := f.client(t).List(t.Context(), nobody, nil)
	var list *sharepointserver.ListError
	if err == nil || errors.As(err, &list) || !strings.Contains(err.Error(), "refused") {
		t.Errorf("%v", err)
	}
	f = newFarm(t, true)
	ctx, cancel := context.WithCancel(t.Context())
	f.at["/_vti_bin/SiteData.asmx"] = ends(cancel)
	if _, err := f.client(t).List(ctx, f.URL, nil); !errors.Is(err, context.Canceled) || strings.Contains(f.log(), "search") {
		t.Errorf("%v %s", err, f.log())
	}
	ctx, cancel = context.WithCancel(t.Context())
	f = newFarm(t, true)
	f.order = []string{"{a}", "{b}"}
	f.at["/_vti_bin/SiteData.asmx"] = func(w http.ResponseWriter, r *http.Request) {
		if strings.Count(f.log(), "\n") == 1 {
			ends(cancel)(w, r)
			return
		}
		f.siteData(w, r)
	}
	if _, err := f.client(t).List(ctx, f.URL, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
