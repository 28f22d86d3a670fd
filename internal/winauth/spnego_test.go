package winauth_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/c2conn/c2conn/internal/winauth"
)

const (
	// NegTokenResp: accept-completed, Kerberos, a token of two bytes.
	respDone = "a1173015" + "a0030a0100" + "a10b06092a864886f712010202" + "a204" + "0402" + "abcd"
	// The same with Windows 2000's identifier, accept-incomplete, and an empty MIC.
	respMIC = "a119" + "3017" + "a0030a0101" + "a10b06092a864882f712010202" + "a3030401" + "ff"
)

func TestParseNegotiation(t *testing.T) {
	t.Parallel()
	fix := func(b []byte) []byte { b[1], b[3] = byte(len(b)-2), byte(len(b)-4); return b }
	for _, c := range []struct {
		name  string
		in    []byte
		state int
		mech  string
		token []byte
		ok    bool
	}{
		{"done", fix(unhex(respDone)), 0, "1.2.840.113554.1.2.2", []byte{0xab, 0xcd}, true},
		{"all left out", unhex("a1023000"), -1, "", nil, true},
		{"rejected", unhex("a1073005a0030a0102"), 2, "", nil, true},
		{"with a MIC", fix(unhex(respMIC)), 1, "1.2.840.48018.1.2.2", nil, true},
		{"unknown state", unhex("a1073005a0030a0109"), 0, "", nil, false},
		{"negative state", unhex("a1073005a0030a01ff"), 0, "", nil, false},
		{"wrong order", unhex("a10b3009" + "a2040402abcd" + "a0030a0100")[:13], 0, "", nil, false},
		{"more behind", append(unhex("a1023000"), 0), 0, "", nil, false},
		{"more inside", unhex("a10430000500"), 0, "", nil, false},
		{"a NegTokenInit", unhex("60020500"), 0, "", nil, false},
		{"bare NTLM", []byte("NTLMSSP\x00\x02"), 0, "", nil, false},
		{"empty", nil, 0, "", nil, false},
		{"huge", append(unhex("a1"), make([]byte, 200<<10)...), 0, "", nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			state, mech, token, err := winauth.ParseNegotiation(c.in)
			if (err == nil) != c.ok {
				t.Fatalf("%v", err)
			}
			if c.ok && (state != c.state || mech != c.mech || !bytes.Equal(token, c.token)) {
				t.Errorf("%d %s %x", state, mech, token)
			}
		})
	}
}

func FuzzNegotiation(f *testing.F) {
	f.Add(unhex("a1073005a0030a0102"))
	f.Add(unhex("a1023000"))
	f.Add(unhex(respDone))
	f.Fuzz(func(t *testing.T, b []byte) {
		state, _, token, err := winauth.ParseNegotiation(b)
		if err == nil && (state < -1 || state > 3 || len(token) > len(b)) {
			t.Errorf("%x: state %d, token %x", b, state, token)
		}
		_, _, _ = winauth.ParseKerberosToken(b)
	})
}

// An answer that is not from who the ticket is for is never taken.
func FuzzAccept(f *testing.F) {
	f.Add(unhex("a1023000"))
	f.Add(unhex("601506092a864886f71201020202006f063004a003020105"))
	f.Add(unhex("601906092a864886f71201020203007e0a3008a003020105a10302011e"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if winauth.StartedContext(make([]byte, 32), 18).Accept(b) == nil {
			t.Errorf("took %x", b)
		}
	})
}

func TestAcceptSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	var refused *winauth.TicketRefusedError
	if err := winauth.StartedContext(make([]byte, 32), 18).Accept(unhex("a1073005a0030a0102")); !errors.As(err, &refused) {
		t.Errorf("%v", err)
	}
	// NTLM instead.
	if err := winauth.StartedContext(make([]byte, 32), 18).Accept(unhex("a110300ea10c060a2b06010401823702020a")); !errors.As(err, &refused) {
		t.Errorf("%v", err)
	}
	var broken *winauth.ProtocolError
	if err := winauth.StartedContext(make([]byte, 32), 18).Accept(nil); !errors.As(err, &broken) {
		t.Errorf("%v", err)
	}
}
