package winauth

import (
	"context"
	"crypto/md5" //nolint:gosec // RFC 4121 hashes channel bindings with MD5
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/iana/chksumtype"
	"github.com/jcmturner/gokrb5/v8/iana/errorcode"
	"github.com/jcmturner/gokrb5/v8/iana/flags"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
)

// KerberosOptions say what a Kerberos context is for.
type KerberosOptions struct {
	Certificate *x509.Certificate // of the TLS connection that the context is bound to; nil = no channel binding
	Raw         bool              // a bare Kerberos token instead of SPNEGO: for SASL's GSSAPI mechanism (RFC 4752)
}

// Context is the initiator's side of a Kerberos security context (RFC 4121) for one
// connection. It is not for several goroutines at once.
type Context struct {
	account *Account
	spn     string
	token   []byte
	raw     bool

	session types.EncryptionKey // the ticket's
	at      time.Time           // of the authenticator, which the server repeats
	key     types.EncryptionKey // for messages: the server's subkey, or ours
	subkey  bool                // it is the server's
	ready   bool                // Accept came to an end
	send    uint64              // sequence number of the next message
	receive uint64
}

// Flags of the authenticator's checksum (RFC 4121, section 4.1.1.1).
const (
	flagMutual   = 2
	flagReplay   = 4
	flagSequence = 8
	flagConf     = 16
	flagInteg    = 32
)

// Kerberos makes a context for the service principal name spn, e.g.
// "HTTP/exch01.corp.test": it gets a ticket from the domain, signing in with the
// password or with the credential cache. Tickets are kept for later contexts.
//
// Errors: *NoKDCError, *UnknownSPNError, *ClockSkewError, *WrongPasswordError,
// *LockedError, *UnknownUserError, *TicketError, *AddressError, *KerberosError,
// *ProtocolError.
func (a *Account) Kerberos(ctx context.Context, spn string, o KerberosOptions) (*Context, error) {
	class, host, ok := strings.Cut(spn, "/")
	if !ok || class == "" || host == "" {
		return nil, fmt.Errorf("%q is no service principal name", clean(spn))
	}
	if net.ParseIP(strings.Trim(host, "[]")) != nil {
		return nil, &AddressError{Server: host}
	}
	if !a.HasPassword() && a.o.Cache == "" {
		return nil, &NoMethodError{Account: a.o.Name, Protocol: "Kerberos", NoPassword: true}
	}
	t, err := a.ticketFor(ctx, spn)
	if err != nil {
		return nil, err
	}
	c := &Context{account: a, spn: spn, raw: o.Raw, session: t.key}
	if err := c.start(t, o); err != nil {
		return nil, err
	}
	return c, nil
}

// start makes the token: an AP-REQ (RFC 4121, section 4.1).
func (c *Context) start(t *ticket, o KerberosOptions) error {
	a := c.account
	et, err := crypto.GetEtype(t.key.KeyType)
	if err != nil {
		return a.broken(c.spn, err)
	}
	random := make([]byte, et.GetKeyByteSize()+4)
	if _, err := io.ReadFull(a.o.Rand, random); err != nil {
		return fmt.Errorf("read random bytes: %w", err)
	}
	c.key = types.EncryptionKey{KeyType: t.key.KeyType, KeyValue: random[4:]}
	// Two bits stay free: servers of old take the number for a signed one.
	c.send = uint64(binary.BigEndian.Uint32(random) & 0x3fffffff)

	sum := make([]byte, 24)
	binary.LittleEndian.PutUint32(sum, 16)
	if o.Certificate != nil {
		binding := bindingHash(o.Certificate)
		copy(sum[4:], binding[:])
	}
	binary.LittleEndian.PutUint32(sum[20:], flagMutual|flagReplay|flagSequence|flagConf|flagInteg)

	auth := a.authenticator(t)
	auth.Cksum = types.Checksum{CksumType: chksumtype.GSSAPI, Checksum: sum}
	auth.SubKey, auth.SeqNumber = c.key, int64(c.send)
	c.at = auth.CTime.Add(time.Duration(auth.Cusec) * time.Microsecond)

	request, err := messages.NewAPReq(t.Ticket, t.key, auth)
	if err != nil {
		return fmt.Errorf("write a Kerberos token: %w", err)
	}
	types.SetFlag(&request.APOptions, flags.APOptionMutualRequired)
	b, err := request.Marshal()
	if err != nil {
		return fmt.Errorf("write a Kerberos token: %w", err)
	}
	if c.token, err = kerberosToken(tokenAPReq, b); err == nil && !c.raw {
		c.token, err = negotiationStart(c.token)
	}
	if err != nil {
		return fmt.Errorf("write a Kerberos token: %w", err)
	}
	return nil
}

// Token is what the server gets first. It asks for mutual authentication.
func (c *Context) Token() []byte { return c.token }

// Accept takes the server's answer to Token: it proves that the server is the one
// the ticket is for. Errors: *TicketRefusedError, *ClockSkewError, *ProtocolError.
func (c *Context) Accept(reply []byte) error {
	if c.ready {
		return c.bad(errors.New("a second answer to the sign-in"))
	}
	token := reply
	if !c.raw {
		n, err := parseNegotiation(reply)
		switch {
		case err != nil:
			return c.bad(err)
		case n.state == negotiationRejected && len(n.token) == 0:
			return &TicketRefusedError{Server: c.host(), SPN: c.spn}
		case n.mech != nil && !n.mech.Equal(oidKerberos()) && !n.mech.Equal(oidMSKerberos()):
			return &TicketRefusedError{Server: c.host(), SPN: c.spn, Err: errors.New("it wants another mechanism than Kerberos, " + n.mech.String())}
		}
		token = n.token
	}
	kind, message, err := parseKerberosToken(token)
	if err != nil {
		return c.bad(err)
	}
	switch kind {
	case tokenError:
		e := errorOf(message)
		if e == nil {
			return c.bad(errors.New("not a Kerberos error message"))
		}
		// Only a KDC can tell that a password is wrong.
		if e.ErrorCode == errorcode.KRB_AP_ERR_SKEW {
			return c.account.refusal(e, c.host(), c.spn)
		}
		return &TicketRefusedError{Server: c.host(), SPN: c.spn, Err: &KerberosError{Code: e.ErrorCode, Name: codeName(e.ErrorCode), Server: c.host(), Text: clean(e.EText)}}
	case tokenAPRep:
	default:
		return c.bad(fmt.Errorf("a token of kind %04x", kind))
	}
	var rep messages.APRep
	if err := rep.Unmarshal(message); err != nil {
		return c.bad(err)
	}
	plain, err := open(rep.EncPart, c.session, keyusage.AP_REP_ENCPART)
	if err != nil {
		return c.bad(err)
	}
	var part messages.EncAPRepPart
	if err := part.Unmarshal(plain); err != nil {
		return c.bad(err)
	}
	if !part.CTime.Add(time.Duration(part.Cusec) * time.Microsecond).Equal(c.at) {
		return c.bad(errors.New("the answer is for another request"))
	}
	if len(part.Subkey.KeyValue) > 0 {
		if !validKey(part.Subkey) {
			return c.bad(fmt.Errorf("a key of type %d", part.Subkey.KeyType))
		}
		c.key, c.subkey = part.Subkey, true
	}
	// Some write the number as a signed one.
	c.receive = uint64(uint32(part.SequenceNumber))
	c.ready = true
	return nil
}

func (c *Context) host() string {
	_, host, _ := strings.Cut(c.spn, "/")
	return host
}

func (c *Context) bad(err error) error { return c.account.broken(c.host(), err) }

// bindingHash is the hash of channel bindings that have application data alone
// (RFC 4121, section 4.1.1.2): the addresses before it are empty.
func bindingHash(cert *x509.Certificate) [16]byte {
	data := ChannelBinding(cert)
	b := make([]byte, 16, 20+len(data))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(data)))
	return md5.Sum(append(b, data...)) //nolint:gosec // as above
}
