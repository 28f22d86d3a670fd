package transport

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func env(kv ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(kv); i += 2 {
			if kv[i] == name {
				return kv[i+1]
			}
		}
		return ""
	}
}

func serverCA(srv *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
}

func TestTrust(t *testing.T) {
	t.Parallel()
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	t.Cleanup(srv.Close)
	dir := t.TempDir()
	file := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(file, serverCA(srv), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(dir, "empty.pem")
	if err := os.WriteFile(empty, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		o    Options
		bad  string // of New
		kind Kind   // of the request
	}{
		{"unknown authority", Options{}, "", KindAuthority},
		{"SSL_CERT_FILE", Options{Getenv: env("SSL_CERT_FILE", file)}, "", ""},
		{"ExtraCA", Options{ExtraCA: serverCA(srv)}, "", ""},
		{"missing file", Options{Getenv: env("SSL_CERT_FILE", file+"x")}, file + "x", ""},
		{"empty file", Options{Getenv: env("SSL_CERT_FILE", empty)}, empty, ""},
		{"bad ExtraCA", Options{ExtraCA: []byte("x")}, "PEM", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			client, err := New(c.o)
			if c.bad != "" {
				if err == nil || !strings.Contains(err.Error(), c.bad) {
					t.Errorf("New: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer client.CloseIdleConnections()
			_, _, err = send(t.Context(), t, client, "GET", srv.URL, "")
			if KindOf(err) != c.kind {
				t.Errorf("got %v", err)
			}
			var unknown x509.UnknownAuthorityError
			if c.kind != "" && !errors.As(err, &unknown) {
				t.Errorf("the cause is lost: %v", err)
			}
		})
	}
}

// certServer serves with a certificate made to order.
func certServer(t *testing.T, change func(*x509.Certificate)) (url string, ca []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	change(tpl)
	der, err := x509.CreateCertificate(rand.Reader, tpl, tpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv.URL, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// refused is where nothing listens. A port that was given back would not do: the next
// server of another test may get it.
const refused = "https://127.0.0.1:1"

func TestFailuresKeepTheirCause(t *testing.T) {
	t.Parallel()
	expired, ca1 := certServer(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Hour) })
	other, ca2 := certServer(t, func(c *x509.Certificate) { c.IPAddresses = nil; c.DNSNames = []string{"other.test"} })
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(plain.Close)
	old := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	old.TLS = &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}
	old.StartTLS()
	t.Cleanup(old.Close)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusProxyAuthRequired)
	}))
	t.Cleanup(proxy.Close)
	is := func(target error) func(error) bool { return func(err error) bool { return errors.Is(err, target) } }
	for _, c := range []struct {
		name, url string
		o         Options
		kind      Kind
		cause     func(error) bool
		text      string
	}{
		{"expired", expired, Options{ExtraCA: ca1}, KindExpired, func(err error) bool {
			var e x509.CertificateInvalidError
			return errors.As(err, &e) && e.Reason == x509.Expired
		}, "expired"},
		{"host name", other, Options{ExtraCA: ca2}, KindHostName, func(err error) bool {
			var e x509.HostnameError
			return errors.As(err, &e)
		}, "another host"},
		{"no TLS", strings.Replace(plain.URL, "http:", "https:", 1), Options{}, KindTLS, func(error) bool { return true }, "secure"},
		{"old TLS", old.URL, Options{ExtraCA: serverCA(old)}, KindTLS, func(error) bool { return true }, "secure"},
		{"refused", refused, Options{}, KindRefused, is(syscall.ECONNREFUSED), "refused"},
		{"DNS", "https://no-such-host.invalid", Options{}, KindDNS, func(err error) bool {
			var e *net.DNSError
			return errors.As(err, &e)
		}, "resolved"},
		{"proxy asks for a password", "https://graph.example.com", Options{Getenv: env("HTTPS_PROXY", strings.Replace(proxy.URL, "//", "//joe:s3cret@", 1))}, KindProxy, func(err error) bool {
			var e *ProxyError
			return errors.As(err, &e) && e.Status == 407 && e.Proxy == strings.TrimPrefix(proxy.URL, "http://")
		}, "407"},
		{"proxy refused", "https://graph.example.com", Options{Getenv: env("https_proxy", strings.TrimPrefix(refused, "https://"))}, KindProxy, is(syscall.ECONNREFUSED), "proxy 127"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			client, err := New(c.o)
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = send(t.Context(), t, client, "GET", c.url, "")
			if KindOf(err) != c.kind || !c.cause(err) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%s: %v", KindOf(err), err)
			}
			if strings.Contains(fmt.Sprintf("%v %+v", err, err), "s3cret") {
				t.Errorf("the proxy's password is in the error: %v", err)
			}
		})
	}
}

func TestTimeoutAndCancel(t *testing.T) {
	t.Parallel()
	free := make(chan struct{})
	entered := make(chan struct{}, 2)
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/cancel" {
			entered <- struct{}{}
		}
		select {
		case <-free:
		case <-r.Context().Done():
		}
	}))
	defer srv.Close()
	defer close(free)
	client := testClient(t, srv, SystemClock())
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, _, err := send(ctx, t, client, "GET", srv.URL, "")
	if KindOf(err) != KindTimeout || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("deadline: %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	go func() { <-entered; stop() }()
	_, _, err = send(ctx, t, client, "GET", srv.URL+"/cancel", "")
	if KindOf(err) != KindCanceled || !errors.Is(err, context.Canceled) {
		t.Errorf("cancel: %v", err)
	}
}

func TestBodyLimit(t *testing.T) {
	t.Parallel()
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		chunk := make([]byte, 1<<20)
		for range 17 {
			w.Write(chunk)
		}
	}))
	defer srv.Close()
	_, _, err := send(t.Context(), t, testClient(t, srv, newFakeClock()), "GET", srv.URL, "")
	var e *TooLargeError
	if !errors.As(err, &e) || KindOf(err) != KindTooLarge {
		t.Errorf("%v", err)
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	var elsewhere atomic.Int32
	other := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	}))
	defer srv.Close()
	status, _, err := send(t.Context(), t, testClient(t, srv, newFakeClock()), "GET", srv.URL, "")
	if err != nil || status != http.StatusTemporaryRedirect || elsewhere.Load() != 0 {
		t.Errorf("%d %v, %d requests elsewhere", status, err, elsewhere.Load())
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var ids []string
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		ids = append(ids, r.Header.Get("client-request-id"))
		if r.UserAgent() != "c2conn/1.2" || r.Header.Get("return-client-request-id") != "true" {
			t.Errorf("headers: %v", r.Header)
		}
		if len(ids) == 1 {
			w.WriteHeader(429)
		}
	}))
	defer srv.Close()
	client, err := New(Options{Base: srv.Client().Transport, Clock: newFakeClock(), UserAgent: "c2conn/1.2"})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := send(t.Context(), t, client, "GET", srv.URL, ""); err != nil {
		t.Fatal(err)
	}
	uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	if len(ids) != 2 || ids[0] == ids[1] || !uuid.MatchString(ids[0]) || !uuid.MatchString(ids[1]) {
		t.Errorf("ids: %v", ids)
	}
}

// TestOneConnection: requests that start together share one TLS connection.
func TestOneConnection(t *testing.T) {
	t.Parallel()
	for _, h2 := range []bool{true, false} {
		t.Run(fmt.Sprintf("http2=%v", h2), func(t *testing.T) {
			t.Parallel()
			var conns, served atomic.Int32
			srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				served.Add(1)
				io.WriteString(w, "ok")
			}))
			srv.EnableHTTP2 = h2
			srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
				if s == http.StateNew {
					conns.Add(1)
				}
			}
			srv.StartTLS()
			defer srv.Close()
			client, err := New(Options{ExtraCA: serverCA(srv)})
			if err != nil {
				t.Fatal(err)
			}
			defer client.CloseIdleConnections()
			for range 3 {
				var wg sync.WaitGroup
				for range 10 {
					wg.Go(func() {
						if _, text, err := send(t.Context(), t, client, "GET", srv.URL, ""); err != nil || text != "ok" {
							t.Errorf("%q %v", text, err)
						}
					})
				}
				wg.Wait()
			}
			if served.Load() != 30 || h2 && conns.Load() != 1 {
				t.Errorf("%d requests over %d connections", served.Load(), conns.Load())
			}
		})
	}
}

func TestGateReleasesAllWhenTheLeaderFails(t *testing.T) {
	t.Parallel()
	client, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, _, err := send(t.Context(), t, client, "GET", refused, ""); KindOf(err) != KindRefused {
				t.Errorf("%v", err)
			}
		})
	}
	wg.Wait()
}

func TestGateObeysTheContext(t *testing.T) {
	t.Parallel()
	block := make(chan struct{})
	in := make(chan struct{})
	g := newGate(roundTripper(func(r *http.Request) (*http.Response, error) {
		close(in)
		<-block
		return nil, io.EOF
	}))
	go func() {
		req, _ := http.NewRequest("GET", "https://slow.test", nil)
		g.RoundTrip(req)
	}()
	<-in
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	req, _ := http.NewRequestWithContext(ctx, "GET", "https://slow.test", nil)
	if _, err := g.RoundTrip(req); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	close(block)
}

func TestProxySettings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, url, want string
		env             []string
		bad             string
	}{
		{"none", "https://graph.example.com", "", nil, ""},
		{"upper case", "https://graph.example.com", "http://p:8080", []string{"HTTPS_PROXY", "http://p:8080"}, ""},
		{"lower case wins", "https://graph.example.com", "http://low:1", []string{"HTTPS_PROXY", "http://p:8080", "https_proxy", "http://low:1"}, ""},
		{"host and port alone", "https://graph.example.com", "http://p:8080", []string{"HTTPS_PROXY", "p:8080"}, ""},
		{"exception", "https://graph.example.com", "", []string{"HTTPS_PROXY", "http://p:8080", "NO_PROXY", ".example.com"}, ""},
		{"no proxy for plain http", "https://graph.example.com", "", []string{"HTTP_PROXY", "http://p:8080"}, ""},
		{"unreadable", "", "", []string{"HTTPS_PROXY", "http://joe:s3cret@ho st"}, "HTTPS_PROXY"},
		{"odd scheme", "", "", []string{"https_proxy", "ftp://p"}, "https_proxy"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			find, err := Proxies(env(c.env...))
			if c.bad != "" {
				if err == nil || !strings.Contains(err.Error(), c.bad) || strings.Contains(err.Error(), "s3cret") {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			req, _ := http.NewRequest("GET", c.url, nil)
			u, err := find(req)
			got := ""
			if u != nil {
				got = u.String()
			}
			if err != nil || got != c.want {
				t.Errorf("%q %v, want %q", got, err, c.want)
			}
		})
	}
}

// Whatever the resolver says of it, a name beneath localhost is this computer.
func TestNamesBeneathLocalhost(t *testing.T) {
	t.Parallel()
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Host) }))
	srv.Start()
	t.Cleanup(srv.Close)
	client, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(srv.URL, "http://"))
	for _, name := range []string{"contoso.sharepoint.localhost", "CONTOSO.localhost", "contoso.localhost."} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+name+":"+port+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || string(body) != name+":"+port {
			t.Errorf("%s: %q, %v", name, body, err)
		}
	}
}

// A server that sends a byte now and then is never silent, and may never come to an end.
func TestAnswerHasALimit(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, " ")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	defer srv.Close()
	client, err := New(Options{Limit: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, _, err = send(ctx, t, client, http.MethodGet, srv.URL, "")
	if KindOf(err) != KindTimeout || ctx.Err() != nil {
		t.Errorf("%v", err)
	}
}
