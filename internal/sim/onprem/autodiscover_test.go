package onprem_test

import (
	"encoding/json"
	"encoding/xml"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/internal/sim/onprem"
)

const (
	poxURL  = "https://autodiscover.contoso.example/Autodiscover/Autodiscover.xml"
	soapURL = "https://exch01.corp.test/autodiscover/autodiscover.svc"
)

func poxBody(address string) string {
	return `<Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"><Request><EMailAddress>` + address +
		`</EMailAddress><AcceptableResponseSchema>http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a</AcceptableResponseSchema></Request></Autodiscover>`
}

// pox asks for the settings of an address, as the administrator.
func pox(t *testing.T, w *onprem.World, url, body string) answer {
	t.Helper()
	return ask(t, w, http.MethodPost, url, onprem.Admin, onprem.AdminPassword, map[string]string{"Content-Type": "text/xml; charset=utf-8"}, body)
}

// issued has a certificate that names Autodiscover and the load balancer, too.
func issued(faults ...string) onprem.Options { return onprem.Options{Issued: true, Faults: faults} }

func TestPOX(t *testing.T) {
	t.Parallel()
	w, _ := start(t, issued())
	for body, want := range map[string]string{
		poxBody("alice@contoso.example"):                                      "<EwsUrl>https://exch01.corp.test/EWS/Exchange.asmx</EwsUrl>",
		poxBody("ALICE.ADAMS@contoso.example"):                                "<AutoDiscoverSMTPAddress>alice@contoso.example</AutoDiscoverSMTPAddress>",
		poxBody("exadmin@corp.test"):                                          "<ServerVersion>73C28A02</ServerVersion>",
		poxBody("ghost@contoso.example"):                                      "<ErrorCode>500</ErrorCode>",
		poxBody("svcnomailbox@corp.test"):                                     "<ErrorCode>500</ErrorCode>",
		poxBody("bob@corp.test"):                                              "<Action>redirectAddr</Action>",
		strings.Replace(poxBody("alice@contoso.example"), "2006a", "2006", 1): "<ErrorCode>601</ErrorCode>",
		"<Autodiscover/>":                                                     "<ErrorCode>600</ErrorCode>",
		"junk":                                                                "<ErrorCode>600</ErrorCode>",
		"":                                                                    "<ErrorCode>600</ErrorCode>",
	} {
		a := pox(t, w, poxURL, body)
		if a.status != http.StatusOK || !strings.Contains(a.body, want) || xml.Unmarshal([]byte(a.body), new(struct{})) != nil {
			t.Errorf("%s: %d %s, want %s", body, a.status, a.body, want)
		}
	}
	if a := pox(t, w, "https://AUTODISCOVER.corp.test/AUTODISCOVER/autodiscover.XML", poxBody("alice@contoso.example")); !strings.Contains(a.body, "EwsUrl") {
		t.Errorf("other case: %d", a.status)
	}
}

func TestSOAPAutodiscover(t *testing.T) {
	t.Parallel()
	w, _ := start(t, onprem.Options{})
	const action = "http://schemas.microsoft.com/exchange/2010/Autodiscover/Autodiscover/GetUserSettings"
	message := func(action, version, address string) string {
		return `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" xmlns:a="http://schemas.microsoft.com/exchange/2010/Autodiscover" xmlns:wsa="http://www.w3.org/2005/08/addressing"><s:Header>` + version +
			`<wsa:Action>` + action + `</wsa:Action></s:Header><s:Body><a:GetUserSettingsRequestMessage><a:Request><a:Users><a:User><a:Mailbox>` + address +
			`</a:Mailbox></a:User></a:Users><a:RequestedSettings><a:Setting>ExternalEwsUrl</a:Setting><a:Setting>PublicFolderInformation</a:Setting></a:RequestedSettings></a:Request></a:GetUserSettingsRequestMessage></s:Body></s:Envelope>`
	}
	const version = `<a:RequestedServerVersion>Exchange2016</a:RequestedServerVersion>`
	for _, c := range []struct {
		body   string
		status int
		want   string
	}{
		{message(action, version, "alice@contoso.example"), 200, "<Value>https://exch01.corp.test/EWS/Exchange.asmx</Value>"},
		{message(action, version, "alice@contoso.example"), 200, "<ErrorCode>SettingIsNotAvailable</ErrorCode>"},
		{message(action, version, "ghost@contoso.example"), 200, "<ErrorCode>InvalidUser</ErrorCode>"},
		{message(action, version, "bob@corp.test"), 200, "<ErrorCode>RedirectAddress</ErrorCode>"},
		{message(action, "", "alice@contoso.example"), 200, "<ErrorCode>InvalidRequest</ErrorCode>"},
		{message("urn:other", version, "alice@contoso.example"), 500, "ActionNotSupported"},
		{"junk", 500, "Fault"},
	} {
		a := pox(t, w, soapURL, c.body)
		if a.status != c.status || !strings.Contains(a.body, c.want) {
			t.Errorf("%.120s: %d %s, want %s", c.body, a.status, a.body, c.want)
		}
	}
}

func TestJSONAutodiscover(t *testing.T) {
	t.Parallel()
	w, _ := start(t, onprem.Options{})
	for _, c := range []struct {
		path   string
		status int
		want   string
	}{
		{"/autodiscover/autodiscover.json/v1.0/alice@contoso.example?Protocol=EWS&RedirectCount=3", 200, `{"Protocol":"EWS","Url":"https://exch01.corp.test/EWS/Exchange.asmx"}`},
		{"/Autodiscover/Autodiscover.json?Email=alice%40contoso.example&protocol=Ews", 200, `{"Protocol":"Ews","Url":"https://exch01.corp.test/EWS/Exchange.asmx"}`},
		{"/autodiscover/autodiscover.json?Email=alice@contoso.example&Protocol=AutodiscoverV1", 200, `{"Protocol":"AutodiscoverV1","Url":"https://exch01.corp.test/Autodiscover/Autodiscover.xml"}`},
		{"/autodiscover/autodiscover.json?Email=alice@contoso.example", 400, "MandatoryParameterMissing"},
		{"/autodiscover/autodiscover.json?Protocol=EWS", 400, "MandatoryParameterMissing"},
		{"/autodiscover/autodiscover.json?Email=alice@contoso.example&Protocol=IMAP", 400, "InvalidProtocol"},
		{"/autodiscover/autodiscover.json?Email=ghost@contoso.example&Protocol=EWS", 404, "UserNotFound"},
		{"/autodiscover/autodiscover.json/v9.0/alice@contoso.example?Protocol=EWS", 404, ""},
	} {
		a := ask(t, w, http.MethodGet, "https://exch01.corp.test"+c.path, "", "", nil, "")
		if a.status != c.status || !strings.Contains(a.body, c.want) {
			t.Errorf("%s: %d %s", c.path, a.status, a.body)
		}
		if c.status < 404 && !json.Valid([]byte(a.body)) {
			t.Errorf("%s: no JSON: %s", c.path, a.body)
		}
	}
	old, _ := start(t, onprem.Options{Version: "2013"})
	if a := ask(t, old, http.MethodGet, "https://exch01.corp.test/autodiscover/autodiscover.json?Email=alice@contoso.example&Protocol=EWS", "", "", nil, ""); a.status != http.StatusNotFound {
		t.Errorf("Exchange 2013: %d", a.status)
	}
	if n := w.FailedSignIns(); n != 0 {
		t.Errorf("%d sign-ins", n)
	}
}

func TestFaultsOfAutodiscover(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fault  string
		status int
		want   string
	}{
		{"autodiscover-401", 401, ""},
		{"autodiscover-error=603", 200, "<ErrorCode>603</ErrorCode>"},
		{"autodiscover-loop", 200, "<RedirectAddr>alice@corp.test</RedirectAddr>"},
		{"autodiscover-url-loop", 200, "<RedirectUrl>" + poxURL + "</RedirectUrl>"},
		{"autodiscover-chain=1", 200, "<RedirectUrl>" + poxURL + "?hop=1</RedirectUrl>"},
		{"autodiscover-to-http", 200, "<RedirectUrl>http://exch01.corp.test/Autodiscover/Autodiscover.xml</RedirectUrl>"},
		{"autodiscover-to-foreign", 200, "<RedirectUrl>https://autodiscover.fabrikam.example/Autodiscover/Autodiscover.xml</RedirectUrl>"},
		{"autodiscover-deep", 200, "<a><a><a>"},
		{"autodiscover-bomb", 200, "<!DOCTYPE"},
		{"autodiscover-garbage", 200, "It works!"},
		{"load-balancer-name", 200, "<EwsUrl>https://mail.corp.test/EWS/Exchange.asmx</EwsUrl>"},
		{"no-autodiscover", 404, ""},
	} {
		w, _ := start(t, issued(c.fault))
		a := pox(t, w, poxURL, poxBody("alice@contoso.example"))
		if a.status != c.status || !strings.Contains(a.body, c.want) {
			t.Errorf("%s: %d %.600s", c.fault, a.status, a.body)
		}
	}
	w, _ := start(t, issued("autodiscover-huge"))
	if a := pox(t, w, poxURL, poxBody("alice@contoso.example")); len(a.body) < 64<<20 {
		t.Errorf("autodiscover-huge: %d bytes", len(a.body))
	}
	if err := w.ClearFault("autodiscover-huge"); err != nil {
		t.Error(err)
	}
	if a := pox(t, w, poxURL, poxBody("alice@contoso.example")); !strings.Contains(a.body, "EwsUrl") {
		t.Errorf("without faults: %d %s", a.status, a.body)
	}
}

func TestChainEnds(t *testing.T) {
	t.Parallel()
	w, _ := start(t, issued("autodiscover-chain=3"))
	url := poxURL
	for hop := range 5 {
		a := pox(t, w, url, poxBody("alice@contoso.example"))
		var parsed struct {
			URL string `xml:"Response>Account>RedirectUrl"`
			EWS string `xml:"Response>Account>Protocol>EwsUrl"`
		}
		if err := xml.Unmarshal([]byte(a.body), &parsed); err != nil {
			t.Fatal(err)
		}
		if parsed.EWS != "" {
			if hop != 3 {
				t.Errorf("after %d hops", hop)
			}
			return
		}
		url = parsed.URL
	}
	t.Error("no end")
}

func TestPortEighty(t *testing.T) {
	t.Parallel()
	w, _ := start(t, onprem.Options{})
	for _, c := range []struct {
		method, url string
		status      int
		location    string
	}{
		{http.MethodGet, "http://autodiscover.contoso.example/autodiscover/autodiscover.xml", 302, "https://autodiscover.corp.test/autodiscover/autodiscover.xml"},
		{http.MethodGet, "http://exch01.corp.test/autodiscover/autodiscover.xml", 403, ""},
		{http.MethodPost, "http://exch01.corp.test/EWS/Exchange.asmx", 403, ""},
		{http.MethodGet, "http://exch01.corp.test/", 403, ""},
		{http.MethodGet, "http://exch01.corp.test/other", 404, ""},
		{http.MethodPost, "http://exch01.corp.test/PowerShell/", 401, ""},
		{http.MethodGet, "https://exch01.corp.test/", 302, "https://exch01.corp.test/owa/"},
		{http.MethodGet, "https://exch01.corp.test/nothing", 404, ""},
	} {
		a := ask(t, w, c.method, c.url, "", "", nil, "")
		if a.status != c.status || a.header.Get("Location") != c.location {
			t.Errorf("%s: %d %s", c.url, a.status, a.header.Get("Location"))
		}
	}
	for fault, location := range map[string]string{"autodiscover-to-http": "http://exch01.corp.test/autodiscover/autodiscover.xml", "autodiscover-to-foreign": "https://autodiscover.fabrikam.example/autodiscover/autodiscover.xml"} {
		if err := w.SetFault(fault); err != nil {
			t.Fatal(err)
		}
		if a := ask(t, w, http.MethodGet, "http://autodiscover.corp.test/Autodiscover/Autodiscover.xml", "", "", nil, ""); a.header.Get("Location") != location {
			t.Errorf("%s: %d %s", fault, a.status, a.header.Get("Location"))
		}
		if err := w.ClearFault(fault); err != nil {
			t.Fatal(err)
		}
	}
	if slices.ContainsFunc(w.Requests("/"), func(r onprem.Request) bool { return r.Scheme != "" }) {
		t.Error("a request without credentials is noted as one with some")
	}
}
