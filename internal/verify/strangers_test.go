package verify_test

import (
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/sim/onprem"
	"github.com/c2conn/c2conn/internal/task"
)

// stranger lets another server answer in the farm's place, with a trusted certificate and
// a name that somebody may have mistyped: the site over https, Central Administration
// over http.
func (f *farm) stranger(t *testing.T, h http.Handler) {
	t.Helper()
	const name = "sharepoint.example.com"
	site, central := httptest.NewTLSServer(h), httptest.NewServer(h)
	t.Cleanup(site.Close)
	t.Cleanup(central.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	trusted := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: site.Certificate().Raw}), f.world.Authority()...)
	if err := os.WriteFile(ca, trusted, 0o600); err != nil {
		t.Fatal(err)
	}
	f.env["SSL_CERT_FILE"] = ca
	f.env["C2CONN_CONNECT_TO"] += fmt.Sprintf(",%s:443:%s,%s:%d:%s", name, site.Listener.Addr(), name, onprem.CentralAdminPort, central.Listener.Addr())
	f.conn.Endpoints = connections.Endpoints{SharePoint: "https://" + name, Admin: fmt.Sprintf("http://%s:%d", name, onprem.CentralAdminPort), Domain: "corp.test"}
}

// A password is never sent in the clear: a name that is mistyped may be somebody else's.
func TestFarmPasswordStaysHere(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		offered []string
		says    string
	}{
		"Basic alone":           {[]string{`Basic realm="x"`}, "offers Basic alone"},
		"Basic beside Kerberos": {[]string{"Negotiate", `Basic realm="x"`}, "takes Kerberos only, and Kerberos failed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFarm(t, onprem.Options{})
			var clear atomic.Int32
			f.stranger(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasPrefix(r.Header.Get("Authorization"), "Basic") {
					clear.Add(1)
					return
				}
				w.Header()["Www-Authenticate"] = c.offered
				w.WriteHeader(http.StatusUnauthorized)
			}))
			r := f.verify(t)
			if n := clear.Load(); n != 0 {
				t.Fatalf("the password was sent %d times", n)
			}
			for _, id := range []string{"sites", "site"} {
				status, text := said(t, r, id)
				if status != task.Fail || !strings.Contains(text, c.says) {
					t.Errorf("%s: %s: %s", id, status, text)
				}
			}
			if n := f.world.FailedSignIns(); n != 0 || r.Class != advice.ClassAuth {
				t.Errorf("%d failed sign-ins, class %d", n, r.Class)
			}
		})
	}
}

// anybody is a server that answers everybody, as SharePoint would.
func anybody(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("MicrosoftSharePointTeamServices", "16.0.0.17928")
	w.Header().Set("Content-Type", "application/json")
	self, template := "http://"+r.Host, "CENTRALADMIN"
	if r.TLS != nil {
		self, template = "https://"+r.Host, "STS"
	}
	switch r.URL.Path {
	case "/_api/site":
		fmt.Fprintf(w, `{"d":{"Url":%q,"Id":"5cbcd3b1-fca9-48b2-92db-3b5de26f837d"}}`, self)
	case "/_api/web":
		fmt.Fprintf(w, `{"d":{"Title":"Welcome","WebTemplate":%q}}`, template)
	case "/_api/web/currentuser":
		fmt.Fprint(w, `{"d":{"LoginName":"","IsSiteAdmin":false}}`)
	case "/_api/search/query":
		rows := ""
		if r.URL.Query().Get("startrow") == "0" {
			rows = fmt.Sprintf(`{"Cells":{"results":[{"Key":"SPSiteUrl","Value":%q}]}}`, self)
		}
		fmt.Fprintf(w, `{"d":{"query":{"PrimaryQueryResult":{"RelevantResults":{"RowCount":1,"TotalRows":1,"Table":{"Rows":{"results":[%s]}}}}}}}`, rows)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// What a server shows to everybody proves nothing of an account.
func TestFarmThatAsksNobody(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		faults   []string
		password string
	}{
		"the right password":                          {password: onprem.FarmAdminPassword},
		"a wrong password, and nobody who could tell": {faults: []string{"no-kdc"}, password: "not it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFarm(t, onprem.Options{Faults: c.faults})
			f.password = c.password
			f.stranger(t, http.HandlerFunc(anybody))
			r := f.verify(t)
			for _, id := range []string{"sites", "central-administration"} {
				status, text := said(t, r, id)
				if status != task.Fail || !strings.HasPrefix(text, "answered without a sign-in") || !strings.Contains(text, "address") {
					t.Errorf("%s: %s: %s", id, status, text)
				}
			}
			if status, text := said(t, r, "site"); status != task.Pass || !strings.Contains(text, "did not tell who the account is") {
				t.Errorf("site: %s: %s", status, text)
			}
			if r.Class != advice.ClassCheck || r.State == connections.StateVerified {
				t.Errorf("class %d, state %s", r.Class, r.State)
			}
			if n := f.world.FailedSignIns(); n != 0 {
				t.Errorf("%d failed sign-ins", n)
			}
		})
	}
}

// A server that sends a byte now and then holds no check for the time that a whole list has.
func TestFarmThatNeverEnds(t *testing.T) {
	t.Parallel()
	f := newFarm(t, onprem.Options{})
	f.answer = 200 * time.Millisecond
	f.stranger(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, " ")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	begin := time.Now()
	r := f.verify(t)
	for _, id := range []string{"sites", "site", "central-administration"} {
		if status, text := said(t, r, id); status != task.Fail || !strings.Contains(text, "no answer") {
			t.Errorf("%s: %s: %s", id, status, text)
		}
	}
	if took := time.Since(begin); took > f.limit {
		t.Errorf("after %s", took)
	}
}

// What a server offers over http is told as what it is.
func TestFarmOffersOverHTTP(t *testing.T) {
	t.Parallel()
	for offered, says := range map[string]string{"Bearer": "offers no way to sign in that can be used", "Basic": "wants a password without TLS"} {
		t.Run(offered, func(t *testing.T) {
			t.Parallel()
			f := newFarm(t, onprem.Options{})
			f.stranger(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != "" {
					t.Errorf("credentials of the kind %.9s", r.Header.Get("Authorization"))
				}
				w.Header().Set("WWW-Authenticate", offered+` realm="x"`)
				w.WriteHeader(http.StatusUnauthorized)
			}))
			r := f.verify(t)
			if status, text := said(t, r, "central-administration"); status != task.Fail || !strings.Contains(text, says) || !strings.Contains(text, "offers "+offered) {
				t.Errorf("%s: %s", status, text)
			}
		})
	}
}
