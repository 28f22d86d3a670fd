package entra

import (
	"context"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/transport"
)

func TestTokenBySecret(t *testing.T) {
	t.Parallel()
	s := newLogin(t)
	a := s.app(t, secretCred())
	tok, err := a.Token(t.Context(), scope, "")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(tok.Claims.Roles, "User.Read.All") || tok.Claims.AppID != clientGUID || time.Until(tok.ExpiresOn) < 50*time.Minute {
		t.Errorf("%+v %v", tok.Claims, tok.ExpiresOn)
	}
	f := s.form(0)
	if f.Get("client_secret") != s3cret || !strings.HasPrefix(f.Get("scope")+" ", scope+" ") || f.Get("grant_type") != "client_credentials" || f.Get("client_id") != clientGUID {
		t.Errorf("form %v", f)
	}
	if !strings.Contains(strings.ToLower(f.Get("claims")), "cp1") {
		t.Errorf("the capability for claims challenges is missing: %q", f.Get("claims"))
	}
	if _, err := a.Token(t.Context(), scope, ""); err != nil || s.count("POST") != 1 {
		t.Errorf("the second token did not come from memory: %v, %d requests", err, s.count("POST"))
	}
	// After Forget, what the tenant grants now.
	s.set(func() { s.roles = []string{"Group.Read.All"} })
	a.Forget()
	tok, err = a.Token(t.Context(), scope, "")
	if err != nil || !slices.Contains(tok.Claims.Roles, "Group.Read.All") || s.count("POST") != 2 || s.count("GET") != 1 {
		t.Errorf("%v %v, %d POST, %d GET", err, tok.Claims, s.count("POST"), s.count("GET"))
	}
}

func TestClaimsChallengeGetsAFreshToken(t *testing.T) {
	t.Parallel()
	s := newLogin(t)
	a := s.app(t, secretCred())
	const claims = `{"access_token":{"nbf":{"essential":true,"value":"1"}}}`
	for range 2 {
		if _, err := a.Token(t.Context(), scope, claims); err != nil {
			t.Fatal(err)
		}
	}
	if s.count("POST") != 2 {
		t.Errorf("%d requests: a challenge must not be answered from memory", s.count("POST"))
	}
	var sent struct {
		AccessToken map[string]any `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(s.form(1).Get("claims")), &sent); err != nil || sent.AccessToken["nbf"] == nil || sent.AccessToken["xms_cc"] == nil {
		t.Errorf("claims sent: %s %v", s.form(1).Get("claims"), err)
	}
}

// signer hides the key's type, as the Windows store does.
type signer struct {
	crypto.Signer
	err error
}

func (s signer) Sign(r io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	if s.err != nil {
		return nil, s.err
	}
	return s.Signer.Sign(r, digest, o)
}

func TestTokenByCertificate(t *testing.T) {
	t.Parallel()
	id := identity()
	hidden := certs.Identity{Certificate: id.Certificate, Key: signer{Signer: id.Key}}
	for name, used := range map[string]certs.Identity{"key in memory": id, "key that only signs": hidden} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newLogin(t)
			a := s.app(t, Credential{Identity: &used})
			if _, err := a.Token(t.Context(), scope, ""); err != nil {
				t.Fatal(err)
			}
			f := s.form(0)
			h, p, err := checkAssertion(f.Get("client_assertion"), id)
			if err != nil {
				t.Fatal(err)
			}
			sum, _ := base64.StdEncoding.DecodeString(pad(h["x5t#S256"].(string)))
			if h["alg"] != "PS256" || fmt.Sprintf("%X", sum) != string(id.ThumbprintSHA256()) {
				t.Errorf("header %v", h)
			}
			if p["aud"] != s.URL+"/"+tenantGUID+"/oauth2/v2.0/token" || p["iss"] != clientGUID || p["sub"] != clientGUID || p["jti"] == "" {
				t.Errorf("payload %v", p)
			}
			if life := p["exp"].(float64) - p["nbf"].(float64); life > 600 {
				t.Errorf("the assertion lives %v s", life)
			}
			if f.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" || f.Get("client_secret") != "" {
				t.Errorf("form %v", f)
			}
		})
	}
}

func pad(s string) string {
	s = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(s, "="))
	return s + strings.Repeat("=", (4-len(s)%4)%4)
}

func TestKeyThatWillNotSign(t *testing.T) {
	t.Parallel()
	s := newLogin(t)
	id := identity()
	why := errors.New("the card was removed")
	a := s.app(t, Credential{Identity: &certs.Identity{Certificate: id.Certificate, Key: signer{Signer: id.Key, err: why}}})
	_, err := a.Token(t.Context(), scope, "")
	var e *SignError
	if !errors.As(err, &e) || !errors.Is(err, why) {
		t.Errorf("%v", err)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, code := range []int{90002, 700016, 7000229, 500011, 7000215, 7000222, 700027, 7000112, 53003, 50013, 700024, 90033} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			t.Parallel()
			s := newLogin(t)
			s.token = func(w http.ResponseWriter, r *http.Request) bool {
				answerJSON(w, 400, map[string]any{
					"error": "invalid_client", "error_codes": []int{code}, "trace_id": "tr", "correlation_id": "co",
					"error_description": fmt.Sprintf("AADSTS%d: No.\x1b[31m\r\nTrace ID: tr", code),
				})
				return true
			}
			_, err := s.app(t, secretCred()).Token(t.Context(), scope, "")
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("%T %v", err, err)
			}
			if e.Code() != code || e.Status != 400 || e.Resource != scope || e.TraceID != "tr" || e.CorrelationID != "co" || e.Description != "No.[31m" {
				t.Errorf("%+v", e)
			}
			if strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), s3cret) {
				t.Error("the secret is in the error")
			}
			if s.count("POST") != 1 {
				t.Errorf("%d requests", s.count("POST"))
			}
		})
	}
}

func TestAnswersThatAreNotEntras(t *testing.T) {
	t.Parallel()
	page := func(status int) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(status)
			fmt.Fprint(w, "<html>blocked, token eyJhbGciOi</html>")
			return true
		}
	}
	raw := func(body string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, body)
			return true
		}
	}
	for _, c := range []struct {
		name      string
		token     func(http.ResponseWriter, *http.Request) bool
		discovery func(http.ResponseWriter, *http.Request) bool
		refused   int  // status of the *Error, 0 means another error
		sent      bool // *TokenAnswerError, else *MetadataError
	}{
		{name: "proxy page for the token", token: page(403), refused: 403},
		{name: "proxy page with 200 for the token", token: page(200), sent: true},
		{name: "token answer without token", token: raw(`{"token_type":"Bearer"}`), sent: true},
		{name: "token answer broken", token: raw(`{"access_token":"eyJ`), sent: true},
		{name: "token answer of wrong types", token: raw(`{"access_token":"a.b.c","expires_in":{}}`), sent: true},
		{name: "proxy page for the metadata", discovery: page(200)},
		{name: "refusing page for the metadata", discovery: page(407), refused: 407},
		{name: "metadata null", discovery: raw(`null`)},
		{name: "metadata empty", discovery: raw(`{}`)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newLogin(t)
			s.token, s.discovery = c.token, c.discovery
			_, err := s.app(t, secretCred()).Token(t.Context(), scope, "")
			var refused *Error
			var metadata *MetadataError
			var answer *TokenAnswerError
			if errors.As(err, &refused) != (c.refused != 0) || c.refused != 0 && refused.Status != c.refused ||
				errors.As(err, &answer) != c.sent || errors.As(err, &metadata) != (c.refused == 0 && !c.sent) {
				t.Errorf("%T %v", err, err)
			}
			// Only what was not answered with a *MetadataError may have cost a secret.
			if metadata != nil && s.count("POST") != 0 || answer != nil && s.count("POST") != 1 {
				t.Errorf("%T after %d requests with the secret", err, s.count("POST"))
			}
			if strings.Contains(err.Error(), "eyJ") {
				t.Errorf("the answer's text is in the error: %v", err)
			}
		})
	}
}

// A request that could not even be made tells nobody's secret.
func TestUnusableClaims(t *testing.T) {
	t.Parallel()
	s := newLogin(t)
	_, err := s.app(t, secretCred()).Token(t.Context(), scope, "{")
	var answer *TokenAnswerError
	if err == nil || errors.As(err, &answer) || s.count("POST") != 0 || strings.Contains(err.Error(), s3cret) {
		t.Errorf("%T %v, %d requests with the secret", err, err, s.count("POST"))
	}
}

func TestNothingSecretGoesToAnotherHost(t *testing.T) {
	t.Parallel()
	var stolen atomic.Int32
	evil := newLogin(t)
	evil.token = func(http.ResponseWriter, *http.Request) bool { stolen.Add(1); return false }
	for _, field := range []string{"issuer", "token_endpoint", "authorization_endpoint"} {
		for _, value := range []string{evil.URL + "/" + tenantGUID + "/oauth2/v2.0/token", "http://login.microsoftonline.com/" + tenantGUID, "https://login.microsoftonline.com.evil.test/" + tenantGUID, "https://u@login.microsoftonline.com/" + tenantGUID, "", "::"} {
			t.Run(field+" "+value, func(t *testing.T) {
				t.Parallel()
				s := newLogin(t)
				s.metadata = func(doc map[string]any) { doc[field] = value }
				_, err := s.app(t, secretCred()).Token(t.Context(), scope, "")
				var e *MetadataError
				if !errors.As(err, &e) || s.count("POST") != 0 {
					t.Errorf("%v, %d requests for tokens", err, s.count("POST"))
				}
			})
		}
	}
	t.Cleanup(func() {
		if stolen.Load() != 0 {
			t.Error("a secret was sent to the other host")
		}
	})
}

func TestOneDiscoveryForAll(t *testing.T) {
	t.Parallel()
	s := newLogin(t)
	a := s.app(t, secretCred())
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if _, err := a.Token(t.Context(), fmt.Sprintf("https://r%d.test/.default", i), ""); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if s.count("GET") != 1 || s.count("POST") != 8 {
		t.Errorf("%d discoveries, %d tokens", s.count("GET"), s.count("POST"))
	}
}

func TestCancelledLeaderDoesNotFailTheOthers(t *testing.T) {
	t.Parallel()
	s := newLogin(t)
	entered := make(chan struct{}, 1)
	free := make(chan struct{})
	var n atomic.Int32
	s.discovery = func(w http.ResponseWriter, r *http.Request) bool {
		if n.Add(1) == 1 {
			entered <- struct{}{}
			select {
			case <-r.Context().Done():
			case <-free:
			}
		}
		return false
	}
	t.Cleanup(func() { close(free) })
	a := s.app(t, secretCred())
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() { _, err := a.Token(ctx, scope, ""); first <- err }()
	<-entered
	second := make(chan error, 1)
	go func() { _, err := a.Token(t.Context(), scope, ""); second <- err }()
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("first: %v", err)
	}
	if err := <-second; err != nil {
		t.Errorf("second: %v", err)
	}
}

func TestTokenRequestsAreRepeated(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"503", "cut"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			s := newLogin(t)
			var n atomic.Int32
			s.token = func(w http.ResponseWriter, r *http.Request) bool {
				if n.Add(1) > 2 {
					return false
				}
				if how == "cut" {
					conn, _, err := w.(http.Hijacker).Hijack()
					if err == nil {
						conn.Close()
					}
					return true
				}
				w.WriteHeader(503)
				return true
			}
			if _, err := s.app(t, secretCred()).Token(t.Context(), scope, ""); err != nil || n.Load() != 3 {
				t.Errorf("%v after %d tries", err, n.Load())
			}
		})
	}
}

func TestTransportErrorsStayThemselves(t *testing.T) {
	t.Parallel()
	s := newLogin(t)
	client, err := transport.New(transport.Options{}) // does not trust the server
	if err != nil {
		t.Fatal(err)
	}
	a, err := NewApp(AppOptions{Cloud: s.cloud(), TenantID: tenantGUID, ClientID: clientGUID, Credential: secretCred(), HTTP: client})
	if err != nil {
		t.Fatal(err)
	}
	_, err = a.Token(t.Context(), scope, "")
	if transport.KindOf(err) != transport.KindAuthority {
		t.Errorf("%v", err)
	}
}

func TestNewAppChecksItsInput(t *testing.T) {
	t.Parallel()
	id := identity()
	good := AppOptions{TenantID: tenantGUID, ClientID: clientGUID, Credential: secretCred(), HTTP: http.DefaultClient}
	for name, change := range map[string]func(*AppOptions){
		"no credential":     func(o *AppOptions) { o.Credential = Credential{} },
		"two credentials":   func(o *AppOptions) { o.Credential.Identity = &id },
		"no key":            func(o *AppOptions) { o.Credential = Credential{Identity: &certs.Identity{Certificate: id.Certificate}} },
		"tenant":            func(o *AppOptions) { o.TenantID = "contoso" },
		"tenant with slash": func(o *AppOptions) { o.TenantID = "contoso.com/../x" },
		"client id":         func(o *AppOptions) { o.ClientID = "app" },
		"client":            func(o *AppOptions) { o.HTTP = nil },
	} {
		o := good
		change(&o)
		if _, err := NewApp(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := NewApp(good); err != nil {
		t.Error(err)
	}
	good.Credential = Credential{Secret: connections.Secret{}}
	if _, err := NewApp(good); !errors.Is(err, ErrOneCredential) {
		t.Errorf("%v", err)
	}
}
