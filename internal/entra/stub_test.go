package entra

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/transport"
)

const (
	tenantGUID = "11111111-1111-1111-1111-111111111111"
	clientGUID = "22222222-2222-2222-2222-222222222222"
	scope      = "https://graph.microsoft.com/.default"
	s3cret     = "s3cr3t~value"
)

// login is a token endpoint that answers what a test wants and notes what it was asked.
type login struct {
	*httptest.Server
	mu        sync.Mutex
	requests  []string // "GET path" and "POST path"
	forms     []url.Values
	roles     []string
	metadata  func(map[string]any) // changes the discovery document
	token     func(http.ResponseWriter, *http.Request) bool
	discovery func(http.ResponseWriter, *http.Request) bool
}

func newLogin(t *testing.T) *login {
	t.Helper()
	s := &login{roles: []string{"User.Read.All"}}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

func (s *login) serve(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	s.mu.Lock()
	s.requests = append(s.requests, r.Method+" "+r.URL.Path)
	if r.Method == http.MethodPost {
		s.forms = append(s.forms, r.PostForm)
	}
	roles, metadata, token, discovery := s.roles, s.metadata, s.token, s.discovery
	s.mu.Unlock()
	switch {
	case strings.HasSuffix(r.URL.Path, configurationPath):
		if discovery != nil && discovery(w, r) {
			return
		}
		doc := map[string]any{
			"issuer":                 s.URL + "/" + tenantGUID + "/v2.0",
			"authorization_endpoint": s.URL + "/" + tenantGUID + "/oauth2/v2.0/authorize",
			"token_endpoint":         s.URL + "/" + tenantGUID + "/oauth2/v2.0/token",
			"tenant_region_scope":    "EU", "cloud_instance_name": "microsoftonline.com", "msgraph_host": "graph.microsoft.com",
		}
		if metadata != nil {
			metadata(doc)
		}
		answerJSON(w, 200, doc)
	case strings.HasSuffix(r.URL.Path, "/oauth2/v2.0/token"):
		if token != nil && token(w, r) {
			return
		}
		answerJSON(w, 200, map[string]any{
			"token_type": "Bearer", "expires_in": 3600, "ext_expires_in": 3600,
			"access_token": jwt(map[string]any{"aud": "https://graph.microsoft.com", "tid": tenantGUID, "appid": clientGUID, "roles": roles, "appidacr": "2"}),
		})
	default:
		answerJSON(w, 404, map[string]any{"error": "not_found"})
	}
}

func (s *login) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *login) count(prefix string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.requests {
		if strings.HasPrefix(r, prefix) {
			n++
		}
	}
	return n
}

func (s *login) form(i int) url.Values {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.forms[i]
}

func answerJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func (s *login) cloud() cloud.Cloud {
	return cloud.Cloud{Name: "test", Login: s.URL, Graph: "https://graph.test", Outlook: "https://outlook.test"}
}

func (s *login) client(t *testing.T) *http.Client {
	t.Helper()
	c, err := transport.New(transport.Options{
		ExtraCA: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}),
		Clock:   quick{},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// quick is a clock whose waits take no time.
type quick struct{}

func (quick) Now() time.Time { return time.Now() }

func (quick) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

func (s *login) app(t *testing.T, cred Credential) *App {
	t.Helper()
	a, err := NewApp(AppOptions{Cloud: s.cloud(), TenantID: tenantGUID, ClientID: clientGUID, Credential: cred, HTTP: s.client(t)})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func secretCred() Credential { return Credential{Secret: connections.NewSecret(s3cret)} }

// identity is made once: an RSA key takes long under the race detector.
var identity = sync.OnceValue(func() certs.Identity {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	tpl := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "c2conn test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tpl, tpl, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return certs.Identity{Certificate: cert, Key: key}
})

// checkAssertion verifies a client assertion as Entra ID does and returns its parts.
func checkAssertion(assertion string, id certs.Identity) (header, payload map[string]any, err error) {
	parts := strings.Split(assertion, ".")
	if len(parts) != 3 {
		return nil, nil, fmt.Errorf("%d parts", len(parts))
	}
	var raw [3][]byte
	for i, p := range parts {
		if raw[i], err = base64.RawURLEncoding.DecodeString(p); err != nil {
			return nil, nil, err
		}
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	pub := id.Certificate.PublicKey.(*rsa.PublicKey)
	if err := rsa.VerifyPSS(pub, crypto.SHA256, digest[:], raw[2], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}); err != nil {
		return nil, nil, err
	}
	if err := json.Unmarshal(raw[0], &header); err != nil {
		return nil, nil, err
	}
	return header, payload, json.Unmarshal(raw[1], &payload)
}
