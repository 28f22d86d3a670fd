package psrp

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/c2conn/c2conn/internal/sim/onprem/org"
)

// The parsers are fuzzed from within: by way of shells and goroutines an input
// does not cover the same code every time, which the fuzzer cannot work with.

func FuzzRequest(f *testing.F) {
	const head = `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"><s:Header>` +
		`<a:To>https://exch01.corp.test/PowerShell/?PSVersion=5.1</a:To><w:ResourceURI>http://schemas.microsoft.com/powershell/Microsoft.Exchange</w:ResourceURI>` +
		`<a:ReplyTo><a:Address>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address></a:ReplyTo><a:Action>http://schemas.xmlsoap.org/ws/2004/09/transfer/Delete</a:Action>` +
		`<w:MaxEnvelopeSize>153600</w:MaxEnvelopeSize><a:MessageID>uuid:00000000-0000-4000-8000-000000000001</a:MessageID>`
	const tail = `<w:OperationTimeout>PT1M20.5S</w:OperationTimeout></s:Header><s:Body/></s:Envelope>`
	f.Add([]byte(head + tail))
	f.Add([]byte(head + `<w:SelectorSet><w:Selector Name="ShellId">x</w:Selector></w:SelectorSet>` + tail))
	f.Add([]byte(head + `<w:OptionSet><w:Option Name="protocolversion">2.3</w:Option></w:OptionSet><x s:mustUnderstand="1"/>` + tail))
	f.Add([]byte(strings.Repeat("<a>", 60)))
	f.Add([]byte(`<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>`))
	r := httptest.NewRequest(http.MethodPost, "https://exch01.corp.test/PowerShell/", nil)
	f.Fuzz(func(t *testing.T, envelope []byte) {
		q, fault := parseRequest(r, envelope)
		if fault == nil && (q.action == "" || q.resource == "" && !strings.Contains(string(envelope), "ResourceURI") || q.timeout <= 0 || q.timeout > maxTimeout || q.envelope < minEnvelope || q.envelope > maxEnvelope) {
			t.Errorf("taken: %+v", q)
		}
		// What is repeated in the answer is well-formed there.
		body := ""
		if fault != nil {
			body = fault.body("exch01.corp.test")
		}
		if _, err := parseXML(envelopeOf(faultAction, "uuid:x", q.messageID, org.GUID{}, body)); err != nil {
			t.Errorf("answer: %v", err)
		}
	})
}

func FuzzFragments(f *testing.F) {
	m := message{kind: sessionCapability, pool: org.GUID{1, 2, 3}, data: []byte(`<Obj RefId="0"/>`)}.bytes()
	m[0] = toServer
	f.Add(bytes.Join(fragments(1, m, 1000), nil))
	f.Add(bytes.Join(fragments(1, m, 30), nil))
	f.Add(append(bytes.Join(fragments(1, m, 40), nil), bytes.Join(fragments(2, m, 50), nil)...))
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		var d defragmenter
		list, err := d.add(data)
		if err != nil {
			if !errors.Is(err, errMessage) {
				t.Errorf("%v", err)
			}
			return
		}
		// The same messages come out of other cuts.
		for i, m := range list {
			raw := m.bytes()
			raw[0] = toServer
			var d defragmenter
			again, err := d.add(bytes.Join(fragments(uint64(i)+1, raw, 29), nil))
			if err != nil || len(again) != 1 || again[0].kind != m.kind || again[0].pool != m.pool || again[0].pipeline != m.pipeline || !bytes.Equal(again[0].data, bytes.TrimPrefix(m.data, []byte(bom))) {
				t.Errorf("%v became %v, %v", m, again, err)
			}
		}
	})
}

func FuzzCLIXML(f *testing.F) {
	f.Add(`<Obj RefId="0"><MS><B N="NoInput">true</B><Obj N="PowerShell" RefId="1"><MS><B N="IsNested">false</B><Obj N="Cmds" RefId="2"><LST><Obj RefId="3"><MS><S N="Cmd">Get-Mailbox</S><B N="IsScript">false</B>` +
		`<Obj N="Args" RefId="4"><LST><Obj RefId="5"><MS><S N="N">-Identity:</S><S N="V">a</S></MS></Obj></LST></Obj></MS></Obj></LST></Obj></MS></Obj></MS></Obj>`)
	f.Add(`<Obj RefId="0"><TN RefId="0"><T>A</T></TN><ToString>a</ToString><Props><Obj N="a" RefId="1"><TNRef RefId="0"/><DCT><En><S N="Key">k</S><Ref N="Value" RefId="1"/></En></DCT></Obj></Props></Obj>`)
	f.Add(`<Obj RefId="0"><LST><C>65</C><Db>1e5</Db><DT>2026-11-29T12:00:00Z</DT><TS>PT1S</TS><BA>AAA=</BA><G>3c44d114-8061-412a-9519-d25ba6d8977b</G><Version>1.2</Version><SS>x</SS><SBK>1</SBK><Nil/></LST></Obj>`)
	f.Add(`<S>_xD83D__x0000_</S>`)
	f.Add("_x0041_\x00\u202e😀_x\ufffe_xD83D_")
	f.Fuzz(func(t *testing.T, data string) {
		if v, err := decode([]byte(data)); err == nil {
			holdsScript(v)
			if s, ok := v.(string); ok {
				check(t, s)
			}
		}
		if p, err := parsePipeline([]byte(data)); err == nil && len(p.commands) == 0 {
			t.Error("a pipeline without commands")
		}
		check(t, data)
	})
}

// check looks at whether a string comes back from CLIXML as it was.
func check(t *testing.T, s string) {
	if !utf8.ValidString(s) {
		return
	}
	v, err := decode([]byte(encode(s)))
	if err != nil || v != s {
		t.Errorf("%q came back as %q, %v", s, v, err)
	}
}

// plainSealer leaves messages as they are.
type plainSealer struct{}

func (plainSealer) Wrap(message []byte) (header, data []byte, err error) {
	return []byte("sig"), message, nil
}

func (plainSealer) Unwrap(token []byte) ([]byte, error) {
	plain, ok := bytes.CutPrefix(token, []byte("sig"))
	if !ok {
		return nil, errors.New("signature")
	}
	return plain, nil
}

func FuzzSealed(f *testing.F) {
	for _, plain := range []string{"<a/>", "", "--Encrypted Boundary\r\n"} {
		contentType, body, err := seal(plainSealer{}, sealKerberos, []byte(plain))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(bytes.ReplaceAll(body, []byte("-- E"), []byte("--E"))), contentType)
	}
	f.Add("--Encrypted Boundary\r\n--Encrypted Boundary\r\n", `multipart/encrypted;protocol="`+sealSPNEGO+`";boundary="Encrypted Boundary"`)
	f.Fuzz(func(t *testing.T, body, contentType string) {
		plain, err := unseal(plainSealer{}, contentType, []byte(body))
		if err == nil && !strings.Contains(body, "sig"+string(plain)) {
			t.Errorf("%q from %q", plain, body)
		}
	})
}
