package autodiscover

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/c2conn/c2conn/internal/patience"
	"github.com/c2conn/c2conn/internal/transport"
)

// manyLimit is how many addresses of Active Directory, or of DNS, are asked.
const manyLimit = 8

// line looks up candidates. An error ends the search.
type line func(context.Context) ([]candidate, error)

// lines are the ways to find candidates, in the order of preference. Each one looks up
// what it needs; the candidates are asked without a sign-in, and what came of it is
// passed on.
func (s *search) lines() []line {
	return []line{
		s.fromDirectory,
		s.named(StepDomain, s.domain),
		s.named(StepHost, "autodiscover."+s.domain),
		s.fromHTTP,
		s.fromDNS,
	}
}

func (s *search) named(step, host string) line {
	return func(context.Context) ([]candidate, error) {
		return []candidate{{step: step, from: s.domain, url: &url.URL{Scheme: "https", Host: host, Path: autodiscoverPath}}}, nil
	}
}

// fromDirectory returns what Active Directory publishes. It is asked once for each
// mail domain.
//
// Source: how-to-find-autodiscover-endpoints-by-using-scp-lookup-in-exchange.
func (s *search) fromDirectory(ctx context.Context) ([]candidate, error) {
	if s.o.SCP == nil {
		return nil, nil
	}
	at := Attempt{Step: StepSCP, URL: "ldap:"}
	begin := s.o.Clock.Now()
	p, asked := s.published[s.domain]
	if !asked {
		limited, cancel := patience.WithLimit(ctx, s.signInLimit())
		p.list, p.err = s.o.SCP(limited, s.domain)
		cancel()
		s.published[s.domain] = p
	}
	at.Took = s.o.Clock.Now().Sub(begin)
	if p.err != nil {
		s.fail(at, p.err)
		return nil, fatalOnly(p.err)
	}
	var found []candidate
	for _, e := range p.list {
		at := Attempt{Step: StepSCP, URL: transport.CleanText(e.URL, 300)}
		u, why := httpsURL(e.URL)
		switch {
		case e.Err != nil:
			s.fail(at, e.Err)
		case why != "":
			s.fail(at, &RedirectError{To: at.URL, Why: why})
		case len(found) == manyLimit:
			at.Outcome, at.Text = OutcomeSkipped, "there are more than "+strconv.Itoa(manyLimit)
			s.tell(at)
		case online(u.Hostname()):
			s.fail(at, &OnlineError{Address: s.address, Target: canonical(u.Hostname())})
		default:
			s.home.add(u.Hostname()) // Active Directory vouches for it
			found = append(found, candidate{step: StepSCP, from: "Active Directory", url: u})
		}
	}
	if len(p.list) == 0 {
		at.Outcome, at.Text = OutcomeNothing, "Active Directory names no autodiscover address"
		s.tell(at)
	}
	return found, nil
}

// fromHTTP asks for the redirect of a hosted domain. Nothing but its target is taken
// from this answer, which anybody on the way may have written.
func (s *search) fromHTTP(ctx context.Context) ([]candidate, error) {
	c := candidate{step: StepHTTP, from: s.domain, url: &url.URL{Scheme: "http", Host: "autodiscover." + s.domain, Path: autodiscoverPath}}
	a, err := s.ask(ctx, question{client: s.o.Anonymous, limit: s.probeLimit(), url: c.url.String(), accept: "text/xml", size: jsonSize})
	at := Attempt{Step: StepHTTP, URL: c.url.String(), Took: a.took}
	if err != nil {
		s.fail(at, err)
		return nil, nil
	}
	if a.status != 301 && a.status != 302 || a.location == "" {
		s.fail(at, &AnswerError{Status: a.status, Message: "no redirect"})
		return nil, nil
	}
	next, err := s.redirect(c, a.location)
	if err != nil {
		s.fail(at, err)
		return nil, nil
	}
	at.Outcome, at.Text = OutcomeRedirect, "redirects to "+next.url.String()
	s.tell(at)
	next.from = s.domain
	return []candidate{next}, nil
}

// fromDNS reads the SRV records: the lowest priority first, then the highest weight.
// Port 80 is not for TLS; all others are asked with it.
func (s *search) fromDNS(ctx context.Context) ([]candidate, error) {
	at := Attempt{Step: StepSRV, URL: "_autodiscover._tcp." + s.domain}
	begin := s.o.Clock.Now()
	limited, cancel := patience.WithLimit(ctx, s.probeLimit())
	records, err := transport.LookupSRV(limited, s.o.Resolver, "autodiscover", "tcp", s.domain)
	ended := limited.Err()
	cancel()
	at.Took = s.o.Clock.Now().Sub(begin)
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		at.Outcome, at.Text = OutcomeNothing, "DNS has no such record"
		s.tell(at)
		return nil, nil
	case err != nil && ended != nil:
		s.fail(at, ended)
		return nil, nil
	case err != nil && len(records) == 0: // some records may be fine where others are not
		s.fail(at, err)
		return nil, nil
	}
	slices.SortStableFunc(records, func(a, b *net.SRV) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(b.Weight, a.Weight), cmp.Compare(a.Target, b.Target))
	})
	var found []candidate
	for _, r := range records {
		host := canonical(r.Target)
		where := net.JoinHostPort(host, strconv.Itoa(int(r.Port)))
		u, why := httpsURL("https://" + where + autodiscoverPath)
		switch {
		case host == "" || why != "" || r.Port == 80 || len(found) == manyLimit:
			s.tell(Attempt{Step: StepSRV, URL: transport.CleanText(where, 300), Outcome: OutcomeSkipped, Text: "no target for https"})
			continue
		case online(host):
			s.fail(Attempt{Step: StepSRV, URL: where}, &OnlineError{Address: s.address, Target: host})
			continue
		}
		u.Host = hostPort(u)
		found = append(found, candidate{step: StepSRV, from: s.domain, url: u})
	}
	if len(records) > 0 {
		names := make([]string, 0, len(found))
		for _, c := range found {
			names = append(names, c.url.Host)
		}
		at.Outcome, at.Text = OutcomeRedirect, "names "+cmp.Or(strings.Join(names, ", "), "no target for https")
		s.tell(at)
	}
	return found, nil
}
