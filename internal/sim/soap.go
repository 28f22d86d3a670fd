package sim

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Bounds on what is read of a SOAP message.
const (
	maxXMLDepth    = 64
	maxXMLElements = 20_000
)

var errXML = errors.New("not a readable XML document")

// node is an XML element: enough of it to judge an EWS request.
type node struct {
	space, local string
	attrs        map[string]string // unqualified attributes only
	children     []*node
	text         string
	raw          []byte // text while it is read
	line, column int
}

// parseXML reads a document into a tree. Document type declarations are
// refused, as SOAP 1.1 (section 3) asks.
func parseXML(data []byte) (*node, error) {
	d := xml.NewDecoder(bytes.NewReader(data))
	var root *node
	var open []*node
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
			n := &node{space: t.Name.Space, local: t.Name.Local, attrs: map[string]string{}}
			n.line, n.column = d.InputPos()
			for _, a := range t.Attr {
				if a.Name.Space == "" && a.Name.Local != "xmlns" {
					n.attrs[a.Name.Local] = a.Value
				}
			}
			if len(open) > 0 {
				parent := open[len(open)-1]
				parent.children = append(parent.children, n)
			} else if root != nil {
				return nil, fmt.Errorf("%w: two root elements", errXML)
			} else {
				root = n
			}
			open = append(open, n)
		case xml.EndElement:
			last := open[len(open)-1]
			last.text, last.raw = string(last.raw), nil
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				n := open[len(open)-1]
				n.raw = append(n.raw, t...)
			} else if len(bytes.TrimSpace(bytes.TrimPrefix(t, []byte("\ufeff")))) > 0 {
				return nil, fmt.Errorf("%w: text outside of the root element", errXML)
			}
		}
	}
	if root == nil || len(open) > 0 {
		return nil, errXML
	}
	return root, nil
}

func (n *node) is(space, local string) bool { return n.space == space && n.local == local }

// soapFault is a SOAP fault of EWS: always HTTP 500.
type soapFault struct {
	code   string
	text   string // instead of the code's usual text
	values []messageValue
	at     *node  // where a schema violation is
	why    string // what it is
}

// messageValue is a value of MessageXml.
type messageValue struct{ name, value string }

// ewsText are the usual texts of response codes.
//
// Source: learn.microsoft.com/exchange/client-developer/web-service-reference/responsecode.
func ewsText(code string) string {
	known := map[string]string{
		"ErrorAccessDenied":                           "Access is denied. Check credentials and try again.",
		"ErrorFolderNotFound":                         "The specified folder could not be found in the store.",
		"ErrorImpersonateUserDenied":                  "The account does not have permission to impersonate the requested user.",
		"ErrorImpersonationDenied":                    "The account does not have permission to impersonate through this server.",
		"ErrorInvalidExchangeImpersonationHeaderData": "The ExchangeImpersonation header data is invalid.",
		"ErrorInvalidIdMalformed":                     "Id is malformed.",
		"ErrorInvalidOperation":                       "It is not valid to specify a mailbox with the public folder root.",
		"ErrorInvalidRequest":                         "The request is invalid.",
		"ErrorInvalidServerVersion":                   "The specified server version is invalid.",
		"ErrorInvalidUserPrincipalName":               "The user principal name is invalid.",
		"ErrorInvalidUserSid":                         "The user SID is invalid.",
		"ErrorMailboxMoveInProgress":                  "The mailbox is being moved. Try again later.",
		"ErrorMailboxStoreUnavailable":                "The mailbox database is temporarily unavailable.",
		"ErrorNameResolutionNoResults":                "No results were found.",
		"ErrorNoPublicFolderServerAvailable":          "There are no public folder servers available.",
		"ErrorNonExistentMailbox":                     "The SMTP address has no mailbox associated with it.",
		"ErrorNonPrimarySmtpAddress":                  "The primary SMTP address must be specified when referencing a mailbox.",
		"ErrorOrganizationAccessBlocked":              "The tenant is marked for removal.",
		"ErrorPublicFolderMailboxDiscoveryFailed":     "The mailbox of the public folders could not be found.",
		"ErrorPublicFolderOperationFailed":            "The operation on the public folder failed.",
		"ErrorSchemaValidation":                       "The request failed schema validation.",
		"ErrorServerBusy":                             "The server cannot service this request right now. Try again later.",
		"ErrorTimeoutExpired":                         "The request timed out.",
		"ErrorInternalServerError":                    "An internal server error occurred. The operation failed.",
	}
	if text, ok := known[code]; ok {
		return text
	}
	return "The request failed (" + code + ")."
}

// human is a text for people, spoiled by the fault hostile-text.
func (w *World) human(text string) string {
	if w.faults.at("hostile-text", serviceOutlook) != nil {
		return hostileXML(text)
	}
	return text
}

func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a strings.Builder takes everything
	return b.String()
}

// soapFault writes a fault as Exchange does.
func (w *World) soapFault(f soapFault) *answer {
	text := f.text
	if text == "" {
		text = ewsText(f.code)
	}
	if f.why != "" {
		text += " " + f.why
	}
	code, shown := escape(f.code), escape(w.human(text))
	var b strings.Builder
	b.WriteString(xmlDeclaration + `<s:Envelope xmlns:s="` + soapNS + `"><s:Body><s:Fault><faultcode xmlns:a="` + typesNS + `">a:` + code + `</faultcode><faultstring xml:lang="en-US">` + shown + `</faultstring><detail>`)
	b.WriteString(`<e:ResponseCode xmlns:e="` + errorsNS + `">` + code + `</e:ResponseCode><e:Message xmlns:e="` + errorsNS + `">` + shown + `</e:Message>`)
	if f.at != nil || len(f.values) > 0 {
		b.WriteString(`<t:MessageXml xmlns:t="` + typesNS + `">`)
		if f.at != nil {
			b.WriteString(`<t:LineNumber>` + strconv.Itoa(f.at.line) + `</t:LineNumber><t:LinePosition>` + strconv.Itoa(f.at.column) + `</t:LinePosition><t:Violation>` + escape(w.human(f.why)) + `</t:Violation>`)
		}
		for _, v := range f.values {
			b.WriteString(`<t:Value Name="` + escape(v.name) + `">` + escape(v.value) + `</t:Value>`)
		}
		b.WriteString(`</t:MessageXml>`)
	}
	b.WriteString(`</detail></s:Fault></s:Body></s:Envelope>`)
	return newAnswer(http.StatusInternalServerError, ewsContentType, []byte(b.String()))
}

// soapEnvelope wraps a response message.
func (w *World) soapEnvelope(body string) string {
	return xmlDeclaration + `<s:Envelope xmlns:s="` + soapNS + `"><s:Header><h:ServerVersionInfo MajorVersion="15" MinorVersion="20" MajorBuildNumber="9253" MinorBuildNumber="12" Version="V2018_01_08" xmlns:h="` +
		typesNS + `"/></s:Header><s:Body xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema">` + body + `</s:Body></s:Envelope>`
}

// violation is the fault for a message that the schema of EWS does not allow.
func violation(at *node, why string) *soapFault {
	return &soapFault{code: "ErrorSchemaValidation", at: at, why: why}
}

func unexpected(at *node) *soapFault {
	return violation(at, "The element '"+at.local+"' in namespace '"+at.space+"' is not expected here.")
}

// serverVersions are the values of RequestServerVersion: those of the published
// schema and those that Exchange Online added.
func serverVersions() []string {
	return []string{"Exchange2007", "Exchange2007_SP1", "Exchange2010", "Exchange2010_SP1", "Exchange2010_SP2", "Exchange2013", "Exchange2013_SP1", "Exchange2015", "Exchange2016",
		"V2015_10_05", "V2016_01_06", "V2016_04_13", "V2016_07_13", "V2016_10_10", "V2017_01_07", "V2017_04_14", "V2017_07_11", "V2017_10_09", "V2018_01_08"}
}

// ewsCall is a request that has the form of EWS.
type ewsCall struct {
	operation    string
	body         *node
	sidKind, sid string // of ExchangeImpersonation; empty when absent
	routing      routing
}

// parseEWS reads a SOAP 1.1 envelope with the headers of EWS and one operation.
func parseEWS(data []byte) (ewsCall, *soapFault) {
	var call ewsCall
	root, err := parseXML(data)
	if err != nil {
		return call, &soapFault{code: "ErrorInvalidRequest"}
	}
	if !root.is(soapNS, "Envelope") {
		return call, violation(root, "The root element must be 'Envelope' in namespace '"+soapNS+"'.")
	}
	rest := root.children
	if len(rest) > 0 && rest[0].is(soapNS, "Header") {
		if fault := call.headers(rest[0]); fault != nil {
			return call, fault
		}
		rest = rest[1:]
	}
	if len(rest) != 1 || !rest[0].is(soapNS, "Body") || len(rest[0].children) != 1 {
		return call, violation(root, "The envelope must hold one Body with one operation.")
	}
	call.body = rest[0].children[0]
	call.operation = call.body.local
	if call.body.space != messagesNS {
		return call, unexpected(call.body)
	}
	return call, nil
}

func (call *ewsCall) headers(header *node) *soapFault {
	for _, h := range header.children {
		switch {
		case h.is(typesNS, "RequestServerVersion"):
			if !slices.Contains(serverVersions(), h.attrs["Version"]) {
				return &soapFault{code: "ErrorInvalidServerVersion"}
			}
		case h.is(typesNS, "ExchangeImpersonation"):
			if len(h.children) != 1 || !h.children[0].is(typesNS, "ConnectingSID") || len(h.children[0].children) != 1 {
				return violation(h, "ExchangeImpersonation must hold one ConnectingSID with one address.")
			}
			sid := h.children[0].children[0]
			known := sid.space == typesNS && slices.Contains([]string{"PrincipalName", "SID", "PrimarySmtpAddress", "SmtpAddress"}, sid.local)
			if !known {
				return unexpected(sid)
			}
			if strings.TrimSpace(sid.text) == "" {
				return violation(sid, "The element '"+sid.local+"' must not be empty.")
			}
			call.sidKind, call.sid = sid.local, strings.TrimSpace(sid.text)
		}
	}
	return nil
}
