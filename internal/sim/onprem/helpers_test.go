package onprem_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/xml"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/go-ntlmssp"

	"github.com/c2conn/c2conn/internal/sim/onprem"
	"github.com/c2conn/c2conn/internal/sim/onprem/org"
)

// clock is the world's, a while ahead of the machine's.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

func start(t *testing.T, o onprem.Options) (*onprem.World, *clock) {
	t.Helper()
	c := &clock{}
	o.Now = c.now
	o.Sleep = func(context.Context, time.Duration) error { return nil }
	w, err := onprem.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w, c
}

func with(faults ...string) onprem.Options { return onprem.Options{Faults: faults} }

// answer is what a web server said.
type answer struct {
	status int
	header http.Header
	body   string
}

// ask sends a request as a client does that signs in by NTLM, or not at all with an
// empty name.
func ask(t *testing.T, w *onprem.World, method, url, name, password string, header map[string]string, body string) answer {
	t.Helper()
	one := &wire{w: w}
	defer one.close()
	client := &http.Client{Transport: one, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if name != "" {
		client.Transport = ntlmssp.Negotiator{RoundTripper: one}
	}
	a, err := send(client, method, url, name, password, header, body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	return a
}

// wire is one connection that all requests go over: signing in by NTLM needs the same
// one for all its steps, which http.Transport promises to nobody.
type wire struct {
	w    *onprem.World
	conn net.Conn
	in   *bufio.Reader
}

func (c *wire) close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

// RoundTrip implements http.RoundTripper.
func (c *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	if c.conn == nil {
		port := cmp.Or(r.URL.Port(), map[string]string{"https": "443", "http": "80"}[r.URL.Scheme])
		conn, err := c.w.Dial(r.Context(), "tcp", net.JoinHostPort(r.URL.Hostname(), port))
		if err != nil {
			return nil, err
		}
		if c.conn = conn; r.URL.Scheme == "https" {
			transport, _ := c.w.Client().Transport.(*http.Transport)
			config := transport.TLSClientConfig.Clone()
			config.ServerName = r.URL.Hostname()
			c.conn = tls.Client(conn, config)
		}
		c.in = bufio.NewReader(c.conn)
	}
	if err := r.Write(c.conn); err != nil {
		return nil, err
	}
	res, err := http.ReadResponse(c.in, r)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	res.Body = io.NopCloser(bytes.NewReader(data))
	if res.Close {
		c.close()
	}
	return res, err
}

func send(client *http.Client, method, url, name, password string, header map[string]string, body string) (answer, error) {
	r, err := http.NewRequestWithContext(context.Background(), method, url, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for key, value := range header {
		r.Header.Set(key, value)
	}
	if name != "" {
		r.SetBasicAuth(name, password)
	}
	res, err := client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, string(data)}, err
}

const (
	ewsURL  = "https://exch01.corp.test/EWS/Exchange.asmx"
	envHead = `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types" xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages">`
	inbox   = `<m:GetFolder><m:FolderShape><t:BaseShape>Default</t:BaseShape></m:FolderShape><m:FolderIds><t:DistinguishedFolderId Id="inbox"/></m:FolderIds></m:GetFolder>`
)

// envelope is an EWS request; sid is "" or the inside of ConnectingSID.
func envelope(version, sid, operation string) string {
	head := `<t:RequestServerVersion Version="` + version + `"/>`
	if sid != "" {
		head += `<t:ExchangeImpersonation><t:ConnectingSID>` + sid + `</t:ConnectingSID></t:ExchangeImpersonation>`
	}
	return envHead + `<s:Header>` + head + `</s:Header><s:Body>` + operation + `</s:Body></s:Envelope>`
}

// call asks EWS as a user.
func call(t *testing.T, w *onprem.World, name, password, sid, operation string) answer {
	t.Helper()
	return ask(t, w, http.MethodPost, ewsURL, name, password, map[string]string{"Content-Type": "text/xml; charset=utf-8"}, envelope("Exchange2013_SP1", sid, operation))
}

// code is the response code of an EWS answer, wherever it is.
func code(t *testing.T, a answer) string {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(a.body))
	for {
		token, err := d.Token()
		if err != nil {
			t.Fatalf("status %d, no ResponseCode: %s", a.status, a.body)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "ResponseCode" {
			var text string
			if err := d.DecodeElement(&text, &e); err != nil {
				t.Fatal(err)
			}
			return text
		}
	}
}

// grant assigns ApplicationImpersonation to a user as an administrator would.
func grant(w *onprem.World, sam string) error {
	admin, _ := w.Organisation().Find("exadmin")
	_, err := w.Organisation().Assign(&admin, org.Assignment{Name: "c2conn impersonation " + sam, Role: org.Impersonation, Assignee: sam})
	return err
}
