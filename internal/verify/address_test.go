package verify_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/task"
)

// The addresses of a profile: wherever they lead, only the tenant's own hosts are asked.
func TestSharePointAddresses(t *testing.T) {
	t.Parallel()
	type addresses struct{ site, admin string }
	at := func(s *scene, name string) string { return "https://" + name + "." + s.target.Cloud.SharePointSuffix }
	for _, c := range []struct {
		name      string
		faults    []string
		profile   func(*scene) addresses
		checks    string
		site      string // part of its finding
		found     string // name in the real address
		wrongSite bool
	}{
		{name: "none", profile: func(*scene) addresses { return addresses{} }, found: "contoso"},
		{name: "capitals and a path", profile: func(s *scene) addresses {
			return addresses{site: strings.ToUpper(at(s, "contoso")[:16]) + at(s, "contoso")[16:] + "/sites/x"}
		}, found: "contoso"},
		{name: "satellite", faults: []string{"multi-geo"}, profile: func(s *scene) addresses { return addresses{at(s, "contosoeur"), at(s, "contosoeur-admin")} }, site: "satellite", found: "contosoeur"},
		{name: "satellite without its admin centre", faults: []string{"multi-geo"}, profile: func(s *scene) addresses { return addresses{site: at(s, "contosoeur")} }, site: "satellite", found: "contosoeur"},
		{name: "of another tenant", profile: func(s *scene) addresses { return addresses{at(s, "fabrikam"), at(s, "fabrikam-admin")} }, checks: "sharepoint.site=fail sharepoint.admin=skip", found: "contoso", wrongSite: true},
		{name: "two mistakes", profile: func(s *scene) addresses { return addresses{at(s, "fabrikam"), at(s, "northwind-admin")} }, checks: restFails, found: "contoso", wrongSite: true},
		{name: "admin centre for site", profile: func(s *scene) addresses { return addresses{at(s, "contoso-admin"), at(s, "contoso-admin")} }, checks: "sharepoint.site=fail", found: "contoso", wrongSite: true},
		{name: "old name", faults: []string{"tenant-renamed"}, profile: func(s *scene) addresses { return addresses{site: at(s, "contoso")} }, checks: "sharepoint.site=fail", found: "contosogroup", wrongSite: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := stageOf(t, connections.SharePoint, "", connections.TypeCertificate, c.faults...)
			a := c.profile(s)
			s.target.Connection.Endpoints = connections.Endpoints{SharePoint: a.site, Admin: a.admin}
			r := s.run(t, nil)
			o := outcome{checks: quiet + c.checks, state: verified}
			if c.checks != "" {
				o.state, o.class = failed, 5
			}
			o.hold(t, s, r)
			one := result(t, r, "sharepoint.site")
			var wrong *advice.WrongSharePointError
			if !strings.Contains(one.Finding, c.site) || errors.As(one.Err, &wrong) != c.wrongSite {
				t.Error(describe(r))
			}
			// Which host the token is for, where it is not the profile's.
			host := strings.TrimPrefix(at(s, c.found), "https://") + ": "
			if told := strings.HasPrefix(result(t, r, "token.sharepoint").Finding, host); told != (a.site == "" || c.wrongSite) {
				t.Errorf("told: %v\n%s", told, describe(r))
			}
			if c.wrongSite && !strings.HasPrefix(one.Finding, strings.TrimSuffix(host, ": ")+" is the tenant's own") {
				t.Error(one.Finding)
			}
			if r.Found.SharePoint != at(s, c.found) || r.Found.Admin != at(s, c.found+"-admin") {
				t.Errorf("found %+v", r.Found)
			}
			for _, x := range s.world.Requests() {
				if strings.Contains(x.URL, "fabrikam") {
					t.Errorf("asked %s", x.URL)
				}
			}
		})
	}
}

// No token goes to a host that is not the cloud's, whoever edited the profile.
func TestForeignSharePointAddress(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, address string }{
		{"foreign host", "https://evil.example"},
		{"deeper host", "https://contoso.sharepoint.evil.SUFFIX"},
		{"ending like the cloud's", "https://contoso.SUFFIX.evil.example"},
		{"without TLS", "http://contoso.SUFFIX"},
		{"user name", "https://someone:secret@contoso.SUFFIX"},
		{"unreadable", "https://[::1"},
		{"no address", "contoso"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int32
			foreign := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
			t.Cleanup(foreign.Close)
			for _, field := range []string{"endpoints.sharepoint", "endpoints.admin"} {
				s := stageOf(t, connections.SharePoint, "", connections.TypeCertificate)
				own := []string{}
				for _, base := range []string{s.target.Cloud.Login, s.target.Cloud.Graph, s.world.SharePointSite(), s.world.SharePointAdmin()} {
					own = append(own, strings.TrimPrefix(base, "https://"))
				}
				s.client.Transport = detour{s.client.Transport, own, foreign}
				address := strings.ReplaceAll(c.address, "SUFFIX", s.target.Cloud.SharePointSuffix)
				id := "sharepoint.site"
				if field == "endpoints.admin" {
					s.target.Connection.Endpoints.Admin, id = address, "sharepoint.admin"
				} else {
					s.target.Connection.Endpoints.SharePoint = address
				}
				r := s.run(t, nil)
				outcome{checks: quiet + id + "=fail", class: 5, state: failed, look: id, says: field}.hold(t, s, r)
				one := result(t, r, id)
				var e *advice.ForeignEndpointError
				if !errors.As(one.Err, &e) || e.Field != field || asked.Load() != 0 {
					t.Errorf("asked %d times: %v", asked.Load(), one.Err)
				}
				if strings.Contains(one.Advice.Why+strings.Join(one.Advice.Next, "")+one.Err.Error(), "secret@") {
					t.Errorf("a password is shown: %+v", one.Advice)
				}
			}
		})
	}
}

// What Microsoft Graph names is no better than what the profile names.
func TestGraphNamesAForeignHost(t *testing.T) {
	t.Parallel()
	s := stageOf(t, connections.SharePoint, "", connections.TypeCertificate)
	s.client.Transport = rewrite{s.client.Transport, "/sites/root", s.world.SharePointSite(), "https://contoso.evil.example"}
	s.target.Connection.Endpoints = connections.Endpoints{}
	r := s.run(t, nil)
	one := result(t, r, "token.sharepoint")
	var e *advice.ForeignEndpointError
	if one.Status != task.Fail || !errors.As(one.Err, &e) || r.Found.SharePoint != "" || result(t, r, "sharepoint.sites").Status != task.Pass {
		t.Error(describe(r))
	}
}

// Where Graph does not tell the address, the profile's own is all there is.
func TestAddressUnknownToGraph(t *testing.T) {
	t.Parallel()
	s := stageOf(t, connections.SharePoint, "", connections.TypeCertificate, "missing-role=Sites.Read.All")
	r := s.run(t, nil)
	if result(t, r, "sharepoint.site").Status != task.Pass || r.Found.SharePoint != "" {
		t.Error(describe(r))
	}
	s.target.Connection.Endpoints = connections.Endpoints{}
	r = s.run(t, nil)
	if one := result(t, r, "token.sharepoint"); one.Status != task.Fail || !strings.Contains(one.Advice.What, "Sites.Read.All") {
		t.Error(describe(r))
	}
}
