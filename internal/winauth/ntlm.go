package winauth

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // NTLM is made of it
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf16"

	"golang.org/x/crypto/md4" //nolint:staticcheck,gosec // NTLM is made of it

	"github.com/c2conn/c2conn/connections"
)

// NTLMv2 (MS-NLMP). It is written here rather than taken from go-ntlmssp, because a
// message integrity code needs the session key, and that stays inside there.

// Negotiate flags (MS-NLMP, section 2.2.2.5).
const (
	ntlmUnicode         = 0x00000001
	ntlmRequestTarget   = 0x00000004 // Windows sends it; without it gss-ntlmssp gives no target information
	ntlmNTLM            = 0x00000200
	ntlmAlwaysSign      = 0x00008000
	ntlmExtendedSession = 0x00080000
	ntlmTargetInfo      = 0x00800000
	ntlmVersion         = 0x02000000
	ntlm128             = 0x20000000
	ntlm56              = 0x80000000

	ntlmFlags = ntlmUnicode | ntlmRequestTarget | ntlmNTLM | ntlmAlwaysSign | ntlmExtendedSession | ntlmTargetInfo | ntlmVersion | ntlm128 | ntlm56
)

const (
	ntlmSignature      = "NTLMSSP\x00"
	ntlmChallengeSize  = 48 // bytes before the version and the payload
	ntlmChallengeLimit = 64 << 10
	ntlmMIC            = 72 // where it is in an AUTHENTICATE message
	ntlmPayload        = ntlmMIC + 16
)

// ntlmVersionField is Windows Server 2008 R2 with NTLM revision 15, of which a
// server looks at the last alone (MS-NLMP, section 2.2.2.10).
func ntlmVersionField() []byte { return []byte{6, 1, 0xb1, 0x1d, 0, 0, 0, 15} }

// ntlmNegotiate makes the first message.
func ntlmNegotiate() []byte {
	b := append([]byte(ntlmSignature), 1, 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, ntlmFlags)
	b = append(b, make([]byte, 16)...) // neither domain nor computer
	return append(b, ntlmVersionField()...)
}

// ntlmChallenge is what the server answers.
type ntlmChallenge struct {
	raw    []byte
	flags  uint32
	nonce  []byte // 8 bytes
	target []avPair
}

func parseNTLMChallenge(b []byte) (ntlmChallenge, error) {
	var c ntlmChallenge
	if len(b) < ntlmChallengeSize || len(b) > ntlmChallengeLimit || string(b[:8]) != ntlmSignature || binary.LittleEndian.Uint32(b[8:]) != 2 {
		return c, errors.New("not an NTLM challenge")
	}
	c.raw, c.flags, c.nonce = b, binary.LittleEndian.Uint32(b[20:]), b[24:32]
	size, at := uint64(binary.LittleEndian.Uint16(b[40:])), uint64(binary.LittleEndian.Uint32(b[44:]))
	if at+size > uint64(len(b)) {
		return c, errors.New("the target information is outside of the NTLM challenge")
	}
	switch {
	case c.flags&ntlmUnicode == 0:
		return c, errors.New("the server does not take Unicode in NTLM")
	case c.flags&ntlmTargetInfo == 0 || size == 0:
		// What is left then is NTLMv1, or NTLMv2 without channel binding.
		return c, errors.New("the server gives no target information, so NTLMv2 is not possible")
	}
	var err error
	c.target, err = parseAVPairs(b[at : at+size])
	return c, err
}

// ntlmAnswer is what the last message is made of.
type ntlmAnswer struct {
	domain, user string
	password     connections.Secret
	spn          string            // of the server, e.g. HTTP/exch01.corp.test
	certificate  *x509.Certificate // of the TLS connection
	now          time.Time
	rand         io.Reader
}

// ntlmAuthenticate makes the last message (MS-NLMP, section 3.1.5.1.2). With a time
// in the challenge it has a message integrity code over all three.
func ntlmAuthenticate(negotiate []byte, c ntlmChallenge, a ntlmAnswer) ([]byte, error) {
	var pairs []avPair
	var flags uint32
	for _, p := range c.target {
		switch p.id {
		case avFlags:
			flags = binary.LittleEndian.Uint32(p.value)
		case avTarget, avBinding: // are the client's to say
		default:
			pairs = append(pairs, p)
		}
	}
	at := findAV(c.target, avTimestamp)
	signed := at != nil
	if signed {
		flags |= avFlagMIC
	} else {
		at = binary.LittleEndian.AppendUint64(nil, fileTime(a.now))
	}
	if flags != 0 {
		pairs = append(pairs, avPair{avFlags, binary.LittleEndian.AppendUint32(nil, flags)})
	}
	if a.spn != "" {
		pairs = append(pairs, avPair{avTarget, utf16LE(a.spn)})
	}
	if a.certificate != nil {
		binding := bindingHash(a.certificate)
		pairs = append(pairs, avPair{avBinding, binding[:]})
	}
	challenge := make([]byte, 8)
	if _, err := io.ReadFull(a.rand, challenge); err != nil {
		return nil, fmt.Errorf("read random bytes: %w", err)
	}

	key := ntlmKey(a.password, a.user, a.domain)
	nt, session := ntlmResponse(key, c.nonce, challenge, at, appendAVPairs(nil, pairs))
	lm := make([]byte, 24)
	if !signed {
		lm = append(hmacMD5(key, c.nonce, challenge), challenge...)
	}

	out := append([]byte(ntlmSignature), 3, 0, 0, 0)
	payload := bytes.Buffer{}
	field := func(b []byte) {
		out = binary.LittleEndian.AppendUint16(out, uint16(len(b)))
		out = binary.LittleEndian.AppendUint16(out, uint16(len(b)))
		out = binary.LittleEndian.AppendUint32(out, uint32(ntlmPayload+payload.Len()))
		payload.Write(b)
	}
	if len(nt) > ntlmChallengeLimit-1 {
		return nil, errors.New("the target information is too long")
	}
	field(lm)
	field(nt)
	field(utf16LE(a.domain))
	field(utf16LE(a.user))
	field(nil) // this computer's name
	field(nil) // no key exchange
	out = binary.LittleEndian.AppendUint32(out, c.flags&ntlmFlags)
	out = append(out, ntlmVersionField()...)
	out = append(out, make([]byte, 16)...)
	out = append(out, payload.Bytes()...)
	if signed {
		copy(out[ntlmMIC:], hmacMD5(session, negotiate, c.raw, out))
	}
	return out, nil
}

// ntlmKey is NTOWFv2 (MS-NLMP, section 3.3.2).
func ntlmKey(password connections.Secret, user, domain string) []byte {
	secret := password.Reveal()
	h := md4.New()
	h.Write(utf16LE(string(secret)))
	clear(secret)
	return hmacMD5(h.Sum(nil), utf16LE(strings.ToUpper(user)+domain))
}

// ntlmResponse is the NTLMv2 response and the session key (MS-NLMP, section 3.3.2).
func ntlmResponse(key, server, client, at, target []byte) (response, session []byte) {
	temp := []byte{1, 1, 0, 0, 0, 0, 0, 0}
	temp = append(temp, at...)
	temp = append(temp, client...)
	temp = append(temp, 0, 0, 0, 0)
	temp = append(temp, target...)
	temp = append(temp, 0, 0, 0, 0)
	proof := hmacMD5(key, server, temp)
	return append(proof, temp...), hmacMD5(key, proof)
}

func hmacMD5(key []byte, parts ...[]byte) []byte {
	h := hmac.New(md5.New, key)
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

func utf16LE(s string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}

// fileTime counts 100 ns since 1601 (MS-DTYP, section 2.3.3).
func fileTime(t time.Time) uint64 {
	const epoch = 11644473600 // seconds from 1601 to 1970
	return uint64(t.Unix()+epoch)*10_000_000 + uint64(t.Nanosecond()/100)
}
