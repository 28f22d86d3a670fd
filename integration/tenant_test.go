//go:build integration

package integration

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// tenant is a simulated tenant and the world of programs that use it: the
// variables of `c2conn-sim run`, less the place for the key, which every case
// chooses itself.
type tenant struct {
	world
	*server
}

// newTenant starts a tenant that lives until the case ends.
func newTenant(t *testing.T, w world, faults ...string) tenant {
	t.Helper()
	var args []string
	for _, f := range faults {
		args = append(args, "--fault", f)
	}
	list := filepath.Join(w.dir(), "tenant.env")
	args = append([]string{"run"}, args...)
	// It lives as long as the command that it runs: until its input is closed.
	s := w.with("C2CONN_HOME", "").serve(t, "c2conn-sim", append(args, "--", "sh", "-c", `env >"$0"; echo ready; exec cat >/dev/null`, list)...)
	line, err := bufio.NewReader(s.out).ReadString('\n')
	if err != nil || line != "ready\n" {
		s.stop()
		t.Fatalf("the tenant did not start: %q %v\n%s", line, err, s.said.String())
	}
	inside := tenant{world: w.with(), server: s}
	for entry := range strings.Lines(read(t, list)) {
		if name, value, ok := strings.Cut(strings.TrimSuffix(entry, "\n"), "="); ok && (strings.HasPrefix(name, "SIM_") || name == "C2CONN_CLOUD") {
			inside.world[name] = value
		}
	}
	if inside.world["SIM_CLOUD_FILE"] == "" {
		t.Fatal("the tenant does not say where its cloud definition is")
	}
	t.Cleanup(func() {
		_ = s.input.Close() // the polite end
		select {
		case <-s.done:
		case <-time.After(10 * time.Second):
			s.stop()
		}
		if s.err != nil {
			t.Errorf("the tenant ended badly: %v\n%s", s.err, s.said.String())
		}
		if exists(inside.world["SIM_CLOUD_FILE"]) {
			t.Errorf("the tenant left its files behind in %s", filepath.Dir(inside.world["SIM_CLOUD_FILE"]))
		}
	})
	return inside
}

// in is the tenant seen from another world.
func (n tenant) in(w world) tenant {
	out := tenant{world: w.with(), server: n.server}
	for name, value := range n.world {
		if strings.HasPrefix(name, "SIM_") || name == "C2CONN_CLOUD" {
			out.world[name] = value
		}
	}
	return out
}

// fresh is the same world with a new, empty home that knows the tenant's cloud.
func (n tenant) fresh(t *testing.T, name string) tenant {
	t.Helper()
	out := tenant{world: n.with("C2CONN_HOME", filepath.Join(n.dir(), name)), server: n.server}
	out.join(t)
	return out
}

// join makes the tenant's cloud known in C2CONN_HOME, as an administrator would.
func (n tenant) join(t *testing.T) {
	t.Helper()
	want(t, n.run(t, "c2conn", "cloud", "add", n.world["SIM_CLOUD_FILE"]), 0, "Added cloud sim")
}

// connect is the command line of `new exchange` but for the credential.
func (n tenant) connect(name string, more ...string) []string {
	return append([]string{"new", "exchange", "--manual", "--client-id", n.world["SIM_CLIENT_ID"], "--tenant-id", n.world["SIM_TENANT_ID"],
		"--mailbox", n.world["SIM_MAILBOX"], "--name", name}, more...)
}

func (n tenant) certificate() []string {
	return []string{"--cert-file", n.world["SIM_CERT_FILE"], "--cert-password-file", n.world["SIM_CERT_PASSWORD_FILE"]}
}

func (n tenant) clientSecret() []string {
	return []string{"--client-secret-file", n.world["SIM_CLIENT_SECRET_FILE"]}
}

// inClear are texts that no file of the store and no output may hold.
func (n tenant) inClear(t *testing.T) map[string]string {
	t.Helper()
	return map[string]string{
		"a private key":            "PRIVATE KEY-----",
		"the key to the secrets":   "AGE-SECRET-KEY",
		"the client secret":        strings.TrimSpace(read(t, n.world["SIM_CLIENT_SECRET_FILE"])),
		"the certificate password": strings.TrimSpace(read(t, n.world["SIM_CERT_PASSWORD_FILE"])),
	}
}

// keepsSecrets fails the case if a file below the folders holds a secret in
// clear, or may be read by others.
func (n tenant) keepsSecrets(t *testing.T, dirs ...string) {
	t.Helper()
	secrets := n.inClear(t)
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			text := read(t, path)
			for what, secret := range secrets {
				if strings.Contains(text, secret) {
					t.Errorf("%s is in clear in %s", what, path)
				}
			}
			if info, err := entry.Info(); err == nil && info.Mode().Perm()&0o077 != 0 && strings.HasPrefix(path, n.home()) {
				t.Errorf("%s can be read by others (%s)", path, info.Mode())
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
