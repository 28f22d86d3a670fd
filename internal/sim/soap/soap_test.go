package soap_test

import (
	"encoding/xml"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/internal/sim/soap"
)

const head = `<s:Envelope xmlns:s="` + soap.EnvelopeNS + `" xmlns:t="` + soap.TypesNS + `" xmlns:m="` + soap.MessagesNS + `">`

func versions() []string { return []string{"Exchange2013", "Exchange2016"} }

func TestParseCall(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, message, code string }{
		{"no XML", "hello", "ErrorInvalidRequest"},
		{"a declaration of the type", `<!DOCTYPE a [<!ENTITY b "c">]>` + head + `</s:Envelope>`, "ErrorInvalidRequest"},
		{"too deep", strings.Repeat("<a>", 100) + strings.Repeat("</a>", 100), "ErrorInvalidRequest"},
		{"too many", "<a>" + strings.Repeat("<b/>", 30_000) + "</a>", "ErrorInvalidRequest"},
		{"another root", "<a/>", "ErrorSchemaValidation"},
		{"no body", head + `</s:Envelope>`, "ErrorSchemaValidation"},
		{"two operations", head + `<s:Body><m:A/><m:B/></s:Body></s:Envelope>`, "ErrorSchemaValidation"},
		{"another namespace", head + `<s:Body><t:A/></s:Body></s:Envelope>`, "ErrorSchemaValidation"},
		{"an unknown version", head + `<s:Header><t:RequestServerVersion Version="Exchange2099"/></s:Header><s:Body><m:A/></s:Body></s:Envelope>`, "ErrorInvalidServerVersion"},
		{"impersonation of nobody", head + `<s:Header><t:ExchangeImpersonation/></s:Header><s:Body><m:A/></s:Body></s:Envelope>`, "ErrorSchemaValidation"},
		{"impersonation of an unknown kind", head + `<s:Header><t:ExchangeImpersonation><t:ConnectingSID><t:Name>a</t:Name></t:ConnectingSID></t:ExchangeImpersonation></s:Header><s:Body><m:A/></s:Body></s:Envelope>`, "ErrorSchemaValidation"},
		{"well-formed", head + `<s:Header><t:RequestServerVersion Version="Exchange2016"/><t:ExchangeImpersonation><t:ConnectingSID><t:SID> S-1 </t:SID></t:ConnectingSID></t:ExchangeImpersonation></s:Header><s:Body><m:A/></s:Body></s:Envelope>`, ""},
	} {
		call, fault := soap.ParseCall([]byte(c.message), versions())
		switch {
		case c.code == "" && (fault != nil || call.Operation != "A" || call.SIDKind != "SID" || call.SID != "S-1" || call.Version != "Exchange2016"):
			t.Errorf("%s: %+v %+v", c.name, call, fault)
		case c.code != "" && (fault == nil || fault.Code != c.code):
			t.Errorf("%s: %+v, want %s", c.name, fault, c.code)
		}
	}
}

func TestFaultIsReadable(t *testing.T) {
	t.Parallel()
	f := soap.Fault{Code: "ErrorServerBusy", Values: []soap.Value{{Name: "BackOffMilliseconds", Value: "300"}}}
	var read struct {
		Code  string `xml:"Body>Fault>detail>ResponseCode"`
		Text  string `xml:"Body>Fault>faultstring"`
		Value string `xml:"Body>Fault>detail>MessageXml>Value"`
	}
	if err := xml.Unmarshal([]byte(f.Document(strings.ToUpper)), &read); err != nil || read.Code != f.Code || read.Value != "300" || read.Text != strings.ToUpper(soap.Text(f.Code)) {
		t.Errorf("%+v, %v", read, err)
	}
}

func TestFolders(t *testing.T) {
	t.Parallel()
	for id, f := range soap.Folders() {
		if !slices.Contains(soap.DistinguishedIDs(), id) || !slices.Contains(soap.DistinguishedIDs(), f.Parent) {
			t.Errorf("%s in %s: not in the schema", id, f.Parent)
		}
	}
}

func FuzzParseCall(f *testing.F) {
	f.Add([]byte(head + `<s:Header><t:RequestServerVersion Version="Exchange2013"/></s:Header><s:Body><m:GetFolder><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape></m:FolderShape></m:GetFolder></s:Body></s:Envelope>`))
	f.Add([]byte(head + `<s:Body><m:A t="1">x<!-- y --><![CDATA[z]]></m:A></s:Body></s:Envelope>`))
	f.Add([]byte(`<!DOCTYPE a><a/>`))
	f.Add([]byte("\xef\xbb\xbf<a/>"))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, err := soap.Parse(data)
		call, fault := soap.ParseCall(data, versions())
		switch {
		case err != nil && (!errors.Is(err, soap.ErrXML) || fault == nil):
			t.Errorf("%v, %+v", err, fault)
		case fault == nil && call.Body == nil:
			t.Error("a call without an operation")
		case fault != nil:
			if err := xml.Unmarshal([]byte(fault.Document(strings.TrimSpace)), new(struct{})); err != nil {
				t.Errorf("%+v: %v", fault, err)
			}
		default:
			for _, n := range call.Body.Children {
				_, _ = soap.ParseShape(n)
			}
		}
	})
}
