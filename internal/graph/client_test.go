package graph

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/progress"
	"github.com/c2conn/c2conn/internal/transport"
)

type quick struct{}

func (quick) Now() time.Time { return time.Now() }

func (quick) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

type server struct {
	*httptest.Server
	mu   sync.Mutex
	seen []string // "GET /v1.0/…?…"
}

func (s *server) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

func newServer(t *testing.T, handle http.HandlerFunc) (*server, *Client) {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.seen = append(s.seen, r.Method+" "+r.URL.RequestURI())
		s.mu.Unlock()
		w.Header().Set("request-id", "rid")
		handle(w, r)
	}))
	t.Cleanup(s.Close)
	client, err := transport.New(transport.Options{Base: s.Client().Transport, Clock: quick{}, UserAgent: "c2conn/test"})
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(Options{
		BaseURL: s.URL + "/v1.0", HTTP: client,
		Token: func(_ context.Context, claims string) (string, error) { return "token" + claims, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

func reply(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json;odata.metadata=minimal;charset=utf-8")
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

func TestOrganization(t *testing.T) {
	t.Parallel()
	s, c := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer token" || r.UserAgent() != "c2conn/test" || r.Header.Get("client-request-id") == "" || r.Header.Get("Content-Encoding") != "" {
			t.Errorf("headers %v", r.Header)
		}
		reply(200, `{"@odata.context":"x","value":[{"id":"1111","displayName":"Contoso \u001b[31m\u202e","verifiedDomains":[
			{"name":"contoso.onmicrosoft.com","isInitial":true,"isDefault":false,"capabilities":"Email","type":"Managed"},
			{"name":"contoso.com","isInitial":false,"isDefault":true},{"name":null},{}]}]}`)(w, r)
	})
	got, err := c.Organization(t.Context())
	want := Organization{ID: "1111", DisplayName: "Contoso [31m", DefaultDomain: "contoso.com", InitialDomain: "contoso.onmicrosoft.com", Domains: []string{"contoso.onmicrosoft.com", "contoso.com"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v %v", got, err)
	}
	if r := s.requests(); len(r) != 1 || r[0] != "GET /v1.0/organization?$select=id,displayName,verifiedDomains" {
		t.Errorf("%q", r)
	}
}

func TestUser(t *testing.T) {
	t.Parallel()
	const one = `"id":"u1","userPrincipalName":"admin@contoso.com","mail":null,"displayName":"Admin",` +
		`"proxyAddresses":["SMTP:Admin@contoso.com","smtp:a\u202e@contoso.com","X500:/o=x","smtp:","SIP:a@contoso.com",null]`
	want := User{ID: "u1", UPN: "admin@contoso.com", DisplayName: "Admin", Addresses: []string{"admin@contoso.com", "a@contoso.com"}}
	t.Run("by name", func(t *testing.T) {
		t.Parallel()
		s, c := newServer(t, reply(200, "{"+one+"}"))
		got, err := c.User(t.Context(), "o'neil#EXT#@contoso.com")
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v %v", got, err)
		}
		if r := s.requests(); len(r) != 1 || r[0] != "GET /v1.0/users/o%27neil%23EXT%23%40contoso.com?$select=id,userPrincipalName,mail,displayName,proxyAddresses" {
			t.Errorf("%q", r)
		}
	})
	for _, c := range []struct {
		name, list string
		found      bool
	}{
		{"by mail", `{"value":[{` + one + `}]}`, true},
		{"the same name", `{"value":[{"id":"u1","userPrincipalName":"O'Neil@contoso.com"}]}`, false},
		{"not at all", `{"value":[]}`, false},
		{"twice", `{"value":[{` + one + `},{` + one + `}]}`, false},
		{"search refused", ``, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, client := newServer(t, func(w http.ResponseWriter, r *http.Request) {
				switch {
				case strings.HasPrefix(r.URL.Path, "/v1.0/users/"):
					reply(404, `{"error":{"code":"Request_ResourceNotFound","message":"Resource 'x' does not exist."}}`)(w, r)
				case c.list == "":
					reply(403, `{"error":{"code":"Authorization_RequestDenied","message":"no"}}`)(w, r)
				case r.URL.Query().Get("$filter") != "mail eq 'o''neil@contoso.com'":
					t.Errorf("filter %q", r.URL.Query().Get("$filter"))
				default:
					reply(200, c.list)(w, r)
				}
			})
			got, err := client.User(t.Context(), "o'neil@contoso.com")
			if len(s.requests()) != 2 {
				t.Errorf("%q", s.requests())
			}
			if c.found {
				if err != nil || !reflect.DeepEqual(got, want) {
					t.Errorf("%+v %v", got, err)
				}
				return
			}
			var e *Error
			if !errors.As(err, &e) || e.Code != "Request_ResourceNotFound" || !reflect.DeepEqual(got, User{}) {
				t.Errorf("%+v %v", got, err)
			}
		})
	}
}

func TestGroupsAndMailbox(t *testing.T) {
	t.Parallel()
	s, c := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1.0/groups":
			reply(200, `{"value":[]}`)(w, r)
		default:
			reply(200, `{"@odata.context":"x","userPurpose":"shared"}`)(w, r)
		}
	})
	if err := c.Groups(t.Context()); err != nil {
		t.Error(err)
	}
	if p, err := c.MailboxPurpose(t.Context(), "u1"); err != nil || p != "shared" {
		t.Errorf("%q %v", p, err)
	}
	r := s.requests()
	if len(r) != 2 || r[1] != "GET /v1.0/users/u1/mailboxSettings?$select=userPurpose" || !strings.Contains(r[0], "$top=1") || !strings.Contains(r[0], "$select=id") {
		t.Errorf("%q", r)
	}
	_, c = newServer(t, reply(200, `{"userPurpose":"somethingNew"}`))
	if p, err := c.MailboxPurpose(t.Context(), "u1"); err != nil || p != "" {
		t.Errorf("%q %v", p, err)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	html := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(status)
			io.WriteString(w, body)
		}
	}
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		want   Error
	}{
		{"documented", reply(403, `{"error":{"code":"Authorization_RequestDenied","message":"Insufficient privileges to complete the operation.","innerError":{"date":"2026-11-22T04:00:00","request-id":"rid-2","client-request-id":"crid"}}}`),
			Error{Status: 403, Code: "Authorization_RequestDenied", Message: "Insufficient privileges to complete the operation."}},
		{"details", reply(400, `{"error":{"code":"CredentialInvalidLifetimeAsPerAppPolicy","message":"Credential lifetime exceeds the max value allowed as per assigned policy 'x'.","details":[{"code":"InvalidKeyEndDate\u202e","message":"m","target":"EndDate","more":1},{"code":5}]}}`),
			Error{Status: 400, Code: "CredentialInvalidLifetimeAsPerAppPolicy", Message: "Credential lifetime exceeds the max value allowed as per assigned policy 'x'.", Details: []ErrorDetail{{"InvalidKeyEndDate", "m", "EndDate"}, {}}}},
		{"details that are none", reply(400, `{"error":{"code":"x","message":"y","details":{"code":"z"}}}`), Error{Status: 400, Code: "x", Message: "y"}},
		{"no message", reply(403, `{"error":{"code":"Authorization_RequestDenied"}}`), Error{Status: 403, Code: "Authorization_RequestDenied"}},
		{"empty error", reply(403, `{"error":{}}`), Error{Status: 403}},
		{"error null", reply(400, `{"error":null}`), Error{Status: 400}},
		{"error a text", reply(400, `{"error":"x"}`), Error{Status: 400}},
		{"wrong types", reply(400, `{"error":{"code":5,"message":[]}}`), Error{Status: 400}},
		{"not found", reply(404, `{"error":{"code":"MailboxNotEnabledForRESTAPI","message":"a\u001b]0;x\u0007\nb\u202e"}}`), Error{Status: 404, Code: "MailboxNotEnabledForRESTAPI", Message: "a]0;x b"}},
		{"empty body", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, Error{Status: 500}},
		{"proxy page", html(502, "<html>proxy error</html>"), Error{Status: 502, ContentType: "text/html"}},
		{"proxy page with 200", html(200, "<html>sign in to the hotel</html>"), Error{Status: 200, ContentType: "text/html"}},
		{"broken JSON", reply(200, `{"value":[{"id":`), Error{Status: 200}},
		{"JSON list", reply(200, `[1,2]`), Error{Status: 200}},
		{"JSON null", reply(200, `null`), Error{Status: 200}},
		{"JSON text", reply(200, `"x"`), Error{Status: 200}},
		{"empty 200", reply(200, ``), Error{Status: 200}},
		{"204", reply(204, ``), Error{Status: 204}},
		{"no value", reply(200, `{}`), Error{Status: 200}},
		{"empty value", reply(200, `{"value":[]}`), Error{Status: 200}},
		{"null in the list", reply(200, `{"value":[null]}`), Error{Status: 200}},
		{"wrong types inside", reply(200, `{"value":[{"id":{"a":1},"verifiedDomains":"x"}]}`), Error{Status: 200}},
		{"redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "https://elsewhere.test/", 302) }, Error{Status: 302, ContentType: "text/html; charset=utf-8"}},
		{"challenge that nobody can read", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("WWW-Authenticate", "Bearer claims=x")
			reply(401, `{"error":{"code":"InvalidAuthenticationToken","message":"x"}}`)(w, r)
		}, Error{Status: 401, Code: "InvalidAuthenticationToken", Message: "x"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, client := newServer(t, c.answer)
			_, err := client.Organization(t.Context())
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("%T %v", err, err)
			}
			if e.Op != "read organization" || e.RequestID != "rid" || e.Time.IsZero() || e.Status >= 400 && e.ClientRequestID == "" {
				t.Errorf("%+v", e)
			}
			got := *e
			got.Op, got.RequestID, got.ClientRequestID, got.Time = "", "", "", time.Time{}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
			if len(s.requests()) != 1 {
				t.Errorf("%q", s.requests())
			}
			if e.Error() == "" {
				t.Error("no text")
			}
		})
	}
}

func TestThrottledAndCut(t *testing.T) {
	t.Parallel()
	var n atomic.Int32
	_, c := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		switch n.Add(1) {
		case 1: // on a fresh connection; on a used one net/http repeats by itself
			if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
				conn.Close()
			}
		case 2:
			w.Header().Set("Retry-After", "2.128")
			reply(429, `{"error":{"code":"TooManyRequests","message":"Please retry again later."}}`)(w, r)
		default:
			reply(200, `{"value":[{"id":"1"}]}`)(w, r)
		}
	})
	var words []string
	ctx := progress.With(t.Context(), func(u progress.Update) { words = append(words, u.Text) })
	if _, err := c.Organization(ctx); err != nil {
		t.Error(err)
	}
	if want := []string{"The connection to Microsoft Graph was cut, waiting 1 s, try 2 of 5", "Microsoft Graph is busy (429), waiting 3 s, try 3 of 5"}; !slices.Equal(words, want) {
		t.Errorf("%q", words)
	}
	_, c = newServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "999999")
		reply(429, `{"error":{"code":"TooManyRequests","message":"x"}}`)(w, r)
	})
	_, err := c.Organization(t.Context())
	var e *Error
	if !errors.As(err, &e) || e.Status != 429 || e.RetryAfter != 999999*time.Second {
		t.Errorf("%+v", err)
	}
	_, c = newServer(t, func(w http.ResponseWriter, r *http.Request) {
		if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
			conn.Close()
		}
	})
	_, err = c.Organization(t.Context())
	if !errors.As(err, &e) || e.Status != 0 || transport.KindOf(err) != transport.KindCut {
		t.Errorf("%v", err)
	}
}

func TestClaimsChallenge(t *testing.T) {
	t.Parallel()
	for _, always := range []bool{false, true} {
		s, c := newServer(t, func(w http.ResponseWriter, r *http.Request) {
			if always || r.Header.Get("Authorization") != `Bearer token{"a":1}` {
				w.Header().Set("WWW-Authenticate", `Bearer realm="", error="insufficient_claims", claims="`+base64.StdEncoding.EncodeToString([]byte(`{"a":1}`))+`"`)
				reply(401, `{"error":{"code":"InvalidAuthenticationToken","message":"Continuous access evaluation"}}`)(w, r)
				return
			}
			reply(200, `{"value":[{"id":"1"}]}`)(w, r)
		})
		_, err := c.Organization(t.Context())
		var e *Error
		if always != errors.As(err, &e) || len(s.requests()) != 2 || always && e.Status != 401 {
			t.Errorf("always=%v: %v after %d requests", always, err, len(s.requests()))
		}
	}
}

func TestNoTokenNoRequest(t *testing.T) {
	t.Parallel()
	s, c := newServer(t, reply(200, `{}`))
	why := errors.New("AADSTS700016")
	c.o.Token = func(context.Context, string) (string, error) { return "", why }
	_, err := c.Organization(t.Context())
	var e *Error
	if !errors.Is(err, why) || errors.As(err, &e) || len(s.requests()) != 0 {
		t.Errorf("%T %v, %q", err, err, s.requests())
	}
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	_, c := newServer(t, reply(200, `{}`))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Organization(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	token := func(context.Context, string) (string, error) { return "", nil }
	for _, o := range []Options{
		{BaseURL: "http://graph.microsoft.com/v1.0", Token: token, HTTP: http.DefaultClient},
		{BaseURL: "graph", Token: token, HTTP: http.DefaultClient},
		{BaseURL: "https://graph.microsoft.com/v1.0", HTTP: http.DefaultClient},
		{BaseURL: "https://graph.microsoft.com/v1.0", Token: token},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v accepted", o.BaseURL)
		}
	}
}

func TestSideBySide(t *testing.T) {
	t.Parallel()
	_, c := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/groups") {
			reply(403, `{"error":{"code":"Authorization_RequestDenied","message":"x"}}`)(w, r)
			return
		}
		reply(200, `{"value":[{"id":"1"}]}`)(w, r)
	})
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if i%2 == 0 {
				if _, err := c.Organization(t.Context()); err != nil {
					t.Error(err)
				}
				return
			}
			var e *Error
			if err := c.Groups(t.Context()); !errors.As(err, &e) || e.Status != 403 {
				t.Error(fmt.Sprint(err))
			}
		})
	}
	wg.Wait()
}
