package sharepointserver_test

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/sharepointserver"
	"github.com/c2conn/c2conn/internal/sim/onprem/httpauth"
	"github.com/c2conn/c2conn/internal/transport"
)

// farm is a web application that answers as the documentation says; a test replaces what
// it wants to be otherwise.
type farm struct {
	*httptest.Server
	verbose   bool                // knows the verbose form alone, as SharePoint 2013 before Service Pack 1
	web       string              // template
	databases map[string][]string // site collections by content database
	order     []string            // of the databases
	indexed   []string            // what the search finds
	pageSize  int                 // of the search; 0 = as asked for
	at        map[string]http.HandlerFunc

	mu       sync.Mutex
	requests []string
}

func newFarm(t *testing.T, tls bool) *farm {
	t.Helper()
	f := &farm{web: "STS", databases: map[string][]string{}, at: map[string]http.HandlerFunc{}}
	f.Server = httptest.NewUnstartedServer(f)
	f.Config.ConnContext = httpauth.ConnContext
	f.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes in the wrong protocol
	if tls {
		f.StartTLS()
	} else {
		f.Start()
	}
	t.Cleanup(f.Close)
	return f
}

// nobody is where nothing listens. The port of a closed farm would not do: that of
// another test may get it.
const nobody = "https://127.0.0.1:1"

// client asks the farm through the transport that everything goes through.
func (f *farm) client(t *testing.T) *sharepointserver.Client {
	t.Helper()
	return newClient(t, f.Client().Transport)
}

func newClient(t *testing.T, base http.RoundTripper) *sharepointserver.Client {
	t.Helper()
	h, err := transport.New(transport.Options{Base: base, Clock: &clock{}})
	if err != nil {
		t.Fatal(err)
	}
	return sharepointserver.New(sharepointserver.Options{HTTP: h})
}

func (f *farm) database(id string, sites ...string) {
	f.databases[id] = sites
	f.order = append(f.order, id)
}

func (f *farm) log() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.requests, "\n")
}

// ends is a service in whose use the client is cancelled: it never answers.
func ends(cancel func()) http.HandlerFunc {
	return func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // before that a server does not see that the client has gone
		cancel()
		<-r.Context().Done()
	}
}

// ServeHTTP implements http.Handler.
func (f *farm) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.requests = append(f.requests, r.Method+" "+r.URL.Path)
	f.mu.Unlock()
	w.Header().Set("MicrosoftSharePointTeamServices", "16.0.0.10417")
	w.Header().Set("SPRequestGuid", "0d62959d-101a-3000-382e-6de24ecfb2ad")
	if h := f.at[r.URL.Path]; h != nil {
		h(w, r)
		return
	}
	if r.Header.Get("X-FORMS_BASED_AUTH_ACCEPTED") != "f" {
		w.Header().Set("X-Forms_Based_Auth_Required", f.URL+"/_login/default.aspx")
		http.Error(w, "403 FORBIDDEN", http.StatusForbidden)
		return
	}
	self := f.URL
	switch r.URL.Path {
	case "/_api/site":
		f.json(w, r, fmt.Sprintf(`{"Id":"5cbcd3b1-fca9-48b2-92db-3b5de26f837d","Url":%q}`, self))
	case "/_api/web":
		f.json(w, r, fmt.Sprintf(`{"Title":"Intranet","WebTemplate":%q}`, f.web))
	case "/_api/web/currentuser":
		f.json(w, r, `{"LoginName":"i:0#.w|corp\\spadmin","IsSiteAdmin":true}`)
	case "/_api/search/query":
		f.search(w, r)
	case "/_vti_bin/SiteData.asmx":
		f.siteData(w, r)
	default:
		http.Error(w, "404 FILE NOT FOUND", http.StatusNotFound)
	}
}

func (f *farm) json(w http.ResponseWriter, r *http.Request, object string) {
	verbose := strings.Contains(r.Header.Get("Accept"), "odata=verbose")
	switch {
	case f.verbose && !verbose:
		w.Header().Set("Content-Type", "application/atom+xml")
		_, _ = io.WriteString(w, `<entry xmlns="http://www.w3.org/2005/Atom"/>`)
		return
	case f.verbose:
		object = `{"d":` + strings.Replace(object, "{", `{"__metadata":{"uri":"x","type":"SP.Web"},`, 1) + `}`
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = io.WriteString(w, object)
}

func (f *farm) search(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	start, _ := strconv.Atoi(q.Get("startrow"))
	size, _ := strconv.Atoi(q.Get("rowlimit"))
	if size > 500 || q.Get("querytext") != "'contentclass:STS_Site'" || q.Get("trimduplicates") != "false" {
		http.Error(w, `{"error":{"code":"-1, Microsoft.Office.Server.Search.REST.SearchServiceException","message":{"lang":"en-US","value":"not that"}}}`, http.StatusBadRequest)
		return
	}
	if f.pageSize > 0 {
		size = f.pageSize
	}
	var rows []string
	for _, u := range f.indexed[min(start, len(f.indexed)):min(start+size, len(f.indexed))] {
		rows = append(rows, fmt.Sprintf(`{"Cells":%s}`, f.array(`{"Key":"Rank","Value":"0","ValueType":"Edm.Double"}`, fmt.Sprintf(`{"Key":"SPSiteUrl","Value":%q,"ValueType":"Edm.String"}`, u), `{"Key":"Path","Value":null,"ValueType":"Null"}`)))
	}
	result := fmt.Sprintf(`"PrimaryQueryResult":{"RelevantResults":{"RowCount":%d,"TotalRows":%d,"Table":{"Rows":%s}}}`, len(rows), len(f.indexed), f.array(rows...))
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if f.verbose {
		result = `"d":{"query":{` + result + `}}`
	}
	_, _ = io.WriteString(w, "{"+result+"}")
}

func (f *farm) array(items ...string) string {
	a := "[" + strings.Join(items, ",") + "]"
	if f.verbose {
		a = `{"results":` + a + `}`
	}
	return a
}

func (f *farm) siteData(w http.ResponseWriter, r *http.Request) {
	var e struct {
		Body struct {
			GetContent struct {
				Type     string `xml:"objectType"`
				ID       string `xml:"objectId"`
				Children bool   `xml:"retrieveChildItems"`
			} `xml:"http://schemas.microsoft.com/sharepoint/soap/ GetContent"`
		} `xml:"http://schemas.xmlsoap.org/soap/envelope/ Body"`
	}
	if r.Header.Get("SOAPAction") != `"http://schemas.microsoft.com/sharepoint/soap/GetContent"` || xml.NewDecoder(r.Body).Decode(&e) != nil || !e.Body.GetContent.Children {
		fault(w, "", "Server did not recognize the value of HTTP Header SOAPAction.")
		return
	}
	switch q := e.Body.GetContent; q.Type {
	case "VirtualServer":
		var ids strings.Builder
		for _, id := range f.order {
			fmt.Fprintf(&ids, `<ContentDatabase ID="%s" />`, id)
		}
		content(w, `<VirtualServer><Metadata URL="`+f.URL+`/" /><ContentDatabases>`+ids.String()+`</ContentDatabases><Policies AnonymousGrantMask="0"><PolicyUser LoginName="CORP\spcrawl" /></Policies></VirtualServer>`)
	case "ContentDatabase":
		sites, ok := f.databases[q.ID]
		if !ok {
			fault(w, "0x80070005", "Attempted to perform an unauthorized operation.")
			return
		}
		var b strings.Builder
		for _, u := range sites {
			fmt.Fprintf(&b, `<Site URL="%s" ID="{5cbcd3b1-fca9-48b2-92db-3b5de26f837d}" />`, u)
		}
		content(w, `<ContentDatabase><Metadata ChangeId="1;0;4fb7&#31;" ID="`+q.ID+`" /><Sites>`+b.String()+`</Sites></ContentDatabase>`)
	}
}

func content(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text))
	_, _ = io.WriteString(w, `<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body><GetContentResponse xmlns="http://schemas.microsoft.com/sharepoint/soap/"><GetContentResult>`+b.String()+`</GetContentResult></GetContentResponse></soap:Body></soap:Envelope>`)
}

func fault(w http.ResponseWriter, code, text string) {
	detail := "<detail />"
	if code != "" {
		detail = `<detail><errorstring xmlns="http://schemas.microsoft.com/sharepoint/soap/">` + text + `</errorstring><errorcode xmlns="http://schemas.microsoft.com/sharepoint/soap/">` + code + `</errorcode></detail>`
		text = "Exception of type 'Microsoft.SharePoint.SoapServer.SoapServerException' was thrown."
	}
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	w.WriteHeader(http.StatusInternalServerError)
	_, _ = io.WriteString(w, `<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body><soap:Fault><faultcode>soap:Server</faultcode><faultstring>`+text+`</faultstring>`+detail+`</soap:Fault></soap:Body></soap:Envelope>`)
}

// clock does not wait: nobody is to sleep in a test.
type clock struct{}

func (*clock) Now() time.Time { return time.Now() }

func (*clock) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// answers is a handler that says one thing.
func answers(status int, kind, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// bare removes what tells SharePoint from other servers.
func bare(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		clear(w.Header())
		next(w, r)
	}
}
