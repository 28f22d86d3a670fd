package autodiscover

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/c2conn/c2conn/internal/transport"
)

// finding is an answer with EWS URLs.
type finding struct {
	answer
	at  candidate
	url string // that answered
}

// seen is what asking without a sign-in told about a candidate.
type seen struct {
	found *finding
	ready bool       // something is there that is worth the next question
	next  *candidate // a redirect

	asked []string // what it was that asked, as claimed
	same  []string // what others asked before: their answer stands for this candidate, too
}

// probe asks a candidate, and those that it redirects to, without signing in. The
// candidate it returns is the last one of them.
func (s *search) probe(ctx context.Context, c candidate) (candidate, seen) {
	var asked, same []string
	for {
		if !s.claim(key(c.url)) {
			s.tell(Attempt{Step: c.step, URL: c.url.String(), Outcome: OutcomeSkipped, Text: "asked already"})
			return c, seen{asked: asked, same: append(same, key(c.url))}
		}
		asked = append(asked, key(c.url))
		r := s.probeJSON(ctx, c)
		asked, same = append(asked, r.asked...), append(same, r.same...)
		if r.ready {
			r = s.probePOX(ctx, c)
		}
		if r.next == nil {
			r.asked, r.same = asked, same
			return c, r
		}
		c = *r.next
	}
}

// probeJSON asks the host of a candidate for the EWS URL, which needs no sign-in.
func (s *search) probeJSON(ctx context.Context, c candidate) seen {
	target := jsonURL(hostPort(c.url), s.address)
	var asked []string
	for hops := 0; s.claim(strings.ToLower(target)); hops++ {
		asked = append(asked, strings.ToLower(target))
		a, err := s.ask(ctx, question{client: s.o.Anonymous, limit: s.probeLimit(), url: target, accept: "application/json", size: jsonSize})
		at := Attempt{Step: c.step, URL: target, Took: a.took}
		switch {
		case err != nil:
			s.fail(at, err)
			return seen{asked: asked}
		case a.redirects():
			next := s.redirectJSON(at, a.location)
			if next == "" || hops >= redirectLimit {
				return seen{ready: true, asked: asked}
			}
			target = next
			continue
		}
		found, err := s.readJSON(c, target, a)
		switch {
		case err == nil:
			at.Outcome, at.Text = OutcomeFound, found.external
			s.tell(at)
			return seen{found: found, asked: asked}
		case a.status == http.StatusUnauthorized:
			at.Outcome, at.Text = OutcomeNotThere, "tells nothing without a sign-in"
			s.tell(at)
		default:
			s.fail(at, err)
		}
		return seen{ready: true, asked: asked}
	}
	return seen{ready: true, asked: asked, same: []string{strings.ToLower(target)}}
}

// redirectJSON tells where a redirect leads, and returns it if it is to be followed.
func (s *search) redirectJSON(at Attempt, location string) string {
	u, err := url.Parse(at.URL)
	if err == nil {
		u, err = u.Parse(location)
	}
	at.Outcome, at.Text = OutcomeNotThere, "redirects to "+transport.CleanText(location, 200)
	switch {
	case err != nil:
	case online(u.Hostname()):
		// Exchange answers so for addresses that it does not know, too: a hint only.
		s.fail(at, &OnlineError{Address: s.address, Target: canonical(u.Hostname())})
		return ""
	default:
		if v, why := httpsURL(u.String()); why == "" && strings.Contains(strings.ToLower(v.Path), "/autodiscover.json") {
			at.Outcome = OutcomeRedirect
			s.tell(at)
			return v.String()
		}
	}
	s.tell(at)
	return ""
}

func (s *search) readJSON(c candidate, target string, a reply) (*finding, error) {
	got, err := parseJSON(a.body)
	switch {
	case err != nil || a.status != http.StatusOK && got.err == nil:
		return nil, a.foreign(err)
	case got.err != nil:
		got.err.Status = a.status
		return nil, got.err
	}
	u, why := httpsURL(got.external)
	if why != "" {
		return nil, &AnswerError{Status: a.status, Code: "url", Message: "the EWS URL cannot be used: " + why}
	}
	if online(u.Hostname()) {
		return nil, &OnlineError{Address: s.address, Target: canonical(u.Hostname())}
	}
	got.version = first(got.version, transport.CleanText(a.header.Get("X-OWA-Version"), 40))
	return &finding{answer: got, at: c, url: target}, nil
}

// probePOX sends the question that follows with a sign-in: Exchange answers it with
// 401, everything else does not. ready means that it did.
func (s *search) probePOX(ctx context.Context, c candidate) seen {
	target := c.pox()
	a, err := s.ask(ctx, question{client: s.o.Anonymous, limit: s.probeLimit(), url: target, body: poxRequest(s.address), accept: "text/xml", size: xmlSize})
	at := Attempt{Step: c.step, URL: target, Took: a.took}
	switch {
	case err != nil:
		s.fail(at, err)
		return seen{}
	case a.status == http.StatusUnauthorized:
		at.Outcome, at.Text = OutcomeSignIn, "asks for a sign-in"
		s.tell(at)
		return seen{ready: true}
	case a.redirects():
		next, err := s.redirect(c, a.location)
		if err != nil {
			s.fail(at, err)
			return seen{}
		}
		at.Outcome, at.Text = OutcomeRedirect, "redirects to "+next.url.String()
		s.tell(at)
		return seen{next: &next}
	}
	got, err := parsePOX(a.body)
	switch {
	case err != nil || a.status != http.StatusOK:
		s.fail(at, a.foreign(err))
	case got.err != nil:
		s.fail(at, got.err)
	case got.toURL != "" || got.toAddress != "":
		// What does not know who asks cannot know where the mailbox is: ask again, signed in.
		at.Outcome, at.Text = OutcomeSignIn, "redirects everybody"
		s.tell(at)
		return seen{ready: true}
	default:
		at.Outcome, at.Text = OutcomeFound, first(got.internal, got.external)
		s.tell(at)
		return seen{found: &finding{answer: got, at: c, url: target}}
	}
	return seen{}
}

// redirect makes the candidate that a redirect names; Exchange Online is none.
func (s *search) redirect(c candidate, target string) (candidate, error) {
	next, err := c.follow(target)
	if err == nil && online(next.url.Hostname()) {
		return candidate{}, &OnlineError{Address: s.address, Target: canonical(next.url.Hostname())}
	}
	return next, err
}
