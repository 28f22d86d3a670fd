package directory

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"

	"github.com/go-ldap/ldap/v3"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/winauth"
)

// signIn binds with the password, or with a Kerberos ticket where there is none.
func (c *Client) signIn(ctx context.Context, l *link, w way, state tls.ConnectionState) error {
	if !c.o.Account.HasPassword() {
		return c.signInKerberos(ctx, l, w, state)
	}
	// A password that another server took is not wrong because this one says so:
	// the account may be unknown to its domain.
	err := c.o.Account.Try(ctx, "LDAP", func(_ context.Context, password connections.Secret) error {
		proven := c.o.Account.Proven()
		err := l.ldap.Bind(c.o.Account.Name(), string(password.Reveal()))
		var e *ldap.Error
		if !proven && err != nil && (!errors.As(err, &e) || e.ResultCode == ldap.ErrorNetwork) {
			return &winauth.UnsureError{Err: wrap("sign in", l.server, err)}
		}
		if !errors.As(err, &e) || e.ResultCode != ldap.LDAPResultInvalidCredentials {
			return wrap("sign in", l.server, err)
		}
		said := winauth.LDAPRefusal(c.o.Account.Name(), l.server, diagnostic(e))
		var wrong *winauth.WrongPasswordError
		if proven && errors.As(said, &wrong) {
			return &winauth.RefusedError{Account: c.o.Account.Name(), Server: l.server, Method: "LDAP", Proven: true, Err: wrong.Err}
		}
		return said
	})
	return judge(err)
}

// judge marks a refusal that concerns the account: no other domain controller is asked.
func judge(err error) error {
	var ours *Error
	var unsure *winauth.UnsureError
	if err == nil || errors.As(err, &ours) && !errors.As(err, &unsure) {
		return err
	}
	return &signInError{err}
}

func (c *Client) signInKerberos(ctx context.Context, l *link, w way, state tls.ConnectionState) error {
	if net.ParseIP(w.host) != nil {
		return &signInError{errors.New("a Kerberos ticket needs the domain controller's name: " + w.host + " is an address")}
	}
	g := &gssapi{ctx: ctx, account: c.o.Account}
	if len(state.PeerCertificates) > 0 {
		g.certificate = state.PeerCertificates[0]
	}
	err := l.ldap.GSSAPIBind(g, "ldap/"+w.host, "")
	switch {
	case err == nil && !g.agreed:
		return &Error{Op: "sign in with Kerberos", Server: l.server, Err: errors.New("the server ended the sign-in before its time")}
	case g.err != nil:
		var unknown *winauth.UnknownSPNError
		if errors.As(g.err, &unknown) {
			return g.err // another domain controller may be registered well
		}
		return judge(g.err)
	}
	err = wrap("sign in with Kerberos", l.server, err)
	var e *Error
	if errors.As(err, &e) && e.Code == ldap.LDAPResultInvalidCredentials {
		return &signInError{&winauth.RefusedError{Account: c.o.Account.Name(), Server: l.server, Method: "Kerberos", Err: err}}
	}
	return err
}

// gssapi is the Kerberos sign-in of SASL (RFC 4752) for go-ldap. No security layer
// is agreed on: TLS does that, and the channel binding ties the two together.
type gssapi struct {
	ctx         context.Context // of the sign-in; go-ldap's interface has none
	account     *winauth.Account
	certificate *x509.Certificate
	kerberos    *winauth.Context
	agreed      bool
	err         error // go-ldap hands errors on, but ours are wanted whole
}

var errOrder = errors.New("the server sent a token that is not due")

func (g *gssapi) fail(err error) error {
	if g.err == nil {
		g.err = err
	}
	return err
}

// InitSecContext implements ldap.GSSAPIClient.
func (g *gssapi) InitSecContext(target string, token []byte) ([]byte, bool, error) {
	return g.InitSecContextWithOptions(target, token, nil)
}

// InitSecContextWithOptions implements ldap.GSSAPIClient.
func (g *gssapi) InitSecContextWithOptions(target string, token []byte, _ []int) ([]byte, bool, error) {
	if g.kerberos == nil {
		k, err := g.account.Kerberos(g.ctx, target, winauth.KerberosOptions{Certificate: g.certificate, Raw: true})
		if err != nil {
			return nil, false, g.fail(err)
		}
		g.kerberos = k
		return k.Token(), true, nil
	}
	if err := g.kerberos.Accept(token); err != nil {
		return nil, false, g.fail(err)
	}
	return nil, false, nil
}

// NegotiateSaslAuth implements ldap.GSSAPIClient.
func (g *gssapi) NegotiateSaslAuth(token []byte, _ string) ([]byte, error) {
	if g.agreed {
		return nil, g.fail(errOrder)
	}
	offer, err := g.kerberos.UnwrapPlain(token)
	if err != nil {
		return nil, g.fail(err)
	}
	const noLayer = 1
	if len(offer) != 4 || offer[0]&noLayer == 0 {
		return nil, g.fail(errors.New("the server wants to sign or seal although there is TLS"))
	}
	answer, err := g.kerberos.WrapPlain([]byte{noLayer, 0, 0, 0})
	if err != nil {
		return nil, g.fail(err)
	}
	g.agreed = true
	return answer, nil
}

// DeleteSecContext implements ldap.GSSAPIClient.
func (g *gssapi) DeleteSecContext() error { return nil }
