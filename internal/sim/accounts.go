package sim

import (
	"slices"
	"strings"
)

// The other tenant of the fault multi-tenant, and the account that is at home
// there and administers this tenant too.
const (
	OtherTenantName   = "Fabrikam (simulated)"
	OtherTenantDomain = "fabrikam.com"
	ForeignAdmin      = "consultant@" + OtherTenantDomain
	guestUPN          = "consultant_fabrikam.com#EXT#@" + InitialDomain
)

// OtherTenantID is the id of the tenant of ForeignAdmin.
func (w *World) OtherTenantID() string { return guidOf(w.options.Seed, "other tenant") }

// foreigner reports whether a user name is the account of another tenant, and
// returns it as its own tenant knows it.
func (w *World) foreigner(login string) (*user, bool) {
	home := w.foreignAdmin()
	if home == nil || !strings.EqualFold(login, ForeignAdmin) {
		return nil, false
	}
	return home, true
}

func (w *World) foreignAdmin() *user {
	if w.faults.get("multi-tenant") == nil {
		return nil
	}
	return &user{ID: guidOf(w.options.Seed, "user "+ForeignAdmin), AccountEnabled: true, DisplayName: "Casey Consultant", UserPrincipalName: ForeignAdmin, UserType: "Member", roles: []string{RoleGlobalAdministrator}}
}

// person finds an account by object id: of this tenant, or the foreign one at home.
func (w *World) person(id string) *user {
	if home := w.foreignAdmin(); home != nil && home.ID == id {
		return home
	}
	return w.dir.user(id)
}

// foreign goes on with the account of another tenant: at home there, unless
// this tenant was asked for and knows it as a guest.
func (w *World) foreign(r *request, f *flow, home *user) *answer {
	if f.tenant == "" || f.tenant == w.OtherTenantID() {
		if f.kind == flowConsent {
			return w.refusePage(r, refusal{code: 700016, args: []any{f.client.id, OtherTenantName}})
		}
		f.account, f.signedInTo = home.ID, w.OtherTenantID()
		return w.proceed(r, f)
	}
	guest := w.dir.user(guestUPN)
	if guest == nil {
		return w.refusePage(r, refusal{code: 50020, args: []any{ForeignAdmin, "https://sts.windows.net/" + w.OtherTenantID() + "/", w.dir.organization.DisplayName, f.client.id, f.client.name}})
	}
	f.account, f.signedInTo = guest.ID, w.dir.organization.ID
	return w.proceed(r, f)
}

// homeOf is the account and the tenant that a library knows a person by.
func (w *World) homeOf(u *user, tenantID string) (userID, homeTenant string) {
	if home := w.foreignAdmin(); home != nil && u.UserPrincipalName == guestUPN {
		return home.ID, w.OtherTenantID()
	}
	return u.ID, tenantID
}

// rolesOf lists the template ids of the directory roles that a person holds
// now; the fault user-role replaces those of the administrator.
func (w *World) rolesOf(u *user) []string {
	if u == nil {
		return nil
	}
	f := w.faults.get("user-role")
	if f == nil || u.UserPrincipalName != GlobalAdmin {
		return slices.Clone(u.roles)
	}
	var ids []string
	for _, word := range f.words {
		if id := roleNamed(word); id != "" { // none is no role
			ids = append(ids, id)
		}
	}
	return ids
}

// roleNamed finds a role by its template id or its name, with or without spaces.
func roleNamed(word string) string {
	plain := func(s string) string { return strings.ToLower(strings.ReplaceAll(s, " ", "")) }
	if isGUID(word) {
		return strings.ToLower(word)
	}
	for _, id := range []string{RoleGlobalAdministrator, RolePrivilegedRoleAdministrator, RoleApplicationAdministrator, RoleCloudApplicationAdministrator, RoleApplicationDeveloper,
		RoleExchangeAdministrator, RoleGlobalReader} {
		if plain(roleName(id)) == plain(word) {
			return id
		}
	}
	return ""
}

// signInFaults are the faults of signing people in; faultKinds appends them.
func signInFaults() []faultKind {
	login := []service{serviceLogin}
	kind := func(name, args, help string) faultKind { return faultKind{Fault: Fault{name, args, help}, on: login} }
	userRole := kind("user-role", "ROLE[,ROLE]…", "the administrator holds these directory roles instead of Global Administrator: by name, template id, or none")
	userRole.known = func(word string) bool { return word == "none" || roleNamed(word) != "" }
	return []faultKind{
		kind("mfa-required", "[CODE]", "people have to approve their sign-in, and older sign-ins are refused (AADSTS50076); with CODE every token for a person is"),
		kind("device-code-blocked", "[page]", "AADSTS53003 after the sign-in with a device code; with page only in the browser, the client waits on"),
		kind("browser-blocked", "[page]", "AADSTS53000 after the sign-in in the browser; with page only in the browser, the client waits on"),
		kind("consent-declined", "", "Accept on a page of permissions counts as Cancel (AADSTS65004)"),
		userRole,
		kind("multi-tenant", "", "there is a second tenant, fabrikam.com, whose "+ForeignAdmin+" is a guest here"),
	}
}

// says reports whether a word was given with the fault.
func (f *activeFault) says(word string) bool { return slices.Contains(f.words, word) }
