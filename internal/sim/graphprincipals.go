package sim

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
)

// principalProperties are the writable properties of a service principal.
//
// Source: learn.microsoft.com/graph/api/resources/serviceprincipal, v1.0.
func principalProperties() map[string]string {
	known := map[string]string{}
	for kind, names := range map[string]string{
		textValue:   "description homepage loginUrl logoutUrl notes preferredSingleSignOnMode preferredTokenSigningKeyThumbprint tokenEncryptionKeyId",
		flagValue:   "accountEnabled appRoleAssignmentRequired",
		listValue:   "alternativeNames notificationEmailAddresses replyUrls tags",
		objectValue: "customSecurityAttributes samlSingleSignOnSettings",
		arrayValue:  "addIns",
		readOnly: "id appId appDescription appDisplayName appOwnerOrganizationId appRoleAssignedTo appRoleAssignments appRoles applicationTemplateId createdByAppId deletedDateTime " +
			"disabledByMicrosoftStatus displayName info isDisabled keyCredentials oauth2PermissionScopes passwordCredentials resourceSpecificApplicationPermissions " +
			"servicePrincipalNames servicePrincipalType signInAudience verifiedPublisher",
	} {
		for _, name := range strings.Fields(names) {
			known[name] = kind
		}
	}
	return known
}

func (t *tenant) principalByID(id string) *servicePrincipal {
	for _, p := range t.principals {
		if strings.EqualFold(p.ID, id) {
			return p
		}
	}
	return nil
}

func (c graphCall) applyPrincipal(p *servicePrincipal, body fields) *answer {
	if bad := c.checkBody("ServicePrincipal", principalProperties(), body); bad != nil {
		return bad
	}
	other := fields{}
	for name, raw := range p.other {
		other[name] = raw
	}
	for name, raw := range body {
		switch name {
		case "accountEnabled":
			if on := body.flag(name); on != nil {
				p.AccountEnabled = *on
			}
		case "appRoleAssignmentRequired":
			on := body.flag(name)
			p.AssignmentRequired = on != nil && *on
		case "tags":
			p.Tags = body.list(name)
		default:
			other[name] = raw
		}
	}
	p.other = other
	return nil
}

// createPrincipal makes the service principal of an application: at a replica
// that has not heard of the application yet the answers mislead.
//
// Source: learn.microsoft.com/graph/api/serviceprincipal-post-serviceprincipals.
func (w *World) createPrincipal(c graphCall) *answer {
	body, bad := c.object()
	if bad != nil {
		return bad
	}
	appID, ok := body.guidAt("appId")
	if !ok {
		if _, given := body["appId"]; given {
			return c.invalid("ServicePrincipal", "appId")
		}
		return c.refuse("A value is required for property 'appId' of resource 'ServicePrincipal'.")
	}
	delete(body, "appId")
	p := &servicePrincipal{ID: w.dice.guid(), AccountEnabled: true, AppRoles: []role{}, ServicePrincipalType: "Application", Tags: []string{}, owners: c.firstOwners()}
	if bad := c.applyPrincipal(p, body); bad != nil {
		return bad
	}
	if c.seen.principal(appID) != nil {
		return c.principalExists(appID)
	}
	i := c.seen.applicationAt("appId='" + appID + "'")
	if i < 0 {
		return c.unseenApplication(appID)
	}
	if !c.manages(c.seen.applications[i].owners) {
		return c.denied("/serviceprincipals")
	}
	if bad := c.work("app " + appID); bad != nil {
		return bad
	}
	bad = w.dir.change(c.request, func(t *tenant) *answer {
		if t.principal(appID) != nil {
			return c.principalExists(appID)
		}
		i := t.applicationAt("appId='" + appID + "'")
		if i < 0 {
			return c.noBackingApplication(appID)
		}
		a := t.applications[i]
		p.AppID, p.AppDisplayName, p.DisplayName, p.SignInAudience = a.AppID, a.DisplayName, a.DisplayName, a.SignInAudience
		p.AppOwner, p.ServicePrincipalNames = w.dir.organization.ID, append([]string{a.AppID}, a.IdentifierURIs...)
		t.principals = append(t.principals, p)
		return nil
	})
	if bad != nil {
		return bad
	}
	return c.written(http.StatusCreated, "servicePrincipal", p)
}

func (c graphCall) principalExists(appID string) *answer {
	text := "The service principal cannot be created, updated, or restored because the service principal name " + appID + " is already in use."
	return c.errorWith(http.StatusConflict, "Request_MultipleObjectsWithSameKeyValue", text,
		graphErrorItem{Code: "ConflictingObjects", Message: text, Target: "servicePrincipalNames"})
}

// noBackingApplication is said of an application that does not exist.
func (c graphCall) noBackingApplication(appID string) *answer {
	text := "The appId '" + appID + "' of the service principal does not reference a valid application object."
	return c.errorWith(http.StatusBadRequest, "NoBackingApplicationObject", text, graphErrorItem{Code: "NoBackingApplicationObject", Message: text, Target: "appId"})
}

// unseenApplication is said when the replica does not know the application. If
// only the replica does not, callers with rights for their own applications get
// a text about permissions instead, and others sometimes do.
func (c graphCall) unseenApplication(appID string) *answer {
	exists := c.world.dir.log.newest().applicationAt("appId='"+appID+"'") >= 0
	if exists && (!c.managesAll() || c.world.dice.below(2) == 0) {
		return c.graphError(http.StatusForbidden, "Authorization_RequestDenied",
			"When using this permission, the backing application of the service principal being created must in the local tenant")
	}
	return c.noBackingApplication(appID)
}

// ownPrincipal is the service principal of the path, for those who may change it.
func (c graphCall) ownPrincipal() (*servicePrincipal, *answer) {
	p := c.principalByKey(c.keys[0])
	if p == nil {
		return nil, c.notFound(c.keys[0])
	}
	if !c.manages(p.owners) {
		return nil, c.denied("/serviceprincipals")
	}
	return p, c.work("app " + p.AppID)
}

func (w *World) updatePrincipal(c graphCall) *answer {
	p, bad := c.ownPrincipal()
	if bad != nil {
		return bad
	}
	body, bad := c.object()
	if bad != nil {
		return bad
	}
	var next servicePrincipal
	bad = w.dir.change(c.request, func(t *tenant) *answer {
		i := slices.IndexFunc(t.principals, func(other *servicePrincipal) bool { return other.ID == p.ID })
		if i < 0 {
			return c.notFound(p.ID)
		}
		next = *t.principals[i]
		t.principals[i] = &next
		return c.applyPrincipal(&next, body)
	})
	if bad != nil {
		return bad
	}
	return c.updated("servicePrincipal", &next)
}

// bury moves a service principal and its assignments to the deleted items.
func (t *tenant) bury(p *servicePrincipal, now stamp) {
	gone := *p
	gone.DeletedDateTime = &now
	item := &deletedItem{at: now.Time, principal: &gone}
	t.principals = slices.DeleteFunc(t.principals, func(other *servicePrincipal) bool { return other == p })
	t.assignments = slices.DeleteFunc(t.assignments, func(a *appRoleAssignment) bool {
		if a.PrincipalID == p.ID {
			item.assignments = append(item.assignments, a)
		}
		return a.PrincipalID == p.ID || a.ResourceID == p.ID
	})
	t.deleted = append(t.deleted, item)
}

func (w *World) deletePrincipal(c graphCall) *answer {
	p, bad := c.ownPrincipal()
	if bad != nil {
		return bad
	}
	bad = w.dir.change(c.request, func(t *tenant) *answer {
		current := t.principalByID(p.ID)
		if current == nil {
			return c.notFound(p.ID)
		}
		t.bury(current, c.stampNow())
		return nil
	})
	if bad != nil {
		return bad
	}
	return done()
}

func (w *World) principalOwners(c graphCall) *answer {
	p := c.principalByKey(c.keys[0])
	if p == nil {
		return c.notFound(c.keys[0])
	}
	return w.owners(c, p.owners)
}

// assignRole is POST …/appRoleAssignments (the path names the client) and
// POST …/appRoleAssignedTo (it names the resource): consent to one application
// permission.
//
// Source: learn.microsoft.com/graph/api/serviceprincipal-post-approleassignedto.
func (w *World) assignRole(c graphCall, pathIs func(client, resource string) string) *answer {
	anchor := c.principalByKey(c.keys[0])
	if anchor == nil {
		return c.notFound(c.keys[0])
	}
	body, bad := c.object()
	if bad != nil {
		return bad
	}
	known := map[string]string{"principalId": textValue, "resourceId": textValue, "appRoleId": textValue, "principalType": readOnly, "principalDisplayName": readOnly,
		"resourceDisplayName": readOnly, "createdDateTime": readOnly, "deletedDateTime": readOnly, "id": readOnly}
	if bad := c.checkBody("AppRoleAssignment", known, body); bad != nil {
		return bad
	}
	var ids [3]string
	for i, name := range []string{"principalId", "resourceId", "appRoleId"} {
		id, ok := body.guidAt(name)
		if !ok {
			return c.invalid("AppRoleAssignment", name)
		}
		ids[i] = id
	}
	if !strings.EqualFold(pathIs(ids[0], ids[1]), anchor.ID) {
		return c.refuse("Not a valid reference update.")
	}
	client, resource := c.seen.principalByID(ids[0]), c.seen.principalByID(ids[1])
	if client == nil || resource == nil {
		return c.refuse("Not a valid reference update.")
	}
	if !c.grants(resource) {
		return c.denied("/serviceprincipals")
	}
	if !slices.ContainsFunc(resource.AppRoles, func(r role) bool {
		return r.ID == ids[2] && r.IsEnabled && slices.Contains(r.AllowedMemberTypes, "Application")
	}) {
		return c.refuse("Permission being assigned was not found on application '" + resource.AppDisplayName + "'.")
	}
	if bad := c.work("app " + client.AppID); bad != nil {
		return bad
	}
	made := &appRoleAssignment{ID: assignmentID(w.dice), AppRoleID: ids[2], Created: c.stampNow(), PrincipalDisplayName: client.DisplayName, PrincipalID: client.ID,
		PrincipalType: "ServicePrincipal", ResourceDisplayName: resource.DisplayName, ResourceID: resource.ID}
	bad = w.dir.change(c.request, func(t *tenant) *answer {
		if t.principalByID(client.ID) == nil || t.principalByID(resource.ID) == nil {
			return c.refuse("Not a valid reference update.")
		}
		for _, a := range t.assignments {
			if a.PrincipalID == client.ID && a.ResourceID == resource.ID && a.AppRoleID == ids[2] {
				const text = "Permission being assigned already exists on the object"
				return c.refuse(text, graphErrorItem{Code: "InvalidUpdate", Message: text})
			}
		}
		t.assignments = append(t.assignments, made)
		return nil
	})
	if bad != nil {
		return bad
	}
	return c.written(http.StatusCreated, "appRoleAssignment", made)
}

func (w *World) assignFromClient(c graphCall) *answer {
	return w.assignRole(c, func(client, _ string) string { return client })
}

func (w *World) assignFromResource(c graphCall) *answer {
	return w.assignRole(c, func(_, resource string) string { return resource })
}

// assignmentID makes an id as assignments have them: 43 characters of base64url.
func assignmentID(d *dice) string {
	sum := sha256.Sum256([]byte(d.guid()))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// theAssignment is the assignment of the path, if it hangs on the path's object.
func (c graphCall) theAssignment(fromClient bool) (*appRoleAssignment, *answer) {
	p := c.principalByKey(c.keys[0])
	if p == nil {
		return nil, c.notFound(c.keys[0])
	}
	for _, a := range c.seen.assignments {
		if a.ID == c.keys[1] && (fromClient && a.PrincipalID == p.ID || !fromClient && a.ResourceID == p.ID) {
			return a, nil
		}
	}
	return nil, c.notFound(c.keys[1])
}

func (w *World) getAssignment(c graphCall) *answer { return c.oneAssignment(true) }

func (w *World) getAssignedTo(c graphCall) *answer { return c.oneAssignment(false) }

func (c graphCall) oneAssignment(fromClient bool) *answer {
	a, bad := c.theAssignment(fromClient)
	if bad != nil {
		return bad
	}
	return c.one("appRoleAssignment", a)
}

func (w *World) unassign(c graphCall) *answer { return w.revoke(c, true) }

func (w *World) unassignTo(c graphCall) *answer { return w.revoke(c, false) }

func (w *World) revoke(c graphCall, fromClient bool) *answer {
	a, bad := c.theAssignment(fromClient)
	if bad != nil {
		return bad
	}
	resource, client := c.seen.principalByID(a.ResourceID), c.seen.principalByID(a.PrincipalID)
	if resource == nil || client == nil {
		return c.notFound(a.ID)
	}
	// Whoever may consent may revoke; administrators of applications may revoke
	// Microsoft Graph's too.
	if !c.grants(resource) && !(c.who.holds("AppRoleAssignment.ReadWrite.All") && c.managesAll()) {
		return c.denied("/serviceprincipals")
	}
	if bad := c.work("app " + client.AppID); bad != nil {
		return bad
	}
	bad = w.dir.change(c.request, func(t *tenant) *answer {
		i := slices.IndexFunc(t.assignments, func(other *appRoleAssignment) bool { return other.ID == a.ID })
		if i < 0 {
			return c.notFound(a.ID)
		}
		t.assignments = slices.Delete(t.assignments, i, i+1)
		return nil
	})
	if bad != nil {
		return bad
	}
	return done()
}
