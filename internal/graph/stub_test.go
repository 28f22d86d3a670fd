package graph

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/progress"
	"github.com/c2conn/c2conn/internal/transport"
)

// simulated is a clock whose waits take no time, and are noted.
type simulated struct {
	mu    sync.Mutex
	now   time.Time
	slept []time.Duration
}

func (c *simulated) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *simulated) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.slept = append(c.slept, d)
	c.now = c.now.Add(d)
	return ctx.Err()
}

func (c *simulated) waits() []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.slept)
}

// ask is a request as the stub sees it, in a batch or by itself.
type ask struct {
	method, url, prefer string
	body                string
	batch               int // number of the batch, 0 for a single request
}

// answered is what the stub says. Status 0 cuts the connection, or leaves the
// part of a batch out.
type answered struct {
	status int
	body   string
	header map[string]string
	twice  bool // a part only
}

// stub is a Microsoft Graph that says what it is told to say.
type stub struct {
	*httptest.Server
	clock  *simulated
	client *Client
	mu     sync.Mutex
	asks   []ask
	trips  int
	outer  func(trip int) *answered // instead of reading a batch
	words  []progress.Update
}

func (s *stub) seen() []ask {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asks)
}

func (s *stub) ctx(t *testing.T) context.Context {
	return progress.With(t.Context(), func(u progress.Update) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.words = append(s.words, u)
	})
}

// newStub starts a stub that answers each request, alone or in a batch, by
// handle. Of a chain only what stands before the first failure is handled.
func newStub(t *testing.T, handle func(ask) answered) *stub {
	t.Helper()
	s := &stub{clock: &simulated{now: time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)}}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.trips++
		trip, outer := s.trips, s.outer
		s.mu.Unlock()
		say := func(a answered) {
			if a.status == 0 {
				if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
					conn.Close()
				}
				return
			}
			w.Header().Set("request-id", "outer")
			w.Header().Set("Content-Type", "application/json")
			for k, v := range a.header {
				w.Header().Set(k, v)
			}
			w.WriteHeader(a.status)
			io.WriteString(w, a.body)
		}
		if r.URL.Path != "/v1.0/$batch" {
			q := ask{r.Method, r.URL.RequestURI()[len("/v1.0"):], r.Header.Get("Prefer"), string(body), 0}
			s.mu.Lock()
			s.asks = append(s.asks, q)
			s.mu.Unlock()
			say(handle(q))
			return
		}
		if outer != nil {
			if a := outer(trip); a != nil {
				say(*a)
				return
			}
		}
		s.batch(t, trip, body, handle, say)
	}))
	t.Cleanup(s.Close)
	client, err := transport.New(transport.Options{Base: s.Server.Client().Transport, Clock: s.clock})
	if err != nil {
		t.Fatal(err)
	}
	s.client, err = New(Options{BaseURL: s.URL + "/v1.0", HTTP: client, Clock: s.clock, Token: func(_ context.Context, claims string) (string, error) { return "token" + claims, nil }})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *stub) batch(t *testing.T, trip int, body []byte, handle func(ask) answered, say func(answered)) {
	var j struct {
		Requests []struct {
			ID, Method, URL string
			Headers         map[string]string
			Body            json.RawMessage
			DependsOn       []string
		}
	}
	if err := json.Unmarshal(body, &j); err != nil || len(j.Requests) == 0 || len(j.Requests) > 20 {
		t.Errorf("batch %s: %v", body, err)
	}
	failed := map[string]bool{}
	responses := []map[string]any{}
	for i, r := range j.Requests {
		if r.ID != strconv.Itoa(i+1) || r.URL[0] != '/' || (len(r.Body) > 0) != (r.Headers["Content-Type"] == "application/json") {
			t.Errorf("part %+v", r)
		}
		if len(r.DependsOn) > 1 || len(r.DependsOn) == 1 && r.DependsOn[0] != strconv.Itoa(i) {
			t.Errorf("part %s depends on %q", r.ID, r.DependsOn)
		}
		a := answered{status: 424, body: `{"error":{"code":"FailedDependency","message":"Failed dependency"}}`}
		if len(r.DependsOn) == 0 || !failed[r.DependsOn[0]] {
			q := ask{r.Method, r.URL, r.Headers["Prefer"], string(r.Body), trip}
			s.mu.Lock()
			s.asks = append(s.asks, q)
			s.mu.Unlock()
			a = handle(q)
		}
		failed[r.ID] = a.status > 299 || a.status == 0
		if a.status == 0 {
			continue
		}
		part := map[string]any{"id": r.ID, "status": a.status}
		header := map[string]string{"Content-Type": "application/json", "request-id": "part" + r.ID}
		for k, v := range a.header {
			header[k] = v
		}
		part["headers"] = header
		if a.body != "" {
			part["body"] = json.RawMessage(a.body)
		}
		responses = append(responses, part)
		if a.twice {
			responses = append(responses, part)
		}
	}
	slices.Reverse(responses) // they come in any order
	out, err := json.Marshal(map[string]any{"responses": responses})
	if err != nil {
		t.Error(err)
	}
	say(answered{status: 200, body: string(out)})
}

// refusal is an error as Graph words it.
func refusal(status int, code, message string) answered {
	b, _ := json.Marshal(map[string]any{"error": map[string]any{"code": code, "message": message, "innerError": map[string]string{"request-id": "inner"}}})
	return answered{status: status, body: string(b)}
}

var notFound = refusal(404, "Request_ResourceNotFound", "Resource 'x' does not exist or one of its queried reference-property objects are not present.")
