package graph

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/internal/transport"
)

const (
	rootText = `{"id":"contoso.sharepoint.com,a,b","displayName":"Contoso \u001b[31m\u202eroot","webUrl":"https://contoso.sharepoint.com",` +
		`"siteCollection":{"hostName":"contoso.sharepoint.com","dataLocationCode":"nam","root":{}},"root":{}}`
	teamText = `{"id":"contosoeur.sharepoint.com,a,b","displayName":"Team","webUrl":"https://contosoeur.sharepoint.com/sites/t",` +
		`"isPersonalSite":false,"siteCollection":{"hostname":"contosoeur.sharepoint.com","dataLocationCode":"EUR"}}`
	driveText = `{"id":"c","displayName":null,"webUrl":"https://contoso-my.sharepoint.com/personal/a","isPersonalSite":true,"siteCollection":{"hostname":"contoso-my.sharepoint.com"}}`
	plainText = `{"id":"d","webUrl":"https://CONTOSO-my.sharepoint.com/personal/b"}` // as little as a cloud may say
)

var rootSite = Site{Name: "Contoso [31mroot", WebURL: "https://contoso.sharepoint.com", Host: "contoso.sharepoint.com", Geo: "NAM"}

func TestRootSites(t *testing.T) {
	t.Parallel()
	g := newStub(t, func(q ask) answered {
		if strings.HasPrefix(q.url, "/sites/root") {
			return answered{status: 200, body: rootText}
		}
		return answered{status: 200, body: `{"value":[` + rootText + "," + teamText + `]}`}
	})
	if s, err := g.client.RootSite(t.Context()); err != nil || s != rootSite {
		t.Errorf("%+v %v", s, err)
	}
	if list, err := g.client.GeoRoots(t.Context()); err != nil || len(list) != 2 || list[1].Geo != "EUR" || list[1].Host != "contosoeur.sharepoint.com" {
		t.Errorf("%+v %v", list, err)
	}
	asked := g.seen()
	if q := asked[0].url; q != "/sites/root?$select=displayName,webUrl,siteCollection,isPersonalSite" {
		t.Error(q)
	}
	u, err := url.Parse(asked[1].url)
	if err != nil || u.Path != "/sites" || u.Query().Get("$filter") != "siteCollection/root ne null" || u.Query().Get("$select") != "webUrl,siteCollection" {
		t.Error(asked[1].url)
	}
	g = newStub(t, func(ask) answered { return answered{status: 200, body: `{"value":[{"id":"x"}],"id":"x"}`} })
	if _, err := g.client.RootSite(t.Context()); !unreadable(err) {
		t.Errorf("a root without an address: %v", err)
	}
	if _, err := g.client.GeoRoots(t.Context()); !unreadable(err) {
		t.Errorf("a root without an address: %v", err)
	}
}

func unreadable(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Status == http.StatusOK
}

func TestSites(t *testing.T) {
	t.Parallel()
	base, n := "", 0
	g := newStub(t, func(q ask) answered {
		n++
		next := fmt.Sprintf(`"@odata.nextLink":"%s/v1.0/sites/oneDrive.getAllSites?$skiptoken=%d"`, base, n)
		switch n {
		case 1:
			return answered{status: 200, body: `{"value":[` + driveText + "," + rootText + `],` + next + `}`}
		case 2:
			return answered{status: 200, body: `{"value":[],` + next + `}`}
		case 3:
			return answered{status: 429, body: `{"error":{"code":"activityLimitReached","message":"x"}}`, header: map[string]string{"Retry-After": "7"}}
		}
		return answered{status: 200, body: `{"value":[` + plainText + strings.Repeat(","+teamText, 9) + `]}`}
	})
	base = g.URL
	var pages []Enumeration
	got, err := g.client.Sites(g.ctx(t), func(e Enumeration) { pages = append(pages, e) })
	want := Enumeration{Count: 12, Pages: 3, Personal: 2, Geos: map[string]int{"NAM": 1, "EUR": 9}}
	team := Site{Name: "Team", WebURL: "https://contosoeur.sharepoint.com/sites/t", Host: "contosoeur.sharepoint.com", Geo: "EUR"}
	want.First = append([]Site{rootSite}, slices.Repeat([]Site{team}, 4)...)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v %v", got, err)
	}
	first := Enumeration{Count: 2, Pages: 1, Personal: 1, Geos: map[string]int{"NAM": 1}, First: []Site{rootSite}}
	if len(pages) != 3 || !reflect.DeepEqual(pages[0], first) || pages[1].Pages != 2 || pages[1].Count != 2 || !reflect.DeepEqual(pages[2], want) {
		t.Errorf("%+v", pages)
	}
	if q := g.seen()[0].url; q != "/sites/getAllSites?$select=displayName,webUrl,siteCollection,isPersonalSite&$top=500" {
		t.Error(q)
	}
	if w := g.clock.waits(); len(w) != 1 || len(g.words) != 1 || g.words[0].Text != "Microsoft Graph is busy (429), waiting 7 s, try 2 of 5" {
		t.Errorf("%v %+v", w, g.words)
	}
}

// TestSitesRefusals is about a service that does not take every wish.
func TestSitesRefusals(t *testing.T) {
	t.Parallel()
	g := newStub(t, func(q ask) answered {
		switch {
		case strings.Contains(q.url, "$top"):
			return refusal(400, "invalidRequest", "$top is not supported.")
		case strings.Contains(q.url, "isPersonalSite"):
			return refusal(400, "BadRequest", "Parsing OData Select and Expand failed: Could not find a property named 'isPersonalSite' on type 'microsoft.graph.site'.")
		}
		return answered{status: 200, body: `{"value":[` + plainText + `]}`}
	})
	if e, err := g.client.Sites(t.Context(), nil); err != nil || e.Count != 1 || e.Personal != 1 || len(g.seen()) != 3 {
		t.Errorf("%+v %v after %+v", e, err, g.seen())
	}
	g = newStub(t, func(ask) answered { return refusal(400, "invalidRequest", "No.") })
	if _, err := g.client.Sites(t.Context(), nil); err == nil || len(g.seen()) != 2 {
		t.Errorf("%v after %+v", err, g.seen())
	}
	g = newStub(t, func(ask) answered { return refusal(403, "accessDenied", "Access denied") })
	e, ok := errors.AsType[*Error](second(g.client.Sites(t.Context(), nil)))
	if !ok || e.Op != "list sites" || e.Status != 403 || e.Code != "accessDenied" || len(g.seen()) != 1 {
		t.Errorf("%+v after %+v", e, g.seen())
	}
}

func second[T any](_ T, err error) error { return err }

func TestSitesEnd(t *testing.T) {
	t.Parallel()
	base := ""
	const path = "/v1.0/sites/oneDrive.getAllSites?$skiptoken="
	for _, c := range []struct {
		name  string
		next  func(n int) string // after page n
		body  string             // of page 2; empty for a good one
		pages int
		err   error
	}{
		{"the same page for ever", func(int) string { return base + path + "x" }, "", 2, errEndless},
		{"in a circle", func(n int) string { return fmt.Sprint(base, path, n%3) }, "", 4, errEndless},
		{"another host", func(int) string { return "https://graph.example.com/v1.0/sites" }, "", 1, errForeign},
		{"not encrypted", func(int) string { return strings.Replace(base, "https", "http", 1) + path }, "", 1, errForeign},
		{"another part of the host", func(int) string { return base + "/beta/sites" }, "", 1, errForeign},
		{"no list", func(n int) string { return fmt.Sprint(base, path, n) }, `{"value":null}`, 1, nil},
		{"a site that is none", func(n int) string { return fmt.Sprint(base, path, n) }, `{"value":[` + rootText + `,{}]}`, 1, nil},
		{"null for a site", func(n int) string { return fmt.Sprint(base, path, n) }, `{"value":[null]}`, 1, nil},
		{"a proxy's page", func(n int) string { return fmt.Sprint(base, path, n) }, `<html>`, 1, nil},
	} {
		t.Run(c.name, func(t *testing.T) { // one after the other: base
			n := 0
			g := newStub(t, func(ask) answered {
				if n++; n == 2 && c.body != "" {
					return answered{status: 200, body: c.body}
				}
				return answered{status: 200, body: fmt.Sprintf(`{"value":[%s],"@odata.nextLink":%q}`, rootText, c.next(n))}
			})
			base = g.URL
			e, err := g.client.Sites(t.Context(), nil)
			if _, ok := errors.AsType[*Error](err); !ok || c.err != nil && !errors.Is(err, c.err) {
				t.Errorf("%T %v", err, err)
			}
			if e.Pages != c.pages || e.Count != c.pages { // what was read before the error
				t.Errorf("%+v", e)
			}
		})
	}
}

// TestManySites passes the bound of other lists, and meets its own.
func TestManySites(t *testing.T) {
	t.Parallel()
	e := enumerating{}
	body := []byte(`{"value":[` + rootText + strings.Repeat(","+driveText, 999) + `]}`)
	for range 70 {
		if err := e.page(200, body); err != nil {
			t.Fatal(err)
		}
	}
	if e.Count != 70_000 || e.Personal != 70*999 || len(e.First) != firstSites {
		t.Errorf("%+v", e.Enumeration)
	}
	for i := range 3 * mostGeos {
		e.add(&siteJSON{Collection: struct {
			Host text `json:"hostname"`
			Geo  text `json:"dataLocationCode"`
		}{Geo: text(fmt.Sprint("g", i))}})
	}
	if n := len(e.soFar().Geos); n != mostGeos {
		t.Errorf("%d geographies", n)
	}
}

func FuzzSites(f *testing.F) {
	for _, s := range []string{rootText, teamText, driveText, plainText, `null`, `{"siteCollection":[],"id":"x","webUrl":"https://[::1"}`} {
		f.Add([]byte(`{"value":[` + s + `],"@odata.nextLink":5}`))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		e := enumerating{}
		err := e.page(200, body)
		if (err == nil) != (e.Pages == 1) || e.Personal > e.Count || err != nil && e.Count > 0 {
			t.Errorf("%+v %v", e.Enumeration, err)
		}
		for _, s := range e.soFar().First {
			out, err := json.Marshal(s)
			for _, text := range []string{s.Name, s.WebURL, s.Host, s.Geo} {
				if text != transport.CleanText(text, len(text)+4) {
					t.Errorf("%q %v", out, err)
				}
			}
		}
	})
}

func BenchmarkSitesPage(b *testing.B) {
	body := []byte(`{"value":[` + rootText + strings.Repeat(","+teamText, sitesPerPage-1) + `]}`)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		e := enumerating{}
		if err := e.page(200, body); err != nil {
			b.Fatal(err)
		}
	}
}

// page does both halves of the work on an answer one after the other.
func (e *enumerating) page(status int, body []byte) error {
	if err := e.head(status, body); err != nil {
		return err
	}
	return e.take(e.value)
}
