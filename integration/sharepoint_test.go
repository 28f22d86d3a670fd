//go:build integration

package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// manySites is how many site collections the tenant has in these cases.
const manySites = 5000

// sharePoint is a tenant of many sites that answers at the public host names,
// and a world with everything that a client of SharePoint needs.
func sharePoint(t *testing.T) tenant {
	t.Helper()
	n, _ := faultyPublicTenant(t, []string{fmt.Sprintf("sites=%d", manySites)},
		"login.microsoftonline.com", "graph.microsoft.com", "contoso.sharepoint.com", "contoso-admin.sharepoint.com")
	for name, value := range map[string]string{
		// By their public names, although one address serves them all.
		"SIM_LOGIN_URL": "https://login.microsoftonline.com", "SIM_GRAPH_URL": "https://graph.microsoft.com",
		"C2CONN_NPM": suite.npm, "C2CONN_SHAREPOINT_NPM": suite.sharePointNPM, "NODE_EXTRA_CA_CERTS": n.world["SIM_CA_FILE"],
	} {
		n.world[name] = value
	}
	return n
}

// m365 runs the CLI for Microsoft 365 and decodes its JSON, unless into is nil.
func (n tenant) m365(t *testing.T, into any, args ...string) {
	t.Helper()
	cli := filepath.Join(n.world["C2CONN_SHAREPOINT_NPM"], ".bin", "m365")
	r := n.redirected(t, "node", append([]string{cli, "--output", "json"}, args...)...)
	want(t, r, 0)
	if into != nil {
		decode(t, r, into)
	}
}

// siteEntry is a site collection in a list or in a search, or its web.
type siteEntry struct{ Title, URL, Path, LockState, ArchiveStatus string }

// addresses is how many different sites there are.
func addresses(list []siteEntry) int {
	seen := map[string]bool{}
	for _, s := range list {
		seen[strings.TrimSuffix(s.URL+s.Path, "/")] = true
	}
	return len(seen)
}

func TestSharePoint(t *testing.T) {
	check(t, "CLI for Microsoft 365: signs in with the PFX, lists 5,000 sites by CSOM and by search, reads a web", func(t *testing.T) {
		n := sharePoint(t)
		n.world["CLIMICROSOFT365_NOUPDATE"] = "1"
		config := filepath.Join(n.world["HOME"], ".config", "configstore")
		if err := os.MkdirAll(config, 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(config, "cli-m365-config.json"), `{"disableTelemetry":true}`, 0o600)
		n.m365(t, nil, "login", "--authType", "certificate", "--certificateFile", n.world["SIM_CERT_FILE"],
			"--password", strings.TrimSpace(read(t, n.world["SIM_CERT_PASSWORD_FILE"])), "--appId", n.world["SIM_SHAREPOINT_CLIENT_ID"], "--tenant", n.world["SIM_TENANT_ID"])

		var sites, found []siteEntry
		n.m365(t, &sites, "spo", "site", "list", "--withOneDriveSites")
		if len(sites) != manySites || addresses(sites) != manySites {
			t.Fatalf("%d sites at %d addresses, want %d", len(sites), addresses(sites), manySites)
		}
		n.m365(t, &found, "spo", "search", "--queryText", "contentclass:STS_Site", "--selectProperties", "Title,Path", "--allResults")
		// What nobody may read is not in the index.
		open := slices.DeleteFunc(slices.Clone(sites), func(s siteEntry) bool { return s.LockState == "NoAccess" || s.ArchiveStatus != "NotArchived" })
		if len(found) != len(open) || addresses(found) != len(open) || len(open) == manySites {
			t.Errorf("the search found %d sites at %d addresses, want %d", len(found), addresses(found), len(open))
		}
		last := sites[len(sites)-1]
		var web siteEntry
		n.m365(t, &web, "spo", "web", "get", "--url", last.URL)
		if web.Title != last.Title || web.URL != last.URL {
			t.Errorf("the list says %+v, its web %+v", last, web)
		}
	})

	check(t, "@pnp/sp: web, digest and search; a secret, a token for another host and one for Graph are refused", func(t *testing.T) {
		n := sharePoint(t)
		known, _ := n.pem(t)
		var got struct {
			Web, AdminWeb refusal
			Context       struct {
				Digest, Web, Library string
				Seconds              int
			}
			Search  struct{ Total, Pages, Different int }
			Refused map[string]refusal
		}
		decode(t, n.redirected(t, "node", filepath.Join(suite.clients, "pnp_sp.mjs"), known), &got)
		site := n.world["SIM_SHAREPOINT_URL"]
		if got.Web.Class != "none" || !strings.HasSuffix(got.Web.Message, " "+site) || got.AdminWeb.Class != "none" {
			t.Errorf("the root web: %+v; the admin centre's: %+v", got.Web, got.AdminWeb)
		}
		if c := got.Context; !strings.HasPrefix(c.Digest, "0x") || c.Seconds != 1800 || c.Web != site || c.Library == "" {
			t.Errorf("contextinfo: %+v", c)
		}
		if s := got.Search; s.Total < manySites-10 || s.Different != s.Total || s.Pages != manySites/500 {
			t.Errorf("search: %+v", s)
		}
		for what, text := range map[string]string{
			"secret":        "Unsupported app only token.",
			"otherHost":     "AudienceUriValidationFailedException",
			"otherHostBack": "AudienceUriValidationFailedException",
			"graph":         "Invalid issuer or signature.",
			"nonsense":      "Invalid issuer or signature.",
		} {
			if r := got.Refused[what]; !r.Own || r.Status != 401 || !strings.Contains(r.Message, `"error_description":"`) || !strings.Contains(r.Message, text) {
				t.Errorf("%s: %+v, want %q", what, r, text)
			}
		}
	})

	check(t, "@microsoft/microsoft-graph-client: all pages of 5,000 sites, with certificate and secret", func(t *testing.T) {
		n := sharePoint(t)
		known, _ := n.pem(t)
		type enumeration struct {
			IDs, Addresses, Pages, Personal int
			Root                            string
		}
		var got struct {
			Sites   struct{ Certificate, Secret enumeration }
			Refused map[string]refusal
		}
		decode(t, n.redirected(t, "node", filepath.Join(suite.clients, "graph_sites.mjs"), known), &got)
		e := got.Sites.Certificate
		if e != got.Sites.Secret || e.IDs != manySites || e.Addresses != manySites || e.Pages < 2 || e.Personal == 0 || e.Root != n.world["SIM_SHAREPOINT_URL"] {
			t.Errorf("%+v", got.Sites)
		}
		r := got.Refused["sharePoint"]
		if wantRefusal(t, "a token for a site", r, "GraphError", ""); r.Status != 401 || r.Error != "InvalidAuthenticationToken" {
			t.Errorf("a token for a site: %+v", r)
		}
	})
}
