package autodiscover_test

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/internal/autodiscover"
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

func FuzzPOX(f *testing.F) {
	for _, s := range []string{
		poxSettings(exch(inside) + expr(outside)), poxError("600", "Invalid Request"), poxAnswer(`<Action>redirectAddr</Action><RedirectAddr>bob@contoso.example</RedirectAddr>`),
		poxAnswer(`<Action>redirectUrl</Action><RedirectUrl>https://mail.contoso.example/autodiscover/autodiscover.xml</RedirectUrl>`),
		poxSettings(`<Protocol><Type>WEB</Type><Internal><Protocol><Type>EXCH</Type><ASUrl>` + inside + `</ASUrl></Protocol></Internal></Protocol>`), "<!DOCTYPE a>", "<a", "",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) { try(t, "xml", body) })
}

func FuzzSOAP(f *testing.F) {
	for _, s := range []string{
		soapSettings(inside, outside), soapAnswer(`<ErrorCode>ServerBusy</ErrorCode>`), soapUser(`<ErrorCode>RedirectAddress</ErrorCode><RedirectTarget>bob@contoso.example</RedirectTarget>`),
		soapUser(`<ErrorCode>NoError</ErrorCode><UserSettingErrors><UserSettingError><ErrorCode>SettingIsNotAvailable</ErrorCode><SettingName>ExternalEwsUrl</SettingName></UserSettingError></UserSettingErrors>`),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) { try(t, "svc", body) })
}

func FuzzJSON(f *testing.F) {
	for _, s := range []string{jsonAnswer(outside), `{"ErrorCode":"UserNotFound","ErrorMessage":"x"}`, `[]`, `{"Protocol":"EWS","Url":"https://user@evil.example/"}`, `{"protocol":"ews","url":"HTTPS://contoso.example:443/"}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) { try(t, "json", body) })
}
