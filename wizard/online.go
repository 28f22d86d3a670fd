package wizard

import (
	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/cloud"
)

// The keys of the fields that more than one part of the package reads.
const (
	keyLocation     = "location"
	keyCloud        = "cloud"
	keyRegistration = "registration"
	keyAccount      = "mailbox"
	keyClientID     = "client_id"
	keyTenantID     = "tenant_id"
	keyCredential   = "credential"
	keyThumbprint   = "cert_thumbprint"
	keyCertFile     = "cert_file"
	keyCertPassword = "cert_password"
	keySecret       = "client_secret"
	keyReference    = "credential_ref"
	keyName         = "name"
	keyLogin        = "login"
	keyAccessToken  = "access_token" //nolint:gosec // the name of a field
	keyBootstrap    = "bootstrap_client_id"
	keyLoginClient  = "login_client_id"
	keyLoginCert    = "login_cert_file"
	keyLoginPass    = "login_cert_password" //nolint:gosec // the name of a field
	keyLoginSecret  = "login_secret"
	keyAppName      = "app_name"
	keyNewCred      = "new_credential" //nolint:gosec // the name of a field
	keyCertDays     = "cert_days"
	keyIfExists     = "if_exists"
	keyUseApp       = "use_app"
	keyPermissions  = "permissions"
)

// The ways of registering, values of the field "registration".
const (
	byAuto = "auto"
	byHand = "manual"
)

// The ways to prove the application's identity, values of the field "credential".
const (
	byThumbprint = "certificate"
	byFile       = "file"
	bySecret     = "secret"
	byReference  = "reference"
)

// cloudHelp says which cloud to choose.
const cloudHelp = "Nearly every tenant is in the global cloud, GCC included; GCC High, DoD and China (21Vianet) have hosts of their own."

// locationStep asks where the server is: what says "the mailboxes" or "the sites".
func locationStep(what string, options ...Option) Step {
	return Step{
		ID: "location", Title: "Server location",
		Help: "Choose where " + what + " are. For Microsoft 365 also choose the cloud. " + cloudHelp,
		Fields: []Field{
			{
				Key: keyLocation, Title: "Where is the server?", Input: Choice, Flag: "-",
				Options: Fixed(options...),
				Default: func(*Env, Answers) string { return string(connections.Online) },
			},
			onlineOnly(cloudField()),
		},
	}
}

// cloudStep asks for the cloud alone, in flows that lead to Microsoft 365 only.
func cloudStep() Step {
	return Step{
		ID: "cloud", Title: "Microsoft 365 cloud",
		Help:   "Choose the cloud that the tenant is in. " + cloudHelp + " Microsoft Cloud Deutschland was retired on 2021-10-29; its tenants moved to the global cloud.",
		Fields: []Field{cloudField()},
	}
}

func cloudField() Field {
	return Field{
		Key: keyCloud, Title: "Microsoft cloud", Input: Choice,
		Help:    "global fits unless your admin centre's address ends in .us or .cn.",
		Options: cloudOptions,
		Default: func(*Env, Answers) string { return "global" },
	}
}

func onlineOnly(f Field) Field {
	f.When = []Cond{Is(keyLocation, string(connections.Online))}
	return f
}

func cloudOptions(env *Env) []Option {
	if env == nil || env.Clouds == nil {
		return nil
	}
	var options []Option
	for _, c := range env.Clouds.List() {
		options = append(options, Option{Value: c.Name, Title: c.Title})
	}
	return append(options, Option{Value: "germany", Title: "Microsoft Cloud Deutschland", Unavailable: "was retired on 2021-10-29; its tenants moved to global"})
}

// registrationStep asks how the application is registered, and what else the kind
// has to know of it.
func registrationStep(more ...Field) Step {
	return Step{
		ID: "registration", Title: "Application registration",
		Help: "An application in Microsoft Entra ID is what signs in to your tenant. Automatic: you sign in as an administrator and c2conn registers it, after " +
			"showing what it will change. Manual: you have registered it yourself in the Entra admin centre (c2conn app guide shows how), gave it the " +
			"application permissions and granted admin consent; the next step asks for its details.",
		When: []Cond{Is(keyLocation, string(connections.Online))},
		Fields: append([]Field{{
			Key: keyRegistration, Title: "How is the application registered?", Input: Choice, Flag: "-",
			Options: Fixed(
				Option{Value: byAuto, Flag: "auto", Title: "Automatic registration", Help: "Sign in as an administrator; c2conn registers the application."},
				Option{Value: byHand, Flag: "manual", Title: "Manual registration", Help: "You registered the application; c2conn uses it."},
			),
			Default: func(_ *Env, a Answers) string {
				if a.Has(keyClientID) {
					return byHand
				}
				return byAuto
			},
		}}, more...),
		Notice: func(a Answers) string {
			if a.Get(keyRegistration) == byHand {
				return "An application that you registered stays in Entra ID when the connection is deleted. " +
					"To avoid duplicates, use one registration again rather than making another for each connection."
			}
			return "It takes the role Global Administrator, or Privileged Role Administrator where users may register applications. The application stays in " +
				"Entra ID when the connection is deleted (c2conn app delete removes it). One that exists already is found and can be used again."
		},
	}
}

// accountField asks for the dedicated account. Whoever registers automatically
// may leave it out: the signed-in administrator's own mailbox does.
func accountField(title, help string) Field {
	return Field{Key: keyAccount, Title: title, Help: help, Example: "admin@contoso.com", Check: checkAddress,
		Default:      func(_ *Env, a Answers) string { return a.Get(foundMailbox) },
		OptionalWhen: []Cond{Is(keyRegistration, byAuto), Is(foundSame, "")}} // until it is known whether the administrator has a mailbox
}

// proposed is an account field where the administrator who signed in is proposed.
func proposed(account Field) Field {
	account.Help = "A user with a mailbox, to test with. Yours is proposed if you have one."
	return account
}

// tenantField asks for the tenant; an administrator who signs in names it by doing so.
func tenantField(help string) Field {
	return Field{Key: keyTenantID, Title: "Tenant ID or domain", Help: help, Example: "contoso.onmicrosoft.com", Check: checkTenant, Lookup: lookupTenant, Reads: []string{keyCloud},
		OptionalWhen: []Cond{Is(keyRegistration, byAuto)}}
}

func certFileField(when ...Cond) Field {
	return Field{Key: keyCertFile, Title: "Certificate file", Help: "PFX (.pfx, .p12) or PEM with the certificate and its private key.", Example: "~/c2conn.pfx",
		Input: Path, Lookup: lookupCertFile, Reads: []string{keyCertPassword}, When: when}
}

func certPasswordField(when ...Cond) Field {
	return Field{Key: keyCertPassword, Title: "Password of the certificate file", Help: "Empty if it has none.", Input: Secret, Optional: true, When: when}
}

// detailsStep asks for an application that somebody registered by hand. more are
// the kind's own questions.
func detailsStep(account Field, more ...Field) Step {
	return Step{
		ID: "details", Title: "Application details",
		Help: "Everything asked here stands in the Entra admin centre under App registrations, your application. Overview shows the Application (client) ID " +
			"and the Directory (tenant) ID; Certificates & secrets shows the certificate's thumbprint. A certificate needs an RSA key of 2048 bits or more. " +
			"A client secret's value is shown there once, right after it was made; the Secret ID beside it is something else.",
		When: []Cond{Is(keyLocation, string(connections.Online)), Is(keyRegistration, byHand)},
		Fields: append([]Field{
			account,
			{Key: keyClientID, Title: "Client ID", Help: "Entra admin centre › App registrations › Overview: Application (client) ID.",
				Example: "00000000-0000-0000-0000-000000000000", Check: checkClientID},
			tenantField("Same page: Directory (tenant) ID; or a domain of the tenant."),
			{Key: keyCredential, Title: "Prove the application's identity with", Input: Choice, Flag: "-",
				Help: "One is enough: a certificate (better) or a client secret.",
				Options: Fixed(
					Option{Value: byThumbprint, Title: "Certificate in my personal store", Help: "Imported before; give its thumbprint."},
					Option{Value: byFile, Title: "Certificate file (PFX or PEM)", Help: "Imported into your personal store."},
					Option{Value: bySecret, Title: "Client secret", Help: "The value, not the Secret ID."},
					Option{Value: byReference, Title: "Kept elsewhere", Help: "Read each time from file:, env: or exec:."},
				)},
			{Key: keyThumbprint, Title: "Certificate thumbprint", Help: "As shown under Certificates & secrets; spaces and colons do not matter.",
				Example: "AB12 CD34 …", Check: checkThumbprint, Lookup: lookupThumbprint, Suggest: suggestThumbprints,
				When: []Cond{Is(keyCredential, byThumbprint)}},
			certFileField(Is(keyCredential, byFile)),
			{Key: keySecret, Title: "Client secret", Help: "Its value; Entra shows it only once, right after it was made.", Input: Secret,
				CheckSecret: checkClientSecret, When: []Cond{Is(keyCredential, bySecret)}},
			{Key: keyReference, Title: "Where it is kept", Help: "file:PATH, env:NAME or exec:COMMAND; holds a certificate with key (PFX, PEM) or a client secret.",
				Example: "exec:pass show c2conn", Check: checkReference, Lookup: lookupReference, Reads: []string{keyCertPassword}, When: []Cond{Is(keyCredential, byReference)}},
			certPasswordField(Is(keyCredential, byFile, byReference)),
		}, more...),
		Notice: func(a Answers) string {
			switch a.Get(keyCredential) {
			case bySecret:
				return "Client secrets expire after 24 months at most and work for whoever reads them. A certificate is safer, and SharePoint takes nothing else."
			case byFile:
				return "The certificate must also be listed in Entra ID: Certificates & secrets › Certificates › Upload (public part only)."
			}
			return ""
		},
	}
}

// configurationStep asks for the connection's name. It proposes one that ends in
// suffix and begins as what the account is called after, or else what names tells.
func configurationStep(suffix string, names ...string) Step {
	return Step{
		ID: ConfigurationStep, Title: "Configuration",
		Help: "Configure checks everything that the connection needs, side by side: the sign-in, the rights, " +
			"and one real request to each service. With automatic registration it first carries out the plan; else nothing in your tenant or on your server is changed, " +
			"but for a right that you said to grant. Finish saves the connection.",
		Fields: []Field{{
			Key: keyName, Title: "Name of the connection", Help: "What you will type later: c2conn verify NAME.", Example: "contoso-exchange",
			Check: checkName, Lookup: lookupName,
			Default: func(_ *Env, a Answers) string { return proposeName(a, suffix, names...) },
		}},
	}
}

// fillEWS gives a connection the address of Exchange Web Services.
func fillEWS(_ *Env, _ Answers, in cloud.Cloud, c *connections.Connection) {
	c.Endpoints.EWS = in.EWS()
}

// noticed adds a warning to those that the step has.
func noticed(st Step, text string) Step {
	before := st.Notice
	st.Notice = func(a Answers) string {
		if before == nil {
			return text
		}
		if s := before(a); s != "" {
			return text + " " + s
		}
		return text
	}
	return st
}
