package graph_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/sim"
	"github.com/c2conn/c2conn/internal/transport"
)

var keys = sync.OnceValue(sim.NewKeys)

// quick is a clock whose waits take no time.
type quick struct{}

func (quick) Now() time.Time { return time.Now() }

func (quick) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// world is a simulated tenant with an application signed in to it.
type world struct {
	*sim.World
	cloud cloud.Cloud
	http  *http.Client
	app   *entra.App
}

func start(t *testing.T, app string, faults ...string) world {
	t.Helper()
	w, err := sim.Start(sim.Options{Now: time.Now, Faults: faults, Keys: keys()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	c, err := cloud.Parse(w.CloudYAML())
	if err != nil {
		t.Fatal(err)
	}
	client, err := transport.New(transport.Options{ExtraCA: c.CA, Clock: quick{}, UserAgent: "c2conn/test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	a, _ := w.App(app)
	signedIn, err := entra.NewApp(entra.AppOptions{
		Cloud: c, TenantID: w.TenantID, ClientID: a.ClientID, HTTP: client,
		Credential: entra.Credential{Secret: connections.NewSecret(a.Secret)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return world{w, c, client, signedIn}
}

// token asks for tokens of one scope, as the checks do.
func (w world) token(scope string) func(context.Context, string) (string, error) {
	return func(ctx context.Context, claims string) (string, error) {
		tok, err := w.app.Token(ctx, scope, claims)
		return string(tok.Raw.Reveal()), err
	}
}
