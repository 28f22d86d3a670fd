package autodiscover_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/autodiscover"
	"github.com/c2conn/c2conn/internal/winauth"
	"golang.org/x/net/dns/dnsmessage"
)

const address = "alice@contoso.example"

// world is a network: hosts that answer https (by name) and http, and DNS.
type world struct {
	https     map[string]http.Handler
	http      map[string]http.Handler
	untrusted map[string]http.Handler // https with a certificate that nobody vouches for
	pinned    map[string]string       // host:port to a pin
	srv       []dnsmessage.SRVResource
	names     []string // that resolve besides the hosts

	mu       sync.Mutex
	signedIn []string // URLs that were asked signed in
	asked    []string // method and URL of all requests
	attempts []autodiscover.Attempt
	consents []string
}

// certificate makes one for some names.
func certificate(t testing.TB, names ...string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// options starts the servers and returns what Find needs to reach them.
func (w *world) options(t *testing.T) autodiscover.Options {
	t.Helper()
	serve := func(hosts map[string]http.Handler, secure bool) (string, *x509.Certificate) {
		names := []string{"unused.test"}
		for h := range hosts {
			names = append(names, strings.Split(h, ":")[0])
		}
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			w.mu.Lock()
			scheme := "http"
			if r.TLS != nil {
				scheme = "https"
			}
			w.asked = append(w.asked, r.Method+" "+scheme+"://"+r.Host+r.URL.Path)
			w.mu.Unlock()
			hosts[r.Host].ServeHTTP(rw, r)
		}))
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		t.Cleanup(s.Close)
		if !secure {
			s.Start()
			return s.Listener.Addr().String(), nil
		}
		c := certificate(t, names...)
		s.TLS = &tls.Config{Certificates: []tls.Certificate{c}}
		s.StartTLS()
		return s.Listener.Addr().String(), c.Leaf
	}
	roots := x509.NewCertPool()
	secure, leaf := serve(w.https, true)
	roots.AddCert(leaf)
	plain, _ := serve(w.http, false)
	strange, _ := serve(w.untrusted, true)
	dial := func(ctx context.Context, _, addr string) (net.Conn, error) {
		name := strings.TrimSuffix(strings.TrimSuffix(addr, ":443"), ":80")
		to := ""
		switch {
		case strings.HasSuffix(addr, ":80") && w.http[name] != nil:
			to = plain
		case strings.HasSuffix(addr, ":80"):
		case w.https[name] != nil:
			to = secure
		case w.untrusted[name] != nil:
			to = strange
		}
		if to == "" {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}}
		}
		return (&net.Dialer{}).DialContext(ctx, "tcp", to)
	}
	trust := winauth.NewTrust(winauth.TrustOptions{Roots: roots, Pins: w.pinned})
	network := &http.Transport{DialContext: dial, DialTLSContext: func(ctx context.Context, n, addr string) (net.Conn, error) {
		conn, err := dial(ctx, n, addr)
		if err != nil {
			return nil, err
		}
		c := tls.Client(conn, trust.TLS(addr))
		if err := c.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, err
		}
		return c, nil
	}}
	t.Cleanup(network.CloseIdleConnections)
	return autodiscover.Options{
		Address:   address,
		Anonymous: &http.Client{Transport: network},
		SignedIn:  &http.Client{Transport: &signer{w: w, next: network}},
		Resolver:  w.resolver(),
		Clock:     patient{},
		Limit:     time.Hour,
		Listen: func(a autodiscover.Attempt) {
			w.attempts = append(w.attempts, a)
		},
	}
}

// patient is a clock with which the better answer is always waited for, so that a
// busy computer changes nothing.
type patient struct{}

func (patient) Now() time.Time { return time.Now() }

func (patient) Sleep(ctx context.Context, _ time.Duration) error {
	<-ctx.Done()
	return ctx.Err()
}

// signer signs in: whatever it sends bears Authorization.
type signer struct {
	w    *world
	next http.RoundTripper
}

func (s *signer) RoundTrip(r *http.Request) (*http.Response, error) {
	s.w.mu.Lock()
	s.w.signedIn = append(s.w.signedIn, r.URL.String())
	s.w.mu.Unlock()
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Test")
	res, err := s.next.RoundTrip(r)
	if err != nil || res.StatusCode != http.StatusUnauthorized {
		return res, err
	}
	switch res.Header.Get("X-Test") {
	case "wrong":
		err = &winauth.WrongPasswordError{Account: "exadmin", Server: r.URL.Host}
	case "locked":
		err = &winauth.LockedError{Account: "exadmin", Reason: winauth.ReasonLocked}
	case "refused":
		err = &winauth.RefusedError{Account: "exadmin", Server: r.URL.Host, Proven: true, Status: 401}
	case "no-method":
		err = &winauth.NoMethodError{Account: "exadmin", Server: r.URL.Host, Offered: []string{"Bearer"}}
	default:
		return res, nil
	}
	res.Body.Close()
	return nil, err
}

// resolver is a DNS server that knows the hosts, the names and the SRV records.
func (w *world) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		go w.answerDNS(there)
		return here, nil
	}}
}

func (w *world) answerDNS(c net.Conn) {
	defer c.Close()
	for {
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		data := make([]byte, int(size[0])<<8|int(size[1]))
		if _, err := io.ReadFull(c, data); err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(data) != nil || len(m.Questions) != 1 {
			return
		}
		q := m.Questions[0]
		m.Response, m.RCode, m.Additionals = true, dnsmessage.RCodeNameError, nil
		name := strings.TrimSuffix(q.Name.String(), ".")
		header := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 60}
		switch {
		case q.Type == dnsmessage.TypeSRV && name == "_autodiscover._tcp.contoso.example" && len(w.srv) > 0:
			m.RCode = dnsmessage.RCodeSuccess
			for _, r := range w.srv {
				m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &r})
			}
		case w.https[name] != nil || w.untrusted[name] != nil || slices.Contains(w.names, name):
			m.RCode = dnsmessage.RCodeSuccess
			if q.Type == dnsmessage.TypeA {
				m.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AResource{A: [4]byte{192, 0, 2, 1}}}}
			}
		}
		out, err := m.Pack()
		if err != nil {
			return
		}
		if _, err := c.Write(append([]byte{byte(len(out) >> 8), byte(len(out))}, out...)); err != nil {
			return
		}
	}
}

func srv(target string, port, priority, weight uint16) dnsmessage.SRVResource {
	return dnsmessage.SRVResource{Target: dnsmessage.MustNewName(target + "."), Port: port, Priority: priority, Weight: weight}
}

// exchange is a server that answers as Exchange does: "json", "pox" and "soap" are the
// bodies of its answers; without one, it answers 404. All but JSON want a sign-in.
type exchange struct {
	json, pox, soap string
	refuse          string // "wrong", "refused" …: what a sign-in comes to
	redirect        string // where a signed-in POX request is sent
}

func (e exchange) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := ""
	switch p := strings.ToLower(r.URL.Path); {
	case strings.HasPrefix(p, "/autodiscover/autodiscover.json/v1.0/"):
		if e.json == "" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("X-OWA-Version", "15.2.1544.4")
		io.WriteString(w, e.json)
		return
	case p == "/autodiscover/autodiscover.xml":
		body = e.pox
	case p == "/autodiscover/autodiscover.svc" && strings.HasSuffix(r.Header.Get("SOAPAction"), `/GetUserSettings"`):
		body = e.soap
	default:
		http.NotFound(w, r)
		return
	}
	if r.Header.Get("Authorization") == "" || e.refuse != "" {
		w.Header().Set("WWW-Authenticate", "Negotiate")
		w.Header().Set("X-Test", e.refuse)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	sent, err := io.ReadAll(r.Body)
	switch {
	case err != nil || r.Method != http.MethodPost || !strings.Contains(string(sent), "@"):
		w.WriteHeader(http.StatusBadRequest)
	case e.redirect != "":
		http.Redirect(w, r, e.redirect, http.StatusFound)
	case body == "":
		http.NotFound(w, r)
	default:
		w.Header().Set("Content-Type", "text/xml; charset=utf-8")
		io.WriteString(w, body)
	}
}

func jsonAnswer(url string) string { return fmt.Sprintf(`{"Protocol":"EWS","Url":%q}`, url) }

// poxAnswer is the answer of Exchange with what stands in Account.
func poxAnswer(account string) string {
	return `<?xml version="1.0" encoding="utf-8"?><Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006">` +
		`<Response xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"><User><DisplayName>Alice</DisplayName></User>` +
		`<Account><AccountType>email</AccountType>` + account + `</Account></Response></Autodiscover>`
}

func poxSettings(protocols string) string {
	return poxAnswer(`<Action>settings</Action><MicrosoftOnline>False</MicrosoftOnline>` + protocols)
}

func exch(ews string) string {
	return `<Protocol><Type>EXCH</Type><Server>exch01.contoso.example</Server><ServerVersion>73C28608</ServerVersion><ASUrl>` + ews + `</ASUrl><EwsUrl>` + ews + `</EwsUrl></Protocol>`
}

func expr(ews string) string {
	return `<Protocol><Type>EXPR</Type><Server>mail.contoso.example</Server><EwsUrl>` + ews + `</EwsUrl></Protocol>`
}

func poxError(code, message string) string {
	return `<?xml version="1.0" encoding="utf-8"?><Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006">` +
		`<Response><Error Time="21:25:04.8897083" Id="4130155072"><ErrorCode>` + code + `</ErrorCode><Message>` + message + `</Message><DebugData/></Error></Response></Autodiscover>`
}

// soapAnswer is the answer of Exchange with what stands in Response.
func soapAnswer(response string) string {
	return `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" xmlns:a="http://www.w3.org/2005/08/addressing"><s:Header>` +
		`<h:ServerVersionInfo xmlns:h="http://schemas.microsoft.com/exchange/2010/Autodiscover"><h:MajorVersion>15</h:MajorVersion><h:MinorVersion>2</h:MinorVersion>` +
		`<h:MajorBuildNumber>1544</h:MajorBuildNumber><h:MinorBuildNumber>4</h:MinorBuildNumber></h:ServerVersionInfo></s:Header>` +
		`<s:Body><GetUserSettingsResponseMessage xmlns="http://schemas.microsoft.com/exchange/2010/Autodiscover"><Response xmlns:i="http://www.w3.org/2001/XMLSchema-instance">` +
		response + `</Response></GetUserSettingsResponseMessage></s:Body></s:Envelope>`
}

func soapUser(user string) string {
	return soapAnswer(`<ErrorCode>NoError</ErrorCode><ErrorMessage/><UserResponses><UserResponse>` + user + `</UserResponse></UserResponses>`)
}

func soapSettings(internal, external string) string {
	return soapUser(`<ErrorCode>NoError</ErrorCode><ErrorMessage>No error.</ErrorMessage><RedirectTarget i:nil="true"/><UserSettingErrors/><UserSettings>` +
		`<UserSetting i:type="StringSetting"><Name>InternalEwsUrl</Name><Value>` + internal + `</Value></UserSetting>` +
		`<UserSetting i:type="StringSetting"><Name>ExternalEwsUrl</Name><Value>` + external + `</Value></UserSetting></UserSettings>`)
}

// site is a public web site: it knows nothing of Exchange.
func site(status int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(status)
		io.WriteString(w, "<!DOCTYPE html><html><body>Welcome</body></html>")
	})
}

func redirectTo(url string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, url, http.StatusFound) })
}

// outcomes lists step and outcome of all attempts.
func (w *world) outcomes() []string {
	var list []string
	for _, a := range w.attempts {
		list = append(list, a.Step+" "+a.Outcome)
	}
	return list
}

func (w *world) has(step, outcome string) bool {
	return slices.Contains(w.outcomes(), step+" "+outcome)
}

// find runs a search, and checks what holds for every one.
func (w *world) find(t *testing.T, change func(*autodiscover.Options)) (autodiscover.Result, error) {
	t.Helper()
	o := w.options(t)
	if change != nil {
		change(&o)
	}
	r, err := autodiscover.Find(t.Context(), o)
	if len(r.Tried) != len(w.attempts) {
		t.Errorf("the result has %d attempts, the listener was told of %d", len(r.Tried), len(w.attempts))
	}
	for _, a := range w.attempts {
		if a.Step == "" || a.URL == "" || a.Outcome == "" || a.Text == "" || strings.ContainsAny(a.Text, "\n\r\x1b") {
			t.Errorf("incomplete attempt: %+v", a)
		}
	}
	for _, u := range w.signedIn {
		if !strings.HasPrefix(u, "https://") {
			t.Errorf("a sign-in went to %s", u)
		}
	}
	var missing *autodiscover.NotFoundError
	if err != nil && (!errors.As(err, &missing) || len(missing.Tried) != len(w.attempts)) {
		t.Errorf("the error is %v", err)
	}
	return r, err
}
