package autodiscover

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/c2conn/c2conn/internal/transport"
)

// said is what a signed-in question came to.
type said struct {
	found   *finding
	next    *candidate // a redirect to another URL
	address string     // a redirect to another address
	stop    error      // the search ends
	again   bool       // the other form is worth asking for
}

// signIn asks a candidate with the client that signs in: POX, which all versions
// know, then SOAP (Exchange 2010 and later) where that gave no answer of a mailbox.
func (s *search) signIn(ctx context.Context, c candidate) said {
	for {
		if err := s.agree(ctx, c.from, c.url.Hostname()); err != nil {
			s.fail(Attempt{Step: c.step, URL: c.url.String()}, err)
			return said{}
		}
		r := s.askSigned(ctx, c, question{url: c.pox(), body: poxRequest(s.address)}, parsePOX)
		if soap := c.soap(); r.again && soap != "" && ctx.Err() == nil {
			r = s.askSigned(ctx, c, question{url: soap, body: soapRequest(s.address, soap), action: soapAction}, parseSOAP)
		}
		if r.next == nil || ctx.Err() != nil {
			return r
		}
		// The new place is asked without a sign-in first, too.
		r.next.step = StepRedirect
		last, seen := s.probe(ctx, *r.next)
		if seen.found != nil || !seen.ready {
			return said{found: seen.found}
		}
		c = last
	}
}

func (s *search) askSigned(ctx context.Context, c candidate, q question, parse func([]byte) (answer, error)) said {
	q.client, q.limit, q.accept, q.size = s.o.SignedIn, s.signInLimit(), "text/xml", xmlSize
	a, err := s.ask(ctx, q)
	at := Attempt{Step: c.step, URL: q.url, SignedIn: true, Took: a.took}
	switch {
	case fatal(err):
		s.fail(at, err)
		return said{stop: err}
	case err != nil:
		s.fail(at, err)
		return said{}
	case a.status == http.StatusUnauthorized:
		// A single 401 says nothing of the password (handling-autodiscover-error-messages).
		s.fail(at, &AnswerError{Status: a.status, Message: "the sign-in was refused"})
		return said{}
	case a.redirects():
		return s.moved(at, c, a.location)
	}
	got, err := parse(a.body)
	if err != nil || a.status != http.StatusOK && got.err == nil {
		s.fail(at, a.foreign(err))
		return said{again: true}
	}
	switch {
	case got.err != nil:
		got.err.Status = a.status
		s.fail(at, got.err)
		return said{again: !got.err.noMailbox()}
	case got.toURL != "":
		return s.moved(at, c, got.toURL)
	case got.toAddress != "":
		at.Outcome, at.Text = OutcomeRedirect, "the mailbox has the address "+got.toAddress
		return s.renamed(at, got.toAddress)
	}
	got.version = first(got.version, transport.CleanText(a.header.Get("X-OWA-Version"), 40))
	at.Outcome, at.Text = OutcomeFound, first(got.internal, got.external)
	s.tell(at)
	return said{found: &finding{answer: got, at: c, url: q.url}}
}

// moved follows a redirect to another URL. A signed-in answer that leads to Exchange
// Online is final.
func (s *search) moved(at Attempt, c candidate, target string) said {
	next, err := s.redirect(c, target)
	if err == nil {
		err = s.again(next.url.String())
	}
	if err != nil {
		s.fail(at, err)
		return said{stop: final(err)}
	}
	at.Outcome, at.Text = OutcomeRedirect, "redirects to "+next.url.String()
	s.tell(at)
	return said{next: &next}
}

// renamed checks a redirect to another address.
func (s *search) renamed(at Attempt, address string) said {
	clean, domain, err := split(address)
	switch {
	case err != nil:
		err = &RedirectError{To: address, Why: "it is no e-mail address"}
	case online(domain):
		err = &OnlineError{Address: s.address, Target: clean}
	case s.addresses[canonical(clean)]:
		err = &RedirectError{To: clean, Why: "it leads back to where it came from"}
	default:
		if err = s.again(clean); err == nil {
			s.tell(at)
			return said{address: clean}
		}
	}
	s.fail(at, err)
	return said{stop: final(err)}
}

// again counts the redirects of signed-in answers, in the whole search.
func (s *search) again(to string) error {
	if s.redirects == redirectLimit {
		return &RedirectError{To: to, Why: "there were " + strconv.Itoa(redirectLimit) + " already"}
	}
	s.redirects++
	return nil
}

// final returns err if it ends a search: the server that knows the mailbox said so.
func final(err error) error {
	var online *OnlineError
	if errors.As(err, &online) {
		return err
	}
	return nil
}
