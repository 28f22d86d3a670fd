package winauth

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/c2conn/c2conn/internal/transport"
)

// WrongPasswordError is the definite answer that the password is wrong. No further
// sign-in is tried with it.
type WrongPasswordError struct {
	Account  string
	Protocol string // "Kerberos", "NTLM", "Basic", "LDAP"; "" = the one given to Try
	Server   string // who said so: host, or realm
	Err      error  // what it said; may be nil
}

func (e *WrongPasswordError) Error() string {
	s := "the password of " + clean(e.Account) + " is wrong"
	if e.Server != "" {
		s += " (" + clean(e.Server) + " refused it"
		if e.Protocol != "" {
			s += ", " + e.Protocol
		}
		s += ")"
	}
	return s
}

// Unwrap returns what the server said.
func (e *WrongPasswordError) Unwrap() error { return e.Err }

// UnsureError is a sign-in that was sent and to which no answer came: the password may
// have been taken, or counted as a wrong one. After the second one no further sign-in is
// tried while the password is unproven.
type UnsureError struct{ Err error }

func (e *UnsureError) Error() string { return e.Err.Error() }

// Unwrap returns what kept the answer away.
func (e *UnsureError) Unwrap() error { return e.Err }

// Reason says why an account may not sign in although it exists.
type Reason string

// The reasons of a LockedError.
const (
	ReasonLocked      Reason = "locked"       // too many wrong passwords
	ReasonDisabled    Reason = "disabled"     // by an administrator
	ReasonExpired     Reason = "expired"      // the account's own end date
	ReasonPassword    Reason = "password-old" // the password expired
	ReasonMustChange  Reason = "must-change"  // the user must set another password first
	ReasonHours       Reason = "hours"        // not at this time of the day
	ReasonWorkstation Reason = "workstation"  // not from this computer
	ReasonRevoked     Reason = "revoked"      // locked, disabled or expired: the KDC does not say which
)

// LockedError is an account that may not sign in whatever the password is.
type LockedError struct {
	Account string
	Reason  Reason
	Server  string
	Err     error
}

func (e *LockedError) Error() string {
	s := "the account " + clean(e.Account) + " "
	switch e.Reason {
	case ReasonLocked:
		s += "is locked out after too many wrong passwords"
	case ReasonDisabled:
		s += "is disabled"
	case ReasonExpired:
		s += "has expired"
	case ReasonPassword:
		s += "cannot sign in: its password has expired"
	case ReasonMustChange:
		s += "cannot sign in: its password must be changed first"
	case ReasonHours:
		s += "may not sign in at this time"
	case ReasonWorkstation:
		s += "may not sign in from this computer"
	default:
		s += "is locked out, disabled or expired"
	}
	return s
}

// Unwrap returns what the server said.
func (e *LockedError) Unwrap() error { return e.Err }

// UnknownUserError is a name that the domain does not know.
type UnknownUserError struct {
	Account string
	Domain  string // the domain or realm that was asked
}

func (e *UnknownUserError) Error() string {
	return "the domain " + clean(e.Domain) + " knows no account " + clean(e.Account)
}

// NoKDCError is a domain without a domain controller that answers Kerberos
// requests: none is found in DNS, or none can be reached.
type NoKDCError struct {
	Domain string
	Tried  []string // host:port, in the order they were tried; none = DNS names none
	Err    error
}

func (e *NoKDCError) Error() string {
	d := clean(e.Domain)
	switch {
	case d == "":
		return "no Active Directory domain is known to ask for Kerberos tickets"
	case len(e.Tried) == 0:
		return "DNS names no domain controller of " + d + " (SRV record _kerberos._tcp." + d + ")" + because(e.Err)
	}
	return "no domain controller of " + d + " answers Kerberos requests (tried " + clean(strings.Join(e.Tried, ", ")) + ")" + because(e.Err)
}

// Unwrap returns the last failure.
func (e *NoKDCError) Unwrap() error { return e.Err }

// ClockSkewError is a clock that is too far from the server's; Kerberos allows 5 minutes.
type ClockSkewError struct {
	Server string    // KDC's realm, or host
	Here   time.Time // this computer's clock when it asked
	There  time.Time // the server's clock when it answered
}

func (e *ClockSkewError) Error() string {
	const form = "2006-01-02 15:04:05 MST"
	return fmt.Sprintf("the clock of this computer (%s) differs by %s from that of %s (%s); Kerberos allows 5 minutes",
		e.Here.UTC().Format(form), e.There.Sub(e.Here).Abs().Round(time.Second), clean(e.Server), e.There.UTC().Format(form))
}

// UnknownSPNError is a service principal name that no account of the domain has.
// For a load-balanced name of Exchange, an alternate service account must hold it:
// learn.microsoft.com/exchange/architecture/client-access/kerberos-auth-for-load-balanced-client-access.
type UnknownSPNError struct {
	SPN    string
	Domain string
}

func (e *UnknownSPNError) Error() string {
	return "the domain " + clean(e.Domain) + " knows no service " + clean(e.SPN) +
		": no account has that service principal name"
}

// TicketError is a credential cache that gives no usable ticket.
type TicketError struct {
	Cache string    // its path
	Until time.Time // the ticket was valid until then; zero when that is not the reason
	Err   error     // nil when Until is set
}

func (e *TicketError) Error() string {
	if !e.Until.IsZero() {
		return "the Kerberos ticket in " + e.Cache + " was valid until " + e.Until.Local().Format("2006-01-02 15:04 MST") + ": run kinit to get another"
	}
	return "the Kerberos credential cache " + e.Cache + " cannot be used" + because(e.Err)
}

// Unwrap returns the cause.
func (e *TicketError) Unwrap() error { return e.Err }

// KerberosError is a refusal by a KDC or a server that has no type of its own here.
type KerberosError struct {
	Code   int32  // RFC 4120, section 7.5.9
	Name   string // of the code, e.g. KDC_ERR_ETYPE_NOSUPP
	Server string // realm or host
	Text   string // what it says besides, cleaned
}

func (e *KerberosError) Error() string {
	s := fmt.Sprintf("%s answered with Kerberos error %d", clean(e.Server), e.Code)
	if e.Name != "" {
		s += " (" + e.Name + ")"
	}
	if e.Text != "" {
		s += ": " + e.Text
	}
	return s
}

// ProtocolError is an answer of a server that breaks the rules of its protocol.
type ProtocolError struct {
	Protocol string // "Kerberos", "NTLM", "SPNEGO", "HTTP"
	Server   string
	Err      error
}

func (e *ProtocolError) Error() string {
	s := "not a valid " + e.Protocol + " answer"
	if e.Server != "" {
		s = clean(e.Server) + " gave " + strings.Replace(s, "not a", "no", 1)
	}
	return s + because(e.Err)
}

// Unwrap returns what is wrong with it.
func (e *ProtocolError) Unwrap() error { return e.Err }

// RefusedError is a sign-in that the server refused although the password is right
// (Proven), or although there was no password (a credential cache). Usual reasons:
// Extended Protection demands a channel binding that a proxy in front of the server
// breaks, the account lacks the right to sign in there, or the service principal
// name belongs to another account.
type RefusedError struct {
	Account string
	Server  string
	Method  Method // the last one tried
	Proven  bool   // the password is known to be right
	Taken   bool   // the server took the Kerberos ticket, and proved who it is: it refuses what was asked for
	Status  int    // of the HTTP answer
	Err     error  // why Kerberos was not taken or refused; may be nil
}

func (e *RefusedError) Error() string {
	s := clean(e.Server) + " refused " + clean(e.Account) + " (" + string(e.Method) + ")"
	if e.Proven {
		s += " although the password is right"
	}
	return s + because(e.Err)
}

// Unwrap returns why Kerberos was not possible.
func (e *RefusedError) Unwrap() error { return e.Err }

// NoMethodError is a server that offers no way to sign in which may be used.
type NoMethodError struct {
	Account    string
	Server     string   // host:port
	Protocol   string   // what was tried, when it is not HTTP
	Offered    []string // schemes of WWW-Authenticate, e.g. "Bearer"; nil = none
	NoPassword bool     // there is only a credential cache, but a password is needed

	// KerberosOnly says that Negotiate takes no NTLM there, as IIS with its provider
	// Negotiate:Kerberos (learn.microsoft.com/iis/configuration/system.webserver/security/authentication/windowsauthentication/providers).
	KerberosOnly bool

	Err error // why Kerberos is not possible; may be nil
}

func (e *NoMethodError) Error() string {
	switch {
	case e.NoPassword && e.Server == "":
		return "a sign-in with " + e.Protocol + " needs the password of " + clean(e.Account)
	case len(e.Offered) == 0:
		return clean(e.Server) + " wants a sign-in but offers no way to do it"
	case e.KerberosOnly:
		return clean(e.Server) + " takes Kerberos only, and Kerberos failed" + because(e.Err)
	case e.NoPassword:
		return clean(e.Server) + " wants the password of " + clean(e.Account) + " (it offers " + clean(strings.Join(e.Offered, ", ")) + "), but there is only a Kerberos ticket" + because(e.Err)
	}
	return clean(e.Server) + " offers no way to sign in that may be used (it offers " + clean(strings.Join(e.Offered, ", ")) + ")" + because(e.Err)
}

// Unwrap returns why Kerberos is not possible.
func (e *NoMethodError) Unwrap() error { return e.Err }

// PlainError is a request over plain http that asks for credentials. None are sent,
// unless a Kerberos ticket was allowed to be (see Err).
type PlainError struct {
	Server  string
	Offered []string // schemes of WWW-Authenticate, e.g. "NTLM"
	NTLM    bool     // NTLM would be possible, but HTTPOptions.PlainNTLM does not allow it
	Err     error    // why Kerberos, which was allowed, is not possible; may be nil
}

func (e *PlainError) Error() string {
	s := clean(e.Server) + " wants a sign-in over plain http: no credentials are sent without TLS"
	if len(e.Offered) > 0 {
		s += " (it offers " + clean(strings.Join(e.Offered, ", ")) + ")"
	}
	if e.NTLM {
		s += "; NTLM over http, where everybody on the way can misuse it, must be allowed first"
	}
	return s + because(e.Err)
}

// Unwrap returns why Kerberos is not possible.
func (e *PlainError) Unwrap() error { return e.Err }

func because(err error) string {
	if err == nil {
		return ""
	}
	return ": " + transport.CleanText(err.Error(), 500)
}

func clean(s string) string { return transport.CleanText(s, 300) }

// AddressError is a server named by its IP address: Kerberos needs its name.
type AddressError struct{ Server string }

func (e *AddressError) Error() string {
	return "Kerberos needs the name of the server; " + clean(e.Server) + " is an IP address"
}

// TicketRefusedError is a server that does not take the Kerberos ticket for it. The
// usual reasons: the service principal name belongs to another account than the one
// its web server runs under, Extended Protection demands a channel binding that a
// proxy in front of it breaks, or the account may not sign in there.
type TicketRefusedError struct {
	Server string
	SPN    string
	Err    error // what it says besides; may be nil
}

func (e *TicketRefusedError) Error() string {
	return clean(e.Server) + " does not take the Kerberos ticket for " + clean(e.SPN) + because(e.Err)
}

// Unwrap returns what the server says.
func (e *TicketRefusedError) Unwrap() error { return e.Err }

// Refusal reports whether err says that a server, or a rule of ours, refused to sign in:
// sending again does not mend it.
func Refusal(err error) bool {
	var (
		wrong     *WrongPasswordError
		locked    *LockedError
		unknown   *UnknownUserError
		refused   *RefusedError
		method    *NoMethodError
		plain     *PlainError
		ticket    *TicketError
		skew      *ClockSkewError
		untrusted *UntrustedError
		changed   *PinChangedError
		protocol  *ProtocolError
		kerberos  *KerberosError
		unsure    *UnsureError
		spn       *UnknownSPNError
		dismissed *TicketRefusedError
		address   *AddressError
		kdc       *NoKDCError
	)
	for _, target := range []any{&wrong, &locked, &unknown, &refused, &method, &plain, &ticket, &skew, &untrusted, &changed, &protocol, &kerberos, &unsure, &spn, &dismissed, &address, &kdc} {
		if errors.As(err, target) {
			return true
		}
	}
	return false
}
