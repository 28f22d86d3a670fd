package directory

import (
	"context"
	"net"
	"sync/atomic"
	"time"
)

// answerLimit is how many bytes one request may bring. A page of a thousand
// entries with the few attributes asked for is a tenth of it.
const answerLimit = 4 << 20

// wire is the TCP connection beneath TLS. It ends when too much comes in, and it
// can be cut by a context, which go-ldap knows nothing of.
type wire struct {
	net.Conn
	left atomic.Int64
}

func newWire(c net.Conn) *wire {
	w := &wire{Conn: c}
	w.allow()
	return w
}

// allow gives the next request its share.
func (w *wire) allow() { w.left.Store(answerLimit) }

// Read implements net.Conn.
func (w *wire) Read(b []byte) (int, error) {
	if w.left.Load() <= 0 {
		return 0, errTooMuch
	}
	n, err := w.Conn.Read(b)
	w.left.Add(-int64(n))
	return n, err
}

// under runs f and cuts the connection when ctx ends first. The connection is good
// for more only if whole is true.
func (w *wire) under(ctx context.Context, f func() error) (whole bool, err error) {
	stop := context.AfterFunc(ctx, func() { _ = w.SetDeadline(time.Unix(1, 0)) })
	err = f()
	if !stop() {
		return false, ctx.Err()
	}
	return true, err
}
