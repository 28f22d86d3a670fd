//go:build integration

package integration

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/transport"
	"github.com/c2conn/c2conn/internal/winauth"
)

// Addresses of the Windows network; both are loopback in the network namespace
// of the run.
const (
	controllerIP = "127.0.0.10" // dc1.corp.test: Samba refuses an address that no interface has
	webIP        = "127.0.0.11" // exch01.corp.test: Apache and the other servers
	webHost      = "exch01.corp.test"
	webSPN       = "HTTP/" + webHost
)

const (
	exadmin, exadminPassword = "exadmin@corp.test", "Ex4dmin!Pass"
	alice, alicePassword     = "alice@contoso.example", "Al1ce!Pass"
	builtInPassword          = "Passw0rd!Adm1n"
	userPassword             = "Us3r!Passw0rd"
)

type samUser struct {
	SAM      string `json:"sam"`
	Password string `json:"password"`
	UPN      string `json:"upn,omitempty"`
	SPN      string `json:"spn,omitempty"`
	Mail     string `json:"mail,omitempty"`
	Disabled bool   `json:"disabled,omitempty"`
}

type samGroup struct {
	Name     string   `json:"name"`
	Exchange bool     `json:"exchange,omitempty"`
	Members  []string `json:"members"`
}

// domainLimit is the longest that making the domain may take: 8 s of computing.
const domainLimit = 3 * time.Minute

// seed is what is in the domain besides what every new one has. Users with names
// of cases are for those that type wrong passwords: each has its own count.
func seed() map[string]any {
	users := []samUser{
		{SAM: "exadmin", UPN: exadmin, Password: exadminPassword, Mail: exadmin},
		// The name before the @ is another account's sAMAccountName.
		{SAM: "asmith", UPN: alice, Password: alicePassword, Mail: alice},
		{SAM: "alice", UPN: "another@corp.test", Password: userPassword},
		{SAM: "spfarm", UPN: "spfarm@corp.test", Password: userPassword},
		{SAM: "off", UPN: "off@corp.test", Password: userPassword, Disabled: true},
		{SAM: "exch01svc", Password: "Svc!Passw0rd", SPN: webSPN},
		{SAM: "spadmin", UPN: farmAdmin, Password: userPassword, Mail: farmAdmin},
		{SAM: "spreader", UPN: farmReader, Password: userPassword},
		{SAM: "sppool", Password: "P00l!Passw0rd", SPN: farmSPN},
	}
	for _, name := range []string{"w-kerberos", "w-ldap", "w-apache", "w-ntlm", "w-farm", "w-farm-ntlm"} {
		users = append(users, samUser{SAM: name, UPN: name + "@contoso.example", Password: userPassword})
	}
	return map[string]any{
		"users": users,
		"groups": []samGroup{
			{Name: "Messaging Team", Members: []string{"asmith"}},
			{Name: "Organization Management", Exchange: true, Members: []string{"exadmin", "Administrator", "Messaging Team"}},
		},
		"hosts":  map[string]string{"exch01": webIP, "autodiscover": webIP, "sharepoint": farmIP, "intranet": farmIP},
		"suffix": "contoso.example", "services": []string{webSPN, farmSPN}, "exchange": webHost,
		"autodiscover": "https://" + webHost + "/Autodiscover/Autodiscover.xml",
	}
}

// domain is a Samba domain controller and what its clients need.
type domain struct {
	world
	*server
	authority
	reach transport.Reach
}

// newDomain makes a domain and starts its controller, which runs until the case ends.
func newDomain(t *testing.T) *domain {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("a domain controller needs root")
	}
	began := time.Now()
	d := &domain{world: newWorld(t), authority: newAuthority(t)}
	d.world["PATH"] = "/usr/sbin:/sbin:" + d.world["PATH"]
	address(t, controllerIP)
	for _, name := range []string{"run", "run/samba", "log", "tls"} {
		if err := os.MkdirAll(filepath.Join(d.dir(), name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// Servers that are not root look into it; what is above it stays closed.
	if err := os.Chmod(d.file("run"), 0o755); err != nil {
		t.Fatal(err)
	}
	d.writePEM(t, d.file("tls"), "dc1.corp.test", "corp.test")
	args := []string{
		"domain", "provision", "--configfile=/dev/null", "--targetdir=" + d.file("ad"), "--realm=CORP.TEST", "--domain=CORP", "--server-role=dc",
		"--host-name=dc1", "--host-ip=" + controllerIP, "--dns-backend=SAMBA_INTERNAL", "--adminpass=" + builtInPassword,
	}
	for _, option := range []string{
		"interfaces=" + controllerIP, "bind interfaces only=yes", "dns forwarder=0.0.0.0",
		"server services=ldap kdc cldap dns rpc winbindd", "dcerpc endpoint servers=epmapper, samr, netlogon, lsarpc, drsuapi, dnsserver",
		"tls keyfile=" + d.file("tls/key.pem"), "tls certfile=" + d.file("tls/cert.pem"), "tls cafile=" + d.file("tls/ca.pem"),
		"log file=" + d.file("log/%m"), "pid directory=" + d.file("run"), "ncalrpc dir=" + d.file("run/ncalrpc"), "load printers=no", "panic action=",
		// As Active Directory does it: no second encryption within TLS.
		"ldap server require strong auth=allow_sasl_over_tls",
		"ldb:nosync=true",
	} {
		args = append(args, "--option="+option)
	}
	want(t, d.feedWithin(t, domainLimit, "", "samba-tool", args...), 0)
	input, err := json.Marshal(seed())
	if err != nil {
		t.Fatal(err)
	}
	want(t, d.feed(t, string(input), "/usr/bin/python3", filepath.Join(suite.servers, "domain.py"), d.conf(), d.keytab()), 0)

	// winbindd and its clients meet beneath /run, at a place that cannot be chosen.
	program, args := d.private("samba", "-s", d.conf(), "-F", "--no-process-group", "-M", "single")
	d.server = d.serve(t, program, args...)
	d.await(t, controllerIP+":53", controllerIP+":88", controllerIP+":389", controllerIP+":636")
	d.world["KRB5_CONFIG"] = d.file("krb5.conf")
	write(t, d.world["KRB5_CONFIG"], fmt.Sprintf(`[libdefaults]
 default_realm = CORP.TEST
 dns_lookup_kdc = false
 rdns = false
 udp_preference_limit = 1
[realms]
 CORP.TEST = {
  kdc = %s:88
 }
[domain_realm]
 .corp.test = CORP.TEST
`, controllerIP), 0o644)
	if d.reach, err = transport.NewReach(func(name string) string {
		if name == "C2CONN_DNS" {
			return controllerIP
		}
		return ""
	}); err != nil {
		t.Fatal(err)
	}
	fmt.Printf("      %5.2f s  Domain       made and started\n", time.Since(began).Seconds())
	return d
}

func (d *domain) file(name string) string { return filepath.Join(d.dir(), name) }
func (d *domain) conf() string            { return d.file("ad/etc/smb.conf") }
func (d *domain) keytab() string          { return d.file("exch01.keytab") }

// private makes a command that has the domain's own /run. It has its own process
// numbers, too: Samba writes over its environment, so what a run that was itself ended
// left behind is not found by that, but ends with the process that is.
func (d *domain) private(program string, args ...string) (string, []string) {
	return "unshare", append([]string{
		"--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc", "--", "sh", "-c", `mount --bind "$0" /run && exec "$@"`, d.file("run"), program,
	}, args...)
}

// await waits until something listens at all the addresses.
func (d *domain) await(t *testing.T, addresses ...string) {
	t.Helper()
	for _, a := range addresses {
		eventually(t, "a server at "+a, func() bool {
			c, err := net.DialTimeout("tcp", a, time.Second)
			if err != nil {
				return false
			}
			_ = c.Close()
			return true
		})
	}
}

var badCount = regexp.MustCompile(`(?m)^badPwdCount: (\d+)$`)

// wrongPasswords is how many wrong passwords the domain has counted for an account.
func (d *domain) wrongPasswords(t *testing.T, sam string) string {
	t.Helper()
	r := d.run(t, "ldbsearch", "-H", d.file("ad/private/sam.ldb"), "(sAMAccountName="+sam+")", "badPwdCount")
	found := badCount.FindStringSubmatch(r.out)
	if found == nil {
		t.Fatalf("no count for %s\n%s\n%s", sam, r.out, r.errors)
	}
	return found[1]
}

// account signs in to this domain; change may alter how.
func (d *domain) account(name, password string, change ...func(*winauth.AccountOptions)) *winauth.Account {
	o := winauth.AccountOptions{Name: name, Password: connections.NewSecret(password), Domain: "corp.test", Resolver: d.reach.Resolver, Dial: d.reach.Dial, Clock: transport.SystemClock()}
	for _, f := range change {
		f(&o)
	}
	return winauth.NewAccount(o)
}

func (d *domain) trust() *winauth.Trust {
	return winauth.NewTrust(winauth.TrustOptions{Roots: d.roots, Clock: transport.SystemClock()})
}

// address gives the loopback interface one more address.
func address(t *testing.T, ip string) {
	t.Helper()
	r := newWorld(t).run(t, "ip", "address", "replace", ip+"/8", "dev", "lo")
	want(t, r, 0)
}

// authority issues certificates of servers.
type authority struct {
	roots *x509.CertPool
	cert  *x509.Certificate
	key   *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	a := authority{roots: x509.NewCertPool()}
	der := a.sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: "authority of corp.test"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}).Certificate[0]
	var err error
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.roots.AddCert(a.cert)
	return a
}

// sign issues a certificate; the first one is the authority's own.
func (a *authority) sign(t *testing.T, c *x509.Certificate) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	parent := a.cert
	if parent == nil {
		parent, a.key = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// issue gives a server its certificate.
func (a *authority) issue(t *testing.T, names ...string) tls.Certificate {
	t.Helper()
	return a.sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: names[0]}, DNSNames: names, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
}

// writePEM writes a new certificate, its key and the authority into a folder as
// cert.pem, key.pem and ca.pem.
func (a *authority) writePEM(t *testing.T, dir string, names ...string) {
	t.Helper()
	c := a.issue(t, names...)
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []struct {
		name, kind string
		der        []byte
	}{{"cert.pem", "CERTIFICATE", c.Certificate[0]}, {"key.pem", "PRIVATE KEY", key}, {"ca.pem", "CERTIFICATE", a.cert.Raw}} {
		var b bytes.Buffer
		if err := pem.Encode(&b, &pem.Block{Type: f.kind, Bytes: f.der}); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, f.name), b.String(), 0o600)
	}
}

// kinit makes a credential cache with MIT's own program.
func (d *domain) kinit(t *testing.T, name, password string, args ...string) string {
	t.Helper()
	cache := filepath.Join(d.dir(), "cc-"+strings.NewReplacer("@", "-", ".", "-").Replace(name))
	want(t, d.feed(t, password+"\n", "kinit", append(append([]string{"-c", "FILE:" + cache}, args...), name)...), 0)
	return cache
}
