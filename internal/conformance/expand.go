package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// expand takes a $batch apart: the batch itself, and each of its requests with its
// answer. Any other record is all there is.
func expand(r record) ([]record, error) {
	if !strings.HasSuffix(path(r.URL), "/$batch") {
		return []record{r}, nil
	}
	var asked struct {
		Requests []struct {
			ID     string          `json:"id"`
			Method string          `json:"method"`
			URL    string          `json:"url"`
			Body   json.RawMessage `json:"body"`
		} `json:"requests"`
	}
	var answered struct {
		Responses []struct {
			ID     string          `json:"id"`
			Status int             `json:"status"`
			Body   json.RawMessage `json:"body"`
		} `json:"responses"`
	}
	if err := json.Unmarshal(r.Body, &asked); err != nil {
		return nil, fmt.Errorf("%s: %w", r.URL, err)
	}
	if r.St == 200 {
		if err := json.Unmarshal(r.Out, &answered); err != nil {
			return nil, fmt.Errorf("%s: %w", r.URL, err)
		}
	}
	list := []record{r}
	base := strings.TrimSuffix(r.URL, "/$batch")
	for _, q := range asked.Requests {
		part := record{Name: r.Name + " part " + q.ID, M: q.Method, URL: base + "/" + strings.TrimPrefix(q.URL, "/"), Body: q.Body, Scopes: r.Scopes, Roles: r.Roles}
		for _, a := range answered.Responses {
			if a.ID == q.ID {
				part.St, part.Out = a.Status, a.Body
			}
		}
		list = append(list, part)
	}
	return list, nil
}

func path(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return raw
	}
	return u.Path
}

// The cut-down schema has neither alternate keys nor casts: the one is written as the
// object's id, the other left out. What it lacks altogether is not checked.
var (
	alternateKey = regexp.MustCompile(`\((?:appId|uniqueName)(?:=|%3D)(?:'|%27)([^'%]*)(?:'|%27)\)`)
	cast         = regexp.MustCompile(`/(transitiveMemberOf|memberOf|owners)/(?:microsoft\.)?graph\.[A-Za-z]+`)
	unknown      = regexp.MustCompile(`/v1\.0/(policies/|applications/[^/]+/owners|applications/[^/]+/(?:extensionProperties))`)
)

// plain is an address without alternate keys and casts.
func plain(raw string) string {
	return cast.ReplaceAllString(alternateKey.ReplaceAllString(raw, "/$1"), "/$1")
}

// normal writes a record as the cut-down schema knows it; false where it does not.
func normal(r record) (record, bool) {
	if r.M == "PATCH" && strings.Contains(r.URL, "(uniqueName=") && (r.St == 200 || r.St == 201) {
		// An upsert that answers with the object is, as far as the schema goes, a create.
		r.M, r.URL, r.St = "POST", r.URL[:strings.Index(r.URL, "(uniqueName=")], 201
	}
	// What a cast to a role answers are roles.
	r.URL = strings.Replace(r.URL, "/me/transitiveMemberOf/microsoft.graph.directoryRole", "/directoryRoles", 1)
	r.URL = plain(r.URL)
	var page map[string]json.RawMessage
	if json.Unmarshal(r.Out, &page) == nil && page["@odata.nextLink"] != nil {
		delete(page, "@odata.nextLink") // the collections of the schema leave it out
		if out, err := json.Marshal(page); err == nil {
			r.Out = out
		}
	}
	return r, !unknown.MatchString(r.URL)
}

// needs is required-permissions.json: path, method, kind of token, permissions.
type needs map[string]map[string]map[string][]string

func loadNeeds(schemas string) (needs, error) {
	data, err := os.ReadFile(filepath.Join(schemas, "graph", "required-permissions.json"))
	if err != nil {
		return nil, err
	}
	var n needs
	return n, json.Unmarshal(data, &n)
}

var collections = []string{"applications", "serviceprincipals", "users", "groups", "organization", "domains", "directoryroles", "sites", "approleassignments", "approleassignedto", "deleteditems"}

// literal is a request's path as the permission data writes paths.
func literal(raw string) string {
	return "/" + strings.ToLower(strings.Trim(strings.TrimPrefix(path(raw), "/v1.0"), "/"))
}

// template turns a request's path into the key that the permission data has for it,
// with its ids left out.
func template(raw string) string {
	parts := strings.Split(literal(raw)[1:], "/")
	for i := 1; i < len(parts); i++ {
		if slices.Contains(collections, parts[i-1]) && !strings.HasPrefix(parts[i], "microsoft.graph.") {
			parts[i] = "{id}"
		}
	}
	return "/" + strings.Join(parts, "/")
}

// unlisted are the calls that the permission data leaves out, with what the pages of
// learn.microsoft.com/graph/api want for them. Any other call that the data does not
// know is an error.
var unlisted = map[string]struct{ permission, source string }{
	// A cut-down copy of the data lacks paths below an object.
	"GET /applications/{id}/owners":                          {"Application.Read.All", "application-list-owners"},
	"DELETE /serviceprincipals/{id}/approleassignments/{id}": {"AppRoleAssignment.ReadWrite.All", "serviceprincipal-delete-approleassignments"},
	// It lacks the deleted items, whose permissions depend on what was deleted.
	"GET /directory/deleteditems/microsoft.graph.application": {"Application.Read.All", "directory-deleteditems-list"},
	"DELETE /directory/deleteditems/{id}":                     {"Application.ReadWrite.All", "directory-deleteditems-delete"},
}

// proven are the calls for which an application needs no permission where it is its own
// keys that it changes: what counts is the proof, which the simulated tenant verifies.
//
// Source: learn.microsoft.com/graph/api/application-addkey and application-removekey.
var proven = []string{"POST /applications/{id}/addkey", "POST /applications/{id}/removekey"}

// permissionCheck counts the calls whose token held one of the permissions that
// Microsoft documents for it, and names those whose token did not.
type permissionCheck struct {
	needs  needs
	good   int
	proven int             // calls that take a proof instead
	left   map[string]bool // unlisted calls that were met
	bad    []string
}

func (c *permissionCheck) check(r record) {
	if r.St < 200 || r.St >= 300 || len(r.Scopes)+len(r.Roles) == 0 {
		return // a refusal needs no permission
	}
	where := literal(plain(r.URL))
	if _, named := c.needs[where]; !named { // as /sites/root is
		where = template(plain(r.URL))
	}
	kinds := c.needs[where][strings.ToUpper(r.M)]
	held, wanted := r.Roles, kinds["Application"]
	if len(r.Scopes) > 0 {
		held, wanted = r.Scopes, kinds["DelegatedWork"]
	}
	if strings.HasSuffix(where, "/$batch") {
		return // its parts are counted
	}
	if len(r.Scopes) == 0 && slices.Contains(proven, r.M+" "+where) {
		c.proven++
		return
	}
	if len(wanted) == 0 {
		call := r.M + " " + where
		u, ok := unlisted[call]
		if !ok {
			c.bad = append(c.bad, call+" is neither in the data nor among what it is known to leave out")
			return
		}
		c.left[call], wanted = true, []string{u.permission, strings.Replace(u.permission, ".Read.", ".ReadWrite.", 1)}
	}
	for _, w := range wanted {
		// The data leaves out that the directory's own master scope covers it all.
		if w = strings.TrimSuffix(w, "*"); slices.Contains(held, w) || slices.Contains(held, "Directory.AccessAsUser.All") && strings.HasPrefix(w, "Directory.") {
			c.good++
			return
		}
	}
	c.bad = append(c.bad, r.M+" "+where+" with "+strconv.Itoa(len(held))+" permissions, none of "+strings.Join(wanted, ", "))
}
