package sim_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/sim"
)

// The queries of two clients of the admin centre: the tenant's settings, and a page
// of its sites.
const (
	tenantQuery = `<Request AddExpandoFieldTypeSuffix="true" SchemaVersion="15.0.0.0" LibraryVersion="16.0.0.0" ApplicationName="test" xmlns="http://schemas.microsoft.com/sharepoint/clientquery/2009">` +
		`<Actions><ObjectPath Id="4" ObjectPathId="3" /><Query Id="5" ObjectPathId="3"><Query SelectAllProperties="true"><Properties /></Query></Query></Actions>` +
		`<ObjectPaths><Constructor Id="3" TypeId="{268004ae-ef6b-4e9b-8425-127220d84719}" /></ObjectPaths></Request>`
	sitesQuery = `<Request AddExpandoFieldTypeSuffix="true" SchemaVersion="15.0.0.0" LibraryVersion="16.0.0.0" ApplicationName="test" xmlns="http://schemas.microsoft.com/sharepoint/clientquery/2009">` +
		`<Actions><ObjectPath Id="2" ObjectPathId="1" /><ObjectPath Id="4" ObjectPathId="3" /><Query Id="5" ObjectPathId="3"><Query SelectAllProperties="true"><Properties /></Query>` +
		`<ChildItemQuery SelectAllProperties="true"><Properties /></ChildItemQuery></Query></Actions><ObjectPaths><Constructor Id="1" TypeId="{268004ae-ef6b-4e9b-8425-127220d84719}" />` +
		`<Method Id="3" ParentId="1" Name="GetSitePropertiesFromSharePointByFilters"><Parameters><Parameter TypeId="{b92aeee2-c92c-4b67-abcc-024e471bc140}"><Property Name="Filter" Type="String">FILTER</Property>` +
		`<Property Name="IncludeDetail" Type="Boolean">false</Property><Property Name="IncludePersonalSite" Type="Enum">PERSONAL</Property><Property Name="StartIndex" Type="String">START</Property>` +
		`<Property Name="Template" Type="String">TEMPLATE</Property></Parameter></Parameters></Method></ObjectPaths></Request>`
)

func sitesQueryFor(filter, personal, start, template string) string {
	return strings.NewReplacer("FILTER", filter, "PERSONAL", personal, "START", start, "TEMPLATE", template).Replace(sitesQuery)
}

type csomFailure struct {
	ErrorMessage, ErrorTypeName, TraceCorrelationID string
	ErrorCode                                       int
}

type csomPage struct {
	Type  string  `json:"_ObjectType_"`
	Next  *string `json:"NextStartIndexFromSharePoint"`
	Items []struct {
		Title, URL, Template, LockState, ArchiveStatus string
	} `json:"_Child_Items_"`
}

// csom sends a client query with a fresh digest and returns the last result.
func csom(t *testing.T, w *sim.World, app, query string) (json.RawMessage, *csomFailure) {
	t.Helper()
	digest, _ := sharePoint(t, w, app, http.MethodPost, w.SharePointAdmin()+"/_api/contextinfo", "", nil).json(t)["FormDigestValue"].(string)
	return csomWith(t, w, app, query, map[string]string{"X-RequestDigest": digest})
}

func csomWith(t *testing.T, w *sim.World, app, query string, header map[string]string) (json.RawMessage, *csomFailure) {
	t.Helper()
	r := sharePoint(t, w, app, http.MethodPost, w.SharePointAdmin()+"/_vti_bin/client.svc/ProcessQuery", query, header)
	var list []json.RawMessage
	var first struct{ ErrorInfo *csomFailure }
	if err := json.Unmarshal([]byte(r.body), &list); err != nil || r.status != 200 || len(list) == 0 || json.Unmarshal(list[0], &first) != nil {
		t.Fatalf("%d %.300s %v", r.status, r.body, err)
	}
	if first.ErrorInfo != nil && len(list) != 1 {
		t.Errorf("an error and results: %s", r.body)
	}
	return list[len(list)-1], first.ErrorInfo
}

func TestContextInfo(t *testing.T) {
	t.Parallel()
	w := start(t)
	address := w.SharePointAdmin() + "/_api/contextinfo"
	for accept, has := range map[string]string{
		plainJSON:   `{"FormDigestTimeoutSeconds":1800,"FormDigestValue":"0x`,
		minimalJSON: `"odata.metadata":"` + w.SharePointAdmin() + `/_api/$metadata#SP.ContextWebInformation"`,
		verboseJSON: `{"d":{"GetContextWebInformation":{"__metadata":{"type":"SP.ContextWebInformation"},"FormDigestTimeoutSeconds":1800,`,
		"":          `m:type="SP.ContextWebInformation"><d:FormDigestTimeoutSeconds m:type="Edm.Int32">1800</d:FormDigestTimeoutSeconds><d:FormDigestValue>0x`,
	} {
		r := sharePoint(t, w, sim.AppSharePoint, http.MethodPost, address, "", map[string]string{"Accept": accept})
		if r.status != 200 || !strings.Contains(r.body, has) {
			t.Errorf("%s: %d %s", accept, r.status, r.body)
		}
	}
}

func TestDigests(t *testing.T) {
	t.Parallel()
	clock := newClock()
	w := startWith(t, sim.Options{Now: clock.now})
	bearer := map[string]string{} // got before the clock moves: the assertion for one is good for minutes only
	for _, host := range []string{w.SharePointSite(), w.SharePointAdmin()} {
		bearer[host] = "Bearer " + spToken(t, w, sim.AppSharePoint, host)
	}
	take := func(host string) string {
		digest, _ := sharePoint(t, w, sim.AppSharePoint, http.MethodPost, host+"/_api/contextinfo", "", map[string]string{"Authorization": bearer[host]}).json(t)["FormDigestValue"].(string)
		return digest
	}
	good := take(w.SharePointAdmin())
	clock.add(29 * time.Minute)
	for name, c := range map[string]struct {
		digest string
		code   int
	}{"good": {good, 0}, "none": {"", -2146232832}, "of another site": {take(w.SharePointSite()), -2130575251}, "nonsense": {"0xAB", -2130575251},
		"another time": {good[:strings.IndexByte(good, ',')] + ",01 Jan 2030 00:00:00 -0000", -2130575251}} {
		_, failure := csomWith(t, w, sim.AppSharePoint, tenantQuery, map[string]string{"X-RequestDigest": c.digest, "Authorization": bearer[w.SharePointAdmin()]})
		if c.code == 0 && failure != nil || c.code != 0 && (failure == nil || failure.ErrorCode != c.code || !strings.Contains(failure.ErrorMessage, "security validation")) {
			t.Errorf("%s: %+v", name, failure)
		}
	}
	clock.add(2 * time.Minute)
	if _, failure := csomWith(t, w, sim.AppSharePoint, tenantQuery, map[string]string{"X-RequestDigest": good, "Authorization": bearer[w.SharePointAdmin()]}); failure == nil || failure.ErrorCode != -2130575252 {
		t.Errorf("expired: %+v", failure)
	}
}

func TestTenantSites(t *testing.T) {
	t.Parallel()
	w := start(t, "sites=700")
	for _, c := range []struct {
		name, filter, personal, template string
		want                             int
		each                             func(title, url, template string) bool
	}{
		{"all but OneDrives", "", "0", "", 493, func(_, _, template string) bool { return template != "SPSPERS#10" }},
		{"all", "", "1", "", 700, nil},
		{"without OneDrives", "", "2", "", 493, nil},
		{"OneDrives", "", "0", "SPSPERS#10", 207, func(_, url, _ string) bool { return strings.Contains(url, "contoso-my.") }},
		{"one kind", "", "0", "STS#3", 71, nil},
		{"like", "Url -like 'sites/hr'", "0", "", 1, func(title, _, _ string) bool { return title == "Human Resources" }},
		{"two conditions", "Template -eq 'STS#3' -and LockState -ne Unlock", "0", "", 2, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			seen, start, pages := map[string]bool{}, "0", 0
			for more := true; more; pages++ {
				raw, failure := csom(t, w, sim.AppSharePoint, sitesQueryFor(c.filter, c.personal, start, c.template))
				var page csomPage
				if err := json.Unmarshal(raw, &page); err != nil || failure != nil || !strings.HasSuffix(page.Type, ".SPOSitePropertiesEnumerable") {
					t.Fatalf("%v %+v %.300s", err, failure, raw)
				}
				for _, s := range page.Items {
					if seen[s.URL] || c.each != nil && !c.each(s.Title, s.URL, s.Template) {
						t.Errorf("%+v", s)
					}
					seen[s.URL] = true
				}
				if more = page.Next != nil; more {
					start = *page.Next
				}
			}
			if len(seen) != c.want || pages != (c.want+299)/300 {
				t.Errorf("%d sites on %d pages", len(seen), pages)
			}
		})
	}
}

func TestClientQueries(t *testing.T) {
	t.Parallel()
	w := start(t)
	raw, failure := csom(t, w, sim.AppSharePoint, tenantQuery)
	if failure != nil || !strings.Contains(string(raw), `"_ObjectType_":"Microsoft.Online.SharePoint.TenantAdministration.Tenant"`) || !strings.Contains(string(raw), w.SharePointSite()) {
		t.Errorf("%+v %s", failure, raw)
	}
	for _, name := range []string{"HideDefaultThemes", "SharingDomainRestrictionMode", "ODBMembersCanShare", "ShowEveryoneClaim", "ConditionalAccessPolicy", "DisallowInfectedFileDownload"} {
		if !strings.Contains(string(raw), `"`+name+`":`) {
			t.Errorf("the tenant has no %s", name)
		}
	}
	one := strings.Replace(tenantQuery, `SelectAllProperties="true"><Properties />`, `SelectAllProperties="false"><Properties><Property Name="RootSiteUrl" ScalarProperty="true" /></Properties>`, 1)
	var object map[string]any
	if raw, failure = csom(t, w, sim.AppSharePoint, one); failure != nil || json.Unmarshal(raw, &object) != nil || len(object) != 3 || object["RootSiteUrl"] != w.SharePointSite() {
		t.Errorf("%+v %s", failure, raw)
	}
	for detail, has := range map[string]string{"false": `"OwnerEmail":null,"OwnerName":null,`, "true": `"OwnerEmail":"` + sim.Mailbox + `","OwnerName":"`} {
		raw, failure = csom(t, w, sim.AppSharePoint, strings.Replace(sitesQueryFor("Url -like sites/hr", "0", "", ""), ">false<", ">"+detail+"<", 1))
		if webs := map[string]string{"false": `"WebsCount":0`, "true": `"WebsCount":1`}[detail]; failure != nil || !strings.Contains(string(raw), has) || !strings.Contains(string(raw), webs) {
			t.Errorf("IncludeDetail=%s: %+v %s", detail, failure, raw)
		}
	}
	for name, c := range map[string]struct{ query, message string }{
		"no XML":              {"{}", "cannot be read"},
		"empty":               {"", "cannot be read"},
		"a document type":     {"<!DOCTYPE a>" + tenantQuery, "document type"},
		"another namespace":   {strings.Replace(tenantQuery, "/2009", "/2010", 1), "namespace"},
		"no version":          {strings.Replace(tenantQuery, "SchemaVersion", "Schema", 1), "SchemaVersion"},
		"no such path":        {strings.Replace(tenantQuery, `Id="5" ObjectPathId="3"`, `Id="5" ObjectPathId="9"`, 1), "object path"},
		"an id twice":         {strings.Replace(tenantQuery, `Id="5"`, `Id="4"`, 1), "action id"},
		"unknown type":        {strings.Replace(tenantQuery, "268004ae", "368004ae", 1), "Cannot find stub"},
		"unknown property":    {strings.Replace(one, "RootSiteUrl", "Nonsense", 1), "Nonsense"},
		"unknown method":      {strings.Replace(sitesQueryFor("", "0", "0", ""), "GetSitePropertiesFromSharePointByFilters", "GetEverything", 1), "GetEverything"},
		"another filter type": {strings.Replace(sitesQueryFor("", "0", "0", ""), "b92aeee2", "a92aeee2", 1), "Incorrect parameters"},
		"no number":           {sitesQueryFor("", "many", "0", ""), "Enum"},
		"no truth":            {strings.Replace(sitesQueryFor("", "0", "0", ""), ">false<", ">perhaps<", 1), "Boolean"},
		"bad filter":          {sitesQueryFor("Title -eq 'x'", "0", "0", ""), "filter is not valid"},
		"bad index":           {sitesQueryFor("", "0", "SPSiteQuery,nowhere", ""), "start index"},
		"a loop":              {strings.Replace(sitesQueryFor("", "0", "0", ""), `ParentId="1"`, `ParentId="3"`, 1), "cannot be resolved"},
		"another action":      {strings.Replace(tenantQuery, `<ObjectPath Id="4" ObjectPathId="3" />`, `<Method Id="4" ObjectPathId="3" Name="RemoveSite" />`, 1), "not supported"},
	} {
		if _, failure := csom(t, w, sim.AppSharePoint, c.query); failure == nil || !strings.Contains(failure.ErrorMessage, c.message) || failure.ErrorTypeName == "" || failure.ErrorCode != -1 {
			t.Errorf("%s: %+v", name, failure)
		}
	}
	if r := sharePoint(t, w, sim.AppSharePoint, http.MethodGet, w.SharePointAdmin()+"/_vti_bin/client.svc/ProcessQuery", "", nil); r.status != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", r.status)
	}
}

// TestSatelliteAdmin: the admin centre of a geography knows that geography only.
func TestSatelliteAdmin(t *testing.T) {
	t.Parallel()
	w := start(t, "multi-geo")
	address := strings.Replace(w.SharePointAdmin(), "contoso-admin", "contosoeur-admin", 1)
	digest, _ := sharePoint(t, w, sim.AppSharePoint, http.MethodPost, address+"/_api/contextinfo", "", nil).json(t)["FormDigestValue"].(string)
	r := sharePoint(t, w, sim.AppSharePoint, http.MethodPost, address+"/_vti_bin/client.svc/ProcessQuery", sitesQueryFor("", "1", "", ""), map[string]string{"X-RequestDigest": digest})
	if strings.Count(r.body, `"Url":"https://contosoeur`) != 12 || strings.Contains(r.body, `"Url":"https://contoso.`) {
		t.Errorf("%d %.500s", r.status, r.body)
	}
}
