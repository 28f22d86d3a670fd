package psremoting

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/c2conn/c2conn/internal/progress"
	"github.com/c2conn/c2conn/internal/transport"
	"github.com/c2conn/c2conn/internal/winauth"
)

// Options are what Open needs.
type Options struct {
	URL string // e.g. https://exch01.corp.test/PowerShell/ or http://exch01.corp.test/PowerShell/

	// HTTP signs in by itself and is used with an https URL; it is never used with http.
	HTTP *http.Client
	// Seal makes the security context of a new connection, and is used with an http
	// URL. scheme is SchemeKerberos (a bare Kerberos token is wanted, which is what
	// Exchange asks for) or SchemeNegotiate (one within SPNEGO).
	Seal func(ctx context.Context, scheme string) (Sealer, error)
	// Dial makes connections for an http URL, through a proxy where it knows one; nil
	// means net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	UserAgent     string
	Configuration string          // name of the session configuration; empty means Microsoft.Exchange
	Clock         transport.Clock // nil means the computer's
	Rand          io.Reader       // of ids; nil means crypto/rand

	Poll       time.Duration // how long the server may keep one Receive waiting; 0 means 20 s
	Limit      time.Duration // of Open, and of each Run; 0 means 5 min
	CloseLimit time.Duration // of stopping a command and of deleting the shell; 0 means 15 s
	// Envelope is the size in bytes of the largest request; 0 means 150 KiB, which
	// every server takes.
	Envelope int
	// Keep is how many bytes of serialised objects an Output keeps; 0 means 64 MiB.
	Keep int
}

// Session is an open runspace on a server. Its commands run one after the other,
// whoever calls. Close it: each session counts against the account's quota until
// the server gives up waiting for it.
type Session struct {
	o    Options
	e    *endpoint
	pool guid
	next uint64 // id of the next object that is cut into fragments

	broken error // why no command can run any more
	gone   bool  // the shell is deleted

	turn chan struct{}   // holds one token: who has it may use all of the above
	life context.Context // ends with Close
	end  context.CancelFunc
}

// Open makes a session. One that fails half way leaves no shell behind, as far as
// the server can still be reached.
//
// Errors: *Error, *QuotaError, *DeniedError, *RedirectError, *StoppedError,
// *CommandError (the server's reason for not opening), ErrPlainHTTP, and those of
// Options.HTTP and Options.Seal, within *Error.
func Open(ctx context.Context, o Options) (*Session, error) {
	s, err := newSession(o)
	if err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, s.o.Limit)
	defer cancel()
	err = s.open(limited)
	if err == nil {
		return s, nil
	}
	if s.e.shell != "" {
		if e := s.delete(ctx); e != nil && !absent(e) {
			err = fmt.Errorf("%w; the half-open shell may be left behind: %w", err, e)
		}
	}
	s.end()
	s.e.link.close()
	return nil, err
}

func newSession(o Options) (*Session, error) {
	o.Configuration = or(o.Configuration, "Microsoft.Exchange")
	o.Rand = or(o.Rand, rand.Reader)
	o.Clock = or(o.Clock, transport.SystemClock())
	o.Poll = or(o.Poll, 20*time.Second)
	o.Limit = or(o.Limit, 5*time.Minute)
	o.CloseLimit = or(o.CloseLimit, 15*time.Second)
	o.Envelope = or(o.Envelope, requestSize)
	o.Keep = or(o.Keep, keptLimit)
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return nil, errAddress // which may hold a password, and is not repeated
	}
	if o.Envelope < 2*envelopeRoom {
		return nil, fmt.Errorf("psremoting: an envelope of %d bytes holds nothing", o.Envelope)
	}
	s := &Session{o: o, turn: make(chan struct{}, 1), next: 1}
	s.e = &endpoint{url: u.String(), config: resourcePrefix + o.Configuration, poll: o.Poll, random: o.Rand}
	switch {
	case u.Scheme == "https" && o.HTTP != nil:
		s.e.link = newSecure(o, u)
	case u.Scheme == "http" && o.Seal != nil:
		s.e.link = newPlain(o, u)
	case u.Scheme == "http":
		return nil, ErrPlainHTTP
	default:
		return nil, errAddress
	}
	for _, id := range []*guid{&s.e.session, &s.pool} {
		if *id, err = newGUID(o.Rand); err != nil {
			return nil, err
		}
	}
	s.turn <- struct{}{}
	s.life, s.end = context.WithCancel(context.Background())
	return s, nil
}

// or returns v, or d where v is the zero value.
func or[T comparable](v, d T) T {
	var zero T
	if v == zero {
		return d
	}
	return v
}

// fragments cuts a message into pieces of which each fits into an envelope.
func (s *Session) fragments(kind uint32, pipeline guid, data []byte) [][]byte {
	m := message{kind: kind, pool: s.pool, pipeline: pipeline, data: data}
	id := s.next
	s.next++
	return split(id, m.encode(), (s.o.Envelope-envelopeRoom)/4*3)
}

func (s *Session) open(ctx context.Context) error {
	var creation []byte
	for _, m := range []struct {
		kind uint32
		data []byte
	}{{msgSessionCapability, []byte(sessionCapability)}, {msgInitRunspacePool, initRunspacePool()}} {
		for _, f := range s.fragments(m.kind, guid{}, m.data) {
			creation = append(creation, f...)
		}
	}
	if err := s.e.create(ctx, s.pool, creation); err != nil {
		// Where the answer was lost or could not be read, the server may have made the
		// shell all the same: under the id that we gave it.
		if uncertain(err) {
			s.e.shell = s.pool.String()
		}
		return err
	}
	if s.e.shell == "" {
		s.e.shell = s.pool.String()
	}
	progress.Report(ctx, progress.Update{Text: "Opening a remote PowerShell session."})
	return s.receive(ctx, guid{}, "", func(m message) (bool, error) {
		switch m.kind {
		case msgSessionCapability:
			return false, capable(m.data)
		case msgRunspacePoolState:
			return poolState(m.data)
		case msgPublicKeyRequest:
			return false, errMessage // secure strings are not for us
		case msgPoolHostCall:
			return false, refuseHostCall("Open", m.data)
		}
		return false, nil
	})
}

// uncertain reports whether a request may have been carried out although it failed.
func uncertain(err error) bool {
	var e *Error
	var redirect *RedirectError
	var kept *unsent
	var dial *net.OpError
	if winauth.Refusal(err) || !errors.As(err, &e) || errors.As(err, &redirect) || errors.As(err, &kept) || errors.As(err, &dial) && dial.Op == "dial" {
		return false
	}
	// A fault is a no; so are the statuses with which IIS refuses.
	return e.Code == 0 && e.Message == "" && (e.Status == 0 || e.Status == http.StatusOK || e.Status >= 500)
}

// absent reports whether a Delete failed because there is no such shell.
func absent(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == codeNoShell
}

// capable refuses a server that speaks another major version.
func capable(data []byte) error {
	o, err := parseCLIXML(data)
	if err != nil {
		return err
	}
	v, _ := o.Get("protocolversion")
	if len(v.Text) < 2 || v.Text[:2] != "2." {
		return fmt.Errorf("the server speaks version %q of the PowerShell Remoting Protocol", transport.CleanText(v.Text, 20))
	}
	return nil
}

// poolState reads what has become of the runspace pool. Source: MS-PSRP 2.2.3.4.
func poolState(data []byte) (opened bool, err error) {
	o, err := parseCLIXML(data)
	if err != nil {
		return false, err
	}
	state, _ := o.Get("RunspaceState")
	n, ok := state.Int()
	if !ok {
		return false, errMessage
	}
	switch n {
	case 2:
		return true, nil
	case 3, 4, 5:
		if record, ok := o.Get("ExceptionAsErrorRecord"); ok && !record.IsNull() {
			return false, commandError("Open", record)
		}
		return false, &StoppedError{State: [...]string{"closed", "closing", "broken"}[n-3]}
	}
	return false, nil // BeforeOpen, Opening, and what is of no concern here
}

// delete deletes the shell, even where ctx has ended.
func (s *Session) delete(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.o.CloseLimit)
	defer cancel()
	return s.e.delete(ctx)
}

// Close deletes the session on the server, also after an error and where ctx has
// ended: it takes its own limit for that. A command that is running is stopped.
// Closing twice is fine. The error is that of the deletion; a shell that the server
// does not know any more is none.
func (s *Session) Close(ctx context.Context) error {
	s.end()
	<-s.turn // comes within CloseLimit
	defer func() { s.turn <- struct{}{} }()
	if s.gone {
		return nil
	}
	s.gone, s.broken = true, ErrClosed
	err := s.delete(ctx)
	s.e.link.close()
	if absent(err) {
		return nil
	}
	return err
}
