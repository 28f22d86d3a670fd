package entra

import (
	"context"
	"errors"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/c2conn/c2conn/internal/cloud"
)

func TestDeviceCode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.device = func(poll int) map[string]any {
			switch {
			case poll == 3:
				return oauth(70016, "slow_down")
			case poll < 6:
				return oauth(70016, "authorization_pending")
			}
			return nil
		}
		began := time.Now()
		shown := 0
		a, err := d.user(nil).DeviceCode(t.Context(), func(p DevicePrompt) {
			shown++
			if p.Code != "ABCD-1234" || p.URL != "https://microsoft.test/devicelogin" || p.Until.Sub(began) != 15*time.Minute-time.Second {
				t.Errorf("%+v", p)
			}
		})
		if err != nil || shown != 1 || a.Claims().UPN != "admin@contoso.test" {
			t.Fatalf("%v", err)
		}
		// Never sooner than Entra ID wishes, and slower when it says so.
		last := began
		for i, at := range d.polls {
			least := 5 * time.Second
			if i >= 3 {
				least = 10 * time.Second
			}
			if gap := at.Sub(last); gap < least || gap > least+6*time.Second {
				t.Errorf("poll %d after %v", i+1, gap)
			}
			last = at
		}
		// A refresh is no poll: it waits for nothing.
		began = time.Now()
		if _, err := a.Token(t.Context(), `{"access_token":{}}`); err != nil || time.Since(began) != 0 {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

func TestDeviceCodeEnds(t *testing.T) {
	t.Parallel()
	pending := func(int) map[string]any { return oauth(70016, "authorization_pending") }
	for name, c := range map[string]struct {
		device func(int) map[string]any
		prompt map[string]any
		refuse func(url.Values) map[string]any
		cancel time.Duration
		took   time.Duration
		check  func(error) bool
	}{
		"expired": {
			device: pending, took: 15*time.Minute - time.Second,
			check: func(err error) bool {
				var e *SignInTimeoutError
				return errors.As(err, &e) && e.DeviceCode && err.Error() == "nobody signed in with the code within 15 minutes"
			},
		},
		"expired, Entra ID says": {
			device: func(int) map[string]any { return oauth(70020, "expired_token") },
			check:  func(err error) bool { var e *SignInTimeoutError; return errors.As(err, &e) && e.DeviceCode },
		},
		"declined": {
			device: func(int) map[string]any { return oauth(0, "authorization_declined") },
			check:  func(err error) bool { var e *Error; return errors.As(err, &e) && e.OAuth == "authorization_declined" },
		},
		"blocked by a policy": {
			device: func(int) map[string]any { return oauth(53003, "access_denied") },
			check: func(err error) bool {
				var e *Error
				return errors.As(err, &e) && e.Code() == 53003 && WantsOtherWay(err)
			},
		},
		"Ctrl-C": {
			device: pending, cancel: 63 * time.Second, took: 63 * time.Second,
			check: func(err error) bool { return errors.Is(err, context.Canceled) },
		},
		"a page that is not https": {
			prompt: map[string]any{"verification_uri": "http://microsoft.test/devicelogin"},
			check:  func(err error) bool { var e *TokenAnswerError; return errors.As(err, &e) },
		},
		"no code": {
			prompt: map[string]any{"device_code": ""},
			check:  func(err error) bool { var e *TokenAnswerError; return errors.As(err, &e) },
		},
		"no life": {
			prompt: map[string]any{"expires_in": 0},
			check:  func(err error) bool { var e *TokenAnswerError; return errors.As(err, &e) },
		},
		"garbage": {
			prompt: map[string]any{"expires_in": "soon"},
			check:  func(err error) bool { var e *TokenAnswerError; return errors.As(err, &e) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t)
				d.device, d.prompt, d.refuse = c.device, c.prompt, c.refuse
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if c.cancel > 0 {
					time.AfterFunc(c.cancel, cancel)
				}
				began := time.Now()
				_, err := d.user(nil).DeviceCode(ctx, func(DevicePrompt) {})
				if !c.check(err) || c.took > 0 && time.Since(began) != c.took {
					t.Errorf("%v after %v", err, time.Since(began))
				}
			})
		})
	}
}

// TestSwitch gives up waiting for the browser and goes on with a code.
func TestSwitch(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	u := d.user(nil)
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := u.Browser(ctx, func(BrowserPrompt) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	d.prompt = map[string]any{"interval": 1}
	u.o.Clock = quick{}
	a, err := u.DeviceCode(t.Context(), func(DevicePrompt) {})
	if err != nil || a.Claims().TenantID != tenantGUID || d.count(configurationPath) != 1 {
		t.Errorf("%v, asked %q", err, d.requests)
	}
}

// TestForeignDeviceEndpoint has a login host whose name MSAL mangles when it
// makes the device code's address of the token's: nothing may go there.
func TestForeignDeviceEndpoint(t *testing.T) {
	t.Parallel()
	asked := 0
	u, err := NewUser(UserOptions{
		Cloud: cloud.Cloud{Name: "test", Login: "https://token.test", Graph: "https://graph.test"}, Tenant: tenantGUID,
		HTTP: clientOf(func(host string) []byte {
			asked++
			return []byte(`{"issuer":"https://token.test/` + tenantGUID + `/v2.0","authorization_endpoint":"https://token.test/a","token_endpoint":"https://token.test/` + tenantGUID + `/oauth2/v2.0/token"}`)
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = u.DeviceCode(t.Context(), func(DevicePrompt) { t.Error("shown") }); err == nil || asked != 1 {
		t.Errorf("%v after %d requests", err, asked)
	}
}
