package psremoting

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"slices"
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

// fault is a SOAP fault of WS-Management. Source: MS-WSMV 2.2.4.43.
type fault struct {
	code    uint32
	subcode string // e.g. "w:QuotaLimit"
	message string
}

// Paths of the elements that are looked at. Namespaces other than the envelope's are
// not: nothing else of these names is in an answer.
const (
	pathRelatesTo = "Envelope/Header/RelatesTo"
	pathSelector  = "Envelope/Body/ResourceCreated/ReferenceParameters/SelectorSet/Selector"
	pathShell     = "Envelope/Body/Shell/ShellId"
	pathStream    = "Envelope/Body/ReceiveResponse/Stream"
	pathState     = "Envelope/Body/ReceiveResponse/CommandState"
	pathFault     = "Envelope/Body/Fault"
	pathSubcode   = pathFault + "/Code/Subcode/Value"
	pathReason    = pathFault + "/Reason/Text"
	pathWSMan     = pathFault + "/Detail/WSManFault"
	pathMessage   = pathWSMan + "/Message"

	nsSOAP = "http://www.w3.org/2003/05/soap-envelope"
)

// parseAnswer reads an envelope in one pass: answers are large, and encoding/xml is slow.
func parseAnswer(body []byte) (answer, error) {
	if len(body) > answerLimit {
		return answer{}, errTooBig
	}
	p := answerReader{d: xml.NewDecoder(bytes.NewReader(body))}
	for {
		t, err := p.d.RawToken()
		if errors.Is(err, io.EOF) && p.ended && len(p.path) == 0 {
			return p.finish()
		}
		if err != nil {
			return answer{}, errNotSOAP
		}
		switch t := t.(type) {
		case xml.StartElement:
			err = p.start(t)
		case xml.EndElement:
			err = p.end(t)
		case xml.CharData:
			p.chars(t)
		case xml.Directive:
			err = errDoctype
		}
		if err != nil {
			return answer{}, err
		}
	}
}

// answerReader is an envelope that is being read.
type answerReader struct {
	d     *xml.Decoder
	a     answer
	path  []string // paths of the open elements
	names []string // their names
	count int
	ended bool // the envelope was read
	text  bytes.Buffer
	shell bool // the selector is a ShellId
	words strings.Builder
	why   string
}

func (p *answerReader) start(t xml.StartElement) error {
	if p.count++; p.count > answerElements || len(p.path) >= answerDepth {
		return errTooDeep
	}
	path := t.Name.Local
	if len(p.path) > 0 {
		path = p.path[len(p.path)-1] + "/" + path
	} else if p.ended || path != "Envelope" || !slices.ContainsFunc(t.Attr, func(a xml.Attr) bool { return a.Value == nsSOAP }) {
		return errNotSOAP
	}
	if len(path) > 4<<10 {
		return errTooDeep
	}
	p.path, p.names = append(p.path, path), append(p.names, t.Name.Local)
	p.text.Reset()
	switch path {
	case pathSelector:
		p.shell = attribute(t, "Name") == "ShellId"
	case pathState:
		p.a.done = strings.HasSuffix(attribute(t, "State"), "/CommandState/Done")
	case pathFault:
		p.a.fault = &fault{}
	case pathWSMan:
		if n, err := strconv.ParseUint(strings.TrimSpace(attribute(t, "Code")), 10, 32); err == nil {
			p.a.fault.code = uint32(n)
		}
	}
	return nil
}

func (p *answerReader) chars(t xml.CharData) {
	if len(p.path) == 0 {
		return
	}
	switch path := p.path[len(p.path)-1]; {
	case path == pathMessage || strings.HasPrefix(path, pathMessage+"/"):
		// A provider puts elements of its own into the message.
		p.words.Write(t)
		p.words.WriteByte(' ')
	default:
		p.text.Write(t)
	}
}

func (p *answerReader) end(t xml.EndElement) error {
	last := len(p.path) - 1
	if last < 0 || p.names[last] != t.Name.Local {
		return errNotSOAP
	}
	path := p.path[last]
	p.path, p.names = p.path[:last], p.names[:last]
	p.ended = last == 0
	switch path {
	case pathStream:
		// Lines of base64 may be broken.
		b, err := base64.StdEncoding.AppendDecode(nil, bytes.Join(bytes.Fields(p.text.Bytes()), nil))
		if err != nil {
			return errFragment
		}
		if len(b) > 0 {
			p.a.streams = append(p.a.streams, b)
		}
	case pathRelatesTo:
		p.a.relatesTo = strings.TrimSpace(p.text.String())
	case pathShell, pathSelector:
		if path == pathShell && p.a.shell == "" || path == pathSelector && p.shell {
			p.a.shell = strings.TrimSpace(p.text.String())
		}
		if len(p.a.shell) > 200 {
			return errNotSOAP
		}
	case pathSubcode:
		p.a.fault.subcode = transport.CleanText(strings.TrimSpace(p.text.String()), 100)
	case pathReason:
		p.why = p.text.String()
	}
	p.text.Reset()
	return nil
}

func (p *answerReader) finish() (answer, error) {
	if f := p.a.fault; f != nil {
		if f.message = transport.CleanText(p.words.String(), textLimit); f.message == "" {
			f.message = transport.CleanText(p.why, textLimit)
		}
	}
	return p.a, nil
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
