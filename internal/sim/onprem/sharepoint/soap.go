package sharepoint

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
)

// The namespaces of the envelopes, and of the web services of SharePoint.
const (
	soap11  = "http://schemas.xmlsoap.org/soap/envelope/"
	soap12  = "http://www.w3.org/2003/05/soap-envelope"
	service = "http://schemas.microsoft.com/sharepoint/soap/"
)

// call is a SOAP request to an operation whose parameters are text.
type call struct {
	version    string // namespace of the envelope
	operation  string
	parameters map[string]string
}

// readCall reads a request as ASP.NET does: SOAP 1.1 with a SOAPAction header, SOAP 1.2
// with an action or without. The answer is a refusal.
func readCall(r *Request, name string) (*call, *Answer) {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	c := &call{parameters: map[string]string{}}
	action := ""
	switch {
	case err == nil && kind == "text/xml":
		c.version = soap11
		if _, given := r.Header["Soapaction"]; !given {
			return nil, c.fault(r, name, "Client", "Unable to handle request without a valid action parameter. Please supply a valid soap action.", "", "")
		}
		action = strings.Trim(r.Header.Get("SOAPAction"), `" `)
	case err == nil && kind == "application/soap+xml":
		c.version = soap12
		action = params["action"]
	default:
		return nil, newAnswer(r.label(name), http.StatusUnsupportedMediaType, "text/plain; charset=utf-8", "").because("content type")
	}
	if err := c.read(r.Body); err != nil {
		return nil, c.fault(r, name, "Client", "Server was unable to read request. ---> There is an error in XML document. ---> "+err.Error(), "", "")
	}
	if action == "" && c.version == soap12 {
		action = service + c.operation
	}
	if action != service+c.operation {
		return nil, c.fault(r, name, "Client", "Server did not recognize the value of HTTP Header SOAPAction: "+action+".", "", "")
	}
	return c, nil
}

var errEnvelope = errors.New("the root element is no SOAP envelope")

// read takes the envelope apart.
func (c *call) read(body []byte) error {
	var envelope struct {
		XMLName xml.Name
		Body    struct {
			XMLName xml.Name
			Call    struct {
				XMLName    xml.Name
				Parameters []struct {
					XMLName xml.Name
					Text    string `xml:",chardata"`
				} `xml:",any"`
			} `xml:",any"`
		} `xml:"Body"`
	}
	d := xml.NewDecoder(bytes.NewReader(body))
	if err := d.Decode(&envelope); err != nil {
		if errors.Is(err, io.EOF) {
			return errors.New("the document has no root element")
		}
		return err
	}
	if envelope.XMLName != (xml.Name{Space: c.version, Local: "Envelope"}) || envelope.Body.XMLName.Space != c.version || envelope.Body.Call.XMLName.Space != service {
		return errEnvelope
	}
	c.operation = envelope.Body.Call.XMLName.Local
	for _, p := range envelope.Body.Call.Parameters {
		if p.XMLName.Space == service {
			c.parameters[p.XMLName.Local] = strings.TrimSpace(p.Text)
		}
	}
	return nil
}

// flag is a parameter of type boolean; one that is missing is false.
func (c *call) flag(name string) (value, ok bool) {
	switch c.parameters[name] {
	case "true", "1":
		return true, true
	case "false", "0", "":
		return false, true
	}
	return false, false
}

func (c *call) contentType() string {
	if c.version == soap12 {
		return "application/soap+xml; charset=utf-8"
	}
	return "text/xml; charset=utf-8"
}

func (c *call) envelope(inner string) string {
	return `<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="` + c.version + `" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema"><soap:Body>` + inner + `</soap:Body></soap:Envelope>`
}

// reply is a good answer; inner is what is in the response element.
func (c *call) reply(r *Request, name, inner string) *Answer {
	return newAnswer(r.label(name), http.StatusOK, c.contentType(), c.envelope(`<`+c.operation+`Response xmlns="`+service+`">`+inner+`</`+c.operation+`Response>`))
}

// fault is a SOAP fault. With a detail it is a SoapServerException of SharePoint, which
// tells its reason there ([MS-SITEDATS], section 2.2.4.20, SOAPFaultDetails).
func (c *call) fault(r *Request, name, code, text, detail, number string) *Answer {
	inner := `<detail />`
	if detail != "" {
		inner = `<errorstring xmlns="` + service + `">` + escaped(detail) + `</errorstring>`
		if number != "" {
			inner += `<errorcode xmlns="` + service + `">` + number + `</errorcode>`
		}
		inner = `<detail>` + inner + `</detail>`
	}
	body := `<soap:Fault><faultcode>soap:` + code + `</faultcode><faultstring>` + escaped(text) + `</faultstring>` + inner + `</soap:Fault>`
	if c.version == soap12 {
		code = map[string]string{"Client": "Sender", "Server": "Receiver"}[code]
		inner = strings.ReplaceAll(strings.ReplaceAll(inner, "<detail", "<soap:Detail"), "</detail>", "</soap:Detail>")
		body = `<soap:Fault><soap:Code><soap:Value>soap:` + code + `</soap:Value></soap:Code><soap:Reason><soap:Text xml:lang="en">` + escaped(text) + `</soap:Text></soap:Reason>` + inner + `</soap:Fault>`
	}
	reason := number
	if reason == "" {
		reason = "soap:" + code
	}
	return newAnswer(r.label(name), http.StatusInternalServerError, c.contentType(), c.envelope(body)).because(reason)
}

// exception is a SoapServerException.
func (c *call) exception(r *Request, name, detail, number string) *Answer {
	return c.fault(r, name, "Server", "Exception of type 'Microsoft.SharePoint.SoapServer.SoapServerException' was thrown.", detail, number)
}
