package psremoting

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/c2conn/c2conn/internal/transport"
)

// Limits of an answer. A real one has at most 500 KiB, some 12 levels and 60 elements.
const (
	answerLimit    = 4 << 20
	answerDepth    = 64
	answerElements = 20_000
)

// answer is what an envelope says.
type answer struct {
	relatesTo string
	shell     string   // ShellId of a Create
	streams   [][]byte // of a Receive, in order
	done      bool     // the command has ended
	fault     *fault
}

type envelopeXML struct {
	XMLName xml.Name `xml:"http://www.w3.org/2003/05/soap-envelope Envelope"`
	Header  struct {
		RelatesTo string `xml:"RelatesTo"`
	} `xml:"http://www.w3.org/2003/05/soap-envelope Header"`
	Body struct {
		Selectors []struct {
			Name string `xml:"Name,attr"`
			Text string `xml:",chardata"`
		} `xml:"ResourceCreated>ReferenceParameters>SelectorSet>Selector"`
		Shell   string `xml:"Shell>ShellId"`
		Streams []struct {
			Text string `xml:",chardata"`
		} `xml:"ReceiveResponse>Stream"`
		State struct {
			State string `xml:"State,attr"`
		} `xml:"ReceiveResponse>CommandState"`
		Fault *faultXML `xml:"http://www.w3.org/2003/05/soap-envelope Fault"`
	} `xml:"http://www.w3.org/2003/05/soap-envelope Body"`
}

type faultXML struct {
	Subcode string `xml:"Code>Subcode>Value"`
	Reason  string `xml:"Reason>Text"`
	Detail  struct {
		WSMan struct {
			Code    string `xml:"Code,attr"`
			Message struct {
				Inner string `xml:",innerxml"`
			} `xml:"Message"`
		} `xml:"WSManFault"`
	} `xml:"Detail"`
}

// fault is a SOAP fault of WS-Management. Source: MS-WSMV 2.2.4.43.
type fault struct {
	code    uint32
	subcode string // e.g. "w:QuotaLimit"
	message string
}

// parseAnswer reads an envelope.
func parseAnswer(body []byte) (answer, error) {
	if len(body) > answerLimit {
		return answer{}, errTooBig
	}
	if err := scan(body); err != nil {
		return answer{}, err
	}
	var e envelopeXML
	if err := xml.Unmarshal(body, &e); err != nil {
		return answer{}, errNotSOAP
	}
	a := answer{relatesTo: strings.TrimSpace(e.Header.RelatesTo), shell: strings.TrimSpace(e.Body.Shell)}
	for _, s := range e.Body.Selectors {
		if s.Name == "ShellId" {
			a.shell = strings.TrimSpace(s.Text)
		}
	}
	if len(a.shell) > 200 {
		return answer{}, errNotSOAP
	}
	a.done = strings.HasSuffix(e.Body.State.State, "/CommandState/Done")
	for _, s := range e.Body.Streams {
		// Lines of base64 may be broken.
		b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(s.Text), ""))
		if err != nil {
			return answer{}, errFragment
		}
		if len(b) > 0 {
			a.streams = append(a.streams, b)
		}
	}
	if f := e.Body.Fault; f != nil {
		a.fault = &fault{subcode: transport.CleanText(strings.TrimSpace(f.Subcode), 100)}
		if n, err := strconv.ParseUint(strings.TrimSpace(f.Detail.WSMan.Code), 10, 32); err == nil {
			a.fault.code = uint32(n)
		}
		if a.fault.message = transport.CleanText(innerText(f.Detail.WSMan.Message.Inner), textLimit); a.fault.message == "" {
			a.fault.message = transport.CleanText(f.Reason, textLimit)
		}
	}
	return a, nil
}

// scan looks at the tokens before anything is built of them.
func scan(body []byte) error {
	d := xml.NewDecoder(bytes.NewReader(body))
	depth, count := 0, 0
	for {
		t, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return errNotSOAP
		}
		switch t.(type) {
		case xml.StartElement:
			depth++
			count++
		case xml.EndElement:
			depth--
		case xml.Directive:
			return errDoctype
		}
		if depth > answerDepth || count > answerElements {
			return errTooDeep
		}
	}
}

// innerText is the text of a piece of XML, whatever elements it lies in: a provider
// puts its own into the message of a fault.
func innerText(inner string) string {
	d := xml.NewDecoder(strings.NewReader(inner))
	var b strings.Builder
	for {
		t, err := d.RawToken()
		if err != nil {
			return b.String()
		}
		if s, ok := t.(xml.CharData); ok {
			b.Write(s)
			b.WriteByte(' ')
		}
	}
}

// err gives a fault the type by which callers tell it from others.
func (f *fault) err(e *Error) error {
	e.Code, e.Message = f.code, f.message
	if e.Code == 0 && f.subcode == "w:TimedOut" {
		e.Code = codeTimedOut
	}
	_, after, found := strings.Cut(f.message, "[FailureCategory=")
	if category, _, ok := strings.Cut(after, "]"); found && ok {
		e.Category = category
	}
	text := strings.ToLower(f.message)
	switch {
	case e.Code == codeTimedOut:
		return e
	case quota(e.Code), f.subcode == "w:QuotaLimit":
		return &QuotaError{e}
	case e.Code == codeRedirect:
		return &RedirectError{URL: firstURL(f.message), Err: e}
	case strings.Contains(e.Category, "RemotePowerShellNotEnabled"), strings.Contains(text, "remote powershell") && strings.Contains(text, "not enabled"):
		return &DeniedError{Disabled: true, Err: e}
	case strings.Contains(e.Category, "CmdletAccessDenied"), strings.Contains(text, "isn't assigned to any management roles"):
		return &DeniedError{NoRole: true, Err: e}
	case e.Code == codeAccessDenied, f.subcode == "w:AccessDenied", e.Code == codeDenied && strings.Contains(text, "access is denied"),
		strings.HasPrefix(e.Category, "AuthZ-"):
		return &DeniedError{Err: e}
	}
	return e
}

// firstURL finds the address in a text.
func firstURL(s string) string {
	for _, word := range strings.Fields(s) {
		word = strings.Trim(word, `"'<>()[],;.`)
		if strings.HasPrefix(word, "http://") || strings.HasPrefix(word, "https://") {
			return word
		}
	}
	return ""
}
