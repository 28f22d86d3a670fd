//go:build integration

package integration

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/sim/onprem/sharepoint"
)

// The SharePoint farm, whose web server Apache is.
const (
	farmIP      = "127.0.0.12"
	farmHost    = "sharepoint.corp.test"
	ntlmHost    = "intranet.corp.test" // another name of it, which has no service principal name
	centralPort = "34567"
	farmSPN     = "HTTP/" + farmHost
)

const farmAdmin, farmReader = "spadmin@contoso.example", "spreader@contoso.example"

// farm is the simulated farm behind Apache, which tells it who has signed in.
type farm struct {
	*sharepoint.Farm
	apache *server
	faults atomic.Pointer[[]string]

	mu   sync.Mutex
	seen map[string]int // requests by web application, scheme and the name that Apache tells
}

// farm starts the farm, whose web applications have the host, and Apache before it, for
// as long as the case runs.
func (d *domain) farm(t *testing.T, host string, faults ...string) *farm {
	t.Helper()
	f := &farm{seen: map[string]int{}}
	f.faults.Store(&faults)
	var err error
	f.Farm, err = sharepoint.New(sharepoint.Options{
		Host: host, CentralPort: 34567, Sites: 600, Now: time.Now, Rand: rand.Reader, Strikes: func(string, int) bool { return false },
		Fault: func(name string) bool {
			on := f.faults.Load()
			return on != nil && slices.Contains(*on, name)
		},
		People: []sharepoint.Person{
			{Login: `CORP\spadmin`, Name: "SharePoint Admin", FarmAdministrator: true, Policy: sharepoint.FullRead, SiteAdministrator: true},
			{Login: `CORP\spreader`, Name: "Rita Reader", Reader: true},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	behind := httptest.NewServer(f)
	t.Cleanup(behind.Close)
	d.winbind(t)
	d.tellPasswords(t)
	f.apache = d.webServer(t, "sharepoint.conf", farmIP+":443", []string{farmHost, ntlmHost}, "KRB5_KTNAME", "/run/apache/keytab", "FARM_IP", farmIP, "FARM", behind.Listener.Addr().String())
	return f
}

// tellPasswords lets the web server ask winbindd whether passwords are right: it may open
// the pipe for that, and the folders above.
func (d *domain) tellPasswords(t *testing.T) {
	t.Helper()
	pipe := d.file("ad/state/winbindd_privileged")
	_, gid := webUser(t)
	give(t, -1, gid, pipe)
	for dir := filepath.Dir(pipe); dir != filepath.Dir(suite.dir); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o711); err != nil {
			t.Fatal(err)
		}
	}
}

// login is the account as the farm knows it. Apache says name@REALM of Kerberos, and of
// NTLM what the client said, here a UPN that begins with the name.
func login(said string) string {
	name, _, upn := strings.Cut(strings.TrimPrefix(said, `\`), "@")
	if upn {
		return `CORP\` + name
	}
	return name
}

// ServeHTTP implements http.Handler.
func (f *farm) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return
	}
	host, port, _ := strings.Cut(r.Host, ":")
	user, scheme, application := r.Header.Get("X-Remote-User"), r.Header.Get("X-Remote-Scheme"), "content"
	if port == centralPort {
		application = "central"
	}
	f.mu.Lock()
	f.seen[application+" "+scheme+" "+user]++
	f.mu.Unlock()
	const id = "3c5d1ea2-0000-4000-8000-000000000001"
	f.Greet(w.Header(), id)
	answer := f.Serve(&sharepoint.Request{
		Request: r, Secure: scheme == "https", Host: host, ID: id, Central: application == "central", Body: body, Login: login(user), Offers: []string{"Negotiate", "NTLM"},
	})
	maps.Copy(w.Header(), answer.Header)
	w.WriteHeader(answer.Status)
	_, _ = w.Write(answer.Body)
}

// heard is who has asked for what, and forgets it.
func (f *farm) heard() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := slices.Sorted(maps.Keys(f.seen))
	clear(f.seen)
	return list
}

// customer is a world with c2conn in it that knows the domain's DNS server and authority.
func (d *domain) customer(t *testing.T) world {
	t.Helper()
	w := newWorld(t)
	w["C2CONN_DNS"], w["SSL_CERT_FILE"], w["C2CONN_IDENTITY_FILE"] = controllerIP, d.file("tls/ca.pem"), filepath.Join(w.dir(), "identity.txt")
	return w
}

// secret writes a password into a file.
func (w world) secret(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(w.dir(), "password")
	write(t, name, text, 0o600)
	return name
}

// connectFarm are the flags of a connection to the farm at a host.
func connectFarm(host, name string, more ...string) []string {
	return append([]string{"new", "sharepoint", "--on-premises", "--sharepoint-url", "https://" + host, "--central-admin-url", "http://" + host + ":" + centralPort, "--ad-domain", "corp.test", "--name", name, "--output", "json"}, more...)
}

// verification is what c2conn says of a connection.
type verification struct {
	Verified bool
	Checks   []struct {
		ID, Status, Finding string
		Details             []string
	}
}

// said is what a check says, with its status before it and its details behind it.
func (v verification) said(id string) string {
	for _, c := range v.Checks {
		if c.ID == id {
			return c.Status + ": " + c.Finding + "\n" + strings.Join(c.Details, "\n")
		}
	}
	return "no check " + id
}

// wantSaid fails the case unless the checks say the texts.
func wantSaid(t *testing.T, r result, verified bool, texts map[string][]string) {
	t.Helper()
	var v verification
	if err := json.Unmarshal([]byte(r.out), &v); err != nil {
		t.Fatalf("%v\n%s\n%s", err, r.out, r.errors)
	}
	if v.Verified != verified {
		t.Errorf("verified %t, want %t", v.Verified, verified)
	}
	for id, list := range texts {
		for _, text := range list {
			if !strings.Contains(v.said(id), text) {
				t.Errorf("%s lacks %q:\n%s", id, text, v.said(id))
			}
		}
	}
}

func (f *farm) wantHeard(t *testing.T, list ...string) {
	t.Helper()
	if got := f.heard(); !slices.Equal(got, list) {
		t.Errorf("the farm heard of %q, want %q", got, list)
	}
}

func (d *domain) wantCount(t *testing.T, sam, want string) {
	t.Helper()
	if n := d.wrongPasswords(t, sam); n != want {
		t.Errorf("the domain counted %s wrong passwords of %s, want %s", n, sam, want)
	}
}

func farmCases(t *testing.T, d *domain) {
	check(t, "Apache before SharePoint: c2conn connects by Kerberos, to Central Administration over http, too", func(t *testing.T) {
		f, w := d.farm(t, farmHost), d.customer(t)
		want(t, w.run(t, "c2conn", connectFarm(farmHost, "it", "--admin-upn", farmAdmin, "--password-file", w.secret(t, userPassword))...), 0)
		heard := []string{"central http spadmin@CORP.TEST", "content https spadmin@CORP.TEST"}
		f.wantHeard(t, heard...)
		r := w.run(t, "c2conn", "verify", "it", "--output", "json")
		want(t, r, 0)
		wantSaid(t, r, true, map[string][]string{
			"sites":                  {"pass: 600 by SiteData"},
			"site":                   {"pass: opened", "Signed in to " + farmHost + ":443 with Kerberos.", `i:0#.w|corp\spadmin`},
			"central-administration": {"pass: opened, port 34567 over http", "with Kerberos, over http."},
		})
		f.wantHeard(t, heard...)
		d.wantCount(t, "spadmin", "0")
	})

	check(t, "Apache before SharePoint: c2conn connects with a ticket of kinit, by alternate UPN", func(t *testing.T) {
		f, w := d.farm(t, farmHost), d.customer(t)
		w["KRB5CCNAME"] = "FILE:" + d.kinit(t, farmAdmin, userPassword, "-E", "-C")
		r := w.run(t, "c2conn", connectFarm(farmHost, "tickets", "--admin-upn", farmAdmin, "--kerberos")...)
		want(t, r, 0)
		wantSaid(t, r, true, map[string][]string{"site": {"with Kerberos"}, "central-administration": {"with Kerberos, over http."}})
		f.wantHeard(t, "central http spadmin@CORP.TEST", "content https spadmin@CORP.TEST")
	})

	check(t, "Apache before SharePoint: NTLM by a name without service principal name, over http where that is allowed alone", func(t *testing.T) {
		f, w := d.farm(t, ntlmHost), d.customer(t)
		flags := []string{"--admin-upn", farmAdmin, "--password-file", w.secret(t, userPassword)}
		r := w.run(t, "c2conn", connectFarm(ntlmHost, "it", flags...)...)
		want(t, r, 3)
		const ntlm, why = "Signed in to " + ntlmHost + ":443 with NTLM.", "knows no service HTTP/" + ntlmHost
		wantSaid(t, r, false, map[string][]string{
			"sites": {"pass: 600 by SiteData"}, "site": {"pass: opened", ntlm, why}, "central-administration": {"fail: NTLM over http is not allowed"},
		})
		// What the client says of itself, without a domain.
		f.wantHeard(t, `content https \`+farmAdmin)
		r = w.run(t, "c2conn", connectFarm(ntlmHost, "it", append(flags, "--allow-plain-ntlm")...)...)
		want(t, r, 0)
		wantSaid(t, r, true, map[string][]string{"site": {ntlm, why}, "central-administration": {"pass: opened, port 34567 over http", "with NTLM, over http.", why}})
		f.wantHeard(t, `central http \`+farmAdmin, `content https \`+farmAdmin)
		d.wantCount(t, "spadmin", "0")
	})

	for _, c := range []struct{ method, host, sam string }{{"Kerberos", farmHost, "w-farm"}, {"NTLM", ntlmHost, "w-farm-ntlm"}} {
		check(t, "Apache before SharePoint: one wrong password is one failed sign-in, with "+c.method, func(t *testing.T) {
			f, w := d.farm(t, c.host), d.customer(t)
			r := w.run(t, "c2conn", connectFarm(c.host, "it", "--admin-upn", c.sam+"@contoso.example", "--password-file", w.secret(t, "wrong"), "--allow-plain-ntlm")...)
			want(t, r, 3)
			for _, id := range []string{"sites", "site", "central-administration"} {
				wantSaid(t, r, false, map[string][]string{id: {"fail: the password is wrong"}})
			}
			f.wantHeard(t)
			d.wantCount(t, c.sam, "1")
		})

		check(t, "Apache before SharePoint: no right is told from a wrong password, as 403 and as 401, with "+c.method, func(t *testing.T) {
			f, w := d.farm(t, c.host, "ca-401"), d.customer(t)
			connect := func() result {
				return w.run(t, "c2conn", connectFarm(c.host, "it", "--admin-upn", farmReader, "--password-file", w.secret(t, userPassword), "--allow-plain-ntlm")...)
			}
			told := map[string][]string{"sites": {"warn: 300 by search, no right to list all", "Not by SiteData: no right"}, "site": {"pass: opened"}, "central-administration": {"fail: no right"}}
			for range 2 {
				r := connect()
				want(t, r, 5)
				wantSaid(t, r, false, told)
				f.faults.Store(nil)
			}
			d.wantCount(t, "spreader", "0")
		})
	}

	check(t, "Apache before SharePoint: one wrong password is one failed sign-in by NTLM, where no domain controller is in reach", func(t *testing.T) {
		f, w := d.farm(t, ntlmHost), d.customer(t)
		w["C2CONN_DNS"], w["C2CONN_CONNECT_TO"] = farmIP, fmt.Sprintf("%[1]s:443:%[2]s:443,%[1]s:%[3]s:%[2]s:%[3]s", ntlmHost, farmIP, centralPort)
		connect := func(password string) result {
			return w.run(t, "c2conn", connectFarm(ntlmHost, "it", "--admin-upn", farmAdmin, "--password-file", w.secret(t, password), "--allow-plain-ntlm")...)
		}
		r := connect("wrong")
		want(t, r, 3)
		for _, id := range []string{"sites", "site", "central-administration"} {
			wantSaid(t, r, false, map[string][]string{id: {"fail: refused: wrong password, or no right"}})
		}
		f.wantHeard(t)
		r = connect(userPassword)
		want(t, r, 0)
		wantSaid(t, r, true, map[string][]string{"sites": {"pass: 600 by SiteData"}, "site": {"with NTLM."}, "central-administration": {"with NTLM, over http."}})
		// By UPN winbindd counts nothing, so the web server does.
		f.apache.stop()
		if said := f.apache.said.String(); strings.Count(said, "GSS ERROR") != 1 {
			t.Errorf("not one sign-in was refused:\n%s", said)
		}
	})
}
