package sharepoint_test

import (
	"encoding/xml"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/internal/sim/onprem/sharepoint"
)

const (
	service  = "http://schemas.microsoft.com/sharepoint/soap/"
	sitedata = "https://" + host + "/_vti_bin/SiteData.asmx"
)

var (
	soap11 = map[string]string{"Content-Type": "text/xml; charset=utf-8", "SOAPAction": `"` + service + `GetContent"`}
	soap12 = map[string]string{"Content-Type": "application/soap+xml; charset=utf-8"}
)

func envelope(namespace, operation, inner string) string {
	return `<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="` + namespace + `"><s:Body><` + operation + ` xmlns="` + service + `">` + inner + `</` + operation + `></s:Body></s:Envelope>`
}

func content(kind, id string) string {
	return envelope("http://schemas.xmlsoap.org/soap/envelope/", "GetContent", `<objectType>`+kind+`</objectType><objectId>`+id+`</objectId><retrieveChildItems>true</retrieveChildItems><securityOnly>false</securityOnly>`)
}

// result is the text in GetContentResult.
func result(t *testing.T, a *sharepoint.Answer) string {
	t.Helper()
	var e struct {
		Result *string `xml:"Body>GetContentResponse>GetContentResult"`
		Fault  string  `xml:"Body>Fault>detail>errorstring"`
	}
	if err := xml.Unmarshal(a.Body, &e); err != nil || e.Result == nil || a.Status != http.StatusOK {
		t.Fatalf("%d %v %s", a.Status, err, a.Body)
	}
	return *e.Result
}

var reference = regexp.MustCompile(`&#([0-9]|1[0-9]|2[0-9]|3[01]);`)

// listed reads all site collections as a crawler does.
func listed(t *testing.T, f *sharepoint.Farm) (sites []string, databases int) {
	t.Helper()
	var server struct {
		Metadata struct {
			URL string `xml:"URL,attr"`
		}
		Databases []struct {
			ID string `xml:"ID,attr"`
		} `xml:"ContentDatabases>ContentDatabase"`
		Policies []struct {
			LoginName string `xml:"LoginName,attr"`
			GrantMask uint64 `xml:"GrantMask,attr"`
		} `xml:"Policies>PolicyUser"`
	}
	text := reference.ReplaceAllString(result(t, ask(t, f, admin, http.MethodPost, sitedata, soap11, content("VirtualServer", ""))), "?")
	if err := xml.Unmarshal([]byte(text), &server); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	if len(server.Policies) < 2 || server.Policies[1].LoginName != `i:0#.w|corp\spadmin` || server.Policies[1].GrantMask != 9223372036854775807 {
		t.Errorf("%+v", server)
	}
	for _, d := range server.Databases {
		var database struct {
			Metadata struct {
				ID string `xml:"ID,attr"`
			}
			Sites []struct {
				URL string `xml:"URL,attr"`
			} `xml:"Sites>Site"`
		}
		text := reference.ReplaceAllString(result(t, ask(t, f, admin, http.MethodPost, sitedata, soap11, content("ContentDatabase", d.ID))), "?")
		if err := xml.Unmarshal([]byte(text), &database); err != nil || database.Metadata.ID != d.ID {
			t.Fatalf("%v in %s", err, text)
		}
		for _, s := range database.Sites {
			sites = append(sites, s.URL)
		}
	}
	return sites, len(server.Databases)
}

func TestSiteCollections(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fault     string
		count     int
		n, bases  int
		has, lack string
	}{
		{"", 0, 12, 3, "https://sharepoint.corp.test", "https://team.corp.test"},
		{"", 1, 1, 3, "https://sharepoint.corp.test", ""},
		{"", 20000, 20000, 5, "https://sharepoint.corp.test/teams/site20000", ""},
		{"sp-no-root", 0, 11, 3, "https://sharepoint.corp.test/sites/hr", "https://sharepoint.corp.test"},
		{"sp-no-sites", 0, 0, 3, "", "https://sharepoint.corp.test"},
		{"sp-host-named", 0, 15, 3, "https://team.corp.test", ""},
		{"sp-foreign", 0, 14, 3, "https://sharepoint.fabrikam.example/sites/partners", ""},
		{"sp-aam", 0, 12, 3, "https://portal.contoso.example/sites/hr", "https://sharepoint.corp.test"},
		{"sp-hostile", 0, 17, 3, "https://sharepoint.corp.test/sites/unit?separator", ""},
	} {
		f := farm(t, sharepoint.Options{Sites: c.count}, c.fault)
		sites, bases := listed(t, f)
		if len(sites) != c.n || f.SiteCollections() != c.n || bases != c.bases || c.has != "" && !slices.Contains(sites, c.has) || slices.Contains(sites, c.lack) {
			t.Errorf("%+v: %d in %d databases: %.400q", c, len(sites), bases, sites)
		}
		slices.Sort(sites)
		if len(slices.Compact(sites)) != c.n {
			t.Errorf("%+v: some twice", c)
		}
	}
}

func TestReproducible(t *testing.T) {
	t.Parallel()
	one, two := farm(t, sharepoint.Options{}), farm(t, sharepoint.Options{})
	a := result(t, ask(t, one, admin, http.MethodPost, sitedata, soap11, content("SiteCollection", "")))
	if b := result(t, ask(t, two, admin, http.MethodPost, sitedata, soap11, content("SiteCollection", ""))); a != b {
		t.Errorf("%s\n%s", a, b)
	}
	if !strings.Contains(a, "&#31;") || !strings.Contains(a, `RootWebId="{`) || !strings.Contains(a, `Title="Contoso Intranet"`) {
		t.Error(a)
	}
}

func TestSiteDataRefuses(t *testing.T) {
	t.Parallel()
	const accessDenied = "E_ACCESSDENIED"
	other := func(operation, inner string) (map[string]string, string) {
		return map[string]string{"Content-Type": "text/xml", "SOAPAction": service + operation}, envelope("http://schemas.xmlsoap.org/soap/envelope/", operation, inner)
	}
	for _, c := range []struct {
		fault, who, url string
		header          map[string]string
		body            string
		status          int
		has             string
	}{
		{"", reader, sitedata, soap11, content("VirtualServer", ""), 500, accessDenied},
		{"", nobody, sitedata, soap11, content("VirtualServer", ""), 500, accessDenied},
		{"sp-sitedata-denied", admin, sitedata, soap11, content("VirtualServer", ""), 500, accessDenied},
		{"", admin, sitedata, soap11, content("ContentDatabase", "{00000000-0000-0000-0000-000000000000}"), 500, "expected range"},
		{"", admin, sitedata, soap11, content("List", ""), 500, "SoapServerException"},
		{"", admin, sitedata, soap11, content("Nonsense", ""), 500, "not a valid value for ObjectType"},
		{"", admin, sitedata, soap11, strings.Replace(content("VirtualServer", ""), ">true<", ">perhaps<", 1), 500, "Boolean"},
		{"", admin, sitedata, map[string]string{"Content-Type": "text/xml"}, content("VirtualServer", ""), 500, "valid action parameter"},
		{"", admin, sitedata, map[string]string{"Content-Type": "text/xml", "SOAPAction": "urn:x"}, content("VirtualServer", ""), 500, "did not recognize"},
		{"", admin, sitedata, map[string]string{"Content-Type": "application/json"}, "{}", 415, ""},
		{"", admin, sitedata, soap11, "", 500, "Server was unable to read request"},
		{"", admin, sitedata, soap11, "<a/>", 500, "Server was unable to read request"},
		{"", admin, sitedata, soap12, content("VirtualServer", ""), 500, "Server was unable to read request"}, // the envelope of another version
		{"", reader, sitedata, soap12, envelope("http://www.w3.org/2003/05/soap-envelope", "GetContent", "<objectType>VirtualServer</objectType>"), 500, "<soap:Value>soap:Receiver</soap:Value>"},
		{"", admin, sitedata, soap12, envelope("http://www.w3.org/2003/05/soap-envelope", "GetContent", "<objectType>VirtualServer</objectType>"), 200, "GetContentResult"},
		{"", admin, "https://" + host + "/sites/hr/_vti_bin/sitedata.asmx", soap11, content("VirtualServer", ""), 200, "ContentDatabases"},
		{"", admin, "https://" + host + "/sites/none/_vti_bin/sitedata.asmx", soap11, content("VirtualServer", ""), 404, ""},
		{"sp-no-root", admin, sitedata, soap11, content("SiteCollection", ""), 404, ""},
		{"sp-no-root-services", admin, sitedata, soap11, content("VirtualServer", ""), 404, ""},
		{"sp-no-sitedata", admin, sitedata, soap11, content("VirtualServer", ""), 404, ""},
		{"sp-garbage", admin, sitedata, soap11, content("VirtualServer", ""), 200, "}{"},
		{"sp-bomb", admin, sitedata, soap11, content("VirtualServer", ""), 200, "&lt;!ENTITY"},
		{"sp-deep", admin, sitedata, soap11, content("VirtualServer", ""), 200, "&lt;a&gt;&lt;a&gt;"},
		{"", admin, "http://" + host + ":34567/_vti_bin/SiteData.asmx", soap11, content("VirtualServer", ""), 200, "http://sharepoint.corp.test:34567/"},
		{"", reader, "http://" + host + ":34567/_vti_bin/SiteData.asmx", soap11, content("VirtualServer", ""), 500, accessDenied},
	} {
		a := ask(t, farm(t, sharepoint.Options{}, c.fault), c.who, http.MethodPost, c.url, c.header, c.body)
		if a.Status != c.status || !strings.Contains(string(a.Body), c.has) {
			t.Errorf("%s %s %s %.40s: %d %.600s", c.fault, c.who, c.url, c.body, a.Status, a.Body)
		}
		if a.Status == 500 {
			if err := xml.Unmarshal(a.Body, new(struct{})); err != nil {
				t.Errorf("%v: %s", err, a.Body)
			}
		}
	}
	f := farm(t, sharepoint.Options{})
	for _, c := range []struct{ operation, inner, has string }{
		{"GetSiteUrl", "<Url>https://sharepoint.corp.test/sites/hr/Lists/a</Url>", "<siteUrl>https://sharepoint.corp.test/sites/hr</siteUrl>"},
		{"GetSiteUrl", "<Url>https://elsewhere.example/</Url>", "could not be found"},
		{"GetURLSegments", "<strURL>https://sharepoint.corp.test/sites/hr</strURL>", "<GetURLSegmentsResult>true<"},
		{"GetURLSegments", "<strURL>https://sharepoint.corp.test/sites/none</strURL>", "<GetURLSegmentsResult>false<"},
		{"GetWeb", "", "did not recognize"},
	} {
		header, body := other(c.operation, c.inner)
		if a := ask(t, f, admin, http.MethodPost, sitedata, header, body); !strings.Contains(string(a.Body), c.has) {
			t.Errorf("%+v: %s", c, a.Body)
		}
	}
	if a := ask(t, f, admin, http.MethodGet, sitedata+"?WSDL", nil, ""); xml.Unmarshal(a.Body, new(struct{})) != nil || !strings.Contains(string(a.Body), `location="`+sitedata+`"`) {
		t.Errorf("%s", a.Body)
	}
	if a := ask(t, f, admin, http.MethodGet, sitedata, nil, ""); !strings.Contains(string(a.Body), "operations are supported") {
		t.Errorf("%s", a.Body)
	}
}

func TestBrokenDatabase(t *testing.T) {
	t.Parallel()
	f := farm(t, sharepoint.Options{}, "sp-database-broken")
	text := result(t, ask(t, f, admin, http.MethodPost, sitedata, soap11, content("VirtualServer", "")))
	broken := 0
	for _, m := range regexp.MustCompile(`ContentDatabase ID="([^"]*)"`).FindAllStringSubmatch(text, -1) {
		if a := ask(t, f, admin, http.MethodPost, sitedata, soap11, content("ContentDatabase", m[1])); a.Status != http.StatusOK {
			if broken++; !strings.Contains(string(a.Body), "Cannot open database") {
				t.Errorf("%s", a.Body)
			}
		}
	}
	if broken != 1 {
		t.Errorf("%d are broken: %s", broken, text)
	}
}

// FuzzSiteData never panics and always answers XML.
func FuzzSiteData(fz *testing.F) {
	fz.Add("text/xml", service+"GetContent", content("VirtualServer", ""))
	fz.Add("application/soap+xml; action=\"x\"", "", envelope("http://www.w3.org/2003/05/soap-envelope", "GetContent", ""))
	fz.Add("text/xml", service+"GetSiteUrl", envelope("http://schemas.xmlsoap.org/soap/envelope/", "GetSiteUrl", "<Url>https://sharepoint.corp.test//</Url>"))
	f := farm(fz, sharepoint.Options{})
	fz.Fuzz(func(t *testing.T, kind, action, body string) {
		a := ask(t, f, admin, http.MethodPost, sitedata, map[string]string{"Content-Type": kind, "SOAPAction": action}, body)
		if a.Status != http.StatusOK && a.Status != http.StatusInternalServerError && a.Status != http.StatusUnsupportedMediaType {
			t.Errorf("%d", a.Status)
		}
		if len(a.Body) > 0 && !strings.HasPrefix(string(a.Body), "<?xml") {
			t.Errorf("%.200s", a.Body)
		}
	})
}
