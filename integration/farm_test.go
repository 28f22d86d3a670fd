//go:build integration

package integration

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// manyCollections is how many site collections the farm has in these cases: three pages of
// a search.
const manyCollections = "1200"

// newFarm is a company with many site collections, and what clients of SharePoint need.
func newFarm(t *testing.T, faults ...string) *company {
	t.Helper()
	c := newCompanyWith(t, []string{"--site-collections", manyCollections}, faults...)
	c.world["C2CONN_SHAREPOINT_NPM"] = suite.sharePointNPM
	return c
}

// node runs a client of SharePoint that nobody here wrote.
func (c *company) node(t *testing.T, into any, script string) {
	t.Helper()
	// MD4 and DES, of which old NTLM is made, are not in OpenSSL's usual provider.
	decode(t, c.inside(t, "node", "--openssl-legacy-provider", filepath.Join(suite.clients, script)), into)
}

// opening is what a client tells of a site, or of the refusal.
type opening struct {
	Class, Message, Title, URL, Template, Login, ID string
	Status                                          int
	Admin                                           bool
}

// collections is what a client tells of the site collections, or of the refusal.
type collections struct {
	Class, Message, Version string
	Own                     bool
	Status, Databases       int
	Total, Pages            int
	URLs                    []string
}

// wantWebs compares what accounts with all rights, with some and with a wrong password
// make of the root site and of Central Administration.
func (c *company) wantWebs(t *testing.T, webs, central map[string]opening) {
	t.Helper()
	site, admin := c.world["SIM_SHAREPOINT_URL"], c.world["SIM_CENTRAL_ADMIN_URL"]
	for _, who := range []string{"admin", "domain", "reader"} {
		login := `i:0#.w|corp\spadmin`
		if who == "reader" {
			login = `i:0#.w|corp\spreader`
		}
		if w := webs[who]; w.Class != "none" || w.Title != "Contoso Intranet" || w.URL != site || w.Login != login || w.Admin != (who != "reader") {
			t.Errorf("the site, as %s: %+v", who, w)
		}
		w := central[who]
		if who == "reader" {
			if w.Status != 403 || !strings.Contains(w.Message, "-2147024891, System.UnauthorizedAccessException") || !strings.Contains(w.Message, "Access denied.") {
				t.Errorf("Central Administration, as reader: %+v", w)
			}
		} else if w.Class != "none" || w.Title != "Central Administration" || w.URL != admin || w.Template != "CENTRALADMIN" || w.Login != login {
			t.Errorf("Central Administration, as %s: %+v", who, w)
		}
	}
	if w := webs["wrong"]; w.Status != 401 {
		t.Errorf("wrong password: %+v", w)
	}
	if w := central["wrong"]; w.Status != 401 {
		t.Errorf("wrong password, Central Administration: %+v", w)
	}
}

// wantURLs fails the case unless a client found this many different site collections,
// which the farm has.
func (c *company) wantURLs(t *testing.T, what string, got []string, count int) {
	t.Helper()
	site := c.world["SIM_SHAREPOINT_URL"]
	sorted := slices.Compact(slices.Sorted(slices.Values(got)))
	if len(got) != count || len(sorted) != count {
		t.Fatalf("%s: %d site collections, %d different ones, want %d", what, len(got), len(sorted), count)
	}
	for _, u := range sorted {
		if u != site && !strings.HasPrefix(u, site+"/sites/") && !strings.HasPrefix(u, site+"/teams/") {
			t.Errorf("%s: a site collection %q", what, u)
		}
	}
	if sorted[0] != site {
		t.Errorf("%s: the first is %q", what, sorted[0])
	}
}

// wantSiteData compares the site collections of SiteData in one web application.
func (c *company) wantSiteData(t *testing.T, what string, got collections) {
	t.Helper()
	if got.Class != "none" || got.Databases != 3 || !strings.HasPrefix(got.Version, "16.0.") {
		t.Errorf("%s: %s %s, version %q, %d content databases", what, got.Class, got.Message, got.Version, got.Databases)
	}
	c.wantURLs(t, what, got.URLs, 1200)
}

func TestFarm(t *testing.T) {
	check(t, "sp-request: NTLM by all names, digest, search of 1,200, Central Administration; no right, a wrong password", func(t *testing.T) {
		c := newFarm(t)
		var got struct {
			Webs, Central map[string]opening
			Digest        string
			Search        struct{ Admin, Reader []string }
		}
		c.node(t, &got, "sp_request.mjs")
		c.wantWebs(t, got.Webs, got.Central)
		if !strings.HasPrefix(got.Digest, "0x") {
			t.Errorf("digest %q", got.Digest)
		}
		c.wantURLs(t, "search", got.Search.Admin, 1200)
		c.wantURLs(t, "search of who may read half of it", got.Search.Reader, 600)
		if n := c.close(t); n.Failed != 2 || n.SignIns["NTLM"] == 0 || n.SignIns["Kerberos"]+n.SignIns["Basic"] != 0 {
			t.Errorf("%+v", n)
		}
	})

	check(t, "sp-request: speaks odata=verbose with SharePoint 2013 before SP1", func(t *testing.T) {
		c := newFarm(t, "sp-verbose-only")
		var got struct{ Webs, Central map[string]opening }
		c.node(t, &got, "sp_request.mjs")
		c.wantWebs(t, got.Webs, got.Central)
	})

	check(t, "@pnp/sp: web, site, user, context, search of 1,200, Central Administration; no right, a wrong password", func(t *testing.T) {
		c := newFarm(t)
		var got struct {
			Webs, Central   map[string]opening
			Digest, Library string
			Search          collections
		}
		c.node(t, &got, "pnp_sp_onprem.mjs")
		c.wantWebs(t, got.Webs, got.Central)
		if len(got.Webs["admin"].ID) != 36 || !strings.HasPrefix(got.Digest, "0x") || !strings.HasPrefix(got.Library, "16.0.") {
			t.Errorf("id %q, digest %q, library %q", got.Webs["admin"].ID, got.Digest, got.Library)
		}
		if got.Search.Total != 1200 || got.Search.Pages != 3 {
			t.Errorf("search: %d in %d pages", got.Search.Total, got.Search.Pages)
		}
		c.wantURLs(t, "search", got.Search.URLs, 1200)
	})

	check(t, "soap: reads SiteData's WSDL, lists 1,200 site collections by SOAP 1.1 and 1.2; no right, a wrong password", func(t *testing.T) {
		c := newFarm(t)
		var got map[string]collections
		c.node(t, &got, "soap_sitedata.mjs")
		c.wantSiteData(t, "SOAP 1.1", got["soap11"])
		c.wantSiteData(t, "SOAP 1.2", got["soap12"])
		if g := got["central"]; g.Class != "none" || g.Databases != 1 || !slices.Equal(g.URLs, []string{c.world["SIM_CENTRAL_ADMIN_URL"]}) {
			t.Errorf("Central Administration: %+v", g)
		}
		// It shows the fault as it came.
		if g := got["reader"]; g.Status != 500 || !strings.Contains(g.Message, "<errorcode xmlns=\"http://schemas.microsoft.com/sharepoint/soap/\">0x80070005</errorcode>") {
			t.Errorf("no right: %+v", g)
		}
		if g := got["wrong"]; g.Status != 401 {
			t.Errorf("wrong password: %+v", g)
		}
	})

	for _, c := range []struct {
		title  string
		faults []string
	}{
		{"zeep: reads SiteData's WSDL, lists 1,200 site collections by SOAP 1.1 and 1.2; its own classes for refusals", nil},
		{"zeep, which binds NTLM to the certificate, is let in where that is required", []string{"sp-ep-require"}},
	} {
		check(t, c.title, func(t *testing.T) {
			farm := newFarm(t, c.faults...)
			var got map[string]collections
			decode(t, farm.inside(t, "/usr/bin/python3", filepath.Join(suite.clients, "zeep_sitedata.py")), &got)
			for _, way := range []string{"soap11", "soap12", "domain"} {
				farm.wantSiteData(t, way, got[way])
			}
			if g := got["central"]; g.Class != "none" || g.Databases != 1 || !slices.Equal(g.URLs, []string{farm.world["SIM_CENTRAL_ADMIN_URL"]}) {
				t.Errorf("Central Administration: %+v", g)
			}
			if g := got["site"]; !slices.Equal(g.URLs, []string{farm.world["SIM_SHAREPOINT_URL"]}) {
				t.Errorf("GetSiteUrl: %+v", g)
			}
			for what, text := range map[string]string{
				"reader":  "Access is denied. (Exception from HRESULT: 0x80070005 (E_ACCESSDENIED)) 0x80070005",
				"nothing": "Value does not fall within the expected range.",
			} {
				if g := got[what]; g.Class != "Fault" || !g.Own || !strings.Contains(g.Message, text) {
					t.Errorf("%s: %+v", what, g)
				}
			}
			if g := got["wrong"]; g.Class != "HTTPError" || g.Status != 401 {
				t.Errorf("wrong password: %+v", g)
			}
		})
	}

	// One curl request, signed in by NTLM with a file or by Kerberos with kinit's ticket.
	curl := func(t *testing.T, c *company, way, url string, more ...string) result {
		t.Helper()
		args := []string{"--silent", "--show-error", "--fail", "--cacert", c.world["SIM_CA_FILE"], "--header", "Accept: application/json;odata=nometadata", "--" + way}
		if way == "negotiate" {
			args = append(args, "--user", ":")
		} else {
			login := filepath.Join(c.dir(), "curlrc")
			write(t, login, `user = "`+c.world["SIM_SHAREPOINT_UPN"]+":"+c.password(t, "SHAREPOINT")+`"`, 0o600)
			args = append(args, "--config", login)
		}
		return c.inside(t, "curl", append(append(args, more...), url)...)
	}
	kinit := func(t *testing.T, c *company) {
		t.Helper()
		password := filepath.Join(c.dir(), "password")
		write(t, password, c.password(t, "SHAREPOINT")+"\n", 0o600)
		want(t, c.inside(t, "sh", "-c", `kinit -C -E spadmin@contoso.example <"$0"`, password), 0)
	}

	check(t, "curl opens the site and Central Administration by NTLM, and by Kerberos with a ticket of MIT's kinit", func(t *testing.T) {
		c := newFarm(t, "sp-kerberos", "ca-kerberos")
		kinit(t, c)
		for _, way := range []string{"ntlm", "negotiate"} {
			want(t, curl(t, c, way, c.world["SIM_SHAREPOINT_URL"]+"/_api/web?$select=Title,Url"), 0, `"Title":"Contoso Intranet"`, `"Url":"https://sharepoint.corp.test"`)
			want(t, curl(t, c, way, c.world["SIM_CENTRAL_ADMIN_URL"]+"/_api/web?$select=WebTemplate"), 0, `"WebTemplate":"CENTRALADMIN"`)
		}
		// Of Kerberos it counts the tickets.
		if n := c.close(t); n.Failed != 0 || n.SignIns["Kerberos"] != 1 || n.SignIns["NTLM"] != 2 {
			t.Errorf("%+v", n)
		}
	})

	check(t, "curl, which binds no sign-in to the certificate, is refused by SharePoint where that is required", func(t *testing.T) {
		c := newFarm(t, "sp-kerberos", "sp-ep-require")
		kinit(t, c)
		for _, way := range []string{"ntlm", "negotiate"} {
			want(t, curl(t, c, way, c.world["SIM_SHAREPOINT_URL"]+"/_api/web"), 22, "401")
		}
	})

	for _, c := range []struct {
		title   string
		faults  []string
		allow   string // the flag that it takes
		method  string
		signIns []string // Kerberos proves the password wherever there is a domain controller
	}{
		{"c2conn, knowing nothing of the simulation: connects to the farm by Kerberos", []string{"sp-kerberos", "ca-kerberos"}, "", "Kerberos", []string{"Kerberos"}},
		{"c2conn, knowing nothing of the simulation: connects to the farm by NTLM, over http where that is allowed", nil, "--allow-plain-ntlm", "NTLM", []string{"Kerberos", "NTLM"}},
	} {
		check(t, c.title, func(t *testing.T) {
			farm := newFarm(t, c.faults...)
			farm.knows(t, farm.world["SIM_CA_FILE"])
			connect := func(more ...string) result {
				flags := append([]string{"--admin-upn", farm.world["SIM_SHAREPOINT_UPN"], "--password-file", farm.world["SIM_SHAREPOINT_PASSWORD_FILE"]}, more...)
				return farm.inside(t, "c2conn", connectFarm(farmHost, "it", flags...)...)
			}
			var r result
			if c.allow == "" {
				r = connect()
			} else {
				wantSaid(t, connect(), false, map[string][]string{"site": {"with " + c.method + "."}, "central-administration": {"fail: NTLM over http is not allowed"}})
				r = connect(c.allow)
			}
			want(t, r, 0)
			wantSaid(t, r, true, map[string][]string{
				"sites": {"pass: 1,200 by SiteData"}, "site": {"with " + c.method + "."}, "central-administration": {"with " + c.method + ", over http."},
			})
			want(t, farm.inside(t, "c2conn", "verify", "it"), 0)
			n := farm.close(t)
			for method, times := range n.SignIns {
				if (times > 0) != slices.Contains(c.signIns, method) {
					t.Errorf("%d sign-ins by %s", times, method)
				}
			}
			if n.Failed != 0 {
				t.Errorf("%+v", n)
			}
		})
	}
}
