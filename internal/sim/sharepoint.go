package sim

import (
	"errors"
	"net/http"
	"slices"
	"strings"
)

// spRequest is a request to SharePoint whose host is known.
type spRequest struct {
	*request
	host  sharePointHost
	who   accessClaims
	site  *siteCollection
	as    spFormat // how the client wants the answer
	inner string   // path behind _api/ or _vti_bin/, in lower case
}

// sharePoint is SharePoint Online: sites over REST, and the admin centre.
func (w *World) sharePoint(r *request) *answer {
	a := w.sharePointRoute(r)
	h := a.header
	h.Set("SPRequestGuid", r.id)
	h.Set("request-id", r.id)
	h.Set("MicrosoftSharePointTeamServices", sharePointVersion)
	h.Set("X-MS-InvokeApp", "1; RequireReadOnly")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "private, max-age=0")
	return a
}

func (w *World) sharePointRoute(r *request) *answer {
	host, ok := w.sharePointHostOf(r.Host)
	switch {
	case !ok || w.faults.get("no-sharepoint") != nil:
		return named("sharepoint unknown host", fileNotFound())
	case host.old: // after a change of the domain name the old addresses redirect
		a := newAnswer(http.StatusPermanentRedirect, "", nil)
		a.header.Set("Location", w.sharePointURL(host.geo, host.use, host.suffix)+r.URL.RequestURI())
		return named("sharepoint renamed", a)
	}
	q := spRequest{request: r, host: host, as: formatOf(r.Header.Values("Accept"))}
	if r.Header.Get("Authorization") == "" {
		a := q.unauthorized()
		a.header.Set("X-Forms_Based_Auth_Required", w.sharePointURL(host.geo, host.use, host.suffix)+"/_forms/default.aspx?ReturnUrl=/_layouts/15/error.aspx")
		return named("sharepoint anonymous", a)
	}
	claims, err := w.bearer(r, SharePointAppID)
	if refused := w.tokenRefusal(claims, err); refused != "" {
		a := jsonAnswer(http.StatusUnauthorized, "application/json", map[string]string{"error_description": refused})
		if refused == wrongAudience {
			a.header.Set("x-ms-diagnostics", `3000003;reason="Invalid audience Uri '`+claims.Audience+`'.";category="invalid_client"`)
		}
		a.header.Set("WWW-Authenticate", w.sharePointChallenge(r))
		return named("sharepoint unauthorized", a)
	}
	if challenge := w.challenge(r, claims, SharePointAppID); challenge != "" {
		a := newAnswer(http.StatusUnauthorized, "", nil)
		a.header.Set("WWW-Authenticate", challenge)
		return named("sharepoint claims challenge", a)
	}
	q.who = claims
	return w.sharePointServe(q)
}

// wrongAudience is for a token that is good, but for another host or service.
const wrongAudience = "Exception of type 'Microsoft.IdentityModel.Tokens.AudienceUriValidationFailedException' was thrown."

// tokenRefusal is what the front door says of a token, "" when it may pass. An
// application must have signed in with a certificate, and must hold something.
// Nobody but Graph can validate a token for Graph, as its header holds a nonce;
// unsure, because pnp/pnpframework issue 662 shows one refused for its audience.
//
// Sources: learn.microsoft.com/sharepoint/dev/solution-guidance/security-apponly-azuread;
// pnp/powershell issue 5133 (another host's token); SharePoint/sp-dev-docs issue
// 5889 and AzureAD/microsoft-identity-web issue 1056 (Graph's).
func (w *World) tokenRefusal(c accessClaims, err error) string {
	switch {
	case errors.Is(err, errExpiredToken):
		return "Invalid JWT token. The token is expired."
	case errors.Is(err, errWrongAudience) && w.resourceApp(c.Audience) != GraphAppID:
		return wrongAudience
	case err != nil:
		return "Invalid issuer or signature."
	case c.AppIDACR != "2":
		return "Unsupported app only token."
	case len(c.Roles) == 0:
		return "Unsupported security token."
	}
	return ""
}

func (w *World) sharePointChallenge(r *request) string {
	return `Bearer realm="` + w.TenantID + `",client_id="` + SharePointAppID + `",trusted_issuers="00000001-0000-0000-c000-000000000000@*,https://sts.windows.net/*/,` +
		SharePointAppID + `@90140122-8516-11e1-8eff-49304924019b",authorization_uri="` + w.authorizeURL(r) + `"`
}

// Application permissions of SharePoint that open sites, and all of the tenant.
func siteRoles() []string {
	return []string{"Sites.Read.All", "Sites.ReadWrite.All", "Sites.Manage.All", "Sites.FullControl.All"}
}

const tenantRole = "Sites.FullControl.All"

// sharePointServe finds the site and the service that a request is for.
func (w *World) sharePointServe(q spRequest) *answer {
	path, inner, service := q.cut()
	if service == "" {
		return named("sharepoint page", fileNotFound())
	}
	q.inner = strings.ToLower(strings.Trim(inner, "/"))
	name := "sharepoint " + q.Method + " " + service + "/" + q.inner
	rest := ""
	if q.site, rest = w.siteAt(q.host, path); q.site == nil || rest != "" {
		return named("sharepoint no site", fileNotFound())
	}
	switch f := w.faults.get("site-locked"); {
	case w.faults.get("sharepoint-denied") != nil, q.site.use == hostAdmin && w.faults.get("admin-denied") != nil:
		return named(name, q.unauthorized())
	case !slices.ContainsFunc(siteRoles(), q.who.holds): // Sites.Selected opens the sites that were selected: none
		return named(name, q.denied())
	case q.site.root() && f != nil:
		return named(name, q.blocked(statusOf(f.words, http.StatusLocked)))
	case q.site.lock == siteNoAccess, q.site.archived:
		return named(name, q.blocked(http.StatusLocked))
	case service == "_api":
		return named(name, w.sharePointREST(q))
	case q.inner == "client.svc/processquery":
		return named(name, w.processQuery(q))
	}
	return named(name, fileNotFound())
}

// cut splits a path at the first of SharePoint's own folders.
func (q spRequest) cut() (site, inner, service string) {
	segments := strings.Split(strings.Trim(q.URL.Path, "/"), "/")
	for i, segment := range segments {
		if name := strings.ToLower(segment); name == "_api" || name == "_vti_bin" {
			return strings.Join(segments[:i], "/"), strings.Join(segments[i+1:], "/"), name
		}
	}
	return "", "", ""
}

func fileNotFound() *answer {
	return newAnswer(http.StatusNotFound, "text/plain; charset=utf-8", []byte("404 FILE NOT FOUND"))
}

// Codes of SharePoint's errors.
const (
	codeUnauthorized = "-2147024891, System.UnauthorizedAccessException"
	codeQuery        = "-1, Microsoft.SharePoint.Client.InvalidClientQueryException"
	codeService      = "-1, Microsoft.SharePoint.Client.ClientServiceException"
	codeResource     = "-1, Microsoft.SharePoint.Client.ResourceNotFoundException"
	codeSearch       = "-1, Microsoft.Office.Server.Search.REST.SearchServiceException"
)

// accessDenied is the text for whoever lacks a permission.
const accessDenied = "Access denied. You do not have permission to perform this action or access this resource."

func (q spRequest) unauthorized() *answer {
	return q.refuse(http.StatusForbidden, codeUnauthorized, "Attempted to perform an unauthorized operation.")
}

func (q spRequest) denied() *answer {
	return q.refuse(http.StatusForbidden, codeUnauthorized, accessDenied)
}

// blocked is the refusal of a locked or archived site. The code is the exception of
// a lock; which number the service gives is not documented.
func (q spRequest) blocked(status int) *answer {
	return q.refuse(status, "-2146232832, Microsoft.SharePoint.SPException", "Access to this Web site has been blocked. Please contact the administrator to resolve this problem.")
}
