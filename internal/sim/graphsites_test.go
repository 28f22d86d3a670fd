package sim_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/internal/sim"
)

type sitePage struct {
	Count int    `json:"@odata.count"`
	Next  string `json:"@odata.nextLink"`
	Value []struct {
		ID, WebURL, DisplayName string
		IsPersonalSite          bool
		SiteCollection          struct {
			Hostname, DataLocationCode string
			Root                       *struct{}
			ArchivalDetails            *struct{ ArchiveStatus string }
		}
	}
}

// walkSites follows the links from page to page.
func walkSites(t *testing.T, w *sim.World, path, raw string) (pages []sitePage) {
	t.Helper()
	for next := w.GraphURL() + "/v1.0/" + path; next != ""; {
		r := send(t, w.Client(), http.MethodGet, next, "", map[string]string{"Authorization": "Bearer " + raw})
		var page sitePage
		if err := json.Unmarshal([]byte(r.body), &page); err != nil || r.status != http.StatusOK {
			t.Fatalf("%s: %d %.300s %v", next, r.status, r.body, err)
		}
		pages, next = append(pages, page), page.Next
	}
	return pages
}

func TestAllSites(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, query string
		faults      []string
		pages       int
		perGeo      map[string]int
	}{
		{"sixty", "", nil, 1, map[string]int{"": 60}},
		{"pages of 25", "?$top=25&$count=true", nil, 3, map[string]int{"": 60}},
		{"more than a page holds", "?$top=5000", []string{"sites=2500"}, 3, map[string]int{"": 2500}},
		{"five thousand", "?$select=id,webUrl,isPersonalSite,siteCollection", []string{"sites=5000"}, 25, map[string]int{"": 5000}},
		{"geographies", "?$top=20", []string{"multi-geo"}, 4, map[string]int{"NAM": 36, "EUR": 12, "APC": 12}},
		{"filtered", "?$filter=" + url.QueryEscape("isPersonalSite eq true"), nil, 1, map[string]int{"": 15}},
		{"function call", "()?$top=60", nil, 1, map[string]int{"": 60}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := start(t, c.faults...)
			pages := walkSites(t, w, "sites/getAllSites"+c.query, token(t, w, sim.AppSharePoint, w.GraphURL()))
			seen, perGeo := map[string]bool{}, map[string]int{}
			for _, p := range pages {
				for _, s := range p.Value {
					if seen[s.ID] || seen[s.WebURL] || len(strings.Split(s.ID, ",")) != 3 || s.SiteCollection.DataLocationCode != p.Value[0].SiteCollection.DataLocationCode {
						t.Errorf("%+v", s)
					}
					seen[s.ID], seen[s.WebURL] = true, true
					perGeo[s.SiteCollection.DataLocationCode]++
				}
			}
			if len(pages) != c.pages || len(perGeo) != len(c.perGeo) {
				t.Errorf("%d pages, %v", len(pages), perGeo)
			}
			for code, n := range c.perGeo {
				if perGeo[code] != n {
					t.Errorf("%d sites in %q, want %d", perGeo[code], code, n)
				}
			}
		})
	}
}

func TestGraphSites(t *testing.T) {
	t.Parallel()
	w := start(t)
	host := strings.TrimPrefix(w.SharePointSite(), "https://")
	raw := token(t, w, sim.AppSharePoint, w.GraphURL())
	first := walkSites(t, w, "sites/getAllSites?$top=1", raw)[0].Value[0]
	for _, c := range []struct {
		path   string
		status int
		code   any
		has    string
	}{
		{"sites/root", 200, nil, `"webUrl":"` + w.SharePointSite() + `"`},
		{"sites/root?$select=webUrl", 200, nil, `{"@odata.context":"` + w.GraphURL() + `/v1.0/$metadata#sites(webUrl)/$entity","webUrl":"` + w.SharePointSite() + `"}`},
		{"sites/root?$select=nonsense", 400, "BadRequest", ""},
		{"sites/" + host, 200, nil, `"displayName":"Contoso"`},
		{"sites/contoso.sharepoint.localhost", 200, nil, `"displayName":"Contoso"`},
		{"sites/" + host + ":/sites/hr", 200, nil, `"displayName":"Human Resources"`},
		{"sites/" + host + ":/sites/HR:", 200, nil, `"name":"hr"`},
		{"sites/" + strings.Replace(host, "contoso", "contoso-my", 1) + ":/personal/person001_contoso_com", 404, "itemNotFound", "could not be found"},
		{"sites/" + strings.Replace(host, "contoso", "contoso-my", 1) + ":/personal/person004_contoso_com", 200, nil, `"isPersonalSite":true`},
		{"sites/" + host + ":/sites/nowhere", 404, "itemNotFound", "Requested site could not be found"},
		{"sites/" + host + ":/sites/blocked", 423, "notAllowed", "resourceLocked"},
		{"sites/" + first.ID, 200, nil, first.WebURL},
		{"sites/contoso.sharepoint.localhost,11111111-1111-4111-8111-111111111111,11111111-1111-4111-8111-111111111112", 404, "itemNotFound", ""},
		{"sites/fabrikam.sharepoint.com", 400, "invalidRequest", "Invalid hostname for this tenancy"},
		{"sites/contosoeur.sharepoint.localhost", 400, "invalidRequest", ""},
		{"sites?$filter=" + url.QueryEscape("siteCollection/root ne null") + "&$select=webUrl,siteCollection", 200, nil, `"root":{}`},
		{"sites?$filter=" + url.QueryEscape("siteCollection/root eq null"), 400, "Request_UnsupportedQuery", ""},
		{"sites?search=*&$top=3", 200, nil, "@odata.nextLink"},
		{"sites?search=human", 200, nil, "Human Resources"},
		{"sites?$search=%22human%20resources%22", 200, nil, "Human Resources"},
		{"sites", 200, nil, "fullyArchived"},
		{"sites/getAllSites?$top=0", 400, "invalidRequest", "page size"},
		{"sites/getAllSites?$skiptoken=nonsense", 400, "invalidRequest", ""},
		{"sites/getAllSites?$select=nonsense", 400, "BadRequest", ""},
		{"sites/getAllSites?$filter=" + url.QueryEscape("siteCollection eq null"), 400, "Request_UnsupportedQuery", ""},
	} {
		t.Run(c.path, func(t *testing.T) {
			t.Parallel()
			r := graph(t, w, c.path, raw)
			if r.status != c.status || c.code != nil && r.code(t) != c.code || !strings.Contains(r.body, c.has) {
				t.Errorf("%d %.600s", r.status, r.body)
			}
		})
	}
	person, err := w.AdminToken(sim.GlobalAdmin)
	if err != nil {
		t.Fatal(err)
	}
	for name, raw := range map[string]string{"seed": token(t, w, sim.AppSharePointSeed, w.GraphURL()), "backup": token(t, w, sim.AppBackup, w.GraphURL()), "person": person} {
		for _, path := range []string{"sites/root", "sites/getAllSites", "sites?search=*"} {
			if r := graph(t, w, path, raw); r.status != 403 || r.code(t) != "accessDenied" {
				t.Errorf("%s, %s: %d %s", name, path, r.status, r.body)
			}
		}
	}
}

func TestSitesInABatch(t *testing.T) {
	t.Parallel()
	w := start(t)
	raw := token(t, w, sim.AppSharePoint, w.GraphURL())
	body := `{"requests":[{"id":"1","method":"GET","url":"/sites/root?$select=webUrl"},{"id":"2","method":"GET","url":"/sites/getAllSites?$top=2"}]}`
	r := send(t, w.Client(), http.MethodPost, w.GraphURL()+"/v1.0/$batch", body, map[string]string{"Authorization": "Bearer " + raw, "Content-Type": "application/json"})
	if r.status != 200 || !strings.Contains(r.body, w.SharePointSite()) || !strings.Contains(r.body, w.GraphURL()+"/v1.0/sites/getAllSites?") {
		t.Errorf("%d %s", r.status, r.body)
	}
}

func TestGeographies(t *testing.T) {
	t.Parallel()
	w := start(t, "multi-geo")
	raw := token(t, w, sim.AppSharePoint, w.GraphURL())
	homes := walkSites(t, w, "sites?$filter="+url.QueryEscape("siteCollection/root ne null")+"&$select=webUrl,siteCollection", raw)
	var got []string
	for _, s := range homes[0].Value {
		got = append(got, s.SiteCollection.DataLocationCode+" "+s.SiteCollection.Hostname)
	}
	if strings.Join(got, ", ") != "NAM contoso.sharepoint.localhost, EUR contosoeur.sharepoint.localhost, APC contosoapc.sharepoint.localhost" {
		t.Errorf("%v", got)
	}
}
