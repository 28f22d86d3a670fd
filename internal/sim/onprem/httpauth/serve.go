package httpauth

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/c2conn/c2conn/internal/sim/onprem/account"
	"github.com/c2conn/c2conn/internal/sim/onprem/binding"
	"github.com/c2conn/c2conn/internal/sim/onprem/krb"
	"github.com/c2conn/c2conn/internal/sim/onprem/ntlm"
	"github.com/c2conn/c2conn/internal/sim/onprem/spnego"
)

// drainLimit is how much of a refused request's body is read, so that the
// connection can live on. IIS reads it, too.
const drainLimit = 4 << 20

// refusedPage is what IIS says, shortened.
const refusedPage = `<!DOCTYPE html><html><head><title>401 - Unauthorized: Access is denied due to invalid credentials.</title></head>` +
	`<body><h2>401 - Unauthorized: Access is denied due to invalid credentials.</h2></body></html>`

type connKey struct{}

// connection is what is remembered of a TCP connection, by authenticator.
type connection struct {
	mu     sync.Mutex
	states map[*authenticator]*state
}

type state struct {
	scheme   Method // of the exchange
	exchange *spnego.Exchange
	identity *Identity
}

// ConnContext is for http.Server.ConnContext: it makes room for what is remembered
// of the connection.
func ConnContext(ctx context.Context, _ net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, &connection{states: map[*authenticator]*state{}})
}

type authenticator struct {
	o         Options
	bindings  []byte
	negotiate spnego.Acceptor
	ntlm      spnego.Acceptor
	realm     string
}

func newAuthenticator(o Options) *authenticator {
	if o.Directory == nil || len(o.Methods) == 0 {
		panic("httpauth: Options.Directory or Options.Methods is missing")
	}
	o.Methods, o.SPNs = slices.Clone(o.Methods), slices.Clone(o.SPNs)
	a := &authenticator{o: o, realm: o.Realm}
	if a.realm == "" {
		a.realm = o.Directory.Domain()
	}
	if a.o.Host == "" {
		a.o.Host = "EXCH01"
	}
	if o.Certificate != nil {
		b, err := binding.EndPoint(o.Certificate)
		if err != nil {
			panic("httpauth: " + err.Error())
		}
		a.bindings = b
	}
	a.ntlm.NTLM = ntlm.NewAcceptor(ntlm.AcceptorOptions{
		Directory: o.Directory, Host: a.o.Host, SPNs: o.SPNs, ExtendedProtection: o.ExtendedProtection, Now: o.Now, Rand: o.Rand,
	})
	a.negotiate.Kerberos = krb.NewAcceptor(krb.AcceptorOptions{
		Directory: o.Directory, SPNs: o.SPNs, ExtendedProtection: o.ExtendedProtection, Now: o.Now, Rand: o.Rand,
	})
	if slices.Contains(o.Methods, Negotiate) {
		a.negotiate.NTLM = a.ntlm.NTLM
	}
	return a
}

func (a *authenticator) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	c, ok := r.Context().Value(connKey{}).(*connection)
	switch {
	case !ok:
		http.Error(w, "the server lacks httpauth.ConnContext", http.StatusInternalServerError)
		return
	case r.ProtoMajor != 1:
		// Connections that sign in and streams that share them do not go together.
		http.Error(w, "Windows authentication needs HTTP/1.1", http.StatusHTTPVersionNotSupported)
		return
	}
	id, reply := a.signIn(c, r)
	if id == nil {
		a.refuse(w, r, reply)
		return
	}
	if reply != "" {
		w.Header().Set("WWW-Authenticate", reply)
	}
	if id.Method != Basic && r.Header.Get("Authorization") != "" {
		w.Header().Set("Persistent-Auth", "true")
	}
	next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), identityKey{}, *id)))
}

// signIn does what the request's Authorization header asks for. Without an identity,
// reply is the one WWW-Authenticate of a handshake that goes on; "" ends it.
func (a *authenticator) signIn(c *connection, r *http.Request) (id *Identity, reply string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.states[a]
	if s == nil {
		s = &state{}
		c.states[a] = s
	}
	scheme, value, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if scheme == "" {
		s.exchange = nil
		return s.identity, ""
	}
	s.identity = nil // who signs in anew is not who was signed in before
	switch {
	case strings.EqualFold(scheme, "Basic") && a.offers(Basic):
		s.exchange = nil
		return a.basic(r), ""
	case strings.EqualFold(scheme, "NTLM") && a.offers(NTLM):
		return a.step(s, r, NTLM, value)
	case strings.EqualFold(scheme, "Negotiate") && a.offers(Negotiate):
		return a.step(s, r, Negotiate, value)
	case strings.EqualFold(scheme, "Negotiate") && a.offers(NegotiateKerberos):
		return a.step(s, r, NegotiateKerberos, value)
	}
	s.exchange = nil
	return nil, ""
}

func (a *authenticator) offers(m Method) bool { return slices.Contains(a.o.Methods, m) }

func (a *authenticator) basic(r *http.Request) *Identity {
	name, password, ok := r.BasicAuth()
	if !ok {
		return nil
	}
	u, err := a.o.Directory.SignInPassword(account.Basic, name, password)
	if err != nil {
		return nil
	}
	return &Identity{User: u, Method: Basic, Mechanism: account.Basic}
}

// step gives the client's token to the exchange of the connection.
func (a *authenticator) step(s *state, r *http.Request, m Method, value string) (*Identity, string) {
	token, err := base64.StdEncoding.DecodeString(strings.TrimSpace(value))
	if err != nil || len(token) == 0 {
		s.exchange = nil
		return nil, ""
	}
	// A NEGOTIATE message, or the first token of SPNEGO, begins anew.
	if s.exchange == nil || s.scheme != m || spnego.Initial(token) {
		acceptor, bindings := a.negotiate, a.bindings
		if m == NTLM {
			acceptor = a.ntlm
		}
		if r.TLS == nil {
			bindings = nil
		}
		if m == NTLM && !ntlm.IsMessage(token) {
			s.exchange = nil
			return nil, "" // the NTLM scheme has bare messages only (MS-NTHT 2.2)
		}
		s.scheme, s.exchange = m, acceptor.Begin(bindings)
	}
	out, done, err := s.exchange.Step(token)
	if err != nil {
		s.exchange = nil
		return nil, ""
	}
	reply := ""
	if out != nil {
		scheme, _, _ := strings.Cut(string(m), ":")
		reply = scheme + " " + base64.StdEncoding.EncodeToString(out)
	}
	if done == nil {
		return nil, reply
	}
	s.exchange = nil
	s.identity = &Identity{User: done.User, Method: m, Mechanism: done.Mechanism, Kerberos: done.Kerberos}
	return s.identity, reply
}

// refuse answers 401: with the next token of a handshake, or with all that is offered.
func (a *authenticator) refuse(w http.ResponseWriter, r *http.Request, reply string) {
	_, _ = io.CopyN(io.Discard, r.Body, drainLimit) // what fails here, fails the next read, too
	if reply != "" {
		w.Header().Set("WWW-Authenticate", reply)
	} else {
		for _, m := range a.o.Methods {
			scheme, _, _ := strings.Cut(string(m), ":")
			if m == Basic {
				scheme = fmt.Sprintf("Basic realm=%q", a.realm)
			}
			w.Header().Add("WWW-Authenticate", scheme)
		}
	}
	page := a.o.Refusal
	if page == (Page{}) || r.Header.Get("Authorization") != "" {
		page = Page{"text/html", refusedPage}
	}
	w.Header().Set("Content-Type", page.ContentType)
	w.WriteHeader(http.StatusUnauthorized)
	_, _ = io.WriteString(w, page.Body)
}
