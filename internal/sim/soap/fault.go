package soap

import (
	"strconv"
	"strings"
)

// Namespaces of SOAP 1.1 and of Exchange Web Services.
const (
	EnvelopeNS = "http://schemas.xmlsoap.org/soap/envelope/"
	TypesNS    = "http://schemas.microsoft.com/exchange/services/2006/types"
	MessagesNS = "http://schemas.microsoft.com/exchange/services/2006/messages"
	ErrorsNS   = "http://schemas.microsoft.com/exchange/services/2006/errors"
)

// Fault is a SOAP fault of EWS: always HTTP 500.
type Fault struct {
	Code   string
	Text   string // instead of the code's usual text
	Values []Value
	At     *Node  // where a schema violation is
	Why    string // what it is
}

// Value is a value of MessageXml.
type Value struct{ Name, Value string }

// Text is the usual text of a response code.
//
// Source: learn.microsoft.com/exchange/client-developer/web-service-reference/responsecode.
func Text(code string) string {
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
		"ErrorMissingEmailAddress":                    "When making a request as an account that does not have a mailbox, you must specify the mailbox primary SMTP address for any distinguished folder Ids.",
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

// Violation is the fault for a message that the schema of EWS does not allow.
func Violation(at *Node, why string) *Fault {
	return &Fault{Code: "ErrorSchemaValidation", At: at, Why: why}
}

// Unexpected is the fault for an element where the schema has none of this name.
func Unexpected(at *Node) *Fault {
	return Violation(at, "The element '"+at.Local+"' in namespace '"+at.Space+"' is not expected here.")
}

// Document is the fault as Exchange sends it. What people read goes through human.
func (f Fault) Document(human func(string) string) string {
	text := f.Text
	if text == "" {
		text = Text(f.Code)
	}
	if f.Why != "" {
		text += " " + f.Why
	}
	code, shown := Escape(f.Code), Escape(human(text))
	var b strings.Builder
	b.WriteString(Declaration + `<s:Envelope xmlns:s="` + EnvelopeNS + `"><s:Body><s:Fault><faultcode xmlns:a="` + TypesNS + `">a:` + code + `</faultcode><faultstring xml:lang="en-US">` + shown + `</faultstring><detail>`)
	b.WriteString(`<e:ResponseCode xmlns:e="` + ErrorsNS + `">` + code + `</e:ResponseCode><e:Message xmlns:e="` + ErrorsNS + `">` + shown + `</e:Message>`)
	if f.At != nil || len(f.Values) > 0 {
		b.WriteString(`<t:MessageXml xmlns:t="` + TypesNS + `">`)
		if f.At != nil {
			b.WriteString(`<t:LineNumber>` + strconv.Itoa(f.At.Line) + `</t:LineNumber><t:LinePosition>` + strconv.Itoa(f.At.Column) + `</t:LinePosition><t:Violation>` + Escape(human(f.Why)) + `</t:Violation>`)
		}
		for _, v := range f.Values {
			b.WriteString(`<t:Value Name="` + Escape(v.Name) + `">` + Escape(v.Value) + `</t:Value>`)
		}
		b.WriteString(`</t:MessageXml>`)
	}
	b.WriteString(`</detail></s:Fault></s:Body></s:Envelope>`)
	return b.String()
}

// ErrorMessage is a response message that says why, with HTTP status 200. The rest
// is what the message holds besides.
func ErrorMessage(element, code, rest string, human func(string) string) string {
	return `<m:` + element + ` ResponseClass="Error"><m:MessageText>` + Escape(human(Text(code))) + `</m:MessageText><m:ResponseCode>` + Escape(code) +
		`</m:ResponseCode><m:DescriptiveLinkKey>0</m:DescriptiveLinkKey>` + rest + `</m:` + element + `>`
}
