package psremoting

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
)

// Limits of one serialised object. A mailbox has some 300 properties, 5 levels and 30 KiB.
const (
	clixmlDepth = 64
	clixmlCount = 100_000 // objects, those behind references counted each time
	clixmlText  = 1 << 20 // bytes of one text
	clixmlTypes = 32      // type names of one object
)

// parseCLIXML reads the one object of a message.
//
// Source: MS-PSRP 2.2.5.
func parseCLIXML(data []byte) (Object, error) {
	if len(data) > messageLimit {
		return Object{}, errTooBig
	}
	r := reader{d: xml.NewDecoder(bytes.NewReader(data)), refs: map[string]*reference{}, types: map[string][]string{}}
	start, end, err := r.next()
	if err != nil && !errors.Is(err, io.EOF) {
		return Object{}, err
	}
	if err != nil || end {
		return Object{}, errCLIXML
	}
	o, _, err := r.value(start)
	if err != nil {
		return Object{}, err
	}
	if _, _, err := r.next(); !errors.Is(err, io.EOF) {
		return Object{}, errCLIXML
	}
	return o, nil
}

// reader reads elements. Namespaces are not looked at: RawToken spares the work.
type reader struct {
	d     *xml.Decoder
	open  []string // elements not closed yet
	count int
	refs  map[string]*reference
	types map[string][]string
}

// reference is an object with a RefId.
type reference struct {
	object Object
	cost   int  // objects within it, itself included
	done   bool // false while it is being read: a reference then leads in a circle
}

// next returns the next start tag, or that the innermost element ends. Text other
// than white space between elements is an error.
func (r *reader) next() (start xml.StartElement, end bool, err error) {
	for {
		t, err := r.d.RawToken()
		if errors.Is(err, io.EOF) && len(r.open) == 0 {
			return start, false, io.EOF
		}
		if err != nil {
			return start, false, errCLIXML
		}
		switch t := t.(type) {
		case xml.StartElement:
			if len(r.open) >= clixmlDepth {
				return start, false, errTooDeep
			}
			r.open = append(r.open, t.Name.Local)
			return t, false, nil
		case xml.EndElement:
			return start, true, r.close(t)
		case xml.CharData:
			if len(bytes.TrimSpace(t)) > 0 {
				return start, false, errCLIXML
			}
		case xml.Directive:
			return start, false, errDoctype
		}
	}
}

func (r *reader) close(t xml.EndElement) error {
	if len(r.open) == 0 || r.open[len(r.open)-1] != t.Name.Local {
		return errCLIXML
	}
	r.open = r.open[:len(r.open)-1]
	return nil
}

// text reads up to the end of an element without children.
func (r *reader) text() (string, error) {
	var b strings.Builder
	for {
		t, err := r.d.RawToken()
		if err != nil {
			return "", errCLIXML
		}
		switch t := t.(type) {
		case xml.CharData:
			if b.Len()+len(t) > clixmlText {
				return "", errTooBig
			}
			b.Write(t)
		case xml.EndElement:
			return b.String(), r.close(t)
		case xml.StartElement:
			return "", errCLIXML
		case xml.Directive:
			return "", errDoctype
		}
	}
}

// spend counts n objects more.
func (r *reader) spend(n int) error {
	if r.count += n; r.count > clixmlCount {
		return errTooDeep
	}
	return nil
}

// value reads the element that start has opened, and returns how many objects it holds.
func (r *reader) value(start xml.StartElement) (Object, int, error) {
	if err := r.spend(1); err != nil {
		return Object{}, 0, err
	}
	switch start.Name.Local {
	case "Obj":
		return r.object(attribute(start, "RefId"))
	case "Ref":
		if _, err := r.text(); err != nil {
			return Object{}, 0, err
		}
		ref := r.refs[attribute(start, "RefId")]
		switch {
		case ref == nil:
			return Object{}, 0, errCLIXML
		case !ref.done:
			// In a circle: what encloses it is named, and not repeated.
			return Object{Types: ref.object.Types, Text: ref.object.Text}, 1, nil
		}
		return ref.object, ref.cost, r.spend(ref.cost - 1)
	}
	kind, ok := primitive(start.Name.Local)
	if !ok {
		return Object{}, 0, errCLIXML
	}
	text, err := r.text()
	if err != nil {
		return Object{}, 0, err
	}
	return kind.object(text), 1, nil
}

// object reads an Obj element.
func (r *reader) object(id string) (Object, int, error) {
	ref := &reference{cost: 1}
	if id != "" {
		r.refs[id] = ref
	}
	o, text, hasText := &ref.object, "", false
	for {
		start, end, err := r.next()
		if err != nil {
			return Object{}, 0, err
		}
		if end {
			break
		}
		switch start.Name.Local {
		case "TN":
			o.Types, err = r.typeNames(attribute(start, "RefId"))
		case "TNRef":
			var ok bool
			if o.Types, ok = r.types[attribute(start, "RefId")]; !ok {
				return Object{}, 0, errCLIXML
			}
			_, err = r.text()
		case "ToString":
			text, err = r.text()
			text, hasText = unescape(text), true
			o.Text = text
		case "Props", "MS":
			err = r.each(ref, func(name string, v Object) { o.Properties = append(o.Properties, Property{name, v}) })
		case "LST", "IE", "QUE", "STK":
			err = r.each(ref, func(_ string, v Object) { o.List = append(o.List, v) })
		case "DCT":
			err = r.entries(ref)
		default: // the value of an enumeration, or a primitive with properties
			var v Object
			var cost int
			if v, cost, err = r.value(start); err == nil {
				o.Value, ref.cost = v.Value, ref.cost+cost
				if o.Types == nil {
					o.Types = v.Types
				}
				if !hasText {
					o.Text = v.Text
				}
			}
		}
		if err != nil {
			return Object{}, 0, err
		}
	}
	ref.done = true
	return *o, ref.cost, nil
}

// typeNames reads a TN element.
func (r *reader) typeNames(id string) ([]string, error) {
	var names []string
	for {
		start, end, err := r.next()
		if err != nil {
			return nil, err
		}
		if end {
			break
		}
		if start.Name.Local != "T" || len(names) >= clixmlTypes {
			return nil, errCLIXML
		}
		s, err := r.text()
		if err != nil {
			return nil, err
		}
		names = append(names, unescape(s))
	}
	r.types[id] = names
	return names, nil
}

// each reads values up to the end of their container.
func (r *reader) each(ref *reference, take func(name string, v Object)) error {
	for {
		start, end, err := r.next()
		if err != nil || end {
			return err
		}
		v, cost, err := r.value(start)
		if err != nil {
			return err
		}
		ref.cost += cost
		take(unescape(attribute(start, "N")), v)
	}
}

// entries reads a DCT element.
func (r *reader) entries(ref *reference) error {
	for {
		start, end, err := r.next()
		if err != nil || end {
			return err
		}
		if start.Name.Local != "En" {
			return errCLIXML
		}
		var e Entry
		n := 0
		err = r.each(ref, func(name string, v Object) {
			switch n++; name {
			case "Key":
				e.Key = v
			case "Value":
				e.Value = v
			}
		})
		if err != nil {
			return err
		}
		if n != 2 {
			return errCLIXML
		}
		ref.object.Entries = append(ref.object.Entries, e)
	}
}

func attribute(start xml.StartElement, name string) string {
	for _, a := range start.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}
