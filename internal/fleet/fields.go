package fleet

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/wizard"
)

// form is how a field is written.
type form int

const (
	formText form = iota
	formFlag
	formSecret
)

// fieldOf is a field of a flow as the file has it.
type fieldOf struct {
	form   form
	help   string
	values []string // of a choice whose values are the same everywhere
}

// kinds are the fields of each kind by the names of their flags, those of the sign-in
// left out: who signs in is no property of a connection.
func kinds() map[connections.Kind]map[string]fieldOf {
	signIn := map[string]bool{}
	for _, f := range wizard.SignInFlow("").Fields() {
		signIn[f.Key] = f.Key != "cloud" && f.Key != "tenant_id"
	}
	all := map[connections.Kind]map[string]fieldOf{}
	for _, flow := range wizard.Flows() {
		fields := map[string]fieldOf{}
		for _, f := range flow.Fields() {
			switch name := f.FlagName(); {
			case signIn[f.Key]:
			case f.Input == wizard.Secret:
				fields[name] = fieldOf{form: formSecret, help: f.Title}
			case f.Input == wizard.Choice:
				var values []string
				for _, o := range f.Options(nil) {
					values = append(values, o.Value)
					if o.Flag != "" && o.Unavailable == "" {
						fields[o.Flag] = fieldOf{form: formFlag, help: o.Title}
					}
				}
				if name != "" {
					fields[name] = fieldOf{help: f.Title, values: values}
				}
			case name != "":
				fields[name] = fieldOf{help: f.Title}
			}
		}
		all[flow.Kind] = fields
	}
	return all
}

func (r *reader) anyKindHas(name string) bool {
	if name == "kind" || name == "registration" {
		return true
	}
	for _, fields := range r.kinds {
		if _, ok := fields[name]; ok {
			return true
		}
	}
	return false
}

func fieldNames(fields map[string]fieldOf) []string {
	return append([]string{"kind", "registration"}, slices.Sorted(maps.Keys(fields))...)
}

func kindNames() string {
	var names []string
	for _, f := range wizard.Flows() {
		names = append(names, string(f.Kind))
	}
	return strings.Join(names, ", ")
}

// Schema is the JSON Schema of the file, made of the flows' fields.
func Schema() ([]byte, error) {
	type object = map[string]any
	secret := object{"description": "Where the secret is; never the secret itself.", "type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": false,
		"properties": object{"file": object{"type": "string"}, "env": object{"type": "string"}, "exec": object{"type": "string"}}}
	common := object{}
	property := func(f fieldOf) object {
		p := object{"description": f.help}
		switch {
		case f.form == formSecret:
			return object{"$ref": "#/$defs/secret", "description": f.help}
		case f.form == formFlag:
			p["type"] = "boolean"
		case len(f.values) > 0:
			p["enum"] = f.values
		default:
			p["type"] = []string{"string", "integer"}
		}
		return p
	}
	registration := object{"enum": []string{"auto", "manual"}, "description": "How the application is registered."}
	var kindsOf []any
	for _, flow := range wizard.Flows() {
		fields := kinds()[flow.Kind]
		properties := object{"kind": object{"const": string(flow.Kind)}, "registration": registration}
		for name, f := range fields {
			properties[name] = property(f)
			common[name] = property(f)
		}
		kindsOf = append(kindsOf, object{"properties": properties, "additionalProperties": false, "title": string(flow.Kind)})
	}
	delete(common, "name")
	common["registration"] = registration
	common["kind"] = object{"type": "string"}
	schema := object{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Fleet of c2conn",
		"description": "The file of c2conn apply. Keys may be written with _ instead of -.",
		"type":        "object", "required": []string{"fleet", "connections"}, "additionalProperties": false,
		"properties": object{
			"fleet":    object{"type": "string", "description": "The name by which the connections of this file are known."},
			"defaults": object{"type": "object", "properties": common, "additionalProperties": false},
			"tenants": object{"type": "object", "description": "How an administrator signs in, by tenant id or domain.",
				"additionalProperties": object{"type": "object", "properties": object{"access-token": object{"$ref": "#/$defs/secret"}}, "additionalProperties": false}},
			"connections": object{"type": "array", "items": object{"type": "object", "required": []string{"name"}, "anyOf": kindsOf}},
		},
		"$defs": object{"secret": secret},
	}
	text, err := json.MarshalIndent(schema, "", "  ")
	return append(text, '\n'), err
}
