package sim

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Types of the admin centre in client queries.
//
// Source: Microsoft.Online.SharePoint.TenantAdministration, as the clients of the
// admin centre name its types.
const (
	typeTenant     = "{268004ae-ef6b-4e9b-8425-127220d84719}"
	typeSiteFilter = "{b92aeee2-c92c-4b67-abcc-024e471bc140}"
	adminNamespace = "Microsoft.Online.SharePoint.TenantAdministration."
)

// adminPage is how many site collections the admin centre lists at a time. The
// number is not documented.
const adminPage = 300

// csomError is an error in the answer to a client query.
//
// Source: [MS-CSOM] section 2.2.4 and [MS-CSOMSPT] section 2.2.1.
type csomError struct {
	code    int
	kind    string
	message string
}

func (e csomError) Error() string { return e.message }

const securityValidation = "The security validation for this page is invalid and might be corrupted. Please use your web browser's Back button to try your operation again."

func digestError(err error) csomError {
	switch {
	case errors.Is(err, errNoDigest):
		return csomError{-2146232832, "Microsoft.SharePoint.SPException", securityValidation}
	case errors.Is(err, errExpiredDigest):
		return csomError{-2130575252, "Microsoft.SharePoint.SPException", "The security validation for this page has timed out. Click Back in your Web browser, refresh the page, and try your operation again."}
	default:
		return csomError{-2130575251, "Microsoft.SharePoint.SPException", securityValidation}
	}
}

func queryError(format string, args ...any) csomError {
	return csomError{-1, "Microsoft.SharePoint.Client.InvalidClientQueryException", fmt.Sprintf(format, args...)}
}

// processQuery answers a client query: an error or the results of all its actions,
// with status 200 either way.
func (w *World) processQuery(q spRequest) *answer {
	if q.Method != http.MethodPost {
		return newAnswer(http.StatusMethodNotAllowed, "", nil)
	}
	header := map[string]any{"SchemaVersion": "15.0.0.0", "LibraryVersion": sharePointVersion, "ErrorInfo": nil, "TraceCorrelationId": q.id}
	results, err := w.runCSOM(q)
	if err != nil {
		e := csomError{-1, "Microsoft.SharePoint.Client.InvalidClientQueryException", err.Error()}
		_ = errors.As(err, &e)
		header["ErrorInfo"] = map[string]any{"ErrorMessage": e.message, "ErrorValue": nil, "TraceCorrelationId": q.id, "ErrorCode": e.code, "ErrorTypeName": e.kind}
		results = nil
	}
	return jsonAnswer(http.StatusOK, "application/json; charset=utf-8", append([]any{header}, results...))
}

// runCSOM carries the actions out, one after the other.
func (w *World) runCSOM(q spRequest) ([]any, error) {
	if err := q.checkDigest(); err != nil {
		return nil, digestError(err)
	}
	query, err := parseCSOM(q.body)
	if err != nil {
		return nil, err
	}
	var results []any
	for _, a := range query.actions {
		object, err := w.resolve(q, query, a.pathID, 0)
		if err != nil {
			return nil, err
		}
		result := map[string]any{"IsNull": false}
		switch a.kind {
		case "ObjectPath":
		case "ObjectIdentityQuery":
			result = map[string]any{"_ObjectIdentity_": object["_ObjectIdentity_"]}
		case "Query":
			if result, err = pick(object, a.query, a.children); err != nil {
				return nil, err
			}
		default:
			return nil, queryError("The action %s is not supported.", a.kind)
		}
		id, err := strconv.Atoi(a.id)
		if err != nil {
			return nil, queryError("The action id %s is out of range.", a.id)
		}
		results = append(results, id, result)
	}
	return results, nil
}

// resolve follows an object path.
func (w *World) resolve(q spRequest, query csomRequest, id string, depth int) (map[string]any, error) {
	p, ok := query.paths[id]
	if !ok || depth > len(query.paths) {
		return nil, queryError("The object path %s cannot be resolved.", id)
	}
	switch p.kind {
	case "Constructor":
		if p.typeID != typeTenant || q.site.use != hostAdmin {
			return nil, queryError("Cannot find stub for type with id %q.", p.typeID)
		}
		if !q.who.holds(tenantRole) {
			return nil, csomError{-2147024891, "System.UnauthorizedAccessException", accessDenied}
		}
		return w.tenantObject(q), nil
	case "Method":
		parent, err := w.resolve(q, query, p.parent, depth+1)
		if err != nil {
			return nil, err
		}
		if parent["_ObjectType_"] != adminNamespace+"Tenant" || p.name != "GetSitePropertiesFromSharePointByFilters" {
			return nil, queryError("Method %q does not exist.", p.name)
		}
		if len(p.params) != 1 || p.params[0].typeID != typeSiteFilter {
			return nil, queryError("Incorrect parameters for the method %q.", p.name)
		}
		return w.siteProperties(q, p.params[0].props)
	default:
		return nil, queryError("The object path %s is not supported.", p.kind)
	}
}

// pick chooses what of an object, and of its children, is answered.
func pick(object map[string]any, s csomSelect, children *csomSelect) (map[string]any, error) {
	list, isList := object["_Child_Items_"].([]map[string]any)
	if s.all && len(s.names) == 0 && !isList {
		return object, nil
	}
	out := map[string]any{}
	for name, value := range object {
		hidden := strings.HasPrefix(name, "_Object")
		if name != "_Child_Items_" && (s.all || hidden || slices.Contains(s.names, name)) {
			out[name] = value
		}
	}
	for _, name := range s.names {
		if _, ok := object[name]; !ok {
			return nil, queryError("The property or field '%s' does not exist.", name)
		}
	}
	if !isList || children == nil {
		return out, nil
	}
	items := make([]any, 0, len(list))
	for _, child := range list {
		item, err := pick(child, *children, nil)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	out["_Child_Items_"] = items
	return out, nil
}

// identity is how a client query names an object of the admin centre.
func (q spRequest) identity(rest string) string {
	return q.id + "|908bed80-a04a-4433-b4a0-883d9847d110:" + q.world.TenantID + "\n" + rest
}

// tenantObject has the settings that clients commonly ask for.
//
// Source: learn.microsoft.com/previous-versions/office/sharepoint-csom, Tenant properties.
func (w *World) tenantObject(q spRequest) map[string]any {
	list, _ := w.siteCollections()
	return map[string]any{"_ObjectType_": adminNamespace + "Tenant", "_ObjectIdentity_": q.identity("Tenant"), "AllowEditing": true, "CompatibilityRange": "15,15",
		"ConditionalAccessPolicy": 0, "DefaultLinkPermission": 1, "DefaultSharingLinkType": 1, "DisallowInfectedFileDownload": false, "DisplayStartASiteOption": true,
		"FileAnonymousLinkType": 1, "FolderAnonymousLinkType": 1, "HideDefaultThemes": false, "IsMultiGeo": len(w.geos()) > 1, "LegacyAuthProtocolsEnabled": false,
		"LimitedAccessFileType": 1, "NoAccessRedirectUrl": nil, "NotificationsInSharePointEnabled": true, "ODBAccessRequests": 0, "ODBMembersCanShare": 0,
		"OneDriveStorageQuota": 1048576, "OrphanedPersonalSitesRetentionPeriod": 30, "RequireAnonymousLinksExpireInDays": -1, "ResourceQuota": 5300, "ResourceQuotaAllocated": 0,
		"RootSiteUrl": w.sharePointURL(q.host.geo, hostSites, q.host.suffix), "SharingAllowedDomainList": "", "SharingBlockedDomainList": "", "SharingCapability": 1,
		"SharingDomainRestrictionMode": 0, "ShowAllUsersClaim": false, "ShowEveryoneClaim": false, "ShowEveryoneExceptExternalUsersClaim": true,
		"SpecialCharactersStateInFileFolderNames": 1, "StorageQuota": 1024 * 1024, "StorageQuotaAllocated": len(list) * 1024, "UsePersistentCookiesForExplorerView": false}
}

// siteProperties is the method GetSitePropertiesFromSharePointByFilters: a page of
// the geography's site collections.
func (w *World) siteProperties(q spRequest, filter map[string]csomValue) (map[string]any, error) {
	for _, name := range sortedKeys(filter) {
		if !slices.Contains([]string{"Filter", "GroupIdDefined", "IncludeDetail", "IncludePersonalSite", "StartIndex", "Template"}, name) {
			return nil, queryError("The property or field '%s' does not exist.", name)
		}
	}
	fits, err := parseSiteFilter(filter["Filter"].text)
	if err != nil {
		return nil, err
	}
	detail := filter["IncludeDetail"].text == "true"
	personal := filter["IncludePersonalSite"].text == "1" // 0: as the server likes, which is without; 2: without
	template := filter["Template"].text
	list, _ := w.siteCollections()
	start := strings.TrimPrefix(filter["StartIndex"].text, nextIndex)
	open := start == "" || start == "0"
	page, next := []map[string]any{}, any(nil)
	for _, s := range list {
		if s.geo != q.host.geo {
			continue
		}
		open = open || s.id == start
		byTemplate := template == "" && (personal || !s.personal()) || strings.EqualFold(template, s.template)
		if !open || !byTemplate {
			continue
		}
		if !fits(func(property string) string { return w.filterable(q, s, property) }) {
			continue
		}
		if len(page) == adminPage {
			next = nextIndex + s.id
			break
		}
		page = append(page, w.propertiesOf(q, s, detail))
	}
	if !open {
		return nil, csomError{-1, "Microsoft.Online.SharePoint.Common.SpoException", "The start index is not valid."}
	}
	return map[string]any{"_ObjectType_": adminNamespace + "SPOSitePropertiesEnumerable", "NextStartIndex": -1, "NextStartIndexFromSharePoint": next, "_Child_Items_": page}, nil
}

// nextIndex is what a continuation starts with; the rest names the next site.
const nextIndex = "SPSiteQuery,"

// filterable is a property that the filter may name.
func (w *World) filterable(q spRequest, s *siteCollection, property string) string {
	switch property {
	case "Owner":
		return s.owner
	case "Template":
		return s.template
	case "LockState":
		return s.lock
	default:
		return w.siteURL(s, q.host.suffix)
	}
}

// propertiesOf is a site collection in the list; what takes longer to find out is
// there with the details only.
func (w *World) propertiesOf(q spRequest, s *siteCollection, detail bool) map[string]any {
	address := w.siteURL(s, q.host.suffix)
	guid := func(id string) string {
		if id == "" {
			id = "00000000-0000-0000-0000-000000000000"
		}
		return "/Guid(" + id + ")/"
	}
	archive := "NotArchived"
	if s.archived {
		archive = "FullyArchived"
	}
	date := func(t time.Time) string {
		return fmt.Sprintf("/Date(%d,%d,%d,%d,%d,%d,0)/", t.Year(), int(t.Month())-1, t.Day(), t.Hour(), t.Minute(), t.Second())
	}
	webs, email, name := 0, any(nil), any(nil)
	if detail {
		webs, email, name = 1, s.owner, strings.TrimSuffix(s.owner, "@"+q.world.is.domain())
	}
	return map[string]any{"_ObjectType_": adminNamespace + "SiteProperties", "_ObjectIdentity_": q.identity("SiteProperties\n" + strings.ToLower(url.QueryEscape(address))),
		"ArchiveStatus": archive, "CompatibilityLevel": 15, "CreatedTime": date(s.created), "GroupId": guid(s.groupID), "HubSiteId": guid(""), "IsHubSite": false,
		"LastContentModifiedDate": date(s.changed), "Lcid": 1033, "LockState": s.lock, "Owner": s.owner, "OwnerEmail": email, "OwnerName": name, "SharingCapability": 1, "SiteId": guid(s.id),
		"Status": "Active", "StorageMaximumLevel": 26214400, "StorageUsage": 1 + len(s.title), "StorageWarningLevel": 25574400, "Template": s.template, "TimeZoneId": 4,
		"Title": s.title, "Url": address, "WebsCount": webs}
}

// parseSiteFilter reads the filter of the admin centre: PROPERTY -eq 'VALUE', with
// -ne, -like and -notlike, joined by -and.
//
// Source: learn.microsoft.com/powershell/module/sharepoint-online/get-sposite, -Filter.
func parseSiteFilter(text string) (func(of func(property string) string) bool, error) {
	type comparison struct{ property, op, value string }
	var all []comparison
	for part := range strings.SplitSeq(text, " -and ") {
		if part = strings.TrimSpace(part); part == "" && text == "" {
			continue
		}
		property, rest, _ := strings.Cut(part, " ")
		op, value, _ := strings.Cut(strings.TrimSpace(rest), " ")
		value = strings.TrimSpace(value)
		switch {
		case len(value) >= 2 && (value[0] == '\'' || value[0] == '"') && value[len(value)-1] == value[0]:
			value = value[1 : len(value)-1]
		case strings.ContainsAny(value, "'\" ") || value == "":
			op = ""
		}
		known := slices.Contains([]string{"Owner", "Template", "LockState", "Url"}, property) && slices.Contains([]string{"-eq", "-ne", "-like", "-notlike"}, op)
		if !known {
			return nil, csomError{-1, "Microsoft.Online.SharePoint.Common.SpoException", "The filter is not valid: " + part}
		}
		all = append(all, comparison{property, op, strings.ToLower(value)})
	}
	return func(of func(string) string) bool {
		for _, c := range all {
			have := strings.ToLower(of(c.property))
			equal := have == c.value
			if strings.HasSuffix(c.op, "like") {
				equal = strings.Contains(have, strings.Trim(c.value, "*"))
			}
			if equal == (c.op == "-ne" || c.op == "-notlike") {
				return false
			}
		}
		return true
	}, nil
}
