package entra

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/transport"
)

// browserLimit is how long the browser may take. Without a limit a closed window
// would leave c2conn waiting for ever.
const browserLimit = 5 * time.Minute

// UserOptions are what NewUser needs.
type UserOptions struct {
	Cloud     cloud.Cloud
	Tenant    string // GUID, or a domain of the tenant; empty means the account's own
	ClientID  string // public client to sign in with; empty means AzureCLI
	HTTP      *http.Client
	Clock     transport.Clock // nil means the computer's
	Rand      io.Reader       // nil means crypto/rand
	LoginHint string          // user name that the page offers; may be empty
	// Listen opens where the browser's answer arrives; nil means a free port of the
	// loopback address.
	Listen func(ctx context.Context) (net.Listener, error)
}

// User lets a person sign in as administrator.
type User struct {
	o UserOptions

	mu    sync.Mutex
	found *discovery
}

// NewUser checks o and returns the User. Nothing is sent yet.
func NewUser(o UserOptions) (*User, error) {
	if o.Tenant == "" {
		o.Tenant = anyTenant
	} else if !guid().MatchString(o.Tenant) && (len(o.Tenant) > 253 || !domain().MatchString(o.Tenant)) {
		return nil, &TenantNameError{Name: o.Tenant}
	}
	if o.ClientID == "" {
		o.ClientID = AzureCLI
	}
	if !guid().MatchString(o.ClientID) {
		return nil, fmt.Errorf("the client id %q is no GUID", transport.CleanText(o.ClientID, 80))
	}
	if o.HTTP == nil {
		return nil, errors.New("entra: UserOptions.HTTP is missing")
	}
	if o.Clock == nil {
		o.Clock = transport.SystemClock()
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	return &User{o: o}, nil
}

// BrowserPrompt is what the person needs who signs in with a browser.
type BrowserPrompt struct {
	URL   string // to open on this computer; holds no secret
	Until time.Time
}

// Browser signs in with a browser on this computer: the authorization code flow
// with PKCE, answered to a port of the loopback address. show is called once, when
// the page can be opened. The last page in the browser says how it ended.
//
// Errors: *Error when Entra ID or the person refuses, *SignInTimeoutError after
// five minutes, *ListenError where no port can be opened, *WrongTokenError for an
// account of another tenant, and those of App.Token.
//
// Source: learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow.
func (u *User) Browser(ctx context.Context, show func(BrowserPrompt)) (*Admin, error) {
	until := u.o.Clock.Now().Add(browserLimit)
	ctx, cancel := context.WithTimeoutCause(ctx, browserLimit, &SignInTimeoutError{Limit: browserLimit})
	defer cancel()
	s, err := u.begin(ctx, nil)
	if err != nil {
		return nil, err
	}
	state, err := u.random()
	if err != nil {
		return nil, err
	}
	verifier, err := u.random()
	if err != nil {
		return nil, err
	}
	door, err := openLoopback(ctx, u.o.Listen, state)
	if err != nil {
		return nil, err
	}
	defer door.close()
	link, err := s.authorize(ctx, door.redirect, state, verifier)
	if err != nil {
		return nil, err
	}
	show(BrowserPrompt{URL: link, Until: until})
	a, err := s.answered(ctx, door, verifier)
	door.finish(lastPage(a, err))
	return a, err
}

// random makes 256 bits of chance, spelled as a URL takes it.
func (u *User) random() (string, error) {
	b := make([]byte, 32)
	if _, err := io.ReadFull(u.o.Rand, b); err != nil {
		return "", fmt.Errorf("make a random value: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b), nil
}

// signIn is one attempt, with an MSAL client of its own: what a failed one left
// in MSAL's memory must not help the next.
type signIn struct {
	user   *User
	found  *discovery
	client public.Client
	done   bool // a token came; what follows are refreshes
}

// begin prepares an attempt. wrap may put a RoundTripper between MSAL and the
// endpoint.
func (u *User) begin(ctx context.Context, wrap func(*endpoint) http.RoundTripper) (*signIn, error) {
	s := &signIn{user: u}
	u.mu.Lock()
	s.found = u.found
	u.mu.Unlock()
	if s.found == nil {
		found, err := fetchDiscovery(ctx, u.o.HTTP, u.o.Cloud, u.o.Tenant)
		if err != nil {
			return nil, s.explain(ctx, false, err)
		}
		s.found = found
		u.mu.Lock()
		u.found = found
		u.mu.Unlock()
	}
	e := &endpoint{next: u.o.HTTP.Transport, found: s.found, devices: wrap != nil}
	var road http.RoundTripper = e
	if wrap != nil {
		road = wrap(e)
	}
	var err error
	s.client, err = public.New(u.o.ClientID,
		public.WithAuthority(u.o.Cloud.Authority(strings.ToLower(u.o.Tenant))),
		// MSAL would ask login.microsoftonline.com about clouds that it does not know.
		public.WithInstanceDiscovery(false),
		public.WithHTTPClient(&http.Client{Transport: road, CheckRedirect: transport.NoRedirect}),
		// cp1: we answer claims challenges, so services may give longer-lived tokens.
		public.WithClientCapabilities([]string{"cp1"}),
	)
	if err != nil {
		return nil, fmt.Errorf("prepare the sign-in: %w", err)
	}
	return s, nil
}

// scopes are Microsoft Graph's alone: Azure CLI's permissions cannot be added to
// (AADSTS65002), and a token is for one service only. MSAL adds openid, profile
// and offline_access to what goes to the token endpoint.
func (s *signIn) scopes() []string { return []string{s.user.o.Cloud.GraphScope()} }

// authorize returns the address of the sign-in page.
func (s *signIn) authorize(ctx context.Context, redirect, state, verifier string) (string, error) {
	var opts []public.AuthCodeURLOption
	if s.user.o.LoginHint != "" {
		opts = append(opts, public.WithLoginHint(s.user.o.LoginHint))
	}
	scopes := append(s.scopes(), "openid", "profile", "offline_access")
	raw, err := s.client.AuthCodeURL(ctx, s.user.o.ClientID, redirect, scopes, opts...)
	if err != nil {
		return "", s.explain(ctx, false, err)
	}
	link, err := url.Parse(raw)
	if err != nil {
		return "", &MetadataError{Host: loginHost(s.user.o.Cloud), Status: http.StatusOK, Reason: "its authorization endpoint is unreadable"}
	}
	sum := sha256.Sum256([]byte(verifier))
	q := link.Query()
	q.Set("state", state)
	q.Set("code_challenge", base64.RawURLEncoding.EncodeToString(sum[:]))
	q.Set("code_challenge_method", "S256")
	// The code comes in a form, so that it stays out of the browser's history.
	q.Set("response_mode", "form_post")
	// Whoever is signed in already may not be the administrator.
	q.Set("prompt", "select_account")
	link.RawQuery = q.Encode()
	return link.String(), nil
}

// answered waits for the browser and turns its answer into an Admin.
func (s *signIn) answered(ctx context.Context, door *loopback, verifier string) (*Admin, error) {
	form, err := door.wait(ctx)
	if err != nil {
		return nil, s.explain(ctx, false, err)
	}
	if form.Get("error") != "" {
		e := formError(form)
		e.Resource = s.user.o.Cloud.GraphScope()
		return nil, e
	}
	return s.redeem(ctx, func(ctx context.Context) (public.AuthResult, error) {
		// WithChallenge wants what RFC 7636 calls the verifier.
		return s.client.AcquireTokenByAuthCode(ctx, form.Get("code"), door.redirect, s.scopes(), public.WithChallenge(verifier))
	})
}

// redeem makes an Admin of the first token and of those that follow it.
func (s *signIn) redeem(ctx context.Context, get func(context.Context) (public.AuthResult, error)) (*Admin, error) {
	r, err := s.acquire(ctx, get)
	if err != nil {
		return nil, err
	}
	s.done = true
	account := r.Account
	a := newAdmin(s.token(r), func(ctx context.Context, challenge string) (adminToken, error) {
		opts := []public.AcquireSilentOption{public.WithSilentAccount(account)}
		if challenge != "" {
			opts = append(opts, public.WithClaims(challenge))
		}
		r, err := s.acquire(ctx, func(ctx context.Context) (public.AuthResult, error) {
			return s.client.AcquireTokenSilent(ctx, s.scopes(), opts...)
		})
		if err != nil {
			return adminToken{}, err
		}
		return s.token(r), nil
	})
	if want := s.found.tenant.ID; want != "" {
		if err := a.InTenant(want); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// acquire calls MSAL and explains its failures.
func (s *signIn) acquire(ctx context.Context, get func(context.Context) (public.AuthResult, error)) (public.AuthResult, error) {
	var sent atomic.Bool
	r, err := get(context.WithValue(transport.Service(ctx, service), sentKey{}, &sent))
	if err != nil {
		return public.AuthResult{}, s.explain(ctx, sent.Load(), err)
	}
	return r, nil
}

// token reads a token of MSAL. What Microsoft Graph's token does not say, or no
// longer says one day, comes from the id token.
func (s *signIn) token(r public.AuthResult) adminToken {
	c, _, ok := readAdmin([]byte(r.AccessToken))
	label := func(t string) string { return transport.CleanText(t, 256) }
	c.App = false // a person just signed in
	c.ExpiresOn = r.ExpiresOn.UTC()
	c.TenantID = first(c.TenantID, strings.ToLower(label(r.IDToken.TenantID)))
	c.ObjectID = first(c.ObjectID, label(r.IDToken.Oid))
	c.UPN = first(c.UPN, first(label(r.IDToken.UPN), label(r.IDToken.PreferredUsername)))
	c.Name = first(c.Name, label(r.IDToken.Name))
	if !ok {
		c.AppID = s.user.o.ClientID
	}
	return adminToken{raw: connections.NewSecret(r.AccessToken), claims: c}
}

// explain finds the one error that says why there is no token.
func (s *signIn) explain(ctx context.Context, sent bool, err error) error {
	c := s.user.o.Cloud
	var late *SignInTimeoutError
	if errors.As(context.Cause(ctx), &late) {
		return late
	}
	if ctx.Err() != nil {
		return fmt.Errorf("sign in at %s: %w", loginHost(c), ctx.Err())
	}
	known := explain(ctx, c, c.GraphScope(), true, err)
	var unclear *TokenAnswerError
	switch {
	case sent || !errors.As(known, &unclear):
		return known
	case s.done:
		// MSAL found nothing in its memory to ask with: no account, no refresh token.
		return &Error{OAuth: "interaction_required", Description: "the sign-in is over; sign in again", Resource: c.GraphScope()}
	default:
		return &MetadataError{Host: loginHost(c), Status: http.StatusOK, Reason: "MSAL does not accept it"}
	}
}
