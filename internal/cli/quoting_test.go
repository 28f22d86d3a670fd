package cli_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/connections"
)

// TestShownCommandsQuoteNames runs commands whose hints name a connection with a space:
// a line that is copied must mean that connection.
func TestShownCommandsQuoteNames(t *testing.T) {
	t.Parallel()
	x := newTenant(t)
	const name = "The backup of Contoso"
	if code, _, errs := x.connect(t.Context(), "certificate", "--name", "it"); code != 0 {
		t.Fatal(errs)
	}
	store, err := connections.Open(connections.Options{Dir: x.env["C2CONN_HOME"]})
	if err != nil {
		t.Fatal(err)
	}
	saved, err := store.Update(t.Context(), "it", func(c *connections.Connection) error {
		c.Name, c.Credential.NotAfter, c.Verification.State = name, x.clock.Now().Add(24*60*60*1e9), connections.StateUnverified
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	onPremises := saved
	onPremises.ID, onPremises.Name, onPremises.Location, onPremises.Credential = "", "The farm", connections.OnPremises, connections.Credential{Type: connections.TypePassword, Secret: "env:FARM_PASSWORD"}
	onPremises.Tenant, onPremises.Registration, onPremises.Cloud, onPremises.Endpoints = connections.Tenant{}, connections.Registration{}, "", connections.Endpoints{}
	if _, err := store.Add(t.Context(), onPremises); err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, args := range [][]string{
		{"list"}, {"env", name}, {"doctor", "--offline"}, {"env", "The farm"},
		{"new", "exchange", "--manual", "--client-id", x.world.ClientID, "--tenant-id", x.world.TenantID, "--mailbox", x.world.Mailbox, "--client-secret-file", x.env["SECRET"], "--name", name},
	} {
		_, out, errs := x.run(t.Context(), args...)
		said = append(said, out+errs)
	}
	dir := filepath.Join(x.env["C2CONN_HOME"], "connections")
	files, err := filepath.Glob(filepath.Join(dir, "the%20backup*.yaml"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	if err := os.WriteFile(files[0], []byte("kind: [\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"edit", "the backup of contoso"}, {"delete", "the backup of contoso", "--yes"}} {
		_, out, errs := x.run(t.Context(), args...)
		said = append(said, out+errs)
	}
	shown := regexp.MustCompile(`c2conn [a-z]+ (?:--finish )?['"]?[Tt]he [a-z ]+`)
	for i, text := range said {
		lines := shown.FindAllString(strings.Join(strings.Fields(text), " "), -1)
		if len(lines) == 0 {
			t.Errorf("%d: no command with the name is shown: %s", i, text)
		}
		for _, line := range lines {
			if !strings.Contains(line, " '") {
				t.Errorf("%d: not quoted: %s", i, line)
			}
		}
	}
}
