package autodiscover_test

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/internal/autodiscover"
	"github.com/c2conn/c2conn/internal/transport"
)

// try runs a search in which one host answers one body, and checks what must hold
// whatever it is.
func try(t *testing.T, form, body string) {
	t.Helper()
	anonymous := trip(func(r *http.Request) (*http.Response, error) {
		switch {
		case r.URL.Scheme != "https" && r.URL.Host != "autodiscover.contoso.example":
			t.Errorf("asked %s", r.URL)
		case r.URL.Host != "contoso.example":
		case form == "json" && strings.Contains(r.URL.Path, "/autodiscover.json"):
			return response(r, 200, body)
		case strings.HasSuffix(r.URL.Path, ".xml"):
			return response(r, 401, "")
		}
		return response(r, 404, "")
	})
	signedIn := trip(func(r *http.Request) (*http.Response, error) {
		if r.URL.Scheme != "https" || r.URL.Hostname() != "contoso.example" && !strings.HasSuffix(r.URL.Hostname(), ".contoso.example") {
			t.Errorf("signed in at %s", r.URL)
		}
		if strings.HasSuffix(strings.ToLower(r.URL.Path), "."+form) {
			return response(r, 200, body)
		}
		return response(r, 404, "")
	})
	r, err := autodiscover.Find(t.Context(), autodiscover.Options{
		Address: address, Anonymous: &http.Client{Transport: anonymous}, SignedIn: &http.Client{Transport: signedIn},
		Resolver: &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
		}},
		Listen: func(a autodiscover.Attempt) {
			if strings.ContainsAny(a.Text, "\x00\x1b\r\n") || a.Outcome == "" {
				t.Errorf("%+v", a)
			}
		},
	})
	if err != nil {
		return
	}
	u, err := url.Parse(r.EWS)
	if err != nil || !strings.EqualFold(u.Scheme, "https") || u.Hostname() == "" || u.User != nil || strings.ContainsAny(r.EWS+r.Server+r.Version, "\x00\x1b\r\n") {
		t.Errorf("%+v, %v", r, err)
	}
	if host := strings.ToLower(strings.TrimSuffix(u.Hostname(), ".")); host != "contoso.example" && !strings.HasSuffix(host, ".contoso.example") {
		t.Errorf("%s is a host of another domain", r.EWS)
	}
}

// clean checks what a parser made of a body.
func clean(t *testing.T, parse func([]byte) ([]string, error), body []byte) {
	t.Helper()
	texts, err := parse(body)
	some := false
	for _, s := range texts {
		if s != transport.CleanText(s, 4<<10) || len(s) > 4<<10 {
			t.Errorf("not clean: %q", s)
		}
		some = some || s != ""
	}
	if some == (err != nil) {
		t.Errorf("%q, %v", texts, err)
	}
}

var (
	poxSeeds = []string{
		poxSettings(exch(inside) + expr(outside)), poxError("600", "Invalid Request"), poxAnswer(`<Action>redirectAddr</Action><RedirectAddr>bob@contoso.example</RedirectAddr>`),
		poxAnswer(`<Action>redirectUrl</Action><RedirectUrl>https://mail.contoso.example/autodiscover/autodiscover.xml</RedirectUrl>`),
		poxSettings(`<Protocol><Type>WEB</Type><Internal><Protocol><Type>EXCH</Type><ASUrl>` + inside + `</ASUrl></Protocol></Internal></Protocol>`), "<!DOCTYPE a>", "<a", "",
	}
	soapSeeds = []string{
		soapSettings(inside, outside), soapAnswer(`<ErrorCode>ServerBusy</ErrorCode>`), soapUser(`<ErrorCode>RedirectAddress</ErrorCode><RedirectTarget>bob@contoso.example</RedirectTarget>`),
		soapUser(`<ErrorCode>NoError</ErrorCode><UserSettingErrors><UserSettingError><ErrorCode>SettingIsNotAvailable</ErrorCode><SettingName>ExternalEwsUrl</SettingName></UserSettingError></UserSettingErrors>`),
		`<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault><faultcode>s:Client</faultcode><faultstring>no</faultstring></s:Fault></s:Body></s:Envelope>`,
	}
	jsonSeeds = []string{jsonAnswer(outside), `{"ErrorCode":"UserNotFound","ErrorMessage":"x"}`, `[]`, `{"Protocol":"EWS","Url":"https://user@evil.example/"}`, `{"protocol":"ews","url":"HTTPS://contoso.example:443/"}`}
)

func fuzz(f *testing.F, seeds []string, parse func([]byte) ([]string, error)) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) { clean(t, parse, body) })
}

func FuzzPOX(f *testing.F)  { fuzz(f, poxSeeds, autodiscover.ParsePOX) }
func FuzzSOAP(f *testing.F) { fuzz(f, soapSeeds, autodiscover.ParseSOAP) }
func FuzzJSON(f *testing.F) { fuzz(f, jsonSeeds, autodiscover.ParseJSON) }

// FuzzSearch gives the answer to a whole search. Its goroutines make the coverage vary:
// run it with -fuzzminimizetime=1x.
func FuzzSearch(f *testing.F) {
	for form, seeds := range map[string][]string{"xml": poxSeeds, "svc": soapSeeds, "json": jsonSeeds} {
		for _, s := range seeds {
			f.Add(form, s)
		}
	}
	f.Fuzz(func(t *testing.T, form, body string) {
		switch form {
		case "xml", "svc", "json":
			try(t, form, body)
		}
	})
}
