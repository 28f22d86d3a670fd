package exchangeserver_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/c2conn/c2conn/internal/exchangeserver"
)

func TestGrantName(t *testing.T) {
	t.Parallel()
	if got := exchangeserver.GrantName("admin@contoso.com"); got != "c2conn impersonation admin@contoso.com" {
		t.Error(got)
	}
	long := strings.Repeat("é", 50)
	one, two := exchangeserver.GrantName(long+"1@contoso.com"), exchangeserver.GrantName(long+"2@contoso.com")
	if one == two || utf8.RuneCountInString(one) != 64 || !strings.HasPrefix(one, exchangeserver.GrantPrefix) {
		t.Errorf("%q %q", one, two)
	}
}

// What Microsoft supports is known by the build.
func TestVersionOf(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		major, minor, build int
		name, ended         string
		supported           bool
	}{
		{15, 2, 2562, "Exchange Server SE", "", true}, {15, 2, 1748, "Exchange Server 2019", "2025-10-14", false}, {15, 1, 2507, "Exchange Server 2016", "2025-10-14", false},
		{15, 0, 1497, "Exchange Server 2013", "2023-04-11", false}, {16, 0, 1, "Exchange Server (build 16.0.1)", "", true}, {6, 5, 1, "Exchange Server (build 6.5.1)", "", false},
	} {
		if v := exchangeserver.VersionOf(tt.major, tt.minor, tt.build); v.Name != tt.name || v.Ended != tt.ended || v.Supported != tt.supported {
			t.Errorf("%+v: %+v", tt, v)
		}
	}
}
