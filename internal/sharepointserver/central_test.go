package sharepointserver_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/c2conn/c2conn/internal/sharepointserver"
	"github.com/c2conn/c2conn/internal/transport"
	"github.com/c2conn/c2conn/internal/winauth"
)

func newCentral(t *testing.T, tls bool) *farm {
	f := newFarm(t, tls)
	f.web = "CENTRALADMIN"
	return f
}

// host is the farm's host and port.
func (f *farm) host() string {
	_, host, _ := strings.Cut(f.URL, "://")
	return host
}

func TestCentral(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		ask      string // scheme
		tls      bool   // what it speaks
		verbose  bool
		otherWas bool
	}{
		{name: "http", ask: "http"},
		{name: "https", ask: "https", tls: true, verbose: true},
		{name: "https asked, http spoken", ask: "https", otherWas: true},
		{name: "http asked, https spoken", ask: "http", tls: true, otherWas: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newCentral(t, c.tls)
			f.verbose = c.verbose
			got, err := f.client(t).Central(t.Context(), c.ask+"://"+f.host()+"/_admin/default.aspx?x=1", true)
			if err != nil || got.URL != f.URL+"/" || got.Title != "Intranet" || got.Build.Revision != 10417 || (got.Other != nil) != c.otherWas {
				t.Errorf("%+v %v", got, err)
			}
		})
	}
}

// Where https was asked for, nothing goes over http, whoever answers there.
func TestCentralStaysWithTLS(t *testing.T) {
	t.Parallel()
	var central *sharepointserver.CentralError
	f := newCentral(t, false)
	if _, err := f.client(t).Central(t.Context(), "https://"+f.host(), false); !errors.As(err, &central) || !central.Plain || len(central.Tried) != 1 || f.log() != "" {
		t.Errorf("%+v, requests %q", central, f.log())
	}
	sends := newCentral(t, true)
	sends.at["/_api/web"] = answers(302, "text/html", "", "Location", "http://"+sends.host()+"/")
	if _, err := sends.client(t).Central(t.Context(), sends.URL, false); !errors.As(err, &central) || central.Plain || len(central.Tried) != 1 {
		t.Errorf("%v", err)
	}
	if _, err := f.client(t).Central(t.Context(), nobody, false); !errors.As(err, &central) || central.Plain || len(central.Tried) != 1 {
		t.Errorf("%v", err)
	}
}

// A port that speaks TLS closes the connection of whoever speaks http, as IIS does, or
// sends a TLS alert.
func TestCentralBehindTLS(t *testing.T) {
	t.Parallel()
	for name, alert := range map[string]string{"closes": "", "an alert": "\x15\x03\x03\x00\x02\x02\x46"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newCentral(t, true)
			listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			go func() {
				for {
					conn, err := listener.Accept()
					if err != nil {
						return
					}
					go func() {
						defer conn.Close()
						r := bufio.NewReader(conn)
						if first, err := r.Peek(1); err != nil || first[0] != 0x16 {
							_, _ = http.ReadRequest(r)
							_, _ = io.WriteString(conn, alert)
							return
						}
						back, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", f.host())
						if err != nil {
							return
						}
						defer back.Close()
						go func() { _, _ = io.Copy(back, r) }()
						_, _ = io.Copy(conn, back)
					}()
				}
			}()
			got, err := f.client(t).Central(t.Context(), "http://"+listener.Addr().String(), false)
			if err != nil || got.URL != "https://"+listener.Addr().String()+"/" || got.Other == nil {
				t.Errorf("%+v %v", got, err)
			}
		})
	}
}

func TestCentralNot(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		want   sharepointserver.Reason
		asked  int
	}{
		{"another web application", answers(200, "application/json", `{"Title":"Intranet","WebTemplate":"STS"}`), sharepointserver.NotCentral, 1},
		{"no right", answers(403, "text/plain", "403 FORBIDDEN"), sharepointserver.Denied, 1},
		{"another server", bare(answers(404, "text/html", "")), sharepointserver.NotThere, 1},
		{"another program", bare(answers(200, "application/json", `{"status":"ok"}`)), sharepointserver.NotSharePoint, 1},
		{"a login page", answers(302, "text/html", "", "Location", "/_login/"), sharepointserver.LoginPage, 1},
		{"moved elsewhere", answers(302, "text/html", "", "Location", "https://other.corp.test/"), sharepointserver.Moved, 1},
		{"stopped", answers(503, "text/html", ""), sharepointserver.Busy, 5},
		{"not http enough", bare(answers(400, "text/html", "The plain HTTP request was sent to HTTPS port")), sharepointserver.NotSharePoint, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newCentral(t, false)
			f.at["/_api/web"] = c.answer
			_, err := f.client(t).Central(t.Context(), f.URL, true)
			var central *sharepointserver.CentralError
			var e *sharepointserver.Error
			if !errors.As(err, &central) || !errors.As(err, &e) || e.Reason != c.want || !errors.Is(central.Likely, central.Tried["http"]) {
				t.Fatalf("%v", err)
			}
			if n := strings.Count(f.log(), "\n") + 1; n != c.asked {
				t.Errorf("%d requests", n)
			}
			if both := len(central.Tried) == 2; both != (c.name == "not http enough") {
				t.Errorf("tried %v", central.Tried)
			}
		})
	}
}

// A redirect to the other scheme of the same port is followed by asking there.
func TestCentralSendsToTLS(t *testing.T) {
	t.Parallel()
	f := newCentral(t, true)
	plain := newCentral(t, false)
	plain.at["/_api/web"] = answers(302, "text/html", "", "Location", "https://ca.corp.test:34567/")
	base := f.Client().Transport.(*http.Transport).Clone()
	base.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // the name is not that of the test's certificate
	base.DialTLSContext = nil
	base.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, plain.host())
	}
	base.DialTLSContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&tls.Dialer{Config: base.TLSClientConfig}).DialContext(ctx, network, f.host())
	}
	got, err := newClient(t, base).Central(t.Context(), "http://ca.corp.test:34567", false)
	if err != nil || got.URL != "https://ca.corp.test:34567/" {
		t.Errorf("%+v %v", got, err)
	}
}

// An address without a port has that of its scheme, also where the other scheme is tried.
func TestCentralKeepsThePort(t *testing.T) {
	t.Parallel()
	for ask, want := range map[string]string{
		"http://ca.corp.test": "ca.corp.test:80", "https://ca.corp.test/": "ca.corp.test:443", "https://[::1]": "[::1]:443", "http://ca.corp.test:443": "ca.corp.test:443",
	} {
		var (
			mu     sync.Mutex
			dialed []string
		)
		base := &http.Transport{DialContext: func(_ context.Context, _, address string) (net.Conn, error) {
			mu.Lock()
			defer mu.Unlock()
			dialed = append(dialed, address)
			return nil, syscall.ECONNREFUSED
		}}
		_, err := newClient(t, base).Central(t.Context(), ask, true)
		var central *sharepointserver.CentralError
		if !errors.As(err, &central) || len(central.Tried) != 2 || !slices.Equal(slices.Compact(dialed), []string{want}) || central.At == "" {
			t.Errorf("%s: dialled %v, %v", ask, dialed, err)
		}
	}
}

func TestCentralWrongPort(t *testing.T) {
	t.Parallel()
	f := newCentral(t, false)
	_, err := f.client(t).Central(t.Context(), nobody, true)
	var central *sharepointserver.CentralError
	if !errors.As(err, &central) || len(central.Tried) != 2 || !errors.Is(err, syscall.ECONNREFUSED) || transport.KindOf(central.Likely) != transport.KindRefused {
		t.Errorf("%v", err)
	}
	if _, err := f.client(t).Central(t.Context(), "localhost:1", true); !errors.As(err, &central) || central.Likely == nil {
		t.Errorf("%v", err)
	}
}

// refuses is a transport that does not sign in.
type refuses map[string]error // by scheme

func (r refuses) RoundTrip(q *http.Request) (*http.Response, error) {
	return nil, &transport.FinalError{Err: r[q.URL.Scheme]}
}

// A refused sign-in is told as it is, and not tried again with the other scheme.
func TestCentralRefused(t *testing.T) {
	t.Parallel()
	for _, refusal := range []error{
		&winauth.WrongPasswordError{Account: "a"}, &winauth.LockedError{Account: "a"}, &winauth.RefusedError{Proven: true}, &winauth.PlainError{NTLM: true},
		&winauth.UntrustedError{}, &winauth.PinChangedError{},
	} {
		_, err := newClient(t, refuses{"http": refusal}).Central(t.Context(), "http://ca.corp.test:34567", false)
		var central *sharepointserver.CentralError
		if !errors.As(err, &central) || len(central.Tried) != 1 || !errors.Is(err, refusal) {
			t.Errorf("%T: %v", refusal, err)
		}
		// It tells more than that the port does not speak TLS.
		_, err = newClient(t, refuses{"https": tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}, "http": refusal}).Central(t.Context(), "https://ca.corp.test:34567", true)
		if errors.As(err, &central) {
			central.Tried = nil
		}
		if !errors.Is(err, refusal) {
			t.Errorf("%T: %v", refusal, err)
		}
	}
}

// A refused sign-in ends the list, unless the password is right: then the other way is tried.
func TestListRefused(t *testing.T) {
	t.Parallel()
	var list *sharepointserver.ListError
	wrong := &winauth.WrongPasswordError{Account: "a"}
	if _, err := newClient(t, refuses{"https": wrong}).List(t.Context(), "https://sp.corp.test", nil); !errors.Is(err, wrong) || errors.As(err, &list) {
		t.Errorf("%v", err)
	}
	refused := &winauth.RefusedError{Account: "a", Proven: true, Status: 401}
	if _, err := newClient(t, refuses{"https": refused}).List(t.Context(), "https://sp.corp.test", nil); !errors.Is(err, refused) || !errors.As(err, &list) {
		t.Errorf("%v", err)
	}
}
