package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/c2conn/c2conn/internal/sim"
)

func newRun(p Process) *cobra.Command {
	var flags worldFlags
	cmd := &cobra.Command{
		Use:   "run [flags] -- COMMAND [ARGUMENT]…",
		Short: "Run a command against a fresh tenant and end with its exit code",
		Long: "Run a command against a fresh tenant and end with its exit code (128 plus the number of\nthe signal that ended it).\n\n" +
			"The command finds in its environment: C2CONN_HOME (fresh unless set), C2CONN_CLOUD=sim,\nSIM_TENANT_ID, SIM_TENANT_DOMAIN, SIM_CLIENT_ID, SIM_MAILBOX, SIM_CLIENT_SECRET_FILE,\n" +
			"SIM_CERT_FILE (PFX), SIM_CERT_PASSWORD_FILE, SIM_CERT_PEM_FILE (without password), SIM_ADMIN_TOKEN_FILE (a Global Administrator's\ntoken for Microsoft Graph, good for an hour), SIM_CA_FILE, SIM_CLOUD_FILE, SIM_LOGIN_URL,\nSIM_GRAPH_URL, SIM_OUTLOOK_URL, SIM_SHAREPOINT_URL, and the applications for the other kinds of\n" +
			"connections: SIM_SHAREPOINT_CLIENT_ID, SIM_SOURCE_CLIENT_ID, SIM_TARGET_CLIENT_ID, with the\nsame certificate or SIM_SHAREPOINT_SECRET_FILE, SIM_SOURCE_SECRET_FILE, SIM_TARGET_SECRET_FILE.\n\n" +
			"With --dump the tenant's registrations are written to a file when the command has ended.\nWith --tenants SIM_TENANTS_FILE lists all of them, with the values of the variables of each;\nthe variables themselves are the first one's. A fault for one tenant alone: contoso02:throttle.\n\nc2conn-sim faults lists what --fault can switch on.",
		Example: "  c2conn-sim run -- env\n  c2conn-sim run --rtt 80ms --fault throttle --log requests.jsonl -- c2conn verify --all\n" +
			"  c2conn-sim run --fault replication=20s,0.5 --dump tenant.json -- sh -c \\\n    'c2conn new exchange --auto --access-token-stdin --name backup < \"$SIM_ADMIN_TOKEN_FILE\"'",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("%w: say what to run after --", errUsage)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), p, flags, args) },
	}
	cmd.Flags().SetInterspersed(false)
	flags.add(cmd)
	return cmd
}

func run(ctx context.Context, p Process, flags worldFlags, args []string) error {
	return flags.furnish(p.Environ, func(_ *sim.World, _ *kit, environ []string) error { return execute(ctx, p, environ, args) })
}

// furnish starts a world, writes its files and prepares C2CONN_HOME for what use
// does, and takes all of it away afterwards.
func (f *worldFlags) furnish(environ []string, use func(*sim.World, *kit, []string) error) (err error) {
	world, end, err := f.start("")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	dir, err := os.MkdirTemp("", "c2conn-sim-")
	if err != nil {
		return fmt.Errorf("make a folder for the files: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	k, err := newKit(world, dir)
	if err != nil {
		return err
	}
	leave, err := k.home(world, environ)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, leave()) }()
	return use(world, k, k.environ(environ))
}

// execute runs the command on our own streams and passes signals on.
func execute(ctx context.Context, p Process, environ, args []string) error {
	if ctx.Err() != nil {
		return exitError(128 + int(syscall.SIGINT))
	}
	path, err := exec.LookPath(args[0])
	if err != nil {
		_, _ = fmt.Fprintln(p.Stderr, "c2conn-sim:", err)
		return exitError(127)
	}
	child := exec.Command(path, args[1:]...) //nolint:noctx // a signal is passed on, never a kill
	child.Stdin, child.Stdout, child.Stderr, child.Env = p.Stdin, p.Stdout, p.Stderr, environ
	caught := make(chan os.Signal, 8)
	signal.Notify(caught, passedOn(p.Stdin)...)
	defer signal.Stop(caught)
	if err := child.Start(); err != nil {
		_, _ = fmt.Fprintln(p.Stderr, "c2conn-sim:", err)
		return exitError(126)
	}
	done := make(chan error, 1)
	go func() { done <- child.Wait() }()
	for {
		select {
		case s := <-caught:
			_ = child.Process.Signal(s) // it may have ended just now
		case err := <-done:
			return ended(err)
		}
	}
}

// ended turns how the command ended into our own exit code.
func ended(err error) error {
	var failed *exec.ExitError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &failed):
		return err
	}
	if status, ok := failed.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return exitError(128 + int(status.Signal()))
	}
	return exitError(failed.ExitCode())
}

// passedOn are the signals for the command. A Ctrl-C in a terminal reaches it by
// itself, and must not come twice.
func passedOn(stdin io.Reader) []os.Signal {
	signals := []os.Signal{syscall.SIGTERM, syscall.SIGHUP}
	if f, ok := stdin.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return signals
	}
	return append(signals, os.Interrupt, syscall.SIGQUIT)
}
