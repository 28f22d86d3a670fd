package wizard

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/cloud"
)

// The keys of the fields that only connections to an Exchange Server have.
const (
	keyReach      = "server_by"
	keyServer     = "server"
	keyEWS        = "ews_url"
	keyPowerShell = "powershell_url"
	keyGrant      = "grant_impersonation"
)

// The values of keyReach.
const (
	byAutodiscover = "autodiscover"
	byAddress      = "manual"
)

// exchangeServerStep is the step "Server connection" of seed 002.
func exchangeServerStep() Step {
	return Step{
		ID: "server", Title: "Server connection",
		Help: "Autodiscover finds the server by the administrator's account: in Active Directory, in DNS, and at the usual addresses; Details show every place that was " +
			"looked at. Or name one server: by its full name (FQDN), for example exch01.contoso.com. The EWS URL follows from it; change it where yours differs. " +
			"With an IP address instead of a name Kerberos cannot be used.",
		When: []Cond{onPremises()},
		Fields: append([]Field{
			{Key: keyReach, Title: "How is the server found?", Input: Choice, Flag: "-", When: []Cond{onPremises()},
				Options: Fixed(
					Option{Value: byAutodiscover, Flag: "autodiscover", Title: "Autodiscover Exchange Server", FlagHelp: "find the Exchange server by the administrator's account", Help: "By the account of the next step."},
					Option{Value: byAddress, Title: "Configure connection manually", Help: "You name the server."},
				),
				Default: func(_ *Env, a Answers) string {
					if a.Has(keyServer) || a.Has(keyEWS) {
						return byAddress
					}
					return byAutodiscover
				}},
			{Key: keyServer, Title: "Server name (FQDN) or IP address", Help: "The name that the certificate has, not that of a load balancer if you can choose.", Example: "exch01.contoso.com",
				FlagHelp: "name (FQDN) or IP address of the Exchange server", Check: checkServer, When: []Cond{Is(keyReach, byAddress)},
				Default: func(_ *Env, a Answers) string { // of a URL that was given alone
					if u, err := url.Parse(a.Get(keyEWS)); err == nil && a[keyEWS].Origin != FromDefault {
						return u.Hostname()
					}
					return ""
				}},
			{Key: keyEWS, Title: "EWS URL", Help: "Filled in by the server's name; change it only if yours differs.", Example: "https://exch01.contoso.com/EWS/Exchange.asmx",
				Check: checkEWS, When: []Cond{Is(keyReach, byAddress)},
				Default: func(_ *Env, a Answers) string {
					if a.Has(keyServer) {
						return derivedEWS(a.Get(keyServer))
					}
					return ""
				}},
			{Key: keyPowerShell, Title: "PowerShell URL", Help: "Where remote PowerShell is, if not at http(s)://SERVER/PowerShell/.", Example: "http://exch01.contoso.com/PowerShell/",
				FlagHelp: "address of Exchange's remote PowerShell, where it is not /PowerShell/ on the server", Check: checkPowerShell, Optional: true, ScriptOnly: true, When: []Cond{onPremises()}},
		}, trustFields()...),
		Notice: serverNotice,
	}
}

// ipNotice is the seed's warning.
const ipNotice = "By an IP address Kerberos cannot be used. First allow basic authentication for the PowerShell virtual directory in IIS on that server; otherwise c2conn can neither grant " +
	"impersonation rights nor list the mailboxes, and the verification fails. The full name of the server (FQDN) needs none of that."

func serverNotice(a Answers) string {
	if isIP(a.Get(keyServer)) && a.Get(keyReach) == byAddress {
		return ipNotice
	}
	return ""
}

// exchangeRights says what the account must be and be allowed, in the one line that a
// screen of 80×24 has left; the help explains it.
const exchangeRights = "Needs mailbox, UPN suffix, impersonation right."

// exchangeAdminStep is the step "Admin's credentials" of seed 002.
func exchangeAdminStep() Step {
	st := serverAdminStep("The account that the software will use. It needs a mailbox, a user name whose ending (UPN suffix) the domain knows, and the right to impersonate: to act for other "+
		"mailboxes. Members of Organization Management may grant that right, but do not have it by themselves. "+browseHelp, upnField(suggestAdministrators(mailRemark)), "exchange",
		Field{Key: keyGrant, Title: "Where the impersonation right is missing", Input: Choice, Flag: "-", When: []Cond{onPremises()},
			Options: Fixed(
				Option{Value: no, Title: "Only say so", Help: "Nothing is changed on the server."},
				Option{Value: yes, Flag: "grant-impersonation", Title: "Grant it to this account", FlagHelp: "grant the role ApplicationImpersonation to the account where it is missing", Help: "One role assignment, named “c2conn impersonation …”."},
			),
			Default: func(*Env, Answers) string { return no }},
	)
	st.Notice = func(Answers) string { return exchangeRights }
	return st
}

// derivedEWS is the usual EWS URL of a server.
func derivedEWS(server string) string { return "https://" + bracketed(server) + "/EWS/Exchange.asmx" }

// fillExchange gives a connection the addresses that its answers tell.
func fillExchange(env *Env, a Answers, in cloud.Cloud, c *connections.Connection) {
	if c.Location != connections.OnPremises {
		fillEWS(env, a, in, c)
		return
	}
	fillServer(a, c)
	c.Endpoints.PowerShell = a.Get(keyPowerShell)
	if a.Get(keyReach) == byAddress {
		c.Endpoints.Server, c.Endpoints.EWS = a.Get(keyServer), a.Get(keyEWS)
		if u, err := url.Parse(c.Endpoints.EWS); err == nil {
			c.Endpoints.Server = cmp.Or(c.Endpoints.Server, u.Hostname())
		}
	}
}

// loadExchange answers the fields of a saved connection.
func loadExchange(c connections.Connection, set func(key, text string)) {
	if c.Location != connections.OnPremises {
		return
	}
	loadServer(c, set)
	set(keyPowerShell, c.Endpoints.PowerShell)
	if c.Endpoints.Autodiscover != "" || c.Endpoints.EWS == "" {
		set(keyReach, byAutodiscover)
	} else {
		set(keyReach, byAddress)
		set(keyServer, c.Endpoints.Server)
		if c.Endpoints.EWS != derivedEWS(c.Endpoints.Server) { // else it follows the server
			set(keyEWS, c.Endpoints.EWS)
		}
	}
}

func checkServer(_ *Env, _ Answers, v string) (string, error) {
	v = strings.TrimSuffix(trim(v), ".")
	switch {
	case hidden(v):
		return v, errHidden
	case strings.Contains(v, "://"):
		return v, errors.New("this is a web address; give the name of the server alone, for example exch01.contoso.com")
	case isIP(v):
		return strings.Trim(v, "[]"), nil
	case asciiName(v) != nil:
		return v, asciiName(v)
	case domainPattern().MatchString(v):
		return strings.ToLower(v), nil
	case !strings.ContainsAny(v, ". /:@"):
		return v, fmt.Errorf("%q is a short name; give the full name (FQDN) with its domain, for example %s.contoso.com", v, strings.ToLower(v))
	}
	return v, errors.New("neither a server name such as exch01.contoso.com nor an IP address")
}

func checkEWS(_ *Env, _ Answers, v string) (string, error) {
	v = trim(v)
	if hidden(v) {
		return v, errHidden
	}
	u, err := address(v, "https")
	if err != nil {
		return v, err
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = "/EWS/Exchange.asmx"
	}
	return u.String(), nil
}

func checkPowerShell(_ *Env, _ Answers, v string) (string, error) {
	v = trim(v)
	if hidden(v) {
		return v, errHidden
	}
	u, err := address(v, "http", "https")
	if err != nil {
		return v, err
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = "/PowerShell/"
	}
	return u.String(), nil
}
