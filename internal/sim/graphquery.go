package sim

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// graphQuery are the OData options of a request.
type graphQuery struct {
	selected   []string
	filter     []condition
	top        int // 0: not given
	skip       string
	count      bool
	orderBy    string
	descending bool // descending
	unknown    string
	rawTop     string
	where      string // the filter as given
	badWhere   string // a filter that the directory does not understand
	search     string
	expand     string
}

var errQuery = errors.New("query")

// parseGraphQuery reads the options, with or without the dollar sign.
func parseGraphQuery(raw string) (graphQuery, error) {
	var q graphQuery
	values, err := url.ParseQuery(raw)
	if err != nil {
		return q, fmt.Errorf("the query string cannot be read: %w", errQuery)
	}
	for name, list := range values {
		value := list[0]
		plain := strings.ToLower(strings.TrimPrefix(name, "$"))
		if len(list) > 1 && strings.HasPrefix(name, "$") {
			return q, fmt.Errorf("query option '%s' was specified more than once, but it must be specified at most once", name)
		}
		switch plain {
		case "select":
			for property := range strings.SplitSeq(value, ",") {
				q.selected = append(q.selected, strings.TrimSpace(property))
			}
		case "top":
			q.rawTop = value
			if q.top, err = strconv.Atoi(value); err != nil {
				return q, fmt.Errorf("invalid value '%s' for $top query option found: it requires a non-negative integer value", value)
			}
		case "skiptoken":
			q.skip = value
		case "count":
			q.count = strings.EqualFold(value, "true")
		case "orderby":
			property, direction, _ := strings.Cut(strings.TrimSpace(value), " ")
			q.orderBy, q.descending = property, strings.EqualFold(strings.TrimSpace(direction), "desc")
		case "filter":
			q.where = value
			if q.filter, err = parseFilter(value); err != nil {
				q.badWhere = value
			}
		case "search":
			q.search = value
		case "expand":
			q.expand = value
		default:
			if strings.HasPrefix(name, "$") {
				q.unknown = name
			}
		}
	}
	return q, nil
}

// condition is one comparison of a filter; all of them must hold.
type condition struct {
	property string
	op       string   // eq, ne, startswith, any
	values   []string // one, or several for "in"
	quoted   bool
}

// parseFilter reads the part of OData's filters that the directory supports
// without advanced query capabilities: eq, in, startswith, any(x:x eq …), and.
func parseFilter(text string) ([]condition, error) {
	if len(text) > 4096 {
		return nil, errQuery
	}
	var list []condition
	for _, part := range splitAnd(text) {
		c, err := parseCondition(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

// splitAnd splits at " and " outside of quotes.
func splitAnd(text string) []string {
	var parts []string
	quoted, start := false, 0
	for i := 0; i < len(text); i++ {
		if text[i] == '\'' {
			quoted = !quoted
		}
		if !quoted && i+5 <= len(text) && strings.EqualFold(text[i:i+5], " and ") {
			parts = append(parts, text[start:i])
			start = i + 5
			i += 4
		}
	}
	return append(parts, text[start:])
}

// indexFold finds an ASCII text in any case. Lower-casing all of s would move
// positions: some letters and broken UTF-8 change their length.
func indexFold(s, sub string) int {
	for i := 0; i+len(sub) <= len(s); i++ {
		if strings.EqualFold(s[i:i+len(sub)], sub) {
			return i
		}
	}
	return -1
}

func parseCondition(s string) (condition, error) {
	switch {
	case indexFold(s, "startswith(") == 0 && strings.HasSuffix(s, ")"):
		property, value, ok := strings.Cut(s[len("startswith("):len(s)-1], ",")
		text, quoted, err := literal(strings.TrimSpace(value))
		if !ok || err != nil || !quoted {
			return condition{}, errQuery
		}
		return condition{property: strings.TrimSpace(property), op: "startswith", values: []string{text}, quoted: true}, nil
	case indexFold(s, "/any(") > 0 && strings.HasSuffix(s, ")"):
		at := indexFold(s, "/any(")
		variable, body, ok := strings.Cut(s[at+5:len(s)-1], ":")
		inner, err := parseCondition(strings.TrimSpace(body))
		if !ok || err != nil || inner.op != "eq" || inner.property != strings.TrimSpace(variable) {
			return condition{}, errQuery
		}
		return condition{property: strings.TrimSpace(s[:at]), op: "any", values: inner.values, quoted: inner.quoted}, nil
	}
	fields := strings.SplitN(s, " ", 3)
	if len(fields) != 3 {
		return condition{}, errQuery
	}
	value := strings.TrimSpace(fields[2])
	switch strings.ToLower(fields[1]) {
	case "eq":
		text, quoted, err := literal(value)
		return condition{property: fields[0], op: "eq", values: []string{text}, quoted: quoted}, err
	case "in":
		if !strings.HasPrefix(value, "(") || !strings.HasSuffix(value, ")") {
			return condition{}, errQuery
		}
		c := condition{property: fields[0], op: "eq"}
		for item := range strings.SplitSeq(value[1:len(value)-1], ",") {
			text, quoted, err := literal(strings.TrimSpace(item))
			if err != nil {
				return condition{}, err
			}
			c.values, c.quoted = append(c.values, text), quoted
		}
		return c, nil
	}
	return condition{}, errQuery
}

// literal reads 'text', a GUID, a number, true, false or null.
func literal(s string) (text string, quoted bool, err error) {
	if len(s) >= 2 && s[0] == '\'' && s[len(s)-1] == '\'' {
		inner := s[1 : len(s)-1]
		if strings.Contains(strings.ReplaceAll(inner, "''", ""), "'") {
			return "", false, errQuery
		}
		return strings.ReplaceAll(inner, "''", "'"), true, nil
	}
	if _, numErr := strconv.Atoi(s); isGUID(s) || s == "true" || s == "false" || s == "null" || numErr == nil {
		return s, false, nil
	}
	return "", false, errQuery
}

// fields is an object on its way to JSON: properties by name.
type fields map[string]json.RawMessage

// fieldsOf takes one of our structs apart.
func fieldsOf(v any) fields {
	var f fields
	if b, err := json.Marshal(v); err == nil {
		_ = json.Unmarshal(b, &f)
	}
	var more fields
	switch x := v.(type) {
	case *application:
		more = x.other
	case *servicePrincipal:
		more = x.other
	}
	for name, raw := range more {
		f[name] = raw
	}
	return f
}

// matches reports whether the object fulfils a condition; texts compare
// without regard to case, as the directory does.
func (f fields) matches(c condition) bool {
	raw, ok := f[c.property]
	if !ok {
		return slices.Contains(c.values, "null") && !c.quoted
	}
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return false
	}
	equal := func(v any, want string) bool {
		switch x := v.(type) {
		case string:
			return strings.EqualFold(x, want)
		case bool:
			return !c.quoted && strconv.FormatBool(x) == want
		case nil:
			return !c.quoted && want == "null"
		}
		return false
	}
	for _, want := range c.values {
		switch c.op {
		case "startswith":
			s, ok := v.(string)
			if ok && len(s) >= len(want) && strings.EqualFold(s[:len(want)], want) {
				return true
			}
		case "any":
			items, _ := v.([]any)
			if slices.ContainsFunc(items, func(item any) bool { return equal(item, want) }) {
				return true
			}
		default:
			if equal(v, want) {
				return true
			}
		}
	}
	return false
}

func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}
