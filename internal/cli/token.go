package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/verify"
)

// defaultScope asks for all application permissions that were granted.
const defaultScope = "/.default"

// tokenJSON is the answer of token.
type tokenJSON struct {
	AccessToken string    `json:"access_token"`
	TokenType   string    `json:"token_type"`
	ExpiresOn   time.Time `json:"expires_on"`
	ExpiresIn   int64     `json:"expires_in"` // seconds
	Resource    string    `json:"resource"`
	Scope       string    `json:"scope"`
	TenantID    string    `json:"tenant_id"`
	ClientID    string    `json:"client_id"`
}

func newToken(a *app) *cobra.Command {
	var resource string
	cmd := &cobra.Command{
		Use: "token NAME", Short: "Print an access token of a connection's application", GroupID: groupUse,
		Long: `Signs in as the connection's application and prints the access token, and nothing
else, on standard output. The token is good for about an hour, is kept nowhere, and is
a secret: whoever has it acts as the application until it expires.

--resource is graph, exchange or sharepoint (of the connection's own cloud and
tenant), an https URL, or the api:// id of an application.`,
		Example: "  curl -H \"Authorization: Bearer $(c2conn token contoso)\" https://graph.microsoft.com/v1.0/organization\n" +
			"  c2conn token contoso --resource exchange --output json\n  c2conn token contoso --resource https://vault.azure.net",
		Args:              oneArgument("the name of a connection"),
		ValidArgsFunction: a.completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			if a.output == "name" {
				return &usageError{err: errors.New("a token has no name; --output is table or json"), command: cmd.CommandPath()}
			}
			h, err := a.handOut(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			scope, err := h.scope(resource)
			if err != nil {
				return err
			}
			if err := h.load(cmd.Context(), a); err != nil {
				return err
			}
			t, err := h.token(cmd.Context(), a, scope)
			if err != nil {
				return err
			}
			if h.credential.Identity == nil && h.cloud.SharePointHost(scope) {
				a.errorf("SharePoint refuses every call with a token that was got by a client secret (“Unsupported app only token”); use a connection with a certificate.\n")
			}
			raw, left := string(t.Raw.Reveal()), t.ExpiresOn.Sub(a.Clock.Now())
			if a.OutTerminal {
				a.errorf("Valid for %d min. It is a secret: whoever has it acts as the application until then.\n", int(left.Minutes()))
			}
			return a.print(printable{
				value: tokenJSON{AccessToken: raw, TokenType: "Bearer", ExpiresOn: t.ExpiresOn.UTC().Truncate(time.Second), ExpiresIn: int64(left.Seconds()),
					Resource: strings.TrimSuffix(scope, defaultScope), Scope: scope, TenantID: h.tenant(), ClientID: h.conn.Registration.ClientID},
				table: func() string { return raw + "\n" },
			})
		},
	}
	cmd.Flags().StringVar(&resource, "resource", "graph", "what the token is for: graph, exchange, sharepoint, an https URL or an api:// id")
	_ = cmd.RegisterFlagCompletionFunc("resource", cobra.FixedCompletions([]string{"graph", "exchange", "sharepoint"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// token signs in; the credential is loaded.
func (h *handedOut) token(ctx context.Context, a *app, scope string) (entra.Token, error) {
	app, err := h.application(a)
	if err != nil {
		return entra.Token{}, a.about(h, err)
	}
	t, err := app.Token(ctx, scope, "")
	if err != nil {
		facts := verify.FactsOf(h.conn, h.cloud, a.Clock.Now())
		if resource := strings.TrimSuffix(scope, defaultScope); !h.cloud.Allows(resource) && !h.cloud.SharePointHost(resource) {
			facts.Resource = resource
		}
		return entra.Token{}, &adviceError{err: err, facts: facts}
	}
	return t, nil
}

// scope is what a token for a resource is asked with.
func (h *handedOut) scope(resource string) (string, error) {
	switch strings.ToLower(resource) {
	case "graph":
		return h.cloud.GraphScope(), nil
	case "exchange":
		return h.cloud.ExchangeScope(), nil
	case "sharepoint":
		site := h.conn.Endpoints.SharePoint
		switch {
		case site == "":
			return "", &usageError{err: fmt.Errorf("%s knows no SharePoint address; name it: --resource https://TENANT.sharepoint.com", h.conn.Name), command: "c2conn token"}
		case !h.cloud.SharePointHost(site): // a profile is a file that others may have edited
			return "", &advice.ForeignEndpointError{Field: "endpoints.sharepoint", Got: clean(site), Want: "a SharePoint address of the cloud " + h.cloud.Name}
		}
		at, err := url.Parse(site)
		if err != nil {
			return "", err
		}
		return h.cloud.SharePointScope("https://" + at.Host), nil
	}
	return h.scopeOf(resource)
}

// scopeOf is the scope of a resource that is given by its address or id. Those of an
// API of one's own may have a path; Microsoft's services are known by their hosts.
func (h *handedOut) scopeOf(resource string) (string, error) {
	wrong := func(why string) (string, error) {
		return "", &usageError{err: fmt.Errorf("--resource %q %s; give graph, exchange, sharepoint, a URL such as https://vault.azure.net, or an id such as api://APPLICATION", clean(resource), why), command: "c2conn token"}
	}
	u, err := url.Parse(strings.TrimSuffix(resource, defaultScope))
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "api":
		return wrong("is neither an https URL nor an api:// id")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.ContainsAny(resource, " \t\r\n#"):
		return wrong("holds more than a host and a path")
	case h.cloud.Allows(u.String()):
		return "https://" + u.Host + defaultScope, nil
	}
	return strings.TrimSuffix(u.String(), "/") + defaultScope, nil
}
