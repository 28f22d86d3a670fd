//go:build integration

package integration

import (
	"bytes"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// signInPage starts a command that needs an administrator, with a $BROWSER that
// notes the address, and returns the command and the address.
func signInPage(t *testing.T, n tenant) (*server, string) {
	t.Helper()
	script, address := filepath.Join(n.dir(), "the browser"), filepath.Join(n.dir(), "address")
	write(t, script, "#!/bin/sh\necho noise; echo noise >&2\nprintf %s \"$1\" >\"$0.part\" && mv \"$0.part\" '"+address+"'\n", 0o700)
	s := n.with("BROWSER", script).serve(t, "c2conn", "app", "list", "--login", "browser", "--tenant-id", n.world["SIM_TENANT_ID"])
	eventually(t, "the browser", func() bool { return exists(address) })
	return s, read(t, address)
}

// redirect is where the page answers to.
var redirect = regexp.MustCompile(`redirect_uri=http%3A%2F%2Flocalhost%3A(\d+)`)

func portOf(t *testing.T, address string) string {
	t.Helper()
	m := redirect.FindStringSubmatch(address)
	if m == nil {
		t.Fatalf("no redirect address in %s", address)
	}
	return m[1]
}

// closed waits until nobody listens on a port any more.
func closed(t *testing.T, port string) {
	t.Helper()
	for _, host := range []string{"127.0.0.1", "::1"} {
		eventually(t, "the port to be free", func() bool {
			c, err := net.DialTimeout("tcp", net.JoinHostPort(host, port), time.Second)
			if err == nil {
				_ = c.Close()
			}
			return err != nil
		})
	}
}

// ended waits for the program's end and returns its exit code.
func ended(t *testing.T, s *server) int {
	t.Helper()
	select {
	case <-s.done:
	case <-time.After(20 * time.Second):
		t.Fatalf("it goes on: %s", s.said.String())
	}
	return s.cmd.ProcessState.ExitCode()
}

func TestBrowser(t *testing.T) {
	check(t, "signs in on the real pages and ends on a friendly one", func(t *testing.T) {
		n := newTenant(t, newWorld(t)).fresh(t, "state")
		s, address := signInPage(t, n)
		b := n.browse(t)
		here := "http://localhost:" + portOf(t, address)
		b.open(here) // somebody looks what is there
		if text := b.text(here); !strings.Contains(text, "Waiting for the sign-in") {
			t.Errorf("before the answer: %s", text)
		}
		b.open(address)
		b.on("account", `document.querySelector("#login").value = "admin@contoso.com"; document.querySelector("#next").click()`)
		b.on("password", `document.querySelector("#password").value = "Simulated-Passw0rd!"; document.querySelector("#next").click()`)
		eventually(t, "the answer", func() bool {
			return strings.Contains(b.run(`location.href.startsWith("`+here+`") ? document.title : ""`), "Signed in")
		})
		text := b.text(here)
		for _, part := range []string{"Signed in – c2conn", "✓ Signed in", "You can close this window and go back to c2conn.", "admin@contoso.com", n.world["SIM_TENANT_ID"]} {
			if !strings.Contains(text, part) {
				t.Errorf("the page does not say %q:\n%s", part, text)
			}
		}
		light := b.shoot("light", filepath.Join(n.dir(), "signed-in-light.png"))
		dark := b.shoot("dark", filepath.Join(n.dir(), "signed-in-dark.png"))
		if bytes.Equal(light, dark) || len(light) < 5000 {
			t.Errorf("pictures of %d and %d bytes", len(light), len(dark))
		}
		if c := b.complaints(here); len(c) > 0 {
			t.Errorf("the browser complains: %s", c)
		}
		if code := ended(t, s); code != 0 {
			t.Errorf("exit code %d\n%s", code, s.said.String())
		}
		if said := s.said.String(); strings.Contains(said, "noise") {
			t.Errorf("the opener writes to the terminal:\n%s", said)
		}
		closed(t, portOf(t, address))
	})
	check(t, "says so in the browser when somebody presses Cancel", func(t *testing.T) {
		n := newTenant(t, newWorld(t)).fresh(t, "state")
		s, address := signInPage(t, n)
		b := n.browse(t)
		b.open(address)
		b.on("account", `document.querySelector("#cancel").click()`)
		here := "http://localhost:" + portOf(t, address)
		if text := b.text(here); !strings.Contains(text, "✗ Sign-in cancelled") || !strings.Contains(text, "AADSTS65004") || !strings.Contains(text, "Nothing was changed in the tenant.") {
			t.Errorf("the page says:\n%s", text)
		}
		b.shoot("light", filepath.Join(n.dir(), "cancelled.png"))
		if code := ended(t, s); code == 0 {
			t.Errorf("exit code %d\n%s", code, s.said.String())
		}
		closed(t, portOf(t, address))
	})
	check(t, "frees the port at once on Ctrl-C", func(t *testing.T) {
		n := newTenant(t, newWorld(t)).fresh(t, "state")
		s, address := signInPage(t, n)
		began := time.Now()
		s.signal(t, syscall.SIGINT)
		if code := ended(t, s); code != 130 || time.Since(began) > 2*time.Second {
			t.Errorf("exit code %d after %v\n%s", code, time.Since(began), s.said.String())
		}
		closed(t, portOf(t, address))
	})
}
