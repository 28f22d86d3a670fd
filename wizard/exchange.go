package wizard

import (
	"github.com/c2conn/c2conn/connections"
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
)

// The ways to prove the application's identity, values of the field "credential".
const (
	byThumbprint = "certificate"
	byFile       = "file"
	bySecret     = "secret"
	byReference  = "reference"
)

// Exchange is the flow of "new exchange": the Exchange connection wizard of seed
// 002, Microsoft 365 with manual registration.
func Exchange() *Flow {
	return &Flow{
		Kind:  connections.Exchange,
		Title: "new Exchange connection",
		Verb:  "new exchange",
		Steps: []Step{
			locationStep(
				Option{Value: string(connections.Online), Flag: "online", Title: "Microsoft 365 (Exchange Online)",
					Help: "Mailboxes and public folders of a Microsoft 365 tenant."},
				Option{Value: string(connections.OnPremises), Flag: "on-premises", Title: "Exchange Server (on-premises)",
					Help:        "Mailboxes on a server of your own.",
					Unavailable: "comes with a later version of c2conn"},
			),
			registrationStep(),
			detailsStep("Dedicated application account", "Address of any user with a mailbox in the tenant."),
			configurationStep("exchange"),
		},
	}
}

func locationStep(options ...Option) Step {
	return Step{
		ID: "location", Title: "Server location",
		Help: "Choose where the mailboxes are. For Microsoft 365 also choose the cloud: nearly every tenant is in the global one, " +
			"GCC included; GCC High, DoD and China (21Vianet) have hosts of their own.",
		Fields: []Field{
			{
				Key: keyLocation, Title: "Where is the server?", Input: Choice, Flag: "-",
				Options: Fixed(options...),
				Default: func(*Env, Answers) string { return string(connections.Online) },
			},
			{
				Key: keyCloud, Title: "Microsoft cloud", Input: Choice,
				Help:    "global fits unless your admin centre's address ends in .us or .cn.",
				Options: cloudOptions,
				Default: func(*Env, Answers) string { return "global" },
				When:    []Cond{Is(keyLocation, string(connections.Online))},
			},
		},
	}
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

func registrationStep() Step {
	return Step{
		ID: "registration", Title: "Application registration",
		Help: "An application in Microsoft Entra ID is what signs in to your tenant. Manual: you have registered it yourself in the Entra admin centre " +
			"(App registrations, New registration), gave it the application permissions and granted admin consent; the next step asks for its details.",
		When: []Cond{Is(keyLocation, string(connections.Online))},
		Fields: []Field{{
			Key: keyRegistration, Title: "How is the application registered?", Input: Choice, Flag: "-",
			Options: Fixed(
				Option{Value: "auto", Flag: "auto", Title: "Automatic registration", Help: "Sign in as an administrator; c2conn registers the application.",
					Unavailable: "comes with a later version of c2conn; choose manual"},
				Option{Value: "manual", Flag: "manual", Title: "Manual registration", Help: "You registered the application; c2conn uses it."},
			),
			Default: func(*Env, Answers) string { return "manual" },
		}},
		Notice: func(Answers) string {
			return "An application that you registered stays in Entra ID when the connection is deleted. " +
				"To avoid duplicates, use one registration again rather than making another for each connection."
		},
	}
}

func detailsStep(accountTitle, accountHelp string) Step {
	certificate := []Cond{Is(keyCredential, byFile, byReference)}
	return Step{
		ID: "details", Title: "Application details",
		Help: "Everything asked here stands in the Entra admin centre under App registrations, your application. Overview shows the Application (client) ID " +
			"and the Directory (tenant) ID; Certificates & secrets shows the certificate's thumbprint. A certificate needs an RSA key of 2048 bits or more. " +
			"A client secret's value is shown there once, right after it was made; the Secret ID beside it is something else.",
		When: []Cond{Is(keyLocation, string(connections.Online)), Is(keyRegistration, "manual")},
		Fields: []Field{
			{Key: keyAccount, Title: accountTitle, Help: accountHelp, Example: "admin@contoso.com", Check: checkAddress},
			{Key: keyClientID, Title: "Client ID", Help: "Entra admin centre › App registrations › Overview: Application (client) ID.",
				Example: "00000000-0000-0000-0000-000000000000", Check: checkClientID},
			{Key: keyTenantID, Title: "Tenant ID or domain", Help: "Same page: Directory (tenant) ID; or a domain of the tenant.",
				Example: "contoso.onmicrosoft.com", Check: checkTenant, Lookup: lookupTenant},
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
			{Key: keyCertFile, Title: "Certificate file", Help: "PFX (.pfx, .p12) or PEM with the certificate and its private key.", Example: "~/c2conn.pfx",
				Input: Path, Lookup: lookupCertFile, When: []Cond{Is(keyCredential, byFile)}},
			{Key: keySecret, Title: "Client secret", Help: "Its value; Entra shows it only once, right after it was made.", Input: Secret,
				CheckSecret: checkClientSecret, When: []Cond{Is(keyCredential, bySecret)}},
			{Key: keyReference, Title: "Where it is kept", Help: "file:PATH, env:NAME or exec:COMMAND; holds a certificate with key (PFX, PEM) or a client secret.",
				Example: "exec:pass show c2conn", Check: checkReference, Lookup: lookupReference, When: []Cond{Is(keyCredential, byReference)}},
			{Key: keyCertPassword, Title: "Password of the certificate file", Help: "Empty if it has none.", Input: Secret, Optional: true, When: certificate},
		},
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

func configurationStep(suffix string) Step {
	return Step{
		ID: ConfigurationStep, Title: "Configuration",
		Help: "Configure checks everything that the connection needs, side by side: the certificate, a token for each service, the permissions in it, " +
			"and one real request to each service. Nothing in your tenant is changed. Finish saves the connection.",
		Fields: []Field{{
			Key: keyName, Title: "Name of the connection", Help: "What you will type later: c2conn verify NAME.", Example: "contoso-exchange",
			Check: checkName, Lookup: lookupName,
			Default: func(env *Env, a Answers) string { return proposeName(a, suffix) },
		}},
	}
}
