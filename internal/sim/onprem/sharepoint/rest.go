package sharepoint

import (
	"crypto/sha512"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// rest is the REST service: of a site, what this simulation knows of it.
//
// Sources: learn.microsoft.com/sharepoint/dev/sp-add-ins/get-to-know-the-sharepoint-rest-service,
// .../previous-versions/office/developer/sharepoint-rest-reference (web, site, user), and
// for the texts of errors answers of real servers.
func (f *Farm) rest(app *application, r *Request) *Answer {
	name, rest := "rest", strings.Trim(r.rest[len("/_api"):], "/")
	resource, more, _ := strings.Cut(rest, "/")
	resource = strings.ToLower(resource)
	search := resource == "search" && (strings.EqualFold(more, "query") || strings.HasPrefix(strings.ToLower(more), "query("))
	posted := resource == "search" && strings.EqualFold(more, "postquery")
	switch {
	case search, posted:
		name = "search"
	case resource == "web" && strings.EqualFold(more, "currentuser"), resource == "web" && strings.HasPrefix(strings.ToLower(more), "currentuser/"):
		name = "currentuser"
	case resource == "web", resource == "site", resource == "contextinfo":
		name = resource
	}
	s := f.find(app, r, r.base)
	if s == nil {
		return notFound(r, name)
	}
	as, ok := f.formatOf(r.Header.Get("Accept"))
	if !ok {
		return r.failure(name, as, http.StatusNotAcceptable, "-1, Microsoft.SharePoint.Client.ClientServiceException", "The HTTP header ACCEPT is missing or its value is invalid.")
	}
	if !f.may(r, s) {
		return r.denied(name, as)
	}
	api := f.url(r, s) + "/_api/"
	switch {
	case resource == "contextinfo" && more == "":
		return f.contextInfo(r, s, as, api)
	case !r.reading() && !f.fresh(r, s):
		return r.failure(name, as, http.StatusForbidden, "-2130575251, Microsoft.SharePoint.SPException", "The security validation for this page is invalid and might be corrupted. Please use your web browser's Back button to try your operation again.")
	case posted != !r.reading():
		return r.otherMethod(name, as, more)
	case search, posted:
		return f.search(app, r, as, api)
	case name == "currentuser" && r.Login == "":
		return newAnswer(r.label(name), http.StatusOK, as.contentType(false), as.single(api, property{"CurrentUser", nil}))
	case resource == "web":
		return f.resource(r, as, api, name, more, f.web(r, app, s), "currentuser", f.user(r))
	case resource == "site":
		return f.resource(r, as, api, name, more, f.siteCollection(r, s), "rootweb", f.web(r, app, s))
	}
	return r.noResource(name, as, resource)
}

func (r *Request) noResource(name string, as format, resource string) *Answer {
	return r.failure(name, as, http.StatusNotFound, "-1, Microsoft.SharePoint.Client.ResourceNotFoundException", "Cannot find resource for the request "+resource+".")
}

// resource answers with an entity, with the one that an association of it leads to, or
// with a property.
func (f *Farm) resource(r *Request, as format, api, name, more string, e entity, association string, next entity) *Answer {
	if first, rest, _ := strings.Cut(more, "/"); strings.EqualFold(first, association) {
		e, more = next, rest
	}
	if more != "" {
		for _, p := range e.properties {
			if strings.EqualFold(p.name, more) {
				return newAnswer(r.label(name), http.StatusOK, as.contentType(false), as.single(api, p))
			}
		}
		return r.noResource(name, as, more)
	}
	selected, given := r.URL.Query()["$select"]
	whole := true
	if given && selected[0] != "*" {
		var chosen []property
		whole = false
		for want := range strings.SplitSeq(selected[0], ",") {
			want = strings.TrimSpace(want)
			i := slices.IndexFunc(e.properties, func(p property) bool { return p.name == want })
			if i < 0 {
				if slices.Contains(e.links, want) {
					continue // an association that is not expanded is left out
				}
				return r.failure(name, as, http.StatusBadRequest, "-1, Microsoft.SharePoint.Client.InvalidClientQueryException", "The field or property '"+want+"' does not exist.")
			}
			chosen = append(chosen, e.properties[i])
		}
		e.properties = chosen
	}
	return newAnswer(r.label(name), http.StatusOK, as.contentType(true), as.entity(api, e, whole))
}

func guid(s string) typed { return typed{"Edm.Guid", s} }

func when(t time.Time) typed { return typed{"Edm.DateTime", t.UTC().Format("2006-01-02T15:04:05Z")} }

func (f *Farm) web(r *Request, app *application, s *site) entity {
	title, template := s.title, s.template
	if app == &f.central && f.has("ca-not-central") {
		title, template = "Extranet", "STS"
	}
	master := strings.TrimSuffix(s.path, "/") + "/_catalogs/masterpage/seattle.master"
	return entity{edm: "SP.Web", path: "Web", set: "SP.ApiData.Webs/@Element", links: []string{"FirstUniqueAncestorSecurableObject", "RoleAssignments", "Lists", "SiteUsers", "Webs"}, properties: []property{
		{"AllowRssFeeds", true}, {"AppInstanceId", guid("00000000-0000-0000-0000-000000000000")}, {"Configuration", 0}, {"Created", when(f.made.AddDate(-2, 0, 0))},
		{"CustomMasterUrl", master}, {"Description", ""}, {"DocumentLibraryCalloutOfficeWebAppPreviewersDisabled", false}, {"EnableMinimalDownload", true}, {"Id", guid(s.web)},
		{"Language", 1033}, {"LastItemModifiedDate", when(f.made.Add(-time.Hour))}, {"MasterUrl", master}, {"QuickLaunchEnabled", true}, {"RecycleBinEnabled", true},
		{"ServerRelativeUrl", s.path}, {"SyndicationEnabled", true}, {"Title", title}, {"TreeViewEnabled", false}, {"UIVersion", 15}, {"UIVersionConfigurationEnabled", false},
		{"Url", f.url(r, s)}, {"WebTemplate", template},
	}}
}

func (f *Farm) siteCollection(r *Request, s *site) entity {
	return entity{edm: "SP.Site", path: "Site", set: "SP.ApiData.Sites/@Element", links: []string{"EventReceivers", "Features", "Owner", "RecycleBin", "RootWeb", "UserCustomActions"}, properties: []property{
		{"AllowCreateDeclarativeWorkflow", true}, {"AllowDesigner", true}, {"AllowMasterPageEditing", false}, {"AllowRevertFromTemplate", false}, {"AllowSaveDeclarativeWorkflowAsTemplate", true},
		{"AllowSavePublishDeclarativeWorkflow", true}, {"AllowSelfServiceUpgrade", true}, {"AllowSelfServiceUpgradeEvaluation", true}, {"AuditLogTrimmingRetention", 90}, {"CompatibilityLevel", 15},
		{"Id", guid(s.id)}, {"LockIssue", nil}, {"MaxItemsPerThrottledOperation", 5000}, {"PrimaryUri", f.url(r, s) + "/"}, {"ReadOnly", false}, {"RequiredDesignerVersion", "15.0.0.0"},
		{"ServerRelativeUrl", s.path}, {"ShareByLinkEnabled", false}, {"ShowUrlStructure", false}, {"TrimAuditLog", true}, {"UIVersionConfigurationEnabled", false},
		{"UpgradeReminderDate", typed{"Edm.DateTime", "1899-12-30T00:00:00"}}, {"Upgrading", false}, {"Url", f.url(r, s)},
	}}
}

func (f *Farm) user(r *Request) entity {
	p := r.person
	id := p.userID()
	var who any
	if p.SID != "" && !p.System {
		who = object{"SP.UserIdInfo", []property{{"NameId", strings.ToLower(p.SID)}, {"NameIdIssuer", "urn:office:idp:activedirectory"}}}
	}
	return entity{edm: "SP.User", path: "Web/CurrentUser", set: "SP.ApiData.Users/@Element", links: []string{"Groups"}, properties: []property{
		{"Id", id}, {"IsHiddenInUI", false}, {"LoginName", p.claim()}, {"Title", p.title()}, {"PrincipalType", 1}, {"Email", p.Mail},
		{"IsShareByEmailGuestUser", false}, {"IsSiteAdmin", p.SiteAdministrator || r.Central && p.FarmAdministrator}, {"UserId", who},
	}}
}

// contextInfo gives what a client needs in order to change things, and the version.
func (f *Farm) contextInfo(r *Request, s *site, as format, api string) *Answer {
	if r.Method != http.MethodPost {
		return r.otherMethod("contextinfo", as, "GetContextWebInformation")
	}
	made := f.o.Now().UTC().Format(digestTime)
	return newAnswer(r.label("contextinfo"), http.StatusOK, as.contentType(false), as.result(api, "GetContextWebInformation", object{"SP.ContextWebInformation", []property{
		{"FormDigestTimeoutSeconds", int(digestLife.Seconds())}, {"FormDigestValue", digest(r, s, made)}, {"LibraryVersion", f.Version().Build}, {"SiteFullUrl", f.url(r, s)},
		{"SupportedSchemaVersions", list{"Collection(Edm.String)", []any{"14.0.0.0", "15.0.0.0"}}}, {"WebFullUrl", f.url(r, s)},
	}}))
}

// A form digest is good for this long, and tells when it was made.
const (
	digestLife = 30 * time.Minute
	digestTime = "02 Jan 2006 15:04:05 -0000"
)

// digest is the form digest of a user, a site collection and a moment.
func digest(r *Request, s *site, made string) string {
	return fmt.Sprintf("0x%X,%s", sha512.Sum512([]byte(s.id+"\n"+strings.ToLower(r.Login)+"\n"+made)), made)
}

// fresh tells whether a request has a form digest that is still good.
func (f *Farm) fresh(r *Request, s *site) bool {
	given := r.Header.Get("X-RequestDigest")
	_, text, _ := strings.Cut(given, ",")
	made, err := time.Parse(digestTime, text)
	age := f.o.Now().Sub(made)
	return err == nil && age > -time.Second && age <= digestLife && given == digest(r, s, text)
}

func (r *Request) reading() bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

func (r *Request) otherMethod(name string, as format, resource string) *Answer {
	return r.failure(name, as, http.StatusBadRequest, "-1, Microsoft.SharePoint.Client.InvalidClientQueryException", "The HTTP method '"+r.Method+"' cannot be used to access the resource '"+resource+"'. The operation type of the resource is specified as 'Default'. Please use correct HTTP method to invoke the resource.")
}

func number(s string, usual int) (int, bool) {
	if s == "" {
		return usual, true
	}
	n, err := strconv.Atoi(strings.Trim(s, "'"))
	return n, err == nil && n >= 0
}
