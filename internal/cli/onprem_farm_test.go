package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/internal/sim/onprem"
)

// withFarms gives the network connections to its SharePoint farm, as profiles that
// somebody wrote by hand. more are further lines of the credential.
func (n *network) withFarms(password, central string, more string, names ...string) {
	n.t.Helper()
	n.env["SSL_CERT_FILE"] = n.file("ca.pem", string(n.world.Authority()))
	dir := filepath.Join(n.env["C2CONN_HOME"], "connections")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		n.t.Fatal(err)
	}
	secret := n.file("farm.pass", password+"\n")
	for i, name := range names {
		profile := fmt.Sprintf(`schema: 1
id: 01K9Z7A0B1C2D3E4F5G6H7J8K%d
name: %s
kind: sharepoint
location: on-premises
account: %s
credential:
  type: password
  secret: file:%s
%sendpoints:
  sharepoint: https://sharepoint.corp.test
  admin: %s
`, i, name, onprem.FarmAdmin, secret, more, central)
		if err := os.WriteFile(filepath.Join(dir, name+".yaml"), []byte(profile), 0o600); err != nil {
			n.t.Fatal(err)
		}
	}
}

const (
	centralHTTP  = "http://sharepoint.corp.test:34567"
	centralHTTPS = "https://sharepoint.corp.test:34567"
	plainNTLM    = "  plain_ntlm: true\n"
)

// TestVerifyFarm: a profile is verified, and keeps what was found out.
func TestVerifyFarm(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, onprem.Options{})
	n.withFarms(onprem.FarmAdminPassword, centralHTTP, plainNTLM, "farm")
	stdout, _ := n.must(0, "verify", "farm", "--output", "json")
	contains(t, stdout, `"id": "sites"`, "12 by SiteData", `"id": "site"`, `"id": "central-administration"`, "opened, port 34567 over http", `"server": "sharepoint.corp.test"`, `"verified": true`)
	stdout, _ = n.must(0, "show", "farm")
	contains(t, stdout, "SharePoint, On-premises", "SharePoint URL https://sharepoint.corp.test", "Central Administration "+centralHTTP, "password, over http also with NTLM")
	stdout, _ = n.must(0, "list")
	contains(t, stdout, "farm SharePoint On-premises "+onprem.FarmAdmin+" ✓ verified")
	stdout, _ = n.must(0, "verify", "farm", "--output", "junit")
	contains(t, stdout, "Central Administration", "12 by SiteData")
	_, stderr := n.must(0, "delete", "farm", "--yes")
	if strings.Contains(stderr, "Exchange") || strings.Contains(stderr, "impersonation") {
		t.Error(stderr)
	}
	if got := n.world.FailedSignIns(); got != 0 {
		t.Errorf("%d failed sign-ins", got)
	}
}

// TestVerifyFarmKeepsTheScheme: the address of Central Administration is kept with the
// scheme that answers.
func TestVerifyFarmKeepsTheScheme(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, onprem.Options{Faults: []string{"ca-https"}})
	n.withFarms(onprem.FarmAdminPassword, centralHTTP, "", "farm")
	stdout, _ := n.must(0, "verify", "farm", "--output", "json")
	contains(t, stdout, "opened, port 34567 over https, not http", `"admin": "`+centralHTTPS+`"`)
	stdout, _ = n.must(0, "show", "farm")
	contains(t, stdout, "Central Administration "+centralHTTPS)
}

// TestApplyFarm: a second run changes nothing, also where Central Administration is not on
// the scheme that the file names, and NTLM over http is a field like any other.
func TestApplyFarm(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, onprem.Options{})
	n.env["SSL_CERT_FILE"] = n.file("ca.pem", string(n.world.Authority()))
	fleet := `fleet: farms
connections:
  - name: farm
    kind: sharepoint
    on-premises: true
    sharepoint-url: https://sharepoint.corp.test
    central-admin-port: 34567
    admin-upn: ` + onprem.FarmAdmin + `
    ad-domain: corp.test
    password: {file: ` + n.file("farm.pass", onprem.FarmAdminPassword+"\n") + `}
`
	path := n.file("fleet.yaml", fleet+"    allow-plain-ntlm: true\n")
	n.must(0, "apply", "-f", path, "--yes")
	stdout, _ := n.must(0, "apply", "-f", path, "--yes", "--output", "json")
	contains(t, stdout, `"action": "unchanged"`)

	path = n.file("fleet.yaml", fleet)
	stdout, _ = n.must(0, "apply", "-f", path, "--dry-run", "--output", "json")
	contains(t, stdout, `"plain-ntlm"`)
	if strings.Contains(stdout, `"credential"`) {
		t.Error("the password is the same:", stdout)
	}
}

// TestEditFarmsCentral: the port and the address of Central Administration follow each
// other, whichever of the two is changed.
func TestEditFarmsCentral(t *testing.T) {
	t.Parallel()
	for name, saved := range map[string]string{"follows from the site's": "https://sharepoint.corp.test:34568", "of another scheme": "http://sharepoint.corp.test:34568"} {
		for _, change := range []string{"central-admin-port=34567", "central-admin-url=" + centralHTTP} {
			t.Run(name+", "+change, func(t *testing.T) {
				t.Parallel()
				n := newNetwork(t, onprem.Options{})
				n.withFarms(onprem.FarmAdminPassword, saved, plainNTLM, "farm")
				n.must(0, "edit", "farm", "--set", change)
				stdout, _ := n.must(0, "show", "farm")
				contains(t, stdout, "Central Administration "+centralHTTP)
			})
		}
	}
	n := newNetwork(t, onprem.Options{})
	n.withFarms(onprem.FarmAdminPassword, centralHTTP, plainNTLM, "farm")
	_, stderr := n.must(2, "edit", "farm", "--set", "central-admin-port=70000")
	contains(t, stderr, "a port is a number from 1 to 65535")
}

// TestFarmsCertificates: sites and Central Administration show two certificates. Who names
// one has not been deceived about the other, and what renews one keeps the other.
func TestFarmsCertificates(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, onprem.Options{Faults: []string{"sp-self-signed", "ca-self-signed"}})
	sites := n.world.SharePointFingerprint()
	args := func(sums string) []string {
		return []string{"new", "sharepoint", "--on-premises", "--sharepoint-url", "https://sharepoint.corp.test", "--central-admin-port", "34567", "--ad-domain", "corp.test",
			"--admin-upn", onprem.FarmAdmin, "--password-file", n.file("farm.pass", onprem.FarmAdminPassword+"\n"), "--certificate-sha256", sums, "--name", "new"}
	}
	n.env["SSL_CERT_FILE"] = n.file("ca.pem", string(n.world.Authority()))
	_, stderr := n.must(2, args(sites)...)
	contains(t, stderr, "sharepoint.corp.test:34567 shows a certificate that is not trusted")
	_, shown, _ := strings.Cut(stderr, "sharepoint.corp.test:34567 shows")
	_, shown, _ = strings.Cut(shown, "SHA-256 ")
	central := strings.ReplaceAll(shown[:71], " ", "")
	n.must(0, args(sites+","+central)...)

	pins := centralHTTPS + "\npins:\n  sharepoint.corp.test:443: " + strings.Repeat("A1", 32) + "\n  sharepoint.corp.test:34567: " + central
	n.withFarms(onprem.FarmAdminPassword, pins, "", "farm")
	renewed := "certificate-sha256=" + sites + "," + central
	_, stderr = n.must(3, "verify", "farm")
	contains(t, strings.Join(strings.Fields(stderr), ""), "c2conneditfarm--set"+renewed)
	n.must(0, "edit", "farm", "--set", renewed)
	n.must(0, "verify", "farm")
}

// TestVerifyFarmsFail: what the exit code says, and what to do now.
func TestVerifyFarmsFail(t *testing.T) {
	t.Parallel()
	t.Run("NTLM over http", func(t *testing.T) {
		t.Parallel()
		n := newNetwork(t, onprem.Options{})
		n.withFarms(onprem.FarmAdminPassword, centralHTTP, "", "farm")
		_, stderr := n.must(3, "verify", "farm")
		contains(t, stderr, "NTLM over http is not allowed", "c2conn edit farm --set plain-ntlm=yes")
	})
	t.Run("wrong port", func(t *testing.T) {
		t.Parallel()
		n := newNetwork(t, onprem.Options{})
		n.withFarms(onprem.FarmAdminPassword, "http://sharepoint.corp.test:34568", plainNTLM, "farm")
		_, stderr := n.must(5, "verify", "farm")
		contains(t, stderr, "nothing listens on this port", "Get-SPWebApplication -IncludeCentralAdministration", "c2conn edit farm --set central-admin-port=PORT")
	})
	t.Run("no right", func(t *testing.T) {
		t.Parallel()
		n := newNetwork(t, onprem.Options{Faults: []string{"ca-401"}})
		n.withFarms(onprem.FarmAdminPassword, centralHTTPS, plainNTLM, "farm")
		_, stderr := n.must(5, "verify", "farm")
		contains(t, stderr, "may not open Central Administration", "-Web '"+centralHTTP+"' -Group 'Farm Administrators'")
	})
	t.Run("wrong password of several", func(t *testing.T) {
		t.Parallel()
		n := newNetwork(t, onprem.Options{Lockout: 2})
		n.withFarms("not "+onprem.FarmAdminPassword, centralHTTP, plainNTLM, "one", "two", "three")
		_, stderr := n.must(3, "verify", "--all")
		contains(t, stderr, "the password is wrong")
		if got := n.world.FailedSignIns(); got != 1 {
			t.Errorf("%d failed sign-ins", got)
		}
	})
}

// TestDoctorFarm: both addresses are looked at where they are on https, and nobody signs in.
func TestDoctorFarm(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, onprem.Options{Faults: []string{"ca-https"}})
	n.withFarms(onprem.FarmAdminPassword, centralHTTP, "", "plain")
	stdout, _ := n.must(0, "doctor", "--output", "json")
	contains(t, stdout, `"id": "server"`, "certificate trusted")
	if strings.Contains(stdout, `"id": "central-administration"`) {
		t.Error(stdout)
	}
	n.withFarms(onprem.FarmAdminPassword, centralHTTPS, "", "plain")
	stdout, _ = n.must(0, "doctor", "--output", "json")
	contains(t, stdout, `"id": "server"`, `"id": "central-administration"`)
	if err := n.world.SetFault("ca-self-signed"); err != nil {
		t.Fatal(err)
	}
	stdout, stderr := n.must(5, "doctor")
	contains(t, stdout+stderr, "Central Administration", "the certificate is not trusted", "Get-ChildItem Cert:")
	for protocol, count := range n.world.Counters().SignIns {
		if count != 0 {
			t.Errorf("%v: %d sign-ins", protocol, count)
		}
	}
}

// TestExecFarm: a command gets both addresses, the account and the password.
func TestExecFarm(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, onprem.Options{})
	n.withFarms(onprem.FarmAdminPassword, centralHTTP, "", "farm")
	want := n.file("want", onprem.FarmAdminPassword)
	stdout, _ := n.must(0, "exec", "farm", "--", "sh", "-c",
		`printf %s "$C2CONN_CONNECTION_PASSWORD" | cmp - `+want+` && echo "$C2CONN_CONNECTION_ACCOUNT $C2CONN_CONNECTION_SHAREPOINT_URL $C2CONN_CONNECTION_CENTRAL_ADMIN_URL"`)
	contains(t, stdout, onprem.FarmAdmin+" https://sharepoint.corp.test "+centralHTTP)
}
