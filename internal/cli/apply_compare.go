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
		differs(&i.changes, "server", !i.session.SameServer(c))
		differs(&i.changes, "powershell-url", w.Endpoints.PowerShell != c.Endpoints.PowerShell)
		differs(&i.changes, "sharepoint-url", !strings.EqualFold(w.Endpoints.SharePoint, c.Endpoints.SharePoint))
		differs(&i.changes, "central-admin-url", i.otherCentral())
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

// otherCentral reports whether Central Administration is to be at another address. Where a
// verification found another scheme, that one stays, but for an https that the file names.
func (i *applyItem) otherCentral() bool {
	wanted, rest, _ := strings.Cut(strings.TrimSuffix(i.wanted.Endpoints.Admin, "/"), "://")
	is, has, _ := strings.Cut(strings.TrimSuffix(i.saved.Endpoints.Admin, "/"), "://")
	_, named := i.entry.Values["central-admin-url"]
	return !strings.EqualFold(rest, has) || named && wanted == "https" && is == "http"
}
