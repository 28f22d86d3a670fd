package kdc_test

import (
	"encoding/binary"
	"encoding/hex"
	"io"
	"net"
	"testing"

	"github.com/jcmturner/gokrb5/v8/config"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/c2conn/c2conn/internal/sim/onprem/account"
	"github.com/c2conn/c2conn/internal/sim/onprem/kdc"
)

func TestConnections(t *testing.T) {
	t.Parallel()
	dial := func(s *kdc.Server) net.Conn {
		c, err := net.Dial("tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	send := func(c net.Conn, b []byte) {
		if _, err := c.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)); err != nil {
			t.Fatal(err)
		}
	}
	read := func(c net.Conn) []byte {
		var n [4]byte
		if _, err := io.ReadFull(c, n[:]); err != nil {
			return nil
		}
		b := make([]byte, binary.BigEndian.Uint32(n[:]))
		if _, err := io.ReadFull(c, b); err != nil {
			t.Fatal(err)
		}
		return b
	}
	s := start(t, kdc.Options{Directory: directory(t)})
	c := dial(s)
	for range 2 { // one connection carries several requests
		send(c, asReq(t, 1, "exadmin", nil))
		if e := krbError(t, read(c)); e.ErrorCode != 25 {
			t.Errorf("error %d", e.ErrorCode)
		}
	}
	c = dial(s)
	if _, err := c.Write([]byte{0x80, 0, 0, 1}); err != nil {
		t.Fatal(err)
	}
	if e := krbError(t, read(c)); e.ErrorCode != 61 || read(c) != nil {
		t.Errorf("too long a request: error %d", e.ErrorCode)
	}
	c = dial(s)
	send(c, []byte("GET / HTTP/1.1\r\n\r\n"))
	if b := read(c); b != nil {
		t.Errorf("an answer to nonsense: %x", b)
	}
	s.SetFault(kdc.HangsUp)
	c = dial(s)
	send(c, asReq(t, 1, "exadmin", nil))
	if b := read(c); b != nil {
		t.Errorf("an answer of a KDC that hangs up: %x", b)
	}
	// A silent KDC answers nothing until it is closed, and can be closed.
	silent, err := kdc.Start(kdc.Options{Directory: directory(t)})
	if err != nil {
		t.Fatal(err)
	}
	silent.SetFault(kdc.Silent)
	c = dial(silent)
	send(c, asReq(t, 1, "exadmin", nil))
	if err := silent.Close(); err != nil {
		t.Fatal(err)
	}
	if b := read(c); b != nil {
		t.Errorf("an answer of a silent KDC: %x", b)
	}
}

func FuzzAnswer(f *testing.F) {
	d, err := account.New(account.Options{Domain: "corp.test", NetBIOS: "CORP", Users: []account.User{{SAM: "exadmin", Password: password}}})
	if err != nil {
		f.Fatal(err)
	}
	k := kdc.New(kdc.Options{Directory: d})
	f.Add(asReq(f, 1, "exadmin", nil))
	f.Add(asReq(f, 10, "exadmin@corp.test", func(r *messages.ASReq) {
		r.PAData = types.PADataSequence{timestamp(f, "wrong", "CORP.TESTexadmin")}
	}))
	// A TGS-REQ with a ticket of another key.
	var ticket messages.Ticket
	ticket.TktVNO, ticket.Realm, ticket.SName = 5, "CORP.TEST", types.NewPrincipalName(2, "krbtgt/CORP.TEST")
	ticket.EncPart = types.EncryptedData{EType: 18, Cipher: make([]byte, 64)}
	cfg := config.New()
	cfg.LibDefaults.NoAddresses = true
	r, err := messages.NewTGSReq(types.NewPrincipalName(1, "exadmin"), "CORP.TEST", cfg, ticket, types.EncryptionKey{KeyType: 18, KeyValue: make([]byte, 32)},
		types.NewPrincipalName(2, "HTTP/exch01.corp.test"), false)
	if err != nil {
		f.Fatal(err)
	}
	b, err := r.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		answer := k.Answer(b)
		if answer == nil {
			return
		}
		var e messages.KRBError
		if err := e.Unmarshal(answer); err != nil {
			t.Errorf("a ticket for somebody who knows no password: %s", hex.EncodeToString(answer))
		}
	})
}
