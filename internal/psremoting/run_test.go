package psremoting_test

import (
	"bytes"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/progress"
	. "github.com/c2conn/c2conn/internal/psremoting"
)

// sent is a CREATE_PIPELINE as another reads it.
type sent struct {
	Command struct {
		Strings []struct {
			Name string `xml:"N,attr"`
			Text string `xml:",chardata"`
		} `xml:"S"`
		Flags []struct {
			Name string `xml:"N,attr"`
			Text string `xml:",chardata"`
		} `xml:"B"`
		Lists []struct {
			Name string     `xml:"N,attr"`
			Args []argument `xml:"LST>Obj>MS"`
		} `xml:"Obj"`
	} `xml:"MS>Obj>MS>Obj>LST>Obj>MS"`
}

type argument struct {
	Inner string `xml:",innerxml"`
}

func TestCommands(t *testing.T) {
	t.Parallel()
	var scripts []string
	s := newServer(t, func(xml string, p [16]byte) []step {
		scripts = append(scripts, xml)
		return outputs(`<S>one</S>`, `<I32>2</I32>`)(xml, p)
	})
	session := s.open(s.options())
	out, err := session.Run(t.Context(), command("Get-Mailbox", String("Identity", `O'Neill <a> & "b"_x0041_`+"\x01\U0001f600"), Bool("Confirm", false),
		Int("ResultSize", -5), Switch("PublicFolder"), Strings("Names", "a", "b<")))
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Objects) != 2 || out.Objects[0].Text != "one" || out.Objects[1].Value != int64(2) || out.Errors != nil {
		t.Errorf("%+v", out)
	}
	if out, err = session.Run(t.Context(), command("Get-ExchangeServer")); err != nil || len(out.Objects) != 2 {
		t.Errorf("%+v %v", out, err)
	}
	if err := session.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := session.Close(t.Context()); err != nil {
		t.Error("closed twice:", err)
	}
	if _, err := session.Run(t.Context(), command("Get-Mailbox")); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if got, want := s.seen(), "Create, Receive, Receive, Command, Receive, Signal Terminate, Command, Receive, Signal Terminate, Delete"; got != want || s.left() != 0 {
		t.Errorf("%s, %d left", got, s.left())
	}

	var got sent
	if err := xml.Unmarshal([]byte(scripts[0]), &got); err != nil {
		t.Fatal(err)
	}
	c := got.Command
	if c.Strings[0].Name != "Cmd" || c.Strings[0].Text != "Get-Mailbox" || c.Flags[0].Name != "IsScript" || c.Flags[0].Text != "false" {
		t.Errorf("%+v", c)
	}
	args := c.Lists[len(c.Lists)-1].Args
	want := []string{
		`<S N="N">Identity</S><S N="V">O'Neill &lt;a&gt; &amp; &quot;b&quot;_x005F_x0041__x0001_` + "\U0001f600" + `</S>`,
		`<S N="N">Confirm</S><B N="V">false</B>`, `<S N="N">ResultSize</S><I32 N="V">-5</I32>`, `<S N="N">PublicFolder</S><B N="V">true</B>`,
	}
	for i, w := range want {
		if args[i].Inner != w {
			t.Errorf("%s, want %s", args[i].Inner, w)
		}
	}
	if len(args) != 5 || !strings.HasSuffix(args[4].Inner, `<LST><S>a</S><S>b&lt;</S></LST></Obj>`) {
		t.Errorf("%+v", args)
	}
	unique(t, scripts[0])
}

// unique checks that no id of an object is used twice.
func unique(t *testing.T, s string) {
	t.Helper()
	seen := map[string]bool{}
	d := xml.NewDecoder(strings.NewReader(s))
	for {
		token, err := d.Token()
		if err != nil {
			return
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "Obj" {
			for _, a := range e.Attr {
				if a.Name.Local == "RefId" {
					if seen[a.Value] {
						t.Errorf("RefId %s twice", a.Value)
					}
					seen[a.Value] = true
				}
			}
		}
	}
}

// TestWire looks at the bytes that MS-PSRP 2.2.4 and 2.2.1, and MS-WSMV, prescribe.
func TestWire(t *testing.T) {
	t.Parallel()
	s := newServer(t, outputs())
	o := s.options()
	o.UserAgent, o.Rand, o.Poll = "c2conn/1", bytes.NewReader(bytes.Repeat([]byte{0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x00}, 100)), 7*time.Second
	session := s.open(o)
	if _, err := session.Run(t.Context(), command("Get-X")); err != nil {
		t.Fatal(err)
	}
	const id = "11223344-5566-4788-99AA-BBCCDDEEFF00"
	create := s.requests[0]
	for _, w := range []string{
		`<w:ResourceURI s:mustUnderstand="true">http://schemas.microsoft.com/powershell/Microsoft.Exchange</w:ResourceURI>`,
		`<w:Option Name="protocolversion" MustComply="true">2.3</w:Option>`, `<w:OperationTimeout>PT7.000S</w:OperationTimeout>`,
		`<a:To>` + s.url + `</a:To>`, `<w:MaxEnvelopeSize s:mustUnderstand="true">512000</w:MaxEnvelopeSize>`,
		`<a:MessageID>uuid:` + id, `<p:SessionId s:mustUnderstand="false">uuid:` + id, `<rsp:Shell ShellId="` + id + `">`,
		`<rsp:InputStreams>stdin pr</rsp:InputStreams><rsp:OutputStreams>stdout</rsp:OutputStreams>`,
	} {
		if !strings.Contains(create.raw, w) {
			t.Errorf("no %s in %s", w, create.raw)
		}
	}
	h := create.http.Header
	if h.Get("Accept-Encoding") != "identity" || h.Get("Content-Type") != "application/soap+xml;charset=UTF-8" || h.Get("User-Agent") != "c2conn/1" || h.Get("Client-Request-Id") != id {
		t.Error(h)
	}
	// Two messages, one fragment each: ids from 1, fragment 0, start and end.
	b, n := create.data, uint64(0)
	for _, kind := range []uint32{sessionCapability, initRunspacePool} {
		n++
		size := int(binary.BigEndian.Uint32(b[17:]))
		if binary.BigEndian.Uint64(b) != n || binary.BigEndian.Uint64(b[8:]) != 0 || b[16] != 3 {
			t.Errorf("fragment %x", b[:21])
		}
		m := b[21 : 21+size]
		// The id of the pool, in the order of .NET; no pipeline; a byte order mark.
		head := binary.LittleEndian.AppendUint32([]byte{2, 0, 0, 0}, kind)
		head = append(head, 0x44, 0x33, 0x22, 0x11, 0x66, 0x55, 0x88, 0x47, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0)
		head = append(append(head, make([]byte, 16)...), 0xef, 0xbb, 0xbf, '<')
		if !bytes.HasPrefix(m, head) {
			t.Errorf("message %x, want %x", m[:44], head)
		}
		unique(t, string(m[43:]))
		b = b[21+size:]
	}
	if len(b) != 0 {
		t.Errorf("%d bytes more", len(b))
	}
	if run := s.requests[3]; run.shell != "SHELL-1" || run.command != id || binary.BigEndian.Uint64(run.data) != 3 {
		t.Errorf("%+v", run)
	}
}

func TestLargeRequest(t *testing.T) {
	t.Parallel()
	want := strings.Repeat("0123456789", 40_000)
	got := ""
	s := newServer(t, func(xml string, p [16]byte) []step {
		got = xml
		return outputs()(xml, p)
	})
	if _, err := s.open(s.options()).Run(t.Context(), command("Set-X", String("Value", want))); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(got, want) {
		t.Errorf("%d bytes came", len(got))
	}
	if seen := s.seen(); seen != "Create, Receive, Receive, Command, Send, Send, Send, Receive, Signal Terminate" {
		t.Error(seen)
	}
	id := s.requests[3].command
	for _, q := range s.requests {
		if q.size > 150<<10 {
			t.Errorf("%s of %d bytes", q.op, q.size)
		}
		if q.op == "Send" && (q.command != id || !strings.Contains(q.raw, `<rsp:Stream Name="stdin"`)) {
			t.Errorf("%.200s", q.raw)
		}
	}
}

// TestFragmentedAnswers cuts the answers of a command in many ways.
func TestFragmentedAnswers(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 7, 39, 40, 41, 100, 1 << 20} {
		for _, chunk := range []int{1, 20, 21, 22, 64, 1 << 20} {
			t.Run(fmt.Sprint(n, "/", chunk), func(t *testing.T) {
				t.Parallel()
				s := newServer(t, func(_ string, p [16]byte) []step {
					var all []byte
					for i, m := range [][]byte{msg(pipelineOutput, p, `<S>first</S>`), msg(pipelineOutput, p, `<S>second</S>`), state(p, 4, "")} {
						for _, f := range cut(uint64(i+7), m, n) {
							all = append(all, f...)
						}
					}
					var steps []step
					for i := 0; len(all) > 0; i++ { // two Streams to an answer
						part := all[:min(chunk, len(all))]
						all = all[len(part):]
						if i%2 == 0 {
							steps = append(steps, step{})
						}
						last := &steps[len(steps)-1]
						last.streams = append(last.streams, part)
					}
					return steps
				})
				if chunk == 1 && n != 100 {
					chunk = 5 // fewer requests
				}
				out, err := s.open(s.options()).Run(t.Context(), command("Get-X"))
				if err != nil || len(out.Objects) != 2 || out.Objects[1].Text != "second" {
					t.Errorf("%+v %v", out, err)
				}
			})
		}
	}
}

func TestPolls(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(_ string, p [16]byte) []step {
		return []step{{}, {messages: [][]byte{msg(pipelineOutput, p, `<S>x</S>`)}}, {}, {}, {messages: [][]byte{state(p, 4, "")}}}
	})
	faults := 3
	s.hook = func(q request) (int, string) {
		if q.op == "Receive" && q.command != "" && faults > 0 {
			faults--
			if faults == 1 { // without a code: the subcode says it
				return 500, faultXML(q, "w:TimedOut", "Timed out.", "")
			}
			return 500, fault(q, 2150858793, "timed out")
		}
		return 0, ""
	}
	var words []string
	ctx := progress.With(t.Context(), func(u progress.Update) { words = append(words, fmt.Sprint(u.Text, " ", u.Attempt)) })
	out, err := s.open(s.options()).Run(ctx, command("Get-X"))
	if err != nil || len(out.Objects) != 1 {
		t.Errorf("%+v %v", out, err)
	}
	want := []string{"Get-X is still running on the server. 1", "Get-X is still running on the server. 2", "Get-X is still running on the server. 3",
		"Get-X is still running on the server. 4", "Get-X is still running on the server. 1", "Get-X is still running on the server. 2"}
	if !reflect.DeepEqual(words, want) {
		t.Errorf("%q", words)
	}
}

func TestTake(t *testing.T) {
	t.Parallel()
	s := newServer(t, outputs(`<S>a</S>`, `<S>b</S>`, `<S>c</S>`))
	session := s.open(s.options())
	var got []string
	c := command("Get-X")
	c.Take = func(o Object) error { got = append(got, o.Text); return nil }
	if out, err := session.Run(t.Context(), c); err != nil || out.Objects != nil || strings.Join(got, "") != "abc" {
		t.Errorf("%v %+v %v", got, out, err)
	}
	enough := errors.New("enough")
	c.Take = func(Object) error { return enough }
	if _, err := session.Run(t.Context(), c); !errors.Is(err, enough) {
		t.Error(err)
	}
	if _, err := session.Run(t.Context(), c); !errors.Is(err, ErrGivenUp) || !errors.Is(err, enough) {
		t.Error(err)
	}
	if got := s.seen(); !strings.HasSuffix(got, "Receive, Signal crtl_c") {
		t.Error(got)
	}
}

// TestTogether runs commands from several goroutines: one at a time.
func TestTogether(t *testing.T) {
	t.Parallel()
	s := newServer(t, outputs(`<S>a</S>`))
	session := s.open(s.options())
	var g sync.WaitGroup
	for range 5 {
		g.Go(func() {
			if out, err := session.Run(t.Context(), command("Get-X")); err != nil || len(out.Objects) != 1 {
				t.Errorf("%+v %v", out, err)
			}
		})
	}
	g.Wait()
	if got := s.seen(); got != "Create, Receive, Receive"+strings.Repeat(", Command, Receive, Signal Terminate", 5) {
		t.Error(got)
	}
}

func TestNoCommands(t *testing.T) {
	t.Parallel()
	s := newServer(t, outputs())
	session := s.open(s.options())
	for _, c := range []Command{
		command(""), command("Get-Mailbox | fl"), command("$x"), command("Get-Mailbox -Identity a"), command("&{x}"), command("Get-Ä"), command("-x"),
		command("Get-X\n"), command(strings.Repeat("a", 101)), command("Get-X", String("a b", "")), command("Get-X", Switch("")),
		command("Get-X", String("a", strings.Repeat("x", 5<<20))), command("Get-X", make([]Param, 101)...),
	} {
		if _, err := session.Run(t.Context(), c); err == nil {
			t.Errorf("%.50q: sent", c.Name)
		}
	}
	if got := s.seen(); got != "Create, Receive, Receive" {
		t.Error(got)
	}
	if _, err := session.Run(t.Context(), command("Get-X")); err != nil {
		t.Error("the session suffered:", err)
	}
}
