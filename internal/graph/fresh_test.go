package graph

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const principalBody = `{"id":"11111111-0000-0000-0000-000000000001","appId":"22222222-0000-0000-0000-000000000002","displayName":"App","accountEnabled":true,"tags":["c2conn"]}`

// What Microsoft Graph says about objects that one of its servers does not know
// yet, and what only looks like it.
func TestReplicating(t *testing.T) {
	t.Parallel()
	const s = time.Second
	for _, c := range []struct {
		name   string
		answer answered
		lag    bool            // Replicating
		waits  []time.Duration // in a context of Fresh, when the third answer is good; nil means the first is final
		plain  []time.Duration // the same elsewhere
	}{
		{"no object yet", notFound, true, []time.Duration{5 * s, 7500 * time.Millisecond}, nil},
		{"no application yet", refusal(400, "Request_BadRequest", "The appId 'x' of the service principal does not reference a valid application object."), true, []time.Duration{5 * s, 7500 * time.Millisecond}, nil},
		{"no application yet, by its code", answered{status: 400, body: `{"error":{"code":"Request_BadRequest","message":"x","details":[{"code":"NoBackingApplicationObject","message":"y","target":"appId"}]}}`}, true, []time.Duration{5 * s, 7500 * time.Millisecond}, nil},
		{"a misleading refusal", refusal(403, "Authorization_RequestDenied", "When using this permission, the backing application of the service principal being created must in the local tenant"), true, []time.Duration{5 * s, 7500 * time.Millisecond}, nil},
		{"no reference yet", refusal(400, "Request_BadRequest", "Not a valid reference update."), true, []time.Duration{5 * s, 7500 * time.Millisecond}, nil},
		{"no role yet", refusal(400, "Request_BadRequest", "Permission being assigned was not found on application 'x'."), true, []time.Duration{5 * s, 7500 * time.Millisecond}, nil},
		{"a dependency", refusal(424, "FailedDependency", "x"), true, []time.Duration{5 * s, 7500 * time.Millisecond}, nil},
		{"another write", refusal(409, "Directory_ConcurrencyViolation", "x"), false, []time.Duration{s, 2 * s}, []time.Duration{s, 2 * s}},
		{"personal accounts", refusal(409, "Error_MsaAppDoesNotExist", "x"), false, nil, nil},
		{"a role is missing", refusal(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation."), false, nil, nil},
		{"a proxy's 404", answered{status: 404, body: "<html>", header: map[string]string{"Content-Type": "text/html"}}, false, nil, nil},
		{"a bad request", refusal(400, "Request_BadRequest", "x"), false, nil, nil},
		{"another code", refusal(404, "UnknownError", "x"), false, nil, nil},
	} {
		for _, fresh := range []bool{true, false} {
			t.Run(fmt.Sprint(c.name, fresh), func(t *testing.T) {
				t.Parallel()
				n := 0
				g := newStub(t, func(ask) answered {
					if n++; n < 3 {
						return c.answer
					}
					return answered{status: 201, body: principalBody}
				})
				ctx, want := g.ctx(t), c.plain
				end := g.clock.Now().Add(3 * time.Minute)
				if c.name == "no role yet" {
					end = g.clock.Now().Add(30 * s)
				}
				if fresh {
					ctx, want = Fresh(ctx, 3*time.Minute), c.waits
				}
				sp, err := g.client.CreateServicePrincipal(ctx, "22222222-0000-0000-0000-000000000002", []string{"c2conn"})
				if !slices.Equal(g.clock.waits(), want) {
					t.Errorf("waited %v, want %v", g.clock.waits(), want)
				}
				if want != nil {
					if err != nil || sp.ObjectID == "" || n != 3 {
						t.Errorf("%+v %v after %d requests", sp, err, n)
					}
					for i, w := range g.words {
						if c.lag && (w.Until != end || w.Attempt != i+2 || !strings.HasPrefix(w.Text, "Microsoft Graph has not replicated the new application yet (") ||
							!strings.HasSuffix(w.Text, []string{"), asking again in 5 s", "), asking again in 8 s"}[i])) {
							t.Errorf("%+v", w)
						}
					}
					return
				}
				var e *Error
				if !errors.As(err, &e) || e.Status != c.answer.status || n != 1 || Replicating(err) != c.lag {
					t.Errorf("%v, replicating %v, after %d requests", err, Replicating(err), n)
				}
			})
		}
	}
	if Replicating(nil) || Replicating(errors.New("x")) || !Replicating(fmt.Errorf("x: %w", &Error{Status: 424})) {
		t.Error("errors that are no *Error")
	}
	g := newStub(t, func(ask) answered { return notFound })
	_, _ = g.client.Application(Fresh(g.ctx(t), time.Second), "a")
	if want := "Microsoft Graph has not replicated the new application yet (404 Request_ResourceNotFound), asking again in 1 s"; len(g.words) != 1 || g.words[0].Text != want {
		t.Errorf("%+v", g.words)
	}
}

// The wait ends at the limit, at the context's end, and where a wrong id is likelier.
func TestPatienceEnds(t *testing.T) {
	t.Parallel()
	const s = time.Second
	g := newStub(t, func(ask) answered { return notFound })
	_, err := g.client.Application(Fresh(t.Context(), time.Minute), "a")
	if !Replicating(err) || !slices.Equal(g.clock.waits(), []time.Duration{5 * s, 7500 * time.Millisecond, 11250 * time.Millisecond, 15 * s, 15 * s, 6250 * time.Millisecond}) {
		t.Errorf("%v after %v", err, g.clock.waits())
	}
	g = newStub(t, func(ask) answered { return notFound })
	if _, err := g.client.Application(Fresh(Fresh(t.Context(), time.Minute), 0), "a"); !Replicating(err) || g.clock.waits() != nil {
		t.Errorf("%v after %v", err, g.clock.waits())
	}
	g = newStub(t, func(ask) answered { return notFound })
	ctx, cancel := context.WithDeadline(Fresh(t.Context(), time.Minute), time.Now().Add(time.Hour))
	defer cancel()
	g.clock.now = time.Now().Add(time.Hour - 13*s)
	if _, err := g.client.Application(ctx, "a"); !Replicating(err) || !slices.Equal(g.clock.waits(), []time.Duration{5 * s, 7500 * time.Millisecond}) {
		t.Errorf("%v after %v", err, g.clock.waits())
	}
	g = newStub(t, func(ask) answered {
		return refusal(400, "Request_BadRequest", "Permission being assigned was not found on application 'x'.")
	})
	errs := g.client.Assign(Fresh(t.Context(), time.Hour), grants(1))
	if !Replicating(errs[0]) || !slices.Equal(g.clock.waits(), []time.Duration{5 * s, 7500 * time.Millisecond, 11250 * time.Millisecond, 6250 * time.Millisecond}) {
		t.Errorf("%v after %v", errs, g.clock.waits())
	}
	g = newStub(t, func(ask) answered { return refusal(409, "Directory_ConcurrencyViolation", "x") })
	if err := g.client.SetRequired(t.Context(), "a", nil); err == nil || len(g.seen()) != 5 {
		t.Errorf("%v after %d requests", err, len(g.seen()))
	}
}

// "Concurrent requests" says that nothing was done, so even a create is asked
// for again; any other 503 leaves that open.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]int{"Error due to concurrent requests being made to the tenant.": 2, "Try later": 1} {
		n := 0
		g := newStub(t, func(ask) answered {
			if n++; n == 1 {
				a := refusal(503, "Service_ServiceUnavailable", message)
				a.header = map[string]string{"Retry-After": "7"}
				return a
			}
			return answered{status: 201, body: applicationText}
		})
		_, err := g.client.CreateApplication(t.Context(), NewApplication{DisplayName: "x"})
		if n != want || errors.Is(err, ErrOutcomeUnknown) != (want == 1) || (err == nil) != (want == 2) {
			t.Errorf("%s: %v after %d requests", message, err, n)
		}
		if want == 2 && !slices.Equal(g.clock.waits(), []time.Duration{7 * time.Second}) {
			t.Errorf("%v", g.clock.waits())
		}
	}
}

// Two writes at a time would conflict in the tenant.
func TestOneWriteAtATime(t *testing.T) {
	t.Parallel()
	var now, most atomic.Int32
	g := newStub(t, func(ask) answered {
		most.Store(max(most.Load(), now.Add(1)))
		for range 1000 {
			_ = reflect.ValueOf(now.Load()) // some work, so that others could come in between
		}
		now.Add(-1)
		return answered{status: 204}
	})
	done := make(chan error)
	for range 8 {
		go func() { done <- g.client.SetRequired(t.Context(), "a", nil) }()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if most.Load() != 1 {
		t.Errorf("%d writes at a time", most.Load())
	}
	g.client.writing <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.client.SetRequired(ctx, "a", nil); !errors.Is(err, context.Canceled) || errors.Is(err, ErrOutcomeUnknown) {
		t.Error(err)
	}
}

func grants(n int) []Assignment {
	list := make([]Assignment, n)
	for i := range list {
		list[i] = Assignment{PrincipalID: "aaaaaaaa-0000-0000-0000-000000000001", ResourceID: "bbbbbbbb-0000-0000-0000-000000000002", RoleID: fmt.Sprintf("cccccccc-0000-0000-0000-%012d", i)}
	}
	return list
}
