package sim

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// maxBody is what the services read of a request; Exchange and Graph refuse more.
const maxBody = 4 << 20

// request is one request on its way through the services.
type request struct {
	*http.Request
	world       *World
	service     service
	site        site   // of the public host name used; zero for loopback names
	base        string // base URL as the client spelled it, https://host[:port]
	body        []byte
	id          string // of this request: request-id, trace id
	correlation string // the client's own id, or a new one
	conn        int64
	started     time.Time
	scopes      []string // of its token, where it has one for Graph
	roles       []string
	seen        *tenant // the snapshot of the replica that serves it; see directory.at

	outer   *request // of a part of a $batch: the batch
	inside  int      // how many requests its tenant was answering when it came, itself included
	left    bool     // it is not one of them any more
	wave    int      // of a part: which of the batch's waves, from 1
	touched []string // of a batch: "METHOD path" of each part
}

// answer is what a service says; the server writes, delays and records it.
type answer struct {
	name   string // for the log
	status int
	header http.Header
	body   []byte
	broken breakage
	secret bool // the body holds a token: the log shows "[redacted]"
}

// breakage is how the connection misbehaves.
type breakage int

const (
	whole breakage = iota
	cutOff
	hung
	lost // carried out, but the connection breaks before the answer
)

func newAnswer(status int, contentType string, body []byte) *answer {
	a := &answer{status: status, header: http.Header{}, body: body}
	if contentType != "" {
		a.header.Set("Content-Type", contentType)
	}
	return a
}

func jsonAnswer(status int, contentType string, v any) *answer {
	body, err := json.Marshal(v)
	if err != nil { // only our own structs come here
		return newAnswer(http.StatusInternalServerError, "text/plain", []byte(err.Error()))
	}
	return newAnswer(status, contentType, body)
}

// gate counts the requests inside, so that Close can wait for them.
type gate struct {
	mu     sync.Mutex
	inside int
	closed bool
	idle   chan struct{}
}

func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.inside++
	return true
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inside--; g.closed && g.inside == 0 {
		close(g.idle)
	}
}

// shut lets nobody in any more; the channel closes when the last one has left.
func (g *gate) shut() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.closed, g.idle = true, make(chan struct{})
		if g.inside == 0 {
			close(g.idle)
		}
	}
	return g.idle
}

// handler serves everything that comes in on one listener: by host name if it
// is one of the public ones, else by the listener, else by the path.
func (w *World) handler(listener service) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, hr *http.Request) {
		if !w.gate.enter() {
			panic(http.ErrAbortHandler)
		}
		defer w.gate.leave()
		r := w.read(listener, hr)
		defer func() { r.world.dir.holds.release(r) }()
		defer w.load.leave(r)
		if !w.watched(hr, Arrived) {
			panic(http.ErrAbortHandler)
		}
		a := w.decide(r)
		if !w.watched(hr, Decided) {
			r.world.note(r, &answer{name: a.name, broken: cutOff})
			panic(http.ErrAbortHandler)
		}
		r.world.deliver(rw, r, a)
	})
}

// Stage is how far a request has come.
type Stage int

// The stages: before a service has looked at the request, and after it has done what
// was asked but before the client hears of it.
const (
	Arrived Stage = iota
	Decided
)

func (w *World) watched(r *http.Request, s Stage) bool {
	return w.options.Watch == nil || w.options.Watch(r, s)
}

func (w *World) read(listener service, hr *http.Request) *request {
	r := &request{Request: hr, world: w, service: listener, started: w.options.Now(), id: w.dice.guid(), base: "https://" + hr.Host}
	r.conn, _ = hr.Context().Value(connKey{}).(int64)
	if s, where, ok := serviceOfHost(hr.Host); ok {
		r.service, r.site, r.base = s, where, "https://"+bareHost(hr.Host)
	} else if isLocalSharePoint(hr.Host) {
		r.service = serviceSharePoint
	} else if listener == "" {
		r.service = serviceOfPath(hr.URL.Path)
	}
	r.correlation = hr.Header.Get("client-request-id")
	if r.correlation == "" {
		r.correlation = hr.URL.Query().Get("client-request-id")
	}
	if !isGUID(r.correlation) {
		r.correlation = w.dice.guid()
	}
	return r
}

// serviceOfPath routes the loopback names of a single listener.
func serviceOfPath(path string) service {
	first, _, _ := strings.Cut(strings.TrimPrefix(strings.ToLower(path), "/"), "/")
	switch first {
	case "v1.0", "beta":
		return serviceGraph
	case "ews":
		return serviceOutlook
	case "_api":
		return serviceSharePoint
	default:
		return serviceLogin
	}
}

// decide reads the body, finds the tenant that is meant, and lets it answer.
func (w *World) decide(r *request) *answer {
	body, err := io.ReadAll(io.LimitReader(r.Request.Body, maxBody+1))
	r.body = body
	if err != nil {
		return &answer{name: "unreadable", broken: cutOff}
	}
	if len(body) > maxBody {
		return newAnswer(http.StatusRequestEntityTooLarge, "", nil)
	}
	w = w.tenantFor(r)
	r.world = w
	r.inside = w.load.enter()
	return w.serve(r)
}

// serve lets faults or the service answer in the tenant that is asked.
func (w *World) serve(r *request) *answer {
	if a := w.before(r); a != nil {
		return a
	}
	var a *answer
	switch r.service {
	case serviceLogin:
		a = w.login(r)
	case serviceGraph:
		a = w.graph(r)
	case serviceOutlook:
		a = w.outlook(r)
	default:
		a = w.sharePoint(r)
	}
	return w.after(r, a)
}

// deliver waits as long as the round trip and the faults ask, then writes.
func (w *World) deliver(rw http.ResponseWriter, r *request, a *answer) {
	ctx := r.Context()
	if a.broken == hung {
		<-ctx.Done()
		w.note(r, a)
		panic(http.ErrAbortHandler)
	}
	if wait := w.options.RTT + w.slowness(r); wait > 0 {
		if err := w.options.Sleep(ctx, wait); err != nil && !errors.Is(err, context.Canceled) {
			w.options.Debug("wait: %v", err)
		}
	}
	w.dir.holds.release(r) // before the client can know that its write has ended
	w.load.leave(r)
	if a.broken == lost {
		w.note(r, a)
		panic(http.ErrAbortHandler)
	}
	h := rw.Header()
	for key, values := range a.header {
		h[key] = values
	}
	h.Set("Date", w.now().UTC().Format(http.TimeFormat))
	h.Set("Content-Length", strconv.Itoa(len(a.body)))
	if a.status == http.StatusNoContent {
		h.Del("Content-Length")
	}
	if a.status == 0 {
		a.status = http.StatusOK
	}
	w.note(r, a) // before the client can know: whoever has the answer finds the record
	rw.WriteHeader(a.status)
	if a.broken == cutOff {
		_, _ = rw.Write(a.body[:len(a.body)/2])
		_ = http.NewResponseController(rw).Flush()
		panic(http.ErrAbortHandler)
	}
	if r.Method != http.MethodHead {
		_, _ = rw.Write(a.body)
		_ = http.NewResponseController(rw).Flush()
	}
}

func (w *World) slowness(r *request) time.Duration {
	var d time.Duration
	for _, name := range []string{"slow", "slow-login", "slow-graph", "slow-ews"} {
		if f := w.faults.at(name, r.service); f != nil {
			d += f.wait
		}
	}
	return d
}

// publicURL is how the real service would be addressed: for the log, which the
// official schemas are held against.
func (r *request) publicURL() string {
	u := url.URL{Scheme: "https", Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
	host := bareHost(r.Host)
	if r.site.name == "" {
		switch r.service {
		case serviceLogin:
			host = "login.microsoftonline.com"
		case serviceGraph:
			host = "graph.microsoft.com"
		case serviceOutlook:
			host = "outlook.office365.com"
		default:
			label, domain, _ := strings.Cut(host, ".")
			if domain != localSharePoint {
				label = r.world.is.label()
			}
			host = label + "." + sites()[0].sharepoint
		}
	}
	if r.service == serviceGraph {
		host = "graph.microsoft.com"
		u.Path = strings.Replace(u.Path, "/myorganization/", "/", 1)
		u.RawPath = strings.Replace(u.RawPath, "/myorganization/", "/", 1)
		u.Path, u.RawPath = strings.TrimSuffix(u.Path, "()"), strings.TrimSuffix(u.RawPath, "()") // of functions without parameters
	}
	u.Host = host
	return u.String()
}
