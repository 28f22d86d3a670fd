package directory

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/go-ldap/ldap/v3"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/transport"
	"github.com/c2conn/c2conn/internal/winauth"
)

// FuzzPointer reads what stands in serviceBindingInformation.
func FuzzPointer(f *testing.F) {
	for _, s := range []string{
		"LDAP://dc.partner.test", "ldap://dc.partner.test:389/CN=Configuration,DC=x", "LDAP://CN=Configuration,DC=corp,DC=test", "ldaps://x:636",
		"LDAP:///", "LDAP://a..b", "LDAP://[::1]:389", "LDAP://u@h", "file:///etc/passwd", "https://exch01.corp.test/Autodiscover/Autodiscover.xml", "https://u:p@h/", "https://%zz/",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		host, port, ok := parsePointer(s)
		if ok && (strings.ContainsAny(host+port, "/@[]:= ,\\\x00") || host == "" && port != "") {
			t.Errorf("%q gives host %q, port %q", s, host, port)
		}
		if u, ok := httpsURL(s); ok {
			if !strings.HasPrefix(u, "https://") || strings.ContainsFunc(u, unicode.IsControl) {
				t.Errorf("%q gives %q", s, u)
			}
			if again, ok := httpsURL(u); !ok || again != u {
				t.Errorf("%q gives %q, which gives %q", s, u, again)
			}
		}
	})
}

// FuzzRefusal reads the texts with which Active Directory refuses a sign-in.
func FuzzRefusal(f *testing.F) {
	for _, s := range []string{
		"80090308: LdapErr: DSID-0C090446, comment: AcceptSecurityContext error, data 52e, v4563", "80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data 775, v1db1",
		"data ", "data ffffffffffffffffffff", "data 0x52e", "", "data 525 data 775",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		err := winauth.LDAPRefusal("a@b.test", "dc1.corp.test:636", text)
		var wrong *winauth.WrongPasswordError
		var locked *winauth.LockedError
		var unknown *winauth.UnknownUserError
		if !errors.As(err, &wrong) && !errors.As(err, &locked) && !errors.As(err, &unknown) {
			t.Errorf("%q gives %v", text, err)
		}
		if strings.ContainsFunc(err.Error(), unicode.IsControl) || len(err.Error()) > 2000 {
			t.Errorf("%q gives %q", text, err)
		}
	})
}

// canned is a server that says what it says, once it was asked.
type canned struct {
	net.Conn // for the addresses, which nobody asks for
	answer   io.Reader
	asked    chan struct{}
}

func (c *canned) Read(b []byte) (int, error) {
	<-c.asked
	return c.answer.Read(b)
}

func (c *canned) Write(b []byte) (int, error) {
	select {
	case <-c.asked:
	default:
		close(c.asked)
	}
	return len(b), nil
}
func (c *canned) Close() error {
	_, _ = c.Write(nil)
	return nil
}
func (c *canned) SetDeadline(time.Time) error { return nil }

// FuzzAnswers gives the client any bytes as the answer to a search.
func FuzzAnswers(f *testing.F) {
	f.Add([]byte("\x30\x3c\x02\x01\x01\x64\x37\x04\x0bCN=a,DC=b.c\x30\x28\x30\x13\x04\x0bdisplayName\x31\x04\x04\x02\x1b[" +
		"\x30\x11\x04\x04mail\x31\x09\x04\x07a@b.com") /* an entry */)
	f.Add([]byte("\x30\x0c\x02\x01\x01\x65\x07\x0a\x01\x00\x04\x00\x04\x00"))
	f.Add([]byte("\x30\x13\x02\x01\x01\x73\x0e\x04\x0cldap://x.y/z\x30\x0c\x02\x01\x01\x65\x07\x0a\x01\x0a\x04\x00\x04\x00"))
	f.Add([]byte("\x30\x80\x02\x01\x01\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 64<<10 {
			return
		}
		conn := &canned{answer: bytes.NewReader(data), asked: make(chan struct{})}
		l := &link{wire: newWire(conn), server: "dc1.corp.test:636"}
		l.ldap = ldap.NewConn(l.wire, true)
		l.ldap.Start()
		gone := errors.New("gone")
		c := &Client{link: l, turn: make(chan struct{}, 1), made: true, schema: Yes, groups: []adminGroup{{dn: "CN=g", name: "g"}}, o: Options{
			Servers: []string{"dc1.corp.test"}, Limit: time.Minute, Clock: transport.SystemClock(),
			Account: winauth.NewAccount(winauth.AccountOptions{Name: "a@b.test", Password: connections.NewSecret("x")}),
			Trust:   winauth.NewTrust(winauth.TrustOptions{}),
			Dial:    func(context.Context, string, string) (net.Conn, error) { return nil, gone },
		}}
		people, err := c.Administrators(context.Background(), Query{})
		for _, p := range people.List {
			for _, s := range []string{p.DisplayName, p.UPN, p.SAM, p.DN, p.Mail} {
				if strings.ContainsFunc(s, unicode.IsControl) {
					t.Errorf("%q is shown", s)
				}
			}
		}
		if err != nil && strings.ContainsFunc(err.Error(), unicode.IsControl) {
			t.Errorf("%q is shown", err)
		}
		_ = c.Close()
	})
}
