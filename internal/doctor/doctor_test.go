package doctor_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/doctor"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/internal/transport"
)

// keychain is one that can be locked.
type keychain struct {
	entries map[string]string
	locked  bool
}

func (k *keychain) Get(_ context.Context, account string) (string, error) {
	if k.locked {
		return "", errors.New("it is locked")
	}
	v, ok := k.entries[account]
	if !ok {
		return "", connections.ErrNoEntry
	}
	return v, nil
}

func (k *keychain) Set(_ context.Context, account, value string) error {
	k.entries[account] = value
	return nil
}

func (k *keychain) Delete(_ context.Context, account string) error {
	delete(k.entries, account)
	return nil
}

type answer func(*http.Request) (*http.Response, error)

func (a answer) RoundTrip(r *http.Request) (*http.Response, error) { return a(r) }

func examine(t *testing.T, k *keychain, base http.RoundTripper, prepare func(*connections.Store)) doctor.Report {
	t.Helper()
	dir := t.TempDir()
	open := func() *connections.Store {
		store, err := connections.Open(connections.Options{Dir: dir, Keychain: k})
		if err != nil {
			t.Fatal(err)
		}
		return store
	}
	prepare(open())
	store := open() // which has not opened the key yet
	clouds, err := cloud.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	report, err := doctor.Run(t.Context(), doctor.Options{
		Store: store, Personal: certs.NewFiles(store, dir, time.Now), Clouds: clouds, Clock: transport.SystemClock(), Default: cloud.Global, Offline: base == nil,
		Proxy: func(string) (string, error) { return "", nil },
		HTTP: func(cloud.Cloud) (*http.Client, error) {
			return transport.New(transport.Options{Base: base})
		},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func want(t *testing.T, results []task.Result, id string, status task.Status) {
	t.Helper()
	for _, r := range results {
		if r.ID != id {
			continue
		}
		if r.Status != status || (status == task.Fail || status == task.Warn) && r.Advice == nil {
			t.Errorf("%s: %s (%s), want %s with an advice", id, r.Status, r.Finding, status)
		}
		return
	}
	t.Errorf("no check %s", id)
}

func nothing(*connections.Store) {}

func secret(t *testing.T) func(*connections.Store) {
	return func(s *connections.Store) {
		if _, err := s.PutSecret(t.Context(), connections.NewSecret("x")); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLockedKeychain(t *testing.T) {
	t.Parallel()
	k := &keychain{entries: map[string]string{}}
	want(t, examine(t, k, nil, secret(t)).Machine, "secrets", task.Pass)
	r := examine(t, k, nil, func(s *connections.Store) { secret(t)(s); k.locked = true })
	want(t, r.Machine, "secrets", task.Fail)
	if !r.Failed() {
		t.Error("a locked keychain is no failure")
	}
}

func TestOpenFolder(t *testing.T) {
	t.Parallel()
	r := examine(t, &keychain{entries: map[string]string{}}, nil, func(s *connections.Store) {
		secret(t)(s)
		if err := os.Chmod(s.Dir(), 0o777); err != nil { //nolint:gosec // that is what is tested
			t.Fatal(err)
		}
	})
	want(t, r.Machine, "store", task.Fail)
}

func TestNetwork(t *testing.T) {
	t.Parallel()
	const login, graph = "login.microsoftonline.com", "graph.microsoft.com"
	at := func(skew time.Duration) answer {
		return func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Header: http.Header{"Date": {time.Now().Add(skew).UTC().Format(http.TimeFormat)}}}, nil
		}
	}
	for _, c := range []struct {
		skew  time.Duration
		clock task.Status
	}{{0, task.Pass}, {2 * time.Minute, task.Warn}, {-2 * time.Minute, task.Warn}, {10 * time.Minute, task.Fail}} {
		r := examine(t, &keychain{entries: map[string]string{}}, at(c.skew), nothing)
		want(t, r.Network, "clock", c.clock)
		want(t, r.Network, "http."+graph, task.Pass)
	}
	lost := answer(func(r *http.Request) (*http.Response, error) {
		return nil, &net.DNSError{Err: "no such host", Name: r.URL.Host, IsNotFound: true}
	})
	r := examine(t, &keychain{entries: map[string]string{}}, lost, nothing)
	want(t, r.Network, "dns."+login, task.Fail)
	want(t, r.Network, "tls."+login, task.Skip)
	want(t, r.Network, "clock", task.Skip)
}
