package sim

import (
	"fmt"
	"slices"
	"time"
)

// The tenant that every world holds; one of several has names of its own.
const (
	TenantName    = "Contoso (simulated)"
	DefaultDomain = "contoso.com"
	InitialDomain = "contoso.onmicrosoft.com"
	// Mailbox is the dedicated account: it has a mailbox in Exchange Online.
	Mailbox = "admin@contoso.com"
	// PFXPassword opens the client certificate's file.
	PFXPassword = "simulated-password-1" //nolint:gosec // of a key that lives for a test
)

// Names of the applications of a world; see App.
const (
	AppBackup             = "backup"               // the documented permissions, consent, certificate and secret
	AppNoServicePrincipal = "no-service-principal" // registered, but no enterprise application
	AppDisabled           = "disabled"             // sign-in disabled at the enterprise application
	AppDeactivated        = "deactivated"          // the registration itself is disabled
	AppNoRoles            = "no-roles"             // no consent for anything
	AppMissingRoles       = "missing-roles"        // no consent for full_access_as_app and MailboxSettings.ReadWrite
	AppSuperfluousRoles   = "superfluous-roles"    // more than the documented permissions
	AppExpiredSecret      = "expired-secret"       // its only secret has expired
	AppExpiredCertificate = "expired-certificate"  // the registered certificate has expired
	AppSecretOnly         = "secret-only"          // no certificate registered
	AppCertificateOnly    = "certificate-only"     // no secret
	AppNotAllowed         = "ews-not-allowed"      // as backup, but not in EwsAllowedAppIDs
	AppSharePoint         = "sharepoint"           // what SharePoint Online needs today: users and sites on Graph, full control on SharePoint
	AppSharePointSeed     = "sharepoint-seed"      // the permissions once documented for SharePoint Online, and no more
	AppMigrationSource    = "migration-source"     // the documented permissions of a migration's source
	AppMigrationTarget    = "migration-target"     // the documented permissions of a migration's target
)

// App is an application of the world as a test or an administrator needs it.
type App struct {
	Name        string
	ClientID    string
	ObjectID    string // of the application
	PrincipalID string // object id of the service principal; empty when there is none
	Secret      string // the value; empty when none is registered
	SecretID    string // the secret's id, a GUID: what people paste by mistake
	Certificate Certificate
}

// appSpec says what makes one of the applications special.
type appSpec struct {
	name, title   string
	grants        []grant
	noPrincipal   bool
	disabled      bool
	deactivated   bool
	secretEnds    time.Duration // from now; 0: no secret
	certificate   bool
	expiredCert   bool
	notAllowedEWS bool
}

func appSpecs() []appSpec {
	const year = 365 * 24 * time.Hour
	all := backupGrants()
	partial := []grant{{GraphAppID, "Directory.Read.All"}, {GraphAppID, "Group.Read.All"}, {GraphAppID, "User.Read.All"}}
	more := append(backupGrants(), grant{GraphAppID, "Mail.ReadWrite"}, grant{GraphAppID, "Application.ReadWrite.OwnedBy"}, grant{ExchangeAppID, "Exchange.ManageAsApp"})
	sites := []grant{{GraphAppID, "User.Read.All"}, {GraphAppID, "Sites.Read.All"}, {SharePointAppID, "Sites.FullControl.All"}}
	old := []grant{{ExchangeAppID, "full_access_as_app"}, {GraphAppID, "User.Read.All"}}
	source := []grant{{ExchangeAppID, "full_access_as_app"}, {GraphAppID, "MailboxSettings.ReadWrite"}, {GraphAppID, "Organization.Read.All"}, {GraphAppID, "User.Read.All"}}
	target := append(slices.Clone(source), grant{GraphAppID, "User.ReadWrite.All"}, grant{GraphAppID, "DeviceManagementServiceConfig.Read.All"})
	return []appSpec{
		{name: AppBackup, title: "Contoso Mail Backup", grants: all, secretEnds: year, certificate: true},
		{name: AppNoServicePrincipal, title: "Half registered", noPrincipal: true, secretEnds: year, certificate: true},
		{name: AppDisabled, title: "Disabled backup", grants: all, disabled: true, secretEnds: year, certificate: true},
		{name: AppDeactivated, title: "Deactivated backup", grants: all, deactivated: true, secretEnds: year, certificate: true},
		{name: AppNoRoles, title: "Backup without consent", secretEnds: year, certificate: true},
		{name: AppMissingRoles, title: "Backup with part of the consent", grants: partial, secretEnds: year, certificate: true},
		{name: AppSuperfluousRoles, title: "Backup with too much consent", grants: more, secretEnds: year, certificate: true},
		{name: AppExpiredSecret, title: "Backup with an old secret", grants: all, secretEnds: -24 * time.Hour},
		{name: AppExpiredCertificate, title: "Backup with an old certificate", grants: all, certificate: true, expiredCert: true},
		{name: AppSecretOnly, title: "Backup with a secret", grants: all, secretEnds: year},
		{name: AppCertificateOnly, title: "Backup with a certificate", grants: all, certificate: true},
		{name: AppNotAllowed, title: "Backup unknown to Exchange", grants: all, secretEnds: year, certificate: true, notAllowedEWS: true},
		{name: AppSharePoint, title: "Contoso Site Backup", grants: sites, secretEnds: year, certificate: true},
		{name: AppSharePointSeed, title: "Contoso Site Backup of old", grants: old, secretEnds: year, certificate: true},
		{name: AppMigrationSource, title: "Contoso Migration Source", grants: source, secretEnds: year, certificate: true},
		{name: AppMigrationTarget, title: "Contoso Migration Target", grants: target, secretEnds: year, certificate: true},
	}
}

// seeder fills a directory and the list of applications.
type seeder struct {
	is     tenantName
	seed   int64
	now    time.Time
	dir    *directory
	tenant *tenant
	apps   map[string]App
	order  []string
}

func (s *seeder) guid(label string) string { return guidOf(s.seed, label) }

func (s *seeder) fill(good, expired, handedOut Certificate) {
	born := stamp{s.now.AddDate(-3, 0, 0).UTC().Truncate(time.Second)}
	s.organization(born)
	s.people(born)
	s.microsoft()
	on := true
	s.dir.policy = ewsPolicy{enabled: &on, allowed: []string{"cc15fd57-2c6c-4117-a88c-83b1d56b4bbe"}} // Microsoft Teams Services, put there by Microsoft
	for _, spec := range appSpecs() {
		registered, given := good, handedOut
		if spec.expiredCert {
			registered, given = expired, expired
		}
		s.register(spec, born, registered, given)
	}
}

func (s *seeder) organization(born stamp) {
	id := s.guid("tenant")
	country := "DE"
	s.dir.organization = organization{ID: id, BusinessPhones: []string{"+49 30 5550100"}, CountryCode: country, Created: born, DisplayName: s.is.title() + " (simulated)",
		Language: "en", TechnicalMails: []string{s.is.at(Mailbox)}, TenantType: "AAD", VerifiedDomains: []verifiedDomain{
			{Capabilities: "Email, OfficeCommunicationsOnline", IsInitial: true, Name: s.is.initial(), Type: "Managed"},
			{Capabilities: "Email, OfficeCommunicationsOnline", IsDefault: true, Name: s.is.domain(), Type: "Managed"}}}
	for _, d := range s.dir.organization.VerifiedDomains {
		s.dir.domains = append(s.dir.domains, domain{ID: d.Name, AuthenticationType: "Managed", IsAdminManaged: true, IsDefault: d.IsDefault, IsInitial: d.IsInitial,
			IsRoot: true, IsVerified: true, SupportedServices: []string{"Email", "OfficeCommunicationsOnline"}})
	}
}

func (s *seeder) people(born stamp) {
	no := false
	add := func(upn, name, mail string, change func(*user)) {
		nick := upn[:len(upn)-len("@"+s.is.domain())]
		u := &user{ID: s.guid("user " + upn), AccountEnabled: true, AssignedLicenses: []assignedLicense{{DisabledPlans: []string{}, SkuID: "05e9a617-0261-4cee-bb44-138d3ef5d965"}},
			BusinessPhones: []string{}, Created: born, DisplayName: name, MailNickname: nick, ProxyAddresses: []string{}, UserPrincipalName: upn, UserType: "Member",
			sid: fmt.Sprintf("S-1-5-21-1004336348-1177238915-682003330-%d", 1101+len(s.dir.users))}
		if mail != "" {
			u.Mail = &mail
			u.ProxyAddresses = []string{"SMTP:" + mail, "smtp:" + nick + "@" + s.is.initial()}
			u.mailbox = newMailbox("user")
		}
		if change != nil {
			change(u)
		}
		s.dir.users = append(s.dir.users, u)
	}
	unlicensed := func(u *user) { u.AssignedLicenses, u.mailbox = []assignedLicense{}, nil }
	add(s.is.at(Mailbox), s.is.title()+" Administrator", s.is.at(Mailbox), func(u *user) {
		u.ProxyAddresses = append(u.ProxyAddresses, "smtp:administrator@"+s.is.domain())
		u.mailbox.archive = true
	})
	add("alex.w@"+s.is.domain(), "Alex Wilber", "alex.wilber@"+s.is.domain(), nil)
	add("no-mailbox@"+s.is.domain(), "Noor Without Mailbox", "", nil)
	add("unlicensed@"+s.is.domain(), "Uma Unlicensed", "unlicensed@"+DefaultDomain, unlicensed)
	add("on-premises@"+s.is.domain(), "Olga On Premises", "on-premises@"+s.is.domain(), func(u *user) {
		yes := true
		unlicensed(u)
		u.SyncEnabled = &yes
	})
	add("ews-off@"+s.is.domain(), "Emil Without EWS", "ews-off@"+s.is.domain(), func(u *user) { u.mailbox.ewsEnabled = &no })
	add("disabled@"+s.is.domain(), "Dora Disabled", "disabled@"+s.is.domain(), func(u *user) { u.AccountEnabled = false })
	add("support@"+s.is.domain(), "Support", "support@"+s.is.domain(), func(u *user) { u.AssignedLicenses, u.mailbox = []assignedLicense{}, newMailbox("shared") })
	add("room1@"+s.is.domain(), "Meeting room 1", "room1@"+s.is.domain(), func(u *user) { u.AssignedLicenses, u.mailbox = []assignedLicense{}, newMailbox("room") })
	for i := 1; i <= 140; i++ { // more than one page of 100
		upn := fmt.Sprintf("person%03d@%s", i, s.is.domain())
		add(upn, fmt.Sprintf("Person %03d", i), upn, nil)
	}
	for _, a := range Admins() {
		if a.UPN == GlobalAdmin {
			s.dir.users[0].roles = a.Roles
			continue
		}
		add(s.is.at(a.UPN), a.Name, "", func(u *user) { u.roles, u.AssignedLicenses = a.Roles, []assignedLicense{} })
	}
	// One group: a probe with $top=1 then has no next page.
	mail, private := "everyone@"+s.is.domain(), "Private"
	s.dir.groups = append(s.dir.groups, &group{ID: s.guid("group everyone"), Created: born, DisplayName: "All of " + s.is.title(), GroupTypes: []string{"Unified"}, Mail: &mail, MailEnabled: true,
		MailNickname: "everyone", ProxyAddresses: []string{"SMTP:" + mail}, Renewed: born, Visibility: &private})
}

// microsoftPrincipals is how many service principals of Microsoft's own
// services the tenant holds: as many as a tenant that has grown for years.
const microsoftPrincipals = 400

// microsoft adds the service principals of Microsoft's services: those that
// matter here are spread over several pages of the directory, as in life.
func (s *seeder) microsoft() {
	known := map[int][2]string{3: {"00000002-0000-0000-c000-000000000000", "Windows Azure Active Directory"}, 41: {AzureCLIAppID, "Microsoft Azure CLI"},
		77: {"cc15fd57-2c6c-4117-a88c-83b1d56b4bbe", "Microsoft Teams Services"}, 118: {ExchangeAppID, "Office 365 Exchange Online"}, 190: {GraphCLIAppID, "Microsoft Graph Command Line Tools"},
		246: {GraphAppID, "Microsoft Graph"}, 303: {"797f4846-ba00-4fd7-ba43-dac1f8f63013", "Azure Resource Manager"}, 371: {SharePointAppID, "Office 365 SharePoint Online"}}
	for i := range microsoftPrincipals {
		one, ok := known[i]
		if !ok {
			one = [2]string{s.guid(fmt.Sprintf("microsoft service %d", i)), fmt.Sprintf("Microsoft service %03d", i)}
		}
		s.resource(one[0], one[1])
	}
}

// resource adds the service principal of one of Microsoft's own services.
func (s *seeder) resource(appID, name string) {
	p := &servicePrincipal{ID: s.guid("resource " + appID), AccountEnabled: true, AppDisplayName: name, AppID: appID, AppOwner: microsoftTenant, AppRoles: []role{},
		DisplayName: name, ServicePrincipalNames: []string{appID}, ServicePrincipalType: "Application", SignInAudience: "AzureADMultipleOrgs", Tags: []string{}}
	ids := appRoleIDs()[appID]
	for _, value := range sortedKeys(ids) {
		p.AppRoles = append(p.AppRoles, role{AllowedMemberTypes: []string{"Application"}, Description: "Allows the app to use " + value + " without a signed-in user.",
			DisplayName: value, ID: ids[value], IsEnabled: true, Origin: "Application", Value: value})
	}
	s.tenant.principals = append(s.tenant.principals, p)
}

func (s *seeder) register(spec appSpec, born stamp, registered, given Certificate) {
	public := App{Name: spec.name, ClientID: s.guid("client " + spec.name), ObjectID: s.guid("application " + spec.name)}
	a := &application{ID: public.ObjectID, AppID: public.ClientID, Created: born, DisplayName: spec.title, IdentifierURIs: []string{}, KeyCredentials: []keyCredential{},
		PasswordCredentials: []passwordCredential{}, PublisherDomain: s.is.initial(), RequiredResourceAccess: []requiredResourceAccess{}, SignInAudience: "AzureADMyOrg", Tags: []string{}}
	if spec.deactivated {
		yes := true
		a.IsDisabled = &yes
	}
	if spec.certificate {
		a.KeyCredentials = append(a.KeyCredentials, keyOf(registered, s.guid("key "+spec.name)))
		public.Certificate = given
	}
	if spec.secretEnds != 0 {
		public.Secret, public.SecretID = secretOf(s.seed, spec.name), s.guid("secret "+spec.name)
		end := s.now.Add(spec.secretEnds).UTC().Truncate(time.Second)
		a.PasswordCredentials = append(a.PasswordCredentials, passwordCredential{DisplayName: "c2conn", EndDateTime: stamp{end}, Hint: public.Secret[:3],
			KeyID: public.SecretID, StartDateTime: stamp{end.AddDate(-1, 0, 0)}, secret: public.Secret})
	}
	a.RequiredResourceAccess = required(spec.grants)
	s.tenant.applications = append(s.tenant.applications, a)
	if !spec.noPrincipal {
		p := &servicePrincipal{ID: s.guid("principal " + spec.name), AccountEnabled: !spec.disabled, AppDisplayName: spec.title, AppID: a.AppID, AppOwner: s.dir.organization.ID,
			AppRoles: []role{}, DisplayName: spec.title, ServicePrincipalNames: []string{a.AppID}, ServicePrincipalType: "Application", SignInAudience: a.SignInAudience,
			Tags: []string{"WindowsAzureActiveDirectoryIntegratedApp"}}
		public.PrincipalID = p.ID
		s.tenant.principals = append(s.tenant.principals, p)
		for _, g := range spec.grants {
			resource := s.tenant.principal(g.resource)
			s.tenant.assignments = append(s.tenant.assignments, &appRoleAssignment{ID: s.guid("assignment " + spec.name + g.resource + g.role), AppRoleID: appRoleIDs()[g.resource][g.role],
				Created: born, PrincipalDisplayName: p.DisplayName, PrincipalID: p.ID, PrincipalType: "ServicePrincipal", ResourceDisplayName: resource.DisplayName, ResourceID: resource.ID})
		}
	}
	if !spec.notAllowedEWS {
		s.dir.policy.allowed = append(s.dir.policy.allowed, a.AppID)
	}
	s.apps[spec.name] = public
	s.order = append(s.order, spec.name)
}

func required(grants []grant) []requiredResourceAccess {
	list := []requiredResourceAccess{}
	for _, g := range grants {
		access := resourceAccess{ID: appRoleIDs()[g.resource][g.role], Type: "Role"}
		found := false
		for i := range list {
			if list[i].ResourceAppID == g.resource {
				list[i].ResourceAccess, found = append(list[i].ResourceAccess, access), true
			}
		}
		if !found {
			list = append(list, requiredResourceAccess{ResourceAppID: g.resource, ResourceAccess: []resourceAccess{access}})
		}
	}
	return list
}
