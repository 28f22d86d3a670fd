package krb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/c2conn/c2conn/internal/sim/onprem/account"
)

// Key usage numbers and flags of RFC 4121, sections 2 and 4.2.2.
const (
	usageAcceptorSeal  = 22
	usageAcceptorSign  = 23
	usageInitiatorSeal = 24
	usageInitiatorSign = 25

	sentByAcceptor = 1
	sealed         = 2
	acceptorSubkey = 4
)

// HeaderLength is the length of what WinRM calls the signature of a sealed message:
// token header, copy of the header, checksum and confounder of an AES key.
const HeaderLength = 60

// Errors of a security context.
var (
	ErrSequence = errors.New("the message is out of sequence, or has been received before")
	ErrNoSeal   = errors.New("the context was not made for confidentiality")
	ErrRC4      = errors.New("messages are sealed with AES keys only")
)

// Context is the security context of a client that has signed in (RFC 4121). It is
// safe for use by several goroutines.
type Context struct {
	User  account.User
	SPN   string // the service principal name of the ticket
	Flags uint32 // what the client asked for
	Reply []byte // token for the client; nil when it asked for no mutual authentication

	mu            sync.Mutex
	key           types.EncryptionKey
	acceptorKey   bool // key is the sub-session key of Reply
	send, receive uint64
}

// Wrap seals a message for the client: the signature of HeaderLength bytes, and as
// many bytes as the message has. Both together are a Wrap token (RFC 4121, section
// 4.2.4), rotated by 28 bytes as Windows rotates it for WinRM.
func (c *Context) Wrap(message []byte) (signature, data []byte, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.maySeal(); err != nil {
		return nil, nil, err
	}
	h := c.header(0x0504, sentByAcceptor|sealed)
	et, err := crypto.GetEtype(c.key.KeyType)
	if err != nil {
		return nil, nil, err
	}
	_, ct, err := et.EncryptMessage(c.key.KeyValue, append(bytes.Clone(message), h...), usageAcceptorSeal)
	if err != nil {
		return nil, nil, fmt.Errorf("wrap: %w", err)
	}
	c.send++
	rrc := 16 + et.GetHMACBitLength()/8
	binary.BigEndian.PutUint16(h[6:], uint16(rrc))
	token := append(h, ct[len(ct)-rrc:]...)
	token = append(token, ct[:len(ct)-rrc]...)
	return token[:HeaderLength:HeaderLength], token[HeaderLength:], nil
}

// Unwrap opens a sealed message of the client: signature and data together. Messages
// must come in the order they were sealed in, each once.
func (c *Context) Unwrap(token []byte) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.maySeal(); err != nil {
		return nil, err
	}
	h, err := c.check(token, 0x0504, sealed)
	if err != nil {
		return nil, err
	}
	extra, rrc := int(binary.BigEndian.Uint16(h[4:])), int(binary.BigEndian.Uint16(h[6:]))
	ct := token[16:]
	if len(ct) == 0 {
		return nil, errors.New("the sealed message is too short")
	}
	rrc %= len(ct)
	ct = append(bytes.Clone(ct[rrc:]), ct[:rrc]...)
	plain, err := decrypt(ct, c.key, usageInitiatorSeal)
	if err != nil {
		return nil, fmt.Errorf("unwrap: %w", err)
	}
	if len(plain) < 16+extra {
		return nil, errors.New("the sealed message is too short")
	}
	// The copy inside is the header before rotation.
	binary.BigEndian.PutUint16(h[6:], 0)
	if !bytes.Equal(plain[len(plain)-16:], h) {
		return nil, errors.New("the sealed header is not the one outside")
	}
	if binary.BigEndian.Uint64(h[8:]) != c.receive {
		return nil, ErrSequence
	}
	c.receive++
	return plain[:len(plain)-16-extra], nil
}

// MIC signs a message (RFC 4121, section 4.2.6.1); SPNEGO needs it for its list of mechanisms.
func (c *Context) MIC(message []byte) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.header(0x0404, sentByAcceptor)
	sum, err := c.sum(message, h, usageAcceptorSign)
	if err != nil {
		return nil, err
	}
	c.send++
	return append(h, sum...), nil
}

// VerifyMIC checks the client's signature of a message.
func (c *Context) VerifyMIC(message, token []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	h, err := c.check(token, 0x0404, 0)
	if err != nil {
		return err
	}
	sum, err := c.sum(message, h, usageInitiatorSign)
	if err != nil {
		return err
	}
	if !bytes.Equal(sum, token[16:]) {
		return errors.New("the signature does not fit the message")
	}
	if binary.BigEndian.Uint64(h[8:]) != c.receive {
		return ErrSequence
	}
	c.receive++
	return nil
}

func (c *Context) maySeal() error {
	switch {
	case c.Flags&FlagConfidentiality == 0:
		return ErrNoSeal
	case c.key.KeyType == account.RC4:
		return ErrRC4 // RFC 4757 has another token for these keys
	}
	return nil
}

func (c *Context) sum(message, header []byte, usage uint32) ([]byte, error) {
	if c.key.KeyType == account.RC4 {
		return nil, ErrRC4
	}
	et, err := crypto.GetEtype(c.key.KeyType)
	if err != nil {
		return nil, err
	}
	return et.GetChecksumHash(c.key.KeyValue, append(bytes.Clone(message), header...), usage)
}

func (c *Context) header(id uint16, flags byte) []byte {
	h := make([]byte, 16, 16+1024)
	binary.BigEndian.PutUint16(h, id)
	if c.acceptorKey {
		flags |= acceptorSubkey
	}
	h[2], h[3] = flags, 0xFF
	if id == 0x0404 {
		copy(h[4:], []byte{0xFF, 0xFF, 0xFF, 0xFF})
	}
	binary.BigEndian.PutUint64(h[8:], c.send)
	return h
}

// check looks at a token's header and returns a copy of it.
func (c *Context) check(token []byte, id uint16, flags byte) ([]byte, error) {
	if len(token) < 16 || binary.BigEndian.Uint16(token) != id || token[3] != 0xFF {
		return nil, errors.New("this is no token of the expected kind")
	}
	if id == 0x0404 && !bytes.Equal(token[4:8], []byte{0xFF, 0xFF, 0xFF, 0xFF}) {
		return nil, errors.New("the filler of the signature is wrong")
	}
	if c.acceptorKey {
		flags |= acceptorSubkey
	}
	if token[2] != flags {
		return nil, fmt.Errorf("the token's flags are %#x, want %#x", token[2], flags)
	}
	return bytes.Clone(token[:16]), nil
}
