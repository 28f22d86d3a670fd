package psremoting

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/c2conn/c2conn/internal/transport"
)

// plain is the link over http, where each message is sealed. A security context
// belongs to one connection, so this keeps its own: net/http's client does not tell
// on which connection a request will go before its body is made.
type plain struct {
	o      Options
	u      *url.URL
	host   string // with port
	scheme string // of the sign-in, as the server offered it
	conn   *wire
}

func newPlain(o Options, u *url.URL) *plain {
	p := &plain{o: o, u: u, host: u.Host}
	if u.Port() == "" {
		p.host = net.JoinHostPort(u.Hostname(), "80")
	}
	return p
}

// post implements link.
func (p *plain) post(ctx context.Context, id string, envelope []byte) (reply, error) {
	if p.conn != nil && !p.conn.alive() {
		p.close()
	}
	reused := p.conn != nil
	if !reused {
		if err := p.connect(ctx, id); err != nil {
			return reply{}, err
		}
	}
	r, err := p.sealed(ctx, id, envelope)
	var refused *Error
	if reused && errors.As(err, &refused) && refused.Status == http.StatusUnauthorized {
		// The server has forgotten the context, and so has not read the request.
		p.close()
		if err := p.connect(ctx, id); err != nil {
			return reply{}, err
		}
		r, err = p.sealed(ctx, id, envelope)
	}
	if err != nil {
		p.close() // its sequence numbers, or its bytes, may be out of step
	}
	return r, err
}

// sealed sends an envelope over the connection that is signed in.
func (p *plain) sealed(ctx context.Context, id string, envelope []byte) (reply, error) {
	body, contentType, err := seal(p.conn.sealer, p.scheme, envelope)
	if err != nil {
		return reply{}, fmt.Errorf("seal the request: %w", err)
	}
	r, err := p.exchange(ctx, id, body, http.Header{"Content-Type": {contentType}})
	if err != nil {
		return reply{}, err
	}
	// Where the server no longer knows the context it answers 401, of course unsealed,
	// and IIS redirects and refuses unsealed, too. The header is then all we look at.
	if !sealed(r.header.Get("Content-Type")) {
		return reply{}, refusal(&Error{RequestID: id, Err: ErrUnsealed}, r)
	}
	plain, err := unseal(p.conn.sealer, r.header.Get("Content-Type"), r.body)
	if err != nil {
		return reply{}, fmt.Errorf("open the sealed answer: %w", err)
	}
	r.body = plain
	return r, nil
}

// connect makes a connection and signs in on it, with requests that have no body. The
// first asks how; source of that order: MS-WSMV 2.2.9.1 and RFC 4559 section 5.
func (p *plain) connect(ctx context.Context, id string) error {
	err := p.dial(ctx)
	if err == nil {
		err = p.signIn(ctx, id)
	}
	if err != nil {
		p.close()
		return &unsent{err}
	}
	return nil
}

// dial replaces the connection by a new one.
func (p *plain) dial(ctx context.Context) error {
	p.close()
	dial := p.o.Dial
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	c, err := dial(ctx, "tcp", p.host)
	if err != nil {
		return err
	}
	p.conn = newWire(c)
	return nil
}

func (p *plain) signIn(ctx context.Context, id string) error {
	if p.scheme == "" {
		r, err := p.exchange(ctx, id, nil, http.Header{})
		if err != nil {
			return err
		}
		if p.scheme = offered(r.header); r.status != http.StatusUnauthorized || p.scheme == "" {
			return p.refused(id, r)
		}
		if p.conn.over {
			if err := p.dial(ctx); err != nil {
				return err
			}
		}
	}
	s, err := p.o.Seal(ctx, p.scheme)
	if err != nil {
		return err
	}
	r, err := p.exchange(ctx, id, nil, http.Header{"Authorization": {p.scheme + " " + base64.StdEncoding.EncodeToString(s.Token())}})
	if err != nil {
		return err
	}
	token, ok := answered(r.header, p.scheme)
	if r.status == http.StatusUnauthorized || r.status >= 300 && r.status < 400 || !ok {
		return p.refused(id, r)
	}
	// This is what tells the server from somebody who says so.
	if err := s.Accept(token); err != nil {
		return err
	}
	if p.conn.over {
		return errors.New("the server ends the connection after the sign-in, which holds for that connection only")
	}
	p.conn.sealer = s
	return nil
}

// refused is the error of a sign-in that was not taken.
func (p *plain) refused(id string, r reply) error {
	fail := &Error{Op: "sign-in", RequestID: id}
	if r.status < 300 {
		fail.Err = errors.New("the server wants no Kerberos, or does not prove who it is")
	}
	return refusal(fail, r)
}

// refusal makes of fail what the header of an answer says. Over http that is nobody's
// word: it ends the request, and nothing follows from it.
func refusal(fail *Error, r reply) error {
	fail.Status = r.status
	switch {
	case r.status >= 300 && r.status < 400:
		return &RedirectError{URL: transport.CleanText(r.header.Get("Location"), 2000), Err: fail}
	case r.status == http.StatusForbidden:
		return &DeniedError{Err: fail}
	case r.status == http.StatusUnauthorized:
		fail.WWWAuth = wwwAuthenticate(r.header)
	}
	return fail
}

// exchange sends one request and reads its answer. With a body it is sealed.
func (p *plain) exchange(ctx context.Context, id string, body []byte, header http.Header) (reply, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.u.String(), bytes.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	if len(body) > 0 && p.conn.sealer == nil {
		return reply{}, ErrPlainHTTP // cannot happen; and must not
	}
	req.Header = header
	common(req.Header, id, p.o.UserAgent)
	if len(body) == 0 {
		req.Body, req.ContentLength = http.NoBody, 0
	}
	return p.conn.do(ctx, req)
}

// close implements link.
func (p *plain) close() {
	if p.conn != nil {
		p.conn.c.Close()
		p.conn = nil
	}
}

// offered picks the scheme with which Kerberos is taken. Exchange offers "Kerberos"
// alone (seen in jborean93/pypsrp#66), WinRM both.
func offered(h http.Header) string {
	for _, scheme := range []string{SchemeKerberos, SchemeNegotiate} {
		if _, ok := challenge(h, scheme); ok {
			return scheme
		}
	}
	return ""
}

// answered returns the token that completes the sign-in.
func answered(h http.Header, scheme string) ([]byte, bool) {
	s, ok := challenge(h, scheme)
	if !ok || s == "" {
		return nil, false
	}
	b, err := base64.StdEncoding.DecodeString(s)
	return b, err == nil
}

// challenge finds a scheme in WWW-Authenticate, and what stands after its name.
func challenge(h http.Header, scheme string) (string, bool) {
	for _, line := range h.Values("WWW-Authenticate") {
		for _, c := range strings.Split(line, ",") {
			name, rest, _ := strings.Cut(strings.TrimSpace(c), " ")
			if strings.EqualFold(name, scheme) {
				return strings.TrimSpace(rest), true
			}
		}
	}
	return "", false
}

func wwwAuthenticate(h http.Header) string {
	return transport.CleanText(strings.Join(h.Values("WWW-Authenticate"), ", "), 2000)
}

// wire is one connection, and who is signed in on it.
type wire struct {
	c      net.Conn
	r      *bufio.Reader
	limit  *io.LimitedReader // of one answer, its header included
	first  chan error        // the first byte of an answer came, or the connection ended
	over   bool              // the server has said that it closes it
	sealer Sealer            // nil until signed in
}

func newWire(c net.Conn) *wire {
	limit := &io.LimitedReader{R: c}
	w := &wire{c: c, limit: limit, r: bufio.NewReader(limit)}
	w.listen()
	return w
}

// listen waits for the first byte beside whoever writes, so that a connection that
// the server has closed is known before the next request goes out.
func (w *wire) listen() {
	w.limit.N = answerLimit + 256<<10
	w.first = make(chan error, 1)
	go func() {
		_, err := w.r.Peek(1)
		w.first <- err
	}()
}

// alive reports whether nothing has come between two requests, neither the end nor
// bytes that nobody asked for.
func (w *wire) alive() bool { return !w.over && len(w.first) == 0 }

// do sends a request and reads its answer. After an error the connection is done for.
func (w *wire) do(ctx context.Context, req *http.Request) (reply, error) {
	stop := context.AfterFunc(ctx, func() { w.c.Close() })
	defer stop()
	r, err := w.roundTrip(req)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return reply{}, cause
	}
	return r, err
}

func (w *wire) roundTrip(req *http.Request) (reply, error) {
	if err := req.Write(w.c); err != nil {
		return reply{}, fmt.Errorf("send the request: %w", err)
	}
	if err := <-w.first; err != nil {
		return reply{}, fmt.Errorf("the connection was cut before the answer came: %w", err)
	}
	res, err := http.ReadResponse(w.r, req) //nolint:bodyclose // readBody reads it to its end, and the connection is ours
	if err != nil {
		return reply{}, fmt.Errorf("read the answer: %w", err)
	}
	body, err := readBody(res)
	if err != nil {
		return reply{}, err
	}
	w.over = res.Close
	w.listen()
	return reply{res.StatusCode, res.Header, body}, nil
}
