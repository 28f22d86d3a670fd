package krb_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/spnego"
	"github.com/jcmturner/gokrb5/v8/types"
)

// peer is the initiator's side of RFC 4121, written for these tests.
type peer struct {
	key           types.EncryptionKey
	subkey        bool
	send, receive uint64
}

// newPeer opens the acceptor's AP-REP.
func newPeer(t *testing.T, w *world, auth types.Authenticator, reply []byte) *peer {
	t.Helper()
	var tok spnego.KRB5Token
	if err := tok.Unmarshal(reply); err != nil {
		t.Fatal(err)
	}
	b, err := crypto.DecryptEncPart(tok.APRep.EncPart, w.key, 12)
	if err != nil {
		t.Fatal(err)
	}
	var part messages.EncAPRepPart
	if err := part.Unmarshal(b); err != nil {
		t.Fatal(err)
	}
	if part.CTime.Unix() != auth.CTime.Unix() || part.Cusec != auth.Cusec {
		t.Errorf("the AP-REP has the time %v, the authenticator %v", part.CTime, auth.CTime)
	}
	if len(part.Subkey.KeyValue) == 0 || bytes.Equal(part.Subkey.KeyValue, auth.SubKey.KeyValue) {
		t.Fatal("the acceptor has no sub-session key of its own")
	}
	return &peer{key: part.Subkey, subkey: true, send: uint64(auth.SeqNumber), receive: uint64(part.SequenceNumber)}
}

// seal makes the Wrap token that is ahead of the first by a number.
func (p *peer) seal(t *testing.T, message []byte, ahead, rotate int) []byte {
	t.Helper()
	et, err := crypto.GetEtype(p.key.KeyType)
	if err != nil {
		t.Fatal(err)
	}
	h := []byte{5, 4, 2, 0xFF, 0, 0, 0, 0}
	if p.subkey {
		h[2] |= 4
	}
	h = binary.BigEndian.AppendUint64(h, p.send+uint64(ahead))
	_, ct, err := et.EncryptMessage(p.key.KeyValue, append(bytes.Clone(message), h...), 24)
	if err != nil {
		t.Fatal(err)
	}
	binary.BigEndian.PutUint16(h[6:], uint16(rotate))
	at := len(ct) - rotate
	return append(append(h, ct[at:]...), ct[:at]...)
}

// open opens the acceptor's next Wrap token.
func (p *peer) open(t *testing.T, token []byte) []byte {
	t.Helper()
	if !bytes.Equal(token[:4], []byte{5, 4, 7, 0xFF}) || binary.BigEndian.Uint64(token[8:]) != p.receive {
		t.Fatalf("header %x, want sequence number %d", token[:16], p.receive)
	}
	p.receive++
	et, err := crypto.GetEtype(p.key.KeyType)
	if err != nil {
		t.Fatal(err)
	}
	rrc, ct := int(binary.BigEndian.Uint16(token[6:])), token[16:]
	plain, err := et.DecryptMessage(p.key.KeyValue, append(bytes.Clone(ct[rrc:]), ct[:rrc]...), 22)
	if err != nil {
		t.Fatal(err)
	}
	header := bytes.Clone(token[:16])
	header[6], header[7] = 0, 0
	if !bytes.Equal(plain[len(plain)-16:], header) {
		t.Error("the sealed header is not the one outside")
	}
	return plain[:len(plain)-16]
}
