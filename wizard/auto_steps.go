package wizard

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/transport"
	"github.com/c2conn/c2conn/registration"
)

// The ways of signing in as administrator, values of the field "login".
const (
	LoginBrowser    = "browser"
	LoginDeviceCode = "device-code"
	LoginApp        = "app"
	LoginToken      = "token"
)

// The credentials of a new registration, values of the field "new_credential".
const (
	newCertificate = "certificate"
	newSecret      = "secret"
	ownFile        = "file"
)

// What a sign-in has found, kept among the answers so that conditions and
// defaults of fields can depend on it. No field has these keys.
const (
	foundMailbox = "found.mailbox" // of the signed-in administrator
	foundSame    = "found.same"    // registrations of the same name: "none", "one" or "several"
	foundApps    = "found.apps"    // their client ids, separated by spaces
)

// LoginField asks how an administrator signs in. It serves every command that
// changes something in a tenant.
func LoginField() Field {
	return Field{Key: keyLogin, Title: "How do you sign in?", Input: Choice,
		Help: "The page will name \"Microsoft Azure CLI\": that is the client used for signing in.",
		Options: Fixed(
			Option{Value: LoginBrowser, Title: "Browser on this computer", Help: "Opens the sign-in page; it comes back here by itself."},
			Option{Value: LoginDeviceCode, Title: "Code, in a browser anywhere", Help: "For SSH and containers: enter a code on another device."},
			Option{Value: LoginApp, Title: "As an application", Help: "For pipelines: an application that may register others."},
			Option{Value: LoginToken, Title: "With an access token", Help: "For pipelines: a Microsoft Graph token made elsewhere."},
		),
		Default: func(env *Env, _ Answers) string {
			if env != nil && !env.BrowserLikely {
				return LoginDeviceCode
			}
			return LoginBrowser
		}}
}

// loginFields are the questions that belong to the ways of signing in.
func loginFields() []Field {
	return []Field{
		LoginField(),
		{Key: keyAccessToken, Title: "Access token", Help: "For Microsoft Graph, for example of: az account get-access-token --resource-type ms-graph", Input: Secret,
			When: []Cond{Is(keyLogin, LoginToken)}},
		{Key: keyLoginClient, Title: "Client ID of the application that signs in", Help: "It needs Application.ReadWrite.All, AppRoleAssignment.ReadWrite.All, Organization.Read.All.",
			Example: "00000000-0000-0000-0000-000000000000", Check: checkClientID, When: []Cond{Is(keyLogin, LoginApp)}},
		{Key: keyLoginCert, Title: "Certificate file of that application", Help: "PFX or PEM with key; leave empty if it has a client secret.", Input: Path, Optional: true, When: []Cond{Is(keyLogin, LoginApp)}},
		{Key: keyLoginPass, Title: "Password of that certificate file", Help: "Empty if it has none.", Input: Secret, Optional: true, When: []Cond{Is(keyLogin, LoginApp)}},
		{Key: keyLoginSecret, Title: "Client secret of that application", Help: "Instead of a certificate.", Input: Secret, Optional: true, When: []Cond{Is(keyLogin, LoginApp)}},
		{Key: keyBootstrap, Title: "Client ID used for signing in", Help: "Where the tenant blocks Microsoft Azure CLI, e.g. 14d82eec-204b-4c2f-b7e8-296a70dab67e.",
			Check: checkBootstrap, Optional: true, ScriptOnly: true, When: []Cond{Is(keyLogin, LoginBrowser, LoginDeviceCode)}},
	}
}

func signInStep() Step {
	return Step{
		ID: "sign-in", Title: "Administrator sign-in",
		Help: "Sign in with an account that may register applications and grant admin consent: Global Administrator, or Privileged Role Administrator where users " +
			"may register applications. Application Administrators can register, but somebody else must consent to the Microsoft Graph permissions. If you use Privileged " +
			"Identity Management, activate the role before signing in. The sign-in is kept in memory only and forgotten when c2conn ends.",
		When:   []Cond{Is(keyLocation, string(connections.Online)), Is(keyRegistration, byAuto)},
		Fields: append(loginFields(), tenantField("Only where your account belongs to several tenants; empty for its own.")),
		Action: SignIn,
	}
}

// checkBootstrap is checkClientID without its advice about the Overview page of
// an application that the user does not own.
func checkBootstrap(_ *Env, _ Answers, v string) (string, error) {
	if v = trim(v); isGUID(v) {
		return strings.ToLower(v), nil
	}
	return v, errors.New("not a client ID; Microsoft Graph Command Line Tools has 14d82eec-204b-4c2f-b7e8-296a70dab67e")
}

// applicationStep asks for what automatic registration has to know. more are the
// kind's own questions.
func applicationStep(kind connections.Kind, account Field, more ...Field) Step {
	return Step{
		ID: "application", Title: "Application details",
		Help: "The application's name is what administrators will see in Entra ID. It proves its identity with a certificate that c2conn makes and whose private key " +
			"never leaves this computer, with a certificate of your own, or with a client secret.",
		When: []Cond{Is(keyLocation, string(connections.Online)), Is(keyRegistration, byAuto)},
		Fields: append([]Field{
			account,
			{Key: keyAppName, Title: "Name of the application", Help: "Shown in Entra ID under App registrations.", Check: checkAppName,
				Default: func(*Env, Answers) string { return registration.AppName(kind) }},
			{Key: keyNewCred, Title: "It proves its identity with", Input: Choice, Flag: "-",
				Options: Fixed(
					Option{Value: newCertificate, Title: "A new certificate", Help: "Made now; the key stays on this computer."},
					Option{Value: newSecret, Title: "A new client secret", Flag: "secret", Help: "24 months at most; not for SharePoint."},
					Option{Value: ownFile, Title: "My own certificate", Help: "From a PFX or PEM file with its key."},
				),
				Default: func(*Env, Answers) string { return newCertificate }},
			{Key: keyCertDays, Title: "Days until it expires", FlagHelp: "days until the new credential expires, or longest for what the tenant allows", Help: "A number of days, or longest for the most that the tenant allows.", Check: checkDays,
				Default: func(_ *Env, a Answers) string {
					if a.Get(keyNewCred) == newSecret {
						return strconv.Itoa(secretDays)
					}
					return strconv.Itoa(certificateDays)
				},
				When: []Cond{Is(keyNewCred, newCertificate, newSecret)}},
			certFileField(Is(keyNewCred, ownFile)),
			certPasswordField(Is(keyNewCred, ownFile)),
		}, more...),
		Notice: func(a Answers) string {
			if a.Get(keyNewCred) == newSecret {
				return "A client secret works for whoever reads it. It is kept encrypted and never shown; a certificate is safer."
			}
			return ""
		},
	}
}

// The lives of new credentials unless asked for otherwise: five years as the
// seeds say, and the two years that Entra ID's own pages allow for secrets.
const (
	certificateDays = 1826
	secretDays      = 730
)

// Longest is the answer to "days until it expires" that takes what the tenant allows.
const Longest = "longest"

func checkDays(_ *Env, _ Answers, v string) (string, error) {
	v = strings.ToLower(strings.TrimSpace(v))
	n, err := strconv.Atoi(v)
	switch {
	case v == Longest:
		return v, nil
	case err != nil || n < 1:
		return v, fmt.Errorf("%q is no number of days; give for example 365, or longest", v)
	case n > 10950:
		return v, errors.New("more than 30 years are not sensible; give for example 365")
	}
	return strconv.Itoa(n), nil
}

// checkAppName takes what Graph takes as display name of an application: up to 256
// characters. Source: learn.microsoft.com/graph/api/resources/application.
func checkAppName(_ *Env, _ Answers, v string) (string, error) {
	v = strings.TrimSpace(v)
	switch n := len([]rune(v)); {
	case n > 120:
		return v, fmt.Errorf("the name has %d characters; Entra ID's pages take 120", n)
	case strings.ContainsAny(v, "<>"):
		return v, errors.New("the name holds < or >, which Entra ID's pages refuse")
	case hidden(v):
		return v, errHidden
	}
	return v, nil
}

// hidden reports whether s holds what cannot be seen, or is no text at all: such a
// name looks like another one, and no profile takes it.
func hidden(s string) bool { return !utf8.ValidString(s) || transport.CleanText(s, 0) != s }

var errHidden = errors.New("this holds invisible or control characters; type it anew instead of copying it")

// suggestSame offers the registrations of the same name.
func suggestSame(_ context.Context, _ *Env, a Answers) []Option {
	var options []Option
	for _, id := range strings.Fields(a.Get(foundApps)) {
		options = append(options, Option{Value: id, Title: a.Get(foundApps + "." + id)})
	}
	return options
}

func planStep() Step {
	return Step{
		ID: "plan", Title: "Plan",
		Help: "This is everything that will be changed in your tenant, in order. Nothing has been changed so far. Going on means agreeing; " +
			"the changes are made on the next page when you press Configure.",
		When: []Cond{Is(keyLocation, string(connections.Online)), Is(keyRegistration, byAuto)},
		Fields: []Field{
			{Key: keyIfExists, Title: "A registration of this name exists", FlagHelp: "what to do if a registration of this name exists: use, new or fail (without a terminal: fail)", Input: Choice, Help: "Its age, certificates and owners stand in the plan.",
				Options: Fixed(
					Option{Value: registration.ExistsUse, Title: "Use it", Help: "Adds a credential; those that it has stay."},
					Option{Value: registration.ExistsNew, Title: "Register another one", Help: "Two applications of one name are hard to tell apart."},
					Option{Value: registration.ExistsFail, Title: "Stop"},
				),
				Default: func(*Env, Answers) string { return registration.ExistsFail }, ScriptOnly: true, Unless: []Cond{Is(foundSame, "one", "several")}},
			{Key: keyUseApp, Title: "Client ID of the registration to use", Help: "Several have this name.", Check: checkClientID, Suggest: suggestSame,
				Optional: true, ScriptOnly: true, Unless: []Cond{Is(foundSame, "several"), Is(keyIfExists, registration.ExistsUse)}},
		},
		Action: ShowPlan,
	}
}
