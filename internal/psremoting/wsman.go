package psremoting

import (
	"context"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Namespaces and addresses of WS-Management. Source: MS-WSMV 2.2.1.
const (
	nsShell   = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
	nsAddress = "http://schemas.xmlsoap.org/ws/2004/08/addressing"

	resourcePrefix = "http://schemas.microsoft.com/powershell/"

	actionCreate  = "http://schemas.xmlsoap.org/ws/2004/09/transfer/Create"
	actionDelete  = "http://schemas.xmlsoap.org/ws/2004/09/transfer/Delete"
	actionCommand = nsShell + "/Command"
	actionSend    = nsShell + "/Send"
	actionReceive = nsShell + "/Receive"
	actionSignal  = nsShell + "/Signal"

	// The stop signal of PSRP is misspelled in the specification, and so in every
	// implementation. Source: MS-PSRP 3.1.5.3.9.
	signalStop      = "powershell/signal/crtl_c"
	signalTerminate = nsShell + "/signal/Terminate" // MS-WSMV 2.2.4.38
)

const (
	// answerSize is the largest answer that we ask for: the default of Windows Server
	// 2012 and later. Source: MS-WSMV 2.2.4.18, MaxEnvelopeSizekb.
	answerSize = 500 << 10
	// requestSize is the largest request that every server takes: the default of
	// Windows Server 2008 R2. A server does not say what its own is before it refuses.
	requestSize = 150 << 10
	// envelopeRoom is what an envelope needs besides its base64 data.
	envelopeRoom = 4 << 10
	// transferSlack is how much longer than its OperationTimeout an answer may take.
	transferSlack = 30 * time.Second
)

// link carries envelopes to the endpoint and answers back.
type link interface {
	// post sends an envelope once. The body that it returns may be trusted to come
	// from the server. Its errors are those of the network.
	post(ctx context.Context, id string, envelope []byte) (reply, error)
	// close frees the connections.
	close()
}

// reply is an answer over HTTP.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// endpoint speaks WS-Management to one address.
type endpoint struct {
	link    link
	url     string
	config  string // resource URI
	session guid
	poll    time.Duration
	random  io.Reader
	shell   string // ShellId, once there is one
}

// option is one element of an OptionSet.
type option struct{ name, value, attributes string }

// call sends one operation and reads its answer. Errors are *Error, or one of the
// types that has it as its cause.
func (e *endpoint) call(ctx context.Context, op, action string, o *option, body string) (answer, error) {
	id, err := newGUID(e.random)
	if err != nil {
		return answer{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, e.poll+transferSlack)
	defer cancel()
	r, err := e.link.post(ctx, id.String(), []byte(e.envelope(id.String(), action, o, body)))
	if err != nil {
		var done *Error
		if errors.As(err, &done) {
			done.Op = or(done.Op, op)
			return answer{}, err
		}
		return answer{}, &Error{Op: op, RequestID: id.String(), Err: err}
	}
	return e.read(op, id.String(), r)
}

// envelope writes a request. Source: MS-WSMV 3.1.4.1.
func (e *endpoint) envelope(id, action string, o *option, body string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="`+nsAddress+`" `+
		`xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" xmlns:p="http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd" xmlns:rsp="`+nsShell+`">`+
		`<s:Header><a:To>%s</a:To><w:ResourceURI s:mustUnderstand="true">%s</w:ResourceURI>`+
		`<a:ReplyTo><a:Address s:mustUnderstand="true">`+nsAddress+`/role/anonymous</a:Address></a:ReplyTo>`+
		`<a:Action s:mustUnderstand="true">%s</a:Action><w:MaxEnvelopeSize s:mustUnderstand="true">%d</w:MaxEnvelopeSize>`+
		`<a:MessageID>uuid:%s</a:MessageID><w:Locale xml:lang="en-US" s:mustUnderstand="false"/><p:DataLocale xml:lang="en-US" s:mustUnderstand="false"/>`+
		`<p:SessionId s:mustUnderstand="false">uuid:%s</p:SessionId>`,
		xmlText(e.url), e.config, action, answerSize, id, e.session)
	if e.shell != "" {
		fmt.Fprintf(&b, `<w:SelectorSet><w:Selector Name="ShellId">%s</w:Selector></w:SelectorSet>`, xmlText(e.shell))
	}
	if o != nil {
		fmt.Fprintf(&b, `<w:OptionSet s:mustUnderstand="true"><w:Option Name="%s"%s>%s</w:Option></w:OptionSet>`, o.name, o.attributes, o.value)
	}
	fmt.Fprintf(&b, `<w:OperationTimeout>PT%.3fS</w:OperationTimeout></s:Header><s:Body>%s</s:Body></s:Envelope>`, e.poll.Seconds(), body)
	return b.String()
}

// xmlText writes a text for XML.
func xmlText(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder takes everything
	return b.String()
}

// read decodes an answer, and turns refusals into errors.
func (e *endpoint) read(op, id string, r reply) (answer, error) {
	fail := &Error{Op: op, Status: r.status, RequestID: id}
	a, err := parseAnswer(r.body)
	if err != nil || r.status >= 300 && r.status < 400 || r.status == http.StatusUnauthorized {
		// IIS refuses with a page, or with nothing: then the header says it all.
		fail.Err = err
		return answer{}, refusal(fail, r)
	}
	if a.fault != nil {
		return answer{}, a.fault.err(fail)
	}
	switch {
	case r.status != http.StatusOK:
		fail.Err = errNotSOAP
		return answer{}, fail
	case a.relatesTo != "" && !strings.EqualFold(a.relatesTo, "uuid:"+id):
		fail.Err = errOtherOne
		return answer{}, fail
	}
	return a, nil
}

// create makes the shell that holds the runspace pool. Source: MS-PSRP 3.1.5.3.1.
func (e *endpoint) create(ctx context.Context, pool guid, creation []byte) error {
	a, err := e.call(ctx, "Create", actionCreate, &option{"protocolversion", protocolVersion, ` MustComply="true"`},
		fmt.Sprintf(`<rsp:Shell ShellId="%s"><rsp:InputStreams>stdin pr</rsp:InputStreams><rsp:OutputStreams>stdout</rsp:OutputStreams>`+
			`<creationXml xmlns="http://schemas.microsoft.com/powershell">%s</creationXml></rsp:Shell>`, pool, base64.StdEncoding.EncodeToString(creation)))
	if err != nil {
		return err
	}
	if a.shell != "" {
		e.shell = a.shell
	}
	return nil
}

// command starts a pipeline with the first fragment of what makes it.
func (e *endpoint) command(ctx context.Context, pipeline guid, fragment []byte) error {
	_, err := e.call(ctx, "Command", actionCommand, nil,
		fmt.Sprintf(`<rsp:CommandLine CommandId="%s"><rsp:Command/><rsp:Arguments>%s</rsp:Arguments></rsp:CommandLine>`,
			pipeline, base64.StdEncoding.EncodeToString(fragment)))
	return err
}

// send sends another fragment to a pipeline.
func (e *endpoint) send(ctx context.Context, pipeline guid, fragment []byte) error {
	_, err := e.call(ctx, "Send", actionSend, nil,
		fmt.Sprintf(`<rsp:Send><rsp:Stream Name="stdin" CommandId="%s">%s</rsp:Stream></rsp:Send>`,
			pipeline, base64.StdEncoding.EncodeToString(fragment)))
	return err
}

// receive waits for output of a pipeline, or of the pool (zero). Nothing comes, and
// idle is true, where the server has none within the operation timeout.
func (e *endpoint) receive(ctx context.Context, pipeline guid) (a answer, idle bool, err error) {
	id := ""
	if pipeline != (guid{}) {
		id = fmt.Sprintf(` CommandId="%s"`, pipeline)
	}
	a, err = e.call(ctx, "Receive", actionReceive, &option{"WSMAN_CMDSHELL_OPTION_KEEPALIVE", "TRUE", ""},
		fmt.Sprintf(`<rsp:Receive><rsp:DesiredStream%s>stdout</rsp:DesiredStream></rsp:Receive>`, id))
	var refused *Error
	if errors.As(err, &refused) && refused.Code == codeTimedOut {
		return answer{}, true, nil
	}
	return a, err == nil && len(a.streams) == 0, err
}

// signal stops a pipeline or releases one that has ended.
func (e *endpoint) signal(ctx context.Context, pipeline guid, code string) error {
	_, err := e.call(ctx, "Signal", actionSignal, nil, fmt.Sprintf(`<rsp:Signal CommandId="%s"><rsp:Code>%s</rsp:Code></rsp:Signal>`, pipeline, code))
	return err
}

// delete ends the shell.
func (e *endpoint) delete(ctx context.Context) error {
	_, err := e.call(ctx, "Delete", actionDelete, nil, "")
	return err
}
