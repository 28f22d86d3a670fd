package cloud

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"unicode"
)

// SharePointAddress are the addresses of a tenant's SharePoint Online: https base
// URLs without a trailing slash.
type SharePointAddress struct {
	Site  string // e.g. https://contoso.sharepoint.com
	Admin string // e.g. https://contoso-admin.sharepoint.com
	Note  string // what was changed about the typed address and should be told; mostly empty
}

// SharePointError says why what was typed is no address of SharePoint Online. Its
// text is one sentence for the line below a field.
type SharePointError struct {
	Typed  string // without anything that may be a password
	Reason string
	Hint   string // what to type or do instead
	Cloud  string // the built-in cloud that the address belongs to; empty where none does
}

// Error gives the reason and what to do instead.
func (e *SharePointError) Error() string { return e.Reason + "; " + e.Hint }

// The admin centre is at NAME-admin, OneDrive at NAME-my:
// learn.microsoft.com/microsoft-365/enterprise/urls-and-ip-address-ranges.
const (
	adminEnding    = "-admin"
	oneDriveEnding = "-my"
)

// ParseSharePoint reads the address of a tenant's SharePoint Online as people type
// or paste it: the tenant's name (company), its initial domain
// (company.onmicrosoft.com), a host, or the URL of any page, of the admin centre
// and of OneDrive too. The name of a satellite geography is one like any other. What
// has no host in this cloud is a *SharePointError.
//
// A tenant whose own name ends in -my or -admin is not told apart from another's
// OneDrive or admin centre; whether there is one is unknown.
func (c Cloud) ParseSharePoint(typed string) (SharePointAddress, error) {
	name, note, problem := c.sharePointName(typed)
	if problem != nil {
		return SharePointAddress{}, problem
	}
	tenant := tenantOf(name)
	if tenant != name {
		moved := fmt.Sprintf("%s.%s is the admin centre or OneDrive, so the address of the sites was taken", name, c.SharePointSuffix)
		note = strings.TrimPrefix(note+"; "+moved, "; ")
	}
	return SharePointAddress{Site: c.sharePointURL(tenant), Admin: c.sharePointURL(tenant + adminEnding), Note: note}, nil
}

// ParseSharePointAdmin reads the address of a SharePoint admin centre, typed as for
// ParseSharePoint, and gives its https base URL. It must be that of NAME-admin; the
// sites' own host is a *SharePointError.
func (c Cloud) ParseSharePointAdmin(typed string) (string, error) {
	name, _, problem := c.sharePointName(typed)
	if problem != nil {
		return "", problem
	}
	admin := tenantOf(name) + adminEnding
	if name != admin {
		return "", &SharePointError{
			Typed:  shown(typed),
			Reason: fmt.Sprintf("%s.%s is not the SharePoint admin centre", name, c.SharePointSuffix),
			Hint:   "type " + c.sharePointURL(admin),
		}
	}
	return c.sharePointURL(admin), nil
}

// SharePointHost tells whether rawURL is at a tenant's SharePoint host of this
// cloud, the admin centre and OneDrive included.
func (c Cloud) SharePointHost(rawURL string) bool {
	host := hostOf(rawURL)
	if host == "" || c.SharePointSuffix == "" {
		return false
	}
	suffix := c.SharePointSuffix
	if _, _, err := net.SplitHostPort(suffix); err != nil {
		suffix += ":443"
	}
	// One label only: contoso.sharepoint.com and contoso-admin.sharepoint.com,
	// nothing deeper that another party could own.
	name, ok := strings.CutSuffix(host, "."+suffix)
	return ok && label(name)
}

// SharePointScope asks for every SharePoint permission that the application was
// granted. base is the Site or the Admin of a SharePointAddress: a token is good
// for one of them.
func (c Cloud) SharePointScope(base string) string {
	return strings.TrimSuffix(base, "/") + "/.default"
}

func (c Cloud) sharePointURL(name string) string { return "https://" + name + "." + c.SharePointSuffix }

// tenantOf takes the endings of the admin centre and of OneDrive off a name.
func tenantOf(name string) string {
	for {
		short := strings.TrimSuffix(strings.TrimSuffix(name, adminEnding), oneDriveEnding)
		if short == name {
			return name
		}
		name = short
	}
}

// sharePointName gives the first label of the host that was meant.
func (c Cloud) sharePointName(typed string) (name, note string, problem *SharePointError) {
	fail := func(reason, hint string) (string, string, *SharePointError) {
		return "", "", &SharePointError{Typed: shown(typed), Reason: reason, Hint: hint}
	}
	suffix, ownPort, err := net.SplitHostPort(c.SharePointSuffix)
	if err != nil {
		suffix, ownPort = c.SharePointSuffix, "443"
	}
	if suffix == "" {
		return fail(fmt.Sprintf("the definition of the cloud %q has no sharepoint_suffix", c.Name), "add it there, or choose another cloud")
	}
	example := "type an address like " + c.sharePointURL("contoso")
	rest := unwrap(typed)
	if rest == "" {
		return fail("the address is missing", example)
	}
	if reason := misspelt(rest); reason != "" {
		return fail(reason, example)
	}
	scheme, after, full := strings.Cut(rest, "://")
	if full = full && !strings.ContainsAny(scheme, "/?#.@"); full {
		rest = after
	} else {
		rest = strings.TrimPrefix(rest, "//")
	}
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	switch {
	case !full || strings.EqualFold(scheme, "https"):
	case strings.EqualFold(scheme, "http"):
		// Only the name is kept of it: nothing is ever sent to the http address.
		note, rest = "http:// was changed to https://, as SharePoint Online takes tokens over TLS only", strings.TrimSuffix(rest, ":80")
	default:
		return fail("an address of SharePoint Online begins with https://", example)
	}
	host, port, hasPort := strings.Cut(rest, ":")
	switch {
	case strings.Contains(rest, "@") && (full || hasPort):
		return fail("the address holds a user name or password, which is never sent", "type it without, like "+c.sharePointURL("contoso"))
	case strings.Contains(rest, "@"):
		return fail("this is an e-mail address", example)
	case strings.HasPrefix(rest, "["), isIP(rest), isIP(host):
		return fail("an IP address is not SharePoint Online", example+" (a SharePoint Server of your own is set up as on-premises)")
	case hasPort && !digits(port) && !full && schemeName(host):
		return fail("an address of SharePoint Online begins with https://, not with "+strings.ToLower(host)+":", example)
	case hasPort && !full && !strings.Contains(host, "."):
		return fail("a name alone takes no port", "type it without the colon and what follows")
	case hasPort && port != "" && port != ownPort:
		return fail("SharePoint Online answers on port "+ownPort+" only", example)
	}
	if i := strings.IndexFunc(host, func(r rune) bool { return !hostRune(r) }); i >= 0 {
		return fail("the address holds "+describe([]rune(host[i:])[0])+", but SharePoint Online has only a-z, 0-9, hyphens and dots in its addresses",
			"type it by hand, like "+c.sharePointURL("contoso"))
	}
	host = strings.TrimRight(strings.ToLower(host), ".")
	name = host
	switch {
	case host == "":
		return fail("the address has no host", example)
	case guid(host):
		return fail("this is the tenant ID", "give the name of the organisation or the address")
	case host == "localhost":
		return fail("localhost is this computer, and not SharePoint Online", example)
	case host == "http", host == "https":
		return fail(host+" is how an address begins, and names no organisation", example)
	case strings.HasPrefix(host, "."):
		return fail("the name of the organisation is missing before "+shorten(host), example)
	}
	if full || hasPort || strings.Contains(host, ".") {
		if name, problem = c.nameInHost(host, suffix); problem != nil {
			problem.Typed = shown(typed)
			return "", "", problem
		}
	}
	switch tenant := tenantOf(name); {
	case len(tenant+adminEnding) > 63:
		return fail("the name of the tenant is too long", example)
	case !label(name), !label(tenant), strings.HasPrefix(name, "xn--"):
		return fail(fmt.Sprintf("%q cannot be the name of a tenant: that has letters, digits and hyphens between them", shorten(name)), example)
	}
	return name, note, nil
}

// unwrap takes off what is copied along with an address: spaces, quotes, invisible
// marks.
func unwrap(typed string) string {
	return strings.TrimFunc(typed, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || strings.ContainsRune("\"'`“”„‟‘’‚‛«»‹›<>,;", r)
	})
}

// shown is what was typed, safe to show: what stands before an @, or after a colon
// and is no port, may be a password.
func shown(typed string) string {
	typed = typed[strings.LastIndexByte(typed, '@')+1:]
	start := strings.Index(typed, "//") + 1
	if start > 0 {
		start++
	}
	authority := typed[start:]
	if i := strings.IndexAny(authority, "/?#"); i >= 0 {
		authority = authority[:i]
	}
	host, port, ok := strings.Cut(authority, ":")
	if clean := unwrap(authority); ok && !strings.HasPrefix(clean, "[") && !isIP(clean) && !digits(unwrap(port)) {
		typed = typed[:start] + host + ":…"
	}
	return shorten(printable(typed))
}

// misspelt tells what the beginning of an address lacks that was meant to be https://.
func misspelt(s string) string {
	s = strings.ToLower(s)
	for _, scheme := range []string{"https", "http"} {
		rest, ok := strings.CutPrefix(s, scheme)
		switch {
		case !ok:
		case strings.HasPrefix(rest, "//"):
			return "the colon is missing after " + scheme
		case strings.HasPrefix(rest, ":/") && !strings.HasPrefix(rest, "://"):
			return "a slash is missing after " + scheme + ":/"
		case strings.HasPrefix(rest, ":") && !strings.HasPrefix(rest, ":/"):
			return "the two slashes are missing after " + scheme + ":"
		}
	}
	return ""
}

// schemeName tells whether s is the beginning of another kind of address, rather than
// a host.
func schemeName(s string) bool {
	switch strings.ToLower(s) {
	case "mailto", "ftp", "ftps", "sftp", "file", "tel", "sip", "ldap", "ssh", "data", "javascript":
		return true
	}
	return false
}

func digits(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}

// guid tells whether s, in lower case, has the shape of a GUID.
func guid(s string) bool {
	parts := strings.Split(s, "-")
	if len(parts) != 5 || strings.ContainsFunc(s, func(r rune) bool { return !strings.ContainsRune("0123456789abcdef-", r) }) {
		return false
	}
	for i, n := range []int{8, 4, 4, 4, 12} {
		if len(parts[i]) != n {
			return false
		}
	}
	return true
}

func isIP(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}

func hostRune(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '.'
}

// describe names a character; letters of other scripts often look like Latin ones.
func describe(r rune) string {
	switch {
	case unicode.IsSpace(r):
		return "a space"
	case r == unicode.ReplacementChar:
		return "a damaged character"
	case r < unicode.MaxASCII && unicode.IsPrint(r):
		return fmt.Sprintf("%q", string(r))
	case unicode.IsPrint(r):
		return fmt.Sprintf("%q (%U)", string(r), r)
	}
	return fmt.Sprintf("an invisible character (%U)", r)
}
