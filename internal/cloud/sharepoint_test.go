package cloud

import (
	"errors"
	"net/url"
	"strings"
	"testing"
)

// lab is a cloud as a user defines one; its sites have a port.
func lab() Cloud { return Cloud{Name: "lab", SharePointSuffix: "sharepoint.localhost:8443"} }

func TestParseSharePoint(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		cloud string
		host  string // of the sites
		typed []string
	}{
		{Global, "contoso.sharepoint.com", []string{
			"contoso", "Contoso", " contoso/ ", "contoso.onmicrosoft.com", "Contoso.OnMicrosoft.com", "contoso.sharepoint.com", "contoso.sharepoint.com.", "contoso.sharepoint.com..", "contoso.sharepoint.com:443",
			"https://contoso.sharepoint.com", "HTTPS://Contoso.SharePoint.com/", "//contoso.sharepoint.com/sites/x", "contoso.sharepoint.com/sites/x?a=http://b",
			"https://contoso.sharepoint.com/sites/x?y", "https://contoso.sharepoint.com?y", "https://contoso.sharepoint.com#top", "https://contoso.sharepoint.com:443/:f:/g/a@b",
			"https://contoso.sharepoint.com/Shared Documents/Ümläut", "\"https://contoso.sharepoint.com\"", "“contoso.sharepoint.com”,", "<https://contoso.sharepoint.com>", "\u200bcontoso\ufeff\n",
			"https://contoso.onmicrosoft.com/", "https://contoso.sharepoint.com:",
		}},
		{Global, "contosoeur.sharepoint.com", []string{"https://contosoeur.sharepoint.com/sites/x"}}, // a satellite geography
		{Global, "365-contoso1.sharepoint.com", []string{"365-contoso1", "365-contoso1.onmicrosoft.com"}},
		{Global, "my.sharepoint.com", []string{"my"}},
		{Global, "admin.sharepoint.com", []string{"https://admin.sharepoint.com"}},
		{USGov, "contoso.sharepoint.us", []string{"contoso", "contoso.onmicrosoft.us", "https://contoso.sharepoint.us/sites/x"}},
		{DoD, "contoso.sharepoint-mil.us", []string{"contoso", "contoso.onmicrosoft.us", "https://contoso.sharepoint-mil.us"}},
		{China, "contoso.sharepoint.cn", []string{"contoso", "contoso.partner.onmschina.cn", "contoso.onmschina.cn", "https://contoso.sharepoint.cn/"}},
		{"lab", "contoso.sharepoint.localhost:8443", []string{
			"contoso", "contoso.onmicrosoft.com", "contoso.sharepoint.localhost", "contoso.sharepoint.localhost:8443", "https://contoso.sharepoint.localhost:8443/sites/x",
		}},
	} {
		c := lab()
		if test.cloud != c.Name {
			c = find(t, test.cloud)
		}
		want := SharePointAddress{Site: "https://" + test.host, Admin: "https://" + strings.Replace(test.host, ".", "-admin.", 1)}
		for _, typed := range test.typed {
			if got, err := c.ParseSharePoint(typed); err != nil || got != want {
				t.Errorf("%s: %q gives %+v, %v; want %+v", test.cloud, typed, got, err, want)
			}
		}
	}
}

func TestParseSharePointTellsWhatItChanged(t *testing.T) {
	t.Parallel()
	c := find(t, Global)
	for typed, note := range map[string]string{
		"https://contoso-admin.sharepoint.com/_layouts/15/online/AdminHome.aspx#/home": "contoso-admin.sharepoint.com is the admin centre or OneDrive",
		"contoso-my.sharepoint.com/personal/a_contoso_com":                             "contoso-my.sharepoint.com is the admin centre or OneDrive",
		"contoso-admin":                            "contoso-admin.sharepoint.com is",
		"contoso-my.onmicrosoft.com":               "contoso-my.sharepoint.com is",
		"http://contoso.sharepoint.com":            "http:// was changed to https://",
		"http://contoso.sharepoint.com:80/sites/x": "http:// was changed to https://",
		"HTTP://contoso-my.sharepoint.com":         "TLS only; contoso-my.sharepoint.com is",
	} {
		got, err := c.ParseSharePoint(typed)
		if err != nil || got.Site != "https://contoso.sharepoint.com" || got.Admin != "https://contoso-admin.sharepoint.com" || !strings.Contains(got.Note, note) || strings.HasPrefix(got.Note, ";") {
			t.Errorf("%q gives %+v, %v", typed, got, err)
		}
	}
}

func TestParseSharePointRefuses(t *testing.T) {
	t.Parallel()
	const own = "type an address like https://contoso.sharepoint.com"
	for _, test := range []struct{ typed, reason, hint, belongs string }{
		{"", "is missing", own, ""},
		{" “” ", "is missing", own, ""},
		{"company.com", "no addresses in a company's own domain such as company.com", "before .onmicrosoft.com", ""},
		{"https://www.company.com/sharepoint", "company's own domain", "before .onmicrosoft.com", ""},
		{"contoso.mail.onmicrosoft.com", "is not the initial domain", "contoso.onmicrosoft.com", ""},
		{"https://user:hunter2@contoso.sharepoint.com", "user name or password", "https://contoso.sharepoint.com", ""},
		{"user:hunter2@contoso", "user name or password", "https://contoso.sharepoint.com", ""},
		{"https://contoso.sharepoint.com@evil.example", "user name or password", "https://contoso.sharepoint.com", ""},
		{"admin@contoso.onmicrosoft.com", "e-mail address", own, ""},
		{"https://contoso.sharepoint.com:8443", "port 443 only", own, ""},
		{"contoso.sharepoint.com:x", "port 443 only", own, ""},
		{"ftp://contoso.sharepoint.com", "begins with https://", own, ""},
		{"javascript://contoso.sharepoint.com", "begins with https://", own, ""},
		{"https:contoso.sharepoint.com", "slashes are missing after https:", own, ""},
		{"https//contoso.sharepoint.com", "colon is missing after https", own, ""},
		{"HTTP//contoso", "colon is missing after http", own, ""},
		{"https:/contoso.sharepoint.com/", "a slash is missing after https:/", own, ""},
		{"https", "how an address begins", own, ""},
		{"https://https://contoso.sharepoint.com", "how an address begins", own, ""},
		{"mailto:contoso.sharepoint.com", "begins with https://, not with mailto:", own, ""},
		{"contoso:hunter2", "a name alone takes no port", "without the colon", ""},
		{"contoso:443", "a name alone takes no port", "without the colon", ""},
		{"contoso:", "a name alone takes no port", "without the colon", ""},
		{"https://contoso.sharepoint.com:443hunter2/", "port 443 only", own, ""},
		{"localhost", "is this computer", own, ""},
		{"https://localhost:443/", "is this computer", own, ""},
		{"11111111-AAAA-1111-1111-111111111111", "this is the tenant ID", "give the name of the organisation or the address", ""},
		{"{11111111-1111-1111-1111-111111111111}", `"{"`, "by hand", ""},
		{"192.0.2.1", "IP address", "on-premises", ""},
		{"https://192.0.2.1:443/sites/x", "IP address", "on-premises", ""},
		{"https://[2001:db8::1]:443/", "IP address", "on-premises", ""},
		{"2001:db8::1", "IP address", "on-premises", ""},
		{"https://bücher.sharepoint.com", `"ü" (U+00FC)`, "by hand", ""},
		{"contos\u043e.sharepoint.com", `(U+043E)`, "by hand", ""},
		{"contoso\uff0esharepoint.com", `(U+FF0E)`, "by hand", ""},
		{"\u212aontoso", `(U+212A)`, "by hand", ""},
		{"con\u200btoso.sharepoint.com", "an invisible character (U+200B)", "by hand", ""},
		{"contoso\u202emoc.sharepoint.com", "an invisible character (U+202E)", "by hand", ""},
		{"con toso.sharepoint.com", "a space", "by hand", ""},
		{"https:// contoso.sharepoint.com", "a space", "by hand", ""},
		{`\\contoso.sharepoint.com@SSL\DavWWWRoot`, "e-mail", own, ""},
		{`https://contoso.sharepoint.com\.evil.example/`, `"\\"`, "by hand", ""},
		{"https://contoso%2esharepoint.com", `"%"`, "by hand", ""},
		{"con_toso", `"_"`, "by hand", ""},
		{"xn--contos-6rf.sharepoint.com", "cannot be the name of a tenant", own, ""},
		{"https:///sites/x", "has no host", own, ""},
		{".", "has no host", own, ""},
		{"-contoso", "cannot be the name of a tenant", own, ""},
		{"-admin", "cannot be the name of a tenant", own, ""},
		{"https://contoso-.sharepoint.com", "cannot be the name of a tenant", own, ""},
		{".sharepoint.com", "name of the organisation is missing before .sharepoint.com", own, ""},
		{"https://.onmicrosoft.com/", "name of the organisation is missing", own, ""},
		{"\xff", "a damaged character", "by hand", ""},
		{strings.Repeat("x", 58), "too long", own, ""},
		{strings.Repeat("x", 5000), "too long", own, ""},
		{"sharepoint.com", "names no tenant", own, ""},
		{"www.contoso.sharepoint.com", "one name too many", own, ""},
		{"a.b.sharepoint.com", "one name too many", own, ""},
		{"https://contoso.sharepoint.com.evil.example/sites/x", "only looks like", own, ""},
		{"contososharepoint.com", "only looks like", own, ""},
		{"contoso.sharepoint.us", "belongs to the cloud usgov", "choose the cloud usgov", USGov},
		{"https://contoso.sharepoint-mil.us/", "belongs to the cloud dod", "choose the cloud dod", DoD},
		{"contoso-admin.sharepoint.cn", "belongs to the cloud china", "choose the cloud china", China},
		{"contoso.onmicrosoft.us", "belongs to the cloud usgov or dod", "choose the cloud usgov or dod", USGov},
		{"contoso.partner.onmschina.cn", "belongs to the cloud china", "choose the cloud china", China},
		{"contoso.sharepoint.de", "retired on 2021-10-29", "worldwide", ""},
		{"contoso.onmicrosoft.de", "retired on 2021-10-29", "worldwide", ""},
		{"sharepoint.contoso.local", "a server of your own", "choose on-premises", ""},
		{"https://sharepoint.company.com/", "a server of your own", "choose on-premises", ""},
		{"http://intranet/sites/x", "a server of your own", "choose on-premises", ""},
		{"sp.contoso.com", "a server of your own", "choose on-premises", ""},
		{"https://company:443", "a server of your own", "choose on-premises", ""},
	} {
		got, err := find(t, Global).ParseSharePoint(test.typed)
		var typed *SharePointError
		if !errors.As(err, &typed) {
			t.Errorf("%q gives %+v, %v", test.typed, got, err)
			continue
		}
		if !strings.Contains(typed.Reason, test.reason) || !strings.Contains(typed.Hint, test.hint) || typed.Cloud != test.belongs || err.Error() != typed.Reason+"; "+typed.Hint {
			t.Errorf("%q: %v (cloud %q)", test.typed, err, typed.Cloud)
		}
		if all := err.Error() + typed.Typed; strings.Contains(all, "hunter2") || printable(all) != all || len(err.Error()) > 260 {
			t.Errorf("%q: unfit to show: %q, %q", test.typed, err, typed.Typed)
		}
	}
}

func TestParseSharePointInOtherClouds(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		in           Cloud
		typed, error string
	}{
		{find(t, USGov), "contoso.sharepoint.com", "belongs to the cloud global, and this connection is for the cloud usgov"},
		{find(t, USGov), "contoso.sharepoint-mil.us", "belongs to the cloud dod"},
		{find(t, USGov), "contoso.onmicrosoft.com", "belongs to the cloud global"},
		{find(t, DoD), "contoso.sharepoint.us", "belongs to the cloud usgov"},
		{find(t, DoD), "contoso.mil", "before .onmicrosoft.us"},
		{find(t, China), "contoso.sharepoint.com", "belongs to the cloud global"},
		{find(t, China), "contoso.com.cn", "before .partner.onmschina.cn"},
		{lab(), "https://contoso.sharepoint.com", "belongs to the cloud global, and this connection is for the cloud lab"},
		{lab(), "https://contoso.sharepoint.localhost:443", "port 8443 only"},
		{lab(), "sharepoint.localhost", "names no tenant"},
		{lab(), "https://contoso.sharepoint.localhost:8443.evil.example", "port 8443 only"},
		{Cloud{Name: "x"}, "contoso", "no sharepoint_suffix"},
	} {
		if got, err := test.in.ParseSharePoint(test.typed); err == nil || !strings.Contains(err.Error(), test.error) {
			t.Errorf("%s: %q gives %+v, %v", test.in.Name, test.typed, got, err)
		}
	}
}

func TestParseSharePointAdmin(t *testing.T) {
	t.Parallel()
	c := find(t, Global)
	for _, typed := range []string{"contoso-admin", "Contoso-Admin.sharepoint.com/", "https://contoso-admin.sharepoint.com/_layouts/15/online/AdminHome.aspx", "http://contoso-admin.sharepoint.com"} {
		if got, err := c.ParseSharePointAdmin(typed); err != nil || got != "https://contoso-admin.sharepoint.com" {
			t.Errorf("%q gives %s, %v", typed, got, err)
		}
	}
	for typed, want := range map[string]string{
		"https://contoso.sharepoint.com":                "contoso.sharepoint.com is not the SharePoint admin centre; type https://contoso-admin.sharepoint.com",
		"contoso-my.sharepoint.com":                     "type https://contoso-admin.sharepoint.com",
		"contoso-my-admin.sharepoint.com":               "type https://contoso-admin.sharepoint.com",
		"https://admin.microsoft.com/sharepoint":        "company's own domain",
		"https://u:hunter2@contoso-admin.sharepoint.us": "user name or password",
		"": "is missing",
	} {
		var typedError *SharePointError
		if got, err := c.ParseSharePointAdmin(typed); !errors.As(err, &typedError) || !strings.Contains(err.Error(), want) || strings.Contains(typedError.Typed, "hunter2") {
			t.Errorf("%q gives %s, %v", typed, got, err)
		}
	}
	if got, err := lab().ParseSharePointAdmin("contoso-admin.sharepoint.localhost:8443"); err != nil || got != "https://contoso-admin.sharepoint.localhost:8443" {
		t.Errorf("%s, %v", got, err)
	}
}

func TestSharePointHostAndScope(t *testing.T) {
	t.Parallel()
	c := find(t, Global)
	for address, want := range map[string]bool{
		"https://contoso.sharepoint.com/_api/web":      true,
		"https://contoso-admin.sharepoint.com":         true,
		"https://graph.microsoft.com/v1.0":             false, // allowed, but not SharePoint
		"http://contoso.sharepoint.com":                false,
		"https://a.b.sharepoint.com":                   false,
		"https://contoso.sharepoint.com.evil.example":  false,
		"https://contoso.sharepoint.us":                false,
		"https://user:password@contoso.sharepoint.com": false,
		"": false,
	} {
		if got := c.SharePointHost(address); got != want {
			t.Errorf("SharePointHost(%q) = %v", address, got)
		}
	}
	if (Cloud{}).SharePointHost("https://contoso.") {
		t.Error("an empty cloud has a host")
	}
	for _, base := range []string{"https://contoso.sharepoint.com", "https://contoso.sharepoint.com/"} {
		if got := c.SharePointScope(base); got != "https://contoso.sharepoint.com/.default" {
			t.Errorf("SharePointScope = %s", got)
		}
	}
}

// Whatever is typed: what comes out is an address to which this cloud's tokens may
// go, and stays what it is when it is saved and read again.
func FuzzParseSharePoint(f *testing.F) {
	for _, seed := range []string{
		"contoso", "contoso.onmicrosoft.us", "https://contoso.sharepoint.com/sites/x?y", "http://contoso-my.sharepoint.cn:80", "a-my-admin", "contoso.sharepoint.localhost:8443",
		"https://u:p@contoso.sharepoint.com", "[::1]", "x--admin", "\xff", "contos\u043e", "“a”", "://", "a:b:c@d",
	} {
		f.Add(seed)
	}
	clouds := append(builtIn(), lab(), Cloud{Name: "none"})
	f.Fuzz(func(t *testing.T, typed string) {
		for _, c := range clouds {
			got, err := c.ParseSharePoint(typed)
			if err != nil {
				var problem *SharePointError
				if text := err.Error(); !errors.As(err, &problem) || problem.Reason == "" || problem.Hint == "" || printable(text+problem.Typed) != text+problem.Typed {
					t.Fatalf("%q: %#v", typed, err)
				}
				continue
			}
			for _, address := range []string{got.Site, got.Admin} {
				u, err := url.Parse(address)
				if err != nil || u.Scheme != "https" || u.User != nil || address != "https://"+u.Host || !c.Allows(address) || !c.SharePointHost(address) {
					t.Fatalf("%q gives %s, %v", typed, address, err)
				}
				again, err := c.ParseSharePoint(address)
				if err != nil || again.Site != got.Site || again.Admin != got.Admin || (again.Note == "") != (address == got.Site) {
					t.Fatalf("%q gives %+v, and that %+v, %v", typed, got, again, err)
				}
			}
			if admin, err := c.ParseSharePointAdmin(got.Admin); err != nil || admin != got.Admin {
				t.Fatalf("%q: the admin centre %s gives %s, %v", typed, got.Admin, admin, err)
			}
			if printable(got.Note) != got.Note {
				t.Fatalf("%q: %q", typed, got.Note)
			}
		}
	})
}
