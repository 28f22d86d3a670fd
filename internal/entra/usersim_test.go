package entra_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/sim"
	"github.com/c2conn/c2conn/internal/transport"
)

// user lets a person sign in to a simulated tenant.
func (w world) user(t *testing.T, change func(*entra.UserOptions)) *entra.User {
	t.Helper()
	client, err := transport.New(transport.Options{ExtraCA: w.cloud.CA, Clock: quick{}, UserAgent: "c2conn/test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	o := entra.UserOptions{Cloud: w.cloud, Tenant: w.TenantID, HTTP: client, Clock: quick{}}
	if change != nil {
		change(&o)
	}
	u, err := entra.NewUser(o)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// browse signs in as upn with the simulated pages and returns the last page.
func (w world) browse(t *testing.T, u *entra.User, upn string) (a *entra.Admin, page string, err error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wait sync.WaitGroup
	a, err = u.Browser(ctx, func(p entra.BrowserPrompt) {
		wait.Go(func() {
			var err error
			if _, page, err = w.SignIn(ctx, w.Client(), p.URL, upn, sim.AdminPassword); err != nil {
				t.Errorf("the pages: %v", err)
				cancel() // nobody will come back
			}
		})
	})
	wait.Wait()
	return a, page, err
}

func TestSimulatedBrowser(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*entra.UserOptions){
		"by id":              nil,
		"by domain":          func(o *entra.UserOptions) { o.Tenant = sim.DefaultDomain },
		"any tenant":         func(o *entra.UserOptions) { o.Tenant = "" },
		"with a hint":        func(o *entra.UserOptions) { o.LoginHint = sim.GlobalAdmin },
		"Graph command line": func(o *entra.UserOptions) { o.ClientID = entra.GraphCLI },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t)
			a, page, err := w.browse(t, w.user(t, change), sim.GlobalAdmin)
			if err != nil {
				t.Fatal(err)
			}
			c := a.Claims()
			if c.TenantID != w.TenantID || c.UPN != sim.GlobalAdmin || c.App || !slices.Contains(c.RoleIDs, sim.RoleGlobalAdministrator) || len(c.Scopes) == 0 || !strings.Contains(page, "Signed in") {
				t.Errorf("%+v\n%s", c, page)
			}
			// Graph takes the token, and so it does after a refresh.
			for _, claims := range []string{"", `{"access_token":{"nbf":{"essential":true,"value":"1"}}}`} {
				token, err := a.Token(t.Context(), claims)
				if err != nil {
					t.Fatal(err)
				}
				if got := w.organization(t, token); got != http.StatusOK {
					t.Errorf("Graph answered %d", got)
				}
			}
			given, err := entra.GivenToken(connections.NewSecret(mustToken(t, a)), w.cloud, quick{}.Now())
			if err != nil || given.Claims().UPN != sim.GlobalAdmin {
				t.Errorf("the same token given: %v", err)
			}
		})
	}
}

func mustToken(t *testing.T, a *entra.Admin) string {
	t.Helper()
	token, err := a.Token(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// organization asks Graph for the organisation and returns the answer's status.
func (w world) organization(t *testing.T, token string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.cloud.GraphBase()+"/organization", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := w.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode
}

func TestSimulatedDeviceCode(t *testing.T) {
	t.Parallel()
	for _, accept := range []bool{true, false} {
		w := start(t)
		var wait sync.WaitGroup
		a, err := w.user(t, nil).DeviceCode(t.Context(), func(p entra.DevicePrompt) {
			wait.Go(func() {
				if err := w.EnterDeviceCode(t.Context(), p.Code, sim.GlobalAdmin, accept); err != nil && accept {
					t.Error(err)
				}
			})
		})
		wait.Wait()
		var e *entra.Error
		if accept && (err != nil || a.Claims().UPN != sim.GlobalAdmin) || !accept && (!errors.As(err, &e) || e.OAuth != "authorization_declined" && e.OAuth != "access_denied") {
			t.Errorf("accept %v: %v", accept, err)
		}
	}
}

func TestSimulatedPolicies(t *testing.T) {
	t.Parallel()
	t.Run("browser blocked, then a code", func(t *testing.T) {
		t.Parallel()
		w := start(t, "browser-blocked")
		u := w.user(t, nil)
		_, page, err := w.browse(t, u, sim.GlobalAdmin)
		if !entra.WantsOtherWay(err) || !strings.Contains(page, "AADSTS53000") {
			t.Fatalf("%v\n%s", err, page)
		}
		if _, err := u.DeviceCode(t.Context(), func(p entra.DevicePrompt) {
			if err := w.EnterDeviceCode(t.Context(), p.Code, sim.GlobalAdmin, true); err != nil {
				t.Error(err)
			}
		}); err != nil {
			t.Error(err)
		}
	})
	t.Run("code blocked", func(t *testing.T) {
		t.Parallel()
		w := start(t, "device-code-blocked")
		_, err := w.user(t, nil).DeviceCode(t.Context(), func(p entra.DevicePrompt) {
			_ = w.EnterDeviceCode(t.Context(), p.Code, sim.GlobalAdmin, true) // the page says no
		})
		if !entra.WantsOtherWay(err) {
			t.Error(err)
		}
	})
	t.Run("second proof for every token", func(t *testing.T) {
		t.Parallel()
		w := start(t)
		a, _, err := w.browse(t, w.user(t, nil), sim.GlobalAdmin)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.SetFault("mfa-required=50076"); err != nil {
			t.Fatal(err)
		}
		if _, err = a.Token(t.Context(), `{"access_token":{}}`); !entra.SignInAgain(err) {
			t.Error(err)
		}
	})
	t.Run("account of another tenant", func(t *testing.T) {
		t.Parallel()
		w := start(t, "multi-tenant")
		a, _, err := w.browse(t, w.user(t, func(o *entra.UserOptions) { o.Tenant = "" }), sim.ForeignAdmin)
		if err != nil || a.Claims().TenantID != w.OtherTenantID() {
			t.Fatal(err)
		}
		var wrong *entra.WrongTokenError
		if err := a.InTenant(w.TenantID); !errors.As(err, &wrong) {
			t.Error(err)
		}
	})
	t.Run("tenant not found", func(t *testing.T) {
		t.Parallel()
		w := start(t, "tenant-not-found")
		_, err := w.user(t, nil).DeviceCode(t.Context(), func(entra.DevicePrompt) { t.Error("shown") })
		var e *entra.Error
		if !errors.As(err, &e) || e.Code() != 90002 {
			t.Error(err)
		}
	})
	t.Run("Ctrl-C", func(t *testing.T) {
		t.Parallel()
		w := start(t)
		ctx, cancel := context.WithCancel(t.Context())
		if _, err := w.user(t, nil).DeviceCode(ctx, func(entra.DevicePrompt) { cancel() }); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func TestSimulatedApplicationAsAdmin(t *testing.T) {
	t.Parallel()
	w := start(t)
	a, err := entra.AppAdmin(t.Context(), w.app(t, sim.AppBackup, true), w.cloud.GraphScope())
	if err != nil || !a.Claims().App || a.Claims().AppID != w.ClientID || len(a.Claims().Roles) == 0 {
		t.Errorf("%v", err)
	}
}

func TestSimulatedGivenToken(t *testing.T) {
	t.Parallel()
	w := start(t)
	token, err := w.AdminToken(sim.GlobalAdmin)
	if err != nil {
		t.Fatal(err)
	}
	a, err := entra.GivenToken(connections.NewSecret(token), w.cloud, quick{}.Now())
	if err != nil || a.Claims().UPN != sim.GlobalAdmin || w.organization(t, mustToken(t, a)) != http.StatusOK {
		t.Errorf("%v", err)
	}
}

func TestSimulatedBadNetworkForPeople(t *testing.T) {
	t.Parallel()
	for _, fault := range []string{"garbage=login", "proxy-page=login", "redirect=login", "empty=login", "issuer-mismatch"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			w := start(t, fault)
			_, err := w.user(t, nil).Browser(t.Context(), func(entra.BrowserPrompt) { t.Error("shown") })
			var metadata *entra.MetadataError
			var refused *entra.Error
			if !errors.As(err, &metadata) && !(errors.As(err, &refused) && refused.Code() == 0) {
				t.Errorf("%T %v", err, err)
			}
		})
	}
	for _, fault := range []string{"throttle=login", "unavailable=login"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			w := start(t)
			u := w.user(t, nil)
			var wait sync.WaitGroup
			_, err := u.Browser(t.Context(), func(p entra.BrowserPrompt) {
				wait.Go(func() {
					_, _, err := w.SignIn(t.Context(), clientWithFault(t, w, fault), p.URL, sim.GlobalAdmin, sim.AdminPassword)
					if err != nil {
						t.Error(err)
					}
				})
			})
			wait.Wait()
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// clientWithFault sets the fault when the sign-in leaves for the application, so
// that it strikes the redemption only.
func clientWithFault(t *testing.T, w world, fault string) *http.Client {
	c := *w.Client()
	next := c.Transport
	c.Transport = strike(func(r *http.Request) (*http.Response, error) {
		if r.URL.Scheme == "http" {
			if err := w.SetFault(fault); err != nil {
				t.Error(err)
			}
		}
		return next.RoundTrip(r)
	})
	return &c
}

type strike func(*http.Request) (*http.Response, error)

func (f strike) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
