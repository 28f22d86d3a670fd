package sharepoint_test

import (
	"encoding/json"
	"encoding/xml"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/sim/onprem/sharepoint"
)

const (
	admin  = `CORP\spadmin`
	reader = `CORP\reader`
	nobody = `CORP\anna`
	host   = "sharepoint.corp.test"
)

// farm makes a farm with faults switched on.
func farm(t testing.TB, o sharepoint.Options, faults ...string) *sharepoint.Farm {
	t.Helper()
	used := 0
	o.Host, o.CentralPort, o.Public, o.HostNamed, o.Foreign = host, 34567, "portal.contoso.example", []string{"team.corp.test", "projects.corp.test", "press.contoso.example"}, "sharepoint.fabrikam.example"
	if o.Now == nil {
		o.Now = func() time.Time { return time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC) }
	}
	o.Rand = rand.NewChaCha8([32]byte{7})
	o.Fault = func(name string) bool { return slices.Contains(faults, name) }
	o.Strikes = func(_ string, usual int) bool { used++; return used <= usual }
	o.People = []sharepoint.Person{
		{Login: `CORP\spfarm`, System: true, FarmAdministrator: true, Policy: sharepoint.FullControl, SID: "S-1-5-21-1-2-3-1107"},
		{Login: admin, Name: "SharePoint Admin", Mail: "spadmin@contoso.example", SID: "S-1-5-21-1-2-3-1090", FarmAdministrator: true, Policy: sharepoint.FullControl, SiteAdministrator: true},
		{Login: reader, Name: "Rita Reader", Reader: true},
	}
	f, err := sharepoint.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// ask sends a request for somebody who has signed in. The URL's port 34567 is Central
// Administration's.
func ask(t testing.TB, f *sharepoint.Farm, who, method, url string, header map[string]string, body string) *sharepoint.Answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range header {
		r.Header.Set(key, value)
	}
	q := &sharepoint.Request{Request: r, Secure: r.URL.Scheme == "https", Host: strings.ToLower(r.URL.Hostname()), ID: "id", Central: r.URL.Port() == "34567", Body: []byte(body), Login: who, Offers: []string{"NTLM"}}
	if a := f.Open(q); a != nil {
		return a
	}
	return f.Serve(q)
}

func get(t testing.TB, f *sharepoint.Farm, who, url, accept string) *sharepoint.Answer {
	t.Helper()
	header := map[string]string{}
	if accept != "" {
		header["Accept"] = accept
	}
	return ask(t, f, who, http.MethodGet, url, header, "")
}

func reads(t testing.TB, body []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(body, into); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
}

// written is a header that is written as SharePoint does, not as Go's keys are.
func written(h http.Header, name string) string {
	for key, values := range h {
		if key == name {
			return values[0]
		}
	}
	return ""
}

const noMetadata = "application/json;odata=nometadata"

func TestFormats(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ fault, accept, kind, has string }{
		{"", "", "application/atom+xml;type=entry;charset=utf-8", "<m:properties><d:Title>Contoso Intranet</d:Title></m:properties>"},
		{"", "*/*", "application/atom+xml;type=entry;charset=utf-8", "<d:Title>Contoso"},
		{"", "application/json", "application/json;odata=minimalmetadata;streaming=true;charset=utf-8", `"odata.editLink":"Web","Title":"Contoso Intranet"}`},
		{"", "application/json;odata=verbose", "application/json;odata=verbose;charset=utf-8", `"type":"SP.Web"},"Title":"Contoso Intranet"}}`},
		{"", "application/json; odata=NoMetadata", "application/json;odata=nometadata;streaming=true;charset=utf-8", `{"Title":"Contoso Intranet"}`},
		{"", "application/json;odata=fullmetadata", "application/json;odata=fullmetadata;streaming=true;charset=utf-8", `"odata.type":"SP.Web"`},
		{"sp-verbose-only", "application/json;odata=verbose", "application/json;odata=verbose;charset=utf-8", `"Title":"Contoso Intranet"`},
		{"sp-verbose-only", noMetadata, "application/xml;charset=utf-8", "The HTTP header ACCEPT is missing or its value is invalid."},
		{"sp-verbose-only", "application/json", "application/xml;charset=utf-8", "<m:error"},
		{"", "application/json;odata=unheard-of", "application/xml;charset=utf-8", "<m:error"},
	} {
		a := get(t, farm(t, sharepoint.Options{}, c.fault), admin, "https://"+host+"/_api/web?$select=Title", c.accept)
		if a.Header.Get("Content-Type") != c.kind || !strings.Contains(string(a.Body), c.has) {
			t.Errorf("%s %q: %d %v\n%s", c.fault, c.accept, a.Status, a.Header, a.Body)
		}
		if refused := strings.Contains(c.has, "error") || strings.Contains(c.has, "invalid"); refused != (a.Status == http.StatusNotAcceptable) {
			t.Errorf("%s %q: status %d", c.fault, c.accept, a.Status)
		}
	}
}

// All answers are well-formed in all formats.
func TestEveryFormatIsWellFormed(t *testing.T) {
	t.Parallel()
	f := farm(t, sharepoint.Options{})
	for _, path := range []string{"/_api/web", "/_api/site", "/_api/web/currentuser", "/_api/web/title", "/_api/site/rootweb/url", "/_api/web/nothing", "/_api/web?$select=Nothing", "/_api/search/query?querytext='contentclass:STS_Site'", "/sites/hr/_api/web", "/_api/lists"} {
		for _, who := range []string{admin, nobody} {
			for _, as := range []string{"verbose", "minimalmetadata", "fullmetadata", "nometadata"} {
				if a := get(t, f, who, "https://"+host+path, "application/json;odata="+as); !json.Valid(a.Body) {
					t.Errorf("%s %s %s: %s", path, who, as, a.Body)
				}
			}
			a := get(t, f, who, "https://"+host+path, "")
			if err := xml.Unmarshal(a.Body, new(struct{})); err != nil {
				t.Errorf("%s %s: %v: %s", path, who, err, a.Body)
			}
		}
	}
}

func TestWhatIsThere(t *testing.T) {
	t.Parallel()
	const sp, ca = "https://" + host, "http://" + host + ":34567"
	for _, c := range []struct {
		fault, who, url string
		status          int
		has             string
	}{
		{"", admin, sp + "/_api/web?$select=Title,Url", 200, `{"Title":"Contoso Intranet","Url":"https://sharepoint.corp.test"}`},
		{"", admin, sp + "/sites/RD/_api/web?$select=Title,Url", 200, `{"Title":"Research & Development","Url":"https://sharepoint.corp.test/sites/rd"}`},
		{"", admin, sp + "/_api/site?$select=Url,PrimaryUri", 200, `"PrimaryUri":"https://sharepoint.corp.test/"`},
		{"", admin, sp + "/_api/web/currentuser?$select=LoginName,IsSiteAdmin", 200, `{"LoginName":"i:0#.w|corp\\spadmin","IsSiteAdmin":true}`},
		{"", `CORP\spfarm`, sp + "/_api/web/currentuser?$select=LoginName", 200, `SHAREPOINT\\system`},
		{"", reader, sp + "/_api/web/currentuser?$select=IsSiteAdmin", 200, `false`},
		{"", reader, sp + "/sites/finance/_api/web", 403, "-2147024891, System.UnauthorizedAccessException"},
		{"", nobody, sp + "/_api/web", 403, "odata.error"},
		{"", admin, sp + "/sites/none/_api/web", 404, "404 FILE NOT FOUND"},
		{"", admin, sp + "/sites/_api/web", 404, ""},
		{"", admin, sp + "/sites/hr/sub/_api/web", 404, ""},
		{"", admin, sp + "/_api/web?$select=Title,Bogus", 400, "The field or property 'Bogus' does not exist."},
		{"", admin, sp + "/_api/bogus", 404, "ResourceNotFoundException"},
		{"", admin, sp + "/_vti_bin/lists.asmx", 404, ""},
		{"", admin, sp + "/", 200, "<title>Contoso Intranet</title>"},
		{"", admin, sp + "/sites/hr/SitePages/Home.aspx", 200, "Human Resources"},
		{"", admin, sp + "/nothing.aspx", 404, ""},
		{"", nobody, sp + "/sites/hr", 302, ""},
		{"", nobody, sp + "/sites/hr/_layouts/15/AccessDenied.aspx", 200, "Sorry"},
		{"", admin, ca + "/_api/web?$select=Title,WebTemplate,Url", 200, `"WebTemplate":"CENTRALADMIN","Url":"http://sharepoint.corp.test:34567"`},
		{"", reader, ca + "/_api/web", 403, "Access denied"},
		{"", nobody, ca + "/_api/web", 403, "Access denied"},
		{"ca-not-central", admin, ca + "/_api/web?$select=WebTemplate", 200, `"STS"`},
		{"ca-denied", admin, ca + "/_api/web", 403, "Access denied"},
		{"ca-denied", admin, ca + "/", 403, "403 FORBIDDEN"},
		{"ca-401", admin, ca + "/_api/web", 401, "401 UNAUTHORIZED"},
		{"ca-401", admin, sp + "/_api/web", 200, ""},
		{"sp-401", admin, sp + "/_api/web", 401, "401 UNAUTHORIZED"},
		{"sp-403", admin, sp + "/_api/web", 403, "Access denied"},
		{"sp-500", admin, sp + "/_api/web", 500, "Runtime Error"},
		{"sp-500", admin, ca + "/_api/web", 200, ""},
		{"sp-no-root", admin, sp + "/_api/web", 404, ""},
		{"sp-no-root", admin, sp + "/", 404, ""},
		{"sp-no-root", admin, sp + "/sites/hr/_api/web", 200, ""},
		{"sp-no-sites", admin, sp + "/sites/hr/_api/web", 404, ""},
		{"sp-aam", admin, sp + "/_api/web?$select=Url", 200, `"https://portal.contoso.example"`},
		{"sp-aam", admin, "https://portal.contoso.example/sites/hr/_api/web?$select=Url", 200, `"https://portal.contoso.example/sites/hr"`},
		{"", admin, "https://sharepoint/_api/web?$select=Url", 200, `"https://sharepoint.corp.test"`},
		{"sp-host-named", admin, "https://team.corp.test/_api/web?$select=Title,Url", 200, `"Url":"https://team.corp.test"`},
		{"sp-host-named", admin, "https://team.corp.test/sites/hr/_api/web", 404, ""},
		{"sp-foreign", admin, "https://sharepoint.fabrikam.example/sites/partners/_api/web?$select=Url", 200, "https://sharepoint.fabrikam.example/sites/partners"},
		{"", admin, "https://sharepoint.fabrikam.example/_api/web", 404, ""},
		{"sp-garbage", admin, sp + "/_api/web", 200, "}{<<<"},
		{"sp-bomb", admin, sp + "/_api/web", 200, "<!ENTITY"},
		{"sp-redirect-http", admin, sp + "/_api/web?a=b", 302, ""},
	} {
		a := get(t, farm(t, sharepoint.Options{}, c.fault), c.who, c.url, noMetadata)
		if a.Status != c.status || !strings.Contains(string(a.Body), c.has) {
			t.Errorf("%s %s %s: %d %.300s", c.fault, c.who, c.url, a.Status, a.Body)
		}
		if a.Status == http.StatusUnauthorized && a.Header.Get("WWW-Authenticate") != "NTLM" {
			t.Errorf("%s: %v", c.fault, a.Header)
		}
	}
	if a := get(t, farm(t, sharepoint.Options{}, "sp-redirect-http"), admin, sp+"/_api/web?a=b", ""); a.Header.Get("Location") != "http://sharepoint.corp.test/_api/web?a=b" {
		t.Errorf("%v", a.Header)
	}
	if a := get(t, farm(t, sharepoint.Options{}), nobody, sp+"/sites/hr", ""); !strings.Contains(a.Header.Get("Location"), "/sites/hr/_layouts/15/AccessDenied.aspx?Source=") {
		t.Errorf("%v", a.Header)
	}
}

func TestHugeAndDeep(t *testing.T) {
	t.Parallel()
	if a := get(t, farm(t, sharepoint.Options{}, "sp-huge"), admin, "https://"+host+"/_api/web", noMetadata); len(a.Body) < 64<<20 || !json.Valid(a.Body) {
		t.Errorf("%d bytes", len(a.Body))
	}
	if a := get(t, farm(t, sharepoint.Options{}, "sp-deep"), admin, "https://"+host+"/_api/web", noMetadata); strings.Count(string(a.Body), "[") != 100_000 {
		t.Errorf("%d bytes", len(a.Body))
	}
}

func TestBusy(t *testing.T) {
	t.Parallel()
	for version, status := range map[string]int{"SE": http.StatusTooManyRequests, "2019": http.StatusServiceUnavailable} {
		f := farm(t, sharepoint.Options{Version: version}, "sp-busy")
		for i := range 3 {
			a := get(t, f, admin, "https://"+host+"/_api/web", noMetadata)
			if want := status; i < 2 && (a.Status != want || a.Header.Get("Retry-After") != "1") || i == 2 && a.Status != http.StatusOK {
				t.Errorf("%s, answer %d: %d %v", version, i, a.Status, a.Header)
			}
		}
	}
}

func TestContextInfo(t *testing.T) {
	t.Parallel()
	for version, build := range map[string]string{"": "16.0.14326.20450", "2019": "16.0.10337.12109", "2016": "16.0.4351.1000", "2013": "15.0.4569.1506"} {
		f := farm(t, sharepoint.Options{Version: version})
		var got struct{ LibraryVersion, FormDigestValue, WebFullUrl string }
		a := ask(t, f, admin, http.MethodPost, "https://"+host+"/sites/hr/_api/contextinfo", map[string]string{"Accept": noMetadata}, "")
		reads(t, a.Body, &got)
		if got.LibraryVersion != build || got.WebFullUrl != "https://sharepoint.corp.test/sites/hr" || !strings.HasPrefix(got.FormDigestValue, "0x") {
			t.Errorf("%q: %+v", version, got)
		}
		h := http.Header{}
		f.Greet(h, "abc")
		numbers := strings.Split(build, ".")
		if want := numbers[0] + ".0.0." + numbers[2]; written(h, "MicrosoftSharePointTeamServices") != want {
			t.Errorf("%v, want %s", h, want)
		}
	}
	f := farm(t, sharepoint.Options{Version: "SE"}, "sp-verbose-only")
	var got struct {
		D struct {
			GetContextWebInformation struct{ LibraryVersion string }
		}
	}
	reads(t, ask(t, f, admin, http.MethodPost, "https://"+host+"/_api/contextinfo", map[string]string{"Accept": "application/json;odata=verbose"}, "").Body, &got)
	if got.D.GetContextWebInformation.LibraryVersion != "15.0.4420.1017" {
		t.Errorf("%+v", got)
	}
	if a := get(t, f, admin, "https://"+host+"/_api/contextinfo", ""); a.Status != http.StatusBadRequest {
		t.Errorf("GET: %d", a.Status)
	}
	if a := ask(t, f, admin, http.MethodPost, "https://"+host+"/_api/web", nil, ""); a.Status != http.StatusForbidden {
		t.Errorf("POST: %d", a.Status)
	}
}

func TestProvidersBesideWindows(t *testing.T) {
	t.Parallel()
	accepted := map[string]string{"X-FORMS_BASED_AUTH_ACCEPTED": "f", "Accept": noMetadata}
	for _, c := range []struct {
		fault, path string
		header      map[string]string
		status      int
		location    string
	}{
		{"sp-forms", "/_api/web", accepted, 200, ""},
		{"sp-forms", "/_api/web", nil, 403, ""},
		{"sp-forms", "/_api/web", map[string]string{"User-Agent": "Mozilla/5.0"}, 302, "/_login/default.aspx?ReturnUrl="},
		{"sp-forms", "/_login/default.aspx", nil, 200, ""},
		{"sp-forms", "/_windows/default.aspx", nil, 200, ""},
		{"sp-saml-only", "/_api/web", accepted, 403, ""},
		{"sp-saml-only", "/", map[string]string{"User-Agent": "Mozilla/5.0"}, 302, "/_trust/default.aspx?"},
		{"sp-saml-only", "/_trust/default.aspx", nil, 302, "https://adfs.corp.test/adfs/ls/"},
	} {
		a := ask(t, farm(t, sharepoint.Options{}, c.fault), admin, http.MethodGet, "https://"+host+c.path, c.header, "")
		if a.Status != c.status || !strings.Contains(a.Header.Get("Location"), c.location) {
			t.Errorf("%+v: %d %v", c, a.Status, a.Header)
		}
		if c.status == http.StatusForbidden && !strings.HasPrefix(written(a.Header, "X-Forms_Based_Auth_Required"), "https://sharepoint.corp.test/_") {
			t.Errorf("%+v: %v", c, a.Header)
		}
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	base := sharepoint.Options{Host: host, Now: time.Now, Rand: rand.NewChaCha8([32]byte{})}
	for _, change := range []func(*sharepoint.Options){
		func(o *sharepoint.Options) { o.Version = "2010" }, func(o *sharepoint.Options) { o.Sites = -1 }, func(o *sharepoint.Options) { o.Now = nil },
	} {
		o := base
		change(&o)
		if _, err := sharepoint.New(o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
	names := map[string]bool{}
	for _, f := range sharepoint.Faults() {
		if names[f.Name] || f.Help == "" || !strings.HasPrefix(f.Name, "sp-") && !strings.HasPrefix(f.Name, "ca-") {
			t.Errorf("%+v", f)
		}
		names[f.Name] = true
	}
}
