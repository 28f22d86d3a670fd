package winauth

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"

	"github.com/c2conn/c2conn/connections"
)

// attempt is what was learned while signing in to a server.
type attempt struct {
	last   Method  // that was tried
	why    []error // why the better ones were not taken
	status int

	kerberosOnly bool // Negotiate takes no NTLM
	taken        bool // the ticket was, and the request refused all the same
}

// signIn answers a 401: with the best method that the server offers.
func (l *lane) signIn(r *request, refused *http.Response) (*http.Response, error) {
	s, a := l.site, l.site.signer.account
	offers := parseOffers(refused.Header)
	drain(refused)
	l.signed = nil
	_, negotiate := findOffer(offers, "Negotiate")
	_, ntlm := findOffer(offers, "NTLM")
	_, basic := findOffer(offers, "Basic")
	if !negotiate && !ntlm && !basic { // no matter of http or https
		return nil, &NoMethodError{Account: a.o.Name, Server: s.host, Offered: schemes(offers)}
	}
	ntlm = ntlm && a.HasPassword()
	inNegotiate := negotiate && a.HasPassword() // IIS takes a bare NTLM message there
	plain := PlainError{Server: s.host, Offered: schemes(offers), NTLM: (ntlm || inNegotiate) && s.wanted(NTLM) && !s.allowed(NTLM)}
	if s.scheme != "https" && !(negotiate && s.allowed(Kerberos)) && !((ntlm || inNegotiate) && s.allowed(NTLM)) {
		return nil, &plain
	}
	known, _, _ := s.state()
	var t attempt
	// Where NTLM did, Kerberos was tried before it; but another application of the
	// server may take nothing else.
	if negotiate && s.allowed(Kerberos) && (known != NTLM || !ntlm) {
		if res, err := l.kerberos(r, &t); res != nil || err != nil {
			return res, err
		}
	}
	if !negotiate && s.wanted(Kerberos) && a.HasPassword() && !a.Proven() {
		// The domain tells a wrong password from a right one that the server refuses for
		// another reason, and a locked account from both; the server says 401 to all.
		if err := a.prove(r.Context(), "HTTP/"+s.name); err != nil && final(r.Context(), err) {
			return nil, err
		}
	}
	if (ntlm || inNegotiate) && s.allowed(NTLM) {
		scheme := "NTLM"
		if !ntlm {
			scheme = "Negotiate"
		}
		if res, err := l.ntlm(r, scheme, &t); res != nil || err != nil {
			return res, err
		}
	}
	if basic && s.allowed(Basic) && a.HasPassword() && !s.provisional() {
		if res, err := l.tryBasic(r, &t); res != nil || err != nil {
			return res, err
		}
	}
	why := errors.Join(t.why...)
	if t.last != "" {
		return nil, &RefusedError{Account: a.o.Name, Server: s.host, Method: t.last, Proven: a.Proven(), Taken: t.taken, Status: t.status, Err: why}
	}
	if s.scheme != "https" && plain.NTLM {
		plain.Err = why
		return nil, &plain
	}
	if !a.HasPassword() && len(t.why) == 1 {
		return nil, t.why[0] // nothing but the ticket could have been used
	}
	return nil, &NoMethodError{Account: a.o.Name, Server: s.host, Offered: schemes(offers), NoPassword: !a.HasPassword(), KerberosOnly: t.kerberosOnly, Err: why}
}

// final tells an error after which no other method is tried: the account itself is
// the matter, or the caller gave up.
func final(ctx context.Context, err error) bool {
	var wrong *WrongPasswordError
	var locked *LockedError
	return ctx.Err() != nil || errors.As(err, &wrong) || errors.As(err, &locked)
}

// kerberos tries a ticket. Neither an answer nor an error: go on with the next method.
func (l *lane) kerberos(r *request, t *attempt) (*http.Response, error) {
	k, err := l.context(r)
	if err != nil {
		var unknown *UnknownUserError
		if final(r.Context(), err) || errors.As(err, &unknown) && l.site.signer.account.isUPN() {
			return nil, err
		}
		t.why = append(t.why, err)
		return nil, nil
	}
	t.last = Kerberos
	bound := l.conn
	res, err := l.send(r, r.body, "Negotiate "+base64.StdEncoding.EncodeToString(k.Token()))
	if err != nil {
		return nil, err
	}
	reply, _ := findOffer(parseOffers(res.Header), "Negotiate")
	t.status = res.StatusCode
	if res.StatusCode == http.StatusUnauthorized {
		drain(res)
		why := error(&TicketRefusedError{Server: l.site.host, SPN: k.spn})
		if reply.token != nil {
			if err := k.Accept(reply.token); err != nil {
				why = err // the server says more
			} else {
				t.taken, why = true, errNotGranted
			}
		}
		if bound != l.conn {
			why = errOtherConnection // and bound to the wrong one
		}
		t.why = append(t.why, why)
		return nil, nil
	}
	// The server proves who it is. Over TLS its certificate did that already, and
	// some leave it out.
	if reply.token != nil || l.site.scheme != "https" || l.site.provisional() {
		if err := k.Accept(reply.token); err != nil {
			res.Body.Close()
			return nil, err
		}
	}
	l.signed = l.conn
	l.site.took(Kerberos, nil)
	return res, nil
}

// ntlm runs the NTLM handshake; results as in kerberos.
func (l *lane) ntlm(r *request, scheme string, t *attempt) (*http.Response, error) {
	a := l.site.signer.account
	var res *http.Response
	var refused bool
	err := a.Try(r.Context(), string(NTLM), func(_ context.Context, password connections.Secret) error {
		const attempts = 2 // a connection may be closed in between
		var err error
		for range attempts {
			res, err = l.ntlmHandshake(r, scheme, password) //nolint:bodyclose // handed on, or drained by the lane
			if !errors.Is(err, errOtherConnection) {
				break
			}
		}
		if errors.Is(err, errOtherConnection) {
			return &ProtocolError{Protocol: "NTLM", Server: l.site.host, Err: err}
		}
		if err != nil {
			return err
		}
		if res.StatusCode != http.StatusUnauthorized {
			return told(res)
		}
		refused = true
		t.last, t.status = NTLM, res.StatusCode
		drain(res)
		return l.judge401(NTLM, t)
	})
	switch {
	case err == nil, errors.Is(err, errUntold):
		l.signed = l.conn
		l.site.took(NTLM, t.why)
		return res, nil
	case refused && errors.Is(err, errRefused):
		return nil, nil
	case errors.Is(err, errNoChallenge):
		// No proof of the password was sent: this says nothing about it, nor of a right.
		t.kerberosOnly = strings.EqualFold(scheme, "Negotiate")
		if !t.kerberosOnly {
			t.why = append(t.why, err)
		}
		return nil, nil
	}
	return nil, err
}

// told reports whether an answer proves that the password was taken: a proxy or a server
// that is down answers too, without having looked at it.
func told(res *http.Response) error {
	if res.StatusCode < 300 || res.StatusCode == http.StatusInternalServerError { // SOAP faults come with 500
		return nil
	}
	return errUntold
}

var (
	errRefused     = errors.New("the server refused the sign-in although the password is right")
	errNotGranted  = errors.New("the server took the Kerberos ticket, and refused what was asked for")
	errNoChallenge = errors.New("the server offers NTLM but does not begin it")
)

// judge401 tells what a refusal after a whole sign-in means: a wrong password,
// unless something else has shown it to be right.
func (l *lane) judge401(m Method, t *attempt) error {
	a := l.site.signer.account
	if a.Proven() {
		return errRefused
	}
	return &WrongPasswordError{Account: a.o.Name, Protocol: string(m), Server: l.site.host, Err: errors.Join(t.why...)}
}

// ntlmHandshake returns the answer to the request, which is a 401 when the server
// does not let the account in.
func (l *lane) ntlmHandshake(r *request, scheme string, password connections.Secret) (*http.Response, error) {
	a := l.site.signer.account
	broken := func(err error) error { return &ProtocolError{Protocol: "NTLM", Server: l.site.host, Err: err} }
	hello := ntlmNegotiate()
	res, err := l.send(r, nil, scheme+" "+base64.StdEncoding.EncodeToString(hello))
	if err != nil {
		return nil, err
	}
	conn := l.conn
	o, _ := findOffer(parseOffers(res.Header), scheme)
	drain(res)
	switch {
	case res.StatusCode == http.StatusUnauthorized && o.token == nil:
		return nil, errNoChallenge
	case res.StatusCode != http.StatusUnauthorized:
		return nil, broken(errors.New(http.StatusText(res.StatusCode) + " instead of a challenge"))
	case res.Close:
		return nil, broken(errors.New("the server closes the connection after its challenge"))
	}
	challenge, wrapped := o.token, isNegotiation(o.token)
	if wrapped {
		n, err := parseNegotiation(challenge)
		if err != nil {
			return nil, broken(err)
		}
		challenge = n.token
	}
	c, err := parseNTLMChallenge(challenge)
	if err != nil {
		return nil, broken(err)
	}
	domain, user, suffix := a.nameParts()
	if suffix != "" {
		user = a.o.Name // servers look a UPN up as it is, without a domain
	}
	answer, err := ntlmAuthenticate(hello, c, ntlmAnswer{
		domain: domain, user: user, password: password, spn: "HTTP/" + l.site.name,
		certificate: l.certificate, now: a.o.Clock.Now(), rand: a.o.Rand,
	})
	if err != nil {
		return nil, broken(err)
	}
	if wrapped {
		if answer, err = negotiationNext(answer); err != nil {
			return nil, broken(err)
		}
	}
	res, err = l.send(r, r.body, scheme+" "+base64.StdEncoding.EncodeToString(answer))
	if err != nil {
		return nil, &UnsureError{err}
	}
	if res.StatusCode == http.StatusUnauthorized && l.conn != conn {
		// The server never saw the two together: this says nothing about the password.
		drain(res)
		return nil, errOtherConnection
	}
	return res, nil
}

// tryBasic sends the password itself; results as in kerberos. The connection is one
// over TLS with a trusted certificate, or there would be none.
func (l *lane) tryBasic(r *request, t *attempt) (*http.Response, error) {
	var res *http.Response
	err := l.site.signer.account.Try(r.Context(), string(Basic), func(context.Context, connections.Secret) error {
		var err error
		if res, err = l.send(r, r.body, l.basic()); err != nil { //nolint:bodyclose // handed on, or drained by the lane
			return &UnsureError{err}
		}
		if res.StatusCode != http.StatusUnauthorized {
			return told(res)
		}
		t.last, t.status = Basic, res.StatusCode
		drain(res)
		return l.judge401(Basic, t)
	})
	switch {
	case err == nil, errors.Is(err, errUntold):
		l.signed = l.conn
		l.site.took(Basic, t.why)
		return res, nil
	case errors.Is(err, errRefused):
		return nil, nil
	}
	return nil, err
}

func (a *Account) isUPN() bool {
	_, _, suffix := a.nameParts()
	return suffix != ""
}
