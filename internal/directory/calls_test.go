package directory_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/directory"
	"github.com/c2conn/c2conn/internal/sim/onprem/ldapd"
)

// watched is a connection that tells when something is about to be written.
type watched struct {
	net.Conn
	written *atomic.Pointer[func()]
}

func (c *watched) Write(b []byte) (int, error) {
	if f := c.written.Load(); f != nil {
		(*f)()
	}
	return c.Conn.Write(b)
}

func TestCallsObeyTheirContextAndRecover(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	var written atomic.Pointer[func()]
	c := w.open(func(o *directory.Options) {
		o.Limit = time.Hour
		o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := w.dial(ctx, network, address)
			return &watched{conn, &written}, err
		}
	})
	if err := w.server.SetFault(ldapd.FaultSlow, true); err != nil {
		t.Fatal(err)
	}
	stop := func() { cancel() }
	written.Store(&stop)
	if _, err := c.Suffixes(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	written.Store(nil)
	if err := w.server.SetFault(ldapd.FaultSlow, false); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Suffixes(t.Context()); err != nil {
		t.Errorf("the next call failed: %v", err)
	}
	if asked := w.asked(); len(asked) != 2 {
		t.Errorf("asked %v", asked)
	}
}

func TestCallsHaveALimit(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	o := w.options()
	if err := w.server.SetFault(ldapd.FaultSlow, true); err != nil {
		t.Fatal(err)
	}
	o.Limit = 50 * time.Millisecond
	_, err := directory.Open(t.Context(), o)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no answer within ") {
		t.Errorf("the error is %v", err)
	}
	// A server that does not even shake hands is named with what was tried.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	w.point("dc1.corp.test:636", l.Addr().String())
	o.Servers = []string{"dc1.corp.test:636"}
	_, err = directory.Open(t.Context(), o)
	var unreachable *directory.UnreachableError
	if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &unreachable) || len(unreachable.Tried) != 1 {
		t.Errorf("the error is %v", err)
	}
}

func TestDroppedConnection(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	c := w.open(nil)
	if err := w.server.SetFault(ldapd.FaultDrop, true); err != nil {
		t.Fatal(err)
	}
	_, err := c.Suffixes(t.Context())
	var e *directory.Error
	if !errors.As(err, &e) || e.Code != 0 {
		t.Errorf("the error is %v", err)
	}
	if err := w.server.SetFault(ldapd.FaultDrop, false); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Suffixes(t.Context()); err != nil {
		t.Errorf("the next call failed: %v", err)
	}
}

func TestClosedClient(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	c := w.open(nil)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, err := c.Suffixes(t.Context()); err == nil {
		t.Error("a closed client answers")
	}
}

func TestIdleConnectionIsMadeAnew(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	var last atomic.Value
	c := w.open(func(o *directory.Options) {
		o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := w.dial(ctx, network, address)
			if err == nil {
				last.Store(conn)
			}
			return conn, err
		}
	})
	// As a domain controller does after 15 minutes.
	if err := last.Load().(net.Conn).Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Suffixes(t.Context()); err != nil {
		t.Error(err)
	}
	if checked, failed := w.server.SignIns(); checked != 2 || failed != 0 {
		t.Errorf("%d sign-ins, %d failed", checked, failed)
	}
}

func TestConnectionThatEndsWithTheQuestion(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	var written atomic.Pointer[func()]
	var last atomic.Value
	c := w.open(func(o *directory.Options) {
		o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := w.dial(ctx, network, address)
			last.Store(&watched{conn, &written})
			return last.Load().(net.Conn), err
		}
	})
	end := func() {
		written.Store(nil)
		_ = last.Load().(net.Conn).Close()
	}
	written.Store(&end)
	if _, err := c.Suffixes(t.Context()); err != nil {
		t.Error(err)
	}
	if asked := w.asked(); len(asked) != 2 {
		t.Errorf("asked %v", asked)
	}
}

func TestAnswersHaveALimit(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	partitions := "CN=Partitions,CN=Configuration,DC=corp,DC=test"
	if err := w.tree.Set(partitions, "uPNSuffixes", strings.Repeat("x", 5<<20)); err != nil {
		t.Fatal(err)
	}
	c := w.open(nil)
	if _, err := c.Suffixes(t.Context()); err == nil || !strings.Contains(err.Error(), "more than is taken") {
		t.Errorf("the error is %v", err)
	}
	if err := w.tree.Set(partitions, "uPNSuffixes", "x.example"); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Suffixes(t.Context()); err != nil || !slices.Equal(got, []string{"corp.test", "x.example"}) {
		t.Errorf("the next call gives %v, %v", got, err)
	}
}
