package wizard

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/registration"
)

// The keys of the fields that only SharePoint connections have.
const (
	keySharePoint  = "sharepoint_url"
	keyAdminURL    = "admin_url"
	keyLegacy      = "legacy_admin"
	keyAdminUPN    = "admin_upn"
	keyAdminSecret = "admin_password" //nolint:gosec // the name of a field
	keyGraphOnly   = "graph_only"
)

// The answers to yes-or-no questions.
const (
	no  = "no"
	yes = "yes"
)

// SharePoint is the flow of "new sharepoint": the SharePoint connection wizard of
// seed 003, SharePoint Online with both ways of registering, and SharePoint Server.
func SharePoint() *Flow {
	account := accountField("Dedicated application account", "Address of any user of the tenant; it needs no mailbox. It is only looked up.")
	account.Optional, account.OptionalWhen = true, nil
	return &Flow{
		Kind:  connections.SharePoint,
		Title: "new SharePoint connection",
		Verb:  "new sharepoint",
		Steps: []Step{
			locationStep("the sites",
				Option{Value: string(connections.Online), Flag: "online", Title: "Microsoft 365 (SharePoint Online)",
					Help: "Sites and OneDrives of a Microsoft 365 tenant."},
				Option{Value: string(connections.OnPremises), Flag: "on-premises", Title: "SharePoint Server (on-premises)",
					Help: "Sites on a server of your own."},
			),
			sharePointServerStep(),
			sharePointAdminStep(),
			addressStep(),
			legacyStep(),
			registrationStep(permissionsField()),
			signInStep(),
			applicationStep(connections.SharePoint, account, graphOnlyField(Is(keyNewCred, newSecret))),
			planStep(),
			detailsStep(account, graphOnlyField(Is(keyCredential, bySecret)), graphOnlyField(Is(keyCredential, byReference), StandsFor(keyReference, aSecret))),
			configurationStep("sharepoint", keyAdminUPN, keySharePoint),
		},
		Fill: fillSharePoint,
		Load: loadSharePoint,
	}
}

func addressStep() Step {
	return Step{
		ID: "address", Title: "Server address",
		Help: "The address of your SharePoint sites, as the browser shows it: https:// and the name of your organisation. The name alone will do, and so will the " +
			"domain that ends in .onmicrosoft.com. In a tenant with several geographies give the address of any of them. The admin centre's address follows from it. " +
			"When the application has signed in, the address is compared with the one that Microsoft Graph tells.",
		When: []Cond{Is(keyLocation, string(connections.Online))},
		Fields: []Field{
			{Key: keySharePoint, Title: "SharePoint server URL", Help: "The organisation's name, its .onmicrosoft.com domain, or the address.", Example: "https://contoso.sharepoint.com",
				Check: checkSharePoint, Lookup: lookupSharePoint, Reads: []string{keyCloud}, Default: initialDomain},
			{Key: keyAdminURL, Title: "Admin centre URL", Help: "Follows from the above; change it only if yours differs.", Optional: true, Check: checkAdminURL, Lookup: lookupAdminURL, Reads: []string{keyCloud},
				Default: func(env *Env, a Answers) string {
					in, err := sharePointOf(env, a)
					if err != nil {
						return ""
					}
					return in.Admin
				}},
			{Key: keyLegacy, Title: "Keep an administrator's password as well?", Input: Choice, Flag: "-",
				Help: "The legacy step \"Admin's credentials\": nothing can use it any more.",
				Options: Fixed(
					Option{Value: no, Title: "No", Help: "The application's certificate does all the work."},
					Option{Value: yes, Flag: "legacy-admin", Title: "Yes, as a record", FlagHelp: "keep an administrator's name and password as a record; nothing can use them any more", Help: "For programs that still ask; it cannot be verified."},
				),
				Default: func(*Env, Answers) string { return no }},
		},
	}
}

// legacyNotice says why the seeds' step is off.
//
// Source: Microsoft 365 message center MC1184649;
// learn.microsoft.com/entra/identity-platform/v2-oauth-ropc.
const legacyNotice = "SharePoint Online takes no user name and password any more: the sign-in that did (IDCRL, which app passwords used as well) has been blocked for good since " +
	"2026-05-01, and what is left (ROPC) fails with multi-factor authentication, which administrators must have. The password is kept encrypted, is never sent and cannot be verified."

func legacyStep() Step {
	return Step{
		ID: "admin", Title: "Admin's credentials",
		Help: "Once a SharePoint administrator's user name and password were needed here. They are not any more; the application signs in by itself. This step keeps them " +
			"for programs that still ask for them. " + legacyNotice,
		When: []Cond{Is(keyLocation, string(connections.Online)), Is(keyLegacy, yes)},
		Fields: []Field{
			{Key: keyAdminUPN, Title: "Administrator's user name (UPN)", Help: "An account with the role SharePoint Administrator.", Example: "admin@contoso.com", Check: checkAddress,
				When: []Cond{Is(keyLegacy, yes)}},
			{Key: keyAdminSecret, Title: "Password or app password", Help: "Kept encrypted; may be left empty.", Input: Secret, Optional: true, Confirms: true,
				Keep: func(c *connections.Connection) *connections.Ref { return &c.LegacyAdmin.Password },
				When: []Cond{Is(keyLegacy, yes)}},
		},
		Notice: func(Answers) string { return legacyNotice },
	}
}

func permissionsField() Field {
	return Field{
		Key: keyPermissions, Title: "Which permissions?", Input: Choice, FlagHelp: "permissions of the application: recommended, or seed for the documented set alone",
		Help: "c2conn app permissions --kind sharepoint explains each.",
		Options: Fixed(
			Option{Value: recommended, Title: "What is needed today (recommended)", Help: "Lists all sites, connects to them and reaches the admin centre."},
			Option{Value: string(registration.SetSeed), Title: "The documented set alone", Help: "Reaches no site: that took a password, which no longer works."},
		),
		Default: func(*Env, Answers) string { return recommended },
	}
}

// recommended is the answer that asks for the catalogue's own set of permissions.
const recommended = "recommended"

// graphOnlyField makes sure that whoever uses a client secret knows what that means.
func graphOnlyField(when ...Cond) Field {
	return Field{
		Key: keyGraphOnly, Title: "SharePoint itself refuses client secrets", Input: Choice, Flag: "-", Confirms: true, When: when,
		Help: "Microsoft Graph takes them, SharePoint's REST and the admin centre do not.",
		Options: Fixed(
			Option{Value: no, Title: "Then I use a certificate", Help: "Go up and choose a certificate."},
			Option{Value: yes, Flag: "graph-only", Title: "Go on with the secret, for Microsoft Graph only", FlagHelp: "accept that SharePoint itself refuses the client secret, so that only Microsoft Graph works", Help: "Sites are listed; none can be connected to, backed up or restored by REST."},
		),
		Default: func(*Env, Answers) string { return no },
		Check: func(_ *Env, _ Answers, v string) (string, error) {
			if v == no {
				return v, errors.New("SharePoint refuses every call with a client secret (“Unsupported app only token”). Use a certificate; or accept that only Microsoft Graph will work (--graph-only)")
			}
			return v, nil
		},
	}
}

// sharePointOf reads the addresses from what was typed.
func sharePointOf(env *Env, a Answers) (cloud.SharePointAddress, error) {
	if env == nil || env.Clouds == nil {
		return cloud.SharePointAddress{}, errors.New("no cloud is known")
	}
	in, err := env.Clouds.Find(a.Get(keyCloud))
	if err != nil {
		return cloud.SharePointAddress{}, err
	}
	return in.ParseSharePoint(a.Get(keySharePoint))
}

func checkSharePoint(env *Env, a Answers, v string) (string, error) {
	v = trim(v)
	_, err := sharePointOf(env, Answers{keyCloud: a[keyCloud], keySharePoint: {Text: v}})
	return v, err
}

func checkAdminURL(env *Env, a Answers, v string) (string, error) {
	v = trim(v)
	in, err := env.Clouds.Find(a.Get(keyCloud))
	if err == nil {
		_, err = in.ParseSharePointAdmin(v)
	}
	return v, err
}

// lookupSharePoint asks nobody: it says what the typed name stands for.
func lookupSharePoint(_ context.Context, env *Env, a Answers) (note, resolved string, err error) {
	in, err := sharePointOf(env, a)
	if err != nil {
		return "", "", err
	}
	if strings.TrimRight(a.Get(keySharePoint), "/") != in.Site {
		note = "→ " + in.Site
	}
	if in.Note != "" {
		note = strings.TrimSpace(note + " " + in.Note)
	}
	return note, in.Site, nil
}

func lookupAdminURL(_ context.Context, env *Env, a Answers) (note, resolved string, err error) {
	in, err := env.Clouds.Find(a.Get(keyCloud))
	if err != nil {
		return "", "", err
	}
	admin, err := in.ParseSharePointAdmin(a.Get(keyAdminURL))
	if err != nil {
		return "", "", err
	}
	if strings.TrimRight(a.Get(keyAdminURL), "/") != admin {
		note = "→ " + admin
	}
	return note, admin, nil
}

// initialDomain proposes the address that belongs to the tenant's initial domain,
// where that was given.
func initialDomain(env *Env, a Answers) string {
	domain := a.Get(keyTenantID)
	if !strings.Contains(domain, ".onm") { // onmicrosoft.com, onmicrosoft.us, onmschina.cn
		return ""
	}
	in, err := sharePointOf(env, Answers{keyCloud: a[keyCloud], keySharePoint: {Text: domain}})
	if err != nil {
		return ""
	}
	return in.Site
}

func fillSharePoint(_ *Env, a Answers, in cloud.Cloud, c *connections.Connection) {
	if c.Location == connections.OnPremises {
		fillSharePointServer(a, c)
		return
	}
	if at, err := in.ParseSharePoint(a.Get(keySharePoint)); err == nil {
		c.Endpoints.SharePoint, c.Endpoints.Admin = at.Site, at.Admin
	}
	if admin, err := in.ParseSharePointAdmin(a.Get(keyAdminURL)); err == nil {
		c.Endpoints.Admin = admin
	}
	if a.Get(keyPermissions) == string(registration.SetSeed) {
		c.Registration.Permissions = string(registration.SetSeed)
	}
	if a.Get(keyLegacy) == yes {
		c.LegacyAdmin.UPN = a.Get(keyAdminUPN)
	}
}

func loadSharePoint(c connections.Connection, set func(key, text string)) {
	if c.Location == connections.OnPremises {
		loadSharePointServer(c, set)
		return
	}
	set(keySharePoint, c.Endpoints.SharePoint)
	set(keyAdminURL, c.Endpoints.Admin)
	set(keyPermissions, cmp.Or(c.Registration.Permissions, recommended))
	if c.Credential.Type == connections.TypeClientSecret {
		set(keyGraphOnly, yes)
	}
	if c.LegacyAdmin.UPN != "" {
		set(keyLegacy, yes)
		set(keyAdminUPN, c.LegacyAdmin.UPN)
	}
	if c.LegacyAdmin.Password != "" {
		set(keyAdminSecret, "")
	}
}
