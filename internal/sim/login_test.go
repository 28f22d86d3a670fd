package sim_test

import (
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/c2conn/c2conn/internal/sim"
)

func newInt(b []byte) *big.Int { return new(big.Int).SetBytes(b) }

func TestMetadata(t *testing.T) {
	t.Parallel()
	w := start(t)
	for name, c := range map[string]struct {
		path, issuer string
		status, code int
	}{
		"tenant id":        {w.TenantID + "/v2.0", w.LoginURL() + "/" + w.TenantID + "/v2.0", 200, 0},
		"upper case":       {strings.ToUpper(w.TenantID) + "/v2.0", w.LoginURL() + "/" + w.TenantID + "/v2.0", 200, 0},
		"initial domain":   {sim.InitialDomain + "/v2.0", w.LoginURL() + "/" + w.TenantID + "/v2.0", 200, 0},
		"default domain":   {sim.DefaultDomain + "/v2.0", w.LoginURL() + "/" + w.TenantID + "/v2.0", 200, 0},
		"common":           {"common/v2.0", w.LoginURL() + "/{tenantid}/v2.0", 200, 0},
		"organizations":    {"organizations/v2.0", w.LoginURL() + "/{tenantid}/v2.0", 200, 0},
		"v1":               {w.TenantID, "https://sts.windows.net/" + w.TenantID + "/", 200, 0},
		"unknown domain":   {"fabrikam.com/v2.0", "", 400, 90002},
		"unknown id":       {"aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee/v2.0", "", 400, 90002},
		"no tenant":        {"not-a-tenant/v2.0", "", 400, 900023},
		"underscore":       {"con_toso.com/v2.0", "", 400, 900023},
		"empty identifier": {"00000000-0000-0000-0000-000000000000/v2.0", "", 400, 900021},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := get(t, w, w.LoginURL()+"/"+c.path+"/.well-known/openid-configuration")
			if r.status != c.status {
				t.Fatalf("status %d: %s", r.status, r.body)
			}
			if c.code != 0 {
				if r.code(t) != c.code {
					t.Errorf("code %v", r.code(t))
				}
				return
			}
			if got := r.json(t)["issuer"]; got != c.issuer {
				t.Errorf("issuer %v, want %v", got, c.issuer)
			}
			if got := r.json(t)["token_endpoint"].(string); !strings.Contains(c.issuer, "{") && !strings.Contains(got, w.TenantID) {
				t.Errorf("the token endpoint %s does not carry the tenant's id", got)
			}
		})
	}
}

func TestErrorBody(t *testing.T) {
	t.Parallel()
	w := start(t)
	const id = "6f0e2b1c-1111-4222-8333-444455556666"
	r := send(t, w.Client(), http.MethodPost, w.LoginURL()+"/"+w.TenantID+"/oauth2/v2.0/token",
		url.Values{"grant_type": {"client_credentials"}, "client_id": {w.ClientID}, "client_secret": {"wrong"}, "scope": {w.GraphURL() + "/.default"}}.Encode(),
		map[string]string{"Content-Type": "application/x-www-form-urlencoded", "client-request-id": id})
	v := r.json(t)
	if v["error"] != "invalid_client" || v["correlation_id"] != id || r.header.Get("client-request-id") != id || r.header.Get("x-ms-request-id") != v["trace_id"] {
		t.Errorf("%v %v", v, r.header)
	}
	stamp, err := time.Parse("2006-01-02 15:04:05Z", v["timestamp"].(string))
	if err != nil || time.Since(stamp) > time.Minute {
		t.Errorf("timestamp %v: %v", v["timestamp"], err)
	}
	want := "\r\nTrace ID: " + v["trace_id"].(string) + "\r\nCorrelation ID: " + id + "\r\nTimestamp: " + v["timestamp"].(string)
	if text := v["error_description"].(string); !strings.HasPrefix(text, "AADSTS7000215: Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID") || !strings.HasSuffix(text, want) {
		t.Errorf("description %q", text)
	}
	if !strings.HasSuffix(v["error_uri"].(string), "/error?code=7000215") {
		t.Error(v["error_uri"])
	}
}

func TestTokenRefusals(t *testing.T) {
	t.Parallel()
	w := start(t)
	app := func(name string) map[string]string {
		a, _ := w.App(name)
		return map[string]string{"client_id": a.ClientID, "client_secret": a.Secret}
	}
	good := w.GraphURL() + "/.default"
	backup, _ := w.App(sim.AppBackup)
	expired, _ := w.App(sim.AppExpiredCertificate)
	secretOnly, _ := w.App(sim.AppSecretOnly)
	secretOnly.Certificate = backup.Certificate
	for name, c := range map[string]struct {
		scope  string
		values map[string]string
		status int
		code   int
		oauth  string
	}{
		"unknown client":            {good, map[string]string{"client_id": "11111111-1111-4111-8111-111111111111"}, 400, 700016, "unauthorized_client"},
		"object id as client id":    {good, map[string]string{"client_id": backup.ObjectID}, 400, 700016, "unauthorized_client"},
		"wrong secret":              {good, map[string]string{"client_secret": "nonsense"}, 401, 7000215, "invalid_client"},
		"secret id":                 {good, map[string]string{"client_secret": w.SecretID}, 401, 7000215, "invalid_client"},
		"expired secret":            {good, app(sim.AppExpiredSecret), 401, 7000222, "invalid_client"},
		"no credential":             {good, map[string]string{"client_secret": ""}, 401, 7000216, "invalid_client"},
		"no service principal":      {good, app(sim.AppNoServicePrincipal), 400, 7000229, "unauthorized_client"},
		"disabled":                  {good, app(sim.AppDisabled), 400, 7000112, "unauthorized_client"},
		"deactivated":               {good, app(sim.AppDeactivated), 400, 7000112, "unauthorized_client"},
		"expired certificate":       {good, withAssertion(t, w, expired, nil), 401, 700027, "invalid_client"},
		"certificate not there":     {good, withAssertion(t, w, secretOnly, nil), 401, 700027, "invalid_client"},
		"unknown tenant":            {good, map[string]string{"tenant": "fabrikam.com"}, 400, 90002, "invalid_request"},
		"common":                    {good, map[string]string{"tenant": "common"}, 400, 50059, "invalid_request"},
		"no grant type":             {good, map[string]string{"grant_type": ""}, 400, 900144, "invalid_request"},
		"other grant type":          {good, map[string]string{"grant_type": "password"}, 400, 70003, "unsupported_grant_type"},
		"no client":                 {good, map[string]string{"client_id": ""}, 400, 900144, "invalid_request"},
		"no scope":                  {"", map[string]string{"scope": ""}, 400, 900144, "invalid_request"},
		"one permission":            {w.GraphURL() + "/User.Read.All", nil, 400, 1002012, "invalid_scope"},
		"nothing but openid":        {"openid profile", nil, 400, 1002012, "invalid_scope"},
		"scope with braces":         {"https://{graph}", nil, 400, 70011, "invalid_scope"},
		"two resources":             {good + " " + w.OutlookURL() + "/.default", nil, 400, 700022, "invalid_scope"},
		"unknown resource":          {"https://unknown.example/.default", nil, 400, 500011, "invalid_resource"},
		"unknown resource id":       {"22222222-2222-4222-8222-222222222222/.default", nil, 400, 500011, "invalid_resource"},
		"resource with path":        {w.GraphURL() + "/v1.0/.default", nil, 400, 500011, "invalid_resource"},
		"no assertion type":         {good, map[string]string{"client_secret": "", "client_assertion": "a.b.c"}, 400, 900144, "invalid_request"},
		"claims are no JSON":        {good, map[string]string{"claims": "{"}, 400, 90100, "invalid_request"},
		"two credentials, bad cert": {good, map[string]string{"client_assertion": "a.b.c", "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, 400, 50027, "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := ask(t, w, c.scope, c.values)
			if r.status != c.status || r.code(t) != c.code || r.json(t)["error"] != c.oauth {
				t.Errorf("%d %v %v, want %d %d %s\n%s", r.status, r.code(t), r.json(t)["error"], c.status, c.code, c.oauth, r.body)
			}
		})
	}
}

func TestTokenEndpointForm(t *testing.T) {
	t.Parallel()
	w := start(t)
	address := w.LoginURL() + "/" + w.TenantID + "/oauth2/v2.0/token"
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {w.ClientID}, "client_secret": {w.Secret}, "scope": {w.GraphURL() + "/.default"}}.Encode()
	if r := send(t, w.Client(), http.MethodPost, address, form, map[string]string{"Content-Type": "application/json"}); r.code(t) != 900144 {
		t.Errorf("JSON content type: %s", r.body)
	}
	if r := send(t, w.Client(), http.MethodGet, address, "", nil); r.code(t) != 900561 {
		t.Errorf("GET: %s", r.body)
	}
	basic := base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(w.ClientID) + ":" + url.QueryEscape(w.Secret)))
	form = url.Values{"grant_type": {"client_credentials"}, "scope": {w.GraphURL() + "/.default"}}.Encode()
	if r := send(t, w.Client(), http.MethodPost, address, form, map[string]string{"Content-Type": "application/x-www-form-urlencoded", "Authorization": "Basic " + basic}); r.status != 200 {
		t.Errorf("Basic: %s", r.body)
	}
	form = url.Values{"grant_type": {"client_credentials"}, "client_id": {w.ClientID}, "client_secret": {w.Secret}, "resource": {w.GraphURL()}}.Encode()
	v1 := send(t, w.Client(), http.MethodPost, w.LoginURL()+"/"+w.TenantID+"/oauth2/token", form, map[string]string{"Content-Type": "application/x-www-form-urlencoded"})
	if v1.status != 200 || v1.json(t)["expires_in"] != "3599" {
		t.Errorf("v1: %s", v1.body)
	}
	if r := get(t, w, w.LoginURL()+"/nowhere"); r.status != http.StatusNotFound {
		t.Errorf("unknown path: %d", r.status)
	}
}

func TestAssertions(t *testing.T) {
	t.Parallel()
	w := start(t)
	backup, _ := w.App(sim.AppBackup)
	expired, _ := w.App(sim.AppExpiredCertificate)
	sha1sum, err := base64.StdEncoding.DecodeString(hexToBase64(t, backup.Certificate.Thumbprint()))
	if err != nil {
		t.Fatal(err)
	}
	only := func(name string, v any) func(*signer) {
		return func(s *signer) { s.header = map[string]any{name: v} }
	}
	claim := func(name string, v any) func(*signer) {
		return func(s *signer) {
			if v == nil {
				delete(s.claims, name)
				return
			}
			s.claims[name] = v
		}
	}
	for name, c := range map[string]struct {
		change func(*signer)
		code   int // 0: accepted
	}{
		"PS256 x5t#S256":            {nil, 0},
		"RS256":                     {func(s *signer) { s.method = jwt.SigningMethodRS256 }, 0},
		"x5t":                       {only("x5t", base64.RawURLEncoding.EncodeToString(sha1sum)), 0},
		"x5t padded base64":         {only("x5t", base64.StdEncoding.EncodeToString(sha1sum)), 0},
		"x5t padded url":            {only("x5t", base64.URLEncoding.EncodeToString(sha1sum)), 0},
		"kid in hexadecimal":        {only("kid", backup.Certificate.Thumbprint()), 0},
		"audience by domain":        {claim("aud", w.LoginURL()+"/"+sim.InitialDomain+"/oauth2/v2.0/token"), 0},
		"audience is the issuer":    {claim("aud", w.LoginURL()+"/"+w.TenantID+"/v2.0"), 0},
		"long life":                 {claim("exp", time.Now().Add(20*time.Hour).Unix()), 0},
		"a little late":             {claim("exp", time.Now().Add(-2*time.Minute).Unix()), 0},
		"no certificate named":      {func(s *signer) { s.header = nil }, 50027},
		"thumbprint too short":      {only("x5t", "AAAA"), 50027},
		"kid no thumbprint":         {only("kid", "my-key"), 50027},
		"HS256":                     {func(s *signer) { s.method, s.key = jwt.SigningMethodHS256, []byte("secret") }, 5002738},
		"none":                      {func(s *signer) { s.method, s.key = jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType }, 5002738},
		"critical extension":        {func(s *signer) { s.header["crit"] = []string{"exp"} }, 50027},
		"other tenant's audience":   {claim("aud", w.LoginURL()+"/fabrikam.com/oauth2/v2.0/token"), 700023},
		"audience of another cloud": {claim("aud", "https://login.microsoftonline.com/"+w.TenantID+"/oauth2/v2.0/token"), 700023},
		"issuer differs":            {claim("iss", "11111111-1111-4111-8111-111111111111"), 700021},
		"subject differs":           {claim("sub", "11111111-1111-4111-8111-111111111111"), 700021},
		"no jti":                    {claim("jti", nil), 50027},
		"no exp":                    {claim("exp", nil), 50027},
		"no nbf":                    {claim("nbf", nil), 50027},
		"absurd exp":                {claim("exp", 1e300), 50027},
		"expired":                   {claim("exp", time.Now().Add(-time.Hour).Unix()), 700024},
		"not yet valid":             {claim("nbf", time.Now().Add(time.Hour).Unix()), 700024},
		"signed by another key":     {func(s *signer) { s.key = otherKey(t) }, 50013},
		"another thumbprint":        {only("x5t", base64.RawURLEncoding.EncodeToString(make([]byte, 20))), 700027},
		"thumbprints contradict":    {func(s *signer) { s.header["x5t"] = base64.RawURLEncoding.EncodeToString(make([]byte, 20)) }, 700027},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := ask(t, w, w.GraphURL()+"/.default", withAssertion(t, w, backup, c.change))
			if c.code == 0 && r.status != 200 || c.code != 0 && r.code(t) != c.code {
				t.Errorf("%d %s", r.status, r.body)
			}
		})
	}
	r := ask(t, w, w.GraphURL()+"/.default", withAssertion(t, w, expired, nil))
	if text := r.json(t)["error_description"].(string); !strings.Contains(text, "The key used is expired.") || !strings.Contains(text, expired.Certificate.ThumbprintSHA256()) {
		t.Error(text)
	}
	stranger := backup
	stranger.Certificate = expired.Certificate
	r = ask(t, w, w.GraphURL()+"/.default", withAssertion(t, w, stranger, nil))
	if text := r.json(t)["error_description"].(string); !strings.Contains(text, "[Reason - The key was not found., Thumbprint of key used by client: '") {
		t.Error(text)
	}
}

func TestAccessTokens(t *testing.T) {
	t.Parallel()
	w := start(t)
	for name, c := range map[string]struct {
		app, resource, acr string
		roles              []string
	}{
		"graph":              {sim.AppBackup, w.GraphURL(), "1", []string{"Directory.Read.All", "Group.Read.All", "MailboxSettings.ReadWrite", "User.Read.All"}},
		"graph, slash":       {sim.AppBackup, w.GraphURL() + "/", "1", []string{"Directory.Read.All", "Group.Read.All", "MailboxSettings.ReadWrite", "User.Read.All"}},
		"graph, public name": {sim.AppBackup, "https://graph.microsoft.com", "1", []string{"Directory.Read.All", "Group.Read.All", "MailboxSettings.ReadWrite", "User.Read.All"}},
		"graph, id":          {sim.AppBackup, sim.GraphAppID, "1", []string{"Directory.Read.All", "Group.Read.All", "MailboxSettings.ReadWrite", "User.Read.All"}},
		"exchange":           {sim.AppBackup, w.OutlookURL(), "1", []string{"full_access_as_app"}},
		"exchange, china":    {sim.AppBackup, "https://partner.outlook.cn", "1", []string{"full_access_as_app"}},
		"sharepoint":         {sim.AppSharePoint, "https://contoso-admin.sharepoint.com", "1", []string{"Sites.FullControl.All"}},
		"certificate":        {sim.AppCertificateOnly, w.OutlookURL(), "2", []string{"full_access_as_app"}},
		"nothing consented":  {sim.AppNoRoles, w.GraphURL(), "1", nil},
		"part consented":     {sim.AppMissingRoles, w.OutlookURL(), "1", nil},
		"more consented":     {sim.AppSuperfluousRoles, w.OutlookURL(), "1", []string{"full_access_as_app", "Exchange.ManageAsApp"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, _ := w.App(c.app)
			got := claimsOf(t, w, token(t, w, c.app, c.resource))
			var roles []string
			if list, ok := got["roles"].([]any); ok {
				for _, r := range list {
					roles = append(roles, r.(string))
				}
			} else if _, there := got["roles"]; there {
				t.Error("roles is there but no list")
			}
			slices.Sort(roles)
			want := slices.Clone(c.roles)
			slices.Sort(want)
			if !slices.Equal(roles, want) || got["aud"] != c.resource || got["appid"] != a.ClientID || got["appidacr"] != c.acr || got["idtyp"] != "app" || got["ver"] != "1.0" ||
				got["tid"] != w.TenantID || got["oid"] != a.PrincipalID || got["iss"] != "https://sts.windows.net/"+w.TenantID+"/" {
				t.Errorf("%v", got)
			}
		})
	}
	if r := ask(t, w, w.GraphURL()+"/.default", nil); r.json(t)["refresh_token"] != nil {
		t.Error("a refresh token for client credentials")
	}
}

func TestInstanceDiscovery(t *testing.T) {
	t.Parallel()
	w := start(t)
	ask := func(authority string) reply {
		return get(t, w, w.LoginURL()+"/common/discovery/instance?api-version=1.1&authorization_endpoint="+url.QueryEscape(authority+"/"+w.TenantID+"/oauth2/v2.0/authorize"))
	}
	for _, known := range []string{"https://login.microsoftonline.com", "https://login.partner.microsoftonline.cn", w.LoginURL()} {
		if r := ask(known); r.status != 200 || !strings.HasPrefix(r.json(t)["tenant_discovery_endpoint"].(string), known) {
			t.Errorf("%s: %s", known, r.body)
		}
	}
	for _, unknown := range []string{"https://login.evil.example", "http://login.microsoftonline.com", "https://graph.microsoft.com"} {
		if r := ask(unknown); r.status != 400 || r.json(t)["error"] != "invalid_instance" {
			t.Errorf("%s: %s", unknown, r.body)
		}
	}
}

func TestSecretsStayOutOfTheRecord(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	w := startWith(t, sim.Options{Log: &log})
	backup, _ := w.App(sim.AppBackup)
	values := withAssertion(t, w, backup, nil)
	raw := token(t, w, sim.AppBackup, w.GraphURL())
	ask(t, w, w.GraphURL()+"/.default", values)
	graph(t, w, "organization", raw)
	all, err := json.Marshal(w.Requests())
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{string(all), log.String()} {
		for _, secret := range []string{w.Secret, url.QueryEscape(w.Secret), raw, values["client_assertion"]} {
			if strings.Contains(text, secret) {
				t.Errorf("the record holds %.12s…", secret)
			}
		}
		if !strings.Contains(text, "[redacted]") || !strings.Contains(text, "https://graph.microsoft.com/v1.0/organization") {
			t.Error("the record does not hold what it should")
		}
	}
}
