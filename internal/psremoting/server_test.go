package psremoting_test

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/xml"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/psremoting"
)

// Numbers of MS-PSRP 2.2.1, written here again so that a slip in the package shows.
const (
	sessionCapability = 0x00010002
	initRunspacePool  = 0x00010004
	poolState         = 0x00021005
	createPipeline    = 0x00021006
	privateData       = 0x00021009
	poolHostCall      = 0x00021100
	pipelineOutput    = 0x00041004
	errorRecord       = 0x00041005
	pipelineState     = 0x00041006
	warningRecord     = 0x00041009
	progressRecord    = 0x00041010
	pipelineHostCall  = 0x00041100
	publicKeyRequest  = 0x00010007
)

// request is what the server understood of an envelope.
type request struct {
	op      string // Create, Command, Send, Receive, Signal, Delete
	id      string // MessageID
	shell   string // ShellId of the selector
	command string
	code    string // of a Signal
	data    []byte // fragments
	size    int    // bytes of the envelope
	raw     string
	http    *http.Request
}

// step is one answer to a Receive.
type step struct {
	messages [][]byte // each a message, sent as one fragment in a Stream of its own
	streams  [][]byte // Streams, as they are
	done     bool
}

// server is a scripted endpoint: it does what a test tells it, and otherwise what a
// server does.
type server struct {
	t   testing.TB
	url string
	c   *http.Client

	// hook answers first, where it has something to say (status not 0).
	hook func(request) (status int, body string)
	// pool is what the Receives of Open get, and run what those of a command get.
	pool []step
	run  func(command string, pipeline [16]byte) []step

	mu       sync.Mutex
	ops      []string // in order; Signal with its code's last part
	requests []request
	shells   map[string]bool   // that exist
	message  []byte            // CREATE_PIPELINE, as far as it has come
	steps    map[string][]step // by command; of the pool: ""
	object   uint64
}

func newServer(t testing.TB, run func(string, [16]byte) []step) *server {
	t.Helper()
	s := &server{t: t, run: run, shells: map[string]bool{}, steps: map[string][]step{}, pool: opened()}
	h := httptest.NewUnstartedServer(s)
	h.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that go away are meant
	h.StartTLS()
	t.Cleanup(h.Close)
	s.url, s.c = h.URL+"/PowerShell/", h.Client()
	return s
}

func (s *server) options() psremoting.Options {
	return psremoting.Options{URL: s.url, HTTP: s.c, Clock: still{}, Limit: 5 * time.Minute, CloseLimit: time.Minute}
}

// still is a clock that does not move and never waits.
type still struct{}

func (still) Now() time.Time                                   { return time.Unix(1e9, 0) }
func (still) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// open opens a session that the test's end closes.
func (s *server) open(o psremoting.Options) *psremoting.Session {
	s.t.Helper()
	session, err := psremoting.Open(s.t.Context(), o)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = session.Close(context.Background()) })
	return session
}

func opened() []step {
	return []step{{messages: [][]byte{
		msg(sessionCapability, [16]byte{}, `<Obj RefId="0"><MS><Version N="protocolversion">2.2</Version><Version N="PSVersion">2.0</Version><Version N="SerializationVersion">1.1.0.1</Version></MS></Obj>`),
		msg(privateData, [16]byte{}, `<Obj RefId="0"><MS><Obj N="ApplicationPrivateData" RefId="1"><DCT/></Obj></MS></Obj>`),
	}}, {messages: [][]byte{msg(poolState, [16]byte{}, `<Obj RefId="1"><MS><I32 N="RunspaceState">2</I32></MS></Obj>`)}}}
}

// msg writes a message to the client.
func msg(kind uint32, pipeline [16]byte, data string) []byte {
	b := binary.LittleEndian.AppendUint32(nil, 1)
	b = binary.LittleEndian.AppendUint32(b, kind)
	b = append(b, make([]byte, 16)...)
	b = append(b, pipeline[:]...)
	return append(b, "\xef\xbb\xbf"+data...)
}

// cut writes a message as fragments with at most n bytes of it each.
func cut(object uint64, m []byte, n int) [][]byte {
	var out [][]byte
	for i := 0; i*n < len(m); i++ {
		part := m[i*n : min(len(m), (i+1)*n)]
		flags := byte(0)
		if i == 0 {
			flags |= 1
		}
		if (i+1)*n >= len(m) {
			flags |= 2
		}
		f := binary.BigEndian.AppendUint64(nil, object)
		f = binary.BigEndian.AppendUint64(f, uint64(i))
		f = append(f, flags)
		f = binary.BigEndian.AppendUint32(f, uint32(len(part)))
		out = append(out, append(f, part...))
	}
	return out
}

// state is the last message of a pipeline: 3 stopped, 4 completed, 5 failed.
func state(p [16]byte, n int, extra string) []byte {
	return msg(pipelineState, p, fmt.Sprintf(`<Obj RefId="0"><MS><I32 N="PipelineState">%d</I32>%s</MS></Obj>`, n, extra))
}

// outputs makes the steps of a command that puts out these objects and completes.
func outputs(objects ...string) func(string, [16]byte) []step {
	return func(_ string, p [16]byte) []step {
		// Running comes first, and means nothing.
		m := [][]byte{state(p, 1, "")}
		for _, o := range objects {
			m = append(m, msg(pipelineOutput, p, o))
		}
		return []step{{messages: append(m, state(p, 4, "")), done: true}}
	}
}

// say makes the steps of a command from messages of these kinds.
func say(last int, extra string, pairs ...any) func(string, [16]byte) []step {
	return func(_ string, p [16]byte) []step {
		var m [][]byte
		for i := 0; i < len(pairs); i += 2 {
			m = append(m, msg(uint32(pairs[i].(int)), p, pairs[i+1].(string)))
		}
		if last != 0 {
			m = append(m, state(p, last, extra))
		}
		return []step{{messages: m, done: last != 0}}
	}
}

// record is an error record as a server writes it.
func record(name, id, exception, message string, category int) string {
	if name != "" {
		name = ` N="` + name + `"`
	}
	return fmt.Sprintf(`<Obj%s RefId="90"><TN RefId="90"><T>System.Management.Automation.ErrorRecord</T><T>System.Object</T></TN><ToString>%[4]s</ToString><MS>`+
		`<Obj N="Exception" RefId="91"><TN RefId="91"><T>%[3]s</T><T>System.Exception</T><T>System.Object</T></TN><ToString>%[3]s: %[4]s</ToString>`+
		`<Props><S N="Message">%[4]s</S><Nil N="InnerException"/></Props></Obj><Nil N="TargetObject"/><S N="FullyQualifiedErrorId">%[2]s</S><Nil N="InvocationInfo"/>`+
		`<I32 N="ErrorCategory_Category">%[5]d</I32><S N="ErrorCategory_Reason">AReason</S><B N="SerializeExtendedInfo">false</B></MS></Obj>`, name, id, exception, message, category)
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	q := s.parse(body)
	q.http = r
	s.mu.Lock()
	name := q.op
	if q.op == "Signal" {
		name += " " + q.code[strings.LastIndex(q.code, "/")+1:]
	}
	s.ops = append(s.ops, name)
	s.requests = append(s.requests, q)
	s.mu.Unlock()
	if s.hook != nil {
		if status, body := s.hook(q); status != 0 {
			w.Header().Set("Content-Type", "application/soap+xml;charset=UTF-8")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
			return
		}
	}
	w.Header().Set("Content-Type", "application/soap+xml;charset=UTF-8")
	_, _ = io.WriteString(w, s.answer(q))
}

func (s *server) parse(body []byte) request {
	var e struct {
		Action    string `xml:"Header>Action"`
		ID        string `xml:"Header>MessageID"`
		Selectors []struct {
			Text string `xml:",chardata"`
		} `xml:"Header>SelectorSet>Selector"`
		Create  string `xml:"Body>Shell>creationXml"`
		Command struct {
			ID   string `xml:"CommandId,attr"`
			Data string `xml:"Arguments"`
		} `xml:"Body>CommandLine"`
		Send struct {
			ID   string `xml:"CommandId,attr"`
			Name string `xml:"Name,attr"`
			Data string `xml:",chardata"`
		} `xml:"Body>Send>Stream"`
		Receive struct {
			ID string `xml:"CommandId,attr"`
		} `xml:"Body>Receive>DesiredStream"`
		Signal struct {
			ID   string `xml:"CommandId,attr"`
			Code string `xml:"Code"`
		} `xml:"Body>Signal"`
	}
	if err := xml.Unmarshal(body, &e); err != nil {
		s.t.Errorf("request: %v: %s", err, body)
	}
	q := request{op: e.Action[strings.LastIndex(e.Action, "/")+1:], id: e.ID, raw: string(body), size: len(body), code: e.Signal.Code}
	for _, v := range e.Selectors {
		q.shell = v.Text
	}
	q.command = e.Command.ID + e.Send.ID + e.Receive.ID + e.Signal.ID
	q.data, _ = base64.StdEncoding.DecodeString(e.Create + e.Command.Data + e.Send.Data)
	return q
}

func (s *server) answer(q request) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch q.op {
	case "Create":
		id := fmt.Sprintf("SHELL-%d", len(s.shells)+1)
		s.shells[id] = true
		s.steps[""] = s.pool
		return envelope(q, `<x:ResourceCreated xmlns:x="http://schemas.xmlsoap.org/ws/2004/09/transfer"><a:Address>u</a:Address><a:ReferenceParameters>`+
			`<w:ResourceURI>u</w:ResourceURI><w:SelectorSet><w:Selector Name="ShellId">`+id+`</w:Selector></w:SelectorSet></a:ReferenceParameters></x:ResourceCreated>`)
	case "Delete":
		if !s.shells[q.shell] {
			return fault(q, 2150858843, "no such shell")
		}
		delete(s.shells, q.shell)
		return envelope(q, "")
	case "Command", "Send":
		s.take(q)
		if q.op == "Send" {
			return envelope(q, `<rsp:SendResponse/>`)
		}
		return envelope(q, `<rsp:CommandResponse><rsp:CommandId>`+q.command+`</rsp:CommandId></rsp:CommandResponse>`)
	case "Signal":
		return envelope(q, `<rsp:SignalResponse/>`)
	}
	list := s.steps[q.command]
	if len(list) == 0 {
		return fault(q, 2150858793, "The WS-Management service cannot complete the operation within the time specified in OperationTimeout.")
	}
	s.steps[q.command] = list[1:]
	return envelope(q, s.receive(q, list[0]))
}

// take puts the message of a pipeline together.
func (s *server) take(q request) {
	b := q.data
	for len(b) >= 21 {
		n := int(binary.BigEndian.Uint32(b[17:]))
		s.message = append(s.message, b[21:21+n]...)
		if b[16]&2 != 0 {
			m := s.message
			s.message = nil
			s.steps[q.command] = s.run(string(m[43:]), [16]byte(m[24:40]))
		}
		b = b[21+n:]
	}
}

func (s *server) receive(q request, st step) string {
	var b strings.Builder
	b.WriteString(`<rsp:ReceiveResponse>`)
	id := ""
	if q.command != "" {
		id = ` CommandId="` + q.command + `"`
	}
	streams := st.streams
	for _, m := range st.messages {
		s.object++
		streams = append(streams, cut(s.object, m, len(m))[0])
	}
	for _, f := range streams {
		fmt.Fprintf(&b, `<rsp:Stream Name="stdout"%s>%s</rsp:Stream>`, id, base64.StdEncoding.EncodeToString(f))
	}
	if st.done {
		fmt.Fprintf(&b, `<rsp:CommandState%s State="http://schemas.microsoft.com/wbem/wsman/1/windows/shell/CommandState/Done"/>`, id)
	}
	return b.String() + `</rsp:ReceiveResponse>`
}

func envelope(q request, body string) string {
	return `<s:Envelope xml:lang="en-US" xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" ` +
		`xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" xmlns:rsp="http://schemas.microsoft.com/wbem/wsman/1/windows/shell"><s:Header>` +
		`<a:Action>x</a:Action><a:MessageID>uuid:1</a:MessageID><a:RelatesTo>` + q.id + `</a:RelatesTo></s:Header><s:Body>` + body + `</s:Body></s:Envelope>`
}

func fault(q request, code int, message string) string {
	return faultXML(q, "w:InternalError", "Reason.", fmt.Sprintf(`<f:WSManFault xmlns:f="http://schemas.microsoft.com/wbem/wsman/1/wsmanfault" Code="%d" Machine="exch01"><f:Message>%s</f:Message></f:WSManFault>`, code, message))
}

func faultXML(q request, subcode, reason, detail string) string {
	return envelope(q, `<s:Fault><s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value>`+subcode+`</s:Value></s:Subcode></s:Code>`+
		`<s:Reason><s:Text xml:lang="en-US">`+reason+`</s:Text></s:Reason><s:Detail>`+detail+`</s:Detail></s:Fault>`)
}

// seen returns the operations so far.
func (s *server) seen() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.ops, ", ")
}

// left returns the shells that nobody deleted.
func (s *server) left() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.shells)
}

func command(name string, params ...psremoting.Param) psremoting.Command {
	return psremoting.Command{Name: name, Params: params}
}
