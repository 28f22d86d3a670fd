package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/internal/sim/onprem"
)

// network is c2conn in a simulated company network.
type network struct {
	*tenant
	world *onprem.World
}

const (
	exchangeAdmin = "exadmin@corp.test"
	adminPassword = "Ex4dmin!Pass"
)

func newNetwork(t *testing.T, o onprem.Options) *network {
	t.Helper()
	dir := t.TempDir()
	clock := &quickClock{}
	o.Now, o.Sleep = clock.Now, clock.Sleep
	w, err := onprem.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	x := &tenant{t: t, clock: clock, env: map[string]string{"C2CONN_HOME": filepath.Join(dir, "home"), "C2CONN_IDENTITY_FILE": filepath.Join(dir, "identity")}}
	for _, pair := range w.Env() {
		name, value, _ := strings.Cut(pair, "=")
		x.env[name] = value
	}
	n := &network{tenant: x, world: w}
	x.env["PASS"] = n.file("pass", adminPassword+"\n")
	x.env["WRONG"] = n.file("wrong", "not "+adminPassword+"\n")
	return n
}

func (n *network) file(name, text string) string {
	n.t.Helper()
	path := filepath.Join(n.t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		n.t.Fatal(err)
	}
	return path
}

// named are the flags of a connection to the server by its name.
func (n *network) named(more ...string) []string {
	return append([]string{"new", "exchange", "--on-premises", "--server", "exch01.corp.test", "--admin-upn", exchangeAdmin, "--password-file", n.env["PASS"],
		"--certificate-sha256", n.world.Fingerprint(), "--name", "it"}, more...)
}

// discovered are the flags of one that Autodiscover finds.
func (n *network) discovered(more ...string) []string {
	return append([]string{"new", "exchange", "--on-premises", "--autodiscover", "--admin-upn", exchangeAdmin, "--password-file", n.env["PASS"], "--trust-certificate", "--name", "it"}, more...)
}

// must runs a command that has to end with the code, and hands out what it printed.
func (n *network) must(code int, args ...string) (stdout, stderr string) {
	n.t.Helper()
	got, stdout, stderr := n.run(n.t.Context(), args...)
	if got != code {
		n.t.Fatalf("%s: exit code %d, want %d\n%s%s", strings.Join(args, " "), got, code, stdout, stderr)
	}
	if strings.Contains(stdout+stderr, adminPassword) {
		n.t.Fatalf("the password is printed:\n%s%s", stdout, stderr)
	}
	if open := n.world.Shells().Open(); len(open) > 0 {
		n.t.Errorf("%d remote PowerShell sessions left open", len(open))
	}
	return stdout, stderr
}

func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	flat := strings.Join(strings.Fields(text), " ")
	for _, p := range parts {
		if !strings.Contains(flat, p) {
			t.Errorf("%q is missing in:\n%s", p, text)
		}
	}
}

// TestOnPremisesByName: an untrusted certificate, a missing right, and then a saved,
// verified connection.
func TestOnPremisesByName(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, onprem.Options{})
	_, stderr := n.must(2, "new", "exchange", "--on-premises", "--server", "exch01.corp.test", "--admin-upn", exchangeAdmin, "--password-file", n.env["PASS"], "--name", "it")
	contains(t, stderr, "--certificate-sha256", "--trust-certificate", n.world.Fingerprint()[:8], "self-signed")
	if got := n.world.FailedSignIns() + len(n.world.Requests("")); got != 0 {
		t.Errorf("%d requests before the certificate was trusted", got)
	}
	_, stderr = n.must(5, n.named()...)
	contains(t, stderr, "may not act for other mailboxes", "delegating assignment only", "--grant-impersonation", "Nothing was saved")
	stdout, _ := n.must(0, n.named("--grant-impersonation", "--output", "json")...)
	var a answer
	if err := json.Unmarshal([]byte(stdout), &a); err != nil || !a.Verified || !a.Saved || len(a.Checks) != 3 {
		t.Fatalf("%v\n%s", err, stdout)
	}
	contains(t, stdout, `"server": "exch01.corp.test"`, `"exch01.corp.test:443": "`+n.world.Fingerprint()+`"`, `"location": "on-premises"`, "c2conn impersonation exadmin@corp.test", "--grant-impersonation")
	n.must(0, "verify", "it")
	if n.world.FailedSignIns() != 0 {
		t.Errorf("%d failed sign-ins", n.world.FailedSignIns())
	}
	// The command of the answer makes the same connection again.
	var doc struct{ Command string }
	if err := json.Unmarshal([]byte(stdout), &doc); err != nil {
		t.Fatal(err)
	}
	args := strings.Fields(strings.TrimPrefix(doc.Command, "c2conn "))
	for i := range args {
		if args[i] == "it" {
			args[i] = "again"
		}
	}
	n.must(0, args...)
}

// TestNamedCertificateAlone: a certificate that is named is the only one that is trusted.
func TestNamedCertificateAlone(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, onprem.Options{})
	other := strings.Repeat("0", 64)
	_, stderr := n.must(3, n.named("--certificate-sha256", other)...)
	contains(t, stderr, n.world.Fingerprint()[:8], "another certificate than the trusted one")
	for _, args := range [][]string{n.named("--certificate-sha256", other, "--trust-certificate"), n.discovered("--certificate-sha256", other)} {
		_, stderr = n.must(2, args...)
		contains(t, stderr, "--certificate-sha256 and --trust-certificate contradict each other; give one")
	}
	n.env["C2CONN_TRUST"] = "yes"
	n.must(3, n.named("--certificate-sha256", other)...)
	if got := n.world.FailedSignIns() + len(n.world.Requests("")); got != 0 {
		t.Errorf("%d requests to a server that is not trusted", got)
	}
	// Autodiscover has no host to pin the sum to, and asks; one server has one certificate.
	discovered := n.discovered()
	discovered = append(slices.DeleteFunc(discovered, func(arg string) bool { return arg == "--trust-certificate" }), "--certificate-sha256", other)
	_, stderr = n.must(2, discovered...)
	if contains(t, stderr, "not the one with the given SHA-256", "Compare the SHA-256 with the server's own"); strings.Contains(stderr, "give both") {
		t.Error(stderr)
	}
}

// TestOnPremisesDiscovered: Autodiscover leads to the server, and tells what it tried.
func TestOnPremisesDiscovered(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, onprem.Options{})
	n.must(2, "new", "exchange", "--on-premises", "--autodiscover", "--admin-upn", exchangeAdmin, "--password-file", n.env["PASS"], "--name", "it")
	stdout, stderr := n.must(0, n.discovered("--grant-impersonation", "--output", "json")...)
	contains(t, stdout, `"autodiscover": "pass"`, `"ews": "https://exch01.corp.test/EWS/Exchange.asmx"`, "_autodiscover._tcp.corp.test", "--trust-certificate")
	contains(t, stderr, "was trusted because it was the first one")
	n.must(0, "verify", "it")
	if n.world.FailedSignIns() != 0 {
		t.Errorf("%d failed sign-ins", n.world.FailedSignIns())
	}
}

// TestWrongPasswordsAreCounted: ten wrong passwords typed are ten failed sign-ins, not
// one more, whatever is tried with each.
func TestWrongPasswordsAreCounted(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"named", "discovered"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			n := newNetwork(t, onprem.Options{Lockout: 11})
			args := n.named("--grant-impersonation")
			if way == "discovered" {
				args = n.discovered("--grant-impersonation")
			}
			for i := range args {
				if args[i] == n.env["PASS"] {
					args[i] = n.env["WRONG"]
				}
			}
			for range 10 {
				_, stderr := n.must(3, args...)
				contains(t, stderr, "The password of exadmin@corp.test is wrong")
				if strings.Contains(stderr, "may be left behind") {
					t.Fatalf("a shell that was never asked for:\n%s", stderr)
				}
			}
			if got := n.world.FailedSignIns(); got != 10 {
				t.Errorf("%d failed sign-ins", got)
			}
			n.must(0, n.named("--grant-impersonation")...) // it is not locked
		})
	}
}

// TestWrongPasswordOfMany: connections that share a password find out once that it is wrong.
func TestWrongPasswordOfMany(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, onprem.Options{})
	path := n.env["PASS"]
	for _, name := range []string{"one", "two", "three"} {
		args := n.named("--grant-impersonation", "--password-ref", "file:"+path, "--name", name)
		args = append(args[:7], args[9:]...) // without --password-file
		n.must(0, args...)
	}
	if err := os.WriteFile(path, []byte("changed meanwhile"), 0o600); err != nil {
		t.Fatal(err)
	}
	n.must(3, "verify", "--all")
	if got := n.world.FailedSignIns(); got != 1 {
		t.Errorf("%d failed sign-ins", got)
	}
}

// TestWrongPasswordOfManyCopies: the same, where each connection keeps its own copy of
// the password, and the account's name is written differently.
func TestWrongPasswordOfManyCopies(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, onprem.Options{})
	for _, name := range []string{"one", "two", "three"} {
		n.must(3, n.named("--password-file", n.env["WRONG"], "--save-unverified", "--name", name)...)
	}
	n.must(3, n.named("--password-file", n.env["WRONG"], "--admin-upn", strings.ToUpper(exchangeAdmin), "--save-unverified", "--name", "four")...)
	before := n.world.FailedSignIns()
	n.must(3, "verify", "--all")
	if got := n.world.FailedSignIns() - before; got != 1 {
		t.Errorf("%d failed sign-ins", got)
	}
}

// TestOnPremisesFaults: what goes wrong is told with a next step, and with the right
// exit code.
func TestOnPremisesFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		fault string
		code  int
		says  []string
	}{
		{"certificate-changed", 3, []string{"another certificate than the trusted one", "certificate-sha256="}},
		{"clock-skew", 3, []string{"clock"}},
		{"remote-powershell-disabled", 5, []string{"RemotePowerShellEnabled $true"}},
		{"ews-403", 5, []string{"EwsEnabled"}},
		{"no-mailboxes-right", 5, []string{"role"}},
	} {
		t.Run(tt.fault, func(t *testing.T) {
			t.Parallel()
			n := newNetwork(t, onprem.Options{})
			n.must(0, n.named("--grant-impersonation")...)
			if err := n.world.SetFault(tt.fault); err != nil {
				t.Fatal(err)
			}
			stdout, stderr := n.must(tt.code, "verify", "it")
			contains(t, stdout+stderr, tt.says...)
			if err := n.world.ClearFault(tt.fault); err != nil {
				t.Fatal(err)
			}
			n.must(0, "verify", "it")
		})
	}
}

// TestGrantedNotYetInForce: a right that was granted and is not heeded yet is told as
// what it is, also later; and whoever stops the wait knows of the assignment.
func TestGrantedNotYetInForce(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, onprem.Options{Faults: []string{"impersonation-delay=80s"}})
	_, stderr := n.must(5, n.named("--grant-impersonation", "--save-unverified", "--timeout", "30s")...)
	contains(t, stderr, "… Impersonation: Granted by the role assignment “c2conn impersonation exadmin@corp.test”", "does not heed it yet")
	stdout, stderr := n.must(5, "verify", "it")
	contains(t, stdout+stderr, "does not heed it yet", "c2conn impersonation exadmin@corp.test")
	n.must(0, "verify", "it", "--grant-impersonation") // waits for the rest
}

// TestHostileNames: what a server calls a role assignment ends in a command to paste.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, onprem.Options{Faults: []string{"powershell-hostile=control"}})
	_, stderr := n.must(0, n.named("--grant-impersonation")...)
	contains(t, stderr, "’’; calc; ’’'")
	if strings.ContainsAny(stderr, "\x1b\x07\x00\u202e") {
		t.Errorf("control characters:\n%q", stderr)
	}
}

// TestExtendedProtection: a proxy in between breaks the binding to the certificate,
// and that is told, not a wrong password.
func TestExtendedProtection(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, onprem.Options{Faults: []string{"ep-require-behind-proxy"}})
	_, stderr := n.must(3, append(n.named()[:9], "--trust-certificate", "--name", "it")...)
	contains(t, stderr, "Extended Protection", "load balancer")
	n = newNetwork(t, onprem.Options{Faults: []string{"ep-require"}})
	n.must(0, n.named("--grant-impersonation")...)
}

// TestOnPremisesEdit: a saved connection is changed, and keeps what is not asked about.
func TestOnPremisesEdit(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, onprem.Options{})
	n.must(0, n.named("--grant-impersonation")...)
	n.must(0, "edit", "it", "--set", "name=other")
	stdout, _ := n.must(0, "show", "other", "--output", "json")
	contains(t, stdout, n.world.Fingerprint(), `"type": "password"`, `"server": "exch01.corp.test"`,
		"c2conn new exchange --on-premises --server exch01.corp.test --certificate-sha256 "+n.world.Fingerprint()+" --admin-upn exadmin@corp.test --password-file FILE --name other")
	// Another server has another EWS URL, and the old one is not asked in its name.
	before := len(n.world.Requests(""))
	_, stderr := n.must(5, "edit", "other", "--set", "server=exch02.corp.test")
	contains(t, stderr, "The name exch02.corp.test cannot be resolved")
	if got := len(n.world.Requests("")); got != before {
		t.Errorf("%d requests to the old server", got-before)
	}
	// An EWS URL of its own stays, and is what the sign-in is told of.
	_, stderr = n.must(5, "edit", "other", "--set", "server=exch02.corp.test", "--set", "ews-url=https://exch01.corp.test/EWS/Exchange.asmx")
	contains(t, stderr, "Signed in to exch01.corp.test with")
	n.must(3, "edit", "other", "--password-file", n.env["WRONG"])
	n.must(0, "edit", "other", "--password-file", n.env["PASS"])
	n.must(0, "verify", "other")
	n.must(0, "edit", "other", "--set", "server-by=autodiscover", "--set", "trust=yes")
	stdout, _ = n.must(0, "show", "other", "--output", "json")
	contains(t, stdout, `"autodiscover": "https://`)
}

// TestGivenCertificate: the sum that is given is the one pin, also in an edit.
func TestGivenCertificate(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, onprem.Options{})
	wrong := strings.Repeat("A1", 32)
	args := n.named("--grant-impersonation")
	for i := range args {
		if args[i] == n.world.Fingerprint() {
			args[i] = wrong
		}
	}
	_, stderr := n.must(3, args...)
	contains(t, stderr, "another certificate than the trusted one", wrong)
	n.must(0, n.named("--grant-impersonation")...)
	before, _ := n.must(0, "show", "it", "--output", "json")
	n.must(3, "edit", "it", "--set", "certificate-sha256="+wrong)
	if after, _ := n.must(0, "show", "it", "--output", "json"); after != before {
		t.Errorf("changed to:\n%s", after)
	}
	n.must(0, "edit", "it", "--set", "certificate-sha256="+n.world.Fingerprint())
}

// TestServerMoves: an EWS URL that followed from the server follows it again.
func TestServerMoves(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, onprem.Options{})
	n.must(0, n.named("--grant-impersonation")...)
	code, stdout, stderr := n.run(t.Context(), "edit", "it", "--set", "server=exch77.corp.test", "--save-unverified")
	if code == 0 {
		t.Errorf("there is no such server\n%s%s", stdout, stderr)
	}
	stdout, _ = n.must(0, "show", "it", "--output", "json")
	contains(t, stdout, "https://exch77.corp.test/EWS/Exchange.asmx")
}

// TestServerByItsURL: the EWS URL alone names the server.
func TestServerByItsURL(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, onprem.Options{})
	stdout, _ := n.must(0, "new", "exchange", "--ews-url", "https://exch01.corp.test/EWS/Exchange.asmx", "--admin-upn", exchangeAdmin, "--password-file", n.env["PASS"],
		"--certificate-sha256", n.world.Fingerprint(), "--grant-impersonation", "--name", "it", "--output", "json")
	contains(t, stdout, `"server": "exch01.corp.test"`)
}

// TestGrantSpreads: a right that the server does not heed yet is not called a limited one.
func TestGrantSpreads(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, onprem.Options{Faults: []string{"impersonation-lost"}})
	_, stderr := n.must(5, n.named("--grant-impersonation")...)
	contains(t, stderr, "does not heed it yet")
	_, stderr = n.must(5, n.named()...)
	contains(t, stderr, "does not heed it yet")
}

// TestFleetOnPremises: a fleet's file makes such a connection, once.
func TestFleetOnPremises(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, onprem.Options{})
	path := n.file("fleet.yaml", "fleet: servers\nconnections:\n  - name: exch01\n    kind: exchange\n    on-premises: true\n    server: exch01.corp.test\n    admin-upn: "+exchangeAdmin+
		"\n    password: {file: "+n.env["PASS"]+"}\n    certificate-sha256: "+n.world.Fingerprint()+"\n    grant-impersonation: true\n")
	stdout, stderr := n.must(0, "apply", "-f", path, "--yes")
	contains(t, stdout+stderr, "exch01")
	stdout, stderr = n.must(0, "apply", "-f", path, "--yes")
	contains(t, stdout+stderr, "nothing to do")
	n.must(0, "verify", "exch01")
}

// TestHandedOnPremises: what travels, what is shown, and what is left alone.
func TestHandedOnPremises(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, onprem.Options{})
	n.must(0, n.named("--grant-impersonation")...)
	stdout, _ := n.must(0, "show", "it")
	contains(t, stdout, "Server exch01.corp.test", n.world.Fingerprint())
	n.env["C2CONN_BUNDLE_PASSPHRASE"] = "a passphrase of some length"
	for _, args := range [][]string{{"rotate", "it"}, {"token", "it"}, {"consent", "it"}, {"verify", "it", "--fix"}} {
		code, stdout, stderr := n.run(t.Context(), args...)
		if code == 0 || strings.Contains(stderr, "no advice of its own") || strings.Contains(stdout+stderr, adminPassword) {
			t.Errorf("%v: exit code %d\n%s%s", args, code, stdout, stderr)
		}
	}
	n.must(0, "delete", "it", "--yes")
}

// TestDoctorOnPremises: the server's certificate is looked at, and nobody signs in or asks
// a cloud.
func TestDoctorOnPremises(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, onprem.Options{})
	n.must(0, n.named("--grant-impersonation")...)
	signIns := n.world.Counters().SignIns
	_, stdout, stderr := n.run(t.Context(), "doctor", "--output", "json")
	contains(t, stdout+stderr, `"id": "server"`, "certificate trusted")
	if strings.Contains(stdout+stderr, "microsoftonline") {
		t.Errorf("a cloud is asked:\n%s%s", stdout, stderr)
	}
	for protocol, before := range signIns {
		if now := n.world.Counters().SignIns[protocol]; now != before {
			t.Errorf("%v: %d sign-ins more", protocol, now-before)
		}
	}
	if err := n.world.SetFault("certificate-changed"); err != nil {
		t.Fatal(err)
	}
	stdout, stderr = n.must(5, "doctor", "--output", "json")
	contains(t, stdout+stderr, "another certificate than the trusted one")
}

// TestExecOnPremises: a command gets the server's address, the account and the password.
func TestExecOnPremises(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, onprem.Options{})
	n.must(0, n.named("--grant-impersonation")...)
	want := n.file("want", adminPassword)
	stdout, _ := n.must(0, "exec", "it", "--", "sh", "-c",
		`printf %s "$C2CONN_CONNECTION_PASSWORD" | cmp - `+want+` && echo "$C2CONN_CONNECTION_ACCOUNT $C2CONN_CONNECTION_EWS_URL $C2CONN_CONNECTION_SERVER"`)
	contains(t, stdout, exchangeAdmin+" https://exch01.corp.test/EWS/Exchange.asmx exch01.corp.test")
	_, stderr := n.must(1, "exec", "it", "--token", "T=graph", "--", "true")
	contains(t, stderr, "there are no access tokens")
}
