package wizard

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/net/idna"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/transport"
)

// The keys of the fields that on-premises connections have.
const (
	keyADDomain = "ad_domain"
	keySignInBy = "sign_in"
	keyTickets  = "ticket_cache"
	keyPassRef  = "password_ref" //nolint:gosec // the name of a field
	keyCertSum  = "certificate_sha256"
	keyTrust    = "trust"

	// What a verification came across: a certificate that nobody vouches for.
	foundUntrusted = "found.untrusted" // "yes"; its note describes the certificate
	foundSum       = "found.certificate_sha256"
	foundPins      = "found.pins" // those that were accepted before, host and sum a line
)

// The values of keySignInBy; byReference and byKeeping are others.
const (
	byPassword = "password"
	byTickets  = "tickets"
)

// onPremises is the condition of everything that concerns servers of one's own.
func onPremises() Cond { return Is(keyLocation, string(connections.OnPremises)) }

// trustFields ask for the certificates to trust that no authority vouches for.
func trustFields() []Field {
	return []Field{
		{Key: keyCertSum, Title: "Certificate to trust (SHA-256)", Help: "Of the server; 64 hexadecimal digits. Several with commas.", FlagHelp: "trust the server's certificate that has this SHA-256, though no authority vouches for it; several with commas",
			Check: checkSum, Optional: true, ScriptOnly: true, When: []Cond{onPremises()}},
		{Key: keyTrust, Title: "Trust this certificate?", Help: "It is pinned: another one is refused from then on.", Input: Choice, Flag: "-", Confirms: true,
			When: []Cond{onPremises(), Is(foundUntrusted, yes)},
			Options: Fixed(
				Option{Value: no, Title: "No", Help: "Nothing is sent to this server."},
				Option{Value: yes, Flag: "trust-certificate", Title: "Yes, it is my server's certificate", FlagHelp: "trust the certificate that the server shows the first time, and no other from then on; --certificate-sha256 is safer", Help: "Compare the SHA-256 with the server's first."},
			),
			Notice:  func(a Answers) string { return a[foundUntrusted].Note },
			Default: func(*Env, Answers) string { return no },
			Check: func(_ *Env, a Answers, v string) (string, error) {
				if v == no && a.Get(foundUntrusted) == yes {
					return v, errors.New("nothing is sent to the server until its certificate is trusted")
				}
				return v, nil
			}},
	}
}

// CertificateError says that a server shows a certificate that no authority vouches for,
// and that nobody has said to trust.
type CertificateError struct {
	Description string
	Given       string // SHA-256 that was given, and is another; several with commas
	Matched     string // those of Given that other servers of the connection showed
	Shown       string // SHA-256
}

func (e *CertificateError) Error() string {
	switch compare := " Compare the SHA-256 with the server's own; "; {
	case e.Matched != "": // it is the other server's
		return "it is not the one with the given SHA-256 (" + e.Given + "), so nothing was sent to this server. " + e.Description + compare + "only if it is the same, give both: " + e.Matched + "," + e.Shown
	case e.Given != "":
		return "it is not the one with the given SHA-256 (" + e.Given + "), so nothing was sent. " + e.Description + compare + "if it is the same, give it instead"
	}
	return "nobody has said to trust it, so nothing was sent. " + e.Description + " Compare the SHA-256 with the server's own, then trust it"
}

// upnField asks for the account that signs in to the server; suggest offers some.
func upnField(suggest func(context.Context, *Env, Answers) []Option) Field {
	return Field{Key: keyAdminUPN, Title: "Administrator's UPN", Help: "User name like name@domain. Yours is proposed if it is known.", Example: "admin@contoso.com",
		FlagHelp: "user name (UPN) of the administrator's account on the premises", Check: checkUPN, Suggest: suggest, When: []Cond{onPremises()},
		Default: func(env *Env, a Answers) string {
			if !a.holds([]Cond{onPremises()}) {
				return "" // there the same key is another account's
			}
			return signedInUser(env)
		}}
}

// serverAdminStep is the step "Admin's credentials" of connections to servers. entry is
// what a password manager could call the password; more are the kind's own questions.
func serverAdminStep(help string, upn Field, entry string, more ...Field) Step {
	return Step{
		ID: "admin", Title: "Admin's credentials", Help: help,
		When: []Cond{onPremises()},
		Fields: append([]Field{
			{Key: keyADDomain, Title: "Active Directory domain", Help: "Left empty, it follows from the user name or the server.", Example: "corp.contoso.com", Optional: true,
				FlagHelp: "DNS name of the Active Directory domain, where it is not the ending of the user name", Check: checkADDomain, Suggest: suggestDomains, When: []Cond{onPremises()}},
			upn,
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
			{Key: keyPassRef, Title: "Where the password is kept", Help: "file:PATH, env:NAME or exec:COMMAND.", Example: "exec:pass show " + entry, FlagHelp: "where the password is kept: file:PATH, env:NAME or exec:COMMAND",
				Check: checkReference, When: []Cond{Is(keySignInBy, byReference)}},
		}, more...),
	}
}

// fillServer gives a connection what its account's answers tell.
func fillServer(a Answers, c *connections.Connection) {
	c.Account, c.Endpoints = a.Get(keyAdminUPN), connections.Endpoints{Domain: a.Get(keyADDomain)}
}

// loadServer answers the fields that fillServer, the credential and the pins are made of.
func loadServer(c connections.Connection, set func(key, text string)) {
	set(keyAdminUPN, c.Account)
	set(keyADDomain, c.Endpoints.Domain)
	var sums []string
	for _, host := range serverHosts(c) {
		if sum := c.Pins[host]; sum != "" && !slices.Contains(sums, sum) {
			sums = append(sums, sum)
		}
	}
	set(keyCertSum, strings.Join(sums, ","))
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
		default:
			set(keyAdminSecret, "") // its place in the command is enough
		}
	}
}

// serverHosts are those of the connection's own addresses that show a certificate:
// host:port, as pins name them.
func serverHosts(c connections.Connection) (hosts []string) {
	for _, address := range []string{c.Endpoints.EWS, c.Endpoints.SharePoint, c.Endpoints.Admin} {
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "https" || u.Hostname() == "" {
			continue
		}
		if host := transport.HostPort(u); !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

func isIP(s string) bool { return net.ParseIP(strings.Trim(s, "[]")) != nil }

// bracketed is a host as it stands in a URL.
func bracketed(host string) string {
	if ip := net.ParseIP(host); ip != nil && ip.To4() == nil {
		return "[" + host + "]"
	}
	return host
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
			return u, asciiName(u.Hostname())
		}
	}
	return nil, fmt.Errorf("the address must begin with %s://", strings.Join(schemes, ":// or "))
}

// asciiName refuses the name of a server that has other letters than DNS and Kerberos
// know: there it has a form of its own (RFC 5890), and a name that looks the same may
// have another one.
func asciiName(host string) error {
	if strings.IndexFunc(host, func(r rune) bool { return r > unicode.MaxASCII }) < 0 {
		return nil
	}
	form := "which begins with xn--"
	if ascii, err := idna.Lookup.ToASCII(host); err == nil {
		form = "if it is the right one: " + ascii
	}
	return fmt.Errorf("%q has letters that a server's name has in DNS in another form only; give that form, %s", host, form)
}

// checkSum takes the SHA-256 of a certificate, or of several.
func checkSum(_ *Env, _ Answers, v string) (string, error) {
	var sums []string
	for sum := range strings.SplitSeq(trim(v), ",") {
		sum = strings.ToUpper(strings.NewReplacer(":", "", " ", "", "-", "").Replace(sum))
		if len(sum) != 64 || strings.Trim(sum, "0123456789ABCDEF") != "" {
			return v, errors.New("a SHA-256 has 64 hexadecimal digits; the thumbprint that Windows shows is a SHA-1 (40 digits) and does not do")
		}
		if !slices.Contains(sums, sum) {
			sums = append(sums, sum)
		}
	}
	return strings.Join(sums, ","), nil
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
