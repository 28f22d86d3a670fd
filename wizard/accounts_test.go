package wizard

import (
	"crypto/rand"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/sim/onprem"
	"github.com/c2conn/c2conn/internal/transport"
	"github.com/c2conn/c2conn/internal/verify"
)

// TestWrongPasswordInTheWizard: what is offered beneath the fields and Configure try a
// password once between them; to run again tries it once more.
func TestWrongPasswordInTheWizard(t *testing.T) {
	t.Parallel()
	w, err := onprem.Start(onprem.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	variables := map[string]string{}
	for _, pair := range w.Env() {
		name, value, _ := strings.Cut(pair, "=")
		variables[name] = value
	}
	variables["C2CONN_IDENTITY_FILE"] = filepath.Join(t.TempDir(), "identity")
	getenv := func(name string) string { return variables[name] }
	store, err := connections.Open(connections.Options{Dir: t.TempDir(), Getenv: getenv})
	if err != nil {
		t.Fatal(err)
	}
	env := &Env{Store: store, Getenv: getenv, Clock: transport.SystemClock(), Rand: rand.Reader, Accounts: &verify.Accounts{}}
	s := NewSession(Exchange(), env)
	for _, answer := range [][2]string{
		{keyLocation, string(connections.OnPremises)}, {keyReach, byAddress}, {keyServer, "exch01.corp.test"}, {keyEWS, "https://exch01.corp.test/EWS/Exchange.asmx"},
		{keyCertSum, w.Fingerprint()}, {keyAdminUPN, "exadmin@corp.test"}, {keySignInBy, byPassword}, {keyName, "it"},
	} {
		if err := s.Set(answer[0], answer[1], FromUser, ""); err != nil {
			t.Fatal(answer, err)
		}
	}
	s.Answers[keyTrust] = Value{Text: yes} // of the domain controller
	if err := s.SetSecret(keyAdminSecret, connections.NewSecret("not it"), FromUser, ""); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		suggestAdministrators(mailRemark)(t.Context(), env, s.Answers)
		suggestDomains(t.Context(), env, s.Answers)
	}
	for _, want := range []int{1, 2} {
		if _, err := s.configureServer(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if got := w.FailedSignIns(); got != want {
			t.Fatalf("%d failed sign-ins, want %d", got, want)
		}
	}
}
