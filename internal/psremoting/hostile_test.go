package psremoting_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	. "github.com/c2conn/c2conn/internal/psremoting"
)

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
