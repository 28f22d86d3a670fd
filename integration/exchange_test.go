//go:build integration

package integration

import (
	"path/filepath"
	"strings"
	"testing"
)

// stranger runs a client that nobody here wrote at the company.
func (c *company) stranger(t *testing.T, program string, args ...string) map[string]refusal {
	t.Helper()
	var got map[string]refusal
	decode(t, c.inside(t, program, args...), &got)
	return got
}

func (c *company) exchangelib(t *testing.T, task string) map[string]refusal {
	t.Helper()
	return c.stranger(t, "/usr/bin/python3", filepath.Join(suite.clients, "exchangelib_onprem.py"), task)
}

func wantInboxes(t *testing.T, got map[string]refusal, ways ...string) {
	t.Helper()
	for _, way := range ways {
		if g := got[way]; g.Class != "none" || g.Inbox != "Inbox" || g.FolderClass != "IPF.Note" || !g.ID || g.Total < g.Unread {
			t.Errorf("%s: %+v", way, g)
		}
	}
}

func TestExchange(t *testing.T) {
	check(t, "exchangelib: NTLM by all names, Basic, impersonation, a mailbox that is not there", func(t *testing.T) {
		c := newCompany(t, "granted", "ews-basic")
		got := c.exchangelib(t, "good")
		ways := []string{"upn", "domain", "suffix", "basic", "other"}
		wantInboxes(t, got, ways...)
		for _, way := range ways {
			if !strings.HasPrefix(got[way].Build, "15.2.") || got[way].API == "" {
				t.Errorf("%s: version %q %q", way, got[way].Build, got[way].API)
			}
		}
		wantRefusal(t, "nobody", got["nobody"], "ErrorNonExistentMailbox", "")
		if n := c.close(t); n.Failed != 0 || n.SignIns["NTLM"] == 0 || n.SignIns["Basic"] == 0 {
			t.Errorf("%+v", n)
		}
	})

	check(t, "exchangelib: finds the server by Autodiscover and signs in", func(t *testing.T) {
		got := newCompany(t).exchangelib(t, "autodiscover")
		wantInboxes(t, got, "found")
	})

	check(t, "exchangelib: a wrong password is an UnauthorizedError", func(t *testing.T) {
		c := newCompany(t)
		wantRefusal(t, "wrong password", c.exchangelib(t, "wrong")["wrong"], "UnauthorizedError", "")
		if n := c.close(t); n.Failed == 0 {
			t.Errorf("%+v", n)
		}
	})

	for _, f := range []struct{ fault, class, text string }{
		{"", "ErrorImpersonateUserDenied", "impersonate"},
		{"impersonation-denied", "ErrorImpersonationDenied", ""},
		{"ews-busy", "ErrorServerBusy", "try again later"},
		{"ews-fault=ErrorAccessDenied", "ErrorAccessDenied", "Access is denied"},
	} {
		name := f.fault
		if name == "" {
			name = "no right"
		}
		check(t, "exchangelib: "+name+" is "+f.class, func(t *testing.T) {
			var faults []string
			if f.fault != "" {
				faults = []string{f.fault}
			}
			got := newCompany(t, faults...).exchangelib(t, "fault")["other"]
			wantRefusal(t, name, got, f.class, "")
			if !strings.Contains(strings.ToLower(got.Message), strings.ToLower(f.text)) {
				t.Errorf("%+v", got)
			}
		})
	}

	check(t, "ews-javascript-api: NTLM by all names, Basic, impersonation, a mailbox that is not there", func(t *testing.T) {
		c := newCompany(t, "granted", "ews-basic")
		got := c.stranger(t, "node", filepath.Join(suite.clients, "ews_javascript.mjs"))
		for _, way := range []string{"upn", "domain", "suffix", "basic", "other"} {
			wantInboxes(t, got, way)
			if !strings.HasPrefix(got[way].Build, "15.2.") {
				t.Errorf("%s: version %q", way, got[way].Build)
			}
		}
		wantRefusal(t, "nobody", got["nobody"], "ErrorNonExistentMailbox", "")
		if g := got["wrong"]; g.Class == "none" || !strings.Contains(g.Message, "401") {
			t.Errorf("wrong password: %+v", g)
		}
		if n := c.close(t); n.Failed == 0 || n.SignIns["NTLM"] == 0 || n.SignIns["Basic"] == 0 {
			t.Errorf("%+v", n)
		}
	})

	const inbox = `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages" xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types"><s:Header><t:RequestServerVersion Version="Exchange2013_SP1"/></s:Header><s:Body><m:GetFolder><m:FolderShape><t:BaseShape>Default</t:BaseShape></m:FolderShape><m:FolderIds><t:DistinguishedFolderId Id="inbox"/></m:FolderIds></m:GetFolder></s:Body></s:Envelope>`
	curl := []string{"--silent", "--show-error", "--fail", "--header", "Content-Type: text/xml; charset=utf-8", "--data", inbox}

	check(t, "MIT's kinit and kvno get tickets, and curl opens the inbox by Kerberos and by NTLM", func(t *testing.T) {
		c := newCompany(t)
		run := append(curl, "--cacert", c.world["SIM_CA_FILE"], c.world["SIM_EWS_URL"])
		password := filepath.Join(c.dir(), "password")
		write(t, password, c.password(t, "MESSAGING")+"\n", 0o600)
		want(t, c.inside(t, "sh", "-c", `kinit -C -E alice@contoso.example <"$0"`, password), 0)
		want(t, c.inside(t, "kvno", "HTTP/exch01.corp.test", "ldap/dc1.corp.test"), 0, "HTTP/exch01.corp.test@CORP.TEST: kvno = ", "ldap/dc1.corp.test@CORP.TEST: kvno = ")
		want(t, c.inside(t, "curl", append([]string{"--negotiate", "--user", ":"}, run...)...), 0, "<t:DisplayName>Inbox</t:DisplayName>")
		login := filepath.Join(c.dir(), "curlrc")
		write(t, login, `user = "`+c.world["SIM_ADMIN_UPN"]+":"+c.password(t, "ADMIN")+`"`, 0o600)
		want(t, c.inside(t, "curl", append([]string{"--ntlm", "--config", login}, run...)...), 0, "<t:DisplayName>Inbox</t:DisplayName>")
		if n := c.close(t); n.Failed != 0 || n.SignIns["Kerberos"] == 0 || n.SignIns["NTLM"] == 0 {
			t.Errorf("%+v", n)
		}
	})

	check(t, "curl, which binds no sign-in to the certificate, is refused where that is required", func(t *testing.T) {
		c := newCompany(t, "ep-require")
		password := filepath.Join(c.dir(), "password")
		write(t, password, c.password(t, "ADMIN")+"\n", 0o600)
		want(t, c.inside(t, "sh", "-c", `kinit exadmin@CORP.TEST <"$0"`, password), 0)
		run := append(curl, "--cacert", c.world["SIM_CA_FILE"], c.world["SIM_EWS_URL"])
		want(t, c.inside(t, "curl", append([]string{"--negotiate", "--user", ":"}, run...)...), 22, "401")
	})

	check(t, "c2conn, knowing nothing of the simulation: finds the server, gets the right, and signs in with kinit's tickets, too", func(t *testing.T) {
		c := newCompany(t)
		c.knows(t, c.world["SIM_CA_FILE"])
		want(t, c.inside(t, "c2conn", c.connect("it", "--autodiscover", "--grant-impersonation")...), 0, "https://exch01.corp.test/EWS/Exchange.asmx")
		want(t, c.inside(t, "c2conn", "verify", "it", "--output", "json"), 0, `"verified": true`)
		password := filepath.Join(c.dir(), "password")
		write(t, password, c.password(t, "ADMIN")+"\n", 0o600)
		want(t, c.inside(t, "sh", "-c", `kinit exadmin@CORP.TEST <"$0"`, password), 0)
		want(t, c.inside(t, "c2conn", "new", "exchange", "--on-premises", "--server", "exch01.corp.test", "--admin-upn", c.world["SIM_ADMIN_UPN"], "--kerberos", "--name", "tickets"), 0)
		want(t, c.inside(t, "c2conn", "verify", "tickets", "--output", "json"), 0, `"verified": true`)
		if n := c.close(t); n.Failed != 0 || n.SignIns["NTLM"]+n.SignIns["Basic"] != 0 {
			t.Errorf("not all by Kerberos: %+v", n)
		}
	})
}

// knows makes c2conn look for everything where it would look in a real network: it
// trusts these authorities, and has no variable that leads to the simulation.
func (c *company) knows(t *testing.T, authorities ...string) {
	t.Helper()
	var all strings.Builder
	for _, a := range authorities {
		all.WriteString(read(t, a))
	}
	c.world["SSL_CERT_FILE"] = filepath.Join(c.dir(), "authorities.pem")
	write(t, c.world["SSL_CERT_FILE"], all.String(), 0o644)
	c.world["C2CONN_IDENTITY_FILE"] = filepath.Join(c.dir(), "identity.txt")
	delete(c.world, "C2CONN_DNS")
	delete(c.world, "C2CONN_CONNECT_TO")
}

// connect are the flags of a new connection with the administrator's password.
func (c *company) connect(name string, more ...string) []string {
	return append([]string{
		"new", "exchange", "--on-premises", "--admin-upn", c.world["SIM_ADMIN_UPN"], "--password-file", c.world["SIM_ADMIN_PASSWORD_FILE"], "--name", name,
	}, more...)
}
