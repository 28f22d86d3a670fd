// Package cli holds the commands of c2conn, a file each, and is the only package
// that prints and decides the exit code. It hides cobra, the forms of output and
// the wiring of the packages below.
package cli

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/connections/oskeychain"
	"github.com/c2conn/c2conn/internal/browser"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/progress"
	"github.com/c2conn/c2conn/internal/transport"
	"github.com/c2conn/c2conn/internal/verify"
	"github.com/c2conn/c2conn/wizard"
)

// Streams are the three standard streams and what is known of them.
type Streams struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer

	InTerminal  bool // In is a terminal: questions may be asked
	OutTerminal bool
	ErrTerminal bool // Err is a terminal: a screen may be drawn there

	// ReadPassword reads a line from the terminal without echo; it calls prompt once
	// nothing that is typed can be seen any more. It ends with the context, and then
	// too leaves the terminal as it was.
	ReadPassword func(ctx context.Context, prompt func()) ([]byte, error)
}

// SystemStreams are the streams of the process.
func SystemStreams() Streams {
	in := int(os.Stdin.Fd())
	return Streams{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		InTerminal: term.IsTerminal(in), OutTerminal: term.IsTerminal(int(os.Stdout.Fd())), ErrTerminal: term.IsTerminal(int(os.Stderr.Fd())),
		ReadPassword: func(ctx context.Context, prompt func()) ([]byte, error) { return readPassword(ctx, in, prompt) },
	}
}

func readPassword(ctx context.Context, fd int, prompt func()) (line []byte, err error) {
	// Raw for a moment: whoever types ahead of the prompt must not be seen either.
	state, err := term.MakeRaw(fd)
	if err != nil {
		return nil, fmt.Errorf("preparing the terminal: %w", err)
	}
	defer func() { err = errors.Join(err, term.Restore(fd, state)) }()
	prompt()
	type answer struct {
		text []byte
		err  error
	}
	got := make(chan answer, 1)
	go func() {
		text, err := term.ReadPassword(fd)
		got <- answer{text, err}
	}()
	select {
	case <-ctx.Done():
		// The reader is still in its system call; it dies with the process.
		return nil, ctx.Err()
	case r := <-got:
		return r.text, r.err
	}
}

// Environment is the world outside the streams. Tests give their own.
type Environment struct {
	Getenv     func(string) string
	Environ    func() []string        // all variables, for a command that is run; nil for none
	Program    func() (string, error) // this program's file, to be started again; nil where it cannot be
	ReadFile   func(string) ([]byte, error)
	Clock      transport.Clock
	Rand       io.Reader
	Keychain   connections.Keychain // nil where there is none
	Transport  http.RoundTripper    // nil for the network
	ScryptLogN int                  // work factor of new passphrase-protected identities, 0 for age's default
	Version    Version

	// Signals makes a context that ends with Ctrl-C and the like; nil for none. It is
	// called for commands that wait for something: the others are over sooner than a
	// signal handler is set up, and end by the signal itself.
	Signals func(context.Context) (context.Context, context.CancelFunc)

	// Grace is how long a cancelled command has to end by itself before Main returns
	// without it; 0 for two seconds.
	Grace time.Duration
}

// SystemEnvironment is the environment of the process.
func SystemEnvironment() Environment {
	return Environment{
		Getenv: os.Getenv, Environ: os.Environ, Program: os.Executable, ReadFile: readFile, Clock: transport.SystemClock(), Rand: rand.Reader,
		Keychain: oskeychain.New(oskeychain.Options{Getenv: os.Getenv}), Version: buildVersion(),
	}
}

// fileLimit bounds what is read of a file that the user names: a certificate, a
// secret, a definition. None has a tenth of it, and /dev/zero has no end.
const fileLimit = 4 << 20

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, fileLimit+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if len(data) > fileLimit {
		return nil, fmt.Errorf("%s is larger than %d MiB; that is none of the files c2conn reads", path, fileLimit>>20)
	}
	return data, nil
}

// app is what the commands share: made of the streams and the environment, with
// everything that costs something opened at first use.
type app struct {
	Streams
	Environment
	output     string
	noInput    bool
	accessible bool
	grant      bool          // a missing right to impersonate is granted, on the premises
	replicas   time.Duration // how long a clean-up waits for them; 0: the registrar's own

	mu                 sync.Mutex // of what follows, and of standard error
	passphraseOnScreen wizard.AskPassphrase

	clients map[string]*http.Client

	opened   *connections.Store
	clouds   *cloud.Set
	personal certs.Store
}

// Main runs c2conn with the arguments and returns its exit code.
func Main(ctx context.Context, args []string, s Streams, e Environment) int {
	a := &app{Streams: s, Environment: e}
	if a.In == nil {
		a.In = emptyReader{}
	}
	root := newRoot(a, args)
	root.SetArgs(args)
	if cmd, _, err := root.Find(args); err == nil && cmd.Annotations[quick] != "" {
		return a.exit(ctx, root, root.ExecuteContext(ctx))
	}
	if a.Signals != nil {
		var stop context.CancelFunc
		ctx, stop = a.Signals(ctx)
		defer stop()
	}
	waiting := progress.With(ctx, func(u progress.Update) { a.errorf("  … %s\n", clean(u.Text)) })
	done := make(chan error, 1)
	go func() { done <- root.ExecuteContext(waiting) }()
	select {
	case err := <-done:
		return a.exit(ctx, root, err)
	case <-ctx.Done():
	}
	// What waits in a system call, for standard input or a pipe, does not hear of it.
	limit := time.NewTimer(cmp.Or(a.Grace, grace))
	defer limit.Stop()
	select {
	case err := <-done:
		return a.exit(ctx, root, err)
	case <-limit.C:
		return a.exit(ctx, root, ctx.Err())
	}
}

// quick marks a command that waits for nothing but this machine's disk, or that
// listens to signals itself.
const quick = "quick"

// grace is the Grace of an environment that says nothing else.
const grace = 2 * time.Second

type emptyReader struct{}

func (emptyReader) Read([]byte) (int, error) { return 0, io.EOF }

// stateDir is where all state lives: C2CONN_HOME, else the platform's place.
// Source: XDG Base Directory Specification 0.8, "XDG_STATE_HOME".
func (a *app) stateDir() (string, error) {
	if dir := a.Getenv("C2CONN_HOME"); dir != "" {
		return filepath.Abs(dir)
	}
	switch runtime.GOOS {
	case "windows":
		if dir := a.Getenv("LOCALAPPDATA"); dir != "" {
			return filepath.Join(dir, "c2conn"), nil
		}
	case "darwin":
		if home := a.Getenv("HOME"); home != "" && a.Getenv("XDG_STATE_HOME") == "" {
			return filepath.Join(home, "Library", "Application Support", "c2conn"), nil
		}
	}
	// The specification tells programs to ignore relative paths.
	if dir := a.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "c2conn"), nil
	}
	if home := a.Getenv("HOME"); home != "" {
		return filepath.Join(home, ".local", "state", "c2conn"), nil
	}
	return "", errNoHome
}

func (a *app) store() (*connections.Store, error) {
	if a.opened != nil {
		return a.opened, nil
	}
	dir, err := a.stateDir()
	if err != nil {
		return nil, err
	}
	o := connections.Options{Dir: dir, Now: a.Clock.Now, Rand: a.Rand, Getenv: a.Getenv, Keychain: a.Keychain, ScryptLogN: a.ScryptLogN}
	if a.canAsk() {
		o.Passphrase = a.askPassphrase
	}
	a.opened, err = connections.Open(o)
	return a.opened, err
}

func (a *app) cloudSet() (*cloud.Set, error) {
	if a.clouds != nil {
		return a.clouds, nil
	}
	dir, err := a.stateDir()
	if err != nil {
		return nil, err
	}
	a.clouds, err = cloud.Load(dir)
	return a.clouds, err
}

func (a *app) personalStore() (certs.Store, error) {
	if a.personal != nil {
		return a.personal, nil
	}
	store, err := a.store()
	if err != nil {
		return nil, err
	}
	dir, err := a.stateDir()
	if err != nil {
		return nil, err
	}
	a.personal = certs.Personal(store, dir, a.Clock.Now)
	return a.personal, nil
}

// httpClient is the one client for a cloud: all that speak to a host share its
// connection.
func (a *app) httpClient(c cloud.Cloud) (*http.Client, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := c.Name + "\n" + c.Login
	if client := a.clients[key]; client != nil {
		return client, nil
	}
	client, err := transport.New(transport.Options{
		Getenv: a.Getenv, ExtraCA: c.CA, UserAgent: "c2conn/" + a.Version.Number, Clock: a.Clock, Rand: a.Rand, Base: a.Transport,
	})
	if err != nil {
		return nil, err
	}
	if a.clients == nil {
		a.clients = map[string]*http.Client{}
	}
	a.clients[key] = client
	return client, nil
}

// wizardEnv is the world as the flows see it.
func (a *app) wizardEnv() (*wizard.Env, error) {
	store, err := a.store()
	if err != nil {
		return nil, err
	}
	personal, err := a.personalStore()
	if err != nil {
		return nil, err
	}
	clouds, err := a.cloudSet()
	if err != nil {
		return nil, err
	}
	dir, err := a.stateDir()
	if err != nil {
		return nil, err
	}
	return &wizard.Env{
		Store: store, Personal: personal, Clouds: clouds, HTTP: a.httpClient,
		Clock: a.Clock, Rand: a.Rand, ReadFile: a.ReadFile, Getenv: a.Getenv, Accounts: &verify.Accounts{},
		StateDir: dir, BrowserLikely: browser.Likely(a.Getenv, runtime.GOOS), OpenBrowser: a.openBrowser,
	}, nil
}

// canAsk reports whether a question may be asked and will be seen.
func (a *app) canAsk() bool { return !a.noInput && a.InTerminal && a.ErrTerminal }
