package wizard

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/sim/onprem"
	"github.com/c2conn/c2conn/internal/transport"
)

// browsing is a session in a simulated company network whose authority is trusted.
func browsing(t *testing.T, trusted bool) (*onprem.World, *Session) {
	t.Helper()
	w, err := onprem.Start(onprem.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, w.Authority(), 0o600); err != nil {
		t.Fatal(err)
	}
	vars := map[string]string{"KRB5CCNAME": filepath.Join(t.TempDir(), "none")}
	if trusted {
		vars["SSL_CERT_FILE"] = ca
	}
	for _, pair := range w.Env() {
		name, value, _ := strings.Cut(pair, "=")
		vars[name] = value
	}
	s := testSessionOf(Exchange())
	s.Env.Getenv = func(name string) string { return vars[name] }
	s.Env.ReadFile, s.Env.Clock = os.ReadFile, transport.SystemClock()
	for key, v := range map[string]string{keyLocation: string(connections.OnPremises), keyAdminUPN: "exadmin@corp.test", keySignInBy: byPassword} {
		if err := s.Set(key, v, FromUser, ""); err != nil {
			t.Fatal(err)
		}
	}
	return w, s
}

// TestBrowse: the administrators of the directory are offered, those of Exchange first,
// and the domains whose accounts can sign in here.
func TestBrowse(t *testing.T) {
	t.Parallel()
	w, s := browsing(t, true)
	if list := suggestAdministrators(mailRemark)(t.Context(), s.Env, s.Answers); list != nil {
		t.Errorf("without a password: %+v", list)
	}
	if err := s.SetSecret(keyAdminSecret, connections.NewSecret("Ex4dmin!Pass"), FromUser, ""); err != nil {
		t.Fatal(err)
	}
	text := func(list []Option) string {
		var lines []string
		for _, o := range list {
			lines = append(lines, o.Value+" = "+o.Title)
		}
		return strings.Join(lines, "\n")
	}
	people := text(suggestAdministrators(mailRemark)(t.Context(), s.Env, s.Answers))
	for _, want := range []string{"exadmin@corp.test = exadmin@corp.test", "alice@contoso.example", "(no UPN)"} {
		if !strings.Contains(people, want) {
			t.Errorf("%q is missing in\n%s", want, people)
		}
	}
	domains := text(suggestDomains(t.Context(), s.Env, s.Answers))
	for _, want := range []string{"corp.test = corp.test (own domain)", "(trusted)"} {
		if !strings.Contains(domains, want) {
			t.Errorf("%q is missing in\n%s", want, domains)
		}
	}
	if w.FailedSignIns() != 0 {
		t.Errorf("%d failed sign-ins", w.FailedSignIns())
	}
}

// TestBrowseUntrusted: a domain controller whose certificate nobody vouches for gets no
// password, and the list says why it is empty.
func TestBrowseUntrusted(t *testing.T) {
	t.Parallel()
	w, s := browsing(t, false)
	if err := s.SetSecret(keyAdminSecret, connections.NewSecret("Ex4dmin!Pass"), FromUser, ""); err != nil {
		t.Fatal(err)
	}
	list := suggestAdministrators(mailRemark)(t.Context(), s.Env, s.Answers)
	if len(list) != 1 || list[0].Unavailable == "" || !strings.Contains(list[0].Title, "not trusted") {
		t.Errorf("%+v", list)
	}
	for protocol, n := range w.Counters().SignIns {
		if n > 0 {
			t.Errorf("%d sign-ins by %s", n, protocol)
		}
	}
}
