// Package httpauth signs clients in to a simulated web server of a Windows domain,
// as IIS does: Negotiate (Kerberos, or NTLM within), NTLM and Basic
// (RFC 4559, RFC 7617, MS-NTHT).
//
// The http.Server needs ConnContext, and must not speak HTTP/2:
//
//	srv := &http.Server{
//		Handler:     httpauth.Authenticate(options)(site),
//		ConnContext: httpauth.ConnContext,
//	}
package httpauth

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/c2conn/c2conn/internal/sim/onprem/account"
	"github.com/c2conn/c2conn/internal/sim/onprem/binding"
	"github.com/c2conn/c2conn/internal/sim/onprem/krb"
)

// Method is an authentication provider of IIS.
type Method string

// The providers. Basic's name is the scheme's.
const (
	Negotiate         Method = "Negotiate" // SPNEGO: Kerberos or NTLM
	NegotiateKerberos Method = "Negotiate:Kerberos"
	NTLM              Method = "NTLM"
	Basic             Method = "Basic"
)

// Options are what Authenticate needs.
type Options struct {
	Directory *account.Directory
	Methods   []Method // offered in this order; IIS offers Negotiate, NTLM

	// SPNs are the service principal names this server answers to, e.g.
	// "HTTP/exch01.corp.test"; their keys are those of the accounts that hold them.
	SPNs []string

	ExtendedProtection binding.Mode
	// Certificate is the leaf in DER that clients of https see. nil means that of
	// plain http: there is no channel to be bound to.
	Certificate []byte

	// Refusal is what a 401 says to who has not begun to sign in, where the application
	// sends it; the zero value is IIS's own page, which everybody else gets.
	Refusal Page

	Realm string           // of Basic; "" means the domain's DNS name
	Host  string           // NetBIOS name of the server in NTLM; "" means "EXCH01"
	Now   func() time.Time // nil means time.Now
	Rand  io.Reader        // nil means crypto/rand
}

// Page is the body of an answer.
type Page struct{ ContentType, Body string }

// Identity is who signed in, and how.
type Identity struct {
	User   account.User
	Method Method
	// Mechanism is Kerberos, NTLM or Basic: what Negotiate came to.
	Mechanism account.Protocol
	// Kerberos is the security context that seals messages (WinRM over http); nil
	// when the client signed in another way.
	Kerberos *krb.Context
}

// From is who made the request whose context this is; false outside of
// Authenticate's handlers.
func From(ctx context.Context) (Identity, bool) {
	id, ok := ctx.Value(identityKey{}).(Identity)
	return id, ok
}

// Authenticate makes a handler that answers 401 until the client has signed in.
//
// A sign-in by NTLM or Kerberos is the connection's: later requests on it come in
// without an Authorization header (IIS: authPersistNonNTLM). Basic is looked at in
// every request. State belongs to one call of Authenticate, as it belongs to one
// application pool of IIS: a connection that has signed in to /EWS has not to
// /PowerShell. It panics on options that cannot work.
func Authenticate(o Options) func(http.Handler) http.Handler {
	a := newAuthenticator(o)
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.serve(w, r, next) })
	}
}

type identityKey struct{}
