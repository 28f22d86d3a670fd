// Package ntlm is the server side of NTLM as a member of a domain has it
// (MS-NLMP): NTLMv2 only, with message integrity and channel bindings.
package ntlm

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/rc4" //nolint:gosec // NTLM seals its session key with it (MS-NLMP 3.1.5.1.2)
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/c2conn/c2conn/internal/sim/onprem/account"
	"github.com/c2conn/c2conn/internal/sim/onprem/binding"
)

// lifetime is how far the client's time may be off (MS-NLMP 3.1.1.1, MaxLifetime;
// Windows' value is 36 hours).
const lifetime = 36 * time.Hour

// Errors of a sign-in that the password has nothing to do with.
var (
	ErrMIC       = errors.New("the message integrity code is wrong")
	ErrNTLMv1    = errors.New("the client answered with NTLMv1 or LM; only NTLMv2 is taken")
	ErrAnonymous = errors.New("anonymous sign-in is not taken")
	ErrOld       = errors.New("the client's time is more than 36 hours off")
	ErrTarget    = errors.New("the client meant another service")
)

// AcceptorOptions are what NewAcceptor needs.
type AcceptorOptions struct {
	Directory          *account.Directory
	Host               string   // NetBIOS name of the server
	SPNs               []string // what clients may mean, e.g. "HTTP/exch01.corp.test"
	ExtendedProtection binding.Mode
	Now                func() time.Time // nil means time.Now
	Rand               io.Reader        // nil means crypto/rand
}

// Acceptor makes challenges and checks the answers. It is safe for use by several
// goroutines.
type Acceptor struct{ o AcceptorOptions }

// NewAcceptor makes an acceptor for a server of the domain.
func NewAcceptor(o AcceptorOptions) *Acceptor {
	if o.Now == nil {
		o.Now = time.Now //nolint:forbidigo // where no clock is given
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	return &Acceptor{o: o}
}

// Exchange is one sign-in that has been begun. It is good for one answer.
type Exchange struct {
	a         *Acceptor
	first     []byte
	challenge [8]byte
	answered  bool
	// Message is the CHALLENGE message for the client.
	Message []byte
}

// Challenge takes a NEGOTIATE message and begins a sign-in (MS-NLMP 3.2.5.1.1).
func (a *Acceptor) Challenge(negotiate []byte) (*Exchange, error) {
	if messageType(negotiate) != 1 || len(negotiate) < 16 {
		return nil, errMessage
	}
	asked := binary.LittleEndian.Uint32(negotiate[12:])
	// Unicode wins; a client that knows neither cannot be spoken to.
	charset := flagUnicode
	if asked&flagUnicode == 0 {
		charset = flagOEM
	}
	// Who offers extended session security need not offer NTLM as well: Windows takes
	// the message of the ntlm-auth package for Python, which does not.
	if asked&charset == 0 || asked&(flagNTLM|flagExtended) == 0 {
		return nil, errors.New("the client offers no character set, or not NTLM")
	}
	x := &Exchange{a: a, first: bytes.Clone(negotiate)}
	if _, err := io.ReadFull(a.o.Rand, x.challenge[:]); err != nil {
		return nil, fmt.Errorf("challenge: %w", err)
	}
	flags := asked&(charset|flagSign|flagSeal|flagNTLM|flagAlwaysSign|flagExtended|flagVersion|flag128|flagKeyExchange|flag56) |
		flagTargetInfo | flagNTLM
	var name []byte
	if asked&flagRequestTarget != 0 {
		flags |= flagRequestTarget | flagDomain
		name = []byte(a.o.Directory.NetBIOS())
		if charset == flagUnicode {
			name = toUTF16(a.o.Directory.NetBIOS())
		}
	}
	info := a.targetInfo()
	const fixed = 56
	b := append([]byte(signature), 2, 0, 0, 0)
	b = appendField(b, name, fixed)
	b = binary.LittleEndian.AppendUint32(b, flags)
	b = append(b, x.challenge[:]...)
	b = append(b, make([]byte, 8)...)
	b = appendField(b, info, fixed+len(name))
	// Windows Server 2022, NTLMSSP_REVISION_W2K3 (MS-NLMP 2.2.2.10).
	b = append(b, 10, 0, 0x7C, 0x4F, 0, 0, 0, 15)
	x.Message = append(append(b, name...), info...)
	return x, nil
}

func (a *Acceptor) targetInfo() []byte {
	d := a.o.Directory
	var b []byte
	b = appendPair(b, avNbDomainName, toUTF16(d.NetBIOS()))
	b = appendPair(b, avNbComputerName, toUTF16(strings.ToUpper(a.o.Host)))
	b = appendPair(b, avDNSDomainName, toUTF16(d.Domain()))
	b = appendPair(b, avDNSComputerName, toUTF16(strings.ToLower(a.o.Host)+"."+d.Domain()))
	b = appendPair(b, avDNSTreeName, toUTF16(d.Domain()))
	b = appendPair(b, avTimestamp, binary.LittleEndian.AppendUint64(nil, fileTime(a.o.Now())))
	return appendPair(b, avEOL, nil)
}

func appendField(b, value []byte, at int) []byte {
	b = binary.LittleEndian.AppendUint16(b, uint16(len(value)))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(value)))
	return binary.LittleEndian.AppendUint32(b, uint32(at))
}

// Authenticate takes the AUTHENTICATE message that answers Message and decides
// (MS-NLMP 3.2.5.1.2). bindings are the channel's own (binding.EndPoint), nil for one
// that has none. Every message that is well-formed counts as one sign-in. The error is
// an *account.RefusedError, except for malformed messages.
func (x *Exchange) Authenticate(message, bindings []byte) (*Session, error) {
	if x.answered {
		return nil, errors.New("the challenge has been answered already")
	}
	x.answered = true
	a, err := parseAuthenticate(message)
	if err != nil {
		return nil, err
	}
	d := x.a.o.Directory
	name := a.user
	if a.domain != "" {
		name = a.domain + `\` + a.user
	}
	refuse := func(err error) (*Session, error) { return nil, d.Refuse(account.NTLM, name, account.Other, err) }
	switch {
	case a.flags&flagAnonymous != 0, a.user == "", len(a.nt) == 0:
		return refuse(ErrAnonymous)
	case len(a.nt) <= 24: // NTLMv1 has 24 bytes (MS-NLMP 2.2.2.6)
		return refuse(ErrNTLMv1)
	}
	proof, blob := a.nt[:16], a.nt[16:]
	client, err := parseClientChallenge(blob)
	if err != nil {
		return nil, err
	}
	if age := signed(fileTime(x.a.o.Now()) - client.time); age > lifetime || age < -lifetime {
		return refuse(ErrOld)
	}
	s := &Session{flags: a.flags}
	s.User, err = d.SignIn(account.NTLM, name, func(k account.Keys) error {
		v2 := mac(k.NTHash(), toUTF16(strings.ToUpper(a.user)), toUTF16(a.domain)) // NTOWFv2
		if !hmac.Equal(mac(v2, x.challenge[:], blob), proof) {
			return account.ErrWrongPassword
		}
		s.key = mac(v2, proof) // SessionBaseKey, which NTLMv2 takes for KeyExchangeKey
		if a.flags&flagKeyExchange != 0 {
			if len(a.sessionKey) != 16 {
				return errMessage
			}
			s.key = rc4Of(s.key, a.sessionKey)
		}
		if err := x.checkMIC(client, s.key, message); err != nil {
			return err
		}
		return x.checkChannel(client, bindings)
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// checkChannel looks at the channel binding; where there is no channel, at the
// service the client meant (MsvAvTargetName), as IIS does with Extended Protection
// on plain http.
func (x *Exchange) checkChannel(client *clientChallenge, bindings []byte) error {
	if bindings != nil {
		return x.a.o.ExtendedProtection.Check(bindings, client.pairs[avChannelBindings])
	}
	name, err := fromUTF16(client.pairs[avTargetName])
	switch {
	case err != nil:
		return errMessage
	case x.a.o.ExtendedProtection == binding.None,
		name == "" && x.a.o.ExtendedProtection == binding.Allow,
		slices.ContainsFunc(x.a.o.SPNs, func(spn string) bool { return strings.EqualFold(spn, name) }):
		return nil
	}
	return ErrTarget
}

func (x *Exchange) checkMIC(client *clientChallenge, key, message []byte) error {
	if client.flags()&avFlagMIC == 0 {
		return nil
	}
	if len(message) < micOffset+16 {
		return ErrMIC
	}
	zeroed := bytes.Clone(message)
	clear(zeroed[micOffset : micOffset+16])
	if !hmac.Equal(mac(key, x.first, x.Message, zeroed), message[micOffset:micOffset+16]) {
		return ErrMIC
	}
	return nil
}

func mac(key []byte, parts ...[]byte) []byte {
	h := hmac.New(md5.New, key)
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

func rc4Of(key, data []byte) []byte {
	c, err := rc4.NewCipher(key)
	if err != nil {
		panic(err) // the key always has 16 bytes
	}
	out := make([]byte, len(data))
	c.XORKeyStream(out, data)
	return out
}

// fileTime is a time in units of 100 ns since 1601-01-01 (MS-DTYP 2.3.3).
func fileTime(t time.Time) uint64 {
	return uint64(t.Unix()+11_644_473_600)*10_000_000 + uint64(t.Nanosecond()/100)
}

// signed is a difference of file times; one that fits no Duration becomes the longest.
func signed(d uint64) time.Duration {
	const longest = uint64(1<<63-1) / 100
	switch v := int64(d); {
	case v > int64(longest):
		return 1<<63 - 1
	case v < -int64(longest):
		return -1 << 63
	default:
		return time.Duration(v) * 100
	}
}
