package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/c2conn/c2conn/internal/sim"
)

// Process is what the program gets from the outside.
type Process struct {
	Args           []string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Environ        []string
}

// exitError carries the exit code of the command that was run.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// errUsage marks a mistake on the command line.
var errUsage = errors.New("usage")

// Main runs the program and returns its exit code: 0 done, 1 error, 2 usage,
// else the code of the command that `run` ran.
func Main(ctx context.Context, p Process) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := newRoot(p)
	root.SetArgs(p.Args)
	err := root.ExecuteContext(ctx)
	var code exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	case errors.Is(err, errUsage):
		_, _ = fmt.Fprintln(p.Stderr, "c2conn-sim:", err)
		return 2
	default:
		_, _ = fmt.Fprintln(p.Stderr, "c2conn-sim:", err)
		return 1
	}
}

func newRoot(p Process) *cobra.Command {
	root := &cobra.Command{
		Use:           "c2conn-sim",
		Short:         "Simulated Microsoft 365 tenants, and a simulated company network with Exchange Server",
		Long:          "A simulated Microsoft 365 tenant: Entra ID, Microsoft Graph, Exchange Web Services and\nSharePoint Online over real TLS, on this machine only, with faults that can be switched on by name.\nThe command onprem is a company network instead: Active Directory and Exchange Server.",
		SilenceErrors: true, SilenceUsage: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(p.Stdin)
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return fmt.Errorf("%w: %w", errUsage, err) })
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(newServe(p), newRun(p), newDemo(p), newFaults(p), newOnPrem(p))
	return root
}

// worldFlags are the flags that `serve` and `run` share.
type worldFlags struct {
	rtt    time.Duration
	faults []string
	seed   int64
	log    string
	dump   string

	tenants int
}

func (f *worldFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.DurationVar(&f.rtt, "rtt", 0, "delay added to every answer, such as 80ms (connecting is not delayed)")
	flags.StringArrayVar(&f.faults, "fault", nil, "switch a fault on: NAME or NAME=ARGUMENT (may be repeated; see c2conn-sim faults)")
	flags.Int64Var(&f.seed, "seed", 1, "decides all ids and secrets of the tenant")
	flags.IntVar(&f.tenants, "tenants", 1, "how many tenants share the services; SIM_TENANTS_FILE then describes them all, as JSON")
	flags.StringVar(&f.log, "log", "", "write every request and its answer to this file, a JSON object a line")
	flags.StringVar(&f.dump, "dump", "", "at the end, write the tenant's applications, service principals (without Microsoft's own), assignments and deleted items to this file, as JSON")
}

// start makes the world; the function that comes with it ends it.
func (f *worldFlags) start(listen string) (*sim.World, func() error, error) {
	if f.rtt < 0 {
		return nil, nil, fmt.Errorf("%w: --rtt must not be negative", errUsage)
	}
	if f.tenants < 0 {
		return nil, nil, fmt.Errorf("%w: --tenants must not be negative", errUsage)
	}
	o := sim.Options{Tenants: f.tenants, Seed: f.seed, Now: time.Now, RTT: f.rtt, Faults: f.faults, Listen: listen}
	closeLog := func() error { return nil }
	if f.log != "" {
		file, err := os.OpenFile(f.log, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, nil, fmt.Errorf("open the log: %w", err)
		}
		o.Log, closeLog = file, file.Close
	}
	world, err := sim.Start(o)
	if err != nil {
		if errors.Is(err, sim.ErrFault) {
			err = fmt.Errorf("%w: %w", errUsage, err)
		}
		return nil, nil, errors.Join(err, closeLog())
	}
	return world, func() error { return errors.Join(f.writeDump(world), world.Close(), closeLog()) }, nil
}

// writeDump keeps what has become of the tenant.
func (f *worldFlags) writeDump(world *sim.World) error {
	if f.dump == "" {
		return nil
	}
	data, err := world.Dump()
	if err == nil {
		err = os.WriteFile(f.dump, append(data, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("write the dump: %w", err)
	}
	return nil
}
