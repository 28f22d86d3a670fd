// Package fleet reads the file that describes many connections: what c2conn apply makes
// true. It hides the form of the file. Which fields a connection has is not written here:
// they are those of the wizard's flows.
package fleet

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/transport"
)

// File is a fleet as it is described.
type File struct {
	Name    string
	Entries []Entry
	Tokens  []Token // by tenant
}

// Entry is one connection of the file.
type Entry struct {
	Name   string
	Kind   connections.Kind
	Line   int
	Auto   bool
	Values map[string]Value // by the flag that would give it, without dashes
}

// Value is a value of an entry: a text, or a reference to a secret.
type Value struct {
	Text    string
	Ref     connections.Ref // instead of Text
	Line    int
	Default bool // it is a default of the file, not the entry's own
}

// Token says where the token is that an administrator signs in to a tenant with.
type Token struct {
	Tenant string // id or domain, lower case
	Ref    connections.Ref
	Line   int
}

// Problem is what is wrong with the file at one place.
type Problem struct {
	Line int // 0 where unknown
	Text string
}

// Error is everything that is wrong with a file.
type Error struct {
	Path     string
	Problems []Problem
}

func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.At(e.Path)
	}
	return strings.Join(lines, "\n")
}

// At is the problem with its place.
func (p Problem) At(path string) string {
	if p.Line == 0 {
		return path + ": " + p.Text
	}
	return fmt.Sprintf("%s:%d: %s", path, p.Line, p.Text)
}

// mostEntries bounds a file; more are several fleets.
const mostEntries = 20_000

// Parse reads a file. Errors: *Error, with all problems there are.
func Parse(path string, data []byte) (*File, error) {
	r := reader{file: &File{}, kinds: kinds()}
	var doc, more yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		return nil, &Error{Path: path, Problems: []Problem{yamlProblem(err)}}
	}
	if doc.Kind != yaml.DocumentNode || doc.Content[0].Kind != yaml.MappingNode {
		return nil, &Error{Path: path, Problems: []Problem{{Line: 1, Text: "this is no fleet file: it begins with \"fleet: NAME\" and lists \"connections:\""}}}
	}
	r.top(doc.Content[0])
	// What follows a "---" would be passed over, and --prune would delete it.
	if err := dec.Decode(&more); err == nil {
		r.wrong(&more, "a file holds one fleet, and another document begins here; write all connections into one list")
	} else if !errors.Is(err, io.EOF) {
		r.problems = append(r.problems, yamlProblem(err))
	}
	if len(r.problems) > 0 {
		slices.SortStableFunc(r.problems, func(a, b Problem) int { return a.Line - b.Line })
		return nil, &Error{Path: path, Problems: r.problems}
	}
	return r.file, nil
}

var yamlLine = regexp.MustCompile(`line (\d+): `)

func yamlProblem(err error) Problem {
	p := Problem{Text: "this is no YAML"}
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		_, _ = fmt.Sscan(m[1], &p.Line)
		// Not yaml's own words: they may quote what stands there.
	}
	return p
}

// reader collects the file and what is wrong with it.
type reader struct {
	file     *File
	kinds    map[connections.Kind]map[string]fieldOf
	problems []Problem
}

func (r *reader) wrong(n *yaml.Node, format string, args ...any) {
	r.problems = append(r.problems, Problem{Line: n.Line, Text: transport.CleanText(fmt.Sprintf(format, args...), 0)})
}

// pairs calls do for each key of a mapping, once.
func (r *reader) pairs(n *yaml.Node, what string, do func(name string, key, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		r.wrong(n, "%s must be a list of \"key: value\"", what)
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		name := strings.ReplaceAll(strings.ToLower(key.Value), "_", "-")
		switch {
		case key.Kind != yaml.ScalarNode || value.Kind == yaml.AliasNode || key.Tag == "!!merge":
			r.wrong(key, "aliases and merged keys are not read here; use \"defaults:\"")
		case seen[name]:
			r.wrong(key, "%q is here twice", name)
		default:
			seen[name] = true
			do(name, key, value)
		}
	}
}

func (r *reader) top(n *yaml.Node) {
	var defaults, list *yaml.Node
	r.pairs(n, "a fleet file", func(name string, key, value *yaml.Node) {
		switch name {
		case "fleet":
			r.file.Name = value.Value
			if err := connections.ValidName(value.Value); err != nil || value.Kind != yaml.ScalarNode {
				var field *connections.FieldError
				reason := "it must be a name"
				if errors.As(err, &field) {
					reason = field.Reason
				}
				r.wrong(value, "fleet: %s", reason)
			}
		case "defaults":
			defaults = value
		case "connections":
			list = value
		case "tenants":
			r.tenants(value)
		default:
			r.wrong(key, "%q is unknown here; there are: fleet, defaults, tenants, connections", name)
		}
	})
	if r.file.Name == "" {
		r.problems = append(r.problems, Problem{Line: n.Line, Text: "\"fleet: NAME\" is missing: connections are known by it as those of this file"})
	}
	if list == nil || list.Kind != yaml.SequenceNode {
		r.problems = append(r.problems, Problem{Line: n.Line, Text: "\"connections:\" is missing, or is no list"})
		return
	}
	if len(list.Content) > mostEntries {
		r.wrong(list, "more than %d connections are not read; make several fleets of them", mostEntries)
		return
	}
	common := map[string]raw{}
	if defaults != nil {
		r.pairs(defaults, "defaults", func(name string, key, value *yaml.Node) {
			if name == "name" || !r.anyKindHas(name) {
				r.wrong(key, "%q is no field that connections have in common", name)
				return
			}
			common[name] = raw{key, value}
		})
	}
	names := map[string]int{}
	for _, n := range list.Content {
		r.entry(n, common, names)
	}
}

// raw is a field before it is known what it means.
type raw struct{ key, value *yaml.Node }

func (r *reader) entry(n *yaml.Node, common map[string]raw, names map[string]int) {
	own, order := map[string]raw{}, []string{}
	r.pairs(n, "a connection", func(name string, key, value *yaml.Node) {
		own[name] = raw{key, value}
		order = append(order, name)
	})
	if n.Kind != yaml.MappingNode {
		return
	}
	e := Entry{Line: n.Line, Values: map[string]Value{}}
	get := func(name string) (raw, bool) {
		if v, ok := own[name]; ok {
			return v, true
		}
		v, ok := common[name]
		return v, ok
	}
	if v, ok := own["name"]; !ok || v.value.Value == "" {
		r.wrong(n, "a connection needs a name")
	} else {
		e.Name = v.value.Value
		lower := strings.ToLower(e.Name)
		if first := names[lower]; first > 0 {
			r.wrong(v.key, "the name %q stands in line %d already", e.Name, first)
		}
		names[lower] = v.key.Line
	}
	kind, ok := get("kind")
	if ok {
		e.Kind = connections.Kind(strings.ToLower(kind.value.Value))
	}
	fields := r.kinds[e.Kind]
	if fields == nil {
		r.wrong(n, "kind must be one of %s", kindNames())
		return
	}
	for _, name := range order {
		if name != "kind" {
			r.value(&e, fields, name, own[name], true)
		}
	}
	for name, v := range common {
		if _, mine := own[name]; !mine && name != "kind" && !contradicts(name, own) {
			r.value(&e, fields, name, v, false)
			if given, ok := e.Values[name]; ok {
				given.Default = true
				e.Values[name] = given
			}
		}
	}
	if e.Auto {
		if _, ok := e.Values["tenant-id"]; !ok {
			r.wrong(n, "%s is registered automatically, so tenant-id must say in which tenant", e.Name)
		}
	}
	r.file.Entries = append(r.file.Entries, e)
}

// contradicts reports whether a default does not count because the entry says otherwise.
func contradicts(name string, own map[string]raw) bool {
	ways := []string{"auto", "manual", "registration"}
	if !slices.Contains(ways, name) {
		return false
	}
	if _, server := own["on-premises"]; server {
		return true // no application is registered
	}
	return slices.ContainsFunc(ways, func(w string) bool { _, ok := own[w]; return ok })
}

// value reads one field of an entry. A default that the kind does not have is not for it.
func (r *reader) value(e *Entry, fields map[string]fieldOf, name string, v raw, own bool) {
	if name == "registration" {
		switch way := strings.ToLower(v.value.Value); way {
		case "auto", "manual":
			e.Values[way], e.Auto = Value{Text: "true", Line: v.key.Line}, way == "auto"
		default:
			r.wrong(v.value, "registration is auto or manual")
		}
		return
	}
	f, ok := fields[name]
	if !ok {
		if own {
			r.wrong(v.key, "%q is no field of kind %s; there are: %s", name, e.Kind, strings.Join(fieldNames(fields), ", "))
		}
		return
	}
	switch f.form {
	case formSecret:
		if ref, ok := r.secret(name, v); ok {
			e.Values[name] = Value{Ref: ref, Line: v.key.Line}
		}
	case formFlag:
		if v.value.Tag != "!!bool" {
			r.wrong(v.value, "%s is true or false", name)
			return
		}
		text := strings.ToLower(v.value.Value)
		e.Values[name] = Value{Text: text, Line: v.key.Line}
		if name == "auto" || name == "manual" {
			e.Auto = name == "auto" && text == "true"
		}
	default:
		if v.value.Kind != yaml.ScalarNode {
			r.wrong(v.value, "%s must be a single value", name)
			return
		}
		e.Values[name] = Value{Text: v.value.Value, Line: v.key.Line}
	}
}

// secret reads where a secret is. The secret itself is refused, and not repeated.
func (r *reader) secret(name string, v raw) (connections.Ref, bool) {
	if v.value.Kind != yaml.MappingNode || len(v.value.Content) != 2 || v.value.Content[1].Kind != yaml.ScalarNode {
		r.wrong(v.value, "%s must not stand in the file; say where it is: %s: {file: PATH}, {env: NAME} or {exec: COMMAND}. One that stood here should be made anew", name, name)
		return "", false
	}
	scheme, value := strings.ToLower(v.value.Content[0].Value), v.value.Content[1].Value
	if !slices.Contains([]string{connections.SchemeFile, connections.SchemeEnv, connections.SchemeExec}, scheme) || strings.TrimSpace(value) == "" {
		r.wrong(v.value, "%s is read from file, env or exec, and nothing else", name)
		return "", false
	}
	return connections.Ref(scheme + ":" + value), true
}

// tenants reads where the administrators' tokens are.
func (r *reader) tenants(n *yaml.Node) {
	r.pairs(n, "tenants", func(tenant string, _, value *yaml.Node) {
		r.pairs(value, "a tenant", func(name string, key, value *yaml.Node) {
			if name != "access-token" {
				r.wrong(key, "%q is unknown here; a tenant has an access-token only", name)
				return
			}
			if ref, ok := r.secret(name, raw{key, value}); ok {
				r.file.Tokens = append(r.file.Tokens, Token{Tenant: tenant, Ref: ref, Line: key.Line})
			}
		})
	})
}
