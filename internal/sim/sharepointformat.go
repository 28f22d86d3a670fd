package sim

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/c2conn/c2conn/internal/sim/soap"
)

// sharePointVersion is the build that the simulated service claims to be.
const sharePointVersion = "16.0.0.26608"

// spFormat is how an answer of the REST service is written.
type spFormat string

// The formats: Atom and XML where nothing else is asked for.
//
// Source: learn.microsoft.com/sharepoint/dev/sp-add-ins/complete-basic-operations-using-sharepoint-rest-endpoints
// and "JSON Light support in REST SharePoint API", 2014-08-13.
const (
	formatXML     spFormat = "xml"
	formatNone    spFormat = "nometadata"
	formatMinimal spFormat = "minimalmetadata"
	formatVerbose spFormat = "verbose"
)

// formatOf reads an Accept header; the first type that SharePoint writes counts.
func formatOf(accept []string) spFormat {
	for one := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		kind, params, err := mime.ParseMediaType(one)
		if err != nil {
			continue
		}
		switch kind {
		case "application/json":
			switch strings.ToLower(params["odata"] + params["odata.metadata"]) {
			case "nometadata", "none":
				return formatNone
			case "verbose":
				return formatVerbose
			}
			return formatMinimal
		case "application/atom+xml", "application/xml", "text/xml", "*/*":
			return formatXML
		}
	}
	return formatXML
}

func (f spFormat) contentType() string {
	switch f {
	case formatXML:
		return "application/xml;charset=utf-8"
	case formatVerbose:
		return "application/json;odata=verbose;charset=utf-8"
	default:
		return "application/json;odata=" + string(f) + ";streaming=true;charset=utf-8"
	}
}

// spObject is an object on its way to the client. One with an address is an
// entity; one without is a value, which verbose answers and XML call by name.
type spObject struct {
	kind    string // type, such as SP.Web
	name    string
	address string // beneath _api
	set     string // as in odata.metadata
	props   []spProp
}

// spProp holds text, a number, a truth, a time, an spLocalTime, an spGUID, nil, an
// spObject, an spPlain or an spList.
type spProp struct {
	name  string
	value any
}

type spGUID string

// spLocalTime is a time that is told without its zone, as a web's Created is.
type spLocalTime struct{ time.Time }

// spPlain is an object without a type.
type spPlain []spProp

type spList struct {
	kind  string
	items []any
}

// refuse writes an error of the REST service.
func (q spRequest) refuse(status int, code, message string) *answer {
	if q.as == formatXML {
		if q.world.faults.at("hostile-text", serviceSharePoint) != nil {
			message = hostileXML(message)
		}
		return newAnswer(status, q.as.contentType(), []byte(soap.Declaration+`<m:error xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata"><m:code>`+
			soap.Escape(code)+`</m:code><m:message xml:lang="en-US">`+soap.Escape(message)+`</m:message></m:error>`))
	}
	key := "odata.error"
	if q.as == formatVerbose {
		key = "error"
	}
	return jsonAnswer(status, q.as.contentType(), map[string]any{key: map[string]any{"code": code, "message": map[string]string{"lang": "en-US", "value": message}}})
}

// give writes an object.
func (q spRequest) give(o spObject) *answer {
	if q.as == formatXML {
		return newAnswer(http.StatusOK, q.xmlType(o), []byte(q.xmlOf(o)))
	}
	body := any(o)
	switch {
	case q.as == formatMinimal:
		props := spPlain{{"odata.metadata", q.api() + "$metadata#" + o.set}}
		if o.address != "" {
			props = append(props, spProp{"odata.type", o.kind}, spProp{"odata.id", q.api() + o.address}, spProp{"odata.editLink", o.address})
		}
		body = append(props, o.props...)
	case q.as == formatVerbose && o.address == "":
		body = spPlain{{"d", spPlain{{o.name, o}}}}
	case q.as == formatVerbose:
		body = spPlain{{"d", o}}
	}
	return newAnswer(http.StatusOK, q.as.contentType(), q.json(nil, body))
}

// giveValue writes one property.
func (q spRequest) giveValue(p spProp) *answer {
	body := spPlain{{"value", p.value}}
	switch q.as {
	case formatXML:
		return newAnswer(http.StatusOK, q.as.contentType(), []byte(soap.Declaration+q.xmlValue(p, ` xmlns:d="`+dataNS+`" xmlns:m="`+dataNS+`/metadata"`)))
	case formatVerbose:
		body = spPlain{{"d", spPlain{p}}}
	case formatMinimal:
		body = spPlain{{"odata.metadata", q.api() + "$metadata#" + edmType(p.value)}, {"value", p.value}}
	}
	return newAnswer(http.StatusOK, q.as.contentType(), q.json(nil, body))
}

// api is the address of the site's REST service.
func (q spRequest) api() string { return q.siteAddress() + "/_api/" }

func (q spRequest) siteAddress() string { return q.world.siteURL(q.site, q.host.suffix) }

// json appends a value as SharePoint writes it. The pages of a search hold thousands
// of small objects, for which maps and encoding/json take too long.
func (q spRequest) json(b []byte, v any) []byte {
	switch x := v.(type) {
	case spObject:
		if q.as != formatVerbose {
			return q.json(b, spPlain(x.props))
		}
		var meta spPlain
		if x.address != "" {
			meta = spPlain{{"id", q.api() + x.address}, {"uri", q.api() + x.address}}
		}
		return q.json(b, append(spPlain{{"__metadata", append(meta, spProp{"type", x.kind})}}, x.props...))
	case spPlain:
		b = append(b, '{')
		for i, p := range x {
			if i > 0 {
				b = append(b, ',')
			}
			b = q.json(append(jsonText(b, p.name), ':'), p.value)
		}
		return append(b, '}')
	case spList:
		if q.as == formatVerbose {
			return q.json(b, spPlain{{"__metadata", spPlain{{"type", "Collection(" + x.kind + ")"}}}, {"results", x.items}})
		}
		return q.json(b, x.items)
	case []any:
		b = append(b, '[')
		for i, item := range x {
			if i > 0 {
				b = append(b, ',')
			}
			b = q.json(b, item)
		}
		return append(b, ']')
	case nil:
		return append(b, "null"...)
	case int, bool:
		return append(b, plainText(x)...)
	default:
		return jsonText(b, plainText(x))
	}
}

// jsonText appends a text in quotes.
func jsonText(b []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(text) // a text always has a form
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), text...), '"')
}

// plainText is a value that is neither object nor list.
func plainText(v any) string {
	switch x := v.(type) {
	case string:
		return x
	case time.Time:
		return x.UTC().Format(time.RFC3339)
	case spLocalTime:
		return x.UTC().Format("2006-01-02T15:04:05")
	default:
		return fmt.Sprint(v)
	}
}

// dataNS is the namespace of data in XML answers.
const dataNS = "http://schemas.microsoft.com/ado/2007/08/dataservices"

func edmType(v any) string {
	switch x := v.(type) {
	case int:
		return "Edm.Int32"
	case bool:
		return "Edm.Boolean"
	case time.Time, spLocalTime:
		return "Edm.DateTime"
	case spGUID:
		return "Edm.Guid"
	case spObject:
		return x.kind
	case spList:
		return "Collection(" + x.kind + ")"
	default:
		return "Edm.String"
	}
}

func (q spRequest) xmlType(o spObject) string {
	if o.address != "" {
		return "application/atom+xml;type=entry;charset=utf-8"
	}
	return q.as.contentType()
}

// xmlOf writes an entity as an Atom entry and anything else as an element.
func (q spRequest) xmlOf(o spObject) string {
	spaces := ` xmlns:d="` + dataNS + `" xmlns:m="` + dataNS + `/metadata"`
	if o.address == "" {
		return soap.Declaration + q.xmlValue(spProp{o.name, o}, spaces)
	}
	var b strings.Builder
	b.WriteString(soap.Declaration + `<entry xml:base="` + soap.Escape(q.api()) + `" xmlns="http://www.w3.org/2005/Atom"` + spaces + `><id>` + soap.Escape(q.api()+o.address) +
		`</id><category term="` + soap.Escape(o.kind) + `" scheme="` + dataNS + `/scheme"/><link rel="edit" href="` + soap.Escape(o.address) + `"/><title/><updated>` +
		q.world.now().UTC().Format(time.RFC3339) + `</updated><author><name/></author><content type="application/xml"><m:properties>`)
	for _, p := range o.props {
		b.WriteString(q.xmlValue(p, ""))
	}
	b.WriteString(`</m:properties></content></entry>`)
	return b.String()
}

// xmlValue writes one property as d:NAME, with the given attributes.
func (q spRequest) xmlValue(p spProp, attributes string) string {
	if kind := edmType(p.value); kind != "Edm.String" {
		attributes += ` m:type="` + soap.Escape(kind) + `"`
	}
	inner := ""
	switch x := p.value.(type) {
	case nil:
		return "<d:" + p.name + attributes + ` m:null="true"/>`
	case spObject:
		for _, one := range x.props {
			inner += q.xmlValue(one, "")
		}
	case spList:
		for _, one := range x.items {
			inner += q.xmlValue(spProp{"element", one}, "")
		}
	case string:
		if q.world.faults.at("hostile-text", serviceSharePoint) != nil && p.name == "Title" {
			x = hostileXML(x)
		}
		inner = soap.Escape(x)
	default:
		inner = soap.Escape(plainText(x))
	}
	return "<d:" + p.name + attributes + ">" + inner + "</d:" + p.name + ">"
}
