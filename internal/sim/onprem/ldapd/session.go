package ldapd

import (
	"bufio"
	"crypto"
	_ "crypto/sha256" // channel bindings
	_ "crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"slices"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
)

const (
	idleLimit      = 15 * time.Minute // MaxConnIdleTime
	handshakeLimit = 30 * time.Second
	writeLimit     = 2 * time.Minute // MaxQueryDuration
)

// session is one connection.
type session struct {
	s       *Server
	conn    net.Conn
	in      *bufio.Reader
	out     *bufio.Writer
	binding []byte // channel binding; nil without TLS

	account string // DOMAIN\user, "" while anonymous
	sasl    *saslState
	pages   map[string]*page
	counter int
}

var errDone = errors.New("ldapd: the connection is over")

func (s *Server) serve(c net.Conn, withTLS bool) {
	x := &session{s: s, conn: c, pages: map[string]*page{}}
	if withTLS {
		if err := x.startTLS(); err != nil {
			return
		}
	}
	x.use(x.conn)
	for {
		_ = x.conn.SetReadDeadline(time.Now().Add(idleLimit)) //nolint:forbidigo // a socket goes by the computer's clock
		message, err := readMessage(x.in)
		if errors.Is(err, errMalformed) {
			x.disconnect("The message is no LDAP message.")
			return
		} else if err != nil {
			return
		}
		if x.handle(message) != nil {
			return
		}
	}
}

func (x *session) use(c net.Conn) {
	x.conn, x.in, x.out = c, bufio.NewReader(c), bufio.NewWriter(c)
}

func (x *session) startTLS() error {
	_ = x.conn.SetDeadline(time.Now().Add(handshakeLimit)) //nolint:forbidigo // a socket goes by the computer's clock
	var shown *tls.Certificate
	c := tls.Server(x.conn, x.s.tlsConfig(&shown))
	if err := c.HandshakeContext(x.s.ctx); err != nil {
		return err
	}
	_ = c.SetDeadline(time.Time{})
	x.conn = c
	leaf, err := x509.ParseCertificate(shown.Certificate[0])
	if err != nil {
		return err
	}
	h := bindingHash(leaf.SignatureAlgorithm).New()
	h.Write(leaf.Raw)
	x.binding = h.Sum([]byte("tls-server-end-point:"))
	return nil
}

// bindingHash is the hash of a tls-server-end-point binding (RFC 5929, section 4.1).
func bindingHash(a x509.SignatureAlgorithm) crypto.Hash {
	switch a {
	case x509.SHA384WithRSA, x509.ECDSAWithSHA384, x509.SHA384WithRSAPSS:
		return crypto.SHA384
	case x509.SHA512WithRSA, x509.ECDSAWithSHA512, x509.SHA512WithRSAPSS:
		return crypto.SHA512
	}
	return crypto.SHA256
}

// handle answers one message; an error ends the connection.
func (x *session) handle(message []byte) error {
	q, err := parseRequest(message)
	if err != nil {
		op, answered := answerOp(q.op)
		if q.id == 0 || !answered {
			x.disconnect("The message is no LDAP message.")
			return errDone
		}
		return x.send(result{code: resultProtocol, text: "00000057: LdapErr: DSID-0C0C0095, comment: Error decoding ldap message, data 0, v4563"}.packet(q.id, op))
	}
	op, answered := answerOp(q.op)
	if answered && x.unknownControl(q.controls) {
		return x.send(result{code: resultNoExtension, text: "00000057: LdapErr: DSID-0C090837, comment: Error processing control, data 0, v4563"}.packet(q.id, op))
	}
	switch q.op {
	case opUnbind:
		return errDone
	case opAbandon:
		return nil // every request was answered before the next was read
	case opBind:
		return x.send(x.bind(q.bind).packet(q.id, op))
	case opSearch:
		return x.search(q)
	case opExtended:
		return x.extended(q)
	case opModify, opAdd, opDelete, opRename, opCompare:
		if x.account == "" {
			return x.send(notBound().packet(q.id, op))
		}
		return x.send(result{code: resultNoRight, text: "00000005: SecErr: DSID-03152E29, problem 4003 (INSUFF_ACCESS_RIGHTS), data 0\n\x00"}.packet(q.id, op))
	}
	x.disconnect("The operation is unknown.")
	return errDone
}

func (x *session) unknownControl(list []control) bool {
	return slices.ContainsFunc(list, func(c control) bool {
		return c.critical && !slices.Contains(supportedControls(), c.kind)
	})
}

func supportedControls() []string {
	return []string{controlPaged, controlDomainScope, controlManageDSAIT, controlSearchOptions}
}

func (x *session) extended(q request) error {
	switch q.extended.name {
	case extendedStartTLS:
		r := result{name: extendedStartTLS}
		switch {
		case x.binding != nil:
			r.code, r.text = resultOperations, "00000000: LdapErr: DSID-0C090E17, comment: TLS or SSL already in effect, data 0, v4563"
		case x.s.o.Certificate == nil || x.s.fault(FaultNoTLS):
			r.code, r.text = 52, "00000000: LdapErr: DSID-0C090F9A, comment: Error initializing SSL/TLS, data 0, v4563"
		case x.in.Buffered() > 0:
			// What came before the handshake must not count as come after it.
			return errDone
		}
		if err := x.send(r.packet(q.id, opExtAnswer)); err != nil || r.code != resultSuccess {
			return err
		}
		if err := x.startTLS(); err != nil {
			return err
		}
		// RFC 4513, section 3.1.2 lets the server keep the identity; here it starts anew.
		x.account, x.sasl = "", nil
		x.use(x.conn)
		return nil
	case extendedWhoAmI:
		r := result{hasValue: true}
		if x.account != "" {
			r.value = "u:" + x.account
		}
		return x.send(r.packet(q.id, opExtAnswer))
	}
	return x.send(result{code: resultProtocol, text: "0000203D: LdapErr: DSID-0C0912E2, comment: Unknown extended request OID, data 0, v4563"}.packet(q.id, opExtAnswer))
}

// disconnect sends the notice of disconnection (RFC 4511, section 4.4.1).
func (x *session) disconnect(why string) {
	_ = x.send(result{code: resultProtocol, text: why, name: disconnectionNotice}.packet(0, opExtAnswer))
}

func (x *session) send(packets ...*ber.Packet) error {
	_ = x.conn.SetWriteDeadline(time.Now().Add(writeLimit)) //nolint:forbidigo // a socket goes by the computer's clock
	for _, p := range packets {
		if _, err := x.out.Write(p.Bytes()); err != nil {
			return err
		}
	}
	return x.out.Flush()
}
