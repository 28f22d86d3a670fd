package entra

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"

	"github.com/c2conn/c2conn/internal/transport"
)

// Limits of what is believed of a device code; Entra ID's live 15 minutes and are
// asked about every 5 seconds.
const (
	deviceLimit  = time.Hour
	pollInterval = 5 * time.Second
	pollLongest  = time.Minute
)

// DevicePrompt is what the person needs who signs in with a code.
type DevicePrompt struct {
	Code  string    // to type, e.g. "FJC3GH2K9"; short-lived, not secret from who signs in
	URL   string    // where to type it, on any device
	Until time.Time // when the code expires
}

// DeviceCode signs in with a browser on any device, where the person types a
// code. show is called once, when the code is there.
//
// Errors: *Error when Entra ID or the person refuses, *SignInTimeoutError when the
// code has expired, *WrongTokenError for an account of another tenant, and those
// of App.Token.
//
// Source: RFC 8628; learn.microsoft.com/entra/identity-platform/v2-oauth2-device-code.
func (u *User) DeviceCode(ctx context.Context, show func(DevicePrompt)) (*Admin, error) {
	polls := &polls{clock: u.o.Clock, pause: pollInterval}
	s, err := u.begin(ctx, func(e *endpoint) http.RoundTripper { polls.next = e; return polls })
	if err != nil {
		return nil, err
	}
	var code public.DeviceCode
	_, err = s.acquire(ctx, func(ctx context.Context) (r public.AuthResult, err error) {
		code, err = s.client.AcquireTokenByDeviceCode(ctx, s.scopes())
		return r, err
	})
	if err != nil {
		return nil, err
	}
	// A second less than it lives, so that this limit comes before MSAL's own.
	life := min(time.Duration(polls.answer.Expires)*time.Second, deviceLimit) - time.Second
	p := DevicePrompt{
		Code:  transport.CleanText(code.Result.UserCode, 32),
		URL:   transport.CleanText(code.Result.VerificationURL, 200),
		Until: u.o.Clock.Now().Add(life),
	}
	if at, err := url.Parse(p.URL); err != nil || at.Scheme != "https" || at.Host == "" || at.User != nil || p.Code == "" || life <= 0 {
		return nil, &TokenAnswerError{Host: loginHost(u.o.Cloud), Status: http.StatusOK, Reason: "it holds no usable device code"}
	}
	show(p)
	late := &SignInTimeoutError{Limit: life.Round(time.Minute), DeviceCode: true}
	ctx, cancel := context.WithTimeoutCause(ctx, life, late)
	defer cancel()
	a, err := s.redeem(ctx, code.AuthenticationResult)
	var refused *Error
	if errors.As(err, &refused) && refused.OAuth == "expired_token" {
		return nil, late
	}
	return a, err
}

// polls is the RoundTripper of one device code. MSAL asks whether the person is
// done in a rhythm of its own; this one keeps to what Entra ID wishes, and turns
// "not yet" into the answer that MSAL goes on after. MSAL sends one request at a
// time.
type polls struct {
	next   http.RoundTripper
	clock  transport.Clock
	answer struct {
		Expires  int64 `json:"expires_in"` // seconds
		Interval int64 `json:"interval"`   // seconds
	}
	pause time.Duration // before each poll
}

// RoundTrip implements http.RoundTripper.
func (t *polls) RoundTrip(r *http.Request) (*http.Response, error) {
	if t.answer.Expires > 0 && r.Method == http.MethodPost {
		if err := t.clock.Sleep(r.Context(), t.pause); err != nil {
			r.Body.Close()
			return nil, err
		}
	}
	res, err := t.next.RoundTrip(r)
	var refused *Error
	switch {
	case err == nil && t.answer.Expires > 0:
		t.pause = 0 // what follows are refreshes
	case err == nil && r.Method == http.MethodPost:
		body, err := readBody(res)
		if err != nil || json.Unmarshal(body, &t.answer) != nil {
			return nil, &TokenAnswerError{Host: r.URL.Host, Status: res.StatusCode, Reason: "it holds no usable device code"}
		}
		if t.answer.Interval > 0 {
			t.pause = min(time.Duration(t.answer.Interval)*time.Second, pollLongest)
		}
		return answer(r, res.StatusCode, body), nil
	case errors.As(err, &refused) && (refused.OAuth == "authorization_pending" || refused.OAuth == "slow_down"):
		if refused.OAuth == "slow_down" {
			t.pause = min(t.pause+5*time.Second, pollLongest) // RFC 8628, section 3.5
		}
		return answer(r, http.StatusBadRequest, []byte(`{"error":"authorization_pending"}`)), nil
	}
	return res, err
}
