package psremoting_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/c2conn/c2conn/internal/psremoting"
)

func TestCommandErrors(t *testing.T) {
	t.Parallel()
	const syntax = "The syntax is not supported by this runspace. This can occur if the runspace is in no-language mode."
	notFound := record("", "[Server=EXCH01,RequestId=1] A1B2,Microsoft.Exchange.Management.RecipientTasks.GetMailbox", "Deserialized.Microsoft.Exchange.ManagementObjectNotFoundException", "No \x1f\u202ebob.", 7)
	failed := func(r string) string { return strings.Replace(r, "<Obj ", `<Obj N="ExceptionAsErrorRecord" `, 1) }
	noCommand := record("", "CommandNotFoundException", "System.Management.Automation.CommandNotFoundException", "The term 'Get-X' is not recognized.", 13)
	script := record("", "ScriptsNotAllowed", "System.Management.Automation.RemoteException", syntax, 0)
	details := strings.Replace(noCommand, `<B N="SerializeExtendedInfo">`, `<S N="ErrorDetails_Message">In other words.</S><B N="SerializeExtendedInfo">`, 1)
	details = strings.ReplaceAll(details, "CommandNotFoundException", "OtherException")

	for name, c := range map[string]struct {
		run     func(string, [16]byte) []step
		want    error  // its type
		message string // of the CommandError within
		id      string
		kind    string
		objects int
		errors  int
	}{
		"record": {say(4, "", pipelineOutput, "<S>a</S>", errorRecord, strings.ReplaceAll(notFound, "\x1f", "_x001F_"), pipelineOutput, "<S>b</S>", errorRecord, noCommand), &CommandError{},
			"No bob.", "[Server=EXCH01,RequestId=1] A1B2,Microsoft.Exchange.Management.RecipientTasks.GetMailbox", "InvalidOperation", 2, 2},
		"no command, failed":     {say(5, failed(noCommand)), &NoCommandError{}, "The term 'Get-X' is not recognized.", "CommandNotFoundException", "ObjectNotFound", 0, 0},
		"no command, record":     {say(4, "", errorRecord, noCommand), &NoCommandError{}, "The term 'Get-X' is not recognized.", "CommandNotFoundException", "ObjectNotFound", 0, 1},
		"no language":            {say(5, failed(script)), &LanguageError{}, syntax, "ScriptsNotAllowed", "NotSpecified", 0, 0},
		"no language, by text":   {say(5, failed(strings.ReplaceAll(script, "ScriptsNotAllowed", "x"))), &LanguageError{}, syntax, "x", "NotSpecified", 0, 0},
		"details":                {say(5, failed(details)), &CommandError{}, "In other words.", "OtherException", "ObjectNotFound", 0, 0},
		"failure before records": {say(5, failed(noCommand), errorRecord, details), &NoCommandError{}, "The term 'Get-X' is not recognized.", "CommandNotFoundException", "ObjectNotFound", 0, 1},
		"stopped":                {say(3, ""), &StoppedError{}, "", "", "", 0, 0},
		"failed without a word":  {say(5, `<Nil N="ExceptionAsErrorRecord"/>`), &StoppedError{}, "", "", "", 0, 0},
		"a bare record":          {say(4, "", errorRecord, `<Obj RefId="0"><ToString>Broken.</ToString><MS><I32 N="ErrorCategory_Category">99</I32></MS></Obj>`), &CommandError{}, "Broken.", "", "", 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, c.run)
			session := s.open(s.options())
			out, err := session.Run(t.Context(), command("Get-X"))
			if reflect.TypeOf(err) != reflect.TypeOf(c.want) {
				t.Fatalf("%T %v", err, err)
			}
			if len(out.Objects) != c.objects || len(out.Errors) != c.errors {
				t.Errorf("%+v", out)
			}
			var e *CommandError
			if errors.As(err, &e) != (c.kind != "" || c.message != "") {
				t.Errorf("%T", err)
			}
			if e != nil && (e.Message != c.message || e.FullyQualifiedErrorID != c.id || e.Category != c.kind || e.Command != "Get-X" || err.Error() != "Get-X: "+c.message) {
				t.Errorf("%+v", e)
			}
			if e != nil && c.kind == "InvalidOperation" && (e.ExceptionType != "Microsoft.Exchange.ManagementObjectNotFoundException" || e.Reason != "AReason") {
				t.Errorf("%+v", e)
			}
			// The session is as good as before.
			if _, again := session.Run(t.Context(), command("Get-X")); errors.Is(again, ErrGivenUp) {
				t.Error(again)
			}
			if got := s.seen(); strings.Count(got, "Signal terminate") != 2 {
				t.Error(got)
			}
		})
	}
}

func TestWarningsAndConsole(t *testing.T) {
	t.Parallel()
	warning := func(s string) string {
		return `<Obj RefId="0"><TN RefId="0"><T>System.Management.Automation.WarningRecord</T></TN><ToString>x</ToString><MS><S N="InformationalRecord_Message">` + s + `</S></MS></Obj>`
	}
	call := func(n int, name string) string {
		return fmt.Sprintf(`<Obj RefId="0"><MS><I64 N="ci">1</I64><Obj N="mi" RefId="1"><TN RefId="0"><T>System.Management.Automation.Remoting.RemoteHostMethodId</T><T>System.Enum</T></TN>`+
			`<ToString>%s</ToString><I32>%d</I32></Obj><Obj N="mp" RefId="2"><TN RefId="1"><T>System.Collections.ArrayList</T></TN><LST/></Obj></MS></Obj>`, name, n)
	}
	s := newServer(t, say(4, "", warningRecord, warning("There are_x000A_more \u202eresults."), warningRecord, warning(""), progressRecord, "not looked at",
		pipelineHostCall, call(16, "WriteLine2"), pipelineHostCall, call(22, "WriteWarningLine"), pipelineHostCall, call(42, "SetWindowTitle"), poolHostCall, call(6, "SetShouldExit"), pipelineOutput, "<S>a</S>"))
	out, err := s.open(s.options()).Run(t.Context(), command("Get-X"))
	if err != nil || !reflect.DeepEqual(out.Warnings, []string{"There are more results."}) || len(out.Objects) != 1 {
		t.Errorf("%+v %v", out, err)
	}

	for n, name := range map[int]string{11: "ReadLine", 12: "ReadLineAsSecureString", 23: "Prompt", 26: "PromptForChoice", 41: "GetWindowTitle", 99: ""} {
		s := newServer(t, say(0, "", pipelineHostCall, call(n, name)))
		session := s.open(s.options())
		_, err := session.Run(t.Context(), command("Remove-X"))
		var e *HostCallError
		if !errors.As(err, &e) || e.Command != "Remove-X" || name != "" && e.Method != name {
			t.Errorf("%T %v", err, err)
		}
		if got := s.seen(); !strings.HasSuffix(got, "Command, Receive, Signal crtl_c") {
			t.Error(got)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	quota := "This user is allowed a maximum number of 5 concurrent shells, which has been exceeded."
	for name, c := range map[string]struct {
		status int
		header http.Header
		body   func(request) string
		check  func(error, *Error) bool
	}{
		"shells": {500, nil, func(q request) string { return fault(q, 2150859173, quota) }, func(err error, e *Error) bool {
			var x *QuotaError
			return errors.As(err, &x) && e.Code == 2150859173 && e.Message == quota && e.Status == 500
		}},
		"operations": {500, nil, func(q request) string { return fault(q, 2150859174, "x") }, func(err error, _ *Error) bool {
			var x *QuotaError
			return errors.As(err, &x)
		}},
		"quota by subcode": {500, nil, func(q request) string { return faultXML(q, "w:QuotaLimit", "Too much.", "") }, func(err error, e *Error) bool {
			var x *QuotaError
			return errors.As(err, &x) && e.Message == "Too much."
		}},
		"access denied": {500, nil, func(q request) string { return fault(q, 5, "Access is denied.") }, func(err error, _ *Error) bool {
			var x *DeniedError
			return errors.As(err, &x) && !x.Disabled && !x.NoRole
		}},
		"access denied by Exchange": {500, nil, func(q request) string {
			return fault(q, 2150858819, "[Server=CAS1,RequestId=1,TimeStamp=2] Access is denied.")
		}, func(err error, _ *Error) bool {
			var x *DeniedError
			return errors.As(err, &x)
		}},
		"no role": {500, nil, func(q request) string {
			return fault(q, 2150858819, `<f:ProviderFault provider="Exchange" path="x"><X>[AuthZRequestId=1][FailureCategory=AuthZ-CmdletAccessDeniedException] The user "CORP\bob" isn't`+"\n"+`assigned to any management roles.</X></f:ProviderFault>`)
		}, func(err error, e *Error) bool {
			var x *DeniedError
			return errors.As(err, &x) && x.NoRole && e.Category == "AuthZ-CmdletAccessDeniedException" && strings.HasSuffix(e.Message, `The user "CORP\bob" isn't assigned to any management roles.`)
		}},
		"disabled": {500, nil, func(q request) string {
			return fault(q, 2150858819, `[FailureCategory=AuthZ-RemotePowerShellNotEnabledException] No.`)
		}, func(err error, _ *Error) bool {
			var x *DeniedError
			return errors.As(err, &x) && x.Disabled
		}},
		"redirect by a fault": {500, nil, func(q request) string {
			return fault(q, 2150859161, `Go to <f:ProviderFault>(https://exch02.corp.test/PowerShell/).</f:ProviderFault>`)
		}, func(err error, _ *Error) bool {
			var x *RedirectError
			return errors.As(err, &x) && x.URL == "https://exch02.corp.test/PowerShell/"
		}},
		"redirect by IIS": {302, http.Header{"Location": {"https://evil.example/\u202e"}}, func(request) string { return "<html/>" }, func(err error, e *Error) bool {
			var x *RedirectError
			return errors.As(err, &x) && x.URL == "https://evil.example/" && e.Status == 302
		}},
		"not signed in": {401, http.Header{"Www-Authenticate": {"Negotiate", "Basic realm=\"x\""}}, func(request) string { return "" }, func(_ error, e *Error) bool {
			return e.Status == 401 && e.WWWAuth == `Negotiate, Basic realm="x"`
		}},
		"forbidden": {403, nil, func(request) string { return "<html><body>no</body>" }, func(err error, e *Error) bool {
			var x *DeniedError
			return errors.As(err, &x) && e.Status == 403
		}},
		"no such page": {404, nil, func(request) string { return "<html><br></html>" }, func(err error, e *Error) bool {
			return e.Status == 404 && strings.Contains(err.Error(), "404") && e.Code == 0
		}},
		"another fault": {500, nil, func(q request) string { return fault(q, 2150858752, "The client cannot connect.\u202e") }, func(err error, e *Error) bool {
			return err == error(e) && e.Code == 2150858752 && e.Message == "The client cannot connect." && e.Op == "Create"
		}},
		"a fault, but 200": {200, nil, func(q request) string { return fault(q, 1, "no") }, func(_ error, e *Error) bool { return e.Code == 1 }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, outputs())
			s.hook = func(q request) (int, string) {
				return c.status, c.body(q)
			}
			client := *s.c
			client.Transport = headers{client.Transport, c.header}
			o := s.options()
			o.HTTP = &client
			_, err := Open(t.Context(), o)
			var e *Error
			if !errors.As(err, &e) || !c.check(err, e) || e.RequestID == "" {
				t.Errorf("%T %v; %+v", err, err, e)
			}
			if err != nil && err.Error() == "" {
				t.Error("no words")
			}
			// What was refused needs no deletion.
			if got := s.seen(); got != "Create" {
				t.Error(got)
			}
		})
	}
}

// headers adds headers to each answer.
type headers struct {
	next http.RoundTripper
	add  http.Header
}

func (h headers) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := h.next.RoundTrip(r)
	if err == nil {
		for k, v := range h.add {
			res.Header[k] = v
		}
	}
	return res, err
}

// TestHalfOpen breaks Open at every place: no shell may be left.
func TestHalfOpen(t *testing.T) {
	t.Parallel()
	broken := func(n int, extra string) []step {
		return []step{{messages: [][]byte{msg(poolState, [16]byte{}, fmt.Sprintf(`<Obj RefId="1"><MS><I32 N="RunspaceState">%d</I32>%s</MS></Obj>`, n, extra))}}}
	}
	other := [16]byte{1}
	for name, c := range map[string]struct {
		pool []step
		hook func(*server) func(request) (int, string)
		ops  string
		is   func(error) bool
	}{
		"broken": {pool: broken(5, ""), is: func(err error) bool {
			var e *StoppedError
			return errors.As(err, &e) && e.State == "broken"
		}},
		"closed, with a reason": {pool: broken(3, record("ExceptionAsErrorRecord", "id", "System.Exception", "No runspace for you.", 8)), is: func(err error) bool {
			var e *CommandError
			return errors.As(err, &e) && e.Message == "No runspace for you."
		}},
		"other version": {pool: []step{{messages: [][]byte{msg(sessionCapability, [16]byte{}, `<Obj RefId="0"><MS><Version N="protocolversion">3.0</Version></MS></Obj>`)}}}},
		"key exchange":  {pool: []step{{messages: [][]byte{msg(publicKeyRequest, [16]byte{}, `<S/>`)}}}},
		"no object":     {pool: []step{{messages: [][]byte{msg(poolState, [16]byte{}, `<Obj>`)}}}},
		"no state":      {pool: []step{{messages: [][]byte{msg(poolState, [16]byte{}, `<Obj RefId="0"/>`)}}}},
		"a console":     {pool: []step{{messages: [][]byte{msg(poolHostCall, [16]byte{}, `<Obj RefId="0"><MS><Obj N="mi" RefId="1"><I32>11</I32></Obj></MS></Obj>`)}}}},
		"short message": {pool: []step{{messages: [][]byte{make([]byte, 39)}}}},
		"to the server": {pool: []step{{messages: [][]byte{append([]byte{2}, make([]byte, 60)...)}}}},
		"a pipeline's":  {pool: []step{{messages: [][]byte{msg(poolState, other, `<S/>`)}}}},
		"done":          {pool: []step{{done: true}}},
		"fault in Receive": {hook: func(*server) func(request) (int, string) {
			return func(q request) (int, string) {
				if q.op == "Receive" {
					return 500, fault(q, 995, "The I/O operation has been aborted.")
				}
				return 0, ""
			}
		}},
		"the answer of Create is lost": {ops: "Create, Delete", hook: func(s *server) func(request) (int, string) {
			return func(q request) (int, string) {
				if q.op == "Create" { // made under our own id, as servers of version 2.2 do
					id := ownID(q)
					s.mu.Lock()
					s.shells[id] = true
					s.mu.Unlock()
					panic(http.ErrAbortHandler)
				}
				return 0, ""
			}
		}},
		"the answer of Create is unreadable": {ops: "Create, Delete", hook: func(s *server) func(request) (int, string) {
			return func(q request) (int, string) {
				if q.op == "Create" {
					id := ownID(q)
					s.mu.Lock()
					s.shells[id] = true
					s.mu.Unlock()
					return 200, "<html>"
				}
				return 0, ""
			}
		}},
		"the answer of Create is another's, and there is no shell": {ops: "Create, Delete", hook: func(*server) func(request) (int, string) {
			return func(q request) (int, string) {
				if q.op == "Create" {
					q.id = "uuid:other"
					return 200, envelope(q, "")
				}
				return 0, ""
			}
		}, is: func(err error) bool { return !strings.Contains(err.Error(), "left behind") }},
		"Delete fails, too": {pool: broken(5, ""), hook: func(s *server) func(request) (int, string) {
			return func(q request) (int, string) {
				if q.op == "Delete" {
					s.mu.Lock()
					clear(s.shells)
					s.mu.Unlock()
					return 503, ""
				}
				return 0, ""
			}
		}, is: func(err error) bool {
			var e *StoppedError
			return errors.As(err, &e) && strings.Contains(err.Error(), "left behind")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, outputs())
			if c.pool != nil {
				s.pool = c.pool
			}
			if c.hook != nil {
				s.hook = c.hook(s)
			}
			_, err := Open(t.Context(), s.options())
			if err == nil || c.is != nil && !c.is(err) {
				t.Errorf("%T %v", err, err)
			}
			if c.ops == "" {
				c.ops = "Create, Receive, Delete"
			}
			if got := s.seen(); got != c.ops || s.left() != 0 {
				t.Errorf("%s; %d left", got, s.left())
			}
		})
	}
}

// ownID is the ShellId that a Create proposes.
func ownID(q request) string {
	_, after, _ := strings.Cut(q.raw, `<rsp:Shell ShellId="`)
	id, _, _ := strings.Cut(after, `"`)
	return id
}

// TestHostile gives a command answers that no server gives, and expects an error,
// a stop, and the deletion of the shell.
func TestHostile(t *testing.T) {
	t.Parallel()
	frag := func(id, n uint64, flags byte, size uint32, data string) []byte {
		b := binary.BigEndian.AppendUint64(nil, id)
		b = binary.BigEndian.AppendUint64(b, n)
		b = binary.BigEndian.AppendUint32(append(b, flags), size)
		return append(b, data...)
	}
	streams := func(list ...[]byte) func([16]byte) []step {
		return func([16]byte) []step { return []step{{streams: list}} }
	}
	object := func(xml string) func([16]byte) []step {
		return func(p [16]byte) []step { return []step{{messages: [][]byte{msg(pipelineOutput, p, xml)}}} }
	}
	bomb := `<Obj RefId="0"><LST>` + strings.Repeat("<Nil/>", 20) + `</LST></Obj>`
	for i := 1; i < 12; i++ {
		bomb += fmt.Sprintf(`<Obj RefId="%d"><LST>%s</LST></Obj>`, i, strings.Repeat(fmt.Sprintf(`<Ref RefId="%d"/>`, i-1), 20))
	}
	for name, steps := range map[string]func([16]byte) []step{
		"huge fragment":            streams(frag(1, 0, 1, 1<<31, "x")),
		"no start":                 streams(frag(1, 0, 2, 1, "x")),
		"start twice":              streams(frag(1, 0, 1, 1, "x"), frag(1, 1, 1, 1, "x")),
		"a gap":                    streams(frag(1, 0, 1, 1, "x"), frag(1, 2, 0, 1, "x")),
		"in the middle":            streams(frag(1, 1, 0, 1, "x")),
		"mixed":                    streams(frag(1, 0, 1, 1, "x"), frag(2, 1, 2, 1, "x")),
		"empty fragments":          streams(frag(1, 0, 1, 0, "")),
		"document type":            object(`<!DOCTYPE S [<!ENTITY a "b">]><S>x</S>`),
		"document type, within":    object(`<S><!DOCTYPE S>x</S>`),
		"entity":                   object(`<S>&a;</S>`),
		"deep":                     object(strings.Repeat(`<Obj RefId="0"><LST>`, 40)),
		"many":                     object(`<Obj RefId="0"><LST>` + strings.Repeat("<Nil/>", 100_001) + `</LST></Obj>`),
		"references on each other": object(`<Obj RefId="99"><LST>` + bomb + `</LST></Obj>`),
		"long text":                object(`<S>` + strings.Repeat("x", 1<<20+1) + `</S>`),
		"many types":               object(`<Obj RefId="0"><TN RefId="0">` + strings.Repeat("<T>a</T>", 33) + `</TN></Obj>`),
		"two objects":              object(`<S>a</S><S>b</S>`),
		"nothing":                  object(``),
		"text":                     object(`text`),
		"text between":             object(`<Obj RefId="0">x</Obj>`),
		"end only":                 object(`</S>`),
		"wrong end":                object(`<S>a</B>`),
		"wrong end of an object":   object(`<Obj RefId="0"></Ref>`),
		"unknown element":          object(`<Evil/>`),
		"unknown element within":   object(`<Obj RefId="0"><MS><Evil/></MS></Obj>`),
		"element in a text":        object(`<S>a<B/></S>`),
		"unknown reference":        object(`<Obj RefId="0"><LST><Ref RefId="7"/></LST></Obj>`),
		"unknown types":            object(`<Obj RefId="0"><TNRef RefId="7"/></Obj>`),
		"no type":                  object(`<Obj RefId="0"><TN RefId="0"><S>a</S></TN></Obj>`),
		"half an entry":            object(`<Obj RefId="0"><DCT><En><S N="Key">a</S></En></DCT></Obj>`),
		"no entry":                 object(`<Obj RefId="0"><DCT><S N="Key">a</S></DCT></Obj>`),
		"another's message":        func([16]byte) []step { return []step{{messages: [][]byte{msg(pipelineOutput, [16]byte{9}, "<S/>")}}} },
		"done without a state":     func([16]byte) []step { return []step{{done: true}} },
		"no state":                 func(p [16]byte) []step { return []step{{messages: [][]byte{msg(pipelineState, p, "<S/>")}}} },
		"no call":                  func(p [16]byte) []step { return []step{{messages: [][]byte{msg(pipelineHostCall, p, "<S/>")}}} },
		"key exchange":             func(p [16]byte) []step { return []step{{messages: [][]byte{msg(publicKeyRequest, p, "<S/>")}}} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, func(_ string, p [16]byte) []step { return steps(p) })
			session := s.open(s.options())
			_, err := session.Run(t.Context(), command("Get-X"))
			var e *Error
			if !errors.As(err, &e) || e.Op != "Receive" || e.Err == nil {
				t.Errorf("%T %v", err, err)
			}
			if _, err := session.Run(t.Context(), command("Get-X")); !errors.Is(err, ErrGivenUp) {
				t.Error(err)
			}
			if err := session.Close(t.Context()); err != nil {
				t.Error(err)
			}
			if got := s.seen(); got != "Create, Receive, Receive, Command, Receive, Signal crtl_c, Delete" || s.left() != 0 {
				t.Error(got)
			}
		})
	}
}

// TestHostileEnvelopes are answers that are no answers.
func TestHostileEnvelopes(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]func(request) string{
		"nothing":       func(request) string { return "" },
		"other XML":     func(request) string { return "<a/>" },
		"document type": func(q request) string { return `<!DOCTYPE a>` + envelope(q, "") },
		"deep":          func(q request) string { return envelope(q, strings.Repeat("<a>", 70)+strings.Repeat("</a>", 70)) },
		"many":          func(q request) string { return envelope(q, strings.Repeat("<a/>", 20_001)) },
		"large":         func(q request) string { return envelope(q, strings.Repeat(" ", 4<<20)) },
		"no base64": func(q request) string {
			return envelope(q, `<rsp:ReceiveResponse><rsp:Stream Name="stdout">=</rsp:Stream></rsp:ReceiveResponse>`)
		},
		"another's": func(q request) string { q.id = "uuid:x"; return envelope(q, "<rsp:ReceiveResponse/>") },
		"cut off":   func(q request) string { return envelope(q, "")[:200] },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, outputs())
			session := s.open(s.options())
			s.hook = func(q request) (int, string) {
				if q.op == "Receive" {
					return 200, body(q)
				}
				return 0, ""
			}
			_, err := session.Run(t.Context(), command("Get-X"))
			var e *Error
			if !errors.As(err, &e) || e.Op != "Receive" || e.Err == nil {
				t.Errorf("%T %v", err, err)
			}
			if err := session.Close(t.Context()); err != nil || s.left() != 0 {
				t.Error(err)
			}
		})
	}
}

func TestTooMuch(t *testing.T) {
	t.Parallel()
	s := newServer(t, outputs(slices.Repeat([]string{`<S>` + strings.Repeat("x", 9_000) + `</S>`}, 80)...))
	o := s.options()
	o.Keep = 100_000
	out, err := s.open(o).Run(t.Context(), command("Get-X"))
	var e *LimitError
	if !errors.As(err, &e) || len(out.Objects) != 10 {
		t.Errorf("%d %v", len(out.Objects), err)
	}
	n := 0
	c := command("Get-X")
	c.Take = func(Object) error { n++; return nil }
	if _, err := s.open(o).Run(t.Context(), c); err != nil || n != 80 {
		t.Errorf("%d %v", n, err)
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"Command", "Receive"} {
		s := newServer(t, outputs())
		session := s.open(s.options())
		ctx, cancel := context.WithCancel(t.Context())
		s.hook = func(q request) (int, string) {
			if q.op == at {
				cancel()
				<-q.http.Context().Done() // the client has gone
				return 500, ""
			}
			return 0, ""
		}
		if _, err := session.Run(ctx, command("Get-X")); !errors.Is(err, context.Canceled) {
			t.Errorf("%T %v", err, err)
		}
		if _, err := session.Run(t.Context(), command("Get-X")); !errors.Is(err, ErrGivenUp) {
			t.Error(err)
		}
		if err := session.Close(ctx); err != nil || s.left() != 0 {
			t.Error(err)
		}
		if got := s.seen(); !strings.HasSuffix(got, at+", Signal crtl_c, Delete") {
			t.Error(got)
		}
	}
}

func TestCancelOpen(t *testing.T) {
	t.Parallel()
	s := newServer(t, outputs())
	ctx, cancel := context.WithCancel(t.Context())
	s.hook = func(q request) (int, string) {
		if q.op == "Receive" {
			cancel()
			<-q.http.Context().Done()
			return 500, ""
		}
		return 0, ""
	}
	if _, err := Open(ctx, s.options()); !errors.Is(err, context.Canceled) {
		t.Errorf("%T %v", err, err)
	}
	if got := s.seen(); got != "Create, Receive, Delete" || s.left() != 0 {
		t.Error(got)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	s := newServer(t, outputs())
	o := s.options()
	o.CloseLimit = time.Millisecond
	busy, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	s.hook = func(q request) (int, string) {
		<-q.http.Context().Done()
		return 500, ""
	}
	o.Limit = time.Millisecond
	if _, err := Open(t.Context(), o); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%T %v", err, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := busy.Run(ctx, command("Get-X")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%T %v", err, err)
	}
	if err := busy.Close(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%T %v", err, err)
	}
}

// TestCloseStops closes a session whose command does not end.
func TestCloseStops(t *testing.T) {
	t.Parallel()
	s := newServer(t, outputs())
	session := s.open(s.options())
	running, ended := make(chan struct{}), make(chan error)
	s.hook = func(q request) (int, string) {
		if q.op == "Receive" {
			close(running)
			<-q.http.Context().Done()
			return 500, ""
		}
		return 0, ""
	}
	go func() {
		_, err := session.Run(context.Background(), command("Get-X"))
		ended <- err
	}()
	<-running
	if err := session.Close(t.Context()); err != nil || s.left() != 0 {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("%T %v", err, err)
	}
	if got := s.seen(); got != "Create, Receive, Receive, Command, Receive, Signal crtl_c, Delete" {
		t.Error(got)
	}
}

func TestCloseFails(t *testing.T) {
	t.Parallel()
	s := newServer(t, outputs())
	session := s.open(s.options())
	code := 995
	s.hook = func(q request) (int, string) {
		if q.op == "Delete" {
			return 500, fault(q, code, "x")
		}
		return 0, ""
	}
	var e *Error
	if err := session.Close(t.Context()); !errors.As(err, &e) || e.Op != "Delete" || e.Code != 995 {
		t.Errorf("%T %v", err, err)
	}
	code = 2150858843
	if err := s.open(s.options()).Close(t.Context()); err != nil {
		t.Error("a shell that is gone is gone:", err)
	}
}

func TestBadOptions(t *testing.T) {
	t.Parallel()
	s := newServer(t, outputs())
	for name, o := range map[string]Options{
		"no address":      {HTTP: s.c},
		"no host":         {URL: "https:///PowerShell/", HTTP: s.c},
		"other scheme":    {URL: "ftp://exch01/", HTTP: s.c},
		"user in it":      {URL: strings.Replace(s.url, "://", "://a:b@", 1), HTTP: s.c},
		"nobody signs in": {URL: s.url},
		"sealing only":    {URL: s.url, Seal: func(context.Context, string) (Sealer, error) { return nil, errors.New("no") }},
		"small envelopes": {URL: s.url, HTTP: s.c, Envelope: 100},
		"no ids":          {URL: s.url, HTTP: s.c, Rand: strings.NewReader("x")},
	} {
		if _, err := Open(t.Context(), o); err == nil || strings.Contains(err.Error(), "a:b") {
			t.Errorf("%s: %v", name, err)
		}
	}
	plain := strings.Replace(s.url, "https", "http", 1)
	if _, err := Open(t.Context(), Options{URL: plain, HTTP: s.c}); !errors.Is(err, ErrPlainHTTP) {
		t.Error(err)
	}
	if got := s.seen(); got != "" {
		t.Error("something was sent: ", got)
	}
}
