package onprem

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// zone answers for the names of the world and for no others: everything else is
// NXDOMAIN, so that nothing of the machine's own network is ever looked up.
type zone struct {
	hosts map[string]bool      // what is at 127.0.0.1, lower case, without the last dot
	srv   map[string][]dns.SRV // by name
	roots []string             // the domains that it is the authority for

	silent func(name string) bool // which questions are never answered
	asked  func(name, kind string)
}

// nameServer serves a zone on one loopback port, over UDP and TCP.
type nameServer struct {
	address string
	servers []*dns.Server
	done    sync.WaitGroup
}

const dnsTTL = 60 // seconds; clients that keep answers see a changed world a minute later

func serveNames(z func() zone) (*nameServer, error) {
	var config net.ListenConfig
	stream, err := config.Listen(context.Background(), "tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for DNS: %w", err)
	}
	s := &nameServer{address: stream.Addr().String()}
	packets, err := config.ListenPacket(context.Background(), "udp4", s.address)
	if err != nil {
		return nil, fmt.Errorf("listen for DNS: %w", err)
	}
	answer := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		if m := z().answer(q); m != nil {
			if _, datagram := w.RemoteAddr().(*net.UDPAddr); datagram {
				m.Truncate(512)
			}
			_ = w.WriteMsg(m)
		}
	})
	for _, server := range []*dns.Server{{Listener: stream, Handler: answer}, {PacketConn: packets, Handler: answer}} {
		started := make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		server.ReadTimeout, server.WriteTimeout = 10*time.Second, 10*time.Second
		s.servers = append(s.servers, server)
		s.done.Go(func() { _ = server.ActivateAndServe() })
		<-started // Shutdown before that would be lost
	}
	return s, nil
}

func (s *nameServer) close() {
	for _, server := range s.servers {
		_ = server.Shutdown()
	}
	s.done.Wait()
}

// answer is the reply to a question; nil for none at all.
func (z zone) answer(q *dns.Msg) *dns.Msg {
	m := new(dns.Msg)
	m.SetReply(q)
	m.Authoritative = true
	if q.Opcode != dns.OpcodeQuery || len(q.Question) != 1 || q.Question[0].Qclass != dns.ClassINET {
		m.Rcode = dns.RcodeNotImplemented
		return m
	}
	name := strings.ToLower(strings.TrimSuffix(q.Question[0].Name, "."))
	kind := q.Question[0].Qtype
	if z.asked != nil {
		z.asked(name, dns.TypeToString[kind])
	}
	if z.silent != nil && z.silent(name) {
		return nil
	}
	head := dns.RR_Header{Name: q.Question[0].Name, Rrtype: kind, Class: dns.ClassINET, Ttl: dnsTTL}
	records, isSRV := z.srv[name]
	switch {
	case isSRV && kind == dns.TypeSRV:
		for _, r := range records {
			r.Hdr = head
			m.Answer = append(m.Answer, &r)
			if host := strings.ToLower(strings.TrimSuffix(r.Target, ".")); z.hosts[host] {
				m.Extra = append(m.Extra, address(dns.RR_Header{Name: r.Target, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: dnsTTL}))
			}
		}
	case z.hosts[name] && kind == dns.TypeA:
		m.Answer = append(m.Answer, address(head))
	case z.hosts[name], isSRV, z.above(name): // there is such a name, without records of this type
	default:
		m.Rcode = dns.RcodeNameError
	}
	if len(m.Answer) == 0 {
		m.Ns = append(m.Ns, z.authority(name))
	}
	return m
}

func address(head dns.RR_Header) dns.RR { return &dns.A{Hdr: head, A: net.IPv4(127, 0, 0, 1).To4()} }

// above tells whether there are names beneath this one (RFC 8020, section 2).
func (z zone) above(name string) bool {
	for host := range z.hosts {
		if strings.HasSuffix(host, "."+name) {
			return true
		}
	}
	for host := range z.srv {
		if strings.HasSuffix(host, "."+name) {
			return true
		}
	}
	return false
}

// authority goes with an answer without records (RFC 2308, section 3).
func (z zone) authority(name string) dns.RR {
	apex := Domain
	for _, root := range z.roots {
		if name == root || strings.HasSuffix(name, "."+root) {
			apex = root
		}
	}
	return &dns.SOA{
		Hdr: dns.RR_Header{Name: apex + ".", Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: dnsTTL},
		Ns:  DomainController + ".", Mbox: "hostmaster." + apex + ".", Serial: 1, Refresh: 900, Retry: 600, Expire: 86400, Minttl: dnsTTL,
	}
}
