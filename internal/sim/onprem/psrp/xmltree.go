package psrp

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
)

// Bounds on the XML of a client. A pipeline with its enums nests about 15 deep.
const (
	maxXMLDepth    = 48
	maxXMLElements = 50_000
)

var errXML = errors.New("not a readable XML document")

// element is an XML element with what SOAP and CLIXML need of it.
type element struct {
	name     xml.Name
	attrs    []xml.Attr
	children []*element
	text     string
	raw      []byte // the text while it is read
}

// parseXML reads a document into a tree. Document type declarations are refused,
// as SOAP 1.2 (section 5) asks.
func parseXML(data []byte) (*element, error) {
	d := xml.NewDecoder(bytes.NewReader(data))
	var root *element
	var open []*element
	count := 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errXML, err)
		}
		switch t := token.(type) {
		case xml.Directive:
			return nil, fmt.Errorf("%w: document type declaration", errXML)
		case xml.StartElement:
			if count++; count > maxXMLElements || len(open) >= maxXMLDepth {
				return nil, fmt.Errorf("%w: too many or too deep elements", errXML)
			}
			e := &element{name: t.Name, attrs: t.Copy().Attr}
			switch {
			case len(open) > 0:
				parent := open[len(open)-1]
				parent.children = append(parent.children, e)
			case root != nil:
				return nil, fmt.Errorf("%w: two root elements", errXML)
			default:
				root = e
			}
			open = append(open, e)
		case xml.EndElement:
			last := open[len(open)-1]
			last.text, last.raw = string(last.raw), nil
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				e := open[len(open)-1]
				e.raw = append(e.raw, t...)
			} else if len(bytes.TrimSpace(bytes.TrimPrefix(t, []byte(bom)))) > 0 {
				return nil, fmt.Errorf("%w: text outside of the root element", errXML)
			}
		}
	}
	if root == nil || len(open) > 0 {
		return nil, errXML
	}
	return root, nil
}

func (e *element) is(space, local string) bool {
	return e != nil && e.name.Space == space && e.name.Local == local
}

// attr gives an attribute without a namespace.
func (e *element) attr(local string) string { return e.attrNS("", local) }

func (e *element) attrNS(space, local string) string {
	for _, a := range e.attrs {
		if a.Name.Space == space && a.Name.Local == local {
			return a.Value
		}
	}
	return ""
}

// child gives the only child of this name; nil when there is none or several.
func (e *element) child(space, local string) *element {
	list := e.all(space, local)
	if len(list) != 1 {
		return nil
	}
	return list[0]
}

func (e *element) all(space, local string) []*element {
	if e == nil {
		return nil
	}
	var list []*element
	for _, c := range e.children {
		if c.is(space, local) {
			list = append(list, c)
		}
	}
	return list
}
