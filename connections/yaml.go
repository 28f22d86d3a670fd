package connections

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// ParseConnection reads the YAML of one connection. path is only used in
// errors, which are *DamagedError (with a line) or *NewerSchemaError.
func ParseConnection(path string, data []byte) (Connection, error) {
	damaged := func(line int, err error) (Connection, error) {
		return Connection{}, &DamagedError{Path: path, Line: line, Err: err}
	}
	if len(data) > fileLimit {
		return Connection{}, tooLarge(path)
	}
	root, line, err := parseMapping(data)
	if err != nil {
		return damaged(line, err)
	}
	version := child(root, "schema")
	if version == nil {
		return damaged(1, errors.New(`it is no connection of c2conn (there is no "schema" line)`))
	}
	var schema int
	if err := version.Decode(&schema); err != nil || schema < 1 {
		return damaged(version.Line, errors.New("schema must be a whole number from 1"))
	}
	// A newer form may mean anything by its fields, so nothing more is read.
	if schema > SchemaVersion {
		return Connection{}, &NewerSchemaError{Path: path, Found: schema}
	}
	var c Connection
	if err := root.Decode(&c); err != nil {
		for _, field := range []string{"credential.not_after", "verification.at", "created", "updated"} {
			group, key, nested := strings.Cut(field, ".")
			node := child(root, group)
			if nested {
				node = child(node, key)
			}
			if node != nil && node.Decode(new(time.Time)) != nil {
				return damaged(node.Line, &FieldError{Field: field, Reason: "must be a time like 2026-11-22T06:00:00Z"})
			}
		}
		line, err := plainYAMLError(err)
		return damaged(line, err)
	}
	c = c.normalised()
	err = c.Validate()
	if err == nil && c.ID == "" {
		err = &FieldError{Field: "id", Reason: "is missing"}
	}
	if err != nil {
		return damaged(lineOf(root, err), err)
	}
	return c, nil
}

// parseMapping reads one YAML document that is a mapping.
func parseMapping(data []byte) (root *yaml.Node, line int, err error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, 1, errors.New("it is empty")
		}
		line, err := plainYAMLError(err)
		return nil, line, err
	}
	var more yaml.Node
	if err := dec.Decode(&more); err == nil {
		return nil, more.Line, errors.New("it holds more than one YAML document")
	} else if !errors.Is(err, io.EOF) {
		line, err := plainYAMLError(err)
		return nil, line, err
	}
	if len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode {
		return nil, 1, errors.New("it is no connection of c2conn (not a list of names and values)")
	}
	return doc.Content[0], 0, nil
}

// child returns the value of a key of a mapping, nil where there is none.
func child(mapping *yaml.Node, key string) *yaml.Node {
	if mapping == nil || mapping.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1]
		}
	}
	return nil
}

// lineOf finds the line of the first field that err complains about, or of the
// nearest thing around it.
func lineOf(root *yaml.Node, err error) int {
	var field *FieldError
	if !errors.As(err, &field) {
		return root.Line
	}
	node := root
	for key := range strings.SplitSeq(field.Field, ".") {
		next := child(node, key)
		if next == nil {
			break
		}
		node = next
	}
	return node.Line
}

// plainYAMLError takes the line out of an error of the YAML library and drops
// the excerpts of the file, which might hold a secret in the wrong place.
func plainYAMLError(err error) (int, error) {
	text := err.Error()
	var several *yaml.TypeError
	if errors.As(err, &several) && len(several.Errors) > 0 {
		text = several.Errors[0]
	}
	line := 0
	// Compiled here and not at start-up: it is needed only for damaged files.
	where := regexp.MustCompile(`line (\d+): `)
	if m := where.FindStringSubmatchIndex(text); m != nil {
		line, _ = strconv.Atoi(text[m[2]:m[3]])
		text = text[m[1]:]
	}
	text = strings.TrimPrefix(text, "yaml: ")
	for _, quote := range "`\"'" {
		if at := strings.IndexRune(text, quote); at >= 0 {
			text = text[:at] + "the value" + text[strings.LastIndexByte(text, byte(quote))+1:]
		}
	}
	return line, fmt.Errorf("it is not valid YAML: %s", clean(text))
}

// render gives the YAML of c. Where old is the previous YAML of the same
// connection, its comments, its order and its unknown fields are kept.
func render(c Connection, old []byte) ([]byte, error) {
	var fresh yaml.Node
	if err := fresh.Encode(c); err != nil {
		return nil, fmt.Errorf("encoding connection %q: %w", c.Name, err)
	}
	if old != nil {
		var doc yaml.Node
		if err := yaml.Unmarshal(old, &doc); err == nil && len(doc.Content) == 1 && doc.Content[0].Kind == yaml.MappingNode {
			merge(doc.Content[0], &fresh, reflect.TypeFor[Connection]())
			data, err := encode(&doc)
			// Aliases and other rarities can make the edited text mean something
			// else; the values matter more than the comments.
			if err == nil {
				if back, err := ParseConnection("", data); err == nil && reflect.DeepEqual(back, c) {
					return data, nil
				}
			}
		}
	}
	return encode(&fresh)
}

func encode(n *yaml.Node) ([]byte, error) {
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(n); err != nil {
		return nil, fmt.Errorf("encoding YAML: %w", err)
	}
	if err := enc.Close(); err != nil {
		return nil, fmt.Errorf("encoding YAML: %w", err)
	}
	return b.Bytes(), nil
}

// merge makes the known fields of old those of fresh and touches nothing else.
// t is the Go type of the mapping: a struct knows its tags, a map every key.
func merge(old, fresh *yaml.Node, t reflect.Type) {
	known := fields(t)
	kept := old.Content[:0:0]
	for i := 0; i+1 < len(old.Content); i += 2 {
		key, value := old.Content[i], old.Content[i+1]
		now := child(fresh, key.Value)
		below, isKnown := known[key.Value]
		switch {
		case now != nil && value.Kind == yaml.MappingNode && now.Kind == yaml.MappingNode:
			merge(value, now, below)
		case now != nil && !sameScalar(value, now):
			now.HeadComment, now.LineComment, now.FootComment = value.HeadComment, value.LineComment, value.FootComment
			value = now
		case now == nil && (isKnown || known == nil):
			if value.Kind != yaml.MappingNode || below == nil || below.Kind() != reflect.Struct {
				continue // the field was emptied
			}
			// An emptied group goes, unless it holds something unknown.
			merge(value, &yaml.Node{Kind: yaml.MappingNode}, below)
			if len(value.Content) == 0 {
				continue
			}
		}
		kept = append(kept, key, value)
	}
	for i := 0; i+1 < len(fresh.Content); i += 2 {
		if child(old, fresh.Content[i].Value) == nil {
			kept = append(kept, fresh.Content[i], fresh.Content[i+1])
		}
	}
	old.Content = kept
}

// sameScalar tells whether a value needs no change, so that its quoting stays.
func sameScalar(a, b *yaml.Node) bool {
	return a.Kind == yaml.ScalarNode && b.Kind == yaml.ScalarNode && a.Value == b.Value && a.ShortTag() == b.ShortTag() && a.Anchor == ""
}

// fields maps the YAML keys of a struct to their types; nil for what is no struct.
func fields(t reflect.Type) map[string]reflect.Type {
	if t == nil || t.Kind() != reflect.Struct {
		return nil
	}
	known := make(map[string]reflect.Type, t.NumField())
	for i := range t.NumField() {
		key, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		known[key] = t.Field(i).Type
	}
	return known
}
