//go:build integration

package integration

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/c2conn/c2conn/internal/winauth"
)

// ntlmServer is a web server that asks Samba's ntlm_auth who signs in. As with IIS,
// a connection signs in once.
type ntlmServer struct {
	d *domain
	t *testing.T

	mu     sync.Mutex
	failed int // sign-ins that ntlm_auth refused
}

// connection is one client's. The helper does one sign-in at a time.
type connection struct {
	mu     sync.Mutex
	helper *server
	said   *bufio.Reader
	user   string
}

type connectionKey struct{}

// ntlm starts the server; its URL comes with it.
func (d *domain) ntlm(t *testing.T) (*ntlmServer, string) {
	t.Helper()
	s := &ntlmServer{d: d, t: t}
	l, err := net.Listen("tcp", webIP+":0")
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewUnstartedServer(s)
	_ = web.Listener.Close()
	web.Listener = l
	web.TLS = &tls.Config{Certificates: []tls.Certificate{d.issue(t, webHost)}}
	web.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		return context.WithValue(ctx, connectionKey{}, &connection{})
	}
	web.StartTLS()
	t.Cleanup(web.Close)
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	d.winbind(t)
	return s, "https://" + webHost + ":" + port + "/"
}

// winbind waits for winbindd, which comes up after the controller's own ports.
func (d *domain) winbind(t *testing.T) {
	t.Helper()
	eventually(t, "winbindd", func() bool {
		program, args := d.private("wbinfo", "--ping-dc")
		return d.run(t, program, args...).code == 0
	})
}

// ask says one line of the helper's protocol, squid-2.5-ntlmssp, and hears one.
func (s *ntlmServer) ask(c *connection, line string) string {
	if _, err := fmt.Fprintln(c.helper.input, line); err != nil {
		return "BH " + err.Error()
	}
	reply, err := c.said.ReadString('\n')
	if err != nil {
		return "BH " + err.Error()
	}
	return strings.TrimSpace(reply)
}

// ServeHTTP implements http.Handler.
func (s *ntlmServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, _ := r.Context().Value(connectionKey{}).(*connection)
	c.mu.Lock()
	defer c.mu.Unlock()
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return
	}
	token, signing := strings.CutPrefix(r.Header.Get("Authorization"), "NTLM ")
	switch {
	case !signing && c.user != "":
		s.welcome(w, c.user, body)
		return
	case !signing:
		w.Header().Set("WWW-Authenticate", "NTLM")
		w.WriteHeader(http.StatusUnauthorized)
		return
	case c.helper == nil:
		program, args := s.d.private("ntlm_auth", "--configfile="+s.d.conf(), "--helper-protocol=squid-2.5-ntlmssp")
		c.helper = s.d.serve(s.t, program, args...)
		c.said = bufio.NewReader(c.helper.out)
	}
	verb := "KK "
	if c.user = ""; strings.HasPrefix(token, "TlRMTVNTUAAB") { // the first message
		verb = "YR "
	}
	kind, rest, _ := strings.Cut(s.ask(c, verb+token), " ")
	switch kind {
	case "TT":
		w.Header().Set("WWW-Authenticate", "NTLM "+rest)
		w.WriteHeader(http.StatusUnauthorized)
	case "AF":
		c.user = rest
		s.welcome(w, c.user, body)
	case "NA":
		s.mu.Lock()
		s.failed++
		s.mu.Unlock()
		w.Header().Set("WWW-Authenticate", "NTLM")
		w.WriteHeader(http.StatusUnauthorized)
	default:
		http.Error(w, kind+" "+rest, http.StatusInternalServerError)
	}
}

func (s *ntlmServer) welcome(w http.ResponseWriter, user string, body []byte) {
	w.Header().Set("X-Remote-User", user)
	_, _ = w.Write(body)
}

func ntlmCases(t *testing.T, d *domain) {
	check(t, "ntlm_auth: NTLM by UPN, by alternate UPN, by DOMAIN\\user, through the domain controller", func(t *testing.T) {
		_, url := d.ntlm(t)
		for _, c := range []struct{ name, password, user string }{
			{exadmin, exadminPassword, `CORP\exadmin`},
			{alice, alicePassword, `CORP\asmith`},
			{`CORP\asmith`, alicePassword, `CORP\asmith`},
			{"Administrator@corp.test", builtInPassword, `CORP\Administrator`},
		} {
			a := d.account(c.name, c.password)
			client := d.httpClient(a, winauth.NTLM)
			for range 2 {
				if got, err := post(t, client, url, "soap"); err != nil || got.status != 200 || got.body != "soap" || !strings.EqualFold(got.user, c.user) {
					t.Fatalf("%s: %+v %v", c.name, got, err)
				}
			}
			if !a.Proven() {
				t.Errorf("%s is not proven", c.name)
			}
		}
	})

	check(t, "ntlm_auth: one wrong password is one failed sign-in, with eight requests at once", func(t *testing.T) {
		s, url := d.ntlm(t)
		// By UPN winbindd refuses with NT_STATUS_NOT_FOUND, and the domain counts nothing.
		client := d.httpClient(d.account(`CORP\w-ntlm`, "wrong"), winauth.NTLM)
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				_, err := post(t, client, url, "soap")
				if err == nil || !strings.Contains(err.Error(), "password") {
					t.Errorf("%v", err)
				}
			})
		}
		all.Wait()
		if n := d.wrongPasswords(t, "w-ntlm"); n != "1" || s.failed != 1 {
			t.Errorf("the domain counted %s, the server %d", n, s.failed)
		}
	})
}
