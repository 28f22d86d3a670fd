//go:build integration

package integration

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// keychainLimit is what a command may take when the keychain never answers:
// the three seconds of docs/store.md and what the command takes anyway.
const keychainLimit = 6 * time.Second

// keyring is what secrets/store.yaml says about the place of the key.
func keyring(t *testing.T, w world, field string) string {
	t.Helper()
	match := regexp.MustCompile(`(?m)^` + field + `: (.*)$`).FindStringSubmatch(read(t, filepath.Join(w.home(), "secrets", "store.yaml")))
	if match == nil {
		return ""
	}
	return match[1]
}

// secretOf is the reference to the secret of a saved connection.
func secretOf(t *testing.T, w world, name string) string {
	t.Helper()
	match := regexp.MustCompile(`(?m)^  secret: (.*)$`).FindStringSubmatch(read(t, filepath.Join(w.home(), "connections", name+".yaml")))
	if match == nil {
		t.Fatalf("connection %s has no secret", name)
	}
	return match[1]
}

// noSecrets fails the case if the store keeps a secret or a key.
func noSecrets(t *testing.T, w world) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(w.home(), "secrets", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range found {
		t.Errorf("%s is there, although nothing can be kept", path)
	}
}

// notAbsent fails the case if a keychain that is there, though locked or stuck,
// is said not to be there: the administrator would not think of unlocking it.
func notAbsent(t *testing.T, r result) {
	t.Helper()
	for _, text := range []string{"has no keychain", "offers no keychain"} {
		if strings.Contains(r.all(), text) {
			t.Errorf("it says that the machine %s, but it is locked or does not answer:\n%s", text, r.errors)
		}
	}
}

func TestKeychain(t *testing.T) {
	check(t, "the key of a new store goes into the keyring, and a second process finds it", func(t *testing.T) {
		d := unlockedDesktop(t)
		want(t, d.run(t, "c2conn", d.connect("it", d.certificate()...)...), 0, "9 of 9 passed")
		want(t, d.run(t, "c2conn", d.connect("other", d.clientSecret()...)...), 0, "verified just now")
		if mode := keyring(t, d.world, "mode"); mode != "keychain" {
			t.Fatalf("the key is kept in %q, want the keychain", mode)
		}
		if key := d.entry(t, keyring(t, d.world, "account")); !strings.HasPrefix(key, "AGE-SECRET-KEY-1") {
			t.Errorf("another program finds no key of ours in the keyring")
		}
		if n := d.entries(t); n != 1 {
			t.Errorf("%d entries of ours in the keyring, want the key alone", n)
		}
		if ref := secretOf(t, d.world, "it"); !strings.HasPrefix(ref, "store:") {
			t.Errorf("the secret is at %s, want our store", ref)
		}
		d.keepsSecrets(t, d.home(), d.world["HOME"])
		want(t, d.run(t, "c2conn", "verify", "it"), 0, "Exchange Web Services pass")
		want(t, d.run(t, "c2conn", "verify", "other"), 0, "Exchange Web Services pass")
	})

	check(t, "the keyring is encrypted, and opens in the next session", func(t *testing.T) {
		d := unlockedDesktop(t)
		want(t, d.run(t, "c2conn", d.connect("it", d.certificate()...)...), 0)
		d.keyring.stop()
		d.bus.stop()
		d.keepsSecrets(t, d.home(), d.world["HOME"])
		d.startBus(t)
		d.unlock(t)
		want(t, d.run(t, "c2conn", "verify", "it"), 0, "Exchange Web Services pass")
	})

	check(t, "four processes that make the first key at once share one", func(t *testing.T) {
		d := unlockedDesktop(t)
		var all sync.WaitGroup
		results := make([]result, 4)
		for i := range results {
			all.Go(func() {
				results[i] = d.run(t, "c2conn", d.connect("it-"+strconv.Itoa(i), d.clientSecret()...)...)
			})
		}
		all.Wait()
		for _, r := range results {
			want(t, r, 0)
		}
		if n := d.entries(t); n != 1 {
			t.Errorf("%d entries of ours in the keyring, want one key", n)
		}
		want(t, d.run(t, "c2conn", "verify", "--all"), 0)
	})

	check(t, "a locked keyring: refused at once, and all is there when it is unlocked", func(t *testing.T) {
		d := unlockedDesktop(t)
		want(t, d.run(t, "c2conn", d.connect("it", d.certificate()...)...), 0)
		before := read(t, filepath.Join(d.home(), "secrets", "store.yaml"))
		// The bus starts the next one by itself, and it does not know the password.
		d.keyring.stop()
		r := d.run(t, "c2conn", "verify", "it")
		within(t, r, keychainLimit)
		want(t, r, 1, "keychain cannot be used", "Unlock it")
		want(t, d.run(t, "c2conn", "list"), 0, "it")
		// Encrypting needs the public half of the key only.
		r = d.run(t, "c2conn", d.connect("more", d.clientSecret()...)...)
		within(t, r, keychainLimit)
		want(t, r, 0)
		if read(t, filepath.Join(d.home(), "secrets", "store.yaml")) != before {
			t.Errorf("the note of where the key is was replaced")
		}
		d.bus.stop() // signing out
		d.startBus(t)
		d.unlock(t)
		want(t, d.run(t, "c2conn", "verify", "it", "more"), 0)
	})

	check(t, "a locked keyring and a new store: the credential is referred to, or a passphrase protects it", func(t *testing.T) {
		d := newDesktop(t, newTenant(t, newWorld(t)))
		d.join(t)
		r := d.run(t, "c2conn", d.connect("it", d.certificate()...)...)
		within(t, r, keychainLimit)
		want(t, r, 0, "the connection refers to file:"+d.world["SIM_CERT_FILE"], "C2CONN_PASSPHRASE")
		notAbsent(t, r)
		noSecrets(t, d.world)
		want(t, d.run(t, "c2conn", "verify", "it"), 0)
		r = d.run(t, "c2conn", "cert", "new")
		within(t, r, keychainLimit)
		want(t, r, 1, "C2CONN_PASSPHRASE")
		notAbsent(t, r)
		noSecrets(t, d.world)
		out := d.with("C2CONN_PASSPHRASE", "a passphrase")
		want(t, out.run(t, "c2conn", d.connect("kept", d.certificate()...)...), 0)
		if mode := keyring(t, d.world, "mode"); mode != "passphrase" {
			t.Errorf("the key is kept in %q, want a passphrase", mode)
		}
		d.keepsSecrets(t, d.home())
	})

	check(t, "a keyring that never answers: ends within seconds and says so", func(t *testing.T) {
		d := unlockedDesktop(t)
		want(t, d.run(t, "c2conn", d.connect("it", d.certificate()...)...), 0)
		d.keyring.signal(t, syscall.SIGSTOP)
		r := d.run(t, "c2conn", "verify", "it")
		within(t, r, keychainLimit)
		want(t, r, 1, "keychain gave no answer within 3s")
		empty := d.fresh(t, "empty")
		r = empty.run(t, "c2conn", empty.connect("it", empty.certificate()...)...)
		within(t, r, keychainLimit)
		want(t, r, 0, "the connection refers to file:")
		notAbsent(t, r)
		noSecrets(t, empty.world)
		d.keyring.signal(t, syscall.SIGCONT)
		want(t, d.run(t, "c2conn", "verify", "it"), 0)
		if n := d.entries(t); n != 1 {
			t.Errorf("%d entries of ours in the keyring, want the key alone", n)
		}
	})

	check(t, "a bus that accepts and says nothing: ends within seconds and says so", func(t *testing.T) {
		n := newTenant(t, newWorld(t))
		n = n.in(n.with("DBUS_SESSION_BUS_ADDRESS", silentBus(t, n.world)))
		n.join(t)
		r := n.run(t, "c2conn", "cert", "new")
		within(t, r, keychainLimit)
		want(t, r, 1, "C2CONN_PASSPHRASE")
		r = n.run(t, "c2conn", n.connect("it", n.certificate()...)...)
		within(t, r, keychainLimit)
		want(t, r, 0, "the connection refers to file:")
		noSecrets(t, n.world)
	})

	check(t, "a session that ended between two runs: refused at once, and all is there in the next", func(t *testing.T) {
		d := unlockedDesktop(t)
		want(t, d.run(t, "c2conn", d.connect("it", d.certificate()...)...), 0)
		d.keyring.cmd.Process.Kill() //nolint:errcheck // gone already is as good
		d.bus.stop()
		r := d.run(t, "c2conn", "verify", "it")
		within(t, r, keychainLimit)
		want(t, r, 1, "keychain cannot be used")
		r = d.with("DBUS_SESSION_BUS_ADDRESS", "").run(t, "c2conn", "verify", "it")
		within(t, r, 2*time.Second)
		want(t, r, 1, "DBUS_SESSION_BUS_ADDRESS is not set")
		d.startBus(t)
		d.unlock(t)
		want(t, d.run(t, "c2conn", "verify", "it"), 0)
	})

	check(t, "an entry that somebody deleted: the key is said to be gone, nothing is overwritten", func(t *testing.T) {
		d := unlockedDesktop(t)
		want(t, d.run(t, "c2conn", d.connect("it", d.certificate()...)...), 0)
		account := keyring(t, d.world, "account")
		want(t, d.run(t, "secret-tool", "clear", "service", "c2conn", "username", account), 0)
		want(t, d.run(t, "c2conn", "verify", "it"), 1, "key to the saved secrets is gone")
		if keyring(t, d.world, "account") != account {
			t.Errorf("the note of where the key was is lost")
		}
		if n := d.entries(t); n != 0 {
			t.Errorf("%d entries of ours in the keyring, want none", n)
		}
	})
}

func TestNoKeychain(t *testing.T) {
	check(t, "no session: the credential is referred to, and no bus is started", func(t *testing.T) {
		n, called := bareTenant(t)
		r := n.run(t, "c2conn", n.connect("it", n.certificate()...)...)
		want(t, r, 0, "the connection refers to file:"+n.world["SIM_CERT_FILE"], "C2CONN_PASSPHRASE")
		within(t, r, 2*time.Second+keychainLimit/2)
		r = n.run(t, "c2conn", n.connect("other", n.clientSecret()...)...)
		want(t, r, 0, "the connection refers to file:"+n.world["SIM_CLIENT_SECRET_FILE"])
		if ref := secretOf(t, n.world, "other"); ref != "file:"+n.world["SIM_CLIENT_SECRET_FILE"] {
			t.Errorf("the secret is at %s", ref)
		}
		noSecrets(t, n.world)
		n.keepsSecrets(t, n.home())
		want(t, n.run(t, "c2conn", "verify", "--all"), 0)
		if exists(called) {
			t.Errorf("a session bus was launched: %s", read(t, called))
		}
	})

	check(t, "no session and a secret that cannot be referred to: refused, nothing saved", func(t *testing.T) {
		n, called := bareTenant(t)
		secret := read(t, n.world["SIM_CLIENT_SECRET_FILE"])
		r := n.feed(t, secret, "c2conn", n.connect("it", "--client-secret-stdin")...)
		want(t, r, 1, "C2CONN_PASSPHRASE")
		want(t, n.run(t, "c2conn", "list", "--output", "name"), 0)
		if exists(filepath.Join(n.home(), "connections", "it.yaml")) {
			t.Errorf("the connection was saved without its secret")
		}
		want(t, n.run(t, "c2conn", "cert", "new"), 1, "C2CONN_PASSPHRASE")
		noSecrets(t, n.world)
		if exists(called) {
			t.Errorf("a session bus was launched: %s", read(t, called))
		}
	})

	check(t, "no session and a passphrase: encrypted with it; a wrong or missing one is told", func(t *testing.T) {
		n, called := bareTenant(t)
		open := n.in(n.with("C2CONN_PASSPHRASE", "a passphrase"))
		want(t, open.run(t, "c2conn", n.connect("it", n.certificate()...)...), 0, "9 of 9 passed")
		if mode := keyring(t, n.world, "mode"); mode != "passphrase" {
			t.Errorf("the key is kept in %q, want a passphrase", mode)
		}
		n.keepsSecrets(t, n.home())
		want(t, open.run(t, "c2conn", "verify", "it"), 0)
		if r := n.with("C2CONN_PASSPHRASE", "another").run(t, "c2conn", "verify", "it"); r.code == 0 || !strings.Contains(r.all(), "passphrase is wrong") {
			t.Errorf("a wrong passphrase: exit code %d\n%s", r.code, r.errors)
		}
		if r := n.run(t, "c2conn", "verify", "it"); r.code == 0 || !strings.Contains(r.all(), "C2CONN_PASSPHRASE") {
			t.Errorf("no passphrase: exit code %d\n%s", r.code, r.errors)
		}
		want(t, open.run(t, "c2conn", "verify", "it"), 0)
		if exists(called) {
			t.Errorf("a session bus was launched: %s", read(t, called))
		}
	})

	check(t, "an identity file: made for its owner only, and nothing else is asked", func(t *testing.T) {
		n, _ := bareTenant(t)
		file := filepath.Join(n.dir(), "identity.txt")
		n = n.in(n.with("C2CONN_IDENTITY_FILE", file))
		want(t, n.run(t, "c2conn", n.connect("it", n.clientSecret()...)...), 0)
		info, err := os.Stat(file)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Fatalf("identity file: %v %v", info, err)
		}
		n.keepsSecrets(t, n.home())
		want(t, n.run(t, "c2conn", "verify", "it"), 0)
	})
}

// unlockedDesktop is a tenant known to an empty store in a session with an
// unlocked keyring.
func unlockedDesktop(t *testing.T) *desktop {
	t.Helper()
	d := newDesktop(t, newTenant(t, newWorld(t)))
	d.unlock(t)
	d.join(t)
	return d
}

// bareTenant is a tenant known to an empty store where there is no session.
// The file appears if somebody launches a session bus.
func bareTenant(t *testing.T) (tenant, string) {
	t.Helper()
	w := newWorld(t)
	called := filepath.Join(w.dir(), "launched")
	programs := filepath.Join(w.dir(), "programs")
	if err := os.Mkdir(programs, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"dbus-launch", "dbus-daemon", "gnome-keyring-daemon"} {
		write(t, filepath.Join(programs, name), "#!/bin/sh\necho \"$0 $*\" >>'"+called+"'\nexit 1\n", 0o700)
	}
	n := newTenant(t, w.with("PATH", programs+":"+w["PATH"]))
	n.join(t)
	return n, called
}
