package winauth

import (
	"bytes"
	"crypto/hmac"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/crypto/etype"
	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
)

// Wrap tokens: RFC 4121, section 4.2.
const (
	wrapHeader = 16 // bytes
	wrapID     = 0x0504

	sentByAcceptor = 1
	sealed         = 2
	acceptorSubkey = 4
)

// WrapLimit is the size in bytes of the largest message that is sealed or opened.
const WrapLimit = 16 << 20

// Wrap seals a message for the server. What goes over the wire is header, then data,
// which is as long as the message: the layout of WinRM's
// Kerberos-session-encrypted (MS-WSMV, section 2.2.9.1). Accept comes first. RC4 keys
// are not supported. Errors: *ProtocolError.
func (c *Context) Wrap(message []byte) (header, data []byte, err error) {
	et, err := c.sealing(message)
	if err != nil {
		return nil, nil, err
	}
	head := c.wrapHeader(sealed)
	// The header is sealed, too, as it is before the rotation is known.
	_, b, err := et.EncryptMessage(c.key.KeyValue, append(bytes.Clone(message), head...), keyusage.GSSAPI_INITIATOR_SEAL)
	if err != nil {
		return nil, nil, fmt.Errorf("seal a message: %w", err)
	}
	// To the right by the copy of the header and the hash: they come to stand before
	// the confounder, and the message is last.
	rotation := wrapHeader + et.GetHMACBitLength()/8
	binary.BigEndian.PutUint16(head[6:], uint16(rotation))
	token := append(append(head, b[len(b)-rotation:]...), b[:len(b)-rotation]...)
	cut := len(token) - len(message)
	return token[:cut], token[cut:], nil
}

// Unwrap opens a message that the server sealed: header and data as they came, or
// all of it in one of them. Messages are taken in the order they were sealed only.
// Errors: *ProtocolError.
func (c *Context) Unwrap(header, data []byte) ([]byte, error) {
	token := append(bytes.Clone(header), data...)
	_, err := c.opening(token, sealed)
	if err != nil {
		return nil, err
	}
	extra, rotation := int(binary.BigEndian.Uint16(token[4:])), int(binary.BigEndian.Uint16(token[6:]))
	body := token[wrapHeader:]
	plain, err := openBytes(rotateLeft(body, rotation), c.key, keyusage.GSSAPI_ACCEPTOR_SEAL)
	if err != nil && extra > 0 {
		// Windows leaves the filler out of the rotation that it tells (MS-KILE, section 3.4.5.4.1).
		plain, err = openBytes(rotateLeft(body, rotation+extra), c.key, keyusage.GSSAPI_ACCEPTOR_SEAL)
	}
	if err != nil {
		return nil, c.bad(err)
	}
	end := len(plain) - wrapHeader - extra
	if end < 0 {
		return nil, c.bad(errors.New("a sealed message that is too short"))
	}
	inner := bytes.Clone(token[:wrapHeader])
	inner[6], inner[7] = 0, 0
	if !bytes.Equal(inner, plain[len(plain)-wrapHeader:]) {
		return nil, c.bad(errors.New("the header of a sealed message was changed"))
	}
	c.receive++
	return plain[:end], nil
}

// WrapPlain signs a message without sealing it, as SASL's GSSAPI mechanism (RFC
// 4752) wants it. Errors: *ProtocolError.
func (c *Context) WrapPlain(message []byte) ([]byte, error) {
	et, err := c.sealing(message)
	if err != nil {
		return nil, err
	}
	head := c.wrapHeader(0)
	sum, err := et.GetChecksumHash(c.key.KeyValue, append(bytes.Clone(message), head...), keyusage.GSSAPI_INITIATOR_SEAL)
	if err != nil {
		return nil, fmt.Errorf("sign a message: %w", err)
	}
	binary.BigEndian.PutUint16(head[4:], uint16(len(sum)))
	return append(append(head, message...), sum...), nil
}

// UnwrapPlain checks a message that the server signed without sealing it. Errors:
// *ProtocolError.
func (c *Context) UnwrapPlain(token []byte) ([]byte, error) {
	et, err := c.opening(token, 0)
	if err != nil {
		return nil, err
	}
	size, rotation := int(binary.BigEndian.Uint16(token[4:])), int(binary.BigEndian.Uint16(token[6:]))
	body := rotateLeft(token[wrapHeader:], rotation)
	if size != et.GetHMACBitLength()/8 || size > len(body) {
		return nil, c.bad(errors.New("a signed message that is too short"))
	}
	message, sum := body[:len(body)-size], body[len(body)-size:]
	head := bytes.Clone(token[:wrapHeader])
	clear(head[4:8])
	want, err := et.GetChecksumHash(c.key.KeyValue, append(bytes.Clone(message), head...), keyusage.GSSAPI_ACCEPTOR_SEAL)
	if err != nil || !hmac.Equal(want, sum) {
		return nil, c.bad(errors.New("the signature of a message is wrong"))
	}
	c.receive++
	return message, nil
}

// sealing tells how messages are sealed, when they can be.
func (c *Context) sealing(message []byte) (etype.EType, error) {
	switch {
	case !c.ready:
		return nil, c.bad(errors.New("the sign-in is not complete"))
	case c.key.KeyType == etypeID.RC4_HMAC:
		return nil, c.bad(errors.New("the server's account has RC4 keys only, and sealing with RC4 is not supported: let the account use AES (msDS-SupportedEncryptionTypes)"))
	case len(message) > WrapLimit:
		return nil, c.bad(fmt.Errorf("a message of %d bytes, more than %d MiB", len(message), WrapLimit>>20))
	}
	et, err := crypto.GetEtype(c.key.KeyType)
	if err != nil {
		return nil, c.bad(err)
	}
	return et, nil
}

// wrapHeader makes the header of the next message, with EC and RRC zero.
func (c *Context) wrapHeader(flags byte) []byte {
	if c.subkey {
		flags |= acceptorSubkey
	}
	h := make([]byte, wrapHeader, 64)
	binary.BigEndian.PutUint16(h, wrapID)
	h[2], h[3] = flags, 0xff
	binary.BigEndian.PutUint64(h[8:], c.send)
	c.send++
	return h
}

// opening checks the header of a message that came.
func (c *Context) opening(token []byte, kind byte) (etype.EType, error) {
	et, err := c.sealing(nil)
	if err != nil {
		return nil, err
	}
	want := kind | sentByAcceptor
	if c.subkey {
		want |= acceptorSubkey
	}
	switch {
	case len(token) < wrapHeader || binary.BigEndian.Uint16(token) != wrapID || token[3] != 0xff:
		return nil, c.bad(errors.New("not a sealed or signed message"))
	case len(token) > WrapLimit+1024:
		return nil, c.bad(fmt.Errorf("a message of %d bytes, more than %d MiB", len(token), WrapLimit>>20))
	case token[2]&^acceptorSubkey != want&^acceptorSubkey:
		return nil, c.bad(fmt.Errorf("a message with the flags %02x", token[2]))
	case token[2] != want:
		return nil, c.bad(errors.New("a message under another key"))
	case binary.BigEndian.Uint64(token[8:]) != c.receive:
		return nil, c.bad(fmt.Errorf("message number %d instead of %d: one is missing or came twice", binary.BigEndian.Uint64(token[8:]), c.receive))
	}
	return et, nil
}

// rotateLeft undoes a rotation to the right by n; it returns a copy.
func rotateLeft(b []byte, n int) []byte {
	if len(b) == 0 {
		return nil
	}
	n %= len(b)
	return append(bytes.Clone(b[n:]), b[:n]...)
}
