// Command c2conn connects backup and migration software to Microsoft 365,
// Exchange and SharePoint.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/c2conn/c2conn/internal/cli"
)

// A run is short and small: collecting garbage less often than by default
// costs a few megabytes and saves a third of the time of a list.
const garbage = 400 // percent, as GOGC

func main() { os.Exit(run()) }

func run() int {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbage)
	}
	e := cli.SystemEnvironment()
	e.Signals = func(ctx context.Context) (context.Context, context.CancelFunc) {
		return signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	}
	return cli.Main(context.Background(), os.Args[1:], cli.SystemStreams(), e)
}
