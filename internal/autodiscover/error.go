package autodiscover

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/c2conn/c2conn/internal/transport"
	"github.com/c2conn/c2conn/internal/winauth"
)

// NotFoundError is a search without a result.
type NotFoundError struct {
	Address string    // the one that was searched last: a redirect may have changed it
	Tried   []Attempt // all attempts, as they ended
	Err     error     // the most telling one of their errors; nil when none tells anything
}

func (e *NotFoundError) Error() string {
	s := fmt.Sprintf("no EWS URL found for %s (%d attempts)", e.Address, len(e.Tried))
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the most telling error.
func (e *NotFoundError) Unwrap() error { return e.Err }

// AddressError is no e-mail address; nothing was sent.
type AddressError struct{ Address string }

func (e *AddressError) Error() string {
	return fmt.Sprintf("%q is no e-mail address", transport.CleanText(e.Address, 100))
}

// ConsentError is a host of another domain to which nobody agreed to sign in.
type ConsentError struct {
	From string // the domain or host that leads there
	To   string // the host
	Err  error  // what Options.Consent answered; nil where it was not given
}

func (e *ConsentError) Error() string {
	return fmt.Sprintf("%s leads to %s, which is another domain: nobody agreed to sign in there", e.From, e.To)
}

// Unwrap returns what Options.Consent answered.
func (e *ConsentError) Unwrap() error { return e.Err }

// OnlineError is a mailbox that is in Exchange Online.
type OnlineError struct {
	Address string // of the mailbox
	Target  string // host or address that the answer led to
}

func (e *OnlineError) Error() string {
	return fmt.Sprintf("the mailbox of %s is in Exchange Online (%s)", e.Address, e.Target)
}

// RedirectError is a redirect that was not followed.
type RedirectError struct {
	To  string // URL or address
	Why string // e.g. "it is not https"
}

func (e *RedirectError) Error() string {
	return fmt.Sprintf("the redirect to %s was not followed: %s", e.To, e.Why)
}

// AnswerError is an error that an autodiscover service answered, or an answer that is
// none of an autodiscover service.
type AnswerError struct {
	Status  int    // HTTP status
	Code    string // POX: a number, e.g. 500, 600, 601; SOAP: e.g. InvalidUser; JSON: e.g. UserNotFound; "" when it is no autodiscover answer
	Message string // its text
}

func (e *AnswerError) Error() string {
	switch {
	case e.Code == "":
		return fmt.Sprintf("answer %d: %s", e.Status, e.Message)
	case e.Message == "":
		return "Exchange answered the error " + e.Code
	}
	return fmt.Sprintf("Exchange answered the error %s: %s", e.Code, e.Message)
}

// noMailbox reports whether the answer says that the address has no mailbox there.
// POX says 500 (learn.microsoft.com/archive/blogs, "E-mail address cannot be found"),
// SOAP InvalidUser (ErrorCode (SOAP)); the JSON words are seen, not documented.
func (e *AnswerError) noMailbox() bool {
	switch e.Code {
	case "500", "InvalidUser", "UserNotFound", "ErrorNonExistentMailbox":
		return true
	}
	return false
}

// telling orders errors: the lower, the more it tells; 0 tells nothing.
func (s *search) telling(a Attempt) int {
	err := a.Err
	var (
		wrong   *winauth.WrongPasswordError
		locked  *winauth.LockedError
		pin     *winauth.PinChangedError
		answer  *AnswerError
		online  *OnlineError
		trust   *winauth.UntrustedError
		consent *ConsentError
	)
	switch {
	case err == nil:
		return 0
	case errors.As(err, &wrong), errors.As(err, &locked):
		return 1
	case errors.As(err, &pin):
		return 2
	case errors.As(err, &answer) && answer.Code != "" && a.SignedIn:
		return 3
	case errors.As(err, &answer) && answer.noMailbox():
		return 4
	case errors.As(err, &online):
		return 5
	case errors.As(err, &trust) && s.home.has(withoutPort(trust.Host)):
		return 6
	case errors.As(err, &consent):
		return 7
	case a.Outcome == OutcomeRefused:
		return 8
	case errors.As(err, &trust):
		return 9
	}
	return 0
}

// notFound ends a search without a result. stop is the error that ended it, if one did.
func (s *search) notFound(stop error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := &NotFoundError{Address: s.address, Tried: s.tried, Err: stop}
	if stop != nil {
		return e
	}
	// The answers came in any order: of those that tell as much the preferred place counts.
	tried := slices.DeleteFunc(slices.Clone(s.tried), func(a Attempt) bool { return s.telling(a) == 0 })
	if len(tried) > 0 {
		e.Err = slices.MinFunc(tried, func(a, b Attempt) int {
			return cmp.Or(cmp.Compare(s.telling(a), s.telling(b)), cmp.Compare(slices.Index(preferred(), a.Step), slices.Index(preferred(), b.Step)), cmp.Compare(a.URL, b.URL))
		}).Err
	}
	return e
}

// preferred lists the steps in the order of the lines, behind what came of a sign-in.
func preferred() []string {
	return []string{StepRedirect, StepSCP, StepDomain, StepHost, StepHTTP, StepSRV}
}
