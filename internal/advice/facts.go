package advice

import (
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/transport"
)

// Facts are what is known about the connection that an error concerns. They
// make advice concrete; every one of them may be missing.
type Facts struct {
	ClientID       string
	TenantID       string // GUID, or what the user typed
	TenantDomain   string
	Account        string // dedicated account or mailbox
	Cloud          cloud.Cloud
	Connection     string // its name; empty while it is not saved
	CredentialType string // certificate or client-secret
	Thumbprint     string // SHA-1, of the local certificate
	Kind           connections.Kind
	Permission     string    // the role that the failed call needs
	SecretIsID     bool      // the client secret has the shape of a GUID
	Now            time.Time // by this computer's clock; zero where it does not matter
}

// guid is the only form in which an id goes into a command that people paste.
var guid = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
})

// plainName is a connection name that a shell reads as one word.
var plainName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z._-]*$`) })

// filler replaces the {placeholders} of the tables by facts, or by words that
// are true without them.
func (f Facts) filler() *strings.Replacer {
	return strings.NewReplacer(
		"{client}", or(f.ClientID, "(client ID)"),
		"{clientguid}", f.clientGUID(),
		"{tenant}", f.tenant(),
		"{account}", or(f.Account, "(dedicated account)"),
		"{accountarg}", f.accountArgument(),
		"{cloud}", or(f.Cloud.Name, "global"),
		"{cloudtitle}", or(f.Cloud.Title, "the chosen cloud"),
		"{permission}", or(f.Permission, "the needed permission"),
		"{thumbprint}", or(f.Thumbprint, "(thumbprint unknown)"),
		"{thumbprintarg}", thumbprintArgument(f.Thumbprint),
		"{login}", or(f.host(f.Cloud.Login), "the sign-in service"),
		"{outlook}", or(f.host(f.Cloud.Outlook), "outlook.office365.com"),
		"{credentials}", f.page(f.Cloud.AppCredentials, "Certificates & secrets"),
		"{permissions}", f.page(f.Cloud.AppPermissions, "API permissions"),
		"{overview}", f.page(f.Cloud.AppOverview, "Overview"),
		"{consentlink}", f.consent(),
		"{edit}", f.edit(),
	)
}

func or(s, otherwise string) string {
	if s = transport.CleanText(s, 200); s != "" {
		return s
	}
	return otherwise
}

func (f Facts) host(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return ""
	}
	return u.Host
}

func (f Facts) clientGUID() string {
	if guid().MatchString(f.ClientID) {
		return strings.ToLower(f.ClientID)
	}
	return "CLIENT-ID"
}

func (f Facts) tenant() string {
	switch {
	case f.TenantDomain != "" && f.TenantID != "" && f.TenantDomain != f.TenantID:
		return or(f.TenantDomain, "") + " (" + or(f.TenantID, "") + ")"
	default:
		return or(f.TenantDomain, or(f.TenantID, "(tenant)"))
	}
}

// accountArgument is the account as a literal string of PowerShell, in which
// only quotes (typographic ones count as well) have a meaning.
func (f Facts) accountArgument() string {
	a := or(f.Account, "ACCOUNT")
	var b strings.Builder
	b.WriteByte('\'')
	for _, r := range a {
		if strings.ContainsRune("'‘’‚‛", r) {
			b.WriteRune(r)
		}
		b.WriteRune(r)
	}
	b.WriteByte('\'')
	return b.String()
}

func thumbprintArgument(t string) string {
	if t == "" || strings.ContainsFunc(t, func(r rune) bool { return !strings.ContainsRune("0123456789abcdefABCDEF", r) }) {
		return "THUMBPRINT"
	}
	return t
}

// page names a page of the application's registration, with its link. The link
// is left out where the cloud has no portal or the client id may not be one.
func (f Facts) page(link func(string) string, name string) string {
	if guid().MatchString(f.ClientID) {
		if l := link(f.ClientID); l != "" {
			return "App registrations › " + name + ", " + l
		}
	}
	return "Entra admin centre › App registrations › your application › " + name
}

// consent is the address at which an administrator consents; empty while the
// client id or the tenant is unknown.
func (f Facts) consent() string {
	tenant := f.TenantID
	if tenant == "" {
		tenant = f.TenantDomain
	}
	if f.Cloud.Login == "" || tenant == "" || !guid().MatchString(f.ClientID) {
		return ""
	}
	return f.Cloud.AdminConsent(tenant, f.ClientID)
}

// again are the steps that try once more.
func (f Facts) again() []string {
	if f.Connection == "" {
		return []string{"Try again."}
	}
	return []string{"Check again:", "$ c2conn verify " + shellWord(f.Connection)}
}

// edit is the step that corrects an answer.
func (f Facts) edit() string {
	if f.Connection == "" {
		return "Correct the answer."
	}
	return "To correct a saved value, make the connection anew: c2conn delete " + shellWord(f.Connection) + ", then c2conn new."
}

// shellWord quotes s for a POSIX shell and PowerShell alike, as far as both agree.
func shellWord(s string) string {
	s = transport.CleanText(s, 128) // names are shorter
	if plainName().MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
