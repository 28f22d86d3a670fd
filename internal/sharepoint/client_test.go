package sharepoint

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/progress"
	"github.com/c2conn/c2conn/internal/transport"
)

// quick is a clock whose waits take no time.
type quick struct{}

func (quick) Now() time.Time { return time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC) }

func (quick) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// server notes what it is asked.
type server struct {
	*httptest.Server
	mu   sync.Mutex
	seen []string
}

func (s *server) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

// newServer starts a host that answers its nth request by handle.
func newServer(t *testing.T, handle func(n int, w http.ResponseWriter, r *http.Request)) (*server, *Client) {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.seen = append(s.seen, r.Method+" "+r.URL.RequestURI())
		n := len(s.seen)
		s.mu.Unlock()
		handle(n, w, r)
	}))
	t.Cleanup(s.Close)
	c, err := New(Options{BaseURL: s.URL + "/", HTTP: client(t, s.Client().Transport), Clock: quick{}, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

func client(t *testing.T, base http.RoundTripper) *http.Client {
	t.Helper()
	c, err := transport.New(transport.Options{Base: base, Clock: quick{}, UserAgent: "c2conn/test"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func token(_ context.Context, claims string) (string, error) { return "token" + claims, nil }

// say answers as SharePoint does; header holds names and values.
func say(w http.ResponseWriter, status int, contentType, body string, header ...string) {
	w.Header().Set("SPRequestGuid", "guid")
	w.Header().Set("Content-Type", contentType)
	for i := 0; i+1 < len(header); i += 2 {
		w.Header().Set(header[i], header[i+1])
	}
	if w.Header().Get("SPRequestGuid") == "" {
		w.Header().Del("SPRequestGuid")
	}
	w.WriteHeader(status)
	io.WriteString(w, body)
}

const (
	jsonType = "application/json;odata=nometadata;streaming=true;charset=utf-8"
	webText  = `{"Title":"Contoso \u001b[31m\u202eTeam","Url":"https://contoso.sharepoint.com/sites/t"}`
)

func TestWeb(t *testing.T) {
	t.Parallel()
	s, c := newServer(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		for name, want := range map[string]string{
			"Authorization": "Bearer token", "Accept": "application/json;odata=nometadata", "User-Agent": "c2conn/test", "Accept-Language": "en-US",
		} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		say(w, 200, jsonType, webText)
	})
	want := Web{Title: "Contoso [31mTeam", URL: "https://contoso.sharepoint.com/sites/t"}
	host := strings.TrimPrefix(s.URL, "https://")
	for _, site := range []string{"", s.URL, s.URL + "/", s.URL + "/sites/t", s.URL + "/sites/t/", s.URL + "/sites/a%20b", s.URL + "/sites/a Ż", "https://me:secret@" + host + "/sites/t?x=1#y"} {
		if web, err := c.Web(t.Context(), site); err != nil || web != want {
			t.Errorf("%s: %+v %v", site, web, err)
		}
	}
	root, team := "GET /_api/web?$select=Title,Url", "GET /sites/t/_api/web?$select=Title,Url"
	if got := s.asked(); !slices.Equal(got, []string{root, root, root, team, team, "GET /sites/a%20b/_api/web?$select=Title,Url", "GET /sites/a%20%C5%BB/_api/web?$select=Title,Url", team}) {
		t.Errorf("%q", got)
	}
}

func TestForeignSites(t *testing.T) {
	t.Parallel()
	s, c := newServer(t, func(_ int, w http.ResponseWriter, _ *http.Request) { say(w, 200, jsonType, webText) })
	for _, site := range []string{
		"https://fabrikam.sharepoint.com/sites/t", s.URL + ".example.com/", strings.Replace(s.URL, "https", "http", 1), "/sites/t", "https:opaque",
		"https://[::1", "https://exa mple/", "\x1b[31m", "ftp://x/",
	} {
		web, err := c.Web(t.Context(), site)
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Status != 0 || e.Err == nil || web != (Web{}) || e.Error() != transport.CleanText(e.Error(), 4000) {
			t.Errorf("%q: %+v %v", site, web, err)
		}
	}
	if got := s.asked(); len(got) != 0 {
		t.Errorf("sent %q", got)
	}
	if _, err := c.Web(t.Context(), "https://fabrikam.sharepoint.com"); !isForeign(err) {
		t.Error(err)
	}
	for _, base := range []string{"", "contoso", "http://contoso.sharepoint.com", "https://", "https://contoso.sharepoint.com/sites/t", "https://me@contoso.sharepoint.com", "https://contoso.sharepoint.com?x", "https://[::1"} {
		if c, err := New(Options{BaseURL: base, HTTP: &http.Client{}, Token: token}); err == nil || c != nil {
			t.Errorf("%q taken", base)
		}
	}
	if _, err := New(Options{BaseURL: s.URL}); err == nil {
		t.Error("no token")
	}
}

func isForeign(err error) bool {
	_, ok := errors.AsType[*transport.ForeignHostError](err)
	return ok
}

func TestTokens(t *testing.T) {
	t.Parallel()
	challenge := `Bearer realm="", error="insufficient_claims", claims="` + base64.StdEncoding.EncodeToString([]byte(`{"a":1}`)) + `"`
	for _, always := range []bool{false, true} {
		s, c := newServer(t, func(_ int, w http.ResponseWriter, r *http.Request) {
			if always || r.Header.Get("Authorization") != `Bearer token{"a":1}` {
				say(w, 401, jsonType, `{"error_description":"Continuous access evaluation"}`, "WWW-Authenticate", challenge)
				return
			}
			say(w, 200, jsonType, webText)
		})
		_, err := c.Web(t.Context(), "")
		e, refused := errors.AsType[*Error](err)
		if len(s.asked()) != 2 || refused != always || refused && e.Status != 401 {
			t.Errorf("%v after %q", err, s.asked())
		}
	}
	_, c := newServer(t, nil)
	none := errors.New("no token")
	var err error
	c, err = New(Options{BaseURL: c.base.String(), HTTP: &http.Client{}, Token: func(context.Context, string) (string, error) { return "", none }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Tenant(t.Context()); !errors.Is(err, none) || err.Error() != "open the admin centre: no token" {
		t.Error(err)
	}
}

func TestBusy(t *testing.T) {
	t.Parallel()
	s, c := newServer(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		switch n {
		case 1, 4:
			say(w, 429, "text/html", "<html>429 TOO MANY REQUESTS", "Retry-After", "7")
		case 2, 5:
			say(w, 503, "text/html", "<html>503 SERVICE UNAVAILABLE", "Retry-After", "3")
		case 3:
			say(w, 200, jsonType, digestText)
		default:
			say(w, 200, jsonType, fmt.Sprintf(pageText, `{},{}`, `"-1"`))
		}
	})
	var words []string
	info, err := c.Tenant(progress.With(t.Context(), func(u progress.Update) { words = append(words, u.Text) }))
	if err != nil || info != (TenantInfo{Sites: 2}) || len(s.asked()) != 6 {
		t.Errorf("%+v %v after %q", info, err, s.asked())
	}
	want := []string{"SharePoint Online is busy (429), waiting 7 s, try 2 of 5", "SharePoint Online is not available (503), waiting 3 s, try 3 of 5"}
	if !slices.Equal(words, append(want, want...)) {
		t.Errorf("%q", words)
	}
	_, c = newServer(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		say(w, 429, "text/html", "<html>429 TOO MANY REQUESTS", "Retry-After", "9999")
	})
	_, err = c.Web(t.Context(), "")
	if e, ok := errors.AsType[*Error](err); !ok || e.Status != 429 || e.RetryAfter != 9999*time.Second || NoPermission(err) {
		t.Errorf("%+v", err)
	}
}
