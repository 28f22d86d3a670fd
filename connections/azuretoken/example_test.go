package azuretoken_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/connections/azuretoken"
)

// A backup tool signs in with the connection that an administrator saved. The
// credential fits every client of the Azure SDK and msgraph-sdk-go.
func Example() {
	store, scope, done := exampleStore()
	defer done()
	ctx := context.Background()

	credential, err := azuretoken.New(ctx, store, "contoso-backup", &azuretoken.Options{
		Getenv:    os.Getenv, // proxies
		UserAgent: "contoso-backup/2.1",
	})
	if err != nil {
		log.Fatal(err)
	}
	token, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{scope}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("connection:", credential.Connection().Name)
	fmt.Println("a JWT:", strings.Count(token.Token, ".") == 2)
	// Output:
	// connection: contoso-backup
	// a JWT: true
}

// exampleStore makes a store with a connection to a simulated tenant.
func exampleStore() (store *connections.Store, scope string, done func()) {
	dir, err := os.MkdirTemp("", "c2conn-example")
	if err != nil {
		log.Fatal(err)
	}
	w, err := newTenant(dir)
	if err != nil {
		log.Fatal(err)
	}
	return w.store, w.graph, func() { _ = w.Close(); _ = os.RemoveAll(dir) }
}
