package httpauth_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	ntlmssp "github.com/Azure/go-ntlmssp"
	"github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/client"
	"github.com/jcmturner/gokrb5/v8/config"
	"github.com/jcmturner/gokrb5/v8/spnego"

	"github.com/c2conn/c2conn/internal/sim/onprem/account"
	"github.com/c2conn/c2conn/internal/sim/onprem/binding"
	"github.com/c2conn/c2conn/internal/sim/onprem/httpauth"
	"github.com/c2conn/c2conn/internal/sim/onprem/kdc"
)

const (
	password = "Ex4dmin!Pass"
	spn      = "HTTP/exch01.corp.test"
)

func directory(t *testing.T) *account.Directory {
	t.Helper()
	d, err := account.New(account.Options{
		Domain: "corp.test", NetBIOS: "CORP",
		Users: []account.User{
			{SAM: "ExAdmin", UPN: "exadmin@corp.test", Password: password},
			{SAM: "EXCH01$", Password: "machine", SPNs: []string{spn}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// site answers with who signed in; it reads the whole request.
func site(w http.ResponseWriter, r *http.Request) {
	id, ok := httpauth.From(r.Context())
	b, err := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s %s %s %v %d %v", id.User.SAM, id.Method, id.Mechanism, ok, len(b), err)
}

// serve starts a server; certificate asks for https.
func serve(t *testing.T, o httpauth.Options, secure bool) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.Config.ConnContext = httpauth.ConnContext
	s.Config.ErrorLog = nil
	if !secure {
		s.Config.Handler = httpauth.Authenticate(o)(http.HandlerFunc(site))
		s.Start()
	} else {
		// The certificate is known only after the start.
		var once sync.Once
		var handler http.Handler
		s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			once.Do(func() {
				o := o
				o.Certificate = s.Certificate().Raw
				handler = httpauth.Authenticate(o)(http.HandlerFunc(site))
			})
			handler.ServeHTTP(w, r)
		})
		s.StartTLS()
	}
	t.Cleanup(s.Close)
	return s
}

func all() []httpauth.Method {
	return []httpauth.Method{httpauth.Negotiate, httpauth.NTLM, httpauth.Basic}
}

func get(t *testing.T, c *http.Client, url, authorization, body string) (int, string, http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b), res.Header
}

func TestOffers(t *testing.T) {
	t.Parallel()
	negotiate, err := ntlmssp.NewNegotiateMessage("", "")
	if err != nil {
		t.Fatal(err)
	}
	wrapped := spnego.SPNEGOToken{Init: true, NegTokenInit: spnego.NegTokenInit{
		MechTypes: []asn1.ObjectIdentifier{{1, 3, 6, 1, 4, 1, 311, 2, 2, 10}}, MechTokenBytes: negotiate,
	}}
	token, err := wrapped.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	inSPNEGO := "NTLM " + base64.StdEncoding.EncodeToString(token) // the NTLM scheme has bare messages only
	for _, c := range []struct {
		methods []httpauth.Method
		want    []string
	}{
		{all(), []string{"Negotiate", "NTLM", `Basic realm="corp.test"`}},
		{[]httpauth.Method{httpauth.NTLM}, []string{"NTLM"}},
		{[]httpauth.Method{httpauth.NegotiateKerberos}, []string{"Negotiate"}},
		{[]httpauth.Method{httpauth.Basic}, []string{`Basic realm="corp.test"`}},
	} {
		d := directory(t)
		s := serve(t, httpauth.Options{Directory: d, Methods: c.methods, SPNs: []string{spn}}, false)
		basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("exadmin:"+password))
		for _, authorization := range []string{"", "Bearer x", "Negotiate", "NTLM !", "Negotiate AAAA", inSPNEGO, "Basic eA==", basic} {
			status, body, header := get(t, s.Client(), s.URL, authorization, "x")
			got := header.Values("WWW-Authenticate")
			offered := c.methods[len(c.methods)-1] == httpauth.Basic
			if authorization == basic && offered {
				if status != 200 || body != "ExAdmin Basic Basic true 1 <nil>" {
					t.Errorf("%v: %d %s", c.methods, status, body)
				}
				continue
			}
			if status != 401 || strings.Join(got, "|") != strings.Join(c.want, "|") || strings.Contains(body, "ExAdmin") {
				t.Errorf("%v, %q: %d %q %s", c.methods, authorization, status, got, body)
			}
		}
		if tally := d.Tally(account.Basic); tally.WrongPasswords != 0 {
			t.Errorf("%v: counted %+v", c.methods, tally)
		}
	}
}

// Basic is looked at in every request; ten wrong passwords are ten failed sign-ins.
func TestBasic(t *testing.T) {
	t.Parallel()
	d := directory(t)
	s := serve(t, httpauth.Options{Directory: d, Methods: all(), SPNs: []string{spn}, Realm: "mail"}, false)
	for i := range 10 {
		wrong := "Basic " + base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "CORP\\exadmin:wrong%d", i))
		if status, _, h := get(t, s.Client(), s.URL, wrong, ""); status != 401 || h.Values("WWW-Authenticate")[2] != `Basic realm="mail"` {
			t.Errorf("wrong password %d: %d %v", i, status, h)
		}
	}
	right := "Basic " + base64.StdEncoding.EncodeToString([]byte("exadmin@corp.test:"+password))
	if status, _, _ := get(t, s.Client(), s.URL, right, ""); status != 200 {
		t.Errorf("right password: %d", status)
	}
	if status, _, _ := get(t, s.Client(), s.URL, "", ""); status != 401 {
		t.Errorf("the next request without Authorization: %d", status)
	}
	if got := d.Tally(account.Basic); got != (account.Tally{Succeeded: 1, Failed: 10, WrongPasswords: 10}) {
		t.Errorf("counted %+v", got)
	}
}

// go-ntlmssp is an independent client of the whole handshake.
func TestNTLMOfAnIndependentClient(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		methods        []httpauth.Method
		user, password string
		mode           binding.Mode
		want           string
		tally          account.Tally
	}{
		{[]httpauth.Method{httpauth.NTLM}, `CORP\exadmin`, password, binding.Allow, "ExAdmin NTLM NTLM true 100000 <nil>", account.Tally{Succeeded: 1}},
		{[]httpauth.Method{httpauth.Negotiate}, `exadmin@corp.test`, password, binding.None, "ExAdmin Negotiate NTLM true 100000 <nil>", account.Tally{Succeeded: 1}},
		{all(), `CORP\exadmin`, "wrong", binding.Allow, "", account.Tally{Failed: 1, WrongPasswords: 1}},
		{all(), `CORP\exadmin`, password, binding.Require, "", account.Tally{Failed: 1}},
		{[]httpauth.Method{httpauth.NegotiateKerberos}, `CORP\exadmin`, password, binding.None, "", account.Tally{}},
	} {
		d := directory(t)
		s := serve(t, httpauth.Options{Directory: d, Methods: c.methods, SPNs: []string{spn}, ExtendedProtection: c.mode}, true)
		hc := &http.Client{Transport: ntlmssp.Negotiator{RoundTripper: s.Client().Transport}}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL, strings.NewReader(strings.Repeat("x", 100_000)))
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth(c.user, c.password)
		res, err := hc.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if (res.StatusCode == 200) != (c.want != "") || c.want != "" && string(b) != c.want {
			t.Errorf("%v %s: %d %s", c.methods, c.user, res.StatusCode, b)
		}
		if got := d.Tally(account.NTLM); got != c.tally {
			t.Errorf("%v %s: counted %+v, want %+v", c.methods, c.user, got, c.tally)
		}
	}
}

// one is a client that keeps to one connection.
func one() (*http.Client, *int) {
	dialled := 0
	return &http.Client{Transport: &http.Transport{
		MaxConnsPerHost: 1,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			dialled++
			return (&net.Dialer{}).DialContext(ctx, network, address)
		},
	}}, &dialled
}

// A sign-in by NTLM is the connection's, and the application pool's.
func TestStateBelongsToTheConnection(t *testing.T) {
	t.Parallel()
	d := directory(t)
	o := httpauth.Options{Directory: d, Methods: all(), SPNs: []string{spn}}
	mux := http.NewServeMux()
	mux.Handle("/EWS/", httpauth.Authenticate(o)(http.HandlerFunc(site)))
	mux.Handle("/PowerShell/", httpauth.Authenticate(o)(http.HandlerFunc(site)))
	s := httptest.NewUnstartedServer(mux)
	s.Config.ConnContext = httpauth.ConnContext
	s.Start()
	t.Cleanup(s.Close)

	c, dialled := one()
	defer c.CloseIdleConnections()
	body := strings.Repeat("x", 1<<20) // a refused body does not cost the connection
	negotiate, err := ntlmssp.NewNegotiateMessage("", "")
	if err != nil {
		t.Fatal(err)
	}
	first := "NTLM " + base64.StdEncoding.EncodeToString(negotiate)
	status, _, h := get(t, c, s.URL+"/EWS/", first, body)
	offer, ok := strings.CutPrefix(h.Get("WWW-Authenticate"), "NTLM ")
	if status != 401 || !ok || len(h.Values("WWW-Authenticate")) != 1 {
		t.Fatalf("challenge: %d %v", status, h)
	}
	challenge, err := base64.StdEncoding.DecodeString(offer)
	if err != nil {
		t.Fatal(err)
	}
	m, err := ntlmssp.NewAuthenticateMessage(challenge, "exadmin@corp.test", password, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer := "NTLM " + base64.StdEncoding.EncodeToString(m)

	other, _ := one()
	defer other.CloseIdleConnections()
	if status, _, h := get(t, other, s.URL+"/EWS/", answer, "x"); status != 401 || len(h.Values("WWW-Authenticate")) != 3 {
		t.Errorf("the answer on another connection: %d %v", status, h)
	}
	if status, text, h := get(t, c, s.URL+"/EWS/", answer, body); status != 200 || h.Get("WWW-Authenticate") != "" || h.Get("Persistent-Auth") != "true" {
		t.Errorf("the answer: %d %s %v", status, text, h)
	}
	for range 3 {
		if status, text, _ := get(t, c, s.URL+"/EWS/", "", body); status != 200 || text != "ExAdmin NTLM NTLM true 1048576 <nil>" {
			t.Errorf("the next request: %d %s", status, text)
		}
	}
	if status, _, _ := get(t, c, s.URL+"/PowerShell/", "", ""); status != 401 {
		t.Errorf("another application: %d", status)
	}
	if status, _, _ := get(t, other, s.URL+"/EWS/", "", ""); status != 401 {
		t.Errorf("another connection: %d", status)
	}
	if *dialled != 1 {
		t.Errorf("%d connections, want 1", *dialled)
	}
	// Whoever begins anew is not signed in until it has ended.
	if status, _, _ := get(t, c, s.URL+"/EWS/", first, ""); status != 401 {
		t.Errorf("a new handshake: %d", status)
	}
	if status, _, h := get(t, c, s.URL+"/EWS/", "", ""); status != 401 || len(h.Values("WWW-Authenticate")) != 3 {
		t.Errorf("after a new handshake was begun: %d %v", status, h)
	}
	if status, _, _ := get(t, c, s.URL+"/EWS/", answer, ""); status != 401 {
		t.Errorf("the old answer: %d", status)
	}
	if got := d.Tally(account.NTLM); got != (account.Tally{Succeeded: 1}) {
		t.Errorf("counted %+v", got)
	}
}

func TestKerberosOfAnIndependentClient(t *testing.T) {
	t.Parallel()
	d := directory(t)
	k, err := kdc.Start(kdc.Options{Directory: d})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	cfg, err := config.NewFromString(fmt.Sprintf("[libdefaults]\n default_realm = CORP.TEST\n dns_lookup_kdc = false\n udp_preference_limit = 1\n"+
		"[realms]\n CORP.TEST = {\n  kdc = %s\n }\n", k.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	kc := client.NewWithPassword("exadmin", "CORP.TEST", password, cfg, client.DisablePAFXFAST(true))
	t.Cleanup(kc.Destroy)
	if err := kc.Login(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		methods []httpauth.Method
		spns    []string
		mode    binding.Mode
		status  int
	}{
		{all(), []string{spn}, binding.Allow, 200},
		{[]httpauth.Method{httpauth.NegotiateKerberos}, []string{spn}, binding.None, 200},
		{all(), []string{"HTTP/other.corp.test"}, binding.None, 401},
		{[]httpauth.Method{httpauth.NTLM}, []string{spn}, binding.None, 401},
		{all(), []string{spn}, binding.Require, 401},
	} {
		s := serve(t, httpauth.Options{Directory: d, Methods: c.methods, SPNs: c.spns, ExtendedProtection: c.mode}, true)
		hc := &http.Client{Transport: s.Client().Transport}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := spnego.SetSPNEGOHeader(kc, r, spn); err != nil {
			t.Fatal(err)
		}
		token := r.Header.Get("Authorization")
		status, body, h := get(t, hc, s.URL, token, "")
		if status != c.status {
			t.Errorf("%v %v: %d, want %d", c.methods, c.spns, status, c.status)
		}
		if c.status != 200 {
			continue
		}
		if !strings.HasPrefix(body, "ExAdmin Negotiate") || !strings.Contains(body, " Kerberos true") {
			t.Errorf("%v: %s", c.methods, body)
		}
		reply, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(h.Get("WWW-Authenticate"), "Negotiate "))
		if err != nil {
			t.Fatal(err)
		}
		var answer spnego.SPNEGOToken
		if err := answer.Unmarshal(reply); err != nil || !answer.Resp || answer.NegTokenResp.State() != spnego.NegStateAcceptCompleted {
			t.Errorf("reply %x, %v", reply, err)
		}
		if status, _, _ := get(t, hc, s.URL, "", ""); status != 200 {
			t.Errorf("the next request on the connection: %d", status)
		}
		if status, _, _ := get(t, hc, s.URL, token, ""); status != 401 {
			t.Errorf("the same token again: %d", status)
		}
	}
	if d.FailedSignIns() != 0 || d.SuccessfulSignIns(account.Kerberos) != 1 {
		t.Errorf("%d failed, %d good sign-ins", d.FailedSignIns(), d.SuccessfulSignIns(account.Kerberos))
	}
}
