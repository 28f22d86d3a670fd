// Package spnego is the accepting side of the negotiation of Windows (RFC 4178,
// MS-SPNG): it takes Kerberos or NTLM, in SPNEGO or bare, as IIS does.
package spnego

import (
	"encoding/asn1"
	"errors"
	"slices"

	"github.com/c2conn/c2conn/internal/sim/onprem/account"
	"github.com/c2conn/c2conn/internal/sim/onprem/krb"
	"github.com/c2conn/c2conn/internal/sim/onprem/ntlm"
)

// Mechanisms by object identifier (RFC 4178, RFC 4121, MS-SPNG 1.9).
const (
	oidSPNEGO = "1.3.6.1.5.5.2"
	oidKRB5   = "1.2.840.113554.1.2.2"
	oidMSKRB5 = "1.2.840.48018.1.2.2" // what Windows 2000 made of it; clients still name it first
	oidNTLM   = "1.3.6.1.4.1.311.2.2.10"
)

// States of a NegTokenResp (RFC 4178, section 4.2.2).
const (
	acceptCompleted  = 0
	acceptIncomplete = 1
	requestMIC       = 3
)

// Errors of a negotiation.
var (
	ErrNoMechanism = errors.New("the client offers no mechanism that is taken here")
	ErrMIC         = errors.New("the list of mechanisms is not signed, or not as it was sent")
	errOrder       = errors.New("the token does not fit the state of the negotiation")
)

// Acceptor is what a server takes. A nil mechanism is not taken.
type Acceptor struct {
	Kerberos *krb.Acceptor
	NTLM     *ntlm.Acceptor
}

// Result is a finished sign-in.
type Result struct {
	User      account.User
	Mechanism account.Protocol
	Kerberos  *krb.Context // nil for NTLM
}

// Exchange is one negotiation. It ends with the first error.
type Exchange struct {
	a        Acceptor
	bindings []byte

	begun    bool
	bare     bool   // no SPNEGO around the tokens
	mech     string // that was agreed upon
	list     []byte // mechanisms in DER, as the client sent them
	needMIC  bool   // the client's first choice was not taken
	ntlm     *ntlm.Exchange
	waiting  *Result // complete but for the client's MIC
	verify   func(message, mic []byte) error
	finished bool
}

// Begin begins a negotiation over a channel with these bindings (binding.EndPoint;
// nil for a channel that has none).
func (a Acceptor) Begin(bindings []byte) *Exchange { return &Exchange{a: a, bindings: bindings} }

// Step takes the client's next token. reply is for the client, nil when there is
// nothing to send. done is nil until the client has signed in.
func (x *Exchange) Step(token []byte) (reply []byte, done *Result, err error) {
	if x.finished {
		return nil, nil, errOrder
	}
	defer func() { x.finished = done != nil || err != nil }()
	switch {
	case !x.begun:
		x.begun = true
		return x.first(token)
	case x.bare:
		reply, done, _, err := x.step(token)
		return reply, done, err
	}
	t, err := parseResp(token)
	if err != nil {
		return nil, nil, err
	}
	if x.waiting != nil {
		if err := x.verify(x.list, t.mic); t.mic == nil || err != nil {
			return nil, nil, ErrMIC
		}
		return respToken{state: acceptCompleted}.marshal(), x.waiting, nil
	}
	return x.wrapped(t.token, t.mic, nil)
}

func (x *Exchange) first(token []byte) ([]byte, *Result, error) {
	if ntlm.IsMessage(token) {
		x.bare, x.mech = true, oidNTLM
	} else if krb.IsToken(token) {
		x.bare, x.mech = true, oidKRB5
	}
	if x.bare {
		if !x.takes(x.mech) {
			return nil, nil, ErrNoMechanism
		}
		reply, done, _, err := x.step(token)
		return reply, done, err
	}
	t, err := parseInit(token)
	if err != nil {
		return nil, nil, err
	}
	i := slices.IndexFunc(t.mechs, x.takes)
	if i < 0 {
		return nil, nil, ErrNoMechanism
	}
	x.mech, x.list = t.mechs[i], slices.Clone(t.list)
	mech := object(x.mech)
	if i > 0 {
		// The token is for a mechanism that is not taken here. What was agreed upon
		// instead must be signed, or somebody in the middle could have chosen it.
		x.needMIC = true
		return respToken{state: requestMIC, mech: mech}.marshal(), nil, nil
	}
	if t.token == nil {
		return respToken{state: acceptIncomplete, mech: mech}.marshal(), nil, nil
	}
	return x.wrapped(t.token, t.mic, mech)
}

func (x *Exchange) takes(mech string) bool {
	switch mech {
	case oidKRB5, oidMSKRB5:
		return x.a.Kerberos != nil
	case oidNTLM:
		return x.a.NTLM != nil
	}
	return false
}

// wrapped does a step of the mechanism within SPNEGO.
func (x *Exchange) wrapped(token, mic []byte, mech asn1.ObjectIdentifier) ([]byte, *Result, error) {
	reply, done, signer, err := x.step(token)
	if err != nil {
		return nil, nil, err
	}
	t := respToken{state: acceptIncomplete, mech: mech, token: reply}
	if done == nil {
		return t.marshal(), nil, nil
	}
	if mic != nil {
		if err := signer.VerifyMIC(x.list, mic); err != nil {
			return nil, nil, ErrMIC
		}
	}
	if mic != nil || x.needMIC {
		if t.mic, err = signer.MIC(x.list); err != nil {
			return nil, nil, err
		}
	}
	if mic == nil && x.needMIC {
		x.waiting, x.verify = done, signer.VerifyMIC
		return t.marshal(), nil, nil
	}
	t.state = acceptCompleted
	return t.marshal(), done, nil
}

type signer interface {
	MIC(message []byte) ([]byte, error)
	VerifyMIC(message, mic []byte) error
}

// step does a step of the mechanism.
func (x *Exchange) step(token []byte) ([]byte, *Result, signer, error) {
	if x.mech != oidNTLM {
		c, err := x.a.Kerberos.Accept(token, x.bindings)
		if err != nil {
			return nil, nil, nil, err
		}
		return c.Reply, &Result{User: c.User, Mechanism: account.Kerberos, Kerberos: c}, c, nil
	}
	if x.ntlm == nil {
		e, err := x.a.NTLM.Challenge(token)
		if err != nil {
			return nil, nil, nil, err
		}
		x.ntlm = e
		return e.Message, nil, nil, nil
	}
	s, err := x.ntlm.Authenticate(token, x.bindings)
	if err != nil {
		return nil, nil, nil, err
	}
	return nil, &Result{User: s.User, Mechanism: account.NTLM}, s, nil
}

func object(mech string) asn1.ObjectIdentifier {
	switch mech {
	case oidKRB5:
		return asn1.ObjectIdentifier{1, 2, 840, 113554, 1, 2, 2}
	case oidMSKRB5:
		return asn1.ObjectIdentifier{1, 2, 840, 48018, 1, 2, 2}
	}
	return asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 2, 10}
}

// Initial says whether a token begins a negotiation: a bare NEGOTIATE message of
// NTLM, or a token in the framing of RFC 2743, section 3.1.
func Initial(token []byte) bool {
	return ntlm.IsNegotiate(token) || len(token) > 0 && token[0] == 0x60
}
