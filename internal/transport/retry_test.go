package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/progress"
)

// fakeClock moves only when somebody sleeps.
type fakeClock struct {
	mu     sync.Mutex
	now    time.Time
	sleeps []time.Duration
}

func newFakeClock() *fakeClock { return &fakeClock{now: time.Now()} }

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	c.sleeps = append(c.sleeps, d)
	return ctx.Err()
}

func (c *fakeClock) slept() []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.sleeps)
}

// zeros is randomness without chance, so that there is no jitter.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func testClient(t *testing.T, srv *httptest.Server, clock Clock) *http.Client {
	t.Helper()
	c, err := New(Options{Base: srv.Client().Transport, Clock: clock, Rand: zeros{}, UserAgent: "c2conn/test"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func send(ctx context.Context, t *testing.T, c *http.Client, method, url, body string) (int, string, error) {
	t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, r)
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, string(b), err
}

func TestRetry(t *testing.T) {
	t.Parallel()
	type answer struct {
		status     int
		retryAfter string
	}
	s := func(n ...int) (d []time.Duration) {
		for _, v := range n {
			d = append(d, time.Duration(v)*time.Second)
		}
		return d
	}
	for _, c := range []struct {
		name       string
		method     string
		repeatable bool
		deadline   time.Duration
		answers    []answer
		status     int
		sleeps     []time.Duration
	}{
		{name: "none needed", method: "GET", answers: []answer{{200, ""}}, status: 200},
		{name: "429 with seconds", method: "GET", answers: []answer{{429, "7"}, {200, ""}}, status: 200, sleeps: s(7)},
		{name: "429 with a fraction", method: "GET", answers: []answer{{429, "2.128"}, {200, ""}}, status: 200, sleeps: []time.Duration{2128 * time.Millisecond}},
		{name: "429 POST", method: "POST", answers: []answer{{429, "1"}, {200, ""}}, status: 200, sleeps: s(1)},
		{name: "503 POST is not repeated", method: "POST", answers: []answer{{503, "1"}, {200, ""}}, status: 503},
		{name: "504 PATCH is not repeated", method: "PATCH", answers: []answer{{504, "1"}, {200, ""}}, status: 504},
		{name: "503 repeatable POST", method: "POST", repeatable: true, answers: []answer{{503, "3"}, {200, ""}}, status: 200, sleeps: s(3)},
		{name: "503 without header", method: "GET", answers: []answer{{503, ""}, {503, "rubbish"}, {200, ""}}, status: 200, sleeps: s(1, 2)},
		{name: "504", method: "GET", answers: []answer{{504, ""}, {200, ""}}, status: 200, sleeps: s(1)},
		{name: "500 is final", method: "GET", answers: []answer{{500, "1"}, {200, ""}}, status: 500},
		{name: "502 is final", method: "GET", answers: []answer{{502, ""}, {200, ""}}, status: 502},
		{name: "five tries, then the last answer", method: "GET", answers: []answer{{429, "1"}, {429, "1"}, {429, "1"}, {429, "1"}, {503, "1"}, {200, ""}}, status: 503, sleeps: s(1, 1, 1, 1)},
		{name: "at once still means a moment", method: "GET", answers: []answer{{429, "0"}, {200, ""}}, status: 200, sleeps: []time.Duration{250 * time.Millisecond}},
		{name: "beyond the deadline: at once", method: "GET", deadline: 20 * time.Second, answers: []answer{{429, "21"}, {200, ""}}, status: 429},
		{name: "within the deadline", method: "GET", deadline: time.Minute, answers: []answer{{429, "21"}, {200, ""}}, status: 200, sleeps: s(21)},
		{name: "without deadline two minutes in all", method: "GET", answers: []answer{{429, "100"}, {429, "30"}, {200, ""}}, status: 429, sleeps: s(100)},
		{name: "absurd", method: "GET", answers: []answer{{429, "99999999999"}, {200, ""}}, status: 429},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var n atomic.Int32
			srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				b, _ := io.ReadAll(r.Body)
				if r.Method != "GET" && string(b) != "payload" {
					t.Errorf("body of try %d: %q", n.Load(), b)
				}
				a := c.answers[n.Add(1)-1]
				if a.retryAfter != "" {
					w.Header().Set("Retry-After", a.retryAfter)
				}
				w.WriteHeader(a.status)
				fmt.Fprint(w, a.status)
			}))
			defer srv.Close()
			clock := newFakeClock()
			ctx := t.Context()
			if c.repeatable {
				ctx = Repeatable(ctx)
			}
			if c.deadline > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithDeadline(ctx, clock.Now().Add(c.deadline))
				defer cancel()
			}
			body := ""
			if c.method != "GET" {
				body = "payload"
			}
			status, text, err := send(ctx, t, testClient(t, srv, clock), c.method, srv.URL, body)
			if err != nil || status != c.status || text != fmt.Sprint(c.status) {
				t.Errorf("got %d %q %v, want %d", status, text, err, c.status)
			}
			if !slices.Equal(clock.slept(), c.sleeps) {
				t.Errorf("slept %v, want %v", clock.slept(), c.sleeps)
			}
		})
	}
}

func TestRetryDate(t *testing.T) {
	t.Parallel()
	var n atomic.Int32
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) == 1 {
			w.Header().Set("Date", noon.Format(http.TimeFormat)) // its clock is not ours
			w.Header().Set("Retry-After", noon.Add(11*time.Second).Format(http.TimeFormat))
			w.WriteHeader(503)
		}
	}))
	defer srv.Close()
	clock := newFakeClock()
	status, _, err := send(t.Context(), t, testClient(t, srv, clock), "GET", srv.URL, "")
	if err != nil || status != 200 || !slices.Equal(clock.slept(), []time.Duration{11 * time.Second}) {
		t.Errorf("%d %v, slept %v", status, err, clock.slept())
	}
}

func TestEveryWaitIsReported(t *testing.T) {
	t.Parallel()
	var n atomic.Int32
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch n.Add(1) {
		case 1:
			w.Header().Set("Retry-After", "6.2")
			w.WriteHeader(429)
		case 2:
			w.Header().Set("Retry-After", "100")
			w.WriteHeader(503)
		}
	}))
	defer srv.Close()
	clock := newFakeClock()
	start := clock.Now()
	var got []progress.Update
	ctx := progress.With(Service(t.Context(), "Microsoft Graph"), func(u progress.Update) { got = append(got, u) })
	if _, _, err := send(ctx, t, testClient(t, srv, clock), "GET", srv.URL, ""); err != nil {
		t.Fatal(err)
	}
	want := []progress.Update{
		{Text: "Microsoft Graph is busy (429), waiting 7 s, try 2 of 5", Attempt: 2, Until: start.Add(6200 * time.Millisecond)},
		{Text: "Microsoft Graph is not available (503), waiting 2 min, try 3 of 5", Attempt: 3, Until: start.Add(106200 * time.Millisecond)},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestCancelDuringWaitGivesTheLastAnswer(t *testing.T) {
	t.Parallel()
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(429)
	}))
	defer srv.Close()
	ctx, cancel := context.WithCancel(t.Context())
	ctx = progress.With(ctx, func(progress.Update) { cancel() })
	c := &http.Client{Transport: testClient(t, srv, SystemClock()).Transport}
	req, _ := http.NewRequestWithContext(ctx, "GET", srv.URL, nil)
	res, err := c.Transport.RoundTrip(req)
	if err != nil || res.StatusCode != 429 {
		t.Errorf("%v %v", res, err)
	}
}

// cutter answers with a broken connection the first times.
func cutter(t *testing.T, times int32, how string) (*httptest.Server, *atomic.Int32) {
	t.Helper()
	var n atomic.Int32
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) > times {
			fmt.Fprint(w, "whole answer")
			return
		}
		conn, buf, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		if how == "body" {
			buf.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nwhole")
			buf.Flush()
		}
		conn.Close()
	}))
	t.Cleanup(srv.Close)
	return srv, &n
}

func TestCut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, method, how string
		repeatable        bool
		cuts, tries       int32
		ok                bool
	}{
		{"GET", "GET", "head", false, 2, 3, true},
		{"GET in the body", "GET", "body", false, 2, 3, true},
		{"GET for ever", "GET", "head", false, 99, 5, false},
		{"POST", "POST", "head", false, 1, 1, false},
		{"POST in the body", "POST", "body", false, 1, 1, false},
		{"POST repeatable", "POST", "head", true, 1, 2, true},
		{"POST repeatable in the body", "POST", "body", true, 1, 2, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			srv, n := cutter(t, c.cuts, c.how)
			ctx := t.Context()
			if c.repeatable {
				ctx = Repeatable(ctx)
			}
			body := ""
			if c.method == "POST" {
				body = "x"
			}
			_, text, err := send(ctx, t, testClient(t, srv, newFakeClock()), c.method, srv.URL, body)
			if n.Load() != c.tries {
				t.Errorf("%d tries, want %d", n.Load(), c.tries)
			}
			if c.ok {
				if err != nil || text != "whole answer" {
					t.Errorf("%q %v", text, err)
				}
				return
			}
			var e *Error
			if !errors.As(err, &e) || e.Kind != KindCut || e.Tries != int(c.tries) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestResetConnection(t *testing.T) {
	t.Parallel()
	var n atomic.Int32
	base := roundTripper(func(r *http.Request) (*http.Response, error) {
		if n.Add(1) < 3 {
			return nil, fmt.Errorf("read: %w", syscall.ECONNRESET)
		}
		return &http.Response{StatusCode: 200, Body: http.NoBody, Request: r}, nil
	})
	clock := newFakeClock()
	c, err := New(Options{Base: base, Clock: clock, Rand: zeros{}})
	if err != nil {
		t.Fatal(err)
	}
	status, _, err := send(t.Context(), t, c, "GET", "https://graph.test/", "")
	if err != nil || status != 200 || !slices.Equal(clock.slept(), []time.Duration{250 * time.Millisecond, 500 * time.Millisecond}) {
		t.Errorf("%d %v %v", status, err, clock.slept())
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
