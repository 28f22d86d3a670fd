package graph_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/internal/graph"
	"github.com/c2conn/c2conn/internal/sim"
	"github.com/c2conn/c2conn/internal/transport"
)

func (w world) graph(t *testing.T) *graph.Client {
	t.Helper()
	c, err := graph.New(graph.Options{BaseURL: w.cloud.GraphBase(), Token: w.token(w.cloud.GraphScope()), HTTP: w.http})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSimulatedTenant(t *testing.T) {
	t.Parallel()
	for _, fault := range []string{"", "throttle=graph", "throttle-date=graph", "throttle-fraction=graph", "unavailable=graph", "gateway-timeout=graph", "cut=graph", "cae-challenge"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			var faults []string
			if fault != "" {
				faults = []string{fault}
			}
			w := start(t, sim.AppBackup, faults...)
			g := w.graph(t)
			org, err := g.Organization(t.Context())
			if err != nil || org.ID != w.TenantID || org.InitialDomain != w.TenantDomain || org.DefaultDomain == "" || org.DisplayName == "" {
				t.Errorf("%+v %v", org, err)
			}
			u, err := g.User(t.Context(), w.Mailbox)
			if err != nil || u.ID == "" || u.UPN == "" {
				t.Errorf("%+v %v", u, err)
			}
			if err := g.Groups(t.Context()); err != nil {
				t.Error(err)
			}
			if p, err := g.MailboxPurpose(t.Context(), u.ID); err != nil || p != "user" {
				t.Errorf("%q %v", p, err)
			}
		})
	}
}

func TestSimulatedRefusals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fault  string
		ask    func(*testing.T, *graph.Client, string) error
		status int
		code   string
	}{
		{"no-roles", organization, 403, "Authorization_RequestDenied"},
		{"graph-denied", organization, 403, "Authorization_RequestDenied"},
		{"missing-role", purpose, 403, "ErrorAccessDenied"},
		{"graph-no-mailbox", purpose, 404, "MailboxNotEnabledForRESTAPI"},
		{"graph-odata-disabled", purpose, 403, ""},
		{"user-not-found", user, 404, "Request_ResourceNotFound"},
		{"graph-error=400,Request_BadRequest", organization, 400, "Request_BadRequest"},
		{"graph-down", organization, 503, ""},
		{"garbage=graph", organization, 200, ""},
		{"proxy-page=graph", organization, 200, ""},
		{"proxy-denied=graph", organization, 403, ""},
		{"redirect=graph", organization, 302, ""},
		{"empty=graph", organization, 200, ""},
		{"deep-json=graph", organization, 200, ""},
		{"cut-always=graph", organization, 0, ""},
		{"huge=graph", organization, 0, ""},
	} {
		t.Run(c.fault, func(t *testing.T) {
			t.Parallel()
			w := start(t, sim.AppBackup, c.fault)
			err := c.ask(t, w.graph(t), w.Mailbox)
			var e *graph.Error
			if !errors.As(err, &e) {
				t.Fatalf("%T %v", err, err)
			}
			if e.Status != c.status || c.code != "" && e.Code != c.code {
				t.Errorf("%+v", e)
			}
			if e.Error() != transport.CleanText(e.Error(), 4000) {
				t.Errorf("%q", e.Error())
			}
		})
	}
}

func organization(t *testing.T, g *graph.Client, _ string) error {
	t.Helper()
	_, err := g.Organization(t.Context())
	return err
}

func purpose(t *testing.T, g *graph.Client, mailbox string) error {
	t.Helper()
	_, err := g.MailboxPurpose(t.Context(), mailbox)
	return err
}

func user(t *testing.T, g *graph.Client, mailbox string) error {
	t.Helper()
	_, err := g.User(t.Context(), mailbox)
	return err
}

func TestSimulatedHostileText(t *testing.T) {
	t.Parallel()
	w := start(t, sim.AppBackup, "hostile-text=graph")
	g := w.graph(t)
	org, err := g.Organization(t.Context())
	if err == nil && (org.DisplayName != transport.CleanText(org.DisplayName, 510) || len(org.DisplayName) > 510) {
		t.Errorf("%q", org.DisplayName)
	}
	if _, err := g.User(t.Context(), "nobody@contoso.com"); err == nil || err.Error() != transport.CleanText(err.Error(), 4000) {
		t.Errorf("%q", err)
	}
}

func TestSimulatedSites(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		faults []string
		sites  int
		geos   int
	}{
		{[]string{"sites=5000"}, 5000, 0},
		{[]string{"sites=5000", "throttle=graph"}, 5000, 0},
		{[]string{"sites=1200", "cut=graph"}, 1200, 0},
		{[]string{"multi-geo"}, 0, 3},
	} {
		t.Run(strings.Join(c.faults, " "), func(t *testing.T) {
			t.Parallel()
			w := start(t, sim.AppSharePoint, c.faults...)
			g := w.graph(t)
			root, err := g.RootSite(t.Context())
			if err != nil || strings.TrimRight(root.WebURL, "/") != w.SharePointSite() || "https://"+root.Host != w.SharePointSite() {
				t.Errorf("%+v %v", root, err)
			}
			roots, err := g.GeoRoots(t.Context())
			if err != nil || len(roots) != max(1, c.geos) {
				t.Errorf("%+v %v", roots, err)
			}
			pages, last := 0, 0
			got, err := g.Sites(t.Context(), func(e graph.Enumeration) {
				if pages++; e.Pages != pages || e.Count <= last {
					t.Errorf("%+v after %d", e, last)
				}
				last = e.Count
			})
			if err != nil || got.Pages != pages || got.Count != last || c.sites > 0 && got.Count != c.sites || len(got.First) != 5 || len(got.Geos) != c.geos || got.Personal == 0 {
				t.Errorf("%+v %v", got, err)
			}
		})
	}
}

func TestSimulatedSiteRefusals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		app, fault string
		status     int
	}{
		{sim.AppSharePointSeed, "", 403},
		{sim.AppSharePoint, "no-roles", 403},
		{sim.AppSharePoint, "no-sharepoint", 400},
		{sim.AppSharePoint, "sharepoint-down", 503},
		{sim.AppSharePoint, "garbage=graph", 200},
		{sim.AppSharePoint, "proxy-page=graph", 200},
		{sim.AppSharePoint, "deep-json=graph", 200},
	} {
		t.Run(c.app+c.fault, func(t *testing.T) {
			t.Parallel()
			var faults []string
			if c.fault != "" {
				faults = []string{c.fault}
			}
			g := start(t, c.app, faults...).graph(t)
			_, err := g.RootSite(t.Context())
			_, listed := g.GeoRoots(t.Context())
			_, all := g.Sites(t.Context(), nil)
			for _, err := range []error{err, listed, all} {
				if e, ok := errors.AsType[*graph.Error](err); !ok || e.Status != c.status || err.Error() != transport.CleanText(err.Error(), 4000) {
					t.Errorf("%T %v", err, err)
				}
			}
		})
	}
}

func TestSimulatedAddresses(t *testing.T) {
	t.Parallel()
	w := start(t, sim.AppBackup)
	u, err := w.graph(t).User(t.Context(), w.Mailbox)
	if err != nil || len(u.Addresses) == 0 || u.Addresses[0] != u.UPN {
		t.Errorf("%+v %v", u, err)
	}
}
