package sim

import (
	"net/http"
	"slices"
	"strings"
)

func (w *World) listOrganization(c graphCall) *answer {
	return c.many("organization", []any{w.dir.organization})
}

func (w *World) getOrganization(c graphCall) *answer {
	if !strings.EqualFold(c.keys[0], w.dir.organization.ID) {
		return c.notFound(c.keys[0])
	}
	return c.one("organization", w.dir.organization)
}

func (w *World) listUsers(c graphCall) *answer { return c.many("user", anys(w.dir.users)) }

func (w *World) getUser(c graphCall) *answer {
	u := w.dir.user(c.keys[0])
	if u == nil || w.faults.get("user-not-found") != nil {
		return c.notFound(c.keys[0])
	}
	return c.one("user", u)
}

func (w *World) listGroups(c graphCall) *answer { return c.many("group", anys(w.dir.groups)) }

func (w *World) getGroup(c graphCall) *answer {
	for _, g := range w.dir.groups {
		if strings.EqualFold(g.ID, c.keys[0]) {
			return c.one("group", g)
		}
	}
	return c.notFound(c.keys[0])
}

func (w *World) listDomains(c graphCall) *answer { return c.many("domain", anys(w.dir.domains)) }

func (w *World) getDomain(c graphCall) *answer {
	for _, d := range w.dir.domains {
		if strings.EqualFold(d.ID, c.keys[0]) {
			return c.one("domain", d)
		}
	}
	return c.notFound(c.keys[0])
}

func (w *World) listApplications(c graphCall) *answer {
	shown := make([]any, 0, len(c.seen.applications))
	for _, a := range c.seen.applications {
		shown = append(shown, withoutKeys(a))
	}
	return c.many("application", shown)
}

// withoutKeys hides the certificates' bytes, which come only when
// keyCredentials of a single object are selected.
func withoutKeys(a *application) *application {
	copied := *a
	copied.KeyCredentials = append([]keyCredential{}, a.KeyCredentials...)
	for i := range copied.KeyCredentials {
		copied.KeyCredentials[i].Key = nil
	}
	return &copied
}

func (w *World) getApplication(c graphCall) *answer {
	a, bad := c.theApplication()
	if bad != nil {
		return bad
	}
	if !slices.Contains(c.query.selected, "keyCredentials") {
		a = withoutKeys(a)
	}
	return c.one("application", a)
}

func (w *World) listPrincipals(c graphCall) *answer {
	return c.many("servicePrincipal", anys(c.seen.principals))
}

// principalByKey finds by object id or by appId='…'.
func (c graphCall) principalByKey(key string) *servicePrincipal {
	if appID, ok := namedKey(key, "appId"); ok {
		return c.seen.principal(appID)
	}
	return c.seen.principalByID(key)
}

func (w *World) getPrincipal(c graphCall) *answer {
	p := c.principalByKey(c.keys[0])
	if p == nil {
		return c.notFound(c.keys[0])
	}
	return c.one("servicePrincipal", p)
}

func (w *World) listAssignments(c graphCall) *answer {
	return w.assignmentsWhere(c, func(a *appRoleAssignment, id string) bool { return a.PrincipalID == id })
}

func (w *World) listAssignedTo(c graphCall) *answer {
	return w.assignmentsWhere(c, func(a *appRoleAssignment, id string) bool { return a.ResourceID == id })
}

func (w *World) assignmentsWhere(c graphCall, fits func(a *appRoleAssignment, id string) bool) *answer {
	p := c.principalByKey(c.keys[0])
	if p == nil {
		return c.notFound(c.keys[0])
	}
	var found []any
	for _, a := range c.seen.assignments {
		if fits(a, p.ID) {
			found = append(found, a)
		}
	}
	return c.many("appRoleAssignment", found)
}

func anys[T any](list []T) []any {
	out := make([]any, len(list))
	for i := range list {
		out[i] = list[i]
	}
	return out
}

// mailboxSettings is the resource type of the same name.
type mailboxSettings struct {
	ArchiveFolder    *string          `json:"archiveFolder"`
	AutomaticReplies automaticReplies `json:"automaticRepliesSetting"`
	DateFormat       string           `json:"dateFormat"`
	Delivery         string           `json:"delegateMeetingMessageDeliveryOptions"`
	Language         localeInfo       `json:"language"`
	TimeFormat       string           `json:"timeFormat"`
	TimeZone         string           `json:"timeZone"`
	UserPurpose      string           `json:"userPurpose"`
	WorkingHours     workingHours     `json:"workingHours"`
}

type automaticReplies struct {
	ExternalAudience string       `json:"externalAudience"`
	ExternalReply    string       `json:"externalReplyMessage"`
	InternalReply    string       `json:"internalReplyMessage"`
	End              dateTimeZone `json:"scheduledEndDateTime"`
	Start            dateTimeZone `json:"scheduledStartDateTime"`
	Status           string       `json:"status"`
}

type dateTimeZone struct {
	DateTime string `json:"dateTime"`
	TimeZone string `json:"timeZone"`
}

type localeInfo struct {
	DisplayName string `json:"displayName"`
	Locale      string `json:"locale"`
}

type workingHours struct {
	Days  []string     `json:"daysOfWeek"`
	End   string       `json:"endTime"`
	Start string       `json:"startTime"`
	Zone  timeZoneBase `json:"timeZone"`
}

type timeZoneBase struct {
	Name string `json:"name"`
}

func settingsOf(m *mailbox) mailboxSettings {
	day := dateTimeZone{DateTime: "2026-11-22T00:00:00.0000000", TimeZone: "UTC"}
	return mailboxSettings{AutomaticReplies: automaticReplies{ExternalAudience: "all", Status: "disabled", Start: day, End: day}, DateFormat: "dd.MM.yyyy",
		Delivery: "sendToDelegateOnly", Language: localeInfo{"English (United States)", "en-US"}, TimeFormat: "HH:mm", TimeZone: "W. Europe Standard Time", UserPurpose: m.purpose,
		WorkingHours: workingHours{Days: []string{"monday", "tuesday", "wednesday", "thursday", "friday"}, End: "17:00:00.0000000", Start: "08:00:00.0000000",
			Zone: timeZoneBase{"W. Europe Standard Time"}}}
}

// mailboxOf finds the mailbox behind a user, or the refusal.
func (w *World) mailboxOf(c graphCall) (*user, *answer) {
	u := w.dir.user(c.keys[0])
	switch {
	case c.who.delegated() && (u == nil || u.ID != c.who.ObjectID):
		return nil, c.denied("mailboxsettings")
	case u == nil || w.faults.get("user-not-found") != nil:
		return nil, c.graphError(http.StatusNotFound, "ErrorInvalidUser", "The requested user '"+c.keys[0]+"' is invalid.")
	case u.mailbox == nil:
		return nil, c.noMailbox()
	}
	return u, nil
}

func (w *World) mailboxSettings(c graphCall) *answer {
	u, bad := w.mailboxOf(c)
	if bad != nil {
		return bad
	}
	if bad := c.refuseOptions(shapes()["mailboxSettings"], true); bad != nil {
		return bad
	}
	f, bad := c.choose(shapes()["mailboxSettings"], fieldsOf(settingsOf(u.mailbox)))
	if bad != nil {
		return bad
	}
	f["@odata.context"] = c.context("users('"+u.ID+"')/mailboxSettings", false)
	return jsonAnswer(http.StatusOK, graphContentType, f)
}

func (w *World) userPurpose(c graphCall) *answer {
	u, bad := w.mailboxOf(c)
	if bad != nil {
		return bad
	}
	return jsonAnswer(http.StatusOK, graphContentType, map[string]any{
		"@odata.context": c.context("users('"+u.ID+"')/mailboxSettings/userPurpose", false), "value": u.mailbox.purpose})
}
