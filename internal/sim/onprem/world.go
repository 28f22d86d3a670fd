package onprem

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/c2conn/c2conn/internal/sim/onprem/account"
	"github.com/c2conn/c2conn/internal/sim/onprem/org"
	"github.com/c2conn/c2conn/internal/sim/onprem/psrp"
	"github.com/c2conn/c2conn/internal/sim/onprem/sharepoint"
)

// usualMailboxes is how many mailboxes there are unless Options says otherwise.
const usualMailboxes = 12

// Options say how a world is made. The zero value of every field but Now works.
type Options struct {
	Now   func() time.Time                                 // required: the clock of all services
	Sleep func(ctx context.Context, d time.Duration) error // for delays; RealSleep unless set
	Seed  int64                                            // decides ids; keys and certificates are made afresh

	Version   string // of Exchange Server, see Versions; "" is the newest
	Mailboxes int    // how many there are; 0 means 12

	SharePointVersion string // of SharePoint Server, see sharepoint.Versions; "" is the newest
	SiteCollections   int    // how many site collections its web application has; 0 means 12

	Issued  bool          // the Exchange Server's certificate is by the company's authority
	Spread  time.Duration // how long a role assignment takes to be in force
	Lockout int           // wrong passwords that lock an account; 0 means never
	Faults  []string      // "NAME[=ARG]", see Faults

	Log   io.Writer                        // a JSON object a line for each request
	Debug func(format string, args ...any) // what the servers complain about; nil: dropped
}

// World is a running simulated network. All its methods may be called from several
// goroutines.
type World struct {
	options Options
	start   time.Time
	version Version
	ids     *stream

	people       []person
	accounts     *account.Directory
	organisation *org.Organisation
	faults       switches
	record       *recorder

	authority    *authority
	certificates certificates

	dns   *nameServer
	sites []*site // all that listen
	dc    *controller

	exchangeSecure, exchangePlain  *site
	farmSecure, farmPlain, central *site
	farm                           *sharepoint.Farm

	shells *psrp.Server
	guards guards
	conns  atomic.Int64

	closing context.Context
	close   context.CancelFunc
	done    sync.WaitGroup
}

// RealSleep waits on the machine's clock.
func RealSleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Start makes a fresh world and serves it. The caller closes it.
func Start(o Options) (*World, error) {
	if o.Now == nil {
		return nil, errors.New("onprem: Options.Now is missing")
	}
	if o.Sleep == nil {
		o.Sleep = RealSleep
	}
	if o.Debug == nil {
		o.Debug = func(string, ...any) {}
	}
	if o.Mailboxes < 0 || o.Mailboxes == 1 {
		return nil, errors.New("onprem: there are at least two mailboxes")
	}
	w := &World{options: o, start: o.Now(), ids: newStream(o.Seed, "requests"), record: &recorder{out: o.Log}, faults: switches{on: map[string]*active{}}}
	w.closing, w.close = context.WithCancel(context.Background())
	if err := w.serve(); err != nil {
		_ = w.Close()
		return nil, err
	}
	return w, nil
}

func (w *World) serve() error {
	var err error
	if w.version, err = versionOf(w.options.Version); err != nil {
		return err
	}
	if err = w.populate(); err != nil {
		return err
	}
	if err = w.populateFarm(); err != nil {
		return err
	}
	if err = w.certify(); err != nil {
		return err
	}
	if w.dc, err = w.serveController(); err != nil {
		return err
	}
	w.shells = w.servePowerShell()
	for _, spec := range w.options.Faults {
		if err = w.SetFault(spec); err != nil {
			return err
		}
	}
	w.exchangeSecure, w.exchangePlain = w.exchangeSite(true), w.exchangeSite(false)
	w.farmSecure, w.farmPlain, w.central = w.farmSite(true), w.farmSite(false), w.centralSite()
	for _, s := range []*site{w.exchangeSecure, w.exchangePlain, w.farmSecure, w.farmPlain, w.central} {
		if err = w.serveSite(s); err != nil {
			return err
		}
	}
	w.dns, err = serveNames(w.zone)
	return err
}

// Close ends all servers and waits for them. The error is that of writing the log.
func (w *World) Close() error {
	w.close()
	for _, s := range w.sites {
		_ = s.server.Close()
	}
	if w.dns != nil {
		w.dns.close()
	}
	if w.shells != nil {
		w.shells.Close()
	}
	if w.dc != nil {
		w.dc.close()
	}
	w.done.Wait()
	return w.record.err()
}

// now is the time of the domain and of the server: of all services but the faults'
// own waiting.
func (w *World) now() time.Time { return w.options.Now() }

func (w *World) millis(t time.Time) float64 {
	return float64(t.Sub(w.start)) / float64(time.Millisecond)
}

// Version is the simulated version of Exchange Server.
func (w *World) Version() Version { return w.version }

// Client is an HTTP client that reaches the world by its names and trusts its
// authority and the servers' certificates of the moment. It signs in to
// nothing and follows no redirect.
func (w *World) Client() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{DialContext: w.Dial, TLSClientConfig: w.trusting(), ForceAttemptHTTP2: false},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Dial connects to host:port of the world, and to nothing else.
func (w *World) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	to := w.ConnectTo(address)
	if to == address {
		return nil, fmt.Errorf("%s is not in the simulated network", address)
	}
	return (&net.Dialer{}).DialContext(ctx, network, to)
}
