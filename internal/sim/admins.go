package sim

import "slices"

// Template ids of the directory roles that decide about registrations.
//
// Source: learn.microsoft.com/entra/identity/role-based-access-control/permissions-reference.
const (
	RoleGlobalAdministrator           = "62e90394-69f5-4237-9190-012177145e10"
	RolePrivilegedRoleAdministrator   = "e8611ab8-c189-46e8-94e1-60213ab1f814"
	RoleApplicationAdministrator      = "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3"
	RoleCloudApplicationAdministrator = "158c047a-c907-4556-b7ef-446551a6b5f7"
	RoleApplicationDeveloper          = "cf1c38e5-3621-4004-a7cb-879624dced7c"
	RoleExchangeAdministrator         = "29232cdf-9323-42fd-ade2-1d097af3e4de"
	RoleGlobalReader                  = "f2ef992c-3afb-46b9-b7cf-a126ee74c451"
)

// Accounts of the tenant that differ in what they may do; Admins lists them.
const (
	GlobalAdmin           = Mailbox
	PrivilegedRoleAdmin   = "privileged-role-admin@" + DefaultDomain
	ApplicationAdmin      = "application-admin@" + DefaultDomain
	CloudApplicationAdmin = "cloud-application-admin@" + DefaultDomain
	ApplicationDeveloper  = "developer@" + DefaultDomain
	ExchangeAdmin         = "exchange-admin@" + DefaultDomain
	GlobalReader          = "global-reader@" + DefaultDomain
	OrdinaryUser          = "user@" + DefaultDomain
)

// Admin is a person of the tenant who may sign in, with the directory roles held.
type Admin struct {
	UPN, Name string
	Roles     []string // template ids, as in the token's claim wids
	RoleNames []string // the same by name
}

// Admins lists one account for each kind of authority.
func Admins() []Admin {
	list := []Admin{
		{UPN: GlobalAdmin, Name: "Contoso Administrator", Roles: []string{RoleGlobalAdministrator}},
		{UPN: PrivilegedRoleAdmin, Name: "Petra Privileged", Roles: []string{RolePrivilegedRoleAdministrator}},
		{UPN: ApplicationAdmin, Name: "Anton Application", Roles: []string{RoleApplicationAdministrator}},
		{UPN: CloudApplicationAdmin, Name: "Clara Cloud", Roles: []string{RoleCloudApplicationAdministrator}},
		{UPN: ApplicationDeveloper, Name: "Dario Developer", Roles: []string{RoleApplicationDeveloper}},
		{UPN: ExchangeAdmin, Name: "Elsa Exchange", Roles: []string{RoleExchangeAdministrator}},
		{UPN: GlobalReader, Name: "Rita Reader", Roles: []string{RoleGlobalReader}},
		{UPN: OrdinaryUser, Name: "Ulf User", Roles: []string{}},
	}
	for i := range list {
		for _, id := range list[i].Roles {
			list[i].RoleNames = append(list[i].RoleNames, roleName(id))
		}
	}
	return list
}

// AdminByUPN finds an account of Admins.
func AdminByUPN(upn string) (Admin, bool) {
	list := Admins()
	i := slices.IndexFunc(list, func(a Admin) bool { return a.UPN == upn })
	if i < 0 {
		return Admin{}, false
	}
	return list[i], true
}

func roleName(templateID string) string {
	return map[string]string{
		RoleGlobalAdministrator: "Global Administrator", RolePrivilegedRoleAdministrator: "Privileged Role Administrator",
		RoleApplicationAdministrator: "Application Administrator", RoleCloudApplicationAdministrator: "Cloud Application Administrator",
		RoleApplicationDeveloper: "Application Developer", RoleExchangeAdministrator: "Exchange Administrator", RoleGlobalReader: "Global Reader",
	}[templateID]
}

// directoryRole is the resource type of the same name: an activated role.
type directoryRole struct {
	Type        string  `json:"@odata.type,omitempty"`
	ID          string  `json:"id"`
	Deleted     *stamp  `json:"deletedDateTime"`
	Description *string `json:"description"`
	DisplayName *string `json:"displayName"`
	TemplateID  *string `json:"roleTemplateId"`
}
