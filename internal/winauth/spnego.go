package winauth

import (
	encodingasn1 "encoding/asn1"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// tokenLimit is the size in bytes of the largest token that is read; a ticket with
// the groups of a user has at most 64 KiB.
const tokenLimit = 128 << 10

// The states of a negotiation (RFC 4178, section 4.2.2), from 0 (accept-completed) to
// 3 (request-mic), and ours for one that is left out.
const (
	negotiationRejected = 2
	negotiationLast     = 3
	negotiationUnsaid   = -1
)

func oidSPNEGO() encodingasn1.ObjectIdentifier {
	return encodingasn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 2}
}

func oidKerberos() encodingasn1.ObjectIdentifier {
	return encodingasn1.ObjectIdentifier{1, 2, 840, 113554, 1, 2, 2}
}

// oidMSKerberos is the same mechanism, misspelt by Windows 2000 and ever since.
func oidMSKerberos() encodingasn1.ObjectIdentifier {
	return encodingasn1.ObjectIdentifier{1, 2, 840, 48018, 1, 2, 2}
}

// Context-specific and application tags, constructed (X.690, section 8.1.2).
const (
	tag0           = asn1.Tag(0xa0)
	tag1           = asn1.Tag(0xa1)
	tag2           = asn1.Tag(0xa2)
	tag3           = asn1.Tag(0xa3)
	tagApplication = asn1.Tag(0x60)
)

// negotiationStart makes a NegTokenInit that offers Kerberos alone and holds its
// first token (RFC 4178, section 4.2.1).
func negotiationStart(token []byte) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(tagApplication, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidSPNEGO())
		b.AddASN1(tag0, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1(tag0, func(b *cryptobyte.Builder) {
					b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oidKerberos()) })
				})
				b.AddASN1(tag2, func(b *cryptobyte.Builder) { b.AddASN1OctetString(token) })
			})
		})
	})
	return b.Bytes()
}

// negotiationNext makes a NegTokenResp that holds a token.
func negotiationNext(token []byte) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(tag1, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(tag2, func(b *cryptobyte.Builder) { b.AddASN1OctetString(token) })
		})
	})
	return b.Bytes()
}

// negotiation is a NegTokenResp (RFC 4178, section 4.2.2).
type negotiation struct {
	state int                           // negotiationUnsaid when it is left out
	mech  encodingasn1.ObjectIdentifier // nil when it is left out
	token []byte
}

// isNegotiation tells a NegTokenResp from a bare token of a mechanism.
func isNegotiation(b []byte) bool { return len(b) > 0 && b[0] == byte(tag1) }

// parseNegotiation reads a NegTokenResp.
func parseNegotiation(b []byte) (negotiation, error) {
	n := negotiation{state: negotiationUnsaid}
	bad := errors.New("not a NegTokenResp")
	if len(b) > tokenLimit {
		return n, fmt.Errorf("a token of %d bytes", len(b))
	}
	in := cryptobyte.String(b)
	var choice, seq cryptobyte.String
	if !in.ReadASN1(&choice, tag1) || !in.Empty() || !choice.ReadASN1(&seq, asn1.SEQUENCE) || !choice.Empty() {
		return n, bad
	}
	var field cryptobyte.String
	var has bool
	if !seq.ReadOptionalASN1(&field, &has, tag0) {
		return n, bad
	}
	if has && (!field.ReadASN1Enum(&n.state) || !field.Empty() || n.state < 0 || n.state > negotiationLast) {
		return n, bad
	}
	if !seq.ReadOptionalASN1(&field, &has, tag1) || has && (!field.ReadASN1ObjectIdentifier(&n.mech) || !field.Empty()) {
		return n, bad
	}
	var token, mic cryptobyte.String
	if !seq.ReadOptionalASN1(&field, &has, tag2) || has && (!field.ReadASN1(&token, asn1.OCTET_STRING) || !field.Empty()) {
		return n, bad
	}
	if !seq.ReadOptionalASN1(&field, &has, tag3) || has && (!field.ReadASN1(&mic, asn1.OCTET_STRING) || !field.Empty()) {
		return n, bad
	}
	if !seq.Empty() {
		return n, bad
	}
	n.token = token
	return n, nil
}

// The kinds of Kerberos tokens (RFC 4121, section 4.1).
const (
	tokenAPReq = 0x0100
	tokenAPRep = 0x0200
	tokenError = 0x0300
)

// kerberosToken frames a Kerberos message as a GSS-API token (RFC 2743, section 3.1).
func kerberosToken(kind uint16, message []byte) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(tagApplication, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidKerberos())
		b.AddUint16(kind)
		b.AddBytes(message)
	})
	return b.Bytes()
}

// parseKerberosToken is the reverse of kerberosToken.
func parseKerberosToken(b []byte) (kind uint16, message []byte, err error) {
	in := cryptobyte.String(b)
	var inner cryptobyte.String
	var mech encodingasn1.ObjectIdentifier
	if len(b) > tokenLimit || !in.ReadASN1(&inner, tagApplication) || !in.Empty() ||
		!inner.ReadASN1ObjectIdentifier(&mech) || !mech.Equal(oidKerberos()) && !mech.Equal(oidMSKerberos()) || !inner.ReadUint16(&kind) {
		return 0, nil, errors.New("not a Kerberos token")
	}
	return kind, inner, nil
}
