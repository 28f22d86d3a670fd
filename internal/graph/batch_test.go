package graph

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// tenant answers what Survey asks for. Changes by the address's beginning.
func tenant(changes map[string]answered) func(ask) answered {
	return func(q ask) answered {
		for start, a := range changes {
			if strings.HasPrefix(q.url, start) {
				return a
			}
		}
		switch path, _, _ := strings.Cut(q.url, "?"); path {
		case "/organization":
			return answered{status: 200, body: `{"value":[{"id":"org","displayName":"Contoso","verifiedDomains":[{"name":"contoso.com","isDefault":true}]}]}`}
		case "/me":
			return answered{status: 200, body: `{"id":"me","userPrincipalName":"admin@contoso.com","displayName":"Admin","mail":null}`}
		case "/me/transitiveMemberOf/microsoft.graph.directoryRole":
			return answered{status: 200, body: `{"value":[{"@odata.type":"#microsoft.graph.directoryRole","displayName":"Global Administrator","roleTemplateId":"62e90394-69f5-4237-9190-012177145e10"}]}`}
		case "/servicePrincipals(appId='graph')":
			return answered{status: 200, body: `{"id":"sp","appId":"graph","displayName":"Microsoft Graph","accountEnabled":false,"appRoles":[
				{"id":"r1","value":"User.Read.All","displayName":"Read","isEnabled":true,"allowedMemberTypes":["Application"]},{"id":"r2","value":"x","isEnabled":false,"allowedMemberTypes":["User"]}]}`}
		case "/servicePrincipals(appId='none')":
			return notFound
		case "/applications":
			return answered{status: 200, body: `{"value":[` + applicationText + `]}`}
		case "/policies/defaultAppManagementPolicy":
			return refusal(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
		}
		return answered{status: 500}
	}
}

var (
	question   = SurveyRequest{Me: true, Resources: []string{"graph", "none"}, DisplayName: "App 'x' & Söhne", Tags: []string{"c2conn:backup"}}
	wantSurvey = Survey{
		Organization: Organization{ID: "org", DisplayName: "Contoso", DefaultDomain: "contoso.com", Domains: []string{"contoso.com"}},
		Me:           User{ID: "me", UPN: "admin@contoso.com", DisplayName: "Admin"},
		Roles:        []DirectoryRole{{"Global Administrator", "62e90394-69f5-4237-9190-012177145e10"}},
		Resources: map[string]ServicePrincipal{"graph": {ObjectID: "sp", AppID: "graph", DisplayName: "Microsoft Graph", Roles: []AppRole{
			{ID: "r1", Value: "User.Read.All", DisplayName: "Read", Enabled: true, ForApplications: true}, {ID: "r2", Value: "x"}}}},
		SameName: []Application{wantApplication},
	}
)

func TestSurvey(t *testing.T) {
	t.Parallel()
	g := newStub(t, tenant(nil))
	got, err := g.client.Survey(t.Context(), question)
	var e *Error
	if !errors.As(got.PolicyErr, &e) || e.Status != 403 || e.RequestID != "part8" || e.Op != "read the application management policy" {
		t.Errorf("%+v", e)
	}
	got.PolicyErr = nil
	if err != nil || !reflect.DeepEqual(got, wantSurvey) || g.trips != 1 {
		t.Errorf("%d round trips, %v\n%+v\n%+v", g.trips, err, got, wantSurvey)
	}
	urls := []string{
		"/organization?$select=id,displayName,verifiedDomains",
		"/me?$select=id,userPrincipalName,mail,displayName",
		"/me/transitiveMemberOf/microsoft.graph.directoryRole?$select=displayName,roleTemplateId",
		"/servicePrincipals(appId='graph')?$select=id,appId,displayName,accountEnabled,appRoles,tags",
		"/servicePrincipals(appId='none')?$select=id,appId,displayName,accountEnabled,appRoles,tags",
		"/applications?$filter=displayName%20eq%20%27App%20%27%27x%27%27%20%26%20S%C3%B6hne%27&$select=" + strings.Join(applicationFields, ","),
		"/applications?$filter=tags%2Fany%28t%3At%20eq%20%27c2conn%3Abackup%27%29&$select=" + strings.Join(applicationFields, ","),
		"/policies/defaultAppManagementPolicy",
	}
	for i, q := range g.seen() {
		if q.url != urls[i] || q.method != "GET" {
			t.Errorf("%s %s\nwant %s", q.method, q.url, urls[i])
		}
	}
	// An application that signs in as itself has neither a /me nor a name to look for.
	g = newStub(t, tenant(nil))
	if got, err := g.client.Survey(t.Context(), SurveyRequest{}); err != nil || got.Organization.ID == "" || len(g.seen()) != 2 {
		t.Errorf("%+v %v %+v", got, err, g.seen())
	}
}

// What goes wrong with a part is put right by a request of its own, or is the
// error of that part alone.
func TestSurveyParts(t *testing.T) {
	t.Parallel()
	const organization, app = "/organization", "/applications?"
	challenge := answered{status: 401, body: `{"error":{"code":"InvalidAuthenticationToken","message":"x"}}`,
		header: map[string]string{"WWW-Authenticate": `Bearer error="insufficient_claims", claims="` + base64.StdEncoding.EncodeToString([]byte(`{"a":1}`)) + `"`}}
	for _, c := range []struct {
		name  string
		at    string
		first answered
		then  *answered // of the single request; nil means the good one
		trips int
		waits []time.Duration
		err   string // code of the survey's error
	}{
		{"throttled", organization, answered{status: 429, header: map[string]string{"Retry-After": "2.128"}}, nil, 2, []time.Duration{2128 * time.Millisecond}, ""},
		{"throttled without a time", app, answered{status: 429}, nil, 3, []time.Duration{time.Second}, ""},
		{"not available", "/me?", answered{status: 503}, nil, 2, []time.Duration{time.Second}, ""},
		{"broken", organization, answered{status: 500}, nil, 2, nil, ""},
		{"left out", organization, answered{}, nil, 2, nil, ""},
		{"answered twice", organization, answered{status: 200, body: `{"value":[{"id":"org2"}]}`, twice: true}, nil, 2, nil, ""},
		{"unreadable", organization, answered{status: 200, body: `{"value":[{}]}`}, nil, 2, nil, ""},
		{"half readable", app, answered{status: 200, body: `{"value":[{"id":"a","appId":"b"},null]}`}, nil, 3, nil, ""},
		{"not JSON", organization, answered{status: 200, body: `"PGh0bWw+"`, header: map[string]string{"Content-Type": "text/html"}}, nil, 2, nil, ""},
		{"claims challenge", organization, challenge, nil, 2, nil, ""},
		{"a property that this cloud lacks", app, refusal(400, "BadRequest", "Could not find a property named 'isDisabled' on type 'x'."), nil, 3, nil, ""},
		{"organization refused", organization, refusal(403, "Authorization_RequestDenied", "x"), nil, 1, nil, "Authorization_RequestDenied"},
		{"applications refused", app, refusal(403, "Authorization_RequestDenied", "x"), nil, 1, nil, "Authorization_RequestDenied"},
		{"resource refused", "/servicePrincipals(appId='graph')", refusal(403, "Authorization_RequestDenied", "x"), nil, 1, nil, "Authorization_RequestDenied"},
		{"broken twice", organization, answered{status: 500}, new(refusal(500, "InternalServerError", "x")), 2, nil, "InternalServerError"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			good := tenant(nil)
			g := newStub(t, func(q ask) answered {
				switch {
				case !strings.HasPrefix(q.url, c.at):
				case q.batch > 0:
					return c.first
				case c.then != nil:
					return *c.then
				}
				return good(q)
			})
			got, err := g.client.Survey(t.Context(), question)
			got.PolicyErr = nil
			if c.err == "" && (err != nil || !reflect.DeepEqual(got, wantSurvey)) {
				t.Errorf("%v\n%+v", err, got)
			}
			var e *Error
			if c.err != "" && (!errors.As(err, &e) || e.Code != c.err || errors.Is(err, ErrOutcomeUnknown)) {
				t.Errorf("%v", err)
			}
			if g.trips != c.trips || !slices.Equal(g.clock.waits(), c.waits) {
				t.Errorf("%d round trips, waits %v", g.trips, g.clock.waits())
			}
		})
	}
}

func TestSurveyDoesWithout(t *testing.T) {
	t.Parallel()
	denied := refusal(403, "Authorization_RequestDenied", "x")
	g := newStub(t, tenant(map[string]answered{"/me": denied, "/policies": {status: 200, body: `{"id":"p","isEnabled":true}`}}))
	got, err := g.client.Survey(t.Context(), question)
	var me, roles *Error
	if err != nil || !errors.As(got.MeErr, &me) || !errors.As(got.RolesErr, &roles) || me.Status != 403 || got.PolicyErr != nil || got.Policy == nil || !got.Policy.Enabled {
		t.Errorf("%v %+v", err, got)
	}
}

// A $batch that is refused as a whole is replaced by single requests; one that
// cannot be reached is not.
func TestBatchRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		outer  answered
		single bool
	}{
		{refusal(400, "BadRequest", "x"), true}, {answered{status: 403, body: "<html>"}, true}, {answered{status: 404}, true}, {answered{status: 413}, true}, {answered{status: 500}, true},
		{answered{status: 200, body: "<html>"}, true}, {answered{status: 200, body: `{"responses":null}`}, true}, {answered{status: 207, body: `{"responses":[]}`}, true},
		{answered{status: 200, body: `{"responses":[]}`}, true}, {answered{status: 200, body: `{"responses":[5,{"id":"99","status":200},{"id":1,"status":200},{"id":"1","status":7}]}`}, true},
		{answered{status: 401}, false}, {answered{status: 503}, false}, {answered{}, false},
	} {
		g := newStub(t, tenant(nil))
		g.outer = func(int) *answered { return &c.outer }
		got, err := g.client.Survey(t.Context(), question)
		got.PolicyErr = nil
		if c.single != (err == nil) || c.single && (!reflect.DeepEqual(got, wantSurvey) || len(g.seen()) != 8) || !c.single && len(g.seen()) != 0 {
			t.Errorf("%+v: %v after %d requests\n%+v", c.outer, err, len(g.seen()), got)
		}

		g = newStub(t, grant(nil))
		g.outer = func(int) *answered { return &c.outer }
		for _, err := range g.client.Assign(t.Context(), grants(3)) {
			if c.single != (err == nil) {
				t.Errorf("%+v: %v", c.outer, err)
			}
		}
	}
}

func TestBatchIsRepeated(t *testing.T) {
	t.Parallel()
	for _, first := range []answered{{}, {status: 429, header: map[string]string{"Retry-After": "9"}}, {status: 503}} {
		g := newStub(t, tenant(nil))
		g.outer = func(trip int) *answered {
			if trip == 1 {
				return &first
			}
			return nil
		}
		if _, err := g.client.Survey(t.Context(), question); err != nil || g.trips != 2 {
			t.Errorf("%+v: %v after %d", first, err, g.trips)
		}
	}
}

// More than fits in a batch goes in several.
func TestManyParts(t *testing.T) {
	t.Parallel()
	g := newStub(t, tenant(map[string]answered{"/servicePrincipals": notFound}))
	if got, err := g.client.Survey(t.Context(), SurveyRequest{Resources: slices.Repeat([]string{"none"}, 45)}); err != nil || len(got.Resources) != 0 || g.trips != 3 {
		t.Errorf("%v after %d round trips", err, g.trips)
	}
	g = newStub(t, grant(nil))
	if errs := g.client.Assign(t.Context(), grants(45)); g.trips != 3 || len(g.seen()) != 45 || slices.ContainsFunc(errs, func(err error) bool { return err != nil }) {
		t.Errorf("%v after %d round trips", errs, g.trips)
	}
	if errs := g.client.Assign(t.Context(), nil); len(errs) != 0 || g.trips != 3 {
		t.Errorf("%v", errs)
	}
}

// grant answers POST appRoleAssignedTo by the number in the role's id, each
// answer once; then and without one it grants.
func grant(script map[int][]answered) func(ask) answered {
	return func(q ask) answered {
		var j struct{ PrincipalID, ResourceID, AppRoleID string }
		if json.Unmarshal([]byte(q.body), &j) != nil || q.method != http.MethodPost || q.url != "/servicePrincipals/"+j.ResourceID+"/appRoleAssignedTo" || strings.Contains(q.body, "@odata") {
			return answered{status: 500}
		}
		var n int
		if _, err := fmt.Sscanf(j.AppRoleID, "cccccccc-0000-0000-0000-%d", &n); err != nil {
			return answered{status: 500}
		}
		if len(script[n]) > 0 {
			a := script[n][0]
			script[n] = script[n][1:]
			return a
		}
		return answered{status: 201, body: `{"id":"a","principalId":"` + j.PrincipalID + `","resourceId":"` + j.ResourceID + `","appRoleId":"` + j.AppRoleID + `"}`}
	}
}

func TestAssign(t *testing.T) {
	t.Parallel()
	const s = time.Second
	exists := refusal(400, "Request_BadRequest", "Permission being assigned already exists on the object")
	denied := refusal(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
	conflict := refusal(409, "Directory_ConcurrencyViolation", "x")
	busy := answered{status: 429, body: `{"error":{"code":"TooManyRequests","message":"x"}}`, header: map[string]string{"Retry-After": "3"}}
	dependency := refusal(424, "FailedDependency", "x")
	for _, c := range []struct {
		name   string
		script map[int][]answered
		failed map[int]int // status by index; all others are granted
		trips  int
		waits  []time.Duration
	}{
		{"all at once", nil, nil, 1, nil},
		{"one exists", map[int][]answered{1: {exists}}, nil, 2, nil},
		{"the last exists", map[int][]answered{4: {exists}}, nil, 1, nil},
		{"one is refused", map[int][]answered{1: {denied}}, map[int]int{1: 403}, 2, nil},
		{"all Graph roles are refused", map[int][]answered{1: {denied}, 2: {denied}, 3: {denied}, 4: {denied}}, map[int]int{1: 403, 2: 403, 3: 403, 4: 403}, 4, nil},
		{"not replicated", map[int][]answered{0: {notFound, notFound}}, nil, 3, []time.Duration{5 * s, 7500 * time.Millisecond}},
		{"not replicated in the middle", map[int][]answered{2: {notFound}}, nil, 2, []time.Duration{5 * s}},
		{"never replicated", map[int][]answered{0: slices.Repeat([]answered{notFound}, 9)}, map[int]int{0: 404}, 6, []time.Duration{5 * s, 7500 * time.Millisecond, 11250 * time.Millisecond, 6250 * time.Millisecond}},
		{"conflict", map[int][]answered{0: {conflict}}, nil, 2, []time.Duration{s}},
		{"conflicts all the time", map[int][]answered{3: slices.Repeat([]answered{conflict}, 20)}, map[int]int{3: 409}, 6, []time.Duration{s, 2 * s, 4 * s, 8 * s}},
		{"throttled in the middle", map[int][]answered{2: {busy}}, nil, 2, []time.Duration{3 * s}},
		{"a 424 of Graph's own", map[int][]answered{0: {dependency}}, nil, 6, nil},
		{"a part is missing", map[int][]answered{1: {{}}}, nil, 5, nil},
		{"a part is answered twice", map[int][]answered{1: {{status: 201, twice: true}}}, nil, 2, nil},
		{"the token is withdrawn", map[int][]answered{0: {{status: 401}}}, nil, 6, nil},
		{"broken", map[int][]answered{0: {{status: 500}}}, map[int]int{0: 500}, 2, nil},
		{"wrong role", map[int][]answered{0: {refusal(404, "UnknownError", "x")}}, map[int]int{0: 404}, 2, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := newStub(t, grant(c.script))
			errs := g.client.Assign(Fresh(g.ctx(t), 30*s), grants(5))
			for i, err := range errs {
				var e *Error
				if errors.As(err, &e) != (c.failed[i] != 0) || e != nil && e.Status != c.failed[i] {
					t.Errorf("%d: %v", i, err)
				}
			}
			if g.trips != c.trips || !slices.Equal(g.clock.waits(), c.waits) || len(g.words) != len(c.waits) {
				t.Errorf("%d round trips, waits %v, words %+v", g.trips, g.clock.waits(), g.words)
			}
		})
	}
	g := newStub(t, grant(map[int][]answered{0: {{}}}))
	if errs := g.client.Assign(t.Context(), grants(1)); errs[0] != nil || len(g.seen()) != 2 {
		t.Errorf("a lost answer is asked for again: %v", errs)
	}
}

func FuzzBatch(f *testing.F) {
	for _, seed := range []string{
		`{"responses":[{"id":"1","status":200,"headers":{"Content-Type":"application/json","Retry-After":"2.128"},"body":{"id":"x"}},{"id":"2","status":429,"body":{"error":{"code":"TooManyRequests","message":"x"}}}]}`,
		`{"responses":[{"id":"2","status":"200","headers":[]},{"id":"2","status":200},{"id":2},null,[],{"id":"3","status":1e9}]}`,
		`{"responses":{"id":"1"}}`, `{"responses":null}`, `{"error":{"code":"BadRequest"}}`, "[]", "null", "<html>", "{", "",
		`{"responses":[{"id":"1","status":401,"headers":{"WWW-Authenticate":{"a":1},"Retry-After":10,"\u0000":"\u202e"},"body":"PGh0bWw+"}]}`,
	} {
		f.Add([]byte(seed))
	}
	c := &Client{o: Options{Now: func() time.Time { return time.Unix(0, 0) }}}
	f.Fuzz(func(t *testing.T, body []byte) {
		answers, err := readBatch(body, 3)
		if err != nil {
			return
		}
		if len(answers) != 3 {
			t.Fatalf("%d answers", len(answers))
		}
		for _, s := range answers {
			if s != nil && (s.status < 200 || s.status > 599 || s.header == nil) {
				t.Fatalf("%+v", s)
			}
			var j applicationJSON
			err := c.partError(operation{name: "read application", effect: rewrites, read: into(&j)}, s, http.Header{})
			if err == nil && !j.complete() {
				t.Fatalf("%+v", j)
			}
			var e *Error
			if errors.As(err, &e) && (len(e.Error()) > 3000 || len(e.RequestID) > 80 || len(e.Details) > mostDetails) {
				t.Fatalf("%+v", e)
			}
			_, _ = j.plain()
		}
	})
}
