package directory

import (
	"errors"
	"fmt"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/c2conn/c2conn/internal/transport"
)

// Error is a refusal by a domain controller, or an answer that is not LDAP.
type Error struct {
	Op     string // e.g. "read the UPN suffixes"
	Server string // host:port
	Code   int    // result code of RFC 4511, appendix A; 0 when no answer came
	Text   string // the server's diagnostic text, cleaned
	Err    error  // of the network or of the protocol; nil with a Code
}

func (e *Error) Error() string {
	s := e.Op + " at " + clean(e.Server) + ": "
	if e.Code == 0 {
		return s + transport.CleanText(fmt.Sprint(e.Err), 500)
	}
	s += fmt.Sprintf("LDAP result %d", e.Code)
	if name := ldap.LDAPResultCodeMap[uint16(e.Code)]; name != "" {
		s += " (" + name + ")"
	}
	if e.Text != "" {
		s += ": " + e.Text
	}
	return s
}

// Unwrap returns what the network or the protocol said.
func (e *Error) Unwrap() error { return e.Err }

// Attempt is one try to reach a domain controller.
type Attempt struct {
	Server string // host:port
	Method string // "LDAPS" or "StartTLS"
	Err    error
}

// UnreachableError is a domain without a domain controller that can be used: none
// is found, none answers, or none is trusted. Its Unwrap gives the errors of all
// attempts, so that errors.As finds a *winauth.UntrustedError among them.
type UnreachableError struct {
	Domain string
	Tried  []Attempt // none: DNS names no domain controller
	Err    error     // of DNS
}

func (e *UnreachableError) Error() string {
	d := clean(e.Domain)
	if len(e.Tried) == 0 {
		s := "DNS names no domain controller of " + d + " (SRV record _ldap._tcp.dc._msdcs." + d + ")"
		if e.Err != nil {
			s += ": " + transport.CleanText(e.Err.Error(), 500)
		}
		return s
	}
	var tried []string
	for _, a := range e.Tried {
		tried = append(tried, clean(a.Server)+" ("+a.Method+"): "+transport.CleanText(fmt.Sprint(a.Err), 500))
	}
	if d == "" {
		return "no domain controller can be used: " + strings.Join(tried, "; ")
	}
	return "no domain controller of " + d + " can be used: " + strings.Join(tried, "; ")
}

// Unwrap returns the errors of all attempts.
func (e *UnreachableError) Unwrap() []error {
	var all []error
	if e.Err != nil {
		all = append(all, e.Err)
	}
	for _, a := range e.Tried {
		all = append(all, a.Err)
	}
	return all
}

// OutsideError is a domain controller that DNS names but that is no host of the
// domain. It gets no credentials: whoever forges DNS must not choose who does.
// Where the names are meant, the server can be given in Options.Servers.
type OutsideError struct{ Domain, Host string }

func (e *OutsideError) Error() string {
	return "DNS names " + clean(e.Host) + " as domain controller, which is no host of " + clean(e.Domain) + ": it gets no credentials unless the server is given by name"
}

// NotFoundError is an account that the domain does not have.
type NotFoundError struct{ Name, Domain string }

func (e *NotFoundError) Error() string {
	return "the domain " + clean(e.Domain) + " has no account " + clean(e.Name)
}

var (
	errTooMuch = errors.New("the server sent more than is taken from it")
	errClosed  = errors.New("directory: the client is closed")
)

// wrap turns an error of go-ldap into ours.
func wrap(op, server string, err error) error {
	if err == nil {
		return nil
	}
	e := &Error{Op: op, Server: server, Err: err}
	var l *ldap.Error
	if errors.As(err, &l) {
		switch {
		case l.ResultCode > 0 && l.ResultCode < ldap.ErrorNetwork:
			e.Code, e.Text, e.Err = int(l.ResultCode), diagnostic(l), nil
		case l.Err != nil:
			e.Err = l.Err
		}
	}
	return e
}

// answered reports whether an error is the server's answer; after any other one the
// connection is good for nothing more.
func answered(err error) bool {
	var ours *Error
	var l *ldap.Error
	switch {
	case errors.As(err, &ours):
		return ours.Code != 0
	case errors.As(err, &l):
		return l.ResultCode < ldap.ErrorNetwork
	}
	return false
}

// diagnostic is the text that the server sent along.
func diagnostic(l *ldap.Error) string {
	if l.Err == nil {
		return ""
	}
	return transport.CleanText(l.Err.Error(), 500)
}

func clean(s string) string { return transport.CleanText(s, 256) }
