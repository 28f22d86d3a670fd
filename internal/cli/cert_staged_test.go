package cli_test

import (
	"strings"
	"testing"
	"time"

	"github.com/c2conn/c2conn/connections"
)

// TestCertificateOfStaged: what only a staged connection uses is not deleted.
func TestCertificateOfStaged(t *testing.T) {
	t.Parallel()
	x := newTenant(t)
	if code, _, stderr := x.run(t.Context(), "cert", "new"); code != 0 {
		t.Fatal(stderr)
	}
	_, out, _ := x.run(t.Context(), "cert", "list", "--output", "name")
	thumb := strings.TrimSpace(out)
	store, err := connections.Open(connections.Options{Dir: x.env["C2CONN_HOME"], Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	stage, err := store.Stage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer stage.Close()
	if _, err := stage.Add(t.Context(), connections.Connection{Name: "staged-one", Kind: connections.Exchange, Location: connections.Online, Cloud: "global",
		Tenant: connections.Tenant{ID: x.world.TenantID}, Account: x.world.Mailbox, Registration: connections.Registration{Mode: connections.ModeManual, ClientID: x.world.ClientID},
		Credential: connections.Credential{Type: connections.TypeCertificate, Thumbprint: thumb, Secret: "store:01K9Z7ABCDEFGHJKMNPQRSTVWX"}}); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := x.run(t.Context(), "cert", "delete", thumb, "--yes"); code != 1 || !strings.Contains(stderr, "used by staged-one") {
		t.Errorf("exit code %d\n%s", code, stderr)
	}
}
