package cli_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/c2conn/c2conn/connections"
)

// TestAppListCountsStaged: whoever is about to delete an application hears of staged
// connections, too, and of a saved one that is also changed once.
func TestAppListCountsStaged(t *testing.T) {
	t.Parallel()
	x := newTenant(t)
	text, err := x.world.AdminToken("admin@contoso.com")
	if err != nil {
		t.Fatal(err)
	}
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := x.run(t.Context(), "new", "exchange", "--auto", "--access-token-file", token, "--name", "saved"); code != 0 {
		t.Fatalf("exit code %d\n%s", code, errs)
	}
	store, err := connections.Open(connections.Options{Dir: x.env["C2CONN_HOME"]})
	if err != nil {
		t.Fatal(err)
	}
	c, err := store.Get(t.Context(), "saved")
	if err != nil {
		t.Fatal(err)
	}
	stage, err := store.Stage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer stage.Close()
	if _, err := stage.Update(t.Context(), "saved", func(c *connections.Connection) error { c.Account = "other@contoso.com"; return nil }); err != nil {
		t.Fatal(err)
	}
	c.ID, c.Name = "", "staged"
	if _, err := stage.Add(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	code, out, errs := x.run(t.Context(), "app", "list", "--access-token-file", token, "--output", "json")
	var doc struct {
		Registrations []struct {
			ClientID string   `json:"client_id"`
			UsedBy   []string `json:"used_by"`
		}
	}
	if err := json.Unmarshal([]byte(out), &doc); code != 0 || err != nil {
		t.Fatalf("exit code %d, %v\n%s%s", code, err, out, errs)
	}
	found := false
	for _, r := range doc.Registrations {
		if r.ClientID == c.Registration.ClientID {
			found = fmt.Sprint(r.UsedBy) == "[saved staged]"
		}
	}
	if !found {
		t.Errorf("want it used by saved and staged: %s", out)
	}
}
