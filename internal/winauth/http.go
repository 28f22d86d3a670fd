package winauth

import (
	"context"
	"net"
	"net/http"
	"net/url"

	"github.com/c2conn/c2conn/internal/transport"
)

// Method is a way to sign in over HTTP.
type Method string

// The methods, from the best to the last one.
const (
	Kerberos Method = "Kerberos"
	NTLM     Method = "NTLM"
	Basic    Method = "Basic"
)

// HTTPOptions are what a client that signs in needs.
type HTTPOptions struct {
	Trust   *Trust                                                               // which certificates are trusted; nil = those that the system verifies
	Dial    func(ctx context.Context, network, address string) (net.Conn, error) // nil = the account's
	Proxy   func(*http.Request) (*url.URL, error)                                // for https; nil = none
	Methods []Method                                                             // nil = all three
	Clock   transport.Clock

	// PlainKerberos lets Kerberos tokens go over plain http. The bodies are as safe as
	// their sender makes them: PowerShell seals them; those of SharePoint are open.
	// Whoever is on the way can read and change these, and use the ticket for a request
	// of their own to the service at the same moment.
	PlainKerberos bool

	// PlainNTLM lets NTLM go over plain http. Whoever is on the way can read what is
	// sent, use the sign-in elsewhere at the same moment, and try passwords against it.
	// Basic never goes over plain http.
	PlainNTLM bool
}

// SignIn tells how the account signed in to a server.
type SignIn struct {
	Host   string  // host:port
	Method Method  // the one that the server took; "" = none yet
	Why    []error // why none of the better ones: what the server does not offer is not in it
}

// SignIn tells how the last sign-in to a server (host or host:port; 443 when there
// is no port) over HTTP went.
func (a *Account) SignIn(host string) (SignIn, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, ok := a.signIns[withPort(host)]
	return s, ok
}

// HTTP returns a client that signs in by itself, on each connection: with Kerberos,
// NTLM or Basic, in that order, as the server offers and Methods allows. It talks
// HTTP/1.1 over at most four connections a host, follows no redirect, and sends
// credentials over plain http only as PlainKerberos and PlainNTLM allow. Bodies are
// sent again after a refusal; they are kept in memory for that, at most
// transport.BodyLimit bytes.
//
// Errors (in the *url.Error of the client): *UntrustedError, *PinChangedError,
// *WrongPasswordError, *LockedError, *RefusedError, *NoMethodError, *PlainError,
// *ProtocolError; others come from the network. An answer that asks for no sign-in
// is returned as it is.
func (a *Account) HTTP(o HTTPOptions) *http.Client {
	return &http.Client{Transport: newSigner(a, o), CheckRedirect: transport.NoRedirect}
}
