package wizard

import (
	"strings"
	"testing"

	"github.com/c2conn/c2conn/connections"
)

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
