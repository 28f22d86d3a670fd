package connections_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/c2conn/c2conn/connections"
)

// A home that somebody filled by hand gets an index too: without one, every list
// parses every file.
func TestListIndexesAHandmadeStore(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	dir := filepath.Join(home, "connections")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		text := fmt.Sprintf("schema: 1\nid: 01K9Z7%020d\nname: c%d\nkind: exchange\nlocation: online\ncloud: global\n"+
			"tenant: {id: 11111111-2222-4333-8444-555555555555}\naccount: a@contoso.com\n"+
			"registration: {mode: manual, client_id: 22222222-3333-4444-8555-555555555555}\ncredential: {type: client-secret, secret: env:X}\n", i, i)
		path := filepath.Join(dir, fmt.Sprintf("c%d.yaml", i))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		old := time.Now().Add(-time.Hour)
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
	store, err := connections.Open(connections.Options{Dir: home})
	if err != nil {
		t.Fatal(err)
	}
	entries, err := store.List(t.Context())
	if err != nil || len(entries) != 3 || entries[0].Err != nil {
		t.Fatalf("%v, %v", entries, err)
	}
	if info, err := os.Stat(filepath.Join(dir, ".index")); err != nil || info.Size() < 300 {
		t.Fatalf("no index of three connections: %v, %v", info, err)
	}
}
