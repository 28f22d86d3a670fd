package transport_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/transport"
)

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestConnectTo(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "here")
			_ = c.Close()
		}
	}()
	r, err := transport.NewReach(env("C2CONN_CONNECT_TO", "other.corp.test:1:127.0.0.1:2, exch01.corp.test:443:"+l.Addr().String()))
	if err != nil {
		t.Fatal(err)
	}
	c, err := r.Dial(t.Context(), "tcp", "EXCH01.corp.test:443")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got, _ := io.ReadAll(c); string(got) != "here" {
		t.Errorf("got %q", got)
	}
}

func TestReachRefuses(t *testing.T) {
	t.Parallel()
	for _, bad := range [][2]string{
		{"C2CONN_CONNECT_TO", "host:443"}, {"C2CONN_CONNECT_TO", "host:443:other"}, {"C2CONN_CONNECT_TO", ":443:127.0.0.1:1"}, {"C2CONN_CONNECT_TO", "a\x1b[2J"},
		{"C2CONN_DNS", "dc1.corp.test"}, {"C2CONN_DNS", "127."}, {"C2CONN_DNS", "127.0.0.1:dns"}, {"C2CONN_DNS", "127.0.0.1:99999"}, {"C2CONN_DNS", "127.0.0.1:0"},
	} {
		_, err := transport.NewReach(env(bad[0], bad[1]))
		if err == nil || !strings.Contains(err.Error(), bad[0]) || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%s=%q: %v", bad[0], bad[1], err)
		}
	}
	for _, good := range []string{"10.0.0.10", "10.0.0.10:5353", "::1", "[::1]:53"} {
		if _, err := transport.NewReach(env("C2CONN_DNS", good)); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
}

// An error of a look-up does not name a server that was not asked: that of the system's
// settings, where another one was named.
func TestLookupNamesNoOtherServer(t *testing.T) {
	t.Parallel()
	answer, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Close()
	go func() {
		for query := make([]byte, 512); ; {
			n, from, err := answer.ReadFrom(query)
			if err != nil {
				return
			}
			reply := append([]byte{}, query[:n]...)
			reply[2], reply[3] = reply[2]|0x80, 0x80|3 // an answer: there is no such name
			_, _ = answer.WriteTo(reply, from)
		}
	}()
	r, err := transport.NewReach(env("C2CONN_DNS", answer.LocalAddr().String()))
	if err != nil {
		t.Fatal(err)
	}
	_, srv := transport.LookupSRV(t.Context(), r.Resolver, "kerberos", "tcp", "corp.test")
	_, dial := r.Dial(t.Context(), "tcp", "sp.corp.test:443")
	for what, err := range map[string]error{"SRV": srv, "dial": dial} {
		dns, ok := errors.AsType[*net.DNSError](err)
		if !ok || dns.Server != "" || !dns.IsNotFound || strings.Contains(err.Error(), " on ") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// A DNS server that does not answer holds nobody who gives up.
func TestLookupSRVObeysContext(t *testing.T) {
	t.Parallel()
	const service, proto, name = "kerberos", "tcp", "corp.test"
	asked := make(chan struct{}, 10)
	silent := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		go func() { _, _ = io.Copy(io.Discard, there) }()
		asked <- struct{}{}
		return here, nil
	}}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	begin := time.Now()
	records, err := transport.LookupSRV(ctx, silent, service, proto, name)
	if !errors.Is(err, context.Canceled) || records != nil {
		t.Errorf("%v %v", records, err)
	}
	// The resolver itself waits for 5 s.
	if took := time.Since(begin); took > 4*time.Second {
		t.Errorf("after %s", took)
	}
}
