package entra

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/transport"
)

const deskLogin = "https://login.test"

// desk is Entra ID as far as people sign in: strict with what it is sent, without
// a network, so that it can be used where time is not real.
type desk struct {
	t *testing.T

	mu       sync.Mutex
	requests []string // "POST host/path grant"
	code     string   // the one that is valid
	asked    url.Values
	refresh  string
	issued   int
	life     int            // seconds that a token lives; 0 means 3600
	claims   map[string]any // of the next token, besides the usual
	dropped  []string       // parts left out of the token answer
	polls    []time.Time
	device   func(poll int) map[string]any // nil means done; else the refusal
	prompt   map[string]any                // changes the device code's answer
	refuse   func(form url.Values) map[string]any
}

func newDesk(t *testing.T) *desk { return &desk{t: t} }

// RoundTrip implements http.RoundTripper: the desk is the only host in the world.
func (d *desk) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if "https://"+r.URL.Host != deskLogin || r.URL.Scheme != "https" {
		d.t.Errorf("a request to %s", r.URL)
		return nil, errors.New("no such host")
	}
	w := httptest.NewRecorder()
	if r.Body != nil {
		defer r.Body.Close()
	} else {
		r.Body = http.NoBody
	}
	d.serve(w, r)
	return w.Result(), nil
}

func (d *desk) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	form, err := url.ParseQuery(string(body))
	if err != nil {
		d.t.Error(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.requests = append(d.requests, strings.TrimSpace(r.Method+" "+r.URL.Path+" "+form.Get("grant_type")))
	segment, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	tenant, issuer := segment, segment
	switch segment {
	case "contoso.test":
		tenant, issuer = tenantGUID, tenantGUID
	case "organizations":
		issuer = "{tenantid}"
	}
	if r.Method == http.MethodPost {
		if ct := r.Header.Get("Content-Type"); !strings.HasPrefix(ct, "application/x-www-form-urlencoded") {
			d.t.Errorf("content type %q", ct)
		}
		if form.Get("client_id") != AzureCLI || form.Has("client_secret") || form.Has("client_assertion") {
			d.t.Errorf("client: %v", form)
		}
		if scope := strings.Fields(form.Get("scope")); !slices.Equal(scope, []string{"https://graph.test/.default", "openid", "offline_access", "profile"}) {
			d.t.Errorf("scope %q (any other is AADSTS65002)", scope)
		}
		if !strings.Contains(form.Get("claims"), `"xms_cc":{"values":["cp1"]}`) {
			d.t.Errorf("claims %q", form.Get("claims"))
		}
	}
	switch "/" + rest {
	case configurationPath:
		answerJSON(w, 200, map[string]any{
			"issuer":                 deskLogin + "/" + issuer + "/v2.0",
			"authorization_endpoint": deskLogin + "/" + tenant + "/oauth2/v2.0/authorize",
			"token_endpoint":         deskLogin + "/" + tenant + "/oauth2/v2.0/token",
		})
	case "/oauth2/v2.0/devicecode":
		d.asked = form
		a := map[string]any{"device_code": "dc", "user_code": "ABCD-1234", "verification_uri": "https://microsoft.test/devicelogin", "expires_in": 900, "interval": 5, "message": "…"}
		for k, v := range d.prompt {
			a[k] = v
		}
		answerJSON(w, 200, a)
	case "/oauth2/v2.0/token":
		if e := d.check(form); e != nil {
			e["trace_id"], e["correlation_id"] = "tr", "co"
			answerJSON(w, 400, e)
			return
		}
		answerJSON(w, 200, d.token())
	default:
		answerJSON(w, 404, map[string]any{"error": "not_found"})
	}
}

// check refuses a request for a token as Entra ID does.
func (d *desk) check(form url.Values) map[string]any {
	if d.refuse != nil {
		if e := d.refuse(form); e != nil {
			return e
		}
	}
	switch form.Get("grant_type") {
	case "authorization_code":
		sum := sha256.Sum256([]byte(form.Get("code_verifier")))
		switch {
		case d.code == "" || form.Get("code") != d.code:
			return oauth(54005, "invalid_grant")
		case base64.RawURLEncoding.EncodeToString(sum[:]) != d.asked.Get("code_challenge"):
			return oauth(501481, "invalid_grant")
		case form.Get("redirect_uri") != d.asked.Get("redirect_uri"):
			return oauth(50011, "invalid_grant")
		}
		d.code = ""
	case "urn:ietf:params:oauth:grant-type:device_code", "device_code":
		d.polls = append(d.polls, time.Now())
		if form.Get("device_code") != "dc" {
			return oauth(70018, "invalid_grant")
		}
		if d.device != nil {
			return d.device(len(d.polls))
		}
	case "refresh_token":
		if d.refresh == "" || form.Get("refresh_token") != d.refresh {
			return oauth(70043, "invalid_grant")
		}
	default:
		return oauth(70003, "unsupported_grant_type")
	}
	return nil
}

func (d *desk) token() map[string]any {
	d.issued++
	d.refresh = fmt.Sprintf("refresh-%d", d.issued)
	life := d.life
	if life == 0 {
		life = 3600
	}
	claims := map[string]any{
		"aud": "https://graph.test", "tid": tenantGUID, "oid": "33333333-3333-3333-3333-333333333333", "upn": "admin@contoso.test", "name": "Ada \x1b[31mAdmin",
		"appid": AzureCLI, "scp": "User.ReadWrite.All Application.ReadWrite.All", "wids": []string{"62E90394-69f5-4237-9190-012177145e10", "no guid"}, "idtyp": "user",
		"exp": time.Now().Unix() + int64(life), "n": d.issued,
	}
	for k, v := range d.claims {
		claims[k] = v
	}
	info, _ := json.Marshal(map[string]string{"uid": claims["oid"].(string), "utid": claims["tid"].(string)})
	a := map[string]any{
		"token_type": "Bearer", "expires_in": life, "ext_expires_in": life, "scope": "profile openid https://graph.test/User.ReadWrite.All https://graph.test/.default",
		"access_token": jwt(claims), "refresh_token": d.refresh, "client_info": base64.RawURLEncoding.EncodeToString(info),
		"id_token": jwt(map[string]any{"aud": AzureCLI, "iss": deskLogin + "/" + tenantGUID + "/v2.0", "sub": "s", "oid": claims["oid"], "tid": claims["tid"], "preferred_username": "ada@contoso.test", "name": "Ada"}),
	}
	if claims["opaque"] != nil {
		a["access_token"] = "opaque"
	}
	for _, part := range d.dropped {
		delete(a, part)
	}
	return a
}

func (d *desk) set(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
}

func (d *desk) count(what string) (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range d.requests {
		if strings.Contains(r, what) {
			n++
		}
	}
	return n
}

// enter does what the sign-in page does with a good password: it answers the form
// that the browser posts.
func (d *desk) enter(link string) url.Values {
	u, err := url.Parse(link)
	if err != nil {
		d.t.Fatal(err)
	}
	q := u.Query()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = q
	d.code = "the-code"
	return url.Values{"code": {d.code}, "state": {q.Get("state")}, "session_state": {"x"}}
}

func (d *desk) user(change func(*UserOptions)) *User {
	d.t.Helper()
	client, err := transport.New(transport.Options{Base: d})
	if err != nil {
		d.t.Fatal(err)
	}
	o := UserOptions{Cloud: cloud.Cloud{Name: "test", Login: deskLogin, Graph: "https://graph.test"}, Tenant: tenantGUID, HTTP: client}
	if change != nil {
		change(&o)
	}
	u, err := NewUser(o)
	if err != nil {
		d.t.Fatal(err)
	}
	return u
}

// pipes is a loopback without a network: a listener and a browser's client.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	shut  chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), shut: make(chan struct{})} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "tcp" }
func (pipeAddr) String() string  { return "127.0.0.1:4711" }

func (p *pipes) Addr() net.Addr { return pipeAddr{} }

func (p *pipes) Close() error { p.once.Do(func() { close(p.shut) }); return nil }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.shut:
		return nil, net.ErrClosed
	}
}

func (p *pipes) listen(context.Context) (net.Listener, error) { return p, nil }

func (p *pipes) browser() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		here, there := net.Pipe()
		select {
		case p.conns <- there:
			return here, nil
		case <-p.shut:
			return nil, errors.New("connection refused")
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}}
}

// fetch sends a request as a browser would and returns status, headers and page.
func fetch(t *testing.T, client *http.Client, method, address, host string, form url.Values) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Error(err)
		return nil, ""
	}
	if host != "" {
		r.Host = host
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := client.Do(r)
	if err != nil {
		return nil, err.Error()
	}
	defer res.Body.Close()
	page, err := io.ReadAll(res.Body)
	if err != nil {
		t.Errorf("the page broke off: %v", err)
	}
	return res, string(page)
}

// clientOf answers each request with what body gives for its host.
func clientOf(body func(host string) []byte) *http.Client {
	return &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		return answer(r, http.StatusOK, body(r.URL.Host)), nil
	})}
}
