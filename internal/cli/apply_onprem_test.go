package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/internal/sim/onprem"
)

// serverFleet writes a file that wants two connections to the server, with the password
// in a file beside it.
func (n *network) serverFleet(password, more string) string {
	n.t.Helper()
	file := n.file("fleet.yaml", "fleet: servers\ndefaults: {tenant-id: contoso.example, cloud: global, registration: auto}\nconnections:\n"+strings.Join([]string{
		n.serverEntry("one", more), n.serverEntry("two", more),
	}, ""))
	if err := os.WriteFile(filepath.Join(filepath.Dir(file), "pass"), []byte(password+"\n"), 0o600); err != nil {
		n.t.Fatal(err)
	}
	return file
}

func (n *network) serverEntry(name, more string) string {
	return fmt.Sprintf("  - {name: %s, kind: exchange, on-premises: true, server: exch01.corp.test, admin-upn: %s, password-ref: \"file:pass\", certificate-sha256: %s%s}\n",
		name, exchangeAdmin, n.world.Fingerprint(), more)
}

// TestApplyOnPremises: a file may describe connections to servers, and is carried out once.
func TestApplyOnPremises(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, onprem.Options{Faults: []string{"granted"}})
	file := n.serverFleet(adminPassword, "")
	_, stderr := n.must(2, "apply", "-f", n.serverFleet(adminPassword, ", tenant-id: contoso.example"), "--dry-run")
	contains(t, stderr, "does not go with the other answers") // where the entry itself says so
	stdout, _ := n.must(0, "apply", "-f", file, "--dry-run")
	contains(t, stdout, "2 to create", "exch01.corp.test")
	stdout, _ = n.must(0, "apply", "-f", file, "--yes", "--output", "json")
	if a := readApplied(t, stdout); a.Summary["create"] != 2 || !a.Connections[0].Verified || !a.Connections[1].Verified {
		t.Fatal(stdout)
	}
	stdout, _ = n.must(0, "apply", "-f", file, "--yes")
	contains(t, stdout, "nothing to do")
	file = n.file("grant.yaml", "fleet: servers\nconnections:\n"+n.serverEntry("one", ", ad-domain: corp.test"))
	if err := os.WriteFile(filepath.Join(filepath.Dir(file), "pass"), []byte(adminPassword), 0o600); err != nil {
		t.Fatal(err)
	}
	stdout, _ = n.must(0, "apply", "-f", file, "--yes", "--prune", "--output", "json")
	if a := readApplied(t, stdout); a.Summary["change"] != 1 || a.Summary["prune"] != 1 {
		t.Fatal(stdout)
	}
	stdout, _ = n.must(0, "show", "one", "--output", "json")
	contains(t, stdout, `"domain": "corp.test"`)
	if got := n.world.FailedSignIns(); got != 0 {
		t.Errorf("%d failed sign-ins", got)
	}
}

// TestApplyWrongPassword: entries that share a password find out once that it is wrong.
func TestApplyWrongPassword(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, onprem.Options{})
	n.must(3, "apply", "-f", n.serverFleet("not "+adminPassword, ""), "--yes")
	if got := n.world.FailedSignIns(); got != 1 {
		t.Errorf("%d failed sign-ins", got)
	}
}
