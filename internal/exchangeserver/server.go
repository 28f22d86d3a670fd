// Package exchangeserver asks an Exchange Server on the premises what only its own
// commands know: which mailboxes there are, and who may impersonate whom. It hides
// which of the ways into remote PowerShell a server opens, and how the commands and
// their objects look.
//
// Sources: learn.microsoft.com/powershell/exchange/connect-to-exchange-servers-using-remote-powershell
// and the pages of the commands beneath learn.microsoft.com/powershell/module/exchange.
package exchangeserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/c2conn/c2conn/internal/progress"
	"github.com/c2conn/c2conn/internal/psremoting"
	"github.com/c2conn/c2conn/internal/transport"
	"github.com/c2conn/c2conn/internal/winauth"
)

// Options are what Open needs.
type Options struct {
	Server string // host name of the server, to which the usual addresses belong
	URL    string // of its PowerShell virtual directory; "" tries the usual ones

	Account *winauth.Account
	Trust   *winauth.Trust
	Reach   transport.Reach
	Proxy   func(*http.Request) (*url.URL, error) // for https; nil for none
	Clock   transport.Clock
}

// Server is an open session. It must be closed: Exchange counts open ones, and lets an
// account have a few only.
type Server struct {
	session *psremoting.Session
	way     string
	url     string
}

// Way is one way into remote PowerShell that was tried.
type Way struct {
	Name string // "Kerberos over https", …
	URL  string
	Err  error
}

// OpenError says that no way led into remote PowerShell.
type OpenError struct{ Tried []Way }

func (e *OpenError) Error() string {
	parts := make([]string, len(e.Tried))
	for i, w := range e.Tried {
		parts[i] = fmt.Sprintf("%s (%s): %v", w.URL, w.Name, w.Err)
	}
	return "remote PowerShell cannot be reached: " + strings.Join(parts, "; ")
}

// Unwrap gives access to what each way failed with, the last one first: it is tried
// only where the ones before were not possible.
func (e *OpenError) Unwrap() []error {
	errs := make([]error, 0, len(e.Tried))
	for i := len(e.Tried) - 1; i >= 0; i-- {
		errs = append(errs, e.Tried[i].Err)
	}
	return errs
}

// way is how a session may be opened.
type way struct {
	name string
	url  string
	open func(context.Context) (*psremoting.Session, error)
}

// openLimit is the longest time that one way may take.
const openLimit = 15 * time.Second

// Open opens a session: with Kerberos over https, then over http with every message
// sealed, which is how Exchange has it by default, then with a password over https
// (Basic), which an administrator has to allow first. The first definite wrong
// password ends the attempts.
//
// That https with Kerberos works at each server is unsure: Exchange documents http.
//
// Errors: *OpenError, whose causes are those of winauth and psremoting.
func Open(ctx context.Context, o Options) (*Server, error) {
	if o.Clock == nil {
		o.Clock = transport.SystemClock()
	}
	var failed OpenError
	silent := map[string]bool{} // addresses that do not answer: asking in another way is no use
	for _, w := range o.ways() {
		if silent[w.url] {
			continue
		}
		progress.Report(ctx, progress.Update{Text: "opening remote PowerShell: " + w.name})
		limited, cancel := context.WithTimeout(ctx, openLimit)
		session, err := w.open(limited)
		cancel()
		if err == nil {
			return &Server{session: session, way: w.name, url: w.url}, nil
		}
		failed.Tried = append(failed.Tried, Way{Name: w.name, URL: w.url, Err: err})
		var timeout net.Error
		silent[w.url] = errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
		if ctx.Err() != nil || final(err) {
			break
		}
	}
	return nil, &failed
}

// final reports whether another way would fail alike.
func final(err error) bool {
	var (
		wrong  *winauth.WrongPasswordError
		locked *winauth.LockedError
		denied *psremoting.DeniedError
		full   *psremoting.QuotaError
		pin    *winauth.PinChangedError
	)
	return errors.As(err, &wrong) || errors.As(err, &locked) || errors.As(err, &denied) || errors.As(err, &full) || errors.As(err, &pin)
}

func (o Options) ways() []way {
	host := o.Server
	secure, plain := o.URL, o.URL
	if o.URL == "" {
		if ip := net.ParseIP(host); ip != nil && ip.To4() == nil {
			host = "[" + host + "]"
		}
		secure, plain = "https://"+host+"/PowerShell/", "http://"+host+"/PowerShell/"
	}
	overTLS := func(name, at string, methods ...winauth.Method) way {
		return way{name: name, url: at, open: func(ctx context.Context) (*psremoting.Session, error) {
			client := o.Account.HTTP(winauth.HTTPOptions{Trust: o.Trust, Dial: o.Reach.Dial, Proxy: o.Proxy, Methods: methods})
			return psremoting.Open(ctx, psremoting.Options{URL: at, HTTP: client, Clock: o.Clock})
		}}
	}
	var list []way
	named := net.ParseIP(strings.Trim(host, "[]")) == nil // no service principal is called after an IP address
	if strings.HasPrefix(strings.ToLower(secure), "https://") && named {
		list = append(list, overTLS("Kerberos over https", secure, winauth.Kerberos))
	}
	if strings.HasPrefix(strings.ToLower(plain), "http://") && named {
		list = append(list, way{name: "Kerberos, sealed, over http", url: plain, open: func(ctx context.Context) (*psremoting.Session, error) {
			return psremoting.Open(ctx, psremoting.Options{URL: plain, Seal: o.seal(plain), Dial: o.Reach.Dial, Clock: o.Clock})
		}})
	}
	if strings.HasPrefix(strings.ToLower(secure), "https://") && o.Account.HasPassword() {
		list = append(list, overTLS("password over https (Basic)", secure, winauth.Basic))
	}
	return list
}

// URL is the address that let the session in, Way how.
func (s *Server) URL() string { return s.url }

// Way says in words how the session signed in.
func (s *Server) Way() string { return s.way }

// Close ends the session.
func (s *Server) Close(ctx context.Context) error { return s.session.Close(ctx) }

// seal makes the Kerberos contexts for messages over plain http.
func (o Options) seal(at string) func(context.Context, string) (psremoting.Sealer, error) {
	return func(ctx context.Context, scheme string) (psremoting.Sealer, error) {
		u, err := url.Parse(at)
		if err != nil {
			return nil, err
		}
		return o.Account.Kerberos(ctx, "HTTP/"+strings.ToLower(u.Hostname()), winauth.KerberosOptions{Raw: scheme == psremoting.SchemeKerberos})
	}
}
