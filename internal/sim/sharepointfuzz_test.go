package sim

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func FuzzClientQuery(f *testing.F) {
	const head = `<Request SchemaVersion="15.0.0.0" LibraryVersion="16.0.0.0" xmlns="` + csomNS + `">`
	f.Add([]byte(head + `<Actions><ObjectPath Id="4" ObjectPathId="3"/><Query Id="5" ObjectPathId="3"><Query SelectAllProperties="true"><Properties/></Query></Query></Actions><ObjectPaths><Constructor Id="3" TypeId="` + typeTenant + `"/></ObjectPaths></Request>`))
	f.Add([]byte(head + `<Actions><ObjectIdentityQuery Id="9" ObjectPathId="3"/></Actions><ObjectPaths><Method Id="3" ParentId="1" Name="GetSitePropertiesFromSharePointByFilters"><Parameters><Parameter TypeId="` + typeSiteFilter + `"><Property Name="Filter" Type="String">Url -like 'a' -and Owner -ne b</Property><Property Name="StartIndex" Type="Null"/></Parameter></Parameters></Method><Constructor Id="1" TypeId="` + typeTenant + `"/></ObjectPaths></Request>`))
	f.Add([]byte(head + `<Actions/><ObjectPaths><Property Id="1" ParentId="1" Name="a"/></ObjectPaths></Request>`))
	f.Add([]byte(`<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>`))
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	w := &World{TenantID: "1", options: Options{Now: func() time.Time { return now }}, start: now, faults: faultSet{active: map[string]*activeFault{}}, names: map[service]string{serviceSharePoint: "https://127.0.0.1:1"}}
	q := spRequest{request: &request{world: w, id: "id"}, host: sharePointHost{geo: w.geos()[0], use: hostAdmin, suffix: localSharePoint}, who: accessClaims{Roles: []string{tenantRole}}}
	q.site, _ = w.siteAt(q.host, "")
	f.Fuzz(func(t *testing.T, data []byte) {
		query, err := parseCSOM(data)
		if err != nil {
			return
		}
		for _, a := range query.actions {
			object, err := w.resolve(q, query, a.pathID, 0)
			if err != nil {
				continue
			}
			result, err := pick(object, a.query, a.children)
			if err != nil {
				continue
			}
			if _, err := json.Marshal(result); err != nil {
				t.Error(err)
			}
		}
	})
}

func FuzzSearch(f *testing.F) {
	f.Add("querytext='contentclass:STS_Site'&trimduplicates=false&rowlimit=500&startrow=0&selectproperties='Title,Path'")
	f.Add(`querytext='(a OR "b c") NOT Title:x* -y'&rowlimit='7'`)
	f.Add("querytext='''")
	f.Add("querytext='a OR'")
	f.Add("%zz")
	f.Add("querytext='IndexDocId>5 IndexDocId<=7 -IndexDocId:6'")
	f.Add(`{"request":{"Querytext":"a","SelectProperties":{"results":["Path"]},"RowLimit":"5","StartRow":2}}`)
	f.Fuzz(func(t *testing.T, raw string) {
		q, err := parseSearch(raw)
		if strings.HasPrefix(raw, "{") {
			q, err = parsePostQuery([]byte(raw))
		}
		if err != nil {
			return
		}
		if len(q.clauses) == 0 || q.rows > largestRows || q.start < 0 || q.start > lastRow {
			t.Errorf("%q: %+v", raw, q)
		}
		of := func(property string) (string, bool) {
			value, ok := map[string]string{"title": "a", "path": "https://contoso.sharepoint.com", indexDocID: "7"}[property]
			return value, ok
		}
		for _, c := range q.clauses {
			if len(c.terms) == 0 {
				t.Errorf("%q: a clause without terms", raw)
			}
			c.holds(of)
		}
	})
}

func FuzzSiteFilter(f *testing.F) {
	f.Add("Url -like 'project' -and Template -eq \"GROUP#0\"")
	f.Add(" -and ")
	f.Add("Owner -notlike '*a*'")
	f.Fuzz(func(t *testing.T, text string) {
		fits, err := parseSiteFilter(text)
		if err != nil {
			return
		}
		if fits(func(property string) string { return map[string]string{"Url": "a"}[property] }) && strings.Contains(text, "Url -eq b") {
			t.Errorf("%q fits", text)
		}
	})
}
