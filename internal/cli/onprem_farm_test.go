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

// TestEditFarmsCentral: the port and the address of Central Administration follow each
// other, whichever of the two is changed.
func TestEditFarmsCentral(t *testing.T) {
	t.Parallel()
	for _, change := range []string{"central-admin-port=34567", "central-admin-url=" + centralHTTP} {
		t.Run(change, func(t *testing.T) {
			t.Parallel()
			n := newNetwork(t, onprem.Options{})
			n.withFarms(onprem.FarmAdminPassword, "http://sharepoint.corp.test:34568", plainNTLM, "farm")
			n.must(0, "edit", "farm", "--set", change)
			stdout, _ := n.must(0, "show", "farm")
			contains(t, stdout, "Central Administration "+centralHTTP)
		})
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

// TestFarmStaysWithTLS: where https is saved or given, nobody signs in over http, whoever
// answers there, and the profile stays as it is.
func TestFarmStaysWithTLS(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, onprem.Options{})
	n.withFarms(onprem.FarmAdminPassword, centralHTTPS, plainNTLM, "farm")
	_, stderr := n.must(3, "verify", "farm")
	contains(t, stderr, "it speaks http, not https", "c2conn edit farm --set central-admin-url="+centralHTTP)
	_, stderr = n.must(3, "new", "sharepoint", "--on-premises", "--sharepoint-url", "https://sharepoint.corp.test", "--central-admin-url", centralHTTPS, "--allow-plain-ntlm",
		"--admin-upn", onprem.FarmAdmin, "--password-file", n.file("farm.pass", onprem.FarmAdminPassword), "--name", "other")
	contains(t, stderr, "it speaks http, not https", "--central-admin-url "+centralHTTP)
	for _, r := range n.world.Requests("") {
		if strings.HasPrefix(r.URL, "http:") {
			t.Errorf("asked: %s", r.URL)
		}
	}
	stdout, _ := n.must(0, "show", "farm")
	contains(t, stdout, "Central Administration "+centralHTTPS)
	n.must(0, "edit", "farm", "--set", "central-admin-url="+centralHTTP) // what was advised mends it
	n.must(0, "verify", "farm")
}

// TestUnsavedAdvice: what is advised for answers that are not saved does not lead to the
// saved ones, nor to a connection that there is not.
func TestUnsavedAdvice(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, onprem.Options{Faults: []string{"ca-self-signed"}})
	n.withFarms(onprem.FarmAdminPassword, "https://sharepoint.corp.test:34567", plainNTLM, "farm")
	for _, tt := range []struct {
		set  []string
		says []string
	}{
		{[]string{"central-admin-port=34568"}, []string{"Run the command again", "--set central-admin-port=PORT", "--set central-admin-url=URL"}},
		{[]string{"sharepoint-url=https://sharepoint.corp.test/sites/nowhere", "plain-ntlm=no", "central-admin-url=http://sharepoint.corp.test:34568"}, []string{"Run the command again"}},
	} {
		args := []string{"edit", "farm"}
		for _, set := range tt.set {
			args = append(args, "--set", set)
		}
		code, _, stderr := n.run(t.Context(), args...)
		if contains(t, stderr, append(tt.says, "Nothing was saved")...); code == 0 || strings.Contains(stderr, "c2conn verify farm") || strings.Contains(stderr, "c2conn edit farm") {
			t.Errorf("%d\n%s", code, stderr)
		}
	}
	locked := newNetwork(t, onprem.Options{Faults: []string{"must-change"}})
	_, stderr := locked.must(3, locked.named()...)
	if contains(t, stderr, "give c2conn the new one."); strings.Contains(stderr, "c2conn edit") {
		t.Error(stderr)
	}
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
		n.must(0, "edit", "farm", "--set", "plain-ntlm=yes") // what was advised mends it
		n.must(0, "verify", "farm")
	})
	t.Run("wrong port", func(t *testing.T) {
		t.Parallel()
		n := newNetwork(t, onprem.Options{})
		n.withFarms(onprem.FarmAdminPassword, "http://sharepoint.corp.test:34568", plainNTLM, "farm")
		_, stderr := n.must(5, "verify", "farm")
		contains(t, stderr, "nothing listens on this port", "Get-SPWebApplication -IncludeCentralAdministration", "c2conn edit farm --set central-admin-url=http://sharepoint.corp.test:PORT")
		n.must(0, "edit", "farm", "--set", "central-admin-url=http://sharepoint.corp.test:34567")
		n.must(0, "verify", "farm")
	})
	t.Run("no right", func(t *testing.T) {
		t.Parallel()
		n := newNetwork(t, onprem.Options{Faults: []string{"ca-401"}})
		n.withFarms(onprem.FarmAdminPassword, centralHTTP, plainNTLM, "farm")
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

// TestApplyFarm: a file may describe connections to a farm, and is carried out once, also
// where Central Administration answers by another scheme than the one that follows from it.
func TestApplyFarm(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, onprem.Options{})
	n.env["SSL_CERT_FILE"] = n.file("ca.pem", string(n.world.Authority()))
	entry := func(more string) string {
		file := n.file("fleet.yaml", fmt.Sprintf("fleet: farms\nconnections:\n  - {name: farm, kind: sharepoint, on-premises: true, sharepoint-url: \"https://sharepoint.corp.test\", central-admin-port: 34567, admin-upn: %s, password-ref: \"file:pass\"%s}\n", onprem.FarmAdmin, more))
		if err := os.WriteFile(filepath.Join(filepath.Dir(file), "pass"), []byte(onprem.FarmAdminPassword), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	allowed := entry(", allow-plain-ntlm: true")
	stdout, _ := n.must(0, "apply", "-f", allowed, "--yes", "--output", "json")
	contains(t, stdout, `"create": 1`, "12 by SiteData")
	stdout, _ = n.must(0, "show", "farm")
	contains(t, stdout, "Central Administration "+centralHTTP)
	stdout, _ = n.must(0, "apply", "-f", allowed, "--yes")
	contains(t, stdout, "nothing to do")
	_, stderr := n.must(2, "apply", "-f", entry(", allow-plain-ntlm: true, admin-password: {file: pass}"), "--dry-run")
	contains(t, stderr, `does not go with the other answers; here it is called "password"`)
	stdout, _ = n.must(0, "apply", "-f", entry(""), "--dry-run")
	contains(t, stdout, "1 to change", "credential")
	stdout, _ = n.must(0, "apply", "-f", entry(", allow-plain-ntlm: true, central-admin-url: \"http://other.corp.test:34567\""), "--dry-run")
	contains(t, stdout, "1 to change", "central-admin-url")
	stdout, _ = n.must(0, "apply", "-f", entry(", allow-plain-ntlm: true, central-admin-url: \""+centralHTTPS+"\""), "--dry-run")
	contains(t, stdout, "1 to change", "central-admin-url")
}

// TestNewFarm: one command makes a verified connection, and its command line makes another.
func TestNewFarm(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, onprem.Options{})
	n.env["SSL_CERT_FILE"] = n.file("ca.pem", string(n.world.Authority()))
	args := []string{"new", "sharepoint", "--on-premises", "--sharepoint-url", "https://sharepoint.corp.test", "--central-admin-port", "34567",
		"--admin-upn", onprem.FarmAdmin, "--password-file", n.file("farm.pass", onprem.FarmAdminPassword), "--name", "farm"}
	_, stderr := n.must(3, args...)
	contains(t, stderr, "NTLM over http is not allowed", "--allow-plain-ntlm", "Nothing was saved")
	stdout, _ := n.must(0, append(args, "--allow-plain-ntlm", "--output", "json")...)
	contains(t, stdout, `"plain_ntlm": true`, `"server": "sharepoint.corp.test"`, `"admin": "`+centralHTTP+`"`, `"verified": true`, "--allow-plain-ntlm")
	n.must(0, "verify", "farm")
	if got := n.world.FailedSignIns(); got != 0 {
		t.Errorf("%d failed sign-ins", got)
	}
}

// TestTrustedFarm: the certificates of both addresses are pinned, and another one is refused.
func TestTrustedFarm(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, onprem.Options{Faults: []string{"sp-self-signed", "ca-self-signed"}})
	args := []string{"new", "sharepoint", "--on-premises", "--sharepoint-url", "https://sharepoint.corp.test", "--central-admin-port", "34567",
		"--admin-upn", onprem.FarmAdmin, "--password-file", n.file("farm.pass", onprem.FarmAdminPassword), "--name", "farm"}
	_, stderr := n.must(2, args...)
	contains(t, stderr, "--certificate-sha256", "--trust-certificate", "self-signed")
	if got := len(n.world.Requests("")); got != 0 {
		t.Errorf("%d requests before the certificate was trusted", got)
	}
	// A sum that no server shows proposes nothing; that of one of the two, to compare the other.
	none, one := strings.Repeat("0", 64), n.world.SharePointFingerprint()
	_, stderr = n.must(2, append(args, "--certificate-sha256", none)...)
	if contains(t, stderr, "Compare the SHA-256 with the server's own"); strings.Contains(stderr, none+",") {
		t.Error(stderr)
	}
	_, stderr = n.must(2, append(args, "--certificate-sha256", one)...)
	contains(t, stderr, "Compare the SHA-256 with the server's own", "give both: "+one+",")
	if got := n.world.FailedSignIns(); got != 0 {
		t.Errorf("%d failed sign-ins", got)
	}
	stdout, _ := n.must(0, append(args, "--trust-certificate", "--output", "json")...)
	contains(t, stdout, `"sharepoint.corp.test:443": "`+n.world.SharePointFingerprint()+`"`, `"sharepoint.corp.test:34567": "`, `"verified": true`)
	n.must(0, "verify", "farm")
	n.must(0, "doctor")
}
