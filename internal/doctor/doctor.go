// Package doctor examines the computer that c2conn runs on and every saved connection,
// without changing anything and without signing in: it says why a connection cannot
// work before anybody asks the tenant.
package doctor

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/internal/transport"
	"github.com/c2conn/c2conn/internal/winauth"
)

// Options are the world that is examined.
type Options struct {
	Store    *connections.Store
	Personal certs.Store
	Clouds   *cloud.Set
	HTTP     func(cloud.Cloud) (*http.Client, error)
	Proxy    func(rawURL string) (string, error) // host of the proxy for an address, "" for none
	Clock    transport.Clock
	Default  string // the cloud that is examined where no connection names one
	Offline  bool   // leave the network out

	// Look fetches the certificate at an https address of an on-premises connection; nil
	// leaves such servers out.
	Look func(ctx context.Context, c connections.Connection, address string) (winauth.Certificate, error)
	More []task.Task // further checks of the machine
}

// Report is what was found.
type Report struct {
	Machine     []task.Result
	Network     []task.Result
	Connections []Connection
	Orphans     []connections.Ref // saved secrets that nothing refers to
}

// Connection are the checks of one connection.
type Connection struct {
	Name   string
	Checks []task.Result
}

// Failed reports whether any check failed.
func (r Report) Failed() bool {
	groups := [][]task.Result{r.Machine, r.Network}
	for _, c := range r.Connections {
		groups = append(groups, c.Checks)
	}
	for _, g := range groups {
		for _, one := range g {
			if one.Status == task.Fail {
				return true
			}
		}
	}
	return false
}

const (
	localLimit   = 15 * time.Second // a check of this computer; a keychain answers within three
	personLimit  = 2 * time.Minute  // where a passphrase may be asked for
	networkLimit = 20 * time.Second
	sideBySide   = 16
)

// Run examines everything side by side and reports to listen as task.Run does. The id of
// a connection's check is its name, a slash and the check's own id in events; in the
// report its own id alone. The error is that of a list of connections that cannot be
// read at all, which the report tells as well, or that of ctx.
func Run(ctx context.Context, o Options, listen func(task.Event)) (Report, error) {
	e := &examination{Options: o}
	entries, listErr := o.Store.List(ctx)
	machine := append(e.machine(listErr, entries), o.More...)
	var network []task.Task
	if !o.Offline {
		network = e.network(e.clouds(entries))
	}
	all := append(append([]task.Task{}, machine...), network...)
	sizes := make([]int, len(entries))
	for i, entry := range entries {
		checks := e.connection(entry)
		sizes[i] = len(checks)
		all = append(all, checks...)
	}
	results := task.RunAtMost(ctx, sideBySide, o.Clock.Now, all, listen)
	r := Report{Machine: results[:len(machine)], Network: results[len(machine) : len(machine)+len(network)], Orphans: e.orphans}
	rest := results[len(machine)+len(network):]
	for i, entry := range entries {
		c := Connection{Name: entry.Connection.Name, Checks: rest[:sizes[i]]}
		rest = rest[sizes[i]:]
		for n := range c.Checks {
			c.Checks[n].ID = c.Checks[n].ID[len(c.Name)+1:]
		}
		r.Connections = append(r.Connections, c)
	}
	if ctx.Err() != nil {
		return r, context.Cause(ctx)
	}
	return r, nil
}

type examination struct {
	Options
	orphans []connections.Ref // written by one task, read after Run
}

func (e *examination) facts() advice.Facts { return advice.Facts{Now: e.Clock.Now()} }

func pass(format string, args ...any) task.Result {
	return task.Result{Status: task.Pass, Finding: fmt.Sprintf(format, args...)}
}

// bad is a failed check or a warning that an error explains.
func bad(status task.Status, err error, f advice.Facts) task.Result {
	return task.Result{Status: status, Finding: advice.Short(err, f), Err: err, Advice: advice.For(err, f)}
}

// said is a failed check or a warning in words of its own.
func said(status task.Status, finding, why string, next ...string) task.Result {
	return task.Result{Status: status, Finding: finding, Advice: &advice.Advice{What: finding, Why: why, Next: next, Codes: []string{}}}
}
