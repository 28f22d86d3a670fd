package wizard

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/transport"
)

// The keys of the fields that only connections to a SharePoint Server have.
const (
	keyCentralPort = "central_admin_port"
	keyCentralURL  = "central_admin_url"
	keyPlainNTLM   = "plain_ntlm"
)

// sharePointServerStep is the step "Server address" of seed 003 for servers on the
// premises.
func sharePointServerStep() Step {
	return Step{
		ID: "server", Title: "Server address",
		Help: "The address of your SharePoint sites, as the browser shows it: with https:// or http:// and the server's full name (FQDN). That of a site collection will do, too. " +
			"Central Administration is on a port of its own, which was chosen when SharePoint was installed: its address in the browser shows it, and so does, on the server, " +
			"PS> Get-SPWebApplication -IncludeCentralAdministration. Of the address that follows from server and port change what differs at yours: the name, http for https. " +
			"The account signs in to these two hosts and to no other.",
		When: []Cond{onPremises()},
		Fields: append([]Field{
			{Key: keySharePoint, Title: "SharePoint server URL", Help: "With https:// or http:// and the full name (FQDN).", Example: "https://sharepoint.contoso.com", Check: checkSites},
			{Key: keyCentralPort, Title: "Port of Central Administration", Help: "Chosen when SharePoint was installed, 1 to 65535.", Example: "34567",
				FlagHelp: "port of Central Administration; --central-admin-url says it as well", Check: checkPort, When: []Cond{onPremises()}, Within: keyCentralURL,
				Default: func(_ *Env, a Answers) string { // of a URL that was given alone
					v, port := a[keyCentralURL], a.Get(keyCentralPort)
					if v.Origin == FromDefault || v.Err != nil || v.Text == derivedCentral(a.Get(keySharePoint), port) {
						return ""
					}
					return portOf(v.Text)
				}},
			{Key: keyCentralURL, Title: "Central Administration URL", Help: "Filled in by the two above; change it only if yours differs.", Example: "http://sharepoint.contoso.com:34567", Optional: true,
				FlagHelp: "address of Central Administration, where it is not on the host of --sharepoint-url with the same scheme", Check: checkCentral, When: []Cond{onPremises()},
				Default: func(_ *Env, a Answers) string {
					if port := a[keyCentralPort]; port.Err == nil && port.Origin != FromDefault && a[keySharePoint].Err == nil {
						return derivedCentral(a.Get(keySharePoint), port.Text)
					}
					return "" // a port that follows from the URL says no more than it
				}},
		}, trustFields()...),
		Notice: sharePointServerNotice,
	}
}

const (
	siteIPNotice = "By an IP address Kerberos cannot be used, so that only NTLM is left, and a certificate is hardly ever for one. Give the full name of the server (FQDN)."

	// plainNotice is about what was typed, ntlmNotice about what was allowed.
	plainNotice = "Over http nothing is encrypted: whoever is on the way can read and change what is sent. The password is not sent: Kerberos is used, and NTLM only if the next step allows it. " +
		"Where the server has an https address, give that."
	ntlmNotice = "Over http whoever is on the way can use such a sign-in elsewhere at the same moment, and try passwords against it until one fits. It is tried only where Kerberos does not sign in, which somebody on the way can bring about."
)

func sharePointServerNotice(a Answers) string {
	var text []string
	for _, u := range serverURLs(a) {
		if isIP(u.Hostname()) {
			text = append(text, siteIPNotice)
			break
		}
	}
	for _, u := range serverURLs(a) {
		if u.Scheme == "http" {
			text = append(text, plainNotice)
			break
		}
	}
	return strings.Join(text, " ")
}

// serverURLs are the addresses that the answers name, as far as they are right.
func serverURLs(a Answers) (list []*url.URL) {
	for _, key := range []string{keySharePoint, keyCentralURL} {
		if v := a[key]; v.Err == nil && v.Text != "" {
			if u, err := url.Parse(v.Text); err == nil && u.Hostname() != "" {
				list = append(list, u)
			}
		}
	}
	return list
}

// sharePointRights says what the account must be allowed.
//
// Source: learn.microsoft.com, SPPolicyRoleType enumeration (policies of web
// applications).
const sharePointRights = "The account must be a farm administrator, to open Central Administration, and must be able to read the sites: by a user policy of the web application " +
	"(Full Read; Full Control to restore), or as administrator of the site collections."

// sharePointAdminStep is the step "Admin's credentials" of seed 003 for servers on the
// premises.
func sharePointAdminStep() Step {
	upn := upnField(suggestAdministrators(noRemark))
	upn.Confirms = true // Microsoft 365 has such a question, too
	upn.FlagHelp = "user name (UPN) of the administrator's account on the premises; online that of --legacy-admin"
	st := serverAdminStep("The account that the software will use. "+sharePointRights+" Policies are set in Central Administration under Manage web applications › User Policy. "+browseHelp,
		upn, "sharepoint",
		Field{Key: keyPlainNTLM, Title: "Signing in over http", Input: Choice, Flag: "-", When: []Cond{onPremises(), Is(keySignInBy, byPassword, byReference, byKeeping)},
			Help: "For addresses with http://, as Central Administration often has.",
			Options: Fixed(
				Option{Value: no, Title: "Kerberos only", Help: "The safe way; it needs the server's full name."},
				Option{Value: yes, Flag: "allow-plain-ntlm", Title: "NTLM as well, without encryption", FlagHelp: "sign in with NTLM over http, without encryption, where Kerberos is not possible", Help: "Others on the way can abuse it: only in a network that you trust."},
			),
			Default: func(*Env, Answers) string { return no }},
	)
	st.Notice = func(a Answers) string {
		if a.Get(keyPlainNTLM) == yes {
			return ntlmNotice
		}
		return sharePointRights
	}
	return st
}

func fillSharePointServer(a Answers, c *connections.Connection) {
	fillServer(a, c)
	c.Endpoints.SharePoint, c.Endpoints.Admin = a.Get(keySharePoint), a.Get(keyCentralURL)
	if u, err := url.Parse(c.Endpoints.SharePoint); err == nil {
		c.Endpoints.Server = u.Hostname()
	}
}

func loadSharePointServer(c connections.Connection, set func(key, text string)) {
	loadServer(c, set)
	set(keySharePoint, c.Endpoints.SharePoint)
	set(keyCentralPort, portOf(c.Endpoints.Admin))
	set(keyCentralURL, c.Endpoints.Admin)
	if set(keyPlainNTLM, no); c.Credential.PlainNTLM {
		set(keyPlainNTLM, yes)
	}
}

// derivedCentral is Central Administration on the host of the sites; "" where one of the
// two is not known.
func derivedCentral(sites, port string) string {
	u, err := url.Parse(sites)
	if err != nil || u.Hostname() == "" || port == "" {
		return ""
	}
	return plainURL(&url.URL{Scheme: u.Scheme, Host: net.JoinHostPort(u.Hostname(), port)})
}

// plainCentral reports whether Central Administration may answer over http where its
// address has https: nobody said so, it follows from the address of the sites.
func (s *Session) plainCentral(a Answers) bool {
	v := a[keyCentralURL]
	accepted := v.Origin == FromUser && v.Text == derivedCentral(a.Get(keySharePoint), a.Get(keyCentralPort))
	return s.edit == nil && (v.Origin == FromDefault || accepted)
}

// portOf is the port that an address stands for; "" where it is none.
func portOf(address string) string {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Hostname() == "":
		return ""
	case u.Port() != "":
		return u.Port()
	}
	return transport.UsualPort(u.Scheme)
}

// plainURL writes an address in one way: lower case, without the usual port and without
// a slash at the end.
func plainURL(u *url.URL) string {
	host, port := strings.ToLower(strings.TrimSuffix(u.Hostname(), ".")), u.Port()
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port != "" && port != transport.UsualPort(u.Scheme) {
		host += ":" + port
	}
	return strings.TrimRight(u.Scheme+"://"+host+u.EscapedPath(), "/")
}

// hostPattern is that of a full name. Windows lets computers have names with an
// underscore.
var hostPattern = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(\w([\w-]{0,61}\w)?\.)+[A-Za-z][A-Za-z0-9-]{0,62}$`)
})

// serverURL reads the address of a web application on the premises.
func serverURL(env *Env, v string) (*url.URL, error) {
	if hidden(v) {
		return nil, errHidden
	}
	u, err := address(v, "https", "http")
	if err != nil {
		return nil, err
	}
	host := strings.TrimSuffix(u.Hostname(), ".")
	if _, err := checkPort(nil, nil, u.Port()); u.Port() != "" && err != nil {
		return nil, err
	}
	switch {
	case isIP(host):
	case strings.Contains(host, "%"):
		return nil, errors.New("an IPv6 address with a zone (%) means something on this computer only; give the full name of the server (FQDN)")
	case !strings.Contains(host, "."):
		return nil, fmt.Errorf("%q is a short name; give the full name (FQDN) with its domain, for example %s://%s.contoso.com", host, u.Scheme, strings.ToLower(host))
	case !hostPattern().MatchString(host):
		return nil, fmt.Errorf("%q is no server name; it looks like sharepoint.contoso.com", host)
	case env != nil && env.Clouds != nil:
		for _, c := range env.Clouds.List() {
			if c.SharePointHost("https://" + host) {
				return nil, fmt.Errorf("%s is SharePoint Online; choose %s as server location (--online)", host, "Microsoft 365")
			}
		}
	}
	return u, nil
}

func checkSites(env *Env, a Answers, v string) (string, error) {
	v = trim(v)
	u, err := serverURL(env, v)
	if err != nil {
		return v, err
	}
	for part := range strings.FieldsFuncSeq(u.Path, func(r rune) bool { return r == '/' || r == '\\' }) {
		if part == "." || part == ".." { // a server may take them out, also where they are encoded
			return v, fmt.Errorf("the path must not hold %q; give the address as the browser shows it", part)
		}
	}
	// Of the answers in force only: the error must not outlast a change of the other address.
	if a.Get(keySharePoint) == v && v != "" {
		if c, err := url.Parse(a.Get(keyCentralURL)); err == nil && strings.EqualFold(c.Hostname(), u.Hostname()) && portOf(c.String()) == portOf(v) {
			return v, errors.New("this is Central Administration itself; give the address of the sites")
		}
	}
	path := strings.ToLower(u.Path)
	for _, part := range []string{"/_layouts/", "/_api", "/_vti_bin/", "/_admin/", "/sitepages/", "/forms/"} {
		if strings.Contains(path+"/", part) {
			path = ".aspx"
		}
	}
	if strings.HasSuffix(path, ".aspx") {
		return v, fmt.Errorf("this is the address of a page; give that of the site, for example %s", plainURL(&url.URL{Scheme: u.Scheme, Host: u.Host}))
	}
	return plainURL(u), nil
}

// checkCentral takes the address of Central Administration, which is always at the root
// of its web application. Its port and the one that was typed must be the same.
func checkCentral(env *Env, a Answers, v string) (string, error) {
	v = trim(v)
	u, err := serverURL(env, v)
	if err != nil {
		return v, err
	}
	u.Path, u.RawPath = "", ""
	clean := plainURL(u)
	if port := a[keyCentralPort]; port.Err == nil && port.Text != "" && port.Origin != FromDefault && port.Text != portOf(clean) {
		return v, fmt.Errorf("the port is %s here and %s above; change one of the two (--central-admin-port or --central-admin-url)", portOf(clean), port.Text)
	}
	return clean, nil
}

func checkPort(_ *Env, _ Answers, v string) (string, error) {
	v = trim(v)
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > 65535 || strings.HasPrefix(v, "+") {
		return v, errors.New("a port is a number from 1 to 65535")
	}
	return strconv.Itoa(n), nil
}
