package registration

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/sim"
	"github.com/c2conn/c2conn/internal/task"
)

func TestRegister(t *testing.T) {
	t.Parallel()
	p := newPlace(t, sim.GlobalAdmin, sim.Options{})
	var titles []string
	plan, err := p.plan(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	res, err := p.r.Apply(t.Context(), p.admin, p.wish, plan, p.base(), func(e task.Event) {
		if e.Kind == task.Finished {
			titles = append(titles, e.Title+": "+string(e.Result.Status))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := "Key pair: pass, Application: pass, Service principal: pass, Admin consent: pass, Application sign-in: pass"; strings.Join(titles, ", ") != want {
		t.Errorf("tasks: %v", titles)
	}
	p.budget()
	p.asPlanned(plan)
	p.checkOne("register", res)
	c := res.Credential
	if res.Registration.AppName != "CodeTwo Backup Exchange" || res.Registration.Mode != connections.ModeAutomatic || res.Registration.ObjectID != res.PrincipalID || res.PrincipalID == "" ||
		c.Type != connections.TypeCertificate || len(c.Thumbprint) != 40 || len(c.ThumbprintSHA256) != 64 || c.Secret.Validate() != nil || res.App == nil || res.Identity.Identity == nil {
		t.Errorf("%+v %+v", res.Registration, c)
	}
	if end := p.clock.Now().AddDate(5, 0, 0); c.NotAfter.Sub(end).Abs() > time.Hour {
		t.Errorf("the certificate ends at %v", c.NotAfter)
	}
	if left, err := p.r.Unfinished(t.Context()); err != nil || len(left) > 0 {
		t.Errorf("while it is under way: %v %v", left, err)
	}
	if _, err := p.store.Add(t.Context(), connections.Connection{Name: "it", Kind: connections.Exchange, Location: connections.Online, Cloud: "sim", Tenant: res.Tenant, Account: sim.Mailbox,
		Registration: res.Registration, Credential: res.Credential}); err != nil {
		t.Fatal(err)
	}
	p.restart() // the process ended before Finish
	if left, err := p.r.Unfinished(t.Context()); err != nil || len(left) > 0 {
		t.Errorf("after the connection was saved: %v %v", left, err)
	}
	if list, err := runs(p.r.dir); err != nil || len(list) > 0 {
		t.Errorf("journals: %v %v", list, err)
	}
}

// budget checks the round trips of a registration: one for all reads, one for each
// of the changes, the permissions in one, and the two tokens side by side.
func (p *place) budget() {
	p.Helper()
	var got []string
	conns := map[string]map[int64]bool{}
	for _, e := range p.world.Requests() {
		u, err := url.Parse(e.URL)
		if err != nil {
			p.Fatal(err)
		}
		if conns[e.Service] == nil {
			conns[e.Service] = map[int64]bool{}
		}
		conns[e.Service][e.Conn] = true
		got = append(got, e.Method+" "+regexp.MustCompile(`'.*'|[0-9a-f-]{36}`).ReplaceAllString(u.Path, "…"))
	}
	want := []string{"POST /v1.0/$batch", "PATCH /v1.0/applications(uniqueName=…)", "GET /…/v2.0/.well-known/openid-configuration", "POST /v1.0/servicePrincipals",
		"POST /v1.0/$batch", "POST /…/oauth2/v2.0/token", "POST /…/oauth2/v2.0/token"}
	slices.Sort(got) // the metadata come beside the rest
	slices.Sort(want)
	if !slices.Equal(got, want) {
		p.Errorf("requests:\n %s", strings.Join(got, "\n "))
	}
	for service, used := range conns {
		if len(used) != 1 {
			p.Errorf("%d connections to %s", len(used), service)
		}
	}
}

// asPlanned checks that what was sent is what the plan shows.
func (p *place) asPlanned(plan Plan) {
	p.Helper()
	type request struct {
		Method, URL string
		Body        any
	}
	var sent []request
	for _, e := range p.world.Requests() {
		if e.Service != "graph" || e.Method == http.MethodGet {
			continue
		}
		if strings.HasSuffix(e.URL, "/$batch") {
			var b struct {
				Requests []struct {
					Method, URL string
					Body        any
				}
			}
			if err := json.Unmarshal(e.Body, &b); err != nil {
				p.Fatal(err)
			}
			for _, r := range b.Requests {
				if r.Method != http.MethodGet {
					sent = append(sent, request{r.Method, r.URL, r.Body})
				}
			}
			continue
		}
		r := request{Method: e.Method, URL: strings.TrimPrefix(e.URL[strings.Index(e.URL, "/v1.0"):], "/v1.0")}
		if err := json.Unmarshal(e.Body, &r.Body); err != nil {
			p.Fatal(err)
		}
		sent = append(sent, r)
	}
	if len(sent) != len(plan.Changes) {
		p.Fatalf("%d changes planned, %d sent", len(plan.Changes), len(sent))
	}
	for i, c := range plan.Changes {
		data, err := json.Marshal(c.Body)
		if err != nil {
			p.Fatal(err)
		}
		var body any
		if err := json.Unmarshal(data, &body); err != nil {
			p.Fatal(err)
		}
		path, err := url.PathUnescape(sent[i].URL)
		if err != nil {
			p.Fatal(err)
		}
		if c.Method != sent[i].Method || !fits(strings.TrimPrefix(c.URL, p.cloud.GraphBase()), path) || !fits(body, sent[i].Body) {
			got, _ := json.MarshalIndent(sent[i].Body, "", " ")
			want, _ := json.MarshalIndent(body, "", " ")
			p.Errorf("change %s: planned %s %s %s\nsent %s %s %s", c.ID, c.Method, c.URL, want, sent[i].Method, path, got)
		}
	}
}

var placeholder = regexp.MustCompile(`<[^<>]+>`)

// fits compares what is planned with what is sent; <…> stands for anything.
func fits(planned, sent any) bool {
	switch a := planned.(type) {
	case string:
		b, ok := sent.(string)
		var form strings.Builder
		last := 0
		for _, at := range placeholder.FindAllStringIndex(a, -1) {
			form.WriteString(regexp.QuoteMeta(a[last:at[0]]) + ".+")
			last = at[1]
		}
		return ok && regexp.MustCompile("^"+form.String()+regexp.QuoteMeta(a[last:])+"$").MatchString(b)
	case map[string]any:
		b, ok := sent.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for k, v := range a {
			if !fits(v, b[k]) {
				return false
			}
		}
		return true
	case []any:
		b, ok := sent.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !fits(a[i], b[i]) {
				return false
			}
		}
		return true
	default:
		return planned == sent
	}
}

func TestSecretAsPlanned(t *testing.T) {
	t.Parallel()
	p := newPlace(t, sim.GlobalAdmin, sim.Options{})
	p.wish.Type = connections.TypeClientSecret
	plan, err := p.plan(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	res, err := p.r.Apply(t.Context(), p.admin, p.wish, plan, p.base(), nil)
	if err != nil {
		t.Fatal(err)
	}
	p.asPlanned(plan)
	p.checkOne("secret", res)
	if end := p.clock.Now().AddDate(0, 24, 0); res.Credential.NotAfter.Sub(end).Abs() > time.Hour {
		t.Errorf("the secret ends at %v", res.Credential.NotAfter)
	}
}

// TestUse adds a second computer's certificate to the registration of the first.
func TestUse(t *testing.T) {
	t.Parallel()
	for _, faults := range [][]string{nil, {"replication=20s"}} {
		t.Run(strings.Join(faults, ","), func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, sim.GlobalAdmin, sim.Options{Seed: 3})
			first, err := p.register(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			p.own, p.dir = nil, p.dir+"-2"
			p.restart()
			if _, err := p.plan(t.Context(), ""); !isA[*advice.ExistsError](err) {
				t.Fatalf("the name is taken: %v", err)
			}
			p.wish.IfExists = ExistsUse
			before := len(p.world.Requests())
			for _, f := range faults {
				if err := p.world.SetFault(f); err != nil {
					t.Fatal(err)
				}
			}
			plan, err := p.plan(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			if plan.Action != ActionUse || len(plan.Changes) != 1 || plan.Existing.AppID != first.Registration.ClientID {
				t.Fatalf("plan: %+v", plan)
			}
			res, err := p.r.Apply(t.Context(), p.admin, p.wish, plan, p.base(), nil)
			if err != nil {
				t.Fatal(err)
			}
			p.checkOne("use", res)
			if keys := p.dump().Applications[0]["keyCredentials"].([]any); len(keys) != 2 {
				t.Errorf("%d certificates", len(keys))
			}
			writes := 0
			for _, e := range p.world.Requests()[before:] {
				if e.Service == "graph" && e.Method == http.MethodPatch {
					writes++
				}
			}
			if writes != 1 {
				t.Errorf("%d changes", writes)
			}
			// Taken back, the first one's certificate stays, and still works.
			if err := p.r.Rollback(t.Context(), p.admin, res.RunID, nil); err != nil {
				t.Fatal(err)
			}
			d := p.dump()
			if keys := d.Applications[0]["keyCredentials"].([]any); len(keys) != 1 || len(d.Assignments) != 5 || len(d.Principals) != 1 {
				t.Errorf("after the rollback: %d certificates, %d permissions", len(keys), len(d.Assignments))
			}
			o := p.base()
			o.TenantID, o.ClientID, o.Credential = p.world.TenantID, first.Registration.ClientID, first.Identity
			app, err := entra.NewApp(o)
			if err != nil {
				t.Fatal(err)
			}
			if err := Await(t.Context(), app, p.cloud, Catalogue(Purpose{Kind: connections.Exchange}), 4, time.Minute, p.clock); err != nil {
				t.Errorf("the first certificate: %v", err)
			}
		})
	}
}

func isA[T error](err error) bool {
	var target T
	return errors.As(err, &target)
}

func TestEveryKind(t *testing.T) {
	t.Parallel()
	for _, kind := range connections.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, sim.GlobalAdmin, sim.Options{})
			p.wish.Kind = kind
			plan, err := p.plan(t.Context(), "")
			if err != nil || len(plan.Warnings) > 0 {
				t.Fatal(plan.Warnings, err)
			}
			res, err := p.r.Apply(t.Context(), p.admin, p.wish, plan, p.base(), nil)
			if err != nil || !res.Ready || res.Err != nil || len(res.Missing) > 0 {
				t.Fatalf("%+v %v", res, err)
			}
			if n := len(p.dump().Assignments); n != len(Catalogue(Purpose{Kind: kind})) {
				t.Errorf("%d permissions of %d", n, len(Catalogue(Purpose{Kind: kind})))
			}
			p.asPlanned(plan)
			if err := p.r.Rollback(t.Context(), p.admin, res.RunID, nil); err != nil {
				t.Fatal(err)
			}
			p.checkClean(string(kind))
		})
	}
}
