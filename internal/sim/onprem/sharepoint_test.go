package onprem_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/sim/onprem"
	"github.com/c2conn/c2conn/internal/sim/onprem/binding"
	"github.com/c2conn/c2conn/internal/sim/onprem/sharepoint"
)

const (
	farmURL    = "https://sharepoint.corp.test"
	centralURL = "http://sharepoint.corp.test:34567"
	farmSPN    = "HTTP/sharepoint.corp.test"
	titleOnly  = "/_api/web?$select=Title,WebTemplate"
)

var (
	plainJSON = map[string]string{"Accept": "application/json;odata=nometadata"}
	getVS     = `<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body><GetContent xmlns="http://schemas.microsoft.com/sharepoint/soap/"><objectType>VirtualServer</objectType><retrieveChildItems>false</retrieveChildItems><securityOnly>false</securityOnly></GetContent></soap:Body></soap:Envelope>`
	soapVS    = map[string]string{"Content-Type": "text/xml; charset=utf-8", "SOAPAction": `"http://schemas.microsoft.com/sharepoint/soap/GetContent"`}
)

func TestFarmByNTLM(t *testing.T) {
	t.Parallel()
	w, _ := start(t, onprem.Options{})
	for _, c := range []struct {
		name, password, method, url string
		header                      map[string]string
		body                        string
		status                      int
		has                         string
	}{
		{"", "", http.MethodGet, farmURL + titleOnly, plainJSON, "", 401, "401 UNAUTHORIZED"},
		{onprem.FarmAdmin, "wrong", http.MethodGet, farmURL + titleOnly, plainJSON, "", 401, "invalid credentials"},
		{onprem.FarmAdmin, onprem.FarmAdminPassword, http.MethodGet, farmURL + titleOnly, plainJSON, "", 200, `{"Title":"Contoso Intranet","WebTemplate":"STS"}`},
		{`CORP\spadmin`, onprem.FarmAdminPassword, http.MethodGet, centralURL + titleOnly, plainJSON, "", 200, `{"Title":"Central Administration","WebTemplate":"CENTRALADMIN"}`},
		{onprem.Farm, onprem.FarmPassword, http.MethodGet, centralURL + titleOnly, plainJSON, "", 200, "CENTRALADMIN"},
		{onprem.Reader, onprem.ReaderPassword, http.MethodGet, centralURL + titleOnly, plainJSON, "", 403, "Access denied"},
		{onprem.Reader, onprem.ReaderPassword, http.MethodGet, farmURL + titleOnly, plainJSON, "", 200, "Contoso Intranet"},
		{onprem.Admin, onprem.AdminPassword, http.MethodGet, farmURL + titleOnly, plainJSON, "", 403, "Access denied"},
		{onprem.FarmAdmin, onprem.FarmAdminPassword, http.MethodPost, farmURL + "/_vti_bin/SiteData.asmx", soapVS, getVS, 200, "&lt;ContentDatabase ID="},
		{onprem.Reader, onprem.ReaderPassword, http.MethodPost, farmURL + "/_vti_bin/SiteData.asmx", soapVS, getVS, 500, "E_ACCESSDENIED"},
		{onprem.FarmAdmin, onprem.FarmAdminPassword, http.MethodGet, "https://sharepoint/sites/hr" + titleOnly, plainJSON, "", 200, "Human Resources"},
		{onprem.FarmAdmin, onprem.FarmAdminPassword, http.MethodGet, "https://press.contoso.example" + titleOnly, plainJSON, "", 200, "Contoso Intranet"},
	} {
		a := ask(t, w, c.method, c.url, c.name, c.password, c.header, c.body)
		if a.status != c.status || !strings.Contains(a.body, c.has) || a.header.Get("MicrosoftSharePointTeamServices") != "16.0.0.14326" || a.header.Get("SPRequestGuid") == "" || a.header.Get("SPRequestGuid") != a.header.Get("request-id") {
			t.Errorf("%s %s: %d %v %s", c.name, c.url, a.status, a.header, a.body)
		}
		if offers := a.header.Values("WWW-Authenticate"); c.status == 401 && !slices.Equal(offers, []string{"NTLM"}) {
			t.Errorf("%s %s: %q", c.name, c.url, offers)
		}
	}
	counters := w.Counters().Requests
	for _, name := range []string{"sharepoint sign-in", "sharepoint web", "sharepoint sitedata VirtualServer", "central administration sign-in", "central administration web"} {
		if counters[name] == 0 {
			t.Errorf("%s is not in %v", name, counters)
		}
	}
	if r := w.Requests("/_api"); r[len(r)-1].URL != "https://press.contoso.example"+titleOnly {
		t.Errorf("%+v", r[len(r)-1])
	}
	if i := slices.IndexFunc(w.Requests(""), func(r onprem.Request) bool { return r.URL == centralURL+titleOnly && r.Status == 200 }); i < 0 {
		t.Error("the port of Central Administration is not recorded")
	}
}

// The address of the web application and of Central Administration under each fault that
// moves them, and what else is at their ports.
func TestFarmPorts(t *testing.T) {
	t.Parallel()
	const refused = "refused"
	for _, c := range []struct {
		faults      []string
		sp, central string
		tell        map[string]string // by URL: a part of the answer, or "refused"
	}{
		{nil, farmURL, centralURL, map[string]string{"http://sharepoint.corp.test/": refused, "http://sharepoint.corp.test:34568/": refused, "https://sharepoint.corp.test:8443/": refused, "http://sharepoint:81/": refused, "https://sharepoint.corp.test:34567/": "TLS"}},
		{[]string{"sp-http"}, "http://sharepoint.corp.test", centralURL, map[string]string{farmURL + "/": refused}},
		{[]string{"ca-https"}, farmURL, "https://sharepoint.corp.test:34567", map[string]string{centralURL: "EOF"}},
		{[]string{"ca-self-signed"}, farmURL, "https://sharepoint.corp.test:34567", nil},
		{[]string{"sp-redirect-http"}, farmURL, centralURL, map[string]string{farmURL + "/": "302"}},
	} {
		w, _ := start(t, with(c.faults...))
		if w.SharePointURL() != c.sp || w.CentralAdminURL() != c.central {
			t.Errorf("%v: %s %s", c.faults, w.SharePointURL(), w.CentralAdminURL())
		}
		if !slices.Contains(c.faults, "sp-redirect-http") {
			if a := ask(t, w, http.MethodGet, c.sp+titleOnly, onprem.FarmAdmin, onprem.FarmAdminPassword, plainJSON, ""); a.status != http.StatusOK {
				t.Errorf("%v: %d %s", c.faults, a.status, a.body)
			}
		}
		if a := ask(t, w, http.MethodGet, c.central+titleOnly, onprem.FarmAdmin, onprem.FarmAdminPassword, plainJSON, ""); a.status != http.StatusOK || !strings.Contains(a.body, "CENTRALADMIN") {
			t.Errorf("%v: %d %s", c.faults, a.status, a.body)
		}
		for url, want := range c.tell {
			got := ""
			res, err := w.Client().Get(url) //nolint:noctx // on loopback
			switch {
			case errors.Is(err, syscall.ECONNREFUSED):
				got = refused
			case errors.Is(err, io.EOF), err != nil && strings.Contains(err.Error(), "reset"):
				got = "EOF"
			case err != nil && (strings.Contains(err.Error(), "TLS handshake") || strings.Contains(err.Error(), "HTTP response to HTTPS client")):
				got = "TLS"
			case err == nil:
				got = res.Status
				_ = res.Body.Close()
			}
			if !strings.Contains(got, want) || got == "" {
				t.Errorf("%v: %s: %s, %v", c.faults, url, got, err)
			}
		}
	}
}

func TestFarmCertificates(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fault, host, port string
		trusted           bool
	}{
		{"", "sharepoint.corp.test", "443", true},
		{"", "portal.contoso.example", "443", true},
		{"", "team.corp.test", "443", true},
		{"", "sharepoint.fabrikam.example", "443", true},
		{"sp-self-signed", "sharepoint.corp.test", "443", false},
		{"ca-https", "sharepoint.corp.test", "34567", true},
		{"ca-self-signed", "sharepoint.corp.test", "34567", false},
		{"ca-self-signed", "sharepoint.corp.test", "443", true},
	} {
		w, _ := start(t, onprem.Options{})
		if c.fault != "" {
			if err := w.SetFault(c.fault); err != nil {
				t.Fatal(err)
			}
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(w.Authority())
		raw, err := w.Dial(t.Context(), "tcp", c.host+":"+c.port)
		if err != nil {
			t.Fatal(err)
		}
		conn := tls.Client(raw, &tls.Config{ServerName: c.host, RootCAs: roots, MinVersion: tls.VersionTLS12})
		err = conn.HandshakeContext(t.Context())
		if (err == nil) != c.trusted {
			t.Errorf("%+v: %v", c, err)
		}
		_ = conn.Close()
	}
	w, _ := start(t, with("sp-self-signed"))
	block, _ := pem.Decode(w.SharePointCertificate())
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil || leaf.CheckSignature(leaf.SignatureAlgorithm, leaf.RawTBSCertificate, leaf.Signature) != nil || leaf.VerifyHostname("sharepoint.corp.test") != nil || len(w.SharePointFingerprint()) != 64 {
		t.Errorf("%v %v", leaf, err)
	}
}

func TestFarmByKerberos(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fault, url string
		offers     []string
		status     int
	}{
		{"", farmURL, []string{"NTLM"}, 401},
		{"sp-kerberos", farmURL, []string{"Negotiate", "NTLM"}, 200},
		{"sp-kerberos-wrong-account", farmURL, []string{"Negotiate", "NTLM"}, 401},
		{"sp-basic", farmURL, []string{"NTLM", `Basic realm="sharepoint.corp.test"`}, 401},
		{"sp-kerberos", centralURL, []string{"NTLM"}, 401},
		{"ca-kerberos", centralURL, []string{"Negotiate", "NTLM"}, 200},
	} {
		w, _ := start(t, onprem.Options{})
		if c.fault != "" {
			if err := w.SetFault(c.fault); err != nil {
				t.Fatal(err)
			}
		}
		a := ask(t, w, http.MethodGet, c.url+titleOnly, "", "", plainJSON, "")
		if offers := a.header.Values("WWW-Authenticate"); !slices.Equal(offers, c.offers) {
			t.Errorf("%+v: %q", c, offers)
		}
		i := initiate(t, kerberos(t, w, "spadmin", onprem.FarmAdminPassword), farmSPN, nil)
		if a := ask(t, w, http.MethodGet, c.url+titleOnly, "", "", merge(plainJSON, i.header()), ""); a.status != c.status {
			t.Errorf("%+v: %d %s", c, a.status, a.body)
		}
	}
	// The public name of the alternate access mapping has no service principal name.
	w, _ := start(t, with("sp-kerberos", "sp-aam"))
	if _, _, err := kerberos(t, w, "spadmin", onprem.FarmAdminPassword).GetServiceTicket("HTTP/portal.contoso.example"); err == nil || !strings.Contains(err.Error(), "KDC_ERR_S_PRINCIPAL_UNKNOWN") {
		t.Errorf("%v", err)
	}
}

func TestFarmRequiresChannelBinding(t *testing.T) {
	t.Parallel()
	w, _ := start(t, with("sp-ep-require", "sp-kerberos"))
	if a := ask(t, w, http.MethodGet, farmURL+titleOnly, onprem.FarmAdmin, onprem.FarmAdminPassword, plainJSON, ""); a.status != http.StatusUnauthorized {
		t.Errorf("without: %d", a.status)
	}
	block, _ := pem.Decode(w.SharePointCertificate())
	bindings, err := binding.EndPoint(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	i := initiate(t, kerberos(t, w, "spadmin", onprem.FarmAdminPassword), farmSPN, bindings)
	if a := ask(t, w, http.MethodGet, farmURL+titleOnly, "", "", merge(plainJSON, i.header()), ""); a.status != http.StatusOK {
		t.Errorf("with: %d %s", a.status, a.body)
	}
}

// Faults of the farm that the world carries out, and those of the domain.
func TestFaultsOfTheFarm(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fault, url string
		status     int
		has        string
		failed     int // sign-ins
	}{
		{"sp-not-sharepoint", farmURL + "/", 200, "IIS Windows Server", 0},
		{"sp-not-sharepoint", farmURL + titleOnly, 404, "404", 0},
		{"sp-forms", farmURL + titleOnly, 403, "", 0},
		{"sp-401", farmURL + titleOnly, 401, "401 UNAUTHORIZED", 0},
		{"ca-401", centralURL + titleOnly, 401, "401 UNAUTHORIZED", 0},
		{"sp-no-root", farmURL + titleOnly, 404, "404 FILE NOT FOUND", 0},
		{"sp-anonymous", farmURL + titleOnly, 200, "Contoso", 0},
		{"sp-slow", farmURL + titleOnly, 200, "Contoso", 0}, // the world's Sleep waits for nothing
		{"account-locked=spadmin", farmURL + titleOnly, 401, "", 1},
		{"account-disabled=spadmin", centralURL + titleOnly, 401, "", 1},
		{"password-expired=spadmin", farmURL + titleOnly, 401, "", 1},
		{"down", farmURL + titleOnly, 200, "Contoso", 0}, // of the Exchange Server alone
	} {
		w, _ := start(t, with(c.fault))
		a := ask(t, w, http.MethodGet, c.url, onprem.FarmAdmin, onprem.FarmAdminPassword, plainJSON, "")
		if a.status != c.status || !strings.Contains(a.body, c.has) || w.FailedSignIns() != c.failed {
			t.Errorf("%+v: %d, %d failed: %s", c, a.status, w.FailedSignIns(), a.body)
		}
		if plain := strings.Contains(c.fault, "not-sharepoint"); plain != (a.header.Get("MicrosoftSharePointTeamServices") == "") {
			t.Errorf("%+v: %v", c, a.header)
		}
	}
}

// Who has not signed in, is let in where that is allowed, and nowhere else.
func TestAnonymousAccess(t *testing.T) {
	t.Parallel()
	w, _ := start(t, with("sp-anonymous"))
	for url, want := range map[string]int{
		farmURL + titleOnly: 200, farmURL + "/_api/site": 200, farmURL + "/": 200, farmURL + "/_api/web/currentuser": 200, farmURL + "/_api/search/query?querytext='a'": 401,
		farmURL + "/_vti_bin/SiteData.asmx": 401, farmURL + "/_api/contextinfo": 401, centralURL + titleOnly: 401, farmURL + "/sites/none/_api/web": 401,
	} {
		a := ask(t, w, http.MethodGet, url, "", "", plainJSON, "")
		if a.status != want || strings.HasSuffix(url, "currentuser") && !strings.Contains(a.body, "null") {
			t.Errorf("%s: %d, want %d: %s", url, a.status, want, a.body)
		}
	}
	if a := ask(t, w, http.MethodPost, farmURL+"/_api/web", "", "", plainJSON, ""); a.status != 401 {
		t.Errorf("POST: %d", a.status)
	}
}

func TestSilentFarm(t *testing.T) {
	t.Parallel()
	for fault, url := range map[string]string{"sp-silent": farmURL, "ca-silent": centralURL} {
		w, _ := start(t, with(fault))
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if res, err := w.Client().Do(r); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", fault, err)
			if res != nil {
				_ = res.Body.Close()
			}
		}
		cancel()
	}
}

func TestOptionsOfTheFarm(t *testing.T) {
	t.Parallel()
	for _, v := range sharepoint.Versions() {
		w, _ := start(t, onprem.Options{SharePointVersion: v.Name, SiteCollections: 30})
		if w.SharePoint().Version() != v || w.SharePoint().SiteCollections() != 30 {
			t.Errorf("%+v, %d", w.SharePoint().Version(), w.SharePoint().SiteCollections())
		}
		if a := ask(t, w, http.MethodGet, farmURL, "", "", nil, ""); a.header.Get("MicrosoftSharePointTeamServices") != v.Header {
			t.Errorf("%v", a.header)
		}
	}
	if _, err := onprem.Start(onprem.Options{Now: time.Now, SharePointVersion: "2010"}); !errors.Is(err, sharepoint.ErrVersion) {
		t.Errorf("%v", err)
	}
	w, _ := start(t, onprem.Options{})
	for _, f := range sharepoint.Faults() {
		if err := w.SetFault(f.Name); err != nil {
			t.Errorf("%s: %v", f.Name, err)
		}
		if err := w.ClearFault(f.Name); err != nil {
			t.Errorf("%s: %v", f.Name, err)
		}
	}
}
