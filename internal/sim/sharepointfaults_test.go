package sim_test

import (
	"encoding/json"
	"encoding/xml"
	"net/http"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/internal/sim"
)

// site and sites ask for the root site over REST and over Graph.
func (p probe) site() reply {
	return sharePoint(p.t, p.w, sim.AppSharePoint, http.MethodGet, p.w.SharePointSite()+"/_api/web", "", nil)
}

func (p probe) sites(path string) reply {
	return graph(p.t, p.w, path, token(p.t, p.w, sim.AppSharePoint, p.w.GraphURL()))
}

func (p probe) says(r reply, status int, has string) {
	p.t.Helper()
	if r.status != status || !strings.Contains(r.body, has) {
		p.t.Errorf("%d %.300s %v, want %d with %q", r.status, r.body, r.err, status, has)
	}
}

func sharePointFaultChecks() map[string]func(probe) {
	return map[string]func(probe){
		"sites=7": func(p probe) {
			if n := strings.Count(p.sites("sites/getAllSites").body, `"siteCollection"`); n != 7 {
				p.t.Errorf("%d sites", n)
			}
		},
		"multi-geo": func(p probe) {
			p.says(p.sites("sites/getAllSites?$top=999"), 200, `"dataLocationCode":"NAM"`)
			address := strings.Replace(p.w.SharePointSite(), "contoso", "contosoapc", 1)
			p.says(sharePoint(p.t, p.w, sim.AppSharePoint, http.MethodGet, address+"/_api/web/title", "", nil), 200, "Contoso Asia Pacific")
		},
		"sharepoint-down": func(p probe) {
			p.says(p.site(), 503, "The service is unavailable")
			p.says(p.sites("sites/root"), 503, "serviceNotAvailable")
			p.says(p.sites("users?$top=1"), 200, "")
		},
		"sharepoint-denied": func(p probe) {
			p.says(p.site(), 403, "-2147024891, System.UnauthorizedAccessException")
			p.says(p.sites("sites/root"), 200, "")
		},
		"no-sharepoint": func(p probe) {
			if r := ask(p.t, p.w, p.w.SharePointSite()+"/.default", nil); r.code(p.t) != 500011 {
				p.t.Errorf("%d %s", r.status, r.body)
			}
			p.says(send(p.t, p.w.Client(), http.MethodGet, p.w.SharePointSite()+"/_api/web", "", nil), 404, "404 FILE NOT FOUND")
			p.says(p.sites("sites/root"), 400, "Tenant does not have a SPO license.")
			p.says(graph(p.t, p.w, "servicePrincipals(appId='"+sim.SharePointAppID+"')"), 404, "Request_ResourceNotFound")
		},
		"site-locked": func(p probe) {
			p.says(p.site(), 423, "Access to this Web site has been blocked.")
			p.says(p.sites("sites/root"), 423, "resourceLocked")
			p.says(sharePoint(p.t, p.w, sim.AppSharePoint, http.MethodGet, p.w.SharePointSite()+"/sites/hr/_api/web", "", nil), 200, "Human Resources")
		},
		"site-locked=403": func(p probe) { p.says(p.site(), 403, "blocked") },
		"admin-denied": func(p probe) {
			p.says(p.site(), 200, "Contoso")
			p.says(sharePoint(p.t, p.w, sim.AppSharePoint, http.MethodPost, p.w.SharePointAdmin()+"/_api/contextinfo", "", nil), 403, "System.UnauthorizedAccessException")
		},
		"tenant-renamed": func(p probe) {
			p.says(p.sites("sites/root"), 200, "https://contosogroup.sharepoint.localhost:")
			client := p.w.Client()
			client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			r := send(p.t, client, http.MethodGet, p.w.SharePointSite()+"/sites/hr/_api/web?$select=Title", "", nil)
			if want := strings.Replace(p.w.SharePointSite(), "contoso", "contosogroup", 1) + "/sites/hr/_api/web?$select=Title"; r.status != 308 || r.header.Get("Location") != want {
				p.t.Errorf("%d %v", r.status, r.header)
			}
			p.says(sharePoint(p.t, p.w, sim.AppSharePoint, http.MethodGet, strings.Replace(p.w.SharePointSite(), "contoso", "contosogroup", 1)+"/_api/web", "", nil), 200, "Contoso")
		},
	}
}

// TestFaultsOfEveryService: the faults that strike every service strike SharePoint too.
func TestFaultsOfEveryService(t *testing.T) {
	t.Parallel()
	for spec, check := range map[string]func(*testing.T, reply){
		"throttle=7s,1,sharepoint":  func(t *testing.T, r reply) { status(t, r, 429, r.header.Get("Retry-After") == "7") },
		"unavailable=1s,sharepoint": func(t *testing.T, r reply) { status(t, r, 503, r.header.Get("Retry-After") != "") },
		"garbage=sharepoint":        func(t *testing.T, r reply) { status(t, r, 200, !json.Valid([]byte(r.body))) },
		"huge=2,sharepoint":         func(t *testing.T, r reply) { status(t, r, 200, len(r.body) > 2<<20 && json.Valid([]byte(r.body))) },
		"empty=sharepoint":          func(t *testing.T, r reply) { status(t, r, 200, r.body == "") },
		"deep-json=sharepoint":      func(t *testing.T, r reply) { status(t, r, 200, strings.Count(r.body, "[") == 50_000) },
		"proxy-page=sharepoint":     func(t *testing.T, r reply) { status(t, r, 200, strings.Contains(r.body, "<html>")) },
		"proxy-denied=sharepoint":   func(t *testing.T, r reply) { status(t, r, 403, strings.Contains(r.body, "<html>")) },
		"cut-always=sharepoint": func(t *testing.T, r reply) {
			if r.err == nil {
				t.Errorf("%d %s", r.status, r.body)
			}
		},
		"cae-challenge=sharepoint": func(t *testing.T, r reply) {
			status(t, r, 401, strings.Contains(r.header.Get("WWW-Authenticate"), `error="insufficient_claims"`))
		},
		"hostile-text=sharepoint": func(t *testing.T, r reply) {
			title, _ := r.json(t)["Title"].(string)
			status(t, r, 200, strings.Contains(title, "\x1b]0;") && strings.Contains(title, "\u202e"))
		},
	} {
		t.Run(spec, func(t *testing.T) {
			t.Parallel()
			p := probe{t, start(t, spec)}
			check(t, p.site())
			if r := p.graph("organization"); r.status != 200 {
				t.Errorf("Graph: %d", r.status)
			}
		})
	}
	w := start(t, "hostile-text=sharepoint")
	for path, has := range map[string]string{"/_api/web": "<d:Title>Contoso", "/_api/nonsense": `<m:message xml:lang="en-US">Cannot find`} {
		r := sharePoint(t, w, sim.AppSharePoint, http.MethodGet, w.SharePointSite()+path, "", map[string]string{"Accept": ""})
		if !strings.Contains(r.body, has) || !strings.Contains(r.body, "\u202e") || xml.Unmarshal([]byte(r.body), new(struct{})) != nil {
			t.Errorf("%s: %.300s", path, r.body)
		}
	}
	r := sharePoint(t, w, sim.AppSharePoint, http.MethodGet, w.SharePointSite()+"/_api/search/query?querytext='contoso'", "", nil)
	if !strings.Contains(r.body, `\u001b]0;owned`) {
		t.Errorf("search: %.300s", r.body)
	}
	if raw, failure := csom(t, w, sim.AppSharePoint, sitesQueryFor("Url -like hr", "0", "", "")); failure != nil || !strings.Contains(string(raw), `\u001b]0;owned`) {
		t.Errorf("admin centre: %+v %.300s", failure, raw)
	}
	if _, failure := csomWith(t, w, sim.AppSharePoint, tenantQuery, nil); failure == nil || !strings.Contains(failure.ErrorMessage, "\x1b]0;") {
		t.Errorf("error: %+v", failure)
	}
}

func status(t *testing.T, r reply, want int, ok bool) {
	t.Helper()
	if r.status != want || !ok {
		t.Errorf("%d %.300s %v", r.status, r.body, r.header)
	}
}
