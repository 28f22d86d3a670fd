package autodiscover

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"

	"github.com/c2conn/c2conn/internal/transport"
)

// Limits of an XML answer. A real one has under 20 KiB, 9 levels and 200 elements.
const (
	xmlSize     = 1 << 20
	xmlDepth    = 32
	xmlElements = 5000
)

var (
	errNotXML  = errors.New("the answer is no XML of an autodiscover service")
	errDoctype = errors.New("the answer holds a document type definition")
	errTooBig  = errors.New("the answer is larger than any real one")
)

// node is an element of an answer.
type node struct {
	name     xml.Name
	text     strings.Builder // character data right beneath it
	children []*node
}

// readXML builds the tree of an answer, within the limits.
func readXML(body []byte) (*node, error) {
	if len(body) > xmlSize {
		return nil, errTooBig
	}
	d := xml.NewDecoder(bytes.NewReader(body))
	top := &node{}
	path := []*node{top}
	for count := 0; ; {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, errNotXML
		}
		last := path[len(path)-1]
		switch t := t.(type) {
		case xml.Directive:
			return nil, errDoctype
		case xml.StartElement:
			if count++; count > xmlElements || len(path) > xmlDepth {
				return nil, errTooBig
			}
			n := &node{name: t.Name}
			last.children = append(last.children, n)
			path = append(path, n)
		case xml.EndElement:
			path = path[:len(path)-1]
		case xml.CharData:
			if last != top {
				last.text.Write(t)
			}
		}
	}
	if len(top.children) != 1 {
		return nil, errNotXML
	}
	return top.children[0], nil
}

// all returns the children of that name, in that namespace only.
func (n *node) all(space, name string) []*node {
	var list []*node
	if n != nil {
		for _, c := range n.children {
			if c.name.Space == space && c.name.Local == name {
				list = append(list, c)
			}
		}
	}
	return list
}

// child returns the first of them; nil, which has no children, when there is none.
func (n *node) child(space, name string) *node {
	if list := n.all(space, name); len(list) > 0 {
		return list[0]
	}
	return nil
}

// value is the text of a child, fit to be shown.
func (n *node) value(space, name string) string {
	c := n.child(space, name)
	if c == nil {
		return ""
	}
	return transport.CleanText(strings.TrimSpace(c.text.String()), 2000)
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a strings.Builder never fails
	return b.String()
}
