package cloud

import (
	"strings"
	"testing"
)

func find(t *testing.T, name string) Cloud {
	t.Helper()
	s, err := Load(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestBuiltInClouds(t *testing.T) {
	t.Parallel()
	const app = "22222222-2222-2222-2222-222222222222"
	blade := "/#view/Microsoft_AAD_RegisteredApps/ApplicationMenuBlade/~/"
	tests := []struct{ name, login, graph, outlook, sharePoint, portal string }{
		{Global, "login.microsoftonline.com", "graph.microsoft.com", "outlook.office365.com", "contoso.sharepoint.com", "entra.microsoft.com"},
		{USGov, "login.microsoftonline.us", "graph.microsoft.us", "outlook.office365.us", "contoso.sharepoint.us", "entra.microsoft.us"},
		{DoD, "login.microsoftonline.us", "dod-graph.microsoft.us", "outlook-dod.office365.us", "contoso.sharepoint-mil.us", "entra.microsoft.us"},
		{China, "login.partner.microsoftonline.cn", "microsoftgraph.chinacloudapi.cn", "partner.outlook.cn", "contoso.sharepoint.cn", "entra.microsoftonline.cn"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := find(t, strings.ToUpper(test.name))
			sharePoint, err := c.ParseSharePoint("Contoso")
			if err != nil {
				t.Fatal(err)
			}
			for got, want := range map[string]string{
				c.Authority("a/b"):           "https://" + test.login + "/a%2Fb",
				c.GraphBase():                "https://" + test.graph + "/v1.0",
				c.GraphScope():               "https://" + test.graph + "/.default",
				c.ExchangeScope():            "https://" + test.outlook + "/.default",
				c.EWS():                      "https://" + test.outlook + "/EWS/Exchange.asmx",
				sharePoint.Site:              "https://" + test.sharePoint,
				sharePoint.Admin:             "https://" + strings.Replace(test.sharePoint, "contoso", "contoso-admin", 1),
				c.AppOverview(app):           "https://" + test.portal + blade + "Overview/appId/" + app + "/isMSAApp~/false",
				c.AppPermissions(app):        "https://" + test.portal + blade + "CallAnAPI/appId/" + app + "/isMSAApp~/false",
				c.AppCredentials(app):        "https://" + test.portal + blade + "Credentials/appId/" + app + "/isMSAApp~/false",
				c.AdminConsent("t", "a&b=c"): "https://" + test.login + "/t/adminconsent?client_id=a%26b%3Dc",
			} {
				if got != want {
					t.Errorf("got %s, want %s", got, want)
				}
			}
			for _, host := range []string{test.login, test.graph, test.outlook, test.sharePoint} {
				if !c.Allows("https://" + host + "/x") {
					t.Errorf("%s is not allowed", host)
				}
			}
			if !c.BuiltIn || c.CA != nil || c.Title == "" {
				t.Errorf("%+v", c)
			}
		})
	}
}

func TestAllowsOnlyThisCloudsHosts(t *testing.T) {
	t.Parallel()
	c := find(t, Global)
	for _, good := range []string{
		"https://graph.microsoft.com/v1.0/users?$top=1",
		"https://GRAPH.microsoft.com:443/",
		"https://outlook.office365.com",
		"https://contoso-admin.sharepoint.com/_api",
	} {
		if !c.Allows(good) {
			t.Errorf("%s is refused", good)
		}
	}
	for _, bad := range []string{
		"",
		"graph.microsoft.com",
		"//graph.microsoft.com/",
		"http://graph.microsoft.com/",
		"https:graph.microsoft.com",
		"https://graph.microsoft.us/",
		"https://graph.microsoft.com.evil.example/",
		"https://evil.example/graph.microsoft.com",
		"https://graph.microsoft.com@evil.example/",
		"https://user@graph.microsoft.com/",
		"https://graph.microsoft.com:8443/",
		"https://graph.microsoft.com./",
		"https://graph.microsoft.com\\.evil.example/",
		"https://sharepoint.com/",
		"https://.sharepoint.com/",
		"https://evil.contoso.sharepoint.com/",
		"https://contoso.sharepoint.com.evil.example/",
		"https://evilsharepoint.com/",
		"https://contoso.sharepoint.com:444/",
		"https://cont%2foso.sharepoint.com/",
		"https://graph.microsoft.com%00.evil.example/",
		"https://[::1]/",
		"\x7f",
	} {
		if c.Allows(bad) {
			t.Errorf("%q is allowed", bad)
		}
	}
	if (Cloud{}).Allows("https://graph.microsoft.com/") || (Cloud{}).Allows("https://") {
		t.Error("an empty cloud allows a host")
	}
}

func TestAllowsWithPorts(t *testing.T) {
	t.Parallel()
	c := Cloud{Login: "https://127.0.0.1:8443", Graph: "https://localhost:8444", Outlook: "https://[::1]:8445", SharePointSuffix: "sharepoint.localhost:8446"}
	for _, good := range []string{"https://127.0.0.1:8443/t", "https://[::1]:8445/EWS", "https://contoso.sharepoint.localhost:8446/"} {
		if !c.Allows(good) {
			t.Errorf("%s is refused", good)
		}
	}
	for _, bad := range []string{"https://127.0.0.1/t", "https://localhost:8443/", "https://contoso.sharepoint.localhost/"} {
		if c.Allows(bad) {
			t.Errorf("%s is allowed", bad)
		}
	}
}

func TestLinksWithoutAPortal(t *testing.T) {
	t.Parallel()
	c := Cloud{Login: "https://login.example"}
	if c.AppOverview("x")+c.AppPermissions("x")+c.AppCredentials("x") != "" {
		t.Error("a link to nowhere")
	}
}
