package entra

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/internal/cloud"
)

func TestResolveTenant(t *testing.T) {
	t.Parallel()
	s := newLogin(t)
	for _, name := range []string{"contoso.onmicrosoft.com", " Contoso.com ", strings.ToUpper(tenantGUID)} {
		got, err := ResolveTenant(t.Context(), s.client(t), s.cloud(), name)
		if err != nil || got.ID != tenantGUID || got.RegionScope != "EU" || got.GraphHost != "graph.microsoft.com" || got.OtherCloud != "" {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}
	if s.requests[1] != "GET /contoso.com"+configurationPath {
		t.Errorf("asked for %v", s.requests)
	}
}

func TestResolveTenantRefusals(t *testing.T) {
	t.Parallel()
	for _, code := range []int{90002, 900023} {
		s := newLogin(t)
		s.discovery = func(w http.ResponseWriter, _ *http.Request) bool {
			answerJSON(w, 400, map[string]any{"error": "invalid_tenant", "error_codes": []int{code}, "error_description": "AADSTS: no"})
			return true
		}
		_, err := ResolveTenant(t.Context(), s.client(t), s.cloud(), "nobody.example")
		var e *Error
		if !errors.As(err, &e) || e.Code() != code || e.OAuth != "invalid_tenant" {
			t.Errorf("%v", err)
		}
	}
	s := newLogin(t)
	for _, name := range []string{"", "contoso", "a b.com", "../common", "contoso.com/x", "common", "-a.com", "a..com", strings.Repeat("a", 250) + ".com", "x\r\ny.com"} {
		_, err := ResolveTenant(t.Context(), s.client(t), s.cloud(), name)
		var e *TenantNameError
		if !errors.As(err, &e) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if len(s.requests) != 0 {
		t.Errorf("asked for %v", s.requests)
	}
}

func TestOtherCloud(t *testing.T) {
	t.Parallel()
	builtIn := func(name string) cloud.Cloud { return cloud.Cloud{Name: name, BuiltIn: true} }
	for _, c := range []struct {
		cloud cloud.Cloud
		t     Tenant
		want  string
	}{
		{builtIn("global"), Tenant{GraphHost: "graph.microsoft.com", CloudInstance: "microsoftonline.com"}, ""},
		{builtIn("global"), Tenant{GraphHost: "graph.microsoft.com", RegionScope: "NA", RegionSubScope: "GCC"}, ""},
		{builtIn("global"), Tenant{GraphHost: "graph.microsoft.us"}, "usgov"},
		{builtIn("global"), Tenant{GraphHost: "graph.microsoft.com", RegionScope: "USGov", RegionSubScope: "DODCON"}, "usgov"},
		{builtIn("usgov"), Tenant{CloudInstance: "microsoftonline.us", RegionSubScope: "DOD"}, "dod"},
		{builtIn("usgov"), Tenant{GraphHost: "graph.microsoft.us", RegionSubScope: "DODCON"}, ""},
		{builtIn("dod"), Tenant{GraphHost: "dod-graph.microsoft.us"}, ""},
		{builtIn("china"), Tenant{GraphHost: "graph.microsoft.com"}, "global"},
		{builtIn("global"), Tenant{GraphHost: "microsoftgraph.chinacloudapi.cn"}, "china"},
		{builtIn("global"), Tenant{CloudInstance: "partner.microsoftonline.cn"}, "china"},
		{builtIn("global"), Tenant{}, ""},
		{builtIn("global"), Tenant{GraphHost: "graph.svc.sovcloud.fr"}, ""},
		{cloud.Cloud{Name: "sim"}, Tenant{GraphHost: "graph.microsoft.us"}, ""},
	} {
		if got := otherCloud(c.cloud, c.t); got != c.want {
			t.Errorf("%s, %+v: got %q, want %q", c.cloud.Name, c.t, got, c.want)
		}
	}
}

// Whatever the metadata says, the secret goes to a host of the cloud or of Entra ID.
func FuzzDiscovery(f *testing.F) {
	const good = `{"issuer":"https://login.test/` + tenantGUID + `/v2.0","authorization_endpoint":"https://login.test/` + tenantGUID + `/oauth2/v2.0/authorize","token_endpoint":"https://login.test/` + tenantGUID + `/oauth2/v2.0/token","tenant_region_scope":"EU","tenant_region_sub_scope":"GCC","cloud_instance_name":"microsoftonline.com","msgraph_host":"graph.microsoft.com"}`
	for _, seed := range []string{
		good,
		strings.ReplaceAll(good, "login.test", "login.microsoftonline.com:443"),
		strings.ReplaceAll(good, "https://login.test", "http://login.test"),
		strings.Replace(good, "login.test", "login.test.evil.example", 1),
		strings.ReplaceAll(good, "https://login.test", "https://u:p@LOGIN.TEST"),
		strings.ReplaceAll(good, `"EU"`, `"\u001b[2J\u202e"`),
		strings.ReplaceAll(good, tenantGUID, "{tenantid}"),
		`{"issuer":7,"token_endpoint":null}`, `{"issuer":"://","token_endpoint":"%"}`, `null`, `[]`, `<html>`, "",
	} {
		f.Add(seed)
	}
	c := cloud.Cloud{Name: cloud.Global, BuiltIn: true, Login: "https://login.test"}
	f.Fuzz(func(t *testing.T, body string) {
		d, err := readDiscovery(c, 200, []byte(body))
		if err != nil {
			var e *MetadataError
			if !errors.As(err, &e) || d != nil {
				t.Fatalf("%T %v, %v", err, err, d)
			}
			noHidden(t, err.Error())
			return
		}
		if u := d.tokenEndpoint; u.Scheme != "https" || u.User != nil || u.Port() != "" && u.Port() != "443" ||
			!strings.EqualFold(u.Hostname(), "login.test") && !entraHost(strings.ToLower(u.Hostname())) {
			t.Fatalf("the secret would go to %s", u)
		}
		if !guid().MatchString(d.tenant.ID) {
			t.Fatalf("tenant %q", d.tenant.ID)
		}
		noHidden(t, d.tenant.ID, d.tenant.RegionScope, d.tenant.RegionSubScope, d.tenant.CloudInstance, d.tenant.GraphHost, d.tenant.OtherCloud)
		if again, err := readDiscovery(c, 200, d.document()); err != nil || again.tenant.ID != d.tenant.ID || again.tokenEndpoint.String() != d.tokenEndpoint.String() {
			t.Fatalf("what MSAL gets differs: %v %v", again, err)
		}
	})
}
