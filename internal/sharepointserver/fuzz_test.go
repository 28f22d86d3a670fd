package sharepointserver_test

import (
	"encoding/xml"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/c2conn/c2conn/internal/sharepointserver"
	"github.com/c2conn/c2conn/internal/transport"
)

const soap = `<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body><GetContentResponse xmlns="http://schemas.microsoft.com/sharepoint/soap/"><GetContentResult>%s</GetContentResult><lastItemIdOnPage /></GetContentResponse></soap:Body></soap:Envelope>`

func FuzzEnvelope(f *testing.F) {
	f.Add([]byte(strings.Replace(soap, "%s", "&lt;VirtualServer/&gt;&#x1F;", 1)))
	f.Add([]byte(strings.Replace(soap, "%s", "<![CDATA[<VirtualServer/>]]>", 1)))
	f.Add([]byte("\ufeff" + soap))
	f.Add([]byte(`<!DOCTYPE a [<!ENTITY b "b">]><a>&b;</a>`))
	f.Add([]byte(`<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body><soap:Fault><faultcode>soap:Server</faultcode><faultstring>x</faultstring><detail /></soap:Fault></soap:Body></soap:Envelope>`))
	f.Add([]byte(strings.Repeat("<a>", 100)))
	f.Fuzz(func(t *testing.T, b []byte) {
		text, err := sharepointserver.Envelope(b)
		if err == nil && (!utf8.Valid(text) || len(text) > 4*len(b)) {
			t.Errorf("%q of %q", text, b)
		}
	})
}

func FuzzContent(f *testing.F) {
	f.Add([]byte(`<ContentDatabase><Metadata ChangeId="1;0;4fb7&#31;" ID="{4fb7}" /><Sites><Site URL="http://sp:1/sites/A &amp; B" ID="{5c}" /></Sites></ContentDatabase>`))
	f.Add([]byte(`<?xml version="1.0" encoding="utf-16"?><ContentDatabase xmlns="x"><Sites><Site Url="/" /><Site/><Other URL="x"/></Sites><Sites/></ContentDatabase>`))
	f.Add([]byte("<ContentDatabase>\x00\x1f&#0;&#x1F;&#xD800;&#65;&#;&#x;&#99999999999;\xff</ContentDatabase>"))
	f.Add([]byte(`<!DOCTYPE a SYSTEM "file:///etc/passwd"><ContentDatabase/>`))
	f.Fuzz(func(t *testing.T, b []byte) {
		found, err := sharepointserver.Attributes(b)
		if err != nil {
			return
		}
		// What was read is XML without a document type: the text of each can be written again.
		for _, s := range found {
			if !utf8.ValidString(s) || xml.EscapeText(&strings.Builder{}, []byte(s)) != nil {
				t.Errorf("%q", s)
			}
		}
		if len(found) > strings.Count(string(b), "Site") {
			t.Errorf("%d of %q", len(found), b)
		}
	})
}

func FuzzSearchPage(f *testing.F) {
	f.Add([]byte(`{"PrimaryQueryResult":{"RelevantResults":{"TotalRows":1,"Table":{"Rows":[{"Cells":[{"Key":"SPSiteUrl","Value":"https://sp/sites/a"}]}]}}}}`))
	f.Add([]byte(`{"d":{"query":{"__metadata":{},"PrimaryQueryResult":{"RelevantResults":{"TotalRows":-1,"Table":{"Rows":{"results":[{"Cells":{"results":[{"Key":"Path","Value":null}]}}]}}}}}}}`))
	f.Add([]byte(`{"d":null,"PrimaryQueryResult":{"RelevantResults":{"Table":{"Rows":null}}}}`))
	f.Add([]byte(`{"d":[]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		addresses, rows, err := sharepointserver.ParsePage(b)
		if err == nil && len(addresses) != rows {
			t.Errorf("%d of %d", len(addresses), rows)
		}
	})
}

// Whatever comes, an answer has one meaning, and nothing of it that is shown can hurt a screen.
func FuzzAnswer(f *testing.F) {
	f.Add(200, "application/json", "", []byte(`{"d":{"Title":"x","Url":"y"}}`))
	f.Add(401, "application/json", "", []byte(`{"odata.error":{"code":"-2147024891, System.UnauthorizedAccessException","message":{"lang":"en-US","value":"Access denied."}}}`))
	f.Add(500, "text/xml", "", []byte(`<m:error xmlns:m="m"><m:code>-1</m:code><m:message>x</m:message></m:error>`))
	f.Add(302, "text/html", "/_layouts/15/Authenticate.aspx?Source=%2F", []byte{})
	f.Add(302, "", "http://user:password@[::1]:x/\x1b[31m", []byte{})
	f.Add(200, "text/html", "", []byte(`<form><input type=password>`))
	f.Add(403, "text/plain", "", []byte("403 FORBIDDEN\x1b]0;x\x07"))
	reasons := map[sharepointserver.Reason]bool{
		sharepointserver.NotThere: true, sharepointserver.Denied: true, sharepointserver.LoginPage: true, sharepointserver.Moved: true,
		sharepointserver.NotSharePoint: true, sharepointserver.Unreadable: true, sharepointserver.Busy: true, sharepointserver.Fault: true,
	}
	f.Fuzz(func(t *testing.T, status int, kind, location string, body []byte) {
		err := sharepointserver.Classify(status, kind, location, body)
		var e *sharepointserver.Error
		switch {
		case err == nil && status != 200:
			t.Errorf("%d taken", status)
		case err == nil:
		case !errors.As(err, &e) || !reasons[e.Reason]:
			t.Errorf("%v", err)
		default:
			for _, s := range []string{e.Code, e.Text, e.To, err.Error()} {
				if s != transport.CleanText(s, 8000) {
					t.Errorf("%q", s)
				}
			}
		}
	})
}
