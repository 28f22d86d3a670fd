package entra

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/patience"
	"github.com/c2conn/c2conn/internal/transport"
)

// Credential proves that c2conn is the application: a client secret or a
// certificate with its private key, exactly one of them.
type Credential struct {
	Secret   connections.Secret
	Identity *certs.Identity
}

// ErrOneCredential means that a Credential holds both or neither.
var ErrOneCredential = errors.New("exactly one of certificate and client secret is needed")

// AppOptions are what NewApp needs.
type AppOptions struct {
	Cloud      cloud.Cloud
	TenantID   string // GUID, or a domain of the tenant
	ClientID   string // application (client) id
	Credential Credential
	HTTP       *http.Client // of transport.New
	// WithoutCAE asks for tokens that are not withdrawn early, for callers that
	// cannot answer a claims challenge.
	WithoutCAE bool
	Tenants    *Tenants         // what is known of tenants already; nil for an App that asks for itself
	Now        func() time.Time // nil means the computer's clock
	Rand       io.Reader        // signatures and ids; nil means crypto/rand
}

// App is an application of a tenant that signs in as itself. It keeps tokens in
// memory until they expire and is safe for use by several goroutines.
type App struct {
	o AppOptions

	where *finder

	mu     sync.Mutex
	client *confidential.Client
	found  *discovery
	turns  map[string]chan struct{} // by scope; holds one while somebody asks for a token
}

// Token is an access token for one resource.
type Token struct {
	Raw       connections.Secret
	ExpiresOn time.Time
	Claims    Claims
}

// NewApp checks o and returns the App. Nothing is sent yet.
func NewApp(o AppOptions) (*App, error) {
	if (o.Credential.Identity == nil) == (len(o.Credential.Secret.Reveal()) == 0) {
		return nil, ErrOneCredential
	}
	if id := o.Credential.Identity; id != nil && (id.Certificate == nil || id.Key == nil) {
		return nil, errors.New("the certificate comes without its private key")
	}
	if !guid().MatchString(o.TenantID) && !domain().MatchString(o.TenantID) {
		return nil, &TenantNameError{Name: o.TenantID}
	}
	if !guid().MatchString(o.ClientID) {
		return nil, fmt.Errorf("the client id %q is no GUID", transport.CleanText(o.ClientID, 80))
	}
	if o.HTTP == nil {
		return nil, errors.New("entra: AppOptions.HTTP is missing")
	}
	if o.Now == nil {
		o.Now = transport.SystemClock().Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	return &App{o: o, where: o.Tenants.finder(o.Cloud.Authority(strings.ToLower(o.TenantID)))}, nil
}

// Forget drops all tokens: the next one shows what the tenant grants now, not
// what it granted an hour ago. The tenant's metadata stays known.
func (a *App) Forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.client = nil
}

// Token returns a token for scope, e.g. "https://graph.microsoft.com/.default",
// from memory or from Entra ID. claims is the claims challenge of a service
// that refused the token in memory, as JSON; empty in all other cases.
//
// Errors: *Error when Entra ID refuses; *transport.Error when it cannot be
// reached; *MetadataError and *TokenAnswerError when the answer does not come
// from it, before and after the secret was sent.
func (a *App) Token(ctx context.Context, scope, claims string) (Token, error) {
	var sent atomic.Bool
	ctx = context.WithValue(transport.Service(ctx, service), sentKey{}, &sent)
	if err := a.discover(ctx); err != nil {
		return Token{}, explain(ctx, a.o.Cloud, scope, sent.Load(), err)
	}
	client, err := a.msal()
	if err != nil {
		return Token{}, err
	}
	if claims == "" {
		leave, err := a.turn(ctx, scope)
		if err != nil {
			return Token{}, explain(ctx, a.o.Cloud, scope, sent.Load(), err)
		}
		defer leave()
	}
	var opts []confidential.AcquireByCredentialOption
	if claims != "" {
		opts = append(opts, confidential.WithClaims(claims))
	}
	r, err := client.AcquireTokenByCredential(ctx, []string{scope}, opts...)
	if err != nil {
		return Token{}, explain(ctx, a.o.Cloud, scope, sent.Load(), err)
	}
	raw := []byte(r.AccessToken)
	return Token{Raw: connections.NewSecret(raw), ExpiresOn: r.ExpiresOn.UTC(), Claims: parseClaims(raw)}, nil
}

// turn lets one at a time ask for a token for a scope: those who come meanwhile find it
// in memory afterwards. That they had to wait is not counted against them.
func (a *App) turn(ctx context.Context, scope string) (leave func(), err error) {
	a.mu.Lock()
	if a.turns == nil {
		a.turns = map[string]chan struct{}{}
	}
	if a.turns[scope] == nil {
		a.turns[scope] = make(chan struct{}, 1)
	}
	turn := a.turns[scope]
	a.mu.Unlock()
	defer patience.Hold(ctx)()
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Tenant returns what the login service says of the App's tenant. It costs no
// request before or after a Token. Errors: those of ResolveTenant.
func (a *App) Tenant(ctx context.Context) (Tenant, error) {
	if err := a.discover(ctx); err != nil {
		return Tenant{}, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.found.tenant, nil
}

// discover fetches the tenant's metadata unless it is known.
func (a *App) discover(ctx context.Context) error {
	found, err := a.where.get(ctx, a.o)
	if err == nil {
		a.mu.Lock()
		a.found = found
		a.mu.Unlock()
	}
	return err
}

// msal returns the MSAL client, which is made once discovery is done.
func (a *App) msal() (*confidential.Client, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.client != nil {
		return a.client, nil
	}
	cred, err := a.credential()
	if err != nil {
		return nil, err
	}
	client := &http.Client{
		Transport:     &endpoint{next: a.o.HTTP.Transport, found: a.found},
		CheckRedirect: transport.NoRedirect,
	}
	opts := []confidential.Option{
		// MSAL would ask login.microsoftonline.com about clouds that it does not know.
		confidential.WithInstanceDiscovery(false),
		confidential.WithHTTPClient(client),
		// An environment variable must not send us to a regional host.
		confidential.WithAzureRegion("DisableMsalForceRegion"),
	}
	if !a.o.WithoutCAE {
		// cp1: we answer claims challenges, so services may give longer-lived tokens.
		opts = append(opts, confidential.WithClientCapabilities([]string{"cp1"}))
	}
	c, err := confidential.New(a.o.Cloud.Authority(strings.ToLower(a.o.TenantID)), a.o.ClientID, cred, opts...)
	if err != nil {
		return nil, fmt.Errorf("prepare the sign-in: %w", err)
	}
	a.client = &c
	return a.client, nil
}

func (a *App) credential() (confidential.Credential, error) {
	id := a.o.Credential.Identity
	if id == nil {
		return confidential.NewCredFromSecret(string(a.o.Credential.Secret.Reveal()))
	}
	if key, ok := id.Key.Public().(*rsa.PublicKey); !ok || !key.Equal(id.Certificate.PublicKey) {
		return confidential.Credential{}, errors.New("the private key does not belong to the certificate")
	}
	// Not MSAL's own assertions: they take the time from the computer, whatever Now
	// says, and need the private key in memory, which a key of Windows' store or of a
	// token never is.
	s := &assertions{cert: id.Certificate, key: id.Key, now: a.o.Now, rand: a.o.Rand}
	return confidential.NewCredFromAssertionCallback(s.sign), nil
}

// explain finds the one error that says why no token came. MSAL's own text is
// never passed on: it may quote the whole answer. sent tells whether the request
// with the secret went out.
func explain(ctx context.Context, c cloud.Cloud, scope string, sent bool, err error) error {
	var (
		refused  *Error
		broken   *transport.Error
		metadata *MetadataError
		answer   *TokenAnswerError
		name     *TenantNameError
		sign     *SignError
		foreign  *transport.ForeignHostError
	)
	switch {
	case errors.As(err, &refused):
		e := *refused // the same refusal may be waited for by several callers
		e.Resource = scope
		return &e
	case errors.As(err, &metadata):
		return metadata
	case errors.As(err, &answer):
		return answer
	case errors.As(err, &name):
		return name
	case errors.As(err, &sign):
		return sign
	case errors.As(err, &foreign):
		return foreign
	case errors.As(err, &broken):
		return fmt.Errorf("sign in at %s: %w", loginHost(c), broken)
	case ctx.Err() != nil:
		return fmt.Errorf("sign in at %s: %w", loginHost(c), ctx.Err())
	case !sent:
		return fmt.Errorf("sign in at %s: the request cannot be made, so nothing was sent; a claims challenge that is no JSON is a cause", loginHost(c))
	}
	return &TokenAnswerError{Host: loginHost(c), Status: http.StatusOK, Reason: "it is not built as a token answer is"}
}
