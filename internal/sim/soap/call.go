package soap

import (
	"fmt"
	"slices"
	"strings"
)

// Build is the version that a server tells in ServerVersionInfo: the four numbers of
// its build and the newest schema that it knows.
type Build struct {
	Major, Minor, Build, Revision int
	Schema                        string
}

// Envelope wraps a response.
func (v Build) Envelope(body string) string {
	return Declaration + `<s:Envelope xmlns:s="` + EnvelopeNS + `"><s:Header>` +
		fmt.Sprintf(`<h:ServerVersionInfo MajorVersion="%d" MinorVersion="%d" MajorBuildNumber="%d" MinorBuildNumber="%d" Version="%s" xmlns:h="`, v.Major, v.Minor, v.Build, v.Revision, Escape(v.Schema)) +
		TypesNS + `"/></s:Header><s:Body xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema">` + body + `</s:Body></s:Envelope>`
}

// Call is a request that has the form of EWS.
type Call struct {
	Operation    string
	Body         *Node  // the operation
	SIDKind, SID string // of ExchangeImpersonation; empty when absent
	Version      string // of RequestServerVersion; empty when absent
}

// ParseCall reads a SOAP 1.1 envelope with the headers of EWS and one operation; the
// values that RequestServerVersion may have come from the server.
func ParseCall(data []byte, versions []string) (Call, *Fault) {
	var call Call
	root, err := Parse(data)
	if err != nil {
		return call, &Fault{Code: "ErrorInvalidRequest"}
	}
	if !root.Is(EnvelopeNS, "Envelope") {
		return call, Violation(root, "The root element must be 'Envelope' in namespace '"+EnvelopeNS+"'.")
	}
	rest := root.Children
	if len(rest) > 0 && rest[0].Is(EnvelopeNS, "Header") {
		if fault := call.headers(rest[0], versions); fault != nil {
			return call, fault
		}
		rest = rest[1:]
	}
	if len(rest) != 1 || !rest[0].Is(EnvelopeNS, "Body") || len(rest[0].Children) != 1 {
		return call, Violation(root, "The envelope must hold one Body with one operation.")
	}
	call.Body = rest[0].Children[0]
	call.Operation = call.Body.Local
	if call.Body.Space != MessagesNS {
		return call, Unexpected(call.Body)
	}
	return call, nil
}

func (call *Call) headers(header *Node, versions []string) *Fault {
	for _, h := range header.Children {
		switch {
		case h.Is(TypesNS, "RequestServerVersion"):
			if call.Version = h.Attrs["Version"]; !slices.Contains(versions, call.Version) {
				return &Fault{Code: "ErrorInvalidServerVersion"}
			}
		case h.Is(TypesNS, "ExchangeImpersonation"):
			if len(h.Children) != 1 || !h.Children[0].Is(TypesNS, "ConnectingSID") || len(h.Children[0].Children) != 1 {
				return Violation(h, "ExchangeImpersonation must hold one ConnectingSID with one address.")
			}
			sid := h.Children[0].Children[0]
			if sid.Space != TypesNS || !slices.Contains([]string{"PrincipalName", "SID", "PrimarySmtpAddress", "SmtpAddress"}, sid.Local) {
				return Unexpected(sid)
			}
			if strings.TrimSpace(sid.Text) == "" {
				return Violation(sid, "The element '"+sid.Local+"' must not be empty.")
			}
			call.SIDKind, call.SID = sid.Local, strings.TrimSpace(sid.Text)
		}
	}
	return nil
}
