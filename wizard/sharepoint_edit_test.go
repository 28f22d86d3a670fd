package wizard

import (
	"slices"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/winauth"
)

// farm is a saved connection to a SharePoint Server.
func (s *Session) farm(t *testing.T, change func(*connections.Connection)) connections.Connection {
	t.Helper()
	ref, err := s.Env.Store.PutSecret(t.Context(), connections.NewSecret("Pa55w0rd!"))
	if err != nil {
		t.Fatal(err)
	}
	c := connections.Connection{
		Name: "farm", Kind: connections.SharePoint, Location: connections.OnPremises, Account: "spadmin@contoso.com", Credential: connections.Credential{Type: connections.TypePassword, Secret: ref},
		Endpoints: connections.Endpoints{Server: "sp.contoso.com", SharePoint: "https://sp.contoso.com", Admin: "https://sp.contoso.com:34567", Domain: "corp.contoso.com"},
	}
	if change != nil {
		change(&c)
	}
	c, err = s.Env.Store.Add(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestEditSharePointServer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		was     func(*connections.Connection)
		set     [][2]string
		changes []string
		want    func(*connections.Connection)
		command string
	}{
		{name: "nothing", command: "c2conn verify farm"},
		{name: "another port", set: [][2]string{{"central-admin-port", "2"}}, changes: []string{keyCentralPort, keyCentralURL},
			want:    func(c *connections.Connection) { c.Endpoints.Admin = "https://sp.contoso.com:2" },
			command: "c2conn edit farm --set central-admin-port=2 --set central-admin-url=https://sp.contoso.com:2"},
		{name: "another server", set: [][2]string{{"sharepoint_url", "http://new.contoso.com/sites/hr"}}, changes: []string{keySharePoint, keyCentralURL},
			want: func(c *connections.Connection) {
				c.Endpoints.Server, c.Endpoints.SharePoint, c.Endpoints.Admin = "new.contoso.com", "http://new.contoso.com/sites/hr", "https://new.contoso.com:34567"
			}},
		{name: "an address of its own stays", was: func(c *connections.Connection) { c.Endpoints.Admin = "http://ca.contoso.com:34567" },
			set: [][2]string{{"sharepoint-url", "https://new.contoso.com"}}, changes: []string{keySharePoint},
			want: func(c *connections.Connection) {
				c.Endpoints.Server, c.Endpoints.SharePoint = "new.contoso.com", "https://new.contoso.com"
			}},
		{name: "another port of an address of its own", was: func(c *connections.Connection) { c.Endpoints.Admin = "http://ca.contoso.com:34567" },
			set: [][2]string{{"central-admin-port", "2"}}, changes: []string{keyCentralPort, keyCentralURL}, want: func(c *connections.Connection) { c.Endpoints.Admin = "http://ca.contoso.com:2" }},
		{name: "the scheme that was found stays", was: func(c *connections.Connection) { c.Endpoints.Admin = "http://sp.contoso.com:34567/" },
			set: [][2]string{{"sharepoint-url", "https://new.contoso.com"}}, changes: []string{keySharePoint, keyCentralURL}, want: func(c *connections.Connection) {
				c.Endpoints.Server, c.Endpoints.SharePoint, c.Endpoints.Admin = "new.contoso.com", "https://new.contoso.com", "http://new.contoso.com:34567"
			}},
		{name: "another address", set: [][2]string{{"central-admin-url", "http://ca.contoso.com:34567"}}, changes: []string{keyCentralURL},
			want: func(c *connections.Connection) { c.Endpoints.Admin = "http://ca.contoso.com:34567" }},
		{name: "another address with another port", set: [][2]string{{"central-admin-url", "http://ca.contoso.com:2"}}, changes: []string{keyCentralPort, keyCentralURL},
			want: func(c *connections.Connection) { c.Endpoints.Admin = "http://ca.contoso.com:2" }},
		{name: "NTLM", set: [][2]string{{"plain-ntlm", "yes"}}, changes: []string{keyPlainNTLM}, command: "c2conn edit farm --set plain-ntlm=yes"},
		{name: "no NTLM", was: func(c *connections.Connection) { c.Credential.PlainNTLM = true }, set: [][2]string{{"plain-ntlm", "no"}}, changes: []string{keyPlainNTLM}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			world := newFarm(t)
			was := world.farm(t, tt.was)
			s, err := Edit(world.Env, was)
			if err != nil {
				t.Fatal(err)
			}
			if problems := append(s.FillChanges(tt.set, Source{Flag: func(string) (string, bool) { return "", false }, Getenv: func(string) string { return "" }}), s.Ready()...); len(problems) > 0 {
				t.Fatal(problems)
			}
			var keys []string
			for _, c := range s.Changes() {
				keys = append(keys, strings.ReplaceAll(c.Key, "-", "_"))
			}
			if !slices.Equal(keys, tt.changes) {
				t.Errorf("changes %v, want %v", keys, tt.changes)
			}
			if got := s.Command(); tt.command != "" && got != tt.command {
				t.Errorf("%s, want %s", got, tt.command)
			}
			want := was
			if want.Verification = (connections.Verification{}); tt.want != nil {
				tt.want(&want)
			}
			if got := s.asked(s.answersInForce()); got.Endpoints != want.Endpoints || got.Account != want.Account || got.ID != was.ID {
				t.Errorf("%+v, want %+v", got, want)
			}
			var out Outcome
			out.Connection = s.asked(s.answersInForce())
			if _, err := s.serverCredential(t.Context(), s.answersInForce(), &out); err != nil {
				t.Fatal(err)
			}
			if got, asks := s.plainNTLM(s.answersInForce()), slices.Contains(tt.changes, keyPlainNTLM); got != (was.Credential.PlainNTLM != asks) {
				t.Errorf("NTLM over http: %v", got)
			}
		})
	}
}

// A connection moves from Microsoft 365 to a server and back: nothing of the one stays.
func TestMoveSharePoint(t *testing.T) {
	t.Parallel()
	world := newFarm(t)
	online := savedConnection()
	online.Kind, online.LegacyAdmin = connections.SharePoint, connections.LegacyAdmin{UPN: "old@contoso.com", Password: "env:OLD"}
	online.Endpoints = connections.Endpoints{SharePoint: "https://contoso.sharepoint.com", Admin: "https://contoso-admin.sharepoint.com"}
	s, err := Edit(world.Env, online)
	if err != nil {
		t.Fatal(err)
	}
	_ = s.Set(keyLocation, string(connections.OnPremises), FromUser, "")
	if keys := problemKeys(s); !slices.Contains(keys, keySharePoint) || !slices.Contains(keys, keyCentralPort) || !slices.Contains(keys, keyAdminSecret) {
		t.Error(keys)
	}
	for _, a := range [][2]string{{keySharePoint, "https://sp.contoso.com"}, {keyCentralPort, "34567"}, {keyAdminUPN, "spadmin@contoso.com"}} {
		if err := s.Set(a[0], a[1], FromUser, ""); err != nil {
			t.Fatal(err)
		}
	}
	_ = s.SetSecret(keyAdminSecret, connections.NewSecret("Pa55w0rd!"), FromUser, "")
	if keys := problemKeys(s); len(keys) > 0 {
		t.Fatal(keys)
	}
	c := s.asked(s.answersInForce())
	c.Credential = connections.Credential{Type: connections.TypePassword, Secret: "env:X"}
	if err := c.Validate(); err != nil || c.LegacyAdmin.UPN != "" || c.Registration.ClientID != "" || c.Tenant.ID != "" || c.Cloud != "" || c.Endpoints.Admin != "https://sp.contoso.com:34567" {
		t.Errorf("%v, %+v", err, c)
	}

	was := world.farm(t, func(c *connections.Connection) {
		c.Pins = map[string]string{"sp.contoso.com:443": strings.Repeat("A1", 32)}
	})
	if s, err = Edit(world.Env, was); err != nil {
		t.Fatal(err)
	}
	for _, a := range [][2]string{{keyLocation, "online"}, {keyCloud, "global"}, {keySharePoint, "contoso"}, {keyRegistration, byHand}} {
		if err := s.Set(a[0], a[1], FromUser, ""); err != nil {
			t.Fatal(err)
		}
	}
	c = s.asked(s.answersInForce())
	if len(c.Pins) > 0 || c.Endpoints.Server != "" || c.Endpoints.Domain != "" || c.Endpoints.Admin != "https://contoso-admin.sharepoint.com" || c.LegacyAdmin.UPN != "" {
		t.Errorf("%+v", c)
	}
}

func problemKeys(s *Session) (keys []string) {
	for _, p := range s.Ready() {
		keys = append(keys, p.Key)
	}
	return keys
}

// What tells that a connection was changed meanwhile: Central Administration, and that
// NTLM was allowed.
func TestSameSharePointServer(t *testing.T) {
	t.Parallel()
	was := newFarm(t).farm(t, nil)
	for name, change := range map[string]func(*connections.Connection){
		"central": func(c *connections.Connection) { c.Endpoints.Admin = "http://x.contoso.com:1" },
		"sites":   func(c *connections.Connection) { c.Endpoints.SharePoint = "https://x.contoso.com" },
		"ntlm":    func(c *connections.Connection) { c.Credential.PlainNTLM = true },
		"to http": func(c *connections.Connection) { c.Endpoints.Admin = "http://sp.contoso.com:34567" },
	} {
		now := was
		if change(&now); sameProfile(now, was) {
			t.Errorf("%s: the change is overlooked", name)
		}
	}
	now := was
	was.Endpoints.Admin = "http://sp.contoso.com:34567"
	if now.Verification.State, now.Pins = connections.StateFailed, map[string]string{"a:1": "b"}; !sameProfile(now, was) {
		t.Error("what a verification found counts as a change")
	}
	was.Endpoints.Admin, now.Endpoints.Admin = "http://sp.contoso.com", "https://sp.contoso.com:80"
	if !sameProfile(now, was) {
		t.Error("https on port 80 counts as a change")
	}
}

// The pins of the hosts of both addresses follow what was given.
func TestPinsOfSharePointServer(t *testing.T) {
	t.Parallel()
	a, b, n := strings.Repeat("A1", 32), strings.Repeat("B2", 32), strings.Repeat("C3", 32)
	const sites, central, dc = "sp.contoso.com:443", "sp.contoso.com:34567", "dc.contoso.com:636"
	for _, tt := range []struct {
		name      string
		was, want map[string]string
		given     string
	}{
		{"the same for both", map[string]string{sites: a, central: a, dc: b}, map[string]string{dc: b}, n},
		{"one of two", map[string]string{sites: a, central: b}, map[string]string{sites: a}, a + "," + n},
		{"one instead of two", map[string]string{sites: a, central: b}, map[string]string{}, n},
		{"none before", nil, map[string]string{}, n},
		{"no change", map[string]string{sites: a, central: b}, map[string]string{sites: a, central: b}, a + "," + b},
	} {
		world := newFarm(t)
		s, err := Edit(world.Env, world.farm(t, func(c *connections.Connection) { c.Pins = tt.was }))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Set(keyCertSum, tt.given, FromFlag, ""); err != nil {
			t.Fatal(err)
		}
		c := s.asked(s.answersInForce())
		if s.pinGiven(s.answersInForce(), &c); len(c.Pins) != len(tt.want) {
			t.Errorf("%s: %v", tt.name, c.Pins)
		}
		for host, pin := range tt.want {
			if c.Pins[host] != pin {
				t.Errorf("%s: %v", tt.name, c.Pins)
			}
		}
	}
}

// Where only one address is on https, its certificate is the one that was given.
func TestPinOfTheOneHost(t *testing.T) {
	t.Parallel()
	sum := strings.Repeat("A1", 32)
	s := newFarm(t)
	if got := s.given(t, map[string]string{"on-premises": "true", "sharepoint-url": "https://sp.contoso.com", "central-admin-url": "http://sp.contoso.com:34567",
		"admin-upn": "spadmin@contoso.com", "password-file": "PASS", "name": "farm", "certificate-sha256": sum}, nil); len(got) > 0 {
		t.Fatal(got)
	}
	c := s.asked(s.answersInForce())
	if s.pinGiven(s.answersInForce(), &c); len(c.Pins) != 1 || c.Pins["sp.contoso.com:443"] != sum {
		t.Error(c.Pins)
	}
	err := s.askTrust(&winauth.UntrustedError{Host: "sp.contoso.com:34567", SHA256: strings.Repeat("B2", 32), Reason: "it is self-signed"}, map[string]string{"sp.contoso.com:443": sum})
	if err == nil || !strings.Contains(err.Error(), "give both: "+sum+","+strings.Repeat("B2", 32)) {
		t.Error(err)
	}
	_ = s.Set(keyTrust, yes, FromUser, "")
	if got := s.Command(); strings.Count(got, "--certificate-sha256") != 1 || !strings.Contains(got, "--certificate-sha256 '"+sum+","+strings.Repeat("B2", 32)+"' ") || strings.Contains(got, "--trust-certificate") {
		t.Error(got)
	}
}
