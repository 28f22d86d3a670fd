package cli

import (
	"context"
	"strings"

	"github.com/c2conn/c2conn/connections"
)

// compare notes which fields differ from those of the saved connection, and returns
// those of a registration that cannot be changed in place.
func (i *applyItem) compare(ctx context.Context) (fixed []string) {
	w, c := i.wanted, *i.saved
	differs := func(list *[]string, name string, different bool) {
		if different {
			*list = append(*list, name)
		}
	}
	_, asksName := i.entry.Values["app-name"]
	differs(&fixed, "kind", w.Kind != c.Kind)
	differs(&fixed, "location", (w.Location == connections.OnPremises) != (c.Location == connections.OnPremises))
	if w.Location == connections.OnPremises || len(fixed) > 0 {
		server := c
		server.Endpoints.SharePoint, server.Endpoints.Admin = w.Endpoints.SharePoint, w.Endpoints.Admin // told by their own names
		differs(&i.changes, "server", !i.session.SameServer(server))
		differs(&i.changes, "powershell-url", w.Endpoints.PowerShell != c.Endpoints.PowerShell)
		differs(&i.changes, "sharepoint-url", !strings.EqualFold(w.Endpoints.SharePoint, c.Endpoints.SharePoint))
		differs(&i.changes, "central-admin-url", otherCentral(w.Endpoints.Admin, c.Endpoints.Admin))
		differs(&i.changes, "ad-domain", !strings.EqualFold(w.Endpoints.Domain, c.Endpoints.Domain))
		differs(&i.changes, "admin-upn", !strings.EqualFold(w.Account, c.Account))
		differs(&i.changes, "credential", !i.session.SameCredential(ctx, c))
		return fixed
	}
	differs(&fixed, "cloud", !strings.EqualFold(w.Cloud, c.Cloud))
	differs(&i.changes, "mailbox", w.Account != "" && !strings.EqualFold(w.Account, c.Account))
	differs(&i.changes, "sharepoint-url", w.Endpoints.SharePoint != "" && !strings.EqualFold(w.Endpoints.SharePoint, c.Endpoints.SharePoint))
	differs(&i.changes, "admin-url", w.Endpoints.Admin != "" && c.Endpoints.Admin != "" && !strings.EqualFold(w.Endpoints.Admin, c.Endpoints.Admin))
	if i.entry.Auto {
		differs(&fixed, "registration", c.Registration.Mode != connections.ModeAutomatic)
		differs(&fixed, "tenant-id", !strings.EqualFold(w.Tenant.ID, c.Tenant.ID))
		differs(&fixed, "use-app", w.Registration.ClientID != "" && w.Registration.ClientID != c.Registration.ClientID)
		differs(&fixed, "app-name", asksName && w.Registration.AppName != c.Registration.AppName)
		differs(&fixed, "permissions", w.Registration.Permissions != c.Registration.Permissions)
		differs(&fixed, "secret", w.Credential.Type != c.Credential.Type)
		return fixed
	}
	differs(&fixed, "registration", c.Registration.Mode == connections.ModeAutomatic)
	differs(&i.changes, "tenant-id", !strings.EqualFold(w.Tenant.ID, c.Tenant.ID))
	differs(&i.changes, "client-id", !strings.EqualFold(w.Registration.ClientID, c.Registration.ClientID))
	differs(&i.changes, "permissions", w.Registration.Permissions != c.Registration.Permissions)
	differs(&i.changes, "admin-upn", w.LegacyAdmin.UPN != c.LegacyAdmin.UPN)
	differs(&i.changes, "credential", !i.session.SameCredential(ctx, c))
	return fixed
}

// otherCentral reports whether two addresses of Central Administration differ in more than
// the scheme: a verification saves the one that answers.
func otherCentral(a, b string) bool {
	after := func(address string) string {
		_, rest, _ := strings.Cut(address, "://")
		return strings.TrimSuffix(rest, "/")
	}
	return !strings.EqualFold(after(a), after(b))
}
