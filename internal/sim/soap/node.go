// Package soap is what the simulated Exchange Online and the simulated Exchange
// Server have in common: the SOAP 1.1 messages of Exchange Web Services as the
// published schema has them, with the faults for those that it does not allow, and
// the folders that every mailbox has. It knows nothing of accounts and mailboxes.
package soap

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Bounds on what is read of a message.
const (
	maxDepth    = 64
	maxElements = 20_000
)

// Declaration begins every XML document that is sent.
const Declaration = `<?xml version="1.0" encoding="utf-8"?>`

// ErrXML marks what is no readable XML document, or one beyond the bounds.
var ErrXML = errors.New("not a readable XML document")

// Node is an XML element: enough of it to judge a request.
type Node struct {
	Space, Local string
	Attrs        map[string]string // unqualified attributes only
	Children     []*Node
	Text         string
	Line, Column int

	raw []byte // text while it is read
}

// Is tells whether the element has this name in this namespace.
func (n *Node) Is(space, local string) bool { return n.Space == space && n.Local == local }

// Child is the first child of that name, or nil.
func (n *Node) Child(space, local string) *Node {
	for _, c := range n.Children {
		if c.Is(space, local) {
			return c
		}
	}
	return nil
}

// Parse reads a document into a tree. Document type declarations are refused, as
// SOAP 1.1 (section 3) asks.
func Parse(data []byte) (*Node, error) {
	d := xml.NewDecoder(bytes.NewReader(data))
	var root *Node
	var open []*Node
	count := 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrXML, err)
		}
		switch t := token.(type) {
		case xml.Directive:
			return nil, fmt.Errorf("%w: document type declaration", ErrXML)
		case xml.StartElement:
			if count++; count > maxElements || len(open) >= maxDepth {
				return nil, fmt.Errorf("%w: too many or too deep elements", ErrXML)
			}
			n := &Node{Space: t.Name.Space, Local: t.Name.Local, Attrs: map[string]string{}}
			n.Line, n.Column = d.InputPos()
			for _, a := range t.Attr {
				if a.Name.Space == "" && a.Name.Local != "xmlns" {
					n.Attrs[a.Name.Local] = a.Value
				}
			}
			if len(open) > 0 {
				parent := open[len(open)-1]
				parent.Children = append(parent.Children, n)
			} else if root != nil {
				return nil, fmt.Errorf("%w: two root elements", ErrXML)
			} else {
				root = n
			}
			open = append(open, n)
		case xml.EndElement:
			last := open[len(open)-1]
			last.Text, last.raw = string(last.raw), nil
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				n := open[len(open)-1]
				n.raw = append(n.raw, t...)
			} else if len(bytes.TrimSpace(bytes.TrimPrefix(t, []byte("\ufeff")))) > 0 {
				return nil, fmt.Errorf("%w: text outside of the root element", ErrXML)
			}
		}
	}
	if root == nil || len(open) > 0 {
		return nil, ErrXML
	}
	return root, nil
}

// Escape makes a text safe in XML, in attributes too.
func Escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a strings.Builder takes everything
	return b.String()
}
