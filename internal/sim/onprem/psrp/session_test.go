package psrp_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/c2conn/c2conn/internal/sim/onprem/psrp"
)

// What a Windows Server 2016 sent in a recorded session with this pool id:
// SESSION_CAPABILITY and RUNSPACEPOOL_STATE, as fragments.
const (
	windowsCapability = "AAAAAAAAAAEAAAAAAAAAAAMAAADKAQAAAAIAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAO+7vzxPYmogUmVmSWQ9IjAiPjxNUz48VmVyc2lvbiBOPSJwcm90b2NvbHZlcnNpb24iPjIuMzwvVmVyc2lvbj48VmVyc2lvbiBOPSJQU1ZlcnNpb24iPjIuMDwvVmVyc2lvbj48VmVyc2lvbiBOPSJTZXJpYWxpemF0aW9uVmVyc2lvbiI+MS4xLjAuMTwvVmVyc2lvbj48L01TPjwvT2JqPg=="
	windowsOpened     = "AAAAAAAAAAMAAAAAAAAAAAMAAABnAQAAAAUQAgA8RNEUgGFBKpUZ0lum2Jd7AAAAAAAAAAAAAAAAAAAAAO+7vzxPYmogUmVmSWQ9IjAiPjxNUz48STMyIE49IlJ1bnNwYWNlU3RhdGUiPjI8L0kzMj48L01TPjwvT2JqPg=="
)

func TestOpensAsWindowsDoes(t *testing.T) {
	t.Parallel()
	c := newClient(t, newServer(t, nil))
	a := c.create(shellID)
	if a.status != http.StatusOK || a.Header.Action != transfer+"/CreateResponse" || !strings.HasPrefix(a.Header.RelatesTo, "uuid:") {
		t.Fatalf("%d %s", a.status, a.text)
	}
	c.shell = a.Body.Shell
	var streams []string
	for range 3 {
		a := c.receive("")
		if len(a.Body.Receive.Streams) != 1 {
			t.Fatalf("%s", a.text)
		}
		streams = append(streams, a.Body.Receive.Streams[0])
	}
	if streams[0] != windowsCapability {
		t.Errorf("SESSION_CAPABILITY is %s", streams[0])
	}
	if streams[2] != windowsOpened {
		t.Errorf("RUNSPACEPOOL_STATE is %s", streams[2])
	}
	private, err := base64.StdEncoding.DecodeString(streams[1])
	if err != nil || !strings.Contains(string(private), `<S N="Key">PSVersionTable</S><Obj N="Value" RefId="2"><TNRef RefId="0" /><DCT><En><S N="Key">PSVersion</S><Version N="Value">5.1.`) {
		t.Errorf("APPLICATION_PRIVATE_DATA is %q, %v", private, err)
	}
	if a := c.delete(); a.status != http.StatusOK || !strings.HasSuffix(a.text, "<s:Body></s:Body></s:Envelope>") {
		t.Errorf("delete: %s", a.text)
	}
	if a := c.receive(""); a.code() != 2150858843 || !strings.Contains(a.Body.Fault.Detail.Message, shellID) {
		t.Errorf("after delete: %s", a.text)
	}
}

func TestShellsAreCounted(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	c := newClient(t, s)
	for i := range 18 {
		if a := c.create(c.id()); a.status != http.StatusOK {
			t.Fatalf("shell %d: %s", i, a.text)
		}
	}
	a := c.create(c.id())
	if a.code() != 2150859173 || !strings.Contains(a.Body.Fault.Detail.Message, "maximum number of 18 concurrent shells") {
		t.Errorf("shell 19: %s", a.text)
	}
	other := newClient(t, s)
	other.user = `CORP\viewer`
	if a := other.create(shellID); a.status != http.StatusOK {
		t.Errorf("another user: %s", a.text)
	}
	open := s.Open()
	if len(open) != 19 {
		t.Fatalf("%d shells are open", len(open))
	}
	c.shell = open[0].ID
	if open[0].User != "exadmin" {
		c.shell = open[1].ID
	}
	other.shell = c.shell
	if a := other.delete(); a.code() != 5 {
		t.Errorf("somebody else's shell: %s", a.text)
	}
	if a := c.delete(); a.status != http.StatusOK {
		t.Errorf("delete: %s", a.text)
	}
	if n := len(s.Open()); n != 18 {
		t.Errorf("%d shells are open", n)
	}
}

func TestIdleShellsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, func(o *psrp.Options) { o.IdleTimeout = time.Minute })
		c := newClient(t, s).open()
		time.Sleep(59 * time.Second)
		if len(s.Open()) != 1 {
			t.Error("ended too early")
		}
		if a := c.receive(""); a.code() != 2150858793 { // a poll of 20 s keeps it
			t.Errorf("poll: %s", a.text)
		}
		time.Sleep(59 * time.Second)
		if len(s.Open()) != 1 {
			t.Error("ended although it was used")
		}
		time.Sleep(time.Second)
		if len(s.Open()) != 0 {
			t.Error("an idle shell stays")
		}
		if a := c.begin("Get-Mailbox"); a.code() != 2150858843 {
			t.Errorf("command to a shell that ended: %s", a.text)
		}
	})
}

// begin only starts a command.
func (c *client) begin(name string) answer {
	_, a := c.start(pipelineXML(commandXML(100, name, false, nil)))
	return a
}

func TestPollEndsAfterOperationTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, nil)
		if err := s.Break("slow=45s"); err != nil {
			t.Fatal(err)
		}
		c := newClient(t, s).open()
		id, _ := c.start(pipelineXML(commandXML(100, "Get-OrganizationConfig", false, nil)))
		begin := time.Now()
		if m := c.messages(c.receive(id)); len(m) != 1 || !strings.Contains(m[0].data, `<I32 N="PipelineState">1</I32>`) {
			t.Errorf("first comes %v", m)
		}
		if a := c.receive(id); a.code() != 2150858793 || a.Body.Fault.Subcode != "w:TimedOut" || time.Since(begin) != 20*time.Second {
			t.Errorf("after %v: %s", time.Since(begin), a.text)
		}
		o := c.collect(id)
		if len(o.objects) != 1 || !o.completed() || time.Since(begin) != 45*time.Second {
			t.Errorf("after %v: %+v", time.Since(begin), o)
		}
		if a := c.receive(id); a.code() != 2150858843 {
			t.Errorf("after Done: %s", a.text)
		}
	})
}

func TestStopped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, nil)
		if err := s.Break("slow=1h"); err != nil {
			t.Fatal(err)
		}
		c := newClient(t, s).open()
		id, _ := c.start(pipelineXML(commandXML(100, "Get-Mailbox", false, nil)))
		synctest.Wait()
		if a := c.signal(id, "powershell/signal/crtl_c"); a.status != http.StatusOK {
			t.Fatal(a.text)
		}
		if o := c.collect(id); !strings.Contains(o.state, `<I32 N="PipelineState">3</I32>`) || !strings.Contains(o.state, "The pipeline has been stopped.") {
			t.Errorf("%+v", o)
		}
		// Delete ends what runs, and the poll that waits for it.
		id, _ = c.start(pipelineXML(commandXML(100, "Get-Mailbox", false, nil)))
		c.receive(id)
		ended := make(chan answer, 1)
		waiting := *c
		waiting.count += 1000
		go func() { ended <- waiting.receive(id) }()
		synctest.Wait()
		second := *c
		second.count += 2000
		if a := second.receive(id); a.code() != 2150858802 {
			t.Errorf("a second poll of the same stream: %s", a.text)
		}
		begin := time.Now()
		c.delete()
		if a := <-ended; a.code() != 995 || time.Since(begin) != 0 {
			t.Errorf("poll at delete, after %v: %s", time.Since(begin), a.text)
		}
	})
}

func TestHeadersAreRequired(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	c := newClient(t, s)
	creation := append(c.fragment(0x00010002, noID, capability), c.fragment(0x00010004, noID, initPool)...)
	good := c.envelope(transfer+"/Create", options, shellBody(shellID, creation))
	cut := func(from, to string) string {
		before, rest, ok := strings.Cut(good, from)
		_, after, ok2 := strings.Cut(rest, to)
		if !ok || !ok2 {
			t.Fatalf("%s is not in the envelope", from)
		}
		return before + after
	}
	replace := func(old, with string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("%s is not in the envelope", old)
		}
		return strings.Replace(good, old, with, 1)
	}
	for name, test := range map[string]struct {
		envelope string
		code     uint32
	}{
		"no Action":           {cut(`<a:Action s`, `</a:Action>`), 2150858769},
		"no To":               {cut(`<a:To>`, `</a:To>`), 2150858769},
		"no MessageID":        {cut(`<a:MessageID>`, `</a:MessageID>`), 2150858769},
		"no ReplyTo":          {cut(`<a:ReplyTo>`, `</a:ReplyTo>`), 2150858769},
		"no ResourceURI":      {cut(`<w:ResourceURI`, `</w:ResourceURI>`), 2150858769},
		"no MaxEnvelopeSize":  {cut(`<w:MaxEnvelopeSize`, `</w:MaxEnvelopeSize>`), 2150858769},
		"no OperationTimeout": {cut(`<w:OperationTimeout>`, `</w:OperationTimeout>`), 2150858769},
		"no OptionSet":        {cut(`<w:OptionSet`, `</w:OptionSet>`), 2150858809},
		"no creationXml":      {cut(`<creationXml`, `</creationXml>`), 2150858817},
		"no input streams":    {cut(`<rsp:InputStreams>`, `</rsp:InputStreams>`), 2150858817},
		"old protocol":        {replace(`MustComply="true">2.3<`, `MustComply="true">1.0<`), 2150858809},
		"To another path":     {replace(`exch01.corp.test/PowerShell/`, `exch01.corp.test/wsman`), 2150858767},
		"MessageID":           {replace(`<a:MessageID>uuid:`, `<a:MessageID>id:`), 2150858767},
		"small envelope":      {replace(`>153600<`, `>8191<`), 2150858878},
		"timeout":             {replace(`PT20.000S`, `20`), 2150858767},
		"other configuration": {replace(exchange, "http://schemas.microsoft.com/powershell/Microsoft.PowerShell"), 2150858752},
		"shell of cmd":        {replace(exchange, shellNS+"/cmd"), 2150858752},
		"action":              {replace(transfer+"/Create", transfer+"/Get"), 2150858771},
		"must understand":     {replace(`<s:Header>`, `<s:Header><x:New xmlns:x="urn:x" s:mustUnderstand="true"/>`), 2150858768},
		"document type":       {`<!DOCTYPE a>` + good, 2150858791},
		"not XML":             {"<<", 2150858791},
		"stream":              {replace(`<rsp:OutputStreams>stdout`, `<rsp:OutputStreams>stderr`), 2150858817},
		"creationXml":         {replace(`/powershell">AAAA`, `/powershell">****`), 2150858817},
		"fragment":            {replace(`/powershell">AAAAAAAAAAEAAAAAAAAAAAM`, `/powershell">AAAAAAAAAAEAAAAAAAAAAAI`), 2150858755},
	} {
		if a := c.post(test.envelope, nil); a.code() != test.code {
			t.Errorf("%s: %d %s", name, a.status, a.text)
		}
	}
	if n := len(s.Open()); n != 0 {
		t.Errorf("%d shells are open", n)
	}
	if a := c.post(good, nil); a.status != http.StatusOK {
		t.Errorf("the envelope itself: %s", a.text)
	}
	if a := c.receive(""); a.code() != 2150858842 {
		t.Errorf("no selector: %s", a.text)
	}
	if a := c.post(good, nil); a.code() != 2150858803 {
		t.Errorf("the same shell again: %s", a.text)
	}
	c.shell = shellID
	if a := c.receive("00000000-0000-0000-0000-000000000001"); a.code() != 2150858843 {
		t.Errorf("unknown command: %s", a.text)
	}
}

func TestHTTP(t *testing.T) {
	t.Parallel()
	c := newClient(t, newServer(t, nil))
	for name, test := range map[string]struct {
		change func(*http.Request)
		status int
	}{
		"GET":                  {func(r *http.Request) { r.Method = http.MethodGet }, http.StatusMethodNotAllowed},
		"another type":         {func(r *http.Request) { r.Header.Set("Content-Type", "text/xml;charset=utf-8") }, http.StatusUnsupportedMediaType},
		"another charset":      {func(r *http.Request) { r.Header.Set("Content-Type", "application/soap+xml;charset=utf-16") }, http.StatusUnsupportedMediaType},
		"plain, without TLS":   {func(r *http.Request) { r.TLS = nil }, http.StatusInternalServerError},
		"encrypted without":    {func(r *http.Request) { r.Header.Set("Content-Type", `multipart/encrypted;protocol="x"`) }, http.StatusBadRequest},
		"nobody":               {func(r *http.Request) { *r = *r.WithContext(t.Context()) }, http.StatusUnauthorized},
		"Identify, not one":    {func(r *http.Request) { r.Header.Set("WSMANIDENTIFY", "unauthenticated") }, http.StatusBadRequest},
		"with a query of PS":   {func(r *http.Request) { r.URL.RawQuery = "PSVersion=5.1.20348.1" }, http.StatusInternalServerError},
		"charset in capitals":  {func(r *http.Request) { r.Header.Set("Content-Type", "application/soap+xml; charset=UTF-8") }, http.StatusInternalServerError},
		"larger than 512000 B": {nil, http.StatusInternalServerError},
	} {
		body := c.envelope(transfer+"/Get", "", "")
		if test.change == nil {
			body += strings.Repeat(" ", 600_000)
		}
		a := c.post(body, test.change)
		if a.status != test.status {
			t.Errorf("%s: %d", name, a.status)
		}
		if strings.HasPrefix(name, "plain") && a.text != "" {
			t.Errorf("%s: %s", name, a.text)
		}
	}
	identify := `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:i="http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd"><s:Header/><s:Body><i:Identify/></s:Body></s:Envelope>`
	if a := c.post(identify, nil); a.status != http.StatusOK || !strings.Contains(a.text, "OS: 10.0.") {
		t.Errorf("identify: %d %s", a.status, a.text)
	}
	c.user = ""
	if a := c.post(identify, func(r *http.Request) { r.Header.Set("WSMANIDENTIFY", "unauthenticated") }); a.status != http.StatusOK || !strings.Contains(a.text, "OS: 0.0.0") {
		t.Errorf("identify by nobody: %d %s", a.status, a.text)
	}
}

func TestAccess(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	c := newClient(t, s)
	for _, user := range []string{"norps@corp.test", "ghost@corp.test"} {
		c.user = user
		if a := c.create(shellID); a.code() != 5 || !strings.Contains(a.Body.Fault.Detail.Message, "Access is denied") {
			t.Errorf("%s: %s", user, a.text)
		}
	}
	// Somebody without any role gets a shell, and is refused when the session is loaded.
	c.user = "alice@contoso.example"
	c.shell = c.create(shellID).Body.Shell
	c.receive("")
	if a := c.receive(""); a.code() != 5 || !strings.Contains(a.Body.Fault.Detail.Message, `[FailureCategory=AuthZ-CmdletAccessDeniedException] The user "corp.test/Users/Alice Smith" isn't assigned to any management roles.`) {
		t.Errorf("no roles: %s", a.text)
	}
	if a := c.delete(); a.status != http.StatusOK {
		t.Errorf("delete: %s", a.text)
	}
}

func TestOverTLS(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(o *psrp.Options) { o.User = func(*http.Request) string { return "exadmin@corp.test" } })
	mux := http.NewServeMux()
	mux.Handle("/PowerShell/", s)
	web := httptest.NewTLSServer(mux)
	t.Cleanup(web.Close)
	c := newClient(t, s)
	creation := append(c.fragment(0x00010002, noID, capability), c.fragment(0x00010004, noID, initPool)...)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, web.URL+"/PowerShell/", strings.NewReader(c.envelope(transfer+"/Create", options, shellBody(shellID, creation))))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/soap+xml;charset=UTF-8")
	res, err := web.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if body := readAll(t, res.Body); res.StatusCode != http.StatusOK || !strings.Contains(body, "<rsp:ClientIP>127.0.0.1</rsp:ClientIP>") {
		t.Errorf("%d %s", res.StatusCode, body)
	}
}

func TestFragmentation(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(o *psrp.Options) { o.FragmentSize = 600 })
	c := newClient(t, s).open()
	big := commandXML(100, "Get-Mailbox", false, []param{text("Identity", "nobody"+strings.Repeat("x", 3000))})
	whole := c.fragment(0x00021006, "00000000-0000-0000-0000-00000000abcd", pipelineXML(big))[21:]
	// The client's message in pieces of 500 bytes: the first is the command's argument.
	id, n := c.id(), uint64(0)
	for rest := whole; len(rest) > 0; n++ {
		part := rest[:min(500, len(rest))]
		rest = rest[len(part):]
		flags := byte(0)
		if n == 0 {
			flags |= 1
		}
		if len(rest) == 0 {
			flags |= 2
		}
		piece := base64.StdEncoding.EncodeToString(append(fmt.Appendf(nil, "%s%s%c%s", be64(c.object), be64(n), flags, be32(uint32(len(part)))), part...))
		var a answer
		if n == 0 {
			a = c.call(shellNS+"/Command", "", `<rsp:CommandLine CommandId="`+id+`"><rsp:Command/><rsp:Arguments>`+piece+`</rsp:Arguments></rsp:CommandLine>`)
		} else {
			a = c.call(shellNS+"/Send", "", `<rsp:Send><rsp:Stream Name="stdin" CommandId="`+id+`">`+piece+`</rsp:Stream></rsp:Send>`)
		}
		if a.status != http.StatusOK {
			t.Fatalf("piece %d: %s", n, a.text)
		}
	}
	o := c.collect(id)
	if len(o.errors) != 1 || !strings.Contains(o.errors[0], "nobodyxxx") {
		t.Errorf("%+v", o)
	}
}

func be64(n uint64) string { return string([]byte{0, 0, 0, 0, 0, 0, byte(n >> 8), byte(n)}) }
func be32(n uint32) string { return string([]byte{0, 0, byte(n >> 8), byte(n)}) }

func TestBigOutputComesInSeveralAnswers(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(o *psrp.Options) {
		o.Organisation = newOrg(o.Now)
		for i := range 300 {
			o.Organisation.Add(mailbox(i))
		}
	})
	c := newClient(t, s).open()
	o := c.run("Get-Mailbox", text("ResultSize", "Unlimited"))
	if len(o.objects) != 303 || o.answers < 4 || !o.completed() {
		t.Errorf("%d objects in %d answers", len(o.objects), o.answers)
	}
}
