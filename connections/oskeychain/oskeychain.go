// Package oskeychain gives connections the keychain of the operating system:
// the Keychain of macOS, the Credential Manager of Windows, the Secret Service
// (GNOME Keyring, KWallet) of Linux and the BSDs.
//
// It hides that a keychain may be absent, locked, or never answer: every call
// ends within three seconds.
package oskeychain

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/zalando/go-keyring"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/progress"
)

const (
	service    = "c2conn"
	limit      = 3 * time.Second
	patience   = 700 * time.Millisecond // then a waiting user is told
	valueLimit = 1 << 10                // bytes; every system takes that much
)

// Options say what the keychain may know of the environment.
type Options struct {
	Getenv func(string) string // for DBUS_SESSION_BUS_ADDRESS on Linux; nil = nothing is set
}

// Keychain keeps texts under the service name "c2conn". It is safe for
// concurrent use and satisfies connections.Keychain.
type Keychain struct {
	getenv func(string) string
	limit  time.Duration
	needs  bool // a session bus
	calls  backend
}

// backend is the library, or a fake in tests.
type backend struct {
	get    func(service, account string) (string, error)
	set    func(service, account, value string) error
	remove func(service, account string) error
}

// New returns the keychain; it does not touch it yet.
func New(o Options) *Keychain {
	if o.Getenv == nil {
		o.Getenv = func(string) string { return "" }
	}
	return &Keychain{
		getenv: o.Getenv,
		limit:  limit,
		needs:  runtime.GOOS != "windows" && runtime.GOOS != "darwin",
		calls:  backend{get: keyring.Get, set: keyring.Set, remove: keyring.Delete},
	}
}

var _ connections.Keychain = (*Keychain)(nil)

// Get returns the value of an entry. Errors: connections.ErrNoEntry where the
// keychain works and has none; every other error means that it does not work.
func (k *Keychain) Get(ctx context.Context, account string) (string, error) {
	return k.call(ctx, func() (string, error) { return k.calls.get(service, account) })
}

// Set writes an entry of at most 1 KiB.
func (k *Keychain) Set(ctx context.Context, account, value string) error {
	if len(value) > valueLimit {
		return fmt.Errorf("the value is larger than the %d bytes that every keychain takes", valueLimit)
	}
	_, err := k.call(ctx, func() (string, error) { return "", k.calls.set(service, account, value) })
	return err
}

// Delete removes an entry. Errors as Get.
func (k *Keychain) Delete(ctx context.Context, account string) error {
	_, err := k.call(ctx, func() (string, error) { return "", k.calls.remove(service, account) })
	return err
}

func (k *Keychain) call(ctx context.Context, f func() (string, error)) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", context.Cause(ctx)
	}
	// Without an address the D-Bus library would start daemons of its own.
	if k.needs && k.getenv("DBUS_SESSION_BUS_ADDRESS") == "" {
		return "", errors.New("there is no desktop session here (DBUS_SESSION_BUS_ADDRESS is not set)")
	}
	limited, cancel := context.WithTimeout(ctx, k.limit)
	defer cancel()
	type answer struct {
		value string
		err   error
	}
	// The library takes no context. A call that never ends keeps its goroutine
	// until the program ends, which is soon.
	done := make(chan answer, 1)
	go func() {
		value, err := f()
		done <- answer{value, err}
	}()
	slow := time.AfterFunc(patience, func() {
		progress.Report(ctx, progress.Update{Text: "waiting for the keychain, which may have to be unlocked"})
	})
	defer slow.Stop()
	select {
	case a := <-done:
		if errors.Is(a.err, keyring.ErrNotFound) {
			return "", connections.ErrNoEntry
		}
		if a.err != nil {
			return "", fmt.Errorf("keychain: %w", a.err)
		}
		return a.value, nil
	case <-limited.Done():
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		return "", fmt.Errorf("the keychain gave no answer within %s; it may be waiting to be unlocked", k.limit)
	}
}
