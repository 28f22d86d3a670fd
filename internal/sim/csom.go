package sim

import (
	"errors"
	"fmt"
	"strings"

	"github.com/c2conn/c2conn/internal/sim/soap"
)

// csomNS is the namespace of a client query.
const csomNS = "http://schemas.microsoft.com/sharepoint/clientquery/2009"

var errCSOM = errors.New("the request cannot be read")

// csomRequest is a client query: actions on objects, and the paths to the objects.
//
// Source: [MS-CSOM] section 3.1.4.1 and the schema in section 6.1.
type csomRequest struct {
	schema  string
	library string
	actions []csomAction
	paths   map[string]csomPath
}

// csomAction is one thing to do with an object.
type csomAction struct {
	kind     string // ObjectPath, ObjectIdentityQuery or Query; others are read but not simulated
	id       string
	pathID   string
	query    csomSelect
	children *csomSelect
}

// csomSelect says which properties are asked for.
type csomSelect struct {
	all   bool
	names []string
}

// csomPath is the way to an object.
type csomPath struct {
	kind   string // Constructor, Method, Property, StaticProperty, StaticMethod, Identity
	id     string
	parent string
	typeID string
	name   string
	params []csomValue
}

// csomValue is a parameter: a text with its type, or an object with properties.
type csomValue struct {
	kind   string // String, Boolean, Int32, Enum, Null, …; empty for an object
	typeID string
	text   string
	props  map[string]csomValue
}

// parseCSOM reads a client query as strictly as its schema is: every action names
// a path, every path leads somewhere, ids are numbers that occur once.
func parseCSOM(data []byte) (csomRequest, error) {
	root, err := soap.Parse(data)
	if err != nil {
		return csomRequest{}, fmt.Errorf("%w: %w", errCSOM, err)
	}
	if stray := foreign(root, csomNS); stray != nil {
		return csomRequest{}, fmt.Errorf("%w: the element %s is of another namespace", errCSOM, stray.Local)
	}
	r := csomRequest{schema: root.Attrs["SchemaVersion"], library: root.Attrs["LibraryVersion"], paths: map[string]csomPath{}}
	if root.Local != "Request" || r.schema == "" || r.library == "" || len(root.Children) != 2 || root.Children[0].Local != "Actions" || root.Children[1].Local != "ObjectPaths" {
		return r, fmt.Errorf("%w: it is no Request with a SchemaVersion, a LibraryVersion, Actions and ObjectPaths", errCSOM)
	}
	seen := map[string]bool{}
	for _, n := range root.Children[1].Children {
		p, err := readPath(n)
		if err != nil {
			return r, err
		}
		if !isNumber(p.id) || seen[p.id] {
			return r, fmt.Errorf("%w: the object path id %q", errCSOM, p.id)
		}
		seen[p.id], r.paths[p.id] = true, p
	}
	for _, n := range root.Children[0].Children {
		a, err := readAction(n)
		if err != nil {
			return r, err
		}
		if !isNumber(a.id) || seen[a.id] {
			return r, fmt.Errorf("%w: the action id %q", errCSOM, a.id)
		}
		if _, ok := r.paths[a.pathID]; !ok {
			return r, fmt.Errorf("%w: the action %s is on an object path that is not there", errCSOM, a.id)
		}
		seen[a.id] = true
		r.actions = append(r.actions, a)
	}
	return r, nil
}

// foreign finds an element of another namespace.
func foreign(n *soap.Node, space string) *soap.Node {
	if n.Space != space {
		return n
	}
	for _, c := range n.Children {
		if stray := foreign(c, space); stray != nil {
			return stray
		}
	}
	return nil
}

func isNumber(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

func readPath(n *soap.Node) (csomPath, error) {
	p := csomPath{kind: n.Local, id: n.Attrs["Id"], parent: n.Attrs["ParentId"], typeID: strings.ToLower(n.Attrs["TypeId"]), name: n.Attrs["Name"]}
	var missing bool
	switch n.Local {
	case "Constructor":
		missing = p.typeID == ""
	case "Method", "Property":
		missing = p.parent == "" || p.name == ""
	case "StaticProperty", "StaticMethod":
		missing = p.typeID == "" || p.name == ""
	case "Identity":
		missing = p.name == ""
	default:
		return p, fmt.Errorf("%w: an object path called %s", errCSOM, n.Local)
	}
	if missing {
		return p, fmt.Errorf("%w: the object path %s lacks an attribute", errCSOM, n.Local)
	}
	for _, list := range n.Children {
		if list.Local != "Parameters" {
			return p, fmt.Errorf("%w: an element %s in an object path", errCSOM, list.Local)
		}
		for _, parameter := range list.Children {
			if parameter.Local != "Parameter" {
				return p, fmt.Errorf("%w: an element %s among the parameters", errCSOM, parameter.Local)
			}
			v, err := readValue(parameter)
			if err != nil {
				return p, err
			}
			p.params = append(p.params, v)
		}
	}
	return p, nil
}

func readValue(n *soap.Node) (csomValue, error) {
	v := csomValue{kind: n.Attrs["Type"], typeID: strings.ToLower(n.Attrs["TypeId"]), text: n.Text}
	if (v.kind == "") == (v.typeID == "") {
		return v, fmt.Errorf("%w: a value needs a Type or a TypeId", errCSOM)
	}
	if v.kind != "" {
		if len(n.Children) > 0 {
			return v, fmt.Errorf("%w: elements in a value of the type %s", errCSOM, v.kind)
		}
		return v, v.check()
	}
	v.props = map[string]csomValue{}
	for _, c := range n.Children {
		name := c.Attrs["Name"]
		if _, twice := v.props[name]; c.Local != "Property" || name == "" || twice {
			return v, fmt.Errorf("%w: the property %q", errCSOM, name)
		}
		one, err := readValue(c)
		if err != nil {
			return v, err
		}
		v.props[name] = one
	}
	return v, nil
}

// check holds a text against its type.
func (v csomValue) check() error {
	ok := true
	switch v.kind {
	case "Boolean":
		ok = v.text == "true" || v.text == "false"
	case "Int32", "Int64", "Enum", "Byte", "Int16":
		ok = isNumber(strings.TrimPrefix(v.text, "-"))
	case "Null":
		ok = v.text == ""
	case "String", "Guid", "DateTime", "Number", "Double", "Single", "Binary", "Array":
	default:
		ok = false
	}
	if !ok {
		return fmt.Errorf("%w: %q is no value of the type %s", errCSOM, v.text, v.kind)
	}
	return nil
}

func readAction(n *soap.Node) (csomAction, error) {
	a := csomAction{kind: n.Local, id: n.Attrs["Id"], pathID: n.Attrs["ObjectPathId"]}
	switch n.Local {
	case "ObjectPath", "ObjectIdentityQuery", "Method", "SetProperty":
	case "Query":
		if len(n.Children) == 0 || n.Children[0].Local != "Query" {
			return a, fmt.Errorf("%w: a Query without a Query", errCSOM)
		}
		for _, c := range n.Children {
			s, err := readSelect(c)
			if err != nil {
				return a, err
			}
			switch {
			case c.Local == "Query":
				a.query = s
			case c.Local == "ChildItemQuery" && a.children == nil:
				a.children = &s
			default:
				return a, fmt.Errorf("%w: an element %s in a Query", errCSOM, c.Local)
			}
		}
	default:
		return a, fmt.Errorf("%w: an action called %s", errCSOM, n.Local)
	}
	return a, nil
}

func readSelect(n *soap.Node) (csomSelect, error) {
	s := csomSelect{all: strings.EqualFold(n.Attrs["SelectAllProperties"], "true")}
	for _, list := range n.Children {
		if list.Local != "Properties" {
			continue // QueryableExpression: conditions, which change nothing here
		}
		for _, p := range list.Children {
			if p.Local != "Property" || p.Attrs["Name"] == "" {
				return s, fmt.Errorf("%w: a property without a name", errCSOM)
			}
			s.names = append(s.names, p.Attrs["Name"])
		}
	}
	return s, nil
}
