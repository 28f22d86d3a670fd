package psrp

import (
	"bytes"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/c2conn/c2conn/internal/sim/onprem/org"
)

// request is a WS-Management request whose headers are fine.
type request struct {
	http      *http.Request
	user      string
	action    string
	resource  string
	messageID string
	to        string
	timeout   time.Duration
	envelope  int // the largest answer that the client takes, in bytes
	shellID   string
	options   map[string]string // names in upper case
	body      *element          // the only element of the body; nil when there is none
}

// Bounds on MaxEnvelopeSize: WinRM takes no less than 8192; Exchange sends no more
// than 500 KB.
const (
	minEnvelope = 8192
	maxEnvelope = 512_000
	maxTimeout  = 15 * time.Minute
)

// parseRequest reads an envelope and checks its headers as [MS-WSMV] 2.2.4 and
// DSP0226 ask for. The message id is known for the answer even when it fails.
func parseRequest(r *http.Request, data []byte) (*request, *wsmanFault) {
	q := &request{http: r, options: map[string]string{}}
	root, err := parseXML(data)
	if err != nil || !root.is(nsSOAP, "Envelope") {
		return q, &wsmanFault{
			subcode: "w:SchemaValidationError", code: 2150858791,
			reason: "The WS-Management service cannot process the request because the SOAP XML in the message is not valid. ",
		}
	}
	header, body := root.child(nsSOAP, "Header"), root.child(nsSOAP, "Body")
	if header == nil || body == nil || len(root.children) != 2 || len(body.children) > 1 {
		return q, schemaError("Envelope")
	}
	if len(body.children) == 1 {
		q.body = body.children[0]
	}
	if f := q.readAddressing(header); f != nil {
		return q, f
	}
	return q, q.readManagement(header)
}

// readAddressing reads the headers of WS-Addressing.
func (q *request) readAddressing(header *element) *wsmanFault {
	text := func(name string) (string, *wsmanFault) {
		e := header.child(nsAddressing, name)
		if e == nil {
			return "", headerMissing(name)
		}
		return strings.TrimSpace(e.text), nil
	}
	var f *wsmanFault
	if q.messageID, f = text("MessageID"); f != nil {
		return f
	}
	id, ok := strings.CutPrefix(q.messageID, "uuid:")
	if !ok {
		id = strings.TrimPrefix(q.messageID, "urn:uuid:")
	}
	if _, err := parseGUID(id); err != nil {
		q.messageID = "" // not to be repeated
		return headerInvalid("MessageID")
	}
	if q.action, f = text("Action"); f != nil {
		return f
	}
	if q.to, f = text("To"); f != nil {
		return f
	}
	if to, err := url.Parse(q.to); err != nil || to.Scheme != "http" && to.Scheme != "https" || !strings.EqualFold(to.Path, q.http.URL.Path) {
		return headerInvalid("To")
	}
	reply := header.child(nsAddressing, "ReplyTo")
	if reply == nil {
		return headerMissing("ReplyTo")
	}
	if a := reply.child(nsAddressing, "Address"); a == nil || strings.TrimSpace(a.text) != anonymous {
		return headerInvalid("ReplyTo")
	}
	for _, e := range header.children {
		known := e.name.Space == nsAddressing && slices.Contains([]string{"MessageID", "Action", "To", "ReplyTo"}, e.name.Local) ||
			e.name.Space == nsWSMan && slices.Contains([]string{"ResourceURI", "MaxEnvelopeSize", "OperationTimeout", "SelectorSet", "OptionSet", "Locale"}, e.name.Local) ||
			e.name.Space == nsWSManMS && slices.Contains([]string{"DataLocale", "SessionId", "OperationID", "SequenceId", "FunctionalId", "ActivityId"}, e.name.Local)
		if must := e.attrNS(nsSOAP, "mustUnderstand"); !known && (must == "true" || must == "1") {
			return notUnderstood()
		}
	}
	return nil
}

// readManagement reads the headers of WS-Management.
func (q *request) readManagement(header *element) *wsmanFault {
	uri := header.child(nsWSMan, "ResourceURI")
	if uri == nil {
		return headerMissing("ResourceURI")
	}
	q.resource = strings.TrimSpace(uri.text)
	size := header.child(nsWSMan, "MaxEnvelopeSize")
	if size == nil {
		return headerMissing("MaxEnvelopeSize")
	}
	n, err := strconv.ParseUint(strings.TrimSpace(size.text), 10, 31)
	switch {
	case err != nil:
		return headerInvalid("MaxEnvelopeSize")
	case n < minEnvelope:
		return envelopeTooSmall()
	}
	q.envelope = min(int(n), maxEnvelope)
	timeout := header.child(nsWSMan, "OperationTimeout")
	if timeout == nil {
		return headerMissing("OperationTimeout")
	}
	if q.timeout, err = parseDuration(strings.TrimSpace(timeout.text)); err != nil || q.timeout <= 0 {
		return headerInvalid("OperationTimeout")
	}
	q.timeout = min(q.timeout, maxTimeout)
	if sets := header.all(nsWSMan, "SelectorSet"); len(sets) == 1 {
		for _, s := range sets[0].children {
			if !s.is(nsWSMan, "Selector") || s.attr("Name") != "ShellId" || q.shellID != "" {
				return unexpectedSelectors("The WS-Management service cannot process the request because the URI contains an unexpected selector. ")
			}
			q.shellID = strings.TrimSpace(s.text)
		}
	} else if len(sets) > 1 {
		return headerInvalid("SelectorSet")
	}
	if sets := header.all(nsWSMan, "OptionSet"); len(sets) == 1 {
		for _, o := range sets[0].children {
			name := strings.ToUpper(o.attr("Name"))
			if _, twice := q.options[name]; !o.is(nsWSMan, "Option") || name == "" || twice {
				return invalidOptions("An option of the request is not valid. ")
			}
			q.options[name] = strings.TrimSpace(o.text)
		}
	} else if len(sets) > 1 {
		return headerInvalid("OptionSet")
	}
	return nil
}

// parseDuration reads an xs:duration without years and months.
func parseDuration(s string) (time.Duration, error) {
	bad := errors.New("no duration")
	rest, ok := strings.CutPrefix(s, "P")
	if !ok || rest == "" {
		return 0, bad
	}
	days, clock, hasClock := strings.Cut(rest, "T")
	var total float64
	if days != "" {
		n, ok := strings.CutSuffix(days, "D")
		v, err := strconv.ParseUint(n, 10, 20)
		if !ok || err != nil {
			return 0, bad
		}
		total = float64(v) * 86400
	}
	if hasClock && clock == "" {
		return 0, bad
	}
	for _, unit := range []struct {
		letter  string
		seconds float64
	}{{"H", 3600}, {"M", 60}, {"S", 1}} {
		n, after, found := strings.Cut(clock, unit.letter)
		if !found {
			continue
		}
		if strings.Trim(n, "0123456789.") != "" {
			return 0, bad
		}
		v, err := strconv.ParseFloat(n, 64)
		if err != nil || v > 1e9 || unit.letter != "S" && strings.Contains(n, ".") {
			return 0, bad
		}
		total += v * unit.seconds
		clock = after
	}
	if clock != "" || total > 1e9 {
		return 0, bad
	}
	return time.Duration(total * float64(time.Second)), nil
}

// envelopeOf writes an answer.
func envelopeOf(action, messageID, relatesTo string, activity org.GUID, body string) []byte {
	var b bytes.Buffer
	b.WriteString(`<s:Envelope xml:lang="en-US" xmlns:s="` + nsSOAP + `" xmlns:a="` + nsAddressing + `" xmlns:x="` + nsTransfer +
		`" xmlns:w="` + nsWSMan + `" xmlns:rsp="` + nsShell + `" xmlns:p="` + nsWSManMS + `"><s:Header><a:Action>` + action +
		`</a:Action><a:MessageID>` + messageID + `</a:MessageID><p:ActivityId>` + strings.ToUpper(activity.String()) + `</p:ActivityId><a:To>` + anonymous + `</a:To>`)
	if relatesTo != "" {
		b.WriteString(`<a:RelatesTo>` + relatesTo + `</a:RelatesTo>`)
	}
	b.WriteString(`</s:Header><s:Body>` + body + `</s:Body></s:Envelope>`)
	return b.Bytes()
}
