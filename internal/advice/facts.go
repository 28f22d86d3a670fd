package advice

import (
	"maps"
	"net/url"
	"regexp"
	"slices"
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
	Site           string // base address of the tenant's SharePoint, or of the farm's sites
	Central        string // address of a farm's Central Administration
	Cloud          cloud.Cloud
	Connection     string // its name; empty while it is not saved and will not be saved by itself
	Edited         bool   // what failed are changes of a saved connection, which are not saved themselves
	Registered     bool   // c2conn registered the application a moment ago: not all servers know it yet
	Waiting        bool   // an administrator still has to consent
	Removed        bool   // what the registration made was removed again
	CredentialType string // certificate or client-secret
	Thumbprint     string // SHA-1, of the local certificate
	Kind           connections.Kind
	OnPremises     bool              // the servers are on the premises
	Pins           map[string]string // the certificates that somebody trusted, by host and port
	Refused        bool              // the password was refused before, and is not tried any more
	Permission     string            // the role that the failed call needs
	Carried        bool              // the token of the failed call carries it, or one that contains it
	Patience       time.Duration     // how long the failed call could wait; 0 means half a minute
	Resource       string            // what the failed call wanted a token for, where it is none of Microsoft 365's own services
	SecretIsID     bool              // the client secret has the shape of a GUID
	Now            time.Time         // by this computer's clock; zero where it does not matter

	// The rest is for errors of an administrator who signs in, and of the calls
	// made with that sign-in; with Login empty it is the application itself.
	Command   string // the command that signs in, where it is not that of a connection, e.g. "c2conn app list"
	Login     string // browser, device-code, app or token
	Admin     string // the account that signed in; empty until it is known
	Bootstrap string // client id that the administrator signs in with; empty means Azure CLI's
}

// The ways of signing in that make a difference to advice, values of Facts.Login.
const (
	loginBrowser = "browser"
	loginDevice  = "device-code"
	loginApp     = "app"
	loginToken   = "token"
)

// person reports whether somebody signs in who can be asked to do it otherwise.
func (f Facts) person() bool { return f.Login != "" && f.Login != loginApp }

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
		"{secretflags}", f.secretFlags(),
		"{account}", or(f.Account, "(dedicated account)"),
		"{site}", or(f.Site, "of the tenant's SharePoint"),
		"{sitearg}", Literal(or(f.Site, "SITE")),
		"{accountarg}", Literal(or(f.Account, "ACCOUNT")),
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
		"{admin}", f.admin(),
		"{bootstrap}", f.bootstrap(),
		"{tenantarg}", f.tenantArgument(),
		"{command}", f.command(),
		"{kind}", or(string(f.Kind), string(connections.Exchange)),
		"{edit}", f.edit(),
		"{resource}", or(f.Resource, "the resource"),
		"{resourcearg}", shellWord(or(f.Resource, "RESOURCE")),
		"{trust}", f.trust(),
		"{newpassword}", f.newPassword(),
		"{:editpassword}", f.editPassword(),
		"{connectionarg}", shellWord(or(f.Connection, "NAME")),
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

// Literal is s as a literal string of PowerShell, in which only quotes (typographic
// ones count as well) have a meaning.
func Literal(s string) string {
	var b strings.Builder
	b.WriteByte('\'')
	for _, r := range s {
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

// again are the steps that try once more. Of the commands that concern a saved
// connection, consent is the one for which an administrator signs in.
func (f Facts) again() []string {
	switch {
	case f.Edited && f.Connection == "" && f.Login == "":
		return []string{"Run the command again; in the dialogue, run the checks again."}
	case f.Connection == "" || f.Login != "" && f.Login != loginBrowser && f.Login != loginDevice:
		return []string{"Try again."}
	case f.Login != "":
		return []string{"Try again:", "$ " + f.command() + " --login " + f.Login}
	}
	return []string{"Check again:", "$ c2conn verify " + shellWord(f.Connection)}
}

// command is the one that an administrator signs in for.
func (f Facts) command() string {
	if f.Command != "" {
		return f.Command
	}
	if f.Connection != "" {
		return "c2conn consent " + shellWord(f.Connection)
	}
	return "c2conn new " + or(string(f.Kind), string(connections.Exchange)) + " --auto"
}

// secretFlags are the flags that give the client secret which was refused.
func (f Facts) secretFlags() string {
	name := "--client-secret"
	if f.Login == loginApp {
		name = "--login-secret"
	}
	return name + "-file FILE or " + name + "-stdin"
}

// grant are the steps that lead to an administrator's consent: c2conn's own for a
// saved connection, and the page for everybody.
func (f Facts) grant() []string {
	if f.Connection == "" {
		return []string{acceptStep}
	}
	return []string{
		"Let c2conn grant what is missing; a " + consentRoles + " has to sign in for it:",
		"$ c2conn consent " + shellWord(f.Connection) + " --login browser", orAccept,
	}
}

// fix are the steps that add what a registration lacks, and consent to it. Where it
// only waits for the consent, nothing is to be added.
func (f Facts) fix() []string {
	if f.Connection == "" || f.Login != "" || f.Waiting {
		return f.grant()
	}
	return []string{
		"Let c2conn add and grant what is missing; a " + consentRoles + " has to sign in for it, and sees each change before it is made:",
		"$ " + f.mend(), orAccept,
	}
}

// repair are the steps that mend the registration of a saved connection, where there
// is another way, too.
func (f Facts) repair() []string {
	if f.Connection == "" || f.Login != "" {
		return nil
	}
	return []string{"Or let c2conn do it, as administrator; it shows each change before it is made:", "$ " + f.mend()}
}

// mend is the command that holds a registration against what the connection needs.
func (f Facts) mend() string { return "c2conn verify " + shellWord(f.Connection) + " --fix" }

// admin is who signed in, as the beginning of a sentence.
func (f Facts) admin() string {
	if f.Login == loginApp {
		return "The application that signed in"
	}
	return or(f.Admin, "The account you signed in with")
}

// Public clients that an administrator may sign in with.
const (
	azureCLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46" // Microsoft Azure CLI
	graphCLI = "14d82eec-204b-4c2f-b7e8-296a70dab67e" // Microsoft Graph Command Line Tools
)

// bootstrap names the application that the administrator signs in with.
func (f Facts) bootstrap() string {
	switch strings.ToLower(f.Bootstrap) {
	case "", azureCLI:
		return "“Microsoft Azure CLI” (" + azureCLI + ")"
	case graphCLI:
		return "“Microsoft Graph Command Line Tools” (" + graphCLI + ")"
	}
	return "the application " + or(f.Bootstrap, "")
}

// tenantArgument is the tenant as it goes into a command.
func (f Facts) tenantArgument() string {
	for _, t := range []string{f.TenantDomain, f.TenantID} {
		if t = or(t, ""); plainName().MatchString(t) {
			return t
		}
	}
	return "TENANT"
}

// edit is the step that corrects an answer.
func (f Facts) edit() string {
	if f.Connection == "" || f.Login != "" {
		return "Correct the answer."
	}
	if f.OnPremises {
		return "To correct a saved value: c2conn edit " + shellWord(f.Connection)
	}
	then := "c2conn new"
	if f.Registered { // the application is there, and good
		then = Facts{Kind: f.Kind}.command() + " --if-exists use"
	}
	return "To correct a saved value, make the connection anew: c2conn delete " + shellWord(f.Connection) + ", then " + then + "."
}

// once says what became of a password that was refused.
func (f Facts) once() string {
	if f.Refused {
		return "c2conn tried this password before and did not try it again, so that the account is not locked."
	}
	return "c2conn tried it once and stopped, so that the account is not locked."
}

// anotherPassword are the steps that lead to another one.
func (f Facts) anotherPassword() []string {
	if f.Refused {
		return []string{"Type another password; this one is not tried again. If the account has got it only now, start c2conn anew.", "{newpassword}"}
	}
	return []string{"Type the password anew; check the keyboard's language and Caps Lock.", "{newpassword}"}
}

// newPassword is the step that gives a saved connection another password.
func (f Facts) newPassword() string {
	if f.Connection == "" {
		return ""
	}
	return "If the password was changed, give the new one: c2conn edit " + ShellWord(f.Connection) + " --password-file FILE"
}

// sums are what is to be trusted from now on: the certificate that a server shows, and
// those that other ports of the connection have.
func (f Facts) sums(host, sum string) string {
	if sum == "" {
		sum = "SHA256"
	}
	list := []string{sum}
	for _, at := range slices.Sorted(maps.Keys(f.Pins)) {
		if pin := f.Pins[at]; (f.Connection != "" || f.Edited) && at != host && !slices.Contains(list, pin) {
			list = append(list, pin)
		}
	}
	return transport.CleanText(strings.Join(list, ","), 500)
}

// flag is what stands before the value of an answer on the command line: a flag of its own,
// or --set where a saved connection is changed.
func (f Facts) flag(name string) string {
	if f.Edited {
		return "--set " + name + "="
	}
	return "--" + name + " "
}

// editPassword ends a sentence that tells to give another password.
func (f Facts) editPassword() string {
	if f.Connection == "" {
		return "."
	}
	return ": c2conn edit " + shellWord(f.Connection) + " --password-file FILE"
}

// trust is the step that trusts a server's certificate, up to its sum.
func (f Facts) trust() string {
	if f.Connection == "" {
		step := "Server connection"
		if f.farm() {
			step = "Server address"
		}
		return "choose so in the step “" + step + "”, or add " + f.flag("certificate-sha256")
	}
	return "c2conn edit " + ShellWord(f.Connection) + " --set certificate-sha256="
}

// anew are the steps that leave a new credential to automatic registration. Only
// a saved connection has one to replace.
func (f Facts) anew() []string {
	if f.Connection == "" || f.Login != "" {
		return nil
	}
	return []string{"Or leave it to c2conn, as administrator:", "$ c2conn delete " + shellWord(f.Connection), "$ " + Facts{Kind: f.Kind}.command() + " --if-exists use"}
}

// shellWord is ShellWord for a text that may come from a server or a file.
func shellWord(s string) string {
	return ShellWord(transport.CleanText(s, 128)) // names are shorter
}

// ShellWord makes s one word of a command line that is shown for copying, for a POSIX
// shell and PowerShell alike as far as both agree. A word that needs no quotes stays as
// it is.
//
// Source: POSIX.1-2024, Shell Command Language, 2.2.2 Single-Quotes; PowerShell,
// about_Quoting_Rules, single-quoted strings, and about_Splatting.
func ShellWord(s string) string {
	plain := s != "" && s[0] != '@' // PowerShell splats
	for _, r := range s {
		plain = plain && (r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || strings.ContainsRune("._-@/:+=", r))
	}
	if plain {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
