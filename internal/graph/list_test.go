package graph

import (
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"testing"
)

func TestLists(t *testing.T) {
	t.Parallel()
	g := newStub(t, func(q ask) answered {
		switch path, _, _ := strings.Cut(q.url, "?"); path {
		case "/servicePrincipals/sp/appRoleAssignments":
			return answered{status: 200, body: `{"value":[{"id":"a1","principalId":"sp","resourceId":"r","appRoleId":"1"}]}`}
		case "/applications/obj/owners":
			return answered{status: 200, body: `{"value":[{"@odata.type":"#microsoft.graph.user","id":"u","displayName":"Owner","userPrincipalName":"o@contoso.com"},{"id":"s"}]}`}
		case "/servicePrincipals":
			return answered{status: 200, body: `{"value":[` + principalBody + `]}`}
		case "/directory/deletedItems/microsoft.graph.application":
			return answered{status: 200, body: `{"value":[{"id":"o","appId":"a","deletedDateTime":"2026-11-22T08:00:00Z"}]}`}
		}
		return answered{status: 200, body: `{"value":[` + applicationText + `]}`}
	})
	if a, err := g.client.Assignments(t.Context(), "sp"); err != nil || !reflect.DeepEqual(a, []Assignment{{ID: "a1", PrincipalID: "sp", ResourceID: "r", RoleID: "1"}}) {
		t.Errorf("%+v %v", a, err)
	}
	if o, err := g.client.Owners(t.Context(), "obj"); err != nil || !reflect.DeepEqual(o, []Owner{{"u", "Owner", "o@contoso.com"}, {ID: "s"}}) {
		t.Errorf("%+v %v", o, err)
	}
	if s, err := g.client.ServicePrincipals(t.Context(), "c2conn"); err != nil || len(s) != 1 || !s[0].Enabled {
		t.Errorf("%+v %v", s, err)
	}
	if d, err := g.client.DeletedServicePrincipals(t.Context()); err != nil || len(d) != 1 || d[0].AppID == "" {
		t.Errorf("%+v %v", d, err)
	}
	if d, err := g.client.DeletedApplications(t.Context()); err != nil || len(d) != 1 || d[0].Deleted.IsZero() {
		t.Errorf("%+v %v", d, err)
	}
	for _, find := range []func() ([]Application, error){
		func() ([]Application, error) { return g.client.ApplicationsByName(t.Context(), "O'Neil") },
		func() ([]Application, error) { return g.client.ApplicationsByTag(t.Context(), "O'Neil") },
	} {
		if a, err := find(); err != nil || !reflect.DeepEqual(a, []Application{wantApplication}) {
			t.Errorf("%+v %v", a, err)
		}
		last := g.seen()[len(g.seen())-1].url
		if u, err := url.Parse(last); err != nil || !strings.Contains(u.Query().Get("$filter"), "'O''Neil'") || strings.Contains(last, "%24") {
			t.Errorf("%s", last)
		}
	}
}

func TestPaging(t *testing.T) {
	t.Parallel()
	const item = `{"id":"a","appId":"b"}`
	base := ""
	for _, c := range []struct {
		name  string
		next  func(n int) string // after page n
		pages int
		err   error
	}{
		{"three pages", func(n int) string {
			if n == 3 {
				return ""
			}
			return fmt.Sprintf("%s/v1.0/applications?$skiptoken=%d", base, n)
		}, 3, nil},
		{"the same page for ever", func(int) string { return base + "/v1.0/applications?$skiptoken=x" }, 2, errEndless},
		{"pages for ever", func(n int) string { return fmt.Sprintf("%s/v1.0/applications?$skiptoken=%d", base, n) }, mostPages + 1, errEndless},
		{"another host", func(int) string { return "https://graph.example.com/v1.0/applications" }, 1, errForeign},
		{"a host that only begins the same", func(int) string { return base + ".example.com/v1.0/applications" }, 1, errForeign},
		{"with a name", func(int) string { return strings.Replace(base, "https://", "https://me@", 1) + "/v1.0/applications" }, 1, errForeign},
		{"not encrypted", func(int) string { return strings.Replace(base, "https", "http", 1) + "/v1.0/applications" }, 1, errForeign},
		{"another part of the host", func(int) string { return base + "/beta/applications" }, 1, errForeign},
		{"no address", func(int) string { return "https://[::1" }, 1, errForeign},
		{"relative", func(int) string { return "/v1.0/applications" }, 1, errForeign},
	} {
		t.Run(c.name, func(t *testing.T) { // one after the other: base
			n := 0
			g := newStub(t, func(q ask) answered {
				n++
				return answered{status: 200, body: fmt.Sprintf(`{"value":[%s],"@odata.nextLink":%q}`, item, c.next(n))}
			})
			base = g.URL
			list, err := g.client.ApplicationsByTag(t.Context(), "x")
			if !errors.Is(err, c.err) || n != c.pages || (err == nil) != (len(list) == c.pages) {
				t.Errorf("%d items, %v after %d pages", len(list), err, n)
			}
		})
	}
	g := newStub(t, func(ask) answered {
		return answered{status: 200, body: `{"value":[` + strings.Repeat(item+",", mostItems) + item + `],"@odata.nextLink":"` + base + `/v1.0/applications?$skiptoken=1"}`}
	})
	if _, err := g.client.ApplicationsByTag(t.Context(), "x"); !errors.Is(err, errEndless) {
		t.Errorf("a huge list: %v", err)
	}
	// In a batch, the pages after the first come by themselves.
	good := tenant(nil)
	g = newStub(t, func(q ask) answered {
		switch {
		case strings.Contains(q.url, "skiptoken"):
			return answered{status: 200, body: `{"value":[{"id":"obj2","appId":"c"}]}`}
		case strings.HasPrefix(q.url, "/applications"):
			return answered{status: 200, body: `{"value":[` + item + `],"@odata.nextLink":"` + base + `/v1.0/applications?$skiptoken=1"}`}
		}
		return good(q)
	})
	base = g.URL
	got, err := g.client.Survey(t.Context(), SurveyRequest{DisplayName: "x"})
	if err != nil || len(got.SameName) != 2 || g.trips != 2 {
		t.Errorf("%+v %v after %d", got.SameName, err, g.trips)
	}
}
