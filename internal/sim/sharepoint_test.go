package sim_test

import (
	"encoding/json"
	"encoding/xml"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/sim"
)

// spToken gets a token for a SharePoint host with the application's certificate.
func spToken(t *testing.T, w *sim.World, app, resource string) string {
	t.Helper()
	a, ok := w.App(app)
	if !ok {
		t.Fatalf("no application %s", app)
	}
	r := ask(t, w, resource+"/.default", withAssertion(t, w, a, nil))
	raw, _ := r.json(t)["access_token"].(string)
	if raw == "" {
		t.Fatalf("no token for %s: %d %s", resource, r.status, r.body)
	}
	return raw
}

const (
	plainJSON   = "application/json;odata=nometadata"
	minimalJSON = "application/json"
	verboseJSON = "application/json;odata=verbose"
)

// sharePoint asks SharePoint; the token is for the host asked.
func sharePoint(t *testing.T, w *sim.World, app, method, address, body string, header map[string]string) reply {
	t.Helper()
	host, _, _ := strings.Cut(strings.TrimPrefix(address, "https://"), "/")
	all := map[string]string{"Accept": plainJSON}
	maps.Copy(all, header)
	if all["Authorization"] == "" {
		all["Authorization"] = "Bearer " + spToken(t, w, app, "https://"+host)
	}
	return send(t, w.Client(), method, address, body, all)
}

// wrongAudience is the whole answer to a token for another host or service.
const wrongAudience = `{"error_description":"Exception of type 'Microsoft.IdentityModel.Tokens.AudienceUriValidationFailedException' was thrown."}`

func TestSharePointDoor(t *testing.T) {
	t.Parallel()
	w := start(t)
	site, admin := w.SharePointSite(), w.SharePointAdmin()
	good := spToken(t, w, sim.AppSharePoint, site)
	parts := strings.Split(good, ".")
	for name, c := range map[string]struct {
		address, authorization string
		status                 int
		has                    string
	}{
		"certificate":       {site, "Bearer " + good, 200, `"Title":"Contoso"`},
		"by id":             {site, "Bearer " + spToken(t, w, sim.AppSharePoint, sim.SharePointAppID), 200, `"Title":"Contoso"`},
		"secret":            {site, "Bearer " + token(t, w, sim.AppSharePoint, site), 401, `{"error_description":"Unsupported app only token."}`},
		"Graph's":           {site, "Bearer " + token(t, w, sim.AppSharePoint, w.GraphURL()), 401, `{"error_description":"Invalid issuer or signature."}`},
		"the admin's":       {site, "Bearer " + spToken(t, w, sim.AppSharePoint, admin), 401, wrongAudience},
		"the sites', admin": {admin, "Bearer " + good, 401, wrongAudience},
		"another cloud's":   {site, "Bearer " + spToken(t, w, sim.AppSharePoint, "https://contoso.sharepoint.us"), 401, wrongAudience},
		"Exchange's":        {site, "Bearer " + token(t, w, sim.AppBackup, w.OutlookURL()), 401, wrongAudience},
		"no roles":          {site, "Bearer " + spToken(t, w, sim.AppSharePointSeed, site), 401, `{"error_description":"Unsupported security token."}`},
		"no signature":      {site, "Bearer " + parts[0] + "." + parts[1] + "." + strings.Repeat("A", len(parts[2])), 401, "Invalid issuer or signature."},
		"empty":             {site, "Bearer", 401, "Invalid issuer or signature."},
		"nothing":           {site, "", 403, "Attempted to perform an unauthorized operation."},
		"other tenant":      {strings.Replace(site, "contoso", "fabrikam", 1), "Bearer " + good, 404, "404 FILE NOT FOUND"},
		"satellite":         {strings.Replace(site, "contoso", "contosoeur", 1), "Bearer " + good, 404, "404 FILE NOT FOUND"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			header := map[string]string{"Accept": plainJSON}
			if c.authorization != "" {
				header["Authorization"] = c.authorization
			}
			r := send(t, w.Client(), http.MethodGet, c.address+"/_api/web", "", header)
			if r.status != c.status || !strings.Contains(r.body, c.has) || r.header.Get("SPRequestGuid") == "" {
				t.Errorf("%d %s %v", r.status, r.body, r.err)
			}
			audience := map[string]string{"the admin's": admin, "the sites', admin": site, "another cloud's": "https://contoso.sharepoint.us", "Exchange's": w.OutlookURL()}[name]
			if audience != "" {
				audience = `3000003;reason="Invalid audience Uri '` + audience + `'.";category="invalid_client"`
			}
			if got := r.header.Get("x-ms-diagnostics"); got != audience {
				t.Errorf("x-ms-diagnostics %q, want %q", got, audience)
			}
			if challenge := r.header.Get("WWW-Authenticate"); (r.status == 401) != strings.HasPrefix(challenge, `Bearer realm="`+w.TenantID+`",client_id="`+sim.SharePointAppID+`"`) {
				t.Errorf("challenge %q", challenge)
			}
		})
	}
}

// TestSharePointTokens looks at which hosts Entra ID knows.
func TestSharePointTokens(t *testing.T) {
	t.Parallel()
	plain, wide, renamed := start(t), start(t, "multi-geo"), start(t, "tenant-renamed")
	port := plain.SharePointSite()[strings.LastIndexByte(plain.SharePointSite(), ':'):]
	for _, c := range []struct {
		w        *sim.World
		resource string
		good     bool
	}{
		{plain, "https://contoso.sharepoint.com", true}, {plain, "https://contoso-my.sharepoint.us", true}, {plain, "https://contoso-admin.sharepoint-mil.us", true},
		{plain, "https://contoso.sharepoint.cn", true}, {plain, plain.SharePointSite(), true}, {plain, plain.SharePointAdmin() + "/", true},
		{plain, "https://fabrikam.sharepoint.com", false}, {plain, "https://contosoeur.sharepoint.com", false}, {plain, "https://contoso-files.sharepoint.com", false},
		{plain, "https://contoso.sharepoint.localhost", false}, {plain, "https://a.contoso.sharepoint.com", false}, {plain, "https://127.0.0.1" + port, false},
		{wide, "https://contosoeur-admin.sharepoint.com", true}, {wide, "https://contosoapc-my.sharepoint.com", true},
		{renamed, "https://contosogroup.sharepoint.com", true}, {renamed, "https://contoso.sharepoint.com", true},
	} {
		r := ask(t, c.w, c.resource+"/.default", nil)
		if c.good != (r.status == 200) || !c.good && r.code(t) != 500011 {
			t.Errorf("%s: %d %.200s", c.resource, r.status, r.body)
		}
	}
}

func TestSharePointREST(t *testing.T) {
	t.Parallel()
	w := start(t)
	site := w.SharePointSite()
	my := strings.Replace(site, "contoso", "contoso-my", 1)
	for _, c := range []struct {
		method, address, accept string
		status                  int
		has                     string
	}{
		{"GET", site + "/_api/web?$select=Title,Url", plainJSON, 200, `{"Title":"Contoso","Url":"` + site + `"}`},
		{"GET", site + "/_api/Web?$select=title", plainJSON, 200, `{"Title":"Contoso"}`},
		{"GET", site + "/_api/web?$select=Title", verboseJSON, 200, `{"d":{"__metadata":{"id":"` + site + `/_api/web","uri":"` + site + `/_api/web","type":"SP.Web"},"Title":"Contoso"}}`},
		{"GET", site + "/_api/web?$select=Title", minimalJSON, 200, `"odata.type":"SP.Web"`},
		{"GET", site + "/_api/web?$select=Title", "application/json;odata.metadata=none", 200, `{"Title":"Contoso"}`},
		{"GET", site + "/_api/web", "", 200, `<d:Title>Contoso</d:Title>`},
		{"GET", site + "/_api/web/title", plainJSON, 200, `{"value":"Contoso"}`},
		{"GET", site + "/_api/web/Title", verboseJSON, 200, `{"d":{"Title":"Contoso"}}`},
		{"GET", site + "/_api/web/title", minimalJSON, 200, `$metadata#Edm.String","value":"Contoso"}`},
		{"GET", site + "/_api/web/title", "application/xml", 200, `<d:Title xmlns:d=`},
		{"GET", site + "/_api/web/nonsense", plainJSON, 404, "Cannot find resource for the request nonsense."},
		{"GET", site + "/_api/web?$select=Nonsense", plainJSON, 400, "The field or property 'Nonsense' does not exist."},
		{"GET", site + "/_api/nonsense", verboseJSON, 404, `{"error":{"code":"-1, Microsoft.SharePoint.Client.ResourceNotFoundException"`},
		{"GET", site + "/_api/nonsense", "", 404, "<m:code>-1, Microsoft.SharePoint.Client.ResourceNotFoundException</m:code>"},
		{"POST", site + "/_api/web", plainJSON, 405, "The HTTP method 'POST' cannot be used"},
		{"GET", site + "/_api/contextinfo", plainJSON, 405, "The HTTP method 'GET' cannot be used"},
		{"GET", site + "/sites/hr/_api/web?$select=Title,ServerRelativeUrl", plainJSON, 200, `{"Title":"Human Resources","ServerRelativeUrl":"/sites/hr"}`},
		{"GET", site + "/SITES/HR/_api/site?$select=Url", plainJSON, 200, `{"Url":"` + site + `/sites/hr"}`},
		{"GET", site + "/sites/audit-2024/_api/site/ReadOnly", plainJSON, 200, `{"value":true}`},
		{"GET", site + "/sites/hr/_api/site?$select=PrimaryUri", plainJSON, 200, `{"PrimaryUri":"` + site + `/sites/hr"}`},
		{"GET", site + "/_api/search/postquery", plainJSON, 405, "The HTTP method 'GET' cannot be used"},
		{"GET", site + "/sites/nowhere/_api/web", plainJSON, 404, "404 FILE NOT FOUND"},
		{"GET", site + "/sites/hr/subsite/_api/web", plainJSON, 404, "404 FILE NOT FOUND"},
		{"GET", site + "/", plainJSON, 404, "404 FILE NOT FOUND"},
		{"GET", site + "/_vti_bin/lists.asmx", plainJSON, 404, "404 FILE NOT FOUND"},
		{"GET", site + "/sites/blocked/_api/web", plainJSON, 423, "Access to this Web site has been blocked."},
		{"GET", site + "/sites/old-projects/_api/web", plainJSON, 423, "blocked"},
		{"GET", my + "/personal/person004_contoso_com/_api/web?$select=Title,WebTemplate", plainJSON, 200, `{"Title":"Person 004","WebTemplate":"SPSPERS"}`},
		{"GET", w.SharePointAdmin() + "/_api/web/title", plainJSON, 200, "SharePoint admin center"},
	} {
		t.Run(c.method+" "+strings.TrimPrefix(c.address, "https://")+" "+c.accept, func(t *testing.T) {
			t.Parallel()
			r := sharePoint(t, w, sim.AppSharePoint, c.method, c.address, "", map[string]string{"Accept": c.accept})
			if r.status != c.status || !strings.Contains(r.body, c.has) {
				t.Errorf("%d %s", r.status, r.body)
			}
			kind := r.header.Get("Content-Type")
			if strings.Contains(kind, "xml") && xml.Unmarshal([]byte(r.body), new(struct{})) != nil || strings.Contains(kind, "json") && !json.Valid([]byte(r.body)) {
				t.Errorf("%s: %s", kind, r.body)
			}
		})
	}
}

func TestSharePointPermissions(t *testing.T) {
	t.Parallel()
	for role, c := range map[string]struct{ site, admin bool }{
		"Sites.FullControl.All": {true, true}, "Sites.Manage.All": {true, false}, "Sites.ReadWrite.All": {true, false}, "Sites.Read.All": {true, false},
		"Sites.Selected": {false, false}, "TermStore.Read.All": {false, false},
	} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			w := start(t)
			a, _ := w.App(sim.AppSharePoint)
			grantOnly(t, w, a, role)
			r := sharePoint(t, w, sim.AppSharePoint, http.MethodGet, w.SharePointSite()+"/_api/web", "", nil)
			if (r.status == 200) != c.site || !c.site && (r.status != 403 || !strings.Contains(r.body, "-2147024891, System.UnauthorizedAccessException")) {
				t.Errorf("%d %s", r.status, r.body)
			}
			if !c.site {
				return
			}
			if _, failure := csom(t, w, sim.AppSharePoint, tenantQuery); (failure == nil) != c.admin || failure != nil && failure.ErrorTypeName != "System.UnauthorizedAccessException" {
				t.Errorf("%+v", failure)
			}
		})
	}
}

// grantOnly takes the application's permission on SharePoint away and gives it another.
func grantOnly(t *testing.T, w *sim.World, a sim.App, role string) {
	t.Helper()
	admin, err := w.AdminToken(sim.GlobalAdmin)
	if err != nil {
		t.Fatal(err)
	}
	bearer := map[string]string{"Authorization": "Bearer " + admin, "Content-Type": "application/json"}
	resource := graph(t, w, "servicePrincipals(appId='"+sim.SharePointAppID+"')?$select=id,appRoles", admin).json(t)
	var list struct {
		Value []struct{ ID, ResourceID string }
	}
	base := w.GraphURL() + "/v1.0/servicePrincipals/" + a.PrincipalID + "/appRoleAssignments"
	if err := json.Unmarshal([]byte(send(t, w.Client(), http.MethodGet, base, "", bearer).body), &list); err != nil {
		t.Fatal(err)
	}
	for _, one := range list.Value {
		if one.ResourceID == resource["id"] {
			send(t, w.Client(), http.MethodDelete, base+"/"+one.ID, "", bearer)
		}
	}
	id := ""
	for _, one := range resource["appRoles"].([]any) {
		if r := one.(map[string]any); r["value"] == role {
			id, _ = r["id"].(string)
		}
	}
	body := `{"principalId":"` + a.PrincipalID + `","resourceId":"` + resource["id"].(string) + `","appRoleId":"` + id + `"}`
	if r := send(t, w.Client(), http.MethodPost, base, body, bearer); r.status != http.StatusCreated {
		t.Fatalf("%d %s", r.status, r.body)
	}
}

func TestSharePointByPublicName(t *testing.T) {
	t.Parallel()
	w := startWith(t, sim.Options{Listen: "127.0.0.1:0"})
	if w.SharePointSite() != "https://contoso.sharepoint.com" || w.SharePointAdmin() != "https://contoso-admin.sharepoint.com" {
		t.Errorf("%s %s", w.SharePointSite(), w.SharePointAdmin())
	}
	if !slices.Contains(w.SharePointHosts(), "contoso-my.sharepoint.com") {
		t.Errorf("%v", w.SharePointHosts())
	}
	for _, suffix := range []string{"sharepoint.com", "sharepoint.us", "sharepoint-mil.us", "sharepoint.cn"} {
		raw := spToken(t, w, sim.AppSharePoint, "https://contoso."+suffix)
		r := send(t, w.PublicClient(), http.MethodGet, "https://contoso."+suffix+"/sites/hr/_api/web/url", "", map[string]string{"Authorization": "Bearer " + raw, "Accept": plainJSON})
		if r.status != 200 || r.body != `{"value":"https://contoso.`+suffix+`/sites/hr"}` {
			t.Errorf("%d %s %v", r.status, r.body, r.err)
		}
	}
	raw := token(t, w, sim.AppSharePoint, "https://graph.microsoft.com")
	r := send(t, w.PublicClient(), http.MethodGet, "https://graph.microsoft.com/v1.0/sites/root?$select=webUrl", "", map[string]string{"Authorization": "Bearer " + raw})
	if !strings.Contains(r.body, `"webUrl":"https://contoso.sharepoint.com"`) {
		t.Errorf("%d %s", r.status, r.body)
	}
}

// TestWebDates: what a web's own date looks like, and that of its last item.
func TestWebDates(t *testing.T) {
	t.Parallel()
	w := start(t)
	got := sharePoint(t, w, sim.AppSharePoint, http.MethodGet, w.SharePointSite()+"/sites/hr/_api/web?$select=Created,LastItemModifiedDate", "", nil).json(t)
	if _, err := time.Parse("2006-01-02T15:04:05", got["Created"].(string)); err != nil {
		t.Error(err)
	}
	if _, err := time.Parse("2006-01-02T15:04:05Z", got["LastItemModifiedDate"].(string)); err != nil {
		t.Error(err)
	}
	r := sharePoint(t, w, sim.AppSharePoint, http.MethodGet, w.SharePointSite()+"/sites/hr/_api/web/Created", "", map[string]string{"Accept": "application/xml"})
	if !strings.Contains(r.body, `m:type="Edm.DateTime">2`) || strings.Contains(r.body, "Z</d:Created>") {
		t.Error(r.body)
	}
}

type searchAnswer struct {
	ElapsedTime        int
	PrimaryQueryResult struct {
		RelevantResults struct {
			RowCount, TotalRows int
			Table               struct {
				Rows []struct {
					Cells []struct {
						Key, ValueType string
						Value          *string
					}
				}
			}
		}
	}
}

func TestSharePointSearch(t *testing.T) {
	t.Parallel()
	w := start(t, "sites=1200")
	raw := spToken(t, w, sim.AppSharePoint, w.SharePointSite())
	ask := func(query, accept string) reply {
		return send(t, w.Client(), http.MethodGet, w.SharePointSite()+"/_api/search/query?"+query, "", map[string]string{"Authorization": "Bearer " + raw, "Accept": accept})
	}
	paths, total := map[string]bool{}, 1
	for start := 0; start < total; start += 500 {
		var got searchAnswer
		r := ask("querytext='contentclass:STS_Site'&trimduplicates=false&rowlimit=500&startrow="+strconv.Itoa(start)+"&selectproperties='Title,Path,Nonsense'", plainJSON)
		if err := json.Unmarshal([]byte(r.body), &got); err != nil {
			t.Fatalf("%d %.300s", r.status, r.body)
		}
		relevant := got.PrimaryQueryResult.RelevantResults
		total = relevant.TotalRows
		if relevant.RowCount != len(relevant.Table.Rows) || relevant.RowCount != min(500, total-start) {
			t.Errorf("%d rows", relevant.RowCount)
		}
		for _, row := range relevant.Table.Rows {
			if row.Cells[0].Key != "Rank" || row.Cells[1].ValueType != "Edm.Int64" || row.Cells[3].Key != "Path" || row.Cells[4].Value != nil {
				t.Fatalf("%+v", row)
			}
			paths[*row.Cells[3].Value] = true
		}
	}
	if total != 1198 || len(paths) != total || paths[w.SharePointSite()+"/sites/blocked"] {
		t.Errorf("%d rows, %d paths", total, len(paths))
	}
	for _, c := range []struct {
		query, accept, has string
		status             int
	}{
		{"querytext='contentclass:STS_Site'", plainJSON, `"RowCount":10`, 200},
		{"querytext='contentclass:STS_Site+(WebTemplate:SPSPERS+OR+WebTemplate:SRCHCEN)+NOT+Title:x'&rowlimit=1", plainJSON, `"TotalRows":3`, 200},
		{"querytext='%22human+resources%22'", verboseJSON, `{"d":{"query":{"__metadata":{"type":"Microsoft.Office.Server.Search.REST.SearchResult"},"ElapsedTime"`, 200},
		{"querytext='Path:" + w.SharePointSite() + "/sites/hr'", verboseJSON, `"results":[{"__metadata":{"type":"SP.SimpleDataRow"},"Cells":{"__metadata":{"type":"Collection(SP.KeyValue)"}`, 200},
		{"QueryText='human+-resources'", minimalJSON, `"TotalRows":0`, 200},
		{"querytext='contentclass%3dSTS_Web'", "", `<d:TotalRows m:type="Edm.Int32">0</d:TotalRows>`, 200},
		{"querytext='contentclass:STS_Site+IndexDocId%3e0'&rowlimit=1", plainJSON, `"TotalRows":1198`, 200},
		{"querytext='IndexDocId%3e%3d17592186000002+indexdocid%3c17592186000004'", plainJSON, `"TotalRows":2`, 200},
		{"querytext='IndexDocId%3c%3d17592186000001'", plainJSON, `"TotalRows":2`, 200},
		{"querytext='NOT+IndexDocId%3e17592186000000'", plainJSON, `"TotalRows":1,`, 200},
		{"querytext='IndexDocId:17592186000001'", plainJSON, `"TotalRows":1,`, 200},
		{"querytext='IndexDocId=17592186000001'", plainJSON, `"TotalRows":1,`, 200},
		{"querytext='IndexDocId%3cmany'", plainJSON, "no number", 400},
		{"querytext='Title%3ea'", plainJSON, "compared", 400},
		{"querytext=sts", plainJSON, "querytext must be a text in single quotes", 400},
		{"querytext='('", plainJSON, "do not match", 400},
		{"querytext='a+OR'", plainJSON, "malformed", 400},
		{"rowlimit=5", plainJSON, "querytext is missing", 400},
		{"querytext='a'&startrow=50001", plainJSON, "startrow is out of range", 400},
	} {
		r := ask(c.query, c.accept)
		if r.status != c.status || !strings.Contains(r.body, c.has) {
			t.Errorf("%s: %d %.700s", c.query, r.status, r.body)
		}
		if strings.Contains(r.header.Get("Content-Type"), "xml") && xml.Unmarshal([]byte(r.body), new(struct{})) != nil {
			t.Errorf("no XML: %.300s", r.body)
		}
	}
}

// TestSearchByDocID pages as Microsoft advises for large results: each page goes on
// behind the last document of the one before.
func TestSearchByDocID(t *testing.T) {
	t.Parallel()
	w := start(t, "sites=1200", "multi-geo")
	raw := spToken(t, w, sim.AppSharePoint, w.SharePointSite())
	last, seen, pages := "0", map[string]bool{}, 0
	for more := true; more; pages++ {
		query := url.Values{"querytext": {"'contentclass:STS_Site IndexDocId>" + last + "'"}, "rowlimit": {"500"}, "sortlist": {"'[DocId]:ascending'"}, "selectproperties": {"'Path'"}, "trimduplicates": {"false"}}
		r := send(t, w.Client(), http.MethodGet, w.SharePointSite()+"/_api/search/query?"+query.Encode(), "", map[string]string{"Authorization": "Bearer " + raw, "Accept": plainJSON})
		var got searchAnswer
		if err := json.Unmarshal([]byte(r.body), &got); err != nil || pages > 3 {
			t.Fatalf("page %d: %d %.300s", pages, r.status, r.body)
		}
		for _, row := range got.PrimaryQueryResult.RelevantResults.Table.Rows {
			path := *row.Cells[2].Value
			if last = *row.Cells[1].Value; seen[path] || row.Cells[1].Key != "DocId" {
				t.Errorf("%s again, or %+v", path, row)
			}
			seen[path] = true
		}
		more = got.PrimaryQueryResult.RelevantResults.RowCount == 500
	}
	if len(seen) != 718 || pages != 2 {
		t.Errorf("%d sites on %d pages", len(seen), pages)
	}
}

func TestPostQuery(t *testing.T) {
	t.Parallel()
	w := start(t)
	raw := spToken(t, w, sim.AppSharePoint, w.SharePointSite())
	for name, c := range map[string]struct {
		body, accept, has string
		status            int
	}{
		"plain":      {`{"request":{"Querytext":"contentclass:STS_Site","RowLimit":2,"StartRow":57,"SelectProperties":["Title","DocId"],"TrimDuplicates":false,"ClientType":"c2conn"}}`, plainJSON, `"RowCount":1,`, 200},
		"verbose":    {`{"request":{"__metadata":{"type":"Microsoft.Office.Server.Search.REST.SearchRequest"},"Querytext":"human resources","SelectProperties":{"results":["Path"]},"RowLimit":"5"}}`, verboseJSON, `{"d":{"postquery":{"__metadata":`, 200},
		"minimal":    {`{"request":{"Querytext":"Path:\"` + w.SharePointSite() + `/sites/hr\"","SortList":[{"Property":"DocId","Direction":0}]}}`, minimalJSON, `"TotalRows":1,`, 200},
		"a quote":    {`{"request":{"Querytext":"Title:o'neil"}}`, plainJSON, `"TotalRows":0,`, 200},
		"no text":    {`{"request":{"RowLimit":2}}`, plainJSON, "querytext is missing", 400},
		"no request": {`{"Querytext":"a"}`, plainJSON, "querytext is missing", 400},
		"bad start":  {`{"request":{"Querytext":"a","StartRow":50001}}`, plainJSON, "startrow is out of range", 400},
		"bad type":   {`{"request":{"Querytext":["a"]}}`, plainJSON, "cannot be read", 400},
		"no JSON":    {`querytext='a'`, plainJSON, "cannot be read", 400},
	} {
		r := send(t, w.Client(), http.MethodPost, w.SharePointSite()+"/_api/search/postquery", c.body,
			map[string]string{"Authorization": "Bearer " + raw, "Accept": c.accept, "Content-Type": "application/json"})
		if r.status != c.status || !strings.Contains(r.body, c.has) {
			t.Errorf("%s: %d %.700s", name, r.status, r.body)
		}
	}
	r := sharePoint(t, w, sim.AppSharePoint, http.MethodPost, w.SharePointSite()+"/_api/search/query?querytext='a'", "", nil)
	if r.status != http.StatusMethodNotAllowed {
		t.Errorf("POST to query: %d", r.status)
	}
}
