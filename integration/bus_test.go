//go:build integration

package integration

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
)

const (
	secretService = "org.freedesktop.secrets"
	keyringWord   = "correct horse"
)

// desktop is a session bus of its own and, when it runs, a GNOME keyring on it.
type desktop struct {
	tenant
	bus     *server
	keyring *server
}

// newDesktop starts a session bus; no keyring runs on it yet, but as on a real
// desktop the bus would start one, locked, for the first that asks.
func newDesktop(t *testing.T, n tenant) *desktop {
	t.Helper()
	socket := filepath.Join(n.world["XDG_RUNTIME_DIR"], "bus")
	d := &desktop{tenant: n.in(n.with("DBUS_SESSION_BUS_ADDRESS", "unix:path="+socket))}
	d.startBus(t)
	return d
}

func (d *desktop) startBus(t *testing.T) {
	t.Helper()
	address := d.world["DBUS_SESSION_BUS_ADDRESS"]
	d.bus = d.serve(t, "dbus-daemon", "--session", "--nofork", "--nopidfile", "--nosyslog", "--address="+address)
	eventually(t, "the session bus", func() bool {
		c, err := net.Dial("unix", strings.TrimPrefix(address, "unix:path="))
		if err != nil {
			return false
		}
		_ = c.Close()
		return true
	})
}

// unlock starts the keyring as signing in to a desktop does: with the password,
// before anybody asks it for a secret.
func (d *desktop) unlock(t *testing.T) {
	t.Helper()
	d.keyring = d.serve(t, "gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets")
	if _, err := d.keyring.input.Write([]byte(keyringWord + "\n")); err != nil {
		t.Fatal(err)
	}
	if err := d.keyring.input.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the keyring on the bus", func() bool { return d.owned(t) })
}

// owned tells whether a keyring answers on the bus; unlike any other question,
// this one does not make the bus start one.
func (d *desktop) owned(t *testing.T) bool {
	t.Helper()
	r := d.run(t, "dbus-send", "--session", "--print-reply=literal", "--dest=org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus.NameHasOwner", "string:"+secretService)
	return r.code == 0 && strings.Contains(r.out, "true")
}

// entry is what the keyring holds under a name of ours, asked by another program.
func (d *desktop) entry(t *testing.T, account string) string {
	t.Helper()
	r := d.run(t, "secret-tool", "lookup", "service", "c2conn", "username", account)
	return strings.TrimSpace(r.out)
}

// entries counts what we have in the keyring.
func (d *desktop) entries(t *testing.T) int {
	t.Helper()
	r := d.run(t, "secret-tool", "search", "--all", "service", "c2conn")
	return strings.Count(r.out+r.errors, "attribute.username")
}

// silentBus accepts every connection and never says a word.
func silentBus(t *testing.T, w world) string {
	t.Helper()
	path := filepath.Join(w["XDG_RUNTIME_DIR"], "silent")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var all []net.Conn
		for {
			c, err := listener.Accept()
			if err != nil {
				break
			}
			all = append(all, c)
		}
		for _, c := range all {
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	return "unix:path=" + path
}
