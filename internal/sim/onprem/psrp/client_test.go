package psrp_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/sim/onprem/org"
	"github.com/c2conn/c2conn/internal/sim/onprem/psrp"
)

// A client of the tests: raw envelopes and messages, written from [MS-WSMV] and
// [MS-PSRP].

const (
	shellNS  = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
	transfer = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
	exchange = "http://schemas.microsoft.com/powershell/Microsoft.Exchange"
	endpoint = "https://exch01.corp.test/PowerShell/"

	// The pool's id in the order of its bytes on the wire, as in the recorded session.
	poolHex = "3c44d114806141 2a9519d25ba6d8977b"
	shellID = "3C44D114-8061-412A-9519-D25BA6D8977B"
)

type userKey struct{}

// newOrg is an organisation with administrator, mailboxes and a server.
func newOrg(now func() time.Time) *org.Organisation {
	o := org.New(org.Options{Domain: "corp.test", NetBIOS: "CORP", Now: now, Rand: bytes.NewReader(nil)})
	o.Add(org.User{SAM: "exadmin", DisplayName: "Exchange Admin", UPN: "exadmin@corp.test", Address: "exadmin@corp.test", Server: "EXCH01", Database: "DB01"})
	o.Add(org.User{SAM: "alice", DisplayName: "Alice Smith", UPN: "alice@contoso.example", Address: "alice@contoso.example", Aliases: []string{"a.smith@contoso.example"}, Server: "EXCH01", Database: "DB01"})
	o.Add(org.User{SAM: "room1", DisplayName: "Board Room", UPN: "room1@corp.test", Address: "room1@corp.test", Type: org.RoomMailbox, Server: "EXCH01", Database: "DB01"})
	o.Add(org.User{SAM: "pf1", DisplayName: "PF Hierarchy", Address: "pf1@corp.test", Type: org.PublicFolderMailbox, Server: "EXCH01", Database: "DB01"})
	o.Add(org.User{SAM: "Administrator"})
	o.Add(org.User{SAM: "viewer", DisplayName: "Viewer", UPN: "viewer@corp.test"})
	o.Add(org.User{SAM: "norps", DisplayName: "No Remote", UPN: "norps@corp.test", NoRemotePowerShell: true})
	o.Join("Organization Management", "exadmin")
	o.Join("Organization Management", "norps")
	o.Join("View-Only Organization Management", "viewer")
	o.AddServer(org.Server{Name: "EXCH01", FQDN: "exch01.corp.test", Version: "Version 15.2 (Build 1748.10)", SCP: "https://autodiscover.corp.test/Autodiscover/Autodiscover.xml", ASA: `CORP\EXASA$`})
	o.AddScope(org.Scope{Name: "Rooms", Filter: "RecipientTypeDetails -eq 'RoomMailbox'", Holds: func(u org.User) bool { return u.Type == org.RoomMailbox }})
	return o
}

// newServer makes an endpoint whose user is in the request's context.
func newServer(t *testing.T, change func(*psrp.Options)) *psrp.Server {
	t.Helper()
	o := psrp.Options{
		Server: "exch01.corp.test", Now: time.Now,
		User: func(r *http.Request) string { u, _ := r.Context().Value(userKey{}).(string); return u },
	}
	if change != nil {
		change(&o)
	}
	if o.Organisation == nil {
		o.Organisation = newOrg(o.Now)
	}
	s := psrp.New(o)
	t.Cleanup(s.Close)
	return s
}

type client struct {
	t      *testing.T
	s      http.Handler
	user   string
	shell  string
	object uint64
	count  int
	size   int // MaxEnvelopeSize, at least 153600
	lists  map[uint64][]byte
	ctx    context.Context
}

func newClient(t *testing.T, s http.Handler) *client {
	return &client{t: t, s: s, user: "exadmin@corp.test", lists: map[uint64][]byte{}, ctx: t.Context()}
}

func (c *client) id() string {
	c.count++
	return fmt.Sprintf("00000000-0000-4000-8000-%012d", c.count)
}

// answer is an answer as far as the tests look at it.
type answer struct {
	status int
	text   string
	Header struct {
		Action    string `xml:"Action"`
		RelatesTo string `xml:"RelatesTo"`
	} `xml:"Header"`
	Body struct {
		Shell   string `xml:"Shell>ShellId"`
		Command string `xml:"CommandResponse>CommandId"`
		Receive struct {
			Streams []string `xml:"Stream"`
			State   *struct {
				State string `xml:"State,attr"`
			} `xml:"CommandState"`
		} `xml:"ReceiveResponse"`
		Fault *struct {
			Subcode string `xml:"Code>Subcode>Value"`
			Detail  struct {
				Code    uint32 `xml:"Code,attr"`
				Message string `xml:"Message"`
			} `xml:"Detail>WSManFault"`
		} `xml:"Fault"`
	} `xml:"Body"`
}

func (a answer) code() uint32 {
	if a.Body.Fault == nil {
		return 0
	}
	return a.Body.Fault.Detail.Code
}

const options = `<w:OptionSet s:mustUnderstand="true"><w:Option Name="protocolversion" MustComply="true">2.3</w:Option></w:OptionSet>`

func (c *client) envelope(action, more, body string) string {
	selectors := ""
	if c.shell != "" {
		selectors = `<w:SelectorSet><w:Selector Name="ShellId">` + c.shell + `</w:Selector></w:SelectorSet>`
	}
	return `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" xmlns:p="http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd" xmlns:rsp="` + shellNS + `"><s:Header>` +
		`<a:To>` + endpoint + `?PSVersion=5.1</a:To><w:ResourceURI s:mustUnderstand="true">` + exchange + `</w:ResourceURI><a:ReplyTo><a:Address s:mustUnderstand="true">http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address></a:ReplyTo>` +
		`<a:Action s:mustUnderstand="true">` + action + `</a:Action><w:MaxEnvelopeSize s:mustUnderstand="true">` + fmt.Sprint(max(c.size, 153600)) + `</w:MaxEnvelopeSize><a:MessageID>uuid:` + c.id() + `</a:MessageID>` +
		`<p:SessionId s:mustUnderstand="false">uuid:` + c.id() + `</p:SessionId>` + selectors + more + `<w:OperationTimeout>PT20.000S</w:OperationTimeout></s:Header><s:Body>` + body + `</s:Body></s:Envelope>`
}

// post sends an envelope as it is.
func (c *client) post(envelope string, change func(*http.Request)) answer {
	c.t.Helper()
	r := httptest.NewRequestWithContext(context.WithValue(c.ctx, userKey{}, c.user), http.MethodPost, endpoint, strings.NewReader(envelope))
	r.Header.Set("Content-Type", "application/soap+xml;charset=UTF-8")
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	c.s.ServeHTTP(w, r)
	a := answer{status: w.Code, text: w.Body.String()}
	if strings.HasPrefix(w.Header().Get("Content-Type"), "application/soap+xml") {
		if err := xml.Unmarshal(w.Body.Bytes(), &a); err != nil {
			c.t.Fatalf("%v in %s", err, a.text)
		}
		if (a.Body.Fault != nil) != (a.status == http.StatusInternalServerError) {
			c.t.Errorf("status %d with %s", a.status, a.text)
		}
	}
	return a
}

func (c *client) call(action, more, body string) answer {
	c.t.Helper()
	return c.post(c.envelope(action, more, body), nil)
}

// fragment writes a message as one fragment.
func (c *client) fragment(kind uint32, pipeline, data string) []byte {
	m := binary.LittleEndian.AppendUint32(nil, 2)
	m = binary.LittleEndian.AppendUint32(m, kind)
	m = append(m, unhex(poolHex)...)
	m = append(m, unhex(pipeline)...)
	m = append(m, data...)
	c.object++
	f := binary.BigEndian.AppendUint64(nil, c.object)
	f = append(binary.BigEndian.AppendUint64(f, 0), 3)
	f = binary.BigEndian.AppendUint32(f, uint32(len(m)))
	return append(f, m...)
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.NewReplacer(" ", "", "-", "").Replace(s))
	if err != nil {
		panic(err)
	}
	return b
}

const (
	noID       = "00000000000000000000000000000000"
	capability = `<Obj RefId="0"><MS><Version N="protocolversion">2.3</Version><Version N="PSVersion">2.0</Version><Version N="SerializationVersion">1.1.0.1</Version></MS></Obj>`
	hostInfo   = `<Obj N="HostInfo" RefId="3"><MS><B N="_isHostNull">true</B><B N="_isHostUINull">true</B><B N="_isHostRawUINull">true</B><B N="_useRunspaceHost">true</B></MS></Obj>`
	initPool   = `<Obj RefId="0"><MS><I32 N="MinRunspaces">1</I32><I32 N="MaxRunspaces">1</I32>` +
		`<Obj N="PSThreadOptions" RefId="1"><TN RefId="0"><T>System.Management.Automation.Runspaces.PSThreadOptions</T><T>System.Enum</T><T>System.ValueType</T><T>System.Object</T></TN><ToString>Default</ToString><I32>0</I32></Obj>` +
		`<Obj N="ApartmentState" RefId="2"><TN RefId="1"><T>System.Management.Automation.Runspaces.ApartmentState</T><T>System.Enum</T><T>System.ValueType</T><T>System.Object</T></TN><ToString>UNKNOWN</ToString><I32>2</I32></Obj>` +
		hostInfo + `<Nil N="ApplicationArguments" /></MS></Obj>`
)

func shellBody(id string, creation []byte) string {
	return `<rsp:Shell ShellId="` + id + `"><rsp:InputStreams>stdin pr</rsp:InputStreams><rsp:OutputStreams>stdout</rsp:OutputStreams><creationXml xmlns="http://schemas.microsoft.com/powershell">` +
		base64.StdEncoding.EncodeToString(creation) + `</creationXml></rsp:Shell>`
}

// create asks for a shell.
func (c *client) create(id string) answer {
	c.t.Helper()
	c.object = 0
	creation := append(c.fragment(0x00010002, noID, capability), c.fragment(0x00010004, noID, initPool)...)
	return c.call(transfer+"/Create", options, shellBody(id, creation))
}

// open opens a shell and its pool.
func (c *client) open() *client {
	c.t.Helper()
	a := c.create(shellID)
	if c.shell = a.Body.Shell; a.status != http.StatusOK || c.shell != shellID {
		c.t.Fatalf("no shell: %s", a.text)
	}
	for _, want := range []uint32{0x00010002, 0x00021009, 0x00021005} {
		var m []got
		for len(m) == 0 { // long messages come in several fragments
			a := c.receive("")
			if a.status != http.StatusOK {
				c.t.Fatal(a.text)
			}
			m = c.messages(a)
		}
		if len(m) != 1 || m[0].kind != want {
			c.t.Fatalf("%v where %#x is due", m, want)
		}
	}
	return c
}

func (c *client) receive(command string) answer {
	c.t.Helper()
	attr := ""
	if command != "" {
		attr = ` CommandId="` + command + `"`
	}
	return c.call(shellNS+"/Receive", `<w:OptionSet s:mustUnderstand="true"><w:Option Name="WSMAN_CMDSHELL_OPTION_KEEPALIVE">TRUE</w:Option></w:OptionSet>`,
		`<rsp:Receive><rsp:DesiredStream`+attr+`>stdout</rsp:DesiredStream></rsp:Receive>`)
}

type got struct {
	kind uint32
	data string
}

// messages puts the fragments of an answer together.
func (c *client) messages(a answer) (list []got) {
	c.t.Helper()
	for _, s := range a.Body.Receive.Streams {
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			c.t.Fatal(err)
		}
		for len(b) > 0 {
			id, n := binary.BigEndian.Uint64(b), binary.BigEndian.Uint32(b[17:])
			end := b[16]&2 != 0
			c.lists[id] = append(c.lists[id], b[21:21+n]...)
			b = b[21+n:]
			if end {
				m := c.lists[id]
				delete(c.lists, id)
				list = append(list, got{binary.LittleEndian.Uint32(m[4:]), strings.TrimPrefix(string(m[40:]), "\ufeff")})
			}
		}
	}
	return list
}

// param is an argument with its value in CLIXML.
type param struct{ name, value string }

func text(name, value string) param {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(value))
	return param{name, `<S N="V">` + b.String() + `</S>`}
}
func truth(name string, value bool) param {
	return param{name, fmt.Sprintf(`<B N="V">%v</B>`, value)}
}
func present(name string) param { return param{name, `<Nil N="V" />`} }

// commandXML is a command of a pipeline.
func commandXML(ref int, name string, script bool, params []param) string {
	const result = "System.Management.Automation.Runspaces.PipelineResultTypes"
	enum := func(n string, i int) string {
		return fmt.Sprintf(`<Obj N="%s" RefId="%d"><TN RefId="%d"><T>%s</T><T>System.Enum</T><T>System.ValueType</T><T>System.Object</T></TN><ToString>None</ToString><I32>0</I32></Obj>`, n, ref+i, ref+i, result)
	}
	args := ""
	for i, p := range params {
		n := `<S N="N">` + p.name + `</S>`
		if p.name == "" {
			n = `<Nil N="N" />`
		}
		args += fmt.Sprintf(`<Obj RefId="%d"><MS>%s%s</MS></Obj>`, ref+20+i, n, p.value)
	}
	return fmt.Sprintf(`<Obj RefId="%d"><MS><S N="Cmd">%s</S><B N="IsScript">%v</B><Nil N="UseLocalScope" />%s%s%s<Obj N="Args" RefId="%d"><TNRef RefId="20" /><LST>%s</LST></Obj></MS></Obj>`,
		ref, name, script, enum("MergeMyResult", 1), enum("MergeToResult", 2), enum("MergePreviousResults", 3), ref+4, args)
}

func pipelineXML(commands ...string) string {
	const list = `<TN RefId="20"><T>System.Collections.Generic.List` + "`" + `1[[System.Management.Automation.PSObject, System.Management.Automation, Version=1.0.0.0, Culture=neutral, PublicKeyToken=31bf3856ad364e35]]</T><T>System.Object</T></TN>`
	return `<Obj RefId="0"><MS><B N="NoInput">true</B>` +
		`<Obj N="ApartmentState" RefId="1"><TN RefId="1"><T>System.Management.Automation.Runspaces.ApartmentState</T><T>System.Enum</T><T>System.ValueType</T><T>System.Object</T></TN><ToString>UNKNOWN</ToString><I32>2</I32></Obj>` +
		`<Obj N="RemoteStreamOptions" RefId="2"><TN RefId="2"><T>System.Management.Automation.RemoteStreamOptions</T><T>System.Enum</T><T>System.ValueType</T><T>System.Object</T></TN><ToString>0</ToString><I32>0</I32></Obj>` +
		`<B N="AddToHistory">false</B>` + hostInfo + `<Obj N="PowerShell" RefId="4"><MS><B N="IsNested">false</B><Nil N="ExtraCmds" /><Obj N="Cmds" RefId="5">` + list + `<LST>` + strings.Join(commands, "") +
		`</LST></Obj><Nil N="History" /><B N="RedirectShellErrorOutputPipe">true</B></MS></Obj><B N="IsNested">false</B></MS></Obj>`
}

// start sends CREATE_PIPELINE.
func (c *client) start(pipeline string) (string, answer) {
	c.t.Helper()
	id := c.id()
	a := c.call(shellNS+"/Command", "", `<rsp:CommandLine CommandId="`+id+`"><rsp:Command/><rsp:Arguments>`+
		base64.StdEncoding.EncodeToString(c.fragment(0x00021006, id, pipeline))+`</rsp:Arguments></rsp:CommandLine>`)
	return id, a
}

// output is what a pipeline gave.
type output struct {
	objects, errors, warnings []string
	state                     string // the data of the last PIPELINE_STATE
	states                    int
	answers                   int
}

func (o output) failed() bool    { return strings.Contains(o.state, `<I32 N="PipelineState">5</I32>`) }
func (o output) completed() bool { return strings.Contains(o.state, `<I32 N="PipelineState">4</I32>`) }

// collect reads a command's output to its end.
func (c *client) collect(id string) (o output) {
	c.t.Helper()
	for {
		a := c.receive(id)
		if a.code() == 2150858793 {
			continue
		}
		if a.status != http.StatusOK {
			c.t.Fatalf("receive: %s", a.text)
		}
		o.answers++
		for _, m := range c.messages(a) {
			switch m.kind {
			case 0x00041004:
				o.objects = append(o.objects, m.data)
			case 0x00041005:
				o.errors = append(o.errors, m.data)
			case 0x00041009:
				o.warnings = append(o.warnings, m.data)
			case 0x00041006:
				o.state = m.data
				o.states++
			default:
				c.t.Errorf("message %#x", m.kind)
			}
		}
		if s := a.Body.Receive.State; s != nil {
			if s.State != shellNS+"/CommandState/Done" {
				c.t.Errorf("state %s", s.State)
			}
			return o
		}
	}
}

// run runs a cmdlet.
func (c *client) run(name string, params ...param) output {
	c.t.Helper()
	id, a := c.start(pipelineXML(commandXML(100, name, false, params)))
	if a.status != http.StatusOK {
		c.t.Fatalf("command: %s", a.text)
	}
	o := c.collect(id)
	if a := c.signal(id, shellNS+"/signal/terminate"); a.status != http.StatusOK {
		c.t.Errorf("signal: %s", a.text)
	}
	return o
}

func (c *client) signal(id, code string) answer {
	c.t.Helper()
	return c.call(shellNS+"/Signal", "", `<rsp:Signal CommandId="`+id+`"><rsp:Code>`+code+`</rsp:Code></rsp:Signal>`)
}

func (c *client) delete() answer { c.t.Helper(); return c.call(transfer+"/Delete", "", "") }
