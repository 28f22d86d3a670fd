package sim

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
)

// AzurePowerShellAppID is a public client of Microsoft's, as AzureCLIAppID and
// GraphCLIAppID are; they may be used in every tenant.
const AzurePowerShellAppID = "1950a258-227b-4e31-a9cf-717495945fc2"

// Kinds of redirect addresses: what may be done with a code that went there.
const (
	redirectPublic = "public" // no credential at the token endpoint
	redirectWeb    = "web"    // a credential is required
)

// redirect is a registered redirect address.
type redirect struct{ uri, kind string }

// client is an application that signs people in.
type client struct {
	id, name  string
	microsoft bool
	fixed     []string // the only Graph permissions it can have, and has everywhere; nil: by consent
	redirects []redirect
	device    bool   // device codes and other flows without a redirect ("Allow public client flows")
	anyTenant bool   // may be used through "common" and "organizations"
	family    string // foci of its tokens
	app       *application
}

// microsoftClients are those of Microsoft's own applications that sign
// administrators in on a workstation.
func microsoftClients() []client {
	local := []redirect{{"http://localhost", redirectPublic}}
	return []client{
		{id: AzureCLIAppID, name: "Microsoft Azure CLI", microsoft: true, fixed: preauthorized(), redirects: local, device: true, anyTenant: true, family: "1"},
		{id: AzurePowerShellAppID, name: "Microsoft Azure PowerShell", microsoft: true, fixed: []string{"AuditLog.Read.All", "Directory.AccessAsUser.All"}, redirects: local, device: true, anyTenant: true, family: "1"},
		{id: GraphCLIAppID, name: "Microsoft Graph Command Line Tools", microsoft: true, redirects: local, device: true, anyTenant: true},
	}
}

// clientOf finds the application that asks, as the replica of this request
// knows it. shared says that the request went to no particular tenant.
func (w *World) clientOf(r *request, id string, shared bool) (client, *refusal) {
	notFound := &refusal{code: 700016, args: []any{id, w.dir.organization.DisplayName}}
	if w.faults.get("app-not-found") != nil {
		return client{}, notFound
	}
	t := w.dir.at(r)
	for _, c := range microsoftClients() {
		if !strings.EqualFold(c.id, id) {
			continue
		}
		if p := t.principal(c.id); p != nil && !p.AccountEnabled || w.faults.get("disabled-app") != nil {
			return client{}, &refusal{code: 7000112, args: []any{c.id, c.name}}
		}
		return c, nil
	}
	app := t.application(id)
	if app == nil {
		return client{}, notFound
	}
	c := clientOfApplication(app)
	if shared && !c.anyTenant {
		return client{}, &refusal{code: 50194, args: []any{app.AppID, app.DisplayName, "10/15/2018"}}
	}
	if p := t.principal(id); p != nil && !p.AccountEnabled || app.IsDisabled != nil && *app.IsDisabled || w.faults.get("disabled-app") != nil {
		return client{}, &refusal{code: 7000112, args: []any{app.AppID, app.DisplayName}}
	}
	return c, nil
}

// takes reports whether the client has registered a redirect address, and of
// which kind. Everything must be equal, letter by letter; only the port of a
// loopback address is free.
//
// Source: learn.microsoft.com/entra/identity-platform/reply-url.
func (c client) takes(uri string) (kind string, ok bool) {
	wanted, err := url.Parse(uri)
	if err != nil || wanted.Fragment != "" {
		return "", false
	}
	i := slices.IndexFunc(c.redirects, func(known redirect) bool {
		if known.uri == uri {
			return true
		}
		have, err := url.Parse(known.uri)
		if err != nil || have.Scheme != wanted.Scheme || have.EscapedPath() != wanted.EscapedPath() || have.RawQuery != wanted.RawQuery || wanted.User != nil {
			return false
		}
		name := wanted.Hostname()
		return have.Hostname() == name && (name == "localhost" || name == "127.0.0.1")
	})
	if i < 0 {
		return "", false
	}
	return c.redirects[i].kind, true
}

// clientOfApplication reads what a registration of the tenant says about signing people in.
func clientOfApplication(app *application) client {
	c := client{id: app.AppID, name: app.DisplayName, anyTenant: app.SignInAudience != "AzureADMyOrg", app: app}
	var more struct {
		Fallback *bool `json:"isFallbackPublicClient"`
		Public   struct {
			URIs []string `json:"redirectUris"`
		} `json:"publicClient"`
		Web struct {
			URIs []string `json:"redirectUris"`
		} `json:"web"`
	}
	if raw, err := json.Marshal(app.other); err == nil {
		_ = json.Unmarshal(raw, &more) // the directory checked the types when they were written
	}
	for _, uri := range more.Public.URIs {
		c.redirects = append(c.redirects, redirect{uri, redirectPublic})
	}
	for _, uri := range more.Web.URIs {
		c.redirects = append(c.redirects, redirect{uri, redirectWeb})
	}
	c.device = more.Fallback != nil && *more.Fallback
	return c
}
