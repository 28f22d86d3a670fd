package psrp

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/c2conn/c2conn/internal/sim/onprem/org"
)

var errCLIXML = errors.New("not valid CLIXML")

// decode reads the serialised value of a message.
func decode(data []byte) (any, error) {
	root, err := parseXML(data)
	if err != nil {
		return nil, err
	}
	r := clixmlReader{objects: map[string]*Object{}, types: map[string][]string{}}
	return r.value(root)
}

type clixmlReader struct {
	objects map[string]*Object
	types   map[string][]string
}

func (r *clixmlReader) value(e *element) (any, error) {
	if e.name.Space != "" {
		return nil, fmt.Errorf("%w: element %s of another namespace", errCLIXML, e.name.Local)
	}
	switch e.name.Local {
	case "Obj":
		return r.object(e)
	case "Ref":
		o, ok := r.objects[e.attr("RefId")]
		if !ok {
			return nil, fmt.Errorf("%w: reference to object %q, which is not there", errCLIXML, e.attr("RefId"))
		}
		return o, nil
	}
	if len(e.children) > 0 {
		return nil, fmt.Errorf("%w: elements in %s", errCLIXML, e.name.Local)
	}
	v, err := primitive(e.name.Local, e.text)
	if err != nil {
		return nil, fmt.Errorf("%w: %s %q: %w", errCLIXML, e.name.Local, cut(e.text), err)
	}
	return v, nil
}

func cut(s string) string { return s[:min(len(s), 40)] }

// primitive reads a value of a primitive type ([MS-PSRP] 2.2.5.1).
func primitive(tag, text string) (any, error) {
	signed := func(bits int) (int64, error) { return strconv.ParseInt(text, 10, bits) }
	unsigned := func(bits int) (uint64, error) { return strconv.ParseUint(text, 10, bits) }
	switch tag {
	case "Nil":
		if text != "" {
			return nil, errors.New("has text")
		}
		return nil, nil
	case "S":
		return unescape(text), nil
	case "B":
		switch text {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		return nil, errors.New("neither true nor false")
	case "I32", "I16", "SB":
		n, err := signed(map[string]int{"I32": 32, "I16": 16, "SB": 8}[tag])
		return int32(n), err
	case "I64", "TS":
		if tag == "TS" {
			_, err := parseDuration(text)
			return text, err
		}
		return signed(64)
	case "By", "U16", "C", "U32":
		n, err := unsigned(map[string]int{"By": 8, "U16": 16, "C": 16, "U32": 32}[tag])
		return int64(n), err
	case "U64":
		return unsigned(64)
	case "Sg", "Db", "D":
		f, err := strconv.ParseFloat(text, 64)
		if err == nil && tag == "D" && (math.IsInf(f, 0) || math.IsNaN(f)) {
			err = errors.New("no decimal number")
		}
		return f, err
	case "DT":
		return time.Parse(time.RFC3339Nano, text)
	case "BA":
		b, err := base64.StdEncoding.DecodeString(text)
		return string(b), err
	case "G":
		return parseGUID(text)
	case "Version":
		for part := range strings.SplitSeq(text, ".") {
			if _, err := strconv.ParseUint(part, 10, 31); err != nil {
				return nil, errors.New("no version")
			}
		}
		if n := strings.Count(text, "."); n < 1 || n > 3 {
			return nil, errors.New("no version")
		}
		return Version(text), nil
	case "URI", "XD":
		return unescape(text), nil
	case "SBK":
		return ScriptBlock(unescape(text)), nil
	case "SS":
		return SecureString(text), nil
	}
	return nil, errors.New("unknown element")
}

func parseGUID(text string) (g org.GUID, err error) {
	if len(text) != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return g, errors.New("no GUID")
	}
	b, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	if err != nil || len(b) != len(g) {
		return g, errors.New("no GUID")
	}
	copy(g[:], b)
	return g, nil
}

func (r *clixmlReader) object(e *element) (*Object, error) {
	id := e.attr("RefId")
	if _, err := strconv.ParseUint(id, 10, 31); err != nil {
		return nil, fmt.Errorf("%w: object with the id %q", errCLIXML, id)
	}
	if _, taken := r.objects[id]; taken {
		return nil, fmt.Errorf("%w: two objects with the id %s", errCLIXML, id)
	}
	o := &Object{}
	r.objects[id] = o
	seen := map[string]bool{}
	for _, c := range e.children {
		tag := c.name.Local
		kind := tag
		switch tag {
		case "TN", "TNRef":
			kind = "type"
		case "ToString", "Props", "MS":
		default:
			kind = "base"
		}
		if seen[kind] {
			return nil, fmt.Errorf("%w: two times %s in one object", errCLIXML, tag)
		}
		seen[kind] = true
		var err error
		switch tag {
		case "TN":
			err = r.typeNames(c, o)
		case "TNRef":
			var ok bool
			if o.Types, ok = r.types[c.attr("RefId")]; !ok {
				err = fmt.Errorf("%w: reference to type names %q, which are not there", errCLIXML, c.attr("RefId"))
			}
		case "ToString":
			o.Text = unescape(c.text)
		case "Props":
			o.Props, err = r.members(c)
		case "MS":
			o.Extended, err = r.members(c)
		case "LST", "STK", "QUE", "IE":
			list := List{}
			for _, item := range c.children {
				v, err := r.value(item)
				if err != nil {
					return nil, err
				}
				list = append(list, v)
			}
			o.Base = list
		case "DCT":
			o.Base, err = r.dict(c)
		default:
			o.Base, err = r.value(c)
		}
		if err != nil {
			return nil, err
		}
	}
	return o, nil
}

func (r *clixmlReader) typeNames(e *element, o *Object) error {
	id := e.attr("RefId")
	if _, err := strconv.ParseUint(id, 10, 31); err != nil || r.types[id] != nil || len(e.children) == 0 {
		return fmt.Errorf("%w: type names with the id %q", errCLIXML, id)
	}
	for _, t := range e.children {
		if !t.is("", "T") {
			return fmt.Errorf("%w: %s among type names", errCLIXML, t.name.Local)
		}
		o.Types = append(o.Types, unescape(t.text))
	}
	r.types[id] = o.Types
	return nil
}

func (r *clixmlReader) members(e *element) ([]Property, error) {
	list := []Property{}
	for _, c := range e.children {
		name := unescape(c.attr("N"))
		if name == "" {
			return nil, fmt.Errorf("%w: a property without a name", errCLIXML)
		}
		v, err := r.value(c)
		if err != nil {
			return nil, err
		}
		list = append(list, Property{name, v})
	}
	return list, nil
}

func (r *clixmlReader) dict(e *element) (Dict, error) {
	d := Dict{}
	for _, en := range e.children {
		if !en.is("", "En") || len(en.children) != 2 || en.children[0].attr("N") != "Key" || en.children[1].attr("N") != "Value" {
			return nil, fmt.Errorf("%w: entry of a dictionary", errCLIXML)
		}
		k, err := r.value(en.children[0])
		if err != nil {
			return nil, err
		}
		v, err := r.value(en.children[1])
		if err != nil {
			return nil, err
		}
		d = append(d, Entry{k, v})
	}
	return d, nil
}
