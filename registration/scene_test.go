package registration

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/graph"
)

// RoundTrip answers Entra ID's metadata and token endpoints, without checking the
// assertion: the simulated tenant does that, in other tests.
func (f *fake) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := func(status int, body any) (*http.Response, error) {
		data, err := json.Marshal(body)
		return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(string(data))), Request: r}, err
	}
	const login = "https://login.test/" + tenantID
	if strings.HasSuffix(r.URL.Path, "openid-configuration") {
		return answer(200, map[string]string{"issuer": login + "/v2.0", "authorization_endpoint": login + "/oauth2/v2.0/authorize", "token_endpoint": login + "/oauth2/v2.0/token"})
	}
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(data))
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.principals, func(sp graph.ServicePrincipal) bool { return sp.AppID == form.Get("client_id") })
	if i < 0 {
		return answer(400, map[string]any{"error": "unauthorized_client", "error_codes": []int{700016}, "error_description": "AADSTS700016: not found"})
	}
	if a, err := f.app(func(a graph.Application) bool { return a.AppID == form.Get("client_id") }); err == nil {
		header, _, _ := strings.Cut(form.Get("client_assertion"), ".")
		secret := form.Get("client_secret")
		if header != "" && !f.hasThumbprint(a, header, "x5t#S256", sha256.Size) {
			return answer(401, map[string]any{"error": "invalid_client", "error_codes": []int{700027}, "error_description": "AADSTS700027: the key was not found"})
		}
		if secret != "" && !slices.ContainsFunc(a.Secrets, func(s graph.Password) bool { return secret == "value of "+s.ID }) {
			return answer(401, map[string]any{"error": "invalid_client", "error_codes": []int{7000215}, "error_description": "AADSTS7000215: invalid secret"})
		}
	}
	audience := Graph
	switch scope := form.Get("scope"); {
	case strings.Contains(scope, "outlook"):
		audience = Exchange
	case strings.Contains(scope, SharePoint.AppID()):
		audience = SharePoint
	}
	roles := []string{}
	for _, resource := range f.principals {
		for _, role := range resource.Roles {
			if resource.AppID == audience.AppID() && isGranted(f.of(f.principals[i].ObjectID), resource.ObjectID, role.ID) {
				roles = append(roles, role.Value)
			}
		}
	}
	claims, _ := json.Marshal(map[string]any{"aud": audience, "tid": tenantID, "appid": form.Get("client_id"), "roles": roles})
	part := base64.RawURLEncoding.EncodeToString
	return answer(200, map[string]any{"token_type": "Bearer", "expires_in": 3600, "access_token": part([]byte(`{"alg":"none"}`)) + "." + part(claims) + ".x"})
}

// scene is a tenant and a computer.
type scene struct {
	t     *testing.T
	fake  *fake
	clock *clock
	dir   string
	wish  Wish
}

var testKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

var testCloud = cloud.Cloud{Name: "test", Login: "https://login.test", Graph: "https://graph.test", Outlook: "https://outlook.test", Portal: "https://portal.test"}

func newScene(t *testing.T) *scene {
	t.Helper()
	c := &clock{now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	return &scene{t: t, clock: c, fake: newFake(c), dir: filepath.Join(t.TempDir(), "state"), wish: Wish{Kind: connections.Exchange, Cloud: testCloud, Connection: "it"}}
}

// process is c2conn started anew on the same computer.
type process struct {
	*scene
	store    *connections.Store
	personal certs.Store
	r        *Registrar
}

func (s *scene) start() *process {
	s.t.Helper()
	store, err := connections.Open(connections.Options{Dir: s.dir, Now: s.clock.Now, Getenv: func(name string) string {
		return map[string]string{"C2CONN_IDENTITY_FILE": s.dir + ".identity"}[name]
	}})
	if err != nil {
		s.t.Fatal(err)
	}
	p := &process{scene: s, store: store, personal: certs.NewFiles(store, s.dir, s.clock.Now)}
	p.r = New(Options{Dir: s.dir, Personal: p.personal, Store: store, Cloud: testCloud, Clock: s.clock, Key: func(context.Context) (*rsa.PrivateKey, error) { return testKey(), nil }})
	p.r.step = s.fake.step
	s.t.Cleanup(p.r.Close)
	return p
}

func (s *scene) admin() Admin {
	return Admin{Graph: s.fake, Claims: entra.AdminClaims{TenantID: tenantID, UPN: adminUPN}}
}

func (s *scene) base() entra.AppOptions {
	return entra.AppOptions{Cloud: testCloud, HTTP: &http.Client{Transport: s.fake}, Now: s.clock.Now}
}

func (s *scene) plan(ctx context.Context, run string) (Plan, error) {
	f, err := Look(ctx, s.admin(), s.wish)
	if err != nil {
		return Plan{}, err
	}
	return MakePlan(s.wish, f, s.clock.Now(), run)
}

// register looks, plans and applies; a killed process gives its panic.
func (p *process) register(ctx context.Context) (res *Result, err error) {
	defer func() {
		if k, ok := recover().(killed); ok {
			err = fmt.Errorf("killed at %s", k.point)
		}
	}()
	plan, err := p.plan(ctx, "")
	if err != nil {
		return nil, err
	}
	p.fake.armed = true
	return p.r.Apply(ctx, p.admin(), p.wish, plan, p.base(), nil)
}
