package psremoting

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// depth returns how deep an object is, and counts its parts.
func depth(o Object, count *int) int {
	*count++
	d := 0
	for _, p := range o.Properties {
		d = max(d, depth(p.Value, count))
	}
	for _, v := range o.List {
		d = max(d, depth(v, count))
	}
	for _, e := range o.Entries {
		d = max(d, depth(e.Key, count), depth(e.Value, count))
	}
	return d + 1
}

func FuzzCLIXML(f *testing.F) {
	for _, s := range []string{
		`<S>a_x000A_</S>`, `<Nil/>`, `<TS>-P1DT2H3M4.5S</TS>`, `<DT>2026-11-29T13:00:05.1234567Z</DT>`, `<BA>AQID</BA>`, `<SS>00</SS>`, `<C>97</C>`, `<D>1.5</D>`,
		`<Obj RefId="0"><TN RefId="0"><T>a</T></TN><ToString>b</ToString><Props><S N="c">d</S><Ref N="e" RefId="0"/></Props><MS><Obj N="f" RefId="1"><TNRef RefId="0"/><I32>1</I32></Obj></MS></Obj>`,
		`<Obj RefId="0"><LST><Obj RefId="1"><LST><Nil/><Nil/></LST></Obj><Ref RefId="1"/><Ref RefId="1"/></LST></Obj>`,
		`<Obj RefId="0"><DCT><En><S N="Key">k</S><I32 N="Value">7</I32></En></DCT></Obj>`,
		`<!DOCTYPE a [<!ENTITY b "c">]><S>&b;</S>`, sessionCapability, string(initRunspacePool()),
		string(createPipeline(Command{Name: "Get-X", Params: []Param{String("a", "b"), Strings("c", "d")}})),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := parseCLIXML(b)
		if err != nil {
			if !isProtocol(err) {
				t.Fatalf("%T %v", err, err)
			}
			return
		}
		count := 0
		if d := depth(o, &count); d > clixmlDepth || count > clixmlCount {
			t.Fatalf("%d levels, %d objects", d, count)
		}
		if bytes.Contains(b, []byte("<!")) && !bytes.Contains(b, []byte("<!--")) && !bytes.Contains(b, []byte("<![CDATA[")) {
			t.Fatal("a directive was taken")
		}
		// What we would make of it must not get lost in our own writing.
		e := commandError("x", o)
		if e.classify() == nil || strings.ContainsAny(e.Message+e.FullyQualifiedErrorID+e.ExceptionType, "\x00\x1b\n\u202e") {
			t.Fatalf("%+v", e)
		}
		_ = refuseHostCall("x", b)
		_, _ = poolState(b)
		_ = capable(b)
		if s, ok := o.Value.(string); ok && o.Types[0] == "System.String" && len(s) < 1000 {
			again, err := parseCLIXML([]byte(`<S>` + escape(s) + `</S>`))
			if err != nil || again.Value != strings.ToValidUTF8(s, "\ufffd") {
				t.Fatalf("%q became %q, %v", s, again.Value, err)
			}
		}
	})
}

func FuzzFragments(f *testing.F) {
	m := message{kind: msgPipelineState, data: []byte("<S>a</S>")}.encode()
	m[0] = toClient
	f.Add(bytes.Join(split(1, m, 30), nil), 5)
	f.Add(append(bytes.Join(split(1, m, 1000), nil), bytes.Join(split(2, m, 50), nil)...), 100)
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff}, 1)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		if n = n % 1000; n <= 0 {
			n = 1
		}
		var whole, pieces joiner
		want, wantErr := whole.add(b)
		var got [][]byte
		var gotErr error
		for rest := b; len(rest) > 0 && gotErr == nil; {
			part := rest[:min(n, len(rest))]
			rest = rest[len(part):]
			var list [][]byte
			list, gotErr = pieces.add(bytes.Clone(part))
			got = append(got, list...)
		}
		if (wantErr == nil) != (gotErr == nil) {
			t.Fatalf("whole: %v; in pieces: %v", wantErr, gotErr)
		}
		if wantErr != nil {
			if !errors.Is(wantErr, errFragment) && !errors.Is(wantErr, errTooBig) {
				t.Fatal(wantErr)
			}
			return
		}
		if len(want) != len(got) {
			t.Fatalf("%d messages whole, %d in pieces", len(want), len(got))
		}
		for i := range want {
			if !bytes.Equal(want[i], got[i]) {
				t.Fatalf("message %d differs", i)
			}
			if _, err := decodeMessage(want[i]); err == nil {
				// The same message, cut and joined again, is the same.
				var j joiner
				list, err := j.add(bytes.Join(split(3, want[i], n+fragmentHeader), nil))
				if err != nil || len(list) != 1 || !bytes.Equal(list[0], want[i]) || j.next != 0 || len(j.rest) > 0 {
					t.Fatalf("%d messages, %v", len(list), err)
				}
			}
		}
	})
}

// open is a Sealer that seals nothing.
type open struct{}

func (open) Token() []byte                                  { return nil }
func (open) Accept([]byte) error                            { return nil }
func (open) Wrap(b []byte) (header, data []byte, err error) { return []byte("head"), b, nil }
func (open) Unwrap(header, data []byte) ([]byte, error)     { return data, nil }

func FuzzMultipart(f *testing.F) {
	body, kind, err := seal(open{}, SchemeKerberos, []byte("<a/>"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(kind, body)
	f.Add(kind, bytes.ReplaceAll(body, []byte("--Enc"), []byte("-- Enc")))
	f.Add(`multipart/encrypted;protocol="x";boundary=a`, []byte("--a\r\nOriginalContent: Length=1\r\n--a\r\nContent-Type: application/octet-stream\r\n\x00\x00\x00\x00--a--\r\n"))
	f.Fuzz(func(t *testing.T, kind string, b []byte) {
		plain, err := unseal(open{}, kind, b)
		if err != nil {
			return
		}
		if !sealed(kind) || !bytes.Contains(b, plain) {
			t.Fatalf("%q of %q", plain, b)
		}
		again, kind, err := seal(open{}, SchemeNegotiate, plain)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := unseal(open{}, kind, again); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("%q %v", got, err)
		}
	})
}

func FuzzAnswer(f *testing.F) {
	const head = `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Header/><s:Body>`
	f.Add([]byte(head + `<r:ReceiveResponse xmlns:r="x"><r:Stream>AQID</r:Stream><r:CommandState State="a/CommandState/Done"/></r:ReceiveResponse></s:Body></s:Envelope>`))
	f.Add([]byte(head + `<x:ResourceCreated xmlns:x="x"><ReferenceParameters><SelectorSet><Selector Name="ShellId">a</Selector></SelectorSet></ReferenceParameters></x:ResourceCreated></s:Body></s:Envelope>`))
	f.Add([]byte(head + `<s:Fault><s:Code><s:Subcode><s:Value>w:QuotaLimit</s:Value></s:Subcode></s:Code><s:Detail><f:WSManFault xmlns:f="x" Code="5"><f:Message>a<b>[FailureCategory=AuthZ-X] http://a.b c</b></f:Message></f:WSManFault></s:Detail></s:Fault></s:Body></s:Envelope>`))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := parseAnswer(b)
		if err != nil {
			return
		}
		if len(a.shell) > 200 {
			t.Fatal("a long id of a shell")
		}
		if a.fault != nil {
			err := a.fault.err(&Error{Op: "x"})
			if err == nil || strings.ContainsAny(err.Error(), "\x00\x1b\n\u202e") {
				t.Fatalf("%q", err)
			}
		}
	})
}
