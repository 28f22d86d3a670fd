package wizard

import (
	"testing"

	"github.com/c2conn/c2conn/connections"
)

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
