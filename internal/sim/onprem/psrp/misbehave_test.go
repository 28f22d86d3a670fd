package psrp_test

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/internal/sim/onprem/psrp"
)

func TestFaults(t *testing.T) {
	t.Parallel()
	t.Run("quota", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, nil)
		must(t, s.Break("quota=1"))
		c := newClient(t, s)
		if a := c.create(shellID); a.code() != 2150859173 {
			t.Error(a.text)
		}
		if a := c.create(shellID); a.status != http.StatusOK {
			t.Error(a.text)
		}
	})
	t.Run("access-denied", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, nil)
		must(t, s.Break("access-denied"))
		if a := newClient(t, s).create(shellID); a.code() != 5 {
			t.Error(a.text)
		}
		must(t, s.Break("none"))
		if a := newClient(t, s).create(shellID); a.status != http.StatusOK {
			t.Error(a.text)
		}
	})
	t.Run("redirect", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, nil)
		must(t, s.Break("redirect=https://evil.example/PowerShell/"))
		if a := newClient(t, s).create(shellID); a.status != http.StatusFound || len(s.Open()) != 0 {
			t.Errorf("%d %s", a.status, a.text)
		}
	})
	t.Run("dies", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, nil)
		must(t, s.Break("dies"))
		c := newClient(t, s).open()
		id, _ := c.start(pipelineXML(commandXML(100, "Get-Mailbox", false, nil)))
		if a := c.receive(id); a.code() != 2150858843 || len(s.Open()) != 0 {
			t.Error(a.text)
		}
		if a := c.delete(); a.code() != 2150858843 {
			t.Error(a.text)
		}
	})
	t.Run("drop", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, nil)
		must(t, s.Break("drop"))
		c := newClient(t, s).open()
		id, _ := c.start(pipelineXML(commandXML(100, "Get-OrganizationConfig", false, nil)))
		func() {
			defer func() {
				if err, _ := recover().(error); !errors.Is(err, http.ErrAbortHandler) {
					t.Errorf("panic: %v", err)
				}
			}()
			c.receive(id)
		}()
		if o := c.collect(id); len(o.objects) != 1 {
			t.Errorf("the next poll: %+v", o)
		}
	})
	t.Run("unknown", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, nil)
		for _, f := range []string{"rain", "slow", "slow=-1s", "slow=soon", "hostile", "hostile=friendly", "dies=0", "dies=x", "redirect", "access-denied=1", "assignment-delay=x", ""} {
			if err := s.Break(f); !errors.Is(err, psrp.ErrFault) {
				t.Errorf("%q: %v", f, err)
			}
		}
		for _, f := range psrp.Faults() {
			if f.Name == "" || f.Help == "" {
				t.Errorf("%+v", f)
			}
		}
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestHostileObjects(t *testing.T) {
	t.Parallel()
	var kinds []string
	for _, f := range psrp.Faults() {
		if f.Name == "hostile" {
			kinds = strings.Split(f.Args, "|")
		}
	}
	if len(kinds) < 8 {
		t.Fatalf("%v", kinds)
	}
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, nil)
			must(t, s.Break("hostile="+kind))
			c := newClient(t, s).open()
			c.size = 512_000
			o := c.run("Get-OrganizationConfig")
			if len(o.objects) != 1 || !o.completed() || strings.Contains(o.objects[0], "First Organization") {
				t.Errorf("%d objects, state %s", len(o.objects), o.state)
			}
		})
	}
}

// xorSealer stands for a security context: the data is as long as the message.
type xorSealer struct{ key byte }

func (x xorSealer) Wrap(message []byte) (header, data []byte, err error) {
	return []byte("sixteen byte sig"), x.crypt(message), nil
}

func (x xorSealer) Unwrap(token []byte) ([]byte, error) {
	data, ok := strings.CutPrefix(string(token), "sixteen byte sig")
	if !ok {
		return nil, errors.New("bad signature")
	}
	return x.crypt([]byte(data)), nil
}

func (x xorSealer) crypt(b []byte) []byte {
	out := make([]byte, len(b))
	for i := range b {
		out[i] = b[i] ^ x.key
	}
	return out
}

const (
	kerberos   = "application/HTTP-Kerberos-session-encrypted"
	sealedType = `multipart/encrypted;protocol="` + kerberos + `";boundary="Encrypted Boundary"`
)

// sealed writes an encrypted message as [MS-WSMV] 2.2.9.1.1 shows.
func sealed(x xorSealer, plain string, length int) string {
	header, data, _ := x.Wrap([]byte(plain))
	return "--Encrypted Boundary\r\n\tContent-Type: " + kerberos + "\r\n\tOriginalContent: type=application/soap+xml;charset=UTF-8;Length=" + fmt.Sprint(length) +
		"\r\n--Encrypted Boundary\r\n\tContent-Type: application/octet-stream\r\n" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(header)))) + string(header) + string(data) + "--Encrypted Boundary--\r\n"
}

func TestEncryption(t *testing.T) {
	t.Parallel()
	x := xorSealer{0x5a}
	s := newServer(t, func(o *psrp.Options) { o.Seal = func(*http.Request) psrp.Sealer { return x } })
	c := newClient(t, s)
	envelope := c.envelope(transfer+"/Get", "", "")
	send := func(body, contentType string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://exch01.corp.test/PowerShell/", strings.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		w := httptest.NewRecorder()
		newServer(t, func(o *psrp.Options) {
			o.Seal = func(*http.Request) psrp.Sealer { return x }
			o.User = func(*http.Request) string { return "exadmin@corp.test" }
		}).ServeHTTP(w, r)
		return w
	}
	good := sealed(x, envelope, len(envelope))
	w := send(good, sealedType)
	if w.Code != http.StatusInternalServerError || w.Header().Get("Content-Type") != sealedType {
		t.Fatalf("%d %s", w.Code, w.Header())
	}
	// Exchange writes a space after the hyphens.
	rest, ok := strings.CutPrefix(w.Body.String(), "-- Encrypted Boundary\r\n\tContent-Type: "+kerberos+"\r\n\tOriginalContent: type=application/soap+xml;charset=UTF-8;Length=")
	length, rest, ok2 := strings.Cut(rest, "\r\n-- Encrypted Boundary\r\n\tContent-Type: application/octet-stream\r\n\x10\x00\x00\x00sixteen byte sig")
	data, ok3 := strings.CutSuffix(rest, "-- Encrypted Boundary--\r\n")
	if !ok || !ok2 || !ok3 || fmt.Sprint(len(data)) != length {
		t.Fatalf("%q", w.Body.String())
	}
	var a answer
	if err := xml.Unmarshal(x.crypt([]byte(data)), &a); err != nil || a.code() != 2150858771 {
		t.Errorf("%v, %q", err, x.crypt([]byte(data)))
	}
	for name, test := range map[string]struct{ body, contentType string }{
		"length":      {sealed(x, envelope, len(envelope)+1), sealedType},
		"signature":   {strings.Replace(good, "sixteen", "SIXTEEN", 1), sealedType},
		"header size": {strings.Replace(good, "\x10\x00\x00\x00sixteen", "\x0f\x00\x00\x00sixteen", 1), sealedType},
		"huge header": {strings.Replace(good, "\x10\x00\x00\x00sixteen", "\xff\xff\xff\xffsixteen", 1), sealedType},
		"no end":      {strings.TrimSuffix(good, "--\r\n"), sealedType},
		"no boundary": {good[2:], sealedType},
		"one part":    {good[:100], sealedType},
		"protocol":    {good, strings.Replace(sealedType, "Kerberos", "CredSSP", 1)},
		"other part":  {strings.Replace(good, "octet-stream", "text", 1), sealedType},
		"original":    {strings.Replace(good, "soap+xml", "json", 1), sealedType},
		"parts":       {strings.Replace(good, "Kerberos", "SPNEGO", 1), sealedType},
		"empty":       {"", sealedType},
	} {
		if w := send(test.body, test.contentType); w.Code != http.StatusBadRequest {
			t.Errorf("%s: %d %q", name, w.Code, w.Body)
		}
	}
	if w := send(envelope, "application/soap+xml;charset=UTF-8"); w.Code != http.StatusInternalServerError || w.Body.Len() != 0 {
		t.Errorf("plain: %d %q", w.Code, w.Body)
	}
}

func TestOwnCmdlet(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(o *psrp.Options) {
		o.SkipRunning = true
		o.Cmdlets = []psrp.Cmdlet{{
			Name: "Get-Thing", Parameters: []psrp.Parameter{{Name: "Text", Position: 1}, {Name: "Broken", Type: psrp.Switch}},
			Run: func(call *psrp.Invocation) (psrp.Result, *psrp.Error) {
				if call.Bool("Broken", false) {
					return psrp.Result{}, call.ExchangeError("TaskException", "It broke.")
				}
				shared := &psrp.Object{Types: []string{"A", "System.Object"}, Text: "shared", Props: []psrp.Property{{Name: "User", Value: call.User.SAM}}}
				return psrp.Result{Objects: []any{
					call.Text("Text"), int64(7),
					&psrp.Object{Types: []string{"A", "System.Object"}, Props: []psrp.Property{{Name: "One", Value: shared}, {Name: "Two", Value: shared}, {Name: "None"}}, Extended: []psrp.Property{
						{Name: "Day", Value: psrp.Enum{Type: "System.DayOfWeek", Name: "Sunday"}},
						{Name: "List", Value: psrp.List{true, psrp.Version("1.2"), psrp.List{}}},
					}},
				}}, nil
			},
		}}
	})
	c := newClient(t, s).open()
	o := c.run("Get-Thing", text("", "a\x09<b>&\u202e😀_x005F_x0041_"))
	// What does not fit XML, surrogates and what looks like an escape are escaped.
	want := []string{
		`<S>a_x0009_&lt;b&gt;&amp;` + "\u202e" + `_xD83D__xDE00__x005F_x0041_</S>`,
		`<I64>7</I64>`,
		`<Obj RefId="0"><TN RefId="0"><T>A</T><T>System.Object</T></TN><Props><Obj N="One" RefId="1"><TNRef RefId="0" /><ToString>shared</ToString><Props><S N="User">exadmin</S></Props></Obj><Ref N="Two" RefId="1" /><Nil N="None" /></Props>` +
			`<MS><Obj N="Day" RefId="2"><TN RefId="1"><T>System.DayOfWeek</T><T>System.Enum</T><T>System.ValueType</T><T>System.Object</T></TN><ToString>Sunday</ToString><I32>0</I32></Obj>` +
			`<Obj N="List" RefId="3"><TN RefId="2"><T>System.Object[]</T><T>System.Array</T><T>System.Object</T></TN><LST><B>true</B><Version>1.2</Version><Obj RefId="4"><TNRef RefId="2" /><LST /></Obj></LST></Obj></MS></Obj>`,
	}
	if len(o.objects) != 3 || o.states != 1 {
		t.Fatalf("%+v", o)
	}
	for i := range want {
		if o.objects[i] != want[i] {
			t.Errorf("%s\nwant %s", o.objects[i], want[i])
		}
	}
	if o := c.run("Get-Thing", text("Text", "_x0041__xD83D__xDE00_")); len(o.objects) != 3 || o.objects[0] != "<S>A_xD83D__xDE00_</S>" {
		t.Errorf("escapes of a client: %v", o.objects)
	}
	if o := c.run("Get-Thing", present("Broken")); len(o.errors) != 1 || value(o.errors[0], "ErrorCategory_Message") != "NotSpecified: (:) [Get-Thing], TaskException" {
		t.Errorf("%+v", o)
	}
}

func TestPoolMessages(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	c := newClient(t, s).open()
	send := func(kind uint32, data string) answer {
		return c.call(shellNS+"/Send", "", `<rsp:Send><rsp:Stream Name="stdin">`+base64.StdEncoding.EncodeToString(c.fragment(kind, noID, data))+`</rsp:Stream></rsp:Send>`)
	}
	if a := send(0x00021007, `<Obj RefId="0"><MS><I64 N="ci">42</I64></MS></Obj>`); a.status != http.StatusOK {
		t.Fatal(a.text)
	}
	if m := c.messages(c.receive("")); len(m) != 1 || m[0].data != `<Obj RefId="0"><MS><I64 N="SetMinMaxRunspacesResponse">1</I64><I64 N="ci">42</I64></MS></Obj>` {
		t.Errorf("%v", m)
	}
	for name, test := range map[string]struct {
		kind uint32
		data string
	}{
		"public key":        {0x00010005, `<Obj RefId="0"><MS><S N="PublicKey">BgIAAACkAABSU0Ex</S></MS></Obj>`},
		"capability again":  {0x00010002, capability},
		"opened again":      {0x00010004, initPool},
		"of the server":     {0x00021005, `<Obj RefId="0"><MS><I32 N="RunspaceState">2</I32></MS></Obj>`},
		"unknown":           {0x12345678, `<Obj RefId="0"/>`},
		"no object":         {0x00021007, `<S>a</S>`},
		"two objects":       {0x00021007, `<Obj RefId="0"><MS><Obj N="a" RefId="0"/></MS></Obj>`},
		"dangling":          {0x00021007, `<Obj RefId="0"><MS><Ref N="a" RefId="9"/></MS></Obj>`},
		"dangling type":     {0x00021007, `<Obj RefId="0"><TNRef RefId="9"/></Obj>`},
		"number of letters": {0x00021007, `<Obj RefId="0"><MS><I64 N="ci">x</I64></MS></Obj>`},
		"other namespace":   {0x00021007, `<Obj xmlns="urn:x" RefId="0"/>`},
		"not UTF-8":         {0x00021007, "\xff"},
	} {
		if a := send(test.kind, test.data); a.code() != 2150858755 {
			t.Errorf("%s: %s", name, a.text)
		}
	}
	for name, pipeline := range map[string]string{
		"no commands":  pipelineXML(),
		"input":        strings.Replace(pipelineXML(commandXML(100, "Get-Mailbox", false, nil)), `<B N="NoInput">true`, `<B N="NoInput">false`, 1),
		"nested":       strings.Replace(pipelineXML(commandXML(100, "Get-Mailbox", false, nil)), `<B N="IsNested">false`, `<B N="IsNested">true`, 1),
		"no host":      strings.Replace(pipelineXML(commandXML(100, "Get-Mailbox", false, nil)), `N="HostInfo"`, `N="GuestInfo"`, 1),
		"no PS":        strings.Replace(pipelineXML(commandXML(100, "Get-Mailbox", false, nil)), `N="PowerShell"`, `N="Bash"`, 1),
		"no merge":     strings.Replace(pipelineXML(commandXML(100, "Get-Mailbox", false, nil)), `N="MergeToResult"`, `N="X"`, 1),
		"no arguments": strings.Replace(pipelineXML(commandXML(100, "Get-Mailbox", false, nil)), `N="Args"`, `N="X"`, 1),
		"no name":      pipelineXML(commandXML(100, "", false, nil)),
		"not CLIXML":   "<Obj",
	} {
		if _, a := c.start(pipeline); a.code() != 2150858755 {
			t.Errorf("%s: %s", name, a.text)
		}
	}
}

// readAll is for answers that come by a network.
func readAll(t *testing.T, r io.ReadCloser) string {
	t.Helper()
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
