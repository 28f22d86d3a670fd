package psrp

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/c2conn/c2conn/internal/sim/onprem/org"
)

const bom = "\ufeff"

// Values of CLIXML: nil, bool, string, int32, int64, uint32, uint64, float64,
// time.Time, org.GUID, and the types below.
type (
	// Version is a System.Version.
	Version string
	// ScriptBlock is the text of a script block.
	ScriptBlock string
	// SecureString is a secure string as it was sent: encrypted with a session key.
	SecureString string

	// Object is a complex object: property bag, list, dictionary, or a value with
	// properties ([MS-PSRP] 2.2.5.2). The same pointer is written once and then
	// referred to.
	Object struct {
		Types    []string // type names, the most derived first
		Text     string   // ToString
		Base     any      // List, Dict or a primitive value; nil: a property bag
		Props    []Property
		Extended []Property // members that PowerShell adds: MS
	}
	// Property is a named value.
	Property struct {
		Name  string
		Value any
	}
	// List is the elements of a list.
	List []any
	// Dict is the entries of a dictionary.
	Dict []Entry
	// Entry is one of them.
	Entry struct{ Key, Value any }
	// Enum is a value of an enumeration. Wide ones are 64 bits.
	Enum struct {
		Type  string
		Name  string
		Value int64
		Wide  bool
	}
)

// enum gives the object that an enumeration value is in CLIXML.
func (e Enum) object() *Object {
	o := &Object{Types: []string{e.Type, "System.Enum", "System.ValueType", "System.Object"}, Text: e.Name, Base: int32(e.Value)}
	if e.Wide {
		o.Base = e.Value
	}
	return o
}

// member gives an extended or adapted property, as PowerShell looks it up:
// without regard to case.
func (o *Object) member(name string) (any, bool) {
	if o == nil {
		return nil, false
	}
	for _, list := range [][]Property{o.Extended, o.Props} {
		for _, p := range list {
			if strings.EqualFold(p.Name, name) {
				return p.Value, true
			}
		}
	}
	return nil, false
}

// escape writes a string as CLIXML does: what XML 1.0 cannot hold, and the
// underscore of what looks like an escape, as _xHHHH_ ([MS-PSRP] 2.2.5.3.2);
// then markup.
func escape(b *strings.Builder, s string) {
	for i, r := range s {
		switch {
		case r == '_' && len(s) > i+1 && (s[i+1] == 'x' || s[i+1] == 'X'):
			b.WriteString("_x005F_")
		case r < 0x20 || r >= 0x7f && r <= 0x9f || r == 0xfffe || r == 0xffff:
			fmt.Fprintf(b, "_x%04X_", r)
		case r > 0xffff:
			// PowerShell escapes each half of a surrogate pair.
			hi, lo := utf16.EncodeRune(r)
			fmt.Fprintf(b, "_x%04X__x%04X_", hi, lo)
		case r == '&':
			b.WriteString("&amp;")
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '"':
			b.WriteString("&quot;")
		default:
			b.WriteRune(r)
		}
	}
}

func isEscape(s string) bool {
	if len(s) < 7 || s[0] != '_' || s[1] != 'x' && s[1] != 'X' || s[6] != '_' {
		return false
	}
	_, err := strconv.ParseUint(s[2:6], 16, 16)
	return err == nil
}

// unescape undoes escape after XML has been read.
func unescape(s string) string {
	if !strings.Contains(s, "_x") && !strings.Contains(s, "_X") {
		return s
	}
	var units []uint16
	for len(s) > 0 {
		if isEscape(s) {
			n, _ := strconv.ParseUint(s[2:6], 16, 16)
			units = append(units, uint16(n))
			s = s[7:]
			continue
		}
		r, n := utf8.DecodeRuneInString(s)
		units = utf16.AppendRune(units, r)
		s = s[n:]
	}
	return string(utf16.Decode(units))
}

// dateTime is how CLIXML writes a point in time.
const dateTime = "2006-01-02T15:04:05.9999999Z07:00"

// encode serialises a value as Windows does: no declaration, TNRef and Ref for
// what was written before.
func encode(v any) string {
	w := &clixmlWriter{objects: map[*Object]int{}, types: map[string]int{}}
	w.value("", v)
	return w.b.String()
}

type clixmlWriter struct {
	b       strings.Builder
	objects map[*Object]int
	types   map[string]int
	next    int
}

func (w *clixmlWriter) open(tag, name string) {
	w.b.WriteString("<" + tag)
	if name != "" {
		w.b.WriteString(` N="`)
		escape(&w.b, name)
		w.b.WriteString(`"`)
	}
}

func (w *clixmlWriter) simple(tag, name, text string) {
	w.open(tag, name)
	w.b.WriteString(">")
	escape(&w.b, text)
	w.b.WriteString("</" + tag + ">")
}

func (w *clixmlWriter) value(name string, v any) {
	switch v := v.(type) {
	case nil:
		w.open("Nil", name)
		w.b.WriteString(" />")
	case bool:
		w.simple("B", name, strconv.FormatBool(v))
	case string:
		w.simple("S", name, v)
	case int:
		w.simple("I32", name, strconv.Itoa(v))
	case int32:
		w.simple("I32", name, strconv.FormatInt(int64(v), 10))
	case int64:
		w.simple("I64", name, strconv.FormatInt(v, 10))
	case time.Time:
		w.simple("DT", name, v.Format(dateTime))
	case org.GUID:
		w.simple("G", name, v.String())
	case Version:
		w.simple("Version", name, string(v))
	case Enum:
		w.object(name, v.object())
	case List:
		w.object(name, &Object{Types: []string{"System.Object[]", "System.Array", "System.Object"}, Base: v})
	case *Object:
		w.object(name, v)
	default:
		// A cmdlet of the simulation that gives another type is a mistake of ours.
		panic(fmt.Sprintf("psrp: no CLIXML for %T", v))
	}
}

func (w *clixmlWriter) object(name string, o *Object) {
	if id, ok := w.objects[o]; ok {
		w.open("Ref", name)
		fmt.Fprintf(&w.b, ` RefId="%d" />`, id)
		return
	}
	w.objects[o] = w.next
	w.open("Obj", name)
	fmt.Fprintf(&w.b, ` RefId="%d">`, w.next)
	w.next++
	if len(o.Types) > 0 {
		key := strings.Join(o.Types, "\n")
		if id, ok := w.types[key]; ok {
			fmt.Fprintf(&w.b, `<TNRef RefId="%d" />`, id)
		} else {
			id = len(w.types)
			w.types[key] = id
			fmt.Fprintf(&w.b, `<TN RefId="%d">`, id)
			for _, t := range o.Types {
				w.simple("T", "", t)
			}
			w.b.WriteString("</TN>")
		}
	}
	if o.Text != "" {
		w.simple("ToString", "", o.Text)
	}
	switch base := o.Base.(type) {
	case nil:
	case List:
		w.block("LST", len(base), func() {
			for _, e := range base {
				w.value("", e)
			}
		})
	case Dict:
		w.block("DCT", len(base), func() {
			for _, e := range base {
				w.b.WriteString("<En>")
				w.value("Key", e.Key)
				w.value("Value", e.Value)
				w.b.WriteString("</En>")
			}
		})
	default:
		w.value("", base)
	}
	if len(o.Props) > 0 {
		w.block("Props", len(o.Props), func() { w.members(o.Props) })
	}
	if len(o.Extended) > 0 {
		w.block("MS", len(o.Extended), func() { w.members(o.Extended) })
	}
	w.b.WriteString("</Obj>")
}

func (w *clixmlWriter) block(tag string, n int, write func()) {
	if n == 0 {
		w.b.WriteString("<" + tag + " />")
		return
	}
	w.b.WriteString("<" + tag + ">")
	write()
	w.b.WriteString("</" + tag + ">")
}

func (w *clixmlWriter) members(list []Property) {
	for _, p := range list {
		w.value(p.Name, p.Value)
	}
}
