package spnego

import (
	"encoding/asn1"
	"errors"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// SizeLimit is the longest token that is looked at, in bytes: Windows' largest
// MaxTokenSize is 65,535.
const SizeLimit = 64 << 10

const mechsLimit = 16

var errToken = errors.New("the SPNEGO token is malformed")

// initToken and respToken are the two messages of RFC 4178, section 4.2.
type initToken struct {
	mechs []string // object identifiers with dots
	list  []byte   // MechTypeList in DER, which the MIC is of
	token []byte
	mic   []byte
}

type respToken struct {
	state      int64 // -1 when absent
	mech       asn1.ObjectIdentifier
	token, mic []byte
}

func tag(n uint8) cbasn1.Tag { return cbasn1.Tag(n).ContextSpecific().Constructed() }

// parseInit reads a NegTokenInit in the framing of RFC 2743, section 3.1.
func parseInit(b []byte) (*initToken, error) {
	s, framed, mech := cryptobyte.String(b), cryptobyte.String(nil), asn1.ObjectIdentifier(nil)
	if len(b) > SizeLimit || !s.ReadASN1(&framed, cbasn1.Tag(0x60)) || !s.Empty() ||
		!framed.ReadASN1ObjectIdentifier(&mech) || mech.String() != oidSPNEGO {
		return nil, errToken
	}
	var choice, seq, list, list1 cryptobyte.String
	if !framed.ReadASN1(&choice, tag(0)) || !framed.Empty() || !choice.ReadASN1(&seq, cbasn1.SEQUENCE) || !choice.Empty() ||
		!seq.ReadASN1(&list, tag(0)) {
		return nil, errToken
	}
	t := &initToken{list: list}
	if !list.ReadASN1(&list1, cbasn1.SEQUENCE) || !list.Empty() {
		return nil, errToken
	}
	for !list1.Empty() {
		var m asn1.ObjectIdentifier
		if len(t.mechs) == mechsLimit || !list1.ReadASN1ObjectIdentifier(&m) {
			return nil, errToken
		}
		t.mechs = append(t.mechs, m.String())
	}
	var flags cryptobyte.String
	var has bool
	if len(t.mechs) == 0 || !seq.ReadOptionalASN1(&flags, &has, tag(1)) ||
		!readOctets(&seq, &t.token, 2) || !readOctets(&seq, &t.mic, 3) || !seq.Empty() {
		return nil, errToken
	}
	return t, nil
}

// parseResp reads a NegTokenResp.
func parseResp(b []byte) (*respToken, error) {
	s := cryptobyte.String(b)
	var choice, seq, state, mech cryptobyte.String
	var has bool
	if len(b) > SizeLimit || !s.ReadASN1(&choice, tag(1)) || !s.Empty() || !choice.ReadASN1(&seq, cbasn1.SEQUENCE) || !choice.Empty() {
		return nil, errToken
	}
	t := &respToken{state: -1}
	if !seq.ReadOptionalASN1(&state, &has, tag(0)) {
		return nil, errToken
	}
	if has {
		var n int
		if !state.ReadASN1Enum(&n) || !state.Empty() || n < 0 || n > 3 {
			return nil, errToken
		}
		t.state = int64(n)
	}
	if !seq.ReadOptionalASN1(&mech, &has, tag(1)) {
		return nil, errToken
	}
	if has && (!mech.ReadASN1ObjectIdentifier(&t.mech) || !mech.Empty()) {
		return nil, errToken
	}
	if !readOctets(&seq, &t.token, 2) || !readOctets(&seq, &t.mic, 3) || !seq.Empty() {
		return nil, errToken
	}
	return t, nil
}

func readOctets(s *cryptobyte.String, out *[]byte, n uint8) bool {
	var inner, value cryptobyte.String
	var has bool
	if !s.ReadOptionalASN1(&inner, &has, tag(n)) {
		return false
	}
	if has {
		if !inner.ReadASN1(&value, cbasn1.OCTET_STRING) || !inner.Empty() {
			return false
		}
		*out = value
	}
	return true
}

// marshal writes a NegTokenResp.
func (t respToken) marshal() []byte {
	b := cryptobyte.NewBuilder(nil)
	b.AddASN1(tag(1), func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			if t.state >= 0 {
				b.AddASN1(tag(0), func(b *cryptobyte.Builder) { b.AddASN1Enum(t.state) })
			}
			if t.mech != nil {
				b.AddASN1(tag(1), func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(t.mech) })
			}
			addOctets(b, 2, t.token)
			addOctets(b, 3, t.mic)
		})
	})
	return b.BytesOrPanic()
}

func addOctets(b *cryptobyte.Builder, n uint8, v []byte) {
	if v != nil {
		b.AddASN1(tag(n), func(b *cryptobyte.Builder) { b.AddASN1OctetString(v) })
	}
}
