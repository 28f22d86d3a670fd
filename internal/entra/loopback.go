package entra

import (
	"context"
	"crypto/subtle"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// Limits of the loopback server.
const (
	formLimit   = 64 << 10 // bytes of the answer; real ones are under 4 KiB
	finishLimit = 2 * time.Second
)

// ListenError is a computer that lets no program wait for the browser's answer.
type ListenError struct{ Err error }

func (e *ListenError) Error() string {
	return "cannot wait for the browser's answer on this computer: " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *ListenError) Unwrap() error { return e.Err }

// loopback waits for the one answer of the sign-in page. A port of the loopback
// address is open to everything on the computer, so whatever is not that answer
// (a prefetch, a scanner, a curious person) gets a polite page and changes
// nothing.
//
// Source: RFC 8252, section 7.3; learn.microsoft.com/entra/identity-platform/reply-url,
// "Localhost exceptions": Entra ID ignores the port.
type loopback struct {
	redirect string // the address that Entra ID sends the browser to
	state    string
	hosts    map[string]bool // as the browser may spell it
	server   *http.Server
	arrived  chan url.Values
	taken    sync.Once     // the first answer counts
	finished chan struct{} // closed when last is known
	over     sync.Once     // closes finished

	mu      sync.Mutex
	last    []byte        // page for the window that brought the answer
	windows int           // that wait for the last page
	none    chan struct{} // closed when no window waits any more
	emptied sync.Once     // closes none
}

// openLoopback listens and serves at once. state is the secret that tells the
// page's answer from others.
func openLoopback(ctx context.Context, listen func(context.Context) (net.Listener, error), state string) (*loopback, error) {
	listeners, err := listenLoopback(ctx, listen)
	if err != nil {
		return nil, &ListenError{Err: err}
	}
	_, port, err := net.SplitHostPort(listeners[0].Addr().String())
	if err != nil {
		return nil, &ListenError{Err: err}
	}
	l := &loopback{
		redirect: "http://localhost:" + port,
		state:    state,
		hosts:    map[string]bool{"localhost:" + port: true, "127.0.0.1:" + port: true, "[::1]:" + port: true},
		arrived:  make(chan url.Values, 1),
		finished: make(chan struct{}),
		none:     make(chan struct{}),
	}
	l.server = &http.Server{
		Handler:           l,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0), // it would write to the screen
	}
	l.server.SetKeepAlivesEnabled(false) // so that closing cuts off nobody's next request
	for _, one := range listeners {
		go func() { _ = l.server.Serve(one) }()
	}
	return l, nil
}

// listenLoopback opens a free port. Browsers take localhost for either address,
// so both are served; should another program hold the port on one of them, it
// would get the answer, so another port is tried.
func listenLoopback(ctx context.Context, listen func(context.Context) (net.Listener, error)) ([]net.Listener, error) {
	if listen != nil {
		one, err := listen(ctx)
		return []net.Listener{one}, err
	}
	var config net.ListenConfig
	six, err := config.Listen(ctx, "tcp6", "[::1]:0")
	if err != nil { // no IPv6 here
		four, err := config.Listen(ctx, "tcp4", "127.0.0.1:0")
		return []net.Listener{four}, err
	}
	for range 10 {
		_, port, err := net.SplitHostPort(six.Addr().String())
		if err != nil {
			break
		}
		if four, err := config.Listen(ctx, "tcp4", "127.0.0.1:"+port); err == nil {
			return []net.Listener{four, six}, nil
		}
		_ = six.Close()
		if six, err = config.Listen(ctx, "tcp6", "[::1]:0"); err != nil {
			return nil, err
		}
	}
	// No IPv4 here.
	return []net.Listener{six}, nil
}

// wait returns the answer's form: code or error.
func (l *loopback) wait(ctx context.Context) (url.Values, error) {
	select {
	case form := <-l.arrived:
		return form, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// finish shows page in the window that brought the answer and returns when it is
// on its way.
func (l *loopback) finish(page []byte) {
	l.mu.Lock()
	l.last = page
	waiting := l.windows > 0
	l.mu.Unlock()
	l.over.Do(func() { close(l.finished) })
	if !waiting {
		return
	}
	late := time.NewTimer(finishLimit) // for a window that does not read
	defer late.Stop()
	select {
	case <-l.none:
	case <-late.C:
	}
}

// close frees the port at once.
func (l *loopback) close() {
	l.over.Do(func() { close(l.finished) })
	_ = l.server.Close()
}

// window counts a window in (1) or out (-1) and returns the last page so far.
func (l *loopback) window(n int) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.windows += n; n < 0 && l.windows == 0 {
		l.emptied.Do(func() { close(l.none) })
	}
	return l.last
}

// ServeHTTP implements http.Handler.
func (l *loopback) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case !l.hosts[r.Host]: // a page elsewhere that calls this computer by another name
		show(w, http.StatusMisdirectedRequest, strangePage())
		return
	case r.URL.Path != "/":
		show(w, http.StatusNotFound, waitingPage())
		return
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		show(w, http.StatusMethodNotAllowed, waitingPage())
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, formLimit)
	if err := r.ParseForm(); err != nil {
		show(w, http.StatusBadRequest, strangePage())
		return
	}
	form := r.PostForm // never the address: that would be in the history
	known := subtle.ConstantTimeCompare([]byte(form.Get("state")), []byte(l.state)) == 1
	if !known || form.Get("code") == "" && form.Get("error") == "" {
		show(w, http.StatusBadRequest, strangePage())
		return
	}
	l.window(1)
	defer l.window(-1)
	l.taken.Do(func() { l.arrived <- form })
	<-l.finished // a window that was reloaded waits for the outcome, too
	show(w, http.StatusOK, l.window(0))
}

// show sends a page and sees it off.
func show(w http.ResponseWriter, status int, page []byte) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", fmt.Sprint(len(page)))
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", policy())
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	w.WriteHeader(status)
	_, _ = w.Write(page)
	// Out before the server closes, not when the handler has returned.
	_ = http.NewResponseController(w).Flush()
}
