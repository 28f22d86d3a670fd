package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/c2conn/c2conn/internal/patience"
	"github.com/c2conn/c2conn/internal/progress"
)

const (
	maxTries   = 5
	busyPause  = time.Second            // before the second try where the server names no wait; doubled each time
	cutPause   = 250 * time.Millisecond // the same after a cut connection
	leastPause = 250 * time.Millisecond // even when the server says "at once"
	// longestWait bounds all waits of one request where the caller set no deadline.
	longestWait = 2 * time.Minute
)

type (
	repeatableKey struct{}
	serviceKey    struct{}
)

// Repeatable marks the requests of ctx as safe to send twice although they are
// POSTs: asking for a token, reading over SOAP.
func Repeatable(ctx context.Context) context.Context {
	return context.WithValue(ctx, repeatableKey{}, true)
}

// Service names whom the requests of ctx ask, for the words of a wait
// ("Microsoft Graph is busy"). Without it the host is named.
func Service(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, serviceKey{}, name)
}

// retry repeats what may be repeated: 429, 503 and 504, and connections that
// break. It is the only place in c2conn that does. It also reads each answer to
// its end, within BodyLimit, because answers break in the middle, too.
type retry struct {
	next  http.RoundTripper
	base  http.RoundTripper // the network below next
	clock Clock
	rand  io.Reader
	proxy func(*http.Request) (*url.URL, error)
	limit time.Duration // of one try; 0 = none
}

// RoundTrip implements http.RoundTripper.
func (t *retry) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	body, err := bodyOf(r)
	if err != nil {
		return nil, err
	}
	safe := idempotent(r.Method) || ctx.Value(repeatableKey{}) != nil
	var waited time.Duration
	for try := 1; ; try++ {
		res, err := t.once(r, body)
		var failed *Error
		if errors.As(err, &failed) {
			failed.Tries = try
		}
		pause, what := t.pause(r, res, failed, safe, try)
		if what == "" || !t.again(ctx, what, pause, waited, try) {
			return res, err // the last answer says more than an ended context
		}
		waited += pause
	}
}

// CloseIdleConnections is what http.Client.CloseIdleConnections looks for.
func (t *retry) CloseIdleConnections() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// Again waits for pause before another try and tells the listener of ctx what
// is waited for ("Microsoft Graph is busy (429)"). try counts those made, waited
// sums their pauses. It answers false, without waiting, when that was the last
// try or when no time for another one would be left; and when ctx ends.
func Again(ctx context.Context, clock Clock, what string, pause, waited time.Duration, try int) bool {
	if try >= maxTries || ctx.Err() != nil {
		return false
	}
	end, limited := ctx.Deadline()
	if limited && !clock.Now().Add(pause).Before(end) || !limited && waited+pause > longestWait {
		return false
	}
	progress.Report(ctx, progress.Update{
		Text:    fmt.Sprintf("%s, waiting %s, try %d of %d", what, seconds(pause), try+1, maxTries),
		Attempt: try + 1,
		Until:   clock.Now().Add(pause),
	})
	return clock.Sleep(ctx, pause) == nil
}

// again is Again; where many share a tenant's slots, what the tenant asks to wait is the
// price of their number and not the time of one of them.
func (t *retry) again(ctx context.Context, what string, pause, waited time.Duration, try int) bool {
	if slotsOf(ctx) != nil {
		defer patience.Hold(ctx)()
	}
	return Again(ctx, t.clock, what, pause, waited, try)
}

// once sends the request once and reads the whole answer.
func (t *retry) once(r *http.Request, body []byte) (*http.Response, error) {
	var connected atomic.Bool
	ctx := r.Context()
	if t.limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = patience.WithLimit(ctx, t.limit)
		defer cancel()
	}
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})
	q := r.Clone(ctx)
	if body != nil {
		q.Body = io.NopCloser(bytes.NewReader(body))
		q.ContentLength = int64(len(body))
		q.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	}
	res, err := t.next.RoundTrip(q)
	if err == nil {
		err = readAll(res)
	}
	if err != nil {
		return nil, t.failure(q, err, connected.Load())
	}
	return res, nil
}

func (t *retry) failure(r *http.Request, err error, connected bool) *Error {
	e := &Error{Kind: classify(r.Context(), err, connected), Host: hostOf(r.URL), Tries: 1, Err: err}
	if p, perr := t.proxy(r); perr == nil && p != nil {
		e.Proxy = p.Host
	}
	return e
}

// pause says how long to wait before the next try, and why; no word means that
// there is none.
func (t *retry) pause(r *http.Request, res *http.Response, failed *Error, safe bool, try int) (time.Duration, string) {
	step := func(first time.Duration) time.Duration {
		d := first << (try - 1)
		return d + t.jitter(d/4) // so that many clients do not come back together
	}
	switch {
	case failed != nil && failed.Kind == KindCut && safe:
		return step(cutPause), "The connection to " + name(r) + " was cut"
	case res == nil:
		return 0, ""
	case res.StatusCode == http.StatusTooManyRequests:
		return t.asked(res, step(busyPause)), name(r) + " is busy (429)"
	case res.StatusCode == http.StatusServiceUnavailable && safe:
		return t.asked(res, step(busyPause)), name(r) + " is not available (503)"
	case res.StatusCode == http.StatusGatewayTimeout && safe:
		return t.asked(res, step(busyPause)), name(r) + " did not answer in time (504)"
	}
	return 0, ""
}

func (t *retry) asked(res *http.Response, otherwise time.Duration) time.Duration {
	if d, ok := retryAfter(res.Header, t.clock.Now()); ok {
		return max(d, leastPause)
	}
	return otherwise
}

func (t *retry) jitter(most time.Duration) time.Duration {
	var b [2]byte
	if _, err := io.ReadFull(t.rand, b[:]); err != nil {
		return 0 // jitter is a courtesy
	}
	return most * time.Duration(int(b[0])<<8|int(b[1])) / 0x10000
}

// name is how people know whom r asks.
func name(r *http.Request) string {
	if n, ok := r.Context().Value(serviceKey{}).(string); ok {
		return n
	}
	return hostOf(r.URL)
}

// seconds writes d as people read it: whole seconds, rounded up.
func seconds(d time.Duration) string {
	s := (d + time.Second - 1) / time.Second
	if s > 90 {
		return fmt.Sprintf("%d min", (s+59)/60)
	}
	return fmt.Sprintf("%d s", s)
}

func idempotent(method string) bool {
	switch method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete:
		return true
	}
	return false
}

// bodyOf reads the request's body, so that it can be sent again.
func bodyOf(r *http.Request) ([]byte, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, fmt.Errorf("read the request's body: %w", err)
	}
	return b, nil
}

// readAll replaces the answer's body by its bytes.
func readAll(res *http.Response) error {
	b, err := io.ReadAll(io.LimitReader(res.Body, BodyLimit+1))
	res.Body.Close()
	if err != nil {
		return err
	}
	if len(b) > BodyLimit {
		return &TooLargeError{Limit: BodyLimit}
	}
	res.Body = io.NopCloser(bytes.NewReader(b))
	res.ContentLength = int64(len(b))
	return nil
}
