package sharepoint_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/internal/sharepoint"
	"github.com/c2conn/c2conn/internal/sim"
	"github.com/c2conn/c2conn/internal/transport"
)

func TestSimulatedTenant(t *testing.T) {
	t.Parallel()
	for _, fault := range []string{"", "throttle=sharepoint", "throttle-date=sharepoint", "throttle-fraction=sharepoint", "unavailable=sharepoint", "gateway-timeout=sharepoint", "cut=sharepoint", "cae-challenge", "sites=700"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			var faults []string
			if fault != "" {
				faults = []string{fault}
			}
			w := start(t, sim.AppSharePoint, true, faults...)
			web, err := w.host(t, w.SharePointSite(), w.SharePointSite()).Web(t.Context(), "")
			if err != nil || web.Title == "" || strings.TrimRight(web.URL, "/") != w.SharePointSite() {
				t.Errorf("%+v %v", web, err)
			}
			info, err := w.host(t, w.SharePointAdmin(), w.SharePointAdmin()).Tenant(t.Context())
			if err != nil || info.Sites == 0 || info.More != (fault == "sites=700") {
				t.Errorf("%+v %v", info, err)
			}
		})
	}
}

func TestSimulatedRefusals(t *testing.T) {
	t.Parallel()
	web := func(t *testing.T, w world) error {
		t.Helper()
		_, err := w.host(t, w.SharePointSite(), w.SharePointSite()).Web(t.Context(), w.SharePointSite())
		return err
	}
	admin := func(t *testing.T, w world) error {
		t.Helper()
		_, err := w.host(t, w.SharePointAdmin(), w.SharePointAdmin()).Tenant(t.Context())
		return err
	}
	secret := "secret"
	for _, c := range []struct {
		fault  string
		ask    func(*testing.T, world) error
		status int
		is     string // what the helpers take it for
	}{
		{secret, web, 401, "secret"},
		{secret, admin, 401, "secret"},
		{"audience", func(t *testing.T, w world) error {
			t.Helper()
			_, err := w.host(t, w.SharePointAdmin(), w.SharePointSite()).Tenant(t.Context())
			return err
		}, 401, "audience"},
		{"missing", func(t *testing.T, w world) error {
			t.Helper()
			_, err := w.host(t, w.SharePointSite(), w.SharePointSite()).Web(t.Context(), w.SharePointSite()+"/sites/there-is-none")
			return err
		}, 404, "missing"},
		{"sharepoint-denied", web, 403, "permission"},
		{"admin-denied", admin, 403, "permission"},
		{"no-roles", web, 401, "permission"},
		{"site-locked", web, 423, "locked"},
		{"site-locked=403", web, 403, "locked"},
		{"tenant-renamed", web, 308, "moved"},
		{"tenant-renamed", admin, 308, "moved"},
		{"sharepoint-down", web, 503, ""},
		{"garbage=sharepoint", web, 200, ""},
		{"garbage=sharepoint", admin, 200, ""},
		{"proxy-page=sharepoint", web, 200, ""},
		{"proxy-page=sharepoint", admin, 200, ""},
		{"proxy-denied=sharepoint", web, 403, ""},
		{"redirect=sharepoint", web, 302, "moved"},
		{"empty=sharepoint", admin, 200, ""},
		{"deep-json=sharepoint", web, 200, ""},
		{"deep-json=sharepoint", admin, 200, ""},
		{"huge=sharepoint", web, 0, ""},
		{"cut-always=sharepoint", admin, 0, ""},
	} {
		t.Run(c.fault, func(t *testing.T) {
			t.Parallel()
			var faults []string
			if c.fault != secret && c.fault != "audience" && c.fault != "missing" {
				faults = []string{c.fault}
			}
			w := start(t, sim.AppSharePoint, c.fault != secret, faults...)
			err := c.ask(t, w)
			e, ok := errors.AsType[*sharepoint.Error](err)
			if !ok || e.Status != c.status {
				t.Fatalf("%T %v", err, err)
			}
			is := map[string]bool{
				"secret": sharepoint.AppOnlySecret(err), "audience": sharepoint.WrongAudience(err), "permission": sharepoint.NoPermission(err),
				"missing": sharepoint.NotFound(err), "locked": sharepoint.Locked(err), "moved": e.MovedTo != "",
			}
			for name, yes := range is {
				if yes != (name == c.is) {
					t.Errorf("%s: %v, %+v", name, yes, e)
				}
			}
			if c.is != "" && c.is != "moved" && e.RequestID == "" || c.fault == "tenant-renamed" && !strings.HasPrefix(e.MovedTo, "contosogroup") {
				t.Errorf("%+v", e)
			}
			if s := e.Error(); s != transport.CleanText(s, 4000) {
				t.Errorf("%q", s)
			}
		})
	}
}

func TestSimulatedHostileText(t *testing.T) {
	t.Parallel()
	w := start(t, sim.AppSharePoint, true, "hostile-text=sharepoint")
	web, err := w.host(t, w.SharePointSite(), w.SharePointSite()).Web(t.Context(), "")
	if err == nil && web.Title != transport.CleanText(web.Title, 300) {
		t.Errorf("%q", web.Title)
	}
	_, err = w.host(t, w.SharePointSite(), w.SharePointSite()).Web(t.Context(), w.SharePointSite()+"/sites/there-is-none")
	if err == nil || err.Error() != transport.CleanText(err.Error(), 4000) {
		t.Errorf("%q", err)
	}
}
