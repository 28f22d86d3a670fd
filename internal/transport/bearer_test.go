package transport

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/c2conn/c2conn/internal/progress"
)

const wanted = `{"access_token":{"nbf":{"essential":true,"value":"1604106651"}}}`

func TestChallenge(t *testing.T) {
	t.Parallel()
	std := base64.StdEncoding.EncodeToString([]byte(wanted))
	for _, c := range []struct {
		name string
		in   []string
		want string
	}{
		{"Graph's form", []string{`Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", client_id="00000003-0000-0000-c000-000000000000", error="insufficient_claims", claims="` + std + `"`}, wanted},
		{"without padding", []string{`Bearer error="insufficient_claims",claims="` + strings.TrimRight(std, "=") + `"`}, wanted},
		{"url alphabet", []string{`Bearer claims="` + base64.RawURLEncoding.EncodeToString([]byte(wanted)) + `"`}, wanted},
		{"no quotes", []string{`bearer claims=` + std}, wanted},
		{"second header", []string{`Basic realm="x"`, `Bearer claims="` + std + `"`}, wanted},
		{"comma in a value", []string{`Bearer realm="a, claims=b", claims="` + std + `"`}, wanted},
		{"none", []string{`Bearer realm="x", error="invalid_token"`}, ""},
		{"no header", nil, ""},
		{"rubbish", []string{`Bearer claims="!!!"`}, ""},
		{"no JSON", []string{`Bearer claims="` + base64.StdEncoding.EncodeToString([]byte("hello")) + `"`}, ""},
		{"unclosed", []string{`Bearer claims="`}, ""},
		{"nothing after it", []string{`Bearer claims=`}, ""},
		{"only the scheme", []string{`Bearer `, `Bearer`, ``}, ""},
		{"huge", []string{`Bearer claims="` + strings.Repeat("A", 20<<10) + `"`}, ""},
		{"other scheme", []string{`Negotiate claims="` + std + `"`}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := http.Header{"Www-Authenticate": c.in}
			if got := Challenge(h); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func FuzzChallenge(f *testing.F) {
	f.Add(`Bearer realm="", error="insufficient_claims", claims="eyJhIjoxfQ=="`)
	f.Add(`Bearer claims=`)
	f.Add(`Bearer a="\"`)
	f.Fuzz(func(t *testing.T, s string) {
		got := Challenge(http.Header{"Www-Authenticate": {s}})
		if got != "" && !strings.HasPrefix(strings.TrimSpace(got), "{") {
			t.Fatalf("%q gave %q", s, got)
		}
	})
}

func TestBearerAnswersAChallengeOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		always bool
		status int
	}{{"satisfied", false, 200}, {"never satisfied", true, 401}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var n atomic.Int32
			srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				n.Add(1)
				if b, _ := io.ReadAll(r.Body); string(b) != "body" {
					t.Errorf("body %q", b)
				}
				if c.always || r.Header.Get("Authorization") != "Bearer fresh" {
					w.Header().Set("WWW-Authenticate", `Bearer claims="`+base64.StdEncoding.EncodeToString([]byte(wanted))+`"`)
					w.WriteHeader(401)
				}
			}))
			defer srv.Close()
			base, _ := url.Parse(srv.URL)
			var asked []string
			token := func(_ context.Context, claims string) (string, error) {
				asked = append(asked, claims)
				if claims != "" {
					return "fresh", nil
				}
				return "stale", nil
			}
			var words []string
			ctx := progress.With(t.Context(), func(u progress.Update) { words = append(words, u.Text) })
			client := &http.Client{Transport: Bearer(testClient(t, srv, newFakeClock()).Transport, base, token)}
			status, _, err := send(ctx, t, client, "POST", srv.URL+"/x", "body")
			if err != nil || status != c.status || n.Load() != 2 {
				t.Errorf("%d %v after %d requests", status, err, n.Load())
			}
			if len(asked) != 2 || asked[0] != "" || asked[1] != wanted {
				t.Errorf("asked for %q", asked)
			}
			if len(words) != 1 || !strings.Contains(words[0], "asking for a new one") {
				t.Errorf("said %q", words)
			}
		})
	}
}

func TestBearerSendsNoTokenElsewhere(t *testing.T) {
	t.Parallel()
	base, _ := url.Parse("https://graph.microsoft.com/v1.0")
	rt := Bearer(roundTripper(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
	}), base, func(context.Context, string) (string, error) { return "t", nil })
	for u, ok := range map[string]bool{
		"https://graph.microsoft.com/v1.0/users":     true,
		"https://GRAPH.microsoft.com:443/v1.0/users": true,
		"http://graph.microsoft.com/v1.0":            false,
		"https://graph.microsoft.com.evil.test/v1.0": false,
		"https://graph.microsoft.com:8443/v1.0":      false,
		"https://evil.test/graph.microsoft.com":      false,
	} {
		req, _ := http.NewRequest("GET", u, nil)
		_, err := rt.RoundTrip(req)
		var foreign *ForeignHostError
		if ok != (err == nil) || !ok && !errors.As(err, &foreign) {
			t.Errorf("%s: %v", u, err)
		}
	}
}

func TestBearerWithoutToken(t *testing.T) {
	t.Parallel()
	base, _ := url.Parse("https://graph.microsoft.com")
	why := errors.New("refused")
	rt := Bearer(roundTripper(func(r *http.Request) (*http.Response, error) {
		t.Error("sent without a token")
		return nil, io.EOF
	}), base, func(context.Context, string) (string, error) { return "", why })
	req, _ := http.NewRequest("GET", "https://graph.microsoft.com/v1.0", nil)
	_, err := rt.RoundTrip(req)
	var e *TokenError
	if !errors.As(err, &e) || !errors.Is(err, why) {
		t.Errorf("%v", err)
	}
}
