package ldapd

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"
)

// Status is the Windows error that a sign-in ends with; it stands in the
// diagnostic text after "data", in hexadecimal.
type Status uint32

// The statuses of MS-ERREF that a sign-in over LDAP may end with.
const (
	StatusOK                Status = 0
	StatusNoSuchUser        Status = 0x525
	StatusWrongPassword     Status = 0x52e
	StatusAccountRestricted Status = 0x52f
	StatusLogonHours        Status = 0x530
	StatusWorkstation       Status = 0x531
	StatusPasswordExpired   Status = 0x532
	StatusDisabled          Status = 0x533
	StatusAccountExpired    Status = 0x701
	StatusMustChange        Status = 0x773
	StatusLockedOut         Status = 0x775
	StatusBadBinding        Status = 0x80090346 // SEC_E_BAD_BINDINGS
)

// Acceptor is the server's side of one Kerberos sign-in (RFC 4121).
type Acceptor interface {
	// Accept takes the client's first token and gives the answer to it.
	Accept(token []byte) (reply []byte, err error)
	// Wrap signs a message without encrypting it.
	Wrap(message []byte) ([]byte, error)
	// Unwrap checks a wrapped message of the client.
	Unwrap(token []byte) ([]byte, error)
	// Principal names who signed in, e.g. exadmin@CORP.TEST.
	Principal() string
}

// Options are what New needs.
type Options struct {
	Tree *Tree
	// SignIn checks a simple bind: name is a UPN, DOMAIN\user or a sAMAccountName. It
	// returns the account as DOMAIN\user. See Accounts.
	SignIn func(name, password string) (account string, status Status)
	// Kerberos starts a sign-in by SASL GSSAPI; nil: not offered. binding is the
	// channel binding of the TLS connection, "tls-server-end-point:" and the hash
	// of the certificate (RFC 5929).
	Kerberos func(binding []byte) Acceptor
	// Account gives DOMAIN\user for a Kerberos principal.
	Account func(principal string) string
	// Certificate is the domain controller's; nil: no LDAPS and no StartTLS.
	Certificate *tls.Certificate
	// NoSAN is shown instead while FaultNoSAN is on.
	NoSAN *tls.Certificate
	// Now is the domain's time; nil means the computer's.
	Now func() time.Time
	// Delay is how long FaultSlow waits; 0 means 3 seconds.
	Delay time.Duration
}

// Server answers LDAP on any number of listeners.
type Server struct {
	o      Options
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	faults  map[Fault]bool
	open    map[interface{ Close() error }]bool
	closed  bool
	binds   int
	refused int
}

// New returns a server that listens nowhere yet.
func New(o Options) *Server {
	if o.Now == nil {
		o.Now = time.Now //nolint:forbidigo // where no clock is given
	}
	if o.Delay == 0 {
		o.Delay = 3 * time.Second
	}
	s := &Server{o: o, faults: map[Fault]bool{}, open: map[interface{ Close() error }]bool{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Serve answers on a listener until Close: without TLS at first (port 389), or
// with it from the start (port 636). It returns nil after Close.
func (s *Server) Serve(l net.Listener, withTLS bool) error {
	if !s.keep(l) {
		return net.ErrClosed
	}
	defer s.drop(l)
	for {
		c, err := l.Accept()
		if err != nil {
			if s.ctx.Err() != nil {
				return nil
			}
			return err
		}
		if !s.keep(c) {
			return nil
		}
		s.wg.Add(1)
		go func() {
			defer s.wg.Done()
			defer s.drop(c)
			s.serve(c, withTLS)
		}()
	}
}

// Close ends all listeners and connections and waits for them.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	var errs []error
	for c := range s.open {
		if err := c.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	s.cancel()
	s.mu.Unlock()
	s.wg.Wait()
	return errors.Join(errs...)
}

// SignIns returns how many sign-ins were checked so far, and how many of them failed.
func (s *Server) SignIns() (checked, failed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.binds, s.refused
}

func (s *Server) counted(ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.binds++
	if !ok {
		s.refused++
	}
}

func (s *Server) keep(c interface{ Close() error }) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = c.Close()
		return false
	}
	s.open[c] = true
	return true
}

func (s *Server) drop(c interface{ Close() error }) {
	_ = c.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
}

// tlsConfig is for one connection; shown gets the certificate that the client saw.
func (s *Server) tlsConfig(shown **tls.Certificate) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		*shown = s.o.Certificate
		if s.fault(FaultNoSAN) && s.o.NoSAN != nil {
			*shown = s.o.NoSAN
		}
		if *shown == nil {
			return nil, errors.New("ldapd: there is no certificate")
		}
		return *shown, nil
	}}
}
