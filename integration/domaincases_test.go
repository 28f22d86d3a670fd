//go:build integration

package integration

import (
	"strings"
	"testing"
)

// TestDomain signs in to a real domain controller, Samba's, and to servers that
// nobody here wrote.
func TestDomain(t *testing.T) {
	d := newDomain(t)
	kerberosCases(t, d)
	directoryCases(t, d)
	apacheCases(t, d)
	ntlmCases(t, d)
	gssapiCases(t, d)
	farmCases(t, d)

	check(t, "c2conn: a real directory leads to the simulated Exchange Server, which takes NTLM", func(t *testing.T) {
		c := newCompany(t, "no-kerberos", "powershell-basic")
		var exchange []string
		for entry := range strings.SplitSeq(c.world["C2CONN_CONNECT_TO"], ",") {
			if strings.HasPrefix(entry, webHost+":") {
				exchange = append(exchange, entry)
			}
		}
		c.knows(t, c.world["SIM_CA_FILE"], d.file("tls/ca.pem"))
		c.world["C2CONN_DNS"], c.world["C2CONN_CONNECT_TO"] = controllerIP, strings.Join(exchange, ",")
		r := c.run(t, "c2conn", c.connect("it", "--autodiscover", "--grant-impersonation", "--output", "json")...)
		// The last one is how the service connection point writes it.
		want(t, r, 0, `"verified": true`, `"ews": "https://exch01.corp.test/EWS/Exchange.asmx"`, "https://exch01.corp.test/Autodiscover/Autodiscover.xml")
		want(t, c.run(t, "c2conn", "verify", "it"), 0)
		if n := d.wrongPasswords(t, "exadmin"); n != "0" {
			t.Errorf("the domain counted %s wrong passwords", n)
		}
		if n := c.close(t); n.Failed != 0 || n.SignIns["Kerberos"] != 0 || n.SignIns["NTLM"] == 0 {
			t.Errorf("%+v", n)
		}
	})
}
