package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/graph"
	"github.com/c2conn/c2conn/internal/transport"
	"github.com/c2conn/c2conn/registration"
)

// answer is what a service said, plainly.
type answer struct {
	status     int
	header     http.Header
	body       []byte
	code, text string // of a refusal
	err        error  // no answer came
}

// String is the answer as evidence: nothing of a body that is no refusal.
func (a answer) String() string {
	switch {
	case a.err != nil:
		return noAnswer + transport.CleanText(a.err.Error(), 300)
	case a.code != "":
		return fmt.Sprintf("%d %s: %s", a.status, a.code, a.text)
	}
	return strconv.Itoa(a.status)
}

// noAnswer begins what is said instead of an answer.
const noAnswer = "no answer: "

func (a answer) good() bool { return a.err == nil && a.status >= 200 && a.status < 300 }

// named reads a header, safe to print.
func (a answer) named(header string) string { return transport.CleanText(a.header.Get(header), 200) }

// send makes one request; the shared transport repeats what may be repeated.
func (l *live) send(ctx context.Context, method, address, token string, header map[string]string, body []byte) (a answer) {
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return answer{err: err}
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	if token != "" && !l.cloud.Allows(address) {
		return answer{err: errors.New("no token is sent to an address outside of the cloud")}
	} else if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := l.http.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer func() { _ = res.Body.Close() }()
	a.status, a.header = res.StatusCode, res.Header
	a.body, a.err = io.ReadAll(res.Body)
	var refusal struct {
		Error       json.RawMessage
		Codes       []int  `json:"error_codes"`
		Description string `json:"error_description"`
	}
	var inner struct{ Code, Message string }
	if a.status < 400 || json.Unmarshal(a.body, &refusal) != nil {
		return a
	}
	if len(refusal.Codes) > 0 { // Entra ID's
		a.code = aadsts(refusal.Codes[0])
		text, _, _ := strings.Cut(refusal.Description, "Trace ID:")
		a.text = strings.TrimPrefix(transport.CleanText(text, 400), a.code+": ")
	} else if json.Unmarshal(refusal.Error, &inner) == nil {
		a.code, a.text = transport.CleanText(inner.Code, 100), transport.CleanText(inner.Message, 400)
	}
	return a
}

func aadsts(code int) string { return "AADSTS" + strconv.Itoa(code) }

// ask asks Graph; without a token as the administrator.
func (l *live) ask(ctx context.Context, token, method, path, prefer string, body any) answer {
	var err error
	if token == "" {
		token, err = l.admin.Token(ctx, "")
	}
	data := []byte(nil)
	if body != nil && err == nil {
		data, err = json.Marshal(body)
	}
	if err != nil {
		return answer{err: err}
	}
	header := map[string]string{"Content-Type": "application/json"}
	if prefer != "" {
		header["Prefer"] = prefer
	}
	return l.send(ctx, method, l.cloud.GraphBase()+path, token, header, data)
}

func (l *live) get(ctx context.Context, path string) answer {
	return l.ask(ctx, "", http.MethodGet, path, "", nil)
}

// login posts a form to an endpoint of Entra ID.
func (l *live) login(ctx context.Context, tenant, endpoint string, form url.Values) answer {
	return l.send(ctx, http.MethodPost, l.cloud.Authority(tenant)+"/oauth2/v2.0/"+endpoint, "", map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, []byte(form.Encode()))
}

// signed makes a JWT that proves possession of a certificate's key.
//
// Source: learn.microsoft.com/entra/identity-platform/certificate-credentials.
func signed(id certs.Identity, alg string, claims map[string]any) (string, error) {
	thumbprint := sha256.Sum256(id.Certificate.Raw)
	header, _ := json.Marshal(map[string]string{"alg": alg, "typ": "JWT", "x5t#S256": base64.RawURLEncoding.EncodeToString(thumbprint[:])})
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	text := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(payload)
	digest := sha256.Sum256([]byte(text))
	how := map[string]crypto.SignerOpts{"RS256": crypto.SHA256, "PS256": &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}}[alg]
	signature, err := id.Key.Sign(rand.Reader, digest[:], how)
	return text + "." + base64.RawURLEncoding.EncodeToString(signature), err
}

// appToken asks for a new token of an application; what says why none came.
func appToken(ctx context.Context, app *entra.App, scope string) (t entra.Token, what string) {
	app.Forget()
	t, err := app.Token(ctx, scope, "")
	if refused, ok := errors.AsType[*entra.Error](err); ok && refused.Code() != 0 {
		return t, transport.CleanText(aadsts(refused.Code())+": "+strings.TrimPrefix(refused.Description, aadsts(refused.Code())+": "), 300)
	} else if err != nil {
		return t, noAnswer + transport.CleanText(err.Error(), 200)
	}
	return t, ""
}

// Questions asked again and again: how often, for how long (as c2conn itself in each
// step), and how many good answers in a row count as "everywhere".
const (
	pause    = 2 * time.Second
	patience = 180 * time.Second
	steady   = 5
)

// series is what a question was answered with until the good answers stayed.
type series struct {
	asked, back    int           // questions; bad answers after a good one
	first, settled time.Duration // first good answer; the first of those that stayed
	bad            map[string]int
	last           string
	ok             bool
}

func (s series) String() string {
	text := fmt.Sprintf("asked %d times: good first after %.1f s and always from %.1f s on, %d bad answers in between", s.asked, s.first.Seconds(), s.settled.Seconds(), s.back)
	if !s.ok {
		text = fmt.Sprintf("asked %d times without a lasting good answer, last: %s", s.asked, s.last)
	}
	for _, what := range slices.Sorted(maps.Keys(s.bad)) {
		text += fmt.Sprintf("; %s ×%d", what, s.bad[what])
	}
	return text
}

// poll asks until the answer was good need times in a row, at the longest for
// patience. Times count from since.
func (l *live) poll(ctx context.Context, since time.Time, need int, question func() (what string, good bool)) series {
	s := series{first: -1, bad: map[string]int{}}
	for begun, run := l.clock.Now(), 0; ; {
		at := l.clock.Now().Sub(since)
		what, good := question()
		s.asked, s.last = s.asked+1, what
		if good {
			if run++; run == 1 {
				s.settled = at
			}
			if s.first < 0 {
				s.first = at
			}
		} else {
			short, _, _ := strings.Cut(what, ":")
			if run, s.bad[short] = 0, s.bad[short]+1; s.first >= 0 {
				s.back++
			}
		}
		if s.ok = run >= need; s.ok || l.clock.Now().Sub(begun) > patience {
			return s
		}
		if err := l.clock.Sleep(ctx, pause); err != nil {
			s.last = noAnswer + err.Error()
			return s
		}
	}
}

// exchangePowerShell is the client id that Connect-ExchangeOnline signs in with.
const exchangePowerShell = "fb78d390-0c51-40cd-8e17-fdbfab77341b"

// reads settles what can be settled without changing anything.
func (l *live) reads(ctx context.Context) error {
	s, err := l.graph.Survey(ctx, graph.SurveyRequest{Me: !l.admin.Claims().App, Resources: []string{registration.Graph.AppID(), registration.Exchange.AppID(), registration.SharePoint.AppID()}})
	if err != nil {
		return err
	}
	l.services = s.Resources
	if e, ok := errorOf(s.PolicyErr); s.PolicyErr == nil || ok && e.Err == nil {
		l.report.settle("policy", ok && e.Status == http.StatusForbidden, "%v", s.PolicyErr)
	}
	l.roles(s)
	a := l.get(ctx, "/organization") // those who may read a part only get names and domains, and null for the rest
	full := bytes.Contains(a.body, []byte(`"verifiedDomains":[{`)) && bytes.Contains(a.body, []byte(`"createdDateTime":"`))
	l.report.settle("organization", full, "%s, %d bytes with %d times null", a, len(a.body), bytes.Count(a.body, []byte(":null")))
	a = l.login(ctx, "c2conn-live", "token", url.Values{"grant_type": {"client_credentials"}, "client_id": {entra.AzureCLI}, "client_secret": {"none"}, "scope": {l.cloud.GraphScope()}})
	l.report.settle("900023", a.code == "AADSTS900023", "%s", a)
	scope := map[string]string{cloud.Global: "GCC", cloud.USGov: "DODCON", cloud.DoD: "DOD"}[l.cloud.Name]
	l.report.settle("sub-scope", l.tenant.RegionSubScope == scope, "tenant_region_scope %q, tenant_region_sub_scope %q in cloud %s", l.tenant.RegionScope, l.tenant.RegionSubScope, l.cloud.Name)
	if scope == "" || scope == "GCC" && l.tenant.RegionSubScope == "" {
		l.report.open("it takes a tenant of such a cloud; this one has tenant_region_scope "+l.tenant.RegionScope+" and no sub scope", "sub-scope")
	}
	for id, c := range map[string][2]string{"client-azure": {entra.AzureCLI, l.cloud.GraphScope()}, "client-graph": {entra.GraphCLI, l.cloud.GraphScope()}, "client-exchange": {exchangePowerShell, l.cloud.ExchangeScope()}} {
		// A tenant has the service principal only once somebody used it; a device code that
		// nobody types changes nothing, and tells whether the cloud knows the client.
		sp := l.get(ctx, "/servicePrincipals(appId='"+c[0]+"')?$select=id")
		code := l.login(ctx, l.tenant.ID, "devicecode", url.Values{"client_id": {c[0]}, "scope": {c[1]}})
		l.report.settle(id, sp.good() || code.good(), "service principal: %s; device code: %s", sp, code)
	}
	return ctx.Err()
}

func (l *live) roles(s graph.Survey) {
	who, inClaim := l.admin.Claims(), 0
	for _, r := range s.Roles {
		if slices.Contains(who.RoleIDs, strings.ToLower(r.TemplateID)) {
			inClaim++
		}
	}
	evidence := fmt.Sprintf("roles %+v (error: %v); %d ids in wids, %d of %d roles among them; scopes %s", s.Roles, s.RolesErr, len(who.RoleIDs), inClaim, len(s.Roles), strings.Join(who.Scopes, " "))
	l.report.settle("roles", len(s.Roles) > 0 && s.Roles[0].Name != "", "%s", evidence)
	l.report.settle("wids", inClaim == len(s.Roles) && inClaim > 0, "%s", evidence)
	l.report.settle("roles-user-read", len(s.Roles) == 0, "%s", evidence)
	if slices.ContainsFunc(who.Scopes, func(s string) bool {
		return strings.HasPrefix(s, "Directory.") || strings.HasPrefix(s, "RoleManagement.")
	}) {
		l.report.open("it takes a token with User.Read alone: "+evidence, "roles-user-read")
	}
	if who.App {
		l.report.open("the administrator is an application", "roles", "roles-user-read", "wids")
	}
}
