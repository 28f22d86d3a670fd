package ldapd

import "fmt"

// saslState is a SASL GSSAPI sign-in that is under way (RFC 4752, section 3.1).
type saslState struct {
	acceptor Acceptor
	offered  bool // the security layers were told
}

const layerNone = 1 // of the security layers of RFC 4752

func (x *session) bind(b bindRequest) result {
	// A bind makes the connection anonymous until it succeeded (RFC 4513, section 4).
	x.account = ""
	if b.version != 3 {
		return result{code: resultProtocol, text: "00000057: LdapErr: DSID-0C09048A, comment: Error decoding ldap message, data 0, v4563"}
	}
	if b.sasl {
		return x.bindSASL(b)
	}
	x.sasl = nil
	if b.password == "" {
		// A name without a password is anonymous, too (RFC 4513, section 5.1.2),
		// which Active Directory takes by default.
		return result{}
	}
	if x.binding == nil {
		return strongerNeeded()
	}
	account, status := x.s.o.SignIn(x.signInName(b.name), b.password)
	x.s.counted(status == StatusOK)
	if status != StatusOK {
		return refused(status)
	}
	x.account = account
	return result{}
}

// signInName gives the sAMAccountName for the distinguished name of an account;
// every other name stays (MS-ADTS 5.1.1.1.1).
func (x *session) signInName(given string) string {
	if sam := x.s.o.Tree.Get(given, "sAMAccountName"); len(sam) > 0 {
		return sam[0]
	}
	return given
}

func strongerNeeded() result {
	return result{code: resultStrongerNeeded, text: "00002028: LdapErr: DSID-0C09023C, comment: The server requires binds to turn on integrity checking if SSL\\TLS are not already active on the connection, data 0, v4563"}
}

func refused(status Status) result {
	head := "80090308"
	if status == StatusBadBinding {
		head = "80090346"
	}
	return result{code: resultBadCredentials, text: fmt.Sprintf("%s: LdapErr: DSID-0C090446, comment: AcceptSecurityContext error, data %x, v4563", head, uint32(status))}
}

func notBound() result {
	return result{code: resultOperations, text: "000004DC: LdapErr: DSID-0C090A5C, comment: In order to perform this operation a successful bind must be completed on the connection., data 0, v4563"}
}

func (x *session) bindSASL(b bindRequest) result {
	if b.mechanism != mechanismGSSAPI || x.s.o.Kerberos == nil {
		x.sasl = nil
		return result{code: resultNoMethod, text: "00002027: LdapErr: DSID-0C090628, comment: Invalid Authentication method, data 0, v4563"}
	}
	if x.binding == nil {
		// Security layers are not simulated, so there is TLS or nothing.
		return strongerNeeded()
	}
	switch state := x.sasl; {
	case state == nil:
		a := x.s.o.Kerberos(x.binding)
		reply, err := a.Accept(b.token)
		if err != nil {
			return x.refuseSASL()
		}
		x.sasl = &saslState{acceptor: a}
		return result{code: resultSASLInProgress, token: reply, hasToken: true}
	case !state.offered:
		if len(b.token) > 0 {
			return x.refuseSASL()
		}
		// No layer, and hence no size of a buffer.
		token, err := state.acceptor.Wrap([]byte{layerNone, 0, 0, 0})
		if err != nil {
			return x.refuseSASL()
		}
		state.offered = true
		return result{code: resultSASLInProgress, token: token, hasToken: true}
	default:
		choice, err := state.acceptor.Unwrap(b.token)
		if err != nil || len(choice) < 4 || choice[0] != layerNone || choice[1] != 0 || choice[2] != 0 || choice[3] != 0 {
			return x.refuseSASL()
		}
		x.sasl = nil
		x.s.counted(true)
		x.account = state.acceptor.Principal()
		if x.s.o.Account != nil {
			x.account = x.s.o.Account(x.account)
		}
		return result{}
	}
}

func (x *session) refuseSASL() result {
	x.sasl = nil
	x.s.counted(false)
	return refused(StatusBadBinding)
}
