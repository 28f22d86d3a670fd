package psremoting_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	. "github.com/c2conn/c2conn/internal/psremoting"
)

// TestHalfOpen breaks Open at every place: no shell may be left.
func TestHalfOpen(t *testing.T) {
	t.Parallel()
	broken := func(n int, extra string) []step {
		return []step{{messages: [][]byte{msg(poolState, [16]byte{}, fmt.Sprintf(`<Obj RefId="1"><MS><I32 N="RunspaceState">%d</I32>%s</MS></Obj>`, n, extra))}}}
	}
	other := [16]byte{1}
	for name, c := range map[string]struct {
		pool []step
		hook func(*server) func(request) (int, string)
		ops  string
		is   func(error) bool
	}{
		"broken": {pool: broken(5, ""), is: func(err error) bool {
			var e *StoppedError
			return errors.As(err, &e) && e.State == "broken"
		}},
		"closed, with a reason": {pool: broken(3, record("ExceptionAsErrorRecord", "id", "System.Exception", "No runspace for you.", 8)), is: func(err error) bool {
			var e *CommandError
			return errors.As(err, &e) && e.Message == "No runspace for you."
		}},
		"other version": {pool: []step{{messages: [][]byte{msg(sessionCapability, [16]byte{}, `<Obj RefId="0"><MS><Version N="protocolversion">3.0</Version></MS></Obj>`)}}}},
		"key exchange":  {pool: []step{{messages: [][]byte{msg(publicKeyRequest, [16]byte{}, `<S/>`)}}}},
		"no object":     {pool: []step{{messages: [][]byte{msg(poolState, [16]byte{}, `<Obj>`)}}}},
		"no state":      {pool: []step{{messages: [][]byte{msg(poolState, [16]byte{}, `<Obj RefId="0"/>`)}}}},
		"a console":     {pool: []step{{messages: [][]byte{msg(poolHostCall, [16]byte{}, `<Obj RefId="0"><MS><Obj N="mi" RefId="1"><I32>11</I32></Obj></MS></Obj>`)}}}},
		"short message": {pool: []step{{messages: [][]byte{make([]byte, 39)}}}},
		"to the server": {pool: []step{{messages: [][]byte{append([]byte{2}, make([]byte, 60)...)}}}},
		"a pipeline's":  {pool: []step{{messages: [][]byte{msg(poolState, other, `<S/>`)}}}},
		"done":          {pool: []step{{done: true}}},
		"fault in Receive": {hook: func(*server) func(request) (int, string) {
			return func(q request) (int, string) {
				if q.op == "Receive" {
					return 500, fault(q, 995, "The I/O operation has been aborted.")
				}
				return 0, ""
			}
		}},
		"the answer of Create is lost": {ops: "Create, Delete", hook: func(s *server) func(request) (int, string) {
			return func(q request) (int, string) {
				if q.op == "Create" { // made under our own id, as servers of version 2.2 do
					id := ownID(q)
					s.mu.Lock()
					s.shells[id] = true
					s.mu.Unlock()
					panic(http.ErrAbortHandler)
				}
				return 0, ""
			}
		}},
		"the answer of Create is unreadable": {ops: "Create, Delete", hook: func(s *server) func(request) (int, string) {
			return func(q request) (int, string) {
				if q.op == "Create" {
					id := ownID(q)
					s.mu.Lock()
					s.shells[id] = true
					s.mu.Unlock()
					return 200, "<html>"
				}
				return 0, ""
			}
		}},
		"the answer of Create is another's, and there is no shell": {ops: "Create, Delete", hook: func(*server) func(request) (int, string) {
			return func(q request) (int, string) {
				if q.op == "Create" {
					q.id = "uuid:other"
					return 200, envelope(q, "")
				}
				return 0, ""
			}
		}, is: func(err error) bool { return !strings.Contains(err.Error(), "left behind") }},
		"Delete fails, too": {pool: broken(5, ""), hook: func(s *server) func(request) (int, string) {
			return func(q request) (int, string) {
				if q.op == "Delete" {
					s.mu.Lock()
					clear(s.shells)
					s.mu.Unlock()
					return 503, ""
				}
				return 0, ""
			}
		}, is: func(err error) bool {
			var e *StoppedError
			return errors.As(err, &e) && strings.Contains(err.Error(), "left behind")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, outputs())
			if c.pool != nil {
				s.pool = c.pool
			}
			if c.hook != nil {
				s.hook = c.hook(s)
			}
			_, err := Open(t.Context(), s.options())
			if err == nil || c.is != nil && !c.is(err) {
				t.Errorf("%T %v", err, err)
			}
			if c.ops == "" {
				c.ops = "Create, Receive, Delete"
			}
			if got := s.seen(); got != c.ops || s.left() != 0 {
				t.Errorf("%s; %d left", got, s.left())
			}
		})
	}
}

// ownID is the ShellId that a Create proposes.
func ownID(q request) string {
	_, after, _ := strings.Cut(q.raw, `<rsp:Shell ShellId="`)
	id, _, _ := strings.Cut(after, `"`)
	return id
}

func TestCancelOpen(t *testing.T) {
	t.Parallel()
	s := newServer(t, outputs())
	ctx, cancel := context.WithCancel(t.Context())
	s.hook = func(q request) (int, string) {
		if q.op == "Receive" {
			cancel()
			<-q.http.Context().Done()
			return 500, ""
		}
		return 0, ""
	}
	if _, err := Open(ctx, s.options()); !errors.Is(err, context.Canceled) {
		t.Errorf("%T %v", err, err)
	}
	if got := s.seen(); got != "Create, Receive, Delete" || s.left() != 0 {
		t.Error(got)
	}
}

func TestBadOptions(t *testing.T) {
	t.Parallel()
	s := newServer(t, outputs())
	for name, o := range map[string]Options{
		"no address":      {HTTP: s.c},
		"no host":         {URL: "https:///PowerShell/", HTTP: s.c},
		"other scheme":    {URL: "ftp://exch01/", HTTP: s.c},
		"user in it":      {URL: strings.Replace(s.url, "://", "://a:b@", 1), HTTP: s.c},
		"nobody signs in": {URL: s.url},
		"sealing only":    {URL: s.url, Seal: func(context.Context, string) (Sealer, error) { return nil, errors.New("no") }},
		"small envelopes": {URL: s.url, HTTP: s.c, Envelope: 100},
		"no ids":          {URL: s.url, HTTP: s.c, Rand: strings.NewReader("x")},
	} {
		if _, err := Open(t.Context(), o); err == nil || strings.Contains(err.Error(), "a:b") {
			t.Errorf("%s: %v", name, err)
		}
	}
	plain := strings.Replace(s.url, "https", "http", 1)
	if _, err := Open(t.Context(), Options{URL: plain, HTTP: s.c}); !errors.Is(err, ErrPlainHTTP) {
		t.Error(err)
	}
	if got := s.seen(); got != "" {
		t.Error("something was sent: ", got)
	}
}
