package connections_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/c2conn/c2conn/connections"
)

// A backup tool opens the store and gets a connection by its name.
func Example() {
	dir, done := exampleStore()
	defer done()
	ctx := context.Background()

	store, err := connections.Open(connections.Options{Dir: dir, Getenv: exampleEnvironment})
	if err != nil {
		log.Fatal(err)
	}
	c, err := store.Get(ctx, "Contoso-Backup") // in any case
	if err != nil {
		log.Fatal(err)
	}
	secret, err := store.Secret(ctx, c.Credential.Secret)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(c.Kind, c.Tenant.Domain, c.Account)
	fmt.Println("secret:", secret, len(secret.Reveal()), "bytes")
	// Output:
	// exchange contoso.onmicrosoft.com backup@contoso.com
	// secret: [redacted] 7 bytes
}

// A damaged file is an entry of its own and hides no other.
func ExampleStore_List() {
	dir, done := exampleStore()
	defer done()
	if err := os.WriteFile(dir+"/connections/broken.yaml", []byte("schema: ["), 0o600); err != nil {
		log.Fatal(err)
	}

	store, err := connections.Open(connections.Options{Dir: dir})
	if err != nil {
		log.Fatal(err)
	}
	entries, err := store.List(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	for _, e := range entries {
		var damaged *connections.DamagedError
		if errors.As(e.Err, &damaged) {
			fmt.Println(e.Connection.Name, "is damaged, line", damaged.Line)
			continue
		}
		fmt.Println(e.Connection.Name, e.Connection.Verification.State)
	}
	// Output:
	// broken is damaged, line 1
	// contoso-backup verified
}

func exampleEnvironment(key string) string {
	return map[string]string{"CONTOSO_SECRET": "hunter2"}[key]
}

// exampleStore makes a store with one connection.
func exampleStore() (dir string, done func()) {
	dir, err := os.MkdirTemp("", "c2conn-example")
	if err != nil {
		log.Fatal(err)
	}
	store, err := connections.Open(connections.Options{Dir: dir})
	if err != nil {
		log.Fatal(err)
	}
	_, err = store.Add(context.Background(), connections.Connection{
		Name: "contoso-backup", Kind: connections.Exchange, Location: connections.Online, Cloud: "global",
		Tenant:       connections.Tenant{Domain: "contoso.onmicrosoft.com"},
		Account:      "backup@contoso.com",
		Registration: connections.Registration{Mode: connections.ModeManual, ClientID: "22222222-3333-4444-5555-666666666666"},
		Credential:   connections.Credential{Type: connections.TypeClientSecret, Secret: "env:CONTOSO_SECRET"},
		Verification: connections.Verification{State: connections.StateVerified},
	})
	if err != nil {
		log.Fatal(err)
	}
	return dir, func() { _ = os.RemoveAll(dir) }
}
