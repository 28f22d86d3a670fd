package psrp_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/sim/onprem/psrp"
)

// fuzzServer is an endpoint whose polls end at once.
func fuzzServer(change func(*psrp.Options)) *psrp.Server {
	now := func() time.Time { return time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC) }
	fired := make(chan time.Time)
	close(fired)
	o := psrp.Options{
		Server: "exch01.corp.test", Now: now, Organisation: newOrg(now), Rand: bytes.NewReader(nil), User: func(*http.Request) string { return "exadmin@corp.test" },
		After: func(time.Duration) (<-chan time.Time, func() bool) { return fired, func() bool { return false } },
	}
	if change != nil {
		change(&o)
	}
	return psrp.New(o)
}

// serve sends a body and looks at whether the answer is well-formed.
func serve(t *testing.T, s *psrp.Server, url, contentType string, body []byte) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, url, bytes.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if strings.HasPrefix(w.Header().Get("Content-Type"), "application/soap+xml") {
		d := xml.NewDecoder(w.Body)
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%v in the answer to %q", err, body)
			}
		}
	}
	return w
}

func FuzzRequest(f *testing.F) {
	c := &client{t: new(testing.T), lists: map[uint64][]byte{}}
	creation := append(c.fragment(0x00010002, noID, capability), c.fragment(0x00010004, noID, initPool)...)
	f.Add([]byte(c.envelope(transfer+"/Create", options, shellBody(shellID, creation))))
	c.shell = shellID
	f.Add([]byte(c.envelope(shellNS+"/Receive", "", `<rsp:Receive><rsp:DesiredStream>stdout</rsp:DesiredStream></rsp:Receive>`)))
	f.Add([]byte(c.envelope(shellNS+"/Signal", "", `<rsp:Signal CommandId="`+shellID+`"><rsp:Code>powershell/signal/crtl_c</rsp:Code></rsp:Signal>`)))
	f.Add([]byte(c.envelope(shellNS+"/Send", "", `<rsp:Send><rsp:Stream Name="stdin">AAAA</rsp:Stream></rsp:Send>`)))
	f.Add([]byte(c.envelope(transfer+"/Delete", "", "")))
	f.Add([]byte(strings.Repeat("<a>", 60)))
	f.Add([]byte(`<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>`))
	f.Fuzz(func(t *testing.T, envelope []byte) {
		s := fuzzServer(nil)
		defer s.Close()
		w := serve(t, s, endpoint, "application/soap+xml;charset=UTF-8", envelope)
		if open := len(s.Open()); open > 1 || open == 1 && w.Code != http.StatusOK {
			t.Errorf("status %d, %d shells", w.Code, open)
		}
	})
}

func FuzzFragments(f *testing.F) {
	c := &client{t: new(testing.T), lists: map[uint64][]byte{}}
	capabilityOnly := c.fragment(0x00010002, noID, capability)
	both := append(bytes.Clone(capabilityOnly), c.fragment(0x00010004, noID, initPool)...)
	f.Add(capabilityOnly)
	f.Add(both)
	f.Add(both[:len(both)-1])
	f.Add(append(bytes.Clone(both), both...))
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, creation []byte) {
		s := fuzzServer(nil)
		defer s.Close()
		c := &client{t: t, lists: map[uint64][]byte{}}
		w := serve(t, s, endpoint, "application/soap+xml;charset=UTF-8", []byte(c.envelope(transfer+"/Create", options, shellBody(shellID, creation))))
		if (len(s.Open()) == 1) != (w.Code == http.StatusOK) {
			t.Errorf("status %d, %d shells", w.Code, len(s.Open()))
		}
	})
}

func FuzzCLIXML(f *testing.F) {
	f.Add(pipelineXML(commandXML(100, "Get-Mailbox", false, []param{text("Identity", "alice"), {"ResultSize", `<I32 N="V">5</I32>`}})))
	f.Add(pipelineXML(commandXML(100, "Get-Mailbox", true, []param{{"Identity", `<SBK N="V">1</SBK>`}})))
	f.Add(pipelineXML(commandXML(100, "Get-ManagementRoleAssignment", false, []param{truth("Delegating", false), present("GetEffectiveUsers")})))
	f.Add(`<Obj RefId="0"><MS><Obj N="a" RefId="1"><DCT><En><S N="Key">k</S><Ref N="Value" RefId="1"/></En></DCT></Obj></MS></Obj>`)
	f.Add(`<Obj RefId="0"><LST><C>65</C><Db>1e5</Db><DT>2026-11-29T12:00:00Z</DT><TS>PT1S</TS><BA>AAA=</BA><G>3c44d114-8061-412a-9519-d25ba6d8977b</G><Version>1.2</Version><SS>x</SS></LST></Obj>`)
	f.Add(`<S>_xD83D__x0000_</S>`)
	f.Fuzz(func(t *testing.T, pipeline string) {
		s := fuzzServer(nil)
		defer s.Close()
		c := &client{t: t, lists: map[uint64][]byte{}}
		creation := append(c.fragment(0x00010002, noID, capability), c.fragment(0x00010004, noID, initPool)...)
		serve(t, s, endpoint, "application/soap+xml;charset=UTF-8", []byte(c.envelope(transfer+"/Create", options, shellBody(shellID, creation))))
		c.shell = shellID
		w := serve(t, s, endpoint, "application/soap+xml;charset=UTF-8", []byte(c.envelope(shellNS+"/Command", "", `<rsp:CommandLine CommandId="`+shellID+`"><rsp:Command/><rsp:Arguments>`+
			base64.StdEncoding.EncodeToString(c.fragment(0x00021006, shellID, pipeline))+`</rsp:Arguments></rsp:CommandLine>`)))
		open := s.Open()
		if len(open) != 1 || (open[0].Commands == 1) != (w.Code == http.StatusOK) {
			t.Errorf("status %d, shells %+v", w.Code, open)
		}
	})
}

func FuzzSealed(f *testing.F) {
	x := xorSealer{0}
	f.Add(sealed(x, "<a/>", 4), sealedType)
	f.Add(sealed(x, "<a/>", 5), sealedType)
	f.Add("--Encrypted Boundary\r\n--Encrypted Boundary\r\n", sealedType)
	f.Fuzz(func(t *testing.T, body, contentType string) {
		s := fuzzServer(func(o *psrp.Options) { o.Seal = func(*http.Request) psrp.Sealer { return x } })
		defer s.Close()
		serve(t, s, "http://exch01.corp.test/PowerShell/", contentType, []byte(body))
	})
}
