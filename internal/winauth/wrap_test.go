package winauth_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"

	"github.com/c2conn/c2conn/internal/winauth"
)

// Signed tokens that a SASL server and its client exchanged: the test vector of
// gokrb5, gssapi/wrapToken_test.go.
func TestSignedVectors(t *testing.T) {
	t.Parallel()
	key := unhex("14f9bde6b50ec508201a97f74c4e5bd3")
	c := winauth.ReadyContext(key, 17, 0, 0x575e85d6, false)
	offer := unhex("050401ff000c000000000000575e85d601010000853b728d5268525a1386c19f")
	got, err := c.UnwrapPlain(offer)
	if err != nil || hex.EncodeToString(got) != "01010000" {
		t.Errorf("%x, %v", got, err)
	}
	token, err := c.WrapPlain(unhex("01010000"))
	if err != nil || hex.EncodeToString(token) != "050400ff000c000000000000000000000101000079a033510b6f127212242b97" {
		t.Errorf("%x, %v", token, err)
	}
	if _, err := c.UnwrapPlain(offer); err == nil {
		t.Error("the same message twice is taken")
	}
}

// acceptorSeals seals a message as the server does: RFC 4121, section 4.2.4, with
// any rotation and filler.
func acceptorSeals(t *testing.T, key []byte, flags byte, number byte, message []byte, filler, rotation int, tellAll bool) []byte {
	t.Helper()
	h := []byte{5, 4, flags, 0xff, 0, byte(filler), 0, 0, 0, 0, 0, 0, 0, 0, 0, number}
	et, err := crypto.GetEtype(18)
	if err != nil {
		t.Fatal(err)
	}
	plain := append(bytes.Clone(message), bytes.Repeat([]byte{0xff}, filler)...)
	_, b, err := et.EncryptMessage(key, append(plain, h...), keyusage.GSSAPI_ACCEPTOR_SEAL)
	if err != nil {
		t.Fatal(err)
	}
	h[7] = byte(rotation)
	if !tellAll {
		rotation += filler
	}
	rotation %= len(b)
	return append(h, append(bytes.Clone(b[len(b)-rotation:]), b[:len(b)-rotation]...)...)
}

func TestUnwrap(t *testing.T) {
	t.Parallel()
	key := bytes.Repeat([]byte{7}, 32)
	message := []byte("<s:Envelope/>")
	for _, c := range []struct {
		name string
		make func() []byte
		ok   bool
	}{
		{"not rotated", func() []byte { return acceptorSeals(t, key, 7, 9, message, 0, 0, true) }, true},
		{"as WinRM", func() []byte { return acceptorSeals(t, key, 7, 9, message, 0, 28, true) }, true},
		{"filler in the rotation", func() []byte { return acceptorSeals(t, key, 7, 9, message, 16, 44, true) }, true},
		{"filler not in the rotation", func() []byte { return acceptorSeals(t, key, 7, 9, message, 16, 28, false) }, true},
		{"rotated more than once", func() []byte { return acceptorSeals(t, key, 7, 9, message, 0, 255, true) }, true},
		{"empty message", func() []byte { return acceptorSeals(t, key, 7, 9, nil, 0, 28, true) }, true},
		{"number too high", func() []byte { return acceptorSeals(t, key, 7, 10, message, 0, 28, true) }, false},
		{"number of before", func() []byte { return acceptorSeals(t, key, 7, 8, message, 0, 28, true) }, false},
		{"ours sent back", func() []byte { return acceptorSeals(t, key, 6, 9, message, 0, 28, true) }, false},
		{"not sealed", func() []byte { return acceptorSeals(t, key, 5, 9, message, 0, 28, true) }, false},
		{"not the acceptor's key", func() []byte { return acceptorSeals(t, key, 3, 9, message, 0, 28, true) }, false},
		{"another key", func() []byte { return acceptorSeals(t, bytes.Repeat([]byte{8}, 32), 7, 9, message, 0, 28, true) }, false},
		{"number changed on the way", func() []byte {
			b := acceptorSeals(t, key, 7, 8, message, 0, 28, true)
			b[15] = 9
			return b
		}, false},
		{"message changed on the way", func() []byte {
			b := acceptorSeals(t, key, 7, 9, message, 0, 28, true)
			b[len(b)-1] ^= 1
			return b
		}, false},
		{"cut off", func() []byte { return acceptorSeals(t, key, 7, 9, message, 0, 28, true)[:40] }, false},
		{"header alone", func() []byte { return acceptorSeals(t, key, 7, 9, message, 0, 28, true)[:16] }, false},
		{"nothing", func() []byte { return nil }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			token := c.make()
			cut := min(60, len(token))
			got, err := winauth.ReadyContext(key, 18, 0, 9, true).Unwrap(token[:cut], token[cut:])
			if c.ok != (err == nil) {
				t.Fatalf("%v", err)
			}
			var broken *winauth.ProtocolError
			if err != nil && !errors.As(err, &broken) {
				t.Errorf("%T", err)
			}
			if c.ok && c.name != "empty message" && !bytes.Equal(got, message) {
				t.Errorf("got %q", got)
			}
		})
	}
}

// The data is as long as the message, and the header has the size that WinRM knows.
func TestWrapLayout(t *testing.T) {
	t.Parallel()
	c := winauth.ReadyContext(bytes.Repeat([]byte{7}, 32), 18, 5, 0, true)
	for i, n := range []int{0, 1, 15, 16, 17, 5000} {
		header, data, err := c.Wrap(make([]byte, n))
		if err != nil || len(header) != 60 || len(data) != n {
			t.Errorf("%d bytes: header %d, data %d, %v", n, len(header), len(data), err)
		}
		if !bytes.Equal(header[:16], []byte{5, 4, 6, 0xff, 0, 0, 0, 28, 0, 0, 0, 0, 0, 0, 0, byte(5 + i)}) {
			t.Errorf("header %x", header[:16])
		}
	}
}

func TestNothingIsSealedTooEarlyOrWithRC4(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]*winauth.Context{
		"before the answer": winauth.StartedContext(make([]byte, 32), 18),
		"RC4":               winauth.ReadyContext(make([]byte, 16), 23, 0, 0, false),
	} {
		if _, _, err := c.Wrap([]byte("x")); err == nil {
			t.Errorf("%s: sealed", name)
		}
		if _, err := c.Unwrap(nil, make([]byte, 100)); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}

func FuzzUnwrap(f *testing.F) {
	f.Add(unhex("050401ff000c000000000000575e85d601010000853b728d5268525a1386c19f"))
	f.Add(unhex("050403ff0000001c00000000575e85d6" + "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff00112233445566778899aabb"))
	key := unhex("14f9bde6b50ec508201a97f74c4e5bd3")
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := winauth.ReadyContext(key, 17, 0, 0x575e85d6, false).Unwrap(nil, b); err == nil {
			t.Errorf("opened %x as %x", b, got)
		}
		got, err := winauth.ReadyContext(key, 17, 0, 0x575e85d6, false).UnwrapPlain(b)
		if err == nil && !bytes.Equal(got, unhex("01010000")) {
			t.Errorf("took the signature of %x", got)
		}
	})
}
