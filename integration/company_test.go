//go:build integration

package integration

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// company is a simulated Windows network with an Exchange Server, and a world that
// reaches it at its names and the well-known ports.
type company struct {
	world
	*server
	dump string // its counters, at the end
}

// counters are what the company counted.
type counters struct {
	Failed  int            `json:"failed_sign_ins"`
	SignIns map[string]int `json:"sign_ins"`
}

// newCompany starts one that lives until the case ends.
func newCompany(t *testing.T, faults ...string) *company {
	t.Helper()
	return newCompanyWith(t, nil, faults...)
}

// newCompanyWith is newCompany with flags of the simulation.
func newCompanyWith(t *testing.T, flags []string, faults ...string) *company {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("well-known ports and names of its own need root")
	}
	w := newWorld(t)
	c := &company{world: w.with(), dump: filepath.Join(w.dir(), "counters.json")}
	list := filepath.Join(w.dir(), "company.env")
	args := append([]string{"onprem", "--issued-certificate", "--dump", c.dump}, flags...)
	for _, f := range faults {
		args = append(args, "--fault", f)
	}
	c.server = w.with("C2CONN_HOME", "").serve(t, "c2conn-sim", append(args, "--", "sh", "-c", `env >"$0"; echo ready; exec cat >/dev/null`, list)...)
	if line, err := bufio.NewReader(c.out).ReadString('\n'); err != nil || line != "ready\n" {
		c.stop()
		t.Fatalf("the company did not start: %q %v\n%s", line, err, c.said.String())
	}
	for entry := range strings.Lines(read(t, list)) {
		if name, value, ok := strings.Cut(strings.TrimSuffix(entry, "\n"), "="); ok && (strings.HasPrefix(name, "SIM_") || name == "C2CONN_DNS" || name == "C2CONN_CONNECT_TO") {
			c.world[name] = value
		}
	}
	c.forward(t)
	write(t, filepath.Join(c.dir(), "krb5.conf"), `[libdefaults]
 default_realm = CORP.TEST
 dns_lookup_kdc = false
 dns_canonicalize_hostname = false
 rdns = false
 udp_preference_limit = 1
[realms]
 CORP.TEST = {
  kdc = dc1.corp.test
 }
[domain_realm]
 .corp.test = CORP.TEST
`, 0o644)
	c.world["KRB5_CONFIG"] = filepath.Join(c.dir(), "krb5.conf")
	c.world["KRB5CCNAME"] = "FILE:" + filepath.Join(c.dir(), "cc")
	c.world["REQUESTS_CA_BUNDLE"], c.world["NODE_EXTRA_CA_CERTS"], c.world["C2CONN_NPM"] = c.world["SIM_CA_FILE"], c.world["SIM_CA_FILE"], suite.npm
	return c
}

// nameServer is where the company's names are asked for.
const nameServer = "127.0.1.53"

// forward gives each host of the company an address with its well-known ports, and a
// DNS server that knows them. Only the network namespace of the run has them.
func (c *company) forward(t *testing.T) {
	t.Helper()
	addresses := map[string]net.IP{}
	for entry := range strings.SplitSeq(c.world["C2CONN_CONNECT_TO"], ",") {
		parts := strings.SplitN(entry, ":", 3)
		if len(parts) != 3 {
			t.Fatalf("C2CONN_CONNECT_TO has %q", entry)
		}
		if net.ParseIP(parts[0]) != nil {
			continue
		}
		name := dns.Fqdn(parts[0])
		if addresses[name] == nil {
			addresses[name] = net.IPv4(127, 0, 1, byte(100+len(addresses)))
		}
		l, err := net.Listen("tcp", addresses[name].String()+":"+parts[1])
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		all.Go(func() {
			for {
				in, err := l.Accept()
				if err != nil {
					return
				}
				all.Go(func() { pipe(in, parts[2]) })
			}
		})
		t.Cleanup(func() {
			_ = l.Close()
			c.stop() // or open connections would be waited for
			all.Wait()
		})
	}
	socket, err := net.ListenPacket("udp", nameServer+":53")
	if err != nil {
		t.Fatal(err)
	}
	names := &dns.Server{PacketConn: socket, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		answer := new(dns.Msg).SetReply(q)
		name := strings.ToLower(q.Question[0].Name)
		port, service := map[string]uint16{"_kerberos._tcp.corp.test.": 88, "_ldap._tcp.dc._msdcs.corp.test.": 389}[name]
		switch address, known := addresses[name]; {
		case service:
			answer.Answer = []dns.RR{&dns.SRV{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeSRV, Class: dns.ClassINET, Ttl: 60}, Weight: 100, Port: port, Target: "dc1.corp.test."}}
		case !known:
			answer.Rcode = dns.RcodeNameError
		case q.Question[0].Qtype == dns.TypeA:
			answer.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: address}}
		}
		_ = w.WriteMsg(answer)
	})}
	ready := make(chan struct{})
	names.NotifyStartedFunc = func() { close(ready) }
	go func() { _ = names.ActivateAndServe() }()
	<-ready
	t.Cleanup(func() { _ = names.Shutdown() })
	write(t, filepath.Join(c.dir(), "resolv.conf"), "nameserver "+nameServer+"\n", 0o644)
}

// inside runs a program that asks the company's DNS server for names.
func (c *company) inside(t *testing.T, program string, args ...string) result {
	t.Helper()
	if own := filepath.Join(suite.bin, program); exists(own) {
		program = own
	}
	script := `mount --bind "$0" /etc/resolv.conf && exec "$@"`
	return c.run(t, "unshare", append([]string{"--mount", "--propagation", "private", "--", "sh", "-c", script, filepath.Join(c.dir(), "resolv.conf"), program}, args...)...)
}

// pipe joins a connection to another one until both ends have closed.
func pipe(in net.Conn, to string) {
	defer in.Close()
	out, err := net.DialTimeout("tcp", to, 5*time.Second)
	if err != nil {
		return
	}
	defer out.Close()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
		both.Go(func() {
			_, _ = io.Copy(way[1], way[0])
			if c, ok := way[1].(*net.TCPConn); ok {
				_ = c.CloseWrite()
			}
		})
	}
	both.Wait()
}

// password is that of an account: "ADMIN", "MESSAGING" or "NOMAILBOX".
func (c *company) password(t *testing.T, who string) string {
	t.Helper()
	return read(t, c.world["SIM_"+who+"_PASSWORD_FILE"])
}

// close ends the company and tells what it counted.
func (c *company) close(t *testing.T) counters {
	t.Helper()
	_ = c.input.Close()
	select {
	case <-c.done:
	case <-time.After(10 * time.Second):
		t.Fatal("the company does not end")
	}
	var n counters
	if err := json.Unmarshal([]byte(read(t, c.dump)), &n); err != nil || c.err != nil {
		t.Fatalf("%v %v\n%s", err, c.err, c.said.String())
	}
	return n
}
