package winauth_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"testing"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/winauth"
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// fixedClock stands still.
type fixedClock struct{ at time.Time }

func (c fixedClock) Now() time.Time { return c.at }

func (c fixedClock) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// The values of MS-NLMP, section 4.2.4: NTLMv2 authentication.
func TestNTLMv2Vectors(t *testing.T) {
	t.Parallel()
	key := winauth.NTLMKey(connections.NewSecret("Password"), "User", "Domain")
	if got := hex.EncodeToString(key); got != "0c868a403bfd7a93a3001ef22ef02e3f" {
		t.Errorf("NTOWFv2 is %s", got)
	}
	target := unhex("02000c0044006f006d00610069006e0001000c005300650072007600650072000000" + "0000")
	response, session := winauth.NTLMResponse(key, unhex("0123456789abcdef"), unhex("aaaaaaaaaaaaaaaa"), make([]byte, 8), target)
	if got := hex.EncodeToString(response[:16]); got != "68cd0ab851e51c96aabc927bebef6a1c" {
		t.Errorf("NTProofStr is %s", got)
	}
	const temp = "01010000000000000000000000000000aaaaaaaaaaaaaaaa0000000002000c0044006f006d00610069006e0001000c005300650072007600650072000000000000000000"
	if got := hex.EncodeToString(response[16:]); got != temp {
		t.Errorf("temp is %s", got)
	}
	if got := hex.EncodeToString(session); got != "8de40ccadbc14a82f15cb0ad0de95ca3" {
		t.Errorf("session key is %s", got)
	}
}

// The CHALLENGE message of MS-NLMP, section 4.2.4.3.
const challengeVector = "4e544c4d53535000020000000c000c003800000033828ae2" + "0123456789abcdef" + "0000000000000000" + "2400240044000000" +
	"060070170000000f" + "530065007200760065007200" + "02000c0044006f006d00610069006e0001000c00530065007200760065007200" + "00000000"

func ntlmOptions() winauth.NTLMOptions {
	return winauth.NewNTLMOptions(winauth.AccountOptions{
		Password: connections.NewSecret("Password"), Clock: fixedClock{time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)}, Rand: bytes.NewReader(bytes.Repeat([]byte{0xaa}, 64)),
	}, "Domain", "User", "HTTP/server")
}

func ntlmField(message []byte, at int) []byte {
	n, off := binary.LittleEndian.Uint16(message[at:]), binary.LittleEndian.Uint32(message[at+4:])
	return message[off : int(off)+int(n)]
}

func TestNTLMAuthenticate(t *testing.T) {
	t.Parallel()
	message, err := winauth.NTLMAnswer(unhex(challengeVector), ntlmOptions())
	if err != nil {
		t.Fatal(err)
	}
	// Without a time in the challenge there is an LMv2 response and no integrity code.
	if got := hex.EncodeToString(ntlmField(message, 12)); got != "86c35097ac9cec102554764a57cccc19aaaaaaaaaaaaaaaa" {
		t.Errorf("LMv2 response is %s", got)
	}
	if !bytes.Equal(message[72:88], make([]byte, 16)) {
		t.Error("an integrity code that was not announced")
	}
	if d, u := ntlmField(message, 28), ntlmField(message, 36); string(d) != "D\x00o\x00m\x00a\x00i\x00n\x00" || string(u) != "U\x00s\x00e\x00r\x00" {
		t.Errorf("domain %q, user %q", d, u)
	}
	// The time is this computer's: 100 ns since 1601.
	if got := binary.LittleEndian.Uint64(ntlmField(message, 20)[16+8:]); got != (1795953600+11644473600)*10_000_000 {
		t.Errorf("time %d", got)
	}
}

// A server that says its time gets an integrity code over all three messages, no LM
// response, and the name it was called by; what it claims about that itself is dropped.
func TestNTLMIntegrityCode(t *testing.T) {
	t.Parallel()
	challenge := unhex(challengeVector)
	info := unhex("070008000011223344556677" + "0600040001000000" + "0900020041000a001000" + "ffffffffffffffffffffffffffffffff" + "00000000")
	binary.LittleEndian.PutUint16(challenge[40:], uint16(len(info)))
	binary.LittleEndian.PutUint32(challenge[44:], uint32(len(challenge)))
	challenge = append(challenge, info...)
	message, err := winauth.NTLMAnswer(challenge, ntlmOptions())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(ntlmField(message, 12), make([]byte, 24)) {
		t.Error("an LM response although there is an integrity code")
	}
	if bytes.Equal(message[72:88], make([]byte, 16)) {
		t.Error("no integrity code")
	}
	nt := ntlmField(message, 20)
	if !bytes.Equal(nt[24:32], info[4:12]) {
		t.Error("not the server's time")
	}
	want := append(unhex("070008000011223344556677"+"0600040003000000"+"09001600"), []byte("H\x00T\x00T\x00P\x00/\x00s\x00e\x00r\x00v\x00e\x00r\x00")...)
	if got := nt[16+28:]; !bytes.Equal(got, append(want, make([]byte, 8)...)) {
		t.Errorf("target information %x, want %x", got, want)
	}
}

func TestNTLMRefusesChallenges(t *testing.T) {
	t.Parallel()
	change := func(f func(b []byte) []byte) []byte { return f(unhex(challengeVector)) }
	for name, b := range map[string][]byte{
		"empty":              {},
		"not NTLM":           change(func(b []byte) []byte { b[0] = 'X'; return b }),
		"another message":    change(func(b []byte) []byte { b[8] = 1; return b }),
		"cut off":            change(func(b []byte) []byte { return b[:60] }),
		"no Unicode":         change(func(b []byte) []byte { b[20] &^= 1; return b }),
		"no target, NTLMv1":  change(func(b []byte) []byte { b[22] &^= 0x80; return b }),
		"empty target":       change(func(b []byte) []byte { b[40], b[41] = 0, 0; return b }),
		"target outside":     change(func(b []byte) []byte { b[47] = 0xff; return b }),
		"target without end": change(func(b []byte) []byte { b[40] -= 4; return b }),
		"pair too long":      change(func(b []byte) []byte { b[70] = 0xff; return b }),
		"short time":         change(func(b []byte) []byte { b[68] = 7; return b }),
		"too long":           append(unhex(challengeVector), make([]byte, 64<<10)...),
	} {
		if _, err := winauth.NTLMAnswer(b, ntlmOptions()); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func FuzzNTLMChallenge(f *testing.F) {
	f.Add(unhex(challengeVector))
	f.Add(unhex(challengeVector)[:56])
	f.Fuzz(func(t *testing.T, b []byte) {
		message, err := winauth.NTLMAnswer(b, ntlmOptions())
		if err != nil {
			return
		}
		if nt := ntlmField(message, 20); len(nt) < 48 {
			t.Errorf("an NT response of %d bytes", len(nt))
		}
	})
}
