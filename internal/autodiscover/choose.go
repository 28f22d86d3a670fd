package autodiscover

import (
	"context"
	"net/netip"
	"net/url"

	"github.com/c2conn/c2conn/internal/patience"
	"github.com/c2conn/c2conn/internal/transport"
)

// accept makes the result of an answer. Where the answer names an EWS URL for clients
// in the network and another one for those outside, the first is taken if its host
// name resolves here: whoever can resolve it is inside, and inside needs no proxy or
// load balancer that breaks channel bindings. A host of another domain needs consent,
// because the next sign-in goes there.
func (s *search) accept(ctx context.Context, f *finding) (Result, error) {
	type place struct {
		raw string
		*url.URL
	}
	var usable []place
	why := ""
	for _, v := range []string{f.internal, f.external} {
		if v == "" {
			continue
		}
		u, no := httpsURL(v)
		if no != "" {
			why = no
			continue
		}
		if online(u.Hostname()) {
			return Result{}, &OnlineError{Address: s.address, Target: canonical(u.Hostname())}
		}
		usable = append(usable, place{v, u})
	}
	if len(usable) == 0 {
		return Result{}, &AnswerError{Status: 200, Code: "url", Message: "the EWS URL cannot be used: " + why}
	}
	ews := usable[0]
	if len(usable) == 2 && usable[0].Hostname() != usable[1].Hostname() && !s.resolves(ctx, ews.Hostname()) {
		ews = usable[1]
	}
	if err := s.agree(ctx, f.at.url.Hostname(), ews.Hostname()); err != nil {
		return Result{}, err
	}
	r := Result{
		EWS: ews.raw, URL: f.url, Step: f.at.step, Address: s.address,
		Server: transport.CleanText(f.server, 300), Version: transport.CleanText(f.version, 40),
	}
	// Remote PowerShell is reached by the name of a server; outside the network it is not.
	if host := canonical(usable[0].Hostname()); !isIP(host) {
		r.PowerShell = "http://" + host + "/PowerShell/"
	}
	return r, nil
}

func isIP(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// reachable reports whether the name of an EWS URL of the answer resolves here.
func (s *search) reachable(ctx context.Context, f *finding) bool {
	for _, v := range []string{f.internal, f.external} {
		if u, why := httpsURL(v); why == "" && s.resolves(ctx, u.Hostname()) {
			return true
		}
	}
	return false
}

// resolves reports whether this computer knows an address of host.
func (s *search) resolves(ctx context.Context, host string) bool {
	if isIP(host) {
		return true
	}
	ctx, cancel := patience.WithLimit(ctx, s.probeLimit()/2)
	defer cancel()
	list, err := s.o.Resolver.LookupHost(ctx, host)
	return err == nil && len(list) > 0
}
