package directory

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/c2conn/c2conn/internal/transport"
	"github.com/c2conn/c2conn/internal/winauth"
)

// The ways to a domain controller; words for the user, too.
const (
	methodLDAPS    = "LDAPS"
	methodStartTLS = "StartTLS"
	portLDAP       = "389"
	portLDAPS      = "636"
	portLDAPSOfGC  = "3269" // global catalog
)

// way is one thing to try.
type way struct{ host, port, method string }

func (w way) address() string { return net.JoinHostPort(w.host, w.port) }

// connect tries the domain controllers in turn until one takes the sign-in, or one
// refuses it for a reason that the others would give, too.
func (c *Client) connect(ctx context.Context) (*link, error) {
	ways, failed, err := c.ways(ctx)
	if err != nil {
		return nil, err
	}
	for _, w := range ways {
		l, err := c.reach(ctx, w)
		var account *signInError
		switch {
		case err == nil:
			return l, nil
		case ctx.Err() != nil && !isLimit(ctx):
			return nil, ctx.Err()
		case errors.As(err, &account):
			return nil, account.error
		}
		failed = append(failed, Attempt{Server: w.address(), Method: w.method, Err: err})
		if ctx.Err() != nil {
			break // the time of the call is over
		}
	}
	return nil, &UnreachableError{Domain: c.o.Domain, Tried: failed}
}

// signInError marks what concerns the account: every domain controller would say it.
type signInError struct{ error }

// ways lists what to try. Attempts are names of DNS that are not tried.
func (c *Client) ways(ctx context.Context) ([]way, []Attempt, error) {
	var ways []way
	if len(c.o.Servers) > 0 {
		for _, s := range c.o.Servers[:min(len(c.o.Servers), serversMax)] {
			host, port, err := net.SplitHostPort(s)
			if err != nil {
				host, port = strings.Trim(s, "[]"), ""
			}
			if host == "" {
				return nil, nil, fmt.Errorf("directory: %q is no host of a domain controller", clean(s))
			}
			switch port {
			case "":
				ways = append(ways, way{host, portLDAPS, methodLDAPS}, way{host, portLDAP, methodStartTLS})
			case portLDAPS, portLDAPSOfGC:
				ways = append(ways, way{host, port, methodLDAPS})
			default:
				ways = append(ways, way{host, port, methodStartTLS})
			}
		}
		return ways, nil, nil
	}
	records, err := transport.LookupSRV(ctx, c.o.Resolver, "ldap", "tcp", "dc._msdcs."+c.o.Domain)
	if ctx.Err() != nil {
		return nil, nil, late(ctx, ctx.Err())
	}
	// Go gives the good records together with an error about bad ones.
	if len(records) == 0 {
		return nil, nil, &UnreachableError{Domain: c.o.Domain, Err: err}
	}
	var outside []Attempt
	for _, r := range records[:min(len(records), serversMax)] {
		host := strings.ToLower(strings.TrimSuffix(r.Target, "."))
		port := strconv.Itoa(int(r.Port))
		if host != c.o.Domain && !strings.HasSuffix(host, "."+c.o.Domain) {
			outside = append(outside, Attempt{net.JoinHostPort(host, port), methodLDAPS, &OutsideError{c.o.Domain, host}})
			continue
		}
		ways = append(ways, way{host, portLDAPS, methodLDAPS}, way{host, port, methodStartTLS})
	}
	return ways, outside, nil
}

// reach connects, secures the connection and signs in.
func (c *Client) reach(ctx context.Context, w way) (*link, error) {
	limit := c.o.Limit / serverShare
	near, cancel := context.WithTimeoutCause(ctx, limit, &limitError{limit})
	defer cancel()
	conn, err := c.o.Dial(near, "tcp", w.address())
	if err != nil {
		return nil, late(near, err)
	}
	l := &link{wire: newWire(conn), server: w.address()}
	var state tls.ConnectionState
	_, err = l.wire.under(near, func() error {
		var err error
		l.ldap, state, err = c.secure(near, l.wire, w)
		return err
	})
	err = late(near, err)
	if err == nil {
		// A bind that was sent is waited for although nobody wants it any more: what became
		// of it decides whether the password may be sent again.
		signing, stop := context.WithTimeoutCause(context.WithoutCancel(ctx), limit, &limitError{limit})
		_, err = l.wire.under(signing, func() error { return c.signIn(ctx, l, w, state) })
		err = late(signing, err)
		stop()
	}
	if err != nil {
		_ = conn.Close()
		if l.ldap != nil {
			_ = l.ldap.Close()
		}
		return nil, err
	}
	return l, nil
}

// limitError is the end of a time that this package set.
type limitError struct{ after time.Duration }

func (e *limitError) Error() string { return "no answer within " + e.after.String() }

// Is makes it a context.DeadlineExceeded.
func (e *limitError) Is(target error) bool { return target == context.DeadlineExceeded }

func isLimit(ctx context.Context) bool {
	var e *limitError
	return errors.As(context.Cause(ctx), &e)
}

// late says in words that the time was over.
func late(ctx context.Context, err error) error {
	if err != nil && isLimit(ctx) {
		return context.Cause(ctx)
	}
	return err
}

// secure gives the connection TLS with a trusted certificate.
func (c *Client) secure(ctx context.Context, wire *wire, w way) (*ldap.Conn, tls.ConnectionState, error) {
	config := c.o.Trust.TLS(w.address())
	if w.method == methodLDAPS {
		conn := tls.Client(wire, config)
		if err := conn.HandshakeContext(ctx); err != nil {
			return nil, tls.ConnectionState{}, handshake(err)
		}
		l := ldap.NewConn(conn, true)
		l.Start()
		return l, conn.ConnectionState(), nil
	}
	// go-ldap keeps only the text of a failed handshake.
	verify := config.VerifyConnection
	var refused error
	config.VerifyConnection = func(s tls.ConnectionState) error {
		refused = verify(s)
		return refused
	}
	l := ldap.NewConn(wire, false)
	l.Start()
	err := l.StartTLS(config)
	if refused != nil {
		return l, tls.ConnectionState{}, refused
	}
	if err != nil {
		return l, tls.ConnectionState{}, wrap("start TLS", w.address(), err)
	}
	state, ok := l.TLSConnectionState()
	if !ok || !state.HandshakeComplete {
		return l, state, errors.New("the connection has no TLS after StartTLS")
	}
	return l, state, nil
}

// handshake takes out of a TLS error what winauth's Trust said.
func handshake(err error) error {
	var untrusted *winauth.UntrustedError
	var changed *winauth.PinChangedError
	switch {
	case errors.As(err, &changed):
		return changed
	case errors.As(err, &untrusted):
		return untrusted
	}
	return fmt.Errorf("TLS handshake: %w", err)
}
