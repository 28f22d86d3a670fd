package sharepoint

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"mime"
	"net/http"
	"strings"
)

// format is one of those in which the REST service answers.
type format int

const (
	atom    format = iota // what it speaks without an Accept header
	verbose               // application/json;odata=verbose (OData 2)
	minimal               // application/json;odata=minimalmetadata (OData 3), the default of JSON
	full
	none
)

// formatOf reads the Accept header; false: the service has no such format.
//
// Sources: learn.microsoft.com/sharepoint/dev/sp-add-ins/get-to-know-the-sharepoint-rest-service
// and "JSON Light support in REST SharePoint API released" (Office blogs, 2014).
func (f *Farm) formatOf(accept string) (format, bool) {
	if strings.TrimSpace(accept) == "" {
		return atom, true
	}
	known := map[string]format{"verbose": verbose, "minimalmetadata": minimal, "fullmetadata": full, "nometadata": none}
	if f.has("sp-verbose-only") {
		known = map[string]format{"verbose": verbose}
	}
	for part := range strings.SplitSeq(accept, ",") {
		kind, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		switch kind {
		case "application/json":
			odata, given := params["odata"]
			if !given && !f.has("sp-verbose-only") {
				return minimal, true
			}
			if as, ok := known[strings.ToLower(odata)]; ok {
				return as, true
			}
		case "application/atom+xml", "application/xml", "text/xml", "text/html", "application/*", "*/*":
			return atom, true
		}
	}
	return atom, false
}

func (as format) contentType(entry bool) string {
	switch as {
	case verbose:
		return "application/json;odata=verbose;charset=utf-8"
	case minimal:
		return "application/json;odata=minimalmetadata;streaming=true;charset=utf-8"
	case full:
		return "application/json;odata=fullmetadata;streaming=true;charset=utf-8"
	case none:
		return "application/json;odata=nometadata;streaming=true;charset=utf-8"
	}
	if entry {
		return "application/atom+xml;type=entry;charset=utf-8"
	}
	return "application/xml;charset=utf-8"
}

// property is one of an object. Its value is a string, bool, int, nil, typed, object or
// list.
type property struct {
	name  string
	value any
}

// typed is a value that JSON has as a string and Atom with a type.
type typed struct{ edm, text string }

// object is a complex value.
type object struct {
	edm        string
	properties []property
}

// list is a collection.
type list struct {
	edm      string // "Collection(…)"; "" tells none in any format
	elements []any
}

// entity is an object with an address.
type entity struct {
	edm        string
	path       string // beneath /_api/, such as "Web"
	set        string // of the metadata document
	properties []property
	links      []string // navigation properties
}

func quoted(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // of strings and numbers: it never fails
	return strings.TrimSpace(b.String())
}

// value writes a value as JSON.
func (as format) value(b *strings.Builder, v any) {
	switch v := v.(type) {
	case nil:
		b.WriteString("null")
	case typed:
		b.WriteString(quoted(v.text))
	case object:
		b.WriteByte('{')
		if as == verbose {
			b.WriteString(`"__metadata":{"type":` + quoted(v.edm) + `}`)
		} else if as == full {
			b.WriteString(`"odata.type":` + quoted(v.edm))
		}
		as.members(b, v.properties, as != verbose && as != full)
		b.WriteByte('}')
	case list:
		if as == verbose {
			b.WriteByte('{')
			if v.edm != "" {
				b.WriteString(`"__metadata":{"type":` + quoted(v.edm) + `},`)
			}
			b.WriteString(`"results":`)
		}
		b.WriteByte('[')
		for i, e := range v.elements {
			if i > 0 {
				b.WriteByte(',')
			}
			as.value(b, e)
		}
		b.WriteByte(']')
		if as == verbose {
			b.WriteByte('}')
		}
	default:
		b.WriteString(quoted(v))
	}
}

func (as format) members(b *strings.Builder, properties []property, first bool) {
	for _, p := range properties {
		if !first {
			b.WriteByte(',')
		}
		first = false
		b.WriteString(quoted(p.name) + ":")
		as.value(b, p.value)
	}
}

// entity writes an entity whose service is at the address api (".../_api/").
func (as format) entity(api string, e entity, whole bool) string {
	var b strings.Builder
	switch as {
	case verbose:
		id := api + e.path
		b.WriteString(`{"d":{"__metadata":{"id":` + quoted(id) + `,"uri":` + quoted(id) + `,"type":` + quoted(e.edm) + `}`)
		for _, link := range e.links {
			if whole {
				b.WriteString("," + quoted(link) + `:{"__deferred":{"uri":` + quoted(id+"/"+link) + `}}`)
			}
		}
		as.members(&b, e.properties, false)
		b.WriteString("}}")
	case minimal, full:
		b.WriteString(`{"odata.metadata":` + quoted(api+"$metadata#"+e.set) + `,"odata.type":` + quoted(e.edm) + `,"odata.id":` + quoted(api+e.path) + `,"odata.editLink":` + quoted(e.path))
		for _, link := range e.links {
			if whole && as == full {
				b.WriteString("," + quoted(link+"@odata.navigationLinkUrl") + ":" + quoted(e.path+"/"+link))
			}
		}
		as.members(&b, e.properties, false)
		b.WriteByte('}')
	case none:
		b.WriteByte('{')
		as.members(&b, e.properties, true)
		b.WriteByte('}')
	default:
		b.WriteString(xml.Header[:len(xml.Header)-1] + `<entry xml:base=` + attribute(api) + ` xmlns="http://www.w3.org/2005/Atom"` + namespaces + `><id>` + escaped(api+e.path) + `</id><category term=` + attribute(e.edm) +
			` scheme="http://schemas.microsoft.com/ado/2007/08/dataservices/scheme" /><link rel="edit" href=` + attribute(e.path) + ` />`)
		for _, link := range e.links {
			if whole {
				b.WriteString(`<link rel="http://schemas.microsoft.com/ado/2007/08/dataservices/related/` + link + `" type="application/atom+xml;type=feed" title="` + link + `" href=` + attribute(e.path+"/"+link) + ` />`)
			}
		}
		b.WriteString(`<title /><updated>2015-01-01T00:00:00Z</updated><author><name /></author><content type="application/xml"><m:properties>`)
		element(&b, e.properties)
		b.WriteString(`</m:properties></content></entry>`)
	}
	return b.String()
}

// result writes a complex value that is the answer itself. name is that of the function.
func (as format) result(api, name string, o object) string {
	var b strings.Builder
	switch as {
	case verbose:
		b.WriteString(`{"d":{` + quoted(name) + `:`)
		as.value(&b, o)
		b.WriteString("}}")
	case minimal, full:
		b.WriteString(`{"odata.metadata":` + quoted(api+"$metadata#"+o.edm))
		as.members(&b, o.properties, false)
		b.WriteByte('}')
	case none:
		as.value(&b, o)
	default:
		b.WriteString(xml.Header[:len(xml.Header)-1] + `<d:` + name + namespaces + ` m:type=` + attribute(o.edm) + `>`)
		element(&b, o.properties)
		b.WriteString(`</d:` + name + `>`)
	}
	return b.String()
}

// single writes one property of an entity.
func (as format) single(api string, p property) string {
	var b strings.Builder
	switch as {
	case verbose:
		b.WriteString(`{"d":{` + quoted(p.name) + `:`)
		as.value(&b, p.value)
		b.WriteString("}}")
	case minimal, full:
		b.WriteString(`{"odata.metadata":` + quoted(api+"$metadata#Edm.String") + `,"value":`)
		as.value(&b, p.value)
		b.WriteByte('}')
	case none:
		b.WriteString(`{"value":`)
		as.value(&b, p.value)
		b.WriteByte('}')
	default:
		b.WriteString(xml.Header[:len(xml.Header)-1])
		var inner strings.Builder
		element(&inner, []property{p})
		b.WriteString(strings.Replace(inner.String(), "<d:"+p.name, "<d:"+p.name+namespaces, 1))
	}
	return b.String()
}

const namespaces = ` xmlns:d="http://schemas.microsoft.com/ado/2007/08/dataservices" xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata" xmlns:georss="http://www.georss.org/georss" xmlns:gml="http://www.opengis.net/gml"`

// element writes properties as Atom has them.
func element(b *strings.Builder, properties []property) {
	for _, p := range properties {
		switch v := p.value.(type) {
		case nil:
			b.WriteString(`<d:` + p.name + ` m:null="true" />`)
		case bool:
			fmt.Fprintf(b, `<d:%s m:type="Edm.Boolean">%t</d:%s>`, p.name, v, p.name)
		case int:
			fmt.Fprintf(b, `<d:%s m:type="Edm.Int32">%d</d:%s>`, p.name, v, p.name)
		case typed:
			b.WriteString(`<d:` + p.name + ` m:type=` + attribute(v.edm) + `>` + escaped(v.text) + `</d:` + p.name + `>`)
		case object:
			b.WriteString(`<d:` + p.name + ` m:type=` + attribute(v.edm) + `>`)
			element(b, v.properties)
			b.WriteString(`</d:` + p.name + `>`)
		case list:
			b.WriteString(`<d:` + p.name + `>`)
			for _, e := range v.elements {
				element(b, []property{{"element", e}})
			}
			b.WriteString(`</d:` + p.name + `>`)
		default:
			b.WriteString(`<d:` + p.name + `>` + escaped(fmt.Sprint(v)) + `</d:` + p.name + `>`)
		}
	}
}

// escaped is text as XML writers of .NET have it that check no characters: what XML has
// no place for becomes a character reference, which no strict reader takes.
func escaped(s string) string {
	var b strings.Builder
	for _, c := range s {
		switch {
		case c == '&':
			b.WriteString("&amp;")
		case c == '<':
			b.WriteString("&lt;")
		case c == '>':
			b.WriteString("&gt;")
		case c == '"':
			b.WriteString("&quot;")
		case c < ' ':
			fmt.Fprintf(&b, "&#%d;", c)
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

func attribute(s string) string { return `"` + escaped(s) + `"` }

// failure is an error of the REST service.
func (r *Request) failure(name string, as format, status int, code, message string) *Answer {
	inner := `{"code":` + quoted(code) + `,"message":{"lang":"en-US","value":` + quoted(message) + `}}`
	body := ""
	switch as {
	case verbose:
		body = `{"error":` + inner + `}`
	case minimal, full, none:
		body = `{"odata.error":` + inner + `}`
	default:
		body = xml.Header[:len(xml.Header)-1] + `<m:error xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata"><m:code>` + escaped(code) + `</m:code><m:message xml:lang="en-US">` + escaped(message) + `</m:message></m:error>`
	}
	short := code
	if _, class, found := strings.Cut(code, ", "); found {
		short = class[strings.LastIndexByte(class, '.')+1:]
	}
	return newAnswer(r.label(name), status, as.contentType(false), body).because(short)
}

// denied is what the REST service says to who has no right.
func (r *Request) denied(name string, as format) *Answer {
	return r.failure(name, as, http.StatusForbidden, "-2147024891, System.UnauthorizedAccessException", "Access denied. You do not have permission to perform this action or access this resource.")
}
