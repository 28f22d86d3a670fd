package spnego_test

import (
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	gofork "github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/client"
	"github.com/jcmturner/gokrb5/v8/config"
	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/gssapi"
	"github.com/jcmturner/gokrb5/v8/messages"
	gospnego "github.com/jcmturner/gokrb5/v8/spnego"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/c2conn/c2conn/internal/sim/onprem/account"
	"github.com/c2conn/c2conn/internal/sim/onprem/kdc"
	"github.com/c2conn/c2conn/internal/sim/onprem/krb"
	"github.com/c2conn/c2conn/internal/sim/onprem/spnego"
)

// apReq signs in at a KDC and makes the client's token for the service.
func apReq(t *testing.T, d *account.Directory) (token []byte, auth types.Authenticator, session types.EncryptionKey) {
	t.Helper()
	s, err := kdc.Start(kdc.Options{Directory: d})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	cfg, err := config.NewFromString(fmt.Sprintf("[libdefaults]\n default_realm = CORP.TEST\n dns_lookup_kdc = false\n udp_preference_limit = 1\n"+
		"[realms]\n CORP.TEST = {\n  kdc = %s\n }\n", s.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	c := client.NewWithPassword("exadmin", "CORP.TEST", password, cfg, client.DisablePAFXFAST(true))
	t.Cleanup(c.Destroy)
	ticket, session, err := c.GetServiceTicket("HTTP/exch01.corp.test")
	if err != nil {
		t.Fatal(err)
	}
	tok, err := gospnego.NewKRB5TokenAPREQ(c, ticket, session, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if auth, err = types.NewAuthenticator("CORP.TEST", c.Credentials.CName()); err != nil {
		t.Fatal(err)
	}
	sum := make([]byte, 24)
	binary.LittleEndian.PutUint32(sum, 16)
	binary.LittleEndian.PutUint32(sum[20:], krb.FlagMutual|krb.FlagIntegrity)
	auth.Cksum = types.Checksum{CksumType: 0x8003, Checksum: sum}
	if tok.APReq, err = messages.NewAPReq(ticket, session, auth); err != nil {
		t.Fatal(err)
	}
	types.SetFlag(&tok.APReq.APOptions, 2)
	if token, err = tok.Marshal(); err != nil {
		t.Fatal(err)
	}
	return token, auth, session
}

// acceptorKey opens the AP-REP.
func acceptorKey(t *testing.T, token []byte, session types.EncryptionKey) types.EncryptionKey {
	t.Helper()
	var tok gospnego.KRB5Token
	if err := tok.Unmarshal(token); err != nil {
		t.Fatal(err)
	}
	b, err := crypto.DecryptEncPart(tok.APRep.EncPart, session, 12)
	if err != nil {
		t.Fatal(err)
	}
	var part messages.EncAPRepPart
	if err := part.Unmarshal(b); err != nil {
		t.Fatal(err)
	}
	return part.Subkey
}

// Kerberos as the second choice: both sides sign the list of mechanisms (RFC 4178,
// section 5), and whoever changed the list on the way is found out.
func TestKerberosAsSecondChoice(t *testing.T) {
	t.Parallel()
	sent := []asn1.ObjectIdentifier{{1, 3, 6, 1, 4, 1, 311, 2, 2, 30}, {1, 2, 840, 113554, 1, 2, 2}}
	for _, c := range []struct {
		name   string
		signed []asn1.ObjectIdentifier // the list that the client remembers
		want   error
	}{
		{"as sent", sent, nil},
		{"changed on the way", sent[:1], spnego.ErrMIC},
		{"not signed", nil, spnego.ErrMIC},
	} {
		a, d := acceptor(t, true, true)
		token, auth, session := apReq(t, d)
		x := a.Begin(nil)
		reply, _, err := x.Step(first(t, []byte("x"), oidNEGOX(), oidKRB5()))
		if err != nil {
			t.Fatal(err)
		}
		if r := answer(t, reply); r.State() != gospnego.NegStateRequestMIC || !r.SupportedMech.Equal(oidKRB5()) {
			t.Errorf("state %v, mechanism %v", r.State(), r.SupportedMech)
		}
		reply, done, err := x.Step(next(t, token, nil))
		if err != nil || done != nil {
			t.Fatal(done, err)
		}
		r := answer(t, reply)
		key := acceptorKey(t, r.ResponseToken, session)
		list, err := asn1.Marshal(sent)
		if err != nil {
			t.Fatal(err)
		}
		var theirs gssapi.MICToken
		if err := theirs.Unmarshal(r.MechListMIC, true); err != nil {
			t.Fatal(err)
		}
		theirs.Payload = list
		if ok, err := theirs.Verify(key, 23); !ok || err != nil {
			t.Errorf("%s: signature of the acceptor: %v, %v", c.name, ok, err)
		}
		var mic []byte
		if c.signed != nil {
			if list, err = asn1.Marshal(c.signed); err != nil {
				t.Fatal(err)
			}
			mine := gssapi.MICToken{Flags: gssapi.MICTokenFlagAcceptorSubkey, SndSeqNum: uint64(auth.SeqNumber), Payload: list}
			if err := mine.SetChecksum(key, 25); err != nil {
				t.Fatal(err)
			}
			if mic, err = mine.Marshal(); err != nil {
				t.Fatal(err)
			}
		}
		reply, done, err = x.Step(next(t, nil, mic))
		if !errors.Is(err, c.want) || (done != nil) != (c.want == nil) {
			t.Errorf("%s: %v, %v", c.name, done, err)
		}
		if c.want == nil && (done.User.SAM != "exadmin" || done.Kerberos == nil || answer(t, reply).State() != gospnego.NegStateAcceptCompleted) {
			t.Errorf("%s: %+v", c.name, done)
		}
	}
}

// Old names of the mechanism are answered as they came.
func TestKerberosAsFirstChoice(t *testing.T) {
	t.Parallel()
	for _, mech := range []gofork.ObjectIdentifier{oidKRB5(), {1, 2, 840, 48018, 1, 2, 2}} {
		a, d := acceptor(t, true, true)
		token, _, session := apReq(t, d)
		reply, done, err := a.Begin(nil).Step(first(t, token, mech, oidNTLM()))
		if err != nil || done == nil || done.Mechanism != account.Kerberos {
			t.Fatal(done, err)
		}
		r := answer(t, reply)
		if r.State() != gospnego.NegStateAcceptCompleted || !r.SupportedMech.Equal(mech) || len(r.MechListMIC) != 0 {
			t.Errorf("state %v, mechanism %v, signature %x", r.State(), r.SupportedMech, r.MechListMIC)
		}
		acceptorKey(t, r.ResponseToken, session)
	}
	a, d := acceptor(t, true, true)
	token, _, _ := apReq(t, d)
	if reply, done, err := a.Begin(nil).Step(token); err != nil || done == nil || len(reply) == 0 || reply[0] != 0x60 {
		t.Errorf("a bare token: %v, %v, %x", done, err, reply)
	}
}
