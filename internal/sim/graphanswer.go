package sim

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Sizes of a page of directory objects.
//
// Source: learn.microsoft.com/graph/paging and /graph/api/user-list.
const (
	defaultPage = 100
	largestPage = 999
)

// shape says how objects of one type are shown.
type shape struct {
	kind       string   // microsoft.graph type name
	set        string   // as in @odata.context
	standard   []string // properties without $select; nil: all that are simulated
	filterable []string
	lists      []string // properties that are never null but empty
	paged      bool     // takes $top
}

func shapes() map[string]shape {
	return map[string]shape{
		"user": {kind: "user", set: "users", paged: true,
			standard:   []string{"businessPhones", "displayName", "givenName", "jobTitle", "mail", "mobilePhone", "officeLocation", "preferredLanguage", "surname", "userPrincipalName", "id"},
			filterable: []string{"id", "accountEnabled", "displayName", "givenName", "surname", "jobTitle", "mail", "mailNickname", "userPrincipalName", "userType", "usageLocation", "proxyAddresses"},
			lists: []string{"assignedLicenses", "assignedPlans", "businessPhones", "identities", "imAddresses", "interests", "licenseAssignmentStates", "onPremisesProvisioningErrors", "otherMails",
				"pastProjects", "provisionedPlans", "proxyAddresses", "responsibilities", "schools", "serviceProvisioningErrors", "skills"}},
		"group": {kind: "group", set: "groups", paged: true,
			filterable: []string{"id", "displayName", "mail", "mailEnabled", "mailNickname", "securityEnabled", "groupTypes", "proxyAddresses"},
			lists: []string{"assignedLabels", "assignedLicenses", "groupTypes", "infoCatalogs", "onPremisesProvisioningErrors", "proxyAddresses", "resourceBehaviorOptions",
				"resourceProvisioningOptions", "serviceProvisioningErrors"}},
		"organization": {kind: "organization", set: "organization",
			lists: []string{"assignedPlans", "businessPhones", "marketingNotificationEmails", "provisionedPlans", "securityComplianceNotificationMails",
				"securityComplianceNotificationPhones", "technicalNotificationMails", "verifiedDomains"}},
		"domain": {kind: "domain", set: "domains", lists: []string{"supportedServices"}},
		"application": {kind: "application", set: "applications", paged: true,
			filterable: []string{"id", "appId", "displayName", "identifierUris", "publisherDomain", "signInAudience", "tags", "uniqueName", "createdByAppId"},
			lists:      []string{"addIns", "appRoles", "identifierUris", "keyCredentials", "managerApplications", "passwordCredentials", "requiredResourceAccess", "tags"}},
		"servicePrincipal": {kind: "servicePrincipal", set: "servicePrincipals", paged: true,
			filterable: []string{"id", "accountEnabled", "appId", "displayName", "servicePrincipalType", "servicePrincipalNames", "tags"},
			lists: []string{"addIns", "alternativeNames", "appRoles", "keyCredentials", "notificationEmailAddresses", "oauth2PermissionScopes", "passwordCredentials", "replyUrls",
				"resourceSpecificApplicationPermissions", "servicePrincipalNames", "tags"}},
		"appRoleAssignment": {kind: "appRoleAssignment", set: "appRoleAssignments", paged: true, filterable: []string{"resourceId", "principalId"}},
		"directoryRole":     {kind: "directoryRole", set: "directoryRoles", filterable: []string{"displayName", "roleTemplateId"}},
		"site":              {kind: "site", set: "sites", filterable: []string{"id", "createdDateTime", "displayName", "isPersonalSite", "name", "webUrl"}},
		"mailboxSettings":   {kind: "mailboxSettings", set: "mailboxSettings"},
	}
}

// choose applies $select: unknown names are an error, unsimulated ones null.
func (c graphCall) choose(s shape, f fields) (fields, *answer) {
	names := c.query.selected
	if len(names) == 0 || len(names) == 1 && names[0] == "*" {
		names = s.standard
	} else if bad := c.checkSelect(s); bad != nil {
		return nil, bad
	}
	if names == nil {
		return f, nil
	}
	out := fields{}
	if kind, ok := f["@odata.type"]; ok {
		out["@odata.type"] = kind
	}
	for _, name := range names {
		switch raw, ok := f[name]; {
		case ok:
			out[name] = raw
		case slices.Contains(s.lists, name):
			out[name] = json.RawMessage("[]")
		default:
			out[name] = json.RawMessage("null")
		}
	}
	return out, nil
}

func (c graphCall) checkSelect(s shape) *answer {
	known := graphProperties(s.kind)
	for _, name := range c.query.selected {
		if !slices.Contains(known, name) {
			return c.badRequest("Parsing OData Select and Expand failed: Could not find a property named '" + name + "' on type 'microsoft.graph." + s.kind + "'.")
		}
	}
	return nil
}

// context is the @odata.context of an answer.
func (c graphCall) context(set string, single bool) json.RawMessage {
	text := c.base + "/v1.0/$metadata#" + set
	if len(c.query.selected) > 0 {
		text += "(" + strings.Join(c.query.selected, ",") + ")"
	}
	if single {
		text += "/$entity"
	}
	raw, err := json.Marshal(text)
	if err != nil {
		return json.RawMessage(`""`)
	}
	return raw
}

// one answers a single object.
func (c graphCall) one(kind string, object any) *answer {
	s := shapes()[kind]
	if bad := c.refuseOptions(s, true); bad != nil {
		return bad
	}
	f, bad := c.choose(s, fieldsOf(object))
	if bad != nil {
		return bad
	}
	f["@odata.context"] = c.context(s.set, true)
	return jsonAnswer(http.StatusOK, graphContentType, f)
}

// refuseOptions complains about options that the type or the path does not take.
func (c graphCall) refuseOptions(s shape, single bool) *answer {
	q := c.query
	switch {
	case q.unknown != "":
		return c.badRequest("The query parameter '" + q.unknown + "' is not supported.")
	case q.expand != "":
		return c.badRequest("Parsing OData Select and Expand failed: Could not find a property named '" + q.expand + "' on type 'microsoft.graph." + s.kind + "'.")
	case single && (q.rawTop != "" || q.filter != nil || q.badWhere != "" || q.orderBy != "" || q.search != ""):
		return c.badRequest("Query options $filter, $orderby, $search and $top can be applied only on collections.")
	case q.badWhere != "":
		return c.graphError(http.StatusBadRequest, "Request_UnsupportedQuery", "Unsupported Query.")
	case q.search != "" && !strings.EqualFold(c.Header.Get("ConsistencyLevel"), "eventual"):
		return c.graphError(http.StatusBadRequest, "Request_UnsupportedQuery", "Request with $search query parameter only works through MSGraph with a special request header: 'ConsistencyLevel: eventual'")
	case q.search != "":
		return c.graphError(http.StatusBadRequest, "Request_UnsupportedQuery", "Unsupported Query.")
	case q.rawTop != "" && (q.top < 1 || q.top > largestPage):
		return c.graphError(http.StatusBadRequest, "Request_UnsupportedQuery", fmt.Sprintf("Invalid page size specified: '%s'. Must be between 1 and 999 inclusive.", q.rawTop))
	}
	for _, w := range q.filter {
		if !slices.Contains(s.filterable, w.property) {
			return c.graphError(http.StatusBadRequest, "Request_UnsupportedQuery", "Unsupported or invalid query filter clause specified for property '"+w.property+"' of resource '"+s.kind+"'.")
		}
	}
	return nil
}

// many answers a collection: filtered, sorted, a page of it, selected.
func (c graphCall) many(kind string, objects []any) *answer {
	s := shapes()[kind]
	if bad := c.refuseOptions(s, false); bad != nil {
		return bad
	}
	var found []fields
	for _, object := range objects {
		f := fieldsOf(object)
		if !slices.ContainsFunc(c.query.filter, func(w condition) bool { return !f.matches(w) }) {
			found = append(found, f)
		}
	}
	if c.query.orderBy != "" {
		if c.query.orderBy != "displayName" && c.query.orderBy != "userPrincipalName" {
			return c.graphError(http.StatusBadRequest, "Request_UnsupportedQuery", "Sorting not supported for current query.")
		}
		slices.SortStableFunc(found, func(a, b fields) int {
			order := strings.Compare(strings.ToLower(string(a[c.query.orderBy])), strings.ToLower(string(b[c.query.orderBy])))
			if c.query.descending {
				return -order
			}
			return order
		})
	}
	page, next, bad := c.page(s, found)
	if bad != nil {
		return bad
	}
	value := []fields{}
	for _, f := range page {
		shown, bad := c.choose(s, f)
		if bad != nil {
			return bad
		}
		value = append(value, shown)
	}
	out := map[string]any{"@odata.context": c.context(s.set, false), "value": value}
	if next != "" {
		out["@odata.nextLink"] = next
	}
	if c.query.count && strings.EqualFold(c.Header.Get("ConsistencyLevel"), "eventual") {
		out["@odata.count"] = len(found)
	}
	if len(page) == 0 {
		if bad := c.checkSelect(s); bad != nil {
			return bad
		}
	}
	return jsonAnswer(http.StatusOK, graphContentType, out)
}

// page cuts one page out and makes the link to the next.
func (c graphCall) page(s shape, found []fields) (page []fields, next string, bad *answer) {
	size := defaultPage
	if c.query.top > 0 {
		size = c.query.top
	}
	start := 0
	if c.query.skip != "" {
		raw, err := base64.RawURLEncoding.DecodeString(c.query.skip)
		n, isNumber := strings.CutPrefix(string(raw), s.kind+":")
		start = atoi(n)
		if err != nil || !isNumber || start < 1 {
			return nil, "", c.graphError(http.StatusBadRequest, "Directory_ExpiredPageToken", "The specified page token value has expired and can no longer be included in your request.")
		}
	}
	if !s.paged || start >= len(found) {
		return found[min(start, len(found)):], "", nil
	}
	end := min(start+size, len(found))
	if end < len(found) {
		values, err := url.ParseQuery(c.URL.RawQuery)
		if err != nil {
			values = url.Values{}
		}
		values.Set("$skiptoken", base64.RawURLEncoding.EncodeToString([]byte(s.kind+":"+strconv.Itoa(end))))
		next = c.base + c.URL.EscapedPath() + "?" + values.Encode()
	}
	return found[start:end], next, nil
}
