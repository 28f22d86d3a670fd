package sim

import (
	"net/http"
	"slices"
)

// policyID is the id of the tenant's app management policy as errors name it.
func (w *World) policyID() string { return guidOf(w.options.Seed, "app management policy") }

// restriction is one of the policy's rules.
type restriction struct {
	Type     string  `json:"restrictionType"`
	State    string  `json:"state"`
	Lifetime *string `json:"maxLifetime"`
	After    string  `json:"restrictForAppsCreatedAfterDateTime"`
}

type restrictions struct {
	Passwords []restriction `json:"passwordCredentials"`
	Keys      []restriction `json:"keyCredentials"`
}

// appPolicy is the tenantAppManagementPolicy. What the faults cert-lifetime and
// secrets-forbidden enforce can be read here.
//
// Source: learn.microsoft.com/graph/api/tenantappmanagementpolicy-get.
func (w *World) appPolicy(c graphCall) *answer {
	if !c.readsPolicies() || w.faults.get("policy-unreadable") != nil {
		return c.denied("/policies")
	}
	rules := restrictions{Passwords: []restriction{}, Keys: []restriction{}}
	const since = "2019-10-19T10:37:00Z"
	if w.faults.get("secrets-forbidden") != nil {
		rules.Passwords = append(rules.Passwords, restriction{Type: "passwordAddition", State: "enabled", After: since})
	}
	if f := w.faults.get("cert-lifetime"); f != nil {
		rules.Keys = append(rules.Keys, restriction{Type: "asymmetricKeyLifetime", State: "enabled", Lifetime: ptr(isoDays(f.wait)), After: since})
	}
	return jsonAnswer(http.StatusOK, graphContentType, map[string]any{
		"@odata.context": c.context("policies/defaultAppManagementPolicy", true), "id": w.policyID(), "displayName": "Default app management tenant policy",
		"description": "Default tenant policy that enforces app management restrictions on applications and service principals. To apply policy to targeted resources, " +
			"create a new policy under appManagementPolicies collection.",
		"isEnabled": len(rules.Passwords)+len(rules.Keys) > 0, "deletedDateTime": nil, "applicationRestrictions": rules, "servicePrincipalRestrictions": rules,
	})
}

// mine is the signed-in person.
func (w *World) mine(c graphCall) (*user, *answer) {
	if u := w.dir.user(c.who.ObjectID); u != nil {
		return u, nil
	}
	return nil, c.notFound(c.who.ObjectID)
}

func (w *World) me(c graphCall) *answer {
	u, bad := w.mine(c)
	if bad != nil {
		return bad
	}
	return c.one("user", u)
}

func (w *World) myMailboxSettings(c graphCall) *answer {
	c.keys = []string{c.who.ObjectID}
	return w.mailboxSettings(c)
}

// directoryRoles lists the roles that a person holds. Those whose token may not
// read the directory get the ids only.
func (w *World) directoryRoles(c graphCall, u *user, typed bool) *answer {
	full := slices.ContainsFunc([]string{"Directory.Read.All", "Directory.ReadWrite.All", "Directory.AccessAsUser.All", "RoleManagement.Read.Directory"}, c.who.holds)
	list := []any{}
	for _, id := range w.rolesOf(u) {
		r := directoryRole{ID: guidOf(w.options.Seed, "directory role "+id)}
		if full {
			r.DisplayName, r.TemplateID = ptr(roleName(id)), ptr(id)
			r.Description = ptr("Members hold the role " + roleName(id) + ".")
		}
		if !typed {
			r.Type = "#microsoft.graph.directoryRole"
		}
		list = append(list, r)
	}
	return c.many("directoryRole", list)
}

func (w *World) myRoles(c graphCall) *answer {
	u, bad := w.mine(c)
	if bad != nil {
		return bad
	}
	return w.directoryRoles(c, u, true)
}

func (w *World) myMemberships(c graphCall) *answer {
	u, bad := w.mine(c)
	if bad != nil {
		return bad
	}
	return w.directoryRoles(c, u, false)
}

func (w *World) membershipsOf(c graphCall) *answer {
	u := w.dir.user(c.keys[0])
	if u == nil {
		return c.notFound(c.keys[0])
	}
	return w.directoryRoles(c, u, false)
}
