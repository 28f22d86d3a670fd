package directory

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/c2conn/c2conn/internal/transport"
	"github.com/c2conn/c2conn/internal/winauth"
)

const (
	callLimit   = 60 * time.Second // of one call, connecting and signing in included
	serverShare = 6                // of that, the part for reaching one domain controller in one way: a sixth
	serversMax  = 10               // domain controllers that are tried
)

// Options are what Open needs.
type Options struct {
	Domain string // DNS name of the domain; may be empty where Servers are given
	// Servers are domain controllers, as host or host:port. Without a port, LDAPS on
	// 636 is tried, then StartTLS on 389; on the ports 636 and 3269 there is LDAPS
	// only, on others StartTLS only. None: those of the SRV record
	// _ldap._tcp.dc._msdcs.<domain>, by priority and weight (RFC 2782).
	Servers  []string
	Account  *winauth.Account
	Trust    *winauth.Trust
	Resolver *net.Resolver // nil = net.DefaultResolver
	Dial     func(ctx context.Context, network, address string) (net.Conn, error)
	Clock    transport.Clock
	Limit    time.Duration // of one call; 0 = a minute. One domain controller gets a sixth of it to be reached in one way.
}

// Client is a connection to one domain. Its methods may be called by several
// goroutines; they take turns. A connection that the server closed meanwhile is
// made anew.
type Client struct {
	o    Options
	turn chan struct{} // held by the call that uses what follows
	link *link         // nil while there is none
	shut bool
	root RootDSE
	made bool // root is known

	facts  sync.Mutex
	schema Known        // whether it has Exchange's attributes
	groups []adminGroup // nil until they were looked for
}

// Open finds a domain controller, signs in and reads the root DSE. No password
// goes over a connection whose certificate is not trusted.
//
// Errors: *UnreachableError (in it, a *winauth.UntrustedError or
// *winauth.PinChangedError where that is the reason), *Error; at the sign-in
// *winauth.WrongPasswordError, *winauth.LockedError, *winauth.UnknownUserError,
// *winauth.RefusedError (the password was right elsewhere) and, without a
// password, what winauth.Account.Kerberos returns.
func Open(ctx context.Context, o Options) (*Client, error) {
	if o.Account == nil || o.Trust == nil {
		return nil, errors.New("directory: Options.Account or Options.Trust is missing")
	}
	o.Domain = strings.ToLower(strings.Trim(o.Domain, ". "))
	if o.Domain == "" && len(o.Servers) == 0 {
		return nil, errors.New("directory: neither a domain nor a domain controller is given")
	}
	if o.Resolver == nil {
		o.Resolver = net.DefaultResolver
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{}).DialContext
	}
	if o.Clock == nil {
		o.Clock = transport.SystemClock()
	}
	if o.Limit <= 0 {
		o.Limit = callLimit
	}
	c := &Client{o: o, turn: make(chan struct{}, 1)}
	if err := c.do(ctx, "read the root DSE", c.readRoot); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// Close ends the connection. A call that runs meanwhile ends first.
func (c *Client) Close() error {
	c.turn <- struct{}{}
	defer func() { <-c.turn }()
	c.shut = true
	c.drop(true)
	return nil
}

// Root tells what the root DSE told when the client was opened.
func (c *Client) Root() RootDSE { return c.root }

// link is one signed-in connection.
type link struct {
	ldap   *ldap.Conn
	wire   *wire
	server string // host:port
}

// drop forgets the connection; politely where it still works.
func (c *Client) drop(politely bool) {
	if c.link == nil {
		return
	}
	if politely && !c.link.ldap.IsClosing() {
		// An unbind has no answer; writing it must not hang either.
		_ = c.link.wire.SetDeadline(time.Now().Add(time.Second)) //nolint:forbidigo // a socket goes by the computer's clock
		_ = c.link.ldap.Unbind()
	} else {
		_ = c.link.wire.SetDeadline(time.Unix(1, 0))
		_ = c.link.ldap.Close()
	}
	c.link = nil
}

// do runs f on the connection, within the limit of a call.
func (c *Client) do(ctx context.Context, op string, f func(*ldap.Conn) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, c.o.Limit, &limitError{c.o.Limit})
	defer cancel()
	select {
	case c.turn <- struct{}{}:
	case <-ctx.Done():
		return late(ctx, ctx.Err())
	}
	defer func() { <-c.turn }()
	for {
		if c.shut {
			return errClosed
		}
		used := c.link != nil && !c.link.ldap.IsClosing()
		if !used {
			c.drop(false)
			var err error
			if c.link, err = c.connect(ctx); err != nil {
				return err
			}
		}
		l := c.link
		l.wire.allow()
		whole, err := l.wire.under(ctx, func() error { return f(l.ldap) })
		tooMuch := l.wire.left.Load() <= 0
		broken := !whole || tooMuch || err != nil && !answered(err)
		if broken {
			c.drop(false)
		}
		switch {
		case err == nil:
			return nil
		case isLimit(ctx):
			return &Error{Op: op, Server: l.server, Err: context.Cause(ctx)}
		case ctx.Err() != nil:
			return ctx.Err()
		case tooMuch:
			return &Error{Op: op, Server: l.server, Err: errTooMuch}
		case broken && used:
			continue // the server ended it while nobody asked anything
		}
		var ours *Error
		if errors.As(err, &ours) {
			return err
		}
		return wrap(op, l.server, err)
	}
}
