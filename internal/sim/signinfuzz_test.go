package sim

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// loginOnly is a world without listeners: what the pages need.
func loginOnly() *World {
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	w := &World{options: Options{Now: clock}, dice: newDice(1), faults: faultSet{active: map[string]*activeFault{}}}
	w.dir = &directory{organization: organization{ID: "11111111-1111-4111-8111-111111111111", DisplayName: "Contoso"}, users: []*user{{ID: "1", AccountEnabled: true, UserPrincipalName: GlobalAdmin}}}
	w.dir.log = changeLog{now: clock, dice: newDice(2), lag: func() *activeFault { return nil }}
	other := fields{"publicClient": []byte(`{"redirectUris":["http://localhost/app","custom:app"]}`)}
	w.dir.log.begin(&tenant{principals: []*servicePrincipal{{ID: "2", AppID: GraphAppID, AccountEnabled: true}},
		applications: []*application{{AppID: "22222222-2222-4222-8222-222222222222", DisplayName: "App", SignInAudience: "AzureADMultipleOrgs", other: other}}})
	return w
}

func (w *World) asked(method, path, query string) *request {
	hr := httptest.NewRequest(method, "https://login.example"+path, nil)
	r := &request{Request: hr, world: w, service: serviceLogin, base: "https://login.example", id: w.dice.guid(), correlation: w.dice.guid(), body: []byte(query)}
	hr.URL.RawQuery = query
	return r
}

// harmless fails when a page lets through what was put into a parameter, or
// when an application's answer goes where it must not.
func harmless(t *testing.T, a *answer) {
	t.Helper()
	if strings.Contains(strings.ToLower(string(a.body)), "<injected") {
		t.Errorf("the page holds what was sent:\n%s", a.body)
	}
	if to := a.header.Get("Location"); to != "" {
		u, err := url.Parse(to)
		if err != nil || !(u.Scheme == "http" && u.Hostname() == "localhost" || u.Scheme == "custom") {
			t.Errorf("sent to %q", to)
		}
	}
	if a.status != http.StatusOK && a.status != http.StatusFound && a.status != http.StatusBadRequest && a.status != http.StatusServiceUnavailable {
		t.Errorf("status %d", a.status)
	}
}

func FuzzAuthorize(f *testing.F) {
	good := "client_id=" + AzureCLIAppID + "&response_type=code&redirect_uri=http%3A%2F%2Flocalhost%3A1&scope=https%3A%2F%2Fgraph.microsoft.com%2F.default+openid"
	f.Add(good, "organizations", true)
	f.Add(good+"&response_mode=form_post&prompt=none&state=%22%3E%3Cinjected%3E", "common", true)
	f.Add(good+"&login_hint=%3Cinjected%3E%40contoso.com", "common", true)
	f.Add(good+"&code_challenge_method=S256&code_challenge=x&claims=%7B", "common", false)
	f.Add("client_id=22222222-2222-4222-8222-222222222222&redirect_uri=custom:app&response_type=%3Cinjected%3E&response_mode=fragment", "common", true)
	f.Add("client_id=22222222-2222-4222-8222-222222222222&redirect_uri=http%3A%2F%2Flocalhost.evil.example%2Fapp", "common", true)
	f.Add("%zz&&==", "<injected>", true)
	f.Fuzz(func(t *testing.T, query, segment string, v2 bool) {
		w := loginOnly()
		harmless(t, w.authorize(w.asked(http.MethodGet, "/", query), segment, v2))
		q, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		a, fail := readAuthorize(q, v2)
		if fail == nil && (q.Get("response_type") != "code" || a.challenge != "" && !slices.Contains([]string{"S256", "plain"}, a.method) || len(a.challenge) > 128) {
			t.Errorf("understood: %q", query)
		}
		if !slices.Contains([]string{"query", "fragment", "form_post"}, a.mode) {
			t.Errorf("mode %q", a.mode)
		}
	})
}

func FuzzConsent(f *testing.F) {
	f.Add("client_id=22222222-2222-4222-8222-222222222222", "organizations", false)
	f.Add("client_id=22222222-2222-4222-8222-222222222222&redirect_uri=http%3A%2F%2Flocalhost%3A9%2Fapp&scope=.default&state=%3Cinjected%3E", "organizations", true)
	f.Add("client_id=%3Cinjected%3E", "x.example", true)
	f.Fuzz(func(t *testing.T, query, segment string, v2 bool) {
		w := loginOnly()
		harmless(t, w.adminConsent(w.asked(http.MethodGet, "/", query), segment, v2))
		if q, err := url.ParseQuery(query); err == nil {
			if c, fail := readConsent(q, v2); fail == nil && (c.clientID == "" || v2 && (c.redirect == "" || c.scope == "")) {
				t.Errorf("understood: %q", query)
			}
		}
	})
}

func FuzzDevice(f *testing.F) {
	f.Add("client_id="+AzureCLIAppID+"&scope=openid", "code=ABC+DEF-GHJ", true)
	f.Add("client_id="+AzureCLIAppID+"&resource=https%3A%2F%2Fgraph.microsoft.com", "code=%3Cinjected%3E", false)
	f.Add("scope=a&scope=b", "code=", true)
	f.Fuzz(func(t *testing.T, request, entry string, v2 bool) {
		w := loginOnly()
		r := w.asked(http.MethodPost, "/", request)
		r.Header = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
		if a := w.deviceCode(r, "organizations", v2); a.status != http.StatusOK && a.status != http.StatusBadRequest {
			t.Errorf("status %d", a.status)
		}
		harmless(t, w.enterDevice(w.asked(http.MethodPost, "/", entry)))
		if form, err := url.ParseQuery(request); err == nil {
			if id, s, fail := readDeviceRequest(form, v2); fail == nil && (id == "" || s.resource == "" && len(s.names) > 0) {
				t.Errorf("understood: %q", request)
			}
		}
	})
}

func FuzzScopes(f *testing.F) {
	for _, seed := range []string{"openid profile offline_access https://graph.microsoft.com/.default", "User.Read", "https://graph.microsoft.com//.default", "/", "a/ /b", ".default User.Read", "{}", "00000003-0000-0000-c000-000000000000/User.Read x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, fail := parseScopes(text)
		if fail != nil {
			return
		}
		if (s.resource == "") != (len(s.names) == 0) || slices.Contains(s.names, "") || slices.Contains(s.names, everything) && len(s.names) > 1 {
			t.Errorf("%q: %+v", text, s)
		}
		s.answeredScopes(shownScopes(client{}, s, s.names))
	})
}

func FuzzPage(f *testing.F) {
	f.Add(`<main data-step="account"><form id="form" method="post" action="/common/login"><input name="a" value="b"></form></main>`)
	f.Add(`<h1><p id=complaint><form action="%zz"><input type=checkbox name=x>`)
	f.Fuzz(func(t *testing.T, text string) {
		base := &url.URL{Scheme: "https", Host: "login.example"}
		if got, err := readPage(base, text); err == nil && got.action != "" {
			if _, err := url.Parse(got.action); err != nil {
				t.Error(err)
			}
		}
	})
}
