//go:build integration

package integration

import (
	"bufio"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// publicAddress is loopback, and not the address that something else on this
// machine may listen at.
const publicAddress = "127.0.0.43"

// publicTenant is a tenant that answers at public host names, and a world that
// knows it by a hosts file with these names and a certificate authority alone.
func publicTenant(t *testing.T, names ...string) (tenant, string) {
	t.Helper()
	return faultyPublicTenant(t, nil, names...)
}

// faultyPublicTenant is the same with faults switched on.
func faultyPublicTenant(t *testing.T, faults []string, names ...string) (tenant, string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("a hosts file of its own needs root")
	}
	w := newWorld(t)
	log := filepath.Join(w.dir(), "requests.jsonl")
	args := []string{"serve", "--listen", publicAddress + ":443", "--dir", filepath.Join(w.dir(), "tenant"), "--log", log}
	for _, f := range faults {
		args = append(args, "--fault", f)
	}
	s := w.with("C2CONN_HOME", "").serve(t, "c2conn-sim", args...)
	n := tenant{world: w.with(), server: s}
	hosts, answered := "127.0.0.1 localhost\n", 0
	lines := bufio.NewScanner(s.out)
	for lines.Scan() {
		line := lines.Text()
		if name, value, ok := strings.Cut(strings.TrimPrefix(line, "export "), "="); ok && strings.HasPrefix(line, "export SIM_") {
			n.world[name] = strings.Trim(value, "'")
		}
		// Only these, so that a word with a host of another cloud fails.
		if _, name, _ := strings.Cut(line, " "); strings.HasPrefix(line, publicAddress+" ") && slices.Contains(names, name) {
			hosts += line + "\n"
			answered++
		}
		if strings.HasPrefix(line, "Other applications") {
			break
		}
	}
	if n.world["SIM_CLIENT_ID"] == "" || answered != len(names) {
		s.stop()
		t.Fatalf("the tenant did not say how to reach it, or not at %v: %v\n%s", names, lines.Err(), s.said.String())
	}
	write(t, filepath.Join(w.dir(), "hosts"), hosts, 0o644)
	return n, log
}

// redirected runs a program in a mount namespace with the hosts file.
func (n tenant) redirected(t *testing.T, program string, args ...string) result {
	t.Helper()
	if own := filepath.Join(suite.bin, program); exists(own) {
		program = own
	}
	script := `mount --bind "$0" /etc/hosts && exec "$@"`
	outer := append([]string{"--mount", "--propagation", "private", "--", "sh", "-c", script, filepath.Join(n.dir(), "hosts"), program}, args...)
	return n.run(t, "unshare", outer...)
}

func TestPublicHosts(t *testing.T) {
	for _, c := range []struct{ cloud, login, graph, outlook string }{
		{"global", "login.microsoftonline.com", "graph.microsoft.com", "outlook.office365.com"},
		{"usgov", "login.microsoftonline.us", "graph.microsoft.us", "outlook.office365.us"},
		{"dod", "login.microsoftonline.us", "dod-graph.microsoft.us", "outlook-dod.office365.us"},
		{"china", "login.partner.microsoftonline.cn", "microsoftgraph.chinacloudapi.cn", "partner.outlook.cn"},
	} {
		check(t, "the same binary, knowing nothing of the simulation: "+c.cloud, func(t *testing.T) {
			n, log := publicTenant(t, c.login, c.graph, c.outlook)
			n.world["SSL_CERT_FILE"] = n.world["SIM_CA_FILE"]
			n.world["C2CONN_IDENTITY_FILE"] = filepath.Join(n.dir(), "identity.txt")
			want(t, n.redirected(t, "c2conn", n.connect("it", append(n.certificate(), "--cloud", c.cloud)...)...), 0, "9 of 9 passed", "https://"+c.outlook+"/EWS/Exchange.asmx")
			want(t, n.redirected(t, "c2conn", "verify", "it", "--output", "json"), 0, `"verified": true`, `"cloud": "`+c.cloud+`"`)
			if exists(filepath.Join(n.home(), "clouds")) {
				t.Errorf("a cloud was defined, although none is needed")
			}
			// Two discoveries and two tokens, and in each run four questions to Graph and one to Exchange.
			if got := requests(t, log); got < 10 {
				t.Errorf("the tenant was asked %d times only", got)
			}
		})
	}

	check(t, "without the CA: every request is refused by c2conn, and the advice names the certificate", func(t *testing.T) {
		n, log := publicTenant(t, "login.microsoftonline.com", "graph.microsoft.com", "outlook.office365.com")
		n.world["SSL_CERT_FILE"] = ""
		n.world["C2CONN_IDENTITY_FILE"] = filepath.Join(n.dir(), "identity.txt")
		r := n.redirected(t, "c2conn", n.connect("it", append(n.certificate(), "--cloud", "global")...)...)
		if r.code == 0 || !strings.Contains(r.all(), "SSL_CERT_FILE") {
			t.Errorf("exit code %d\n%s\n%s", r.code, r.out, r.errors)
		}
		if exists(filepath.Join(n.home(), "connections", "it.yaml")) {
			t.Errorf("it was saved")
		}
		if got := requests(t, log); got != 0 {
			t.Errorf("%d requests were sent to a server that nobody vouches for", got)
		}
	})
}

// requests counts what the tenant was asked.
func requests(t *testing.T, log string) int {
	t.Helper()
	return strings.Count(read(t, log), "\n")
}
