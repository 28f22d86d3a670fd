// Package azuretoken lets Go programs sign in to Azure SDK clients with a saved
// connection: it gives an azcore.TokenCredential for it. It hides where the
// connection keeps its certificate or secret, which cloud it belongs to, and how
// tokens are asked for and kept in memory.
//
// It is apart from package connections so that programs which do not use the
// Azure SDK do not link it.
package azuretoken

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/transport"
)

// Options are what New needs besides the connection. All may be left out.
type Options struct {
	// Getenv reads HTTPS_PROXY, NO_PROXY and SSL_CERT_FILE; usually os.Getenv.
	// nil means that none of them is set.
	Getenv func(string) string
	// UserAgent names your program to Microsoft, e.g. "contoso-backup/2.1".
	UserAgent string
	// Now is the clock; nil means the computer's.
	Now func() time.Time
}

// Credential signs in as the application of one connection. It is safe for use
// by several goroutines and keeps tokens in memory until they expire.
type Credential struct {
	connection connections.Connection
	tenant     string // id, or the domain where the profile knows no id
	http       *http.Client
	cae, plain *entra.App // with and without tokens that can be withdrawn early
}

var _ azcore.TokenCredential = (*Credential)(nil)

// New returns a credential for the connection of that name or id in s. The
// certificate or secret is read at once, which may ask for the store's
// passphrase; nothing is sent before the first token is needed.
//
// Errors: those of connections.Store, and whatever keeps the credential from
// being read; an on-premises connection has none for Azure.
func New(ctx context.Context, s *connections.Store, nameOrID string, o *Options) (*Credential, error) {
	if o == nil {
		o = &Options{}
	}
	if o.Now == nil {
		o.Now = transport.SystemClock().Now
	}
	c, err := s.Get(ctx, nameOrID)
	if err != nil {
		return nil, fmt.Errorf("open the connection %q: %w", nameOrID, err)
	}
	if c.Location != connections.Online {
		return nil, fmt.Errorf("the connection %q is %s: only online connections sign in to Entra ID", c.Name, c.Location)
	}
	clouds, err := cloud.Load(s.Dir())
	if err != nil {
		return nil, fmt.Errorf("read the cloud definitions: %w", err)
	}
	in, err := clouds.Find(c.Cloud)
	if err != nil {
		return nil, fmt.Errorf("the connection %q: %w", c.Name, err)
	}
	cred, err := entra.LoadCredential(ctx, s, certs.Personal(s, s.Dir(), o.Now), c)
	if err != nil {
		return nil, fmt.Errorf("the connection %q: %w", c.Name, err)
	}
	client, err := transport.New(transport.Options{Getenv: o.Getenv, ExtraCA: in.CA, UserAgent: o.UserAgent})
	if err != nil {
		return nil, err
	}
	tenant := c.Tenant.ID
	if tenant == "" {
		tenant = c.Tenant.Domain
	}
	app := entra.AppOptions{Cloud: in, TenantID: tenant, ClientID: c.Registration.ClientID, Credential: cred, HTTP: client, Now: o.Now}
	out := &Credential{connection: c, tenant: tenant, http: client}
	if out.cae, err = entra.NewApp(app); err != nil {
		return nil, fmt.Errorf("the connection %q: %w", c.Name, err)
	}
	app.WithoutCAE = true
	if out.plain, err = entra.NewApp(app); err != nil {
		return nil, fmt.Errorf("the connection %q: %w", c.Name, err)
	}
	return out, nil
}

// Connection returns the connection as it was when New read it.
func (c *Credential) Connection() connections.Connection { return c.connection }

// GetToken implements azcore.TokenCredential. Exactly one scope is needed, e.g.
// "https://graph.microsoft.com/.default". A TenantID must be the connection's
// own tenant.
func (c *Credential) GetToken(ctx context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	if len(o.Scopes) != 1 {
		return azcore.AccessToken{}, errors.New("azuretoken: an application asks for one scope at a time, e.g. https://graph.microsoft.com/.default")
	}
	app := c.plain
	if o.EnableCAE {
		app = c.cae
	}
	if err := c.same(ctx, app, o.TenantID); err != nil {
		return azcore.AccessToken{}, err
	}
	t, err := app.Token(ctx, o.Scopes[0], o.Claims)
	if err != nil {
		return azcore.AccessToken{}, err
	}
	return azcore.AccessToken{Token: string(t.Raw.Reveal()), ExpiresOn: t.ExpiresOn}, nil
}

// same refuses a tenant that is not the connection's. Where the profile knows
// only a domain, Entra ID is asked for the id; the token needs that answer too.
func (c *Credential) same(ctx context.Context, app *entra.App, tenant string) error {
	if tenant == "" || strings.EqualFold(tenant, c.tenant) {
		return nil
	}
	only := c.tenant
	if c.connection.Tenant.ID == "" {
		t, err := app.Tenant(ctx)
		if err != nil {
			return fmt.Errorf("azuretoken: %w", err)
		}
		if strings.EqualFold(tenant, t.ID) {
			return nil
		}
		only += " (" + t.ID + ")"
	}
	return fmt.Errorf("azuretoken: the connection %q is for tenant %s only", c.connection.Name, only)
}

// CloseIdleConnections closes the connections to Entra ID that nobody uses.
func (c *Credential) CloseIdleConnections() { c.http.CloseIdleConnections() }
