package sim

import (
	"net/url"
	"slices"
	"time"
)

// consentRequest is a request for an administrator's consent, understood.
type consentRequest struct {
	v2       bool
	clientID string
	redirect string // "" in v1: the application's first one
	state    string
	scope    string // v2 only
}

// readConsent reads the parameters of the consent page.
//
// Source: learn.microsoft.com/entra/identity-platform/v2-admin-consent; for v1
// learn.microsoft.com/entra/identity/enterprise-apps/grant-admin-consent.
func readConsent(q url.Values, v2 bool) (consentRequest, *refusal) {
	c := consentRequest{v2: v2, clientID: q.Get("client_id"), redirect: q.Get("redirect_uri"), state: q.Get("state"), scope: q.Get("scope")}
	switch {
	case c.clientID == "":
		return c, &refusal{code: 900144, args: []any{"client_id"}}
	case v2 && c.redirect == "":
		return c, &refusal{code: 900971}
	case v2 && c.scope == "":
		return c, &refusal{code: 900144, args: []any{"scope"}}
	}
	if v2 {
		if _, fail := parseScopes(c.scope); fail != nil {
			return c, fail
		}
	}
	return c, nil
}

// adminConsent begins at the address that an administrator is sent.
func (w *World) adminConsent(r *request, segment string, v2 bool) *answer {
	tenant, _, fail := w.tenantOf(segment)
	if fail != nil {
		return w.refusePage(r, *fail)
	}
	q, fail := r.parameters()
	if fail != nil {
		return w.refusePage(r, *fail)
	}
	c, fail := readConsent(q, v2)
	if fail != nil {
		return w.refusePage(r, *fail)
	}
	app := w.dir.at(r).application(c.clientID)
	if app == nil || w.faults.get("app-not-found") != nil {
		return w.refusePage(r, refusal{code: 700016, args: []any{c.clientID, w.dir.organization.DisplayName}})
	}
	who := clientOfApplication(app)
	if _, ok := who.takes(c.redirect); c.redirect != "" && !ok {
		return w.refusePage(r, refusal{code: 50011, args: []any{c.redirect, app.AppID}})
	}
	if c.redirect == "" && len(who.redirects) > 0 {
		c.redirect = who.redirects[0].uri
	}
	return w.begin(r, &flow{kind: flowConsent, tenant: tenant, client: who, prompt: "select_account", consent: c})
}

// mayConsent reports whether somebody with these directory roles may consent to
// permissions of a resource for the whole organisation: only the two highest
// roles may for the application permissions of Microsoft Graph.
//
// Source: learn.microsoft.com/entra/identity/enterprise-apps/grant-admin-consent.
func mayConsent(roles []string, resourceAppID string, appRole bool) bool {
	for _, id := range roles {
		switch id {
		case RoleGlobalAdministrator, RolePrivilegedRoleAdministrator:
			return true
		case RoleApplicationAdministrator, RoleCloudApplicationAdministrator:
			if !appRole || resourceAppID != GraphAppID {
				return true
			}
		}
	}
	return false
}

// wish is one permission that an application's registration asks for.
type wish struct {
	resource *servicePrincipal
	role     *role      // an application permission
	scope    delegation // a delegated one
}

// wishes lists what the registration asks for; scope "RESOURCE/NAME …" narrows
// it to delegated permissions of one resource, as v2 allows.
func (w *World) wishes(r *request, f *flow) ([]wish, *refusal) {
	var list []wish
	t := w.dir.at(r)
	app := t.application(f.client.id)
	if app == nil {
		return nil, &refusal{code: 700016, args: []any{f.client.id, w.dir.organization.DisplayName}}
	}
	if s, _ := parseScopes(f.consent.scope); f.consent.v2 && s.resource != "" && !slices.Contains(s.names, everything) {
		return w.dynamicWishes(r, f, s)
	}
	for _, required := range app.RequiredResourceAccess {
		p := t.principal(required.ResourceAppID)
		if p == nil || p.AppID == ExchangeAppID && w.faults.get("no-exchange") != nil {
			return nil, &refusal{code: 650052, args: []any{required.ResourceAppID, w.dir.organization.DisplayName}}
		}
		for _, access := range required.ResourceAccess {
			one := wish{resource: p}
			var known bool
			if access.Type == "Scope" {
				one.scope, known = delegationOf(p.AppID, access.ID)
			} else if i := slices.IndexFunc(p.AppRoles, func(r role) bool { return r.ID == access.ID && r.IsEnabled }); i >= 0 {
				one.role, known = &p.AppRoles[i], true
			}
			if !known {
				return nil, &refusal{code: 65006, args: []any{access.ID, p.AppID}}
			}
			list = append(list, one)
		}
	}
	return list, nil
}

func (w *World) dynamicWishes(r *request, f *flow, s scopes) ([]wish, *refusal) {
	p, fail := w.delegateResource(r, s)
	if fail != nil {
		return nil, fail
	}
	var list []wish
	for _, name := range s.names {
		d, ok := delegationOf(p.AppID, name)
		if !ok {
			return nil, &refusal{code: 650053, args: []any{f.client.name, name, p.AppID}}
		}
		list = append(list, wish{resource: p, scope: d})
	}
	return list, nil
}

// allowed is the check before the page is shown and again when it is accepted.
func (w *World) consentAllowed(r *request, f *flow) (list []wish, fail *refusal, may bool) {
	list, fail = w.wishes(r, f)
	roles := w.rolesOf(w.person(f.account))
	may = mayConsent(roles, "", false)
	for _, one := range list {
		may = may && mayConsent(roles, one.resource.AppID, one.role != nil)
	}
	return list, fail, may
}

// consentPage shows what is asked for, in words.
func (w *World) consentPage(r *request, f *flow) *answer {
	list, fail, may := w.consentAllowed(r, f)
	switch {
	case fail != nil:
		return w.refusePage(r, *fail)
	case !may:
		return w.needAdmin(r, f)
	}
	p := f.page("consent", "Permissions requested: review for your organisation")
	p.Account = w.person(f.account).UserPrincipalName
	for _, one := range list {
		if one.role != nil {
			p.Permissions = append(p.Permissions, permission{wordsOf(one.role), one.resource.DisplayName + ", application permission " + one.role.Value})
		} else {
			p.Permissions = append(p.Permissions, permission{one.scope.words, one.resource.DisplayName + ", delegated permission " + one.scope.value})
		}
	}
	return w.showPage(p)
}

// wordsOf says in words what an application permission allows.
//
// Source: learn.microsoft.com/graph/permissions-reference, display texts.
func wordsOf(r *role) string {
	words, ok := map[string]string{
		"Application.Read.All": "Read all applications", "Application.ReadWrite.OwnedBy": "Manage apps that this app creates or owns", "Directory.Read.All": "Read directory data",
		"DeviceManagementServiceConfig.Read.All": "Read Microsoft Intune configuration", "Exchange.ManageAsApp": "Manage Exchange as an application", "Group.Read.All": "Read all groups",
		"full_access_as_app": "Use Exchange Web Services with full access to all mailboxes", "Mail.ReadWrite": "Read and write mail in all mailboxes",
		"MailboxSettings.Read": "Read all user mailbox settings", "MailboxSettings.ReadWrite": "Read and write all user mailbox settings", "Organization.Read.All": "Read organization information",
		"Sites.FullControl.All": "Have full control of all site collections", "Sites.Read.All": "Read items in all site collections", "User.Read.All": "Read all users' full profiles",
		"User.ReadWrite.All": "Read and write all users' full profiles",
	}[r.Value]
	if !ok {
		return r.DisplayName + ": " + r.Description
	}
	return words
}

// acceptConsent writes what was agreed to: the service principal if there is
// none, and an assignment for each application permission.
func (w *World) acceptConsent(r *request, f *flow) *answer {
	list, fail, may := w.consentAllowed(r, f)
	switch {
	case fail != nil:
		return w.refusePage(r, *fail)
	case !may:
		return w.needAdmin(r, f)
	}
	w.end(f)
	now := stamp{w.now().UTC().Truncate(time.Second)}
	w.dir.change(r, func(t *tenant) *answer {
		app := t.application(f.client.id)
		if app == nil { // deleted in the meantime: nothing to consent to
			return nil
		}
		p := t.principal(app.AppID)
		if p == nil {
			p = &servicePrincipal{ID: w.dice.guid(), AccountEnabled: true, AppDisplayName: app.DisplayName, AppID: app.AppID, AppOwner: w.dir.organization.ID, AppRoles: []role{}, DisplayName: app.DisplayName,
				ServicePrincipalNames: []string{app.AppID}, ServicePrincipalType: "Application", SignInAudience: app.SignInAudience, Tags: []string{"WindowsAzureActiveDirectoryIntegratedApp"}}
			t.principals = append(t.principals, p)
		}
		for _, one := range list {
			has := func(a *appRoleAssignment) bool {
				return a.PrincipalID == p.ID && a.ResourceID == one.resource.ID && a.AppRoleID == one.role.ID
			}
			if one.role != nil && !slices.ContainsFunc(t.assignments, has) {
				t.assignments = append(t.assignments, &appRoleAssignment{ID: assignmentID(w.dice), AppRoleID: one.role.ID, Created: now, PrincipalDisplayName: p.DisplayName, PrincipalID: p.ID,
					PrincipalType: "ServicePrincipal", ResourceDisplayName: one.resource.DisplayName, ResourceID: one.resource.ID})
			}
		}
		return nil
	})
	for _, one := range list {
		if one.role == nil {
			w.grants().consent(f.client.id, one.resource.AppID, everyone, []string{one.scope.value})
		}
	}
	v := url.Values{"admin_consent": {"True"}, "tenant": {w.dir.organization.ID}}
	if f.consent.v2 {
		v.Set("scope", f.consent.scope)
	}
	return w.consentReply(r, f, v)
}

// consentDenied tells the application that the administrator did not agree.
func (w *World) consentDenied(r *request, f *flow) *answer {
	fail := refusal{code: 65004, oauth: "access_denied"}
	if f.consent.v2 {
		fail.oauth = "consent_required" // as v2-admin-consent documents it
	}
	v := w.refusalValues(r, fail, "")
	v.Set("admin_consent", "True")
	if f.consent.redirect == "" {
		return w.refusePage(r, fail)
	}
	return w.consentReply(r, f, v)
}

// consentReply goes back to the application. One without any redirect address
// cannot be told: the consent is written, and the person sees AADSTS500113.
func (w *World) consentReply(r *request, f *flow, v url.Values) *answer {
	if f.consent.redirect == "" {
		return w.refusePage(r, refusal{code: 500113})
	}
	return w.reply(r, authorizeRequest{redirect: f.consent.redirect, state: f.consent.state, mode: "query"}, v)
}
