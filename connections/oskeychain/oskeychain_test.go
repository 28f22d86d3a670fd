package oskeychain

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/zalando/go-keyring"

	"github.com/c2conn/c2conn/connections"
)

func fake(b backend) *Keychain {
	k := New(Options{Getenv: func(string) string { return "unix:path=/nowhere" }})
	k.calls = b
	return k
}

func TestNoSessionBus(t *testing.T) {
	t.Parallel()
	k := New(Options{})
	k.needs = true
	k.calls.get = func(string, string) (string, error) {
		t.Error("the library was called without a session bus")
		return "", nil
	}
	if _, err := k.Get(t.Context(), "a"); err == nil || errors.Is(err, connections.ErrNoEntry) {
		t.Errorf("Get = %v, want a keychain that does not work", err)
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	locked := errors.New("failed to unlock correct collection")
	for _, tc := range []struct {
		name    string
		err     error
		noEntry bool
	}{
		{"not found", keyring.ErrNotFound, true},
		{"locked", locked, false},
		{"unsupported", keyring.ErrUnsupportedPlatform, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			k := fake(backend{get: func(string, string) (string, error) { return "", tc.err }})
			_, err := k.Get(t.Context(), "a")
			if err == nil || errors.Is(err, connections.ErrNoEntry) != tc.noEntry {
				t.Errorf("Get = %v, ErrNoEntry wanted: %v", err, tc.noEntry)
			}
		})
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	held := map[string]string{}
	k := fake(backend{
		get: func(s, a string) (string, error) {
			if v, ok := held[s+"/"+a]; ok {
				return v, nil
			}
			return "", keyring.ErrNotFound
		},
		set:    func(s, a, v string) error { held[s+"/"+a] = v; return nil },
		remove: func(s, a string) error { delete(held, s+"/"+a); return nil },
	})
	ctx := t.Context()
	if err := k.Set(ctx, "a", "value"); err != nil {
		t.Fatal(err)
	}
	if v, err := k.Get(ctx, "a"); v != "value" || err != nil {
		t.Errorf("Get = %q, %v", v, err)
	}
	if _, there := held["c2conn/a"]; !there {
		t.Error("the entry is not under the service c2conn")
	}
	if err := k.Delete(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Get(ctx, "a"); !errors.Is(err, connections.ErrNoEntry) {
		t.Errorf("Get after Delete = %v", err)
	}
	if err := k.Set(ctx, "a", strings.Repeat("x", valueLimit+1)); err == nil {
		t.Error("a value that is too large was accepted")
	}
}

func TestNeverAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		k := fake(backend{get: func(string, string) (string, error) { <-release; return "", nil }})
		if _, err := k.Get(t.Context(), "a"); err == nil || !strings.Contains(err.Error(), "3s") {
			t.Errorf("Get = %v, want the time limit", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := k.Get(ctx, "a"); !errors.Is(err, context.Canceled) {
			t.Errorf("Get = %v, want context.Canceled", err)
		}
		close(release)
	})
}
