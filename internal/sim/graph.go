package sim

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const graphContentType = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"

// graph is Microsoft Graph v1.0 for applications.
func (w *World) graph(r *request) *answer {
	a := w.graphRoute(r)
	h := a.header
	h.Set("request-id", r.id)
	h.Set("client-request-id", r.correlation)
	h.Set("x-ms-ags-diagnostic", `{"ServerInfo":{"DataCenter":"Simulated","Slice":"E","Ring":"1","ScaleUnit":"000","RoleInstance":"SIM000000"}}`)
	h.Set("Strict-Transport-Security", "max-age=31536000")
	h.Set("Cache-Control", "no-cache")
	if a.status < 300 {
		h.Set("OData-Version", "4.0")
	}
	return a
}

type graphErrorBody struct {
	Error graphErrorDetail `json:"error"`
}

type graphErrorDetail struct {
	Code       string           `json:"code"`
	Message    string           `json:"message"`
	Details    []graphErrorItem `json:"details,omitempty"`
	InnerError graphInnerError  `json:"innerError"`
}

type graphInnerError struct {
	Code            string `json:"code,omitempty"`
	Message         string `json:"message,omitempty"`
	Status          string `json:"status,omitempty"`
	Date            string `json:"date"`
	RequestID       string `json:"request-id"`
	ClientRequestID string `json:"client-request-id"`
}

func (r *request) inner() graphInnerError {
	return graphInnerError{Date: r.world.now().UTC().Format("2006-01-02T15:04:05"), RequestID: r.id, ClientRequestID: r.correlation}
}

// graphError writes an error as Graph does (learn.microsoft.com/graph/errors).
func (r *request) graphError(status int, code, message string) *answer {
	return jsonAnswer(status, "application/json", graphErrorBody{graphErrorDetail{Code: code, Message: message, InnerError: r.inner()}})
}

func (w *World) tooManyRequests(r *request) *answer {
	inner := r.inner()
	inner.Code, inner.Message, inner.Status = "429", "Please retry after", "429"
	return jsonAnswer(http.StatusTooManyRequests, "application/json", graphErrorBody{graphErrorDetail{Code: "TooManyRequests", Message: "Please retry again later.", InnerError: inner}})
}

func (r *request) notFound(id string) *answer {
	return r.graphError(http.StatusNotFound, "Request_ResourceNotFound", "Resource '"+id+"' does not exist or one of its queried reference-property objects are not present.")
}

func (r *request) badRequest(message string) *answer {
	return r.graphError(http.StatusBadRequest, "BadRequest", message)
}

// graphCall is a Graph request whose path, token and options are understood.
type graphCall struct {
	*request
	keys  []string // of the path, in order: object ids or "property='value'"
	query graphQuery
	path  string  // as asked, without the version
	seen  *tenant // what the replica that serves the request knows
	who   accessClaims
}

type graphHandler func(w *World, c graphCall) *answer

// graphRoutes are the simulated methods by template; see doors for who may.
func graphRoutes() map[string]graphHandler {
	return map[string]graphHandler{
		"GET /organization":                                            (*World).listOrganization,
		"GET /organization/{id}":                                       (*World).getOrganization,
		"GET /users":                                                   (*World).listUsers,
		"GET /users/{id}":                                              (*World).getUser,
		"GET /users/{id}/mailboxsettings":                              (*World).mailboxSettings,
		"GET /users/{id}/mailboxsettings/userpurpose":                  (*World).userPurpose,
		"GET /groups":                                                  (*World).listGroups,
		"GET /groups/{id}":                                             (*World).getGroup,
		"GET /domains":                                                 (*World).listDomains,
		"GET /domains/{id}":                                            (*World).getDomain,
		"GET /applications":                                            (*World).listApplications,
		"GET /applications/{id}":                                       (*World).getApplication,
		"POST /applications":                                           (*World).createApplication,
		"PATCH /applications/{id}":                                     (*World).updateApplication,
		"DELETE /applications/{id}":                                    (*World).deleteApplication,
		"POST /applications/{id}/addpassword":                          (*World).addPassword,
		"POST /applications/{id}/removepassword":                       (*World).removePassword,
		"POST /applications/{id}/addkey":                               (*World).addKey,
		"POST /applications/{id}/removekey":                            (*World).removeKey,
		"GET /applications/{id}/owners":                                (*World).applicationOwners,
		"GET /serviceprincipals":                                       (*World).listPrincipals,
		"POST /serviceprincipals":                                      (*World).createPrincipal,
		"GET /serviceprincipals/{id}":                                  (*World).getPrincipal,
		"PATCH /serviceprincipals/{id}":                                (*World).updatePrincipal,
		"DELETE /serviceprincipals/{id}":                               (*World).deletePrincipal,
		"GET /serviceprincipals/{id}/owners":                           (*World).principalOwners,
		"GET /serviceprincipals/{id}/approleassignments":               (*World).listAssignments,
		"GET /serviceprincipals/{id}/approleassignedto":                (*World).listAssignedTo,
		"POST /serviceprincipals/{id}/approleassignments":              (*World).assignFromClient,
		"POST /serviceprincipals/{id}/approleassignedto":               (*World).assignFromResource,
		"GET /serviceprincipals/{id}/approleassignments/{id}":          (*World).getAssignment,
		"GET /serviceprincipals/{id}/approleassignedto/{id}":           (*World).getAssignedTo,
		"DELETE /serviceprincipals/{id}/approleassignments/{id}":       (*World).unassign,
		"DELETE /serviceprincipals/{id}/approleassignedto/{id}":        (*World).unassignTo,
		"GET /directory/deleteditems/microsoft.graph.application":      (*World).deletedApplications,
		"GET /directory/deleteditems/microsoft.graph.serviceprincipal": (*World).deletedPrincipals,
		"GET /directory/deleteditems/{id}":                             (*World).getDeleted,
		"DELETE /directory/deleteditems/{id}":                          (*World).purgeDeleted,
		"POST /directory/deleteditems/{id}/restore":                    (*World).restoreDeleted,
		"GET /policies/defaultappmanagementpolicy":                     (*World).appPolicy,
		"GET /sites":                 (*World).listSites,
		"GET /sites/{id}":            (*World).getSite,
		"GET /sites/getallsites":     (*World).allSites,
		"GET /me":                    (*World).me,
		"GET /me/mailboxsettings":    (*World).myMailboxSettings,
		"GET /me/memberof":           (*World).myMemberships,
		"GET /me/transitivememberof": (*World).myMemberships,
		"GET /me/memberof/microsoft.graph.directoryrole":           (*World).myRoles,
		"GET /me/transitivememberof/microsoft.graph.directoryrole": (*World).myRoles,
		"GET /users/{id}/transitivememberof":                       (*World).membershipsOf,
	}
}

func (w *World) graphRoute(r *request) *answer {
	claims, err := w.bearer(r, GraphAppID)
	if err != nil {
		return named("graph unauthorized", w.graphUnauthorized(r, err))
	}
	r.scopes, r.roles = strings.Fields(claims.Scope), claims.Roles
	if challenge := w.challenge(r, claims, GraphAppID); challenge != "" {
		a := r.graphError(http.StatusUnauthorized, "InvalidAuthenticationToken", "Continuous access evaluation resulted in challenge with result: InteractionRequired and code: TokenIssuedBeforeRevocationTimestamp")
		a.header.Set("WWW-Authenticate", challenge)
		return named("graph claims challenge", a)
	}
	version, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/")
	if !strings.EqualFold(version, "v1.0") {
		return named("graph version", r.badRequest("Invalid version: "+version))
	}
	template, keys, ok := graphTemplate(rest)
	if !ok {
		return named("graph path", r.badRequest("The request URI is not valid: the path cannot be read."))
	}
	name := r.Method + " " + template
	if strings.EqualFold(template, "/$batch") {
		return named("graph "+name, w.batch(r))
	}
	if a := w.graphFault(r, template); a != nil {
		return named("graph "+name, a)
	}
	return named("graph "+name, w.graphServe(r, claims, template, name, graphCall{request: r, keys: keys, path: strings.Trim(rest, "/")}))
}

func (w *World) graphServe(r *request, claims accessClaims, template, name string, c graphCall) *answer {
	lower := strings.ToLower(template)
	route := r.Method + " " + lower
	c.who = claims
	if !claims.delegated() && (lower == "/me" || strings.HasPrefix(lower, "/me/")) {
		return r.badRequest("/me request is only valid with delegated authentication flow.")
	}
	handle, ok := graphRoutes()[route]
	if !ok {
		return r.unknownRoute(lower)
	}
	if !c.mayEnter(route) {
		return r.denied(lower)
	}
	query, err := parseGraphQuery(r.URL.RawQuery)
	if err != nil {
		return r.badRequest(err.Error())
	}
	c.query, c.seen = query, w.dir.at(r)
	if refused := c.identified(route); refused != nil {
		return refused
	}
	return named("graph "+name, handle(w, c))
}

func allowed(held, wanted []string) bool {
	return slices.ContainsFunc(held, func(role string) bool { return slices.Contains(wanted, role) })
}

// denied is the refusal of a missing permission; Exchange's part of Graph has its own words.
func (r *request) denied(template string) *answer {
	if strings.Contains(template, "mailboxsettings") {
		return r.graphError(http.StatusForbidden, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")
	}
	if strings.HasPrefix(template, "/sites") {
		return r.graphError(http.StatusForbidden, "accessDenied", "Access denied")
	}
	return r.graphError(http.StatusForbidden, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
}

// unknownRoute tells an unknown segment from a method that the path does not take.
func (r *request) unknownRoute(template string) *answer {
	routes := graphRoutes()
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete} {
		if _, ok := routes[method+" "+template]; ok {
			return r.graphError(http.StatusMethodNotAllowed, "Request_BadRequest", "Specified HTTP method is not allowed for the request target.")
		}
	}
	segments := strings.Split(strings.Trim(template, "/"), "/")
	for i := range segments {
		prefix := "GET /" + strings.Join(segments[:i+1], "/")
		known := slices.ContainsFunc(sortedKeys(routes), func(route string) bool { return route == prefix || strings.HasPrefix(route, prefix+"/") })
		if !known {
			return r.badRequest("Resource not found for the segment '" + segments[i] + "'.")
		}
	}
	return r.badRequest("Resource not found for the segment '" + segments[len(segments)-1] + "'.")
}

// graphFault is what the faults of Graph say before any handler.
func (w *World) graphFault(r *request, template string) *answer {
	lower := strings.ToLower(template)
	if f := w.faults.get("graph-error"); f != nil {
		return r.chosenError(f.words)
	}
	if f := w.faults.get("graph-denied"); f != nil {
		hit := len(f.words) == 0
		for _, word := range f.words {
			hit = hit || strings.Contains(lower, strings.ToLower(word))
		}
		if hit {
			return r.denied(lower)
		}
	}
	if r.Method != http.MethodGet {
		if a := w.writeFault(r, lower); a != nil {
			return a
		}
	}
	if strings.Contains(lower, "mailboxsettings") {
		if w.faults.get("graph-no-mailbox") != nil {
			return r.noMailbox()
		}
		if w.faults.get("graph-odata-disabled") != nil {
			return r.graphError(http.StatusForbidden, "ErrorAccessDenied", "Access to OData is disabled.")
		}
	}
	return nil
}

// writeFault is what the faults of writes say.
func (w *World) writeFault(r *request, template string) *answer {
	path := r.Method + " " + r.URL.Path
	if f := w.faults.get("write-denied"); f != nil && (len(f.words) == 0 || f.names(r.Method+" "+template)) {
		return r.denied(template)
	}
	if f := w.faults.get("conflict"); f != nil && f.take(path) {
		return r.concurrent(http.StatusConflict)
	}
	if f := w.faults.get("concurrent-requests"); f != nil && f.take(path) {
		return r.concurrent(http.StatusServiceUnavailable)
	}
	return nil
}

func (r *request) noMailbox() *answer {
	return r.graphError(http.StatusNotFound, "MailboxNotEnabledForRESTAPI", "The mailbox is either inactive, soft-deleted, or is hosted on-premise.")
}

// chosenError is the fault graph-error=STATUS[,CODE].
func (r *request) chosenError(words []string) *answer {
	status, code := http.StatusInternalServerError, "generalException"
	for _, word := range words {
		if n := atoi(word); n >= 400 && n < 600 {
			status = n
		} else {
			code = word
		}
	}
	return r.graphError(status, code, "An error was asked for by the fault graph-error.")
}

func (w *World) graphUnauthorized(r *request, why error) *answer {
	message := "Access token validation failure."
	switch {
	case errors.Is(why, errNoToken):
		message = "Access token is empty."
	case errors.Is(why, errBadToken):
		message = "CompactToken parsing failed with error code: 80049217"
	case errors.Is(why, errBadSignature):
		message = "Access token validation failure. Invalid signature."
	case errors.Is(why, errWrongAudience):
		message = "Access token validation failure. Invalid audience."
	case errors.Is(why, errExpiredToken):
		message = "Lifetime validation failed, the token is expired."
	}
	a := r.graphError(http.StatusUnauthorized, "InvalidAuthenticationToken", message)
	a.header.Set("WWW-Authenticate", `Bearer realm="", authorization_uri="`+w.authorizeURL(r)+`", client_id="`+GraphAppID+`"`)
	return a
}

// graphNamespace is what the names of Graph's types and actions start with.
const graphNamespace = "microsoft.graph."

// graphTemplate reads a path such as users/{id}/mailboxSettings or
// applications(appId='…') and returns its template with the keys taken out.
func graphTemplate(path string) (template string, keys []string, ok bool) {
	collections := []string{"users", "groups", "organization", "domains", "applications", "serviceprincipals", "approleassignments", "approleassignedto", "directoryroles",
		"sites", "deleteditems"}
	takesKey := false
	raws := strings.Split(strings.Trim(path, "/"), "/")
	for i := 0; i < len(raws); i++ {
		raw := raws[i]
		segment, err := url.PathUnescape(raw)
		if err != nil {
			return "", nil, false
		}
		if strings.EqualFold(segment, "myorganization") && template == "" {
			continue
		}
		segment = strings.TrimSuffix(segment, "()") // of a function without parameters
		if takesKey && strings.EqualFold(template, "/sites") {
			if strings.EqualFold(strings.TrimPrefix(strings.ToLower(segment), graphNamespace), "getAllSites") {
				template, takesKey = template+"/getAllSites", false
				continue
			}
			for more := strings.HasSuffix(segment, ":"); more && i+1 < len(raws); more = !strings.HasSuffix(segment, ":") {
				i++ // HOST:/PATH goes on up to the next colon
				next, err := url.PathUnescape(raws[i])
				if err != nil {
					return "", nil, false
				}
				segment += "/" + next
			}
		}
		cast := len(segment) > len(graphNamespace) && strings.EqualFold(segment[:len(graphNamespace)], graphNamespace)
		if takesKey && !cast {
			template, keys, takesKey = template+"/{id}", append(keys, segment), false
			continue
		}
		if cast && slices.Contains([]string{"addpassword", "removepassword", "addkey", "removekey", "restore"}, strings.ToLower(segment[len(graphNamespace):])) {
			segment = segment[len(graphNamespace):] // an action may be called by its full name
		}
		name, key, hasKey := strings.Cut(segment, "(")
		template += "/" + name
		if hasKey {
			inner, closed := strings.CutSuffix(key, ")")
			if !closed || inner == "" {
				return "", nil, false
			}
			template, keys = template+"/{id}", append(keys, unquoteKey(inner))
			continue
		}
		takesKey = slices.Contains(collections, strings.ToLower(name))
	}
	return template, keys, true
}

// unquoteKey turns 'x” y' into x' y; "appId='…'" stays a named key.
func unquoteKey(key string) string {
	if len(key) >= 2 && key[0] == '\'' && key[len(key)-1] == '\'' {
		return strings.ReplaceAll(key[1:len(key)-1], "''", "'")
	}
	return key
}

// namedKey reads appId='…' (and uniqueName='…').
func namedKey(key, name string) (string, bool) {
	property, value, ok := strings.Cut(key, "=")
	if !ok || !strings.EqualFold(strings.TrimSpace(property), name) {
		return "", false
	}
	value = strings.TrimSpace(value)
	if len(value) < 2 || value[0] != '\'' || value[len(value)-1] != '\'' {
		return "", false
	}
	return unquoteKey(value), true
}
