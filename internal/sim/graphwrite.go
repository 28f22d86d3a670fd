package sim

import (
	"encoding/json"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// holds are the registrations that writes in flight work on. A second write to
// the same one in the meantime is refused, as the directory does.
type holds struct {
	mu   sync.Mutex
	busy map[string]hold
}

// hold is who works on an object: a request, and which wave of its batch.
type hold struct {
	by   *request
	wave int
}

func (h *holds) take(key string, by hold) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.busy == nil {
		h.busy = map[string]hold{}
	}
	if other, ok := h.busy[key]; ok && (other.by != by.by || other.wave == by.wave && by.wave > 0) {
		return false
	}
	h.busy[key] = by
	return true
}

func (h *holds) release(by *request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for key, held := range h.busy {
		if held.by == by {
			delete(h.busy, key)
		}
	}
}

// work claims an object for this write until its answer is on the way.
func (c graphCall) work(key string) *answer {
	root := c.request
	if c.outer != nil {
		root = c.outer
	}
	if c.world.dir.holds.take(strings.ToLower(key), hold{root, c.wave}) {
		return nil
	}
	return c.concurrent(http.StatusConflict)
}

// concurrent is the refusal of overlapping writes; Graph sends it with 409 and with 503.
func (r *request) concurrent(status int) *answer {
	return r.graphError(status, "Directory_ConcurrencyViolation", "Error due to concurrent requests being made to the tenant. Please wait briefly and retry.")
}

func (r *request) refuse(message string, details ...graphErrorItem) *answer {
	return r.errorWith(http.StatusBadRequest, "Request_BadRequest", message, details...)
}

// graphErrorItem is one of an error's details.
type graphErrorItem struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Target  string `json:"target,omitempty"`
}

func (r *request) errorWith(status int, code, message string, details ...graphErrorItem) *answer {
	return jsonAnswer(status, "application/json", graphErrorBody{graphErrorDetail{Code: code, Message: message, Details: details, InnerError: r.inner()}})
}

// object reads the request's body: one JSON object with the right content type.
func (c graphCall) object() (fields, *answer) {
	kind, _, err := mime.ParseMediaType(c.Header.Get("Content-Type"))
	var f fields
	if err != nil || kind != "application/json" || strictJSON(c.body, &f) != nil {
		return nil, c.badRequest("Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format.")
	}
	return withoutAnnotations(f), nil
}

// withoutAnnotations drops OData's control information, such as @odata.type.
func withoutAnnotations(f fields) fields {
	for name := range f {
		if strings.Contains(name, "@") {
			delete(f, name)
		}
	}
	return f
}

// How a property of a request's body is written.
const (
	textValue   = "string"
	flagValue   = "boolean"
	listValue   = "list of strings"
	objectValue = "object"
	arrayValue  = "array"
	readOnly    = "read-only"
)

// fits reports whether the JSON value is of the kind; null fits all but lists.
func fits(raw json.RawMessage, kind string) bool {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return false
	}
	switch x := v.(type) {
	case nil:
		return kind != listValue && kind != arrayValue
	case string:
		return kind == textValue
	case bool:
		return kind == flagValue
	case map[string]any:
		return kind == objectValue
	case []any:
		if kind == listValue {
			return !slices.ContainsFunc(x, func(item any) bool { s, ok := item.(string); return !ok || s == "" })
		}
		return kind == arrayValue
	default:
		return false
	}
}

// checkBody complains about properties that the type does not have, that cannot
// be written or that are of another kind.
func (c graphCall) checkBody(resource string, known map[string]string, body fields) *answer {
	for _, name := range sortedKeys(body) {
		kind, ok := known[name]
		switch {
		case !ok:
			return c.refuse("Invalid property '" + name + "'.")
		case kind == readOnly:
			return c.refuse("Property '" + name + "' is read-only and cannot be set.")
		case !fits(body[name], kind):
			return c.invalid(resource, name)
		}
	}
	return nil
}

func (c graphCall) invalid(resource, property string) *answer {
	return c.refuse("Invalid value specified for property '"+property+"' of resource '"+resource+"'.",
		graphErrorItem{Code: "InvalidValue", Message: "Invalid value specified for property '" + property + "' of resource '" + resource + "'.", Target: property})
}

// text reads a text of at most limit characters; absent and null give nil.
func (f fields) text(name string, limit int) (*string, bool) {
	var s *string
	if raw, ok := f[name]; ok && json.Unmarshal(raw, &s) != nil {
		return nil, false
	}
	return s, s == nil || utf8.RuneCountInString(*s) <= limit
}

func (f fields) flag(name string) *bool {
	var b *bool
	_ = json.Unmarshal(f[name], &b)
	return b
}

func (f fields) list(name string) []string {
	list := []string{}
	_ = json.Unmarshal(f[name], &list)
	return list
}

// parts reads an array of objects, each of which may hold only the properties named.
func (f fields) parts(name string, properties ...string) ([]fields, bool) {
	var list []fields
	if json.Unmarshal(f[name], &list) != nil {
		return nil, false
	}
	for i := range list {
		if list[i] == nil || !onlyHolds(withoutAnnotations(list[i]), properties) {
			return nil, false
		}
	}
	return list, true
}

func onlyHolds(f fields, properties []string) bool {
	for name := range f {
		if !slices.Contains(properties, name) {
			return false
		}
	}
	return true
}

// instant reads a point in time; absent and null give the zero time.
func (f fields) instant(name string) (time.Time, bool) {
	var s *string
	if raw, ok := f[name]; !ok || json.Unmarshal(raw, &s) == nil && s == nil {
		return time.Time{}, true
	}
	if s == nil {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339, *s)
	return t.UTC(), err == nil
}

// guidAt reads a GUID that must be there.
func (f fields) guidAt(name string) (string, bool) {
	s, ok := f.text(name, 36)
	if !ok || s == nil || !isGUID(*s) {
		return "", false
	}
	return strings.ToLower(*s), true
}

// preferences are the values of the Prefer header (RFC 7240), lower case.
func (c graphCall) preferences() []string {
	var list []string
	for _, value := range c.Header.Values("Prefer") {
		for item := range strings.SplitSeq(value, ",") {
			list = append(list, strings.ToLower(strings.ReplaceAll(item, " ", "")))
		}
	}
	return list
}

// stampNow is the time of a write.
func (c graphCall) stampNow() stamp { return stamp{c.world.now().UTC().Truncate(time.Second)} }

// written answers a write with the object as it is now.
func (c graphCall) written(status int, kind string, object any) *answer {
	f := fieldsOf(object)
	f["@odata.context"] = c.context(shapes()[kind].set, true)
	a := jsonAnswer(status, graphContentType, f)
	if status == http.StatusCreated {
		var id string
		_ = json.Unmarshal(f["id"], &id)
		a.header.Set("Location", c.base+"/v1.0/"+shapes()[kind].set+"/"+id)
	}
	return a
}

// done answers a write without an object.
func done() *answer { return newAnswer(http.StatusNoContent, "", nil) }

// whole days of a policy's longest lifetime, as ISO 8601 writes them.
func isoDays(d time.Duration) string { return "P" + strconv.Itoa(int(d/(24*time.Hour))) + "D" }
