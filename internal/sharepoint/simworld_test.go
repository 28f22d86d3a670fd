package sharepoint_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/sharepoint"
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
	http *http.Client
	app  *entra.App
}

func start(t *testing.T, app string, certificate bool, faults ...string) world {
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
	credential := entra.Credential{Secret: connections.NewSecret(a.Secret)}
	if certificate {
		id, err := certs.Parse(w.PFX, sim.PFXPassword)
		if err != nil {
			t.Fatal(err)
		}
		credential = entra.Credential{Identity: &id}
	}
	signedIn, err := entra.NewApp(entra.AppOptions{Cloud: c, TenantID: w.TenantID, ClientID: a.ClientID, HTTP: client, Credential: credential})
	if err != nil {
		t.Fatal(err)
	}
	return world{w, client, signedIn}
}

// host returns a client for a host of SharePoint, with a token for audience.
func (w world) host(t *testing.T, base, audience string) *sharepoint.Client {
	t.Helper()
	c, err := sharepoint.New(sharepoint.Options{BaseURL: base, HTTP: w.http, Token: func(ctx context.Context, claims string) (string, error) {
		tok, err := w.app.Token(ctx, audience+"/.default", claims)
		return string(tok.Raw.Reveal()), err
	}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
