package graph_test

import (
	"errors"
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
