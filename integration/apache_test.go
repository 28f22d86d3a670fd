//go:build integration

package integration

import (
	"io"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/internal/transport"
	"github.com/c2conn/c2conn/internal/winauth"
)

// httpClient is the account's own client.
func (d *domain) httpClient(a *winauth.Account, methods ...winauth.Method) *http.Client {
	return a.HTTP(winauth.HTTPOptions{Trust: d.trust(), Methods: methods, Clock: transport.SystemClock()})
}

// answer is what a web server said.
type answer struct {
	status     int
	user, body string
}

// post sends a body, which must come whole however the sign-in goes.
func post(t *testing.T, client *http.Client, url, body string) (answer, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header.Get("X-Remote-User"), string(b)}, nil
}

// webServer starts Apache with a configuration of ours, for as long as the case runs. In
// its mount namespace its folder is /run/apache, with certificate, keytab and krb5.conf.
func (d *domain) webServer(t *testing.T, config, address string, names []string, variables ...string) *server {
	t.Helper()
	dir := d.webFolder(t)
	d.writePEM(t, dir, names...)
	write(t, filepath.Join(dir, "keytab"), read(t, d.keytab()), 0o600)
	write(t, filepath.Join(dir, "krb5.conf"), read(t, d.world["KRB5_CONFIG"]), 0o644)
	uid, gid := webUser(t)
	give(t, uid, gid, dir, filepath.Join(dir, "keytab"))
	w := d.with("KRB5_CONFIG", "/run/apache/krb5.conf", "TMPDIR", "/run/apache").with(variables...)
	program, args := d.private("apache2", "-f", filepath.Join(suite.servers, config), "-D", "FOREGROUND")
	s := w.serve(t, program, args...)
	t.Cleanup(func() {
		if s.stop(); t.Failed() {
			t.Logf("Apache said:\n%s", s.said.String())
		}
	})
	d.await(t, address)
	return s
}

// webFolder is the folder of the web server, made if need be.
func (d *domain) webFolder(t *testing.T) string {
	t.Helper()
	dir := d.file("run/apache")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// give makes files a user's and a group's; -1 changes nothing.
func give(t *testing.T, uid, gid int, files ...string) {
	t.Helper()
	for _, name := range files {
		if err := os.Chown(name, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
}

// webUser is the user and the group that Apache runs as.
func webUser(t *testing.T) (uid, gid int) {
	t.Helper()
	u, err := user.Lookup("www-data")
	if err != nil {
		t.Fatal(err)
	}
	if uid, err = strconv.Atoi(u.Uid); err != nil {
		t.Fatal(err)
	}
	if gid, err = strconv.Atoi(u.Gid); err != nil {
		t.Fatal(err)
	}
	return uid, gid
}

// apache starts the web server exch01.corp.test, for as long as the case runs.
func (d *domain) apache(t *testing.T) {
	t.Helper()
	dir := d.webFolder(t)
	pages, users := filepath.Join(dir, "htdocs"), filepath.Join(dir, "users")
	if err := os.MkdirAll(pages, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, page := range []string{"kerberos", "ntlm"} {
		write(t, filepath.Join(pages, page), "page "+page+"\n", 0o644)
	}
	write(t, users, "CORP:exadmin:"+exadminPassword+"\n", 0o600)
	uid, gid := webUser(t)
	give(t, uid, gid, users)
	d.webServer(t, "httpd.conf", webIP+":443", []string{webHost}, "NTLM_USER_FILE", "/run/apache/users", "WEB_IP", webIP)
}

func apacheCases(t *testing.T, d *domain) {
	check(t, "Apache: Kerberos with the password, with the alternate UPN, with a ticket of kinit", func(t *testing.T) {
		d.apache(t)
		cache := d.kinit(t, "exadmin@CORP.TEST", exadminPassword)
		for _, c := range []struct {
			account *winauth.Account
			user    string
		}{
			{d.account(exadmin, exadminPassword), "exadmin@CORP.TEST"},
			{d.account(alice, alicePassword), "asmith@CORP.TEST"},
			{d.account(exadmin, "", func(o *winauth.AccountOptions) { o.Cache = cache }), "exadmin@CORP.TEST"},
		} {
			client := d.httpClient(c.account)
			for range 3 {
				if got, err := post(t, client, "https://"+webHost+"/kerberos", "soap"); err != nil || got.status != 200 || got.user != c.user {
					t.Fatalf("%s: %+v %v", c.user, got, err)
				}
			}
			if s, ok := c.account.SignIn(webHost); !ok || s.Method != winauth.Kerberos {
				t.Errorf("%s: %+v", c.user, s)
			}
		}
	})

	check(t, "Apache: NTLM of gss-ntlmssp, one sign-in for a connection; a wrong password", func(t *testing.T) {
		d.apache(t)
		a := d.account(`CORP\exadmin`, exadminPassword)
		client := d.httpClient(a, winauth.NTLM)
		for range 3 {
			if got, err := post(t, client, "https://"+webHost+"/ntlm", "soap"); err != nil || got.status != 200 || !strings.EqualFold(got.user, `CORP\exadmin`) {
				t.Fatalf("%+v %v", got, err)
			}
		}
		if s, ok := a.SignIn(webHost); !ok || s.Method != winauth.NTLM {
			t.Errorf("%+v", s)
		}
		_, err := post(t, d.httpClient(d.account(`CORP\exadmin`, "wrong"), winauth.NTLM), "https://"+webHost+"/ntlm", "soap")
		wantError[*winauth.WrongPasswordError](t, "NTLM", err)
	})

	check(t, "Apache: one wrong password is one failed sign-in", func(t *testing.T) {
		d.apache(t)
		client := d.httpClient(d.account("w-apache@contoso.example", "wrong"))
		for _, page := range []string{"/kerberos", "/ntlm", "/kerberos"} {
			_, err := post(t, client, "https://"+webHost+page, "soap")
			wantError[*winauth.WrongPasswordError](t, page, err)
		}
		if n := d.wrongPasswords(t, "w-apache"); n != "1" {
			t.Errorf("the domain counted %s", n)
		}
	})
}
