// Command live drives c2conn through its whole journey against a real tenant, and
// asks Microsoft's services for the facts that nobody could confirm without one.
// Nothing of it stays in the tenant. `make live` runs it; see docs/live.md.
package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/browser"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/graph"
	"github.com/c2conn/c2conn/internal/transport"
)

const variables = `  C2CONN_LIVE_TENANT             id or domain of a tenant for tests
  C2CONN_LIVE_ACCESS_TOKEN_FILE  file with a Global Administrator's token for Microsoft Graph,
  or C2CONN_LIVE_LOGIN           browser or device-code, to sign in as one
  C2CONN_LIVE_MAILBOX            a mailbox of the tenant (optional: the administrator's)
  C2CONN_LIVE_CLOUD              global unless set
  C2CONN_LIVE_HOME               a folder for c2conn's state (optional: a temporary one)
`

func main() {
	os.Exit(start(os.Stdout, os.Getenv, os.Environ())) //nolint:forbidigo // a main package
}

// start returns the exit code: 2 where the run could not begin, 1 where it failed or
// left something, 130 where a signal ended it.
func start(stdout io.Writer, getenv func(string) string, environ []string) int {
	out := &redacted{to: stdout}
	if getenv("C2CONN_LIVE_TENANT") == "" {
		fmt.Fprintf(out, "SKIPPED: make live needs a real tenant, and nobody named one. Set these variables:\n%s", variables)
		return 0
	}
	// The first signal ends the journey, and what was made is removed; the next ends that.
	ctx, stop := context.WithCancel(context.Background())
	last, abandon := context.WithCancel(context.Background())
	defer stop()
	defer abandon()
	caught := make(chan os.Signal, 4)
	signal.Notify(caught, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		<-caught
		fmt.Fprintln(out, "\nStopping. What was made is removed first; a second signal leaves it in the tenant.")
		stop()
		<-caught
		abandon()
	}()
	home := getenv("C2CONN_LIVE_HOME")
	if home == "" {
		var err error
		if home, err = os.MkdirTemp("", "c2conn-live-"); err != nil {
			fmt.Fprintln(out, "live:", err)
			return 1
		}
		defer func() { _ = os.RemoveAll(home) }()
		environ = append(environ, "C2CONN_IDENTITY_FILE="+filepath.Join(home, "identity.txt"))
	}
	run := binary(filepath.Join("bin", "c2conn"), append(environ, "C2CONN_HOME="+home))
	l, err := newLive(ctx, options{out: out, getenv: getenv, clock: transport.SystemClock(), home: home, run: run, key: newKey})
	if err != nil {
		fmt.Fprintf(out, "live: %v\n%s", err, variables)
		return 2
	}
	if err = l.all(ctx, last); err == nil {
		return 0
	}
	fmt.Fprintf(out, "\nlive: %v\n", err)
	if ctx.Err() != nil && !errors.Is(err, errLeft) {
		return 130
	}
	return 1
}

// binary runs c2conn as a process of its own, which hears of an end in good time to
// leave things in order.
func binary(path string, environ []string) runner {
	return func(ctx context.Context, stdin string, args ...string) (outcome, error) {
		var stdout, stderr bytes.Buffer
		cmd := exec.CommandContext(ctx, path, args...)
		cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = environ, strings.NewReader(stdin), &stdout, &stderr
		cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
		cmd.WaitDelay = time.Minute
		err := cmd.Run()
		if _, ended := errors.AsType[*exec.ExitError](err); ended {
			err = ctx.Err()
		}
		return outcome{stdout: stdout.Bytes(), stderr: stderr.Bytes(), code: cmd.ProcessState.ExitCode()}, err
	}
}

// redacted lets no token through, whoever put it into a text.
type redacted struct {
	mu sync.Mutex
	to io.Writer
}

var jwt = regexp.MustCompile(`eyJ[\w-]{8,}(\.[\w-]+)*`)

// Write implements io.Writer.
func (r *redacted) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, err := r.to.Write(jwt.ReplaceAll(p, []byte("[token]")))
	return len(p), err
}

// options are what a run needs from outside.
type options struct {
	out    io.Writer
	getenv func(string) string
	clock  transport.Clock
	home   string // c2conn's
	run    runner
	key    func(now time.Time) (certs.Identity, error) // makes one of the probe's
}

// live is one run.
type live struct {
	options
	report   report
	cloud    cloud.Cloud
	tenant   entra.Tenant
	http     *http.Client
	admin    *entra.Admin
	graph    *graph.Client
	mailbox  string
	keys     [2]certs.Identity                 // of the probe
	services map[string]graph.ServicePrincipal // that the tenant has

	name, connection string // what the run makes is named so
	begun            bool   // c2conn was told to register
	registered       made   // by c2conn
	made             []made // everything in the tenant
}

// newLive signs the administrator in; nothing is changed yet.
func newLive(ctx context.Context, o options) (*live, error) {
	now := o.clock.Now().UTC()
	l := &live{options: o, report: newReport(), name: "c2conn live test " + now.Format("2006-01-02 15:04:05"), connection: "live-" + now.Format("20060102-150405")}
	clouds, err := cloud.Load(o.home)
	if err != nil {
		return nil, err
	}
	if l.cloud, err = clouds.Find(cmp.Or(o.getenv("C2CONN_LIVE_CLOUD"), cloud.Global)); err != nil {
		return nil, fmt.Errorf("C2CONN_LIVE_CLOUD: %w", err)
	}
	if l.http, err = transport.New(transport.Options{Getenv: o.getenv, ExtraCA: l.cloud.CA, UserAgent: "c2conn-live", Clock: o.clock}); err != nil {
		return nil, err
	}
	if l.tenant, err = entra.ResolveTenant(ctx, l.http, l.cloud, o.getenv("C2CONN_LIVE_TENANT")); err != nil {
		return nil, fmt.Errorf("C2CONN_LIVE_TENANT: %w", err)
	}
	if l.admin, err = l.signIn(ctx); err != nil {
		return nil, err
	}
	l.mailbox = cmp.Or(o.getenv("C2CONN_LIVE_MAILBOX"), l.admin.Claims().UPN)
	l.graph, err = graph.New(graph.Options{BaseURL: l.cloud.GraphBase(), Token: l.admin.Token, HTTP: l.http, Clock: o.clock})
	for i := range l.keys {
		if err == nil {
			l.keys[i], err = o.key(now)
		}
	}
	return l, errors.Join(err, l.admin.InTenant(l.tenant.ID))
}

func newKey(now time.Time) (certs.Identity, error) {
	return certs.Generate(nil, now, certs.NewOptions{CommonName: "c2conn live test", Valid: certs.Validity{Days: 1}})
}

func (l *live) signIn(ctx context.Context) (*entra.Admin, error) {
	if file := l.getenv("C2CONN_LIVE_ACCESS_TOKEN_FILE"); file != "" {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		return entra.GivenToken(connections.NewSecret(bytes.TrimSpace(data)), l.cloud, l.clock.Now())
	}
	user, err := entra.NewUser(entra.UserOptions{Cloud: l.cloud, Tenant: l.tenant.ID, HTTP: l.http, Clock: l.clock})
	switch login := l.getenv("C2CONN_LIVE_LOGIN"); {
	case err != nil:
		return nil, err
	case login == "browser":
		return user.Browser(ctx, func(p entra.BrowserPrompt) {
			l.say("To sign in, open this page in a browser of this computer:\n\n    %s\n", p.URL)
			_ = browser.Open(ctx, browser.Options{Getenv: l.getenv}, p.URL) // the address is on the screen
		})
	case login == "device-code":
		return user.DeviceCode(ctx, func(p entra.DevicePrompt) { l.say("To sign in, open %s and enter the code %s", p.URL, p.Code) })
	}
	return nil, errors.New("nobody can sign in: set C2CONN_LIVE_ACCESS_TOKEN_FILE, or C2CONN_LIVE_LOGIN to browser or device-code")
}

func (l *live) say(format string, args ...any) { fmt.Fprintf(l.out, format+"\n", args...) }

// all is the run: whatever happens in it, the sweep comes last, with a context of its own.
func (l *live) all(ctx, last context.Context) (err error) {
	l.say("Tenant %s in cloud %s, administrator %s\nWhat is made is named %q… and removed at the end.", l.tenant.ID, l.cloud.Name, cmp.Or(l.admin.Claims().UPN, l.admin.Claims().Name), l.name)
	why := "the run did not come to it"
	defer func() {
		err = errors.Join(err, l.sweep(last))
		l.report.print(l.out, why)
	}()
	for _, part := range []struct {
		title string
		do    func(context.Context) error
	}{{"Reading", l.reads}, {"Registering with c2conn", l.journey}, {"Trying an application of its own", l.probes}, {"Deleting with c2conn", l.remove}} {
		if ctx.Err() != nil {
			why = "the run was stopped"
			return errors.Join(err, ctx.Err())
		}
		l.say("\n%s", part.title)
		if e := part.do(ctx); e != nil {
			why = transport.CleanText(part.title+": "+e.Error(), 300)
			l.say("  failed: %s", transport.CleanText(e.Error(), 300))
			err = errors.Join(err, e)
		}
	}
	return err
}
