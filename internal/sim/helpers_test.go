package sim_test

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/c2conn/c2conn/internal/sim"
)

// sharedKeys makes RSA keys once for all tests; they are what costs time.
var sharedKeys = sync.OnceValue(sim.NewKeys)

// start runs a world with faults until the test ends; delays take no time.
func start(t *testing.T, faults ...string) *sim.World {
	t.Helper()
	return startWith(t, sim.Options{Faults: faults})
}

func startWith(t *testing.T, o sim.Options) *sim.World {
	t.Helper()
	o.Keys, o.Seed = sharedKeys(), 7
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Sleep == nil {
		o.Sleep = func(context.Context, time.Duration) error { return nil }
	}
	w, err := sim.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// reply is an answer, read to its end.
type reply struct {
	status int
	header http.Header
	body   string
	err    error
}

func (r reply) json(t *testing.T) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(r.body), &v); err != nil {
		t.Fatalf("%d, no JSON object: %.300q", r.status, r.body)
	}
	return v
}

// code is error_codes[0] of Entra ID or error.code of Graph.
func (r reply) code(t *testing.T) any {
	t.Helper()
	v := r.json(t)
	if codes, ok := v["error_codes"].([]any); ok {
		return int(codes[0].(float64))
	}
	if e, ok := v["error"].(map[string]any); ok {
		return e["code"]
	}
	return nil
}

func send(t *testing.T, client *http.Client, method, address, body string, header map[string]string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		if k == "Host" {
			req.Host = v
			continue
		}
		req.Header.Set(k, v)
	}
	resp, err := client.Do(req)
	if err != nil {
		return reply{err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, string(data), err}
}

func get(t *testing.T, w *sim.World, address string) reply {
	t.Helper()
	return send(t, w.Client(), http.MethodGet, address, "", nil)
}

// ask sends a token request; values replace those of a good one by secret,
// an empty value removes it.
func ask(t *testing.T, w *sim.World, scope string, values map[string]string) reply {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {w.ClientID}, "client_secret": {w.Secret}, "scope": {scope}}
	tenant := w.TenantID
	for k, v := range values {
		switch {
		case k == "tenant":
			tenant = v
		case v == "":
			form.Del(k)
		default:
			form.Set(k, v)
		}
	}
	return send(t, w.Client(), http.MethodPost, w.LoginURL()+"/"+tenant+"/oauth2/v2.0/token", form.Encode(), map[string]string{"Content-Type": "application/x-www-form-urlencoded"})
}

// token gets an access token for an application of the world, by its secret if it has one.
func token(t *testing.T, w *sim.World, app, resource string) string {
	t.Helper()
	a, ok := w.App(app)
	if !ok {
		t.Fatalf("no application %s", app)
	}
	values := map[string]string{"client_id": a.ClientID, "client_secret": a.Secret}
	if a.Secret == "" {
		values = withAssertion(t, w, a, nil)
	}
	r := ask(t, w, resource+"/.default", values)
	if r.status != http.StatusOK {
		t.Fatalf("token for %s: %d %s", app, r.status, r.body)
	}
	raw, _ := r.json(t)["access_token"].(string)
	return raw
}

// signer builds client assertions; the fields spoil them.
type signer struct {
	method jwt.SigningMethod
	key    any
	header map[string]any
	claims jwt.MapClaims
	now    time.Time
}

func assertion(t *testing.T, w *sim.World, a sim.App, change func(*signer)) string {
	t.Helper()
	now := time.Now()
	sum := sha256.Sum256(a.Certificate.Leaf.Raw)
	s := &signer{method: jwt.SigningMethodPS256, key: a.Certificate.Key, now: now,
		header: map[string]any{"x5t#S256": base64.RawURLEncoding.EncodeToString(sum[:])},
		claims: jwt.MapClaims{"aud": w.LoginURL() + "/" + w.TenantID + "/oauth2/v2.0/token", "iss": a.ClientID, "sub": a.ClientID, "jti": "b0d7c3c2-5d5a-4d8f-9b5e-000000000001",
			"nbf": now.Unix(), "exp": now.Add(10 * time.Minute).Unix()}}
	if change != nil {
		change(s)
	}
	unsigned := jwt.NewWithClaims(s.method, s.claims)
	for k, v := range s.header {
		if v == nil {
			delete(unsigned.Header, k)
			continue
		}
		unsigned.Header[k] = v
	}
	raw, err := unsigned.SignedString(s.key)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func withAssertion(t *testing.T, w *sim.World, a sim.App, change func(*signer)) map[string]string {
	t.Helper()
	return map[string]string{"client_id": a.ClientID, "client_secret": "", "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
		"client_assertion": assertion(t, w, a, change)}
}

// claimsOf reads an access token and verifies it with the published key.
func claimsOf(t *testing.T, w *sim.World, raw string) jwt.MapClaims {
	t.Helper()
	keys := get(t, w, w.LoginURL()+"/common/discovery/v2.0/keys").json(t)["keys"].([]any)
	first := keys[0].(map[string]any)
	n, err := base64.RawURLEncoding.DecodeString(first["n"].(string))
	if err != nil {
		t.Fatal(err)
	}
	key := &rsa.PublicKey{E: 65537}
	key.N = newInt(n)
	claims := jwt.MapClaims{}
	if _, err := jwt.ParseWithClaims(raw, claims, func(*jwt.Token) (any, error) { return key, nil }, jwt.WithValidMethods([]string{"RS256"})); err != nil {
		t.Fatal(err)
	}
	return claims
}

// graph asks Graph with the backup application's token unless another is given.
func graph(t *testing.T, w *sim.World, path string, bearer ...string) reply {
	t.Helper()
	raw := ""
	if len(bearer) > 0 {
		raw = bearer[0]
	} else {
		raw = token(t, w, sim.AppBackup, w.GraphURL())
	}
	return send(t, w.Client(), http.MethodGet, w.GraphURL()+"/v1.0/"+path, "", map[string]string{"Authorization": "Bearer " + raw})
}

// soapBody is a GetFolder; the impersonation is left out when sid is empty.
func soapBody(sidKind, sid, ids string) string {
	impersonation := ""
	if sidKind != "" {
		impersonation = `<t:ExchangeImpersonation><t:ConnectingSID><t:` + sidKind + `>` + sid + `</t:` + sidKind + `></t:ConnectingSID></t:ExchangeImpersonation>`
	}
	return envelope(`<t:RequestServerVersion Version="Exchange2013_SP1"/>`+impersonation,
		`<m:GetFolder><m:FolderShape><t:BaseShape>Default</t:BaseShape></m:FolderShape><m:FolderIds>`+ids+`</m:FolderIds></m:GetFolder>`)
}

func envelope(header, body string) string {
	return `<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/" xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types" ` +
		`xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages"><soap:Header>` + header + `</soap:Header><soap:Body>` + body + `</soap:Body></soap:Envelope>`
}

const inbox = `<t:DistinguishedFolderId Id="inbox"/>`

func ews(t *testing.T, w *sim.World, body, bearer string) reply {
	t.Helper()
	return send(t, w.Client(), http.MethodPost, w.OutlookURL()+"/EWS/Exchange.asmx", body,
		map[string]string{"Authorization": "Bearer " + bearer, "Content-Type": "text/xml; charset=utf-8", "X-AnchorMailbox": sim.Mailbox})
}

// ewsCode is the response code of a fault or of the first message.
func ewsCode(t *testing.T, r reply) string {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader([]byte(r.body)))
	for {
		tok, err := d.Token()
		if err != nil {
			return ""
		}
		if e, ok := tok.(xml.StartElement); ok && e.Name.Local == "ResponseCode" {
			var code string
			if err := d.DecodeElement(&code, &e); err != nil {
				t.Fatal(err)
			}
			return code
		}
	}
}
