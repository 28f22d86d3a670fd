package sim

import (
	"net/http"
	"slices"
	"strings"
)

// applicationProperties are the writable properties of an application.
//
// Source: learn.microsoft.com/graph/api/resources/application, v1.0.
func applicationProperties() map[string]string {
	known := map[string]string{}
	for kind, names := range map[string]string{
		textValue: "defaultRedirectUri description displayName groupMembershipClaims logo notes samlMetadataUrl serviceManagementReference signInAudience " +
			"tokenEncryptionKeyId uniqueName nativeAuthenticationApisEnabled",
		flagValue:   "isDeviceOnlyAuthSupported isDisabled isFallbackPublicClient oauth2RequirePostResponse",
		listValue:   "identifierUris tags",
		arrayValue:  "addIns appRoles keyCredentials passwordCredentials requiredResourceAccess",
		objectValue: "api authenticationBehaviors info optionalClaims parentalControlSettings publicClient requestSignatureVerification servicePrincipalLockConfiguration spa web",
		readOnly: "id appId createdDateTime deletedDateTime createdByAppId publisherDomain disabledByMicrosoftStatus certification verifiedPublisher " +
			"applicationTemplateId managerApplications",
	} {
		for _, name := range strings.Fields(names) {
			known[name] = kind
		}
	}
	return known
}

func (t *tenant) applicationAt(key string) int {
	appID, byAppID := namedKey(key, "appId")
	unique, byName := namedKey(key, "uniqueName")
	return slices.IndexFunc(t.applications, func(a *application) bool {
		switch {
		case byAppID:
			return strings.EqualFold(a.AppID, appID)
		case byName:
			return a.UniqueName != nil && *a.UniqueName == unique
		default:
			return strings.EqualFold(a.ID, key)
		}
	})
}

// theApplication is the application of the path, as this replica knows it.
func (c graphCall) theApplication() (*application, *answer) {
	i := c.seen.applicationAt(c.keys[0])
	if i < 0 {
		return nil, c.notFound(c.keys[0])
	}
	return c.seen.applications[i], nil
}

// ownApplication is the same for those who may change it.
func (c graphCall) ownApplication() (*application, *answer) {
	a, bad := c.theApplication()
	if bad != nil {
		return nil, bad
	}
	if !c.manages(a.owners) {
		return nil, c.denied("/applications")
	}
	return a, c.work("app " + a.AppID)
}

// replaceApplication writes at the primary: change gets a copy of the object.
func (w *World) replaceApplication(c graphCall, id string, change func(t *tenant, a *application) *answer) *answer {
	return w.dir.change(c.request, func(t *tenant) *answer {
		i := t.applicationAt(id)
		if i < 0 {
			return c.notFound(id)
		}
		next := *t.applications[i]
		if bad := change(t, &next); bad != nil {
			return bad
		}
		t.applications[i] = &next
		t.rename(&next)
		return nil
	})
}

// rename carries an application's name over to its service principal.
func (t *tenant) rename(a *application) {
	for i, p := range t.principals {
		if p.AppID == a.AppID && p.DisplayName != a.DisplayName {
			next := *p
			next.DisplayName, next.AppDisplayName = a.DisplayName, a.DisplayName
			t.principals[i] = &next
		}
	}
}

func (w *World) createApplication(c graphCall) *answer {
	body, bad := c.object()
	if bad != nil {
		return bad
	}
	var made *application
	bad = w.dir.change(c.request, func(t *tenant) *answer {
		made, bad = w.register(c, t, body, nil)
		return bad
	})
	if bad != nil {
		return bad
	}
	w.listForEWS(made.AppID)
	return c.written(http.StatusCreated, "application", withoutKeys(made))
}

// register makes an application in t.
func (w *World) register(c graphCall, t *tenant, body fields, uniqueName *string) (*application, *answer) {
	if !c.registers() {
		return nil, c.denied("/applications")
	}
	if _, ok := body["displayName"]; !ok {
		return nil, c.refuse("A value is required for property 'displayName' of resource 'Application'.")
	}
	by := c.who.AppID
	a := &application{ID: w.dice.guid(), AppID: w.dice.guid(), CreatedBy: &by, Created: c.stampNow(), IdentifierURIs: []string{}, KeyCredentials: []keyCredential{},
		PasswordCredentials: []passwordCredential{}, PublisherDomain: w.TenantDomain, RequiredResourceAccess: []requiredResourceAccess{},
		SignInAudience: "AzureADandPersonalMicrosoftAccount", Tags: []string{}, UniqueName: uniqueName, owners: c.firstOwners()}
	if bad := w.applyApplication(c, a, body); bad != nil {
		return nil, bad
	}
	if a.UniqueName != nil && t.nameTaken(*a.UniqueName) {
		return nil, c.nameConflict()
	}
	if bad := c.overQuota(t); bad != nil {
		return nil, bad
	}
	t.applications = append(t.applications, a)
	return a, nil
}

// firstOwners: people own what they create, applications with the permission
// for their own objects too.
func (c graphCall) firstOwners() []string {
	if c.who.delegated() || !c.who.holds("Application.ReadWrite.All") {
		return []string{c.who.ObjectID}
	}
	return nil
}

func (c graphCall) nameConflict() *answer {
	const text = "Another object with the same value for property uniqueName already exists."
	return c.refuse(text, graphErrorItem{Code: "ObjectConflict", Message: text, Target: "uniqueName"})
}

// nameTaken reports whether an application has the unique name, soft-deleted
// ones included.
func (t *tenant) nameTaken(unique string) bool {
	has := func(a *application) bool {
		return a != nil && a.UniqueName != nil && strings.EqualFold(*a.UniqueName, unique)
	}
	return slices.ContainsFunc(t.applications, has) || slices.ContainsFunc(t.deleted, func(d *deletedItem) bool { return has(d.application) })
}

// applyApplication checks a body and puts its values into a.
func (w *World) applyApplication(c graphCall, a *application, body fields) *answer {
	if bad := c.checkBody("Application", applicationProperties(), body); bad != nil {
		return bad
	}
	other := fields{}
	for name, raw := range a.other {
		other[name] = raw
	}
	for _, name := range sortedKeys(body) {
		if bad := w.applyProperty(c, a, body, name, other); bad != nil {
			return bad
		}
	}
	a.other = other
	return nil
}

func (w *World) applyProperty(c graphCall, a *application, body fields, name string, other fields) *answer {
	ok := true
	switch name {
	case "displayName":
		var s *string
		if s, ok = body.text(name, 256); ok && s != nil && *s != "" {
			a.DisplayName = *s
		} else {
			ok = false
		}
	case "description":
		a.Description, ok = body.text(name, 1024)
	case "notes":
		a.Notes, ok = body.text(name, 1024)
	case "signInAudience":
		var s *string
		audiences := []string{"AzureADMyOrg", "AzureADMultipleOrgs", "AzureADandPersonalMicrosoftAccount", "PersonalMicrosoftAccount"}
		if s, ok = body.text(name, 64); ok && s != nil && slices.Contains(audiences, *s) {
			a.SignInAudience = *s
		} else {
			ok = false
		}
	case "tags":
		a.Tags = body.list(name)
		ok = !slices.ContainsFunc(a.Tags, func(tag string) bool { return len(tag) > 256 })
	case "identifierUris":
		a.IdentifierURIs = body.list(name)
	case "isDisabled":
		a.IsDisabled = body.flag(name)
	case "uniqueName":
		var s *string
		if s, ok = body.text(name, 256); ok && a.UniqueName != nil && (s == nil || *s != *a.UniqueName) {
			return c.refuse("Property 'uniqueName' is immutable and cannot be changed once it is set.")
		}
		if ok = ok && (s == nil || *s != ""); ok {
			a.UniqueName = s
		}
	case "requiredResourceAccess":
		a.RequiredResourceAccess, ok = readRequired(body)
	case "keyCredentials":
		return w.applyKeys(c, a, body)
	case "passwordCredentials":
		return w.applyPasswords(c, a, body)
	default:
		other[name] = body[name]
	}
	if !ok {
		return c.invalid("Application", name)
	}
	return nil
}

// readRequired reads requiredResourceAccess: at most 50 resources with 400 permissions.
//
// Source: learn.microsoft.com/graph/api/resources/requiredresourceaccess.
func readRequired(body fields) ([]requiredResourceAccess, bool) {
	list := []requiredResourceAccess{}
	entries, ok := body.parts("requiredResourceAccess", "resourceAppId", "resourceAccess")
	if !ok || len(entries) > 50 {
		return nil, false
	}
	seen, count := map[string]bool{}, 0
	for _, entry := range entries {
		one := requiredResourceAccess{ResourceAccess: []resourceAccess{}}
		if one.ResourceAppID, ok = entry.guidAt("resourceAppId"); !ok || seen[one.ResourceAppID] {
			return nil, false
		}
		seen[one.ResourceAppID] = true
		accesses, ok := entry.parts("resourceAccess", "id", "type")
		if !ok {
			return nil, false
		}
		for _, access := range accesses {
			id, isGUID := access.guidAt("id")
			kind, isText := access.text("type", 5)
			if !isGUID || !isText || kind == nil || *kind != "Role" && *kind != "Scope" {
				return nil, false
			}
			one.ResourceAccess = append(one.ResourceAccess, resourceAccess{ID: id, Type: *kind})
			count++
		}
		list = append(list, one)
	}
	return list, count <= 400
}

func (w *World) updateApplication(c graphCall) *answer {
	if unique, ok := namedKey(c.keys[0], "uniqueName"); ok {
		return w.upsertApplication(c, unique)
	}
	a, bad := c.ownApplication()
	if bad != nil {
		return bad
	}
	body, bad := c.object()
	if bad != nil {
		return bad
	}
	var next *application
	bad = w.replaceApplication(c, a.ID, func(t *tenant, copied *application) *answer {
		next = copied
		unnamed := copied.UniqueName == nil
		if bad := w.applyApplication(c, copied, body); bad != nil {
			return bad
		}
		if unnamed && copied.UniqueName != nil && t.nameTaken(*copied.UniqueName) {
			return c.nameConflict()
		}
		return nil
	})
	if bad != nil {
		return bad
	}
	return c.updated("application", withoutKeys(next))
}

// updated answers a PATCH: 204, or the object for who prefers it.
func (c graphCall) updated(kind string, object any) *answer {
	if !slices.Contains(c.preferences(), "return=representation") {
		return done()
	}
	a := c.written(http.StatusOK, kind, object)
	a.header.Set("Preference-Applied", "return=representation")
	return a
}

// deleteApplication moves the application and its service principal to the
// deleted items.
func (w *World) deleteApplication(c graphCall) *answer {
	a, bad := c.ownApplication()
	if bad != nil {
		return bad
	}
	bad = w.dir.change(c.request, func(t *tenant) *answer {
		i := t.applicationAt(a.ID)
		if i < 0 {
			return c.notFound(a.ID)
		}
		now := c.stampNow()
		gone := *t.applications[i]
		gone.DeletedDateTime = &now
		t.applications = slices.Delete(t.applications, i, i+1)
		t.deleted = append(t.deleted, &deletedItem{at: now.Time, application: &gone})
		if p := t.principal(gone.AppID); p != nil {
			t.bury(p, now)
		}
		return nil
	})
	if bad != nil {
		return bad
	}
	return done()
}

func (w *World) applicationOwners(c graphCall) *answer {
	a, bad := c.theApplication()
	if bad != nil {
		return bad
	}
	return w.owners(c, a.owners)
}

// owners lists the people and applications behind object ids.
func (w *World) owners(c graphCall, ids []string) *answer {
	value := []fields{}
	for _, id := range ids {
		var f fields
		kind := ""
		if u := w.dir.user(id); u != nil {
			shown, bad := c.choose(shapes()["user"], fieldsOf(u))
			if bad != nil {
				return bad
			}
			f, kind = shown, "user"
		} else if p := c.seen.principalByID(id); p != nil {
			f, kind = fieldsOf(p), "servicePrincipal"
		} else {
			continue
		}
		value = append(value, typed(kind, f))
	}
	return jsonAnswer(http.StatusOK, graphContentType, map[string]any{"@odata.context": c.context("directoryObjects", false), "value": value})
}
