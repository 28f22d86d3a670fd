// Package kdc is the key distribution center of a simulated Active Directory
// domain: AS and TGS exchanges over TCP, as RFC 4120 and MS-KILE describe them.
//
// What a real one has and this one has not: FAST, PKINIT, referrals to other
// realms, delegation, UDP, and the PAC in tickets (the simulated services look the
// client's name up instead).
package kdc

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/c2conn/c2conn/internal/sim/onprem/account"
	"github.com/c2conn/c2conn/internal/sim/onprem/krb"
)

const (
	requestLimit = 64 << 10 // bytes; Windows' largest token has 65,535
	patience     = 30 * time.Second
)

// Fault is something that is wrong with the KDC.
type Fault int32

// The faults.
const (
	Sound           Fault = iota
	Silent                // takes connections and requests, and never answers
	NoCommonETypes        // shares no encryption type with anybody: error 14
	HangsUp               // drops each connection after the request
	OtherRealmsOnly       // is the KDC of another realm: error 68
)

// Options are what New and Start need.
type Options struct {
	Directory *account.Directory
	Addr      string           // where Start listens; "" means 127.0.0.1 and a free port
	Now       func() time.Time // nil means time.Now
	// Lifetimes of ticket-granting tickets; 0 means Windows' defaults, 10 hours and 7 days.
	Lifetime, RenewLifetime time.Duration
}

// KDC answers requests. It is safe for use by several goroutines.
type KDC struct {
	o       Options
	fault   atomic.Int32
	replays krb.Replays
	as, tgs atomic.Int64
}

// New makes a KDC.
func New(o Options) *KDC {
	if o.Now == nil {
		o.Now = time.Now //nolint:forbidigo // where no clock is given
	}
	if o.Lifetime == 0 {
		o.Lifetime = 10 * time.Hour
	}
	if o.RenewLifetime == 0 {
		o.RenewLifetime = 7 * 24 * time.Hour
	}
	return &KDC{o: o}
}

// SetFault makes something go wrong from the next request on.
func (k *KDC) SetFault(f Fault) { k.fault.Store(int32(f)) }

// Requests are the AS and TGS requests that were read so far.
func (k *KDC) Requests() (as, tgs int) { return int(k.as.Load()), int(k.tgs.Load()) }

// Server is a KDC that listens.
type Server struct {
	*KDC
	listener net.Listener
	cancel   context.CancelFunc
	wait     sync.WaitGroup
}

// Start makes a KDC and lets it listen on TCP.
func Start(o Options) (*Server, error) {
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", o.Addr)
	if err != nil {
		return nil, fmt.Errorf("kdc: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Server{KDC: New(o), listener: l, cancel: cancel}
	s.wait.Go(func() { s.accept(ctx) })
	return s, nil
}

// Addr is where the server listens, e.g. "127.0.0.1:40123".
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Close stops listening, ends all connections and waits for them.
func (s *Server) Close() error {
	s.cancel()
	err := s.listener.Close()
	s.wait.Wait()
	return err
}

func (s *Server) accept(ctx context.Context) {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.wait.Go(func() {
			stop := context.AfterFunc(ctx, func() { _ = c.Close() })
			defer stop()
			defer func() { _ = c.Close() }()
			_ = s.serve(ctx, c) // whatever it is, the connection is over
		})
	}
}

// serve answers requests, each after its length in four bytes (RFC 4120, section 7.2.2).
func (s *Server) serve(ctx context.Context, c net.Conn) error {
	for {
		if err := c.SetDeadline(time.Now().Add(patience)); err != nil { //nolint:forbidigo // a socket goes by the computer's clock
			return err
		}
		var n [4]byte
		if _, err := io.ReadFull(c, n[:]); err != nil {
			return err
		}
		length := binary.BigEndian.Uint32(n[:])
		if length > requestLimit { // its high bit is reserved, too
			_ = write(c, s.failure(errTooLong, nil))
			return errTooLong
		}
		request := make([]byte, length)
		if _, err := io.ReadFull(c, request); err != nil {
			return err
		}
		switch Fault(s.fault.Load()) {
		case Silent:
			<-ctx.Done()
			return ctx.Err()
		case HangsUp:
			return errors.New("dropped")
		}
		answer := s.Answer(request)
		if answer == nil {
			return errors.New("not a request")
		}
		if err := write(c, answer); err != nil {
			return err
		}
	}
}

func write(c net.Conn, answer []byte) error {
	_, err := c.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(answer))), answer...))
	return err
}
