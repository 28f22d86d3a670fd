package graph

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/transport"
)

const applicationText = `{"@odata.context":"x","id":"obj","appId":"22222222-0000-0000-0000-000000000002","displayName":"App\u202e","uniqueName":"c2conn-x","description":null,
	"notes":"a\nb","signInAudience":"AzureADMyOrg","createdByAppId":"04b07795-8ddb-461a-bbee-02f9e1bf7b46","createdDateTime":"2026-11-22T08:00:00Z","tags":["c2conn","c2conn:run:1"],
	"keyCredentials":[{"keyId":"k1","customKeyIdentifier":"A2Y3q2WBKzqj3QoUQyKY3bJhm8E=","displayName":"CN=x","type":"AsymmetricX509Cert","usage":"Verify","startDateTime":"2026-11-22T00:00:00Z","endDateTime":"2031-11-22T00:00:00Z","key":null},
		{"keyId":"k2","customKeyIdentifier":"0102030405060708090A0B0C0D0E0F1011121314","key":"AQID"},{"keyId":"k3","customKeyIdentifier":"0102030405060708090a0b0c0d0e0f1011121314"},{"keyId":"k4","customKeyIdentifier":"mine"}],
	"passwordCredentials":[{"keyId":"p1","displayName":"s","hint":"abc","endDateTime":"2027-11-22T00:00:00Z","secretText":null}],
	"requiredResourceAccess":[{"resourceAppId":"r","resourceAccess":[{"id":"a","type":"Role"},{"id":"b","type":"Scope"},{"id":"c","type":"New"}]}],
	"isDisabled":null,"disabledByMicrosoftStatus":"NotDisabled"}`

var wantApplication = Application{
	ObjectID: "obj", AppID: "22222222-0000-0000-0000-000000000002", DisplayName: "App", UniqueName: "c2conn-x", Notes: "a b", SignInAudience: "AzureADMyOrg",
	CreatedByAppID: "04b07795-8ddb-461a-bbee-02f9e1bf7b46", Created: time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC), Tags: []string{"c2conn", "c2conn:run:1"},
	Keys: []Key{
		{ID: "k1", Thumbprint: "036637AB65812B3AA3DD0A14432298DDB2619BC1", DisplayName: "CN=x", Type: "AsymmetricX509Cert", Usage: "Verify",
			Start: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC), End: time.Date(2031, 11, 22, 0, 0, 0, 0, time.UTC), identifier: "A2Y3q2WBKzqj3QoUQyKY3bJhm8E="},
		{ID: "k2", Thumbprint: "7037807198C22A7D2B0807371D763779A84FDFCF", Public: []byte{1, 2, 3}, identifier: "0102030405060708090A0B0C0D0E0F1011121314"},
		{ID: "k3", Thumbprint: "0102030405060708090A0B0C0D0E0F1011121314", identifier: "0102030405060708090a0b0c0d0e0f1011121314"},
		{ID: "k4", identifier: "mine"},
	},
	Secrets:  []Password{{ID: "p1", DisplayName: "s", Hint: "abc", End: time.Date(2027, 11, 22, 0, 0, 0, 0, time.UTC)}},
	Required: []ResourceAccess{{ResourceAppID: "r", Roles: []string{"a"}, Scopes: []string{"b"}}},
}

var wish = NewApplication{
	DisplayName: "App", Description: "d", Notes: "n", Tags: []string{"c2conn"},
	Required: []ResourceAccess{{ResourceAppID: "00000003-0000-0000-c000-000000000000", Roles: []string{"df021288-bdef-4463-88db-98f22de89214"}, Scopes: []string{"e1fe6dd8-ba31-4d61-89e7-88639da4683d"}}},
	Keys:     []Key{{DisplayName: "CN=x", Start: time.Date(2026, 11, 22, 1, 0, 0, 0, time.FixedZone("", 3600)), End: time.Date(2031, 11, 22, 0, 0, 0, 0, time.UTC), Public: []byte{1, 2, 3}}},
}

const wishBody = `{"description":"d","displayName":"App","keyCredentials":[{"displayName":"CN=x","endDateTime":"2031-11-22T00:00:00Z","key":"AQID","startDateTime":"2026-11-22T00:00:00Z","type":"AsymmetricX509Cert","usage":"Verify"}],` +
	`"notes":"n","requiredResourceAccess":[{"resourceAccess":[{"id":"df021288-bdef-4463-88db-98f22de89214","type":"Role"},{"id":"e1fe6dd8-ba31-4d61-89e7-88639da4683d","type":"Scope"}],"resourceAppId":"00000003-0000-0000-c000-000000000000"}],` +
	`"signInAudience":"AzureADMyOrg","tags":["c2conn"]}`

// sorted writes JSON in one form.
func sorted(t *testing.T, s string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(s), &v); err != nil {
		t.Fatalf("%v: %s", err, s)
	}
	b, _ := json.Marshal(v)
	return string(b)
}

func TestUpsert(t *testing.T) {
	t.Parallel()
	created := answered{status: 201, body: applicationText}
	found := answered{status: 200, body: applicationText}
	none := answered{status: 204}
	for _, c := range []struct {
		name    string
		patch   []answered
		get     []answered
		created bool
		status  int // of the error
	}{
		{"made", []answered{created}, nil, true, 0},
		{"changed", []answered{none}, []answered{found}, false, 0},
		{"changed and told", []answered{found}, nil, false, 0},
		{"changed, and this server does not know it yet", []answered{none}, []answered{notFound, notFound, found}, false, 0},
		{"the answer was lost", []answered{{}, none}, []answered{found}, false, 0},
		{"busy", []answered{{status: 503}, {status: 429}, created}, nil, true, 0},
		{"made but not told", []answered{{status: 201}}, []answered{found}, true, 0},
		{"another try was faster", []answered{refusal(409, "Request_MultipleObjectsWithSameKeyValue", "Another object with the same value for property uniqueName already exists.")}, []answered{notFound, found}, false, 0},
		{"conflict with another write", []answered{refusal(409, "Directory_ConcurrencyViolation", "x"), created}, nil, true, 0},
		{"not offered", []answered{notFound}, nil, false, 404},
		{"refused", []answered{refusal(403, "Authorization_RequestDenied", "x")}, nil, false, 403},
		{"policy", []answered{refusal(400, "CredentialInvalidLifetimeAsPerAppPolicy", "x")}, nil, false, 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			patch, get := slices.Clone(c.patch), slices.Clone(c.get)
			g := newStub(t, func(q ask) answered {
				list := &patch
				switch q.method {
				case "PATCH":
					if q.url != "/applications(uniqueName='c2conn-x%27%27y')" || q.prefer != "create-if-missing" || sorted(t, q.body) != wishBody {
						t.Errorf("%+v", q)
					}
				case "GET":
					if list = &get; !strings.HasPrefix(q.url, "/applications(uniqueName='c2conn-x%27%27y')?$select=id,appId,") {
						t.Errorf("%+v", q)
					}
				}
				if len(*list) == 0 {
					t.Errorf("one more: %+v", q)
					return answered{status: 500}
				}
				a := (*list)[0]
				*list = (*list)[1:]
				return a
			})
			// Fresh is for what exists: it must not turn "not offered" into a wait.
			a, made, err := g.client.UpsertApplication(Fresh(t.Context(), 3*time.Minute), "c2conn-x'y", wish)
			if len(patch)+len(get) != 0 {
				t.Errorf("not asked: %v %v", patch, get)
			}
			if c.status != 0 {
				var e *Error
				if !errors.As(err, &e) || e.Status != c.status || g.clock.waits() != nil || errors.Is(err, ErrOutcomeUnknown) {
					t.Errorf("%v after %v", err, g.clock.waits())
				}
				return
			}
			if err != nil || made != c.created || !reflect.DeepEqual(a, wantApplication) {
				t.Errorf("%v %v\n%+v\n%+v", made, err, a, wantApplication)
			}
		})
	}
}

// Whoever makes something learns whether to look before making it again.
func TestOutcomeUnknown(t *testing.T) {
	t.Parallel()
	calls := map[string]func(*Client) error{
		"application": func(c *Client) error { _, err := c.CreateApplication(t.Context(), wish); return err },
		"password":    func(c *Client) error { _, _, err := c.AddPassword(t.Context(), "a", "n", time.Time{}); return err },
	}
	client, err := transport.New(transport.Options{Clock: &simulated{}})
	if err != nil {
		t.Fatal(err)
	}
	// Nothing listens: nothing is sent.
	nobody, err := New(Options{BaseURL: "https://127.0.0.1:1/v1.0", HTTP: client, Clock: &simulated{}, Token: func(context.Context, string) (string, error) { return "token", nil }})
	if err != nil {
		t.Fatal(err)
	}
	for name, call := range calls {
		for _, c := range []struct {
			answer  answered
			unknown bool
		}{
			{answered{}, true}, {answered{status: 500}, true}, {answered{status: 502, body: "<html>"}, true}, {answered{status: 504}, true}, {answered{status: 408}, true},
			{answered{status: 201}, true}, {answered{status: 201, body: "<html>"}, true}, {answered{status: 200, body: "{}"}, true}, {answered{status: 204}, true},
			{refusal(400, "x", "x"), false}, {refusal(403, "x", "x"), false}, {refusal(409, "x", "x"), false}, {answered{status: 302}, false}, {answered{status: 401}, false},
		} {
			g := newStub(t, func(ask) answered { return c.answer })
			err := call(g.client)
			if err == nil || errors.Is(err, ErrOutcomeUnknown) != c.unknown || len(g.seen()) != 1 || strings.Contains(err.Error(), "not known") != c.unknown {
				t.Errorf("%s %d: %v after %d requests", name, c.answer.status, err, len(g.seen()))
			}
		}
		if err := call(nobody); transport.KindOf(err) != transport.KindRefused || errors.Is(err, ErrOutcomeUnknown) {
			t.Errorf("%s: %v", name, err)
		}
	}
	g := newStub(t, func(ask) answered { return answered{status: 500} })
	if _, err := g.client.Application(t.Context(), "a"); errors.Is(err, ErrOutcomeUnknown) {
		t.Error("a read has no outcome")
	}
	if uncertain(&Error{Err: &transport.Error{Kind: transport.KindDNS, Err: &net.DNSError{}}}) || !uncertain(&Error{Err: &transport.Error{Kind: transport.KindCanceled}}) {
		t.Error("kinds of failure")
	}
}

func TestCreateApplication(t *testing.T) {
	t.Parallel()
	n := 0
	g := newStub(t, func(q ask) answered {
		if q.method != "POST" || q.url != "/applications" || q.prefer != "" || sorted(t, q.body) != wishBody {
			t.Errorf("%+v", q)
		}
		if n++; n == 1 {
			return answered{status: 429} // was not looked at
		}
		return answered{status: 201, body: applicationText}
	})
	a, err := g.client.CreateApplication(t.Context(), wish)
	if err != nil || !reflect.DeepEqual(a, wantApplication) {
		t.Errorf("%+v %v", a, err)
	}
	bad := wish
	bad.Keys = []Key{{}}
	if _, err := g.client.CreateApplication(t.Context(), bad); err == nil || errors.Is(err, ErrOutcomeUnknown) || n != 2 {
		t.Errorf("%v after %d requests", err, n)
	}
}

func TestReadApplication(t *testing.T) {
	t.Parallel()
	g := newStub(t, func(ask) answered { return answered{status: 200, body: applicationText} })
	for want, read := range map[string]func() (Application, error){
		"/applications/obj%27?":                func() (Application, error) { return g.client.Application(t.Context(), "obj'") },
		"/applications(appId='22%27%27')?":     func() (Application, error) { return g.client.ApplicationByAppID(t.Context(), "22'") },
		"/applications(uniqueName='un%27%27')": func() (Application, error) { return g.client.ApplicationByUniqueName(t.Context(), "un'") },
	} {
		a, err := read()
		last := g.seen()[len(g.seen())-1]
		if err != nil || !reflect.DeepEqual(a, wantApplication) || !strings.HasPrefix(last.url, want) || !strings.Contains(last.url, ",keyCredentials,") {
			t.Errorf("%s: %+v %v", last.url, a, err)
		}
	}
	// A cloud that lacks a property still tells the rest.
	g = newStub(t, func(q ask) answered {
		for _, f := range []string{"isDisabled", "createdByAppId"} {
			if strings.Contains(q.url, f) {
				return refusal(400, "BadRequest", "Parsing OData Select and Expand failed: Could not find a property named '"+f+"' on type 'microsoft.graph.application'.")
			}
		}
		return answered{status: 200, body: applicationText}
	})
	if _, err := g.client.Application(t.Context(), "obj"); err != nil || len(g.seen()) != 3 {
		t.Errorf("%v after %d requests", err, len(g.seen()))
	}
	g = newStub(t, func(ask) answered {
		return refusal(400, "BadRequest", "Could not find a property named 'other' on type 'x'.")
	})
	if _, err := g.client.Application(t.Context(), "obj"); err == nil || len(g.seen()) != 1 {
		t.Errorf("%v after %d requests", err, len(g.seen()))
	}
}

func TestSetKeys(t *testing.T) {
	t.Parallel()
	n := 0
	g := newStub(t, func(q ask) answered {
		if n++; n == 1 {
			return answered{} // lost: the same again changes nothing
		}
		if q.method != "PATCH" || q.url != "/applications/obj" {
			t.Errorf("%+v", q)
		}
		return answered{status: 204, body: q.body}
	})
	old := Key{ID: "33333333-0000-0000-0000-000000000003", Public: []byte{9}, Type: "T", Usage: "U", identifier: "A2Y3q2WBKzqj3QoUQyKY3bJhm8E="}
	if err := g.client.SetKeys(t.Context(), "obj", []Key{old, {Public: []byte{1}}}); err != nil {
		t.Error(err)
	}
	want := `{"keyCredentials":[{"customKeyIdentifier":"A2Y3q2WBKzqj3QoUQyKY3bJhm8E=","key":"CQ==","keyId":"33333333-0000-0000-0000-000000000003","type":"T","usage":"U"},{"key":"AQ==","type":"AsymmetricX509Cert","usage":"Verify"}]}`
	if got := sorted(t, g.seen()[1].body); got != want {
		t.Errorf("%s", got)
	}
	if err := g.client.SetKeys(t.Context(), "obj", []Key{{ID: old.ID}}); err == nil || n != 2 {
		t.Error("a certificate was wiped")
	}
	if err := g.client.SetRequired(t.Context(), "obj", nil); err != nil || sorted(t, g.seen()[2].body) != `{"requiredResourceAccess":[]}` {
		t.Errorf("%v %s", err, g.seen()[2].body)
	}
	// A sign-in page of a network is no success.
	g = newStub(t, func(ask) answered { return answered{status: 200, body: "<html>"} })
	if err := g.client.SetKeys(t.Context(), "obj", nil); !errors.Is(err, ErrOutcomeUnknown) {
		t.Error(err)
	}
}

func TestPassword(t *testing.T) {
	t.Parallel()
	g := newStub(t, func(q ask) answered {
		switch q.url {
		case "/applications/obj/addPassword":
			return answered{status: 200, body: `{"keyId":"p1","displayName":"n","hint":"s~s","secretText":"s~secret","endDateTime":"2028-11-22T00:00:00Z"}`}
		case "/applications/obj/removePassword":
			return answered{status: 204}
		}
		return refusal(400, "Request_BadRequest", "No password credential found with keyId 'x'.")
	})
	end := time.Date(2028, 11, 22, 0, 0, 0, 0, time.UTC)
	p, secret, err := g.client.AddPassword(t.Context(), "obj", "n", end)
	if err != nil || p != (Password{ID: "p1", DisplayName: "n", Hint: "s~s", End: end}) || string(secret.Reveal()) != "s~secret" || strings.Contains(fmt.Sprint(secret), "secret") {
		t.Errorf("%+v %v", p, err)
	}
	if got := sorted(t, g.seen()[0].body); got != `{"passwordCredential":{"displayName":"n","endDateTime":"2028-11-22T00:00:00Z"}}` {
		t.Error(got)
	}
	const id = "33333333-0000-0000-0000-000000000003"
	if err := g.client.RemovePassword(t.Context(), "obj", id); err != nil || sorted(t, g.seen()[1].body) != `{"keyId":"`+id+`"}` {
		t.Errorf("%v %+v", err, g.seen()[1])
	}
	if err := g.client.RemovePassword(t.Context(), "gone", id); err != nil {
		t.Error(err)
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	gone, there := answered{status: 204}, answered{status: 200, body: `{"id":"obj"}`}
	app := func(c *Client, fresh time.Duration) error {
		return c.DeleteApplication(Fresh(t.Context(), fresh), "obj")
	}
	purge := func(c *Client, fresh time.Duration) error { return c.PurgeDeleted(Fresh(t.Context(), fresh), "obj") }
	denied := refusal(403, "Authorization_RequestDenied", "x")
	for _, c := range []struct {
		name   string
		call   func(*Client, time.Duration) error
		fresh  time.Duration
		script []answered // the last is repeated
		status int
		waits  int
	}{
		{"deleted", app, 0, []answered{gone}, 0, 0},
		{"lost", app, 0, []answered{{}, gone}, 0, 1},
		{"not there", app, 0, []answered{notFound}, 404, 0},
		{"refused", app, 0, []answered{denied}, 403, 0},
		{"not known yet", app, time.Minute, []answered{notFound, notFound, gone}, 0, 1},
		{"lost, and deleted by the first try", app, time.Minute, []answered{{}, notFound, there}, 0, 1},
		{"never known", app, 20 * time.Second, []answered{notFound}, 404, 3},
		{"a proxy's 404", app, 0, []answered{{status: 404, body: "<html>"}}, 404, 0},
		{"purged", purge, time.Minute, []answered{gone}, 0, 0},
		{"not in the deleted items yet", purge, time.Minute, []answered{notFound, gone}, 0, 1},
		{"not in the deleted items", purge, 0, []answered{notFound}, 404, 0},
		{"never in the deleted items", purge, 20 * time.Second, []answered{notFound}, 404, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			n := 0
			g := newStub(t, func(q ask) answered {
				a := c.script[min(n, len(c.script)-1)]
				n++
				return a
			})
			err := c.call(g.client, c.fresh)
			var e *Error
			if errors.As(err, &e) != (c.status != 0) || e != nil && e.Status != c.status || len(g.clock.waits()) != c.waits {
				t.Errorf("%v after %v", err, g.clock.waits())
			}
		})
	}
	g := newStub(t, func(ask) answered { return gone })
	_ = app(g.client, 0)
	_ = purge(g.client, 0)
	_ = g.client.DeleteServicePrincipal(t.Context(), "sp")
	_ = g.client.Unassign(t.Context(), "sp", "as/1")
	var got []string
	for _, q := range g.seen() {
		got = append(got, q.method+" "+q.url)
	}
	want := []string{"DELETE /applications/obj", "DELETE /directory/deletedItems/obj", "DELETE /servicePrincipals/sp", "DELETE /servicePrincipals/sp/appRoleAssignments/as%2F1"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestCreateServicePrincipal(t *testing.T) {
	t.Parallel()
	const id = "22222222-0000-0000-0000-000000000002"
	want := ServicePrincipal{ObjectID: "11111111-0000-0000-0000-000000000001", AppID: id, DisplayName: "App", Enabled: true, Tags: []string{"c2conn"}}
	inUse := refusal(409, "Request_MultipleObjectsWithSameKeyValue", "The service principal cannot be created, updated, or restored because the service principal name x is already in use.")
	for name, c := range map[string]struct {
		post, get []answered
		ok        bool
	}{
		"made":                          {[]answered{{status: 201, body: principalBody}}, nil, true},
		"lost":                          {[]answered{{}, inUse}, []answered{notFound, {status: 200, body: principalBody}}, true},
		"exists":                        {[]answered{inUse}, []answered{{status: 200, body: principalBody}}, true},
		"made but not told":             {[]answered{{status: 201}}, []answered{{status: 200, body: principalBody}}, true},
		"the name is in use by another": {[]answered{inUse}, slices.Repeat([]answered{notFound}, 7), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			post, get := slices.Clone(c.post), slices.Clone(c.get)
			g := newStub(t, func(q ask) answered {
				list := &post
				if q.method == "GET" {
					if list = &get; !strings.HasPrefix(q.url, "/servicePrincipals(appId='"+id+"')?$select=") {
						t.Errorf("%+v", q)
					}
				} else if q.url != "/servicePrincipals" || sorted(t, q.body) != `{"appId":"`+id+`","tags":["c2conn"]}` {
					t.Errorf("%+v", q)
				}
				if len(*list) == 0 {
					t.Errorf("one more: %+v", q)
					return answered{status: 500}
				}
				a := (*list)[0]
				*list = (*list)[1:]
				return a
			})
			sp, err := g.client.CreateServicePrincipal(t.Context(), id, []string{"c2conn"})
			if (err == nil) != c.ok || c.ok && !reflect.DeepEqual(sp, want) || len(post)+len(get) != 0 {
				t.Errorf("%+v %v, left %v %v", sp, err, post, get)
			}
			var e *Error
			if !c.ok && (!errors.As(err, &e) || e.Status != 409) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestPolicy(t *testing.T) {
	t.Parallel()
	g := newStub(t, func(q ask) answered {
		if q.url != "/policies/defaultAppManagementPolicy" {
			t.Errorf("%+v", q)
		}
		return answered{status: 200, body: `{"id":"00000000-0000-0000-0000-000000000000","isEnabled":true,"applicationRestrictions":{
			"passwordCredentials":[{"restrictionType":"passwordAddition","state":"disabled"},{"restrictionType":"passwordLifetime","maxLifetime":"P90D","state":"enabled","restrictForAppsCreatedAfterDateTime":"2020-01-01T00:00:00Z"}],
			"keyCredentials":[{"restrictionType":"asymmetricKeyLifetime","maxLifetime":"P1Y"},{"restrictionType":"asymmetricKeyLifetime","maxLifetime":"P180D","restrictForAppsCreatedAfterDateTime":"2021-01-01T00:00:00Z"},
				{"restrictionType":"trustedCertificateAuthority"}]}}`}
	})
	p, err := g.client.Policy(t.Context())
	const day = 24 * time.Hour
	want := &AppPolicy{ID: "00000000-0000-0000-0000-000000000000", Enabled: true, KeyLifetime: 180 * day, KeysAfter: time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC),
		SecretLifetime: 90 * day, SecretLifetimeAfter: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)}
	if err != nil || !reflect.DeepEqual(p, want) {
		t.Errorf("%+v %v", p, err)
	}
	for s, want := range map[string]time.Duration{
		"P180D": 180 * day, "P1Y": 365 * day, "P2Y6M": 910 * day, "P1W": 7 * day, "PT1H30M": 90 * time.Minute, "P1DT12H": 36 * time.Hour, "PT0.5S": time.Second / 2,
		"": 0, "P": 0, "180D": 0, "P-1D": 0, "PD": 0, "P1": 0, "P1H": 0, "PT1D": 0, "P1DT": 24 * time.Hour, "PTT1H": 0, "P9999999999999Y": 0, "P1e9Y": 0, "PNaNY": 0, "PInfY": 0,
	} {
		if got := isoDuration(s); got != want {
			t.Errorf("%q: %v, want %v", s, got, want)
		}
	}
}

func TestKeyThumbprint(t *testing.T) {
	t.Parallel()
	sum := strings.Repeat("\x01", 32)
	for identifier, want := range map[string]string{
		base64.StdEncoding.EncodeToString([]byte(sum)): strings.Repeat("01", 32),
		strings.Repeat("aB", 20):                       strings.Repeat("AB", 20),
		"":                                             "", "eA==": "", "\u202e": "",
	} {
		if got := (keyJSON{Identifier: text(identifier)}).plain().Thumbprint; got != want {
			t.Errorf("%q: %q", identifier, got)
		}
	}
}
