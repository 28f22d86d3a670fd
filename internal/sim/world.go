package sim

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Options say how a world is made. The zero value of every field but Now works.
type Options struct {
	Seed    int64
	Now     func() time.Time                                 // required: the services' clock
	Sleep   func(ctx context.Context, d time.Duration) error // for delays; RealSleep unless set
	RTT     time.Duration                                    // added to every answer
	Faults  []string                                         // "NAME[=ARG]", see Faults
	Tenants int                                              // how many tenants share the services; 0 means one
	Listen  string                                           // one loopback address for all services; empty: a free port for each
	Log     io.Writer                                        // a JSON object a line for each request
	Keys    *Keys                                            // shared RSA keys; nil: fresh ones
	Debug   func(format string, args ...any)                 // what the HTTP server complains about; nil: dropped
	Watch   func(r *http.Request, s Stage) bool              // sees each request; false cuts the connection there
}

// World is a running simulated tenant; with Options.Tenants the first of several, which
// the same services answer for. All its methods may be called from
// several goroutines.
type World struct {
	TenantID     string
	TenantDomain string // the initial domain
	ClientID     string // of the application "backup"
	Secret       string // its client secret, as handed out
	SecretID     string
	Certificate  Certificate // its certificate, as handed out
	PFX          []byte      // the same with its key, password PFXPassword
	Mailbox      string

	is      tenantName
	tenants []*World // all of them, this one first; nil in a tenant that has another's services
	load    load

	options   Options
	start     time.Time
	dir       *directory
	apps      map[string]App
	order     []string
	faults    faultSet
	dice      *dice
	keys      *Keys
	authority *authority
	hello     helloCertificates
	names     map[service]string // base URL of each service
	servers   []*http.Server
	conns     atomic.Int64
	record    *recorder
	answered  tokenNotes
	sites     siteSet
	closing   context.Context
	close     context.CancelFunc
	done      sync.WaitGroup // servers
	gate      gate           // requests

	direct, redirected *http.Transport
}

// helloCertificates are the server certificates, by what is wrong with them.
type helloCertificates struct{ good, untrusted, expired, wrongName *tls.Certificate }

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

// Start makes a fresh tenant, or several, and serves them. The caller closes it.
func Start(o Options) (*World, error) {
	if o.Now == nil {
		return nil, errors.New("sim: Options.Now is missing")
	}
	if o.Sleep == nil {
		o.Sleep = RealSleep
	}
	if o.Keys == nil {
		o.Keys = NewKeys()
	}
	if o.Debug == nil {
		o.Debug = func(string, ...any) {}
	}
	w := makeWorld(o, tenantName{}, &recorder{out: o.Log})
	w.names = map[service]string{}
	if err := w.addTenants(); err != nil {
		return nil, err
	}
	if err := w.certify(); err != nil {
		return nil, err
	}
	w.transports()
	w.closing, w.close = context.WithCancel(context.Background())
	for _, t := range w.tenants[1:] {
		t.authority, t.direct, t.redirected, t.closing = w.authority, w.direct, w.redirected, w.closing
	}
	if err := w.listen(); err != nil {
		_ = w.Close()
		return nil, err
	}
	return w, nil
}

// populate fills the directory and decides what is handed out to the client.
func (w *World) populate() error {
	key, err := w.keys.client()
	if err != nil {
		return fmt.Errorf("make the client's key: %w", err)
	}
	good, err := selfSigned(key, "c2conn simulated client", w.start.Add(-time.Hour), w.start.AddDate(2, 0, 0))
	if err != nil {
		return err
	}
	expired, err := selfSigned(key, "c2conn expired client", w.start.AddDate(-2, 0, 0), w.start.AddDate(0, 0, -7))
	if err != nil {
		return err
	}
	registered, given := good, good
	if w.faults.get("expired-certificate") != nil {
		registered, given = expired, expired
	}
	if w.faults.get("wrong-thumbprint") != nil {
		if given, err = selfSigned(key, "c2conn other client", w.start.Add(-time.Hour), w.start.AddDate(2, 0, 0)); err != nil {
			return err
		}
	}
	s := &seeder{is: w.is, seed: w.options.Seed, now: w.start, dir: w.dir, tenant: &tenant{}, apps: w.apps}
	s.fill(registered, expired, given)
	w.dir.log.begin(s.tenant)
	main := w.apps[AppBackup]
	if w.faults.get("wrong-secret") != nil {
		main.Secret = secretOf(w.options.Seed, "another one")
	}
	if w.faults.get("secret-id") != nil {
		main.Secret = main.SecretID
	}
	w.apps[AppBackup], w.order = main, s.order
	w.TenantID, w.ClientID, w.Secret, w.SecretID, w.Certificate = w.dir.organization.ID, main.ClientID, main.Secret, main.SecretID, main.Certificate
	w.PFX, err = main.Certificate.PFX(PFXPassword)
	return err
}

func (w *World) certify() error {
	ca, err := newAuthority("c2conn simulated CA", w.start)
	if err != nil {
		return err
	}
	stranger, err := newAuthority("c2conn simulated stranger", w.start)
	if err != nil {
		return err
	}
	w.authority = ca
	names := append([]string{"localhost", "*." + localSharePoint, "127.0.0.1", "::1"}, PublicHosts()...)
	for _, c := range []struct {
		to    **tls.Certificate
		by    *authority
		names []string
		end   time.Time
	}{
		{&w.hello.good, ca, names, w.start.AddDate(1, 0, 0)}, {&w.hello.untrusted, stranger, names, w.start.AddDate(1, 0, 0)},
		{&w.hello.expired, ca, names, w.start.Add(-time.Hour)}, {&w.hello.wrongName, ca, []string{"somewhere.else.example"}, w.start.AddDate(1, 0, 0)},
	} {
		if *c.to, err = c.by.issue(c.names, c.end); err != nil {
			return err
		}
	}
	return nil
}

func (w *World) certificateFor(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	switch {
	case w.faults.get("tls-untrusted") != nil:
		return w.hello.untrusted, nil
	case w.faults.get("tls-expired") != nil:
		return w.hello.expired, nil
	case w.faults.get("tls-wrong-name") != nil:
		return w.hello.wrongName, nil
	default:
		return w.hello.good, nil
	}
}

// listen opens one listener for each service, or one for all. Only loopback
// addresses: this is a machine for testing with secrets in clear view.
func (w *World) listen() error {
	only := service("")
	addresses := map[service]string{serviceLogin: "127.0.0.1:0", serviceGraph: "127.0.0.1:0", serviceOutlook: "127.0.0.1:0", serviceSharePoint: "127.0.0.1:0"}
	if w.options.Listen != "" {
		host, _, err := net.SplitHostPort(w.options.Listen)
		if err != nil {
			return fmt.Errorf("listen address %q: %w", w.options.Listen, err)
		}
		if !isLoopback(host) {
			return fmt.Errorf("listen address %q: only loopback addresses such as 127.0.0.1:443 are allowed", w.options.Listen)
		}
		addresses = map[service]string{only: w.options.Listen}
	}
	var config net.ListenConfig
	listeners := map[service]net.Listener{}
	for _, s := range slices.Sorted(maps.Keys(addresses)) {
		ln, err := config.Listen(w.closing, "tcp", addresses[s])
		if err != nil {
			for _, open := range listeners {
				_ = open.Close()
			}
			return fmt.Errorf("listen on %s: %w", addresses[s], err)
		}
		listeners[s] = ln
		w.names[s] = "https://" + ln.Addr().String()
	}
	for _, s := range services() {
		if base, ok := w.names[only]; ok {
			w.names[s] = base
		}
	}
	for s, ln := range listeners { // only now: requests read the names
		w.serveOn(ln, s)
	}
	return nil
}

type connKey struct{}

func (w *World) serveOn(ln net.Listener, s service) {
	server := &http.Server{
		Handler:           w.handler(s),
		TLSConfig:         &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: w.certificateFor},
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(complaint(w.options.Debug), "", 0),
		BaseContext:       func(net.Listener) context.Context { return w.closing },
		ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, w.conns.Add(1))
		},
	}
	w.servers = append(w.servers, server)
	w.done.Go(func() {
		if err := server.ServeTLS(ln, "", ""); err != nil && !errors.Is(err, http.ErrServerClosed) {
			w.options.Debug("serve %s: %v", ln.Addr(), err)
		}
	})
}

// complaint passes what the HTTP server logs to Options.Debug.
type complaint func(format string, args ...any)

func (c complaint) Write(p []byte) (int, error) {
	c("%s", strings.TrimSpace(string(p)))
	return len(p), nil
}

// closeLimit bounds how long Close waits for a request that does not end.
const closeLimit = 2 * time.Second

// Close ends the requests that are being answered, waits for them, so that the
// log is complete, and closes all connections.
func (w *World) Close() error {
	if w.close == nil { // one of several, served by the first
		return nil
	}
	w.close()
	limit := time.NewTimer(closeLimit)
	defer limit.Stop()
	select {
	case <-w.gate.shut():
	case <-limit.C:
	}
	var errs []error
	for _, s := range w.servers {
		// Not Shutdown: it waits seconds for idle HTTP/2 connections.
		errs = append(errs, s.Close())
	}
	w.done.Wait()
	return errors.Join(append(errs, w.record.err())...)
}

// LoginURL is the base URL of Entra ID, without a trailing slash.
func (w *World) LoginURL() string { return w.names[serviceLogin] }

// GraphURL is the base URL of Microsoft Graph, without version and trailing slash.
func (w *World) GraphURL() string { return w.names[serviceGraph] }

// OutlookURL is the base URL of Exchange Online, without a trailing slash.
func (w *World) OutlookURL() string { return w.names[serviceOutlook] }

// CAPEM is the certificate of the authority that all services use.
func (w *World) CAPEM() []byte { return slices.Clone(w.authority.pem) }

// App returns one of the applications by its name (AppBackup and so on).
func (w *World) App(name string) (App, bool) {
	a, ok := w.apps[name]
	return a, ok
}

// Apps lists all applications in the order of the documentation.
func (w *World) Apps() []App {
	list := make([]App, 0, len(w.order))
	for _, name := range w.order {
		list = append(list, w.apps[name])
	}
	return list
}

// now is the services' clock, moved by the fault clock-skew.
func (w *World) now() time.Time {
	t := w.options.Now()
	if f := w.faults.get("clock-skew"); f != nil {
		t = t.Add(f.wait)
	}
	return t
}

func (w *World) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(w.authority.cert)
	return pool
}

// Client returns an HTTP client that trusts the world's CA. All clients of a
// world share their connections.
func (w *World) Client() *http.Client { return &http.Client{Transport: w.direct} }

// PublicClient returns an HTTP client for which every public host name leads
// to this world, as a hosts file would do.
func (w *World) PublicClient() *http.Client { return &http.Client{Transport: w.redirected} }

func (w *World) transports() {
	var dialer net.Dialer
	local := func(ctx context.Context, network, address string) (net.Conn, error) {
		if host, port, err := net.SplitHostPort(address); err == nil && isLocalSharePoint(host) {
			address = net.JoinHostPort("127.0.0.1", port) // not every resolver knows names beneath localhost
		}
		return dialer.DialContext(ctx, network, address)
	}
	w.direct = &http.Transport{TLSClientConfig: w.clientTLS(), ForceAttemptHTTP2: true, DialContext: local}
	w.redirected = &http.Transport{TLSClientConfig: w.clientTLS(), ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if s, _, ok := serviceOfHost(address); ok {
				address = strings.TrimPrefix(w.names[s], "https://")
			}
			return local(ctx, network, address)
		}}
}

func (w *World) clientTLS() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: w.roots(), Time: w.options.Now}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
