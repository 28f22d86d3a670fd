package onprem

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/c2conn/c2conn/internal/sim/onprem/httpauth"
)

// maxBody is what the web server reads of a request.
const maxBody = 8 << 20

// site is a web site of IIS at one of its bindings: a host's port.
type site struct {
	secure func() bool                        // https, as the binding is now
	shown  func(host string) *tls.Certificate // what a client sees who asks for this name
	fate   func(host string) fate
	wait   func() time.Duration // before every answer
	route  func(out *noting, r *request)

	address string
	server  *http.Server
}

// fate is what becomes of connections to a name.
type fate int

const (
	answered fate = iota
	ignored       // nothing is ever said
	cutOff
)

var errCut = errors.New("connection cut by a fault")

// serveSite listens at a binding. IIS speaks HTTP/1.1 there, because signing in by NTLM
// or Kerberos belongs to a connection.
func (w *World) serveSite(s *site) error {
	var config net.ListenConfig
	listener, err := config.Listen(context.Background(), "tcp4", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for the web server: %w", err)
	}
	s.address = listener.Addr().String()
	s.server = &http.Server{
		Handler: w.handler(s), ReadHeaderTimeout: time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: log.New(debugWriter(w.options.Debug), "", 0),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return httpauth.ConnContext(context.WithValue(ctx, connKey{}, w.conns.Add(1)), c)
		},
	}
	w.sites = append(w.sites, s)
	door := &doors{listener, s, &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) { return w.hello(s, h) }}}
	w.done.Go(func() { _ = s.server.Serve(door) })
	return nil
}

// doors let connections in by TLS or without, as the binding is when they come.
type doors struct {
	net.Listener
	site   *site
	config *tls.Config
}

// Accept waits for a connection.
func (d *doors) Accept() (net.Conn, error) {
	c, err := d.Listener.Accept()
	if err == nil && d.site.secure() {
		c = tls.Server(&tlsOnly{Conn: c}, d.config)
	}
	return c, err
}

// tlsOnly hangs up on who does not begin with a TLS handshake, as http.sys does: without
// a word.
type tlsOnly struct {
	net.Conn
	begun bool
}

const handshake = 22 // content type of a TLS record

// Read reads from the connection; it is called by one goroutine at a time.
func (c *tlsOnly) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 && !c.begun {
		if c.begun = true; b[0] != handshake {
			_ = c.Conn.Close()
			return 0, io.EOF
		}
	}
	return n, err
}

type connKey struct{}

type debugWriter func(format string, args ...any)

// Write takes a line of the server's.
func (d debugWriter) Write(line []byte) (int, error) {
	d("%s", bytes.TrimSpace(line))
	return len(line), nil
}

// hello chooses the certificate, or keeps silent.
func (w *World) hello(s *site, h *tls.ClientHelloInfo) (*tls.Config, error) {
	switch s.fate(h.ServerName) {
	case ignored:
		select {
		case <-w.closing.Done():
		case <-h.Context().Done():
		}
		return nil, errCut
	case cutOff:
		_ = h.Conn.Close()
		return nil, errCut
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, Certificates: []tls.Certificate{*s.shown(h.ServerName)}}, nil
}

// trusting is what a client trusts that knows the company's authority and has looked
// at the certificates of the Exchange Server and of SharePoint.
func (w *World) trusting() *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(w.authority.certificate)
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, //nolint:gosec // verified below, by trust or by the very certificate
		VerifyConnection: func(state tls.ConnectionState) error {
			leaf := state.PeerCertificates[0]
			if leaf.Equal(w.shown(Server).Leaf) || leaf.Equal(w.farmCertificate(SharePoint).Leaf) || leaf.Equal(w.centralCertificate(SharePoint).Leaf) {
				return nil
			}
			_, err := leaf.Verify(x509.VerifyOptions{DNSName: state.ServerName, Roots: roots, CurrentTime: w.now()})
			return err
		},
	}
}

// request is one request on its way through the web server.
type request struct {
	*http.Request
	world  *World
	secure bool
	host   string // without the port
	port   string // unless it is a well-known one
	path   string // lower case
	body   []byte
	id     string
	who    *httpauth.Identity // nil: nobody has signed in

	note Request
}

// answer is what a virtual directory says.
type answer struct {
	name   string // for the record
	status int
	header http.Header
	body   []byte
	code   string // response code or reason, for the record
	hang   bool
}

func newAnswer(name string, status int, contentType string, body string) *answer {
	a := &answer{name: name, status: status, header: http.Header{}, body: []byte(body)}
	if contentType != "" {
		a.header.Set("Content-Type", contentType)
	}
	return a
}

func (a *answer) because(code string) *answer { a.code = code; return a }

// handler serves a binding: it notes every request, also those that are refused.
func (w *World) handler(s *site) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, hr *http.Request) {
		r := &request{Request: hr, world: w, secure: hr.TLS != nil, path: strings.ToLower(hr.URL.Path), id: w.ids.guid()}
		r.host = strings.ToLower(hr.Host)
		if host, port, err := net.SplitHostPort(r.host); err == nil {
			if r.host = host; port != "443" && port != "80" {
				r.port = port
			}
		}
		r.begin()
		if fate := s.fate(r.host); !r.secure && fate != answered {
			if fate == ignored {
				w.hang(hr.Context())
			}
			w.record.add(r.end("silent", 0))
			panic(http.ErrAbortHandler)
		}
		out := &noting{ResponseWriter: rw, r: r}
		out.Header().Set("Server", "Microsoft-IIS/10.0")
		out.Header().Set("X-Powered-By", "ASP.NET")
		if wait := s.wait(); wait > 0 {
			_ = w.options.Sleep(hr.Context(), wait)
		}
		s.route(out, r)
		if !out.done { // a handler that wrote nothing has said 200
			out.WriteHeader(http.StatusOK)
		}
	})
}

func (w *World) hang(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-w.closing.Done():
	}
}

func (r *request) begin() {
	scheme := "http"
	if r.secure {
		scheme = "https"
	}
	host := r.host
	if r.port != "" {
		host += ":" + r.port
	}
	conn, _ := r.Context().Value(connKey{}).(int64)
	r.note = Request{Name: r.Method + " " + r.path, Method: r.Method, URL: scheme + "://" + host + r.URL.RequestURI(), Conn: conn, StartMS: r.world.millis(r.world.options.Now())}
	r.note.Scheme, _, _ = strings.Cut(r.Header.Get("Authorization"), " ")
}

func (r *request) end(name string, status int) Request {
	if name != "" {
		r.note.Name = name
	}
	if r.who != nil {
		r.note.User, r.note.Via = r.who.User.SAM, string(r.who.Mechanism)
	}
	r.note.Status, r.note.EndMS = status, r.world.millis(r.world.options.Now())
	return r.note
}

// noting records the answer's status before the client can know it.
type noting struct {
	http.ResponseWriter
	r    *request
	name string
	done bool
}

// WriteHeader begins the answer.
func (n *noting) WriteHeader(status int) {
	if !n.done {
		n.done = true
		h := n.Header()
		h.Set("Date", n.r.world.now().UTC().Format(http.TimeFormat))
		n.r.world.record.add(n.r.end(n.name, status))
	}
	n.ResponseWriter.WriteHeader(status)
}

// Write is a part of the answer.
func (n *noting) Write(b []byte) (int, error) {
	if !n.done {
		n.WriteHeader(http.StatusOK)
	}
	return n.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController find what is beneath.
func (n *noting) Unwrap() http.ResponseWriter { return n.ResponseWriter }

// send writes an answer.
func (r *request) send(out *noting, a *answer) {
	if a.hang {
		r.world.hang(r.Context())
		r.world.record.add(r.end(a.name, 0))
		panic(http.ErrAbortHandler)
	}
	h := out.Header()
	for key, values := range a.header {
		h[key] = values
	}
	h.Set("Content-Length", strconv.Itoa(len(a.body)))
	out.name, r.note.Error = a.name, a.code
	out.WriteHeader(a.status)
	if r.Method != http.MethodHead {
		_, _ = out.Write(a.body)
	}
}

// read reads the body; false: it is too large, or the client went away.
func (r *request) read(out *noting) bool {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		r.world.record.add(r.end("unreadable", 0))
		panic(http.ErrAbortHandler)
	}
	if len(body) > maxBody {
		r.send(out, newAnswer("too large", http.StatusRequestEntityTooLarge, "", ""))
		return false
	}
	r.body = body
	return true
}
