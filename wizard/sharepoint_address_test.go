package wizard

import (
	"strings"
	"testing"

	"github.com/c2conn/c2conn/connections"
)

func TestSharePointServerAddresses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ key, typed, want, complaint string }{
		{keySharePoint, " https://SharePoint.Contoso.com:443/ ", "https://sharepoint.contoso.com", ""},
		{keySharePoint, "https://sharepoint_server.com", "https://sharepoint_server.com", ""},
		{keySharePoint, "HTTP://sp.contoso.com.:80/sites/H%20R/", "http://sp.contoso.com/sites/H%20R", ""},
		{keySharePoint, "https://sp.contoso.com:8443/sites/hr", "https://sp.contoso.com:8443/sites/hr", ""},
		{keySharePoint, "https://10.0.0.30", "https://10.0.0.30", ""},
		{keySharePoint, "https://bücher.example", "", "xn--bcher-kva.example"},
		{keySharePoint, "https://sp.b%C3%BCcher.example/sites/hr", "", "xn--bcher-kva.example"},
		{keySharePoint, "https://shаrepoint.contoso.com", "", "xn--"}, // with a Cyrillic letter
		{keySharePoint, "https://sp.XN--bcher-kva.example/sites/Bücher", "https://sp.xn--bcher-kva.example/sites/B%C3%BCcher", ""},
		{keyCentralURL, "http://bücher.example:34567", "", "xn--bcher-kva.example"},
		{keySharePoint, "https://sp01", "", "https://sp01.contoso.com"},
		{keySharePoint, "https://localhost", "", "short name"},
		{keySharePoint, "https://[fe80::1%25eth0]", "", "with a zone"},
		{keyCentralURL, "http://[fe80::1%25eth0]:34567", "", "with a zone"},
		{keySharePoint, "sp.contoso.com", "", "it begins with https:// or http://"},
		{keySharePoint, "sp.contoso.com:8080", "", "it begins with https:// or http://"},
		{keySharePoint, "ftp://sp.contoso.com", "", "must begin with https:// or http://"},
		{keySharePoint, "https://admin:hunter2@sp.contoso.com", "", "neither user name nor password"},
		{keySharePoint, "https://sp.contoso.com/?a=b", "", "leave out"},
		{keySharePoint, "https://sp.contoso.com/#a", "", "leave out"},
		{keySharePoint, "https://sp.contoso.com:0", "", "1 to 65535"},
		{keySharePoint, "https://sp.contoso.com:99999", "", "1 to 65535"},
		{keySharePoint, "https://sp..contoso.com", "", "no server name"},
		{keySharePoint, "https://10.0.0", "", "no server name"},
		{keySharePoint, "https://sp.contoso.com/SitePages/Home.aspx", "", "address of a page; give that of the site, for example https://sp.contoso.com"},
		{keySharePoint, "https://sp.contoso.com/sites/hr/_layouts/15/start.aspx", "", "page"},
		{keySharePoint, "https://sp.contoso.com/sites/%2e%2e/x", "", "as the browser shows it"},
		{keySharePoint, "https://sp.contoso.com/sites/../x", "", "as the browser shows it"},
		{keySharePoint, "https://sp.contoso.com/sites/a%2f..%5cx", "", "as the browser shows it"},
		{keySharePoint, "https://sp.contoso.com/sites/%2E", "", "as the browser shows it"},
		{keySharePoint, "https://sp.contoso.com/sites/v..2", "https://sp.contoso.com/sites/v..2", ""},
		{keySharePoint, "https://contoso.sharepoint.com", "", "--online"},
		{keySharePoint, "https://sp.contoso\u202e.com", "", ""},
		{keyCentralURL, "http://sp.contoso.com:34567/_admin/", "http://sp.contoso.com:34567", ""},
		{keyCentralURL, "http://sp01:34567", "", "short name"},
		{keyCentralURL, "https://ca.contoso.com", "https://ca.contoso.com", ""},
		{keyCentralURL, "http://a@ca.contoso.com", "", "neither"},
		{keyCentralPort, " 034567 ", "34567", ""},
		{keyCentralPort, "+1", "", "1 to 65535"},
		{keyCentralPort, "0", "", "1 to 65535"},
		{keyCentralPort, "https", "", "1 to 65535"},
		{keyCertSum, strings.Repeat("ab ", 32) + "," + strings.Repeat("CD:", 32) + "," + strings.Repeat("AB", 32), strings.Repeat("AB", 32) + "," + strings.Repeat("CD", 32), ""},
		{keyCertSum, strings.Repeat("AB", 32) + ",", "", "64"},
	} {
		s := newFarm(t)
		_ = s.Set(keyLocation, string(connections.OnPremises), FromUser, "")
		err := s.Set(tt.key, tt.typed, FromUser, "")
		if tt.want != "" {
			if err != nil || s.Value(tt.key).Text != tt.want {
				t.Errorf("%q: kept %q, %v", tt.typed, s.Value(tt.key).Text, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), tt.complaint) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", tt.typed, err)
		}
	}
}

// Whatever is typed: what is kept reads the same again and has nothing after the path, and
// so has the address of Central Administration that follows.
func FuzzServerAddresses(f *testing.F) {
	for _, v := range []string{"https://sp.contoso.com/sites/hr", "http://10.0.0.1:80", "https://[::1]:1/", "https://a:b@c.d", "https://x.y/%2f?#", "https://ü.example:0443"} {
		f.Add(v, "34567")
	}
	clouds := testClouds()
	f.Fuzz(func(t *testing.T, typed, port string) {
		env := &Env{Clouds: clouds}
		sites, err := checkSites(env, nil, typed)
		if err != nil {
			return
		}
		if again, err := checkSites(env, nil, sites); err != nil || again != sites || strings.ContainsAny(sites, "?# ") {
			t.Errorf("%q: %q, then %q, %v", typed, sites, again, err)
		}
		if port, err = checkPort(nil, nil, port); err != nil {
			return
		}
		central := derivedCentral(sites, port)
		if got, err := checkCentral(env, nil, central); err != nil || got != central || portOf(central) != port {
			t.Errorf("%q with port %s: %q, then %q, %v", sites, port, central, got, err)
		}
	})
}

// The URL of Central Administration follows host and scheme of the sites, and the port,
// until it is typed; the command that is printed makes the same answers.
func TestCentralAdministrationFollows(t *testing.T) {
	t.Parallel()
	s := newFarm(t)
	set := func(key, text string) {
		t.Helper()
		if err := s.Set(key, text, FromUser, ""); err != nil {
			t.Fatal(key, err)
		}
	}
	set(keyLocation, string(connections.OnPremises))
	for _, step := range [][3]string{
		{keySharePoint, "https://sp.contoso.com/sites/hr", ""},
		{keyCentralPort, "34567", "https://sp.contoso.com:34567"},
		{keySharePoint, "http://other.contoso.com:8080", "http://other.contoso.com:34567"},
		{keyCentralPort, "2", "http://other.contoso.com:2"},
		{keyCentralURL, "https://ca.contoso.com:2", "https://ca.contoso.com:2"},
		{keySharePoint, "https://sp.contoso.com", "https://ca.contoso.com:2"},
	} {
		if set(step[0], step[1]); s.Value(keyCentralURL).Text != step[2] {
			t.Errorf("%v: %q", step, s.Value(keyCentralURL).Text)
		}
	}
	_ = s.Set(keyCentralURL, "", FromUser, "")
	if got := s.Value(keyCentralURL).Text; got != "https://sp.contoso.com:2" {
		t.Errorf("given up: %q", got)
	}
}

// Central Administration may turn out to be on http only where https follows from the
// address of the sites: not where somebody said it, and not in a saved connection.
func TestPlainCentral(t *testing.T) {
	t.Parallel()
	const sites, derived = "https://sp.contoso.com", "https://sp.contoso.com:34567"
	for _, tt := range []struct {
		name, central string
		origin        Origin
		want          bool
	}{
		{name: "it follows", want: true},
		{name: "accepted on the screen", central: derived, origin: FromUser, want: true},
		{name: "typed", central: "https://ca.contoso.com:34567", origin: FromUser},
		{name: "a flag", central: derived, origin: FromFlag},
		{name: "a variable", central: derived, origin: FromEnv},
	} {
		s := newFarm(t)
		for _, kv := range [][2]string{{keyLocation, string(connections.OnPremises)}, {keySharePoint, sites}, {keyCentralPort, "34567"}} {
			if err := s.Set(kv[0], kv[1], FromUser, ""); err != nil {
				t.Fatal(err)
			}
		}
		if tt.central != "" {
			if err := s.Set(keyCentralURL, tt.central, tt.origin, ""); err != nil {
				t.Fatal(err)
			}
		}
		if got := s.plainCentral(s.answersInForce()); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
		s.edit = &edit{}
		if s.plainCentral(s.answersInForce()) {
			t.Errorf("%s: allowed in a saved connection", tt.name)
		}
	}
}

// The command names Central Administration once, however it was given.
func TestCommandNamesCentralOnce(t *testing.T) {
	t.Parallel()
	for _, flags := range [][]string{{"central-admin-url", "https://sp.contoso.com:34567"}, {"central-admin-url", "http://sp.contoso.com:34567"}, {"central-admin-port", "34567"}} {
		s := newFarm(t)
		if got := s.given(t, with(map[string]string{"on-premises": "true", "sharepoint-url": "https://sp.contoso.com", "admin-upn": "spadmin@contoso.com", "password-file": "PASS", "name": "farm"}, flags...), nil); len(got) > 0 {
			t.Fatal(got)
		}
		if got := s.Command(); strings.Count(got, "--central-admin-") != 1 || !strings.Contains(got, "--"+flags[0]+" "+flags[1]) {
			t.Errorf("%v: %s", flags, got)
		}
	}
}
