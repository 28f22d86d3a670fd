package sim

import (
	"net/http"
	"slices"
	"strings"
)

// delegated reports whether a person stands behind the token.
func (a accessClaims) delegated() bool { return a.IDType == "user" || a.Scope != "" }

// holds reports whether the token has the permission: scope or app role.
func (a accessClaims) holds(permission string) bool {
	if a.delegated() {
		return slices.Contains(strings.Fields(a.Scope), permission)
	}
	return slices.Contains(a.Roles, permission)
}

// hasRole reports whether the signed-in person holds one of the directory roles.
func (a accessClaims) hasRole(templateIDs ...string) bool {
	return a.delegated() && slices.ContainsFunc(templateIDs, func(id string) bool { return slices.Contains(a.WIDs, id) })
}

// mayEnter is the first gate: the token's permissions, as documented for the
// method. An application may prove possession of its own key without any.
//
// Source: learn.microsoft.com/graph/api/application-addkey.
func (c graphCall) mayEnter(route string) bool {
	if !c.who.delegated() {
		if route == "POST /applications/{id}/addkey" || route == "POST /applications/{id}/removekey" {
			return true
		}
		return allowed(withIncluded(c.who.Roles), doors()[route])
	}
	return allowed(withIncluded(strings.Fields(c.who.Scope)), scopeDoors()[route])
}

// withIncluded adds what the highest permissions for sites include: the tables of
// the methods name the lower ones only.
//
// Source: learn.microsoft.com/graph/permissions-reference, Sites.FullControl.All.
func withIncluded(held []string) []string {
	if allowed(held, []string{"Sites.FullControl.All", "Sites.Manage.All"}) {
		return append(slices.Clone(held), "Sites.ReadWrite.All")
	}
	return held
}

// identified refuses an application that the replica does not know (yet).
func (c graphCall) identified(route string) *answer {
	if c.who.delegated() || strings.Contains(route, "mailboxsettings") || c.seen.principalByID(c.who.ObjectID) != nil {
		return nil
	}
	return c.graphError(http.StatusUnauthorized, "Authorization_IdentityNotFound", "The identity of the calling application could not be established.")
}

// Who may do what with registrations, for people: their directory roles decide.
//
// Source: learn.microsoft.com/entra/identity/role-based-access-control/permissions-reference
// and learn.microsoft.com/entra/identity/enterprise-apps/grant-admin-consent.

// managesAll reports authority over every application of the tenant.
func (c graphCall) managesAll() bool {
	if c.who.delegated() {
		return c.who.hasRole(RoleGlobalAdministrator, RoleApplicationAdministrator, RoleCloudApplicationAdministrator)
	}
	return c.who.holds("Application.ReadWrite.All") || c.who.holds("Directory.ReadWrite.All")
}

// manages reports authority over an object with these owners.
func (c graphCall) manages(owners []string) bool {
	if c.managesAll() {
		return true
	}
	owns := slices.Contains(owners, c.who.ObjectID)
	return owns && (c.who.delegated() || c.who.holds("Application.ReadWrite.OwnedBy"))
}

// registers reports whether the caller may create applications. Ordinary people
// may unless the tenant has forbidden it (fault registration-forbidden).
func (c graphCall) registers() bool {
	if c.managesAll() || c.who.hasRole(RoleApplicationDeveloper) || !c.who.delegated() {
		return true
	}
	return c.world.faults.get("registration-forbidden") == nil
}

// grants reports whether the caller may consent to an application permission of
// the resource: only the two highest roles may for Microsoft Graph's.
func (c graphCall) grants(resource *servicePrincipal) bool {
	if !c.who.holds("AppRoleAssignment.ReadWrite.All") || !slices.ContainsFunc([]string{"Application.Read.All", "Application.ReadWrite.All", "Directory.Read.All"}, c.who.holds) {
		return false
	}
	if !c.who.delegated() || c.who.hasRole(RoleGlobalAdministrator, RolePrivilegedRoleAdministrator) {
		return true
	}
	graph := resource.AppID == GraphAppID || resource.AppID == "00000002-0000-0000-c000-000000000000"
	return !graph && c.who.hasRole(RoleApplicationAdministrator, RoleCloudApplicationAdministrator)
}

// readsPolicies reports whether the person may read the tenant's policies.
func (c graphCall) readsPolicies() bool {
	return !c.who.delegated() || c.who.hasRole(RoleGlobalAdministrator, RoleApplicationAdministrator, RoleCloudApplicationAdministrator, RoleGlobalReader)
}

// directoryQuota is how many objects someone without an administrator's role may
// have created; soft-deleted ones count.
//
// Source: learn.microsoft.com/entra/identity/users/directory-service-limits-restrictions.
const directoryQuota = 250

func (c graphCall) overQuota(t *tenant) *answer {
	created := 0
	if !c.managesAll() {
		for _, a := range t.applications {
			if slices.Contains(a.owners, c.who.ObjectID) {
				created++
			}
		}
		for _, d := range t.deleted {
			if d.application != nil && slices.Contains(d.application.owners, c.who.ObjectID) {
				created++
			}
		}
	}
	if created < directoryQuota && c.world.faults.get("quota") == nil {
		return nil
	}
	return c.graphError(http.StatusForbidden, "Directory_QuotaExceeded",
		"The directory object quota limit for the Principal has been exceeded. Please ask your administrator to increase the quota limit or delete objects to reduce the used quota.")
}
