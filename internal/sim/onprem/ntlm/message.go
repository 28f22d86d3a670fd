package ntlm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"unicode/utf16"
)

// SizeLimit is the longest message that is looked at, in bytes.
const SizeLimit = 16 << 10

// Negotiate flags (MS-NLMP 2.2.2.5).
const (
	flagUnicode       uint32 = 1 << 0
	flagOEM           uint32 = 1 << 1
	flagRequestTarget uint32 = 1 << 2
	flagSign          uint32 = 1 << 4
	flagSeal          uint32 = 1 << 5
	flagNTLM          uint32 = 1 << 9
	flagAnonymous     uint32 = 1 << 11
	flagAlwaysSign    uint32 = 1 << 15
	flagDomain        uint32 = 1 << 16 // NTLMSSP_TARGET_TYPE_DOMAIN
	flagExtended      uint32 = 1 << 19 // NTLMSSP_NEGOTIATE_EXTENDED_SESSIONSECURITY
	flagTargetInfo    uint32 = 1 << 23
	flagVersion       uint32 = 1 << 25
	flag128           uint32 = 1 << 29
	flagKeyExchange   uint32 = 1 << 30
	flag56            uint32 = 1 << 31
)

// AV pairs (MS-NLMP 2.2.2.1).
const (
	avEOL             uint16 = 0
	avNbComputerName  uint16 = 1
	avNbDomainName    uint16 = 2
	avDNSComputerName uint16 = 3
	avDNSDomainName   uint16 = 4
	avDNSTreeName     uint16 = 5
	avFlags           uint16 = 6
	avTimestamp       uint16 = 7
	avTargetName      uint16 = 9
	avChannelBindings uint16 = 10
)

const (
	signature    = "NTLMSSP\x00"
	avFlagMIC    = 2 // MsvAvFlags: the AUTHENTICATE message has a MIC
	micOffset    = 72
	authMinimum  = 64
	avPairsLimit = 64
)

var errMessage = errors.New("the NTLM message is malformed")

// IsMessage says whether a token is a bare NTLM message, without SPNEGO around it.
func IsMessage(token []byte) bool { return bytes.HasPrefix(token, []byte(signature)) }

// messageType is 1 (NEGOTIATE), 2 or 3 (AUTHENTICATE); 0 for anything else.
func messageType(b []byte) uint32 {
	if len(b) < 12 || len(b) > SizeLimit || !IsMessage(b) {
		return 0
	}
	return binary.LittleEndian.Uint32(b[8:])
}

// authenticate is an AUTHENTICATE message (MS-NLMP 2.2.1.3).
type authenticate struct {
	lm, nt                    []byte
	domain, user, workstation string
	sessionKey                []byte
	flags                     uint32
}

func parseAuthenticate(b []byte) (*authenticate, error) {
	if messageType(b) != 3 || len(b) < authMinimum {
		return nil, errMessage
	}
	a := &authenticate{flags: binary.LittleEndian.Uint32(b[60:])}
	text := fromUTF16
	if a.flags&flagUnicode == 0 {
		text = fromOEM
	}
	var fields [6][]byte
	for i := range fields {
		f, err := field(b, 12+8*i)
		if err != nil {
			return nil, err
		}
		fields[i] = f
	}
	a.lm, a.nt, a.sessionKey = fields[0], fields[1], fields[5]
	var err error
	for i, s := range []*string{&a.domain, &a.user, &a.workstation} {
		if *s, err = text(fields[2+i]); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// field is the part of a message that the descriptor at an offset points to.
func field(b []byte, at int) ([]byte, error) {
	n, off := int(binary.LittleEndian.Uint16(b[at:])), uint64(binary.LittleEndian.Uint32(b[at+4:]))
	if n == 0 {
		return nil, nil
	}
	if off < authMinimum || off+uint64(n) > uint64(len(b)) {
		return nil, errMessage
	}
	return b[off : off+uint64(n)], nil
}

// clientChallenge is an NTLMv2_CLIENT_CHALLENGE (MS-NLMP 2.2.2.7).
type clientChallenge struct {
	time  uint64 // FILETIME
	pairs map[uint16][]byte
}

func parseClientChallenge(b []byte) (*clientChallenge, error) {
	if len(b) < 28 || b[0] != 1 || b[1] != 1 {
		return nil, errMessage
	}
	c := &clientChallenge{time: binary.LittleEndian.Uint64(b[8:]), pairs: map[uint16][]byte{}}
	b = b[28:]
	for range avPairsLimit {
		if len(b) < 4 {
			return nil, errMessage
		}
		id, n := binary.LittleEndian.Uint16(b), int(binary.LittleEndian.Uint16(b[2:]))
		if id == avEOL {
			return c, nil
		}
		if len(b) < 4+n {
			return nil, errMessage
		}
		if _, twice := c.pairs[id]; twice {
			return nil, errMessage
		}
		c.pairs[id], b = b[4:4+n], b[4+n:]
	}
	return nil, errMessage
}

func (c *clientChallenge) flags() uint32 {
	if v := c.pairs[avFlags]; len(v) == 4 {
		return binary.LittleEndian.Uint32(v)
	}
	return 0
}

func appendPair(b []byte, id uint16, value []byte) []byte {
	b = binary.LittleEndian.AppendUint16(b, id)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(value)))
	return append(b, value...)
}

func toUTF16(s string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}

// fromOEM reads what is the same in every OEM code page. A real server knows the rest
// of its own.
func fromOEM(b []byte) (string, error) {
	for _, c := range b {
		if c >= 0x80 {
			return "", errors.New("the NTLM message has a name that is not in Unicode")
		}
	}
	return string(b), nil
}

func fromUTF16(b []byte) (string, error) {
	if len(b)%2 != 0 {
		return "", errMessage
	}
	u := make([]uint16, len(b)/2)
	for i := range u {
		u[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(u)), nil
}

// IsNegotiate says whether a token is a bare NEGOTIATE message, which begins a sign-in.
func IsNegotiate(token []byte) bool { return messageType(token) == 1 }
