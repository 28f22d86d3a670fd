package wizard

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/cloud"
)

// The keys of the fields that on-premises connections have.
const (
	keyReach      = "server_by"
	keyServer     = "server"
	keyEWS        = "ews_url"
	keyPowerShell = "powershell_url"
	keyADDomain   = "ad_domain"
	keySignInBy   = "sign_in"
	keyTickets    = "ticket_cache"
	keyPassRef    = "password_ref" //nolint:gosec // the name of a field
	keyGrant      = "grant_impersonation"
	keyCertSum    = "certificate_sha256"
	keyTrust      = "trust"

	// What a verification came across: a certificate that nobody vouches for.
	foundUntrusted = "found.untrusted" // "yes"; its note describes the certificate
	foundSum       = "found.certificate_sha256"
	foundPins      = "found.pins" // those that were accepted before, host and sum a line
)

// The values of keyReach.
const (
	byAutodiscover = "autodiscover"
	byAddress      = "manual"
)

// The values of keySignInBy; byReference and byKeeping are others.
const (
	byPassword = "password"
	byTickets  = "tickets"
)

// onPremises is the condition of everything that concerns servers of one's own.
func onPremises() Cond { return Is(keyLocation, string(connections.OnPremises)) }

// exchangeServerStep is the step "Server connection" of seed 002.
func exchangeServerStep() Step {
	return Step{
		ID: "server", Title: "Server connection",
		Help: "Autodiscover finds the server by the administrator's account: in Active Directory, in DNS, and at the usual addresses; Details show every place that was " +
			"looked at. Or name one server: by its full name (FQDN), for example exch01.contoso.com. The EWS URL follows from it; change it where yours differs. " +
			"With an IP address instead of a name Kerberos cannot be used.",
		When: []Cond{onPremises()},
		Fields: []Field{
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
			{Key: keyCertSum, Title: "Certificate to trust (SHA-256)", Help: "Of the server; 64 hexadecimal digits.", FlagHelp: "trust the server's certificate that has this SHA-256, though no authority vouches for it",
				Check: checkSum, Optional: true, ScriptOnly: true, When: []Cond{onPremises()}},
			{Key: keyTrust, Title: "Trust this certificate?", Help: "It is pinned: another one is refused from then on.", Input: Choice, Flag: "-", Confirms: true,
				When: []Cond{onPremises(), Is(foundUntrusted, yes)},
				Options: Fixed(
					Option{Value: no, Title: "No", Help: "Nothing is sent to this server."},
					Option{Value: yes, Flag: "trust-certificate", Title: "Yes, it is my server's certificate", FlagHelp: "trust the certificate that the server shows the first time, and no other from then on; --certificate-sha256 is safer", Help: "Compare the SHA-256 with the server's first."},
				),
				Default: func(*Env, Answers) string { return no },
				Check: func(_ *Env, a Answers, v string) (string, error) {
					if v == no && a.Get(foundUntrusted) == yes {
						return v, errors.New("nothing is sent to the server until its certificate is trusted")
					}
					return v, nil
				}},
		},
		Notice: serverNotice,
	}
}

// CertificateError says that a server shows a certificate that no authority vouches for,
// and that nobody has said to trust.
type CertificateError struct {
	Description string
	Given       string // SHA-256 that was given, and is another
}

func (e *CertificateError) Error() string {
	if e.Given != "" {
		return "it is not the one with the given SHA-256 (" + e.Given + "), so nothing was sent. " + e.Description
	}
	return "nobody has said to trust it, so nothing was sent. " + e.Description + " Compare the SHA-256 with the server's own, then trust it"
}

// ipNotice is the seed's warning.
const ipNotice = "By an IP address Kerberos cannot be used. First allow basic authentication for the PowerShell virtual directory in IIS on that server; otherwise c2conn can neither grant " +
	"impersonation rights nor list the mailboxes, and the verification fails. The full name of the server (FQDN) needs none of that."

func serverNotice(a Answers) string {
	if a.Get(foundUntrusted) == yes {
		return a[foundUntrusted].Note
	}
	if isIP(a.Get(keyServer)) && a.Get(keyReach) == byAddress {
		return ipNotice
	}
	return ""
}

// exchangeAdminStep is the step "Admin's credentials" of seed 002.
func exchangeAdminStep() Step {
	return Step{
		ID: "admin", Title: "Admin's credentials",
		Help: "The account that the software will use. It needs a mailbox, a user name whose ending (UPN suffix) the domain knows, and the right to impersonate: to act for other " +
			"mailboxes. Members of Organization Management may grant that right, but do not have it by themselves. Administrators are offered from Active Directory as soon as you can " +
			"sign in there: by the Kerberos ticket of whoever is logged on, or when the password is typed. For another domain, change the domain first. A name of a domain that is not trusted has to be typed.",
		When: []Cond{onPremises()},
		Fields: []Field{
			{Key: keyADDomain, Title: "Active Directory domain", Help: "Left empty, it follows from the user name or the server.", Example: "corp.contoso.com", Optional: true,
				FlagHelp: "DNS name of the Active Directory domain, where it is not the ending of the user name", Check: checkADDomain, Suggest: suggestDomains, When: []Cond{onPremises()}},
			{Key: keyAdminUPN, Title: "Administrator's UPN", Help: "User name like name@domain. Yours is proposed if it is known.", Example: "admin@contoso.com",
				FlagHelp: "user name (UPN) of the administrator's account on the premises", Check: checkUPN, Suggest: suggestAdministrators, When: []Cond{onPremises()},
				Default: func(env *Env, _ Answers) string { return signedInUser(env) }},
			{Key: keySignInBy, Title: "Sign in with", Input: Choice, Flag: "-", When: []Cond{onPremises()},
				Options: Fixed(
					Option{Value: byPassword, Title: "A password", Help: "Kept encrypted."},
					Option{Value: byTickets, Flag: "kerberos", Title: "The Kerberos tickets of whoever is logged on", FlagHelp: "sign in with the Kerberos tickets in the cache (KRB5CCNAME, --ticket-cache)", Help: "As kinit got them; they end after some hours."},
					Option{Value: byReference, Title: "A password kept elsewhere", Help: "Read each time from file:, env: or exec:."},
				),
				Default: func(_ *Env, a Answers) string {
					if a.Has(keyTickets) {
						return byTickets
					}
					return byPassword
				}},
			{Key: keyAdminSecret, Title: "Password", Flag: "password", Input: Secret, When: []Cond{Is(keySignInBy, byPassword)}, Help: "A wrong one is tried once only, so that it does not lock the account."},
			{Key: keyTickets, Title: "Ticket cache", Help: "A file; left empty, the one that KRB5CCNAME names.", Input: Path, Optional: true, When: []Cond{Is(keySignInBy, byTickets)}},
			{Key: keyPassRef, Title: "Where the password is kept", Help: "file:PATH, env:NAME or exec:COMMAND.", Example: "exec:pass show exchange", FlagHelp: "where the password is kept: file:PATH, env:NAME or exec:COMMAND",
				Check: checkReference, When: []Cond{Is(keySignInBy, byReference)}},
			{Key: keyGrant, Title: "Where the impersonation right is missing", Input: Choice, Flag: "-", When: []Cond{onPremises()},
				Options: Fixed(
					Option{Value: no, Title: "Only say so", Help: "Nothing is changed on the server."},
					Option{Value: yes, Flag: "grant-impersonation", Title: "Grant it to this account", FlagHelp: "grant the role ApplicationImpersonation to the account where it is missing", Help: "One role assignment, named “c2conn impersonation …”."},
				),
				Default: func(*Env, Answers) string { return no }},
		},
	}
}

// derivedEWS is the usual EWS URL of a server.
func derivedEWS(server string) string { return "https://" + bracketed(server) + "/EWS/Exchange.asmx" }

// fillExchange gives a connection the addresses that its answers tell.
func fillExchange(env *Env, a Answers, in cloud.Cloud, c *connections.Connection) {
	if c.Location != connections.OnPremises {
		fillEWS(env, a, in, c)
		return
	}
	c.Account = a.Get(keyAdminUPN)
	c.Endpoints = connections.Endpoints{PowerShell: a.Get(keyPowerShell), Domain: a.Get(keyADDomain)}
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
	set(keyAdminUPN, c.Account)
	set(keyADDomain, c.Endpoints.Domain)
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
	if u, err := url.Parse(c.Endpoints.EWS); err == nil && u.Host != "" {
		set(keyCertSum, c.Pins[net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "443"))])
	}
	switch c.Credential.Type {
	case connections.TypeTicketCache:
		set(keySignInBy, byTickets)
		set(keyTickets, c.Credential.Cache)
	case connections.TypePassword:
		set(keySignInBy, byPassword)
		switch c.Credential.Secret.Scheme() {
		case connections.SchemeFile, connections.SchemeEnv, connections.SchemeExec:
			set(keySignInBy, byReference)
			set(keyPassRef, string(c.Credential.Secret))
		}
	}
}

func isIP(s string) bool { return net.ParseIP(strings.Trim(s, "[]")) != nil }

// bracketed is a host as it stands in a URL.
func bracketed(host string) string {
	if ip := net.ParseIP(host); ip != nil && ip.To4() == nil {
		return "[" + host + "]"
	}
	return host
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
	case domainPattern().MatchString(v):
		return strings.ToLower(v), nil
	case !strings.ContainsAny(v, ". /:@"):
		return v, fmt.Errorf("%q is a short name; give the full name (FQDN) with its domain, for example %s.contoso.com", v, strings.ToLower(v))
	}
	return v, errors.New("neither a server name such as exch01.contoso.com nor an IP address")
}

// address reads an absolute URL of one of the schemes without user, query and fragment.
func address(v string, schemes ...string) (*url.URL, error) {
	u, err := url.Parse(v)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		return nil, fmt.Errorf("no address; it begins with %s://", strings.Join(schemes, ":// or "))
	case u.User != nil:
		return nil, errors.New("an address must hold neither user name nor password")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("leave out what follows the path (? and #)")
	}
	for _, s := range schemes {
		if strings.EqualFold(u.Scheme, s) {
			return u, nil
		}
	}
	return nil, fmt.Errorf("the address must begin with %s://", strings.Join(schemes, ":// or "))
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

func checkSum(_ *Env, _ Answers, v string) (string, error) {
	v = strings.ToUpper(strings.NewReplacer(":", "", " ", "", "-", "").Replace(trim(v)))
	if len(v) != 64 || strings.Trim(v, "0123456789ABCDEF") != "" {
		return v, errors.New("a SHA-256 has 64 hexadecimal digits; the thumbprint that Windows shows is a SHA-1 (40 digits) and does not do")
	}
	return v, nil
}

func checkADDomain(_ *Env, _ Answers, v string) (string, error) {
	v = strings.ToLower(strings.TrimSuffix(trim(v), "."))
	if domainPattern().MatchString(v) {
		return v, nil
	}
	return v, errors.New("give the DNS name of the domain, for example corp.contoso.com, not its short (NetBIOS) name")
}

// checkUPN takes what looks like a user principal name. Its suffix need not be a
// domain of the DNS.
func checkUPN(_ *Env, _ Answers, v string) (string, error) {
	v = trim(v)
	user, suffix, ok := strings.Cut(v, "@")
	switch {
	case hidden(v):
		return v, errHidden
	case strings.Contains(v, `\`):
		_, name, _ := strings.Cut(v, `\`)
		return v, fmt.Errorf("this is the older form; give the UPN, for example %s@contoso.com (PS> Get-ADUser %s shows it)", name, name)
	case !ok || user == "" || suffix == "" || strings.ContainsAny(v, " \t/") || strings.Contains(suffix, "@"):
		return v, fmt.Errorf("%q is no user name (UPN); it looks like admin@contoso.com", v)
	}
	return v, nil
}
