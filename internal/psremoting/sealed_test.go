package psremoting_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	. "github.com/c2conn/c2conn/internal/psremoting"
)

// secret is a security context that anybody can break, but which has what counts: it
// belongs to one connection, and knows the order of its messages.
type secret struct {
	id         byte // of the context
	sent, came byte
	accepted   bool
}

func (s *secret) Token() []byte { return []byte{'T', s.id} }

func (s *secret) Accept(reply []byte) error {
	if !bytes.Equal(reply, []byte{'R', s.id}) {
		return errors.New("this is not the server")
	}
	s.accepted = true
	return nil
}

func (s *secret) Wrap(b []byte) (header, data []byte, err error) {
	if !s.accepted {
		return nil, nil, errors.New("sealed too early")
	}
	s.sent++
	return []byte{'H', s.id, s.sent}, flip(b, s.id), nil
}

func (s *secret) Unwrap(header, data []byte) ([]byte, error) {
	s.came++
	if !bytes.Equal(header, []byte{'H', s.id, s.came}) {
		return nil, errors.New("not from this context, or out of order")
	}
	return flip(data, s.id), nil
}

func flip(b []byte, id byte) []byte {
	out := make([]byte, len(b))
	for i := range b {
		out[i] = b[i] ^ (0x80 | id)
	}
	return out
}

// keeper is the server's side: an endpoint over http that seals.
type keeper struct {
	*server
	scheme    string // that it offers and takes
	offer     []string
	after     func(n int) string // what becomes of the nth sealed request: "", "close", "forget", "plain", "length", "order", "redirect"
	mu        sync.Mutex
	contexts  map[net.Conn]*secret
	next      byte
	n         int
	legs      []string // what came before sealed requests
	plainBody bool     // a body came that was not sealed
}

type connKey struct{}

func newKeeper(t *testing.T, scheme string) *keeper {
	t.Helper()
	k := &keeper{server: newServer(t, outputs(`<S>a</S>`)), scheme: scheme, offer: []string{scheme}, contexts: map[net.Conn]*secret{}}
	h := httptest.NewUnstartedServer(k)
	h.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) }
	h.Start()
	t.Cleanup(h.Close)
	k.url = h.URL + "/PowerShell/"
	return k
}

func (k *keeper) sealing() Options {
	o := k.options()
	o.HTTP = nil
	o.Seal = func(_ context.Context, scheme string) (Sealer, error) {
		if scheme != k.scheme {
			k.t.Errorf("scheme %q", scheme)
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		k.next++
		return &secret{id: k.next}, nil
	}
	return o
}

func (k *keeper) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	c := r.Context().Value(connKey{}).(net.Conn)
	k.mu.Lock()
	s := k.contexts[c]
	k.mu.Unlock()
	if len(body) == 0 {
		k.signIn(w, r, c)
		return
	}
	protocol := "application/HTTP-" + map[string]string{"Kerberos": "Kerberos", "Negotiate": "SPNEGO"}[k.scheme] + "-session-encrypted"
	if s == nil || r.Header.Get("Content-Type") != `multipart/encrypted;protocol="`+protocol+`";boundary="Encrypted Boundary"` || r.Header.Get("Authorization") != "" {
		k.plainBody = true
		return
	}
	// The layout of MS-WSMV 2.2.9.1.1.2, by hand.
	head, rest, _ := bytes.Cut(body, []byte("\tContent-Type: application/octet-stream\r\n"))
	n := binary.LittleEndian.Uint32(rest)
	plain, err := s.Unwrap(rest[4:4+n], bytes.TrimSuffix(rest[4+n:], []byte("--Encrypted Boundary--\r\n")))
	want := fmt.Sprintf("--Encrypted Boundary\r\n\tContent-Type: %s\r\n\tOriginalContent: type=application/soap+xml;charset=UTF-8;Length=%d\r\n--Encrypted Boundary\r\n", protocol, len(plain))
	if err != nil || string(head) != want {
		k.t.Errorf("%v: %q", err, head)
	}
	k.n++
	what := ""
	if k.after != nil {
		what = k.after(k.n)
	}
	if what == "forget" {
		k.mu.Lock()
		delete(k.contexts, c)
		k.mu.Unlock()
		w.Header()["WWW-Authenticate"] = k.offer
		w.WriteHeader(401)
		return
	}
	if what == "redirect" {
		w.Header().Set("Location", "https://exch02/PowerShell/")
		w.WriteHeader(302)
		return
	}
	inner := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(plain))
	answer := httptest.NewRecorder()
	k.server.ServeHTTP(answer, inner)
	out := answer.Body.Bytes()
	if what == "order" {
		s.sent++
	}
	header, data, _ := s.Wrap(out)
	length := len(out)
	switch what {
	case "close":
		w.Header().Set("Connection", "close")
	case "length":
		length++
	case "plain":
		w.Header().Set("Content-Type", "application/soap+xml;charset=UTF-8")
		_, _ = w.Write(out)
		return
	}
	// As Exchange writes it: a space after the hyphens.
	w.Header().Set("Content-Type", `multipart/encrypted;protocol="`+protocol+`";boundary="Encrypted Boundary"`)
	w.WriteHeader(answer.Code)
	fmt.Fprintf(w, "-- Encrypted Boundary\r\n\tContent-Type: %s\r\n\tOriginalContent: type=application/soap+xml;charset=UTF-8;Length=%d\r\n-- Encrypted Boundary\r\n\tContent-Type: application/octet-stream\r\n", protocol, length)
	_, _ = w.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(header))))
	_, _ = w.Write(header)
	_, _ = w.Write(data)
	_, _ = io.WriteString(w, "-- Encrypted Boundary--\r\n")
}

func (k *keeper) signIn(w http.ResponseWriter, r *http.Request, c net.Conn) {
	k.mu.Lock()
	defer k.mu.Unlock()
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	k.legs = append(k.legs, scheme)
	b, _ := base64.StdEncoding.DecodeString(token)
	if scheme != k.scheme || len(b) != 2 || b[0] != 'T' {
		w.Header()["WWW-Authenticate"] = k.offer
		w.WriteHeader(401)
		return
	}
	k.contexts[c] = &secret{id: b[1], accepted: true}
	w.Header().Set("WWW-Authenticate", scheme+" "+base64.StdEncoding.EncodeToString([]byte{'R', b[1]}))
}

func TestSealed(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{SchemeKerberos, SchemeNegotiate} {
		k := newKeeper(t, scheme)
		k.offer = []string{"NTLM", "Basic realm=\"a\", " + scheme}
		session := k.open(k.sealing())
		for range 3 {
			if out, err := session.Run(t.Context(), command("Get-X")); err != nil || len(out.Objects) != 1 {
				t.Errorf("%+v %v", out, err)
			}
		}
		if err := session.Close(t.Context()); err != nil || k.left() != 0 || k.plainBody {
			t.Error(err, k.plainBody)
		}
		if got := strings.Join(k.legs, ","); got != ","+scheme {
			t.Errorf("signed in by %q", got)
		}
	}
}

// TestSealedFaults is a fault that comes sealed.
func TestSealedFaults(t *testing.T) {
	t.Parallel()
	k := newKeeper(t, SchemeKerberos)
	k.hook = func(q request) (int, string) { return 500, fault(q, 2150859173, "Too many.") }
	_, err := Open(t.Context(), k.sealing())
	var e *QuotaError
	if !errors.As(err, &e) || e.Err.Op != "Create" {
		t.Errorf("%T %v", err, err)
	}
}

// TestNewConnections loses the connection, or its context, between requests.
func TestNewConnections(t *testing.T) {
	t.Parallel()
	for what, n := range map[string]int{"close": 5, "forget": 5} {
		k := newKeeper(t, SchemeKerberos)
		k.after = func(i int) string {
			if i%n == 0 {
				return what
			}
			return ""
		}
		session := k.open(k.sealing())
		for range 6 {
			if out, err := session.Run(t.Context(), command("Get-X")); err != nil || len(out.Objects) != 1 {
				t.Errorf("%s: %+v %v", what, out, err)
			}
		}
		if err := session.Close(t.Context()); err != nil || k.left() != 0 || k.plainBody {
			t.Error(what, err)
		}
		if k.next < 4 {
			t.Errorf("%s: %d contexts", what, k.next)
		}
	}
}

func TestSealedRefused(t *testing.T) {
	t.Parallel()
	noSeal := errors.New("no ticket")
	for name, c := range map[string]struct {
		change func(*keeper, *Options)
		check  func(error, *Error) bool
	}{
		"nothing offered": {func(k *keeper, _ *Options) { k.offer = []string{"NTLM"} }, func(_ error, e *Error) bool {
			return e.Op == "sign-in" && e.Status == 401 && e.WWWAuth == "NTLM"
		}},
		"no ticket": {func(_ *keeper, o *Options) {
			o.Seal = func(context.Context, string) (Sealer, error) { return nil, noSeal }
		}, func(err error, _ *Error) bool { return errors.Is(err, noSeal) }},
		"token refused": {func(k *keeper, o *Options) {
			k.offer = []string{"Negotiate"}
			o.Seal = func(context.Context, string) (Sealer, error) { return &secret{}, nil }
		}, func(_ error, e *Error) bool { return e.Op == "sign-in" && e.Status == 401 }},
		"another server": {func(_ *keeper, o *Options) {
			o.Seal = func(context.Context, string) (Sealer, error) { return &impostor{}, nil }
		}, func(err error, _ *Error) bool { return strings.Contains(err.Error(), "this is not the server") }},
		"not sealed": {func(k *keeper, _ *Options) { k.after = func(int) string { return "plain" } }, func(err error, e *Error) bool {
			return errors.Is(err, ErrUnsealed) && e.Op == "Create"
		}},
		"wrong length": {func(k *keeper, _ *Options) { k.after = func(int) string { return "length" } }, func(err error, _ *Error) bool {
			return strings.Contains(err.Error(), "sealed")
		}},
		"out of order": {func(k *keeper, _ *Options) { k.after = func(int) string { return "order" } }, func(err error, _ *Error) bool {
			return strings.Contains(err.Error(), "out of order")
		}},
		"forgotten at once": {func(k *keeper, _ *Options) { k.after = func(int) string { return "forget" } }, func(err error, e *Error) bool {
			return errors.Is(err, ErrUnsealed) && e.Status == 401
		}},
		"redirected": {func(k *keeper, _ *Options) { k.after = func(int) string { return "redirect" } }, func(err error, e *Error) bool {
			var r *RedirectError
			return errors.As(err, &r) && r.URL == "https://exch02/PowerShell/" && errors.Is(err, ErrUnsealed) && e.Op == "Create"
		}},
		"nobody there": {func(_ *keeper, o *Options) {
			o.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, noSeal }
		}, func(err error, _ *Error) bool { return errors.Is(err, noSeal) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKeeper(t, SchemeKerberos)
			o := k.sealing()
			c.change(k, &o)
			_, err := Open(t.Context(), o)
			var e *Error
			if !errors.As(err, &e) || !c.check(err, e) || k.plainBody {
				t.Errorf("%T %v; %+v", err, err, e)
			}
		})
	}
}

// impostor gets the answer of a server that it does not know.
type impostor struct{ secret }

func (*impostor) Accept([]byte) error { return errors.New("this is not the server") }

// TestPlainAnswers talks to things that are no such endpoint.
func TestPlainAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		header http.Header
		check  func(error) bool
	}{
		"anonymous is fine": {200, nil, func(err error) bool { var e *Error; return errors.As(err, &e) && e.Status == 200 }},
		"elsewhere": {302, http.Header{"Location": {"https://exch02/PowerShell/"}}, func(err error) bool {
			var e *RedirectError
			return errors.As(err, &e) && e.URL == "https://exch02/PowerShell/"
		}},
		"TLS wanted": {403, nil, func(err error) bool { var e *DeniedError; return errors.As(err, &e) }},
		"no page":    {404, nil, func(err error) bool { var e *Error; return errors.As(err, &e) && e.Status == 404 }},
	} {
		n := 0
		h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n++
			b, _ := io.ReadAll(r.Body)
			if len(b) > 0 || r.Header.Get("Authorization") != "" {
				t.Errorf("%s: sent %q", name, b)
			}
			for k, v := range c.header {
				w.Header()[k] = v
			}
			w.WriteHeader(c.status)
		}))
		_, err := Open(t.Context(), Options{URL: h.URL, Seal: func(context.Context, string) (Sealer, error) { return &secret{}, nil }})
		if !c.check(err) || n != 1 {
			t.Errorf("%s: %d times, %T %v", name, n, err, err)
		}
		h.Close()
	}
}

// TestSealedCancel cancels while the answer is awaited, on a connection that can then
// not be used again.
func TestSealedCancel(t *testing.T) {
	t.Parallel()
	k := newKeeper(t, SchemeKerberos)
	session := k.open(k.sealing())
	ctx, cancel := context.WithCancel(t.Context())
	wait := make(chan struct{})
	k.hook = func(q request) (int, string) {
		if q.op == "Receive" {
			cancel()
			<-wait
		}
		return 0, ""
	}
	_, err := session.Run(ctx, command("Get-X"))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%T %v", err, err)
	}
	close(wait)
	if err := session.Close(t.Context()); err != nil || k.left() != 0 {
		t.Error(err)
	}
}
