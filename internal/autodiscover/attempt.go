package autodiscover

import "time"

// The steps of a search: where an address came from.
const (
	StepSCP      = "scp"          // Active Directory names it (service connection point)
	StepDomain   = "domain"       // https://{domain}/autodiscover/
	StepHost     = "autodiscover" // https://autodiscover.{domain}/autodiscover/
	StepHTTP     = "http"         // redirect of http://autodiscover.{domain}
	StepSRV      = "srv"          // DNS, _autodiscover._tcp.{domain}
	StepRedirect = "redirect"     // an answer to a signed-in request
)

// The outcomes of an attempt. They are stable words.
const (
	OutcomeFound       = "found"                 // the answer names the EWS URL
	OutcomeRedirect    = "redirect"              // the answer names another URL or address
	OutcomeSignIn      = "sign-in"               // the server is there and asks who is asking
	OutcomeOnline      = "online"                // the answer leads to Exchange Online
	OutcomeNoSuchHost  = "no-such-host"          // DNS does not know the name
	OutcomeNoAnswer    = "no-answer"             // nothing listens there, or not in time
	OutcomeNothing     = "nothing"               // Active Directory or DNS names no address
	OutcomeNotThere    = "not-autodiscover"      // something answers, but not Exchange
	OutcomeNoMailbox   = "no-mailbox"            // Exchange answers that it has no such mailbox
	OutcomeRefused     = "refused"               // the sign-in was refused, or the server offers none that may be used
	OutcomeWrong       = "wrong-password"        // the password is definitely wrong
	OutcomeLocked      = "locked"                // the account is locked, disabled or expired
	OutcomeUntrusted   = "untrusted-certificate" // no authority vouches for the certificate, and nobody trusted it
	OutcomePinChanged  = "changed-certificate"   // another certificate than the trusted one
	OutcomeConsent     = "consent"               // another domain, and nobody agreed to sign in there
	OutcomeSkipped     = "skipped"               // not asked, or given up: another answer came first, or time ran out
	OutcomeBadRedirect = "bad-redirect"          // a redirect that is not followed: not https, a loop, one too many
	OutcomeError       = "error"                 // anything else
)

// Attempt is one question that was asked, or left out for a reason.
type Attempt struct {
	Step     string        // one of the Step constants
	URL      string        // what was asked; for DNS the name of the record, for Active Directory "ldap:"
	SignedIn bool          // the request was sent with the client that signs in
	Outcome  string        // one of the Outcome constants
	Text     string        // the outcome in one line for people
	Err      error         // why, where there is an error
	Took     time.Duration // 0 where nothing was sent
}

// fail tells of an attempt that came to an error.
func (s *search) fail(a Attempt, err error) {
	a.Outcome, a.Text, a.Err = outcomeOf(err), textOf(err), err
	s.tell(a)
}

// tell adds an attempt to the list and passes it on.
func (s *search) tell(a Attempt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tried = append(s.tried, a)
	if s.o.Listen != nil {
		s.o.Listen(a)
	}
}
