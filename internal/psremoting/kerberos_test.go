package psremoting_test

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/c2conn/c2conn/connections"
	. "github.com/c2conn/c2conn/internal/psremoting"
	"github.com/c2conn/c2conn/internal/sim/onprem/account"
	"github.com/c2conn/c2conn/internal/sim/onprem/httpauth"
	"github.com/c2conn/c2conn/internal/sim/onprem/kdc"
	"github.com/c2conn/c2conn/internal/sim/onprem/krb"
	"github.com/c2conn/c2conn/internal/sim/onprem/psrp"
	"github.com/c2conn/c2conn/internal/winauth"
)

const spn = "HTTP/exch01.corp.test"

// domain is a simulated domain: accounts and a KDC, found by DNS.
type domain struct {
	directory *account.Directory
	kdc       string
}

func newDomain(t *testing.T) *domain {
	t.Helper()
	d, err := account.New(account.Options{Domain: "corp.test", NetBIOS: "CORP", Users: []account.User{
		{SAM: "exadmin", UPN: "exadmin@corp.test", Password: "Ex4dmin!Pass"},
		{SAM: "EXCH01$", Password: "machine", SPNs: []string{spn}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	k, err := kdc.Start(kdc.Options{Directory: d})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.Close() })
	return &domain{d, k.Addr()}
}

// account is who signs in.
func (d *domain) account(password string) *winauth.Account {
	return winauth.NewAccount(winauth.AccountOptions{
		Name: "exadmin@corp.test", Password: connections.NewSecret(password),
		Resolver: &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			go answerSRV(theirs)
			return ours, nil
		}},
		Dial: func(ctx context.Context, _, address string) (net.Conn, error) {
			if address != "dc1.corp.test:88" {
				return nil, errors.New("no such server: " + address)
			}
			return (&net.Dialer{}).DialContext(ctx, "tcp", d.kdc)
		},
	})
}

// answerSRV is a name server that knows one KDC.
func answerSRV(c net.Conn) {
	defer c.Close()
	b := make([]byte, 2)
	if _, err := io.ReadFull(c, b); err != nil {
		return
	}
	q := make([]byte, int(b[0])<<8|int(b[1]))
	if _, err := io.ReadFull(c, q); err != nil {
		return
	}
	var m dnsmessage.Message
	if m.Unpack(q) != nil || len(m.Questions) != 1 {
		return
	}
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	m.Answers = []dnsmessage.Resource{{
		Header: dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Type: dnsmessage.TypeSRV, Class: dnsmessage.ClassINET, TTL: 60},
		Body:   &dnsmessage.SRVResource{Target: dnsmessage.MustNewName("dc1.corp.test."), Port: 88},
	}}
	if a, err := m.Pack(); err == nil {
		_, _ = c.Write(append([]byte{byte(len(a) >> 8), byte(len(a))}, a...))
	}
}

// serveHTTP serves a handler by http under the name of the Exchange server.
func serveHTTP(t *testing.T, h http.Handler, o Options, remember func(context.Context, net.Conn) context.Context) Options {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog, s.Config.ConnContext = log.New(io.Discard, "", 0), remember
	s.Start()
	t.Cleanup(s.Close)
	o.URL, o.Limit, o.CloseLimit = "http://exch01.corp.test/PowerShell/", 5*time.Minute, time.Minute
	o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if address != "exch01.corp.test:80" {
			return nil, errors.New("no such server: " + address)
		}
		return (&net.Dialer{}).DialContext(ctx, network, s.Listener.Addr().String())
	}
	return o
}

// kerberosSite signs in by the scheme Kerberos alone, as Exchange's own module does:
// bare tokens (MS-WSMV 2.2.9.1.2).
type kerberosSite struct {
	acceptor *krb.Acceptor
	next     http.Handler
	mu       sync.Mutex
	contexts map[any]*krb.Context
}

type contextKey struct{}

func (k *kerberosSite) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := r.Context().Value(connKey{})
	k.mu.Lock()
	known := k.contexts[c]
	k.mu.Unlock()
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Kerberos "); ok {
		b, _ := base64.StdEncoding.DecodeString(token)
		if fresh, err := k.acceptor.Accept(b, nil); err == nil {
			known = fresh
			k.mu.Lock()
			k.contexts[c] = known
			k.mu.Unlock()
			w.Header().Set("WWW-Authenticate", "Kerberos "+base64.StdEncoding.EncodeToString(known.Reply))
			return
		}
	}
	if known == nil {
		w.Header().Set("WWW-Authenticate", "Kerberos")
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	k.next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), contextKey{}, known)))
}

// TestExchangeSealed runs commands over http with real tickets and real sealing, by
// both schemes.
func TestExchangeSealed(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{SchemeKerberos, SchemeNegotiate} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			d := newDomain(t)
			contextOf := func(r *http.Request) *krb.Context {
				if scheme == SchemeKerberos {
					c, _ := r.Context().Value(contextKey{}).(*krb.Context)
					return c
				}
				id, _ := httpauth.From(r.Context())
				return id.Kerberos
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			site, _ := exchange(t, func(o *psrp.Options) {
				o.After = func(d time.Duration) (<-chan time.Time, func() bool) {
					if d == time.Hour {
						cancel() // while the command is running
					}
					return make(chan time.Time), func() bool { return true }
				}
				o.User = func(r *http.Request) string { return contextOf(r).User.UPN }
				o.Seal = func(r *http.Request) psrp.Sealer { return contextOf(r) }
			})
			var h http.Handler = &kerberosSite{acceptor: krb.NewAcceptor(krb.AcceptorOptions{Directory: d.directory, SPNs: []string{spn}}), next: site, contexts: map[any]*krb.Context{}}
			conn := func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) }
			if scheme == SchemeNegotiate {
				h = httpauth.Authenticate(httpauth.Options{Directory: d.directory, Methods: []httpauth.Method{httpauth.NegotiateKerberos, httpauth.NTLM}, SPNs: []string{spn}})(site)
				conn = httpauth.ConnContext
			}
			who := d.account("Ex4dmin!Pass")
			o := serveHTTP(t, h, Options{Seal: func(ctx context.Context, s string) (Sealer, error) {
				if s != scheme {
					t.Errorf("asked for %s", s)
				}
				return who.Kerberos(ctx, spn, winauth.KerberosOptions{Raw: s == SchemeKerberos})
			}}, conn)
			session, err := Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				out, err := session.Run(t.Context(), command("Get-Mailbox", Int("ResultSize", 20)))
				if err != nil || len(out.Objects) != 20 {
					t.Fatalf("%d %v", len(out.Objects), err)
				}
			}
			// Large in both directions, and cancelled in the middle: a new connection deletes the shell.
			if _, err := session.Run(t.Context(), command("Get-Mailbox", String("Identity", strings.Repeat("x", 400_000)))); !is[*CommandError](err) {
				t.Errorf("%T %.200v", err, err)
			}
			if err := site.Break("slow=1h"); err != nil {
				t.Fatal(err)
			}
			if _, err := session.Run(ctx, command("Get-Mailbox")); !errors.Is(err, context.Canceled) {
				t.Errorf("%T %v", err, err)
			}
			if err := session.Close(ctx); err != nil || len(site.Open()) != 0 {
				t.Errorf("%v; %d shells", err, len(site.Open()))
			}

			// A wrong password is tried once, and no shell is looked for.
			wrong := d.account("wrong")
			before := d.directory.Tally(account.Kerberos).WrongPasswords
			o.Seal = func(ctx context.Context, s string) (Sealer, error) {
				return wrong.Kerberos(ctx, spn, winauth.KerberosOptions{Raw: s == SchemeKerberos})
			}
			if _, err := Open(t.Context(), o); !is[*winauth.WrongPasswordError](err) {
				t.Errorf("%T %v", err, err)
			}
			if n := d.directory.Tally(account.Kerberos).WrongPasswords - before; n != 1 {
				t.Errorf("%d wrong passwords", n)
			}
		})
	}
}
