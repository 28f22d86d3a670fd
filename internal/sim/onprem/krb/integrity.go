package krb

import (
	"bytes"
	"encoding/binary"
	"errors"

	"github.com/jcmturner/gokrb5/v8/crypto"
)

// WrapSigned signs a message without encrypting it: a Wrap token without
// confidentiality (RFC 4121, section 4.2.4), as the last messages of a SASL GSSAPI
// sign-in are (RFC 4752, section 3.1). Like those of Windows it is rotated so that the
// checksum comes first.
func (c *Context) WrapSigned(message []byte) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.header(0x0504, sentByAcceptor)
	sum, err := c.sum(message, h, usageAcceptorSeal) // EC and RRC are zero in what is summed
	if err != nil {
		return nil, err
	}
	c.send++
	size := uint16(len(sum)) //nolint:gosec // a checksum has a dozen bytes
	binary.BigEndian.PutUint16(h[4:], size)
	binary.BigEndian.PutUint16(h[6:], size)
	return append(append(h, sum...), message...), nil
}

// UnwrapSigned checks a message that the client has signed without encrypting it.
func (c *Context) UnwrapSigned(token []byte) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h, err := c.check(token, 0x0504, 0)
	if err != nil {
		return nil, err
	}
	et, err := crypto.GetEtype(c.key.KeyType)
	if err != nil {
		return nil, err
	}
	size, rrc := int(binary.BigEndian.Uint16(h[4:])), int(binary.BigEndian.Uint16(h[6:]))
	body := token[16:]
	if size != et.GetHMACBitLength()/8 || len(body) < size {
		return nil, errors.New("the signed message has no checksum")
	}
	rrc %= len(body)
	body = append(bytes.Clone(body[rrc:]), body[:rrc]...)
	message, sent := body[:len(body)-size], body[len(body)-size:]
	binary.BigEndian.PutUint32(h[4:], 0)
	sum, err := c.sum(message, h, usageInitiatorSeal)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(sum, sent) {
		return nil, errors.New("the signature does not fit the message")
	}
	if binary.BigEndian.Uint64(h[8:]) != c.receive {
		return nil, ErrSequence
	}
	c.receive++
	return message, nil
}
