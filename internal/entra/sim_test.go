package entra_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/certs"
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

type world struct {
	*sim.World
	cloud cloud.Cloud
}

func start(t *testing.T, faults ...string) world {
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
	return world{w, c}
}

func (w world) app(t *testing.T, name string, certificate bool) *entra.App {
	t.Helper()
	client, err := transport.New(transport.Options{ExtraCA: w.cloud.CA, Clock: quick{}, UserAgent: "c2conn/test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	a, ok := w.App(name)
	if !ok {
		t.Fatalf("no application %s", name)
	}
	cred := entra.Credential{Secret: connections.NewSecret(a.Secret)}
	if certificate {
		id, err := certs.Parse(w.PFX, sim.PFXPassword)
		if err != nil {
			t.Fatal(err)
		}
		cred = entra.Credential{Identity: &id}
	} else if name == sim.AppBackup {
		cred.Secret = connections.NewSecret(w.Secret)
	}
	app, err := entra.NewApp(entra.AppOptions{Cloud: w.cloud, TenantID: w.TenantID, ClientID: a.ClientID, Credential: cred, HTTP: client})
	if err != nil {
		t.Fatal(err)
	}
	return app
}

func TestSimulatedTenant(t *testing.T) {
	t.Parallel()
	w := start(t)
	for _, certificate := range []bool{false, true} {
		a := w.app(t, sim.AppBackup, certificate)
		var wg sync.WaitGroup
		for scope, role := range map[string]string{w.cloud.GraphScope(): "User.Read.All", w.cloud.ExchangeScope(): "full_access_as_app"} {
			wg.Go(func() {
				tok, err := a.Token(t.Context(), scope, "")
				if err != nil {
					t.Error(err)
					return
				}
				acr := map[bool]string{false: "1", true: "2"}[certificate]
				if !slices.Contains(tok.Claims.Roles, role) || tok.Claims.TenantID != w.TenantID || tok.Claims.AppID != w.ClientID || tok.Claims.AppIDACR != acr {
					t.Errorf("%s: %+v", scope, tok.Claims)
				}
			})
		}
		wg.Wait()
		tenant, err := a.Tenant(t.Context())
		if err != nil || tenant.ID != w.TenantID {
			t.Errorf("%+v %v", tenant, err)
		}
	}
	// The four tokens cost one discovery an App, over one connection each.
	conns := map[int64]bool{}
	gets := 0
	for _, x := range w.Requests() {
		conns[x.Conn] = true
		if x.Method == "GET" {
			gets++
		}
	}
	if gets != 2 || len(conns) != 2 {
		t.Errorf("%d discoveries over %d connections", gets, len(conns))
	}
}

func TestSimulatedRefusals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fault       string
		certificate bool
		code        int
	}{
		{"tenant-not-found", false, 90002},
		{"wrong-cloud", false, 90038},
		{"app-not-found", false, 700016},
		{"no-service-principal", true, 7000229},
		{"disabled-app", false, 7000112},
		{"wrong-secret", false, 7000215},
		{"secret-id", false, 7000215},
		{"expired-secret", false, 7000222},
		{"expired-certificate", true, 700027},
		{"wrong-thumbprint", true, 700027},
		{"conditional-access", false, 53003},
		{"clock-skew", true, 700024},
		{"login-error=500011", false, 500011},
		{"login-down", false, 90033},
	} {
		t.Run(c.fault, func(t *testing.T) {
			t.Parallel()
			w := start(t, c.fault)
			_, err := w.app(t, sim.AppBackup, c.certificate).Token(t.Context(), w.cloud.GraphScope(), "")
			var e *entra.Error
			if !errors.As(err, &e) || e.Code() != c.code || e.CorrelationID == "" || e.TraceID == "" || e.Time.IsZero() || e.Description == "" {
				t.Errorf("%T %+v", err, err)
			}
			if strings.Contains(fmt.Sprint(err), w.Secret) {
				t.Error("the secret is in the error")
			}
		})
	}
}

func TestSimulatedBadNetwork(t *testing.T) {
	t.Parallel()
	for fault, kind := range map[string]transport.Kind{
		"throttle=login": "", "unavailable=login": "", "cut=login": "",
		"tls-untrusted": transport.KindAuthority, "tls-expired": transport.KindExpired, "tls-wrong-name": transport.KindHostName,
		"cut-always=login": transport.KindCut, "huge=login": transport.KindTooLarge, "hang=login": transport.KindTimeout,
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			w := start(t, fault)
			ctx := t.Context()
			if kind == transport.KindTimeout {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, 200*time.Millisecond)
				defer cancel()
			}
			_, err := w.app(t, sim.AppBackup, false).Token(ctx, w.cloud.GraphScope(), "")
			if transport.KindOf(err) != kind || (kind == "") != (err == nil) {
				t.Errorf("%s: %v", transport.KindOf(err), err)
			}
		})
	}
	for _, fault := range []string{"garbage=login", "proxy-page=login", "proxy-denied=login", "redirect=login", "empty=login", "deep-json=login", "issuer-mismatch"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			w := start(t, fault)
			_, err := w.app(t, sim.AppBackup, false).Token(t.Context(), w.cloud.GraphScope(), "")
			var metadata *entra.MetadataError
			var refused *entra.Error
			if !errors.As(err, &metadata) && !(errors.As(err, &refused) && refused.Code() == 0) {
				t.Errorf("%T %v", err, err)
			}
			for _, x := range w.Requests() {
				if x.Method == "POST" {
					t.Errorf("asked for a token after such metadata: %s", x.URL)
				}
			}
		})
	}
	t.Run("hostile-text", func(t *testing.T) {
		t.Parallel()
		w := start(t, "hostile-text", "wrong-secret")
		_, err := w.app(t, sim.AppBackup, false).Token(t.Context(), w.cloud.GraphScope(), "")
		if err == nil || err.Error() != transport.CleanText(err.Error(), 4000) || len(err.Error()) > 1200 {
			t.Errorf("%q", err)
		}
	})
}
