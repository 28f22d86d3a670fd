//go:build integration

package integration

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/internal/transport"
	"github.com/c2conn/c2conn/internal/winauth"
)

// acceptor starts the web server with MIT's GSSAPI.
func (d *domain) acceptor(t *testing.T, port string, tls bool) {
	t.Helper()
	dir, err := os.MkdirTemp(d.dir(), "acceptor-")
	if err != nil {
		t.Fatal(err)
	}
	users := filepath.Join(dir, "users")
	write(t, users, "CORP:exadmin:"+exadminPassword+"\n", 0o600)
	args := []string{filepath.Join(suite.servers, "acceptor.py"), webIP, port}
	if tls {
		d.writePEM(t, dir, webHost)
		args = append(args, filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	}
	s := d.with("KRB5_KTNAME", d.keytab(), "NTLM_USER_FILE", users).serve(t, "/usr/bin/python3", args...)
	t.Cleanup(func() {
		if s.stop(); t.Failed() {
			t.Logf("the acceptor said:\n%s", s.said.String())
		}
	})
	d.await(t, webIP+":"+port)
}

func gssapiCases(t *testing.T, d *domain) {
	const port = "8443"
	const url = "https://" + webHost + ":" + port
	const bound = 0x800 // GSS_C_CHANNEL_BOUND_FLAG: the binding was looked at, and is right

	check(t, "GSSAPI: Kerberos and NTLM are bound to the server's certificate; a foreign binding is refused", func(t *testing.T) {
		d.acceptor(t, port, true)
		for _, method := range []winauth.Method{winauth.Kerberos, winauth.NTLM} {
			for _, page := range []string{"right", "none"} {
				got, err := post(t, d.httpClient(d.account(`CORP\exadmin`, exadminPassword), method), url+"/"+page, "soap")
				words := strings.Fields(got.body)
				if err != nil || got.status != 200 || len(words) != 3 || !strings.Contains(words[0], "exadmin") || words[2] != "soap" {
					t.Fatalf("%s, %s: %+v %v", method, page, got, err)
				}
				flags, err := strconv.ParseInt(words[1], 0, 64)
				if err != nil || (flags&bound != 0) != (page == "right") {
					t.Errorf("%s, %s: flags %#x %v", method, page, flags, err)
				}
			}
		}
		// The server sees another certificate than the client, as behind a proxy that
		// ends TLS: Kerberos is refused, then NTLM, and the password is not to blame.
		a := d.account(`CORP\exadmin`, exadminPassword)
		_, err := post(t, d.httpClient(a), url+"/wrong", "soap")
		e := wantError[*winauth.RefusedError](t, "foreign binding", err)
		if !e.Proven || e.Method != winauth.NTLM || e.Status != 401 {
			t.Errorf("%+v", e)
		}
		wantError[*winauth.TicketRefusedError](t, "foreign binding", err)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := d.trust().Client(winauth.HTTPOptions{Dial: d.reach.Dial, Clock: transport.SystemClock()}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		said, err := io.ReadAll(res.Body)
		// Kerberos first; what gss-ntlmssp says does not tell the reason, but the same
		// sign-in is good with the right binding.
		if lines := strings.Split(string(said), "\n"); err != nil || len(lines) != 2 || !strings.HasPrefix(lines[0], "BadChannelBindingsError") {
			t.Errorf("the server refused for another reason: %q %v", said, err)
		}
	})

	check(t, "GSSAPI: messages are sealed in both directions as WinRM's are", func(t *testing.T) {
		d.acceptor(t, "8080", false)
		k, err := d.account(exadmin, exadminPassword).Kerberos(t.Context(), webSPN, winauth.KerberosOptions{})
		if err != nil {
			t.Fatal(err)
		}
		// One connection: the context belongs to it.
		one := &http.Transport{DialContext: d.reach.Dial, MaxConnsPerHost: 1}
		defer one.CloseIdleConnections()
		send := func(body []byte, authorization string) ([]byte, http.Header) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+webHost+":8080/seal", bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			if authorization != "" {
				r.Header.Set("Authorization", authorization)
			}
			res, err := one.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			answer, err := io.ReadAll(res.Body)
			if err != nil || res.StatusCode != http.StatusOK {
				t.Fatalf("%d %q %v", res.StatusCode, answer, err)
			}
			return answer, res.Header
		}
		_, header := send(nil, "Negotiate "+base64.StdEncoding.EncodeToString(k.Token()))
		reply, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(header.Get("WWW-Authenticate"), "Negotiate "))
		if err != nil {
			t.Fatal(err)
		}
		if err := k.Accept(reply); err != nil {
			t.Fatal(err)
		}
		for _, message := range []string{"<s:Envelope/>", "x", strings.Repeat("Grüße ", 20000)} {
			h, data, err := k.Wrap([]byte(message))
			if err != nil {
				t.Fatal(err)
			}
			if len(data) != len(message) || bytes.Contains(data, []byte("Envelope")) {
				t.Errorf("%d bytes became %d", len(message), len(data))
			}
			answer, _ := send(append(append(binary.LittleEndian.AppendUint32(nil, uint32(len(h))), h...), data...), "")
			n := binary.LittleEndian.Uint32(answer)
			heard, err := k.Unwrap(answer[4:4+n], answer[4+n:])
			if err != nil || string(heard) != "heard: "+message {
				t.Fatalf("%.100q %v", heard, err)
			}
		}
	})
}
