package entra

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestBrowserSignsIn(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"localhost", "127.0.0.1", "[::1]"} {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			var page, redirect string
			var wait sync.WaitGroup
			began := time.Now()
			a, err := d.user(func(o *UserOptions) { o.LoginHint = "ada@contoso.test" }).Browser(t.Context(), func(p BrowserPrompt) {
				if left := p.Until.Sub(began); left < 5*time.Minute || left > 6*time.Minute {
					t.Errorf("%v are left", left)
				}
				redirect = checkLink(t, p.URL)
				wait.Go(func() {
					to := strings.Replace(redirect, "localhost", host, 1)
					res, body := fetch(t, http.DefaultClient, "POST", to, "", d.enter(p.URL))
					if res == nil {
						if host == "[::1]" { // a computer without IPv6
							_, body = fetch(t, http.DefaultClient, "POST", redirect, "", d.enter(p.URL))
						}
					}
					page = body
				})
			})
			wait.Wait()
			if err != nil {
				t.Fatal(err)
			}
			for _, part := range []string{"✓", "Signed in", "admin@contoso.test", "Ada [31mAdmin", tenantGUID, "You can close this window"} {
				if !strings.Contains(page, part) {
					t.Errorf("the page does not say %q:\n%s", part, page)
				}
			}
			c := a.Claims()
			if c.TenantID != tenantGUID || c.UPN != "admin@contoso.test" || c.Name != "Ada [31mAdmin" || c.AppID != AzureCLI || c.App ||
				!slices.Equal(c.RoleIDs, []string{"62e90394-69f5-4237-9190-012177145e10"}) || !slices.Equal(c.Scopes, []string{"Application.ReadWrite.All", "User.ReadWrite.All"}) || time.Until(c.ExpiresOn) < 50*time.Minute {
				t.Errorf("%+v", c)
			}
			token, err := a.Token(t.Context(), "")
			if err != nil || parseClaims([]byte(token)).Opaque {
				t.Errorf("%q %v", token, err)
			}
			if text := fmt.Sprintf("%v %+v %#v %v", a, a, a, c); strings.Contains(text, token) || strings.Contains(text, "refresh-") {
				t.Error("the token can be printed")
			}
			if want := []string{"GET /" + tenantGUID + configurationPath, "POST /" + tenantGUID + "/oauth2/v2.0/token authorization_code"}; !slices.Equal(d.requests, want) {
				t.Errorf("asked %q, want %q", d.requests, want)
			}
			if _, err := net.DialTimeout("tcp", strings.TrimPrefix(redirect, "http://"), time.Second); err == nil {
				t.Error("the port is still open")
			}
		})
	}
}

// checkLink checks the address of the sign-in page and returns where it answers to.
func checkLink(t *testing.T, link string) string {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if got := "https://" + u.Host + u.Path; got != deskLogin+"/"+tenantGUID+"/oauth2/v2.0/authorize" {
		t.Errorf("page %s", got)
	}
	for name, want := range map[string]string{
		"client_id": AzureCLI, "response_type": "code", "response_mode": "form_post", "prompt": "select_account", "code_challenge_method": "S256",
		"login_hint": "ada@contoso.test", "scope": "https://graph.test/.default openid profile offline_access", "claims": `{"access_token":{"xms_cc":{"values":["cp1"]}}}`,
	} {
		if q.Get(name) != want {
			t.Errorf("%s = %q, want %q", name, q.Get(name), want)
		}
	}
	if len(q.Get("state")) != 43 || len(q.Get("code_challenge")) != 43 || q.Get("state") == q.Get("code_challenge") || len(q) != 11 {
		t.Errorf("query %v", q)
	}
	redirect := q.Get("redirect_uri")
	if ok, port := strings.HasPrefix(redirect, "http://localhost:"), redirect[strings.LastIndex(redirect, ":")+1:]; !ok || strings.Contains(port, "/") {
		t.Errorf("redirect %q", redirect) // Entra ID compares all but the port
	}
	return redirect
}

// post answers the sign-in with form and returns what Browser and the page said.
func post(t *testing.T, d *desk, change func(*UserOptions), form func(link string) url.Values) (*Admin, string, error) {
	t.Helper()
	p := newPipes()
	var page string
	var wait sync.WaitGroup
	a, err := d.user(func(o *UserOptions) {
		o.Listen = p.listen
		if change != nil {
			change(o)
		}
	}).Browser(t.Context(), func(b BrowserPrompt) {
		wait.Go(func() { _, page = fetch(t, p.browser(), "POST", "http://localhost:4711", "", form(b.URL)) })
	})
	wait.Wait()
	return a, page, err
}

func TestRefusedOnThePage(t *testing.T) {
	t.Parallel()
	const trailer = "\r\nTrace ID: 0a0b0c0d-0000-1111-2222-333344445555\r\nCorrelation ID: 99999999-8888-7777-6666-555544443333\r\nTimestamp: 2026-11-22 10:11:12Z"
	for _, c := range []struct {
		name, oauth, text string
		code              int
		other             bool
		page              []string
	}{
		{"cancelled", "access_denied", "AADSTS65004: User declined to consent to access the app." + trailer, 65004, false, []string{"Sign-in cancelled", "declined on Microsoft"}},
		{"cancelled early", "access_denied", "the user canceled the authentication", 0, false, []string{"Sign-in cancelled", "access_denied"}},
		{"policy", "access_denied", "AADSTS53003: Access has been blocked by Conditional Access policies." + trailer, 53003, true, []string{"AADSTS53003", "a code on another device"}},
		{"device", "interaction_required", "AADSTS53000: Your device is required to be managed." + trailer, 53000, true, []string{"AADSTS53000", "managed"}},
		{"pre-authorisation", "invalid_client", "AADSTS65002: Consent between first party applications must be configured via preauthorization." + trailer, 65002, false, []string{"AADSTS65002", "Trace ID"}},
		{"hostile", "x<script>", "<img src=x onerror=alert(1)>\x1b[2J\u202e" + trailer, 0, false, []string{"&lt;img src=x onerror=alert(1)&gt;[2J"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			_, page, err := post(t, d, nil, func(link string) url.Values {
				return url.Values{"error": {c.oauth}, "error_description": {c.text}, "state": {d.enter(link).Get("state")}}
			})
			var e *Error
			if !errors.As(err, &e) || e.Code() != c.code || WantsOtherWay(err) != c.other || e.Resource != "https://graph.test/.default" {
				t.Fatalf("%v", err)
			}
			if strings.Contains(c.text, trailer) && (e.TraceID != "0a0b0c0d-0000-1111-2222-333344445555" || e.CorrelationID != "99999999-8888-7777-6666-555544443333" || e.Time.IsZero() || strings.Contains(e.Description, "Trace")) {
				t.Errorf("%+v", e)
			}
			for _, part := range append(c.page, "✗", "You can close this window and go back to c2conn.") {
				if !strings.Contains(page, part) {
					t.Errorf("the page does not say %q:\n%s", part, page)
				}
			}
			if strings.Contains(page, "<script") || strings.Contains(page, "<img") || strings.Contains(page, "\x1b") {
				t.Errorf("the page lets foreign text through:\n%s", page)
			}
			if d.count("POST") != 0 {
				t.Error("something was redeemed")
			}
		})
	}
}

func TestRefusedAfterThePage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		desk   func(*desk)
		change func(*UserOptions)
		check  func(error) bool
		page   string
	}{
		"by the token endpoint": {
			desk: func(d *desk) { d.refuse = func(url.Values) map[string]any { return oauth(50105, "invalid_grant") } },
			check: func(err error) bool {
				var e *Error
				return errors.As(err, &e) && e.Code() == 50105 && e.TraceID == "tr"
			},
			page: "AADSTS50105",
		},
		"account of another tenant": {
			desk: func(d *desk) { d.claims = map[string]any{"tid": clientGUID} },
			check: func(err error) bool {
				var e *WrongTokenError
				return errors.As(err, &e) && *e == WrongTokenError{Reason: OtherTenant, Got: clientGUID, Want: tenantGUID}
			},
			page: "Wrong tenant",
		},
		"account of another tenant than the domain's": {
			desk:   func(d *desk) { d.claims = map[string]any{"tid": clientGUID} },
			change: func(o *UserOptions) { o.Tenant = "Contoso.test" },
			check:  func(err error) bool { var e *WrongTokenError; return errors.As(err, &e) && e.Want == tenantGUID },
			page:   "Wrong tenant",
		},
		"no token in the answer": {
			desk:  func(d *desk) { d.dropped = []string{"access_token"} },
			check: func(err error) bool { var e *TokenAnswerError; return errors.As(err, &e) },
			page:  "could not finish",
		},
		"garbage in the answer": {
			desk: func(d *desk) { d.dropped = []string{"expires_in"} },
			check: func(err error) bool {
				var e *TokenAnswerError
				return errors.As(err, &e) && !strings.Contains(err.Error(), "refresh-")
			},
			page: "could not finish",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			c.desk(d)
			a, page, err := post(t, d, c.change, d.enter)
			if a != nil || !c.check(err) || !strings.Contains(page, c.page) {
				t.Errorf("%v %v\n%s", a, err, page)
			}
		})
	}
}

func TestAnyTenant(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.claims = map[string]any{"tid": clientGUID}
	a, _, err := post(t, d, func(o *UserOptions) { o.Tenant = "" }, func(link string) url.Values {
		if !strings.HasPrefix(link, deskLogin+"/organizations/oauth2/v2.0/authorize?") {
			t.Error(link)
		}
		return d.enter(link)
	})
	if err != nil || a.Claims().TenantID != clientGUID {
		t.Fatal(err)
	}
	if err := a.InTenant(tenantGUID); err == nil {
		t.Error("the tenant does not matter")
	}
	// The refresh goes to the same place.
	if _, err := a.Token(t.Context(), `{"access_token":{"nbf":{"essential":true,"value":"1"}}}`); err != nil || d.count("POST /organizations/oauth2/v2.0/token") != 2 {
		t.Errorf("%v %q", err, d.requests)
	}
}

func TestOpaqueToken(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.claims = map[string]any{"opaque": true}
	a, page, err := post(t, d, nil, d.enter)
	if err != nil {
		t.Fatal(err)
	}
	if c := a.Claims(); c.UPN != "ada@contoso.test" || c.TenantID != tenantGUID || c.Name != "Ada" || c.App || c.AppID != AzureCLI || !strings.Contains(page, "ada@contoso.test") {
		t.Errorf("%+v", c)
	}
}

func TestRefresh(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		a, _, err := post(t, d, nil, d.enter)
		if err != nil {
			t.Fatal(err)
		}
		first, _ := a.Token(t.Context(), "")
		if again, err := a.Token(t.Context(), ""); err != nil || again != first || d.count("refresh_token") != 0 {
			t.Errorf("from memory: %v", err)
		}
		// The token expires; many ask at once, one refresh is enough.
		time.Sleep(2 * time.Hour)
		var wait sync.WaitGroup
		for range 5 {
			wait.Go(func() {
				if token, err := a.Token(t.Context(), ""); err != nil || token == first {
					t.Errorf("after it expired: %v", err)
				}
			})
		}
		wait.Wait()
		if d.count("refresh_token") != 1 || !a.Claims().ExpiresOn.After(time.Now()) {
			t.Errorf("%d refreshes, until %v", d.count("refresh_token"), a.Claims().ExpiresOn)
		}
		// A service withdraws it: the challenge goes along.
		const challenge = `{"access_token":{"nbf":{"essential":true,"value":"1"}}}`
		d.set(func() { d.claims = map[string]any{"wids": []string{}} })
		if _, err := a.Token(t.Context(), challenge); err != nil || d.count("refresh_token") != 2 || len(a.Claims().RoleIDs) != 0 {
			t.Errorf("%v, %d refreshes, %+v", err, d.count("refresh_token"), a.Claims())
		}
		// Only the person can answer the next one.
		d.set(func() {
			d.refuse = func(form url.Values) map[string]any {
				if !strings.Contains(form.Get("claims"), "nbf") {
					t.Errorf("claims %q", form.Get("claims"))
				}
				return oauth(50076, "interaction_required")
			}
		})
		_, err = a.Token(t.Context(), challenge)
		var e *Error
		if !errors.As(err, &e) || e.Code() != 50076 || !SignInAgain(err) {
			t.Error(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := a.Token(ctx, challenge); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func TestNothingToRefreshWith(t *testing.T) {
	t.Parallel()
	for _, without := range []string{"refresh_token", "id_token"} {
		d := newDesk(t)
		d.dropped = []string{without}
		a, _, err := post(t, d, nil, d.enter)
		if err != nil {
			t.Fatal(err)
		}
		_, err = a.Token(t.Context(), `{"access_token":{}}`)
		if !SignInAgain(err) || err.Error() != "Entra ID refused the sign-in (interaction_required): the sign-in is over; sign in again" {
			t.Errorf("without %s: %v", without, err)
		}
	}
}

func TestUserOptions(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]UserOptions{
		"tenant": {Tenant: "no tenant", HTTP: http.DefaultClient},
		"client": {ClientID: "azure-cli", HTTP: http.DefaultClient},
		"HTTP":   {},
	} {
		if _, err := NewUser(o); err == nil {
			t.Errorf("%s passed", name)
		}
	}
}

func TestTenantThatDoesNotExist(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	u := d.user(func(o *UserOptions) {
		o.HTTP = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			return answer(r, 400, []byte(`{"error":"invalid_tenant","error_codes":[90002],"error_description":"AADSTS90002: No."}`)), nil
		})}
	})
	_, err := u.Browser(t.Context(), func(BrowserPrompt) { t.Error("shown") })
	var e *Error
	if !errors.As(err, &e) || e.Code() != 90002 {
		t.Error(err)
	}
}
