package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"
)

// Reach is how names and addresses are reached. Both parts may be used by several
// goroutines.
type Reach struct {
	Resolver *net.Resolver
	Dial     func(ctx context.Context, network, address string) (net.Conn, error)
}

// The variables that NewReach reads.
const (
	dnsVariable     = "C2CONN_DNS"
	connectVariable = "C2CONN_CONNECT_TO"
)

// NewReach reads how this computer reaches others. C2CONN_DNS (host or host:port)
// names a DNS server that is asked instead of the system's, for networks in which
// the domain's own server alone knows domain controllers and Exchange. With
// C2CONN_CONNECT_TO, a list "host:port:host:port" parted by commas, connections to
// the first pair go to the second; the name that a certificate must have stays the
// first one's, as with curl's --connect-to. The names "localhost" and beneath are
// always this computer (RFC 6761, section 6.3).
func NewReach(getenv func(string) string) (Reach, error) {
	dialer := &net.Dialer{Timeout: dialLimit, KeepAlive: 30 * time.Second}
	r := Reach{Resolver: net.DefaultResolver}
	if server := getenv(dnsVariable); server != "" {
		at, err := netip.ParseAddrPort(server)
		if err != nil {
			var ip netip.Addr
			if ip, err = netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(server, "["), "]")); err == nil {
				at = netip.AddrPortFrom(ip, 53)
			}
		}
		if err != nil || at.Port() == 0 {
			return Reach{}, fmt.Errorf("%s is no address of a DNS server: write it as 10.0.0.10 or 10.0.0.10:53", dnsVariable)
		}
		r.Resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: dialLimit}).DialContext(ctx, network, at.String())
		}}
		dialer.Resolver = r.Resolver
	}
	elsewhere, err := connectTo(getenv(connectVariable))
	if err != nil {
		return Reach{}, err
	}
	r.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if to, ok := elsewhere[strings.ToLower(address)]; ok {
			address = to
		}
		if host, port, err := net.SplitHostPort(address); err == nil && strings.HasSuffix(strings.ToLower(strings.TrimSuffix(host, ".")), ".localhost") {
			address = net.JoinHostPort("localhost", port)
		}
		conn, err := dialer.DialContext(ctx, network, address)
		if op, ok := errors.AsType[*net.OpError](err); ok {
			told := *op
			told.Err = withoutServer(r.Resolver, op.Err)
			err = &told
		}
		return conn, err
	}
	return r, nil
}

// LookupSRV is Resolver.LookupSRV without the name, and ends with ctx: the resolver itself
// sees an end that was set beforehand alone, and holds whoever gives up for as long as a
// silent DNS server is waited for. Its error does not name a server that was not asked.
// Some records may come with an error about others.
func LookupSRV(ctx context.Context, r *net.Resolver, service, proto, name string) ([]*net.SRV, error) {
	type answer struct {
		records []*net.SRV
		err     error
	}
	answers := make(chan answer, 1)
	go func() {
		_, records, err := r.LookupSRV(ctx, service, proto, name)
		answers <- answer{records, err}
	}()
	select {
	case a := <-answers:
		return a.records, withoutServer(r, a.err)
	case <-ctx.Done():
		why := "no answer in time"
		if errors.Is(ctx.Err(), context.Canceled) {
			why = "given up"
		}
		return nil, &net.DNSError{UnwrapErr: ctx.Err(), Err: why, Name: "_" + service + "._" + proto + "." + name, IsTimeout: errors.Is(ctx.Err(), context.DeadlineExceeded)}
	}
}

// withoutServer takes the server out of the error of a look-up by a resolver that dials
// by itself: Go names the one of the system's settings in any case.
func withoutServer(resolver *net.Resolver, err error) error {
	dns, ok := errors.AsType[*net.DNSError](err)
	if !ok || resolver == nil || resolver.Dial == nil {
		return err
	}
	told := *dns // others may have the same one
	told.Server = ""
	return &told
}

func connectTo(list string) (map[string]string, error) {
	elsewhere := map[string]string{}
	for entry := range strings.SplitSeq(list, ",") {
		if entry = strings.TrimSpace(entry); entry == "" {
			continue
		}
		// The second host may be an IPv6 address in brackets, the first one a name only.
		parts := strings.SplitN(entry, ":", 3)
		if len(parts) != 3 || parts[0] == "" || parts[1] == "" {
			return nil, fmt.Errorf("%s: %q is no entry of the form host:port:host:port", connectVariable, CleanText(entry, 200))
		}
		if host, port, err := net.SplitHostPort(parts[2]); err != nil || host == "" || port == "" {
			return nil, fmt.Errorf("%s: %q is no entry of the form host:port:host:port", connectVariable, CleanText(entry, 200))
		}
		elsewhere[strings.ToLower(parts[0]+":"+parts[1])] = parts[2]
	}
	return elsewhere, nil
}
