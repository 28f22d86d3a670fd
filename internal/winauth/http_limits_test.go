package winauth_test

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/c2conn/c2conn/internal/sim/onprem/binding"
	"github.com/c2conn/c2conn/internal/sim/onprem/httpauth"
	"github.com/c2conn/c2conn/internal/transport"
	"github.com/c2conn/c2conn/internal/winauth"
)

func TestHTTPWithoutMethod(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct {
		name    string
		offer   []string
		methods []winauth.Method
		user    string
		say     string
	}{
		{"Bearer alone", []string{`Bearer client_id="x"`}, nil, exadmin, "Bearer"},
		{"nothing", nil, nil, exadmin, "offers no way"},
		{"Basic not allowed", []string{`Basic realm="x"`}, []winauth.Method{winauth.Kerberos, winauth.NTLM}, exadmin, "Basic"},
		{"Kerberos alone, no account in the domain", []string{"Negotiate"}, []winauth.Method{winauth.Kerberos}, `EU\exadmin`, "Negotiate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			site := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != "" {
					t.Errorf("credentials of the kind %.9s", r.Header.Get("Authorization"))
				}
				rw.Header()["Www-Authenticate"] = c.offer
				rw.WriteHeader(401)
			}))
			site.TLS = w.tls()
			site.StartTLS()
			defer site.Close()
			w.at(exchange+":443", site.Listener.Addr().String())
			_, _, err := post(t, w.client(w.account(c.user, password), c.methods...), ews, "x")
			var none *winauth.NoMethodError
			if !errors.As(err, &none) || !strings.Contains(err.Error(), c.say) || len(none.Offered) != len(c.offer) {
				t.Errorf("%v", err)
			}
		})
	}
}

// No credentials go over plain http: only tickets, and only where that is wanted.
func TestPlainHTTP(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	site := w.web(true, httpauth.Options{Methods: []httpauth.Method{httpauth.Negotiate, httpauth.NTLM, httpauth.Basic}})
	var plain *winauth.PlainError
	if _, _, err := post(t, w.client(w.account(exadmin, password)), "http://exch01.corp.test/PowerShell/", "x"); !errors.As(err, &plain) {
		t.Errorf("%v", err)
	}
	if site.log() != "POST 0" {
		t.Errorf("requests %s", site.log())
	}
	a := w.account(exadmin, password)
	client := a.HTTP(winauth.HTTPOptions{PlainKerberos: true})
	defer client.CloseIdleConnections()
	status, body, err := post(t, client, "http://exch01.corp.test/PowerShell/", "x")
	if err != nil || status != 200 || body != "exadmin Kerberos x" {
		t.Errorf("%d %q %v", status, body, err)
	}
	// Without Kerberos there is nothing that may be used.
	ntlm := w.web(true, httpauth.Options{Methods: []httpauth.Method{httpauth.NTLM, httpauth.Basic}})
	if _, _, err := post(t, client, "http://exch01.corp.test:80/PowerShell/", "x"); err != nil && !errors.As(err, &plain) {
		t.Errorf("%v", err)
	}
	client2 := w.account(exadmin, password).HTTP(winauth.HTTPOptions{PlainKerberos: true})
	if _, _, err := post(t, client2, "http://exch01.corp.test/PowerShell/", "x"); !errors.As(err, &plain) {
		t.Errorf("%v", err)
	}
	if strings.ContainsAny(ntlm.log(), "NB") {
		t.Errorf("requests %s", ntlm.log())
	}
}

// A server on plain http must prove itself: nobody else does.
func TestPlainHTTPWantsProof(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	site := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" {
			rw.Header().Set("WWW-Authenticate", "Negotiate")
			rw.WriteHeader(401)
		}
	}))
	defer site.Close()
	w.at(exchange+":80", site.Listener.Addr().String())
	client := w.account(exadmin, password).HTTP(winauth.HTTPOptions{PlainKerberos: true})
	var broken *winauth.ProtocolError
	if _, _, err := post(t, client, "http://exch01.corp.test/PowerShell/", "x"); !errors.As(err, &broken) {
		t.Errorf("%v", err)
	}
}

func TestHTTPUntrusted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	site := w.web(false, httpauth.Options{Methods: []httpauth.Method{httpauth.Basic}})
	client := w.account(exadmin, password).HTTP(winauth.HTTPOptions{Trust: winauth.NewTrust(winauth.TrustOptions{Roots: newAuthority(t).pool})})
	_, _, err := post(t, client, ews, "x")
	var untrusted *winauth.UntrustedError
	if !errors.As(err, &untrusted) || untrusted.SHA256 != winauth.SHA256(w.cert.Leaf) {
		t.Fatalf("%v", err)
	}
	if site.log() != "" {
		t.Errorf("requests %s", site.log())
	}
	pinned := winauth.NewTrust(winauth.TrustOptions{Roots: newAuthority(t).pool, Pins: map[string]string{untrusted.Host: untrusted.SHA256}})
	client = w.account(exadmin, password).HTTP(winauth.HTTPOptions{Trust: pinned})
	if status, _, err := post(t, client, ews, "x"); err != nil || status != 200 {
		t.Errorf("pinned: %d %v", status, err)
	}
}

// An answer without a sign-in is the caller's, a redirect too.
func TestHTTPAnonymous(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var log []string
	site := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		log = append(log, r.Method+" "+string(b)+r.Header.Get("Authorization"))
		if r.Method == http.MethodGet {
			http.Redirect(rw, r, "https://elsewhere.corp.test/", http.StatusFound)
		}
	}))
	site.TLS = w.tls()
	site.StartTLS()
	defer site.Close()
	w.at(exchange+":443", site.Listener.Addr().String())
	client := w.client(w.account(exadmin, password))
	for range 2 {
		if status, _, err := post(t, client, ews, "x"); err != nil || status != 200 {
			t.Errorf("%d %v", status, err)
		}
	}
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, ews, nil)
	r.Header.Set("Authorization", "Basic of the caller's")
	res, err := client.Do(r)
	if err != nil || res.StatusCode != 302 {
		t.Fatalf("%v %v", res, err)
	}
	res.Body.Close()
	if got := strings.Join(log, ", "); got != "POST , POST x, POST x, GET " {
		t.Errorf("requests %s", got)
	}
}

// Servers that begin a handshake and break its rules.
func TestHTTPBrokenNTLM(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	challenge := "NTLM " + base64.StdEncoding.EncodeToString(unhex(challengeVector))
	for _, c := range []struct {
		name  string
		serve func(rw http.ResponseWriter, step string)
		want  any
	}{
		{"no challenge", func(rw http.ResponseWriter, _ string) {
			rw.Header().Set("WWW-Authenticate", "NTLM")
			rw.WriteHeader(401)
		}, new(*winauth.NoMethodError)},
		{"rubbish", func(rw http.ResponseWriter, _ string) {
			rw.Header().Set("WWW-Authenticate", "NTLM eHh4")
			rw.WriteHeader(401)
		}, new(*winauth.ProtocolError)},
		{"done after the first message", func(http.ResponseWriter, string) {}, new(*winauth.ProtocolError)},
		{"closes after the challenge", func(rw http.ResponseWriter, _ string) {
			rw.Header().Set("WWW-Authenticate", challenge)
			rw.Header().Set("Connection", "close")
			rw.WriteHeader(401)
		}, new(*winauth.ProtocolError)},
		{"large page", func(rw http.ResponseWriter, step string) {
			if step == "negotiate" {
				rw.Header().Set("WWW-Authenticate", challenge)
			}
			rw.WriteHeader(401)
			_, _ = rw.Write(make([]byte, 1<<20)) // its end is not waited for, so the connection is lost
		}, new(*winauth.ProtocolError)},
	} {
		t.Run(c.name, func(t *testing.T) {
			site := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") == "" {
					rw.Header().Set("WWW-Authenticate", "NTLM")
					rw.WriteHeader(401)
					return
				}
				step := "negotiate"
				if strings.HasPrefix(r.Header.Get("Authorization"), "NTLM TlRMTVNTUAAD") {
					step = "authenticate"
				}
				c.serve(rw, step)
			}))
			site.TLS = w.tls()
			site.StartTLS()
			defer site.Close()
			w.at(exchange+":443", site.Listener.Addr().String())
			a := w.account(exadmin, password)
			_, _, err := post(t, w.client(a, winauth.NTLM), ews, "x")
			if err == nil || !errors.As(err, c.want) {
				t.Errorf("%T %v", err, err)
			}
			if a.Proven() {
				t.Error("proven")
			}
		})
	}
}

func TestHTTPProxy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.web(false, iis(binding.Require))
	refuse := false
	proxy := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if refuse || r.Method != http.MethodConnect {
			rw.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		there, err := w.dial(r.Context(), "tcp", r.Host)
		if err != nil {
			rw.WriteHeader(http.StatusBadGateway)
			return
		}
		rw.WriteHeader(200)
		here, early, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		// What the client has sent in the meantime is in the buffer, not in the connection.
		go func() { _, _ = io.Copy(there, early); there.Close() }()
		_, _ = io.Copy(here, there)
		here.Close()
	}))
	defer proxy.Close()
	w.at("proxy.corp.test:3128", proxy.Listener.Addr().String())
	options := winauth.HTTPOptions{
		Trust: winauth.NewTrust(winauth.TrustOptions{Roots: w.ca.pool}),
		Proxy: func(*http.Request) (*url.URL, error) { return url.Parse("http://proxy.corp.test:3128") },
	}
	for _, m := range []winauth.Method{winauth.Kerberos, winauth.NTLM} {
		options.Methods = []winauth.Method{m}
		client := w.account(exadmin, password).HTTP(options)
		if status, body, err := post(t, client, ews, "x"); err != nil || status != 200 || body != "exadmin "+string(m)+" x" {
			t.Errorf("%d %q %v", status, body, err)
		}
		client.CloseIdleConnections()
	}
	refuse = true
	_, _, err := post(t, w.account(exadmin, password).HTTP(options), ews, "x")
	var no *transport.ProxyError
	if !errors.As(err, &no) || no.Status != 407 {
		t.Errorf("%v", err)
	}
}

func TestHTTPObeysContext(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	hold := make(chan struct{})
	site := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hold }))
	site.TLS = w.tls()
	site.StartTLS()
	defer site.Close()
	defer close(hold)
	w.at(exchange+":443", site.Listener.Addr().String())
	client := w.client(w.account(exadmin, password))
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 6 { // two of them wait for a connection
		wg.Go(func() {
			r, _ := http.NewRequestWithContext(ctx, http.MethodGet, ews, nil)
			if res, err := client.Do(r); !errors.Is(err, context.Canceled) {
				t.Errorf("%v %v", res, err)
			}
		})
	}
	cancel()
	wg.Wait()
}
