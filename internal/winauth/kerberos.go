package winauth

import (
	"context"
	"crypto/x509"
)

// KerberosOptions say what a Kerberos context is for.
type KerberosOptions struct {
	Certificate *x509.Certificate // of the TLS connection that the context is bound to; nil = no channel binding
	Raw         bool              // a bare Kerberos token instead of SPNEGO: for SASL's GSSAPI mechanism (RFC 4752)
}

// Context is the initiator's side of a Kerberos security context (RFC 4121) for one
// connection. It is not for several goroutines at once.
type Context struct {
	spn string
}

// Kerberos makes a context for the service principal name spn, e.g.
// "HTTP/exch01.corp.test": it gets a ticket from the domain, signing in with the
// password or with the credential cache. Tickets are kept for later contexts.
//
// Errors: *NoKDCError, *UnknownSPNError, *ClockSkewError, *WrongPasswordError,
// *LockedError, *UnknownUserError, *TicketError, *KerberosError, *ProtocolError.
func (a *Account) Kerberos(ctx context.Context, spn string, o KerberosOptions) (*Context, error) {
	return nil, &NoKDCError{}
}

// Token is what the server gets first. It asks for mutual authentication.
func (c *Context) Token() []byte { return nil }

// Accept takes the server's answer to Token: it proves that the server is the one
// the ticket is for. Errors: *ProtocolError, *KerberosError, *ClockSkewError.
func (c *Context) Accept(reply []byte) error { return &ProtocolError{Protocol: "Kerberos"} }

// Wrap seals a message for the server. What goes over the wire is header, then data,
// with nothing added to the length of data: the layout of WinRM's
// Kerberos-session-encrypted (MS-WSMV, section 2.2.9.1). Accept comes first.
func (c *Context) Wrap(message []byte) (header, data []byte, err error) {
	return nil, nil, &ProtocolError{Protocol: "Kerberos"}
}

// Unwrap opens a message that the server sealed: header and data as they came, or
// all of it in one of them. Messages are taken in the order they were sealed only.
func (c *Context) Unwrap(header, data []byte) ([]byte, error) {
	return nil, &ProtocolError{Protocol: "Kerberos"}
}

// WrapPlain signs a message without sealing it, as SASL's GSSAPI mechanism wants it.
func (c *Context) WrapPlain(message []byte) ([]byte, error) {
	return nil, &ProtocolError{Protocol: "Kerberos"}
}

// UnwrapPlain checks a message that the server signed without sealing it.
func (c *Context) UnwrapPlain(token []byte) ([]byte, error) {
	return nil, &ProtocolError{Protocol: "Kerberos"}
}

type kerberosState struct{}

func newKerberosState() kerberosState { return kerberosState{} }
