package autodiscover_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/c2conn/c2conn/internal/autodiscover"
)

// trip is a network made of a function.
type trip func(*http.Request) (*http.Response, error)

func (f trip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// hang is a host that takes a request and never answers.
func hang(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func response(r *http.Request, status int, body string) (*http.Response, error) {
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"text/xml"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// deaf is a resolver whose server never answers, dumb one that knows no name.
func deaf() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
}

func dumb() *net.Resolver { return (&world{}).resolver() }

// once makes net read the computer's DNS settings outside of any bubble of synctest.
var once sync.Once

// bubble runs f with a clock that moves only when everybody waits.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	once.Do(func() { _, _ = dumb().LookupHost(t.Context(), "contoso.example") })
	synctest.Test(t, f)
}

func TestDeadEndsWithinTheLimit(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		begin := time.Now()
		_, err := autodiscover.Find(t.Context(), autodiscover.Options{
			Address:   address,
			Anonymous: &http.Client{Transport: trip(hang)}, SignedIn: &http.Client{Transport: trip(hang)}, Resolver: deaf(),
			SCP: func(ctx context.Context, _ string) ([]autodiscover.Endpoint, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			},
		})
		var missing *autodiscover.NotFoundError
		if took := time.Since(begin); took > 15*time.Second || !errors.As(err, &missing) || missing.Unwrap() != nil {
			t.Fatalf("%v after %s", err, took)
		}
		steps := map[string]int{}
		for _, a := range missing.Tried {
			steps[a.Step]++
			if a.Outcome != autodiscover.OutcomeNoAnswer || a.Took == 0 || a.Text != "no answer in time" {
				t.Errorf("%+v", a)
			}
		}
		if len(steps) != 5 || len(missing.Tried) != 5 {
			t.Errorf("%v", steps)
		}
	})
}

// Everything answers at the last moment, and asks for a sign-in that never ends.
func TestSlowDeadEndsWithinTheLimit(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		slow := func(r *http.Request) (*http.Response, error) {
			time.Sleep(2900 * time.Millisecond)
			switch {
			case r.URL.Scheme == "http":
				res, _ := response(r, 302, "")
				res.Header.Set("Location", "https://mail.contoso.example/autodiscover/autodiscover.xml")
				return res, nil
			case strings.Contains(r.URL.Path, ".json"):
				return response(r, 404, "")
			}
			return response(r, 401, "")
		}
		begin := time.Now()
		var list []autodiscover.Attempt
		_, err := autodiscover.Find(t.Context(), autodiscover.Options{
			Address: address, Anonymous: &http.Client{Transport: trip(slow)}, SignedIn: &http.Client{Transport: trip(hang)}, Resolver: deaf(),
			SCP: func(context.Context, string) ([]autodiscover.Endpoint, error) {
				time.Sleep(5 * time.Second)
				return []autodiscover.Endpoint{{URL: "https://exch01.corp.test/autodiscover/autodiscover.xml"}}, nil
			},
			Listen: func(a autodiscover.Attempt) { list = append(list, a) },
		})
		if took := time.Since(begin); took > 15*time.Second || took < 14*time.Second || err == nil {
			t.Fatalf("%v after %s", err, took)
		}
		signed, skipped := 0, 0
		for _, a := range list {
			if a.SignedIn {
				signed++
			}
			if a.Text == "no time is left for a sign-in" {
				skipped++
			}
		}
		if signed != 2 || skipped != 2 {
			t.Errorf("%d signed in, %d skipped: %+v", signed, skipped, list)
		}
	})
}

func TestLimitOption(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		begin := time.Now()
		_, err := autodiscover.Find(t.Context(), autodiscover.Options{
			Address: address, Limit: 5 * time.Millisecond,
			Anonymous: &http.Client{Transport: trip(hang)}, SignedIn: &http.Client{Transport: trip(hang)}, Resolver: deaf(),
		})
		if took := time.Since(begin); err == nil || took > 5*time.Millisecond {
			t.Errorf("%v after %s", err, took)
		}
	})
}

// A hanging host does not hold up the one that answers for longer than the grace.
func TestHangingHostDoesNotHoldUpOthers(t *testing.T) {
	t.Parallel()
	for name, json := range map[string]bool{"json": true, "signed in": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T) {
				anonymous := func(r *http.Request) (*http.Response, error) {
					switch {
					case r.URL.Host != "autodiscover.contoso.example" || r.URL.Scheme != "https":
						return hang(r)
					case strings.Contains(r.URL.Path, ".json") && json:
						return response(r, 200, jsonAnswer("https://192.0.2.1/EWS/Exchange.asmx"))
					case strings.Contains(r.URL.Path, ".json"):
						return response(r, 404, "")
					}
					return response(r, 401, "")
				}
				begin := time.Now()
				var last []autodiscover.Attempt
				r, err := autodiscover.Find(t.Context(), autodiscover.Options{
					Address: address, Domain: "192.0.2.1", Anonymous: &http.Client{Transport: trip(anonymous)}, Resolver: deaf(),
					SignedIn: &http.Client{Transport: trip(func(r *http.Request) (*http.Response, error) {
						return response(r, 200, poxSettings(exch("https://192.0.2.1/EWS/Exchange.asmx")))
					})},
					Listen: func(a autodiscover.Attempt) { last = append(last, a) },
				})
				if took := time.Since(begin); err != nil || took != time.Second || r.Step != autodiscover.StepHost {
					t.Errorf("%+v, %v after %s", r, err, took)
				}
				skipped := 0
				for _, a := range last {
					if a.Outcome == autodiscover.OutcomeSkipped && a.Text == "given up" {
						skipped++
					}
				}
				if skipped != 3 {
					t.Errorf("%+v", last)
				}
			})
		})
	}
}

// No sign-in begins while Active Directory may be busy with another one.
func TestActiveDirectoryIsWaitedForBeforeASignIn(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		busy := false
		_, err := autodiscover.Find(t.Context(), autodiscover.Options{
			Address: address, Resolver: dumb(), Domain: "192.0.2.1",
			SCP: func(context.Context, string) ([]autodiscover.Endpoint, error) {
				busy = true
				time.Sleep(5 * time.Second)
				busy = false
				return nil, nil
			},
			Anonymous: &http.Client{Transport: trip(func(r *http.Request) (*http.Response, error) { return response(r, 401, "") })},
			SignedIn: &http.Client{Transport: trip(func(r *http.Request) (*http.Response, error) {
				if busy {
					t.Error("two at once")
				}
				return response(r, 200, poxSettings(exch("https://192.0.2.1/EWS/Exchange.asmx")))
			})},
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestThinkingAboutConsentTakesNoTime(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		anonymous := func(r *http.Request) (*http.Response, error) {
			if r.URL.Host == "contoso.example" && !strings.Contains(r.URL.Path, ".json") {
				return response(r, 401, "")
			}
			return response(r, 404, "")
		}
		r, err := autodiscover.Find(t.Context(), autodiscover.Options{
			Address: address, Resolver: dumb(), Anonymous: &http.Client{Transport: trip(anonymous)},
			SignedIn: &http.Client{Transport: trip(func(r *http.Request) (*http.Response, error) {
				return response(r, 200, poxSettings(exch("https://192.0.2.1/EWS/Exchange.asmx")))
			})},
			Consent: func(ctx context.Context, _, _ string) error { time.Sleep(time.Hour); return ctx.Err() },
		})
		if err != nil || r.EWS == "" {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		begin := time.Now()
		r, err := autodiscover.Find(ctx, autodiscover.Options{
			Address: address, Anonymous: &http.Client{Transport: trip(hang)}, SignedIn: &http.Client{Transport: trip(hang)}, Resolver: deaf(),
		})
		if took := time.Since(begin); took != time.Second || !errors.Is(err, context.Canceled) || len(r.Tried) != 4 {
			t.Errorf("%v after %s: %+v", err, took, r.Tried)
		}
	})
}
