package wizard

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/internal/winauth"
)

// Scenes of connections to an Exchange Server on the premises.

func serverResults() []task.Result {
	return []task.Result{
		pass("autodiscover", "Autodiscover", "found exch01.contoso.com"),
		pass("server", "Exchange Server", "Exchange Server SE, build 15.2.2562.17"),
		pass("impersonation", "Impersonation", "acted for alice@contoso.com"),
		pass("mailboxes", "Mailboxes", "412 found"),
	}
}

// deniedResults are those of an account that may not impersonate.
func deniedResults() []task.Result {
	list := serverResults()
	err := &advice.NoImpersonationError{Account: "exadmin@contoso.com", Delegating: true, MayGrant: true}
	facts := advice.Facts{Account: "exadmin@contoso.com", OnPremises: true, Kind: connections.Exchange}
	list[2] = task.Result{ID: "impersonation", Title: "Impersonation", Status: task.Fail, Finding: advice.Short(err, facts), Err: err, Advice: advice.For(err, facts)}
	return list
}

func untrusted() *winauth.UntrustedError {
	return &winauth.UntrustedError{
		Host: "exch01.contoso.com:443", SHA256: "0F1E2D3C4B5A69788796A5B4C3D2E1F00F1E2D3C4B5A69788796A5B4C3D2E1F0", Reason: "it is self-signed",
		Certificate: &x509.Certificate{Subject: pkix.Name{CommonName: "EXCH01"}, Issuer: pkix.Name{CommonName: "EXCH01"}, DNSNames: []string{"EXCH01", "exch01.contoso.com"},
			NotBefore: time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2029, 3, 1, 0, 0, 0, 0, time.UTC)},
	}
}

// atServer is the step Server connection.
func atServer(t *testing.T, results []task.Result) *driver {
	t.Helper()
	return kindDriver(t, Exchange(), results).keys("down", "enter")
}

// atAdmin is the step Admin's credentials of a server that is named.
func atAdmin(t *testing.T, results []task.Result) *driver {
	t.Helper()
	return atServer(t, results).keys("down", "enter").typed("exch01.contoso.com").keys("enter", "enter")
}

// serverAnswered has all answers.
func serverAnswered(t *testing.T, results []task.Result) *driver {
	t.Helper()
	d := atAdmin(t, results).keys("tab").typed("exadmin@contoso.com").keys("enter", "enter").typed("Pa55w0rd!")
	return d.next()
}

// TestTrustIsAskedWithTheCertificate: wherever the question can be answered, the whole
// SHA-256 is on the screen, for a new connection and a saved one, also of certificates with
// much to say.
func TestTrustIsAskedWithTheCertificate(t *testing.T) {
	t.Parallel()
	long := untrusted()
	long.Certificate.Subject = pkix.Name{CommonName: "a-very-long-name-of-a-server.branch-office.contoso.com", Organization: []string{"Contoso Holding and Subsidiaries"}, OrganizationalUnit: []string{"Infrastructure"}}
	long.Certificate.Issuer = long.Certificate.Subject
	long.Certificate.DNSNames = []string{"one.branch-office.contoso.com", "two.branch-office.contoso.com", "three.branch-office.contoso.com", "four.branch-office.contoso.com"}
	for name, start := range map[string]func(*testing.T) *driver{
		"Exchange": func(t *testing.T) *driver { return serverAnswered(t, nil) }, "SharePoint": farmAnswered, "edit": farmEdit,
	} {
		for what, shown := range map[string]*winauth.UntrustedError{"short": untrusted(), "long": long} {
			for _, size := range [][2]int{{80, 24}, {120, 40}, {60, 16}} {
				d := start(t)
				d.size(size[0], size[1])
				if err := d.m.s.askTrust(shown, nil); err == nil {
					t.Fatal("nothing is asked")
				}
				d.run(d.m.mend(Problem{Key: keyTrust, Err: errors.New("nobody has said to trust it")}))
				for _, key := range []string{"", "down"} {
					if key != "" {
						d.keys(key)
					}
					text := strings.Join(strings.Fields(strings.ReplaceAll(cutSidebar(d.text()), "\n", " ")), " ")
					parts := []string{"exch01.contoso.com:443", grouped(shown.SHA256), "Trust this certificate?", ") Yes, it is my server's certificate"}
					if what == "short" {
						parts = append(parts, "Subject CN=EXCH01, issued by CN=EXCH01", "valid 2024-03-01 to 2029-03-01")
					}
					for _, part := range parts {
						if !strings.Contains(text, part) {
							t.Errorf("%s, %s, %v, %q: %q is not on the screen:\n%s", name, what, size, key, part, d.text())
						}
					}
				}
			}
		}
	}
}

// cutSidebar is a screen without the steps at its left.
func cutSidebar(screen string) string {
	lines := strings.Split(screen, "\n")
	for i, line := range lines {
		if r := []rune(line); len(r) > sidebarWidth && strings.ContainsAny(string(r[:3]), "●○✓! ") && strings.TrimSpace(string(r[sidebarWidth-2:sidebarWidth+1])) == "" {
			lines[i] = string(r[sidebarWidth:])
		}
	}
	return strings.Join(lines, "\n")
}

// strangeServer meets a certificate that nobody knows, and goes back to the question.
func strangeServer(t *testing.T) *driver {
	t.Helper()
	d := serverAnswered(t, serverResults())
	configure := d.m.configure
	d.m.configure = func(ctx context.Context, s *Session, listen func(task.Event)) (*Outcome, error) {
		if s.Answers.Get(keyTrust) == yes {
			return configure(ctx, s, listen)
		}
		return nil, s.askTrust(untrusted(), nil)
	}
	return d.keys("enter")
}

var serverScenes = []scene{
	{"server-autodiscover", func(t *testing.T) *driver { return atServer(t, nil) }},
	{"server-manual", func(t *testing.T) *driver {
		return atServer(t, nil).keys("down", "enter").typed("exch01.contoso.com").keys("enter")
	}},
	{"server-ip-address", func(t *testing.T) *driver {
		return atServer(t, nil).keys("down", "enter").typed("10.0.0.20").keys("enter")
	}},
	{"server-short-name", func(t *testing.T) *driver {
		return atServer(t, nil).keys("down", "enter").typed("exch01").keys("enter")
	}},
	{"server-admin", func(t *testing.T) *driver { return atAdmin(t, nil) }},
	{"server-admin-password", func(t *testing.T) *driver {
		return atAdmin(t, nil).keys("tab").typed("exadmin@contoso.com").keys("enter", "enter").typed("Pa55w0rd!")
	}},
	{"server-admin-tickets", func(t *testing.T) *driver {
		return atAdmin(t, nil).keys("tab").typed("exadmin@contoso.com").keys("enter", "down", "enter")
	}},
	{"server-configuration", func(t *testing.T) *driver { return serverAnswered(t, serverResults()) }},
	{"server-passed", func(t *testing.T) *driver { return serverAnswered(t, serverResults()).keys("enter") }},
	{"server-denied", func(t *testing.T) *driver { return serverAnswered(t, deniedResults()).keys("enter") }},
	{"server-denied-advice", func(t *testing.T) *driver { return serverAnswered(t, deniedResults()).keys("enter", "d") }},
	{"server-strange", strangeServer},
	{"server-trust", func(t *testing.T) *driver { return strangeServer(t).keys("b") }},
	{"server-trusted", func(t *testing.T) *driver {
		return strangeServer(t).keys("b", "down", "space").next().next().keys("enter")
	}},
}

// The same in plain words.
func TestPlainServer(t *testing.T) {
	t.Parallel()
	plainKind(t, "server", Exchange(), deniedResults(),
		"2", "2", "exch01", "exch01.contoso.com", "", // a server by its name
		"", "exadmin@contoso.com", "", "Pa55w0rd!", "", // by a password
		"", "", "1", "yes")
}
