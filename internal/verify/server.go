package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/exchangeserver"
	"github.com/c2conn/c2conn/internal/transport"
	"github.com/c2conn/c2conn/internal/winauth"
)

// checksOfServer lists the checks of a connection to servers on the premises.
func checksOfServer(c connections.Connection) []check {
	switch c.Kind {
	case connections.SharePoint:
		return checksOfFarm()
	case connections.Exchange:
		return checksOfExchange(c)
	}
	return nil
}

// isFarm reports whether a connection is to a SharePoint farm on the premises.
func isFarm(c connections.Connection) bool {
	return c.Location == connections.OnPremises && c.Kind == connections.SharePoint
}

// Server is what a connection to a server on the premises takes besides its profile:
// who signs in, whom to trust, and how names are reached. It serves one verification,
// or several of the same account, which then share what is known of the password.
type Server struct {
	Account *winauth.Account
	Trust   *winauth.Trust
	// Directory is whom to trust of the domain controllers: LDAP gets the password as it
	// is, so that no certificate counts there because it is the first one.
	Directory *winauth.Trust
	Reach     transport.Reach

	// Grant lets the check of impersonation assign the missing role to the account.
	Grant bool

	// PlainCentral lets Central Administration answer over http where the connection
	// names https: nobody has said so, it follows from the address of the sites.
	PlainCentral bool

	proxy  func(*http.Request) (*url.URL, error)
	client *http.Client
	o      ServerOptions

	methods                  []winauth.Method // nil = all
	plainKerberos, plainNTLM bool             // what may go over http
}

// ServerOptions are what NewServer needs. The environment names proxy, authorities,
// DNS server and ticket cache.
type ServerOptions struct {
	Getenv   func(string) string
	ReadFile func(string) ([]byte, error)
	Clock    transport.Clock
	Rand     io.Reader

	Password connections.Secret // of a connection that has one

	Trusted  []string // SHA-256 of certificates that somebody has said to trust, of whatever host
	FirstUse bool     // trust what a server shows whose certificate nobody knows yet

	Answer time.Duration // how long one answer may take, of a SharePoint farm or of EWS; 0 means a minute
}

// answerLimit is for a list of all site collections of a content database, which comes in
// one answer.
const answerLimit = time.Minute

// NewServer prepares the verification of c, an on-premises connection. Nothing is sent.
// Errors: a setting of the environment that cannot be used.
func NewServer(c connections.Connection, o ServerOptions) (*Server, error) {
	reach, err := transport.NewReach(o.Getenv)
	if err != nil {
		return nil, err
	}
	roots, err := transport.Authorities(o.Getenv)
	if err != nil {
		return nil, err
	}
	proxy, err := transport.Proxies(o.Getenv)
	if err != nil {
		return nil, err
	}
	s := &Server{Reach: reach, proxy: proxy}
	if isFarm(c) {
		// No Basic: of a farm nobody knows its certificate beforehand, and an address that is
		// mistyped may lead to somebody else who has a trusted one.
		s.methods = []winauth.Method{winauth.Kerberos, winauth.NTLM}
		s.plainKerberos, s.plainNTLM = true, c.Credential.PlainNTLM
	}
	account := winauth.AccountOptions{
		Name: c.Account, Password: o.Password, Domain: c.Endpoints.Domain,
		Resolver: reach.Resolver, Dial: reach.Dial, Clock: o.Clock, Rand: o.Rand, ReadFile: o.ReadFile,
	}
	if c.Credential.Type == connections.TypeTicketCache {
		account.Cache = TicketCache(c, o.Getenv)
	}
	trust := winauth.TrustOptions{Roots: roots, Pins: c.Pins, Clock: o.Clock}
	s.Directory = winauth.NewTrust(trust)
	trust.Trusted, trust.FirstUse = o.Trusted, o.FirstUse
	s.Trust = winauth.NewTrust(trust)
	s.o = o
	return s, s.signIn(winauth.NewAccount(account))
}

// signIn makes the client of an account.
func (s *Server) signIn(account *winauth.Account) (err error) {
	s.Account = account
	s.client, err = transport.New(transport.Options{
		Getenv: s.o.Getenv, Clock: s.o.Clock, Rand: s.o.Rand, Limit: cmp.Or(s.o.Answer, answerLimit),
		Base: once{account.HTTP(winauth.HTTPOptions{
			Trust: s.Trust, Dial: s.Reach.Dial, Proxy: s.proxy, Clock: s.o.Clock,
			Methods: s.methods, PlainKerberos: s.plainKerberos, PlainNTLM: s.plainNTLM,
		}).Transport},
	})
	return err
}

// WithAccountOf returns s with the account of another one, which signs in alike: what is
// known of the password is shared.
func (s *Server) WithAccountOf(other *Server) *Server {
	shared := *s
	if err := shared.signIn(other.Account); err != nil {
		return s // what it reads of the environment was read before
	}
	return &shared
}

// TicketCache is the file with the Kerberos tickets of a connection: its own, else what
// the environment or the system says.
//
// Source: MIT krb5 documentation, "Default ccache name".
func TicketCache(c connections.Connection, getenv func(string) string) string {
	return cmp.Or(c.Credential.Cache, getenv("KRB5CCNAME"), fmt.Sprintf("/tmp/krb5cc_%d", os.Getuid()))
}

// once marks the refusals that sending again does not mend: one more failed sign-in
// would count against the account.
type once struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (o once) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := o.next.RoundTrip(r)
	if err != nil && winauth.Refusal(err) {
		err = &transport.FinalError{Err: err}
	}
	return res, err
}

// CloseIdleConnections is what http.Client.CloseIdleConnections looks for.
func (o once) CloseIdleConnections() {
	if c, ok := o.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// Pins are those of the profile and the certificates that were trusted on first use.
func (s *Server) Pins(known map[string]string) map[string]string {
	pins := s.Trust.Pinned()
	for host, sum := range known {
		if _, ok := pins[host]; !ok {
			pins[host] = sum
		}
	}
	if len(pins) == 0 {
		return nil
	}
	return pins
}

// exchange is what the checks of one Exchange Server share.
type exchange struct {
	mu   sync.Mutex
	ews  string // where EWS is
	host string

	open  func(context.Context) (*exchangeserver.Server, error) // once; the session is closed by close
	close func(context.Context) error

	samples []string
	strange bool   // its certificate is not trusted
	own     string // the account's own primary address, where known
}

// newExchange prepares what the checks share.
func (s *subject) newExchange() *exchange {
	c := s.target.Connection
	x := &exchange{ews: c.Endpoints.EWS, host: c.Endpoints.Server}
	if u, err := url.Parse(x.ews); err == nil && x.host == "" {
		x.host = u.Hostname()
	}
	var (
		once   sync.Once
		opened *exchangeserver.Server
		failed error
	)
	// Whoever comes first opens it, and hears of the progress.
	x.open = func(ctx context.Context) (*exchangeserver.Server, error) {
		once.Do(func() {
			server, _ := x.at()
			session, err := exchangeserver.Open(ctx, exchangeserver.Options{
				Server: server, URL: c.Endpoints.PowerShell, Account: s.target.Server.Account, Trust: s.target.Server.Trust,
				Reach: s.target.Server.Reach, Proxy: s.target.Server.proxy, Clock: s.o.Clock,
			})
			x.mu.Lock()
			opened, failed = session, err
			x.mu.Unlock()
		})
		x.mu.Lock()
		defer x.mu.Unlock()
		return opened, failed
	}
	x.close = func(ctx context.Context) error {
		x.mu.Lock()
		session := opened
		opened = nil
		x.mu.Unlock()
		if session == nil {
			return nil
		}
		return session.Close(ctx)
	}
	return x
}

func (x *exchange) at() (host, ews string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.host, x.ews
}

func (x *exchange) found(ews string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.ews = ews
	if u, err := url.Parse(ews); err == nil {
		x.host = u.Hostname()
	}
}

func (x *exchange) isStrange() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.strange
}

// others are mailboxes to impersonate: not the account's own.
func (x *exchange) others(account string) []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(x.samples), func(address string) bool {
		return strings.EqualFold(address, account) || strings.EqualFold(address, x.own)
	})
}

// errNoServer is a target without what an on-premises connection takes.
var errNoServer = errors.New("verify: Target.Server is missing")
