package autodiscover

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/c2conn/c2conn/internal/patience"
	"github.com/c2conn/c2conn/internal/transport"
)

// searchLimit is the time of a whole search.
const searchLimit = 15 * time.Second

// Endpoint is what Active Directory publishes (a service connection point).
type Endpoint struct {
	URL string // https://…/autodiscover.xml; with Err the LDAP URL of another forest
	Err error  // why that forest was not asked, or what came of it
}

// Options are what Find needs. Only Address, Anonymous and SignedIn are required.
type Options struct {
	Address string // e-mail address of a mailbox
	Domain  string // DNS name of the account's Active Directory domain; "" when it is not known

	// SCP reads what Active Directory publishes for a mail domain, in the order of
	// preference; it may sign in. nil when there is no Active Directory.
	SCP func(ctx context.Context, mailDomain string) ([]Endpoint, error)

	Anonymous *http.Client // signs in nowhere; also for plain http
	SignedIn  *http.Client // signs in where it is asked to, as winauth's

	// Consent is asked before a sign-in goes to a host that does not belong to the
	// domain of the address, to Domain, or to a host that SCP named: once for each
	// domain. from is what leads there. nil refuses. The time that it takes does not
	// count.
	Consent func(ctx context.Context, from, to string) error

	Resolver *net.Resolver   // nil means net.DefaultResolver
	Clock    transport.Clock // nil means transport.SystemClock
	Limit    time.Duration   // of the whole search; 0 means 15 s. Each question gets a part of it

	// Listen is told of every attempt as it ends, one after the other.
	Listen func(Attempt)
}

// Result is where Exchange is.
type Result struct {
	EWS        string // EWS URL, https, as the server wrote it
	URL        string // that answered
	Step       string // how it was found
	Address    string // of the mailbox; a redirect may have changed it
	Server     string // name of the mailbox server, for people: newer versions write the mailbox's id instead; "" when not told
	Version    string // of the server, e.g. 15.2.1544.4; "" when not told
	PowerShell string // a guess: http://host/PowerShell/ with the host of the EWS URL for clients in the network; "" when that is an IP address
	Tried      []Attempt
}

// published is what SCP answered.
type published struct {
	list []Endpoint
	err  error
}

// search is a running Find.
type search struct {
	o       Options
	home    home
	address string
	domain  string // of address

	addresses map[string]bool // that were searched
	redirects int             // of signed-in answers that were followed

	mu      sync.Mutex
	tried   []Attempt
	claimed map[string]bool // URLs that were asked for address

	published map[string]published // by mail domain; for the line of Active Directory alone
}

// Find looks for the EWS URL of a mailbox. All candidates are asked without a sign-in
// at the same time; where that gives no EWS URL, those that ask for a sign-in get one,
// one after the other, in the order scp, domain, autodiscover, http, srv.
//
// Errors: *AddressError; *NotFoundError, whose chain holds the most telling error of
// the attempts: *winauth.WrongPasswordError and *winauth.LockedError (which end the
// search), *winauth.PinChangedError, *AnswerError, *OnlineError, *winauth.UntrustedError,
// *ConsentError, *winauth.RefusedError and others; and the one of ctx when it ended.
func Find(ctx context.Context, o Options) (Result, error) {
	if o.Resolver == nil {
		o.Resolver = net.DefaultResolver
	}
	if o.Clock == nil {
		o.Clock = transport.SystemClock()
	}
	o.Limit = cmp.Or(o.Limit, searchLimit)
	s := &search{o: o, addresses: map[string]bool{}, published: map[string]published{}, home: home{domains: map[string]bool{}, asked: map[string]error{}}}
	address, domain, err := split(o.Address)
	if err != nil {
		return Result{}, err
	}
	s.home.add(domain)
	s.home.add(o.Domain)
	limited, cancel := patience.WithLimit(ctx, o.Limit)
	defer cancel()
	for {
		s.address, s.domain = address, domain
		s.addresses[canonical(address)] = true
		s.claimed = map[string]bool{}
		r, next, err := s.round(limited)
		switch {
		case ctx.Err() != nil:
			return Result{Tried: s.tried}, fmt.Errorf("look for the EWS URL of %s: %w", s.address, ctx.Err())
		case err != nil || next == "" && r.EWS == "":
			return Result{Tried: s.tried}, s.notFound(err)
		case r.EWS != "":
			r.Tried = s.tried
			return r, nil
		}
		from := s.domain
		if address, domain, err = split(next); err == nil {
			err = s.agree(limited, from, domain)
		}
		if err != nil {
			s.fail(Attempt{Step: StepRedirect, URL: next}, err)
			return Result{Tried: s.tried}, s.notFound(nil)
		}
	}
}

func (s *search) probeLimit() time.Duration  { return s.o.Limit / 5 }
func (s *search) signInLimit() time.Duration { return s.o.Limit * 2 / 5 }

// grace is how long a better candidate is waited for once one has answered.
func (s *search) grace() time.Duration { return s.o.Limit / 15 }

// claim reports whether nobody asked this before, and marks it as asked.
func (s *search) claim(what string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.claimed[what] {
		return false
	}
	s.claimed[what] = true
	return true
}
