package krb

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/asn1tools"
	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/iana/asnAppTag"
	"github.com/jcmturner/gokrb5/v8/iana/msgtype"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/c2conn/c2conn/internal/sim/onprem/account"
	"github.com/c2conn/c2conn/internal/sim/onprem/binding"
)

// Flags of the authenticator's checksum (RFC 4121, section 4.1.1.1).
const (
	FlagDelegate        uint32 = 1
	FlagMutual          uint32 = 2
	FlagReplay          uint32 = 4
	FlagSequence        uint32 = 8
	FlagConfidentiality uint32 = 16
	FlagIntegrity       uint32 = 32
)

const (
	optionSessionKey = 1 // ap-options
	optionMutual     = 2
	usageAPReq       = 11
	usageAPRep       = 12

	checksumGSS int32 = 0x8003 // RFC 4121, section 4.1.1
)

// AcceptorOptions are what NewAcceptor needs.
type AcceptorOptions struct {
	Directory *account.Directory
	SPNs      []string // the service principal names that are ours
	// ExtendedProtection says what is made of channel bindings.
	ExtendedProtection binding.Mode
	Now                func() time.Time // nil means time.Now
	Rand               io.Reader        // nil means crypto/rand
}

// Acceptor signs clients in by their service tickets. It is safe for use by several
// goroutines.
type Acceptor struct {
	o       AcceptorOptions
	replays Replays
}

// NewAcceptor makes an acceptor for a service.
func NewAcceptor(o AcceptorOptions) *Acceptor {
	if o.Now == nil {
		o.Now = time.Now //nolint:forbidigo // where no clock is given
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	return &Acceptor{o: o}
}

// Accept takes a client's initial token: an AP-REQ in the framing of RFC 4121,
// section 4.1. bindings are the channel's own (binding.EndPoint), nil for one that
// has none. The error is an *Error, or one of package binding.
func (a *Acceptor) Accept(token, bindings []byte) (*Context, error) {
	body, err := unframe(token, tokenAPReq)
	if err != nil {
		return nil, &Error{Code: CodeModified, Err: err}
	}
	req, err := Opener{Key: a.key, Usage: usageAPReq, Now: a.o.Now, Replays: &a.replays}.Open(body)
	if err != nil {
		return nil, err
	}
	if Flag(req.Options, optionSessionKey) {
		return nil, refused(CodeModified, "user-to-user authentication is not offered")
	}
	sum := req.Authenticator.Cksum
	if sum.CksumType != checksumGSS || len(sum.Checksum) < 24 || binary.LittleEndian.Uint32(sum.Checksum) != 16 {
		return nil, refused(CodeInappropriate, "the authenticator's checksum is not that of RFC 4121")
	}
	if err := a.o.ExtendedProtection.Check(bindings, sum.Checksum[4:20]); err != nil {
		return nil, err
	}
	user, found := a.o.Directory.Principal(req.Ticket.CName.NameType, req.Ticket.CName.NameString)
	if !found || req.Ticket.CRealm != a.o.Directory.Realm() {
		return nil, refused(CodeBadMatch, "the ticket's client has no account in this domain")
	}
	c := &Context{
		User: user, SPN: Name(req.Service), Flags: binary.LittleEndian.Uint32(sum.Checksum[20:]),
		key: req.Ticket.Key, receive: uint64(uint32(req.Authenticator.SeqNumber)),
	}
	c.send = c.receive // RFC 4121 leaves it open; so does MIT Kerberos without AP-REP
	if len(req.Authenticator.SubKey.KeyValue) > 0 {
		c.key = req.Authenticator.SubKey
	}
	if et, err := crypto.GetEtype(c.key.KeyType); err != nil || len(c.key.KeyValue) != et.GetKeyByteSize() {
		return nil, refused(CodeModified, "the sub-session key is of no known encryption type")
	}
	if !Flag(req.Options, optionMutual) {
		return c, nil
	}
	return c, a.reply(c, req)
}

// key gives the keys of our own service principal names only.
func (a *Acceptor) key(realm string, service types.PrincipalName, etype int32) ([]byte, bool) {
	spn := Name(service)
	if realm != a.o.Directory.Realm() || !slices.ContainsFunc(a.o.SPNs, func(s string) bool { return sameSPN(s, spn) }) {
		return nil, false
	}
	u, found := a.o.Directory.Service(spn)
	if !found {
		return nil, false
	}
	return a.o.Directory.KerberosKey(u.SAM, etype)
}

// reply makes the AP-REP with a sub-session key of our own, as Windows does.
func (a *Acceptor) reply(c *Context, req *APReq) error {
	var seed [36]byte
	if _, err := io.ReadFull(a.o.Rand, seed[:]); err != nil {
		return fmt.Errorf("sub-session key: %w", err)
	}
	et, err := crypto.GetEtype(c.key.KeyType)
	if err != nil {
		return err
	}
	sub := types.EncryptionKey{KeyType: c.key.KeyType, KeyValue: seed[4 : 4+et.GetKeyByteSize()]}
	seq := binary.BigEndian.Uint32(seed[:]) >> 2 // some clients take it for a signed number
	part, err := asn1.Marshal(messages.EncAPRepPart{
		CTime: req.Authenticator.CTime.UTC(), Cusec: req.Authenticator.Cusec, Subkey: sub, SequenceNumber: int64(seq),
	})
	if err != nil {
		return fmt.Errorf("AP-REP: %w", err)
	}
	ed, err := Encrypt(asn1tools.AddASNAppTag(part, asnAppTag.EncAPRepPart), req.Ticket.Key, usageAPRep, 0)
	if err != nil {
		return fmt.Errorf("AP-REP: %w", err)
	}
	b, err := asn1.Marshal(messages.APRep{PVNO: 5, MsgType: msgtype.KRB_AP_REP, EncPart: ed})
	if err != nil {
		return fmt.Errorf("AP-REP: %w", err)
	}
	c.Reply = frame(tokenAPRep, asn1tools.AddASNAppTag(b, asnAppTag.APREP))
	c.key, c.acceptorKey, c.send = sub, true, uint64(seq)
	return nil
}

// Token identifiers of RFC 4121, section 4.1.
const (
	tokenAPReq = 0x0100
	tokenAPRep = 0x0200
)

// OID is the Kerberos V5 mechanism (RFC 4121, section 4.1) in DER.
var oid = []byte{6, 9, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x12, 1, 2, 2}

func frame(id uint16, body []byte) []byte {
	inner := append(slices.Clone(oid), byte(id>>8), byte(id))
	return asn1tools.AddASNAppTag(append(inner, body...), 0)
}

// unframe takes the generic token framing of RFC 2743, section 3.1, off.
func unframe(token []byte, id uint16) ([]byte, error) {
	errNot := errors.New("the token is not a Kerberos token of GSS-API")
	if len(token) == 0 || token[0] != 0x60 {
		return nil, errNot
	}
	var raw asn1.RawValue
	if rest, err := asn1.Unmarshal(token, &raw); err != nil || len(rest) > 0 {
		return nil, errNot
	}
	if len(raw.Bytes) < len(oid)+2 || !slices.Equal(raw.Bytes[:len(oid)], oid) ||
		binary.BigEndian.Uint16(raw.Bytes[len(oid):]) != id {
		return nil, errNot
	}
	return raw.Bytes[len(oid)+2:], nil
}

// IsToken says whether a token is a bare Kerberos token, without SPNEGO around it.
func IsToken(token []byte) bool {
	_, err := unframe(token, tokenAPReq)
	return err == nil
}
